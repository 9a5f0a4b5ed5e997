"""What layers cost beside depth alone: the survey photo of a terrain, each set of layers in turn, in one run.

The scene is prepared beforehand; images are written over those of the round before (``out=``), or with ``--fresh`` to fresh
memory, which costs what the system takes for handing it out. Beside the time that passes stands the processors' own, which
a busy machine changes less. Before timing, a sample of pixels is compared with rays in float64.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import depthraster as dr
import harness
import scenes
from depthraster.layers import LAYERS

ALONE = "depth"


def check(view: scenes.View, layers: dr.Layers, n: int = 20_000) -> dict[str, float]:
    """Compare pixels drawn at random with their rays in float64; return the greatest errors, or stop."""
    assert layers.face_index is not None
    assert layers.position is not None
    assert layers.normal is not None
    assert layers.view_angle is not None
    assert layers.barycentric is not None
    rng = np.random.default_rng(0)
    rows, cols = (
        rng.integers(0, layers.face_index.shape[0], n),
        rng.integers(0, layers.face_index.shape[1], n),
    )
    faces = layers.face_index[rows, cols]
    a, b, c = (view.vertices[view.faces[faces, k]] for k in range(3))
    rotation, centre = view.transform[:3, :3], view.transform[:3, 3]
    rays = view.calibration.unproject(np.stack([cols + 0.5, rows + 0.5], axis=1)) @ rotation.T
    normal = np.cross(b - a, c - a)
    t = ((a - centre) * normal).sum(axis=1) / (rays * normal).sum(axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    back = -rays / np.linalg.norm(rays, axis=1, keepdims=True)
    angle = np.arctan2(np.linalg.norm(np.cross(normal, back), axis=1), (normal * back).sum(axis=1))
    points = centre + t[:, None] * rays
    weighted = np.einsum("nk,knj->nj", layers.barycentric[rows, cols].astype(np.float64), np.stack([a, b, c]))
    distance = np.linalg.norm(t[:, None] * rays, axis=1)
    errors = {
        "position, relative": np.linalg.norm(layers.position[rows, cols] - points, axis=1) / distance,
        "barycentric, as position": np.linalg.norm(weighted - points, axis=1) / distance,
        "normal, rad": np.linalg.norm(np.cross(layers.normal[rows, cols] @ rotation.T, normal), axis=1),
        "view angle, rad": np.abs(layers.view_angle[rows, cols] - angle),
    }
    greatest = {name: float(values.max()) for name, values in errors.items()}
    for name, value in greatest.items():
        if not value <= (1e-5 if name.endswith("rad") else 1e-6):
            raise SystemExit(f"{name}: off by {value:.3g}: nothing is timed")
    return greatest


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=1e7, help="faces of the terrain (default 1e7)")
    parser.add_argument("--repeats", type=int, default=7, help="rounds (default 7)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="scale of the image (default 1: 6000 × 4000)"
    )
    parser.add_argument("--threads", type=int, help="threads (default: all processors)")
    parser.add_argument("--fresh", action="store_true", help="write to fresh memory")
    parser.add_argument("--single", action="store_true", help="also each layer by itself")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    view = scenes.survey_view(int(arguments.faces), arguments.scale)
    scene = dr.Scene(view.vertices, view.faces, threads=arguments.threads)
    labels = np.arange(len(view.faces), dtype=np.int32) // 1000
    heights = view.vertices[:, 2].astype(np.float32)

    def job(names: tuple[str, ...], **attributes: Any) -> Any:
        def work(out: dr.Layers | None = None) -> dr.Layers:
            return dr.render(
                scene,
                view.transform,
                view.calibration,
                names,
                attributes=attributes,
                threads=arguments.threads,
                out=out,
            )

        return work

    every = tuple(LAYERS)
    jobs = {
        ALONE: job(("depth",)),
        "depth, face_index": job(("depth", "face_index")),
        "all layers": job(every),
        "all layers and an attribute of faces": job(every, label=labels),
        "all layers and an attribute of vertices": job(every, height=heights),
    }
    if arguments.single:
        jobs |= {
            f"depth, {name}": job(("depth", name)) for name in every if name not in ("depth", "face_index")
        }
        jobs["depth, an attribute of faces"] = job(("depth",), label=labels)
        jobs["depth, an attribute of vertices"] = job(("depth",), height=heights)
    outs: dict[str, dr.Layers | None] = {}
    for name, work in jobs.items():
        layers = work()
        if name == "all layers":
            errors = check(view, layers)
            print("\n" + "\n".join(f"* {what}: off by {value:.2g} at most" for what, value in errors.items()))
        outs[name] = None if arguments.fresh else layers
        del layers
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(arguments.repeats):
        for name, work in jobs.items():
            busy = time.process_time()
            passed, layers = harness.clock(lambda work=work, out=outs[name]: work(out))
            times[name].append((passed, time.process_time() - busy))
            del layers
    rows, results = [], {}
    for name, both in times.items():
        passed, busy = ([pair[k] for pair in both] for k in (0, 1))
        # Round by round, so that a slow moment of the machine counts for both.
        ratios = [
            harness.median([pair[k] / alone[k] for pair, alone in zip(both, times[ALONE], strict=True)])
            for k in (0, 1)
        ]
        results[name] = {
            "seconds": harness.summary(passed), "processor_seconds": harness.summary(busy), "of_depth_alone": ratios[0],
            "processor_of_depth_alone": ratios[1],
        }  # fmt: skip
        shown = [harness.seconds(harness.median(values)) for values in (passed, busy)]
        rows.append((name, shown[0], f"{ratios[0]:.2f}", shown[1], f"{ratios[1]:.2f}"))
    print(f"\n{len(view.faces):,} faces, {view.calibration.width} × {view.calibration.height} pixels\n")
    print(harness.table(("layers", "median", "of depth alone", "processors", "of depth alone"), rows))
    harness.write_json(
        arguments.json, "layers", machine, {"n_faces": len(view.faces), "errors": errors, "layers": results}
    )


if __name__ == "__main__":
    main()
