"""The command line on whole projects: the mesh inside, meshes in world coordinates, chunks, choosing cameras, `info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result

import depthraster as dr
from depthraster.chunk import Component, Model
from depthraster.cli import main
from projects import CAMERA, FACES, SENSOR, VERTICES, chunk_xml, with_model, write_psx, write_zip


def run(*args: Any, **options: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], **options)


def sheet(chunk: dr.Chunk) -> np.ndarray:
    camera = chunk.cameras[0]
    image = dr.render_depth((VERTICES, FACES), camera.transform, camera.calibration)
    assert image[..., 1].mean() > 0.3 and np.ptp(image[..., 0]) > 0.1
    return image[..., 0]


def write_obj(path: Path, vertices: np.ndarray) -> Path:
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    path.write_text("\n".join(lines + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in FACES.tolist()]))
    return path


def test_renders_the_mesh_inside_a_project(tmp_path):
    project = with_model(tmp_path)
    for options in ([], ["--model", "Sheet"], ["--model", "0"]):
        result = run("render", project, "-o", tmp_path / "out", "--overwrite", *options)
        assert result.exit_code == 0, result.output
        assert np.array_equal(tifffile.imread(tmp_path / "out" / "a.tif"), sheet(dr.load_chunk(project)))
    result = run("render", project, "-o", tmp_path / "out", "--overwrite", "--model", "Other")
    assert result.exit_code == 1 and "'Other'" in result.stderr and "--model" in result.stderr


def test_project_without_a_mesh_says_how_to_get_one(tmp_path):
    result = run("render", write_psx(tmp_path), "-o", tmp_path / "out")
    assert result.exit_code == 1 and "export the model" in result.stderr


def test_mesh_in_world_coordinates(tmp_path):
    turned = "<rotation>0 -1 0 1 0 0 0 0 1</rotation><translation>600000 4400000 250</translation><scale>2.5</scale>"
    project = write_psx(tmp_path, [chunk_xml(more=f"<transform>{turned}</transform>")])
    chunk = dr.load_chunk(project)
    world = chunk.to_world(VERTICES)
    shift = np.array([600000.0, 4400000.0, 0.0])
    mesh = write_obj(tmp_path / "mesh.obj", world - shift)
    out = tmp_path / "out"
    command = ["render", project, mesh, "-o", out, "--mesh-crs", "local", "--mesh-offset", 600000, 4400000, 0]
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert np.allclose(tifffile.imread(out / "a.tif"), sheet(chunk), rtol=1e-6)
    negative = write_obj(mesh, world + shift)
    again = [*command[:2], negative, *command[3:7], "--mesh-offset", -600000, -4400000, 0, "--overwrite"]
    assert run(*again).exit_code == 0
    assert np.allclose(tifffile.imread(out / "a.tif"), sheet(chunk), rtol=1e-6)
    result = run(*command[:3], "-o", tmp_path / "no", "--mesh-crs", "geocentric")
    assert result.exit_code == 1 and "local coordinates" in result.stderr
    assert run(*command[:5], "--mesh-offset", 1, 2, 3).exit_code == 2
    assert run("render", project, "-o", out, "--mesh-crs", "local").exit_code == 2
    assert run(*command, "--model", "Sheet").exit_code == 2


def test_one_of_several_chunks(tmp_path):
    project = write_psx(
        tmp_path, [chunk_xml("south"), chunk_xml("north", cameras=CAMERA.replace('"a"', '"b"'))]
    )
    mesh = write_obj(tmp_path / "mesh.obj", VERTICES)
    result = run("render", project, mesh, "-o", tmp_path / "out")
    assert result.exit_code == 1 and "--chunk" in result.stderr and "'north'" in result.stderr
    for name in ("north", "1"):
        assert run("render", project, mesh, "-o", tmp_path / name, "--chunk", name).exit_code == 0
        assert (tmp_path / name / "b.tif").exists() and not (tmp_path / name / "a.tif").exists()


def two_components() -> str:
    """A chunk whose second component holds the same scene, turned and shrunk to a tenth, in a frame of its own."""
    world = [
        "<scale>2</scale>",
        "<rotation>0 -1 0 1 0 0 0 0 1</rotation><translation>1 2 3</translation><scale>20</scale>",
    ]
    parts = "".join(
        f'<component id="{k}" label="Part {k}"><transform>{text}</transform><region><center>{k} 0 0</center>'
        "<size>1 1 1</size></region></component>"
        for k, text in enumerate(world)
    )
    # The camera of the second: where the first one's camera is in the world.
    first = np.array([[1, 0, 0, 1], [0, -1, 0, 2], [0, 0, -1, 3], [0, 0, 0, 1]], float)
    a, b = (
        np.diag([2.0, 2, 2, 1]),
        np.array([[0, -20, 0, 1], [20, 0, 0, 2], [0, 0, 20, 3], [0, 0, 0, 1]], float),
    )
    second = np.linalg.solve(b, a @ first)
    second[:3, :3] *= 10  # a camera's transform has no scale
    cameras = "".join(
        f'<camera id="{k}" sensor_id="0" component_id="{k}" label="c{k}"><transform>'
        f"{' '.join(map(repr, place.ravel().tolist()))}</transform></camera>"
        for k, place in enumerate((first, second))
    )
    text = chunk_xml(
        cameras=cameras, more='<models next_id="1" active_id="0"><model id="0" label="Sheet"/></models>'
    )
    start, end = text.index("<components"), text.index("</components>")
    return f'{text[:start]}<components next_id="2" active_id="0">{parts}{text[end:]}'


@pytest.mark.filterwarnings("ignore:.*not in the active component")
def test_cameras_of_another_component(tmp_path):
    project = with_model(tmp_path)
    write_zip(tmp_path / "survey.files/0/chunk.zip", {"doc.xml": two_components()})
    chunk = dr.load_chunk(project)
    expected = sheet(chunk)
    out = tmp_path / "out"
    result = run("render", project, "-o", out)
    assert (
        result.exit_code == 0
        and "c1 (in another component)" in result.stdout
        and "--component" in result.stderr
    )
    assert np.array_equal(tifffile.imread(out / "c0.tif"), expected)
    for k, name in enumerate(("Part 1", "1")):
        result = run("render", project, "-o", tmp_path / f"out{k}", "--component", name)
        assert result.exit_code == 0, result.output
        assert "c0 (in another component)" in result.stdout
        image = tifffile.imread(tmp_path / f"out{k}" / "c1.tif")
        assert ((image > 0) == (expected > 0)).mean() > 0.999 and not (
            tmp_path / f"out{k}" / "c0.tif"
        ).exists()
        seen = (image > 0) & (expected > 0)
        assert np.allclose(image[seen], expected[seen] / 10, rtol=1e-5)
    # And by a mesh in world coordinates.
    mesh = write_obj(tmp_path / "world.obj", chunk.to_world(VERTICES))
    command = ["render", project, mesh, "--mesh-crs", "local", "-o", tmp_path / "w", "--component", "1"]
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert np.allclose(tifffile.imread(tmp_path / "w" / "c1.tif"), image, rtol=1e-6)
    for name in ("Part 7", "2", ""):
        result = run("render", project, "-o", tmp_path / "no", "--component", name)
        assert result.exit_code == 1 and "'Part 0' (id 0), 'Part 1' (id 1)" in result.stderr
    facts = json.loads(run("info", project, "--json").stdout)["chunks"][0]["components"]
    assert [(part["label"], part["active"], part["n_cameras"]) for part in facts] == [
        ("Part 0", True, 1),
        ("Part 1", False, 1),
    ]
    assert facts[1]["world_from_component"][0] == [0.0, -20.0, 0.0, 1.0]
    assert "Part 1" in run("info", project).stdout


def test_a_chunk_in_the_frame_of_another_component():
    move = np.array([[0, -3, 0, 1], [3, 0, 0, 2], [0, 0, 3, 3], [0, 0, 0, 1]], float)
    parts = [
        Component(id=4, label="a", transform=np.eye(4)),
        Component(id=7, label="b", transform=move),
        Component(id=9),
    ]
    cameras = [
        dr.Camera(id=k, transform=np.eye(4), component_id=c, in_active_component=c in (None, 4))
        for k, c in enumerate([4, 7, 9, None])
    ]
    cameras.append(dr.Camera(id=4))
    models = [Model(archive=Path("x")), Model(archive=Path("y"), transform=np.diag([2.0, 2, 2, 1]))]
    chunk = dr.Chunk(
        label="C",
        cameras=cameras,
        components=parts,
        active_component_id=4,
        transform=np.eye(4),
        models=models,
    )
    other = chunk.with_component("b")
    assert [c.in_active_component for c in other.cameras] == [False, True, False, True, True]
    assert other.active_component_id == 7 and np.array_equal(other.transform, move) and other.region is None
    points = np.random.default_rng(0).normal(size=(5, 3))
    for k, model in enumerate(models):
        there = model.transform if k else np.eye(4)
        world = points @ there[:3, :3].T + there[:3, 3]  # the first component's frame is the world
        found = other.models[k].transform
        assert np.allclose(other.to_world(points @ found[:3, :3].T + found[:3, 3]), world, rtol=0, atol=1e-12)
    assert chunk.with_component(4) is chunk and chunk.with_component("a") is chunk
    back = other.with_component("a")
    assert [c.in_active_component for c in back.cameras] == [c.in_active_component for c in chunk.cameras]
    with pytest.warns(UserWarning, match="meshes inside are left out"):
        assert chunk.with_component("9").models == ()
    for wrong in ("c", 5, True):
        with pytest.raises(
            ValueError, match=r"no components of chunk 'C'|1 components of chunk 'C' are True"
        ):
            chunk.with_component(wrong)
    with pytest.raises(ValueError, match="there are none"):
        dr.Chunk().with_component(0)


def test_cameras_from_a_file_by_pattern_and_switched_off(tmp_path):
    place = CAMERA[CAMERA.index("<transform>") :]
    cameras = "".join(
        f'<camera id="{k}" sensor_id="0" component_id="0" label="{label}" enabled="{enabled}">{place}'
        for k, (label, enabled) in enumerate(
            {"a1": "true", "a2": "false", "b1": "true", "b2": "true"}.items()
        )
    )
    chunk = chunk_xml(cameras=cameras).replace("<camera_ids>0", "<camera_ids>0 1 2 3")
    project = write_psx(tmp_path, [chunk])
    mesh = write_obj(tmp_path / "mesh.obj", VERTICES)

    def rendered(*options: Any, **more: Any) -> list[str]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        result = run("render", project, mesh, "-o", out, *options, **more)
        assert result.exit_code == 0, result.output
        return sorted(path.stem for path in out.glob("*.tif"))

    names = tmp_path / "names.txt"
    names.write_text("\ufeffb2\r\n\r\n  a*  \r\n", encoding="utf-8")
    assert rendered() == ["a1", "b1", "b2"]
    assert rendered("--all") == ["a1", "a2", "b1", "b2"]
    assert rendered("--cameras-from", names) == ["a1", "b2"]
    assert rendered("--cameras-from", names, "--all", "--camera", "b1") == ["a1", "a2", "b1", "b2"]
    assert rendered("--cameras-from", "-", input="b1\n") == ["b1"]
    names.write_text("\n")
    result = run("render", project, mesh, "-o", tmp_path / "none", "--cameras-from", names)
    assert result.exit_code == 1 and "names.txt" in result.stderr
    names.write_bytes(bytes(range(256)))
    result = run("render", project, mesh, "-o", tmp_path / "none", "--cameras-from", names)
    assert result.exit_code == 1 and "names.txt: not read as text" in result.stderr
    result = run("render", project, mesh, "-o", tmp_path / "none", "--camera", "c*")
    assert result.exit_code == 1 and "'c*'" in result.stderr


def test_info_tells_what_is_there(tmp_path):
    hostile = SENSOR.replace('label="lens"', 'label="[red]\u009b31m lens"')
    models = '<models next_id="1" active_id="0"><model id="0" label="Sheet"/></models>'
    project = with_model(tmp_path)
    text = run("info", project).stdout
    for words in (
        "Chunk 'Chunk 1'",
        "1: 1 aligned, 1 switched on",
        "80 × 60",
        "Local Coordinates (m)",
        "Sheet",
    ):
        assert words in text, text
    project = write_psx(tmp_path, [chunk_xml("one"), chunk_xml("two", sensors=hostile, more=models)])
    text = run("info", project).stdout
    assert "'one'" in text and "'two'" in text
    assert (
        "[red]\\x9b31m lens" in text and "\u009b" not in text
    )  # as it is: neither markup nor a terminal's code
    assert "'one'" not in run("info", project, "--chunk", "two").stdout
    result = run("info", tmp_path / "none.psx")
    assert result.exit_code == 1 and "none.psx" in result.stderr


def test_info_for_machines(tmp_path):
    project = with_model(tmp_path)
    told = json.loads(run("info", project, "--json").stdout)
    (chunk,) = told["chunks"]
    assert told["file"] == str(project)
    assert (chunk["label"], chunk["n_cameras"], chunk["n_aligned"], chunk["n_rendered"]) == (
        "Chunk 1",
        1,
        1,
        1,
    )
    assert chunk["sensors"][0]["width"] == 80 and chunk["sensors"][0]["n_cameras"] == 1
    assert chunk["models"][0]["label"] == "Sheet" and chunk["cameras"][0]["not_rendered"] is None


@pytest.mark.parametrize(
    ("name", "cameras", "aligned", "sensors"),
    [
        ("geograypher_composite/*.xml", 922, 915, 1),
        ("delfem2_mvs/camera.xml", 20, 20, 1),
        ("easyidp_psx/goya_test.psx", 259, 256, 1),
    ],
)
def test_info_on_real_files(real_data, name, cameras, aligned, sensors):
    (path,) = real_data.glob(name)
    (chunk,) = json.loads(run("info", path, "--json").stdout)["chunks"]
    assert (chunk["n_cameras"], chunk["n_aligned"], len(chunk["sensors"])) == (cameras, aligned, sensors)


def test_a_rig_a_multispectral_layer_and_a_photos_own_lens_in_one_run(tmp_path):
    """What a chunk says about its cameras reaches the images: places from masters, sizes and lenses of sensors."""
    slave = SENSOR.replace('id="0"', 'id="1" master_id="0"').replace(
        "</sensor>", "<location>0.5 0 0</location></sensor>"
    )
    layer = SENSOR.replace('id="0"', 'id="2" master_id="0"').replace(
        'width="80" height="60"', 'width="40" height="30"'
    )
    layer = layer.replace("<f>70</f>", "<f>33</f>").replace(
        "<calibration", '<property name="layer_index" value="1"/><rotation/><location/><calibration'
    )
    own = CAMERA.replace('id="0"', 'id="3"', 1).replace('label="a"', 'label="own"')
    own = own.replace("</camera>", "<calibration><f>90</f><k1>0.05</k1></calibration></camera>")
    cameras = (
        '<camera id="1" sensor_id="1" master_id="0" label="rig"/>'
        f'{CAMERA}<camera id="2" sensor_id="2" master_id="0" label="nir"/>{own}'
    )
    project = with_model(tmp_path)
    text = chunk_xml(sensors=SENSOR + slave + layer, cameras=cameras).replace(
        "</chunk>", '<models active_id="0"/></chunk>'
    )
    write_zip(tmp_path / "survey.files/0/chunk.zip", {"doc.xml": text})
    result = run("render", project, "-o", tmp_path / "out")
    assert result.exit_code == 0 and "4 of 4 cameras" in result.stdout, result.output
    place = dr.load_chunk(project).cameras[1].transform
    beside = place @ np.array([[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    lens = dr.Calibration(80, 60, 70, cx=1.5, k1=-0.1)
    for name, transform, calibration in (
        ("a", place, lens),
        ("rig", beside, lens),
        ("nir", place, dr.Calibration(40, 30, 33, cx=1.5, k1=-0.1)),
        ("own", place, dr.Calibration(80, 60, 90, k1=0.05)),
    ):
        image = tifffile.imread(tmp_path / "out" / f"{name}.tif")
        expected = dr.render_depth((VERTICES, FACES), transform, calibration)[..., 0]
        assert np.array_equal(image, expected) and (image > 0).any(), name
    records = json.loads((tmp_path / "out" / "manifest.json").read_text())["images"]
    assert [(r["label"], r["width"], r["calibration"]["f"]) for r in records] == [
        ("rig", 80, 70), ("a", 80, 70), ("nir", 40, 33), ("own", 80, 90),
    ]  # fmt: skip


def test_info_tells_of_meshes_that_were_not_copied_and_of_what_is_no_cameras_file(tmp_path):
    project = with_model(tmp_path)
    told = run("info", project)
    assert "missing" not in told.stdout
    assert json.loads(run("info", project, "--json").stdout)["chunks"][0]["models"][0]["there"] is True
    for archive in (tmp_path / "survey.files").rglob("model.zip"):
        archive.unlink()
    told = run("info", project)
    assert told.exit_code == 0 and "missing: copy" in " ".join(told.stdout.split())
    assert json.loads(run("info", project, "--json").stdout)["chunks"][0]["models"][0]["there"] is False
    for name, what in (("a.obj", "a mesh"), ("a.JPG", "an image")):
        (tmp_path / name).write_bytes(b"v 0 0 0")
        refused = run("info", tmp_path / name)
        assert refused.exit_code == 1 and f"is {what} by its suffix" in refused.stderr
