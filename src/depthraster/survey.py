"""A whole chunk to files: each camera's layers and a thumbnail, written while the next camera is rendered.

It says what is made of an image and keeps the writers busy; which cameras is ``selection.py``'s, rendering is
``views.py``'s, file formats are ``io``'s, what is finished is known to ``manifest.py``, the look of thumbnails and page is
``gallery.py``'s, talking to people is ``cli``'s. The commonest change is another file per camera: its path in
`Settings.paths` and its writing in `_write`.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.chunk import Camera, Chunk
from depthraster.gallery import thumbnail
from depthraster.io.files import written_whole
from depthraster.io.image_formats import write_npz
from depthraster.io.images import save_image, save_preview
from depthraster.layers import LAYERS, Layers, checked_layers, pixel_bytes
from depthraster.manifest import Export
from depthraster.scene import Scene, thread_count
from depthraster.transforms import invert
from depthraster.views import render_views

__all__ = ["EXPECTED_ERRORS", "FORMATS", "Outcome", "Settings", "describe", "render_cameras"]

# What input and disks can cause; anything else is our mistake.
EXPECTED_ERRORS = (ValueError, OSError, MemoryError)

# Suffixes by the names that the user chooses by, and the layers that are not kept in them.
FORMATS = {"tiff": ".tif", "exr": ".exr", "npy": ".npy", "npz": ".npz", "pfm": ".pfm", "png16": ".png"}
_LENGTHS = ("depth", "range")  # layers in units of length
_NOT_IN = {
    "tiff": ("position",),  # it would be rounded to float32, which coordinates may not bear
    "exr": ("face_index", "position", "edge"),
    "pfm": ("face_index", "position", "edge"),
    "png16": tuple(layer for layer in LAYERS if layer not in _LENGTHS),
}
_MOST_STEPS = 65535
_SCALES = 1e-4, 100.0  # of images: what lies beyond is a mistake
_MOST_STEPS_PER_UNIT = 1e12  # the same
# Bytes of images that may wait for being written, where that leaves one per writer.
_WAITING_BYTES = 2 << 30
_ROWS = 64  # rows looked at together


@dataclass(frozen=True)
class Settings:
    """How images are made of cameras.

    Attributes
    ----------
    layers : tuple of str
        Which images of each camera: names of `LAYERS`.
    format : str
        One of `FORMATS`. An ``npz`` holds all layers of a camera; of the others each layer is a file.
    unit : {"chunk", "world"}
        Whether depth and range are in chunk units or in the units that the chunk's transform leads to.
    scale : float
        Size of the images relative to the photos'.
    depth : {"z", "range"} or None
        As for `render`.
    background : float
        Value of depth and range where no face is seen.
    cull_faces : bool
        As for `render`.
    steps_per_unit : float or None
        For ``png16``: whole numbers per unit. None: as many, of the powers of ten, as reach from every camera of the chunk
        to the farthest corner of the mesh.
    previews : bool
        Also write an 8-bit picture of each depth image in full size.

    Raises
    ------
    ValueError
        Values that are not as above, or that do not go together.
    """

    layers: tuple[str, ...] = ("depth",)
    format: str = "tiff"
    unit: str = "chunk"
    scale: float = 1.0
    depth: Literal["z", "range"] | None = None
    background: float = 0.0
    cull_faces: bool = True
    steps_per_unit: float | None = None
    previews: bool = False

    def __post_init__(self) -> None:
        checked_layers(self.layers)
        object.__setattr__(self, "layers", tuple(dict.fromkeys(self.layers)))
        lost = [layer for layer in self.layers if layer in _NOT_IN.get(self.format, ())]
        if lost:
            raise ValueError(
                f"the layer {lost[0]} is asked for in the format {self.format}, which cannot hold it; "
                f"{'npy or npz' if 'position' in lost else 'tiff, npy or npz'} is needed: choose one of them"
            )
        if "position" in self.layers and self.unit == "world":
            raise ValueError(
                "the layer position is asked for in world units, and it is in the chunk's frame; chunk units are needed: "
                "leave out --unit, and take positions to the world with Chunk.to_world"
            )
        least, most = _SCALES
        if not least <= self.scale <= most:
            raise ValueError(f"the scale is {self.scale}; {least:g} to {most:g} is needed: pass e.g. 0.25")
        if abs(self.background) > float(np.finfo(np.float32).max) and not math.isinf(self.background):
            raise ValueError(
                f"the background is {self.background:g}, which float32 cannot hold; a smaller number is needed: pass e.g. "
                "-1, or nan"
            )
        if self.format == "png16":
            if self.background != 0.0:
                raise ValueError(
                    f"the background is {self.background} and the format png16, which has no number but 0 for it; another "
                    "format is needed: choose tiff"
                )
            if self.steps_per_unit is not None and not 0.0 < self.steps_per_unit <= _MOST_STEPS_PER_UNIT:
                raise ValueError(
                    f"steps per unit are {self.steps_per_unit:g}; a positive number up to {_MOST_STEPS_PER_UNIT:g} is "
                    "needed: pass e.g. 1000"
                )
        elif self.steps_per_unit is not None:
            raise ValueError(
                "steps per unit are given, and only png16 has steps; leave them out, or choose it"
            )

    def paths(self, name: str) -> dict[str, str]:
        """Return the paths of a camera's files below the folder, by what is in them: a layer, or ``layers`` for all."""
        suffix = FORMATS[self.format]
        if self.format == "npz":
            paths = {"layers": name + suffix}
        else:  # the depth images at the top, where they are looked for; other layers have a folder each
            paths = {
                layer: name + suffix if layer == "depth" else f"{layer}/{name}{suffix}"
                for layer in self.layers
            }
        if self.previews:
            paths["preview"] = f"previews/{name}.png"
        return {**paths, "thumbnail": f"thumbnails/{name}.webp"}

    def resolved(
        self, chunk: Chunk, cameras: Sequence[Camera], vertices: npt.NDArray[np.float64]
    ) -> Settings:
        """Return the settings with the steps that suit the cameras and the mesh, where they are not given.

        Raises
        ------
        ValueError
            World units are asked for, and the chunk has no transform.
        """
        units = self.units(chunk)
        if self.format != "png16" or self.steps_per_unit is not None:
            return self
        finite = vertices[np.isfinite(vertices).all(axis=1)]
        if not len(finite):
            return replace(self, steps_per_unit=1.0)
        low, high = finite.min(axis=0), finite.max(axis=0)
        corners = np.stack(np.meshgrid(*np.stack([low, high], axis=1), indexing="ij"), axis=-1).reshape(-1, 3)
        farthest = 0.0
        for camera in cameras:
            assert camera.transform is not None
            away = (corners - camera.transform[:3, 3]) @ invert(camera.transform)[:3, :3].T
            farthest = max(farthest, float(np.linalg.norm(away, axis=1).max()))
        return replace(
            self, steps_per_unit=10.0 ** math.floor(math.log10(_MOST_STEPS / max(units * farthest, 1e-300)))
        )

    def units(self, chunk: Chunk) -> float:
        """Return how many units of the images a chunk unit is."""
        if self.unit == "chunk":
            return 1.0
        if chunk.scale is None:
            raise ValueError(
                f"{chunk.source}: world units are asked for, and the chunk has no transform that says how long its units "
                "are; one is needed: leave out --unit world, or reference the chunk in Metashape"
            )
        return chunk.scale

    def as_json(self) -> dict[str, Any]:
        """Return the settings as JSON takes them."""
        values = dataclasses.asdict(self) | {"layers": list(self.layers)}
        if not math.isfinite(self.background):
            values["background"] = str(self.background)
        return values


