"""Tiles of lenses that see beyond a plane: their rays are the lens', and faces find all their pixels."""

from __future__ import annotations

import numba
import numpy as np
import pytest

import depthraster as dr
from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, STRIDE, tile_pixels
from depthraster.kernels.cells import blocks_near, empty_cells, fill_cells
from depthraster.kernels.inverse import box_of, pixels_of
from depthraster.kernels.rays import fill_rays, lay_lattice, ray_scratch, reaches
from depthraster.kernels.select import bound_rays
from depthraster.kernels.turned import iterate_directions, turned_tiles


# Compiled into kernels only; these are doors to them.
@numba.njit
def box(inverse, x_lo, x_hi, y_lo, y_hi):
    return box_of(inverse, x_lo, x_hi, y_lo, y_hi)


@numba.njit
def place(inverse, xs, ys, us, vs):
    pixels_of(inverse, len(xs), xs, ys, us, vs)


@numba.njit
def near(cells, bounds, x_lo, x_hi, y_lo, y_hi):
    return blocks_near(cells, bounds, x_lo, x_hi, y_lo, y_hi)


C = dr.Calibration
LENSES = {
    "fisheye 190": C(1300, 900, 390.0, cx=3.0, k1=0.01, k2=-0.003, p1=2e-4, p2=1e-4, b1=0.4, b2=-0.3, type="fisheye"),
    "fisheye, folding": C(600, 600, 250.0, k1=-0.05, k2=-0.04, type="fisheye"),
    "fisheye, all around": C(500, 500, 79.0, type="fisheye"),
    "equisolid": C(601, 433, 160.0, k1=0.01, p1=1e-4, type="equisolid_fisheye"),
    "spherical": C(1024, 512, type="spherical"),
    "spherical, more than a turn": C(700, 300, 90.0, cx=20.0, cy=-9.0, type="spherical"),
    "spherical, part": C(500, 400, 700.0, cy=300.0, type="spherical"),
    "cylindrical": C(1000, 500, 150.0, cx=5.0, cy=-9.0, type="cylindrical"),
    "orthographic": C(700, 401, 12.5, cx=1.0, cy=2.0, type="orthographic"),
    "small": C(3, 5, 1.1, type="fisheye"),
}  # fmt: skip
each_lens = pytest.mark.parametrize("calibration", LENSES.values(), ids=LENSES)


def tiles_of(calibration):
    return turned_tiles(calibration.lens_params(), calibration.width, calibration.height)


