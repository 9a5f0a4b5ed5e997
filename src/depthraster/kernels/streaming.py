"""Lines of images that are too large for the caches, written past them.

To write to memory, a processor first reads it into a cache, since it does not know that the whole of it will be written
over. Images of which nothing is left in the caches by the time that anybody looks are better written without: that takes
half the traffic. Kernels make a line in an array of their own, `stream_line` moves it, `end_streams` comes last. How large
is too large is for ``pipeline.py`` to say. The commonest change is another type of pixel: of 4 bytes, nothing changes.
"""

from __future__ import annotations

from depthraster.kernels.access import before_line, fence, load16, stream
from depthraster.kernels.jit import inner

__all__ = ["end_streams", "stream_line"]


@inner
def stream_line(source, target):
    """Copy a line of numbers of 4 bytes to ``target``, which may begin anywhere, past the caches."""
    n = target.shape[0]
    if n < 1:
        return
    begin = min(before_line(target, 0) // 4, n)
    end = begin + (n - begin) // 16 * 16
    for i in range(begin):
        target[i] = source[i]
    for i in range(begin, end, 16):
        stream(target, i, load16(source, i))
    for i in range(end, n):
        target[i] = source[i]


@inner
def end_streams():
    """Have all lines be written before other threads are told so."""
    fence()
