"""Which clusters of a tile are hidden by what is drawn already: front to back, against a coarse image of the depth.

A grid of `CELLS` x `CELLS` cells lies over the tile's plane. Now and then, `look_again` writes into each the least 1/Z of
all pixels whose rays may lie in it: whatever lies behind that everywhere is seen nowhere. Clusters are drawn the nearest
first, so that there is soon something to hide the others behind. What counts is strictly farther than what is there, and
no pixel depends on the order in which faces are drawn, so images do not change by a bit.

It is worth its time where much lies behind one another, and switched off per tile where the clusters would not cover it
some times. The commonest change is one of the constants below, after measuring with ``benchmarks/occlusion.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, STRIDE
from depthraster.kernels.jit import inlined, inner, lean_kernel
from depthraster.kernels.memory import aligned

__all__ = ["CELLS", "Occlusion", "bound_cluster", "front_to_back", "is_hidden", "look_again", "occlusion"]

CELLS = 32  # along each side of a tile
# Times that the boxes of clusters have to cover a tile, for it to be worth looking what is hidden. They measure about twice
# what is in them, and by the rough estimate half as much again.
LEAST_COVER = 4.0
LEAST_ROUGH_COVER = 6.0
LEAST_CLUSTERS = 16  # the same

_ROOM = 0.01  # plane pixels around a cluster, far more than edges are widened by and projecting it rounds
_KEYS = 1 << 8  # of each of two passes of sorting


class Occlusion(NamedTuple):
    """What hiding works in: one for each thread. Clusters are those of the tile, in the order they are drawn in."""

    nearness: npt.NDArray[np.float32]  # (clusters,) what no 1/Z of its faces exceeds
    bits: npt.NDArray[np.uint32]  # the same memory
    cells: npt.NDArray[
        np.uint8
    ]  # (clusters, 4) first and last row and column of the cells that it may be seen in
    cover: npt.NDArray[np.float32]  # (clusters,) the part of the tile that they are
    least: npt.NDArray[np.float32]  # (CELLS ** 2,) the least 1/Z in each cell
    places: npt.NDArray[np.int32]  # (2, clusters) scratch: their order
    counts: npt.NDArray[np.int32]  # (256,) scratch


def occlusion(n_clusters: int) -> Occlusion:
    """Return an `Occlusion` for tiles of a scene."""
    nearness = aligned(n_clusters, np.float32)
    return Occlusion(
        nearness, nearness.view(np.uint32), aligned((n_clusters, 4), np.uint8), aligned(n_clusters, np.float32),
        aligned(CELLS * CELLS, np.float32), aligned((2, n_clusters), np.int32), aligned(_KEYS, np.int32),
    )  # fmt: skip


@inlined
def _cell(x, least, per_cell):
    """Return the row or column of the cell that a coordinate of the plane lies in, or the nearest."""
    return np.int64(min(max((x - least) * per_cell, 0.0), CELLS - 1.0))


@inner
def bound_cluster(view, x, y, z, half, slack, parallel):
    """Return x0, x1, y0, y1 around a cluster in the plane, infinite where it is not all in front, and its least Z."""
    hx, hy, hz = np.float64(half[0]), np.float64(half[1]), np.float64(half[2])
    px = view[0, 0] * x + view[0, 1] * y + view[0, 2] * z + view[0, 3]
    py = view[1, 0] * x + view[1, 1] * y + view[1, 2] * z + view[1, 3]
    pz = view[2, 0] * x + view[2, 1] * y + view[2, 2] * z + view[2, 3]
    z0 = pz - (abs(view[2, 0]) * hx + abs(view[2, 1]) * hy + abs(view[2, 2]) * hz) - slack
    if parallel:
        rx = abs(view[0, 0]) * hx + abs(view[0, 1]) * hy + abs(view[0, 2]) * hz
        ry = abs(view[1, 0]) * hx + abs(view[1, 1]) * hy + abs(view[1, 2]) * hz
        return px - rx, px + rx, py - ry, py + ry, z0
    if not z0 > 0.0:
        return -np.inf, np.inf, -np.inf, np.inf, z0
    x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
    for corner in range(8):
        dx = hx if corner & 1 else -hx
        dy = hy if corner & 2 else -hy
        dz = hz if corner & 4 else -hz
        # Never nearer than the least Z: without the slack, a corner may be behind the camera by rounding.
        w = 1.0 / max(pz + view[2, 0] * dx + view[2, 1] * dy + view[2, 2] * dz, z0)
        u = (px + view[0, 0] * dx + view[0, 1] * dy + view[0, 2] * dz) * w
        v = (py + view[1, 0] * dx + view[1, 1] * dy + view[1, 2] * dz) * w
        x0, x1, y0, y1 = min(x0, u), max(x1, u), min(y0, v), max(y1, v)
    return x0, x1, y0, y1, z0


@inner
def _rough_cover(centre_of, half_of, view, bounds, parallel, chosen):
    """Return about how many times clusters cover the tile: what their boxes' faces measure along its middle ray."""
    scale2 = view[2, 0] * view[2, 0] + view[2, 1] * view[2, 1] + view[2, 2] * view[2, 2]
    f2 = (view[0, 0] * view[0, 0] + view[0, 1] * view[0, 1] + view[0, 2] * view[0, 2]) / scale2
    # The ray in the scene's axes; (x, y) / f along the rows f X, f Y.
    along_x = 0.0 if parallel else 0.5 * (bounds[0] + bounds[1]) / f2
    along_y = 0.0 if parallel else 0.5 * (bounds[2] + bounds[3]) / f2
    rx = abs(view[2, 0] + along_x * view[0, 0] + along_y * view[1, 0])
    ry = abs(view[2, 1] + along_x * view[0, 1] + along_y * view[1, 1])
    rz = abs(view[2, 2] + along_x * view[0, 2] + along_y * view[1, 2])
    # A small area S seen at Z under the ray r (Z = 1 along it), with the normal n, is f^2 S |n . r| / Z^2 plane pixels.
    whole = (bounds[1] - bounds[0]) * (bounds[3] - bounds[2]) / (4.0 * f2 * np.sqrt(scale2))
    cover = 0.0
    for i in range(chosen.shape[0]):
        c = chosen[i]
        hx, hy, hz = np.float64(half_of[c, 0]), np.float64(half_of[c, 1]), np.float64(half_of[c, 2])
        z = 1.0
        if not parallel:
            z = (
                view[2, 0] * centre_of[c, 0]
                + view[2, 1] * centre_of[c, 1]
                + view[2, 2] * centre_of[c, 2]
                + view[2, 3]
            )
        area = hy * hz * rx + hz * hx * ry + hx * hy * rz
        cover += area / (whole * z * z) if (z > 0.0) & (area < whole * z * z) else 1.0
    return cover


