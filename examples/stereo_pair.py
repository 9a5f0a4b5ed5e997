"""Make ground truth for stereo: a pair of depth images through a distorted lens, disparity, and what is occluded.

usage: python stereo_pair.py [picture.png]
"""

import sys

import numpy as np
import trimesh

import depthraster as dr

# Blocks on a square; metres, Z up.
rng = np.random.default_rng(12)
parts = [trimesh.creation.box(bounds=[(-40, -40, -0.5), (40, 40, 0.0)])]
for x, y in rng.uniform(-16, 16, (40, 2)):
    size = rng.uniform(1, 4, 3)
    parts.append(trimesh.creation.box(bounds=[(x, y, 0), (x + size[0], y + size[1], size[2])]))
scene = dr.Scene.from_mesh(trimesh.util.concatenate(parts))

# A Brown lens; without k1, k2, p1 the pair would be rectified, and its disparity f * baseline / depth.
calibration = dr.Calibration(width=1200, height=800, f=900, cx=4.2, cy=-3.1, k1=-0.12, k2=0.05, p1=4e-4)
left = dr.look_at(eye=(0, -30, 18), target=(0, -4, 0))
stereo = dr.render_stereo(scene, left, calibration, baseline=1.5)

stereo.picture().save(sys.argv[1] if len(sys.argv) > 1 else "stereo.png")
d = stereo.disparity[stereo.matched]
print(f"{stereo.left_seen.mean():.0%} of the pixels see the square; {stereo.matched.mean():.0%} have a match")
print(f"disparity {d.min():.1f} to {d.max():.1f} px")
hidden = stereo.occlusion & ~stereo.outside
print(
    f"{hidden.mean():.1%} of the pixels are hidden from the right camera, {stereo.outside.mean():.1%} outside of its image"
)

# Where is a left pixel in the right image? Through this lens not in the same row.
row, col = 600, 900
u, v = stereo.correspondence[row, col]
print(f"left pixel ({col + 0.5}, {row + 0.5}) is at ({u:.3f}, {v:.3f}) in the right image")
