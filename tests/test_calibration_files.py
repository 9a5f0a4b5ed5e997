"""Calibration files of every format: told apart by content, written and read back the same, one camera chosen of several."""

from __future__ import annotations

import stat
import warnings
import zipfile
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthraster as dr
from depthraster.io.calibration_files import SUFFIXES
from lens_files import OF_COLMAP, OF_METASHAPE, OF_NERFSTUDIO, OF_OPENCV, write

SURVEY = dr.Calibration(
    width=5472, height=3648, f=3713.29, cx=-24.3, cy=7.125, k1=0.02, k2=-0.062, k3=0.086, p1=-1.4e-3, p2=2.4e-3, b1=-0.21
)  # fmt: skip
EVERY_FILE = [
    (SURVEY, "metashape", ".xml"),
    (SURVEY, "opencv", ".xml"),
    (SURVEY, "opencv", ".yml"),
    (SURVEY, "opencv", ".json"),
    (SURVEY, "colmap", ".txt"),
    (SURVEY, "nerfstudio", ".json"),
]


@pytest.mark.parametrize(
    ("lens", "format", "suffix"), EVERY_FILE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_content_decides_not_the_name(tmp_path, lens, format, suffix):
    lens.save(tmp_path / f"lens{suffix}", format)
    for name in ("lens", "lens.jpg", "cameras.xml", "cameras.bin", "transforms.json", "calib.yaml"):
        other = write(tmp_path / name, (tmp_path / f"lens{suffix}").read_bytes())
        assert dr.Calibration.load(other) == lens
        assert dr.load_calibrations(str(other)) in ({"": lens}, {1: lens})


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\n\n  ", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize(("lens", "format", "suffix"), EVERY_FILE[1:])
def test_byte_order_marks_and_blank_lines_do_not_hide_content(tmp_path, lens, format, suffix, mark):
    lens.save(tmp_path / f"lens{suffix}", format)
    data = (tmp_path / f"lens{suffix}").read_bytes()
    if data.startswith(b"<?xml"):
        data = data.partition(b"?>")[2].lstrip()  # a declaration must be the very first thing
    assert dr.Calibration.load(write(tmp_path / "marked", mark + data)) == lens


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_the_suffix_says_the_format_where_the_caller_does_not(tmp_path, suffix):
    lens = dr.Calibration(width=640, height=480, f=500, cx=1.5, k1=-0.1)
    path = tmp_path / f"LENS{suffix.upper()}"
    lens.save(path)
    holds = {
        ".xml": b"<calibration>",
        ".json": b'"fl_x": ',
        ".txt": b"# Camera list",
        ".bin": b"\1\0\0\0\0\0\0\0",
        ".yml": b"%YAML:1.0\n---\n",
        ".yaml": b"%YAML:1.0\n---\n",
    }
    assert holds[suffix] in path.read_bytes()
    assert dr.Calibration.load(path) == lens


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(
        ValueError, match=r"the suffix '\.lens' is of no format; one of metashape, opencv, colmap"
    ):
        SURVEY.save(tmp_path / "a.lens")
    with pytest.raises(
        ValueError, match=r"the format is 'matlab', which does not exist; one of metashape, opencv"
    ):
        SURVEY.save(tmp_path / "a.xml", "matlab")
    for format, suffix in (("metashape", "xml"), ("colmap", "txt"), ("nerfstudio", "json")):
        with pytest.raises(ValueError, match=r"pixel_center is 0\.5, but the format is .* leave it out"):
            SURVEY.save(tmp_path / f"a.{suffix}", format, pixel_center=0.5)
    wide = dr.Calibration(width=100, height=50, f=30, type="equisolid_fisheye")
    for format, program in (("opencv", "OpenCV"), ("colmap", "COLMAP"), ("nerfstudio", "nerfstudio")):
        with pytest.raises(ValueError, match=f"the lens is equisolid_fisheye, which {program} has not"):
            wide.save(tmp_path / "a", format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("format", "terms"),
    [
        ("opencv", ("k4", "p3", "p4")),
        ("colmap", ("k4", "p3", "p4", "b2")),
        ("nerfstudio", ("p3", "p4", "b2")),
    ],
)
def test_terms_without_a_place_are_refused_by_name(tmp_path, format, terms):
    for term in terms:
        lens = dr.Calibration(width=640, height=480, f=500, **{term: 1e-3})
        with pytest.raises(
            ValueError, match=f"^{term} is 0.001, which .* has no place for; 0 is needed: keep"
        ):
            lens.save(tmp_path / "a", format)
    fisheye = dr.Calibration(width=640, height=480, f=500, p1=1e-3, type="fisheye")
    with pytest.raises(ValueError, match=r"^p1 is 0\.001, which OpenCV has no place for"):
        fisheye.to_opencv()
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = write(tmp_path / "lens.yml", "what was there")
    path.chmod(0o640)
    with pytest.raises(ValueError, match="no place"):
        dr.Calibration(width=9, height=9, f=5, k4=1.0).save(path)
    assert path.read_text() == "what was there"
    SURVEY.save(path)
    assert dr.Calibration.load(path) == SURVEY
    assert [item.name for item in tmp_path.iterdir()] == ["lens.yml"]
    with pytest.raises(OSError, match="No such file or directory; a folder that can be written to is needed"):
        SURVEY.save(tmp_path / "nowhere" / "lens.yml")
    assert stat.S_ISREG(path.stat().st_mode)


# --- to the last bit ------------------------------------------------------------------------------------------------------


def back(lens: dr.Calibration, folder, format: str, suffix: str) -> dr.Calibration:
    path = folder / f"lens{suffix}"
    lens.save(path, format)
    return dr.Calibration.load(path)


@given(lens=OF_METASHAPE)
def test_metashapes_xml_keeps_every_bit(tmp_path_factory, lens):
    assert back(lens, tmp_path_factory.getbasetemp(), "metashape", ".xml") == lens


@given(lens=OF_OPENCV, suffix=st.sampled_from([".xml", ".yml", ".json"]), center=st.sampled_from([0.0, 0.5]))
def test_opencvs_files_keep_every_bit(tmp_path_factory, lens, suffix, center):
    path = tmp_path_factory.getbasetemp() / f"lens{suffix}"
    lens.save(path, "opencv", pixel_center=center)
    assert dr.Calibration.load(path, pixel_center=center) == lens


@given(lens=OF_COLMAP)
def test_colmaps_text_keeps_every_bit(tmp_path_factory, lens):
    assert back(lens, tmp_path_factory.getbasetemp(), "colmap", ".txt") == lens


@given(lens=OF_NERFSTUDIO)
def test_nerfstudios_files_keep_every_bit(tmp_path_factory, lens):
    assert back(lens, tmp_path_factory.getbasetemp(), "nerfstudio", ".json") == lens


@given(lens=OF_COLMAP)
def test_colmaps_binary_keeps_what_doubles_hold(tmp_path_factory, lens):
    """The principal point is a double from the corner there: it comes back rounded to one, and the next time the same."""
    found = back(lens, tmp_path_factory.getbasetemp(), "colmap", ".bin")
    for name in ("cx", "cy", "b1"):
        size = {"cx": lens.width, "cy": lens.height, "b1": 2 * lens.f}[name]
        assert abs(getattr(found, name) - getattr(lens, name)) <= 2.0**-52 * (size + abs(getattr(lens, name)))
    for name in ("width", "height", "f", "k1", "k2", "k3", "k4", "p1", "p2", "type"):
        assert getattr(found, name) == getattr(lens, name)


# Numbers as programs write them: of 17 digits, of as few as a double needs, of three.
DIGITS = st.sampled_from([lambda x: f"{x:.17g}", repr, lambda x: f"{x:.17e}", lambda x: f"{x:.3f}"])


@given(
    width=st.integers(100, 20_000),
    place=st.tuples(st.floats(0.3, 0.9), st.floats(0.3, 0.9)),
    lengths=st.tuples(st.floats(500.0, 1e4), st.floats(0.7, 1.4)),
    digits=DIGITS,
)
def test_numbers_in_a_file_are_the_same_after_reading_and_writing(
    tmp_path_factory, width, place, lengths, digits
):
    """As doubles, which is what other programs read: wherever the principal point is in the middle of the image."""
    folder = tmp_path_factory.getbasetemp()
    numbers = [lengths[0], lengths[0] * lengths[1], place[0] * width, place[1] * width]
    fx, fy, cx, cy = texts = [digits(number) for number in numbers]
    sources = {
        "lens.txt": f"1 PINHOLE {width} {width} {' '.join(texts)}\n",
        "lens.yml": f"camera_matrix: [{fx}, 0, {cx}, 0, {fy}, {cy}, 0, 0, 1]\nd: []\nimage_size: [{width}, {width}]\n",
        "lens.json": f'{{"fl_x": {fx}, "fl_y": {fy}, "cx": {cx}, "cy": {cy}, "w": {width}, "h": {width}}}',
    }
    for name, text in sources.items():
        path = write(folder / name, text)
        lens = dr.Calibration.load(path)
        lens.save(path)
        written = path.read_text()
        if name == "lens.txt":
            model, *found = written.splitlines()[-1].split()[1:]
            found = found[2:] if model == "PINHOLE" else [found[2], *found[2:]]  # a SIMPLE one where fx is fy
        elif name == "lens.yml":
            row = written.partition("data: [")[2].partition("]")[0].split(",")
            found = [row[0], row[4], row[2], row[5]]
        else:
            found = [
                written.partition(f'"{key}": ')[2].partition(",")[0] for key in ("fl_x", "fl_y", "cx", "cy")
            ]
        assert [float(text) for text in found] == [float(text) for text in texts]
        assert dr.Calibration.load(path) == lens


def test_a_decimal_in_a_file_is_meant(tmp_path):
    """2003.2 beside a centre of 2000 is 3.2, not the 3.2000000000000455 of its double."""
    path = write(tmp_path / "cameras.txt", "7 PINHOLE 4000 3000 3120.37 3120.25 2003.2 1499.9\n")
    lens = dr.Calibration.load(path)
    assert (lens.cx, lens.cy, lens.b1) == (3.2, -0.1, 0.12)


def test_every_real_calibration_goes_through_every_format(real_data, tmp_path):
    found = {}
    for path in sorted(real_data.rglob("*")):
        if path.suffix in (".psz", ".psx") or (path.suffix == ".xml" and ".files" not in str(path)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                chunk = dr.load_chunk(path)
            found |= {
                sensor.calibration: path.name for sensor in chunk.sensors if sensor.calibration is not None
            }
    assert len(found) >= 8
    n_files = 0
    for lens in found:
        assert back(lens, tmp_path, "metashape", ".xml") == lens
        for format, suffix in (
            ("opencv", ".xml"),
            ("opencv", ".yml"),
            ("colmap", ".txt"),
            ("nerfstudio", ".json"),
        ):
            try:
                assert back(lens, tmp_path, format, suffix) == lens
                n_files += 1
            except ValueError as error:
                assert "has no place for" in str(error)  # k4 or b2, which some have
    assert n_files >= 4 * len(found) // 2


def test_the_oldest_calibrations_stand_alone_as_they_do_in_a_project(real_data, tmp_path):
    """PhotoScan's fx, fy, absolute cx cy and exchanged p1 p2, out of real projects into files of their own."""
    n_files = 0
    for path in sorted((real_data / "psz_dbat").glob("*.psz")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            sensors = {sensor.id: sensor for sensor in dr.load_chunk(path).sensors}
        with zipfile.ZipFile(path) as archive:
            root = ElementTree.fromstring(archive.read("doc.xml"))
        for element in root.iter("sensor"):
            calibration = element.findall("calibration")[-1:]
            if not calibration or calibration[0].find("fx") is None:
                continue
            own = write(tmp_path / "old.xml", ElementTree.tostring(calibration[0]))
            lens = dr.Calibration.load(own)
            assert lens == sensors[int(element.get("id"))].calibration
            assert back(lens, tmp_path, "metashape", ".xml") == lens
            n_files += 1
    assert n_files >= 3


# --- one of several -------------------------------------------------------------------------------------------------------

TWO = "1 PINHOLE 640 480 500 501 320 240\n2 SIMPLE_RADIAL 640 480 500 320 240 -0.1\n"


def test_one_camera_of_several_is_chosen_by_its_name(tmp_path):
    path = write(tmp_path / "cameras.txt", TWO)
    lenses = dr.load_calibrations(path)
    assert list(lenses) == [1, 2]
    assert dr.Calibration.load(path, 2) == dr.Calibration.load(path, camera="2") == lenses[2]
    assert lenses[2].k1 == -0.1 and lenses[1].b1 == -1.0
    with pytest.raises(
        dr.FormatError, match=r"cameras\.txt: there are 2 cameras, 1, 2; one is needed: say which"
    ):
        dr.Calibration.load(path)
    for camera in (3, "x", True, ""):
        with pytest.raises(
            ValueError, match=f"no camera is camera={camera!r}; one of 1, 2 is needed: pass its name"
        ):
            dr.Calibration.load(path, camera)


def test_a_file_of_one_camera_has_no_name_for_it(tmp_path):
    SURVEY.save(tmp_path / "lens.yml")
    with pytest.raises(
        ValueError, match=r"lens\.yml: camera is 1, but the file is of one camera without a name"
    ):
        dr.Calibration.load(tmp_path / "lens.yml", 1)


def test_no_choice_is_needed_among_cameras_that_are_the_same(tmp_path):
    path = write(
        tmp_path / "cameras.txt", "".join(f"{k} PINHOLE 640 480 500 500 320 240\n" for k in range(4))
    )
    assert dr.Calibration.load(path) == dr.Calibration(width=640, height=480, f=500)


def test_another_camera_of_a_file_does_not_keep_one_from_being_read(tmp_path):
    path = write(tmp_path / "cameras.txt", TWO + "3 FOV 640 480 500 500 320 240 0.9\n")
    assert dr.Calibration.load(path, 1).f == 501
    with pytest.raises(
        dr.FormatError, match=r"camera 3 \(FOV\): COLMAP's FOV has omega = 0\.9, which Metashape's"
    ):
        dr.load_calibrations(path)
    with pytest.warns(
        UserWarning, match=r"camera 3 \(FOV\): .* the nearest fisheye lens was fitted"
    ) as caught:
        assert list(dr.load_calibrations(path, fit=True)) == [1, 2, 3]
    assert [warning.filename for warning in caught] == [__file__]


def test_warnings_are_the_callers(tmp_path):
    path = write(tmp_path / "cameras.txt", "3 FOV 640 480 500 500 320 240 0.9\n")
    with pytest.warns(UserWarning) as caught:
        dr.Calibration.load(path, fit=True)
        dr.Calibration.from_opencv([[500, 0, 320], [0, 500, 240], [0, 0, 1]], [0.01] * 8, 640, 480, fit=True)
        dr.Calibration(width=9, height=9, f=5, b2=0.1).to_opencv()
    assert [warning.filename for warning in caught] == [__file__] * 3
