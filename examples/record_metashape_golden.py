"""Record, inside Metashape, what depthraster is to be compared with: depth images of the open project, and probes.

usage, in Metashape (Tools > Run Script) or without a window: metashape -r record_metashape_golden.py [FOLDER] [NUMBER]

Writes to FOLDER (beside the project by default, or in the current folder)

* a case for each of NUMBER cameras per sensor (3 by default): what ``renderDepth`` makes of the project's mesh, with the
  mesh, the camera's place and its calibration;
* ``answers.json``: what this Metashape does where its manual is silent, found out by rendering small meshes of its own in a
  document apart. The open project is not changed.

Nothing but Metashape's own Python is needed, 3.8 or newer. Then, where depthraster is installed:

    depthraster compare FOLDER --picture pictures
    depthraster compare --answers FOLDER/answers.json
"""

import array
import json
import math
import os
import re
import struct
import sys
import tempfile
import time

import Metashape

LENSES = ("Frame", "Fisheye", "EquisolidFisheye", "Spherical", "Cylindrical")  # of Metashape.Sensor.Type
NAMES = {
    "Frame": "frame", "Fisheye": "fisheye", "EquidistantFisheye": "fisheye", "EquisolidFisheye": "equisolid_fisheye",
    "Spherical": "spherical", "Cylindrical": "cylindrical",
}  # fmt: skip
PARAMETERS = ("f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4")
IDENTITY = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


class Pixels:
    """A rendered image: ``at(row, col)`` is its depth, None where nothing is seen as far as depth and alpha tell."""

    def __init__(self, image):
        self.width, self.height, self.cn = image.width, image.height, image.cn
        self.channels, self.data_type = image.channels, image.data_type
        self.values = array.array("f", image.tostring())
        if sys.byteorder == "big":
            self.values.byteswap()

    def raw(self, row, col):
        """Return all channels of a pixel."""
        start = (row * self.width + col) * self.cn
        return self.values[start : start + self.cn].tolist()

    def at(self, row, col):
        """Return a pixel's depth or None."""
        channels = self.raw(row, col)
        seen = channels[1] > 0 if self.cn > 1 else channels[0] != 0
        return channels[0] if seen and math.isfinite(channels[0]) else None

    def seen(self):
        """Return the share of the pixels that see something."""
        found = [self.at(i, j) is not None for i in range(self.height) for j in range(self.width)]
        return sum(found) / len(found)


class Stage:
    """A mesh in a chunk of a document apart, as a camera at the origin sees it that looks along Z."""

    document = None
    folder = None

    def __init__(self, vertices, faces):
        if Stage.document is None:
            Stage.document = Metashape.Document()
            Stage.folder = tempfile.mkdtemp()
        path = os.path.join(Stage.folder, "probe.obj")
        with open(path, "w") as file:
            file.writelines("v {!r} {!r} {!r}\n".format(*map(float, vertex)) for vertex in vertices)
            file.writelines("f {} {} {}\n".format(*(index + 1 for index in face)) for face in faces)
        self.chunk = Stage.document.addChunk()
        self.chunk.importModel(path)
        os.remove(path)
        self.model = self.chunk.model
        # Importing may have moved the mesh: the camera follows it.
        stored = [list(vertex.coord) for vertex in self.model.vertices]
        if len(stored) != len(vertices):
            raise RuntimeError(f"{len(vertices)} vertices were imported and {len(stored)} are there")
        self.moved = [stored[0][k] - vertices[0][k] for k in range(3)]
        extent = max(abs(c) for vertex in vertices for c in vertex)
        off = max(abs(s[k] - v[k] - self.moved[k]) for s, v in zip(stored, vertices) for k in range(3))  # noqa: B905
        if off > 1e-6 * extent:
            raise RuntimeError(f"importing changed the mesh's shape by {off}, in a mesh of {extent}")

    def render(self, lens, rows=None, cull=False, alpha=True):
        """Render; ``rows`` is the camera's transform, but for what importing has moved."""
        matrix = [list(row) for row in (rows or IDENTITY)]
        for k in range(3):
            matrix[k][3] += self.moved[k]
        return Pixels(self.model.renderDepth(Metashape.Matrix(matrix), lens, cull, alpha))

    def close(self):
        """Take the chunk away."""
        Stage.document.remove([self.chunk])


