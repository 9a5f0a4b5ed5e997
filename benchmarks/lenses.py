"""What a pixel costs through each lens: one closed mesh around the camera, the frame camera first, in one run.

Every lens sees the mesh in each pixel that it images, which is checked before timing. The scene is prepared beforehand and
the output is reused; the first view through a lens also lays out its tiles, which is timed apart.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np

import depthraster as dr
import harness
import scenes
from depthraster.kernels.turned import turned_tiles

FRAME = "frame"


def lenses(scale: float) -> dict[str, dr.Calibration]:
    """Return the lenses, by name: the frame camera of the survey view and wide ones."""
    fisheye = {"cx": 11.0, "cy": -7.0, "k1": 0.01, "k2": -0.002, "p1": 1e-4, "b1": 0.7}
    full = {
        "fisheye, 190°": dr.Calibration(6000, 4000, 6000 / np.radians(190.0), type="fisheye", **fisheye),
        "equisolid fisheye, 220°": dr.Calibration(
            6000, 4000, 3000 / (2 * np.sin(np.radians(55.0))), type="equisolid_fisheye", **fisheye
        ),
        "spherical": dr.Calibration(8192, 4096, type="spherical"),
        "cylindrical": dr.Calibration(8192, 3000, 8192 / (2 * np.pi), type="cylindrical"),
    }
    return {FRAME: scenes.survey_calibration(scale)} | {name: c.scaled(scale) for name, c in full.items()}


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=1e6, help="faces of the mesh (default 1e6)")
    parser.add_argument("--repeats", type=int, default=7, help="rounds (default 7)")
    parser.add_argument("--scale", type=float, default=1.0, help="scale of the images (default 1)")
    parser.add_argument("--threads", type=int, help="threads (default: all processors)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    scene = dr.Scene(*scenes.cave(int(arguments.faces)))
    transform = np.eye(4)
    transform[:3, 3] = 0.5, -1.0, 0.7

    jobs, laying_out, pixels = {}, {}, {}
    for name, calibration in lenses(arguments.scale).items():
        out = dr.render_depth(scene, transform, calibration, threads=arguments.threads)
        u, v = np.meshgrid(np.arange(0.5, calibration.width, 7), np.arange(0.5, calibration.height, 7))
        imaged = np.isfinite(calibration.unproject(np.stack([u, v], axis=-1))[..., 0])
        if not np.array_equal(out[::7, ::7, 1] == 1.0, imaged):
            raise SystemExit(f"{name}: the mesh is all around, but pixels are empty: nothing is timed")
        if name != FRAME:
            again = dataclasses.replace(calibration, cx=calibration.cx + 1e-3)  # not remembered
            laying_out[name] = harness.clock(
                lambda c=again: turned_tiles(c.lens_params(), c.width, c.height)
            )[0]
        pixels[name] = calibration.width * calibration.height
        jobs[name] = lambda c=calibration, out=out: dr.render_depth(
            scene, transform, c, threads=arguments.threads, out=out
        )
    times = harness.interleaved(jobs, arguments.repeats)
    results: dict[str, Any] = {"n_faces": scene.n_faces, "lenses": {}}
    rows = []
    for name, seconds in times.items():
        # Round by round, so that a slow moment of the machine counts for both.
        ratio = harness.median(
            [s / pixels[name] / (f / pixels[FRAME]) for s, f in zip(seconds, times[FRAME], strict=True)]
        )
        middle = harness.median(seconds)
        results["lenses"][name] = {
            "pixels": pixels[name],
            "seconds": harness.summary(seconds),
            "per_pixel_of_frame": ratio,
            "laying_out": laying_out.get(name),
        }
        first = laying_out.get(name)
        rows.append(
            (
                name,
                f"{pixels[name] / 1e6:.1f} M",
                harness.seconds(middle),
                f"{middle / pixels[name] * 1e9:.2f} ns",
                f"{ratio:.2f}",
                harness.seconds(first) if first else "",
            )
        )
    print(f"\n{scene.n_faces:,} faces\n")
    print(
        harness.table(("lens", "pixels", "median", "per pixel", "of the frame's", "laying out, once"), rows)
    )
    harness.write_json(arguments.json, "lenses", machine, results)


if __name__ == "__main__":
    main()
