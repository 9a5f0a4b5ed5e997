"""Metashape's files to chunks and meshes: cameras files, ``.psx`` projects with their ``.files`` folder, ``.psz`` projects.

Here is said where things lie: which file names which, relative to what. Elements are ``metashape_xml.py``'s, zip files
``archives.py``'s, mesh files ``meshes.py``'s. A project is followed by what its documents say, for folders of earlier states
stay on the disk. The commonest change is another asset of a frame: a function beside `_models`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from depthraster.chunk import Chunk, Model
from depthraster.errors import FormatError
from depthraster.io.archives import Archive, leads_out
from depthraster.io.files import existing_file
from depthraster.io.meshes import Mesh, mesh_from_data
from depthraster.io.metashape_tree import ChunkDocument, Document, read_document
from depthraster.io.metashape_xml import chunk_from_document
from depthraster.io.xml_values import EXPORT, Notes, listed, quoted, similarity, whole

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["chosen_model", "load_chunk", "load_chunks", "load_model"]

_DOC = "doc.xml"
_AGAIN = "save the project again in Metashape, or copy it again, the .files folder whole"
_LISTED = 20  # chunks that a message lists


def load_chunk(path: str | os.PathLike[str], chunk: str | int | None = None) -> Chunk:
    """Read a chunk of a Metashape project or cameras file.

    What the file is, its content says, not its name. Cameras that are not aligned, are switched off or belong to another
    component than the active one are kept and marked. A slave of a rig gets its place from its master's.

    Parameters
    ----------
    path : str or path
        A project, ``.psx`` with its ``.files`` folder beside it or ``.psz``, or a cameras file in Metashape's own XML format
        of any version, from PhotoScan's ``<collection>`` on.
    chunk : str or int, optional
        Which chunk, by label or by position from 0; needed only where there are several. A text that is no chunk's label
        may be a position, too.

    Returns
    -------
    Chunk
        Transforms are ``chunk_from_camera``, float64. Meshes inside a project are read when `Chunk.load_mesh` is called.

    Raises
    ------
    FormatError
        The file is none of these, is damaged or hostile, or has a number, a reference or a transform that cannot be; or
        there are several chunks. The message names the file and the element.
    ValueError
        The file has no such chunk.
    OSError
        A file cannot be read, or a file of the project is missing.

    Warns
    -----
    UserWarning
        Once per kind: lens models that are not supported (calibration None), additional corrections and rolling shutter
        (not applied), calibrations made from the nominal focal length, cameras of other components than the active one,
        slaves of rigs whose place is not sure, frames after the first.
    """
    path = Path(path)
    place = _chosen(_places(path), chunk, path)
    notes = Notes()
    result = place.chunk(notes)
    notes.warn(str(path), stacklevel=2)
    return result


def load_chunks(path: str | os.PathLike[str]) -> tuple[Chunk, ...]:
    """Read all chunks of a Metashape project or cameras file, in its order; the rest as `load_chunk`."""
    path = Path(path)
    notes = Notes()
    result = tuple(place.chunk(notes) for place in _places(path))
    notes.warn(str(path), stacklevel=2)
    return result


def chosen_model(chunk: Chunk, model: int | str | None) -> Model:
    """Return the model of a chunk with an id or a label, or its active one; ValueError where there is none such."""
    source = f"{chunk.source}: " if chunk.source else ""
    if not chunk.models:
        raise ValueError(
            f"{source}chunk {chunk.label!r} has no mesh inside; one is needed: export the model from Metashape as PLY and "
            "name it beside the project (in Python: load_mesh), or build the model, save the project, and load that"
        )
    if model is None:
        found = [m for m in chunk.models if m.active]
    else:
        found = [m for m in chunk.models if model in (m.id, m.label) and not isinstance(model, bool)]
        if not found and isinstance(model, str) and model.isdecimal():  # as typed at a command line
            found = [m for m in chunk.models if str(m.id) == model]
    if len(found) == 1:
        return found[0]
    which = listed([m.label or m.id for m in chunk.models], _LISTED)
    asked = f"{len(found)} are said to be active" if model is None else f"{len(found)} are model={model!r}"
    raise ValueError(
        f"{source}chunk {chunk.label!r} has {len(chunk.models)} models, {which}, and {asked}; one is needed: choose it with "
        "load_mesh(model=...) (--model), by id or label"
    )


def load_model(model: Model) -> Mesh:
    """Read a mesh that lies inside a project.

    Parameters
    ----------
    model : Model
        Where it lies, as from `Chunk.models`.

    Returns
    -------
    Mesh
        In the chunk's frame. Meshes in several files are put together in the order of the document.

    Raises
    ------
    FormatError
        Its files are damaged, hostile, or no mesh, or it is in a coordinate system of its own.
    OSError
        Its files are missing or cannot be read.
    """
    name = f"{model.archive}: model {quoted(model.label)}"
    if model.crs is not None:
        raise FormatError(
            f"{name} is in a coordinate system of its own; a mesh in the chunk's is needed: export it from Metashape and "
            "load it with load_mesh and Chunk.from_world"
        )
    if not model.archive.exists():
        raise FileNotFoundError(
            2,
            f"this file is missing, in which model {quoted(model.label)} lies; the mesh is needed: copy the project's "
            ".files folder whole, or export the model from Metashape as PLY",
            str(model.archive),
        )
    with Archive(model.archive) as archive:
        members, transform = model.members, model.transform
        if not members:
            members, own_transform = _model_members(archive)
            transform = own_transform if transform is None else transform
        parts = [mesh_from_data(archive.read(member), archive.path / member) for member in members]
    mesh = parts[0] if len(parts) == 1 else _joined(parts)
    if transform is None or np.array_equal(transform, np.eye(4)):
        return mesh
    return mesh._replace(vertices=mesh.vertices @ transform[:3, :3].T + transform[:3, 3])


def _model_members(archive: Archive) -> tuple[tuple[str, ...], npt.NDArray[np.float64] | None]:
    """Return the mesh files in a model's archive, and its transform, as its document says; PLY files where there is none."""
    members: tuple[str, ...] = ()
    transform = None
    if _DOC in archive.names:
        root = _document(archive).root
        source = f"{archive.path}: <{root.tag}>"
        members = tuple(path for mesh in root.iter("mesh") if (path := mesh.get("path")))
        transform = similarity(root.find("transform"), f"{source} <transform>")
    members = members or tuple(sorted(name for name in archive.names if name.lower().endswith(".ply")))
    if not members:
        raise FormatError(
            f"{archive.path}: there is no mesh in this archive of a model; a PLY file is needed: {_AGAIN}, or export the "
            "model from Metashape as PLY"
        )
    return members, transform


