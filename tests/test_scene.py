"""`Scene`: what a mesh may look like, what it is refused for, what it keeps and what it costs."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import cameras
import depthraster as dr
import meshes

CALIBRATION = cameras.calibration("survey", 60, 40)


@pytest.fixture(scope="module")
def mesh():
    return meshes.terrain(np.random.default_rng(1), 12, 12, 10.0, 8.0, 1.0)


def shown(scene):
    layers = dr.render(scene, np.eye(4), CALIBRATION, ("depth", "face_index"), cull_faces=False)
    return layers.depth, layers.face_index


def assert_same(scene, other):
    for one, two in zip(shown(scene), shown(other), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_it_says_of_itself(mesh):
    vertices, faces = mesh
    scene = dr.Scene(vertices, faces)
    assert scene.n_faces == len(faces)
    np.testing.assert_allclose(scene.bounds, [vertices.min(axis=0), vertices.max(axis=0)], rtol=1e-12)
    assert scene.nbytes > 0
    assert str(len(faces)) in repr(scene)


def test_bounds_leave_out_vertices_that_no_face_uses(mesh):
    vertices, faces = mesh
    more = np.concatenate([[[1e9, 1e9, 1e9]], vertices, [[np.nan, np.inf, 0]]])
    scene = dr.Scene(more, faces + 1)
    np.testing.assert_allclose(scene.bounds, [vertices.min(axis=0), vertices.max(axis=0)], rtol=1e-12)
    assert_same(scene, dr.Scene(vertices, faces))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"])
def test_face_indices_of_any_integer_type(dtype):
    vertices, faces = meshes.icosphere(1, 3.0, True)
    assert_same(dr.Scene(vertices, faces.astype(dtype)), dr.Scene(vertices, faces))


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "f2", "i4"])
def test_vertices_of_any_real_type(dtype):
    vertices, faces = meshes.box_room(2, (2, 4, 6))
    vertices = vertices.astype(dtype)
    assert_same(dr.Scene(vertices, faces), dr.Scene(vertices.astype(float), faces))


def test_arrays_in_any_order(mesh):
    vertices, faces = mesh
    scene = dr.Scene(vertices, faces)
    assert_same(dr.Scene(np.asfortranarray(vertices), np.asfortranarray(faces)), scene)
    assert_same(dr.Scene(np.repeat(vertices, 2, axis=0)[::2], np.repeat(faces, 3, axis=1)[:, ::3]), scene)
    wide = np.concatenate([vertices, vertices], axis=1)
    assert_same(dr.Scene(wide[:, :3], faces), scene)
    assert_same(dr.Scene(vertices.tolist(), faces.tolist()), scene)


def test_the_callers_arrays_are_copied(mesh):
    vertices, faces = mesh[0].copy(), mesh[1].copy()
    scene = dr.Scene(vertices, faces)
    before = shown(scene)
    vertices[:] = 0
    faces[:] = 0
    for one, two in zip(before, shown(scene), strict=True):
        np.testing.assert_array_equal(one, two)


def test_it_cannot_be_changed(mesh):
    scene = dr.Scene(*mesh)
    for name in ("n_faces", "bounds", "nbytes", "colour"):
        with pytest.raises(AttributeError):
            setattr(scene, name, 1)
    bounds = scene.bounds
    with contextlib.suppress(ValueError):  # refused, or a copy: either way
        bounds[:] = 0
    np.testing.assert_allclose(scene.bounds, [mesh[0].min(axis=0), mesh[0].max(axis=0)])


def test_face_index_is_that_of_the_mesh_given(mesh):
    """The order in which the caller lists the faces is his; only the numbers follow it."""
    vertices, faces = mesh
    order = np.random.default_rng(2).permutation(len(faces))
    depth, face_index = shown(dr.Scene(vertices, faces))
    shuffled_depth, shuffled = shown(dr.Scene(vertices, faces[order]))
    np.testing.assert_array_equal(depth, shuffled_depth)
    covered = face_index >= 0
    np.testing.assert_array_equal(order[shuffled[covered]], face_index[covered])


def test_the_same_bits_for_any_number_of_threads():
    mesh = meshes.terrain(np.random.default_rng(3), 300, 260, 10.0, 8.0, 1.0)
    expected = dr.Scene(*mesh, threads=1)
    for threads in (2, 5):
        scene = dr.Scene(*mesh, threads=threads)
        assert scene.nbytes == expected.nbytes
        assert_same(scene, expected)


def test_about_twenty_bytes_per_face():
    """12 + 4 bytes per vertex, 3/4 vertex per face, 3 + 4 + 1 bytes of names, and the clusters' own numbers."""
    vertices, faces = meshes.terrain(np.random.default_rng(4), 400, 400, 10.0, 8.0, 1.0)
    assert dr.Scene(vertices, faces).nbytes < 22 * len(faces)


def test_shuffled_faces_are_put_in_order():
    """A mesh whose faces come in any order costs no more memory than one that is sorted, but for ties."""
    vertices, faces = meshes.terrain(np.random.default_rng(5), 200, 200, 10.0, 8.0, 1.0)
    shuffled = faces[np.random.default_rng(6).permutation(len(faces))]
    assert dr.Scene(vertices, shuffled).nbytes < 1.02 * dr.Scene(vertices, faces).nbytes


def test_one_face_and_few():
    vertices = np.array([[-9.0, -9, 5], [0, 9, 5], [9, -9, 5]])
    scene = dr.Scene(vertices, [[0, 1, 2]])
    assert scene.n_faces == 1
    assert (shown(scene)[1] >= 0).any()
    point = dr.Scene(np.ones((1, 3)), [[0, 0, 0]])
    assert point.n_faces == 1
    assert (shown(point)[1] == -1).all()


