"""Lenses as OpenCV, COLMAP and nerfstudio say them, to a `Calibration` and back, with all digits.

Those programs share one way to speak of a lens: fx, fy, the principal point counted from a corner of the image, radial
coefficients, tangential ones in OpenCV's order. `ForeignLens` holds that, whoever said it; the modules of the formats fill
it in. What has an exact counterpart is taken over exactly, the rest is refused by name or fitted (``lens_fit.py``). The
commonest change is another term that has a counterpart: in `ForeignLens.calibration` and in `in_foreign_terms`.

Numbers keep all their bits where a file can hold them. A principal point that lies 3.2 px beside the centre of an image
4000 px wide is 2003.2 there, and a double has fewer digits left for the 3.2 then. So numbers are added and subtracted as
decimals, as they stand in the file, and rounded once: 2003.2 - 2000 is 3.2 again.
"""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.errors import FormatError

__all__ = [
    "Array",
    "Distort",
    "ForeignLens",
    "Found",
    "decimal_number",
    "in_foreign_terms",
    "plus",
    "written",
]

Array = npt.NDArray[np.float64]
# A lens' distortion: coordinates x, y in its plane and its coefficients by name in, distorted coordinates out.
Distort = Callable[[Array, Array, Mapping[str, float]], tuple[Array, Array]]

# As many digits as the sum of any two doubles has; nothing but the last step rounds.
_EXACT = decimal.Context(prec=2200, rounding=decimal.ROUND_HALF_EVEN, Emin=-9999, Emax=9999, traps=[])
_HALF = Decimal("0.5")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_LONGEST = 1000  # characters of a number; all the digits of any double are fewer
# The terms that both sides have; p1 and p2 exchange their names.
_SHARED = ("k1", "k2", "k3", "k4", "p1", "p2")


@dataclass(frozen=True)
class ForeignLens:
    """A lens in the terms of OpenCV, COLMAP and nerfstudio.

    Attributes
    ----------
    width, height : int
        Size of the image, pixels.
    fx, fy, cx, cy, skew : Decimal
        Focal lengths, principal point counted from the outer corner of the top-left pixel, skew; pixels.
    plane : str
        The plane in which distortion acts, that of ``frame`` or ``fisheye`` of `Calibration`.
    terms : mapping
        The coefficients that a `Calibration` has, too: k1 to k4 of the polynomial in r², p1 and p2 in OpenCV's order.
    others : mapping
        The coefficients that it has not, by the names that they have there; the lens has an exact counterpart where all
        are zero.
    model : str
        What to call the lens in messages.
    distort : callable or None
        All of the distortion, for fitting.
    numbers : mapping
        What `distort` is called with: all coefficients by the names that they have there.
    """

    width: int
    height: int
    fx: Decimal
    fy: Decimal
    cx: Decimal
    cy: Decimal
    skew: Decimal = Decimal(0)
    plane: str = "frame"
    terms: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[str, float] = field(default_factory=dict)
    model: str = "the lens"
    distort: Distort | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    def calibration(self, fit: bool | float, notes: list[str]) -> Calibration:
        """Return the lens as a calibration.

        Parameters
        ----------
        fit : bool or float
            Whether a lens without an exact counterpart is replaced by the nearest; a number is how far off that may be,
            pixels.
        notes : list of str
            Takes what the user must be told: that the lens was fitted, and how far off it is.

        Raises
        ------
        ValueError
            The lens has no counterpart and is not to be fitted, or cannot; or its numbers are no lens'.
        """
        beyond = {name: value for name, value in self.others.items() if value != 0.0}
        if not beyond:
            return self.without_others()
        named = ", ".join(f"{name} = {value:.6g}" for name, value in beyond.items())
        if fit is False or fit is None:
            raise ValueError(
                f"{self.model} has {named}, which Metashape's lenses have not; 0 is needed: calibrate without, or have the "
                "nearest lens fitted with fit=True, which says how far off it is"
            )
        from depthraster.io.lens_fit import fitted

        calibration, note = fitted(self, named, fit)
        notes.append(note)
        return calibration

    def without_others(self) -> Calibration:
        """Return the calibration that has the terms which both sides have, as if the others were zero."""
        f = float(self.fy)
        terms = dict(self.terms)
        terms["p1"], terms["p2"] = terms.get("p2", 0.0), terms.get("p1", 0.0)
        return Calibration(
            width=self.width,
            height=self.height,
            f=f,
            cx=_difference(self.cx, *[_half(self.width)] * 2),
            cy=_difference(self.cy, *[_half(self.height)] * 2),
            b1=_difference(self.fx, self.fy, Decimal(repr(f))),
            b2=float(self.skew),
            type=self.plane,
            **{name: terms[name] for name in _SHARED if name in terms},
        )


