"""Files with K and distortion coefficients: OpenCV's FileStorage in XML, YAML and JSON, and ROS' camera_info.

OpenCV fixes how a matrix is written and leaves the names to its users; `_NAMES` has those that its samples, Metashape, ROS
and well-known tools write, without regard to case and underscores. The rest of a file (patterns, poses, errors) is stepped
over. What the numbers mean is ``opencv_lens.py``'s, how values stand in a file is ``storage_values.py``'s. The commonest
change is another name: in `_NAMES`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from depthraster.errors import FormatError
from depthraster.io.calibration_options import Options, side
from depthraster.io.foreign_lenses import Found, decimal_number, written
from depthraster.io.opencv_lens import opencv_lens, opencv_numbers
from depthraster.io.storage_values import Value
from depthraster.io.xml_values import quoted, unfit

if TYPE_CHECKING:
    from depthraster.calibration import Calibration

__all__ = ["FORMATS", "STORAGE_TAGS", "found_in_storage", "is_known", "storage_text"]

FORMATS = ("xml", "yaml", "json")
_AGAIN = "save it as OpenCV does, with camera_matrix, distortion_coefficients, image_width and image_height"
# What a value is, and the names that it goes by, in lower case and without underscores.
_NAMES = {
    "matrix": ("cameramatrix", "cameramat", "intrinsicmatrix", "intrinsics", "intrinsic", "mtx", "k", "m"),
    "coefficients": (
        "distortioncoefficients", "distortioncoeffs", "distortioncoeff", "distcoefficients", "distcoeffs", "distcoeff",
        "distortion", "dist", "d",
    ),
    "width": ("imagewidth", "imgwidth", "width"),
    "height": ("imageheight", "imgheight", "height"),
    "size": ("imagesize", "imgsize", "cameraresolution", "resolution"),
    "model": ("distortionmodel",),
    "camera": ("cameramodel",),
    "fisheye": ("fisheyemodel", "fisheye", "isfisheye"),
}  # fmt: skip
_MEANINGS = {name: meaning for meaning, names in _NAMES.items() for name in names}
_OF_SEVERAL = re.compile(r"([a-z]+?)(\d{1,3}|left|right)", re.ASCII)  # M1, D1, M2, D2 of a stereo pair
# The words of ROS (plumb_bob, rational_polynomial, equidistant) and of others: whether the lens is a fisheye, or no word on
# it, since others call a pinhole what has a fisheye's distortion.
_MODELS = {
    "plumbbob": False, "rationalpolynomial": False, "radtan": False, "brownconrady": False, "opencv": False,
    "equidistant": True, "equi": True, "fisheye": True, "opencvfisheye": True, "kannalabrandt": True,
    "pinhole": None, "none": None, "": None,
}  # fmt: skip
_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class _Named(NamedTuple):
    """A value with the name under which it stands."""

    name: str
    value: Value


class _StorageTags:
    """The tags of the elements that are read, for `PrunedTree`."""

    def __contains__(self, tag: object) -> bool:
        return tag in ("rows", "cols", "data", "_") or is_known(str(tag))


STORAGE_TAGS = _StorageTags()


def is_known(name: str, meaning: str | None = None) -> bool:
    """Return whether a name is one of those that are read; of one meaning, where that is given."""
    known = _meaning(name)
    return known is not None and meaning in (None, known[0])


def _meaning(name: str) -> tuple[str, str] | None:
    """Return what is called so, and which camera's it is ("" in files of one)."""
    plain = re.sub(r"[\s_.\-]", "", name).lower()
    if plain in _MEANINGS:
        return _MEANINGS[plain], ""
    several = _OF_SEVERAL.fullmatch(plain)
    if several and several[1] in _MEANINGS:
        return _MEANINGS[several[1]], several[2]
    return None


