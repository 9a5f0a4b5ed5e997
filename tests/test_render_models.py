"""Lens models beyond the frame against the twin: what lies before, beside, behind and all around the camera."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cameras
import comparing
import depthraster as dr
import meshes
import reference

LENSES = sorted(cameras.OTHER_LENSES)
SEEDS = st.integers(0, 2**32 - 1)
STORAGES = st.sampled_from(["wide", "narrow"])
SIZE = (97, 61)
each_lens = pytest.mark.parametrize("lens", LENSES)
both_storages = pytest.mark.parametrize("storage", ["wide", "narrow"])


def _direction(rng):
    return rng.normal(size=3)


def _huge(rng, direction):
    face = meshes.huge_face(rng, rng.uniform(0.5, 20), 10 ** rng.uniform(-0.5, 3))
    return meshes.turned(face, direction)


def _fan(rng):
    depth, spread = rng.uniform(1, 20), rng.uniform(0.2, 3)
    fan = meshes.fan(
        int(rng.integers(3, 300)), (*rng.uniform(-1, 1, 2) * depth, depth), spread * depth, depth / 9
    )
    return meshes.turned(fan, _direction(rng))


def _terrain(rng):
    depth, n = rng.uniform(0.5, 20), int(rng.integers(1, 25))
    sheet = meshes.terrain(
        rng, n, n + 3, depth * 10 ** rng.uniform(0, 1.5), depth, depth * rng.uniform(0, 0.5)
    )
    return meshes.turned(sheet, _direction(rng))


def _sphere_around(rng):
    vertices, faces = meshes.icosphere(int(rng.integers(0, 5)), rng.uniform(1, 20), bool(rng.random() < 0.8))
    return vertices + _direction(rng) * 0.2, faces


def _sphere_beside(rng):
    depth = rng.uniform(1, 20)
    vertices, faces = meshes.icosphere(int(rng.integers(0, 4)), depth * rng.uniform(0.1, 0.95))
    direction = _direction(rng)
    return vertices + direction / np.linalg.norm(direction) * depth, faces


RECIPES = {
    "soup": lambda rng: meshes.soup(rng, 150, None, (1e-3, 10 ** rng.uniform(-2, 0.5))),
    "dust": lambda rng: meshes.soup(rng, 600, None, (1e-4, 1e-2)),
    "slivers": lambda rng: meshes.slivers(rng, 60, None),
    "needles": lambda rng: meshes.needles(rng, 60, None),
    "crossers": lambda rng: meshes.crossers(rng, int(rng.integers(1, 9)), 1.0),
    "huge": lambda rng: _huge(rng, _direction(rng)),
    "pole": lambda rng: _huge(rng, (*rng.normal(size=2)[:1] * 0.2, rng.choice([-1, 1]), rng.normal() * 0.2)),
    "seam": lambda rng: _huge(rng, (rng.normal() * 0.2, rng.normal() * 0.2, -1)),
    "fan": _fan,
    "terrain": _terrain,
    "sphere around": _sphere_around,
    "sphere beside": _sphere_beside,
    "room": lambda rng: meshes.box_room(int(rng.integers(1, 12)), tuple(rng.uniform(1, 20, 3))),
}


def build(names, seed, scale, storage, offset=0.0):
    """The mesh of the recipes, in a chunk frame of its own, and its transform."""
    rng = np.random.default_rng(seed)
    transform = meshes.random_transform(rng, scale)
    transform[:3, 3] += offset
    mesh = meshes.moved(meshes.joined(*(RECIPES[name](rng) for name in names)), transform)
    if rng.random() < 0.3:
        mesh, _ = meshes.with_duplicates(mesh, rng)
    # Narrow storage rounds to a lattice; a mesh that lies on it already may not suffer at all.
    return (meshes.on_lattice(mesh) if storage == "narrow" else mesh), transform


@given(
    st.lists(st.sampled_from(sorted(RECIPES)), min_size=1, max_size=3),
    SEEDS,
    cameras.OTHER_CALIBRATIONS,
    st.booleans(),
    st.sampled_from([1.0, 0.03, 40.0]),
    STORAGES,
)
def test_anything(names, seed, calibration, cull_faces, scale, storage):
    mesh, transform = build(names, seed, scale, storage)
    comparing.compare(mesh, transform, calibration, cull_faces, storage)


@each_lens
@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_mesh_under_every_lens(name, lens):
    calibration = cameras.calibration(lens, *SIZE)
    for seed, (cull_faces, storage) in enumerate([(True, "wide"), (False, "narrow")]):
        mesh, transform = build([name], seed, 1.0, storage)
        comparing.compare(mesh, transform, calibration, cull_faces, storage)
