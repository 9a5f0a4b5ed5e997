"""What the benchmarks share: timing by medians, the machine's description, a plain table, a JSON file.

It knows nothing of what is timed; the scenes are in ``scenes.py``. The commonest change is another fact about
the machine, in `describe_machine`.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    """Run ``work`` once; return the seconds it took and what it returned."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def interleaved(jobs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Time several jobs in turn, round after round, so that a slow moment of the machine meets all of them.

    Warming up (compiling, first touch of buffers) is the caller's business, before. Results are dropped after
    each run.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            seconds[name].append(clock(job)[0])
    return seconds


def median(values: Sequence[float]) -> float:
    """Return the median: of two middle values, their mean."""
    return statistics.median(values)


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return median, least and greatest of some seconds, and all of them."""
    return {"median": median(values), "min": min(values), "max": max(values), "all": list(values)}


def describe_machine() -> dict[str, Any]:
    """Return what a reader needs to compare numbers: processor, cores, memory, versions, date."""
    versions = {}
    peers = ("open3d", "trimesh", "embreex", "moderngl", "pyvista", "vtk")
    for package in ("depthraster", "numpy", "numba", "llvmlite", *peers):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_name(),
        "cores": cores,
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def machine_line(machine: dict[str, Any]) -> str:
    """Return the machine's description as one line."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}; "
        f"Python {machine['python']}, {versions}; {machine['date']}"
    )


def _cpu_name() -> str:
    """Return the processor's name, with the widest vector instructions in it, which decide most here."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    flags = facts.get("flags", "").split()
    simd = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else ""
    name = facts.get("model name", platform.machine())
    ids = (
        f"family {facts['cpu family']} model {facts['model']}"
        if {"cpu family", "model"} <= facts.keys()
        else ""
    )
    return ", ".join(part for part in (name, ids, simd) if part)


def _memory_gb() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown: the first column to the left, the others to the right."""
    columns = list(zip(headings, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return (
            "| "
            + " | ".join([first[0].ljust(first[1])] + [cell.rjust(width) for cell, width in others])
            + " |"
        )

    rule = "| " + " | ".join(["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]) + " |"
    return "\n".join([line(headings), rule, *(line(row) for row in rows)])


def seconds(value: float) -> str:
    """Return seconds as text with three significant digits, in a unit that suits them."""
    if value >= 1.0:
        return f"{value:.3g} s"
    if value >= 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.3g} µs"


def write_json(
    path: str | os.PathLike[str] | None, name: str, machine: dict[str, Any], results: Any, say: bool = True
) -> None:
    """Write a benchmark's results with the machine's description, and say so; no path, no file."""
    if path is None:
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    given = sys.argv[1:]  # but for where the file lies
    given = [
        word
        for i, word in enumerate(given)
        if "--json" not in (word.split("=")[0], given[i - 1] if i else "")
    ]
    document = {"benchmark": name, "arguments": given, "machine": machine, "results": results}
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(document, indent=2) + "\n")
    os.replace(partial, path)
    if say:
        print(f"\nwritten: {path}")