def found_in_storage(
    values: Iterable[tuple[str, Value]], source: str, options: Options
) -> dict[str | int, Found]:
    """Return the lenses that a file holds: of one camera under its name "", of several by what their names end in.

    Parameters
    ----------
    values : iterable of (str, value)
        Names and values; those with other names than ours are left out.
    source : str
        What messages begin with.
    options : Options
        What the caller says of the file.

    Raises
    ------
    FormatError
        No camera matrix, no distortion coefficients, a name twice, a value that is no matrix or number, a lens model that
        does not exist, a size that is missing or contradicts the caller's.
    """
    by_camera: dict[str, dict[str, _Named]] = {"": {}}
    for name, value in values:
        known = _meaning(name)
        if known is None:
            continue
        meaning, camera = known
        if camera and meaning in ("matrix", "coefficients") and isinstance(value, str):
            continue  # k1 as one number is a coefficient of another format
        of_camera = by_camera.setdefault(camera, {})
        if meaning in of_camera:
            raise unfit(
                source,
                f"{quoted(of_camera[meaning].name)} and {quoted(name)} are both there, and mean the same",
                "one of them is needed",
                "take the other out",
            )
        of_camera[meaning] = _Named(name, value)
    shared = by_camera[""]
    cameras = [camera for camera, of_camera in by_camera.items() if "matrix" in of_camera]
    if not cameras:
        raise unfit(source, "there is no camera matrix under any name that is known", "one is needed", _AGAIN)
    found: dict[str | int, Found] = {}
    for camera in cameras:
        where = f"{source}: camera {quoted(camera)}" if len(cameras) > 1 else source
        found[camera if len(cameras) > 1 else ""] = _found(shared | by_camera[camera], where, options)
    return found


def _found(values: Mapping[str, _Named], where: str, options: Options) -> Found:
    matrix_name, matrix = values["matrix"]
    numbers = _matrix(matrix, f"{where}: {quoted(matrix_name)}", (3, 3))
    if "coefficients" not in values:  # they may be there under a name that we do not know
        raise unfit(
            where,
            f"there are no distortion coefficients beside {quoted(matrix_name)}",
            "some are needed, none at all being said by an empty list",
            _AGAIN,
        )
    coefficients_name, coefficients = values["coefficients"]
    distortion = _matrix(coefficients, f"{where}: {quoted(coefficients_name)}", None)
    fisheye = options.is_fisheye(where, _is_fisheye(values, where))
    width, height = options.size(where, *_size(values, where))
    try:
        lens = opencv_lens(
            numbers,
            [float(value) for value in distortion],
            width,
            height,
            fisheye=fisheye,
            pixel_center=options.center(0.0),
        )
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
    return Found(where, lens)


def _matrix(value: Value, where: str, shape: tuple[int, int] | None) -> list[Decimal]:
    """Return the numbers of a matrix, row by row: one of OpenCV's, or a list, or a list of rows."""
    again = _AGAIN
    dimensions: list[int] = []
    if isinstance(value, Mapping):
        if "data" not in value:
            raise unfit(where, "it has no data", "a matrix is needed", again)
        dimensions = [
            side(value[name], f"{where} {name}", again) for name in ("rows", "cols") if name in value
        ]
        value = value["data"]
    elif isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, list):
        raise unfit(where, f"{quoted(value)} stands there", "a matrix is needed", again)
    rows = value if value and all(isinstance(row, list) for row in value) else [value]
    if len(rows) > 1:
        if len({len(row) for row in rows}) > 1:
            raise unfit(where, "its rows are not equally long", "a matrix is needed", again)
        dimensions = dimensions or [len(rows), len(rows[0])]
    numbers = [_number(item, where) for row in rows for item in row]
    if len(dimensions) == 2 and dimensions[0] * dimensions[1] != len(numbers):
        raise unfit(
            where,
            f"{len(numbers)} numbers stand there",
            f"{dimensions[0]} x {dimensions[1]} are needed, as it says itself",
            again,
        )
    if shape is not None and (
        len(numbers) != shape[0] * shape[1] or (len(dimensions) == 2 and tuple(dimensions) != shape)
    ):
        what = " x ".join(map(str, dimensions)) if len(dimensions) == 2 else str(len(numbers))
        raise unfit(where, f"{what} numbers stand there", f"{shape[0]} x {shape[1]} are needed", again)
    return numbers


def _number(item: Value, where: str) -> Decimal:
    try:
        return decimal_number(item)
    except (ValueError, AttributeError, TypeError):
        raise unfit(where, f"{quoted(item)} stands there", "a finite number is needed", _AGAIN) from None


def _size(values: Mapping[str, _Named], where: str) -> tuple[int | None, int | None]:
    """Return what a file says of the image's size, width before height as in OpenCV's cv::Size."""
    sides: dict[str, int] = {}
    if "size" in values:
        name, value = values["size"]
        texts = value.replace(",", " ").split() if isinstance(value, str) else value
        if isinstance(texts, Mapping):
            texts = [texts.get("width"), texts.get("height")]
        if not isinstance(texts, list) or len(texts) != 2:
            raise unfit(
                f"{where}: {quoted(name)}",
                f"{quoted(value)} stands there",
                "width and height are needed",
                _AGAIN,
            )
        sides = {
            what: side(text, f"{where}: {quoted(name)}", _AGAIN)
            for what, text in zip(("width", "height"), texts, strict=True)
        }
    for what in ("width", "height"):
        if what not in values:
            continue
        name, value = values[what]
        number = side(value, f"{where}: {quoted(name)}", _AGAIN)
        if sides.setdefault(what, number) != number:
            raise unfit(
                where,
                f"{quoted(name)} is {number} and {quoted(values['size'].name)} says {sides[what]}",
                "one size is needed",
                "take the wrong one out",
            )
    return sides.get("width"), sides.get("height")


