"""Whether an image is right: windows of it against the slow twin of the tests, float64, each pixel's ray against each face.

The twin (``tests/reference.py``) shares no code with the rasterizer. Whole images of millions of pixels and faces are
beyond it; windows of some thousand pixels are not, given the faces that may reach into them, which are found here by
their boxes in the undistorted plane, where edges are straight. Windows lie in the corners, at the middle of each side and
at random. Frame lenses only.

The commonest change is another measure of an image's errors: a field of `Errors`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import depthraster as dr

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

import reference

EDGE = 1e-3  # pixels from an edge within which either answer is right; as in tests/comparing.py
_PIECE = 1_000_000  # faces looked at together


class Truth(NamedTuple):
    """What the twin says of some pixels of an image."""

    pixel: npt.NDArray[np.int64]  # (n,) row * width + col
    depth: npt.NDArray[np.float64]  # (n,) Z; NaN where nothing is
    edge: npt.NDArray[np.float64]  # (n,) pixels to the nearest edge of any face
    rim: npt.NDArray[np.float64]  # (n,) pixels to the nearest edge where a surface ends


class Errors(NamedTuple):
    """How an image differs from the truth."""

    pixels: int  # that were compared
    coverage: int  # of them covered in one only, though no edge of any face is within `EDGE`
    coverage_of_all: int  # covered in one only, those at edges included
    holes: int  # empty inside a connected surface, farther than `EDGE` from where it ends
    depth_median: float  # relative, of pixels covered in both
    depth_p99: float
    depth_max: float
    depth_max_beyond_edges: float  # without those within `EDGE` of an edge, where another face may be right
    depth_max_absolute: float  # in units of the mesh


def windows(calibration: dr.Calibration, n_random: int, side: int, seed: int = 1) -> list[tuple[int, int]]:
    """Return first row and column of windows in the corners, at the sides and anywhere."""
    rows, cols = calibration.height - side, calibration.width - side
    fixed = [(r, c) for r in (0, rows // 2, rows) for c in (0, cols // 2, cols)]
    rng = np.random.default_rng(seed)
    return fixed + [(int(rng.integers(rows + 1)), int(rng.integers(cols + 1))) for _ in range(n_random)]


def truth(
    vertices: npt.NDArray[np.float64],
    faces: npt.NDArray[Any],
    transform: npt.NDArray[np.float64],
    calibration: dr.Calibration,
    n_random: int = 11,
    side: int = 48,
    seed: int = 1,
) -> Truth:
    """Return the twin's answer in ``n_random + 9`` windows of ``side`` x ``side`` pixels; back faces are culled."""
    side = min(side, calibration.height, calibration.width)
    lens = reference.Lens(calibration)
    pixels, looks = [], []
    for row, col in windows(calibration, n_random, side, seed):
        r, c = np.mgrid[row : row + side, col : col + side].reshape(2, -1)
        pixels.append(r * calibration.width + c)
        looks.append(lens.look(lens.undistort(np.stack([c, r], axis=1) + 0.5))[:, :2])
    # With room for the twin's own margin around a pixel.
    room = (reference.MARGIN + 0.5) / calibration.f
    boxes = np.array([[*(np.nanmin(xy, axis=0) - room), *(np.nanmax(xy, axis=0) + room)] for xy in looks])
    chosen = near_faces(vertices, faces, transform, boxes)
    answers = []
    for pixel, some in zip(pixels, chosen, strict=True):
        used, local = np.unique(faces[some], return_inverse=True)
        answers.append(
            reference.trace(vertices[used], local.reshape(-1, 3), transform, calibration, True, pixel)
        )
    return Truth(
        np.concatenate(pixels),
        np.concatenate([a.depth for a in answers]),
        np.concatenate([a.edge_distance for a in answers]),
        np.concatenate([a.rim_distance for a in answers]),
    )


def near_faces(
    vertices: npt.NDArray[np.float64],
    faces: npt.NDArray[Any],
    transform: npt.NDArray[np.float64],
    boxes: npt.NDArray[np.float64],
) -> list[npt.NDArray[np.int64]]:
    """Return the faces that may be seen in each box (x0, y0, x1, y1) of the plane X / Z, Y / Z."""
    points = reference.to_camera(vertices, transform)
    z = points[:, 2]
    with np.errstate(all="ignore"):
        plane = points[:, :2] / z[:, None]
    found: list[list[npt.NDArray[np.int64]]] = [[] for _ in boxes]
    for start in range(0, len(faces), _PIECE):
        some = faces[start : start + _PIECE]
        corner_z = z[some]
        behind = (corner_z <= 0).sum(axis=1)
        x, y = plane[some, 0], plane[some, 1]
        x0, x1, y0, y1 = x.min(axis=1), x.max(axis=1), y.min(axis=1), y.max(axis=1)
        anywhere = (behind > 0) & (behind < 3)  # its box means nothing
        for box, faces_of in zip(boxes, found, strict=True):
            near = (x0 <= box[2]) & (x1 >= box[0]) & (y0 <= box[3]) & (y1 >= box[1]) & (behind == 0)
            faces_of.append(np.flatnonzero(near | anywhere) + start)
    return [np.concatenate(parts) for parts in found]


def errors(truth: Truth, depth: npt.NDArray[Any], covered: npt.NDArray[np.bool_]) -> Errors:
    """Return how a whole image, (H, W) depths and what is covered, differs from the truth in its pixels."""
    theirs, hit = depth.ravel()[truth.pixel].astype(np.float64), covered.ravel()[truth.pixel]
    real = np.isfinite(truth.depth)
    free = truth.edge >= EDGE
    both = hit & real
    off = np.abs(theirs[both] - truth.depth[both])
    relative = off / np.abs(truth.depth[both])
    if not both.any():
        off = relative = np.array([np.nan])
    beyond = relative[free[both]] if both.any() else relative
    return Errors(
        pixels=len(real),
        coverage=int(((hit != real) & free).sum()),
        coverage_of_all=int((hit != real).sum()),
        holes=int((real & ~hit & (truth.rim >= EDGE)).sum()),
        depth_median=float(np.median(relative)),
        depth_p99=float(np.quantile(relative, 0.99)),
        depth_max=float(relative.max()),
        depth_max_beyond_edges=float(beyond.max()) if beyond.size else 0.0,
        depth_max_absolute=float(off.max()),
    )


def depth_complexity(
    vertices: npt.NDArray[np.float64],
    faces: npt.NDArray[Any],
    transform: npt.NDArray[np.float64],
    calibration: dr.Calibration,
    n: int = 200,
    seed: int = 1,
) -> npt.NDArray[np.int64]:
    """Return how many faces turned to the camera each of ``n`` random pixels' rays passes through, (n,)."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform([0, 0], [calibration.width, calibration.height], (n, 2))
    looks = reference.Lens(calibration).unproject(pixels)
    boxes = np.concatenate([looks[:, :2], looks[:, :2]], axis=1)
    layers = np.zeros(n, np.int64)
    for i, some in enumerate(near_faces(vertices, faces, transform, boxes)):
        corners = reference.to_camera(vertices[faces[some].ravel()], transform).reshape(-1, 3, 3)
        sides = np.stack(
            [np.cross(corners[:, k], corners[:, (k + 1) % 3]) @ looks[i] for k in range(3)], axis=1
        )
        layers[i] = (sides < 0).all(axis=1).sum()  # all positive: seen from behind
    return layers
