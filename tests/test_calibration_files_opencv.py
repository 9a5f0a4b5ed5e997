"""OpenCV's lenses against OpenCV itself, and files as it, ROS and others write them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthraster as dr
from lens_files import OF_OPENCV, lenses, write

K = np.array([[1010.5, 0.0, 640.25], [0.0, 1001.75, 355.5], [0.0, 0.0, 1.0]])
FIVE = (0.12, -0.05, 1e-3, -2e-3, 0.01)
RATIONAL = (*FIVE, 0.2, 0.01, -0.02)
PRISM = (*RATIONAL, 1e-4, -2e-5, -1e-4, 3e-5)
TILTED = (*PRISM, 0.002, -0.003)


@pytest.fixture(scope="session")
def cv2():
    return pytest.importorskip("cv2", reason="OpenCV is not installed; the extra test has it")


def rays(width: int, height: int, matrix, reach: float = 1.0) -> np.ndarray:
    """Points in front of the camera that a pinhole images all over the image."""
    u, v = np.meshgrid(np.linspace(0, width, 41), np.linspace(0, height, 31))
    x, y = (u.ravel() - matrix[0, 2]) / matrix[0, 0], (v.ravel() - matrix[1, 2]) / matrix[1, 1]
    return np.column_stack([reach * x, reach * y, np.ones_like(x)])


def of_opencv(cv2, points, matrix, dist) -> np.ndarray:
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, np.asarray(dist))[0].reshape(-1, 2)


def within(pixels, width: int, height: int) -> np.ndarray:
    return ((pixels >= -0.5) & (pixels <= [width - 0.5, height - 0.5])).all(axis=1)


# --- arrays ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 4, 5, 8, 12, 14])
def test_pixels_are_opencvs(cv2, count):
    dist = np.array([*FIVE, *[0.0] * 9][:count])
    lens = dr.Calibration.from_opencv(K, dist, 1280, 720)
    points = rays(1280, 720, K)
    np.testing.assert_allclose(lens.project(points) - 0.5, of_opencv(cv2, points, K, dist), rtol=0, atol=1e-9)


@given(lens=lenses("b1", "k1", "k2", "k3", "p1", "p2"))
def test_any_lens_images_what_opencv_does(cv2, lens):
    matrix, dist = lens.to_opencv()
    points = rays(lens.width, lens.height, matrix, 0.5)
    points = points[np.hypot(points[:, 0], points[:, 1]) < 0.9 * min(lens.valid_radius, 10.0)]
    if len(points):
        expected = of_opencv(cv2, points, matrix, dist)
        scale = np.abs(expected).max() + lens.f
        np.testing.assert_allclose(lens.project(points) - 0.5, expected, rtol=0, atol=1e-11 * scale)


def test_directions_are_opencvs(cv2):
    lens = dr.Calibration.from_opencv(K, FIVE, 1280, 720)
    u, v = np.meshgrid(np.arange(0, 1280, 20.0), np.arange(0, 720, 20.0))
    pixels = np.stack([u.ravel(), v.ravel()], axis=-1)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-14)
    if hasattr(cv2, "undistortPointsIter"):  # before OpenCV 5
        found = cv2.undistortPointsIter(pixels[:, None], K, np.array(FIVE), np.eye(3), np.eye(3), criteria)
    else:
        found = cv2.undistortPoints(pixels[:, None], K, np.array(FIVE), criteria=criteria)
    expected = found.reshape(-1, 2)
    np.testing.assert_allclose(lens.unproject(pixels + 0.5)[:, :2], expected, rtol=0, atol=1e-9)


@given(lens=lenses("b1", "k1", "k2", "k3", "k4", kind="fisheye"))
def test_fisheyes_are_opencvs(cv2, lens):
    """Its polynomial is theta (1 + k1 theta² + ...), and theta is the radius in the plane of Metashape's fisheye."""
    matrix, dist = lens.to_opencv()
    angle, turn = np.meshgrid(np.linspace(0.0, 1.55, 40), np.linspace(0.0, 6.2, 24))
    angle, turn = angle.ravel(), turn.ravel()
    seen = angle < 0.9 * lens.valid_radius
    points = np.column_stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle)])[
        seen
    ]
    expected = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), matrix, dist)[0].reshape(
        -1, 2
    )
    scale = np.abs(expected).max() + lens.f
    np.testing.assert_allclose(lens.project(points) - 0.5, expected, rtol=0, atol=1e-11 * scale)
    assert dr.Calibration.from_opencv(matrix, dist, lens.width, lens.height, fisheye=True).type == "fisheye"


