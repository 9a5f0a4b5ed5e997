"""``depthraster stereo``: for each camera a pair of depth images, with disparity, occlusion and consistency.

It says what the options are, and writes what `render_stereo` finds. The commonest change is another image of a pair: in
`_KINDS` and `_image`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from depthraster.cli.common import (
    background_option,
    debug_option,
    folder_option,
    no_cull_option,
    refuse_files,
    scale_option,
    shown,
    threads_option,
    told,
    tolerance_option,
)
from depthraster.cli.inputs import Inputs, inputs, prepared, unit_line
from depthraster.cli.progress import counted, status
from depthraster.cli.warmup import compiling_told

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from depthraster.chunk import Camera, Chunk
    from depthraster.scene import Scene
    from depthraster.stereo import Stereo

__all__ = ["stereo"]

# What is written of each pair, by the folders it is in, and the suffix there.
_KINDS = {
    "left": ".tif",
    "right": ".tif",
    "disparity": ".tif",
    "occlusion": ".tif",
    "consistency": ".tif",
    "pictures": ".png",
    "correspondence": ".npy",
}
_CAMERAS = "cameras.xml"


class _Pair(NamedTuple):
    name: str  # of its files
    left: Camera
    right: Camera
    stereo: Stereo


@click.command()
@folder_option
@inputs
@click.option(
    "--baseline",
    type=float,
    metavar="B",
    help="How far each right camera is to the right of the left one, in --unit.",
)
@click.option(
    "--right",
    metavar="LABEL",
    help="Instead of that: the chunk's camera that is the right one, with its own lens.",
)
@click.option(
    "--unit",
    type=click.Choice(["chunk", "world"]),
    default="chunk",
    show_default=True,
    help="Baseline and depth in the chunk's own units, or in the world's (metres where it is georeferenced).",
)
@scale_option
@tolerance_option
@background_option
@no_cull_option
@click.option(
    "--correspondence",
    "with_correspondence",
    is_flag=True,
    help="Also write where each left pixel is in the right image: u and v, float64 NPY.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are in the folder already.")
@threads_option
@debug_option
def stereo(
    given: Inputs,
    folder: Path,
    baseline: float | None,
    right: str | None,
    unit: str,
    scale: float,
    tolerance: float,
    background: float,
    no_cull: bool,
    with_correspondence: bool,
    overwrite: bool,
    threads: int | None,
    debug: bool,
) -> None:
    """Render a stereo pair for each camera of a chunk.

    CHUNK and MESH are as for `render`. The right camera is the left one moved along its X axis by the
    baseline; lenses keep their distortion. Each image is in a folder of its kind as LABEL.tif: left and
    right, depth; disparity, u of a left pixel less that of its counterpart in the right image, nan where
    that is unknown; occlusion, 1 where the right camera does not see what the left one sees; consistency,
    how many pixels off one ends up who follows a pixel to the right image and back. pictures shows them,
    cameras.xml has all cameras, the right ones as "LABEL right".

    \b
    Examples:
      depthraster stereo survey.psx -o stereo --baseline 0.3 --unit world
      depthraster stereo cameras.xml mesh.ply -o stereo --camera DJI_0001 --right DJI_0002
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    if (baseline is None) == (right is None):
        raise click.UsageError("--baseline or --right says where the right camera is: give one of them.")
    with told(debug), compiling_told():
        start = time.perf_counter()
        with status("Reading the cameras"):
            from depthraster.cli.job import make_folder
            from depthraster.survey import Settings

            settings = Settings(unit=unit, scale=scale, background=background)
            chunk, chosen, _ = given.read_cameras()
            units = settings.units(chunk)
            other = None if right is None else _right_camera(chunk, chosen, right)
        kinds = [kind for kind in _KINDS if kind != "correspondence" or with_correspondence]
        if not overwrite:
            paths = [_path(folder, kind, name) for _, name in chosen for kind in kinds]
            refuse_files([*paths, folder / _CAMERAS])
        if folder.is_file():
            make_folder(folder)  # it says what is wrong, before the work
        with status("Reading the mesh"):
            mesh = given.read_mesh(chunk)
        scene = prepared(mesh, threads)
        pairs = _rendered(
            scene, chosen, other, scale, baseline=None if baseline is None else baseline / units, tolerance=tolerance,
            cull_faces=not no_cull, background=background, threads=threads,
        )  # fmt: skip
        cameras, lines = list["Camera"](), list[str]()
        for pair in counted(pairs, len(chosen), lambda pair: 2e-6 * pair.stereo.disparity.size):
            for kind in kinds:
                _write(pair.stereo, kind, _path(folder, kind, pair.name), units)
            cameras += [replace(pair.left, id=len(cameras)), replace(pair.right, id=len(cameras) + 1)]
            lines.append(_line(pair))
        _save_cameras(chunk, cameras, folder / _CAMERAS)
        for line in lines:
            click.echo(shown(line))
        count = f"{len(lines)} pair{'s' if len(lines) > 1 else ''}"
        click.echo(f"{count} rendered to {folder} in {time.perf_counter() - start:.1f} s.")
        click.echo(unit_line(chunk, settings))


