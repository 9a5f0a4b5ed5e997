"""Faces in order along a space-filling curve: those that are near each other in the mesh are near each other in memory.

Each face has a key, its place on a Morton curve through the cells of a grid; keys are made and sorted in parallel, and
whatever the number of threads, the order is the same. Cutting the order into clusters is ``scene.py``'s. The commonest
change is another curve: `_curve` and the keys of ``kernels/keys.py``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.kernels.keys import DIGIT_BITS, VERTEX_MISSING, face_keys, scatter_keys, sort_bucket

__all__ = ["faces_in_order", "ranges_of"]

_RANGE = 1 << 16  # faces per work item; fixed, so that clusters do not depend on the number of threads
_BUCKET = 1 << 13  # faces that a bucket should have: its keys, twice, fit a core's cache
_BUCKET_BITS = 10  # of the keys, at most
_SAMPLE = 4096  # faces that choose the curve's bounds


def ranges_of(n: int) -> list[tuple[int, int]]:
    """Return the faces' numbers in pieces (start, stop) for threads to take."""
    return [(start, min(start + _RANGE, n)) for start in range(0, n, _RANGE)]


def _sample_centroids(vertices: npt.NDArray[Any], faces: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the finite centroids of some evenly spaced valid faces, (n, 3), n >= 1."""
    some = faces[:: max(1, len(faces) // _SAMPLE)].astype(np.int64)
    some = some[((some >= 0) & (some < len(vertices))).all(axis=1)]
    centroids = vertices[some].astype(np.float64).mean(axis=1) if len(vertices) else np.empty((0, 3))
    centroids = centroids[np.isfinite(centroids).all(axis=1)]
    return centroids if len(centroids) else np.zeros((1, 3))


def _curve(
    centroids: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], float, npt.NDArray[np.int64]]:
    """Choose the Morton curve's corner, cells per unit and bits per axis (together 32 at most).

    Bounds are quantiles, so that one stray face does not coarsen the order of the others; 32 bits go to the
    axes by their extents, so that cells are cubes.
    """
    # Not by np.quantile: it loads numpy's masked arrays, 8 ms of the time to a process's first image.
    ranked = np.sort(centroids, axis=0)
    stray = len(ranked) // 200
    lo, hi = ranked[stray], ranked[len(ranked) - 1 - stray]
    margin = 0.02 * (hi - lo).max()
    lo, hi = lo - margin, hi + margin
    extent = hi - lo
    greatest = float(extent.max())
    if not greatest > 0.0:
        return lo, 1.0, np.array([1, 1, 1])
    for levels in range(31, 0, -1):
        cells = extent / greatest * 2.0**levels
        bits = np.maximum(np.ceil(np.log2(np.maximum(cells, 1.0))), 0).astype(np.int64)
        if bits.sum() <= 32:
            break
    return lo, 2.0**levels / greatest, bits


def _spread_table(bits: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return the key's bits that each byte of a cell's x, y and z becomes: (3, 4, 256), for `face_keys`."""
    table = np.zeros((3, 4, 256), np.uint64)
    values = np.arange(256)
    place = 32
    for level in range(int(bits.max())):
        for axis in range(3):
            if level < bits[axis]:
                table[axis, level // 8] |= ((values >> level % 8) & 1).astype(np.uint64) << np.uint64(place)
                place += 1
    return table


def _sorted_keys(
    keys: npt.NDArray[np.uint64],
    counts: npt.NDArray[np.int64],
    ranges: list[tuple[int, int]],
    shift: np.uint64,
    pool: ThreadPoolExecutor,
) -> npt.NDArray[np.uint64]:
    """Return the good keys in order, moved to buckets by their highest bits, each of which is sorted; uses ``keys`` up."""
    ends = np.cumsum(counts.T.ravel()).reshape(counts.shape[::-1]).T  # bucket by bucket, range by range
    places = np.ascontiguousarray(ends - counts)
    order = np.empty(int(ends[-1, -1]), np.uint64)
    starts = places[0].copy()  # the next goes on with them

    def scatter(item: int) -> None:
        scatter_keys(keys, *ranges[item], shift, places[item], order)

    def sort(bucket: int) -> None:
        digits = np.empty(1 << DIGIT_BITS, np.int64)
        sort_bucket(order, starts[bucket], ends[-1, bucket], int(shift) - 32, keys, digits)

    list(pool.map(scatter, range(len(ranges))))
    list(pool.map(sort, np.flatnonzero(ends[-1] > starts).tolist()))
    return order


def faces_in_order(
    vertices: npt.NDArray[Any], faces: npt.NDArray[Any], invalid: str, pool: ThreadPoolExecutor
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float64], int]:
    """Return the sort keys of the valid faces in order (their low half is the face), the bounds, and the dropped."""
    lo, per_unit, bits = _curve(_sample_centroids(vertices, faces))
    spread = _spread_table(bits)
    bucket_bits = max(1, min(_BUCKET_BITS, int(bits.sum()), (len(faces) // _BUCKET).bit_length()))
    shift = np.uint64(32 + int(bits.sum()) - bucket_bits)
    keys = np.empty(len(faces), np.uint64)
    ranges = ranges_of(len(faces))
    bounds = np.empty((len(ranges), 2, 3))
    counts = np.zeros((len(ranges), 1 << bucket_bits), np.int64)
    drop = invalid == "drop"

    def make(item: int) -> tuple[int, int, int, int]:
        start, stop = ranges[item]
        return face_keys(  # type: ignore[no-any-return]
            vertices, faces, start, stop, lo, per_unit, bits, spread, shift, keys, counts[item], bounds[item], drop
        )  # fmt: skip

    n_dropped = 0
    for code, face, vertex, n_bad in pool.map(make, range(len(ranges))):
        if code and not drop:
            what = (
                f"names vertex {vertex}, but there are {len(vertices)} vertices"
                if code == VERTEX_MISSING
                else f"uses vertex {vertex}, which is not finite: {vertices[vertex].tolist()}"
            )
            raise ValueError(
                f"face {face} {what}; every face needs three finite vertices: mend the mesh, or leave such faces out with "
                "Scene(..., invalid='drop')"
            )
        n_dropped += n_bad
    if n_dropped:
        if n_dropped == len(faces):
            raise ValueError(
                f"all {n_dropped} faces use missing or non-finite vertices; at least one valid face is needed: mend the mesh"
            )
        import warnings

        warnings.warn(
            f"{n_dropped} of {len(faces)} faces use missing or non-finite vertices and were dropped",
            stacklevel=5,
        )
    order = _sorted_keys(keys, counts, ranges, shift, pool)
    good = np.stack([bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)])
    return order, good, n_dropped