def _joined(parts: Sequence[Mesh]) -> Mesh:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    faces = [part.faces.astype(np.int64) + start for part, start in zip(parts, starts, strict=True)]
    return Mesh(np.concatenate([part.vertices for part in parts]), np.concatenate(faces))


# --- where chunks lie -----------------------------------------------------------------------------------------------------


@dataclass
class _Place:
    """Where a chunk's content lies; it is read when needed, since a project can have many chunks.

    One of a cameras file or a ``.psz`` has its document already; in the latter `archive` holds the meshes. One of a
    ``.psx`` has an archive of its own, and `root` is the folder that nothing leads out of.
    """

    path: Path
    archive: Path | None = None
    root: Path | None = None
    given: ChunkDocument | None = None
    id: int | None = None
    active: bool = False

    @cached_property
    def document(self) -> ChunkDocument:
        """The chunk's elements and cameras."""
        if self.given is not None:
            return self.given
        assert self.archive is not None
        with _open_part(self.archive) as archive:
            document = _document(archive)
        if document.root.tag != "chunk" or len(document.chunks) != 1:
            raise FormatError(
                f"{self.archive}: its {_DOC} is a <{document.root.tag}>; a <chunk> is needed: {_AGAIN}"
            )
        return document.chunks[0]

    @property
    def label(self) -> str:
        """The chunk's name."""
        return self.document.element.get("label", "")

    def chunk(self, notes: Notes) -> Chunk:
        """Read the chunk."""
        document = self.document
        source = str(self.path if self.root is None else self.archive)
        result = chunk_from_document(document, source, notes)
        frames = document.element.findall("frames/frame")
        if len(frames) > 1:
            notes.add(
                "{names} has several frames: the photos and the mesh of the first are taken", result.label
            )
        frame, photos, archive = (frames[0] if frames else None), document.photos, self.archive
        if frame is not None and self.root is not None and (relative := frame.get("path")) is not None:
            assert self.archive is not None
            archive = _within(self.root, self.archive.parent, relative, source)
            if archive.exists():
                with _open_part(archive) as part:
                    content = _document(part)
                frame, photos = content.root, content.photos
            else:
                frame = None
                message = f"there is no {quoted(str(archive))}: the photos' paths and the mesh of {{names}} are not known"
                notes.add(message, result.label)
        models: tuple[Model, ...] = ()
        if frame is not None and archive is not None:
            models = _models(document.element, frame, archive, self.root, source)
        base = self.path.parent if archive is None else archive.parent
        return replace(
            result,
            cameras=tuple(
                replace(camera, photo=_photo(base, photos[camera.id])) if camera.id in photos else camera
                for camera in result.cameras
            ),
            models=models,
            source=self.path,
            id=result.id if self.id is None else self.id,
            active=self.active,
        )


