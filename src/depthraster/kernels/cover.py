"""Faces into pixels: which pixels lie inside a face's edges, and where it is nearer than what they hold.

What comes in are planes, A x + B y + D of the three edges and of 1/Z, and where in the tile they may cover pixels; which
faces those are is for ``staging.py`` to say. Pixels are taken in vectors of 16: 8 x 2, or a window of 4 x 4 that begins at
any pixel, which is all that a face of a dense mesh needs; where half a window is enough, 4 x 2 or 2 x 4, in vectors of 8.

Why no pixel is lost between two faces: edges and 1/Z are planes of float64, accurate to about 1e-12 pixel. In float32,
around a point that is near all pixels in question, rounding moves an edge by less than `EDGE_ROUNDING` times
(|A| + |B|) times the distance from that point, and taking the lattice's next point for it by half a step; exactly that is
added to D, some 1e-6 pixel. So a pixel inside the exact face is inside the rounded one. What a pixel that little outside
could extrapolate is cut to the face's own range of 1/Z.

The commonest change is another shape of window, for faces of another size: a pair of functions as `_window` and
`_put_window`, a line of `draw_windows`, and one of `staging.stage_plain` that says which faces it holds.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.access import load2, load4, load8, looked_up, store
from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, STRIDE
from depthraster.kernels.clusters import MAX_FACES
from depthraster.kernels.jit import inlined, inner
from depthraster.kernels.planes import THIN, THINNEST, inverse_depth_plane, inverse_depth_slopes
from depthraster.kernels.shuffles import eight, four, lower_half, pair, two
from depthraster.kernels.simd import (
    as_float,
    as_single,
    bits_of,
    choose,
    least,
    magnitude,
    most,
    multiply_add,
    negative,
    none_negative,
    splat_like,
)

__all__ = [
    "EDGE_ROUNDING",
    "HALVES",
    "LARGE",
    "SIDES",
    "SMALL",
    "WINDOW",
    "WINDOWS",
    "draw_large",
    "draw_loose",
    "draw_small",
    "draw_windows",
    "make_small",
    "put_sides",
    "sides_of",
]

# Sum of the roundings of A, B, distances, thresholds, products and sums in float32, each 2**-24, at most 7 of
# them on the same term; 10 leaves room.
EDGE_ROUNDING = 10.0 * 2.0**-24

WINDOW = 4  # pixels, a side of what `draw_windows` draws into
WINDOWS, HALVES, SIDES, SMALL, LARGE = range(5)  # rows of lists of staged faces: see `staging.Scratch`

_F = MAX_FACES

_WHOLE = 1.5 * 2.0**52  # has no digits after the point, nor has what is within 2**51 of it
_PER_THIN = np.float32(0.9999 * THIN**-0.5)  # and room for the rounding to float32
_PER_THINNEST = np.float32(THINNEST**-0.5)
_ROOM = 1e-3  # plane pixels, far more than edges are widened by
_STEEP = 0.5  # part of its value that 1/Z may change by within half a block, before it is computed in float64


@inlined
def _plane(dx, dy, a, b, c):
    return multiply_add(dx, a, multiply_add(dy, b, c))


@inlined
def _rows(numbers, at):
    """Return eight pixels from ``at`` on and those below them."""
    return pair(load8(numbers, at), load8(numbers, at + STRIDE))


@inlined
def _put_rows(numbers, at, values):
    store(numbers, at, eight(values, 0))
    store(numbers, at + STRIDE, eight(values, 1))


@inlined
def _half(numbers, at):
    """Return four pixels from ``at`` on and those below them."""
    return pair(load4(numbers, at), load4(numbers, at + STRIDE))


@inlined
def _put_half(numbers, at, values):
    store(numbers, at, four(values, 0))
    store(numbers, at + STRIDE, four(values, 1))


@inlined
def _window(numbers, at):
    """Return four pixels from ``at`` on and those in the three rows below."""
    return pair(_half(numbers, at), _half(numbers, at + 2 * STRIDE))


@inlined
def _put_window(numbers, at, values):
    _put_half(numbers, at, eight(values, 0))
    _put_half(numbers, at + 2 * STRIDE, eight(values, 1))


@inlined
def _side(numbers, at):
    """Return two pixels from ``at`` on and those in the three rows below."""
    upper = pair(load2(numbers, at), load2(numbers, at + STRIDE))
    return pair(upper, pair(load2(numbers, at + 2 * STRIDE), load2(numbers, at + 3 * STRIDE)))


@inlined
def _put_side(numbers, at, values):
    store(numbers, at, two(values, 0))
    store(numbers, at + STRIDE, two(values, 1))
    store(numbers, at + 2 * STRIDE, two(values, 2))
    store(numbers, at + 3 * STRIDE, two(values, 3))


@inner
def _cover(
    take, put, pixels, drawn, name, at, x, y, a0, b0, c0, a1, b1, c1, a2, b2, c2, wa, wb, wc, w_least, w_most
):  # fmt: skip
    """Draw a face into the pixels that ``take`` reads from ``at`` on, and ``put`` writes.

    The face is given as planes around the lattice point (x, y): of its edges, of 1/Z, and the bounds of that. With ``drawn``
    not None the face's name goes beside it; of equal depths that of the smaller index in the caller's mesh stays.
    """
    dx, dy = as_float(take(pixels.x, at) - x), as_float(take(pixels.y, at) - y)
    old = take(pixels.w, at)
    inside = none_negative(_plane(dx, dy, a0, b0, c0), _plane(dx, dy, a1, b1, c1), _plane(dx, dy, a2, b2, c2))
    w = least(most(_plane(dx, dy, wa, wb, wc), w_least), w_most)
    nearer = inside & (w > old)
    if drawn is None:
        put(pixels.w, at, choose(nearer, w, old))
    else:
        held = take(drawn.names, at)
        as_near = inside & (w == old)
        if bits_of(as_near) != 0:
            nearer = nearer | (as_near & _comes_before(drawn.ids, name, held))
        put(pixels.w, at, choose(nearer, w, old))
        put(drawn.names, at, choose(nearer, splat_like(held, name), held))


@inner
def _comes_before(ids, name, held):
    """Whether a face has a smaller index in the caller's mesh than those with the names ``held``, a vector of them."""
    if ids.shape[0] == 0:
        return held > name
    return (held > np.int32(-1)) & (looked_up(ids, most(held, np.int32(0))) > ids[name])


