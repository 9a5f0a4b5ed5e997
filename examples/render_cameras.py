"""Render every aligned camera of a Metashape chunk and save the depth in metres as NumPy files.

usage: python render_cameras.py cameras.xml model.ply output-folder

The mesh must be in the chunk's local coordinates. For TIFF files and previews, use ``depthraster render``.
"""

import sys
from pathlib import Path

import numpy as np

import depthraster as dr

if len(sys.argv) != 4:
    sys.exit(__doc__)
cameras_path, mesh_path, folder = map(Path, sys.argv[1:])
folder.mkdir(parents=True, exist_ok=True)

chunk = dr.load_chunk(cameras_path)
scale = chunk.scale or 1.0  # metres per chunk unit

cameras = [camera for camera in chunk.cameras if camera.enabled]
# One by one and in order, while the next ones are rendered; a camera that is not aligned comes with its error.
for view in dr.render_views(mesh_path, cameras, background=np.nan):
    if view.error:
        print(f"{view.label}: {view.error}")
        continue
    depth = view.layers.depth
    np.save(folder / f"{view.label}.npy", depth * np.float32(scale))
    print(f"{view.label}: {np.isfinite(depth).mean():.0%} of the pixels see the mesh")
