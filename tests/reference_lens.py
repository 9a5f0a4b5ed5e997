"""The twin's lenses: every model both ways, plain numpy and float64, written from the conventions alone.

A lens here is two steps. A *look* (n, 3) is what a pixel sees: a direction of the camera's frame, with Z = 1 for frame
lenses and of length 1 for the others that look from one centre; for ``orthographic``, whose rays all run along +Z, the
point (X, Y, 1) that the ray goes through. ``PLANES`` takes looks to a plane (x, y) and back, one class a model;
``Lens`` distorts that plane by Brown's polynomial and measures it in pixels. What the twin makes of it is
``reference.py``'s. To add a model, add its plane.

A calibration is anything with the attributes of ``depthraster.Calibration``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np


class Frame:
    """x = X / Z, y = Y / Z, of what lies in front."""

    end = np.inf  # radius at which the plane ends

    def flatten(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) -> (..., 2) of the plane, NaN where they have no place in it."""
        return np.where(points[..., 2:] > 0, points[..., :2] / points[..., 2:], np.nan)

    def look(self, plane: np.ndarray) -> np.ndarray:
        """Plane (n, 2) -> looks (n, 3)."""
        return np.concatenate([plane, np.ones((len(plane), 1))], axis=1)

    def slopes(self, plane: np.ndarray) -> np.ndarray:
        """How looks change along x and along y, (n, 2, 3)."""
        return np.tile([[1.0, 0, 0], [0, 1, 0]], (len(plane), 1, 1))

    def inside(self, plane: np.ndarray) -> np.ndarray:
        """Which points of the plane see anything, as far as the model goes."""
        return np.hypot(*plane.T) <= self.end


class Orthographic(Frame):
    """x = X, y = Y, of what lies in front."""

    def flatten(self, points: np.ndarray) -> np.ndarray:
        return np.where(points[..., 2:] > 0, points[..., :2], np.nan)


class Fisheye(Frame):
    """(x, y) as long as the angle theta from the axis, and pointing where (X, Y) does."""

    end = np.pi

    def radius(self, theta: np.ndarray) -> np.ndarray:
        return theta

    def theta(self, radius: np.ndarray) -> np.ndarray:
        return radius

    def radius_per_theta(self, theta: np.ndarray) -> np.ndarray:
        return np.ones_like(theta)

    def flatten(self, points: np.ndarray) -> np.ndarray:
        rho = np.hypot(points[..., 0], points[..., 1])[..., None]
        theta = np.arctan2(rho, points[..., 2:])
        plane = self.radius(theta) * points[..., :2] / np.where(rho > 0, rho, 1)
        return np.where((rho > 0) | (points[..., 2:] > 0), plane, np.nan)  # straight behind is nowhere

    def look(self, plane: np.ndarray) -> np.ndarray:
        outward, theta = self._polar(plane)
        return np.concatenate([np.sin(theta) * outward, np.cos(theta)], axis=1)

    def slopes(self, plane: np.ndarray) -> np.ndarray:
        outward, theta = self._polar(plane)
        x, y = outward[:, :1], outward[:, 1:]
        # Away from the axis theta grows, round it the azimuth does, at sin(theta) / r.
        away = np.concatenate([np.cos(theta) * outward, -np.sin(theta)], axis=1)
        away /= np.maximum(self.radius_per_theta(theta), 1e-12)
        r = np.hypot(*plane.T)[:, None]
        around = np.concatenate([-y, x, 0 * x], axis=1)
        around = around * np.divide(np.sin(theta), r, out=np.ones_like(r), where=r > 0)
        return np.stack([x * away - y * around, y * away + x * around], axis=1)

    def _polar(self, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r = np.hypot(*plane.T)[:, None]
        outward = np.where(r > 0, plane / np.where(r > 0, r, 1), [1.0, 0.0])
        return outward, self.theta(np.minimum(r, self.end))


class EquisolidFisheye(Fisheye):
    """As the other fisheye, with 2 sin(theta / 2) in the place of theta."""

    end = 2.0

    def radius(self, theta: np.ndarray) -> np.ndarray:
        return 2 * np.sin(theta / 2)

    def theta(self, radius: np.ndarray) -> np.ndarray:
        return 2 * np.arcsin(radius / 2)

    def radius_per_theta(self, theta: np.ndarray) -> np.ndarray:
        return np.cos(theta / 2)


class Spherical(Frame):
    """x is the longitude, y the latitude, down."""

    def flatten(self, points: np.ndarray) -> np.ndarray:
        x, y, z = np.moveaxis(points, -1, 0)
        plane = np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=-1)
        return np.where((points != 0).any(axis=-1)[..., None], plane, np.nan)

    def look(self, plane: np.ndarray) -> np.ndarray:
        (sin_x, sin_y), (cos_x, cos_y) = np.sin(plane).T, np.cos(plane).T
        return np.stack([cos_y * sin_x, sin_y, cos_y * cos_x], axis=1)

    def slopes(self, plane: np.ndarray) -> np.ndarray:
        (sin_x, sin_y), (cos_x, cos_y) = np.sin(plane).T, np.cos(plane).T
        wide = np.maximum(cos_y, 1e-9)  # at the poles one look is a whole row of pixels
        along = np.stack([wide * cos_x, 0 * cos_x, -wide * sin_x], axis=1)
        down = np.stack([-sin_y * sin_x, cos_y, -sin_y * cos_x], axis=1)
        return np.stack([along, down], axis=1)

    def inside(self, plane: np.ndarray) -> np.ndarray:
        return (np.abs(plane) <= [np.pi, np.pi / 2]).all(axis=1)


