"""`Model`: a mesh in the chunk's frame, prepared for rendering once, when it is first needed.

Rendering is ``render.py``'s and ``visibility.py``'s; here arguments are translated and results become images and vectors.
Mesh and prepared scene are made under a lock, so threads may share a model. The commonest change is another image: a method
that asks `render` for layers.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from depthraster.io.meshes import Mesh
from depthraster.metashape.algebra import Matrix, Vector, as_vector
from depthraster.metashape.base import Facade
from depthraster.metashape.calibration import Calibration
from depthraster.metashape.image import Image
from depthraster.picking import pick_point
from depthraster.render import render, render_depth
from depthraster.scene import Scene

if TYPE_CHECKING:
    from depthraster.metashape.chunk import Chunk

__all__ = ["Model"]

_FACES = 1 << 20  # whose corners are gathered at a time
_Item = TypeVar("_Item")


class _Items(Sequence[_Item]):
    """Faces or vertices: rows of an array, each made an object when it is looked at; numpy sees the array."""

    __slots__ = ("_make", "_rows")

    def __init__(self, rows: npt.NDArray[Any], make: Callable[[npt.NDArray[Any]], _Item]) -> None:
        self._rows, self._make = rows, make

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> _Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[_Item]: ...
    def __getitem__(self, index: int | slice) -> _Item | list[_Item]:
        if isinstance(index, slice):
            return [self._make(row) for row in self._rows[index]]
        return self._make(self._rows[operator.index(index)])

    def __iter__(self) -> Iterator[_Item]:
        return map(self._make, self._rows)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self._rows, dtype=dtype)


class _Face(Facade):
    """A face of a model."""

    __qualname__ = "Model.Face"
    __slots__ = ("_row",)

    def __init__(self, row: npt.NDArray[Any]) -> None:
        self._row = row

    @property
    def vertices(self) -> tuple[int, int, int]:
        """Indices of its three vertices, counter-clockwise seen from outside."""
        a, b, c = self._row.tolist()
        return a, b, c


class _Vertex(Facade):
    """A vertex of a model."""

    __qualname__ = "Model.Vertex"
    __slots__ = ("_row",)

    def __init__(self, row: npt.NDArray[Any]) -> None:
        self._row = row

    @property
    def coord(self) -> Vector:
        """Its coordinates, chunk frame."""
        return Vector(self._row)


class Model(Facade):
    """A mesh of a chunk.

    Attributes
    ----------
    label : str
        Its name.
    """

    __slots__ = ("__weakref__", "_chunk", "_key", "_load", "_lock", "_mesh", "_scene", "label")

    Face = _Face
    Vertex = _Vertex
    label: str

    def __init__(self, chunk: Chunk, key: int, label: str, load: Callable[[], Mesh]) -> None:
        self._chunk = weakref.ref(chunk)
        self._key = key
        self.label = label
        self._load = load
        self._lock = threading.Lock()
        self._mesh: Mesh | None = None
        self._scene: Scene | None = None

    @property
    def key(self) -> int:
        """Its number in the chunk."""
        return self._key

    def _read(self) -> Mesh:
        with self._lock:
            if self._mesh is None:
                self._mesh = self._load()
            return self._mesh

    def _prepared(self) -> Scene:
        scene = self._scene
        if scene is None:
            with self._lock:
                if self._scene is None:
                    # The mesh is not kept for that: rendering does not need it again.
                    mesh = self._load() if self._mesh is None else self._mesh
                    self._scene = Scene.from_mesh(mesh, invalid="drop")
                scene = self._scene
        return scene

    @property
    def faces(self) -> _Items[_Face]:
        """Its faces."""
        return _Items(self._read().faces, _Face)

    @property
    def vertices(self) -> _Items[_Vertex]:
        """Its vertices."""
        return _Items(self._read().vertices, _Vertex)

    def area(self) -> float:
        """Return its area in square metres: that in chunk units times the square of the chunk's scale, or of 1."""
        from trimesh.triangles import area

        mesh = self._read()
        total = 0.0
        for start in range(0, len(mesh.faces), _FACES):
            total += float(area(mesh.vertices[mesh.faces[start : start + _FACES]]).sum())  # type: ignore[no-untyped-call]
        chunk = self._chunk()
        scale = None if chunk is None else chunk.transform.scale
        return total * (scale or 1.0) ** 2

    def renderDepth(
        self, transform: Matrix, calibration: Calibration, cull_faces: bool = True, add_alpha: bool = True
    ) -> Image:
        """Return the depth of the mesh as a camera sees it, F32, in chunk units; 0 where it sees nothing.

        With alpha the channels are ``" A"``, alpha 1.0 or 0.0; without, ``" "``. See `depthraster.render_depth`.
        """
        pixels = render_depth(
            self._prepared(), _place(transform), calibration.as_value(), bool(cull_faces), bool(add_alpha)
        )
        return Image._of(pixels, " A" if add_alpha else " ")

    def renderMask(self, transform: Matrix, calibration: Calibration, cull_faces: bool = True) -> Image:
        """Return where a camera sees the mesh: U8, one channel, 255 there and 0 elsewhere."""
        layers = render(
            self._prepared(), _place(transform), calibration.as_value(), "alpha", cull_faces=bool(cull_faces)
        )
        assert layers.alpha is not None
        mask = (layers.alpha > 0).view(np.uint8)
        return Image._of((mask * np.uint8(255))[..., None], " ")

    def renderNormalMap(
        self,
        transform: Matrix,
        calibration: Calibration,
        cull_faces: bool = True,
        add_alpha: bool = True,
        smooth_normals: bool = False,
    ) -> Image:
        """Return the unit normals of the faces that a camera sees, F32, along its axes X right, Y down, Z forward.

        The channels are ``"RGB"`` and, with alpha, ``"A"``, 1.0 or 0.0; 0 0 0 where it sees nothing. Normals between those
        of faces, ``smooth_normals=True``, are not offered.
        """
        if smooth_normals:
            raise ValueError(
                "smooth_normals is True, which depthraster.metashape does not offer; False is needed: the normals are those "
                "of the faces"
            )
        layers = render(
            self._prepared(), _place(transform), calibration.as_value(), ("normal", "alpha"), cull_faces=bool(cull_faces)
        )  # fmt: skip
        assert layers.normal is not None
        assert layers.alpha is not None
        if not add_alpha:
            return Image._of(layers.normal, "RGB")
        return Image._of(np.concatenate([layers.normal, layers.alpha[..., None]], axis=2), "RGBA")

    def pickPoint(self, origin: Any, target: Any, endpoints: int = 1) -> Vector | None:
        """Return where a ray first meets the mesh, from either side, chunk frame; None where it meets nothing.

        ``endpoints`` is 1 for the ray from the origin through the target, 2 for what lies between them, 0 for the whole
        line, of which the point nearest to the origin is given. See `depthraster.pick_point`.
        """
        ends = as_vector(origin, (3,), "the origin"), as_vector(target, (3,), "the target")
        if not np.isfinite(ends).all():  # of a pixel that the lens does not image
            return None
        picks = pick_point(self._prepared(), *ends, endpoints)  # type: ignore[arg-type]
        return Vector(picks.point) if picks.face_index >= 0 else None

    def __repr__(self) -> str:
        return f"Model({self.label!r})"


def _place(transform: Any) -> npt.NDArray[np.float64]:
    """Return a transform as an array; what it has to be is checked where it is used."""
    if transform is None:
        raise ValueError(
            "the transform is None; a camera's place is needed: leave out cameras that are not aligned, whose transform is "
            "None"
        )
    return np.asarray(transform, dtype=np.float64)
