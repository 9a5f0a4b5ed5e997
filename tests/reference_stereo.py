"""The slow twin of `render_stereo`: each pixel's ray against each face in both views, float64, nothing of depthraster's.

It follows the docstring of `render_stereo`; rays and lenses are those of ``reference.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reference import Answer, Lens, pixel_centres, to_camera, trace


@dataclass
class StereoAnswer:
    """Of n left pixels: see `depthraster.Stereo`. ``sure`` says that rounding decides nothing of them."""

    points: np.ndarray  # (n, 3) chunk frame, NaN where no face is seen
    correspondence: np.ndarray  # (n, 2)
    disparity: np.ndarray  # (n,)
    consistency: np.ndarray  # (n,)
    sure: np.ndarray  # (n,) of the left view
    sure_back: np.ndarray  # (n,) of the right pixel
    same_face: np.ndarray  # (n,) the right pixel shows the same


def stereo_twin(mesh: Any, left: Any, right: Any, flat_index: np.ndarray, cull: bool = True) -> StereoAnswer:
    """The twin's answer for some pixels (row * width + col); left and right are (transform, calibration)."""
    (transform, calibration), (right_transform, right_calibration) = left, right
    lens, right_lens = Lens(calibration), Lens(right_calibration)
    here = trace(*mesh, transform, calibration, cull, flat_index)
    camera = _points(here, lens)
    points = camera @ transform[:3, :3].T + transform[:3, 3]
    there = right_lens.project(to_camera(points, right_transform))
    own = pixel_centres(calibration.width, calibration.height, flat_index)
    n = len(own)
    answer = StereoAnswer(
        points, there, _short_way(own[:, 0] - there[:, 0], calibration), np.full(n, np.nan), sure=_sure(here),
        sure_back=np.zeros(n, bool), same_face=np.zeros(n, bool),
    )  # fmt: skip
    with np.errstate(invalid="ignore"):
        size = [right_calibration.width, right_calibration.height]
        inside = np.flatnonzero(((there >= 0) & (there < size)).all(axis=1))
    col, row = there[inside].astype(int).T
    back = trace(*mesh, right_transform, right_calibration, cull, row * size[0] + col)
    answer.sure_back[inside] = _sure(back)
    answer.same_face[inside] = back.face_index == here.face_index[inside]
    shown = _points(back, right_lens)
    corners = to_camera(mesh[0], right_transform)[mesh[1]]
    for k, i in enumerate(inside):
        if back.face_index[k] < 0:
            continue
        point = to_camera(points[i : i + 1], right_transform)[0]
        a, b, c = corners[back.face_index[k]]
        normal = np.cross(b - a, c - a)
        origin = point * [1, 1, 0] if right_lens.parallel else np.zeros(3)
        way = np.array([0.0, 0, 1]) if right_lens.parallel else point / np.linalg.norm(point)
        far = shown[k, 2] if right_lens.parallel else np.linalg.norm(shown[k])
        with np.errstate(all="ignore"):
            t = normal @ (a - origin) / (normal @ way)
        if not 0.5 * far < t < 2 * far:
            t = far
        met = (origin + t * way) @ right_transform[:3, :3].T + right_transform[:3, 3]
        again = lens.project(to_camera(met[None], transform))[0]
        answer.consistency[i] = np.hypot(
            _short_way(again[:1] - own[i, :1], calibration)[0], again[1] - own[i, 1]
        )
    return answer


def _points(answer: Answer, lens: Lens) -> np.ndarray:
    """Where rays meet faces, camera frame."""
    if lens.parallel:
        return np.stack([answer.rays[:, 0], answer.rays[:, 1], answer.depth], axis=1)
    return answer.rays / np.linalg.norm(answer.rays, axis=1, keepdims=True) * answer.distance[:, None]


def _sure(answer: Answer) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (
            (answer.edge_distance > 1e-3)
            & ~(answer.runner_up < answer.distance * (1 + 1e-6))
            & ((answer.face_index < 0) | (answer.cosine > 0.01))
        )


def _short_way(difference: np.ndarray, calibration: Any) -> np.ndarray:
    if calibration.type not in ("spherical", "cylindrical"):
        return difference
    turn = 2 * np.pi * calibration.f
    return (difference + turn / 2) % turn - turn / 2
