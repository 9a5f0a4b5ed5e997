"""The recipes that users of Metashape follow for renderDepth run on a project, and give what the library gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import depthraster as dr
from survey_project import LENS, SCALE, survey

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
needs_pyproj = pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of pyproj")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return survey(tmp_path_factory.mktemp("survey"))


@pytest.fixture
def run(project, tmp_path):
    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", EXAMPLES / f"metashape_{name}.py", project.path, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def depth_of(project, k, **options):
    return dr.render_depth(project.mesh, project.chunk.cameras[k].transform, LENS, **options)


def test_every_recipe_is_an_example_and_tested():
    names = {path.stem.removeprefix("metashape_") for path in EXAMPLES.glob("metashape_*.py")}
    source = Path(__file__).read_text(encoding="utf-8")
    assert names == {name for name in names if f'run("{name}"' in source}
    assert len(names) == 9


def test_depth_from_the_pose_of_a_camera(project, run):
    out = run("camera_pose")
    assert "IMG_1: 160 x 120, channels=2, dtype=F32" in out
    assert f"{depth_of(project, 0)[60, 80, 0] * SCALE:.3f} m ahead" in out


def test_depth_from_a_pose_straight_down(project, run):
    out = run("nadir_pose")
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = 0.5, -0.5, 50.0
    depth = dr.render_depth(project.mesh, pose, LENS)
    seen = depth[..., 1] > 0
    assert 0.4 < seen.mean() < 1
    assert (
        f"{seen.mean():.0%} of the pixels see the mesh, {depth[seen, 0].min():.2f} to {depth[seen, 0].max():.2f}"
        in out
    )
    # Nadir: heights are the mesh's own.
    np.testing.assert_allclose(50 - depth[seen, 0].min(), project.mesh[0][:, 2].max(), atol=0.3)


def test_depth_as_a_picture_of_256_greys(project, run, tmp_path):
    run("png", "depth.png")
    with Image.open(tmp_path / "depth.png") as picture:
        assert picture.mode == "L" and picture.size == (160, 120)
        grey = np.asarray(picture)
    depth = depth_of(project, 0)
    seen = depth[..., 1] > 0
    values = depth[seen, 0]
    expected = ((values - values.min()) / (values.max() - values.min()) * 255).astype(np.uint8)
    np.testing.assert_array_equal(grey[seen], expected)
    assert not grey[~seen].any()


def test_depth_as_float_tiff_in_metres(project, run, tmp_path):
    run("tiff", "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "IMG_1.tif", "IMG_2.tif", "IMG_3.tif", "oblique.tif",
    ]  # fmt: skip
    for k, label in enumerate(("IMG_1", "IMG_2")):
        found = tifffile.imread(tmp_path / "out" / f"{label}.tif")
        assert found.dtype == np.float32
        expected = depth_of(project, k, add_alpha=False)[..., 0] * np.float32(SCALE)
        np.testing.assert_allclose(found, expected, rtol=2e-7)


def test_depth_from_a_pose_in_the_world(run):
    ratio, scale = (float(word.rstrip(",")) for word in np.array(run("world_pose").split())[[0, -1]])
    assert scale == pytest.approx(SCALE) and ratio == pytest.approx(SCALE, rel=1e-5)


def test_depth_from_any_poses(project, run, tmp_path):
    run("arbitrary_poses", "views")
    files = sorted((tmp_path / "views").iterdir())
    assert len(files) == 8
    centre, distance = np.array([0.5, -0.5, 0.0]), 0.8 * np.linalg.norm([40, 40, 8])
    direction = np.array([1.0, 0.0, 0.8]) / np.linalg.norm([1, 0.8])
    expected = dr.render_depth(
        project.mesh, dr.look_at(centre + distance * direction, centre), LENS, add_alpha=False
    )[..., 0]
    found = tifffile.imread(files[0])
    assert ((found > 0) == (expected > 0)).mean() > 0.9999
    both = (found > 0) & (expected > 0)
    np.testing.assert_allclose(found[both], expected[both], rtol=1e-5)


def test_points_that_cameras_see(run):
    lines = run("visibility").splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == ["IMG_1", "IMG_2", "IMG_3", "oblique", "off"]
    for line in lines:
        inside, by_depth, by_ray = (int(number) for number in line.split(":")[1].split(","))
        assert 20 < by_depth <= inside and by_ray <= inside
        assert abs(by_depth - by_ray) <= 0.05 * inside


def test_a_stereo_pair(project, run, tmp_path):
    out = run("stereo", "pair")
    left, right = (tifffile.imread(tmp_path / "pair" / f"{name}.tif") for name in ("left", "right"))
    disparity = np.load(tmp_path / "pair" / "disparity.npy")
    baseline = float(out.split()[1])
    plain = dr.Calibration(width=160, height=120, f=LENS.f)
    pose = project.chunk.cameras[0].transform
    np.testing.assert_array_equal(left, dr.render_depth(project.mesh, pose, plain)[..., 0])
    assert baseline == pytest.approx(0.1 * left[60, 80], rel=0.02)
    seen = left > 0
    np.testing.assert_allclose(disparity[seen] * left[seen], LENS.f * baseline, rtol=1e-3)
    assert (right > 0).mean() > 0.5
    assert int(out.split("px; ")[1].split("%")[0]) >= 97


@needs_pyproj
def test_heights_for_an_orthophoto(project, run, tmp_path):
    run("height_field", "heights.tif")
    heights = tifffile.imread(tmp_path / "heights.tif")
    assert heights.shape == (200, 200) and heights.dtype == np.float32
    # The chunk's Z is the vertical here, its origin is at 560 m, and its unit is 3 m.
    expected = 560 + SCALE * project.mesh[0][:, 2]
    seen = heights > 0
    assert 0.8 < seen.mean() <= 1
    assert expected.min() - 0.1 < heights[seen].min() and heights[seen].max() < expected.max() + 0.1
    # Straight below the camera there is no parallax: the ray there, through the mesh.
    found = dr.pick_point(project.mesh, [0.5, -0.5, 100.0], [0.5, -0.5, 0.0]).point
    assert heights[99:101, 99:101].mean() == pytest.approx(560 + SCALE * found[2], abs=0.05)