def test_coordinates_of_every_magnitude():
    """The same picture of a mesh as large as an atom or the solar system."""
    vertices, faces = meshes.terrain(np.random.default_rng(7), 110, 100, 10.0, 8.0, 1.0)
    _, expected = shown(dr.Scene(vertices, faces))
    for exponent in (-40, 40):
        assert (shown(dr.Scene(vertices * 2.0**exponent, faces))[1] == expected).all()


@pytest.mark.parametrize("bad", [-1, 4, 10**6, 2**40])
def test_faces_that_name_a_missing_vertex(bad):
    vertices = np.array([[-9.0, -9, 5], [0, 9, 5], [9, -9, 5], [0, 0, 9]])
    faces = np.array([[0, 1, 2], [1, 2, 3], [0, bad, 2], [bad, 1, 0]])
    with pytest.raises(ValueError) as error:
        dr.Scene(vertices, faces)
    assert "2" in str(error.value) and str(bad) in str(error.value) and "drop" in str(error.value)
    with pytest.warns(UserWarning, match="2"):
        scene = dr.Scene(vertices, faces, invalid="drop")
    assert scene.n_faces == 2
    assert_same(scene, dr.Scene(vertices, faces[:2]))


def test_unsigned_indices_beyond_everything():
    with pytest.raises(ValueError, match="vert"):
        dr.Scene(np.eye(3), np.array([[0, 1, 2**64 - 1]], np.uint64))
    with pytest.raises(ValueError, match="vert"):
        dr.Scene(np.eye(3), np.array([[0, 1, 2**32 - 1]], np.uint32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vertices_that_are_not_finite(bad):
    vertices = np.array([[-9.0, -9, 5], [0, 9, 5], [9, -9, 5], [0, bad, 9]])
    faces = np.array([[0, 1, 2], [1, 2, 0], [1, 2, 3]])
    with pytest.raises(ValueError) as error:
        dr.Scene(vertices, faces)
    assert "face 2" in str(error.value) and "vertex 3" in str(error.value) and "drop" in str(error.value)
    with pytest.warns(UserWarning, match="1"):
        scene = dr.Scene(vertices, faces, invalid="drop")
    assert scene.n_faces == 2
    assert_same(scene, dr.Scene(vertices, faces[:2]))


def test_dropped_faces_keep_the_others_numbers(mesh):
    vertices, faces = mesh
    bad = np.insert(faces, 5, [0, 1, len(vertices)], axis=0)
    with pytest.warns(UserWarning):
        depth, face_index = shown(dr.Scene(vertices, bad, invalid="drop"))
    expected_depth, expected = shown(dr.Scene(vertices, faces))
    np.testing.assert_array_equal(depth, expected_depth)
    np.testing.assert_array_equal(face_index, np.where(expected >= 5, expected + 1, expected))


def test_nothing_left_after_dropping():
    with pytest.raises(ValueError, match="face"):
        dr.Scene(np.full((3, 3), np.nan), [[0, 1, 2]], invalid="drop")


@pytest.mark.parametrize(
    ("vertices", "faces"),
    [
        (np.zeros((3, 2)), [[0, 1, 2]]),
        (np.zeros(9), [[0, 1, 2]]),
        (np.zeros((3, 4)), [[0, 1, 2]]),
        (np.zeros((3, 3), complex), [[0, 1, 2]]),
        (np.array([["a", "b", "c"]] * 3), [[0, 1, 2]]),
        (np.zeros((3, 3), object), [[0, 1, 2]]),
        (np.zeros((0, 3)), [[0, 1, 2]]),
        (np.zeros((3, 3)), [[0.0, 1.0, 2.0]]),
        (np.zeros((3, 3)), [[0, 1]]),
        (np.zeros((4, 3)), [[0, 1, 2, 3]]),
        (np.zeros((3, 3)), [0, 1, 2]),
        (np.zeros((3, 3)), np.zeros((0, 3), int)),
        (np.zeros((3, 3)), []),
        (np.zeros((3, 3)), None),
        (np.zeros((3, 3)), [[True, False, True]]),
        (None, [[0, 1, 2]]),
        ([[0, 0, 0], [1, 0]], [[0, 1, 1]]),
    ],
    ids=[
        "flat vertices", "one row", "homogeneous", "complex", "text", "objects", "no vertices", "float faces",
        "edges",
        "quads", "one face row", "no faces", "empty list", "None", "bool faces", "no array", "ragged",
    ],
)  # fmt: skip
def test_arrays_that_are_no_mesh(vertices, faces):
    with pytest.raises((TypeError, ValueError), match=r"vert|face"):
        dr.Scene(vertices, faces)


def test_invalid_takes_two_words(mesh):
    with pytest.raises(ValueError, match=r"'ignore'.*'drop'"):
        dr.Scene(*mesh, invalid="ignore")


def test_from_mesh(mesh):
    scene = dr.Scene(*mesh)
    assert dr.Scene.from_mesh(scene) is scene
    assert_same(dr.Scene.from_mesh(mesh), scene)
    trimesh = pytest.importorskip("trimesh")
    assert_same(dr.Scene.from_mesh(trimesh.Trimesh(*mesh, process=False)), scene)
    with pytest.raises(TypeError, match="Trimesh"):
        dr.Scene.from_mesh(12)


def test_a_point_cloud_of_trimesh_is_refused():
    trimesh = pytest.importorskip("trimesh")
    with pytest.raises((TypeError, ValueError), match=r"(?i)face|mesh|point"):
        dr.Scene.from_mesh(trimesh.PointCloud(np.zeros((5, 3))))
    with pytest.raises(ValueError, match="face"):
        dr.Scene.from_mesh(trimesh.Trimesh(np.zeros((5, 3)), np.zeros((0, 3), int), process=False))
