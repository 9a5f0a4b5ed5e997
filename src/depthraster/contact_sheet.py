"""A contact sheet: many depth images on one picture, in colour and with relief, to be looked at.

It takes depth images and gives a `PIL.Image`; rendering, reading and writing are others'. The commonest
change is a colour or a size: the constants below, or the path through colour space in `colour_table`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from depthraster.drawing import EMPTY, FAINT, SHEET, TEXT, caption, colour_table, font

if TYPE_CHECKING:
    from PIL.Image import Image

    from depthraster.calibration import Calibration

__all__ = ["Picture", "contact_sheet", "relief"]

_TILE = 480  # width of an image on the sheet, pixels
_GAP, _MARGIN, _CAPTION, _HEADER = 22, 40, 44, 92
_LIGHT = np.array([-0.52, -0.56, -0.645])  # toward the light: from the upper left, else relief looks inverted


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of the sheet.

    Attributes
    ----------
    label : str
        What stands below it.
    depth : (H, W) float32 array
        Camera-frame Z in chunk units.
    seen : (H, W) bool array
        Where there is a depth.
    calibration : Calibration
        The lens and size that the image was rendered with.
    """

    label: str
    depth: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]
    calibration: Calibration


def relief(
    depth: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_], rays: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how light each pixel is by slopes and hollows of the surface, (H, W), about 0.2 ... 1.5.

    Parameters
    ----------
    depth : (H, W) float32 array
        Camera-frame Z.
    seen : (H, W) bool array
        Where there is a depth.
    rays : (H, W, 3) float64 array
        Directions of the pixels in the camera's frame, with Z = 1.
    """
    z = np.where(seen, depth, np.nan).astype(np.float64)
    points = rays * z[..., None]
    normal = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))  # toward the camera
    lit = normal @ _LIGHT / np.maximum(np.linalg.norm(normal, axis=-1), 1e-300)
    lit = np.nan_to_num(lit, nan=-_LIGHT[2])
    # What lies lower than its surroundings is darker, as under a wide sky.
    z = np.nan_to_num(z)
    footprint = z * np.nanmedian(np.abs(np.diff(rays[..., 0], axis=1)))
    hollow = np.zeros_like(z)
    for radius in (max(1, z.shape[1] // 250), max(2, z.shape[1] // 50)):
        lower = z - _blurred(z, seen, radius)
        hollow += np.tanh(lower / np.maximum(6 * radius * footprint, 1e-300))
    return np.asarray((0.30 + 0.95 * np.clip(lit, 0, 1)) * (1 - 0.20 * hollow))


def _blurred(z: npt.NDArray[np.float64], seen: npt.NDArray[np.bool_], radius: int) -> npt.NDArray[np.float64]:
    """Return the mean of the seen pixels in a square around each, 0 where none is."""

    def sums(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        for axis in (0, 1):
            n = values.shape[axis]
            running = np.insert(np.cumsum(values, axis=axis), 0, 0.0, axis=axis)
            stop, start = np.minimum(np.arange(n) + radius + 1, n), np.maximum(np.arange(n) - radius, 0)
            values = running.take(stop, axis=axis) - running.take(start, axis=axis)
        return values

    count = sums(seen.astype(np.float64))
    return np.asarray(sums(np.where(seen, z, 0.0)) / np.maximum(count, 1))


def contact_sheet(
    pictures: Sequence[Picture],
    title: str,
    subtitle: str = "",
    *,
    scale: float = 1.0,
    unit: str = "",
    columns: int = 4,
) -> Image:
    """Draw the pictures in rows, each with its label and the scale of its colours.

    Parameters
    ----------
    pictures : sequence of Picture
        At least one.
    title, subtitle : str
        What stands above them.
    scale : float
        What depths are multiplied by for the numbers on the scales, e.g. metres per chunk unit.
    unit : str
        The unit of those numbers.
    columns : int
        Pictures per row.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    from PIL import Image, ImageDraw

    if not pictures:
        raise ValueError(
            "there are no pictures; at least one is needed for a contact sheet: render some cameras first"
        )
    columns = min(columns, len(pictures))
    with ThreadPoolExecutor() as pool:  # most of the time is spent in numpy, where threads run side by side
        images = list(pool.map(_drawn, pictures))
    tall = max(image.height for image, _ in images)
    rows = -(-len(pictures) // columns)
    width = 2 * _MARGIN + columns * _TILE + (columns - 1) * _GAP
    height = _HEADER + rows * (tall + _CAPTION + _GAP) + _MARGIN - _GAP
    sheet = Image.new("RGB", (width, height), SHEET)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 24), title, TEXT, font(28))
    draw.text((_MARGIN, 58), subtitle, FAINT, font(16))
    for k, (picture, (image, limits)) in enumerate(zip(pictures, images, strict=True)):
        row, column = divmod(k, columns)
        x, y = _MARGIN + column * (_TILE + _GAP), _HEADER + row * (tall + _CAPTION + _GAP)
        sheet.paste(image, (x, y))
        scaled = None if limits is None else (limits[0] * scale, limits[1] * scale)
        caption(sheet, draw, picture.label, scaled, unit, (x, y + tall), _TILE)
    return sheet


def _drawn(picture: Picture) -> tuple[Image, tuple[float, float] | None]:
    """Return the picture in colour, `_TILE` wide, and the depths at the ends of its colour scale."""
    from PIL import Image

    # Every n-th pixel: depths are never averaged, only the colours made of them are.
    step = max(1, round(picture.depth.shape[1] / (1.4 * _TILE)))
    rows, cols = (np.arange(step // 2, n, step) for n in picture.depth.shape)
    depth, seen = picture.depth[np.ix_(rows, cols)], picture.seen[np.ix_(rows, cols)]
    rays = picture.calibration.unproject(np.stack(np.meshgrid(cols + 0.5, rows + 0.5), axis=-1))
    size = (_TILE, round(_TILE * depth.shape[0] / depth.shape[1]))
    rgb = np.empty((*depth.shape, 3))
    rgb[:] = np.array(EMPTY) / 255
    limits = None
    if seen.any():
        near, far = (float(x) for x in np.quantile(depth[seen], [0.02, 0.995]))
        limits = near, max(far, near * (1 + 1e-6))
        # Equal steps of the logarithm: near things keep their detail in front of far hills.
        t = np.log(limits[1] / depth[seen].astype(np.float64)) / np.log(limits[1] / limits[0])
        table = colour_table()
        colour = table[(np.clip(t, 0, 1) * (len(table) - 1) + 0.5).astype(int)]
        rgb[seen] = colour * relief(depth, seen, rays)[seen][:, None]
    image = Image.fromarray((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8))
    return image.resize(size, Image.Resampling.LANCZOS), limits
