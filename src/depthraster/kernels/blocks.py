"""How the pixels of a tile lie in memory, and the blocks that they are looked at in.

A tile's pixels lie row by row, `STRIDE` numbers from row to row: the ray of each pixel as x and y, int32 steps of the tile's
lattice, and w, the nearest 1/Z so far, float32 (+inf where the lens images nothing: no face is nearer than that), and,
where it is asked for, the index of the face. ``lattice`` (3) float64 says where: plane pixels are ``lattice[0] + x
lattice[2]`` and ``lattice[1] + y lattice[2]``. A step is a power of two, some 2e-7, so that differences are exact and a
vector of pixels may begin at any of them. `tile_pixels` makes the arrays, longer by what
vectors reach beyond the last pixel.

A block is a square of ``BLOCK_WIDTH`` x ``BLOCK_HEIGHT`` pixels. Of each, ``refs`` (blocks, 4) float64 has a reference
ray, plane pixels on the lattice, and bounds of how far its pixels' rays lie from that in x and y, -1 where it has none.
``rays.py`` fills these arrays, ``cover.py`` draws into them, ``resolve.py`` reads them. The constants are those of compiled
loops; changing one means clearing numba's cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.memory import aligned

__all__ = [
    "BLOCK_HEIGHT",
    "BLOCK_PIXELS",
    "BLOCK_WIDTH",
    "MAX_TILE",
    "STRIDE",
    "Pixels",
    "tile_pixels",
]

BLOCK_WIDTH = 8
BLOCK_HEIGHT = 8
BLOCK_PIXELS = BLOCK_WIDTH * BLOCK_HEIGHT

MAX_TILE = 384  # pixels, the longest side of a tile
STRIDE = MAX_TILE


class Pixels(NamedTuple):
    """The pixels of a tile."""

    x: npt.NDArray[np.int32]  # (rows STRIDE,) and some more, as the others
    y: npt.NDArray[np.int32]
    w: npt.NDArray[np.float32]


def tile_pixels(n_rows: int) -> Pixels:
    """Return what holds a tile of up to n_rows rows."""
    n = (-(-n_rows // BLOCK_HEIGHT) * BLOCK_HEIGHT + 4) * STRIDE
    return Pixels(aligned(n, np.int32), aligned(n, np.int32), aligned(n, np.float32))
