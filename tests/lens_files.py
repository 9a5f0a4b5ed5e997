"""Calibrations that calibration files can hold, and small files, for the tests of calibration files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import depthraster as dr


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Doubles with all their digits, and zero."""
    return st.one_of(st.just(0.0), st.floats(low, high, allow_subnormal=False))


def lenses(*terms: str, kind: str = "frame") -> st.SearchStrategy[dr.Calibration]:
    """Calibrations of any size that have the terms which are named, f, cx and cy."""
    ranges = {"b1": (-5.0, 5.0), "b2": (-5.0, 5.0)}
    fields: dict[str, st.SearchStrategy[Any]] = {
        "width": st.integers(1, 20_000),
        "height": st.integers(1, 20_000),
        "f": st.floats(10.0, 1e5),
        "cx": st.one_of(numbers(-300.0, 300.0), numbers(-1e-9, 1e-9)),
        "cy": st.one_of(numbers(-300.0, 300.0), numbers(-1e9, 1e9)),
    }
    fields |= {name: numbers(*ranges.get(name, (-0.5, 0.5))) for name in terms}
    return st.fixed_dictionaries(fields).map(lambda values: dr.Calibration(**values, type=kind))


OF_METASHAPE = st.one_of(
    *(
        lenses("b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4", kind=kind)
        for kind in ("frame", "fisheye", "equisolid_fisheye")
    ),
    *(lenses(kind=kind) for kind in ("spherical", "cylindrical", "orthographic")),
)
OF_OPENCV = st.one_of(
    lenses("b1", "b2", "k1", "k2", "k3", "p1", "p2"),
    lenses("b1", "b2", "k1", "k2", "k3", "k4", kind="fisheye"),
)
OF_COLMAP = st.one_of(
    lenses(), lenses("b1"), lenses("k1"), lenses("k1", "k2"), lenses("b1", "k1", "k2", "k3", "p1", "p2"),
    *(lenses(*terms, kind="fisheye") for terms in (("k1", "k2"), ("b1", "k1", "k2", "k3", "k4", "p1", "p2"))),
)  # fmt: skip
OF_NERFSTUDIO = st.one_of(
    *(lenses("b1", "k1", "k2", "k3", "k4", "p1", "p2", kind=kind) for kind in ("frame", "fisheye")),
    lenses(kind="spherical"),
)


def write(path: Path, text: str | bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
