"""Metashape's names: depth from an invented pose, straight down on the middle of the chunk.

usage: python metashape_nadir_pose.py survey.psx [height above the middle of the region, in chunk units]

The pose looks down the chunk's own Z. That is the vertical only where the chunk's axes were set so; where they were not,
take the vertical from ``chunk.crs.localframe``, as ``metashape_height_field.py`` does.
"""

import sys

import numpy as np

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])
height_above = float(sys.argv[2]) if len(sys.argv) > 2 else 50.0

chunk = Metashape.app.document.chunk
position = chunk.region.center + Metashape.Vector([0, 0, height_above])

# A camera looks along its own Z, and Y is down in its image: half a turn about X makes it look down.
rotation = Metashape.Matrix.Rotation(Metashape.Matrix([[1, 0, 0], [0, -1, 0], [0, 0, -1]]))
synthetic_transform = Metashape.Matrix.Translation(position) * rotation

calibration = chunk.cameras[0].sensor.calibration
depth = chunk.model.renderDepth(synthetic_transform, calibration)

array = np.asarray(depth)  # numpy sees the pixels, and no copy
seen = array[..., 1] > 0
print(
    f"{seen.mean():.0%} of the pixels see the mesh, {array[seen, 0].min():.2f} to {array[seen, 0].max():.2f} units below"
)
