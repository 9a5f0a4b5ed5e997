"""Render one view of a mesh given as arrays: a tetrahedron on a floor, five metres before the camera."""

import numpy as np

import depthraster as dr

vertices = np.array(
    [[-4, 1, 3], [4, 1, 3], [4, 1, 9], [-4, 1, 9], [-1, 1, 4.5], [1, 1, 4.5], [0, 1, 6], [0, -0.5, 5]], float
)  # metres; the camera's frame, since its transform below is the identity: X right, Y down, Z forward
faces = np.array([[0, 2, 1], [0, 3, 2], [4, 5, 7], [5, 6, 7], [6, 4, 7]])  # counter-clockwise from outside

calibration = dr.Calibration(width=640, height=480, f=500, k1=-0.1, k2=0.02)
image = dr.render_depth((vertices, faces), np.eye(4), calibration)
depth, alpha = image[..., 0], image[..., 1]

print(f"image {image.shape}, {image.dtype}")
print(
    f"{alpha.mean():.0%} of the pixels see the mesh, "
    f"{depth[alpha > 0].min():.2f} m to {depth.max():.2f} m ahead"
)

# More layers of the same view come in one pass; a Scene keeps the mesh prepared for the next one.
scene = dr.Scene(vertices, faces)
layers = dr.render(scene, np.eye(4), calibration, layers=("depth", "range", "face_index"))
row, col = 240, 320
print(f"pixel ({row}, {col}): face {layers.face_index[row, col]}, depth {layers.depth[row, col]:.3f} m")
