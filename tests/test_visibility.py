"""`visible` and `visibility_table`: against a slow twin, against spheres, and against rays."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import cameras
import depthraster as dr
import meshes
from depthraster import Sight
from reference_lens import Lens

STEEPEST = 4.0  # as docs/conventions.md has it


def twin(mesh, points, transform, calibration, tolerance):
    """Status, pixel and depth of every point by its ray against every face; and where rounding decides."""
    lens = Lens(calibration)
    camera = np.linalg.solve(transform[:3, :3], (points - transform[:3, 3]).T).T
    corners = np.linalg.solve(transform[:3, :3], (mesh[0] - transform[:3, 3]).T).T[mesh[1]]
    pixel = lens.project(camera)
    length = camera[:, 2] if lens.parallel else np.linalg.norm(camera, axis=1)
    size = [calibration.width, calibration.height]
    imaged = np.isfinite(pixel).all(axis=1)
    with np.errstate(invalid="ignore"):
        inside = imaged & (pixel >= 0).all(axis=1) & (pixel < size).all(axis=1)
    status = np.where(inside, Sight.VISIBLE, np.where(imaged, Sight.OUTSIDE, Sight.BEHIND))
    unsure = (np.abs(pixel) < 1e-6).any(axis=1) | (np.abs(pixel - size) < 1e-6).any(axis=1)
    a, b, c = corners.transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    steps = np.full(len(points), np.nan)
    steps[inside] = pixel_steps(lens, pixel[inside])
    for i in np.flatnonzero(inside):
        origin = camera[i] * [1, 1, 0] if lens.parallel else np.zeros(3)
        d = camera[i] - origin
        with np.errstate(all="ignore"):
            t = ((a - origin) * normal).sum(axis=1) / (normal @ d)
            p = origin + t[:, None] * d
            sides = np.stack(
                [(np.cross(y - x, p - x) * normal).sum(axis=1) for x, y in ((a, b), (b, c), (c, a))]
            )
            sides = sides.min(axis=0) / (normal**2).sum(axis=1)
        hit = (sides >= 0) & (t >= 0) & (t < 1)
        unsure[i] |= bool(((np.abs(sides) < 1e-6) & (t > 0) & (t < 1)).any())
        if not hit.any():
            continue
        first = np.argmin(np.where(hit, t, np.inf))
        cosine = abs(normal[first] @ d) / np.linalg.norm(normal[first]) / np.linalg.norm(d)
        slope = np.clip(np.sqrt(1 - cosine**2) / cosine, 1.0, STEEPEST)
        step = steps[i] * (1.0 if lens.parallel else t[first] * length[i])
        allowed = tolerance * step * slope
        short = length[i] * (1 - t[first])
        unsure[i] |= abs(short - allowed) < 1e-6 * length[i]
        if short > allowed:
            status[i] = Sight.OCCLUDED
    depth = length if calibration.type == "spherical" else camera[:, 2]
    return status, pixel, depth, unsure


def pixel_steps(lens, pixels):
    """How far apart the rays of pixels' neighbours are: to the right or below, or else to the other side; the greater."""

    def look(shift):
        found = lens.look(lens.undistort(pixels + shift))
        return found if lens.parallel else found / np.linalg.norm(found, axis=1, keepdims=True)

    own, steps = look(np.zeros(2)), []
    for shift in (np.array([1.0, 0.0]), np.array([0.0, 1.0])):
        ahead, behind = (np.linalg.norm(look(sign * shift) - own, axis=1) for sign in (1, -1))
        steps.append(np.where(np.isfinite(ahead), ahead, behind))
    return np.nanmax(steps, axis=0)


