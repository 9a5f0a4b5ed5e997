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
OTHER_LENSES = sorted(cameras.OTHER_LENSES)
EVERY_LENS = sorted(cameras.EVERY_LENS)
each_other_lens = pytest.mark.parametrize("name", OTHER_LENSES)


@pytest.mark.parametrize("name", EVERY_LENS)
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


@each_other_lens
def test_directions_come_back(name):
    """Of any direction, beside and behind too, what the lens images of it is that direction and no other."""
    lens = reference.Lens(cameras.calibration(name, 120, 90))
    points = np.random.default_rng(1).normal(size=(20_000, 3)) * 2.0
    pixels = lens.project(points)
    imaged = np.isfinite(pixels[:, 0])
    looks = lens.unproject(pixels[imaged])
    if lens.parallel:
        assert (imaged == (points[:, 2] > 0)).all()
        np.testing.assert_allclose(looks[:, :2], points[imaged, :2], atol=1e-12)
        assert (looks[:, 2] == 1).all()
        return
    assert imaged.all() or lens.type.endswith("fisheye")
    direction = points[imaged] / np.linalg.norm(points[imaged], axis=1)[:, None]
    away = np.abs(looks - direction).max(axis=1)
    steady = np.arccos(direction[:, 2]) < 0.97 * np.pi
    if lens.type.endswith("fisheye") and (lens.k.any() or lens.p.any()):
        steady &= np.linalg.det(lens.jacobian(*lens.plane.flatten(direction).T)) > 0.05
    assert steady.mean() > 0.6
    assert away[steady].max() < 1e-8
    assert (points[imaged, 2] < 0).any() or name == "fisheye folding"


@pytest.mark.parametrize("name", EVERY_LENS)
def test_look_per_pixel_is_the_slope(name):
    """Differences of looks, but for what only makes them longer."""
    lens = reference.Lens(cameras.calibration(name, 120, 90))
    plane = lens.undistort(reference.pixel_centres(120, 90))
    plane = plane[np.isfinite(plane[:, 0]) & (np.hypot(*plane.T) < 0.98 * lens.plane.end)]
    look, step = lens.look(plane), 1e-5 * np.eye(2)
    slopes = np.stack([(lens.look(plane + d) - lens.look(plane - d)) / 2e-5 for d in step], axis=1)
    difference = lens.look_per_pixel(plane) * lens.f - slopes
    if not lens.parallel:
        along = (difference * look[:, None]).sum(axis=2) / (look**2).sum(axis=1)[:, None]
        difference -= along[..., None] * look[:, None]
    assert np.abs(difference).max() < 1e-7


def test_fisheyes_by_the_book():
    for kind, radius in (("fisheye", lambda t: t), ("equisolid_fisheye", lambda t: 2 * np.sin(t / 2))):
        lens = reference.Lens(cameras.calibration({"type": kind, "f": 0.2}, 100, 100))
        for theta in (0.0, 0.3, 1.0, np.pi / 2, 2.0, 3.1):
            for turn in (0.0, 0.7, 4.0):
                direction = np.array(
                    [np.sin(theta) * np.cos(turn), np.sin(theta) * np.sin(turn), np.cos(theta)]
                )
                pixel = 50 + 20 * radius(theta) * np.array([np.cos(turn), np.sin(turn)])
                np.testing.assert_allclose(lens.project(7 * direction), pixel, atol=1e-12)
                np.testing.assert_allclose(lens.unproject(pixel[None])[0], direction, atol=1e-12)
        assert np.isnan(lens.project(np.array([0.0, 0.0, -1.0]))).all()
        rim = 20 * radius(np.pi)
        assert np.isfinite(lens.unproject(np.array([[50 + 0.999 * rim, 50]]))).all()
        assert np.isnan(lens.unproject(np.array([[50 + 1.001 * rim, 50]]))).all()


