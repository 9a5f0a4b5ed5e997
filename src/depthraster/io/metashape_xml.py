"""The elements of a Metashape chunk to a `Chunk`: of cameras files, of projects, and of the old ``<collection>``.

What Metashape writes where, and what other readers got wrong, is said beside the line that deals with it. Elements are
found by name and joined by id, never by position; what is missing is zero, identity or None; what this library does not
apply is noted, for a warning once per file. Which files there are is ``metashape_project.py``'s, values are ``chunk.py``'s.
The commonest change is another element: a tag in ``metashape_tree.py`` and a line in `_sensor`, `_camera` or
`chunk_from_document`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.chunk import Camera, Chunk, Component, Region, Sensor
from depthraster.io.calibration_elements import calibration_from_element, lens_type, made
from depthraster.io.metashape_cameras import cameras_from_records, note_corrections, note_unsupported
from depthraster.io.metashape_tree import ChunkDocument
from depthraster.io.xml_values import (
    Notes,
    by_id,
    checked,
    needed_id,
    number,
    numbers,
    quoted,
    similarity,
    size,
    switch,
    whole,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["chunk_from_document"]

_log = logging.getLogger(__name__)


def chunk_from_document(document: ChunkDocument, source: str, notes: Notes) -> Chunk:
    """Return what a chunk's elements say, without models; messages begin with ``source``.

    Raises
    ------
    FormatError
        A number, a reference or a transform that cannot be; the message names the element.
    """
    element = document.element
    components = by_id(
        (_component(child, source) for child in element.iterfind("components/component")),
        "components",
        source,
    )
    active = _active_component(element, components, source, notes)
    of_active = None if active is None else components[active]
    # Newer versions write the transform into the active component and again into the chunk, older ones into the chunk only.
    transform = None if of_active is None else of_active.transform
    if transform is None:
        transform = similarity(element.find("transform"), f"{source}: <{element.tag}> <transform>")
    region = _region(element.find("region"), source)
    if region is None and of_active is not None:
        region = of_active.region
    sensors = by_id(
        (_sensor(child, source, notes) for child in element.iterfind("sensors/sensor")), "sensors", source
    )
    cameras = cameras_from_records(document.cameras, sensors, active, transform, source, notes)
    if element.tag == "collection":
        cameras, sensors = _with_sensors(cameras)
    if document.n_keyframes:
        _log.info("%s: %d keyframes of camera tracks are left out", source, document.n_keyframes)
    return Chunk(
        label=element.get("label", ""),
        cameras=tuple(cameras),
        sensors=tuple(sensors.values()),
        transform=transform,
        region=region,
        crs=element.findtext("reference", "").strip() or None,
        id=whole(element, "id", f"{source}: <chunk>"),
        enabled=switch(element, "enabled", True, f"{source}: <chunk>"),
        groups=tuple(by_id(document.groups, "groups", source).values()),
        components=tuple(components.values()),
        active_component_id=active,
    )


def _with_sensors(cameras: list[Camera]) -> tuple[list[Camera], dict[int, Sensor]]:
    """Return the cameras with a sensor for each calibration; in the oldest format each camera has one of its own."""
    ids = dict[Calibration, int]()
    for camera in cameras:
        if camera.calibration is not None:
            ids.setdefault(camera.calibration, len(ids))
    sensors = {
        k: Sensor(
            id=k, type=calibration.type, width=calibration.width, height=calibration.height,
            calibration=calibration, calibration_class="adjusted",
        )
        for calibration, k in ids.items()
    }  # fmt: skip
    return [
        camera if camera.calibration is None else replace(camera, sensor_id=ids[camera.calibration])
        for camera in cameras
    ], sensors


# --- components, region -------------------------------------------------------------------------------------------------


def _component(element: Element, source: str) -> Component:
    label = element.get("label", "")
    where = f"{source}: component {quoted(label)}"
    return Component(
        id=needed_id(element, where),
        label=label,
        transform=similarity(element.find("transform"), f"{where} <transform>"),
        region=_region(element.find("region"), where),
    )


def _active_component(
    element: Element, components: dict[int, Component], source: str, notes: Notes
) -> int | None:
    parent = element.find("components")
    active = None if parent is None else whole(parent, "active_id", f"{source}: <components>")
    if active is None and len(components) == 1:
        return next(iter(components))
    if components and active not in components:
        notes.add(
            f"none of the {len(components)} components is said to be the active one: their cameras are in frames of their "
            "own, and the mesh is in one of them"
        )
        return None
    return active if components else None


def _region(element: Element | None, source: str) -> Region | None:
    if element is None:
        return None
    where = f"{source}: <region>"
    center = numbers(element.find("center"), 3, f"{where} <center>")
    extent = numbers(element.find("size"), 3, f"{where} <size>")
    rotation = numbers(element.find("R"), 9, f"{where} <R>")
    if center is None or extent is None:
        return None
    return Region(
        center=center, size=extent, rotation=np.eye(3) if rotation is None else rotation.reshape(3, 3)
    )


# --- sensors ------------------------------------------------------------------------------------------------------------


def _sensor(element: Element, source: str, notes: Notes) -> Sensor:
    label = element.get("label", "")
    where = f"{source}: sensor {quoted(label)}"
    properties = {child.get("name"): child for child in element.iterfind("property")}

    def value(name: str) -> float | None:
        child = properties.get(name)
        return None if child is None else number(child.get("value", ""), f"{where} property {name}")

    pixel_width, pixel_height = value("pixel_width"), value("pixel_height")
    image_size = size(element, where)
    sensor = Sensor(
        id=needed_id(element, where),
        label=label,
        type=element.get("type", "frame"),
        width=image_size[0] if image_size else None,
        height=image_size[1] if image_size else None,
        pixel_size=(pixel_width, pixel_height) if pixel_width and pixel_height else None,
        focal_length=value("focal_length"),
        layer_index=int(value("layer_index") or 0),
        master_id=whole(element, "master_id", where),
        master_from_sensor=_master_from_sensor(element, where),
    )
    # A sensor has none, one or two calibrations; the first is the initial one where there are two.
    by_class = {child.get("class", "initial"): child for child in element.iterfind("calibration")}
    chosen_class = "adjusted" if "adjusted" in by_class else "initial"
    chosen = by_class.get(chosen_class)
    lens = lens_type(element if chosen is None else chosen, sensor.type)
    if note_unsupported(lens, "sensor", label, notes):
        return sensor
    calibration = None
    if chosen is not None:
        note_corrections(chosen, "sensor", label, notes)
        calibration = calibration_from_element(chosen, where, lens=lens, image_size=image_size)
        if calibration is None:
            message = "the calibration of sensor {names} has no focal length or no image size: not used"
            notes.add(message, label)
    if calibration is not None:
        return replace(sensor, calibration=calibration, calibration_class=chosen_class)
    return _with_nominal(sensor, lens, image_size, where, notes)


def _with_nominal(
    sensor: Sensor, lens: str, image_size: tuple[int, int] | None, where: str, notes: Notes
) -> Sensor:
    """Return the sensor with the calibration that follows from what its images' tags or its lens model say."""
    if image_size and lens == "spherical":  # which has no calibration, and needs none
        calibration = made(where, lens, image_size)
    elif image_size and sensor.focal_length and sensor.pixel_size and lens != "cylindrical":
        f = sensor.focal_length / sensor.pixel_size[1]
        b1 = sensor.focal_length / sensor.pixel_size[0] - f
        calibration = made(where, lens, image_size, f=f, b1=b1)
        message = (
            "sensor {names} has no usable calibration: its nominal focal length is used, without distortion"
        )
        notes.add(message, sensor.label)
    else:
        return sensor
    return replace(sensor, calibration=calibration, calibration_class="nominal")


def _master_from_sensor(element: Element, where: str) -> npt.NDArray[np.float64] | None:
    """Return where a rig's slave sits; the elements are there but empty where that is fixed to the master's place."""
    if element.get("master_id") is None:
        return None
    matrix = np.eye(4)
    rotation = numbers(element.find("rotation"), 9, f"{where} <rotation>")
    location = numbers(element.find("location"), 3, f"{where} <location>")
    if rotation is not None:
        matrix[:3, :3] = rotation.reshape(3, 3)
    if location is not None:
        matrix[:3, 3] = location
    return checked(matrix, f"{where} <rotation>")
