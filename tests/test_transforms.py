"""Transforms: what is accepted, inverses far from the origin, and invented cameras."""

from __future__ import annotations

import math

import numpy as np
import pytest

import depthraster as dr
import meshes
from depthraster.transforms import check_transform, invert, scale_of


def test_inverse_of_a_similarity_far_away():
    rng = np.random.default_rng(1)
    matrix = meshes.random_transform(rng, scale=0.013)
    matrix[:3, 3] = 4.1e6, 6.2e5, 4.8e6
    points = matrix[:3, 3] + rng.normal(size=(100, 3))
    inverse = invert(matrix)
    expected = np.linalg.solve(matrix[:3, :3], (points - matrix[:3, 3]).T).T
    np.testing.assert_allclose(points @ inverse[:3, :3].T + inverse[:3, 3], expected, atol=1e-6)
    assert scale_of(matrix) == pytest.approx(0.013)


def _with(row, col, value):
    matrix = np.eye(4)
    matrix[row, col] = value
    return matrix


@pytest.mark.parametrize(
    ("transform", "error", "words"),
    [
        ("camera", TypeError, "the transform is a str"),
        (None, (TypeError, ValueError), "transform"),
        (np.eye(3), ValueError, r"shape \(3, 3\)"),
        (_with(0, 1, np.nan), ValueError, "nan at row 0, column 1"),
        (_with(1, 3, np.inf), ValueError, "inf at row 1, column 3"),
        (_with(3, 0, 5.0), ValueError, "last row"),
        (_with(3, 3, 2.0), ValueError, "last row"),
        (_with(2, 2, -1.0), ValueError, "mirrored"),
        (_with(2, 2, 0.0), ValueError, "singular"),
        (_with(2, 2, 1.001), ValueError, "no similarity"),
        (_with(0, 1, 0.001), ValueError, "no similarity"),
        (np.zeros((4, 4)) + _with(0, 0, 0.0) * 0 + np.diag([0, 0, 0, 1.0]), ValueError, "singular"),
    ],
)
def test_what_is_no_similarity_is_refused(transform, error, words):
    with pytest.raises(error, match=words):
        check_transform(transform)


def test_rounded_files_are_accepted():
    matrix = meshes.random_transform(np.random.default_rng(2))
    check_transform(np.round(matrix, 7).tolist())
    check_transform(matrix.astype(np.float32))


def test_look_at_sees_the_target_in_the_middle_and_up_above():
    calibration = dr.Calibration(200, 100, 150.0)
    eye, target, up = np.array([10.0, -4, 6]), np.array([1.0, 2, 3]), np.array([0.2, 0.1, 1])
    camera_from_chunk = invert(dr.look_at(eye, target, up))

    def seen(point):
        return calibration.project(camera_from_chunk[:3, :3] @ point + camera_from_chunk[:3, 3])

    np.testing.assert_allclose(seen(target), [100, 50], atol=1e-9)
    above = seen(target + 0.1 * up)
    assert above[0] == pytest.approx(100)
    assert above[1] < 50
    assert seen(target + 0.1 * np.cross(target - eye, up))[0] > 100  # right is right
    with pytest.raises(ValueError, match="two different points"):
        dr.look_at(eye, eye)
    with pytest.raises(ValueError, match="viewing direction"):
        dr.look_at([0, 0, 5], [0, 0, 0])
    with pytest.raises(ValueError, match="eye"):
        dr.look_at([0, 0, math.nan], [0, 0, 0])


def test_nadir_is_a_map():
    matrix = dr.nadir([3.0, 4.0, 50.0])
    expected = [
        [1, 0, 0, 3],
        [0, -1, 0, 4],
        [0, 0, -1, 50],
        [0, 0, 0, 1],
    ]  # east right, north up, looking down
    np.testing.assert_allclose(matrix, expected, atol=1e-15)
    turned = dr.nadir([0, 0, 0], heading=[1, 0, 0])
    np.testing.assert_allclose(-turned[:3, 1], [1, 0, 0], atol=1e-15)
    up = np.array([0.3, -0.5, 0.8])
    np.testing.assert_allclose(dr.nadir([0, 0, 0], up=up)[:3, 2], -up / np.linalg.norm(up), atol=1e-15)
