"""The nearest lens that we have to one that we have not: least squares over the image, with the residual said.

Rays are what counts: where the other lens' ray of a pixel is imaged by ours. Its rays are found by walking from the
principal point outward, so that a polynomial that folds over is noticed and not followed. All of f, cx, cy, b1, b2, k1 to
k4, p1 and p2 are free. How the residual is measured is apart from how the lens was found: on other pixels, by
`Calibration.project`. The commonest change is another parameter to fit: its name in `_FREE`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from depthraster.calibration import Calibration

if TYPE_CHECKING:
    from depthraster.io.foreign_lenses import Array, ForeignLens

__all__ = ["fitted"]

_FREE = ("f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2")
_LIMIT = 0.1  # pixels, unless the caller says another
_GRID, _CHECK = 31, 65  # pixels along each side, to fit and to check
_STEPS = 20  # from the principal point to a pixel
_ROUNDS = 12  # of Gauss and Newton; they converge in 3 to 5
_EXACT_ENOUGH = 1e-9  # pixels, of a ray that was found


@np.errstate(all="ignore")  # whatever the numbers are, what comes out is measured
def fitted(lens: ForeignLens, named: str, fit: bool | float) -> tuple[Calibration, str]:
    """Return the calibration nearest to a lens, and a sentence that says how far off it is.

    Parameters
    ----------
    lens : ForeignLens
        With `distort`.
    named : str
        What has no counterpart, for messages.
    fit : bool or float
        How far off it may be anywhere in the image, pixels; True for 0.1.

    Raises
    ------
    ValueError
        It is farther off, or the lens does not image a part of its image.
    """
    limit = _LIMIT if fit is True else _checked_limit(fit)
    if lens.distort is None:
        raise ValueError(
            f"{lens.model} has {named}, and no formula to fit it by is known; 0 is needed: calibrate without"
        )
    pixels, checked = _grid(lens, _GRID), _grid(lens, _CHECK)
    plane, check_plane = _planes(lens, pixels), _planes(lens, checked)
    # A wide lens said in the plane of a frame camera is often nearer to a fisheye of ours.
    kinds = ("frame", "fisheye") if lens.plane == "frame" else ("fisheye",)
    best, residuals = None, np.array([math.inf])
    for kind in kinds:
        found = _least_squares(lens, kind, _in_plane(plane, lens, kind), pixels)
        if found is None:
            continue
        off = np.hypot(*(found.project(_rays(check_plane, lens)) - checked).T)
        if np.isfinite(off).all() and off.max() < residuals.max():
            best, residuals = found, off
    if best is None:
        raise ValueError(
            f"{lens.model} has {named}, and no lens of Metashape's comes near; one within {limit:g} px is needed: "
            "calibrate without"
        )
    if residuals.max() > limit:
        raise ValueError(
            f"{lens.model} has {named}, and the nearest lens is {residuals.max():.3g} px off; {limit:g} px at most are "
            "needed: allow more with fit=..., or calibrate without"
        )
    rms = math.sqrt(float((residuals**2).mean()))
    return best, (
        f"{lens.model} has {named}, which Metashape's lenses have not: the nearest {best.type} lens was fitted, "
        f"{residuals.max():.2g} px off at most, {rms:.2g} px rms"
    )


def _checked_limit(fit: object) -> float:
    if isinstance(fit, (int, float)) and math.isfinite(fit) and fit > 0.0:
        return float(fit)
    raise ValueError(
        f"fit is {fit!r}; True, False or a positive number of pixels is needed: pass True for at most {_LIMIT} px"
    )


def _grid(lens: ForeignLens, count: int) -> Array:
    """Return pixel coordinates all over the image, its edges included, (count², 2)."""
    u, v = np.meshgrid(np.linspace(0.0, lens.width, count), np.linspace(0.0, lens.height, count))
    return np.stack([u.ravel(), v.ravel()], axis=-1)


def _planes(lens: ForeignLens, pixels: Array) -> Array:
    """Return where in the lens' undistorted plane its pixels come from, (N, 2); all of the image must be imaged."""
    distort = lens.distort
    assert distort is not None
    fx, fy, skew = float(lens.fx), float(lens.fy), float(lens.skew)
    centre = np.array([float(lens.cx), float(lens.cy)])

    def image(plane: Array) -> Array:
        x, y = distort(plane[:, 0], plane[:, 1], lens.numbers)
        return np.stack([fx * x + skew * y, fy * y], axis=-1)

    start = image(np.zeros((1, 2)))[0]
    plane = np.zeros_like(pixels)
    for step in range(1, _STEPS + 1):
        target = start + (pixels - centre - start) * (step / _STEPS)
        for _ in range(_ROUNDS):
            slope, off = _slope(image, plane), image(plane) - target
            # Beyond a fold the distorted radius shrinks again: the slope changes sign.
            unfolded = bool((np.linalg.det(slope) > 0.0).all())
            if not unfolded or not np.abs(off).max() > _EXACT_ENOUGH:
                break
            plane = plane - np.linalg.solve(slope, off[..., None])[..., 0]
        if not (unfolded and np.abs(off).max() < 1e-6):
            raise ValueError(
                f"{lens.model} does not image all of its {lens.width} x {lens.height} pixels; a lens that does is needed "
                "to fit another to it: check the calibration and the size, or calibrate without"
            )
    return plane


