"""OBJ files to vertices and polygons.

Read here and not by trimesh, which renumbers vertices where there are texture coordinates, reorders faces by material,
counts negative indices from the end of the file instead of from the face, and skips faces that it cannot read. Cutting
polygons and judging the mesh are ``meshes.py``'s. Only ``v`` and ``f`` lines matter for depth; the others are passed
over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.io.polygons import Floats, Ints

__all__ = ["read_obj"]

Bytes = npt.NDArray[np.uint8]

# Bytes of text that are taken apart at a time: whole-array operations, and temporary arrays that stay in the cache.
_BLOCK = 1 << 17
_NEWLINE, _RETURN, _SPACE, _HASH, _SLASH, _BACKSLASH, _V, _F = (ord(character) for character in "\n\r #/\\vf")


class _Words(NamedTuple):
    """The words of a text: what stands between white space."""

    starts: Ints  # where each begins
    number: npt.NDArray[np.int32]  # (bytes of text) which word each byte belongs to, or follows
    line: Ints  # which line each stands in
    place: Ints  # which word of its line each is, from 0
    kind: Bytes  # the first word of its line, if that is a single letter, or 0
    n_lines: int


def read_obj(data: Bytes) -> tuple[Floats, Ints, Ints]:
    """Read an OBJ file.

    Parameters
    ----------
    data : (n,) uint8 array
        The whole file, e.g. mapped.

    Returns
    -------
    vertices : (V, 3) float64 array
    corners : (N,) int64 array
        Vertex indices from 0, in the file's order; one that names no vertex is negative or V and more.
    sizes : (P,) int64 array
        Corners of each face.

    Raises
    ------
    ValueError
        A line that cannot be read; the message has its number.
    """
    vertices, corners, sizes = [np.empty((0, 3))], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    n_vertices = n_lines = 0
    for text in _blocks(data):
        words = _words(text)
        points = np.flatnonzero((words.kind == _V) & (words.place >= 1) & (words.place <= 3))  # no colours
        references = np.flatnonzero((words.kind == _F) & (words.place >= 1))
        v, f = (words.line[(words.kind == letter) & (words.place == 0)] for letter in (_V, _F))
        coordinates = _numbers(text, words, points, np.float64)
        indices = _numbers(text, words, references, np.int64)
        if len(coordinates) != 3 * len(v) or len(indices) != len(references) or (indices == 0).any():
            raise _unreadable(text, n_lines)
        # A negative index counts back from the vertices that stand before the face.
        before = n_vertices + np.searchsorted(v, words.line[references])
        back = np.where(-indices <= before, before + indices, -1)
        corners.append(np.where(indices > 0, indices - 1, back))
        sizes.append(np.bincount(words.line[references], minlength=words.n_lines)[f])
        vertices.append(coordinates.reshape(-1, 3))
        n_vertices += len(v)
        n_lines += words.n_lines
    return np.concatenate(vertices), np.concatenate(corners), np.concatenate(sizes)


def _blocks(data: Bytes) -> Iterator[Bytes]:
    """Yield the text in pieces of whole lines, comments and continued lines made blank."""
    start = 3 if data[:3].tobytes() == b"\xef\xbb\xbf" else 0  # the byte-order mark that some editors write
    head = data[:_BLOCK]
    old_macintosh = not (head == _NEWLINE).any() and (head == _RETURN).any()
    while start < len(data):
        length = _BLOCK
        while True:
            text = data[start : start + length].copy()
            if start + length >= len(data):
                text = np.append(text, np.uint8(_NEWLINE))
            if old_macintosh:  # its lines end with a carriage return only
                text[text == _RETURN] = _NEWLINE
            ends = np.flatnonzero(text == _NEWLINE)
            last = text[np.maximum(ends - 1, 0)]
            last = np.where(last == _RETURN, text[np.maximum(ends - 2, 0)], last)
            whole = ends[last != _BACKSLASH]
            if len(whole) or start + length >= len(data):
                break
            length *= 2
        text = text[: whole[-1] + 1] if len(whole) else text
        start += len(text)
        continued = ends[(last == _BACKSLASH) & (ends < len(text))]
        for k in (0, 1, 2) if len(continued) else ():  # backslash, return, newline
            at = np.maximum(continued - k, 0)
            text[at[np.isin(text[at], (_BACKSLASH, _RETURN, _NEWLINE))]] = _SPACE
        if (text == _HASH).any():
            at = np.arange(len(text))
            hashes = np.maximum.accumulate(np.where(text == _HASH, at, -1))
            newlines = np.maximum.accumulate(np.where(text == _NEWLINE, at, -1))
            text[hashes > newlines] = _SPACE
        yield text


def _words(text: Bytes) -> _Words:
    blank = text <= _SPACE
    begins = ~blank
    begins[1:] &= blank[:-1]
    starts = np.flatnonzero(begins)
    newlines = np.flatnonzero(text == _NEWLINE)
    line = np.searchsorted(newlines, starts)
    heads = np.ones(len(starts), bool)
    heads[1:] = line[1:] != line[:-1]
    order = np.arange(len(starts))
    head = np.maximum.accumulate(np.where(heads, order, 0)) if len(starts) else order
    single = np.where(blank[starts + 1], text[starts], 0).astype(np.uint8)  # the text ends with a newline
    number = np.cumsum(begins, dtype=np.int32) - np.int32(1)
    return _Words(starts, number, line, order - head, single[head], len(newlines))


def _numbers(text: Bytes, words: _Words, chosen: Ints, kind: type[np.generic]) -> npt.NDArray[Any]:
    """Return the numbers that some words begin with, up to a slash; fewer where one is none."""
    if not len(chosen):
        return np.empty(0, kind)
    keep = np.zeros(len(words.starts), bool)
    keep[chosen] = True
    # What lies before the first word or between words is blank already.
    kept = keep[words.number]
    if (text == _SLASH).any():
        slashes = np.maximum.accumulate(np.where(text == _SLASH, np.arange(len(text)), -1))
        kept &= slashes < words.starts[words.number]
    try:
        return np.fromstring(np.where(kept, text, _SPACE).astype(np.uint8).tobytes(), dtype=kind, sep=" ")
    except (ValueError, DeprecationWarning):
        return np.empty(0, kind)


def _unreadable(text: Bytes, n_lines: int) -> ValueError:
    """Return what is wrong with the first line that cannot be read."""
    for number, line in enumerate(text.tobytes().decode("latin-1").split("\n"), n_lines + 1):
        head, *rest = line.split() or [""]
        try:
            if head == "v" and len([float(word) for word in rest[:3]]) < 3:
                return ValueError(f"line {number}, {line.strip()[:60]!r}, has fewer than three coordinates")
            if head == "f" and 0 in [int(word.split("/")[0]) for word in rest]:
                return ValueError(f"line {number} names vertex 0, and vertices are counted from 1")
        except ValueError:
            return ValueError(f"line {number} is {line.strip()[:60]!r}")
    return ValueError(f"something other than numbers stands in lines {n_lines + 1} and after")
