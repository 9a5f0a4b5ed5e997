"""Random meshes, cameras and lenses against the twin; the fast path's two ways of keeping vertices, both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cameras
import comparing
import depthraster as dr
import meshes

SEEDS = st.integers(0, 2**32 - 1)
STORAGES = st.sampled_from(["wide", "narrow"])


def _fan(rng, reach):
    depth = rng.uniform(1, 20)
    return meshes.fan(
        int(rng.integers(3, 300)), (*rng.uniform(-reach, reach, 2) * depth, depth), reach * depth, depth / 9
    )


def _terrain(rng, reach):
    depth = rng.uniform(2, 20)
    n = int(rng.integers(1, 25))
    return meshes.terrain(
        rng, n, n + 3, 2 * reach * depth * rng.uniform(0.2, 2), depth, depth * rng.uniform(0, 0.5)
    )


def _sphere(rng, reach):
    depth = rng.uniform(1, 20)
    vertices, faces = meshes.icosphere(
        int(rng.integers(0, 4)), depth * rng.uniform(0.1, 2), bool(rng.random() < 0.5)
    )
    return vertices + [*(rng.uniform(-reach, reach, 2) * depth), depth], faces


RECIPES = {
    "soup": lambda rng, reach: meshes.soup(rng, 150, reach, (1e-3, 10 ** rng.uniform(-2, 0.5))),
    "dust": lambda rng, reach: meshes.soup(rng, 600, reach, (1e-4, 1e-2)),
    "slivers": lambda rng, reach: meshes.slivers(rng, 60, reach),
    "needles": lambda rng, reach: meshes.needles(rng, 60, reach),
    "crossers": lambda rng, reach: meshes.crossers(rng, int(rng.integers(1, 9)), reach),
    "huge": lambda rng, reach: meshes.huge_face(rng, rng.uniform(0.5, 20), reach * 10 ** rng.uniform(0, 3)),
    "fan": _fan,
    "terrain": _terrain,
    "sphere": _sphere,
}


def build(names, seed, calibration, scale, storage):
    """The mesh of the recipes, in a chunk frame of its own, and its transform."""
    rng = np.random.default_rng(seed)
    transform = meshes.random_transform(rng, scale)
    reach = cameras.half_field(calibration)
    mesh = meshes.moved(meshes.joined(*(RECIPES[name](rng, reach) for name in names)), transform)
    if rng.random() < 0.3:
        mesh, _ = meshes.with_duplicates(mesh, rng)
    # Narrow storage rounds to a lattice; a mesh that lies on it already may not suffer at all.
    return (meshes.on_lattice(mesh) if storage == "narrow" else mesh), transform


@given(
    st.lists(st.sampled_from(sorted(RECIPES)), min_size=1, max_size=3),
    SEEDS,
    cameras.CALIBRATIONS,
    st.booleans(),
    st.sampled_from([1.0, 0.03, 40.0]),
    STORAGES,
)
def test_anything(names, seed, calibration, cull_faces, scale, storage):
    mesh, transform = build(names, seed, calibration, scale, storage)
    comparing.compare(mesh, transform, calibration, cull_faces, storage)


@pytest.mark.parametrize("lens", sorted(cameras.LENSES))
@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_mesh_under_every_lens(name, lens):
    calibration = cameras.calibration(lens, 97, 61)
    for seed, (cull_faces, storage) in enumerate([(True, "wide"), (False, "narrow")]):
        mesh, transform = build([name], seed, calibration, 1.0, storage)
        comparing.compare(mesh, transform, calibration, cull_faces, storage)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 300), (300, 1), (7, 3), (257, 255), (256, 256), (255, 257), (513, 20)]
)
def test_image_sizes_that_fit_no_tile(size):
    calibration = cameras.calibration("survey", *size)
    rng = np.random.default_rng(sum(size))
    reach = cameras.half_field(calibration)
    mesh = meshes.joined(meshes.soup(rng, 300, reach, (1e-3, 0.3)), _terrain(rng, reach))
    comparing.compare(mesh, np.eye(4), calibration)


def test_a_scene_large_enough_for_the_lattice():
    """What the automatic choice of storage does to a mesh off the lattice stays within the tolerances."""
    calibration = cameras.calibration("survey", 260, 190)
    rng = np.random.default_rng(7)
    transform = meshes.random_transform(rng)
    mesh = meshes.moved(meshes.terrain(rng, 150, 120, 20.0, 14.0, 2.0), transform)
    layers, _ = comparing.compare(mesh, transform, calibration)
    assert (layers.face_index >= 0).mean() > 0.9


@pytest.mark.parametrize("lens", ["survey", "barrel"])
def test_a_million_faces_at_24_megapixels(lens):
    """Spot checks: 20 000 pixels chosen at random of a whole survey image."""
    calibration = cameras.calibration(lens, 6000, 4000)
    rng = np.random.default_rng(8)
    transform = meshes.random_transform(rng, spread=1000.0)
    mesh = meshes.moved(meshes.terrain(rng, 800, 650, 300.0, 140.0, 20.0), transform)
    pixels = np.sort(rng.choice(calibration.width * calibration.height, 20_000, replace=False))
    _, answer = comparing.compare(mesh, transform, calibration, flat_index=pixels)
    assert (answer.face_index >= 0).mean() > 0.5


@given(SEEDS, cameras.CALIBRATIONS)
def test_range_and_backgrounds(seed, calibration):
    """``depth="range"`` is the range layer; the background is as asked for and nothing else changes."""
    mesh, transform = build(["soup"], seed, calibration, 1.0, "wide")
    scene = dr.Scene(*mesh)
    plain = dr.render(scene, transform, calibration, comparing.LAYERS)
    for background in (np.nan, -9999.0, np.inf):
        image = dr.render_depth(scene, transform, calibration, background=background)
        covered = plain.face_index >= 0
        np.testing.assert_array_equal(image[..., 1], covered.astype(np.float32))
        np.testing.assert_array_equal(image[..., 0], np.where(covered, plain.depth, np.float32(background)))
    ranges = dr.render_depth(scene, transform, calibration, add_alpha=False, depth="range")
    np.testing.assert_array_equal(ranges[..., 0], plain.range)
    assert ((plain.depth != 0) == (plain.alpha != 0)).all()
