"""Arrays of the caller's, a row for each vertex or each face of a mesh, that are to be seen in images.

Here they are checked, and it is decided whether they are interpolated or looked up; pixels are ``derived.py``'s. The
commonest change is another guess at what an array is meant as: in `_prepared`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Attribute", "Prepared", "any_given", "checked_attributes", "checked_vertex_normals"]


@dataclass(frozen=True, eq=False)
class Attribute:
    """An array with a row for each vertex or face, and how pixels get their values from it.

    Attributes
    ----------
    values : (V, ...) or (F, ...) array
        A value, or a row of values, for each vertex or each face of the mesh as it was given.
    on : {"vertex", "face"}, optional
        What the rows belong to; by default what there are as many of.
    interpolate : bool, optional
        Of values at vertices: whether pixels get their mean, weighted with the barycentric coordinates, or the value of the
        nearest vertex, that with the greatest weight. By default the mean for floating point and for ``uint8`` with three or
        four columns, which are colours, and the nearest for everything else: the mean of two labels is no label.
    background : number, optional
        Where no face is seen; by default NaN for floating point, -1 for signed integers, 0 for everything else.
    """

    values: npt.ArrayLike
    on: Literal["vertex", "face"] | None = None
    interpolate: bool | None = None
    background: Any = None


class Prepared(NamedTuple):
    """An attribute, checked."""

    values: npt.NDArray[Any]  # (n, C), contiguous; floating point where it is interpolated
    shape: tuple[int, ...]  # of one row, as given
    dtype: np.dtype[Any]  # of the image
    on_vertices: bool
    interpolated: bool
    background: Any


def any_given(attributes: Mapping[str, Any] | None) -> bool:
    """Return whether there are attributes, or raise TypeError where they have no names."""
    if attributes is None:
        return False
    if not isinstance(attributes, Mapping):
        raise TypeError(
            f"attributes are a {type(attributes).__name__}; arrays by name are needed: pass e.g. "
            "attributes={'label': array}"
        )
    return bool(attributes)


def checked_attributes(
    attributes: Mapping[str, Any] | None, n_vertices: int, n_faces: int
) -> dict[str, Prepared]:
    """Return attributes by name, ready to be looked up, or raise TypeError or ValueError naming the one that is wrong."""
    if attributes is None or not any_given(attributes):
        return {}
    return {str(name): _prepared(str(name), given, n_vertices, n_faces) for name, given in attributes.items()}


def checked_vertex_normals(normals: npt.ArrayLike, n_vertices: int) -> npt.NDArray[np.float64]:
    """Return normals (V, 3) of vertices as the kernels take them, or raise TypeError or ValueError."""
    array = np.asarray(normals)
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"vertex_normals are of type {array.dtype}; real numbers are needed: pass a (V, 3) float array"
        )
    if array.shape != (n_vertices, 3):
        raise ValueError(
            f"vertex_normals have the shape {array.shape}; ({n_vertices}, 3) is needed: pass a normal for each vertex of "
            "the mesh"
        )
    found = np.ascontiguousarray(array, dtype=np.float64)
    finite = np.isfinite(found).all(axis=1)
    if not finite.all():
        at = int(np.argmin(finite))
        raise ValueError(
            f"vertex_normals are not finite at {n_vertices - int(finite.sum())} of {n_vertices} vertices, first at vertex "
            f"{at}; finite numbers are needed: mend them, or give 0 0 0 where there is no normal"
        )
    return found


def _prepared(name: str, given: Any, n_vertices: int, n_faces: int) -> Prepared:
    attribute = given if isinstance(given, Attribute) else Attribute(given)
    try:
        values = np.asarray(attribute.values)
    except ValueError:
        raise ValueError(
            f"attribute {name!r} has rows of different lengths; as many numbers in each are needed: pass an array"
        ) from None
    if values.dtype.kind not in "fiub":
        raise TypeError(
            f"attribute {name!r} is of type {values.dtype}; numbers or bools are needed: give each value a number"
        )
    if values.ndim == 0 or values.size == 0:
        raise ValueError(
            f"attribute {name!r} has the shape {values.shape}; a row for each vertex or face is needed: pass "
            f"({n_vertices}, ...) or ({n_faces}, ...)"
        )
    on_vertices = _on_vertices(name, attribute.on, len(values), n_vertices, n_faces)
    shape = values.shape[1:]
    rows = values.reshape(len(values), -1)
    interpolate = attribute.interpolate
    if interpolate is None:
        colours = values.dtype == np.uint8 and shape in ((3,), (4,))
        interpolate = on_vertices and (values.dtype.kind == "f" or colours)
    elif interpolate and not on_vertices:
        raise ValueError(
            f"attribute {name!r} is to be interpolated and belongs to faces; values at vertices are needed: leave "
            "interpolate out"
        )
    elif interpolate and values.dtype.kind == "b":
        raise TypeError(
            f"attribute {name!r} is to be interpolated and holds bools; numbers are needed: convert it to float"
        )
    if interpolate:  # in float64 unless float32 is exact
        exact = np.float32 if values.dtype in (np.float16, np.float32, np.uint8) else np.float64
        rows = rows.astype(exact, copy=False)
    background = attribute.background
    if background is None:
        background = {"f": np.nan, "i": -1}.get(values.dtype.kind, 0)
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            fits = np.asarray(background).astype(values.dtype)
    except (TypeError, ValueError, OverflowError):
        fits = None
    if fits is None or fits.ndim or not (fits == background or (fits != fits and background != background)):
        raise ValueError(
            f"the background of attribute {name!r} is {background!r}, which {values.dtype} cannot hold; a value of its type "
            "is needed: choose another, or convert the array"
        )
    return Prepared(np.ascontiguousarray(rows), shape, values.dtype, on_vertices, bool(interpolate), fits[()])


def _on_vertices(name: str, on: str | None, length: int, n_vertices: int, n_faces: int) -> bool:
    if on not in (None, "vertex", "face"):
        raise ValueError(
            f"attribute {name!r} is on {on!r}; 'vertex' or 'face' is needed: pass one of them, or None"
        )
    fits = [
        what for what, n in (("vertex", n_vertices), ("face", n_faces)) if n == length and on in (None, what)
    ]
    if not fits:
        raise ValueError(
            f"attribute {name!r} has {length} rows, and the mesh {n_vertices} vertices and {n_faces} faces; "
            + (f"one for each {on} is needed: " if on else "as many rows as either is needed: ")
            + "pass the array that belongs to this mesh, unmerged and in its order"
        )
    if len(fits) == 2:
        raise ValueError(
            f"attribute {name!r} has {length} rows, and the mesh as many vertices as faces; it must be said which they "
            "belong to: pass depthraster.Attribute(values, on='vertex') or on='face'"
        )
    return fits[0] == "vertex"