@dataclass(frozen=True)
class Outcome:
    """What became of one camera.

    Attributes
    ----------
    camera : Camera
        The camera.
    record : dict or None
        What the manifest says of its images; None where there is an error.
    error : Exception or None
        Why the camera could not be rendered or written.
    """

    camera: Camera
    record: dict[str, Any] | None = None
    error: Exception | None = None


def describe(camera: Camera, name: str, settings: Settings) -> dict[str, Any]:
    """Return what a camera's record says before it is rendered; images of which it says the same are the same."""
    assert camera.transform is not None  # `plan` has seen to that
    assert camera.calibration is not None
    calibration = camera.calibration.scaled(settings.scale)
    return {
        "name": name,
        "label": camera.label,
        "camera_id": camera.id,
        "width": calibration.width,
        "height": calibration.height,
        "kind": _kind(calibration, settings.depth),
        "unit": settings.unit,
        "chunk_from_camera": camera.transform.tolist(),
        "calibration": dataclasses.asdict(calibration),
    }


def _kind(calibration: Calibration, asked: Literal["z", "range"] | None) -> str:
    """Return what the renderer takes for depth: what is asked for, or what suits the lens."""
    if calibration.type == "orthographic":
        return "z"  # its rays have no centre to be distant from
    return asked or ("range" if calibration.type == "spherical" else "z")


