"""What stands in Metashape's XML elements as plain values: numbers, matrices, sizes, ids; or a refusal that names the place.

Which elements there are is said by the modules that read them. ``where`` is always the file and the element, for
messages. What is missing or empty is None; what is there must be right. The commonest change is another kind of value: a
function beside `numbers`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError
from depthraster.transforms import check_transform

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = [
    "EXPORT",
    "Notes",
    "by_id",
    "checked",
    "digits",
    "listed",
    "needed_id",
    "number",
    "numbers",
    "quoted",
    "similarity",
    "size",
    "switch",
    "unfit",
    "whole",
]

EXPORT = "export the cameras from Metashape as Agisoft XML"


class _HasId(Protocol):
    @property
    def id(self) -> int: ...


_T = TypeVar("_T", bound=_HasId)
_NAMED = 3  # names that a message lists
_LONGEST = 80  # characters of a name


class Notes:
    """What a reader has to say, each kind once with the names that it concerns."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def add(self, message: str, name: str = "") -> None:
        """Note a message; ``{names}`` in it stands for the names that it is noted with."""
        self._names.setdefault(message, []).append(name)

    def warn(self, source: str, stacklevel: int) -> None:
        """Give a warning for each message; ``stacklevel`` as for `warnings.warn`, from the caller."""
        for message, names in self._names.items():
            # replace, not format: a message may hold text from the file.
            text = message.replace("{names}", listed(names))
            warnings.warn(f"{source}: {text}", UserWarning, stacklevel=stacklevel + 1)


def quoted(name: object) -> str:
    """Return a name from a file as messages show it: in quotes, control characters spelled out, not too long."""
    return repr(name if not isinstance(name, str) or len(name) <= _LONGEST else name[:_LONGEST] + "…")


def listed(names: Sequence[object], most: int = _NAMED) -> str:
    """Return some of the names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(quoted(name) for name in names[:most]) + more


def unfit(where: str, found: str, needed: str, again: str = f"{EXPORT} again") -> FormatError:
    """Return the error that says what was found where, what is needed, and how the user gets it."""
    return FormatError(f"{where}: {found}; {needed}: {again}")


def whole(attributes: Element | Mapping[str, str], name: str, where: str) -> int | None:
    """Return an attribute that is a whole number; None where it is missing, or empty."""
    text = attributes.get(name)
    if text is None or not text.strip():
        return None
    try:
        if (
            text.isascii() and "_" not in text
        ):  # Python reads 1_000 and other scripts' digits as numbers; XML does not
            return int(text)
    except ValueError:
        pass
    raise unfit(where, f"{name} is {text[:40]!r}", "a whole number is needed")


def by_id(values: Iterable[_T], kind: str, source: str) -> dict[int, _T]:
    """Return values by their ids, in their order; ``kind`` is what they are, in the plural."""
    found: dict[int, _T] = {}
    for value in values:
        if value.id in found:
            raise unfit(source, f"two {kind} have the id {value.id}", "different ids are needed")
        found[value.id] = value
    return found


def needed_id(attributes: Element | Mapping[str, str], where: str) -> int:
    """Return an ``id``, which must be there."""
    value = whole(attributes, "id", where)
    if value is None:
        raise unfit(where, "it has no id", "a whole number is needed")
    return value


def switch(attributes: Element | Mapping[str, str], name: str, default: bool, where: str) -> bool:
    """Return an attribute that is true or false; older versions write 1 and 0."""
    text = attributes.get(name)
    if text is None:
        return default
    word = text.strip().lower()
    if word not in ("true", "1", "false", "0"):
        raise unfit(where, f"{name} is {text[:40]!r}", "true or false is needed")
    return word in ("true", "1")


def number(text: str, where: str, again: str = f"{EXPORT} again") -> float:
    """Return the number that a text is; ``again`` is how the user gets a good file."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text or not text.isascii():  # as for whole numbers
        raise unfit(where, f"{text.strip()[:40]!r} stands there", "a finite number is needed", again)
    return value


def numbers(element: Element | None, count: int, where: str) -> npt.NDArray[np.float64] | None:
    """Return the numbers of an element, (count,) float64, or None where it is missing or empty."""
    text = "" if element is None else element.text or ""
    texts = text.split()
    if not texts:
        return None
    if len(texts) != count:
        raise unfit(where, f"{len(texts)} numbers stand there", f"{count} are needed")
    try:
        array = np.array([float(text) for text in texts])
        good = text.isascii() and "_" not in text and bool(np.isfinite(array).all())
    except ValueError:
        good = False
    return array if good else np.array([number(text, where) for text in texts])  # which says what is wrong


def size(element: Element, where: str) -> tuple[int, int] | None:
    """Return the width and height of an element's ``<resolution>``, pixels; None where there is none."""
    resolution = element.find("resolution")
    if resolution is None:
        return None
    width, height = (whole(resolution, name, f"{where} <resolution>") for name in ("width", "height"))
    return (width, height) if width and height else None


def checked(matrix: npt.NDArray[np.float64], where: str) -> npt.NDArray[np.float64]:
    """Return a (4, 4) matrix that is a similarity."""
    try:
        return check_transform(matrix)
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None


def similarity(element: Element | None, where: str) -> npt.NDArray[np.float64] | None:
    """Return a ``<transform>`` as a (4, 4) matrix; None where the element is missing or empty.

    It holds rotation, translation and scale, any of which may be missing, or 16 numbers.
    """
    if element is None:
        return None
    if not len(element):
        whole_matrix = numbers(element, 16, where)
        return None if whole_matrix is None else checked(whole_matrix.reshape(4, 4), where)
    rotation = numbers(element.find("rotation"), 9, f"{where} <rotation>")
    translation = numbers(element.find("translation"), 3, f"{where} <translation>")
    scale = numbers(element.find("scale"), 1, f"{where} <scale>")
    if rotation is None and translation is None and scale is None:
        return None
    matrix = np.eye(4)
    if rotation is not None:
        matrix[:3, :3] = rotation.reshape(3, 3)
    if scale is not None:
        if not scale[0] > 0.0:
            raise unfit(f"{where} <scale>", f"the scale is {scale[0]}", "a positive number is needed")
        matrix[:3, :3] *= scale[0]
    if translation is not None:
        matrix[:3, 3] = translation
    return checked(matrix, where)


def digits(value: float) -> str:
    """Return the shortest text that reads back as the same number; whole ones without a point, as Metashape writes them."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") and text != "-0.0" else text
