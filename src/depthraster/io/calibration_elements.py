"""A ``<calibration>`` element to a `Calibration` and back: the one place that knows what its children mean, old and new.

The element stands alone in a file, or in a sensor or a camera of a chunk. Who has read it says where it is, for messages,
and what it may be completed from. The commonest change is another parameter: its name in `_PARAMETERS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from depthraster.calibration import Calibration
from depthraster.errors import FormatError
from depthraster.io.xml_values import EXPORT, digits, number, size, unfit

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from depthraster.io.xml_writer import XmlWriter

__all__ = [
    "CALIBRATION_TAGS",
    "calibration_from_element",
    "lens_type",
    "made",
    "write_parameters",
]

# In the order in which Metashape writes them.
_PARAMETERS = ("f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4")
_LEGACY_NAMES = ("fx", "fy", "skew")
# The elements that are read here, for readers that keep what they know only.
CALIBRATION_TAGS = frozenset(
    ("calibration", "projection", "resolution", "width", "height", "corrections", *_PARAMETERS, *_LEGACY_NAMES)
)  # fmt: skip


def lens_type(element: Element, default: str = "frame") -> str:
    """Return the name of a calibration's lens model, today's where it has two."""
    name = element.get("type") or element.findtext("projection", "").strip() or default
    return "fisheye" if name == "equidistant_fisheye" else name  # renamed in Metashape 2.3


def calibration_from_element(
    element: Element,
    where: str,
    *,
    lens: str | None = None,
    image_size: tuple[int, int] | None = None,
    base: Calibration | None = None,
    again: str = f"{EXPORT} again",
) -> Calibration | None:
    """Return what a ``<calibration>`` says.

    Children are found by name; those that are missing are zero, for that is how zero is written. Additional
    ``<corrections>`` are not applied: it is the caller's to say so.

    Parameters
    ----------
    element : Element
        The element.
    where : str
        The file and the element, for messages.
    lens : str, optional
        The lens model, one that `Calibration` has; the element's own by default.
    image_size : (int, int), optional
        Width and height in pixels, where the element does not have them.
    base : Calibration, optional
        What an element without focal length is laid over: a photo's own one can hold no more than differs from its
        sensor's.
    again : str, optional
        How the user gets a good file, for messages.

    Returns
    -------
    Calibration or None
        None where the size is missing, or the focal length of a lens that needs one.

    Raises
    ------
    FormatError
        A value that is no finite number, or that no calibration can have; parameters of both the old format and today's.
    """
    lens = lens_type(element) if lens is None else lens
    image_size = size(element, where) or _plain_size(element, where, again) or image_size
    values = {
        name: number(child.text or "", f"{where} <{name}>", again)
        for name in (*_PARAMETERS, *_LEGACY_NAMES)
        if (child := element.find(name)) is not None
    }
    if image_size is None:
        return None
    if "f" in values and (old := [name for name in _LEGACY_NAMES if name in values]):
        raise unfit(
            where,
            f"both <f> and <{old[0]}> are there, of today's format and the old one",
            "one is needed",
            again,
        )
    if values.keys() & {"fx", "fy"}:
        values = _modern(values, image_size)
    if "f" not in values and lens != "spherical":  # whose width is a whole turn
        if base is None or base.type != lens:
            return None
        values = {name: getattr(base, name) for name in _PARAMETERS} | values
    return made(where, lens, image_size, **{name: values[name] for name in _PARAMETERS if name in values})


def made(where: str, lens: str, image_size: tuple[int, int], **parameters: float) -> Calibration:
    """Return a calibration of parameters from a file; FormatError where there can be none."""
    try:
        return Calibration(width=image_size[0], height=image_size[1], type=lens, **parameters)
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None


def _plain_size(element: Element, where: str, again: str = f"{EXPORT} again") -> tuple[int, int] | None:
    """Return the size as stand-alone files and the oldest cameras files have it; None where they do not."""
    texts = [element.findtext(name, "").strip() for name in ("width", "height")]
    if not all(texts):
        return None
    try:
        return int(texts[0]), int(texts[1])
    except ValueError:
        raise unfit(
            where, f"the size is {texts[0][:20]!r} x {texts[1][:20]!r}", "whole numbers are needed", again
        ) from None


def write_parameters(xml: XmlWriter, calibration: Calibration) -> None:
    """Write a calibration's parameters as elements; what is zero is left out."""
    for name in _PARAMETERS:
        value = getattr(calibration, name)
        if value != 0.0:
            xml.leaf(name, digits(value))


def _modern(values: dict[str, float], image_size: tuple[int, int]) -> dict[str, float]:
    """Return the parameters of PhotoScan before 1.2.4 as today's.

    There cx and cy were counted from the corner, and p1 and p2 stood as in OpenCV; what tells them is fx and fy instead of
    f. 17,838 tie points of a real project agree to 0.01 px on the exchange.
    """
    fy = values.get("fy", values.get("fx", 0.0))
    modern = {name: values[name] for name in ("k1", "k2", "k3", "k4", "p3", "p4") if name in values}
    return modern | {
        "f": fy,
        "b1": values.get("fx", fy) - fy,
        "b2": values.get("skew", 0.0),
        "cx": values["cx"] - image_size[0] / 2 if "cx" in values else 0.0,
        "cy": values["cy"] - image_size[1] / 2 if "cy" in values else 0.0,
        "p1": values.get("p2", 0.0),
        "p2": values.get("p1", 0.0),
    }