@lean_kernel
def front_to_back(centre_of, half_of, extent, view, bounds, parallel, chosen, work):
    """Put a tile's clusters in order, the nearest first, and say where each may be seen; False if it is not worth it.

    ``chosen`` are the clusters of `select.clusters_in_tile`, the other arguments as there, ``work`` is an `Occlusion`.
    Where the answer is False, the order stays as it was and ``work`` says nothing.
    """
    n = chosen.shape[0]
    if (
        n < LEAST_CLUSTERS
        or _rough_cover(centre_of, half_of, view, bounds, parallel, chosen) < LEAST_ROUGH_COVER
    ):
        return False
    slack = 0.0
    for j in range(3):
        slack += abs(view[2, j])
    slack = 1e-9 * (slack * extent + abs(view[2, 3]))
    x_first, y_first = bounds[0], bounds[2]
    per_column, per_row = CELLS / (bounds[1] - bounds[0]), CELLS / (bounds[3] - bounds[2])
    cover = 0.0
    for i in range(n):
        c = chosen[i]
        x0, x1, y0, y1, z0 = bound_cluster(
            view, centre_of[c, 0], centre_of[c, 1], centre_of[c, 2], half_of[c], slack, parallel
        )
        rows = min(y1, bounds[3]) - max(y0, bounds[2])
        cols = min(x1, bounds[1]) - max(x0, bounds[0])
        part = max(rows, 0.0) * max(cols, 0.0) * per_row * per_column / (CELLS * CELLS)
        cover += part
        work.cover[i] = np.float32(part)
        work.cells[i, 0] = _cell(y0 - _ROOM, y_first, per_row)
        work.cells[i, 1] = _cell(y1 + _ROOM, y_first, per_row)
        work.cells[i, 2] = _cell(x0 - _ROOM, x_first, per_column)
        work.cells[i, 3] = _cell(x1 + _ROOM, x_first, per_column)
        if parallel:
            work.nearness[i] = np.float32(-z0)
        else:
            work.nearness[i] = np.float32(1.0 / z0) if z0 > 0.0 else np.float32(np.inf)
    if cover < LEAST_COVER:
        return False
    _sort(n, chosen, work)
    work.least[:] = -np.inf
    return True


