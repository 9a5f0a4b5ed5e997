"""Metashape projects for tests: ``.psx`` with its ``.files`` tree, ``.psz``, and the PLY meshes inside, in every variation.

Written from what is known of the formats; no project with a mesh inside could be had from elsewhere. The commonest change
is another variation of a mesh file: an argument of `ply`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
SENSOR = (
    '<sensor id="0" label="lens" type="frame"><resolution width="80" height="60"/><calibration type="frame" '
    'class="adjusted"><resolution width="80" height="60"/><f>70</f><cx>1.5</cx><k1>-0.1</k1></calibration></sensor>'
)
CAMERA = (
    '<camera id="0" sensor_id="0" component_id="0" label="a"><transform>1 0 0 1 0 -1 0 2 0 0 -1 3 0 0 0 1</transform>'
    "</camera>"
)

# A sheet of four triangles under the camera, and one behind it.
VERTICES = np.array(
    [[-1, 0, 0], [3, 0, 0.25], [3, 4, 0.5], [-1, 4, 0.125], [1, 2, 1], [0, 0, 9], [1, 0, 9], [0, 1, 9]], float
)
FACES = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4], [5, 6, 7]])


def ply(
    vertices: np.ndarray = VERTICES,
    faces: Sequence[Sequence[int]] = FACES,
    *,
    order: str = "<",
    real: str = "float",
    count: str = "uchar",
    index: str = "int",
    name: str = "vertex_indices",
    colors: bool = False,
    normals: bool = False,
    uv: bool = False,
    texture: bool = False,
) -> bytes:
    """A binary PLY as Metashape keeps meshes, its properties varied.

    ``uv`` gives each face a list of texture coordinates, ``texture`` the number of its texture (several materials).
    """
    types = {"float": "f4", "double": "f8", "uchar": "u1", "char": "i1", "int": "i4", "uint": "u4", "ushort": "u2",
             "int32": "i4", "float64": "f8", "float32": "f4", "uint8": "u1"}  # fmt: skip
    extra = ["nx", "ny", "nz"] * normals
    header = [
        "ply",
        f"format binary_{'little' if order == '<' else 'big'}_endian 1.0",
        "comment made for a test",
        f"element vertex {len(vertices)}",
        *(f"property {real} {axis}" for axis in ["x", "y", "z", *extra]),
        *(f"property uchar {color}" for color in ("red", "green", "blue") * colors),
        f"element face {len(faces)}",
        f"property list {count} {index} {name}",
        *["property list uchar float texcoord"] * uv,
        *["property int texnumber"] * texture,
        "end_header",
    ]
    fields = [(axis, order + types[real]) for axis in ["x", "y", "z", *extra]]
    fields += [(color, "u1") for color in ("red", "green", "blue") * colors]
    rows = np.zeros(len(vertices), fields)
    for k, axis in enumerate("xyz"):
        rows[axis] = vertices[:, k]
    body = []
    for face in faces:
        body.append(np.array([len(face)], order + types[count]).tobytes())
        body.append(np.array(face, order + types[index]).tobytes())
        if uv:
            body.append(
                bytes([2 * len(face)]) + np.linspace(0, 1, 2 * len(face)).astype(order + "f4").tobytes()
            )
        if texture:
            body.append(np.array([len(body) % 3], order + "i4").tobytes())
    return "\n".join(header).encode() + b"\n" + rows.tobytes() + b"".join(body)


def chunk_xml(
    label: str = "Chunk 1",
    *,
    sensors: str = SENSOR,
    cameras: str = CAMERA,
    frames: str = '<frame id="0" path="0/frame.zip"/>',
    more: str = "",
    attributes: str = 'version="1.2.0"',
) -> str:
    return (
        f'<chunk {attributes} label="{label}" enabled="true"><sensors next_id="1">{sensors}</sensors>'
        '<components next_id="1" active_id="0"><component id="0" label="Component 1"><partition><camera_ids>0</camera_ids>'
        f'</partition></component></components><cameras next_id="1" next_group_id="0">{cameras}</cameras>'
        f'<frames next_id="1">{frames}</frames><reference>LOCAL_CS["Local Coordinates (m)"]</reference>{more}</chunk>'
    )


def frame_xml(more: str = "", photo: str = "../../../photos/a.JPG") -> str:
    return (
        f'<frame version="1.2.0"><cameras><camera camera_id="0"><photo path="{photo}"><meta><property name="Exif/Make" '
        'value="DJI"/></meta></photo></camera></cameras><markers><marker marker_id="0"><location camera_id="0" x="1" '
        f'y="2"/></marker></markers><thumbnails path="thumbnails/thumbnails.zip"/>{more}</frame>'
    )


def model_xml(*meshes: str, more: str = "") -> str:
    parts = "".join(
        f'<mesh path="{mesh}"><faceCount>5</faceCount><vertexCount>8</vertexCount><hasUV>true</hasUV></mesh>'
        for mesh in meshes
    )
    return (
        f'<model version="1.2.0">{parts}<texture path="texture.png"/><params><dataType>uint8</dataType></params>{more}'
        "</model>"
    )


def write_zip(path: Path, members: Mapping[str, Any]) -> Path:
    """Write an archive, compressed as Metashape's are; text gets an XML head."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, HEAD + content if isinstance(content, str) else content)
    return path


