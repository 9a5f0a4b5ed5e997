"""How many pixels show each face.

The commonest change is another number summed over a face's pixels: an array beside ``counts``.
"""

from __future__ import annotations

import numpy as np

from depthraster.kernels.jit import kernel

__all__ = ["collect_counts", "count_faces"]


@kernel
def count_faces(face_index, counts):
    """Add the pixels of an image of faces (H, W) to ``counts`` (F,), zeros before; return how many faces there are."""
    n = 0
    for row in range(face_index.shape[0]):
        for col in range(face_index.shape[1]):
            face = face_index[row, col]
            if face >= 0:
                n += counts[face] == 0
                counts[face] += 1
    return n


@kernel
def collect_counts(counts, faces, pixels):
    """Write the faces with counts and their counts, in order, and leave zeros."""
    n = 0
    for face in range(counts.shape[0]):
        if counts[face] != 0:
            faces[n], pixels[n] = np.int32(face), counts[face]
            counts[face] = 0
            n += 1
