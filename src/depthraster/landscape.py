"""A landscape with a village as a triangle mesh, the ground that the demo's survey flies over.

Coordinates are metres, x east, y north, z up; faces are counter-clockwise seen from outside. Everything
follows from one seed. Cameras, files and pictures are ``demo.py``'s. The commonest change is another kind
of thing on the ground: a function that returns (vertices, faces) from `prism` and `joined`, called in
`landscape`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["landscape"]

Array: TypeAlias = npt.NDArray[np.float64]
Mesh: TypeAlias = tuple[Array, npt.NDArray[np.int64]]

_COLUMNS, _ROWS = 480, 400  # of the ground's grid
_REACH, _BEND = 165.0, 1.65  # the grid is fine in the middle and coarse outside: x = reach * sinh(bend * s)
_WATER = -2.2  # metres, the river's surface
_VILLAGE = (-8.0, 52.0, 62.0)  # x, y and radius


def landscape(seed: int = 7) -> Mesh:
    """Return vertices (V, 3) and faces (F, 3) of hills, fields, a river, a road, houses and trees."""
    rng = np.random.default_rng(seed)
    ground = _Ground(rng)
    houses, footprints = _houses(rng, ground)
    church = _church(ground, 14.0, 58.0)
    return joined(
        ground.mesh(),
        *houses,
        church,
        _bridge(ground),
        _trees(rng, ground, np.vstack([footprints, [(14.0, 58.0, 17.0)]])),
    )


def joined(*meshes: Mesh) -> Mesh:
    """Return several meshes as one."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in meshes])
    return (
        np.concatenate([vertices for vertices, _ in meshes]),
        np.concatenate([faces + start for (_, faces), start in zip(meshes, starts, strict=False)]),
    )


def prism(outline: npt.ArrayLike, x0: float, x1: float, quads: list[tuple[int, ...]]) -> Mesh:
    """Return the solid that a polygon in the y-z plane sweeps from x0 to x1.

    The outline (n, 2) goes counter-clockwise seen from +x; ``quads`` cut it into convex polygons, by corner
    numbers.
    """
    outline = np.asarray(outline, float)
    n = len(outline)
    vertices = np.concatenate([np.column_stack([np.full(n, x), outline]) for x in (x0, x1)])
    faces = []
    for i in range(n):
        j = (i + 1) % n
        faces += [(i, j, n + j), (i, n + j, n + i)]
    for polygon in quads:
        for b, c in pairwise(polygon[1:]):
            faces += [(polygon[0], c, b), (n + polygon[0], n + b, n + c)]
    return vertices, np.array(faces)


def box(low: npt.ArrayLike, high: npt.ArrayLike) -> Mesh:
    """Return the box between two corners."""
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
    return prism([(y0, z0), (y1, z0), (y1, z1), (y0, z1)], x0, x1, [(0, 1, 2, 3)])


def spire(half: float, z0: float, z1: float) -> Mesh:
    """Return a pyramid over the square of side 2 * half around the origin."""
    base = half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    vertices = np.vstack([np.column_stack([base, np.full(4, z0)]), [(0, 0, z1)]])
    return vertices, np.array([(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4), (0, 2, 1), (0, 3, 2)])


def placed(mesh: Mesh, x: float, y: float, z: float, heading: float) -> Mesh:
    """Return a mesh turned by ``heading`` radians about z and moved."""
    c, s = np.cos(heading), np.sin(heading)
    turn = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
    return mesh[0] @ turn.T + (x, y, z), mesh[1]


