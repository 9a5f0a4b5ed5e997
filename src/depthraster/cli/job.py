"""An export from the start to its summary: what is there already, the mesh, rendering with a bar, manifest and page.

The steps are the library's; here is their order, and what people are told on the way. The commonest change is a line of the
summary.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from depthraster.cli.common import sentence, shown
from depthraster.cli.inputs import prepared, unit_line
from depthraster.cli.progress import SHOW_CURSOR, counted, on_terminal, say, status
from depthraster.cli.warmup import compiling_told, kernels_loading

if TYPE_CHECKING:
    from depthraster.chunk import Camera, Chunk
    from depthraster.io.meshes import Mesh
    from depthraster.manifest import Export
    from depthraster.scene import Scene
    from depthraster.survey import Outcome, Settings

__all__ = ["Job", "make_folder", "run"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # the others would fail for it, too
_FILES_NAMED = 3
_NAMED = 10  # cameras named one by one in a summary; of the others it gives the number


@dataclass(frozen=True)
class Job:
    """What is to be rendered, and where to."""

    chunk: Chunk
    chosen: Sequence[tuple[Camera, str]]  # with the names of their files, from `plan`
    skipped: Sequence[tuple[Camera, str]]  # with the reasons
    read_mesh: Callable[[], Mesh]
    mesh_name: str
    folder: Path
    settings: Settings


def make_folder(folder: Path) -> None:
    """Make the folder, or raise an OSError that says why nothing can be written there."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:  # name the folder, not the file that was tried
        there = "this is a file" if folder.is_file() else error.strerror
        raise OSError(
            error.errno,
            f"{there}; a folder that can be written to is needed: choose another with -o",
            str(folder),
        ) from None


def run(job: Job, *, resume: bool, overwrite: bool, debug: bool, threads: int | None) -> list[Outcome]:
    """Read the mesh, render and write, telling people how it goes; return what became of the cameras."""
    started, start = datetime.now(timezone.utc), time.perf_counter()
    from depthraster.io.image_formats import check_installed
    from depthraster.survey import FORMATS

    check_installed(FORMATS[job.settings.format])  # before a folder is made for it
    is_new = not job.folder.exists()
    make_folder(job.folder)
    try:
        with _ended_at_once(), compiling_told():
            results, n_kept, settings = _export(job, resume, overwrite, debug, threads, started, start)
    except BaseException:
        if is_new:
            with suppress(OSError):  # there is something in it
                job.folder.rmdir()
        raise
    _summary(job, settings, results, n_kept, time.perf_counter() - start)
    return results


def _export(
    job: Job, resume: bool, overwrite: bool, debug: bool, threads: int | None, started: datetime, start: float
) -> tuple[list[Outcome], int, Settings]:
    """Make the files; return what became of the cameras, how many were finished before, and the settings made definite."""
    from depthraster.gallery import write_gallery
    from depthraster.manifest import refuse_present
    from depthraster.selection import file_names
    from depthraster.survey import Outcome

    if not (resume or overwrite):
        paths = (path for _, name in job.chosen for path in job.settings.paths(name).values())
        refuse_present(job.folder, paths)
    with status("Reading the mesh"), kernels_loading({*job.settings.layers, "depth"}):
        mesh = job.read_mesh()
        export, settings, units = _begin(job, mesh, resume=resume, overwrite=overwrite)
    with closing(export):
        with status("Checking what is finished"):
            kept = _kept(job, export, settings, threads) if resume else set()
        missing = [(camera, name) for camera, name in job.chosen if name not in kept]
        scene = prepared(mesh, threads) if missing else None
        made, begun = {}, time.perf_counter()
        with closing(_rendered(missing, scene, export, settings, units, threads)) as outcomes:
            for outcome in outcomes:
                made[id(outcome.camera)] = outcome
                if outcome.error is not None:
                    if debug:
                        raise outcome.error
                    _tell_error(outcome.camera, outcome.error, job.folder)
        results = [
            made.get(id(camera)) or Outcome(camera, export.records[name]) for camera, name in job.chosen
        ]
        rendering = time.perf_counter() - begun
        with status("Writing the manifest"):
            more = {
                "failed": [_reason(r.camera, sentence(r.error)) for r in results if r.error is not None],
                "skipped": [_reason(camera, why) for camera, why in job.skipped],
                "times": {
                    "started": started.isoformat(timespec="seconds"),
                    "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                    "seconds": round(time.perf_counter() - start, 3),
                    "rendering_seconds": round(rendering, 3),  # and writing
                },
            }
            names = file_names(job.chunk.cameras)  # all: the order is the chunk's, whichever were made when
            export.finish(names, more, lambda path, content: write_gallery(path, job.folder, content))
        left = export.left_over()
        if left:
            say(
                shown(
                    f"Note: {len(left)} files of an earlier export are in the folder still, and not in the manifest: "
                    f"{', '.join(left[:_FILES_NAMED])}{' ...' if len(left) > _FILES_NAMED else ''}"
                )
            )
    return results, len(kept), settings