class Found(NamedTuple):
    """A calibration in a file: where it stands, for messages, and what it is."""

    where: str
    lens: ForeignLens | Calibration

    def calibration(self, fit: bool | float, notes: list[str]) -> Calibration:
        """Return the calibration; FormatError where the lens is none that we have. Notes as `ForeignLens.calibration`."""
        if isinstance(self.lens, Calibration):
            return self.lens
        said: list[str] = []
        try:
            return self.lens.calibration(fit, said)
        except ValueError as error:
            raise FormatError(f"{self.where}: {error}") from None
        finally:
            notes += [f"{self.where}: {note}" for note in said]


def decimal_number(text: str) -> Decimal:
    """Return the number that a text is, every digit of it; ValueError where it is none, or not finite."""
    text = text.strip()
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        raise ValueError(text[:40])
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text[:40])
    return Decimal(text) if value else Decimal(0)  # 1e-999999999 is zero, and no exponent to calculate with


def in_foreign_terms(calibration: Calibration, program: str, has: frozenset[str]) -> dict[str, Decimal]:
    """Return a frame camera or fisheye as other programs say it.

    Parameters
    ----------
    calibration : Calibration
        The lens.
    program : str
        Whose terms, for messages.
    has : frozenset of str
        Which of k1 to k4, p1, p2 (OpenCV's names) and skew there are.

    Returns
    -------
    dict
        fx, fy, cx, cy (counted from the outer corner of the top-left pixel) and what `has` names, exactly: rounded to
        doubles they are what they would be there, with all their digits they are read again to the last bit.

    Raises
    ------
    ValueError
        A coefficient that is not zero has no place there.
    """
    f = Decimal(repr(calibration.f))
    terms = {name: Decimal(repr(getattr(calibration, name))) for name in ("k1", "k2", "k3", "k4", "p3", "p4")}
    terms["p1"], terms["p2"] = Decimal(repr(calibration.p2)), Decimal(repr(calibration.p1))
    terms["skew"] = Decimal(repr(calibration.b2))
    for name, value in terms.items():
        if value and name not in has:
            own = {"skew": "b2", "p1": "p2", "p2": "p1"}.get(name, name)
            raise ValueError(
                f"{own} is {getattr(calibration, own)}, which {program} has no place for; 0 is needed: keep the "
                "calibration in Metashape's own format, or calibrate without"
            )
    return {
        "fx": plus(f, Decimal(repr(calibration.b1))),
        "fy": f,
        "cx": plus(_half(calibration.width), Decimal(repr(calibration.cx))),
        "cy": plus(_half(calibration.height), Decimal(repr(calibration.cy))),
        **{name: terms[name] for name in sorted(has)},
    }


def plus(number: Decimal, other: Decimal) -> Decimal:
    """Return a sum with all its digits; the operator keeps 28."""
    return _EXACT.add(number, other)


def written(number: Decimal) -> str:
    """Return a number as text, every digit of it, with a point as YAML 1.1 and JSON's readers know a real number by."""
    text = f"{number:e}" if number and not -8 <= number.adjusted() <= 20 else f"{number:f}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{e}{exponent}"


def _half(side: int) -> Decimal:
    return side * _HALF


def _difference(minuend: Decimal, subtrahend: Decimal, as_written: Decimal) -> float:
    """Return a difference as the double from which the minuend comes back when `as_written` is added again.

    The difference of the texts, rounded, is better than that of the doubles. But a text of 17 digits is a double rounded,
    and may lie so far from it that the way back ends at its neighbour.
    """
    difference = float(_EXACT.subtract(minuend, subtrahend))
    back = float(plus(Decimal(repr(difference)), as_written))
    if back != float(minuend):
        difference = float(_EXACT.subtract(Decimal(float(minuend)), as_written))
    return difference