def crowd(rng, n_balls=40):
    """Balls all around in a hilly room."""
    ball, faces = meshes.icosphere(2, 1.0)
    directions = rng.normal(size=(n_balls, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    mesh = meshes.joined(
        *((ball * rng.uniform(0.5, 1.5) + rng.uniform(5, 9) * direction, faces) for direction in directions),
        *(
            meshes.moved(meshes.terrain(rng, 8, 8, 50.0, 18.0, 6.0), dr.look_at((0, 0, 0), direction, (1, 2, 3)))
            for direction in (*np.eye(3), *-np.eye(3))
        ),
    )  # fmt: skip
    return meshes.on_lattice(mesh)


def points_of(rng, mesh, n):
    """Points on a mesh, before it, behind it, and near it."""
    corners = mesh[0][rng.choice(mesh[1], n)]
    on = np.einsum("nk,nkj->nj", rng.dirichlet([1, 1, 1], n), corners)
    off = on * rng.uniform(0.5, 1.5, (n, 1))
    near = on * (1 + rng.normal(size=(n, 1)) * 0.01)
    return np.where(rng.random((n, 1)) < 0.5, on, np.where(rng.random((n, 1)) < 0.5, off, near))


@pytest.mark.parametrize("tolerance", [0.3, 2.0])
@pytest.mark.parametrize("lens", sorted(cameras.EVERY_LENS))
def test_points_are_seen_as_the_twin_sees_them(lens, tolerance):
    rng = np.random.default_rng(1)
    transform = meshes.random_transform(rng, scale=0.5)
    mesh = crowd(rng)
    points = points_of(rng, mesh, 400)
    mesh = meshes.moved(mesh, transform)
    points = points @ transform[:3, :3].T + transform[:3, 3]
    calibration = cameras.calibration(lens, 97, 61)
    seen = dr.visible(mesh, points, transform, calibration, tolerance)
    status, pixel, depth, unsure = twin(mesh, points, transform, calibration, tolerance)
    assert unsure.mean() < 0.05
    np.testing.assert_array_equal(seen.status[~unsure], status[~unsure])
    np.testing.assert_allclose(seen.pixel, pixel, atol=1e-6)
    np.testing.assert_allclose(seen.depth, depth, rtol=1e-9, atol=1e-9)
    assert seen.status.dtype == np.uint8
    if lens in ("wide", "fisheye 220 distorted", "spherical"):
        assert (np.bincount(status, minlength=4)[[Sight.OCCLUDED, Sight.VISIBLE]] > 20).all()


def by_rays(mesh, points, transform, calibration, tolerance, seen):
    """Which points in the image are visible by rays of `pick_point`; and where rounding decides."""
    inside = np.flatnonzero(seen.status >= Sight.OCCLUDED)
    lens, pixel, points = Lens(calibration), seen.pixel[inside], points[inside]
    camera = np.linalg.solve(transform[:3, :3], (points - transform[:3, 3]).T).T
    origins = np.broadcast_to(transform[:3, 3], points.shape)
    if lens.parallel:
        origins = points - camera[:, 2:] * transform[:3, 2]
    picks = dr.pick_point(mesh, origins, points, endpoints=2)
    hit = picks.face_index >= 0
    a, b, c = (mesh[0][mesh[1][picks.face_index[hit], k]] for k in range(3))
    normal, d = np.cross(b - a, c - a), (points - origins)[hit]
    cosine = np.abs((normal * d).sum(axis=1)) / np.linalg.norm(normal, axis=1) / np.linalg.norm(d, axis=1)
    slope = np.ones(len(points))
    slope[hit] = np.clip(np.sqrt(np.maximum(1 - cosine**2, 0)) / cosine, 1.0, STEEPEST)
    step = pixel_steps(lens, pixel)
    t = np.where(hit, picks.t, 1.0)
    length = camera[:, 2] if lens.parallel else np.linalg.norm(camera, axis=1)
    allowed = tolerance * step * slope * (1.0 if lens.parallel else t * length)
    visible = length * (1 - t) <= allowed
    return inside, visible, np.abs(length * (1 - t) - allowed) < 1e-9 * length


@pytest.mark.parametrize("tolerance", [0.3, 2.0])
@pytest.mark.parametrize("lens", sorted(cameras.EVERY_LENS))
def test_many_points_are_seen_as_rays_see_them(lens, tolerance):
    rng = np.random.default_rng(2)
    transform = meshes.random_transform(rng, scale=0.5)
    mesh = crowd(rng, 60)
    points = points_of(rng, mesh, 3000)
    calibration = cameras.calibration(lens, 600, 400)
    # And what the camera looks at, however little it sees: on the surface, before and behind it.
    rays = calibration.unproject(rng.uniform(0, [600, 400], (1000, 2)))
    rays = rays[np.isfinite(rays).all(axis=1)]
    starts = rays * [1, 1, 0] if calibration.type == "orthographic" else np.zeros_like(rays)
    picks = dr.pick_point(mesh, starts, rays)
    ahead = (picks.t * np.where(rng.random(len(rays)) < 0.5, 1, rng.uniform(0.9, 1.1, len(rays))))[:, None]
    points = np.concatenate([points, (starts + ahead * (rays - starts))[picks.face_index >= 0]])
    points = meshes.moved((points, mesh[1]), transform)[0]
    mesh = meshes.moved(mesh, transform)
    seen = dr.visible(mesh, points, transform, calibration, tolerance)
    inside, visible, unsure = by_rays(mesh, points, transform, calibration, tolerance, seen)
    assert unsure.mean() < 0.001
    np.testing.assert_array_equal(seen.visible[inside][~unsure], visible[~unsure])
    assert np.count_nonzero(~visible) > 20 < np.count_nonzero(visible)


def test_a_ball_hides_its_own_back_and_what_is_behind():
    vertices, faces = meshes.icosphere(5, 2.0)
    transform = dr.look_at((10.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    calibration = dr.Calibration(400, 300, 500.0)
    rng = np.random.default_rng(3)
    points = rng.normal(size=(5000, 3))
    points *= 2.0 / np.linalg.norm(points, axis=1, keepdims=True)
    seen = dr.visible((vertices, faces), points, transform, calibration)
    horizon = points[:, 0] - 2.0 * 2.0 / 10.0  # visible where positive
    clear = (horizon > 0.05) | (horizon < -0.6)  # just behind it, the surface is within the tolerance
    np.testing.assert_array_equal(seen.visible[clear], (horizon > 0)[clear])
    assert (seen.status >= Sight.OCCLUDED).all()
    far = np.array([[-5.0, 0.0, 0.0], [-5.0, 3.5, 0.0], [5.0, 0.0, 0.0], [12.0, 0.0, 0.0], [0.0, 20.0, 0.0]])
    status = dr.visible((vertices, faces), far, transform, calibration).status
    assert status.tolist() == [Sight.OCCLUDED, Sight.VISIBLE, Sight.VISIBLE, Sight.BEHIND, Sight.OUTSIDE]


@pytest.mark.parametrize("storage", ["narrow", "wide"])
@pytest.mark.parametrize("place", [(0, 0, 0), (4.5e5, 5.2e6, 312.0)])
@pytest.mark.parametrize("lens", ["wide", "spherical", "orthographic"])
def test_nothing_is_seen_through_a_closed_mesh(lens, place, storage):
    """Behind vertices, edges' middles and random points of edges: where a test with gaps loses one in a thousand."""
    rng = np.random.default_rng(7)
    vertices, faces = meshes.icosphere(4)
    vertices = vertices * [1.0, 0.6, 1.7] + rng.normal(size=vertices.shape) * 1e-3
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])), axis=0)
    a, b = vertices[edges[:, 0]], vertices[edges[:, 1]]
    on = np.concatenate([vertices, 0.5 * (a + b), a + rng.random((len(a), 1)) * (b - a)])
    transform = np.eye(4)
    transform[:3, 3] = rng.uniform(-0.1, 0.1, 3)
    away = on - transform[:3, 3]
    if lens == "orthographic":
        on, away = (
            on[away[:, 2] > 0.3],
            np.broadcast_to([0.0, 0.0, 1.0], (np.count_nonzero(away[:, 2] > 0.3), 3)),
        )
    behind = on + 0.5 * away
    transform[:3, 3] += place
    scene = dr.Scene._with_storage(vertices + place, faces, storage)
    calibration = cameras.calibration(lens, 3000, 2000)
    seen = dr.visible(scene, behind + place, transform, calibration)
    inside = seen.status >= Sight.OCCLUDED
    assert np.count_nonzero(inside) > 1000
    assert not seen.visible.any()
    before = dr.visible(scene, on - 0.01 * away + place, transform, calibration)
    assert before.visible[inside].all()


