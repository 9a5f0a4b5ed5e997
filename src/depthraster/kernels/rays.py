"""The rays of pixel centres: exact at the nodes of a coarse grid, interpolated between, exact where that is not enough.

A ray is a point of the undistorted image plane in plane pixels, (f x, f y). Between nodes it is a cubic
polynomial in each direction through the four nearest nodes; cells of the grid where the fourth differences of
the nodes let it miss by more than 1.5e-6 pixel, or that reach out of the lens' domain, are marked for Newton's
iteration at every pixel. `fill_rays` lays the rays out on the lattice of a tile, as ``blocks.py`` describes.

The commonest change is another lens: nothing here depends on which, but for the call of ``unproject_frame``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load8, load16, store
from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH, MAX_TILE, STRIDE
from depthraster.kernels.jit import inlined, inner, lean_kernel
from depthraster.kernels.lens import unproject_frame, unproject_pixels
from depthraster.kernels.memory import aligned
from depthraster.kernels.shuffles import two
from depthraster.kernels.simd import (
    as_double,
    as_single,
    magnitude,
    multiply_add,
    nearest_whole,
    splat_like,
)

__all__ = [
    "RayGrid",
    "RayScratch",
    "fill_rays",
    "interpolation_error",
    "iterate_rays",
    "lay_lattice",
    "ray_grid",
    "ray_scratch",
    "reaches",
    "store_rays",
]

_N = BLOCK_PIXELS
_SPACINGS = (32, 16, 8)  # pixels; multiples of a block's sides, divisors of a tile's
_LEAST_SPACING = 8  # that `fill_rays` takes
_FARTHEST = 2147483000.0  # steps from the lattice's middle, what int32 holds
_W = 2 * (MAX_TILE // _LEAST_SPACING + 4)  # numbers in a tile's row of nodes, and room for a whole vector
_TOLERANCE = 1.5e-6  # plane pixels
_FEW = 0.02  # share of cells that may need the exact iteration before a finer grid is tried


class RayGrid(NamedTuple):
    """Rays at the nodes of a grid over an image."""

    nodes: npt.NDArray[np.float64]  # (rows, cols, 2) f x, f y at v = (row - 1) spacing, u = (col - 1) spacing
    exact: npt.NDArray[np.uint8]  # (rows - 3, cols - 3) 1: interpolation is not good enough in this cell
    spacing: int  # pixels
    radius: float  # the farthest imaged node from the axis, plane pixels


class RayScratch(NamedTuple):
    """What `fill_rays` works in: one for each thread."""

    work: npt.NDArray[np.float64]  # (4 _W,) see `_bicubics`
    bicubics: npt.NDArray[np.float64]  # (16 _W,) likewise
    row: npt.NDArray[np.float64]  # (5 _W,) see `_reaches_across`
    origins: npt.NDArray[np.float64]  # (_W,) where the lattice's middle is, x beside y for each cell
    whole: npt.NDArray[np.int32]  # (2 _W,) see `_cubics_across`
    rest: npt.NDArray[np.float32]  # (4 _W,) likewise
    numbers: npt.NDArray[np.int32]  # (spacing,) of a cell's pixels in a row
    offs: npt.NDArray[np.float32]  # (spacing,) and how far they are from its middle
    rays: npt.NDArray[np.float64]  # (2, N) of a block, for `iterate_rays`


def ray_scratch() -> RayScratch:
    """Return a `RayScratch`."""
    most = _SPACINGS[0]
    return RayScratch(
        aligned(4 * _W), aligned(16 * _W), aligned(5 * _W), aligned(_W), aligned(2 * _W, np.int32),
        aligned(4 * _W, np.float32), aligned(most, np.int32), aligned(most, np.float32), aligned((2, _N)),
    )  # fmt: skip


def ray_grid(lens: npt.NDArray[np.float64], width: int, height: int) -> RayGrid:
    """Return the grid of a lens over an image of width x height pixels; the last few are remembered."""
    return _ray_grid(lens.tobytes(), width, height)


@lru_cache(maxsize=8)
def _ray_grid(lens_bytes: bytes, width: int, height: int) -> RayGrid:
    lens = np.frombuffer(lens_bytes)
    for spacing in _SPACINGS:
        rows, cols = -(-height // spacing), -(-width // spacing)
        nodes = _nodes(lens, spacing, rows, cols)
        exact = (~(interpolation_error(nodes) <= _TOLERANCE)).astype(np.uint8)
        if exact.mean() <= _FEW:
            break
    for array in (nodes, exact):
        array.flags.writeable = False
    imaged = nodes[np.isfinite(nodes).all(axis=2)]
    radius = float(np.sqrt((imaged**2).sum(axis=1).max())) if len(imaged) else 0.0
    return RayGrid(nodes, exact, spacing, radius)


def _nodes(lens: npt.NDArray[np.float64], spacing: int, rows: int, cols: int) -> npt.NDArray[np.float64]:
    """Return the exact rays of a grid with a node more before and two after rows x cols cells."""
    u, v = np.meshgrid((np.arange(cols + 3) - 1.0) * spacing, (np.arange(rows + 3) - 1.0) * spacing)
    rays = np.empty((u.size, 3))
    unproject_pixels(np.column_stack([u.ravel(), v.ravel()]), lens, rays)
    return np.ascontiguousarray(rays[:, :2] * lens[0]).reshape(rows + 3, cols + 3, 2)


def interpolation_error(nodes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Bound what the cubics of each cell miss, plane pixels; NaN or inf where they cannot be used.

    A cubic through four nodes misses by at most 9/16 / 4! of the fourth difference, here the greatest of those around
    the cell, and half as much again.
    """
    rows, cols = nodes.shape[0] - 3, nodes.shape[1] - 3
    if rows < 2 or cols < 2:
        return np.full((rows, cols), np.inf)  # no five nodes in line
    across, down = np.abs(np.diff(nodes, 4, axis=1)), np.abs(np.diff(nodes, 4, axis=0))
    across = np.maximum.reduce([across[i : i + rows] for i in range(4)])
    down = np.maximum.reduce([down[:, i : i + cols] for i in range(4)])
    # Of the five nodes in line, the first belongs to the cell or stands before it.
    before, with_it = np.maximum(np.arange(cols) - 1, 0), np.minimum(np.arange(cols), cols - 2)
    across = np.maximum(across[:, before], across[:, with_it])
    before, with_it = np.maximum(np.arange(rows) - 1, 0), np.minimum(np.arange(rows), rows - 2)
    down = np.maximum(down[before], down[with_it])
    error: npt.NDArray[np.float64] = 1.5 * (9.0 / 16.0 / 24.0) * (across + down).max(axis=2)
    return error


