"""Lenses: closed forms, closed rooms without a hole, and nothing imaged where the polynomial folds."""

from __future__ import annotations

import numpy as np
import pytest

import cameras
import comparing
import depthraster as dr
import meshes
import reference

LENSES = sorted(cameras.LENSES)


def directions(calibration):
    pixels = reference.pixel_centres(calibration.width, calibration.height)
    return reference.Lens(calibration).unproject(pixels)


@pytest.mark.parametrize("lens", LENSES)
def test_plane_in_closed_form(lens):
    """Depth of a tilted plane is dot(n, a) / dot(n, ray), at every pixel that the lens images."""
    calibration = cameras.calibration(lens, 230, 170)
    rng = np.random.default_rng(1)
    # Tilted little enough that no ray runs along it, and wide enough that every ray meets it.
    normal = np.array([*rng.uniform(-0.1, 0.1, 2) / cameras.half_field(calibration), 1.0])
    across = np.linalg.svd(normal[None])[2][1:]
    angle = -np.arange(3) * 2 * np.pi / 3 * np.sign(np.linalg.det([*across, normal]))
    vertices = np.array([0, 0, 4.0]) + 1e4 * (
        np.cos(angle)[:, None] * across[0] + np.sin(angle)[:, None] * across[1]
    )
    transform = meshes.random_transform(rng, scale=0.5)
    mesh = meshes.moved((vertices, np.array([[0, 1, 2]])), transform)
    ray = directions(calibration)
    expected = (4.0 * normal[2] / (ray @ normal)).reshape(170, 230)
    image = dr.render_depth(mesh, transform, calibration, background=np.nan)
    away = np.abs(ray[:, :2]).max(axis=1).reshape(170, 230) < 100  # NaN where not imaged: False
    assert away.any()
    np.testing.assert_allclose(image[..., 0][away], expected[away], rtol=1e-6)
    assert (image[..., 1][away] == 1).all()
    ranges = dr.render_depth(mesh, transform, calibration, depth="range")[..., 0]
    length = np.linalg.norm(ray, axis=1).reshape(170, 230)
    np.testing.assert_allclose(ranges[away], (expected * length)[away], rtol=1e-6)


