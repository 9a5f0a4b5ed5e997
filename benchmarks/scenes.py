"""Seeded scenes for the benchmarks: terrains, survey views, sheets of triangles of one size.

Every function is deterministic in its arguments, needs no files, and returns plain arrays: vertices (V, 3)
float64 in metres, faces (F, 3) int32 wound counter-clockwise as seen from above. Timing is ``harness.py``'s.
The commonest change is a new view: a function that returns a `View`.

Run as a program, it prints what the scenes are like.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import depthraster as dr

Array = npt.NDArray[np.float64]

UTM_ORIGIN = (500_000.0, 4_500_000.0, 300.0)  # metres: an easting, a northing and a height


class View(NamedTuple):
    """A mesh and a camera to look at it with."""

    vertices: Array  # (V, 3) metres
    faces: npt.NDArray[np.int32]  # (F, 3)
    transform: Array  # (4, 4) chunk_from_camera
    calibration: dr.Calibration


def survey_calibration(scale: float = 1.0) -> dr.Calibration:
    """Return the lens of the survey view: 6000 × 4000 pixels, f = 4100, with k1–k3, p1, p2, b1, b2, cx, cy.

    The polynomial grows far beyond the image's corner (r = 0.9): its derivative along a radius,
    1 − 0.18 r² + 0.225 r⁴ − 0.084 r⁶, first vanishes at r = 1.8.
    """
    calibration = dr.Calibration(
        6000,
        4000,
        4100.0,
        cx=23.4,
        cy=-31.7,
        k1=-0.06,
        k2=0.045,
        k3=-0.012,
        p1=4e-4,
        p2=-3e-4,
        b1=1.7,
        b2=-0.9,
    )
    return calibration if scale == 1.0 else calibration.scaled(scale)


def terrain(
    n_faces: int,
    size: tuple[float, float] = (150.0, 100.0),
    relief: float = 5.0,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    shuffle: bool = False,
    seed: int = 1,
) -> tuple[Array, npt.NDArray[np.int32]]:
    """Return an irregular terrain mesh over a rectangle, without holes or overhangs.

    Parameters
    ----------
    n_faces : int
        About how many faces; a grid of cells with two faces each comes closest to it.
    size : (float, float)
        Extent along X and Y, metres, centred on the origin.
    relief : float
        Heights lie within ± this many metres of the origin.
    origin : (float, float, float)
        Where the middle is, metres.
    shuffle : bool
        Put the faces into random order, as some exporters do; otherwise they follow the rows of the grid.
    seed : int
        The same number gives the same terrain, whatever the number of faces.
    """
    cells_x = max(1, round(np.sqrt(n_faces / 2.0 * size[0] / size[1])))
    cells_y = max(1, round(n_faces / 2.0 / cells_x))
    rng = np.random.default_rng(seed)
    s = np.linspace(0.0, 1.0, cells_x + 1)
    t = np.linspace(0.0, 1.0, cells_y + 1)
    heights = _fractal(s, t, rng)
    heights *= relief / np.abs(heights).max()

    vertices = np.empty((cells_y + 1, cells_x + 1, 3))
    vertices[..., 0] = (s - 0.5) * size[0]
    vertices[..., 1] = (t[:, None] - 0.5) * size[1]
    vertices[..., 2] = heights
    # A fifth of a cell either way makes the triangles irregular and cannot turn one over.
    for axis, cell in ((0, size[0] / cells_x), (1, size[1] / cells_y)):
        vertices[1:-1, 1:-1, axis] += rng.uniform(-0.2 * cell, 0.2 * cell, (cells_y - 1, cells_x - 1))
    vertices += origin

    faces = _grid_faces(cells_x, cells_y)
    if shuffle:
        rng.shuffle(faces)
    return vertices.reshape(-1, 3), faces


def _grid_faces(cells_x: int, cells_y: int) -> npt.NDArray[np.int32]:
    """Return two faces for each cell of a grid of vertices, counter-clockwise where rows go along Y."""
    row = np.arange(cells_y, dtype=np.int32)[:, None] * (cells_x + 1)
    corner = (row + np.arange(cells_x, dtype=np.int32)).ravel()
    up = cells_x + 1  # to the vertex one row further along Y
    faces = np.empty((2 * len(corner), 3), np.int32)
    faces[0::2] = np.stack([corner, corner + 1, corner + up + 1], axis=1)
    faces[1::2] = np.stack([corner, corner + up + 1, corner + up], axis=1)
    return faces


def _fractal(s: Array, t: Array, rng: np.random.Generator, octaves: int = 9) -> Array:
    """Return value noise over a grid, (len(t), len(s)).

    Smooth random hills; each octave is half as wide and half as high as the one before.
    """
    total = np.zeros((len(t), len(s)))
    for octave in range(octaves):
        n = 3 * 2**octave
        nodes = rng.uniform(-1.0, 1.0, (n + 1, n + 1))
        total += 0.5**octave * _smooth(_smooth(nodes, t).T, s).T
    return total


def _smooth(nodes: Array, at: Array) -> Array:
    """Interpolate rows of ``nodes`` at places 0 to 1, with slopes of zero at the nodes."""
    place = at * (len(nodes) - 1)
    first = np.minimum(place.astype(np.int64), len(nodes) - 2)
    part = place - first
    part = (part * part * (3.0 - 2.0 * part))[:, None]
    mixed: Array = nodes[first] * (1.0 - part) + nodes[first + 1] * part
    return mixed


def nadir_transform(x: float, y: float, z: float) -> Array:
    """Return chunk_from_camera of a camera that looks straight down, its X axis along the chunk's X."""
    transform = np.diag([1.0, -1.0, -1.0, 1.0])
    transform[:3, 3] = x, y, z
    return transform


