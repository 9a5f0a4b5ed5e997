"""What starting costs: importing, the first render ever (it compiles), the first render of later processes.

Every measurement is a fresh interpreter. A new folder for numba's cache stands for a new installation.
Imports are timed in turn, after one round that brings the files into memory.
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

import harness

IMPORT = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""

# A mesh with faces small and large, before and behind the camera: what a first real image needs is compiled
# or loaded.
RENDER = """
import json, sys, time
sys.path.insert(0, {folder!r})
start = time.perf_counter()
import depthraster as dr
imported = time.perf_counter()
import scenes
view = scenes.survey_view(20_000, 0.1)
def render():
    image = dr.render_depth((view.vertices, view.faces), view.transform, view.calibration)
    assert (image[..., 1] == 1.0).all()
begin = time.perf_counter()
render()
first = time.perf_counter()
render()
second = time.perf_counter()
print(json.dumps({{"import": imported - start, "first": first - begin, "second": second - first}}))
"""


def run(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return done.stdout


def measure(repeats: int, n_compiles: int) -> dict[str, Any]:
    """Return the seconds of imports, of first renders that compile, and of first renders from the cache."""
    imports = {
        module: (lambda module=module: float(run(IMPORT.format(module=module))))
        for module in ("numba", "depthraster")
    }
    taken: dict[str, list[float]] = {f"import {module}": [] for module in imports}
    for number in range(repeats + 1):
        for module, job in imports.items():
            seconds = job()
            if number:
                taken[f"import {module}"].append(seconds)
    render = RENDER.format(folder=str(Path(__file__).resolve().parent))
    names = ("first render, compiling", "first render, from the cache", "second render")
    taken |= {name: [] for name in names}
    for _ in range(n_compiles):
        with tempfile.TemporaryDirectory() as cache:
            compiling = json.loads(run(render, NUMBA_CACHE_DIR=cache))
            taken[names[0]].append(compiling["first"])
            for _ in range(repeats):
                cached = json.loads(run(render, NUMBA_CACHE_DIR=cache))
                taken[names[1]].append(cached["first"])
                taken[names[2]].append(cached["second"])
    return {name: harness.summary(values) for name, values in taken.items()}


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=7, help="imports, and renders from each cache (default 7)"
    )
    parser.add_argument(
        "--compiles", type=int, default=1, help="times everything is compiled anew (default 1)"
    )
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    results = measure(arguments.repeats, arguments.compiles)
    print()
    rows = [
        (name, *(harness.seconds(values[key]) for key in ("median", "min", "max")))
        for name, values in results.items()
    ]
    print(harness.table(("what", "median", "min", "max"), rows))
    ratio = results["import depthraster"]["median"] / results["import numba"]["median"]
    more = results["first render, from the cache"]["median"] - results["second render"]["median"]
    print(f"\nimport depthraster takes {ratio:.2f} times as long as import numba")
    print(f"the first render from the cache takes {harness.seconds(more)} more than the second")
    harness.write_json(arguments.json, "cold_start", machine, results)


if __name__ == "__main__":
    main()