def test_points_on_a_line_and_at_one_place_are_seen_as_any():
    rng = np.random.default_rng(9)
    mesh = crowd(rng)
    calibration = cameras.calibration("survey", 600, 400)
    line = np.linspace([-2.0, 1.0, 6.0], [2.0, -1.0, 9.0], 30_000)
    for points in (line, np.repeat(line[::3000], 2000, axis=0), line[:1]):
        together = dr.visible(mesh, points, np.eye(4), calibration).status
        mixed = dr.visible(
            mesh, np.concatenate([points, points_of(rng, mesh, 500)]), np.eye(4), calibration
        ).status
        np.testing.assert_array_equal(together, mixed[: len(points)])


def test_a_hair_hides_what_is_behind_it():
    """However far below the size of a pixel it is, if it is on the way."""
    wall, two = meshes.grid(2, 2, (-50, -50), (50, 50))
    hair = np.array([[-1e-7, -5.0, 5.0], [1e-7, -5.0, 5.0], [0.0, 5.0, 5.0]])
    mesh = np.concatenate([wall + [0, 0, 10], hair]), np.concatenate([two, [[9, 10, 11]]])
    points = np.array([[0.0, -4.0, 9.99], [1e-6, -4.0, 9.99], [0.0, 4.0, 4.9], [0.0, 12.0, 9.99]])
    seen = dr.visible(mesh, points, np.eye(4), dr.Calibration(60, 200, 50.0))
    assert seen.visible.tolist() == [False, True, True, True]


