"""Files of points: tables as people and programs write them, arrays, PLY; and what is wrong with them in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr
from depthraster.io.points import load_points
from depthraster.io.tables import save_csv
from projects import ply

ROWS = [[1.5, -2.0, 3.25], [4.0, 5.0, 6.0], [-0.1, 1e-7, 7e6]]


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("a.csv", "1.5,-2,3.25\n4,5,6\n-0.1,1e-7,7e6\n", None),
        ("a.CSV", "x,y,z\n1.5,-2,3.25\n4,5,6\n-0.1,1e-7,7e6", None),
        ("a.csv", "label,x,y,z\na,1.5,-2,3.25\nb c,4,5,6\nd,-0.1,1e-7,7e6\n", ["a", "b c", "d"]),
        ("a.csv", "z;Name;Y;x;more\n3.25;é;-2;1.5;?\n6;2;5;4;\n7e6;3;1e-7;-.1;no\n", ["é", "2", "3"]),
        (
            "a.csv",
            '"id","x","y","z"\n"a,1",1.5,-2,3.25\n"#2",4,5,6\n\n"",-0.1,1e-7,7e6\n',
            ["a,1", "#2", ""],
        ),
        ("a.txt", "\ufeff1.5  -2 3.25\r\n4 5\t6\r\n\r\n -0.1 1e-7 7e6 \r\n".replace("\t", " "), None),
        ("a.txt", "# points\n# of mine\n\n1.5\t-2\t3.25\n4\t5\t6\n# one more\n-0.1\t1e-7\t7e6\n", None),
        ("a.xyz", "//X Y Z R G B\n1.5 -2 3.25 0 0 0\n4 5 6 1 2 3\n-0.1 1e-7 7e6 9 9 9\n", None),
        ("a.csv", "Easting;Northing;Altitude;z2\n1.5;-2;3.25;0\n4;5;6;0\n-0.1;1e-7;7e6;0\n", None),
        ("a.csv", "height,z,y,northing,x\n0,3.25,-2,0,1.5\n0,6,5,0,4\n0,7e6,1e-7,0,-0.1\n", None),
        (
            "markers.txt",
            '# CoordinateSystem: LOCAL_CS["Local, X Y Z (m)"]\n#Label,X/Easting,Y/Northing,Z/Altitude,Error_(m)\n'
            "target 1,1.5,-2,3.25,\ntarget 2,4,5,6,0.1\ntarget 3,-0.1,1e-7,7e6,\n# Total Error\n",
            ["target 1", "target 2", "target 3"],
        ),
    ],
)
def test_tables_in_text(tmp_path, name, text, labels):
    path = tmp_path / name
    path.write_bytes(text.encode())
    points = load_points(path)
    np.testing.assert_array_equal(points.coordinates, ROWS)
    assert points.coordinates.dtype == np.float64 and points.labels == labels


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", ">f8"])
def test_arrays(tmp_path, dtype):
    rows = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    np.save(tmp_path / "a.npy", rows)
    points = load_points(tmp_path / "a.npy")
    np.testing.assert_array_equal(points.coordinates, rows)
    assert points.coordinates.dtype == np.float64 and points.coordinates.flags.c_contiguous
    assert points.labels is None


@pytest.mark.parametrize("faces", [[], [[0, 1, 2]]])
def test_the_vertices_of_a_ply(tmp_path, faces):
    (tmp_path / "a.ply").write_bytes(ply(np.array(ROWS), faces, real="double", colors=True))
    np.testing.assert_array_equal(load_points(tmp_path / "a.ply").coordinates, ROWS)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"# nothing\n", "there are no points"),
        ("a.csv", b"x,y,z\n", "there are no points"),
        ("a.csv", b"1,2\n", "there are 2 columns, and no first line that names x, y and z"),
        ("a.xyz", b"1 2 3 255 0 0\n", "there are 6 columns"),
        ("a.csv", b"a,1,2,3\n", "there are 4 columns"),
        ("a.csv", b"easting,northing\n1,2\n", "'easting,northing', has neither numbers"),
        ("a.csv", b"x,y,z\n1,2,3\n1,2\n", "not read as points"),
        ("a.csv", b"x,y,z\n1,2,3\n1,2,three\n", "'three'"),
        ("a.csv", b"x,y,z,X/Easting\n1,2,3,4\n", "names x more than once"),
        ("a.csv", b"easting,northing,height,height\n1,2,3,4\n", "names height more than once"),
        ("a.csv", b"1,5;2,5;3,5\n", "neither numbers (with a point for decimals)"),
        ("a.csv", b"x,y,z\n1,2,3\n1,nan,3\n4,5,inf\n", "2 of 3 points are not finite, the first is number 1"),
        ("a.csv", "x,y,z\n1,2,3\né".encode("latin-1"), "not read as points"),
        ("a.npy", b"nothing", "not read as points"),
        ("a.ply", b"nothing", "the first line is not 'ply'"),
        ("a.las", b"LASF", "the suffix is '.las'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(dr.FormatError) as caught:
        load_points(path)
    assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 2)), r"float64 of shape \(3, 2\)"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((2, 3), bool), "bool of shape"),
        (np.zeros((0, 3)), "there are no points"),
        (np.full((2, 3), np.nan, np.float32), "2 of 2 points are not finite"),
    ],
)
def test_arrays_of_something_else(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(dr.FormatError, match=words):
        load_points(tmp_path / "a.npy")


def test_a_file_that_is_not_there(tmp_path):
    (tmp_path / "points.csv").write_text("1,2,3\n")
    with pytest.raises(FileNotFoundError, match=r"is points\.csv meant"):
        load_points(tmp_path / "point.csv")


def test_csv_is_written_in_the_formats_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("depthraster.io.tables._ROWS", 2)
    columns = {
        "n": ("d", np.arange(3)),
        "name": ("", ["a", 'b,"c"', "é"]),
        "x": (".2f", np.array([1.0, 2.5, -3])),
    }
    save_csv(tmp_path / "t.csv", columns)
    expected = 'n,name,x\n0,a,1.00\n1,"b,""c""",2.50\n2,é,-3.00\n'
    assert (tmp_path / "t.csv").read_bytes().decode() == expected
    save_csv(tmp_path / "t.csv", {"n": ("d", [])})
    assert (tmp_path / "t.csv").read_text() == "n\n"
