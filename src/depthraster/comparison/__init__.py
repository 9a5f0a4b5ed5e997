"""Two depth images of the same view, compared: how they differ, within what, and which mistake explains it.

``compare.py`` is the door, and reads as the steps do. Its images may come from anywhere; most often one was rendered here
and the other exported from Metashape, or kept as a golden image. The commonest change is a mistake that it shall know by
name: a line in ``findings.py``.
"""

from __future__ import annotations

from depthraster.comparison.compare import compare
from depthraster.comparison.findings import Finding
from depthraster.comparison.measures import Coverage, Differences, Spread, Tolerances
from depthraster.comparison.mistakes import Fit
from depthraster.comparison.registration import Alignment
from depthraster.comparison.report import Comparison

__all__ = [
    "Alignment",
    "Comparison",
    "Coverage",
    "Differences",
    "Finding",
    "Fit",
    "Spread",
    "Tolerances",
    "compare",
]
