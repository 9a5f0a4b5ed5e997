"""Exact, watertight, fast depth images from a mesh and a calibrated camera.

* Meshes and cameras: `load_mesh`, `Scene`, `Calibration`, `load_calibrations`, `look_at`, `nadir`, `load_chunk`.
* Images: `render_depth`, as Metashape's `Model.renderDepth`; `render`, more layers in one pass; `render_views`, many views.
* What follows from depth: `visible`, `visibility_table`, `faces_seen`, `pick_point`, `render_stereo`, `height_field`,
  `write_height_field`, `orthorectify`.
* Against images from elsewhere: `compare`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from depthraster.attributes import Attribute
from depthraster.calibration import Calibration
from depthraster.errors import FormatError
from depthraster.layers import Layers
from depthraster.render import render, render_depth
from depthraster.scene import Scene
from depthraster.transforms import look_at, nadir
from depthraster.views import RenderedView, render_views

if TYPE_CHECKING:
    from depthraster.chunk import Camera, Chunk, Region
    from depthraster.comparison import Comparison, Tolerances, compare
    from depthraster.heights import HeightField, HeightFile, height_field, write_height_field
    from depthraster.io.calibration_files import load_calibrations
    from depthraster.io.meshes import load_mesh
    from depthraster.io.metashape_project import load_chunk
    from depthraster.io.metashape_writer import save_chunk
    from depthraster.orthophoto import Orthophoto, orthorectify
    from depthraster.picking import Picks, pick_point
    from depthraster.seen_faces import FacesSeen, faces_seen
    from depthraster.stereo import Stereo, render_stereo
    from depthraster.visibility import Sight, Visibility, VisibilityTable, visibility_table, visible

__all__ = [
    "Attribute",
    "Calibration",
    "Camera",
    "Chunk",
    "Comparison",
    "FacesSeen",
    "FormatError",
    "HeightField",
    "HeightFile",
    "Layers",
    "Orthophoto",
    "Picks",
    "Region",
    "RenderedView",
    "Scene",
    "Sight",
    "Stereo",
    "Tolerances",
    "Visibility",
    "VisibilityTable",
    "compare",
    "faces_seen",
    "height_field",
    "load_calibrations",
    "load_chunk",
    "load_mesh",
    "look_at",
    "nadir",
    "orthorectify",
    "pick_point",
    "render",
    "render_depth",
    "render_stereo",
    "render_views",
    "save_chunk",
    "visibility_table",
    "visible",
    "write_height_field",
]

# Imported when first used: what reads files, which takes libraries that rendering does not need, and what is made of depth.
_LATER = {
    "Camera": "depthraster.chunk",
    "Chunk": "depthraster.chunk",
    "Comparison": "depthraster.comparison",
    "FacesSeen": "depthraster.seen_faces",
    "HeightField": "depthraster.heights",
    "HeightFile": "depthraster.heights",
    "Orthophoto": "depthraster.orthophoto",
    "Picks": "depthraster.picking",
    "Region": "depthraster.chunk",
    "Sight": "depthraster.visibility",
    "Stereo": "depthraster.stereo",
    "Tolerances": "depthraster.comparison",
    "Visibility": "depthraster.visibility",
    "VisibilityTable": "depthraster.visibility",
    "compare": "depthraster.comparison",
    "faces_seen": "depthraster.seen_faces",
    "height_field": "depthraster.heights",
    "load_calibrations": "depthraster.io.calibration_files",
    "load_chunk": "depthraster.io.metashape_project",
    "load_mesh": "depthraster.io.meshes",
    "orthorectify": "depthraster.orthophoto",
    "pick_point": "depthraster.picking",
    "render_stereo": "depthraster.stereo",
    "save_chunk": "depthraster.io.metashape_writer",
    "visibility_table": "depthraster.visibility",
    "visible": "depthraster.visibility",
    "write_height_field": "depthraster.heights",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("depthraster")
    if name in _LATER:
        import importlib

        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'depthraster' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", *(name for name in globals() if name.startswith("__"))])
