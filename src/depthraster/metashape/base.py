"""What the façade's classes have in common: names that are not offered say so, and numpy's numbers count as numbers.

Nothing here knows what the classes are for. A class states what it offers by its ``__slots__``, properties and methods;
everything else is refused, read or written, by its full name. The commonest change is the sentence in `not_offered`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ArrayLike", "Facade", "NotOfferedError", "is_number", "not_offered"]

_OPERATORS: dict[np.ufunc, Callable[[Any, Any], Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
}


class NotOfferedError(AttributeError):
    """A name of Metashape's that this module does not have; ``hasattr`` is False for it."""


def not_offered(name: str) -> NotOfferedError:
    """Return the error for a name; give it in full, ``Chunk.buildModel``."""
    return NotOfferedError(
        f"Metashape.{name} was asked for and is not offered by depthraster.metashape; a name that it has is needed: "
        "docs/metashape.md lists them, everything else takes Metashape itself"
    )


class _FacadeType(type):
    """Refuses names of classes, ``Metashape.Image.warp``, as `Facade` does those of instances."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        raise not_offered(f"{cls.__qualname__}.{name}")


class Facade(metaclass=_FacadeType):
    """A class of Metashape's that has no more than it says."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python, numpy and copy ask for many of these
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise not_offered(f"{type(self).__qualname__}.{name}")

    def __setattr__(self, name: str, value: object) -> None:
        try:
            object.__setattr__(self, name, value)
        except AttributeError:
            known = any(name in vars(base) for base in type(self).__mro__)
            if not known:
                raise not_offered(f"{type(self).__qualname__}.{name}") from None
            raise AttributeError(
                f"{type(self).__qualname__}.{name} was set to {value!r}; it can only be read: leave it as it is"
            ) from None


class ArrayLike(Facade):
    """A class that numpy sees as an array, and that stands to the right of numpy's numbers as of Python's.

    Without this, ``numpy.float32(2) * image`` would be an array, and ``2 * image`` an image.
    """

    __slots__ = ()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        python = _OPERATORS.get(ufunc)
        if python and method == "__call__" and not options and isinstance(inputs[0], np.generic):
            return python(inputs[0].item(), inputs[1])
        arrays = [np.asarray(value) if isinstance(value, ArrayLike) else value for value in inputs]
        return getattr(ufunc, method)(*arrays, **options)


def is_number(value: object) -> bool:
    """Return whether a value is one real number, Python's or numpy's."""
    return isinstance(value, (int, float, np.integer, np.floating, np.bool_))
