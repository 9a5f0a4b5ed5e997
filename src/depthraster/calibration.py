"""`Calibration`: the lens and size of an image as one frozen value, with the maps between pixels and directions.

The formulas are in ``kernels/lens.py`` (the frame lens and its distortion) and ``kernels/directions.py`` (all others),
one point at a time; here arrays come in, are checked, and go through them. Files, and what other programs make of a lens,
are ``io``'s (``io/calibration_files.py``); the methods that are here for them only call it.

To add a lens model: give it a number in ``kernels/directions.py`` and a branch in each of `direction_of` and
`project_direction`; add its line to `_LENSES` below, its formula to the docstring of `Calibration` and to
``docs/conventions.md``, and a line to the tables of lenses in ``tests/test_lenses.py`` and ``tests/cameras.py``. The
renderer asks for nothing else: it works on the directions of pixels.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels import directions
from depthraster.kernels.lens import project_points, unproject_pixels
from depthraster.numeric import real_number

__all__ = ["TYPES", "Calibration"]


class _Lens(NamedTuple):
    """What a lens model is, beside its formulas."""

    number: int  # in the kernels
    is_distorted: bool  # whether k, p and b mean anything
    plane: float  # the radius at which the plane that they act on ends


_LENSES = {
    "frame": _Lens(directions.FRAME, True, math.inf),
    "fisheye": _Lens(directions.FISHEYE, True, math.pi),
    "equisolid_fisheye": _Lens(directions.EQUISOLID_FISHEYE, True, 2.0),
    "spherical": _Lens(directions.SPHERICAL, False, math.inf),
    "cylindrical": _Lens(directions.CYLINDRICAL, False, math.inf),
    "orthographic": _Lens(directions.ORTHOGRAPHIC, False, math.inf),
}
_SPELLINGS = {"equidistant_fisheye": "fisheye"}  # other names of the same model
TYPES = tuple(_LENSES)

_NOT_GIVEN = float("nan")  # an object of its own
_MAX_SIDE = 1_000_000  # pixels
_MAX_PIXELS = 2**32  # 16 GiB of depth; more is a mistake, not an image
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4", "b1", "b2")


@dataclass(frozen=True)
class Calibration:
    """A camera's lens and image size: Metashape's parameters with Metashape's meaning.

    Parameters
    ----------
    width, height : int
        Size of the image, pixels.
    f : float
        Focal length, pixels; of a panorama, pixels per radian; of an orthographic view, pixels per unit. May be left
        out of spherical panoramas only: width / (2 pi), a whole turn.
    cx, cy : float
        Principal point as an offset from the image's centre, pixels, positive right and down.
    k1, k2, k3, k4 : float
        Radial distortion.
    p1, p2, p3, p4 : float
        Tangential distortion. p1 and p2 stand the other way round than in OpenCV.
    b1, b2 : float
        Affinity and skew, pixels.
    type : str
        The lens model, see Notes; Metashape's word ``"equidistant_fisheye"`` is another for ``"fisheye"``.

    Raises
    ------
    TypeError, ValueError
        A size that is not a positive whole number or is absurd, f not positive, a parameter that is not
        finite, a lens model that does not exist, distortion of a lens that has none.

    Notes
    -----
    Points of the camera's frame X (right), Y (down), Z (forward) are imaged so (Metashape manual, appendix "Camera
    models"; p3, p4 as in its versions 1.2 to 1.5; ``orthographic`` is ours)::

        frame              x = X/Z                  y = Y/Z                 Z > 0
        fisheye            x = theta X / rho        y = theta Y / rho       rho² = X² + Y², theta = atan2(rho, Z)
        equisolid_fisheye  x = 2 sin(theta/2) X / rho                       y likewise
        spherical          u = width/2 + cx + f atan2(X, Z)                 v = height/2 + cy + f atan2(Y, √(X² + Z²))
        cylindrical        u = width/2 + cx + f atan2(X, Z)                 v = height/2 + cy + f Y / √(X² + Z²)
        orthographic       u = width/2 + cx + f X                           v = height/2 + cy + f Y, Z > 0

    and for the first three, with r² = x² + y²::

        R  = 1 + k1 r² + k2 r⁴ + k3 r⁶ + k4 r⁸        D = 1 + p3 r² + p4 r⁴
        x' = x R + (p1 (r² + 2 x²) + 2 p2 x y) D
        y' = y R + (p2 (r² + 2 y²) + 2 p1 x y) D
        u  = width/2  + cx + x' f + x' b1 + y' b2
        v  = height/2 + cy + y' f

    Pixel coordinates have their origin at the outer corner of the top-left pixel, whose centre is (0.5, 0.5).
    """

    width: int
    height: int
    f: float = _NOT_GIVEN
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
                f"the image has {self.width} x {self.height} pixels; at most 2**32 are possible: "
                "check width, height and scale"
            )
        object.__setattr__(self, "type", _checked_type(self.type))
        if self.type == "spherical" and isinstance(self.f, float) and math.isnan(self.f):
            object.__setattr__(self, "f", self.width / (2.0 * math.pi))
        if self.f is _NOT_GIVEN:
            raise TypeError(f"f is missing; a {self.type} lens needs its focal length in pixels: pass f=...")
        for name in ("f", "cx", "cy", *_DISTORTION):
            object.__setattr__(self, name, _checked_number(getattr(self, name), name))
        if not self.f > 0.0:
            raise ValueError(
                f"f is {self.f}; a positive focal length in pixels is needed: check the calibration"
            )
        if not self.f + self.b1 > 0.0:
            raise ValueError(
                f"f + b1 is {self.f + self.b1}, the focal length along x; it must be positive: check the calibration"
            )
        unused = [name for name in _DISTORTION if getattr(self, name) != 0.0]
        if unused and not _LENSES[self.type].is_distorted:
            raise ValueError(
                f"{unused[0]} is {getattr(self, unused[0])}, but a {self.type} lens has no distortion: leave "
                f"{' '.join(unused)} out, or pass the type that they belong to"
            )

    @cached_property
    def valid_radius(self) -> float:
        """First radius sqrt(x² + y²) of the undistorted plane where the distorted radius stops growing; inf if nowhere.

        Beyond it the polynomial images points a second time; they are taken as not imaged. The plane of fisheyes (see
        Notes of `Calibration`) ends at theta = pi in any case.
        """
        end = _LENSES[self.type].plane
        # d (r R) / dr as a polynomial in r², highest power first. Its roots are sought as those of the polynomial in 1/r²,
        # which begins with 1: coefficients next to nothing then send roots to 0 instead of overflowing.
        polynomial = [9.0 * self.k4, 7.0 * self.k3, 5.0 * self.k2, 3.0 * self.k1, 1.0]
        roots = np.roots(polynomial[::-1])
        inverses = [
            float(root.real)
            for root in roots
            if root.real > 1e-30 and abs(root.imag) <= 1e-7 * abs(root)
        ]  # fmt: skip
        if not inverses:
            return end
        square = 1.0 / max(inverses)
        for _ in range(3):  # polish; numpy's roots lose digits when the coefficients differ much
            slope = float(np.polyval(np.polyder(polynomial), square))
            if slope < 0.0:
                square -= float(np.polyval(polynomial, square)) / slope
        return min(math.sqrt(square), end)

    def lens_params(self) -> npt.NDArray[np.float64]:
        """Return the lens as the kernels take it: (16,) float64, see ``kernels/lens.py``."""
        return np.array(
            [
                self.f, 0.5 * self.width + self.cx, 0.5 * self.height + self.cy, self.b1, self.b2,
                self.k1, self.k2, self.k3, self.k4, self.p1, self.p2, self.p3, self.p4,
                self.valid_radius**2, _LENSES[self.type].number, 0.0,
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
            Pixel coordinates u, v, also outside the image; NaN for points that are not within the lens' valid
            domain (with ``frame`` and ``orthographic``: not in front of the camera), or not finite.

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
        door = project_points if self.type == "frame" else directions.project_directions
        door(np.ascontiguousarray(array).reshape(-1, 3), self.lens_params(), pixels)
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
            Directions in the camera's frame; NaN for pixels that the lens does not image. With Z = 1 for ``frame``
            lenses, of length 1 for the others, which see to the side and behind. An ``orthographic`` view looks in
            one direction from everywhere: of a pixel it gives (X, Y, 1), a point that it images there. They project
            back to within 1e-9 pixel.

        Raises
        ------
        ValueError
            The last axis does not have two elements.
        """
        array = np.asarray(pixels, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != 2:
            raise ValueError(f"pixels have the shape {array.shape}; (..., 2) is needed: pass u, v")
        flat = np.ascontiguousarray(array).reshape(-1, 2)
        found = np.empty((len(flat), 3))
        if self.type == "frame":
            unproject_pixels(flat, self.lens_params(), found)
        elif self.type == "orthographic":
            found[:, :2] = (flat - self.lens_params()[1:3]) / self.f
            found[:, 2] = 1.0
        else:
            directions.unproject_directions(flat, self.lens_params(), False, found)
        return found.reshape(*array.shape[:-1], 3)

    @property
    def field_of_view(self) -> tuple[float, float]:
        """What the image sees across and down, degrees: the angle between the outermost directions that are imaged.

        Measured along the row and the column of the principal point, step by step, so also beyond 180 degrees; what
        the lens does not image is not counted. 0 for an orthographic view.
        """
        if self.type == "orthographic":
            return 0.0, 0.0
        centre = 0.5 * self.width + self.cx, 0.5 * self.height + self.cy
        across = self._angle_along(0, self.width, centre[1])
        return math.degrees(across), math.degrees(self._angle_along(1, self.height, centre[0]))

    def _angle_along(self, axis: int, side: int, other: float) -> float:
        """Return the angle (radians) that the directions of an image row or column turn through."""

        def look(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            pixels = np.full((places.size, 2), other)
            pixels[:, axis] = places
            found = self.unproject(pixels)
            return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))

        places = np.linspace(0.0, side, 257)
        imaged = np.flatnonzero(np.isfinite(look(places)).all(axis=1))
        if not imaged.size:
            return 0.0
        ends = []
        for seen, unseen in ((imaged[0], imaged[0] - 1), (imaged[-1], imaged[-1] + 1)):
            near, far = places[seen], places[min(max(unseen, 0), 256)]
            for _ in range(50):  # the lens' own end, between two places
                middle = np.array([0.5 * (near + far)])
                near, far = (middle[0], far) if np.isfinite(look(middle)).all() else (near, middle[0])
            ends.append(near)
        steps = np.linalg.norm(np.diff(look(np.linspace(ends[0], ends[1], 257)), axis=0), axis=1)
        return float((2.0 * np.arcsin(0.5 * steps)).sum())

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

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        camera: str | int | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        fisheye: bool | None = None,
        pixel_center: float | None = None,
        fit: bool | float = False,
    ) -> Calibration:
        """Read a calibration file.

        What it is, its content says, not its name: Metashape's calibration XML, PhotoScan's included; OpenCV's XML, YAML or
        JSON, and ROS' camera_info; COLMAP's ``cameras.txt`` or ``cameras.bin``; nerfstudio's ``transforms.json``. What
        becomes of which number is told in ``docs/calibrations.md``. For a ``cameras.xml`` or a project, use `load_chunk`.

        Parameters
        ----------
        path : str or path
            The file.
        camera : str or int, optional
            Which of several that differ, by the name that `load_calibrations` has for it: COLMAP's camera id,
            nerfstudio's ``file_path``.
        width, height : int, optional
            Size of the image, pixels, where the file does not say it; where it does, the same.
        fisheye : bool, optional
            Whether K and four coefficients are those of OpenCV's fisheye, where the file does not say it.
        pixel_center : float, optional
            What an OpenCV file takes for the coordinates of the first pixel's centre: 0.0 as OpenCV does, or 0.5.
        fit : bool or float, optional
            Whether a lens without a counterpart (rational, thin-prism and tilt terms; COLMAP's FOV, EUCM, …) is replaced
            by the nearest frame camera or fisheye, if that is off by at most 0.1 px, or the pixels that you pass.

        Raises
        ------
        FormatError
            The file is of another kind, damaged or hostile; a number is missing, not finite or contradicts another; the
            lens has no counterpart; or there are several cameras. The message names the file and the element.
        ValueError, OSError
            There is no such camera; the file cannot be read.

        Warns
        -----
        UserWarning
            Additional corrections are not applied; a lens was fitted, and how far off it is.
        """
        from depthraster.io.calibration_files import load_calibration
        from depthraster.io.calibration_options import Options

        return load_calibration(path, camera, Options(width, height, fisheye, pixel_center), fit)

    def save(
        self, path: str | os.PathLike[str], format: str | None = None, *, pixel_center: float | None = None
    ) -> None:
        """Write a calibration file; it is written whole or not at all, and replaces one that is there.

        Read again, the numbers are the same to the last bit (but for a principal point in ``cameras.bin``, which has a
        double for its distance from the corner).

        Parameters
        ----------
        path : str or path
            The file.
        format : str, optional
            ``"metashape"``, its XML; ``"opencv"``, XML or JSON if the suffix says so, else YAML; ``"colmap"``, binary if
            the suffix is ``.bin``, else text; ``"nerfstudio"``. By default what the suffix stands for: ``.xml`` Metashape,
            ``.yml`` and ``.yaml`` OpenCV, ``.txt`` and ``.bin`` COLMAP, ``.json`` nerfstudio.
        pixel_center : float, optional
            As for `load`, of ``"opencv"`` only.

        Raises
        ------
        ValueError, OSError
            The format does not exist, or has no place for the lens or a term of it; the file cannot be written.
        """
        from depthraster.io.calibration_files import save_calibration

        save_calibration(self, path, format, pixel_center)

    @classmethod
    def from_opencv(
        cls,
        K: npt.ArrayLike,
        dist: npt.ArrayLike | None,
        width: int,
        height: int,
        *,
        fisheye: bool = False,
        pixel_center: float = 0.0,
        fit: bool | float = False,
    ) -> Calibration:
        """Return the calibration that means the same as OpenCV's arrays.

        Parameters
        ----------
        K : (3, 3) array of float
            The camera matrix, pixels: [[fx, skew, cx], [0, fy, cy], [0, 0, 1]].
        dist : array of float, or None
            4, 5, 8, 12 or 14 coefficients in OpenCV's order, k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tau_x tau_y, in any
            shape; with ``fisheye`` k1 k2 k3 k4; None or none for no distortion.
        width, height : int
            Size of the image, pixels.
        fisheye : bool, optional
            Whether they are ``cv2.fisheye``'s, whose polynomial in theta is that of ``type="fisheye"``.
        pixel_center, fit : optional
            As for `load`.

        Returns
        -------
        Calibration
            `project` gives ``cv2.projectPoints`` + 0.5, since pixels are counted from the corner here.

        Raises
        ------
        TypeError, ValueError
            Arrays of another shape or not finite, a size that is none, or coefficients that are not zero and have no
            counterpart: k4 to k6, s1 to s4, tau_x, tau_y.

        Warns
        -----
        UserWarning
            The lens was fitted, and how far off it is.
        """
        from depthraster.io.opencv_lens import from_arrays

        return from_arrays(K, dist, width, height, fisheye=fisheye, pixel_center=pixel_center, fit=fit)

    def to_opencv(
        self, *, pixel_center: float = 0.0
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return a frame camera or fisheye as OpenCV's arrays.

        Parameters
        ----------
        pixel_center : float, optional
            As for `load`.

        Returns
        -------
        K : (3, 3) float64 array
            The camera matrix, pixels.
        dist : (5,) float64 array
            k1 k2 p1 p2 k3; of a fisheye, (4,): k1 k2 k3 k4, for ``cv2.fisheye``.

        Raises
        ------
        ValueError
            The lens is another, or a term that OpenCV has not is not zero: k4, p3, p4; of a fisheye p1 to p4.

        Warns
        -----
        UserWarning
            b2 is not zero: OpenCV's own functions do not look at K[0, 1].
        """
        from depthraster.io.opencv_lens import to_arrays

        return to_arrays(self, pixel_center=pixel_center)


def _checked_type(value: Any) -> str:
    if value == "rpc":
        raise ValueError(
            "the lens type is 'rpc', a satellite's, which has no camera frame to measure depth in; one of "
            f"{', '.join(TYPES)} is needed: render such images with their own tools"
        )
    value = _SPELLINGS.get(value, value) if isinstance(value, str) else value
    if value not in TYPES:
        raise ValueError(
            f"the lens type is {value!r}, which does not exist; one of {', '.join(TYPES)} is needed"
        )
    return str(value)


def _checked_side(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}; a whole number of pixels is needed: pass an int")
    if not 1 <= value <= _MAX_SIDE:
        raise ValueError(f"{name} is {value}; 1 to {_MAX_SIDE} pixels are possible: check the image's size")
    return int(value)


def _checked_number(value: Any, name: str) -> float:
    try:
        number = real_number(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} is {value!r}; a number is needed: pass a float") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}; a finite number is needed: check the calibration")
    return number
