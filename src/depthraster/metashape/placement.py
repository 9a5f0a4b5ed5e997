"""`ChunkTransform` and `Region`: where a chunk lies in the world, and the box that its user works in.

Both are changed in place, ``chunk.transform.scale = 2``, ``chunk.region.size = …``; matrices and vectors that they give are
copies. The commonest change is another part of a transform: a property that takes it out of the matrix and puts it back.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

import depthraster.chunk as values
from depthraster.metashape.algebra import Matrix, Vector, as_vector
from depthraster.metashape.base import Facade, is_number
from depthraster.transforms import check_transform

__all__ = ["ChunkTransform", "Region"]

Array = npt.NDArray[np.float64]


class ChunkTransform(Facade):
    """From a chunk's frame to the world; a similarity, or nothing: then ``matrix`` is the identity and its parts None."""

    __slots__ = ("_matrix",)
    _matrix: Array | None

    def __init__(self) -> None:
        self._matrix = None

    @property
    def matrix(self) -> Matrix:
        """The 4x4 matrix."""
        return Matrix(np.eye(4) if self._matrix is None else self._matrix)

    @matrix.setter
    def matrix(self, matrix: Any) -> None:
        self._matrix = None if matrix is None else check_transform(Matrix(matrix))

    @property
    def scale(self) -> float | None:
        """World units per chunk unit, or None."""
        return None if self._matrix is None else self.matrix.scale()

    @scale.setter
    def scale(self, scale: float) -> None:
        if not is_number(scale) or not 0.0 < scale < np.inf:
            raise ValueError(f"the scale is {scale!r}; a positive number is needed: check it")
        self._compose(scale=float(scale))

    @property
    def rotation(self) -> Matrix | None:
        """The 3x3 rotation, or None."""
        return None if self._matrix is None else self.matrix.rotation()

    @rotation.setter
    def rotation(self, rotation: Any) -> None:
        self._compose(rotation=Matrix(rotation))

    @property
    def translation(self) -> Vector | None:
        """The translation, world units, or None."""
        return None if self._matrix is None else self.matrix.translation()

    @translation.setter
    def translation(self, translation: Any) -> None:
        self._compose(translation=Vector(translation))

    def _compose(
        self,
        rotation: Matrix | None = None,
        scale: float | None = None,
        translation: Vector | None = None,
    ) -> None:
        old = self.matrix
        self.matrix = (
            Matrix.Translation(translation or old.translation())
            * Matrix.Rotation(rotation or old.rotation())
            * Matrix.Scale([old.scale() if scale is None else scale] * 3)
        )

    def copy(self) -> ChunkTransform:
        """Return a copy."""
        made = ChunkTransform()
        made._matrix = self._matrix
        return made


class Region(Facade):
    """A box: its centre in the chunk's frame, its full edge lengths along its own axes, their rotation to the chunk's."""

    __slots__ = ("_center", "_rot", "_size")
    __hash__: ClassVar[None]  # type: ignore[assignment]  # it can change
    _center: Array
    _size: Array
    _rot: Array

    def __init__(self) -> None:
        self._center, self._size, self._rot = np.zeros(3), np.zeros(3), np.eye(3)

    @classmethod
    def _of(cls, value: values.Region) -> Region:
        region = cls()
        region._center, region._size, region._rot = value.center, value.size, value.rotation
        return region

    def as_value(self) -> values.Region:
        """Return the frozen value."""
        return values.Region(center=self._center, size=self._size, rotation=self._rot)

    @property
    def center(self) -> Vector:
        """Its centre, chunk units."""
        return Vector(self._center)

    @center.setter
    def center(self, center: Any) -> None:
        self._center = as_vector(center, (3,), "the centre")

    @property
    def size(self) -> Vector:
        """Its edge lengths, chunk units."""
        return Vector(self._size)

    @size.setter
    def size(self, size: Any) -> None:
        self._size = as_vector(size, (3,), "the size")

    @property
    def rot(self) -> Matrix:
        """The 3x3 rotation from its axes to the chunk's."""
        return Matrix(self._rot)

    @rot.setter
    def rot(self, rot: Any) -> None:
        matrix = Matrix(rot)
        if matrix.size != (3, 3):
            raise ValueError(f"the rotation's size is {matrix.size}; (3, 3) is needed: pass its 3x3 part")
        self._rot = np.asarray(matrix)

    def copy(self) -> Region:
        """Return a copy."""
        made = Region()
        made._center, made._size, made._rot = self._center, self._size, self._rot
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Region) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("_center", "_size", "_rot")
        )
