"""Metashape's names: depth images from poses around the middle of the region, all looking at it.

usage: python metashape_arbitrary_poses.py survey.psx output-folder
"""

import math
import os
import sys

import numpy as np

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])
folder = sys.argv[2]
os.makedirs(folder, exist_ok=True)

chunk = Metashape.app.document.chunk
calibration = chunk.cameras[0].sensor.calibration
centre = chunk.region.center
distance = 0.8 * chunk.region.size.norm()


def looking_at(eye, target, up):
    """Return the camera's place: its Z to the target, its Y down."""
    forward = (target - eye).normalized()
    right = Metashape.Vector.cross(forward, up).normalized()
    down = Metashape.Vector.cross(forward, right)
    rotation = Metashape.Matrix([right, down, forward]).t()
    return Metashape.Matrix.Translation(eye) * Metashape.Matrix.Rotation(rotation)


for k in range(8):
    angle = 2 * math.pi * k / 8
    eye = centre + distance * Metashape.Vector([math.cos(angle), math.sin(angle), 0.8]).normalized()
    pose = looking_at(eye, centre, Metashape.Vector([0, 0, 1]))
    depth = chunk.model.renderDepth(pose, calibration)
    depth.convert(" ", "F32").save(os.path.join(folder, f"view_{k}.tif"))
    print(f"view_{k}.tif: {np.asarray(depth)[..., 1].mean():.0%} of the pixels see the mesh")
