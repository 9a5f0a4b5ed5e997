"""COLMAP's cameras, ``cameras.txt`` and ``cameras.bin``, to lenses and back.

COLMAP counts pixels as Metashape does, the first one's centre at (0.5, 0.5), and names p1 and p2 as OpenCV does. Its models
are told apart by `_MODELS`: their parameters in order, as COLMAP's ``sensor/models`` lists them, and how they distort. Those
that are polynomials are Metashape's own; the others can be fitted. The commonest change is a new model of COLMAP's: a line
in `_MODELS`, a function beside `_fov` where it is no polynomial.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import StringIO
from typing import NamedTuple

import numpy as np

from depthraster.calibration import Calibration
from depthraster.errors import FormatError
from depthraster.io.calibration_options import Options
from depthraster.io.foreign_lenses import (
    Array,
    Distort,
    ForeignLens,
    Found,
    decimal_number,
    in_foreign_terms,
    written,
)
from depthraster.io.opencv_lens import distort as opencv_distort
from depthraster.io.xml_values import listed, quoted, unfit

__all__ = ["colmap_bytes", "colmap_text", "found_in_binary", "found_in_text", "is_camera_line"]

_AGAIN = "export the model from COLMAP again, as cameras.txt or cameras.bin"
_LINE = re.compile(r"\s*\d+\s+[A-Z][A-Z0-9_]*\s+\d+\s+\d+(?:\s|$)", re.ASCII)
_HEAD = struct.Struct("<IiQQ")  # camera id, model id, width, height


class _Model(NamedTuple):
    """A camera model of COLMAP's."""

    id: int  # in binary files
    parameters: str  # in their order, by COLMAP's names
    plane: str = "frame"
    terms: Mapping[str, str] = {}  # those of ours whose names are others
    others: str = ""  # those that we have not
    distort: Distort | None = None


def _thin_prism(x: Array, y: Array, c: Mapping[str, float]) -> tuple[Array, Array]:
    """Return where THIN_PRISM_FISHEYE takes points of the fisheye's plane."""
    r2 = x * x + y * y
    radial = 1 + r2 * (c["k1"] + r2 * (c["k2"] + r2 * (c["k3"] + r2 * c["k4"])))
    p1, p2 = c["p1"], c["p2"]
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + c["sx1"] * r2,
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + c["sy1"] * r2,
    )


def _rad_tan_thin_prism(x: Array, y: Array, c: Mapping[str, float]) -> tuple[Array, Array]:
    """Return where RAD_TAN_THIN_PRISM_FISHEYE does, Project Aria's: all else acts on what is distorted radially."""
    r2 = x * x + y * y
    radial, power = np.ones_like(r2), np.ones_like(r2)
    for name in ("k0", "k1", "k2", "k3", "k4", "k5"):
        power = power * r2
        radial = radial + c[name] * power
    x, y = x * radial, y * radial
    r2 = x * x + y * y
    p0, p1 = c["p0"], c["p1"]
    return (
        x + 2 * p1 * x * y + p0 * (r2 + 2 * x * x) + r2 * (c["s0"] + r2 * c["s1"]),
        y + 2 * p0 * x * y + p1 * (r2 + 2 * y * y) + r2 * (c["s2"] + r2 * c["s3"]),
    )


def _fov(x: Array, y: Array, c: Mapping[str, float]) -> tuple[Array, Array]:
    """Return where FOV does (Devernay and Faugeras 2001)."""
    r = np.maximum(np.hypot(x, y), 1e-12)
    factor = np.arctan(2 * r * math.tan(c["omega"] / 2)) / (r * c["omega"])
    return x * factor, y * factor


def _division(x: Array, y: Array, c: Mapping[str, float]) -> tuple[Array, Array]:
    """Return where DIVISION does (Fitzgibbon 2001)."""
    factor = 2 / (1 + np.sqrt(1 - 4 * c["k"] * (x * x + y * y)))
    return x * factor, y * factor


