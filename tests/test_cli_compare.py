"""The command that compares: exit codes, report, JSON, picture, and the camera that it looks up."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import depthraster as dr
import meshes
from depthraster.cli import main
from depthraster.io.images import save_image

LENS = dr.Calibration(width=240, height=160, f=170, cx=2.0, k1=-0.1, p1=8e-3, p2=-4e-3)


def run(*args: Any) -> Result:
    return CliRunner().invoke(main, ["compare", *(str(arg) for arg in args)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A chunk of one camera, a mesh, the camera's depth image, one through a wrong lens, and one of another size."""
    path = tmp_path_factory.mktemp("compare")
    mesh = meshes.terrain(np.random.default_rng(3), 40, 40, 60.0, 40.0, 8.0)
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in mesh[0].tolist()]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in mesh[1].tolist()]
    (path / "mesh.obj").write_text("\n".join(lines))
    camera = dr.Camera(id=0, label="IMG_1.JPG", transform=np.eye(4), calibration=LENS)
    dr.save_chunk(dr.Chunk(label="one", cameras=(camera,)), path / "cameras.xml")
    image = dr.render_depth(mesh, np.eye(4), LENS)
    save_image(path / "IMG_1.tif", image)
    wrong = dataclasses.replace(LENS, p1=LENS.p2, p2=LENS.p1)
    save_image(path / "wrong.tif", dr.render_depth(mesh, np.eye(4), wrong))
    save_image(
        path / "both.tif", dr.render_depth((mesh[0], mesh[1][:, ::-1]), np.eye(4), LENS, cull_faces=False)
    )
    save_image(path / "small.tif", image[::2, ::2].copy())
    return path


def test_the_same_passes(folder):
    result = run(folder / "IMG_1.tif", folder / "IMG_1.tif")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("PASS")


def test_what_differs_fails_and_is_explained(folder, tmp_path):
    picture = tmp_path / "difference.png"
    images = folder / "IMG_1.tif", folder / "wrong.tif"
    result = run(*images, "--cameras", folder / "cameras.xml", "--picture", picture)
    assert result.exit_code == 1
    assert result.output.startswith("FAIL")
    assert "theirs was made with p1 and p2 exchanged" in result.output
    assert f"Picture: {picture}" in result.output
    with Image.open(picture) as image:
        assert min(image.size) > 500
    named = run(
        *images[::-1], "--cameras", folder / "cameras.xml", "--camera", "IMG_1", "--mesh", folder / "mesh.obj"
    )
    assert "ours was made with p1 and p2 exchanged" in named.output


def test_images_of_another_size_than_the_photo_have_its_lens_scaled(folder, tmp_path):
    mesh = dr.load_mesh(folder / "mesh.obj")
    half = LENS.scaled(0.5)
    (tmp_path / "wrong").mkdir()
    ours, theirs = tmp_path / "IMG_1.tif", tmp_path / "wrong" / "IMG_1.tif"
    save_image(ours, dr.render_depth(mesh, np.eye(4), half))
    save_image(theirs, dr.render_depth(mesh, np.eye(4), dataclasses.replace(half, p1=half.p2, p2=half.p1)))
    context = "--cameras", folder / "cameras.xml"
    refused = run(ours, theirs, *context)
    assert refused.exit_code == 2
    assert "--image-scale" in refused.output
    found = run(ours, theirs, *context, "--image-scale", 0.5)
    assert found.exit_code == 1
    assert "theirs was made with p1 and p2 exchanged" in found.output


def test_json_is_json(folder):
    result = run(folder / "IMG_1.tif", folder / "wrong.tif", "--json", "--cameras", folder / "cameras.xml")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["findings"][0]["name"] == "p1_p2_exchanged"
    assert told["compared"].startswith(str(folder))


def test_tolerances_decide(folder):
    images = folder / "IMG_1.tif", folder / "wrong.tif"
    assert run(*images, "--outliers", 1, "--coverage", 1, "--inside", 1).exit_code == 0
    assert run(*images, "--depth-tolerance", 1, "--coverage", 1, "--inside", 1).exit_code == 0
    assert run(*images, "--pixel-tolerance", 50, "--coverage", 1, "--inside", 1).exit_code == 0


def test_a_scale_is_given_or_found(folder, tmp_path):
    path = tmp_path / "metres.npy"
    with_alpha = np.asarray(dr.render_depth(folder / "mesh.obj", np.eye(4), LENS))
    np.save(path, with_alpha * np.array([2.5, 1], np.float32))
    assert run(folder / "IMG_1.tif", path).exit_code == 1
    assert run(folder / "IMG_1.tif", path, "--scale", 2.5).exit_code == 0
    result = run(folder / "IMG_1.tif", path, "--scale", "auto")
    assert result.exit_code == 0
    assert "ours x 2.5" in result.output


def test_several_marks_of_what_is_not_seen(folder, tmp_path):
    depth = dr.render_depth(folder / "mesh.obj", np.eye(4), LENS, add_alpha=False)
    assert (depth == 0).any()
    np.save(tmp_path / "marked.npy", np.where(depth == 0, np.float32(-9999), depth))
    save_image(tmp_path / "zero.tif", depth)
    images = tmp_path / "zero.tif", tmp_path / "marked.npy"
    assert "--background 0 --background -9999" in run(*images).output
    assert run(*images, "--background", 0, "--background", -9999).exit_code == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("IMG_1.tif",), "Two images are needed"),
        (("cases",), "there is no such file"),
        (("--answers", "answer.json"), "the answers.json that record_metashape_golden.py writes is needed"),
        (("--answers", "."), "this is a folder"),
        (("IMG_1.tif", "wrong.tif", "--picture", "p.jpg"), "'.png' is needed"),
        (("IMG_1.tif", "small.tif"), "240 x 160 pixels and theirs 120 x 80"),
        (("IMG_1.tif", "nowhere.tif"), "nowhere.tif"),
        (("IMG_1.tif", "mesh.obj"), "not read as"),
        (("IMG_1.tif", "wrong.tif", "--scale", "big"), "'big' is no number"),
        (("IMG_1.tif", "wrong.tif", "--scale", "-1"), "scale is -1.0"),
        (("IMG_1.tif", "wrong.tif", "--outliers", "-1"), "outliers is -1"),
        (("IMG_1.tif", "wrong.tif", "--mesh", "mesh.obj"), "--mesh"),
        (("IMG_1.tif", "wrong.tif", "--cameras", "cameras.xml", "--camera", "x"), "labelled 'x'"),
    ],
)
def test_trouble_is_two(folder, monkeypatch, args, says):
    monkeypatch.chdir(folder)
    result = run(*args)
    assert result.exit_code == 2
    assert says in result.output
