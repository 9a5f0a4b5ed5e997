"""From a finished tile to the output images: 1/Z becomes depth or range, alpha and face indices.

``tiles.py`` leaves in each pixel the nearest 1/Z (0: no face; +inf: not imaged); here each output pixel is
written once. The commonest change is a new output that follows from 1/Z, the ray and the face index of one
pixel: give `resolve_tile` another array. What needs more than that belongs to ``layers.py``.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH
from depthraster.kernels.jit import inner, kernel

__all__ = ["resolve_tile"]

_N = BLOCK_PIXELS


@kernel
def resolve_tile(
    blocks, refs, names, f, row0, col0, n_rows, n_cols, background, as_range, image, ranges, face_index
):  # fmt: skip
    """Write the tile of n_rows x n_cols pixels at (row0, col0) into the images.

    ``image`` (H, W, 1 or 2) takes Z (or the Euclidean length of the ray, with ``as_range``) and, with two
    channels, alpha; ``ranges`` (H, W) takes the length and ``face_index`` (H, W) the index, -1 where no face
    is; either may have no elements and is then left alone. ``background`` stands where no face is.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    with_alpha = image.shape[2] == 2
    with_range = ranges.size > 0
    # A block's values first, in loops of N pixels that vectorize; then row by row to where they belong.
    values = np.empty(3 * _N, np.float32)
    for index in range(blocks.shape[0]):
        block_row, block_col = index // blocks_across, index % blocks_across
        row, col = row0 + block_row * BLOCK_HEIGHT, col0 + block_col * BLOCK_WIDTH
        width = min(BLOCK_WIDTH, n_cols - block_col * BLOCK_WIDTH)
        height = min(BLOCK_HEIGHT, n_rows - block_row * BLOCK_HEIGHT)
        _block_values(blocks[index], background, values)
        if as_range or with_range:
            _block_ranges(blocks[index], refs[index, 0], refs[index, 1], 1.0 / (f * f), background, values)
        first = 2 * _N if as_range else 0
        if with_alpha and width == BLOCK_WIDTH and height == BLOCK_HEIGHT:
            for i in range(BLOCK_HEIGHT):
                for j in range(BLOCK_WIDTH):
                    image[row + i, col + j, 0] = values[first + i * BLOCK_WIDTH + j]
                    image[row + i, col + j, 1] = values[_N + i * BLOCK_WIDTH + j]
        else:
            for i in range(height):
                for j in range(width):
                    image[row + i, col + j, 0] = values[first + i * BLOCK_WIDTH + j]
                    if with_alpha:
                        image[row + i, col + j, 1] = values[_N + i * BLOCK_WIDTH + j]
        if with_range:
            for i in range(height):
                for j in range(width):
                    ranges[row + i, col + j] = values[2 * _N + i * BLOCK_WIDTH + j]
        if names is not None:
            for i in range(height):
                for j in range(width):
                    hit = values[_N + i * BLOCK_WIDTH + j] > 0.0
                    face_index[row + i, col + j] = names[index, i * BLOCK_WIDTH + j] if hit else -1


@inner
def _block_values(block, background, values):
    """Compute depth[N] and alpha[N] of a block."""
    for i in range(_N):
        w = block[2 * _N + i]
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[i] = np.float32(1.0) / w if hit else background
        values[_N + i] = np.float32(1.0) if hit else np.float32(0.0)


@inner
def _block_ranges(block, x0, y0, inverse_f2, background, values):
    """Compute range[N] of a block into ``values[2 N:]``: depth times the length of the ray whose Z is 1."""
    for i in range(_N):
        w = block[2 * _N + i]
        x, y = x0 + block[i], y0 + block[_N + i]
        length = np.float32(np.sqrt(1.0 + (x * x + y * y) * inverse_f2) / w)
        hit = (w > np.float32(0.0)) & (w < np.float32(np.inf))
        values[2 * _N + i] = length if hit else background
