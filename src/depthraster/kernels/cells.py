"""Which of a tile's blocks have rays near a point of its plane, whatever the lens: a table over the plane.

Where no polynomial says where a point lies in the image (``inverse.py``), the tile's rays do, which are laid out
already: each cell of the table holds the rectangle of the blocks that have rays in it. Coarse and conservative.

The commonest change is the size of the cells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depthraster.kernels.jit import inner, lean_kernel
from depthraster.kernels.memory import aligned

__all__ = ["blocks_near", "empty_cells", "fill_cells"]

_SIDE = 32  # cells


def empty_cells() -> npt.NDArray[np.int16]:
    """Return a table for `fill_cells`: (cells, 4) first and last row and column of blocks, first > last for none."""
    return aligned((_SIDE * _SIDE, 4), np.int16)


@lean_kernel
def fill_cells(refs, blocks_across, bounds, cells):
    """Make the table of a tile whose rays are laid out: ``bounds`` are its rays', as `select.bound_rays` gives them."""
    for i in range(_SIDE * _SIDE):
        cells[i, 0], cells[i, 1], cells[i, 2], cells[i, 3] = 32767, -1, 32767, -1
    for index in range(refs.shape[0]):
        x, y, rx, ry = refs[index, 0], refs[index, 1], refs[index, 2], refs[index, 3]
        if rx < 0.0:
            continue
        block_row, block_col = index // blocks_across, index % blocks_across
        for row in range(_cell(y - ry, bounds[2], bounds[3]), _cell(y + ry, bounds[2], bounds[3]) + 1):
            for col in range(_cell(x - rx, bounds[0], bounds[1]), _cell(x + rx, bounds[0], bounds[1]) + 1):
                entry = cells[row * _SIDE + col]
                entry[0], entry[1] = min(entry[0], block_row), max(entry[1], block_row)
                entry[2], entry[3] = min(entry[2], block_col), max(entry[3], block_col)


@inner
def _cell(value, low, high):
    """Return the cell, along one axis from ``low`` to ``high``, that a plane coordinate lies in, or the nearest."""
    return np.int64(min(max((value - low) * (_SIDE / (high - low)), 0.0), _SIDE - 1.0))


@inner
def blocks_near(cells, bounds, x_lo, x_hi, y_lo, y_hi):
    """Return first and last row and column of the blocks that may have rays in a rectangle of the tile's plane.

    A ray of a block lies in a cell that the block is entered in; what is taken is the rectangle of blocks around those
    of all cells that the rectangle touches.
    """
    row0, row1, col0, col1 = np.int64(32767), np.int64(-1), np.int64(32767), np.int64(-1)
    if x_hi >= bounds[0] and x_lo <= bounds[1] and y_hi >= bounds[2] and y_lo <= bounds[3]:
        first, last = _cell(x_lo, bounds[0], bounds[1]), _cell(x_hi, bounds[0], bounds[1])
        for row in range(_cell(y_lo, bounds[2], bounds[3]), _cell(y_hi, bounds[2], bounds[3]) + 1):
            for col in range(first, last + 1):
                entry = cells[row * _SIDE + col]
                row0, row1 = min(row0, np.int64(entry[0])), max(row1, np.int64(entry[1]))
                col0, col1 = min(col0, np.int64(entry[2])), max(col1, np.int64(entry[3]))
    return row0, row1, col0, col1
