"""Metashape's Python names on top of depthraster: ``import depthraster.metashape as Metashape``.

Scripts that read a project and render depth from its mesh run after changing their import, see ``docs/metashape.md``. The
classes hold data and translate; every computation is the library's. Names that are not offered raise an error that says
so. The commonest change is another method of a class: in the module that has its class.
"""

from __future__ import annotations

from typing import Any

from depthraster.metashape.algebra import Matrix, Vector
from depthraster.metashape.application import Application, Version, app, version
from depthraster.metashape.base import NotOfferedError, not_offered
from depthraster.metashape.calibration import Calibration
from depthraster.metashape.camera import Camera, Photo, Sensor
from depthraster.metashape.chunk import Chunk
from depthraster.metashape.constants import CalibrationFormat, CamerasFormat, ModelFormat, to_module
from depthraster.metashape.coordinate_system import CoordinateSystem
from depthraster.metashape.document import Document
from depthraster.metashape.image import Image
from depthraster.metashape.image_files import ImageCompression
from depthraster.metashape.model import Model
from depthraster.metashape.placement import ChunkTransform, Region

__all__ = [
    "Application",
    "Calibration",
    "CalibrationFormat",
    "Camera",
    "CamerasFormat",
    "Chunk",
    "ChunkTransform",
    "CoordinateSystem",
    "Document",
    "Image",
    "ImageCompression",
    "Matrix",
    "Model",
    "ModelFormat",
    "NotOfferedError",
    "Photo",
    "Region",
    "Sensor",
    "Vector",
    "Version",
    "app",
    "version",
]

_CONSTANTS = to_module()  # CalibrationFormatXML and its like


def __getattr__(name: str) -> Any:
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise not_offered(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONSTANTS})
