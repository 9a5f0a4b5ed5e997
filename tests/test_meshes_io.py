"""Mesh files: what is read is what was written, in every format, in the file's order, to the last bit."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import depthraster as dr
from depthraster.io import obj
from depthraster.io.meshes import load_mesh

UTM = np.array([512345.678901234, 4512345.678901234, 123.4567890123])
ECEF = np.array([-2490251.0872162799, -4297975.2206927296, 3990598.5772206257])

# A cube of quads, outward; its first face is split in two triangles, so that sizes are mixed.
CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
MIXED = [[0, 1, 3], [0, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]


def fan(polygons):
    return np.array([[p[0], p[k], p[k + 1]] for p in polygons for k in range(1, len(p) - 1)])


def ply(
    vertices, polygons, kind="binary_little_endian", number="double", count="uchar", index="int", extra=False
):
    """The bytes of a PLY file; ``extra`` adds what depth does not need: colours, another element, another list."""
    order = ">" if kind == "binary_big_endian" else "<"
    formats = {
        "double": "d", "float": "f", "uchar": "B", "uint8": "B", "ushort": "H", "int": "i", "int32": "i", "uint": "I",
        "short": "h", "char": "b",
    }  # fmt: skip
    lines = ["ply", f"format {kind} 1.0", "comment made by a test"]
    if extra:
        lines += ["element camera 2", "property list uchar float numbers", "property uchar flag"]
    lines.append(f"element vertex {len(vertices)}")
    lines += [f"property {number} {axis}" for axis in "xyz"]
    if extra:
        lines += ["property uchar red", "obj_info nothing"]
    lines.append(f"element face {len(polygons)}")
    if extra:
        lines += ["property uchar flags"]
    lines.append(f"property list {count} {index} vertex_indices")
    if extra:
        lines += ["property list uchar float texcoord", "property int texnumber"]
    rows = []  # (format, values)
    if extra:
        rows += [("Bff", (2, 1.5, 2.5)), ("B", (7,)), ("B", (0,)), ("B", (8,))]
    for vertex in np.asarray(vertices).tolist():
        rows.append((formats[number] * 3, vertex))
        if extra:
            rows.append(("B", (200,)))
    for polygon in polygons:
        if extra:
            rows.append(("B", (1,)))
        rows.append((formats[count] + formats[index] * len(polygon), (len(polygon), *polygon)))
        if extra:
            rows.append(
                ("B" + "f" * 2 * len(polygon) + "i", (2 * len(polygon), *[0.5] * (2 * len(polygon)), -1))
            )
    header = ("\n".join(lines) + "\nend_header\n").encode()
    if kind == "ascii":
        return (
            header
            + b"\n".join(" ".join(repr(value) for value in values).encode() for _, values in rows)
            + b"\n"
        )
    return header + b"".join(struct.pack(order + form, *values) for form, values in rows)


def obj_text(vertices, polygons):
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in np.asarray(vertices).tolist()]
    return "\n".join(lines + ["f " + " ".join(str(k + 1) for k in p) for p in polygons]) + "\n"


def off_text(vertices, polygons):
    rows = [" ".join(map(repr, v)) for v in np.asarray(vertices).tolist()]
    rows += [" ".join(map(str, (len(p), *p))) for p in polygons]
    return f"OFF\n{len(vertices)} {len(polygons)} 0\n" + "\n".join(rows) + "\n"


def written(tmp_path: Path, name: str, content: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check(mesh, vertices, faces):
    assert mesh.vertices.dtype == np.float64 and mesh.vertices.shape == np.shape(vertices)
    assert mesh.faces.dtype in (np.int32, np.int64) and mesh.faces.flags.c_contiguous
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("polygons", [MIXED, MIXED[:2], MIXED[2:], [[0, 2, 3, 1], [4, 6, 7], [4, 7, 5]]])
def test_ply(tmp_path, kind, polygons, extra):
    vertices = CUBE * 0.1 + UTM
    path = written(tmp_path, "mesh.ply", ply(vertices, polygons, kind, extra=extra))
    check(load_mesh(path), vertices, fan(polygons))


@pytest.mark.parametrize(
    ("count", "index"), [("uint8", "int32"), ("ushort", "uint"), ("int", "short"), ("char", "uchar")]
)
def test_ply_types(tmp_path, count, index):
    for polygons in (MIXED, MIXED[:2]):
        path = written(tmp_path, "mesh.PLY", ply(CUBE, polygons, number="float", count=count, index=index))
        check(load_mesh(path), CUBE, fan(polygons))


def test_ply_of_single_precision_keeps_its_values(tmp_path):
    vertices = (CUBE * 0.1 + 0.7).astype(np.float32)
    check(
        load_mesh(written(tmp_path, "m.ply", ply(vertices, MIXED[:2], number="float"))),
        vertices,
        fan(MIXED[:2]),
    )


def test_ply_with_texture_coordinates_keeps_vertices_and_order(tmp_path):
    """Other readers split vertices where the texture has a seam."""
    check(load_mesh(written(tmp_path, "m.ply", ply(CUBE, MIXED[:2], extra=True))), CUBE, fan(MIXED[:2]))


def test_ply_header_with_windows_line_ends(tmp_path):
    content = ply(CUBE, MIXED)
    end = content.index(b"end_header\n") + len(b"end_header\n")
    path = written(tmp_path, "m.ply", content[:end].replace(b"\n", b"\r\n") + content[end:])
    check(load_mesh(path), CUBE, fan(MIXED))


def test_ply_that_ends_anywhere_too_early_is_refused(tmp_path):
    for kind in ("ascii", "binary_little_endian"):
        for polygons in (MIXED, MIXED[:2]):
            content = ply(CUBE, polygons, kind, extra=polygons is MIXED)
            # What ends within the last number of a text looks whole.
            for length in range(0, len(content) - 2, 3):
                with pytest.raises(dr.FormatError, match=r"m\.ply"):
                    load_mesh(written(tmp_path, "m.ply", content[:length]))


def test_ply_first_face_does_not_speak_for_the_others(tmp_path):
    """Sizes 4 3 5 take as many bytes as 4 4 4."""
    vertices = np.array([[0, 0, 0], [2, 0, 0], [3, 1, 0], [2, 2, 0], [0, 2, 0]], float)
    polygons = [[0, 1, 3, 4], [1, 2, 3], [0, 1, 2, 3, 4]]
    check(load_mesh(written(tmp_path, "m.ply", ply(vertices, polygons))), vertices, fan(polygons))


def test_ply_text_with_indices_that_are_not_whole(tmp_path):
    content = ply(CUBE, MIXED[:2], "ascii").replace(b"3 0 1 3", b"3 0 1.5 3")
    with pytest.raises(dr.FormatError, match="face 0"):
        load_mesh(written(tmp_path, "m.ply", content))


@pytest.mark.parametrize("offset", [UTM, ECEF], ids=["UTM", "ECEF"])
def test_text_formats_keep_double_precision(tmp_path, offset):
    vertices = CUBE / 7 + offset
    assert np.abs(vertices.astype(np.float32) - vertices).max() > 0.05  # what single precision would lose
    for name, content in (
        ("m.obj", obj_text(vertices, MIXED)),
        ("m.off", off_text(vertices, MIXED)),
        ("m.ply", ply(vertices, MIXED, "ascii")),
    ):
        check(load_mesh(written(tmp_path, name, content)), vertices, fan(MIXED))


def test_obj_with_everything_around(tmp_path):
    text = """\ufeff# a comment with f 1 2 3 in it
