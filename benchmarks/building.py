"""A seeded building of many rooms seen from within, as a laser scanner would mesh it: many layers behind one another.

Storeys of rooms in a grid, walls with doorways, floors and ceilings, and in the rooms tables, shelves and round things;
every surface is finely meshed and a little uneven. A ray from a room passes through a wall every few metres until it leaves
the building, so that most of what is in the image is hidden. Walls and slabs are closed boxes: of each a ray meets one face
that is turned to the camera.

Coordinates are metres, z up, faces counter-clockwise seen from outside. Run as a program, it prints what the scene is like.
The commonest change is another thing in a room: a function that returns boxes or balls, called in `building`.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

import checking
import depthraster as dr
import harness
from scenes import View, survey_calibration

Array = npt.NDArray[np.float64]
Mesh = tuple[Array, npt.NDArray[np.int32]]

ROOM, HEIGHT, THICK = (6.0, 5.0), 3.2, 0.2  # metres: a room, a storey, walls and slabs
DOOR = (1.0, 2.1)  # metres: width and height


def building(
    n_faces: float = 3e6, rooms: tuple[int, int] = (14, 12), storeys: int = 6, seed: int = 1
) -> Mesh:
    """Return a building of about ``n_faces`` faces.

    Parameters
    ----------
    n_faces : float
        Reached by the size of the meshes' cells.
    rooms : (int, int)
        Along x and y.
    storeys : int
        Above one another.
    seed : int
        The same number gives the same building.
    """
    boxes, balls = _things(rooms, storeys, np.random.default_rng(seed))
    sizes = boxes[:, 1] - boxes[:, 0]
    area = 2.0 * (sizes[:, 0] * sizes[:, 1] + sizes[:, 1] * sizes[:, 2] + sizes[:, 2] * sizes[:, 0]).sum()
    area += (24.0 * balls[:, 3] ** 2).sum()
    cell = np.sqrt(2.0 * area / n_faces)
    rng = np.random.default_rng(seed)
    parts = [_box(low, high, cell, rng) for low, high in boxes]
    parts += [_ball(ball[:3], ball[3], cell, rng) for ball in balls]
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    faces = np.concatenate(
        [faces + start for (_, faces), start in zip(parts, starts[:-1], strict=True)], dtype=np.int32
    )
    return np.concatenate([vertices for vertices, _ in parts]), faces


def _things(rooms: tuple[int, int], storeys: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return boxes (n, 2, 3) from low to high corners, and balls (m, 4): centre and radius."""
    size = np.array(ROOM) * rooms
    boxes: list[tuple[list[float], list[float]]] = []
    balls: list[list[float]] = []
    for storey in range(storeys + 1):
        z = storey * HEIGHT
        boxes.append(
            ([0, 0, z - THICK], [size[0], size[1], z])
        )  # the floor, and the ceiling of the one below
    for storey in range(storeys):
        low, high = storey * HEIGHT, (storey + 1) * HEIGHT - THICK
        for axis in (0, 1):
            for line in range(rooms[axis] + 1):
                for room in range(rooms[1 - axis]):
                    inner = 0 < line < rooms[axis]
                    boxes += _wall(axis, line * ROOM[axis], room * ROOM[1 - axis], low, high, inner, rng)
        for i in range(rooms[0]):
            for j in range(rooms[1]):
                x, y = i * ROOM[0], j * ROOM[1]
                for _ in range(3):  # tables and shelves
                    wide = rng.uniform([0.5, 0.5, 0.7], [1.8, 1.2, 2.2])
                    at = np.array([x, y]) + rng.uniform([0.5, 0.5], np.array(ROOM) - wide[:2] - 0.5)
                    boxes.append(([*at, low + 0.02], [*(at + wide[:2]), low + 0.02 + wide[2]]))
                radius = rng.uniform(0.25, 0.5)
                at = np.array([x, y]) + rng.uniform([1.0, 1.0], np.array(ROOM) - 1.0)
                balls.append([*at, low + 1.0 + radius, radius])
    return np.array(boxes), np.array(balls)


def _wall(
    axis: int, across: float, along: float, low: float, high: float, door: bool, rng: np.random.Generator
) -> list[tuple[list[float], list[float]]]:
    """Return the boxes of a wall between two rooms, across ``axis``: one, or three around a doorway."""
    length = ROOM[1 - axis]

    def box(start: float, end: float, z0: float, z1: float) -> tuple[list[float], list[float]]:
        corner = [[across - 0.5 * THICK, along + start], [across + 0.5 * THICK, along + end]]
        if axis == 1:
            corner = [pair[::-1] for pair in corner]
        return [*corner[0], z0], [*corner[1], z1]

    if not door:
        return [box(0.0, length, low, high)]
    left = rng.uniform(0.6, length - DOOR[0] - 0.6)
    right = left + DOOR[0]
    return [
        box(0.0, left, low, high),
        box(right, length, low, high),
        box(left, right, low + DOOR[1], high),
    ]