def test_the_skew_of_a_fisheye_is_opencvs(cv2):
    """cv2.fisheye calls alpha what K has as alpha fx."""
    dist = np.array([0.01, -0.02, 0.003, 0.0])
    skewed = K + [[0.0, 0.25, 0.0], [0.0] * 3, [0.0] * 3]
    lens = dr.Calibration.from_opencv(skewed, dist, 1280, 720, fisheye=True)
    points = rays(1280, 720, K)
    expected = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), K, dist, alpha=0.25 / K[0, 0]
    )[0].reshape(-1, 2)
    np.testing.assert_allclose(lens.project(points) - 0.5, expected, rtol=0, atol=1e-9)


def test_the_half_pixel_and_the_order_of_p1_and_p2():
    lens = dr.Calibration.from_opencv(K, FIVE, 1280, 720)
    assert (lens.f, lens.b1, lens.cx, lens.cy) == (1001.75, 8.75, 0.75, -4.0)
    assert (lens.k1, lens.k2, lens.p1, lens.p2, lens.k3, lens.k4) == (0.12, -0.05, -2e-3, 1e-3, 0.01, 0.0)
    corner = dr.Calibration.from_opencv(K, FIVE, 1280, 720, pixel_center=0.5)
    assert (corner.cx, corner.cy) == (0.25, -4.5)
    matrix, dist = lens.to_opencv()
    assert matrix.dtype == dist.dtype == np.float64 and matrix.shape == (3, 3) and dist.shape == (5,)
    assert np.array_equal(matrix, K) and tuple(dist) == FIVE
    assert np.array_equal(corner.to_opencv(pixel_center=0.5)[0], K)
    with pytest.raises(
        ValueError, match=r"pixel_center is 1\.0, .* 0\.0, as OpenCV counts, or 0\.5 is needed"
    ):
        lens.to_opencv(pixel_center=1.0)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (5, 1)])
def test_coefficients_come_in_any_shape(shape):
    dist = np.array(FIVE, dtype=np.float64).reshape(shape)
    assert dr.Calibration.from_opencv(K, dist, 1280, 720) == dr.Calibration.from_opencv(K, FIVE, 1280, 720)
    plain = dr.Calibration.from_opencv(K.tolist(), None, 1280, 720)
    assert plain == dr.Calibration.from_opencv(K.tolist(), [], 1280, 720) and plain.k1 == 0.0
    single = dr.Calibration.from_opencv(K.astype(np.float32), dist.astype(np.float32), 1280, 720)
    assert single.k1 == float(np.float32(0.12))


def test_a_skew_is_said_to_be_lost_on_opencv():
    lens = dr.Calibration(width=640, height=480, f=500, b2=0.25)
    with pytest.warns(
        UserWarning, match=r"b2 is 0\.25 px: K\[0, 1\] holds it, but OpenCV's own functions do not"
    ):
        matrix, dist = lens.to_opencv()
    assert matrix[0, 1] == 0.25
    assert dr.Calibration.from_opencv(matrix, dist, 640, 480) == lens


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((np.eye(4), None, 9, 9), ValueError, r"K has the shape \(4, 4\); \(3, 3\) is needed"),
        (("K", None, 9, 9), TypeError, "K is not an array of numbers"),
        ((K, ["a"] * 4, 9, 9), TypeError, "dist is not an array of numbers"),
        ((K * np.nan, None, 9, 9), ValueError, "K holds numbers that are not finite"),
        ((K, [0, 0, 0, np.inf], 9, 9), ValueError, "dist holds numbers that are not finite"),
        (
            (K.T, None, 9, 9),
            ValueError,
            r"the camera matrix has 0 below its diagonal and the last row 640\.25",
        ),
        ((np.zeros((3, 3)), None, 9, 9), ValueError, "the last row 0 0 0; 0 and 0 0 1 are needed"),
        (
            (np.diag([0, 1, 1]), None, 9, 9),
            ValueError,
            "fx is 0; a positive focal length in pixels is needed",
        ),
        ((np.diag([1, -1, 1]), None, 9, 9), ValueError, "fy is -1; a positive focal length"),
        (
            (K, [0.1] * 3, 9, 9),
            ValueError,
            "there are 3 distortion coefficients; 4, 5, 8, 12 or 14 are needed",
        ),
        ((K, [0.0] * 6, 9, 9), ValueError, "there are 6 distortion coefficients"),
        ((K, FIVE, 0, 9), ValueError, "width is 0; 1 to"),
        ((K, FIVE, 9.5, 9), TypeError, r"width is 9\.5; a whole number"),
    ],
)
def test_arrays_that_are_no_lens_are_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        dr.Calibration.from_opencv(*arguments)


