"""What each stage of preparing and rendering takes, on one thread, in the survey view.

The pipeline itself runs, tile by tile; its stages are timed by putting a clock around the functions that `render` and
`Scene` call. The list of them is `STAGES`: a stage that is renamed there is renamed here.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import depthraster as dr
import harness
import scenes
from depthraster import pipeline

# Module, function, what it does.
STAGES = (
    ("depthraster.scene", "faces_in_order", "prepare: keys and sort"),
    ("depthraster.scene", "_lattice", "prepare: choose the lattice"),
    ("depthraster.scene", "_clustered", "prepare: build the clusters"),
    ("depthraster.scene", "_joined", "prepare: join them"),
    ("depthraster.pipeline", "ray_grid", "view: coarse grid of rays"),
    ("depthraster.pipeline", "turned_tiles", "view: tiles of a wide lens"),
    ("depthraster.pipeline", "fill_rays", "tiles: rays"),
    ("depthraster.pipeline", "bound_rays", "tiles: bounds of the rays"),
    ("depthraster.pipeline", "clusters_in_tile", "tiles: select clusters"),
    ("depthraster.pipeline", "front_to_back", "tiles: look what hides what"),
    ("depthraster.pipeline", "draw_clusters", "tiles: set-up and coverage"),
    ("depthraster.pipeline", "resolve_tile", "tiles: depth and alpha out"),
)


@contextmanager
def clocks(spent: dict[str, float]) -> Iterator[None]:
    """Add up, while it holds, the seconds in every stage."""
    originals: list[tuple[Any, str, Any]] = [(pipeline, "TOGETHER", pipeline.TOGETHER)]
    pipeline.TOGETHER = False
    for module_name, name, title in STAGES:
        module = importlib.import_module(module_name)
        original = getattr(module, name)
        originals.append((module, name, original))
        setattr(module, name, _timed(original, title, spent))
    try:
        yield
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


def _timed(function: Callable[..., Any], title: str, spent: dict[str, float]) -> Callable[..., Any]:
    def run(*arguments: Any, **keywords: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            spent[title] = spent.get(title, 0.0) + time.perf_counter() - start

    return run


def measure(n_faces: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Time the stages of one size of terrain."""
    view = scenes.survey_view(n_faces, arguments.scale, arguments.shuffle)
    mesh, where = (view.vertices, view.faces), (view.transform, view.calibration)
    out = dr.render_depth(mesh, *where, threads=1)
    if not (out[..., 1] == 1.0).all():
        raise SystemExit("the terrain fills the image, but pixels are empty: nothing is timed")
    rounds: list[dict[str, float]] = []
    for _ in range(arguments.repeats):
        spent: dict[str, float] = {}
        with clocks(spent):
            prepare, scene = harness.clock(lambda: dr.Scene(*mesh, threads=1))
            render = harness.clock(lambda scene=scene: dr.render_depth(scene, *where, threads=1, out=out))[0]
        parts = sum(seconds for title, seconds in spent.items() if title.startswith("prepare"))
        spent["prepare: all else"] = prepare - parts
        spent["render: all else"] = render - (sum(spent.values()) - prepare)
        spent["prepare, together"], spent["render, together"] = prepare, render
        rounds.append(spent)
    return {
        "n_faces": len(view.faces),
        "pixels": view.calibration.width * view.calibration.height,
        "seconds": {title: harness.summary([spent[title] for spent in rounds]) for title in rounds[0]},
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--faces", type=float, action="append", help="faces; may be repeated (default 1e6 and 1e7)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="scale of the image: 1 is 6000 × 4000 (default 1)"
    )
    parser.add_argument("--shuffle", action="store_true", help="faces in random order")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    everything = []
    for n_faces in arguments.faces or (1e6, 1e7):
        results = measure(int(n_faces), arguments)
        everything.append(results)
        rows = [
            (
                title,
                harness.seconds(values["median"]),
                f"{values['median'] / results['n_faces'] * 1e9:.2f}",
                f"{values['median'] / results['pixels'] * 1e9:.2f}",
            )
            for title, values in sorted(results["seconds"].items())
        ]
        print(f"\n{results['n_faces']:,} faces, {results['pixels']:,} pixels, one thread\n")
        print(harness.table(("stage", "median", "ns per face", "ns per pixel"), rows))
    harness.write_json(arguments.json, "stages", machine, everything)


if __name__ == "__main__":
    main()
