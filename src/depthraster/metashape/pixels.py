"""What becomes of pixels: other types and channels, sums and products, other sizes; arrays (H, W, C) in and out.

Where the reference manual is silent it is decided here, as Agisoft's own scripts need it: they scale depth to 0 ... 1 and
convert it to U8 for a picture of 256 greys, and count on whole numbers being cut, not rounded, by arithmetic. numpy, Pillow
and scipy do the work. The commonest change is another letter for a channel: `_sources`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration

__all__ = [
    "DTYPES",
    "checked_channels",
    "checked_type",
    "computed",
    "converted",
    "resized",
    "type_name",
    "undistorted",
]

Pixels = npt.NDArray[Any]

DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype(np.uint8),
    "U16": np.dtype(np.uint16),
    "U32": np.dtype(np.uint32),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_BAND = 1 << 20  # numbers that are worked on at a time, in double precision


def type_name(dtype: np.dtype[Any]) -> str:
    """Return Metashape's name of a pixel type; KeyError where it has none."""
    return next(name for name, known in DTYPES.items() if known == dtype)


def checked_type(name: Any) -> str:
    """Return the name of a pixel type, or raise ValueError."""
    if name not in DTYPES:
        raise ValueError(f"the datatype is {name!r}; one of {', '.join(DTYPES)} is needed: pass one of them")
    return str(name)


def checked_channels(channels: Any) -> str:
    """Return the letters of channels, or raise TypeError or ValueError."""
    if not isinstance(channels, str):
        raise TypeError(
            f"channels are {channels!r}; a letter for each is needed: pass e.g. ' ', 'RGB' or 'RGBA'"
        )
    if not channels or channels.count("A") > 1 or channels == "A":
        raise ValueError(
            f"channels are {channels!r}; a letter for each, at most one of them A, is needed: pass e.g. ' ', 'RGB' or 'RGBA'"
        )
    return channels


def converted(pixels: Pixels, old: str, new: str, dtype: np.dtype[Any]) -> tuple[Pixels, str]:
    """Return a copy of pixels in other channels and another type, and the letters of its channels."""
    made = np.empty((*pixels.shape[:2], len(new)), dtype)
    for place, source in enumerate(_sources(old, new)):
        made[..., place] = (
            _greatest(dtype) if source is None else _in_type(pixels[..., source], dtype)  # None: opaque
        )
    return made, new


def _sources(old: str, new: str) -> list[int | None]:
    """Return for each channel wanted which one it is made of; None for alpha that is not there."""
    colours = [place for place, letter in enumerate(old) if letter != "A"]
    wanted = [letter for letter in new if letter != "A"]
    if len(colours) == 1:
        of = dict.fromkeys(range(len(wanted)), colours[0])
    elif set(wanted) <= set(old):
        of = {k: old.index(letter) for k, letter in enumerate(wanted)}
    elif len(wanted) == len(colours):
        of = dict(enumerate(colours))
    else:
        raise ValueError(
            f"channels {old!r} were converted to {new!r}; the same number, or letters that are there, are needed: how "
            "Metashape mixes colours is not known, take one, e.g. 'G', or mix them with numpy"
        )
    sources: list[int | None] = []
    colour = 0
    for letter in new:
        if letter == "A":
            sources.append(old.index("A") if "A" in old else None)
        else:
            sources.append(of[colour])
            colour += 1
    return sources


