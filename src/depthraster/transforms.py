"""4x4 transforms between frames: checked, inverted, and made for invented cameras.

A camera's transform is ``chunk_from_camera``: it takes points from the camera's frame (X right, Y down, Z
forward) to the chunk's. It may carry a uniform scale. The commonest change is another way to place a camera:
a function beside `look_at` that returns a ``chunk_from_camera``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["check_transform", "invert", "look_at", "nadir", "scale_of"]

_TOLERANCE = 1e-6  # relative departure from a similarity; what files written with seven digits need

Matrix = npt.NDArray[np.float64]


def check_transform(transform: npt.ArrayLike) -> Matrix:
    """Return a transform as float64, checked to be a similarity: rotation, translation and positive uniform scale.

    Parameters
    ----------
    transform : (4, 4) array of float
        Any frame from any frame, e.g. ``chunk_from_camera``.

    Returns
    -------
    (4, 4) float64 array

    Raises
    ------
    TypeError, ValueError
        Not numbers, not of shape (4, 4), not finite, the last row not 0 0 0 1, or the upper left 3x3 part
        singular, mirrored or sheared (tolerance 1e-6, relative).
    """
    if transform is None:
        raise TypeError("the transform is None; a (4, 4) array of numbers is needed: is the camera aligned?")
    try:
        matrix = np.array(transform, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"the transform is a {type(transform).__name__}; a (4, 4) array of numbers is needed: pass "
            "chunk_from_camera as nested lists or a numpy array"
        ) from None
    if matrix.shape != (4, 4):
        raise ValueError(
            f"the transform has the shape {matrix.shape}; (4, 4) is needed: pass chunk_from_camera whole"
        )
    if not np.isfinite(matrix).all():
        row, col = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(
            f"the transform has {matrix[row, col]} at row {row}, column {col}; finite numbers are needed: is the "
            "camera aligned?"
        )
    if not np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0], rtol=0.0, atol=1e-9):
        raise ValueError(
            f"the transform's last row is {matrix[3].tolist()}; 0 0 0 1 is needed: transpose it if it is column-major"
        )
    linear = matrix[:3, :3]
    determinant = float(np.linalg.det(linear))
    if determinant < 0.0:
        raise ValueError(
            f"the transform is mirrored (determinant {determinant:.6g}); a rotation with positive scale is needed: "
            "flip one axis, e.g. multiply by diag(1, -1, -1, 1) to go from Y up, Z back to Y down, Z forward"
        )
    scale = determinant ** (1.0 / 3.0)
    if not scale > 0.0 or not np.abs(linear).max() < 1e6 * scale:
        raise ValueError(
            f"the transform's 3x3 part is singular (determinant {determinant:.6g}); a rotation with positive scale is "
            "needed: check how it was put together"
        )
    departure = float(np.abs(linear.T @ linear / scale**2 - np.eye(3)).max())
    if departure > 2.0 * _TOLERANCE:
        raise ValueError(
            f"the transform is no similarity (its 3x3 part is sheared or stretched by {departure:.3g}); a rotation with "
            f"uniform scale, to {_TOLERANCE:g}, is needed: check how it was put together"
        )
    matrix[3] = 0.0, 0.0, 0.0, 1.0
    return matrix


def scale_of(transform: npt.ArrayLike) -> float:
    """Return the scale of a similarity, the cube root of its determinant; (4, 4) array in, errors as `check_transform`."""
    return float(np.linalg.det(check_transform(transform)[:3, :3]) ** (1.0 / 3.0))


def invert(transform: npt.ArrayLike) -> Matrix:
    """Return the inverse of a similarity.

    Parameters
    ----------
    transform : (4, 4) array of float
        ``a_from_b``.

    Returns
    -------
    (4, 4) float64 array
        ``b_from_a``. The 3x3 part is inverted as given, not as the nearest rotation.

    Raises
    ------
    TypeError, ValueError
        As `check_transform`.
    """
    matrix = check_transform(transform)
    inverse = np.eye(4)
    inverse[:3, :3] = np.linalg.inv(matrix[:3, :3])
    inverse[:3, 3] = -inverse[:3, :3] @ matrix[:3, 3]
    return inverse


def _vector(value: npt.ArrayLike, name: str) -> Matrix:
    vector = np.asarray(value, dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError(f"{name} is {value!r}; three finite numbers are needed: pass x, y, z")
    return vector


def look_at(eye: npt.ArrayLike, target: npt.ArrayLike, up: npt.ArrayLike = (0.0, 0.0, 1.0)) -> Matrix:
    """Place a camera at a point, looking at another.

    Parameters
    ----------
    eye, target : (3,) array of float
        The camera's centre and a point on its optical axis, chunk frame.
    up : (3,) array of float
        The direction that shall point up in the image, chunk frame. In a georeferenced chunk that is the
        local vertical, not always Z.

    Returns
    -------
    (4, 4) float64 array
        ``chunk_from_camera``, without scale.

    Raises
    ------
    ValueError
        Not three finite numbers, eye and target the same, or ``up`` along the viewing direction.
    """
    eye_, target_, up_ = _vector(eye, "eye"), _vector(target, "target"), _vector(up, "up")
    forward = target_ - eye_
    distance = np.linalg.norm(forward)
    if not distance > 0.0:
        raise ValueError(
            f"eye and target are both {eye_.tolist()}; two different points are needed: move one"
        )
    forward /= distance
    right = np.cross(forward, up_)
    length = np.linalg.norm(right)
    if not length > 1e-9 * np.linalg.norm(up_) or length == 0.0:
        raise ValueError(
            f"up {up_.tolist()} lies along the viewing direction; another direction is needed: for a view straight down "
            "use nadir, or pass e.g. up=(0, 1, 0)"
        )
    right /= length
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = (
        right,
        np.cross(forward, right),
        forward,
        eye_,
    )
    return matrix


def nadir(
    position: npt.ArrayLike, *, up: npt.ArrayLike = (0.0, 0.0, 1.0), heading: npt.ArrayLike | None = None
) -> Matrix:
    """Place a camera that looks straight down.

    Parameters
    ----------
    position : (3,) array of float
        The camera's centre, chunk frame.
    up : (3,) array of float
        The local vertical, chunk frame.
    heading : (3,) array of float, optional
        The direction towards the image's upper edge, chunk frame; +Y by default, or +X where the vertical is
        along Y.

    Returns
    -------
    (4, 4) float64 array
        ``chunk_from_camera``, without scale.

    Raises
    ------
    ValueError
        As `look_at`.
    """
    vertical = _vector(up, "up")
    length = np.linalg.norm(vertical)
    if not length > 0.0:
        raise ValueError(f"up is {vertical.tolist()}; a direction is needed: pass e.g. up=(0, 0, 1)")
    vertical /= length
    if heading is None:
        heading = (1.0, 0.0, 0.0) if abs(vertical[1]) > 0.99 else (0.0, 1.0, 0.0)
    eye = _vector(position, "position")
    matrix = look_at(np.zeros(3), -vertical, up=heading)
    matrix[:3, 3] = eye
    return matrix
