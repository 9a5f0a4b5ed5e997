"""Projects: what is found where, which chunk, which mesh; hostile ones are in ``test_hostile_projects.py``."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import depthraster as dr
from chunks import same
from depthraster.io.metashape_project import load_chunk, load_chunks
from projects import (
    FACES,
    VERTICES,
    chunk_xml,
    frame_xml,
    model_xml,
    ply,
    with_model,
    write_psx,
    write_psz,
    write_zip,
)

SHIFT = "1 0 0 10 0 1 0 20 0 0 1 30 0 0 0 1"
SHEETS = '<models next_id="4" active_id="3"><model id="1" label="old"/><model id="3" label="new"/></models>'


def assert_sheet(mesh, moved=(0.0, 0.0, 0.0)):
    assert mesh.vertices.dtype == np.float64
    assert np.array_equal(mesh.vertices, VERTICES + moved) and np.array_equal(mesh.faces, FACES)


# --- chunks ---------------------------------------------------------------------------------------------------------------


def test_a_project_is_read_as_the_cameras_file_of_its_chunk(tmp_path):
    path = write_psx(tmp_path)
    chunk = load_chunk(path)
    (tmp_path / "cameras.xml").write_text(f"<document>{chunk_xml()}</document>")
    alone = load_chunk(tmp_path / "cameras.xml")
    same(chunk, alone, {"source", "photo", "active", "id"})
    assert (chunk.id, chunk.active, chunk.source) == (0, True, path)
    assert chunk.cameras[0].photo == str(tmp_path / "photos" / "a.JPG") and alone.cameras[0].photo is None


def test_the_content_says_what_a_file_is_not_its_name(tmp_path):
    psx = write_psx(tmp_path, path="survey.files/project.zip")
    psz = write_psz(tmp_path / "survey.psz")
    for source, name in ((psx, "a.xml"), (psz, "b.psx"), (psz, "c")):
        other = shutil.copy(source, tmp_path / name)
        assert [camera.label for camera in load_chunk(other).cameras] == ["a"]


def test_a_project_and_its_folder_can_be_renamed_together(tmp_path):
    path = with_model(tmp_path)
    path.rename(tmp_path / "ab.c.psx")
    (tmp_path / "survey.files").rename(tmp_path / "ab.c.files")
    assert_sheet(load_chunk(tmp_path / "ab.c.psx").load_mesh())


def test_a_psz_is_read(tmp_path):
    chunk = load_chunk(write_psz(tmp_path / "survey.psz"))
    assert (chunk.id, len(chunk.cameras), chunk.models) == (0, 1, ())
    # From the folder of the archive that names it, as it stands there.
    assert chunk.cameras[0].photo == str((tmp_path / "../../../photos/a.JPG").resolve())


@pytest.mark.parametrize(
    "photo", ["/data/a.JPG", "//server/share/a.JPG", "C:/a.JPG", "C:\\a.JPG", "http://x/a.JPG"]
)
def test_paths_of_photos_that_are_not_relative_stay(tmp_path, photo):
    chunk = load_chunk(write_psx(tmp_path, frames={"0/0": frame_xml(photo=photo)}))
    assert chunk.cameras[0].photo == photo


def test_one_of_several_chunks_is_chosen(tmp_path):
    labels = ["north", "south", "south", "0"]
    for path in (
        write_psx(tmp_path, [chunk_xml(label) for label in labels], active=2),
        write_psz(tmp_path / "survey.psz", [chunk_xml(label, frames="", attributes="") for label in labels]),
    ):
        assert load_chunk(path, "north").label == "north"
        assert load_chunk(path, 2).label == "south" and load_chunk(path, 3).label == "0"
        assert load_chunk(path, "0").label == "0", "a label goes before a position"
        assert load_chunk(path, "2").label == "south", "a text can be a position"
        with pytest.raises(dr.FormatError, match="4 chunks, 'north', 'south', 'south', '0'; one is needed"):
            load_chunk(path)
        for wrong in ("south", "east", 4, -1, True, "4"):
            with pytest.raises(ValueError, match="one of 'north', 'south', 'south', '0' is needed"):
                load_chunk(path, wrong)
        assert [chunk.label for chunk in load_chunks(path)] == labels
    chunks = load_chunks(tmp_path / "survey.psx")
    assert [chunk.active for chunk in chunks] == [False, False, True, False]
    assert [chunk.id for chunk in chunks] == [0, 1, 2, 3]


def test_a_chunk_that_is_not_asked_for_need_not_be_whole(tmp_path):
    path = write_psx(tmp_path, [chunk_xml("a"), chunk_xml("b")])
    (tmp_path / "survey.files" / "0" / "chunk.zip").unlink()
    assert load_chunk(path, 1).label == "b"
    with pytest.raises(FileNotFoundError, match="whole project is needed"):
        load_chunk(path, 0)


def test_frames_after_the_first_are_reported(tmp_path):
    frames = '<frame id="0" path="0/frame.zip"/><frame id="1" path="1/frame.zip"/>'
    frame = '<model id="0" path="model/model.zip"/>'
    path = write_psx(
        tmp_path,
        [chunk_xml(frames=frames)],
        frames={"0/0": frame_xml(frame), "0/1": frame_xml(frame)},
        models={"0/0/model/model.zip": {"mesh.ply": ply()}},
    )
    with pytest.warns(
        UserWarning, match="'Chunk 1' has several frames: the photos and the mesh of the first"
    ) as caught:
        chunk = load_chunk(path)
    assert caught[0].filename == __file__
    assert_sheet(chunk.load_mesh())


def test_a_frame_that_was_not_copied_costs_the_mesh_only(tmp_path):
    path = write_psx(tmp_path, frames={})
    with pytest.warns(UserWarning, match=r"there is no .*: the photos' paths and the mesh of 'Chunk 1'"):
        chunk = load_chunk(path)
    assert chunk.cameras[0].aligned and chunk.cameras[0].photo is None
    with pytest.raises(ValueError, match="no mesh inside; one is needed: export the model"):
        chunk.load_mesh()


@pytest.mark.parametrize("missing", ["project.zip", "0/chunk.zip"])
def test_what_is_missing_is_named(tmp_path, missing):
    path = write_psx(tmp_path)
    (tmp_path / "survey.files" / missing).unlink()
    with pytest.raises(FileNotFoundError, match=r"the \.files folder whole, beside the \.psx") as caught:
        load_chunk(path)
    assert caught.value.filename == str(tmp_path / "survey.files" / missing)


@pytest.mark.parametrize("part", ["project.zip", "0/chunk.zip", "0/0/frame.zip"])
def test_parts_of_a_project_are_refused_by_name(tmp_path, part):
    write_psx(tmp_path)
    inner = tmp_path / "survey.files" / part
    with pytest.raises(
        dr.FormatError, match=r"part of a project.*; the project's own file is needed: open the \.psx"
    ):
        load_chunk(inner)
    shutil.unpack_archive(inner, tmp_path / "out", "zip")
    with pytest.raises(dr.FormatError, match=r"part of a Metashape project.*: open the \.psx"):
        load_chunk(tmp_path / "out" / "doc.xml")


@pytest.mark.parametrize(
    ("project", "says"),
    [
        ("<document><chunks/></document>", "no chunk in the project"),
        ('<document><chunks><chunk id="0"/></chunks></document>', "<chunk>: it has no path"),
        (
            '<document><chunks><chunk id="x" path="0/chunk.zip"/></chunks></document>',
            "id is 'x'; a whole number",
        ),
        (
            '<document><chunks><chunk id="0" path="0/0/frame.zip"/></chunks></document>',
            "is a <frame>; a <chunk>",
        ),
    ],
)
def test_projects_without_sense_are_refused(tmp_path, project, says):
    path = write_psx(tmp_path)
    write_zip(tmp_path / "survey.files" / "project.zip", {"doc.xml": project})
    with pytest.raises(dr.FormatError, match=re.escape(says)):
        load_chunk(path)


# --- meshes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normals": True, "colors": True},
        {"uv": True},
        {"uv": True, "texture": True, "colors": True},
        {"real": "double", "order": ">", "index": "uint"},
        {"real": "float64", "count": "int", "index": "ushort", "name": "vertex_index"},
        {"count": "char", "index": "uchar", "order": ">", "uv": True, "texture": True},
        {"count": "uint8", "index": "int32", "real": "float32"},
    ],
    ids=str,
)
def test_a_mesh_is_read_by_its_header(tmp_path, options):
    assert_sheet(load_chunk(with_model(tmp_path, **options)).load_mesh())


def test_large_coordinates_keep_double_precision(tmp_path):
    far = VERTICES + [690000.1, 5330000.2, 0.3]
    mesh = load_chunk(with_model(tmp_path, vertices=far, real="double")).load_mesh()
    assert np.array_equal(mesh.vertices, far)


def test_a_mesh_of_a_project_renders_as_the_same_mesh_from_elsewhere(tmp_path):
    chunk = load_chunk(with_model(tmp_path))
    (camera,) = chunk.cameras
    image = dr.render_depth(chunk.load_mesh(), camera.transform, camera.calibration)
    assert np.array_equal(image, dr.render_depth((VERTICES, FACES), camera.transform, camera.calibration))
    depth, alpha = image[30, 40]
    assert (
        alpha == 1 and 2 <= depth <= 3
    )  # the camera is 3 above the sheet's plane, the sheet's tip 1 above it


def test_the_active_model_is_the_one_that_the_documents_say(tmp_path):
    """Not the one in the first folder: earlier states stay on the disk."""
    old, stale = ply(VERTICES + 5), ply(VERTICES - 100)
    path = write_psx(
        tmp_path,
        [chunk_xml(more=SHEETS)],
        frames={
            "0/0": frame_xml(
                '<model id="1" path="model.2/model.zip"/><model id="3" path="model.4/model.zip"/>'
            )
        },
        models={
            "0/0/model/model.zip": {"doc.xml": model_xml("mesh.ply"), "mesh.ply": stale},
            "0/0/model.2/model.zip": {"doc.xml": model_xml("mesh.ply"), "mesh.ply": old},
            "0/0/model.4/model.zip": {"doc.xml": model_xml("m0.ply"), "m0.ply": ply(), "mesh.ply": stale},
        },
    )
    chunk = load_chunk(path)
    assert [(m.id, m.label, m.active) for m in chunk.models] == [(1, "old", False), (3, "new", True)]
    assert_sheet(chunk.load_mesh())
    assert_sheet(chunk.load_mesh("new"))
    for choice in (1, "old", "1"):
        assert_sheet(chunk.load_mesh(choice), 5)
    named = dr.Chunk(models=[*chunk.models, replace(chunk.models[1], id=7, label="1")])
    assert_sheet(named.load_mesh("1"))  # a label goes before an id
    for wrong in (2, "none", True):
        with pytest.raises(
            ValueError, match=f"has 2 models, 'old', 'new', and 0 are model={wrong!r}; one is needed"
        ):
            chunk.load_mesh(wrong)


@pytest.mark.parametrize("active", ["", ' active_id="7"'])
def test_of_several_models_without_an_active_one_none_is_taken(tmp_path, active):
    listing = SHEETS.replace(' active_id="3"', active)
    frame = frame_xml('<model id="1" path="a.zip"/><model id="3" path="b.zip"/>')
    chunk = load_chunk(write_psx(tmp_path, [chunk_xml(more=listing)], frames={"0/0": frame}))
    with pytest.raises(ValueError, match=r"2 models, .* are said to be active; one is needed: choose it"):
        chunk.load_mesh()


@pytest.mark.parametrize(
    "frame", ['<model path="model/model.zip"/>', '<model id="0" path="model/model.zip"/>']
)
def test_a_single_model_needs_no_listing(tmp_path, frame):
    path = write_psx(
        tmp_path,
        frames={"0/0": frame_xml(frame)},
        models={"0/0/model/model.zip": {"doc.xml": model_xml("mesh.ply"), "mesh.ply": ply()}},
    )
    assert_sheet(load_chunk(path).load_mesh())


@pytest.mark.parametrize("place", ["chunk", "frame", "archive"])
def test_a_models_transform_leads_to_the_chunk(tmp_path, place):
    texts = dict.fromkeys(("chunk", "frame", "archive"), "")
    texts[place] = f"<transform>{SHIFT}</transform>"
    listing = f'<models active_id="0"><model id="0">{texts["chunk"]}</model></models>'
    frame = f'<model id="0" path="model/model.zip">{texts["frame"]}</model>'
    document = model_xml("mesh.ply", more=texts["archive"])
    path = write_psx(
        tmp_path,
        [chunk_xml(more=listing)],
        frames={"0/0": frame_xml(frame)},
        models={"0/0/model/model.zip": {"doc.xml": document, "mesh.ply": ply()}},
    )
    assert_sheet(load_chunk(path).load_mesh(), (10, 20, 30))


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"mesh.ply": ply()}, "a mesh without a document"),
        ({"doc.xml": model_xml(), "mesh.ply": ply()}, "a document that names none"),
        ({"doc.xml": model_xml("sub/m.ply"), "sub/m.ply": ply(), "mesh.ply": b"other"}, "a mesh elsewhere"),
        ({"doc.xml": model_xml("mesh.ply"), "mesh.ply": ply(), "texture.png": b"\x89PNG"}, "textures"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_models_archive(tmp_path, members, what):
    path = with_model(tmp_path)
    write_zip(tmp_path / "survey.files/0/0/model/model.zip", members)
    assert_sheet(load_chunk(path).load_mesh())


def test_meshes_in_several_files_are_put_together(tmp_path):
    path = with_model(tmp_path)
    members = {"doc.xml": model_xml("b.ply", "a.ply"), "a.ply": ply(VERTICES + 5), "b.ply": ply()}
    write_zip(tmp_path / "survey.files/0/0/model/model.zip", members)
    mesh = load_chunk(path).load_mesh()
    assert np.array_equal(mesh.vertices, np.concatenate([VERTICES, VERTICES + 5]))
    assert np.array_equal(mesh.faces, np.concatenate([FACES, FACES + len(VERTICES)]))


def test_a_psz_holds_its_meshes(tmp_path):
    inline = (
        '<frame id="0"><cameras/><model id="2" label="Sheet"><mesh path="mesh0.ply"/><textures><texture>t.jpg</texture>'
        f"</textures><transform>{SHIFT}</transform></model></frame>"
    )
    chunk = chunk_xml(frames=inline, attributes='id="4"')
    path = write_psz(tmp_path / "survey.psz", [chunk], {"mesh0.ply": ply(), "points0.ply": b"ply\n"})
    found = load_chunk(path)
    assert [(m.id, m.label, m.members) for m in found.models] == [(2, "Sheet", ("mesh0.ply",))]
    assert_sheet(found.load_mesh(), (10, 20, 30))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (None, FileNotFoundError, "this file is missing, in which model 'Sheet' lies"),
        ({"doc.xml": model_xml("other.ply"), "mesh.ply": ply()}, dr.FormatError, "'other.ply' is not in the archive"),
        ({"doc.xml": model_xml()}, dr.FormatError, "there is no mesh in this archive"),
        ({"mesh.ply": ply()[:-30]}, dr.FormatError, "mesh.ply: not read as PLY: the file ends within"),
        ({"mesh.ply": b""}, dr.FormatError, "mesh.ply: the file is empty"),
        ({"mesh.ply": ply(faces=[[0, 1, 8]])}, dr.FormatError, "face 0 (counted from 0) names vertex 8"),
        ({"mesh.ply": ply(faces=[])}, dr.FormatError, "this is a point cloud"),
        ({"doc.xml": "<model>", "mesh.ply": ply()}, dr.FormatError, "not read as XML"),
        ({"doc.xml": model_xml("m.obj"), "m.obj": b"v 0 0 0"}, dr.FormatError, "this is a point cloud"),
        ({"doc.xml": model_xml("m.tls"), "m.tls": b"x"}, dr.FormatError, "the suffix is '.tls'"),
        (
            {"doc.xml": model_xml("mesh.ply", more="<transform>1 0</transform>"), "mesh.ply": ply()},
            dr.FormatError,
            "<transform>: 2 numbers stand there",
        ),
    ],
)  # fmt: skip
def test_models_that_cannot_be_read_say_why(tmp_path, change, error, says):
    path = with_model(tmp_path)
    archive = tmp_path / "survey.files/0/0/model/model.zip"
    archive.unlink()
    if change is not None:
        write_zip(archive, change)
    chunk = load_chunk(path)
    with pytest.raises(error, match=re.escape(says)) as caught:
        chunk.load_mesh()
    assert str(archive) in str(caught.value)


def test_a_model_in_a_system_of_its_own_is_refused(tmp_path):
    path = write_psx(
        tmp_path,
        frames={"0/0": frame_xml('<model id="0" path="model/model.zip"><crs>PROJCS["UTM"]</crs></model>')},
    )
    with pytest.raises(dr.FormatError, match="coordinate system of its own; a mesh in the chunk's is needed"):
        load_chunk(path).load_mesh()


def test_a_mesh_of_a_cameras_file_is_asked_for(tmp_path):
    (tmp_path / "cameras.xml").write_text(f"<document>{chunk_xml(frames='')}</document>")
    with pytest.raises(
        ValueError, match=r"cameras.xml: chunk 'Chunk 1' has no mesh inside; one is needed: export"
    ):
        load_chunk(tmp_path / "cameras.xml").load_mesh()


# --- cameras by name ------------------------------------------------------------------------------------------------------


def labelled(*labels: str) -> dr.Chunk:
    return dr.Chunk(label="C", cameras=[dr.Camera(id=k, label=label) for k, label in enumerate(labels)])


@pytest.mark.parametrize(
    ("labels", "asked", "found"),
    [
        (("a.JPG", "a"), "a", 1),
        (("a.JPG", "b.JPG"), "b", 1),
        (("a", "b"), "b.tif", 1),
        (("x/a.JPG", "y/a.JPG"), "y/a.JPG", 1),
        (("x/a.JPG", "y/a.JPG"), "y/a", 1),
        (("x\\a.JPG", "b"), "a.JPG", 0),
        (("x/a.b.JPG", "a"), "a.b", 0),
        (("a.1", "a.2"), "a.2", 1),
        (("v/x/a.JPG", "w/a.JPG"), "x/a", 0),
        (("x/a", "y/a"), "/photos/y/a.JPG", 1),
    ],
)
def test_a_camera_is_found_by_its_name(labels, asked, found):
    assert labelled(*labels).camera(asked).id == found


@pytest.mark.parametrize("labels", [("x/a.JPG", "y/a.JPG"), ("a.JPG", "a.tif"), ("a", "a")])
def test_a_name_of_two_cameras_is_refused(labels):
    with pytest.raises(
        ValueError, match=r"2 cameras of chunk 'C' are meant by 'a'; one is needed, .*\(id 1\)"
    ):
        labelled(*labels).camera("a")
    with pytest.raises(ValueError, match="no camera of chunk 'C' is labelled 'b'"):
        labelled(*labels).camera("b")


def test_folders_that_do_not_agree_are_another_photo():
    with pytest.raises(ValueError, match=r"is 'x/a\.JPG' meant"):
        labelled("x/a.JPG").camera("y/a.JPG")
    with pytest.raises(TypeError, match=r"label is 0; .*chunk.cameras\[...\]"):
        labelled("a").camera(0)  # type: ignore[arg-type]


def test_a_chunk_tells_of_itself_in_a_line():
    some = dr.Chunk(
        label="C",
        cameras=[dr.Camera(id=0, label="a", transform=np.eye(4)), dr.Camera(id=1)],
        transform=np.diag([2.0, 2, 2, 1]),
    )
    assert repr(some) == "Chunk(label='C', 2 cameras, 1 aligned, scale=2)"
    assert repr(dr.Chunk(label="C")) == "Chunk(label='C', 0 cameras, 0 aligned, no scale)"


def test_every_path_of_a_project_is_within_it(tmp_path):
    """Nothing is written, and no photo is looked for."""
    path = with_model(tmp_path)
    before = sorted(Path(tmp_path).rglob("*"))
    chunk = load_chunk(path)
    chunk.load_mesh()
    assert sorted(Path(tmp_path).rglob("*")) == before
