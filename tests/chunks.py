"""Comparing chunks, for tests: every fact, and every number to the last bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

# What a cameras file has no place for.
NOT_IN_CAMERAS_FILES = {"models", "source", "photo", "active"}


def same(a: Any, b: Any, ignore: set[str] = frozenset(), where: str = "chunk") -> None:
    """Assert that two values are the same, fields of dataclasses and items of tuples included."""
    assert type(a) is type(b), f"{where}: {a!r} and {b!r}"
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), (
            f"{where}: {a} and {b}"
        )
    elif dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            if field.name not in ignore:
                same(getattr(a, field.name), getattr(b, field.name), ignore, f"{where}.{field.name}")
    elif isinstance(a, tuple):
        assert len(a) == len(b), f"{where}: {len(a)} and {len(b)}"
        for k, (one, other) in enumerate(zip(a, b, strict=True)):
            same(one, other, ignore, f"{where}[{k}]")
    else:
        assert a == b, f"{where}: {a!r} and {b!r}"
