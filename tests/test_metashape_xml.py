"""Cameras files: what is read, what is refused and in which words; real ones are in ``test_metashape_real.py``."""

from __future__ import annotations

import re
import time
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthraster as dr
from depthraster.io.metashape_project import load_chunk

ADJUSTED = (
    '<calibration type="frame" class="adjusted"><resolution width="80" height="60"/>'
    "<f>70</f><cx>1.5</cx><k1>-0.1</k1></calibration>"
)
SENSOR = f'<sensor id="0" label="lens" type="frame"><resolution width="80" height="60"/>{ADJUSTED}</sensor>'
POSE = "1 0 0 1 0 -1 0 2 0 0 -1 3 0 0 0 1"
TURN = "0 -1 0 1 0 0 0 0 1"
CAMERA = f'<camera id="0" sensor_id="0" label="a"><transform>{POSE}</transform></camera>'


def chunk_text(sensors: str = SENSOR, cameras: str = CAMERA, more: str = "", label: str = "C") -> str:
    return (
        f'<chunk label="{label}"><sensors>{sensors}</sensors>{more}<cameras>{cameras}</cameras>'
        "<reference>LOCAL_CS[]</reference></chunk>"
    )


def document(*chunks: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<document version="2.0.0">{"".join(chunks)}</document>\n'


@pytest.fixture
def read(tmp_path):
    """Read a chunk from its parts, or a whole text, through a file."""

    def read(text: str | bytes | None = None, chunk: str | int | None = None, **parts: str) -> dr.Chunk:
        if text is None:
            text = document(chunk_text(**parts))
        path = tmp_path / "cameras.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_chunk(path, chunk)

    return read


def sensor_text(inside: str, **attributes: Any) -> str:
    names = "".join(
        f' {k}="{v}"' for k, v in ({"id": 0, "label": "lens", "type": "frame"} | attributes).items()
    )
    return f"<sensor{names}>{inside}</sensor>"


# --- what is read -----------------------------------------------------------------------------------------------------


def test_reads_a_plain_file(read):
    chunk = read()
    (camera,) = chunk.cameras
    assert (chunk.label, chunk.crs, camera.label, camera.id, camera.sensor_id) == (
        "C",
        "LOCAL_CS[]",
        "a",
        0,
        0,
    )
    assert camera.enabled and camera.aligned
    assert camera.calibration == dr.Calibration(80, 60, 70, cx=1.5, k1=-0.1)
    assert np.array_equal(camera.transform, np.array(POSE.split(), float).reshape(4, 4))
    assert chunk.sensors[0].calibration is camera.calibration
    assert (chunk.sensors[0].width, chunk.sensors[0].height) == (80, 60)
    assert chunk.transform is None and chunk.scale is None and chunk.region is None


def test_arrays_cannot_be_written_to(read):
    camera = read().cameras[0]
    assert camera.transform.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        camera.transform[0, 0] = 2.0
    with pytest.raises(AttributeError):
        camera.label = "b"


def test_a_value_keeps_its_own_copy_of_an_array():
    given_ = np.eye(4)
    camera = dr.Camera(id=0, transform=given_)
    given_[0, 3] = 5.0
    assert camera.transform[0, 3] == 0.0


def test_sensors_are_joined_by_id_not_position(read):
    other = sensor_text(ADJUSTED.replace("<f>70</f>", "<f>99</f>"), id=7, label="other")
    cameras = (
        f'<camera id="9" sensor_id="0" label="a"><transform>{POSE}</transform></camera>'
        '<camera id="4" sensor_id="7" label="b"/>'
    )
    chunk = read(sensors=other + SENSOR, cameras=cameras)
    assert [(c.id, c.label, c.calibration.f) for c in chunk.cameras] == [(9, "a", 70), (4, "b", 99)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_adjusted_calibration_wins_wherever_it_stands(read, order):
    initial = '<calibration type="frame" class="initial"><resolution width="80" height="60"/><f>60</f></calibration>'
    both = [initial, ADJUSTED]
    chunk = read(sensors=sensor_text("".join(both[k] for k in order)))
    assert chunk.cameras[0].calibration.f == 70
    assert read(sensors=sensor_text(initial)).cameras[0].calibration == dr.Calibration(80, 60, 60)


def test_a_calibration_has_its_own_resolution(read):
    inside = '<resolution width="8" height="6"/>' + ADJUSTED
    assert read(sensors=sensor_text(inside)).cameras[0].calibration.width == 80
    inside = '<resolution width="8" height="6"/>' + ADJUSTED.replace(
        '<resolution width="80" height="60"/>', ""
    )
    assert read(sensors=sensor_text(inside)).cameras[0].calibration.width == 8


def test_every_parameter_is_found_by_its_name(read):
    names = ["b2", "p2", "k4", "cy", "k2", "p1", "b1", "k3", "cx", "k1"]
    values = {n: 0.001 * (k + 1) for k, n in enumerate(names)}
    tags = "".join(f"<{name}>{value!r}</{name}>" for name, value in values.items())
    inside = f'<calibration class="adjusted">{tags}<f> 7.0e+001 </f><resolution height="60" width="80"/></calibration>'
    assert read(sensors=sensor_text(inside)).cameras[0].calibration == dr.Calibration(80, 60, 70, **values)


@pytest.mark.parametrize(
    ("text", "enabled"),
    [("", True), ("true", True), ("1", True), ("false", False), ("0", False), ("False", False)],
)
def test_enabled_in_every_spelling(read, text, enabled):
    attribute = f' enabled="{text}"' if text else ""
    camera = read(cameras=CAMERA.replace("<camera", "<camera" + attribute)).cameras[0]
    assert camera.enabled is enabled and camera.aligned


def test_cameras_in_groups_are_found_and_keyframes_left_out(read):
    cameras = (
        f'<group id="0" label="g" type="folder"><group id="1" label="h">{CAMERA}</group>'
        '<camera id="5" sensor_id="0" label="not aligned"/></group>'
        f'<camera id="6"><transform>{POSE}</transform></camera>'
        '<camera id="7" sensor_id="0" label="a"/>'
    )
    chunk = read(cameras=cameras)
    assert [(c.id, c.aligned) for c in chunk.cameras] == [(0, True), (5, False), (7, False)]
    assert chunk.cameras[1].transform is None and chunk.cameras[1].calibration is not None


def test_cameras_know_their_groups(read):
    def camera(k: int) -> str:
        return f'<camera id="{k}" sensor_id="0" label="c{k}"/>'

    cameras = (
        f'{camera(0)}<group id="4" label="out" type="station">{camera(1)}<group id="2" label="in">{camera(2)}</group>'
        f'{camera(3)}<group label="nameless">{camera(4)}</group></group>{camera(5)}<group id="9" label="empty"/>'
    )
    chunk = read(cameras=cameras)
    assert [c.group_id for c in chunk.cameras] == [None, 4, 2, 4, 4, None]
    assert [(g.id, g.label, g.type, g.parent_id) for g in chunk.groups] == [
        (4, "out", "station", None),
        (2, "in", "folder", 4),
        (9, "empty", "folder", None),
    ]


def test_deep_groups(read):
    depth = 20_000
    chunk = read(cameras="<group>" * depth + CAMERA + "</group>" * depth)
    assert len(chunk.cameras) == 1


REFERENCE = '<reference x="-120.5" y="38.9" z="1965" yaw="91.7" pitch="25" roll="-0" sxyz="62"/></camera>'


def test_where_a_photo_was_taken_from_is_kept(read):
    reference = read(cameras=CAMERA.replace("</camera>", REFERENCE)).cameras[0].reference
    assert reference.location.tolist() == [-120.5, 38.9, 1965] and reference.rotation.tolist() == [
        91.7,
        25,
        0,
    ]
    assert reference.enabled and not reference.rotation_enabled
    partly = REFERENCE.replace(' z="1965"', "").replace("/>", ' enabled="false" rotation_enabled="1"/>')
    reference = read(cameras=CAMERA.replace("</camera>", partly)).cameras[0].reference
    assert reference.location is None and not reference.enabled and reference.rotation_enabled
    assert read().cameras[0].reference is None


@pytest.mark.parametrize("bad", ["nan", "1e999", "x"])
def test_a_bad_reference_costs_the_reference_only(read, bad):
    with pytest.warns(UserWarning, match="the reference of camera 'a' is not all finite numbers: left out"):
        chunk = read(cameras=CAMERA.replace("</camera>", REFERENCE.replace("38.9", bad)))
    assert chunk.cameras[0].reference is None and chunk.cameras[0].aligned


def test_a_chunk_without_cameras_is_read(read):
    assert read(document('<chunk label="C"/>')).cameras == ()


def test_legacy_calibrations_are_turned_into_todays(read):
    inside = (
        '<resolution width="80" height="60"/><calibration type="frame" class="adjusted">'
        "<resolution width='80' height='60'/><fx>71</fx><fy>70</fy><cx>42</cx><cy>29</cy><skew>0.5</skew>"
        "<k1>-0.1</k1><p1>0.001</p1><p2>0.002</p2></calibration>"
    )
    assert read(sensors=sensor_text(inside)).cameras[0].calibration == dr.Calibration(
        80, 60, 70, cx=2, cy=-1, b1=1, b2=0.5, k1=-0.1, p1=0.002, p2=0.001
    )


def test_legacy_principal_point_is_central_where_missing(read):
    inside = '<resolution width="80" height="60"/><calibration><fy>70</fy></calibration>'
    assert read(sensors=sensor_text(inside)).cameras[0].calibration == dr.Calibration(80, 60, 70)


def test_a_sensor_without_calibration_takes_its_nominal_focal_length(read):
    inside = (
        '<resolution width="6000" height="4000"/><property name="pixel_width" value="0.004"/>'
        '<property name="pixel_height" value="0.005"/><property name="focal_length" value="24"/>'
    )
    with pytest.warns(UserWarning, match="'lens' has no usable calibration: its nominal focal length"):
        calibration = read(sensors=sensor_text(inside)).cameras[0].calibration
    assert (calibration.width, calibration.height) == (6000, 4000)
    assert (calibration.f, calibration.f + calibration.b1) == pytest.approx((4800, 6000), rel=1e-15)
    for missing in ("pixel_width", "focal_length"):
        chunk = read(sensors=sensor_text(inside.replace(missing, "something_else")))
        assert chunk.cameras[0].calibration is None and chunk.cameras[0].aligned
        assert chunk.sensors[0].width == 6000


@pytest.mark.parametrize("kind", ["rpc", "unknown", "{odd} {0}"])
def test_other_lenses_are_named_and_their_cameras_kept(read, kind):
    sensors = SENSOR + sensor_text(ADJUSTED.replace("frame", kind), id=1, label="wide", type=kind)
    cameras = CAMERA + CAMERA.replace('id="0" sensor_id="0" label="a"', 'id="1" sensor_id="1" label="b"')
    with pytest.warns(UserWarning, match=rf"sensor 'wide' is '{re.escape(kind)}', not supported") as caught:
        chunk = read(sensors=sensors, cameras=cameras)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the reader's caller is pointed at
    assert [c.calibration is None for c in chunk.cameras] == [False, True]
    assert chunk.cameras[1].aligned and chunk.sensors[1].type == kind


@pytest.mark.parametrize(
    ("kind", "lens"),
    [
        ("fisheye", "fisheye"),
        ("equidistant_fisheye", "fisheye"),  # the name since 2.3
        ("equisolid_fisheye", "equisolid_fisheye"),
    ],
)
def test_fisheyes(read, kind, lens):
    chunk = read(sensors=sensor_text(ADJUSTED.replace("frame", kind), type=kind))
    assert chunk.cameras[0].calibration == dr.Calibration(80, 60, 70, cx=1.5, k1=-0.1, type=lens)
    assert chunk.sensors[0].type == kind


def test_the_lens_is_the_calibrations_where_it_says_one(read):
    chunk = read(sensors=sensor_text(ADJUSTED.replace("frame", "fisheye"), type="frame"))
    assert chunk.cameras[0].calibration.type == "fisheye"
    chunk = read(sensors=sensor_text(ADJUSTED.replace(' type="frame"', ""), type="fisheye"))
    assert chunk.cameras[0].calibration.type == "fisheye"


@pytest.mark.parametrize(
    "calibration", ["", '<calibration type="spherical" class="adjusted"><cx>3</cx></calibration>']
)
def test_spherical_panoramas_need_no_calibration(read, calibration):
    inside = f'<resolution width="80" height="40"/><property name="focal_length" value="1"/>{calibration}'
    found = read(sensors=sensor_text(inside, type="spherical")).cameras[0].calibration
    assert found == dr.Calibration(80, 40, 80 / (2 * np.pi), cx=3 if calibration else 0, type="spherical")


def test_cylindrical_panoramas(read):
    inside = '<calibration type="cylindrical"><resolution width="80" height="40"/><f>20</f></calibration>'
    found = read(sensors=sensor_text(inside, type="cylindrical")).cameras[0].calibration
    assert found == dr.Calibration(80, 40, 20, type="cylindrical")
    with pytest.raises(
        dr.FormatError, match=r"sensor 'lens': k1 is -0\.1, but a cylindrical lens has no distortion"
    ):
        read(sensors=sensor_text(inside.replace("<f>", "<k1>-0.1</k1><f>"), type="cylindrical"))


OWN = '<calibration class="adjusted">{}<k1>-0.2</k1></calibration></camera>'


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("<f>75</f>", dr.Calibration(80, 60, 75, k1=-0.2)),  # whole: what is missing is zero
        ("", dr.Calibration(80, 60, 70, cx=1.5, k1=-0.2)),  # what differs from the sensor's
        ('<resolution width="40" height="30"/><f>75</f>', dr.Calibration(40, 30, 75, k1=-0.2)),
    ],
)
def test_a_photo_can_have_a_calibration_of_its_own(read, inside, expected):
    cameras = CAMERA.replace("</camera>", OWN.format(inside)) + CAMERA.replace('id="0"', 'id="1"', 1)
    chunk = read(cameras=cameras)
    assert [camera.calibration for camera in chunk.cameras] == [expected, chunk.sensors[0].calibration]