def calibration(width, height, f, kind="Frame", **parameters):
    """Return a calibration."""
    lens = Metashape.Calibration()
    lens.type = getattr(Metashape.Sensor.Type, kind)
    lens.width, lens.height, lens.f = width, height, f
    for name, value in parameters.items():
        setattr(lens, name, value)
    return lens


def quad(left, right, top, bottom, z):
    """Return corners and faces of a rectangle across Z, seen from the origin, its front toward it."""
    corners = [(left, top, z), (left, bottom, z), (right, bottom, z), (right, top, z)]
    return corners, [(0, 1, 2), (0, 2, 3)]


def together(parts):
    """Return several meshes as one."""
    vertices, faces = [], []
    for some, triangles in parts:
        start = len(vertices)
        vertices.extend(some)
        faces.extend(tuple(start + index for index in face) for face in triangles)
    return vertices, faces


def slanted(along):
    """Return a plane Z = 10 + X / 2, or Y for X: where it is seen, its depth tells the ray's x = X / Z, or y."""
    far = 12.0
    corners = []
    for x, y in ((-far, -far), (-far, far), (far, far), (far, -far)):
        corners.append((x, y, 10 + (x if along == 0 else y) / 2))
    return corners, [(0, 1, 2), (0, 2, 3)]


def sphere(radius):
    """Return an octahedron with its faces cut in four four times, on a sphere around the origin, front inside."""
    corners = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0), (0, 0, -1)]
    faces = [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]
    for _ in range(4):
        middles, finer = {}, []

        def middle(a, b, middles=middles):
            key = (min(a, b), max(a, b))
            if key not in middles:
                point = [(p + q) / 2 for p, q in zip(corners[a], corners[b])]  # noqa: B905
                length = math.sqrt(sum(c * c for c in point))
                middles[key] = len(corners)
                corners.append(tuple(c / length for c in point))
            return middles[key]

        for a, b, c in faces:
            ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
            finer += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces = finer
    return [tuple(radius * c for c in point) for point in corners], [(a, c, b) for a, b, c in faces]


def rays(lens):
    """Return what rays pixels look along, from what they see of two slanted planes: {(row, col): (x, y)}."""
    found = {}
    for along in (0, 1):
        stage = Stage(*slanted(along))
        seen = stage.render(lens)
        stage.close()
        for row in range(2, lens.height, 6):
            for col in range(2, lens.width, 6):
                depth = seen.at(row, col)
                if depth:
                    found.setdefault((row, col), []).append((1 - 10 / depth) * 2)
    return {place: ray for place, ray in found.items() if len(ray) == 2}


def off_by(lens, measured, offset):
    """Return by how many pixels measured rays differ from those that the calibration itself gives, at most."""
    worst = 0.0
    for (row, col), (x, y) in measured.items():
        direction = lens.unproject(Metashape.Vector([col + offset, row + offset]))
        worst = max(
            worst, lens.f * math.hypot(direction[0] / direction[2] - x, direction[1] / direction[2] - y)
        )
    return worst


LENS = {
    "cx": 2.5, "cy": -1.5, "b1": 3.0, "b2": -2.0, "k1": -0.1, "k2": 0.05, "k3": -0.02, "k4": 0.01, "p1": 0.006,
    "p2": -0.003,
}  # fmt: skip


# Each probe returns answers: {name: (answer, what was measured)}.


