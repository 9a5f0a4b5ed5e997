"""Files that are to be read and are not there, and those that are written: what people are told, and what is left."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr
from depthraster.io.files import existing_file, written_whole
from depthraster.io.images import load_image
from exports import run, write_survey


def test_a_file_that_is_there_is_no_concern(tmp_path):
    (tmp_path / "mesh.ply").write_bytes(b"ply")
    assert existing_file(str(tmp_path / "mesh.ply"), "a mesh file", [".obj"]) == tmp_path / "mesh.ply"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mseh.ply", "is mesh.ply meant, which is there?"),
        ("mesh.plx", "is mesh.ply meant, which is there?"),
        ("quite another.ply", "check the path"),
        ("nowhere/mesh.ply", "check the path"),
    ],
)
def test_a_missing_file_is_told_with_what_may_be_meant(tmp_path, name, hint):
    (tmp_path / "mesh.ply").touch()
    (tmp_path / ".mseh.ply").touch()  # nobody means hidden files
    with pytest.raises(FileNotFoundError) as caught:
        existing_file(tmp_path / name, "a mesh file")
    assert caught.value.strerror == f"there is no such file; a mesh file is needed: {hint}"
    assert caught.value.filename == str(tmp_path / name)


@pytest.mark.parametrize(
    ("inside", "hint"),
    [
        (["b.xml", "a.PSX", "photo.jpg"], "name the file, such as a.PSX, b.xml"),
        (["1.xml", "2.xml", "3.xml", "4.xml"], "name the file, such as 1.xml, 2.xml, 3.xml"),
        (["photo.jpg", "line\nbreak.xml"], "name one"),
    ],
)
def test_a_folder_is_told_with_what_lies_in_it(tmp_path, inside, hint):
    for name in inside:
        (tmp_path / name).touch()
    with pytest.raises(IsADirectoryError) as caught:
        existing_file(tmp_path, "a cameras file", (".xml", ".psx"))
    assert caught.value.strerror == f"this is a folder; a cameras file is needed: {hint}"


def test_every_reader_says_so(tmp_path):
    for read in (dr.load_mesh, dr.load_chunk, load_image, dr.Calibration.load, dr.Scene.open):
        with pytest.raises(FileNotFoundError, match=r"there is no such file; a.* is needed"):
            read(tmp_path / "missing")
        with pytest.raises(IsADirectoryError, match=r"this is a folder; a.* is needed"):
            read(tmp_path)


def test_a_mistyped_label_is_told_with_a_similar_one(tmp_path):
    cameras, _ = write_survey(tmp_path, ["DSC_0001", "DSC_0002"])
    chunk = dr.load_chunk(cameras)
    with pytest.raises(ValueError, match="is 'DSC_0002' meant"):
        chunk.camera("DCS_0002")
    with pytest.raises(ValueError, match="look it up in the project"):
        chunk.camera("another name")


def test_the_command_tells_arguments_in_the_wrong_order(tmp_path):
    cameras, mesh = write_survey(tmp_path, ["a"])
    result = run("render", mesh, cameras, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "name the project or cameras file first, then the mesh" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_suffix_names_a_format(tmp_path):
    survey = write_survey(tmp_path, ["a"])
    assert run("render", *survey, "-o", tmp_path / "out", "--format", "tif").exit_code == 0
    assert load_image(tmp_path / "out" / "a.tif").dtype == np.float32


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "kept.txt"
    target.write_text("before")
    with pytest.raises(RuntimeError), written_whole(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]
