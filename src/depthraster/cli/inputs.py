"""What commands on a chunk and its mesh are given: CHUNK, MESH, which cameras, which mesh, where the mesh is from.

`inputs` gives a command these arguments and options, and the command gets them as one `Inputs`, which reads what they name;
`mesh_inputs` gives those that are not about cameras, as a `MeshInputs`. The commonest change is another option of all these
commands: its line in `_OPTIONS` and a field of one of the two.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from depthraster.cli.common import PATH, cameras_file, chunk_option
from depthraster.cli.progress import status

if TYPE_CHECKING:
    from depthraster.chunk import Camera, Chunk
    from depthraster.io.meshes import Mesh
    from depthraster.scene import Scene
    from depthraster.survey import Settings

__all__ = ["Inputs", "MeshInputs", "inputs", "mesh_inputs", "prepared", "unit_line"]

_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "project": click.argument("project", metavar="CHUNK", type=PATH),
    "mesh": click.argument("mesh", type=PATH, required=False),
    "chunk_name": chunk_option,
    "component": click.option(
        "--component",
        metavar="NAME",
        help="The cameras of another component: its label or id.  [default: the active one]",
    ),
    "patterns": click.option(
        "--camera",
        "patterns",
        metavar="PATTERN",
        multiple=True,
        help="Only this camera: a label, or one with * and ?; can be repeated.",
    ),
    "pattern_file": click.option(
        "--cameras-from",
        "pattern_file",
        metavar="FILE",
        type=click.File(encoding="utf-8-sig"),
        help="Only the cameras that a text file names, a label or pattern a line; - for standard input.",
    ),
    "disabled": click.option(
        "--all", "disabled", is_flag=True, help="Also cameras that are switched off in the project."
    ),
    "model": click.option(
        "--model",
        metavar="NAME",
        help="Which mesh inside the project: its label or id.  [default: the active one]",
    ),
    "mesh_crs": click.option(
        "--mesh-crs",
        metavar="CRS",
        help="What MESH was exported in, where that is not the chunk's own coordinates: local, geocentric, EPSG:32610 ...",
    ),
    "mesh_offset": click.option(
        "--mesh-offset",
        type=float,
        nargs=3,
        metavar="X Y Z",
        help="The shift that MESH was exported with, in the units of --mesh-crs; added to its coordinates first.",
    ),
}


@dataclass(frozen=True)
class MeshInputs:
    """What the user named; nothing is read before it is asked for."""

    project: Path
    mesh: Path | None
    chunk_name: str | None
    component: str | None
    model: str | None
    mesh_crs: str | None
    mesh_offset: tuple[float, float, float] | None

    def __post_init__(self) -> None:
        if self.mesh is None and (self.mesh_crs is not None or self.mesh_offset is not None):
            raise click.UsageError("--mesh-crs and --mesh-offset are about MESH: name the mesh file.")
        if self.mesh is not None and self.model is not None:
            raise click.UsageError("--model is about the meshes inside the project: leave out MESH.")
        if self.mesh_offset is not None and self.mesh_crs is None:
            raise click.UsageError("--mesh-offset is in the units of --mesh-crs: name that, e.g. local.")

    @property
    def mesh_name(self) -> str:
        """What the mesh is called without its folder."""
        return self.mesh.name if self.mesh else "inside the project"

    def read_chunk(self) -> Chunk:
        """Read the chunk, in the frame of the component."""
        from depthraster.io.metashape_project import load_chunk

        chunk = load_chunk(cameras_file(self.project), self.chunk_name)
        return chunk if self.component is None else chunk.with_component(self.component)

    def read_mesh(self, chunk: Chunk) -> Mesh:
        """Read the mesh, in the chunk's frame."""
        from depthraster.io.meshes import load_mesh

        if self.mesh is None:
            return chunk.load_mesh(self.model)
        if self.mesh_crs is None:
            return load_mesh(self.mesh)
        offset = self.mesh_offset or (0.0, 0.0, 0.0)
        return cast("Mesh", chunk.from_world(load_mesh(self.mesh), self.mesh_crs, offset))


@dataclass(frozen=True)
class Inputs(MeshInputs):
    """The same, and which cameras."""

    patterns: tuple[str, ...]
    pattern_file: Any
    disabled: bool

    def read_cameras(self) -> tuple[Chunk, list[tuple[Camera, str]], list[tuple[Camera, str]]]:
        """Read the chunk; return it, the cameras chosen with their file names, at least one, and the others with reasons."""
        from depthraster.selection import plan

        chunk = self.read_chunk()
        named = [*self.patterns, *_lines(self.pattern_file)]
        chosen, skipped = plan(chunk, named, disabled=self.disabled)
        if not chosen:
            counts = Counter(why for _, why in skipped)
            reasons = ", ".join(f"{n} {why}" for why, n in counts.items()) or "there are none"
            raise ValueError(
                f"{chunk.source}: none of the {len(skipped)} cameras can be rendered ({reasons}); "
                "at least one that is aligned, enabled and calibrated is needed: align the photos and export anew"
            )
        return chunk, chosen, skipped


def inputs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Inputs`; it gets them together, as its first argument."""

    @functools.wraps(command)
    def with_inputs(**options: Any) -> None:
        given = Inputs(**{field.name: options.pop(field.name) for field in fields(Inputs)})
        command(given, **options)

    return _with_options(with_inputs, Inputs)


def mesh_inputs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `MeshInputs`; it gets them by name, for it may take a mesh alone, too."""
    return _with_options(command, MeshInputs)


def _with_options(command: Callable[..., None], given: type[MeshInputs]) -> Callable[..., None]:
    names = {field.name for field in fields(given)}
    for name, option in reversed(_OPTIONS.items()):
        if name in names:
            command = option(command)
    return command


def prepared(mesh: Mesh, threads: int | None) -> Scene:
    """Prepare a mesh, telling people why it takes its time."""
    from depthraster.scene import Scene

    with status("Preparing the mesh"):
        return Scene(mesh.vertices, mesh.faces, threads=threads)


def unit_line(chunk: Chunk, settings: Settings) -> str:
    """Return what people are told of the unit of depths."""
    steps = "" if settings.steps_per_unit is None else f", in steps of 1/{settings.steps_per_unit:.9g}"
    if settings.unit == "world":
        return f"Depths are in the world's units (metres where the chunk is georeferenced){steps}."
    if chunk.scale is None:
        return (
            f"Depths are in chunk units{steps}; the chunk has no transform that would say how long they are."
        )
    return f"Depths are in chunk units{steps}; metres = depth * {chunk.scale:.9g}, the chunk's scale."


def _lines(file: Any) -> list[str]:
    """Return the lines of a text file that name something."""
    if file is None:
        return []
    try:
        lines = [line.strip() for line in file]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file.name}: not read as text ({error}); a text file in UTF-8 is needed: save it as that, a label a line"
        ) from None
    named = [line for line in lines if line]
    if not named:
        raise ValueError(
            f"{file.name}: there is no line with text in it; the label of at least one camera is needed: write one a line"
        )
    return named
