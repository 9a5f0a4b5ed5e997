"""Vertices and faces before they are drawn: places, boxes and lists, beside plain loops in float64."""

from __future__ import annotations

import numba
import numpy as np
import pytest

import cameras
from depthraster.kernels.clusters import MAX_FACES, MAX_VERTICES
from depthraster.kernels.cover import WINDOW, sides_of
from depthraster.kernels.lens import rounding_bound
from depthraster.kernels.placing import RECORD, image_vertices, turn_out
from depthraster.kernels.staging import Tile, scratch, stage_plain

V, F = MAX_VERTICES, MAX_FACES
BOUND = numba.njit(lambda lens, radius, pixels: rounding_bound(lens, radius, pixels))


@numba.njit
def _image(n, lens, guard, nearest, row0, col0, placed, places):
    image_vertices(n, lens, guard, nearest, None, False, row0, col0, placed, places)


@numba.njit
def _turn_out(n, tile, work):
    return turn_out(n, tile, work.placed, work.places, work.records)


@numba.njit
def _stage(corners, face_ids, tile, lattice, work):
    return stage_plain(corners, face_ids, 0, tile, lattice, None, 0, work)[:5]


@numba.njit
def _sides(boxes, i):
    return sides_of(boxes, i)


def tile_of(n_rows, n_cols, *, pad=0.01, small=1024.0, cull=True):
    return Tile(n_rows, n_cols, pad, 0.0, pad, small, cull, False)


@pytest.mark.parametrize("name", cameras.LENSES)
def test_places_are_off_by_less_than_is_said(name):
    rng = np.random.default_rng(len(name))
    lens = cameras.calibration(name, 6000, 4000)
    radius = min(lens.valid_radius, 1.1 * np.hypot(3500, 2500) / lens.f)
    for n in (1, 15, 16, 17, 200, V):
        work, row0, col0 = scratch(), 384 * int(rng.integers(0, 10)), 384 * int(rng.integers(0, 15))
        angle, r = rng.uniform(0, 2 * np.pi, n), radius * np.sqrt(rng.uniform(0, 1.2, n))
        x, y, z = r * np.cos(angle), r * np.sin(angle), rng.choice([-1.0, 0.0, 0.5, 1.0, 30.0], n)
        work.placed[2 * V : 2 * V + n], work.placed[3 * V : 3 * V + n] = z, lens.f * x
        work.placed[4 * V : 4 * V + n] = lens.f * y
        guard = (lens.f * radius) ** 2
        _image(n, lens.lens_params(), guard, 0.5, row0, col0, work.placed, work.places)
        near = (z > 0.5) & (r <= radius)
        u, v = work.places[:n].astype(np.float64), work.places[V : V + n].astype(np.float64)
        np.testing.assert_array_equal(np.isnan(u), ~near)
        expected = lens.project(np.stack([x, y, np.ones(n)], axis=1)[near]) - [col0 + 0.5, row0 + 0.5]
        most = BOUND(lens.lens_params(), radius, row0 + col0)
        assert most < 0.1  # or boxes would be much larger than faces
        seen = np.isfinite(expected[:, 0])  # beyond the domain nothing is promised
        off = np.abs(np.stack([u, v], axis=1)[near] - expected)[seen]
        assert (off <= most).all(), off.max() / most


def test_records_hold_vertices_and_boxes_around_them():
    rng = np.random.default_rng(1)
    tile = tile_of(200, 300)
    for n in (1, 7, 16, 33, V):
        work = scratch()
        work.placed[:] = rng.normal(size=8 * V)
        u, v = rng.uniform(-50, 350, n), rng.uniform(-50, 250, n)
        u[rng.random(n) < 0.3] = rng.integers(-3, 310)  # on a pixel's centre
        v[rng.random(n) < 0.1], u[rng.random(n) < 0.1] = 1e30, -1e30
        work.places[:n], work.places[V : V + n] = u, v
        assert _turn_out(n, tile, work)
        records = work.records.reshape(V, RECORD)[:n]
        np.testing.assert_array_equal(records[:, :3], work.placed.reshape(8, V)[3:6, :n].T)
        last_col, last_row, first_col, first_row = records[:, 3].copy().view(np.int16).reshape(n, 4).T
        for last, first, place, size in ((last_col, -first_col, u, 300), (last_row, -first_row, v, 200)):
            for room, compare in ((1e-4, np.less_equal), (-1e-4, np.greater_equal)):
                assert compare(last, np.floor(np.clip(place + 0.01 + room, -1, size - 1))).all()
                assert compare(-first, -np.ceil(np.clip(place - 0.01 - room, 0, size))).all()
        for bad in (np.nan, np.inf, -np.inf):
            work.places[n - 1] = bad
            assert not _turn_out(n, tile, work)


