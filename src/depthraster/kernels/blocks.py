"""The size of a block: the square of pixels that a kernel works on at once.

A block of N pixels is one row of 3 N float32: ``dx[N] dy[N] w[N]``, pixels row by row. ``rays.py`` fills it,
``tiles.py`` draws into it, ``resolve.py`` reads it. N is a constant of the compiled loops, which vectorize
only so; changing it means clearing numba's cache.
"""

__all__ = ["BLOCK_HEIGHT", "BLOCK_PIXELS", "BLOCK_WIDTH"]

BLOCK_WIDTH = 4
BLOCK_HEIGHT = 4
BLOCK_PIXELS = BLOCK_WIDTH * BLOCK_HEIGHT
