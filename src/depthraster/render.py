"""A scene, a camera's place and its calibration in, images out: what callers pass is checked here.

How an image comes about is ``pipeline.py``'s; preparing meshes is ``scene.py``'s, describing layers ``layers.py``'s.

The commonest change is a new image per view: an output array here, a field of ``pipeline.Images``, written by
``kernels/resolve.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.layers import Layers, checked_layers, normal_layer
from depthraster.pipeline import Images, draw_images
from depthraster.scene import Scene, thread_count
from depthraster.transforms import check_transform

__all__ = ["render", "render_depth"]


def render_depth(
    mesh: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    cull_faces: bool = True,
    add_alpha: bool = True,
    *,
    background: float = 0.0,
    depth: Literal["z", "range"] | None = None,
    threads: int | None = None,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Render the depth of a mesh as a calibrated camera sees it.

    Parameters
    ----------
    mesh : Scene, trimesh.Trimesh, (vertices, faces) pair, or path
        The mesh, in the chunk's frame. A `Scene` is prepared already; for several views of one mesh make it
        once.
    transform : (4, 4) array of float
        Camera to chunk (``chunk_from_camera``), camera axes X right, Y down, Z forward; a rotation and a
        translation, with a scale if need be. Depth is measured after its inverse, used as given.
    calibration : Calibration
        The lens and the size of the image.
    cull_faces : bool
        Leave out faces turned away: those for which ``dot(cross(v1 - v0, v2 - v0), C - v0) <= 0``, C the
        camera's centre.
    add_alpha : bool
        Add a second channel: 1.0 where a face is seen, 0.0 elsewhere.
    background : float
        Depth where no face is seen; any number, or NaN.
    depth : {"z", "range"}, optional
        Camera-frame Z (the default, but for spherical cameras), or the Euclidean distance from the camera's centre
        (the default for those). Z is 0 and less beside and behind the camera, where only wide lenses see; of an
        orthographic view both are Z.
    threads : int, optional
        Threads used, all processors by default. The result is the same, bit for bit, for any number.
    out : (height, width, 2 or 1) float32 array, C-contiguous, optional
        Where to write the image. Reusing one saves the time the system takes to hand out fresh memory.

    Returns
    -------
    (height, width, 2) float32 array, or (height, width, 1) without alpha
        Depth in chunk units (metres = depth * chunk scale), sampled at the pixels' centres, and alpha.

    Raises
    ------
    TypeError, ValueError
        Arguments of the wrong kind, shape or value; the message says which and what is needed.
    FormatError, OSError
        A path that cannot be read as a mesh.
    """
    shape = (
        (calibration.height, calibration.width, 2 if add_alpha else 1)
        if isinstance(calibration, Calibration)
        else ()
    )
    view, shown = _checked_view(transform, calibration, depth, background)
    if out is None:
        image = np.empty(shape, np.float32)
    else:
        image = _checked_out(out, shape)
    scene = Scene.from_mesh(mesh, threads=threads)
    images = Images(image, np.empty((0, 0), np.float32), None, *shown)
    draw_images(scene, *view, bool(cull_faces), thread_count(threads), images)
    return image


def render(
    scene: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    layers: str | Iterable[str] = ("depth",),
    *,
    cull_faces: bool = True,
    background: float = 0.0,
    depth: Literal["z", "range"] | None = None,
    threads: int | None = None,
) -> Layers:
    """Render several aligned images of one view in one pass.

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh, in the chunk's frame.
    transform, calibration, cull_faces, depth, threads
        As for `render_depth`.
    layers : str or iterable of str
        Any of ``"depth"``, ``"alpha"``, ``"range"``, ``"face_index"``, ``"normal"``.
    background : float
        Value of ``depth`` and ``range`` where no face is seen.

    Returns
    -------
    Layers
        With an (H, W) array for each layer asked for.

    Raises
    ------
    TypeError, ValueError
        As `render_depth`; and for layers that do not exist.
    """
    names = checked_layers(layers)
    view, shown = _checked_view(transform, calibration, depth, background)
    scene = Scene.from_mesh(scene, threads=threads)
    shape = (calibration.height, calibration.width)
    image = np.empty((*shape, 2 if "alpha" in names else 1), np.float32)
    ranges = np.empty(shape if "range" in names else (0, 0), np.float32)
    face_index = np.empty(shape, np.int32) if names & {"face_index", "normal"} else None
    images = Images(image, ranges, face_index, *shown)
    draw_images(scene, *view, bool(cull_faces), thread_count(threads), images)
    return Layers(
        depth=image[..., 0] if "depth" in names else None,
        alpha=image[..., 1] if "alpha" in names else None,
        range=ranges if "range" in names else None,
        face_index=face_index if "face_index" in names else None,
        normal=None
        if "normal" not in names or face_index is None
        else normal_layer(scene, view[0], face_index, thread_count(threads)),
    )


def _checked_view(
    transform: npt.ArrayLike, calibration: Calibration, depth: str | None, background: float
) -> tuple[tuple[npt.NDArray[np.float64], Calibration], tuple[bool, np.float32]]:
    if not isinstance(calibration, Calibration):
        raise TypeError(
            f"the calibration is a {type(calibration).__name__}; a depthraster.Calibration is needed: make one with "
            "Calibration(width=..., height=..., f=...)"
        )
    if depth not in (None, "z", "range"):
        raise ValueError(
            f"depth is {depth!r}; 'z' or 'range' is needed: pass one of them, or None for the default"
        )
    try:
        value = np.float32(float(background))
    except (TypeError, ValueError):
        raise TypeError(f"background is {background!r}; a number is needed: pass a float, or NaN") from None
    if depth is None:
        depth = "range" if calibration.type == "spherical" else "z"
    return (check_transform(transform), calibration), (depth == "range", value)


def _checked_out(out: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape != shape:
        what = (
            f"{out.dtype} array of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        )
        raise ValueError(
            f"out is a {what}; a float32 array of shape {shape} is needed: make it with np.empty"
        )
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(
            "out is not C-contiguous and writeable, which is needed: pass a fresh array, not a view"
        )
    return out
