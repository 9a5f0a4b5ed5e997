"""Make the golden images beside this file with other people's renderer and other people's lenses, where there are any.

Visibility is Embree's, through Open3D; rays are OpenCV's (``undistortPoints``, ``fisheye.undistortPoints``) for lenses that
it knows, and for the others come from formulas written here from Metashape's manual, inverted by Newton's method or
bisection; each is checked by the forward formula, OpenCV's too where it has one. Depths are then computed in float64 from
the face that Embree names. Nothing of depthraster is imported.

    pip install "depthraster[test,bench]"
    python tests/goldens/make_goldens.py

writes ``mesh.ply`` and a folder for each case: ``case.json`` and ``depth.tif``. The commonest change is another case: a line
in `CASES`.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import open3d as o3d
import tifffile

HERE = Path(__file__).resolve().parent
PRECISE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-15)

OUTSIDE = {"eye": (-9.0, 16.0, 15.0), "target": (0.0, 0.0, 0.0)}  # the cave, seen into its mouth

# The lenses: sizes so small that many are quick, coefficients so large that forgetting one shows.
CASES = {
    "frame-pinhole": {"lens": {"f": 150.0}},
    "frame-brown": {
        "lens": {
            "f": 140.0, "cx": 3.7, "cy": -2.4, "k1": -0.16, "k2": 0.07, "k3": -0.02, "p1": 0.006, "p2": -0.003,
        },
    },
    "frame-k4": {"lens": {"f": 110.0, "cx": -1.2, "cy": 2.1, "k1": -0.12, "k2": 0.05, "k3": -0.05, "k4": 0.06}},
    "frame-affine": {
        "lens": {"f": 150.0, "cx": 2.2, "b1": 4.5, "b2": -2.5, "k1": -0.08, "k2": 0.03, "p1": -0.002, "p2": 0.005},
    },
    "frame-tangential": {
        "lens": {"f": 120.0, "p1": 0.012, "p2": -0.007, "p3": 0.8, "p4": -0.5, "k1": 0.05, "b1": -2.0},
    },
    "frame-folding": {"lens": {"f": 95.0, "k1": 0.05, "k2": -0.2, "k3": -1.6}},
    "frame-outside": {"lens": {"f": 140.0, "k1": -0.1, "p1": 0.004, "p2": 0.001}, **OUTSIDE},
    "frame-outside-both-sides": {
        "lens": {"f": 140.0, "k1": -0.1, "p1": 0.004, "p2": 0.001}, "cull_faces": False, **OUTSIDE,
    },
    "frame-scaled": {"lens": {"f": 150.0, "cx": 1.0, "k1": -0.1}, "scale": 2.5},
    "frame-range": {"lens": {"f": 130.0, "k1": -0.05, "p1": 0.003}, "depth_kind": "range"},
    "fisheye": {
        "lens": {"type": "fisheye", "f": 66.0, "cx": 1.5, "cy": -0.8, "k1": 0.03, "k2": -0.02, "k3": 0.008, "k4": -0.002},
    },
    "fisheye-wide": {
        "lens": {
            "type": "fisheye", "f": 44.0, "cx": -2.3, "cy": 1.9, "k1": 0.01, "k2": -0.004, "k4": 0.0001, "p1": 0.004,
            "p2": -0.002, "b1": 1.2, "b2": -0.9,
        },
    },
    "equisolid": {
        "lens": {
            "type": "equisolid_fisheye", "f": 54.0, "cx": 1.1, "cy": 2.2, "k1": -0.02, "k2": 0.006, "k3": -0.001,
            "k4": 0.0006, "p1": 0.003, "p2": 0.002, "b1": -0.7, "b2": 0.6,
        },
    },
    "spherical": {"lens": {"type": "spherical", "width": 200, "height": 100}, "depth_kind": "range"},
    "cylindrical": {"lens": {"type": "cylindrical", "f": 48.0, "cx": 2.5, "cy": -3.5}, "depth_kind": "z"},
    "cylindrical-range": {"lens": {"type": "cylindrical", "f": 32.0, "width": 200}, "depth_kind": "range"},
    "orthographic": {"lens": {"type": "orthographic", "f": 11.0, "cx": 1.5, "cy": 0.5}, "eye": (0.5, -0.8, 0.4)},
}  # fmt: skip
LENS = dict.fromkeys("cx cy k1 k2 k3 k4 p1 p2 p3 p4 b1 b2".split(), 0.0)  # noqa: SIM905
TARGET = (0.3, 0.2, 9.0)
EYE = (1.2, -0.7, -2.0)


def make_mesh() -> tuple[np.ndarray, np.ndarray]:
    """Return a rocky cave about the origin, front inside, with a mouth, and boxes and a ball in it, front outside."""
    rng = np.random.default_rng(11)
    vertices, faces = sphere(4)
    bumps = rng.normal(size=(40, 3))
    bumps /= np.linalg.norm(bumps, axis=1)[:, None]
    height = (np.exp(12 * (vertices @ bumps.T - 1)) * rng.uniform(-2.2, 2.2, 40)).sum(axis=1)
    mouth = vertices @ np.array([-0.3, 0.8, 0.52]) > 0.9
    cave = vertices * (9.0 + height + rng.normal(size=len(vertices)) * 0.06)[:, None] * [1.2, 0.9, 1.0]
    inside = faces[~mouth[faces].any(axis=1)][:, ::-1]
    parts = [(cave, inside)]
    for middle, size, turn in (
        ((1.5, 1.0, 4.0), (1.2, 0.8, 1.5), 0.4),
        ((-2.5, -1.0, 5.0), (0.7, 2.4, 0.7), 1.1),
        ((3.4, -1.6, 1.5), (0.8, 0.8, 0.8), 2.0),
        ((-2.0, 2.0, -4.0), (2.0, 1.0, 1.2), 0.8),
    ):
        corners = (
            np.array([(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]) * np.array(size) / 2
        )
        cosine, sine = np.cos(turn), np.sin(turn)
        corners = (
            corners
            @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
            @ np.array([[1, 0, 0], [0, sine, cosine], [0, -cosine, sine]])
        )
        quads = np.array([(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)])
        parts.append((corners + middle, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])))
    ball, ball_faces = sphere(3)
    parts.append((ball * 0.9 + [0.2, -1.8, 3.2], ball_faces))
    starts = np.cumsum([0] + [len(v) for v, _ in parts])
    points = np.concatenate([v for v, _ in parts]).astype(np.float32).astype(np.float64)
    triangles = np.concatenate([f + start for (_, f), start in zip(parts, starts, strict=False)])
    used, triangles = np.unique(triangles, return_inverse=True)
    return points[used], triangles.reshape(-1, 3)


def sphere(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Open3D's icosahedron with every face cut in four, ``level`` times, on the unit sphere; front outside."""
    solid = o3d.geometry.TriangleMesh.create_icosahedron(1.0).subdivide_midpoint(level)
    vertices = np.asarray(solid.vertices)
    faces = np.asarray(solid.triangles)
    vertices = vertices / np.linalg.norm(vertices, axis=1)[:, None]
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    wrong = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    faces[wrong] = faces[wrong][:, ::-1]
    return vertices, faces