@inner
def _bicubics(nodes, first, n, spacing, work, bicubics):
    """Write the polynomials of a row of cells between the second and the third of four rows of nodes.

    They are of n numbers of the nodes', from ``first`` on: x beside y. ``bicubics[(4 m + k) _W + i]`` is the coefficient of
    s^m p^k: s runs from 0 to 1 down the cell, p in pixels from its middle.
    """
    for i in range(n + 6):
        a, b, c, d = nodes[0, first + i], nodes[1, first + i], nodes[2, first + i], nodes[3, first + i]
        work[i], work[_W + i], work[2 * _W + i], work[3 * _W + i] = _through(a, b, c, d)
    per_pixel = 1.0 / spacing  # exact: the spacing is a power of two
    for m in range(4):
        along, out = work[m * _W : (m + 1) * _W], bicubics[4 * m * _W : 4 * (m + 1) * _W]
        for i in range(n):
            c0, c1, c2, c3 = _through(along[i], along[i + 2], along[i + 4], along[i + 6])
            out[i] = c0 + 0.5 * (c1 + 0.5 * (c2 + 0.5 * c3))
            out[_W + i] = (c1 + (c2 + 0.75 * c3)) * per_pixel
            out[2 * _W + i] = (c2 + 1.5 * c3) * (per_pixel * per_pixel)
            out[3 * _W + i] = c3 * (per_pixel * per_pixel * per_pixel)


@inlined
def _through(a, b, c, d):
    """Return the coefficients, lowest first, of the cubic that is a, b, c and d at -1, 0, 1 and 2."""
    return b, c - a / 3.0 - b / 2.0 - d / 6.0, (a + c) / 2.0 - b, (d - a) / 6.0 + (b - c) / 2.0


@inner
def _cubic(t, a, b, c, d):
    """Return a + b t + c t^2 + d t^3, for a vector t."""
    return multiply_add(t, multiply_add(t, multiply_add(splat_like(t, d), t, c), b), a)


@inlined
def _down(bicubics, k, i, s):
    """Return the coefficients of p^k of eight numbers' cubics along a row of pixels, at s."""
    at = k * _W + i
    d, s8 = load8(bicubics, at + 12 * _W), splat_like(load8(bicubics, at), s)
    d = multiply_add(d, s8, load8(bicubics, at + 8 * _W))
    d = multiply_add(d, s8, load8(bicubics, at + 4 * _W))
    return multiply_add(d, s8, load8(bicubics, at))


