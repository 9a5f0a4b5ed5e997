"""PLY files, text and binary, to vertices and polygons.

Read here and not by trimesh, which refuses binary files that mix triangles with quads, takes truncated text files for
whole, rounds numbers in text to single precision, and renumbers vertices where there are texture coordinates. Cutting
polygons and judging the mesh are ``meshes.py``'s. The commonest change is another name that programs give to the list of
vertex indices: `_INDEX_NAMES`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.io.polygons import Floats, Ints

__all__ = ["read_ply"]

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "int64": "i8",
    "uint64": "u8", "float32": "f4", "float64": "f8",
}  # fmt: skip
# The types that a list's count can have, for the struct module.
_STRUCT = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}
_INDEX_NAMES = ("vertex_indices", "vertex_index")
_MAX_HEADER = 1 << 20  # bytes
_BLOCK = 1 << 18  # rows of unequal length that are gathered at a time


class _Property(NamedTuple):
    name: str
    type: str
    count_type: str | None  # of a list


class _Element(NamedTuple):
    name: str
    n_rows: int
    properties: list[_Property]

    @property
    def lists(self) -> list[_Property]:
        return [prop for prop in self.properties if prop.count_type]


def read_ply(data: npt.NDArray[np.uint8]) -> tuple[Floats, npt.NDArray[np.integer], Ints | None]:
    """Read a PLY file.

    Parameters
    ----------
    data : (n,) uint8 array
        The whole file, e.g. mapped.

    Returns
    -------
    vertices : (V, 3) float64 array
    corners : (N,) array of int, or (F, 3) where all faces are triangles
        Vertex indices as the file has them, not checked.
    sizes : (P,) int64 array, or None where all faces are triangles
        Corners of each face.

    Raises
    ------
    ValueError
        The file is no PLY or ends early; the message says what was found.
    """
    encoding, elements, start = _header(data)
    names = [element.name for element in elements]
    if "vertex" not in names:
        raise ValueError("the header names no vertices")
    if "tristrips" in names and "face" not in names:
        raise ValueError("the faces are triangle strips, which are not supported")
    source: _Text | _Binary
    if encoding == "ascii":
        source = _Text(_tokens(data[start:]))
    else:
        source = _Binary(data[start:], ">" if encoding == "binary_big_endian" else "<")
    vertices = np.empty((0, 3))
    corners: npt.NDArray[np.integer] = np.empty((0, 3), np.int64)
    sizes: Ints | None = None
    wanted = {"vertex", "face"} & set(names)
    for element in elements:
        if element.name == "vertex":
            vertices = source.vertices(element)
        elif element.name == "face" and element.n_rows and element.lists:
            corners, sizes = source.polygons(element, _index_property(element))
        elif element.n_rows and element.properties:
            source.skip(element)
        wanted.discard(element.name)
        if not wanted:
            break
    return vertices, corners, sizes


def _header(data: npt.NDArray[np.uint8]) -> tuple[str, list[_Element], int]:
    """Return the encoding, the elements, and where the data begins."""
    text = data[:_MAX_HEADER].tobytes()
    if not text.startswith(b"ply"):
        raise ValueError("the first line is not 'ply'")
    encoding, elements, position = "", list[_Element](), 0
    while True:
        end = text.find(b"\n", position)
        if end < 0:
            raise ValueError("the header has no end")
        line = text[position:end].decode("latin-1")
        words = line.split()
        position = end + 1
        if words == ["end_header"]:
            break
        if not words or words[0] in ("ply", "comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) >= 2:
            encoding = words[1]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal() and len(words[2]) < 19:
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[0] == "property" and elements and len(words) == 3 and words[1] in _TYPES:
            elements[-1].properties.append(_Property(words[2], _TYPES[words[1]], None))
        elif (
            words[0] == "property" and elements and len(words) == 5 and words[1] == "list"
            and _TYPES.get(words[2]) in _STRUCT and words[3] in _TYPES
        ):  # fmt: skip
            elements[-1].properties.append(_Property(words[4], _TYPES[words[3]], _TYPES[words[2]]))
        else:
            raise ValueError(f"the header has the line {line.strip()[:60]!r}")
    if encoding not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise ValueError(f"the format is {encoding[:60]!r}")
    for element in elements:
        if len({prop.name for prop in element.properties}) != len(element.properties):
            raise ValueError(f"two properties of element {element.name} have the same name")
    return encoding, elements, position


def _index_property(element: _Element) -> int:
    """Return which of the element's lists holds the vertex indices."""
    names = [prop.name for prop in element.lists]
    for name in _INDEX_NAMES:
        if name in names:
            return names.index(name)
    if len(names) == 1:
        return 0
    raise ValueError(f"none of the faces' lists {', '.join(names)} is named vertex_indices")


