"""What is taken for a view wherever there may be many: a camera, or a transform and a calibration.

Checking the two is the renderer's. The commonest change is another kind of object that is a view: in `place_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy.typing as npt

from depthraster.calibration import Calibration

__all__ = ["label_of", "many_views", "place_of"]


def many_views(views: Any) -> Iterable[Any]:
    """Return what was given as many views; TypeError where it is one view, a chunk, or nothing that has views in it."""
    if isinstance(views, (tuple, list)):
        one = len(views) in (2, 3) and isinstance(views[-1], Calibration)
    else:
        one = hasattr(views, "transform") and hasattr(views, "calibration")
    if one:
        raise TypeError(
            f"the views are a {type(views).__name__} that is one view; a list of views is needed: pass [view]"
        )
    if not isinstance(views, Iterable):
        instead = "chunk.cameras" if hasattr(views, "cameras") else "a list of them, such as chunk.cameras"
        raise TypeError(
            f"the views are a {type(views).__name__}; several cameras, or (transform, calibration) pairs, are needed: pass "
            f"{instead}"
        )
    return views


def label_of(view: Any, index: int) -> str:
    """Return a view's label, or its number where it has none."""
    if isinstance(view, (tuple, list)):
        return str(view[0]) if len(view) == 3 else str(index)
    label = getattr(view, "label", None)
    return str(index) if label is None else str(label)


def place_of(view: Any) -> tuple[npt.ArrayLike, Calibration]:
    """Return a view's transform and calibration; ValueError or TypeError where there are none."""
    if isinstance(view, (tuple, list)):
        if len(view) not in (2, 3):
            raise TypeError(
                f"the view is a {type(view).__name__} of {len(view)}; (transform, calibration) or (label, transform, "
                "calibration) is needed: pass one of them, or a Camera"
            )
        transform, calibration = view[-2:]
    elif hasattr(view, "transform") and hasattr(view, "calibration"):
        transform, calibration = view.transform, view.calibration
    else:
        raise TypeError(
            f"the view is a {type(view).__name__}; a Camera, a (transform, calibration) pair or a (label, transform, "
            "calibration) triple is needed: pass one of them"
        )
    if transform is None:
        raise ValueError("the camera has no transform; an aligned one is needed: leave it out")
    if calibration is None:
        raise ValueError("the camera has no calibration; one is needed: give it one, or leave it out")
    return transform, calibration
