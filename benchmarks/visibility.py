"""Which of a million points twenty cameras see, beside Open3D (Embree) casting a ray from each camera to each point.

The scene is a terrain with buildings, the cameras look at it from all sides with the lens of the survey view; most
points lie on the surface, some above and below. Before timing, what each camera sees is compared with what Embree's rays
meet, judged by the same rule, leaving out points less than the tolerance from an edge of the image. Both are then timed
in turn: ours with everything, Embree with rays made beforehand, of which it says only whether something is met; once for
all points, and once, as if it were known beforehand which they are, for those in the image.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import numpy.typing as npt

import depthraster as dr
import harness
import scenes
from peers import open3d_rays as peer

Array = npt.NDArray[np.float64]


def town(n_faces: int, seed: int = 1) -> tuple[Array, npt.NDArray[np.int32]]:
    """Return a terrain of 300 m × 200 m with 240 buildings on it, walls and roofs as finely meshed as the ground."""
    rng = np.random.default_rng(seed)
    vertices, faces = scenes.terrain(int(0.8 * n_faces), (300.0, 200.0), 8.0, seed=seed)
    parts, n_vertices = [(vertices, faces)], len(vertices)
    cells = max(1, round(np.sqrt(0.2 * n_faces / 240 / 5 / 2)))
    for _ in range(240):
        size = rng.uniform([4, 4, 5], [18, 18, 25])
        place = np.append(rng.uniform([-140, -90], [140, 90]), -10.0)
        turn = rng.uniform(0, np.pi)
        axes = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        for side in range(5):  # four walls and a roof, counter-clockwise from outside
            s, t = np.meshgrid(np.linspace(-0.5, 0.5, cells + 1), np.linspace(-0.5, 0.5, cells + 1))
            flat = np.stack([s, t, np.full_like(s, 0.5)], axis=-1).reshape(-1, 3)
            if side < 4:
                c, r = np.cos(side * np.pi / 2), np.sin(side * np.pi / 2)
                flat = flat[:, [2, 0, 1]] @ np.array([[c, r, 0], [-r, c, 0], [0, 0, 1]])
            flat = (flat + [0, 0, 0.5]) * [size[0], size[1], size[2] + 10]
            corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
            quads = np.stack([corner, corner + 1, corner + cells + 2, corner + cells + 1], axis=1)
            triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
            parts.append((flat @ axes + place, triangles + n_vertices))
            n_vertices += len(flat)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def cameras(n: int, scale: float, seed: int = 2) -> list[tuple[Array, dr.Calibration]]:
    """Return n cameras 60 to 150 m above the ground that look down at it from all sides."""
    rng = np.random.default_rng(seed)
    calibration = scenes.survey_calibration(scale)
    views = []
    for _ in range(n):
        target = np.append(rng.uniform([-110, -60], [110, 60]), 0.0)
        away = rng.uniform(0, 2 * np.pi)
        slant = np.radians(rng.uniform(0, 65))
        height = rng.uniform(60, 150)
        eye = target + height * np.array([np.tan(slant) * np.cos(away), np.tan(slant) * np.sin(away), 1.0])
        views.append((dr.look_at(eye, target, (np.cos(away + 1), np.sin(away + 1), 0.3)), calibration))
    return views


def some_points(vertices: Array, faces: npt.NDArray[Any], n: int, seed: int = 3) -> Array:
    """Return points on faces drawn by their area, one in ten of them moved up or down by up to 3 m."""
    rng = np.random.default_rng(seed)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    which = rng.choice(len(faces), n, p=area / area.sum())
    weights = rng.dirichlet([1, 1, 1], n)
    points = np.einsum("nk,nkj->nj", weights, vertices[faces[which]])
    points[:, 2] += np.where(rng.random(n) < 0.1, rng.uniform(-3, 3, n), 0.0)
    rng.shuffle(points)
    return points


class Rays:
    """Open3D's scene, and rays from cameras to points."""

    def __init__(self, vertices: Array, faces: npt.NDArray[Any], points: Array) -> None:
        import open3d as o3d

        self._o3d = o3d
        self._scene = o3d.t.geometry.RaycastingScene()
        self._scene.add_triangles(
            o3d.core.Tensor(vertices.astype(np.float32)), o3d.core.Tensor(faces.astype(np.uint32))
        )
        self._points = points

    def to(self, centre: Array, which: Any = slice(None)) -> Any:
        """Return the rays from a camera to points, which are at t = 1."""
        rays = np.empty((len(self._points[which]), 6), np.float32)
        rays[:, :3] = centre
        rays[:, 3:] = self._points[which] - centre
        return self._o3d.core.Tensor(rays)

    def occluded(self, rays: Any) -> Any:
        """Return whether anything is met before the points."""
        return self._scene.test_occlusions(rays, 0.0, 0.999)

    def met(self, rays: Any) -> tuple[Array, Array]:
        """Return where rays meet the mesh first, t, and the normals there."""
        found = self._scene.cast_rays(rays)
        return found["t_hit"].numpy().astype(np.float64), found["primitive_normals"].numpy().astype(
            np.float64
        )


