"""The lenses in a ``transforms.json``, nerfstudio's and instant-ngp's, and back.

One lens stands at the top of the file, or each frame has its own. Nerfstudio counts pixels as Metashape does: its rays go
through pixel centres at +0.5 (``cameras.py``, `get_image_coords`; its issue 3048 and pull request 3071 on half a pixel when
calling OpenCV). p1 and p2 are named as in OpenCV. Its k4 is the polynomial's fourth (``camera_utils.py``,
`_compute_residual_and_jacobian`; its issue 3355), not OpenCV's, and so Metashape's, for frame cameras and fisheyes alike. A
panorama has fl_x = fl_y = height. The commonest change is a camera model: a line in `_MODELS`.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from depthraster.calibration import Calibration
from depthraster.errors import FormatError
from depthraster.io.calibration_options import Options, side
from depthraster.io.foreign_lenses import ForeignLens, Found, decimal_number, in_foreign_terms, written
from depthraster.io.xml_values import quoted, unfit

__all__ = ["found_in_transforms", "is_transforms", "transforms_text"]

_AGAIN = "write transforms.json again, with w, h, fl_x, fl_y, cx and cy"
_MODELS = {
    "SIMPLE_PINHOLE": "frame", "PINHOLE": "frame", "SIMPLE_RADIAL": "frame", "RADIAL": "frame", "OPENCV": "frame",
    "OPENCV_FISHEYE": "fisheye", "EQUIRECTANGULAR": "spherical",
}  # fmt: skip
_TERMS = ("k1", "k2", "k3", "k4", "p1", "p2")
_OTHERS = ("k5", "k6")
_LENGTHS = ("fl_x", "fl_y", "cx", "cy", "w", "h")
_ANGLES = ("camera_angle_x", "camera_angle_y")
_NUMBERS = (*_LENGTHS, *_ANGLES, *_TERMS, *_OTHERS)
_WORDS = ("camera_model", "is_fisheye")
_PI = Decimal(math.pi)
_DIGITS = decimal.Context(prec=60)


def is_transforms(data: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is a ``transforms.json``."""
    return "fl_x" in data or "camera_angle_x" in data or isinstance(data.get("frames"), list)


def found_in_transforms(data: Mapping[str, Any], source: str, options: Options) -> dict[str | int, Found]:
    """Return the lenses of a ``transforms.json``, by the paths of the frames' images; "" where there are no frames.

    Parameters
    ----------
    data : mapping
        The JSON object, its numbers as text.
    source : str
        What messages begin with.
    options : Options
        What the caller says of the file.

    Raises
    ------
    FormatError
        A value that is missing or no number, frames that contradict the top of the file, a camera model that is none.
    """
    top = {name: data[name] for name in (*_NUMBERS, *_WORDS) if name in data}
    frames = data.get("frames", [])
    if not isinstance(frames, list):
        raise unfit(source, "frames is no list", "a list of frames is needed", _AGAIN)
    if not frames:
        return {"": _found(top, source, options)}
    found: dict[str | int, Found] = {}
    lenses: dict[tuple[Any, ...], Found] = {}  # thousands of frames share one
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise unfit(source, f"frame {number} is no object", "one with a file_path is needed", _AGAIN)
        label = frame.get("file_path")
        label = label if isinstance(label, str) else f"frame {number}"
        where = f"{source}: frame {quoted(label)}"
        own = {name: frame[name] for name in (*_NUMBERS, *_WORDS) if name in frame}
        for name in own.keys() & top.keys():
            if _plain(own[name]) != _plain(top[name]):
                raise unfit(
                    where,
                    f"{name} is {quoted(own[name])} here and {quoted(top[name])} at the top of the file",
                    "one value is needed",
                    "take it out of the top, where each frame has its own, or out of the frames",
                )
        if label in found:
            raise unfit(where, "there are two frames of this image", "different images are needed", _AGAIN)
        values = top | own
        key = tuple(sorted((name, str(value)) for name, value in values.items()))
        if key not in lenses:
            lenses[key] = _found(values, where if own else source, options)
        found[label] = lenses[key]
    return found


def _plain(value: Any) -> Any:
    """Return a value such that equal numbers are equal, however they are written."""
    try:
        return decimal_number(value)
    except (ValueError, AttributeError, TypeError):
        return value


def _found(values: Mapping[str, Any], where: str, options: Options) -> Found:
    numbers = {name: _number(values[name], name, where) for name in _NUMBERS if name in values}
    plane = _plane(values, where)
    options.refuse_other_center(where, 0.5)
    if options.is_fisheye(where, None if plane is None else plane == "fisheye"):
        plane = "fisheye"
    w, h = (side(values[name], f"{where}: {name}", _AGAIN) if name in values else None for name in ("w", "h"))
    width, height = options.size(where, w, h)
    fx, fy = _focal_lengths(numbers, width, height, where)
    cx = numbers.get("cx", Decimal(width) / 2)
    cy = numbers.get("cy", Decimal(height) / 2)
    if plane == "spherical":
        return Found(where, _panorama(width, height, fx, fy, cx, cy, where))
    return Found(
        where,
        ForeignLens(
            width=width,
            height=height,
            fx=fx,
            fy=fy,
            cx=cx,
            cy=cy,
            plane=plane or "frame",
            terms={name: float(numbers[name]) for name in _TERMS if name in numbers},
            others={name: float(numbers[name]) for name in _OTHERS if name in numbers},
            model="the lens",
        ),
    )


