"""Meshes to be rendered in tests, made from a seed.

Each function returns (vertices (V, 3) float64, faces (F, 3) int64).
Unless it says otherwise a mesh stands in the frame of a camera at the origin that looks along +Z (X right, Y
down), so that a test gets any other position by ``moved``. Front faces are counter-clockwise as the camera
sees them from outside: ``dot(cross(v1 - v0, v2 - v0), camera - v0) > 0``. Nothing here knows of lenses or
rendering.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

Mesh: TypeAlias = tuple[np.ndarray, np.ndarray]


def moved(mesh: Mesh, transform: np.ndarray) -> Mesh:
    """The mesh taken from the camera's frame to the chunk's by a camera -> chunk transform."""
    vertices, faces = mesh
    return vertices @ transform[:3, :3].T + transform[:3, 3], faces


def on_lattice(mesh: Mesh) -> Mesh:
    """The mesh rounded to 2 ** -27 of its extent or a little more, which any lattice holds exactly."""
    vertices, faces = mesh
    bits = 27 - np.ceil(np.log2(np.ptp(vertices, axis=0).max()))
    return np.rint(vertices * 2.0**bits) / 2.0**bits, faces


def joined(*meshes: Mesh) -> Mesh:
    """Several meshes as one, faces in the order given."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in meshes])
    return (
        np.concatenate([vertices for vertices, _ in meshes]),
        np.concatenate([faces + start for (_, faces), start in zip(meshes, starts[:-1], strict=True)]),
    )


def random_transform(rng: np.random.Generator, scale: float = 1.0, spread: float = 10.0) -> np.ndarray:
    """A similarity: a random rotation times ``scale``, a random place within ``spread``."""
    rotation, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation = rotation * np.sign(np.diag(upper))
    if np.linalg.det(rotation) < 0:
        rotation[:, 0] *= -1
    transform = np.eye(4)
    transform[:3, :3] = scale * rotation
    transform[:3, 3] = rng.uniform(-spread, spread, 3)
    return transform


def turned(mesh: Mesh, direction: tuple[float, float, float] | np.ndarray) -> Mesh:
    """The mesh turned about the origin so that what was ahead, along +Z, lies in a direction."""
    ahead = np.asarray(direction, float) / np.linalg.norm(direction)
    across = np.cross(np.eye(3)[np.argmin(np.abs(ahead))], ahead)
    across /= np.linalg.norm(across)
    vertices, faces = mesh
    return vertices @ np.stack([across, np.cross(ahead, across), ahead]), faces


def _as_soup(corners: np.ndarray) -> Mesh:
    return corners.reshape(-1, 3), np.arange(len(corners) * 3).reshape(-1, 3)


def soup(
    rng: np.random.Generator,
    n: int,
    half_field: float | None,
    sizes: tuple[float, float] = (1e-3, 3.0),
    depths: tuple[float, float] = (0.5, 50.0),
) -> Mesh:
    """Unconnected triangles of every scale, some beside, behind or across Z = 0.

    ``sizes`` are in units of their depth (log-uniform);
    ``half_field`` is the tangent of half the field of view that they are strewn over, None for all around.
    """
    depth = np.exp(rng.uniform(np.log(depths[0]), np.log(depths[1]), n))
    centre = _directions(rng, n, half_field, 1.3) * depth[:, None]
    centre[rng.random(n) < 0.05] *= -1
    size = depth * (half_field or 1.0) * np.exp(rng.uniform(np.log(sizes[0]), np.log(sizes[1]), n))
    return _as_soup(centre[:, None] + rng.normal(size=(n, 3, 3)) * size[:, None, None])


def _directions(rng: np.random.Generator, n: int, half_field: float | None, overlap: float) -> np.ndarray:
    """Rays (n, 3) with Z = 1 over a field of view and ``overlap`` times that, or unit vectors all around."""
    if half_field is None:
        every = rng.normal(size=(n, 3))
        return every / np.linalg.norm(every, axis=1)[:, None]
    return np.concatenate([rng.uniform(-overlap, overlap, (n, 2)) * half_field, np.ones((n, 1))], axis=1)