def _places(path: Path) -> list[_Place]:
    """Return the chunks of a file, whatever it is."""
    existing_file(path, "a Metashape project or cameras file", (".psx", ".psz", ".xml"))
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK" or path.suffix.lower() == ".psz"
        file.seek(0)
        if not zipped:
            return _xml_places(read_document(file, str(path)), path)
    with Archive(path) as archive:
        if _DOC not in archive.names:
            raise FormatError(
                f"{path}: there is no {_DOC} in this archive; a Metashape project is needed: open the .psz or the .psx"
            )
        document = _document(archive)
    chunks = document.root.findall("chunks/chunk")
    if document.root.tag != "document" or any(chunk.get("path") is not None for chunk in chunks):
        raise FormatError(
            f"{path}: this is a part of a project, a <{document.root.tag}>; the project's own file is needed: open the .psx "
            "beside the .files folder"
        )
    return _inline_places(document, path, path)


def _xml_places(document: Document, path: Path) -> list[_Place]:
    root = document.root
    if root.tag == "document" and (relative := root.get("path")) is not None:
        return _psx_places(path, relative)
    if root.tag == "calibration":
        raise FormatError(
            f"{path}: this is the calibration of one lens; a cameras file is needed: read it with Calibration.load, or "
            f"{EXPORT}"
        )
    if root.tag in ("chunk", "frame") or any(
        chunk.get("path") is not None for chunk in root.iterfind("chunks/chunk")
    ):
        raise FormatError(
            f"{path}: this is a part of a Metashape project, a <{root.tag}>; the project's own file is needed: open the "
            ".psx beside the .files folder"
        )
    if root.tag not in ("document", "collection"):
        raise FormatError(
            f"{path}: the XML is a <{root.tag[:40]}>; a <document> with <chunk> is needed: {EXPORT}"
        )
    return _inline_places(document, path, None)


def _inline_places(document: Document, path: Path, archive: Path | None) -> list[_Place]:
    if not document.chunks:
        raise FormatError(f"{path}: there is no <chunk> in the document; one is needed: {EXPORT}")
    active = _active_chunk(document.root, str(path))
    places = []
    for chunk in document.chunks:
        number = whole(chunk.element, "id", f"{path}: <chunk>")
        places.append(
            _Place(path, archive, given=chunk, id=number, active=active is not None and number == active)
        )
    return places


def _psx_places(path: Path, relative: str) -> list[_Place]:
    # Metashape writes {projectname} itself, so that the file and its folder can be renamed together.
    relative = relative.replace("{projectname}", path.stem)
    root = path.parent / relative.replace("\\", "/").split("/")[0]
    project = _within(root, path.parent, relative, str(path))
    with _open_part(project) as archive:
        document = _document(archive)
    active = _active_chunk(document.root, str(project))
    places = []
    for element in document.root.iterfind("chunks/chunk"):
        where = f"{project}: <chunk>"
        number, chunk_path = whole(element, "id", where), element.get("path")
        if chunk_path is None:
            raise FormatError(f"{where}: it has no path; the path of its archive is needed: {_AGAIN}")
        place = _within(root, project.parent, chunk_path, where)
        places.append(_Place(path, place, root, id=number, active=active is not None and number == active))
    if not places:
        raise FormatError(f"{path}: there is no chunk in the project; one is needed: add photos and save it")
    return places


