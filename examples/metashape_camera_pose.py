"""Metashape's names: depth from the pose of a camera of a project.

usage: python metashape_camera_pose.py survey.psx

In Metashape itself, leave the two lines that open the project out and ``import Metashape``; so in all of these examples.
"""

import sys

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])

chunk = Metashape.app.document.chunk
camera = chunk.cameras[0]
if not chunk.model:
    raise RuntimeError("there is no mesh in the project: build one, or use chunk.importModel")

depth = chunk.model.renderDepth(camera.transform, camera.sensor.calibration)
print(f"{camera.label}: {depth.width} x {depth.height}, channels={depth.cn}, dtype={depth.data_type}")

# The value of a pixel is in chunk units; metres are those times the chunk's scale.
x, y = depth.width // 2, depth.height // 2
metres = depth[x, y][0] * (chunk.transform.scale or 1)
print(f"the middle of the image is {metres:.3f} m ahead")
