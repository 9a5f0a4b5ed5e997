"""A whole chunk to files: one depth image and one preview per camera, written while the next is rendered.

It chooses the cameras and the names of the files and keeps the processors busy; rendering is
``render.py``'s, file formats are ``io``'s, talking to people is ``cli.py``'s. The commonest change is
another file per camera: written in `_write`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from depthraster.chunk import Camera, Chunk
from depthraster.io.images import save_image, save_preview
from depthraster.render import render_depth
from depthraster.scene import Scene, thread_count

__all__ = [
    "EXPECTED_ERRORS",
    "CameraFiles",
    "file_names",
    "plan",
    "render_cameras",
    "targets",
]

# What input and disks can cause; anything else is our mistake.
EXPECTED_ERRORS = (ValueError, OSError, MemoryError)

# Compressing an image takes longer than rendering it; more writers would only hold more images in memory.
_WRITERS = 2
# Names that Windows keeps for devices, whatever follows the dot.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class CameraFiles:
    """What became of one camera.

    Attributes
    ----------
    camera : Camera
        The camera.
    depth_path, preview_path : Path
        The files, written whole unless there is an error.
    coverage : float
        Share of the pixels in which a face is seen, 0 ... 1.
    near, far : float
        Least and greatest depth seen, chunk units; NaN where nothing is seen.
    error : Exception or None
        Why the camera could not be rendered or written.
    """

    camera: Camera
    depth_path: Path
    preview_path: Path
    coverage: float = 0.0
    near: float = float("nan")
    far: float = float("nan")
    error: Exception | None = None


def plan(
    chunk: Chunk, labels: Sequence[str] = ()
) -> tuple[list[tuple[Camera, str]], list[tuple[Camera, str]]]:
    """Return the cameras to render, each with its file name, and the others, each with the reason why not.

    Parameters
    ----------
    chunk : Chunk
        The chunk.
    labels : sequence of str
        Choose among the cameras with these labels only; all cameras where there are none.

    Raises
    ------
    ValueError
        A label that no camera has.
    """
    for label in labels:
        if all(camera.label != label for camera in chunk.cameras):
            raise ValueError(
                f"no camera of chunk {chunk.label!r} is labelled {label!r}; the label of one of its "
                f"{len(chunk.cameras)} cameras is needed: look it up in the cameras file"
            )
    chosen, skipped = [], []
    for camera, name in zip(chunk.cameras, file_names(chunk.cameras), strict=True):
        if labels and camera.label not in labels:
            continue
        if not camera.enabled:
            skipped.append((camera, "disabled"))
        elif camera.transform is None:
            skipped.append((camera, "not aligned"))
        elif camera.calibration is None:
            skipped.append((camera, "no calibration"))
        else:
            chosen.append((camera, name))
    return chosen, skipped


def file_names(cameras: Sequence[Camera]) -> list[str]:
    """Return a file name without suffix for each camera: its label, made safe on every system and unique.

    A label that is a good file name is kept as it is. Others lose what a file name may not hold, and where
    two names are the same but for capitals, the later camera gets a number. Give all cameras of a chunk, so
    that a name does not depend on which of them are rendered.
    """
    names = [""] * len(cameras)
    taken: set[str] = set()
    for k, camera in enumerate(cameras):  # good labels first: they make way for none that has to be changed
        if _safe(camera) == camera.label and _folded(camera.label) not in taken:
            names[k] = camera.label
            taken.add(_folded(camera.label))
    for k, camera in enumerate(cameras):
        count = 1
        while not names[k]:
            name = _safe(camera) if count == 1 else f"{_safe(camera)}_{count}"
            if _folded(name) not in taken:
                names[k] = name
                taken.add(_folded(name))
            count += 1
    return names


def _folded(name: str) -> str:
    """Return what file systems that ignore capitals or normalize accents compare."""
    return unicodedata.normalize("NFC", name).casefold()


def _safe(camera: Camera) -> str:
    name = re.sub(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]', "_", camera.label)
    name = name.encode()[:200].decode(errors="ignore")  # 255 bytes are possible, suffixes included
    name = name.strip(" ").rstrip(". ")  # Windows drops those at the end
    if name.startswith("."):
        name = "_" + name[1:]  # it would be hidden, or be the folder above
    if _RESERVED.match(name):
        name = "_" + name
    return name or f"camera_{camera.id}"


def targets(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the paths of a camera's depth image and of its preview."""
    return folder / f"{name}.tif", folder / f"{name}.png"


def render_cameras(
    scene: Scene,
    cameras: Iterable[tuple[Camera, str]],
    folder: Path,
    *,
    cull_faces: bool = True,
    add_alpha: bool = False,
    background: float = 0.0,
    depth: Literal["z", "range"] | None = None,
    threads: int | None = None,
) -> Iterator[CameraFiles]:
    """Render cameras one after the other into a folder, and yield what became of each, in order.

    Each camera gets ``<name>.tif``, float32, and ``<name>.png``, 8 bit. They are written in other threads
    while the next cameras are rendered; few images are held in memory at a time. A camera that fails is
    yielded with its error, and the others go on.

    Parameters
    ----------
    scene : Scene
        The mesh, in the chunk's frame.
    cameras : iterable of (Camera, str)
        Aligned cameras with a calibration, and the names of their files without suffix, as from `plan`.
    folder : Path
        An existing folder. Files of these names in it are replaced.
    add_alpha : bool
        Write a second channel to the TIFF: 1.0 where a face is seen, 0.0 elsewhere.
    cull_faces, background, depth, threads
        As for `render_depth`.

    Yields
    ------
    CameraFiles
    """
    writers = min(_WRITERS, thread_count(threads))
    pending: deque[Future[CameraFiles]] = deque()
    pool = ThreadPoolExecutor(writers)
    try:
        for camera, name in cameras:
            files = CameraFiles(camera, *targets(folder, name))
            assert camera.transform is not None  # `plan` has seen to that
            assert camera.calibration is not None
            try:
                image = render_depth(
                    scene, camera.transform, camera.calibration, cull_faces,
                    background=background, depth=depth, threads=threads,
                )  # fmt: skip
            except EXPECTED_ERRORS as error:
                pending.append(_done(replace(files, error=error)))
            else:
                pending.append(pool.submit(_write, files, image, add_alpha))
                del image  # the writer has it; it goes when written, not when the next one is there
            while len(pending) > writers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _done(files: CameraFiles) -> Future[CameraFiles]:
    future: Future[CameraFiles] = Future()
    future.set_result(files)
    return future


def _write(files: CameraFiles, image: npt.NDArray[np.float32], add_alpha: bool) -> CameraFiles:
    depth, seen = image[..., 0], image[..., 1] > 0
    try:
        save_image(files.depth_path, image if add_alpha else depth)
        save_preview(files.preview_path, depth, seen)
    except EXPECTED_ERRORS as error:
        return replace(files, error=error)
    values = depth[seen]
    if not len(values):
        return files
    return replace(files, coverage=len(values) / seen.size, near=float(values.min()), far=float(values.max()))
