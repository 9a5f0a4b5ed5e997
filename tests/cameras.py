"""Calibrations to be tried in tests: tables of named lenses, and hypothesis strategies over them and others.

Coefficients are given for a width of 1 (f = 1 sees 53 degrees) so that the same lens can be had at any image
size. To try another lens everywhere, add it to ``LENSES``, if it is a frame lens, or to ``OTHER_LENSES``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import depthraster as dr

# f is in image widths, the longer side's, cx cy b1 b2 too; k and p as they are.
LENSES: dict[str, dict[str, Any]] = {
    "pinhole": {"f": 0.8},
    "tele": {"f": 6.0},
    "wide": {"f": 0.25},
    "survey": {
        "f": 0.683, "cx": 0.004, "cy": -0.003, "k1": -0.09, "k2": 0.06, "k3": -0.02,
        "p1": 1.2e-3, "p2": -8e-4, "b1": 3e-4, "b2": -2e-4,
    },
    "barrel": {"f": 0.5, "k1": -0.28, "k2": 0.09, "k3": -0.012},
    "pincushion": {"f": 0.6, "k1": 0.25, "k2": 0.1},
    "folding": {"f": 0.7, "k1": 0.05, "k2": -0.2, "k3": -6.3},
    "folding tangential": {"f": 0.6, "k1": -0.35, "p1": 4e-3, "p2": -6e-3, "p3": 0.2, "cx": 0.05, "cy": 0.03},
    "decentred": {
        "f": 0.9, "cx": 0.3, "cy": -0.25, "b1": -0.02, "b2": 0.03, "k1": -0.1,
        "p1": 8e-3, "p2": 5e-3, "p4": 0.1,
    },
    "fourth": {"f": 0.5, "k1": -0.2, "k2": 0.05, "k3": -0.01, "k4": 0.002},
}  # fmt: skip

_PER_TURN = 1 / (2 * np.pi)  # of f: one image width sees all around
OTHER_LENSES: dict[str, dict[str, Any]] = {
    "fisheye 100": {"type": "fisheye", "f": 180 / 100 / np.pi},
    "fisheye 190": {"type": "fisheye", "f": 180 / 190 / np.pi, "cx": 0.004, "cy": -0.006},
    "fisheye 220 distorted": {
        "type": "fisheye", "f": 180 / 220 / np.pi, "cx": 0.006, "cy": -0.005, "k1": 0.02, "k2": -4e-3, "k3": 3e-4,
        "p1": 3e-4, "p2": -2e-4, "b1": 8e-4, "b2": 3e-4,
    },
    "fisheye folding": {"type": "fisheye", "f": 0.3, "k1": -0.05, "k2": -0.04, "p1": 2e-3, "p2": -1e-3},
    "fisheye 360": {"type": "fisheye", "f": 0.93 * _PER_TURN},  # the whole circle and its surroundings
    "equisolid 180": {"type": "equisolid_fisheye", "f": 0.5 / 2**0.5, "k1": 0.01, "k2": -2e-3, "p1": 1e-4},
    "equisolid 360": {"type": "equisolid_fisheye", "f": 0.24, "cx": -0.01, "b1": 2e-3},
    "spherical": {"type": "spherical", "f": _PER_TURN},
    "spherical part": {"type": "spherical", "f": 0.5, "cx": 0.075, "cy": -0.05},
    "spherical beyond": {"type": "spherical", "f": 0.13, "cx": 0.05, "cy": 0.21},  # seam and poles in the image
    "cylindrical": {"type": "cylindrical", "f": _PER_TURN, "cy": 0.02},
    "cylindrical part": {"type": "cylindrical", "f": 0.4, "cx": 0.3, "cy": -0.4},
    "orthographic": {"type": "orthographic", "f": 0.05, "cx": 0.02, "cy": -0.03},
    "orthographic near": {"type": "orthographic", "f": 0.7},
}  # fmt: skip
EVERY_LENS = LENSES | OTHER_LENSES


def calibration(lens: str | dict[str, Any], width: int, height: int) -> dr.Calibration:
    """The named lens (or one like it) on an image of a given size."""
    values = dict(EVERY_LENS[lens] if isinstance(lens, str) else lens)
    for name in ("f", "cx", "cy", "b1", "b2"):
        values[name] = values.get(name, 0.0) * max(width, height)
    return dr.Calibration(width=width, height=height, **values)


def half_field(c: Any) -> float:
    """A tangent that reaches to about the corners of the image."""
    return 0.5 * max(c.width, c.height) / c.f


def _number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.one_of(st.just(0.0), st.floats(low, high, allow_subnormal=False))


SIZES = st.sampled_from(
    [(1, 1), (7, 3), (3, 41), (64, 48), (97, 61), (61, 101), (130, 70), (257, 17), (19, 261), (96, 96)]
)

RANDOM_LENSES = st.fixed_dictionaries(
    {
        "f": st.floats(0.2, 5.0),
        "cx": _number(-0.2, 0.2), "cy": _number(-0.2, 0.2),
        "b1": _number(-0.02, 0.02), "b2": _number(-0.02, 0.02),
        "k1": _number(-0.4, 0.4), "k2": _number(-0.3, 0.3),
        "k3": _number(-1.0, 0.2), "k4": _number(-0.1, 0.1),
        "p1": _number(-5e-3, 5e-3), "p2": _number(-5e-3, 5e-3),
        "p3": _number(-0.2, 0.2), "p4": _number(-0.05, 0.05),
    }
)  # fmt: skip

CALIBRATIONS = st.builds(
    lambda lens, size: calibration(lens, *size),
    st.one_of(st.sampled_from(sorted(LENSES)), RANDOM_LENSES),
    SIZES,
)

_DISTORTION = {
    "b1": _number(-0.02, 0.02), "b2": _number(-0.02, 0.02),
    "k1": _number(-0.1, 0.1), "k2": _number(-0.03, 0.03), "k3": _number(-5e-3, 5e-3), "k4": _number(-1e-3, 1e-3),
    "p1": _number(-3e-3, 3e-3), "p2": _number(-3e-3, 3e-3), "p3": _number(-0.1, 0.1), "p4": _number(-0.01, 0.01),
}  # fmt: skip
_OFFSETS = {"cx": _number(-0.4, 0.4), "cy": _number(-0.4, 0.4)}
RANDOM_OTHER_LENSES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["fisheye", "equisolid_fisheye"]), "f": st.floats(0.1, 2.0)}
        | _OFFSETS
        | _DISTORTION
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["spherical", "cylindrical"]), "f": st.floats(0.08, 2.0)} | _OFFSETS
    ),
    st.fixed_dictionaries({"type": st.just("orthographic"), "f": st.floats(0.02, 3.0)} | _OFFSETS),
)
"""Random lenses of every model but frame."""

OTHER_CALIBRATIONS = st.builds(
    lambda lens, size: calibration(lens, *size),
    st.one_of(st.sampled_from(sorted(OTHER_LENSES)), RANDOM_OTHER_LENSES),
    SIZES,
)
"""As ``CALIBRATIONS``, of every model but frame."""
