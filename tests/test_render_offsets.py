"""Where the mesh lies does not matter: UTM and ECEF coordinates give what the origin gives."""

from __future__ import annotations

import numpy as np
import pytest

import cameras
import comparing
import depthraster as dr
import meshes
import reference

PLACES = {
    "utm": (5e5, 4.5e6, 300.0),
    "ecef": (4_027_893.0, 307_045.0, 4_919_475.0),
    "far side": (-6_378_137.0, -21.0, 17.0),
}


def views(seed, n=3):
    """Meshes and cameras on multiples of 2^-19 or so: shifting them by whole metres is exact in float64."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        transform = meshes.random_transform(rng)
        transform[:3, 3] = np.rint(transform[:3, 3] * 2**20) / 2**20
        terrain = meshes.terrain(rng, 110, 90, 60.0, 40.0, 8.0)
        mesh = meshes.joined(terrain, meshes.soup(rng, 200, 0.6, (1e-3, 0.3), (5.0, 50.0)))
        yield meshes.on_lattice(meshes.moved(mesh, transform)), transform


@pytest.mark.parametrize("place", sorted(PLACES))
@pytest.mark.parametrize("storage", ["wide", "narrow", "auto"])
def test_shifted_meshes_give_the_same_depth(place, storage):
    calibration = cameras.calibration("survey", 240, 170)
    for (vertices, faces), transform in views(sorted(PLACES).index(place), 1):
        here = dr.render(
            dr.Scene._with_storage(vertices, faces, storage), transform, calibration, comparing.LAYERS
        )
        shifted = transform.copy()
        shifted[:3, 3] += PLACES[place]
        mesh = vertices + PLACES[place], faces
        assert np.array_equal(mesh[0] - PLACES[place], vertices)
        there, answer = comparing.compare(mesh, shifted, calibration, True, storage)
        same = here.face_index == there.face_index
        # Another face may only come to light beside an edge.
        assert (answer.edge_distance[~same.ravel()] < comparing.EDGE).all()
        both = (
            same
            & (here.face_index >= 0)
            & (np.nan_to_num(answer.cosine) > comparing.GRAZING).reshape(same.shape)
        )
        assert both.mean() > 0.3
        np.testing.assert_allclose(there.depth[both], here.depth[both], rtol=1e-6)


def test_twin_is_indifferent_to_the_place():
    calibration = cameras.calibration("survey", 60, 40)
    for (vertices, faces), transform in views(2, 1):
        here = reference.trace(vertices, faces, transform, calibration)
        shifted = transform.copy()
        shifted[:3, 3] += PLACES["ecef"]
        there = reference.trace(vertices + PLACES["ecef"], faces, shifted, calibration)
        np.testing.assert_array_equal(here.face_index, there.face_index)
        np.testing.assert_array_equal(here.depth, there.depth)


@pytest.mark.parametrize("corner", [(-1, -1), (1, 1)])
def test_ten_kilometres_of_utm_from_sixty_metres_over_the_far_corner(corner):
    """A million faces of 14 m, seen from 60 m: float64 set-up keeps 1e-6 where float32 keeps 1e-5."""
    rng = np.random.default_rng(3)
    vertices, faces = meshes.terrain(rng, 700, 720, 10_000.0, 0.0, 90.0)
    vertices = vertices * [1, -1, -1] + PLACES["utm"]  # Y north, Z up: the front looks up
    calibration = cameras.calibration("survey", 6000, 4000)
    target = np.array([corner[0] * 4980.0, corner[1] * 4980.0, 0.0]) + PLACES["utm"]
    nearest = vertices[np.argmin(((vertices - target)[:, :2] ** 2).sum(axis=1))]
    transform = np.eye(4)
    transform[:3, :3] = np.diag([1.0, -1.0, -1.0]) @ _turned(0.3)
    transform[:3, 3] = nearest + [0, 0, 60.0]
    pixels = np.sort(rng.choice(24_000_000, 10_000, replace=False))
    _, answer = comparing.compare((vertices, faces), transform, calibration, flat_index=pixels)
    assert (answer.face_index >= 0).mean() > 0.2


def _turned(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def test_float32_vertices_are_taken_as_they_are():
    """A mesh in float32 is exactly its float64 copy."""
    calibration = cameras.calibration("survey", 120, 80)
    rng = np.random.default_rng(4)
    vertices, faces = meshes.terrain(rng, 30, 30, 16.0, 8.0, 1.0)
    rounded = vertices.astype(np.float32)
    single = dr.render_depth((rounded, faces), np.eye(4), calibration)
    double = dr.render_depth((rounded.astype(float), faces), np.eye(4), calibration)
    np.testing.assert_array_equal(single, double)


def test_transforms_with_a_scale_are_used_as_given():
    """Scale s in the transform divides the depth by s: depth is Z of inv(T) p."""
    calibration = cameras.calibration("survey", 90, 70)
    mesh = meshes.terrain(np.random.default_rng(5), 12, 12, 16.0, 8.0, 1.0)
    plain = dr.render_depth(mesh, np.eye(4), calibration)[..., 0]
    scaled = dr.render_depth(mesh, np.diag([4.0, 4.0, 4.0, 1.0]), calibration)[..., 0]
    np.testing.assert_array_equal(scaled * 4, plain)
    comparing.compare(mesh, np.diag([0.3, 0.3, 0.3, 1.0]), calibration)
