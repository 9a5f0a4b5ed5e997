"""Case folders: a mesh, a camera and the depth image that another program made of them, to be rendered and compared.

A case is told by its ``case.json``, see `Case`; a folder without one is understood if it holds one mesh, one cameras file
and images named after cameras. The commonest change is another entry of ``case.json``: in `_from_json` and the table in
``docs/golden-images.md``.
"""

from __future__ import annotations

import errno
import functools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.comparison.compare import compare
from depthraster.comparison.measures import Tolerances
from depthraster.comparison.report import Comparison
from depthraster.errors import FormatError
from depthraster.io.meshes import Mesh, load_mesh
from depthraster.render import render_depth
from depthraster.scene import Scene
from depthraster.transforms import check_transform

__all__ = ["CASE_FILE", "Case", "CasePlace", "find_cases"]

CASE_FILE = "case.json"
_MESHES = (".ply", ".obj", ".stl", ".off", ".glb", ".gltf")
_CAMERAS = (".xml", ".psx", ".psz")
_IMAGES = (".tif", ".tiff", ".exr", ".npy", ".npz", ".pfm", ".png")
_ENTRIES = {
    *("mesh", "depth", "transform", "calibration", "cameras", "camera"),
    *("cull_faces", "depth_kind", "scale", "background", "tolerances", "made_by", "note"),
}


@dataclass(frozen=True)
class CasePlace:
    """Where a case is, before anything of it is read.

    Attributes
    ----------
    name : str
        Its folder, relative to where it was looked for, and the image where a folder has several.
    folder : Path
        The folder.
    image : Path or None
        The image of a folder without ``case.json``.
    """

    name: str
    folder: Path
    image: Path | None = None

    def load(self) -> Case:
        """Read what the case says; the mesh and the image are read when it is rendered and compared.

        Raises
        ------
        FormatError
            It does not say what a case has to say.
        OSError
            A file cannot be read.
        """
        path = self.folder / CASE_FILE
        if self.image is None or path.is_file():
            return _from_json(self.name, path)
        return _from_files(self.name, self.folder, self.image)


@dataclass(frozen=True, eq=False)
class Case:
    """A view that another program has rendered.

    Attributes
    ----------
    name : str
        What it is called.
    mesh : Path
        The mesh, in the chunk's frame.
    theirs : Path
        The depth image that the other program made.
    transform : (4, 4) float64 array
        Camera to chunk.
    calibration : Calibration
        The lens.
    cull_faces : bool
        As the other program was told.
    depth : {"z", "range"} or None
        What its depths are; None: the default of the lens.
    scale : float or None
        Its depths in chunk units times this; None: whatever fits.
    background : float or None
        A depth that means that nothing is seen, as for `compare`.
    tolerances : Tolerances
        What counts as the same.
    made_by : str
        The other program.
    """

    name: str
    mesh: Path
    theirs: Path
    transform: npt.NDArray[np.float64]
    calibration: Calibration
    cull_faces: bool = True
    depth: Literal["z", "range"] | None = None
    scale: float | None = 1.0
    background: float | None = None
    tolerances: Tolerances = field(default_factory=Tolerances)
    made_by: str = ""

    def render(self, threads: int | None = None) -> npt.NDArray[np.float32]:
        """Render the view: (H, W, 2) float32, depth in chunk units and alpha."""
        scene = _prepared(*_state(self.mesh))[1]
        return render_depth(
            scene, self.transform, self.calibration, self.cull_faces, depth=self.depth, threads=threads
        )

    def compare(self, ours: Any = None, threads: int | None = None) -> Comparison:
        """Compare the other program's image with ours, rendered now or given.

        Raises
        ------
        FormatError, OSError
            A file that cannot be read.
        ValueError
            The image has another size than the calibration says.
        """
        mesh, _ = _prepared(*_state(self.mesh))
        return compare(
            self.render(threads) if ours is None else ours,
            self.theirs,
            calibration=self.calibration,
            transform=self.transform,
            scene=mesh,
            scale=self.scale,
            tolerances=self.tolerances,
            background=self.background,
            depth=self.depth,
            cull_faces=self.cull_faces,
            threads=threads,
        )


