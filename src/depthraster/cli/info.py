"""``depthraster info``: what a project or cameras file holds, as tables for people or as JSON for programs.

`_facts` is the one place that says what is told of a chunk; the tables show a part of it. The commonest change is another
fact: a line there, and one in `_table`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from depthraster.cli.common import PATH, cameras_file, chunk_option, debug_option, shown, told

if TYPE_CHECKING:
    from depthraster.chunk import Chunk

__all__ = ["info"]


@click.command()
@click.argument("project", metavar="CHUNK", type=PATH)
@chunk_option
@click.option("--json", "as_json", is_flag=True, help="Everything, each camera included, as JSON.")
@debug_option
def info(project: Path, chunk_name: str | None, as_json: bool, debug: bool) -> None:
    """Tell what is in a project or a cameras file.

    CHUNK is a project of Metashape (.psx, .psz) or a cameras file. Its chunks are told one after the other,
    or the one that --chunk names.

    \b
    Example:
      depthraster info survey.psx
    """  # noqa: D301 (the \b keeps click from wrapping the example)
    with told(debug):
        from depthraster.io.metashape_project import load_chunk, load_chunks

        cameras_file(project)
        chunks = load_chunks(project) if chunk_name is None else (load_chunk(project, chunk_name),)
        facts = [_facts(chunk) for chunk in chunks]
        if as_json:
            click.echo(json.dumps({"file": str(project), "chunks": facts}, indent=1))
            return
        from rich.console import Console
        from rich.text import Text

        console = Console()
        for chunk in facts:
            console.print(Text(shown(f"Chunk {chunk['label']!r} of {project}"), style="bold"))
            for table in _tables(chunk):
                console.print(table)


def _facts(chunk: Chunk) -> dict[str, Any]:
    """Return what is told of a chunk, as JSON takes it."""
    from depthraster.selection import plan

    chosen, skipped = plan(chunk)
    why_not = {camera.id: reason for camera, reason in skipped}
    per_sensor = Counter(camera.sensor_id for camera in chunk.cameras)
    per_component = Counter(camera.component_id for camera in chunk.cameras if camera.aligned)
    return {
        "label": chunk.label,
        "id": chunk.id,
        "active": chunk.active,
        "enabled": chunk.enabled,
        "crs": _crs_name(chunk.crs),
        "crs_wkt": chunk.crs,
        "scale": chunk.scale,
        "world_from_chunk": None if chunk.transform is None else chunk.transform.tolist(),
        "n_cameras": len(chunk.cameras),
        "n_aligned": sum(camera.aligned for camera in chunk.cameras),
        "n_enabled": sum(camera.enabled for camera in chunk.cameras),
        "n_rendered": len(chosen),
        "not_rendered": dict(Counter(reason for _, reason in skipped)),
        "groups": [{"id": group.id, "label": group.label} for group in chunk.groups],
        "components": [
            {
                "id": part.id,
                "label": part.label,
                "active": part.id == chunk.active_component_id,
                "world_from_component": None if part.transform is None else part.transform.tolist(),
                "n_cameras": per_component[part.id],
            }
            for part in chunk.components
        ],
        "models": [
            {
                "id": model.id,
                "label": model.label,
                "active": model.active,
                "file": str(model.archive),
                "there": model.archive.is_file(),
            }
            for model in chunk.models
        ],
        "sensors": [
            {
                "id": sensor.id,
                "label": sensor.label,
                "type": sensor.type,
                "width": sensor.width,
                "height": sensor.height,
                "f": None if sensor.calibration is None else sensor.calibration.f,
                "calibration_class": sensor.calibration_class,
                "n_cameras": per_sensor[sensor.id],
            }
            for sensor in chunk.sensors
        ],
        "cameras": [
            {
                "id": camera.id,
                "label": camera.label,
                "sensor_id": camera.sensor_id,
                "aligned": camera.aligned,
                "enabled": camera.enabled,
                "not_rendered": why_not.get(camera.id),
                "photo": camera.photo,
            }
            for camera in chunk.cameras
        ],
    }


def _crs_name(wkt: str | None) -> str | None:
    """Return the name of a coordinate system: the first text in its WKT."""
    found = re.search(r'"([^"]*)"', wkt or "")
    return found.group(1) if found else None


def _tables(chunk: dict[str, Any]) -> list[Any]:
    """Return a chunk's facts as tables of rich's."""
    from rich.table import Table
    from rich.text import Text

    def row(*cells: object) -> list[Text]:  # never markup: a label may hold brackets
        return [Text("" if cell is None else shown(str(cell))) for cell in cells]

    def grid(title: str, columns: str, rows: list[tuple[object, ...]]) -> Table:
        table = Table(title=title, title_justify="left", title_style="italic")
        for name in columns.split(", "):
            table.add_column(name, justify="right" if name in ("id", "f", "cameras") else "left")
        for cells in rows:
            table.add_row(*row(*cells))
        return table

    reasons = ", ".join(f"{n} {why}" for why, n in chunk["not_rendered"].items())
    head = Table(show_header=False, box=None)
    head.add_row(
        *row(
            "cameras", f"{chunk['n_cameras']}: {chunk['n_aligned']} aligned, {chunk['n_enabled']} switched on"
        )
    )
    head.add_row(*row("to be rendered", f"{chunk['n_rendered']}" + (f"; not: {reasons}" if reasons else "")))
    head.add_row(*row("coordinate system", chunk["crs"] or "none"))
    scale = "none" if chunk["scale"] is None else f"{chunk['scale']:.9g} metres per chunk unit"
    head.add_row(*row("scale", scale))
    head.add_row(
        *row(
            "mesh inside",
            len(chunk["models"]) or "none; export it, and name it in `depthraster render CHUNK MESH`",
        )
    )
    tables = [head]
    for title, columns, key, fields in (
        ("Sensors", "id, label, lens, image, f, calibration, cameras", "sensors", _sensor_row),
        ("Meshes", "id, label, shown, file", "models", _model_row),
        ("Components", "id, label, active, cameras", "components", _component_row),
    ):
        if chunk[key] and (key != "components" or len(chunk[key]) > 1):
            tables.append(grid(title, columns, [fields(part) for part in chunk[key]]))
    return tables


def _sensor_row(sensor: dict[str, Any]) -> tuple[object, ...]:
    size = "" if sensor["width"] is None else f"{sensor['width']} × {sensor['height']}"
    f = "" if sensor["f"] is None else f"{sensor['f']:.2f}"
    return (
        sensor["id"],
        sensor["label"],
        sensor["type"],
        size,
        f,
        sensor["calibration_class"] or "none",
        sensor["n_cameras"],
    )


def _component_row(part: dict[str, Any]) -> tuple[object, ...]:
    return *_part_row(part), part["n_cameras"]


def _model_row(part: dict[str, Any]) -> tuple[object, ...]:
    return *_part_row(part), "" if part["there"] else "missing: copy the project's .files folder whole"


def _part_row(part: dict[str, Any]) -> tuple[object, ...]:
    return part["id"], part["label"], "yes" if part["active"] else ""
