"""What a thread draws tiles in: pixels and scratch of the kernels, kept for the next view.

Making it takes a third of a millisecond and Python's lock, which many threads of one view would wait for one after another.
The commonest change is something else to work in, for another kernel: an attribute of `Workroom`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, MAX_TILE, STRIDE, tile_pixels
from depthraster.kernels.cells import empty_cells
from depthraster.kernels.drawn import Drawn, drawn_faces
from depthraster.kernels.inverse import no_inverse
from depthraster.kernels.meeting import meeting
from depthraster.kernels.memory import aligned
from depthraster.kernels.occlusion import occlusion
from depthraster.kernels.rays import ray_scratch
from depthraster.kernels.resolve import lines
from depthraster.kernels.staging import scratch
from depthraster.scene import thread_count

__all__ = ["Workroom", "workroom"]

_BLOCKS = (MAX_TILE // BLOCK_WIDTH) * (MAX_TILE // BLOCK_HEIGHT)


_KEPT = (
    1 << 18
)  # clusters: rooms for more are some ten megabytes, of which the system hands out what is used only


class Workroom:
    """Where one thread works on tiles of up to `MAX_TILE` pixels a side, of scenes of up to ``n_clusters``."""

    drawn: Drawn | None  # faces of a tile's pixels, where they are asked for
    refs: npt.NDArray[np.float64]  # of a tile's blocks

    def __init__(self, n_clusters: int) -> None:
        self.n_clusters = n_clusters
        self.pixels, self.lattice = tile_pixels(MAX_TILE), aligned(3)
        self.all_refs = aligned((_BLOCKS, 4))
        self.bounds, self.planes, self.cells = aligned(6), aligned((5, 4)), empty_cells()
        self.inverse = no_inverse(self.bounds[:4])
        self.chosen = np.empty(n_clusters, np.int32)
        self.drawing, self.filling = scratch(), ray_scratch()
        self.occlusion = occlusion(n_clusters)
        self.lines, self.meeting = lines(), meeting()
        self._named: Drawn | None = None
        self._recorded: Drawn | None = None

    def open(self, with_names: bool, turns: npt.NDArray[np.uint8] | None) -> None:
        """Provide for a view, ``with_names`` for one whose faces are asked for; with ``turns`` they are recorded, too."""
        self.drawn = None
        if not with_names:
            return
        if self._named is None:
            self._named = drawn_faces(aligned(self.pixels.w.shape, np.int32), False)
        if turns is None:
            self.drawn = self._named
            return
        if self._recorded is None:
            self._recorded = drawn_faces(self._named.names, True)
        self.drawn = self._recorded._replace(turns=turns)

    @property
    def names(self) -> npt.NDArray[np.int32] | None:
        """The names of a tile's faces, where they are asked for."""
        return None if self.drawn is None else self.drawn.names

    def begin(self, n_rows: int, n_cols: int) -> None:
        """Provide for a tile."""
        self.refs = self.all_refs[: -(-n_rows // BLOCK_HEIGHT) * -(-n_cols // BLOCK_WIDTH)]
        if self.drawn is not None:
            self.drawn.names[: (n_rows + BLOCK_HEIGHT) * STRIDE].fill(-1)


_idle: list[
    Workroom
] = []  # without a lock, which a fork or a signal could find taken: pop and append are atomic


@contextmanager
def workroom(
    n_clusters: int, with_names: bool = False, turns: npt.NDArray[np.uint8] | None = None
) -> Iterator[Workroom]:
    """Lend a `Workroom` for a view, see `Workroom.open`: one that nobody works in any more, or a new one.

    As many as processors are kept.
    """
    try:
        room = _idle.pop()
    except IndexError:
        room = Workroom(n_clusters)
    if room.n_clusters < n_clusters:
        room = Workroom(n_clusters)
    room.open(with_names, turns)
    try:
        yield room
    finally:
        room.drawn = None  # it knows arrays of the scene
        if room.n_clusters <= _KEPT and len(_idle) < thread_count(None):
            _idle.append(room)
