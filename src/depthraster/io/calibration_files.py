"""Calibration files: which format one is, by its content, and in which one is written.

Each format has its module, which turns what is in a file into lenses by name, and a calibration into a file:
``metashape_calibration.py``, ``opencv_storage.py``, ``colmap_cameras.py``, ``nerfstudio_transforms.py``. Here they are told
apart, and here is said what other files are. To add one: its module with these two functions, the line in `_found`,
`_found_in_xml`, `_found_in_json` or `_found_in_text` that knows its content, and its lines in `FORMATS` and `_content`.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from depthraster.errors import FormatError
from depthraster.io.calibration_elements import CALIBRATION_TAGS
from depthraster.io.calibration_options import Options
from depthraster.io.colmap_cameras import (
    colmap_bytes,
    colmap_text,
    found_in_binary,
    found_in_text,
    is_camera_line,
)
from depthraster.io.files import existing_file, written_whole
from depthraster.io.foreign_lenses import Found
from depthraster.io.metashape_calibration import AGAIN, calibration_bytes, found_in_calibration
from depthraster.io.nerfstudio_transforms import found_in_transforms, is_transforms, transforms_text
from depthraster.io.opencv_storage import STORAGE_TAGS, found_in_storage, is_known, storage_text
from depthraster.io.storage_values import values_of_xml, values_of_yaml
from depthraster.io.xml_tree import PrunedTree, read_tree
from depthraster.io.xml_values import listed, quoted, unfit

if TYPE_CHECKING:
    from depthraster.calibration import Calibration

__all__ = ["FORMATS", "SUFFIXES", "load_calibration", "load_calibrations", "save_calibration"]

FORMATS = ("metashape", "opencv", "colmap", "nerfstudio")
# What is written where only the suffix says.
SUFFIXES = {
    ".xml": "metashape", ".yml": "opencv", ".yaml": "opencv", ".txt": "colmap", ".bin": "colmap", ".json": "nerfstudio",
}  # fmt: skip
_MOST_BYTES = 1 << 26  # half a million cameras of COLMAP's; XML is read piece by piece, whatever its length
_NEEDED = (
    "a calibration of Metashape's (XML), OpenCV's (XML, YAML, JSON), COLMAP's (cameras.txt, cameras.bin) or nerfstudio's "
    "(transforms.json) is needed"
)
_BLOCK = 1 << 20
_FIRST = re.compile(r"^[ \t]*([^#\s].*)$", re.MULTILINE)  # the first line that is neither blank nor a comment
_LISTED = 8  # cameras that a message lists
_OTHER = "choose another file"
# What other files begin with, what they are, and what to do with them.
_MAGIC = {
    b"\xff\xd8\xff": ("a JPEG image", _OTHER), b"\x89PNG": ("a PNG image", _OTHER), b"II*\0": ("a TIFF image", _OTHER),
    b"II+\0": ("a TIFF image", _OTHER), b"MM\0*": ("a TIFF image", _OTHER), b"v/1\x01": ("an OpenEXR image", _OTHER),
    b"%PDF": ("a PDF document", _OTHER), b"\x93NUMPY": ("a NumPy array", _OTHER), b"glTF": ("a GLB mesh", _OTHER),
    b"ply\n": ("a PLY mesh", _OTHER), b"ply\r": ("a PLY mesh", _OTHER),
    b"PK\x03\x04": ("a zip archive", "read a Metashape project with load_chunk, or unpack the archive"),
    b"\x1f\x8b": ("packed with gzip", "unpack it"),
}  # fmt: skip
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BLANK = b" \t\r\n\xef\xbb\xbf"  # and the byte order mark of UTF-8


def load_calibration(
    path: str | os.PathLike[str],
    camera: str | int | None,
    options: Options,
    fit: bool | float,
) -> Calibration:
    """Read one calibration, see `Calibration.load`; warnings are for the caller's caller."""
    notes: list[str] = []
    found = _found(Path(path), options, notes)
    calibration = _chosen(found, camera, str(path)).calibration(fit, notes)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)
    return calibration


