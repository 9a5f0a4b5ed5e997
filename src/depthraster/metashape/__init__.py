"""Metashape's Python names on top of depthraster: ``import depthraster.metashape as Metashape``.

Scripts that read a project and render depth from its mesh run after changing their import, see ``docs/metashape.md``. The
classes hold data and translate; every computation is the library's. Names that are not offered raise an error that says
so. The commonest change is another method of a class: in the module that has its class.
"""

from __future__ import annotations

from typing import Any

from depthraster.metashape.algebra import Matrix, Vector
from depthraster.metashape.base import NotOfferedError, not_offered

__all__ = [
    "Matrix",
    "NotOfferedError",
    "Vector",
]


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise not_offered(name)
