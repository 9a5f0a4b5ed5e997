"""Metashape's cameras files (File > Export > Export Cameras, Agisoft XML; document versions 1.2 to 2.x) to a `Chunk`.

What Metashape writes where, and what other readers got wrong, is said beside the line that deals with it. Elements are
found by name and joined by id, never by position; what is missing is zero, identity or None; what this library does not
apply is warned about once per file. Values are ``chunk.py``'s. The commonest change is another element: a line in
`_sensor`, `_camera` or `chunk_from_element`.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from depthraster.calibration import TYPES, Calibration
from depthraster.chunk import Camera, Chunk, Region, Sensor
from depthraster.errors import FormatError
from depthraster.transforms import check_transform

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["chunk_from_element", "load_chunk"]

_log = logging.getLogger(__name__)
_EXPORT = "export the cameras from Metashape as Agisoft XML"
_NAMED = 3  # names that a warning lists


def load_chunk(path: str | os.PathLike[str], chunk: str | int | None = None) -> Chunk:
    """Read the cameras of a Metashape chunk.

    Cameras that are not aligned or are switched off are kept and marked. A slave of a rig gets its place from its
    master's.

    Parameters
    ----------
    path : str or path
        A cameras file in Metashape's own XML format, document version 1.2 or later.
    chunk : str or int, optional
        Which chunk, by label or by position from 0; needed only where the file has several.

    Returns
    -------
    Chunk
        Transforms are ``chunk_from_camera``, float64.

    Raises
    ------
    FormatError
        The file is no such file: no XML, truncated, with a document type or entities, of another kind, or with a number,
        a reference or a transform that cannot be; the message names the element.
    ValueError
        The file has no such chunk.
    OSError
        The file cannot be read.

    Warns
    -----
    UserWarning
        Once per kind: lens models that are not supported (calibration None), additional corrections and rolling shutter
        (not applied), calibrations made from the nominal focal length, cameras of other components than the active one,
        slaves of rigs whose place is not sure.
    """
    path = Path(path)
    root = _parse(path)
    chunks = _chunk_elements(root, path)
    return chunk_from_element(_chosen(chunks, chunk, path), str(path))


def _parse(path: Path) -> Element:
    """Return the root element; nothing outside the file is read, and nothing in it is expanded."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import parse

    if path.suffix.lower() in (".psx", ".psz") and path.exists():
        raise FormatError(f"{path}: this is a Metashape project; a cameras file is needed: {_EXPORT}")
    with path.open("rb") as file:
        try:
            root: Element = parse(file, forbid_dtd=True).getroot()
        except DefusedXmlException:
            raise FormatError(
                f"{path}: there is a document type or an entity, which a cameras file has not and which can be hostile; a "
                f"file as Metashape writes it is needed: {_EXPORT}"
            ) from None
        except (ParseError, ValueError, LookupError) as error:
            what = "the file is empty" if path.stat().st_size == 0 else f"not read as XML ({error})"
            raise FormatError(
                f"{path}: {what}; a whole cameras file is needed: {_EXPORT}, or copy it again"
            ) from None
    return root


def _chunk_elements(root: Element, path: Path) -> list[Element]:
    if root.tag == "collection":
        raise FormatError(
            f"{path}: this is the <collection> format of very old PhotoScan versions; <document> of version 1.2 or later "
            f"is needed: {_EXPORT} with a newer version"
        )
    if root.tag == "calibration":
        raise FormatError(f"{path}: this is the calibration of one lens; a cameras file is needed: {_EXPORT}")
    chunks = root.findall("chunk") or root.findall("chunks/chunk")
    # A project's files name others where their content is.
    if root.tag == "document" and any(element.get("path") is not None for element in (root, *chunks)):
        raise FormatError(f"{path}: this is a Metashape project; a cameras file is needed: {_EXPORT}")
    if root.tag != "document" or not chunks:
        raise FormatError(
            f"{path}: the XML is a <{root.tag}> without <chunk>; <document> with <chunk> is needed: {_EXPORT}"
        )
    return chunks


def _chosen(chunks: Sequence[Element], chunk: str | int | None, path: Path) -> Element:
    if chunk is None and len(chunks) == 1:
        return chunks[0]
    labels = [element.get("label", "") for element in chunks]
    if chunk is None:
        raise FormatError(
            f"{path}: there are {len(chunks)} chunks, {_listed(labels, 20)}; one is needed: say which one with chunk=, or "
            "export each to its own file"
        )
    positions = [k for k, label in enumerate(labels) if chunk in (k, label) and not isinstance(chunk, bool)]
    if len(positions) != 1:
        raise ValueError(
            f"{path}: {len(positions)} chunks are chunk={chunk!r}; one of {_listed(labels, 20)} is needed: give a label, or "
            f"a position 0 ... {len(chunks) - 1}"
        )
    return chunks[positions[0]]