def _step(low: float, high: float, x: Array) -> Array:
    """Return 0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _river(x: Array) -> Array:
    y: Array = -22 + 20 * np.sin(x / 58) + 9 * np.sin(x / 23 + 1.3)
    return y


def _road(y: Array) -> Array:
    x: Array = -10 + 17 * np.sin(y / 46 + 0.4) + 5 * np.sin(y / 17)
    return x


class _Ground:
    """The height of the ground anywhere, and its mesh."""

    def __init__(self, rng: np.random.Generator) -> None:
        angles = rng.uniform(0, 2 * np.pi, (9, 64, 64))
        self._gradients = np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    def _noise(self, octave: int, x: Array, y: Array) -> Array:
        """Gradient noise of about -0.7 ... 0.7 (Perlin, Improving Noise, 2002), of period 64 cells."""
        gradients = self._gradients[octave]
        i, j = np.floor(x).astype(int), np.floor(y).astype(int)
        fx, fy = x - i, y - j
        u, v = (t * t * t * (t * (t * 6 - 15) + 10) for t in (fx, fy))
        total = np.zeros_like(x)
        for di, dj in ((0, 0), (1, 0), (0, 1), (1, 1)):
            g = gradients[(i + di) % 64, (j + dj) % 64]
            weight = (u if di else 1 - u) * (v if dj else 1 - v)
            total += weight * (g[..., 0] * (fx - di) + g[..., 1] * (fy - dj))
        return total

    def _wild(self, x: Array, y: Array) -> Array:
        """Return the hills as nature left them: fractal noise, ridged far out, and a valley."""
        x, y = x + 9 * self._noise(7, x / 31, y / 31), y + 9 * self._noise(8, x / 31, y / 31)
        rolling = sum(0.5**k * self._noise(k, x * 2**k / 110 + 7.3 * k, y * 2**k / 110) for k in range(7))
        ridged = sum(
            0.5**k * (0.5 - abs(self._noise(6 - k, x * 2**k / 240 + 3, y * 2**k / 240))) for k in range(6)
        )
        away = np.abs(y - _river(x))
        outside = _step(120, 420, np.hypot(x, 1.15 * y))
        return (
            2.5
            + 13 * rolling * _step(4, 90, away)
            + 11 * _step(20, 150, away)
            + outside * _step(15, 130, away) * (20 + 85 * ridged)
        )

    def height(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
        """Return z at (x, y), arrays of one shape."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        z = self._wild(x, y)
        vx, vy, radius = _VILLAGE
        green = 4.2 + 0.035 * (y - vy) + 0.25 * self._noise(2, x / 9, y / 9)
        z += (green - z) * (1 - _step(0.75 * radius, 1.5 * radius, np.hypot(x - vx, y - vy)))
        z = self._ploughed(z, x, y)
        # The road lies on a bank of its own: level across, and smooth along.
        off, along = np.abs(x - _road(y)), np.abs(y - _river(x))
        bed = 0.5 * (self._wild(_road(y), y) + green) * 0.35 + 0.65 * z
        z += (bed + 0.5 - z) * (1 - _step(2.4, 5.5, off)) * (1 - _step(90, 160, np.abs(y - 20)))
        # The river: steep banks, flat water.
        z += (_WATER - 1.5 - z) * (1 - _step(3, 13, along))
        return np.maximum(z, _WATER)

    def _ploughed(self, z: Array, x: Array, y: Array) -> Array:
        """Add furrows to some fields."""
        for cx, cy, turn, wide, deep, period in (
            (62, -62, 0.3, 34, 22, 5.2),
            (-66, -66, -0.5, 38, 20, 6.4),
            (84, 18, 1.25, 26, 21, 4.8),
            (-92, 26, 0.15, 24, 30, 5.6),
        ):
            c, s = np.cos(turn), np.sin(turn)
            u, v = c * (x - cx) + s * (y - cy), c * (y - cy) - s * (x - cx)
            inside = (1 - _step(wide - 3, wide, np.abs(u))) * (1 - _step(deep - 3, deep, np.abs(v)))
            z = z + inside * (0.45 * np.sin(2 * np.pi * v / period) - 0.3)
        return z

    def mesh(self) -> Mesh:
        s, t = np.linspace(-1, 1, _COLUMNS), np.linspace(-1, 1, _ROWS)
        x, y = np.meshgrid(_REACH * np.sinh(_BEND * s), 0.9 * _REACH * np.sinh(_BEND * t))
        corner = np.arange(_ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS)
        a, b, c, d = (
            part.ravel() for part in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1])
        )
        faces = np.stack([a, b, c, a, c, d], axis=1).reshape(-1, 3)
        return np.column_stack([x.ravel(), y.ravel(), self.height(x, y).ravel()]), faces


