"""What is hidden is left out, and no pixel knows: images are the same, bit for bit, whatever is left out or not."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np
import pytest

import cameras
import depthraster as dr
import meshes
from depthraster import pipeline
from depthraster.kernels import occlusion as kernels
from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, STRIDE

CELLS = kernels.CELLS


# Compiled into kernels only; these are doors to them.
@numba.njit
def bound(view, x, y, z, half, slack, parallel):
    return kernels.bound_cluster(view, x, y, z, half, slack, parallel)


@numba.njit
def look(w, blocks_across, refs, bounds, work):
    kernels.look_again(w, blocks_across, refs, bounds, work)


@numba.njit
def hidden(at, work):
    return kernels.is_hidden(at, work)


def shells(n_shells: int, seed: int, rows: int = 46, cols: int = 60) -> meshes.Mesh:
    """Spheres around the camera, one within the other, uneven and with holes; copies of some lie exactly on others."""
    rng = np.random.default_rng(seed)
    parts = []
    latitude, longitude = np.meshgrid(
        np.linspace(-1.5, 1.5, rows), np.linspace(-np.pi, np.pi, cols), indexing="ij"
    )
    directions = np.stack(
        [np.cos(latitude) * np.sin(longitude), np.sin(latitude), np.cos(latitude) * np.cos(longitude)],
        axis=-1,
    ).reshape(-1, 3)
    first = (np.arange(rows - 1)[:, None] * cols + np.arange(cols - 1)).ravel()
    quads = np.stack([first, first + 1, first + cols + 1, first + cols], axis=-1)
    for shell in range(n_shells):
        radius = 2.0 + shell + 0.3 * np.sin(directions @ rng.uniform(2, 9, 3))
        kept = quads[rng.random(len(quads)) > 0.05]
        for centre in directions[rng.integers(len(directions), size=5)]:  # holes to look through
            kept = kept[(directions[kept[:, 0]] @ centre) < 0.97]
        faces = np.concatenate([kept[:, [0, 1, 2]], kept[:, [0, 2, 3]]])
        flipped = rng.random(len(faces)) < 0.3
        faces[flipped] = faces[flipped][:, ::-1]
        parts.append((directions * radius[:, None], faces))
        if shell % 4 == 1:  # the same place, other faces: the lesser index is seen
            parts.append((parts[-1][0], faces[::-1]))
    return meshes.joined(*parts)


@pytest.fixture(scope="module")
def nested() -> meshes.Mesh:
    return shells(12, 3)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What `front_to_back` answers, tile by tile."""
    monkeypatch.setattr(pipeline, "TOGETHER", False)
    answers: list[bool] = []
    original = pipeline.front_to_back

    def count(*arguments):
        answers.append(original(*arguments))
        return answers[-1]

    monkeypatch.setattr(pipeline, "front_to_back", count)
    return answers