def write_psx(
    folder: Path,
    chunks: Sequence[str] | None = None,
    *,
    name: str = "survey",
    frames: Mapping[str, str] | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    active: int = 0,
    path: str = "{projectname}.files/project.zip",
) -> Path:
    """Write a project and return the path of its ``.psx``.

    Parameters
    ----------
    chunks : sequence of str
        The document of each chunk.
    frames : mapping of str to str
        The document of each frame by its folder, e.g. ``"0/0"``.
    models : mapping of str to mapping
        The members of each model's archive, by its path, e.g. ``"0/0/model/model.zip"``.
    """
    chunks = [chunk_xml()] if chunks is None else chunks
    files = folder / f"{name}.files"
    entries = "".join(f'<chunk id="{k}" path="{k}/chunk.zip"/>' for k in range(len(chunks)))
    project = f'<document version="1.2.0"><chunks next_id="9" active_id="{active}">{entries}</chunks><meta/></document>'
    write_zip(files / "project.zip", {"doc.xml": project})
    for k, chunk in enumerate(chunks):
        write_zip(files / str(k) / "chunk.zip", {"doc.xml": chunk})
    if frames is None:
        frames = {f"{k}/0": frame_xml() for k in range(len(chunks))}
    for place, frame in frames.items():
        write_zip(files / place / "frame.zip", {"doc.xml": frame})
    for place, members in (models or {}).items():
        write_zip(files / place, members)
    psx = folder / f"{name}.psx"
    psx.write_text(f'{HEAD}<document version="1.2.0" path="{path}"/>\n')
    return psx


def write_psz(
    path: Path, chunks: Sequence[str] | None = None, members: Mapping[str, Any] | None = None
) -> Path:
    """Write a project in one archive, with the documents of its chunks in one."""
    inline = '<frame id="0">' + frame_xml().split(">", 1)[1]
    chunks = [chunk_xml(frames=inline, attributes='id="0"')] if chunks is None else chunks
    document = (
        f'<document version="1.2.0"><chunks next_id="{len(chunks)}">{"".join(chunks)}</chunks></document>'
    )
    return write_zip(path, {"doc.xml": document, **(members or {})})


def with_model(folder: Path, **options: Any) -> Path:
    """A project with one mesh inside: the sheet, in a PLY varied by ``options``."""
    return write_psx(
        folder,
        [chunk_xml(more='<models next_id="1" active_id="0"><model id="0" label="Sheet"/></models>')],
        frames={"0/0": frame_xml('<model id="0" path="model/model.zip"/>')},
        models={"0/0/model/model.zip": {"doc.xml": model_xml("mesh.ply"), "mesh.ply": ply(**options)}},
    )
