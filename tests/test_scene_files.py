"""Prepared scenes on disk: the same bits from the file, and a reason wherever it does not fit."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zlib

import numpy as np
import pytest

import depthraster as dr
import meshes
from depthraster.io import scene_files

CALIBRATION = dr.Calibration(150, 100, 140.0, k1=-0.05)


@pytest.fixture(scope="module")
def scene():
    return dr.Scene(*meshes.terrain(np.random.default_rng(1), 90, 90, 14.0, 8.0, 0.5))


@pytest.fixture
def saved(scene, tmp_path):
    scene.save(tmp_path / "terrain.scene")
    return tmp_path / "terrain.scene"


@pytest.mark.parametrize("storage", ["wide", "narrow"])
def test_an_opened_scene_renders_the_same_bits(tmp_path, storage):
    mesh = meshes.terrain(np.random.default_rng(2), 90, 90, 14.0, 8.0, 0.5)
    scene = dr.Scene._with_storage(*mesh, storage)
    scene.save(tmp_path / "scene")
    opened = dr.Scene.open(tmp_path / "scene", verify=True)
    for here, there in zip(
        (*scene._arrays, *scene._corners), (*opened._arrays, *opened._corners), strict=True
    ):
        np.testing.assert_array_equal(here, there)
        assert np.asarray(here).dtype == np.asarray(there).dtype
    np.testing.assert_array_equal(scene.bounds, opened.bounds)
    np.testing.assert_array_equal(scene._origin, opened._origin)
    assert (opened.n_faces, opened.n_dropped) == (scene.n_faces, scene.n_dropped)
    image = dr.render_depth(scene, np.eye(4), CALIBRATION)
    assert image[..., 1].any()
    np.testing.assert_array_equal(dr.render_depth(opened, np.eye(4), CALIBRATION), image)
    layers, others = (
        dr.render(s, np.eye(4), CALIBRATION, ("barycentric", "normal"), attributes={"x": mesh[0][:, 0]})
        for s in (scene, opened)
    )
    np.testing.assert_array_equal(layers.barycentric, others.barycentric)
    np.testing.assert_array_equal(layers.attributes["x"], others.attributes["x"])


def test_it_is_mapped_and_read_only(saved):
    opened = dr.Scene.open(saved)
    assert not opened._arrays.narrow.flags.writeable
    assert not opened._arrays.corners.flags.owndata  # memory of the file's
    with pytest.raises(ValueError, match="read-only"):
        opened._arrays.corners[0] = 1


def test_another_process_sees_the_same(saved, scene):
    code = (
        "import sys, numpy as np, depthraster as dr, zlib\n"
        "scene = dr.Scene.open(sys.argv[1])\n"
        "image = dr.render_depth(scene, np.eye(4), dr.Calibration(150, 100, 140.0, k1=-0.05))\n"
        "print(zlib.crc32(image.tobytes()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == zlib.crc32(dr.render_depth(scene, np.eye(4), CALIBRATION).tobytes())


def test_saving_again_gives_the_same_file(saved, scene, tmp_path):
    dr.Scene.open(saved).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()


def rewritten(path, change):
    """The file with its header changed, and the checksum right again."""
    data = path.read_bytes()
    begin = len(scene_files._MAGIC) + scene_files._START.size
    n, _ = scene_files._START.unpack(data[len(scene_files._MAGIC) : begin])
    document = json.loads(data[begin : begin + n])
    change(document)
    header = json.dumps(document).encode().ljust(n)
    assert len(header) == n
    path.write_bytes(
        data[: len(scene_files._MAGIC)]
        + scene_files._START.pack(n, zlib.crc32(header))
        + header
        + data[begin + n :]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(version=99), "is of version 99"),
        (lambda d: d.update(byteorder="middle"), "middle-endian"),
        (lambda d: d["layout"].update({"lanes": 8}), "made with lanes = 8"),
        (lambda d: d["layout"].pop("lanes"), "made with lanes = None"),
        (lambda d: d.update(n_bytes=d["n_bytes"] + 4096), "its header promises"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(saved, change, words):
    rewritten(saved, change)
    with pytest.raises(dr.FormatError, match=words) as error:
        dr.Scene.open(saved)
    assert str(saved) in str(error.value) and "save it" in str(error.value)


def test_damaged_files_are_refused(saved, tmp_path):
    whole = saved.read_bytes()
    saved.write_bytes(whole[:-1])
    with pytest.raises(dr.FormatError, match="promises"):
        dr.Scene.open(saved)
    saved.write_bytes(whole[:200])
    with pytest.raises(dr.FormatError, match="header is damaged"):
        dr.Scene.open(saved)
    saved.write_bytes(whole[:40] + b"?" + whole[41:])
    with pytest.raises(dr.FormatError, match="header is damaged"):
        dr.Scene.open(saved)
    middle = len(whole) // 2
    saved.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(dr.FormatError, match="is damaged"):
        dr.Scene.open(saved, verify=True)


@pytest.mark.parametrize("content", [b"", b"ply\n", pickle.dumps({"a": 1}), b"depthraster scn\n"])
def test_other_files_are_no_scenes(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(dr.FormatError, match="no prepared scene"):
        dr.Scene.open(tmp_path / "other")


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        dr.Scene.open(tmp_path / "none")


def test_a_failed_save_leaves_what_was_there(saved, scene, monkeypatch):
    before = saved.read_bytes()

    def fail(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        scene.save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]
