"""Whether numba has to compile the kernels first: a guess, good enough to choose what is done meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

from depthraster.kernels.tiles import draw_clusters

__all__ = ["compile_cache_is_cold"]


def compile_cache_is_cold() -> bool:
    """Return True where numba's cache holds no drawing kernel, of this source or an earlier one."""
    if draw_clusters.signatures:
        return False  # compiled or loaded already
    function = draw_clusters.py_func
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    stem = Path(function.__code__.co_filename).stem
    index = f"{stem}.{function.__qualname__}-*.{python}.nbi"  # numba's own naming
    return not any(Path(draw_clusters.stats.cache_path).glob(index))
