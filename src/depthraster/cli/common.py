"""What every command needs: options, errors as one sentence with an exit code, text that is safe on a terminal.

Only what every command needs is imported at the top, so that ``--help`` is quick. The commonest change is an error that
input can cause: in `told`.
"""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

__all__ = [
    "PATH",
    "background_option",
    "cameras_file",
    "chunk_option",
    "debug_option",
    "folder_option",
    "no_cull_option",
    "refuse_files",
    "scale_option",
    "sentence",
    "shown",
    "threads_option",
    "told",
    "tolerance_option",
]

_IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".exr")

PATH = click.Path(path_type=Path)
chunk_option = click.option(
    "--chunk",
    "chunk_name",
    metavar="NAME",
    help="Which chunk of a project: its label, or its position from 0.",
)
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads to use.  [default: all processors]"
)
folder_option = click.option(
    "-o", "--output", "folder", metavar="DIR", type=PATH, required=True, help="Folder for the images."
)
scale_option = click.option(
    "--scale",
    type=float,
    default=1.0,
    show_default=True,
    help="Size of the images relative to the photos, e.g. 0.25.",
)
background_option = click.option(
    "--background", type=float, default=0.0, show_default=True, help="Depth where nothing is seen; also nan."
)
no_cull_option = click.option(
    "--no-cull", is_flag=True, help="Also show faces that are turned away from the camera."
)
tolerance_option = click.option(
    "--tolerance",
    type=float,
    default=2.0,
    show_default=True,
    help="How far behind a surface a point still is visible, in pixels of its slope.",
)
debug_option = click.option("--debug", is_flag=True, help="Show the traceback of an error.")


@contextmanager
def told(debug: bool, code: int = 1) -> Iterator[None]:
    """Turn the errors that input and disks can cause into a sentence and an exit code, and show warnings."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a label may hold what the terminal's encoding does not
            stream.reconfigure(errors="backslashreplace")
    try:
        from depthraster.survey import EXPECTED_ERRORS

        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *_args, **_kwargs: click.echo(
                f"Warning: {shown(str(message))}", err=True
            )
            yield
    except KeyboardInterrupt:
        click.echo("Interrupted; the files that were written are whole.", err=True)
        sys.exit(130)
    except (*EXPECTED_ERRORS, ImportError) as error:  # ImportError: an extra that is not installed
        if debug:
            raise
        click.echo(f"Error: {shown(_with_options(sentence(error)))}", err=True)
        sys.exit(code)


def cameras_file(path: Path) -> Path:
    """Return the path of a project or cameras file; raise ValueError where its suffix says that it is something else."""
    from depthraster.io.meshes import SUFFIXES

    suffix = path.suffix.lower()
    what = "a mesh" if suffix in SUFFIXES else "an image" if suffix in _IMAGES else None
    if what is not None:
        raise ValueError(
            f"{path} is named where the cameras are needed, and is {what} by its suffix: name the project or cameras file "
            "first, then the mesh if there is one"
        )
    return path


def sentence(error: Exception) -> str:
    """Return what an error says, with the file that the system names."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _with_options(text: str) -> str:
    """Return a sentence that advises to ``pass resolution=0.1`` with the option of the command at hand instead."""
    context = click.get_current_context(silent=True)
    for option in context.command.params if context is not None else ():
        spelling = next((name for name in option.opts if name.startswith("--")), None)
        if spelling is not None and option.name is not None:
            advice = rf"\bpass (e\.g\. )?{re.escape(option.name)}='?([^\s,;()']+)'?"
            text = re.sub(advice, rf"pass \g<1>{spelling} \2", text)
    return text


def shown(text: str) -> str:
    """Return text from a file with control characters spelled out, so that it cannot steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def refuse_files(paths: Iterable[Path]) -> None:
    """Raise FileExistsError where one of the files that are to be written is there already."""
    present = [path for path in paths if os.path.lexists(path)]
    if present:
        more = f", and {len(present) - 1} more files that would be written," if len(present) > 1 else ""
        raise FileExistsError(
            f"{present[0]} is there already{more} and nothing is replaced unasked: choose another name, or pass --overwrite"
        )
