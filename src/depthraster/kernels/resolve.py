"""From a finished tile to the output images: 1/Z becomes depth or range, alpha and face indices.

``tiles.py`` leaves in each pixel the nearest 1/Z (0: no face; +inf: not imaged); here each output pixel is
written once. The commonest change is a new output that follows from 1/Z, the ray and the face index of one
pixel: give `resolve_tile` another array. What needs more than that belongs to ``layers.py``.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH
from depthraster.kernels.jit import inlined, inner, lean_kernel

__all__ = ["resolve_tile"]

_N = BLOCK_PIXELS


@inlined
def _block_pairs(block, background, values):
    """Compute depth and alpha of a block's pixels, side by side."""
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[2 * i] = np.float32(1.0) / w if hit else background
        values[2 * i + 1] = np.float32(1.0) if hit else np.float32(0.0)


@inner
def _whole_pairs(blocks, background, image, first, values):
    """Write depth and alpha of a row of whole blocks into as many rows of ``image`` as a block has."""
    if first < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    for index in range(blocks.shape[0]):
        block = blocks[index]
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
    channels = 2 if with_alpha else 1
    # A block's values first, in loops that vectorize (over a number of pixels that the compiler does not know: it would
    # unroll 16 divisions instead); then row by row to where they belong.
    values, lengths = work[: 2 * _N], work[2 * _N :]
    n_whole = n_cols // BLOCK_WIDTH if with_alpha and not (as_range or with_range or names is not None) else 0
    if n_whole > 0:
        for block_row in range(n_rows // BLOCK_HEIGHT):
            first, row = block_row * blocks_across, row0 + block_row * BLOCK_HEIGHT
            _whole_pairs(
                blocks[first : first + n_whole], background, image[row : row + BLOCK_HEIGHT], 2 * col0, values
            )
    for index in range(blocks.shape[0]):
        block_row, block_col = index // blocks_across, index % blocks_across
        row, col = row0 + block_row * BLOCK_HEIGHT, col0 + block_col * BLOCK_WIDTH
        width = min(BLOCK_WIDTH, n_cols - block_col * BLOCK_WIDTH)
        height = min(BLOCK_HEIGHT, n_rows - block_row * BLOCK_HEIGHT)
        if height == BLOCK_HEIGHT and block_col < n_whole:
            continue
        block = blocks[index]
        if as_range or with_range:
            _block_ranges(block, refs[index, 0], refs[index, 1], 1.0 / (f * f), background, lengths)
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
        else:
            for i in range(height):
                for j in range(channels * width):
                    image[row + i, channels * col + j] = values[i * channels * BLOCK_WIDTH + j]
        if with_range:
            for i in range(height):
                for j in range(width):
                    ranges[row + i, col + j] = lengths[i * BLOCK_WIDTH + j]
        if names is not None:
            for i in range(height):
                for j in range(width):
                    w = block[2 * _N + i * BLOCK_WIDTH + j]
                    hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
                    face_index[row + i, col + j] = names[index, i * BLOCK_WIDTH + j] if hit else -1


@inner
def _block_depths(block, background, values):
    """Compute the depths of a block's pixels."""
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[i] = np.float32(1.0) / w if hit else background


@inner
def _block_ranges(block, x0, y0, inverse_f2, background, values):
    """Compute range[N] of a block : depth times the length of the ray whose Z is 1."""
    for i in range(block.shape[0] // 3):
        w = block[2 * _N + i]
        x, y = x0 + block[i], y0 + block[_N + i]
        length = np.float32(np.sqrt(1.0 + (x * x + y * y) * inverse_f2) / w)
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[i] = length if hit else background
