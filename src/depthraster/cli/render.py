"""``depthraster render``: a chunk's cameras to depth images.

It reads, has ``survey.py`` render and write, and tells people how it goes. The commonest change is another option: its
decorator, and an argument handed on to `render_files`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from depthraster.cli.common import (
    PATH,
    chunk_option,
    debug_option,
    sentence,
    shown,
    threads_option,
    told,
)

if TYPE_CHECKING:
    from depthraster.chunk import Camera, Chunk
    from depthraster.io.meshes import Mesh
    from depthraster.survey import CameraFiles

__all__ = ["make_folder", "render", "render_files"]

_NAMED = 10  # cameras named one by one in a summary; of the others it gives the number

_Plan = tuple[list[tuple["Camera", str]], list[tuple["Camera", str]]]


@click.command()
@click.argument("project", metavar="CHUNK", type=PATH)
@click.argument("mesh", type=PATH, required=False)
@click.option(
    "-o", "--output", "folder", metavar="DIR", type=PATH, required=True, help="Folder for the images."
)
@chunk_option
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
@click.option(
    "--alpha", is_flag=True, help="Add a second channel to the TIFF: 1 where a face is seen, else 0."
)
@click.option("--no-cull", is_flag=True, help="Also show faces that are turned away from the camera.")
@click.option("--overwrite", is_flag=True, help="Replace files that are in the folder already.")
@threads_option
@debug_option
def render(
    project: Path,
    mesh: Path | None,
    folder: Path,
    chunk_name: str | None,
    patterns: tuple[str, ...],
    pattern_file: Any,
    disabled: bool,
    model: str | None,
    mesh_crs: str | None,
    mesh_offset: tuple[float, float, float] | None,
    depth: str | None,
    background: float,
    alpha: bool,
    no_cull: bool,
    overwrite: bool,
    threads: int | None,
    debug: bool,
) -> None:
    """Render the depth images of a chunk's cameras.

    CHUNK is a project of Metashape (.psx, .psz) or a cameras file (File > Export > Export Cameras, Agisoft
    XML). MESH is a mesh in the chunk's own (local) coordinates or, with --mesh-crs, in others: PLY, OBJ,
    STL, OFF or GLB; without it, the mesh inside the project is taken. Every aligned, enabled camera gets
    LABEL.tif, float32 depth in chunk units, and LABEL.png, a preview.

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
    options = {"depth": depth, "background": background, "add_alpha": alpha, "cull_faces": not no_cull}
    with told(debug):
        with Console(stderr=True).status("Reading the cameras"):
            from depthraster.io.meshes import load_mesh
            from depthraster.io.metashape_project import load_chunk
            from depthraster.selection import plan

            chunk = load_chunk(project, chunk_name)
            named = [*patterns, *_lines(pattern_file)]
            cameras = plan(chunk, named, disabled=disabled)

        def read_mesh() -> Mesh:
            if mesh is None:
                return chunk.load_mesh(int(model) if model is not None and model.isdecimal() else model)
            if mesh_crs is None:
                return load_mesh(mesh)
            return cast("Mesh", chunk.from_world(load_mesh(mesh), mesh_crs, mesh_offset or (0.0, 0.0, 0.0)))

        results = render_files(
            chunk, cameras, read_mesh, folder, overwrite=overwrite, debug=debug, threads=threads, **options
        )
    if any(result.error for result in results):
        sys.exit(1)


def _lines(file: Any) -> list[str]:
    """Return the lines of a text file that name something."""
    if file is None:
        return []
    lines = [line.strip() for line in file]
    named = [line for line in lines if line]
    if not named:
        raise ValueError(
            f"{file.name}: there is no line with text in it; the label of at least one camera is needed: write one a line"
        )
    return named


def make_folder(folder: Path) -> None:
    """Make the folder, or raise an OSError that says why nothing can be written there."""
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:  # name the folder, not the file that was tried
        raise OSError(error.errno, f"{error.strerror}; choose a folder for the images", str(folder)) from None


def render_files(
    chunk: Chunk,
    cameras: _Plan,
    read_mesh: Callable[[], Mesh],
    folder: Path,
    *,
    overwrite: bool,
    debug: bool,
    threads: int | None,
    **options: Any,
) -> list[CameraFiles]:
    """Read the mesh, render and write, telling people how it goes; return what became of the cameras."""
    import time

    console = Console(stderr=True)
    start = time.perf_counter()
    with console.status("Starting"):
        from depthraster.kernels.cache import compile_cache_is_cold
        from depthraster.scene import Scene
        from depthraster.survey import render_cameras, targets

    chosen, skipped = cameras
    if not chosen:
        counts = Counter(why for _, why in skipped)
        reasons = ", ".join(f"{n} {why}" for why, n in counts.items()) or "there are none"
        raise ValueError(
            f"{chunk.source}: none of the {len(skipped)} cameras can be rendered ({reasons}); "
            "at least one that is aligned, enabled and calibrated is needed: align the photos and export anew"
        )
    make_folder(folder)
    present = [path for _, name in chosen for path in targets(folder, name) if path.exists()]
    if present and not overwrite:
        more = f" and {len(present) - 1} more files of the same names" if len(present) > 1 else ""
        raise FileExistsError(
            f"{folder} already holds {present[0].name}{more}; nothing is replaced unasked: choose another "
            "folder, or pass --overwrite"
        )
    with console.status("Reading and preparing the mesh"):
        mesh = read_mesh()
        if compile_cache_is_cold():
            click.echo(
                "Compiling for this machine: some seconds, this once; later runs start at once.", err=True
            )
        scene = Scene(mesh.vertices, mesh.faces, threads=threads)
    results = []
    rendering = render_cameras(scene, chosen, folder, threads=threads, **options)
    for result in _with_bar(rendering, len(chosen), console):
        results.append(result)
        if result.error is not None:
            if debug:
                raise result.error
            told = shown(f"Error: {result.camera.label}: {sentence(result.error)}")
            console.print(told, markup=False, highlight=False, soft_wrap=True)
    _summary(chunk, results, skipped, folder, time.perf_counter() - start)
    return results


def _with_bar(results: Iterator[CameraFiles], total: int, console: Console) -> Iterator[CameraFiles]:
    """Pass results on, with a progress bar where a person is looking."""
    if not console.is_terminal:
        yield from results
        return
    columns = TextColumn("Rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(results, total=total)


def _summary(
    chunk: Chunk,
    results: Sequence[CameraFiles],
    skipped: Sequence[tuple[Camera, str]],
    folder: Path,
    seconds: float,
) -> None:
    done = [result for result in results if result.error is None]
    blank = [result.camera.label for result in done if not result.coverage]
    failed = [result.camera.label for result in results if result.error is not None]
    click.echo(
        f"{len(done)} of {len(results) + len(skipped)} cameras rendered to {folder} in {seconds:.1f} s."
    )
    for what, names in (
        ("skipped", [f"{camera.label} ({why})" for camera, why in skipped]),
        ("failed", failed),
        ("see nothing of the mesh", blank),
    ):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            click.echo(f"  {len(names)} {what}: {shown(', '.join(names[:_NAMED]))}{more}")
    click.echo(f"Depths are in chunk units; {_unit(chunk)}.")
    if done and len(blank) == len(done):
        click.echo(
            "Warning: no camera sees the mesh; was it exported in the chunk's own (local) coordinates?",
            err=True,
        )


def _unit(chunk: Chunk) -> str:
    if chunk.scale is None:
        return "the chunk has no transform that would say how long they are"
    return f"metres = depth * {chunk.scale:.9g}, the chunk's scale"