def _house(length: float, width: float, eaves: float, ridge: float) -> Mesh:
    """Return a house around the origin, its ridge along x, its foot below the ground for slopes."""
    w, over, thick = width / 2, 0.45, 0.25
    wall = [(-w, -3), (w, -3), (w, eaves), (0, ridge), (-w, eaves)]
    low = eaves - over * (ridge - eaves) / w
    outer = w + over
    roof = [
        (outer, low),
        (outer, low + thick),
        (0, ridge + thick),
        (-outer, low + thick),
        (-outer, low),
        (0, ridge),
    ]
    chimney = placed(box((-0.4, -0.4, eaves), (0.4, 0.4, ridge + 0.9)), length / 4, width / 7, 0, 0)
    return joined(
        prism(wall, -length / 2, length / 2, [(0, 1, 2, 3, 4)]),
        prism(roof, -length / 2 - over, length / 2 + over, [(0, 1, 2, 5), (5, 2, 3, 4)]),
        chimney,
    )


def _houses(rng: np.random.Generator, ground: _Ground) -> tuple[list[Mesh], Array]:
    """Return houses along the road and along two lanes, and their places (n, 3): x, y, radius."""
    wanted: list[tuple[float, float, float]] = [
        (float(_road(np.array(y))) + side * 11.5, float(y), 0.5 * np.pi)
        for y in np.arange(8, 108, 15.5)
        for side in (-1, 1)
    ]
    wanted += [(x, 48 + side * 10 + 0.1 * x, 0.1) for x in (-62, -46, -30, 34, 50, 66) for side in (-1, 1)]
    wanted += [(x, 88 - side * 9.5 - 0.05 * x, -0.05) for x in (-48, -32, 26, 42) for side in (-1, 1)]
    wanted += [(-78, -24, 0.6), (-66, -33, 2.17), (58, -14, 0.2), (106, 52, 1.1)]  # farms
    houses, places = [], [(14.0, 58.0, 17.0)]  # the church's place is taken
    for x, y, heading in wanted:
        x, y = x + rng.normal(0, 0.8), y + rng.normal(0, 0.8)
        length, width = rng.uniform(9, 14), rng.uniform(7, 9)
        radius = 0.6 * length
        taken = any(np.hypot(x - px, y - py) < radius + pr for px, py, pr in places)
        if taken or abs(y - _river(np.array(x))) < 16 or abs(x - _road(np.array(y))) < 5 + width / 2:
            continue
        eaves = rng.choice([3.0, 5.4])
        house = _house(length, width, eaves, eaves + width * rng.uniform(0.38, 0.5))
        houses.append(placed(house, x, y, float(ground.height(x, y)), heading + rng.normal(0, 0.06)))
        places.append((x, y, radius))
    return houses, np.array(places)


def _church(ground: _Ground, x: float, y: float) -> Mesh:
    nave = _house(21, 10, 7.5, 13.5)
    tower = joined(box((-3, -3, -3), (3, 3, 20)), placed(spire(3.5, 20, 33), 0, 0, 0, 0))
    church = joined(
        nave, placed(tower, -12, 0, 0, 0), placed(box((-2, -4, -3), (2, 4, 6)), 5, 0, 0, 0.5 * np.pi)
    )
    return placed(church, x, y, float(ground.height(x, y)), 0.12)


def _bridge(ground: _Ground) -> Mesh:
    """Return a bridge where the road meets the river."""
    y = 0.0
    for _ in range(50):  # the meeting point; both curves are gentle there
        y = 0.5 * y + 0.5 * float(_river(_road(np.array(y))))
    x = float(_road(np.array(y)))
    slope = float(_road(np.array(y + 1)) - _road(np.array(y - 1))) / 2
    bank = max(float(ground.height(_road(np.array(y + side)), np.array(y + side))) for side in (-13.0, 13.0))
    deck = joined(
        box((-16, -2.6, -0.9), (16, 2.6, 0)),
        box((-16, -2.9, -0.9), (16, -2.6, 1)),
        box((-16, 2.6, -0.9), (16, 2.9, 1)),
        *(box((at - 0.7, -2.2, -9), (at + 0.7, 2.2, -0.9)) for at in (-4.5, 4.5)),
    )
    return placed(deck, x, y, bank + 0.1, 0.5 * np.pi - np.arctan(slope))


