"""Render a street through a fisheye lens that sees 200°, a little behind the camera too."""

import numpy as np
import trimesh

import depthraster as dr
from depthraster.transforms import look_at

# A paved road between two rows of houses; metres, X along the road, Z up.
blocks = [trimesh.creation.box(bounds=[(-60, -40, -0.2), (60, 40, 0.0)])]
rng = np.random.default_rng(3)
for x in range(-50, 50, 12):
    for side in (-1, 1):
        near, far = sorted((side * 7.0, side * 17.0))
        blocks.append(trimesh.creation.box(bounds=[(x, near, 0.0), (x + 10, far, rng.uniform(6, 12))]))
street = trimesh.util.concatenate(blocks)

# 1500 pixels across 200 degrees. k, p and b distort as they do in frame cameras, on the angle from the axis.
calibration = dr.Calibration(
    width=1500, height=1000, f=1500 / np.radians(200), cx=3.1, cy=-2.4, k1=0.008, k2=-0.001, type="fisheye"
)
across, down = calibration.field_of_view
transform = look_at(eye=(0, 0, 1.8), target=(10, 0, 1.8), up=(0, 0, 1))

scene = dr.Scene.from_mesh(street)
layers = dr.render(scene, transform, calibration, layers=("depth", "alpha", "range"))
print(f"the lens sees {across:.0f}° across and {down:.0f}° down")
print(f"{layers.alpha.mean():.0%} of the pixels see the street")

# Depth is Z, which is 0 beside the camera and negative behind it; there alpha tells what is hit, or take the range.
behind = (layers.alpha == 1) & (layers.depth < 0)
print(
    f"{behind.mean():.1%} of the pixels look back, at things {layers.range[behind].min():.1f} m away and farther"
)
