"""Chunks written and read back: the same to the last bit, from real files, from hard ones, and from views made by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthraster as dr
from chunks import NOT_IN_CAMERAS_FILES, same
from depthraster.calibration import TYPES
from depthraster.chunk import Component, Group, Reference, Region, Sensor

LENS = dr.Calibration(80, 60, 70.1, cx=1.5, cy=-2, k1=-0.1, k4=1e-300, p1=1e-4, p3=-2, b1=0.3, b2=-0.2)


def turn(seed: int, scale: float = 1.0, move: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrix[:3, :3] = scale * q * np.sign(np.linalg.det(q))
    matrix[:3, 3] = move * rng.normal(size=3)
    return matrix


def back(chunk: dr.Chunk, path, ignore=NOT_IN_CAMERAS_FILES) -> dr.Chunk:
    dr.save_chunk(chunk, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dr.load_chunk(path)


def full() -> dr.Chunk:
    """A chunk with everything that a cameras file can say."""
    sensors = (
        Sensor(id=3, label='a "lens" <&>', width=80, height=60, calibration=LENS, calibration_class="adjusted",
               pixel_size=(0.1, 0.3), focal_length=1 / 3),
        Sensor(id=1, label="", width=80, height=60, calibration=replace(LENS, f=71.0), calibration_class="initial",
               layer_index=2, master_id=3, master_from_sensor=turn(1)),
        Sensor(id=0, label="no lens"),
    )  # fmt: skip
    cameras = (
        dr.Camera(id=9, label="über/ä\n\t\U0001f600'\"", transform=turn(2), calibration=LENS, sensor_id=3,
                  component_id=5, group_id=7, reference=Reference(location=(1 / 3, 2, 1e-300), rotation=(1, 2, 3))),
        dr.Camera(id=2, label="a", transform=turn(3), calibration=replace(LENS, f=1 / 7), sensor_id=3, enabled=False,
                  component_id=4, in_active_component=False, group_id=2),
        dr.Camera(id=4, label="a", transform=turn(4), calibration=sensors[1].calibration, sensor_id=1, master_id=9,
                  component_id=5, group_id=7),
        dr.Camera(id=0, label="", sensor_id=0, reference=Reference(enabled=False, rotation_enabled=True)),
    )  # fmt: skip
    region = Region(center=(1 / 3, 2, 3), size=(4, 5, 6), rotation=turn(5)[:3, :3])
    world = turn(6, 22.039365691522473, 5e6)
    return dr.Chunk(
        label="C",
        cameras=cameras,
        sensors=sensors,
        transform=world,
        region=region,
        crs='LOCAL_CS["a & b"]',
        enabled=False,
        groups=(Group(id=7, label="out"), Group(id=2, label="in", type="station", parent_id=7), Group(id=1)),
        components=(Component(id=4, label="first"), Component(id=5, transform=world, region=region)),
        active_component_id=5,
    )


def test_everything_reads_back_to_the_last_bit(tmp_path):
    chunk = full()
    same(chunk, back(chunk, tmp_path / "cameras.xml"), NOT_IN_CAMERAS_FILES)
    text = (tmp_path / "cameras.xml").read_text(encoding="utf-8")
    assert text.startswith(
        '<?xml version="1.0" encoding="UTF-8"?>\n<document version="2.0.0">\n  <chunk label="C"'
    )


def test_what_other_tools_look_for_is_where_they_look(tmp_path):
    """The paths that public readers of cameras files take."""
    chunk = full()
    dr.save_chunk(chunk, tmp_path / "cameras.xml")
    root = ElementTree.parse(tmp_path / "cameras.xml").getroot()
    assert root.find("chunk/sensors").get("next_id") == "4"
    sensor = root.find("chunk/sensors/sensor[@id='3']")
    assert sensor.find("resolution").attrib == {"width": "80", "height": "60"}
    calibration = sensor.find("calibration")
    assert calibration.attrib == {"type": "frame", "class": "adjusted"}
    assert float(calibration.find("f").text) == 70.1 and calibration.find("k2") is None
    assert calibration.find("cy").text == "-2" and calibration.find("resolution").get("width") == "80"
    assert root.find("chunk/components").attrib == {"next_id": "6", "active_id": "5"}
    members = root.find("chunk/components/component[@id='5']/partition/camera_ids").text
    assert members.split() == ["9", "4"]
    camera = root.find(".//camera[@id='9']")
    assert camera.get("enabled") is None and root.find(".//camera[@id='2']").get("enabled") == "false"
    numbers = camera.find("transform").text.split()
    assert len(numbers) == 16 and numbers[12:] == ["0", "0", "0", "1"]
    for place in ("chunk/transform", "chunk/components/component[@id='5']/transform"):
        rotation = np.array(root.find(f"{place}/rotation").text.split(), float).reshape(3, 3)
        assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-11
        assert float(root.find(f"{place}/scale").text) == pytest.approx(22.039365691522473, rel=1e-11)
    assert root.find("chunk/cameras/group/group/camera").get("id") == "2"


REAL = [
    "delfem2_mvs/camera.xml",
    "geograypher_composite/composite_georef_cameras.xml",
    "photoscan_collection/cameras.xml",
    "easyidp_psx/goya_test.psx",
    "easyidp_psx/wheat_tanashi.psx",
    "psz_dbat/c4040z_79b5e4cc.psz",
    "psz_dbat/camcal7din_30769b89.psz",
    "psz_dbat/pmtestin_7863077e.psz",
    "psz_dbat/sxb_5cdc1dba.psz",
]


@pytest.mark.parametrize("name", REAL)
def test_real_chunks_read_back_to_the_last_bit(real_data, tmp_path, name):
    if not (real_data / name).exists():
        pytest.skip(f"no {real_data / name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chunk = dr.load_chunk(real_data / name)
    same(chunk, back(chunk, tmp_path / "cameras.xml"), NOT_IN_CAMERAS_FILES | {"id"} if chunk.id is not None
         else NOT_IN_CAMERAS_FILES)  # fmt: skip


@given(seed=st.integers(0, 2**32), exponent=st.floats(-12, 12), move=st.floats(-1e8, 1e8))
def test_every_chunk_transform_reads_back_to_the_last_bit(tmp_path_factory, seed, exponent, move):
    chunk = dr.Chunk(transform=turn(seed, np.exp(exponent), move))
    same(chunk, back(chunk, tmp_path_factory.mktemp("w") / "cameras.xml"), NOT_IN_CAMERAS_FILES)


@given(st.lists(st.text(), max_size=5))
def test_every_label_reads_back_or_is_refused(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("w") / "cameras.xml"
    chunk = dr.Chunk(cameras=[dr.Camera(id=k, label=label) for k, label in enumerate(labels)])
    try:
        found = back(chunk, path)
    except ValueError as error:
        assert "which XML cannot hold" in str(error) and "\n" not in str(error) and not path.exists()
        assert any(not char.isprintable() or char == "\ufffe" for label in labels for char in label)
    else:
        assert [camera.label for camera in found.cameras] == labels


def test_views_made_by_hand_travel(tmp_path):
    """Cameras without a sensor get one for each lens."""
    other = replace(LENS, f=99.0)
    cameras = [
        dr.Camera(id=k, label=f"view {k}", transform=dr.look_at((k, 0, 9), (k, 0, 0), up=(0, 1, 0)), calibration=lens)
        for k, lens in enumerate((LENS, other, LENS, None))
    ]  # fmt: skip
    chunk = dr.Chunk(label="made", cameras=cameras, sensors=[Sensor(id=5, label="there before")])
    found = back(chunk, tmp_path / "cameras.xml")
    same(chunk, found, NOT_IN_CAMERAS_FILES | {"sensors", "sensor_id"})
    assert [camera.sensor_id for camera in found.cameras] == [6, 7, 6, 8]
    assert [sensor.calibration for sensor in found.sensors] == [None, LENS, other, None]


def test_a_changed_transform_is_what_is_written(tmp_path):
    chunk = replace(full(), transform=turn(8, 3.0))
    found = back(chunk, tmp_path / "cameras.xml")
    assert found.transform.tobytes() == chunk.transform.tobytes()


def test_deep_groups(tmp_path):
    groups = [Group(id=k, label=str(k), parent_id=k - 1 if k else None) for k in range(3000)]
    chunk = dr.Chunk(groups=groups, cameras=[dr.Camera(id=0, label="a", group_id=2999)])
    same(chunk.groups, back(chunk, tmp_path / "cameras.xml").groups)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cameras": [dr.Camera(id=1), dr.Camera(id=1)]}, "two cameras have the id 1"),
        ({"sensors": [Sensor(id=1), Sensor(id=1)]}, "two sensors have the id 1"),
        ({"components": [Component(id=1), Component(id=1)]}, "two components have the id 1"),
        ({"groups": [Group(id=1), Group(id=1)]}, "group '' is in group None, which does not come before it, or is"),
        ({"groups": [Group(id=1, label="g", parent_id=2), Group(id=2)]}, "group 'g' is in group 2, which does not"),
        ({"cameras": [dr.Camera(id=1, label="c", group_id=8)]}, "camera 'c' is in the group 8, which the chunk has"),
        ({"cameras": [dr.Camera(id=1, label="c", sensor_id=8)]}, "camera 'c' has the sensor 8, which the chunk has"),
        ({"cameras": [dr.Camera(id=1, label="c\0")]}, r"the label 'c\x00' has the character '\x00'"),
        ({"crs": "a\x0bb"}, r"the reference 'a\x0bb' has the character '\x0b'"),
        ({"sensors": [Sensor(id=0, label="s", calibration=LENS)], "cameras": [dr.Camera(id=1, sensor_id=0)]},
         "camera '' has no calibration and its sensor 's' has one"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_said_and_nothing_is_written(tmp_path, change, says):
    path = tmp_path / "cameras.xml"
    path.write_text("before")
    with pytest.raises(ValueError) as caught:
        dr.save_chunk(dr.Chunk(**change), path)
    assert says in str(caught.value) and "needed" in str(caught.value)
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_lens_travels(tmp_path, kind):
    some = {"k1": -0.1, "p2": 1e-3} if kind not in ("spherical", "cylindrical", "orthographic") else {}
    f = 90 / (2 * np.pi) if kind == "spherical" else 33.3
    lens = dr.Calibration(90, 45, f, cx=1.5, cy=-0.25, type=kind, **some)
    chunk = dr.Chunk(cameras=[dr.Camera(id=0, label="a", transform=turn(1), calibration=lens)])
    (camera,) = back(chunk, tmp_path / "cameras.xml").cameras
    assert camera.calibration == lens
    sensor = ElementTree.parse(tmp_path / "cameras.xml").getroot().find("chunk/sensors/sensor")
    assert sensor.get("type") == kind


def test_no_project_is_written_and_arguments_in_the_wrong_order_are_refused(tmp_path):
    for name in ("a.psx", "a.PSZ"):
        with pytest.raises(ValueError, match=r"cameras file is written; \.xml is needed"):
            dr.save_chunk(dr.Chunk(), tmp_path / name)
    with pytest.raises(TypeError, match="the chunk is a str"):
        dr.save_chunk("a.xml", dr.Chunk())  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
