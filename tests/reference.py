"""The slow, obvious twin that every fast path is compared with: float64, each pixel's ray against each face.

Plain numpy, nothing of depthraster's: the lens, its inverse and the intersection are written here a second
time from the conventions alone, so that a mistake has to be made twice to go unseen. ``comparing.py`` holds
the rules by which two answers are compared. To add a lens model, add its ``distort`` and its Jacobian to
``Lens``; nothing else depends on the model.

A calibration is anything with the attributes of ``depthraster.Calibration``; a transform is camera -> chunk
(4, 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

MARGIN = 2.0
"""Distances to edges are exact up to this many pixels of the undistorted plane; farther may be inf."""

_CHUNK = 1_500_000
_TIE = 1e-12


class Lens:
    """Brown's lens as the conventions write it, with its inverse by Newton's method."""

    def __init__(self, calibration: Any) -> None:
        c = calibration
        self.width, self.height, self.f = int(c.width), int(c.height), float(c.f)
        self.centre = np.array([c.width / 2 + c.cx, c.height / 2 + c.cy], float)
        self.k = np.array([c.k1, c.k2, c.k3, c.k4], float)
        self.p = np.array([c.p1, c.p2, c.p3, c.p4], float)
        self.b1, self.b2 = float(c.b1), float(c.b2)
        self.valid_radius = self._first_fold()

    def _first_fold(self) -> float:
        """The first r > 0 where d/dr (r R(r)) passes from growing to shrinking; inf where it never does."""
        slope = np.concatenate([[1.0], self.k * [3, 5, 7, 9]])  # in s = r^2, ascending
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
        """Camera-frame points (..., 3) -> pixels (..., 2); NaN behind the camera and beyond the fold."""
        points = np.asarray(points, float)
        with np.errstate(all="ignore"):
            x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
            seen = (points[..., 2] > 0) & (np.hypot(x, y) <= self.valid_radius)
            xd, yd = self.distort(x, y)
            u = self.centre[0] + xd * (self.f + self.b1) + yd * self.b2
            v = self.centre[1] + yd * self.f
        return np.where(seen[..., None], np.stack([u, v], axis=-1), np.nan)

    def to_plane(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) -> (x', y') of the distorted plane."""
        yd = (pixels[:, 1] - self.centre[1]) / self.f
        return np.stack([(pixels[:, 0] - self.centre[0] - self.b2 * yd) / (self.f + self.b1), yd], axis=-1)

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) -> (n, 2) points of the undistorted plane; NaN where nothing valid projects there."""
        xd, yd = self.to_plane(np.asarray(pixels, float)).T
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


@lru_cache(maxsize=64)
def image_rays(calibration: Any) -> np.ndarray:
    """Rays of all pixel centres, (height * width, 2), row by row; kept, as many tests share one calibration."""
    rays = Lens(calibration).unproject(pixel_centres(calibration.width, calibration.height))
    rays.flags.writeable = False
    return rays


@dataclass
class Answer:
    """What the twin says of n pixels; every array has length n.

    depth is camera-frame Z, NaN on background; distance is the Euclidean length; face_index is -1 on
    background; runner_up is the depth of the next face behind (inf where none); edge_distance is the distance
    from the ray to the nearest edge of any drawn face, rim_distance to the nearest edge that is not between
    two faces lying on opposite sides of it (both in pixels of the undistorted plane, i.e. times f); cosine is
    that of the angle between the ray and the hit face's normal; sharpness is the lens's smallest local
    magnification there (0 at the fold), imaged whether the lens sees the pixel at all.
    """

    rays: np.ndarray
    imaged: np.ndarray
    sharpness: np.ndarray
    depth: np.ndarray
    distance: np.ndarray
    face_index: np.ndarray
    runner_up: np.ndarray
    edge_distance: np.ndarray
    rim_distance: np.ndarray
    cosine: np.ndarray


def to_camera(vertices: Any, transform: Any) -> np.ndarray:
    """Chunk -> camera frame; the centre is taken off first, well done in float64 at ECEF."""
    transform = np.asarray(transform, float)
    return np.linalg.solve(transform[:3, :3], (np.asarray(vertices, float) - transform[:3, 3]).T).T


def pixel_centres(width: int, height: int, flat_index: np.ndarray | None = None) -> np.ndarray:
    """(n, 2) u, v of the pixel centres, row by row, or of those named by flat index."""
    flat_index = np.arange(width * height) if flat_index is None else np.asarray(flat_index)
    return np.stack([flat_index % width + 0.5, flat_index // width + 0.5], axis=-1)


class _Faces:
    """The drawn faces in the camera frame, prepared for being intersected many times."""

    def __init__(self, points: np.ndarray, faces: np.ndarray, cull_faces: bool, f: float) -> None:
        a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
        normal = np.cross(b - a, c - a)
        facing = -np.einsum("ij,ij->i", normal, a)  # dot(cross(v1 - v0, v2 - v0), C - v0), C the origin here
        in_front = (a[:, 2] > 0) | (b[:, 2] > 0) | (c[:, 2] > 0)
        kept = in_front & (facing > 0 if cull_faces else facing != 0)
        self.index = np.flatnonzero(kept)
        self.corners = np.stack([a[kept], b[kept], c[kept]], axis=1)
        self.normal, self.facing = normal[kept], facing[kept]
        # The plane through the camera centre and edge k (from corner k + 1 to k + 2). Taken as cross products
        # of the corners themselves, the two faces at an edge get exactly opposite planes: no ray can fall
        # between them.
        self.edge = np.cross(self.corners[:, [1, 2, 0]], self.corners[:, [2, 0, 1]])
        self.rim = _rim_edges(points, faces[kept], self.facing)
        self.low, self.high = _boxes(self.corners, MARGIN / f)
        # The edges' ends in the plane, cut where they leave the half space in front.
        start, end = self.corners[:, [1, 2, 0]], self.corners[:, [2, 0, 1]]
        self.start, self.end = _cut(start, end), _cut(end, start)
        self.edge_in_front = (start[..., 2] > 0) | (end[..., 2] > 0)


def _boxes(corners: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (F, 2) in the undistorted plane round the part of each face with Z > 0.

    Along an edge x = X / Z runs one way only; where the edge goes through Z = 0 it runs to infinity on the
    side of X there.
    """
    z = corners[:, :, 2:]
    with np.errstate(all="ignore"):
        plane = corners[:, :, :2] / z
    low = np.where(z > 0, plane, np.inf).min(axis=1) - margin
    high = np.where(z > 0, plane, -np.inf).max(axis=1) + margin
    for a, b in ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)):
        leaves = (z[:, a] > 0) & (z[:, b] <= 0)
        one, two = corners[:, a, :2] * -z[:, b], corners[:, b, :2] * z[:, a]
        there = one + two
        unsure = np.abs(there) <= 1e-12 * (np.abs(one) + np.abs(two))
        high[leaves & ((there > 0) | unsure)] = np.inf
        low[leaves & ((there < 0) | unsure)] = -np.inf
    return low, high


