"""Polygons are cut into triangles inside their outline, convex or not, and whatever the outline is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from depthraster.io.polygons import triangulate


def outline_area(points):
    x, y = points[:, 0], points[:, 1]
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


@given(
    radii=st.lists(st.floats(0.05, 1.0), min_size=3, max_size=40),
    turn=st.integers(0, 39),
    axes=st.permutations([0, 1, 2]),
    reverse=st.booleans(),
)
def test_star_shaped_polygons_are_cut_inside_their_outline(radii, turn, axes, reverse):
    n = len(radii)
    angles = 2 * np.pi * np.arange(n) / n
    plane = np.array(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    plane = np.roll(plane, turn, axis=0)
    if reverse:
        plane = plane[::-1]
    vertices = np.zeros((n, 3))
    vertices[:, axes[:2]] = plane
    faces = triangulate(np.arange(n), np.array([n]), vertices)
    a, b, c = (plane[faces[:, k]] for k in range(3))
    areas = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    total = outline_area(plane)
    assert faces.shape == (n - 2, 3)
    # All of the same sense, together the whole: they neither overlap nor leave the outline.
    assert (np.sign(total) * areas >= -1e-12).all()
    np.testing.assert_allclose(areas.sum(), total, rtol=1e-9)
    # Every side of the outline is a side of one triangle.
    sides = [(f[i], f[(i + 1) % 3]) for f in faces.tolist() for i in range(3)]
    assert all(sides.count((k, (k + 1) % n)) == 1 for k in range(n))


def test_a_comb_and_a_spiral_are_cut_inside_their_outline():
    comb = [[0, 0], [9, 0]] + [[9 - k / 2, 5 if k % 2 else 1] for k in range(19)]
    turns = np.linspace(0.5, 5, 60) * 2 * np.pi
    spiral = turns[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    spiral = np.concatenate([spiral, 0.93 * spiral[::-1]])
    for outline in (np.array(comb, float), spiral):
        n = len(outline)
        for points in (outline, outline[::-1]):
            vertices = np.column_stack([np.full(n, 7.0), points])  # seen along x
            faces = triangulate(np.arange(n), np.array([n]), vertices)
            a, b, c = (points[faces[:, k]] for k in range(3))
            areas = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
            assert (np.sign(outline_area(points)) * areas >= -1e-9).all()
            np.testing.assert_allclose(areas.sum(), outline_area(points), rtol=1e-9)


def test_concave_quads_are_cut_along_the_diagonal_inside():
    dart = np.array([[0, 0, 0], [4, 4, 0], [0, 1, 0], [-4, 4, 0]], float)  # concave at corner 2
    for start in range(4):
        corners = np.roll(np.arange(4), start)
        faces = triangulate(corners, np.array([4]), dart)
        assert all({0, 2} <= set(face) for face in faces.tolist())


def test_polygons_that_are_degenerate_are_still_cut():
    for points in (
        np.zeros((9, 3)),  # all in one place
        np.outer(np.arange(9), [1.0, 2, 3]),  # in one line
        np.array(
            [[0, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 0], [2, 2, 0], [2, 0, 0], [0.5, 3, 1]], float
        ),  # crossing
        np.full((7, 3), np.nan),
    ):
        n = len(points)
        faces = triangulate(np.arange(n), np.array([n]), points)
        assert faces.shape == (n - 2, 3)
        assert set(faces.ravel().tolist()) == set(range(n))


def test_polygons_stand_where_they_stood_among_others():
    vertices = np.array([[0, 0, 0], [2, 0, 0], [3, 1, 0], [2, 2, 0], [0, 2, 0]], float)
    polygons = [[0, 1, 3, 4], [1, 2, 3], [0, 1, 2, 3, 4], [4, 3, 1]]
    faces = triangulate(np.concatenate(polygons), np.array([4, 3, 5, 3]), vertices)
    expected = [[0, 1, 3], [0, 3, 4], [1, 2, 3], [0, 1, 2], [0, 2, 3], [0, 3, 4], [4, 3, 1]]
    assert faces.tolist() == expected
