"""What a Metashape answered to the probes of ``examples/record_metashape_golden.py``, held against what is done here.

A question that nobody could answer has a default here; where Metashape answers something else, the table says how its images
are had all the same. The commonest change is another question: a line in `QUESTIONS`, and a probe in the script.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depthraster.calibration import Calibration
from depthraster.comparison.findings import LENS_MISTAKES, changed_lens
from depthraster.errors import FormatError
from depthraster.io.files import existing_file

__all__ = ["QUESTIONS", "Answer", "Question", "load_answers"]

_UNANSWERED = frozenset({"not available", "no rig"})
_NEAR = 0.02  # pixels that rays of the right lens may be off by

_RANGE_OR_Z = {"range": "pass depth='range'", "z": "pass depth='z'"}
_FORMULA = {"other": "it cannot be reproduced here: please report the answers file"}
_PLANE = "leave out the faces beyond that distance before rendering"


@dataclass(frozen=True)
class Question:
    """Something that Metashape's manual does not tell.

    Attributes
    ----------
    text : str
        The question.
    ours : str
        What is done here.
    same : tuple of str
        Other answers that come to the same.
    ways : dict of str
        How to get what another answer says.
    other : str
        What to do about an answer that is in none of them.
    """

    text: str
    ours: str
    same: tuple[str, ...] = ()
    ways: dict[str, str] = dataclasses.field(default_factory=dict)
    other: str = "it cannot be reproduced here: please report the answers file"


QUESTIONS: dict[str, Question] = {
    "background": Question(
        "depth where nothing is seen",
        "0",
        ways={"nan": "pass background=nan"},
        other="pass that number as background",
    ),
    "alpha": Question(
        "alpha where something is seen, and where not",
        "1 and 0",
        other="ask for alpha > 0, which is right for both",
    ),
    "channel_order": Question("order of the channels", "depth first", other="exchange the channels"),
    "channels": Question(
        "names of the channels, alone and with alpha",
        "' ' and ' A'",
        other="only scripts that look at them notice",
    ),
    "unit": Question(
        "unit of depth", "chunk", ways={"world": "multiply by Chunk.scale, or render with --unit world"}
    ),
    "depth_frame": Question("depth of frame cameras", "z", ways=_RANGE_OR_Z),
    "depth_fisheye": Question("depth of fisheyes", "z", ways=_RANGE_OR_Z),
    "depth_equisolid_fisheye": Question("depth of equisolid fisheyes", "z", ways=_RANGE_OR_Z),
    "depth_spherical": Question("depth of spherical panoramas", "range", ways=_RANGE_OR_Z),
    "depth_cylindrical": Question("depth of cylindrical panoramas", "z", ways=_RANGE_OR_Z),
    "distortion": Question(
        "distortion",
        "applied",
        ways={"ignored": "pass the calibration without k, p and b: dataclasses.replace(…, k1=0, …)"},
    ),
    "pixel_centre": Question(
        "where in a pixel it is sampled", "0.5", ways={"0": "pass the calibration with cx + 0.5 and cy + 0.5"}
    ),
    "p3_p4": Question("p3 and p4", "applied", ways={"ignored": "pass the calibration with p3=0, p4=0"}),
    "formula_fisheye": Question("formula of fisheyes", "as documented", ways=_FORMULA),
    "formula_equisolid_fisheye": Question("formula of equisolid fisheyes", "as documented", ways=_FORMULA),
    "formula_spherical": Question("formula of spherical panoramas", "as documented", ways=_FORMULA),
    "formula_cylindrical": Question("formula of cylindrical panoramas", "as documented", ways=_FORMULA),
    "cylindrical_principal_point": Question(
        "cx and cy of cylindrical panoramas",
        "added",
        ways={"ignored": "pass the calibration with cx=0, cy=0"},
    ),
    "cylindrical_distortion": Question(
        "distortion of cylindrical panoramas",
        "refused",
        ways={"ignored": "leave k and p out of the calibration"},
    ),
    "scaled_transform": Question(
        "transform with a scale s in it",
        "inverse",
        ways={
            "scale removed": "multiply depth by s",
            "refused": "nothing has to be done: here such transforms are taken",
        },
    ),
    "model_transform": Question(
        "the model's own transform",
        "ignored",
        ways={"applied": "apply model.transform to the vertices first"},
    ),
    "culling": Question(
        "faces shown with culling",
        "counter-clockwise",
        ways={
            "clockwise": "turn the faces round, faces[:, ::-1]",
            "both": "pass cull_faces=False",
        },
    ),
    "no_culling": Question("faces shown without culling", "both"),
    "mirrored_transform": Question(
        "mirrored transform",
        "refused",
        other="mirror the mesh and the transform, so that the transform is a rotation",
    ),
    "coverage": Question("a pixel is covered where a face covers its", "centre"),
    "edges_through_centres": Question(
        "edges that count where they go through centres",
        "left right top bottom",
        other="it is about edges exactly through pixels' centres only",
    ),
    "near_plane": Question("nearest distance seen", "none", other=_PLANE),
    "far_plane": Question("farthest distance seen", "none", other=_PLANE),
    "across_zero": Question(
        "faces that reach behind the camera", "drawn", ways={"dropped": "leave them out before rendering"}
    ),
    "beyond_fold": Question("pixels beyond the lens' fold see", "nothing"),
    "ghosts": Question(
        "things beyond the lens' fold are", "none", other="leave them out of the images by alpha"
    ),
    "opencv_principal_point": Question(
        "principal point in OpenCV files, less cx and cy",
        "-0.5",
        ways={"0": "add 0.5 to cx and cy that are read from them"},
    ),
    "opencv_p1_p2": Question(
        "p1 and p2 in OpenCV files",
        "exchanged",
        ways={"as they are": "exchange p1 and p2 that are read from them"},
    ),
    "corrections": Question("additional corrections", "ignored"),
    "rig_location": Question(
        "location of a rig's second sensor, unit", "chunk", ways={"metres": "divide it by the chunk's scale"}
    ),
}


@dataclass(frozen=True)
class Answer:
    """A question and what Metashape answered.

    Attributes
    ----------
    name : str
        The question's name.
    question : str
        The question; its name where it is not known here.
    ours, theirs : str
        What is done here, and what Metashape does; an empty string where it was not answered.
    state : {"same", "differs", "not answered", "not known"}
        Whether it is the same; the last where the question is not known here.
    way : str
        How to get what Metashape does, where it differs.
    """

    name: str
    question: str
    ours: str
    theirs: str
    state: str
    way: str = ""


def load_answers(path: str | os.PathLike[str]) -> tuple[str, tuple[Answer, ...]]:
    """Read an answers file and hold it against what is done here.

    Returns
    -------
    made_by : str
        The program that answered.
    answers : tuple of Answer
        In the order of `QUESTIONS`, those not known here last.

    Raises
    ------
    FormatError
        It is no answers file.
    OSError
        It cannot be read.
    """
    existing_file(path, "the answers.json that record_metashape_golden.py writes", (".json",))
    try:
        said = json.loads(Path(path).read_text(encoding="utf-8"))
        given = {
            str(name): (str(item["answer"]), item.get("measured")) for name, item in said["answers"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{os.fspath(path)}: not read as answers ({type(error).__name__}: {error}); the answers.json that "
            "record_metashape_golden.py writes is needed: record it again"
        ) from None
    answers = []
    for name, question in QUESTIONS.items():
        theirs, measured = given.pop(name, ("", None))
        if theirs in _UNANSWERED or not theirs:
            answers.append(Answer(name, question.text, question.ours, theirs, "not answered"))
        elif theirs == question.ours or theirs in question.same:
            answers.append(Answer(name, question.text, question.ours, theirs, "same"))
        else:
            way = question.ways.get(theirs, question.other)
            if name == "distortion" and theirs == "other":
                way = _lens_told(measured) or way
            answers.append(Answer(name, question.text, question.ours, theirs, "differs", way))
    answers += [Answer(name, name, "", theirs, "not known") for name, (theirs, _) in given.items()]
    return str(said.get("made_by", "")), tuple(answers)


def _lens_told(measured: Any) -> str:
    """Return which mistake of the lens measured rays tell, as a sentence; an empty one where they tell none."""
    try:
        lens = Calibration(**measured["calibration"])
        rays = np.array(measured["rays"], dtype=np.float64).reshape(-1, 4)
    except (TypeError, ValueError, KeyError):
        return ""
    for offset in (0.5, 0.0):
        for name, what, remedy, change in LENS_MISTAKES:
            wrong = changed_lens(lens, change)
            if wrong is None or wrong.type != "frame":
                continue
            directions = wrong.unproject(rays[:, 1::-1] + offset)
            with np.errstate(invalid="ignore"):
                off = lens.f * np.abs(directions[:, :2] - rays[:, 2:])
            if off.size and np.nanmax(off) < _NEAR and np.isfinite(off).all():
                at = "" if offset == 0.5 else " and pixels are sampled at whole numbers"
                return f"{name}: the image {what}{at}; {remedy}"
    return ""