def _right_camera(chunk: Chunk, chosen: Sequence[tuple[Camera, str]], label: str) -> Camera:
    """Return the camera that is the right one of a pair."""
    from depthraster.selection import plan

    if len(chosen) != 1:
        raise ValueError(
            f"{len(chosen)} cameras are chosen to be the left one, and --right {label} is for one pair; one is needed: name "
            "it with --camera"
        )
    found, skipped = plan(chunk, [label], disabled=True)
    if len(found) != 1:
        why = skipped[0][1] if skipped and not found else f"{len(found)} cameras are meant"
        raise ValueError(
            f"{chunk.source}: {label!r} cannot be the right camera ({why}); one that is aligned and calibrated is needed: "
            "choose another"
        )
    return found[0][0]


def _rendered(
    scene: Scene, chosen: Sequence[tuple[Camera, str]], other: Camera | None, scale: float, **options: Any
) -> Iterator[_Pair]:
    """Render the pairs, one after the other."""
    from depthraster.chunk import Camera
    from depthraster.stereo import render_stereo

    def sized(camera: Camera) -> Any:
        assert camera.calibration is not None  # `plan` has seen to that
        return camera.calibration.scaled(scale)

    if other is not None:
        options |= {"right_transform": other.transform, "right_calibration": sized(other)}
    for camera, name in chosen:
        assert camera.transform is not None
        left = Camera(id=0, label=camera.label, transform=camera.transform, calibration=sized(camera))
        stereo = render_stereo(scene, camera.transform, sized(camera), **options)
        label = f"{camera.label} right" if other is None else other.label
        lens = sized(camera if other is None else other)
        yield _Pair(
            name, left, Camera(id=1, label=label, transform=stereo.right_transform, calibration=lens), stereo
        )


def _path(folder: Path, kind: str, name: str) -> Path:
    return folder / kind / f"{name}{_KINDS[kind]}"


def _write(stereo: Stereo, kind: str, path: Path, units: float) -> None:
    from depthraster.cli.job import make_folder
    from depthraster.io.files import written_whole
    from depthraster.io.images import save_image

    if not path.parent.is_dir():
        make_folder(path.parent)
    if kind == "pictures":
        with written_whole(path) as temporary:
            stereo.picture().save(temporary, format="PNG")
    else:
        save_image(path, _image(stereo, kind, units))


def _image(stereo: Stereo, kind: str, units: float) -> npt.NDArray[Any]:
    """Return an image as it is written; depths get the unit asked for."""
    import numpy as np

    if kind == "occlusion":
        return stereo.occlusion.astype(np.uint16)  # a TIFF has no bools
    if kind not in ("left", "right"):
        return np.asarray(getattr(stereo, kind))
    depth: npt.NDArray[np.float32] = getattr(stereo, f"{kind}_depth")
    if units != 1.0:  # in double precision, and rounded once
        where = getattr(stereo, f"{kind}_seen")
        np.multiply(depth, units, out=depth, where=where, dtype=np.float64, casting="same_kind")
    return depth


def _line(pair: _Pair) -> str:
    """Return what is told of a pair."""
    import numpy as np

    stereo = pair.stereo
    seen = int(np.count_nonzero(stereo.left_seen))
    if not seen:
        return f"{pair.left.label}: sees nothing of the mesh."
    beside = np.count_nonzero(stereo.outside) / seen
    hidden = np.count_nonzero(stereo.occlusion) / seen - beside
    matched = stereo.disparity[stereo.matched]
    span = f"disparity {matched.min():.2f} to {matched.max():.2f} px, " if matched.size else ""
    return (
        f"{pair.left.label}: {span}{1 - beside - hidden:.1%} of what it sees is matched, {hidden:.1%} hidden from "
        f"{pair.right.label}, {beside:.1%} outside of its image."
    )


def _save_cameras(chunk: Chunk, cameras: Sequence[Camera], path: Path) -> None:
    from depthraster.chunk import Chunk
    from depthraster.io.metashape_writer import save_chunk

    save_chunk(
        Chunk(label=chunk.label, cameras=tuple(cameras), transform=chunk.transform, crs=chunk.crs), path
    )