def chunk_from_element(element: Element, source: str) -> Chunk:
    """Return what a ``<chunk>`` element says; messages begin with ``source``. Errors and warnings as `load_chunk`."""
    notes: dict[str, list[str]] = {}
    transform, active = _world_from_chunk(element, source)
    sensors: dict[int, Sensor] = {}
    for child in element.iterfind("sensors/sensor"):
        sensor = _sensor(child, source, notes)
        if sensor.id in sensors:
            raise _unfit(source, f"two sensors have the id {sensor.id}", "different ids are needed")
        sensors[sensor.id] = sensor
    cameras = _cameras(element.find("cameras"), sensors, source, notes)
    crs = element.findtext("reference", "").strip()
    chunk = Chunk(
        label=element.get("label", ""),
        cameras=tuple(_with_rigs(cameras, sensors, transform, notes)),
        sensors=tuple(sensors.values()),
        transform=transform,
        region=_region(element, active, source),
        crs=crs or None,
    )
    _note_cameras(chunk, active, notes)
    for message, names in notes.items():
        # replace, not format: a message may hold text from the file.
        text = message.replace("{names}", _listed(names))
        warnings.warn(f"{source}: {text}", UserWarning, stacklevel=3)
    return chunk


def _world_from_chunk(element: Element, source: str) -> tuple[npt.NDArray[np.float64] | None, int | None]:
    """Return the chunk's transform and the active component's id, None where there is none.

    Newer versions write the transform into the active component and again into the chunk, older ones into the chunk only.
    """
    components = element.find("components")
    active = None if components is None else _id(components, "active_id", f"{source}: <components>")
    candidates = [] if components is None else components.findall("component")
    if active is None and len(candidates) == 1:
        active = _id(candidates[0], "id", f"{source}: <component>")
    for candidate in [*(c for c in candidates if c.get("id") == str(active)), element]:
        transform = _similarity(candidate.find("transform"), f"{source}: <{candidate.tag}> <transform>")
        if transform is not None:
            return transform, active
    return None, active


def _similarity(element: Element | None, where: str) -> npt.NDArray[np.float64] | None:
    """Return rotation, translation and scale as one matrix; any of them may be missing."""
    if element is None:
        return None
    rotation = _numbers(element.find("rotation"), 9, f"{where} <rotation>")
    translation = _numbers(element.find("translation"), 3, f"{where} <translation>")
    scale = _numbers(element.find("scale"), 1, f"{where} <scale>")
    if rotation is None and translation is None and scale is None:
        return None
    matrix = np.eye(4)
    if rotation is not None:
        matrix[:3, :3] = rotation.reshape(3, 3)
    if scale is not None:
        if not scale[0] > 0.0:
            raise _unfit(f"{where} <scale>", f"the scale is {scale[0]}", "a positive number is needed")
        matrix[:3, :3] *= scale[0]
    if translation is not None:
        matrix[:3, 3] = translation
    return _checked(matrix, where)


def _region(element: Element, active: int | None, source: str) -> Region | None:
    """Return the chunk's region, or the active component's where only that has one."""
    region = element.find("region")
    if region is None:
        region = element.find(f"components/component[@id='{active}']/region")
    if region is None:
        return None
    where = f"{source}: <region>"
    center = _numbers(region.find("center"), 3, f"{where} <center>")
    size = _numbers(region.find("size"), 3, f"{where} <size>")
    rotation = _numbers(region.find("R"), 9, f"{where} <R>")
    if center is None or size is None:
        return None
    return Region(
        center=center, size=size, rotation=np.eye(3) if rotation is None else rotation.reshape(3, 3)
    )