@pytest.mark.parametrize("lens", LENSES)
def test_sphere_in_closed_form(lens):
    """Seen from inside, off centre: the range to an icosphere is the sphere's, less a sagitta at most."""
    calibration = cameras.calibration(lens, 160, 120)
    radius = 7.0
    mesh = meshes.icosphere(6, radius, inward=True)
    a, b, c = (mesh[0][mesh[1][:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    sagitta = radius - (np.abs((normal * a).sum(axis=1)) / np.linalg.norm(normal, axis=1)).min()
    transform = meshes.random_transform(np.random.default_rng(2), spread=3.0)
    ray = directions(calibration)
    ray = ray / np.linalg.norm(ray, axis=1)[:, None] @ transform[:3, :3].T
    along, square = ray @ transform[:3, 3], transform[:3, 3] @ transform[:3, 3] - radius**2
    exact = -along + np.sqrt(along**2 - square)
    slant = np.sqrt(along**2 - square) / radius  # cosine between ray and normal
    got = dr.render_depth(mesh, transform, calibration, depth="range", background=np.nan)[..., 0].ravel()
    imaged = np.isfinite(ray[:, 0])
    assert imaged.any()
    np.testing.assert_array_equal(np.isfinite(got), imaged)
    # The mesh is inscribed: never beyond the sphere, nearer by the sagitta at most.
    difference = (exact - got)[imaged]
    assert (difference >= -1e-6 * exact[imaged]).all()
    assert (difference <= sagitta / slant[imaged] * 1.2 + 1e-6 * exact[imaged]).all()


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize(
    "mesh",
    [meshes.icosphere(3, 10.0, True), meshes.icosphere(6, 10.0, True), meshes.box_room(30, (12, 9, 15))],
)
def test_closed_meshes_from_inside_show_no_background(lens, mesh):
    calibration = cameras.calibration(lens, 401, 299)
    scene = dr.Scene(*mesh)
    imaged = np.isfinite(directions(calibration)[:, 0]).reshape(299, 401)
    for seed in range(3):
        transform = meshes.random_transform(np.random.default_rng(seed), spread=3.0)
        image = dr.render_depth(scene, transform, calibration)
        assert (image[..., 1][imaged] == 1).all()
        assert (image[..., 0][imaged] > 0).all()
        assert not image[..., 1][~imaged].any()


@pytest.mark.parametrize("lens", ["survey", "barrel"])
def test_a_closed_sphere_of_a_million_faces(lens):
    calibration = cameras.calibration(lens, 1501, 1100)
    mesh = meshes.icosphere(8, 10.0, True)
    assert len(mesh[1]) > 1_000_000
    transform = meshes.random_transform(np.random.default_rng(4), spread=3.0)
    pixels = np.random.default_rng(5).choice(1501 * 1100, 2000, replace=False)
    layers, _ = comparing.compare(mesh, transform, calibration, flat_index=np.sort(pixels))
    imaged = np.isfinite(directions(calibration)[:, 0]).reshape(1100, 1501)
    assert imaged.mean() > 0.9
    np.testing.assert_array_equal(layers.face_index >= 0, imaged)


@pytest.mark.parametrize("lens", ["folding", "folding tangential", "barrel"])
def test_no_ghost_where_the_polynomial_folds(lens):
    """Things beyond the lens's domain, which the bare polynomial maps into the image, are not there."""
    calibration = cameras.calibration(lens, 240, 180)
    twin = reference.Lens(calibration)
    radii = np.linspace(twin.valid_radius * 1.01, twin.valid_radius * 4, 4000)
    u = twin.centre[0] + twin.distort(radii, 0 * radii)[0] * (calibration.f + calibration.b1)
    ghosts = radii[(u >= 0) & (u < calibration.width)]
    assert len(ghosts), "the lens of this test has to fold back into the image"
    rng = np.random.default_rng(5)
    angle, r = rng.uniform(0, 2 * np.pi, 400), rng.choice(ghosts, 400)
    centre = np.stack([r * np.cos(angle), r * np.sin(angle), np.ones(400)], axis=1) * 6
    room = 6 * (r - twin.valid_radius)  # small enough that all of the face stays outside
    corners = centre[:, None] + rng.uniform(-0.5, 0.5, (400, 3, 3)) * (0.5 * room / (1 + r))[:, None, None]
    mesh = corners.reshape(-1, 3), np.arange(1200).reshape(-1, 3)
    assert (np.hypot(mesh[0][:, 0], mesh[0][:, 1]) > twin.valid_radius * mesh[0][:, 2]).all()
    layers, _ = comparing.compare(mesh, np.eye(4), calibration, False)
    assert (layers.face_index == -1).all()


@pytest.mark.parametrize("lens", ["folding", "folding tangential", "barrel"])
@pytest.mark.parametrize("storage", ["wide", "narrow"])
def test_faces_across_the_fold_are_cut_there(lens, storage):
    """A wall of small faces far wider than the lens's domain is seen whole inside of it, and only inside."""
    calibration = cameras.calibration(lens, 200, 160)
    width = 12 * min(reference.Lens(calibration).valid_radius, 3)
    mesh = meshes.on_lattice(meshes.terrain(np.random.default_rng(6), 60, 60, 4 * width, 4.0, 0.4))
    layers, _ = comparing.compare(mesh, np.eye(4), calibration, False, storage)
    assert (layers.face_index >= 0).sum() > 1000


def test_the_renderer_and_the_calibration_agree_on_pixels():
    """A point of the mesh projected by the calibration lies where the rendered depth says it does."""
    calibration = cameras.calibration("survey", 300, 200)
    rng = np.random.default_rng(7)
    mesh = meshes.terrain(rng, 40, 40, 14.0, 8.0, 0.5)
    depth = dr.render_depth(mesh, np.eye(4), calibration)[..., 0]
    row, col = rng.integers(0, 200, 500), rng.integers(0, 300, 500)
    centres = np.stack([col + 0.5, row + 0.5], axis=1)
    points = calibration.unproject(centres) * depth[row, col, None]
    np.testing.assert_allclose(calibration.project(points), centres, atol=1e-6)
    answer = reference.trace(*mesh, np.eye(4), calibration, flat_index=row * 300 + col)
    np.testing.assert_allclose(points[:, 2], answer.depth, rtol=1e-6)
