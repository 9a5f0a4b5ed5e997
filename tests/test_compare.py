"""The door of comparing: what comes in, in which formats, what is refused, and what comes out."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import depthraster as dr
from depthraster.comparison.findings import Finding
from depthraster.comparison.mistakes import Fit
from depthraster.io.images import save_image

V, U = np.indices((60, 90)) + 0.5
DEPTH = (20 + np.sin(U / 9) + 0.5 * np.cos(V / 7)).astype(np.float32)
DEPTH[:20, :30] = 0
LENS = dr.Calibration(width=90, height=60, f=80)


def with_alpha(depth):
    return np.stack([depth, (depth != 0).astype(np.float32)], axis=-1)


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [*((suffix, n) for suffix in (".tif", ".npy", ".npz", ".exr") for n in (1, 2)), (".pfm", 1)],
)
def test_files_are_read_in_every_format(tmp_path, suffix, channels):
    if suffix == ".exr":
        pytest.importorskip("OpenEXR")
    path = tmp_path / f"depth{suffix}"
    save_image(path, DEPTH if channels == 1 else with_alpha(DEPTH))
    for found in (dr.compare(path, DEPTH), dr.compare(DEPTH, str(path))):
        assert found
        assert found.differences.absolute.max == 0
        assert found.coverage.neither == 600


def test_whole_numbers_are_compared_within_half_a_step(tmp_path):
    path = tmp_path / "depth.png"
    save_image(path, np.rint(DEPTH * 1000).astype(np.uint16))
    found = dr.compare(DEPTH, path, scale=1000)
    assert found
    assert 0 < found.differences.absolute.max <= 0.501
    assert any("whole numbers" in note for note in found.notes)
    assert dr.compare(DEPTH, path, scale=None).scale == pytest.approx(1000, rel=1e-4)
    assert not dr.compare(DEPTH * np.float32(1.001), path, scale=1000)


@pytest.mark.parametrize(
    "theirs",
    [
        np.where(DEPTH == 0, np.nan, DEPTH),
        np.where(DEPTH == 0, np.inf, DEPTH).astype(np.float64),
        with_alpha(DEPTH),
        np.stack([np.where(DEPTH == 0, 777, DEPTH), np.where(DEPTH == 0, 0, 255)], axis=-1),
        DEPTH[..., None],
        DEPTH[:, ::-1][:, ::-1],
    ],
    ids=["NaN", "infinity", "alpha", "alpha 255", "a channel", "strides"],
)
def test_what_is_not_seen_may_be_marked_in_many_ways(theirs):
    found = dr.compare(DEPTH, theirs)
    assert found
    assert found.coverage.neither == 600


def test_the_background_may_be_any_number_and_zero_may_be_a_depth():
    far = np.where(DEPTH == 0, 65535, DEPTH)
    assert not dr.compare(DEPTH, far)
    assert dr.compare(np.where(DEPTH == 0, np.nan, DEPTH), far, background=65535)
    beside = DEPTH - 20  # Z of a wide lens: 0 and less beside the camera
    beside[30, 40] = 0
    assert (
        dr.compare(np.stack([beside, np.ones_like(beside)], -1), beside.copy(), background=1e9).coverage.both
        == 5400
    )
    assert dr.compare(DEPTH, np.where(DEPTH == 0, np.nan, DEPTH)).notes == (
        "what is not seen is marked by 0 in ours and by NaN in theirs",
    )


def test_images_may_mark_differently_what_is_not_seen():
    theirs = np.where(DEPTH == 0, -9999, DEPTH)
    found = dr.compare(DEPTH, theirs)
    assert not found and found.coverage.only_theirs == 600
    assert any(
        "theirs is -9999 wherever only it" in note and "background=(0, -9999)" in note for note in found.notes
    )
    assert dr.compare(DEPTH, theirs, background=(0, -9999)).coverage.neither == 600
    assert any(
        "background=-9999" in note for note in dr.compare(np.where(DEPTH == 0, np.nan, DEPTH), theirs).notes
    )
    assert not any("wherever only it" in note for note in dr.compare(DEPTH, np.where(V < 30, DEPTH, 0)).notes)
    with pytest.raises(TypeError, match="background is 'white'"):
        dr.compare(DEPTH, theirs, background="white")


def test_depths_of_the_other_sign_are_noted():
    for ours, theirs, name in ((DEPTH, -DEPTH, "theirs"), (-DEPTH, DEPTH, "ours")):
        found = dr.compare(ours, theirs)
        assert not found
        assert any(f"{name} is negative where the other is positive" in note for note in found.notes)
    assert not any("negative" in note for note in dr.compare(-DEPTH, -DEPTH * 2).notes)


def test_a_finding_that_explains_little_is_called_a_part():
    part = np.where(np.arange(90) < 50, DEPTH, DEPTH[::-1] * 1.37)  # no single mistake
    found = dr.compare(DEPTH, part)
    some = dataclasses.replace(
        found, findings=(Finding("shift", "x", "y"),), before=Fit(9.0, 0.9), after=Fit(5.0, 0.7)
    )
    assert "What explains a part of it:" in str(
        some
    ) and "70 % of the pixels remain clearly off, of 90 %" in str(some)
    assert "What explains it:" in str(dataclasses.replace(some, after=Fit(1.0, 0.01)))


def test_half_precision_is_noted():
    half = DEPTH.astype(np.float16)
    found = dr.compare(DEPTH, half)
    assert not found
    assert any("all depths of theirs are half-precision" in note for note in found.notes)


@pytest.mark.parametrize(
    ("ours", "options", "error", "says"),
    [
        (DEPTH[:-1], {}, ValueError, "90 x 59 pixels and theirs 90 x 60"),
        (DEPTH.T, {}, ValueError, "turned by 90 degrees"),
        (np.zeros((60, 90, 3)), {}, ValueError, r"\(60, 90, 3\)"),
        (np.zeros((0, 5)), {}, ValueError, r"\(0, 5\)"),
        (DEPTH > 0, {}, TypeError, "bool"),
        ([[1, 2], [3]], {}, TypeError, "ours"),
        ("nowhere.tif", {}, OSError, "nowhere.tif"),
        (DEPTH, {"calibration": dr.Calibration(width=91, height=60, f=80)}, ValueError, "91 x 60"),
        (DEPTH, {"calibration": "survey"}, TypeError, "a str"),
        (DEPTH, {"scene": 1}, ValueError, "transform and calibration"),
        (DEPTH, {"transform": np.eye(3)}, ValueError, r"\(4, 4\)"),
        (DEPTH, {"scale": 0}, ValueError, "scale is 0"),
        (DEPTH, {"scale": "auto"}, ValueError, "scale is 'auto'"),
        (DEPTH, {"threads": 0}, ValueError, "threads"),
    ],
)
def test_what_is_no_image_or_camera_is_refused(ours, options, error, says):
    with pytest.raises(error, match=says):
        dr.compare(ours, DEPTH, **options)


def test_json_holds_everything_but_the_images():
    theirs = DEPTH.copy()
    theirs[40:] *= 1.5
    theirs[30, 50] = np.nan
    found = dr.compare(DEPTH, theirs, calibration=LENS)
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["passed"] is False
    assert told["width"] == 90
    assert told["coverage"]["only_ours"] == 1
    assert told["coverage"]["inside"] == 1
    assert told["differences"]["relative"]["max"] == pytest.approx(1 / 3, rel=1e-5)
    assert told["failures"] == list(found.failures)
    nothing = np.full(DEPTH.shape, np.nan)
    assert (
        json.loads(json.dumps(dr.compare(nothing, nothing).as_json(), allow_nan=False))["differences"]["bias"]
        is None
    )


def test_the_picture_shows_a_single_wrong_pixel_and_what_only_one_sees(tmp_path):
    depth = np.full((3000, 4000), 10.0, np.float32)
    theirs = depth.copy()
    theirs[1234, 2345] = 11
    theirs[2000, 100] = np.nan
    found = dr.compare(depth, theirs)
    path = tmp_path / "difference.png"
    found.save_picture(path, "one pixel")
    with pytest.raises(ValueError, match=r"'\.jpg'; '\.png' is needed"):
        found.save_picture(tmp_path / "picture.jpg")
    with Image.open(path) as image:
        assert image.mode == "RGB"
        pixels = np.asarray(image).astype(int)
    assert (abs(pixels - (70, 160, 255)).sum(axis=2) < 60).any()  # ours nearer
    assert (pixels == (255, 70, 200)).all(axis=2).any()  # only ours
    plain = np.asarray(dr.compare(depth, depth).picture())
    assert not (plain == (255, 70, 200)).all(axis=2)[:-60].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 4), (2000, 30)])
def test_there_is_a_picture_of_any_shape_and_of_nothing(shape):
    rng = np.random.default_rng(2)
    image = rng.uniform(1, 9, shape)
    for theirs in (image, image * 2, np.full(shape, np.nan), -image, np.zeros(shape)):
        picture = dr.compare(image, theirs).picture("a title " * 30)
        assert min(picture.size) > 300


def test_inputs_are_not_changed():
    ours, theirs = with_alpha(DEPTH), DEPTH.copy()
    ours.flags.writeable = theirs.flags.writeable = False
    dr.compare(ours, theirs * 2)
    np.testing.assert_array_equal(theirs, DEPTH)
