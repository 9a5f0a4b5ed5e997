"""Nerfstudio's and instant-ngp's transforms.json against nerfstudio's own way from pixel to ray."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import depthraster as dr
from lens_files import write

LENS = {
    "camera_model": "OPENCV", "fl_x": 1072.0, "fl_y": 1068.5, "cx": 1504.25, "cy": 1000.5, "w": 3008, "h": 2000,
    "k1": 0.0312, "k2": 0.0051, "k3": 0.0006, "k4": 0.0001, "p1": -6.47e-3, "p2": -1.37e-3,
}  # fmt: skip
FRAME = {"file_path": "images/1.jpg", "transform_matrix": np.eye(4).tolist()}


def ray_pixel(ray, lens) -> list[float]:
    """Where nerfstudio images a ray: `radial_and_tangential_undistort` and `_generate_rays_from_coords`, turned round."""
    x, y, z = ray
    rho = math.hypot(x, y)
    if lens["camera_model"] == "EQUIRECTANGULAR":
        theta, phi = math.atan2(x, z), math.atan2(y, math.hypot(x, z))
        return [lens["cx"] + lens["fl_x"] * theta / math.pi, lens["cy"] + lens["fl_y"] * phi / math.pi]
    if lens["camera_model"] == "OPENCV_FISHEYE":
        x, y = (coordinate / rho * math.atan2(rho, z) for coordinate in (x, y))
    else:
        x, y = x / z, y / z
    k1, k2, k3, k4, p1, p2 = (lens.get(name, 0.0) for name in ("k1", "k2", "k3", "k4", "p1", "p2"))
    r = x * x + y * y
    d = 1.0 + r * (k1 + r * (k2 + r * (k3 + r * k4)))
    xd = d * x + 2 * p1 * x * y + p2 * (r + 2 * x * x)
    yd = d * y + 2 * p2 * x * y + p1 * (r + 2 * y * y)
    return [lens["cx"] + lens["fl_x"] * xd, lens["cy"] + lens["fl_y"] * yd]


def load(folder, data, **options) -> dr.Calibration:
    return dr.Calibration.load(write(folder / "transforms.json", json.dumps(data)), **options)


def refused(folder, data, says: str, **options) -> None:
    with pytest.raises(dr.FormatError) as caught:
        load(folder, data, **options)
    message = str(caught.value)
    assert (
        message.startswith(f"{folder / 'transforms.json'}: ") and "\n" not in message and says in message
    ), message
    assert "needed" in message or "possible" in message


@pytest.mark.parametrize("model", ["OPENCV", "OPENCV_FISHEYE", "EQUIRECTANGULAR"])
def test_pixels_are_nerfstudios(tmp_path, model):
    values = LENS | {"camera_model": model}
    if model == "EQUIRECTANGULAR":
        values = {
            "camera_model": model,
            "fl_x": 1504,
            "fl_y": 1504,
            "cx": 1500.5,
            "cy": 752,
            "w": 3008,
            "h": 1504,
        }
    lens = load(tmp_path, values)
    rng = np.random.default_rng(5)
    for ray in rng.uniform(-0.4, 0.4, (40, 3)) + [0, 0, 1.0]:
        np.testing.assert_allclose(lens.project(ray), ray_pixel(ray, values), rtol=0, atol=1e-9)


def test_the_numbers_themselves(tmp_path):
    lens = load(tmp_path, LENS)
    assert (lens.type, lens.f, lens.b1, lens.cx, lens.cy) == ("frame", 1068.5, 3.5, 0.25, 0.5)
    assert (lens.k4, lens.p1, lens.p2) == (
        0.0001,
        -1.37e-3,
        -6.47e-3,
    )  # k4 the polynomial's; p1, p2 as in OpenCV
    panorama = {"camera_model": "EQUIRECTANGULAR", "fl_x": 1504, "fl_y": 1504, "w": 3008, "h": 1504}
    assert load(tmp_path, panorama) == dr.Calibration(width=3008, height=1504, type="spherical")
    refused(
        tmp_path,
        panorama | {"fl_y": 1500},
        "fl_x is 1504 and fl_y 1500, so the panorama has more pixels in a",
    )


@pytest.mark.parametrize("model", ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", None])
def test_words_for_frame_cameras(tmp_path, model):
    values = {name: value for name, value in LENS.items() if name != "camera_model"}
    assert load(tmp_path, values | ({"camera_model": model} if model else {})) == load(tmp_path, LENS)


def test_frames_that_share_the_lens_at_the_top(tmp_path):
    frames = [FRAME | {"file_path": f"images/{k}.jpg"} for k in range(3)]
    path = write(tmp_path / "transforms.json", json.dumps(LENS | {"frames": frames, "applied_scale": 2.0}))
    lenses = dr.load_calibrations(path)
    assert list(lenses) == ["images/0.jpg", "images/1.jpg", "images/2.jpg"]
    assert set(lenses.values()) == {load(tmp_path, LENS)}
    assert dr.Calibration.load(write(path, json.dumps(LENS | {"frames": frames}))) == load(tmp_path, LENS)


def test_frames_with_lenses_of_their_own(tmp_path):
    top = {name: LENS[name] for name in ("camera_model", "w", "h", "cx", "cy")}
    own = [{"file_path": f"{k}.jpg", "fl_x": 1000 + k, "fl_y": 1000 + k, "k1": k / 100} for k in (1, 2, 1.0)]
    own[2]["file_path"] = "3.jpg"
    path = write(tmp_path / "transforms.json", json.dumps(top | {"frames": own}))
    lenses = dr.load_calibrations(path)
    assert [lens.f for lens in lenses.values()] == [1001, 1002, 1001]
    assert dr.Calibration.load(path, "2.jpg") == lenses["2.jpg"] and lenses["2.jpg"].k1 == 0.02
    assert lenses["1.jpg"] == lenses["3.jpg"]
    refused(
        tmp_path,
        top | {"frames": own},
        "there are 3 cameras, '1.jpg', '2.jpg', '3.jpg'; one is needed: say which",
    )
    same = [own[0], own[2]]
    assert load(tmp_path, top | {"frames": same}) == lenses["1.jpg"]


def test_frames_that_contradict_the_top_are_refused(tmp_path):
    equal = FRAME | {"fl_x": 1072, "camera_model": "OPENCV"}
    assert load(tmp_path, LENS | {"frames": [equal]}) == load(tmp_path, LENS)
    refused(
        tmp_path,
        LENS | {"frames": [FRAME | {"fl_x": 1073}]},
        "frame 'images/1.jpg': fl_x is '1073' here and '1072.0' at the top of the file; one value is needed: take it out",
    )
    refused(
        tmp_path,
        LENS | {"frames": [FRAME, FRAME]},
        "frame 'images/1.jpg': there are two frames of this image",
    )


def test_instant_ngp(tmp_path):
    """Sizes as real numbers, the angle of view beside or instead of fl_x, a word of its own for fisheyes."""
    values = {"camera_angle_x": 0.7, "fl_x": 1375.52, "fl_y": 1374.49, "k1": 0.05, "k2": -0.08, "p1": 1e-3, "p2": 2e-3,
              "cx": 554.558, "cy": 965.268, "w": 1080.0, "h": 1920.0, "aabb_scale": 4}  # fmt: skip
    lens = load(tmp_path, values | {"frames": []})
    assert (lens.width, lens.height, lens.f, lens.cx, lens.p1) == (1080, 1920, 1374.49, 14.558, 2e-3)
    assert load(tmp_path, values | {"is_fisheye": True}).type == "fisheye"
    assert load(tmp_path, values | {"is_fisheye": False}) == lens
    refused(
        tmp_path,
        LENS | {"is_fisheye": True},
        "camera_model is 'OPENCV' and is_fisheye true; one lens model is",
    )
    refused(tmp_path, LENS | {"is_fisheye": 1}, "is_fisheye is '1'; true or false is needed")


def test_nerfs_synthetic_scenes(tmp_path):
    data = {"camera_angle_x": 0.6911112070083618, "frames": [FRAME]}
    refused(tmp_path, data, "the image's width is not in the file; it is needed: pass width= and height=")
    lens = load(tmp_path, data, width=800, height=800)
    assert lens.f == pytest.approx(1111.1110311937682, rel=1e-14) and (lens.cx, lens.cy, lens.b1) == (0, 0, 0)
    other = load(tmp_path, data | {"camera_angle_y": 0.5}, width=800, height=600)
    assert other.f == pytest.approx(300 / math.tan(0.25)) and other.b1 == pytest.approx(1111.111031 - other.f)
    refused(
        tmp_path,
        {"camera_angle_x": 3.2},
        "camera_angle_x is 3.2; an angle of view between",
        width=8,
        height=8,
    )


def test_whether_a_lens_is_a_fisheye_can_be_said_by_the_caller(tmp_path):
    values = {name: value for name, value in LENS.items() if name != "camera_model"}
    assert load(tmp_path, values, fisheye=True) == load(tmp_path, LENS | {"camera_model": "OPENCV_FISHEYE"})
    refused(tmp_path, LENS, "the lens is no fisheye as the file says, and one as the call does", fisheye=True)
    refused(tmp_path, LENS, "such a file counts pixels from its outer corner", pixel_center=0.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"camera_model": "FISHEYE624"},
            "camera_model is 'FISHEYE624', which has no counterpart; one of SIMPLE_PINHOLE",
        ),
        ({"k5": 0.1}, "the lens has k5 = 0.1, which Metashape's lenses have not"),
        ({"fl_x": None}, "fl_x: None stands there; a finite number is needed"),
        ({"fl_x": "wide"}, "fl_x: 'wide' stands there"),
        ({"fl_x": [1]}, "fl_x: ['1'] stands there"),
        ({"fl_x": True}, "fl_x: True stands there"),
        ({"fl_y": 0}, "a focal length is 0; a positive one is needed"),
        ({"w": 10.5}, "w: '10.5' stands there; a whole number of pixels is needed"),
        ({"h": 0}, "height is 0; 1 to"),
        ({"frames": 3}, "frames is no list"),
        ({"frames": [3]}, "frame 0 is no object"),
    ],
)
def test_what_is_no_lens_is_refused_by_name(tmp_path, change, says):
    refused(tmp_path, LENS | change, says)


def test_what_is_missing_is_asked_for(tmp_path):
    refused(tmp_path, {"frames": [FRAME], "w": 9, "h": 9}, "there is no fl_x; the focal length is needed")
    refused(tmp_path, {"frames": [], "fl_x": 9, "w": 9}, "the image's height is not in the file")


def test_what_is_written_is_json_for_nerfstudio(tmp_path):
    lens = dr.Calibration(width=3008, height=2000, f=1068.5, b1=3.5, cx=0.25, cy=0.5, k4=1e-9, p1=2e-3)
    lens.save(tmp_path / "transforms.json")
    data = json.loads((tmp_path / "transforms.json").read_text())
    assert data == {
        "camera_model": "OPENCV", "fl_x": 1072.0, "fl_y": 1068.5, "cx": 1504.25, "cy": 1000.5, "w": 3008, "h": 2000,
        "k1": 0.0, "k2": 0.0, "k3": 0.0, "k4": 1e-9, "p1": 0.0, "p2": 2e-3, "frames": [],
    }  # fmt: skip
    panorama = dr.Calibration(width=3008, height=1504, type="spherical")
    panorama.save(tmp_path / "transforms.json")
    data = json.loads((tmp_path / "transforms.json").read_text())
    assert (data["camera_model"], data["fl_x"], data["fl_y"]) == ("EQUIRECTANGULAR", 1504, 1504)