def probe_image():
    """Find out background, alpha, order of channels, and the unit of depth."""
    stage = Stage(*quad(-0.2, 0.2, -0.2, 0.2, 4.0))
    lens = calibration(64, 48, 100.0)
    two, one = stage.render(lens), stage.render(lens, alpha=False)
    corner, centre = two.raw(0, 0), two.raw(24, 32)
    alone = one.raw(0, 0)[0]
    background = "nan" if math.isnan(alone) else format(alone, "g")
    order = (
        "depth first"
        if abs(centre[0] - 4.0) < 1e-4
        else "alpha first"
        if abs(centre[-1] - 4.0) < 1e-4
        else "other"
    )
    alpha = "none" if two.cn < 2 else f"{centre[1]:g} and {corner[1]:g}"
    stage.chunk.transform.matrix = Metashape.Matrix(
        [[3.0 * c for c in row] for row in IDENTITY[:3]] + [IDENTITY[3]]
    )
    scaled = stage.render(lens).raw(24, 32)[0]
    unit = "chunk" if abs(scaled - 4.0) < 1e-4 else "world" if abs(scaled - 12.0) < 1e-3 else "other"
    stage.close()
    return {
        "background": (background, {"one channel": alone, "two channels": corner[0]}),
        "alpha": (alpha, {"seen": centre, "not seen": corner}),
        "channel_order": (order, {"centre": centre}),
        "channels": (f"{one.channels!r} and {two.channels!r}", {"types": [one.data_type, two.data_type]}),
        "unit": (unit, {"depth 4 in a chunk of scale 3": scaled}),
    }


def probe_depth():
    """Find out whether depth is Z or the range, lens by lens: from within a sphere the range is the same everywhere."""
    stage = Stage(*sphere(10.0))
    answers = {}
    for kind in LENSES:
        name = "depth_" + NAMES[kind]
        if not hasattr(Metashape.Sensor.Type, kind):
            answers[name] = ("not available", {})
            continue
        width, height, f = (96, 48, 96 / (2 * math.pi)) if kind == "Spherical" else (64, 48, 20.0)
        lens = calibration(width, height, 40.0 if kind == "Frame" else f, kind)
        try:
            seen = stage.render(lens)
        except Exception as error:  # whatever Metashape raises is an answer
            answers[name] = ("refused", {"error": str(error)})
            continue
        worst = {"range": 0.0, "z": 0.0}
        values = []
        for row in range(1, height, 4):
            for col in range(1, width, 4):
                depth = seen.at(row, col)
                if depth is None:
                    continue
                values.append(depth)
                ray = lens.unproject(Metashape.Vector([col + 0.5, row + 0.5]))
                z = 10.0 * ray[2] / math.sqrt(ray[0] ** 2 + ray[1] ** 2 + ray[2] ** 2)
                worst["range"] = max(worst["range"], abs(depth - 10.0))
                worst["z"] = max(worst["z"], abs(depth - z))
        fitting = [what for what in ("range", "z") if values and worst[what] < 0.1]
        measured = {
            "share seen": seen.seen(),
            "least": min(values, default=None),
            "greatest": max(values, default=None),
        }
        answers[name] = (fitting[0] if fitting else "other", {"off by": worst, **measured})
    stage.close()
    return answers


def probe_lens():
    """Find out distortion, and where in a pixel it is sampled, from the rays that pixels look along."""
    lens = calibration(96, 72, 80.0, **LENS)
    measured = rays(lens)
    at_half, at_zero = off_by(lens, measured, 0.5), off_by(lens, measured, 0.0)
    plain = calibration(96, 72, 80.0, cx=LENS["cx"], cy=LENS["cy"])
    without = off_by(plain, measured, 0.5)
    numbers = {"rays": [[row, col, x, y] for (row, col), (x, y) in sorted(measured.items())]}
    numbers["calibration"] = {"width": 96, "height": 72, "f": 80.0, **LENS}
    numbers["off by, px"] = {
        "centres at 0.5": at_half,
        "centres at 0": at_zero,
        "without distortion": without,
    }
    least = min(at_half, at_zero, without)
    if least > 0.02:
        distortion = "other"
    else:
        distortion = "ignored" if without == least else "applied"
    centre = "0" if least == at_zero and least <= 0.02 else "0.5" if least <= 0.02 else "other"
    more = rays(calibration(96, 72, 80.0, p3=0.8, p4=-0.5, **LENS))
    moved = max(80.0 * math.dist(ray, measured[place]) for place, ray in more.items() if place in measured)
    return {
        "distortion": (distortion, numbers),
        "pixel_centre": (centre, numbers["off by, px"]),
        "p3_p4": ("applied" if moved > 0.02 else "ignored", {"moved by, px": moved}),
    }


