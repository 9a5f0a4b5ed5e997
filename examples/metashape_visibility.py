"""Metashape's names: which vertices of the mesh each camera sees, by comparing depths.

usage: python metashape_visibility.py survey.psx

A point is hidden where the image has a smaller depth at its pixel than the point itself; the tolerance is what the depth of
a surface changes by within the pixel. The last column asks the mesh instead, by a ray to each point.
"""

import sys

import numpy as np

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])

chunk = Metashape.app.document.chunk
points = [vertex.coord for vertex in chunk.model.vertices[:: max(1, len(chunk.model.vertices) // 500)]]

print("camera: in the image, seen by depth, seen by ray")
for camera in chunk.cameras:
    if not camera.transform:
        continue
    # The lens that project() uses, too: a photo can have one of its own, other than its sensor's.
    depth = chunk.model.renderDepth(camera.transform, camera.calibration, cull_faces=False)
    values = np.asarray(depth)[..., 0]
    slope_y, slope_x = np.gradient(values)
    inside = by_depth = by_ray = 0
    for point in points:
        pixel = camera.project(point)
        if pixel is None or not (0 <= pixel.x < depth.width and 0 <= pixel.y < depth.height):
            continue
        inside += 1
        row, col = int(pixel.y), int(pixel.x)
        own = camera.transform.inv().mulp(point).z
        tolerance = abs(slope_x[row, col]) + abs(slope_y[row, col]) + 1e-6 * own
        by_depth += bool(values[row, col] > 0 and own <= values[row, col] + tolerance)
        hit = chunk.model.pickPoint(camera.center, point, endpoints=2)
        by_ray += hit is None or (hit - point).norm() <= 1e-6 * own
    print(f"{camera.label}: {inside}, {by_depth}, {by_ray}")
