"""Metashape's documents to elements: what is known is kept, cameras and photos as records, since there can be a million.

One pass over the document. A chunk's cameras are taken out of the tree as they end; what their values mean is
``metashape_xml.py``'s. The commonest change is another element to read: its tag in `_TAGS`.
"""

from __future__ import annotations

from typing import IO, NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from depthraster.chunk import Group
from depthraster.errors import FormatError
from depthraster.io.calibration_elements import CALIBRATION_TAGS
from depthraster.io.xml_tree import PrunedTree, read_tree
from depthraster.io.xml_values import EXPORT, numbers, quoted, whole

__all__ = ["CameraRecord", "ChunkDocument", "Document", "read_document"]

_TAGS = CALIBRATION_TAGS | {
    "document", "collection", "chunks", "chunk", "sensors", "sensor", "property", "rotation", "location", "components",
    "component", "transform", "translation", "scale", "region", "center", "size", "R", "cameras", "group", "camera",
    "rolling_shutter", "reference", "crs", "frames", "frame", "photo", "models", "model", "mesh",
}  # fmt: skip
_MAX_CAMERAS = 2_000_000  # 1.6 kB each


class CameraRecord(NamedTuple):
    """What a ``<camera>`` says, as far as it goes without the rest of the document."""

    attributes: dict[str, str]
    group_id: int | None
    transform: npt.NDArray[np.float64] | None  # (16,), not checked yet
    calibration: Element | None
    reference: dict[str, str] | None
    rolling_shutter: bool


class ChunkDocument(NamedTuple):
    """A ``<chunk>`` or ``<collection>``: its element without the cameras, and those."""

    element: Element
    cameras: list[CameraRecord]
    groups: list[Group]
    photos: dict[int, str]  # path of the image file by the camera's id, of the first frame
    n_keyframes: int


class Document(NamedTuple):
    """A document's root element, the chunks with content in it, and what is said of photos outside of chunks."""

    root: Element
    chunks: list[ChunkDocument]
    photos: dict[int, str]


def read_document(file: IO[bytes], source: str, again: str = EXPORT) -> Document:
    """Read a document of Metashape; messages begin with ``source``. FormatError as `read_tree`."""
    tree = _MetashapeTree(source)
    root = read_tree(file, tree, again)
    return Document(root, tree.chunks, tree.photos)


class _MetashapeTree(PrunedTree):
    def __init__(self, source: str) -> None:
        super().__init__(_TAGS, source)
        self.chunks: list[ChunkDocument] = []
        self.photos: dict[int, str] = {}
        self._chunk: ChunkDocument | None = None
        self._cameras: Element | None = None  # the <cameras> that we are in
        self._of_frame = False  # whether those are a frame's, which has the photos
        self._groups: list[int | None] = []
        self._n_cameras = 0

    def begun(self, element: Element, parent: Element | None) -> None:
        tag, of = element.tag, None if parent is None else parent.tag
        if (tag == "chunk" and self._chunk is None) or (tag == "collection" and parent is None):
            self._chunk = ChunkDocument(element, [], [], {}, 0)
        elif tag == "cameras" and self._cameras is None:
            if of == "frame":
                self._cameras, self._of_frame = element, True
            elif self._chunk is not None and parent is self._chunk.element:
                self._cameras, self._of_frame = element, False
        elif tag == "group" and self._cameras is not None and not self._of_frame:
            self._groups.append(self._group(element))

    def ended(self, element: Element) -> bool:
        tag = element.tag
        if self._cameras is None:
            if self._chunk is not None and element is self._chunk.element:
                self.chunks.append(self._chunk)
                self._chunk = None
            return True
        if element is self._cameras:
            self._cameras = None
        elif tag == "camera":
            self._count()
            if self._of_frame:
                self._take_photo(element)
            else:
                self._take_camera(element)
            return False
        elif tag == "group" and not self._of_frame:
            self._groups.pop()
            return False
        return True

    def _count(self) -> None:
        self._n_cameras += 1
        if self._n_cameras > _MAX_CAMERAS:
            raise FormatError(
                f"{self.source}: there are more than {_MAX_CAMERAS} cameras; fewer are needed, to be held in memory: export "
                "the chunk in parts"
            )

    def _group(self, element: Element) -> int | None:
        """Return the id of a group that begins; that of the one around it where it has none."""
        assert self._chunk is not None
        around = self._groups[-1] if self._groups else None
        where = f"{self.source}: group {quoted(element.get('label', ''))}"
        number = whole(element, "id", where)
        if number is None:
            return around
        kind = element.get("type", "folder")
        self._chunk.groups.append(
            Group(id=number, label=element.get("label", ""), type=kind, parent_id=around)
        )
        return number

    def _take_photo(self, element: Element) -> None:
        photo = element.find("photo")
        path = None if photo is None else photo.get("path")
        number = whole(element, "camera_id", f"{self.source}: <frame> <camera>")
        if number is not None and path is not None:
            photos = self.photos if self._chunk is None else self._chunk.photos
            photos.setdefault(number, path)

    def _take_camera(self, element: Element) -> None:
        assert self._chunk is not None
        legacy = self._chunk.element.tag == "collection"  # which has neither ids nor sensors
        if element.get("label") is None or (element.get("sensor_id") is None and not legacy):
            # Of a camera track: a view of the animation, not a photo.
            self._chunk = self._chunk._replace(n_keyframes=self._chunk.n_keyframes + 1)
            return
        where = f"{self.source}: camera {quoted(element.get('label', ''))}"
        reference, calibration = element.find("reference"), element.find("calibration")
        if legacy and calibration is not None and calibration.find("resolution") is None:
            resolution = element.find("resolution")
            if resolution is not None:
                calibration.append(resolution)
        self._chunk.cameras.append(
            CameraRecord(
                attributes=element.attrib,
                group_id=self._groups[-1] if self._groups else None,
                transform=numbers(element.find("transform"), 16, f"{where} <transform>"),
                calibration=calibration,
                reference=None if reference is None else reference.attrib,
                rolling_shutter=element.find("rolling_shutter") is not None,
            )
        )
