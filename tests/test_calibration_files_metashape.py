"""Metashape's calibration files: today's and PhotoScan's, what is left out, what is reported and refused."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import numpy as np
import pytest

import depthraster as dr
from lens_files import write

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
MODERN = (
    "<projection>frame</projection><width>4000</width><height>3000</height><f>3120.25</f><cx>-4.5</cx><cy>7.25</cy>"
    "<b1>0.12</b1><b2>-0.03</b2><k1>-0.08</k1><k2>0.05</k2><k3>-0.01</k3><k4>0.002</k4><p1>0.0004</p1><p2>-0.0002</p2>"
    "<p3>0.01</p3><p4>-0.02</p4><date>2024-01-31T10:00:00Z</date>"
)
LENS = dr.Calibration(
    width=4000, height=3000, f=3120.25, cx=-4.5, cy=7.25, b1=0.12, b2=-0.03, k1=-0.08, k2=0.05, k3=-0.01, k4=0.002,
    p1=0.0004, p2=-0.0002, p3=0.01, p4=-0.02,
)  # fmt: skip


def load(folder, inner: str, **options) -> dr.Calibration:
    return dr.Calibration.load(
        write(folder / "lens.xml", f"{HEAD}<calibration>{inner}</calibration>"), **options
    )


def refused(folder, inner: str, says: str, **options) -> str:
    with pytest.raises(dr.FormatError) as caught:
        load(folder, inner, **options)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'lens.xml'}: ") and "\n" not in message, message
    assert says in message and re.search("needed|possible|leave", message), message
    return message


def test_todays_format(tmp_path):
    assert load(tmp_path, MODERN) == LENS


def test_elements_come_in_any_order_and_zeros_are_left_out(tmp_path):
    elements = re.findall(r"<(\w+)>[^<]*</\1>", MODERN)
    parts = re.findall(r"<\w+>[^<]*</\w+>", MODERN)
    assert len(elements) == len(parts) == 17
    rng = np.random.default_rng(3)
    for _ in range(20):
        assert load(tmp_path, "\n ".join(parts[k] for k in rng.permutation(len(parts)))) == LENS
    bare = "<f>500</f><width>640</width><projection>frame</projection><height>480</height><p2>1e-003</p2>"
    assert load(tmp_path, bare) == dr.Calibration(width=640, height=480, f=500, p2=0.001)


@pytest.mark.parametrize(
    ("word", "type"),
    [
        ("frame", "frame"),
        ("fisheye", "fisheye"),
        ("equidistant_fisheye", "fisheye"),
        ("equisolid_fisheye", "equisolid_fisheye"),
        ("spherical", "spherical"),
        ("cylindrical", "cylindrical"),
    ],
)
def test_projections(tmp_path, word, type):
    inner = f"<projection>{word}</projection><width>640</width><height>320</height><f>100</f>"
    assert load(tmp_path, inner) == dr.Calibration(width=640, height=320, f=100, type=type)


def test_a_panorama_needs_no_focal_length(tmp_path):
    inner = "<projection>spherical</projection><width>640</width><height>320</height>"
    assert load(tmp_path, inner) == dr.Calibration(width=640, height=320, type="spherical")


def test_photoscans_format(tmp_path):
    """fx and fy, cx and cy from the corner, p1 and p2 in the other order, skew."""
    inner = (
        "<width>4000</width><height>3000</height><fx>3121</fx><fy>3120</fy><cx>2001.5</cx><cy>1498.25</cy>"
        "<skew>0.25</skew><k1>-0.1</k1><k2>0.02</k2><k3>-0.003</k3><p1>0.0001</p1><p2>-0.0002</p2>"
    )
    lens = load(tmp_path, f"<projection>frame</projection>{inner}")
    assert lens == load(tmp_path, inner)  # the word is missing in the oldest
    assert lens == dr.Calibration(
        width=4000, height=3000, f=3120, b1=1, b2=0.25, cx=1.5, cy=-1.75, k1=-0.1, k2=0.02, k3=-0.003,
        p1=-0.0002, p2=0.0001,
    )  # fmt: skip
    # By hand, in its own terms: OpenCV's order of p1 and p2, the principal point as it stands there.
    x, y = 0.3, -0.2
    r2 = x * x + y * y
    radial = 1 - 0.1 * r2 + 0.02 * r2**2 - 0.003 * r2**3
    xd = x * radial + 2 * 0.0001 * x * y - 0.0002 * (r2 + 2 * x * x)
    yd = y * radial + 0.0001 * (r2 + 2 * y * y) - 2 * 0.0002 * x * y
    u, v = 2001.5 + 3121 * xd + 0.25 * yd, 1498.25 + 3120 * yd
    np.testing.assert_allclose(lens.project([x, y, 1.0]), [u, v], rtol=0, atol=1e-9)
    lens.save(tmp_path / "today.xml")
    assert "<fx>" not in (tmp_path / "today.xml").read_text()
    assert dr.Calibration.load(tmp_path / "today.xml") == lens


def test_the_size_as_cameras_files_have_it(tmp_path):
    assert load(tmp_path, '<resolution width="640" height="480"/><f>500</f>').width == 640
    both = '<resolution width="640" height="480"/><width>640</width><height>480</height><f>500</f>'
    assert load(tmp_path, both).height == 480
    refused(tmp_path, both.replace(">480<", ">481<"), "the height is 480 in <resolution> and 481 in <height>")


def test_a_missing_size_is_the_callers(tmp_path):
    refused(
        tmp_path, "<f>500</f>", "the image's width is not in the file; it is needed: pass width= and height="
    )
    refused(tmp_path, "<width>640</width><f>500</f>", "the image's height is not in the file")
    assert load(tmp_path, "<f>500</f>", width=640, height=480).f == 500
    assert load(tmp_path, "<width>640</width><f>500</f>", height=480).width == 640
    assert load(tmp_path, MODERN, width=4000, height=3000) == LENS
    refused(
        tmp_path, MODERN, "the image's width is 4000 in the file and 640 in the call", width=640, height=480
    )


def test_corrections_are_reported(tmp_path):
    inner = (
        MODERN
        + "<corrections type='fourier'><coeffs>1 2 3</coeffs><extent><min>0 0</min></extent></corrections>"
    )
    with pytest.warns(
        UserWarning, match=r"lens\.xml: the additional <corrections> are not applied: pixels may be"
    ):
        assert load(tmp_path, inner) == LENS


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        (MODERN.replace("frame", "rpc"), "the lens type is 'rpc', a satellite's"),
        (MODERN.replace("frame", "fisheye-ish"), "the lens type is 'fisheye-ish', which does not exist; one of frame"),
        (MODERN.replace("<f>3120.25</f>", ""), "there is neither <f> nor <fx>; the focal length is needed"),
        (MODERN.replace("3120.25", "-1"), "f is -1.0; a positive focal length"),
        (MODERN.replace("3120.25", ""), "<f>: '' stands there; a finite number is needed"),
        (MODERN.replace("3120.25", "nan"), "<f>: 'nan' stands there; a finite number is needed"),
        (MODERN.replace("-4.5", "1e999"), "<cx>: '1e999' stands there"),
        (MODERN.replace("-4.5", "1_000"), "<cx>: '1_000' stands there"),
        (MODERN.replace("-4.5", "1,5"), "<cx>: '1,5' stands there"),
        (MODERN.replace("4000", "4000.5"), "<width>: '4000.5' stands there; a whole number"),
        (MODERN.replace("4000", "0"), "width is 0; 1 to"),
        (MODERN.replace("4000", "9" * 50), "; 1 to 1000000 pixels are possible"),
        (MODERN + "<k1>1</k1>", "there is more than one <k1>"),
        (MODERN + "<fx>3120</fx>", "both <f> and <fx> are there, of today's format and the old one"),
        (MODERN.replace("frame", "spherical"), "k1 is -0.08, but a spherical lens has no distortion"),
    ],
)  # fmt: skip
def test_what_no_calibration_can_have_is_refused(tmp_path, inner, says):
    message = refused(tmp_path, inner, says)
    assert "lens.xml: <calibration>" in message
    assert "export the cameras" not in message  # this is no cameras file


def test_options_that_contradict_the_file_are_refused(tmp_path):
    refused(
        tmp_path,
        MODERN,
        "pixel_center is 0.0 in the call, but such a file counts pixels from",
        pixel_center=0.0,
    )
    refused(
        tmp_path, MODERN, "the lens is no fisheye as the file says, and one as the call does", fisheye=True
    )
    fisheye = MODERN.replace("frame", "fisheye")
    refused(
        tmp_path, fisheye, "the lens is a fisheye as the file says, and none as the call does", fisheye=False
    )
    assert load(tmp_path, MODERN, pixel_center=0.5, fisheye=False, fit=True) == LENS
    assert load(tmp_path, fisheye, fisheye=True).type == "fisheye"


def test_what_is_written_is_what_metashape_writes(tmp_path):
    lens = dr.Calibration(width=4000, height=3000, f=1 / 3, cx=1e-5, k2=2.0, p1=-1e-300)
    before = datetime.now(timezone.utc).replace(microsecond=0)
    lens.save(tmp_path / "lens.xml")
    text = (tmp_path / "lens.xml").read_text()
    found = re.findall(r"^  <(\w+)>(.*)</\1>$", text, re.MULTILINE)
    assert text.startswith(f"{HEAD}<calibration>\n") and text.endswith("\n</calibration>\n")
    assert found[:-1] == [
        ("projection", "frame"),
        ("width", "4000"),
        ("height", "3000"),
        ("f", "0.3333333333333333"),
        ("cx", "1e-05"),
        ("k2", "2"),
        ("p1", "-1e-300"),
    ]
    name, date = found[-1]
    assert name == "date"
    assert before <= datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert dr.Calibration.load(tmp_path / "lens.xml") == lens
