"""From a finished tile to the output images: 1/Z becomes depth or range, alpha and face indices.

``tiles.py`` leaves in each pixel the nearest 1/Z (0: no face; +inf: not imaged); here each output pixel is
written once. The commonest change is a new output that follows from 1/Z, the ray and the face index of one
pixel: give `resolve_tile` another array. What needs more than that belongs to ``layers.py``.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH
from depthraster.kernels.jit import inlined, inner, lean_kernel

__all__ = ["resolve_tile", "resolve_turned"]

_N = BLOCK_PIXELS


@inlined
def _block_pairs(block, background, values):
    """Compute depth and alpha of a block's pixels, side by side."""
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[2 * i] = np.float32(1.0) / w if hit else background
        values[2 * i + 1] = np.float32(1.0) if hit else np.float32(0.0)


@inlined
def _block_range_pairs(block, x0, y0, inverse_f, background, values):
    """Compute range and alpha of a block's pixels, side by side; see `_block_ranges`."""
    u0, v0, per_pixel = np.float32(x0 * inverse_f), np.float32(y0 * inverse_f), np.float32(inverse_f)
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        x, y = u0 + block[i] * per_pixel, v0 + block[_N + i] * per_pixel
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[2 * i] = np.sqrt(np.float32(1.0) + (x * x + y * y)) / w if hit else background
        values[2 * i + 1] = np.float32(1.0) if hit else np.float32(0.0)


@inner
def _whole_pairs(blocks, refs, inverse_f, as_range, background, image, first, values):
    """Write depth or range and alpha of a row of whole blocks into as many rows of ``image`` as a block has."""
    if first < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    for index in range(blocks.shape[0]):
        block = blocks[index]
        if as_range:
            _block_range_pairs(block, refs[index, 0], refs[index, 1], inverse_f, background, values)
        else:
            _block_pairs(block, background, values)
        at = first + index * 2 * BLOCK_WIDTH
        for i in range(BLOCK_HEIGHT):
            for j in range(2 * BLOCK_WIDTH):
                image[i, at + j] = values[i * 2 * BLOCK_WIDTH + j]


@lean_kernel
def resolve_tile(
    blocks, refs, names, f, row0, col0, n_rows, n_cols, background, as_range, with_alpha, image, ranges, face_index, work
):  # fmt: skip
    """Write the tile of n_rows x n_cols pixels at (row0, col0) into the images.

    ``image`` (H, W * channels), channels side by side, takes Z (or the Euclidean length of the ray, with ``as_range``)
    and, where ``with_alpha``, alpha; ``ranges`` (H, W) takes the length and ``face_index`` (H, W) the index, -1 where no
    face is; either may have no elements and is then left alone. ``background`` stands where no face is.
    ``work`` (3 N) float32 is scratch.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    with_range = ranges.size > 0
    # A block's values first, in loops that vectorize (over a number of pixels that the compiler does not know: it would
    # unroll 16 divisions instead); then row by row to where they belong.
    values, lengths = work[: 2 * _N], work[2 * _N :]
    n_whole = n_cols // BLOCK_WIDTH if with_alpha and not (with_range or names is not None) else 0
    if n_whole > 0:
        for block_row in range(n_rows // BLOCK_HEIGHT):
            first, row = block_row * blocks_across, row0 + block_row * BLOCK_HEIGHT
            _whole_pairs(
                blocks[first : first + n_whole], refs[first : first + n_whole], 1.0 / f, as_range, background,
                image[row : row + BLOCK_HEIGHT], 2 * col0, values,
            )  # fmt: skip
    for index in range(blocks.shape[0]):
        block_row, block_col = index // blocks_across, index % blocks_across
        row, col = row0 + block_row * BLOCK_HEIGHT, col0 + block_col * BLOCK_WIDTH
        width = min(BLOCK_WIDTH, n_cols - block_col * BLOCK_WIDTH)
        height = min(BLOCK_HEIGHT, n_rows - block_row * BLOCK_HEIGHT)
        if height == BLOCK_HEIGHT and block_col < n_whole:
            continue
        block = blocks[index]
        if as_range or with_range:
            _block_ranges(block, refs[index, 0], refs[index, 1], 1.0 / f, background, lengths)
        if with_alpha:
            _block_pairs(block, background, values)
            if as_range:
                for i in range(_N):
                    values[2 * i] = lengths[i]
        elif as_range:
            for i in range(_N):
                values[i] = lengths[i]
        else:
            _block_depths(block, background, values)
        if with_alpha and width == BLOCK_WIDTH and height == BLOCK_HEIGHT:
            for i in range(BLOCK_HEIGHT):
                for j in range(2 * BLOCK_WIDTH):
                    image[row + i, 2 * col + j] = values[i * 2 * BLOCK_WIDTH + j]
        elif with_alpha:
            for i in range(height):
                for j in range(2 * width):
                    image[row + i, 2 * col + j] = values[i * 2 * BLOCK_WIDTH + j]
        else:
            _put(values, image, row, col, height, width)
        if with_range:
            _put(lengths, ranges, row, col, height, width)
        if names is not None:
            _put_names(block, names[index], np.float32(0.0), face_index, row, col, height, width)


@inlined
def _put(values, image, row, col, height, width):
    """Write a block's values where they belong; a whole block in loops that the compiler knows the length of."""
    if height == BLOCK_HEIGHT and width == BLOCK_WIDTH:
        for i in range(BLOCK_HEIGHT):
            for j in range(BLOCK_WIDTH):
                image[np.uint64(row + i), np.uint64(col + j)] = values[i * BLOCK_WIDTH + j]
    else:
        for i in range(height):
            for j in range(width):
                image[row + i, col + j] = values[i * BLOCK_WIDTH + j]