def survey_view(n_faces: int, scale: float = 1.0, shuffle: bool = False, seed: int = 1) -> View:
    """Return the main benchmark: a nadir photo of a terrain that just fills it, from 100 m above its middle.

    At full scale it is 24 megapixels; the terrain is as large as the image's footprint on the lowest ground,
    so about nine in ten faces are in the image.
    """
    height, relief = 100.0, 4.0
    calibration = survey_calibration(scale)
    corners = _border_rays(calibration) * (height + relief)
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = 1.001 * (high - low)
    vertices, faces = terrain(n_faces, (size[0], size[1]), relief, shuffle=shuffle, seed=seed)
    middle = 0.5 * (low + high)
    # The principal point is not in the middle of the image; the image's Y axis points to the chunk's −Y.
    return View(vertices, faces, nadir_transform(-middle[0], middle[1], height), calibration)


class Flight(NamedTuple):
    """A mesh and many views of it, through one lens."""

    vertices: Array  # (V, 3) metres
    faces: npt.NDArray[np.int32]  # (F, 3)
    transforms: Array  # (n, 4, 4) chunk_from_camera
    calibration: dr.Calibration


def survey_flight(
    n_faces: int, n_views: int = 100, scale: float = 1.0, share: float = 0.03, seed: int = 1
) -> Flight:
    """Return photos taken in strips over a terrain of which each sees about ``share``.

    They look straight down from 100 m above the middle of the relief, but for up to 3 degrees each way, as photos of a
    drone do, and are turned about by half a circle from strip to strip.
    """
    height, relief = 100.0, 4.0
    calibration = survey_calibration(scale)
    corners = _border_rays(calibration) * height
    footprint = corners.max(axis=0) - corners.min(axis=0)
    size = footprint / np.sqrt(share)
    vertices, faces = terrain(n_faces, (size[0], size[1]), relief, seed=seed)
    rng = np.random.default_rng(seed)
    strips = max(1, round(np.sqrt(n_views * footprint[0] / footprint[1] * size[1] / size[0])))
    transforms = np.empty((n_views, 4, 4))
    for i in range(n_views):
        strip, along = divmod(i, -(-n_views // strips))
        place = np.array([along / max(-(-n_views // strips) - 1, 1), strip / max(strips - 1, 1)]) - 0.5
        # As far out as the footprint, tilted and turned, stays on the terrain.
        x, y = place * (size - 1.1 * footprint.max() - 0.12 * height)
        turn = np.diag([1.0, 1.0, 1.0]) if strip % 2 == 0 else np.diag([-1.0, -1.0, 1.0])
        about_x, about_y = np.radians(rng.uniform(-3.0, 3.0, 2))
        tilt_x = np.array(
            [[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]]
        )
        tilt_y = np.array(
            [[np.cos(about_y), 0, np.sin(about_y)], [0, 1, 0], [-np.sin(about_y), 0, np.cos(about_y)]]
        )
        transforms[i] = nadir_transform(x, y, height)
        transforms[i, :3, :3] = transforms[i, :3, :3] @ turn @ tilt_x @ tilt_y
    return Flight(vertices, faces, transforms, calibration)


def _border_rays(calibration: dr.Calibration) -> Array:
    """Return X/Z and Y/Z along the outer edge of the image, (N, 2)."""
    u = np.linspace(0.0, calibration.width, 257)
    v = np.linspace(0.0, calibration.height, 257)
    border = np.concatenate(
        [np.stack([u, np.full_like(u, end)], 1) for end in (v[0], v[-1])]
        + [np.stack([np.full_like(v, end), v], 1) for end in (u[0], u[-1])]
    )
    rays: Array = calibration.unproject(border)[:, :2]
    return rays


def far_corner_view(n_faces: int, scale: float = 1.0, tilt: float = 0.0, seed: int = 1) -> View:
    """Return a UTM terrain of 10 km × 10 km seen from 60 m above the ground near its north-eastern corner.

    The corner is 7 km from the middle, where coordinates relative to the scene in float32 step by 0.5 mm.
    ``tilt`` degrees from straight down turn the view towards the middle.
    """
    vertices, faces = terrain(n_faces, (10_000.0, 10_000.0), 80.0, UTM_ORIGIN, seed=seed)
    ground = vertices[
        np.argmin(np.abs(vertices[:, :2] - (UTM_ORIGIN[0] + 4900.0, UTM_ORIGIN[1] + 4900.0)).sum(axis=1))
    ]
    angle = np.radians(tilt)
    forward = np.array([-np.sin(angle) / np.sqrt(2.0), -np.sin(angle) / np.sqrt(2.0), -np.cos(angle)])
    right = np.array([-1.0, 1.0, 0.0]) / np.sqrt(2.0)  # level, and to the right when looking south-west
    transform = np.eye(4)
    transform[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    transform[:3, 3] = ground + (0.0, 0.0, 60.0)
    return View(vertices, faces, transform, survey_calibration(scale))


def sheet_view(leg: float, width: int = 1920, height: int = 1080, seed: int = 1) -> View:
    """Return a wall of right-angled triangles with legs of ``leg`` pixels that fills a pinhole image.

    Depths vary a little, so that no plane is like its neighbour's. Pixel units: the wall is f metres away, so
    a metre is a pixel.
    """
    f = float(width)
    cells_x, cells_y = int(np.ceil(width / leg)) + 1, int(np.ceil(height / leg)) + 1
    rng = np.random.default_rng(seed)
    vertices = np.empty((cells_y + 1, cells_x + 1, 3))
    # Half a cell and a bit beyond the border: grid lines do not run along pixel centres.
    vertices[..., 0] = (np.arange(cells_x + 1) - 0.37) * leg - 0.5 * width
    vertices[..., 1] = 0.5 * height - (np.arange(cells_y + 1)[:, None] - 0.41) * leg
    vertices[..., 2] = 0.0
    distance = f * (1.0 + 0.01 * rng.uniform(-1.0, 1.0, vertices.shape[:2]))
    vertices[..., :2] *= (distance / f)[..., None]
    vertices[..., 2] = -distance
    faces = np.ascontiguousarray(
        _grid_faces(cells_x, cells_y)[:, ::-1]
    )  # rows go down the image, so the other way round
    return View(
        vertices.reshape(-1, 3), faces, nadir_transform(0.0, 0.0, 0.0), dr.Calibration(width, height, f)
    )


def cave(n_faces: int, radius: float = 10.0, seed: int = 1) -> tuple[Array, npt.NDArray[np.int32]]:
    """Return a closed, bumpy mesh around the origin whose faces are turned inwards: it fills the view of any lens.

    The six sides of a cube, each a grid of cells, blown up to a ball of about ``radius`` metres with smooth bumps and a
    fifth of a cell of noise; vertices of the cube's edges are shared, so that nothing is open. 12 n² faces.
    """
    n = max(2, round(np.sqrt(n_faces / 12.0)))
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    cell = np.stack([i.ravel(), j.ravel()], axis=1)[:, None, :] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners = np.empty((6, n * n, 4, 3), np.int64)
    for axis in range(3):
        for end in (0, 1):
            side = corners[2 * axis + end]
            side[..., axis] = end * n
            side[..., (axis + 1) % 3], side[..., (axis + 2) % 3] = cell[..., 0], cell[..., 1]
            if end == 1:  # seen from inside, counter-clockwise
                side[...] = side[:, ::-1]
    keys, index = np.unique(corners.reshape(-1, 3) @ np.array([(n + 1) ** 2, n + 1, 1]), return_inverse=True)
    grid = np.stack([keys // (n + 1) ** 2, keys // (n + 1) % (n + 1), keys % (n + 1)], axis=1)
    rng = np.random.default_rng(seed)
    vertices = np.tan((2.0 * grid / n - 1.0) * (np.pi / 4.0))  # cells of about one size on the ball
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    bumps = sum(0.03 * np.cos(vertices @ rng.normal(size=3) * 6.0 + rng.uniform(0.0, 6.0)) for _ in range(6))
    noise = rng.uniform(-0.2, 0.2, vertices.shape) * (np.pi / 2.0 / n)
    vertices = radius * (vertices * (1.0 + bumps)[:, None] + noise)
    quads = index.reshape(-1, 4).astype(np.int32)
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def faces_in_view(view: View) -> float:
    """Return the share of faces whose centroid is in the image."""
    camera_from_chunk = np.linalg.inv(view.transform)
    inside = 0
    for start in range(0, len(view.faces), 1_000_000):
        centroids = view.vertices[view.faces[start : start + 1_000_000]].mean(axis=1)
        u, v = view.calibration.project(centroids @ camera_from_chunk[:3, :3].T + camera_from_chunk[:3, 3]).T
        with np.errstate(invalid="ignore"):  # NaN where not imaged
            inside += np.count_nonzero(
                (u >= 0) & (u < view.calibration.width) & (v >= 0) & (v < view.calibration.height)
            )
    return inside / len(view.faces)


def main() -> None:
    """Print what the scenes are like."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--faces", type=float, default=1e5, help="faces of the terrains (default 1e5)")
    n_faces = int(parser.parse_args().faces)
    views = {
        "survey": survey_view(n_faces),
        "far corner, nadir": far_corner_view(n_faces),
        "far corner, 60° tilt": far_corner_view(n_faces, tilt=60.0),
        "sheet of 16 px": sheet_view(16.0),
    }
    for name, view in views.items():
        extent = np.ptp(view.vertices, axis=0)
        print(
            f"{name}: {len(view.faces)} faces, {extent[0]:.1f} m × {extent[1]:.1f} m × {extent[2]:.1f} m, "
            f"{view.calibration.width} × {view.calibration.height} px, "
            f"{faces_in_view(view):.1%} of the faces in view"
        )


if __name__ == "__main__":
    main()