def load_calibrations(
    path: str | os.PathLike[str],
    *,
    width: int | None = None,
    height: int | None = None,
    fisheye: bool | None = None,
    pixel_center: float | None = None,
    fit: bool | float = False,
) -> dict[str | int, Calibration]:
    """Read all calibrations in a file.

    Parameters
    ----------
    path : str or path
        The file, of any of the formats that `Calibration.load` reads.
    width, height, fisheye, pixel_center, fit
        As for `Calibration.load`, for each of them.

    Returns
    -------
    dict
        The calibrations by what tells them apart, in the file's order: of COLMAP the camera's id (int), of nerfstudio the
        frame's ``file_path``, of OpenCV's stereo pairs what the names end in (``"1"`` of ``M1``); ``""`` where a file is of
        one camera. Frames with the same lens share one value.

    Raises
    ------
    FormatError, OSError
        As `Calibration.load`, which reads one of several where another cannot be had.

    Warns
    -----
    UserWarning
        As `Calibration.load`.
    """
    notes: list[str] = []
    made: dict[int, Calibration] = {}
    found = _found(Path(path), Options(width, height, fisheye, pixel_center), notes)
    for item in found.values():
        if id(item) not in made:
            made[id(item)] = item.calibration(fit, notes)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    return {name: made[id(item)] for name, item in found.items()}


def save_calibration(
    calibration: Calibration, path: str | os.PathLike[str], format: str | None, pixel_center: float | None
) -> None:
    """Write a calibration, see `Calibration.save`."""
    suffix = Path(path).suffix.lower()
    if format is None:
        if suffix not in SUFFIXES:
            raise ValueError(
                f"{os.fspath(path)}: the suffix {suffix!r} is of no format; one of {', '.join(FORMATS)} is needed: say "
                "which with format="
            )
        format = SUFFIXES[suffix]
    if format not in FORMATS:
        raise ValueError(
            f"the format is {format!r}, which does not exist; one of {', '.join(FORMATS)} is needed: pass one of them"
        )
    if pixel_center is not None and format != "opencv":
        raise ValueError(
            f"pixel_center is {pixel_center!r}, but the format is {format!r}, which fixes how pixels are counted; it is "
            'needed for "opencv" only: leave it out'
        )
    content = _content(calibration, format, suffix, 0.0 if pixel_center is None else pixel_center)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def _content(calibration: Calibration, format: str, suffix: str, pixel_center: float) -> bytes:
    if format == "metashape":
        return calibration_bytes(calibration)
    if format == "opencv":
        kind = suffix[1:] if suffix in (".xml", ".json") else "yaml"
        return storage_text(calibration, kind, pixel_center).encode()
    if format == "colmap":
        return colmap_bytes(calibration) if suffix == ".bin" else colmap_text(calibration).encode()
    return transforms_text(calibration).encode()


def _chosen(found: dict[str | int, Found], camera: str | int | None, source: str) -> Found:
    """Return the lens that is asked for; any where all are the same and none is."""
    if camera is None:
        first, *others = found.values()
        if all(item is first or item.lens == first.lens for item in others):
            return first
        raise FormatError(
            f"{source}: there are {len(found)} cameras, {listed(list(found), _LISTED)}; one is needed: say which one with "
            "camera=, or read them all with load_calibrations"
        )
    if list(found) == [""]:
        raise ValueError(
            f"{source}: camera is {camera!r}, but the file is of one camera without a name; none is needed: leave "
            "camera= out"
        )
    names = [name for name in found if name == camera or str(name) == str(camera)]
    if len(names) != 1 or isinstance(camera, bool):
        raise ValueError(
            f"{source}: no camera is camera={camera!r}; one of {listed(list(found), _LISTED)} is needed: pass its name"
        )
    return found[names[0]]


