"""`Calibration` and the lens kernels under it: against the twin's lens, round trips, bounds, bad values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

import cameras
import depthraster as dr
import reference
from depthraster.kernels import lens as lens_kernels
from depthraster.kernels.lens import second_derivative_bound

project_frame_jacobian = lens_kernels.project_frame_jacobian.py_func  # compiled into its callers only

LENSES = sorted(cameras.LENSES)
SIZE = (600, 400)


def pixel_grid(calibration, step=7.3):
    u = np.arange(0.0, calibration.width, step)
    v = np.arange(0.0, calibration.height, step)
    return np.stack(np.meshgrid(u, v), axis=-1)


@pytest.mark.parametrize("lens", LENSES)
def test_project_is_the_formula(lens):
    calibration = cameras.calibration(lens, *SIZE)
    points = np.random.default_rng(2).normal(size=(2000, 3)) * [1, 1, 2]
    ours, theirs = calibration.project(points), reference.Lens(calibration).project(points)
    assert np.isnan(theirs).any()
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("lens", LENSES)
def test_unproject_is_the_inverse(lens):
    calibration = cameras.calibration(lens, *SIZE)
    pixels = pixel_grid(calibration)
    rays = calibration.unproject(pixels)
    assert rays.shape == (*pixels.shape[:2], 3)
    imaged = np.isfinite(rays).all(axis=-1)
    assert imaged.mean() > 0.3
    assert (rays[imaged][:, 2] == 1).all()
    assert np.abs(calibration.project(rays[imaged]) - pixels[imaged]).max() <= 1e-9
    assert (np.hypot(*rays[imaged][:, :2].T) <= calibration.valid_radius).all()


@pytest.mark.parametrize("lens", LENSES)
def test_every_point_of_the_domain_comes_back(lens):
    """Also near the fold, where Newton's method by itself would leave for the other branch."""
    calibration = cameras.calibration(lens, *SIZE)
    twin = reference.Lens(calibration)
    rng = np.random.default_rng(3)
    reach = min(calibration.valid_radius, 2 * cameras.half_field(calibration))
    angle = rng.uniform(0, 2 * np.pi, 3000)
    radius = reach * np.sqrt(rng.uniform(0, 0.998, 3000))
    plane = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    plane = plane[np.linalg.det(twin.jacobian(*plane.T)) > 0.02]
    back = calibration.unproject(calibration.project(np.column_stack([plane, np.ones(len(plane))])))
    np.testing.assert_allclose(back[:, :2], plane, atol=1e-9)


@given(cameras.CALIBRATIONS)
def test_unproject_promises_its_residual_for_any_lens(calibration):
    pixels = pixel_grid(calibration, 11.1)
    rays = calibration.unproject(pixels)
    imaged = np.isfinite(rays).all(axis=-1)
    error = np.abs(calibration.project(rays) - pixels)[imaged]
    assert not imaged.any() or error.max() <= 1e-9
    # The twin finds no ray where we say there is none.
    theirs = np.isfinite(reference.Lens(calibration).unproject(pixels[~imaged])).all(axis=-1)
    lost = pixels[~imaged][theirs]
    border = reference.near_domain_border(calibration, lost) if len(lost) else np.zeros(0, bool)
    assert border.all()


def test_the_valid_radius_is_where_growth_ends():
    calibration = dr.Calibration(3456, 2304, 8682.2, k1=-0.102, k2=-0.114, k3=-6.33)
    r = np.linspace(1e-3, 2 * calibration.valid_radius, 200001)
    distorted = r * (1 - 0.102 * r**2 - 0.114 * r**4 - 6.33 * r**6)
    assert calibration.valid_radius == pytest.approx(r[np.argmax(distorted)], rel=1e-4)
    assert dr.Calibration(10, 10, 5.0).valid_radius == math.inf
    assert dr.Calibration(10, 10, 5.0, k1=0.1).valid_radius == math.inf
    assert dr.Calibration(10, 10, 5.0, k1=-0.1).valid_radius == pytest.approx(math.sqrt(1 / 0.3), rel=1e-14)
    # Tiny high terms do not hide the fold of the low ones.
    for tiny in (1e-12, -1e-12, 1e-180, -1e-180, 5e-324):
        lens = dr.Calibration(10, 10, 5.0, k1=-0.1, k4=tiny)
        assert lens.valid_radius == pytest.approx(math.sqrt(1 / 0.3))


