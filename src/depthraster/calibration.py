"""`Calibration`: the lens and size of an image as one frozen value, with the maps between pixels and directions.

The formulas are in ``kernels/lens.py``, one point at a time; here arrays come in, are checked, and go through
them. Reading calibrations from files is ``io``'s.

To add a lens model: write its ``project``, ``project_jacobian`` and ``unproject`` beside those of ``frame``
in ``kernels/lens.py``; name it in `TYPES`; dispatch on it in `project` and `unproject`; give
``kernels/tiles.py`` its projection; and add a line to the table of lenses in ``tests/test_calibration.py``.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.kernels.lens import project_points, unproject_pixels

__all__ = ["TYPES", "Calibration"]

TYPES = ("frame",)
_OTHER_TYPES = (
    "fisheye", "equidistant_fisheye", "equisolid_fisheye", "spherical", "cylindrical", "rpc",
)  # fmt: skip

_MAX_SIDE = 1_000_000  # pixels
_MAX_PIXELS = 2**32  # 16 GiB of depth; more is a mistake, not an image
_COEFFICIENTS = ("cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4", "b1", "b2")


@dataclass(frozen=True)
class Calibration:
    """A camera's lens and image size: Metashape's parameters with Metashape's meaning.

    Parameters
    ----------
    width, height : int
        Size of the image, pixels.
    f : float
        Focal length, pixels.
    cx, cy : float
        Principal point as an offset from the image's centre, pixels, positive right and down.
    k1, k2, k3, k4 : float
        Radial distortion.
    p1, p2, p3, p4 : float
        Tangential distortion. p1 and p2 stand the other way round than in OpenCV.
    b1, b2 : float
        Affinity and skew, pixels.
    type : str
        The lens model; ``"frame"``.

    Raises
    ------
    TypeError, ValueError
        A size that is not a positive whole number or is absurd, f not positive, a parameter that is not
        finite, a lens model that does not exist or is not supported.

    Notes
    -----
    With x = X/Z, y = Y/Z, r² = x² + y² (Metashape manual, appendix "Camera models"; p3, p4 as in its versions
    1.2 to 1.5)::

        R  = 1 + k1 r² + k2 r⁴ + k3 r⁶ + k4 r⁸        D = 1 + p3 r² + p4 r⁴
        x' = x R + (p1 (r² + 2 x²) + 2 p2 x y) D
        y' = y R + (p2 (r² + 2 y²) + 2 p1 x y) D
        u  = width/2  + cx + x' f + x' b1 + y' b2
        v  = height/2 + cy + y' f

    Pixel coordinates have their origin at the outer corner of the top-left pixel, whose centre is (0.5, 0.5).
    """

    width: int
    height: int
    f: float
    cx: float = 0.0
    cy: float = 0.0
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    p3: float = 0.0
    p4: float = 0.0
    b1: float = 0.0
    b2: float = 0.0
    type: str = "frame"

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            object.__setattr__(self, name, _checked_side(getattr(self, name), name))
        if self.width * self.height > _MAX_PIXELS:
            raise ValueError(
                f"the image has {self.width} x {self.height} pixels; at most 2**32 are possible: check width and height"
            )
        for name in ("f", *_COEFFICIENTS):
            object.__setattr__(self, name, _checked_number(getattr(self, name), name))
        if not self.f > 0.0:
            raise ValueError(
                f"f is {self.f}; a positive focal length in pixels is needed: check the calibration"
            )
        if not self.f + self.b1 > 0.0:
            raise ValueError(
                f"f + b1 is {self.f + self.b1}, the focal length along x; it must be positive: check the calibration"
            )
        if self.type in _OTHER_TYPES:
            raise ValueError(f"the lens type is {self.type!r}, which is not supported yet; 'frame' is needed")
        if self.type not in TYPES:
            raise ValueError(f"the lens type is {self.type!r}, which does not exist; pass type='frame'")

    @cached_property
    def valid_radius(self) -> float:
        """First radius sqrt(x² + y²) of the undistorted plane where the distorted radius stops growing; inf if nowhere.

        Beyond it the polynomial images points a second time; they are taken as not imaged.
        """
        # d (r R) / dr as a polynomial in r², highest power first; leading zeros and negligible terms are
        # numpy's.
        polynomial = [9.0 * self.k4, 7.0 * self.k3, 5.0 * self.k2, 3.0 * self.k1, 1.0]
        roots = np.roots(polynomial)
        squares = [
            float(root.real)
            for root in roots
            if root.real > 0.0 and abs(root.imag) <= 1e-7 * abs(root)
        ]  # fmt: skip
        if not squares:
            return math.inf
        square = min(squares)
        for _ in range(3):  # polish; numpy's roots lose digits when the coefficients differ much
            slope = float(np.polyval(np.polyder(polynomial), square))
            if slope < 0.0:
                square -= float(np.polyval(polynomial, square)) / slope
        return math.sqrt(square)

    def lens_params(self) -> npt.NDArray[np.float64]:
        """Return the lens as the kernels take it: (16,) float64, see ``kernels/lens.py``."""
        return np.array(
            [
                self.f, 0.5 * self.width + self.cx, 0.5 * self.height + self.cy, self.b1, self.b2,
                self.k1, self.k2, self.k3, self.k4, self.p1, self.p2, self.p3, self.p4,
                self.valid_radius**2, 0.0, 0.0,
            ]
        )  # fmt: skip

    def project(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return where points are imaged.

        Parameters
        ----------
        points : (..., 3) array of float
            Points in the camera's frame, any unit.

        Returns
        -------
        (..., 2) float64 array
            Pixel coordinates u, v, also outside the image; NaN for points that are not in front of the
            camera, not within the lens' valid domain, or not finite.

        Raises
        ------
        ValueError
            The last axis does not have three elements.
        """
        array = np.asarray(points, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != 3:
            raise ValueError(
                f"points have the shape {array.shape}; (..., 3) is needed: pass X, Y, Z in the camera's frame"
            )
        pixels = np.empty((array.size // 3, 2))
        project_points(np.ascontiguousarray(array).reshape(-1, 3), self.lens_params(), pixels)
        return pixels.reshape(*array.shape[:-1], 2)

    def unproject(self, pixels: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the directions that pixels look into.

        Parameters
        ----------
        pixels : (..., 2) array of float
            Pixel coordinates u, v; pixel (row, col) has its centre at (col + 0.5, row + 0.5).

        Returns
        -------
        (..., 3) float64 array
            Directions in the camera's frame with Z = 1; NaN for pixels that the lens does not image. They
            project back to within 1e-9 pixel.

        Raises
        ------
        ValueError
            The last axis does not have two elements.
        """
        array = np.asarray(pixels, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != 2:
            raise ValueError(f"pixels have the shape {array.shape}; (..., 2) is needed: pass u, v")
        directions = np.empty((array.size // 2, 3))
        unproject_pixels(np.ascontiguousarray(array).reshape(-1, 2), self.lens_params(), directions)
        return directions.reshape(*array.shape[:-1], 3)

    def scaled(self, factor: float) -> Calibration:
        """Return the calibration of the same image resized by a factor.

        The size is rounded to whole pixels (at least 1). Everything in pixels is scaled by ``factor`` itself,
        about the image's outer top-left corner, so that pixel (u, v) of the one is exactly (u factor, v
        factor) of the other; where rounding changed the size, a fraction of a pixel is lost or gained on the
        right and below.

        Parameters
        ----------
        factor : float
            Positive; 0.5 for half the width and height.

        Raises
        ------
        ValueError
            The factor is not positive and finite.
        """
        factor = _checked_number(factor, "factor")
        if not factor > 0.0:
            raise ValueError(
                f"factor is {factor}; a positive number is needed: pass e.g. 0.5 for half the size"
            )
        width, height = max(1, round(self.width * factor)), max(1, round(self.height * factor))
        return dataclasses.replace(
            self,
            width=width,
            height=height,
            f=self.f * factor,
            cx=self.cx * factor + 0.5 * (self.width * factor - width),
            cy=self.cy * factor + 0.5 * (self.height * factor - height),
            b1=self.b1 * factor,
            b2=self.b2 * factor,
        )


def _checked_side(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}; a whole number of pixels is needed: pass an int")
    if not 1 <= value <= _MAX_SIDE:
        raise ValueError(f"{name} is {value}; 1 to {_MAX_SIDE} pixels are possible: check the image's size")
    return int(value)


def _checked_number(value: Any, name: str) -> float:
    if isinstance(value, (bool, str)) or value is None:
        raise TypeError(f"{name} is {value!r}; a number is needed: pass a float")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} is {value!r}; a number is needed: pass a float") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}; a finite number is needed: check the calibration")
    return number
