"""Which clusters a view can see, and in which tiles: bounds of the tiles, then bins of clusters.

Everything is conservative: a cluster that is left out has no pixel in the tile, a cluster that is kept may
have none either. What pixels it really covers is ``tiles.py``'s business.

Coordinates are plane pixels: x = f X / Z and y = f Y / Z of the undistorted image plane, Z the camera's axis.
The commonest change is a new reason to skip a cluster: add it to `cluster_tiles` beside the others.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.jit import inner, kernel

__all__ = ["bin_clusters", "cluster_tiles", "tile_bounds"]


@kernel
def tile_bounds(nodes, spacing, height, width, tile, limit, bounds):
    """Bound each tile's rays by a rectangle of plane pixels: ``bounds[tile_row, tile_col] = x0, x1, y0, y1``.

    ``nodes`` (rows, cols, 2) and ``spacing`` are those of ``rays.RayGrid``; ``tile`` is a multiple of the
    spacing. The lens map is one-to-one inside its domain, so the border of a rectangle of nodes that encloses
    the tile bounds the tile's rays; what the border may bulge between nodes, an eighth of the second
    difference, is added twice over. Where a node is not imaged, the domain's own bound ``limit`` is taken
    instead.
    """
    n_rows, n_cols = bounds.shape[0], bounds.shape[1]
    for tile_row in range(n_rows):
        first_row = tile_row * tile // spacing + 1
        last_row = (min((tile_row + 1) * tile, height) + spacing - 1) // spacing + 1
        for tile_col in range(n_cols):
            first_col = tile_col * tile // spacing + 1
            last_col = (min((tile_col + 1) * tile, width) + spacing - 1) // spacing + 1
            whole = True
            for axis in range(2):
                least, most, bulge = np.inf, -np.inf, 0.0
                for row in range(first_row, last_row + 1):
                    for col in range(first_col, last_col + 1):
                        here = nodes[row, col, axis]
                        whole &= np.isfinite(here)
                        least, most = min(least, here), max(most, here)
                        if row > first_row and row < last_row:
                            bulge = max(
                                bulge, abs(nodes[row - 1, col, axis] - 2.0 * here + nodes[row + 1, col, axis])
                            )
                        if col > first_col and col < last_col:
                            bulge = max(
                                bulge, abs(nodes[row, col - 1, axis] - 2.0 * here + nodes[row, col + 1, axis])
                            )
                bounds[tile_row, tile_col, 2 * axis] = least - 0.25 * bulge - 0.01
                bounds[tile_row, tile_col, 2 * axis + 1] = most + 0.25 * bulge + 0.01
            if not whole:
                bounds[tile_row, tile_col, 0], bounds[tile_row, tile_col, 1] = -limit, limit
                bounds[tile_row, tile_col, 2], bounds[tile_row, tile_col, 3] = -limit, limit


@inner
def _cone_faces_away(cone, half, cx, cy, cz):
    """Whether no face of a cluster is turned towards the camera at (cx, cy, cz) from the cluster's centre.

    For every point p of the cluster and normal n of its cone, dot(n, C - p) <= |d| cos(angle) + radius, with
    d the way from the centre to the camera and the angle the least one between d and the cone.
    """
    if cone[3] < -1.0:
        return False
    radius = np.sqrt(half[0] * half[0] + half[1] * half[1] + half[2] * half[2])
    distance = np.sqrt(cx * cx + cy * cy + cz * cz)
    along = cone[0] * cx + cone[1] * cy + cone[2] * cz
    across = np.sqrt(max(distance * distance - along * along, 0.0))
    spread = np.sqrt(max(1.0 - cone[3] * cone[3], 0.0))
    if along > cone[3] * distance:  # the camera looks into the cone itself
        return False
    return along * cone[3] + across * spread < -(radius * 1.000001 + 1e-6 * distance)


@inner
def _range_over(lo, hi, z_lo, z_hi):
    """Bounds of v / z for v in lo .. hi and z in z_lo .. z_hi > 0."""
    least = lo / z_hi if lo > 0.0 else lo / z_lo
    most = hi / z_lo if hi > 0.0 else hi / z_hi
    return least, most


@kernel
def cluster_tiles(
    start, stop, centre_of, half_of, cone_of, view, camera, cull, column_lo, column_hi, row_lo, row_hi, ranges, counts
):  # fmt: skip
    """Find the tiles that clusters ``start .. stop`` may touch: ``ranges[c] = row0, row1, col0, col1`` (inclusive).

    ``view`` (3, 4) maps points relative to the scene's origin to (f X, f Y, Z); ``camera`` (3) is the
    camera's centre in those coordinates. ``column_lo`` and ``column_hi`` are the least and greatest x of each
    column of tiles, made monotonic; ``row_*`` likewise. ``counts`` (tiles + 1) is increased for each cluster
    and tile, at tile + 1.
    """
    n_cols = column_lo.shape[0]
    n_rows = row_lo.shape[0]
    for c in range(start, stop):
        ranges[c, 0], ranges[c, 1], ranges[c, 2], ranges[c, 3] = 0, -1, 0, -1
        x, y, z = centre_of[c, 0], centre_of[c, 1], centre_of[c, 2]
        hx, hy, hz = np.float64(half_of[c, 0]), np.float64(half_of[c, 1]), np.float64(half_of[c, 2])
        depth = view[2, 0] * x + view[2, 1] * y + view[2, 2] * z + view[2, 3]
        deep = abs(view[2, 0]) * hx + abs(view[2, 1]) * hy + abs(view[2, 2]) * hz
        slack = 1e-9 * (abs(depth) + deep)
        z_hi = depth + deep + slack
        z_lo = depth - deep - slack
        if not z_hi > 0.0:
            continue
        if cull and _cone_faces_away(cone_of[c], half_of[c], camera[0] - x, camera[1] - y, camera[2] - z):
            continue
        col0, col1, row0, row1 = 0, n_cols - 1, 0, n_rows - 1
        if z_lo > 0.0:
            right = view[0, 0] * x + view[0, 1] * y + view[0, 2] * z + view[0, 3]
            wide = abs(view[0, 0]) * hx + abs(view[0, 1]) * hy + abs(view[0, 2]) * hz
            down = view[1, 0] * x + view[1, 1] * y + view[1, 2] * z + view[1, 3]
            high = abs(view[1, 0]) * hx + abs(view[1, 1]) * hy + abs(view[1, 2]) * hz
            wide += 1e-9 * (abs(right) + wide)
            high += 1e-9 * (abs(down) + high)
            x_lo, x_hi = _range_over(right - wide, right + wide, z_lo, z_hi)
            y_lo, y_hi = _range_over(down - high, down + high, z_lo, z_hi)
            if x_hi < column_lo[0] or x_lo > column_hi[n_cols - 1]:
                continue
            if y_hi < row_lo[0] or y_lo > row_hi[n_rows - 1]:
                continue
            while col0 < n_cols and column_hi[col0] < x_lo:
                col0 += 1
            while col1 >= 0 and column_lo[col1] > x_hi:
                col1 -= 1
            while row0 < n_rows and row_hi[row0] < y_lo:
                row0 += 1
            while row1 >= 0 and row_lo[row1] > y_hi:
                row1 -= 1
            if col0 > col1 or row0 > row1:
                continue
        ranges[c, 0], ranges[c, 1], ranges[c, 2], ranges[c, 3] = row0, row1, col0, col1
        for row in range(row0, row1 + 1):
            for col in range(col0, col1 + 1):
                counts[row * n_cols + col + 1] += 1


@kernel
def bin_clusters(ranges, n_cols, places, clusters):
    """Write each cluster's number into the bins of its tiles; ``places`` (tiles) says where each bin goes on."""
    for c in range(ranges.shape[0]):
        for row in range(ranges[c, 0], ranges[c, 1] + 1):
            for col in range(ranges[c, 2], ranges[c, 3] + 1):
                tile = row * n_cols + col
                clusters[places[tile]] = c
                places[tile] += 1
