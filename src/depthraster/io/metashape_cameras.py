"""The cameras of a Metashape chunk: each photo with its sensor, its calibration and its place, slaves of rigs included.

Records come from ``metashape_tree.py``, sensors and the active component from ``metashape_xml.py``. The commonest change is
another fact about a photo: a line in `_camera`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from depthraster.calibration import TYPES, Calibration
from depthraster.chunk import Camera, Reference, Sensor
from depthraster.io.calibration_elements import calibration_from_element, lens_type
from depthraster.io.metashape_tree import CameraRecord
from depthraster.io.xml_values import Notes, by_id, checked, needed_id, quoted, switch, unfit, whole

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["cameras_from_records", "note_corrections", "note_unsupported"]

Array = npt.NDArray[np.float64]

_CLEAR = 1e-6  # relative; what departs more from a similarity is judged one by one


def cameras_from_records(
    records: Sequence[CameraRecord],
    sensors: Mapping[int, Sensor],
    active: int | None,
    world_from_chunk: Array | None,
    source: str,
    notes: Notes,
) -> list[Camera]:
    """Return the cameras in the file's order.

    Parameters
    ----------
    records : sequence of CameraRecord
        What the document says of each. Without ids, as in the oldest format, they are numbered.
    sensors : mapping of int to Sensor
        The chunk's sensors by id.
    active : int or None
        The id of the active component.
    world_from_chunk : (4, 4) float64 array or None
        The chunk's transform.
    source, notes
        What messages begin with, and where warnings are noted.

    Raises
    ------
    FormatError
        A number, a reference or a transform that cannot be, two cameras with one id, or masters that lead in a circle.
    """
    transforms = _transforms(records, source)
    made = (
        _camera(record, transform, k, sensors, active, source, notes)
        for k, (record, transform) in enumerate(zip(records, transforms, strict=True))
    )
    cameras = by_id(made, "cameras", source)
    _refuse_cycles(sensors.values(), "sensor", source)
    _refuse_cycles(cameras.values(), "camera", source)
    return _with_rigs(cameras, sensors, world_from_chunk, notes)


def note_unsupported(lens: str, kind: str, name: str, notes: Notes) -> bool:
    """Return whether a lens model is not supported, and note it."""
    if lens in TYPES:
        return False
    notes.add(
        f"the lens of {kind} {{names}} is {quoted(lens)}, not supported yet: its cameras cannot be rendered",
        name,
    )
    return True


def note_corrections(calibration: Element, kind: str, name: str, notes: Notes) -> None:
    """Note that a calibration has more to it than is applied."""
    if calibration.find("corrections") is not None:
        message = f"the additional corrections of {kind} {{names}} are not applied: pixels may be off by some"
        notes.add(message, name)


def _where(record: CameraRecord, source: str) -> str:
    return f"{source}: camera {quoted(record.attributes.get('label', ''))}"


def _transforms(records: Sequence[CameraRecord], source: str) -> list[Array | None]:
    """Return the cameras' transforms, checked: together where that will do, for there can be very many."""
    given = [k for k, record in enumerate(records) if record.transform is not None]
    if not given:
        return [None] * len(records)
    matrices = np.stack([matrix for record in records if (matrix := record.transform) is not None])
    matrices = matrices.reshape(-1, 4, 4)
    linear = matrices[:, :3, :3]
    with np.errstate(all="ignore"):
        squares = np.einsum("nji,njk->nik", linear, linear)
        scales = np.einsum("nii->n", squares)[:, None, None] / 3.0
        departure = np.abs(squares / scales - np.eye(3)).max(axis=(1, 2))
        clear = (departure < _CLEAR) & (np.linalg.det(linear) > 0.0)
    clear &= (matrices[:, 3] == [0.0, 0.0, 0.0, 1.0]).all(axis=1)
    transforms: list[Array | None] = [None] * len(records)
    for k, matrix, good in zip(given, matrices, clear, strict=True):
        transforms[k] = matrix if good else checked(matrix, f"{_where(records[k], source)} <transform>")
    return transforms


def _camera(
    record: CameraRecord,
    transform: Array | None,
    position: int,
    sensors: Mapping[int, Sensor],
    active: int | None,
    source: str,
    notes: Notes,
) -> Camera:
    attributes, where = record.attributes, _where(record, source)
    label = attributes.get("label", "")
    sensor_id, calibration = whole(attributes, "sensor_id", where), None
    if "sensor_id" in attributes:
        if sensor_id is None or sensor_id not in sensors:
            raise unfit(
                where, f"its sensor {sensor_id} is not in the file", "the id of one of its sensors is needed"
            )
        calibration = sensors[sensor_id].calibration
    if record.calibration is not None:
        calibration = _own_calibration(record.calibration, calibration, label, where, notes)
    component_id = whole(attributes, "component_id", where)
    in_active = transform is None or active is None or component_id in (None, active)
    if not in_active:
        message = (
            f"camera {{names}} is not in the active component, {active}, and so in another frame than its mesh: choose the "
            "other one with Chunk.with_component (--component), or leave it out"
        )
        notes.add(message, label)
    if record.rolling_shutter and transform is not None:
        notes.add("rolling shutter is not compensated, pixels may be off by some: camera {names}", label)
    return Camera(
        id=position if "sensor_id" not in attributes else needed_id(attributes, where),
        label=label,
        transform=transform,
        calibration=calibration,
        enabled=switch(attributes, "enabled", True, where),
        sensor_id=sensor_id,
        component_id=component_id,
        in_active_component=in_active,
        master_id=whole(attributes, "master_id", where),
        group_id=record.group_id,
        reference=_reference(record.reference, label, where, notes),
    )


