"""`Vector` and `Matrix`: small linear algebra under Metashape's names; numpy does it.

Where the reference manual is silent: sizes that do not fit are refused, equality compares values, `Matrix.scale` is the
cube root of the determinant, and `Matrix.rotation` is what remains without it. The commonest change is another method:
numpy's function on ``_values``.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from depthraster.metashape.base import ArrayLike, is_number

__all__ = ["Matrix", "Vector", "as_vector"]

Array = npt.NDArray[np.float64]


def _numbers(value: Any, n_axes: int, needed: str) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "fiub" or array.ndim != n_axes:
        raise TypeError(f"{value!r} was given; {needed} is needed: pass nothing but numbers")
    return array.astype(np.float64)


def as_vector(value: Any, sizes: tuple[int, ...], what: str) -> Array:
    """Return a Vector, or a sequence of numbers, as (n,) float64; TypeError or ValueError where n is not among ``sizes``."""
    needed = " or ".join(str(size) for size in sizes)
    array = _numbers(value, 1, f"{what} as a Vector of {needed} numbers")
    if len(array) not in sizes:
        raise ValueError(f"{what} has {len(array)} numbers; {needed} are needed: pass a Vector of that size")
    return array


def _row_and_column(place: Any) -> tuple[int, int]:
    if not isinstance(place, tuple) or len(place) != 2:
        raise TypeError(
            f"a matrix was indexed with {place!r}; row and column are needed: write matrix[0, 3], or use row() and col()"
        )
    return operator.index(place[0]), operator.index(place[1])


class Vector(ArrayLike):
    """A vector of any number of components, float64.

    ``v * w`` of two vectors is their dot product; numpy sees a (size,) array.

    Parameters
    ----------
    values : Vector or sequence of float
        Its components.
    """

    __slots__ = ("_values",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # it can change
    _values: Array

    def __init__(self, values: Any) -> None:
        self._values = _numbers(values, 1, "a sequence of numbers")

    @property
    def size(self) -> int:
        """Number of components; a larger one set adds zeros, a smaller one cuts."""
        return len(self._values)

    @size.setter
    def size(self, size: int) -> None:
        values = np.zeros(size)
        n = min(size, len(self._values))
        values[:n] = self._values[:n]
        self._values = values

    def _component(self, index: int) -> float:
        if index >= len(self._values):
            raise IndexError(
                f"{'xyzw'[index]} was asked of a Vector of {len(self._values)}; {index + 1} or more components are needed: "
                "set its size"
            )
        return float(self._values[index])

    def _set_component(self, index: int, value: float) -> None:
        self._component(index)
        self._values[index] = value

    @property
    def x(self) -> float:
        """First component."""
        return self._component(0)

    @x.setter
    def x(self, value: float) -> None:
        self._set_component(0, value)

    @property
    def y(self) -> float:
        """Second component."""
        return self._component(1)

    @y.setter
    def y(self, value: float) -> None:
        self._set_component(1, value)

    @property
    def z(self) -> float:
        """Third component."""
        return self._component(2)

    @z.setter
    def z(self, value: float) -> None:
        self._set_component(2, value)

    @property
    def w(self) -> float:
        """Fourth component."""
        return self._component(3)

    @w.setter
    def w(self, value: float) -> None:
        self._set_component(3, value)

    def copy(self) -> Vector:
        """Return a copy."""
        return Vector(self._values)

    def norm(self) -> float:
        """Return the Euclidean length."""
        return float(np.linalg.norm(self._values))

    def norm2(self) -> float:
        """Return the squared Euclidean length."""
        return float(self._values @ self._values)

    def normalize(self) -> None:
        """Scale to unit length, in place; ValueError for a zero vector."""
        self._values = self.normalized()._values

    def normalized(self) -> Vector:
        """Return a copy of unit length; ValueError for a zero vector."""
        length = self.norm()
        if length == 0.0:
            raise ValueError(f"{self} has the length 0; a direction is needed: check it before")
        return Vector(self._values / length)

    @staticmethod
    def cross(a: Any, b: Any) -> Vector:
        """Return the cross product of two 3-vectors."""
        return Vector(np.cross(as_vector(a, (3,), "a"), as_vector(b, (3,), "b")))

    def zero(self) -> None:
        """Set all components to zero."""
        self._values[:] = 0.0

    def _fitting(self, other: Vector) -> Array:
        if other.size != self.size:
            raise ValueError(
                f"vectors of {self.size} and {other.size} components were combined; the same size is needed: set it"
            )
        return other._values

    def __add__(self, other: Any) -> Vector:
        return Vector(self._values + self._fitting(other)) if isinstance(other, Vector) else NotImplemented

    def __sub__(self, other: Any) -> Vector:
        return Vector(self._values - self._fitting(other)) if isinstance(other, Vector) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Vector):
            return float(self._values @ self._fitting(other))
        return Vector(self._values * float(other)) if is_number(other) else NotImplemented

    def __rmul__(self, other: Any) -> Vector:
        return Vector(self._values * float(other)) if is_number(other) else NotImplemented

    def __truediv__(self, other: Any) -> Vector:
        if not is_number(other):
            return NotImplemented
        if float(other) == 0.0:
            raise ZeroDivisionError(f"{self} was divided by 0; another number is needed: check it before")
        return Vector(self._values / float(other))

    def __neg__(self) -> Vector:
        return Vector(-self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and np.array_equal(self._values, other._values)

    def __len__(self) -> int:
        return len(self._values)

    def __bool__(self) -> bool:
        return True  # scripts ask "if point:" where None may stand for nothing

    def __iter__(self) -> Iterator[float]:
        return iter(self._values.tolist())

    def __getitem__(self, index: Any) -> Any:
        found = self._values[index]
        return found.tolist() if isinstance(index, slice) else float(found)

    def __setitem__(self, index: int, value: float) -> None:
        self._values[index] = value

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self._values, dtype=dtype)

    def __repr__(self) -> str:
        return f"Vector({self._values.tolist()})"


class Matrix(ArrayLike):
    """A matrix of any size, float64; numpy sees a (rows, columns) array.

    Printed, it is ``Matrix([[...], [...]])``, a row to a line: what the parentheses hold is a list for Python and for JSON.

    Parameters
    ----------
    rows : Matrix, or sequence of Vectors or of sequences of float
        Its rows; none for a matrix of no elements.
    """

    __slots__ = ("_values",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # it can change
    _values: Array

    def __init__(self, rows: Any = None) -> None:
        if rows is None:
            self._values = np.empty((0, 0))
            return
        if isinstance(rows, Sequence):
            rows = [row._values if isinstance(row, Vector) else row for row in rows]
        self._values = _numbers(rows, 2, "a sequence of rows of equal length")

    @staticmethod
    def Diag(vector: Any) -> Matrix:
        """Return the square matrix with a vector on its diagonal."""
        return Matrix(np.diag(_numbers(vector, 1, "the diagonal as a Vector")))

    @staticmethod
    def Rotation(matrix: Any) -> Matrix:
        """Return the 4x4 matrix of a 3x3 one, without translation."""
        rotation = Matrix(matrix)
        if rotation.size != (3, 3):
            raise ValueError(f"the rotation's size is {rotation.size}; (3, 3) is needed: pass its 3x3 part")
        whole = np.eye(4)
        whole[:3, :3] = rotation._values
        return Matrix(whole)

    @staticmethod
    def Scale(scale: Any) -> Matrix:
        """Return the 4x4 matrix that scales x, y and z by the components of a 3-vector."""
        return Matrix(np.diag([*as_vector(scale, (3,), "the scale"), 1.0]))

    @staticmethod
    def Translation(vector: Any) -> Matrix:
        """Return the 4x4 matrix that moves points by a 3-vector."""
        whole = np.eye(4)
        whole[:3, 3] = as_vector(vector, (3,), "the translation")
        return Matrix(whole)

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self._values.shape[0], self._values.shape[1]

    def col(self, index: int) -> Vector:
        """Return a column."""
        return Vector(self._values[:, index])

    def row(self, index: int) -> Vector:
        """Return a row."""
        return Vector(self._values[index])

    def copy(self) -> Matrix:
        """Return a copy."""
        return Matrix(self._values)

    def _square(self, what: str, size: int | None = None) -> Array:
        rows, columns = self.size
        if rows != columns or rows == 0 or (size is not None and rows != size):
            needed = "a square one" if size is None else f"({size}, {size})"
            raise ValueError(
                f"{what} was asked of a matrix of the size {self.size}; {needed} is needed: check how it was made"
            )
        return self._values

    def det(self) -> float:
        """Return the determinant."""
        return float(np.linalg.det(self._square("det")))

    def inv(self) -> Matrix:
        """Return the inverse; ValueError where there is none."""
        try:
            return Matrix(np.linalg.inv(self._square("inv")))
        except np.linalg.LinAlgError:
            raise ValueError(
                f"{self} is singular; a matrix with an inverse is needed: check how it was made"
            ) from None

    def mulp(self, point: Any) -> Vector:
        """Return a point transformed in homogeneous coordinates, with translation."""
        matrix = self._square("mulp")
        n = len(matrix) - 1
        moved = matrix[:, :n] @ as_vector(point, (n,), "the point") + matrix[:, n]
        return Vector(moved[:n] / moved[n])

    def mulv(self, vector: Any) -> Vector:
        """Return a vector transformed in homogeneous coordinates, without translation."""
        matrix = self._square("mulv")
        n = len(matrix) - 1
        return Vector(matrix[:n, :n] @ as_vector(vector, (n,), "the vector"))

    def rotation(self) -> Matrix:
        """Return the 3x3 part of a 4x4 matrix divided by its scale; ValueError where that is 0."""
        scale = self.scale()
        if scale == 0.0:
            raise ValueError(f"{self} has the scale 0; a similarity is needed: check how it was made")
        return Matrix(self._values[:3, :3] / scale)

    def scale(self) -> float:
        """Return the scale of a 4x4 matrix, the cube root of the determinant of its 3x3 part; negative if mirrored."""
        return float(np.cbrt(np.linalg.det(self._square("scale", 4)[:3, :3])))

    def translation(self) -> Vector:
        """Return the translation of a 4x4 matrix."""
        return Vector(self._square("translation", 4)[:3, 3])

    def svd(self) -> tuple[Matrix, Vector, Matrix]:
        """Return u, s, v of the singular value decomposition u * Diag(s) * v."""
        u, s, v = np.linalg.svd(self._values, full_matrices=False)
        return Matrix(u), Vector(s), Matrix(v)

    def t(self) -> Matrix:
        """Return the transposed matrix."""
        return Matrix(self._values.T)

    def zero(self) -> None:
        """Set all elements to zero."""
        self._values[:] = 0.0

    def _fitting(self, other: Matrix) -> Array:
        if other.size != self.size:
            raise ValueError(
                f"matrices of the sizes {self.size} and {other.size} were combined; the same size is needed"
            )
        return other._values

    def __add__(self, other: Any) -> Matrix:
        return Matrix(self._values + self._fitting(other)) if isinstance(other, Matrix) else NotImplemented

    def __sub__(self, other: Any) -> Matrix:
        return Matrix(self._values - self._fitting(other)) if isinstance(other, Matrix) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, (Matrix, Vector)):
            if self.size[1] != len(other._values):
                what = (
                    f"matrix of the size {other.size}"
                    if isinstance(other, Matrix)
                    else f"vector of {other.size}"
                )
                raise ValueError(
                    f"a matrix of the size {self.size} was multiplied with a {what}; as many rows as the first has columns "
                    "are needed: for points and a 4x4 matrix use mulp, for directions mulv"
                )
            return type(other)(self._values @ other._values)
        return Matrix(self._values * float(other)) if is_number(other) else NotImplemented

    def __rmul__(self, other: Any) -> Matrix:
        return Matrix(self._values * float(other)) if is_number(other) else NotImplemented

    def __truediv__(self, other: Any) -> Matrix:
        if not is_number(other):
            return NotImplemented
        if float(other) == 0.0:
            raise ZeroDivisionError("a matrix was divided by 0; another number is needed: check it before")
        return Matrix(self._values / float(other))

    def __neg__(self) -> Matrix:
        return Matrix(-self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matrix) and np.array_equal(self._values, other._values)

    def __bool__(self) -> bool:
        return True  # scripts ask "if camera.transform:"

    def __getitem__(self, place: tuple[int, int]) -> float:
        return float(self._values[_row_and_column(place)])

    def __setitem__(self, place: tuple[int, int], value: float) -> None:
        self._values[_row_and_column(place)] = value

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self._values, dtype=dtype)

    def __repr__(self) -> str:
        rows = ",\n        ".join(str(row) for row in self._values.tolist())
        return f"Matrix([{rows}])"
