"""`Sensor` and `Camera`: lenses and places, as scripts read and change them.

Each is a live object; the matrices and vectors that it gives are copies. `as_value` makes the library's frozen value of it
again, for files. The commonest change is another fact: a property, by the frozen value that it was made of.
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

import depthraster.chunk as values
from depthraster.metashape.algebra import Matrix, Vector, as_vector
from depthraster.metashape.base import Facade
from depthraster.metashape.calibration import Calibration, model_named
from depthraster.metashape.constants import CameraType, SensorType
from depthraster.metashape.image import Image
from depthraster.transforms import check_transform, invert

if TYPE_CHECKING:
    from depthraster.metashape.chunk import Chunk

__all__ = ["Camera", "Photo", "Sensor"]

Array = npt.NDArray[np.float64]


class Sensor(Facade):
    """A camera body with its lens.

    Attributes
    ----------
    label : str
        Its name.
    fixed : bool
        Whether its calibration stays when photos are aligned; as nothing is aligned here, it does.
    """

    __slots__ = (
        "__weakref__",
        "_calibration",
        "_chunk",
        "_user_calib",
        "_value",
        "fixed",
        "label",
    )

    Type: ClassVar[type[SensorType]] = SensorType
    label: str
    fixed: bool

    def __init__(self, chunk: Chunk, value: values.Sensor) -> None:
        self._chunk = weakref.ref(chunk)
        self._value = value
        self.label = value.label
        self.fixed = False
        self._user_calib: Calibration | None = None
        kind = _known_type(value.type)
        if value.calibration is not None:
            self._calibration = Calibration._of(value.calibration, kind)
        else:
            self._calibration = Calibration()
            self._calibration.type = kind or SensorType.Frame
            self._calibration.width, self._calibration.height = value.width or 0, value.height or 0

    @property
    def chunk(self) -> Chunk | None:
        """The chunk that it belongs to."""
        return self._chunk()

    @property
    def key(self) -> int:
        """Its number in the chunk."""
        return self._value.id

    @property
    def calibration(self) -> Calibration:
        """Its adjusted calibration, or the best that the file has; changed in place, it is changed for all its cameras."""
        return self._calibration

    @calibration.setter
    def calibration(self, calibration: Calibration) -> None:
        self._calibration = calibration.copy()

    @property
    def user_calib(self) -> Calibration:
        """What was set, which is then the calibration, too; the initial one of a file is not kept beside the adjusted."""
        if self._user_calib is None:
            raise ValueError(
                f"the initial calibration of sensor {self.label!r} was asked for, which is not kept beside the adjusted "
                "one; one that a script has set is needed: use sensor.calibration"
            )
        return self._user_calib.copy()

    @user_calib.setter
    def user_calib(self, calibration: Calibration) -> None:
        self._user_calib = calibration.copy()
        self._calibration = calibration.copy()

    @property
    def type(self) -> SensorType:
        """The camera model."""
        return self._calibration.type

    @type.setter
    def type(self, kind: SensorType) -> None:
        self._calibration.type = SensorType(kind)

    @property
    def width(self) -> int:
        """Width of its images, pixels."""
        return self._value.width or self._calibration.width

    @width.setter
    def width(self, width: int) -> None:
        self._value = replace(self._value, width=width)

    @property
    def height(self) -> int:
        """Height of its images, pixels."""
        return self._value.height or self._calibration.height

    @height.setter
    def height(self, height: int) -> None:
        self._value = replace(self._value, height=height)

    @property
    def pixel_size(self) -> Vector | None:
        """Width and height of a pixel, mm."""
        return None if self._value.pixel_size is None else Vector(self._value.pixel_size)

    @property
    def focal_length(self) -> float | None:
        """Nominal focal length, mm."""
        return self._value.focal_length

    def as_value(self) -> values.Sensor:
        """Return the frozen value: the one that it was made of, with what was changed since."""
        changed: dict[str, Any] = {"label": self.label}
        now = self._calibration
        old = self._value.calibration
        if old is None:
            if now.width and now.height and now.f:
                changed |= {"calibration": now.as_value(), "calibration_class": "adjusted"}
        elif now.as_value() != old:
            changed |= {"calibration": now.as_value(), "calibration_class": "adjusted"}
        if changed.get("calibration") is not None:
            value = changed["calibration"]
            changed |= {"type": value.type, "width": value.width, "height": value.height}
        return replace(self._value, **changed)

    def __repr__(self) -> str:
        return f"Sensor({self.label!r})"


def _known_type(name: str) -> SensorType | None:
    try:
        return model_named(name)
    except KeyError:
        return None


class Photo(Facade):
    """The image file of a camera, opened when its pixels are asked for."""

    __slots__ = ("path",)
    path: str

    def __init__(self, path: str) -> None:
        self.path = path

    def image(self, channels: str | None = None, datatype: str = "U8") -> Image:
        """Return its pixels; see `Image.open`."""
        return Image.open(self.path, datatype=datatype, channels=channels)


class _Reference(Facade):
    """Where a camera is according to its receiver."""

    __qualname__ = "Camera.Reference"
    __slots__ = ("_value",)

    def __init__(self, value: values.Reference) -> None:
        self._value = value

    @property
    def location(self) -> Vector | None:
        """Coordinates in the chunk's system."""
        return None if self._value.location is None else Vector(self._value.location)

    @property
    def rotation(self) -> Vector | None:
        """Yaw, pitch and roll, degrees."""
        return None if self._value.rotation is None else Vector(self._value.rotation)

    @property
    def enabled(self) -> bool:
        """Whether the location is used."""
        return self._value.enabled

    @property
    def location_enabled(self) -> bool:
        """Whether the location is used."""
        return self._value.enabled

    @property
    def rotation_enabled(self) -> bool:
        """Whether the rotation is used."""
        return self._value.rotation_enabled


