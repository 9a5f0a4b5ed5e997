"""What two planes have in common and what not: coverage, differences of depth, the worst of each part for the picture.

The loops are ``kernels/comparison.py``'s. The commonest change is another tolerance: a field of `Tolerances`, and a line in
`Tolerances.failures`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from depthraster.kernels import comparison as loops

__all__ = [
    "FARTHEST",
    "HIGHEST",
    "LOWEST",
    "PER_DECADE",
    "Coverage",
    "Differences",
    "Picked",
    "Spread",
    "Tolerances",
    "measure",
]

_T = TypeVar("_T")

_ZERO = 0x8000  # the upper bits of no difference, signed
_QUANTILES = (0.5, 0.95, 0.999)
_CHUNK = 128  # rows that a thread takes at a time, about
LOWEST, HIGHEST, PER_DECADE = -9, 1, 8  # of the histogram of relative differences
FARTHEST = 16  # pixels from an edge that are told apart


@dataclass(frozen=True)
class Tolerances:
    """How far two images may differ to be taken as the same.

    A pixel differs where its depths are farther apart than ``depth`` of the depth and ``pixels`` of the surface's slope
    together; half a step is added where depths are stored in steps.

    Attributes
    ----------
    depth : float
        Parts of the depth.
    pixels : float
        Pixels: what a shift by so much would change.
    outliers : float
        Share of the pixels seen in both that may differ by more. They are the silhouettes in front of other surfaces.
    coverage : float
        Share of the pixels seen in either that may be seen in only one.
    inside : float
        The same, of pixels farther than one from the edge of what is seen: holes, not edges.
    """

    depth: float = 1e-5
    pixels: float = 0.02
    outliers: float = 1e-3
    coverage: float = 1e-3
    inside: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("depth", "pixels", "outliers", "coverage", "inside"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
                raise TypeError(f"the tolerance {name} is {value!r}; a number is needed: pass e.g. 1e-3")
            if not 0.0 <= value < math.inf:
                raise ValueError(f"the tolerance {name} is {value}; 0 or more is needed: pass e.g. 1e-3")

    def failures(self, coverage: Coverage, differences: Differences) -> tuple[str, ...]:
        """Return in what the images differ by more than these tolerances, in words; nothing where they do not."""
        found = []
        either = coverage.either
        if either == 0:
            return ("nothing is seen in either",)
        if coverage.both == 0:
            found.append("no pixel is seen in both")
        for what, count, share in (
            ("seen in only one", coverage.only_ours + coverage.only_theirs, self.coverage),
            ("seen in only one and not at an edge", coverage.inside, self.inside),
        ):
            if count > share * either:
                found.append(f"{what}: {_share(count, either)} of the pixels seen, {_percent(share)} allowed")
        if differences.wrong > self.outliers * coverage.both:
            found.append(
                f"depths differ by more than {self.depth:g} of them and {self.pixels:g} px of slope in "
                f"{_share(differences.wrong, coverage.both)} of the pixels seen in both, {_percent(self.outliers)} allowed"
            )
        return tuple(found)


def _share(count: int, of: int) -> str:
    return f"{_percent(count / of)} ({count:,})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


@dataclass(frozen=True)
class Coverage:
    """Where the images see something; numbers of pixels.

    Attributes
    ----------
    both, only_ours, only_theirs, neither : int
        Pixels seen in both, one, none.
    ours_by_distance, theirs_by_distance : tuple of int
        Those seen in only one, by their distance from the edge of what that one sees: element k counts those k + 1 pixels
        away (a chess king's moves), the last also all farther.
    """

    both: int
    only_ours: int
    only_theirs: int
    neither: int
    ours_by_distance: tuple[int, ...] = ()
    theirs_by_distance: tuple[int, ...] = ()

    @property
    def either(self) -> int:
        """Pixels seen in one or both."""
        return self.both + self.only_ours + self.only_theirs

    @property
    def inside(self) -> int:
        """Pixels seen in only one, and not at the edge of what it sees."""
        return sum(self.ours_by_distance[1:]) + sum(self.theirs_by_distance[1:])


@dataclass(frozen=True)
class Spread:
    """How some differences are spread: exact order statistics of them, not interpolated.

    Attributes
    ----------
    median, p95, p999, max : float
        Of the sizes of the differences.
    place : (int, int)
        Row and column of the greatest.
    """

    median: float
    p95: float
    p999: float
    max: float
    place: tuple[int, int]


@dataclass(frozen=True)
class Differences:
    """How depths differ, ours (times the scale) less theirs, in the pixels seen in both.

    Attributes
    ----------
    bias : float
        The median difference, in theirs' unit; positive: ours is farther.
    absolute : Spread or None
        In theirs' unit. None where no pixel is seen in both.
    relative : Spread or None
        In parts of the depth.
    pixels : Spread or None
        In pixels of the surface's slope: how far the image would have to be moved. Only where the surface slopes.
    sloping : int
        Number of pixels where it does.
    wrong : int
        Number of pixels that differ by more than the tolerances.
    """

    bias: float = math.nan
    absolute: Spread | None = None
    relative: Spread | None = None
    pixels: Spread | None = None
    sloping: int = 0
    wrong: int = 0


@dataclass(frozen=True, eq=False)
class Picked:
    """What the picture shows of the differences: the worst pixel of each square of the image, and a histogram.

    Attributes
    ----------
    cell : int
        The squares' side, pixels.
    difference : (h, w) float32 array
        The difference that exceeds the tolerances most.
    excess : (h, w) float32 array
        How many times the tolerance it is; negative where no pixel is seen in both.
    marks : (h, w) uint8 array
        Bits: 1 seen in both, 2 only in ours, 4 only in theirs.
    histogram : (n,) int64 array
        Pixels by their relative difference: first those that do not differ, then by powers of ten, `PER_DECADE` bins to
        each, from 10**`LOWEST` on, which with all below is the first, to 10**`HIGHEST`, which with all above is the last.
    """

    cell: int
    difference: npt.NDArray[np.float32]
    excess: npt.NDArray[np.float32]
    marks: npt.NDArray[np.uint8]
    histogram: npt.NDArray[np.int64]


class _Sums:
    """What one thread adds up."""

    def __init__(self) -> None:
        self.counts = np.zeros(loops.COUNTS, np.int64)
        self.greatest = np.full(loops.MEASURES, -1.0, np.float32)
        self.places = np.zeros((loops.MEASURES, 2), np.int64)
        self.histograms = np.zeros((loops.COPIES, loops.MEASURES, loops.BINS), np.uint32)


def measure(
    ours: npt.NDArray[np.float32],
    theirs: npt.NDArray[np.float32],
    scale: float,
    tolerances: Tolerances,
    step: float,
    cell: int,
    pool: ThreadPoolExecutor,
    threads: int,
) -> tuple[Coverage, Differences, Picked]:
    """Measure what two planes of one size have in common and what not.

    Parameters
    ----------
    ours, theirs : (H, W, C) float32 arrays
        `Plane.pixels`.
    scale : float
        What ours is multiplied by.
    tolerances : Tolerances
        What counts as different.
    step : float
        What theirs' numbers, and ours times the scale, may be rounded by, added to the tolerances.
    cell : int
        Side of the squares of which the worst pixel is found.
    pool, threads
        Who does the work.
    """
    height, width = theirs.shape[:2]
    rows = max(1, _CHUNK // cell) * cell
    chunks = [(start, min(start + rows, height)) for start in range(0, height, rows)]
    shape = -(-height // cell), -(-width // cell)
    bins_drawn = np.zeros((HIGHEST - LOWEST) * PER_DECADE + 1, np.int64)
    worst = Picked(
        cell,
        np.zeros(shape, np.float32),
        np.full(shape, -1.0, np.float32),
        np.zeros(shape, np.uint8),
        bins_drawn,
    )
    allowed = np.array([step, tolerances.depth, tolerances.pixels])
    scale = float(scale)

    def upper(mine: Iterable[tuple[int, int]]) -> _Sums:
        sums = _Sums()
        for first, last in mine:
            loops.measure_rows(
                ours, theirs, scale, allowed, first, last, cell, sums.counts, sums.greatest, sums.places, sums.histograms,
                worst.difference, worst.excess, worst.marks,
            )  # fmt: skip
        return sums

    parts = _shared(upper, chunks, pool, threads)
    counts = np.sum([part.counts for part in parts], axis=0)
    both, only_ours, only_theirs = (int(counts[k]) for k in (loops.BOTH, loops.ONLY_OURS, loops.ONLY_THEIRS))
    distances = _distances(ours, theirs, only_ours, only_theirs, pool)
    coverage = Coverage(
        both, only_ours, only_theirs, height * width - both - only_ours - only_theirs, *distances
    )
    if both == 0:
        return coverage, Differences(), worst

    histograms = np.zeros((loops.MEASURES, loops.BINS), np.int64)
    for part in parts:
        histograms += part.histograms.sum(axis=0, dtype=np.int64)
    # Those that do not differ have not been counted with the others.
    same = np.array([counts[loops.SAME]] * 3 + [counts[loops.SAME_SLOPING]])
    histograms[:, 0] += np.where(np.arange(loops.MEASURES) == 0, 0, same)
    histograms[0, _ZERO] += same[0]
    bins, ranks = _upper_bins(histograms)
    bins_drawn += _by_decades(histograms[2])

    def lower(mine: Iterable[tuple[int, int]]) -> npt.NDArray[np.uint32]:
        found = np.zeros((*bins.shape, loops.BINS), np.uint32)
        for first, last in mine:
            loops.count_low_bits(ours, theirs, scale, first, last, bins, found)
        return found

    fine: npt.NDArray[np.int64] = np.sum(_shared(lower, chunks, pool, threads), axis=0, dtype=np.int64)
    fine[..., 0] += np.where(bins == np.array([_ZERO, 0, 0, 0])[:, None], same[:, None], 0)
    keys = (bins << 16) | (np.cumsum(fine, axis=2) < ranks[..., None]).sum(axis=2)
    numbers = keys.astype(np.uint32)
    signed = numbers[0, 0]
    bias = (~signed if signed < 0x80000000 else signed ^ np.uint32(0x80000000)).view(np.float32)
    values = numbers.view(np.float32)

    def spread(m: int) -> Spread | None:
        most = max(parts, key=lambda part: part.greatest[m])
        if most.greatest[m] < 0 and not same[m]:
            return None
        median, p95, p999 = (float(value) for value in values[m])
        return Spread(
            median,
            p95,
            p999,
            max(float(most.greatest[m]), 0.0),
            (int(most.places[m, 0]), int(most.places[m, 1])),
        )

    differences = Differences(
        float(bias),
        spread(1),
        spread(2),
        spread(3),
        int(counts[loops.SLOPING]),
        int(counts[loops.WRONG]),
    )
    return coverage, differences, worst


def _upper_bins(histograms: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the bins that hold the quantiles of each measure, and the quantiles' ranks (from 1) within them."""
    ends = np.cumsum(histograms, axis=1)
    totals = ends[:, -1:]
    ranks = np.clip(np.ceil(totals * np.array(_QUANTILES)).astype(np.int64), 1, None)
    bins = np.stack([np.searchsorted(e, r) for e, r in zip(ends, ranks, strict=True)])
    bins = np.minimum(bins, loops.BINS - 1)  # a measure that does not exist
    return bins, ranks - np.take_along_axis(ends - histograms, bins, axis=1)


def _by_decades(histogram: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the counts of the upper 16 bits of sizes as `Picked.histogram`."""
    used = np.flatnonzero(histogram)
    # The middle of what such upper bits stand for; those of 0 stand for 0 and numbers below 1e-40.
    values = ((used << 16) + 0x8000).astype(np.uint32).view(np.float32).astype(np.float64)
    n = (HIGHEST - LOWEST) * PER_DECADE
    place = np.floor((np.log10(values) - LOWEST) * PER_DECADE).clip(0, n - 1).astype(int) + 1
    place[used == 0] = 0
    return np.bincount(place, weights=histogram[used], minlength=n + 1).astype(np.int64)


def _distances(
    ours: npt.NDArray[np.float32],
    theirs: npt.NDArray[np.float32],
    only_ours: int,
    only_theirs: int,
    pool: ThreadPoolExecutor,
) -> list[tuple[int, ...]]:
    """Return how far from an edge the pixels are that only one sees."""

    def count(job: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], int]) -> tuple[int, ...]:
        own, other, n = job
        if n == 0:
            return ()
        counts = np.zeros(FARTHEST + 1, np.int64)
        loops.edge_distances(own, other, counts)
        last = int(np.flatnonzero(counts)[-1])
        return tuple(int(value) for value in counts[1 : last + 1])

    return list(pool.map(count, [(ours, theirs, only_ours), (theirs, ours, only_theirs)]))


def _shared(
    work: Callable[[Iterable[tuple[int, int]]], _T],
    chunks: Sequence[tuple[int, int]],
    pool: ThreadPoolExecutor,
    threads: int,
) -> list[_T]:
    """Have several threads take chunks from one iterator as they come; return what each made of its own."""
    waiting = iter(chunks)  # next() on it is atomic
    return [job.result() for job in [pool.submit(work, waiting) for _ in range(threads)]]