@pytest.mark.parametrize("lens", ["wide", "spherical", "cylindrical"])
def test_faces_that_reach_behind_the_camera_hide(lens):
    """A floor and a roof of two faces each, far beyond everything, the camera between them."""
    sheet = np.array([[-1e4, 1.0, -1e4], [1e4, 1.0, -1e4], [1e4, 1.0, 1e4], [-1e4, 1.0, 1e4]])
    mesh = np.concatenate([sheet, sheet * [1, -1, 1]]), np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    rng = np.random.default_rng(8)
    points = rng.uniform([-9, -3, -9], [9, 3, 9], (20_000, 3))
    seen = dr.visible(mesh, points, np.eye(4), cameras.calibration(lens, 600, 400))
    height = np.abs(points[:, 1])
    inside = (seen.status >= Sight.OCCLUDED) & (np.abs(height - 1) > 0.2)
    assert np.count_nonzero(inside) > 1000
    np.testing.assert_array_equal(seen.visible[inside], height[inside] < 1)


def test_a_few_large_faces_hide_many_points():
    """Sheets in front of one another, each narrower than what is behind it; each face lies before thousands of blocks."""
    depths, halves = np.arange(5.0, 13.0), np.linspace(0.1, 0.45, 8)  # of the greatest x / z and y / z
    square, faces = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), np.array([[0, 1, 2], [0, 2, 3]])
    corners = np.concatenate(
        [np.column_stack([square * half * z, np.full(4, z)]) for z, half in zip(depths, halves, strict=True)]
    )
    mesh = corners, np.concatenate([faces + 4 * k for k in range(8)])
    rng = np.random.default_rng(12)
    slope, z = rng.uniform(-0.5, 0.5, (300_000, 2)), rng.uniform(1.0, 15.0, 300_000)
    points = np.column_stack([slope * z[:, None], z])
    calibration = dr.Calibration(1000, 1000, 1000.0)
    at = np.abs(slope).max(axis=1)
    hides = (at[:, None] < halves) & (depths < z[:, None])
    unsure = (np.abs(at[:, None] - halves) < 1e-6).any(axis=1) | (np.abs(z[:, None] - depths) < 0.05).any(
        axis=1
    )
    for threads in (1, 2):
        seen = dr.visible(mesh, points, np.eye(4), calibration, threads=threads)
        assert (seen.status >= Sight.OCCLUDED).all()
        np.testing.assert_array_equal(seen.visible[~unsure], ~hides.any(axis=1)[~unsure])


def test_points_far_from_all_others_are_seen_as_any():
    """Too few for a sample to know of them: where the bins end there are others."""
    rng = np.random.default_rng(13)
    wall, faces = meshes.grid(30, 30, (-9, -9), (9, 9))
    mesh = wall + [0, 0, 10], faces
    crowd_of, lonely = rng.uniform(-0.02, 0.02, (50_000, 2)), rng.uniform(-0.48, 0.48, (50, 2))
    slope = np.concatenate([crowd_of, lonely])
    rng.shuffle(slope)
    z = np.where(rng.random(len(slope)) < 0.5, 9.0, 11.0)
    points = np.column_stack([slope * z[:, None], z])
    calibration = dr.Calibration(1000, 1000, 1000.0)
    seen = dr.visible(mesh, points, np.eye(4), calibration)
    np.testing.assert_array_equal(seen.visible, z < 10)
    table = dr.visibility_table(mesh, points, [(np.eye(4), calibration)])
    np.testing.assert_array_equal(table.point, np.flatnonzero(z < 10))
    np.testing.assert_allclose(table.pixel, seen.pixel[table.point])


