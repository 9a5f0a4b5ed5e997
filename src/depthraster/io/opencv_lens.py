"""OpenCV's lenses as arrays, K and its distortion coefficients, to a `Calibration` and back.

The formulas are those of the OpenCV documentation, "Camera Calibration and 3D Reconstruction" and "Fisheye camera model".
OpenCV counts pixels from the centre of the first one, Metashape from its outer corner, so principal points differ by half
a pixel; and p1 and p2 have each other's names. The polynomial of OpenCV's fisheye, theta (1 + k1 theta² + … + k4 theta⁸),
is that of Metashape's: the radius in its plane is theta. Files are ``opencv_storage.py``'s. The commonest change is
another set of coefficients: its count in `_NAMES` and its formula in `distort`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.io.foreign_lenses import Array, ForeignLens, in_foreign_terms, plus

__all__ = ["distort", "from_arrays", "opencv_lens", "opencv_numbers", "shift", "to_arrays"]

# In OpenCV's order; 4, 5, 8, 12 or 14 of them are given.
_NAMES = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "tau_x", "tau_y")
_COUNTS = (0, 4, 5, 8, 12, 14)
_SHARED = ("k1", "k2", "p1", "p2", "k3")
_FISHEYE_NAMES = ("k1", "k2", "k3", "k4")


def from_arrays(
    camera_matrix: npt.ArrayLike,
    coefficients: npt.ArrayLike | None,
    width: int,
    height: int,
    *,
    fisheye: bool,
    pixel_center: float,
    fit: bool | float,
) -> Calibration:
    """Return the calibration that OpenCV's arrays mean, see `Calibration.from_opencv`."""
    matrix = _numbers(camera_matrix, "K")
    if matrix.shape != (3, 3):
        raise ValueError(
            f"K has the shape {matrix.shape}; (3, 3) is needed: pass [[fx, skew, cx], [0, fy, cy], [0, 0, 1]]"
        )
    size = Calibration(width=width, height=height, f=1.0)  # which checks it
    given = np.empty(0) if coefficients is None else _numbers(coefficients, "dist").reshape(-1)
    lens = opencv_lens(
        [Decimal(value) for value in matrix.reshape(-1).tolist()],
        given.tolist(),
        size.width,
        size.height,
        fisheye=fisheye,
        pixel_center=pixel_center,
    )
    notes: list[str] = []
    calibration = lens.calibration(fit, notes)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)
    return calibration


def to_arrays(calibration: Calibration, *, pixel_center: float) -> tuple[Array, Array]:
    """Return a calibration as OpenCV's arrays, see `Calibration.to_opencv`."""
    matrix, coefficients = opencv_numbers(calibration, pixel_center)
    if calibration.b2 != 0.0:
        warnings.warn(
            f"b2 is {calibration.b2:.6g} px: K[0, 1] holds it, but OpenCV's own functions do not look at it",
            UserWarning,
            stacklevel=3,
        )
    return np.array([float(value) for value in matrix]).reshape(3, 3), np.array(
        [float(value) for value in coefficients]
    )


def opencv_lens(
    matrix: Sequence[Decimal],
    coefficients: Sequence[float],
    width: int,
    height: int,
    *,
    fisheye: bool,
    pixel_center: float,
) -> ForeignLens:
    """Return what the nine numbers of K, row by row, and the distortion coefficients mean.

    Raises
    ------
    ValueError
        K is no camera matrix, or there are other numbers of coefficients than OpenCV has.
    """
    fx, skew, cx, zero, fy, cy, *last = matrix
    if zero != 0 or [float(value) for value in last] != [0.0, 0.0, 1.0]:
        raise ValueError(
            f"the camera matrix has {float(zero):.6g} below its diagonal and the last row "
            f"{' '.join(f'{float(value):.6g}' for value in last)}; 0 and 0 0 1 are needed: pass "
            "[[fx, skew, cx], [0, fy, cy], [0, 0, 1]]"
        )
    for name, value in (("fx", fx), ("fy", fy)):
        if not value > 0:
            raise ValueError(
                f"{name} is {float(value):.6g}; a positive focal length in pixels is needed: check the camera matrix"
            )
    count = len(coefficients)
    if fisheye and count not in (0, 4):
        raise ValueError(
            f"there are {count} distortion coefficients of a fisheye; k1 k2 k3 k4 are needed: check whether it is one"
        )
    if not fisheye and count not in _COUNTS:
        raise ValueError(
            f"there are {count} distortion coefficients; 4, 5, 8, 12 or 14 are needed, in OpenCV's order "
            "k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tau_x tau_y: add zeros"
        )
    named = dict(zip(_FISHEYE_NAMES if fisheye else _NAMES, coefficients, strict=False))
    moved = shift(pixel_center)
    shared = _FISHEYE_NAMES if fisheye else _SHARED
    return ForeignLens(
        width=width,
        height=height,
        fx=fx,
        fy=fy,
        cx=plus(cx, moved),
        cy=plus(cy, moved),
        skew=skew,
        plane="fisheye" if fisheye else "frame",
        terms={name: named[name] for name in shared if name in named},
        others={name: value for name, value in named.items() if name not in shared},
        model="OpenCV's lens",
        distort=None if fisheye else distort,
        numbers=named,
    )


