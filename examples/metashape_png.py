"""Metashape's names: float depth to a picture of 256 greys.

usage: python metashape_png.py survey.psx depth.png
"""

import sys

import numpy as np
from PIL import Image

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])

chunk = Metashape.app.document.chunk
camera = chunk.cameras[0]
depth = chunk.model.renderDepth(camera.transform, camera.sensor.calibration)

array = np.frombuffer(depth.tostring(), dtype=np.float32).reshape(depth.height, depth.width, depth.cn)
values = array[..., 0]
valid = array[..., 1] > 0 if depth.cn == 2 else np.isfinite(values) & (values > 0)

grey = np.zeros(values.shape, np.uint8)
if valid.any():
    least, most = values[valid].min(), values[valid].max()
    if most > least:
        grey[valid] = ((values[valid] - least) / (most - least) * 255).astype(np.uint8)

Image.fromarray(grey).save(sys.argv[2])
print(f"{sys.argv[2]}: {valid.mean():.0%} of the pixels see the mesh")
