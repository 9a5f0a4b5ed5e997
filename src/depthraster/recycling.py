"""Memory of images that nobody has any more, for the next ones: the system takes its time to hand out fresh memory.

An image made here is an ordinary array, whose memory is written over only when neither it nor any view of it is left.
Python's own reference counts say so; where those say nothing (a build without the interpreter's lock), all memory is fresh.
The commonest change is how much memory is kept, in `Recycler`.
"""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.kernels.memory import LINE, aligned_empty, aligned_part

__all__ = ["Recycler"]

_LEAST = 1 << 20  # bytes; the allocator keeps less than that by itself
_COUNTED = bool(getattr(sys, "_is_gil_enabled", lambda: True)())
_PROBE = [np.empty(0, np.uint8)]
_ALONE = sys.getrefcount(_PROBE[0])  # what is counted of an array that only a list has


class Recycler:
    """Hands out arrays, in the memory of earlier ones that are gone where one of the same size is. For several threads."""

    def __init__(self) -> None:
        self._memory: list[npt.NDArray[np.uint8]] = []
        self._lock = threading.Lock()

    def empty(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array with anything in it, C-contiguous; ``name`` is what it is for, and of no consequence."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        if n_bytes < _LEAST or not _COUNTED:
            return aligned_empty(shape, dtype)
        with self._lock:
            idle = [i for i in range(len(self._memory)) if sys.getrefcount(self._memory[i]) == _ALONE]
            fitting = next((i for i in idle if self._memory[i].nbytes == n_bytes + LINE), None)
            if fitting is None:
                # Images of another size are asked for: what is idle would stay so.
                for i in reversed(idle):
                    del self._memory[i]
                self._memory.append(np.empty(n_bytes + LINE, np.uint8))
                fitting = -1
            return aligned_part(self._memory[fitting], n_bytes).view(dtype).reshape(shape)
