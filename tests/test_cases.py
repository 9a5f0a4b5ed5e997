"""Case folders: found, read, rendered and compared; what is wrong with one is said."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

import depthraster as dr
import meshes
from depthraster.cli import main
from depthraster.comparison.cases import find_cases
from depthraster.io.images import save_image

LENS = dr.Calibration(width=120, height=80, f=90, cx=1.5, k1=-0.1, p1=8e-3, p2=-4e-3)
VIEW = dr.look_at((1.0, 0.5, 0.0), (0.0, 0.0, 40.0), up=(0, -1, 0))
WRONG = dataclasses.replace(LENS, p1=LENS.p2, p2=LENS.p1)


def write_mesh(path):
    mesh = meshes.terrain(np.random.default_rng(3), 30, 30, 60.0, 40.0, 8.0)
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in mesh[0].tolist()]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in mesh[1].tolist()]
    path.write_text("\n".join(lines))
    return mesh


def write_case(folder, mesh, /, lens=LENS, made_with=None, **entries):
    folder.mkdir(parents=True)
    np.save(folder / "depth.npy", dr.render_depth(mesh, VIEW, made_with or lens))
    said = {
        "mesh": "../mesh.obj",
        "depth": "depth.npy",
        "transform": VIEW.tolist(),
        "calibration": dataclasses.asdict(lens),
        **entries,
    }
    (folder / "case.json").write_text(json.dumps({k: v for k, v in said.items() if v is not ...}))


@pytest.fixture
def folder(tmp_path):
    """Two cases that are right, one that is not."""
    mesh = write_mesh(tmp_path / "mesh.obj")
    write_case(tmp_path / "right", mesh, made_by="a test")
    write_case(tmp_path / "metres", mesh, scale=None)
    np.save(tmp_path / "metres" / "depth.npy", 2.5 * dr.render_depth(mesh, VIEW, LENS)[..., 0])
    write_case(tmp_path / "wrong", mesh, made_with=WRONG)
    return tmp_path


def test_cases_are_found_and_compared(folder):
    places = find_cases(folder)
    assert [place.name for place in places] == ["metres", "right", "wrong"]
    metres, right, wrong = (place.load() for place in places)
    assert right.made_by == "a test"
    assert right.compare()
    assert metres.compare().scale == pytest.approx(2.5, rel=1e-6)
    found = wrong.compare()
    assert [(f.name, f.whose) for f in found.findings] == [("p1_p2_exchanged", "theirs")]
    assert wrong.compare(np.load(folder / "wrong" / "depth.npy"))
    assert [place.name for place in find_cases(folder / "right")] == ["right"]


def test_a_case_can_name_a_camera_of_a_cameras_file(folder):
    camera = dr.Camera(id=0, label="IMG_1.JPG", transform=VIEW, calibration=LENS)
    dr.save_chunk(dr.Chunk(label="one", cameras=(camera,)), folder / "cameras.xml")
    mesh = dr.load_mesh(folder / "mesh.obj")
    write_case(
        folder / "named", mesh, transform=..., calibration=..., cameras="../cameras.xml", camera="IMG_1"
    )
    (place,) = find_cases(folder / "named")
    assert place.load().compare()


def test_a_folder_with_mesh_cameras_and_images_is_a_case_for_each(tmp_path):
    mesh = write_mesh(tmp_path / "mesh.obj")
    cameras = tuple(
        dr.Camera(id=k, label=f"IMG_{k}.JPG", transform=VIEW, calibration=lens)
        for k, lens in enumerate((LENS, WRONG))
    )
    dr.save_chunk(dr.Chunk(label="one", cameras=cameras), tmp_path / "cameras.xml")
    for k in range(2):
        save_image(tmp_path / f"IMG_{k}.tif", dr.render_depth(mesh, VIEW, LENS))
    save_image(tmp_path / "IMG_7.tif", dr.render_depth(mesh, VIEW, LENS))
    first, second, third = find_cases(tmp_path)
    assert first.name == f"{tmp_path.name}/IMG_0.tif"
    assert first.load().compare()
    assert not second.load().compare()
    with pytest.raises(dr.FormatError, match=r"IMG_7\.tif: no camera .* labelled 'IMG_7'"):
        third.load()
    write_mesh(tmp_path / "another.obj")
    with pytest.raises(dr.FormatError, match=r"more than one mesh \(another.obj, mesh.obj\)"):
        first.load()


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"mesh": ...}, "mesh is nothing; a text is needed"),
        ({"depth": 3}, "depth is 3"),
        ({"transform": ...}, "transform is nothing"),
        ({"transform": [[1, 2], [3, 4]]}, r"transform is .*\(4, 4\)"),
        ({"transform": "x"}, "transform is 'x'"),
        ({"calibration": {"width": 3}}, "calibration is"),
        ({"calibration": {"width": 120, "height": 80, "f": 90, "k9": 1}}, "k9"),
        ({"calibration": 7}, "calibration is 7"),
        ({"depth_kind": "distance"}, "depth_kind is 'distance'"),
        ({"cull_faces": "yes"}, "cull_faces is 'yes'"),
        ({"scale": "auto"}, "scale is 'auto'"),
        ({"background": True}, "background is True"),
        ({"tolerances": {"depth": -1}}, "tolerances is"),
        ({"tolerances": 3}, "tolerances is 3"),
        ({"tolerances": {"width": 3}}, "tolerances is"),
        ({"cullfaces": True}, "'cullfaces', which means nothing"),
        ({"cameras": "cameras.xml"}, "camera is nothing"),
    ],
)
def test_what_is_wrong_with_a_case_is_said(tmp_path, entries, says):
    write_case(tmp_path / "case", write_mesh(tmp_path / "mesh.obj"), **entries)
    (place,) = find_cases(tmp_path / "case")
    with pytest.raises(dr.FormatError, match=says) as error:
        place.load()
    assert str(tmp_path) in str(error.value)


def test_a_case_that_is_no_json_and_a_folder_without_cases_are_refused(tmp_path):
    with pytest.raises(dr.FormatError, match="no case in the folder"):
        find_cases(tmp_path)
    with pytest.raises(OSError, match="nowhere"):
        find_cases(tmp_path / "nowhere")
    for text, says in (("{", "not read as JSON"), ("[1]", "an object"), ("\x00", "not read as JSON")):
        (tmp_path / "case.json").write_text(text)
        with pytest.raises(dr.FormatError, match=says):
            find_cases(tmp_path)[0].load()


def run(*args):
    return CliRunner().invoke(main, ["compare", *(str(arg) for arg in args)])


def test_the_command_compares_all_cases_of_a_folder(folder):
    result = run(folder, "--picture", folder / "pictures")
    assert result.exit_code == 1
    assert "PASS  right, 999 of 1000 pixels differ by 0 of the depth or less" in result.output
    assert "FAIL  wrong" in result.output
    assert "theirs was made with p1 and p2 exchanged" in result.output
    assert "2 of 3 cases are the same." in result.output
    assert sorted(path.name for path in (folder / "pictures").iterdir()) == [
        "metres.png",
        "right.png",
        "wrong.png",
    ]
    told = json.loads(run(folder, "--json").stdout)
    assert [case["passed"] for case in told["cases"]] == [True, True, False]
    assert run(folder / "right").exit_code == 0
    (folder / "right" / "case.json").write_text("{}")
    assert run(folder).exit_code == 2
