"""`render_stereo`: against a slow twin through every lens, against f b / z, and against what walls hide."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

import cameras
import depthraster as dr
import depthraster.stereo
import meshes
from depthraster import Sight
from reference_stereo import stereo_twin
from test_visibility import crowd, twin

FIELDS = (
    "left_depth", "right_depth", "disparity", "correspondence", "occlusion", "outside", "consistency", "left_seen",
    "right_seen",
)  # fmt: skip


def wall(z: float, x0: float, x1: float, slope: float = 0.0) -> meshes.Mesh:
    """A sheet from x0 to x1 at z + slope x."""
    vertices, faces = meshes.grid(5, 3, (x0, -20.0), (x1, 20.0))
    return vertices + np.stack([0 * vertices[:, 0]] * 2 + [z + slope * vertices[:, 0]], axis=1), faces


@pytest.fixture(scope="module")
def hills() -> dr.Scene:
    return dr.Scene(*meshes.terrain(np.random.default_rng(4), 60, 60, 20.0, 22.0, 3.0))


def assert_same(one: dr.Stereo, other: dr.Stereo) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("lens", sorted(cameras.EVERY_LENS))
def test_every_lens_gives_what_the_twin_gives(lens):
    rng = np.random.default_rng(5)
    transform = meshes.random_transform(rng, scale=0.5)
    mesh = meshes.moved(crowd(rng, 14), transform)
    calibration = cameras.calibration(lens, 97, 61)
    stereo = dr.render_stereo(mesh, transform, calibration, 0.4)
    right = stereo.right_transform, calibration
    np.testing.assert_allclose(right[0][:3, :3], transform[:3, :3], rtol=0)
    np.testing.assert_allclose(np.linalg.solve(transform, right[0])[:3, 3], [0.8, 0, 0], atol=1e-12)
    which = rng.choice(97 * 61, 200, replace=False)
    expected = stereo_twin(mesh, (transform, calibration), right, which)
    found = {name: getattr(stereo, name).reshape(97 * 61, -1)[which] for name in FIELDS}
    sure = expected.sure
    assert sure.mean() > 0.97 and np.isfinite(expected.points[sure]).any(axis=1).sum() > 60

    # A ray of the rasterizer's is the pixel's own to about 1e-5 pixel, and so is where it leads to.
    np.testing.assert_allclose(
        found["correspondence"][sure], expected.correspondence[sure], rtol=0, atol=3e-5
    )
    np.testing.assert_allclose(found["disparity"][sure, 0], expected.disparity[sure], rtol=1e-7, atol=3e-5)
    both = sure & expected.sure_back
    followed, twins = found["consistency"][both, 0], expected.consistency[both]
    np.testing.assert_allclose(followed, twins, rtol=1e-5, atol=3e-5)
    assert np.isfinite(twins).sum() > 40
    assert np.nanmax(found["consistency"][both & expected.same_face]) < 3e-5

    assert not found["occlusion"][sure & np.isnan(expected.points[:, 0])].any()
    some = np.flatnonzero(sure & np.isfinite(expected.points[:, 0]))[:70]
    status, _, _, unsure = twin(mesh, expected.points[some], *right, 2.0)
    some, status = some[~unsure], status[~unsure]
    np.testing.assert_array_equal(found["outside"][some, 0], status < Sight.OCCLUDED)
    differ = which[some[found["occlusion"][some, 0] != (status != Sight.VISIBLE)]]
    assert len(differ) <= 1
    if len(differ):  # thinner than a pixel of the image that `visible` looks at: beside an edge, then
        edge = dr.render(mesh, *right, "edge", cull_faces=False).edge
        for u, v in stereo.correspondence.reshape(-1, 2)[differ].astype(int):
            assert edge[max(v - 4, 0) : v + 5, max(u - 4, 0) : u + 5].any()


def test_a_rectified_pair_of_pinholes_has_the_disparity_of_the_book():
    """On a tilted plane, whose depth is known in full: through 6000 columns, for disparities up to 1940 pixels."""
    calibration = dr.Calibration(6000, 12, 5000.0, cx=31.7, cy=-2.3, b1=1.25)
    z, slope, baseline = 3.2, 0.4, 1.0
    stereo = dr.render_stereo(wall(z, -10.0, 10.0, slope), np.eye(4), calibration, baseline)
    x = (np.arange(6000) + 0.5 - 3000 - 31.7) / 5001.25
    depth = z / (1.0 - slope * x)  # Z = z + slope X, X = x Z
    disparity = 5001.25 * baseline / depth
    assert disparity.min() < 1200 and 1900 < disparity.max() < 2048
    expected = np.broadcast_to(disparity, (12, 6000))
    np.testing.assert_allclose(stereo.disparity, expected, rtol=0, atol=1e-4)
    v, u = np.indices((12, 6000)) + 0.5
    np.testing.assert_allclose(stereo.correspondence[..., 0], u - expected, rtol=0, atol=3e-5)
    # A pixel's ray lies on a lattice of 2**-22 plane pixels.
    np.testing.assert_allclose(stereo.correspondence[..., 1], v, rtol=0, atol=0.51 * 2.0**-22)
    np.testing.assert_array_equal(stereo.outside, (u - expected < 0) | (u - expected >= 6000))
    np.testing.assert_array_equal(stereo.occlusion, stereo.outside)
    assert 0.2 < stereo.outside.mean() < 0.4
    np.testing.assert_array_equal(np.isnan(stereo.consistency), stereo.outside)
    assert np.nanmax(stereo.consistency) < 1e-4
    np.testing.assert_array_equal(stereo.matched, ~stereo.outside)


def test_disparity_of_a_survey_in_utm():
    """Coordinates of millions cost nothing: the same pair at the origin and far from it."""
    near = meshes.terrain(np.random.default_rng(6), 40, 40, 60.0, 70.0, 8.0)
    shift = np.array([500_000.0, 5_400_000.0, 300.0])
    far, calibration = np.eye(4), cameras.calibration("survey", 600, 400)
    far[:3, 3] = shift
    one = dr.render_stereo(near, np.eye(4), calibration, 5.0)
    other = dr.render_stereo((near[0] + shift, near[1]), far, calibration, 5.0)
    same = ~np.isnan(one.disparity) & ~np.isnan(other.disparity)
    assert same.mean() > 0.4 and (np.isnan(one.disparity) == np.isnan(other.disparity)).mean() > 0.9999
    np.testing.assert_allclose(other.correspondence[same], one.correspondence[same], rtol=0, atol=1e-4)


def test_a_wall_hides_what_it_should():
    """A near wall hides from the right camera a strip of the far one as wide as the difference of the disparities."""
    calibration = dr.Calibration(400, 60, 300.0)
    near, far, baseline = 4.0, 9.0, 0.5
    scene = meshes.joined(wall(far, -30.0, 30.0), wall(near, -0.51, 0.71))
    stereo = dr.render_stereo(scene, np.eye(4), calibration, baseline)
    u = np.arange(400) + 0.5
    right_of, left_of = 200 + 300 * 0.71 / near, 200 - 300 * 0.51 / near
    on_near = (u > left_of) & (u < right_of)
    gap = 300 * baseline * (1 / near - 1 / far)
    hidden = (u > left_of - gap) & (u < left_of)
    outside = u - 300 * baseline / far < 0
    assert 15 < hidden.sum() < 25 and outside.sum() == 17
    for row in (0, 31, 59):
        np.testing.assert_array_equal(stereo.left_depth[row], np.where(on_near, np.float32(4), np.float32(9)))
        np.testing.assert_array_equal(stereo.outside[row], outside)
        np.testing.assert_array_equal(stereo.occlusion[row], outside | hidden)
        # Followed back, what is hidden leads to the near wall: as far away as the disparities are apart.
        np.testing.assert_allclose(stereo.consistency[row, hidden], gap, rtol=1e-5)
        assert np.nanmax(stereo.consistency[row, ~hidden]) < 1e-4
    np.testing.assert_allclose(stereo.disparity[:, hidden], 300 * baseline / far, rtol=1e-6)

    # The other way round, it is the strip on the other side.
    other = dr.render_stereo(scene, np.eye(4), calibration, -baseline)
    hidden = (u > right_of) & (u < right_of + gap)
    np.testing.assert_array_equal(other.occlusion[30], (u + 300 * baseline / far >= 400) | hidden)
    assert np.nanmax(other.disparity) < 0


def test_a_slope_seen_from_the_side_does_not_hide_itself():
    """Its points are where the right image shows its surface; the tolerance is in pixels of its slope."""
    stereo = dr.render_stereo(
        wall(10.0, -30.0, 9.0, -1.0), np.eye(4), cameras.calibration("survey", 300, 200), 2.0
    )
    assert stereo.occlusion.any() and (stereo.occlusion == stereo.outside).all()
    assert np.nanmax(stereo.consistency[stereo.matched]) < 1e-4


@pytest.mark.parametrize("lens", ["survey", "fisheye 190", "spherical"])
def test_what_matches_is_consistent(hills, lens):
    """Of a smooth surface nearly all matched pixels come back to themselves, and none goes astray far from an edge."""
    calibration = cameras.calibration(lens, 480, 320)
    stereo = dr.render_stereo(hills, np.eye(4), calibration, 1.5)
    errors = stereo.consistency[stereo.matched]
    assert np.isfinite(errors).mean() > 0.99 and np.nanquantile(errors, 0.99) < 0.1
    lens_says = calibration.project(
        np.linalg.solve(stereo.right_transform, np.eye(4))[:3, 3]
        + dr.render(hills, np.eye(4), calibration, "position").position
    )
    matched = stereo.matched
    np.testing.assert_allclose(stereo.correspondence[matched], lens_says[matched], rtol=0, atol=1e-8)
    depths = [stereo.left_depth, stereo.right_depth]
    for depth, place in zip(depths, (np.eye(4), stereo.right_transform), strict=True):
        np.testing.assert_array_equal(depth, dr.render_depth(hills, place, calibration)[..., 0])


def test_a_panoramas_seam_is_crossed_the_shorter_way():
    vertices, faces = meshes.icosphere(4, 8.0, True)
    calibration = cameras.calibration("spherical", 360, 180)
    stereo = dr.render_stereo((vertices, faces), np.eye(4), calibration, 0.8)
    assert stereo.matched.all()
    across = np.indices((180, 360))[1] + 0.5 - stereo.correspondence[..., 0]
    assert (np.abs(across) > 180).any(), "some pixels leave at one side and enter at the other"
    equator = stereo.disparity[60:120]
    assert np.abs(equator).max() < 10 and equator[:, 180].min() > 5 > -5 > equator[:, 0].max()
    assert np.nanquantile(stereo.consistency, 0.99) < 0.01


def test_any_second_camera_will_do(hills):
    left, right = cameras.calibration("survey", 200, 140), cameras.calibration("fisheye 100", 90, 170)
    place = np.eye(4)
    place[:3, 3] = 2.0, 1.0, -0.5
    place[:3, :3] = dr.look_at((0, 0, 0), (-0.1, -0.05, 1), (0, -1, 0.1))[:3, :3]
    stereo = dr.render_stereo(hills, np.eye(4), left, right_transform=place, right_calibration=right)
    assert stereo.right_depth.shape == (170, 90) and stereo.disparity.shape == (140, 200)
    assert stereo.matched.mean() > 0.2
    # There and back: the right camera's pixels that are matched lead to the left ones that lead to them.
    back = dr.render_stereo(hills, place, right, right_transform=np.eye(4), right_calibration=left)
    rows, cols = np.nonzero(back.matched)
    u, v = back.correspondence[rows, cols].astype(int).T
    away = np.abs(stereo.correspondence[v, u] - np.stack([cols + 0.5, rows + 0.5], axis=-1)).max(axis=1)
    assert np.nanquantile(away, 0.95) < 1.0  # within the pixel that the left one is in
    assert Image.open(io.BytesIO(stereo._repr_png_())).width > 1000

    moved = np.eye(4)
    moved[0, 3] = 1.25
    assert_same(
        dr.render_stereo(hills, np.eye(4), left, right_transform=moved),
        dr.render_stereo(hills, np.eye(4), left, 1.25),
    )


def test_opencv_warps_the_right_image_onto_the_left_one(hills):
    """The recipe of docs/stereo.md, on an image that is smooth along the surface: where the surface is, east."""
    cv2 = pytest.importorskip("cv2")
    calibration = cameras.calibration("barrel", 300, 200)
    stereo = dr.render_stereo(hills, np.eye(4), calibration, 1.0)
    left, right = (
        dr.render(hills, place, calibration, "position").position[..., 0].astype("f4")
        for place in (np.eye(4), stereo.right_transform)
    )
    map_x, map_y = np.moveaxis(stereo.correspondence.astype("f4") - 0.5, -1, 0)
    warped = cv2.remap(right, map_x, map_y, cv2.INTER_LINEAR)
    inner = stereo.matched & np.isfinite(warped)
    assert inner.mean() > 0.2
    pixel = 20.0 / calibration.f  # of the surface, 20 units away
    assert np.quantile(np.abs(warped - left)[inner], 0.99) < 0.1 * pixel


def test_one_photo_warped_onto_another_fits_best_where_it_is(real_data):
    """Two real photos from different sides: moved by a pixel or more, they fit less well."""
    cv2 = pytest.importorskip("cv2")
    folder = real_data / "delfem2_mvs"
    chunk = dr.load_chunk(folder / "camera.xml")
    left, right = chunk.camera("IMG_4190"), chunk.camera("IMG_4200")
    photos = [
        np.asarray(Image.open(folder / f"{view.label}.JPG").convert("L"), np.float32)
        for view in (left, right)
    ]
    smaller = photos[0].shape[1] / left.calibration.width
    stereo = dr.render_stereo(
        folder / "foo.obj", left.transform, left.calibration.scaled(smaller), right_transform=right.transform,
        right_calibration=right.calibration.scaled(smaller),
    )  # fmt: skip
    matched = stereo.matched
    assert photos[0].shape == matched.shape and matched.sum() > 40_000
    x, y = np.moveaxis(stereo.correspondence.astype(np.float32) - 0.5, -1, 0)

    def fit(du: int, dv: int) -> float:
        warped = cv2.remap(photos[1], x + du, y + dv, cv2.INTER_LINEAR)
        return float(np.corrcoef(photos[0][matched], warped[matched])[0, 1])

    fits = {(du, dv): fit(du, dv) for du in (-1, 0, 1) for dv in (-1, 0, 1)}
    assert max(fits, key=fits.__getitem__) == (0, 0) and fits[0, 0] > 0.9


def test_threads_and_bands_change_nothing(hills, monkeypatch):
    calibration = cameras.calibration("survey", 211, 130)
    whole = dr.render_stereo(hills, np.eye(4), calibration, 0.7, threads=1)
    monkeypatch.setattr(depthraster.stereo, "_PIXELS", 211 * 7)
    monkeypatch.setattr(depthraster.stereo, "_TOGETHER", 100)
    assert_same(whole, dr.render_stereo(hills, np.eye(4), calibration, 0.7, threads=3))


def test_nothing_seen_and_parts_seen():
    calibration = dr.Calibration(50, 40, 40.0)
    empty = dr.render_stereo(
        meshes.icosphere(1), dr.look_at((5, 0, 0), (9, 0, 0)), calibration, 1.0, background=np.nan
    )
    assert not empty.occlusion.any() and not empty.matched.any() and not empty.outside.any()
    for name in ("left_depth", "right_depth", "disparity", "correspondence", "consistency"):
        assert np.isnan(getattr(empty, name)).all(), name
    assert empty._repr_png_() and "0.0%" in repr(empty)

    ball = dr.render_stereo(meshes.icosphere(3), dr.look_at((5, 0, 0), (0, 0, 0)), calibration, 0.5)
    seen = ball.left_depth > 0
    np.testing.assert_array_equal(ball.left_seen, seen)
    np.testing.assert_array_equal(ball.right_seen, ball.right_depth > 0)
    np.testing.assert_array_equal(np.isnan(ball.disparity), ~seen)
    np.testing.assert_array_equal(ball.matched | ball.occlusion, seen)
    assert 0 < seen.mean() < 0.3 and (ball.right_depth > 0).any()
    # Behind the right camera: not imaged there at all.
    turned = dr.look_at((5, 0, 0), (9, 0, 0))
    away = dr.render_stereo(
        meshes.icosphere(3), dr.look_at((5, 0, 0), (0, 0, 0)), calibration, right_transform=turned
    )
    assert (away.outside == seen).all() and np.isnan(away.disparity).all() and not away.matched.any()


def test_types_are_those_documented(hills):
    stereo = dr.render_stereo(hills, np.eye(4), cameras.calibration("survey", 40, 30), 0.7)
    types = {name: getattr(stereo, name).dtype.name for name in FIELDS}
    assert types == {
        "left_depth": "float32", "right_depth": "float32", "disparity": "float32", "correspondence": "float64",
        "occlusion": "bool", "outside": "bool", "consistency": "float32", "left_seen": "bool", "right_seen": "bool",
    }  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        stereo.disparity = stereo.left_depth


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"baseline": 0.0}, ValueError, "baseline is 0.0; a finite number of chunk units other than 0"),
        ({"baseline": float("nan")}, ValueError, "baseline is nan"),
        ({"baseline": float("inf")}, ValueError, "baseline is inf"),
        ({"baseline": "far"}, TypeError, "baseline is 'far'"),
        ({"baseline": None}, TypeError, "there is no baseline"),
        ({"right_transform": np.eye(4)}, ValueError, "baseline is 1.0, and right_transform"),
        ({"baseline": None, "right_transform": np.eye(3)}, ValueError, r"the shape \(3, 3\)"),
        ({"transform": None}, TypeError, "the transform is None"),
        ({"calibration": "lens"}, TypeError, "the calibration is a str"),
        ({"right_calibration": "lens"}, TypeError, "the calibration is a str"),
        ({"tolerance": -1.0}, ValueError, "tolerance is -1"),
        ({"tolerance": "much"}, TypeError, "tolerance is 'much'"),
        ({"threads": 0}, ValueError, "threads"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, message):
    arguments = {
        "transform": np.eye(4),
        "calibration": dr.Calibration(30, 20, 25.0),
        "baseline": 1.0,
    } | change
    with pytest.raises(error, match=message):
        dr.render_stereo(meshes.icosphere(0), **arguments)
