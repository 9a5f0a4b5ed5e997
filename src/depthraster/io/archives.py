"""Zip files from strangers: members read by name into memory, within bounds, and never unpacked to disk.

Names that lead out of the archive, symbolic links, archives that promise far more than they hold, and damaged ones are
refused in a sentence each. What the members mean is the caller's. The commonest change is a bound: the constants below.
"""

from __future__ import annotations

import errno
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError

__all__ = ["Archive", "leads_out"]

# Documents of real projects unpack to 30 times their size, meshes to 3 times. Deflate itself stops at 1030.
_MAX_RATIO = 200
_FREE = 1 << 26  # bytes that a member may have whatever the ratio: 64 MiB fill no memory
_MAX_BYTES = 1 << 36  # 64 GiB, more than any mesh that can be rendered
_BLOCK = 1 << 20

# What damaged data raises: of zipfile, of what it calls, and of a file that ends early.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip
_AGAIN = "copy the project again, or save it again in Metashape"


class Archive:
    """A zip file, open for reading; to be used in a ``with`` block.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    path : Path
        The file.
    names : frozenset of str
        Its members.

    Raises
    ------
    FormatError
        It is no zip file or a damaged one, or a member's name leads out of it.
    OSError
        The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_file():  # a pipe would keep us waiting for ever
            raise FormatError(f"{path}: this is no regular file; a zip archive is needed: {_AGAIN}")
        if path.exists() and path.stat().st_size == 0:
            raise FormatError(f"{path}: the file is empty; a zip archive is needed: {_AGAIN}")
        with _damage_told(f"{path}: not read as a zip archive"):
            self._zip = zipfile.ZipFile(path)
        self._members: dict[str, zipfile.ZipInfo | None] = {}
        for info in self._zip.infolist():
            if leads_out(info.orig_filename):
                self._zip.close()
                raise FormatError(
                    f"{path}: the member {info.orig_filename[:80]!r} leads out of the archive; names within it are needed: "
                    f"{_AGAIN}, and do not unpack this one"
                )
            self._members[info.filename] = None if info.filename in self._members else info
        self.names = frozenset(self._members)

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._zip.close()

    def open(self, name: str) -> io.BufferedReader:
        """Open a member for reading; FormatError if there is none, or if reading it is not safe."""
        info, where = self._checked(name), f"{self.path}: {name!r} is damaged"
        with _damage_told(where):
            return io.BufferedReader(_Member(self._zip.open(info), where), _BLOCK)

    def read(self, name: str) -> npt.NDArray[np.uint8]:
        """Return a member's content as a (n,) uint8 array; errors as `open`."""
        size = self._checked(name).file_size
        content = np.empty(size, np.uint8)
        with self.open(name) as member:
            n_read = member.readinto(content.data)
        if n_read != size:
            raise _damaged(f"{self.path}: {name!r} is damaged", f"{n_read} of {size} bytes are there")
        return content

    def _checked(self, name: str) -> zipfile.ZipInfo:
        where = f"{self.path}: {name!r}"
        if name not in self._members:
            raise FormatError(f"{where} is not in the archive; a whole archive is needed: {_AGAIN}")
        info = self._members[name]
        if info is None:
            raise FormatError(f"{where} is in the archive twice; one is needed: {_AGAIN}")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise FormatError(f"{where} is a symbolic link; a file with content is needed: {_AGAIN}")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            what = "encrypted" if info.flag_bits & 1 else f"compressed by method {info.compress_type}"
            raise FormatError(f"{where} is {what}; a plain or deflated member is needed: {_AGAIN}")
        if info.compress_size > self.path.stat().st_size:
            raise _damaged(f"{where} is damaged", f"{info.compress_size} bytes are promised")
        bound = min(_MAX_BYTES, max(_FREE, _MAX_RATIO * info.compress_size))
        if info.file_size > bound:
            raise FormatError(
                f"{where} claims to hold {info.file_size} bytes in {info.compress_size}, which is a mistake or an attack; "
                f"at most {bound} are possible: {_AGAIN}"
            )
        return info


class _Member(io.RawIOBase):
    """A member's content whose damage is told in our words; zipfile gives no more than the size promised."""

    def __init__(self, member: IO[bytes], found: str) -> None:
        self._member = member
        self._found = found

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the narrower type is what we are given
        with _damage_told(self._found):
            data = self._member.read(min(len(buffer), _BLOCK))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._member.close()
        super().close()


def leads_out(name: str) -> bool:
    """Return whether a relative path may lead out of where it belongs: absolute, with a drive, or with ``..`` in it."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or name.startswith(("/", "\\")) or parts[0].endswith(":")


@contextmanager
def _damage_told(found: str) -> Iterator[None]:
    """Say what damaged data raises in our words, which begin with what was found."""
    try:
        yield
    except _DAMAGE as error:
        raise _damaged(found, error) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # which is an offset before the file's beginning
            raise
        raise _damaged(found, error.strerror) from None


def _damaged(found: str, why: object) -> FormatError:
    return FormatError(f"{found} ({why}); a whole archive is needed: {_AGAIN}")
