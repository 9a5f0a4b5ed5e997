"""The same depth images by depthraster and its peers: meshes of many sizes, images of many sizes, and a survey.

Each peer is asked in the way that suits it best (``peers``), its image is checked in windows against the slow twin of the
tests before it is timed (``checking.py``), and it runs in a process of its own beside depthraster, in turn, so that both
meet the same moments of the machine (``contest.py``). Timed is what leads from a prepared mesh, and from arrays, to a
float32 array of depths in the host's memory. Times are medians, ratios are medians of rounds.

Peers that cannot be had are skipped, with the reason. ``--json`` keeps the results, from which ``plots.py`` draws and
``report.py`` fills ``docs/benchmarks.md``. ``--quick`` tries everything out at small sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import contest
import harness
import peers
import scenes

OURS = contest.OURS


class Sizes(NamedTuple):
    """What is measured."""

    faces: tuple[float, ...]  # of the terrain, one view of `view_megapixels`
    view_megapixels: float
    megapixels: tuple[float, ...]  # of one view of a terrain of `image_faces`
    image_faces: float
    survey_faces: float
    survey_views: int
    survey_megapixels: float


FULL = Sizes((1e4, 1e5, 1e6, 1e7, 2e7), 24.0, (1.0, 6.0, 24.0, 100.0), 1e6, 2e7, 100, 12.0)
QUICK = Sizes((1e4, 1e5), 1.0, (0.5, 1.0), 1e5, 3e5, 12, 0.5)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see whether all runs")
    parser.add_argument(
        "--only", nargs="+", choices=("faces", "pixels", "survey"), default=["faces", "pixels", "survey"]
    )
    parser.add_argument(
        "--faces", nargs="+", type=float, help="sizes of the mesh, instead of those of a full run"
    )
    parser.add_argument("--megapixels", nargs="+", type=float, help="sizes of the image, likewise")
    parser.add_argument("--peers", nargs="+", choices=list(peers.PEERS), default=list(peers.PEERS))
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument(
        "--budget",
        type=float,
        default=15.0,
        help="seconds after which a slow peer begins no further round (15)",
    )
    parser.add_argument("--json", help="file for the results")
    return parser.parse_args()


def contested(
    folder: Path, arguments: argparse.Namespace, facts: dict[str, Any], budget: float
) -> dict[str, Any]:
    """Let every peer have a go at the case in the folder."""
    results: dict[str, Any] = facts | {"load": os.getloadavg(), "peers": {}}
    for name in arguments.peers:
        command = [sys.executable, str(Path(__file__).with_name("contest.py")), str(folder), name]
        command += ["--rounds", str(arguments.rounds), "--budget", str(budget)]
        done = subprocess.run(command, capture_output=True, text=True)
        file = folder / f"{name}.json"
        if done.returncode == 0 and file.exists():
            results["peers"][name] = json.loads(file.read_text())
        else:
            last = re.sub(
                r"\x1b\[[0-9;]*m", "", (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            )
            results["peers"][name] = {"failed": f"it ended with {done.returncode}: {last}"}
        print(f"  {peers.PEERS[name].title}: {_in_short(results['peers'][name])}", flush=True)
    return results


def _in_short(result: dict[str, Any]) -> str:
    for word in ("skipped", "refused", "failed"):
        if word in result:
            return f"{word}, {result[word]}"
    times = next(iter(result["render"].values()))
    return f"{harness.seconds(harness.median(times))}, {len(times)} times"


def one_view(n_faces: float, megapixels: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare one view of a terrain that fills it."""
    view = scenes.survey_view(int(n_faces), float(np.sqrt(megapixels / 24.0)))
    c = view.calibration
    facts = {"n_faces": len(view.faces), "width": c.width, "height": c.height, "n_views": 1}
    print(f"\n{len(view.faces):,} faces, {c.width} × {c.height} pixels", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        contest.write_case(
            Path(folder), view.vertices, view.faces, view.transform[:3, 3], view.transform[None], c, [0]
        )
        del view
        return contested(Path(folder), arguments, facts, arguments.budget)


def _is(case: dict[str, Any], n_faces: float, megapixels: float) -> bool:
    """Return whether a case is of a mesh and an image of about these sizes."""
    pixels = case["width"] * case["height"] / 1e6
    return abs(case["n_faces"] / n_faces - 1) < 0.05 and abs(pixels / megapixels - 1) < 0.05


def survey(sizes: Sizes, arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare a survey of a terrain of which each view sees a few percent."""
    flight = scenes.survey_flight(
        int(sizes.survey_faces), sizes.survey_views, float(np.sqrt(sizes.survey_megapixels / 24.0))
    )
    c, n = flight.calibration, len(flight.transforms)
    checked = sorted({0, n // 2, n - 1})
    shares = [
        scenes.faces_in_view(scenes.View(flight.vertices, flight.faces, flight.transforms[i], c))
        for i in checked
    ]
    facts = {
        "n_faces": len(flight.faces), "width": c.width, "height": c.height, "n_views": n,
        "seen": [min(shares), max(shares)],
    }  # fmt: skip
    print(
        f"\n{n} views of {len(flight.faces):,} faces, {c.width} × {c.height} pixels, "
        f"{min(shares):.1%} to {max(shares):.1%} of the faces in view",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        middle = 0.5 * (flight.vertices.min(axis=0) + flight.vertices.max(axis=0))
        contest.write_case(Path(folder), flight.vertices, flight.faces, middle, flight.transforms, c, checked)
        del flight
        return contested(Path(folder), arguments, facts, 8 * arguments.budget)


def summary(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each peer that was timed its medians, ours beside it, the ratios of rounds, and the worst errors."""
    rows = []
    for name, result in case["peers"].items():
        if "render" not in result:
            continue
        row: dict[str, Any] = {"name": name}
        for what in ("render", "busy", "from_arrays"):
            times = result.get(what)
            if not times:
                continue
            # Ours is timed beside everyone, so of all moments; the others' only of their own.
            runs = case["peers"].values() if name == OURS else [result]
            row[what] = harness.median([t for run in runs for t in run.get(what, {}).get(name, [])])
            row[f"{what}_ratio"] = harness.median(
                [a / b for a, b in zip(times[name], times[OURS], strict=True)]
            )
            row[f"{what}_ours"] = harness.median(times[OURS])
            row[f"n_{what}"] = len(times[name])
        errors = result["errors"]
        row["pixels"] = sum(e["pixels"] for e in errors)
        row["wrong"] = sum(e["coverage"] for e in errors)
        row["holes"] = sum(e["holes"] for e in errors)
        row["p99"] = max(e["depth_p99"] for e in errors)
        row["max"] = max(e["depth_max"] for e in errors)
        rows.append(row)
    return rows


def table(case: dict[str, Any]) -> str:
    """Return a case as a table in Markdown."""
    rows = []
    for row in summary(case):
        ours = row["name"] == OURS
        cells = [peers.PEERS[row["name"]].title, harness.seconds(row["render"])]
        cells += ["" if ours else _ratio(row["render_ratio"]), "" if ours else _ratio(row["busy_ratio"])]
        if case["n_views"] == 1:
            cells += [harness.seconds(row["from_arrays"]), "" if ours else _ratio(row["from_arrays_ratio"])]
        else:
            cells += [str(row["n_render"])]
        cells += [f"{row['wrong']} of {row['pixels']:,}", f"{row['p99']:.1e}", f"{row['max']:.1e}"]
        rows.append(cells)
    headings = ["who", "prepared", "its time / ours", "by processors' time"]
    headings += ["from arrays", "its time / ours"] if case["n_views"] == 1 else ["views timed"]
    headings += ["wrong pixels", "depth error, 99 %", "most"]
    if not rows:
        return "nobody was timed"
    return harness.table(headings, rows)


def _ratio(value: float) -> str:
    """Return a ratio as text; one below 1 stands out, for there we lose."""
    text = f"{value:.1f}" if value >= 1.95 else f"{value:.2f}"
    return text if value >= 1.0 else f"**{text}**"


def where(case: dict[str, Any]) -> str:
    """Return what a case is, in words."""
    views = f", survey of {case['n_views']} views" if case["n_views"] > 1 else ""
    return f"{case['n_faces']:,} faces, {case['width'] * case['height'] / 1e6:.3g} MP{views}"


def distinct(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all cases, once each."""
    cases = [case for kind in ("faces", "pixels", "survey") for case in results[kind]]
    return [case for i, case in enumerate(cases) if case not in cases[:i]]


def absences(cases: list[dict[str, Any]]) -> list[str]:
    """Return a sentence on each peer that was not timed, and why."""
    said: dict[str, list[str]] = {}
    for case in cases:
        for name, result in case["peers"].items():
            for word in ("skipped", "refused", "failed"):
                if word in result:
                    said.setdefault(f"{peers.PEERS[name].title} {word}: {result[word]}", []).append(
                        where(case)
                    )
    return [
        reason if len(places) == len(cases) else f"{reason} ({'; '.join(places)})"
        for reason, places in said.items()
    ]


def losses(cases: list[dict[str, Any]]) -> str:
    """Return a table of where a peer is faster than we are; an empty text where none is."""
    rows = [
        [where(case), title, peers.PEERS[row["name"]].title, harness.seconds(row[what]),
         harness.seconds(row[f"{what}_ours"]), f"{1 / row[f'{what}_ratio']:.2f}"]
        for what, title in (("render", "prepared"), ("from_arrays", "from arrays"))
        for case in cases
        for row in summary(case)
        if row["name"] != OURS and row.get(f"{what}_ratio", 1.0) < 1.0
    ]  # fmt: skip
    if not rows:
        return ""
    return harness.table(["what", "from", "who is faster", "its time", "ours", "ours / its time"], rows)


def main() -> None:
    """Run."""
    arguments = parse()
    if OURS not in arguments.peers:
        arguments.peers = [OURS, *arguments.peers]
    sizes = QUICK if arguments.quick else FULL
    sizes = sizes._replace(
        faces=tuple(arguments.faces or sizes.faces),
        megapixels=tuple(arguments.megapixels or sizes.megapixels),
    )
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    results: dict[str, Any] = {"faces": [], "pixels": [], "survey": []}

    def keep() -> None:  # after each case, so that an interrupted run has what it came to
        harness.write_json(arguments.json, "compare", machine, results, say=False)

    if "faces" in arguments.only:
        for n_faces in sizes.faces:
            results["faces"].append(one_view(n_faces, sizes.view_megapixels, arguments))
            print("\n" + table(results["faces"][-1]), flush=True)
            keep()
    if "pixels" in arguments.only:
        same = [case for case in results["faces"] if _is(case, sizes.image_faces, sizes.view_megapixels)]
        for megapixels in sizes.megapixels:
            if same and megapixels == sizes.view_megapixels:
                results["pixels"].append(same[0])
                continue
            results["pixels"].append(one_view(sizes.image_faces, megapixels, arguments))
            print("\n" + table(results["pixels"][-1]), flush=True)
            keep()
    if "survey" in arguments.only:
        results["survey"].append(survey(sizes, arguments))
        print("\n" + table(results["survey"][-1]), flush=True)
    for reason in absences(distinct(results)):
        print(f"* {reason}")
    print("\nWhere we lose:\n\n" + (losses(distinct(results)) or "nowhere"))
    harness.write_json(arguments.json, "compare", machine, results)


if __name__ == "__main__":
    main()
