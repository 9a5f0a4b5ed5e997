"""The two calls themselves: what they take, give back, and say to arguments that cannot be right."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import cameras
import depthraster as dr
import meshes

CALIBRATION = cameras.calibration("survey", 70, 50)


@pytest.fixture(scope="module")
def mesh():
    return meshes.terrain(np.random.default_rng(1), 10, 10, 10.0, 8.0, 1.0)


def test_signature_is_metashapes():
    names = list(inspect.signature(dr.render_depth).parameters)
    assert names[1:5] == ["transform", "calibration", "cull_faces", "add_alpha"]
    image = dr.render_depth(meshes.icosphere(1, 3.0, True), np.eye(4), CALIBRATION, True, False)
    assert image.shape == (50, 70, 1)


@pytest.mark.parametrize("add_alpha", [True, False])
def test_shape_and_dtype(mesh, add_alpha):
    image = dr.render_depth(mesh, np.eye(4), CALIBRATION, add_alpha=add_alpha)
    assert image.shape == (50, 70, 2 if add_alpha else 1)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous and image.flags.writeable
    both = dr.render_depth(mesh, np.eye(4), CALIBRATION)
    np.testing.assert_array_equal(image[..., 0], both[..., 0])
    assert set(np.unique(both[..., 1])) == {0.0, 1.0}
    assert ((both[..., 0] > 0) == (both[..., 1] == 1)).all()


def test_meshes_of_every_kind(mesh):
    trimesh = pytest.importorskip("trimesh")
    vertices, faces = mesh
    expected = dr.render_depth(dr.Scene(vertices, faces), np.eye(4), CALIBRATION)
    for same in (
        mesh,
        [vertices, faces],
        (vertices.tolist(), faces.tolist()),
        trimesh.Trimesh(vertices, faces, process=False),
        dr.Scene.from_mesh(mesh),
    ):
        np.testing.assert_array_equal(dr.render_depth(same, np.eye(4), CALIBRATION), expected)
        layers = dr.render(same, np.eye(4), CALIBRATION)
        np.testing.assert_array_equal(layers.depth, expected[..., 0])


def test_a_path_is_read(mesh, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / "terrain.ply"
    trimesh.Trimesh(mesh[0].astype(np.float32), mesh[1], process=False).export(path)
    expected = dr.render_depth((mesh[0].astype(np.float32), mesh[1]), np.eye(4), CALIBRATION)
    np.testing.assert_array_equal(dr.render_depth(path, np.eye(4), CALIBRATION), expected)
    np.testing.assert_array_equal(dr.render_depth(str(path), np.eye(4), CALIBRATION), expected)


def test_transforms_of_every_kind(mesh):
    expected = dr.render_depth(mesh, np.eye(4), CALIBRATION)
    for same in (
        np.eye(4).tolist(),
        np.eye(4, dtype=np.float32),
        np.eye(4, dtype=int),
        np.asfortranarray(np.eye(4)),
    ):
        np.testing.assert_array_equal(dr.render_depth(mesh, same, CALIBRATION), expected)


def test_arguments_are_not_changed(mesh):
    vertices, faces, transform = mesh[0].copy(), mesh[1].copy(), np.eye(4)
    for array in (vertices, faces, transform):
        array.flags.writeable = False
    dr.render_depth((vertices, faces), transform, CALIBRATION)
    np.testing.assert_array_equal(vertices, mesh[0])
    np.testing.assert_array_equal(faces, mesh[1])


def test_out_is_filled_and_returned(mesh):
    expected = dr.render_depth(mesh, np.eye(4), CALIBRATION)
    out = np.full((50, 70, 2), np.nan, np.float32)
    assert dr.render_depth(mesh, np.eye(4), CALIBRATION, out=out) is out
    np.testing.assert_array_equal(out, expected)
    nothing = np.eye(4)
    nothing[:3, :3] = np.diag([1, -1, -1])  # looks the other way: the old image must not shine through
    dr.render_depth(mesh, nothing, CALIBRATION, out=out)
    assert not out.any()
    one = np.empty((50, 70, 1), np.float32)
    assert dr.render_depth(mesh, np.eye(4), CALIBRATION, add_alpha=False, out=one) is one
    np.testing.assert_array_equal(one[..., 0], expected[..., 0])


def _read_only():
    array = np.empty((50, 70, 2), np.float32)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "out",
    [
        np.empty((50, 70), np.float32),
        np.empty((50, 70, 1), np.float32),
        np.empty((70, 50, 2), np.float32),
        np.empty((50, 70, 2), np.float64),
        np.empty((50, 70, 2), ">f4"),
        np.empty((50, 70, 4), np.float32)[..., ::2],
        np.empty((50, 70, 2), np.float32, order="F"),
        _read_only(),
        [[0.0]],
        "image.tif",
    ],
    ids=[
        "flat",
        "one channel",
        "turned",
        "float64",
        "big-endian",
        "every second",
        "by columns",
        "read only",
        "list",
        "path",
    ],
)
def test_out_that_does_not_fit(mesh, out):
    with pytest.raises((TypeError, ValueError), match="out "):
        dr.render_depth(mesh, np.eye(4), CALIBRATION, out=out)


@pytest.mark.parametrize("background", [0.0, -1, 7.5, np.nan, np.inf, np.float32(3), np.int64(-5)])
def test_background(background):
    beside = meshes.huge_face(np.random.default_rng(2), 5.0, 0.3)
    image = dr.render_depth(beside, np.eye(4), CALIBRATION, background=background)
    empty = image[..., 1] == 0
    assert 0 < empty.sum() < empty.size
    np.testing.assert_array_equal(image[..., 0][empty], np.float32(background))
    layers = dr.render(
        beside, np.eye(4), CALIBRATION, ("depth", "range", "face_index"), background=background
    )
    np.testing.assert_array_equal(layers.range[empty], np.float32(background))
    assert (layers.face_index[empty] == -1).all()


MIRRORED = np.diag([1.0, 1.0, -1.0, 1.0])
SHEARED = np.eye(4) + np.eye(4, k=1) * [[0.1], [0], [0], [0]]
STRETCHED = np.diag([1.0, 1.0, 1.1, 1.0])
PROJECTIVE = np.eye(4)
PROJECTIVE = PROJECTIVE + [[0] * 4, [0] * 4, [0] * 4, [0, 0, 0.1, 0]]
NOT_FINITE = np.where(np.eye(4) == 1, 1.0, np.nan)
FAR = np.eye(4)
FAR = FAR + [[0, 0, 0, np.inf], [0] * 4, [0] * 4, [0] * 4]


@pytest.mark.parametrize(
    "transform",
    [
        MIRRORED,
        SHEARED,
        STRETCHED,
        PROJECTIVE,
        NOT_FINITE,
        FAR,
        np.zeros((4, 4)),
        np.eye(3),
        np.eye(4)[:3],
        None,
        "north",
        1.0,
    ],
    ids=[
        "mirrored",
        "sheared",
        "stretched",
        "projective",
        "nan",
        "inf",
        "zeros",
        "3x3",
        "3x4",
        "None",
        "text",
        "number",
    ],
)
def test_transforms_that_are_none(mesh, transform):
    with pytest.raises((TypeError, ValueError), match=r"(?i)transform"):
        dr.render_depth(mesh, transform, CALIBRATION)
    with pytest.raises((TypeError, ValueError), match=r"(?i)transform"):
        dr.render(mesh, transform, CALIBRATION)


@pytest.mark.parametrize("calibration", [None, {}, (70, 50), "calibration.xml", 5])
def test_calibrations_that_are_none(mesh, calibration):
    with pytest.raises(TypeError, match=r"(?i)calibration"):
        dr.render_depth(mesh, np.eye(4), calibration)
    with pytest.raises(TypeError, match=r"(?i)calibration"):
        dr.render(mesh, np.eye(4), calibration)


@pytest.mark.parametrize("size", [(10**7, 10**7), (2**31, 1), (1, 10**9), (10**30, 10)])
def test_absurd_sizes_are_refused_before_memory_is_asked_for(mesh, size):
    with pytest.raises(ValueError, match=str(max(size))):
        dr.render_depth(mesh, np.eye(4), dr.Calibration(width=size[0], height=size[1], f=1000.0))


@pytest.mark.parametrize(
    "keywords",
    [
        {"depth": "Z"},
        {"depth": 1},
        {"background": "black"},
        {"background": "0"},
        {"background": True},
        {"background": None},
        {"background": 1j},
        {"background": [0.0, 1.0]},
        {"threads": 0},
        {"threads": -1},
        {"threads": 1.5},
        {"threads": "two"},
        {"threads": True},
    ],
    ids=repr,
)
def test_keywords_that_are_none(mesh, keywords):
    name = next(iter(keywords))
    with pytest.raises((TypeError, ValueError), match=name):
        dr.render_depth(mesh, np.eye(4), CALIBRATION, **keywords)
    with pytest.raises((TypeError, ValueError), match=name):
        dr.render(mesh, np.eye(4), CALIBRATION, **keywords)


@pytest.mark.parametrize("wrong", [None, 5, "no such mesh.ply", (1, 2, 3), np.zeros((4, 3)), {}])
def test_meshes_that_are_none(wrong):
    with pytest.raises((TypeError, ValueError, OSError)):
        dr.render_depth(wrong, np.eye(4), CALIBRATION)


@pytest.mark.parametrize("layers", [(), "colour", ("depth", "colour"), None, 3, ("depth", None)])
def test_layers_that_are_none(mesh, layers):
    with pytest.raises((TypeError, ValueError), match="layer"):
        dr.render(mesh, np.eye(4), CALIBRATION, layers)


def test_one_layer_by_its_name(mesh):
    layers = dr.render(mesh, np.eye(4), CALIBRATION, "face_index")
    assert layers.depth is None and layers.alpha is None and layers.range is None
    assert layers.face_index.dtype == np.int32 and layers.face_index.shape == (50, 70)


def test_errors_name_the_value_and_the_remedy(mesh):
    """Three parts: what came in, what is needed, what to do."""
    with pytest.raises(ValueError) as error:
        dr.render_depth(mesh, np.eye(4), CALIBRATION, depth="height")
    assert "'height'" in str(error.value) and "'range'" in str(error.value) and ":" in str(error.value)
    with pytest.raises(ValueError) as error:
        dr.render_depth(mesh, np.eye(4), CALIBRATION, threads=-3)
    assert "-3" in str(error.value) and ":" in str(error.value)
    with pytest.raises(ValueError) as error:
        dr.render_depth(mesh, np.eye(4), CALIBRATION, out=np.empty((3, 3), np.float32))
    assert "(3, 3)" in str(error.value) and "(50, 70, 2)" in str(error.value)


def test_the_library_prints_nothing(mesh, capfd):
    dr.render_depth(mesh, np.eye(4), CALIBRATION)
    assert capfd.readouterr() == ("", "")
