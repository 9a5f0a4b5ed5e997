"""No direction of a lens' domain is lost between project and unproject, of hundreds of random lenses and some chosen."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr
import reference

KINDS = ("frame", "fisheye", "equisolid_fisheye")
# Newton's method by itself goes back and forth between two radii for ever.
CYCLING = [
    {"type": "fisheye", "k3": 0.00348940602373887, "k4": -0.0003749384474468606},
    {"type": "fisheye", "k3": 0.0024758617522508564, "k4": -0.0003482331837452291},
    {"type": "fisheye", "k1": 0.03439897559127186, "k2": 0.02652678663038987, "k3": -0.003945047204297705},
    {"type": "frame", "k2": 0.0158591862790596, "k4": -0.000652422562545018},
    {"type": "frame", "k1": 0.004686945478983989, "k2": 0.02891656158760237, "k3": -0.004935911173356899},
    {"type": "frame", "k2": 0.0265163751523878, "k3": 0.0026918249051475565, "k4": -0.0005273586729169779},
]


def lost_radii(lens: dr.Calibration, n: int) -> np.ndarray:
    """Radii of the undistorted plane, of n from the axis to where the domain ends, that do not come back."""
    twin = reference.Lens(lens)
    end = min(lens.valid_radius, 4.0 if lens.type == "frame" else twin.plane.end)
    radii = np.linspace(0, 0.998 * end, n)
    looks = twin.look(np.stack([radii, 0 * radii], axis=1))
    back = lens.unproject(lens.project(looks))
    return radii[~(np.abs(back - looks).max(axis=1) < 1e-6)]


@pytest.mark.parametrize("words", CYCLING)
def test_radii_between_which_newton_cycles(words):
    lost = lost_radii(dr.Calibration(1000, 1000, 100.0, **words), 200_001)
    assert not lost.size, f"{lost.size} radii from {lost.min()} to {lost.max()} are lost"


@pytest.mark.parametrize("kind", KINDS)
def test_radii_of_random_lenses(kind):
    rng = np.random.default_rng(1)
    spread = {"k1": 0.1, "k2": 0.03, "k3": 5e-3, "k4": 1e-3}
    for _ in range(400):
        k = {name: float(rng.uniform(-s, s)) for name, s in spread.items() if rng.random() < 0.6}
        lost = lost_radii(dr.Calibration(1000, 1000, 100.0, type=kind, **k), 2001)
        assert not lost.size, f"{kind} {k}: {lost.size} radii from {lost.min()} to {lost.max()} are lost"
