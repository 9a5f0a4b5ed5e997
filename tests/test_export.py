"""What ``depthraster render`` writes: formats, units, layers, sizes, and what the manifest says of it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import depthraster as dr
from depthraster.io.images import load_image
from depthraster.survey import Settings, describe
from exports import COMMAND, SCALE, content, manifest, run, write_survey

EXR = pytest.param(
    "exr",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("OpenEXR") is None, reason="the extra exr is not installed"
    ),
)
SUFFIX = {"tiff": "tif", "exr": "exr", "npy": "npy", "npz": "npz", "pfm": "pfm", "png16": "png"}


@pytest.fixture
def survey(tmp_path: Path) -> tuple[Path, Path, Path]:
    return (*write_survey(tmp_path, ["a", "b"]), tmp_path / "out")


def expected(survey, scale: float = 1.0, **options) -> dr.Layers:
    cameras, mesh, _ = survey
    camera = dr.load_chunk(cameras).cameras[1]
    names = ("depth", "alpha", "range", "face_index")
    layers = dr.render(
        dr.Scene.from_mesh(mesh), camera.transform, camera.calibration.scaled(scale), names, **options
    )
    assert 0.5 < layers.alpha.mean() < 1
    return layers


def rendered(survey, *options: object) -> Path:
    cameras, mesh, out = survey
    result = run("render", cameras, mesh, "-o", out, *options)
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize("form", ["tiff", EXR, "npy", "npz", "pfm"])
@pytest.mark.parametrize("unit", ["chunk", "world"])
def test_each_format_holds_the_depth_in_the_unit_asked_for(survey, form, unit):
    out = rendered(survey, "--format", form, "--unit", unit, "--background", "-7")
    image = load_image(out / f"b.{SUFFIX[form]}")
    layers = expected(survey, background=-7)
    assert image.dtype == np.float32
    assert (image[layers.alpha == 0] == -7).all()  # the background is no length
    seen = layers.alpha > 0
    factor = 1.0 if unit == "chunk" else SCALE
    assert np.array_equal(image[seen], (layers.depth[seen].astype(np.float64) * factor).astype(np.float32))


def test_png_holds_steps(survey, tmp_path):
    layers = expected(survey)
    out = rendered(survey, "--format", "png16", "--steps", "5000")
    image = load_image(out / "b.png")
    seen = layers.alpha > 0
    assert (image[~seen] == 0).all() and (image[seen] > 0).all()
    assert np.abs(image[seen] / 5000 - layers.depth[seen]).max() <= 0.5 / 5000 + 1e-9
    # Without being told: as fine as a power of ten can be and reach the mesh's farthest corner from every camera.
    out = rendered(survey, "--format", "png16", "--unit", "world", "--overwrite")
    steps = manifest(out)["settings"]["steps_per_unit"]
    corner = SCALE * np.linalg.norm([2.02, 1.6, 6])
    assert steps * corner <= 65535 < 10 * steps * corner
    image = load_image(out / "b.png")
    assert np.abs(image[seen] / steps - SCALE * layers.depth[seen].astype(float)).max() <= 0.5 / steps + 1e-9
    again = rendered((*survey[:2], tmp_path / "one"), "--format", "png16", "--unit", "world", "--camera", "a")
    assert manifest(again)["settings"]["steps_per_unit"] == steps
    cameras, mesh, _ = survey
    result = run("render", cameras, mesh, "-o", tmp_path / "no", "--format", "png16", "--steps", "50000")
    assert result.exit_code == 1 and "65535" in result.stderr and "--steps" in result.stderr
    assert not list((tmp_path / "no").glob("*.png"))  # nothing is cut off unasked


def test_layers_lie_in_folders_of_their_own(survey):
    out = rendered(survey, "--layer", "face_index", "--layer", "alpha", "--layer", "range", "--previews")
    layers = expected(survey)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("b.*")) == [
        "alpha/b.tif",
        "face_index/b.tif",
        "previews/b.png",
        "range/b.tif",
        "thumbnails/b.webp",
    ]
    for name in ("face_index", "alpha", "range"):
        image = load_image(out / name / "b.tif")
        assert image.dtype == getattr(layers, name).dtype
        assert np.array_equal(image, getattr(layers, name))
    with Image.open(out / "previews" / "b.png") as preview:
        assert preview.size == (80, 60)


def test_an_npz_holds_all_layers(survey):
    out = rendered(survey, "--format", "npz", "--layer", "depth", "--layer", "face_index", "--unit", "world")
    layers = expected(survey)
    with np.load(out / "b.npz") as arrays:
        assert arrays.files == ["depth", "face_index"]
        assert np.array_equal(arrays["face_index"], layers.face_index)
        assert np.allclose(arrays["depth"], SCALE * layers.depth, rtol=1e-7)


def test_smaller_images_and_the_renderers_options(survey):
    out = rendered(survey, "--scale", "0.25", "--depth", "range", "--no-cull", "--background", "nan")
    layers = expected(survey, 0.25, depth="range", cull_faces=False, background=np.nan)
    image = load_image(out / "b.tif")
    assert image.shape == (15, 20) and np.isnan(image).any()
    assert np.array_equal(image, layers.depth, equal_nan=True)
    record = manifest(out)["images"][1]
    assert (record["width"], record["height"]) == (20, 15)
    calibration = dr.load_chunk(survey[0]).cameras[1].calibration.scaled(0.25)
    assert dr.Calibration(**record["calibration"]) == calibration


def test_what_does_not_go_together_is_refused_in_a_sentence(survey):
    cameras, mesh, out = survey
    for options, words in {
        ("--format", "pfm", "--layer", "face_index"): "face_index",
        ("--format", "png16", "--background", "nan"): "background",
        ("--format", "png16", "--steps", "-1"): "positive",
        ("--format", "png16", "--layer", "normal"): "normal",
        ("--steps", "10"): "png16",
        ("--scale", "0"): "scale",
        ("--scale", "nan"): "scale",
        ("--scale", "1e-300"): "scale",
        ("--background", "1e39"): "float32 cannot hold",
        ("--format", "png16", "--steps", "1e308"): "up to 1e+12",
    }.items():
        result = run("render", cameras, mesh, "-o", out, *options)
        assert result.exit_code == 1 and words in result.stderr, (options, result.output)
        assert len(result.stderr.splitlines()) == 1
    dr.save_chunk(replace(dr.load_chunk(cameras), transform=None), cameras)
    result = run("render", cameras, mesh, "-o", out, "--unit", "world")
    assert result.exit_code == 1 and "no transform" in result.stderr
    assert run("render", cameras, mesh, "-o", out, "--format", "gif").exit_code == 2
    assert run("render", cameras, mesh, "-o", out, "--resume", "--overwrite").exit_code == 2
    assert not out.exists() or not list(out.rglob("*.*"))


def test_the_manifest_says_all(survey):
    cameras = survey[0]
    out = rendered(survey, "--unit", "world", "--layer", "depth", "--layer", "alpha")
    found, layers = manifest(out), expected(survey)
    assert found["version"] == version("depthraster")
    assert found["chunk"]["scale"] == pytest.approx(SCALE)
    assert (found["mesh"]["n_vertices"], found["mesh"]["n_faces"]) == (357, 640)
    assert found["sources"] == {"cameras": "cameras.xml", "mesh": "mesh.obj"}
    assert found["settings"]["unit"] == "world" and found["settings"]["cull_faces"] is True
    assert found["times"]["seconds"] > 0 and found["times"]["started"].endswith("+00:00")
    assert [record["label"] for record in found["images"]] == ["a", "b"]
    record, camera = found["images"][1], dr.load_chunk(cameras).cameras[1]
    assert np.array_equal(record["chunk_from_camera"], camera.transform)
    assert dr.Calibration(**record["calibration"]) == camera.calibration
    seen = layers.alpha > 0
    assert record["coverage"] == pytest.approx(seen.mean())
    assert record["min"] == pytest.approx(SCALE * layers.depth[seen].min())
    assert record["max"] == pytest.approx(SCALE * layers.depth[seen].max())
    assert (record["kind"], record["unit"]) == ("z", "world")
    assert [file["layer"] for file in record["files"]] == ["depth", "alpha", "thumbnail"]
    listed = {file["path"] for image in found["images"] for file in image["files"]}
    assert listed | {"manifest.json", "index.html"} == set(content(out))
    for file in record["files"]:
        data = (out / file["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])


@pytest.mark.parametrize(
    ("lens", "asked", "kind"),
    [
        ("frame", None, "z"),
        ("frame", "range", "range"),
        ("fisheye", None, "z"),
        ("fisheye", "range", "range"),
        ("spherical", None, "range"),
        ("spherical", "z", "z"),
        ("cylindrical", None, "z"),
    ],
)
def test_the_manifest_says_of_each_camera_what_its_depth_is(tmp_path, lens, asked, kind):
    sizes = {"spherical": (90, 45), "cylindrical": (90, 45)}
    width, height = sizes.get(lens, (80, 60))
    f = width / (2 * np.pi) if lens in sizes else 40.0
    camera = dr.Camera(
        id=0, label="a", transform=np.eye(4), calibration=dr.Calibration(width, height, f, type=lens)
    )
    assert describe(camera, "a", Settings(depth=asked))["kind"] == kind
    cameras, mesh = write_survey(tmp_path, ["b"])
    dr.save_chunk(dr.Chunk(cameras=[camera]), cameras)
    result = run("render", cameras, mesh, "-o", tmp_path / "out", *(("--depth", asked) if asked else ()))
    assert result.exit_code == 0, result.output
    (record,) = manifest(tmp_path / "out")["images"]
    layers = dr.render(mesh, camera.transform, camera.calibration, ("depth", "range", "alpha"), depth=kind)
    assert record["kind"] == kind
    assert np.array_equal(load_image(tmp_path / "out" / "a.tif"), layers.depth)
    if kind == "range":
        assert np.array_equal(layers.depth, layers.range)
    assert record["max"] == layers.depth[layers.alpha > 0].max()


def test_the_manifest_tells_of_cameras_left_out_and_blank(survey, tmp_path):
    cameras, mesh, out = survey
    chunk = dr.load_chunk(cameras)
    away = np.diag([-1.0, 1.0, -1.0, 1.0])
    some = [
        *chunk.cameras,
        dr.Camera(
            id=7, label="off", transform=np.eye(4), calibration=chunk.cameras[0].calibration, enabled=False
        ),
        dr.Camera(id=8, label="lost", calibration=chunk.cameras[0].calibration),
        dr.Camera(id=9, label="away", transform=away, calibration=chunk.cameras[0].calibration),
    ]
    dr.save_chunk(replace(chunk, cameras=some), cameras)
    (out / "b.tif").mkdir(parents=True)  # a folder stands where the file belongs
    result = run("render", cameras, mesh, "-o", out, "--overwrite")
    assert result.exit_code == 1
    found = manifest(out)
    assert [(s["label"], s["camera_id"], s["reason"]) for s in found["skipped"]] == [
        ("off", 7, "disabled"),
        ("lost", 8, "not aligned"),
    ]
    assert [f["label"] for f in found["failed"]] == ["b"] and "b.tif" in found["failed"][0]["reason"]
    assert [record["label"] for record in found["images"]] == ["a", "away"]
    blank = found["images"][1]
    assert (blank["coverage"], blank["min"], blank["max"], blank["colours"]) == (0.0, None, None, None)


def test_any_number_of_threads_gives_the_same_bytes(survey, tmp_path):
    one = content(rendered(survey, "--threads", "1"))
    assert one == content(rendered((*survey[:2], tmp_path / "three"), "--threads", "3"))
    assert len(one) == 6


def test_hostile_labels_stay_in_the_folder(tmp_path):
    labels = [
        "../../escape",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "..",
        "CON",
        "x" * 300,
        "\u202egnp.exe",
        "manifest",
        "A",
        "a",
    ]
    cameras, mesh = write_survey(tmp_path, labels)
    before = set(tmp_path.rglob("*"))
    rendered((cameras, mesh, tmp_path / "out"))
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.resolve().is_relative_to(tmp_path / "out") for path in made)
    records = manifest(tmp_path / "out")["images"]
    assert [record["label"] for record in records] == labels
    assert len({record["name"].casefold() for record in records}) == len(labels)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="memory is measured by Unix' means")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    cameras, mesh = write_survey(tmp_path, [f"IMG_{k}" for k in range(50)], (1600, 1200))

    def peak(*options: str) -> int:
        """The most memory that the command took, bytes."""
        command = [*COMMAND, str(cameras), str(mesh), "-o", str(tmp_path / "out"), "--overwrite", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    image = 4 * 1600 * 1200
    some = peak("--camera", "IMG_1?")
    assert peak() - some < 6 * image  # all of them take 50


def test_layers_that_follow_from_the_faces_are_kept(survey):
    names = ("barycentric", "normal", "position", "view_angle", "edge")
    cameras, mesh, _ = survey
    camera = dr.load_chunk(cameras).cameras[1]
    layers = dr.render(mesh, camera.transform, camera.calibration, names)
    options = [word for name in names for word in ("--layer", name)]
    out = rendered(survey, *options, "--format", "npy")
    for name in names:
        image = np.load(out / name / "b.npy")
        assert image.dtype == getattr(layers, name).dtype
        np.testing.assert_array_equal(image, getattr(layers, name))
    out = rendered(survey, "--layer", "normal", "--layer", "edge", "--layer", "view_angle", "--overwrite")
    np.testing.assert_array_equal(load_image(out / "normal" / "b.tif"), layers.normal)
    np.testing.assert_array_equal(load_image(out / "view_angle" / "b.tif"), layers.view_angle)
    edge = load_image(out / "edge" / "b.tif")
    assert edge.dtype == np.uint16
    np.testing.assert_array_equal(edge, layers.edge)


@pytest.mark.parametrize(
    ("layer", "form", "message"),
    [
        ("position", "tiff", "the layer position is asked for in the format tiff"),
        ("edge", "exr", "tiff, npy or npz is needed"),
        ("normal", "png16", "the layer normal"),
    ],
)
def test_formats_that_cannot_hold_a_layer_are_refused(survey, layer, form, message):
    result = run("render", *survey[:2], "-o", survey[2], "--layer", layer, "--format", form)
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


def test_positions_are_in_chunk_units(survey):
    result = run(
        "render", *survey[:2], "-o", survey[2], "--layer", "position", "--format", "npz", "--unit", "world"
    )
    assert result.exit_code != 0 and "Chunk.to_world" in " ".join(result.output.split())


def test_files_of_an_earlier_export_are_told_and_stay(survey):
    cameras, mesh, out = survey
    rendered(survey, "--format", "npy")
    again = run("render", cameras, mesh, "-o", out, "--overwrite", "--format", "npy")
    assert again.exit_code == 0 and "earlier export" not in again.stderr
    result = run("render", cameras, mesh, "-o", out, "--overwrite", "--camera", "b")
    assert result.exit_code == 0
    assert "Note: 3 files of an earlier export" in result.stderr and "a.npy" in result.stderr
    assert (out / "a.npy").exists() and (out / "b.npy").exists()
    (out / "manifest.json").write_text("[]")
    assert run("render", cameras, mesh, "-o", out, "--overwrite").exit_code == 0
