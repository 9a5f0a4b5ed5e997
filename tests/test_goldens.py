"""What another renderer makes of every lens is what is rendered here; and what would break that is found out, and named.

The images in ``goldens/`` are Embree's, through lenses of OpenCV's or of formulas written apart from the library's, see
``goldens/make_goldens.py``. A mutation is one mistake in what the renderer is made of; each must fail every golden image
that it concerns, and be named. To add one, add its line to ``MUTATIONS``.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

import depthraster as dr
from depthraster.calibration import TYPES
from depthraster.comparison.cases import find_cases

GOLDENS = Path(__file__).resolve().parent / "goldens"
PLACES = {place.name: place for place in find_cases(GOLDENS)}
CASES = {name: place.load() for name, place in PLACES.items()}


def drawn(case, **changes):
    return dataclasses.replace(case, **changes).render()


@pytest.mark.parametrize("name", CASES)
def test_every_golden_image_is_what_is_rendered(name):
    case = CASES[name]
    found = case.compare(drawn(case))
    assert found, str(found)
    assert found.coverage.only_ours == found.coverage.only_theirs == found.differences.wrong == 0


def test_there_is_a_golden_image_of_every_lens_and_every_coefficient():
    assert {case.calibration.type for case in CASES.values()} == set(TYPES)
    for name in ("cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4", "b1", "b2"):
        assert any(getattr(case.calibration, name) for case in CASES.values()), name
    for what in ("fisheye", "equisolid_fisheye"):
        beyond = [case for case in CASES.values() if case.calibration.type == what]
        assert any(case.calibration.field_of_view[0] > 180 for case in beyond), what


def test_golden_images_show_enough_and_take_little_room():
    size = sum(os.path.getsize(path) for path in GOLDENS.rglob("*") if path.is_file())
    assert size <= 2_000_000
    for name, case in CASES.items():
        image = dr.compare(case.theirs, case.theirs)
        assert 0.3 < image.coverage.both / image.theirs.size < 0.98, name
        assert np.nanstd(image.theirs) > 0.3, name


def test_golden_images_allow_nothing():
    for name, place in PLACES.items():
        limits = json.loads((place.folder / "case.json").read_text())["tolerances"]
        assert limits == {"depth": 1e-6, "pixels": 1e-3, "outliers": 0, "coverage": 0, "inside": 0}, name


def with_lens(change):
    """A mutation of the lens' numbers on their way to the kernels."""

    def draw(case, monkeypatch):
        right = dr.Calibration.lens_params

        def wrong(calibration):
            lens = right(calibration)
            change(lens)
            return lens

        with monkeypatch.context() as patch:
            patch.setattr(dr.Calibration, "lens_params", wrong)
            return drawn(case)

    return draw


def exchange(i, j):
    def change(lens):
        lens[[i, j]] = lens[[j, i]]

    return change


def half_a_pixel(lens):
    lens[1:3] += 0.5


def without_k4(lens):
    lens[8] = 0.0


def other_depth(case, _):
    return drawn(case, depth="z" if case.depth == "range" else "range")


def other_side(case, _):
    mesh = dr.load_mesh(case.mesh)
    return dr.render_depth(
        (mesh.vertices, mesh.faces[:, ::-1]), case.transform, case.calibration, depth=case.depth
    )


# What is mutated, its name, and the cases that it concerns.
MUTATIONS = {
    "p1 and p2 exchanged": (with_lens(exchange(9, 10)), "p1_p2_exchanged", lambda c: c.calibration.p1 != c.calibration.p2),
    "b1 and b2 mixed up": (with_lens(exchange(3, 4)), "b1_b2_exchanged", lambda c: c.calibration.b1 != c.calibration.b2),
    "k4 dropped": (with_lens(without_k4), "k4_dropped", lambda c: c.calibration.k4 != 0),
    "half a pixel": (with_lens(half_a_pixel), "half_pixel", lambda _: True),
    "range for z": (other_depth, "range_for_z", lambda c: c.calibration.type != "orthographic"),
    "culling flipped": (other_side, "culling_flipped", lambda c: c.cull_faces),
}  # fmt: skip


@pytest.mark.parametrize(
    ("mutation", "name"),
    [(mutation, name) for mutation, (_, _, concerns) in MUTATIONS.items() for name, case in CASES.items() if concerns(case)],
)  # fmt: skip
def test_mutations_fail_and_are_named(mutation, name, monkeypatch):
    draw, expected, _ = MUTATIONS[mutation]
    case = CASES[name]
    drawn(case)
    found = case.compare(draw(case, monkeypatch))
    assert not found
    if expected == "range_for_z" and case.depth == "range":
        expected = "z_for_range"
    assert [(finding.name, finding.whose) for finding in found.findings] == [(expected, "ours")], str(found)


def test_the_script_that_made_them_makes_them_again(tmp_path):
    pytest.importorskip("cv2", reason="OpenCV is needed to make golden images")
    pytest.importorskip("open3d", reason="Open3D is needed to make golden images")
    import subprocess
    import sys

    script = tmp_path / "make_goldens.py"
    script.write_bytes((GOLDENS / "make_goldens.py").read_bytes())
    subprocess.run([sys.executable, script], check=True, capture_output=True, timeout=300)
    assert (tmp_path / "mesh.ply").read_bytes() == (GOLDENS / "mesh.ply").read_bytes()
    for name, case in CASES.items():
        found = dr.compare(tmp_path / name / "depth.tif", case.theirs, tolerances=case.tolerances)
        assert found, f"{name}: {found}"
