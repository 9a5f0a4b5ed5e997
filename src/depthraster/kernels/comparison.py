"""Two depth images beside each other, pixel by pixel: what differs and by how much, and exact quantiles of it.

Images are (H, W, C) float32, C-contiguous, of which channel 0 is the depth, NaN where nothing is seen. A pixel seen in
both is measured in four ways, see `MEASURES`; quantiles come from counting how often the upper and then the lower 16 bits
of those numbers occur, which is exact and needs no memory for the differences themselves. What the numbers are judged by,
and what they are called, is ``comparison/``'s. The commonest change is another measure: in `_measure`, where both passes
get theirs from.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.jit import inner, kernel

__all__ = [
    "BINS",
    "BOTH",
    "COPIES",
    "COUNTS",
    "MEASURES",
    "ONLY_OURS",
    "ONLY_THEIRS",
    "SAME",
    "SAME_SLOPING",
    "SLOPING",
    "WRONG",
    "count_low_bits",
    "edge_distances",
    "edge_sums",
    "interpolate",
    "measure_rows",
]

COPIES = 4  # of a histogram: neighbours are often the same number, and a count waits for the one before it
MEASURES = 4  # signed difference, its size, its size in parts of the depth, in pixels of the surface's slope
BINS = 1 << 16

# Places in `counts`.
BOTH, ONLY_OURS, ONLY_THEIRS, SLOPING, WRONG, SAME, SAME_SLOPING, COUNTS = 0, 1, 2, 3, 4, 5, 6, 7

# A surface that changes by less than this part of its depth from pixel to pixel has no slope to measure pixels by:
# float32 itself has steps of 6e-8 of the depth.
_LEAST_SLOPE = np.float32(4e-6)


@inner
def _smaller(before, after):
    """Return the smaller of two steps, of which those that are NaN do not count; NaN where both are."""
    least = min(before, after)
    least = after if before != before else least
    return before if after != after else least


@inner
def _measure(d, b, left, right, above, below, rows, j):
    """Put the measures of one pixel into column j of ``rows``."""
    across, along = _smaller(abs(left - b), abs(right - b)), _smaller(abs(above - b), abs(below - b))
    zero = np.float32(0.0)
    across = across if across == across else zero
    along = along if along == along else zero
    slope = np.sqrt(across * across + along * along)
    size, depth = abs(d), abs(b)
    nan = np.float32(np.nan)
    rows[0, j] = d
    rows[1, j] = size
    rows[2, j] = size / depth if (depth > zero) | (size == zero) else nan
    rows[3, j] = size / slope if slope > _LEAST_SLOPE * depth else nan
    rows[4, j] = slope


@inner
def _measure_row(ours, theirs, scale, i, rows):
    """Fill (5, W) float32 with the measures of row i and, last, the slope; NaN where a measure does not exist.

    The slope is that of theirs, depth per pixel: along each axis the smaller of the steps to both sides, so that a jump
    to another surface is none.
    """
    height, width = theirs.shape[:2]
    nan = np.float32(np.nan)
    # No neighbour is like one that nothing is seen in: beyond the border lies the row itself, made NaN.
    has_above, has_below = i > 0, i < height - 1
    mine, row = ours[i, :, 0], theirs[i, :, 0]
    above, below = theirs[max(i - 1, 0), :, 0], theirs[min(i + 1, height - 1), :, 0]
    up, down = np.float32(0.0) if has_above else nan, np.float32(0.0) if has_below else nan
    for j in range(1, width - 1):
        d = np.float32(scale * mine[j] - np.float64(row[j]))
        _measure(d, row[j], row[j - 1], row[j + 1], above[j] + up, below[j] + down, rows, j)
    for j in (0, width - 1):
        d = np.float32(scale * mine[j] - np.float64(row[j]))
        left = row[j - 1] if j > 0 else nan
        right = row[j + 1] if j < width - 1 else nan
        _measure(d, row[j], left, right, above[j] + up, below[j] + down, rows, j)


@inner
def _ordered(bits, signed):
    """Return float32 bits as an unsigned number that is ordered as the float is."""
    if not signed:
        return bits
    if bits & np.uint32(0x80000000):
        return ~bits
    return bits | np.uint32(0x80000000)


@kernel
def measure_rows(
    ours,
    theirs,
    scale,
    allowed,
    first,
    last,
    cell,
    counts,
    greatest,
    places,
    histograms,
    worst,
    excess,
    marks,
):
    """Measure rows ``first`` to ``last``: counts, greatest differences and their places, the upper bits' histograms.

    ``allowed`` are the tolerances (absolute, in parts of the depth, in pixels of slope), which add up. Of every square of
    ``cell`` pixels, ``worst`` (rows, columns of squares) gets the difference that exceeds them most, ``excess`` how
    many times, and ``marks`` bits for what is there: 1 seen in both, 2 only in ours, 4 only in theirs. ``first`` is a
    multiple of ``cell``. ``histograms`` (COPIES, MEASURES, BINS) and ``counts`` are added to; pixels that do not differ are
    only in ``counts``, as SAME and, where the surface slopes, SAME_SLOPING.
    """
    width = theirs.shape[1]
    rows = np.empty((MEASURES + 1, width), np.float32)
    bits = rows.view(np.uint32)
    n_both = n_sloping = n_same = n_same_sloping = n_wrong = 0
    for i in range(first, last):
        _measure_row(ours, theirs, scale, i, rows)
        for j in range(width):
            d = rows[0, j]
            a, b = ours[i, j, 0], theirs[i, j, 0]
            row, col = i // cell, j // cell
            if d == d:
                n_both += 1
                marks[row, col] |= 1
                slopes = rows[3, j] == rows[3, j]
                n_sloping += slopes
                if d == 0.0:
                    n_same += 1
                    n_same_sloping += slopes
                    if excess[row, col] < 0.0:
                        excess[row, col] = 0.0
                    continue
                for m in range(MEASURES):
                    value = rows[m, j]
                    if value == value:
                        histograms[j % COPIES, m, _ordered(bits[m, j], m == 0) >> np.uint32(16)] += np.uint32(
                            1
                        )
                        if m > 0 and value > greatest[m]:
                            greatest[m] = value
                            places[m, 0] = i
                            places[m, 1] = j
                most = allowed[0] + allowed[1] * abs(b) + allowed[2] * rows[4, j]
                times = rows[1, j] / most if most > 0.0 else np.inf
                n_wrong += times > 1.0
                if times > excess[row, col]:
                    excess[row, col] = times
                    worst[row, col] = d
            elif a == a:
                counts[ONLY_OURS] += 1
                marks[row, col] |= 2
            elif b == b:
                counts[ONLY_THEIRS] += 1
                marks[row, col] |= 4
    counts[BOTH] += n_both
    counts[SLOPING] += n_sloping
    counts[SAME] += n_same
    counts[SAME_SLOPING] += n_same_sloping
    counts[WRONG] += n_wrong


@kernel
def count_low_bits(ours, theirs, scale, first, last, upper, histograms):
    """Count the lower 16 bits of the measures whose upper ones are asked for: ``upper`` (MEASURES, n) int64.

    ``histograms`` (MEASURES, n, BINS) are added to. Pixels that do not differ are left out.
    """
    width = theirs.shape[1]
    rows = np.empty((MEASURES + 1, width), np.float32)
    bits = rows.view(np.uint32)
    for i in range(first, last):
        _measure_row(ours, theirs, scale, i, rows)
        for j in range(width):
            if rows[0, j] == rows[0, j] and rows[0, j] != 0.0:
                for m in range(MEASURES):
                    if rows[m, j] == rows[m, j]:
                        key = _ordered(bits[m, j], m == 0)
                        high = np.int64(key >> np.uint32(16))
                        for k in range(upper.shape[1]):
                            if high == upper[m, k]:
                                histograms[m, k, key & np.uint32(0xFFFF)] += np.uint32(1)


@kernel
def edge_distances(own, other, counts):
    """Count the pixels seen only in ``own`` by their distance from the edge of what is seen there.

    ``counts`` (n,) int64: element k gets those at k pixels, the last those at n - 1 and more; 1 is a pixel at the edge.
    Distances are a chess king's moves to the nearest pixel where ``own`` sees nothing; the image's border is no edge.
    """
    height, width = own.shape[:2]
    far = np.uint8(min(counts.size - 1, 255))
    distance = np.empty((height, width), np.uint8)
    for i in range(height):
        for j in range(width):
            if own[i, j, 0] != own[i, j, 0]:
                distance[i, j] = 0
                continue
            d = far
            if i > 0:
                for n in range(max(j - 1, 0), min(j + 2, width)):
                    d = min(d, distance[i - 1, n] + 1)
            if j > 0:
                d = min(d, distance[i, j - 1] + 1)
            distance[i, j] = d
    for i in range(height - 1, -1, -1):
        for j in range(width - 1, -1, -1):
            d = np.int64(distance[i, j])
            if d == 0:
                continue
            if i < height - 1:
                for n in range(max(j - 1, 0), min(j + 2, width)):
                    d = min(d, distance[i + 1, n] + 1)
            if j < width - 1:
                d = min(d, distance[i, j + 1] + 1)
            distance[i, j] = d
            if other[i, j, 0] != other[i, j, 0]:
                counts[d] += 1


@kernel
def edge_sums(ours, theirs, down, right, reach, sums):
    """Sum up what tells how far the edges of what is seen in theirs lie from those in ours.

    Ours is moved by whole pixels, ``down`` and ``right``. With g the gradient of its coverage, from ``reach`` pixels to
    either side, and e theirs less ours, ``sums`` (6,) become those of g_u g_u, g_u g_v, g_v g_v, e g_u, e g_v, and the
    number of pixels at edges.
    """
    height, width = theirs.shape[:2]
    for i in range(max(down, 0) + reach, height + min(down, 0) - reach):
        for j in range(max(right, 0) + reach, width + min(right, 0) - reach):
            y, x = i - down, j - right
            here = ours[y, x, 0] == ours[y, x, 0]
            east, west = (
                ours[y, x + reach, 0] == ours[y, x + reach, 0],
                ours[y, x - reach, 0] == ours[y, x - reach, 0],
            )
            south, north = (
                ours[y + reach, x, 0] == ours[y + reach, x, 0],
                ours[y - reach, x, 0] == ours[y - reach, x, 0],
            )
            if east == west and south == north:
                continue
            g_u = 0.5 * (np.float64(east) - np.float64(west)) / reach
            g_v = 0.5 * (np.float64(south) - np.float64(north)) / reach
            e = np.float64(theirs[i, j, 0] == theirs[i, j, 0]) - np.float64(here)
            sums[0] += g_u * g_u
            sums[1] += g_u * g_v
            sums[2] += g_v * g_v
            sums[3] += e * g_u
            sums[4] += e * g_v
            sums[5] += 1.0


@kernel
def interpolate(plane, places, depth, seen):
    """Look up an image at places (n, 2), u and v: ``depth`` (n,) float64 and ``seen`` (n,) bool.

    Depth is linear between the four nearest pixels' centres, NaN unless all that have weight see something; ``seen`` is of
    the pixel that the place lies in.
    """
    height, width = plane.shape[:2]
    for k in range(places.shape[0]):
        u, v = places[k, 0], places[k, 1]
        depth[k], seen[k] = np.nan, False
        if not ((u >= 0.0) & (v >= 0.0) & (u < width) & (v < height)):
            continue
        x, y = u - 0.5, v - 0.5
        col, row = int(np.floor(x)), int(np.floor(y))
        near = plane[int(v), int(u), 0]
        seen[k] = near == near
        total = 0.0
        for down in range(2):
            for right in range(2):
                a, b = x - col, y - row
                weight = (b if down else 1.0 - b) * (a if right else 1.0 - a)
                i, j = row + down, col + right
                if weight > 0.0:
                    inside = (i >= 0) & (j >= 0) & (i < height) & (j < width)
                    total += weight * plane[i, j, 0] if inside else np.nan
        depth[k] = total