# --- what a file is -------------------------------------------------------------------------------------------------------


def _found(path: Path, options: Options, notes: list[str]) -> dict[str | int, Found]:
    """Return the lenses in a file by their names, whatever format it is."""
    source = str(existing_file(path, "a calibration file"))
    with path.open("rb") as file:
        head = file.read(1 << 12)
        file.seek(0)
        if head.startswith(_UTF16) or head.lstrip(_BLANK).startswith(b"<"):
            return _found_in_xml(file, source, head, options, notes)
        for magic, (what, remedy) in _MAGIC.items():
            if head.startswith(magic):
                raise unfit(source, f"this is {what}", _NEEDED, remedy)
        data = _read(file)
    if not data.strip(_BLANK):
        raise unfit(source, "the file is empty", _NEEDED, "save or copy it again")
    if len(data) > _MOST_BYTES:
        raise unfit(source, f"there are more than {_MOST_BYTES} bytes", _NEEDED, _OTHER)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return found_in_binary(data, source, options)
    if text.lstrip().startswith("{"):
        return _found_in_json(text, source, options)
    return _found_in_text(text, source, options)


def _read(file: IO[bytes]) -> bytes:
    """Return what is in a file, up to one byte more than is allowed; in blocks, for `read` makes room for all at once."""
    blocks, n_bytes = [], 0
    while n_bytes <= _MOST_BYTES and (block := file.read(min(_BLOCK, _MOST_BYTES + 1 - n_bytes))):
        blocks.append(block)
        n_bytes += len(block)
    return b"".join(blocks)


def _found_in_xml(
    file: IO[bytes], source: str, head: bytes, options: Options, notes: list[str]
) -> dict[str | int, Found]:
    opencv = b"<opencv_storage" in head
    tree = PrunedTree(
        STORAGE_TAGS if opencv else CALIBRATION_TAGS, source, "OpenCV" if opencv else "Metashape"
    )
    root = read_tree(file, tree, "save it with cv2.FileStorage again" if opencv else AGAIN)
    if root.tag == "calibration" and not opencv:
        return found_in_calibration(root, source, options, notes)
    if root.tag == "opencv_storage" and opencv:
        return found_in_storage(values_of_xml(root), source, options)
    if root.tag in ("document", "collection", "chunk"):
        raise unfit(
            source,
            "this holds the cameras of a Metashape chunk, each with its calibration",
            "the calibration of one lens is needed",
            "read the file with load_chunk, and take the calibration of one of its cameras",
        )
    raise unfit(source, f"the XML is a <{root.tag[:40]}>", _NEEDED, AGAIN)


def _found_in_json(text: str, source: str, options: Options) -> dict[str | int, Found]:
    def no_number(word: str) -> Any:
        raise ValueError(f"{word} is no number")

    try:
        # Numbers stay text, which has all their digits.
        data = json.loads(text, parse_float=str, parse_int=str, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{source}: not read as JSON ({error}); a whole JSON file is needed: save or copy it again"
        ) from None
    if is_transforms(data):
        return found_in_transforms(data, source, options)
    if any(is_known(name, "matrix") for name in data):
        return found_in_storage(data.items(), source, options)
    raise unfit(source, "the JSON has neither fl_x nor camera_matrix", _NEEDED, _OTHER)


def _found_in_text(text: str, source: str, options: Options) -> dict[str | int, Found]:
    found = _FIRST.search(text)
    first = found[1] if found else ""
    if is_camera_line(first) or (not first and "CAMERA_ID" in text):
        return found_in_text(text, source, options)
    if first.startswith(("%YAML", "---")) or ":" in first:
        return found_in_storage(values_of_yaml(text, source, is_known), source, options)
    begins = f"the text begins with {quoted(first.strip())}" if found else "there is nothing but comments"
    raise unfit(source, begins, _NEEDED, _OTHER)
