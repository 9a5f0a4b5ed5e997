"""Mesh files to plain arrays: `load_mesh` chooses the reader, judges what it found, and cuts polygons into triangles.

PLY, OBJ, STL and OFF have readers of their own beside this module, which say why; glTF is read by trimesh. What the
renderer needs of vertices is ``scene.py``'s to check. To add a format: a line in `_READERS`, a function that returns what
`_Polygons` says, and a file in ``tests/test_meshes_io.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError
from depthraster.io.files import existing_file
from depthraster.io.obj import read_obj
from depthraster.io.off import read_off
from depthraster.io.ply import read_ply
from depthraster.io.polygons import triangulate
from depthraster.io.stl import read_stl

__all__ = ["SUFFIXES", "Mesh", "load_mesh", "mesh_from_data"]

# A scene that places a mesh again and again can become larger than any memory.
_MAX_FACES = 200_000_000

# Vertices, corners and sizes; sizes None where corners are triangles (F, 3).
_Polygons = tuple[npt.NDArray[np.float64], npt.NDArray[np.integer], npt.NDArray[np.int64] | None]


class Mesh(NamedTuple):
    """A triangle mesh.

    Attributes
    ----------
    vertices : (V, 3) float64 array
        Coordinates, in the file's frame and unit.
    faces : (F, 3) int32 or int64 array
        Vertex indices.
    """

    vertices: npt.NDArray[np.float64]
    faces: npt.NDArray[np.integer[Any]]


def load_mesh(path: str | os.PathLike[str]) -> Mesh:
    """Read a mesh file: PLY, OBJ, STL, OFF, GLB or glTF.

    Vertices keep the file's order and values, in double precision; nothing is merged. Faces keep the file's order; a
    polygon of n corners becomes n - 2 triangles in its place. Scenes of glTF are put together with their transforms.

    Parameters
    ----------
    path : str or path
        The file; its suffix, in capitals or not, says the format.

    Returns
    -------
    Mesh
        Every face names vertices that exist; coordinates may be NaN or infinite where the file has them so.

    Raises
    ------
    FormatError
        The file is no such mesh, is damaged or truncated, is a point cloud, or has a face that names a missing vertex;
        the message says what was found.
    OSError
        The file cannot be read.
    """
    path = existing_file(path, "a mesh file", SUFFIXES)
    empty = path.stat().st_size == 0
    return mesh_from_data(
        np.empty(0, np.uint8) if empty else np.asarray(np.memmap(path, np.uint8, "r")), path
    )


def mesh_from_data(data: npt.NDArray[np.uint8], path: Path) -> Mesh:
    """Read a mesh that is in memory; errors as `load_mesh`.

    Parameters
    ----------
    data : (n,) uint8 array
        The whole file, e.g. mapped.
    path : Path
        Where it is from: its suffix says the format, and messages begin with it. Only glTF is read from there again.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FormatError(
            f"{path}: the suffix is {path.suffix!r}; one of {', '.join(_READERS)} is needed: export the mesh as PLY"
        )
    if not len(data):
        raise FormatError(f"{path}: the file is empty; a mesh is needed: export it again")
    try:
        vertices, corners, sizes = reader(data, path)
    except OSError:
        raise
    except Exception as error:  # trimesh raises many kinds
        raise FormatError(
            f"{path}: not read as {path.suffix[1:].upper()}: {str(error) or type(error).__name__}; a whole triangle mesh is "
            "needed: export it again, or as PLY"
        ) from error
    return _mesh(vertices, corners, sizes, path)


def _mesh(
    vertices: npt.NDArray[np.float64],
    corners: npt.NDArray[np.integer],
    sizes: npt.NDArray[np.int64] | None,
    path: Path,
) -> Mesh:
    if not corners.size and (sizes is None or not len(sizes)):
        if not len(vertices):
            raise FormatError(
                f"{path}: there is nothing in the file; a triangle mesh is needed: export it again"
            )
        raise FormatError(
            f"{path}: this is a point cloud, {len(vertices)} points and no faces; a triangle mesh is needed: make one of "
            "the points and export that"
        )
    if sizes is not None and (sizes < 3).any():
        face = int(np.argmax(sizes < 3))
        raise FormatError(
            f"{path}: face {face} (counted from 0) has {sizes[face]} corners; three or more are needed: mend the mesh, or "
            "export it again"
        )
    # One copy, in the machine's byte order: what follows is faster on it than on the file's rows.
    corners = np.ascontiguousarray(corners, corners.dtype.newbyteorder("="))
    if corners.min() < 0 or corners.max() >= len(vertices):
        corner = int(np.argmax(((corners < 0) | (corners >= len(vertices))).reshape(-1)))
        face = corner // 3 if sizes is None else int(np.searchsorted(np.cumsum(sizes), corner, "right"))
        named = corners.reshape(-1)[corner]
        what = f"vertex {named}" if named >= 0 else "a vertex before the first"
        raise FormatError(
            f"{path}: face {face} (counted from 0) names {what}, and there are {len(vertices)} "
            "vertices; every face needs vertices that exist: export the mesh again"
        )
    if sizes is not None and (sizes == 3).all():
        corners, sizes = corners.reshape(-1, 3), None
    try:
        faces = corners if sizes is None else triangulate(corners, sizes, vertices)
    except ValueError as error:
        raise FormatError(
            f"{path}: {error}; a triangle mesh is needed: triangulate it when exporting"
        ) from None
    return Mesh(vertices, faces.astype(np.int32 if len(vertices) < 2**31 else np.int64, copy=False))


