"""Sparse tables with a column of ascending views, and as scipy has them; scipy is imported when one is asked for.

The commonest change is another kind of scipy's arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import coo_array

__all__ = ["as_scipy", "entries_of"]


def as_scipy(
    values: npt.NDArray[Any], rows: npt.NDArray[Any], columns: npt.NDArray[Any], shape: tuple[int, int]
) -> coo_array:
    """Return a table of ``values`` (n,) at ``rows`` and ``columns`` (n,) as a ``scipy.sparse.coo_array``.

    Raises
    ------
    ImportError
        scipy is not installed.
    """
    try:
        from scipy.sparse import coo_array
    except ImportError:
        raise ImportError(
            "the table is asked for as scipy's, and scipy is not installed; it is needed for that: pip install scipy, or "
            "use the table's own arrays"
        ) from None
    return coo_array((values, (rows, columns)), shape=shape)


def entries_of(views: npt.NDArray[np.int32], view: int, n_views: int) -> slice:
    """Return which entries are a view's; ``views`` (n,) are those of all entries, ascending.

    Raises
    ------
    TypeError, IndexError
        There is no such view.
    """
    if isinstance(view, bool) or not isinstance(view, (int, np.integer)):
        raise TypeError(
            f"the view is {view!r}; its number, from 0, is needed: find it with labels.index(label)"
        )
    if not 0 <= view < n_views:
        raise IndexError(f"the view is {view}; there are {n_views}, numbered from 0: choose one of them")
    first, last = np.searchsorted(views, [view, view + 1])
    return slice(int(first), int(last))
