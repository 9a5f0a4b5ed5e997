"""A small survey on disk and the command run on it, for tests of what ``depthraster render`` leaves behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

import depthraster as dr
from depthraster.cli import main

COMMAND = [sys.executable, "-m", "depthraster", "render"]
SCALE = 2.5


def run(*args: Any, **options: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], **options)


def write_survey(folder: Path, labels: list[str], size: tuple[int, int] = (80, 60)) -> tuple[Path, Path]:
    """Write cameras in a row that look up along Z at a bumpy sheet, all of it in sight but for the borders."""
    width, height = size
    lens = dr.Calibration(width=width, height=height, f=0.9 * width, cx=1.5, k1=-0.1, p1=0.001)
    cameras = []
    for k, label in enumerate(labels):
        transform = np.eye(4)
        transform[0, 3] = 0.02 * k
        cameras.append(dr.Camera(id=k, label=label, transform=transform, calibration=lens))
    world = np.diag([SCALE, SCALE, SCALE, 1.0])
    dr.save_chunk(dr.Chunk(label="Sheet", cameras=cameras, transform=world), folder / "cameras.xml")
    x, y = np.meshgrid(np.linspace(-2, 2, 21), np.linspace(-1.6, 1.6, 17))
    vertices = np.stack([x, y, 5 + np.sin(3 * x) * np.cos(2 * y)], axis=-1).reshape(-1, 3)
    lines = [f"v {a!r} {b!r} {c!r}" for a, b, c in vertices.tolist()]
    for row in range(16):
        for col in range(20):
            a = 21 * row + col + 1
            lines += [f"f {a} {a + 21} {a + 1}", f"f {a + 1} {a + 21} {a + 22}"]
    (folder / "mesh.obj").write_text("\n".join(lines) + "\n")
    return folder / "cameras.xml", folder / "mesh.obj"


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, but for the times in the manifest."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    if "manifest.json" in files:
        manifest = json.loads(files["manifest.json"])
        times = json.dumps(manifest.pop("times")).encode()
        assert times in files["manifest.json"]
        files["manifest.json"] = files["manifest.json"].replace(times, b"")
    return files


def manifest(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found
