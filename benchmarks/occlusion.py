"""What leaving out hidden parts saves: views into a building of many rooms, with occlusion culling and without.

Images are compared first, bit for bit. Both are drawn tile by tile, which is where occlusion can be switched off. How many
layers lie behind one another is counted by the float64 twin's geometry. The scene is ``building.py``'s.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import building
import checking
import depthraster as dr
import harness
from depthraster import pipeline


@contextmanager
def without_occlusion() -> Iterator[None]:
    """Draw all that is in view, hidden or not, while it holds."""
    original = pipeline.front_to_back
    pipeline.front_to_back = lambda *arguments: False
    try:
        yield
    finally:
        pipeline.front_to_back = original


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=3e6, help="faces of the building (default 3e6)")
    parser.add_argument("--views", type=int, default=6, help="views (default 6)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 6000 × 4000 pixels (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--threads", type=int, help="threads (default: all processors)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    pipeline.TOGETHER = False
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    mesh = building.building(arguments.faces)
    transforms, calibration = building.indoor_views(arguments.views, arguments.scale)
    scene = dr.Scene(*mesh, threads=arguments.threads)
    out = np.ones((calibration.height, calibration.width, 2), np.float32)
    results: dict[str, Any] = {
        "n_faces": scene.n_faces, "width": calibration.width, "height": calibration.height, "views": [],
    }  # fmt: skip
    for i, transform in enumerate(transforms):

        def job(transform: Any = transform) -> None:
            dr.render_depth(scene, transform, calibration, threads=arguments.threads, out=out)

        def plain_job(job: Any = job) -> None:
            with without_occlusion():
                job()

        job()
        with_it = out.copy()
        plain_job()
        if not np.array_equal(with_it, out):
            raise SystemExit(
                f"view {i}: {int((with_it != out).any(axis=2).sum())} pixels change: nothing is timed"
            )
        layers = checking.depth_complexity(*mesh, transform, calibration)
        times = harness.interleaved({"with": job, "without": plain_job}, arguments.repeats)
        results["views"].append(
            {
                "layers": float(layers.mean()),
                "empty": float((out[..., 1] == 0).mean()),
                "seconds": {name: harness.summary(values) for name, values in times.items()},
                "ratio": harness.median(
                    [b / a for a, b in zip(times["with"], times["without"], strict=True)]
                ),
            }
        )
    rows = [
        (
            str(i),
            f"{view['layers']:.1f}",
            *(harness.seconds(view["seconds"][name]["median"]) for name in ("without", "with")),
            f"{view['ratio']:.2f}",
        )
        for i, view in enumerate(results["views"])
    ]
    results["ratio"] = harness.median([view["ratio"] for view in results["views"]])
    print(f"\n{scene.n_faces:,} faces, {calibration.width} × {calibration.height} pixels\n")
    print(harness.table(("view", "layers, mean", "without", "with occlusion", "times faster"), rows))
    print(f"\nmedian of the views: {results['ratio']:.2f} times faster")
    harness.write_json(arguments.json, "occlusion", machine, results)


if __name__ == "__main__":
    main()