def opencv_numbers(calibration: Calibration, pixel_center: float) -> tuple[list[Decimal], list[Decimal]]:
    """Return the nine numbers of K, row by row, and the 5 distortion coefficients, 4 of a fisheye; exactly."""
    if calibration.type not in ("frame", "fisheye"):
        raise ValueError(
            f"the lens is {calibration.type}, which OpenCV has not; frame or fisheye is needed: keep the calibration in "
            "Metashape's own format"
        )
    fisheye = calibration.type == "fisheye"
    has = frozenset((*(_FISHEYE_NAMES if fisheye else _SHARED), "skew"))
    terms = in_foreign_terms(calibration, "OpenCV", has)
    moved = shift(pixel_center)
    matrix = [
        terms["fx"], terms["skew"], plus(terms["cx"], -moved),
        Decimal(0), terms["fy"], plus(terms["cy"], -moved),
        Decimal(0), Decimal(0), Decimal(1),
    ]  # fmt: skip
    return matrix, [terms[name] for name in (_FISHEYE_NAMES if fisheye else _SHARED)]


def shift(pixel_center: float) -> Decimal:
    """Return what must be added to coordinates in which the first pixel's centre is at `pixel_center`."""
    if pixel_center not in (0.0, 0.5) or isinstance(pixel_center, bool):
        raise ValueError(
            f"pixel_center is {pixel_center!r}, where the centre of the first pixel is said to be; 0.0, as OpenCV counts, "
            "or 0.5 is needed: pass one of them"
        )
    return Decimal("0.5") - Decimal(pixel_center)


def distort(x: Array, y: Array, c: Mapping[str, float]) -> tuple[Array, Array]:
    """Return where OpenCV's lens takes points of its plane (OpenCV documentation, "Camera Calibration")."""
    r2 = x * x + y * y
    numerator = 1 + r2 * (c.get("k1", 0.0) + r2 * (c.get("k2", 0.0) + r2 * c.get("k3", 0.0)))
    denominator = 1 + r2 * (c.get("k4", 0.0) + r2 * (c.get("k5", 0.0) + r2 * c.get("k6", 0.0)))
    radial = numerator / denominator
    p1, p2 = c.get("p1", 0.0), c.get("p2", 0.0)
    x2 = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (c.get("s1", 0.0) + r2 * c.get("s2", 0.0))
    y2 = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (c.get("s3", 0.0) + r2 * c.get("s4", 0.0))
    tau_x, tau_y = c.get("tau_x", 0.0), c.get("tau_y", 0.0)
    if tau_x == 0.0 and tau_y == 0.0:
        return x2, y2
    # The image plane is tilted: a rotation, and a projection along the axis.
    cos_x, sin_x, cos_y, sin_y = math.cos(tau_x), math.sin(tau_x), math.cos(tau_y), math.sin(tau_y)
    turn = np.array([[cos_y, 0, -sin_y], [0, 1, 0], [sin_y, 0, cos_y]]) @ np.array(
        [[1, 0, 0], [0, cos_x, sin_x], [0, -sin_x, cos_x]]
    )
    onto = np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]]) @ turn
    w = onto[2, 0] * x2 + onto[2, 1] * y2 + onto[2, 2]
    return (
        (onto[0, 0] * x2 + onto[0, 1] * y2 + onto[0, 2]) / w,
        (onto[1, 0] * x2 + onto[1, 1] * y2 + onto[1, 2]) / w,
    )


def _numbers(values: npt.ArrayLike, name: str) -> Array:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is not an array of numbers; one is needed: pass OpenCV's array") from None
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} holds numbers that are not finite; finite ones are needed: check the calibration"
        )
    return array
