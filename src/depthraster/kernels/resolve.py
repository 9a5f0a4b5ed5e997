"""From a finished tile to the output images: 1/Z becomes depth or range, alpha and face indices.

``tiles.py`` leaves in each pixel the nearest 1/Z (0: no face; +inf: not imaged); here each output pixel is
written once. The commonest change is a new output that follows from 1/Z, the ray and the face index of one
pixel: give `resolve_tile` another array. What needs more than that belongs to ``layers.py``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH

__all__ = ["resolve_tile"]

_N = BLOCK_PIXELS


@njit(nogil=True, cache=True, error_model="numpy")
def resolve_tile(
    blocks, refs, names, f, row0, col0, n_rows, n_cols, background, as_range, image, ranges, face_index
):  # fmt: skip
    """Write the tile of n_rows x n_cols pixels at (row0, col0) into the images.

    ``image`` (H, W, 1 or 2) takes Z (or the Euclidean length of the ray, with ``as_range``) and, with two channels, alpha;
    ``ranges`` (H, W) takes the length and ``face_index`` (H, W) the index, -1 where no face is; either may have no
    elements and is then left alone. ``background`` stands where no face is.
    """
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    blocks_down = (n_rows + BLOCK_HEIGHT - 1) // BLOCK_HEIGHT
    with_alpha = image.shape[2] == 2
    with_range = ranges.size > 0
    one = np.float32(1.0)
    zero = np.float32(0.0)
    infinity = np.float32(np.inf)
    inverse_f2 = np.float32(1.0 / (f * f))
    for block_row in range(blocks_down):
        for block_col in range(blocks_across):
            index = block_row * blocks_across + block_col
            block = blocks[index]
            x0, y0 = np.float32(refs[index, 0]), np.float32(refs[index, 1])
            width = min(BLOCK_WIDTH, n_cols - block_col * BLOCK_WIDTH)
            height = min(BLOCK_HEIGHT, n_rows - block_row * BLOCK_HEIGHT)
            for i in range(height):
                row = row0 + block_row * BLOCK_HEIGHT + i
                col = col0 + block_col * BLOCK_WIDTH
                if with_alpha and not as_range:
                    for j in range(width):
                        w = block[2 * _N + i * BLOCK_WIDTH + j]
                        hit = (w > zero) & (w < infinity)
                        image[row, col + j, 0] = one / w if hit else background
                        image[row, col + j, 1] = one if hit else zero
                else:
                    for j in range(width):
                        w = block[2 * _N + i * BLOCK_WIDTH + j]
                        hit = (w > zero) & (w < infinity)
                        depth = one / w
                        if as_range:
                            x = x0 + block[i * BLOCK_WIDTH + j]
                            y = y0 + block[_N + i * BLOCK_WIDTH + j]
                            depth *= np.sqrt(one + (x * x + y * y) * inverse_f2)
                        image[row, col + j, 0] = depth if hit else background
                        if with_alpha:
                            image[row, col + j, 1] = one if hit else zero
                if with_range:
                    for j in range(width):
                        w = block[2 * _N + i * BLOCK_WIDTH + j]
                        hit = (w > zero) & (w < infinity)
                        x = x0 + block[i * BLOCK_WIDTH + j]
                        y = y0 + block[_N + i * BLOCK_WIDTH + j]
                        length = np.sqrt(one + (x * x + y * y) * inverse_f2) / w
                        ranges[row, col + j] = length if hit else background
                if names is not None:
                    for j in range(width):
                        w = block[2 * _N + i * BLOCK_WIDTH + j]
                        hit = (w > zero) & (w < infinity)
                        face_index[row, col + j] = names[index, i * BLOCK_WIDTH + j] if hit else -1
