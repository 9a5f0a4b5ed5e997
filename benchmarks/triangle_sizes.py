"""Speed over the size of triangles, from 1 pixel to 512: walls of right-angled triangles that fill an image.

Faces per second tell what a face costs, pixels per second what a pixel costs. The scene is prepared
beforehand and the output is reused; depths are checked against the wall's before timing.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import depthraster as dr
import harness
import scenes

LEGS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # pixels


def measure(leg: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Check, then time, one size."""
    view = scenes.sheet_view(leg, arguments.width, arguments.height)
    scene = dr.Scene(view.vertices, view.faces)
    where = (view.transform, view.calibration)
    out = dr.render_depth(scene, *where, threads=arguments.threads)
    f = view.calibration.f
    if not (out[..., 1] == 1.0).all():
        raise SystemExit(
            f"legs of {leg} px: {int((out[..., 1] == 0.0).sum())} pixels are empty, the wall fills the image"
        )
    if not ((out[..., 0] >= 0.99 * f * (1 - 1e-6)) & (out[..., 0] <= 1.01 * f * (1 + 1e-6))).all():
        raise SystemExit(f"legs of {leg} px: depths leave the wall's {0.99 * f} to {1.01 * f}")

    def job() -> None:
        dr.render_depth(scene, *where, threads=arguments.threads, out=out)

    job()
    times = harness.interleaved({"render": job}, arguments.repeats)["render"]
    return {
        "leg": leg,
        "n_faces": scene.n_faces,
        "pixels": int(np.prod(out.shape[:2])),
        "seconds": harness.summary(times),
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1920, help="pixels (default 1920)")
    parser.add_argument("--height", type=int, default=1080, help="pixels (default 1080)")
    parser.add_argument("--repeats", type=int, default=9, help="renders of each size (default 9)")
    parser.add_argument("--threads", type=int, help="threads (default: all processors)")
    parser.add_argument("--legs", type=float, nargs="+", default=LEGS, help="legs of the triangles, pixels")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    print(f"\n{arguments.width} × {arguments.height} pixels\n")
    results = [measure(leg, arguments) for leg in arguments.legs]
    rows = [
        (
            f"{r['leg']:g} px",
            f"{r['n_faces']:,}",
            harness.seconds(r["seconds"]["median"]),
            f"{r['n_faces'] / r['seconds']['median'] / 1e6:.3g} M",
            f"{r['pixels'] / r['seconds']['median'] / 1e6:.3g} M",
        )
        for r in results
    ]
    print(harness.table(("leg", "faces", "median", "faces/s", "pixels/s"), rows))
    harness.write_json(arguments.json, "triangle_sizes", machine, results)


if __name__ == "__main__":
    main()
