"""Which cameras of a chunk are rendered, why the others are not, and what each one's files are called.

It only reads a `Chunk`; rendering is ``survey.py``'s. The commonest change is another reason to leave a camera out: a line
in `_reason`.
"""

from __future__ import annotations

import fnmatch
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PureWindowsPath

from depthraster.chunk import Camera, Chunk

__all__ = ["file_names", "plan"]

# Names that Windows keeps for devices, whatever follows the dot.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


def plan(
    chunk: Chunk, patterns: Iterable[str] = (), *, disabled: bool = False
) -> tuple[list[tuple[Camera, str]], list[tuple[Camera, str]]]:
    """Return the cameras to render, each with its file name, and the others, each with the reason why not.

    Parameters
    ----------
    chunk : Chunk
        The chunk.
    patterns : iterable of str
        Choose among these cameras only; among all where there are none. A pattern is a label, a label with ``*``, ``?`` and
        ``[a-z]`` as shells know them, also without folders, or the name of a photo as `Chunk.camera` finds it.
    disabled : bool
        Also choose cameras that are switched off.

    Returns
    -------
    chosen, skipped : lists of (Camera, str)
        In the chunk's order, whatever that of the patterns. File names have no suffix; see `file_names`.

    Raises
    ------
    ValueError
        A pattern that no camera fits, or a photo's name that several do.
    """
    wanted = _matching(chunk, patterns)
    chosen, skipped = [], []
    for k, (camera, name) in enumerate(zip(chunk.cameras, file_names(chunk.cameras), strict=True)):
        if wanted is not None and k not in wanted:
            continue
        reason = _reason(camera, disabled)
        if reason:
            skipped.append((camera, reason))
        else:
            chosen.append((camera, name))
    return chosen, skipped


def _reason(camera: Camera, disabled: bool) -> str:
    """Return why a camera cannot be rendered, or shall not; an empty string where it can."""
    if not camera.enabled and not disabled:
        return "disabled"
    if camera.transform is None:
        return "not aligned"
    if not camera.in_active_component:
        return "in another component"
    if camera.calibration is None:
        return "no calibration"
    return ""


def _matching(chunk: Chunk, patterns: Iterable[str]) -> set[int] | None:
    """Return the positions of the cameras that fit a pattern, or None where there are no patterns."""
    patterns = list(dict.fromkeys(patterns))
    if not patterns:
        return None
    labels = [camera.label for camera in chunk.cameras]
    places = [PureWindowsPath(label).name for label in labels]  # slashes of either kind
    by_label, by_stem = defaultdict(list), defaultdict(list)
    for k, (label, place) in enumerate(zip(labels, places, strict=True)):
        by_label[label].append(k)
        by_stem[os.path.splitext(place)[0]].append(k)
    wanted: set[int] = set()
    for pattern in patterns:
        if pattern in by_label:  # before anything else: a label may hold brackets
            wanted.update(by_label[pattern])
        elif any(sign in pattern for sign in "*?["):
            fits = re.compile(fnmatch.translate(pattern)).match
            found = {
                k
                for k, (label, place) in enumerate(zip(labels, places, strict=True))
                if fits(label) or fits(place)
            }
            if not found:
                raise ValueError(
                    f"no camera of chunk {chunk.label!r} fits {pattern!r}; the label of one of its {len(labels)} "
                    "cameras, or a pattern of labels, is needed: look them up with `depthraster info --json`"
                )
            wanted |= found
        else:
            asked = PureWindowsPath(pattern)
            found_by_stem = by_stem.get(os.path.splitext(asked.name)[0], ())
            # The only one of its name is what Chunk.camera finds, at once, if the folders agree.
            if len(found_by_stem) == 1 and _agree(
                asked.parts[:-1], PureWindowsPath(labels[found_by_stem[0]]).parts[:-1]
            ):
                wanted.update(found_by_stem)
            else:
                wanted.add(chunk.cameras.index(chunk.camera(pattern)))
    return wanted


def _agree(folders: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Return whether two paths' folders are the same from the last one on, as far as both have some."""
    n = min(len(folders), len(others))
    return folders[len(folders) - n :] == others[len(others) - n :]


def file_names(cameras: Sequence[Camera]) -> list[str]:
    """Return a file name without suffix for each camera: its label, made safe on every system and unique.

    A label that is a good file name is kept as it is. Others lose what a file name may not hold, and where two names are the
    same but for capitals, the later camera gets a number. Give all cameras of a chunk, so that a name does not depend on
    which of them are rendered.
    """
    names = [""] * len(cameras)
    taken: set[str] = set()
    for k, camera in enumerate(cameras):  # good labels first: they make way for none that has to be changed
        if _safe(camera) == camera.label and _folded(camera.label) not in taken:
            names[k] = camera.label
            taken.add(_folded(camera.label))
    counts: dict[str, int] = {}
    for k, camera in enumerate(cameras):
        safe = _safe(camera)
        count = counts.get(safe, 1)  # not from 1 each time: a million cameras may have one label
        while not names[k]:
            name = safe if count == 1 else f"{safe}_{count}"
            if _folded(name) not in taken:
                names[k] = name
                taken.add(_folded(name))
            count += 1
            counts[safe] = count
    return names


def _folded(name: str) -> str:
    """Return what file systems that ignore capitals or normalize accents compare."""
    return unicodedata.normalize("NFC", name).casefold()


def _safe(camera: Camera) -> str:
    # Control characters, also those that turn the direction of writing; lone surrogates; what Windows forbids.
    name = re.sub(
        r'[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff<>:"/\\|?*]',
        "_",
        camera.label,
    )
    name = name.encode()[:200].decode(errors="ignore")  # 255 bytes are possible, suffixes included
    name = name.strip(" ").rstrip(". ")  # Windows drops those at the end
    if name.startswith("."):
        name = "_" + name[1:]  # it would be hidden, or be the folder above
    if _RESERVED.match(name):
        name = "_" + name
    return name or f"camera_{camera.id}"
