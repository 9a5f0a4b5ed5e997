"""What a Metashape chunk says about its cameras, as plain frozen values: `Chunk`, `Camera`, `Sensor`, `Region`.

The readers in ``io`` fill them and everything else takes them from there; nothing here knows a file format. The
commonest change is another fact to keep: a field with a default, and a line in the reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration

__all__ = ["Camera", "Chunk", "Region", "Sensor"]

Array = npt.NDArray[np.float64]


def _freeze(value: Any, names: tuple[str, ...]) -> None:
    """Make float64 copies of an instance's arrays that nobody can write to."""
    for name in names:
        given = getattr(value, name)
        if given is not None:
            array = np.array(given, dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(value, name, array)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sensor:
    """A camera body with its lens, shared by the photos taken with it.

    Attributes
    ----------
    id : int
        The file's number for it, arbitrary.
    label : str
        Its name.
    type : str
        The lens model's name in the file: ``"frame"``, ``"fisheye"``, ``"spherical"`` …
    width, height : int or None
        Size of its images, pixels.
    calibration : Calibration or None
        The adjusted calibration, or the initial one; None where there is none or its lens model is not supported.
    pixel_size : (float, float) or None
        Width and height of a pixel, mm.
    focal_length : float or None
        Nominal focal length, mm.
    master_id : int or None
        The master sensor of the rig that this one is a slave of.
    master_from_sensor : (4, 4) float64 array or None
        For a slave: from its camera frame to its master's.
    """

    id: int
    label: str = ""
    type: str = "frame"
    width: int | None = None
    height: int | None = None
    calibration: Calibration | None = None
    pixel_size: tuple[float, float] | None = None
    focal_length: float | None = None
    master_id: int | None = None
    master_from_sensor: Array | None = None

    def __post_init__(self) -> None:
        _freeze(self, ("master_from_sensor",))


@dataclass(frozen=True, eq=False, kw_only=True)
class Camera:
    """A photo: where it was taken from, and with what.

    Attributes
    ----------
    id : int
        The file's number for it, arbitrary.
    label : str
        Its name, often the photo's file name; need not be unique.
    transform : (4, 4) float64 array or None
        ``chunk_from_camera``: from the camera's frame (X right, Y down, Z forward) to the chunk's, chunk units. None where
        the camera is not aligned.
    calibration : Calibration or None
        Its lens and image size; None where there is none or its lens model is not supported.
    enabled : bool
        Whether the user left it switched on.
    sensor_id : int or None
        The sensor it was taken with.
    component_id : int or None
        The component that it was aligned in.
    master_id : int or None
        The camera of the rig's master sensor that this one was taken together with.
    """

    id: int
    label: str = ""
    transform: Array | None = None
    calibration: Calibration | None = None
    enabled: bool = True
    sensor_id: int | None = None
    component_id: int | None = None
    master_id: int | None = None

    def __post_init__(self) -> None:
        _freeze(self, ("transform",))

    @property
    def aligned(self) -> bool:
        """Whether the camera's place is known."""
        return self.transform is not None


@dataclass(frozen=True, eq=False, kw_only=True)
class Region:
    """The box that the user works in.

    Attributes
    ----------
    center : (3,) float64 array
        Its centre, chunk frame.
    size : (3,) float64 array
        Its full edge lengths along its own axes, chunk units.
    rotation : (3, 3) float64 array
        From its own axes to the chunk's.
    """

    center: Array
    size: Array
    rotation: Array

    def __post_init__(self) -> None:
        _freeze(self, ("center", "size", "rotation"))


@dataclass(frozen=True, eq=False, kw_only=True)
class Chunk:
    """A set of photos that were aligned together.

    Attributes
    ----------
    label : str
        Its name.
    cameras : tuple of Camera
        All of its cameras in the file's order, those not aligned or switched off included.
    sensors : tuple of Sensor
        All of its sensors in the file's order.
    transform : (4, 4) float64 array or None
        ``world_from_chunk``: rotation, translation and scale, to geocentric metres where the chunk is georeferenced. None
        where the file has none: then the chunk's units are arbitrary.
    region : Region or None
        The box that the user works in.
    crs : str or None
        The coordinate system as WKT, as the file has it.
    """

    label: str = ""
    cameras: tuple[Camera, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    transform: Array | None = None
    region: Region | None = None
    crs: str | None = None

    def __post_init__(self) -> None:
        _freeze(self, ("transform",))
        object.__setattr__(self, "cameras", tuple(self.cameras))
        object.__setattr__(self, "sensors", tuple(self.sensors))

    @property
    def scale(self) -> float | None:
        """World units (metres where georeferenced) per chunk unit; None where the chunk has no transform."""
        if self.transform is None:
            return None
        return float(np.cbrt(np.linalg.det(self.transform[:3, :3])))
