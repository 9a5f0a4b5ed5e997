"""Some thousand pixels of two planes, on which suppositions are tried: where one looks, what it should see there.

A sample is a pixel of theirs with what is needed to judge a prediction of it: its depth, and how much a prediction made by
interpolating ours may be off there, because the surface slopes or bends. The commonest change is that allowance: in
`take_samples`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depthraster.kernels import comparison as loops

__all__ = ["Samples", "look_up", "take_samples"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Pixels of theirs.

    Attributes
    ----------
    pixels : (n, 2) float64 array
        Their centres, u and v.
    depth : (n,) float64 array
        Theirs; NaN where nothing is seen.
    slope : (n,) float64 array
        How much the depth changes per pixel.
    allowance : (n,) float64 array
        What a prediction may be off by, in depth.
    """

    pixels: Floats
    depth: Floats
    slope: Floats
    allowance: Floats


def take_samples(
    theirs: npt.NDArray[np.float32], number: int, relative: float, pixels: float, step: float
) -> Samples:
    """Take about ``number`` pixels, spread evenly but not in rows, the same ones every time.

    Parameters
    ----------
    theirs : (H, W, C) float32 array
        `Plane.pixels`.
    number : int
        Of pixels.
    relative, pixels, step : float
        Tolerances: parts of the depth, pixels of slope, depth.
    """
    height, width = theirs.shape[:2]
    rng = np.random.default_rng(20)
    if height * width <= number:
        i, j = (places.ravel() for places in np.indices((height, width)))
    else:  # one pixel of every square, anywhere in it
        side = np.sqrt(height * width / number)
        n_rows, n_cols = max(1, round(height / side)), max(1, round(width / side))
        rows = (np.arange(n_rows)[:, None] + rng.random((n_rows, n_cols))) * (height / n_rows)
        cols = (np.arange(n_cols) + rng.random((n_rows, n_cols))) * (width / n_cols)
        i, j = rows.astype(int).ravel(), cols.astype(int).ravel()
    here = theirs[i, j, 0].astype(np.float64)
    slope2, bend = np.zeros(len(i)), np.zeros(len(i))
    for down, right in ((1, 0), (0, 1)):
        before, after = _neighbour(theirs, i - down, j - right), _neighbour(theirs, i + down, j + right)
        steps = np.stack([here - before, after - here])
        sizes = np.abs(steps)
        slope2 += np.nan_to_num(np.fmin(*sizes)) ** 2
        with np.errstate(invalid="ignore"):
            bend += np.abs(steps[1] - steps[0])
    slope = np.sqrt(slope2)
    # Interpolating between four pixels of a bent surface errs by up to an eighth of the bend along each axis; on a crease,
    # twice that. Beside what is not seen nothing is known of the surface: such pixels only tell of coverage.
    allowance = (
        relative * np.abs(here) + pixels * slope + 0.25 * np.where(np.isnan(bend), np.inf, bend) + step
    )
    return Samples(np.stack([j + 0.5, i + 0.5], axis=1), here, slope, allowance)


def _neighbour(plane: npt.NDArray[np.float32], i: npt.NDArray[np.int_], j: npt.NDArray[np.int_]) -> Floats:
    """Return the values at some pixels, NaN outside the image."""
    height, width = plane.shape[:2]
    outside = (i < 0) | (j < 0) | (i >= height) | (j >= width)
    values = plane[i.clip(0, height - 1), j.clip(0, width - 1), 0].astype(np.float64)
    values[outside] = np.nan
    return np.asarray(values)


def look_up(plane: npt.NDArray[np.float32], pixels: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the depths of a plane at places between pixels' centres, and whether the pixels there see something.

    Parameters
    ----------
    plane : (H, W, C) float32 array
        `Plane.pixels`.
    pixels : (n, 2) float64 array
        Places, u and v; NaN and places outside the image see nothing.

    Returns
    -------
    depth : (n,) float64 array
        Linear between the four nearest centres, so exact on planes up to their perspective; NaN unless all four are seen.
    seen : (n,) bool array
        Whether the pixel that the place lies in sees something.
    """
    depth, seen = np.empty(len(pixels)), np.empty(len(pixels), np.bool_)
    loops.interpolate(plane, np.ascontiguousarray(pixels), depth, seen)
    return depth, seen
