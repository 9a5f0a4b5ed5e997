"""Documents, chunks, cameras and calibrations of the façade: what a file says, what a script changes, what is written."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

import depthraster as dr
import depthraster.metashape as Metashape
from chunks import NOT_IN_CAMERAS_FILES, same
from projects import CAMERA, SENSOR, chunk_xml, ply, write_psx, write_psz
from survey_project import LENS, OWN_LENS, SCALE, WGS84, survey
from test_examples import CAMERAS, WALL
from test_world import LOCAL, geocentric, utm

needs_pyproj = pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of pyproj")


@pytest.fixture
def project(tmp_path):
    return survey(tmp_path)


@pytest.fixture
def chunk(project):
    doc = Metashape.Document()
    doc.open(str(project.path))
    return doc.chunk


# --- documents ------------------------------------------------------------------------------------------------------------


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


# --- chunks ---------------------------------------------------------------------------------------------------------------


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


# --- models from files ----------------------------------------------------------------------------------------------------


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


# --- cameras and sensors --------------------------------------------------------------------------------------------------


def test_a_camera_says_what_the_file_says(chunk, project):
    camera, value = chunk.cameras[0], project.chunk.cameras[0]
    assert camera.transform == Metashape.Matrix(value.transform)
    np.testing.assert_array_equal(camera.center, value.transform[:3, 3])
    assert camera.type == Metashape.Camera.Type.Regular and camera.enabled and not camera.selected
    assert camera.sensor is chunk.sensors[0] and camera.calibration is camera.sensor.calibration
    assert camera.calibration.as_value() == LENS
    assert camera.key == 0 and camera.master is camera
    assert camera.photo.path.endswith("IMG_1.JPG") and chunk.cameras[1].photo is None
    own = chunk.cameras[2]
    assert own.calibration.as_value() == OWN_LENS and own.sensor.calibration.as_value() == LENS
    lost = chunk.cameras[4]
    assert lost.transform is None and lost.center is None and not chunk.cameras[5].enabled
    assert lost.project([0, 0, 0]) is None and lost.unproject([1, 2]) is None
    matrix = camera.transform
    matrix[0, 3] = 99
    assert camera.transform[0, 3] == value.transform[0, 3], "a matrix is a copy"
    sensor = camera.sensor
    assert (sensor.width, sensor.height, sensor.key, sensor.focal_length) == (160, 120, 0, 0.6)
    assert list(sensor.pixel_size) == [0.004, 0.004] and sensor.type == Metashape.Sensor.Type.Frame
    with pytest.raises(ValueError, match="the initial calibration of sensor 'drone' was asked for"):
        _ = sensor.user_calib


def test_a_camera_projects_points_of_the_chunk(chunk, project):
    camera, value = chunk.cameras[1], project.chunk.cameras[1]
    rng = np.random.default_rng(2)
    for point in rng.uniform([-9, -9, -3], [9, 9, 3], (20, 3)):
        seen = np.linalg.inv(value.transform) @ [*point, 1]
        expected = LENS.project(seen[:3])
        np.testing.assert_allclose(camera.project(Metashape.Vector(point)), expected, atol=1e-9)
        np.testing.assert_allclose(camera.error(point, [10, 20]), expected - [10, 20], atol=1e-9)
        again = camera.unproject(Metashape.Vector([*expected, seen[2]]))
        np.testing.assert_allclose(again, point, atol=1e-9)
    assert camera.project(camera.center + Metashape.Vector([0, 0, 5])) is None, "behind the camera"
    beside = camera.transform.mulp(Metashape.Vector([3, 0, 1]))
    assert camera.project(beside).x > 160 or camera.project(beside) is None
    np.testing.assert_array_equal(camera.unproject([30, 40, 0]), camera.center)
    ahead = camera.unproject([30, 40])
    assert camera.transform.inv().mulp(ahead).z == pytest.approx(1)


def test_a_slave_of_a_rig_has_its_master(tmp_path):
    sensors = SENSOR + SENSOR.replace('id="0"', 'id="1" master_id="0"')
    cameras = (
        '<camera id="0" sensor_id="0" label="a"><transform>1 0 0 1 0 -1 0 2 0 0 -1 3 0 0 0 1</transform></camera>'
        '<camera id="1" sensor_id="1" master_id="0" label="b"/>'
    )
    doc = Metashape.Document()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        doc.open(write_psx(tmp_path, [chunk_xml(sensors=sensors, cameras=cameras)]))
    assert doc.chunk.cameras[1].master is doc.chunk.cameras[0]
    assert doc.chunk.cameras[1].transform == doc.chunk.cameras[0].transform


def test_photos_are_opened_when_they_are_asked_for(chunk, tmp_path):
    camera = chunk.cameras[0]
    with pytest.raises(FileNotFoundError):
        camera.photo.image()
    Metashape.Image(8, 6, "RGB").save(tmp_path / "photo.png")
    photos = chunk.findCamera(0).chunk
    photos.addPhotos([str(tmp_path / "photo.png")])
    image = photos.cameras[-1].photo.image("RGB", "U8")
    assert (image.width, image.height) == (8, 6) and photos.cameras[-1].image().channels == "RGB"
    with pytest.raises(ValueError, match="camera 'IMG_2' has no photo"):
        chunk.cameras[1].image()


def test_references_say_where_the_receiver_was(tmp_path):
    cameras = (
        '<camera id="0" sensor_id="0" label="a"><reference x="7.5" y="47" z="600" yaw="10" pitch="20" roll="30" '
        'enabled="true" rotation_enabled="false"/></camera><camera id="1" sensor_id="0" label="b"/>'
    )
    doc = Metashape.Document()
    doc.open(write_psx(tmp_path, [chunk_xml(cameras=cameras)]))
    reference = doc.chunk.cameras[0].reference
    assert list(reference.location) == [7.5, 47, 600] and list(reference.rotation) == [10, 20, 30]
    assert reference.enabled and reference.location_enabled and not reference.rotation_enabled
    assert doc.chunk.cameras[1].reference.location is None


# --- calibrations ---------------------------------------------------------------------------------------------------------


def filled(value: dr.Calibration, kind=None) -> Metashape.Calibration:
    made = Metashape.Calibration()
    for name in (
        "width",
        "height",
        "f",
        "cx",
        "cy",
        "b1",
        "b2",
        "k1",
        "k2",
        "k3",
        "k4",
        "p1",
        "p2",
        "p3",
        "p4",
    ):
        setattr(made, name, getattr(value, name))
    if kind is not None:
        made.type = kind
    return made


def test_a_calibration_is_filled_as_scripts_do():
    made = Metashape.Calibration()
    assert made.width == made.height == 0 and made.f == 0.0 and made.type == Metashape.Sensor.Type.Frame
    made = filled(LENS)
    assert made.as_value() == LENS and made.as_value() is made.as_value()
    copy = made.copy()
    made.k1 = 0.5
    assert copy.as_value() == LENS and made.as_value().k1 == 0.5 and copy != made
    with pytest.raises(Metashape.NotOfferedError, match=r"Metashape\.Calibration\.rpc"):
        _ = made.rpc
    with pytest.raises(Metashape.NotOfferedError, match=r"Metashape\.Calibration\.fx"):
        made.fx = 3.0


def test_a_calibration_projects_and_unprojects():
    made = filled(LENS)
    for point in ((0.1, -0.2, 1.0), (3, 2, 15.0)):
        np.testing.assert_array_equal(made.project(Metashape.Vector(point)), LENS.project(point))
        np.testing.assert_array_equal(made.error(point, [1, 2]), LENS.project(point) - [1, 2])
    assert made.project([0, 0, -1]) is None and made.error([0, 0, -1], [0, 0]) is None
    assert made.project([1.5, 0, 1]).x > 160, "beside the image there are coordinates"
    np.testing.assert_array_equal(made.unproject(Metashape.Vector([10, 20])), LENS.unproject([10, 20]))
    assert made.unproject([10, 20]).z == 1.0


def test_where_a_lens_images_nothing_a_script_can_tell():
    """As Agisoft's own script looks for the part of the image that can be used."""
    folding = filled(dr.Calibration(width=400, height=300, f=280, k1=-0.3, k2=0.0, k3=0.0))

    def valid(point):
        back = folding.project(folding.unproject(point))
        return bool(back) and (back - point).norm() < 1.0

    assert valid(Metashape.Vector([200, 150]))
    assert not valid(Metashape.Vector([0, 0]))
    assert folding.project(folding.unproject([0, 0])) is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Fisheye", "fisheye"),
        ("EquidistantFisheye", "fisheye"),
        ("EquisolidFisheye", "equisolid_fisheye"),
        ("Spherical", "spherical"),
        ("Cylindrical", "cylindrical"),
    ],
)
def test_wide_lenses_are_the_librarys(kind, name):
    made = Metashape.Calibration()
    made.width, made.height, made.f = 200, 100, 100 / np.pi
    made.type = getattr(Metashape.Sensor.Type, kind)
    value = made.as_value()
    assert value == dr.Calibration(width=200, height=100, f=100 / np.pi, type=name)
    np.testing.assert_array_equal(made.project([1, 0.2, 0.3]), value.project([1, 0.2, 0.3]))


