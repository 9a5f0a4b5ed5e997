"""From a finished tile to the output images: 1/Z becomes depth or range, alpha and face indices.

``tiles.py`` leaves in each pixel the nearest 1/Z (0: no face; +inf: not imaged); here each output pixel is
written once, row by row. The commonest change is a new output that follows from 1/Z, the ray and the face index of one
pixel: give `resolve_tile` another array. What needs more than that belongs to ``layers.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.kernels.blocks import STRIDE
from depthraster.kernels.jit import inner, lean_kernel
from depthraster.kernels.memory import aligned
from depthraster.kernels.streaming import end_streams, stream_line

__all__ = ["Lines", "lines", "resolve_tile", "resolve_turned"]

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)


@inner
def _depths(w, background, line):
    for i in range(line.shape[0]):
        hit = (w[i] > _ZERO) & (w[i] < np.float32(np.inf))
        line[i] = _ONE / w[i] if hit else background


@inner
def _depth_pairs(w, background, line):
    """Write depth and alpha, side by side."""
    for i in range(line.shape[0] // 2):
        hit = (w[i] > _ZERO) & (w[i] < np.float32(np.inf))
        line[2 * i] = _ONE / w[i] if hit else background
        line[2 * i + 1] = _ONE if hit else _ZERO


@inner
def _ranges(x, y, w, lattice, inverse_f, background, line):
    """Write depth times the length of the ray whose Z is 1."""
    x0, y0 = np.float32(lattice[0] * inverse_f), np.float32(lattice[1] * inverse_f)
    step = np.float32(lattice[2] * inverse_f)
    for i in range(line.shape[0]):
        u, v = x0 + np.float32(x[i]) * step, y0 + np.float32(y[i]) * step
        length = np.sqrt(_ONE + (u * u + v * v)) / w[i]
        hit = (w[i] > _ZERO) & (w[i] < np.float32(np.inf))
        line[i] = length if hit else background


@inner
def _range_pairs(x, y, w, lattice, inverse_f, background, line):
    """Write range and alpha, side by side; see `_ranges`."""
    x0, y0 = np.float32(lattice[0] * inverse_f), np.float32(lattice[1] * inverse_f)
    step = np.float32(lattice[2] * inverse_f)
    for i in range(line.shape[0] // 2):
        u, v = x0 + np.float32(x[i]) * step, y0 + np.float32(y[i]) * step
        length = np.sqrt(_ONE + (u * u + v * v)) / w[i]
        hit = (w[i] > _ZERO) & (w[i] < np.float32(np.inf))
        line[2 * i] = length if hit else background
        line[2 * i + 1] = _ONE if hit else _ZERO


@inner
def _names(w, names, empty, line):
    """Write face indices, -1 where 1/Z is ``empty`` or infinite."""
    for i in range(line.shape[0]):
        hit = (w[i] > empty) & (w[i] < np.float32(np.inf))
        line[i] = names[i] if hit else np.int32(-1)


class Lines(NamedTuple):
    """A line of a tile, as it is made where images are streamed; one for each thread."""

    numbers: npt.NDArray[np.float32]  # (2 STRIDE,)
    names: npt.NDArray[np.int32]  # (STRIDE,)


def lines() -> Lines:
    """Return `Lines`."""
    return Lines(aligned(2 * STRIDE, np.float32), aligned(STRIDE, np.int32))


@lean_kernel
def resolve_tile(
    lattice, pixels, names, f, row0, col0, n_rows, n_cols, as_range, background, with_alpha, image, ranges, face_index,
    streamed, made,
):  # fmt: skip
    """Write the tile of n_rows x n_cols pixels at (row0, col0) into the images.

    ``image`` (H, W * channels), channels side by side, takes Z (or the Euclidean length of the ray, with ``as_range``)
    and, where ``with_alpha``, alpha; ``ranges`` (H, W) takes the length and ``face_index`` (H, W) the index, -1 where no
    face is; either may have no elements and is then left alone. ``background`` stands where no face is. With ``streamed``
    images are written past the caches, see ``streaming.py``; ``made`` is a `Lines`.
    """
    channels = 2 if with_alpha else 1
    inverse_f = 1.0 / f
    if row0 < 0 or col0 < 0:  # never; it tells the compiler not to provide for negative indices below
        return
    for row in range(n_rows):
        first, last = row * STRIDE, row * STRIDE + n_cols
        x, y, w = pixels.x[first:last], pixels.y[first:last], pixels.w[first:last]
        target = image[row0 + row, channels * col0 : channels * (col0 + n_cols)]
        line = made.numbers[: channels * n_cols] if streamed else target
        if as_range:
            if with_alpha:
                _range_pairs(x, y, w, lattice, inverse_f, background, line)
            else:
                _ranges(x, y, w, lattice, inverse_f, background, line)
        elif with_alpha:
            _depth_pairs(w, background, line)
        else:
            _depths(w, background, line)
        if streamed:
            stream_line(line, target)
        if ranges.size > 0:
            target = ranges[row0 + row, col0 : col0 + n_cols]
            line = made.numbers[:n_cols] if streamed else target
            _ranges(x, y, w, lattice, inverse_f, background, line)
            if streamed:
                stream_line(line, target)
        if names is not None:
            _write_names(
                w, names[first:last], _ZERO, streamed, made, face_index[row0 + row, col0 : col0 + n_cols]
            )
    if streamed:
        end_streams()


@inner
def _write_names(w, names, empty, streamed, made, target):
    line = made.names[: target.shape[0]] if streamed else target
    _names(w, names, empty, line)
    if streamed:
        stream_line(line, target)


@inner
def _turned(x, y, w, lattice, inverse_f, ax, ay, az, background, line, channels):
    """Write the depths along another axis than the tile's plane's, (ax, ay, az) in the plane's frame."""
    # In float64: the terms may cancel.
    middle = (ax * lattice[0] + ay * lattice[1]) * inverse_f + az
    along_x, along_y = ax * inverse_f * lattice[2], ay * inverse_f * lattice[2]
    for i in range(w.shape[0]):
        depth = np.float32(middle + (along_x * x[i] + along_y * y[i])) / w[i]
        hit = (w[i] > _ZERO) & (w[i] < np.float32(np.inf))
        line[channels * i] = depth if hit else background


