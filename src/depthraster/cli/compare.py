"""``depthraster compare``: two depth images, recorded cases, or recorded answers, held against each other or what is here.

It says what the options are and shows what the library found. The commonest change is another option of a comparison: its
decorator, and an argument of `compare`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from depthraster.cli.common import PATH, chunk_option, debug_option, shown, threads_option, told

if TYPE_CHECKING:
    from depthraster.comparison import Comparison, Tolerances

__all__ = ["compare"]

_BAD_INPUT = 2  # as diff and cmp have it: 0 the same, 1 different, 2 trouble


def _scale(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    """Return the number that a scale is given as, None for auto."""
    if value == "auto":
        return None
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no number, and not 'auto'") from None


@click.command()
@click.argument("ours", metavar="OURS", type=PATH, required=False)
@click.argument("theirs", metavar="THEIRS", type=PATH, required=False)
@click.option(
    "--answers",
    type=PATH,
    metavar="FILE",
    help="Instead of images: tell where a Metashape that answered the probes of record_metashape_golden.py differs.",
)
@click.option(
    "--cameras",
    "project",
    metavar="CHUNK",
    type=PATH,
    help="A project or cameras file with the camera of the images: mistakes of the lens are named, and range told from Z.",
)
@click.option(
    "--camera", metavar="LABEL", help="Which camera of it.  [default: the one that OURS is named after]"
)
@chunk_option
@click.option(
    "--image-scale",
    type=float,
    metavar="F",
    help="Size of the images relative to that camera's photos, as for `render --scale`.  [default: 1]",
)
@click.option(
    "--mesh", type=PATH, help="The mesh, in the chunk's coordinates: mistakes of culling are named, too."
)
@click.option(
    "--depth",
    type=click.Choice(["z", "range"]),
    help="What depths should be.  [default: z, but for spherical]",
)
@click.option("--no-cull", is_flag=True, help="Faces that are turned away should be seen, too.")
@click.option(
    "--scale",
    callback=_scale,
    default="1",
    metavar="S",
    help="What OURS is multiplied by, e.g. metres per chunk unit; auto: what fits.  [default: 1]",
)
@click.option(
    "--background",
    type=float,
    multiple=True,
    help="A depth that means that nothing is seen; can be repeated.  [default: 0, without alpha]",
)
@click.option("--depth-tolerance", type=float, metavar="X", help="Parts of the depth.  [default: 1e-5]")
@click.option(
    "--pixel-tolerance", type=float, metavar="X", help="Pixels of the surface's slope.  [default: 0.02]"
)
@click.option(
    "--outliers",
    type=float,
    metavar="X",
    help="Share of the pixels that may differ by more.  [default: 0.001]",
)
@click.option(
    "--coverage", type=float, metavar="X", help="Share that may be seen in only one.  [default: 0.001]"
)
@click.option(
    "--inside", type=float, metavar="X", help="The same, of pixels not at an edge.  [default: 1e-5]"
)
@click.option(
    "--picture", metavar="FILE", type=PATH, help="Write a picture of it, a PNG; of cases, a folder of them."
)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
@threads_option
@debug_option
def compare(
    ours: Path | None,
    theirs: Path | None,
    answers: Path | None,
    project: Path | None,
    camera: str | None,
    chunk_name: str | None,
    image_scale: float | None,
    mesh: Path | None,
    depth: str | None,
    no_cull: bool,
    scale: float | None,
    background: tuple[float, ...],
    picture: Path | None,
    as_json: bool,
    threads: int | None,
    debug: bool,
    **limits: float | None,
) -> None:
    """Compare two depth images, and name the mistakes that explain how they differ.

    OURS and THEIRS are images of one size: TIFF, EXR, NPY, NPZ, PFM or 16-bit PNG, depth or depth and alpha.
    A folder alone is taken for recorded cases, each of which is rendered and compared with the image in it.
    Exit code 0: the same within the tolerances, 1: different, 2: trouble.

    \b
    Examples:
      depthraster compare depth/IMG_1.tif metashape/IMG_1.tif --picture difference.png
      depthraster compare depth/IMG_1.tif metashape/IMG_1.tif --cameras survey.psx --scale auto
      depthraster compare recorded-cases --picture pictures
      depthraster compare --answers recorded-cases/answers.json
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    if answers is not None:
        if ours is not None:
            raise click.UsageError("--answers is not about images: leave out OURS and THEIRS.")
        sys.exit(0 if _answers(answers, as_json, debug) else 1)
    if ours is not None and theirs is None and ours.is_dir():
        same = _cases(ours, picture, as_json, threads, debug)
        sys.exit(0 if same else 1)
    if ours is not None and theirs is None and not ours.exists():
        with told(debug, _BAD_INPUT):
            from depthraster.io.files import existing_file

            existing_file(ours, "a folder with cases, or one of two images,")
    if ours is None or theirs is None:
        raise click.UsageError("Two images are needed, or a folder with cases: name OURS and THEIRS.")
    if project is None and {mesh, camera, chunk_name, image_scale} != {None}:
        raise click.UsageError(
            "--mesh, --camera, --chunk and --image-scale go with --cameras: name a project or cameras file."
        )
    with told(debug, _BAD_INPUT):
        from depthraster.comparison import compare as compare_images

        context: dict[str, Any] = {}
        if project is not None:
            from depthraster.io.metashape_project import load_chunk

            view = load_chunk(project, chunk_name).camera(camera if camera is not None else ours.stem)
            if view.calibration is None or view.transform is None:
                lacking = "is not aligned" if view.transform is None else "has no calibration"
                raise ValueError(
                    f"{project}: camera {view.label!r} {lacking}; both are needed to name mistakes: leave out --cameras"
                )
            lens = view.calibration if image_scale is None else view.calibration.scaled(image_scale)
            context = {"calibration": lens, "transform": view.transform}
            if mesh is not None:
                context["scene"] = mesh
        found = compare_images(
            ours,
            theirs,
            **context,
            scale=scale,
            tolerances=_tolerances(limits),
            background=background or None,
            depth=cast("Any", depth),
            cull_faces=not no_cull,
            threads=threads,
        )
        _show(found, f"{ours}  against  {theirs}", picture, as_json)
    if not found.passed:
        sys.exit(1)


