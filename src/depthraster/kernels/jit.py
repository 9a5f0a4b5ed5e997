"""How kernels are compiled, said once.

`kernel` is for functions that Python calls, `lean_kernel` for those that it calls for every tile: without the GIL, so
that a thread pool runs them side by side; cached on disk; with numpy's division (no exception, and no branch, for
zero). `inner` is for functions that only kernels call: without the wrappers and the cache entry of their own that
would take half the time of compiling them. None allows "fast" mathematics: where a pixel lies must not depend on what
the compiler likes. To change an option everywhere, change it here, and measure.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

_collects = gc.isenabled()
gc.disable()  # numba makes many objects that stay: looking through them meanwhile takes a tenth of the time to import it
try:
    from numba import njit
finally:
    if _collects:
        gc.enable()

__all__ = ["inlined", "inner", "kernel", "lean_kernel"]

_njit: Callable[..., Any] = njit  # its type hints know only some of its options
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

kernel: Callable[..., Any] = _njit(cache=True, **_OPTIONS)
# Without numba's reference counts, which would cost an atomic operation, or two, for every block of pixels
# looked at. It can't allocate: what it works in comes in.
lean_kernel: Callable[..., Any] = _njit(cache=True, _nrt=False, **_OPTIONS)
inner: Callable[..., Any] = _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False, **_OPTIONS)
inlined: Callable[..., Any] = _njit(inline="always", **_OPTIONS)