def test_panoramas_by_the_book():
    for kind, down in (("spherical", lambda a: a), ("cylindrical", np.tan)):
        lens = reference.Lens(cameras.calibration({"type": kind, "f": 0.1, "cx": 0.05, "cy": -0.1}, 100, 100))
        for longitude in (-3.1, -2.0, 0.0, 0.4, 3.1):
            for latitude in (-1.5, 0.0, 0.8):
                look = np.array(
                    [
                        np.cos(latitude) * np.sin(longitude),
                        np.sin(latitude),
                        np.cos(latitude) * np.cos(longitude),
                    ]
                )
                pixel = np.array([55 + 10 * longitude, 40 + 10 * down(latitude)])
                np.testing.assert_allclose(lens.project(3 * look), pixel, atol=1e-10)
                np.testing.assert_allclose(lens.unproject(pixel[None])[0], look, atol=1e-12)
        beyond = [[55 + 10 * 3.142, 40.0], [55 - 10 * 3.142, 40.0]]
        if kind == "spherical":
            beyond += [[55.0, 40 + 10 * 1.571], [55.0, 40 - 10 * 1.571]]
        assert np.isnan(lens.unproject(np.array(beyond))).all()


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
    tiny = cameras.calibration(
        {"f": 1, "k1": -0.3, "k4": -1e-300}, 9, 9
    )  # its own fold is out of float64's reach
    assert reference.Lens(tiny).valid_radius == pytest.approx(0.9**-0.5)


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


@each_other_lens
def test_plane_in_closed_form_of_other_lenses(name):
    """A large face is its plane wherever the ray is inside: distance dot(n, a) / dot(n, ray)."""
    calibration = cameras.calibration(name, 60, 50)
    rng = np.random.default_rng(13)
    for _ in range(4):
        vertices, faces = meshes.turned(meshes.huge_face(rng, 5.0, 9.0), rng.normal(size=3) * [1, 1, 0.3])
        a, b, c = vertices
        normal = np.cross(b - a, c - a)
        transform = meshes.random_transform(rng, scale=0.25)
        mesh = meshes.moved((vertices, faces), transform)
        answer = reference.trace(*mesh, transform, calibration, False)
        hit = answer.face_index == 0
        if calibration.type == "orthographic":
            depth = a[2] + ((a[:2] - answer.rays[hit, :2]) @ normal[:2]) / normal[2]
            np.testing.assert_allclose(answer.depth[hit], depth, rtol=1e-11)
            np.testing.assert_array_equal(answer.distance[hit], answer.depth[hit])
            continue
        expected = normal @ a / (answer.rays[hit] @ normal)
        np.testing.assert_allclose(answer.distance[hit], expected, rtol=1e-11)
        np.testing.assert_allclose(answer.depth[hit], expected * answer.rays[hit, 2], rtol=0, atol=1e-9)


@each_other_lens
def test_sphere_in_closed_form_from_inside(name):
    """All of what a camera in a sphere images is the sphere, less a sagitta at most."""
    calibration = cameras.calibration(name, 60, 50)
    lens, radius, eye = reference.Lens(calibration), 20.0, np.array([3.0, -4.0, 2.0])
    vertices, faces = meshes.icosphere(4, radius, inward=True)
    transform = np.eye(4)
    transform[:3, 3] = eye
    answer = reference.trace(vertices, faces, transform, calibration)
    assert ((answer.face_index >= 0) == answer.imaged).all()
    start = eye + answer.rays * [1, 1, 0] if lens.parallel else eye + 0 * answer.rays
    ray = np.tile([0.0, 0.0, 1.0], (len(start), 1)) if lens.parallel else answer.rays
    along = (ray * start).sum(axis=1)
    exact = -along + np.sqrt(along**2 - (start**2).sum(axis=1) + radius**2)
    difference = (exact - answer.distance)[answer.imaged]
    assert (difference > -1e-9).all()
    assert difference.max() < 0.3
    if not lens.parallel:
        assert (answer.depth[answer.imaged] < 0).any() == (answer.rays[answer.imaged, 2] < 0).any()


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


