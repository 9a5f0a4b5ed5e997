"""Images as they come, to planes that can be compared: (H, W, C) float32, channel 0 the depth, NaN where nothing is seen.

What was read here is changed in place: fresh memory would take longer than all else that is done to it. Files are read by
``io/images.py``. The commonest change is another way of marking what is not seen: in `_fill`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Plane", "Read", "depth_plane", "in_threads", "read"]

_ROWS = 64  # rows looked at together, so that they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Plane:
    """A depth image, ready to be compared.

    Attributes
    ----------
    pixels : (H, W, C) float32 array, C-contiguous
        Channel 0 is the depth, NaN where nothing is seen; another has no meaning any more.
    steps : float
        What the numbers that can be stored differ by: 1 for whole numbers, 0 for floating point.
    is_half : bool
        Whether every depth is one that half precision can hold, in steps of up to 2**-11 of it.
    background : str
        What marks the pixels where nothing is seen, for people: ``nothing`` where there are none, ``alpha``, depths.
    """

    pixels: npt.NDArray[np.float32]
    steps: float
    is_half: bool
    background: str


class Read(NamedTuple):
    """An image that was read from a file for this, and that nobody else has."""

    array: npt.NDArray[Any]


def read(image: Any) -> Any:
    """Return the image in a file; what is no path, as it is."""
    if not isinstance(image, (str, os.PathLike)):
        return image
    from depthraster.io.images import load_image

    return Read(load_image(image))


def depth_plane(
    image: Any, name: str, background: float | Sequence[float] | None, pool: ThreadPoolExecutor
) -> Plane:
    """Make a plane of an image.

    Parameters
    ----------
    image : (H, W), (H, W, 1) or (H, W, 2) array, or `Read`
        Depth, and alpha where there is a second channel.
    name : str
        What the image is called in messages.
    background : float, sequence of float or None
        Depths that mean that nothing is seen; None: 0 where there is no alpha. NaN and infinity always mean it.
    pool : ThreadPoolExecutor
        Who does the work.

    Raises
    ------
    TypeError, ValueError
        No such array.
    """
    is_ours = isinstance(image, Read)
    image = image.array if isinstance(image, Read) else image
    try:
        array = np.asarray(image)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} makes no array ({error}); a depth image is needed: pass an array") from None
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"{name} is of type {array.dtype}; depths are needed, floating point or whole numbers: pass such an array"
        )
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or array.size == 0 or channels > 2:
        raise ValueError(
            f"{name} has the shape {array.shape}; (H, W) or (H, W, 2), depth and alpha, is needed: take the channel with "
            "the depth, image[..., 0]"
        )
    values = _marks(background, channels == 2)
    first = array if array.ndim == 2 else array[..., 0]
    alpha = array[..., 1] if channels == 2 else None
    if is_ours and array.dtype == np.float32 and array.flags.c_contiguous and array.flags.writeable:
        pixels = array.reshape(*first.shape, channels)
    else:
        pixels = np.empty((*first.shape, 1), np.float32)
    depth = pixels[..., 0]
    marks: set[str] = set()
    halves: list[bool] = []

    def fill(start: int) -> None:
        rows = slice(start, start + _ROWS)
        marks.update(_fill(first[rows], None if alpha is None else alpha[rows], values, depth[rows]))
        halves.append(_is_half(depth[rows]))

    in_threads(fill, range(0, len(depth), _ROWS), pool)
    return Plane(
        pixels,
        steps=1.0 if array.dtype.kind in "iu" else 0.0,
        is_half=array.dtype.kind == "f" and all(halves),
        background="alpha" if "alpha" in marks else " and ".join(sorted(marks)) or "nothing",
    )


def _marks(background: float | Sequence[float] | None, has_alpha: bool) -> tuple[float, ...]:
    """Return the depths that mean that nothing is seen."""
    if background is None:
        return () if has_alpha else (0.0,)
    try:
        return tuple(float(value) for value in np.atleast_1d(np.asarray(background, np.float64)))
    except (TypeError, ValueError):
        raise TypeError(
            f"the background is {background!r}; a number, or several in a row, is needed: pass e.g. (0, -9999)"
        ) from None


def _fill(
    values: npt.NDArray[Any],
    alpha: npt.NDArray[Any] | None,
    background: tuple[float, ...],
    out: npt.NDArray[np.float32],
) -> set[str]:
    """Fill some rows of a plane; return what marks the pixels of them where nothing is seen."""
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is not seen
        out[:] = values
    unseen = ~np.isfinite(out)
    marks = set()
    if unseen.any():
        marks.add("NaN" if np.isnan(out[unseen]).any() else "infinity")
    for value in background:
        at_value = out == np.float32(value)
        if at_value.any():
            marks.add(f"{value:g}")
            unseen |= at_value
    if alpha is not None:
        transparent = ~(alpha > 0)
        if transparent.any():
            marks.add("alpha")
            unseen |= transparent
    out[unseen] = np.nan
    return marks


def _is_half(depth: npt.NDArray[np.float32]) -> bool:
    """Return whether half precision holds every depth of some rows."""
    with np.errstate(over="ignore"):
        some = depth[:, ::61]  # a few tell: one of 8192 float32 numbers is a half precision one
        return bool(((some == some.astype(np.float16)) | np.isnan(some)).all())


def in_threads(work: Callable[[int], None], items: Iterable[int], pool: ThreadPoolExecutor) -> None:
    """Do some work for each item, as the pool has threads; raise what it raises."""
    for _ in pool.map(work, items):
        pass
