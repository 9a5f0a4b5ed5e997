"""`render_stereo`: a pair of depth images, and where each pixel of the left one is in the right one.

The left image's pixels become points; the right camera is asked for them as for any points. Drawing is ``render.py``'s,
which points a camera sees is ``visibility.py``'s to say, pictures are ``pictures.py``'s. The commonest change is another
thing to know of a pixel's counterpart: a field of `Stereo`, filled in `_Matching`.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.layers import Layers
from depthraster.numeric import real_number
from depthraster.pictures import Pictured, Shown, draw_picture
from depthraster.render import render
from depthraster.scene import Scene, thread_count
from depthraster.transforms import check_transform, invert
from depthraster.visibility import Sight, visible

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Stereo", "render_stereo"]

_PIXELS = 1 << 22  # of the left image that are asked for together
_TOGETHER = 1 << 15  # points that a thread takes at a time
_REACH = (
    2.0  # a plane is followed to this many times the range that the pixel shows, and to one part in as many
)

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Stereo(Pictured):
    """Two views of a scene, and where the left one's pixels are in the right one; see `render_stereo`.

    Attributes
    ----------
    left_depth, right_depth : (H, W) float32 arrays
        Each camera's depth as `render` gives it, chunk units; the background value where no face is seen.
    disparity : (H, W) float32 array
        u of a left pixel less u of its counterpart in the right image, pixels. NaN where no face is seen, or where the right
        camera does not image the point. It is known of occluded pixels, too, and of those beside the right image.
    correspondence : (H, W, 2) float64 array
        u and v of a left pixel's counterpart in the right image, pixels from its outer top-left corner; NaN as disparity.
        Float64, for float32 has steps of 5e-4 pixel at 6000.
    occlusion : (H, W) bool array
        True where a face is seen of whose point there the right camera sees nothing, by the rule of `visible`: another face
        lies before it, or it is outside of the right image.
    outside : (H, W) bool array
        That part of it for which the right image is too small: beside it, or not imaged at all.
    consistency : (H, W) float32 array
        From left to right and back: a pixel is followed to the right image, and what that shows there to the left one; how
        far from the beginning that ends, pixels. Next to nothing where both show the same surface, the distance to what
        hides it elsewhere; at outlines either, for a pixel shows what is at its centre. NaN where the counterpart is outside
        of the right image, where that shows no face, or where the left camera does not image what it shows.
    left_seen, right_seen : (H, W) bool arrays
        Where each camera sees a face.
    right_transform : (4, 4) float64 array
        The right camera's place, camera to chunk.
    """

    left_depth: npt.NDArray[np.float32]
    right_depth: npt.NDArray[np.float32]
    disparity: npt.NDArray[np.float32]
    correspondence: Array
    occlusion: Mask
    outside: Mask
    consistency: npt.NDArray[np.float32]
    left_seen: Mask
    right_seen: Mask
    right_transform: Array

    @property
    def matched(self) -> Mask:
        """(H, W) bool: where a face is seen that the right camera sees, too."""
        return np.asarray(self.left_seen & ~self.occlusion)

    def picture(self) -> Image:
        """Draw the pair, disparity, occlusion and consistency for the eye. Notebooks show it by themselves.

        Returns
        -------
        PIL.Image.Image
            RGB: depth light near by and dark far away, disparity and consistency dark where small and light where large,
            occluded pixels light.
        """
        return draw_picture(*self._shown()[:2])

    def _shown(self) -> Shown:
        images: dict[str, npt.NDArray[Any]] = {
            "left depth": self.left_depth,
            "right depth": self.right_depth,
            "disparity": self.disparity,
            "occlusion": self.occlusion,
            "consistency": self.consistency,
        }
        return Shown(images, dict.fromkeys(images, self.left_seen) | {"right depth": self.right_seen})

    def __repr__(self) -> str:
        left, right = (" x ".join(map(str, image.shape)) for image in (self.left_depth, self.right_depth))
        return f"Stereo(left {left}, right {right}, {self.matched.mean():.1%} of the left pixels matched)"


def render_stereo(
    scene: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    baseline: float | None = None,
    *,
    right_transform: npt.ArrayLike | None = None,
    right_calibration: Calibration | None = None,
    tolerance: float = 2.0,
    cull_faces: bool = True,
    background: float = 0.0,
    threads: int | None = None,
) -> Stereo:
    """Render a stereo pair with its disparity, correspondences, occlusion and consistency.

    The right camera is the left one moved along its X axis, so that pinholes make a rectified pair: ``disparity = (f + b1)
    baseline / depth``, to 1e-4 pixel up to 2048 of them, where float32 ends (`Stereo.correspondence` goes on). Nothing is
    matched or estimated: the point that a left pixel's ray meets is projected through the right lens, in double precision.

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh, in the chunk's frame. A `Scene` is prepared already; for several calls make it once.
    transform, calibration
        The left camera, as for `render_depth`.
    baseline : float, optional
        How far the right camera is to the right of the left one, chunk units; negative: to the left of it. (Where the
        transform has a scale, a unit of depth is so many chunk units.)
    right_transform : (4, 4) array of float, optional
        The right camera's place instead, camera to chunk: any other view of the scene.
    right_calibration : Calibration, optional
        The right camera's lens and image size; those of the left one by default.
    tolerance : float
        In pixels of surface slope of the right image, for what is occluded; see `visible`.
    cull_faces : bool
        As for `render_depth`, of both images. Faces of either side hide, as for `visible`.
    background : float
        Depth where no face is seen.
    threads : int, optional
        Threads used, all processors by default. The result is the same for any number.

    Returns
    -------
    Stereo

    Raises
    ------
    TypeError, ValueError
        A baseline that is zero or not finite, none and no place of the right camera, or both; otherwise as `render` and
        `visible`.

    Notes
    -----
    Consistency does without the rule for what is occluded. The right image's pixel that a point falls into shows a face; the
    right ray through the point is followed to that face's plane, and what it meets there is projected into the left image.
    Where that is not between half and twice the range that the pixel shows, the range itself is taken. In panoramas,
    differences of u are taken the shorter way round.
    """
    if right_calibration is None:
        right_calibration = calibration
    place = check_transform(transform)
    right_place = _right_place(place, baseline, right_transform)
    n_threads = thread_count(threads)
    scene = Scene.from_mesh(scene, threads=threads)
    options: dict[str, Any] = {"cull_faces": cull_faces, "background": background, "threads": n_threads}
    left = render(scene, place, calibration, ("depth", "position"), **options)
    right = render(
        scene,
        right_place,
        right_calibration,
        ("depth", "position", "normal"),
        normal_frame="chunk",
        **options,
    )
    assert left.depth is not None and left.position is not None
    assert right.depth is not None and right.position is not None
    matching = _Matching(
        scene, (place, calibration), (right_place, right_calibration), right, tolerance, n_threads
    )
    n_rows = max(1, _PIXELS // calibration.width)
    for row0 in range(0, calibration.height, n_rows):
        matching.match(row0, left.position[row0 : row0 + n_rows])
    return Stereo(
        left_depth=left.depth,
        right_depth=right.depth,
        left_seen=~np.isnan(left.position[..., 0]),
        right_seen=~np.isnan(right.position[..., 0]),
        right_transform=right_place,
        **matching.images,
    )


def _right_place(place: Array, baseline: float | None, right_transform: npt.ArrayLike | None) -> Array:
    """Return the right camera's transform, checked."""
    if right_transform is not None:
        if baseline is not None:
            raise ValueError(
                f"baseline is {baseline!r}, and right_transform says where the right camera is, too; one of them is needed: "
                "leave the other out"
            )
        return check_transform(right_transform)
    if baseline is None:
        raise TypeError(
            "there is no baseline; how far the right camera is from the left one is needed, in chunk units: pass baseline, "
            "or right_transform"
        )
    try:
        length = real_number(baseline)
    except (TypeError, ValueError):
        raise TypeError(
            f"baseline is {baseline!r}; a number of chunk units is needed: pass e.g. baseline=0.5"
        ) from None
    if not math.isfinite(length) or length == 0.0:
        raise ValueError(
            f"baseline is {length}; a finite number of chunk units other than 0 is needed: pass e.g. baseline=0.5"
        )
    moved = place.copy()
    moved[:3, 3] += length * place[:3, 0] / np.linalg.norm(place[:3, 0])
    return moved