def judged(
    rays: Rays,
    points: Array,
    transform: Array,
    calibration: dr.Calibration,
    seen: dr.Visibility,
    tolerance: float,
) -> npt.NDArray[np.bool_]:
    """Return which points in the image are visible by Embree's rays and the rule of `visible`."""
    t, normal = rays.met(rays.to(transform[:3, 3]))
    away = points - transform[:3, 3]
    length = np.linalg.norm(away, axis=1)
    cosine = np.abs((normal * away).sum(axis=1)) / length
    with np.errstate(all="ignore"):
        slope = np.clip(np.sqrt(np.maximum(1 - cosine**2, 0)) / cosine, 1.0, 4.0)
        own = calibration.unproject(seen.pixel)
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        steps = []
        for shift in ([1.0, 0.0], [0.0, 1.0]):
            other = calibration.unproject(seen.pixel + shift)
            steps.append(np.linalg.norm(other / np.linalg.norm(other, axis=1, keepdims=True) - own, axis=1))
        near_enough: npt.NDArray[np.bool_] = (
            length * (1 - t) <= tolerance * np.maximum(*steps) * slope * length * t
        )
    return near_enough


def close_to(mask: npt.NDArray[np.bool_], distance: int) -> npt.NDArray[np.bool_]:
    """Return which pixels have one of a mask within so many rows and columns."""
    for axis in (0, 1):
        grown = mask.copy()
        for shift in range(1, distance + 1):
            ahead, behind = [slice(None)] * 2, [slice(None)] * 2
            ahead[axis], behind[axis] = slice(shift, None), slice(None, -shift)
            grown[tuple(ahead)] |= mask[tuple(behind)]
            grown[tuple(behind)] |= mask[tuple(ahead)]
        mask = grown
    return mask


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=1e6, help="faces of the mesh (default 1e6)")
    parser.add_argument("--points", type=float, default=1e6, help="points (default 1e6)")
    parser.add_argument("--cameras", type=int, default=20, help="cameras (default 20)")
    parser.add_argument("--tolerance", type=float, default=2.0, help="pixels of surface slope (default 2)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--threads", type=int, help="threads of ours (default: all processors)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    if not peer.is_installed():
        raise SystemExit(
            "Open3D is not installed, and there is nothing to compare with: pip install 'depthraster[bench]'"
        )
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    mesh = town(int(arguments.faces))
    points = some_points(*mesh, int(arguments.points))
    views = cameras(arguments.cameras, 1.0)
    scene = dr.Scene(*mesh, threads=arguments.threads)
    rays = Rays(*mesh, points)
    how = {"tolerance": arguments.tolerance, "threads": arguments.threads}

    compared = differ = in_image = visible = near_edges = differ_near = 0
    for transform, calibration in views:
        seen = dr.visible(scene, points, transform, calibration, **how)
        inside = seen.status >= dr.Sight.OCCLUDED
        theirs = judged(rays, points, transform, calibration, seen, arguments.tolerance)
        edge = dr.render(
            scene, transform, calibration, "edge", cull_faces=False, threads=arguments.threads
        ).edge
        assert edge is not None
        close = close_to(edge, int(np.ceil(arguments.tolerance)))
        col, row = (seen.pixel[inside].astype(np.int64)).T
        beside = np.zeros(len(points), bool)
        beside[inside] = close[row, col]
        wrong = inside & (seen.visible != theirs)
        in_image, visible = in_image + inside.sum(), visible + seen.visible.sum()
        compared, differ = compared + (inside & ~beside).sum(), differ + (wrong & ~beside).sum()
        near_edges, differ_near = near_edges + beside.sum(), differ_near + (wrong & beside).sum()
    agreement = 1 - differ / compared
    print(
        f"\n{scene.n_faces:,} faces, {len(points):,} points, {len(views)} cameras of {calibration.width} × "
        f"{calibration.height} pixels, tolerance {arguments.tolerance:g}\n\n"
        f"* in the image {in_image:,}, visible {visible:,} ({visible / in_image:.1%})\n"
        f"* farther than the tolerance from an edge {compared:,}: {differ:,} differ, agreement {agreement:.4%}\n"
        f"* nearer {near_edges:,}: {differ_near:,} differ, agreement {1 - differ_near / max(near_edges, 1):.4%}"
    )
    if agreement < 0.999:
        raise SystemExit("ours and Embree's differ: nothing is timed")

    ours, theirs, fewer = "visibility_table", "Embree, all points", "Embree, points in the image"
    times: dict[str, list[float]] = {ours: [], theirs: [], fewer: []}
    busy: dict[str, list[float]] = {name: [] for name in times}
    some = views[: min(4, len(views))]
    share = len(views) / len(some)  # of all cameras: their rays would not fit into memory
    made: dict[str, list[Any]] = {theirs: [], fewer: []}
    for transform, calibration in some:
        inside = dr.visible(scene, points, transform, calibration, **how).status >= dr.Sight.OCCLUDED
        made[theirs].append(rays.to(transform[:3, 3]))
        made[fewer].append(rays.to(transform[:3, 3], inside))
    for _ in range(arguments.repeats):
        begun = time.process_time()
        times[ours].append(harness.clock(lambda: dr.visibility_table(scene, points, views, **how))[0])
        busy[ours].append(time.process_time() - begun)
        for name, cast in made.items():
            passed, begun = 0.0, time.process_time()
            for one in cast:
                passed += harness.clock(lambda one=one: rays.occluded(one))[0]
            times[name].append(passed * share)
            busy[name].append((time.process_time() - begun) * share)
    rows, faster = [], {}
    for name in times:
        faster[name] = [
            harness.median([b / a for a, b in zip(kind[ours], kind[name], strict=True)])
            for kind in (times, busy)
        ]
        shown = (harness.seconds(harness.median(kind[name])) for kind in (times, busy))
        rows.append((name, *shown, *(f"{ratio:.1f}" for ratio in faster[name])))
    print("\n" + harness.table(("what", "median", "processors", "of ours", "of ours, processors"), rows))
    results = {
        "n_faces": scene.n_faces, "n_points": len(points), "n_views": len(views), "agreement": float(agreement),
        "compared": int(compared), "differ": int(differ), "seconds": {k: harness.summary(v) for k, v in times.items()},
        "processor_seconds": {k: harness.summary(v) for k, v in busy.items()}, "times_faster": faster,
    }  # fmt: skip
    harness.write_json(arguments.json, "visibility", machine, results)


if __name__ == "__main__":
    main()