def _eucm(x: Array, y: Array, c: Mapping[str, float]) -> tuple[Array, Array]:
    """Return where EUCM does (Khomutenko, Garcia and Martinet 2016)."""
    factor = 1 / (c["alpha"] * np.sqrt(c["beta"] * (x * x + y * y) + 1) + 1 - c["alpha"])
    return x * factor, y * factor


_MODELS = {
    "SIMPLE_PINHOLE": _Model(0, "f cx cy"),
    "PINHOLE": _Model(1, "fx fy cx cy"),
    "SIMPLE_RADIAL": _Model(2, "f cx cy k", terms={"k": "k1"}),
    "RADIAL": _Model(3, "f cx cy k1 k2"),
    "OPENCV": _Model(4, "fx fy cx cy k1 k2 p1 p2"),
    "OPENCV_FISHEYE": _Model(5, "fx fy cx cy k1 k2 k3 k4", "fisheye"),
    "FULL_OPENCV": _Model(
        6, "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6", others="k4 k5 k6", distort=opencv_distort
    ),
    "FOV": _Model(7, "fx fy cx cy omega", others="omega", distort=_fov),
    "SIMPLE_RADIAL_FISHEYE": _Model(8, "f cx cy k", "fisheye", terms={"k": "k1"}),
    "RADIAL_FISHEYE": _Model(9, "f cx cy k1 k2", "fisheye"),
    "THIN_PRISM_FISHEYE": _Model(
        10, "fx fy cx cy k1 k2 p1 p2 k3 k4 sx1 sy1", "fisheye", others="sx1 sy1", distort=_thin_prism
    ),
    "RAD_TAN_THIN_PRISM_FISHEYE": _Model(
        11, "fx fy cx cy k0 k1 k2 k3 k4 k5 p0 p1 s0 s1 s2 s3", "fisheye",
        terms={"k0": "k1", "k1": "k2", "k2": "k3", "k3": "k4"}, others="k4 k5 p0 p1 s0 s1 s2 s3",
        distort=_rad_tan_thin_prism,
    ),
    "SIMPLE_DIVISION": _Model(12, "f cx cy k", others="k", distort=_division),
    "DIVISION": _Model(13, "fx fy cx cy k", others="k", distort=_division),
    "SIMPLE_FISHEYE": _Model(14, "f cx cy", "fisheye"),
    "FISHEYE": _Model(15, "fx fy cx cy", "fisheye"),
    "EUCM": _Model(16, "fx fy cx cy alpha beta", others="alpha", distort=_eucm),
    "EQUIRECTANGULAR": _Model(17, "w h", "spherical"),
    "SKEWED_PINHOLE": _Model(18, "fx fy cx cy s", terms={"s": "skew"}),
    "BROWN_CONRADY": _Model(19, "f cx cy k1 k2 k3 p1 p2"),
}  # fmt: skip
_NAMES = {model.id: name for name, model in _MODELS.items()}
_OURS = frozenset(("k1", "k2", "k3", "k4", "p1", "p2", "skew"))
# What is written: the first that has all terms of a lens. A fisheye's p1 and p2 need THIN_PRISM_FISHEYE.
_WRITTEN = {
    "frame": ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"),
    "fisheye": ("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE", "THIN_PRISM_FISHEYE"),
}


def is_camera_line(line: str) -> bool:
    """Return whether a line of text is one of ``cameras.txt``."""
    return _LINE.match(line) is not None


