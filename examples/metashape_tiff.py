"""Metashape's names: the depth of every aligned camera in metres, as float TIFF files.

usage: python metashape_tiff.py survey.psx output-folder
"""

import os
import sys

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])
folder = sys.argv[2]
os.makedirs(folder, exist_ok=True)

chunk = Metashape.app.document.chunk
scale = chunk.transform.scale or 1  # metres per chunk unit; None where the chunk has no transform
compression = Metashape.ImageCompression()
compression.tiff_compression = Metashape.ImageCompression().TiffCompressionDeflate

for camera in chunk.cameras:
    if not camera.transform or not camera.enabled or camera.type != Metashape.Camera.Type.Regular:
        continue
    depth = chunk.model.renderDepth(camera.transform, camera.sensor.calibration, add_alpha=False)
    depth = depth * scale
    depth.save(os.path.join(folder, camera.label + ".tif"), compression=compression)
    print(f"{camera.label}.tif: {depth.width} x {depth.height}, {depth.data_type}")
    Metashape.app.update()
