"""Invent views of a mesh: straight down, as from a survey flight, and from the side."""

import numpy as np

import depthraster as dr
from depthraster.transforms import look_at

# A hill 20 m high on a plain, as a grid of faces; X east, Y north, Z up, metres.
n = 401
east, north = np.meshgrid(np.linspace(-200, 200, n), np.linspace(-200, 200, n))
up = 20 * np.exp(-(east**2 + north**2) / 50**2)
vertices = np.stack([east, north, up], axis=-1).reshape(-1, 3)
corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
faces = np.concatenate([corner[:, None] + [0, 1, n + 1], corner[:, None] + [0, n + 1, n]])  # fronts are up

scene = dr.Scene(vertices, faces)
calibration = dr.Calibration(
    width=1200, height=800, f=820, cx=4.1, cy=-7.3, k1=-0.06, k2=0.04, p1=5e-4, p2=-3e-4
)

hill_top = (0, 0, 20)
views = {
    "straight down": look_at(eye=(0, 0, 120), target=hill_top, up=(0, 1, 0)),  # north is up in the image
    "from the south": look_at(eye=(0, -150, 60), target=hill_top, up=(0, 0, 1)),
}
for name, transform in views.items():
    layers = dr.render(scene, transform, calibration, layers=("depth", "range"), background=np.nan)
    # The hill top lies on the camera's axis: project it, and look the depth up there.
    camera_from_chunk = np.linalg.inv(transform)
    u, v = calibration.project(camera_from_chunk[:3, :3] @ hill_top + camera_from_chunk[:3, 3])
    depth = layers.depth[int(v), int(u)]
    print(
        f"{name}: {np.isfinite(layers.depth).mean():.0%} of the pixels see the ground; "
        f"the hill top is at u = {u:.1f}, v = {v:.1f}, {depth:.2f} m ahead"
    )