def test_what_is_no_calibration_says_why():
    made = Metashape.Calibration()
    with pytest.raises(ValueError, match="width is 0"):
        made.project([0, 0, 1])
    made.width, made.height = 10, 10
    with pytest.raises(ValueError, match=r"f is 0\.0"):
        made.unproject([0, 0])
    made.f = 10
    made.type = Metashape.Sensor.Type.RPC
    with pytest.raises(ValueError, match="satellite"):
        made.project([0, 0, 1])


# --- coordinate systems ---------------------------------------------------------------------------------------------------


@needs_pyproj
def test_coordinates_go_to_geocentric_ones_and_back():
    wgs84 = Metashape.CoordinateSystem("EPSG::4326")
    point = Metashape.Vector([7.44, 46.95, 560.0])
    earth = geocentric(*point)
    np.testing.assert_allclose(wgs84.unproject(point), earth, atol=1e-6)
    np.testing.assert_allclose(wgs84.project(earth), point, atol=1e-9)
    zone = Metashape.CoordinateSystem("EPSG::32632")
    np.testing.assert_allclose(
        Metashape.CoordinateSystem.transform(point, wgs84, zone)[:2],
        utm(np.array(7.44), np.array(46.95), 32),
        atol=1e-4,
    )
    np.testing.assert_allclose(zone.project(earth).z, 560.0, atol=1e-6)
    assert (zone.authority, zone.name) == ("EPSG::32632", "WGS 84 / UTM zone 32N")
    assert Metashape.CoordinateSystem.transform(point, wgs84, wgs84) == point
    two = Metashape.CoordinateSystem.transform([7.44, 46.95], wgs84, zone)
    assert len(two) == 2
    np.testing.assert_allclose(wgs84.geoccs.project(earth), earth, atol=1e-9)
    assert zone.copy() == zone != wgs84 and "METHOD" in zone.wkt2