@inlined
def _put_names(block, names, empty, face_index, row, col, height, width):
    """Write a block's face indices where they belong, -1 where 1/Z is ``empty`` or infinite; as `_put`."""
    if height == BLOCK_HEIGHT and width == BLOCK_WIDTH:
        for i in range(BLOCK_HEIGHT):
            for j in range(BLOCK_WIDTH):
                w = block[2 * _N + i * BLOCK_WIDTH + j]
                hit = (w > empty) & (w < np.float32(np.inf))
                name = names[i * BLOCK_WIDTH + j]
                face_index[np.uint64(row + i), np.uint64(col + j)] = name if hit else np.int32(-1)
    else:
        for i in range(height):
            for j in range(width):
                w = block[2 * _N + i * BLOCK_WIDTH + j]
                hit = (w > empty) & (w < np.float32(np.inf))
                face_index[row + i, col + j] = names[i * BLOCK_WIDTH + j] if hit else np.int32(-1)


@inner
def _block_depths(block, background, values):
    """Compute the depths of a block's pixels."""
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[i] = np.float32(1.0) / w if hit else background


@inner
def _block_ranges(block, x0, y0, inverse_f, background, values):
    """Compute range[N] of a block : depth times the length of the ray whose Z is 1."""
    u0, v0, per_pixel = np.float32(x0 * inverse_f), np.float32(y0 * inverse_f), np.float32(inverse_f)
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        x, y = u0 + block[i] * per_pixel, v0 + block[_N + i] * per_pixel
        length = np.sqrt(np.float32(1.0) + (x * x + y * y)) / w
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[i] = length if hit else background


@inner
def _block_turned(block, x0, y0, inverse_f, ax, ay, az, background, values):
    """Compute of a block the depths along another axis than its plane's, (ax, ay, az) in the plane's frame."""
    # At the reference ray in float64: the terms may cancel.
    middle = np.float32((ax * x0 + ay * y0) * inverse_f + az)
    along_x, along_y = np.float32(ax * inverse_f), np.float32(ay * inverse_f)
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        depth = (middle + (along_x * block[i] + along_y * block[_N + i])) / w
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[i] = depth if hit else background


@inner
def _block_parallel(block, background, values):
    """Compute the depths of a block whose rays are parallel."""
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        hit = (w > np.float32(-np.inf)) & (w < np.float32(np.inf))
        values[i] = -w if hit else background


@lean_kernel
def resolve_turned(
    blocks, refs, names, f, axis, parallel, row0, col0, n_rows, n_cols, background, as_range, with_alpha, image, ranges,
    face_index, work,
):  # fmt: skip
    """Write a tile whose plane is not the camera's, as `resolve_tile` does.

    ``axis`` (3) is the camera's Z in the tile's frame: depth is what the point has along it, less than 0 beside and behind
    the camera. With ``parallel`` rays blocks hold -Z, -inf where no face is seen, and the range is Z.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    inverse_f = 1.0 / f
    empty = np.float32(-np.inf) if parallel else np.float32(0.0)
    with_range = ranges.size > 0
    depths, lengths = work[:_N], work[_N : 2 * _N]
    for index in range(blocks.shape[0]):
        row, col = (index // blocks_across) * BLOCK_HEIGHT, (index % blocks_across) * BLOCK_WIDTH
        block, x0, y0 = blocks[index], refs[index, 0], refs[index, 1]
        if parallel:
            _block_parallel(block, background, depths)
        elif not as_range:
            _block_turned(block, x0, y0, inverse_f, axis[0], axis[1], axis[2], background, depths)
        if with_range or as_range:
            if parallel:
                for i in range(_N):
                    lengths[i] = depths[i]
            else:
                _block_ranges(block, x0, y0, inverse_f, background, lengths)
        shown = lengths if as_range else depths
        height, width = min(BLOCK_HEIGHT, n_rows - row), min(BLOCK_WIDTH, n_cols - col)
        row, col = row0 + row, col0 + col
        if with_alpha:
            _put_pairs(block, shown, empty, image, row, 2 * col, height, width)
        else:
            _put(shown, image, row, col, height, width)
        if with_range:
            _put(lengths, ranges, row, col, height, width)
        if names is not None:
            _put_names(block, names[index], empty, face_index, row, col, height, width)


@inlined
def _put_pairs(block, values, empty, image, row, at, height, width):
    """Write a block's values and alpha where they belong, side by side; as `_put_names`."""
    if height == BLOCK_HEIGHT and width == BLOCK_WIDTH:
        for i in range(BLOCK_HEIGHT):
            for j in range(BLOCK_WIDTH):
                w = block[2 * _N + i * BLOCK_WIDTH + j]
                hit = (w > empty) & (w < np.float32(np.inf))
                image[np.uint64(row + i), np.uint64(at + 2 * j)] = values[i * BLOCK_WIDTH + j]
                image[np.uint64(row + i), np.uint64(at + 2 * j + 1)] = np.float32(1.0 if hit else 0.0)
    else:
        for i in range(height):
            for j in range(width):
                w = block[2 * _N + i * BLOCK_WIDTH + j]
                hit = (w > empty) & (w < np.float32(np.inf))
                image[row + i, at + 2 * j] = values[i * BLOCK_WIDTH + j]
                image[row + i, at + 2 * j + 1] = np.float32(1.0 if hit else 0.0)
