"""Mistakes are named for what they are, and for whose they are; what is none is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import depthraster as dr
import meshes

LENS = dr.Calibration(
    width=480, height=320, f=330, cx=3.5, cy=-4.5, k1=-0.09, k2=0.06, k3=-0.05, k4=0.06, p1=4e-3, p2=-2e-3,
    p3=0.3, p4=0.2, b1=2.5, b2=-1.5,
)  # fmt: skip
VIEW = dr.look_at((3.0, -2.0, 0.5), (1.0, 1.0, 40.0), up=(0, -1, 0))


def changed(**values):
    return dataclasses.replace(LENS, **values)


LENS_MISTAKES = {
    "p1_p2_exchanged": changed(p1=LENS.p2, p2=LENS.p1),
    "b1_b2_exchanged": changed(b1=LENS.b2, b2=LENS.b1),
    "k4_dropped": changed(k4=0.0),
    "k3_dropped": changed(k3=0.0, k4=0.0),
    "p3_p4_dropped": changed(p3=0.0, p4=0.0),
    "p_dropped": changed(p1=0.0, p2=0.0, p3=0.0, p4=0.0),
    "b_dropped": changed(b1=0.0, b2=0.0),
    "b1_dropped": changed(b1=0.0),
    "b2_dropped": changed(b2=0.0),
    "b1_along_y": changed(f=LENS.f + LENS.b1, b1=-LENS.b1),
    "k_dropped": changed(k1=0.0, k2=0.0, k3=0.0, k4=0.0),
    "distortion_ignored": changed(k1=0.0, k2=0.0, k3=0.0, k4=0.0, p1=0.0, p2=0.0, p3=0.0, p4=0.0),
    "distortion_reversed": changed(**{f"{c}{n}": -getattr(LENS, f"{c}{n}") for c in "kp" for n in (1, 2, 3, 4)}),
    "principal_point_dropped": changed(cx=0.0, cy=0.0),
    "principal_point_reversed": changed(cx=-LENS.cx, cy=-LENS.cy),
}  # fmt: skip


@pytest.fixture(scope="module")
def mesh():
    """Hills with a tower and a tunnel of back faces, before the camera; the sheet does not fill the image."""
    rng = np.random.default_rng(7)
    hills = meshes.terrain(rng, 60, 60, 60.0, 45.0, 6.0)
    ball = meshes.icosphere(3, 5.0)
    ball = ball[0] + [-6.0, 4.0, 30.0], ball[1]
    bowl = meshes.icosphere(3, 4.0, inward=True)
    return meshes.joined(hills, ball, (bowl[0] + [12.0, -5.0, 35.0], bowl[1]))


@pytest.fixture(scope="module")
def scene(mesh):
    return dr.Scene(*mesh)


def drawn(scene, lens=LENS, **options):
    return dr.render_depth(scene, VIEW, lens, **options)


@pytest.fixture(scope="module")
def right(scene):
    return drawn(scene)


def names(found):
    return [(finding.name, finding.whose) for finding in found.findings]


def test_the_same_is_the_same(right):
    found = dr.compare(right, right.copy(), calibration=LENS)
    assert found
    assert found.passed
    assert found.findings == found.failures == ()
    assert str(found).startswith("PASS")


@pytest.mark.parametrize("name", LENS_MISTAKES)
def test_mistakes_of_the_lens_are_named_whoever_made_them(name, scene, right):
    wrong = drawn(scene, LENS_MISTAKES[name])
    for whose, images in (("theirs", (right, wrong)), ("ours", (wrong, right))):
        found = dr.compare(*images, calibration=LENS)
        assert not found
        assert names(found) == [(name, whose)]
        assert found.after.unexplained < 0.02 < found.before.unexplained
        assert str(found.findings[0].text) in str(found)


def test_half_a_pixel_is_named_without_any_context(scene, right):
    for off in (0.5, -0.5):
        found = dr.compare(right, drawn(scene, changed(cx=LENS.cx + off, cy=LENS.cy + off)))
        assert names(found) == [("half_pixel", "")]
        assert found.findings[0].values["right"] == pytest.approx(off, abs=0.02)
        assert found.alignment.down == pytest.approx(off, abs=0.02)


def test_other_shifts_are_shifts(scene, right):
    found = dr.compare(right, drawn(scene, changed(cx=LENS.cx + 0.5, cy=LENS.cy - 0.25)), calibration=LENS)
    assert names(found) == [("shift", "")]
    assert found.findings[0].values == pytest.approx({"right": 0.5, "down": -0.25}, abs=0.02)


def test_the_mesh_tells_whose_the_shift_is(scene, right):
    wrong = drawn(scene, changed(cx=LENS.cx + 0.5, cy=LENS.cy + 0.5))
    for whose, images in (("theirs", (right, wrong)), ("ours", (wrong, right))):
        found = dr.compare(*images, calibration=LENS, transform=VIEW, scene=scene)
        assert names(found) == [("half_pixel", whose)]


def test_range_for_z_is_named(scene, right):
    wrong = drawn(scene, depth="range")
    assert names(dr.compare(right, wrong, calibration=LENS)) == [("range_for_z", "theirs")]
    assert names(dr.compare(wrong, right, calibration=LENS)) == [("range_for_z", "ours")]


def test_range_for_z_of_a_pinhole_is_named_without_its_calibration(scene):
    lens = dr.Calibration(width=480, height=320, f=330)
    found = dr.compare(drawn(scene, lens), drawn(scene, lens, depth="range"))
    assert names(found) == [("range_for_z", "theirs")]
    assert found.findings[0].values["f"] == pytest.approx(330, rel=0.01)
    assert found.after.unexplained < 0.02


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (2.5, "2.5 times"),
        (1000.0, "millimetres for metres"),
        (0.001, "metres for millimetres"),
        (0.3048, "metres for feet"),
    ],
)
def test_a_scale_is_named_and_can_be_given_or_estimated(right, factor, words):
    theirs = right[..., 0] * np.float32(factor)
    found = dr.compare(right, theirs)
    assert names(found) == [("scale", "")]
    assert words in found.findings[0].text
    assert found.findings[0].values["scale"] == pytest.approx(factor, rel=1e-6)
    assert dr.compare(right, theirs, scale=factor)
    estimated = dr.compare(right, theirs, scale=None)
    assert estimated
    assert estimated.scale == pytest.approx(factor, rel=1e-6)
    assert "was estimated" in estimated.notes[0]


def test_an_offset_is_named(right):
    theirs = np.where(right[..., 1] > 0, right[..., 0] - np.float32(0.1), 0)
    found = dr.compare(right, theirs)
    assert names(found) == [("offset", "")]
    assert found.findings[0].values["offset"] == pytest.approx(-0.1, rel=1e-3)


def test_turned_images_are_named(right):
    for name, wrong in (
        ("mirrored", right[:, ::-1]),
        ("upside_down", right[::-1]),
        ("turned_round", right[::-1, ::-1]),
    ):
        assert names(dr.compare(right, wrong)) == [(name, "")]


def test_several_mistakes_at_once_are_all_named(scene, right):
    wrong = drawn(scene, LENS_MISTAKES["p1_p2_exchanged"], depth="range", background=np.nan) * 1000
    found = dr.compare(right, wrong, calibration=LENS)
    assert sorted(names(found)) == [("p1_p2_exchanged", "theirs"), ("range_for_z", "theirs"), ("scale", "")]
    wrong = drawn(scene, changed(p1=LENS.p2, p2=LENS.p1, cx=LENS.cx - 0.5, cy=LENS.cy - 0.5))
    assert sorted(name for name, _ in names(dr.compare(right, wrong, calibration=LENS))) == [
        "half_pixel",
        "p1_p2_exchanged",
    ]


def test_culling_is_named_where_the_mesh_is_given(mesh, scene, right):
    vertices, faces = mesh
    flipped = drawn(dr.Scene(vertices, faces[:, ::-1]))
    both = drawn(scene, cull_faces=False)
    context = {"calibration": LENS, "transform": VIEW, "scene": mesh}
    for name, wrong in (("culling_flipped", flipped), ("culling_off", both)):
        assert names(dr.compare(right, wrong, **context)) == [(name, "theirs")]
        assert names(dr.compare(wrong, right, **context)) == [(name, "ours")]
        assert names(dr.compare(right, wrong * 2, scale=2, **context)) == [(name, "theirs")]
    assert names(dr.compare(both, right, **context, cull_faces=False)) == [("culling_on", "theirs")]
    prepared = dr.compare(right, both, **(context | {"scene": scene}))
    assert names(prepared) == [("culling_off", "theirs")]


def test_what_nothing_explains_is_not_explained(right):
    rng = np.random.default_rng(3)
    wrong = right[..., 0] * (1 + 1e-3 * rng.normal(size=right.shape[:2])).astype(np.float32)
    found = dr.compare(right, wrong, calibration=LENS)
    assert not found
    assert found.findings == ()
    assert "No mistake that is known here explains it" in str(found)


def test_a_lens_without_what_could_be_mistaken_is_not_accused(scene):
    lens = changed(
        p1=2e-3, p2=2e-3, k4=0.0, b1=0.0, b2=0.0, p3=0.0, p4=0.0
    )  # exchanging p1 and p2 changes nothing
    wrong = drawn(scene, dataclasses.replace(lens, k3=lens.k3 + 0.05))
    found = dr.compare(drawn(scene, lens), wrong, calibration=lens)
    assert not found
    assert not {name for name, _ in names(found)} & {"p1_p2_exchanged", "k4_dropped", "b1_b2_exchanged"}


@pytest.mark.parametrize("seed", range(12))
def test_mistakes_of_random_lenses_are_named_where_they_move_anything_by_a_fifth_of_a_pixel(seed):
    rng = np.random.default_rng(seed)
    kind = ("frame", "fisheye", "equisolid_fisheye")[seed % 3]
    width, height = (int(side) for side in rng.integers(150, 500, 2))
    names = {
        "cx": 5,
        "cy": 5,
        "k1": 0.1,
        "k2": 0.03,
        "k3": 0.01,
        "k4": 0.01,
        "p1": 3e-3,
        "p2": 3e-3,
        "b1": 3,
        "b2": 3,
    }
    values = {name: float(rng.uniform(-size, size)) for name, size in names.items()}
    f = max(width, height) * (rng.uniform(0.5, 1.2) if kind == "frame" else rng.uniform(0.3, 0.5))
    lens = dr.Calibration(width, height, f, type=kind, **values)
    hills = meshes.terrain(rng, 50, 50, 80.0, 40.0, rng.uniform(2, 8))
    ball = meshes.icosphere(3, 4.0)
    scene = dr.Scene(*meshes.joined(hills, (ball[0] + [3.0, 2.0, 25.0], ball[1])))
    image = dr.render_depth(scene, np.eye(4), lens)
    wrong = {
        "p1_p2_exchanged": {"p1": lens.p2, "p2": lens.p1},
        "b1_b2_exchanged": {"b1": lens.b2, "b2": lens.b1},
        "k4_dropped": {"k4": 0.0},
        "half_pixel": {"cx": lens.cx - 0.5, "cy": lens.cy - 0.5},
    }
    n_failed = 0
    for name, change in wrong.items():
        found = dr.compare(
            image, dr.render_depth(scene, np.eye(4), dataclasses.replace(lens, **change)), calibration=lens
        )
        if found.differences.pixels.p999 < 0.2:  # the coefficient is small
            continue
        assert not found
        n_failed += 1
        assert [finding.name for finding in found.findings] == [name], str(found)
    assert n_failed >= 2
