"""The command on a whole survey: how fast images get to the disk, and how much of the time goes into starting.

The survey is real: the folder `delfem2_mvs` of the real data that the tests use, 20 photos of 8 megapixels of a mesh of
18 thousand faces; without it there is nothing to measure, which is said. Every run is a new process, from the start of
Python to its end, with a warm compile cache, into a new folder on the disk that is named. Before anything is timed, an image
is compared with what the library renders. How much of the time went into rendering and writing is in the manifest.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

ROOT = Path(__file__).resolve().parent.parent
LEAST_SHARE, LEAST_RATE = 0.70, 60.0  # of wall time; megapixels per second


def survey() -> tuple[Path, Path] | None:
    """Return the cameras file and the mesh, or None where there is no real data."""
    folder = Path(os.environ.get("DEPTHRASTER_REAL_DATA") or ROOT.parent / "shared" / "data") / "delfem2_mvs"
    cameras, mesh = folder / "camera.xml", folder / "foo.obj"
    return (cameras, mesh) if cameras.exists() and mesh.exists() else None


def run(cameras: Path, mesh: Path, out: Path, options: list[str]) -> dict[str, float]:
    """Run the command once; return its times in seconds, and megapixels."""
    shutil.rmtree(out, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "depthraster",
        "render",
        str(cameras),
        str(mesh),
        "-o",
        str(out),
        *options,
    ]
    # Python's own cache is warm, too, as it is where the package is installed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    pixels = sum(record["width"] * record["height"] for record in manifest["images"])
    rendering = manifest["times"]["rendering_seconds"]
    return {
        "wall": wall,
        "rendering": rendering,
        "start-up": wall - rendering,
        "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "share": rendering / wall,
        "megapixels": pixels / 1e6,
        "rate": pixels / 1e6 / rendering,
        "rate of all": pixels / 1e6 / wall,
        "megabytes": sum(file["bytes"] for r in manifest["images"] for file in r["files"]) / 1e6,
    }


def check(cameras: Path, mesh: Path, out: Path) -> None:
    """Compare one image with what the library renders."""
    import numpy as np

    import depthraster as dr
    from depthraster.io.images import load_image

    camera = dr.load_chunk(cameras).cameras[7]
    expected = dr.render_depth(mesh, camera.transform, camera.calibration)
    assert np.array_equal(load_image(out / f"{camera.label}.tif"), expected[..., 0])
    assert 0.05 < expected[..., 1].mean() < 1.0


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="runs that are timed (default 7)")
    parser.add_argument(
        "--folder", type=Path, help="where to write to (default: the system's folder for such)"
    )
    parser.add_argument("--json", help="file for the results")
    parser.add_argument("options", nargs="*", help="options of the command, after --, e.g. -- --format npy")
    arguments = parser.parse_args()
    found = survey()
    if found is None:
        print(
            "Skipped: there is no real data here; set DEPTHRASTER_REAL_DATA to the folder that holds delfem2_mvs."
        )
        return
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        out = Path(folder) / "depth"
        run(*found, out, arguments.options)  # warms the caches, the compile cache among them
        if not arguments.options:
            check(*found, out)
        runs = [run(*found, out, arguments.options) for _ in range(arguments.repeats)]
    report(runs)
    results: dict[str, Any] = {name: harness.summary([r[name] for r in runs]) for name in runs[0]}
    harness.write_json(arguments.json, "survey_command", machine, results)


def report(runs: list[dict[str, float]]) -> None:
    """Print a table of the fastest run and the medians, and whether the bars are met."""
    best = min(runs, key=lambda r: r["wall"])
    median = {name: harness.summary([r[name] for r in runs])["median"] for name in runs[0]}
    rows = [
        ("command, from start to end", "wall", harness.seconds),
        ("rendering and writing", "rendering", harness.seconds),
        ("everything else", "start-up", harness.seconds),
        ("processors, together", "processor", harness.seconds),
        ("share of rendering and writing", "share", "{:.0%}".format),
        ("megapixels/s while rendering and writing", "rate", "{:.0f}".format),
        ("megapixels/s of the whole command", "rate of all", "{:.0f}".format),
        ("megabytes written", "megabytes", "{:.0f}".format),
    ]
    table = [(what, form(best[name]), form(median[name])) for what, name, form in rows]
    print(f"\n{len(runs)} runs of {best['megapixels']:.0f} megapixels\n")
    print(harness.table(("what", "fastest run", "median"), table))
    for what, value, least in (
        ("the share of rendering and writing", median["share"], LEAST_SHARE),
        ("megapixels/s", median["rate"], LEAST_RATE),
    ):
        print(f"{what}: {value:.3g}, of at least {least:g}: {'met' if value >= least else 'MISSED'}")


if __name__ == "__main__":
    main()
