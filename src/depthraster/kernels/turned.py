"""The rays of lenses that see beyond a plane: each tile is a small camera of its own, turned to where it looks.

A fisheye's or a panorama's directions fit no single image plane, those of one tile do: a plane across the tile's
middle direction. In that plane a ray is (f X / Z, f Y / Z) again, so blocks, faces and 1/Z are drawn as a frame
camera's are, and only two things differ: rays come from directions (here), and faces find their pixels without
projecting vertices through the lens (``inverse.py``, ``cells.py``). An orthographic view is one more such camera, with
rays that run side by side: its tiles are not turned, and blocks hold -Z in the place of 1/Z.

The commonest change is another lens: nothing to do here, its branch is in ``directions.py``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_PIXELS, BLOCK_WIDTH, STRIDE
from depthraster.kernels.directions import (
    CYLINDRICAL,
    ORTHOGRAPHIC,
    SPHERICAL,
    direction_of,
    project_directions,
    unproject_directions,
)
from depthraster.kernels.inverse import Inverse, fit_inverse, no_inverse
from depthraster.kernels.jit import inner, lean_kernel
from depthraster.kernels.rays import interpolation_error, store_rays

__all__ = ["TurnedTile", "iterate_directions", "turned_tiles"]

_N = BLOCK_PIXELS
_SIDES = (384, 192, 96, 48, 24, 12, 4, 2, 1)  # of tiles, pixels, each a divisor of the one before
_SPACINGS = (32, 16, 8)  # of nodes, pixels; multiples of the sides of a block
_LEAST_SIDE = 48  # pixels; tiles no larger than this may do without an inverse
_WIDEST = 0.75  # radians from a tile's axis to any of its rays; a plane grows steep beyond
_ANGLE = 3e-9  # radians that interpolation may miss by: at 89.5 degrees from a normal 3.5e-7 of the range
_FEW = 0.02  # share of cells that may need the exact iteration before closer nodes are tried
# What a pixel costs: iterated, and interpolated in cells of so many pixels, where evaluating it costs 1.
_ITERATED, _PER_CELL = 80.0, 8.0
_SAMPLES = 17  # along each side of a tile, to see where it looks
# How much farther than a tile's rays its inverse should reach, by their extent, so that a face across the tile's border
# finds its pixels as any other; the least is room for rays between the samples.
_MARGINS = (0.15, 0.02)


class TurnedTile(NamedTuple):
    """A rectangle of pixels, where it looks, and how its rays are found."""

    row0: int
    col0: int
    n_rows: int
    n_cols: int
    # (3, 3) camera's frame -> the tile's, Z its axis; None: nothing is imaged
    turn: npt.NDArray[np.float64] | None
    # (rows, 2 cols) as `rays.RayGrid` has them, in the tile's plane, of the tile alone
    nodes: npt.NDArray[np.float64]
    exact: npt.NDArray[np.uint8]  # (rows - 3, cols - 3) likewise
    spacing: int  # pixels
    inverse: Inverse


def turned_tiles(lens: npt.NDArray[np.float64], width: int, height: int) -> tuple[TurnedTile, ...]:
    """Return the tiles of an image of width x height pixels; those of the last few lenses are remembered."""
    return _turned_tiles(lens.tobytes(), width, height)


@lru_cache(maxsize=4)
def _turned_tiles(lens_bytes: bytes, width: int, height: int) -> tuple[TurnedTile, ...]:
    lens = np.frombuffer(lens_bytes)
    tiles: list[TurnedTile] = []
    alike: dict[tuple[int, ...], TurnedTile | None] = {}
    waiting = _split(0, 0, height, width, 0)[::-1]
    while waiting:
        row0, col0, n_rows, n_cols, level = waiting.pop()
        place = row0, col0, n_rows, n_cols
        # What suited the neighbour, or a coarser one.
        spacing = 2 * tiles[-1].spacing if tiles else _SPACINGS[0]
        key = (row0, n_rows, n_cols) if _goes_round(lens, col0, n_cols) else place
        if key not in alike:
            alike[key] = _usable_tile(lens, *place, spacing)
        tile = alike[key]
        if tile is None:
            waiting += _split(*place, level + 1)[::-1]
        else:
            tiles.append(_moved(lens, tile, col0))
    return tuple(tiles)


def _goes_round(lens: npt.NDArray[np.float64], col0: int, n_cols: int) -> bool:
    """Whether a tile is the same as any other of its rows, but for a turn about Y: of a panorama, and imaged."""
    half_turn = np.pi * lens[0]
    return bool(
        lens[14] in (SPHERICAL, CYLINDRICAL)
        and lens[1] - half_turn <= col0
        and col0 + n_cols <= lens[1] + half_turn
    )


def _moved(lens: npt.NDArray[np.float64], tile: TurnedTile, col0: int) -> TurnedTile:
    """Return a tile that `_goes_round` at another place of its rows."""
    if tile.turn is None or col0 == tile.col0:
        return tile._replace(col0=col0)
    angle = (tile.col0 - col0) / lens[0]
    c, s = np.cos(angle), np.sin(angle)
    return tile._replace(col0=col0, turn=tile.turn @ [[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _usable_tile(
    lens: npt.NDArray[np.float64], row0: int, col0: int, n_rows: int, n_cols: int, spacing: int
) -> TurnedTile | None:
    """Return a tile, or None where it should be split: it sees too much for a plane, or too little of it is smooth."""
    tile, angle = _tile(lens, row0, col0, n_rows, n_cols, spacing)
    side = max(n_rows, n_cols)
    if angle > _WIDEST and side > 1:
        return None
    tile = tile._replace(inverse=_inverse(lens, tile))
    smooth = tile.turn is None or np.isfinite(tile.inverse.frame[8])
    return tile if smooth or side <= _LEAST_SIDE else None


def _split(
    row0: int, col0: int, n_rows: int, n_cols: int, level: int
) -> list[tuple[int, int, int, int, int]]:
    """Return the tiles of a level that make up a rectangle, row by row."""
    side = _SIDES[level]
    return [
        (row, col, min(side, row0 + n_rows - row), min(side, col0 + n_cols - col), level)
        for row in range(row0, row0 + n_rows, side)
        for col in range(col0, col0 + n_cols, side)
    ]


def _tile(
    lens: npt.NDArray[np.float64], row0: int, col0: int, n_rows: int, n_cols: int, spacing: int
) -> tuple[TurnedTile, float]:
    """Return a tile, and the greatest angle (radians) between its axis and one of its rays.

    Its nodes are ``spacing`` pixels apart, or closer where that saves more iterations than it costs.
    """
    turn = _turn(lens, row0, col0, n_rows, n_cols)
    inverse = no_inverse(np.zeros(4))
    if turn is None:
        nothing = np.empty((0, 0))
        return TurnedTile(
            row0, col0, n_rows, n_cols, None, nothing, nothing.astype(np.uint8), 4, inverse
        ), 0.0
    best: tuple[float, TurnedTile] | None = None
    for step in _SPACINGS:
        if step > spacing:
            continue
        nodes, exact = _nodes(lens, turn, row0, col0, n_rows, n_cols, step)
        finite = np.isfinite(nodes[1:-1, 1:-1, 0])
        # Cells that the lens does not image whole cannot be helped.
        whole = finite[:-1, :-1] & finite[1:, :-1] & finite[:-1, 1:] & finite[1:, 1:]
        share = float((exact & whole).sum() / max(whole.sum(), 1))
        cost = share * _ITERATED + (_PER_CELL / step) ** 2
        if best is None or cost < best[0]:
            flat = nodes.reshape(len(nodes), -1)
            flat.flags.writeable = exact.flags.writeable = False
            best = cost, TurnedTile(row0, col0, n_rows, n_cols, turn, flat, exact, step, inverse)
        if share <= _FEW:
            break
    assert best is not None  # no spacing is closer than the last
    tile = best[1]
    least = 1.0
    if lens[14] != ORTHOGRAPHIC:
        # The corners of cells, and every pixel of those that are iterated.
        rows, cols = tile.exact.shape
        used = np.zeros((rows + 1, cols + 1), np.bool_)
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            used[down : rows + down, right : cols + right] |= tile.exact == 0
        corners = tile.nodes.reshape(rows + 3, cols + 3, 2)[1:-1, 1:-1][used] / lens[0]
        least = float(1.0 / np.sqrt(1.0 + (corners**2).sum(axis=1).max(initial=0.0)))
        looks = _imaged_in(lens, tile.exact, tile.spacing, row0, col0, n_rows, n_cols)
        least = min(least, float((looks @ turn[2]).min(initial=1.0)))
    return tile, float(np.arccos(np.clip(least, -1.0, 1.0)))


def _turn(
    lens: npt.NDArray[np.float64], row0: int, col0: int, n_rows: int, n_cols: int
) -> npt.NDArray[np.float64] | None:
    """Return the rotation (3, 3) that takes the middle of a tile's directions to Z and its rows along X.

    None where the lens images nothing.
    """
    if lens[14] == ORTHOGRAPHIC:
        return np.eye(3)
    looks = _looks(
        lens, row0 + 0.5, col0 + 0.5, n_rows - 1, n_cols - 1, beyond=False
    )  # of the outermost pixels
    imaged = looks[np.isfinite(looks).all(axis=2)]
    if not len(imaged):
        every = np.ones((1, 1), np.uint8)
        imaged = _imaged_in(lens, every, max(n_rows, n_cols), row0, col0, n_rows, n_cols)
    if not len(imaged):
        return None
    mean = imaged.mean(axis=0)
    length = np.linalg.norm(mean)
    # Directions all around have no middle; any will do, the tile is split.
    axis = mean / length if length > 1e-3 else imaged[0]
    steps = np.diff(looks, axis=1)
    steps = steps[np.isfinite(steps).all(axis=2)]
    along = steps.sum(axis=0) if len(steps) else np.zeros(3)
    along -= (along @ axis) * axis
    if not np.linalg.norm(along) > 1e-9:
        along = np.cross([0.0, 1.0, 0.0] if abs(axis[1]) < 0.9 else [0.0, 0.0, -np.sign(axis[1])], axis)
    across = along / np.linalg.norm(along)
    return np.stack([across, np.cross(axis, across), axis])


def _looks(
    lens: npt.NDArray[np.float64], v0: float, u0: float, height: float, width: float, beyond: bool
) -> npt.NDArray[np.float64]:
    """Return directions (_SAMPLES, _SAMPLES, 3) spread over a rectangle of the image, NaN where nothing is imaged."""
    u, v = np.meshgrid(u0 + np.linspace(0.0, width, _SAMPLES), v0 + np.linspace(0.0, height, _SAMPLES))
    return _look(lens, u.ravel(), v.ravel(), beyond).reshape(_SAMPLES, _SAMPLES, 3)


def _inverse(lens: npt.NDArray[np.float64], tile: TurnedTile) -> Inverse:
    """Return where in the tile's pixels a point of its plane lies, if a polynomial can say so."""
    if tile.turn is None:
        return tile.inverse
    f = lens[0]
    u0, v0 = tile.col0, tile.row0
    if lens[14] == ORTHOGRAPHIC:
        plane = np.array([[u0, v0], [u0 + tile.n_cols, v0 + tile.n_rows]]) - lens[1:3]
    else:
        looks = _looks(lens, v0, u0, tile.n_rows, tile.n_cols, beyond=True).reshape(-1, 3) @ tile.turn.T
        if not (looks[:, 2] > 0.2).all():
            return tile.inverse
        plane = f * looks[:, :2] / looks[:, 2:]
    whole_turn = 2.0 * np.pi * f if lens[14] in (SPHERICAL, CYLINDRICAL) else np.inf
    middle = u0 + 0.5 * tile.n_cols

    def project(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        pixels = np.empty((len(x), 2))
        rays = np.column_stack([x / f, y / f, np.ones(len(x))]) @ tile.turn
        project_directions(rays, lens, pixels)
        pixels[:, 0] -= (
            whole_turn * np.rint((pixels[:, 0] - middle) / whole_turn) if whole_turn < np.inf else 0.0
        )
        return pixels - [u0, v0]

    low, high = plane.min(axis=0), plane.max(axis=0)
    for margin in _MARGINS:
        more = margin * (high - low) + BLOCK_WIDTH
        bounds = np.stack([low - more, high + more], axis=1).ravel()
        inverse = fit_inverse(bounds, project)
        if np.isfinite(inverse.frame[8]):
            break
    return inverse


def _nodes(
    lens: npt.NDArray[np.float64],
    turn: npt.NDArray[np.float64],
    row0: int,
    col0: int,
    n_rows: int,
    n_cols: int,
    spacing: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Return a tile's nodes (rows, cols, 2) in its plane, a node more before and two after, and the cells to iterate."""
    rows, cols = -(-n_rows // spacing), -(-n_cols // spacing)
    u, v = np.meshgrid(
        col0 + (np.arange(cols + 3) - 1.0) * spacing, row0 + (np.arange(rows + 3) - 1.0) * spacing
    )
    allowed = _ANGLE * lens[0]
    if lens[14] == ORTHOGRAPHIC:
        plane = np.stack([u - lens[1], v - lens[2]], axis=-1)
        return plane, (~(interpolation_error(plane) <= allowed)).astype(np.uint8)
    local = _look(lens, u.ravel(), v.ravel(), beyond=True).reshape(*u.shape, 3) @ turn.T
    with np.errstate(invalid="ignore", divide="ignore"):
        plane = np.where(local[..., 2:] > 0.2, lens[0] * local[..., :2] / local[..., 2:], np.nan)
    bad = ~(interpolation_error(plane) <= allowed)
    if lens[14] in (SPHERICAL, CYLINDRICAL):
        # Their formulas go on where nothing is imaged any more.
        u, v = np.minimum(u, col0 + n_cols)[1:-1, 1:-1], np.minimum(v, row0 + n_rows)[1:-1, 1:-1]
        imaged = np.isfinite(_look(lens, u.ravel(), v.ravel(), beyond=False)[:, 0]).reshape(u.shape)
        bad |= ~(imaged[:-1, :-1] & imaged[1:, :-1] & imaged[:-1, 1:] & imaged[1:, 1:])
    return plane, bad.astype(np.uint8)


def _look(
    lens: npt.NDArray[np.float64], u: npt.NDArray[np.float64], v: npt.NDArray[np.float64], beyond: bool
) -> npt.NDArray[np.float64]:
    """Return the directions (n, 3) of pixels, of length 1."""
    found = np.empty((u.size, 3))
    unproject_directions(np.column_stack([u, v]), lens, beyond, found)
    return found


def _imaged_in(
    lens: npt.NDArray[np.float64],
    marked: npt.NDArray[np.uint8],
    spacing: int,
    row0: int,
    col0: int,
    n_rows: int,
    n_cols: int,
) -> npt.NDArray[np.float64]:
    """Return the directions (n, 3) of a tile's pixels in marked cells, those that are imaged."""
    within = np.arange(spacing)
    cells = np.argwhere(marked)[:, :, None] * spacing + within  # (cells, 2, spacing) rows and columns
    v, u = np.broadcast_arrays(cells[:, 0, :, None] + 0.5, cells[:, 1, None, :] + 0.5)
    inside = (v < n_rows) & (u < n_cols)
    looks = _look(lens, col0 + u[inside], row0 + v[inside], beyond=False)
    return looks[np.isfinite(looks).all(axis=1)]


@inner
def _local_ray(u, v, lens, turn):
    """Return the plane pixels of the ray of (u, v) in a tile's own plane; NaN where nothing is imaged."""
    if lens[14] == ORTHOGRAPHIC:
        return u - lens[1], v - lens[2]
    x, y, z = direction_of(u, v, lens, False)
    forward = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
    scale = lens[0] / forward
    return (
        (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z) * scale,
        (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z) * scale,
    )


@lean_kernel
def iterate_directions(
    exact, spacing, lens, turn, nothing, row0, col0, n_rows, n_cols, lattice, pixels, refs, scratch
):  # fmt: skip
    """Replace what ``rays.fill_rays`` has left in a tile's cells marked ``exact`` by rays found pixel by pixel.

    As ``rays.iterate_rays`` does, in the plane of a tile turned by ``turn``; ``exact`` begins with the tile.
    """
    rays = scratch.rays
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    farthest = 0.0
    for index in range(refs.shape[0]):
        first_row = index // blocks_across * BLOCK_HEIGHT
        first_col = index % blocks_across * BLOCK_WIDTH
        if exact[first_row // spacing, first_col // spacing] == 0:
            continue
        for i in range(_N):
            row, col = first_row + i // BLOCK_WIDTH, first_col + i % BLOCK_WIDTH
            x, y = np.nan, np.nan
            if row < n_rows and col < n_cols:
                x, y = _local_ray(col0 + col + 0.5, row0 + row + 0.5, lens, turn)
            rays[0, i], rays[1, i] = x, y
        far = store_rays(rays, nothing, lattice, first_row * STRIDE + first_col, pixels, refs[index])
        farthest = max(farthest, far)
    return farthest