class _Matching:
    """Finds the counterparts of the left image's pixels, some rows at a time."""

    def __init__(
        self,
        scene: Scene,
        left: tuple[Array, Calibration],
        right: tuple[Array, Calibration],
        shown: Layers,
        tolerance: float,
        threads: int,
    ) -> None:
        self._scene, self._left, self._right = scene, left, right
        self._position, self._normal = shown.position, shown.normal
        self._tolerance, self._threads = tolerance, threads
        self._camera_from_chunk = invert(left[0])[:3, :3]
        shape = left[1].height, left[1].width
        self.images: dict[str, npt.NDArray[Any]] = {
            "disparity": np.full(shape, np.nan, np.float32),
            "correspondence": np.full((*shape, 2), np.nan),
            "occlusion": np.zeros(shape, np.bool_),
            "outside": np.zeros(shape, np.bool_),
            "consistency": np.full(shape, np.nan, np.float32),
        }

    def match(self, row0: int, position: Array) -> None:
        """Fill the rows from ``row0`` on, of which ``position`` (n, W, 3) has the points, NaN where there are none."""
        rows, cols = np.nonzero(~np.isnan(position[..., 0]))
        points = position[rows, cols]
        rows += row0
        own = np.stack([cols + 0.5, rows + 0.5], axis=-1)
        found = visible(self._scene, points, *self._right, self._tolerance, threads=self._threads)
        images = self.images
        images["correspondence"][rows, cols] = found.pixel
        images["disparity"][rows, cols] = _across(own[:, 0] - found.pixel[:, 0], self._left[1])
        images["occlusion"][rows, cols] = ~found.visible
        outside = found.status < Sight.OCCLUDED
        images["outside"][rows, cols] = outside
        inside = np.flatnonzero(~outside)

        def follow(start: int) -> None:
            some = inside[start : start + _TOGETHER]
            back = self._left[1].project(self._shown_behind(points[some], found.pixel[some]))
            error = np.hypot(_across(back[:, 0] - own[some, 0], self._left[1]), back[:, 1] - own[some, 1])
            images["consistency"][rows[some], cols[some]] = error

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(follow, range(0, len(inside), _TOGETHER)))

    def _shown_behind(self, points: Array, pixels: Array) -> Array:
        """Return what the right image shows where points (n, 3) are imaged in it, in the left camera's frame."""
        assert self._position is not None and self._normal is not None
        cols, rows = pixels.astype(np.intp).T
        shown, normal = self._position[rows, cols], self._normal[rows, cols].astype(np.float64)
        place, calibration = self._right
        if calibration.type == "orthographic":
            way = np.broadcast_to(place[:3, 2] / np.linalg.norm(place[:3, 2]), points.shape)
            own, there = _dot(points - place[:3, 3], way), _dot(shown - place[:3, 3], way)
        else:
            way = points - place[:3, 3]
            own, there = np.linalg.norm(way, axis=1), np.linalg.norm(shown - place[:3, 3], axis=1)
            way /= own[:, None]
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # planes seen from their edge; nothing seen at all
            step = _dot(shown - points, normal) / _dot(way, normal)
            near = (own + step > there / _REACH) & (own + step < there * _REACH)
        step = np.where(near, step, there - own)
        # Less the camera's place before the step is added: the step of the same face is next to nothing.
        return np.asarray((points - self._left[0][:3, 3] + step[:, None] * way) @ self._camera_from_chunk.T)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _across(difference: Array, calibration: Calibration) -> Array:
    """Return differences of u, of panoramas the shorter way round."""
    if calibration.type not in ("spherical", "cylindrical"):
        return difference
    turn = 2.0 * math.pi * calibration.f
    return np.asarray(difference - turn * np.rint(difference / turn))