def find_cases(folder: str | os.PathLike[str]) -> list[CasePlace]:
    """Find the cases in a folder and those below it, by name.

    A folder with a ``case.json`` is a case. One without, with a mesh, a cameras file and images, is a case for each image.

    Raises
    ------
    FormatError
        There are none.
    OSError
        The folder cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "this is a file" if root.exists() else "there is no such folder"
        raise NotADirectoryError(
            errno.ENOTDIR, f"{what}; a folder with cases is needed: check the path", os.fspath(root)
        )
    found: list[CasePlace] = []
    for place, folders, files in os.walk(root, onerror=_raise):
        folders.sort()
        path = Path(place)
        name = path.relative_to(root).as_posix() if path != root else path.resolve().name
        if CASE_FILE in files:
            found.append(CasePlace(name, path))
            continue
        suffixes = {Path(file).suffix.lower() for file in files}
        if suffixes & set(_MESHES) and suffixes & set(_CAMERAS):
            images = sorted(file for file in files if Path(file).suffix.lower() in _IMAGES)
            found += [CasePlace(f"{name}/{file}", path, path / file) for file in images]
    if not found:
        raise FormatError(
            f"{root}: there is no case in the folder; a {CASE_FILE}, or a mesh, a cameras file and images named after its "
            "cameras, are needed: record some, or name the folder above them"
        )
    return found


def _raise(error: OSError) -> None:
    raise error


def _state(path: Path) -> tuple[Path, int, int]:
    """Return what tells whether a file is still the same."""
    status = path.stat()
    return path, status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=1)
def _prepared(path: Path, _changed: int, _size: int) -> tuple[Mesh, Scene]:
    """Return a mesh and the scene made of it; the last one is kept, for cases often share it."""
    mesh = load_mesh(path)
    return mesh, Scene.from_mesh(mesh, invalid="drop")


def _from_json(name: str, path: Path) -> Case:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(
            f"{path}: not read as JSON ({error}); a whole file is needed: record the case again"
        ) from None
    if not isinstance(said, dict):
        raise _unfit(path, "", "a list or a value", "an object, { ... },")
    unknown = sorted(said.keys() - _ENTRIES)
    if unknown:
        raise FormatError(
            f"{path}: there is an entry {unknown[0]!r}, which means nothing; those of {', '.join(sorted(_ENTRIES))} are "
            "needed: correct it, or write what it says into note"
        )
    folder = path.parent
    calibration, transform = _camera(path, said)
    kind = said.get("depth_kind")
    if kind not in (None, "z", "range"):
        raise _unfit(path, "depth_kind", kind, "'z', 'range' or null")
    for entry in ("scale", "background"):
        value = said.get(entry)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise _unfit(path, entry, value, "a number or null")
    cull_faces = said.get("cull_faces", True)
    if not isinstance(cull_faces, bool):
        raise _unfit(path, "cull_faces", cull_faces, "true or false")
    limits = said.get("tolerances", {})
    try:
        tolerances = Tolerances(**limits)
    except (TypeError, ValueError) as error:
        raise _unfit(path, "tolerances", limits, f"an object of numbers ({error})") from None
    return Case(
        name,
        folder / _text(path, said, "mesh"),
        folder / _text(path, said, "depth"),
        transform,
        calibration,
        cull_faces=cull_faces,
        depth=kind,
        scale=said.get("scale", 1.0),
        background=said.get("background"),
        tolerances=tolerances,
        made_by=str(said.get("made_by", "")),
    )


def _camera(path: Path, said: dict[str, Any]) -> tuple[Calibration, npt.NDArray[np.float64]]:
    """Return the calibration and the transform that a case states or that its cameras file has."""
    if "cameras" in said:
        return _chunk_camera(path, path.parent / _text(path, said, "cameras"), _text(path, said, "camera"))
    for entry in ("calibration", "transform"):
        if entry not in said:
            raise _unfit(path, entry, None, "transform and calibration, or cameras and camera,")
    values = said["calibration"]
    try:
        calibration = Calibration(**values)
    except (TypeError, ValueError) as error:
        raise _unfit(path, "calibration", values, f"an object with width, height, f ... ({error})") from None
    try:
        return calibration, check_transform(said["transform"])
    except (TypeError, ValueError) as error:
        raise _unfit(path, "transform", said["transform"], f"four rows of four numbers ({error})") from None


def _from_files(name: str, folder: Path, image: Path) -> Case:
    """Return the case of an image named after a camera."""
    chosen = []
    for what, suffixes in (("mesh", _MESHES), ("cameras file", _CAMERAS)):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes)
        if len(files) != 1:
            names = ", ".join(file.name for file in files)
            raise FormatError(
                f"{folder}: there is more than one {what} ({names}); one is needed: leave one, or write a {CASE_FILE}"
            )
        chosen.append(files[0])
    mesh, cameras = chosen
    calibration, transform = _chunk_camera(image, cameras, image.stem)
    return Case(name, mesh, image, transform, calibration)


def _chunk_camera(path: Path, cameras: Path, label: str) -> tuple[Calibration, npt.NDArray[np.float64]]:
    from depthraster.io.metashape_project import load_chunk

    try:
        camera = load_chunk(cameras).camera(label)
    except ValueError as error:
        raise FormatError(f"{path}: {error}") from None
    if camera.calibration is None or camera.transform is None:
        raise FormatError(
            f"{path}: camera {label!r} of {cameras.name} has no calibration or is not aligned; both are needed: choose "
            "another camera"
        )
    return camera.calibration, camera.transform


def _text(path: Path, said: dict[str, Any], entry: str) -> str:
    value = said.get(entry)
    if not isinstance(value, str) or not value:
        raise _unfit(path, entry, value, "a text")
    return value


def _unfit(path: Path, entry: str, value: Any, needed: str) -> FormatError:
    where = f"{path}: {entry}" if entry else str(path)
    shown = "nothing" if value is None else repr(value)
    shown = shown if len(shown) < 80 else shown[:77] + "..."
    return FormatError(f"{where} is {shown}; {needed} is needed: correct the file, or record the case again")