def slivers(rng: np.random.Generator, n: int, half_field: float | None) -> Mesh:
    """Long triangles whose third corner is 1e-2 ... 1e-9 of their length off the line of the others."""
    a = _in_view(rng, n, half_field)
    b = _in_view(rng, n, half_field)
    length = np.linalg.norm(b - a, axis=1)
    off = rng.normal(size=(n, 3)) * (length * 10 ** rng.uniform(-9, -2, n))[:, None]
    c = a + (b - a) * rng.uniform(0, 1, (n, 1)) + off
    return _as_soup(np.stack([a, b, c], axis=1))


def needles(rng: np.random.Generator, n: int, half_field: float | None) -> Mesh:
    """Long triangles with one edge 1e-2 ... 1e-9 of their length."""
    a = _in_view(rng, n, half_field)
    b = _in_view(rng, n, half_field)
    length = np.linalg.norm(b - a, axis=1)
    c = b + rng.normal(size=(n, 3)) * (length * 10 ** rng.uniform(-9, -2, n))[:, None]
    return _as_soup(np.stack([a, b, c], axis=1))


def _in_view(rng: np.random.Generator, n: int, half_field: float | None) -> np.ndarray:
    depth = np.exp(rng.uniform(np.log(1), np.log(50), n))
    return _directions(rng, n, half_field, 1.1) * depth[:, None]


def crossers(rng: np.random.Generator, n: int, half_field: float) -> Mesh:
    """Triangles with one or two corners behind the camera, many of them passing close to it."""
    corners = rng.normal(size=(n, 3, 3)) * np.exp(rng.uniform(np.log(0.1), np.log(20), (n, 1, 1)))
    corners[:, 0, 2] = np.abs(corners[:, 0, 2])
    corners[:, 1, 2] = -np.abs(corners[:, 1, 2])
    corners[:, 0, :2] *= half_field
    return _as_soup(corners)


def fan(n: int, centre: tuple[float, float, float], radius: float, wobble: float = 0.0) -> Mesh:
    """A closed fan of n triangles round ``centre``, facing the camera, its rim ``wobble`` up and down."""
    angle = 2 * np.pi * np.arange(n) / n
    outer = np.stack([radius * np.cos(angle), -radius * np.sin(angle), wobble * np.sin(5 * angle)], axis=1)
    vertices = np.concatenate([[centre], np.asarray(centre) + outer])
    spoke = np.arange(n)
    return vertices, np.stack([np.zeros(n, int), spoke + 1, (spoke + 1) % n + 1], axis=1)


def grid(nx: int, ny: int, low: tuple[float, float], high: tuple[float, float]) -> Mesh:
    """A flat sheet at Z = 0 over [low, high] in X and Y, its front towards -Z."""
    x, y = np.meshgrid(np.linspace(low[0], high[0], nx + 1), np.linspace(low[1], high[1], ny + 1))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    corner = (np.arange(ny)[:, None] * (nx + 1) + np.arange(nx)).ravel()
    right, below = corner + 1, corner + nx + 1
    faces = np.stack([corner, below, below + 1, corner, below + 1, right], axis=1).reshape(-1, 3)
    return vertices, faces


def terrain(rng: np.random.Generator, nx: int, ny: int, size: float, depth: float, relief: float) -> Mesh:
    """A hilly sheet ``size`` wide, centred at ``depth`` before a camera that looks straight at it."""
    vertices, faces = grid(nx, ny, (-size / 2, -size / 2), (size / 2, size / 2))
    x, y = vertices[:, 0] / size, vertices[:, 1] / size
    height = sum(
        np.sin(2 * np.pi * (rng.integers(-n, n + 1) * x + rng.integers(-n, n + 1) * y) + rng.uniform(0, 7))
        / n
        for n in (1, 2, 3, 5, 8, 13, 21)
    )
    vertices[:, 2] = depth + relief / 3 * height + rng.normal(size=len(x)) * relief * 0.1 / max(nx, ny)
    return vertices, faces


