"""What a view of a small part of a large mesh costs, beside a view of a mesh that has only that part.

A terrain of which one photo sees about three in a hundred faces, and the mesh of just those faces that may reach into the
photo. Both images are compared first: the same faces, the same depths but for rounding.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt

import checking
import depthraster as dr
import harness
import scenes


def faces_in_image(flight: scenes.Flight, transform: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the faces whose boxes in the undistorted plane reach into the image's."""
    rays = scenes._border_rays(flight.calibration)
    return checking.near_faces(
        flight.vertices, flight.faces, transform, np.array([[*rays.min(axis=0), *rays.max(axis=0)]])
    )[0]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=2e7, help="faces of the terrain (default 2e7)")
    parser.add_argument("--share", type=float, default=0.03, help="what the photo sees of it (default 0.03)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 6000 × 4000 pixels (default 1)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--threads", type=int, help="threads (default: all processors)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    flight = scenes.survey_flight(int(arguments.faces), 9, arguments.scale, arguments.share)
    transform, calibration = flight.transforms[4], flight.calibration  # in the middle
    part = faces_in_image(flight, transform)
    seen = scenes.faces_in_view(scenes.View(flight.vertices, flight.faces, transform, calibration))
    used, local = np.unique(flight.faces[part], return_inverse=True)
    small = dr.Scene(flight.vertices[used], local.reshape(-1, 3), threads=arguments.threads)
    whole = dr.Scene(flight.vertices, flight.faces, threads=arguments.threads)

    what = {"layers": ("depth", "face_index"), "threads": arguments.threads}
    a = dr.render(whole, transform, calibration, **what)
    b = dr.render(small, transform, calibration, **what)
    assert (
        a.face_index is not None and b.face_index is not None and a.depth is not None and b.depth is not None
    )
    other = int((part[b.face_index] != a.face_index).sum())
    off = float((np.abs(a.depth - b.depth) / a.depth).max())
    if (a.face_index < 0).any() or (b.face_index < 0).any():
        raise SystemExit("the terrain fills the image, but pixels are empty: nothing is timed")
    if other > a.face_index.size // 10_000 or off > 1e-6:
        raise SystemExit(
            f"the images differ, in the face seen in {other} pixels, in depth by {off:.1e}: nothing is timed"
        )
    out = np.ones((calibration.height, calibration.width, 2), np.float32)
    jobs: dict[str, Any] = {
        name: lambda scene=scene: dr.render_depth(
            scene, transform, calibration, threads=arguments.threads, out=out
        )
        for name, scene in (("the whole terrain", whole), ("only what is seen", small))
    }
    for job in jobs.values():
        job()
    times = harness.interleaved(jobs, arguments.repeats)
    ratio = harness.median([x / y for x, y in zip(*times.values(), strict=True)])
    print(
        f"\n{whole.n_faces:,} faces, of which the photo of {calibration.width} × {calibration.height} pixels sees "
        f"{seen:.2%}; the other mesh has {small.n_faces:,}\n"
        f"other faces in {other} pixels (at edges), depths differ by {off:.1e} at most\n"
    )
    rows = [
        (name, *(harness.seconds(f(values)) for f in (harness.median, min, max)))
        for name, values in times.items()
    ]
    print(harness.table(("mesh", "median", "min", "max"), rows))
    print(f"\nmedian ratio {ratio:.3f}")
    results = {
        "n_faces": whole.n_faces, "n_part": small.n_faces, "seen": seen, "other_faces": other, "depth_max": off,
        "seconds": {name: harness.summary(values) for name, values in times.items()}, "ratio": ratio,
    }  # fmt: skip
    harness.write_json(arguments.json, "part_of_scene", machine, results)


if __name__ == "__main__":
    main()
