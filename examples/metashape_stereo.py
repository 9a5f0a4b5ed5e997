"""Metashape's names: a stereo pair of depth images with a known baseline, and the disparity between them.

usage: python metashape_stereo.py survey.psx output-folder
"""

import os
import sys

import numpy as np

import depthraster.metashape as Metashape

Metashape.app.document.open(sys.argv[1])
folder = sys.argv[2]
os.makedirs(folder, exist_ok=True)

chunk = Metashape.app.document.chunk
camera = chunk.cameras[0]

# Rectified pairs have no distortion: the same f, and nothing else.
calibration = Metashape.Calibration()
calibration.width, calibration.height = camera.sensor.width, camera.sensor.height
calibration.f = camera.sensor.calibration.f

left = camera.transform
middle = chunk.model.pickPoint(
    camera.center, camera.unproject([calibration.width / 2, calibration.height / 2])
)
baseline = 0.1 * (middle - camera.center).norm()
right = left * Metashape.Matrix.Translation([baseline, 0, 0])  # along the camera's own X

pair = {}
for name, pose in (("left", left), ("right", right)):
    image = chunk.model.renderDepth(pose, calibration, add_alpha=False)
    image.save(os.path.join(folder, f"{name}.tif"))
    pair[name] = np.asarray(image)[..., 0]

seen = pair["left"] > 0
disparity = np.zeros_like(pair["left"])
disparity[seen] = calibration.f * baseline / pair["left"][seen]
np.save(os.path.join(folder, "disparity.npy"), disparity)

# A pixel of the left image is found in the right one, at u - disparity, unless something hides it there.
row, col = np.nonzero(seen)
there = np.rint(col - disparity[seen]).astype(int)
inside = (there >= 0) & (there < calibration.width)
agree = np.abs(pair["right"][row[inside], there[inside]] / pair["left"][row[inside], col[inside]] - 1) < 0.01
print(
    f"baseline {baseline:.3f} units, disparity {disparity[seen].min():.2f} to {disparity[seen].max():.2f} px; "
    f"{agree.mean():.0%} of the pixels in both images agree"
)
