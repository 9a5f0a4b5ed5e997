"""What a Metashape chunk says about its cameras, as plain frozen values: `Chunk`, `Camera`, `Sensor` and what they have.

The readers in ``io`` fill them and everything else takes them from there; nothing here knows a file format. Coordinate
systems are ``crs.py``'s. The commonest change is another fact to keep: a field with a default, a line in the reader, and
one in the writer.
"""

from __future__ import annotations

import difflib
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.crs import from_geocentric, is_named, to_geocentric
from depthraster.world import checked_offset, put_together, taken_apart

if TYPE_CHECKING:
    from depthraster.io.meshes import Mesh

__all__ = ["Camera", "Chunk", "Component", "Group", "Model", "Reference", "Region", "Sensor"]

Array = npt.NDArray[np.float64]

_LISTED = 20  # names that a message lists
_COMPARED = 10_000  # labels among which a similar one is looked for, in a tenth of a second


def _freeze(value: Any, names: tuple[str, ...]) -> None:
    """Make float64 copies of an instance's arrays that nobody can write to."""
    for name in names:
        given = getattr(value, name)
        if given is not None:
            array = np.array(given, dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(value, name, array)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Sensor:
    """A camera body with its lens, shared by the photos taken with it.

    Attributes
    ----------
    id : int
        The file's number for it, arbitrary.
    label : str
        Its name.
    type : str
        The lens model's name in the file: ``"frame"``, ``"fisheye"``, ``"spherical"`` …
    width, height : int or None
        Size of its images, pixels.
    calibration : Calibration or None
        The adjusted calibration, or the initial one, or one of the nominal focal length; None where there is none or its
        lens model is not supported.
    calibration_class : str or None
        Which of these it is: ``"adjusted"``, ``"initial"`` or ``"nominal"``.
    pixel_size : (float, float) or None
        Width and height of a pixel, mm.
    focal_length : float or None
        Nominal focal length, mm.
    layer_index : int
        Which layer of a multispectral camera it takes, from 0.
    master_id : int or None
        The master sensor of the rig that this one is a slave of.
    master_from_sensor : (4, 4) float64 array or None
        For a slave: from its camera frame to its master's.
    """

    id: int
    label: str = ""
    type: str = "frame"
    width: int | None = None
    height: int | None = None
    calibration: Calibration | None = None
    calibration_class: str | None = None
    pixel_size: tuple[float, float] | None = None
    focal_length: float | None = None
    layer_index: int = 0
    master_id: int | None = None
    master_from_sensor: Array | None = None

    def __post_init__(self) -> None:
        _freeze(self, ("master_from_sensor",))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Reference:
    """Where a photo was taken from according to its GNSS receiver or its user, before any alignment.

    Attributes
    ----------
    location : (3,) float64 array or None
        Coordinates in the chunk's coordinate system: longitude and latitude in degrees and height, or easting, northing and
        height, or local coordinates. The photos can have a system of their own, which is not kept.
    rotation : (3,) float64 array or None
        Yaw, pitch and roll, degrees.
    enabled, rotation_enabled : bool
        Whether Metashape uses the location and the rotation.
    """

    location: Array | None = None
    rotation: Array | None = None
    enabled: bool = True
    rotation_enabled: bool = False

    def __post_init__(self) -> None:
        _freeze(self, ("location", "rotation"))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Camera:
    """A photo: where it was taken from, and with what.

    Attributes
    ----------
    id : int
        The file's number for it, arbitrary.
    label : str
        Its name, often the photo's file name; need not be unique.
    transform : (4, 4) float64 array or None
        ``chunk_from_camera``: from the camera's frame (X right, Y down, Z forward) to the chunk's, chunk units. None where
        the camera is not aligned. Where `in_active_component` is False, to the frame of the camera's own component instead.
    calibration : Calibration or None
        Its lens and image size: its own where the file has one, else its sensor's; None where there is none or its lens
        model is not supported.
    enabled : bool
        Whether the user left it switched on.
    sensor_id : int or None
        The sensor it was taken with.
    component_id : int or None
        The component that it was aligned in.
    in_active_component : bool
        False where it was aligned in another component than the chunk's active one, to which the mesh belongs: rendering
        it would show the mesh from a wrong place.
    master_id : int or None
        The camera of the rig's master sensor that this one was taken together with.
    group_id : int or None
        The group of the Photos pane that it is in.
    photo : str or None
        The path of its image file, in the project's spelling; nothing is ever read from there.
    reference : Reference or None
        Where it was taken from as its receiver says.
    """

    id: int
    label: str = ""
    transform: Array | None = None
    calibration: Calibration | None = None
    enabled: bool = True
    sensor_id: int | None = None
    component_id: int | None = None
    in_active_component: bool = True
    master_id: int | None = None
    group_id: int | None = None
    photo: str | None = None
    reference: Reference | None = None

    def __post_init__(self) -> None:
        _freeze(self, ("transform",))

    @property
    def aligned(self) -> bool:
        """Whether the camera's place is known."""
        return self.transform is not None


@dataclass(frozen=True, eq=False, kw_only=True)
class Group:
    """A folder of the Photos pane.

    Attributes
    ----------
    id : int
        The file's number for it, arbitrary.
    label : str
        Its name.
    type : str
        ``"folder"``, or a kind of station.
    parent_id : int or None
        The group that it is in.
    """

    id: int
    label: str = ""
    type: str = "folder"
    parent_id: int | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Region:
    """The box that the user works in.

    Attributes
    ----------
    center : (3,) float64 array
        Its centre, chunk frame.
    size : (3,) float64 array
        Its full edge lengths along its own axes, chunk units.
    rotation : (3, 3) float64 array
        From its own axes to the chunk's.
    """

    center: Array
    size: Array
    rotation: Array

    def __post_init__(self) -> None:
        _freeze(self, ("center", "size", "rotation"))


@dataclass(frozen=True, eq=False, kw_only=True)
class Component:
    """A set of cameras that were aligned with each other, in a frame of its own.

    Attributes
    ----------
    id : int
        The file's number for it, arbitrary.
    label : str
        Its name.
    transform : (4, 4) float64 array or None
        From its frame to the world; None where the file has none.
    region : Region or None
        The box that the user works in, in its frame.
    """

    id: int
    label: str = ""
    transform: Array | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        _freeze(self, ("transform",))


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """A mesh inside a project, not read yet: `Chunk.load_mesh` does.

    Attributes
    ----------
    id : int or None
        The file's number for it, arbitrary.
    label : str
        Its name.
    active : bool
        Whether it is the one that Metashape shows.
    transform : (4, 4) float64 array or None
        From the coordinates in its file to the chunk's; None where they are the chunk's already.
    archive : Path
        The zip file that it lies in.
    members : tuple of str
        Its mesh files in there; empty where the archive itself says which they are.
    crs : str or None
        A coordinate system of its own as WKT; None where it is in the chunk's frame, as it nearly always is.
    """

    id: int | None = None
    label: str = ""
    active: bool = True
    transform: Array | None = None
    archive: Path
    members: tuple[str, ...] = ()
    crs: str | None = None

    def __post_init__(self) -> None:
        _freeze(self, ("transform",))


@dataclass(frozen=True, eq=False, kw_only=True)
class Chunk:
    """A set of photos that were aligned together.

    Attributes
    ----------
    label : str
        Its name.
    cameras : tuple of Camera
        All of its cameras in the file's order, those not aligned or switched off included.
    sensors : tuple of Sensor
        All of its sensors in the file's order.
    transform : (4, 4) float64 array or None
        ``world_from_chunk``: rotation, translation and scale, to geocentric metres where the chunk is georeferenced. None
        where the file has none: then the chunk's units are arbitrary.
    region : Region or None
        The box that the user works in.
    crs : str or None
        The coordinate system as WKT, as the file has it.
    id : int or None
        The project's number for it, arbitrary.
    enabled : bool
        Whether the user left it switched on.
    active : bool
        Whether it is the one that the project shows.
    groups : tuple of Group
        The folders that its cameras are sorted into.
    components : tuple of Component
        What its cameras were aligned in; older files have none.
    active_component_id : int or None
        The component whose frame is the chunk's: `transform` and `region` are its own.
    models : tuple of Model
        The meshes inside the project; none in a cameras file.
    source : Path or None
        The file that it was read from.
    """

    label: str = ""
    cameras: tuple[Camera, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    transform: Array | None = None
    region: Region | None = None
    crs: str | None = None
    id: int | None = None
    enabled: bool = True
    active: bool = False
    groups: tuple[Group, ...] = ()
    components: tuple[Component, ...] = ()
    active_component_id: int | None = None
    models: tuple[Model, ...] = ()
    source: Path | None = None

    def __post_init__(self) -> None:
        _freeze(self, ("transform",))
        for name in ("cameras", "sensors", "groups", "components", "models"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def __repr__(self) -> str:
        """Return a line: a survey's cameras, one by one, would fill a screen's history."""
        n_aligned = sum(camera.aligned for camera in self.cameras)
        parts = [f"label={self.label!r}", f"{len(self.cameras)} cameras, {n_aligned} aligned"]
        parts.append("no scale" if self.scale is None else f"scale={self.scale:.9g}")
        parts += [f"{len(self.models)} meshes"] if self.models else []
        parts += [f"source={str(self.source)!r}"] if self.source is not None else []
        return f"Chunk({', '.join(parts)})"

    @property
    def scale(self) -> float | None:
        """World units (metres where georeferenced) per chunk unit; None where the chunk has no transform."""
        if self.transform is None:
            return None
        return float(np.cbrt(np.linalg.det(self.transform[:3, :3])))

    def camera(self, label: str) -> Camera:
        """Return the camera with a label; where no label is the same, with fewer folders, and without suffix.

        Parameters
        ----------
        label : str
            A camera's label. Labels can be whole paths, and have a suffix or none: ``IMG_1.JPG`` also finds ``a/IMG_1.JPG``
            and ``IMG_1``. Folders that both have must agree, from the last one on.

        Raises
        ------
        TypeError
            The label is no text.
        ValueError
            No camera or more than one has it.
        """
        if not isinstance(label, str):
            raise TypeError(f"the label is {label!r}; a text is needed: by position take chunk.cameras[...]")
        found: list[Camera] = []
        # Neither may have a suffix that the other has not; least is done to the label that is asked for.
        for of_label, of_wanted in ((str, str), (_stem, str), (str, _stem), (_stem, _stem)):
            wanted = of_wanted(label)
            found = found or [c for c in self.cameras if of_label(c.label) == wanted]
            wanted_parts = PureWindowsPath(wanted).parts  # slashes of either kind
            found = found or [c for c in self.cameras if _same_end(of_label(c.label), wanted_parts)]
        if len(found) == 1:
            return found[0]
        if not found:
            alike = difflib.get_close_matches(label, [c.label for c in self.cameras[:_COMPARED]], n=1)
            raise ValueError(
                f"no camera of chunk {self.label!r} is labelled {label!r}; the label of one of its {len(self.cameras)} "
                f"cameras is needed: {f'is {alike[0]!r} meant?' if alike else 'look it up in the project'}"
            )
        which = ", ".join(f"{camera.label!r} (id {camera.id})" for camera in found[:_LISTED])
        raise ValueError(
            f"{len(found)} cameras of chunk {self.label!r} are meant by {label!r}; one is needed, and there are {which}: "
            "give more of the label, or choose by id among chunk.cameras"
        )

    def with_component(self, component: int | str) -> Chunk:
        """Return the chunk in the frame of another component, whose cameras can be rendered then instead.

        Cameras that were aligned apart are in a component of their own, each with its own frame. A mesh in world coordinates
        is taken to the frame of the chunk that is returned by its `from_world`; a mesh inside the project goes there where
        both components have a transform, and is left out with a warning where one has none.

        Parameters
        ----------
        component : int or str
            The id or the label of one of `components`. A text that is no label may be an id.

        Returns
        -------
        Chunk
            ``transform``, ``region`` and ``active_component_id`` are the component's, and so is who is
            ``in_active_component``.

        Raises
        ------
        ValueError
            There is no such component, or more than one.
        """
        found = [part for part in self.components if component in (part.id, part.label)]
        if not found and isinstance(component, str):
            found = [part for part in self.components if str(part.id) == component]
        if len(found) != 1 or isinstance(component, bool):
            which = (
                ", ".join(f"{part.label!r} (id {part.id})" for part in self.components[:_LISTED]) or "none"
            )
            raise ValueError(
                f"{len(found) or 'no'} components of chunk {self.label!r} are {component!r}; one is needed, and there are "
                f"{which}: give a label or an id"
            )
        (part,) = found
        if part.id == self.active_component_id:
            return self
        models: tuple[Model, ...] = ()
        if self.transform is not None and part.transform is not None:
            move = np.asarray(np.linalg.solve(part.transform, self.transform), np.float64)
            models = tuple(
                replace(model, transform=move if model.transform is None else move @ model.transform)
                for model in self.models
            )
        elif self.models:
            warnings.warn(
                f"chunk {self.label!r}: the meshes inside are left out, for there is no transform that would take them to "
                f"component {part.label!r}",
                stacklevel=2,
            )
        return replace(
            self,
            cameras=tuple(
                replace(c, in_active_component=not c.aligned or c.component_id in (None, part.id))
                for c in self.cameras
            ),
            transform=part.transform,
            region=part.region,
            active_component_id=part.id,
            models=models,
        )

    def load_mesh(self, model: int | str | None = None) -> Mesh:
        """Read a mesh that lies inside the project.

        Parameters
        ----------
        model : int or str, optional
            The id or the label of one of `models`; the active one by default. A text that is no label may be an id.

        Returns
        -------
        Mesh
            ``vertices``, (V, 3) float64 in the chunk's frame and units, and ``faces``, (F, 3).

        Raises
        ------
        ValueError
            There is no such model, or none at all; the message says how to get a mesh.
        FormatError
            Its files are missing, damaged or no mesh.
        """
        from depthraster.io.metashape_project import chosen_model, load_model

        return load_model(chosen_model(self, model))

    def from_world(
        self, points: Any, crs: Any = None, offset: npt.ArrayLike = (0.0, 0.0, 0.0)
    ) -> Array | Mesh:
        """Take points or a mesh from world coordinates, such as a mesh is exported in, to the chunk's.

        Parameters
        ----------
        points : (..., 3) array of float, mesh, or path
            Coordinates in the system ``crs``; a mesh is a `Mesh`, a trimesh.Trimesh, a (vertices, faces) pair or the path
            of a mesh file.
        crs : optional
            What they are in. None, the default: where `transform` leads, which is ``"geocentric"``, X, Y, Z in metres, for
            a georeferenced chunk, and ``"local"`` for others; these two can be named, and are refused for the other kind of
            chunk. Else a coordinate system, by whatever name pyproj takes (WKT, ``"EPSG:32610"``): easting or longitude,
            northing or latitude, and height, the last above the ellipsoid unless the system says otherwise.
        offset : (3,) array of float
            Added to the coordinates first, in the system's units: what Metashape calls shift when it exports.

        Returns
        -------
        (..., 3) float64 array, or Mesh
            In the chunk's frame and units.

        Raises
        ------
        ImportError
            pyproj is needed and not installed.
        ValueError
            A system that the chunk cannot be in, that pyproj does not know or that needs a grid file, or points without a
            place in it.
        """
        vertices, faces, shape = taken_apart(points)
        vertices = vertices + checked_offset(offset)
        if is_named(crs, self.crs, self.transform is not None):
            assert self.crs is not None  # or it would not be georeferenced
            vertices = to_geocentric(vertices, crs, self.crs)
        if self.transform is not None:
            # Less the origin first: the product with an inverse matrix would round at the earth's radius.
            vertices = (vertices - self.transform[:3, 3]) @ np.linalg.inv(self.transform[:3, :3]).T
        return put_together(vertices, faces, shape)

    def to_world(self, points: Any, crs: Any = None, offset: npt.ArrayLike = (0.0, 0.0, 0.0)) -> Array | Mesh:
        """Take points or a mesh from the chunk's frame to world coordinates; the inverse of `from_world`.

        Parameters
        ----------
        points : (..., 3) array of float, mesh, or path
            Coordinates in the chunk's frame.
        crs, offset
            What the result shall be in, and what is subtracted from it last, as for `from_world`.

        Returns
        -------
        (..., 3) float64 array, or Mesh
        """
        vertices, faces, shape = taken_apart(points)
        if self.transform is not None:
            vertices = vertices @ self.transform[:3, :3].T + self.transform[:3, 3]
        if is_named(crs, self.crs, self.transform is not None):
            assert self.crs is not None  # or it would not be georeferenced
            vertices = from_geocentric(vertices, crs, self.crs)
        return put_together(vertices - checked_offset(offset), faces, shape)


def _same_end(label: str, parts: tuple[str, ...]) -> bool:
    """Return whether a label that is a path ends in the parts of another, or that one in its."""
    if not parts or not label.rstrip("/\\").endswith(parts[-1]):  # at once, of a million labels
        return False
    own = PureWindowsPath(label).parts
    n = min(len(own), len(parts))
    return own[-n:] == parts[-n:]


def _stem(label: str) -> str:
    return os.path.splitext(label)[0]
