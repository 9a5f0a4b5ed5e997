"""Chunks of the façade: what a file says, what a script changes or makes, and models from files."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

import depthraster as dr
import depthraster.metashape as Metashape
from chunks import NOT_IN_CAMERAS_FILES, same
from projects import CAMERA, chunk_xml, ply, write_psx
from survey_project import OWN_LENS, SCALE, WGS84, survey
from test_examples import CAMERAS, WALL

needs_pyproj = pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of pyproj")


@pytest.fixture
def project(tmp_path):
    return survey(tmp_path)


@pytest.fixture
def chunk(project):
    doc = Metashape.Document()
    doc.open(str(project.path))
    return doc.chunk


def test_a_chunk_says_what_the_file_says(chunk, project):
    assert chunk.label == "Hills" and chunk.enabled
    assert [camera.label for camera in chunk.cameras] == ["IMG_1", "IMG_2", "IMG_3", "oblique", "lost", "off"]
    assert [sensor.label for sensor in chunk.sensors] == ["drone"]
    np.testing.assert_array_equal(chunk.transform.matrix, project.chunk.transform)
    assert chunk.transform.scale == pytest.approx(SCALE, rel=1e-12)
    np.testing.assert_allclose(chunk.transform.rotation, project.chunk.transform[:3, :3] / SCALE, atol=1e-12)
    np.testing.assert_array_equal(chunk.transform.translation, project.chunk.transform[:3, 3])
    assert list(chunk.region.center) == [0.5, -0.5, 0.0] and list(chunk.region.size) == [40, 40, 8]
    np.testing.assert_array_equal(chunk.region.rot, np.eye(3))
    assert chunk.crs.wkt == WGS84 and chunk.crs.name == "WGS 84"
    assert [model.label for model in chunk.models] == ["Model"] and chunk.model is chunk.models[0]
    assert chunk.findCamera(3).label == "oblique" and chunk.findSensor(0) is chunk.sensors[0]
    assert chunk.findModel(0) is chunk.model and chunk.findModel(7) is None
    assert chunk.cameras[0].chunk is chunk and chunk.sensors[0].chunk is chunk


def test_a_chunk_without_transform_has_parts_that_are_none():
    chunk = Metashape.Document().addChunk()
    assert (
        chunk.transform.scale is None
        and chunk.transform.rotation is None
        and chunk.transform.translation is None
    )
    np.testing.assert_array_equal(chunk.transform.matrix, np.eye(4))
    assert (chunk.transform.scale or 1) == 1
    chunk.transform.scale = 2
    chunk.transform.translation = Metashape.Vector([1, 2, 3])
    np.testing.assert_array_equal(
        chunk.transform.matrix, [[2, 0, 0, 1], [0, 2, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]]
    )
    turn = Metashape.Matrix([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    chunk.transform.rotation = turn
    assert chunk.transform.matrix[1, 0] == pytest.approx(2.0) and chunk.transform.scale == pytest.approx(2)
    chunk.transform.matrix = chunk.transform.matrix * Metashape.Matrix.Translation([1, 0, 0])
    np.testing.assert_allclose(chunk.transform.translation, [1, 4, 3])
    with pytest.raises(ValueError, match="mirrored"):
        chunk.transform.matrix = Metashape.Matrix.Diag([1, 1, -1, 1])
    with pytest.raises(ValueError, match="scale is 0"):
        chunk.transform.scale = 0


def test_a_region_is_changed_in_place_or_given_back(chunk):
    chunk.region.size = 2 * chunk.region.size
    assert list(chunk.region.size) == [80, 80, 16]
    size = chunk.region.size
    size[2] *= 3
    assert list(chunk.region.size) == [80, 80, 16], "a vector is a copy"
    region = chunk.region
    region.rot = Metashape.Matrix.Diag([1, -1, -1])
    region.center = Metashape.Vector([1, 2, 3])
    chunk.region = region
    assert list(chunk.region.center) == [1, 2, 3] and chunk.region.rot[1, 1] == -1
    with pytest.raises(ValueError, match="centre has 2 numbers"):
        chunk.region.center = [1, 2]


def test_a_chunk_without_region_gets_its_models_box(tmp_path):
    (tmp_path / "cameras.xml").write_text(CAMERAS)
    (tmp_path / "wall.ply").write_text(WALL)
    doc = Metashape.Document()
    doc.open(tmp_path / "cameras.xml")
    assert list(doc.chunk.region.size) == [0, 0, 0]
    doc.chunk.importModel(str(tmp_path / "wall.ply"))
    doc.chunk.resetRegion()
    vertices = np.asarray(doc.chunk.model.vertices)
    np.testing.assert_allclose(doc.chunk.region.center, 0.5 * (vertices.min(axis=0) + vertices.max(axis=0)))
    np.testing.assert_allclose(doc.chunk.region.size, np.ptp(vertices, axis=0))


def test_cameras_of_another_component_have_no_place(tmp_path):
    """Their transforms lead to another frame: rendering from there would show the mesh from a wrong place."""
    other = CAMERA.replace('id="0" sensor', 'id="1" sensor').replace(
        'component_id="0" label="a"', 'component_id="1" label="b"'
    )
    document = chunk_xml(cameras=CAMERA + other).replace(
        "</components>", '<component id="1" label="Component 2"/></components>'
    )
    doc = Metashape.Document()
    with pytest.warns(UserWarning, match="component"):
        doc.open(write_psx(tmp_path, [document]))
    assert doc.chunk.cameras[0].transform is not None
    assert doc.chunk.cameras[1].transform is None and doc.chunk.cameras[1].center is None
    assert not doc.modified


def test_cameras_are_exported_as_the_library_does(chunk, project, tmp_path):
    done = []
    chunk.exportCameras(str(tmp_path / "out.xml"), progress=done.append)
    same(dr.load_chunk(tmp_path / "out.xml"), project.chunk, NOT_IN_CAMERAS_FILES | {"id"})
    assert done == [100.0]
    chunk.cameras[0].transform = Metashape.Matrix.Translation([1, 2, 3])
    chunk.sensors[0].calibration.f = 160
    chunk.exportCameras(tmp_path / "changed.xml")
    again = dr.load_chunk(tmp_path / "changed.xml")
    np.testing.assert_array_equal(again.cameras[0].transform[:3, 3], [1, 2, 3])
    assert again.cameras[1].calibration.f == 160 and again.cameras[2].calibration == OWN_LENS
    with pytest.raises(ValueError, match=r"ending in \.xml"):
        chunk.exportCameras(tmp_path / "cameras.nvm")


def test_a_script_makes_its_own_cameras(tmp_path):
    """From nothing: sensor, calibration, place and mesh."""
    (tmp_path / "wall.ply").write_text(WALL)
    chunk = Metashape.Document().addChunk()
    assert chunk.label == "Chunk 1"
    chunk.importModel(tmp_path / "wall.ply")
    camera = chunk.addCamera()
    camera.label = "mine"
    camera.sensor = chunk.addSensor()
    calibration = Metashape.Calibration()
    calibration.width, calibration.height, calibration.f = 60, 40, 50
    camera.sensor.user_calib = calibration
    camera.sensor.fixed = True
    assert camera.transform is None
    camera.transform = Metashape.Matrix(np.eye(4))
    depth = chunk.model.renderDepth(camera.transform, camera.sensor.calibration)
    assert depth[30, 20] == (4.0, 1.0)
    assert camera.sensor.user_calib == calibration == camera.calibration
    chunk.exportCameras(tmp_path / "made.xml")
    made = dr.load_chunk(tmp_path / "made.xml").camera("mine")
    assert made.calibration == dr.Calibration(width=60, height=40, f=50)
    other = chunk.addSensor(camera.sensor)
    assert other.key != camera.sensor.key and other.calibration == calibration and other.width == 60


def test_cameras_are_imported_into_an_empty_chunk(project, tmp_path):
    doc = Metashape.Document()
    doc.open(project.path)
    doc.chunk.exportCameras(tmp_path / "cameras.xml")
    chunk = doc.addChunk()
    chunk.importCameras(str(tmp_path / "cameras.xml"))
    assert [camera.label for camera in chunk.cameras] == [camera.label for camera in doc.chunks[0].cameras]
    ignore = NOT_IN_CAMERAS_FILES | {"id", "label"}
    same(chunk.as_value(), project.chunk, ignore)


def test_cameras_are_imported_for_photos_by_their_labels(project, tmp_path):
    doc = Metashape.Document()
    doc.open(project.path)
    doc.chunk.exportCameras(tmp_path / "cameras.xml")
    chunk = doc.addChunk()
    chunk.addPhotos(["photos/IMG_3.JPG", "photos/IMG_1.JPG", "photos/more.JPG"])
    assert [camera.label for camera in chunk.cameras] == ["IMG_3", "IMG_1", "more"]
    assert chunk.cameras[0].photo.path == "photos/IMG_3.JPG"
    with pytest.warns(UserWarning, match="4 of 6 cameras have no counterpart by label"):
        chunk.importCameras(tmp_path / "cameras.xml")
    assert len(chunk.cameras) == 3
    by_label = {camera.label: camera for camera in doc.chunks[0].cameras}
    for camera in chunk.cameras[:2]:
        assert camera.transform == by_label[camera.label].transform
        assert camera.calibration == by_label[camera.label].calibration
    assert chunk.cameras[0].calibration.f == 148 and chunk.cameras[1].calibration.f == 150
    assert chunk.cameras[2].transform is None
    assert chunk.transform.scale == pytest.approx(SCALE)
    chunk.addPhotos("photos/one.JPG", strip_extensions=False)
    assert chunk.cameras[-1].label == "one.JPG"
    # And a second time over places that are there.
    chunk.cameras[0].transform = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chunk.importCameras(tmp_path / "cameras.xml")
    assert chunk.cameras[0].transform == by_label["IMG_3"].transform


def test_the_oldest_files_have_a_lens_for_each_camera(real_data):
    path = real_data / "photoscan_collection"
    files = sorted(path.glob("**/*.xml")) if path.is_dir() else []
    if not files:
        pytest.skip(f"no files in {path}")
    doc = Metashape.Document()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        doc.open(files[0])
        value = dr.load_chunk(files[0])
    for camera, expected in zip(doc.chunk.cameras, value.cameras, strict=True):
        if expected.calibration is not None:
            assert camera.sensor.calibration.as_value() == expected.calibration
    assert not doc.modified


def test_every_real_project_opens_and_is_the_same_again(real_data):
    paths = [*real_data.glob("**/*.psx"), *real_data.glob("**/*.psz")]
    if not paths:
        pytest.skip(f"no projects in {real_data}")
    for path in paths:
        doc = Metashape.Document()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            doc.open(path)
        assert doc.chunks and not doc.modified, path
        for chunk in doc.chunks:
            for camera in chunk.cameras:
                if camera.transform and camera.sensor.calibration.f:
                    u, v = 0.3 * camera.calibration.width, 0.6 * camera.calibration.height
                    back = camera.project(camera.unproject([u, v]))
                    np.testing.assert_allclose(back, [u, v], atol=1e-6)


def test_a_cameras_file_and_a_mesh(tmp_path):
    """The transform has a scale, 2.5, and the chunk local coordinates: an exported mesh is in the world's."""
    (tmp_path / "cameras.xml").write_text(CAMERAS)
    mesh = dr.Chunk(transform=dr.load_chunk(tmp_path / "cameras.xml").transform).to_world(
        (np.array([[-9, -9, 4], [-9, 9, 4], [9, 9, 4], [9, -9, 4.0]]), np.array([[0, 1, 2], [0, 2, 3]]))
    )
    (tmp_path / "wall.ply").write_bytes(ply(mesh.vertices, mesh.faces, real="double"))
    doc = Metashape.Document()
    doc.open(tmp_path / "cameras.xml")
    doc.chunk.importModel(str(tmp_path / "wall.ply"), format=Metashape.ModelFormatPLY)
    assert doc.chunk.model.label == "wall" and doc.modified
    camera = doc.chunk.cameras[0]
    depth = doc.chunk.model.renderDepth(camera.transform, camera.calibration)
    np.testing.assert_allclose(np.asarray(depth)[..., 0], 4.0, rtol=1e-6)