def probe_projection():
    """Find out the formulas of lenses other than the frame camera's, and what cx, cy and k mean to them."""
    answers = {}
    point = (0.7, -0.4, 0.9)
    x, y, z = point
    across, rho = math.hypot(x, z), math.hypot(x, y)
    theta = math.atan2(rho, z)
    plain = {
        "Fisheye": (theta * x / rho, theta * y / rho),
        "EquisolidFisheye": (2 * math.sin(theta / 2) * x / rho, 2 * math.sin(theta / 2) * y / rho),
        "Spherical": (math.atan2(x, z), math.atan2(y, across)),
        "Cylindrical": (math.atan2(x, z), y / across),
    }
    for kind, (u, v) in plain.items():
        name = "formula_" + NAMES[kind]
        if not hasattr(Metashape.Sensor.Type, kind):
            answers[name] = ("not available", {})
            continue
        f = 200 / (2 * math.pi) if kind == "Spherical" else 50.0
        found = calibration(200, 100, f, kind).project(Metashape.Vector(point))
        off = None if found is None else math.hypot(found[0] - 100 - f * u, found[1] - 50 - f * v)
        answers[name] = ("as documented" if off is not None and off < 1e-3 else "other", {"off by, px": off})
    if hasattr(Metashape.Sensor.Type, "Cylindrical"):
        u, v = plain["Cylindrical"]
        found = calibration(200, 100, 50.0, "Cylindrical", cx=3.0, cy=-2.0).project(Metashape.Vector(point))
        moved = (found[0] - 100 - 50 * u, found[1] - 50 - 50 * v)
        added, ignored = math.dist(moved, (3.0, -2.0)) < 1e-3, math.dist(moved, (0.0, 0.0)) < 1e-3
        answer = "added" if added else "ignored" if ignored else "other"
        answers["cylindrical_principal_point"] = (answer, {"moved by": moved})
        try:
            bent = calibration(200, 100, 50.0, "Cylindrical", k1=0.1).project(Metashape.Vector(point))
            moved = math.hypot(bent[0] - 100 - 50 * u, bent[1] - 50 - 50 * v)
            answers["cylindrical_distortion"] = (
                "applied" if moved > 1e-3 else "ignored",
                {"moved by, px": moved},
            )
        except Exception as error:  # whatever Metashape raises is an answer
            answers["cylindrical_distortion"] = ("refused", {"error": str(error)})
    return answers


def probe_transform():
    """Find out what transforms with a scale do, and the model's own."""
    stage = Stage(*quad(-9.0, 9.0, -9.0, 9.0, 4.0))
    lens = calibration(64, 48, 100.0)
    answers = {}
    try:
        half = stage.render(lens, [[2.0 * c for c in row] for row in IDENTITY[:3]] + [IDENTITY[3]]).at(24, 32)
        which = (
            "other"
            if half is None
            else "inverse"
            if abs(half - 2) < 1e-4
            else "scale removed"
            if abs(half - 4) < 1e-4
            else "other"
        )
        answers["scaled_transform"] = (which, {"depth 4 with a transform of scale 2": half})
    except Exception as error:  # whatever Metashape raises is an answer
        answers["scaled_transform"] = ("refused", {"error": str(error)})
    try:
        stage.model.transform = Metashape.Matrix(IDENTITY[:2] + [[0.0, 0.0, 1.0, 1.0], IDENTITY[3]])
        depth = stage.render(lens).at(24, 32)
        which = (
            "other"
            if depth is None
            else "applied"
            if abs(depth - 5) < 1e-4
            else "ignored"
            if abs(depth - 4) < 1e-4
            else "other"
        )
        answers["model_transform"] = (which, {"depth 4, moved by 1": depth})
    except Exception as error:  # older versions have none
        answers["model_transform"] = ("not available", {"error": str(error)})
    stage.close()
    return answers


