"""Depthraster, as the benchmarks see it: a prepared scene, and an image written into the same buffer again and again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import depthraster as dr
from peers import Mesh


class Ours:
    """`Peer` that is depthraster."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def build(self) -> None:
        """Prepare the scene."""
        self.scene = dr.Scene(self._mesh.vertices, self._mesh.faces)

    def aim(self, transform: npt.NDArray[np.float64], calibration: dr.Calibration) -> None:
        """Keep the view; the buffer is touched, so that the system has handed its memory out."""
        self._where = transform, calibration
        shape = (calibration.height, calibration.width, 2)
        if getattr(self, "_out", np.empty(0)).shape != shape:
            self._out = np.ones(shape, np.float32)

    def render(self) -> npt.NDArray[np.float32]:
        """Render depth and alpha; return the depth."""
        return dr.render_depth(self.scene, *self._where, out=self._out)[..., 0]

    def covered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which pixels show a face."""
        return depth > 0.0

    def about(self) -> str:
        """Return our version."""
        return f"depthraster {dr.__version__}" if hasattr(dr, "__version__") else "depthraster"
