"""Shapes that rasterizers get wrong: fans, slivers, seams on pixel centres, copies, giants."""

from __future__ import annotations

import numpy as np
import pytest

import cameras
import comparing
import depthraster as dr
import meshes
import reference

both_storages = pytest.mark.parametrize("storage", ["wide", "narrow"])


@both_storages
@pytest.mark.parametrize("lens", ["pinhole", "survey", "barrel"])
@pytest.mark.parametrize("make", [meshes.slivers, meshes.needles])
def test_slivers_and_needles(make, lens, storage):
    calibration = cameras.calibration(lens, 301, 203)
    mesh = meshes.on_lattice(make(np.random.default_rng(1), 500, cameras.half_field(calibration)))
    layers, _ = comparing.compare(mesh, np.eye(4), calibration, False, storage)
    assert (layers.face_index >= 0).sum() > 20


@both_storages
@pytest.mark.parametrize("n", [3, 7, 100, 5000])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.5, 0.5), (0.317, -1.4)])
def test_fans_have_no_hole_at_the_hub(n, centre, storage):
    """Thousands of spokes meet at one point, also where that point is exactly the centre of a pixel."""
    calibration = dr.Calibration(width=64, height=64, f=64)
    depth = 8.0
    hub = (centre[0] / 8, centre[1] / 8, depth)
    mesh = meshes.on_lattice(meshes.fan(n, hub, 3.0, 0.5))
    layers, _ = comparing.compare(mesh, np.eye(4), calibration, True, storage)
    u, v = reference.pixel_centres(64, 64).T
    inner = np.hypot(u - 32 - centre[0], v - 32 - centre[1]).reshape(64, 64) < 11
    assert (layers.face_index[inner] >= 0).all()


@both_storages
@pytest.mark.parametrize("step", [1, 2, 3, 8])
@pytest.mark.parametrize("bumpy", [False, True])
def test_vertices_and_edges_exactly_on_pixel_centres(step, bumpy, storage):
    calibration = dr.Calibration(width=90, height=71, f=64)
    # The principal point is at (45, 35.5): with f and depth powers of two every coordinate is exact.
    mesh = meshes.aligned_grid(90, 71, 64.0, 8.0, step, np.random.default_rng(step) if bumpy else None)
    layers, answer = comparing.compare(mesh, np.eye(4), calibration, True, storage)
    assert (answer.edge_distance == 0).sum() >= 90 * 71 / step**2 * 0.9
    assert (layers.face_index >= 0).all()
    if not bumpy:
        assert (layers.depth == 8.0).all()


@pytest.mark.parametrize("lens", sorted(set(cameras.LENSES) - {"wide"}))
@pytest.mark.parametrize("step", [1, 5])
def test_vertices_on_pixel_centres_of_any_lens(lens, step):
    """As above through a lens, each vertex a rounding away from its pixel centre: no hole either."""
    calibration = cameras.calibration(lens, 60, 44)
    nx, ny = 60 // step, 44 // step
    u, v = np.meshgrid(np.arange(nx + 1) * step - 0.5, np.arange(ny + 1) * step - 0.5)
    rays = reference.Lens(calibration).unproject(np.stack([u.ravel(), v.ravel()], axis=1))
    faces = meshes.grid(nx, ny, (0, 0), (1, 1))[1]
    faces = faces[np.isfinite(rays[faces]).all(axis=(1, 2))]
    depth = np.random.default_rng(step).uniform(5, 6, len(rays))
    vertices = rays * depth[:, None]
    vertices = np.where(np.isfinite(vertices), vertices, 0.0)
    layers, _ = comparing.compare((vertices, faces), np.eye(4), calibration, False)
    assert (layers.face_index >= 0).sum() > 100
    if np.isinf(calibration.valid_radius):
        assert (layers.face_index[: ny * step - 1, : nx * step - 1] >= 0).all()


@both_storages
@pytest.mark.parametrize("shift", ["exact", "rotated"])
def test_copies_of_a_face_give_the_smallest_index(shift, storage):
    """The same face, or the same begun at another vertex: equal depth, so the smaller index wins."""
    calibration = cameras.calibration("survey", 120, 90)
    rng = np.random.default_rng(3)
    vertices, faces = meshes.on_lattice(meshes.terrain(rng, 9, 9, 12.0, 8.0, 1.0))
    copies = [faces, faces, faces] if shift == "exact" else [faces, faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]]
    order = rng.permutation(3 * len(faces))
    mesh = vertices, np.concatenate(copies)[order]
    origin = np.tile(np.arange(len(faces)), 3)[order]
    layers, _ = comparing.compare(mesh, np.eye(4), calibration, True, storage)
    drawn = np.unique(layers.face_index[layers.face_index >= 0])
    assert len(drawn) > 30
    for face in drawn:
        assert face == np.flatnonzero(origin == origin[face])[0]