@inner
def _parallel(w, background, line, channels):
    """Write the depths where rays are parallel."""
    for i in range(w.shape[0]):
        hit = (w[i] > np.float32(-np.inf)) & (w[i] < np.float32(np.inf))
        line[channels * i] = -w[i] if hit else background


@inner
def _alphas(w, empty, line):
    """Write alpha into the second of two channels."""
    for i in range(w.shape[0]):
        hit = (w[i] > empty) & (w[i] < np.float32(np.inf))
        line[2 * i + 1] = _ONE if hit else _ZERO


@lean_kernel
def resolve_turned(
    lattice, pixels, names, f, axis, parallel, row0, col0, n_rows, n_cols, background, with_alpha, image, ranges, face_index,
    streamed, made,
):  # fmt: skip
    """Write a tile whose plane is not the camera's, as `resolve_tile` does.

    ``axis`` (3) is the camera's Z in the tile's frame: depth is what the point has along it, less than 0 beside and behind
    the camera. With ``parallel`` rays w is -Z, -inf where no face is seen, and the range is Z. Of other rays a length is
    the same in every frame: where ``image`` takes it, `resolve_tile` writes it.
    """
    channels = 2 if with_alpha else 1
    inverse_f = 1.0 / f
    empty = np.float32(-np.inf) if parallel else _ZERO
    if row0 < 0 or col0 < 0:  # never; as above
        return
    for row in range(n_rows):
        first, last = row * STRIDE, row * STRIDE + n_cols
        x, y, w = pixels.x[first:last], pixels.y[first:last], pixels.w[first:last]
        target = image[row0 + row, channels * col0 : channels * (col0 + n_cols)]
        line = made.numbers[: channels * n_cols] if streamed else target
        if parallel:
            _parallel(w, background, line, channels)
        else:
            _turned(x, y, w, lattice, inverse_f, axis[0], axis[1], axis[2], background, line, channels)
        if with_alpha:
            _alphas(w, empty, line)
        if streamed:
            stream_line(line, target)
        if ranges.size > 0:
            target = ranges[row0 + row, col0 : col0 + n_cols]
            line = made.numbers[:n_cols] if streamed else target
            if parallel:
                _parallel(w, background, line, 1)
            else:
                _ranges(x, y, w, lattice, inverse_f, background, line)
            if streamed:
                stream_line(line, target)
        if names is not None:
            _write_names(
                w, names[first:last], empty, streamed, made, face_index[row0 + row, col0 : col0 + n_cols]
            )
    if streamed:
        end_streams()
