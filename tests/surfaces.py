"""Meshes to be looked at from above, for tests of height fields: a terrain of known heights, a house with a table.

Each is in coordinates with Z up. The commonest change is another thing that stands on the ground of `house`.
"""

from __future__ import annotations

import numpy as np

import meshes

UTM = (500_000.0, 4_500_000.0, 1_500.0)
ECEF = (4_027_893.0, 307_045.0, 4_919_475.0)


def terrain(n=120, cell=0.5, origin=UTM):
    """A grid of vertices: easting and northing (n, n) with rows from north to south, heights, vertices, faces."""
    rng = np.random.default_rng(3)
    east, south = np.meshgrid(np.arange(n) * cell, np.arange(n) * cell)
    height = 20 * np.sin(east / 17) + 13 * np.cos(south / 7) + rng.normal(0, 0.2, east.shape)
    x, y, z = origin[0] + east, origin[1] - south, origin[2] + height
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate([corner[:, None] + [0, n, n + 1], corner[:, None] + [0, n + 1, 1]])
    return x, y, z, np.stack([x, y, z], axis=-1).reshape(-1, 3), faces


def around(x, y, cell):
    """Bounds with which the cells' centres are the vertices."""
    return x.min() - cell / 2, y.min() - cell / 2, x.max() + cell / 2, y.max() + cell / 2


def house():
    """A ground with a hole, a house with vertical walls on whole numbers, and a table above one corner."""
    ground, faces = meshes.grid(12, 12, (-6, -6), (6, 6))
    hole = (np.abs(ground[faces].mean(axis=1)[:, :2] - [4.5, -4.5]) < 0.5).all(axis=1)
    box = np.array([[x, y, z] for x in (-2, 2) for y in (-2, 2) for z in (0, 3)], float)
    sides = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    walls = np.array([[q[i] for i in t] for q in sides for t in ((0, 1, 2), (0, 2, 3))])
    table = np.array([[1, 1, 5], [5, 1, 5], [5, 5, 5], [1, 5, 5]], float), np.array([[0, 1, 2], [0, 2, 3]])
    return meshes.joined((ground, faces[~hole]), (box, walls), table)
