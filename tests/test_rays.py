"""The grid of rays: interpolated or not, each pixel's ray is the exact one, whatever tile it is computed in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import cameras
import depthraster as dr
from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, MAX_TILE, STRIDE, tile_pixels
from depthraster.kernels.rays import fill_rays, iterate_rays, lay_lattice, ray_grid, ray_scratch, reaches

FINEST = 2.0**-22
REAL_FOLDING = dr.Calibration(
    3456, 2304, 8682.2, cx=50.3, cy=-15.5, k1=-0.102, k2=-0.114, k3=-6.33, p1=1.8e-3, p2=9.7e-4
)


def rays_of(calibration, row0, col0, n_rows, n_cols):
    """Rays (n_rows, n_cols, 2) in plane pixels, what is imaged, and the references, by the kernel."""
    assert n_cols <= MAX_TILE
    lens = calibration.lens_params()
    grid = ray_grid(lens, calibration.width, calibration.height)
    down, across = -(-n_rows // BLOCK_HEIGHT), -(-n_cols // BLOCK_WIDTH)
    pixels, lattice, refs = tile_pixels(n_rows), np.empty(3), np.full((down * across, 4), np.nan)
    for numbers in pixels:
        numbers.fill(7)
    nodes, where = grid.nodes.reshape(len(grid.nodes), -1), (row0, col0, n_rows, n_cols)
    room, reached = 64.0, False
    while not reached:
        lay_lattice(nodes, grid.spacing, *where, FINEST, room, lattice)
        place = np.float32(0.0), *where, lattice, pixels, refs, ray_scratch()
        left = fill_rays(nodes, grid.exact, grid.spacing, *place)
        assert (left > 0) == grid.exact[row0 // grid.spacing : -(-(row0 + n_rows) // grid.spacing)][
            :, col0 // grid.spacing : -(-(col0 + n_cols) // grid.spacing)
        ].any()
        far = iterate_rays(grid.exact, grid.spacing, lens, *place) if left else 0.0
        reached = reaches(lattice, far)
        room += far
    assert lattice[2] >= FINEST
    assert np.isfinite(refs).all()
    x, y, w = (
        numbers[: down * BLOCK_HEIGHT * STRIDE].reshape(-1, STRIDE)[:, : across * BLOCK_WIDTH]
        for numbers in pixels
    )
    whole = lattice[:2] + np.stack([x, y], axis=-1) * lattice[2]
    blocks = [
        values.reshape(down, BLOCK_HEIGHT, across, BLOCK_WIDTH, -1)
        .swapaxes(1, 2)
        .reshape(down * across, -1, n)
        for values, n in ((whole, 2), (w, 1))
    ]
    has_rays = blocks[1][..., 0] == 0
    assert ((refs[:, 2:] == -1) == ~has_rays.any(axis=1)[:, None]).all()
    reach = np.abs(blocks[0] - refs[:, None, :2])
    assert (reach <= refs[:, None, 2:] * (1 + 1e-6))[has_rays].all()
    assert np.isin(w, [0, np.inf]).all()
    assert (w[n_rows:] == np.inf).all()
    assert (w[:, n_cols:] == np.inf).all()
    return whole[:n_rows, :n_cols], w[:n_rows, :n_cols] == 0, grid


def check(calibration, row0, col0, n_rows, n_cols):
    rays, imaged, grid = rays_of(calibration, row0, col0, n_rows, n_cols)
    u, v = np.arange(col0, col0 + n_cols) + 0.5, np.arange(row0, row0 + n_rows) + 0.5
    pixels = np.stack(np.meshgrid(u, v), axis=-1)
    exact = calibration.unproject(pixels)[..., :2] * calibration.f
    np.testing.assert_array_equal(imaged, np.isfinite(exact).all(axis=-1))
    if imaged.any():
        # Near a fold one pixel is many plane pixels, of which float32 keeps seven digits.
        stretch = np.abs(np.gradient(exact, axis=1)).max() if n_cols > 1 and imaged.all() else 1.0
        back = calibration.project(
            np.concatenate([rays, np.full((*imaged.shape, 1), calibration.f)], axis=-1)
        )
        assert np.nanmax(np.abs(back - pixels)[imaged]) <= 2e-6
        if imaged.all():
            assert np.abs(rays - exact).max() <= 2e-6 * max(stretch, 1.0)
    return grid


@pytest.mark.parametrize("lens", sorted(cameras.LENSES))
@pytest.mark.parametrize("size", [(6000, 4000), (640, 480), (37, 21)])
def test_rays_are_exact(lens, size):
    calibration = cameras.calibration(lens, *size)
    for row0, col0 in [(0, 0), (size[1] // 2 // 256 * 256, size[0] // 256 * 256)]:
        check(calibration, row0, col0, min(256, size[1] - row0), min(256, size[0] - col0))


@given(cameras.CALIBRATIONS)
def test_rays_of_any_lens_are_exact(calibration):
    check(calibration, 0, 0, calibration.height, calibration.width)


def test_rays_of_a_real_folding_lens():
    grid = check(REAL_FOLDING, 1024, 3328, 256, 128)
    assert grid.exact.mean() < 0.02  # it is interpolated, not iterated


def test_survey_lens_is_interpolated_everywhere():
    calibration = cameras.calibration("survey", 6000, 4000)
    grid = ray_grid(calibration.lens_params(), 6000, 4000)
    assert grid.spacing >= 16
    assert not grid.exact.any()


def test_a_pixels_ray_does_not_depend_on_the_tile():
    calibration = cameras.calibration("survey", 700, 500)
    whole, _, _ = rays_of(calibration, 0, 192, 500, 384)
    part, _, _ = rays_of(calibration, 256, 448, 244, 128)
    np.testing.assert_array_equal(whole[256:, 256:], part)