def test_a_photos_own_calibration_that_cannot_be_used_is_reported(read):
    for inside, says in (
        ('<calibration type="rpc"/>', "the lens of camera 'a' is 'rpc', not supported"),
        ("<calibration><f>7</f><corrections/></calibration>", "corrections of camera 'a' are not applied"),
    ):
        with pytest.warns(UserWarning, match=says):
            chunk = read(cameras=CAMERA.replace("</camera>", f"{inside}</camera>"))
        assert (chunk.cameras[0].calibration is None) == ("rpc" in inside)
    with pytest.warns(UserWarning, match="calibration of camera 'a' has no focal length or no image size"):
        chunk = read(sensors=sensor_text(""), cameras=CAMERA.replace("</camera>", OWN.format("")))
    assert chunk.cameras[0].calibration is None


def test_an_unusable_calibration_is_reported(read):
    inside = '<calibration class="adjusted"><f>70</f></calibration>'
    with pytest.warns(UserWarning, match="calibration of sensor 'lens' has no focal length or no image size"):
        assert read(sensors=sensor_text(inside)).cameras[0].calibration is None


def test_what_is_not_applied_is_reported_once_per_file(read):
    corrected = ADJUSTED.replace("</calibration>", "<corrections type='fourier'/></calibration>")
    blocks = [
        CAMERA.replace('id="0"', f'id="{k}"', 1)
        .replace('"a"', f'"a{k}"')
        .replace("</camera>", "<rolling_shutter><rotation>1</rotation></rolling_shutter></camera>")
        for k in range(5)
    ]
    with pytest.warns(UserWarning) as caught:
        chunk = read(sensors=sensor_text(corrected), cameras="".join(blocks))
    messages = sorted(str(w.message).split(": ", 1)[1] for w in caught)
    assert messages == [
        "rolling shutter is not compensated, pixels may be off by some: camera 'a0', 'a1', 'a2' and 2 more",
        "the additional corrections of sensor 'lens' are not applied: pixels may be off by some",
    ]
    assert len(chunk.cameras) == 5


