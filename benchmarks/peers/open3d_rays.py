"""Open3D's RaycastingScene (Embree, float32 rays), and what its images have to do with ours, face by face.

It is asked in the way that suits it best: rays made beforehand, its own threads. `Casting` is the `Peer`; `View3D` and
`compare` are for benchmarks that need the faces met, too. Timing is ``harness.py``'s. The commonest change is another
measure of difference, in `compare`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import depthraster as dr
from peers import Mesh
from scenes import View

NO_FACE = np.uint32(0xFFFFFFFF)  # Open3D's primitive id where a ray hit nothing


def is_installed() -> bool:
    """Return whether Open3D can be imported."""
    try:
        import open3d  # noqa: F401
    except ImportError:
        return False
    return True


class Casting:
    """`Peer` that is Open3D."""

    def __init__(self, mesh: Mesh) -> None:
        import open3d as o3d

        self._o3d, self._mesh = o3d, mesh
        self._aimed: Any = None

    def build(self) -> None:
        """Build the tree: Open3D does at the first ray."""
        o3d = self._o3d
        self._scene = o3d.t.geometry.RaycastingScene()
        self._scene.add_triangles(
            o3d.core.Tensor((self._mesh.vertices - self._mesh.origin).astype(np.float32)),
            o3d.core.Tensor(self._mesh.faces.astype(np.uint32)),
        )
        self._scene.cast_rays(o3d.core.Tensor(np.ones((1, 6), np.float32)))

    def aim(self, transform: npt.NDArray[np.float64], calibration: dr.Calibration) -> None:
        """Make the rays, unless those made last are of this view."""
        key = transform.tobytes(), calibration
        if key != self._aimed:
            rays = pixel_rays(transform, calibration)
            rays[..., :3] = transform[:3, 3] - self._mesh.origin
            self._rays, self._aimed = self._o3d.core.Tensor(rays), key

    def render(self) -> npt.NDArray[np.float32]:
        """Return ``t_hit``, which is Z: the rays' Z in the camera's frame is 1."""
        depth: npt.NDArray[np.float32] = self._scene.cast_rays(self._rays)["t_hit"].numpy()
        return depth

    def covered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which rays met a face."""
        return np.isfinite(depth)

    def about(self) -> str:
        """Return the version."""
        return f"Open3D {self._o3d.__version__}"


class View3D:
    """A view as Open3D wants it; `build` makes its tree, `cast` its image with the faces."""

    def __init__(self, view: View) -> None:
        import open3d as o3d

        self._o3d = o3d
        # Its vertices are float32: relative to the camera, where they are finest.
        centre = view.transform[:3, 3]
        self._vertices = o3d.core.Tensor((view.vertices - centre).astype(np.float32))
        self._faces = o3d.core.Tensor(view.faces.astype(np.uint32))
        self._rays = o3d.core.Tensor(pixel_rays(view.transform, view.calibration))

    def build(self) -> Any:
        """Return a scene with its tree built: Open3D builds it at the first ray."""
        scene = self._o3d.t.geometry.RaycastingScene()
        scene.add_triangles(self._vertices, self._faces)
        scene.cast_rays(self._rays[:1, :1])
        return scene

    def cast(self, scene: Any) -> dict[str, Any]:
        """Cast the ray of every pixel; ``t_hit`` is depth, for the rays' Z in the camera's frame is 1."""
        result: dict[str, Any] = scene.cast_rays(self._rays)
        return result


def pixel_rays(
    transform: npt.NDArray[np.float64], calibration: dr.Calibration, n_rows: int = 100
) -> npt.NDArray[np.float32]:
    """Return the ray of each pixel's centre, (H, W, 6): the camera's centre as 0 0 0, the direction.

    Directions are in the chunk's frame, of length 1 along the camera's axis.
    """
    rays = np.zeros((calibration.height, calibration.width, 6), np.float32)
    columns = np.arange(calibration.width) + 0.5
    for start in range(0, calibration.height, n_rows):
        rows = np.arange(start, min(start + n_rows, calibration.height)) + 0.5
        pixels = np.stack(np.broadcast_arrays(columns, rows[:, None]), axis=-1)
        rays[start : start + n_rows, :, 3:] = calibration.unproject(pixels) @ transform[:3, :3].T
    return rays


class Difference(NamedTuple):
    """What sets our image apart from the peer's."""

    pixels: int
    coverage: int  # pixels that only one of the two covers
    coverage_beyond_edges: int  # of these, farther than EDGE px from the edges of the face that was seen
    face_index: int  # pixels that both cover, with different faces
    face_index_beyond_edges: int  # of these, farther than EDGE px from the edges of both faces
    depth_median: float  # relative, where the faces are the same
    depth_max: float


# Pixels. The peer's vertices and rays are float32, which moves edges by some thousandths of a pixel.
EDGE = 0.02


def compare(view: View, layers: dr.Layers, cast: dict[str, Any]) -> Difference:
    """Compare our ``depth`` and ``face_index`` with the peer's, pixel by pixel."""
    assert layers.depth is not None
    assert layers.face_index is not None
    theirs = cast["primitive_ids"].numpy()
    we_hit, they_hit = layers.face_index >= 0, theirs != NO_FACE
    coverage = we_hit != they_hit
    both = we_hit & they_hit
    other_face = both & (layers.face_index != theirs)
    same = both & ~other_face
    ours = layers.depth[same].astype(np.float64)
    relative = np.abs(cast["t_hit"].numpy()[same] - ours) / ours

    their_faces = np.where(they_hit, theirs, 0).astype(np.int64)
    rows, cols = np.nonzero(coverage)
    seen = np.where(we_hit[rows, cols], layers.face_index[rows, cols], their_faces[rows, cols])
    lonely = edge_distance(view, rows, cols, seen) > EDGE
    rows, cols = np.nonzero(other_face)
    strange = edge_distance(view, rows, cols, layers.face_index[rows, cols]) > EDGE
    strange &= edge_distance(view, rows, cols, their_faces[rows, cols]) > EDGE
    return Difference(
        pixels=coverage.size,
        coverage=int(coverage.sum()),
        coverage_beyond_edges=int(lonely.sum()),
        face_index=int(other_face.sum()),
        face_index_beyond_edges=int(strange.sum()),
        depth_median=float(np.median(relative)) if relative.size else 0.0,
        depth_max=float(relative.max()) if relative.size else 0.0,
    )


def edge_distance(
    view: View, rows: npt.NDArray[Any], cols: npt.NDArray[Any], faces: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return how far pixels' rays pass from the edges of one face each, (N,), undistorted pixels.

    Faces must lie in front of the camera. Float64, and nothing of the rasterizer's.
    """
    rays = view.calibration.unproject(np.stack([cols + 0.5, rows + 0.5], axis=-1))[:, :2]
    camera_from_chunk = np.linalg.inv(view.transform)
    corners = view.vertices[view.faces[faces]] @ camera_from_chunk[:3, :3].T + camera_from_chunk[:3, 3]
    corners = corners[..., :2] / corners[..., 2:]
    nearest = np.full(len(rays), np.inf)
    for i in range(3):
        a, b = corners[:, i], corners[:, (i + 1) % 3]
        along = b - a
        length2 = np.maximum((along * along).sum(axis=1), 1e-300)
        part = np.clip(((rays - a) * along).sum(axis=1) / length2, 0.0, 1.0)
        nearest = np.minimum(nearest, np.hypot(*(rays - a - part[:, None] * along).T))
    return nearest * view.calibration.f