class Cylindrical(Frame):
    """x is the longitude, y the tangent of the latitude, down."""

    def flatten(self, points: np.ndarray) -> np.ndarray:
        x, y, z = np.moveaxis(points, -1, 0)
        plane = np.stack([np.arctan2(x, z), y / np.hypot(x, z)], axis=-1)
        return np.where(((x != 0) | (z != 0))[..., None], plane, np.nan)

    def look(self, plane: np.ndarray) -> np.ndarray:
        x, y = plane.T
        return np.stack([np.sin(x), y, np.cos(x)], axis=1) / np.hypot(1, y)[:, None]

    def slopes(self, plane: np.ndarray) -> np.ndarray:
        x, y = plane.T
        along = np.stack([np.cos(x), 0 * x, -np.sin(x)], axis=1)
        down = np.tile([0.0, 1.0, 0.0], (len(plane), 1))
        # Of the look before it is brought to length 1; along the look itself nothing is changed by that.
        return np.stack([along, down], axis=1) / np.hypot(1, y)[:, None, None]

    def inside(self, plane: np.ndarray) -> np.ndarray:
        return np.abs(plane[:, 0]) <= np.pi


PLANES = {
    "frame": Frame(),
    "fisheye": Fisheye(),
    "equisolid_fisheye": EquisolidFisheye(),
    "spherical": Spherical(),
    "cylindrical": Cylindrical(),
    "orthographic": Orthographic(),
}


