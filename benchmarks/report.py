"""Run the benchmarks of docs/benchmarks.md and put what they say into it: tables, plots, the machine's name.

``python benchmarks/report.py`` runs everything at full size, for about an hour; ``--only many_views limits`` runs some.
Between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` the page has what the benchmark of that name printed, beside it in
``docs/benchmarks/`` lie the results as JSON. ``--from-results`` fills the page again from those, without measuring.
``--quick`` runs all at small sizes into a folder of its own and leaves the page as it is.

The commonest change is another benchmark: a line in `RUNS`, and its marks in the page.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import compare
import harness
import plots

HERE = Path(__file__).resolve().parent
OURS = compare.OURS
PAGE = HERE.parent / "docs" / "benchmarks.md"
RESULTS = PAGE.with_suffix("")

# Script, arguments, and those of a quick run.
RUNS: dict[str, tuple[list[str], list[str]]] = {
    "limits": ([], ["--faces", "1e5", "--scale", "0.2", "--repeats", "3"]),
    "part_of_scene": ([], ["--faces", "3e5", "--scale", "0.2", "--repeats", "3"]),
    "open_scene": ([], ["--faces", "3e5", "--scale", "0.2", "--repeats", "2"]),
    "occlusion": ([], ["--faces", "3e5", "--scale", "0.2", "--views", "2", "--repeats", "2"]),
    "many_views": ([], ["--faces", "3e5", "--views", "15", "--megapixels", "1"]),
    "layers": (["--repeats", "9"], ["--faces", "3e5", "--scale", "0.2", "--repeats", "3"]),
    "visibility": ([], ["--faces", "3e4", "--points", "3e4", "--cameras", "4", "--repeats", "2"]),
    "picking": ([], ["--level", "5", "--rays", "3e4", "--repeats", "2"]),
    "assembly": (["--also", "AVX2", "NEON", "NEON, Apple M1"], []),
    "compare": ([], ["--quick", "--rounds", "2", "--budget", "2"]),
}


def run(name: str, quick: bool, folder: Path) -> int:
    """Run a benchmark; its results and what it printed go to the folder."""
    command = [
        sys.executable,
        str(HERE / f"{name}.py"),
        *RUNS[name][quick],
        "--json",
        str(folder / f"{name}.json"),
    ]
    print(f"\n== {name}, load {os.getloadavg()[0]:.1f}", flush=True)
    begun, lines = time.perf_counter(), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    print(f"== {name}: {time.perf_counter() - begun:.0f} s", flush=True)
    if process.returncode == 0 or (folder / f"{name}.json").exists():
        document = json.loads((folder / f"{name}.json").read_text())
        # Without the machine, which stands above, and the file's name.
        document["printed"] = "".join(line for line in lines[1:] if not line.startswith("written: ")).strip()
        document["load"] = os.getloadavg()[0]
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return process.returncode


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the results that lie in the folder, by benchmark."""
    return {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in RUNS
        if (folder / f"{name}.json").exists()
    }