# --- the chunk's transform and region -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts", [("rotation",), ("translation",), ("scale",), ("rotation", "scale", "translation")]
)
def test_missing_parts_of_the_chunk_transform_are_identity(read, parts):
    texts = {"rotation": TURN, "translation": "1 2 3", "scale": "2.5"}
    inside = "".join(f'<{part} locked="true">{texts[part]}</{part}>' for part in parts)
    chunk = read(more=f"<transform>{inside}</transform>")
    expected = np.eye(4)
    if "rotation" in parts:
        expected[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    if "scale" in parts:
        expected[:3, :3] *= 2.5
    if "translation" in parts:
        expected[:3, 3] = 1, 2, 3
    assert np.array_equal(chunk.transform, expected)
    assert chunk.scale == pytest.approx(2.5 if "scale" in parts else 1.0, rel=1e-15)


def component(number: int, scale: str, region: str = "") -> str:
    return f'<component id="{number}"><transform><scale>{scale}</scale></transform>{region}</component>'


def test_the_active_component_comes_before_the_chunk(read):
    region = "<region><center>{0} 0 0</center><size>1 2 3</size></region>"
    both = component(0, "2", region.format(0)) + component(3, "5", region.format(3))
    chunk = read(more=f'<components active_id="3">{both}</components><transform><scale>7</scale></transform>')
    assert chunk.scale == pytest.approx(5)
    assert chunk.region.center.tolist() == [3, 0, 0] and np.array_equal(chunk.region.rotation, np.eye(3))
    chunk = read(
        more='<components active_id="0"><component id="0"/></components><transform><scale>7</scale></transform>'
    )
    assert chunk.scale == pytest.approx(7)
    assert read(more=f"<components>{component(4, '2')}</components>").scale == pytest.approx(2)


def test_cameras_of_another_component_are_reported(read):
    both = component(0, "2") + component(1, "5")
    cameras = CAMERA.replace("<camera", '<camera component_id="1"') + CAMERA.replace(
        'id="0" sensor_id', 'component_id="0" id="1" sensor_id'
    )
    with pytest.warns(UserWarning, match="camera 'a' is not in the active component, 0") as caught:
        chunk = read(more=f'<components active_id="0">{both}</components>', cameras=cameras)
    assert len(caught) == 1
    assert [c.component_id for c in chunk.cameras] == [1, 0]
    assert [c.in_active_component for c in chunk.cameras] == [False, True]
    assert all(c.aligned for c in chunk.cameras)


def test_components_are_kept_each_in_its_own_frame(read):
    region = "<region><center>1 0 0</center><size>1 2 3</size></region>"
    both = component(0, "2").replace("<component ", '<component label="first" ') + component(3, "5", region)
    chunk = read(more=f'<components active_id="3">{both}</components>')
    assert chunk.active_component_id == 3
    assert [(c.id, c.label, c.transform[0, 0]) for c in chunk.components] == [(0, "first", 2), (3, "", 5)]
    assert chunk.components[0].region is None and chunk.components[1].region.size.tolist() == [1, 2, 3]


@pytest.mark.parametrize("active", ["", ' active_id="7"'])
def test_components_of_which_none_is_active_are_reported(read, active):
    both = component(0, "2") + component(1, "5")
    cameras = CAMERA.replace("<camera", '<camera component_id="1"')
    with pytest.warns(UserWarning, match="none of the 2 components is said to be the active one"):
        chunk = read(more=f"<components{active}>{both}</components><transform><scale>7</scale></transform>",
                     cameras=cameras)  # fmt: skip
    assert chunk.active_component_id is None and chunk.scale == pytest.approx(7)
    assert chunk.cameras[0].in_active_component


def test_the_region_is_read(read):
    chunk = read(more=f"<region><center>1 2 3</center><size>4 5 6</size><R>{TURN}</R></region>")
    assert chunk.region.center.tolist() == [1, 2, 3] and chunk.region.size.tolist() == [4, 5, 6]
    assert chunk.region.rotation.tolist() == [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    assert not chunk.region.size.flags.writeable


# --- rigs -----------------------------------------------------------------------------------------------------------------

SLAVE = '<camera id="1" sensor_id="1" master_id="0" label="slave"/>'


def test_a_slave_is_placed_by_its_master(read):
    inside = ADJUSTED + f"<rotation>{TURN}</rotation><location>0.5 0 0.25</location>"
    chunk = read(
        sensors=SENSOR + sensor_text(inside, id=1, master_id=0),
        cameras=SLAVE + CAMERA,  # before its master
    )
    slave, master = chunk.cameras
    assert slave.master_id == 0 and master.master_id is None
    # By hand: the master sits at (1, 2, 3), looks down -Z with X along +X; the slave 0.5 to its right, 0.25 ahead.
    assert slave.transform[:3, 3].tolist() == [1.5, 2, 2.75]
    assert slave.transform[:3, :3].tolist() == [[0, -1, 0], [-1, 0, 0], [0, 0, -1]]


def test_a_fixed_slave_shares_its_masters_place(read):
    sensors = SENSOR + sensor_text(ADJUSTED + "<rotation/><location></location>", id=1, master_id=0)
    slave = read(
        sensors=sensors, cameras=CAMERA + SLAVE, more="<transform><scale>9</scale></transform>"
    ).cameras[1]
    assert np.array_equal(slave.transform, np.array(POSE.split(), float).reshape(4, 4))


def test_a_slave_is_where_its_master_is_in_its_component(read):
    sensors = SENSOR + sensor_text(ADJUSTED + "<location>0.5 0 0</location>", id=1, master_id=0)
    cameras = CAMERA.replace("<camera", '<camera component_id="1"') + SLAVE
    both = component(0, "1") + component(1, "1")
    with pytest.warns(UserWarning, match="camera 'a' is not in the active component"):
        chunk = read(sensors=sensors, cameras=cameras, more=f'<components active_id="0">{both}</components>')
    assert [(c.component_id, c.in_active_component) for c in chunk.cameras] == [(1, False)] * 2


def test_slaves_of_slaves(read):
    sensors = SENSOR + "".join(
        sensor_text(
            ADJUSTED + f"<rotation>{TURN}</rotation><location>{k} 0 0</location>", id=k, master_id=k - 1
        )
        for k in (1, 2)
    )
    slaves = '<camera id="2" sensor_id="2" master_id="1" label="second"/>' + SLAVE
    second, first, master = read(sensors=sensors, cameras=slaves + CAMERA).cameras
    offset = np.eye(4)
    offset[:3, :3] = np.array(TURN.split(), float).reshape(3, 3)
    for slave, of, x in ((first, master, 1), (second, first, 2)):
        offset[0, 3] = x
        assert np.array_equal(slave.transform, of.transform @ offset)


def test_layers_of_a_multispectral_camera_look_from_one_place(read):
    """Their sensors need not say that they have a master, only their cameras."""
    layer = sensor_text(f'<property name="layer_index" value="3"/>{ADJUSTED}', id=1)
    chunk = read(sensors=SENSOR + layer, cameras=CAMERA + SLAVE)
    assert np.array_equal(chunk.cameras[1].transform, chunk.cameras[0].transform)
    assert [sensor.layer_index for sensor in chunk.sensors] == [0, 3]


def test_a_slave_is_unsure_where_the_chunk_is_scaled(read):
    sensors = SENSOR + sensor_text(ADJUSTED + "<location>0.5 0 0</location>", id=1, master_id=0)
    with pytest.warns(UserWarning, match="camera 'slave' in its rig is taken to be in chunk units"):
        read(sensors=sensors, cameras=CAMERA + SLAVE, more="<transform><scale>9</scale></transform>")


@pytest.mark.parametrize(
    "cameras",
    [
        CAMERA + SLAVE.replace('sensor_id="1"', 'sensor_id="0"'),  # its sensor has no place in the rig
        SLAVE,  # no master
        SLAVE + '<camera id="0" sensor_id="0" label="a"/>',  # the master is not aligned
        SLAVE.replace('master_id="0"', 'master_id="1"'),  # its own master, which is no circle
    ],
)
def test_a_slave_that_cannot_be_placed_is_not_aligned(read, cameras):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'slave' has a master and no place in its rig")
        chunk = read(sensors=SENSOR + sensor_text(ADJUSTED, id=1, master_id=0), cameras=cameras)
    assert [c.transform for c in chunk.cameras if c.label == "slave"] == [None]


def test_a_slave_keeps_its_own_transform(read):
    sensors = SENSOR + sensor_text(ADJUSTED + "<location>0.5 0 0</location>", id=1, master_id=0)
    own = SLAVE.replace("/>", f"><transform>{POSE.replace('3', '8')}</transform></camera>")
    assert read(sensors=sensors, cameras=CAMERA + own).cameras[1].transform[2, 3] == 8


# --- which chunk ----------------------------------------------------------------------------------------------------------


def test_one_of_several_chunks_is_chosen(read):
    text = document(*(chunk_text(label=label) for label in ("north", "south", "south", "1")))
    assert read(text, "north").label == "north"
    assert read(text, 2).label == "south" and read(text, 3).label == "1" and read(text, "1").label == "1"
    with pytest.raises(dr.FormatError, match="4 chunks, 'north', 'south', 'south', '1'; one is needed"):
        read(text)
    for wrong in ("south", "east", 4, -1, True):
        with pytest.raises(ValueError, match="'north', 'south', 'south', '1'"):
            read(text, wrong)
    assert read(document(chunk_text(label="only")), "only").label == "only"
    with pytest.raises(ValueError, match="one of 'only' is needed"):
        read(document(chunk_text(label="only")), "other")


# --- what is refused ------------------------------------------------------------------------------------------------------

WHOLE = document(chunk_text())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("hello", "not read as XML"),
        (WHOLE[: len(WHOLE) // 2], "not read as XML"),
        (WHOLE.replace("UTF-8", "x-unknown"), "not read as XML"),
        ("<html><chunk/></html>", "<html>"),
        ('<document version="2.0.0"/>', "there is no <chunk>"),
        ("<calibration><f>1</f></calibration>", "calibration of one lens"),
        ('<!DOCTYPE x [<!ENTITY e "a">]><document><chunk label="&e;"/></document>', "entity"),
        ('<!DOCTYPE x SYSTEM "http://localhost/x.dtd"><document><chunk/></document>', "document type"),
    ],
)
def test_other_files_are_refused_in_one_sentence(read, tmp_path, text, says):
    with pytest.raises(dr.FormatError) as caught:
        read(text)
    message = str(caught.value)
    assert says in message and message.startswith(f"{tmp_path / 'cameras.xml'}: ")
    assert "needed" in message and "export the cameras" in message and "\n" not in message


def test_entities_are_not_expanded(read):
    entities = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10 if k else "x" * 10}">' for k in range(30))
    start = time.process_time()
    with pytest.raises(dr.FormatError, match="hostile"):
        read(f'<!DOCTYPE d [{entities}]><document><chunk label="&e29;"/></document>')
    assert time.process_time() - start < 1.0


def test_a_missing_file_and_a_folder_are_os_errors(tmp_path):
    for path in (tmp_path / "none.xml", tmp_path / "none.psx", tmp_path):
        with pytest.raises(OSError, match=re.escape(str(path))):
            load_chunk(path)


BAD = ["1e999", "-inf", "nan", "1_0", "abc", "", "1,5", "٣"]


@pytest.mark.parametrize("number", BAD)
def test_bad_numbers_are_refused_where_they_stand(read, number):
    with pytest.raises(dr.FormatError, match=r"sensor 'lens' <k1>: '.*' stands there; a finite number"):
        read(sensors=SENSOR.replace("-0.1", number))
    with pytest.raises(dr.FormatError, match=r"sensor 'lens' property focal_length"):
        read(sensors=sensor_text(f'<property name="focal_length" value="{number}"/>{ADJUSTED}'))
    pose = POSE.replace("3", number or "3 3")
    with pytest.raises(dr.FormatError, match=r"camera 'a' <transform>"):
        read(cameras=CAMERA.replace(POSE, pose))


@pytest.mark.parametrize(
    ("pose", "says"),
    [
        (" ".join(POSE.split()[:12]), "12 numbers stand there; 16 are needed"),
        ("1 0 0 1 0 1 0 2 0 0 -1 3 0 0 0 1", "mirrored"),
        ("1 0 0 1 0 1 0 2 0 0 0 3 0 0 0 1", "singular"),
        ("1 0 0 1 0 1.001 0 2 0 0 1 3 0 0 0 1", "no similarity"),
        ("1 0 0 0 0 1 0 0 0 0 1 0 1 2 3 1", "last row"),
    ],
)
def test_transforms_that_cannot_be_name_the_camera(read, pose, says):
    with pytest.raises(dr.FormatError, match=f"camera 'a' <transform>: .*{says}"):
        read(cameras=CAMERA.replace(POSE, pose))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("<f>70</f>", "<f>-70</f>", "sensor 'lens': f is -70"),
        ("<f>70</f>", "<f>0</f>", "sensor 'lens': f is 0"),
        ('width="80"', 'width="-80"', "sensor 'lens': width is -80"),
        ('width="80"', 'width="99999999"', "sensor 'lens': width is 99999999"),
        ('width="80"', 'width="8e1"', "sensor 'lens' <resolution>: width is '8e1'; a whole number"),
        ('<sensor id="0"', "<sensor", "sensor 'lens': it has no id"),
        ('sensor_id="0"', 'sensor_id="3"', "camera 'a': its sensor 3 is not in the file"),
        ('<camera id="0"', "<camera", "camera 'a': it has no id"),
        ('<camera id="0"', '<camera id="x"', "camera 'a': id is 'x'"),
        ('<camera id="0"', '<camera id="1_0"', "camera 'a': id is '1_0'"),
        ("<camera ", '<camera enabled="maybe" ', "camera 'a': enabled is 'maybe'"),
        ("</cameras>", CAMERA + "</cameras>", "two cameras have the id 0"),
        ("</sensors>", SENSOR + "</sensors>", "two sensors have the id 0"),
        ("<cameras>", "<transform><scale>0</scale></transform><cameras>", "<chunk> <transform> <scale>"),
        ("<cameras>", "<transform><scale>-2</scale></transform><cameras>", "the scale is -2"),
        (
            "<cameras>",
            "<transform><rotation>1 0 0 0 1 0 0 0 2</rotation></transform><cameras>",
            "<chunk> <transform>",
        ),
        ("<cameras>", "<region><center>1 2</center></region><cameras>", "<region> <center>: 2 numbers"),
    ],
)
def test_values_that_cannot_be_are_refused_where_they_stand(read, tmp_path, old, new, says):
    assert old in WHOLE
    with pytest.raises(dr.FormatError) as caught:
        read(WHOLE.replace(old, new))
    assert says in str(caught.value) and str(tmp_path / "cameras.xml") in str(caught.value)
    assert "needed" in str(caught.value) or "possible" in str(caught.value)