def _xyz(element: _Element) -> list[int]:
    names = [prop.name if prop.count_type is None else "" for prop in element.properties]
    if not {"x", "y", "z"} <= set(names):
        raise ValueError("the vertices have no x, y and z")
    return [names.index(name) for name in "xyz"]


def _ends_early(element: _Element) -> ValueError:
    return ValueError(f"the file ends within its {element.n_rows} rows of element {element.name}")


def _tokens(data: npt.NDArray[np.uint8]) -> Floats:
    try:
        return np.fromstring(data.tobytes(), dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        raise ValueError("something other than numbers stands after the header") from None


class _Text:
    """The rows of a text file as one array of numbers, read from front to back."""

    def __init__(self, numbers: Floats) -> None:
        self.numbers = numbers
        self.position = 0

    def _take(self, element: _Element, width: int) -> Floats:
        end = self.position + element.n_rows * width
        if end > len(self.numbers):
            raise _ends_early(element)
        rows = self.numbers[self.position : end].reshape(element.n_rows, width)
        self.position = end
        return rows

    def vertices(self, element: _Element) -> Floats:
        columns = _xyz(element)
        if element.lists:
            raise ValueError("the vertices have a list property, which is not supported in text files")
        return self._take(element, len(element.properties))[:, columns].copy()

    def skip(self, element: _Element) -> None:
        if element.lists:
            self.polygons(element, 0)
        else:
            self._take(element, len(element.properties))

    def polygons(self, element: _Element, which: int) -> tuple[npt.NDArray[np.integer], Ints | None]:
        if len(element.lists) == 1:  # all rows like the first?
            before = [prop.count_type is not None for prop in element.properties].index(True)
            size = self._size(element, 0, self.position + before)
            width = len(element.properties) + size
            rows = self.numbers[self.position : self.position + element.n_rows * width]
            if len(rows) == element.n_rows * width and (rows[before::width] == size).all():
                self.position += len(rows)
                corners = _whole(rows.reshape(-1, width)[:, before + 1 : before + 1 + size])
                return (corners, None) if size == 3 else (corners.reshape(-1), np.full(element.n_rows, size))
        parts, sizes = [], []
        for row in range(element.n_rows):
            k = -1
            for prop in element.properties:
                if prop.count_type is None:
                    self.position += 1
                    continue
                k += 1
                size = self._size(element, row, self.position)
                if k == which:
                    sizes.append(size)
                    parts.append(self.numbers[self.position + 1 : self.position + 1 + size])
                self.position += 1 + size
            if self.position > len(self.numbers):
                raise _ends_early(element)
        return _whole(np.concatenate(parts)), np.array(sizes, np.int64)

    def _size(self, element: _Element, row: int, position: int) -> int:
        if position >= len(self.numbers):
            raise _ends_early(element)
        size = self.numbers[position]
        if not 0 <= size <= len(self.numbers) or size != int(size):
            raise ValueError(f"a list of element {element.name}, row {row}, has {size:g} items")
        return int(size)


def _whole(numbers: Floats) -> Ints:
    """Return indices read as text as integers; what is none becomes an index that no vertex has."""
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**62)
    return np.where(whole, numbers, -1.0).astype(np.int64)


