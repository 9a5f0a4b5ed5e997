"""What pictures for people are drawn with: colours from far to near, a font, a caption with the scale of its colours.

Whole pictures are others': ``pictures.py``, ``contact_sheet.py``, ``gallery.py``, ``comparison``. The commonest change is a
colour: the constants below, or the path through colour space in `colour_table`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["EMPTY", "FAINT", "SHEET", "TEXT", "caption", "colour_table", "font"]

SHEET = (16, 18, 23)
EMPTY = (33, 37, 46)  # where no face is seen
TEXT = (226, 229, 235)
FAINT = (138, 145, 158)


def colour_table(n: int = 256) -> npt.NDArray[np.float64]:
    """Return n colours from far to near, indigo to sand in even steps of lightness, (n, 3) sRGB in 0 ... 1.

    Lightness, chroma and hue are those of Oklab (B. Ottosson, A perceptual color space for image
    processing, 2020).
    """
    t = np.linspace(0, 1, n)
    lightness = 0.38 + 0.57 * t
    chroma = np.interp(t, [0, 0.3, 0.6, 0.85, 1], [0.105, 0.105, 0.105, 0.125, 0.085])
    hue = np.radians(np.interp(t, [0, 0.25, 0.5, 0.75, 1], [292, 250, 190, 118, 86]))
    lab = np.column_stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)])
    cones = lab @ np.array(
        [
            [1, 1, 1],
            [0.3963377774, -0.1055613458, -0.0894841775],
            [0.2158037573, -0.0638541728, -1.2914855480],
        ]
    )
    linear = cones**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    linear = np.clip(linear, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(srgb)


def font(size: int) -> Any:
    """Return the font of Pillow's own in a size."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _written(near: float, far: float) -> tuple[str, str]:
    """Return the ends of a scale: three digits of each, and of what lies between them, so that 1914 is not 1.91e+03."""
    span = abs(near - far)
    if not 1e-6 < span < 1e9 or max(abs(near), abs(far)) > 1e9:  # also nan
        return f"{near:.6g}", f"{far:.6g}"
    least = max(0, 2 - math.floor(math.log10(span)))

    def written(value: float) -> str:
        own = 2 - math.floor(math.log10(abs(value))) if value else 0
        text = f"{value:.{max(least, min(own, least + 2))}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    return written(near), written(far)


def caption(
    sheet: Image,
    pen: Any,
    label: str,
    limits: tuple[float, float] | None,
    unit: str,
    place: tuple[int, int],
    width: int,
    without: str = "nothing seen",
) -> None:
    """Write the label to the left and the scale of the colours to the right below a picture.

    Parameters
    ----------
    sheet : PIL.Image.Image
        What is drawn on.
    pen : PIL.ImageDraw.ImageDraw
        Of that.
    label : str
        Shortened where it is too long.
    limits : (float, float) or None
        The values at the near, light end of the colours and at the far, dark one.
    unit : str
        What stands behind the second.
    place : (int, int)
        The picture's lower left corner.
    width : int
        The picture's.
    without : str
        What is written where there are no limits.
    """
    from PIL import Image

    letters = font(16)
    wide, high = 150 if width > 400 else 90, 9
    x, y = place
    right = x + width
    if limits is None:
        pen.text((right, y + 12), without, FAINT, letters, anchor="ra")
        right -= round(pen.textlength(without, letters))
    else:
        near, far = _written(*limits)
        after = f"{far} {unit}".rstrip()
        pen.text((right, y + 12), after, FAINT, letters, anchor="ra")
        right -= round(pen.textlength(after, letters)) + 8
        bar = (colour_table(wide)[::-1] * 255 + 0.5).astype(np.uint8)
        sheet.paste(Image.fromarray(np.broadcast_to(bar, (high, wide, 3)).copy()), (right - wide, y + 16))
        pen.text((right - wide - 8, y + 12), near, FAINT, letters, anchor="ra")
        right -= wide + 8 + round(pen.textlength(near, letters))
    while label and pen.textlength(label, letters) > right - x - 16:
        label = label[:-2].rstrip("…") + "…" if len(label) > 1 else ""
    pen.text((x, y + 12), label, TEXT, letters)