mtllib none.mtl
o thing
v 0 0 0 0.1 0.2 0.3
v 1 0 0 0.1 0.2 0.3
\tv 1 1 0  # three values here, six above
v 0 1 0 1.0
vt 0 0
vn 0 0 1
g front
usemtl second
f 1/1/1 2/1/1 3/1/1 4/1/1
usemtl first
s off
f -4//1 -2//1 -3//1   # counted back from here
v 5 5 5
f 1/1 \\
  2/1 -1/1
l 1 2
p 1
usemtl second
f +3 2 1
"""
    expected = [[0, 1, 2], [0, 2, 3], [0, 2, 1], [0, 1, 4], [2, 1, 0]]
    vertices = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [5, 5, 5]]
    for ends in ("\n", "\r\n"):
        path = written(tmp_path, "m.obj", text.replace("\n", ends))
        check(load_mesh(path), vertices, expected)
    check(
        load_mesh(written(tmp_path, "m.obj", text.replace("\\\n", "").replace("\n", "\r"))),
        vertices,
        expected,
    )


@pytest.mark.parametrize("block", [16, 100, 1000])
def test_obj_is_the_same_however_it_is_cut_into_blocks(tmp_path, monkeypatch, block):
    rng = np.random.default_rng(5)
    vertices = rng.normal(size=(60, 3)) * 1e6
    faces = [rng.choice(60, size, replace=False).tolist() for size in rng.integers(3, 5, 40)]
    quads = [f for f in faces if len(f) == 3]  # triangles only: how polygons are cut is tested elsewhere
    lines = obj_text(vertices, quads).splitlines()
    lines.insert(20, "# " + "long " * 50)
    lines.insert(30, "f -1 -2 \\\n -3")
    monkeypatch.setattr(obj, "_BLOCK", block)
    expected = [[28, 27, 26], *quads]  # after 29 vertices and a comment
    check(load_mesh(written(tmp_path, "m.obj", "\n".join(lines))), vertices, expected)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("v 1 2", 3), ("v 1 2 x", 3), ("f 1 2 x", 3), ("f 1 2 0", 3), ("f 1 2 /3", 3), ("v 1,5 2 3", 3), ("f 1.5 2 3", 3),
    ],
)  # fmt: skip
def test_obj_names_the_line_that_cannot_be_read(tmp_path, line, number):
    text = f"v 0 0 0\nv 1 0 0\n{line}\nv 0 1 0\nf 1 2 3\n"
    with pytest.raises(dr.FormatError, match=rf"line {number}\b"):
        load_mesh(written(tmp_path, "m.obj", text))


@pytest.mark.parametrize(
    "header", ["OFF", "COFF", "NOFF", "  # first a comment\nOFF # and one here", "OFF 8 7 0"]
)
def test_off(tmp_path, header):
    text = off_text(CUBE, MIXED).replace("OFF\n", header + "\n")
    if header.endswith("0"):
        text = text.replace("\n8 7 0\n", "\n")
    lines = [
        line + (" 255 0 0" if header == "COFF" and len(line.split()) > 3 else "")
        for line in text.splitlines()
    ]
    check(load_mesh(written(tmp_path, "m.Off", "\n\n".join(lines))), CUBE, fan(MIXED))


def test_off_that_ends_too_early_is_refused(tmp_path):
    lines = off_text(CUBE, MIXED).splitlines()
    for n in range(len(lines)):
        with pytest.raises(dr.FormatError):
            load_mesh(written(tmp_path, "m.off", "\n".join(lines[:n])))
    with pytest.raises(dr.FormatError, match="4OFF"):
        load_mesh(written(tmp_path, "m.off", "4" + "\n".join(lines)))


def triangles():
    faces = fan(MIXED)
    return CUBE[faces].astype(np.float32) + np.float32(0.1), len(faces)


def test_stl_binary(tmp_path):
    corners, n = triangles()
    content = b"solid is how binary files begin, too".ljust(80) + struct.pack("<I", n)
    content += b"".join(struct.pack("<12fH", 0, 0, 0, *triangle.ravel(), 0) for triangle in corners)
    check(
        load_mesh(written(tmp_path, "m.stl", content)),
        corners.reshape(-1, 3),
        np.arange(3 * n).reshape(-1, 3),
    )
    for length in (60, 90, len(content) - 50, len(content) - 1):
        with pytest.raises(dr.FormatError):
            load_mesh(written(tmp_path, "m.stl", content[:length]))


def test_stl_text_of_two_solids(tmp_path):
    vertices = CUBE[fan(MIXED)] / 7 + UTM
    solids = []
    for part in (vertices[:5], vertices[5:]):
        facets = "".join(
            "facet normal 0 0 0\nouter loop\n"
            + "".join(f"  vertex {x!r} {y!r} {z!r}\n" for x, y, z in triangle.tolist())
            + "endloop\nendfacet\n"
            for triangle in part
        )
        solids.append(
            f"solid vertex and facet of the same name\n{facets}endsolid vertex and facet of the same name\n"
        )
    n = len(vertices)
    expected = np.arange(3 * n).reshape(-1, 3)
    check(load_mesh(written(tmp_path, "m.STL", "".join(solids))), vertices.reshape(-1, 3), expected)
    with pytest.raises(dr.FormatError, match="ends"):  # the second solid is not whole
        load_mesh(written(tmp_path, "m.stl", "".join(solids)[:-40]))


def gltf(nodes, vertices=CUBE, faces=None, **changes):
    faces = fan(MIXED) if faces is None else faces
    positions = np.asarray(vertices, "<f4").tobytes()
    indices = np.asarray(faces, "<u2").tobytes()
    return positions + indices, {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(vertices), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 3 * len(faces), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(positions)},
            {"buffer": 0, "byteOffset": len(positions), "byteLength": len(indices)},
        ],
        "buffers": [{"byteLength": len(positions) + len(indices)}],
    } | changes


def glb(blob, header):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    blob += b"\0" * (-len(blob) % 4)
    size = 12 + 8 + len(text) + 8 + len(blob)
    return (
        struct.pack("<4sII", b"glTF", 2, size)
        + struct.pack("<I4s", len(text), b"JSON") + text
        + struct.pack("<I4s", len(blob), b"BIN\0") + blob
    )  # fmt: skip


def test_glb_scene_is_put_together_with_its_transforms(tmp_path):
    nodes = [
        {"children": [1, 2]},
        {"mesh": 0, "translation": [10, 20, 30], "children": [3]},
        {"mesh": 0, "scale": [-2, 2, 2]},  # mirrored: its faces keep their fronts
        {"mesh": 0, "translation": [0.5, 0, 0], "rotation": [0, 0, 1, 0]},  # half a turn about z
    ]
    mesh = load_mesh(written(tmp_path, "m.glb", glb(*gltf(nodes))))
    a, b = CUBE + [10, 20, 30], CUBE * [-2, 2, 2]
    c = CUBE * [-1, -1, 1] + [10.5, 20, 30]
    found = {}
    for part in range(3):
        points = mesh.vertices[8 * part : 8 * part + 8]
        faces = mesh.faces[12 * part : 12 * part + 12]
        assert faces.min() == 8 * part and faces.max() == 8 * part + 7
        for name, expected in (("a", a), ("b", b), ("c", c)):
            if np.allclose(points, expected, rtol=0, atol=1e-12):
                found[name] = faces - 8 * part
    assert found.keys() == {"a", "b", "c"}
    np.testing.assert_array_equal(found["a"], fan(MIXED))
    corners = mesh.vertices[mesh.faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    np.testing.assert_allclose(volume, 1 + 8 + 1, rtol=1e-12)  # all fronts are outside


def test_gltf_with_a_buffer_in_a_file_of_its_own(tmp_path):
    blob, header = gltf([{"mesh": 0}])
    header["buffers"][0]["uri"] = "m.bin"
    written(tmp_path, "m.bin", blob)
    path = written(tmp_path, "m.gltf", json.dumps(header))
    check(load_mesh(path), CUBE, fan(MIXED))
    (tmp_path / "m.bin").unlink()
    with pytest.raises((dr.FormatError, FileNotFoundError)):
        load_mesh(path)


def changed(**changes):
    blob, header = gltf([{"mesh": 0}])
    for path, value in changes.items():
        part = header
        *parents, last = path.split("__")
        for key in parents:
            part = part[int(key) if key.isdigit() else key]
        part[int(last) if last.isdigit() else last] = value
    return glb(blob, header)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(accessors__0__count=10**12), "GLB"),
        (changed(accessors__0={"componentType": 5126, "count": 10**12, "type": "VEC3"}), "sparse"),
        (changed(accessors__0__sparse={}), "sparse"),
        (changed(accessors__0__componentType=5122), "KHR_mesh_quantization"),
        (changed(meshes__0__primitives__0__mode=6), "mode 6"),
        (changed(meshes__0__primitives__0__mode=0), "point cloud, 8 points"),
        (changed(extensionsUsed=["KHR_draco_mesh_compression"]), "KHR_draco_mesh_compression"),
        (changed(accessors__1__bufferView=7), "GLB"),
        (changed(nodes=[], scenes__0__nodes=[]), "nothing in the file"),
        (changed()[:200], "GLB"),
        (changed()[:-8], "GLB"),
        (b"glTF", "GLB"),
    ],
)
def test_glb_that_cannot_be_read_right_is_refused(tmp_path, content, words):
    with pytest.raises(dr.FormatError, match=words):
        load_mesh(written(tmp_path, "m.glb", content))


def test_glb_with_a_node_that_is_its_own_child_ends(tmp_path):
    path = written(tmp_path, "m.glb", changed(nodes__0__children=[0]))
    check(load_mesh(path), CUBE, fan(MIXED))


def test_missing_unknown_and_misnamed_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        load_mesh(tmp_path / "none.ply")
    assert caught.value.filename == str(tmp_path / "none.ply")
    with pytest.raises(dr.FormatError, match=r"'\.fbx'.*\.ply"):
        load_mesh(written(tmp_path, "m.fbx", b"x"))
    for suffix in ("ply", "obj", "stl", "off", "glb", "gltf"):
        for content in (b"\0" * 300, b"\xff\xfe" * 200, b"%PDF-1.7 nothing\n" * 20, b"\n", b"{}", b"[]"):
            with pytest.raises(dr.FormatError, match=rf"m\.{suffix}: .*; .*: "):
                load_mesh(written(tmp_path, f"m.{suffix}", content))
        (tmp_path / f"folder.{suffix}").mkdir()
        with pytest.raises(OSError, match=rf"folder\.{suffix}"):
            load_mesh(tmp_path / f"folder.{suffix}")


@pytest.mark.parametrize("bad", [8, -1, -9, 2**31 - 1])
def test_faces_that_name_missing_vertices(tmp_path, bad):
    polygons = [*MIXED[:2], [4, 6, bad, 5], *MIXED[3:]]
    for name, content in (("m.ply", ply(CUBE, polygons)), ("m.off", off_text(CUBE, polygons))):
        with pytest.raises(dr.FormatError, match=r"face 2 .*8 vertices"):
            load_mesh(written(tmp_path, name, content))
    lines = obj_text(CUBE, MIXED).splitlines()
    lines[10] = f"f 5 7 {bad + 1 if bad >= 0 else -9} 6"
    with pytest.raises(dr.FormatError, match=r"face 2 .*8 vertices"):
        load_mesh(written(tmp_path, "m.obj", "\n".join(lines)))


def test_vertices_that_are_not_finite_are_the_scenes_to_judge(tmp_path):
    vertices = CUBE.copy()
    vertices[7, 1], vertices[6, 0] = np.nan, np.inf
    for name, content in (("m.ply", ply(vertices, MIXED[:2])), ("m.obj", obj_text(vertices, MIXED[:2]))):
        check(load_mesh(written(tmp_path, name, content)), vertices, fan(MIXED[:2]))


def test_a_concave_polygon_of_too_many_corners_is_refused(tmp_path):
    n = 20_000
    angles = 2 * np.pi * np.arange(n) / n
    radii = np.where(np.arange(n) % 2, 0.5, 1.0)
    star = np.stack([radii * np.cos(angles), radii * np.sin(angles), np.zeros(n)], axis=-1)
    with pytest.raises(dr.FormatError, match="20000 corners and is concave"):
        load_mesh(written(tmp_path, "m.ply", ply(star, [range(n)], count="int")))
    round_one = star / radii[:, None]
    assert len(load_mesh(written(tmp_path, "m.ply", ply(round_one, [range(n)], count="int"))).faces) == n - 2


# Real files


@pytest.fixture
def meshes(real_data) -> Path:
    folder = real_data / "nasty_meshes"
    if not folder.is_dir():
        pytest.skip(f"no nasty_meshes in {real_data}")
    return folder


def test_real_mesh_is_the_text_of_its_file(real_data):
    path = real_data / "delfem2_mvs" / "foo.obj"
    if not path.is_file():
        pytest.skip(f"no {path}")
    lines = [line.split() for line in path.read_text().splitlines()]
    vertices = [[float(word) for word in words[1:4]] for words in lines if words[:1] == ["v"]]
    faces = [[int(word.split("/")[0]) - 1 for word in words[1:]] for words in lines if words[:1] == ["f"]]
    assert len(faces) == 18077
    check(load_mesh(path), vertices, faces)


@pytest.mark.parametrize(
    "name",
    ["trimesh/bunny.ply", "trimesh/Duck.glb", "trimesh/soup.stl", "trimesh/busted.STL", "trimesh/mirror.ply"],
)
def test_what_trimesh_reads_right_is_read_the_same(meshes, name):
    import trimesh

    mesh = load_mesh(meshes / name)
    expected = trimesh.load(meshes / name, process=False, force="mesh")
    if name == "trimesh/bunny.ply":  # a text file, whose digits trimesh takes through single precision
        assert not np.array_equal(mesh.vertices, expected.vertices)
        mesh = mesh._replace(vertices=mesh.vertices.astype(np.float32).astype(float))
    check(mesh, expected.vertices, expected.faces)


def test_real_concave_polygon_is_a_ring(meshes):
    """64 corners in two circles, joined: a fan would fill the ring."""
    mesh = load_mesh(meshes / "assimp" / "concave_polygon.obj")
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    areas = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    radius = np.hypot(*(mesh.vertices[:, 1:] - [2.4, 2.348]).T)
    centre = np.hypot(*(((a + b + c) / 3)[:, 1:] - [2.4, 2.348]).T)
    assert (centre > 0.9 * radius.min()).all()  # no triangle over the hole
    outer, inner = radius.max(), radius.min()
    assert 0.9 < areas.sum() / (np.pi * (outer**2 - inner**2)) < 1.1
