"""`Chunk`: cameras, sensors and models of a chunk, read from files or made by a script.

What files hold is the readers' to say, ``io``'s; here their frozen values become objects that scripts change, and become
values again where something is written. The commonest change is another property of a chunk, by its value.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

import depthraster.chunk as values
from depthraster.crs import is_local
from depthraster.io.meshes import Mesh, load_mesh
from depthraster.io.metashape_project import load_chunk, load_model
from depthraster.io.metashape_writer import save_chunk
from depthraster.metashape.algebra import as_vector
from depthraster.metashape.base import Facade
from depthraster.metashape.camera import Camera, Sensor
from depthraster.metashape.constants import CamerasFormat, ModelFormat
from depthraster.metashape.coordinate_system import CoordinateSystem
from depthraster.metashape.model import Model
from depthraster.metashape.placement import ChunkTransform, Region

__all__ = ["Chunk"]

Progress = Callable[[float], Any] | None
_Keyed = TypeVar("_Keyed", Camera, Model, Sensor)


class Chunk(Facade):
    """A set of photos that were aligned together; made by `Document.addChunk` or read.

    Attributes
    ----------
    label : str
        Its name.
    enabled : bool
        Whether it is switched on.
    crs : CoordinateSystem or None
        The system of its reference data; None where a file has none.
    """

    __slots__ = (
        "__weakref__",
        "_cameras",
        "_crs",
        "_default_region",
        "_model",
        "_models",
        "_region",
        "_sensors",
        "_transform",
        "_value",
        "enabled",
        "label",
    )

    label: str
    enabled: bool

    def __init__(self, value: values.Chunk | None = None) -> None:
        self._value = values.Chunk() if value is None else value
        self.label, self.enabled = self._value.label, self._value.enabled
        self._crs = None if self._value.crs is None else CoordinateSystem(self._value.crs)
        self._transform = ChunkTransform()
        self._transform._matrix = self._value.transform
        self._region = None if self._value.region is None else Region._of(self._value.region)
        self._default_region: Region | None = None
        self._sensors: list[Sensor] = []
        self._cameras: list[Camera] = []
        self._take(self._value)
        self._models = [_stored(self, number, model) for number, model in enumerate(self._value.models)]
        active = [number for number, model in enumerate(self._value.models) if model.active]
        self._model = self._models[active[0]] if active else None

    def _take(self, value: values.Chunk) -> None:
        """Take cameras and sensors of a value; a chunk that has cameras takes their places and lenses, by label."""
        # Of cameras that were read, each has one of the sensors.
        sensors: dict[int | None, Sensor] = {s.id: self._adopted(s) for s in value.sensors}
        if not self._cameras:
            self._cameras = [Camera(self, camera, sensors[camera.sensor_id]) for camera in value.cameras]
            return
        labels = Counter(camera.label for camera in value.cameras)
        by_label = {camera.label: camera for camera in value.cameras if labels[camera.label] == 1}
        taken = set()
        for camera in self._cameras:
            try:
                found = by_label.get(camera.label) or value.camera(camera.label)
            except ValueError:  # none, or several
                continue
            taken.add(found.id)
            camera._take(found, sensors[found.sensor_id])
        if len(taken) < len(value.cameras):
            warnings.warn(
                f"{value.source}: {len(value.cameras) - len(taken)} of {len(value.cameras)} cameras have no counterpart by "
                "label in the chunk and were left out",
                stacklevel=4,
            )

    def _adopted(self, value: values.Sensor) -> Sensor:
        """Return a sensor made of a value; it has a new number where another one has its."""
        if self.findSensor(value.id) is not None:
            value = replace(value, id=_next(sensor.key for sensor in self._sensors))
        self._sensors.append(Sensor(self, value))
        return self._sensors[-1]

    @property
    def key(self) -> int:
        """Its number in the project."""
        return self._value.id or 0

    @property
    def cameras(self) -> list[Camera]:
        """Its cameras, those not aligned or switched off included."""
        return list(self._cameras)

    @property
    def sensors(self) -> list[Sensor]:
        """Its sensors."""
        return list(self._sensors)

    @property
    def models(self) -> list[Model]:
        """Its models."""
        return list(self._models)

    @property
    def model(self) -> Model | None:
        """The model that is shown, of the first frame; None where there is none."""
        return self._model

    @model.setter
    def model(self, model: Model | None) -> None:
        if model is not None and model not in self._models:
            raise ValueError(
                f"{model!r} is no model of chunk {self.label!r}; one of chunk.models is needed: import it with importModel"
            )
        self._model = model

    @property
    def crs(self) -> CoordinateSystem | None:
        """The system of its reference data; None where a file has none."""
        return self._crs

    @crs.setter
    def crs(self, crs: CoordinateSystem | None) -> None:
        if crs is not None and not isinstance(crs, CoordinateSystem):
            raise TypeError(
                f"crs is {crs!r}; a CoordinateSystem is needed: make one with CoordinateSystem(…)"
            )
        self._crs = crs

    @property
    def transform(self) -> ChunkTransform:
        """From its frame to the world: geocentric metres where it is georeferenced."""
        return self._transform

    @transform.setter
    def transform(self, transform: ChunkTransform) -> None:
        self._transform = transform.copy()

    @property
    def region(self) -> Region:
        """The box that is worked in; where a file has none, the box around the model, or one without size."""
        if self._region is None:
            self._region = self._box_of_model()
            self._default_region = self._region.copy()
        return self._region

    @region.setter
    def region(self, region: Region) -> None:
        self._region = region.copy()

    def resetRegion(self) -> None:
        """Make the region the box around the model, along the chunk's axes; without a model, one without size."""
        self._region = self._box_of_model()

    def _box_of_model(self) -> Region:
        region = Region()
        if self._model is not None:
            low, high = self._model._prepared().bounds
            region._center, region._size = 0.5 * (low + high), high - low
        return region

    def findCamera(self, key: int) -> Camera | None:
        """Return the camera with a key, or None."""
        return _found(self._cameras, key)

    def findSensor(self, key: int) -> Sensor | None:
        """Return the sensor with a key, or None."""
        return _found(self._sensors, key)

    def findModel(self, key: int) -> Model | None:
        """Return the model with a key, or None."""
        return _found(self._models, key)

    def addSensor(self, source: Sensor | None = None) -> Sensor:
        """Return a new sensor, a copy of another one or a frame camera without calibration."""
        value = values.Sensor(id=0, label="unknown") if source is None else source.as_value()
        return self._adopted(value)

    def addCamera(self, sensor: Sensor | None = None) -> Camera:
        """Return a new camera, not aligned; without a sensor it gets the first one, or a new one."""
        if sensor is None:
            sensor = self._sensors[0] if self._sensors else self.addSensor()
        number = _next(camera.key for camera in self._cameras)
        value = values.Camera(id=number, sensor_id=sensor.key)
        self._cameras.append(Camera(self, value, sensor))
        return self._cameras[-1]

    def addPhotos(self, filenames: str | Iterable[str], strip_extensions: bool = True) -> None:
        """Add a camera for each photo, named like its file, not aligned and without calibration.

        The photos are not opened: sizes and calibrations come with `importCameras`.
        """
        if isinstance(filenames, (str, os.PathLike)):
            filenames = [filenames]
        for path in filenames:
            camera = self.addCamera()
            name = os.path.basename(os.fspath(path))
            camera.label = os.path.splitext(name)[0] if strip_extensions else name
            camera._value = replace(camera._value, photo=os.fspath(path))

    def importCameras(
        self,
        path: str | os.PathLike[str] = "",
        format: CamerasFormat = CamerasFormat.CamerasFormatXML,
        progress: Progress = None,
    ) -> None:
        """Read places and calibrations from a cameras file, or from the only chunk of a project.

        Cameras that are there get those of the same label; those of the file that are not there are added only where there
        are no cameras at all, and counted in a warning otherwise. Transform, coordinate system and region are the file's,
        if it has them.
        """
        if format is not CamerasFormat.CamerasFormatXML:
            raise ValueError(
                f"the format is {format!r}, which depthraster.metashape does not read; CamerasFormatXML is needed: export "
                "the cameras from Metashape as Agisoft XML"
            )
        given = load_chunk(path)
        if not self._cameras:  # what cameras refer to
            self._value = replace(
                self._value, groups=given.groups, components=given.components,
                active_component_id=given.active_component_id,
            )  # fmt: skip
        self._take(given)
        if given.transform is not None:
            self._transform._matrix = given.transform
        if given.crs is not None:
            self._crs = CoordinateSystem(given.crs)
        if given.region is not None:
            self._region = Region._of(given.region)
        if progress is not None:
            progress(100.0)

    def exportCameras(
        self,
        path: str | os.PathLike[str] = "",
        format: CamerasFormat = CamerasFormat.CamerasFormatXML,
        progress: Progress = None,
    ) -> None:
        """Write cameras, sensors, transform and region to a cameras file, as `depthraster.save_chunk` does."""
        if format is not CamerasFormat.CamerasFormatXML or not os.fspath(path).lower().endswith(".xml"):
            raise ValueError(
                f"cameras were to be exported to {os.fspath(path)!r} as {format!r}; CamerasFormatXML and a name ending in "
                ".xml are needed: depthraster.metashape writes no other format"
            )
        save_chunk(self.as_value(), path)
        if progress is not None:
            progress(100.0)

    def importModel(
        self,
        path: str | os.PathLike[str] = "",
        format: ModelFormat = ModelFormat.ModelFormatNone,
        crs: CoordinateSystem | None = None,
        shift: Any = None,
        replace_asset: bool = False,
        progress: Progress = None,
    ) -> None:
        """Read a mesh file, PLY, OBJ, STL, OFF or GLB by its suffix, and make it the chunk's model.

        Parameters
        ----------
        path : str or path
            The file.
        format : ModelFormat
            Not needed.
        crs : CoordinateSystem
            The system that its coordinates are in. Of a georeferenced chunk it has to be said, for there are three:
            ``chunk.crs``, another one, or ``CoordinateSystem("LOCAL")`` for the chunk's own coordinates. Other chunks need
            none: coordinates are where the chunk's transform leads, or its own if it has none.
        shift : Vector, optional
            Added to coordinates, in units of the system.
        replace_asset : bool
            Whether the model that was shown goes.
        progress : callable, optional
            Called with 100.0 at the end.
        """
        mesh = load_mesh(path)
        value = self.as_value()
        offset = np.zeros(3) if shift is None else as_vector(shift, (3,), "the shift")
        georeferenced = value.transform is not None and not is_local(value.crs)
        if georeferenced and crs is None:
            raise ValueError(
                f"{os.fspath(path)} was imported into a georeferenced chunk without crs; the system of its coordinates is "
                "needed: pass crs=chunk.crs, another one, or CoordinateSystem('LOCAL') for the chunk's own coordinates"
            )
        local = crs is None or is_local(crs.wkt)
        if georeferenced and local:
            mesh = Mesh(mesh.vertices + offset, mesh.faces)
        else:
            placed = value.from_world(mesh, None if crs is None or local else crs.wkt, offset)
            assert isinstance(placed, Mesh)
            mesh = placed
        if replace_asset and self._model is not None:
            self._models.remove(self._model)
        label = os.path.splitext(os.path.basename(os.fspath(path)))[0]
        number = _next(model.key for model in self._models)
        self._model = Model(self, number, label, lambda: mesh)
        self._models.append(self._model)
        if progress is not None:
            progress(100.0)

    def as_value(self) -> values.Chunk:
        """Return the frozen value: the one that it was made of, with what was changed since."""
        region = self._region
        if region is not None and self._value.region is None and region == self._default_region:
            region = None  # only looked at
        return replace(
            self._value,
            label=self.label,
            enabled=self.enabled,
            crs=None if self._crs is None else self._crs.wkt,
            transform=self._transform._matrix,
            region=None if region is None else region.as_value(),
            sensors=tuple(sensor.as_value() for sensor in self._sensors),
            cameras=tuple(camera.as_value() for camera in self._cameras),
        )

    def __repr__(self) -> str:
        return f"Chunk({self.label!r})"


def _stored(chunk: Chunk, number: int, model: values.Model) -> Model:
    key = number if model.id is None else model.id
    return Model(chunk, key, model.label, lambda: load_model(model))


def _next(keys: Iterable[int]) -> int:
    return max(keys, default=-1) + 1


def _found(items: list[_Keyed], key: int) -> _Keyed | None:
    return next((item for item in items if item.key == key), None)
