"""The command ``depthraster``: options in, words for people out.

Every command calls the library for the work. Results go to standard output; progress, warnings and errors to
standard error. Exit codes: 0 done, 1 an input or output file is bad, 2 wrong usage, 130 interrupted. The
commonest change is another option of ``render``: its decorator, and an argument handed on to `_render_files`.
Only what every command needs is imported at the top, so that ``--help`` is quick.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from depthraster.chunk import Camera, Chunk
    from depthraster.survey import CameraFiles

__all__ = ["main"]

_NAMED = 10  # cameras named one by one in a summary; of the others it gives the number

_PATH = click.Path(path_type=Path)
_threads = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads to use.  [default: all processors]"
)
_debug = click.option("--debug", is_flag=True, help="Show the traceback of an error.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="depthraster", prog_name="depthraster")
def main() -> None:
    """Depth images from a mesh and calibrated cameras."""


@main.command()
@click.argument("cameras", type=_PATH)
@click.argument("mesh", type=_PATH)
@click.option(
    "-o", "--output", "folder", metavar="DIR", type=_PATH, required=True, help="Folder for the images."
)
@click.option("--camera", "labels", metavar="LABEL", multiple=True, help="Only this camera; can be repeated.")
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
@_threads
@_debug
def render(
    cameras: Path,
    mesh: Path,
    folder: Path,
    labels: tuple[str, ...],
    depth: str | None,
    background: float,
    alpha: bool,
    no_cull: bool,
    overwrite: bool,
    threads: int | None,
    debug: bool,
) -> None:
    """Render the depth images of a chunk's cameras.

    CAMERAS is a cameras file of Metashape (File > Export > Export Cameras, Agisoft XML). MESH is a mesh in
    the chunk's own (local) coordinates: PLY, OBJ, STL, OFF or GLB. Every aligned, enabled camera gets
    LABEL.tif, float32 depth in chunk units, and LABEL.png, a preview.

    \b
    Example:
      depthraster render cameras.xml mesh.ply -o depth
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    options = {"depth": depth, "background": background, "add_alpha": alpha, "cull_faces": not no_cull}
    with _told(debug):
        results = _render_files(cameras, mesh, folder, labels, overwrite, debug, threads, **options)[1]
    if any(result.error for result in results):
        sys.exit(1)


@main.command()
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    type=_PATH,
    default=Path("depthraster-demo"),
    show_default=True,
    help="Folder for everything that is made.",
)
@_threads
@_debug
def demo(folder: Path, threads: int | None, debug: bool) -> None:
    """Make a small survey, render it, and show it on a contact sheet.

    The survey is a mesh, a village among hills, and a cameras file like Metashape's. Both are made from a
    seed and rendered as `depthraster render` does it. Files of an earlier demo are replaced.

    \b
    Example:
      depthraster demo -o depthraster-demo
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    console = Console(stderr=True)
    images = folder / "depth"
    with _told(debug):
        with console.status("Making a landscape, flying over it"):
            from depthraster.demo import make_survey, survey_sheet

            _make_folder(images)
            mesh, cameras = make_survey(folder)
        chunk, results = _render_files(cameras, mesh, images, (), True, debug, threads)
        with console.status("Drawing the contact sheet"):
            sheet = survey_sheet(folder / "contact-sheet.png", chunk, results)
    made = {"Mesh": mesh, "Cameras": cameras, "Depth images": images, "Contact sheet": sheet}
    for what, path in made.items():
        click.echo(f"{what + ':':<15}{path}")
    if any(result.error for result in results):
        sys.exit(1)


@contextmanager
def _told(debug: bool) -> Iterator[None]:
    """Turn the errors that input and disks can cause into a sentence and an exit code, and show warnings."""
    try:
        from depthraster.survey import EXPECTED_ERRORS

        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *_args, **_kwargs: click.echo(
                f"Warning: {message}", err=True
            )
            yield
    except KeyboardInterrupt:
        click.echo("Interrupted; the files that were written are whole.", err=True)
        sys.exit(130)
    except EXPECTED_ERRORS as error:
        if debug:
            raise
        click.echo(f"Error: {_sentence(error)}", err=True)
        sys.exit(1)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _make_folder(folder: Path) -> None:
    """Make the folder, or raise an OSError that says why nothing can be written there."""
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:  # name the folder, not the file that was tried
        raise OSError(error.errno, f"{error.strerror}; choose a folder for the images", str(folder)) from None


def _render_files(
    cameras_path: Path,
    mesh_path: Path,
    folder: Path,
    labels: Sequence[str],
    overwrite: bool,
    debug: bool,
    threads: int | None,
    **options: Any,
) -> tuple[Chunk, list[CameraFiles]]:
    """Read, render and write, telling people how it goes; return the chunk and what became of its cameras."""
    import time

    console = Console(stderr=True)
    start = time.perf_counter()
    with console.status("Reading the cameras"):
        from depthraster.io.metashape_project import load_chunk
        from depthraster.kernels.cache import compile_cache_is_cold
        from depthraster.scene import Scene
        from depthraster.survey import plan, render_cameras, targets

        chunk = load_chunk(cameras_path)
        chosen, skipped = plan(chunk, labels)
    if not chosen:
        counts = Counter(why for _, why in skipped)
        reasons = ", ".join(f"{n} {why}" for why, n in counts.items()) or "there are none"
        raise ValueError(
            f"{cameras_path}: none of the {len(skipped)} cameras can be rendered ({reasons}); "
            "at least one that is aligned, enabled and calibrated is needed: align the photos and export anew"
        )
    _make_folder(folder)
    present = [path for _, name in chosen for path in targets(folder, name) if path.exists()]
    if present and not overwrite:
        more = f" and {len(present) - 1} more files of the same names" if len(present) > 1 else ""
        raise FileExistsError(
            f"{folder} already holds {present[0].name}{more}; nothing is replaced unasked: choose another "
            "folder, or pass --overwrite"
        )
    if compile_cache_is_cold():
        click.echo("Compiling for this machine: some seconds, this once; later runs start at once.", err=True)
    with console.status("Reading and preparing the mesh"):
        scene = Scene.from_mesh(mesh_path, threads=threads)
    results = []
    rendering = render_cameras(scene, chosen, folder, threads=threads, **options)
    for result in _with_bar(rendering, len(chosen), console):
        results.append(result)
        if result.error is not None:
            if debug:
                raise result.error
            sentence = f"Error: {result.camera.label}: {_sentence(result.error)}"
            console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    _summary(chunk, results, skipped, folder, time.perf_counter() - start)
    return chunk, results


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
            click.echo(f"  {len(names)} {what}: {', '.join(names[:_NAMED])}{more}")
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