class Camera(Facade):
    """A photo and its place.

    Attributes
    ----------
    label : str
        Its name.
    enabled : bool
        Whether it is switched on.
    selected : bool
        Whether it is selected; nothing is in a file.
    sensor : Sensor
        What it was taken with.
    """

    __slots__ = (
        "__weakref__",
        "_calibration",
        "_chunk",
        "_inverse",
        "_transform",
        "_value",
        "enabled",
        "label",
        "selected",
        "sensor",
    )

    Type: ClassVar[type[CameraType]] = CameraType
    Reference: ClassVar[type[_Reference]] = _Reference
    label: str
    enabled: bool
    selected: bool
    sensor: Sensor

    def __init__(self, chunk: Chunk, value: values.Camera, sensor: Sensor) -> None:
        self._chunk = weakref.ref(chunk)
        self._value = value
        self.label, self.enabled, self.selected = value.label, value.enabled, False
        self._take(value, sensor)

    def _take(self, value: values.Camera, sensor: Sensor) -> None:
        """Take place and lens of a value."""
        self.sensor = sensor
        # A place in another component's frame is none in the chunk's.
        self._set_place(value.transform if value.in_active_component else None)
        own = value.calibration
        self._calibration = None if own is None or own == sensor._value.calibration else Calibration._of(own)

    @property
    def chunk(self) -> Chunk | None:
        """The chunk that it belongs to."""
        return self._chunk()

    @property
    def key(self) -> int:
        """Its number in the chunk."""
        return self._value.id

    @property
    def type(self) -> CameraType:
        """Regular: keyframes are not read."""
        return CameraType.Regular

    @property
    def calibration(self) -> Calibration:
        """The photo's own calibration where it has one, else its sensor's."""
        return self.sensor.calibration if self._calibration is None else self._calibration

    @property
    def transform(self) -> Matrix | None:
        """From the camera's frame (X right, Y down, Z forward) to the chunk's; None where it is not aligned there."""
        return None if self._transform is None else Matrix(self._transform)

    @transform.setter
    def transform(self, transform: Any) -> None:
        self._set_place(None if transform is None else check_transform(Matrix(transform)))

    def _set_place(self, transform: Array | None) -> None:
        self._transform = transform
        self._inverse = None if transform is None else invert(transform)  # for `project`, point by point

    @property
    def center(self) -> Vector | None:
        """Its centre, chunk frame; None where it is not aligned."""
        return None if self._transform is None else Vector(self._transform[:3, 3])

    @property
    def photo(self) -> Photo | None:
        """Its image file; None where the file that it was read from does not name one."""
        return None if self._value.photo is None else Photo(self._value.photo)

    def image(self) -> Image:
        """Return the pixels of its photo."""
        photo = self.photo
        if photo is None:
            raise ValueError(
                f"camera {self.label!r} has no photo; a photo's path is needed: open a project, which has them, or use "
                "Image.open"
            )
        return photo.image()

    @property
    def reference(self) -> _Reference:
        """Where its receiver says that it is."""
        return _Reference(self._value.reference or values.Reference())

    @property
    def master(self) -> Camera:
        """The camera of the rig's master sensor taken with it; itself where it is that, or of no rig."""
        chunk = self._chunk()
        if chunk is None or self._value.master_id is None:
            return self
        return next(camera for camera in chunk.cameras if camera.key == self._value.master_id)

    def project(self, point: Any) -> Vector | None:
        """Return the pixel coordinates of a point in the chunk's frame, outside the photo, too; None if it is not imaged."""
        if self._transform is None or self._inverse is None:
            return None
        xyz = as_vector(point, (3,), "the point") - self._transform[:3, 3]  # not through the chunk's origin
        return self.calibration.project(self._inverse[:3, :3] @ xyz)

    def unproject(self, point: Any) -> Vector | None:
        """Return a point in the chunk's frame that is imaged at a pixel; None where the camera is not aligned.

        Of ``[u, v]`` it is one unit away, of ``[u, v, depth]`` so many: along the axis for frame cameras, along the ray for
        others. NaN where the lens images nothing.
        """
        if self._transform is None:
            return None
        pixel = as_vector(point, (2, 3), "the pixel")
        ray = np.asarray(self.calibration.unproject(pixel[:2])) * (pixel[2] if len(pixel) == 3 else 1.0)
        return Vector(self._transform[:3, :3] @ ray + self._transform[:3, 3])

    def error(self, point: Any, proj: Any) -> Vector | None:
        """Return the pixel coordinates of a point less those given; None where it is not imaged."""
        pixel = self.project(point)
        return None if pixel is None else pixel - Vector(as_vector(proj, (2,), "the projection"))

    def as_value(self) -> values.Camera:
        """Return the frozen value: the one that it was made of, with what was changed since."""
        changed: dict[str, Any] = {
            "label": self.label,
            "enabled": self.enabled,
            "sensor_id": self.sensor.key,
        }
        now = self._transform
        if self._value.in_active_component or now is not None:
            changed |= {"transform": now, "in_active_component": True}
        if self._calibration is not None:
            changed["calibration"] = self._calibration.as_value()
        else:
            changed["calibration"] = self.sensor.as_value().calibration
        return replace(self._value, **changed)

    def __repr__(self) -> str:
        return f"Camera({self.label!r})"
