"""What a caller says of a calibration file beside its path, held against what the file says itself.

A file wins over nothing and nothing over a file: where both say the same there is no need for it, where they differ that is
an error, and what neither says is asked for. The commonest change is another option: a field of `Options`, and the
argument of `load_calibration`.
"""

from __future__ import annotations

from typing import NamedTuple

from depthraster.errors import FormatError
from depthraster.io.foreign_lenses import decimal_number
from depthraster.io.xml_values import unfit

__all__ = ["Options", "side"]

_CENTERS = {0.0: "its centre", 0.5: "its outer corner"}


class Options(NamedTuple):
    """What the caller says; None where nothing."""

    width: int | None = None
    height: int | None = None
    fisheye: bool | None = None
    pixel_center: float | None = None

    def size(self, where: str, width: int | None, height: int | None) -> tuple[int, int]:
        """Return width and height, from the file or from the caller."""
        sides = []
        for name, in_file, said in (("width", width, self.width), ("height", height, self.height)):
            if in_file is not None and said is not None and in_file != said:
                raise FormatError(
                    f"{where}: the image's {name} is {in_file} in the file and {said} in the call; one size is needed: "
                    f"leave {name}= out, or load the calibration of that image and use Calibration.scaled"
                )
            side = said if in_file is None else in_file
            if side is None:
                raise FormatError(
                    f"{where}: the image's {name} is not in the file; it is needed: pass width= and height=, in pixels"
                )
            sides.append(side)
        return sides[0], sides[1]

    def is_fisheye(self, where: str, in_file: bool | None) -> bool:
        """Return whether the lens is a fisheye, a frame camera where neither file nor caller says."""
        if in_file is not None and self.fisheye is not None and in_file != self.fisheye:
            kind, other = ("a fisheye", "none") if in_file else ("no fisheye", "one")
            raise FormatError(
                f"{where}: the lens is {kind} as the file says, and {other} as the call does; one of them is needed: leave "
                "fisheye= out"
            )
        return bool(self.fisheye if in_file is None else in_file)

    def center(self, usual: float) -> float:
        """Return where the centre of the first pixel is in the file, `usual` unless the caller says otherwise."""
        return usual if self.pixel_center is None else self.pixel_center

    def refuse_other_center(self, where: str, only: float) -> None:
        """Refuse that the caller says how pixels are counted, for a format that fixes it."""
        if self.pixel_center is not None and self.pixel_center != only:
            raise FormatError(
                f"{where}: pixel_center is {self.pixel_center!r} in the call, but such a file counts pixels from "
                f"{_CENTERS[only]} of the first; {only} is needed: leave pixel_center= out"
            )


def side(text: object, where: str, again: str) -> int:
    """Return a side of an image, which some programs write as a real number."""
    try:
        number = decimal_number(str(text))
        if number == number.to_integral_value():
            return int(number)
    except ValueError:
        pass
    raise unfit(where, f"{str(text)[:40]!r} stands there", "a whole number of pixels is needed", again)
