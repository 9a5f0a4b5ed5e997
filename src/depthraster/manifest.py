"""An export's own record: what was made with which settings, so that a run that was killed can be taken up again.

A run writes each file into the hidden folder `UNFINISHED` of the output folder, notes it in the journal there, and only then
moves it into place: whatever is in the output folder is whole and known, and what is not noted is not ours. At the end the
journal becomes ``manifest.json``. What a record says of an image is ``survey.py``'s. The commonest change is another fact
that must agree before an export is taken up: a key of the header, and of `_SAME`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError
from depthraster.io.files import written_whole

__all__ = ["INDEX", "MANIFEST", "Export", "fingerprint", "refuse_present", "sha256"]

MANIFEST, INDEX, UNFINISHED = "manifest.json", "index.html", ".unfinished"
_JOURNAL = "journal.jsonl"
# What of the header must agree for an export to be taken up again: other images would be made otherwise.
_SAME = ("version", "chunk", "mesh", "settings")
_PIECE = 1 << 20  # bytes read at a time

Record = dict[str, Any]


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def fingerprint(*arrays: npt.NDArray[Any]) -> str:
    """Return a SHA-256 of arrays: their values, types and shapes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def refuse_present(folder: Path, paths: Iterable[str]) -> None:
    """Raise FileExistsError where a folder holds one of the files already, or an export, finished or not."""
    if (folder / UNFINISHED / _JOURNAL).exists():
        raise FileExistsError(
            f"{folder} holds an export that was not finished; nothing is replaced unasked: pass --resume to go on with it, "
            "--overwrite to begin anew, or choose another folder"
        )
    present = [path for path in (*paths, MANIFEST, INDEX) if os.path.lexists(folder / path)]
    if present:
        more = f" and {len(present) - 1} more files of the same names" if len(present) > 1 else ""
        raise FileExistsError(
            f"{folder} already holds {present[0]}{more}; nothing is replaced unasked: choose another folder, or pass "
            "--overwrite, or --resume to keep what is finished"
        )


