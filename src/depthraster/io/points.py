"""Files of points to coordinates: tables in text, numpy's arrays, and the vertices of PLY files.

What the coordinates are in is the caller's. The commonest change is another name that programs give to a column: `_NAMES`,
and `_LABELS` for what points are called.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError
from depthraster.io.files import existing_file
from depthraster.io.ply import read_ply

__all__ = ["Points", "load_points"]

# Of several names of one column the first counts. Also "X/Easting" and the like: what follows the slash says what it is in.
_NAMES = (("x", "easting"), ("y", "northing"), ("z", "altitude", "height", "elevation"))
_LABELS = ("label", "name", "id", "point")
_COMMENTS = ("#", "//")


class Points(NamedTuple):
    """Points of a file, in its order.

    Attributes
    ----------
    coordinates : (N, 3) float64 array
        In the file's frame and unit, all finite.
    labels : list of str, or None
        What they are called, where the file says it.
    """

    coordinates: npt.NDArray[np.float64]
    labels: list[str] | None


def load_points(path: str | os.PathLike[str]) -> Points:
    """Read a file of points.

    ===========================  ========================================================================================
    ``.csv``, ``.txt``, ``.xyz`` a point a line, columns separated by commas, semicolons, tabs or spaces. A first line may
                                 name them: x, y, z, label (or name, id, point), others; ``X/Easting`` is x, too. Without
                                 one there must be three. Lines that begin with ``#`` or ``//`` are comments, but may name
                                 the columns
    ``.npy``                     an array of numbers, (N, 3)
    ``.ply``                     its vertices, of a mesh or a point cloud
    ===========================  ========================================================================================

    Parameters
    ----------
    path : str or path
        The file; its suffix, in capitals or not, says the format.

    Returns
    -------
    Points

    Raises
    ------
    FormatError
        The file is no such file or has no points, other columns, or coordinates that are no finite numbers.
    OSError
        The file cannot be read.
    """
    path = existing_file(path, "a file of points", tuple(_READERS))
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FormatError(
            f"{path}: the suffix is {path.suffix!r}; one of {', '.join(_READERS)} is needed: write the points as CSV"
        )
    if path.stat().st_size == 0:
        raise FormatError(f"{path}: the file is empty; points are needed: write it again")
    try:
        points = reader(path)
    except (FormatError, OSError):
        raise
    except ValueError as error:  # which UnicodeDecodeError is, too
        raise FormatError(
            f"{path}: not read as points ({error}); x, y and z of one on each line are needed: write the file again"
        ) from error
    if not len(points.coordinates):
        raise FormatError(f"{path}: there are no points in the file; one is needed at least: write it again")
    bad = np.flatnonzero(~np.isfinite(points.coordinates).all(axis=1))
    if len(bad):
        raise FormatError(
            f"{path}: {len(bad)} of {len(points.coordinates)} points are not finite, the first is number {bad[0]}, counted "
            "from 0; finite numbers are needed: leave those points out"
        )
    return points


def _read_text(path: Path) -> Points:
    text = path.read_text(encoding="utf-8-sig")
    lines = [stripped for line in text.split("\n") if (stripped := line.strip())]
    first, columns, label, delimiter = _columns(lines, path)
    rows = [line for line in lines[first:] if not line.startswith(_COMMENTS)]
    if not rows:
        return Points(np.empty((0, 3)), None)
    usual: dict[str, Any] = {"delimiter": delimiter, "comments": None, "quotechar": '"', "ndmin": 2}
    found = np.loadtxt(rows, np.float64, usecols=columns, **usual)
    if label is None:
        return Points(found, None)
    labels = np.loadtxt(rows, np.str_, usecols=[label], **usual)
    return Points(found, [name.strip() for name in labels[:, 0].tolist()])


def _columns(lines: list[str], path: Path) -> tuple[int, list[int], int | None, str | None]:
    """Return which line is the first with a point, which columns are x, y, z and the label, and what separates them.

    No label and spaces between columns are None.
    """
    for number, line in enumerate(lines):
        bare = line.lstrip("#/").strip()
        delimiter = next((sign for sign in "\t;," if sign in bare), None)
        fields = [field.strip().strip('"') for field in bare.split(delimiter)]
        names = [field.split("/")[0].strip().lower() for field in fields]
        found = [next((name for name in some if name in names), "") for some in _NAMES]
        if all(found):
            twice = next((name for name in found if names.count(name) > 1), None)
            if twice is not None:
                raise FormatError(
                    f"{path}: the first line, {line[:60]!r}, names {twice} more than once; one column of each is needed: "
                    "rename the others"
                )
            label = next((names.index(name) for name in _LABELS if name in names), None)
            return number + 1, [names.index(name) for name in found], label, delimiter
        if line.startswith(_COMMENTS):
            continue
        if not any(map(_is_number, fields)):
            raise FormatError(
                f"{path}: the first line, {line[:60]!r}, has neither numbers (with a point for decimals) nor x, y and z "
                "(or easting, northing and altitude); columns of these names are needed: rename them"
            )
        if len(fields) != 3:
            raise FormatError(
                f"{path}: there are {len(fields)} columns, and no first line that names x, y and z; three columns, or such "
                "a line, are needed: put it on top"
            )
        return number, [0, 1, 2], None, delimiter
    return len(lines), [0, 1, 2], None, None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_npy(path: Path) -> Points:
    # Mapped first: a header that promises more than the file holds is found before memory is taken for it.
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if (
        not isinstance(array, np.ndarray)
        or array.dtype.kind not in "fiu"
        or array.ndim != 2
        or array.shape[1] != 3
    ):
        what = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "not one array"
        raise FormatError(
            f"{path}: it is {what}; numbers of shape (N, 3) are needed: save x, y, z as columns"
        )
    return Points(np.array(array, np.float64), None)


def _read_ply(path: Path) -> Points:
    vertices, _, _ = read_ply(np.asarray(np.memmap(path, np.uint8, "r")))
    return Points(vertices, None)


_READERS: dict[str, Callable[[Path], Points]] = {
    ".csv": _read_text,
    ".txt": _read_text,
    ".xyz": _read_text,
    ".npy": _read_npy,
    ".ply": _read_ply,
}
