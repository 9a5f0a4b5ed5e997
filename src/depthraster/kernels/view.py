"""All tiles of a view whose rays lie in one plane, in one call: what ``pipeline.py`` does tile by tile for the others.

Between the kernels of a tile, Python would take some 3 % of the time, and hold its lock meanwhile, which many threads would
wait for. Threads take the tiles from a counter that they share. The commonest change is another step of a tile: here and in
`pipeline.draw_images`, whose images are the same.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from depthraster.kernels.blocks import BLOCK_HEIGHT, BLOCK_WIDTH, STRIDE
from depthraster.kernels.derive import derive_tile
from depthraster.kernels.jit import lean_kernel
from depthraster.kernels.occlusion import front_to_back
from depthraster.kernels.rays import fill_rays, lay_lattice
from depthraster.kernels.resolve import resolve_tile
from depthraster.kernels.select import bound_rays, clusters_in_tile
from depthraster.kernels.simd import align_stack
from depthraster.kernels.tiles import draw_clusters

__all__ = ["draw_view"]


@intrinsic
def _take(typing: Any, counter: Any) -> Any:
    """Return the first number of a contiguous int64 array and add one to it, at once for all threads."""

    def make(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), make


@lean_kernel
def draw_view(
    at_most, waiting, tiles, nodes, exact, spacing, nothing, finest, room, scene, camera, view, lens, guard, bulge, small,
    cull, bounds, planes, chosen, lattice, pixels, all_refs, drawn, names, filling, occlusion, drawing, parallel, deriving,
    read_again, meeting, as_range, background, with_alpha, image, ranges, face_index, streamed, lines,
):  # fmt: skip
    """Draw tiles (n, 4) of first row and column, rows and columns, from number ``waiting[0]`` on, which counts them.

    Returns whether there may be more than the ``at_most`` that are drawn in one call. No cell is ``exact``. ``deriving`` is
    None or a `Deriving`, and ``drawn`` has records then; ``names`` are those of ``drawn``. The other arguments are those of
    the kernels that are called here. ``parallel`` and ``read_again`` are False, and come in so that these are the kernels
    that Python calls, and compiled once.
    """
    align_stack()
    f = lens[0]
    for _ in range(at_most):
        number = _take(waiting)
        if number >= tiles.shape[0]:
            return False
        row0, col0, n_rows, n_cols = tiles[number, 0], tiles[number, 1], tiles[number, 2], tiles[number, 3]
        n_blocks = ((n_rows + BLOCK_HEIGHT - 1) // BLOCK_HEIGHT) * ((n_cols + BLOCK_WIDTH - 1) // BLOCK_WIDTH)
        refs = all_refs[:n_blocks]
        if names is not None:
            names[: (n_rows + BLOCK_HEIGHT) * STRIDE] = -1
        lay_lattice(nodes, spacing, row0, col0, n_rows, n_cols, finest, room, lattice)
        fill_rays(nodes, exact, spacing, nothing, row0, col0, n_rows, n_cols, lattice, pixels, refs, filling)
        bound_rays(refs, bounds)
        n = clusters_in_tile(
            scene.centre, scene.half, scene.cone, scene.groups, scene.extent, view, camera, bounds, parallel, cull, planes,
            chosen,
        )  # fmt: skip
        clusters = chosen[:n]
        hiding = front_to_back(
            scene.centre, scene.half, scene.extent, view, bounds, parallel, clusters, occlusion
        )
        draw_clusters(
            scene, clusters, view, f, lens, guard, bulge, small, None, None, parallel, cull, bounds, row0, col0, n_rows,
            n_cols, lattice, pixels, refs, drawn, hiding, occlusion, drawing,
        )  # fmt: skip
        if deriving is not None:
            derive_tile(
                scene, deriving.faces, lattice, pixels, drawn, camera, deriving.rays, parallel, deriving.axes,
                deriving.frame, row0, col0, n_rows, n_cols, row0, col0, deriving.surface, streamed, read_again, meeting,
            )  # fmt: skip
        resolve_tile(
            lattice, pixels, names, f, row0, col0, n_rows, n_cols, as_range, background, with_alpha, image, ranges,
            face_index, streamed, lines,
        )  # fmt: skip
    return True