def _sensor(element: Element, source: str, notes: dict[str, list[str]]) -> Sensor:
    label = element.get("label", "")
    where = f"{source}: sensor {label!r}"
    number = _id(element, "id", where)
    if number is None:
        raise _unfit(where, "it has no id", "a whole number is needed")
    properties = {child.get("name"): child for child in element.iterfind("property")}

    def value(name: str) -> float | None:
        child = properties.get(name)
        return None if child is None else _number(child.get("value", ""), f"{where} property {name}")

    pixel_width, pixel_height = value("pixel_width"), value("pixel_height")
    size = _size(element, where)
    sensor = Sensor(
        id=number,
        label=label,
        type=element.get("type", "frame"),
        width=size[0] if size else None,
        height=size[1] if size else None,
        pixel_size=(pixel_width, pixel_height) if pixel_width and pixel_height else None,
        focal_length=value("focal_length"),
        master_id=_id(element, "master_id", where),
        master_from_sensor=_master_from_sensor(element, where),
    )
    # A sensor has none, one or two calibrations; the first is the initial one where there are two.
    by_class = {child.get("class", "initial"): child for child in element.iterfind("calibration")}
    chosen = by_class.get("adjusted", by_class.get("initial"))
    kind = sensor.type if chosen is None else chosen.get("type", sensor.type)
    if kind not in TYPES:
        _note(
            notes,
            f"the lens of sensor {{names}} is {kind!r}, not supported yet: its cameras cannot be rendered",
            label,
        )
        return sensor
    if chosen is not None:
        if chosen.find("corrections") is not None:
            _note(
                notes,
                "the additional corrections of sensor {names} are not applied: pixels may be off by some",
                label,
            )
        calibration = _calibration(chosen, size, where)
        if calibration is not None:
            return replace(sensor, calibration=calibration)
        _note(
            notes, "the calibration of sensor {names} has no focal length or no image size: not used", label
        )
    if sensor.focal_length and sensor.pixel_size and size:
        f = sensor.focal_length / sensor.pixel_size[1]
        b1 = sensor.focal_length / sensor.pixel_size[0] - f
        _note(
            notes,
            "sensor {names} has no usable calibration: its nominal focal length is used, without distortion",
            label,
        )
        return replace(sensor, calibration=_made(where, width=size[0], height=size[1], f=f, b1=b1))
    return sensor


def _calibration(element: Element, sensor_size: tuple[int, int] | None, where: str) -> Calibration | None:
    """Return a frame calibration, or None where the focal length or the size is missing. Zeros are not written."""
    size = _size(element, where) or sensor_size
    values = {
        name: _number(child.text or "", f"{where} <{name}>")
        for name in (
            "f", "fx", "fy", "skew", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4",
        )
        if (child := element.find(name)) is not None
    }  # fmt: skip
    if size is None or not values.keys() & {"f", "fx", "fy"}:
        return None
    if "f" not in values:
        values = _modern(values, size)
    return _made(where, width=size[0], height=size[1], **values)


def _modern(values: dict[str, float], size: tuple[int, int]) -> dict[str, float]:
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
        "cx": values["cx"] - size[0] / 2 if "cx" in values else 0.0,
        "cy": values["cy"] - size[1] / 2 if "cy" in values else 0.0,
        "p1": values.get("p2", 0.0),
        "p2": values.get("p1", 0.0),
    }


def _made(where: str, **parameters: float) -> Calibration:
    try:
        return Calibration(**parameters)  # type: ignore[arg-type]  # sizes are whole numbers
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None


def _master_from_sensor(element: Element, where: str) -> npt.NDArray[np.float64] | None:
    """Return where a rig's slave sits; the elements are there but empty where that is fixed to the master's place."""
    if element.get("master_id") is None:
        return None
    matrix = np.eye(4)
    rotation = _numbers(element.find("rotation"), 9, f"{where} <rotation>")
    location = _numbers(element.find("location"), 3, f"{where} <location>")
    if rotation is not None:
        matrix[:3, :3] = rotation.reshape(3, 3)
    if location is not None:
        matrix[:3, 3] = location
    return _checked(matrix, f"{where} <rotation>")


def _cameras(
    element: Element | None, sensors: dict[int, Sensor], source: str, notes: dict[str, list[str]]
) -> list[Camera]:
    cameras: dict[int, Camera] = {}
    keyframes = 0
    # iter, not findall: groups of the Photos pane wrap cameras.
    for child in [] if element is None else element.iter("camera"):
        if child.get("sensor_id") is None or child.get("label") is None:
            keyframes += 1  # of a camera track: a view of the animation, not a photo
            continue
        camera = _camera(child, sensors, source)
        if camera.id in cameras:
            raise _unfit(source, f"two cameras have the id {camera.id}", "different ids are needed")
        cameras[camera.id] = camera
        if child.find("rolling_shutter") is not None and camera.aligned:
            _note(
                notes,
                "rolling shutter of camera {names} is not compensated: pixels may be off by some",
                camera.label,
            )
        if child.find("calibration") is not None:
            _note(
                notes,
                "camera {names} has a calibration of its own, which is not used: its sensor's is",
                camera.label,
            )
    if keyframes:
        _log.info("%s: %d keyframes of camera tracks are left out", source, keyframes)
    return list(cameras.values())