def _slope(image: Callable[[Array], Array], plane: Array) -> Array:
    """Return the derivatives of a map of the plane, (N, 2, 2), by central differences."""
    h = 1e-6
    across = (image(plane + [h, 0.0]) - image(plane - [h, 0.0])) / (2.0 * h)
    down = (image(plane + [0.0, h]) - image(plane - [0.0, h])) / (2.0 * h)
    return np.stack([across, down], axis=-1)


def _in_plane(plane: Array, lens: ForeignLens, kind: str) -> Array:
    """Return points of the lens' plane in that of a lens model of ours."""
    if lens.plane == kind:
        return plane
    radius = np.hypot(plane[:, 0], plane[:, 1])
    return np.asarray(
        plane * np.where(radius > 0.0, np.arctan(radius) / np.where(radius > 0.0, radius, 1.0), 1.0)[:, None]
    )


def _rays(plane: Array, lens: ForeignLens) -> Array:
    """Return the directions that points of the lens' plane stand for, (N, 3)."""
    if lens.plane == "frame":
        return np.column_stack([plane, np.ones(len(plane))])
    theta = np.hypot(plane[:, 0], plane[:, 1])
    return np.column_stack([plane * np.sinc(theta / math.pi)[:, None], np.cos(theta)])


def _least_squares(lens: ForeignLens, kind: str, plane: Array, pixels: Array) -> Calibration | None:
    """Return the calibration whose pixels of the points are nearest to those given; None where there is none."""
    start = lens.without_others()
    values = np.array([getattr(start, name) for name in _FREE])
    x, y = plane.T
    powers = np.hypot(x, y)[:, None] ** [2, 4, 6, 8]
    r2 = powers[:, 0]
    one, none = np.ones_like(x), np.zeros_like(x)
    p_x, p_y = np.stack([r2 + 2 * x * x, 2 * x * y], -1), np.stack([2 * x * y, r2 + 2 * y * y], -1)
    for _ in range(_ROUNDS):
        f, cx, cy, b1, b2 = values[:5]
        radial = 1.0 + powers @ values[5:9]
        dx, dy = x * radial + p_x @ values[9:], y * radial + p_y @ values[9:]
        off_u = 0.5 * lens.width + cx + (f + b1) * dx + b2 * dy - pixels[:, 0]
        off_v = 0.5 * lens.height + cy + f * dy - pixels[:, 1]
        coefficients_x = np.concatenate([x[:, None] * powers, p_x], axis=1)
        coefficients_y = np.concatenate([y[:, None] * powers, p_y], axis=1)
        slope = np.concatenate(
            [
                np.column_stack([dx, one, none, dx, dy, (f + b1) * coefficients_x + b2 * coefficients_y]),
                np.column_stack([dy, none, one, none, none, f * coefficients_y]),
            ]
        )
        # r⁸ against 1: unscaled, the solver would take the smaller for nothing.
        scale = np.linalg.norm(slope, axis=0)
        if not (np.isfinite(scale).all() and (scale > 0.0).all()):
            return None
        step = np.linalg.lstsq(slope / scale, np.concatenate([off_u, off_v]), rcond=None)[0] / scale
        values = values - step
    try:
        return dataclasses.replace(start, type=kind, **dict(zip(_FREE, values.tolist(), strict=True)))
    except ValueError:
        return None