def _cut(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Plane point of ``start``, moved along the edge to a sliver of positive Z where it lies behind."""
    least = 1e-9 * np.maximum(np.abs(start[..., 2]), np.abs(end[..., 2]))
    with np.errstate(all="ignore"):
        t = (least - start[..., 2]) / (end[..., 2] - start[..., 2])
        moved = start + np.clip(t, 0, 1)[..., None] * (end - start)
        chosen = np.where(
            (start[..., 2] < least)[..., None] & (end[..., 2] > start[..., 2])[..., None], moved, start
        )
        return chosen[..., :2] / np.maximum(chosen[..., 2:], 1e-300)


def _rim_edges(points: np.ndarray, faces: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """(F, 3) bool: edge k of the face has no drawn face on its other side, as seen from the camera."""
    if not len(faces):
        return np.zeros((0, 3), bool)
    _, same = np.unique(points, axis=0, return_inverse=True)  # equal corners join, whatever their index
    corner = same.reshape(-1)[faces]
    start, end = corner[:, [1, 2, 0]], corner[:, [2, 0, 1]]
    side = np.where(start < end, 1, -1) * np.sign(facing).astype(int)[:, None]
    key = np.minimum(start, end) * (int(corner.max()) + 1) + np.maximum(start, end)
    unique, which = np.unique(key, return_inverse=True)
    which = which.reshape(-1)
    left = np.bincount(which, side.reshape(-1) > 0, minlength=len(unique))
    right = np.bincount(which, side.reshape(-1) < 0, minlength=len(unique))
    return ((left == 0) | (right == 0))[which].reshape(-1, 3)


def trace(
    vertices: Any,
    faces: Any,
    transform: Any,
    calibration: Any,
    cull_faces: bool = True,
    flat_index: Any = None,
) -> Answer:
    """The twin's answer for every pixel, or for those of ``flat_index`` (row * width + col)."""
    lens = Lens(calibration)
    faces = np.asarray(faces, np.int64).reshape(-1, 3)
    if flat_index is None:
        rays = image_rays(calibration)
    else:
        rays = lens.unproject(pixel_centres(lens.width, lens.height, flat_index))
    n = len(rays)
    imaged = np.isfinite(rays[:, 0])
    sharpness = np.zeros(n)
    singular = np.linalg.svd(lens.jacobian(rays[imaged, 0], rays[imaged, 1]), compute_uv=False)
    sharpness[imaged] = singular[:, 1]
    answer = Answer(
        rays=rays,
        imaged=imaged,
        sharpness=sharpness,
        depth=np.full(n, np.inf),
        distance=np.full(n, np.nan),
        face_index=np.full(n, -1),
        runner_up=np.full(n, np.inf),
        edge_distance=np.full(n, np.inf),
        rim_distance=np.full(n, np.inf),
        cosine=np.full(n, np.nan),
    )
    drawn = _Faces(to_camera(vertices, transform), faces, cull_faces, lens.f)
    with np.errstate(all="ignore"):
        _divide(answer, drawn, lens.f, np.flatnonzero(imaged), np.arange(len(drawn.index)))
    hit = answer.face_index >= 0
    answer.depth[~hit] = np.nan
    answer.distance[hit] = answer.depth[hit] * np.sqrt(1 + (rays[hit] ** 2).sum(axis=1))
    return answer


def _divide(answer: Answer, drawn: _Faces, f: float, pixels: np.ndarray, chosen: np.ndarray) -> None:
    """Halve the pixels until few pairs (pixel, face) are left; faces whose box misses theirs go."""
    if not len(pixels):
        return
    rays = answer.rays[pixels]
    low, high = rays.min(axis=0), rays.max(axis=0)
    chosen = chosen[((drawn.low[chosen] <= high) & (drawn.high[chosen] >= low)).all(axis=1)]
    if not len(chosen):
        return
    if len(pixels) <= 16 or len(pixels) * len(chosen) <= 60_000:
        step = max(1, _CHUNK // len(pixels))
        for first in range(0, len(chosen), step):  # ascending, so that a tie stays with the smaller index
            _intersect(answer, drawn, f, pixels, chosen[first : first + step])
        return
    axis = int(np.argmax(high - low))
    order = np.argsort(rays[:, axis], kind="stable")
    _divide(answer, drawn, f, pixels[order[: len(order) // 2]], chosen)
    _divide(answer, drawn, f, pixels[order[len(order) // 2 :]], chosen)


def _intersect(answer: Answer, drawn: _Faces, f: float, pixels: np.ndarray, chosen: np.ndarray) -> None:
    """Every pixel against every chosen face: arrays (n pixels, n faces)."""
    x, y = answer.rays[pixels, 0][:, None], answer.rays[pixels, 1][:, None]
    low, high = drawn.low[chosen], drawn.high[chosen]
    near = (x >= low[:, 0]) & (x <= high[:, 0]) & (y >= low[:, 1]) & (y <= high[:, 1])
    chosen = chosen[near.any(axis=0)]
    if not len(chosen):
        return
    facing, normal = drawn.facing[chosen], drawn.normal[chosen]

    def against(
        plane: np.ndarray,
    ) -> np.ndarray:  # not a matrix product: its rounding may depend on the column
        return x * plane[:, 0] + y * plane[:, 1] + plane[:, 2]

    inside = np.ones((len(pixels), len(chosen)), bool)
    edge2, rim2 = np.full(len(pixels), np.inf), np.full(len(pixels), np.inf)  # squares of distances
    for k in range(3):
        edge, start, end = drawn.edge[chosen, k], drawn.start[chosen, k], drawn.end[chosen, k]
        value = against(edge)
        inside &= (
            value * -np.sign(facing) >= 0
        )  # e0 + e1 + e2 = d . normal, and Z = -facing / (d . normal) > 0
        along = end - start
        length2 = np.maximum((along**2).sum(axis=1), 1e-300)
        gap_x, gap_y = x - start[:, 0], y - start[:, 1]
        t = (gap_x * along[:, 0] + gap_y * along[:, 1]) / length2
        beside = (t > 0) & (t < 1)
        t = np.clip(t, 0, 1)
        distance2 = (gap_x - t * along[:, 0]) ** 2 + (gap_y - t * along[:, 1]) ** 2
        to_line2 = value**2 / np.maximum((edge[:, :2] ** 2).sum(axis=1), 1e-300)
        distance2 = np.where(beside, np.minimum(to_line2, distance2), distance2)
        distance2 = np.where(drawn.edge_in_front[chosen, k], distance2, np.inf)
        edge2 = np.minimum(edge2, distance2.min(axis=1))
        rim2 = np.minimum(rim2, np.where(drawn.rim[chosen, k], distance2, np.inf).min(axis=1))
    answer.edge_distance[pixels] = np.minimum(answer.edge_distance[pixels], f * np.sqrt(edge2))
    answer.rim_distance[pixels] = np.minimum(answer.rim_distance[pixels], f * np.sqrt(rim2))

    slope = against(normal)
    z = drawn.corners[chosen, :, 2]
    # Rounding must not carry a sliver's depth out of the sliver, hence the clip.
    depth = np.clip(-facing / slope, np.maximum(z.min(axis=1), 0), z.max(axis=1))
    depth = np.where(inside & (depth > 0), depth, np.inf)
    nearest = depth.min(axis=1)
    first = np.argmax(depth <= nearest[:, None] * (1 + _TIE), axis=1)
    row = np.arange(len(pixels))
    cosine = (
        np.abs(slope[row, first])
        / np.linalg.norm(normal[first], axis=1)
        / np.sqrt(1 + x[:, 0] ** 2 + y[:, 0] ** 2)
    )
    depth[row, first] = np.inf
    second = depth.min(axis=1)

    before = answer.depth[pixels]
    wins = np.isfinite(nearest) & (
        np.isinf(before) | (nearest < before * (1 - _TIE))
    )  # earlier: smaller index
    behind = np.where(wins, np.minimum(before, second), np.minimum(answer.runner_up[pixels], nearest))
    answer.runner_up[pixels] = behind
    answer.depth[pixels] = np.where(wins, nearest, before)
    answer.face_index[pixels] = np.where(wins, drawn.index[chosen[first]], answer.face_index[pixels])
    answer.cosine[pixels] = np.where(wins, cosine, answer.cosine[pixels])


@dataclass
class Claim:
    """What a renderer that names one face for a pixel has to show; arrays of length n.

    depth is that of the face's plane at the ray, kept within nearest ... farthest, the face's own range of Z
    in front of the camera; gap is the ray's distance from the face in pixels of the undistorted plane, 0
    inside; cosine is that of the angle between ray and normal; front whether the face is turned towards the
    camera.
    """

    depth: np.ndarray
    nearest: np.ndarray
    farthest: np.ndarray
    gap: np.ndarray
    cosine: np.ndarray
    front: np.ndarray


def trace_faces(
    answer: Answer,
    vertices: Any,
    faces: Any,
    transform: Any,
    calibration: Any,
    claimed: np.ndarray,
    pixels: np.ndarray,
) -> Claim:
    """The rays of ``pixels`` (positions in ``answer``), each against the face ``claimed`` for it."""
    triples = np.asarray(faces, np.int64)[claimed[pixels]]
    corners = to_camera(np.asarray(vertices, float)[triples.ravel()], transform).reshape(-1, 3, 3)
    direction = np.concatenate([answer.rays[pixels], np.ones((len(pixels), 1))], axis=1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    slope, facing = (normal * direction).sum(axis=1), -(normal * corners[:, 0]).sum(axis=1)
    z = corners[:, :, 2]
    nearest, farthest = np.maximum(z.min(axis=1), 0), z.max(axis=1)
    start, end = corners[:, [1, 2, 0]], corners[:, [2, 0, 1]]
    side = (np.cross(start, end) * direction[:, None]).sum(axis=2) * -np.sign(facing)[:, None]
    with np.errstate(all="ignore"):
        depth = np.clip(-facing / slope, nearest, farthest)
        cosine = np.abs(slope) / np.linalg.norm(normal, axis=1) / np.linalg.norm(direction, axis=1)
        ahead = (start[..., 2] > 0) | (end[..., 2] > 0)
        first = _cut(start, end)
        along, gap = _cut(end, start) - first, answer.rays[pixels][:, None] - first
        t = np.clip(np.nan_to_num((gap * along).sum(axis=2) / (along**2).sum(axis=2)), 0, 1)
        to_edge = np.where(ahead, np.linalg.norm(gap - t[..., None] * along, axis=2), np.inf).min(axis=1)
    inside = (side >= 0).all(axis=1) & (slope * facing < 0)
    return Claim(depth, nearest, farthest, np.where(inside, 0.0, to_edge * calibration.f), cosine, facing > 0)


@lru_cache(maxsize=64)
def _image_border(calibration: Any, distance: float) -> np.ndarray:
    every = np.arange(calibration.width * calibration.height)
    return near_domain_border(calibration, every, np.isfinite(image_rays(calibration)[:, 0]), distance)


def near_domain_border(
    calibration: Any, flat_index: np.ndarray, imaged: np.ndarray, distance: float
) -> np.ndarray:
    """Pixels less than ``distance`` px from where the lens ceases to image (or begins to)."""
    lens = Lens(calibration)
    centres = pixel_centres(lens.width, lens.height, flat_index)
    low, high = lens.domain_reach()
    reach = np.hypot(*lens.to_plane(centres).T)
    slack = 4 * distance / lens.f
    ring = np.flatnonzero((reach >= low - slack) & (reach <= high + slack))
    border = np.zeros(len(centres), bool)
    for angle in np.arange(8) * (np.pi / 4):
        moved = lens.unproject(centres[ring] + distance * np.array([np.cos(angle), np.sin(angle)]))
        border[ring] |= np.isfinite(moved[:, 0]) != imaged[ring]
    return border
