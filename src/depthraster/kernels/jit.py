"""How kernels are compiled, and taken up from numba's cache, said once.

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
    from numba.core.caching import FunctionCache
    from numba.core.runtime.nrt import rtsys
finally:
    if _collects:
        gc.enable()

__all__ = ["inlined", "inner", "kernel", "lean_kernel"]

_njit: Callable[..., Any] = njit  # its type hints know only some of its options
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


class _Cache(FunctionCache):
    """numba's cache of a function, which does not load all that numba can compile to take up what is compiled.

    That takes longer than loading the kernels of an image, and some of it asks for scipy's linear algebra, which takes
    as long again. Whoever compiles has numba load it then (`numba.core.compiler.CompilerBase` does, first thing).
    """

    def load_overload(self, sig: object, target_context: Any) -> Any:
        """Load a compiled function, or return None where there is none."""
        rtsys.initialize(target_context)  # compiled functions link to it
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def _cached(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function and keeps it on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = _njit(**_OPTIONS, **options)(function)
        if hasattr(dispatcher, "_cache"):  # not where NUMBA_DISABLE_JIT leaves functions to Python
            dispatcher._cache = _Cache(function)
        return dispatcher

    return decorate


kernel = _cached()
# Without numba's reference counts, which would cost an atomic operation, or two, for every block of pixels
# looked at. It can't allocate: what it works in comes in.
lean_kernel = _cached(_nrt=False)
inner: Callable[..., Any] = _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False, **_OPTIONS)
inlined: Callable[..., Any] = _njit(inline="always", **_OPTIONS)