def _active_chunk(root: Element, source: str) -> int | None:
    chunks = root.find("chunks")
    return None if chunks is None else whole(chunks, "active_id", f"{source}: <chunks>")


def _chosen(places: Sequence[_Place], chunk: str | int | None, path: Path) -> _Place:
    if chunk is None and len(places) == 1:
        return places[0]
    if isinstance(chunk, int) and not isinstance(chunk, bool) and 0 <= chunk < len(places):
        return places[chunk]
    labels = [place.label for place in places]
    if chunk is None:
        raise FormatError(
            f"{path}: there are {len(places)} chunks, {listed(labels, _LISTED)}; one is needed: say which one with chunk= "
            "(--chunk), by label or by position from 0"
        )
    positions = [k for k, label in enumerate(labels) if chunk == label]
    if not positions and isinstance(chunk, str) and chunk.isdecimal() and int(chunk) < len(places):
        positions = [int(chunk)]
    if len(positions) != 1:
        meant = f"{len(positions)} chunks are" if positions else "no chunk is"
        raise ValueError(
            f"{path}: {meant} called {chunk!r}; one of {listed(labels, _LISTED)} is needed: give a label, or a position "
            f"from 0 to {len(places) - 1}"
        )
    return places[positions[0]]


# --- parts of a project ---------------------------------------------------------------------------------------------------


def _open_part(path: Path) -> Archive:
    if not path.exists():
        raise FileNotFoundError(
            2,
            f"this file of the project is missing; the whole project is needed: {_AGAIN}, beside the .psx and named like it",
            str(path),
        )
    return Archive(path)


def _document(archive: Archive) -> Document:
    with archive.open(_DOC) as file:
        return read_document(file, str(archive.path), _AGAIN)


def _within(root: Path, folder: Path, relative: str, source: str) -> Path:
    """Return the path that a document names, relative to the folder of its archive; it must not leave the project."""
    path = folder / relative
    # The folder itself may be a link, for people keep it on another disk; what is in it may not lead elsewhere.
    if leads_out(relative) or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise FormatError(
            f"{source}: the path {quoted(relative)} leads out of the project's folder, {root.name!r}; a file in it is "
            f"needed: {_AGAIN}"
        )
    return path


def _photo(base: Path, path: str) -> str:
    """Return the path of an image file, from where we are; relative ones are from the archive that names them."""
    if path.startswith(("/", "\\")) or "://" in path or path[1:2] == ":":
        return path
    return os.path.normpath(base / path)


def _models(
    chunk: Element, frame: Element, archive: Path, root: Path | None, source: str
) -> tuple[Model, ...]:
    """Return the meshes of a frame; the chunk lists them, with their labels, and the frame says where they lie."""
    listing = chunk.find("models")
    active = None if listing is None else whole(listing, "active_id", f"{source}: <models>")
    in_chunk = {element.get("id"): element for element in chunk.iterfind("models/model")}
    models = []
    for element in frame.iter("model"):
        number = whole(element, "id", f"{source}: <model>")
        sources = [part for part in (in_chunk.get(element.get("id")), element) if part is not None]
        where = f"{source}: model {quoted(element.get('id', ''))}"
        transforms = [similarity(part.find("transform"), f"{where} <transform>") for part in sources]
        relative = element.get("path")
        if relative is not None and root is not None:
            place = _within(root, archive.parent, relative, where)
            members: tuple[str, ...] = ()
        else:
            place = archive
            inside = (relative, *(mesh.get("path") for mesh in element.iterfind("mesh")))
            members = tuple(name for name in inside if name)
            if not members:
                raise FormatError(f"{where}: it names no mesh file; the path of one is needed: {_AGAIN}")
        models.append(
            Model(
                id=number,
                label=next((part.get("label", "") for part in sources if part.get("label")), ""),
                active=active is None or number == active,
                transform=next((matrix for matrix in transforms if matrix is not None), None),
                archive=place,
                members=members,
                crs=next((text for part in sources if (text := part.findtext("crs", "").strip())), None),
            )
        )
    return tuple(models)
