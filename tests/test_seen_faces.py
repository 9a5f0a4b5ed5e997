"""`faces_seen`: the same counts as from the images one by one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import cameras
import depthraster as dr
import meshes


@pytest.fixture(scope="module")
def survey():
    rng = np.random.default_rng(1)
    mesh = meshes.terrain(rng, 60, 50, 40.0, 15.0, 3.0)
    views = []
    for k in range(4):
        transform = np.eye(4)
        transform[:2, 3] = 4.0 * k - 6, 1.5 * k
        calibration = cameras.calibration("survey", 120 + 10 * k, 90)
        views.append(dr.Camera(id=k, label=f"IMG_{k}", transform=transform, calibration=calibration))
    return mesh, views


def test_counts_are_those_of_the_images(survey):
    mesh, views = survey
    scene = dr.Scene(*mesh)
    done = []
    seen = dr.faces_seen(scene, views, progress=lambda *counts: done.append(counts))
    assert done == [(k, 4) for k in range(1, 5)]
    assert (seen.n_faces, seen.n_views, seen.labels) == (6000, 4, ("IMG_0", "IMG_1", "IMG_2", "IMG_3"))
    total, views_of = np.zeros(6000, int), np.zeros(6000, int)
    for k, view in enumerate(views):
        face_index = dr.render(scene, view.transform, view.calibration, "face_index").face_index
        faces, pixels = np.unique(face_index[face_index >= 0], return_counts=True)
        part = seen.of_view(k)
        np.testing.assert_array_equal(seen.face[part], faces)
        np.testing.assert_array_equal(seen.pixels[part], pixels)
        assert (seen.view[part] == k).all()
        total[faces] += pixels
        views_of[faces] += 1
    np.testing.assert_array_equal(seen.pixels_per_face, total)
    np.testing.assert_array_equal(seen.views_per_face, views_of)
    assert views_of.max() == 4 and views_of.min() == 0
    assert seen.face.dtype == seen.view.dtype == seen.pixels.dtype == np.int32


def test_the_table_becomes_scipys(survey):
    pytest.importorskip("scipy")
    mesh, views = survey
    seen = dr.faces_seen(mesh, views[:2])
    matrix = seen.to_scipy()
    assert matrix.shape == (6000, 2)
    np.testing.assert_array_equal(np.asarray(matrix.tocsr().sum(axis=1)).ravel(), seen.pixels_per_face)


def test_faces_keep_their_numbers(survey):
    (vertices, faces), views = survey
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scene = dr.Scene(vertices, np.concatenate([[[0, 1, 10**6]], faces]), invalid="drop")
    seen, plain = dr.faces_seen(scene, views[:1]), dr.faces_seen((vertices, faces), views[:1])
    np.testing.assert_array_equal(seen.face, plain.face + 1)
    assert seen.n_faces == 6001 and seen.pixels_per_face[0] == 0


def test_backs_count_where_they_are_asked_for(survey):
    (vertices, faces), views = survey
    turned = vertices, faces[:, ::-1]
    assert len(dr.faces_seen(turned, views[:1]).face) == 0
    assert len(dr.faces_seen(turned, views[:1], cull_faces=False).face) > 100


def test_no_views_give_an_empty_table_and_bad_ones_are_named(survey):
    mesh, views = survey
    empty = dr.faces_seen(mesh, [])
    assert len(empty.face) == 0 and empty.n_views == 0 and not empty.views_per_face.any()
    lost = dr.Camera(id=7, label="lost", calibration=views[0].calibration)
    with pytest.raises(ValueError, match="view 'lost': the camera has no transform"):
        dr.faces_seen(mesh, [views[0], lost])
