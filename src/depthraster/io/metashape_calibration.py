"""Metashape's calibration of one lens as a file (Tools > Camera Calibration > Save, XML), read and written.

What the children of the element mean, today's and PhotoScan's, is ``calibration_elements.py``'s, which reads them in cameras
files, too. The commonest change is what else a file says beside the parameters: in `found_in_calibration`.
"""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from depthraster.io.calibration_elements import (
    calibration_from_element,
    lens_type,
    write_parameters,
)
from depthraster.io.calibration_options import Options, side
from depthraster.io.foreign_lenses import Found
from depthraster.io.xml_values import size as resolution
from depthraster.io.xml_values import unfit
from depthraster.io.xml_writer import XmlWriter

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from depthraster.calibration import Calibration

__all__ = ["AGAIN", "calibration_bytes", "found_in_calibration"]

AGAIN = "save the calibration from Metashape again, in its XML format"


def found_in_calibration(
    root: Element, source: str, options: Options, notes: list[str]
) -> dict[str | int, Found]:
    """Return the lens of a ``<calibration>``, under the name "".

    Notes take that there are additional corrections, which are not applied. FormatError where a value is none that a
    calibration can have, is missing, or contradicts the caller's.
    """
    where = f"{source}: <calibration>"
    tags = [child.tag for child in root]
    for tag in tags:
        if tags.count(tag) > 1:
            raise unfit(where, f"there is more than one <{tag}>", "one is needed", AGAIN)
    size = options.size(where, *_size(root, where))
    lens = lens_type(root)
    options.refuse_other_center(where, 0.5)
    options.is_fisheye(where, lens.endswith("fisheye"))
    calibration = calibration_from_element(root, where, lens=lens, image_size=size, again=AGAIN)
    if calibration is None:
        raise unfit(where, "there is neither <f> nor <fx>", "the focal length is needed", AGAIN)
    if root.find("corrections") is not None:
        notes.append(f"{source}: the additional <corrections> are not applied: pixels may be off by some")
    return {"": Found(where, calibration)}


def _size(root: Element, where: str) -> tuple[int | None, int | None]:
    """Return what a file says of the image's size: stand-alone in two elements, in cameras files in one."""
    plain = [
        side(text, f"{where} <{name}>", AGAIN) if (text := root.findtext(name, "").strip()) else None
        for name in ("width", "height")
    ]
    given = resolution(root, where)
    if given is None:
        return plain[0], plain[1]
    for name, one, other in zip(("width", "height"), given, plain, strict=True):
        if other is not None and one != other:
            raise unfit(
                where, f"the {name} is {one} in <resolution> and {other} in <{name}>", "one is needed", AGAIN
            )
    return given


def calibration_bytes(calibration: Calibration) -> bytes:
    """Return a calibration file as Metashape writes it: what is zero is left out."""
    file = io.BytesIO()
    xml = XmlWriter(file)
    with xml.element("calibration"):
        xml.leaf("projection", calibration.type)
        xml.leaf("width", str(calibration.width))
        xml.leaf("height", str(calibration.height))
        write_parameters(xml, calibration)
        xml.leaf("date", datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
    xml.close()
    return file.getvalue()