def _grid(n: int, m: int) -> npt.NDArray[np.int32]:
    """Return two faces for each of n x m cells of a grid of (n + 1) x (m + 1) vertices."""
    corner = (np.arange(n, dtype=np.int32)[:, None] * (m + 1) + np.arange(m, dtype=np.int32)).ravel()
    along, across = m + 1, 1
    return np.concatenate(
        [
            np.stack([corner, corner + along, corner + along + across], axis=1),
            np.stack([corner, corner + along + across, corner + across], axis=1),
        ]
    )


def _sides(cells: Array) -> list[tuple[Array, npt.NDArray[np.int32], int]]:
    """Return the six sides of the cube from 0 to 1, cut into cells: vertices, faces, and the axis across."""
    sides = []
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        s, t = np.meshgrid(
            np.linspace(0, 1, int(cells[i]) + 1), np.linspace(0, 1, int(cells[j]) + 1), indexing="ij"
        )
        for end in (0.0, 1.0):
            vertices = np.empty((s.size, 3))
            vertices[:, i], vertices[:, j], vertices[:, axis] = s.ravel(), t.ravel(), end
            faces = _grid(int(cells[i]), int(cells[j]))
            sides.append((vertices, faces if end == 1.0 else faces[:, ::-1], axis))
    return sides


def _box(low: Array, high: Array, cell: float, rng: np.random.Generator) -> Mesh:
    """Return a box with uneven sides; their borders are straight, so that it is closed."""
    size = high - low
    parts, n = [], 0
    for vertices, faces, axis in _sides(np.maximum(np.ceil(size / cell), 1)):
        others = [k for k in range(3) if k != axis]
        inside = ((vertices[:, others] > 0) & (vertices[:, others] < 1)).all(axis=1)
        points = low + vertices * size
        points[inside, axis] += rng.normal(0.0, 0.003, inside.sum())
        parts.append((points, faces + n))
        n += len(points)
    return np.concatenate([p for p, _ in parts]), np.concatenate([f for _, f in parts])


def _ball(centre: Array, radius: float, cell: float, rng: np.random.Generator) -> Mesh:
    """Return a bumpy ball."""
    parts, n = [], 0
    bump, phase = rng.normal(size=3) * 5.0, rng.uniform(0.0, 6.0)
    for vertices, faces, _ in _sides(np.full(3, max(2, round(2.0 * radius / cell)))):
        points = np.tan((2.0 * vertices - 1.0) * (np.pi / 4.0))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        points *= radius * (1.0 + 0.08 * np.cos(points @ bump + phase))[:, None]
        parts.append((points + centre, faces + n))
        n += len(points)
    return np.concatenate([p for p, _ in parts]), np.concatenate([f for _, f in parts])


def indoor_views(
    n: int, scale: float = 1.0, rooms: tuple[int, int] = (14, 12), storeys: int = 6, seed: int = 1
) -> tuple[list[Array], dr.Calibration]:
    """Return transforms of ``n`` cameras that stand in rooms of the outer ring and look across the building."""
    rng = np.random.default_rng(seed)
    size = np.array(ROOM) * rooms
    transforms = []
    for _ in range(n):
        room = rng.integers([0, 0, 0], [*rooms, storeys])
        side = rng.integers(4)
        room[side // 2] = 0 if side % 2 == 0 else rooms[side // 2] - 1
        # By the outer wall, and not in a piece of furniture.
        place = np.array(ROOM) * (room[:2] + 0.5)
        place[side // 2] += (-0.5 if side % 2 == 0 else 0.5) * (ROOM[side // 2] - 0.7)
        eye = np.array([*place, room[2] * HEIGHT + 1.6])
        target = np.array([*(0.5 * size + rng.uniform(-0.2, 0.2, 2) * size), eye[2] + rng.uniform(-1.0, 1.0)])
        transforms.append(dr.look_at(eye, target, (0.0, 0.0, 1.0)))
    return transforms, survey_calibration(scale)


def main() -> None:
    """Print what the scene is like."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--faces", type=float, default=3e6, help="faces of the building (default 3e6)")
    parser.add_argument("--views", type=int, default=4, help="views looked at (default 4)")
    parser.add_argument("--picture", help="where to save a picture of the first view")
    arguments = parser.parse_args()
    vertices, faces = building(arguments.faces)
    transforms, calibration = indoor_views(arguments.views)
    extent = np.ptp(vertices, axis=0)
    print(
        f"{len(faces):,} faces, {len(vertices):,} vertices, {extent[0]:.0f} m × {extent[1]:.0f} m × {extent[2]:.0f} m"
    )
    rows = []
    for i, transform in enumerate(transforms):
        layers = checking.depth_complexity(vertices, faces, transform, calibration)
        view = View(vertices, faces, transform, calibration)
        rows.append(
            (str(i), f"{layers.mean():.1f}", str(np.median(layers)), str(layers.min()), str(layers.max()))
        )
        if i == 0 and arguments.picture:
            dr.render(
                (view.vertices, view.faces), view.transform, calibration.scaled(0.1), ("depth", "normal")
            ).picture().save(arguments.picture)
    print("\nfaces turned to the camera that a pixel's ray passes through:\n")
    print(harness.table(("view", "mean", "median", "least", "most"), rows))


if __name__ == "__main__":
    main()
