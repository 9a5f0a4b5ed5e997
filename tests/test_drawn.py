"""Records of drawn faces: what they say is the same whatever else is drawn, in whatever order, with however much room."""

from __future__ import annotations

import numpy as np
import pytest

import cameras
import depthraster as dr
import meshes
from depthraster import workroom
from depthraster.kernels import drawn
from depthraster.kernels.blocks import BLOCK_HEIGHT, MAX_TILE, STRIDE

LAYERS = ("depth", "face_index", "barycentric", "normal", "position", "view_angle")


def assert_same(found, expected):
    for name in LAYERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)


def render(mesh, calibration, layers=LAYERS, **options):
    return dr.render(mesh, np.eye(4), calibration, layers, **options)


def with_room_for(n, monkeypatch):
    """Have new rooms hold n records."""
    monkeypatch.setattr(workroom, "_idle", [])
    made = []

    def few(names, with_records):
        made.append(drawn.drawn_faces(names, with_records, n))
        return made[-1]

    monkeypatch.setattr(workroom, "drawn_faces", few)
    return made


@pytest.mark.parametrize("lens", ["survey", "fisheye 190"])
def test_where_room_is_scarce_hidden_faces_are_forgotten(lens, monkeypatch):
    """A cloud of faces before sheets: many times as many as there is room for."""
    rng = np.random.default_rng(1)
    sheets = [meshes.terrain(rng, 40, 40, 30.0, 4.0 + 0.5 * k, 0.2) for k in range(4)]
    mesh = meshes.joined(*sheets, meshes.soup(rng, 40_000, 0.5, (1e-3, 0.1)))
    calibration = cameras.calibration(lens, 40, 12)
    scene = dr.Scene(*mesh)
    made = with_room_for(drawn._CAPACITY, monkeypatch)
    expected = render(scene, calibration, cull_faces=False, threads=1)
    most = max(room.recorded[0] for room in made)  # of the last tile
    n = (12 + BLOCK_HEIGHT) * 40 + 300  # of the pixels that there are, and of one cluster
    made = with_room_for(n, monkeypatch)
    found = render(scene, calibration, cull_faces=False, threads=1)
    assert_same(found, expected)
    assert [room.ids.size for room in made if room.ids.size] == [n]
    assert most > 5 * n


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 65, 127, 128, 129, 300])
def test_records_are_of_faces_alone(n, monkeypatch):
    """Faces are recorded eight at a time; what is beyond a cluster's last, of the scene's last, too, is no record."""
    made = with_room_for(drawn._CAPACITY, monkeypatch)
    rng = np.random.default_rng(n)
    mesh = meshes.soup(rng, n, 0.3, (0.05, 0.3))
    scene, calibration = dr.Scene(*mesh), cameras.calibration("survey", 120, 90)
    render(scene, calibration, ("normal",), attributes={"x": mesh[0][:, 0]}, cull_faces=False, threads=1)
    (room,) = (room for room in made if room.ids.size)
    places = room.records.reshape(-1, drawn.FIELDS)[1 : 1 + room.recorded[0], drawn.PLACE]
    assert 0 < len(places) <= 2 * n  # large ones have two
    assert places.min() >= 0
    assert places.max() < n
    np.testing.assert_array_equal(room.ids[: len(places)], scene._arrays.face_ids[places])


def test_there_is_room_for_all_pixels_of_a_tile():
    assert drawn._CAPACITY >= (MAX_TILE + BLOCK_HEIGHT) * STRIDE + 10_000


@pytest.mark.parametrize("size", [0.3, 8.0, 200.0])
def test_of_equal_depths_the_smaller_index_is_seen_with_records_too(size):
    """Copies of faces, in any order and begun at any vertex, small ones and such as have no record of their own."""
    rng = np.random.default_rng(2)
    calibration = cameras.calibration("survey", 150, 100)
    n = int(np.clip(200 / size, 2, 300))
    vertices, faces = meshes.on_lattice(meshes.terrain(rng, n, n, 12.0, 8.0, 1.0))
    copies = np.concatenate([np.roll(faces, k, axis=1) for k in (0, 1, 2, 0)])
    mesh = vertices, copies[rng.permutation(len(copies))]
    expected = render(mesh, calibration, ("depth", "face_index"))
    found = render(mesh, calibration)
    np.testing.assert_array_equal(found.face_index, expected.face_index)
    np.testing.assert_array_equal(found.depth, expected.depth)
    assert (found.face_index >= 0).sum() > 1000
    assert np.isfinite(found.position[found.face_index >= 0]).all()


@pytest.mark.parametrize("lens", ["survey", "spherical", "orthographic"])
def test_layers_do_not_depend_on_what_else_is_drawn(lens):
    """A face among others, whatever number its record has, shows what it shows by itself."""
    rng = np.random.default_rng(3)
    calibration = cameras.calibration(lens, 80, 60)
    mesh = meshes.soup(rng, 300, 0.8, (1e-2, 1.0))
    alone = render(mesh, calibration, cull_faces=False)
    behind = meshes.joined(mesh, meshes.terrain(rng, 60, 60, 900.0, 300.0, 3.0))
    both = render(behind, calibration, cull_faces=False)
    same = (alone.face_index == both.face_index) & (alone.face_index >= 0)
    assert same.sum() > 500
    for name in ("barycentric", "normal", "view_angle"):
        np.testing.assert_allclose(getattr(both, name)[same], getattr(alone, name)[same], rtol=0, atol=1e-5)


def test_room_is_taken_for_layers_that_need_it_only(monkeypatch):
    made = with_room_for(drawn._CAPACITY, monkeypatch)
    mesh = meshes.icosphere(1, 5.0, True)
    calibration = cameras.calibration("pinhole", 20, 10)
    render(mesh, calibration, ("depth", "face_index"), threads=1)
    labels = np.arange(len(mesh[1]))
    render(mesh, calibration, ("depth",), attributes={"label": labels}, threads=1)
    assert [room.ids.size for room in made] == [0]
    render(mesh, calibration, ("normal",), threads=1)
    assert [room.ids.size for room in made] == [0, drawn._CAPACITY]
