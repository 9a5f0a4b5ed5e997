"""The examples run as they stand, and the README's commands are those that are checked."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent

CAMERAS = """<?xml version="1.0" encoding="UTF-8"?>
<document version="2.0.0">
  <chunk label="one" enabled="true">
    <sensors next_id="1">
      <sensor id="0" label="drone" type="frame">
        <resolution width="60" height="40"/>
        <calibration type="frame" class="adjusted">
          <resolution width="60" height="40"/>
          <f>50</f><cx>1.5</cx><cy>-0.5</cy><k1>-0.05</k1>
        </calibration>
      </sensor>
    </sensors>
    <cameras next_id="2" next_group_id="0">
      <camera id="0" sensor_id="0" label="first">
        <transform>1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1</transform>
      </camera>
      <camera id="1" sensor_id="0" label="lost"/>
    </cameras>
    <transform>
      <rotation locked="false">1 0 0 0 1 0 0 0 1</rotation>
      <translation locked="false">7 8 9</translation>
      <scale locked="false">2.5</scale>
    </transform>
  </chunk>
</document>
"""

WALL = """ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
element face 2
property list uchar int vertex_indices
end_header
-9 -9 4
-9 9 4
9 9 4
9 -9 4
3 0 1 2
3 0 2 3
"""


EXAMPLES = [
    "render_one_view.py",
    "synthetic_views.py",
    "fisheye.py",
    "panorama.py",
    "calibration_from_opencv.py",
]


PICTURES = {"stereo_pair.py": "stereo.png", "visible_points.py": "visible.png"}


@pytest.mark.parametrize(("name", "picture"), PICTURES.items())
def test_example_draws_its_picture(name, picture, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for given in ([], ["other.png"]):
        monkeypatch.setattr(sys, "argv", [name, *given])
        runpy.run_path(str(ROOT / "examples" / name))
        assert "of the pixels see" in capsys.readouterr().out
        with Image.open(given[0] if given else picture) as drawn:
            assert drawn.width > 800
            assert len(drawn.getcolors(1 << 24)) > 20


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs(name, capsys):
    runpy.run_path(str(ROOT / "examples" / name))
    assert "of the pixels see" in capsys.readouterr().out


def test_example_renders_the_cameras_of_a_chunk_in_metres(tmp_path):
    (tmp_path / "cameras.xml").write_text(CAMERAS)
    (tmp_path / "wall.ply").write_text(WALL)
    script = ROOT / "examples" / "render_cameras.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", script, "cameras.xml", "wall.ply", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "lost: the camera has no transform" in done.stdout
    depth = np.load(tmp_path / "out" / "first.npy")
    assert depth.shape == (40, 60)
    np.testing.assert_allclose(depth, 10.0, rtol=1e-6)


def test_example_makes_an_elevation_model_and_an_orthophoto(tmp_path, capsys, monkeypatch):
    rasterio = pytest.importorskip("rasterio", reason="no wheel of rasterio")
    pytest.importorskip("scipy", reason="no wheel of scipy")
    monkeypatch.setattr(sys, "argv", ["height_field.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "examples" / "height_field.py"))
    out = capsys.readouterr().out
    assert "539.06 to 590.00 m" in out and "the photo shows 85% of the 360000 cells" in out
    with rasterio.open(tmp_path / "heights.tif") as heights, rasterio.open(tmp_path / "ortho.tif") as ortho:
        assert heights.crs == ortho.crs and heights.transform == ortho.transform
        ((height,),) = (heights.sample([(382_000, 5_200_000)]),)
        assert height == [590]  # the tower's top
        row, col = ortho.index(382_010, 5_200_014)  # behind the tower, in the north-east
        assert ortho.dataset_mask()[row, col] == 0 and ortho.dataset_mask()[599 - row, 599 - col] == 255
    with Image.open(tmp_path / "heights.png") as picture:
        assert picture.width > 1700 and picture.mode == "RGB"


def test_ci_runs_the_readmes_command_for_the_tests():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [line for line in readme.splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert len(commands) == 2
    assert commands[0].endswith(" && .venv/bin/depthraster demo")
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()
