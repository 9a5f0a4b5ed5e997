"""Metashape's names: depth from a pose in world coordinates.

usage: python metashape_world_pose.py survey.psx

The transform for renderDepth leads from the camera to the chunk, so a pose in the world goes through the inverse of the
chunk's own transform. With it comes the scale 1 / s: depth is then in the world's units, metres, and must not be scaled
again.
"""

import sys

import numpy as np

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])

chunk = Metashape.app.document.chunk
camera = chunk.cameras[0]
calibration = camera.sensor.calibration

# Somewhere to stand: where the first camera was, as a pose in the world without scale.
of_camera = chunk.transform.matrix * camera.transform
world_pose = Metashape.Matrix.Translation(of_camera.translation()) * Metashape.Matrix.Rotation(
    of_camera.rotation()
)

local_pose = chunk.transform.matrix.inv() * world_pose
metres = np.asarray(chunk.model.renderDepth(local_pose, calibration))

units = np.asarray(chunk.model.renderDepth(camera.transform, calibration))
both = (metres[..., 1] > 0) & (units[..., 1] > 0)
ratio = np.median(metres[both, 0] / units[both, 0])
print(
    f"{ratio:.6f} times the depth from the same place in the chunk, whose scale is {chunk.transform.scale or 1:.6f}"
)
