"""What `Model.renderDepth` of the façade costs beyond `render_depth`, on a 24-megapixel photo of a terrain.

Each call's own share is timed: all of it less the render_depth inside. The images are compared first.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import depthraster as dr
import depthraster.metashape as Metashape
import depthraster.metashape.model as module
import harness
import scenes
from depthraster.io.meshes import Mesh


def main() -> None:
    """Compare, time, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=float, default=1e6, help="faces of the terrain (default 1e6)")
    parser.add_argument("--repeats", type=int, default=9, help="calls (default 9)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    view = scenes.survey_view(int(arguments.faces))

    chunk = Metashape.Document().addChunk()
    prepared = []

    def load() -> Mesh:
        prepared.append(1)
        return Mesh(view.vertices, view.faces)

    model = Metashape.Model(chunk, 0, "terrain", load)
    camera = chunk.addCamera()
    camera.sensor.calibration = calibration = Metashape.Calibration._of(view.calibration)
    camera.transform = Metashape.Matrix(view.transform)
    image = np.asarray(model.renderDepth(camera.transform, calibration))
    if not np.array_equal(image, dr.render_depth(model._prepared(), view.transform, view.calibration)):
        raise SystemExit("the images differ: nothing is timed")

    inside: list[float] = []

    def timed(*given: Any, **options: Any) -> Any:
        seconds, result = harness.clock(lambda: dr.render_depth(*given, **options))
        inside.append(seconds)
        return result

    module.render_depth = timed
    whole = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        model.renderDepth(camera.transform, camera.sensor.calibration)
        whole.append(time.perf_counter() - start)
    overhead = [a - b for a, b in zip(whole, inside, strict=True)]
    results = {
        "width": view.calibration.width,
        "height": view.calibration.height,
        "n_faces": len(view.faces),
        "prepared": len(prepared),
        "overhead": harness.summary(overhead),
        "render_depth": harness.summary(inside),
    }
    print(harness.machine_line(machine))
    print(
        harness.table(
            ["what", "median", "greatest"],
            [
                [name, harness.seconds(results[name]["median"]), harness.seconds(results[name]["max"])]
                for name in ("render_depth", "overhead")
            ],
        )
    )
    print(f"the mesh was prepared {len(prepared)} time(s) for {arguments.repeats + 1} images")
    harness.write_json(arguments.json, "facade", machine, results)


if __name__ == "__main__":
    main()