def _reason(camera: Camera, reason: str) -> dict[str, Any]:
    return {"label": camera.label, "camera_id": camera.id, "reason": reason}


def _begin(job: Job, mesh: Mesh, *, resume: bool, overwrite: bool) -> tuple[Export, Settings, float]:
    """Open the folder as an export of this mesh with these settings, made definite."""
    from depthraster.manifest import MANIFEST, Export, fingerprint

    every = [camera for camera in job.chunk.cameras if camera.transform is not None]
    settings = job.settings.resolved(job.chunk, every, mesh.vertices)
    units = settings.units(job.chunk)
    header = {
        "version": version("depthraster"),
        "chunk": {"label": job.chunk.label, "scale": job.chunk.scale, "crs": job.chunk.crs},
        "mesh": {
            "n_vertices": len(mesh.vertices),
            "n_faces": len(mesh.faces),
            "sha256": fingerprint(mesh.vertices, mesh.faces),
        },
        "settings": settings.as_json(),
        "sources": {"cameras": job.chunk.source.name if job.chunk.source else "", "mesh": job.mesh_name},
    }
    export = Export(job.folder, header, resume=resume)
    if not overwrite:
        paths = (path for _, name in job.chosen for path in settings.paths(name).values())
        foreign = export.foreign(paths)
        if foreign:
            export.close()
            missing = (
                "" if (job.folder / MANIFEST).exists() else " as far as can be told without its manifest.json"
            )
            raise FileExistsError(
                f"{job.folder} holds {foreign[0]}, which this export did not make{missing}; nothing is replaced unasked: "
                "choose another folder, or pass --overwrite"
            )
    return export, settings, units


def _kept(job: Job, export: Export, settings: Settings, threads: int | None) -> set[str]:
    from depthraster.scene import thread_count
    from depthraster.survey import describe

    wanted = [describe(camera, name, settings) for camera, name in job.chosen]
    return export.keep(wanted, thread_count(threads))


def _rendered(
    cameras: Sequence[tuple[Camera, str]],
    scene: Scene | None,
    export: Export,
    settings: Settings,
    units: float,
    threads: int | None,
) -> Generator[Outcome]:
    """Render, showing that it goes on; nothing at all where there are no cameras."""
    if scene is None:
        return
    from depthraster.survey import render_cameras

    outcomes = render_cameras(scene, cameras, export, settings, units=units, threads=threads)
    yield from counted(outcomes, len(cameras), _megapixels)


def _tell_error(camera: Camera, error: Exception, folder: Path) -> None:
    """Tell why a camera could not be rendered or written; raise OSError where the next ones could not either."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        more = "; what is finished is whole: make room, and go on with --resume"
        raise OSError(error.errno, f"{error.strerror}{more}", str(folder)) from error
    say(shown(f"Error: {camera.label}: {sentence(error)}"))


def _megapixels(outcome: Outcome) -> float:
    return outcome.record["width"] * outcome.record["height"] / 1e6 if outcome.record else 0.0


@contextmanager
def _ended_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process without waiting for images that are in work: what is in its place is whole anyway."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    clean_up = SHOW_CURSOR if on_terminal() else ""  # asked now: a bar puts something else in stderr's place

    def leave(*_: object) -> None:
        message = "Interrupted; what is finished is whole, and --resume goes on with the rest.\n"
        # Not by print, of which one may be under way already.
        os.write(sys.stderr.fileno(), (clean_up + message).encode())
        os._exit(130)

    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _summary(job: Job, settings: Settings, results: Sequence[Outcome], n_kept: int, seconds: float) -> None:
    done = [outcome for outcome in results if outcome.record is not None]
    blank = [o.camera.label for o in done if o.record is not None and not o.record["coverage"]]
    failed = [outcome.camera.label for outcome in results if outcome.record is None]
    kept = f", {n_kept} of them before" if n_kept else ""
    click.echo(
        f"{len(done)} of {len(results) + len(job.skipped)} cameras rendered to {job.folder} in {seconds:.1f} s{kept}."
    )
    for what, names in (
        ("skipped", [f"{camera.label} ({why})" for camera, why in job.skipped]),
        ("failed", failed),
        ("see nothing of the mesh" if len(blank) > 1 else "sees nothing of the mesh", blank),
    ):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            click.echo(f"  {len(names)} {what}: {shown(', '.join(names[:_NAMED]))}{more}")
    if done:
        click.echo(unit_line(job.chunk, settings))
    if done and len(blank) == len(done):
        click.echo(
            "Warning: no camera sees the mesh; it must be in the chunk's own (local) coordinates, or in what --mesh-crs and "
            "--mesh-offset say it was exported in.",
            err=True,
        )
