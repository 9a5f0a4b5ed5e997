"""Metashape's enumerations, as far as something here takes or gives their values.

A value is found by its class and, as in scripts, in the module itself: `to_module` lists them. What a value means to us is
said where it is taken. The commonest change is another enumeration: a class here, and a line in `ENUMERATIONS`.
"""

from __future__ import annotations

import enum

__all__ = [
    "ENUMERATIONS",
    "CalibrationFormat",
    "CameraType",
    "CamerasFormat",
    "ModelFormat",
    "SensorType",
    "TiffCompression",
    "to_module",
]


class CalibrationFormat(enum.IntEnum):
    """Formats of calibration files; `Calibration.load` and `Calibration.save` say which of them they know."""

    CalibrationFormatXML = 0
    CalibrationFormatAustralis = 1
    CalibrationFormatAustralisV7 = 2
    CalibrationFormatPhotoModeler = 3
    CalibrationFormatCalibCam = 4
    CalibrationFormatCalCam = 5
    CalibrationFormatInpho = 6
    CalibrationFormatUSGS = 7
    CalibrationFormatPix4D = 8
    CalibrationFormatOpenCV = 9
    CalibrationFormatPhotomod = 10
    CalibrationFormatGrid = 11
    CalibrationFormatSTMap = 12


class CamerasFormat(enum.IntEnum):
    """Formats of cameras files; here it is XML only."""

    CamerasFormatXML = 0


class ModelFormat(enum.IntEnum):
    """Formats of mesh files; here the suffix of the file always decides."""

    ModelFormatNone = 0
    ModelFormatOBJ = 1
    ModelFormatPLY = 2
    ModelFormatSTL = 3
    ModelFormatGLTF = 4


class SensorType(enum.IntEnum):
    """Camera models, ``Sensor.Type``; the numbers are Metashape's own."""

    Frame = 1
    Fisheye = 2
    EquidistantFisheye = 3
    Spherical = 4
    Cylindrical = 6
    RPC = 8
    EquisolidFisheye = 10


class CameraType(enum.IntEnum):
    """Kinds of cameras, ``Camera.Type``; the cameras of camera tracks, keyframes, are never read."""

    Regular = 0
    Keyframe = 1


class TiffCompression(enum.IntEnum):
    """Compressions of TIFF files, ``ImageCompression.TiffCompression``."""

    TiffCompressionNone = 0
    TiffCompressionLZW = 1
    TiffCompressionJPEG = 2
    TiffCompressionPackbits = 3
    TiffCompressionDeflate = 4
    TiffCompressionWebP = 5


# Those that belong to no class; of the others the class has the values.
ENUMERATIONS: tuple[type[enum.IntEnum], ...] = (CalibrationFormat, CamerasFormat, ModelFormat)


def to_module() -> dict[str, enum.IntEnum]:
    """Return the values that the module itself has, ``Metashape.CalibrationFormatXML``, by their names."""
    return {value.name: value for kind in ENUMERATIONS for value in kind}
