"""Mesh files that other libraries' authors collected because they broke something: each is read right or refused.

Nothing crashes, hangs, or takes memory that the file does not justify; every error is one sentence that names the file.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import depthraster as dr
from depthraster.io.meshes import load_mesh

# Vertices and triangles of those that can be read, words of the error of those that cannot.
EXPECTED: dict[str, tuple[int, int] | str] = {
    "assimp/OutOfMemory.off": "353535235358 vertices",
    "assimp/box_without_lineending.obj": (8, 12),
    "assimp/concave_polygon.obj": (64, 64),
    "assimp/crash-30d6d0f7c529b3b66b4131700b7a4580cd7082df.ply": "header",
    "assimp/cube.ply": (8, 12),
    "assimp/cube_binary.ply": (8, 12),
    "assimp/cube_binary_header_with_RN_newline.ply": (8, 12),
    "assimp/empty.obj": "empty",
    "assimp/empty.off": "empty",
    "assimp/empty.ply": "empty",
    "assimp/issue623.ply": "list property",
    "assimp/malformed.obj": "line 28 names vertex 0",
    "assimp/malformed2.obj": "face 0 .* has 0 corners",
    "assimp/number_formats.obj": r"line 11 is .*3\.1\+e2",
    "assimp/payload_JVN42386607.ply": "no x, y and z",
    "assimp/point_cloud.obj": "point cloud, 3 points",
    "assimp/points.ply": "point cloud, 4 points",
    "assimp/testmixed.obj": (8, 12),
    "trimesh/Duck.glb": (2399, 4212),
    "trimesh/bunny.ply": (8171, 16301),
    "trimesh/busted.STL": (11634, 3878),
    "trimesh/capsule.obj": (5252, 10200),
    "trimesh/chair_model.obj": (3186, 12756),
    "trimesh/cube.OBJ": (8, 12),
    "trimesh/empty.obj": "nothing in the file",
    "trimesh/empty.ply": "nothing in the file",
    "trimesh/empty.stl": "nothing in the file",
    "trimesh/mirror.ply": (143, 286),
    "trimesh/nancolor.obj": (8, 12),
    "trimesh/negative_indices.obj": (8, 12),
    "trimesh/notenoughindices.obj": "face 0 .* has 2 corners",
    "trimesh/points_bin.ply": "point cloud, 5 points",
    "trimesh/points_emptyface.ply": "point cloud, 1024 points",
    "trimesh/polygonfaces.obj": (5, 3),
    "trimesh/quadknot.obj": (1440, 2880),
    "trimesh/soup.stl": (300, 100),
}


@pytest.fixture
def folder(real_data) -> Path:
    folder = real_data / "nasty_meshes"
    if not folder.is_dir():
        pytest.skip(f"no nasty_meshes in {real_data}")
    return folder


def test_the_list_is_complete(folder):
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in found if "LICENSE" not in name} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_read_right_or_refused(folder, name):
    expected = EXPECTED[name]
    start = time.perf_counter()
    if isinstance(expected, str):
        with pytest.raises(dr.FormatError, match=expected) as caught:
            load_mesh(folder / name)
        message = str(caught.value)
        # What came in, what is needed, what to do; one sentence.
        assert re.fullmatch(re.escape(str(folder / name)) + r": .+; .+: .+", message) and "\n" not in message
    else:
        mesh = load_mesh(folder / name)
        assert (len(mesh.vertices), len(mesh.faces)) == expected
        assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
        assert np.isfinite(mesh.vertices).all()
    assert time.perf_counter() - start < 5  # a hang, not a slow machine


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED.items() if isinstance(expected, tuple)])
def test_what_is_read_can_be_rendered(folder, name):
    scene = dr.Scene.from_mesh(folder / name)
    size = np.ptp(scene.bounds, axis=0).max()
    centre = scene.bounds.mean(axis=0)
    transform = dr.look_at(centre + 2 * size * np.array([0.5, -0.7, 0.4]), centre)
    depth = dr.render_depth(scene, transform, dr.Calibration(width=60, height=40, f=50), cull_faces=False)[
        ..., 0
    ]
    assert depth.any()
    assert ((depth == 0) | ((depth > 0.4 * size) & (depth < 4 * size))).all()


HOSTILE = {
    "text.ply": "ply\nformat ascii 1.0\nelement vertex 999999999999\nproperty float x\nproperty float y\nproperty float z\n"
    "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
    "binary.ply": "ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    "property float z\nelement face 888888888888888888\nproperty list uint int vertex_indices\nend_header\n"
    + "\0"
    * 99,
    "list.ply": "ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    "property float z\nelement face 1\nproperty list uint int vertex_indices\nend_header\n"
    + "\0" * 36
    + "\x7f" * 40,
    "text_list.ply": "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n4000000000 0 1 2\n",
    "header.ply": "ply\nformat ascii 1.0\n" + "comment and so on\n" * 200_000,
    "empty_rows.ply": "ply\nformat ascii 1.0\nelement thing 999999999999\nelement vertex 1\nproperty float x\n"
    "property float y\nproperty float z\nend_header\n0 0 0\n",
    "index.obj": "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 99999999999999999999999\n",
    "back.obj": "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -99999999999999999999999\n",
    "long.obj": "v 0 0 0\n" + "f" + " 1" * 300_000 + " x\n",
    "faces.off": "OFF\n3 999999999999 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
    "corners.off": "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n999999999999999 0 1 2\n",
    "negative.off": "OFF\n3 -1 0\n0 0 0\n1 0 0\n0 1 0\n",
    "count.stl": "x" * 80 + "\x7f\x7f\x7f\x7f" + "\0" * 50,
    "solids.stl": "solid\n" * 3000,
    "counts.gltf": '{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"mesh":0}],"bufferViews":[],'
    '"meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],'
    '"accessors":[{"componentType":5126,"count":9999999999,"type":"VEC3"}]}',
    "unused.gltf": '{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[]}],"nodes":[],"bufferViews":[],'
    '"accessors":[{"componentType":5126,"count":9999999999,"type":"VEC3"}]}',
    "deep.gltf": "[" * 100_000,
}

BOUNDED = """
import resource, sys, time
from depthraster.io.meshes import load_mesh
import depthraster, trimesh
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
try:
    load_mesh(sys.argv[1])
except depthraster.FormatError as error:
    print(error)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    seconds = time.perf_counter() - start
    sys.exit(0 if used < 200 and seconds < 10 else f"{used} MB, {seconds} s")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memory limits are set the Unix way")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_counts_take_neither_memory_nor_time(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(HOSTILE[name].encode("latin-1"))
    run = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0 and name in run.stdout, run.stdout + run.stderr