def found_in_text(text: str, source: str, options: Options) -> dict[str | int, Found]:
    """Return the lenses of a ``cameras.txt`` by their camera ids; FormatError where a line is none."""
    found: dict[str | int, Found] = {}
    for number, line in enumerate(StringIO(text), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = line.split()
        if not is_camera_line(line):
            raise unfit(
                f"{source}: line {number}",
                f"{quoted(line.strip())} stands there",
                "CAMERA_ID, MODEL, WIDTH, HEIGHT and parameters are needed",
                _AGAIN,
            )
        camera, name, width, height, *texts = fields
        where = f"{source}: camera {camera[:20]}"
        if name not in _MODELS:
            raise _unknown(where, name)
        parameters = []
        for item in texts:
            try:
                parameters.append(decimal_number(item))
            except ValueError:
                raise unfit(
                    where, f"{quoted(item)} stands there", "a finite number is needed", _AGAIN
                ) from None
        _add(found, int(camera[:20]), name, int(width[:20]), int(height[:20]), parameters, where, options)
    return _some(found, source)


def found_in_binary(data: bytes, source: str, options: Options) -> dict[str | int, Found]:
    """Return the lenses of a ``cameras.bin`` by their camera ids; FormatError where it is none, to the last byte."""
    again = f"{_AGAIN}; images.bin and points3D.bin hold no calibrations"
    needed = "a cameras.bin of COLMAP is needed"
    if len(data) < 8:
        raise unfit(source, f"there are {len(data)} bytes", needed, again)
    (count,) = struct.unpack_from("<Q", data)
    if count > len(data) // _HEAD.size or (count == 0 and len(data) > 8):
        raise unfit(source, "this is no file that is known, or a damaged one", needed, again)
    found: dict[str | int, Found] = {}
    start = 8
    for _ in range(count):
        if len(data) - start < _HEAD.size:
            raise unfit(source, f"the file ends within camera {len(found) + 1} of {count}", needed, again)
        camera, model, width, height = _HEAD.unpack_from(data, start)
        where = f"{source}: camera {camera}"
        if model not in _NAMES:
            raise unfit(where, f"the lens model has the number {model}, which is not known", needed, again)
        name = _NAMES[model]
        layout = struct.Struct(f"<{len(_MODELS[name].parameters.split())}d")
        start += _HEAD.size
        if len(data) - start < layout.size:
            raise unfit(source, f"the file ends within camera {len(found) + 1} of {count}", needed, again)
        numbers = layout.unpack_from(data, start)
        start += layout.size
        if not all(map(math.isfinite, numbers)):
            raise unfit(where, "a parameter is not finite", "finite numbers are needed", _AGAIN)
        _add(found, camera, name, width, height, [Decimal(number) for number in numbers], where, options)
    if start != len(data):
        raise unfit(source, f"{len(data) - start} bytes follow the last camera", needed, again)
    return _some(found, source)


def _unknown(where: str, name: str) -> FormatError:
    return FormatError(
        f"{where}: the lens model is {quoted(name)}, which COLMAP has not; one of {', '.join(_MODELS)} is needed: {_AGAIN}"
    )


def _some(found: dict[str | int, Found], source: str) -> dict[str | int, Found]:
    if not found:
        raise unfit(source, "there is no camera in it", "one is needed", _AGAIN)
    return found


def _add(
    found: dict[str | int, Found],
    camera: int,
    name: str,
    width: int,
    height: int,
    parameters: Sequence[Decimal],
    where: str,
    options: Options,
) -> None:
    if camera in found:
        raise unfit(where, "there are two with this id", "different ids are needed", _AGAIN)
    model = _MODELS[name]
    names = model.parameters.split()
    where = f"{where} ({name})"
    if len(parameters) != len(names):
        raise unfit(
            where, f"{len(parameters)} parameters stand there", f"{', '.join(names)} are needed", _AGAIN
        )
    size = options.size(where, width, height)
    options.refuse_other_center(where, 0.5)
    options.is_fisheye(where, model.plane == "fisheye")
    values = dict(zip(names, parameters, strict=True))
    found[camera] = Found(
        where, _panorama(values, size, where) if name == "EQUIRECTANGULAR" else _lens(name, values, size)
    )


def _lens(name: str, values: Mapping[str, Decimal], size: tuple[int, int]) -> ForeignLens:
    model = _MODELS[name]
    others = model.others.split()
    terms = {}
    for own, value in values.items():
        ours = model.terms.get(own, own)
        if own not in others and ours in _OURS:
            terms[ours] = value
    return ForeignLens(
        width=size[0],
        height=size[1],
        fx=values.get("fx", values.get("f", Decimal(0))),
        fy=values.get("fy", values.get("f", Decimal(0))),
        cx=values["cx"],
        cy=values["cy"],
        skew=terms.pop("skew", Decimal(0)),
        plane=model.plane,
        terms={term: float(value) for term, value in terms.items()},
        others={other: float(values[other]) for other in others},
        model=f"COLMAP's {name}",
        distort=model.distort,
        numbers={own: float(value) for own, value in values.items()},
    )


def _panorama(values: Mapping[str, Decimal], size: tuple[int, int], where: str) -> Calibration:
    if [values["w"], values["h"]] != [Decimal(side) for side in size]:
        raise unfit(
            where,
            f"the parameters say {float(values['w']):g} x {float(values['h']):g} and the size {size[0]} x {size[1]}",
            "one size is needed",
            _AGAIN,
        )
    if size[0] != 2 * size[1]:  # COLMAP stretches half a turn over whatever height there is
        raise unfit(
            where,
            f"the panorama has {size[0]} x {size[1]} pixels",
            "twice as many across as down are needed, as many in a degree either way",
            "resize it",
        )
    try:
        return Calibration(width=size[0], height=size[1], type="spherical")
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None


# --- writing --------------------------------------------------------------------------------------------------------------


def colmap_text(calibration: Calibration) -> str:
    """Return a ``cameras.txt`` with a calibration as camera 1, with all digits.

    Raises
    ------
    ValueError
        No model of COLMAP's has all of the lens.
    """
    name, parameters = _parameters(calibration)
    numbers = " ".join(written(number) for number in parameters)
    return (
        "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
        f"# Number of cameras: 1\n1 {name} {calibration.width} {calibration.height} {numbers}\n"
    )


def colmap_bytes(calibration: Calibration) -> bytes:
    """Return a ``cameras.bin``, as `colmap_text`; doubles have no room for all digits of a principal point."""
    name, parameters = _parameters(calibration)
    head = _HEAD.pack(1, _MODELS[name].id, calibration.width, calibration.height)
    return struct.pack("<Q", 1) + head + struct.pack(f"<{len(parameters)}d", *map(float, parameters))


def _parameters(calibration: Calibration) -> tuple[str, list[Decimal]]:
    """Return the simplest model that has all of a lens, and its parameters."""
    if calibration.type == "spherical":
        flat = Calibration(width=calibration.width, height=calibration.height, type="spherical")
        if calibration != flat or calibration.width != 2 * calibration.height:
            raise ValueError(
                "the panorama is no whole one with as many pixels in a degree across as down, cx and cy 0, which COLMAP "
                "needs; width = 2 height and f = width / (2 pi) are needed: keep the calibration in Metashape's own format"
            )
        return "EQUIRECTANGULAR", [Decimal(calibration.width), Decimal(calibration.height)]
    if calibration.type not in _WRITTEN:
        raise ValueError(
            f"the lens is {calibration.type}, which COLMAP has not; {listed(list(_WRITTEN))} or 'spherical' is needed: keep "
            "the calibration in Metashape's own format"
        )
    most = _MODELS[_WRITTEN[calibration.type][-1]]
    has = frozenset(most.parameters.split()) & _OURS - frozenset(most.others.split())
    terms = in_foreign_terms(calibration, "COLMAP", has)
    for name in _WRITTEN[calibration.type]:
        model = _MODELS[name]
        values = {
            own: terms.get(model.terms.get(own, own), Decimal(0)) for own in model.parameters.split()
        } | {"f": terms["fy"]}
        values |= {own: Decimal(0) for own in model.others.split()}
        held = {model.terms.get(own, own) for own in values} - set(model.others.split())
        square = "fx" in model.parameters or terms["fx"] == terms["fy"]
        if square and all(not terms[term] or term in held for term in has):
            return name, [values[own] for own in model.parameters.split()]
    raise AssertionError("the last model has all terms")
