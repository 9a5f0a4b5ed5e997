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
scene = dr.Scene.from_mesh(mesh_path)  # prepared once, for all cameras
# Metres per chunk unit.
scale = 1.0 if chunk.transform is None else np.linalg.norm(chunk.transform[:3, 0])

for camera in chunk.cameras:
    if camera.transform is None or camera.calibration is None or not camera.enabled:
        print(f"{camera.label}: not aligned, or switched off")
        continue
    layers = dr.render(scene, camera.transform, camera.calibration, background=np.nan)
    np.save(folder / f"{camera.label}.npy", layers.depth * np.float32(scale))
    print(f"{camera.label}: {np.isfinite(layers.depth).mean():.0%} of the pixels see the mesh")
