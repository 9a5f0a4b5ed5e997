"""How far the best agreement of two planes lies away: a shift in fractions of a pixel, and a scale.

Where the surface slopes, a shift changes depths: that is looked for on a grid of shifts and then fitted by least squares,
robustly, on samples. Where it does not - a wall seen straight on, a plane along its own direction - depths say nothing, and
the edges of what is seen are asked. What a shift means is ``mistakes.py``'s. The commonest change is how far it searches:
`_SEARCHES`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depthraster.comparison.sampling import Floats, look_up
from depthraster.kernels import comparison as loops

__all__ = ["Alignment", "align"]

_SEARCHES = (
    8,
    2,
)  # pixels between the shifts that are tried, four to either side; a shift of up to about 32 is found
_FEW = 1500  # samples that shifts are tried on
_REACHES = (2, 1)  # pixels to either side that gradients are measured over
_EDGE_REACHES = (32, 8, 2, 1)
_FITTING = 0.05  # pixels; where what remains is less than that of the surfaces' slope, it fits
_ROUNDS = 6  # of least squares at each reach
_LEAST_GRADIENT = (
    1e-6  # a surface whose depth changes less than this part from pixel to pixel tells nothing of a shift
)
_LEAST_CERTAIN = 0.1  # pixels; what is known less well is not known
_LEAST_EDGE = 30  # pixels of edge that can tell a shift


@dataclass(frozen=True)
class Alignment:
    """Where theirs lies relative to ours, and by what its depths differ.

    Attributes
    ----------
    right, down : float
        Pixels: the thing at (u, v) in ours is at (u + right, v + down) in theirs. 0 along directions in which neither
        depths nor edges tell.
    scale : float
        Theirs = ours times this, at the median of the samples.
    known : int
        In how many directions the shift is known: 2, 1 (a plane, a straight edge) or 0.
    from_edges : bool
        Whether edges told it, wholly or in one direction, and not depths: less exactly.
    """

    right: float
    down: float
    scale: float
    known: int
    from_edges: bool


def align(
    ours: npt.NDArray[np.float32],
    theirs: npt.NDArray[np.float32],
    pixels: Floats,
    depth: Floats,
    start: tuple[float, float] | None = None,
) -> Alignment:
    """Find the shift and the scale that take ours to theirs.

    Parameters
    ----------
    ours, theirs : (H, W, C) float32 arrays
        `Plane.pixels`.
    pixels : (n, 2) float64 array
        Centres of some pixels.
    depth : (n,) float64 array
        Theirs there, or what it would be if it were of ours' kind; NaN where nothing is seen.
    start : (float, float), optional
        Right and down, a pixel or less from the shift; it is searched for by default.
    """
    shift = np.zeros(2) if start is None else np.array(start)
    shift, axes, known, fits = _descend(ours, pixels, depth, shift)
    if start is None and not fits:
        shift, axes, known, _ = _descend(ours, pixels, depth, _search(ours, pixels, depth))
    from_edges = False
    if not known.all():
        shift, told = _from_edges(ours, theirs, axes[:, known] @ (axes[:, known].T @ shift), axes, known)
        from_edges, known = bool(told.sum() > known.sum()), told
    ratio = _ratios(depth, look_up(ours, pixels - shift)[0])
    ratio = ratio[np.isfinite(ratio)]
    scale = float(np.median(ratio)) if ratio.size else 1.0
    return Alignment(float(shift[0]), float(shift[1]), scale, int(known.sum()), from_edges)


def _descend(
    ours: npt.NDArray[np.float32], pixels: Floats, depth: Floats, shift: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.bool_], bool]:
    """Return the shift that steps lead to; axes, and along which it is known; whether it fits, or one elsewhere may."""
    axes, known, fits = np.eye(2), np.zeros(2, bool), False
    for reach in _REACHES:
        for _ in range(_ROUNDS):
            fit = _step(ours, pixels, depth, shift, reach)
            if fit is None:
                break
            step, axes, known, fits = fit
            # No farther in one step than the gradients reach.
            step *= min(1.0, reach / max(float(np.abs(step).max()), 1e-300))
            shift = shift + step
            if np.abs(step).max() < 0.001 * reach:
                break
    return shift, axes, known, fits


def _ratios(depth: Floats, predicted: Floats) -> Floats:
    """Return how many times the one is the other, NaN where they have not the same sign."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(depth * predicted > 0, depth / predicted, np.nan)


