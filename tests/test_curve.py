"""Faces in order along the curve: sorted as numpy sorts, whatever the number of buckets and digits."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr
import meshes
from depthraster import curve
from depthraster.kernels.keys import DIGIT_BITS, sort_bucket


def sort(keys: np.ndarray, start: int, stop: int, low_bits: int) -> np.ndarray:
    found = keys.copy()
    spare = np.full_like(keys, 7)
    sort_bucket(found, start, stop, low_bits, spare, np.empty(1 << DIGIT_BITS, np.int64))
    assert (spare[:start] == 7).all() and (spare[stop:] == 7).all()  # other buckets are other threads'
    return found


@pytest.mark.parametrize("low_bits", [0, 1, 11, 12, 22, 23, 31])
@pytest.mark.parametrize("n", [0, 1, 2, 50, 5000])
def test_a_bucket_is_sorted_as_numpy_does(low_bits, n):
    rng = np.random.default_rng(n + low_bits)
    faces = np.arange(n + 20, dtype=np.uint64)
    code = rng.integers(1 << low_bits, size=n + 20, dtype=np.uint64)
    code[rng.random(n + 20) < 0.3] = 0  # many the same
    keys = code << np.uint64(32) | faces
    expected = keys.copy()
    expected[9 : 9 + n].sort()
    np.testing.assert_array_equal(sort(keys, 9, 9 + n, low_bits), expected)
    np.testing.assert_array_equal(sort(expected, 9, 9 + n, low_bits), expected)


def centroid_keys(mesh: meshes.Mesh) -> np.ndarray:
    """The sort keys by the slow and obvious way."""
    vertices, faces = mesh
    lo, per_unit, bits = curve._curve(curve._sample_centroids(vertices, faces))
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    cells = np.clip(((a + b + c) * (1 / 3) - lo) * per_unit, 0, 2.0**bits - 1).astype(np.uint64)
    keys = []
    for face, cell in enumerate(cells.tolist()):
        code, place = 0, 0
        for level in range(int(bits.max())):  # from the lowest bit: x, y, z take turns while they last
            for axis in range(3):
                if level < bits[axis]:
                    code |= ((cell[axis] >> level) & 1) << place
                    place += 1
        keys.append((code, face))
    return np.array([face for _, face in sorted(keys)])


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("kind", ["terrain", "sphere", "one place", "with a stray face"])
def test_faces_follow_the_curve(kind, n_threads, monkeypatch):
    rng = np.random.default_rng(2)
    mesh = {
        "terrain": lambda: meshes.terrain(rng, 40, 30, 60.0, 40.0, 8.0),
        "sphere": lambda: meshes.icosphere(3),
        "one place": lambda: (np.eye(3), np.tile(np.arange(3), (500, 1))),
        "with a stray face": lambda: meshes.joined(
            meshes.icosphere(3), (np.eye(3) * 1e6, np.array([[0, 1, 2]]))
        ),
    }[kind]()
    expected = centroid_keys(mesh)
    for bucket, piece in ((1 << 13, 1 << 16), (16, 100)):  # one bucket, and many
        monkeypatch.setattr(curve, "_BUCKET", bucket)
        monkeypatch.setattr(curve, "_RANGE", piece)
        scene = dr.Scene(*mesh, threads=n_threads)
        np.testing.assert_array_equal(scene._arrays.face_ids, expected)
