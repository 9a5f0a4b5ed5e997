"""Images written past the caches: the same bits, wherever they begin, and nothing beside them."""

from __future__ import annotations

import numba
import numpy as np
import pytest

import cameras
import comparing
import depthraster as dr
import depthraster.pipeline
import meshes
from depthraster.derived import DERIVED
from depthraster.kernels.streaming import end_streams, stream_line


@numba.njit
def _moved(source, target):
    stream_line(source, target)
    end_streams()


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 31, 100, 384])
def test_lines(n):
    rng = np.random.default_rng(n)
    for kind in (np.float32, np.int32):
        source = rng.integers(0, 1000, 400).astype(kind)
        for first in range(20):
            target = np.full(420, -1, kind)
            _moved(source, target[first : first + n])
            np.testing.assert_array_equal(
                target, np.pad(source[:n], (first, 420 - n - first), constant_values=-1)
            )


@pytest.fixture(scope="module")
def scene():
    mesh = meshes.soup(np.random.default_rng(1), 2000, 0.8, (1e-2, 0.3))
    return dr.Scene(*mesh)


@pytest.mark.parametrize("lens", ["survey", "fisheye 190", "orthographic near"])
def test_whole_images(lens, scene, monkeypatch):
    """Of a width that puts every line somewhere else in a cache line, with tiles that are none as large."""
    calibration = cameras.calibration(lens, 411, 389)

    def images():
        both = [dr.render_depth(scene, np.eye(4), calibration, add_alpha=alpha) for alpha in (True, False)]
        lengths = [
            dr.render_depth(scene, np.eye(4), calibration, add_alpha=alpha, depth="range")
            for alpha in (True, False)
        ]
        layers = dr.render(scene, np.eye(4), calibration, comparing.LAYERS)
        return [*both, *lengths, *(getattr(layers, name) for name in comparing.LAYERS)]

    expected = images()
    assert (expected[0][..., 1] == 1).any() and (expected[0][..., 1] == 0).any()
    monkeypatch.setattr(depthraster.pipeline, "_STREAMED", 0)
    for image, other in zip(images(), expected, strict=True):
        np.testing.assert_array_equal(image, other)


@pytest.mark.parametrize("width", [411, 416])
@pytest.mark.parametrize("lens", ["survey", "fisheye 190", "orthographic near"])
def test_derived_layers(lens, width, scene, monkeypatch):
    """Of a width that leaves no line at the beginning of a cache line, and of one that has all of them begin there."""
    calibration = cameras.calibration(lens, width, 133)
    values = np.random.default_rng(2).normal(size=scene._given[0])

    def images():
        return dr.render(scene, np.eye(4), calibration, DERIVED, attributes={"value": values}).images()

    expected = images()
    assert (expected["barycentric"].sum(axis=2) > 0.5).any()
    assert all(image.ctypes.data % 64 == 0 for image in expected.values())
    monkeypatch.setattr(depthraster.pipeline, "_STREAMED", 0)
    for name, image in images().items():
        np.testing.assert_array_equal(image, expected[name])
