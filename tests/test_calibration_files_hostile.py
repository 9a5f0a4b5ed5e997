"""Files of the wrong kind, damaged ones, and ones made to harm: each gets a sentence, soon and in little memory."""

from __future__ import annotations

import gzip
import os
import time
import tracemalloc
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthraster as dr
from lens_files import write

MIB = 1 << 20
LENS = dr.Calibration(width=640, height=480, f=500.25, cx=1.5, k1=-0.1, p1=1e-3)
EVERY = [("a.xml", "metashape"), ("b.xml", "opencv"), ("c.yml", "opencv"), ("d.json", "opencv"), ("e.txt", "colmap"),
         ("f.bin", "colmap"), ("g.json", "nerfstudio")]  # fmt: skip


def refused(path, says: str = "") -> str:
    """Assert that a file is refused in one printable sentence that names it, and return the sentence."""
    with pytest.raises(dr.FormatError) as caught:
        dr.Calibration.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and says in message, message
    assert message.isprintable() and len(message) < 1000 + len(str(path)), message
    assert "needed" in message or "possible" in message or "leave" in message, message
    return message


def in_time_and_memory(call, seconds: float, memory: int):
    started = time.perf_counter()
    tracemalloc.start()
    try:
        result = call()
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - started < seconds
    return result


# --- other files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b" \r\n\t ", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\xff\xd8\xff\xe0rest", "this is a JPEG image"),
        (b"\x89PNG\r\n\x1a\n", "this is a PNG image"),
        (b"II*\0abc", "this is a TIFF image"),
        (b"v/1\x01abc", "this is an OpenEXR image"),
        (b"ply\nformat", "this is a PLY mesh"),
        (b"PK\x03\x04rest", "this is a zip archive; a calibration of Metashape's (XML)"),
        (gzip.compress(b"<calibration/>", mtime=0), "this is packed with gzip"),
        (b"\x7fELF\0\0\0\0" + bytes(100), "this is no file that is known, or a damaged one"),
        (b"\xff" * 100, "this is no file that is known, or a damaged one"),
        (b"Dear all,\nplease find attached", "the text begins with 'Dear all,'"),
        (b"Dear all:\nplease find attached", "not read as YAML"),
        (b"# nothing\n# at all\n", "there is nothing but comments"),
        (b"[1, 2, 3]", "the text begins with '[1, 2, 3]'"),
        (b"a: 1\n", "there is no camera matrix under any name that is known"),
        (b"- a: 1\n", "the YAML is no mapping"),
        (b'{"a": 1}', "the JSON has neither fl_x nor camera_matrix"),
        (b'{"a": ', "not read as JSON (Expecting value: line 1 column 7"),
        (b"<html><body>404</body></html>", "the XML is a <html>; a calibration of Metashape's (XML)"),
        (b"<calibration>", "not read as XML"),
        (b"<calibration/>", "the image's width is not in the file"),
        (b"<opencv_storage></opencv_storage>", "there is no camera matrix"),
        (b"<a><opencv_storage/></a>", "the XML is a <a>"),
        (b"<document version='1.2.0'><chunk/></document>", "read the file with load_chunk, and take the calibration"),
        (b"<document version='1.2.0' path='{projectname}.files/project.zip'/>", "read the file with load_chunk"),
        (b"<collection><cameras/></collection>", "read the file with load_chunk"),
        ("<?xml version='1.0' encoding='UTF-16'?><a/>".encode("utf-16"), "the XML is a <a>"),
        (b"<?xml version='1.0' encoding='no-such'?><calibration/>", "not read as XML (unknown encoding"),
    ],
)  # fmt: skip
def test_other_files_are_told_by_what_they_are(tmp_path, content, says):
    refused(write(tmp_path / "calibration.xml", content), says)


def test_folders_and_missing_files_are_the_systems_errors(tmp_path):
    with pytest.raises(IsADirectoryError):
        dr.Calibration.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        dr.load_calibrations(tmp_path / "nothing.xml")


