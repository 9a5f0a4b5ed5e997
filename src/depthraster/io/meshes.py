"""Mesh files to plain arrays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError

__all__ = ["Mesh", "load_mesh"]


class Mesh(NamedTuple):
    """A triangle mesh."""

    vertices: npt.NDArray[np.float64]
    faces: npt.NDArray[np.integer[Any]]


def load_mesh(path: str | os.PathLike[str]) -> Mesh:
    """Read a mesh file."""
    import trimesh

    path = Path(path)
    with path.open("rb") as file:
        try:
            scene = trimesh.load(file, file_type=path.suffix[1:].lower(), process=False, force="scene")
            mesh = scene.to_mesh()
        except Exception as error:
            raise FormatError(f"{path}: not read as a mesh ({error}); a mesh file is needed") from error
    if not len(mesh.faces):
        raise FormatError(f"{path}: there are no faces; a mesh is needed, not a point cloud: export the mesh")
    return Mesh(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces))
