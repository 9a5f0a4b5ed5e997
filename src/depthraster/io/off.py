"""OFF files (Geomview's text format, also with colours and normals) to vertices and polygons.

Read here and not by trimesh, which takes truncated files for whole and puts triangles, quads and polygons in another order
than the file. Cutting polygons and judging the mesh are ``meshes.py``'s. The commonest change is another kind of file:
`_HEADER`.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from depthraster.io.polygons import Floats, Ints

__all__ = ["read_off"]

# Texture coordinates, colours and normals follow x y z; 4 and n mean other than three dimensions.
_HEADER = re.compile(r"\s*(ST)?C?N?(4?)(n?)OFF\b(\s*BINARY)?")


def read_off(data: npt.NDArray[np.uint8]) -> tuple[Floats, Ints, Ints]:
    """Read an OFF file.

    Parameters
    ----------
    data : (n,) uint8 array
        The whole file, e.g. mapped.

    Returns
    -------
    vertices : (V, 3) float64 array
    corners : (N,) int64 array
        Vertex indices as the file has them, not checked.
    sizes : (P,) int64 array
        Corners of each face.

    Raises
    ------
    ValueError
        The file is no OFF or ends early; the message says what was found.
    """
    text = data.tobytes().decode("latin-1")
    header = _HEADER.match(re.sub(r"#.*", "", text[:10000]))
    if header is None:
        raise ValueError("the first word is not 'OFF'")
    if any(header.group(2, 3, 4)):
        raise ValueError(f"it is of the kind {header.group().strip()!r}, which is not supported")
    lines = [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
    # The counts stand in the line of the header or in the next.
    counts = lines[0][1:] if len(lines[0]) > 1 else (lines[1] if len(lines) > 1 else [])
    rows = lines[1 if len(lines[0]) > 1 else 2 :]
    try:
        n_vertices, n_faces = (int(word) for word in counts[:2])
    except ValueError:
        raise ValueError("the numbers of vertices and faces are missing") from None
    if n_vertices < 0 or n_faces < 0 or n_vertices + n_faces > len(rows):
        raise ValueError(f"{n_vertices} vertices and {n_faces} faces are promised by {len(rows)} lines")
    try:
        vertices = np.array([row[:3] for row in rows[:n_vertices]], np.float64).reshape(n_vertices, 3)
        faces = rows[n_vertices : n_vertices + n_faces]
        sizes = np.array([row[0] for row in faces], np.int64)
        corners = np.array([word for row in faces for word in row[1 : 1 + max(int(row[0]), 0)]], np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"a line of vertices or faces cannot be read: {error}") from None
    if len(corners) != sizes.sum() or (sizes < 0).any():
        raise ValueError("a face has fewer corners than it says")
    return vertices, corners, sizes
