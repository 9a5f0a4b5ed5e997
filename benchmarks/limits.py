"""How far a view is from what the machine's memory allows, and what speaks for and against more threads.

A view's tiles are watched on one thread: how long each takes, and how many clusters, faces and bytes it is given. From that
follow

* the bytes that have to move, each cluster once and the image once, and the time they take at the streaming bandwidth that
  is measured in the same run: no renderer that looks at this mesh and writes this image is faster;
* how tiles, taken by threads as they come, would fill 2 to 64 threads: when the last thread is done, from the tiles' own
  times, what is done once per view, and how long threads take to start, all measured; and the bandwidth that would be
  asked of the memory. It is what the distribution of work allows, not a promise: shared caches, clocks and memory of a
  larger machine are not known here. For 2 threads it stands beside what is measured.
"""

from __future__ import annotations

import argparse
import heapq
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

import depthraster as dr
import harness
import scenes
from depthraster import pipeline, workroom
from depthraster.scene import thread_count

THREADS = (1, 2, 4, 8, 16, 32, 64)
_ARRAY = 1 << 28  # bytes of each array that is streamed through, far beyond caches


@numba.njit(nogil=True)
def _sum(values: Any) -> Any:
    total = 0
    for value in values:
        total += value
    return total


def bandwidth(threads: int, repeats: int) -> dict[str, float]:
    """Return bytes per second that threads together read, write and copy (counted both ways)."""
    source = [np.arange(_ARRAY // 8, dtype=np.int64) for _ in range(threads)]
    target = [np.ones(_ARRAY // 8, np.int64) for _ in range(threads)]
    _sum(source[0][:8])
    work: dict[str, tuple[int, Callable[[int], Any]]] = {
        "read": (1, lambda i: _sum(source[i])),
        "write": (1, lambda i: target[i].fill(7)),
        "copy": (2, lambda i: np.copyto(target[i], source[i])),
    }
    with ThreadPoolExecutor(threads) as pool:
        jobs = {
            name: lambda each=each: list(pool.map(each, range(threads))) for name, (_, each) in work.items()
        }
        times = harness.interleaved(jobs, repeats)
    return {name: work[name][0] * threads * _ARRAY / min(values) for name, values in times.items()}


class Watched:
    """What the tiles of one view did, in their order."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.clusters: list[npt.NDArray[np.int32]] = []


@contextmanager
def watching(watched: Watched) -> Iterator[None]:
    """Note, while it holds, what tiles are given and how long they take; renders must use one thread.

    For that tiles are drawn one by one, by the same kernels.
    """
    together = pipeline.TOGETHER
    begin, select, end = pipeline.fill_rays, pipeline.clusters_in_tile, pipeline.resolve_tile
    begun = 0.0

    def fill(*arguments: Any) -> Any:
        nonlocal begun
        begun = time.perf_counter()
        return begin(*arguments)

    def chosen(*arguments: Any) -> Any:
        n = select(*arguments)
        watched.clusters.append(arguments[-1][:n].copy())
        return n

    def resolve(*arguments: Any) -> Any:
        result = end(*arguments)
        watched.seconds.append(time.perf_counter() - begun)
        return result

    pipeline.fill_rays, pipeline.clusters_in_tile, pipeline.resolve_tile = fill, chosen, resolve
    pipeline.TOGETHER = False
    try:
        yield
    finally:
        pipeline.fill_rays, pipeline.clusters_in_tile, pipeline.resolve_tile = begin, select, end
        pipeline.TOGETHER = together


def cluster_bytes(scene: dr.Scene) -> npt.NDArray[np.int64]:
    """Return the bytes that drawing each cluster reads."""
    arrays = scene._arrays
    faces = np.diff(arrays.first_face)
    of_vertex = np.where(arrays.is_wide, 3 * arrays.wide.itemsize, 3 * arrays.narrow.itemsize)
    tables = ("first_face", "first_vertex", "n_vertices", "is_wide", "centre", "half", "cone")
    of_cluster = sum(getattr(arrays, name)[:1].nbytes for name in tables)
    of_face = 3 * arrays.corners.itemsize + arrays.face_ids.itemsize
    total: npt.NDArray[np.int64] = faces * of_face + arrays.n_vertices * of_vertex + of_cluster
    return total


def makespan(seconds: list[float], threads: int, starting: float = 0.0) -> float:
    """Return when the last of some threads is done that take pieces of work in their order, as they come.

    Threads start ``starting`` seconds after one another.
    """
    ready = [i * starting for i in range(threads)]
    for piece in seconds:
        heapq.heappush(ready, heapq.heappop(ready) + piece)
    return max(ready)


def outside_tiles(repeats: int, threads: int = 16) -> tuple[float, float]:
    """Return the seconds that a view takes outside of its tiles, and those that each thread after the first one adds.

    Tiles of one pixel, or as narrow as that, have little else.
    """
    view = scenes.survey_view(2, 0.05)
    scene = dr.Scene(view.vertices, view.faces)
    small, tall = dr.Calibration(1, 1, 1e5), dr.Calibration(1, 64 * pipeline.TILE, 1e5)
    jobs = {
        "small": lambda: dr.render_depth(scene, view.transform, small, threads=1),
        "one": lambda: dr.render_depth(scene, view.transform, tall, threads=1),
        "many": lambda: dr.render_depth(scene, view.transform, tall, threads=threads),
    }
    kept = workroom.thread_count
    workroom.thread_count = lambda _: threads  # as a machine keeps rooms that has as many processors
    try:
        for job in jobs.values():
            job()
        least = {name: min(times) for name, times in harness.interleaved(jobs, max(repeats, 15)).items()}
    finally:
        workroom.thread_count = kept
    return least["small"], max(least["many"] - least["one"], 0.0) / (threads - 1)


def measure(
    name: str, view: scenes.View, arguments: argparse.Namespace, outside: float, starting: float
) -> dict[str, Any]:
    """Watch one view, and time it."""
    where = view.transform, view.calibration
    scene = dr.Scene(view.vertices, view.faces)
    out = dr.render_depth(scene, *where)
    if not (out[..., 1] == 1.0).all():
        raise SystemExit("the terrain fills the image, but pixels are empty: nothing is timed")
    rounds = []
    for _ in range(arguments.repeats):
        watched = Watched()
        with watching(watched):
            dr.render_depth(scene, *where, threads=1, out=out)
        rounds.append(watched.seconds)
    seconds = np.min(rounds, axis=0)  # a tile that was interrupted says nothing of the tile
    cores = thread_count(None)
    jobs = {
        str(n): lambda n=n: dr.render_depth(scene, *where, threads=n, out=out) for n in THREADS if n <= cores
    }
    times = harness.interleaved(jobs, arguments.repeats)
    of_cluster, faces_of = cluster_bytes(scene), np.diff(scene._arrays.first_face)
    n_faces = np.array([faces_of[clusters].sum() for clusters in watched.clusters])
    used = np.unique(np.concatenate(watched.clusters))
    once, as_asked = int(of_cluster[used].sum()), int(sum(of_cluster[c].sum() for c in watched.clusters))
    groups = scene._arrays.groups.nbytes
    return {
        "name": name, "n_faces": scene.n_faces, "width": view.calibration.width, "height": view.calibration.height,
        "tiles": len(seconds), "faces_per_tile": [int(n) for n in np.quantile(n_faces, [0.0, 0.5, 1.0])],
        "faces_drawn": int(faces_of[used].sum()), "faces_asked": int(n_faces.sum()),
        "tile_seconds": [float(s) for s in np.quantile(seconds, [0.0, 0.5, 1.0])],
        "imbalance": float(seconds.max() / seconds.mean()), "outside": outside,
        "mesh_bytes": once + groups, "mesh_bytes_as_asked": as_asked + groups * len(seconds), "image_bytes": out.nbytes,
        "seconds": {name: harness.summary(values) for name, values in times.items()},
        "estimate": {str(n): makespan(list(seconds), n, starting) + outside for n in THREADS},
    }  # fmt: skip


def show(result: dict[str, Any], speed: dict[str, float]) -> dict[str, Any]:
    """Print one view; return what follows from the bandwidth."""
    cores = str(max(int(n) for n in result["seconds"]))
    least = result["mesh_bytes"] / speed["read"] + result["image_bytes"] / speed["write"]
    took = result["seconds"][cores]["median"]
    pixels = result["width"] * result["height"]
    print(f"\n{result['name']}: {result['n_faces']:,} faces, {result['width']} × {result['height']} pixels\n")
    few, some, many = (f"{n:,}" for n in result["faces_per_tile"])
    short, middle, long = (harness.seconds(s) for s in result["tile_seconds"])
    rows = [
        ("tiles", f"{result['tiles']}"),
        ("faces per tile, least / median / most", f"{few} / {some} / {many}"),
        (
            "faces given to tiles, of those given to any",
            f"{result['faces_asked'] / result['faces_drawn']:.2f}",
        ),
        ("time of a tile, least / median / most", f"{short} / {middle} / {long}"),
        ("longest tile / mean", f"{result['imbalance']:.2f}"),
        ("outside of tiles", harness.seconds(result["outside"])),
        ("bytes of the mesh, once", f"{result['mesh_bytes'] / 1e6:.1f} MB"),
        ("bytes of the mesh, as often as tiles ask", f"{result['mesh_bytes_as_asked'] / 1e6:.1f} MB"),
        ("bytes of the image", f"{result['image_bytes'] / 1e6:.1f} MB"),
        ("bytes per pixel", f"{(result['mesh_bytes'] + result['image_bytes']) / pixels:.1f}"),
        ("time to move them, once", harness.seconds(least)),
        (f"time to render, {cores} threads", harness.seconds(took)),
        ("rendering / moving", f"{took / least:.1f}"),
    ]
    print(harness.table(("what", "value"), rows))
    moved = result["mesh_bytes_as_asked"] + result["image_bytes"]
    one = result["estimate"]["1"]
    rows = []
    for n, value in result["estimate"].items():
        measured = result["seconds"].get(n, {}).get("median")
        rows.append(
            (
                n,
                harness.seconds(measured) if measured else "",
                f"{result['seconds']['1']['median'] / measured:.2f}" if measured else "",
                harness.seconds(value),
                f"{one / value:.1f}",
                f"{moved / value / 1e9:.1f} GB/s",
            )
        )
    print()
    print(
        harness.table(
            ("threads", "measured", "times faster", "by the tiles", "times faster", "memory has to give"),
            rows,
        )
    )
    return {"least": least, "ratio": took / least}


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--faces", type=float, action="append", help="faces; may be repeated (default 1e6 and 1e7)"
    )
    parser.add_argument("--repeats", type=int, default=7, help="rounds (default 7)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 6000 × 4000 pixels (default 1)")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    machine = harness.describe_machine()
    print(harness.machine_line(machine))
    speed = bandwidth(thread_count(None), arguments.repeats)
    print(
        "\nmemory, all processors: "
        + ", ".join(f"{name} {value / 1e9:.1f} GB/s" for name, value in speed.items())
    )
    outside, starting = outside_tiles(arguments.repeats)
    print(
        f"a view takes {harness.seconds(outside)} outside of its tiles, "
        f"and each more thread {harness.seconds(starting)} to start"
    )
    results = []
    for n_faces in arguments.faces or (1e6, 1e7):
        view = scenes.survey_view(int(n_faces), arguments.scale)
        result = measure("survey view", view, arguments, outside, starting)
        results.append(result | show(result, speed))
    found = {"bandwidth": speed, "outside": outside, "starting": starting, "views": results}
    harness.write_json(arguments.json, "limits", machine, found)


if __name__ == "__main__":
    main()
