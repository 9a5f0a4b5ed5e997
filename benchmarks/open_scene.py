"""How soon the first image is there of a large scene that was saved: opening it and rendering, in a process of its own.

Beside it a warm render of the same view in the same process, and preparing the scene from arrays. The kernels are loaded
beforehand by a tiny view; the file is in the system's page cache (``warm``, as for the second of several processes), or is
put out of it (``cold``, as after a restart). Images are compared, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import depthraster as dr
import harness
import scenes


def opened(path: Path, folder: Path, scale: float, threads: int | None) -> dict[str, Any]:
    """Open a scene, render, and render again; the first image is compared with that in the folder."""
    tiny = scenes.survey_view(1000, 0.05)
    dr.render_depth((tiny.vertices, tiny.faces), tiny.transform, tiny.calibration, threads=threads)
    calibration, transform = scenes.survey_calibration(scale), np.load(folder / "transform.npy")
    out = np.ones((calibration.height, calibration.width, 2), np.float32)

    def render() -> Any:
        return dr.render_depth(scene, transform, calibration, threads=threads, out=out)

    opening, scene = harness.clock(lambda: dr.Scene.open(path))
    first = harness.clock(render)[0]
    same = bool(np.array_equal(out, np.load(folder / "image.npy", mmap_mode="r")))
    return {
        "open": opening,
        "first": first,
        "warm": [harness.clock(render)[0] for _ in range(5)],
        "same": same,
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=2e7, help="faces of the terrain (default 2e7)")
    parser.add_argument("--share", type=float, default=0.03, help="what the photo sees of it (default 0.03)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 6000 × 4000 pixels (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, two processes each (default 5)")
    parser.add_argument("--threads", type=int, help="threads (default: all processors)")
    parser.add_argument("--json", help="file for the results")
    parser.add_argument("--opened", type=Path, help=argparse.SUPPRESS)  # what the other process is told
    arguments = parser.parse_args()
    if arguments.opened is not None:
        folder = arguments.opened
        print(json.dumps(opened(folder / "scene", folder, arguments.scale, arguments.threads)))
        return
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    flight = scenes.survey_flight(int(arguments.faces), 9, arguments.scale, arguments.share)
    transform = flight.transforms[4]
    prepare, scene = harness.clock(lambda: dr.Scene(flight.vertices, flight.faces, threads=arguments.threads))
    runs: dict[str, list[dict[str, Any]]] = {"warm": [], "cold": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save = harness.clock(lambda: scene.save(folder / "scene"))[0]
        size = (folder / "scene").stat().st_size
        np.save(folder / "transform.npy", transform)
        np.save(
            folder / "image.npy",
            dr.render_depth(scene, transform, flight.calibration, threads=arguments.threads),
        )
        command = [sys.executable, __file__, "--opened", name, "--scale", str(arguments.scale)]
        if arguments.threads is not None:
            command += ["--threads", str(arguments.threads)]
        for _ in range(arguments.repeats):
            for kind, found in runs.items():
                _fill_or_empty_cache(folder / "scene", kind == "warm")
                text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found.append(json.loads(text))
                if not found[-1]["same"]:
                    raise SystemExit("the opened scene gives another image")
    rows, results = [], {"n_faces": scene.n_faces, "bytes": size, "prepare": prepare, "save": save}
    for kind, found in runs.items():
        opening, first, again = (
            [run["open"] for run in found], [run["first"] for run in found], [harness.median(run["warm"]) for run in found],
        )  # fmt: skip
        more = [a + b - c for a, b, c in zip(opening, first, again, strict=True)]
        results[kind] = {
            "open": harness.summary(opening), "first": harness.summary(first), "again": harness.summary(again),
            "more": harness.summary(more),
        }  # fmt: skip
        rows.append(
            (kind, *(harness.seconds(harness.median(values)) for values in (opening, first, again, more)))
        )
    print(
        f"\n{scene.n_faces:,} faces, a file of {size / 1e6:.0f} MB; preparing took {harness.seconds(prepare)}, "
        f"saving {harness.seconds(save)}\n"
    )
    headings = ("file in memory", "opening", "first image", "a later image", "opening + first − later")
    print(harness.table(headings, rows))
    harness.write_json(arguments.json, "open_scene", machine, results)


def _fill_or_empty_cache(path: Path, fill: bool) -> None:
    """Have the system keep a file in memory, or forget it; where it cannot be told, nothing happens."""
    if fill:
        path.read_bytes()
    elif hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
