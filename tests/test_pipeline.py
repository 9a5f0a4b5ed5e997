"""How tiles are shared out, in one call or one by one, and what happens where one of the threads fails."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numpy as np
import pytest

import cameras
import depthraster as dr
import meshes
from depthraster import derived, pipeline, workroom
from depthraster.footprint import CELL, ray_steps
from depthraster.kernels.rays import ray_grid


@pytest.fixture(scope="module")
def mesh() -> meshes.Mesh:
    rng = np.random.default_rng(4)
    parts = meshes.terrain(rng, 150, 150, 30.0, 16.0, 3.0), meshes.soup(rng, 3000, 0.8, (1e-3, 0.3))
    return meshes.joined(*parts)


@pytest.mark.parametrize("lens", cameras.LENSES)
@pytest.mark.parametrize(
    "layers",
    [
        ("depth",),
        ("range", "alpha", "face_index"),
        ("depth", "range", "face_index"),
        ("depth", "face_index", "barycentric", "normal", "position", "view_angle"),
    ],
)
def test_tiles_drawn_in_one_call_are_those_drawn_one_by_one(lens, layers, mesh, monkeypatch):
    scene, calls, original = dr.Scene(*mesh), [], pipeline.front_to_back

    def noted(*arguments):
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(pipeline, "front_to_back", noted)
    calibration = cameras.calibration(lens, 900, 500)
    for options in (
        {"cull_faces": True, "threads": 1},
        {"cull_faces": False, "threads": 3, "background": -2.0},
    ):
        monkeypatch.setattr(pipeline, "TOGETHER", True)
        found = dr.render(scene, np.eye(4), calibration, layers, **options)
        in_one_call = not calls
        monkeypatch.setattr(pipeline, "TOGETHER", False)
        expected = dr.render(scene, np.eye(4), calibration, layers, **options)
        assert calls
        calls.clear()
        for layer in layers:
            np.testing.assert_array_equal(getattr(found, layer), getattr(expected, layer), strict=True)
        assert in_one_call == (not ray_grid(calibration.lens_params(), 900, 500).exact.any())


def test_both_ways_share_their_kernels(mesh, monkeypatch):
    """A constant where Python passes a value would have each compiled twice, the second time in another process."""
    scene, calibration = dr.Scene(*mesh), cameras.calibration("survey", 64, 48)
    for together in (True, False):
        monkeypatch.setattr(pipeline, "TOGETHER", together)
        dr.render_depth(scene, np.eye(4), calibration)
    for name in (
        "lay_lattice",
        "fill_rays",
        "bound_rays",
        "clusters_in_tile",
        "front_to_back",
        "draw_clusters",
        "resolve_tile",
    ):
        signatures = getattr(pipeline, name).signatures
        assert signatures and "iteral" not in str(signatures), name
    compiled = []
    for together in (True, False):
        monkeypatch.setattr(pipeline, "TOGETHER", together)
        dr.render(scene, np.eye(4), calibration, ("depth", "normal", "position"))
        compiled.append((len(pipeline.draw_clusters.signatures), len(derived.derive_tile.signatures)))
    assert compiled[0] == compiled[1]
    assert "iteral" not in str(derived.derive_tile.signatures)


@pytest.mark.parametrize("together", [True, False])
def test_where_a_thread_fails_the_others_stop(together, mesh, monkeypatch):
    """As an interrupt does it: what is left of the view is not drawn."""
    scene, drawn, main = dr.Scene(*mesh), [], threading.current_thread()
    name = "draw_view" if together else "resolve_tile"
    original = getattr(pipeline, name)
    failed = threading.Event()

    def fails(*arguments):
        if threading.current_thread() is main:
            failed.set()
            raise KeyboardInterrupt
        assert failed.wait(10)
        drawn.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(pipeline, "TOGETHER", together)
    monkeypatch.setattr(pipeline, name, fails)
    calibration = cameras.calibration("survey", 384 * 10, 384 * 7)
    with pytest.raises(KeyboardInterrupt):
        dr.render_depth(scene, np.eye(4), calibration, threads=2)
    assert len(drawn) <= 2  # of 70 tiles
    monkeypatch.setattr(pipeline, name, original)
    out = dr.render_depth(scene, np.eye(4), calibration, threads=2)
    np.testing.assert_array_equal(out, dr.render_depth(scene, np.eye(4), calibration, threads=1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_forked_while_a_room_is_lent_renders(mesh):
    scene, calibration = dr.Scene(*mesh), cameras.calibration("survey", 64, 48)
    expected = dr.render_depth(scene, np.eye(4), calibration, threads=1)
    with workroom.workroom(100, False):
        child = multiprocessing.get_context("fork").Process(
            target=lambda: os._exit(
                int(not np.array_equal(dr.render_depth(scene, np.eye(4), calibration, threads=1), expected))
            )
        )
        child.start()
        child.join(30)
    assert child.exitcode == 0


def test_rooms_are_kept_and_lent_to_one_at_a_time():
    with workroom.workroom(100, False) as first, workroom.workroom(100, True) as second:
        assert first is not second
        assert first.names is None
        assert second.names is not None
        assert not np.shares_memory(first.pixels.w, second.pixels.w)
    with workroom.workroom(100, True) as again:
        assert again.n_clusters >= 100
        assert again.names is not None
    with workroom.workroom(1 << 19, False) as large:
        assert large.chosen.size == 1 << 19
    assert all(room.n_clusters < 1 << 19 for room in workroom._idle)


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 1), (1, 3), (5, 4), (63, 2), (64, 65), (130, 70), (640, 480), (1500, 1000)]
)
@pytest.mark.parametrize("lens", [lens for lens in cameras.EVERY_LENS if "orthographic" not in lens])
def test_steps_between_rays_are_bounded_in_images_of_any_size(lens, size, monkeypatch):
    calibration, looked_at = cameras.calibration(lens, *size), []
    original = dr.Calibration.unproject
    monkeypatch.setattr(
        dr.Calibration,
        "unproject",
        lambda self, pixels: looked_at.append(pixels.size) or original(self, pixels),
    )
    least, most = ray_steps(calibration)
    assert sum(looked_at) < 100_000
    rng = np.random.default_rng(0)
    u, v = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    rays = original(calibration, np.stack([u, v], axis=-1))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    for axis in (0, 1):
        steps = np.linalg.norm(np.diff(rays, axis=axis), axis=-1)
        seen = np.isfinite(steps)
        # Two pixels beside the border of cells may be either's.
        for shift in (0, 1):
            rows, cols = np.indices(steps.shape)
            rows, cols = (rows + shift * (axis == 0)) // CELL, (cols + shift * (axis == 1)) // CELL
            assert (steps >= least[rows, cols])[seen].all()
            assert (steps <= most[rows, cols])[seen].all()
    # Anywhere in the image, as visibility asks for it.
    places = rng.uniform(0, size, (20_000, 2))
    places[:2000] = np.round(places[:2000] / size) * size + rng.normal(size=(2000, 2)) * 0.3
    places = np.clip(places, 0, size)
    centre, *others = (
        original(calibration, places + way) for way in ([0, 0], [1, 0], [0, 1], [-1, 0], [0, -1])
    )
    unit = centre / np.linalg.norm(centre, axis=-1, keepdims=True)
    across, down, back, up = (
        np.linalg.norm(other / np.linalg.norm(other, axis=-1, keepdims=True) - unit, axis=-1)
        for other in others
    )
    with np.errstate(invalid="ignore"):
        step = np.fmax(np.where(np.isfinite(across), across, back), np.where(np.isfinite(down), down, up))
    seen = np.isfinite(step)
    cols, rows = np.minimum(places // CELL, np.array(least.shape[::-1]) - 1).astype(int).T
    assert (step >= least[rows, cols])[seen].all()
    assert (step <= most[rows, cols])[seen].all()
