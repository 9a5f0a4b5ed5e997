"""`Comparison`: what was found of two images, as values, as text, as JSON and as a picture.

It holds and tells; what is found is the other modules'. The commonest change is a line of the text: in `Comparison.__str__`.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from depthraster.comparison.findings import Finding
from depthraster.comparison.measures import FARTHEST, Coverage, Differences, Picked, Tolerances
from depthraster.comparison.mistakes import Fit
from depthraster.comparison.registration import Alignment

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Comparison"]

_PART = 0.5  # of what there was to be explained: where more of it remains, only a part is explained


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two depth images have in common and what not; `str` of it is a report.

    Attributes
    ----------
    passed : bool
        Whether they are the same within the tolerances. A comparison is as true as this.
    failures : tuple of str
        In what they are not.
    findings : tuple of Finding
        Mistakes that explain it, those that explain most first.
    before, after : Fit or None
        How well ours predicts theirs as it is, and with all that was found; None where they are the same.
    coverage : Coverage
        Where they see something.
    differences : Differences
        How their depths differ.
    alignment : Alignment
        The shift and the scale at which they agree best.
    scale : float
        What ours was multiplied by.
    tolerances : Tolerances
        What they were judged by.
    notes : tuple of str
        What else there is to know.
    ours, theirs : (H, W) float32 arrays
        The depths that were compared, without the scale; NaN where nothing is seen.
    """

    passed: bool
    failures: tuple[str, ...]
    findings: tuple[Finding, ...]
    before: Fit | None
    after: Fit | None
    coverage: Coverage
    differences: Differences
    alignment: Alignment
    scale: float
    tolerances: Tolerances
    notes: tuple[str, ...]
    ours: npt.NDArray[np.float32] = field(repr=False)
    theirs: npt.NDArray[np.float32] = field(repr=False)
    _picked: Picked = field(repr=False)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        height, width = self.theirs.shape
        lines = [f"{'PASS' if self.passed else 'FAIL'}: {width} x {height} pixels, ours against theirs"]
        lines += [f"  {line}" for line in self.failures]
        lines += ["", *self._coverage_lines(), "", *self._difference_lines(), ""]
        shift = self.alignment
        if shift.known == 0:
            told = "not to be told here"
        else:
            told = f"{shift.right + 0.0:.3f} px right, {shift.down + 0.0:.3f} px down".replace(
                "-0.000", "0.000"
            )
            told += " (in one direction only)" if shift.known == 1 else ""
            told += " (from edges)" if shift.from_edges else ""
        lines.append(f"best shift         {told}")
        lines.append(f"best scale         theirs = {_number(shift.scale, 9)} x ours")
        if self.scale != 1.0:
            lines.append(f"scale used         ours x {_number(self.scale, 9)}")
        if self.findings:
            part = self.before and self.after and self.after.unexplained > _PART * self.before.unexplained
            lines += ["", "What explains a part of it:" if part else "What explains it:"]
            lines += [f"  - {finding.text}; {finding.remedy}" for finding in self.findings]
            if self.before is not None and self.after is not None:
                lines.append(
                    f"  so {_percent(self.after.unexplained)} of the pixels remain clearly off, of "
                    f"{_percent(self.before.unexplained)}"
                )
        elif not self.passed:
            lines += ["", "No mistake that is known here explains it."]
        if self.notes:
            lines += ["", *(f"Note: {note}" for note in self.notes)]
        return "\n".join(lines)

    def _coverage_lines(self) -> list[str]:
        coverage = self.coverage
        total = max(self.theirs.size, 1)
        lines = []
        for words, count, distances in (
            ("seen in both", coverage.both, ()),
            ("seen in neither", coverage.neither, ()),
            ("only in ours", coverage.only_ours, coverage.ours_by_distance),
            ("only in theirs", coverage.only_theirs, coverage.theirs_by_distance),
        ):
            line = f"{words:<18} {count:>13,}  {100 * count / total:8.4f} %"
            if distances:
                line += f"  {distances[0]:,} at an edge"
                if len(distances) > 1:
                    more = " and more" if len(distances) == FARTHEST else ""
                    line += f", {sum(distances[1:]):,} farther inside, up to {len(distances)} px{more}"
            lines.append(line)
        return lines

    def _difference_lines(self) -> list[str]:
        found = self.differences
        if found.absolute is None:
            return ["no pixel is seen in both: there are no differences to tell"]
        lines = [
            f"{'difference':<18} {'median':>11} {'95 %':>11} {'99.9 %':>11} {'greatest':>11}  at (row, col)"
        ]
        for words, spread in (
            ("depth", found.absolute),
            ("part of the depth", found.relative),
            ("px of slope", found.pixels),
        ):
            if spread is None:
                lines.append(f"{words:<18} {'none':>11}")
                continue
            numbers = " ".join(
                f"{_number(v, 4):>11}" for v in (spread.median, spread.p95, spread.p999, spread.max)
            )
            lines.append(f"{words:<18} {numbers}  {spread.place}")
        bias = _number(found.bias, 4)
        side = "farther" if found.bias > 0 else "nearer" if found.bias < 0 else "neither nearer nor farther"
        lines.append(f"{'bias':<18} {bias:>11}  (median; ours is {side})")
        share = found.wrong / self.coverage.both
        lines.append(f"{'beyond tolerance':<18} {found.wrong:>11,}  {_percent(share)}")
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return everything but the images as JSON takes it; numbers that JSON has not become None."""
        height, width = self.theirs.shape
        found = {
            "passed": self.passed,
            "width": width,
            "height": height,
            "failures": list(self.failures),
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "unexplained": {
                name: None if fit is None else fit.unexplained
                for name, fit in (("before", self.before), ("after", self.after))
            },
            "coverage": dataclasses.asdict(self.coverage) | {"inside": self.coverage.inside},
            "differences": dataclasses.asdict(self.differences),
            "alignment": dataclasses.asdict(self.alignment),
            "scale": self.scale,
            "tolerances": dataclasses.asdict(self.tolerances),
            "notes": list(self.notes),
        }
        return {name: _for_json(value) for name, value in found.items()}

    def picture(self, title: str = "") -> Image:
        """Return a picture of ours, theirs, their difference and its histogram: `PIL.Image.Image`, RGB."""
        from depthraster.comparison.picture import draw

        return draw(self, self._picked, title)

    def save_picture(self, path: str | os.PathLike[str], title: str = "") -> None:
        """Write the picture to a PNG file, whole or not at all.

        Raises
        ------
        ValueError
            The file's suffix is not ``.png``.
        OSError
            The file cannot be written.
        """
        from depthraster.io.files import written_whole

        suffix = os.path.splitext(os.fspath(path))[1]
        if suffix.lower() != ".png":
            raise ValueError(
                f"{os.fspath(path)}: the suffix is {suffix!r}; '.png' is needed: the picture is a PNG"
            )

        picture = self.picture(title)
        with written_whole(path) as temporary:
            picture.save(temporary, format="PNG", compress_level=1)


def _number(value: float, digits: int) -> str:
    return "none" if math.isnan(value) else f"{value:.{digits}g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _for_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _for_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_for_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
