"""The twin by itself: its lens goes round, planes and spheres are the textbook's, distances right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cameras
import meshes
import reference

LENSES = sorted(cameras.LENSES)


@pytest.mark.parametrize("name", LENSES)
def test_lens_goes_round(name):
    calibration = cameras.calibration(name, 120, 90)
    lens = reference.Lens(calibration)
    pixels = reference.pixel_centres(120, 90)
    rays = lens.unproject(pixels)
    imaged = np.isfinite(rays[:, 0])
    assert imaged.any()
    assert np.abs(lens.project(rays) - pixels)[imaged].max() < 1e-10
    assert (np.hypot(*lens.undistort(pixels)[imaged].T) <= lens.valid_radius).all()


@pytest.mark.parametrize("name", LENSES)
def test_lens_finds_the_ray_again(name):
    """Points of the undistorted plane come back, not merely some point of the same pixel."""
    lens = reference.Lens(cameras.calibration(name, 120, 90))
    rng = np.random.default_rng(1)
    reach = min(0.9 * lens.valid_radius, 1.5)
    rays = rng.uniform(-reach, reach, (3000, 2))
    rays = rays[np.hypot(*rays.T) < reach]
    rays = rays[np.linalg.det(lens.jacobian(*rays.T)) > 0.05]
    again = lens.unproject(lens.project(lens.look(rays)))
    assert np.abs(again - lens.look(rays)).max() < 1e-9


@pytest.mark.parametrize("name", LENSES)
def test_lens_jacobian_is_the_slope(name):
    lens = reference.Lens(cameras.calibration(name, 120, 90))
    x, y = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 200))
    step = 1e-6
    along_x = np.subtract(lens.distort(x + step, y), lens.distort(x - step, y)) / (2 * step)
    along_y = np.subtract(lens.distort(x, y + step), lens.distort(x, y - step)) / (2 * step)
    slope = np.stack([along_x.T, along_y.T], axis=-1)
    assert np.abs(lens.jacobian(x, y) - slope).max() < 1e-7


def test_valid_radius_of_a_cubic():
    """r + k1 r^3 stops growing at r = 1 / sqrt(-3 k1)."""
    for k1 in (-0.01, -0.3, -2.0):
        assert reference.Lens(cameras.calibration({"f": 1, "k1": k1}, 9, 9)).valid_radius == pytest.approx(
            (-3 * k1) ** -0.5
        )
    assert np.isinf(reference.Lens(cameras.calibration({"f": 1, "k1": 0.1}, 9, 9)).valid_radius)
    assert np.isinf(reference.Lens(cameras.calibration({"f": 1, "k1": -0.1, "k2": 0.1}, 9, 9)).valid_radius)


def test_plane_in_closed_form():
    calibration = cameras.calibration("survey", 90, 60)
    rng = np.random.default_rng(3)
    mesh = meshes.huge_face(rng, 5.0, 50.0)
    a, b, c = mesh[0]
    normal = np.cross(b - a, c - a)
    transform = meshes.random_transform(rng, scale=0.25)
    answer = reference.trace(*meshes.moved(mesh, transform), transform, calibration)
    expected = normal @ a / (answer.rays @ normal)
    assert (answer.face_index == 0).all()
    np.testing.assert_allclose(answer.depth, expected, rtol=1e-12)
    np.testing.assert_allclose(answer.distance, expected * np.linalg.norm(answer.rays, axis=1), rtol=1e-12)


def test_sphere_in_closed_form():
    """A fine icosphere's depth lies within its sagitta of the sphere's."""
    calibration = cameras.calibration("barrel", 60, 50)
    vertices, faces = meshes.icosphere(5)
    answer = reference.trace(vertices + [0.1, -0.2, 3.0], faces, np.eye(4), calibration)
    direction = answer.rays
    centre = np.array([0.1, -0.2, 3.0])
    a, half_b, c = (direction**2).sum(axis=1), direction @ centre, centre @ centre - 1.0
    square = half_b**2 - a * c
    inner = square > 0.1  # away from the outline, where the sphere is seen at a slant
    depth = (half_b[inner] - np.sqrt(square[inner])) / a[inner]
    assert inner.sum() > 100
    assert (answer.depth[inner] >= depth * (1 - 1e-12)).all()
    assert np.abs(answer.depth[inner] - depth).max() < 3e-3
    assert (answer.face_index[square < -0.1] == -1).all()


def test_winding_decides_what_is_culled():
    calibration = cameras.calibration("pinhole", 8, 8)
    vertices, faces = meshes.huge_face(np.random.default_rng(4), 5.0, 50.0)
    assert (reference.trace(vertices, faces, np.eye(4), calibration).face_index == 0).all()
    assert (reference.trace(vertices, faces[:, ::-1], np.eye(4), calibration).face_index == -1).all()
    assert (reference.trace(vertices, faces[:, ::-1], np.eye(4), calibration, False).face_index == 0).all()


def test_equal_depth_goes_to_the_smaller_index():
    calibration = cameras.calibration("pinhole", 20, 20)
    rng = np.random.default_rng(5)
    mesh = meshes.terrain(rng, 4, 4, 10.0, 5.0, 0.5)
    (vertices, faces), origin = meshes.with_duplicates(mesh, rng)
    answer = reference.trace(vertices, faces, np.eye(4), calibration, False)
    first = np.array([np.flatnonzero(origin == k)[0] for k in range(len(mesh[1]))])
    free = answer.edge_distance > 1e-6
    assert (answer.face_index[free] == first[origin[answer.face_index[free]]]).all()
    assert (answer.runner_up[free] <= answer.distance[free] * (1 + 1e-12)).all()


def test_faces_through_the_camera_plane_are_seen_where_they_are():
    """A floor from far behind to far before the camera fills the image below the horizon."""
    calibration = cameras.calibration("pinhole", 40, 40)
    vertices = np.array([[-1e3, 1.5, -1e3], [1e3, 1.5, -1e3], [1e3, 1.5, 1e3], [-1e3, 1.5, 1e3]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    answer = reference.trace(vertices, faces, np.eye(4), calibration, False)
    y = answer.rays[:, 1]
    seen = y > 1.5 / 999
    np.testing.assert_allclose(answer.depth[seen], 1.5 / y[seen], rtol=1e-12)
    assert (answer.face_index[y < 0] == -1).all()


@given(st.integers(0, 2**32 - 1))
def test_sorting_faces_into_boxes_changes_nothing(seed):
    """Plain loops over the definition, pixel by pixel with all faces, give the same."""
    rng = np.random.default_rng(seed)
    calibration = cameras.calibration("survey", 12, 9)
    transform = meshes.random_transform(rng, scale=3.0)
    mesh = meshes.joined(meshes.soup(rng, 20, 1.0), meshes.crossers(rng, 6, 1.0))
    vertices, faces = meshes.moved(mesh, transform)
    answer = reference.trace(vertices, faces, transform, calibration, False)
    corners = reference.to_camera(vertices, transform)[faces]
    for i in rng.integers(0, 108, 6):
        direction = answer.rays[i]
        depths = []
        for a, b, c in corners:
            t, beta, gamma = np.linalg.solve(np.stack([direction, a - b, a - c], axis=1), a)
            inside = beta >= 0 and gamma >= 0 and beta + gamma <= 1
            depths.append(t if inside and t > 0 else np.inf)
        if answer.edge_distance[i] < 1e-6:
            continue
        assert min(depths) == pytest.approx(
            answer.depth[i] if answer.face_index[i] >= 0 else np.inf, rel=1e-9
        )
        assert answer.face_index[i] in (-1, int(np.argmin(depths)))


def test_edge_and_rim_distances():
    """Of two triangles that make a square, the diagonal is an edge but no rim."""
    calibration = cameras.calibration({"f": 1.0}, 32, 32)
    f = calibration.f
    vertices = np.array([[-8.2, -8.2, f], [8.2, -8.2, f], [8.2, 8.2, f], [-8.2, 8.2, f]])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    answer = reference.trace(vertices, faces, np.eye(4), calibration)
    x, y = answer.plane.T * f
    outline = np.maximum(np.abs(x), np.abs(y)) - 8.2
    near = np.abs(outline) < 1.0
    beside = near & (np.minimum(np.abs(x), np.abs(y)) < 8.2)
    np.testing.assert_allclose(answer.rim_distance[beside], np.abs(outline)[beside], atol=1e-12)
    diagonal = (np.abs(x - y) < 1.0) & (np.abs(outline) > 3.0) & (outline < 0)
    np.testing.assert_allclose(
        answer.edge_distance[diagonal], np.abs(x - y)[diagonal] / np.sqrt(2), atol=1e-12
    )
    assert (answer.rim_distance[diagonal] > 1.9).all()
    assert (answer.face_index >= 0).sum() == 16 * 16


def test_a_sample_of_pixels_is_the_same_as_all():
    rng = np.random.default_rng(6)
    calibration = cameras.calibration("folding tangential", 60, 45)
    mesh = meshes.soup(rng, 300, 1.0, sizes=(1e-3, 0.3))
    whole = reference.trace(*mesh, np.eye(4), calibration, False)
    some = rng.integers(0, 60 * 45, 500)
    part = reference.trace(*mesh, np.eye(4), calibration, False, some)
    assert (part.face_index == whole.face_index[some]).all()
    np.testing.assert_array_equal(part.depth, whole.depth[some])
    assert 0.1 < (whole.face_index >= 0).mean() < 0.9
