"""Render through a lens that was calibrated with OpenCV, and hand it on to Metashape and COLMAP."""

import tempfile
from pathlib import Path

import numpy as np

import depthraster as dr

# As cv2.calibrateCamera returns them; also dr.Calibration.load("camera.yml"), as cv2.FileStorage writes it.
K = np.array([[812.4, 0.0, 633.1], [0.0, 811.9, 362.7], [0.0, 0.0, 1.0]])
dist = np.array([[-0.27, 0.09, 8e-4, -3e-4, -0.012]])  # k1 k2 p1 p2 k3

calibration = dr.Calibration.from_opencv(K, dist, width=1280, height=720)
print(
    f"f {calibration.f}, cx {calibration.cx:.3f}, cy {calibration.cy:.3f}, p1 {calibration.p1}, p2 {calibration.p2}"
)

# A wall of 8 x 4 m, 5 m ahead. OpenCV counts pixels from the centre of the first one: half a pixel less than here.
vertices = np.array(
    [[-4, -2, 5], [4, -2, 5], [4, 2, 5], [-4, 2, 5]], float
)  # metres, X right, Y down, Z forward
faces = np.array([[0, 3, 2], [0, 2, 1]])
image = dr.render_depth((vertices, faces), np.eye(4), calibration)
u, v = calibration.project(vertices[0]) - 0.5
print(
    f"{image[..., 1].mean():.0%} of the pixels see the wall; OpenCV's coordinates of its corner are ({u:.3f}, {v:.3f})"
)

# The same lens for other programs; what is read again is the same to the last bit. Files are told apart by content.
with tempfile.TemporaryDirectory() as folder:
    for name in ("metashape.xml", "opencv.yml", "cameras.txt", "transforms.json"):
        calibration.save(Path(folder, name))
        print(
            f"{name}: {'the same' if dr.Calibration.load(Path(folder, name)) == calibration else 'different'}"
        )

# OpenCV's rational model has no exact counterpart: refused by name, or fitted, with a warning that says how far off.
rational = np.append(dist, [0.02, -0.004, 0.001])  # ... k4 k5 k6
try:
    dr.Calibration.from_opencv(K, rational, width=1280, height=720)
except ValueError as error:
    print(f"refused: {error}")
