"""Which points does each photo see? Points on a house and around it, four cameras, a table, and a picture of one view.

usage: python visible_points.py [picture.png]
"""

import sys

import numpy as np
import trimesh
from PIL import Image, ImageDraw

import depthraster as dr

house = trimesh.util.concatenate(
    [
        trimesh.creation.box(bounds=[(-16, -14, -0.5), (16, 14, 0)]),
        trimesh.creation.box(bounds=[(-5, -4, 0), (5, 4, 6)]),
        trimesh.creation.cone(
            radius=7, height=4, transform=trimesh.transformations.translation_matrix((0, 0, 6))
        ),
    ]
)
points = house.sample(1200, seed=5)  # on the surface; metres, Z up
points = points[points[:, 2] > -0.01]  # not below the ground

calibration = dr.Calibration(width=900, height=600, f=700, k1=-0.05)
sides = {"south": (0, -35, 15), "east": (35, 0, 15), "north": (0, 35, 15), "west": (-35, 0, 15)}
views = [(side, dr.look_at(eye, (0, 0, 2)), calibration) for side, eye in sides.items()]

scene = dr.Scene.from_mesh(house)
table = dr.visibility_table(scene, points, views)
for view, label in enumerate(table.labels):
    print(f"{label}: sees {table.points_per_view[view]} of {table.n_points} points")
seen_by = np.bincount(table.views_per_point, minlength=len(views) + 1)
print("points by how many cameras see them:", dict(enumerate(seen_by.tolist())))

# One camera, all points: also why it does not see the others. Green is seen; red is behind what one looks at.
label, transform, _ = views[0]
found = dr.visible(scene, points, transform, calibration)
layers = dr.render(scene, transform, calibration, "view_angle")
shade = np.nan_to_num(60 + 160 * np.cos(layers.view_angle), nan=30).astype(np.uint8)
picture = Image.fromarray(shade).convert("RGB")
pen = ImageDraw.Draw(picture)
for status, colour in ((dr.Sight.OCCLUDED, "tomato"), (dr.Sight.VISIBLE, "lime")):
    for u, v in found.pixel[found.status == status]:
        inner = colour if status == dr.Sight.VISIBLE else None
        pen.ellipse((u - 3, v - 3, u + 3, v + 3), fill=inner, outline=colour)
picture.save(sys.argv[1] if len(sys.argv) > 1 else "visible.png")
counts = {status.name.lower(): int((found.status == status).sum()) for status in dr.Sight}
print(f"{label}: {np.isfinite(layers.view_angle).mean():.0%} of the pixels see the house; points: {counts}")