def test_every_real_file_of_another_kind_is_refused(real_data):
    """Photos, meshes, projects, cameras files, licences, and files that were made to crash mesh readers."""
    n_files = 0
    for path in sorted(real_data.rglob("*")):
        if path.is_file():
            message = refused(path)
            if path.suffix == ".psx" or path.name in ("cameras.xml", "camera.xml"):
                assert "load_chunk" in message
            n_files += 1
    assert n_files > 50


# --- made to harm ---------------------------------------------------------------------------------------------------------

BOMB = "<!DOCTYPE a [<!ENTITY b 'ha'>" + "".join(
    f"<!ENTITY {chr(99 + k)} '{f'&{chr(98 + k)};' * 10}'>" for k in range(9)
)


@pytest.mark.parametrize("root", ["calibration", "opencv_storage"])
def test_document_types_and_entities_are_refused(tmp_path, root):
    for head in (BOMB + "]>", f"<!DOCTYPE {root} SYSTEM 'file:///etc/passwd'>"):
        path = write(tmp_path / "bomb.xml", f"{head}<{root}><camera_matrix>&k;</camera_matrix></{root}>")
        message = in_time_and_memory(
            lambda path=path: refused(path, "a document type or an entity"), 1, 4 * MIB
        )
        assert ("OpenCV does not write" in message) == (root == "opencv_storage")


def test_deep_and_long_xml_is_read_in_little_memory(tmp_path):
    deep = "<a>" * 90_000 + "</a>" * 90_000
    other = "<points>" + "1 2 3 " * 2_000_000 + "</points>"
    for inner in (deep, other):
        good = f"<calibration><width>9</width>{inner}<height>9</height><f>5</f></calibration>"
        path = write(tmp_path / "long.xml", good)
        assert in_time_and_memory(lambda path=path: dr.Calibration.load(path).f, 20, 16 * MIB) == 5
        path = write(tmp_path / "long.xml", f"<opencv_storage>{inner}</opencv_storage>")
        in_time_and_memory(lambda path=path: refused(path, "no camera matrix"), 20, 16 * MIB)
    for root in ("calibration", "opencv_storage", "document"):
        path = write(tmp_path / "deep.xml", f"<{root}>" + "<a>" * 1_000_000)
        in_time_and_memory(lambda path=path: refused(path, "more than 100000 deep, which"), 20, 16 * MIB)
    path = write(tmp_path / "text.xml", "<calibration><f>" + "1" * 2_000_000 + "</f></calibration>")
    refused(path, "more than 1048576 characters in one <f>, which Metashape does not write")
    path = write(tmp_path / "many.xml", "<opencv_storage>" + "<K/>" * 1_100_000 + "</opencv_storage>")
    refused(path, "more than 1000000 elements such as <K>, which OpenCV does not write")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "a: &a [1]\nb: &b [*a,*a]\nc: &c [*b,*b]\ncamera_matrix: *c\n",
            "it refers to another place in the file",
        ),
        ("camera_matrix: " + "[" * 50_000, ""),
        ("camera_matrix: " + "{a: " * 50_000, ""),
        ("other: " + "[" * 100_000, ""),
        (
            "other: " + "[" * 150 + "]" * 150,
            "values are within each other more than 100 deep; fewer are needed",
        ),
        ("- " * 100_000, ""),
        ("camera_matrix: [" + "1, " * 20_000 + "]", "there are too many values; a matrix is needed"),
        ("camera_matrix: [[[[[[[1]]]]]]]", "there are too many values"),
        ("camera_matrix: " + "1" * 200_000, ""),
        ("b: 1\n? [a, b]\n: 1\n", "a name in the YAML is no text"),
        ("a: b: c\n", "not read as YAML (mapping values are not allowed"),
        ("a: \x01\n", "not read as YAML"),
        ("a: 'open\n" * 3, "not read as YAML"),
        ("a: 1\n" * 3_500_000, "there are more than 16777216 characters of YAML; fewer are needed"),
    ],
    ids=range(14),
)
def test_hostile_yaml_is_refused(tmp_path, content, says):
    path = write(tmp_path / "bomb.yml", content)
    in_time_and_memory(lambda: refused(path, says), 20, 64 * MIB)


