"""Which faces of a cluster a tile may see, and how they are to be drawn: small ones staged, others listed.

Vertices come from ``placing.py``, pixels are for ``cover.py``. A small face of a cluster that lies in the image with all
its vertices, as nearly all do, takes the way without branches, `stage_plain`; `stage_any` is for the others. The
commonest change is another reason to leave a face out, in both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.access import load4, load8, store
from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, STRIDE
from depthraster.kernels.cells import blocks_near
from depthraster.kernels.clusters import MAX_FACES, MAX_VERTICES
from depthraster.kernels.cover import HALVES, LARGE, SIDES, SMALL, WINDOW, WINDOWS, make_small, put_sides
from depthraster.kernels.drawn import has_records, put_records
from depthraster.kernels.inverse import box_of
from depthraster.kernels.jit import inlined, inner
from depthraster.kernels.memory import aligned
from depthraster.kernels.placing import RECORD
from depthraster.kernels.planes import PLANE, THINNEST
from depthraster.kernels.shuffles import (
    doubles_in,
    fields_of_eight,
    lower_half,
    pair,
    shorts_in,
    upper_half,
    wholes_in,
)
from depthraster.kernels.simd import as_int, bits_of, most, popcount, splat_like

__all__ = ["Scratch", "Tile", "scratch", "stage_any", "stage_plain"]

_V = MAX_VERTICES
_F = MAX_FACES

_ROOM = 1e-3  # plane pixels, far more than edges are widened by


class Scratch(NamedTuple):
    """What `tiles.draw_clusters` works in: one for each thread."""

    placed: npt.NDArray[np.float64]  # (8 MAX_VERTICES,) see `placing.place_vertices`; two more rows are room
    places: npt.NDArray[np.float32]  # (2 MAX_VERTICES,) see `placing.image_vertices`
    records: npt.NDArray[np.float64]  # (RECORD MAX_VERTICES,) see `placing.turn_out`
    staged: npt.NDArray[np.float64]  # (9 MAX_FACES,) x, y, 1/Z of the vertices of what `stage_any` stages
    planes: npt.NDArray[np.float32]  # (14 MAX_FACES,) see `cover.make_small`
    boxes: npt.NDArray[np.int32]  # (2 MAX_FACES,) of staged faces, see `cover.sides_of`
    names: npt.NDArray[np.int32]  # (MAX_FACES,) of staged faces, unless `face_ids` are
    scene_places: npt.NDArray[np.int32]  # (MAX_FACES,) of staged faces, for their records
    turns: npt.NDArray[np.int32]  # (MAX_FACES,) likewise
    ids: npt.NDArray[np.int32]  # (8,) likewise
    firsts: npt.NDArray[np.int32]  # (MAX_FACES,) the first pixels of staged faces
    # numbers of the staged faces that a window shows, that its upper half does, its left side, of the other small ones, of
    # those that are not small; and room for eight
    chosen: npt.NDArray[np.uint8]  # (5, MAX_FACES + 8)
    origins: npt.NDArray[np.int32]  # (2 MAX_FACES,) see `cover.make_small`
    others: npt.NDArray[np.int32]  # (MAX_FACES, 5) other faces: number in the cluster, rows, columns
    plane: npt.NDArray[np.float64]  # (PLANE,) see ``planes.py``
    clipped: npt.NDArray[np.float64]  # (3, 4) see `planes.clip_parallel`


def scratch() -> Scratch:
    """Return a `Scratch`."""
    return Scratch(
        placed=aligned(8 * _V),
        places=aligned(2 * _V, np.float32),
        records=aligned(RECORD * _V),
        staged=aligned(9 * _F),
        planes=aligned(14 * _F, np.float32),
        boxes=aligned(2 * _F, np.int32),
        names=aligned(_F, np.int32),
        scene_places=aligned(_F, np.int32),
        turns=aligned(_F, np.int32),
        ids=aligned(8, np.int32),
        firsts=aligned(_F, np.int32),
        chosen=aligned((5, _F + 8), np.uint8),
        origins=aligned(2 * _F, np.int32),
        others=aligned((_F, 5), np.int32),
        plane=aligned(PLANE),
        clipped=aligned((3, 4)),
    )


class Tile(NamedTuple):
    """What staging wants to know of a tile."""

    n_rows: int
    n_cols: int
    pad: float  # pixels around a face's vertices that are looked at, at least
    bulge: float  # and more, by the squared length of its edges (plane pixels)
    small_pad: float  # around those of staged faces
    small: float  # squared plane pixels: no larger faces are staged
    cull: bool
    exactly: bool  # records do not say where pixels lie on faces, see ``drawn.py``


def _places() -> npt.NDArray[np.uint8]:
    """Return, of each number of eight bits, the places of those that are set, one after the other."""
    table = np.zeros((256, 8), np.uint8)
    for bits in range(256):
        places = [place for place in range(8) if bits >> place & 1]
        table[bits, : len(places)] = places
    return table.ravel()


_PLACES = _places()
_EIGHT = np.arange(8, dtype=np.int32)


def _beyond(columns: int, rows: int) -> np.int32:
    """Return the bits one of which is set where two int16, more columns and rows than one, are negative or too many."""
    return np.uint32((~(rows - 1) & 0xFFFF) << 16 | (~(columns - 1) & 0xFFFF)).astype(np.int32)


_NEGATIVE, _BEYOND = _beyond(1 << 15, 1 << 15), _beyond(WINDOW, WINDOW)
_BEYOND_HALF, _BEYOND_SIDE = _beyond(WINDOW, WINDOW // 2), _beyond(WINDOW // 2, WINDOW)


@inlined
def _eight_vertices(records, corners, at):
    """Return the `RECORD`'s numbers of a vertex of eight faces; ``at`` (uint64) is where the first one's number is."""
    return fields_of_eight(
        pair(_record(records, corners, at, 0), _record(records, corners, at, 12)),
        pair(_record(records, corners, at, 3), _record(records, corners, at, 15)),
        pair(_record(records, corners, at, 6), _record(records, corners, at, 18)),
        pair(_record(records, corners, at, 9), _record(records, corners, at, 21)),
    )


@inlined
def _record(records, corners, at, more):
    return load4(records, RECORD * np.int64(corners[at + np.uint64(more)]))


@inner
def _eight_faces(face_ids, turns, first_face, first, scratch):
    """Return the indices and the turns of eight faces of a cluster, from number ``first`` on; what follows is the last's."""
    n = face_ids.shape[0]
    if first + 8 <= n:
        return load8(face_ids, first), as_int(load8(turns, first_face + first))
    for k in range(8):
        face = min(first + k, n - 1)
        scratch.ids[k], scratch.turns[k] = face_ids[face], turns[first_face + face]
    return load8(scratch.ids, 0), load8(scratch.turns, 0)