def test_both_sides_of_a_sheet_hide():
    vertices, faces = meshes.grid(3, 3, (-5, -5), (5, 5))
    points = [[0.3, 0.2, 4.0], [0.3, 0.2, 6.0]]
    for winding in (faces, faces[:, ::-1]):
        seen = dr.visible((vertices + [0, 0, 5], winding), points, np.eye(4), dr.Calibration(60, 40, 50.0))
        assert seen.status.tolist() == [Sight.VISIBLE, Sight.OCCLUDED]


def test_tolerance_is_in_pixels_of_slope():
    """Behind a wall seen squarely, f pixels and 10 units away, a pixel is 10 / f: so far behind is still visible."""
    vertices, faces = meshes.grid(3, 3, (-50, -50), (50, 50))
    calibration = dr.Calibration(600, 400, 500.0)
    behind = np.array([0.9, 1.1]) * 10 / 500
    for tolerance in (0.5, 2.0, 7.0):
        points = np.stack([np.full(2, 0.4), np.full(2, 0.3), 10 + tolerance * behind], axis=1)
        seen = dr.visible((vertices + [0, 0, 10], faces), points, np.eye(4), calibration, tolerance)
        assert seen.visible.tolist() == [True, False]
    # Seen at 60 degrees from its normal the range changes by its tangent more.
    tangent = np.tan(np.radians(60))
    turn = dr.look_at((0, 0, 0), (0, np.sin(np.radians(60)), np.cos(np.radians(60))))[:3, :3]
    points = np.stack([np.zeros(2), np.zeros(2), 10 + 2.0 * tangent * behind], axis=1)
    seen = dr.visible((vertices @ turn.T + [0, 0, 10], faces), points, np.eye(4), calibration)
    assert seen.visible.tolist() == [True, False]


@pytest.mark.parametrize("place", [(4.5e5, 5.2e6, 312.0), (4.1e6, 6.2e5, 4.8e6)])
def test_the_place_on_earth_does_not_matter(place):
    rng = np.random.default_rng(4)
    mesh = crowd(rng)
    points = points_of(rng, mesh, 5000)
    calibration = cameras.calibration("survey", 300, 200)
    here = dr.visible(mesh, points, np.eye(4), calibration)
    moved = np.eye(4)
    moved[:3, 3] = place
    there = dr.visible((mesh[0] + place, mesh[1]), points + place, moved, calibration)
    assert (here.status != there.status).mean() < 1e-3
    np.testing.assert_allclose(there.pixel[here.visible], here.pixel[here.visible], atol=1e-4)


def test_threads_and_shapes_do_not_matter():
    rng = np.random.default_rng(5)
    mesh = crowd(rng)
    scene = dr.Scene(*mesh)
    points = points_of(rng, mesh, 100_000)
    calibration = cameras.calibration("survey", 300, 200)
    one, many = (dr.visible(scene, points, np.eye(4), calibration, threads=n) for n in (1, 3))
    for a, b in zip(one, many, strict=True):
        assert a.tobytes() == b.tobytes()
    folded = dr.visible(scene, points[:600].reshape(20, 30, 3), np.eye(4), calibration)
    assert folded.status.shape == folded.visible.shape == (20, 30) and folded.pixel.shape == (20, 30, 2)
    np.testing.assert_array_equal(folded.depth.ravel(), one.depth[:600])
    single = dr.visible(scene, points[7], np.eye(4), calibration)
    assert single.status.shape == () and single.status == one.status[7]
    assert dr.visible(scene, np.empty((0, 3)), np.eye(4), calibration).status.shape == (0,)


@pytest.fixture(scope="module")
def survey():
    rng = np.random.default_rng(6)
    ball, two = meshes.icosphere(2, 2.5)
    balls = [(ball + [x, y, 1.0], two) for x, y in rng.uniform(-20, 20, (9, 2))]
    vertices, faces = meshes.joined(meshes.terrain(rng, 40, 40, 60.0, 0.0, 3.0), *balls)
    mesh = vertices * [1, -1, -1], faces
    views = [
        dr.Camera(
            id=k,
            label=f"IMG_{k}",
            transform=dr.nadir((12.0 * k - 24, 3.0 * k, 25.0)),
            calibration=cameras.calibration("survey", 150 + 10 * k, 100),
        )
        for k in range(5)
    ]
    return dr.Scene(*mesh), points_of(rng, mesh, 3000), views