def test_a_fisheye_has_four_coefficients():
    with pytest.raises(
        ValueError, match="there are 5 distortion coefficients of a fisheye; k1 k2 k3 k4 are needed"
    ):
        dr.Calibration.from_opencv(K, FIVE, 1280, 720, fisheye=True)


@pytest.mark.parametrize(
    ("dist", "named"),
    [
        (RATIONAL, "k4 = 0.2, k5 = 0.01, k6 = -0.02"),
        ([*FIVE, 0, 0, 0, 0, 0, 1e-4, 0], "s3 = 0.0001"),
        ([0.0] * 12 + [0.01, 0.0], "tau_x = 0.01"),
    ],
)
def test_coefficients_without_a_counterpart_are_refused_by_name(dist, named):
    with pytest.raises(ValueError) as caught:
        dr.Calibration.from_opencv(K, dist, 1280, 720)
    assert f"OpenCV's lens has {named}, which Metashape's lenses have not; 0 is needed" in str(caught.value)
    assert "fit=True" in str(caught.value) and not isinstance(caught.value, dr.FormatError)


# --- the nearest lens -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dist", "fit"), [(RATIONAL, True), (PRISM, 0.2), (TILTED, 1.0)])
def test_the_nearest_lens_is_as_far_off_as_is_said(cv2, dist, fit):
    with pytest.warns(UserWarning, match="the nearest frame lens was fitted") as caught:
        lens = dr.Calibration.from_opencv(K, dist, 1280, 720, fit=fit)
    said = float(str(caught[0].message).split("fitted, ")[1].split(" px off at most")[0])
    limit = 0.1 if fit is True else fit
    assert said <= limit
    points = rays(1280, 720, K, 1.1)
    expected = of_opencv(cv2, points, K, dist)
    inside = within(expected, 1280, 720)
    off = np.abs(lens.project(points) - 0.5 - expected).max(axis=1)[inside]
    assert inside.sum() > 800 and 0.2 * said < off.max() <= 1.1 * said


def test_a_lens_that_is_not_near_enough_is_refused():
    with pytest.raises(
        ValueError, match=r"the nearest lens is 0\.\d+ px off; 1e-06 px at most are needed: allow more"
    ):
        dr.Calibration.from_opencv(K, TILTED, 1280, 720, fit=1e-6)
    for fit in (0.0, -1.0, math.nan, "yes"):
        with pytest.raises(ValueError, match=r"True, False or a positive number of pixels is needed"):
            dr.Calibration.from_opencv(K, TILTED, 1280, 720, fit=fit)


def test_a_lens_that_folds_over_within_its_image_is_not_fitted():
    with pytest.raises(
        ValueError, match="does not image all of its 4000 x 3000 pixels; a lens that does is needed"
    ):
        dr.Calibration.from_opencv(K, [-0.4, 0, 0, 0, 0, 0.05, 0, 0], 4000, 3000, fit=True)


def test_nothing_is_fitted_that_has_a_counterpart():
    exact = dr.Calibration.from_opencv(K, FIVE, 1280, 720)
    assert dr.Calibration.from_opencv(K, [*FIVE, *[0.0] * 9], 1280, 720, fit=True) == exact


# --- files that OpenCV writes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["xml", "yml", "json"])
@pytest.mark.parametrize(
    "names", [("camera_matrix", "distortion_coefficients"), ("Camera_Matrix", "Distortion_Coefficients")]
)
def test_files_that_opencv_wrote(cv2, tmp_path, suffix, names):
    path = tmp_path / f"calibration.{suffix}"
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    file.write("calibration_time", 'Wed "x": <1> & 2')
    file.write("nframes", 23)
    file.write("image_width", 1280)
    file.write("image_height", 720)
    file.write("board_width", 9)
    file.write("flags", 0)
    file.write("fisheye_model", 0)
    file.write(names[0], K)
    file.write(names[1], np.array(FIVE).reshape(5, 1))
    file.write("avg_reprojection_error", 0.123)
    file.write("image_points", np.random.default_rng(0).random((23, 54, 2)))
    file.startWriteStruct("img_names", cv2.FileNode_SEQ)
    for name in ("a b.jpg", "c.jpg"):
        file.write("", name)
    file.endWriteStruct()
    file.release()
    lens = dr.Calibration.load(path)
    assert lens == dr.Calibration.from_opencv(K, FIVE, 1280, 720)