def render_cameras(
    scene: Scene,
    cameras: Sequence[tuple[Camera, str]],
    export: Export,
    settings: Settings,
    *,
    units: float = 1.0,
    threads: int | None = None,
) -> Iterator[Outcome]:
    """Render cameras one after the other into a folder, and yield what became of each, in order.

    Files are written in other threads while the next cameras are rendered; few images are held in memory at a time. A camera
    that fails is yielded with its error, and the others go on.

    Parameters
    ----------
    scene : Scene
        The mesh, in the chunk's frame.
    cameras : sequence of (Camera, str)
        Aligned cameras with a calibration, and the names of their files without suffix, as from `plan`.
    export : Export
        The folder. Files of these names in it are replaced.
    settings : Settings
        What is made; `Settings.resolved`.
    units : float
        Units of the images per chunk unit; `Settings.units`.
    threads : int, optional
        Threads used, all processors by default.

    Yields
    ------
    Outcome
    """
    needed = {*settings.layers, "depth"}
    pending: deque[Future[Outcome]] = deque()
    workers = thread_count(threads)
    # Seen is what is not NaN: a layer of alpha would cost as much again. The background asked for is put in when written.
    views = render_views(
        scene, (_sized(camera, settings) for camera, _ in cameras), needed,
        cull_faces=settings.cull_faces, background=math.nan, depth=settings.depth, threads=threads,
    )  # fmt: skip
    pool = ThreadPoolExecutor(workers)
    try:
        with closing(views):  # type: ignore[type-var]  # it is a generator
            for (camera, name), view in zip(cameras, views, strict=True):
                if isinstance(view.error, EXPECTED_ERRORS):
                    pending.append(_done(Outcome(camera, error=view.error)))
                    most = workers
                elif view.error is not None:
                    raise view.error
                else:
                    record = describe(camera, name, settings)
                    size = (
                        (pixel_bytes(needed) + 8) * record["width"] * record["height"]
                    )  # the writer makes copies, too
                    most = max(1, min(workers, _WAITING_BYTES // size))
                    pending.append(pool.submit(_write, camera, record, view.layers, export, settings, units))
                del view  # the writer has the images; they go when written, not when the next ones are there
                while len(pending) > most:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _sized(camera: Camera, settings: Settings) -> Camera:
    """Return a camera that takes images of the size asked for."""
    assert camera.calibration is not None
    return replace(camera, calibration=camera.calibration.scaled(settings.scale))


def _done(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future


def _write(
    camera: Camera, record: dict[str, Any], layers: Layers, export: Export, settings: Settings, units: float
) -> Outcome:
    depth = layers.depth
    assert depth is not None
    try:
        seen, coverage, extent = _seen(depth)
        picture, colours = thumbnail(depth, seen)
        made = {
            layer: _as_kept(layer, getattr(layers, layer), seen, settings, units) for layer in settings.layers
        }
        files = []
        for what, path in settings.paths(record["name"]).items():
            if what == "layers":
                save: Callable[[Path], None] = partial(_save_npz, arrays=made)
            elif what == "preview":
                save = partial(save_preview, depth=depth, seen=seen)
            elif what == "thumbnail":
                save = partial(_save_bytes, content=picture)
            else:
                save = partial(save_image, image=made[what], threads=1)  # the writers are many already
            files.append({"layer": what, **export.write(path, save)})
        record = {
            **record,
            "coverage": coverage,
            "min": extent[0] * units if extent else None,
            "max": extent[1] * units if extent else None,
            "colours": [value * units for value in colours] if colours else None,
            "files": files,
        }
        export.add(record)
    except EXPECTED_ERRORS as error:
        return Outcome(camera, error=error)
    return Outcome(camera, record)


def _save_npz(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    with written_whole(path) as temporary:
        write_npz(temporary, arrays)


def _save_bytes(path: Path, content: bytes) -> None:
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def _seen(
    depth: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.bool_], float, tuple[float, float] | None]:
    """Return which pixels show a face, their share, and the least and greatest depth there; None where there is none."""
    seen = np.empty(depth.shape, bool)
    count, least, most = 0, math.inf, -math.inf
    for start in range(0, len(depth), _ROWS):  # a few rows at a time stay in the processor's cache
        values, mask = depth[start : start + _ROWS], seen[start : start + _ROWS]
        np.equal(values, values, out=mask)  # what is not NaN
        n = int(np.count_nonzero(mask))
        if n:
            count += n
            least = min(least, float(np.fmin.reduce(values, axis=None)))
            most = max(most, float(np.fmax.reduce(values, axis=None)))
    return seen, count / seen.size, (least, most) if count else None


def _as_kept(
    layer: str,
    image: npt.NDArray[Any],
    seen: npt.NDArray[np.bool_],
    settings: Settings,
    units: float,
) -> npt.NDArray[Any]:
    """Return a layer in the unit and the type that are written, with the background asked for; lengths are changed."""
    if layer == "edge" and settings.format == "tiff":
        return image.astype(np.uint16)  # 0 and 1: there are no bools
    if layer not in _LENGTHS:
        return image
    if settings.format == "png16":
        return _in_steps(image, seen, units * (settings.steps_per_unit or 1.0))
    for start in range(0, len(image), _ROWS):
        values = image[start : start + _ROWS]
        if units != 1.0:
            np.multiply(values, units, out=values, dtype=np.float64, casting="same_kind")  # and rounded once
        if not math.isnan(settings.background):
            np.copyto(values, np.float32(settings.background), where=~seen[start : start + _ROWS])
    return image


def _in_steps(
    image: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_], steps: float
) -> npt.NDArray[np.uint16]:
    """Return lengths as whole numbers of steps, 1 or more where a face is seen, 0 elsewhere."""
    kept = np.zeros(image.shape, np.uint16)
    for start in range(0, len(image), _ROWS):
        rows = slice(start, start + _ROWS)
        values = np.rint(np.where(seen[rows], image[rows], 0.0).astype(np.float64) * steps)
        if values.max() > _MOST_STEPS:
            raise ValueError(
                f"a depth is {values.max():.0f} steps, and a 16-bit PNG holds 0 to {_MOST_STEPS}; larger steps are needed: "
                "pass fewer --steps per unit, or choose tiff"
            )
        if values.min() < 0:
            raise ValueError(
                f"a depth is {values.min():.0f} steps, behind the camera, and a 16-bit PNG holds 0 to {_MOST_STEPS}; "
                "positive depths are needed: pass --depth range, or choose tiff"
            )
        kept[rows] = np.where(seen[rows], np.maximum(values, 1), 0)
    return kept
