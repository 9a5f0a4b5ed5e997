"""Cameras, sensors and calibrations of the façade: places, pixels, lenses and their files."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import depthraster as dr
import depthraster.metashape as Metashape
from projects import SENSOR, chunk_xml, write_psx
from survey_project import LENS, OWN_LENS, survey


@pytest.fixture
def project(tmp_path):
    return survey(tmp_path)


@pytest.fixture
def chunk(project):
    doc = Metashape.Document()
    doc.open(str(project.path))
    return doc.chunk


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


def test_a_calibration_goes_to_metashapes_file_and_back(chunk, tmp_path):
    chunk.sensors[0].calibration.save(str(tmp_path / "lens.xml"))
    made = Metashape.Calibration()
    made.load(str(tmp_path / "lens.xml"), format=Metashape.CalibrationFormatXML)
    assert made.as_value() == LENS == dr.Calibration.load(tmp_path / "lens.xml")
    chunk.sensors[0].user_calib = made
    assert chunk.sensors[0].calibration == made and chunk.sensors[0].calibration is not made
    wide = Metashape.Calibration()
    wide.width, wide.height, wide.f, wide.k1 = 200, 100, 50, 0.01
    wide.type = Metashape.Sensor.Type.Fisheye
    wide.save(path=tmp_path / "wide.xml")
    made.load(tmp_path / "wide.xml")
    assert made.type == Metashape.Sensor.Type.Fisheye and made == wide


def test_a_calibration_goes_to_opencvs_file_and_back(tmp_path):
    lens = dr.Calibration(width=400, height=300, f=350, cx=2, cy=-3, k1=-0.1, k2=0.01, p1=1e-3, p2=-2e-3)
    filled(lens).save(str(tmp_path / "lens.xml"), format=Metashape.CalibrationFormatOpenCV)
    made = Metashape.Calibration()
    made.load(tmp_path / "lens.xml", format=Metashape.CalibrationFormatOpenCV)
    for name in ("f", "cx", "cy", "k1", "k2", "p1", "p2", "width", "height"):
        assert getattr(made, name) == pytest.approx(getattr(lens, name), abs=1e-9)
    # Files without a size are for the one that is set.
    text = (tmp_path / "lens.xml").read_text()
    text = re.sub(r"<(image_)?(width|height|Width|Height)>.*?</.*?>", "", text, flags=re.IGNORECASE)
    (tmp_path / "small.xml").write_text(text)
    fresh = Metashape.Calibration()
    with pytest.raises(dr.FormatError, match="width"):
        fresh.load(tmp_path / "small.xml", format=Metashape.CalibrationFormatOpenCV)
    fresh.width, fresh.height = 400, 300
    fresh.load(tmp_path / "small.xml", format=Metashape.CalibrationFormatOpenCV)
    assert fresh == made


@pytest.mark.parametrize("name", ["Australis", "Pix4D", "STMap"])
def test_other_calibration_files_are_refused_by_name(name, tmp_path):
    kind = getattr(Metashape, f"CalibrationFormat{name}")
    for call in (filled(LENS).save, Metashape.Calibration().load):
        with pytest.raises(ValueError, match=f"the format is CalibrationFormat{name}, which depthraster"):
            call(tmp_path / "lens.txt", format=kind)


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