def probe_culling():
    """Find out which side of faces is shown; the left one runs counter-clockwise as seen, the right one does not."""
    left, right = quad(-0.3, -0.05, -0.2, 0.2, 2.0), quad(0.05, 0.3, -0.2, 0.2, 2.0)
    right = right[0], [face[::-1] for face in right[1]]
    stage = Stage(*together([left, right]))
    lens = calibration(64, 48, 100.0)

    def sides(pixels):
        shown = [pixels.at(24, 32 + side * 9) is not None for side in (-1, 1)]
        return {(True, False): "counter-clockwise", (False, True): "clockwise", (True, True): "both"}.get(
            tuple(shown), "none"
        )

    answers = {
        "culling": (sides(stage.render(lens, cull=True)), {}),
        "no_culling": (sides(stage.render(lens, cull=False)), {}),
    }
    try:
        mirrored = stage.render(lens, [[-1.0, 0.0, 0.0, 0.0]] + IDENTITY[1:], cull=True)
        # What was to the left is to the right now.
        turned = {"counter-clockwise": "clockwise", "clockwise": "counter-clockwise"}
        answers["mirrored_transform"] = (turned.get(sides(mirrored), sides(mirrored)), {})
    except Exception as error:  # whatever Metashape raises is an answer
        answers["mirrored_transform"] = ("refused", {"error": str(error)})
    stage.close()
    return answers


def probe_coverage():
    """Find out when a pixel is covered: edges at sixteenths of a pixel, and edges exactly through pixels' centres."""
    f, width, height = 64.0, 64, 64

    def at(u):
        return (u - 32) / f

    offsets = [k / 8 + 1 / 16 for k in range(8)]
    edges = {
        "left": [quad(at(10 + o), at(20), at(4 * k + 2), at(4 * k + 5), 1.0) for k, o in enumerate(offsets)],
        "right": [quad(at(30), at(40 + o), at(4 * k + 2), at(4 * k + 5), 1.0) for k, o in enumerate(offsets)],
        "top": [quad(at(4 * k + 2), at(4 * k + 5), at(44 + o), at(50), 1.0) for k, o in enumerate(offsets)],
        "bottom": [
            quad(at(4 * k + 34), at(4 * k + 37), at(44), at(54 + o), 1.0) for k, o in enumerate(offsets[:7])
        ],
    }
    centred = quad(at(50.5), at(60.5), at(10.5), at(20.5), 1.0)
    stage = Stage(*together([part for parts in edges.values() for part in parts] + [centred]))
    seen = stage.render(calibration(width, height, f))
    stage.close()
    covered = {
        "left": [seen.at(4 * k + 3, 10) is not None for k in range(8)],
        "right": [seen.at(4 * k + 3, 40) is not None for k in range(8)],
        "top": [seen.at(44, 4 * k + 3) is not None for k in range(8)],
        "bottom": [seen.at(54, 4 * k + 35) is not None for k in range(7)],
    }
    by_centre = all(
        shown == ((offset < 0.5) == (side in ("left", "top")))
        for side, shows in covered.items()
        for offset, shown in zip(offsets, shows)  # noqa: B905
    )
    if by_centre:
        rule = "centre"
    else:
        rule = "any part" if all(map(all, covered.values())) else "other"
    places = {"left": (15, 50), "right": (15, 60), "top": (10, 55), "bottom": (20, 55)}
    on_edges = [side for side, place in places.items() if seen.at(*place) is not None]
    return {
        "coverage": (rule, {"offsets": offsets, "covered": covered}),
        "edges_through_centres": (" ".join(on_edges) or "none", {}),
    }


