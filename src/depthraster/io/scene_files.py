"""Prepared scenes on disk: a header that says what follows, then the arrays as they lie in memory.

A file is mapped into memory when it is opened, so that the first view starts at once and several processes share one
copy. That makes it a cache, not a format for exchange: it fits this version's clusters and this kind of processor, says
so in its header, and is refused where it does not. What the arrays mean is ``scene.py``'s.

    16 bytes   b"depthraster scn", and a line feed
     8 bytes   length of the header, then 4 bytes its CRC-32, little-endian
               the header: JSON, padded with blanks to a multiple of `_ALIGNMENT` from the file's start
               the arrays, each at a multiple of `_ALIGNMENT`

The commonest change is in what is stored: raise `VERSION`.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError
from depthraster.io.files import existing_file, written_whole

__all__ = ["VERSION", "read_scene_file", "write_scene_file"]

VERSION = 3
_MAGIC = b"depthraster scn\n"
_START = struct.Struct("<QI")
_ALIGNMENT = 4096  # bytes: a page
_MOST_HEADER = 1 << 20  # bytes
_REMEDY = "prepare the scene again and save it"


def write_scene_file(
    path: str | os.PathLike[str],
    layout: Mapping[str, int],
    values: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> None:
    """Write a scene, whole or not at all.

    Parameters
    ----------
    path : str or path
        The file, replaced if it exists.
    layout : mapping of str to int
        What a reader's own constants have to equal.
    values : mapping
        Numbers and lists of numbers.
    arrays : mapping of str to array
        Any shape, C-contiguous.
    """
    entries: dict[str, Any] = {}
    at = 0  # from the end of the header
    for name, array in arrays.items():
        entries[name] = {
            "dtype": array.dtype.str, "shape": list(array.shape), "at": at, "crc32": _crc32(array),
        }  # fmt: skip
        at += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    document = {
        "version": VERSION, "byteorder": sys.byteorder, "layout": dict(layout), "values": dict(values), "arrays": entries,
        "n_bytes": at,
    }  # fmt: skip
    header = json.dumps(document).encode()
    begin = len(_MAGIC) + _START.size
    header += b" " * (-(begin + len(header)) % _ALIGNMENT)
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(_MAGIC + _START.pack(len(header), zlib.crc32(header)) + header)
        for array in arrays.values():
            file.write(_bytes(array))
            file.write(b"\0" * (-array.nbytes % _ALIGNMENT))


def read_scene_file(
    path: str | os.PathLike[str], layout: Mapping[str, int], verify: bool
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Map a scene's file into memory; return its values and its arrays, which are read-only.

    Parameters
    ----------
    path : str or path
    layout : mapping of str to int
        The reader's constants, see `write_scene_file`.
    verify : bool
        Read all of it and compare with its checksums.

    Raises
    ------
    FormatError
        The file is no scene, damaged, cut short, or of another version or kind of processor.
    OSError
        It cannot be read.
    """
    path = existing_file(path, "a file written by Scene.save")
    begin = len(_MAGIC) + _START.size
    with path.open("rb") as file:
        start = file.read(begin)
        if start[: len(_MAGIC)] != _MAGIC or len(start) < begin:
            raise FormatError(
                f"{path}: this is no prepared scene; a file written by Scene.save is needed: meshes are read with load_mesh"
            )
        n_header, crc32 = _START.unpack(start[len(_MAGIC) :])
        header = file.read(min(n_header, _MOST_HEADER))
        if len(header) != n_header or zlib.crc32(header) != crc32:
            raise FormatError(f"{path}: the header is damaged; a whole file is needed: {_REMEDY}")
        document = json.loads(header)
        _check_fits(path, document, layout)
        held, promised = path.stat().st_size, begin + n_header + document["n_bytes"]
        if held != promised:
            raise FormatError(
                f"{path}: the file has {held} bytes, its header promises {promised}; a whole file is needed: {_REMEDY}"
            )
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    arrays = {}
    for name, entry in document["arrays"].items():
        dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
        count = int(np.prod(shape))
        at = begin + n_header + entry["at"]
        array = np.frombuffer(mapped, dtype, count, at).reshape(shape) if count else np.empty(shape, dtype)
        array.flags.writeable = False
        if verify and _crc32(array) != entry["crc32"]:
            raise FormatError(f"{path}: {name} is damaged; a whole file is needed: {_REMEDY}")
        arrays[name] = array
    return document["values"], arrays


def _bytes(array: npt.NDArray[Any]) -> memoryview:
    """Return the memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data


def _crc32(array: npt.NDArray[Any]) -> int:
    return zlib.crc32(_bytes(array))


def _check_fits(path: Path, document: dict[str, Any], layout: Mapping[str, int]) -> None:
    if document["version"] != VERSION:
        raise FormatError(
            f"{path}: the scene is of version {document['version']} of its format; {VERSION} is needed: {_REMEDY}"
        )
    if document["byteorder"] != sys.byteorder:
        raise FormatError(
            f"{path}: the scene was saved by a {document['byteorder']}-endian processor; a {sys.byteorder}-endian one is "
            f"at work here: {_REMEDY}"
        )
    for name, value in layout.items():
        if document["layout"].get(name) != value:
            raise FormatError(
                f"{path}: the scene was made with {name} = {document['layout'].get(name)}; {value} is needed: {_REMEDY}"
            )