def _greatest(dtype: np.dtype[Any]) -> float:
    """Return what stands for 1.0."""
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def _in_type(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    if pixels.dtype == dtype or (pixels.dtype.kind == "f" and dtype.kind == "f"):
        return np.asarray(pixels.astype(dtype))
    factor = _greatest(dtype) / _greatest(pixels.dtype)
    if dtype.kind == "f":
        return np.asarray((pixels * factor).astype(dtype))
    made = np.empty(pixels.shape, dtype)
    for rows in _bands(pixels):
        values = np.rint(
            np.nan_to_num(pixels[rows].astype(np.float64), posinf=np.inf, neginf=-np.inf) * factor
        )
        made[rows] = np.clip(values, 0.0, _greatest(dtype))
    return made


def _bands(pixels: Pixels) -> list[slice]:
    """Return slices of rows, of `_BAND` numbers or a row each."""
    step = max(1, _BAND // max(1, pixels[:1].size))
    return [slice(start, start + step) for start in range(0, len(pixels), step)]


def computed(function: Callable[[Any, Any], Any], pixels: Pixels, operand: Any, turned: bool) -> Pixels:
    """Return numpy's function of pixels and an operand, in the pixels' own type.

    Parameters
    ----------
    function : numpy.ufunc
        Of two arguments.
    pixels : (H, W, C) array
        The first of them, or the second if ``turned``.
    operand : (H, W, C) array of the same type, or number
        The other one.
    """

    def work(a: Any, b: Any) -> Any:
        return function(b, a) if turned else function(a, b)

    with np.errstate(all="ignore"):  # floating point has its infinities and NaN for that
        if pixels.dtype.kind == "f":
            same = operand if isinstance(operand, np.ndarray) else pixels.dtype.type(operand)
            return np.asarray(work(pixels, same))
        if not isinstance(operand, np.ndarray) and pixels.dtype.itemsize <= 2:
            table = _cut(work(np.arange(_greatest(pixels.dtype) + 1.0), float(operand)), pixels.dtype)
            return np.asarray(table[pixels])
        made = np.empty_like(pixels)
        for rows in _bands(pixels):
            other = operand[rows].astype(np.float64) if isinstance(operand, np.ndarray) else float(operand)
            made[rows] = _cut(work(pixels[rows].astype(np.float64), other), pixels.dtype)
        return made


def _cut(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> Pixels:
    """Return whole numbers in the range of a type, without what is behind the point; NaN becomes 0."""
    cut = np.clip(np.nan_to_num(np.trunc(values), posinf=np.inf), 0.0, _greatest(dtype))
    return np.asarray(cut.astype(dtype))


def _is_for_the_eye(pixels: Pixels) -> bool:
    """Return whether pixels are colours, which may be mixed, and not measurements or labels."""
    return pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return pixels in another size: colours interpolated by Pillow, others by the pixel that a centre is in."""
    if min(width, height) < 1 or not pixels.size:
        raise ValueError(
            f"{pixels.shape[1]} x {pixels.shape[0]} pixels were resized to {width} x {height}; at least 1 x 1 is needed: "
            "check the size"
        )
    if not _is_for_the_eye(pixels):
        rows = ((np.arange(height) + 0.5) * (pixels.shape[0] / height)).astype(np.intp)
        cols = ((np.arange(width) + 0.5) * (pixels.shape[1] / width)).astype(np.intp)
        return np.asarray(pixels[rows[:, None], cols])
    from PIL import Image

    made = np.empty((height, width, pixels.shape[2]), pixels.dtype)
    for channel in range(pixels.shape[2]):
        # float32 holds every U16; of U8 Pillow rounds by itself, and is faster.
        plane = np.ascontiguousarray(pixels[..., channel])
        image = Image.fromarray(plane if plane.dtype == np.uint8 else plane.astype(np.float32))
        values = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        made[..., channel] = values if values.dtype == np.uint8 else np.rint(values)
    return made


def undistorted(pixels: Pixels, calibration: Calibration, centre: bool, square: bool) -> Pixels:
    """Return what a camera without distortion would have taken; colours interpolated by scipy, others by nearest pixel."""
    height, width, channels = pixels.shape
    if calibration.type != "frame":
        raise ValueError(
            f"an image was undistorted with the calibration of a {calibration.type} lens; that of a frame camera is needed: "
            "depthraster.metashape has no undistort for others"
        )
    if (calibration.width, calibration.height) != (width, height):
        raise ValueError(
            f"an image of {width} x {height} was undistorted with a calibration for {calibration.width} x "
            f"{calibration.height}; that of the image is needed: resize() the image, or take its own calibration"
        )
    plain = Calibration(
        width=width, height=height, f=calibration.f, b1=0.0 if square else calibration.b1,
        cx=0.0 if centre else calibration.cx, cy=0.0 if centre else calibration.cy,
    )  # fmt: skip
    interpolate = _interpolator() if _is_for_the_eye(pixels) else None
    made = np.zeros_like(pixels)
    step = max(1, _BAND // (4 * width))
    for start in range(0, height, step):
        v, u = np.mgrid[start : min(start + step, height), :width] + 0.5
        taken = calibration.project(plain.unproject(np.stack([u, v], axis=-1)))
        u, v = taken[..., 0], taken[..., 1]
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)  # False for NaN
        band = made[start : start + step]
        if interpolate is None:
            band[inside] = pixels[v[inside].astype(np.intp), u[inside].astype(np.intp)]
            continue
        places = np.stack(
            [v[inside] - 0.5, u[inside] - 0.5]
        )  # from the first pixel's centre, as scipy counts
        for channel in range(channels):
            values = interpolate(
                pixels[..., channel], places, output=np.float32, order=1, mode="nearest", prefilter=False
            )
            band[..., channel][inside] = np.rint(values)
    return made


def _interpolator() -> Callable[..., Any]:
    try:
        from scipy.ndimage import map_coordinates
    except ImportError:
        raise ImportError(
            "a photo is undistorted, and scipy is not installed; it is needed for that: pip install "
            "'depthraster[resample]', or convert the image to F32, whose pixels are not interpolated"
        ) from None
    return map_coordinates  # type: ignore[no-any-return]