def _cases(folder: Path, pictures: Path | None, as_json: bool, threads: int | None, debug: bool) -> bool:
    """Compare every case in a folder with what it is rendered to; return whether all are the same."""
    with told(debug, _BAD_INPUT):
        from depthraster.comparison.cases import find_cases

        reports, failed = [], 0
        places = find_cases(folder)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
        for place in places:
            case = place.load()
            found = case.compare(threads=threads)
            failed += not found.passed
            if pictures is not None:
                found.save_picture(pictures / f"{place.name.replace('/', '_')}.png", shown(place.name))
            if as_json:
                reports.append({"case": place.name, "made_by": case.made_by, **found.as_json()})
            elif found.passed:
                spread = found.differences.relative
                most = (
                    f", 999 of 1000 pixels differ by {spread.p999:.2g} of the depth or less" if spread else ""
                )
                click.echo(f"PASS  {shown(place.name)}{most}")
            else:
                click.echo(f"FAIL  {shown(place.name)}\n")
                click.echo("\n".join(f"    {line}".rstrip() for line in str(found).splitlines()[1:]) + "\n")
        if as_json:
            click.echo(json.dumps({"passed": not failed, "cases": reports}, indent=1))
        else:
            click.echo(f"{len(places) - failed} of {len(places)} cases are the same.")
    return failed == 0


def _answers(path: Path, as_json: bool, debug: bool) -> bool:
    """Show where answers differ from what is done here; return whether none do."""
    with told(debug, _BAD_INPUT):
        from depthraster.comparison.answers import load_answers

        made_by, answers = load_answers(path)
        differing = [answer for answer in answers if answer.state == "differs"]
        if as_json:
            told_of = {"made_by": made_by, "answers": [dataclasses.asdict(answer) for answer in answers]}
            click.echo(json.dumps(told_of, indent=1))
            return not differing
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=shown(f"{made_by or 'unknown program'}, against depthraster"), title_justify="left"
        )
        for column in ("question", "here", "there", ""):
            table.add_column(column)
        for answer in answers:
            style = "bold red" if answer.state == "differs" else "dim" if answer.state != "same" else ""
            cells = answer.question, answer.ours, answer.theirs or "-", answer.state
            table.add_row(*(Text(shown(cell), style=style) for cell in cells))
        console = Console()
        console.print(table)
        for answer in differing:
            console.print(Text(shown(f"{answer.question}: {answer.theirs}; {answer.way}")))
        count = {
            state: sum(answer.state == state for answer in answers) for state in ("same", "not answered")
        }
        console.print(
            f"{count['same']} the same, {len(differing)} differ, {count['not answered']} not answered."
        )
    return not differing


def _tolerances(limits: dict[str, float | None]) -> Tolerances:
    from depthraster.comparison import Tolerances

    names = {"depth_tolerance": "depth", "pixel_tolerance": "pixels"}
    return Tolerances(**{names.get(name, name): value for name, value in limits.items() if value is not None})


def _show(found: Comparison, title: str, picture: Path | None, as_json: bool) -> None:
    if picture is not None:
        found.save_picture(picture, shown(title))
    if as_json:
        click.echo(json.dumps({"compared": title, **found.as_json()}, indent=1))
        return
    click.echo(str(found))
    if picture is not None:
        click.echo(f"\nPicture: {picture}")