class Lens:
    """A lens as the conventions write it: a plane of ``PLANES``, distorted; with its inverse by Newton's method."""

    def __init__(self, calibration: Any) -> None:
        c = calibration
        self.width, self.height, self.f = int(c.width), int(c.height), float(c.f)
        self.centre = np.array([c.width / 2 + c.cx, c.height / 2 + c.cy], float)
        self.k = np.array([c.k1, c.k2, c.k3, c.k4], float)
        self.p = np.array([c.p1, c.p2, c.p3, c.p4], float)
        self.b1, self.b2 = float(c.b1), float(c.b2)
        self.type, self.plane = str(c.type), PLANES[c.type]
        self.parallel = self.type == "orthographic"
        self.valid_radius = min(self._first_fold(), self.plane.end)

    def _first_fold(self) -> float:
        """The first r > 0 where d/dr (r R(r)) passes from growing to shrinking; inf where it never does."""
        k = np.where(np.abs(self.k) > 1e-30, self.k, 0)  # what matters nowhere only makes roots overflow
        slope = np.concatenate([[1.0], k * [3, 5, 7, 9]])  # in s = r^2, ascending
        roots = np.roots(np.trim_zeros(slope[::-1], "f"))
        real = np.sort(roots.real[(np.abs(roots.imag) <= 1e-9 * np.abs(roots)) & (roots.real > 0)])
        for root in real:
            if np.polyval(slope[::-1], root * (1 + 1e-6)) < 0:
                return float(np.sqrt(root))
        return float("inf")

    def radial(self, r: np.ndarray) -> np.ndarray:
        """The distorted radius of r when there is no tangential part."""
        return r * np.polyval(np.concatenate([[1.0], self.k])[::-1], r * r)

    def distort(self, x: np.ndarray, y: np.ndarray, tangential: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) of the undistorted plane -> (x', y'); ``tangential`` scales p1 and p2."""
        k1, k2, k3, k4 = self.k
        p1, p2, p3, p4 = self.p * [tangential, tangential, 1, 1]
        s = x * x + y * y
        big_r = 1 + k1 * s + k2 * s**2 + k3 * s**3 + k4 * s**4
        big_d = 1 + p3 * s + p4 * s**2
        xd = x * big_r + (p1 * (s + 2 * x * x) + 2 * p2 * x * y) * big_d
        yd = y * big_r + (p2 * (s + 2 * y * y) + 2 * p1 * x * y) * big_d
        return xd, yd

    def jacobian(self, x: np.ndarray, y: np.ndarray, tangential: float = 1.0) -> np.ndarray:
        """d(x', y') / d(x, y), (..., 2, 2)."""
        k1, k2, k3, k4 = self.k
        p1, p2, p3, p4 = self.p * [tangential, tangential, 1, 1]
        s = x * x + y * y
        big_r = 1 + k1 * s + k2 * s**2 + k3 * s**3 + k4 * s**4
        slope_r = k1 + 2 * k2 * s + 3 * k3 * s**2 + 4 * k4 * s**3  # dR/ds
        big_d = 1 + p3 * s + p4 * s**2
        slope_d = p3 + 2 * p4 * s
        tx = p1 * (s + 2 * x * x) + 2 * p2 * x * y
        ty = p2 * (s + 2 * y * y) + 2 * p1 * x * y
        jacobian = np.empty((*np.shape(x), 2, 2))
        jacobian[..., 0, 0] = (
            big_r + 2 * x * x * slope_r + (6 * p1 * x + 2 * p2 * y) * big_d + tx * slope_d * 2 * x
        )
        jacobian[..., 0, 1] = 2 * x * y * slope_r + (2 * p1 * y + 2 * p2 * x) * big_d + tx * slope_d * 2 * y
        jacobian[..., 1, 0] = 2 * x * y * slope_r + (2 * p2 * x + 2 * p1 * y) * big_d + ty * slope_d * 2 * x
        jacobian[..., 1, 1] = (
            big_r + 2 * y * y * slope_r + (6 * p2 * y + 2 * p1 * x) * big_d + ty * slope_d * 2 * y
        )
        return jacobian

    def project(self, points: np.ndarray) -> np.ndarray:
        """Camera-frame points (..., 3) -> pixels (..., 2); NaN for what the lens does not image."""
        points = np.asarray(points, float)
        with np.errstate(all="ignore"):
            x, y = np.moveaxis(self.plane.flatten(points), -1, 0)
            seen = np.isfinite(points).all(axis=-1) & (np.hypot(x, y) <= self.valid_radius)
            xd, yd = self.distort(x, y)
            u = self.centre[0] + xd * (self.f + self.b1) + yd * self.b2
            v = self.centre[1] + yd * self.f
        return np.where(seen[..., None], np.stack([u, v], axis=-1), np.nan)

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) -> looks (n, 3); NaN where nothing valid projects there."""
        return self.look(self.undistort(pixels))

    def look(self, plane: np.ndarray) -> np.ndarray:
        """Points of the undistorted plane (n, 2) -> looks (n, 3)."""
        return np.asarray(self.plane.look(plane))

    def look_per_pixel(self, plane: np.ndarray) -> np.ndarray:
        """How looks change from pixel to pixel, across and down, (n, 2, 3).

        The pixels meant are those of the undistorted plane, of the image that the same lens would make without k, p
        and b: equal to the image's own for panoramas and orthographic views, and where a lens bends the image
        inwards, towards a fold without limit, finer than the image's own.
        """
        return np.asarray(self.plane.slopes(plane)) / self.f

    def to_plane(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) -> (x', y') of the distorted plane."""
        yd = (pixels[:, 1] - self.centre[1]) / self.f
        return np.stack([(pixels[:, 0] - self.centre[0] - self.b2 * yd) / (self.f + self.b1), yd], axis=-1)

    def undistort(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) -> (n, 2) points of the undistorted plane; NaN where nothing valid projects there."""
        distorted = self.to_plane(np.asarray(pixels, float))
        plane = self._undo(*distorted.T) if self.k.any() or self.p.any() else distorted
        with np.errstate(invalid="ignore"):
            return np.where(self.plane.inside(plane)[:, None], plane, np.nan)

    def _undo(self, xd: np.ndarray, yd: np.ndarray) -> np.ndarray:
        reach = np.hypot(xd, yd)
        r, inside = self._undo_radial(reach)
        ratio = np.divide(r, reach, out=np.ones_like(r), where=reach > 0)
        x, y = xd * ratio, yd * ratio
        if not self.p[:2].any():
            return np.where(inside[:, None], np.stack([x, y], axis=-1), np.nan)
        for tangential in (
            0.25,
            0.5,
            0.75,
        ):  # grow p1 and p2 from nothing, so as to stay on the centre's branch
            x, y = self._newton(x, y, xd, yd, tangential, 6)
        x, y = self._newton(x, y, xd, yd, 1.0, 20)
        good = self._is_solution(x, y, xd, yd)
        again = np.flatnonzero(~good & (reach <= self.domain_reach()[1]))
        if again.size:
            x[again], y[again], good[again] = self._search(xd[again], yd[again])
        return np.where(good[:, None], np.stack([x, y], axis=-1), np.nan)

    def _undo_radial(self, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bisect for r R(r) = reach on the first growing branch; the fold itself where there is none."""
        high = np.full_like(reach, min(self.valid_radius, 1.0))
        if np.isinf(self.valid_radius):
            while (short := self.radial(high) < reach).any():
                high[short] *= 2
        else:
            high[:] = self.valid_radius
        inside = reach <= self.radial(high)
        low = np.zeros_like(reach)
        for _ in range(200):
            middle = 0.5 * (low + high)
            short = self.radial(middle) < reach
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return high, inside

    def _newton(self, x: Any, y: Any, xd: Any, yd: Any, tangential: float, steps: int) -> tuple[Any, Any]:
        for _ in range(steps):
            with np.errstate(all="ignore"):
                fx, fy = self.distort(x, y, tangential)
                j = self.jacobian(x, y, tangential)
                det = j[..., 0, 0] * j[..., 1, 1] - j[..., 0, 1] * j[..., 1, 0]
                dx = (j[..., 1, 1] * (fx - xd) - j[..., 0, 1] * (fy - yd)) / det
                dy = (j[..., 0, 0] * (fy - yd) - j[..., 1, 0] * (fx - xd)) / det
                step = np.maximum(1.0, np.hypot(dx, dy) / (0.3 + 0.3 * np.hypot(x, y)))
                usable = np.isfinite(dx) & np.isfinite(dy)
                x, y = np.where(usable, x - dx / step, x), np.where(usable, y - dy / step, y)
        return x, y

    def _is_solution(self, x: Any, y: Any, xd: Any, yd: Any) -> np.ndarray:
        """On target, within the fold's radius, and where the lens does not turn the image over."""
        with np.errstate(all="ignore"):
            fx, fy = self.distort(x, y)
            det = np.linalg.det(self.jacobian(x, y))
            on_target = np.hypot(fx - xd, fy - yd) <= 1e-13 * (1 + np.hypot(xd, yd))
            return on_target & (np.hypot(x, y) <= self.valid_radius) & (det > 0)

    def domain_reach(self) -> tuple[float, float]:
        """Distorted radii between which the border of the domain lies; inf where the lens never folds."""
        if np.isinf(self.valid_radius):
            return float("inf"), float("inf")
        s = self.valid_radius**2
        tangential = 3 * np.hypot(*self.p[:2]) * s * (1 + abs(self.p[2]) * s + abs(self.p[3]) * s * s)
        radial = float(self.radial(np.array(self.valid_radius)))
        return radial - tangential, radial + tangential

    def _search(self, xd: np.ndarray, yd: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Newton from many starts round each pixel's own direction, the solution nearest the centre taken."""
        limit = self.valid_radius if np.isfinite(self.valid_radius) else 4.0
        best_x, best_y = np.full_like(xd, np.nan), np.full_like(xd, np.nan)
        best_r = np.full_like(xd, np.inf)
        for radius in limit * np.array([0.5, 0.8, 0.95, 1.0]):
            for turn in (-0.8, -0.3, 0.0, 0.3, 0.8):
                angle = np.arctan2(yd, xd) + turn
                x, y = self._newton(radius * np.cos(angle), radius * np.sin(angle), xd, yd, 1.0, 15)
                r = np.hypot(x, y)
                better = self._is_solution(x, y, xd, yd) & (r < best_r)
                best_x, best_y = np.where(better, x, best_x), np.where(better, y, best_y)
                best_r = np.where(better, r, best_r)
        return best_x, best_y, np.isfinite(best_r)


def pixel_centres(width: int, height: int, flat_index: np.ndarray | None = None) -> np.ndarray:
    """(n, 2) u, v of the pixel centres, row by row, or of those named by flat index."""
    flat_index = np.arange(width * height) if flat_index is None else np.asarray(flat_index)
    return np.stack([flat_index % width + 0.5, flat_index // width + 0.5], axis=-1)


@lru_cache(maxsize=64)
def image_plane(calibration: Any) -> np.ndarray:
    """`Lens.undistort` of all pixel centres, row by row; kept, as many tests share one calibration."""
    plane = Lens(calibration).undistort(pixel_centres(calibration.width, calibration.height))
    plane.flags.writeable = False
    return plane


def near_domain_border(
    calibration: Any, flat_index: np.ndarray, imaged: np.ndarray, distance: float
) -> np.ndarray:
    """Pixels less than ``distance`` px from where the lens ceases to image (or begins to)."""
    lens = Lens(calibration)
    centres = pixel_centres(lens.width, lens.height, flat_index)
    low, high = lens.domain_reach()
    reach = np.hypot(*lens.to_plane(centres).T)
    slack = 4 * distance / lens.f
    ring = (reach >= low - slack) & (reach <= high + slack)
    if lens.type in ("spherical", "cylindrical"):  # their border is no ring
        ring[:] = True
    ring = np.flatnonzero(ring)
    border = np.zeros(len(centres), bool)
    for angle in np.arange(8) * (np.pi / 4):
        moved = lens.undistort(centres[ring] + distance * np.array([np.cos(angle), np.sin(angle)]))
        border[ring] |= np.isfinite(moved[:, 0]) != imaged[ring]
    return border
