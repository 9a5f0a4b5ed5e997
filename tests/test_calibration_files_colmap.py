"""COLMAP's cameras: every model of its against numbers of its own, text and binary, and damage."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import depthraster as dr
from lens_files import write

# Where pycolmap 4.2.1 images the point (0.3, -0.2, 1) with these parameters on 1280 x 720 pixels (panorama 1280 x 640).
EXACT = [
    ("SIMPLE_PINHOLE", "900.5 640.25 359.1", [910.4, 179.0]),
    ("PINHOLE", "900.5 901.25 640.25 359.1", [910.4, 178.85000000000002]),
    ("SIMPLE_RADIAL", "900.5 640.25 359.1 -0.05", [908.644025, 180.17065]),
    ("RADIAL", "900.5 640.25 359.1 -0.05 0.02", [908.7353357, 180.1097762]),
    ("OPENCV", "900.5 901 640.25 359.1 -0.05 0.02 0.001 -0.002", [908.0689657, 180.4158424]),
    (
        "OPENCV_FISHEYE",
        "600.5 601 640.25 359.1 -0.05 0.02 0.001 -0.002",
        [812.1656156202387, 244.39416043545555],
    ),
    (
        "FULL_OPENCV",
        "900.5 901 640.25 359.1 -0.05 0.02 0.001 -0.002 0.01 0 0 0",
        [908.0749008954999, 180.411883406],
    ),
    ("SIMPLE_RADIAL_FISHEYE", "600.5 640.25 359.1 -0.05", [812.1158028555647, 244.52279809629027]),
    ("RADIAL_FISHEYE", "600.5 640.25 359.1 -0.05 0.01", [812.1405963418994, 244.50626910540046]),
    (
        "THIN_PRISM_FISHEYE",
        "600.5 601 640.25 359.1 -0.05 0.02 0.001 -0.002 0.003 -0.001 0 0",
        [811.7569170364421, 244.6428634118655],
    ),
    (
        "RAD_TAN_THIN_PRISM_FISHEYE",
        "600.5 601 640.25 359.1 -0.05 0.02 0.001 -0.002 0 0 0 0 0 0 0 0",
        [812.1656156202387, 244.39416043545555],
    ),
    ("SIMPLE_FISHEYE", "600.5 640.25 359.1", [813.1510346460054, 243.83264356932972]),
    ("FISHEYE", "600.5 601 640.25 359.1", [813.1510346460054, 243.73666741909602]),
    ("EQUIRECTANGULAR", "1280 640", [699.3750906097551, 281.44177753833833]),
]
FITTED = [
    ("FOV", "900.5 901 640.25 359.1 0.6", [914.3203344910858, 176.28499250307738]),
    ("SIMPLE_DIVISION", "900.5 640.25 359.1 -0.05", [908.6664883475498, 180.15567443496676]),
    ("DIVISION", "900.5 901 640.25 359.1 -0.05", [908.6664883475498, 180.05631611982793]),
    ("EUCM", "900.5 901 640.25 359.1 0.4 1.1", [903.132683824166, 183.7475675546374]),
    (
        "FULL_OPENCV",
        "900.5 901 640.25 359.1 -0.05 0.02 0.001 -0.002 0.01 0.1 -0.02 0.01",
        [904.7120203462006, 182.65504859194763],
    ),
    (
        "THIN_PRISM_FISHEYE",
        "600.5 601 640.25 359.1 -0.05 0.02 0.001 -0.002 0.003 -0.001 0.002 -0.001",
        [811.900734958974, 244.57089457636044],
    ),
    (
        "RAD_TAN_THIN_PRISM_FISHEYE",
        "600.5 601 640.25 359.1 -0.05 0.02 0.001 -0.002 0.001 -0.001 0.001 -0.002 0.0001 0.0002 -0.0001 0.0003",
        [812.475184104892, 244.09402026369952],
    ),
]
# Newer than that release; by their formulas (COLMAP, sensor/models/pinhole.h and brown_conrady.h).
NEWEST = [
    ("SKEWED_PINHOLE", "900 901 640.25 359.1 0.5", [900 * 0.3 - 0.5 * 0.2 + 640.25, -901 * 0.2 + 359.1]),
    (
        "BROWN_CONRADY",
        "900 640.25 359.1 -0.05 0.02 0.003 0.001 -0.002",
        [
            640.25 + 900 * (0.3 * (1 - 0.05 * 0.13 + 0.02 * 0.13**2 + 0.003 * 0.13**3) - 0.12e-3 - 0.62e-3),
            359.1 + 900 * (-0.2 * (1 - 0.05 * 0.13 + 0.02 * 0.13**2 + 0.003 * 0.13**3) + 0.21e-3 + 0.24e-3),
        ],
    ),
]
IDS = {
    "SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4, "OPENCV_FISHEYE": 5, "FULL_OPENCV": 6,
    "FOV": 7, "SIMPLE_RADIAL_FISHEYE": 8, "RADIAL_FISHEYE": 9, "THIN_PRISM_FISHEYE": 10, "RAD_TAN_THIN_PRISM_FISHEYE": 11,
    "SIMPLE_DIVISION": 12, "DIVISION": 13, "SIMPLE_FISHEYE": 14, "FISHEYE": 15, "EUCM": 16, "EQUIRECTANGULAR": 17,
    "SKEWED_PINHOLE": 18, "BROWN_CONRADY": 19,
}  # fmt: skip


def text(model: str, parameters: str, camera: int = 5, height: int = 720) -> str:
    height = 640 if model == "EQUIRECTANGULAR" else height
    return f"# Camera list\n# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n{camera} {model} 1280 {height} {parameters}\n"


def binary(model: str, parameters: str, camera: int = 5) -> bytes:
    numbers = [float(number) for number in parameters.split()]
    height = 640 if model == "EQUIRECTANGULAR" else 720
    head = struct.pack("<QIiQQ", 1, camera, IDS[model], 1280, height)
    return head + struct.pack(f"<{len(numbers)}d", *numbers)


@pytest.mark.parametrize("file", [text, binary], ids=["text", "binary"])
@pytest.mark.parametrize(("model", "parameters", "pixel"), EXACT + NEWEST)
def test_models_that_have_a_counterpart_are_the_same(tmp_path, file, model, parameters, pixel):
    path = write(tmp_path / "cameras", file(model, parameters))
    lenses = dr.load_calibrations(path)
    assert list(lenses) == [5]
    np.testing.assert_allclose(lenses[5].project([0.3, -0.2, 1.0]), pixel, rtol=0, atol=1e-9)
    assert dr.Calibration.load(path, 5) == lenses[5]


@pytest.mark.parametrize("file", [text, binary], ids=["text", "binary"])
@pytest.mark.parametrize(("model", "parameters", "pixel"), FITTED)
def test_models_that_have_none_are_refused_by_name_or_fitted(tmp_path, file, model, parameters, pixel):
    path = write(tmp_path / "cameras", file(model, parameters))
    with pytest.raises(
        dr.FormatError, match=rf"camera 5 \({model}\): COLMAP's {model} has .*Metashape's lenses have"
    ):
        dr.Calibration.load(path)
    with pytest.warns(UserWarning, match=rf"camera 5 \({model}\): .* lens was fitted") as caught:
        lens = dr.Calibration.load(path, fit=1.0)
    said = float(str(caught[0].message).split("fitted, ")[1].split(" px off at most")[0])
    assert np.abs(lens.project([0.3, -0.2, 1.0]) - pixel).max() <= said <= 1.0


@pytest.mark.parametrize(
    ("lens", "model", "parameters"),
    [
        ({}, "SIMPLE_PINHOLE", "500.0 320.0 240.0"),
        ({"b1": 1}, "PINHOLE", "501.0 500.0 320.0 240.0"),
        ({"k1": 0.1}, "SIMPLE_RADIAL", "500.0 320.0 240.0 0.1"),
        ({"k2": 0.1}, "RADIAL", "500.0 320.0 240.0 0.0 0.1"),
        ({"k1": 0.1, "b1": 1}, "OPENCV", "501.0 500.0 320.0 240.0 0.1 0.0 0.0 0.0"),
        ({"p1": 0.1}, "OPENCV", "500.0 500.0 320.0 240.0 0.0 0.0 0.0 0.1"),
        ({"k3": 0.1}, "FULL_OPENCV", "500.0 500.0 320.0 240.0 0.0 0.0 0.0 0.0 0.1 0.0 0.0 0.0"),
        ({"type": "fisheye"}, "SIMPLE_RADIAL_FISHEYE", "500.0 320.0 240.0 0.0"),
        ({"type": "fisheye", "k2": 0.1}, "RADIAL_FISHEYE", "500.0 320.0 240.0 0.0 0.1"),
        ({"type": "fisheye", "k4": 0.1}, "OPENCV_FISHEYE", "500.0 500.0 320.0 240.0 0.0 0.0 0.0 0.1"),
        (
            {"type": "fisheye", "p2": 0.1},
            "THIN_PRISM_FISHEYE",
            "500.0 500.0 320.0 240.0 0.0 0.0 0.1 0.0 0.0 0.0 0.0 0.0",
        ),
    ],
)
def test_the_simplest_model_that_has_all_terms_is_written(tmp_path, lens, model, parameters):
    lens = dr.Calibration(width=640, height=480, f=500, **lens)
    lens.save(tmp_path / "cameras.txt")
    lines = (tmp_path / "cameras.txt").read_text().splitlines()
    assert [line[:2] for line in lines[:3]] == ["# "] * 3 and lines[3:] == [f"1 {model} 640 480 {parameters}"]
    lens.save(tmp_path / "cameras.bin")
    numbers = [float(number) for number in parameters.split()]
    assert (tmp_path / "cameras.bin").read_bytes() == struct.pack(
        f"<QIiQQ{len(numbers)}d", 1, 1, IDS[model], 640, 480, *numbers
    )
    assert (
        dr.Calibration.load(tmp_path / "cameras.txt") == dr.Calibration.load(tmp_path / "cameras.bin") == lens
    )


def test_panoramas(tmp_path):
    lens = dr.Calibration(width=1280, height=640, type="spherical")
    for name in ("cameras.txt", "cameras.bin"):
        lens.save(tmp_path / name)
        assert dr.Calibration.load(tmp_path / name) == lens
    for other in (
        dr.Calibration(width=1280, height=640, cx=1, type="spherical"),
        dr.Calibration(width=1280, height=720, type="spherical"),
        dr.Calibration(width=1280, height=640, f=99, type="spherical"),
    ):
        with pytest.raises(
            ValueError, match="the panorama is no whole one with as many pixels in a degree across"
        ):
            other.save(tmp_path / "cameras.txt")
    path = write(tmp_path / "c.txt", "1 EQUIRECTANGULAR 1280 720 1280 720\n")
    with pytest.raises(
        dr.FormatError, match="the panorama has 1280 x 720 pixels; twice as many across as down"
    ):
        dr.Calibration.load(path)
    path = write(tmp_path / "c.txt", "1 EQUIRECTANGULAR 1280 640 1280 720\n")
    with pytest.raises(
        dr.FormatError, match="the parameters say 1280 x 720 and the size 1280 x 640; one size"
    ):
        dr.Calibration.load(path)


GOOD = "1 PINHOLE 640 480 500 500 320 240\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (GOOD + "x\n", "line 2: 'x' stands there; CAMERA_ID, MODEL, WIDTH, HEIGHT and parameters are needed"),
        (GOOD + GOOD, "camera 1: there are two with this id; different ids are needed"),
        (GOOD.replace("PINHOLE", "PIN_HOLE"), "the lens model is 'PIN_HOLE', which COLMAP has not; one of SIMPLE_"),
        (GOOD.replace(" 240", ""), "camera 1 (PINHOLE): 3 parameters stand there; fx, fy, cx, cy are needed"),
        (GOOD.replace("240\n", "240 0\n"), "5 parameters stand there; fx, fy, cx, cy are needed"),
        (GOOD.replace("320", "nan"), "camera 1: 'nan' stands there; a finite number is needed"),
        (GOOD.replace("320", "1e999"), "camera 1: '1e999' stands there"),
        (GOOD.replace("320", "0x10"), "camera 1: '0x10' stands there"),
        (GOOD.replace("640", "0"), "width is 0; 1 to"),
        (GOOD.replace("640", "9" * 300), "pixels are possible"),
        (GOOD.replace("500", "-500"), "f is -500.0; a positive focal length"),
        (GOOD.replace("PINHOLE 640", "PINHOLE 64O"), "the text begins with '1 PINHOLE 64O"),
        ("# CAMERA_ID, MODEL\n", "there is no camera in it; one is needed"),
        ("1 0.85 0.01 0.5 -0.1 -0.7 1.0 3.7 1 P1180141.JPG\n2362.39 248.49 58396\n", "the text begins with '1 0.85"),
    ],
)  # fmt: skip
def test_text_that_is_no_list_of_cameras_is_refused(tmp_path, content, says):
    path = write(tmp_path / "cameras.txt", content)
    with pytest.raises(dr.FormatError) as caught:
        dr.Calibration.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and says in message, message


def test_binary_that_is_no_list_of_cameras_is_refused(tmp_path):
    good = binary("PINHOLE", "500 500 320 240")
    assert dr.Calibration.load(write(tmp_path / "cameras.bin", good)).f == 500
    for length in range(1, len(good)):
        path = write(tmp_path / "cut.bin", good[:length])
        with pytest.raises(dr.FormatError, match=r"cut\.bin: .* needed: "):
            dr.Calibration.load(path)
    for data, says in (
        (good + b"\0", "1 bytes follow the last camera; a cameras.bin of COLMAP is needed"),
        (
            struct.pack("<Q", 2**63) + good[8:],
            "this is no file that is known, or a damaged one; a cameras.bin",
        ),
        (struct.pack("<Q", 2) + good[8:] * 2, "camera 5: there are two with this id"),
        (struct.pack("<Q", 2) + good[8:], "the file ends within camera 2 of 2"),
        (
            struct.pack("<QIiQQ4d", 1, 5, 99, 640, 480, *[1.0] * 4),
            "the lens model has the number 99, which is not",
        ),
        (
            struct.pack("<QIiQQ4d", 1, 5, -1, 640, 480, *[1.0] * 4),
            "the lens model has the number -1, which is not",
        ),
        (struct.pack("<QIiQQ4d", 1, 5, 1, 640, 480, *[np.nan] * 4), "a parameter is not finite"),
        (struct.pack("<QIiQQ4d", 1, 5, 1, 2**64 - 1, 480, *[1.0] * 4), "pixels are possible"),
        (bytes(8), "there is no camera in it; one is needed"),
        (bytes(99), "this is no file that is known"),
    ):
        path = write(tmp_path / "bad.bin", data)
        with pytest.raises(dr.FormatError) as caught:
            dr.Calibration.load(path)
        assert says in str(caught.value) and str(caught.value).startswith(f"{path}: ")


def test_options_that_contradict_the_file_are_refused(tmp_path):
    path = write(tmp_path / "cameras.txt", GOOD)
    for options, says in (
        (
            {"pixel_center": 0.0},
            "such a file counts pixels from its outer corner of the first; 0.5 is needed",
        ),
        ({"fisheye": True}, "the lens is no fisheye as the file says, and one as the call does"),
        ({"width": 641}, "the image's width is 640 in the file and 641 in the call"),
    ):
        with pytest.raises(dr.FormatError) as caught:
            dr.Calibration.load(path, **options)
        assert says in str(caught.value)
    assert dr.Calibration.load(path, width=640, height=480, fisheye=False, pixel_center=0.5).f == 500


def test_a_hundred_thousand_cameras_take_seconds(tmp_path):
    lines = (f"{k} SIMPLE_RADIAL 4000 3000 {3000 + k / 7} 2000.5 1499.25 -0.05\n" for k in range(100_000))
    path = write(tmp_path / "cameras.txt", "".join(lines))
    assert dr.Calibration.load(path, 99_999).f == pytest.approx(3000 + 99_999 / 7)
