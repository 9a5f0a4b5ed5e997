"""``depthraster height``: a mesh to a GeoTIFF of heights.

It finds out which mesh and which coordinate system are meant; ``heights.py`` of the library does the work. The commonest
change is another option: its decorator, and what is passed to `write_height_field`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from depthraster.cli.common import PATH, debug_option, refuse_files, shown, threads_option, told
from depthraster.cli.inputs import MeshInputs, mesh_inputs, prepared
from depthraster.cli.progress import reported, status
from depthraster.cli.warmup import compiling_told

if TYPE_CHECKING:
    from depthraster.chunk import Chunk
    from depthraster.io.meshes import Mesh

__all__ = ["height"]

_SUFFIXES = (".tif", ".tiff")


@click.command()
@click.option("-o", "--output", metavar="FILE", type=PATH, required=True, help="The GeoTIFF, .tif or .tiff.")
@click.option(
    "-r", "--resolution", type=float, required=True, metavar="SIZE", help="Side of a cell, e.g. 0.1."
)
@click.option(
    "--bounds",
    type=float,
    nargs=4,
    metavar="LEFT BOTTOM RIGHT TOP",
    help="What to cover, in the coordinates of the file.  [default: all of the mesh]",
)
@click.option(
    "--crs",
    metavar="CRS",
    help="Coordinate system of the file: EPSG:32632, WKT ...  [default: a chunk's own, or UTM where that is in degrees]",
)
@mesh_inputs
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there already.")
@threads_option
@debug_option
def height(
    output: Path,
    resolution: float,
    bounds: tuple[float, float, float, float] | None,
    crs: str | None,
    overwrite: bool,
    threads: int | None,
    debug: bool,
    **named: Any,
) -> None:
    """Write the height field of a mesh, an elevation model of its top surface.

    CHUNK is a project of Metashape (.psx, .psz) or a cameras file. Its mesh, the one inside or MESH in the
    chunk's own coordinates, is taken to the world: to --crs, or to the chunk's own system. Or a mesh alone is
    named, PLY, OBJ, STL, OFF or GLB: cells and heights are in its own coordinates then, and --crs says which
    system that is.

    The GeoTIFF is float32, or float64 where that would round heights by more than a millionth of the extent;
    NaN where there is no mesh.

    \b
    Examples:
      depthraster height survey.psx -o dem.tif --resolution 0.1
      depthraster height terrain.ply -o dem.tif --resolution 0.1 --crs EPSG:32632
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    given = _named(named)
    if output.suffix.lower() not in _SUFFIXES:
        raise click.UsageError(f"{output.name} is to be a GeoTIFF: end its name in {' or '.join(_SUFFIXES)}.")
    with told(debug), compiling_told():
        start = time.perf_counter()
        if not overwrite:
            refuse_files([output])
        with status("Reading the mesh"):
            if isinstance(given, MeshInputs):
                chunk = given.read_chunk()
                mesh, crs = _in_world(chunk, given.read_mesh(chunk), crs)
            else:
                with suppress(ImportError):  # a mesh alone needs no pyproj
                    _refuse_degrees(crs)
                mesh = given.read()
        scene = prepared(mesh, threads)
        del mesh
        from depthraster.heights import write_height_field

        with reported("Writing", "windows") as progress:
            written = write_height_field(
                output, scene, bounds, resolution, crs=crs, progress=progress, threads=threads
            )
        share = written.n_seen / (written.width * written.height)
        heights = f"heights {written.lowest:.3f} to {written.highest:.3f}" if written.n_seen else "no heights"
        click.echo(
            f"{output}: {written.width} x {written.height} cells of {resolution:g}, {share:.0%} of them with heights, "
            f"{written.dtype}, in {time.perf_counter() - start:.1f} s."
        )
        click.echo(f"{_system(crs)}; {heights}.")


class _Alone(NamedTuple):
    """A mesh without a chunk."""

    path: Path
    offset: tuple[float, float, float]

    def read(self) -> Mesh:
        from depthraster.io.meshes import load_mesh

        mesh = load_mesh(self.path)
        return mesh._replace(vertices=mesh.vertices + self.offset)


def _named(options: dict[str, Any]) -> MeshInputs | _Alone:
    """Return what the user named, a chunk with its mesh or a mesh alone."""
    from depthraster.io.meshes import SUFFIXES

    if options["project"].suffix.lower() not in SUFFIXES:
        return MeshInputs(**options)
    if options["mesh"] is not None:
        raise click.UsageError(
            "A chunk comes first, then MESH: name the project or cameras file, or one mesh."
        )
    path, offset = options["project"], options["mesh_offset"]
    for name in ("chunk_name", "component", "model", "mesh_crs"):
        if options[name] is not None:
            raise click.UsageError(
                f"{path.name} is a mesh by its suffix, and --{name.split('_name')[0].replace('_', '-')} is about a CHUNK: "
                "name that first, or leave it out."
            )
    return _Alone(path, offset or (0.0, 0.0, 0.0))


def _in_world(chunk: Chunk, mesh: Mesh, crs: str | None) -> tuple[Mesh, str | None]:
    """Return a chunk's mesh in the coordinates of the file, and their system."""
    from depthraster.crs import is_local, map_system

    if crs is None and chunk.transform is not None and not is_local(chunk.crs):
        assert chunk.crs is not None  # or it would be local
        crs = map_system(chunk.crs, chunk.to_world(mesh.vertices[:1])[0])
    else:
        _refuse_degrees(crs)
    if chunk.transform is None and crs is None:
        click.echo(
            "Warning: the chunk has no transform; cells and heights are in its own coordinates and units.",
            err=True,
        )
    return cast("Mesh", chunk.to_world(mesh, crs)), crs


def _refuse_degrees(crs: str | None) -> None:
    from depthraster.crs import is_geographic

    if crs is not None and is_geographic(crs):
        raise ValueError(
            f"the coordinate system is {crs!r}, in degrees, and cells have the same unit as heights; a projected system is "
            "needed: name one, e.g. EPSG:32632, or none"
        )


def _system(crs: str | None) -> str:
    """Return what coordinates are in, for people."""
    if crs is None:
        return "No coordinate system"
    from depthraster.crs import known_system

    try:
        return f"Coordinates are in {shown(str(known_system(crs).name))}"
    except ImportError:  # a mesh alone needs no pyproj
        return f"Coordinates are in {shown(crs)}"
