"""``depthraster height``: a mesh to a GeoTIFF of heights.

It finds out which mesh and which coordinate system are meant; ``heights.py`` of the library does the work. The commonest
change is another option: its decorator, and what is passed to `write_height_field`.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from depthraster.cli.common import PATH, chunk_option, debug_option, shown, threads_option, told
from depthraster.cli.progress import reported, status

if TYPE_CHECKING:
    from depthraster.chunk import Chunk
    from depthraster.io.meshes import Mesh

__all__ = ["height"]


@click.command()
@click.argument("source", metavar="CHUNK|MESH", type=PATH)
@click.argument("mesh", type=PATH, required=False)
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
@chunk_option
@click.option(
    "--model",
    metavar="NAME",
    help="Which mesh inside the project: its label or id.  [default: the active one]",
)
@click.option(
    "--mesh-crs",
    metavar="CRS",
    help="With CHUNK: what MESH was exported in, where that is not the chunk's own coordinates.",
)
@click.option(
    "--mesh-offset",
    type=float,
    nargs=3,
    metavar="X Y Z",
    help="The shift that MESH was exported with; added to its coordinates first.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there already.")
@threads_option
@debug_option
def height(
    source: Path,
    mesh: Path | None,
    output: Path,
    resolution: float,
    bounds: tuple[float, float, float, float] | None,
    crs: str | None,
    chunk_name: str | None,
    model: str | None,
    mesh_crs: str | None,
    mesh_offset: tuple[float, float, float] | None,
    overwrite: bool,
    threads: int | None,
    debug: bool,
) -> None:
    """Write the height field of a mesh, an elevation model of its top surface.

    With a MESH alone, PLY, OBJ, STL, OFF or GLB, cells and heights are in the mesh's own coordinates, and --crs
    says which system that is. With a CHUNK, a project of Metashape (.psx, .psz) or a cameras file, the mesh
    inside, or MESH in the chunk's own coordinates, is taken to the world first: to --crs, or to the chunk's own
    system. The GeoTIFF is float32, or float64 where that would round heights by more than a millionth of the
    extent; NaN where there is no mesh.

    \b
    Examples:
      depthraster height terrain.ply -o dem.tif --resolution 0.1 --crs EPSG:32632
      depthraster height survey.psx -o dem.tif --resolution 0.1
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    from depthraster.io.meshes import SUFFIXES, load_mesh

    alone = source.suffix.lower() in SUFFIXES
    if alone and mesh is not None:
        raise click.UsageError(
            "A chunk comes first, then MESH: name the project or cameras file, or one mesh."
        )
    if alone and (chunk_name is not None or model is not None or mesh_crs is not None):
        raise click.UsageError(
            "--chunk, --model and --mesh-crs are about a CHUNK: name it, or leave them out."
        )
    if not alone and mesh is None and (mesh_crs is not None or mesh_offset is not None):
        raise click.UsageError("--mesh-crs and --mesh-offset are about MESH: name the mesh file.")
    if mesh is not None and model is not None:
        raise click.UsageError("--model is about the meshes inside the project: leave out MESH.")
    if mesh is not None and mesh_offset is not None and mesh_crs is None:
        raise click.UsageError("--mesh-offset is in the units of --mesh-crs: name that, e.g. local.")
    start = time.perf_counter()
    with told(debug):
        if os.path.lexists(output) and not overwrite:
            raise FileExistsError(
                errno.EEXIST, "it is there already; nothing is replaced unasked: choose another name, or pass --overwrite",
                str(output),
            )  # fmt: skip
        with status("Reading the mesh"):
            from depthraster.heights import write_height_field
            from depthraster.scene import Scene

            if alone:
                found: Any = load_mesh(source)
                if mesh_offset is not None:
                    found = (found.vertices + mesh_offset, found.faces)
            else:
                from depthraster.io.metashape_project import load_chunk

                chunk = load_chunk(source, chunk_name)
                read = _read(chunk, mesh, model, mesh_crs, mesh_offset or (0.0, 0.0, 0.0))
                found, crs = _in_world(chunk, read, crs)
        with status("Preparing the mesh"):
            scene = Scene.from_mesh(found, threads=threads)
            del found
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
        click.echo(f"{_named(crs)}; {heights}.")
        if not written.n_seen:
            click.echo(
                "Warning: no cell sees the mesh; are the bounds in the coordinates of the file?", err=True
            )


def _read(
    chunk: Chunk,
    mesh: Path | None,
    model: str | None,
    mesh_crs: str | None,
    offset: tuple[float, float, float],
) -> Mesh:
    """Return the mesh in the chunk's own coordinates."""
    from depthraster.io.meshes import load_mesh

    if mesh is None:
        return chunk.load_mesh(model)
    read = load_mesh(mesh)
    return read if mesh_crs is None else cast("Mesh", chunk.from_world(read, mesh_crs, offset))


def _in_world(chunk: Chunk, mesh: Mesh, crs: str | None) -> tuple[Any, str | None]:
    """Return a chunk's mesh in the coordinates of the file, and their system."""
    from depthraster.crs import is_geographic, is_local, map_system

    if crs is None and chunk.transform is not None and not is_local(chunk.crs):
        assert chunk.crs is not None  # or it would be local
        crs = map_system(chunk.crs, chunk.to_world(mesh.vertices[:1])[0])
    elif crs is not None and is_geographic(crs):
        raise ValueError(
            f"the coordinate system is {crs!r}, in degrees, and cells have the same unit as heights; a projected system is "
            "needed: name one, e.g. EPSG:32632, or none"
        )
    if chunk.transform is None and crs is None:
        click.echo(
            "Warning: the chunk has no transform; cells and heights are in its own coordinates and units.",
            err=True,
        )
    return chunk.to_world(mesh, crs), crs


def _named(crs: str | None) -> str:
    """Return what coordinates are in, for people."""
    if crs is None:
        return "No coordinate system"
    from depthraster.crs import known_system

    try:
        return f"Coordinates are in {shown(str(known_system(crs).name))}"
    except ImportError:  # a mesh alone needs no pyproj
        return f"Coordinates are in {shown(crs)}"
