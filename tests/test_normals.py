"""The layer of normals: those of the faces that the pixels show, along the camera's axes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import depthraster as dr
import meshes
from cameras import calibration


def twin(mesh, transform, face_index):
    """The normals of faces by their corners, float64, from the chunk's axes to the camera's."""
    a, b, c = (np.asarray(mesh[0], float)[np.asarray(mesh[1])[face_index.ravel(), k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    rotation = transform[:3, :3] / np.cbrt(np.linalg.det(transform[:3, :3]))
    return np.where((face_index >= 0)[..., None], (normal @ rotation).reshape(*face_index.shape, 3), 0.0)


@pytest.mark.parametrize("storage", ["narrow", "wide"])
@pytest.mark.parametrize("scale", [1.0, 0.02])
@pytest.mark.parametrize("spread", [10.0, 5e6])
def test_normals_are_those_of_the_faces(storage, scale, spread):
    rng = np.random.default_rng(3)
    vertices, faces = meshes.moved(meshes.icosphere(3, 2.0), meshes.random_transform(rng, spread=1.0))
    mesh = meshes.joined(meshes.terrain(rng, 90, 70, 20.0, 15.0, 4.0), (vertices + [0, 0, 8], faces))
    transform = meshes.random_transform(rng, scale=scale, spread=spread)
    mesh = meshes.moved(mesh, transform)
    scene = dr.Scene._with_storage(*mesh, storage)
    lens = calibration("survey", 160, 120)
    layers = dr.render(scene, transform, lens, ("normal", "face_index"))
    assert layers.normal.shape == (120, 160, 3) and layers.normal.dtype == np.float32
    assert 0.5 < (layers.face_index >= 0).mean() < 1
    expected = twin(mesh, transform, layers.face_index)
    angle = np.linalg.norm(np.cross(layers.normal.astype(float), expected), axis=2)
    assert angle.max() < 1e-5
    length = np.linalg.norm(layers.normal, axis=2)
    np.testing.assert_allclose(length, (layers.face_index >= 0).astype(float), atol=1e-6)
    # Only fronts are shown: against the rays.
    v, u = np.mgrid[:120, :160] + 0.5
    rays = lens.unproject(np.stack([u, v], axis=-1))
    assert ((layers.normal * rays).sum(axis=2)[layers.face_index >= 0] < 0).all()


@pytest.mark.parametrize("kind", ["fisheye", "spherical", "cylindrical"])
def test_wide_lenses_show_normals_too(kind):
    mesh = meshes.box_room(6)  # its fronts are inside
    transform = meshes.random_transform(np.random.default_rng(1), spread=0.5)
    lens = dr.Calibration(width=120, height=60, f=60 / np.pi, type=kind)
    layers = dr.render(mesh, transform, lens, ("normal", "face_index"))
    assert (layers.face_index >= 0).mean() > 0.9
    np.testing.assert_allclose(layers.normal, twin(mesh, transform, layers.face_index), atol=1e-6)


def test_a_back_shows_its_own_side():
    mesh = meshes.icosphere(2, 3.0)  # seen from within
    layers = dr.render(mesh, np.eye(4), calibration("pinhole", 40, 30), ("normal", "depth"), cull_faces=False)
    assert layers.face_index is None
    np.testing.assert_allclose(layers.normal[15, 20], [0, 0, 1], atol=0.2)


def test_faces_keep_their_numbers_when_others_are_dropped():
    vertices, faces = meshes.grid(2, 1, (-1, -1), (1, 1))
    vertices = np.concatenate([vertices + [0, 0, 3], [[np.nan] * 3]])
    vertices[:, 2] += np.where(vertices[:, 0] > 0, 0.5, 0.0)
    faces = np.concatenate([[[0, 1, 6]], faces])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scene = dr.Scene(vertices, faces, invalid="drop")
    layers = dr.render(scene, np.eye(4), calibration("pinhole", 40, 30), ("normal", "face_index"))
    assert set(np.unique(layers.face_index)) == {-1, 1, 2, 3, 4}
    expected = twin((vertices, faces), np.eye(4), layers.face_index)
    np.testing.assert_allclose(layers.normal, expected, atol=1e-6)


def test_threads_do_not_show():
    rng = np.random.default_rng(6)
    scene = dr.Scene(*meshes.terrain(rng, 60, 60, 30.0, 15.0, 4.0))
    lens = calibration("wide", 300, 220)
    one, two = (dr.render(scene, np.eye(4), lens, "normal", threads=n).normal for n in (1, 4))
    assert one.tobytes() == two.tobytes()
