"""Metashape's names: heights above the ellipsoid, as a camera straight above the region sees them, for an orthophoto.

usage: python metashape_height_field.py survey.psx heights.tif

For each pixel of a nadir view: where its ray meets the mesh, and that point in the chunk's coordinate system. The vertical
is the local one, from ``chunk.crs.localframe``, not the chunk's Z axis, which may point anywhere.
"""

import sys

import numpy as np

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])

chunk = Metashape.app.document.chunk
world_from_chunk = chunk.transform.matrix
scale = chunk.transform.scale or 1
centre = world_from_chunk.mulp(chunk.region.center)
frame = chunk.crs.localframe(centre)  # from the world to east, north, up at the centre, metres

# A camera above the centre, in that frame: X east, Y south in the image, looking down.
altitude = 1.5 * scale * chunk.region.size.norm()
above = Metashape.Matrix.Translation([0, 0, altitude]) * Metashape.Matrix.Rotation(
    Metashape.Matrix.Diag([1, -1, -1])
)
world_pose = frame.inv() * above
local_pose = world_from_chunk.inv() * world_pose  # its scale makes depth metres

calibration = Metashape.Calibration()
calibration.width = calibration.height = 200
calibration.f = 200 * altitude / (scale * max(chunk.region.size.x, chunk.region.size.y))

depth = np.asarray(chunk.model.renderDepth(local_pose, calibration))
metres, seen = depth[..., 0].astype(float), depth[..., 1] > 0

v, u = np.mgrid[: calibration.height, : calibration.width] + 0.5
east = (u - calibration.width / 2) / calibration.f * metres
north = -(v - calibration.height / 2) / calibration.f * metres
up = altitude - metres

# From the local frame to geocentric coordinates, and to the chunk's system: longitude, latitude, height.
local = np.stack([east[seen], north[seen], up[seen]], axis=1)
to_world = np.asarray(frame.inv())
geocentric = local @ to_world[:3, :3].T + to_world[:3, 3]
heights = np.zeros(seen.shape, np.float32)
heights[seen] = [chunk.crs.project(point).z for point in geocentric]

image = Metashape.Image.fromstring(heights, calibration.width, calibration.height, " ", datatype="F32")
image.save(sys.argv[2])
print(
    f"{sys.argv[2]}: {seen.mean():.0%} of the pixels see the mesh, heights {heights[seen].min():.2f} to "
    f"{heights[seen].max():.2f} m"
)