def without_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw every cluster in every tile, hidden, outside and turned away or not, in the order of the scene."""
    monkeypatch.setattr(pipeline, "TOGETHER", False)

    def every(centre, *arguments):
        arguments[-1][: len(centre)] = np.arange(len(centre))
        return len(centre)

    monkeypatch.setattr(pipeline, "clusters_in_tile", every)
    monkeypatch.setattr(pipeline, "front_to_back", lambda *_: False)


@pytest.mark.parametrize("lens", cameras.EVERY_LENS)
@pytest.mark.parametrize("cull", [True, False])
def test_no_bit_changes_with_selection_switched_off(lens, cull, nested, counted, monkeypatch):
    scene = dr.Scene(*nested)
    calibration = cameras.calibration(lens, 500, 400)
    if calibration.type == "orthographic":  # to see some of it
        calibration = dr.Calibration(500, 400, 30.0, cx=3.0, type="orthographic")
    transform = meshes.random_transform(np.random.default_rng(5), spread=0.2)
    options = {"cull_faces": cull, "threads": 2}
    layers = ("depth", "alpha", "face_index", "range")
    found = dr.render(scene, transform, calibration, layers, **options)
    alone = dr.render_depth(scene, transform, calibration, **options)  # another kernel: no indices
    if lens != "tele":  # it sees a few clusters only
        assert any(counted)
    without_selection(monkeypatch)
    expected = dr.render(scene, transform, calibration, layers, **options)
    for layer in layers:
        np.testing.assert_array_equal(getattr(found, layer), getattr(expected, layer), strict=True)
    np.testing.assert_array_equal(alone, dr.render_depth(scene, transform, calibration, **options))
    assert expected.alpha.mean() > 0.2


@pytest.mark.parametrize("seed", range(6))
def test_random_faces_of_all_sizes_around_the_camera(seed, counted, monkeypatch):
    rng = np.random.default_rng(seed)
    n = 12_000
    centres = rng.uniform(-10, 10, (n, 1, 3))
    corners = centres + rng.normal(size=(n, 3, 3)) * rng.choice(
        [0.02, 0.3, 3.0], (n, 1, 1), p=[0.5, 0.45, 0.05]
    )
    scene = dr.Scene(corners.reshape(-1, 3), np.arange(3 * n).reshape(-1, 3))
    calibration = cameras.calibration(["survey", "fisheye 190", "spherical"][seed % 3], 450, 390)
    transform = meshes.random_transform(rng, spread=3.0)
    options = {"layers": ("depth", "face_index"), "cull_faces": seed % 2 == 0}
    found = dr.render(scene, transform, calibration, **options)
    assert any(counted)
    without_selection(monkeypatch)
    expected = dr.render(scene, transform, calibration, **options)
    np.testing.assert_array_equal(found.depth, expected.depth)
    np.testing.assert_array_equal(found.face_index, expected.face_index)


def test_it_hides_nearly_all_of_what_is_hidden(nested, monkeypatch):
    drawn = []
    original = pipeline.draw_clusters

    def draw(*arguments):
        original(*arguments)
        clusters, work = arguments[1], arguments[-2]
        if arguments[-3]:
            drawn.append((sum(not hidden(at, work) for at in range(len(clusters))), len(clusters)))

    monkeypatch.setattr(pipeline, "TOGETHER", False)
    monkeypatch.setattr(pipeline, "draw_clusters", draw)
    whole = nested[0], nested[1][nested[0][nested[1][:, 0]] @ [0, 0, 1] > 0]
    dr.render_depth(whole, np.eye(4), cameras.calibration("pinhole", 700, 600), cull_faces=False)
    assert drawn
    shown, n = np.sum(drawn, axis=0)
    assert shown < 0.6 * n  # by the last look; what holes show is rightly drawn


def test_a_terrain_from_above_is_not_sorted(counted):
    rng = np.random.default_rng(0)
    mesh = meshes.terrain(rng, 200, 200, 60.0, 40.0, 8.0)
    dr.render_depth(mesh, np.eye(4), cameras.calibration("survey", 600, 400))
    assert counted
    assert not any(counted)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_bounds_of_clusters_hold(parallel, seed):
    rng = np.random.default_rng(seed)
    f = rng.uniform(10, 5000)
    transform = meshes.random_transform(rng, scale=rng.uniform(0.1, 10), spread=0)[:3]
    transform[:2] *= f
    centre, half = rng.normal(size=3), rng.exponential(0.5, 3).astype(np.float32)
    transform[:, 3] = transform[:, :3] @ -centre + [0, 0, rng.uniform(-1, 20)]
    points = centre + half * rng.uniform(-1, 1, (500, 3)).round(1)  # many in the corners and faces
    x, y, z = transform[:, :3] @ points.T + transform[:, 3:]
    x0, x1, y0, y1, z0 = bound(transform, *centre, half, 1e-9, parallel)
    assert z0 <= z.min()
    if not parallel:
        if z0 <= 0:
            assert (x0, x1, y0, y1) == (-np.inf, np.inf, -np.inf, np.inf)
            return
        x, y = x / z, y / z
    room = 1e-9 * (1 + abs(x).max() + abs(y).max())
    assert x0 <= x.min() + room
    assert x1 >= x.max() - room
    assert y0 <= y.min() + room
    assert y1 >= y.max() - room


def test_a_look_finds_the_least_nearness_of_every_cell():
    rng = np.random.default_rng(8)
    down, across = 15, 20
    n = down * across
    w = rng.uniform(0.1, 1.0, (down * BLOCK_HEIGHT, STRIDE)).astype(np.float32)
    w[:: 2 * BLOCK_HEIGHT, 3 :: 7 * BLOCK_WIDTH] = 0.0  # pixels in which nothing is seen
    w[BLOCK_HEIGHT : 2 * BLOCK_HEIGHT, : 5 * BLOCK_WIDTH] = np.inf  # nothing imaged
    blocks = (
        w[:, : across * BLOCK_WIDTH]
        .reshape(down, BLOCK_HEIGHT, across, BLOCK_WIDTH)
        .swapaxes(1, 2)
        .reshape(n, -1)
    )
    refs = np.column_stack([rng.uniform(-9, 9, n), rng.uniform(4, 8, n), rng.uniform(0, 0.5, (n, 2))])
    refs[rng.random(n) < 0.1, 2:] = -1.0  # no rays
    used = refs[:, 2] >= 0
    bounds = np.array([-10.0, 10.0, 3.0, 9.0, 0.5, 0.5])
    work = kernels.occlusion(1)
    look(w.reshape(-1), across, refs, bounds, work)
    least = work.least.reshape(CELLS, CELLS)
    for row, col in rng.integers(CELLS, size=(200, 2)):
        x, y = -10 + 20 / CELLS * (col + np.array([0, 1])), 3 + 6 / CELLS * (row + np.array([0, 1]))
        inside = (refs[:, 0] + refs[:, 2] > x[0]) & (refs[:, 0] - refs[:, 2] < x[1])
        inside &= (refs[:, 1] + refs[:, 3] > y[0]) & (refs[:, 1] - refs[:, 3] < y[1])
        expected = blocks[inside & used].min(initial=np.inf)
        assert least[row, col] == expected


def test_what_is_as_near_as_the_cells_is_not_hidden():
    work = kernels.occlusion(1)
    work.cells[0] = 2, 4, 3, 3
    work.nearness[0] = 0.5
    work.least[:] = 0.0
    cells = work.least.reshape(CELLS, CELLS)
    cells[2:5, 3] = np.nextafter(np.float32(0.5), np.float32(1.0))
    assert hidden(0, work)
    for row in (2, 3, 4):
        before, cells[row, 3] = (
            cells[row, 3],
            0.5,
        )  # of equal depths the lesser index is seen, whichever was there first
        assert not hidden(0, work)
        cells[row, 3] = before


def boxes(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    centre = np.column_stack([rng.uniform(-3, 3, (n, 2)), rng.uniform(5, 50, n)])
    return centre, rng.uniform(0.5, 3.0, (n, 3)).astype(np.float32)


def orders(parallel: bool) -> Iterator[tuple[np.ndarray, np.ndarray, kernels.Occlusion]]:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        n = 200
        centre, half = boxes(n, rng)
        f = 10.0 if parallel else 100.0
        view = np.diag([f, f, 1.0, 1.0])[:3]
        work = kernels.occlusion(n)
        chosen = rng.permutation(n).astype(np.int32)
        bounds = np.array([-30.0, 30.0, -30.0, 30.0, 1.0, 1.0])
        assert kernels.front_to_back(centre, half, 60.0, view, bounds, parallel, chosen, work)
        yield centre[chosen], half[chosen], work
        assert sorted(chosen) == list(range(n))


@pytest.mark.parametrize("parallel", [False, True])
def test_clusters_come_nearest_first_and_with_what_is_known_of_them(parallel):
    for centre, half, work in orders(parallel):
        nearest = centre[:, 2] - half[:, 2].astype(float)
        nearness = -nearest if parallel else 1 / nearest
        np.testing.assert_allclose(work.nearness[: len(centre)], nearness, rtol=1e-5)
        assert (work.nearness[: len(centre)] >= nearness.astype(np.float32)).all()
        least_so_far = np.minimum.accumulate(nearness)
        assert (nearness - least_so_far <= 0.01 * np.abs(nearness)).all()  # in order, but for the last digits
        reach = 10.0 * (centre[:, 0] - half[:, 0]) if parallel else None
        if reach is not None:
            expected = np.clip((reach - 0.01 + 30) / 60 * CELLS, 0, CELLS - 1).astype(int)
            np.testing.assert_array_equal(work.cells[: len(centre), 2], expected)


def test_few_or_small_clusters_are_left_in_their_order():
    rng = np.random.default_rng(0)
    centre, half = boxes(40, rng)
    view = np.diag([100.0, 100.0, 1.0, 1.0])[:3]
    bounds = np.array([-30.0, 30.0, -30.0, 30.0, 1.0, 1.0])
    work = kernels.occlusion(40)
    for n, size in ((kernels.LEAST_CLUSTERS - 1, 1.0), (40, 0.01)):
        chosen = np.arange(n, dtype=np.int32)[::-1].copy()
        small = half * np.float32(size)
        assert not kernels.front_to_back(centre, small, 60.0, view, bounds, False, chosen, work)
        np.testing.assert_array_equal(chosen, np.arange(n)[::-1])