def write_ply(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a binary PLY; the vertices are float32 numbers already."""
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\nproperty float x\nproperty float y\n"
        f"property float z\nelement face {len(faces)}\nproperty list uchar ushort vertex_indices\nend_header\n"
    )
    with path.open("wb") as file:
        file.write(head.encode())
        file.write(vertices.astype("<f4").tobytes())
        file.writelines(struct.pack("<B3H", 3, *face) for face in faces.tolist())


def distort(x: np.ndarray, y: np.ndarray, lens: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return x', y' of x, y in the lens' plane: the formulas of Metashape's manual, appendix "Camera models"."""
    r2 = x * x + y * y
    radial = 1 + lens["k1"] * r2 + lens["k2"] * r2**2 + lens["k3"] * r2**3 + lens["k4"] * r2**4
    scale = 1 + lens["p3"] * r2 + lens["p4"] * r2**2
    dx = lens["p1"] * (r2 + 2 * x * x) + 2 * lens["p2"] * x * y
    dy = lens["p2"] * (r2 + 2 * y * y) + 2 * lens["p1"] * x * y
    return x * radial + dx * scale, y * radial + dy * scale


def fold(lens: dict) -> float:
    """Return the radius at which the distorted radius stops growing, found by walking along it; inf where it does not."""
    r = np.linspace(0, 5, 500_001)
    turned = np.flatnonzero(np.diff(distort(r, 0 * r, {**lens, "p1": 0, "p2": 0})[0]) <= 0)
    return float(r[turned[0]]) if len(turned) else np.inf


def undistort(xd: np.ndarray, yd: np.ndarray, lens: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return x, y of x', y'; NaN beyond the fold."""
    end = fold(lens)
    if np.isfinite(end) and not (lens["p1"] or lens["p2"]):  # along a radius, by bisection
        rd = np.hypot(xd, yd)
        low, high = np.zeros_like(rd), np.full_like(rd, end)
        for _ in range(80):
            middle = (low + high) / 2
            below = distort(middle, 0 * middle, lens)[0] < rd
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        found = np.where(rd <= distort(np.array(end), np.array(0.0), lens)[0], (low + high) / 2, np.nan)
        along = np.divide(found, rd, out=np.ones_like(rd), where=rd > 0)
        return xd * along, yd * along
    x, y = xd.copy(), yd.copy()
    h = 1e-6
    for _ in range(60):  # Newton's method with differences for derivatives
        u, v = distort(x, y, lens)
        (u1, v1), (u0, v0) = distort(x + h, y, lens), distort(x - h, y, lens)
        (u3, v3), (u2, v2) = distort(x, y + h, lens), distort(x, y - h, lens)
        a, c, b, d = (u1 - u0) / (2 * h), (v1 - v0) / (2 * h), (u3 - u2) / (2 * h), (v3 - v2) / (2 * h)
        e, f, g = xd - u, yd - v, a * d - b * c
        x, y = x + (d * e - b * f) / g, y + (a * f - c * e) / g
    u, v = distort(x, y, lens)
    assert np.hypot(u - xd, v - yd).max() < 1e-12, "Newton's method has not converged"
    assert np.hypot(x, y).max() < end
    return x, y


def plane_of(lens: dict, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x, y in the lens' plane of pixels, by OpenCV where it knows the lens, by the formulas above elsewhere."""
    yd = (v - lens["height"] / 2 - lens["cy"]) / lens["f"]
    xd = (u - lens["width"] / 2 - lens["cx"] - lens["b2"] * yd) / (lens["f"] + lens["b1"])
    points = np.stack([xd, yd], axis=-1)[:, None]
    if lens["type"] == "frame" and not (lens["k4"] or lens["p3"] or lens["p4"] or np.isfinite(fold(lens))):
        # OpenCV counts p1 and p2 the other way round.
        theirs = np.array([lens["k1"], lens["k2"], lens["p2"], lens["p1"], lens["k3"]])
        found = cv2.undistortPoints(points, np.eye(3), theirs, criteria=PRECISE)[:, 0]
        rays = np.column_stack([found, np.ones(len(found))])
        back = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), theirs)[0][:, 0]
    elif lens["type"] == "fisheye" and not (lens["p1"] or lens["p2"]):
        theirs = np.array([lens["k1"], lens["k2"], lens["k3"], lens["k4"]])
        tangents = cv2.fisheye.undistortPoints(
            points, np.eye(3), theirs, R=np.eye(3), P=np.eye(3), criteria=PRECISE
        )[:, 0]
        back = cv2.fisheye.projectPoints(
            np.column_stack([tangents, np.ones(len(tangents))])[:, None],
            np.zeros(3),
            np.zeros(3),
            np.eye(3),
            theirs,
        )[0][:, 0]
        length = np.hypot(*tangents.T)
        found = tangents * (np.arctan(length) / np.where(length > 0, length, 1))[:, None]
    else:
        return undistort(xd, yd, lens)
    assert np.abs(back - points[:, 0]).max() < 1e-10, "OpenCV has not converged"
    ours = np.stack(undistort(xd, yd, lens), axis=-1)
    assert np.abs(ours - found).max() < 1e-9, "OpenCV and the formulas here disagree"
    return found[:, 0], found[:, 1]


