"""Every lens model against formulas written another way, and against itself: one table, one suite."""

from __future__ import annotations

import math

import numpy as np
import pytest

import depthraster as dr

C = dr.Calibration
LENSES = {
    "frame": C(600, 400, 410.0, cx=3.5, cy=-2.0, k1=-0.09, k2=0.03, p1=4e-4, p2=-3e-4, b1=0.7, b2=-0.3),
    "frame, real, folding": C(
        3456, 2304, 8682.2, cx=50.3, cy=-15.5, k1=-0.102, k2=-0.114, k3=-6.33, p1=1.8e-3, p2=9.7e-4
    ),
    "fisheye 190": C(600, 400, 181.0, type="fisheye"),
    "fisheye 220, distorted": C(
        600,
        600,
        150.0,
        cx=4.0,
        cy=-3.0,
        k1=0.02,
        k2=-0.004,
        p1=3e-4,
        p2=-2e-4,
        b1=0.5,
        b2=0.2,
        type="fisheye",
    ),
    "fisheye, folding": C(600, 600, 250.0, k1=-0.05, k2=-0.04, type="fisheye"),
    "equisolid": C(600, 600, 160.0, k1=0.01, p1=1e-4, type="equisolid_fisheye"),
    "spherical": C(640, 320, type="spherical"),
    "spherical, part, shifted": C(400, 300, 200.0, cx=30.0, cy=-20.0, type="spherical"),
    "cylindrical": C(640, 300, 100.0, cx=5.0, cy=-9.0, type="cylindrical"),
    "orthographic": C(300, 200, 12.5, cx=1.0, cy=2.0, type="orthographic"),
}
each_lens = pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())


def spin(lens, direction):
    """Angle from the axis and unit vector across it."""
    rho = np.hypot(direction[:, 0], direction[:, 1])
    across = np.divide(direction[:, :2], rho[:, None], out=np.zeros((len(rho), 2)), where=rho[:, None] > 0)
    return np.arccos(np.clip(direction[:, 2] / np.linalg.norm(direction, axis=1), -1, 1)), across


def pixels_by_the_book(lens, points):
    """The manual's formulas, a line each, over whole arrays."""
    X, Y, Z = points.T
    centre = np.array([lens.width / 2 + lens.cx, lens.height / 2 + lens.cy])
    if lens.type == "orthographic":
        return np.where(Z[:, None] > 0, centre + lens.f * points[:, :2], np.nan)
    if lens.type == "spherical":
        down = np.arcsin(Y / np.linalg.norm(points, axis=1))
        return centre + lens.f * np.column_stack([np.angle(Z + 1j * X), down])
    if lens.type == "cylindrical":
        return centre + lens.f * np.column_stack([np.angle(Z + 1j * X), Y / np.abs(Z + 1j * X)])
    theta, across = spin(lens, points)
    if lens.type == "frame":
        radius = np.where(Z > 0, np.tan(theta), np.nan)
    else:
        radius = theta if lens.type == "fisheye" else 2 * np.sin(theta / 2)
    radius[radius > lens.valid_radius] = np.nan
    x, y = (across * radius[:, None]).T
    r2 = radius**2
    R = np.polynomial.polynomial.polyval(r2, [1, lens.k1, lens.k2, lens.k3, lens.k4])
    D = 1 + lens.p3 * r2 + lens.p4 * r2**2
    xd = x * R + (lens.p1 * (r2 + 2 * x * x) + 2 * lens.p2 * x * y) * D
    yd = y * R + (lens.p2 * (r2 + 2 * y * y) + 2 * lens.p1 * x * y) * D
    return centre + np.column_stack([xd * lens.f + xd * lens.b1 + yd * lens.b2, yd * lens.f])


def pixel_grid(lens, n=81):
    u, v = np.meshgrid(np.linspace(0.5, lens.width - 0.5, n), np.linspace(0.5, lens.height - 0.5, n))
    return np.column_stack([u.ravel(), v.ravel()])


@each_lens
def test_projects_as_the_book_says(lens):
    points = np.random.default_rng(1).normal(size=(20_000, 3)) * 3.0
    expected = pixels_by_the_book(lens, points)
    assert np.isfinite(expected).all(axis=1).sum() > 100
    np.testing.assert_allclose(lens.project(points), expected, rtol=1e-9, atol=1e-7)


