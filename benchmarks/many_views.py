"""A survey through `render_views`: how near its images come to what single views would take, and the memory they take.

One large terrain, a hundred photos of which each sees about three in a hundred faces; images are consumed, not written.
Beside it the same views one after the other (`render`), each into fresh memory, as `render_views` gives them, and all into
one buffer (``out=``). All three fly the whole survey in turn, images are compared first. Memory is measured
at the survey's end, in the same process.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import depthraster as dr
import harness
import scenes
from survey_view import peak_memory, resident_memory

LAYERS = ("depth", "alpha")
FRESH, SAME, MANY = "one by one, fresh memory", "one by one, one buffer", "render_views"


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=2e7, help="faces of the terrain (default 2e7)")
    parser.add_argument("--views", type=int, default=100, help="photos (default 100)")
    parser.add_argument("--megapixels", type=float, default=12.0, help="of each photo (default 12)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="times that the survey is flown each way, in turn (default 3)"
    )
    parser.add_argument("--threads", type=int, help="threads (default: all processors)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    flight = scenes.survey_flight(
        int(arguments.faces), arguments.views, float(np.sqrt(arguments.megapixels / 24.0))
    )
    c, threads = flight.calibration, arguments.threads
    seen = scenes.faces_in_view(scenes.View(flight.vertices, flight.faces, flight.transforms[0], c))
    scene = dr.Scene(flight.vertices, flight.faces, threads=threads)
    n_faces = scene.n_faces
    views = [(transform, c) for transform in flight.transforms]
    del flight

    out = dr.render(scene, *views[0], LAYERS, threads=threads)
    for view, (transform, _) in zip(
        dr.render_views(scene, views[:3], LAYERS, threads=threads), views, strict=False
    ):
        out = dr.render(scene, transform, c, LAYERS, threads=threads, out=out)
        if not np.array_equal(out.depth, view.layers.depth):
            raise SystemExit(f"render_views and render disagree about view {view.index}: nothing is timed")
        del view
    image = out.depth.nbytes + out.alpha.nbytes

    def reusing(some: list[Any]) -> None:
        nonlocal out
        for transform, calibration in some:
            out = dr.render(scene, transform, calibration, LAYERS, threads=threads, out=out)

    def afresh(some: list[Any]) -> None:
        for transform, calibration in some:
            dr.render(scene, transform, calibration, LAYERS, threads=threads)

    def together(some: list[Any]) -> None:
        for view in dr.render_views(scene, some, LAYERS, threads=threads):
            if view.layers.depth[0, 0] == 0.0:  # the terrain fills every image
                raise SystemExit(f"view {view.label} is empty")

    times: dict[str, list[float]] = {name: [] for name in (FRESH, SAME, MANY)}
    busy: dict[str, list[float]] = {name: [] for name in times}
    peak = 0
    cores = machine["cores"] if threads is None else threads
    for _ in range(arguments.rounds):
        for name, work in ((FRESH, afresh), (SAME, reusing), (MANY, together)):
            used = time.process_time()
            times[name].append(harness.clock(lambda work=work: work(views))[0])
            busy[name].append(time.process_time() - used)
    del out
    # What the survey alone takes, in memory: the peak of the process has the making of the scene in it.
    peak = _peak_during(lambda: together(views[: min(len(views), 20)]))
    total = {name: harness.median(values) for name, values in times.items()}
    throughput = {
        name: harness.median([b / a for a, b in zip(times[MANY], times[name], strict=True)])
        for name in (FRESH, SAME)
    }
    pixels = c.width * c.height * len(views)
    print(
        f"\n{len(views)} views of {n_faces:,} faces, {c.width} × {c.height} pixels, {seen:.2%} of the faces in view\n"
    )
    used = {name: sum(busy[name]) / sum(times[name]) / cores for name in total}
    rows = [
        (
            name,
            harness.seconds(value),
            harness.seconds(value / len(views)),
            f"{pixels / value / 1e6:.0f} M",
            f"{used[name]:.0%} of {cores}",
        )
        for name, value in total.items()
    ]
    print(harness.table(("how", "all views", "per view", "pixels/s", "processors busy"), rows))
    print(
        f"\nspeed of render_views, of that of single views: {throughput[FRESH]:.0%} into fresh memory, "
        f"{throughput[SAME]:.0%} into one buffer (medians of {arguments.rounds} rounds)\n"
        f"memory beyond the scene at the peak: {peak / 1e6:.0f} MB, {peak / image:.1f} images of {image / 1e6:.0f} MB"
    )
    results = {
        "n_faces": n_faces, "n_views": len(views), "width": c.width, "height": c.height, "seen": seen,
        "seconds": {name: harness.summary(values) for name, values in times.items()}, "total": total,
        "throughput": throughput[FRESH], "throughput_reusing": throughput[SAME], "busy": used, "peak_images": peak / image,
        "image_bytes": image, "scene_bytes": scene.nbytes,
    }  # fmt: skip
    harness.write_json(arguments.json, "many_views", machine, results)


def _peak_during(work: Any) -> int:
    """Return how far the resident memory rises above what it is now while work is done, bytes."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # Linux: the peak begins anew
    except OSError:
        pass
    before = resident_memory()
    work()
    return peak_memory() - before


if __name__ == "__main__":
    main()