class Export:
    """The images of one folder while they are made.

    Parameters
    ----------
    folder : Path
        An existing folder.
    header : dict
        Of what and how the images are made; JSON values, the same after a round trip.
    resume : bool
        Keep what an earlier run with the same header left here.

    Raises
    ------
    ValueError
        The earlier run had another header.
    FormatError
        The earlier run's manifest is damaged.
    FileExistsError
        Another run is at work in the folder.
    """

    def __init__(self, folder: Path, header: dict[str, Any], *, resume: bool = False) -> None:
        self.folder = folder
        self.header = header
        self.records: dict[str, Record] = {}
        self._partial = folder / UNFINISHED
        self._lock = threading.Lock()
        self._replaced: list[str] = []  # files of the export that this one takes the place of
        self._claim = _claim(folder)
        try:
            if resume:
                for found, records in self._earlier():
                    self._check_same(found)
                    self.records.update({record["name"]: record for record in records})
            else:
                self._replaced = self._listed()
                for name in (MANIFEST, INDEX):
                    (folder / name).unlink(missing_ok=True)
            self._begin()
        except BaseException:
            self._let_go()
            raise

    def _earlier(self) -> list[tuple[dict[str, Any], list[Record]]]:
        """Return the headers and records of a finished run and of one that was not."""
        found = []
        manifest, journal = self.folder / MANIFEST, self._partial / _JOURNAL
        try:
            if manifest.exists():
                content = json.loads(manifest.read_text("utf-8"))
                found.append(({key: content[key] for key in _SAME}, content["images"]))
            if journal.exists():
                # A last line without its end was being written when the run was killed.
                header, *records = [json.loads(line) for line in journal.read_text("utf-8").split("\n")[:-1]]
                found.append(({key: header[key] for key in _SAME}, records))
            for _, records in found:
                for record in records:
                    if not (isinstance(record["name"], str) and isinstance(record["files"], list)):
                        raise ValueError("a record has no name or no files")
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(
                f"{self.folder}: its manifest or journal is damaged ({error}); one that this program wrote is needed: pass "
                "--overwrite instead of --resume, or choose another folder"
            ) from None
        return found

    def _listed(self) -> list[str]:
        """Return the paths of the files that the manifest names; none where there is no manifest to be read."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads((self.folder / MANIFEST).read_text("utf-8"))
            return [str(file["path"]) for record in content["images"] for file in record["files"]]
        return []

    def left_over(self) -> list[str]:
        """Return which files of the export that this one replaced are in the folder still, and belong to none now."""
        return self.foreign(dict.fromkeys(self._replaced))

    def _check_same(self, found: dict[str, Any]) -> None:
        for key in _SAME:
            old, new = found[key], self.header[key]
            if old == new:
                continue
            if isinstance(old, dict) and isinstance(new, dict):
                part = next(name for name in (*new, *old) if old.get(name) != new.get(name))
                key, old, new = f"{key} {part}", old.get(part), new.get(part)
            raise ValueError(
                f"{self.folder}: the images there were made with {key} {old!r} and not {new!r}; the same is needed to "
                "resume: choose another folder, or pass --overwrite instead of --resume"
            )

    def _begin(self) -> None:
        """Begin a journal with what is kept, and clear away what a killed run left half done."""
        if self._partial.is_symlink():  # clearing it away would clear something elsewhere
            raise FileExistsError(
                f"{self._partial} is a link; a folder of our own is needed there: remove the link, or choose another folder"
            )
        self._partial.mkdir(exist_ok=True)
        self._is_noted = bool(self.records)  # whether the journal says more than how it began
        with written_whole(self._partial / _JOURNAL) as temporary:
            lines = [self.header, *self.records.values()]
            temporary.write_text("".join(_line(value) for value in lines), encoding="utf-8", newline="\n")
        for path in self._partial.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != _JOURNAL:
                path.unlink()
        self._journal = (self._partial / _JOURNAL).open("a", encoding="utf-8", newline="\n")

    def foreign(self, paths: Iterable[str]) -> list[str]:
        """Return which of the files are in the folder and not known to be this export's."""
        known = {file["path"] for record in self.records.values() for file in record["files"]}
        return [path for path in paths if path not in known and os.path.lexists(self.folder / path)]

    def keep(self, wanted: Sequence[Record], threads: int) -> set[str]:
        """Return the names of images that are finished: records agree, and each file is whole; forget the other ones.

        Parameters
        ----------
        wanted : sequence of dict
            What the record of each must say at least.
        threads : int
            Files are read by so many threads.
        """

        def is_whole(record: Record) -> bool:
            old = self.records.get(record["name"])
            if old is None or any(old.get(key) != value for key, value in record.items()):
                return False
            return all(self._is_whole(file) for file in old["files"])

        with ThreadPoolExecutor(threads) as pool:
            whole = list(pool.map(is_whole, wanted))
        for record, good in zip(wanted, whole, strict=True):
            if not good:
                self.records.pop(record["name"], None)
        return {record["name"] for record, good in zip(wanted, whole, strict=True) if good}

    def _is_whole(self, file: dict[str, Any]) -> bool:
        path = self.folder / file["path"]
        try:
            return bool(path.stat().st_size == file["bytes"]) and sha256(path) == file["sha256"]
        except OSError:
            return False

    def write(self, path: str, save: Callable[[Path], None]) -> dict[str, Any]:
        """Have a file of an image written, out of sight as yet, and return what the record says of it."""
        place = self._partial / path
        place.parent.mkdir(exist_ok=True)
        save(place)
        return {"path": path, "bytes": place.stat().st_size, "sha256": sha256(place)}

    def add(self, record: Record) -> None:
        """Note an image whose files are all written, and move them into place."""
        # Noted first: after a kill, a file in the folder that is not noted is somebody else's.
        with self._lock:
            self._is_noted = True
            self._journal.write(_line(record))
            self._journal.flush()
        for file in record["files"]:
            self._move(file["path"])
        self.records[record["name"]] = record

    def _move(self, path: str) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True)
        os.replace(self._partial / path, self.folder / path)

    def finish(
        self,
        order: Iterable[str],
        more: dict[str, Any],
        write_index: Callable[[Path, dict[str, Any]], None],
    ) -> None:
        """Write the manifest and the index, and clear the journal away.

        Parameters
        ----------
        order : iterable of str
            Names of images in the order wanted; images that it does not name follow.
        more : dict
            What else the manifest says.
        write_index : callable
            Writes the index to the path, from the manifest's content.
        """
        names = [name for name in dict.fromkeys((*order, *self.records)) if name in self.records]
        content = {**self.header, **more, "images": [self.records[name] for name in names]}
        self._journal.close()
        write_index(self._partial / INDEX, content)
        (self._partial / MANIFEST).write_text(_readable(content), encoding="utf-8", newline="\n")
        self._move(INDEX)
        self._move(MANIFEST)
        shutil.rmtree(self._partial)

    def close(self) -> None:
        """Let go of the folder; what is finished stays, to be resumed. Where nothing is, no trace does."""
        self._journal.close()
        if not self._is_noted:
            shutil.rmtree(self._partial, ignore_errors=True)
        self._let_go()

    def _let_go(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def _claim(folder: Path) -> int | None:
    """Keep other runs off a folder: return a descriptor that does as long as it is open, however the process ends.

    None where the system has no such lock for folders (Windows, some network drives): there two runs disturb each other.
    """
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FileExistsError(
            f"{folder}: another run is writing there; a folder for each is needed: wait for it to end, or choose another"
        ) from None
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _line(value: Any) -> str:
    return json.dumps(value, allow_nan=False) + "\n"


def _readable(content: dict[str, Any]) -> str:
    """Return JSON with a line for each value, and for each item of a list of objects."""
    lines = []
    for key, value in content.items():
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(json.dumps(item, allow_nan=False) for item in value) + "\n ]"
        else:
            text = json.dumps(value, allow_nan=False)
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
