"""VTK off screen, as PyVista sets it up: the mesh in an actor without lights, its Z-buffer read back and made linear.

It draws with the OpenGL that the machine has; on one without a graphics card that is Mesa's llvmpipe. The image is that of
a pinhole camera; the principal point is VTK's window centre.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")  # or it looks for a display first

import numpy as np
import numpy.typing as npt
import pyvista
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkFloatArray, vtkVersion

import depthraster as dr
from peers import Mesh
from peers.depth_buffer import linearize, near_and_far


class Window:
    """`Peer` that is VTK."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._plotter: pyvista.Plotter | None = None
        self._size = (0, 0)

    def build(self) -> None:
        """Make the mesh and its actor; a first image, a small one, takes it into VTK's buffers."""
        if self._plotter is not None:
            self._plotter.close()
            self._size = (0, 0)
        vertices = (self._mesh.vertices - self._mesh.origin).astype(np.float32)
        surface = pyvista.PolyData.from_regular_faces(vertices, self._mesh.faces)
        self._plotter = pyvista.Plotter(off_screen=True, window_size=(64, 64), lighting="none")
        self._plotter.disable_anti_aliasing()
        self._plotter.add_mesh(surface, color="white", lighting=False, culling="back", copy_mesh=False)
        self._plotter.show(auto_close=False, interactive=False)

    def aim(self, transform: npt.NDArray[np.float64], calibration: dr.Calibration) -> None:
        """Set the camera and the size of the window; where that is new, draw once: VTK makes its buffers then."""
        plotter, camera, c = self._plotter, self._plotter.camera, calibration
        new, self._size = self._size != (c.width, c.height), (c.width, c.height)
        if new:
            plotter.window_size = self._size
        centre = transform[:3, 3] - self._mesh.origin
        camera.position = tuple(centre)
        camera.focal_point = tuple(centre + transform[:3, 2])
        camera.up = tuple(-transform[:3, 1])
        camera.view_angle = np.degrees(2 * np.arctan(0.5 * c.height / c.f))
        camera.SetWindowCenter(-2 * c.cx / c.width, 2 * c.cy / c.height)
        camera.clipping_range = self._near, self._far = near_and_far(self._mesh, transform)
        if new:
            self._values = vtkFloatArray()
            plotter.render()

    def render(self) -> npt.NDArray[np.float32]:
        """Draw, read the Z-buffer back, and return Z."""
        width, height = self._size
        self._plotter.render()
        self._plotter.render_window.GetZbufferData(0, 0, width - 1, height - 1, self._values)
        depth: npt.NDArray[np.float32] = vtk_to_numpy(self._values).reshape(height, width)
        linearize(depth, self._near, self._far, self._pool)
        return depth[::-1]  # its first row is the lowest

    def covered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which pixels are before the far plane."""
        return depth < self._far * (1 - 1e-5)

    def about(self) -> str:
        """Return the versions."""
        window = self._plotter.render_window.GetClassName() if self._plotter is not None else ""
        return f"PyVista {pyvista.__version__}, VTK {vtkVersion().GetVTKVersion()}, {window}"
