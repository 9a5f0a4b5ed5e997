"""Shifts by fractions of a pixel and scales are found where something tells them, and not where nothing does."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr

V, U = np.indices((240, 320)) + 0.5


def hills(right=0.0, down=0.0):
    u, v = U - right, V - down
    return 60 + 5 * np.sin(u / 17) + 4 * np.cos(v / 13 + u / 40) + 0.02 * u


def tilted(right=0.0, down=0.0, a=2e-3, b=-1e-3):
    return 50 / (1 + a * (U - right - 160) + b * (V - down - 120))


def disc(image, right=0.0, down=0.0, radius=80):
    return np.where((U - right - 160) ** 2 + (V - down - 120) ** 2 < radius**2, image, np.nan)


SHIFTS = [(0.0, 0.0), (0.5, 0.5), (-0.5, -0.5), (0.13, -0.31), (3.25, -2.75), (-14.5, 9.0), (25.0, 20.0)]


@pytest.mark.parametrize("scale", [1.0, 0.4, 1000.0])
@pytest.mark.parametrize("shift", SHIFTS)
def test_hills_tell_the_shift_to_a_hundredth_of_a_pixel(shift, scale):
    found = dr.compare(hills(), hills(*shift) * scale).alignment
    assert found.known == 2
    assert not found.from_edges
    assert (found.right, found.down) == pytest.approx(shift, abs=0.01)
    assert found.scale == pytest.approx(scale, rel=1e-4)


def test_noise_holes_and_other_things_do_not_lead_astray():
    rng = np.random.default_rng(4)
    ours, theirs = hills(), hills(0.5, 0.5) * 2
    theirs *= 1 + 1e-4 * rng.normal(size=theirs.shape)
    theirs[60:120, 40:140] = 20
    theirs[rng.random(theirs.shape) < 0.1] = np.nan
    ours[rng.random(ours.shape) < 0.1] = np.nan
    ours[:, 250:] = 1000
    found = dr.compare(ours, theirs).alignment
    assert (found.right, found.down) == pytest.approx((0.5, 0.5), abs=0.03)
    assert found.scale == pytest.approx(2, rel=1e-3)


def test_a_wall_seen_straight_on_tells_nothing():
    found = dr.compare(np.full((90, 120), 7.0), np.full((90, 120), 14.0)).alignment
    assert found.known == 0
    assert (found.right, found.down) == (0, 0)
    assert found.scale == 2


def test_a_plane_tells_the_shift_along_its_slope_only():
    slope = np.array([2e-3, -1e-3]) / np.hypot(2e-3, 1e-3)
    found = dr.compare(tilted(), tilted(0.5, 0.5)).alignment
    assert found.known == 1
    shift = np.array([found.right, found.down])
    along = slope @ [0.5, 0.5]
    assert shift @ slope == pytest.approx(along, abs=0.01)
    assert abs(shift @ [slope[1], -slope[0]]) < 0.01  # nothing is claimed of the other direction


@pytest.mark.parametrize("surface", [tilted, lambda *_: np.full(U.shape, 9.0)], ids=["tilted", "straight on"])
@pytest.mark.parametrize("shift", [(0.5, 0.5), (-2.5, 1.25), (12.0, 7.5)])
def test_edges_tell_what_a_plane_does_not(surface, shift):
    found = dr.compare(disc(surface()), disc(surface(*shift), *shift)).alignment
    assert found.known == 2
    assert found.from_edges
    assert (found.right, found.down) == pytest.approx(shift, abs=0.12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (12, 12)])
def test_small_images_are_no_trouble(shape):
    rng = np.random.default_rng(1)
    image = rng.uniform(1, 2, shape)
    found = dr.compare(image, image * 3)
    assert found.alignment.scale == pytest.approx(3)
    assert not found
