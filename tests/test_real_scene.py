"""A real scene end to end: Metashape's cameras and mesh, a lens that folds over (K3 = -6.3), two photos.

The mesh is an apple and two bananas without the mat that they lie on, so the outline of a depth image is
the outline of the fruit in the photo. How well they agree is the correlation of the edges of one with the
edges of the other. The mesh is coarse and bumpy at its outline: from these two photos a shift of one pixel
(5.8 of the full photo), 1 % of focal length or half a degree can be told, but not k1-k3 and p1, p2, which
move this outline by 0.1 px; the twin in ``reference.py`` tests those.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

import depthraster as dr
from depthraster.cli import main

PHOTOS = ("IMG_4190", "IMG_4200")


class RealScene(NamedTuple):
    folder: Path
    scene: dr.Scene
    vertices: np.ndarray
    cameras: dict[str, Any]
    calibration: dr.Calibration  # of the photos as they are stored, 600 x 400
    photo_edges: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def real(real_data) -> RealScene:
    folder = real_data / "delfem2_mvs"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    chunk = dr.load_chunk(folder / "camera.xml")
    mesh = dr.load_mesh(folder / "foo.obj")
    cameras = {camera.label: camera for camera in chunk.cameras}
    calibration = cameras[PHOTOS[0]].calibration.scaled(600 / 3456)
    assert (calibration.width, calibration.height) == (600, 400)
    edges = {label: edges_of(fruit(folder / f"{label}.JPG")) for label in PHOTOS}
    return RealScene(folder, dr.Scene.from_mesh(mesh), np.asarray(mesh.vertices), cameras, calibration, edges)


def fruit(path: Path) -> np.ndarray:
    """How unlike the mat's a pixel's colour is, whatever its brightness, 0 ... 1."""
    rgb = np.asarray(Image.open(path)).astype(float)
    colour = rgb / rgb.sum(axis=2, keepdims=True)
    mat = np.median(colour[:40].reshape(-1, 3), axis=0)
    return np.clip((np.linalg.norm(colour - mat, axis=2) - 0.03) / 0.09, 0, 1)


def edges_of(image: np.ndarray) -> np.ndarray:
    for axis in (0, 1):
        image = (np.roll(image, 1, axis) + 2 * image + np.roll(image, -1, axis)) / 4
    return np.hypot(*np.gradient(image))[8:-8, 8:-8]


def agreement(real: RealScene, change=lambda transform: transform, **parameters: float) -> float:
    """Correlation of the outlines with the photos', over both photos, for a camera changed in some way."""
    total = 0.0
    for label in PHOTOS:
        transform = change(real.cameras[label].transform)
        image = dr.render_depth(real.scene, transform, replace(real.calibration, **parameters))
        outline = edges_of(image[..., 1])
        if outline.any():  # nothing in view agrees with nothing
            total += np.corrcoef(outline.ravel(), real.photo_edges[label].ravel())[0, 1]
    return total / len(PHOTOS)


def rolled(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_outlines_lie_on_the_photos(real):
    right = agreement(real)
    c = real.calibration
    for wrong in (
        agreement(real, cx=c.cx + 1),
        agreement(real, cx=c.cx - 1),
        agreement(real, cy=c.cy + 1),
        agreement(real, cy=c.cy - 1),
        agreement(real, f=c.f * 1.01),
        agreement(real, f=c.f * 0.99),
        agreement(real, lambda transform: transform @ rolled(0.5)),
        agreement(real, lambda transform: transform @ rolled(-0.5)),
    ):
        assert wrong < right


@pytest.mark.parametrize(
    "change",
    [
        lambda transform: transform @ np.diag([-1.0, -1.0, 1.0, 1.0]),  # the image upside down
        lambda transform: transform @ np.diag([1.0, -1.0, -1.0, 1.0]),  # looking backward
        np.linalg.inv,  # chunk -> camera taken for camera -> chunk
    ],
)
def test_wrong_frames_are_far_off(real, change):
    assert agreement(real, change) < 0.25 * agreement(real)


def test_principal_point_is_an_offset_from_the_middle(real):
    c = real.calibration
    assert agreement(real, cx=0, cy=0) < 0.6 * agreement(real)
    assert agreement(real, cx=-c.cx, cy=-c.cy) < 0.5 * agreement(real)


def test_outlines_hold_every_vertex_in_view_of_all_cameras(real):
    assert len(real.cameras) == 20
    for camera in real.cameras.values():
        calibration = camera.calibration.scaled(0.125)
        alpha = dr.render_depth(real.scene, camera.transform, calibration, cull_faces=False)[..., 1] > 0
        there = (real.vertices - camera.transform[:3, 3]) @ camera.transform[:3, :3]
        pixels = calibration.project(there)
        inside = np.isfinite(pixels).all(axis=1)
        inside[inside] = ((pixels[inside] >= 0) & (pixels[inside] < alpha.shape[::-1])).all(axis=1)
        assert inside.mean() > 0.95
        # A vertex may stand at the very outline, beside its pixel's centre, or on a spike thinner than a pixel.
        grown = alpha.copy()
        for axis in (0, 1):
            grown |= np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
        columns, rows = np.floor(pixels[inside]).astype(int).T
        assert grown[rows, columns].mean() > 0.99
        # And the image holds nothing that the vertices do not surround: no ghost where the lens folds over.
        low, high = pixels[inside].min(axis=0), pixels[inside].max(axis=0)
        seen_rows, seen_columns = np.nonzero(alpha)
        assert seen_rows.min() >= low[1] - 1 and seen_rows.max() <= high[1] + 1
        assert seen_columns.min() >= low[0] - 1 and seen_columns.max() <= high[0] + 1


def test_command_renders_the_real_scene(real, tmp_path):
    labels = [part for label in PHOTOS for part in ("--camera", label)]
    arguments = ["render", real.folder / "camera.xml", real.folder / "foo.obj", "-o", tmp_path, *labels]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    for label in PHOTOS:
        depth = tifffile.imread(tmp_path / f"{label}.tif")
        camera = real.cameras[label]
        assert np.array_equal(
            depth, dr.render_depth(real.scene, camera.transform, camera.calibration)[..., 0]
        )
        assert depth.shape == (2304, 3456)