@inner
def _cover_steep(
    pixels, drawn, name, at, x, y, a0, b0, c0, a1, b1, c1, a2, b2, c2, wa, wb, wc, w_least, w_most
):
    """Do what `_cover` does, with 1/Z in float64.

    Where it all but vanishes within a block that it is large in elsewhere, float32 would lose the digits of what is left.
    """
    for row in range(2):
        for i in range(at + row * STRIDE, at + row * STRIDE + 8):
            dx, dy, old = np.float32(pixels.x[i] - x), np.float32(pixels.y[i] - y), pixels.w[i]
            inside = (
                (a0 * dx + b0 * dy + c0 >= 0.0)
                & (a1 * dx + b1 * dy + c1 >= 0.0)
                & (a2 * dx + b2 * dy + c2 >= 0.0)
            )
            w = np.float32(wa * np.float64(dx) + wb * np.float64(dy) + wc)
            w = min(max(w, w_least), w_most)
            if drawn is None:
                pixels.w[i] = w if inside & (w > old) else old
            else:
                held = drawn.names[i]
                if drawn.ids.shape[0] == 0:
                    is_first = name < held
                else:
                    is_first = (held >= 0) & (drawn.ids[name] < drawn.ids[max(held, 0)])
                nearer = inside & ((w > old) | ((w == old) & is_first))
                pixels.w[i] = w if nearer else old
                drawn.names[i] = name if nearer else held


