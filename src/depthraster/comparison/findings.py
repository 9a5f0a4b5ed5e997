"""The mistakes that are known by name: how lenses are got wrong, and what a shift, a factor or a turn means.

Here is the vocabulary; whether a mistake was made is found out by ``mistakes.py``. The commonest change is another mistake
of the lens: a line in `LENS_MISTAKES`, and one in the table of the tests.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from depthraster.calibration import Calibration
from depthraster.comparison.registration import Alignment

__all__ = [
    "LENS_MISTAKES",
    "TURNS",
    "Finding",
    "changed_lens",
    "kind_finding",
    "offset_finding",
    "scale_finding",
    "shift_finding",
]


@dataclass(frozen=True)
class Finding:
    """A mistake that explains how the images differ.

    Attributes
    ----------
    name : str
        What it is, for programs: ``"shift"``, ``"half_pixel"``, ``"p1_p2_exchanged"``, ``"range_for_z"``, ``"scale"`` ...
    text : str
        What it is, for people: a sentence.
    remedy : str
        What to do about it.
    whose : {"ours", "theirs", ""}
        The image that has it, where that can be told: the calibration passed is taken to be right.
    values : dict
        Numbers that belong to it.
    """

    name: str
    text: str
    remedy: str
    whose: str = ""
    values: dict[str, Any] = field(default_factory=dict, hash=False)


_LensMistake = tuple[str, str, str, Callable[[Calibration], Calibration]]


def _with(**values: float | str) -> Callable[[Calibration], Calibration]:
    return lambda c: dataclasses.replace(c, **values)  # type: ignore[arg-type]


# Name, what it is, what to do, and the lens with the mistake in it; the likeliest first.
LENS_MISTAKES: tuple[_LensMistake, ...] = (
    (
        "p1_p2_exchanged",
        "was made with p1 and p2 exchanged",
        "exchange them: OpenCV and old PhotoScan files count them the other way round",
        lambda c: dataclasses.replace(c, p1=c.p2, p2=c.p1),
    ),
    (
        "b1_b2_exchanged",
        "was made with b1 and b2 exchanged",
        "exchange them: b1 stretches along x, b2 shears",
        lambda c: dataclasses.replace(c, b1=c.b2, b2=c.b1),
    ),
    ("k4_dropped", "was made without k4", "pass k4 on", _with(k4=0.0)),
    ("k3_dropped", "was made without k3 and k4", "pass k3 and k4 on", _with(k3=0.0, k4=0.0)),
    (
        "p3_p4_dropped",
        "was made without p3 and p4",
        "pass p3 and p4 on, or set them to 0 in both",
        _with(p3=0.0, p4=0.0),
    ),
    (
        "p_dropped",
        "was made without p1 to p4",
        "pass the tangential distortion on",
        _with(p1=0.0, p2=0.0, p3=0.0, p4=0.0),
    ),
    ("b_dropped", "was made without b1 and b2", "pass b1 and b2 on", _with(b1=0.0, b2=0.0)),
    ("b1_dropped", "was made without b1", "pass b1 on", _with(b1=0.0)),
    ("b2_dropped", "was made without b2", "pass b2 on", _with(b2=0.0)),
    (
        "b1_along_y",
        "was made with b1 along y",
        "take f as the focal length along y and f + b1 as that along x",
        lambda c: dataclasses.replace(c, f=c.f + c.b1, b1=-c.b1),
    ),
    (
        "k_dropped",
        "was made without k1 to k4",
        "pass the radial distortion on",
        _with(k1=0.0, k2=0.0, k3=0.0, k4=0.0),
    ),
    (
        "distortion_ignored",
        "was made without distortion, as if through a pinhole",
        "pass the distortion on, or render with k1 to k4 and p1 to p4 set to 0",
        _with(k1=0.0, k2=0.0, k3=0.0, k4=0.0, p1=0.0, p2=0.0, p3=0.0, p4=0.0),
    ),
    (
        "distortion_and_affinity_ignored",
        "was made without distortion, b1 and b2",
        "pass them on, or render with all of them set to 0",
        _with(k1=0.0, k2=0.0, k3=0.0, k4=0.0, p1=0.0, p2=0.0, p3=0.0, p4=0.0, b1=0.0, b2=0.0),
    ),
    (
        "distortion_reversed",
        "was made with the distortion's signs turned round",
        "turn the signs of k and p back",
        lambda c: dataclasses.replace(
            c, k1=-c.k1, k2=-c.k2, k3=-c.k3, k4=-c.k4, p1=-c.p1, p2=-c.p2, p3=-c.p3, p4=-c.p4
        ),
    ),
    ("drawn_as_frame", "was made as through a frame lens", "check the lens' type", _with(type="frame")),
    (
        "drawn_as_fisheye",
        "was made as through an equidistant fisheye",
        "check the lens' type",
        _with(type="fisheye"),
    ),
    (
        "drawn_as_equisolid_fisheye",
        "was made as through an equisolid fisheye",
        "check the lens' type",
        _with(type="equisolid_fisheye"),
    ),
    (
        "drawn_as_spherical",
        "was made as a spherical panorama",
        "check the lens' type",
        _with(type="spherical"),
    ),
    (
        "drawn_as_cylindrical",
        "was made as a cylindrical panorama",
        "check the lens' type",
        _with(type="cylindrical"),
    ),
)

TURNS = {
    "mirrored": (
        "is mirrored, left and right",
        "check the sign of X: camera axes are X right, Y down, Z forward",
    ),
    "upside_down": ("is upside down", "turn the rows round: row 0 is the top one"),
    "turned_round": (
        "is turned by 180 degrees",
        "check the signs of X and Y: camera axes are X right, Y down, Z forward",
    ),
}

_UNITS = {1000.0: "millimetres for metres", 100.0: "centimetres for metres", 1 / 0.3048: "feet for metres"}


def changed_lens(
    lens: Calibration | None, change: Callable[[Calibration], Calibration]
) -> Calibration | None:
    """Return a lens with a mistake in it; None where it would be the same, or none."""
    if lens is None:
        return None
    try:
        changed = change(lens)
    except ValueError:  # a lens that cannot be
        return None
    return None if changed == lens else changed


def kind_finding(kind: int, focal: float, asked: str) -> Finding:
    """Return what it is called that theirs is the range where ours is Z (``kind`` 1), or the other way round (-1).

    ``focal`` is what tells them apart where there is no calibration; NaN where there is one. ``asked`` is what both should
    be, ``"z"`` or ``"range"``.
    """
    with_range, with_z = ("theirs", "ours") if kind > 0 else ("ours", "theirs")
    about = "" if math.isnan(focal) else f", as a camera of f = {focal:.0f} px tells them apart"
    return Finding(
        "range_for_z" if asked == "z" else "z_for_range",
        f"{with_range} holds the range, the distance from the camera's centre, and {with_z} the depth Z{about}",
        f"render both with depth='z' or depth='range'; here {asked} was asked for",
        with_range if asked == "z" else with_z,
        {} if math.isnan(focal) else {"f": focal},
    )


def scale_finding(scale: float) -> Finding:
    """Return what it is called that theirs is ours times a scale."""
    units = ""
    for factor, words in _UNITS.items():
        for value in (factor, 1 / factor):
            if abs(scale / value - 1) < 1e-3:
                units = f": {words}" if value > 1 else f": {' for '.join(reversed(words.split(' for ')))}"
    return Finding(
        "scale",
        f"theirs is {scale:.8g} times ours{units}",
        f"compare with the scale {scale:.8g}, if it is the chunk's or another unit's",
        "",
        {"scale": scale},
    )


def offset_finding(offset: float) -> Finding:
    """Return what it is called that theirs is ours plus an offset."""
    return Finding(
        "offset",
        f"theirs is {abs(offset):.6g} {'farther' if offset > 0 else 'nearer'} than ours everywhere",
        "check whether depths are counted from a near plane, or whether the camera stands elsewhere",
        "",
        {"offset": offset},
    )


def shift_finding(aligned: Alignment, calibration: Calibration | None) -> Finding:
    """Return what a shift of theirs is called, by its size and by the principal point of the right calibration."""
    right, down = aligned.right, aligned.down
    near = 0.15 if aligned.from_edges else 0.06
    values = {"right": right, "down": down}
    where = (
        f"{abs(right):.3f} px to the {'left' if right < 0 else 'right'} of ours and {abs(down):.3f} px "
        f"{'above' if down < 0 else 'below'}"
    )
    if aligned.known == 1:
        return Finding(
            "shift",
            f"theirs lies {where}, as far as a plane or a straight edge tells",
            "compare a view with more relief to tell the shift in both directions",
            "",
            values,
        )
    if all(abs(abs(value) - 0.5) < near for value in (right, down)) and right * down > 0:
        return Finding(
            "half_pixel",
            f"theirs lies half a pixel off, {where}: one of them takes pixels' centres at whole numbers",
            "move the principal point by half a pixel, cx and cy by 0.5; here the first pixel's centre is (0.5, 0.5)",
            "",
            values,
        )
    if calibration is not None:
        cx, cy = calibration.cx, calibration.cy
        for times, name, words, remedy in (
            (1, "principal_point_dropped", "was made without cx and cy", "pass cx and cy on"),
            (
                2,
                "principal_point_reversed",
                "was made with cx and cy of the other sign",
                "turn the signs of cx and cy",
            ),
        ):
            for sign, whose in ((-1, "theirs"), (1, "ours")):
                off = math.hypot(right - sign * times * cx, down - sign * times * cy)
                if off < near + 0.01 * math.hypot(right, down) and math.hypot(cx, cy) > 2 * near:
                    return Finding(name, f"{whose} {words}", remedy, whose, values)
    return Finding(
        "shift",
        f"theirs lies {where}",
        "check the principal point, cx and cy, and whether the image was cropped",
        "",
        values,
    )