def _search(ours: npt.NDArray[np.float32], pixels: Floats, depth: Floats) -> Floats:
    """Return the shift, of those on a coarse grid and a finer one round the best of it, that leaves the least spread."""
    seen = np.flatnonzero(np.isfinite(depth))
    some = seen[:: max(1, len(seen) // _FEW)]
    pixels, depth = pixels[some], depth[some]
    best = np.zeros(2)
    for step in _SEARCHES:
        if 16 * step > min(ours.shape[:2]):
            continue
        spreads, shifts = [], []
        offsets = sorted(
            np.ndindex(9, 9), key=lambda k: (k[0] - 4) ** 2 + (k[1] - 4) ** 2
        )  # at a tie, the nearest
        for offset in offsets:
            shift = best + (np.array(offset) - 4) * step
            with np.errstate(invalid="ignore", divide="ignore"):
                log = np.log(_ratios(depth, look_up(ours, pixels - shift)[0]))
            log = log[np.isfinite(log)]
            if 2 * len(log) > len(depth):
                shifts.append(shift)
                spreads.append(float(np.median(np.abs(log - np.median(log)))))
        if shifts:
            best = shifts[int(np.argmin(spreads))]
    return best


def _step(
    ours: npt.NDArray[np.float32], pixels: Floats, depth: Floats, shift: Floats, reach: int
) -> tuple[Floats, Floats, npt.NDArray[np.bool_], bool] | None:
    """Return one step of least squares: the step, the axes that it is known along or not, which they are, whether it fits.

    In logarithms a scale is a constant: log theirs(p) = log scale + log ours(p - shift), and a step changes the last by
    minus its product with the gradient. None where too little is seen.
    """
    places = pixels - shift
    here = look_up(ours, places)[0]
    sides = [
        look_up(ours, places + np.array(offset) * reach)[0] for offset in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = [np.log(np.where(side * here > 0, side / here, np.nan)) for side in sides]
        residual = np.log(_ratios(depth, here))
    gradient = np.stack([logs[0] - logs[1], logs[2] - logs[3]], axis=1) / (2.0 * reach)
    bend = np.abs(logs[0] + logs[1]) + np.abs(logs[2] + logs[3])
    steepness = np.linalg.norm(gradient, axis=1)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(residual + bend) & (steepness > _LEAST_GRADIENT)
    if good.sum() < 20:
        return None
    residual, gradient, bend = residual[good], gradient[good], bend[good]
    middle = float(np.median(residual))
    spread = max(1.4826 * float(np.median(np.abs(residual - middle))), 1e-7)
    steep = float(np.median(steepness[good]))
    # Tukey's weights leave out what does not belong; a bent surface is known less well than a smooth one.
    away = (residual - middle) / (4.685 * spread)
    weight = np.where(np.abs(away) < 1, (1 - away**2) ** 2, 0.0)
    weight /= (0.02 * steep * reach) ** 2 + bend**2
    total = weight.sum()
    if not total > 0:
        return None
    weight /= total
    # Sums written out: products of matrices this slim cost BLAS more in waking its threads than they are worth.
    u, v = gradient.T
    u, v = u - (weight * u).sum(), v - (weight * v).sum()
    residual = residual - (weight * residual).sum()
    across = (weight * u * v).sum()
    matrix = np.array([[(weight * u * u).sum(), across], [across, (weight * v * v).sum()]])
    right_side = -np.array([(weight * u * residual).sum(), (weight * v * residual).sum()])
    values, axes = np.linalg.eigh(matrix)
    effective = 1.0 / float((weight * weight).sum())
    variance = spread**2 / max(effective, 1.0)
    known = (values > _LEAST_GRADIENT**2) & (variance < _LEAST_CERTAIN**2 * values)
    along = np.where(known, (axes.T @ right_side) / np.where(values > 0, values, 1.0), 0.0)
    step = axes @ along
    return step, axes, known, bool(spread < _FITTING * steep)


def _from_edges(
    ours: npt.NDArray[np.float32],
    theirs: npt.NDArray[np.float32],
    shift: Floats,
    axes: Floats,
    known: npt.NDArray[np.bool_],
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the shift with what edges tell along the axes where depths do not, and the axes along which it is known now."""
    told = known.copy()
    for reach in _EDGE_REACHES:
        if 4 * reach >= min(theirs.shape[:2]):
            continue
        for _ in range(_ROUNDS):
            whole = np.rint(shift)
            sums = np.zeros(6)
            loops.edge_sums(ours, theirs, int(whole[1]), int(whole[0]), reach, sums)
            matrix = np.array([[sums[0], sums[1]], [sums[1], sums[2]]])
            unknown = axes[:, ~known]
            small = unknown.T @ matrix @ unknown
            values, directions = np.linalg.eigh(small)
            clear = values * 2.0 * reach >= _LEAST_EDGE / 2.0
            told = known.copy()
            told[np.flatnonzero(~known)[: int(clear.sum())]] = True
            if not clear.any():
                break
            directions = unknown @ directions[:, clear]
            # From the whole pixels that ours was moved by, along these directions.
            step = -directions @ ((directions.T @ sums[3:5]) / values[clear])
            target = whole + step
            change = directions @ (directions.T @ (target - shift))
            shift = shift + change
            if np.abs(change).max() < 0.02 * reach:
                break
    return shift, told
