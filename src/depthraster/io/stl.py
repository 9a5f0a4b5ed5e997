"""STL files, binary and text, to triangles.

Read here and not by trimesh, which merges vertices in text files of several solids even when told not to, and takes those
that end too early for whole. Judging the mesh is ``meshes.py``'s.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from depthraster.io.polygons import Floats, Ints

__all__ = ["read_stl"]

_HEADER = 84  # 80 bytes of anything, and the number of triangles
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("vertices", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"^[ \t]*vertex[ \t]+(.*)$", re.MULTILINE | re.IGNORECASE)
_FACET = re.compile(rb"^[ \t]*facet\b", re.MULTILINE | re.IGNORECASE)
_SOLID = re.compile(rb"^[ \t]*(solid|endsolid)\b", re.MULTILINE | re.IGNORECASE)


def read_stl(data: npt.NDArray[np.uint8]) -> tuple[Floats, Ints, None]:
    """Read an STL file.

    Parameters
    ----------
    data : (n,) uint8 array
        The whole file, e.g. mapped.

    Returns
    -------
    vertices : (3 F, 3) float64 array
        Every triangle has three of its own.
    corners : (F, 3) int64 array
        0, 1, 2 and so on.
    sizes : None
        All faces are triangles.

    Raises
    ------
    ValueError
        The file is no STL or ends early; the message says what was found.
    """
    # Binary files can begin with the word "solid" too; their length tells them.
    n = int.from_bytes(data[80:_HEADER].tobytes(), "little")
    if len(data) == _HEADER + n * _TRIANGLE.itemsize:
        vertices = data[_HEADER:].view(_TRIANGLE)["vertices"].reshape(-1, 3).astype(np.float64)
    elif data[:512].tobytes().lstrip().lower().startswith(b"solid"):
        vertices = _text_vertices(data.tobytes().replace(b"\r", b"\n"))
    else:
        raise ValueError(f"the header promises {n} triangles, which do not fit in {len(data)} bytes")
    return vertices, np.arange(len(vertices)).reshape(-1, 3), None


def _text_vertices(text: bytes) -> Floats:
    rows = _VERTEX.findall(text)
    words = [word.lower() for word in _SOLID.findall(text)]
    if words.count(b"solid") != words.count(b"endsolid") or len(rows) != 3 * len(_FACET.findall(text)):
        raise ValueError("it ends within a solid, or a facet has not three vertices")
    try:
        numbers = np.fromstring(b" ".join(rows), dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        numbers = np.empty(0)
    if len(numbers) != 3 * len(rows):
        raise ValueError("a vertex has not three numbers")
    return numbers.reshape(-1, 3)
