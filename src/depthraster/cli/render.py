"""``depthraster render``: a chunk's cameras to depth images.

It says what the options are; ``inputs.py`` reads what they name, ``job.py`` does the work and tells people how it goes. The
commonest change is another option: its decorator, and a field of `Settings`.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import click

from depthraster.cli.common import (
    background_option,
    debug_option,
    folder_option,
    no_cull_option,
    scale_option,
    threads_option,
    told,
)
from depthraster.cli.inputs import Inputs, inputs
from depthraster.cli.job import Job, run
from depthraster.cli.progress import status
from depthraster.layers import LAYERS
from depthraster.survey import FORMATS, Settings

__all__ = ["render"]


class _Format(click.Choice[str]):
    """A format, or one of the suffixes of its files."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert({"tif": "tiff"}.get(value, value), param, ctx)


@click.command()
@folder_option
@inputs
@click.option(
    "--depth",
    type=click.Choice(["z", "range"]),
    help="Camera-frame Z, or the distance from the camera's centre.  [default: z for frame cameras]",
)
@background_option
@no_cull_option
@click.option(
    "--layer",
    "layers",
    type=click.Choice(list(LAYERS)),
    multiple=True,
    help="What to write of each camera; can be repeated.  [default: depth]",
)
@click.option(
    "--format",
    "form",
    type=_Format(list(FORMATS)),
    default="tiff",
    show_default=True,
    help="An npz holds all layers of a camera; png16 holds whole numbers of steps.",
)
@click.option(
    "--unit",
    type=click.Choice(["chunk", "world"]),
    default="chunk",
    show_default=True,
    help="Depth in the chunk's own units, or in the world's (metres where it is georeferenced).",
)
@click.option(
    "--steps",
    type=float,
    metavar="N",
    help="Steps per unit of a png16.  [default: a power of ten that fits all cameras]",
)
@scale_option
@click.option("--previews", is_flag=True, help="Also write 8-bit pictures of the depth in full size.")
@click.option(
    "--resume", is_flag=True, help="Go on with an export: keep what is finished and whole, make the rest."
)
@click.option("--overwrite", is_flag=True, help="Replace files that are in the folder already.")
@threads_option
@debug_option
def render(
    given: Inputs,
    folder: Path,
    depth: str | None,
    background: float,
    no_cull: bool,
    layers: tuple[str, ...],
    form: str,
    unit: str,
    steps: float | None,
    scale: float,
    previews: bool,
    resume: bool,
    overwrite: bool,
    threads: int | None,
    debug: bool,
) -> None:
    """Render the depth images of a chunk's cameras.

    CHUNK is a project of Metashape (.psx, .psz) or a cameras file (File > Export > Export Cameras, Agisoft
    XML). MESH is a mesh in the chunk's own (local) coordinates or, with --mesh-crs, in others: PLY, OBJ,
    STL, OFF or GLB; without it, the mesh inside the project is taken. Every aligned, enabled camera gets
    LABEL.tif, float32 depth in chunk units; other layers and thumbnails are in folders of their own.
    index.html shows all images in a browser, manifest.json says all about them.

    A run that was interrupted is taken up again by the same command with --resume.

    \b
    Examples:
      depthraster render survey.psx -o depth
      depthraster render cameras.xml mesh.ply -o depth --camera 'DJI_00*'
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    if resume and overwrite:
        raise click.UsageError("--resume keeps what is there and --overwrite does not: choose one.")
    with told(debug):
        with status("Reading the cameras"):
            settings = Settings(
                layers=layers or ("depth",), format=form, unit=unit, scale=scale, background=background,
                depth=cast("Any", depth), cull_faces=not no_cull, steps_per_unit=steps, previews=previews,
            )  # fmt: skip
            chunk, chosen, skipped = given.read_cameras()
        mesh = partial(given.read_mesh, chunk)
        job = Job(chunk, chosen, skipped, mesh, given.mesh_name, folder, settings)
        results = run(job, resume=resume, overwrite=overwrite, debug=debug, threads=threads)
    if any(result.error for result in results):
        sys.exit(1)
