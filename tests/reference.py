"""The slow, obvious twin that every fast path is compared with: float64, each pixel's ray against each face.

Plain numpy, nothing of depthraster's: the lens (``reference_lens.py``), its inverse and the intersection are written
here a second time from the conventions alone, so that a mistake has to be made twice to go unseen. ``comparing.py``
holds the rules by which two answers are compared. No lens model is known here but one difference: rays that leave
one centre, or run side by side.

How a ray meets a face. Through the centre and an edge there is a plane; a ray is inside a face when it is on the
inner side of all three. With rays side by side the same is said of the points (X, Y, 1) in place of corners and
directions. Each plane is a cross product of the two corners themselves, so the two faces at an edge have exactly
opposite ones and no ray can fall between them.

How far a pixel is from an edge. Where the look changes by P from pixel to pixel across and by Q down, a point
a look + b P + c Q lies (b / a, c / a) pixels from the ray on a flat map that keeps lines straight. That map is the
undistorted image itself for frame lenses and orthographic views. The others' images bend, and the map touches them
at the ray: its distances are off by the share that the pixel's distance has in the radius of bending, nothing within
the 1e-3 pixels that matter.

A calibration is anything with the attributes of ``depthraster.Calibration``; a transform is camera -> chunk (4, 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reference_lens import Lens, image_plane, near_domain_border, pixel_centres

__all__ = ["MARGIN", "Answer", "Claim", "Lens", "image_plane", "near_domain_border", "pixel_centres", "to_camera",
           "trace", "trace_faces"]  # fmt: skip

MARGIN = 2.0
"""Distances to edges are exact up to this many pixels of the undistorted plane; farther may be inf."""

_PAIRS = 300_000
_TIE = 1e-12


@dataclass
class Answer:
    """What the twin says of n pixels; every array has length n.

    plane (n, 2) and rays, the looks (n, 3), are ``reference_lens.py``'s; depth is camera-frame Z, NaN on background;
    distance is the length of the ray up to there; face_index is -1 on background; runner_up is the distance of the
    next face behind (inf where none); edge_distance is the distance from the ray to the nearest edge of any drawn
    face, rim_distance to the nearest edge that is not between two faces lying on opposite sides of it (both in pixels
    of the undistorted plane); cosine is that of the angle between the ray and the hit face's normal; sharpness is
    the lens's smallest local magnification there (0 at the fold), imaged whether the lens sees the pixel at all.
    """

    plane: np.ndarray
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
    away = np.asarray(vertices, float) - transform[:3, 3]
    inverse = np.linalg.inv(transform[:3, :3])
    # Not a matrix product: its rounding may depend on the row, and equal vertices have to stay equal.
    return away[:, :1] * inverse[:, 0] + away[:, 1:2] * inverse[:, 1] + away[:, 2:] * inverse[:, 2]


def _dot(a: Any, b: Any) -> Any:
    """Of vectors whose three components come first, whatever the rest; never a matrix product, see `to_camera`."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _no_thinner(step: np.ndarray, other: np.ndarray, look: np.ndarray) -> np.ndarray:
    """``step`` (3, n), or a thousandth of ``other`` where it is less, square to that and to the look.

    All pixels of a row at a panorama's pole look the same way: one is no wide way from the next there.
    """
    least = 1e-3 * np.linalg.norm(other, axis=0)
    square = np.cross(other, look, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        square = square / np.linalg.norm(square, axis=0) * least
    return np.where(np.linalg.norm(step, axis=0) < least, square, step)


class _Rays:
    """The rays of n pixels. Arrays of components first: look (3, n), across and down, per pixel, likewise."""

    def __init__(self, lens: Lens, plane: np.ndarray) -> None:
        self.parallel, self.frame = lens.parallel, lens.type == "frame"
        self.look = lens.look(plane).T
        across, down = lens.look_per_pixel(plane).transpose(1, 2, 0)
        self.across, self.down = _no_thinner(across, down, self.look), _no_thinner(down, across, self.look)
        self.length = np.ones(len(plane)) if self.parallel else np.linalg.norm(self.look, axis=0)
        # Places of looks among each other, and how far `MARGIN` reaches from there.
        self.place = self.look / self.length
        finest = np.hypot(np.linalg.norm(self.across, axis=0), np.linalg.norm(self.down, axis=0))
        self.margin = MARGIN * finest / self.length

    def take(self, which: Any) -> _Rays:
        """Some of the rays, in the order given."""
        some = object.__new__(_Rays)
        some.parallel, some.frame = self.parallel, self.frame
        for name in ("look", "across", "down", "length", "place", "margin"):
            setattr(some, name, getattr(self, name)[..., which])
        return some


class _Faces:
    """Faces in the camera frame, prepared for being intersected many times. Components come first, (3, F)."""

    def __init__(self, points: np.ndarray, faces: np.ndarray, parallel: bool) -> None:
        corners = points[faces]  # (F, 3 corners, 3)
        self.corner = corners.transpose(1, 2, 0)  # (3 corners, 3, F)
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.normal = normal.T
        # dot(cross(v1 - v0, v2 - v0), C - v0), C the origin here; rays side by side come from far out along -Z.
        self.facing = -normal[:, 2] if parallel else -_dot(self.normal, self.corner[0])
        self.seen = corners.copy()
        if parallel:
            self.seen[..., 2] = 1.0
        # Plane k is that of the edge from corner k + 1 to corner k + 2.
        start, end = self.seen[:, [1, 2, 0]], self.seen[:, [2, 0, 1]]
        self.edge = np.cross(start, end).transpose(1, 2, 0)
        self.seen = self.seen.transpose(1, 2, 0)
        flat = self.edge[:, :2] if parallel else self.edge
        self.edge_length = np.linalg.norm(
            flat, axis=1
        )  # how fast dot(edge, look) grows with the look's place

    def take(self, which: Any) -> _Faces:
        """Some of the faces, in the order given."""
        some = object.__new__(_Faces)
        for name in ("corner", "normal", "facing", "seen", "edge", "edge_length"):
            setattr(some, name, getattr(self, name)[..., which])
        return some


@dataclass
class _Meeting:
    """Of rays and faces, broadcast: whether the ray meets the face, where, and how far it is from the edges.

    t counts looks (Z with rays side by side); nearest ... farthest is what t can be on the face; sides are the
    distances from the three edges' whole lines in pixels; cosine is that of the angle between ray and normal. Where
    rays run side by side a face that reaches behind the camera is cut at Z = 0; cut is the distance of what is
    inside the whole face from there, inf where there is no such cut. change is what t changes by from pixel to pixel.
    """

    inside: Any
    t: Any
    nearest: Any
    farthest: Any
    sides: list[Any]
    cosine: Any
    cut: Any
    change: Any


def _meet(rays: _Rays, faces: _Faces) -> _Meeting:
    inside: Any = True
    sides = []
    for edge in faces.edge:
        value = _dot(edge, rays.look)
        # The three sum up to dot(normal, look), and t = -facing / that > 0.
        inside = inside & (value * -np.sign(faces.facing) >= 0)
        sides.append(np.abs(value) / np.maximum(_per_pixel(edge, rays), 1e-300))
    cut = np.full(np.shape(inside), np.inf)
    if rays.parallel:
        slope = faces.normal[2] + 0 * rays.length
        x, y = faces.corner[0, :2] - rays.look[:2]
        t = faces.corner[0, 2] + (faces.normal[0] * x + faces.normal[1] * y) / slope
        change = _per_pixel(faces.normal, rays) / np.abs(slope)
        is_cut = inside & (faces.corner[:, 2] <= 0).any(axis=0)
        cut = np.where(is_cut, np.abs(t) / np.maximum(change, 1e-300), np.inf)
        ends = [corner[2] + 0 * rays.length for corner in faces.corner]
    else:
        slope = _dot(faces.normal, rays.look)
        t = -faces.facing / slope
        change = np.abs(t) * _per_pixel(faces.normal, rays) / np.abs(slope)
        if rays.frame:
            ends = [corner[2] + 0 * rays.length for corner in faces.corner]
        else:
            ends = [_dot(corner, rays.look) / rays.length**2 for corner in faces.corner]
    nearest = np.minimum(ends[0], np.minimum(ends[1], ends[2]))
    farthest = np.maximum(ends[0], np.maximum(ends[1], ends[2]))
    # Rounding must not carry a sliver's depth out of the sliver, hence the clip.
    t = np.clip(t, nearest, farthest)
    cosine = np.abs(slope) / np.linalg.norm(faces.normal, axis=0) / rays.length
    return _Meeting(inside & (t > 0), t, np.maximum(nearest, 0), farthest, sides, cosine, cut, change)


def _per_pixel(normal: Any, rays: _Rays) -> Any:
    """How fast dot(normal, look) changes, at most, per pixel."""
    return np.hypot(_dot(normal, rays.across), _dot(normal, rays.down))


def _edge_distances(rays: _Rays, faces: _Faces, k: int, side: Any) -> Any:
    """Pixels from rays to edges k of as many faces, where they are ``side`` pixels from the edge's whole line."""
    look, across, down = rays.look, rays.across, rays.down
    volume = _dot(np.cross(across, down, axis=0), look)
    # Corners as a look + b across + c down; (b, c) / a is the flat map, a > 0 is ahead.
    duals = [np.cross(*pair, axis=0) / volume for pair in ((across, down), (down, look), (look, across))]
    start, end = ([_dot(dual, faces.seen[(k + i) % 3]) for dual in duals] for i in (1, 2))
    first, last = _cut(start, end), _cut(end, start)
    along = last - first
    length2 = np.maximum((along**2).sum(axis=0), 1e-300)
    t = -(first * along).sum(axis=0) / length2
    to_chord = np.linalg.norm(first + np.clip(t, 0, 1) * along, axis=0)
    # Beside the edge the line's distance, from the uncut corners, is the more accurate.
    distance = np.where((t > 0) & (t < 1), np.minimum(side, to_chord), to_chord)
    return np.where((start[0] > 0) | (end[0] > 0), distance, np.inf)


def _cut(start: list[np.ndarray], end: list[np.ndarray]) -> np.ndarray:
    """Flat point (2, n) of ``start``, moved along the edge to a sliver ahead where it lies behind."""
    least = 1e-9 * np.maximum(np.abs(start[0]), np.abs(end[0]))
    moves = (start[0] < least) & (end[0] > start[0])
    t = np.where(moves, np.clip((least - start[0]) / (end[0] - start[0]), 0, 1), 0)
    ahead, *flat = (a + t * (b - a) for a, b in zip(start, end, strict=True))
    return np.stack(flat) / np.maximum(ahead, 1e-300)


def _rim_edges(points: np.ndarray, faces: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """(3, F) bool: edge k of the face has no drawn face on its other side, as seen from the camera."""
    if not len(faces):
        return np.zeros((3, 0), bool)
    _, same = np.unique(points, axis=0, return_inverse=True)  # equal corners join, whatever their index
    corner = same.reshape(-1)[faces]
    start, end = corner[:, [1, 2, 0]], corner[:, [2, 0, 1]]
    side = np.where(start < end, 1, -1) * np.sign(facing).astype(int)[:, None]
    key = np.minimum(start, end) * (int(corner.max()) + 1) + np.maximum(start, end)
    unique, which = np.unique(key, return_inverse=True)
    which = which.reshape(-1)
    left = np.bincount(which, side.reshape(-1) > 0, minlength=len(unique))
    right = np.bincount(which, side.reshape(-1) < 0, minlength=len(unique))
    return ((left == 0) | (right == 0))[which].reshape(-1, 3).T


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
        plane = image_plane(calibration)
    else:
        plane = lens.undistort(pixel_centres(lens.width, lens.height, flat_index))
    n = len(plane)
    imaged = np.isfinite(plane[:, 0])
    sharpness = np.zeros(n)
    sharpness[imaged] = np.linalg.svd(lens.jacobian(*plane[imaged].T), compute_uv=False)[:, 1]
    with np.errstate(all="ignore"):
        rays = _Rays(lens, plane)
        answer = Answer(
            plane=plane,
            rays=rays.look.T,
            imaged=imaged,
            sharpness=sharpness,
            depth=np.full(n, np.nan),
            distance=np.full(n, np.inf),
            face_index=np.full(n, -1),
            runner_up=np.full(n, np.inf),
            edge_distance=np.full(n, np.inf),
            rim_distance=np.full(n, np.inf),
            cosine=np.full(n, np.nan),
        )
        points = to_camera(vertices, transform)
        every = _Faces(points, faces, lens.parallel)
        drawn = every.facing > 0 if cull_faces else every.facing != 0
        if lens.parallel or lens.type == "frame":  # only what is in front
            drawn &= (every.corner[:, 2] > 0).any(axis=0)
        index = np.flatnonzero(drawn)
        some = every.take(index)
        rim = _rim_edges(points, faces[index], some.facing)
        _divide(_Search(answer, rays, some, index, rim), np.flatnonzero(imaged), np.arange(len(index)))
        hit = answer.face_index >= 0
        answer.distance[~hit] = np.nan
        answer.depth[hit] = answer.distance[hit]
        if not lens.parallel:
            answer.depth[hit] *= (rays.look[2] / rays.length)[hit]
    return answer


@dataclass
class _Search:
    """What is being filled in, from what; index are the faces' numbers, rim says which edges are rims (3, F)."""

    answer: Answer
    rays: _Rays
    faces: _Faces
    index: np.ndarray
    rim: np.ndarray


def _divide(search: _Search, pixels: np.ndarray, chosen: np.ndarray) -> None:
    """Halve the pixels until few pairs (pixel, face) are left; faces beside all of their rays go."""
    if not len(pixels):
        return
    place = search.rays.place[:, pixels]
    low, high = place.min(axis=1), place.max(axis=1)
    middle = 0.5 * (low + high)
    reach = np.linalg.norm(place - middle[:, None], axis=0).max() + search.rays.margin[pixels].max()
    for edge in range(3):
        outside = _dot(search.faces.edge[edge][:, chosen], middle) * np.sign(search.faces.facing[chosen])
        chosen = chosen[~(outside > reach * (1 + 1e-6) * search.faces.edge_length[edge][chosen])]
    if not len(chosen):
        return
    if len(pixels) <= 16 or len(pixels) * len(chosen) <= _PAIRS:
        _intersect(search, *_near_pairs(search, pixels, chosen))
        return
    order = np.argsort(place[int(np.argmax(high - low))], kind="stable")
    _divide(search, pixels[order[: len(order) // 2]], chosen)
    _divide(search, pixels[order[len(order) // 2 :]], chosen)


def _near_pairs(search: _Search, pixels: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (pixel, face) but those that are farther than `MARGIN` outside of an edge's line."""
    place, margin = search.rays.place[:, pixels, None], search.rays.margin[pixels, None] * (1 + 1e-6)
    near = np.ones((len(pixels), len(chosen)), bool)
    inwards = -np.sign(search.faces.facing[chosen])
    for edge, length in zip(search.faces.edge, search.faces.edge_length, strict=True):
        near &= _dot(edge[:, chosen] * inwards, place) >= -margin * length[chosen]
    row, col = np.nonzero(near)
    return pixels[row], chosen[col]


def _intersect(search: _Search, pixel: np.ndarray, face: np.ndarray) -> None:
    """Pairs (pixel, face), all pairs of a pixel at once."""
    answer, rays, faces = search.answer, search.rays.take(pixel), search.faces.take(face)
    meeting = _meet(rays, faces)
    for k in range(3):
        near = np.flatnonzero(~(meeting.sides[k] > MARGIN))
        gap = _edge_distances(rays.take(near), faces.take(near), k, meeting.sides[k][near])
        np.fmin.at(answer.edge_distance, pixel[near], gap)
        on_rim = search.rim[k, face[near]]
        np.fmin.at(answer.rim_distance, pixel[near][on_rim], gap[on_rim])
    np.minimum.at(answer.edge_distance, pixel, meeting.cut)
    np.minimum.at(answer.rim_distance, pixel, meeting.cut)

    met = np.flatnonzero(meeting.inside)
    pixel, face, distance = pixel[met], face[met], meeting.t[met] * rays.length[met]
    np.minimum.at(answer.distance, pixel, distance)
    first = np.full(len(answer.distance), len(search.index))
    ties = distance <= answer.distance[pixel] * (1 + _TIE)
    np.minimum.at(first, pixel[ties], face[ties])  # faces stand in the order of their indices
    wins = face == first[pixel]
    answer.face_index[pixel[wins]] = search.index[face[wins]]
    answer.cosine[pixel[wins]] = meeting.cosine[met][wins]
    np.minimum.at(answer.runner_up, pixel[~wins], distance[~wins])


@dataclass
class Claim:
    """What a renderer that names one face for a pixel has to show; arrays of length n.

    distance is that of the face's plane along the ray, kept within nearest ... farthest, what the face's corners have
    along the ray (for frame lenses: as if the ray reached to the least and the greatest Z of the corners), and depth
    the Z there; change is what distance changes by from one pixel to the next on the face's plane; gap is the ray's
    distance from the face in pixels of the undistorted plane, 0 inside; cosine is that of the angle between ray and
    normal; front whether the face is turned towards the camera.
    """

    distance: np.ndarray
    depth: np.ndarray
    change: np.ndarray
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
    lens = Lens(calibration)
    triples = np.asarray(faces, np.int64)[claimed[pixels]]
    points = to_camera(np.asarray(vertices, float)[triples.ravel()], transform)
    with np.errstate(all="ignore"):
        rays = _Rays(lens, answer.plane[pixels])
        own = _Faces(points, np.arange(len(points)).reshape(-1, 3), lens.parallel)
        meeting = _meet(rays, own)
        gap = meeting.cut
        for k in range(3):
            gap = np.fmin(gap, _edge_distances(rays, own, k, meeting.sides[k]))
        depth = meeting.t if lens.parallel else meeting.t * rays.look[2]
    return Claim(
        distance=meeting.t * rays.length,
        depth=depth,
        change=meeting.change * rays.length,
        nearest=meeting.nearest * rays.length,
        farthest=meeting.farthest * rays.length,
        gap=np.where(meeting.inside, 0.0, gap),
        cosine=meeting.cosine,
        front=own.facing > 0,
    )
