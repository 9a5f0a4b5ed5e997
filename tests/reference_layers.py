"""The twin of the layers that follow from the face that a pixel shows: float64, a linear system for each pixel.

As in ``reference.py`` nothing of depthraster's is used; which face a pixel shows is given, for ``comparing.py`` judges that.
``edges`` says once more, pixel by pixel and with exact rays, what docs/conventions.md says of the layer ``edge``. To add a
layer, add a field to ``Surface``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reference_lens import Lens, pixel_centres

STEEPEST = 10.0  # as docs/conventions.md has it


@dataclass
class Surface:
    """What n pixels see on the faces given for them; arrays of length n.

    weights (n, 3) of the face's corners, not kept within the face; position (n, 3) in the camera's frame, distance (n,) the
    length of the ray up to there; normal (n, 3) unit, in the camera's frame; view_angle (n,) radians; cosine (n,) of the
    angle between ray and normal. weights_per_pixel, position_per_pixel and angle_per_pixel (n,) are the most that these
    change by when the ray moves by a pixel.
    """

    weights: np.ndarray
    position: np.ndarray
    distance: np.ndarray
    normal: np.ndarray
    view_angle: np.ndarray
    cosine: np.ndarray
    weights_per_pixel: np.ndarray
    position_per_pixel: np.ndarray
    angle_per_pixel: np.ndarray


def to_camera(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Chunk -> camera frame; the centre is taken off first."""
    return np.linalg.solve(transform[:3, :3], (points - transform[:3, 3]).reshape(-1, 3).T).T.reshape(
        points.shape
    )


def surface(
    mesh: Any, transform: Any, calibration: Any, face_index: np.ndarray, flat_index: np.ndarray
) -> Surface:
    """The rays of pixels ``flat_index`` (n,), each against the plane of the face ``face_index`` (n,)."""
    lens = Lens(calibration)
    plane = lens.undistort(pixel_centres(calibration.width, calibration.height, flat_index))
    corners = to_camera(
        np.asarray(mesh[0], float)[np.asarray(mesh[1])[face_index]], np.asarray(transform, float)
    )
    look, (across, down) = lens.look(plane), lens.look_per_pixel(plane).transpose(1, 0, 2)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    with np.errstate(all="ignore"):
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)

    def see(look: np.ndarray) -> tuple[np.ndarray, ...]:
        weights, position, direction = _meet(corners, look, lens.parallel)
        back = -direction / np.linalg.norm(direction, axis=1, keepdims=True)
        cosine = (normal * back).sum(axis=1)
        angle = np.arctan2(np.linalg.norm(np.cross(normal, back), axis=1), cosine)
        return weights, position, angle[:, None], cosine

    weights, position, angle, cosine = see(look)
    moved = [see(look + 1e-4 * step)[:3] for step in (across, down)]
    per_pixel = [
        1e4 * sum(np.abs(other[k] - own).max(axis=1) for other in moved)
        for k, own in enumerate((weights, position, angle))
    ]
    return Surface(
        weights,
        position,
        position[:, 2] if lens.parallel else np.linalg.norm(position, axis=1),
        normal,
        angle[:, 0],
        np.abs(cosine),
        *per_pixel,
    )


def _meet(corners: np.ndarray, look: np.ndarray, parallel: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, meeting points and directions: origin + t direction = a + beta (b - a) + gamma (c - a), solved."""
    origin, direction = np.zeros_like(look), look
    if parallel:
        origin, direction = look * [1, 1, 0], np.broadcast_to([0.0, 0.0, 1.0], look.shape)
    a = corners[:, 0]
    sides = corners[:, 1:] - a[:, None]
    solved = np.full((len(look), 3), np.nan)
    system = np.stack([direction, -sides[:, 0], -sides[:, 1]], axis=2)
    # Lengths of one size in each column: singular is then a matter of directions.
    size = np.linalg.norm(system, axis=1, keepdims=True)
    good = (size > 0).all(axis=(1, 2))
    good[good] = np.abs(np.linalg.det(system[good] / size[good])) > 1e-15
    solved[good] = (
        np.linalg.solve(system[good] / size[good], (a - origin)[good][..., None])[..., 0] / size[good][:, 0]
    )
    beta, gamma = solved[:, 1], solved[:, 2]
    position = a + beta[:, None] * sides[:, 0] + gamma[:, None] * sides[:, 1]
    return np.stack([1 - beta - gamma, beta, gamma], axis=1), position, direction


def edges(
    mesh: Any, transform: Any, calibration: Any, face_index: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """The layer ``edge`` (H, W), and where rounding may decide."""
    height, width = face_index.shape
    lens = Lens(calibration)
    plane = lens.undistort(pixel_centres(width, height))
    imaged = np.isfinite(plane[:, 0]).reshape(height, width)
    look = lens.look(plane).reshape(height, width, 3)
    if not lens.parallel:
        look = look / np.linalg.norm(look, axis=2, keepdims=True)
    hit = face_index >= 0
    found = surface(
        mesh, transform, calibration, np.maximum(face_index, 0).ravel(), np.arange(height * width)
    )
    length, normal = found.distance.reshape(height, width), found.normal.reshape(height, width, 3)
    edge, unsure = np.zeros((height, width), bool), np.zeros((height, width), bool)
    for row in range(height):
        for col in range(width):
            if not hit[row, col]:
                continue
            for other in ((row, col + 1), (row + 1, col), (row, col - 1), (row - 1, col)):
                if not (0 <= other[0] < height and 0 <= other[1] < width and imaged[other]):
                    continue
                if not hit[other]:
                    edge[row, col] = True
                    continue
                if face_index[other] == face_index[row, col]:
                    continue
                one, two = look[row, col], look[other]
                apart = np.linalg.norm(one - two) * (
                    1.0 if lens.parallel else min(length[row, col], length[other])
                )
                there = _carried(length[row, col], normal[row, col], one, two, lens.parallel)
                here = _carried(length[other], normal[other], two, one, lens.parallel)
                beside = min(abs(there - length[other]), abs(here - length[row, col]))
                slope = max(abs(there - length[row, col]), abs(here - length[other]))
                limit = tolerance * min(max(slope, apart), STEEPEST * apart)
                jump = abs(length[row, col] - length[other])
                edge[row, col] |= jump > limit and beside > tolerance * apart
                # Along a steep plane what a ray is off by is multiplied.
                unsteady = 1e-5 * limit + 3e-7 * (length[row, col] + length[other]) + 1e-5 * slope
                unsure[row, col] |= (
                    min(abs(jump - limit), abs(jump - tolerance * apart), abs(beside - tolerance * apart))
                    <= unsteady
                )
    return edge, unsure


def _carried(length: float, normal: np.ndarray, one: np.ndarray, two: np.ndarray, parallel: bool) -> float:
    """The range on the second ray of the plane that the first meets at ``length``; inf where it does not meet it."""
    with np.errstate(all="ignore"):
        if parallel:
            return length - (normal * (two - one))[:2].sum() / normal[2]
        here, there = normal @ one, normal @ two
        return length * here / there if here * there > 0 else np.inf