@both_storages
def test_reversed_copies_are_culled_one_by_one(storage):
    """A sheet with a back of its own, vertices shared: each side shows its own faces."""
    calibration = cameras.calibration("survey", 80, 60)
    vertices, faces = meshes.on_lattice(meshes.terrain(np.random.default_rng(4), 8, 8, 16.0, 8.0, 1.0))
    mesh = vertices, np.concatenate([faces[:, ::-1], faces])
    layers, _ = comparing.compare(mesh, np.eye(4), calibration, True, storage)
    assert set(np.unique(layers.face_index)) <= {-1, *range(len(faces), 2 * len(faces))}
    behind = np.diag([1.0, -1.0, -1.0, 1.0])
    behind[2, 3] = 16.0
    layers, _ = comparing.compare(mesh, behind, calibration, True, storage)
    assert set(np.unique(layers.face_index)) <= set(range(-1, len(faces)))
    assert (layers.face_index >= 0).mean() > 0.9


@both_storages
@pytest.mark.parametrize("lens", ["barrel", "pincushion", "survey", "folding", "folding tangential", "wide"])
@pytest.mark.parametrize("reach", [1.0, 30.0, 1e5])
def test_single_huge_faces(lens, reach, storage):
    """One triangle, its corners in the image's corners or five orders of magnitude outside."""
    calibration = cameras.calibration(lens, 311, 207)
    for seed in range(3):
        mesh = meshes.huge_face(np.random.default_rng(seed), 4.0, reach * cameras.half_field(calibration))
        if storage == "narrow":
            mesh = meshes.on_lattice(mesh)
        layers, answer = comparing.compare(mesh, np.eye(4), calibration, True, storage)
        assert (layers.face_index >= 0).any()
        if reach > 1:
            assert ((layers.face_index >= 0).ravel() == answer.imaged)[answer.edge_distance >= 1e-3].all()


@both_storages
@pytest.mark.parametrize("lens", ["pinhole", "survey", "wide", "folding tangential"])
def test_faces_that_reach_behind_the_camera(lens, storage):
    calibration = cameras.calibration(lens, 150, 110)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        mesh = meshes.on_lattice(meshes.crossers(rng, 1 + seed, cameras.half_field(calibration)))
        comparing.compare(mesh, np.eye(4), calibration, False, storage)


def test_a_floor_to_the_horizon():
    """Two triangles from far behind to far before the camera: Z = height / y, up to the horizon."""
    calibration = cameras.calibration("survey", 200, 150)
    vertices = np.array([[-1e4, 1.5, -1e4], [1e4, 1.5, -1e4], [1e4, 1.5, 1e4], [-1e4, 1.5, 1e4]])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    layers, answer = comparing.compare((vertices, faces), np.eye(4), calibration, False)
    y = answer.rays[:, 1]
    seen = y > 0.01
    np.testing.assert_allclose(layers.depth.ravel()[seen], 1.5 / y[seen], rtol=1e-6)
    assert (layers.face_index.ravel()[y < 0] == -1).all()


def test_a_vertex_at_the_camera_itself():
    """Faces whose corner is the camera's centre are seen edge-on: no pixel, no crash, nothing else lost."""
    calibration = cameras.calibration("survey", 64, 48)
    vertices = np.array([[0, 0, 0], [1, 0, 5], [0, 1, 5], [-90, -90, 9], [0, 90, 9], [90, -90, 9]], float)
    faces = np.array([[0, 1, 2], [3, 4, 5], [0, 2, 1]])
    layers, _ = comparing.compare((vertices, faces), np.eye(4), calibration, False)
    assert (layers.face_index == 1).all()


def test_faces_without_area_are_invisible_and_harmless():
    calibration = cameras.calibration("survey", 64, 48)
    vertices = np.array([[-90, -90, 9], [0, 90, 9], [90, -90, 9], [0, 0, 5], [1, 1, 5], [2, 2, 5]], float)
    faces = np.array([[3, 3, 4], [3, 4, 5], [3, 3, 3], [0, 1, 2], [4, 3, 4]])
    for cull_faces in (True, False):
        layers = dr.render(
            dr.Scene(vertices, faces), np.eye(4), calibration, comparing.LAYERS, cull_faces=cull_faces
        )
        assert (layers.face_index == 3).all()


@both_storages
def test_faces_smaller_than_pixels_all_count(storage):
    calibration = cameras.calibration("survey", 40, 30)
    mesh = meshes.on_lattice(meshes.terrain(np.random.default_rng(5), 180, 180, 20.0, 9.0, 1.0))
    layers, _ = comparing.compare(mesh, np.eye(4), calibration, True, storage)
    assert (layers.face_index >= 0).all()
    assert len(np.unique(layers.face_index)) > 1100


def test_a_stray_face_far_away_spoils_nothing():
    """One face a million units off, in a scene large enough for a lattice: the rest keeps its precision."""
    calibration = cameras.calibration("survey", 120, 90)
    rng = np.random.default_rng(6)
    stray = np.array([[1e6, 1e6, 1e6], [1e6, 1e6 + 1, 1e6], [1e6 + 1, 1e6, 1e6 + 2]]), np.array([[0, 1, 2]])
    mesh = meshes.joined(meshes.terrain(rng, 100, 100, 1.0, 0.6, 0.1), stray)
    layers, _ = comparing.compare(mesh, np.eye(4), calibration)
    assert (layers.face_index >= 0).mean() > 0.9
