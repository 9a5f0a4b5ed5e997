"""`compare`: two depth images, read, measured, judged and explained.

It reads as the steps do: planes, measures, alignment, mistakes; each is a module beside this one. The commonest change is
another step.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.comparison.culling import hold_against_mesh
from depthraster.comparison.findings import Finding
from depthraster.comparison.measures import Tolerances, measure
from depthraster.comparison.mistakes import Fit, name_mistakes
from depthraster.comparison.planes import Plane, depth_plane, read
from depthraster.comparison.registration import align
from depthraster.comparison.report import Comparison
from depthraster.comparison.sampling import take_samples
from depthraster.scene import thread_count
from depthraster.transforms import check_transform

__all__ = ["compare"]

_SAMPLES = 10_000  # pixels that suppositions are tried on
_PANEL = 640  # pixels of the picture's panels, about
_NEARLY_ALL = 0.99  # share of the pixels of which a hint must hold
_EXPLAINED = 0.01  # share of the pixels that may be unexplained in an image that is as it was asked for


def compare(
    ours: Any,
    theirs: Any,
    *,
    calibration: Calibration | None = None,
    transform: npt.ArrayLike | None = None,
    scene: Any = None,
    scale: float | None = 1.0,
    tolerances: Tolerances | None = None,
    background: float | Sequence[float] | None = None,
    depth: Literal["z", "range"] | None = None,
    cull_faces: bool = True,
    threads: int | None = None,
) -> Comparison:
    """Compare two depth images of the same view, and name the mistakes that explain how they differ.

    Parameters
    ----------
    ours, theirs : path, or (H, W), (H, W, 1) or (H, W, 2) array of numbers
        Depth, any unit, and alpha where there is a second channel; files as `load_image` reads them: TIFF, EXR, NPY, NPZ,
        PFM, PNG. Of one size.
    calibration : Calibration, optional
        The lens that both should have been made with. With it mistakes of the lens are named, and range is told from Z.
    transform : (4, 4) array of float, optional
        Camera to chunk. With it and ``scene`` mistakes of culling are named, and which of the images is wrong.
    scene : Scene, or what `Scene.from_mesh` takes, optional
        The mesh. Of a prepared `Scene` faces that are culled on the wrong side cannot be told.
    scale : float or None
        What ours is multiplied by, e.g. metres per chunk unit; None: what fits.
    tolerances : Tolerances, optional
        What counts as the same.
    background : float or sequence of float, optional
        Depths that mean that nothing is seen, in either image. NaN and infinity always do, and 0 where there is no alpha
        channel and no depth is given: ``(0, -9999)`` where one image is marked by each.
    depth, cull_faces
        What both images should be, as for `render_depth`; it decides whose a mistake is.
    threads : int, optional
        Threads used, all processors by default.

    Returns
    -------
    Comparison
        True where they are the same within the tolerances.

    Raises
    ------
    TypeError, ValueError
        Arguments of the wrong kind, shape or value.
    FormatError, OSError
        A file that cannot be read.
    """
    _check(calibration, transform, scene, scale)
    tolerances = Tolerances() if tolerances is None else tolerances
    workers = thread_count(threads)
    given = (ours, "ours"), (theirs, "theirs")
    with ThreadPoolExecutor(workers) as pool:
        names = [os.fspath(image) if isinstance(image, (str, os.PathLike)) else word for image, word in given]
        images = list(
            pool.map(read, (ours, theirs))
        )  # side by side, while none of the threads waits for another
        mine, other = (
            depth_plane(image, name, background, pool) for image, name in zip(images, names, strict=True)
        )
        _check_sizes(mine, other, calibration)
        step = 0.5 * (other.steps + mine.steps * (1.0 if scale is None else scale))
        samples = take_samples(other.pixels, _SAMPLES, tolerances.depth, tolerances.pixels, step)
        alignment = align(mine.pixels, other.pixels, samples.pixels, samples.depth)
        notes = _notes(mine, other)
        if scale is None:
            scale = alignment.scale
            notes.append(f"the scale {scale:.9g} was estimated: differences are those that it leaves")
        height, width = other.pixels.shape[:2]
        coverage, differences, picked = measure(
            mine.pixels,
            other.pixels,
            scale,
            tolerances,
            step,
            max(1, -(-max(height, width) // _PANEL)),
            pool,
            workers,
        )
    failures = tolerances.failures(coverage, differences)
    findings: tuple[Finding, ...] = ()
    before = after = None
    if failures and coverage.either:
        scaled = _scaled(mine.pixels, scale)
        asked = depth or ("range" if calibration is not None and calibration.type == "spherical" else "z")
        findings, before, after = name_mistakes(scaled, other.pixels, samples, calibration, alignment, asked)
        if scene is not None and calibration is not None and transform is not None:
            findings, after = _with_mesh(
                findings, after, {"ours": mine.pixels, "theirs": _scaled(other.pixels, 1.0 / scale)},
                scene, transform, calibration, depth, cull_faces, tolerances, threads,
            )  # fmt: skip
        notes += _hints(mine, other)
    if failures and calibration is None:
        notes.append(
            "no calibration was given, so mistakes of the lens (p1 and p2 exchanged, k4 dropped ...) were not looked for: "
            "pass calibration=, or on the command line --cameras"
        )
    return Comparison(
        not failures, failures, findings, before, after, coverage, differences, alignment, scale, tolerances,
        tuple(notes), mine.pixels[..., 0], other.pixels[..., 0], picked,
    )  # fmt: skip


def _scaled(pixels: npt.NDArray[np.float32], scale: float) -> npt.NDArray[np.float32]:
    """Return a plane with its depths times a scale."""
    return pixels if scale == 1.0 else (pixels[..., :1] * scale).astype(np.float32)


def _with_mesh(
    findings: tuple[Finding, ...],
    after: Fit,
    planes: dict[str, npt.NDArray[np.float32]],
    scene: Any,
    transform: npt.ArrayLike,
    calibration: Calibration,
    depth: Literal["z", "range"] | None,
    cull_faces: bool,
    tolerances: Tolerances,
    threads: int | None,
) -> tuple[tuple[Finding, ...], Fit]:
    """Return the findings with what the mesh tells: wrong sides of faces, and which image is wrong."""
    sampling = _SAMPLES, tolerances.depth, tolerances.pixels, 0.0
    culled, fits = hold_against_mesh(
        planes, scene, transform, calibration, depth, cull_faces, sampling, threads
    )
    if culled and not (findings and after.unexplained < _EXPLAINED):
        return culled, Fit(0.0, 0.0)
    right = [name for name, fit in fits.items() if fit.unexplained < _EXPLAINED]
    if len(right) == 1:
        wrong = "theirs" if right == ["ours"] else "ours"
        findings = tuple(
            finding
            if finding.whose
            else dataclasses.replace(
                finding, text=f"{finding.text} ({right[0]} is as the mesh renders)", whose=wrong
            )
            for finding in findings
        )
    return findings, after


def _check(calibration: Any, transform: Any, scene: Any, scale: Any) -> None:
    if calibration is not None and not isinstance(calibration, Calibration):
        raise TypeError(
            f"the calibration is a {type(calibration).__name__}; a depthraster.Calibration is needed: make one with "
            "Calibration(width=..., height=..., f=...)"
        )
    if transform is not None:
        check_transform(transform)
    if scene is not None and (calibration is None or transform is None):
        raise ValueError(
            "a mesh is given without the camera; transform and calibration are needed to render it: pass them, too"
        )
    if scale is not None and not (isinstance(scale, (int, float, np.number)) and 0.0 < scale < np.inf):
        raise ValueError(
            f"the scale is {scale!r}; a positive number or None is needed: pass None to estimate it"
        )


def _check_sizes(ours: Plane, theirs: Plane, calibration: Calibration | None) -> None:
    mine, other = ours.pixels.shape[:2], theirs.pixels.shape[:2]
    if mine != other:
        hint = (
            "one of them is turned by 90 degrees"
            if mine == other[::-1]
            else "render ours with the calibration of theirs, Calibration.scaled makes one of another size"
        )
        raise ValueError(
            f"ours has {mine[1]} x {mine[0]} pixels and theirs {other[1]} x {other[0]}; one size is needed: {hint}"
        )
    if calibration is not None and (calibration.height, calibration.width) != mine:
        raise ValueError(
            f"the images have {mine[1]} x {mine[0]} pixels and the calibration {calibration.width} x "
            f"{calibration.height}; one size is needed: pass the calibration that they were made with "
            "(Calibration.scaled, or the command's --image-scale, makes one for another size than the photo's)"
        )


def _hints(ours: Plane, theirs: Plane) -> list[str]:
    """Return what the depths themselves tell of how they are meant: a mark that was taken for a depth, another sign."""
    hints = []
    mine, its = ours.pixels[..., 0], theirs.pixels[..., 0]
    for name, depth, other, marked in (
        ("ours", mine, its, theirs.background),
        ("theirs", its, mine, ours.background),
    ):
        alone = depth[np.isnan(other) & ~np.isnan(depth)]
        if alone.size and np.count_nonzero(alone == alone[0]) > _NEARLY_ALL * alone.size and alone[0] != 0:
            mark = f"{alone[0]:.9g}"
            pair, options = (f"(0, {mark})", "--background 0 ") if marked == "0" else (mark, "")
            hints.append(
                f"{name} is {mark} wherever only it sees something: if that means that nothing is seen, pass "
                f"background={pair}, or on the command line {options}--background {mark}"
            )
    with np.errstate(invalid="ignore"):
        signs = np.count_nonzero((mine > 0) & (its < 0)), np.count_nonzero((mine < 0) & (its > 0))
    both = np.count_nonzero(~np.isnan(mine) & ~np.isnan(its))
    for name, count in zip(("theirs", "ours"), signs, strict=True):
        if both and count > _NEARLY_ALL * both:
            hints.append(
                f"{name} is negative where the other is positive: depth is counted along Z, the way the camera looks, so "
                f"change the sign of {name}"
            )
    return hints


def _notes(ours: Plane, theirs: Plane) -> list[str]:
    notes = []
    marks = {ours.background, theirs.background}
    if len(marks) == 2 and not marks & {"nothing", "alpha"}:
        notes.append(
            f"what is not seen is marked by {ours.background} in ours and by {theirs.background} in theirs"
        )
    for name, plane, other in (("ours", ours, theirs), ("theirs", theirs, ours)):
        if plane.is_half and not other.is_half:
            notes.append(
                f"all depths of {name} are half-precision numbers, which are up to 1/2048 off: what differs by less may "
                "be rounding"
            )
        if plane.steps:
            notes.append(f"{name} holds whole numbers; half a step was added to the tolerance")
    return notes