@inner
def stage_plain(corners, face_ids, first_face, tile, lattice, drawn, number, scratch):
    """Stage the faces of a cluster of which all vertices have a place in the image, and make planes of them.

    ``drawn`` is None or a `Drawn`; where that has records, those of small faces are written from ``number`` on, of eight
    faces together of which one may be seen. Returns how many a window holds, how many its upper half, how many its left
    side, how many are small but too large for windows, how many are ``others``, and which record is the next. Eight faces
    are looked at together; of the last ones some may be the next cluster's, or nobody's.
    """
    n = face_ids.shape[0]
    records, chosen, small, both = scratch.records, scratch.chosen, tile.small, not tile.cull
    windows, halves, sides, smalls, larges = (
        chosen[WINDOWS], chosen[HALVES], chosen[SIDES], chosen[SMALL], chosen[LARGE],
    )  # fmt: skip
    n_windows, n_halves, n_sides, n_small, n_large = 0, 0, 0, 0, 0
    for first in range(0, n, 8):
        at = np.uint64(3 * first)  # unsigned, for which the compiler does not provide as for negative ones
        ax, ay, aw, a_box = _eight_vertices(records, corners, at)
        bx, by, bw, b_box = _eight_vertices(records, corners, at + np.uint64(1))
        cx, cy, cw, c_box = _eight_vertices(records, corners, at + np.uint64(2))
        is_small, is_large, made = make_small(
            first, ax, ay, aw, bx, by, bw, cx, cy, cw, small, both, lattice, scratch.planes, scratch.origins
        )  # fmt: skip
        box = doubles_in(most(shorts_in(a_box), most(shorts_in(b_box), shorts_in(c_box))))
        store(scratch.boxes, 2 * first, wholes_in(box))
        lasts, firsts = lower_half(box), upper_half(box)
        # How many more columns, and how many more rows, than one, as two int16; negative between pixel centres.
        more = wholes_in(shorts_in(lasts) + shorts_in(firsts))
        minus_row, minus_col = firsts >> np.int32(16), (firsts << np.int32(16)) >> np.int32(16)
        store(
            scratch.firsts, first, splat_like(more, np.int32(0)) - (minus_row * np.int32(STRIDE) + minus_col)
        )
        looked_at = (1 << min(n - first, 8)) - 1
        seen = bits_of(is_small & ((more & _NEGATIVE) == np.int32(0))) & looked_at
        if drawn is not None:  # noqa: SIM102
            if has_records(drawn) and seen != 0:
                ids, turns = _eight_faces(face_ids, drawn.turns, first_face, first, scratch)
                put_records(
                    drawn, number, ax, ay, aw, bx, by, bw, cx, cy, cw, made, tile.exactly, lattice,
                    load8(scratch.origins, first), load8(scratch.origins, _F + first), ids,
                    load8(_EIGHT, 0) + np.int32(first_face + first), turns,
                )  # fmt: skip
                store(drawn.ids, number, ids)
                store(scratch.names, first, load8(_EIGHT, 0) + np.int32(number))
                number += min(n - first, 8)  # what comes after the last is no face, and written over
        in_half = bits_of((more & _BEYOND_HALF) == np.int32(0)) & seen
        in_side = bits_of((more & _BEYOND_SIDE) == np.int32(0)) & seen & ~in_half
        in_window = bits_of((more & _BEYOND) == np.int32(0)) & seen & ~(in_half | in_side)
        n_halves = _list(halves, n_halves, first, in_half)
        n_sides = _list(sides, n_sides, first, in_side)
        n_windows = _list(windows, n_windows, first, in_window)
        n_small = _list(smalls, n_small, first, seen & ~(in_half | in_side | in_window))
        n_large = _list(larges, n_large, first, bits_of(is_large) & looked_at)
    n_others = 0
    for k in range(np.uint64(n_large)):
        n_others += _list_other(corners, np.int64(larges[k]), tile, scratch, n_others)
    return n_windows, n_halves, n_sides, n_small, n_others, number


