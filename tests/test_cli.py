"""The command line: files in, files out, words, exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from PIL import Image

import depthraster as dr
from depthraster.cli import main

UP = "1 0 0 {x} 0 1 0 0 0 0 1 0 0 0 0 1"
CAMERAS = """<?xml version="1.0" encoding="UTF-8"?>
<document version="2.0.0"><chunk label="Chunk 1" enabled="true">
  <sensors next_id="1"><sensor id="0" label="s" type="frame"><resolution width="80" height="60"/>
    <calibration type="frame" class="adjusted"><resolution width="80" height="60"/>
      <f>70</f><cx>1.5</cx><k1>-0.1</k1><p1>0.001</p1></calibration></sensor></sensors>
  <cameras next_id="9">{cameras}</cameras>
  <transform><scale>2.5</scale></transform>
</chunk></document>
"""


def camera(number: int, label: str, x: float | None = 0.0, enabled: bool = True) -> str:
    transform = "" if x is None else f"<transform>{UP.format(x=x)}</transform>"
    enabled_text = str(enabled).lower()
    return (
        f'<camera id="{number}" sensor_id="0" label="{label}" enabled="{enabled_text}">{transform}</camera>'
    )


def write_cameras(path: Path, *cameras: str) -> Path:
    path.write_text(CAMERAS.format(cameras="".join(cameras)), encoding="utf-8")
    return path


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    """A roof of two faces at Z = 4 ... 5 in front of cameras at the origin that look along +Z."""
    path = tmp_path / "roof.obj"
    path.write_text("v -2 -1 5\nv 0 -1 4\nv 0 2 4\nv -2 2 5\nv 2 -1 5\nv 2 2 5\nf 1 4 3 2\nf 2 3 6 5\n")
    return path


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    return write_cameras(
        tmp_path / "cameras.xml",
        camera(0, "IMG_1.JPG"),
        camera(1, "off", enabled=False),
        camera(2, "lost", None),
        camera(3, "a/b", 0.5),
    )


def run(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_renders_the_aligned_enabled_cameras(cameras, mesh, tmp_path):
    out = tmp_path / "new" / "depth"
    result = run("render", cameras, mesh, "-o", out)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == [
        "IMG_1.JPG.tif",
        "a_b.tif",
        "index.html",
        "manifest.json",
        "thumbnails",
    ]
    chunk = dr.load_chunk(cameras)
    for index, name in ((0, "IMG_1.JPG"), (3, "a_b")):
        view = chunk.cameras[index]
        expected = dr.render_depth(mesh, view.transform, view.calibration)
        assert 0.1 < expected[..., 1].mean() < 0.99
        with tifffile.TiffFile(out / f"{name}.tif") as tif:
            page = tif.pages[0]
            assert page.compression.name == "ADOBE_DEFLATE" and page.predictor.name == "FLOATINGPOINT"
            assert page.dtype == np.float32 and page.shape == (60, 80)
            assert np.array_equal(page.asarray(), expected[..., 0])
        with Image.open(out / "thumbnails" / f"{name}.webp") as picture:
            assert picture.size == (80, 60)
    plain = tmp_path / "plain"
    plain.touch()
    assert (out / "a_b.tif").stat().st_mode == plain.stat().st_mode  # readable by whom the user's files are
    assert "2 of 4 cameras" in result.stdout
    assert "off (disabled)" in result.stdout and "lost (not aligned)" in result.stdout
    assert "chunk units; metres = depth * 2.5," in result.stdout
    assert result.stderr == "" or result.stderr.startswith("Compiling")


def test_options_reach_the_renderer(cameras, mesh, tmp_path):
    view = dr.load_chunk(cameras).cameras[3]

    def rendered(*options: str) -> np.ndarray:
        result = run(
            "render", cameras, mesh, "-o", tmp_path / "o", "--overwrite", "--camera", "a/b", *options
        )
        assert result.exit_code == 0, result.output
        assert [path.name for path in (tmp_path / "o").glob("*.tif")] == ["a_b.tif"]
        return tifffile.imread(tmp_path / "o" / "a_b.tif")

    def expected(**options: Any) -> np.ndarray:
        return dr.render_depth(mesh, view.transform, view.calibration, **options)

    plain = rendered()
    ranges = rendered("--depth", "range")
    assert np.array_equal(ranges, expected(depth="range")[..., 0]) and not np.array_equal(ranges, plain)
    assert np.array_equal(rendered("--threads", "1"), plain)
    blank = rendered("--background", "nan")
    assert (
        np.array_equal(blank, expected(background=np.nan)[..., 0], equal_nan=True) and np.isnan(blank).any()
    )
    mesh.write_text(mesh.read_text().replace("f 1 4 3 2", "f 2 3 4 1"))  # one face turned away
    assert np.array_equal(rendered("--no-cull"), plain)
    assert (rendered() == 0).sum() > (plain == 0).sum()


def test_replaces_nothing_unasked(cameras, mesh, tmp_path):
    (tmp_path / "a_b.tif").write_bytes(b"somebody's photo")
    result = run("render", cameras, mesh, "-o", tmp_path)
    assert result.exit_code == 1 and "a_b.tif" in result.stderr and "--overwrite" in result.stderr
    assert (tmp_path / "a_b.tif").read_bytes() == b"somebody's photo"
    assert not (tmp_path / "IMG_1.JPG.tif").exists()
    assert run("render", cameras, mesh, "-o", tmp_path, "--overwrite").exit_code == 0
    assert tifffile.imread(tmp_path / "a_b.tif").shape == (60, 80)


@pytest.mark.parametrize(
    ("cameras_text", "mesh_text", "words"),
    [
        (None, "", ["cameras.xml"]),
        ("", "v 0 0 0", ["cameras.xml"]),
        ("<document><chunk>", "v 0 0 0", ["cameras.xml"]),
        ("none aligned", "v 0 0 0", ["1 not aligned", "align the photos"]),
        ("good", None, ["mesh.obj"]),
        ("good", "", ["mesh.obj"]),
        ("good", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", ["mesh.obj"]),
    ],
)
def test_bad_files_give_one_sentence_and_code_1(tmp_path, cameras_text, mesh_text, words):
    path = tmp_path / "cameras.xml"
    if cameras_text == "good":
        write_cameras(path, camera(0, "a"))
    elif cameras_text == "none aligned":
        write_cameras(path, camera(0, "a", None))
    elif cameras_text is not None:
        path.write_text(cameras_text)
    if mesh_text is not None:
        (tmp_path / "mesh.obj").write_text(mesh_text)
    result = run("render", path, tmp_path / "mesh.obj", "-o", tmp_path / "out")
    assert result.exit_code == 1, result.output
    error = [line for line in result.stderr.splitlines() if not line.startswith("Compiling")]
    assert len(error) == 1 and error[0].startswith("Error: ")
    assert all(word in error[0] for word in words), error[0]
    assert not list(tmp_path.glob("out/*"))


def test_debug_shows_the_traceback(tmp_path, mesh):
    result = run("render", tmp_path / "none.xml", mesh, "-o", tmp_path / "out", "--debug")
    assert isinstance(result.exception, (OSError, ValueError))


def test_output_that_cannot_be_a_folder(cameras, mesh):
    for folder in (mesh, mesh / "below"):
        result = run("render", cameras, mesh, "-o", folder)
        assert result.exit_code == 1 and str(mesh) in result.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_without_permission(cameras, mesh, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    result = run("render", cameras, mesh, "-o", out)
    assert result.exit_code == 1 and "Permission denied" in result.stderr


def test_wrong_usage_is_code_2(cameras, mesh, tmp_path):
    assert run("render", cameras, mesh).exit_code == 2
    assert run("render", cameras, mesh, "-o", tmp_path, "--threads", "0").exit_code == 2
    assert run("render", cameras, mesh, "-o", tmp_path, "--depth", "y").exit_code == 2
    assert run("paint").exit_code == 2


def test_label_that_no_camera_has(cameras, mesh, tmp_path):
    result = run("render", cameras, mesh, "-o", tmp_path, "--camera", "IMG_9")
    assert result.exit_code == 1 and "'IMG_9'" in result.stderr


def test_one_camera_that_fails_does_not_stop_the_others(cameras, mesh, tmp_path):
    out = tmp_path / "out"
    (out / "IMG_1.JPG.tif").mkdir(parents=True)  # a folder stands where the file belongs
    result = run("render", cameras, mesh, "-o", out, "--overwrite")
    assert result.exit_code == 1
    assert "Error: IMG_1.JPG: " in result.stderr
    assert "1 failed: IMG_1.JPG" in result.stdout and "1 of 4 cameras" in result.stdout
    assert tifffile.imread(out / "a_b.tif").shape == (60, 80)
    assert not [
        path.name for path in out.iterdir() if path.name.startswith(".")
    ]  # nothing half done stays behind


def test_interrupt_is_code_130(cameras, mesh, tmp_path, monkeypatch):
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("depthraster.views.render_into", interrupted)
    result = run("render", cameras, mesh, "-o", tmp_path / "out")
    assert result.exit_code == 130 and "Interrupted" in result.stderr
    assert not (tmp_path / "out").exists()  # nothing was finished


def test_says_when_no_camera_sees_the_mesh(tmp_path, mesh):
    path = write_cameras(tmp_path / "cameras.xml", camera(0, "far", 1e4))
    result = run("render", path, mesh, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "1 sees nothing of the mesh: far" in result.stdout and "own (local) coordinates" in result.stderr


def test_version_and_help():
    from importlib.metadata import version

    assert version("depthraster") in run("--version").stdout
    for command in ("render", "info", "demo"):
        text = run(command, "--help").stdout
        assert re.search(f"\n  Examples?:\n    depthraster {command} ", text)


def test_demo_in_a_process_of_its_own(tmp_path):
    out = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "depthraster", "demo", "-o", str(out)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((out / "depth").glob("*.tif"))) == 12 and (out / "depth" / "index.html").exists()
    sheet = np.asarray(Image.open(out / "contact-sheet.png"))
    assert sheet.shape[2] == 3 and min(sheet.shape[:2]) > 1000
    assert "contact-sheet.png" in done.stdout and "12 of 13 cameras" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_run_that_fails_before_its_first_image_leaves_nothing_behind(cameras, mesh, tmp_path):
    large = write_cameras(tmp_path / "large.xml", camera(0, "IMG_1.JPG"))
    large.write_text(large.read_text().replace("80", "80000").replace("60", "60000"))
    out = tmp_path / "out"
    result = run("render", large, mesh, "-o", out, "--scale", 100)
    assert result.exit_code == 1 and "check width, height and scale" in result.stderr
    assert not out.exists()
    out.mkdir()
    assert run("render", large, mesh, "-o", out, "--scale", 100).exit_code == 1
    assert (
        run("render", cameras, mesh, "-o", out, "--camera", "IMG_1.JPG").exit_code == 0
    )  # nothing to be resumed


@pytest.mark.parametrize("where", ["file", "file/inside"])
def test_a_file_where_the_folder_should_be_is_named_with_a_remedy(cameras, mesh, tmp_path, where):
    (tmp_path / "file").write_text("mine")
    result = run("render", cameras, mesh, "-o", tmp_path / where)
    assert result.exit_code == 1 and "choose another with -o" in result.stderr
    assert (tmp_path / "file").read_text() == "mine"
    assert "choose another with -o" in run("demo", "-o", tmp_path / "file").stderr


def test_the_demo_replaces_nobodys_survey(tmp_path):
    for name in ("cameras.xml", "mesh.ply", "contact-sheet.png", "depth/mine.tif"):
        folder = tmp_path / name.replace("/", "-")
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("mine")
        result = run("demo", "-o", folder)
        assert result.exit_code == 1 and "no demo made" in result.stderr and "another folder" in result.stderr
        assert (folder / name).read_text() == "mine"
        assert [path.name for path in folder.iterdir()] == [Path(name).parts[0]]
