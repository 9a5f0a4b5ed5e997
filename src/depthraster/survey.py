"""A whole chunk to files: one depth image and one preview per camera, written while the next is rendered.

It keeps the processors busy; which cameras is ``selection.py``'s, rendering is ``render.py``'s, file
formats are ``io``'s, talking to people is ``cli``'s. The commonest change is another file per camera: written in `_write`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from depthraster.chunk import Camera
from depthraster.io.images import save_image, save_preview
from depthraster.render import render_depth
from depthraster.scene import Scene, thread_count

__all__ = [
    "EXPECTED_ERRORS",
    "CameraFiles",
    "render_cameras",
    "targets",
]

# What input and disks can cause; anything else is our mistake.
EXPECTED_ERRORS = (ValueError, OSError, MemoryError)

# Compressing an image takes longer than rendering it; more writers would only hold more images in memory.
_WRITERS = 2


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
