"""``depthraster demo``: a survey made up, rendered, and shown on one picture.

The survey is ``demo.py``'s of the library, rendering is the command ``render``'s.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from depthraster.cli.common import PATH, debug_option, threads_option, told
from depthraster.cli.progress import status

__all__ = ["demo"]


@click.command()
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    type=PATH,
    default=Path("depthraster-demo"),
    show_default=True,
    help="Folder for everything that is made.",
)
@threads_option
@debug_option
def demo(folder: Path, threads: int | None, debug: bool) -> None:
    """Make a small survey, render it, and show it on a contact sheet.

    The survey is a mesh, a village among hills, and a cameras file like Metashape's. Both are made from a
    seed and rendered as `depthraster render` does it. Files of an earlier demo are replaced, no others.

    \b
    Example:
      depthraster demo -o depthraster-demo
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    with told(debug):
        with status("Making a landscape, flying over it"):
            from depthraster.cli.job import Job, make_folder, run
            from depthraster.demo import IMAGES, SHEET, make_survey, refuse_foreign, survey_sheet
            from depthraster.io.meshes import load_mesh
            from depthraster.io.metashape_project import load_chunk
            from depthraster.selection import plan
            from depthraster.survey import Settings

            refuse_foreign(folder)
            images = folder / IMAGES
            make_folder(images)
            mesh, cameras = make_survey(folder)
            chunk = load_chunk(cameras)
        job = Job(chunk, *plan(chunk), lambda: load_mesh(mesh), mesh.name, images, Settings())
        results = run(job, resume=False, overwrite=True, debug=debug, threads=threads)
        with status("Drawing the contact sheet"):
            sheet = survey_sheet(folder / SHEET, chunk, images, results)
    made = {"Mesh": mesh, "Cameras": cameras, "Depth images": images, "Contact sheet": sheet}
    for what, path in made.items():
        click.echo(f"{what + ':':<15}{path}")
    if any(result.error for result in results):
        sys.exit(1)