def laid_out(calibration, tile):
    """Rays (n_rows, n_cols, 2), w, references and bounds of a tile, as the pipeline lays them out; None for no rays."""
    down, across = -(-tile.n_rows // BLOCK_HEIGHT), -(-tile.n_cols // BLOCK_WIDTH)
    pixels, lattice, refs = tile_pixels(tile.n_rows), np.empty(3), np.full((down * across, 4), np.nan)
    where, zero, lens = (tile.n_rows, tile.n_cols), np.float32(0.0), calibration.lens_params()
    room, reached = 2.0, False
    while not reached:
        lay_lattice(tile.nodes, tile.spacing, 0, 0, *where, 2.0**-44, room, lattice)
        place = *where, lattice, pixels, refs, ray_scratch()
        far = 0.0
        if fill_rays(tile.nodes, tile.exact, tile.spacing, zero, 0, 0, *place):
            far = iterate_directions(
                tile.exact, tile.spacing, lens, tile.turn, zero, tile.row0, tile.col0, *place
            )
        reached = reaches(lattice, far)
        room += far
    bounds = np.empty(6)
    if not bound_rays(refs, bounds):
        return None
    x, y, w = (numbers[: tile.n_rows * STRIDE].reshape(-1, STRIDE)[:, : tile.n_cols] for numbers in pixels)
    return lattice[:2] + np.stack([x, y], axis=-1) * lattice[2], w, refs, bounds


def plane_points(calibration, tile, pixels):
    """Pixels (..., 2) of the image -> points (..., 2) of the tile's plane, by the calibration; NaN where not imaged."""
    look = calibration.unproject(pixels)
    if calibration.type == "orthographic":
        return look[..., :2] * calibration.f
    local = look @ tile.turn.T
    return calibration.f * local[..., :2] / local[..., 2:]


@each_lens
def test_tiles_cover_the_image_once(calibration):
    times = np.zeros((calibration.height, calibration.width), int)
    for tile in tiles_of(calibration):
        times[tile.row0 : tile.row0 + tile.n_rows, tile.col0 : tile.col0 + tile.n_cols] += 1
        assert tile.turn is None or np.abs(tile.turn @ tile.turn.T - np.eye(3)).max() < 1e-14
        assert tile.turn is None or np.linalg.det(tile.turn) > 0
    assert (times == 1).all()


@each_lens
def test_rays_are_the_lens(calibration):
    """What is imaged is the calibration's, and where the rays point to within 1e-5 of a pixel; none leaves its bounds."""
    for tile in tiles_of(calibration):
        v, u = np.mgrid[: tile.n_rows, : tile.n_cols] + 0.5
        pixels = np.stack([u + tile.col0, v + tile.row0], axis=-1)
        imaged = np.isfinite(calibration.unproject(pixels)).all(axis=-1)
        if tile.turn is None:
            assert not imaged.any()
            continue
        found = laid_out(calibration, tile)
        assert (found is not None) == imaged.any()
        if found is None:
            continue
        rays, w, _, bounds = found
        np.testing.assert_array_equal(w == 0, imaged)
        exact = plane_points(calibration, tile, pixels)
        error = np.abs(rays - exact)[imaged]
        assert error.max() <= 1e-5 * max(1.0, calibration.f * 1e-3)
        for axis in range(2):
            assert bounds[2 * axis] <= rays[imaged][:, axis].min()
            assert rays[imaged][:, axis].max() <= bounds[2 * axis + 1]


def triangles(rng, bounds, n):
    """Triangles (n, 3, 2) of all sizes in and around a rectangle."""
    low, size = bounds[0:4:2], bounds[1:4:2] - bounds[0:4:2]
    middle = low + size * rng.uniform(-0.1, 1.1, (n, 1, 2))
    return middle + size * rng.normal(size=(n, 3, 2)) * 10 ** rng.uniform(-3, 0, (n, 1, 1))


def inside_some(rng, corners, n):
    """Points (n, 2) of a triangle, on its edges too."""
    weights = rng.dirichlet([0.3, 0.3, 0.3], n)
    weights[rng.uniform(size=n) < 0.3, 0] = 0.0
    return (weights / weights.sum(axis=1, keepdims=True)) @ corners


@each_lens
def test_polynomials_miss_no_more_than_they_say(calibration):
    """Every point of a face in the rectangle is in the box of its vertices' pixels and the pad that the tile gives."""
    rng = np.random.default_rng(1)
    seen = 0
    for tile in tiles_of(calibration):
        if tile.turn is None or not np.isfinite(tile.inverse.frame[8]):
            continue
        frame = tile.inverse.frame
        bounds = laid_out(calibration, tile)[3]
        if not ((frame[0:4:2] <= bounds[0:4:2]) & (bounds[1:4:2] <= frame[1:4:2])).all():
            continue  # the pipeline asks the table, then
        for corners in triangles(rng, bounds, 20):
            points = inside_some(rng, corners, 200)
            pixels = on_image(calibration, tile, points) - [tile.col0, tile.row0]
            # A face partly in the rectangle finds the pixels of that part by the box of its own rectangle.
            within = ((points >= frame[0:4:2]) & (points <= frame[1:4:2])).all(axis=1)
            (x_lo, y_lo), (x_hi, y_hi) = corners.min(axis=0), corners.max(axis=0)
            check_inside(pixels[within], box(tile.inverse, x_lo, x_hi, y_lo, y_hi))
            if not ((corners >= frame[0:4:2]) & (corners <= frame[1:4:2])).all():
                continue
            us, vs = np.empty(3), np.empty(3)
            place(tile.inverse, *np.ascontiguousarray(corners.T), us, vs)
            ab, ac = corners[1] - corners[0], corners[2] - corners[0]
            pad = frame[8] + frame[9] * 2.0 * (ab @ ab + ac @ ac)
            check_inside(pixels, (us.min() - pad, us.max() + pad, vs.min() - pad, vs.max() + pad))
            seen += 1
    assert seen > 20 or calibration.width < 10


def on_image(calibration, tile, points):
    """Points (n, 2) of a tile's plane -> pixels of the image, of the turn nearest the tile's middle."""
    if calibration.type == "orthographic":
        return calibration.project(np.column_stack([points / calibration.f, np.ones(len(points))]))
    rays = np.column_stack([points / calibration.f, np.ones(len(points))]) @ tile.turn
    pixels = calibration.project(rays)
    if calibration.type in ("spherical", "cylindrical"):
        turn = 2 * np.pi * calibration.f
        pixels[:, 0] -= turn * np.rint((pixels[:, 0] - tile.col0 - 0.5 * tile.n_cols) / turn)
    return pixels


def check_inside(pixels, box):
    if len(pixels):
        assert box[0] <= np.nanmin(pixels[:, 0]) and np.nanmax(pixels[:, 0]) <= box[1]
        assert box[2] <= np.nanmin(pixels[:, 1]) and np.nanmax(pixels[:, 1]) <= box[3]


@each_lens
def test_the_table_knows_every_block(calibration):
    """Whatever rectangle of the plane is asked for, the rays in it are in the blocks that are named."""
    rng = np.random.default_rng(2)
    cells = empty_cells()
    for tile in tiles_of(calibration)[::7]:
        found = tile.turn is not None and laid_out(calibration, tile)
        if not found:
            continue
        rays, w, refs, bounds = found
        fill_cells(refs, -(-tile.n_cols // BLOCK_WIDTH), bounds, cells)
        x, y = rays[..., 0], rays[..., 1]
        for corners in triangles(rng, bounds, 20):
            (x_lo, y_lo), (x_hi, y_hi) = corners.min(axis=0), corners.max(axis=0)
            rows, cols = np.nonzero((x >= x_lo) & (x <= x_hi) & (y >= y_lo) & (y <= y_hi) & (w == 0))
            row0, row1, col0, col1 = near(cells, bounds, x_lo, x_hi, y_lo, y_hi)
            assert ((rows // BLOCK_HEIGHT >= row0) & (rows // BLOCK_HEIGHT <= row1)).all()
            assert ((cols // BLOCK_WIDTH >= col0) & (cols // BLOCK_WIDTH <= col1)).all()


def test_tiles_of_a_panorama_are_made_once_for_each_row():
    """A panorama's tiles of one row are turned copies; their nodes are shared."""
    tiles = tiles_of(C(4096, 2048, type="spherical"))
    middle = [tile for tile in tiles if tile.row0 == 768 and tile.n_cols == 384]
    assert len(middle) > 5
    assert all(tile.nodes is middle[0].nodes for tile in middle)
