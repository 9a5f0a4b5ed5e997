"""The script that records golden images inside Metashape runs unchanged under the façade, where every answer is known.

Each probe is also run against façades that do something else, so that it is known to notice. To add a probe, add the façade
that answers otherwise to ``OTHERS``.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import depthraster as dr
import depthraster.metashape as facade
from depthraster.cli import main
from depthraster.comparison.answers import QUESTIONS, load_answers
from depthraster.comparison.cases import find_cases
from depthraster.io.images import load_image
from survey_project import survey

SCRIPT = Path(__file__).resolve().parent.parent / "examples" / "record_metashape_golden.py"

# What the façade has no names for; there is no rig in the project.
UNANSWERED = {"model_transform", "rig_location"}
KNOWN = {name: question.ours for name, question in QUESTIONS.items() if name not in UNANSWERED}


def run(*args):
    return CliRunner().invoke(main, ["compare", *(str(arg) for arg in args)])


@pytest.fixture
def script(monkeypatch):
    """The script's names, with the façade in Metashape's place."""
    monkeypatch.setitem(sys.modules, "Metashape", facade)
    names = runpy.run_path(str(SCRIPT))
    yield names
    names["Stage"].document = None


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What the script records of a project, run as Metashape runs it, and the project."""
    folder = tmp_path_factory.mktemp("recorded")
    project = survey(tmp_path_factory.mktemp("survey"))
    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning, match="corrections"):
        patch.setitem(sys.modules, "Metashape", facade)
        patch.setattr(sys, "argv", [str(SCRIPT), str(folder), "2"])
        facade.app.document.open(project.path)
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        finally:
            facade.app.document.clear()
    return folder, project


def test_the_script_needs_nothing_but_metashapes_own_python():
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"Metashape"}


def test_answers_are_the_known_ones(recorded):
    folder, _ = recorded
    said = json.loads((folder / "answers.json").read_text())
    answers = {name: item["answer"] for name, item in said["answers"].items()}
    assert {name: answer for name, answer in answers.items() if name in KNOWN} == KNOWN
    assert set(answers) == set(QUESTIONS)
    assert {answers[name] for name in UNANSWERED} <= {"not available", "no rig"}
    assert said["made_by"].startswith("depthraster.metashape 2.")
    result = run("--answers", folder / "answers.json")
    assert result.exit_code == 0, result.output
    assert f"{len(KNOWN)} the same, 0 differ, {len(UNANSWERED)} not answered." in result.output
    told = json.loads(run("--answers", folder / "answers.json", "--json").stdout)
    assert {answer["state"] for answer in told["answers"]} == {"same", "not answered"}


def test_cases_of_the_open_project_are_recorded_and_pass(recorded):
    folder, project = recorded
    cases = [place.load() for place in find_cases(folder)]
    assert len(cases) == 2
    mesh = dr.load_mesh(folder / "mesh.ply")
    np.testing.assert_array_equal(mesh.vertices, project.mesh[0])
    np.testing.assert_array_equal(mesh.faces, project.mesh[1])
    by_transform = {c.transform.tobytes(): c for c in project.chunk.cameras if c.transform is not None}
    for case in cases:
        camera = by_transform[case.transform.tobytes()]  # to the last bit
        assert case.calibration == camera.calibration
        assert load_image(case.theirs).shape == (case.calibration.height, case.calibration.width, 2)
    result = run(folder)
    assert result.exit_code == 0, result.output
    assert "2 of 2 cases are the same." in result.output


# Façades that answer otherwise: each gets the façade's renderDepth and its arguments.


def nan_background(render, *args):
    image = render(*args)
    pixels = np.asarray(image)
    pixels[..., 0][pixels[..., 0] == 0] = np.nan
    return image


def alpha_255(render, *args):
    image = render(*args)
    np.asarray(image)[..., 1:] *= 255
    return image


def alpha_first(render, *args):
    image = render(*args)
    pixels = np.asarray(image)
    pixels[:] = pixels[..., ::-1].copy()
    return image


def metres(render, model, *args):
    image = render(model, *args)
    np.asarray(image)[..., 0] *= model._chunk().transform.scale or 1
    return image


def other_lens(change):
    def fake(render, model, transform, calibration, *args):
        lens = calibration.copy()
        change(lens)
        return render(model, transform, lens, *args)

    return fake


def pinhole(lens):
    for name in ("k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4", "b1", "b2"):
        setattr(lens, name, 0.0)