@inner
def _cubics_across(s, n, middle, per_step, scratch):
    """Write the cubics of a row of pixels, at s, in steps of the lattice: what is whole as int32, the rest as float32.

    Pixel number j of a cell, ``middle`` of which are left of its middle, is at ``whole[i] + j whole[_W + i]`` and what the
    cubic of j - ``middle`` with the coefficients ``rest[k _W + i]`` adds. That is little: the lens' curvature within a cell.
    """
    bicubics, whole, rest = scratch.bicubics, scratch.whole, scratch.rest
    for i in range(0, n, 8):
        slope = _down(bicubics, 1, i, s) * per_step
        steps = nearest_whole(slope)
        start = (_down(bicubics, 0, i, s) - load8(scratch.origins, i)) * per_step
        start = multiply_add(as_double(steps), -middle, start)
        first = nearest_whole(start)
        store(whole, i, first)
        store(whole, _W + i, steps)
        store(rest, i, as_single(start - as_double(first)))
        store(rest, _W + i, as_single(slope - as_double(steps)))
        store(rest, 2 * _W + i, as_single(_down(bicubics, 2, i, s) * per_step))
        store(rest, 3 * _W + i, as_single(_down(bicubics, 3, i, s) * per_step))


@inner
def _row_of_pixels(at, n, spacing, is_exact, scratch, pixels):
    """Fill n pixels from ``at`` on, whole blocks, from `_cubics_across`, but for those of cells marked ``exact``."""
    whole, rest = scratch.whole, scratch.rest
    for cell in range(np.uint64((n + spacing - 1) // spacing)):
        if is_exact[cell] != 0:
            continue
        i = np.int64(2 * cell)
        x, x_step, y, y_step = whole[i], whole[_W + i], whole[i + 1], whole[_W + i + 1]
        x0, x1, x2, x3 = rest[i], rest[_W + i], rest[2 * _W + i], rest[3 * _W + i]
        y0, y1, y2, y3 = rest[i + 1], rest[_W + i + 1], rest[2 * _W + i + 1], rest[3 * _W + i + 1]
        first = np.int64(cell) * spacing
        # In a cell of eight pixels the last eight are the next cell's, which come later.
        for j in range(0, min(spacing, n - first), 16):
            number, off = load16(scratch.numbers, j), load16(scratch.offs, j)
            more_x, more_y = _cubic(off, x0, x1, x2, x3), _cubic(off, y0, y1, y2, y3)
            store(pixels.x, at + first + j, nearest_whole(more_x) + (number * x_step + x))
            store(pixels.y, at + first + j, nearest_whole(more_y) + (number * y_step + y))


@inner
def _reaches_across(s, n, spacing, bicubics, row):
    """Write, of a row of blocks with its middle at s, the cubics of that and how far rays lie from their block's.

    ``row[k _W + i]`` takes the coefficient of p^k, ``row[4 _W + i]`` the bound: plane pixels.
    """
    along, aside = 0.5 * (BLOCK_WIDTH - 1), 0.5 * (BLOCK_HEIGHT - 1) / spacing
    most_p = 0.5 * spacing
    for i in range(0, n, 8):
        far, power = splat_like(load8(bicubics, i), 0.0), 1.0
        for k in range(4):
            at = k * _W + i
            b1, b2 = load8(bicubics, at + 4 * _W), load8(bicubics, at + 8 * _W)
            b3 = load8(bicubics, at + 12 * _W)
            second = multiply_add(b3, 3.0 * s, b2)
            first = multiply_add(multiply_add(b3, 1.5 * s, b2), 2.0 * s, b1)
            gain = multiply_add(
                multiply_add(magnitude(b3), aside, magnitude(second)), aside, magnitude(first)
            )
            c = _down(bicubics, k, i, s)
            store(row, at, c)
            if k > 0:
                gain = multiply_add(magnitude(c), along * k / (aside * most_p), gain)
            far = multiply_add(gain, power * aside, far)
            power *= most_p
        store(row, 4 * _W + i, far * 1.000001)


@inner
def _row_of_refs(n, spacing, lattice, scratch, refs):
    """Write the ``refs`` of n blocks side by side from `_reaches_across`: of four cells at once."""
    row, origins = scratch.row, scratch.origins
    step, per_step, across = lattice[2], 1.0 / lattice[2], spacing // BLOCK_WIDTH
    for i in range(0, 2 * (n + across - 1) // across, 8):
        origin, reach = load8(origins, i), load8(row, 4 * _W + i) + step
        for k in range(across):
            p = (k + 0.5) * BLOCK_WIDTH - 0.5 * spacing
            ray = multiply_add(load8(row, 3 * _W + i), p, load8(row, 2 * _W + i))
            ray = multiply_add(ray, p, load8(row, _W + i))
            ray = multiply_add(ray, p, load8(row, i)) - origin
            # The reference ray goes to the lattice, and the bound with it.
            ray = multiply_add(as_double(nearest_whole(ray * per_step)), step, origin)
            block = i // 2 * across + k
            if block < n:
                _put_ref(refs, block, two(ray, 0), two(reach, 0))
            if block + across < n:
                _put_ref(refs, block + across, two(ray, 1), two(reach, 1))
            if block + 2 * across < n:
                _put_ref(refs, block + 2 * across, two(ray, 2), two(reach, 2))
            if block + 3 * across < n:
                _put_ref(refs, block + 3 * across, two(ray, 3), two(reach, 3))


@inlined
def _put_ref(refs, block, ray, reach):
    store(refs, 4 * block, ray)
    store(refs, 4 * block + 2, reach)


@lean_kernel
def lay_lattice(nodes, spacing, row0, col0, n_rows, n_cols, finest, room, lattice):
    """Choose the lattice of a tile from the nodes of its rays: around their middle, as fine as int32 allows.

    ``nodes`` and the rectangle are those of `fill_rays`; ``finest`` is the least step, a power of two, and ``room`` (plane
    pixels) how much farther than the nodes the lattice reaches: more than the size of faces drawn on it.
    """
    first_row, first_col = row0 // spacing, 2 * (col0 // spacing)
    last_row = first_row + (n_rows + spacing - 1) // spacing + 2
    last_col = first_col + 2 * ((n_cols + spacing - 1) // spacing + 2)
    half = 0.0
    for axis in range(2):
        low, high = np.inf, -np.inf
        for i in range(first_row, last_row + 1):
            for j in range(first_col + axis, last_col + axis + 1, 2):
                value = nodes[i, j]
                if np.isfinite(value):
                    low, high = min(low, value), max(high, value)
        if not low <= high:
            low, high = 0.0, 0.0
        lattice[axis] = np.rint(0.5 * (low + high))
        half = max(half, high - lattice[axis])
    step = finest
    while (half + room) / step > _FARTHEST:
        step *= 2.0
    lattice[2] = step


def reaches(lattice: npt.NDArray[np.float64], far: float) -> bool:
    """Whether a lattice reaches as far from its middle, plane pixels."""
    return far <= _FARTHEST * float(lattice[2])


@lean_kernel
def fill_rays(nodes, exact, spacing, nothing, row0, col0, n_rows, n_cols, lattice, pixels, refs, scratch):
    """Lay the rays of the n_rows x n_cols pixels at (row0, col0), both multiples of ``spacing``, out on a lattice.

    ``pixels`` and ``refs`` are as ``blocks.py`` says; w becomes ``nothing`` (0: farther than any face), or +inf for pixels
    that the lens does not image or that lie beyond the rectangle. A pixel's ray depends only on its place in the image,
    and on the lattice's step. Blocks in cells marked ``exact`` are left to `iterate_rays`; their number is returned.
    ``nodes`` are the grid's as (rows, 2 cols), ``scratch`` is a `RayScratch`.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    blocks_down = (n_rows + BLOCK_HEIGHT - 1) // BLOCK_HEIGHT
    down, cells = spacing // BLOCK_HEIGHT, (n_cols + spacing - 1) // spacing
    width, middle, per_step = blocks_across * BLOCK_WIDTH, 0.5 * (spacing - 1), 1.0 / lattice[2]
    bicubics, row, flat = scratch.bicubics, scratch.row, refs.reshape(-1)
    for i in range(spacing):
        scratch.numbers[i], scratch.offs[i] = i, i - middle
    for i in range(0, 2 * cells, 2):
        scratch.origins[i], scratch.origins[i + 1] = lattice[0], lattice[1]
    n_left = 0
    for cell_row in range((n_rows + spacing - 1) // spacing):
        node_row, node_col = row0 // spacing + cell_row, col0 // spacing
        is_exact = exact[node_row, node_col : node_col + cells]
        _bicubics(nodes[node_row : node_row + 4], 2 * node_col, 2 * cells, spacing, scratch.work, bicubics)
        for block_row in range(cell_row * down, min((cell_row + 1) * down, blocks_down)):
            index = block_row * blocks_across
            first = (block_row - cell_row * down) * BLOCK_HEIGHT
            _reaches_across((first + 0.5 * BLOCK_HEIGHT) / spacing, 2 * cells, spacing, bicubics, row)
            _row_of_refs(blocks_across, spacing, lattice, scratch, flat[4 * index :])
            for cell in range(cells):
                if is_exact[cell] != 0:
                    n_left += min(spacing, width - cell * spacing) // BLOCK_WIDTH
            for line in range(BLOCK_HEIGHT):
                at = (block_row * BLOCK_HEIGHT + line) * STRIDE
                _cubics_across((first + line + 0.5) / spacing, 2 * cells, middle, per_step, scratch)
                _row_of_pixels(at, width, spacing, is_exact, scratch, pixels)
                pixels.w[at : at + width] = nothing
    # Pixels beyond the rectangle, in its last blocks.
    for line in range(blocks_down * BLOCK_HEIGHT):
        for col in range(n_cols if line < n_rows else 0, width):
            pixels.w[line * STRIDE + col] = np.inf
    return n_left


@lean_kernel
def iterate_rays(exact, spacing, lens, nothing, row0, col0, n_rows, n_cols, lattice, pixels, refs, scratch):
    """Replace what `fill_rays` has left in the cells marked ``exact`` by rays found pixel by pixel.

    Returns how far from the lattice's middle they reach: if `reaches` says that it does not, make one with so much more
    room, and begin again. A kernel of its own, so that those who never need it never wait for its compilation.
    """
    f, rays = lens[0], scratch.rays
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    farthest = 0.0
    for index in range(refs.shape[0]):
        first_row = index // blocks_across * BLOCK_HEIGHT
        first_col = index % blocks_across * BLOCK_WIDTH
        if exact[(row0 + first_row) // spacing, (col0 + first_col) // spacing] == 0:
            continue
        for i in range(_N):
            row, col = first_row + i // BLOCK_WIDTH, first_col + i % BLOCK_WIDTH
            x, y = np.nan, np.nan
            if row < n_rows and col < n_cols:
                x, y = unproject_frame(col0 + col + 0.5, row0 + row + 0.5, lens)
            rays[0, i], rays[1, i] = f * x, f * y
        far = store_rays(rays, nothing, lattice, first_row * STRIDE + first_col, pixels, refs[index])
        farthest = max(farthest, far)
    return farthest


@inner
def store_rays(rays, nothing, lattice, first, pixels, ref):
    """Write a block, from the pixel ``first`` on, and its reference from the rays (2, N) of its pixels, NaN for none.

    The reference is the middle of the rays: the less they differ from it, the more digits are left of that. Returns how far
    from the lattice's middle they reach; what it does not reach becomes not imaged.
    """
    x_lo, x_hi, y_lo, y_hi = np.inf, -np.inf, np.inf, -np.inf
    for i in range(_N):
        x, y = rays[0, i], rays[1, i]
        if np.isfinite(x + y):
            x_lo, x_hi, y_lo, y_hi = min(x_lo, x), max(x_hi, x), min(y_lo, y), max(y_hi, y)
    per_step = 1.0 / lattice[2]
    far = 0.0
    if x_lo <= x_hi:
        ref[0] = lattice[0] + np.rint((0.5 * (x_lo + x_hi) - lattice[0]) * per_step) * lattice[2]
        ref[1] = lattice[1] + np.rint((0.5 * (y_lo + y_hi) - lattice[1]) * per_step) * lattice[2]
        ref[2] = max(1e-3, 0.5000001 * (x_hi - x_lo) + lattice[2])
        ref[3] = max(1e-3, 0.5000001 * (y_hi - y_lo) + lattice[2])
        far = max(
            max(abs(x_lo - lattice[0]), abs(x_hi - lattice[0])),
            max(abs(y_lo - lattice[1]), abs(y_hi - lattice[1])),
        )
    else:
        ref[0], ref[1], ref[2], ref[3] = 0.0, 0.0, -1.0, -1.0
    reached = far * per_step <= _FARTHEST
    for i in range(_N):
        at = first + (i // BLOCK_WIDTH) * STRIDE + i % BLOCK_WIDTH
        imaged = reached and np.isfinite(rays[0, i] + rays[1, i])
        pixels.x[at] = np.int32(np.rint((rays[0, i] - lattice[0]) * per_step)) if imaged else np.int32(0)
        pixels.y[at] = np.int32(np.rint((rays[1, i] - lattice[1]) * per_step)) if imaged else np.int32(0)
        pixels.w[at] = nothing if imaged else np.float32(np.inf)
    return far