@given(lens=OF_OPENCV, suffix=st.sampled_from([".xml", ".yml", ".json"]))
def test_opencv_reads_what_is_written(cv2, tmp_path_factory, lens, suffix):
    import warnings

    path = tmp_path_factory.getbasetemp() / f"lens{suffix}"
    lens.save(path, "opencv")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "b2 is")
        matrix, dist = lens.to_opencv()
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    assert np.array_equal(file.getNode("camera_matrix").mat(), matrix)
    assert np.array_equal(file.getNode("distortion_coefficients").mat().ravel(), dist)
    sizes = [int(file.getNode(f"image_{name}").real()) for name in ("width", "height")]
    assert sizes == [lens.width, lens.height]
    assert file.getNode("fisheye_model").real() == (lens.type == "fisheye")
    file.release()


# --- files that others write ----------------------------------------------------------------------------------------------

AS_METASHAPE = """<?xml version="1.0"?>
<opencv_storage>
<calibration_Time>"Mon Jan  1 10:00:00 2024"</calibration_Time>
<image_Width>1280</image_Width>
<image_Height>720</image_Height>
<Camera_Matrix type_id="opencv-matrix">
  <rows>3</rows>
  <cols>3</cols>
  <dt>d</dt>
  <data>
    1.0105000000000000e+003 0. 6.4025000000000000e+002 0.
    1.0017500000000000e+003 3.5550000000000000e+002 0. 0. 1.</data></Camera_Matrix>
<Distortion_Coefficients type_id="opencv-matrix">
  <rows>5</rows>
  <cols>1</cols>
  <dt>d</dt>
  <data>
    1.2e-001 -5.0e-002 1.0e-003 -2.0e-003 1.0e-002</data></Distortion_Coefficients>
</opencv_storage>
"""
AS_ROS = """image_width: 1280
image_height: 720
camera_name: left
camera_matrix:
  rows: 3
  cols: 3
  data: [1010.5, 0, 640.25, 0, 1001.75, 355.5, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.12, -5e-2, 1e-03, -0.002, 1.0E-2]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [990, 0, 640, 0, 0, 990, 355, 0, 0, 0, 1, 0]
"""
AS_ROS_MESSAGE = """header:
  frame_id: "camera"
height: 720
width: 1280
distortion_model: "plumb_bob"
D: [0.12, -0.05, 0.001, -0.002, 0.01]
K: [1010.5, 0.0, 640.25, 0.0, 1001.75, 355.5, 0.0, 0.0, 1.0]
R: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
P: [990.0, 0.0, 640.0, 0.0, 0.0, 990.0, 355.0, 0.0, 0.0, 0.0, 1.0, 0.0]
---
"""
AS_OLD_OPENCV = """%YAML:1.0
---
# written with OpenCV 3
image_size: [ 1280, 720 ]
cameraMatrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 1.0105000000000000e+03, 0., 6.4025000000000000e+02, 0.,
       1.0017500000000000e+03, 3.5550000000000000e+02, 0., 0., 1. ]
distCoeffs: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ 1.2e-01, -5.0e-02, 1.0e-03, -2.0e-03, 1.0e-02 ]
...
---
rms: 0.3
"""
AS_PYTHON = """camera_matrix:
- [1010.5, 0.0, 640.25]
- [0.0, 1001.75, 355.5]
- [0.0, 0.0, 1.0]
dist_coeff:
- [0.12, -0.05, 0.001, -0.002, 0.01]
resolution: {width: 1280, height: 720}
"""
AS_PYTHON_JSON = json.dumps(
    {
        "mtx": K.tolist(),
        "dist": [list(FIVE)],
        "image_width": 1280,
        "image_height": 720,
        "rms": None,
        "ok": True,
    }
)
AS_INTERACTIVE = (
    AS_METASHAPE.replace("image_Height", "other")
    .replace("<image_Width>1280</image_Width>", "<cameraResolution>1280 720</cameraResolution>")
    .replace("Camera_Matrix", "cameraMatrix")
    .replace("Distortion_Coefficients", "dist_coeffs")
)