def whole_pixels(lens):
    lens.cx, lens.cy = lens.cx + 0.5, lens.cy + 0.5


def exchanged(lens):
    lens.p1, lens.p2 = lens.p2, lens.p1


def no_p3(lens):
    lens.p3 = lens.p4 = 0.0


def other_depth(render, model, transform, calibration, cull, alpha):
    lens = calibration.as_value()
    kind = "z" if lens.type == "spherical" else "range"
    pixels = dr.render_depth(model._prepared(), np.asarray(transform), lens, cull, alpha, depth=kind)
    return facade.Image._of(pixels, " A" if alpha else " ")


def without_scale(render, model, transform, *args):
    matrix = np.asarray(transform).copy()
    matrix[:3, :3] /= np.cbrt(np.linalg.det(matrix[:3, :3]))
    return render(model, facade.Matrix(matrix), *args)


def clockwise(render, model, transform, calibration, cull, alpha):
    mesh = model._read()
    turned = facade.Model(model._chunk(), 0, "", lambda: type(mesh)(mesh.vertices, mesh.faces[:, ::-1]))
    return render(turned, transform, calibration, cull, alpha)


def never_culling(render, model, transform, calibration, cull, alpha):
    return render(model, transform, calibration, False, alpha)


def always_culling(render, model, transform, calibration, cull, alpha):
    return render(model, transform, calibration, True, alpha)


def any_part(render, model, transform, calibration, cull, alpha):
    lens = calibration.as_value()
    fine = dr.render_depth(model._prepared(), np.asarray(transform), lens.scaled(8), cull, True)
    blocks = fine.reshape(lens.height, 8, lens.width, 8, 2).max(axis=(1, 3))
    return facade.Image._of(np.ascontiguousarray(blocks), " A")


def between(near, far):
    def fake(render, *args):
        image = render(*args)
        pixels = np.asarray(image)
        pixels[(pixels[..., 0] < near) | (pixels[..., 0] > far)] = 0
        return image

    return fake


def not_across(render, model, *args):
    image = render(model, *args)
    if model._read().vertices[:, 2].min() < 0:
        np.asarray(image)[:] = 0
    return image


def everywhere(render, *args):
    image = render(*args)
    pixels = np.asarray(image)
    pixels[pixels[..., 1] == 0] = [9.0, 1.0]
    return image


