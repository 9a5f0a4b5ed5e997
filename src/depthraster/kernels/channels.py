"""A run of a row's pixels into an image, as a vector or three: one number for each, or three channels side by side.

Where images are streamed (``streaming.py``), a run that begins at a cache line goes past the caches at once. That is any in
an image whose memory begins there, and whose width is a multiple of `RUN`; others are written as ever. The commonest change
is another number of channels, which takes its own way to interleave them.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.access import before_line, store, stream
from depthraster.kernels.jit import inner
from depthraster.kernels.shuffles import interleaved

__all__ = ["RUN", "write_half", "write_one", "write_three"]

RUN = 16  # pixels: of a number of 4 bytes each, a cache line


@inner
def write_one(image, row, col, width, value, spare, at, streamed):
    """Write a vector of float32 to ``width`` pixels of a row, up to as many; ``spare`` has room for it at ``at``.

    Image and ``spare`` are contiguous, and places are not checked.
    """
    first = row * image.shape[1] + col
    if width != RUN:
        store(spare, at, value)
        for j in range(np.uint64(width)):
            image[np.uint64(row), np.uint64(col + j)] = spare[np.uint64(at + j)]
    elif streamed and before_line(image, first) == 0:
        stream(image, first, value)
    else:
        store(image, first, value)


@inner
def write_three(image, row, col, width, a, b, c, spare, at, streamed):
    """Write three vectors of float32 as channels of ``width`` pixels of a row, as `write_one` does."""
    first = row * image.shape[1] + 3 * col
    if width != RUN:
        store(spare, at, interleaved(a, b, c, 0))
        store(spare, at + RUN, interleaved(a, b, c, 1))
        store(spare, at + 2 * RUN, interleaved(a, b, c, 2))
        for j in range(np.uint64(3 * width)):
            image[np.uint64(row), np.uint64(3 * col + j)] = spare[np.uint64(at + j)]
    elif streamed and before_line(image, first) == 0:
        stream(image, first, interleaved(a, b, c, 0))
        stream(image, first + RUN, interleaved(a, b, c, 1))
        stream(image, first + 2 * RUN, interleaved(a, b, c, 2))
    else:
        store(image, first, interleaved(a, b, c, 0))
        store(image, first + RUN, interleaved(a, b, c, 1))
        store(image, first + 2 * RUN, interleaved(a, b, c, 2))


@inner
def write_half(image, row, col, width, half, a, b, c, spare, at, streamed):
    """Write three vectors of eight float64 as channels of the first or second ``half``, 0 or 1, of such pixels."""
    first = row * image.shape[1] + 3 * col + 24 * half
    if width != RUN:
        store(spare, at, interleaved(a, b, c, 0))
        store(spare, at + 8, interleaved(a, b, c, 1))
        store(spare, at + 16, interleaved(a, b, c, 2))
        for j in range(np.uint64(24 * half), np.uint64(min(3 * width, 24 * half + 24))):
            image[np.uint64(row), np.uint64(3 * col + j)] = spare[np.uint64(at + j - 24 * half)]
    elif streamed and before_line(image, first) == 0:
        stream(image, first, interleaved(a, b, c, 0))
        stream(image, first + 8, interleaved(a, b, c, 1))
        stream(image, first + 16, interleaved(a, b, c, 2))
    else:
        store(image, first, interleaved(a, b, c, 0))
        store(image, first + 8, interleaved(a, b, c, 1))
        store(image, first + 16, interleaved(a, b, c, 2))
