"""The picture of a comparison: ours, theirs, their difference, and how large differences are how often.

Depths are shown in the colours of ``drawing.py``, the same for both images. In the difference each point is the worst
of the pixels that it stands for, so that a single wrong pixel of a large photo is seen. The commonest change is what stands
above the panels: in `_head`.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from depthraster.comparison.measures import HIGHEST, LOWEST, PER_DECADE, Picked
from depthraster.drawing import colour_table

if TYPE_CHECKING:
    from PIL.Image import Image

    from depthraster.comparison.report import Comparison

__all__ = ["draw"]

_SHEET = (16, 18, 23)
_EMPTY = (33, 37, 46)  # where nothing is seen
_TEXT, _FAINT = (226, 229, 235), (138, 145, 158)
_GOOD, _BAD = (126, 200, 140), (240, 110, 96)
_SAME = (52, 57, 68)  # no difference
_FARTHER, _NEARER = (255, 150, 60), (70, 160, 255)  # ours, where depths differ
_OURS, _THEIRS = (255, 70, 200), (120, 255, 90)  # seen only there
_DULL, _BRIGHT = (
    0.1,
    100.0,
)  # times the tolerance: no colour below, the full one from here on, or more if most differ by more
_PANEL = 640  # width of a panel, or less; pixels
_TALL = 640  # its height at most
_MARGIN, _GAP, _CAPTION = 32, 24, 34
_SHARE = (0.01, 0.99)  # of the depths seen, at the ends of the colours

Pixels = npt.NDArray[np.uint8]


def draw(comparison: Comparison, picked: Picked, title: str) -> Image:
    """Draw a comparison.

    Parameters
    ----------
    comparison : Comparison
        What was found.
    picked : Picked
        The worst pixels.
    title : str
        What stands on top; what was compared, say.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    from PIL import Image, ImageDraw

    height, width = comparison.theirs.shape
    factor = min(_PANEL / width, _TALL / height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    box = max(size[0], 420), max(size[1], 260)  # of a panel: there is text in it, too
    lines = _head(comparison, 2 * box[0] + _GAP)
    top = _MARGIN + 44 + 22 * len(lines) + 12
    sheet = Image.new(
        "RGB",
        (2 * _MARGIN + 2 * box[0] + _GAP, top + 2 * (box[1] + _CAPTION + _GAP) + _MARGIN - _GAP),
        _SHEET,
    )
    pen = ImageDraw.Draw(sheet)
    passed = comparison.passed
    pen.text((_MARGIN, _MARGIN - 8), "PASS" if passed else "FAIL", _GOOD if passed else _BAD, _font(28))
    pen.text((_MARGIN + 96, _MARGIN), title or f"{width} x {height} pixels", _TEXT, _font(19))
    for k, (line, colour) in enumerate(lines):
        pen.text((_MARGIN, _MARGIN + 40 + 22 * k), line, colour, _font(15))

    limits = _limits(comparison)
    step = picked.cell
    places = [
        (_MARGIN + c * (box[0] + _GAP), top + r * (box[1] + _CAPTION + _GAP)) for r in (0, 1) for c in (0, 1)
    ]
    panels = [
        (_coloured(comparison.ours[step // 2 :: step, step // 2 :: step] * comparison.scale, limits), "ours"),
        (_coloured(comparison.theirs[step // 2 :: step, step // 2 :: step], limits), "theirs"),
        (_difference(picked), "difference, the worst of every point"),
    ]
    for (pixels, caption), place in zip(panels, places[:3], strict=True):
        # Few pixels are enlarged as they are, many are not averaged either: points were picked.
        image = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
        sheet.paste(image, place)
        pen.text((place[0], place[1] + size[1] + 7), caption, _TEXT, _font(15))
    for place in places[:2]:
        _depth_scale(sheet, pen, place[0] + box[0], place[1] + size[1], limits)
    _difference_scale(pen, places[2][0], places[2][1] + size[1], box[0])
    _histogram(pen, comparison, picked, places[3], box)
    return sheet


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _head(comparison: Comparison, width: int) -> list[tuple[str, tuple[int, int, int]]]:
    """Return the lines above the panels, in words, and their colours."""
    found = comparison.differences
    lines: list[tuple[str, tuple[int, int, int]]] = []

    def add(text: str, colour: tuple[int, int, int]) -> None:
        lines.extend((line, colour) for line in textwrap.wrap(text, max(40, width // 8)))

    for failure in comparison.failures:
        add(failure, _BAD)
    for finding in comparison.findings:
        add(f"{finding.text}; {finding.remedy}", _TEXT)
    if found.relative is not None and found.absolute is not None:
        add(
            f"part of the depth: median {found.relative.median:.3g}, 99.9 % {found.relative.p999:.3g}, greatest "
            f"{found.relative.max:.3g} · bias {found.bias:.3g} · seen only in ours {comparison.coverage.only_ours:,}, "
            f"only in theirs {comparison.coverage.only_theirs:,}",
            _FAINT,
        )
    for note in comparison.notes:
        add(note, _FAINT)
    return lines


def _limits(comparison: Comparison) -> tuple[float, float] | None:
    """Return the depths at the ends of the colours, near and far; None where nothing is seen."""
    step = max(1, int(np.sqrt(comparison.theirs.size / 200_000)))
    values = np.concatenate(
        [
            comparison.theirs[::step, ::step].ravel(),
            comparison.ours[::step, ::step].ravel() * np.float32(comparison.scale),
        ]
    )
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    near, far = (float(value) for value in np.quantile(values, _SHARE))
    return near, far


def _coloured(depth: npt.NDArray[Any], limits: tuple[float, float] | None) -> Pixels:
    """Return depths in colours, near light, far dark."""
    rgb = np.empty((*depth.shape, 3), np.uint8)
    rgb[:] = _EMPTY
    seen = ~np.isnan(depth)
    if limits is None or not seen.any():
        return rgb
    near, far = limits
    values = depth[seen].astype(np.float64)
    if near > 0:  # equal steps of the logarithm: near things keep their detail in front of far hills
        near, far, values = np.log(near), np.log(far), np.log(np.maximum(values, 1e-300))
    t = (far - values) / (far - near) if far > near else np.full(values.shape, 0.5)
    table = (colour_table() * 255 + 0.5).astype(np.uint8)
    rgb[seen] = table[(np.clip(t, 0, 1) * (len(table) - 1) + 0.5).astype(int)]
    return rgb


def _difference(picked: Picked) -> Pixels:
    """Return differences in colours, by how many times the tolerance they are, and what is seen in only one."""
    rgb = np.empty((*picked.marks.shape, 3), np.uint8)
    rgb[:] = _EMPTY
    both = (picked.marks & 1) > 0
    excess = np.minimum(picked.excess[both].astype(np.float64), 1e30)
    bright = max(_BRIGHT, float(np.quantile(excess, _SHARE[1]))) if excess.size else _BRIGHT
    times = np.clip(excess, _DULL, bright)
    t = np.log(times / _DULL) / np.log(bright / _DULL)
    t = np.where(times > 1.0, t, 0.5 * t)  # a step where the tolerance ends
    ends = np.where(picked.difference[both][:, None] > 0, np.array(_FARTHER), np.array(_NEARER))
    rgb[both] = (np.array(_SAME) + t[:, None] * (ends - np.array(_SAME)) + 0.5).astype(np.uint8)
    rgb[(picked.marks & 2) > 0] = _OURS
    rgb[(picked.marks & 4) > 0] = _THEIRS
    return rgb


def _depth_scale(sheet: Image, pen: Any, right: int, top: int, limits: tuple[float, float] | None) -> None:
    from PIL import Image

    font = _font(14)
    if limits is None:
        pen.text((right, top + 8), "nothing seen", _FAINT, font, anchor="ra")
        return
    wide, high = 140, 9
    pen.text((right, top + 8), f"{limits[1]:.4g}", _FAINT, font, anchor="ra")
    right -= 66
    bar = (colour_table(wide)[::-1] * 255 + 0.5).astype(np.uint8)
    sheet.paste(Image.fromarray(np.broadcast_to(bar, (high, wide, 3)).copy()), (right - wide, top + 12))
    pen.text((right - wide - 8, top + 8), f"{limits[0]:.4g}", _FAINT, font, anchor="ra")


def _difference_scale(pen: Any, left: int, top: int, width: int) -> None:
    """Write what the colours of the difference mean."""
    font = _font(14)
    x = left + width
    for colour, words in (
        (_THEIRS, "only theirs"),
        (_OURS, "only ours"),
        (_NEARER, "nearer"),
        (_FARTHER, "ours farther"),
    ):
        pen.text((x, top + 8), words, _FAINT, font, anchor="ra")
        x -= round(pen.textlength(words, font)) + 6
        pen.rectangle((x - 9, top + 12, x, top + 21), fill=colour)
        x -= 20
        if x - left < 280:  # the caption is there
            break


def _histogram(
    pen: Any, comparison: Comparison, picked: Picked, place: tuple[int, int], box: tuple[int, int]
) -> None:
    """Draw how often which part of the depth differs: both axes by powers of ten, and the tolerance as a line."""
    font = _font(13)
    left, top = place[0] + 46, place[1]
    right, bottom = place[0] + box[0], place[1] + box[1] - 22
    pen.rectangle((left, top, right, bottom), fill=_EMPTY)
    counts = picked.histogram
    decades = HIGHEST - LOWEST
    zero = 34  # the bar of those that do not differ
    unit = (right - left - zero) / decades
    top_power = max(1, int(np.ceil(np.log10(max(counts.max(), 10)))))
    power = (bottom - top - 8) / (top_power + 0.3)
    for k in range(top_power + 1):
        y = bottom - round(power * (k + 0.3))
        pen.line((left, y, right, y), fill=_SAME)
        pen.text((left - 6, y), f"{10**k:g}" if k < 4 else f"1e{k}", _FAINT, font, anchor="rm")
    for k in range(decades + 1):
        x = round(left + zero + unit * k)
        pen.line((x, bottom, x, bottom + 4), fill=_FAINT)
        if k % 2 == 1 or k == decades:
            pen.text((x, bottom + 6), f"1e{LOWEST + k}", _FAINT, font, anchor="ma" if k < decades else "ra")
    pen.text((left + zero // 2, bottom + 6), "0", _FAINT, font, anchor="ma")
    limit = np.log10(max(comparison.tolerances.depth, 10.0**LOWEST))
    for k, count in enumerate(counts):
        if not count:
            continue
        y = bottom - round(power * (np.log10(count) + 0.3))
        if k == 0:
            x0, x1, beyond = left + 4, left + zero - 4, False
        else:
            x0 = round(left + zero + unit * (k - 1) / PER_DECADE)
            x1 = round(left + zero + unit * k / PER_DECADE) - 1
            beyond = LOWEST + (k - 1) / PER_DECADE >= limit
        pen.rectangle((x0, y, max(x0, x1), bottom), fill=_BAD if beyond else _GOOD)
    x = round(left + zero + unit * (min(limit, HIGHEST) - LOWEST))
    pen.line((x, top, x, bottom), fill=_TEXT)
    pen.text((place[0], place[1] + box[1] + 7), "pixels by part of the depth that differs", _TEXT, _font(15))
