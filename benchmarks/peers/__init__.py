"""The programs that depth images are compared with, each asked in the way that suits it best.

A `Peer` is given a mesh as plain arrays and does three things: it builds what it draws from, it takes aim at a view,
and it renders: from there to a float32 array of depths in the host's memory is what is timed. What can be made of a
view beforehand (rays, matrices, a target of the right size) is made in `aim`, which is not timed. A peer that is not
installed, or that finds no driver, raises `Missing` with the reason.

The commonest change is another peer: a class in a module of its own, and its line in `PEERS`. Rounds and checks are
``compare.py``'s and ``checking.py``'s; the one comparison that goes into faces is ``open3d_rays.py``'s.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

import depthraster as dr

__all__ = ["PEERS", "Kind", "Mesh", "Missing", "Peer", "make"]


class Missing(RuntimeError):
    """A peer cannot be had here; the message says what was looked for."""


class Mesh(NamedTuple):
    """What everyone is given. Peers that keep float32 keep it relative to ``origin``."""

    vertices: npt.NDArray[np.float64]  # (V, 3)
    faces: npt.NDArray[np.int32]  # (F, 3)
    origin: npt.NDArray[np.float64]  # (3,) where float32 is finest: the camera, or the middle of a survey


class Peer(Protocol):
    """A program that makes depth images."""

    def __init__(self, mesh: Mesh) -> None:
        """Take the mesh; nothing is prepared yet. Raise `Missing` where the program cannot be had."""

    def build(self) -> None:
        """Make what is drawn from, anew: a tree, buffers, a prepared scene. Timed."""

    def aim(self, transform: npt.NDArray[np.float64], calibration: dr.Calibration) -> None:
        """Make beforehand what a view needs. Not timed."""

    def render(self) -> npt.NDArray[np.float32]:
        """Return depths, (H, W), Z along the camera's axis; it may be overwritten by the next call. Timed."""

    def covered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return which pixels of an image of `render` show a face. Not timed."""

    def about(self) -> str:
        """Return the program and its version, and what draws."""


class Kind(NamedTuple):
    """A peer, how it is named, and what it is able to."""

    title: str
    place: str  # module:class
    lens: bool  # whether it draws through the lens; else its image is that of a pinhole camera
    exact: bool  # whether lens distortion is that of each pixel, and not of the vertices alone
    note: str  # what is timed


PEERS: dict[str, Kind] = {
    "depthraster": Kind(
        "depthraster", "peers.ours:Ours", True, True, "`render_depth` of a `Scene` into a buffer (`out=`), depth and alpha"
    ),
    "open3d": Kind(
        "Open3D RaycastingScene", "peers.open3d_rays:Casting", True, True,
        "`cast_rays` with the ray of every pixel made beforehand",
    ),
    "embreex": Kind(
        "embreex alone", "peers.embree_rays:Embreex", True, True,
        "`EmbreeScene.run(query='DISTANCE')`, rays made beforehand; one thread, it holds the interpreter's lock",
    ),
    "trimesh": Kind(
        "trimesh + embreex", "peers.embree_rays:Trimesh", True, True,
        "`ray.intersects_location(multiple_hits=False)`, rays made beforehand, and the Z of what it returns",
    ),
    "llvmpipe": Kind(
        "llvmpipe, pinhole", "peers.llvmpipe:DepthBuffer", False, True,
        "drawing, reading the float depth buffer back, making it linear in place",
    ),
    "llvmpipe-colour": Kind(
        "llvmpipe, pinhole, float target", "peers.llvmpipe:FloatTarget", False, True,
        "drawing Z into a float32 colour buffer and reading that back",
    ),
    "llvmpipe-lens": Kind(
        "llvmpipe, vertices distorted", "peers.llvmpipe:Distorted", True, False,
        "as the pinhole, the lens formula in the vertex shader: edges stay straight",
    ),
    "vtk": Kind(
        "PyVista / VTK off screen", "peers.vtk_window:Window", False, True,
        "`Plotter.render`, `GetZbufferData`, making it linear in place",
    ),
}  # fmt: skip


def make(name: str, mesh: Mesh) -> Peer:
    """Return a peer by its name in `PEERS`.

    Raises
    ------
    Missing
        It is not installed, or cannot run here.
    """
    module, kind = PEERS[name].place.split(":")
    try:
        peer: Peer = getattr(importlib.import_module(module), kind)(mesh)
    except ImportError as error:
        raise Missing(f"not installed ({error}): pip install 'depthraster[bench]'") from None
    return peer
