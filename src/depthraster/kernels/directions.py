"""Lenses that see beyond a plane, one point at a time: direction to pixel and pixel to direction.

The models are numbered by the constants below; the number is element 14 of the lens' vector, whose others are those
of ``lens.py``. Fisheyes bend the angle from the axis into a radius and then distort that plane as the frame lens does
its own; panoramas are closed formulas without distortion. Sources: Metashape's manual, appendix "Camera models", for
fisheyes and spherical cameras; the cylindrical one has no other.

The commonest change is a new model: a number, and a branch in each of `direction_of` and `project_direction`.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.jit import inner, kernel
from depthraster.kernels.lens import project_frame, unproject_frame

__all__ = [
    "CYLINDRICAL",
    "EQUISOLID_FISHEYE",
    "FISHEYE",
    "FRAME",
    "ORTHOGRAPHIC",
    "SPHERICAL",
    "direction_of",
    "project_direction",
    "project_directions",
    "unproject_directions",
]

FRAME, FISHEYE, EQUISOLID_FISHEYE, SPHERICAL, CYLINDRICAL, ORTHOGRAPHIC = 0, 1, 2, 3, 4, 5

_WHOLE = 1.0 + 1e-12  # of a turn: rounding at a panorama's very edge is not beyond it


@inner
def project_direction(x, y, z, lens):
    """Return the pixel (u, v) of the point (x, y, z) in the camera's frame; (NaN, NaN) where it is not imaged."""
    model = lens[14]
    if model == ORTHOGRAPHIC:
        if z > 0.0:
            return lens[1] + lens[0] * x, lens[2] + lens[0] * y
        return np.nan, np.nan
    if model in (SPHERICAL, CYLINDRICAL):
        across = np.sqrt(x * x + z * z)
        if not (np.isfinite(across + y) and across > 0.0):
            # The poles lie on every meridian; the middle one stands for them.
            if model == SPHERICAL and across == 0.0 and y != 0.0 and np.isfinite(y):
                return lens[1], lens[2] + lens[0] * np.copysign(0.5 * np.pi, y)
            return np.nan, np.nan
        height = np.arctan2(y, across) if model == SPHERICAL else y / across
        return lens[1] + lens[0] * np.arctan2(x, z), lens[2] + lens[0] * height
    if model == FRAME:
        if not z > 0.0:
            return np.nan, np.nan
        x, y = x / z, y / z
    else:
        across = np.sqrt(x * x + y * y)
        if not np.isfinite(across + z) or (across == 0.0 and not z > 0.0):
            return np.nan, np.nan
        angle = np.arctan2(across, z)
        radius = angle if model == FISHEYE else 2.0 * np.sin(0.5 * angle)
        bent = radius / across if across > 0.0 else 0.0
        x, y = x * bent, y * bent
    if not x * x + y * y <= lens[13]:
        return np.nan, np.nan
    return project_frame(x, y, lens)


@inner
def direction_of(u, v, lens, beyond):
    """Return the unit direction that the pixel (u, v) looks into; NaN where the lens images nothing.

    With ``beyond`` a panorama goes on past its edges and poles as its formulas do, smoothly.
    """
    model = lens[14]
    if model in (SPHERICAL, CYLINDRICAL):
        longitude, height = (u - lens[1]) / lens[0], (v - lens[2]) / lens[0]
        if not beyond:
            outside = abs(longitude) > np.pi * _WHOLE
            outside |= model == SPHERICAL and abs(height) > 0.5 * np.pi * _WHOLE
            if outside:
                return np.nan, np.nan, np.nan
        if model == SPHERICAL:
            across = np.cos(height)
            return np.sin(longitude) * across, np.sin(height), np.cos(longitude) * across
        across = 1.0 / np.sqrt(1.0 + height * height)
        return np.sin(longitude) * across, height * across, np.cos(longitude) * across
    x, y = unproject_frame(u, v, lens)
    if model == FRAME:
        across = 1.0 / np.sqrt(1.0 + x * x + y * y)
        return x * across, y * across, across
    radius = np.sqrt(x * x + y * y)
    if model == FISHEYE:
        angle = radius
    else:
        angle = 2.0 * np.arcsin(min(0.5 * radius, 1.0)) if radius == radius else radius
    bent = np.sin(angle) / radius if radius > 0.0 else 1.0
    return x * bent, y * bent, np.cos(angle)


@kernel
def project_directions(points, lens, pixels):
    """Project points (n, 3) to pixels (n, 2), NaN where not imaged."""
    for i in range(points.shape[0]):
        pixels[i, 0], pixels[i, 1] = project_direction(points[i, 0], points[i, 1], points[i, 2], lens)


@kernel
def unproject_directions(pixels, lens, beyond, directions):
    """Unproject pixels (n, 2) to unit directions (n, 3), NaN where not imaged; ``beyond`` as for `direction_of`."""
    for i in range(pixels.shape[0]):
        directions[i, 0], directions[i, 1], directions[i, 2] = direction_of(
            pixels[i, 0], pixels[i, 1], lens, beyond
        )