def _crown(pointed: bool) -> Mesh:
    """Return a tree's crown of unit radius and height over the origin: a cone of stages, or an egg."""
    around = 9 if pointed else 12
    if pointed:
        rings = [(0.0, 0.10), (0.9, 0.16), (0.5, 0.48), (0.66, 0.46), (0.3, 0.76), (0.4, 0.74), (0.0, 1.0)]
    else:
        angle = np.linspace(-0.5, 0.5, 7) * np.pi
        rings = [(np.cos(a) * (1 - 0.12 * np.sin(a)), 0.56 + 0.44 * np.sin(a)) for a in angle]
    turns = 2 * np.pi * np.arange(around) / around
    vertices = np.array([(r * np.cos(t), r * np.sin(t), z) for r, z in rings[1:-1] for t in turns])
    vertices = np.vstack([vertices, [(0, 0, rings[0][1]), (0, 0, rings[-1][1])]])
    faces = []
    for ring in range(len(rings) - 3):
        for i in range(around):
            a, b = ring * around + i, ring * around + (i + 1) % around
            faces += [(a, b, b + around), (a, b + around, a + around)]
    bottom, top = len(vertices) - 2, len(vertices) - 1
    last = (len(rings) - 3) * around
    for i in range(around):
        j = (i + 1) % around
        faces += [(bottom, j, i), (top, last + i, last + j)]
    return vertices, np.array(faces)


def _trees(rng: np.random.Generator, ground: _Ground, places: Array) -> Mesh:
    """Return woods, gardens and rows along the river, clear of houses and of the road."""
    wood = np.column_stack([rng.uniform(-165, 165, 2600), rng.uniform(-150, 150, 2600)])
    keep = ground._noise(1, wood[:, 0] / 55 + 11, wood[:, 1] / 55) > 0.16
    keep &= np.hypot(wood[:, 0] - _VILLAGE[0], wood[:, 1] - _VILLAGE[1]) > 1.15 * _VILLAGE[2]
    gardens = np.array(_VILLAGE[:2]) + rng.normal(0, 40, (110, 2))
    along = np.linspace(-150, 150, 64)
    bank = np.column_stack([along, _river(along) + rng.choice([-13.0, 13.0], 64)]) + rng.normal(
        0, 1.2, (64, 2)
    )
    at = np.vstack([wood[keep], gardens, bank])
    far = np.hypot(at[:, None, 0] - places[:, 0], at[:, None, 1] - places[:, 1]) > places[:, 2] + 2.5
    clear = (
        far.all(axis=1) & (np.abs(at[:, 0] - _road(at[:, 1])) > 7) & (np.abs(at[:, 1] - _river(at[:, 0])) > 9)
    )
    at = at[clear]
    pointed = rng.random(len(at)) < np.where(np.arange(len(at)) < keep.sum(), 0.55, 0.1)
    meshes = []
    for kind in (True, False):
        base, faces = _crown(kind)
        here = at[pointed == kind]
        n = len(here)
        wide = rng.uniform(1.7, 2.7, n) if kind else rng.uniform(2.0, 3.8, n)
        high = wide * (rng.uniform(3.0, 4.4, n) if kind else rng.uniform(1.9, 2.5, n))
        turn = rng.uniform(0, 2 * np.pi, n)
        bumps = rng.uniform(0.88, 1.10, (n, len(base), 1))
        c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
        round_ = base * np.concatenate([bumps, bumps, np.ones_like(bumps)], axis=2)
        x = wide[:, None] * (c * round_[..., 0] - s * round_[..., 1]) + here[:, :1]
        y = wide[:, None] * (s * round_[..., 0] + c * round_[..., 1]) + here[:, 1:]
        z = high[:, None] * round_[..., 2] + ground.height(here[:, 0], here[:, 1])[:, None]
        starts = len(base) * np.arange(n)[:, None, None]
        meshes.append((np.stack([x, y, z], axis=2).reshape(-1, 3), (faces + starts).reshape(-1, 3)))
    return joined(*meshes)