def _camera(element: Element, sensors: dict[int, Sensor], source: str) -> Camera:
    label = element.get("label", "")
    where = f"{source}: camera {label!r}"
    number, sensor_id = _id(element, "id", where), _id(element, "sensor_id", where)
    if number is None:
        raise _unfit(where, "it has no id", "a whole number is needed")
    if sensor_id is None or sensor_id not in sensors:
        raise _unfit(
            where, f"its sensor {sensor_id} is not in the file", "the id of one of its sensors is needed"
        )
    # Absent means true; older versions write 1 and 0.
    enabled = element.get("enabled", "true").strip().lower()
    if enabled not in ("true", "1", "false", "0"):
        raise _unfit(where, f"enabled is {enabled!r}", "true or false is needed")
    numbers = _numbers(element.find("transform"), 16, f"{where} <transform>")
    return Camera(
        id=number,
        label=label,
        transform=None if numbers is None else _checked(numbers.reshape(4, 4), f"{where} <transform>"),
        calibration=sensors[sensor_id].calibration,
        enabled=enabled in ("true", "1"),
        sensor_id=sensor_id,
        component_id=_id(element, "component_id", where),
        master_id=_id(element, "master_id", where),
    )


def _with_rigs(
    cameras: Sequence[Camera],
    sensors: dict[int, Sensor],
    world_from_chunk: npt.NDArray[np.float64] | None,
    notes: dict[str, list[str]],
) -> list[Camera]:
    """Return the cameras, those of slave sensors without an own transform placed by their master's."""
    by_id = {camera.id: camera for camera in cameras}
    placed = []
    for camera in cameras:
        master = by_id.get(camera.master_id) if camera.master_id is not None else None
        offset = sensors[camera.sensor_id].master_from_sensor if camera.sensor_id is not None else None
        if camera.aligned or master is None or master.transform is None or offset is None:
            placed.append(camera)
            continue
        if offset[:3, 3].any() and world_from_chunk is not None:
            scale = float(np.cbrt(np.linalg.det(world_from_chunk[:3, :3])))
            if not math.isclose(scale, 1.0, rel_tol=1e-6):
                _note(
                    notes,
                    "the place of camera {names} in its rig is taken to be in chunk units, which is not sure where the "
                    "chunk's scale is not 1: check one of its images",
                    camera.label,
                )
        placed.append(replace(camera, transform=master.transform @ offset, component_id=master.component_id))
    return placed


def _note_cameras(chunk: Chunk, active: int | None, notes: dict[str, list[str]]) -> None:
    for camera in chunk.cameras:
        if camera.aligned and active is not None and camera.component_id not in (None, active):
            _note(
                notes,
                f"camera {{names}} is not in the active component, {active}, and so in another frame than its mesh: align "
                "the components, or leave it out",
                camera.label,
            )


def _note(notes: dict[str, list[str]], message: str, name: str) -> None:
    notes.setdefault(message, []).append(name)


def _listed(names: Sequence[str], most: int = _NAMED) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def _unfit(where: str, found: str, needed: str) -> FormatError:
    return FormatError(f"{where}: {found}; {needed}: {_EXPORT} again")


def _id(element: Element, name: str, where: str) -> int | None:
    text = element.get(name)
    if text is None or (not text.strip() and name != "id"):
        return None
    try:
        return int(text)
    except ValueError:
        raise _unfit(where, f"{name} is {text[:40]!r}", "a whole number is needed") from None


def _size(element: Element, where: str) -> tuple[int, int] | None:
    resolution = element.find("resolution")
    if resolution is None:
        return None
    width, height = (_id(resolution, name, f"{where} <resolution>") for name in ("width", "height"))
    return (width, height) if width and height else None


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in text:  # Python reads 1_000 as a number; XML does not
        raise _unfit(where, f"{text.strip()[:40]!r} stands there", "a finite number is needed")
    return number


def _numbers(element: Element | None, count: int, where: str) -> npt.NDArray[np.float64] | None:
    """Return the numbers of an element, or None where it is missing or empty."""
    texts = [] if element is None else (element.text or "").split()
    if not texts:
        return None
    if len(texts) != count:
        raise _unfit(where, f"{len(texts)} numbers stand there", f"{count} are needed")
    return np.array([_number(text, where) for text in texts])


def _checked(matrix: npt.NDArray[np.float64], where: str) -> npt.NDArray[np.float64]:
    try:
        return check_transform(matrix)
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
