"""Documents of the façade, the application, and names that are not offered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import depthraster.metashape as Metashape
from chunks import same
from projects import chunk_xml, write_psx, write_psz
from survey_project import survey
from test_examples import CAMERAS


@pytest.fixture
def project(tmp_path):
    return survey(tmp_path)


@pytest.fixture
def chunk(project):
    doc = Metashape.Document()
    doc.open(str(project.path))
    return doc.chunk


def test_a_project_is_opened(project):
    doc = Metashape.Document()
    assert doc.chunk is None and doc.chunks == [] and doc.path == ""
    doc.open(project.path, read_only=True, ignore_lock=True)
    assert doc.path == str(project.path) and doc.read_only
    assert [chunk.label for chunk in doc.chunks] == ["Hills"] and doc.chunk is doc.chunks[0]
    assert doc.chunk.key == 0 and doc.findChunk(0) is doc.chunk and doc.findChunk(5) is None
    same(doc.chunk.as_value(), project.chunk)
    doc.clear()
    assert doc.chunk is None and not doc.read_only


def test_the_active_chunk_is_shown_and_another_can_be(tmp_path):
    path = write_psx(tmp_path, [chunk_xml(label) for label in ("one", "two", "three")], active=1)
    doc = Metashape.Document()
    doc.open(path)
    assert doc.chunk.label == "two"
    doc.chunk = doc.chunks[2]
    assert doc.chunk.label == "three"
    with pytest.raises(ValueError, match="is not in the document"):
        doc.chunk = Metashape.Document().addChunk()
    doc.remove(doc.chunk)
    assert [chunk.label for chunk in doc.chunks] == ["one", "two"] and doc.chunk.label == "one"


def test_a_psz_and_a_cameras_file_open_too(tmp_path):
    psz = write_psz(tmp_path / "survey.psz")
    doc = Metashape.Document()
    doc.open(psz)
    assert doc.chunk.cameras[0].label == "a" and doc.chunk.model is None
    (tmp_path / "cameras.xml").write_text(CAMERAS)
    doc.open(tmp_path / "cameras.xml")
    assert [camera.label for camera in doc.chunk.cameras] == ["first", "lost"]
    with pytest.raises(FileNotFoundError):
        doc.open(tmp_path / "none.psx")
    assert doc.path.endswith("cameras.xml"), "what is open stays open"


def test_an_unchanged_document_is_saved_by_doing_nothing(project):
    before = {path: path.read_bytes() for path in project.path.parent.rglob("*") if path.is_file()}
    doc = Metashape.app.document
    doc.open(project.path)
    doc.read_only = False
    for chunk in doc.chunks:  # looking at things changes nothing
        _ = (
            chunk.region,
            chunk.model,
            chunk.cameras[0].transform,
            chunk.sensors[0].calibration,
            chunk.transform.scale,
        )
    doc.save()
    doc.save(str(project.path))
    assert not doc.modified
    assert before == {path: path.read_bytes() for path in project.path.parent.rglob("*") if path.is_file()}


CHANGES = {
    "label": lambda chunk: setattr(chunk, "label", "other"),
    "place": lambda chunk: setattr(chunk.cameras[0], "transform", Metashape.Matrix.Translation([0, 0, 1])),
    "no place": lambda chunk: setattr(chunk.cameras[0], "transform", None),
    "enabled": lambda chunk: setattr(chunk.cameras[0], "enabled", False),
    "lens": lambda chunk: setattr(chunk.sensors[0].calibration, "k1", 0.01),
    "own lens": lambda chunk: setattr(chunk.cameras[2].calibration, "k1", 0.01),
    "scale": lambda chunk: setattr(chunk.transform, "scale", 2.0),
    "region": lambda chunk: setattr(chunk.region, "size", Metashape.Vector([1, 2, 3])),
    "crs": lambda chunk: setattr(chunk, "crs", Metashape.CoordinateSystem()),
    "camera": lambda chunk: chunk.addCamera(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_document_is_not_saved_and_says_so(project, change):
    doc = Metashape.Document()
    doc.open(project.path)
    CHANGES[change](doc.chunk)
    assert doc.modified
    with pytest.raises(ValueError, match=r"writes no projects: write cameras with Chunk\.exportCameras"):
        doc.save()


def test_a_document_is_not_saved_elsewhere(project):
    doc = Metashape.Document()
    doc.open(project.path)
    with pytest.raises(ValueError, match=r"copy\.psx"):
        doc.save(str(project.path.parent / "copy.psx"))


def test_the_application_without_a_window():
    app = Metashape.app
    app.update()
    assert app.version == "2.3.0" and app.version.split(".")[:2] == ["2", "3"]
    assert Metashape.version == Metashape.Version(2, 3) and Metashape.version < Metashape.Version(2, 3, 1)
    app.gpu_mask = 2 ** len(app.enumGPUDevices()) - 1
    app.cpu_enable = False
    old, app.document = app.document, Metashape.Document()
    assert app.document.chunk is None
    app.document = old


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda c: c.buildModel(), "Metashape.Chunk.buildModel"),
        (lambda c: c.depth_maps, "Metashape.Chunk.depth_maps"),
        (lambda c: c.point_cloud, "Metashape.Chunk.point_cloud"),
        (lambda c: setattr(c, "accuracy", 1), "Metashape.Chunk.accuracy"),
        (lambda c: c.model.renderImage, "Metashape.Model.renderImage"),
        (lambda c: c.model.faces[0].tex_index, "Metashape.Model.Face.tex_index"),
        (lambda c: c.model.vertices[0].color, "Metashape.Model.Vertex.color"),
        (lambda c: c.cameras[0].mask, "Metashape.Camera.mask"),
        (lambda c: c.cameras[0].reference.accuracy, "Metashape.Camera.Reference.accuracy"),
        (lambda c: c.cameras[0].photo.meta, "Metashape.Photo.meta"),
        (lambda c: c.sensors[0].film_camera, "Metashape.Sensor.film_camera"),
        (lambda c: Metashape.Sensor.Frame, "Metashape.Sensor.Frame"),
        (lambda c: Metashape.app.getExistingDirectory(), "Metashape.Application.getExistingDirectory"),
        (lambda c: Metashape.app.addMenuItem("a", print), "Metashape.Application.addMenuItem"),
        (lambda c: Metashape.Tasks, "Metashape.Tasks"),
        (lambda c: Metashape.PointCloud, "Metashape.PointCloud"),
        (lambda c: Metashape.CamerasFormatNVM, "Metashape.CamerasFormatNVM"),
    ],
)
def test_names_that_are_not_offered_say_so(chunk, call, name):
    with pytest.raises(Metashape.NotOfferedError, match=rf"^{name} was asked for and is not offered"):
        call(chunk)


def test_constants_are_found_in_the_module_and_in_their_classes():
    assert Metashape.CalibrationFormatXML is Metashape.CalibrationFormat.CalibrationFormatXML
    assert Metashape.CamerasFormatXML is Metashape.CamerasFormat.CamerasFormatXML
    assert {kind.name: int(kind) for kind in Metashape.Sensor.Type} == {
        "Frame": 1, "Fisheye": 2, "EquidistantFisheye": 3, "Spherical": 4, "Cylindrical": 6, "RPC": 8,
        "EquisolidFisheye": 10,
    }  # fmt: skip
    for name in Metashape.__all__:
        assert name in dir(Metashape) and getattr(Metashape, name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "Calibration",
        "Camera",
        "Chunk",
        "ChunkTransform",
        "CoordinateSystem",
        "Document",
        "Image",
        "Region",
        "Sensor",
    ],
)
def test_every_name_that_is_offered_is_in_the_documents_table(name):
    page = (Path(__file__).resolve().parent.parent / "docs" / "metashape.md").read_text(encoding="utf-8")
    table = page[page.index("## What is the same") : page.index("## What we decided")]
    row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
    offered = {key for base in getattr(Metashape, name).__mro__ for key in vars(base) if key[0] != "_"}
    # What it takes to be used by others, and what every value has.
    offered -= {"as_value", "init", "copy", "chunk", "Reference", "save"}
    # k1-k4 stands for four.
    text = row.replace("k1–k4", "k1, k2, k3, k4").replace("p1–p4", "p1, p2, p3, p4")
    missing = {key for key in offered if not re.search(rf"\b{key}\b", text)}
    assert not missing
    for word in re.findall(r"`(\w+)`", row.split(" | ", 1)[1]):
        assert word in offered | {
            "save",
            "copy",
            "RGB",
            "U8",
            "app",
            "version",
            "gpu_mask",
            "cpu_enable",
            "chunk",
        }, word