@pytest.mark.parametrize(
    "text",
    [AS_METASHAPE, AS_ROS, AS_ROS_MESSAGE, AS_OLD_OPENCV, AS_PYTHON, AS_PYTHON_JSON, AS_INTERACTIVE],
    ids=["metashape", "ros", "ros message", "old opencv", "python yaml", "python json", "interactive"],
)
def test_files_as_others_write_them(tmp_path, text):
    path = write(tmp_path / "calibration", text)
    assert dr.Calibration.load(path) == dr.Calibration.from_opencv(K, FIVE, 1280, 720)
    corner = dr.Calibration.load(path, pixel_center=0.5)
    assert corner == dr.Calibration.from_opencv(K, FIVE, 1280, 720, pixel_center=0.5)


BARE = "camera_matrix: [1010.5, 0, 640.25, 0, 1001.75, 355.5, 0, 0, 1]\n"
SIZED = BARE + "image_width: 1280\nimage_height: 720\n"
FOUR = (0.1, -0.02, 0.003, -0.004)
WITH_FOUR = SIZED + f"distortion_coefficients: {list(FOUR)}\n"


@pytest.mark.parametrize(
    ("line", "fisheye"),
    [
        ("", False),
        ("fisheye_model: 1", True),
        ("fisheye_model: 0", False),
        ("fisheye: true", True),
        ("distortion_model: equidistant", True),
        ("distortion_model: fisheye", True),
        ("distortion_model: plumb_bob", False),
        ("distortion_model: radtan\ncamera_model: pinhole", False),
        ("distortion_model: equidistant\ncamera_model: pinhole", True),
        ("camera_model: OPENCV_FISHEYE", True),
        ("camera_model: OPENCV", False),
    ],
)
def test_whether_the_lens_is_a_fisheye(tmp_path, line, fisheye):
    path = write(tmp_path / "a.yml", WITH_FOUR + line + "\n")
    expected = dr.Calibration.from_opencv(K, FOUR, 1280, 720, fisheye=fisheye)
    assert dr.Calibration.load(path) == dr.Calibration.load(path, fisheye=fisheye) == expected
    if line and "pinhole" not in line:
        with pytest.raises(
            dr.FormatError, match=r"a\.yml: the lens is .* as the file says, and .* as the call does"
        ):
            dr.Calibration.load(path, fisheye=not fisheye)
    elif not line:
        assert dr.Calibration.load(path, fisheye=True).type == "fisheye"


def test_a_size_that_is_not_in_the_file_is_the_callers(tmp_path):
    path = write(tmp_path / "a.yml", BARE + "dist_coeffs: [0, 0, 0, 0]\n")
    with pytest.raises(
        dr.FormatError, match=r"a\.yml: the image's width is not in the file; it is needed: pass"
    ):
        dr.Calibration.load(path)
    with pytest.raises(dr.FormatError, match="height is not in the file"):
        dr.Calibration.load(path, width=1280)
    assert dr.Calibration.load(path, width=1280, height=720) == dr.Calibration.from_opencv(K, None, 1280, 720)
    path = write(tmp_path / "b.yml", WITH_FOUR)
    with pytest.raises(dr.FormatError, match="the image's height is 720 in the file and 721 in the call"):
        dr.Calibration.load(path, height=721)


