"""What the difference of two images is for what it is: a mistake with a name, found by supposing it and looking.

A supposition says how theirs came about, given ours - its lens had p1 and p2 exchanged, it holds the range, it lies half a
pixel away - and so what theirs should show at each sample. The one that fits best is added to those found before, as long as
it explains much. What is supposed of lenses, and what findings say, is ``findings.py``'s; what takes another rendering is
``culling.py``'s. The commonest change is something else to be supposed: a field of `_Supposition`, and a way to fit it in
`_Search.best`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.comparison.findings import (
    LENS_MISTAKES,
    TURNS,
    Finding,
    changed_lens,
    kind_finding,
    offset_finding,
    scale_finding,
    shift_finding,
)
from depthraster.comparison.registration import Alignment, align
from depthraster.comparison.sampling import Floats, Samples, look_up

__all__ = ["Fit", "fit_of", "name_mistakes"]

_MOST = 4  # suppositions that are added one after the other
_WORTH = 0.7  # of the loss before: what a supposition must bring it below to be believed
_LEAST = 0.01  # loss that is not worth explaining
_MISSING = 6.0  # loss of a pixel that is seen in one and predicted not to be in the other: as of one 20 allowances off
_CAP = 18.0  # of a pixel's loss
_LEAST_SHIFT = 1e-3  # pixels
_ENOUGH = 20  # samples that a number is fitted to

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Fit:
    """How well a supposition fits.

    Attributes
    ----------
    loss : float
        Mean over the samples of log(1 + (error / allowance)²), so that every improvement counts, and no outlier much.
    unexplained : float
        Share of the samples that are farther off than three allowances, or seen in only one.
    """

    loss: float
    unexplained: float


@dataclass(frozen=True)
class _Supposition:
    """How theirs came about, given ours; as it is, nothing is wrong."""

    ours: Calibration | None  # the lens that ours was made with
    theirs: Calibration | None
    lenses: tuple[Finding, ...] = ()  # what is wrong with them
    turned: str = ""  # of theirs
    alignment: Alignment | None = None  # the shift of theirs
    kind: int = 0  # 1: theirs is the range where ours is Z, -1: the other way round
    focal: float = math.nan  # that tells Z from range where there is no calibration
    scale: float = 1.0
    offset: float = 0.0

    @property
    def shift(self) -> tuple[float, float]:
        """Right and down."""
        return (0.0, 0.0) if self.alignment is None else (self.alignment.right, self.alignment.down)

    def findings(self, calibration: Calibration | None, asked: str) -> tuple[Finding, ...]:
        """Return what is supposed to be wrong; ``calibration`` is the right one, ``asked`` the right kind of depth."""
        found = list(self.lenses)
        if self.turned:
            what, remedy = TURNS[self.turned]
            found.append(Finding(self.turned, f"one of them {what}", remedy))
        if self.kind:
            found.append(kind_finding(self.kind, self.focal, asked))
        if self.alignment is not None:
            found.append(shift_finding(self.alignment, calibration))
        if self.scale != 1.0:
            found.append(scale_finding(self.scale))
        # With a lens that was guessed, what the guess misses would look like one.
        if self.offset != 0.0 and math.isnan(self.focal):
            found.append(offset_finding(self.offset))
        return tuple(found)

    @property
    def number(self) -> int:
        """How many mistakes it supposes."""
        others = self.turned, self.kind, self.alignment, self.scale != 1.0, self.offset
        return len(self.lenses) + sum(map(bool, others))


def name_mistakes(
    ours: npt.NDArray[np.float32],
    theirs: npt.NDArray[np.float32],
    samples: Samples,
    calibration: Calibration | None,
    alignment: Alignment,
    asked: str,
) -> tuple[tuple[Finding, ...], Fit, Fit]:
    """Say what explains how theirs differs from ours.

    Parameters
    ----------
    ours, theirs : (H, W, C) float32 arrays
        `Plane.pixels`.
    samples : Samples
        Of theirs.
    calibration : Calibration or None
        The lens that both should have been made with.
    alignment : Alignment
        Of ours and theirs as they are.
    asked : {"z", "range"}
        What both depths should be.

    Returns
    -------
    findings : tuple of Finding
        What was found, in the order of what it explains; nothing where nothing explains much.
    before, after : Fit
        How well ours predicts theirs as it is, and with all of that.
    """
    search = _Search(ours, theirs, samples, calibration, alignment)
    best = _Supposition(calibration, calibration)
    before = fit = search.fit(best)
    for _ in range(_MOST):
        done = best.number > 0 and fit.unexplained < 1e-3 and fit.loss < 10 * _LEAST
        if fit.loss < _LEAST or done:
            break
        found = search.best(best)
        if found is None or not search.fit(found).loss < _WORTH * fit.loss:
            break
        best, fit = found, search.fit(found)
    best = search.without_needless(best)
    return best.findings(calibration, asked), before, search.fit(best)


def fit_of(
    samples: Samples, predicted: Floats, seen: npt.NDArray[np.bool_], unknown: npt.NDArray[np.bool_]
) -> Fit:
    """Return how well depths predicted at the samples fit theirs.

    Parameters
    ----------
    samples : Samples
        Of theirs.
    predicted : (n,) float64 array
        Depths; NaN where none can be told.
    seen, unknown : (n,) bool arrays
        Whether something should be seen there; whether that is not known either.
    """
    there = ~np.isnan(samples.depth)
    counted = (there | seen) & ~unknown
    if 2 * counted.sum() < there.sum():
        return Fit(math.inf, 1.0)
    missing = counted & (there != seen)
    judged = counted & there & seen & np.isfinite(samples.allowance) & np.isfinite(predicted)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        times = np.abs(samples.depth - predicted)[judged] / samples.allowance[judged]
        times = np.nan_to_num(times, nan=0.0)  # nothing off by nothing, with no allowance
        losses = np.minimum(np.log1p(times * times), _CAP)
    n = int(missing.sum() + judged.sum())
    if n == 0:
        return Fit(math.inf, 1.0)
    return Fit(
        float((losses.sum() + _MISSING * missing.sum()) / n), float(((times > 3).sum() + missing.sum()) / n)
    )


class _Search:
    """Suppositions, tried on the samples."""

    def __init__(
        self,
        ours: npt.NDArray[np.float32],
        theirs: npt.NDArray[np.float32],
        samples: Samples,
        calibration: Calibration | None,
        alignment: Alignment,
    ) -> None:
        self._alignment = alignment
        self._ours, self._theirs, self._samples, self._calibration = ours, theirs, samples, calibration
        self._fits: dict[_Supposition, Fit] = {}
        self._directions_of: dict[Any, Floats] = {}
        self._looked_up: dict[Any, tuple[Floats, Mask, Mask, Floats | None]] = {}

    def fit(self, supposition: _Supposition) -> Fit:
        """Return how well it fits."""
        if supposition not in self._fits:
            depth, seen, unknown, _ = self._predict(supposition)
            self._fits[supposition] = fit_of(self._samples, depth, seen, unknown)
        return self._fits[supposition]

    def best(self, base: _Supposition) -> _Supposition | None:
        """Return what fits best of all that can be supposed beyond ``base``."""
        tried = [
            found for found in (*self._depths(base), *self._lenses(base), *self._turns(base)) if found != base
        ]
        if not tried:
            return None
        least = min(self.fit(found).loss for found in tried)
        # The likeliest of those that fit about as well: fewest mistakes, then the order above.
        near = [found for found in tried if self.fit(found).loss <= least + max(0.05 * least, 0.2 * _LEAST)]
        return min(near, key=lambda found: found.number)

    def without_needless(self, supposed: _Supposition) -> _Supposition:
        """Return a supposition without what explains nothing any more, since something else was found after it."""
        plain = {"alignment": None, "turned": "", "kind": 0, "offset": 0.0, "scale": 1.0}
        for name, value in plain.items():
            without = dataclasses.replace(supposed, **{name: value})  # type: ignore[arg-type]
            if without == supposed:
                continue
            if name not in ("offset", "scale"):
                without = self._rescaled(without)
            if not self.fit(supposed).loss < _WORTH * self.fit(without).loss:
                supposed = without
        return supposed

    def _depths(self, base: _Supposition) -> Iterator[_Supposition]:
        """Yield what can be supposed of depths, and of a shift with it."""
        least = math.inf
        for kind in (0, 1, -1):
            supposed = self._as_kind(base, kind)
            if supposed is None:
                continue
            scaled = tuple(self._scaled(supposed))
            yield from scaled
            loss = min(self.fit(found).loss for found in scaled)
            if base.alignment is None and loss < _WORTH * least:  # fitting a shift takes its time
                least = loss
                shifted = self._shifted(supposed)
                if shifted is not None:
                    yield from self._scaled(shifted)

    def _lenses(self, base: _Supposition) -> Iterator[_Supposition]:
        """Yield what can be supposed of the lenses."""
        for name, what, remedy, change in LENS_MISTAKES:
            for whose, lens in (("ours", base.ours), ("theirs", base.theirs)):
                wrong = changed_lens(lens, change)
                if wrong is None:
                    continue
                lenses = (*base.lenses, Finding(name, f"{whose} {what}", remedy, whose))
                ours, theirs = (wrong, base.theirs) if whose == "ours" else (base.ours, wrong)
                yield self._rescaled(dataclasses.replace(base, lenses=lenses, ours=ours, theirs=theirs))

    def _turns(self, base: _Supposition) -> Iterator[_Supposition]:
        for turn in TURNS if not base.turned else ():
            yield self._rescaled(dataclasses.replace(base, turned=turn))

    def _directions(self, lens: Calibration, pixels: Floats, key: Any) -> Floats:
        key = lens, key
        if key not in self._directions_of:
            self._directions_of[key] = lens.unproject(pixels)
        return self._directions_of[key]

    def _places(self, supposition: _Supposition) -> tuple[Floats, Floats | None]:
        """Return where ours shows what theirs shows at the samples, and their directions, None without a calibration."""
        pixels, turned = self._samples.pixels, supposition.turned
        height, width = self._theirs.shape[:2]
        if turned:
            u = width - pixels[:, 0] if turned in ("mirrored", "turned_round") else pixels[:, 0]
            v = height - pixels[:, 1] if turned in ("upside_down", "turned_round") else pixels[:, 1]
            pixels = np.stack([u, v], axis=1)
        pixels = pixels - np.array(supposition.shift)
        if supposition.ours is None or supposition.theirs is None:
            return pixels, None
        directions = self._directions(supposition.theirs, pixels, (turned, supposition.shift))
        if supposition.theirs == supposition.ours:
            return pixels, directions
        return supposition.ours.project(directions), directions

    def _predict(self, supposition: _Supposition) -> tuple[Floats, Mask, Mask, Floats]:
        """Return depths of theirs, whether it should see something, whether that is unknown; and range / Z."""
        key = supposition.ours, supposition.theirs, supposition.turned, supposition.shift
        if key not in self._looked_up:
            places, directions = self._places(supposition)
            depth, seen = look_up(self._ours, places)
            height, width = self._ours.shape[:2]
            with np.errstate(invalid="ignore", divide="ignore"):
                unknown = (places < 0).any(axis=1) | (places[:, 0] >= width) | (places[:, 1] >= height)
                gain = None if directions is None else np.linalg.norm(directions, axis=1) / directions[:, 2]
            self._looked_up[key] = depth, seen, unknown, gain
        depth, seen, unknown, gain = self._looked_up[key]
        if gain is None:
            gain = self._pinhole_gain(supposition.focal)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if supposition.kind:
                depth = depth * (gain if supposition.kind > 0 else 1.0 / gain)
            return depth * supposition.scale + supposition.offset, seen, unknown, gain

    def _as_kind(self, base: _Supposition, kind: int) -> _Supposition | None:
        """Return a supposition with depths of a kind; None where that cannot be."""
        if kind == base.kind:
            return base
        if base.kind or (self._calibration is not None and self._calibration.type == "orthographic"):
            return None  # where range and Z are the same
        focal = math.nan if self._calibration is not None else self._pinhole(base, kind)
        if self._calibration is None and math.isnan(focal):
            return None
        return dataclasses.replace(base, kind=kind, focal=focal)

    def _scaled(self, supposed: _Supposition) -> Iterator[_Supposition]:
        """Yield a supposition as it is, with the scale that fits, and with the offset that does."""
        if supposed.scale != 1.0 or supposed.offset != 0.0:
            yield self._rescaled(supposed)
            return
        yield supposed
        for what in ("scale", "offset"):
            fitted = self._fitted(supposed, what)
            if fitted is not None and self._matters(fitted):
                yield fitted

    def _matters(self, supposed: _Supposition) -> bool:
        """Return whether a scale or an offset changes more than what predictions may be off by anyway."""
        depth, allowance = self._samples.depth, self._samples.allowance
        known = np.isfinite(depth) & np.isfinite(allowance)
        change = np.abs(depth * (supposed.scale - 1.0)) + abs(supposed.offset)
        return bool(np.median((change - allowance)[known]) > 0) if known.any() else True

    def _rescaled(self, supposed: _Supposition) -> _Supposition:
        """Return a supposition with the scale or offset that it has fitted anew, since something else has changed."""
        what = "scale" if supposed.scale != 1.0 else "offset" if supposed.offset != 0.0 else None
        if what is None:
            return supposed
        return self._fitted(dataclasses.replace(supposed, scale=1.0, offset=0.0), what) or supposed

    def _fitted(self, supposed: _Supposition, what: str) -> _Supposition | None:
        """Return a supposition with a scale or an offset at the median; None where too little is seen."""
        depth = self._predict(supposed)[0]
        with np.errstate(invalid="ignore", divide="ignore"):
            values = self._samples.depth / depth if what == "scale" else self._samples.depth - depth
            good = values[np.isfinite(values) & ((values > 0) | (what == "offset"))]
        if good.size < _ENOUGH:
            return None
        middle = float(np.median(good))
        return dataclasses.replace(supposed, **{what: middle})  # type: ignore[arg-type]

    def _shifted(self, supposed: _Supposition) -> _Supposition | None:
        """Return a supposition with the shift that fits; None where none does."""
        # Where ours shows it but for the shift: what turns it round or bends it is undone first.
        pixels = self._places(supposed)[0]
        if supposed.kind == 0 and (supposed.ours, supposed.turned) == (supposed.theirs, ""):
            aligned = self._alignment
            moved = aligned.known and max(abs(aligned.right), abs(aligned.down)) >= _LEAST_SHIFT
            return dataclasses.replace(supposed, alignment=aligned) if moved else None
        found = supposed
        for _ in range(16):  # what tells range from Z is shifted, too: until that changes nothing
            depth = self._samples.depth
            if supposed.kind:
                gain = self._predict(found)[3]
                with np.errstate(invalid="ignore", divide="ignore"):
                    depth = depth / (gain if supposed.kind > 0 else 1.0 / gain)
            start = None if found.alignment is None else found.shift
            aligned = align(self._ours, self._theirs, pixels, depth, start)
            before, found = found, dataclasses.replace(supposed, alignment=aligned)
            if aligned.known == 0 or max(map(abs, found.shift)) < _LEAST_SHIFT:
                return None
            if supposed.kind == 0 or math.dist(before.shift, found.shift) < 1e-3:
                break
        return found

    def _pinhole_gain(self, focal: float) -> Floats:
        """Return range / Z of a camera of which only the focal length is known, or not even that."""
        height, width = self._theirs.shape[:2]
        away = self._samples.pixels - np.array([0.5 * width, 0.5 * height])
        if math.isnan(focal):
            return np.ones(len(away))
        return np.asarray(np.sqrt(1.0 + (away**2).sum(axis=1) / focal**2))

    def _pinhole(self, supposed: _Supposition, kind: int) -> float:
        """Return the focal length of the pinhole camera that would make theirs range of ours' Z (or the reverse)."""
        depth, _, _, _ = self._predict(supposed)
        height, width = self._theirs.shape[:2]
        with np.errstate(invalid="ignore", divide="ignore"):
            square = (self._samples.depth / depth) ** (2 * kind)
        away = ((self._samples.pixels - np.array([0.5 * width, 0.5 * height])) ** 2).sum(axis=1)
        good = np.isfinite(square)
        if good.sum() < _ENOUGH:
            return math.nan
        square, away = square[good], away[good]
        weight = np.ones(len(square))
        for _ in range(
            8
        ):  # a line through range² / Z² over the distance from the centre, without what lies off it
            slope, start = np.polyfit(away, square, 1, w=np.sqrt(weight))
            off = np.abs(square - start - slope * away)
            spread = max(1.4826 * float(np.median(off)), 1e-9)
            weight = 1.0 / (1.0 + (off / (3 * spread)) ** 2) + 1e-9
        if not (slope > 0 and start > 0):
            return math.nan
        focal = math.sqrt(start / slope)
        return focal if 0.1 < focal / max(height, width) < 20 else math.nan