@inlined
def _list(numbers, n, first, bits):
    """Write, from ``numbers[n]`` on, the numbers of those of eight faces whose bits are set; return where the list ends.

    Eight are written in any case, of which some are kept: which faces are seen cannot be foreseen.
    """
    store(numbers, n, load8(_PLACES, 8 * bits) + np.uint8(first))
    return n + popcount(bits)


@inner
def _list_other(corners, face, tile, scratch, at):
    """List a face that is not small; return how many: 0 if its pixels are beyond the tile, or 1."""
    placed, others = scratch.placed, scratch.others[at]
    xs, ys = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V]
    us, vs = scratch.places[:_V], scratch.places[_V:]
    a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
    abx, aby, acx, acy = xs[b] - xs[a], ys[b] - ys[a], xs[c] - xs[a], ys[c] - ys[a]
    pad = tile.pad + tile.bulge * 2.0 * (abx * abx + aby * aby + acx * acx + acy * acy)
    others[0] = face
    others[1] = np.int32(np.ceil(max(min(vs[a], min(vs[b], vs[c])) - pad, 0.0)))
    others[2] = np.int32(np.floor(min(max(vs[a], max(vs[b], vs[c])) + pad, tile.n_rows - 1.0)))
    others[3] = np.int32(np.ceil(max(min(us[a], min(us[b], us[c])) - pad, 0.0)))
    others[4] = np.int32(np.floor(min(max(us[a], max(us[b], us[c])) + pad, tile.n_cols - 1.0)))
    return 1 if (others[1] <= others[2]) & (others[3] <= others[4]) else 0


