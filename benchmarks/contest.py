"""One peer beside depthraster in one process: checked first, then timed in turn, round after round.

``compare.py`` makes the meshes and starts this in a process for each peer, so that one that crashes or fills the memory
ends alone, and each is timed beside us at the same moment. A folder holds what both are given (`write_case`) and takes the
results. The commonest change is something else to time: a job in `single_view`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import checking
import depthraster as dr
import harness
import peers

OURS = "depthraster"
# Errors beyond which an image is of something else, and its time would be, too.
MOST_WRONG = 0.01  # share of pixels whose coverage is wrong
MOST_OFF = 0.01  # relative depth error of 99 % of the pixels


def pinhole(calibration: dr.Calibration) -> dr.Calibration:
    """Return the camera without its lens's distortion."""
    c = calibration
    return dr.Calibration(c.width, c.height, c.f, cx=c.cx, cy=c.cy)


def write_case(
    folder: Path,
    vertices: npt.NDArray[np.float64],
    faces: npt.NDArray[np.int32],
    origin: npt.NDArray[np.float64],
    transforms: npt.NDArray[np.float64],
    calibration: dr.Calibration,
    checked: list[int],
) -> None:
    """Write mesh, views and, for the views ``checked``, the truth through the lens and without it."""
    np.save(folder / "vertices.npy", vertices)
    np.save(folder / "faces.npy", faces)
    np.savez(folder / "views.npz", origin=origin, transforms=transforms, checked=checked)
    (folder / "calibration.json").write_text(json.dumps(dataclasses.asdict(calibration)))
    for i in checked:
        for lens, camera in ((True, calibration), (False, pinhole(calibration))):
            found = checking.truth(vertices, faces, transforms[i], camera, seed=1 + i)
            np.savez(folder / f"truth_{i}_{lens}.npz", **found._asdict())


class _Case:
    """What `write_case` wrote, read again."""

    def __init__(self, folder: Path, lens: bool) -> None:
        views = np.load(folder / "views.npz")
        self.mesh = peers.Mesh(
            np.load(folder / "vertices.npy"), np.load(folder / "faces.npy"), views["origin"]
        )
        self.transforms: list[npt.NDArray[np.float64]] = list(views["transforms"])
        self.calibration = dr.Calibration(**json.loads((folder / "calibration.json").read_text()))
        self.truth = {
            int(i): checking.Truth(**np.load(folder / f"truth_{i}_{lens}.npz")) for i in views["checked"]
        }

    def errors(self, peer: peers.Peer, calibration: dr.Calibration) -> list[dict[str, Any]]:
        """Return what is wrong in the checked views."""
        found = []
        for i, truth in self.truth.items():
            peer.aim(self.transforms[i], calibration)
            depth = peer.render()
            found.append(checking.errors(truth, depth, peer.covered(depth))._asdict())
        return found


def run(folder: Path, name: str, rounds: int, budget: float) -> dict[str, Any]:
    """Check and time one peer, by its name in `peers.PEERS`."""
    kind = peers.PEERS[name]
    case = _Case(folder, kind.lens)
    try:
        peer = peers.make(name, case.mesh)
    except peers.Missing as error:
        return {"skipped": str(error)}
    peer.build()
    theirs = case.calibration if kind.lens else pinhole(case.calibration)
    errors = case.errors(peer, theirs)
    result: dict[str, Any] = {"about": peer.about(), "errors": errors}
    worst = max(e["coverage"] / e["pixels"] for e in errors), max(e["depth_p99"] for e in errors)
    if not (worst[0] <= MOST_WRONG and worst[1] <= MOST_OFF):
        result["refused"] = (
            f"{worst[0]:.2%} of the pixels are wrong and 99 % of the depths within {worst[1]:.2g}: not timed"
        )
        return result
    both = {name: (peer, theirs)}
    if name != OURS:
        ours = peers.make(OURS, case.mesh)
        ours.build()
        both[OURS] = ours, case.calibration
    timed = single_view if len(case.transforms) == 1 else survey
    return result | timed(both, case.transforms, rounds, budget)


def single_view(
    both: dict[str, tuple[peers.Peer, dr.Calibration]],
    transforms: list[npt.NDArray[np.float64]],
    rounds: int,
    budget: float,
) -> dict[str, Any]:
    """Time rendering what is prepared, and preparing and rendering."""
    for peer, calibration in both.values():
        peer.aim(transforms[0], calibration)
    both[OURS][0].render()  # the other has rendered this view to be checked

    def from_arrays(peer: peers.Peer, calibration: dr.Calibration) -> float:
        begun = time.perf_counter()
        peer.build()
        built = time.perf_counter() - begun
        peer.aim(transforms[0], calibration)  # of new buffers; it is not counted
        begun = time.perf_counter()
        peer.render()
        return built + time.perf_counter() - begun

    render: dict[str, list[float]] = {name: [] for name in both}
    busy: dict[str, list[float]] = {name: [] for name in both}
    whole: dict[str, list[float]] = {name: [] for name in both}
    begun = time.perf_counter()
    while len(render[OURS]) < rounds and (not render[OURS] or time.perf_counter() - begun < budget):
        for name, (peer, _) in both.items():
            _timed(peer, render[name], busy[name])
    begun = time.perf_counter()
    while len(whole[OURS]) < min(rounds, 3) and (not whole[OURS] or time.perf_counter() - begun < budget):
        for name, (peer, calibration) in both.items():
            whole[name].append(from_arrays(peer, calibration))
    return {"render": render, "busy": busy, "from_arrays": whole}


def _timed(peer: peers.Peer, seconds: list[float], busy: list[float]) -> None:
    """Render; note the time that passes, and the processors' time of all threads."""
    begun = time.process_time()
    seconds.append(harness.clock(peer.render)[0])
    busy.append(time.process_time() - begun)


def survey(
    both: dict[str, tuple[peers.Peer, dr.Calibration]],
    transforms: list[npt.NDArray[np.float64]],
    rounds: int,
    budget: float,
) -> dict[str, Any]:
    """Time each view once, view after view, in an order that any part of is spread over all, until the budget is spent."""
    n = len(transforms)
    step = next(s for s in range(max(1, round(0.382 * n)), n + 1) if np.gcd(s, n) == 1) if n > 1 else 1
    render: dict[str, list[float]] = {name: [] for name in both}
    busy: dict[str, list[float]] = {name: [] for name in both}
    begun = time.perf_counter()
    for i in range(n):
        for name, (peer, calibration) in both.items():
            peer.aim(transforms[i * step % n], calibration)
            if i == 0:
                peer.render()
            _timed(peer, render[name], busy[name])
        if time.perf_counter() - begun > budget:
            break
    return {"render": render, "busy": busy}


def main() -> None:
    """Run; for `compare.py`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the case is, and the result goes")
    parser.add_argument("peer", choices=peers.PEERS)
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds after which no round is begun")
    arguments = parser.parse_args()
    result = run(arguments.folder, arguments.peer, arguments.rounds, arguments.budget)
    (arguments.folder / f"{arguments.peer}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
