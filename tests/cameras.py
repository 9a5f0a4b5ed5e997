"""Calibrations to be tried in tests: a table of named lenses, and a hypothesis strategy over all of them.

Coefficients are given for a width of 1 (f = 1 sees 53 degrees) so that the same lens can be had at any image
size. To try another lens everywhere, add it to ``LENSES``.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import depthraster as dr

# f is in image widths, cx cy b1 b2 in image widths too; k and p as they are.
LENSES: dict[str, dict[str, float]] = {
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


def calibration(lens: str | dict[str, float], width: int, height: int) -> dr.Calibration:
    """The named lens (or one like it) on an image of a given size."""
    values = dict(LENSES[lens] if isinstance(lens, str) else lens)
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
