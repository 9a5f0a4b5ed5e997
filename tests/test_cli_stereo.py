"""``depthraster stereo``: what it writes is what `render_stereo` gives, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from PIL import Image

import depthraster as dr
from depthraster.cli import main
from survey_project import SCALE, Survey, survey

KINDS = ("left", "right", "disparity", "occlusion", "consistency")


@pytest.fixture(scope="module")
def hills(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return survey(tmp_path_factory.mktemp("hills"))


def run(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def images(folder: Path, label: str) -> dict[str, np.ndarray]:
    return {kind: tifffile.imread(folder / kind / f"{label}.tif") for kind in KINDS}


def assert_pair(written: dict[str, np.ndarray], pair: dr.Stereo, units: float = 1.0) -> None:
    for side in ("left", "right"):
        np.testing.assert_allclose(written[side], getattr(pair, f"{side}_depth") * units, rtol=1e-7)
    np.testing.assert_array_equal(written["disparity"], pair.disparity)
    np.testing.assert_array_equal(written["consistency"], pair.consistency)
    np.testing.assert_array_equal(written["occlusion"], pair.occlusion)
    assert written["left"].dtype == written["disparity"].dtype == np.float32
    assert written["occlusion"].dtype == np.uint16


def test_a_pair_for_each_camera(hills, tmp_path):
    out = tmp_path / "new" / "out"
    result = run("stereo", hills.path, "-o", out, "--baseline", 1.5, "--camera", "IMG_*")
    assert result.exit_code == 0, result.output
    for label in ("IMG_1", "IMG_2", "IMG_3"):
        camera = hills.chunk.camera(label)
        pair = dr.render_stereo(hills.mesh, camera.transform, camera.calibration, 1.5)
        assert pair.matched.mean() > 0.4 and pair.occlusion.any()
        assert_pair(images(out, label), pair)
        with Image.open(out / "pictures" / f"{label}.png") as picture:
            assert picture.width > 1000
        assert f"{label}: disparity {pair.disparity[pair.matched].min():.2f} to " in result.stdout
    assert "3 pairs rendered to" in result.stdout and "metres = depth * 3" in result.stdout
    assert not (out / "correspondence").exists()

    chunk = dr.load_chunk(out / "cameras.xml")
    assert [c.label for c in chunk.cameras[:2]] == ["IMG_1", "IMG_1 right"] and len(chunk.cameras) == 6
    np.testing.assert_allclose(chunk.transform, hills.chunk.transform, rtol=1e-15)
    right = chunk.camera("IMG_3 right")
    again = dr.render_depth(hills.mesh, right.transform, right.calibration, add_alpha=False)[..., 0]
    np.testing.assert_array_equal(again, images(out, "IMG_3")["right"])


def test_metres_and_other_options(hills, tmp_path):
    result = run(
        "stereo", hills.path, "-o", tmp_path, "--baseline", 6.0, "--unit", "world", "--camera", "oblique", "--scale", 0.5,
        "--background", "nan", "--tolerance", 0.5, "--no-cull", "--correspondence", "--threads", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    camera = hills.chunk.camera("oblique")
    lens = camera.calibration.scaled(0.5)
    pair = dr.render_stereo(
        hills.mesh, camera.transform, lens, 6.0 / SCALE, tolerance=0.5, cull_faces=False, background=np.nan
    )
    assert not pair.left_seen.all()
    written = images(tmp_path, "oblique")
    assert_pair(written, pair, SCALE)
    assert (np.isnan(written["left"]) == ~pair.left_seen).all()
    np.testing.assert_array_equal(np.load(tmp_path / "correspondence" / "oblique.npy"), pair.correspondence)
    assert "world's units" in result.stdout


def test_two_cameras_of_the_chunk(hills, tmp_path):
    command = ["stereo", hills.path, "-o", tmp_path, "--right", "IMG_3"]
    result = run(*command, "--camera", "IMG_1")
    assert result.exit_code == 0, result.output
    left, right = hills.chunk.camera("IMG_1"), hills.chunk.camera("IMG_3")
    pair = dr.render_stereo(
        hills.mesh, left.transform, left.calibration, right_transform=right.transform,
        right_calibration=right.calibration,
    )  # fmt: skip
    assert pair.matched.mean() > 0.05
    assert_pair(images(tmp_path, "IMG_1"), pair)
    chunk = dr.load_chunk(tmp_path / "cameras.xml")
    assert [camera.label for camera in chunk.cameras] == ["IMG_1", "IMG_3"]
    assert [camera.calibration for camera in chunk.cameras] == [left.calibration, right.calibration]

    result = run(*command, "--overwrite")
    assert result.exit_code == 1 and "4 cameras are chosen to be the left one" in result.stderr
    result = run(*command[:4], "--camera", "IMG_1", "--right", "lost", "--overwrite")
    assert result.exit_code == 1 and "'lost' cannot be the right camera (not aligned)" in result.stderr, (
        result.stderr
    )


def test_nothing_is_replaced_unasked(hills, tmp_path):
    command = ["stereo", hills.path, "-o", tmp_path, "--baseline", 1, "--camera", "IMG_1"]
    (tmp_path / "disparity").mkdir()
    (tmp_path / "disparity" / "IMG_1.tif").write_text("mine")
    result = run(*command)
    assert result.exit_code == 1 and "IMG_1.tif is there already" in result.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["IMG_1.tif", "disparity"]
    assert run(*command, "--overwrite").exit_code == 0
    result = run(*command)
    assert result.exit_code == 1 and "and 6 more files that would be written" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, "--baseline or --right"),
        (["--baseline", 1, "--right", "IMG_2"], 2, "--baseline or --right"),
        (["--baseline", "far"], 2, "'far'"),
        (["--baseline", 0], 1, "other than 0 is needed: pass e.g. --baseline 0.5\n"),
        (["--baseline", "nan"], 1, "baseline is nan"),
        (["--baseline", 1, "--tolerance", 0], 1, "tolerance is 0"),
        (["--baseline", 1, "--scale", 0], 1, "the scale is 0.0"),
        (["--baseline", 1, "--camera", "IMG_9"], 1, "labelled 'IMG_9'"),
        (["--baseline", 1, "--camera", "lost"], 1, "none of the 1 cameras can be rendered (1 not aligned)"),
        (["--baseline", 1, "--mesh-crs", "local"], 2, "about MESH"),
    ],
)
def test_bad_input_is_told_in_one_sentence(hills, tmp_path, options, code, words):
    result = run("stereo", hills.path, "-o", tmp_path / "out", *options)
    assert result.exit_code == code and words in result.stderr, result.output
    assert "Traceback" not in result.output and not (tmp_path / "out").exists()


def test_a_file_is_no_folder(hills, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    for folder, words in (
        (taken, "this is a file; a folder that"),
        (taken / "out", "Not a directory; a folder"),
    ):
        result = run("stereo", hills.path, "-o", folder, "--baseline", 1, "--scale", 0.1)
        assert result.exit_code == 1 and words in result.stderr, result.output
        assert result.stderr.count("\n") == 1 and taken.read_text() == "mine"


def test_a_camera_that_sees_nothing_is_told(hills, tmp_path):
    mesh = tmp_path / "far.obj"
    mesh.write_text("v 0 0 900\nv 1 0 900\nv 0 1 900\nf 1 2 3\n")
    result = run("stereo", hills.path, mesh, "-o", tmp_path / "out", "--baseline", 1, "--camera", "IMG_1")
    assert result.exit_code == 0 and "IMG_1: sees nothing of the mesh." in result.stdout