def test_yaml_that_is_not_asked_for_is_stepped_over(tmp_path):
    points = "image_points: [" + "123.25, " * 300_000 + "1]\n"
    LENS.save(tmp_path / "good.yml")
    text = (tmp_path / "good.yml").read_text() + points
    path = write(tmp_path / "points.yml", text)
    assert in_time_and_memory(lambda: dr.Calibration.load(path), 60, 32 * MIB) == LENS


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": ' * 100_000, "not read as JSON"),
        ('{"a":' + "[" * 1_000_000, "not read as JSON"),
        ('{"fl_x": ' + "9" * 5000 + ', "w": 9, "h": 9}', "stands there; a finite number is needed"),
        ('{"fl_x": 1e999999999, "w": 9, "h": 9}', "fl_x: '1e999999999' stands there"),
        ('{"fl_x": 1e-999999999, "w": 9, "h": 9}', "a focal length is 0"),
        ('{"fl_x": 5, "w": 1e308, "h": 9}', "pixels are possible"),
        ('{"fl_x": Infinity}', "Infinity is no number"),
        ('{"frames": {}}', "the JSON has neither fl_x nor camera_matrix"),
        ('{"camera_matrix": 1, "d": []}', "'camera_matrix': 1 numbers stand there; 3 x 3 are needed"),
        ('{"camera_matrix": {"rows": 1e9, "cols": 1e9, "data": []}, "d": []}', "0 numbers stand there"),
    ],
    ids=range(10),
)
def test_hostile_json_is_refused(tmp_path, content, says):
    path = write(tmp_path / "bomb.json", content)
    in_time_and_memory(lambda: refused(path, says), 5, 64 * MIB)


def test_files_of_any_length_are_refused_without_reading_them(tmp_path):
    for begin in (b"camera_matrix: [1]\n", b"{", b"\1\0\0\0\0\0\0\0"):
        path = write(tmp_path / "huge", begin)
        os.truncate(path, 1 << 34)  # takes no room on the disk
        in_time_and_memory(
            lambda path=path: refused(path, "there are more than 67108864 bytes"), 10, 140 * MIB
        )


def test_control_characters_are_spelled_out(tmp_path):
    refused(write(tmp_path / "a.txt", "\x1b[31mred\x1b[0m text\n"), r"'\x1b[31mred\x1b[0m text'")
    refused(write(tmp_path / "a.json", '{"fl_x": "\\u001b[31m", "w": 1}'), r"'\x1b[31m' stands there")
    label = '{"frames": [{"file_path": "\\u001b[31m", "fl_x": "x"}]}'
    refused(write(tmp_path / "b.json", label), r"frame '\x1b[31m': fl_x")


# --- anything at all ------------------------------------------------------------------------------------------------------


def load_or_refuse(path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            assert isinstance(dr.Calibration.load(path), dr.Calibration)
        except dr.FormatError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_calibration_or_refused(tmp_path_factory, data):
    load_or_refuse(write(tmp_path_factory.getbasetemp() / "any", data))


@given(text=st.text(alphabet="{}[]:,-#&*!|>%@'\"\\ \n\tkKdDmM01.e+<>/=ab_", max_size=120))
def test_any_text_is_a_calibration_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    load_or_refuse(write(folder / "any", text))
    load_or_refuse(write(folder / "any", f"K: {text}"))
    load_or_refuse(write(folder / "any", f'{{"K": {text}'))


@pytest.mark.parametrize(("name", "format"), EVERY)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 10_000),
)
def test_damaged_files_are_a_calibration_or_refused(tmp_path_factory, name, format, changes, cut):
    folder = tmp_path_factory.getbasetemp()
    LENS.save(folder / name, format)
    data = bytearray((folder / name).read_bytes())
    load_or_refuse(write(folder / f"cut {name}", bytes(data[: cut % len(data)])))
    for place, value in changes:
        data[place % len(data)] = value
    load_or_refuse(write(folder / f"damaged {name}", bytes(data)))
