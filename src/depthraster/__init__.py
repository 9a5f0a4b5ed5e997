"""Exact, watertight, fast depth images from a mesh and a calibrated camera."""

from depthraster.errors import FormatError

__all__ = ["FormatError"]