def _number(value: Any, name: str, where: str) -> Decimal:
    try:
        return decimal_number(value)
    except (ValueError, AttributeError, TypeError):
        raise unfit(
            f"{where}: {name}", f"{quoted(value)} stands there", "a finite number is needed", _AGAIN
        ) from None


def _plane(values: Mapping[str, Any], where: str) -> str | None:
    """Return the lens model; instant-ngp says of fisheyes what they are in a word of its own."""
    name, fisheye = values.get("camera_model"), values.get("is_fisheye")
    if fisheye not in (None, True, False):
        raise unfit(where, f"is_fisheye is {quoted(fisheye)}", "true or false is needed", _AGAIN)
    plane: str | None = "fisheye" if fisheye else None
    if name is None:
        return plane
    if name not in _MODELS:
        raise unfit(
            where,
            f"camera_model is {quoted(name)}, which has no counterpart",
            f"one of {', '.join(_MODELS)} is needed",
            "choose one of those",
        )
    if fisheye and _MODELS[name] != "fisheye":
        raise unfit(
            where, f"camera_model is {quoted(name)} and is_fisheye true", "one lens model is needed", _AGAIN
        )
    return _MODELS[name]


def _focal_lengths(
    numbers: Mapping[str, Decimal], width: int, height: int, where: str
) -> tuple[Decimal, Decimal]:
    """Return fl_x and fl_y; of NeRF's first files made of the angle of view, and one of the other where it is missing."""
    lengths = []
    for name, angle, pixels in (("fl_x", _ANGLES[0], width), ("fl_y", _ANGLES[1], height)):
        if name in numbers:
            lengths.append(numbers[name])
        elif angle in numbers:
            radians = float(numbers[angle])
            if not 0.0 < radians < math.pi:
                raise unfit(
                    where,
                    f"{angle} is {radians:g}",
                    "an angle of view between 0 and pi radians is needed",
                    _AGAIN,
                )
            lengths.append(Decimal(0.5 * pixels / math.tan(0.5 * radians)))
    if not lengths:
        raise unfit(where, "there is no fl_x", "the focal length is needed", _AGAIN)
    for length in lengths:
        if not length > 0:
            raise unfit(where, f"a focal length is {float(length):g}", "a positive one is needed", _AGAIN)
    return lengths[0], lengths[-1]


def _panorama(
    width: int, height: int, fx: Decimal, fy: Decimal, cx: Decimal, cy: Decimal, where: str
) -> Calibration:
    if fx != fy:
        raise unfit(
            where,
            f"fl_x is {float(fx):g} and fl_y {float(fy):g}, so the panorama has more pixels in a degree one way than the "
            "other",
            "both alike are needed",
            "resize it to twice as many pixels across as down",
        )
    flat = ForeignLens(width, height, fx, fy, cx, cy).without_others()
    f = float(_DIGITS.divide(fx, _PI))  # the angle is pi times (x - cx) / fl_x
    try:
        return Calibration(width=width, height=height, f=f, cx=flat.cx, cy=flat.cy, type="spherical")
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None


def transforms_text(calibration: Calibration) -> str:
    """Return a ``transforms.json`` with a lens and no frames, with all digits.

    Raises
    ------
    ValueError
        Nerfstudio has no such lens.
    """
    models = {"frame": "OPENCV", "fisheye": "OPENCV_FISHEYE", "spherical": "EQUIRECTANGULAR"}
    if calibration.type not in models:
        raise ValueError(
            f"the lens is {calibration.type}, which nerfstudio has not; frame, fisheye or spherical is needed: keep the "
            "calibration in Metashape's own format"
        )
    terms = in_foreign_terms(calibration, "nerfstudio", frozenset(_TERMS))
    if calibration.type == "spherical":
        whole_turn = calibration.f == calibration.width / (2.0 * math.pi)
        length = Decimal(calibration.width) / 2 if whole_turn else _DIGITS.multiply(terms["fy"], _PI)
        terms = {"fx": length, "fy": length, "cx": terms["cx"], "cy": terms["cy"]}
    names = {"fx": "fl_x", "fy": "fl_y"}
    lines = [f'  "camera_model": "{models[calibration.type]}"']
    lines += [f'  "{names.get(name, name)}": {written(number)}' for name, number in terms.items()]
    lines += [f'  "w": {calibration.width}', f'  "h": {calibration.height}', '  "frames": []']
    return "{\n" + ",\n".join(lines) + "\n}\n"
