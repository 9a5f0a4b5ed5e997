"""Images as pictures for the eye: each in colours of its own kind, with the scale of the colours below it.

It takes arrays and knows what layers are by their names; what they mean is said in ``layers.py``. The commonest change is
how a layer looks: its line in `_KINDS`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.drawing import EMPTY, SHEET, caption, colour_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

__all__ = ["Pictured", "Shown", "draw_picture", "in_colours", "plot_layers", "png_of"]

_TILE = 440  # width of a layer in a picture of several, pixels
_ALONE = 880  # of one by itself
_GAP, _MARGIN, _CAPTION, _COLUMNS = 20, 20, 40, 3
_SHARE = (0.01, 0.99)  # of the values seen, at the ends of the colours

# How layers are shown: "far" in colours from near, light, to far, evenly in the logarithm; "high" from low, dark, to high;
# "low" the other way round; "mixed" as the mix of three colours; "names" in a colour for each number; "mask" light or dark.
_KINDS = {
    "depth": "far",
    "left depth": "far",
    "right depth": "far",
    "alpha": "mask",
    "range": "far",
    "face_index": "names",
    "barycentric": "mixed",
    "normal": "directions",
    "position": "places",
    "view_angle": "low",
    "edge": "mask",
}

Pixels = npt.NDArray[np.uint8]


class Pictured:
    """What notebooks show, and matplotlib plots, of a result: its `picture`, and the images that this is made of."""

    def picture(self) -> Image:
        """Draw the result for the eye."""
        raise NotImplementedError

    def _shown(self) -> Shown:
        """Return what is drawn."""
        raise NotImplementedError

    def plot(self, axes: Any = None) -> Figure:
        """Plot what `picture` shows with matplotlib (the extra ``plot``): scales are in the images' units.

        Axes are in the coordinates of the ground where the images lie on it, in pixels elsewhere.

        Parameters
        ----------
        axes : matplotlib Axes or sequence of them, optional
            Where to plot, one for each image; by default in a figure of their own.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            Another number of axes.
        ImportError
            Without the extra.
        """
        shown = self._shown()
        return plot_layers(shown.images, shown.seen, axes, shown.bounds)

    def _repr_png_(self) -> bytes:
        return png_of(self.picture())


class Shown(NamedTuple):
    """The images of a `Pictured`; ``seen`` as for `draw_picture`, ``bounds`` as for `plot_layers`."""

    images: Mapping[str, npt.NDArray[Any]]
    seen: npt.NDArray[np.bool_] | Mapping[str, npt.NDArray[np.bool_]]
    bounds: tuple[float, float, float, float] | None = None


class _Colours(NamedTuple):
    rgb: Pixels
    limits: tuple[float, float] | None  # at the light and at the dark end of the colours
    unit: str
    without: str  # what is said where there are no limits


def draw_picture(
    images: Mapping[str, npt.NDArray[Any]], seen: npt.NDArray[np.bool_] | Mapping[str, npt.NDArray[np.bool_]]
) -> Image:
    """Draw layers side by side, each with its name and the scale of its colours.

    Parameters
    ----------
    images : mapping of str to (H, W, ...) array
        At least one, by name; names that are no layer's are attributes.
    seen : (H, W) bool array, or mapping of str to such arrays
        Where a face is seen; for each of them where they are not of one view.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    from PIL import Image, ImageDraw

    tile = _TILE if len(images) > 1 else _ALONE
    masks = seen if isinstance(seen, Mapping) else dict.fromkeys(images, seen)
    sizes = {
        name: (tile, max(1, min(round(tile * mask.shape[0] / mask.shape[1]), 4 * tile)))
        for name, mask in masks.items()
    }
    highest = max(height for _, height in sizes.values())
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    sheet = Image.new(
        "RGB",
        (
            2 * _MARGIN + columns * tile + (columns - 1) * _GAP,
            _MARGIN + rows * (highest + _CAPTION + _GAP) - _GAP // 2,
        ),
        SHEET,
    )
    pen = ImageDraw.Draw(sheet)
    for k, (name, image) in enumerate(images.items()):
        row, column = divmod(k, columns)
        x, y = _MARGIN + column * (tile + _GAP), _MARGIN + row * (highest + _CAPTION + _GAP)
        mask, size = masks[name], sizes[name]
        # Every n-th pixel, about two for one of the picture: values are never averaged, only the colours made of them are.
        step = max(1, mask.shape[1] // (2 * tile))
        places = slice(step // 2, None, step), slice(step // 2, None, step)
        # ... but a line of a mask is seen, however thin.
        few = _any_of(image, step) if image.dtype == np.bool_ and image.ndim == 2 else image[places]
        shown = _shown(name, few[: mask[places].shape[0], : mask[places].shape[1]], mask[places])
        small = mask.shape[1] > tile
        filter_ = Image.Resampling.BOX if small else Image.Resampling.NEAREST
        sheet.paste(Image.fromarray(shown.rgb).resize(size, filter_), (x, y))
        caption(
            sheet, pen, _title(name, image), shown.limits, shown.unit, (x, y + size[1]), tile, shown.without
        )
    return sheet


def png_of(picture: Image) -> bytes:
    """Return a picture as the bytes of a PNG."""
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def plot_layers(
    images: Mapping[str, npt.NDArray[Any]],
    seen: npt.NDArray[np.bool_] | Mapping[str, npt.NDArray[np.bool_]],
    axes: Any,
    bounds: tuple[float, float, float, float] | None = None,
) -> Figure:
    """Plot layers with matplotlib; the pixels keep their coordinates, and scales their values.

    Parameters
    ----------
    images, seen
        As for `draw_picture`.
    axes : matplotlib Axes, or sequence of them, or None
        Where to plot, one for each layer; None: in a figure of their own.
    bounds : (left, bottom, right, top), optional
        Coordinates of the images' outer corners; by default pixels, v downwards.

    Returns
    -------
    matplotlib.figure.Figure
    """
    try:
        from matplotlib import colors
        from matplotlib import pyplot as plt
    except ImportError:
        raise ImportError(
            "images are to be plotted, and matplotlib is not installed; it is needed for that: pip install "
            "'depthraster[plot]', or look at picture(), which does without"
        ) from None
    masks = seen if isinstance(seen, Mapping) else dict.fromkeys(images, seen)
    if axes is None:
        steepest = max(mask.shape[0] / mask.shape[1] for mask in masks.values())
        columns = min(_COLUMNS, len(images))
        rows = -(-len(images) // columns)
        figure, grid = plt.subplots(
            rows, columns, squeeze=False, figsize=(4.6 * columns, 0.5 + 4.0 * rows * steepest), layout="constrained",
        )  # fmt: skip
        places = grid.ravel().tolist()
        for unused in places[len(images) :]:
            unused.set_axis_off()
    else:
        places = np.atleast_1d(np.asarray(axes, dtype=object)).ravel().tolist()
        if len(places) != len(images):
            raise ValueError(
                f"there are {len(places)} axes for {len(images)} layers; one for each is needed: name the layers, or leave "
                "axes out"
            )
        figure = places[0].figure
    colours = colors.ListedColormap(colour_table()[::-1].tolist(), name="depthraster")
    for place, (name, image) in zip(places, images.items(), strict=False):
        mask, kind = masks[name], _kind(name, image)
        height, width = mask.shape
        # (0, 0) is the outer corner of the first pixel.
        left, bottom, right, top = bounds or (0.0, float(height), float(width), 0.0)
        shape: dict[str, Any] = {"extent": (left, right, bottom, top), "interpolation": "nearest"}
        if kind in ("far", "low", "high"):
            values = _scalar(image).astype(np.float64)
            if kind == "low":
                values = np.degrees(values)
            limits = _limits(values[mask]) or (0.0, 1.0)
            norm = colors.LogNorm(*limits) if kind == "far" and limits[0] > 0 else colors.Normalize(*limits)
            mapping = colours.reversed() if kind == "high" else colours
            drawn = place.imshow(np.ma.masked_array(values, ~mask), cmap=mapping, norm=norm, **shape)
            place.set_facecolor([channel / 255 for channel in EMPTY])
            figure.colorbar(drawn, ax=place, label="degrees" if kind == "low" else "")
        else:
            place.imshow(_shown(name, image, mask).rgb, **shape)
        place.set_title(_title(name, image))
    return figure


def _kind(name: str, image: npt.NDArray[Any]) -> str:
    if name in _KINDS:
        return _KINDS[name]
    if image.dtype.kind == "b":
        return "mask"
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (3, 4):
        return "colours"
    return "names" if image.dtype.kind in "iu" else "high"


def _title(name: str, image: npt.NDArray[Any]) -> str:
    """Return what is shown: of attributes that are no colours the first channel alone."""
    channels = image.size // max(image.shape[0] * image.shape[1], 1)
    return (
        f"{name}, 1 of {channels}"
        if channels > 1 and _kind(name, image) in ("names", "high", "mask")
        else name
    )


def _any_of(image: npt.NDArray[np.bool_], step: int) -> npt.NDArray[np.bool_]:
    """Return whether any pixel of each square of ``step`` pixels is set."""
    rows = np.logical_or.reduceat(image, np.arange(0, len(image), step), axis=0)
    return np.asarray(np.logical_or.reduceat(rows, np.arange(0, image.shape[1], step), axis=1))


def in_colours(image: npt.NDArray[Any], seen: npt.NDArray[np.bool_]) -> Pixels:
    """Return a photo as (H, W, 3) uint8: its first three channels, or grey; other types than uint8 from dark to light."""
    channels = image.reshape(*image.shape[:2], -1)
    channels = channels[..., :3] if channels.shape[2] >= 3 else channels[..., :1]
    if channels.dtype != np.uint8:
        values = channels.astype(np.float64)
        low, high = _limits(values[seen]) or (0.0, 1.0)
        shades = np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0) * 255 + 0.5
        channels = np.where(np.isfinite(shades), shades, 0.0).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(channels, (*image.shape[:2], 3)))


def _scalar(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the image, or the first of its channels."""
    return image.reshape(*image.shape[:2], -1)[..., 0]


def _limits(values: npt.NDArray[np.float64]) -> tuple[float, float] | None:
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = (float(x) for x in np.quantile(values, _SHARE))
    return low, high


def _shown(name: str, image: npt.NDArray[Any], seen: npt.NDArray[np.bool_]) -> _Colours:
    """Return a layer in colours."""
    kind = _kind(name, image)
    rgb = np.empty((*seen.shape, 3), np.uint8)
    rgb[:] = EMPTY
    nothing = "" if seen.any() else "nothing seen"
    if kind in ("far", "low", "high"):
        values = _scalar(image)[seen].astype(np.float64)
        if kind == "low":
            values = np.degrees(values)
        limits = _limits(values)
        if limits is None:
            return _Colours(rgb, None, "", "nothing seen")
        rgb[seen] = _in_scale(values, *limits, logarithmic=kind == "far", upwards=kind == "high")
        return _Colours(rgb, limits[::-1] if kind == "high" else limits, "°" if kind == "low" else "", "")
    values = image[seen]
    if kind == "mask":
        rgb[seen] = np.where(values[..., None] > 0, np.uint8(235), np.array([74, 84, 104], np.uint8))
    elif kind == "names":
        rgb[seen] = _colours_of(_scalar(image)[seen])
    elif kind == "colours":
        rgb[seen] = values[:, :3]
    else:
        if (
            kind == "directions"
        ):  # as normal maps are usually drawn: X to the right red, up green, towards the camera blue
            values = 0.5 + 0.5 * values * [1.0, -1.0, -1.0]
        elif kind == "places" and len(values):
            low, high = np.quantile(values, _SHARE, axis=0)
            values = (values - low) / np.where(high > low, high - low, 1.0)
        rgb[seen] = np.clip(values, 0.0, 1.0) * 255 + 0.5
    return _Colours(rgb, None, "", nothing)


def _in_scale(
    values: npt.NDArray[np.float64], low: float, high: float, *, logarithmic: bool, upwards: bool
) -> Pixels:
    """Return values in colours, low ones light, or dark with ``upwards``; what is not finite has no colour."""
    finite = np.isfinite(values)
    shades = np.where(finite, values, low)
    if (
        logarithmic and low > 0
    ):  # equal steps of the logarithm: near things keep their detail in front of far hills
        shades, low, high = np.log(np.maximum(shades, low)), float(np.log(low)), float(np.log(high))
    t = (high - shades) / (high - low) if high > low else np.full(shades.shape, 0.5)
    if upwards:
        t = 1.0 - t
    table = np.rint(colour_table() * 255).astype(np.uint8)
    rgb = table[(np.clip(t, 0.0, 1.0) * (len(table) - 1) + 0.5).astype(np.intp)]
    rgb[~finite] = EMPTY
    return rgb


def _colours_of(names: npt.NDArray[Any]) -> Pixels:
    """Return a colour for each whole number, unlike those of the numbers beside it."""
    turns = (
        names.astype(np.int64).astype(np.float64) * 0.61803398875
    )  # the golden section: far apart on the wheel
    hue = 6.0 * (turns - np.floor(turns))
    light = 0.55 + 0.35 * np.abs(((names.astype(np.int64) * 7) % 11) / 5.0 - 1.0)
    mix = np.clip(np.abs((hue[:, None] + [0.0, 4.0, 2.0]) % 6.0 - 3.0) - 1.0, 0.0, 1.0)
    return np.asarray((255 * light[:, None] * (0.35 + 0.65 * mix)).astype(np.uint8))
