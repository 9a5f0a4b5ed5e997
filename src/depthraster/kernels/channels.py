"""A run of a row's pixels into an image, as a vector or three: one number for each, or three channels side by side.

Where images are streamed (``streaming.py``), a run that begins at a cache line goes past the caches at once. That is any in
an image whose memory begins there, and whose width is a multiple of `RUN`; others are written as ever. The commonest change
is another number of channels, which takes its own way to interleave them.
"""

from __future__ import annotations

from depthraster.kernels.access import before_line, store, stream
from depthraster.kernels.jit import inner
from depthraster.kernels.shuffles import interleaved

__all__ = ["RUN", "write_half", "write_one", "write_three"]

RUN = 16  # pixels: of a number of 4 bytes each, a cache line


@inner
def write_one(line, value, spare, at, streamed):
    """Write a vector of float32 to a line of up to as many pixels; ``spare`` has room for it at ``at``."""
    if line.shape[0] != RUN:
        store(spare, at, value)
        for j in range(line.shape[0]):
            line[j] = spare[at + j]
    elif streamed and before_line(line, 0) == 0:
        stream(line, 0, value)
    else:
        store(line, 0, value)


@inner
def write_three(line, a, b, c, spare, at, streamed):
    """Write three vectors of float32 as channels of a line of up to as many pixels, as `write_one` does."""
    if line.shape[0] != 3 * RUN:
        store(spare, at, interleaved(a, b, c, 0))
        store(spare, at + RUN, interleaved(a, b, c, 1))
        store(spare, at + 2 * RUN, interleaved(a, b, c, 2))
        for j in range(line.shape[0]):
            line[j] = spare[at + j]
    elif streamed and before_line(line, 0) == 0:
        stream(line, 0, interleaved(a, b, c, 0))
        stream(line, RUN, interleaved(a, b, c, 1))
        stream(line, 2 * RUN, interleaved(a, b, c, 2))
    else:
        store(line, 0, interleaved(a, b, c, 0))
        store(line, RUN, interleaved(a, b, c, 1))
        store(line, 2 * RUN, interleaved(a, b, c, 2))


@inner
def write_half(line, half, a, b, c, spare, at, streamed):
    """Write three vectors of eight float64 as channels of the first or second ``half``, 0 or 1, of what is such a line."""
    first = 24 * half
    if line.shape[0] != 3 * RUN:
        store(spare, at, interleaved(a, b, c, 0))
        store(spare, at + 8, interleaved(a, b, c, 1))
        store(spare, at + 16, interleaved(a, b, c, 2))
        for j in range(first, min(line.shape[0], first + 24)):
            line[j] = spare[at + j - first]
    elif streamed and before_line(line, 0) == 0:
        stream(line, first, interleaved(a, b, c, 0))
        stream(line, first + 8, interleaved(a, b, c, 1))
        stream(line, first + 16, interleaved(a, b, c, 2))
    else:
        store(line, first, interleaved(a, b, c, 0))
        store(line, first + 8, interleaved(a, b, c, 1))
        store(line, first + 16, interleaved(a, b, c, 2))
