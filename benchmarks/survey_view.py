"""The main benchmark: a 24-megapixel survey photo of a terrain, beside Open3D casting the same rays.

Images are compared before anything is timed. The jobs run in turn, round after round; times are medians.
Memory is measured in a process of its own.
"""

from __future__ import annotations

import argparse
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
from peers import open3d_rays as peer


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--faces",
        type=float,
        action="append",
        help="faces of the terrain; may be repeated (default 1e6 and 1e7)",
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default 5)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="scale of the image: 1 is 6000 × 4000 (default 1)"
    )
    parser.add_argument("--threads", type=int, help="threads of ours (default: all processors)")
    parser.add_argument("--shuffle", action="store_true", help="faces in random order")
    parser.add_argument("--no-open3d", action="store_true", help="leave the peer out")
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument("--json", help="file for the results")
    # What the process that measures memory is told.
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.faces = [int(n) for n in arguments.faces or (1e6, 1e7)]
    return arguments


def measure(n_faces: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare, then time, one size of terrain."""
    view = scenes.survey_view(n_faces, arguments.scale, arguments.shuffle)
    mesh = (view.vertices, view.faces)
    where = (view.transform, view.calibration)
    threads = {"threads": arguments.threads}
    scene = dr.Scene(*mesh, threads=arguments.threads)
    layers = dr.render(scene, *where, layers=("depth", "face_index"), **threads)
    assert layers.face_index is not None
    results: dict[str, Any] = {
        "n_faces": len(view.faces),
        "width": view.calibration.width,
        "height": view.calibration.height,
        "scene_bytes_per_face": scene.nbytes / scene.n_faces,
        "empty_pixels": int((layers.face_index < 0).sum()),
    }
    out = dr.render_depth(scene, *where, **threads)
    if not np.array_equal(out[..., 0], layers.depth):
        raise SystemExit("render_depth and render disagree: nothing is timed")
    if results["empty_pixels"]:
        raise SystemExit(
            f"{results['empty_pixels']} pixels are empty, the terrain fills the image: nothing is timed"
        )

    jobs = {
        "prepared scene, fresh output": lambda: dr.render_depth(scene, *where, **threads),
        "prepared scene, out=": lambda: dr.render_depth(scene, *where, out=out, **threads),
        "preparing the scene": lambda: dr.Scene(*mesh, threads=arguments.threads),
        "arrays to image": lambda: dr.render_depth(mesh, *where, **threads),
    }
    if not arguments.no_open3d:
        other = peer.View3D(view)
        built = other.build()
        difference = peer.compare(view, layers, other.cast(built))
        results["difference"] = difference._asdict()
        # Both images of the same rays: more than this is no rounding, and times would be of something else.
        if difference.coverage > max(5, difference.pixels // 1_000_000):
            raise SystemExit(f"coverage differs in {difference.coverage} pixels: nothing is timed")
        jobs["Open3D, casting"] = lambda: other.cast(built)
        jobs["Open3D, building"] = other.build
        jobs["Open3D, building and casting"] = lambda: other.cast(other.build())
    del layers
    results["seconds"] = {
        name: harness.summary(values) for name, values in harness.interleaved(jobs, arguments.repeats).items()
    }
    return results


def ratios(results: dict[str, Any]) -> dict[str, float]:
    """Return how many times as long Open3D takes as we do, of medians."""
    seconds = {name: values["median"] for name, values in results["seconds"].items()}
    if "Open3D, casting" not in seconds:
        return {}
    return {
        "prepared scene, fresh output": seconds["Open3D, casting"] / seconds["prepared scene, fresh output"],
        "prepared scene, out=": seconds["Open3D, casting"] / seconds["prepared scene, out="],
        "preparing the scene": seconds["Open3D, building"] / seconds["preparing the scene"],
        "arrays to image": seconds["Open3D, building and casting"] / seconds["arrays to image"],
    }


def memory(n_faces: int, arguments: argparse.Namespace) -> dict[str, int]:
    """Return the bytes taken at the peak beyond the caller's arrays and the output."""
    view = scenes.survey_view(n_faces, arguments.scale, arguments.shuffle)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "vertices.npy"), view.vertices)
        np.save(Path(folder, "faces.npy"), view.faces)
        np.save(Path(folder, "transform.npy"), view.transform)
        del view
        command = [sys.executable, __file__, "--memory-of", folder, "--scale", str(arguments.scale)]
        if arguments.threads is not None:
            command += ["--threads", str(arguments.threads)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    prepare, both = (int(number) for number in text.split())
    return {"prepare": prepare, "prepare_and_render": both}


def measure_memory(folder: Path, scale: float, threads: int | None) -> None:
    """Print what `memory` returns: the peak after preparing, and at the end."""
    # Compiled code and the libraries are there before the caller's arrays are.
    tiny = scenes.survey_view(1000, 0.05)
    dr.render_depth((tiny.vertices, tiny.faces), tiny.transform, tiny.calibration)
    vertices, faces, transform = (
        np.load(folder / f"{name}.npy") for name in ("vertices", "faces", "transform")
    )
    calibration = scenes.survey_calibration(scale)
    out = np.ones((calibration.height, calibration.width, 2), np.float32)
    before = resident_memory()
    scene = dr.Scene(vertices, faces, threads=threads)
    prepared = peak_memory()
    dr.render_depth(scene, transform, calibration, threads=threads, out=out)
    print(prepared - before, peak_memory() - before)


def peak_memory() -> int:
    """Return the most memory this process has had resident so far, bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose ru_maxrss begins with that of the process that started this one
        return next(int(line.split()[1]) * 1024 for line in status.open() if line.startswith("VmHWM"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def resident_memory() -> int:
    """Return the bytes this process has resident now; where the system does not say, the peak so far."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_memory()


def show(results: dict[str, Any]) -> None:
    """Print one size's results."""
    print(f"\n{results['n_faces']:,} faces, {results['width']} × {results['height']} pixels")
    if "difference" in results:
        d = results["difference"]
        print(
            f"against Open3D: coverage differs in {d['coverage']} of {d['pixels']:,} pixels "
            f"({d['coverage_beyond_edges']} beyond {peer.EDGE} px of an edge), "
            f"face index in {d['face_index']} ({d['face_index_beyond_edges']} beyond); "
            f"depth differs by {d['depth_median']:.1e} (median), {d['depth_max']:.1e} (most)"
        )
    if "memory" in results:
        peak = results["memory"]["prepare_and_render"]
        print(
            f"memory at the peak, beyond arrays and output: {peak / 1e6:.0f} MB, "
            f"the scene keeps {results['scene_bytes_per_face']:.1f} bytes per face"
        )
    rows = []
    for name, values in results["seconds"].items():
        ratio = results["ratios"].get(name)
        rows.append(
            (
                name,
                harness.seconds(values["median"]),
                harness.seconds(values["min"]),
                harness.seconds(values["max"]),
                f"{results['n_faces'] / values['median'] / 1e6:.3g} M",
                f"{ratio:.1f}" if ratio else "",
            )
        )
    print()
    print(harness.table(("what", "median", "min", "max", "faces/s", "Open3D's time / ours"), rows))


def main() -> None:
    """Run."""
    arguments = parse()
    if arguments.memory_of is not None:
        measure_memory(arguments.memory_of, arguments.scale, arguments.threads)
        return
    if not arguments.no_open3d and not peer.is_installed():
        print('Open3D is not installed (pip install -e ".[bench]"): without the peer')
        arguments.no_open3d = True
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    everything = []
    for n_faces in arguments.faces:
        results = measure(n_faces, arguments)
        results["ratios"] = ratios(results)
        if not arguments.no_memory:
            results["memory"] = memory(n_faces, arguments)
        show(results)
        everything.append(results)
    harness.write_json(arguments.json, "survey_view", machine, everything)


if __name__ == "__main__":
    main()
