"""The faces that a tile draws, and what of each is said again for every pixel that shows it: reckoned once per face.

A pixel's name is the index of its face in the caller's mesh or, where more than that is asked for, the number of a record
of 64 bytes, one cache line. It says how the weights of the face's vertices, its 1/Z and its normal follow from where a
pixel lies in the plane; ``derive.py`` reads it. Records are made while ``staging.py`` has the vertices of eight faces in
registers. Faces of which float32 would not say enough, large or edge-on ones and those that are deep for their width, have
records with their place in the scene alone: their vertices are looked at again, exactly.

Each tile begins with none. Where a tile has more faces than there is room for, those that no pixel shows any more are
forgotten. The commonest change is another number that follows from the face alone: a field of the record, which has to
stay one line long, in `put_records` and in ``derive.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load16, store
from depthraster.kernels.blocks import BLOCK_HEIGHT, MAX_TILE, STRIDE
from depthraster.kernels.jit import inlined, inner
from depthraster.kernels.memory import aligned, aligned_empty
from depthraster.kernels.shuffles import lower_half, transposed8, upper_half, wholes_in
from depthraster.kernels.simd import (
    as_single,
    choose,
    magnitude,
    most,
    multiply_add,
    negative,
    root,
    splat_like,
)

__all__ = [
    "EXACTLY",
    "FIELDS",
    "PLACE",
    "Drawn",
    "drawn_faces",
    "forget",
    "has_records",
    "put_place",
    "put_records",
]

FIELDS = 16  # of a record, int32 or the bits of float32:
# the lattice's point next to vertex a; slopes of the weights of b and of c along x and y, per step; by how much of a's 1/Z
# that of b and of c is greater; Z of a, two fields; the unit normal along the image's axes; the index in the caller's mesh,
# the place in the scene, and `CornerArrays.turns`, plus `EXACTLY`.
_ID, PLACE, _KIND = 13, 14, 15
EXACTLY = 4  # the vertices have to be looked at

# Numbers of all pixels that may show faces, and as much again: a tile forgets once for so many faces.
_CAPACITY = 2 * (MAX_TILE + BLOCK_HEIGHT) * STRIDE

_NARROW = 1e-8  # squared width in plane pixels; places are off by 1e-12, which turns narrower faces by much
# Plane pixels a face has to be wide, by the part of 1/Z that it differs by across itself: rounding moves a pixel on its face
# by some 1e-6 pixel, each weight by as much of the width, and where two weights run along a sliver these do not make up for
# one another. So positions are off by 1e-7 of the distance at most.
_PER_DEPTH = 30.0
_DEEP = 0.5  # part of 1/Z that it may differ by across a face, for weights in float32


class Drawn(NamedTuple):
    """What becomes of faces that are drawn; one for each thread."""

    names: npt.NDArray[np.int32]  # as long as a tile's pixels: -1 where no face is seen
    numbers: npt.NDArray[np.int32]  # likewise, names before they became the caller's indices
    # Without elements where names are indices of the caller's. Record -1, the first of these, is empty.
    records: npt.NDArray[np.int32]  # (FIELDS + n FIELDS,)
    ids: npt.NDArray[np.int32]  # (n,) in the caller's mesh: of equal depths the first is seen
    moved: npt.NDArray[np.int32]  # (n,) `forget` works in it
    vertices: npt.NDArray[np.uint32]  # (3 + 3 n,) of vertices, where those are looked up
    recorded: npt.NDArray[np.int64]  # (1,) how many records there are
    axes: npt.NDArray[np.float32]  # (3, 3) from f X, f Y, Z to the image's axes, of normals
    turns: npt.NDArray[np.uint8]  # see `CornerArrays`


def drawn_faces(names: npt.NDArray[np.int32], with_records: bool, capacity: int = _CAPACITY) -> Drawn:
    """Return a `Drawn`, without turns."""
    n = capacity if with_records else 0
    records = aligned_empty(((n + 1) * FIELDS,), np.int32)
    records[:FIELDS] = 0
    numbers = aligned(names.shape if with_records else (0,), np.int32)
    return Drawn(
        names=names,
        numbers=numbers,
        records=records,
        ids=np.empty(n, np.int32),
        moved=np.empty(n, np.int32),
        vertices=np.zeros(3 * (n + 1), np.uint32),
        recorded=np.zeros(1, np.int64),
        axes=aligned((3, 3), np.float32),
        turns=np.empty(0, np.uint8),
    )


@inner
def has_records(drawn):
    """Whether faces are recorded; what is not None and asked this takes an `if` of its own, which the compiler drops."""
    return drawn.ids.shape[0] > 0


@inner
def forget(drawn, n_rows):
    """Forget the records that no pixel of the tile's ``n_rows`` shows, and number the others anew, in the same order."""
    names, moved, records, ids = drawn.names, drawn.moved, drawn.records, drawn.ids
    n, n_names = drawn.recorded[0], min((n_rows + BLOCK_HEIGHT) * STRIDE, names.shape[0])
    for i in range(n):
        moved[i] = -1
    for i in range(n_names):
        if names[i] >= 0:
            moved[names[i]] = 0
    kept = 0
    for i in range(n):
        if moved[i] == 0:
            store(records, FIELDS * (kept + 1), load16(records, FIELDS * (i + 1)))
            ids[kept] = ids[i]
            moved[i] = kept
            kept += 1
    for i in range(n_names):
        if names[i] >= 0:
            names[i] = moved[names[i]]
    drawn.recorded[0] = kept