def _own_calibration(
    element: Element, of_sensor: Calibration | None, label: str, where: str, notes: Notes
) -> Calibration | None:
    """Return a photo's own calibration, which may be complete or hold what differs from its sensor's."""
    lens = lens_type(element, "frame" if of_sensor is None else of_sensor.type)
    if note_unsupported(lens, "camera", label, notes):
        return None
    note_corrections(element, "camera", label, notes)
    image_size = None if of_sensor is None else (of_sensor.width, of_sensor.height)
    own = calibration_from_element(element, where, lens=lens, image_size=image_size, base=of_sensor)
    if own is None:
        notes.add("the calibration of camera {names} has no focal length or no image size: not used", label)
        return of_sensor
    return own


def _reference(
    attributes: Mapping[str, str] | None, label: str, where: str, notes: Notes
) -> Reference | None:
    """Return what a photo's receiver says; it decides nothing here, so that bad numbers are no reason to refuse a file."""
    if attributes is None:
        return None
    triples: list[Array | None] = []
    for names in (("x", "y", "z"), ("yaw", "pitch", "roll")):
        texts = [attributes[name] for name in names if attributes.get(name)]
        try:
            triple = np.array([float(text) for text in texts])
        except ValueError:
            triple = np.array([math.nan])
        if not np.isfinite(triple).all():
            notes.add("the reference of camera {names} is not all finite numbers: left out", label)
            return None
        triples.append(triple if len(triple) == 3 else None)
    return Reference(
        location=triples[0],
        rotation=triples[1],
        enabled=switch(attributes, "enabled", True, f"{where} <reference>"),
        rotation_enabled=switch(attributes, "rotation_enabled", False, f"{where} <reference>"),
    )


# --- rigs -----------------------------------------------------------------------------------------------------------------


def _refuse_cycles(values: Iterable[Camera | Sensor], kind: str, source: str) -> None:
    """Refuse masters that are their slaves' slaves; one that is its own is a master."""
    by_number = {value.id: value for value in values}
    done = set[int]()
    for value in by_number.values():
        path = dict[int, None]()
        number: int | None = value.id
        while number is not None and number in by_number and number not in done:
            if number in path:
                where = f"{source}: {kind} {quoted(by_number[number].label)}"
                raise unfit(where, "it is its own master's master", "masters without a circle are needed")
            path[number] = None
            master = by_number[number].master_id
            number = None if master == number else master
        done.update(path)


def _with_rigs(
    cameras: Mapping[int, Camera],
    sensors: Mapping[int, Sensor],
    world_from_chunk: Array | None,
    notes: Notes,
) -> list[Camera]:
    """Return the cameras, slaves without a transform of their own placed by their masters."""
    scale = 1.0
    if world_from_chunk is not None:
        scale = float(np.cbrt(np.linalg.det(world_from_chunk[:3, :3])))
    placed = dict[int, Camera]()
    for camera in cameras.values():
        chain = []
        while camera.id not in placed:
            chain.append(camera)
            master = None if camera.master_id is None else cameras.get(camera.master_id)
            if camera.aligned or master is None or master is camera:
                placed[camera.id] = chain.pop()
                break
            camera = master
        for slave in reversed(chain):  # the master of the last one is placed
            assert slave.master_id is not None
            placed[slave.id] = _placed(slave, placed[slave.master_id], sensors, scale, notes)
    return [placed[number] for number in cameras]


def _placed(
    slave: Camera, master: Camera, sensors: Mapping[int, Sensor], scale: float, notes: Notes
) -> Camera:
    if master.transform is None or slave.sensor_id is None:
        return slave
    sensor = sensors[slave.sensor_id]
    offset = sensor.master_from_sensor
    if offset is None:
        if slave.sensor_id == master.sensor_id:
            notes.add(
                "camera {names} has a master and no place in its rig: taken as not aligned", slave.label
            )
            return slave
        offset = np.eye(4)  # the layers of a multispectral camera look from one place
    if offset[:3, 3].any() and not math.isclose(scale, 1.0, rel_tol=1e-6):
        notes.add(
            "the place of camera {names} in its rig is taken to be in chunk units, which is not sure where the chunk's "
            "scale is not 1: check one of its images",
            slave.label,
        )
    return replace(
        slave,
        transform=master.transform @ offset,
        component_id=master.component_id,
        in_active_component=master.in_active_component,
    )