def probe_distances():
    """Find out near and far planes, and what becomes of triangles that reach behind the camera."""
    shown = []
    for distances in ([10.0**k for k in range(-4, 1)], [10.0**k for k in range(7)]):
        parts = []
        for k, z in enumerate(distances):
            left = -0.6 + 0.09 * k
            parts.append(quad(left * z, (left + 0.07) * z, -0.1 * z, 0.1 * z, z))
        stage = Stage(*together(parts))
        seen = stage.render(calibration(128, 48, 100.0))
        stage.close()
        cols = [round(64 + 100 * (-0.6 + 0.09 * k + 0.035)) for k in range(len(distances))]
        shown.append([z for z, col in zip(distances, cols) if seen.at(24, col) is not None])  # noqa: B905
    near = "none" if len(shown[0]) == 5 else format(min(shown[0], default=math.inf), "g")
    far = "none" if len(shown[1]) == 7 else format(max(shown[1], default=0.0), "g")
    floor = [(-50.0, 1.0, -20.0), (50.0, 1.0, -20.0), (0.0, 1.0, 200.0)], [(0, 1, 2)]
    stage = Stage(*floor)
    lens = calibration(64, 48, 50.0)
    below = stage.render(lens)
    stage.close()
    right = [abs((below.at(row, 32) or 0.0) - 50.0 / (row + 0.5 - 24)) < 1e-3 for row in range(30, 48)]
    across = "drawn" if all(right) else "dropped" if below.seen() == 0 else "other"
    return {
        "near_plane": (near, {"seen at": shown[0]}),
        "far_plane": (far, {"seen at": shown[1]}),
        "across_zero": (across, {"right in rows 30 to 47": right}),
    }


def probe_fold():
    """Find out what lies beyond the radius at which the distortion's polynomial turns back."""
    lens = calibration(64, 64, 50.0, k1=-0.5)
    # It turns at r = 0.816, which is imaged 27.2 pixels from the centre.
    stage = Stage(*quad(-90.0, 90.0, -90.0, 90.0, 1.0))
    seen = stage.render(lens)
    stage.close()
    beyond = [
        seen.at(row, col) is not None
        for row in range(64)
        for col in range(64)
        if math.hypot(row + 0.5 - 32, col + 0.5 - 32) > 29
    ]
    share = sum(beyond) / len(beyond)
    # What lies at r = 1.2 to 1.3 the polynomial would image 9 to 17 pixels from the centre.
    stage = Stage(*quad(1.2, 1.3, -0.1, 0.1, 1.0))
    ghost = stage.render(lens).seen()
    stage.close()
    return {
        "beyond_fold": ("nothing" if share == 0 else "something", {"share of pixels seen": share}),
        "ghosts": ("none" if ghost == 0 else "drawn", {"share of pixels seen": ghost}),
    }


def probe_opencv():
    """Find out how calibrations are written for OpenCV."""
    # Of what OpenCV knows, too.
    lens = calibration(
        640, 480, 500.0, **{name: LENS[name] for name in ("cx", "cy", "k1", "k2", "k3", "p1", "p2")}
    )
    path = os.path.join(tempfile.mkdtemp(), "opencv.xml")
    lens.save(path, format=Metashape.CalibrationFormatOpenCV)
    with open(path) as file:
        text = file.read()

    def numbers(name):
        data = re.search(rf"<{name}\b.*?<data>(.*?)</data>", text, re.DOTALL | re.IGNORECASE)
        return [float(word) for word in data.group(1).split()]

    matrix, distortion = numbers("Camera_Matrix"), numbers("Distortion_Coefficients")
    off = matrix[2] - 320 - LENS["cx"]
    p = tuple(distortion[2:4])
    order = (
        "exchanged"
        if math.dist(p, (LENS["p2"], LENS["p1"])) < 1e-9
        else "as they are"
        if math.dist(p, (LENS["p1"], LENS["p2"])) < 1e-9
        else "other"
    )
    return {
        "opencv_principal_point": (format(round(off, 6), "g"), {"matrix": matrix}),
        "opencv_p1_p2": (order, {"distortion": distortion}),
    }


