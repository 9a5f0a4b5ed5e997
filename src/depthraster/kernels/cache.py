"""Whether numba has to compile the kernels first: a guess, good enough for a word to people."""

from __future__ import annotations

import sys
from pathlib import Path

from depthraster.kernels.tiles import draw_clusters

__all__ = ["compile_cache_is_cold"]


def compile_cache_is_cold() -> bool:
    """Return True where numba's cache holds no drawing kernel that is newer than its source."""
    if draw_clusters.signatures:
        return False  # compiled or loaded already
    source = Path(draw_clusters.py_func.__code__.co_filename)
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    index = f"{source.stem}.{draw_clusters.py_func.__qualname__}-*.{python}.nbi"  # numba's own naming
    try:
        changed = source.stat().st_mtime
        return not any(
            path.stat().st_mtime >= changed for path in Path(draw_clusters.stats.cache_path).glob(index)
        )
    except OSError:
        return True
