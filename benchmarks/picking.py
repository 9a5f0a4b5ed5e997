"""Rays in any direction against a closed mesh: `pick_point` beside Open3D (Embree, float32), answers compared first.

Vertices, origins and directions are rounded to float32 for both. Where Embree's hit is nearer by more than 1e-6, the true
distance to the face that we give is computed in long double: whose error it is, is printed.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt

import depthraster as dr
import harness

Array = npt.NDArray[np.float64]


def blob(level: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return a bumpy closed surface about the origin of 20 * 4**level faces."""
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=level)
    vertices = np.asarray(sphere.vertices) * (
        1 + 0.05 * np.sin(9 * np.asarray(sphere.vertices)[:, [1, 2, 0]])
    )
    return vertices.astype(np.float32).astype(float), np.asarray(sphere.faces)


def exact(
    mesh: tuple[Array, Any], faces: Any, origins: Array, directions: Array
) -> npt.NDArray[np.longdouble]:
    """Return where rays meet the planes of faces, in long double."""
    a, b, c = (mesh[0][mesh[1][faces, k]].astype(np.longdouble) for k in range(3))
    normal = np.cross(b - a, c - a)
    d = directions.astype(np.longdouble)
    return np.einsum("ij,ij->i", normal, a - origins) / np.einsum("ij,ij->i", normal, d)


def main() -> None:
    """Compare, time, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--level", type=int, default=8, help="subdivisions of an icosahedron (default 8: 1.3 M faces)"
    )
    parser.add_argument("--rays", type=float, default=1e6, help="rays (default 1e6)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    n = int(arguments.rays)
    rng = np.random.default_rng(1)
    mesh = blob(arguments.level)
    origins = rng.uniform(-2, 2, (n, 3)).astype(np.float32).astype(float)
    directions = rng.uniform(-1, 1, (n, 3)) - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions.astype(np.float32).astype(float)

    import open3d as o3d

    other = o3d.t.geometry.RaycastingScene()
    other.add_triangles(mesh[0].astype(np.float32), mesh[1].astype(np.uint32))
    rays = o3d.core.Tensor(np.hstack([origins, directions]).astype(np.float32))
    scene = dr.Scene(*mesh)
    picks = dr.pick_point(scene, origins, origins + directions)
    theirs = other.cast_rays(rays)["t_hit"].numpy().astype(float)

    hit, embree = picks.face_index >= 0, np.isfinite(theirs)
    both = hit & embree
    farther = np.flatnonzero(both)[picks.t[both] > theirs[both] * (1 + 1e-6)]
    truth = exact(mesh, picks.face_index[farther], origins[farther], directions[farther])
    ours_off = np.abs(picks.t[farther] / truth - 1).max(initial=0)
    theirs_off = np.abs(theirs[farther] / truth - 1).max(initial=0)
    inside = np.linalg.norm(origins, axis=1) < 0.8
    results: dict[str, Any] = {
        "n_faces": len(mesh[1]),
        "n_rays": n,
        "hits": int(hit.sum()),
        "only Embree hits": int((embree & ~hit).sum()),
        "only we hit": int((hit & ~embree).sum()),
        "farther than Embree's by 1e-6": len(farther),
        "of these, our greatest error": float(ours_off),
        "of these, Embree's greatest error": float(theirs_off),
        "rays from inside": int(inside.sum()),
        "rays from inside that are lost": int((inside & ~hit).sum()),
    }
    jobs = {
        "pick_point": lambda: dr.pick_point(scene, origins, origins + directions),
        "Open3D, casting": lambda: other.cast_rays(rays),
    }
    seconds = harness.interleaved(jobs, arguments.repeats)
    print(harness.machine_line(machine))
    print("\n" + harness.table(["what", "value"], [[name, f"{value}"] for name, value in results.items()]))
    print(
        "\n"
        + harness.table(
            ["what", "median"], [[k, harness.seconds(harness.median(v))] for k, v in seconds.items()]
        )
    )
    results["seconds"] = {name: harness.summary(values) for name, values in seconds.items()}
    harness.write_json(arguments.json, "picking", machine, results)


if __name__ == "__main__":
    main()
