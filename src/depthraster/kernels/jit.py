"""How kernels are compiled, said once.

`kernel` is for functions that Python calls: without the GIL, so that a thread pool runs them side by side; cached on
disk; with numpy's division (no exception, and no branch, for zero). `inner` is for functions that only kernels call:
without the wrappers and the cache entry of their own that would take half the time of compiling them. Neither allows
"fast" mathematics: where a pixel lies must not depend on what the compiler likes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

__all__ = ["inlined", "inner", "kernel"]

kernel: Callable[..., Any] = njit(nogil=True, cache=True, error_model="numpy")
# The two options are numba's own but missing from its type hints.
inner: Callable[..., Any] = njit(  # type: ignore[call-overload]
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)
inlined: Callable[..., Any] = njit(nogil=True, error_model="numpy", inline="always")