def icosphere(level: int, radius: float = 1.0, inward: bool = False) -> Mesh:
    """A closed sphere of 20 * 4 ** level triangles about the origin, its front outside or inside."""
    golden = (1 + 5**0.5) / 2
    corners = [(-1, golden, 0), (1, golden, 0), (-1, -golden, 0), (1, -golden, 0)]
    vertices = np.array(
        corners + [(z, x, y) for x, y, z in corners] + [(y, z, x) for x, y, z in corners], float
    )
    distance = np.linalg.norm(vertices[:, None] - vertices[None], axis=2)
    near = np.isclose(distance, 2)
    triples = [
        (a, b, c)
        for a in range(12)
        for b in range(a, 12)
        for c in range(b, 12)
        if near[a, b] and near[b, c] and near[a, c]
    ]
    faces = np.array(triples)
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    wrong = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    faces[wrong] = faces[wrong][:, ::-1]
    vertices /= np.linalg.norm(vertices, axis=1)[:, None]
    for _ in range(level):
        vertices, faces = _split_in_four(vertices, faces)
    return vertices * radius, faces[:, ::-1].copy() if inward else faces


def _split_in_four(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    start, end = faces, faces[:, [1, 2, 0]]
    key = np.minimum(start, end) * len(vertices) + np.maximum(start, end)
    unique, which = np.unique(key, return_inverse=True)
    middle = vertices[unique // len(vertices)] + vertices[unique % len(vertices)]
    middle /= np.linalg.norm(middle, axis=1)[:, None]
    ab, bc, ca = (which.reshape(-1, 3) + len(vertices)).T
    a, b, c = faces.T
    split = np.stack([a, ab, ca, b, bc, ab, c, ca, bc, ab, bc, ca], axis=1).reshape(-1, 3)
    return np.concatenate([vertices, middle]), split


def box_room(n: int, size: tuple[float, float, float] = (4.0, 3.0, 5.0)) -> Mesh:
    """A closed box about the origin, each side n x n squares, its front inside."""
    square, faces = grid(n, n, (-0.5, -0.5), (0.5, 0.5))
    sides = []
    for axis in range(3):
        for sign in (-1, 1):
            vertices = np.empty_like(square)
            vertices[:, (axis + 1) % 3], vertices[:, (axis + 2) % 3] = square[:, 0], square[:, 1]
            vertices[:, axis] = 0.5 * sign
            sides.append((vertices * size, faces if sign > 0 else faces[:, ::-1]))
    vertices, faces = joined(*sides)
    vertices, which = np.unique(vertices, axis=0, return_inverse=True)
    return vertices, which.reshape(-1)[faces]


def with_duplicates(mesh: Mesh, rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """The faces and their copies, rotated and reversed too, all shuffled; and each one's number before."""
    vertices, faces = mesh
    more = np.concatenate([faces, faces, faces[:, [1, 2, 0]], faces[:, ::-1]])
    origin = np.tile(np.arange(len(faces)), 4)
    order = rng.permutation(len(more))
    return (vertices, more[order]), origin[order]


def aligned_grid(
    width: int, height: int, f: float, depth: float, step: int, rng: np.random.Generator | None = None
) -> Mesh:
    """A sheet over the whole image of a pinhole camera whose vertices project exactly onto pixel centres.

    Exactly so when ``f`` and ``depth`` are powers of two. With ``rng`` each vertex slides along its ray to
    half, the same or twice the depth, which keeps it on its pixel centre; otherwise the sheet is flat.
    """
    nx, ny = width // step + 2, height // step + 2
    u, v = np.meshgrid((np.arange(nx + 1) - 1) * step + 0.5, (np.arange(ny + 1) - 1) * step + 0.5)
    z = np.full(u.shape, float(depth))
    if rng is not None:
        z *= 2.0 ** rng.integers(-1, 2, u.shape)
    vertices = np.stack([(u - width / 2) / f * z, (v - height / 2) / f * z, z], axis=-1).reshape(-1, 3)
    return vertices, grid(nx, ny, (0, 0), (1, 1))[1]


def huge_face(rng: np.random.Generator, depth: float, reach: float) -> Mesh:
    """One tilted triangle round the axis, its corners ``reach`` times the depth away, facing the camera."""
    angle = rng.uniform(0, 2 * np.pi) - 2 * np.pi / 3 * np.arange(3)
    x, y = reach * depth * np.cos(angle), reach * depth * np.sin(angle)
    tilt = rng.uniform(-0.6, 0.6, 2) / reach
    return np.stack([x, y, depth + tilt[0] * x + tilt[1] * y], axis=1), np.array([[0, 1, 2]])