@inner
def _sort(n, chosen, work):
    """Sort the clusters and what is known of them, nearest first but for the last half of the digits."""
    bits, places, counts = work.bits, work.places, work.counts
    for i in range(n):
        places[0, i] = i
    for turn in range(2):
        shift = np.uint32(16 + 8 * turn)
        counts[:] = 0
        for i in range(n):
            counts[_digit(bits[i], shift)] += 1
        at = 0
        for k in range(_KEYS):
            at, counts[k] = at + counts[k], at
        for i in range(n):
            place = places[turn, i]
            digit = _digit(bits[place], shift)
            places[1 - turn, counts[digit]] = place
            counts[digit] += 1
    # Follow the cycles of the permutation, one cluster in hand.
    order = places[0]
    for start in range(n):
        if order[start] < 0 or order[start] == start:
            continue
        held = (
            chosen[start], work.nearness[start], work.cover[start],
            work.cells[start, 0], work.cells[start, 1], work.cells[start, 2], work.cells[start, 3],
        )  # fmt: skip
        at = start
        while True:
            source = order[at]
            order[at] = -1
            if source == start:
                break
            chosen[at], work.nearness[at], work.cover[at] = (
                chosen[source],
                work.nearness[source],
                work.cover[source],
            )
            for k in range(4):
                work.cells[at, k] = work.cells[source, k]
            at = source
        chosen[at], work.nearness[at], work.cover[at] = held[0], held[1], held[2]
        work.cells[at, 0], work.cells[at, 1] = held[3], held[4]
        work.cells[at, 2], work.cells[at, 3] = held[5], held[6]


@inlined
def _digit(bits, shift):
    """Return eight bits of a number of float32, such that nearer ones have less."""
    # The bits of positive numbers grow with them, those of negative ones shrink.
    ordered = bits if bits >> np.uint32(31) else ~bits & np.uint32(0x7FFFFFFF)
    return np.int64((ordered >> shift) & np.uint32(_KEYS - 1))


@inner
def look_again(w, blocks_across, refs, bounds, work):
    """Write the least 1/Z of each cell of the plane, of all blocks that have rays there."""
    x_first, y_first = bounds[0], bounds[2]
    per_column, per_row = CELLS / (bounds[1] - bounds[0]), CELLS / (bounds[3] - bounds[2])
    least = work.least
    least[:] = np.inf
    for index in range(refs.shape[0]):
        x, y, rx, ry = refs[index, 0], refs[index, 1], refs[index, 2], refs[index, 3]
        if not rx >= 0.0:  # it has no rays
            continue
        nearness = np.float32(np.inf)
        first = index // blocks_across * BLOCK_HEIGHT * STRIDE + index % blocks_across * BLOCK_WIDTH
        for i in range(BLOCK_HEIGHT):
            for j in range(BLOCK_WIDTH):
                value = w[first + i * STRIDE + j]
                nearness = value if value < nearness else nearness
        for row in range(_cell(y - ry, y_first, per_row), _cell(y + ry, y_first, per_row) + 1):
            for col in range(_cell(x - rx, x_first, per_column), _cell(x + rx, x_first, per_column) + 1):
                held = least[row * CELLS + col]
                least[row * CELLS + col] = nearness if nearness < held else held


@inner
def is_hidden(at, work):
    """Whether all that a cluster may cover is nearer than the whole of it."""
    nearness = work.nearness[at]
    for row in range(np.int64(work.cells[at, 0]), np.int64(work.cells[at, 1]) + 1):
        for col in range(np.int64(work.cells[at, 2]), np.int64(work.cells[at, 3]) + 1):
            if not nearness < work.least[row * CELLS + col]:
                return False
    return True
