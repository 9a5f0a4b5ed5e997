"""The tile loop: cluster by cluster, the vertices, faces and pixels of one square of the image, on one thread.

A tile keeps the ray of each pixel and the nearest 1/Z so far, as ``blocks.py`` describes. In the plane of its rays each
face's three edge functions and its 1/Z are linear, whatever the lens. ``rays.py`` lays the rays out, ``select.py`` says
which clusters concern a tile, ``occlusion.py`` which of them are hidden; ``placing.py`` projects the vertices of a
cluster, ``staging.py`` says which of its faces are drawn and how, ``cover.py`` draws them; ``resolve.py`` reads the result.

The commonest change is a new way for a face to be seen: a function in ``planes.py`` that makes a plane record, and a
branch in `draw_clusters` that lets `cover.draw_large` draw it.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.access import prefetch
from depthraster.kernels.blocks import BLOCK_WIDTH
from depthraster.kernels.clusters import LANES, MAX_FACES, MAX_VERTICES
from depthraster.kernels.cover import (
    EDGE_ROUNDING,
    SMALL,
    draw_large,
    draw_loose,
    draw_small,
    draw_windows,
)
from depthraster.kernels.drawn import forget, has_records, put_place
from depthraster.kernels.jit import inner, lean_kernel
from depthraster.kernels.lens import rounding_bound
from depthraster.kernels.memory import LINE
from depthraster.kernels.occlusion import is_hidden, look_again
from depthraster.kernels.placing import image_vertices, place_vertices, turn_out
from depthraster.kernels.planes import clip_parallel, homogeneous_planes, is_seen, projected_planes
from depthraster.kernels.simd import align_stack
from depthraster.kernels.staging import Tile, stage_any, stage_plain

__all__ = ["draw_clusters"]

_V = MAX_VERTICES
_MOST = 2 * MAX_FACES + LANES  # records that one cluster may write

_ROUNDING = 1e-3  # pixels, more than float32 rounds places by that are near a tile
_BENT = 0.25  # pixels that the edges of small faces may leave their chords by
_TOO_NEAR = 1e-9  # of a cluster's size, before the camera: nearer vertices are not projected


@inner
def _ask_for(scene, clusters, at, drawn):
    """Have what is looked at of the cluster at ``at`` come nearer: where it lies is nothing that the machine foresees."""
    if at >= clusters.shape[0]:
        return
    cluster = np.int64(clusters[at])
    first, n = scene.first_vertex[cluster], 3 * np.int64(scene.n_vertices[cluster])
    first_face, end_face = scene.first_face[cluster], scene.first_face[cluster + 1]
    for i in range(first, first + n, LINE // 4):
        prefetch(scene.narrow, i)
    for i in range(3 * first_face, 3 * end_face, LINE):
        prefetch(scene.corners, i)
    if drawn is not None:
        for i in range(first_face, end_face, LINE // 4):
            prefetch(scene.face_ids, i)
        if has_records(drawn):
            for i in range(first_face, end_face, LINE):
                prefetch(drawn.turns, i)


@lean_kernel
def draw_clusters(
    scene, clusters, view, f, lens, guard, bulge, small, inverse, cells, parallel, cull, bounds, row0, col0, n_rows, n_cols,
    lattice, pixels, refs, drawn, hiding, occlusion, scratch,
):  # fmt: skip
    """Draw the faces of ``clusters`` into the tile of n_rows x n_cols pixels whose first pixel is (row0, col0).

    ``scene`` is the tuple of arrays of ``scene.py``. ``view`` (3, 4) maps points relative to the scene's
    origin to (f X, f Y, Z) in the frame of the tile's plane; ``guard`` bounds the squared distance from the axis (plane
    pixels) up to which ``bulge`` holds: an edge of squared length L2 leaves its chord in the image by at most
    ``bulge * L2`` pixels. Faces up to a squared size ``small`` (plane pixels) are drawn from distances to their own
    vertex in float32: it has to be few enough pixels for that, and a small angle. ``bounds`` is what `select.bound_rays`
    says of the tile's rays. ``drawn`` is None or a `Drawn` that takes faces' names and, where there is room, their records.
    With ``hiding``, ``occlusion`` is what `occlusion.front_to_back` made of the clusters, and those that are hidden by then
    are left out.
    ``scratch`` is a `Scratch`.

    Either ``lens`` says where vertices lie in the image, and ``inverse`` and ``cells`` are None; or ``lens`` is None and
    ``inverse``, an `inverse.Inverse`, says so, or, where that has no polynomial, ``cells``, a table of `cells.fill_cells`.
    Then ``view`` is of the tile's own plane, and with ``parallel`` rays w is -Z in the place of 1/Z.
    """
    align_stack()
    blocks_across = (n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH
    rx, ry = bounds[4] * EDGE_ROUNDING, bounds[5] * EDGE_ROUNDING
    least_pad, loosely = 0.01, False
    if lens is not None:
        least_pad += rounding_bound(lens, np.sqrt(guard) / lens[0], row0 + col0)
    if inverse is not None:
        least_pad, bulge = inverse.frame[8] + _ROUNDING, inverse.frame[9]
        loosely = least_pad == np.inf
    tile = Tile(
        n_rows, n_cols, least_pad, bulge, least_pad + bulge * small, small, cull, parallel
    )  # fmt: skip
    # Otherwise boxes are better drawn around each face by its size, or by the tile's rays.
    is_straight = (bulge * small < _BENT) & (not loosely)
    placed = scratch.placed
    others, plane, clipped = scratch.others, scratch.plane, scratch.clipped
    xs, ys, ws = placed[3 * _V : 4 * _V], placed[4 * _V : 5 * _V], placed[5 * _V : 6 * _V]
    us = scratch.places[:_V]
    scale = np.sqrt(view[2, 0] * view[2, 0] + view[2, 1] * view[2, 1] + view[2, 2] * view[2, 2])
    covered = 0.0
    number = 0  # of the next record
    if drawn is not None:
        drawn.recorded[0] = 0
    for at in range(clusters.shape[0]):
        if hiding:
            if covered >= 1.0:
                look_again(pixels.w, blocks_across, refs, bounds, occlusion)
                covered = 0.0
            if is_hidden(at, occlusion):
                continue
            covered += occlusion.cover[at]
        cluster = np.int64(clusters[at])
        _ask_for(scene, clusters, at + 1, drawn)
        n_vertices = np.int64(scene.n_vertices[cluster])
        first = scene.first_vertex[cluster]
        cx, cy, cz = scene.centre[cluster, 0], scene.centre[cluster, 1], scene.centre[cluster, 2]
        nearest = 0.0
        if not parallel:
            half = scene.half[cluster]
            nearest = _TOO_NEAR * scale * (half[0] + half[1] + half[2])
        if scene.is_wide[cluster]:
            place_vertices(scene.wide, first, n_vertices, view, 1.0, cx, cy, cz, placed)
        else:
            place_vertices(scene.narrow, first, n_vertices, view, scene.step, cx, cy, cz, placed)
        image_vertices(
            n_vertices, lens, guard, nearest, inverse, parallel, row0, col0, placed, scratch.places
        )
        first_face, end_face = scene.first_face[cluster], scene.first_face[cluster + 1]
        corners = scene.corners[3 * first_face : 3 * end_face]
        face_ids = scene.face_ids[first_face:end_face]
        if drawn is not None:
            number = drawn.recorded[0]
            if has_records(drawn) & (number + _MOST > drawn.ids.shape[0]):
                forget(drawn, n_rows)
                number = drawn.recorded[0]
        if is_straight and turn_out(n_vertices, tile, placed, scratch.places, scratch.records):
            n_windows, n_halves, n_sides, n_small, n_others, number = stage_plain(
                corners, face_ids, first_face, tile, lattice, drawn, number, scratch
            )
            names = face_ids
        else:
            n_windows, n_halves, n_sides = 0, 0, 0
            n_small, n_others, number = stage_any(
                corners, face_ids, first_face, tile, lattice, inverse, cells, bounds, drawn, number, scratch
            )
            names = scratch.names
        if drawn is not None:  # noqa: SIM102
            if has_records(drawn):
                names = scratch.names
                drawn.recorded[0] = number + n_others
        if loosely:
            draw_loose(
                n_small, scratch.boxes, refs, blocks_across, scratch.staged, pixels, drawn, names, scratch.planes,
                scratch.origins,
            )  # fmt: skip
        else:
            where = pixels, drawn, names, scratch.planes, scratch.origins
            draw_windows(scratch.chosen, n_windows, n_halves, n_sides, scratch.firsts, *where)
            draw_small(n_small, scratch.chosen[SMALL], scratch.boxes, *where)
        for i in range(n_others):
            face = others[i, 0]
            name = face_ids[face]
            if drawn is not None:  # noqa: SIM102
                if has_records(drawn):
                    put_place(drawn, number + i, name, first_face + face)
                    name = np.int32(number + i)
            a, b, c = corners[3 * face], corners[3 * face + 1], corners[3 * face + 2]
            n_parts = 1
            if np.isnan(us[a] + us[b] + us[c]):
                if parallel:
                    n_parts = clip_parallel(xs, ys, ws, a, b, c, clipped) - 2
                elif not homogeneous_planes(f, rx, ry, bounds, cull, placed, a, b, c, plane):
                    continue
            else:
                projected_planes(rx, ry, xs, ys, ws, a, b, c, plane)
            for part in range(n_parts):
                if parallel and np.isnan(us[a] + us[b] + us[c]):
                    if not is_seen(clipped[0], clipped[1], 0, part + 1, part + 2, cull):
                        continue
                    projected_planes(rx, ry, clipped[0], clipped[1], clipped[2], 0, part + 1, part + 2, plane)
                draw_large(
                    pixels, lattice, refs, drawn, name, others[i, 1], others[i, 2], others[i, 3], others[i, 4],
                    blocks_across, plane,
                )  # fmt: skip
