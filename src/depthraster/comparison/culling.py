"""Which sides of the faces images show: what takes rendering the mesh to tell.

The commonest change is another way of rendering that images are held against: in `_renderings`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.comparison.findings import Finding
from depthraster.comparison.mistakes import Fit, fit_of
from depthraster.comparison.sampling import take_samples
from depthraster.render import render
from depthraster.scene import Scene

__all__ = ["hold_against_mesh"]

_CLEAR = 0.5  # of the loss with the sides asked for: what others must bring it below to be believed

_SIDES = {
    "front": ("culling_on", "only the faces turned toward the camera", "render with cull_faces=True"),
    "both": ("culling_off", "both sides of the faces", "render with cull_faces=False"),
    "back": (
        "culling_flipped",
        "only the faces turned away from the camera: which side is culled is the wrong way round",
        "turn the faces round, or check whether the transform is mirrored",
    ),
}


def hold_against_mesh(
    planes: dict[str, npt.NDArray[np.float32]],
    scene: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    depth: Literal["z", "range"] | None,
    cull_faces: bool,
    tolerances: tuple[int, float, float, float],
    threads: int | None,
) -> tuple[tuple[Finding, ...], dict[str, Fit]]:
    """Say which sides of a mesh' faces images show, where those are not the ones asked for.

    Parameters
    ----------
    planes : dict of (H, W, C) float32 arrays
        Images by name, `Plane.pixels`, in chunk units.
    scene, transform, calibration, depth, cull_faces, threads
        As for `render`. Of a prepared `Scene` only what is turned toward the camera and both sides can be told.
    tolerances : tuple
        As for `take_samples`: the number of samples, parts of the depth, pixels, step.

    Returns
    -------
    findings : tuple of Finding
        For each image that shows other sides.
    fits : dict of Fit
        How well each image is what was asked for.
    """
    if isinstance(scene, (str, os.PathLike)):
        from depthraster.io.meshes import load_mesh

        scene = load_mesh(scene)
    asked = "front" if cull_faces else "both"
    samples = {name: take_samples(plane, *tolerances) for name, plane in planes.items()}
    fits: dict[str, dict[str, Fit]] = {name: {} for name in planes}
    for side, rendered in _renderings(scene, transform, calibration, depth, threads):
        for name, taken in samples.items():
            j, i = np.floor(taken.pixels).astype(int).T
            values = rendered[i, j].astype(np.float64)
            seen = ~np.isnan(values)
            fits[name][side] = fit_of(taken, values, seen, np.zeros(len(seen), bool))
    findings = []
    for name, by_side in fits.items():
        best = min(by_side, key=lambda side: (by_side[side].loss, side != asked))
        if by_side[best].loss < _CLEAR * by_side[asked].loss:
            code, what, remedy = _SIDES[best]
            others = [
                _SIDES[side][1] for side, fit in by_side.items() if side != best and fit == by_side[best]
            ]
            what += f" (or {others[0]}: here they look the same)" if others else ""
            findings.append(
                Finding(code, f"{name} shows {what}", remedy, name, {"shows": best, "asked": asked})
            )
    return tuple(findings), {name: by_side[asked] for name, by_side in fits.items()}


def _renderings(
    scene: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    depth: Literal["z", "range"] | None,
    threads: int | None,
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield the mesh rendered in every way, one at a time."""
    prepared = Scene.from_mesh(scene, threads=threads)

    def drawn(mesh: Scene, cull: bool) -> npt.NDArray[np.float32]:
        layers = render(
            mesh,
            transform,
            calibration,
            ("depth",),
            cull_faces=cull,
            background=np.nan,
            depth=depth,
            threads=threads,
        )
        assert layers.depth is not None
        return layers.depth

    yield "front", drawn(prepared, True)
    yield "both", drawn(prepared, False)
    turned = _turned(scene, threads)
    if turned is not None:
        yield "back", drawn(turned, True)


def _turned(scene: Any, threads: int | None) -> Scene | None:
    """Return the mesh with its faces turned round; None where they are not to be had."""
    if isinstance(scene, Scene):
        return None
    vertices, faces = (scene.vertices, scene.faces) if hasattr(scene, "faces") else scene
    return Scene(vertices, np.asarray(faces)[:, ::-1], threads=threads)
