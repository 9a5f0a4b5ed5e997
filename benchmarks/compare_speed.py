"""How long comparing two depth images of 24 megapixels takes, with the picture, and with mistakes to be named.

Each kind of comparison is checked for what it must find before it is timed. ``command`` is a process of its own, from
start to end: two compressed TIFFs read, the report printed, the picture written. Processor time is of all threads, for
machines that others use, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import depthraster as dr
import harness
import scenes
from depthraster.io.images import save_image


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=1e6, help="faces of the terrain (default 1e6)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 6000 × 4000 pixels (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))

    view = scenes.survey_view(int(arguments.faces), arguments.scale)
    lens = view.calibration
    mesh = view.vertices, view.faces
    scene = dr.Scene(*mesh)
    image = dr.render_depth(scene, view.transform, lens)
    noisy = image.copy()
    rng = np.random.default_rng(1)
    noisy[..., 0] *= 1 + 1e-7 * rng.standard_normal(image.shape[:2], np.float32)
    swapped = dr.render_depth(scene, view.transform, dataclasses.replace(lens, p1=lens.p2, p2=lens.p1))
    flipped = dr.render_depth(
        dr.Scene(mesh[0], mesh[1][:, ::-1]), view.transform, lens, cull_faces=False
    ) * np.array([1.01, 1], np.float32)

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        picture = place / "difference.png"
        save_image(place / "ours.tif", image)
        save_image(place / "theirs.tif", noisy)
        save_image(place / "swapped.tif", swapped)
        dr.save_chunk(
            dr.Chunk(
                label="one",
                cameras=(dr.Camera(id=0, label="ours", transform=view.transform, calibration=lens),),
            ),
            place / "cameras.xml",
        )

        def found(theirs: Any, expected: list[str] | None, **context: Any) -> Callable[[], None]:
            def job() -> None:
                comparison = dr.compare(image, theirs, **context)
                assert comparison.passed == (expected is None)
                assert expected is None or [f.name for f in comparison.findings] == expected
                comparison.save_picture(picture)

            return job

        def command(theirs: str, code: int, *options: str) -> Callable[[], None]:
            words = ["-m", "depthraster", "compare", "ours.tif", theirs, "--picture", str(picture), *options]

            def job() -> None:
                done = subprocess.run(
                    [sys.executable, *words], cwd=place, env=dict(os.environ), capture_output=True, text=True
                )
                assert done.returncode == code, done.stderr

            return job

        jobs = {
            "the same, arrays": found(noisy, None),
            "p1 and p2 exchanged, arrays": found(swapped, ["p1_p2_exchanged"], calibration=lens),
            "another scale, arrays, with the mesh": found(
                flipped, ["scale"], calibration=lens, transform=view.transform, scene=scene
            ),
            "the same, command": command("theirs.tif", 0),
            "p1 and p2 exchanged, command": command("swapped.tif", 1, "--cameras", "cameras.xml"),
        }
        for job in jobs.values():  # compiles, and checks
            job()
        cpu: dict[str, list[float]] = {name: [] for name in jobs}

        def counted(name: str) -> Callable[[], None]:
            def job() -> None:
                before = sum(os.times()[:4])  # of this process and those that it has started
                jobs[name]()
                cpu[name].append(sum(os.times()[:4]) - before)

            return job

        seconds = harness.interleaved({name: counted(name) for name in jobs}, arguments.repeats)
    results = {
        name: harness.summary(values) | {"cpu": harness.median(cpu[name])} for name, values in seconds.items()
    }
    print(f"\n{lens.width} × {lens.height} pixels, {len(view.faces):,} faces, picture included\n")
    rows = [
        (name, *(harness.seconds(v[key]) for key in ("median", "min", "max", "cpu")))
        for name, v in results.items()
    ]
    print(harness.table(("what", "median", "min", "max", "processor time"), rows))
    harness.write_json(arguments.json, "compare_speed", machine, results)


if __name__ == "__main__":
    main()