@given(st.integers(0, 2**32 - 1), st.sampled_from(["survey", *OTHER_LENSES]))
def test_sorting_out_faces_changes_nothing(seed, name):
    """Plain loops over the definition, pixel by pixel with all faces, give the same."""
    rng = np.random.default_rng(seed)
    calibration = cameras.calibration(name, 12, 9)
    transform = meshes.random_transform(rng, scale=3.0)
    field = 1.0 if name == "survey" else None
    mesh = meshes.joined(meshes.soup(rng, 20, field), meshes.crossers(rng, 6, 1.0))
    vertices, faces = meshes.moved(mesh, transform)
    answer = reference.trace(vertices, faces, transform, calibration, False)
    corners = reference.to_camera(vertices, transform)[faces]
    parallel = calibration.type == "orthographic"
    for i in rng.integers(0, 108, 6):
        if not answer.imaged[i]:
            assert answer.face_index[i] == -1
            continue
        start = answer.rays[i] * [1, 1, 0] if parallel else np.zeros(3)
        direction = np.array([0.0, 0.0, 1.0]) if parallel else answer.rays[i]
        depths = []
        for a, b, c in corners:
            t, beta, gamma = np.linalg.solve(np.stack([direction, a - b, a - c], axis=1), a - start)
            inside = beta >= 0 and gamma >= 0 and beta + gamma <= 1
            depths.append(t if inside and t > 0 else np.inf)
        if answer.edge_distance[i] < 1e-6:
            continue
        reach = 1.0 if parallel else np.linalg.norm(direction)
        assert min(depths) * reach == pytest.approx(
            answer.distance[i] if answer.face_index[i] >= 0 else np.inf, rel=1e-8
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


def test_edge_distances_where_the_image_bends():
    """A meridian is as many pixels from a ray as longitudes say, at any latitude; a corner as the fisheye's image says."""
    calibration = cameras.calibration({"type": "spherical", "f": 0.1}, 100, 40)
    west, east = 0.3, 0.35  # longitudes of a face from pole to pole
    directions = [
        (np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)) for a, b in ((west, 1.5), (west, -1.5))
    ]
    directions.append((np.sin(east), 0.0, np.cos(east)))
    mesh = 4 * np.array(directions), np.array([[0, 1, 2]])
    answer = reference.trace(*mesh, np.eye(4), calibration, False)
    u, v = reference.pixel_centres(100, 40).T
    gap = 50 + 10 * west - u
    latitude = (v - 20) / 10
    beside = (gap > 0) & (gap < 1) & (np.abs(latitude) < 1.4)
    assert beside.sum() > 25
    # The map touches the image at the ray: meridians are straight on it only so far.
    np.testing.assert_allclose(answer.edge_distance[beside], gap[beside], rtol=0.05)
    fisheye = cameras.calibration({"type": "fisheye", "f": 0.2}, 100, 100)
    angle = np.radians([0.0, 0.5])
    rim = np.stack([np.sin(2.0) * np.cos(angle), np.sin(2.0) * np.sin(angle), np.cos([2.0, 2.0])], axis=1)
    ring = np.concatenate([rim, rim[:1] * 1.01 + [0, 0, 0.05]])
    answer = reference.trace(
        ring, np.array([[0, 1, 2]]), np.eye(4), fisheye, False, np.array([50 * 100 + 90])
    )
    corner = 50 + 40 * np.array([np.cos(angle[1]), np.sin(angle[1])])
    assert answer.edge_distance[0] == pytest.approx(np.hypot(*(corner - [90.5, 50.5])), rel=0.02)


@pytest.mark.parametrize("tilt", [0.0, 0.5])
def test_parallel_rays_begin_at_the_camera(tilt):
    """A roof through Z = 0 is seen where it lies in front, and the line where it begins is an edge."""
    calibration = cameras.calibration({"type": "orthographic", "f": 0.1}, 40, 40)
    vertices = np.array(
        [[-90.0, -90, -90 - tilt], [90, -90, 90 - tilt], [-90, 90, -90 - tilt], [90, 90, 90 - tilt]]
    )
    faces = np.array([[0, 1, 2], [1, 3, 2]])
    answer = reference.trace(vertices, faces, np.eye(4), calibration, False)
    x = answer.rays[:, 0]
    assert ((answer.face_index >= 0) == (x - tilt > 0)).all()
    seen = answer.face_index >= 0
    np.testing.assert_allclose(answer.depth[seen], (x - tilt)[seen], rtol=1e-12)
    pixels = np.abs(x - tilt) * calibration.f
    near = (pixels < 1.5) & (np.abs(answer.rays[:, :2].sum(axis=1)) * calibration.f > 4)
    assert near.sum() > 20
    np.testing.assert_allclose(answer.rim_distance[near], pixels[near], atol=1e-12)
    # Which side is the front does not depend on where the face lies.
    toward = reference.trace(vertices, faces, np.eye(4), calibration).face_index >= 0
    away = reference.trace(vertices, faces[:, ::-1], np.eye(4), calibration).face_index >= 0
    assert (toward ^ away == seen).all() and (toward.any() != away.any())


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