@needs_pyproj
def test_the_local_frame_is_east_north_up():
    wgs84 = Metashape.CoordinateSystem("EPSG::4326")
    origin = Metashape.Vector(geocentric(7.44, 46.95, 560.0))
    frame = wgs84.localframe(origin)
    np.testing.assert_allclose(frame.mulp(origin), [0, 0, 0], atol=1e-8)
    np.testing.assert_allclose(frame.mulp(geocentric(7.44, 46.95, 660.0)), [0, 0, 100], atol=1e-6)
    east, north = (geocentric(7.44 + dx, 46.95 + dy, 560.0) for dx, dy in ((1e-5, 0), (0, 1e-5)))
    assert frame.mulp(east).x == pytest.approx(0.762, rel=1e-2) and abs(frame.mulp(east).y) < 1e-5
    assert frame.mulp(north).y == pytest.approx(1.112, rel=1e-2) and abs(frame.mulp(north).x) < 1e-5
    np.testing.assert_allclose(frame.rotation() * frame.rotation().t(), np.eye(3), atol=1e-12)


def test_a_local_system_is_where_the_transform_leads():
    for local in (
        Metashape.CoordinateSystem(),
        Metashape.CoordinateSystem("LOCAL"),
        Metashape.CoordinateSystem(LOCAL),
    ):
        assert list(local.project([1, 2, 3])) == list(local.unproject([1, 2, 3])) == [1, 2, 3]
        assert local.name == "Local Coordinates (m)" and local.authority == "" and local.geoccs is None
        np.testing.assert_array_equal(local.localframe([1, 2, 3]).mulp([1, 2, 4]), [0, 0, 1])
    with pytest.raises(TypeError, match="text is needed"):
        Metashape.CoordinateSystem(4326)


@needs_pyproj
def test_systems_that_are_none():
    with pytest.raises(ValueError, match="pyproj does not know"):
        Metashape.CoordinateSystem("EPSG::99999999")
    with pytest.raises(ValueError, match="pyproj does not know"):
        _ = Metashape.CoordinateSystem("no system").authority
    with pytest.raises(ValueError, match="with a place on the earth"):
        Metashape.CoordinateSystem.transform(
            [0, 0, 0], Metashape.CoordinateSystem(), Metashape.CoordinateSystem("EPSG::4326")
        )


# --- the rest -------------------------------------------------------------------------------------------------------------


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
