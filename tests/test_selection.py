"""Which cameras are rendered, and what their files are called."""

from __future__ import annotations

import time

import numpy as np
import pytest

import depthraster as dr
from depthraster.selection import file_names, plan

LENS = dr.Calibration(width=8, height=6, f=7)


def camera(number: int, label: str, **fields) -> dr.Camera:
    return dr.Camera(id=number, label=label, **({"transform": np.eye(4), "calibration": LENS} | fields))


def chunk(*labels: str) -> dr.Chunk:
    return dr.Chunk(label="c", cameras=[camera(k, label) for k, label in enumerate(labels)])


def chosen(of: dr.Chunk, *patterns: str, **options) -> list[int]:
    return [c.id for c, _ in plan(of, patterns, **options)[0]]


def test_each_camera_is_chosen_or_left_out_with_a_reason():
    cameras = [
        camera(0, "a"),
        camera(1, "off", enabled=False),
        camera(2, "lost", transform=None),
        camera(3, "away", in_active_component=False),
        camera(4, "blank", calibration=None),
    ]
    some = dr.Chunk(cameras=cameras)
    assert chosen(some) == [0]
    assert [(c.id, why) for c, why in plan(some)[1]] == [
        (1, "disabled"),
        (2, "not aligned"),
        (3, "in another component"),
        (4, "no calibration"),
    ]
    assert chosen(some, disabled=True) == [0, 1]
    assert chosen(some, "off") == []
    assert [c.id for c, _ in plan(some, ["off"])[1]] == [1]  # what was not asked for is not told either


def test_patterns_choose_by_label_glob_and_name_of_the_photo():
    some = chunk("a/IMG_1.JPG", "a/IMG_2.JPG", "b/IMG_2.JPG", "x[1]", "x1", "same", "same", "DSC 9")
    assert chosen(some, "a/IMG_1.JPG") == [0]
    assert chosen(some, "IMG_*") == [0, 1, 2]  # without folders
    assert chosen(some, "a/*", "DSC ?") == [0, 1, 7]
    assert chosen(some, "x[1]") == [3]  # a label first, then a pattern
    assert chosen(some, "x[12]") == [4]
    assert chosen(some, "same") == [5, 6]
    assert chosen(some, "DSC 9", "a/IMG_1.JPG") == [0, 7]  # in the chunk's order
    assert chosen(some, "IMG_1.tif") == [0]
    assert chosen(some, "b/IMG_2.JPG") == [2]
    assert chosen(some, "/photos/b/IMG_2.JPG", "IMG_1", "c/x1.JPG") == [0, 2, 4]
    for pattern, words in {
        "IMG_2": "2 cameras",
        "IMG_3": "'IMG_3'",
        "I*9": "'I\\*9'",
        "img_1": "'img_1'",
        "b/IMG_1.JPG": "'b/IMG_1.JPG'",  # folders that are not the label's: another photo
    }.items():
        with pytest.raises(ValueError, match=words):
            plan(some, [pattern])


def test_names_do_not_depend_on_what_is_chosen():
    some = chunk("a/b", "a:b", "a_b")
    assert [name for _, name in plan(some)[0]] == ["a_b_2", "a_b_3", "a_b"]
    assert [name for _, name in plan(some, ["a:b"])[0]] == ["a_b_3"]


def test_many_cameras_and_many_patterns_take_no_time():
    some = chunk(*(f"IMG_{k}.JPG" for k in range(20_000)))
    same = chunk(*["same/"] * 20_000)
    start = time.process_time()
    assert len(chosen(some, *(f"IMG_{k}" for k in range(20_000)))) == 20_000
    assert len(chosen(some, *(f"/photos/IMG_{k}.JPG" for k in range(20_000)))) == 20_000
    assert len(set(file_names(same.cameras))) == 20_000
    assert time.process_time() - start < 5  # a second or so; with the square of the number, minutes


def test_file_names_are_safe_and_unique():
    labels = ["a", "A", "a_2", "b/c", "b:c", "b_c", "..", "", ".hidden", "CON", "com1.jpg", "x. ", "x"]
    labels += ["ä", "a\u0308", "n" * 300, "t\ta", "\u00e9" * 200, "DSC_1.JPG", "txt\u202egpj.exe"]
    cameras = [camera(k, label) for k, label in enumerate(labels)]
    names = file_names(cameras)
    by_label = dict(zip(labels, names, strict=True))
    for label in ("a", "a_2", "b_c", "x", "ä", "DSC_1.JPG"):
        assert by_label[label] == label
    folded = [name.casefold() for name in names]
    assert len(set(folded)) == len(names)
    for name in names:
        assert 0 < len(name.encode()) <= 210
        assert not set(name) & set('/\\:*?"<>|\t\n\u202e') and name.strip(" .") == name
        assert not name.startswith(".") and name.split(".")[0].upper() not in ("CON", "COM1")
    assert file_names(cameras) == names
