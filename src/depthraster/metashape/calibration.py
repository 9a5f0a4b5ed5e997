"""`Calibration` as scripts change it, a value at a time; `depthraster.Calibration` does what there is to do.

It checks nothing before it is used: then `as_value` makes the frozen value, which says what is wrong. The commonest change
is another camera model: a line in `_MODELS`.
"""

from __future__ import annotations

import math
import os
from typing import Any, ClassVar

import numpy as np

import depthraster.calibration as values
from depthraster.metashape.algebra import Vector, as_vector
from depthraster.metashape.base import Facade
from depthraster.metashape.constants import CalibrationFormat, SensorType

__all__ = ["Calibration", "model_named"]

_MODELS = {
    SensorType.Frame: "frame",
    SensorType.Fisheye: "fisheye",
    SensorType.EquidistantFisheye: "fisheye",
    SensorType.Spherical: "spherical",
    SensorType.Cylindrical: "cylindrical",
    SensorType.RPC: "rpc",
    SensorType.EquisolidFisheye: "equisolid_fisheye",
}
# As files spell them.
_NAMES = {
    "frame": SensorType.Frame,
    "fisheye": SensorType.Fisheye,
    "equidistant_fisheye": SensorType.EquidistantFisheye,
    "spherical": SensorType.Spherical,
    "cylindrical": SensorType.Cylindrical,
    "rpc": SensorType.RPC,
    "equisolid_fisheye": SensorType.EquisolidFisheye,
}
_FORMATS = {
    CalibrationFormat.CalibrationFormatXML: "metashape",
    CalibrationFormat.CalibrationFormatOpenCV: "opencv",
}
_PARAMETERS = ("f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4")


def model_named(name: str) -> SensorType:
    """Return the camera model that a file calls by a name."""
    return _NAMES[name]


class Calibration(Facade):
    """A camera's lens and image size, with Metashape's parameters; made, it is that of a frame camera without size.

    Attributes
    ----------
    width, height : int
        Size of the image, pixels.
    f, cx, cy, b1, b2 : float
        Focal length, the principal point's offset from the image's centre, affinity and skew, pixels.
    k1, k2, k3, k4, p1, p2, p3, p4 : float
        Distortion.
    type : Sensor.Type
        The camera model.
    """

    __slots__ = ("_value", "height", "type", "width", *_PARAMETERS)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # it can change

    width: int
    height: int
    f: float
    cx: float
    cy: float
    b1: float
    b2: float
    k1: float
    k2: float
    k3: float
    k4: float
    p1: float
    p2: float
    p3: float
    p4: float
    type: SensorType
    _value: tuple[Any, values.Calibration] | None

    def __init__(self) -> None:
        self.width = self.height = 0
        for name in _PARAMETERS:
            setattr(self, name, 0.0)
        self.type = SensorType.Frame
        self._value = None

    @classmethod
    def _of(cls, value: values.Calibration, model: SensorType | None = None) -> Calibration:
        """Make one of a frozen value; ``model`` where that has two names for it."""
        made = cls()
        made._take(value)
        if model is not None and _MODELS[model] == value.type:
            made.type = model
        return made

    def _take(self, value: values.Calibration) -> None:
        self.width, self.height = value.width, value.height
        for name in _PARAMETERS:
            setattr(self, name, getattr(value, name))
        if _name_of(self.type) != value.type:
            self.type = _NAMES[value.type]

    def _state(self) -> tuple[Any, ...]:
        return (self.width, self.height, self.type, *(getattr(self, name) for name in _PARAMETERS))

    def as_value(self) -> values.Calibration:
        """Return the frozen value; it is kept until a parameter changes. TypeError or ValueError where it can be none."""
        state = self._state()
        if self._value is None or self._value[0] != state:
            parameters = {name: getattr(self, name) for name in _PARAMETERS}
            if self.type == SensorType.Spherical and self.f == 0.0:
                parameters["f"] = math.nan  # a whole turn
            value = values.Calibration(
                width=self.width, height=self.height, type=_name_of(self.type), **parameters
            )
            self._value = state, value
        return self._value[1]

    def copy(self) -> Calibration:
        """Return a copy."""
        made = Calibration()
        made.width, made.height, made.type = self.width, self.height, self.type
        for name in _PARAMETERS:
            setattr(made, name, getattr(self, name))
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and self._state() == other._state()

    def project(self, point: Any) -> Vector | None:
        """Return the pixel coordinates of a point in the camera's frame; None where the lens does not image it."""
        pixel = self.as_value().project(as_vector(point, (3,), "the point"))
        return Vector(pixel) if np.isfinite(pixel).all() else None

    def unproject(self, point: Any) -> Vector:
        """Return the direction of a pixel in the camera's frame; with Z = 1 of frame cameras, of length 1 of others.

        NaN where the lens images nothing, so that `project` gives None again.
        """
        return Vector(self.as_value().unproject(as_vector(point, (2,), "the pixel")))

    def error(self, point: Any, proj: Any) -> Vector | None:
        """Return the pixel coordinates of a point less those given; None where the lens does not image it."""
        pixel = self.project(point)
        return None if pixel is None else pixel - Vector(as_vector(proj, (2,), "the projection"))

    def load(
        self,
        path: str | os.PathLike[str],
        format: CalibrationFormat = CalibrationFormat.CalibrationFormatXML,
    ) -> None:
        """Read a calibration file; OpenCV's, which do not say the image's size, are for the size that is set."""
        options: dict[str, Any] = {}
        if _format(format) == "opencv":
            options = {"width": self.width or None, "height": self.height or None}
        self._take(values.Calibration.load(path, **options))

    def save(
        self,
        path: str | os.PathLike[str],
        format: CalibrationFormat = CalibrationFormat.CalibrationFormatXML,
    ) -> None:
        """Write a calibration file."""
        self.as_value().save(path, format=_format(format))

    def __repr__(self) -> str:
        parameters = ", ".join(
            f"{name}={getattr(self, name)!r}" for name in _PARAMETERS if getattr(self, name)
        )
        return f"Calibration({self.type.name}, {self.width} x {self.height}, {parameters})"


def _name_of(model: Any) -> Any:
    """Return the library's name of a camera model; what is none stays, to be refused by it."""
    return _MODELS.get(model, model)


def _format(format: CalibrationFormat) -> str:
    if format not in _FORMATS:
        raise ValueError(
            f"the format is {getattr(format, 'name', format)}, which depthraster.metashape does not read or write; "
            f"{' or '.join(known.name for known in _FORMATS)} is needed: convert the file in Metashape"
        )
    return _FORMATS[format]
