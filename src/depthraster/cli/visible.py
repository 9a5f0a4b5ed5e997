"""``depthraster visible``: which cameras of a chunk see which points, as a table.

It says what the options are, and writes what `visibility_table` finds. The commonest change is another column: in `_save`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from depthraster.cli.common import PATH, debug_option, refuse_files, threads_option, told, tolerance_option
from depthraster.cli.inputs import Inputs, inputs, prepared, unit_line
from depthraster.cli.progress import status
from depthraster.cli.warmup import compiling_told

if TYPE_CHECKING:
    from depthraster.io.points import Points
    from depthraster.visibility import VisibilityTable

__all__ = ["visible"]

_SUFFIXES = (".csv", ".npz")


@click.command()
@click.option(
    "-o",
    "--output",
    "path",
    metavar="FILE",
    type=PATH,
    required=True,
    help="The table: .csv, or .npz for numpy.",
)
@click.option(
    "--points",
    "points_path",
    metavar="FILE",
    type=PATH,
    required=True,
    help="The points: .csv, .txt or .xyz (x y z, or columns that a first line names), .npy, .ply.",
)
@click.option(
    "--points-crs",
    metavar="CRS",
    help="What they are in, where that is not the chunk's own coordinates: local, geocentric, EPSG:32610 ...",
)
@click.option(
    "--points-offset",
    type=float,
    nargs=3,
    metavar="X Y Z",
    help="A shift that is added to their coordinates first.",
)
@inputs
@tolerance_option
@click.option(
    "--unit",
    type=click.Choice(["chunk", "world"]),
    default="chunk",
    show_default=True,
    help="Depth in the chunk's own units, or in the world's (metres where it is georeferenced).",
)
@click.option("--overwrite", is_flag=True, help="Replace the table if it is there already.")
@threads_option
@debug_option
def visible(
    given: Inputs,
    path: Path,
    points_path: Path,
    points_crs: str | None,
    points_offset: tuple[float, float, float] | None,
    tolerance: float,
    unit: str,
    overwrite: bool,
    threads: int | None,
    debug: bool,
) -> None:
    """Tell which cameras see which points, and where in the image.

    CHUNK and MESH are as for `render`. A point is seen if it is in the image and the mesh does not hide it.
    A CSV has a line for each point and camera that sees it: the point's number from 0, its label if the
    points have labels, the camera's label, u and v in pixels from the image's outer top-left corner, depth.
    An NPZ has arrays: point, view, pixel, depth; camera (labels, by view), point_label.

    \b
    Examples:
      depthraster visible survey.psx --points targets.csv -o seen.csv --points-crs EPSG:32610
      depthraster visible cameras.xml mesh.ply --points cloud.ply -o seen.npz
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    if points_offset is not None and points_crs is None:
        raise click.UsageError("--points-offset is in the units of --points-crs: name that, e.g. local.")
    if path.suffix.lower() not in _SUFFIXES:
        raise click.UsageError(f"{path.name} is to be the table: end its name in {' or '.join(_SUFFIXES)}.")
    with told(debug), compiling_told():
        start = time.perf_counter()
        if not overwrite:
            refuse_files([path])
        with status("Reading cameras and points"):
            from depthraster.io.points import load_points
            from depthraster.survey import Settings
            from depthraster.visibility import visibility_table

            settings = Settings(unit=unit)
            chunk, chosen, _ = given.read_cameras()
            units = settings.units(chunk)
            points = load_points(points_path)
            coordinates: Any = points.coordinates
            if points_crs is not None:
                coordinates = chunk.from_world(coordinates, points_crs, points_offset or (0.0, 0.0, 0.0))
        with status("Reading the mesh"):
            mesh = given.read_mesh(chunk)
        scene = prepared(mesh, threads)
        with status("Looking at the points"):
            views = [camera for camera, _ in chosen]
            table = visibility_table(scene, coordinates, views, tolerance, threads=threads)
        with status("Writing the table"):
            _save(path, points, table._replace(depth=table.depth * units))
        unseen = table.n_points - int((table.views_per_point > 0).sum())
        click.echo(
            f"{table.n_points} points, {table.n_views} cameras: {len(table.point)} pairs of a point and a camera that sees "
            f"it, in {path}; {time.perf_counter() - start:.1f} s."
        )
        if unseen:
            click.echo(f"  {unseen} points are seen by no camera.")
        click.echo(unit_line(chunk, settings))
        if unseen == table.n_points:
            click.echo(
                "Warning: no camera sees any point; are they in the chunk's own (local) coordinates, and the mesh, too?",
                err=True,
            )


def _save(path: Path, points: Points, table: VisibilityTable) -> None:
    """Write the table."""
    import numpy as np

    from depthraster.io.files import written_whole
    from depthraster.io.image_formats import write_npz
    from depthraster.io.tables import save_csv

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".npz":
        arrays: dict[str, Any] = {
            "point": table.point,
            "view": table.view,
            "pixel": table.pixel,
            "depth": table.depth,
            "camera": np.array(table.labels, np.str_),
        }
        if points.labels is not None:
            arrays["point_label"] = np.array(points.labels, np.str_)
        with written_whole(path) as temporary:
            write_npz(temporary, arrays)
        return
    columns: dict[str, tuple[str, Any]] = {"point": ("d", table.point)}
    if points.labels is not None:
        columns["label"] = "", [points.labels[k] for k in table.point.tolist()]
    columns |= {
        "camera": ("", [table.labels[k] for k in table.view.tolist()]),
        "u": (".4f", table.pixel[:, 0]),
        "v": (".4f", table.pixel[:, 1]),
        "depth": (".9g", table.depth),
    }
    save_csv(path, columns)