def sections(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return what belongs between each pair of marks."""
    texts = {}
    for name, document in found.items():
        if name == "compare":
            results = document["results"]
            for kind in ("faces", "pixels", "survey"):
                texts[f"compare {kind}"] = "\n\n".join(
                    f"**{compare.where(case)}**{_seen(case)}\n\n{compare.table(case)}"
                    for case in results[kind]
                )
            cases = compare.distinct(results)
            texts["compare losses"] = compare.losses(cases) or "Nowhere, in this run."
            texts["compare absences"] = (
                "\n".join(f"* {reason}" for reason in compare.absences(cases)) or "None was missing."
            )
            abouts = {
                result["about"]: None
                for case in cases
                for result in case["peers"].values()
                if "about" in result
            }
            texts["compare who"] = "\n".join(f"* {about}" for about in abouts)
            loads = [case["load"][0] for case in cases]
            texts["compare machine"] = (
                f"{harness.machine_line(document['machine'])}. Load of the machine before each case "
                f"(processes that want to run; 0 is quiet): {min(loads):.1f} to {max(loads):.1f}."
            )
        else:
            of = document["machine"]
            machine = f"{of['cpu']}, {of['cores']} cores, {of['date']}, load {document['load']:.1f}."
            texts[name] = f"{machine}\n\n{document['printed']}"
    texts["bars"] = bars(found)
    return texts


def _seen(case: dict[str, Any]) -> str:
    if "seen" not in case:
        return ""
    return f", of which each sees {case['seen'][0]:.1%} to {case['seen'][1]:.1%}"


class Asked(NamedTuple):
    """Something that is asked of the library."""

    title: str
    limit: float
    at_least: bool  # else at most
    value: Callable[[], float]  # KeyError where it was not measured
    text: Callable[[float], str]


def bars(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of what is asked, and what was measured."""

    def of(name: str) -> Any:
        return found[name]["results"]

    def row(n_faces: float, name: str) -> dict[str, Any]:
        for case in of("compare")["faces"]:
            for found_row in compare.summary(case):
                if abs(case["n_faces"] / n_faces - 1) < 0.05 and found_row["name"] == name:
                    return found_row
        raise KeyError(name)

    def pinhole(n_faces: float) -> float:
        return min(float(row(n_faces, name)["render_ratio"]) for name in ("llvmpipe", "llvmpipe-colour"))

    def opening() -> float:
        return float(of("open_scene")["warm"]["more"]["median"])

    def survey() -> float:
        return float(of("many_views")["throughput"])

    def of_depth(name: str) -> float:
        return float(of("layers")["layers"][name]["of_depth_alone"])

    def rays() -> float:
        return float(of("visibility")["times_faster"]["Embree, all points"][0])

    def agreement() -> float:
        return float(of("visibility")["agreement"])

    def times(value: float) -> str:
        return f"{value:.1f} ×"

    def fine(value: float) -> str:
        return f"{value:.2f} ×"

    def images(value: float) -> str:
        return f"{value:.1f}"

    def share(value: float) -> str:
        return f"{value:.0%}"

    def hundredths(value: float) -> str:
        return f"{value:.2%}"

    ten, one, image, whole = 1e7, 1e6, "render_ratio", "from_arrays_ratio"
    asked = [
        Asked("10 M faces, prepared: Open3D casting / ours", 20.0, True, lambda: row(ten, "open3d")[image], times),
        Asked("10 M faces, arrays to image: Open3D / ours", 15.0, True, lambda: row(ten, "open3d")[whole], times),
        Asked("10 M faces, prepared: llvmpipe's pinhole / ours", 5.0, True, lambda: pinhole(ten), times),
        Asked("1 M faces, prepared: llvmpipe's pinhole / ours", 3.0, True, lambda: pinhole(one), times),
        Asked("10 M faces, 24 MP, prepared, `out=`", 0.11, False, lambda: row(ten, OURS)["render"], harness.seconds),
        Asked("3 % of a terrain / a mesh of only that", 1.15, False, lambda: of("part_of_scene")["ratio"], fine),
        Asked("building of rooms: without occlusion / with", 2.0, True, lambda: of("occlusion")["ratio"], times),
        Asked("survey: speed of `render_views` / single views, fresh memory", 0.9, True, survey, share),
        Asked("survey: images in memory beyond the scene", 6.0, False, lambda: of("many_views")["peak_images"], images),
        Asked("opening a saved scene and its first image, more than a warm image", 0.5, False, opening, harness.seconds),
        Asked("depth and face index / depth alone, 10 M faces", 1.35, False, lambda: of_depth("depth, face_index"), fine),
        Asked("all layers / depth alone, 10 M faces", 3.0, False, lambda: of_depth("all layers"), fine),
        Asked("1 M points, 20 cameras: casting Embree's rays / `visibility_table`", 5.0, True, rays, times),
        Asked("and the same answer, away from edges", 0.9999, True, agreement, hundredths),
    ]  # fmt: skip
    rows = []
    for one_of in asked:
        limit = ("≥ " if one_of.at_least else "≤ ") + one_of.text(one_of.limit)
        try:
            measured = one_of.value()
        except KeyError:
            rows.append((one_of.title, limit, "not measured", ""))
            continue
        met = measured >= one_of.limit if one_of.at_least else measured <= one_of.limit
        rows.append((one_of.title, limit, one_of.text(measured), "yes" if met else "**no**"))
    return harness.table(("what", "asked", "measured", "met"), rows)


def fill(page: str, texts: dict[str, str]) -> str:
    """Return the page with each text between its marks; a text without marks is an error."""
    for name, text in texts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        page, n = re.subn(
            f"{re.escape(begin)}.*?{re.escape(end)}",
            lambda _, t=text, b=begin, e=end: f"{b}\n{t}\n{e}",
            page,
            flags=re.DOTALL,
        )
        if n != 1:
            raise SystemExit(f"{PAGE.name} has the marks of {name!r} {n} times; once is needed")
    return page


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS), help="benchmarks to run")
    parser.add_argument("--quick", action="store_true", help="small sizes, and the page stays as it is")
    parser.add_argument("--from-results", action="store_true", help="fill the page from kept results")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="benchmarks-")) if arguments.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    codes = {}
    if not arguments.from_results:
        codes = {name: run(name, arguments.quick, folder) for name in arguments.only}
    found = read(folder)
    texts = sections(found)
    if "compare" in found:
        plots.draw(found["compare"], folder)
    page = fill(PAGE.read_text(), texts)
    if arguments.quick:
        (folder / PAGE.name).write_text(page)
        print(f"\nthe page of this quick run: {folder / PAGE.name}")
    else:
        PAGE.write_text(page)
    if failed := [name for name, code in codes.items() if code]:
        raise SystemExit(f"ended with an error: {', '.join(failed)}")


if __name__ == "__main__":
    main()