OTHERS = {
    "nan_background": (nan_background, {"background": "nan"}),
    "alpha_255": (alpha_255, {"alpha": "255 and 0"}),
    "alpha_first": (alpha_first, {"channel_order": "alpha first"}),
    "metres": (metres, {"unit": "world"}),
    "pinhole": (other_lens(pinhole), {"distortion": "ignored", "p3_p4": "ignored"}),
    "whole_pixels": (other_lens(whole_pixels), {"pixel_centre": "0"}),
    "exchanged": (other_lens(exchanged), {"distortion": "other"}),
    "no_p3": (other_lens(no_p3), {"p3_p4": "ignored"}),
    "other_depth": (
        other_depth,
        {
            "depth_frame": "range",
            "depth_fisheye": "range",
            "depth_spherical": "z",
            "depth_cylindrical": "range",
        },
    ),
    "without_scale": (without_scale, {"scaled_transform": "scale removed"}),
    "clockwise": (clockwise, {"culling": "clockwise"}),
    "never_culling": (never_culling, {"culling": "both"}),
    "always_culling": (always_culling, {"no_culling": "counter-clockwise"}),
    "any_part": (any_part, {"coverage": "any part"}),
    "near and far": (between(0.05, 5000), {"near_plane": "0.1", "far_plane": "1000"}),
    "not_across": (not_across, {"across_zero": "dropped"}),
    "everywhere": (everywhere, {"beyond_fold": "something", "ghosts": "drawn"}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_probes_notice_what_is_done_otherwise(name, script, monkeypatch, tmp_path):
    fake, expected = OTHERS[name]
    render = facade.Model.renderDepth
    monkeypatch.setattr(facade.Model, "renderDepth", lambda *args: fake(render, *args))
    answers = {}
    for probe, names in script["PROBES"].items():
        if set(names) & set(expected):
            answers |= probe()
    assert {question: answers[question][0] for question in expected} == expected
    path = tmp_path / "answers.json"
    said = {
        question: {"answer": answer, "measured": measured} for question, (answer, measured) in answers.items()
    }
    path.write_text(json.dumps({"made_by": "another", "answers": said}))
    _, found = load_answers(path)
    differing = {answer.name: answer.way for answer in found if answer.state == "differs"}
    assert set(expected) <= set(differing)
    assert all(differing.values())
    assert run("--answers", path).exit_code == 1
    if name == "exchanged":
        assert "p1 and p2 exchanged" in differing["distortion"]


def test_every_rendering_question_has_a_facade_that_answers_otherwise():
    asked = {name for _, expected in OTHERS.values() for name in expected}
    # These take another Metashape, or another file: what they would answer is in the measurements.
    cannot = UNANSWERED | {
        name for name in QUESTIONS if name.startswith(("formula_", "cylindrical_", "opencv_"))
    }
    cannot |= {
        "channels",
        "mirrored_transform",
        "edges_through_centres",
        "depth_equisolid_fisheye",
        "corrections",
    }
    assert asked | cannot == set(QUESTIONS)


def test_probes_of_projections_notice_other_formulas(script, monkeypatch):
    project = facade.Calibration.project
    monkeypatch.setattr(
        facade.Calibration, "project", lambda lens, point: project(lens, point) + facade.Vector([0.1, 0.0])
    )
    answers = script["probe_projection"]()
    assert {answer for name, (answer, _) in answers.items() if name.startswith("formula_")} == {"other"}
    assert answers["cylindrical_principal_point"][0] == "other"


def test_mirrored_transforms_that_are_taken_are_told(script, monkeypatch):
    render = facade.Model.renderDepth

    def fake(model, transform, *args):
        matrix = np.asarray(transform)
        if np.linalg.det(matrix[:3, :3]) > 0:
            return render(model, transform, *args)
        mesh = model._read()
        mirrored = type(mesh)(
            mesh.vertices * [-1, 1, 1], mesh.faces[:, ::-1]
        )  # as the mirrored camera sees it
        return render(facade.Model(model._chunk(), 0, "", lambda: mirrored), facade.Matrix(np.eye(4)), *args)

    monkeypatch.setattr(facade.Model, "renderDepth", fake)
    assert script["probe_culling"]()["mirrored_transform"][0] == "counter-clockwise"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"answers": 3}', '{"answers": {"a": {}}}', '{"answers": {"a": 1}}']
)
def test_what_is_no_answers_file_is_refused(tmp_path, text):
    path = tmp_path / "answers.json"
    path.write_text(text)
    with pytest.raises(dr.FormatError, match="not read as answers"):
        load_answers(path)
    assert run("--answers", path).exit_code == 2


def test_answers_that_are_not_known_or_missing_are_told(tmp_path):
    path = tmp_path / "answers.json"
    path.write_text('{"answers": {"colour": {"answer": "blue"}, "alpha": {"answer": "1 and 0"}}}')
    _, answers = load_answers(path)
    states = {answer.name: answer.state for answer in answers}
    assert states["colour"] == "not known"
    assert states["alpha"] == "same"
    assert states["background"] == "not answered"
    assert run("--answers", path).exit_code == 0
    assert run("a.tif", "--answers", path).exit_code == 2


def test_measured_rays_that_no_mistake_explains_are_left_alone(tmp_path):
    lens = dataclasses.asdict(dr.Calibration(width=96, height=72, f=80.0, k1=-0.1, p1=0.01))
    path = tmp_path / "answers.json"
    for measured in (
        None,
        {},
        {"calibration": lens, "rays": []},
        {"calibration": lens, "rays": [[1, 2, 5.0, 5.0]]},
    ):
        said = {"answers": {"distortion": {"answer": "other", "measured": measured}}}
        path.write_text(json.dumps(said))
        _, answers = load_answers(path)
        (found,) = [answer for answer in answers if answer.name == "distortion"]
        assert "please report" in found.way


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_numbers_that_are_none_are_refused_before_anything_is_recorded(script, tmp_path, number):
    with pytest.raises(ValueError, match="NUMBER is"):
        script["main"]([str(tmp_path / "new"), number])
    assert not (tmp_path / "new").exists()


def test_cases_of_an_earlier_recording_are_not_mixed_with_others(script, tmp_path):
    (tmp_path / "001_a").mkdir()
    (tmp_path / "001_a" / "case.json").write_text("{}")
    with pytest.raises(ValueError, match="recorded before"):
        script["main"]([str(tmp_path)])
    assert [path.name for path in tmp_path.rglob("*")] == ["001_a", "case.json"]