def test_what_is_not_imaged_is_nan():
    calibration = dr.Calibration(600, 400, 300.0, k1=-0.3)
    beyond = 1.01 * calibration.valid_radius
    assert np.isnan(calibration.project([[0, 0, -1], [0, 0, 0], [beyond, 0, 1], [np.nan, 0, 1]])).all()
    assert np.isfinite(calibration.project([0.99 * calibration.valid_radius, 0, 1])).all()
    assert np.isnan(calibration.unproject([[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])).all()


def test_points_off_the_image_have_coordinates():
    assert dr.Calibration(10, 10, 5.0).project([10.0, 0.0, 1.0]).tolist() == [55.0, 5.0]


@pytest.mark.parametrize("lens", LENSES)
def test_jacobian_against_differences(lens):
    calibration = cameras.calibration(lens, *SIZE)
    params = calibration.lens_params()
    step = 1e-6
    for x, y in np.random.default_rng(4).uniform(-0.4, 0.4, (20, 2)):
        _, _, ux, uy, vx, vy = project_frame_jacobian(x, y, params)

        def at(x, y):
            return np.array(project_frame_jacobian(x, y, params)[:2])

        along_x = (at(x + step, y) - at(x - step, y)) / (2 * step)
        along_y = (at(x, y + step) - at(x, y - step)) / (2 * step)
        np.testing.assert_allclose([ux, vx], along_x, rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose([uy, vy], along_y, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("lens", LENSES)
def test_second_derivatives_stay_below_their_bound(lens):
    calibration = cameras.calibration(lens, *SIZE)
    params = calibration.lens_params()
    rng = np.random.default_rng(5)
    radius = 0.7
    bound = second_derivative_bound(params, radius)
    most = 0.0
    step = 1e-4
    for _ in range(3000):
        x, y = rng.normal(size=2)
        x, y = np.array([x, y]) / np.hypot(x, y) * radius * np.sqrt(rng.uniform())
        a = rng.uniform(0, np.pi)
        line = [
            np.array(project_frame_jacobian(x + t * np.cos(a), y + t * np.sin(a), params)[:2])
            for t in (-step, 0, step)
        ]
        most = max(most, np.abs(line[0] - 2 * line[1] + line[2]).max() / step**2)
    assert most <= bound * 1.001 + 1e-3  # the differences' own rounding
    assert bound <= 20 * most + 1e-3  # a bound that allows everything would be none


def test_scaled_is_the_resized_image():
    calibration = cameras.calibration("decentred", 601, 397)
    half = calibration.scaled(0.5)
    assert (half.width, half.height) == (300, 198)
    points = np.random.default_rng(6).uniform(-0.3, 0.3, (50, 3)) + [0, 0, 1]
    np.testing.assert_allclose(half.project(points), calibration.project(points) / 2, atol=1e-10)
    assert calibration.scaled(1.0) == calibration
    assert calibration.scaled(1e-6).width == 1


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"width": 0}, ValueError, "width is 0"),
        ({"height": -4}, ValueError, "height is -4"),
        ({"width": 10.5}, TypeError, "width is 10.5"),
        ({"width": True}, TypeError, "width is True"),
        ({"width": 10**12}, ValueError, "width is 1000000000000"),
        ({"width": 10**6, "height": 10**6}, ValueError, r"1000000 x 1000000"),
        ({"f": 0.0}, ValueError, "f is 0.0"),
        ({"f": -5.0}, ValueError, "f is -5.0"),
        ({"f": math.nan}, ValueError, "f is nan"),
        ({"f": None}, TypeError, "f is None"),
        ({"f": ...}, TypeError, "f is missing"),
        ({"k3": math.inf}, ValueError, "k3 is inf"),
        ({"p1": "0.1"}, TypeError, "p1 is '0.1'"),
        ({"b1": -100.0}, ValueError, r"f \+ b1 is -50"),
        ({"type": "rpc"}, ValueError, "'rpc', a satellite's"),
        ({"type": "magic"}, ValueError, "'magic', which does not exist"),
    ],
)
def test_bad_values_are_named(values, error, words):
    with pytest.raises(error, match=words):
        given = {"width": 40, "height": 30, "f": 50.0} | values
        dr.Calibration(**{name: value for name, value in given.items() if value is not ...})


def test_bad_arrays_are_named():
    calibration = dr.Calibration(40, 30, 50.0)
    with pytest.raises(ValueError, match=r"\(2,\); \(\.\.\., 3\) is needed"):
        calibration.project([1.0, 2.0])
    with pytest.raises(ValueError, match=r"\(3,\); \(\.\.\., 2\) is needed"):
        calibration.unproject([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="factor is 0"):
        calibration.scaled(0)


def test_it_is_a_value():
    calibration = dr.Calibration(np.int64(40), 30, np.float32(50.0))
    assert calibration == dr.Calibration(40, 30, 50.0)
    assert hash(calibration) == hash(dr.Calibration(40, 30, 50.0))
    assert isinstance(calibration.width, int)
    with pytest.raises(AttributeError):
        calibration.f = 3.0
