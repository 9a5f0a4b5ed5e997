"""``depthraster render``: a chunk's cameras to depth images.

It says what the options are and reads what they name; ``job.py`` does the work and tells people how it goes. The commonest
change is another option: its decorator, and a field of `Settings`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from depthraster.cli.common import PATH, cameras_file, chunk_option, debug_option, threads_option, told
from depthraster.cli.job import Job, run
from depthraster.cli.progress import status
from depthraster.layers import LAYERS
from depthraster.survey import FORMATS, Settings

if TYPE_CHECKING:
    from depthraster.io.meshes import Mesh

__all__ = ["render"]


class _Format(click.Choice[str]):
    """A format, or one of the suffixes of its files."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert({"tif": "tiff"}.get(value, value), param, ctx)


@click.command()
@click.argument("project", metavar="CHUNK", type=PATH)
@click.argument("mesh", type=PATH, required=False)
@click.option(
    "-o", "--output", "folder", metavar="DIR", type=PATH, required=True, help="Folder for the images."
)
@chunk_option
@click.option(
    "--component",
    metavar="NAME",
    help="The cameras of another component: its label or id.  [default: the active one]",
)
@click.option(
    "--camera",
    "patterns",
    metavar="PATTERN",
    multiple=True,
    help="Only this camera: a label, or one with * and ?; can be repeated.",
)
@click.option(
    "--cameras-from",
    "pattern_file",
    metavar="FILE",
    type=click.File(encoding="utf-8-sig"),
    help="Only the cameras that a text file names, a label or pattern a line; - for standard input.",
)
@click.option("--all", "disabled", is_flag=True, help="Also cameras that are switched off in the project.")
@click.option(
    "--model",
    metavar="NAME",
    help="Which mesh inside the project: its label or id.  [default: the active one]",
)
@click.option(
    "--mesh-crs",
    metavar="CRS",
    help="What MESH was exported in, where that is not the chunk's own coordinates: local, geocentric, EPSG:32610 ...",
)
@click.option(
    "--mesh-offset",
    type=float,
    nargs=3,
    metavar="X Y Z",
    help="The shift that MESH was exported with; added to its coordinates first.",
)
@click.option(
    "--depth",
    type=click.Choice(["z", "range"]),
    help="Camera-frame Z, or the distance from the camera's centre.  [default: z for frame cameras]",
)
@click.option(
    "--background", type=float, default=0.0, show_default=True, help="Depth where nothing is seen; also nan."
)
@click.option("--no-cull", is_flag=True, help="Also show faces that are turned away from the camera.")
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
@click.option(
    "--scale",
    type=float,
    default=1.0,
    show_default=True,
    help="Size of the images relative to the photos, e.g. 0.25.",
)
@click.option("--previews", is_flag=True, help="Also write 8-bit pictures of the depth in full size.")
@click.option(
    "--resume", is_flag=True, help="Go on with an export: keep what is finished and whole, make the rest."
)
@click.option("--overwrite", is_flag=True, help="Replace files that are in the folder already.")
@threads_option
@debug_option
def render(
    project: Path,
    mesh: Path | None,
    folder: Path,
    chunk_name: str | None,
    component: str | None,
    patterns: tuple[str, ...],
    pattern_file: Any,
    disabled: bool,
    model: str | None,
    mesh_crs: str | None,
    mesh_offset: tuple[float, float, float] | None,
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
    if mesh is None and (mesh_crs is not None or mesh_offset is not None):
        raise click.UsageError("--mesh-crs and --mesh-offset are about MESH: name the mesh file.")
    if mesh is not None and model is not None:
        raise click.UsageError("--model is about the meshes inside the project: leave out MESH.")
    if mesh_offset is not None and mesh_crs is None:
        raise click.UsageError("--mesh-offset is in the units of --mesh-crs: name that, e.g. local.")
    if resume and overwrite:
        raise click.UsageError("--resume keeps what is there and --overwrite does not: choose one.")
    with told(debug):
        with status("Reading the cameras"):
            from depthraster.io.meshes import load_mesh
            from depthraster.io.metashape_project import load_chunk
            from depthraster.selection import plan

            settings = Settings(
                layers=layers or ("depth",), format=form, unit=unit, scale=scale, background=background,
                depth=cast("Any", depth), cull_faces=not no_cull, steps_per_unit=steps, previews=previews,
            )  # fmt: skip
            chunk = load_chunk(cameras_file(project), chunk_name)
            if component is not None:
                chunk = chunk.with_component(component)
            named = [*patterns, *_lines(pattern_file)]
            cameras = plan(chunk, named, disabled=disabled)

        def read_mesh() -> Mesh:
            if mesh is None:
                return chunk.load_mesh(model)
            if mesh_crs is None:
                return load_mesh(mesh)
            return cast("Mesh", chunk.from_world(load_mesh(mesh), mesh_crs, mesh_offset or (0.0, 0.0, 0.0)))

        job = Job(
            chunk, *cameras, read_mesh, str(mesh.name if mesh else "inside the project"), folder, settings
        )
        results = run(job, resume=resume, overwrite=overwrite, debug=debug, threads=threads)
    if any(result.error for result in results):
        sys.exit(1)


def _lines(file: Any) -> list[str]:
    """Return the lines of a text file that name something."""
    if file is None:
        return []
    try:
        lines = [line.strip() for line in file]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file.name}: not read as text ({error}); a text file in UTF-8 is needed: save it as that, a label a line"
        ) from None
    named = [line for line in lines if line]
    if not named:
        raise ValueError(
            f"{file.name}: there is no line with text in it; the label of at least one camera is needed: write one a line"
        )
    return named