@needs_pyproj
@pytest.mark.parametrize("system", ["local", "chunk's", "utm"])
def test_a_mesh_for_a_georeferenced_chunk_is_said_to_be_in_a_system(chunk, project, tmp_path, system):
    given = {
        "local": (project.mesh, Metashape.CoordinateSystem("LOCAL"), (1.0, -2.0, 3.0)),
        "chunk's": (project.chunk.to_world(project.mesh, WGS84), chunk.crs, (0.0, 0.0, 0.0)),
        "utm": (
            project.chunk.to_world(project.mesh, "EPSG:32632"),
            Metashape.CoordinateSystem("EPSG::32632"),
            (3.8e5, 5.2e6, 500.0),
        ),
    }[system]
    (vertices, faces), crs, shift = given
    (tmp_path / "m.ply").write_bytes(ply(vertices - np.asarray(shift), faces, real="double"))
    with pytest.raises(
        ValueError, match=r"without crs; the system of its coordinates is needed: pass crs=chunk\.crs"
    ):
        chunk.importModel(tmp_path / "m.ply")
    assert len(chunk.models) == 1
    chunk.importModel(tmp_path / "m.ply", crs=crs, shift=Metashape.Vector(shift))
    assert len(chunk.models) == 2 and chunk.model is chunk.models[1]
    np.testing.assert_allclose(np.asarray(chunk.model.vertices), project.mesh[0], atol=1e-6)
    chunk.importModel(tmp_path / "m.ply", crs=crs, shift=shift, replace_asset=True)
    assert len(chunk.models) == 2
    chunk.model = chunk.models[0]
    assert chunk.model.label == "Model"
    with pytest.raises(ValueError, match="is no model of chunk 'Hills'"):
        chunk.model = Metashape.Model(chunk, 9, "", lambda: None)
