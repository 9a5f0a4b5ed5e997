"""`Document`: a project or cameras file that is open.

Files are ``io``'s; nothing is ever written to a project. The commonest change is another method that adds or finds chunks.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from depthraster.io.metashape_project import load_chunks
from depthraster.metashape.base import Facade
from depthraster.metashape.chunk import Chunk

__all__ = ["Document"]


class Document(Facade):
    """A project: its chunks, one of which is active.

    Attributes
    ----------
    read_only : bool
        Whether it was opened for reading only; it can be set, and nothing is ever written to a project.
    """

    __slots__ = ("_chunk", "_chunks", "_originals", "_path", "read_only")
    read_only: bool

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Make it a document of no file and no chunks."""
        self._chunks: list[Chunk] = []
        self._chunk: Chunk | None = None
        self._originals: list[Any] = []
        self._path = ""
        self.read_only = False

    def open(
        self,
        path: str | os.PathLike[str],
        read_only: bool = False,
        ignore_lock: bool = False,
        archive: bool = True,
    ) -> None:
        """Open a project, ``.psx`` or ``.psz``, or a cameras file; what was open before is closed.

        A cameras file has no model: see `Chunk.importModel`. The lock of an open project is not looked at.
        """
        chunks = load_chunks(path)
        self.clear()
        self._path = os.fspath(path)
        self.read_only = bool(read_only)
        self._originals = list(chunks)
        self._chunks = [Chunk(chunk) for chunk in chunks]
        active = [number for number, chunk in enumerate(chunks) if chunk.active]
        self._chunk = self._chunks[active[0] if active else 0]

    @property
    def path(self) -> str:
        """The file; empty where none is open."""
        return self._path

    @property
    def chunks(self) -> list[Chunk]:
        """Its chunks."""
        return list(self._chunks)

    @property
    def chunk(self) -> Chunk | None:
        """The active chunk; None where there are none."""
        return self._chunk

    @chunk.setter
    def chunk(self, chunk: Chunk) -> None:
        if chunk not in self._chunks:
            raise ValueError(
                f"{chunk!r} is not in the document; one of document.chunks is needed: choose one"
            )
        self._chunk = chunk

    def addChunk(self) -> Chunk:
        """Return a new chunk, which is active if it is the first."""
        self._chunks.append(Chunk())
        self._chunks[-1].label = f"Chunk {len(self._chunks)}"
        if self._chunk is None:
            self._chunk = self._chunks[-1]
        return self._chunks[-1]

    def findChunk(self, key: int) -> Chunk | None:
        """Return the chunk with a key, or None."""
        return next((chunk for chunk in self._chunks if chunk.key == key), None)

    def remove(self, items: Chunk | Iterable[Chunk]) -> None:
        """Take chunks out of the document; the file stays as it is."""
        for chunk in [items] if isinstance(items, Chunk) else list(items):
            self._chunks.remove(chunk)
            if chunk is self._chunk:
                self._chunk = self._chunks[0] if self._chunks else None

    @property
    def modified(self) -> bool:
        """Whether something is other than in the file."""
        now = [chunk.as_value() for chunk in self._chunks]
        imported = any(len(chunk._models) != len(chunk._value.models) for chunk in self._chunks)
        return imported or not _same(now, self._originals)

    def save(self, path: str | os.PathLike[str] = "") -> None:
        """Do nothing where nothing was changed; else say that projects are not written."""
        if os.fspath(path) not in ("", self._path) or self.modified:
            raise ValueError(
                f"{os.fspath(path) or self._path or 'a document'!r} was to be saved, with changes or under another name; "
                "depthraster.metashape writes no projects: write cameras with Chunk.exportCameras, or save in Metashape"
            )


def _same(a: Any, b: Any) -> bool:
    """Return whether two frozen values are the same, arrays and what they hold included."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if dataclasses.is_dataclass(a) and type(a) is type(b):
        return all(_same(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a))
    return bool(a == b)