class _Binary:
    """The rows of a binary file, read from front to back."""

    def __init__(self, data: npt.NDArray[np.uint8], order: str) -> None:
        self.data = data
        self.order = order
        self.position = 0

    def _rows(self, element: _Element, sizes: list[int]) -> npt.NDArray[np.void] | None:
        """Return the element's rows as they lie in the file, if their lists have the given sizes; None if it is too short.

        The fields are p0, p1 … for the properties, c0, c1 … for the counts of those that are lists.
        """
        fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
        remaining = iter(sizes)
        for k, prop in enumerate(element.properties):
            if prop.count_type is None:
                fields.append((f"p{k}", self.order + prop.type))
            else:
                fields.append((f"c{k}", self.order + prop.count_type))
                fields.append((f"p{k}", self.order + prop.type, (next(remaining),)))
        row_type = np.dtype(fields)
        n_bytes = element.n_rows * row_type.itemsize
        if n_bytes > len(self.data) - self.position:
            return None
        return self.data[self.position : self.position + n_bytes].view(row_type)

    def vertices(self, element: _Element) -> Floats:
        columns = _xyz(element)
        if element.lists:
            raise ValueError("the vertices have a list property, which is not supported")
        rows = self._rows(element, [])
        if rows is None:
            raise _ends_early(element)
        self.position += rows.nbytes
        vertices = np.empty((element.n_rows, 3))
        for k, column in enumerate(columns):
            vertices[:, k] = rows[f"p{column}"]
        return vertices

    def skip(self, element: _Element) -> None:
        if element.lists:
            self.polygons(element, 0)
            return
        rows = self._rows(element, [])
        if rows is None:
            raise _ends_early(element)
        self.position += rows.nbytes

    def polygons(self, element: _Element, which: int) -> tuple[npt.NDArray[np.integer], Ints | None]:
        start = self.position
        sizes = [int(n[0]) for _, n in self._lists(element, 1)]
        self.position = start
        rows = self._rows(element, sizes)
        columns = [k for k, prop in enumerate(element.properties) if prop.count_type]
        if rows is None or any((rows[f"c{k}"] != n).any() for k, n in zip(columns, sizes, strict=True)):
            return self._unequal(element, which)
        self.position += rows.nbytes  # all rows are like the first, and nothing needs copying yet
        corners = rows[f"p{columns[which]}"]
        if sizes[which] == 3:
            return corners, None
        return corners.reshape(-1), np.full(element.n_rows, sizes[which])

    def _unequal(self, element: _Element, which: int) -> tuple[npt.NDArray[np.integer], Ints]:
        item_type = np.dtype(self.order + element.lists[which].type)
        width = item_type.itemsize
        corners, sizes = [], []
        for start in range(0, element.n_rows, _BLOCK):
            begins, n = self._lists(element, min(_BLOCK, element.n_rows - start))[which]
            ends = np.cumsum(n)
            offsets = np.repeat(begins - (ends - n) * width, n) + np.arange(ends[-1]) * width
            corners.append(self.data[offsets[:, None] + np.arange(width)].view(item_type).reshape(-1))
            sizes.append(n)
        return np.concatenate(corners), np.concatenate(sizes)

    def _lists(self, element: _Element, n_rows: int) -> list[tuple[Ints, Ints]]:
        """Step over rows; return for each list where its items begin, and their numbers."""
        steps, fixed = (
            [],
            0,
        )  # per list: bytes before it, how to read its count, bytes per item, and the results
        for prop in element.properties:
            if prop.count_type is None:
                fixed += int(prop.type[1])
                continue
            count = struct.Struct(self.order + _STRUCT[prop.count_type])
            steps.append((fixed, count.unpack_from, count.size, int(prop.type[1]), list[int](), list[int]()))
            fixed = 0
        data, position = self.data.data, self.position
        try:
            for _ in range(n_rows):
                for before, read, count_size, item_size, begins, sizes in steps:
                    (n,) = read(data, position + before)
                    if n < 0:
                        raise ValueError(f"a list of element {element.name} has {n} items")
                    position += before + count_size
                    begins.append(position)
                    sizes.append(n)
                    position += n * item_size
                position += fixed
        except struct.error:
            raise _ends_early(element) from None
        if position > len(data):
            raise _ends_early(element)
        self.position = position
        return [(np.array(begins, np.int64), np.array(sizes, np.int64)) for *_, begins, sizes in steps]