def test_both_cameras_of_a_stereo_pair(tmp_path):
    text = "".join(
        f"{name}: !!opencv-matrix\n   rows: {rows}\n   cols: {cols}\n   dt: d\n   data: {data}\n"
        for name, rows, cols, data in (
            ("M1", 3, 3, K.ravel().tolist()),
            ("D1", 1, 5, list(FIVE)),
            ("M2", 3, 3, (K + [[9, 0, 0], [0, 0, 0], [0, 0, 0]]).ravel().tolist()),
            ("D2", 1, 4, [0, 0, 0, 0]),
        )
    )
    path = write(tmp_path / "intrinsics.yml", f"%YAML:1.0\n---\n{text}")
    pair = dr.load_calibrations(path, width=1280, height=720)
    assert list(pair) == ["1", "2"]
    assert pair["1"] == dr.Calibration.from_opencv(K, FIVE, 1280, 720)
    assert pair["2"].b1 == 17.75
    assert dr.Calibration.load(path, 2, width=1280, height=720) == pair["2"]
    with pytest.raises(dr.FormatError, match="there are 2 cameras, '1', '2'"):
        dr.Calibration.load(path, width=1280, height=720)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image_width: 1280\n", "there is no camera matrix under any name that is known; one is needed: save it as"),
        (SIZED, "there are no distortion coefficients beside 'camera_matrix'; some are needed, none at all being said"),
        (WITH_FOUR + "dist_coeffs: [1]\n", "'distortion_coefficients' and 'dist_coeffs' are both there, and mean"),
        (WITH_FOUR + "camera_matrix: []\n", "'camera_matrix' and 'camera_matrix' are both there"),
        (WITH_FOUR.replace("[1010.5, 0", "[1010.5"), "'camera_matrix': 8 numbers stand there; 3 x 3 are needed"),
        (WITH_FOUR.replace("1010.5", ".Nan"), "'camera_matrix': '.Nan' stands there; a finite number is needed"),
        (WITH_FOUR.replace("1010.5", "1e400"), "'camera_matrix': '1e400' stands there"),
        (WITH_FOUR.replace("1010.5", "~"), "'camera_matrix': '~' stands there"),
        (WITH_FOUR.replace("1010.5", "{a: 1}"), "'camera_matrix': {'a': '1'} stands there; a finite number"),
        (WITH_FOUR.replace("1010.5", "-1010.5"), "fx is -1010.5; a positive focal length"),
        (WITH_FOUR.replace("0.1,", "0.1, 0.1, 0.1,"), "there are 6 distortion coefficients; 4, 5, 8, 12 or 14"),
        (WITH_FOUR.replace("1280", "1280.5"), "'image_width': '1280.5' stands there; a whole number of pixels"),
        (WITH_FOUR.replace("1280", "-5"), "width is -5; 1 to"),
        (WITH_FOUR + "image_size: [1280, 721]\n", "'image_height' is 720 and 'image_size' says 721; one size"),
        (WITH_FOUR + "image_size: 1280\n", "'image_size': '1280' stands there; width and height are needed"),
        (WITH_FOUR + "distortion_model: mei\n", "the lens model is 'mei', which is none of OpenCV's; plumb_bob"),
        (WITH_FOUR + "fisheye_model: 2\n", "'fisheye_model': '2' stands there; 1 or 0 is needed"),
        (
            WITH_FOUR + "fisheye_model: 0\ndistortion_model: equidistant\n",
            "'fisheye_model' and 'distortion_model' contradict each other; one lens model is needed",
        ),
        (WITH_FOUR.replace("0.1", "&a 0.1").replace("-0.02", "*a"), "it refers to another place in the file"),
        (
            AS_ROS.replace("rows: 1\n", "rows: 2\n"),
            "'distortion_coefficients': 5 numbers stand there; 2 x 5 are needed, as it says itself",
        ),
        (AS_ROS.replace("  data: [1010.5", "  date: [1010.5"), "'camera_matrix': it has no data; a matrix is needed"),
        (AS_PYTHON.replace("[0.0, 1001.75, 355.5]", "[0.0, 1001.75]"), "its rows are not equally long"),
        (AS_PYTHON.replace("- [0.0, 0.0, 1.0]\n", ""), "'camera_matrix': 2 x 3 numbers stand there; 3 x 3 are"),
        (AS_METASHAPE.replace("0. 0. 1.</data>", "0. 0. x</data>"), "'Camera_Matrix': 'x' stands there"),
        (AS_METASHAPE.replace("<rows>3", "<rows>four"), "'Camera_Matrix' rows: 'four' stands there; a whole number"),
        (AS_PYTHON_JSON.replace("1010.5", "NaN"), "not read as JSON (NaN is no number)"),
        (AS_PYTHON_JSON.replace("1010.5", "true"), "'mtx': True stands there; a finite number is needed"),
        (AS_PYTHON_JSON.replace("1280", "null"), "'image_width': 'None' stands there"),
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_refused_by_name(tmp_path, text, says):
    path = write(tmp_path / "calibration", text)
    with pytest.raises(dr.FormatError) as caught:
        dr.Calibration.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and says in message, message
    assert "needed" in message or "possible" in message


def test_a_file_says_which_coefficients_have_no_counterpart(tmp_path):
    path = write(tmp_path / "a.yml", SIZED + f"distortion_coefficients: {list(RATIONAL)}\n")
    with pytest.raises(
        dr.FormatError, match=r"a\.yml: OpenCV's lens has k4 = 0\.2, k5 = 0\.01, k6 = -0\.02, which"
    ):
        dr.Calibration.load(path)
    with pytest.warns(
        UserWarning, match=r"a\.yml: OpenCV's lens has k4 = 0\.2.* fitted, [\d.e-]+ px off at most"
    ):
        fitted = dr.Calibration.load(path, fit=True)
    with pytest.warns(UserWarning, match="fitted"):
        assert fitted == dr.Calibration.from_opencv(K, RATIONAL, 1280, 720, fit=True)