def probe_corrections():
    """Find out whether additional corrections, which calibration files can have, count in renderDepth."""
    coefficients = " ".join("4" if k in (0, 3) else "0" for k in range(96))
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<calibration>\n  <projection>frame</projection>\n  <width>96</width>\n'
        "  <height>72</height>\n  <f>80</f>\n{}</calibration>\n"
    )
    extra = (
        f'  <corrections type="fourier">\n    <coeffs>{coefficients}</coeffs>\n'
        "    <extent><min>0 0</min><max>96 72</max></extent>\n  </corrections>\n"
    )
    folder = tempfile.mkdtemp()
    lenses = []
    for name, more in (("plain", ""), ("corrected", extra)):
        path = os.path.join(folder, name + ".xml")
        with open(path, "w") as file:
            file.write(text.format(more))
        lens = Metashape.Calibration()
        lens.load(path)
        lenses.append(lens)
    plain, corrected = map(rays, lenses)
    moved = max(80.0 * math.dist(ray, corrected[place]) for place, ray in plain.items() if place in corrected)
    return {"corrections": ("applied" if moved > 0.02 else "ignored", {"moved by, px": moved})}


def probe_rig():
    """Find out in which units the location of a rig's second sensor is, from a rig in the open project."""
    chunk = Metashape.app.document.chunk
    slaves = (
        []
        if chunk is None
        else [c for c in chunk.cameras if c.master is not None and c.master != c and c.transform]
    )
    slaves = [c for c in slaves if c.master.transform]
    scale = (chunk.transform.scale or 1.0) if chunk is not None else 1.0
    if not slaves or abs(scale - 1.0) < 1e-3:
        return {"rig_location": ("no rig", {"cameras": len(slaves), "scale": scale})}
    camera = slaves[0]
    relative = camera.master.transform.inv() * camera.transform
    moved = [relative[k, 3] for k in range(3)]
    stated = list(camera.sensor.location)
    length, told = (math.sqrt(sum(c * c for c in v)) for v in (moved, stated))
    ratio = length / told if told else 0.0
    answer = "chunk" if abs(ratio - 1) < 1e-3 else "metres" if abs(ratio * scale - 1) < 1e-3 else "other"
    return {"rig_location": (answer, {"sensor.location": stated, "in the chunk": moved, "scale": scale})}


PROBES = {
    probe_image: ("background", "alpha", "channel_order", "channels", "unit"),
    probe_depth: tuple("depth_" + NAMES[kind] for kind in LENSES),
    probe_lens: ("distortion", "pixel_centre", "p3_p4"),
    probe_projection: (
        *("formula_" + NAMES[kind] for kind in LENSES[1:]),
        "cylindrical_principal_point",
        "cylindrical_distortion",
    ),
    probe_transform: ("scaled_transform", "model_transform"),
    probe_culling: ("culling", "no_culling", "mirrored_transform"),
    probe_coverage: ("coverage", "edges_through_centres"),
    probe_distances: ("near_plane", "far_plane", "across_zero"),
    probe_fold: ("beyond_fold", "ghosts"),
    probe_opencv: ("opencv_principal_point", "opencv_p1_p2"),
    probe_corrections: ("corrections",),
    probe_rig: ("rig_location",),
}


def made_by():
    """Return the program and its version."""
    name = "Agisoft Metashape" if Metashape.__name__ == "Metashape" else Metashape.__name__
    return "{} {}".format(name, getattr(Metashape.app, "version", ""))


def write_answers(folder):
    """Run every probe; one that fails answers that it did."""
    answers = {}
    for probe, names in PROBES.items():
        print("probing:", ", ".join(names))
        try:
            found = probe()
        except Exception as error:  # the other probes shall still be run
            found = {name: ("not available", {"error": f"{type(error).__name__}: {error}"}) for name in names}
        for name, (answer, measured) in found.items():
            answers[name] = {"answer": answer, "measured": measured}
    document = {"made_by": made_by(), "date": time.strftime("%Y-%m-%d"), "answers": answers}
    path = os.path.join(folder, "answers.json")
    with open(path, "w") as file:
        json.dump(document, file, indent=1)
    return path


