"""``depthraster visible``: its table is that of `visibility_table`, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import depthraster as dr
from depthraster.cli import main
from survey_project import SCALE, Survey, survey


@pytest.fixture(scope="module")
def hills(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return survey(tmp_path_factory.mktemp("hills"))


@pytest.fixture(scope="module")
def points(hills: Survey) -> np.ndarray:
    """On the mesh, above it and below it."""
    return hills.mesh[0][::50] + np.random.default_rng(1).choice([-1.0, 0.0, 2.0], (75, 1)) * [0, 0, 1]


def table_of(hills: Survey, points: np.ndarray, **options: Any) -> dr.VisibilityTable:
    cameras = [camera for camera in hills.chunk.cameras if camera.enabled and camera.aligned]
    return dr.visibility_table(hills.mesh, points, cameras, **options)


def run(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_csv_names_points_and_cameras(hills, points, tmp_path):
    source = tmp_path / "points.csv"
    lines = [f"target {k},{x!r},{y!r},{z!r}" for k, (x, y, z) in enumerate(points.tolist())]
    source.write_text("\n".join(["label,x,y,z", *lines]))
    out = tmp_path / "new" / "seen.csv"
    result = run("visible", hills.path, "--points", source, "-o", out)
    assert result.exit_code == 0, result.output
    table = table_of(hills, points)
    unseen = (table.views_per_point == 0).sum()
    assert len(table.point) > 50 and 10 < unseen < 60
    rows = rows_of(out)
    assert list(rows[0]) == ["point", "label", "camera", "u", "v", "depth"]
    assert [int(row["point"]) for row in rows] == table.point.tolist()
    assert [row["label"] for row in rows] == [f"target {k}" for k in table.point]
    assert [row["camera"] for row in rows] == [table.labels[k] for k in table.view]
    pixels = np.array([[row["u"], row["v"]] for row in rows], float)
    np.testing.assert_allclose(pixels, table.pixel, rtol=0, atol=5.1e-5)
    np.testing.assert_allclose([float(row["depth"]) for row in rows], table.depth, rtol=1e-8)
    assert f"75 points, 4 cameras: {len(rows)} pairs of a point and a camera that sees it" in result.stdout
    assert f"{unseen} points are seen by no camera" in result.stdout and "metres = depth * 3" in result.stdout


def test_an_npz_has_arrays(hills, points, tmp_path):
    np.save(tmp_path / "points.npy", points)
    out = tmp_path / "seen.npz"
    command = ["visible", hills.path, "--points", tmp_path / "points.npy", "-o", out]
    result = run(*command, "--tolerance", 0.5, "--unit", "world", "--camera", "IMG_*", "--threads", 1)
    assert result.exit_code == 0, result.output
    cameras = [hills.chunk.camera(f"IMG_{k}") for k in (1, 2, 3)]
    table = dr.visibility_table(hills.mesh, points, cameras, 0.5)
    with np.load(out) as arrays:
        assert sorted(arrays.files) == ["camera", "depth", "pixel", "point", "view"]
        np.testing.assert_array_equal(arrays["point"], table.point)
        np.testing.assert_array_equal(arrays["view"], table.view)
        np.testing.assert_array_equal(arrays["pixel"], table.pixel)
        np.testing.assert_allclose(arrays["depth"], table.depth * SCALE, rtol=1e-15)
        assert arrays["camera"].tolist() == ["IMG_1", "IMG_2", "IMG_3"]
    result = run(*command)
    assert result.exit_code == 1 and "seen.npz is there already and nothing is replaced" in result.stderr
    (tmp_path / "points.csv").write_text("name,x,y,z\nhere,0,0,1\n")
    again = [*command[:3], tmp_path / "points.csv", *command[4:], "--overwrite"]
    assert run(*again).exit_code == 0
    with np.load(out) as arrays:
        assert arrays["point_label"].tolist() == ["here"]


def test_points_in_world_coordinates(hills, points, tmp_path):
    pytest.importorskip("pyproj")
    shift = np.array([300_000.0, 5_200_000.0, 0.0])
    np.save(tmp_path / "utm.npy", hills.chunk.to_world(points, "EPSG:32632") - shift)
    out = tmp_path / "seen.csv"
    command = ["visible", hills.path, "--points", tmp_path / "utm.npy", "-o", out]
    result = run(*command, "--points-crs", "EPSG:32632", "--points-offset", *shift)
    assert result.exit_code == 0, result.output
    table = table_of(hills, points)
    rows = rows_of(out)
    # A point that lies on a pixel's or the tolerance's border may change sides.
    assert abs(len(rows) - len(table.point)) <= 2
    found = {(int(row["point"]), row["camera"]): float(row["u"]) for row in rows}
    for point, view, (u, _) in zip(table.point, table.view, table.pixel, strict=True):
        assert abs(found.get((point, table.labels[view]), u) - u) < 1e-3


def test_points_that_nobody_sees(hills, tmp_path):
    (tmp_path / "points.txt").write_text("0 0 500\n1 1 -900\n")
    result = run("visible", hills.path, "--points", tmp_path / "points.txt", "-o", tmp_path / "seen.csv")
    assert result.exit_code == 0 and "no camera sees any point" in result.stderr
    assert (tmp_path / "seen.csv").read_text() == "point,camera,u,v,depth\n"


@pytest.mark.parametrize(
    ("text", "options", "code", "words"),
    [
        ("1 2\n", [], 1, "there are 2 columns"),
        ("1 2 nan\n", [], 1, "1 of 1 points are not finite, the first is number 0"),
        ("x y\n", [], 1, "has neither numbers"),
        ("1 2 3\n", ["--points-offset", 1, 2, 3], 2, "--points-offset is in the units of --points-crs"),
        ("1 2 3\n", ["--points-crs", "local"], 1, "georeferenced"),
        ("1 2 3\n", ["--tolerance", -1], 1, "is needed: pass e.g. --tolerance 2.0\n"),
        ("1 2 3\n", ["-o", "table.xlsx"], 2, "end its name in .csv or .npz"),
        ("1 2 3\n", ["--points", "points.csv"], 1, "there is no such file"),
        ("1 2 3\n", ["--camera", "lost"], 1, "none of the 1 cameras"),
    ],
)
def test_bad_input_is_told_in_one_sentence(hills, tmp_path, monkeypatch, text, options, code, words):
    monkeypatch.chdir(tmp_path)
    Path("points.txt").write_text(text)
    result = run("visible", hills.path, "--points", "points.txt", "-o", "seen.csv", *options)
    assert result.exit_code == code and words in result.stderr, result.output
    assert "Traceback" not in result.output and not Path("seen.csv").exists()
