"""Clusters: what `build_clusters` keeps of a mesh, read back face by face and compared with the mesh."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr
import meshes
from depthraster.kernels.clusters import MAX_FACES, MAX_VERTICES


def read_back(scene: dr.Scene):
    """Return of every face: its index in the mesh, its vertices' names, their coordinates less the origin, cluster, turn."""
    arrays, corners = scene._arrays, scene._corners
    parts = []
    for cluster, (first, end) in enumerate(zip(arrays.first_face[:-1], arrays.first_face[1:], strict=True)):
        n, at = arrays.n_vertices[cluster], arrays.first_vertex[cluster]
        assert 0 < end - first <= MAX_FACES and 0 < n <= MAX_VERTICES
        stored = (arrays.wide if arrays.is_wide[cluster] else arrays.narrow)[at : at + 3 * n].reshape(n, 3)
        points = arrays.centre[cluster] + stored * (1.0 if arrays.is_wide[cluster] else arrays.step)
        names = corners.vertex_ids[corners.first_id[cluster] : corners.first_id[cluster + 1]]
        assert len(set(names.tolist())) == n == len(names)
        assert (np.abs(points - arrays.centre[cluster]) <= arrays.half[cluster]).all()
        local = arrays.corners[3 * first : 3 * end].reshape(-1, 3)
        places = slice(first, end)
        parts.append(
            (
                arrays.face_ids[places],
                names[local],
                points[local],
                np.full(end - first, cluster),
                corners.turns[places],
            )
        )
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def cone_holds(cone, normals) -> bool:
    """Whether no normal is farther from the cone's axis than it says, or it says nothing."""
    lengths = np.linalg.norm(normals, axis=1)
    some = normals[lengths > 0] / lengths[lengths > 0, None]
    return bool(cone[3] == -2.0 or (some @ cone[:3].astype(np.float64) >= cone[3]).all())


def nasty() -> meshes.Mesh:
    """Vertices that share coordinates or lie in one place, zeros of both signs, faces without area, and repeated ones."""
    rng = np.random.default_rng(5)
    vertices = rng.choice([-3.0, -1.0, -0.0, 0.0, 0.5, 3.0], (9000, 3))
    faces = rng.integers(0, 9000, (9000, 3))
    faces[::7, 1] = faces[::7, 0]
    faces[100:200] = faces[:100]
    faces[200:300] = np.roll(faces[:100], 1, axis=1)
    return vertices, faces


MESHES = {
    "terrain": lambda: meshes.terrain(np.random.default_rng(1), 90, 80, 10.0, 8.0, 1.0),
    "sphere far from the origin": lambda: (meshes.icosphere(4)[0] + [5e5, 5.4e6, 100], meshes.icosphere(4)[1]),
    # The names that a table of 1024 slots finds hardest to tell apart.
    "names far apart": lambda: (
        np.repeat(meshes.icosphere(3)[0], 1024, axis=0), meshes.icosphere(3)[1] * 1024
    ),
    "soup": lambda: (np.random.default_rng(3).normal(size=(30000, 3)), np.arange(30000).reshape(-1, 3)),
    "nasty": nasty,
}  # fmt: skip


@pytest.mark.parametrize("storage", ["auto", "narrow", "wide"])
@pytest.mark.parametrize("kind", MESHES)
def test_clusters_hold_the_mesh(kind, storage):
    vertices, faces = MESHES[kind]()
    scene = dr.Scene._with_storage(vertices, faces, storage)
    origin, step = scene._origin, scene._arrays.step
    assert (step > 0) == (storage == "narrow" or (storage == "auto" and len(faces) >= 64 * MAX_FACES))
    face, names, points, cluster, turn = read_back(scene)
    assert sorted(face.tolist()) == list(range(len(faces)))
    around = (turn[:, None].astype(int) + [0, 1, 2]) % 3
    np.testing.assert_array_equal(names, np.take_along_axis(faces[face], around, axis=1))
    off = np.abs(points - (vertices[names] - origin))
    assert off.max() <= 0.5001 * step + 1e-15 * np.abs(vertices).max()
    normals = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    for number, cone in enumerate(scene._arrays.cone):
        assert cone_holds(cone, normals[cluster == number])
    if kind == "terrain":  # where it may not say nothing
        assert (scene._arrays.cone[:, 3] > 0).all()


@pytest.mark.parametrize("storage", ["narrow", "wide"])
def test_copies_of_a_face_are_stored_alike(storage):
    """Whichever of its vertices the file begins with, and whatever they are called there."""
    vertices, faces = nasty()
    corners = vertices[faces]
    few = [np.roll(corners, turn, axis=1) for turn in range(3)]
    # Each copy with vertices of its own, zeros of the other sign.
    copies = np.concatenate([few[0], few[1], few[2], np.where(corners == 0, -corners, corners)]).reshape(
        -1, 3
    )
    scene = dr.Scene._with_storage(copies, np.arange(len(copies)).reshape(-1, 3), storage)
    # Where two corners of a face lie in one place, either may be first; such a face has no area, and is not seen.
    distinct = np.array([len(set(map(tuple, face + 0.0))) == 3 for face in corners])
    face, _, points, _, _ = read_back(scene)
    stored = np.empty_like(points)
    stored[face] = np.round(points + scene._origin, 6) + 0.0
    first, *others = stored.reshape(4, -1, 9)[:, distinct]
    assert len(first) > 5000
    for other in others:
        np.testing.assert_array_equal(other, first)
