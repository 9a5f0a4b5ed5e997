"""A scene, a camera's place and its calibration in, images out: what callers pass is checked here.

How an image comes about is ``pipeline.py``'s; preparing meshes is ``scene.py``'s, describing layers ``layers.py``'s.

The commonest change is a new image per view: one that follows from the faces seen is ``derived.py``'s, and named in
``layers.py``; another is an output array here, a field of ``pipeline.Images``, written by ``kernels/resolve.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depthraster.attributes import any_given, checked_attributes, checked_vertex_normals
from depthraster.calibration import Calibration
from depthraster.derived import DERIVED, Derivation
from depthraster.edges import checked_tolerance, edge_layer
from depthraster.kernels.memory import aligned_empty
from depthraster.layers import Layers, checked_layers
from depthraster.numeric import real_number
from depthraster.pipeline import Images, draw_images
from depthraster.scene import Scene, thread_count
from depthraster.transforms import check_transform, invert

__all__ = ["render", "render_depth", "render_into"]


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
    attributes: Mapping[str, Any] | None = None,
    vertex_normals: npt.ArrayLike | None = None,
    normal_frame: Any = "camera",
    position_frame: Any = "chunk",
    edge_tolerance: float = 2.0,
    threads: int | None = None,
    out: Layers | None = None,
) -> Layers:
    """Render several aligned images of one view in one pass.

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh, in the chunk's frame.
    transform, calibration, cull_faces, depth, threads
        As for `render_depth`.
    layers : str or iterable of str
        Any of ``"depth"``, ``"alpha"``, ``"range"``, ``"face_index"``, ``"barycentric"``, ``"normal"``, ``"position"``,
        ``"view_angle"``, ``"edge"``; `Layers` describes them. None are needed where there are attributes.
    background : float
        Value of ``depth`` and ``range`` where no face is seen.
    attributes : mapping of str to array or Attribute, optional
        Arrays with a row for each vertex or each face of the mesh as it was given, by names of your choice: labels,
        colours, confidences. They become ``Layers.attributes``. `Attribute` says how pixels get their values.
    vertex_normals : (V, 3) array of float, optional
        Normals at the vertices, chunk frame, any length, finite: ``normal`` is then interpolated between them, 0 0 0 where
        they cancel. ``view_angle`` stays that of the face.
    normal_frame : {"camera", "chunk"} or (4, 4) array
        What normals are given along: the camera's axes, the chunk's, or those to which a transform leads from the chunk:
        ``chunk.transform`` for the world.
    position_frame : {"chunk", "camera"} or (4, 4) array
        What positions are given in, likewise.
    edge_tolerance : float
        For ``edge``, in pixels of surface slope: how many times what slopes explain the range may jump.
    out : Layers, optional
        Images of an earlier call, which are written over where one of the same name, size and type is asked for. It saves
        the time that the system takes to hand out fresh memory, which may be more than what rendering takes.

    Returns
    -------
    Layers
        With an array of H rows and W columns for each layer asked for.

    Raises
    ------
    TypeError, ValueError
        As `render_depth`; and for layers that do not exist, attributes and normals that do not fit the mesh, frames and
        tolerances of the wrong kind.
    """
    return render_into(
        _reused(out), scene, transform, calibration, layers, cull_faces=cull_faces, background=background, depth=depth,
        attributes=attributes, vertex_normals=vertex_normals, normal_frame=normal_frame, position_frame=position_frame,
        edge_tolerance=edge_tolerance, threads=threads,
    )  # fmt: skip


def render_into(
    empty: Callable[[str, tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]] | None,
    scene: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    layers: str | Iterable[str],
    *,
    cull_faces: bool,
    background: float,
    depth: Literal["z", "range"] | None,
    attributes: Mapping[str, Any] | None,
    vertex_normals: npt.ArrayLike | None,
    normal_frame: Any,
    position_frame: Any,
    edge_tolerance: float,
    threads: int | None,
) -> Layers:
    """Do what `render` does, in arrays that ``empty`` gives by name, shape and dtype, or fresh ones."""
    empty = empty or _reused(None)
    names = checked_layers(layers, any_given(attributes))
    view, shown = _checked_view(transform, calibration, depth, background)
    axes, frame = _checked_frames(normal_frame, position_frame, view[0])
    tolerance = checked_tolerance(edge_tolerance, "edge_tolerance")
    n_threads = thread_count(threads)
    scene = Scene.from_mesh(scene, threads=threads)
    prepared = checked_attributes(attributes, *scene._given)
    normals = None if vertex_normals is None else checked_vertex_normals(vertex_normals, scene._given[0])
    shape = (calibration.height, calibration.width)
    derivation = None
    if names & DERIVED or prepared:
        derivation = Derivation(
            scene, view[0], shape, names & DERIVED, axes=axes, frame=frame, vertex_normals=normals, attributes=prepared,
            empty=empty,
        )  # fmt: skip
    image = empty("_image", (*shape, 2 if "alpha" in names else 1), np.float32)
    ranges = empty("range", shape if names & {"range", "edge"} else (0, 0), np.float32)
    with_faces = derivation is not None or names & {"face_index", "edge"}
    face_index = empty("face_index", shape, np.int32) if with_faces else None
    draw_images(
        scene, *view, bool(cull_faces), n_threads, Images(image, ranges, face_index, *shown, derivation)
    )
    made: dict[str, Any] = {} if derivation is None else dict(derivation.images)
    if "edge" in names and face_index is not None:
        made["edge"] = empty("edge", shape, np.bool_)
        edge_layer(scene, *view, tolerance, face_index, ranges, made["edge"], n_threads)
    return Layers(
        depth=image[..., 0] if "depth" in names else None,
        alpha=image[..., 1] if "alpha" in names else None,
        range=ranges if "range" in names else None,
        face_index=face_index if "face_index" in names else None,
        attributes={} if derivation is None else derivation.attribute_images,
        **made,
        _image=image,
        _background=float(shown[1]),
    )


def _reused(out: Layers | None) -> Callable[[str, tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]:
    """Return what gives arrays to write images to: those of ``out`` that fit, else fresh ones."""
    if out is not None and not isinstance(out, Layers):
        raise TypeError(
            f"out is a {type(out).__name__}; Layers that an earlier call returned are needed: leave it out, or pass those"
        )

    def empty(name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        if out is not None:
            at, _, attribute = name.partition("/")
            old = out.attributes.get(attribute) if attribute else getattr(out, at)
            if old is not None and old.shape == shape and old.dtype == dtype and old.flags.carray:
                return np.asarray(old)
        return aligned_empty(shape, dtype)

    return empty


def _checked_frames(
    normal_frame: Any, position_frame: Any, transform: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what takes normals (3, 3) and positions (4, 4) from the chunk to the frames asked for."""
    frames = {"camera": invert(transform), "chunk": np.eye(4)}

    def chosen(value: Any, name: str) -> npt.NDArray[np.float64]:
        if isinstance(value, str):
            if value not in frames:
                raise ValueError(
                    f"{name} is {value!r}; 'camera', 'chunk' or a (4, 4) transform from the chunk is needed: pass one of "
                    "them, chunk.transform for the world"
                )
            return frames[value]
        if value is None:
            raise TypeError(
                f"{name} is None; 'camera', 'chunk' or a (4, 4) transform is needed: has the chunk a transform?"
            )
        try:
            return check_transform(value)
        except (TypeError, ValueError) as error:
            what = str(error).partition(";")[0].replace("the transform", name, 1)
            raise type(error)(
                f"{what}; 'camera', 'chunk' or a (4, 4) transform from the chunk is needed: pass one of them, "
                "chunk.transform for the world"
            ) from None

    linear = chosen(normal_frame, "normal_frame")[:3, :3]
    return linear / np.cbrt(np.linalg.det(linear)), chosen(position_frame, "position_frame")


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
        value = np.float32(real_number(background))
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