def _is_fisheye(values: Mapping[str, _Named], where: str) -> bool | None:
    """Return what a file says of its lens model: OpenCV's calibration sample by a number, ROS and others by a word."""
    said: dict[str, bool | None] = {}
    if "fisheye" in values:
        name, value = values["fisheye"]
        word = str(value).strip().lower()
        if word not in _TRUTH:
            raise unfit(
                f"{where}: {quoted(name)}", f"{quoted(value)} stands there", "1 or 0 is needed", _AGAIN
            )
        said[name] = _TRUTH[word]
    for meaning in ("model", "camera"):
        if meaning not in values:
            continue
        name, value = values[meaning]
        word = re.sub(r"[\s_.\-]", "", str(value)).lower()
        if word not in _MODELS:
            raise unfit(
                f"{where}: {quoted(name)}",
                f"the lens model is {quoted(value)}, which is none of OpenCV's",
                "plumb_bob, rational_polynomial, equidistant or fisheye is needed",
                "calibrate with one of those",
            )
        said[name] = _MODELS[word]
    said = {name: fisheye for name, fisheye in said.items() if fisheye is not None}
    if len(set(said.values())) > 1:
        raise unfit(
            where,
            f"{' and '.join(quoted(name) for name in said)} contradict each other",
            "one lens model is needed",
            "take the wrong one out",
        )
    return next(iter(said.values()), None)


# --- writing --------------------------------------------------------------------------------------------------------------


def storage_text(calibration: Calibration, kind: str, pixel_center: float) -> str:
    """Return a file with a calibration as cv2.FileStorage reads it: of `FORMATS`, with all digits.

    Raises
    ------
    ValueError
        The lens is none of OpenCV's.
    """
    matrix, coefficients = opencv_numbers(calibration, pixel_center)
    fisheye = int(calibration.type == "fisheye")
    scalars = {"image_width": calibration.width, "image_height": calibration.height, "fisheye_model": fisheye}
    matrices = {
        "camera_matrix": (3, 3, [written(number) for number in matrix]),
        "distortion_coefficients": (len(coefficients), 1, [written(number) for number in coefficients]),
    }
    return {"xml": _xml, "yaml": _yaml, "json": _json}[kind](scalars, matrices)


_Scalars = Mapping[str, int]
_Matrices = Mapping[str, tuple[int, int, list[str]]]


def _xml(scalars: _Scalars, matrices: _Matrices) -> str:
    lines = ['<?xml version="1.0"?>', "<opencv_storage>"]
    lines += [f"<{name}>{value}</{name}>" for name, value in scalars.items()]
    for name, (rows, cols, numbers) in matrices.items():
        lines += [
            f'<{name} type_id="opencv-matrix">',
            f"  <rows>{rows}</rows>",
            f"  <cols>{cols}</cols>",
            "  <dt>d</dt>",
            f"  <data>{' '.join(numbers)}</data></{name}>",
        ]
    return "\n".join([*lines, "</opencv_storage>", ""])


def _yaml(scalars: _Scalars, matrices: _Matrices) -> str:
    lines = ["%YAML:1.0", "---"]  # what OpenCV needs to see
    lines += [f"{name}: {value}" for name, value in scalars.items()]
    for name, (rows, cols, numbers) in matrices.items():
        lines += [f"{name}: !!opencv-matrix", f"   rows: {rows}", f"   cols: {cols}", "   dt: d"]
        lines += [f"   data: [ {', '.join(numbers)} ]"]
    return "\n".join([*lines, ""])


def _json(scalars: _Scalars, matrices: _Matrices) -> str:
    items = [f'    "{name}": {value}' for name, value in scalars.items()]
    items += [
        f'    "{name}": {{\n        "type_id": "opencv-matrix",\n        "rows": {rows},\n        "cols": {cols},\n'
        f'        "dt": "d",\n        "data": [ {", ".join(numbers)} ]\n    }}'
        for name, (rows, cols, numbers) in matrices.items()
    ]
    return "{\n" + ",\n".join(items) + "\n}\n"
