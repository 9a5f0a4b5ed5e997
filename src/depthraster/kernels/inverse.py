"""Where in a tile's pixels a point of its plane lies, by a polynomial fitted to the lens over that tile.

Through a frame lens a face finds its pixels by its projected vertices. Other lenses are costly to project through, but
over one tile they are smooth: a polynomial of fifth degree in x and y says u and v to a small part of a pixel, and what
it misses, measured over the tile, is added to every box. Where it misses too much (near the poles of panoramas, where
an image ends) there is none, and ``cells.py`` answers.

The commonest change is the polynomial's degree: `_TERMS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.jit import inner

__all__ = ["Inverse", "box_of", "fit_inverse", "no_inverse", "pixels_of"]

_TERMS = 6  # in x and in y; those of a degree of `_TERMS` and more are zero
_SAMPLES = 13  # along each side, where it is fitted
_CHECKS = 33  # along each side, where it is measured
_MOST = 2.0  # pixels that it may miss by

Array = npt.NDArray[np.float64]


class Inverse(NamedTuple):
    """From the plane of a tile to its pixels."""

    # (2, _TERMS, _TERMS) u and v, pixels of the tile: the sum of terms[., i, j] X^i Y^j
    terms: Array
    # (10,) 0..3: x0, x1, y0, y1 of the rectangle where it holds, plane pixels; 4..7: X = (x - [4]) [6], Y = (y - [5]) [7];
    # 8: pixels that it misses by at most, inf: there is no polynomial; 9: pixels that the image of an edge leaves the
    # chord by, per squared plane pixel of the edge's length
    frame: Array


def no_inverse(bounds: Array) -> Inverse:
    """Return the `Inverse` of a tile that has none; ``bounds`` (4) are x0, x1, y0, y1."""
    frame = np.zeros(10)
    frame[:4] = bounds
    frame[8] = np.inf
    return Inverse(np.zeros((2, _TERMS, _TERMS)), frame)


def fit_inverse(bounds: Array, project: Callable[[Array, Array], Array]) -> Inverse:
    """Fit the polynomials over a rectangle.

    Parameters
    ----------
    bounds : (4,) array
        x0, x1, y0, y1, plane pixels.
    project : callable
        Returns the pixels (n, 2) of points x (n,), y (n,); NaN where there are none.
    """
    middle = 0.5 * (bounds[0::2] + bounds[1::2])
    half = np.maximum(0.5 * (bounds[1::2] - bounds[0::2]), 1e-9)
    samples, solve, checks, second = _bases()

    def pixels(at: Array) -> Array:
        return project(middle[0] + half[0] * at[:, 0], middle[1] + half[1] * at[:, 1])

    terms = solve @ pixels(samples)  # (n terms, 2); NaN anywhere makes it all NaN
    at, basis = checks
    missed = float(np.abs(basis @ terms - pixels(at)).max())
    if not 2.0 * missed <= _MOST:
        return no_inverse(bounds)
    xx, xy, yy = (np.abs(part @ terms) for part in second)
    # No directional second derivative is greater than the matrix' row sums.
    bend = np.maximum(xx / half[0] ** 2, yy / half[1] ** 2) + xy / (half[0] * half[1])
    found = np.zeros((2, _TERMS, _TERMS))
    for place, (i, j) in enumerate(_powers()):
        found[:, i, j] = terms[place]
    frame = np.array(
        [*bounds, middle[0], middle[1], *(1.0 / half), 2.0 * missed + 0.01, 1.25 * bend.max() / 8.0]
    )
    return Inverse(found, frame)


def _powers() -> list[tuple[int, int]]:
    return [(i, j) for i in range(_TERMS) for j in range(_TERMS - i)]


@lru_cache(maxsize=1)
def _bases() -> tuple[Array, Array, tuple[Array, Array], tuple[Array, Array, Array]]:
    """Return what does not depend on the lens, over the square -1 .. 1.

    The points to fit at (n, 2), the matrix that solves for the terms, the points to check at with the terms there, and
    the terms' second derivatives (xx, xy, yy) there.
    """
    along = np.cos(np.pi * (np.arange(_SAMPLES) + 0.5) / _SAMPLES)  # Chebyshev's points: even errors
    along /= along[0]
    samples = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    along = np.linspace(-1.0, 1.0, _CHECKS)
    checks = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)

    def terms(at: Array, nx: int = 0, ny: int = 0) -> Array:
        def power(x: Array, i: int, n: int) -> Array:
            factor = float(np.prod([i - k for k in range(n)]))
            return np.asarray(factor * x ** max(i - n, 0))

        return np.stack([power(at[:, 0], i, nx) * power(at[:, 1], j, ny) for i, j in _powers()], axis=1)

    solve = np.linalg.pinv(terms(samples)).astype(np.float64)
    return (
        samples,
        solve,
        (checks, terms(checks)),
        (terms(checks, 2, 0), terms(checks, 1, 1), terms(checks, 0, 2)),
    )


@inner
def pixels_of(inverse, n, xs, ys, us, vs):
    """Write the pixels of the first n points, outside the rectangle too, where they mean nothing."""
    frame = inverse.frame
    mx, my, sx, sy = frame[4], frame[5], frame[6], frame[7]
    for i in range(n):
        us[i], vs[i] = 0.0, 0.0
    for power in range(_TERMS - 1, -1, -1):
        t = inverse.terms[0, power]
        a0, a1, a2, a3, a4, a5 = t[0], t[1], t[2], t[3], t[4], t[5]
        t = inverse.terms[1, power]
        b0, b1, b2, b3, b4, b5 = t[0], t[1], t[2], t[3], t[4], t[5]
        for i in range(n):
            x, y = (xs[i] - mx) * sx, (ys[i] - my) * sy
            us[i] = us[i] * x + (a0 + y * (a1 + y * (a2 + y * (a3 + y * (a4 + y * a5)))))
            vs[i] = vs[i] * x + (b0 + y * (b1 + y * (b2 + y * (b3 + y * (b4 + y * b5)))))


@inner
def _pixel_of(inverse, x, y):
    """Return the pixel of one point."""
    frame = inverse.frame
    x, y = (x - frame[4]) * frame[6], (y - frame[5]) * frame[7]
    u, v = 0.0, 0.0
    for power in range(_TERMS - 1, -1, -1):
        a, b = 0.0, 0.0
        for k in range(_TERMS - 1, -1, -1):
            a = a * y + inverse.terms[0, power, k]
            b = b * y + inverse.terms[1, power, k]
        u, v = u * x + a, v * x + b
    return u, v


@inner
def box_of(inverse, x_lo, x_hi, y_lo, y_hi):
    """Return least and greatest u and v of what of a rectangle lies in that of the polynomial; inf, -inf if nothing.

    The lens maps it one to one, so its border's image encloses the inner's; sides leave their chords as edges do.
    """
    frame = inverse.frame
    x_lo, x_hi = max(x_lo, frame[0]), min(x_hi, frame[1])
    y_lo, y_hi = max(y_lo, frame[2]), min(y_hi, frame[3])
    if x_lo > x_hi or y_lo > y_hi:
        return np.inf, -np.inf, np.inf, -np.inf
    u0, v0 = _pixel_of(inverse, x_lo, y_lo)
    u1, v1 = _pixel_of(inverse, x_lo, y_hi)
    u2, v2 = _pixel_of(inverse, x_hi, y_lo)
    u3, v3 = _pixel_of(inverse, x_hi, y_hi)
    side = max(x_hi - x_lo, y_hi - y_lo)
    pad = frame[8] + frame[9] * side * side
    return (
        min(min(u0, u1), min(u2, u3)) - pad, max(max(u0, u1), max(u2, u3)) + pad,
        min(min(v0, v1), min(v2, v3)) - pad, max(max(v0, v1), max(v2, v3)) + pad,
    )  # fmt: skip