def expected_lists(x, y, u, v, tile):
    """Which faces go where, by the face: x, y, u, v (n, 3)."""
    lists: dict[str, list[int]] = {name: [] for name in ("window", "half", "side", "small", "large")}
    for i in range(len(x)):
        area = (x[i, 1] - x[i, 0]) * (y[i, 2] - y[i, 0]) - (x[i, 2] - x[i, 0]) * (y[i, 1] - y[i, 0])
        size2 = 2 * ((x[i, 1:] - x[i, 0]) ** 2 + (y[i, 1:] - y[i, 0]) ** 2).sum()
        if area == 0 or (tile.cull and area > 0):
            continue
        cols = (
            np.floor(min(u[i].max() + tile.pad, tile.n_cols - 1)) - np.ceil(max(u[i].min() - tile.pad, 0)) + 1
        )
        rows = (
            np.floor(min(v[i].max() + tile.pad, tile.n_rows - 1)) - np.ceil(max(v[i].min() - tile.pad, 0)) + 1
        )
        if cols < 1 or rows < 1:  # beyond the tile, or between pixel centres
            continue
        if size2 > tile.small:
            lists["large"].append(i)
            continue
        if cols <= WINDOW and rows <= WINDOW // 2:
            lists["half"].append(i)
        elif cols <= WINDOW // 2 and rows <= WINDOW:
            lists["side"].append(i)
        elif cols <= WINDOW and rows <= WINDOW:
            lists["window"].append(i)
        else:
            lists["small"].append(i)
    return lists


@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 100, F])
def test_faces_are_listed_by_what_shows_them(n, cull):
    rng = np.random.default_rng(n)
    tile, lattice = tile_of(200, 300, cull=cull), np.array([150.0, 100.0, 2.0**-22])
    met = set()
    for _ in range(20):
        work = scratch()
        # Numbers with few digits, away from where 0.01 and 1e-4 would make a difference.
        place = np.sort(rng.integers(-40, 1300, (V, 1)), axis=0) * 0.25  # vertices of near numbers are near
        size = rng.choice([0.25, 0.75, 1.5, 5.0, 40.0])
        u = (place + size * rng.integers(-3, 3, (V, 2)))[:, 0]
        v = (0.6 * place + size * rng.integers(-3, 3, (V, 2)))[:, 1]
        u, v = np.round(u * 4) / 4 + 0.1, np.round(v * 4) / 4 + 0.1
        near = np.sort(rng.integers(0, V, (n, 1)) + rng.integers(-2, 3, (n, 3)), axis=1) % V
        corners = rng.permuted(near, axis=1)
        work.placed[3 * V : 4 * V], work.placed[4 * V : 5 * V], work.placed[5 * V : 6 * V] = u, v, 0.1
        work.places[:V], work.places[V:] = u, v
        assert _turn_out(V, tile, work)
        flat = np.append(corners.ravel(), rng.integers(0, V, 24)).astype(np.uint8)
        n_windows, n_halves, n_sides, n_small, n_others = _stage(
            flat, np.zeros(n, np.int32), tile, lattice, work
        )
        expected = expected_lists(u[corners], v[corners], u[corners], v[corners], tile)
        counts = {"window": n_windows, "half": n_halves, "side": n_sides, "small": n_small}
        for row, (name, count) in enumerate(counts.items()):
            assert work.chosen[row, :count].tolist() == expected[name]
        for name in ("half", "side", "window", "small"):
            for i in expected[name]:
                first_row, first_col, last_row, last_col = _sides(work.boxes, i)
                assert first_col == max(np.ceil(u[corners[i]].min() - 0.01), 0)
                assert last_row == min(np.floor(v[corners[i]].max() + 0.01), 199)
                assert work.firsts[i] % 384 == first_col and work.firsts[i] // 384 == first_row
                assert last_col >= first_col
        assert work.others[:n_others, 0].tolist() == expected["large"]
        met |= {name for name, faces in expected.items() if faces}
    assert n < 100 or met == {"window", "half", "side", "small", "large"}