def test_a_table_holds_what_each_camera_sees(survey):
    scene, points, views = survey
    done = []
    table = dr.visibility_table(scene, points, views, progress=lambda *counts: done.append(counts))
    assert done == [(k, 5) for k in range(1, 6)]
    assert (table.n_points, table.n_views) == (3000, 5)
    assert table.labels == tuple(f"IMG_{k}" for k in range(5))
    assert table.point.dtype == np.int64 and table.view.dtype == np.int32
    for k, camera in enumerate(views):
        seen = dr.visible(scene, points, camera.transform, camera.calibration)
        part = table.of_view(k)
        np.testing.assert_array_equal(table.point[part], np.flatnonzero(seen.visible))
        np.testing.assert_array_equal(table.pixel[part], seen.pixel[seen.visible])
        np.testing.assert_array_equal(table.depth[part], seen.depth[seen.visible])
        assert (table.view[part] == k).all()
        assert table.points_per_view[k] == seen.visible.sum() > 100
    assert table.views_per_point.sum() == len(table.point)
    assert table.views_per_point.max() > 1 and table.views_per_point.min() == 0
    for view in (5, -1):
        with pytest.raises(IndexError, match=f"the view is {view}; there are 5, numbered from 0"):
            table.of_view(view)
    with pytest.raises(TypeError, match=r"'IMG_0'; its number.* labels\.index\(label\)"):
        table.of_view("IMG_0")


def test_a_table_becomes_scipys(survey):
    pytest.importorskip("scipy")
    scene, points, views = survey
    table = dr.visibility_table(scene, points, iter((v.transform, v.calibration) for v in views))
    assert table.labels == ("0", "1", "2", "3", "4")
    matrix = table.to_scipy().tocsr()
    assert matrix.shape == (3000, 5) and matrix.dtype == bool
    np.testing.assert_array_equal(np.asarray(matrix.sum(axis=1)).ravel(), table.views_per_point)
    some = int(np.argmax(table.views_per_point))
    np.testing.assert_array_equal(matrix[[some]].nonzero()[1], table.view[table.point == some])


def test_without_scipy_the_table_says_so(survey, monkeypatch):
    if importlib.util.find_spec("scipy") is None:
        pytest.skip("scipy is not installed: there is nothing to take away")
    scene, points, views = survey
    monkeypatch.setitem(__import__("sys").modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        dr.visibility_table(scene, points, views[:1]).to_scipy()


def test_no_cameras_and_no_points_make_empty_tables(survey):
    scene, points, views = survey
    empty = dr.visibility_table(scene, points, [])
    assert len(empty.point) == 0 and empty.n_views == 0 and not empty.views_per_point.any()
    assert dr.visibility_table(scene, np.empty((0, 3)), views).n_points == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"points": [[0, 0, np.nan], [1, 2, 3]]}, ValueError, "1 of 2 points are not finite, the first at 0"),
        ({"points": [[0, 0]]}, ValueError, r"points have the shape \(1, 2\)"),
        ({"points": "here"}, TypeError, "points make no array of numbers"),
        ({"tolerance": 0.0}, ValueError, "tolerance is 0"),
        ({"tolerance": None}, TypeError, "tolerance is None"),
        ({"tolerance": "2"}, TypeError, "tolerance is '2'; a number"),
        ({"transform": np.zeros((4, 4))}, ValueError, "singular|last row"),
        ({"calibration": None}, TypeError, "the calibration is a NoneType"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, message):
    arguments = {"points": [[0.0, 0, 1]], "transform": np.eye(4), "calibration": dr.Calibration(60, 40, 50.0)}
    with pytest.raises(error, match=message):
        dr.visible(meshes.icosphere(0), **(arguments | change))


def test_a_table_names_the_camera_that_does_not_fit(survey):
    scene, points, views = survey
    lost = dr.Camera(id=9, label="lost", calibration=views[0].calibration)
    with pytest.raises(ValueError, match="view 'lost': the camera has no transform"):
        dr.visibility_table(scene, points, [views[0], lost])
    with pytest.raises(ValueError, match=r"\(N, 3\) is needed for a table"):
        dr.visibility_table(scene, points.reshape(30, 100, 3), views)