def write_mesh(path, model):
    """Write a model's mesh as it is, in the chunk's own coordinates."""
    vertices, faces = model.vertices, model.faces
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\nproperty double x\nproperty double y\n"
        f"property double z\nelement face {len(faces)}\nproperty list uchar uint vertex_indices\nend_header\n"
    )
    with open(path, "wb") as file:
        file.write(head.encode())
        file.writelines(struct.pack("<3d", *vertex.coord) for vertex in vertices)
        file.writelines(struct.pack("<B3I", 3, *face.vertices) for face in faces)


def write_image(path, image):
    """Write an image's pixels as they are, as a NumPy file."""
    head = (
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({image.height}, {image.width}, {image.cn}), }}"
    )
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + image.tostring())


def chosen_cameras(chunk, number):
    """Return the cameras to record: of every sensor some, spread evenly."""
    by_sensor = {}
    for camera in chunk.cameras:
        regular = camera.type == Metashape.Camera.Type.Regular
        if camera.transform and camera.enabled and regular and camera.sensor.calibration.width:
            by_sensor.setdefault(camera.sensor.key, []).append(camera)
    for cameras in by_sensor.values():
        step = max(1, len(cameras) // number)
        for camera in cameras[step // 2 :: step][:number]:
            yield camera


def write_cases(folder, number):
    """Record cameras of the open project; return how many."""
    chunk = Metashape.app.document.chunk
    if chunk is None or not chunk.model:
        print("no project with a mesh is open: no cases are recorded")
        return 0
    mesh = os.path.join(folder, "mesh.ply")
    print("writing the mesh:", mesh)
    write_mesh(mesh, chunk.model)
    count = 0
    for camera in chosen_cameras(chunk, number):
        lens = camera.calibration
        kind = getattr(lens.type, "name", str(lens.type).split(".")[-1])
        if kind not in NAMES:
            print(f"{camera.label}: a lens of the type {kind} is not recorded")
            continue
        count += 1
        name = "{:03d}_{}".format(count, re.sub(r"[^0-9A-Za-z._-]+", "_", camera.label))
        print("rendering:", name)
        place = os.path.join(folder, name)
        os.makedirs(place, exist_ok=True)
        write_image(
            os.path.join(place, "depth.npy"), chunk.model.renderDepth(camera.transform, lens, True, True)
        )
        values = {name: getattr(lens, name) for name in PARAMETERS if getattr(lens, name)}
        case = {
            "mesh": "../mesh.ply",
            "depth": "depth.npy",
            "calibration": {"type": NAMES[kind], "width": lens.width, "height": lens.height, **values},
            "transform": [[camera.transform[i, j] for j in range(4)] for i in range(4)],
            "cull_faces": True,
            "made_by": made_by(),
            "note": f"camera {camera.label!r}, chunk scale {chunk.transform.scale!r}",
        }
        with open(os.path.join(place, "case.json"), "w") as file:
            json.dump(case, file, indent=1)
    return count


def main(arguments):
    """Record everything."""
    path = Metashape.app.document.path
    beside = os.path.splitext(path)[0] if path else os.path.join(os.getcwd(), "metashape")
    folder = arguments[0] if arguments else beside + "_depth_goldens"
    given = arguments[1] if len(arguments) > 1 else "3"
    if not given.isdigit() or int(given) < 1:
        raise ValueError(f"NUMBER is {given!r}; how many cameras of each sensor is needed: pass e.g. 3")
    os.makedirs(folder, exist_ok=True)
    if any(os.path.exists(os.path.join(folder, name, "case.json")) for name in os.listdir(folder)):
        raise ValueError(  # they would be compared with the mesh of this project
            f"{folder} holds cases that were recorded before; a folder without is needed: name another, or remove them"
        )
    count = write_cases(folder, int(given))
    answers = write_answers(folder)
    print(f"{count} cases and {answers} are recorded. Where depthraster is installed:")
    if count:
        print(f"    depthraster compare {folder}")
    print(f"    depthraster compare --answers {answers}")


if __name__ == "__main__":
    main(sys.argv[1:])
