"""A `Chunk` to a cameras file as Metashape exports it (Agisoft XML, document version 2.0.0), for other tools and for us.

What is written reads back the same to the last bit: numbers with all their digits, and a chunk's transform in parts whose
product is that transform. What the reader does with it is ``metashape_xml.py``'s. The commonest change is another fact: a
line here beside the one in the reader.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.chunk import Camera, Chunk, Group, Reference, Region, Sensor
from depthraster.io.calibration_elements import write_parameters
from depthraster.io.files import written_whole
from depthraster.io.xml_values import digits, quoted
from depthraster.io.xml_writer import XmlWriter
from depthraster.transforms import check_transform

__all__ = ["save_chunk"]

Array = npt.NDArray[np.float64]

_TRIES = 4000  # neighbouring scales to try


def save_chunk(chunk: Chunk, path: str | os.PathLike[str]) -> None:
    """Write a chunk's cameras to a file that Metashape and other tools read as its export of cameras.

    `load_chunk` gives back the same values, to the last bit, but for what such a file has no place for: meshes inside a
    project, the paths of photos, the project's numbers for chunks. Cameras made by hand need no sensor: those without get
    one for each different calibration. A slave of a rig is written with its place.

    Parameters
    ----------
    chunk : Chunk
        The chunk.
    path : str or path
        The file, by custom ``cameras.xml``; it is written whole or not at all, and replaces one that is there.

    Raises
    ------
    TypeError
        The chunk is something else.
    ValueError
        The suffix is a project's; two cameras, sensors or groups with one id, an id of none of them, or a label with a
        character that XML cannot hold.
    OSError
        The file cannot be written.
    """
    if not isinstance(chunk, Chunk):
        raise TypeError(
            f"the chunk is a {type(chunk).__name__}; a depthraster.Chunk is needed: pass it first, then the path"
        )
    if os.path.splitext(os.fspath(path))[1].lower() in (".psx", ".psz"):
        raise ValueError(
            f"{os.fspath(path)}: the suffix is a project's, and a cameras file is written; .xml is needed: change the suffix"
        )
    sensors, sensor_ids = _all_sensors(chunk)
    children = _by_group(chunk)
    for what, values in (("cameras", chunk.cameras), ("sensors", sensors), ("components", chunk.components)):
        _refuse_twins(what, (value.id for value in values))
    with written_whole(path) as temporary, temporary.open("wb") as file:
        xml = XmlWriter(file)
        xml.begin("document", {"version": "2.0.0"})
        with xml.element("chunk", label=chunk.label, enabled=_word(chunk.enabled)):
            with xml.element("sensors", next_id=_next(sensor.id for sensor in sensors)):
                for sensor in sensors:
                    _sensor(xml, sensor)
            _components(xml, chunk)
            _cameras(xml, chunk, children, {sensor.id: sensor for sensor in sensors}, sensor_ids)
            if chunk.crs is not None:
                xml.leaf("reference", chunk.crs)
            _transform(xml, chunk.transform)
            _region(xml, chunk.region)
        xml.end("document")
        xml.close()


def _all_sensors(chunk: Chunk) -> tuple[list[Sensor], dict[int, int]]:
    """Return the sensors, those made for cameras without one included, and the sensor of each camera, by their ids."""
    sensors = list(chunk.sensors)
    known = {sensor.id for sensor in sensors}
    made: dict[Calibration | None, int] = {}
    ids = {}
    for camera in chunk.cameras:
        if camera.sensor_id is None:
            lens = camera.calibration
            if lens not in made:
                made[lens] = max((sensor.id for sensor in sensors), default=-1) + 1
                sensors.append(
                    Sensor(
                        id=made[lens], label=f"sensor {made[lens]}", type=lens.type if lens else "frame",
                        width=lens.width if lens else None, height=lens.height if lens else None, calibration=lens,
                    )
                )  # fmt: skip
            ids[camera.id] = made[lens]
        elif camera.sensor_id in known:
            ids[camera.id] = camera.sensor_id
        else:
            raise ValueError(
                f"camera {quoted(camera.label)} has the sensor {camera.sensor_id}, which the chunk has not; the id of one "
                "of its sensors is needed: add the sensor, or leave sensor_id away"
            )
    return sensors, ids


def _refuse_twins(what: str, ids: Iterable[int]) -> None:
    seen = set[int]()
    for number in ids:
        if number in seen:
            raise ValueError(f"two {what} have the id {number}; different ids are needed: number them anew")
        seen.add(number)


def _by_group(chunk: Chunk) -> dict[int | None, list[Camera | Group]]:
    """Return what each group holds, None standing for no group, in the order that keeps cameras and groups in theirs."""
    children: dict[int | None, list[Camera | Group]] = {None: []}
    waiting = list(reversed(chunk.groups))

    def begin_next() -> None:
        group = waiting.pop()
        if group.parent_id not in children or group.id in children:
            raise ValueError(
                f"group {quoted(group.label)} is in group {group.parent_id}, which does not come before it, or is there "
                "twice; different groups, outer ones first, are needed: put them in order"
            )
        children[group.parent_id].append(group)
        children[group.id] = []

    for camera in chunk.cameras:
        while waiting and camera.group_id not in children:
            begin_next()
        if camera.group_id not in children:
            raise ValueError(
                f"camera {quoted(camera.label)} is in the group {camera.group_id}, which the chunk has not; the id of one "
                "of its groups is needed: add the group"
            )
        children[camera.group_id].append(camera)
    while waiting:
        begin_next()
    return children


# --- elements -------------------------------------------------------------------------------------------------------------


def _word(value: bool) -> str:
    return "true" if value else "false"


def _next(ids: Iterable[int]) -> int:
    return max(ids, default=-1) + 1


def _sensor(xml: XmlWriter, sensor: Sensor) -> None:
    with xml.element(
        "sensor", id=sensor.id, label=sensor.label, type=sensor.type, master_id=sensor.master_id
    ):
        if sensor.width is not None and sensor.height is not None:
            xml.leaf("resolution", width=sensor.width, height=sensor.height)
        width, height = sensor.pixel_size or (None, None)
        properties = {
            "pixel_width": width,
            "pixel_height": height,
            "focal_length": sensor.focal_length,
            "layer_index": sensor.layer_index,
        }
        for name, value in properties.items():
            if value is not None:
                xml.leaf("property", name=name, value=digits(value))
        if sensor.calibration is not None and sensor.calibration_class != "nominal":
            _calibration(xml, sensor.calibration, sensor.calibration_class or "adjusted")
        if sensor.master_from_sensor is not None:
            xml.numbers("rotation", sensor.master_from_sensor[:3, :3])
            xml.numbers("location", sensor.master_from_sensor[:3, 3])


def _calibration(xml: XmlWriter, calibration: Calibration, kind: str) -> None:
    attributes = {"type": calibration.type, "class": kind}
    with xml.element("calibration", **attributes):
        xml.leaf("resolution", width=calibration.width, height=calibration.height)
        write_parameters(xml, calibration)


def _components(xml: XmlWriter, chunk: Chunk) -> None:
    if not chunk.components:
        return
    members: dict[int | None, list[str]] = {}
    for camera in chunk.cameras:
        members.setdefault(camera.component_id, []).append(str(camera.id))
    next_id = _next(component.id for component in chunk.components)
    with xml.element("components", next_id=next_id, active_id=chunk.active_component_id):
        for component in chunk.components:
            transform = component.transform
            if component.id == chunk.active_component_id and transform is not None:
                transform = chunk.transform  # which is the same, unless somebody has changed it
            with xml.element("component", id=component.id, label=component.label):
                _transform(xml, transform)
                _region(xml, component.region)
                if component.id in members:
                    with xml.element("partition"):
                        xml.leaf("camera_ids", " ".join(members[component.id]))


def _cameras(
    xml: XmlWriter,
    chunk: Chunk,
    children: Mapping[int | None, list[Camera | Group]],
    sensors: Mapping[int, Sensor],
    sensor_ids: Mapping[int, int],
) -> None:
    next_group_id = _next(group.id for group in chunk.groups)
    with xml.element("cameras", next_id=_next(c.id for c in chunk.cameras), next_group_id=next_group_id):
        open_groups = [iter(children[None])]  # not by recursion: groups can be nested as deep as one likes
        while open_groups:
            item = next(open_groups[-1], None)
            if isinstance(item, Group):
                xml.begin("group", {"id": item.id, "label": item.label, "type": item.type})
                open_groups.append(iter(children[item.id]))
            elif item is not None:
                _camera(xml, item, sensors[sensor_ids[item.id]])
            else:
                open_groups.pop()
                if open_groups:
                    xml.end("group")


def _camera(xml: XmlWriter, camera: Camera, sensor: Sensor) -> None:
    if camera.calibration is None and sensor.calibration is not None:
        raise ValueError(
            f"camera {quoted(camera.label)} has no calibration and its sensor {quoted(sensor.label)} has one, which a "
            "cameras file cannot say; both or none are needed: give the camera another sensor"
        )
    with xml.element(
        "camera", id=camera.id, sensor_id=sensor.id, component_id=camera.component_id, master_id=camera.master_id,
        label=camera.label, enabled=None if camera.enabled else "false",
    ):  # fmt: skip
        if camera.transform is not None:
            xml.numbers("transform", check_transform(camera.transform))
        if camera.calibration is not None and camera.calibration != sensor.calibration:
            _calibration(xml, camera.calibration, "adjusted")
        if camera.reference is not None:
            _reference(xml, camera.reference)


def _reference(xml: XmlWriter, reference: Reference) -> None:
    attributes: dict[str, object] = {}
    for names, values in (
        (("x", "y", "z"), reference.location),
        (("yaw", "pitch", "roll"), reference.rotation),
    ):
        if values is not None:
            attributes |= {name: digits(value) for name, value in zip(names, values, strict=True)}
    attributes |= {
        "enabled": _word(reference.enabled),
        "rotation_enabled": _word(reference.rotation_enabled),
    }
    xml.leaf("reference", **attributes)


def _region(xml: XmlWriter, region: Region | None) -> None:
    if region is None:
        return
    with xml.element("region"):
        xml.numbers("center", region.center)
        xml.numbers("size", region.size)
        xml.numbers("R", region.rotation)


def _transform(xml: XmlWriter, transform: Array | None) -> None:
    if transform is None:
        return
    rotation, scale = _factors(check_transform(transform)[:3, :3])
    with xml.element("transform"):
        xml.numbers("rotation", rotation, locked="true")
        xml.numbers("translation", transform[:3, 3], locked="true")
        xml.numbers("scale", scale, locked="true")


def _factors(linear: Array) -> tuple[Array, float]:
    """Return a (3, 3) rotation and a scale whose product in float64 is the matrix given.

    For a scale taken at random an entry has such a factor in two of three cases; one for all nine is found among the
    neighbours of the right scale, which differ from it by 1e-12 at most.
    """
    right = float(np.cbrt(np.linalg.det(linear)))
    for k in range(_TRIES):
        scale = right * (1.0 + (k + 1) // 2 * (-1) ** k * 2.0**-52)
        quotient = linear / scale
        rotation = quotient.copy()
        for candidate in (np.nextafter(quotient, np.inf), np.nextafter(quotient, -np.inf)):
            rotation = np.where(rotation * scale == linear, rotation, candidate)
        if np.array_equal(rotation * scale, linear):
            return rotation, scale
    return linear / right, right