def rays_of(lens: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return origins and directions of the pixels' centres in the camera's frame, (n, 3) each; NaN: not imaged."""
    v, u = np.indices((lens["height"], lens["width"])).reshape(2, -1) + 0.5
    origins = np.zeros((len(u), 3))
    one = np.ones(len(u))
    if lens["type"] in ("spherical", "cylindrical", "orthographic"):
        x = (u - lens["width"] / 2 - lens["cx"]) / lens["f"]
        y = (v - lens["height"] / 2 - lens["cy"]) / lens["f"]
        if lens["type"] == "orthographic":
            return np.column_stack([x, y, 0 * x]), np.column_stack([0 * x, 0 * x, one])
        if lens["type"] == "spherical":
            return origins, np.column_stack([np.sin(x) * np.cos(y), np.sin(y), np.cos(x) * np.cos(y)])
        return origins, np.column_stack([np.sin(x), y, np.cos(x)])
    x, y = plane_of(lens, u, v)
    if lens["type"] == "frame":
        return origins, np.column_stack([x, y, one])
    radius = np.hypot(x, y)
    angle = radius if lens["type"] == "fisheye" else 2 * np.arcsin(np.minimum(radius / 2, 1))
    across = np.divide(np.sin(angle), radius, out=np.ones_like(radius), where=radius > 0)
    beyond = radius > (np.pi if lens["type"] == "fisheye" else 2)
    directions = np.column_stack([x * across, y * across, np.cos(angle)])
    directions[beyond] = np.nan
    return origins, directions


def looking(eye: tuple, target: tuple, scale: float) -> np.ndarray:
    """Return a camera-to-chunk transform: at ``eye``, towards ``target``, a little tilted."""
    forward = np.subtract(target, eye)
    forward /= np.linalg.norm(forward)
    right = np.cross([0.15, 1.0, 0.05], forward)
    right /= np.linalg.norm(right)
    transform = np.eye(4)
    transform[:3, :3] = np.column_stack([right, np.cross(forward, right), forward]) * scale
    transform[:3, 3] = eye
    return transform


def render(
    vertices: np.ndarray, faces: np.ndarray, case: dict, lens: dict, transform: np.ndarray
) -> np.ndarray:
    """Return depth and alpha, (H, W, 2) float32."""
    origins, directions = rays_of(lens)
    camera_from_chunk = np.linalg.inv(transform)
    points = vertices @ camera_from_chunk[:3, :3].T + camera_from_chunk[:3, 3]
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    normals = np.cross(b - a, c - a)
    # From one centre (or along one direction) a face is turned toward the camera or it is not.
    toward = -normals[:, 2] if lens["type"] == "orthographic" else -np.einsum("ij,ij->i", normals, a)
    shown = toward > 0 if case.get("cull_faces", True) else np.ones(len(faces), bool)
    kept = np.flatnonzero(shown)
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(points.astype(np.float32)), o3d.core.Tensor(faces[kept].astype(np.uint32))
    )
    imaged = np.isfinite(directions).all(axis=1)
    rays = np.concatenate([origins, np.where(imaged[:, None], directions, 1.0)], axis=1)
    rays[:, 3:] /= np.linalg.norm(rays[:, 3:], axis=1)[:, None]
    hit = scene.cast_rays(o3d.core.Tensor(rays.astype(np.float32)))["primitive_ids"].numpy()
    found = imaged & (hit != scene.INVALID_ID)
    face = kept[hit[found]]
    # Along the ray in float64, to the plane of the face that Embree names.
    start, along = rays[found, :3], rays[found, 3:]
    away = np.einsum("ij,ij->i", normals[face], a[face] - start) / np.einsum("ij,ij->i", normals[face], along)
    image = np.zeros((lens["height"], lens["width"], 2), np.float32)
    flat = image.reshape(-1, 2)
    as_range = case.get("depth_kind") == "range"
    flat[found, 0] = away if as_range else (start + along * away[:, None])[:, 2]
    flat[found, 1] = 1
    return image


def main() -> None:
    """Write everything."""
    vertices, faces = make_mesh()
    write_ply(HERE / "mesh.ply", vertices, faces)
    versions = f"Embree through Open3D {o3d.__version__}, OpenCV {cv2.__version__}"
    for name, case in CASES.items():
        lens = {"type": "frame", "width": 160, "height": 120, **LENS, **case["lens"]}
        lens.setdefault("f", lens["width"] / (2 * np.pi))
        transform = looking(case.get("eye", EYE), case.get("target", TARGET), case.get("scale", 1.0))
        image = render(vertices, faces, case, lens, transform)
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(
            folder / "depth.tif",
            image,
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["unassalpha"],
            compression="zlib",
            compressionargs={"level": 9},
            predictor=3,
            metadata=None,
        )
        said = {
            "mesh": "../mesh.ply",
            "depth": "depth.tif",
            "calibration": {key: value for key, value in lens.items() if value != 0.0},
            "transform": transform.tolist(),
            "cull_faces": case.get("cull_faces", True),
            "depth_kind": case.get("depth_kind", "z"),
            "tolerances": {"depth": 1e-6, "pixels": 1e-3, "outliers": 0, "coverage": 0, "inside": 0},
            "made_by": versions,
        }
        (folder / "case.json").write_text(json.dumps(said, indent=1) + "\n")
        seen = image[..., 1] > 0
        print(
            f"{name:26} {seen.mean():6.1%} seen, depth {image[seen, 0].min():.3f} to {image[seen, 0].max():.3f}"
        )


if __name__ == "__main__":
    main()