@inner
def stage_any(
    corners, face_ids, first_face, tile, lattice, inverse, cells, bounds, drawn, number, scratch
):  # fmt: skip
    """Stage the faces of a cluster of which vertices may have no place in the image, and make planes of them.

    ``drawn`` and ``number`` are as in `stage_plain`. Returns how many are small, how many are ``others``, and which record
    is the next.
    """
    u_last, v_last = tile.n_cols - 1.0, tile.n_rows - 1.0
    least_pad, bulge, small, cull, n_rows, n_cols = (
        tile.pad,
        tile.bulge,
        tile.small,
        tile.cull,
        tile.n_rows,
        tile.n_cols,
    )
    placed, staged, boxes, others = scratch.placed, scratch.staged, scratch.boxes, scratch.others
    xs, ys, ws = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], placed[5 * _V : 6 * _V]
    us, vs = scratch.places[:_V], scratch.places[_V:]
    n_staged, n_others = 0, 0
    for face in range(face_ids.shape[0]):
        if n_staged < 0:  # never; it tells the compiler not to provide for negative indices below
            break
        a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
        au, bu, cu = us[a], us[b], us[c]
        if np.isnan(au + bu + cu):
            others[n_others, 0], others[n_others, 1], others[n_others, 2] = face, 0, n_rows - 1
            others[n_others, 3], others[n_others, 4] = 0, n_cols - 1
            n_others += 1
            continue
        ax, ay = xs[a], ys[a]
        bx, by = xs[b], ys[b]
        cx, cy = xs[c], ys[c]
        abx, aby, acx, acy = bx - ax, by - ay, cx - ax, cy - ay
        area = abx * acy - acx * aby
        # No edge is longer than the root of this.
        size2 = 2.0 * (abx * abx + aby * aby + acx * acx + acy * acy)
        pad = least_pad + bulge * size2
        av, bv, cv = vs[a], vs[b], vs[c]
        u_lo, u_hi = min(au, min(bu, cu)) - pad, max(au, max(bu, cu)) + pad
        v_lo, v_hi = min(av, min(bv, cv)) - pad, max(av, max(bv, cv)) + pad
        if inverse is not None:  # noqa: SIM102 - the compiler drops it where inverse is None, but not an `and`
            if au + bu + cu == np.inf:
                u_lo, u_hi, v_lo, v_hi = _box_by_rays(
                    min(ax, min(bx, cx)) - _ROOM, max(ax, max(bx, cx)) + _ROOM,
                    min(ay, min(by, cy)) - _ROOM, max(ay, max(by, cy)) + _ROOM, inverse, cells, bounds,
                )  # fmt: skip
        first_col, last_col = np.ceil(max(u_lo, 0.0)), np.floor(min(u_hi, u_last))
        first_row, last_row = np.ceil(max(v_lo, 0.0)), np.floor(min(v_hi, v_last))
        # Edge-on, turned away, or between pixel centres.
        if not (
            (area * area > THINNEST * size2)
            & ((area < 0.0) | (not cull))
            & (first_col <= last_col)
            & (first_row <= last_row)
        ):
            continue
        if size2 > small:
            others[n_others, 0] = face
            others[n_others, 1], others[n_others, 2] = np.int32(first_row), np.int32(last_row)
            others[n_others, 3], others[n_others, 4] = np.int32(first_col), np.int32(last_col)
            n_others += 1
            continue
        staged[n_staged], staged[_F + n_staged], staged[2 * _F + n_staged] = ax, ay, ws[a]
        staged[3 * _F + n_staged], staged[4 * _F + n_staged], staged[5 * _F + n_staged] = bx, by, ws[b]
        staged[6 * _F + n_staged], staged[7 * _F + n_staged], staged[8 * _F + n_staged] = cx, cy, ws[c]
        put_sides(
            boxes, n_staged, np.int64(first_row), np.int64(first_col), np.int64(last_row), np.int64(last_col)
        )
        scratch.names[n_staged], scratch.chosen[SMALL, n_staged] = face_ids[face], n_staged
        if drawn is not None:  # noqa: SIM102
            if has_records(drawn):
                scratch.names[n_staged], drawn.ids[number + n_staged] = number + n_staged, face_ids[face]
                scratch.scene_places[n_staged] = first_face + face
                scratch.turns[n_staged] = drawn.turns[first_face + face]
        n_staged += 1
    for i in range(0, n_staged, 8):
        ax, ay, aw = load8(staged, i), load8(staged, _F + i), load8(staged, 2 * _F + i)
        bx, by, bw = load8(staged, 3 * _F + i), load8(staged, 4 * _F + i), load8(staged, 5 * _F + i)
        cx, cy, cw = load8(staged, 6 * _F + i), load8(staged, 7 * _F + i), load8(staged, 8 * _F + i)
        _, _, made = make_small(
            i, ax, ay, aw, bx, by, bw, cx, cy, cw, small, not cull, lattice, scratch.planes, scratch.origins
        )  # fmt: skip
        if drawn is not None:  # noqa: SIM102
            if has_records(drawn):
                put_records(
                    drawn, number + i, ax, ay, aw, bx, by, bw, cx, cy, cw, made, tile.exactly, lattice,
                    load8(scratch.origins, i), load8(scratch.origins, _F + i), load8(drawn.ids, number + i),
                    load8(scratch.scene_places, i), load8(scratch.turns, i),
                )  # fmt: skip
    return n_staged, n_others, number + n_staged


@inner
def _box_by_rays(x_lo, x_hi, y_lo, y_hi, inverse, cells, bounds):
    """Return least and greatest u and v, from the tile's first pixel, where rays may lie in a rectangle of its plane."""
    if np.isfinite(inverse.frame[8]):
        u_lo, u_hi, v_lo, v_hi = box_of(inverse, x_lo, x_hi, y_lo, y_hi)
        return u_lo - 0.5, u_hi - 0.5, v_lo - 0.5, v_hi - 0.5
    first_row, last_row, first_col, last_col = blocks_near(cells, bounds, x_lo, x_hi, y_lo, y_hi)
    return (
        np.float64(first_col * BLOCK_WIDTH), np.float64((last_col + 1) * BLOCK_WIDTH),
        np.float64(first_row * BLOCK_HEIGHT), np.float64((last_row + 1) * BLOCK_HEIGHT),
    )  # fmt: skip