@each_lens
def test_pixels_come_back(lens):
    pixels = pixel_grid(lens)
    seen = lens.unproject(pixels)
    imaged = np.isfinite(seen).all(axis=1)
    assert imaged.mean() > 0.5
    assert np.abs(lens.project(seen[imaged]) - pixels[imaged]).max() <= 1e-7


@each_lens
def test_directions_come_back(lens):
    points = np.random.default_rng(2).normal(size=(20_000, 3))
    pixels = lens.project(points)
    imaged = np.isfinite(pixels).all(axis=1)
    seen = lens.unproject(pixels[imaged])
    if lens.type == "orthographic":
        np.testing.assert_allclose(seen[:, :2], points[imaged, :2], rtol=0, atol=1e-12)
        return
    unit = points[imaged] / np.linalg.norm(points[imaged], axis=1, keepdims=True)
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    # At a fold a pixel says little of its direction, far outside a frame image it says too much for float64.
    theta, _ = spin(lens, unit)
    limits = {"frame": min(math.atan(0.9 * lens.valid_radius), 1.5), "fisheye": 0.9 * lens.valid_radius}
    steady = theta < limits.get(lens.type, math.pi)
    assert steady.sum() > 100
    assert np.abs(seen - unit)[steady].max() <= 1e-9
    if lens.valid_radius > math.pi / 2 and lens.type != "frame":
        assert (unit[steady, 2] < -0.2).any()  # behind the camera, too


@each_lens
def test_scaled_images_look_alike(lens):
    small = lens.scaled(0.25)
    pixels = pixel_grid(lens, 21)
    np.testing.assert_allclose(small.unproject(pixels * 0.25), lens.unproject(pixels), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("lens", "across", "down"),
    [
        (C(1000, 500, 500.0), 90.0, 2 * math.degrees(math.atan(0.5))),
        (C(1000, 500, 1000 / math.radians(190), type="fisheye"), 190.0, 95.0),
        (C(1000, 500, 100.0, type="fisheye"), 360.0, math.degrees(5.0)),
        (C(640, 320, type="spherical"), 360.0, 180.0),
        (C(640, 200, 100.0, type="cylindrical"), 360.0, 90.0),
        (C(640, 200, 100.0, type="orthographic"), 0.0, 0.0),
    ],
)
def test_field_of_view(lens, across, down):
    # The sum of chords of 256 steps is an angle but for the turns of the cylinder's rows.
    np.testing.assert_allclose(lens.field_of_view, (across, down), rtol=1e-6)


def test_a_panoramas_edges_and_poles():
    whole = C(640, 320, type="spherical")
    assert whole.f == 640 / (2 * math.pi)
    np.testing.assert_allclose(whole.unproject([[0, 160], [640, 160]]), [[0, 0, -1]] * 2, atol=1e-12)
    np.testing.assert_allclose(whole.unproject([[99, 0], [99, 320]]), [[0, -1, 0], [0, 1, 0]], atol=1e-12)
    assert np.isnan(whole.unproject([[-0.01, 160], [640.01, 160], [99, -0.01], [99, 320.01]])).all()
    np.testing.assert_allclose(whole.project([[0, -2, 0], [0, 3, 0]]), [[320, 0], [320, 320]])
    assert np.isnan(whole.project([[0, 0, 0], [np.nan, 0, 1], [np.inf, 0, 1]])).all()
    round_view = C(640, 300, 100.0, type="cylindrical")
    assert np.isnan(round_view.project([0, 1, 0])).all()  # the cylinder's axis is nowhere
    assert np.isnan(round_view.unproject([320 + 100 * math.pi + 0.01, 20])).all()


def test_straight_behind_a_fisheye_is_no_pixel():
    lens = LENSES["fisheye 190"]
    assert np.isnan(lens.project([0, 0, -1])).all()
    np.testing.assert_allclose(lens.project([0, 0, 1]), [300, 200])


def test_names_of_models():
    assert C(10, 10, 5.0, type="equidistant_fisheye") == C(10, 10, 5.0, type="fisheye")
    for words, message in [
        ({"type": "rpc"}, "'rpc', a satellite's"),
        ({"type": "spherical", "k1": 0.1}, "k1 is 0.1, but a spherical lens has no distortion"),
        ({"type": "cylindrical", "b2": 0.1}, "b2 is 0.1, but a cylindrical lens has no distortion"),
        ({"type": "fisheye", "f": math.nan}, "f is nan"),
    ]:
        with pytest.raises(ValueError, match=message):
            C(**{"width": 10, "height": 10, "f": 5.0, **words})
