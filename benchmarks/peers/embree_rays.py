"""Embree through its Python binding embreex: called directly, and as trimesh calls it."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

import depthraster as dr
from peers import Mesh
from peers.open3d_rays import pixel_rays

_PIECE = 2_000_000  # rays given to trimesh at a time: it keeps a dozen float64 arrays of their length


class Embreex:
    """`Peer` that is embreex alone, in float32."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._aimed: Any = None

    def build(self) -> None:
        """Build the tree: Embree does at the first ray."""
        vertices = (self._mesh.vertices - self._mesh.origin).astype(np.float32)
        self._scene = rtcore_scene.EmbreeScene()
        TriangleMesh(scene=self._scene, vertices=vertices, indices=self._mesh.faces)
        self._scene.run(np.zeros((1, 3), np.float32), np.array([[0, 0, 1]], np.float32))

    def aim(self, transform: npt.NDArray[np.float64], calibration: dr.Calibration) -> None:
        """Make the rays, unless those made last are of this view."""
        key = transform.tobytes(), calibration
        if key == self._aimed:
            return
        self._aimed = key
        rays = pixel_rays(transform, calibration)
        self._shape = rays.shape[:2]
        self._directions = np.ascontiguousarray(rays[..., 3:]).reshape(-1, 3)
        self._origins = np.empty_like(self._directions)
        self._origins[:] = transform[:3, 3] - self._mesh.origin

    def render(self) -> npt.NDArray[np.float32]:
        """Return the distance along each ray, which is Z: the rays' Z in the camera's frame is 1."""
        found: npt.NDArray[np.float32] = self._scene.run(self._origins, self._directions, query="DISTANCE")
        return found.reshape(self._shape)

    def covered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which rays met a face; the others have 1e37."""
        return depth < 1e30

    def about(self) -> str:
        """Return the version."""
        return f"embreex {metadata.version('embreex')}, one thread"


class Trimesh:
    """`Peer` that is trimesh's ray interface over embreex, float64 around it."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._aimed: Any = None

    def build(self) -> None:
        """Make the mesh (faces as they are, nothing merged) and its tree."""
        self._trimesh = trimesh.Trimesh(
            self._mesh.vertices - self._mesh.origin, self._mesh.faces, process=False, validate=False
        )
        self._ray: Any = self._trimesh.ray
        # Of its own accord it makes these at the first image, and keeps them.
        self._ray.intersects_location([[0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]], multiple_hits=False)

    def aim(self, transform: npt.NDArray[np.float64], calibration: dr.Calibration) -> None:
        """Make the rays, unless those made last are of this view."""
        key = transform.tobytes(), calibration
        if key == self._aimed:
            return
        self._aimed = key
        rays = pixel_rays(transform, calibration)
        self._shape = rays.shape[:2]
        self._directions = np.ascontiguousarray(rays[..., 3:]).reshape(-1, 3)
        self._axis, self._centre = transform[:3, 2].copy(), transform[:3, 3] - self._mesh.origin

    def render(self) -> npt.NDArray[np.float32]:
        """Return the Z of the places that rays meet; 0 where they meet none."""
        depth = np.zeros(len(self._directions), np.float32)
        for start in range(0, len(depth), _PIECE):
            directions = self._directions[start : start + _PIECE]
            origins = np.broadcast_to(self._centre, directions.shape)
            places, ray, _ = self._ray.intersects_location(origins, directions, multiple_hits=False)
            depth[start + ray] = (places - self._centre) @ self._axis
        return depth.reshape(self._shape)

    def covered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which rays met a face."""
        return depth > 0.0

    def about(self) -> str:
        """Return the versions."""
        return f"trimesh {trimesh.__version__}, embreex {metadata.version('embreex')}, one thread"