@inner
def draw_large(pixels, lattice, refs, drawn, name, row0, row1, col0, col1, blocks_across, plane):
    """Draw a face of any size, given as float64 planes, into the blocks of pixels row0..row1, col0..col1.

    The planes are measured anew at each block's reference ray, so that float32 sees distances inside a block only.
    """
    step, per_step = lattice[2], 1.0 / lattice[2]
    a0, b0, d0, a1, b1, d1 = plane[0], plane[1], plane[2], plane[3], plane[4], plane[5]
    a2, b2, d2, wa, wb, wd = plane[6], plane[7], plane[8], plane[9], plane[10], plane[11]
    fa0, fb0 = np.float32(a0 * step), np.float32(b0 * step)
    fa1, fb1 = np.float32(a1 * step), np.float32(b1 * step)
    fa2, fb2 = np.float32(a2 * step), np.float32(b2 * step)
    fwa, fwb = np.float32(wa * step), np.float32(wb * step)
    least, most = np.float32(plane[12]), np.float32(plane[13])
    for block_row in range(row0 // BLOCK_HEIGHT, row1 // BLOCK_HEIGHT + 1):
        top = max(row0 - block_row * BLOCK_HEIGHT, 0) // 2
        bottom = min(row1 - block_row * BLOCK_HEIGHT, BLOCK_HEIGHT - 1) // 2
        for block_col in range(col0 // BLOCK_WIDTH, col1 // BLOCK_WIDTH + 1):
            index = block_row * blocks_across + block_col
            x, y, rx, ry = refs[index, 0], refs[index, 1], refs[index, 2], refs[index, 3]
            c0 = a0 * x + b0 * y + d0
            c1 = a1 * x + b1 * y + d1
            c2 = a2 * x + b2 * y + d2
            outside = (
                (c0 + abs(a0) * rx + abs(b0) * ry < 0.0)
                | (c1 + abs(a1) * rx + abs(b1) * ry < 0.0)
                | (c2 + abs(a2) * rx + abs(b2) * ry < 0.0)
            )
            if outside:
                continue
            w = wa * x + wb * y + wd
            is_steep = abs(wa) * rx + abs(wb) * ry > _STEEP * abs(w)
            column = np.int32(np.rint((x - lattice[0]) * per_step))
            row = np.int32(np.rint((y - lattice[1]) * per_step))
            first = block_row * BLOCK_HEIGHT * STRIDE + block_col * BLOCK_WIDTH
            for part in range(top, bottom + 1):
                at = first + 2 * part * STRIDE
                if is_steep:
                    _cover_steep(
                        pixels, drawn, name, at, column, row,
                        fa0, fb0, np.float32(c0), fa1, fb1, np.float32(c1), fa2, fb2, np.float32(c2),
                        wa * step, wb * step, w, least, most,
                    )  # fmt: skip
                else:
                    _cover(
                        _rows, _put_rows, pixels, drawn, name, at, column, row,
                        fa0, fb0, np.float32(c0), fa1, fb1, np.float32(c1), fa2, fb2, np.float32(c2),
                        fwa, fwb, np.float32(w), least, most,
                    )  # fmt: skip


@inlined
def make_small(i, ax, ay, aw, bx, by, bw, cx, cy, cw, small, both, lattice, planes, origins):
    """Turn eight faces, all in front of the camera, into planes near their vertex a, from number i on.

    Vectors of x, y and 1/Z of the vertices come in. ``planes`` takes rows of ``MAX_FACES`` float32: A, B and D of the edges
    ab, bc, ca, slopes and value of 1/Z, and its bounds; ``origins`` rows of int32: the lattice's point next to a, half a
    step away at most, from which pixels are counted. Returns two masks: of faces to be drawn by these planes, and of those
    whose squared size is more than ``small``, for which the planes are no good. Faces edge-on are in neither and, but for
    ``both`` sides, those turned away. Then, for their records, 1 over the area and the slopes of 1/Z, by steps of the
    lattice; the area; and the squared size.
    """
    per_step, step = 1.0 / lattice[2], np.float32(lattice[2])
    rounding, half_step = np.float32(EDGE_ROUNDING), np.float32(0.5000001 * lattice[2])
    # Rounded by a number so large that there are no digits after its point; its last ones are then the whole number's.
    whole = splat_like(ax, _WHOLE)
    store(origins, i, lower_half(multiply_add(ax - lattice[0], per_step, whole)))
    store(origins, _F + i, lower_half(multiply_add(ay - lattice[1], per_step, whole)))
    # Differences, and what takes all their digits, in float64; the rest has enough in float32.
    abx, aby, acx, acy = bx - ax, by - ay, cx - ax, cy - ay
    to_b, to_c = bw - aw, cw - aw
    exact_area = multiply_add(abx, acy, negative(acx * aby))
    area = as_single(exact_area)
    fbx, fby, fcx, fcy = as_single(abx), as_single(aby), as_single(acx), as_single(acy)
    bcx, bcy = fcx - fbx, fcy - fby
    # No edge is longer than the root of this.
    size2 = (multiply_add(fbx, fbx, fby * fby) + multiply_add(fcx, fcx, fcy * fcy)) * np.float32(2.0)
    wide = area * _PER_THIN
    fa, fb, fc = as_single(aw), as_single(bw), as_single(cw)
    # Of a face that is not thin both ways give the same bits: it must not depend on what it is looked at together with.
    per = splat_like(exact_area, lattice[2]) / exact_area
    if bits_of(size2 >= wide * wide) == 0:
        slope_x, slope_y = inverse_depth_slopes(abx, aby, acx, acy, to_b, to_c)
        slope_x, slope_y = slope_x * per, slope_y * per
        wa, wb, wc = as_single(slope_x), as_single(slope_y), fa
    else:
        slope_x, slope_y, wc = inverse_depth_plane(abx, aby, acx, acy, exact_area, aw, bw, cw)
        slope_x, slope_y = slope_x * lattice[2], slope_y * lattice[2]
        wa, wb, wc = as_single(slope_x), as_single(slope_y), as_single(wc)
    store(planes, 9 * _F + i, wa)
    store(planes, 10 * _F + i, wb)
    store(planes, 11 * _F + i, wc)
    store(planes, 12 * _F + i, least(fa, least(fb, fc)))
    store(planes, 13 * _F + i, most(fa, most(fb, fc)))
    forward, zero = splat_like(area, step), splat_like(area, np.float32(0.0))
    sign = choose(area > zero, forward, negative(forward))
    # No pixel that the face touches is farther than this from a.
    ex = multiply_add(most(magnitude(fbx), magnitude(fcx)), rounding, half_step)
    ey = multiply_add(most(magnitude(fby), magnitude(fcy)), rounding, half_step)
    store(planes, i, negative(fby) * sign)
    store(planes, _F + i, fbx * sign)
    store(planes, 2 * _F + i, multiply_add(magnitude(fby), ex, magnitude(fbx) * ey))
    store(planes, 3 * _F + i, negative(bcy) * sign)
    store(planes, 4 * _F + i, bcx * sign)
    store(planes, 5 * _F + i, magnitude(area) + multiply_add(magnitude(bcy), ex, magnitude(bcx) * ey))
    store(planes, 6 * _F + i, fcy * sign)
    store(planes, 7 * _F + i, negative(fcx) * sign)
    store(planes, 8 * _F + i, multiply_add(magnitude(fcy), ex, magnitude(fcx) * ey))
    wide, limit = area * _PER_THINNEST, splat_like(size2, np.float32(small))
    is_drawn = (wide * wide > size2) & (splat_like(area, np.float32(np.inf if both else 0.0)) > area)
    return is_drawn & (limit >= size2), is_drawn & (size2 > limit), (per, slope_x, slope_y, area, size2)


@inlined
def _draw(take, put, pixels, drawn, names, planes, origins, i, at):
    """Draw a small face into the pixels that ``take`` reads from ``at`` on, and ``put`` writes."""
    _cover(
        take, put, pixels, drawn, names[i], at, origins[i], origins[_F + i],
        planes[i], planes[_F + i], planes[2 * _F + i], planes[3 * _F + i], planes[4 * _F + i], planes[5 * _F + i],
        planes[6 * _F + i], planes[7 * _F + i], planes[8 * _F + i], planes[9 * _F + i], planes[10 * _F + i],
        planes[11 * _F + i], planes[12 * _F + i], planes[13 * _F + i],
    )  # fmt: skip


@inner
def _draw_chosen(take, put, n, chosen, firsts, pixels, drawn, names, planes, origins):
    """Draw n small faces, whose numbers ``chosen`` has, into the pixels that ``take`` reads from ``firsts`` on."""
    # In four streams: neighbours in the list are neighbours in the image, and what has just been written can't be read yet.
    part, last = np.uint64((n + 3) // 4), np.uint64(n - 1)
    for turn in range(np.uint64(4) * part):
        i = np.int64(chosen[min((turn & np.uint64(3)) * part + (turn >> np.uint64(2)), last)])
        _draw(take, put, pixels, drawn, names, planes, origins, i, np.int64(firsts[i]))


@inner
def draw_windows(chosen, n_windows, n_halves, n_sides, firsts, pixels, drawn, names, planes, origins):
    """Draw small faces, made by `make_small`, into the windows that begin at ``firsts``, or into less of them.

    ``chosen`` has rows of their numbers: `WINDOWS`, `HALVES` (upper ones), `SIDES` (left ones).
    """
    _draw_chosen(
        _window, _put_window, n_windows, chosen[WINDOWS], firsts, pixels, drawn, names, planes, origins
    )
    _draw_chosen(_half, _put_half, n_halves, chosen[HALVES], firsts, pixels, drawn, names, planes, origins)
    _draw_chosen(_side, _put_side, n_sides, chosen[SIDES], firsts, pixels, drawn, names, planes, origins)


@inner
def put_sides(boxes, i, first_row, first_col, last_row, last_col):
    """Write the sides of a staged face's box, int64, as `sides_of` reads them."""
    boxes[2 * i] = last_row << 16 | last_col & 0xFFFF
    boxes[2 * i + 1] = -first_row << 16 | -first_col & 0xFFFF


@inner
def sides_of(boxes, i):
    """Return the first row and column of a staged face's pixels, and the last ones.

    ``boxes`` has two int32 of each: the last row above the last column, 16 bits each, and the negatives of the first ones.
    """
    lasts, firsts = np.int64(boxes[2 * i]), np.int64(boxes[2 * i + 1])
    return -(firsts >> 16), -((firsts << 48) >> 48), lasts >> 16, (lasts << 48) >> 48


@inner
def draw_small(n, chosen, boxes, pixels, drawn, names, planes, origins):
    """Draw small faces, made by `make_small`, of which ``chosen`` has the n numbers, into the pixels of their boxes."""
    for k in range(np.uint64(n)):
        i = np.int64(chosen[k])
        first_row, first_col, last_row, last_col = sides_of(boxes, i)
        for row in range(first_row, last_row + 1, 2):
            for col in range(first_col, last_col + 1, 8):
                _draw(_rows, _put_rows, pixels, drawn, names, planes, origins, i, row * STRIDE + col)


@inner
def draw_loose(n, boxes, refs, blocks_across, staged, pixels, drawn, names, planes, origins):
    """Do what `draw_small` does for all of n faces whose boxes are whole blocks and may be far too large.

    Blocks are first asked whether the face comes near.
    """
    for i in range(n):
        ax, bx, cx = staged[i], staged[3 * _F + i], staged[6 * _F + i]
        ay, by, cy = staged[_F + i], staged[4 * _F + i], staged[7 * _F + i]
        x_lo, x_hi = min(ax, min(bx, cx)) - _ROOM, max(ax, max(bx, cx)) + _ROOM
        y_lo, y_hi = min(ay, min(by, cy)) - _ROOM, max(ay, max(by, cy)) + _ROOM
        first_row, first_col, last_row, last_col = sides_of(boxes, i)
        for block_row in range(first_row // BLOCK_HEIGHT, last_row // BLOCK_HEIGHT + 1):
            for block_col in range(first_col // BLOCK_WIDTH, last_col // BLOCK_WIDTH + 1):
                index = block_row * blocks_across + block_col
                x, y, rx, ry = refs[index, 0], refs[index, 1], refs[index, 2], refs[index, 3]
                if (x - rx > x_hi) | (x + rx < x_lo) | (y - ry > y_hi) | (y + ry < y_lo):
                    continue
                for row in range(block_row * BLOCK_HEIGHT, (block_row + 1) * BLOCK_HEIGHT, 2):
                    at = row * STRIDE + block_col * BLOCK_WIDTH
                    _draw(_rows, _put_rows, pixels, drawn, names, planes, origins, i, at)
