"""Faces into pixels: which pixels lie inside a face's edges, and where it is nearer than what they hold.

What comes in are planes, A x + B y + D of the three edges and of 1/Z, and where in the tile they may cover pixels; which
faces those are is for ``staging.py`` to say. Pixels are taken in vectors of 16: 8 x 2, or 4 x 4 that begin at any pixel,
which is all that a face of a dense mesh needs.

Why no pixel is lost between two faces: edges and 1/Z are planes of float64, accurate to about 1e-12 pixel. In float32,
around a point that is near all pixels in question, rounding moves an edge by less than `EDGE_ROUNDING` times
(|A| + |B|) times the distance from that point, and taking the lattice's next point for it by half a step; exactly that is
added to D, some 1e-6 pixel. So a pixel inside the exact face is inside the rounded one. What a pixel that little outside
could extrapolate is cut to the face's own range of 1/Z.

The commonest change is another shape of window, for faces of another size.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, STRIDE
from depthraster.kernels.clusters import LANES, MAX_FACES
from depthraster.kernels.jit import inlined, inner
from depthraster.kernels.planes import THINNEST, inverse_depth_plane
from depthraster.kernels.simd import (
    as_float,
    choose,
    eight,
    four,
    least,
    load4,
    load8,
    most,
    multiply_add,
    none_negative,
    pair,
    splat_like,
    store,
)  # fmt: skip

__all__ = [
    "EDGE_ROUNDING",
    "LARGE",
    "NOTHING",
    "SMALL",
    "WINDOW",
    "WINDOWED",
    "draw_large",
    "draw_loose",
    "draw_small",
    "draw_windows",
    "make_small",
]

# Sum of the roundings of A, B, distances, thresholds, products and sums in float32, each 2**-24, at most 7 of
# them on the same term; 10 leaves room.
EDGE_ROUNDING = 10.0 * 2.0**-24

NOTHING, WINDOWED, SMALL, LARGE = (np.int32(kind) for kind in range(4))  # what is drawn of a face

WINDOW = 4  # pixels, a side of what `draw_windows` draws into

_F = MAX_FACES

_ROOM = 1e-3  # plane pixels, far more than edges are widened by
_STEEP = 0.5  # part of its value that 1/Z may change by within half a block, before it is computed in float64


@inlined
def _plane(dx, dy, a, b, c):
    return multiply_add(dx, a, multiply_add(dy, b, c))


@inlined
def _inside(dx, dy, a0, b0, c0, a1, b1, c1, a2, b2, c2):
    return none_negative(_plane(dx, dy, a0, b0, c0), _plane(dx, dy, a1, b1, c1), _plane(dx, dy, a2, b2, c2))


@inlined
def _two_rows(numbers, at):
    """Return eight pixels from ``at`` on and those below them."""
    return pair(load8(numbers, at), load8(numbers, at + STRIDE))


@inlined
def _put_two_rows(numbers, at, values):
    store(numbers, at, eight(values, 0))
    store(numbers, at + STRIDE, eight(values, 1))


@inner
def _cover(pixels, names, name, at, x, y, a0, b0, c0, a1, b1, c1, a2, b2, c2, wa, wb, wc, w_least, w_most):
    """Take a face's 1/Z into 8 x 2 pixels from ``at`` on where it is inside all three edges and nearer than what is there.

    (x, y), steps of the lattice, is where the edges' functions are c and 1/Z is wc; inside, none is less than 0. With
    ``names`` not None the face's index goes beside it; of equal depths the smaller stays.
    """
    dx, dy = as_float(_two_rows(pixels.x, at) - x), as_float(_two_rows(pixels.y, at) - y)
    old = _two_rows(pixels.w, at)
    inside = _inside(dx, dy, a0, b0, c0, a1, b1, c1, a2, b2, c2)
    w = least(most(_plane(dx, dy, wa, wb, wc), w_least), w_most)
    if names is None:
        _put_two_rows(pixels.w, at, choose(inside & (w > old), w, old))
    else:
        held = _two_rows(names, at)
        nearer = inside & ((w > old) | ((w == old) & (held > name)))
        _put_two_rows(pixels.w, at, choose(nearer, w, old))
        _put_two_rows(names, at, choose(nearer, splat_like(held, name), held))


@inlined
def _window(numbers, at):
    """Return four pixels from ``at`` on and those in the three rows below."""
    upper = pair(load4(numbers, at), load4(numbers, at + STRIDE))
    return pair(upper, pair(load4(numbers, at + 2 * STRIDE), load4(numbers, at + 3 * STRIDE)))


@inlined
def _put_window(numbers, at, values):
    store(numbers, at, four(values, 0))
    store(numbers, at + STRIDE, four(values, 1))
    store(numbers, at + 2 * STRIDE, four(values, 2))
    store(numbers, at + 3 * STRIDE, four(values, 3))


@inner
def _cover_window(
    pixels, names, name, at, x, y, a0, b0, c0, a1, b1, c1, a2, b2, c2, wa, wb, wc, w_least, w_most
):
    """Do what `_cover` does for the window of 4 x 4 pixels that begins at ``at``."""
    dx, dy = as_float(_window(pixels.x, at) - x), as_float(_window(pixels.y, at) - y)
    old = _window(pixels.w, at)
    inside = _inside(dx, dy, a0, b0, c0, a1, b1, c1, a2, b2, c2)
    w = least(most(_plane(dx, dy, wa, wb, wc), w_least), w_most)
    if names is None:
        _put_window(pixels.w, at, choose(inside & (w > old), w, old))
    else:
        held = _window(names, at)
        nearer = inside & ((w > old) | ((w == old) & (held > name)))
        _put_window(pixels.w, at, choose(nearer, w, old))
        _put_window(names, at, choose(nearer, splat_like(held, name), held))


@inner
def _cover_steep(
    pixels, names, name, at, x, y, a0, b0, c0, a1, b1, c1, a2, b2, c2, wa, wb, wc, w_least, w_most
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
            if names is None:
                pixels.w[i] = w if inside & (w > old) else old
            else:
                nearer = inside & ((w > old) | ((w == old) & (name < names[i])))
                pixels.w[i] = w if nearer else old
                names[i] = name if nearer else names[i]


@inner
def draw_large(pixels, lattice, refs, names, name, row0, row1, col0, col1, blocks_across, plane):
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
                        pixels, names, name, at, column, row,
                        fa0, fb0, np.float32(c0), fa1, fb1, np.float32(c1), fa2, fb2, np.float32(c2),
                        wa * step, wb * step, w, least, most,
                    )  # fmt: skip
                else:
                    _cover(
                        pixels, names, name, at, column, row,
                        fa0, fb0, np.float32(c0), fa1, fb1, np.float32(c1), fa2, fb2, np.float32(c2),
                        fwa, fwb, np.float32(w), least, most,
                    )  # fmt: skip


@inner
def make_small(n, small, both, lattice, staged, planes, origins, kinds):
    """Turn n staged faces, all in front of the camera, into planes near their vertex a; say of what kind each is.

    ``staged`` holds rows of ``MAX_FACES``: x, y, 1/Z of the vertices a, b, c. ``planes`` takes such rows of float32: A, B
    and D of the edges ab, bc, ca, slopes and value of 1/Z, and its bounds; ``origins`` rows of int32: the lattice's point
    next to a, half a step away at most, from which pixels are counted; ``kinds`` what is to be drawn: `NOTHING` of faces
    edge-on and, but for ``both`` sides, those turned away; `LARGE` where the squared size is more than ``small``, for which
    the planes are no good; or `SMALL`.
    """
    step, per_step = lattice[2], 1.0 / lattice[2]
    x_middle, y_middle, f_step = lattice[0], lattice[1], np.float32(lattice[2])
    rounding, half_step = np.float32(EDGE_ROUNDING), np.float32(0.5000001 * lattice[2])
    for i in range(((n + LANES - 1) // LANES) * LANES):
        ax, ay, aw = staged[i], staged[_F + i], staged[2 * _F + i]
        bw, cw = staged[5 * _F + i], staged[8 * _F + i]
        abx, aby = staged[3 * _F + i] - ax, staged[4 * _F + i] - ay
        acx, acy = staged[6 * _F + i] - ax, staged[7 * _F + i] - ay
        area = multiply_add(abx, acy, -(acx * aby))
        # No edge is longer than the root of this.
        size2 = 2.0 * (multiply_add(abx, abx, aby * aby) + multiply_add(acx, acx, acy * acy))
        is_drawn = (area * area > THINNEST * size2) & ((area < 0.0) | both)
        kinds[i] = (SMALL if size2 <= small else LARGE) if is_drawn else NOTHING
        origins[i] = np.int32(np.rint((ax - x_middle) * per_step))
        origins[_F + i] = np.int32(np.rint((ay - y_middle) * per_step))
        wa, wb, wc = inverse_depth_plane(abx, aby, acx, acy, area, aw, bw, cw)
        planes[9 * _F + i] = np.float32(wa * step)
        planes[10 * _F + i] = np.float32(wb * step)
        planes[11 * _F + i] = np.float32(wc)
        planes[12 * _F + i] = np.float32(min(aw, min(bw, cw)))
        planes[13 * _F + i] = np.float32(max(aw, max(bw, cw)))
        # Differences, not places: float32 has digits enough for them.
        sign = f_step if area > 0.0 else -f_step
        fbx, fby, fcx, fcy = np.float32(abx), np.float32(aby), np.float32(acx), np.float32(acy)
        bcx, bcy = fcx - fbx, fcy - fby
        # No pixel that the face touches is farther than this from a.
        ex = multiply_add(max(abs(fbx), abs(fcx)), rounding, half_step)
        ey = multiply_add(max(abs(fby), abs(fcy)), rounding, half_step)
        planes[i] = -fby * sign
        planes[_F + i] = fbx * sign
        planes[2 * _F + i] = multiply_add(abs(fby), ex, abs(fbx) * ey)
        planes[3 * _F + i] = -bcy * sign
        planes[4 * _F + i] = bcx * sign
        planes[5 * _F + i] = abs(np.float32(area)) + multiply_add(abs(bcy), ex, abs(bcx) * ey)
        planes[6 * _F + i] = fcy * sign
        planes[7 * _F + i] = -fcx * sign
        planes[8 * _F + i] = multiply_add(abs(fcy), ex, abs(fcx) * ey)


@inlined
def _draw(pixels, names, ids, planes, origins, i, at):
    """Draw a small face into 8 x 2 pixels."""
    _cover(
        pixels, names, ids[i], at, origins[i], origins[_F + i],
        planes[i], planes[_F + i], planes[2 * _F + i], planes[3 * _F + i], planes[4 * _F + i], planes[5 * _F + i],
        planes[6 * _F + i], planes[7 * _F + i], planes[8 * _F + i], planes[9 * _F + i], planes[10 * _F + i],
        planes[11 * _F + i], planes[12 * _F + i], planes[13 * _F + i],
    )  # fmt: skip


@inner
def draw_windows(n, chosen, firsts, pixels, names, ids, planes, origins):
    """Draw small faces, made by `make_small`, into the windows that begin at ``firsts``; ``chosen`` has the n numbers."""
    # In four streams: neighbours in the list are neighbours in the image, and what has just been written can't be read yet.
    part, last = np.uint64((n + 3) // 4), np.uint64(n - 1)
    for turn in range(np.uint64(4) * part):
        k = min((turn & np.uint64(3)) * part + (turn >> np.uint64(2)), last)
        i = np.int64(chosen[k] & np.int32(_F - 1))  # which is all of it, and says that it is not negative
        _cover_window(
            pixels, names, ids[i], np.int64(firsts[i]), origins[i], origins[_F + i],
            planes[i], planes[_F + i], planes[2 * _F + i], planes[3 * _F + i], planes[4 * _F + i], planes[5 * _F + i],
            planes[6 * _F + i], planes[7 * _F + i], planes[8 * _F + i], planes[9 * _F + i], planes[10 * _F + i],
            planes[11 * _F + i], planes[12 * _F + i], planes[13 * _F + i],
        )  # fmt: skip


@inner
def draw_small(n, chosen, boxes, pixels, names, ids, planes, origins):
    """Draw small faces, made by `make_small`, of which ``chosen`` has the n numbers, into the pixels of their boxes.

    ``boxes`` has last column and row, and the negatives of the first ones, of each face.
    """
    for k in range(np.uint64(n)):
        i = np.int64(chosen[k] & np.int32(_F - 1))
        last_col, last_row = np.int64(boxes[4 * i]), np.int64(boxes[4 * i + 1])
        first_col, first_row = -np.int64(boxes[4 * i + 2]), -np.int64(boxes[4 * i + 3])
        for row in range(first_row, last_row + 1, 2):
            for col in range(first_col, last_col + 1, 8):
                _draw(pixels, names, ids, planes, origins, i, row * STRIDE + col)


@inner
def draw_loose(n, boxes, refs, blocks_across, staged, pixels, names, ids, planes, origins):
    """Do what `draw_small` does for all of n faces whose boxes are whole blocks and may be far too large.

    Blocks are first asked whether the face comes near.
    """
    for i in range(n):
        ax, bx, cx = staged[i], staged[3 * _F + i], staged[6 * _F + i]
        ay, by, cy = staged[_F + i], staged[4 * _F + i], staged[7 * _F + i]
        x_lo, x_hi = min(ax, min(bx, cx)) - _ROOM, max(ax, max(bx, cx)) + _ROOM
        y_lo, y_hi = min(ay, min(by, cy)) - _ROOM, max(ay, max(by, cy)) + _ROOM
        last_col, last_row = np.int64(boxes[4 * i]), np.int64(boxes[4 * i + 1])
        first_col, first_row = -np.int64(boxes[4 * i + 2]), -np.int64(boxes[4 * i + 3])
        for block_row in range(first_row // BLOCK_HEIGHT, last_row // BLOCK_HEIGHT + 1):
            for block_col in range(first_col // BLOCK_WIDTH, last_col // BLOCK_WIDTH + 1):
                index = block_row * blocks_across + block_col
                x, y, rx, ry = refs[index, 0], refs[index, 1], refs[index, 2], refs[index, 3]
                if (x - rx > x_hi) | (x + rx < x_lo) | (y - ry > y_hi) | (y + ry < y_lo):
                    continue
                for row in range(block_row * BLOCK_HEIGHT, (block_row + 1) * BLOCK_HEIGHT, 2):
                    _draw(pixels, names, ids, planes, origins, i, row * STRIDE + block_col * BLOCK_WIDTH)