@inner
def put_place(drawn, number, name, place):
    """Write the record of a face whose vertices have to be looked at."""
    first = FIELDS * (number + 1)
    drawn.records[first + _ID], drawn.records[first + PLACE] = name, place
    drawn.records[first + _KIND] = np.int32(drawn.turns[place]) | np.int32(EXACTLY)
    drawn.ids[number] = name


@inlined
def put_records(
    drawn, number, ax, ay, aw, bx, by, bw, cx, cy, cw, made, exactly, lattice, column, row, ids, places, turns
):  # fmt: skip
    """Write the records of eight faces in front of the camera, from ``number`` on.

    Vectors of x, y and 1/Z of the vertices come in, as `cover.make_small` takes them, what it has ``made`` of them beside
    its masks, and the column and row of its origins; then the faces' indices, places and turns. With ``exactly`` all
    vertices have to be looked at.
    """
    per, slope_x, slope_y, area, size2 = made
    abx, aby, acx, acy = bx - ax, by - ay, cx - ax, cy - ay
    z = splat_like(aw, 1.0) / aw
    single_z, zero, one = as_single(z), splat_like(area, np.float32(0.0)), splat_like(area, np.float32(1.0))
    to_b, to_c = as_single(bw - aw) * single_z, as_single(cw - aw) * single_z
    # The plane of 1/Z, in units of a's, is the face's own: its coefficients are the normal, away from the camera.
    unit = z * (1.0 / lattice[2])
    along_x, along_y = slope_x * unit, slope_y * unit
    middle = splat_like(z, 1.0) - multiply_add(along_x, ax, along_y * ay)
    p, q, r, axes = as_single(along_x), as_single(along_y), as_single(middle), drawn.axes
    x = multiply_add(p, axes[0, 0], multiply_add(q, axes[0, 1], r * axes[0, 2]))
    y = multiply_add(p, axes[1, 0], multiply_add(q, axes[1, 1], r * axes[1, 2]))
    w = multiply_add(p, axes[2, 0], multiply_add(q, axes[2, 1], r * axes[2, 2]))
    scale = one / root(multiply_add(w, w, multiply_add(y, y, x * x)))
    scale = choose(area > zero, scale, negative(scale))  # the front is the side that is seen clockwise
    depth = most(magnitude(to_b), magnitude(to_c))
    least_width2 = most(depth * depth * np.float32(_PER_DEPTH * _PER_DEPTH), np.float32(_NARROW))
    is_plain = (area * area > size2 * least_width2) & (splat_like(depth, np.float32(_DEEP)) > depth)
    looked_at = turns | np.int32(EXACTLY)
    kind = choose(is_plain, looked_at if exactly else turns, looked_at)
    a0, a1, a2, a3, a4, a5, a6, a7 = transposed8(
        column, row, wholes_in(as_single(acy * per)), wholes_in(as_single(negative(acx * per))),
        wholes_in(as_single(negative(aby * per))), wholes_in(as_single(abx * per)), wholes_in(to_b), wholes_in(to_c),
    )  # fmt: skip
    b0, b1, b2, b3, b4, b5, b6, b7 = transposed8(
        lower_half(z), upper_half(z), wholes_in(x * scale), wholes_in(y * scale), wholes_in(w * scale), ids, places, kind
    )  # fmt: skip
    records, at = drawn.records, FIELDS * (number + 1)
    store(records, at, a0)
    store(records, at + 8, b0)
    store(records, at + 16, a1)
    store(records, at + 24, b1)
    store(records, at + 32, a2)
    store(records, at + 40, b2)
    store(records, at + 48, a3)
    store(records, at + 56, b3)
    store(records, at + 64, a4)
    store(records, at + 72, b4)
    store(records, at + 80, a5)
    store(records, at + 88, b5)
    store(records, at + 96, a6)
    store(records, at + 104, b6)
    store(records, at + 112, a7)
    store(records, at + 120, b7)
