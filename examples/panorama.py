"""Render a 360° panorama of a room from its middle: the distance to the walls, all around and to both poles."""

import trimesh

import depthraster as dr
from depthraster.transforms import look_at

room = trimesh.creation.box(extents=(8, 5, 3))  # metres: X east, Y north, Z up
room.invert()  # seen from inside, the faces are turned inwards
table = trimesh.creation.box(extents=(1.6, 0.8, 0.75))
table.apply_translation((2.0, 1.0, -1.5 + 0.375))
mesh = trimesh.util.concatenate([room, table])

# A panorama needs no focal length: its width is a whole turn. Its middle looks along the camera's Z.
calibration = dr.Calibration(width=1024, height=512, type="spherical")
transform = look_at(eye=(0, 0, 0), target=(1, 0, 0), up=(0, 0, 1))

# Of a spherical camera, depth is the distance from its centre: Z means nothing behind it.
image = dr.render_depth(mesh, transform, calibration)
distance, alpha = image[..., 0], image[..., 1]

print(f"{alpha.mean():.0%} of the pixels see the room, {distance.min():.2f} m to {distance.max():.2f} m away")
for name, direction in {"east": (0, 0, 1), "west": (0, 0, -1), "the ceiling": (0, -1, 0)}.items():
    u, v = calibration.project(direction)  # directions in the camera's frame: X right, Y down, Z forward
    row, col = min(int(v), 511), min(int(u), 1023)
    print(f"{name}: row {row}, col {col}, {distance[row, col]:.2f} m")
