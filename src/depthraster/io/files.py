"""Files that are written whole or not at all, and a word on those that are to be read and are not there.

`written_whole` is the one way in which the library writes a file; what is written is the caller's. The
commonest change is what happens to a file that is there already: before the temporary file is made.
"""

from __future__ import annotations

import difflib
import errno
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["existing_file", "written_whole"]

_NAMED = 3  # files of a folder that are named
_ALIKE = 0.7  # names this similar may be meant; difflib's measure


def existing_file(path: str | os.PathLike[str], needed: str, suffixes: Collection[str] = ()) -> Path:
    """Return the path of a file that is to be read.

    Parameters
    ----------
    path : str or path
        What the user named.
    needed : str
        What it should be, with an article: ``a mesh file``.
    suffixes : collection of str
        What the names of such files end in, small and with the dot; any where there are none.

    Raises
    ------
    OSError
        There is no such file, or a folder; the message says which file may be meant.
    """
    path = Path(path)
    if path.is_dir():
        inside = [name for name in _names(path) if not suffixes or name.lower().endswith(tuple(suffixes))]
        meant = f"name the file, such as {', '.join(inside[:_NAMED])}" if inside else "name one"
        raise IsADirectoryError(
            errno.EISDIR, f"this is a folder; {needed} is needed: {meant}", os.fspath(path)
        )
    if not os.path.lexists(path):
        alike = difflib.get_close_matches(path.name, _names(path.parent), n=1, cutoff=_ALIKE)
        meant = f"is {alike[0]} meant, which is there?" if alike else "check the path"
        raise FileNotFoundError(
            errno.ENOENT, f"there is no such file; {needed} is needed: {meant}", os.fspath(path)
        )
    return path


def _names(folder: Path) -> list[str]:
    """Return the names in a folder in order, those that can be shown; none where it cannot be read."""
    try:
        return sorted(name for name in os.listdir(folder) if name.isprintable() and name[0] != ".")
    except OSError:
        return []


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, and move the file into place when that went well.

    The temporary file lies in the same folder, so that the move is one step, and has the same suffix. Whatever goes
    wrong, an interrupt included, it is removed and what was at ``path`` stays as it was. A file that was there is
    replaced; through a symbolic link, the file that it points to.

    Parameters
    ----------
    path : str or path
        The file to be written; its folder must exist.

    Yields
    ------
    Path
        An empty file with the permissions of new files, to be written within the ``with`` block and closed there.

    Raises
    ------
    OSError
        The folder is missing or cannot be written to, ``path`` is a folder or a device, or the move fails.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, "this is a folder; a file is to be written there: choose another name", str(path)
        )
    if target.exists() and not target.is_file():  # moving a file over a device would destroy it
        raise OSError(
            errno.EINVAL,
            "this is no regular file; one is to be written there: choose another name",
            str(path),
        )
    temporary = target.parent / f".{secrets.token_hex(8)}{target.suffix}"
    try:
        # Not tempfile: its files are closed to all but their owner, and stay so after the move.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(
            error.errno,
            f"{reason}; a folder that can be written to is needed: make it, or choose another",
            str(target.parent),
        ) from None
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