def _read_gltf(data: npt.NDArray[np.uint8], path: Path) -> _Polygons:
    if path.suffix.lower() == ".glb":
        length, kind = int.from_bytes(data[12:16].tobytes(), "little"), data[16:20].tobytes()
        if data[:4].tobytes() != b"glTF" or kind != b"JSON":
            raise ValueError("it does not begin with a glTF header")
        text = data[20 : 20 + length].tobytes()
    else:
        text = data.tobytes()
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("its JSON is no object")
    _check_gltf(header, len(data))
    return _read_with_trimesh(path)


def _check_gltf(header: dict[str, Any], n_bytes: int) -> None:
    """Refuse what trimesh would take memory for, leave out, or read as zeros without an error."""
    coded = {"KHR_draco_mesh_compression", "EXT_meshopt_compression", "EXT_mesh_gpu_instancing"}
    if found := sorted(coded & {*header.get("extensionsRequired", []), *header.get("extensionsUsed", [])}):
        raise ValueError(f"it uses {found[0]}, which is not supported")
    accessors = header.get("accessors", [])
    outside = any("uri" in buffer for buffer in header.get("buffers", []))
    for primitive in (part for mesh in header.get("meshes", []) for part in mesh["primitives"]):
        if primitive.get("mode", 4) in (2, 3, 6):
            raise ValueError(f"it has primitives of mode {primitive['mode']}, which are not supported")
        position = accessors[primitive["attributes"]["POSITION"]]
        if position["componentType"] != 5126:
            raise ValueError("its vertices are not floats (KHR_mesh_quantization), which is not supported")
        for accessor in (position, *([accessors[primitive["indices"]]] if "indices" in primitive else [])):
            if "sparse" in accessor or "bufferView" not in accessor:
                raise ValueError("it has sparse accessors, which are not supported")
    for k, accessor in enumerate(accessors):
        if "bufferView" not in accessor and accessor["count"] > n_bytes and not outside:
            raise ValueError(f"accessor {k} promises {accessor['count']} items in {n_bytes} bytes")


def _read_with_trimesh(path: Path) -> _Polygons:
    """Read a scene and put its meshes together, each where the scene's graph places it."""
    import trimesh

    with path.open("rb") as file:
        scene: Any = trimesh.load(
            file,
            file_type=path.suffix[1:].lower(),
            resolver=trimesh.resolvers.FilePathResolver(str(path)),
            force="scene",
            process=False,
            skip_materials=True,
        )
    vertices, faces, points = [np.empty((0, 3))], [np.empty((0, 3), np.int64)], [np.empty((0, 3))]
    n_vertices = n_faces = 0
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        geometry = scene.geometry[name]
        if not isinstance(geometry, trimesh.Trimesh):
            points.append(np.asarray(geometry.vertices, np.float64))
            continue
        own = np.asarray(geometry.vertices, np.float64)
        own_faces = np.asarray(geometry.faces, np.int64)
        n_faces += len(own_faces)
        if n_faces > _MAX_FACES:
            raise ValueError(f"its scene has more than {_MAX_FACES} faces")
        if not np.array_equal(transform, np.eye(4)):
            own = own @ transform[:3, :3].T + transform[:3, 3]
            if np.linalg.det(transform[:3, :3]) < 0:  # glTF 2.0, 3.7.4: a mirrored mesh keeps its front faces
                own_faces = own_faces[:, ::-1]
        if len(own_faces) and (own_faces.min() < 0 or own_faces.max() >= len(own)):
            face = int(np.argmax(((own_faces < 0) | (own_faces >= len(own))).any(axis=1)))
            raise ValueError(f"face {face} of {name!r} names a vertex beyond its {len(own)}")
        faces.append(own_faces + n_vertices)
        vertices.append(own)
        n_vertices += len(own)
    if not n_faces:  # say how many points there are
        vertices += points
    return np.concatenate(vertices), np.concatenate(faces), None


_READERS: dict[str, Callable[[npt.NDArray[np.uint8], Path], _Polygons]] = {
    ".ply": lambda data, _: read_ply(data),
    ".obj": lambda data, _: read_obj(data),
    ".stl": lambda data, _: read_stl(data),
    ".off": lambda data, _: read_off(data),
    ".glb": _read_gltf,
    ".gltf": _read_gltf,
}

SUFFIXES = tuple(_READERS)