@given(st.data())
def test_a_file_cut_or_garbled_anywhere_is_read_or_refused(tmp_path_factory, data):
    text = bytearray(WHOLE.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    del text[data.draw(st.integers(1, len(text))) :]
    path = tmp_path_factory.mktemp("garbled") / "cameras.xml"
    path.write_bytes(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            chunk = load_chunk(path)
        except dr.FormatError:
            return
    assert isinstance(chunk, dr.Chunk)


# --- the oldest format --------------------------------------------------------------------------------------------------

LEGACY = (
    "<calibration><width>80</width><height>60</height><fx>71</fx><fy>70</fy><cx>42</cx><cy>29</cy><p1>0.001</p1>"
    "<p2>0.002</p2></calibration>"
)
MODERN = dr.Calibration(80, 60, 70, cx=2, cy=-1, b1=1, p1=0.002, p2=0.001)


def collection(*cameras: str, more: str = "") -> str:
    return f"<collection><cameras>{''.join(cameras)}</cameras>{more}</collection>"


def test_the_oldest_format(read):
    cameras = (
        f'<camera label="a">{LEGACY}<transform>{POSE}</transform></camera>',
        f'<camera label="b" enabled="0">{LEGACY.replace("70", "72")}</camera>',
        f'<camera label="c">{LEGACY}</camera>',
        '<camera label="d"><resolution width="80" height="60"/></camera>',
    )
    world = "<transform>0 -2 0 1 2 0 0 2 0 0 2 3 0 0 0 1</transform>"
    chunk = read(collection(*cameras, more=world))
    assert [(c.id, c.label, c.aligned, c.enabled, c.sensor_id) for c in chunk.cameras] == [
        (0, "a", True, True, 0),
        (1, "b", False, False, 1),
        (2, "c", False, True, 0),
        (3, "d", False, True, None),
    ]
    assert chunk.cameras[0].calibration == chunk.cameras[2].calibration == MODERN
    assert chunk.cameras[1].calibration.f == 72 and chunk.cameras[3].calibration is None
    assert [s.calibration for s in chunk.sensors] == [MODERN, chunk.cameras[1].calibration]
    assert chunk.scale == pytest.approx(2) and chunk.transform[:3, 3].tolist() == [1, 2, 3]
    assert read(collection()).cameras == ()


def test_the_size_of_an_old_calibration_may_stand_beside_it(read):
    bare = LEGACY.replace("<width>80</width><height>60</height>", "")
    camera = f'<camera label="a"><resolution width="80" height="60"/>{bare}</camera>'
    assert read(collection(camera)).cameras[0].calibration == MODERN


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings(read, encoding):
    text = document(chunk_text(label="Übersicht")).replace("UTF-8", encoding.removesuffix("-sig"))
    assert read(text.encode(encoding)).label == "Übersicht"
