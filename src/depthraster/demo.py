"""The demo: a small survey made from a seed, and one picture of its depth images.

`make_survey` writes a mesh and a ``cameras.xml`` as Metashape would, `survey_sheet` makes the contact
sheet of what was rendered, `refuse_foreign` keeps both from replacing somebody's survey. The ground is
``landscape.py``'s, rendering and its files ``survey.py``'s, the look of the picture ``contact_sheet.py``'s.
The commonest change is another camera: a row in `_flight`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depthraster.calibration import Calibration
from depthraster.chunk import Camera, Chunk, Component, Sensor
from depthraster.io.files import written_whole
from depthraster.io.images import load_image
from depthraster.io.metashape_writer import save_chunk
from depthraster.landscape import landscape
from depthraster.survey import Outcome
from depthraster.transforms import invert, look_at

__all__ = ["IMAGES", "SHEET", "make_survey", "refuse_foreign", "survey_sheet"]

CAMERAS, MESH, SHEET, IMAGES = "cameras.xml", "mesh.ply", "contact-sheet.png", "depth"
_LABEL = "Village"

# A drone's camera at a third of its resolution, with the distortion such lenses have.
_PIXEL_MM, _FOCAL_MM = 0.0072, 10.0
_CALIBRATION = Calibration(
    width=2000, height=1334, f=1366.4, cx=-6.31, cy=9.84, b1=-0.83, b2=0.27, k1=-0.0943, k2=0.0871, k3=-0.0312,
    p1=0.00071, p2=-0.00046,
)  # fmt: skip

_METRES_PER_UNIT = 17.348  # a chunk's own unit is as arbitrary as its axes
_LONGITUDE, _LATITUDE, _HEIGHT = np.radians(7.4474), np.radians(46.9480), 561.0
_WGS84 = (
    'GEOGCS["WGS 84",DATUM["World Geodetic System 1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.01745329251994328],AUTHORITY["EPSG","4326"]]'
)


def refuse_foreign(folder: Path) -> None:
    """Raise FileExistsError where a folder holds files of the demo's names that no demo made."""
    from depthraster.io.metashape_project import load_chunk

    names = [name for name in (CAMERAS, MESH, SHEET) if os.path.lexists(folder / name)]
    names += [IMAGES] if (folder / IMAGES).is_dir() and any((folder / IMAGES).iterdir()) else []
    if not names:
        return
    try:
        chunk = load_chunk(folder / CAMERAS)
    except (OSError, ValueError):  # not there, or not ours
        chunk = None
    if chunk is None or (chunk.label, chunk.crs) != (_LABEL, _WGS84):
        raise FileExistsError(
            f"{folder} holds {names[0]}, which no demo made; nothing of yours is replaced: choose another folder"
        )


def make_survey(folder: Path, seed: int = 7) -> tuple[Path, Path]:
    """Write a survey's ``mesh.ply`` and ``cameras.xml`` into an existing folder, and return their paths."""
    from trimesh import Trimesh
    from trimesh.exchange.ply import export_ply

    chunk_from_local: npt.NDArray[np.float64] = invert(_local_from_chunk())
    vertices, faces = landscape(seed)
    vertices = vertices @ chunk_from_local[:3, :3].T + chunk_from_local[:3, 3]
    mesh_path, cameras_path = folder / MESH, folder / CAMERAS
    ply = export_ply(Trimesh(vertices, faces, process=False), vertex_normal=False)
    save_chunk(_chunk(chunk_from_local), cameras_path)  # first: by it a folder is known to be a demo's
    with written_whole(mesh_path) as temporary:
        temporary.write_bytes(ply)
    return mesh_path, cameras_path


def survey_sheet(path: Path, chunk: Chunk, folder: Path, results: Iterable[Outcome]) -> Path:
    """Write the contact sheet, a PNG, of the cameras that were rendered without error; return its path.

    Depths are read back from the files in ``folder``, with background 0.
    """
    from depthraster.contact_sheet import Picture, contact_sheet

    pictures = []
    for result in results:
        if result.record is not None and result.camera.calibration is not None:
            depth = load_image(folder / result.record["files"][0]["path"])
            pictures.append(Picture(result.camera.label, depth, depth != 0, result.camera.calibration))
    sheet = contact_sheet(
        pictures,
        "Depth, as each camera sees it",
        f"{len(pictures)} images of {_CALIBRATION.width} by {_CALIBRATION.height} pixels with a Brown lens, "
        "relief shaded from the depth itself",
        scale=chunk.scale or 1.0,
        unit="m",
    )
    with written_whole(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path


def _local_from_chunk() -> npt.NDArray[np.float64]:
    """Return the similarity from the chunk's frame to local axes: east, north, up, metres."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians([24.0, -17.0, 131.0])):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[j, i] = np.sin(angle)
        step[i, j] = -step[j, i]
        turn = step @ turn
    matrix = np.eye(4)
    matrix[:3, :3] = _METRES_PER_UNIT * turn
    matrix[:3, 3] = 11.7, -42.9, 63.4
    return matrix


def _earth_from_local() -> npt.NDArray[np.float64]:
    """Return the rotation and translation from local axes to geocentric WGS 84 coordinates, metres."""
    a, flattening = 6378137.0, 1 / 298.257223563
    e2 = flattening * (2 - flattening)
    sin_lon, cos_lon, sin_lat, cos_lat = (
        np.sin(_LONGITUDE),
        np.cos(_LONGITUDE),
        np.sin(_LATITUDE),
        np.cos(_LATITUDE),
    )
    n = a / np.sqrt(1 - e2 * sin_lat**2)
    matrix = np.eye(4)
    matrix[:3, 0] = -sin_lon, cos_lon, 0
    matrix[:3, 1] = -sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat
    matrix[:3, 2] = cos_lat * cos_lon, cos_lat * sin_lon, sin_lat
    matrix[:3, 3] = (n + _HEIGHT) * matrix[:3, 2] - (0, 0, n * e2 * sin_lat)
    return matrix


def _flight() -> list[tuple[str, npt.NDArray[np.float64]]]:
    """Return each camera's label and its camera -> local transform."""
    rng = np.random.default_rng(11)
    cameras = []
    for strip, y, ahead in (("A", -12, 1), ("B", 48, -1)):
        for k in range(4):
            eye = np.array([ahead * (-84 + 56 * k), y, 98]) + rng.normal(0, 1.5, 3)
            aim = eye + [*rng.normal(0, 4, 2), -98]
            cameras.append((f"nadir-{strip}{k + 1}", look_at(eye, aim, (0, ahead, 0))))
    for side, place, target in (
        ("south", (-25, -110, 62), (-5, 30, 2)),
        ("east", (128, 62, 55), (0, 52, 6)),
        ("north", (-30, 168, 48), (0, 48, 5)),
        ("west", (-128, 10, 42), (0, 50, 8)),
    ):
        cameras.append((f"oblique-{side}", look_at(place, target, (0, 0, 1))))
    return cameras


def _chunk(chunk_from_local: npt.NDArray[np.float64]) -> Chunk:
    """Return the survey as Metashape would keep it: one sensor, the flight, and one photo that was not aligned."""
    scale = np.cbrt(np.linalg.det(chunk_from_local[:3, :3]))
    sensor = Sensor(
        id=0,
        label="Drone (10mm)",
        width=_CALIBRATION.width,
        height=_CALIBRATION.height,
        calibration=_CALIBRATION,
        pixel_size=(_PIXEL_MM, _PIXEL_MM),
        focal_length=_FOCAL_MM,
    )
    cameras: list[Camera] = []
    for label, local_from_camera in _flight():
        chunk_from_camera = chunk_from_local @ local_from_camera
        chunk_from_camera[:3, :3] /= scale  # a camera's transform has no scale
        cameras.append(
            Camera(
                id=len(cameras), label=label, transform=chunk_from_camera, calibration=_CALIBRATION,
                sensor_id=0, component_id=0,
            )
        )  # fmt: skip
    cameras.append(Camera(id=len(cameras), label="blurred", calibration=_CALIBRATION, sensor_id=0))
    earth_from_chunk = _earth_from_local() @ np.linalg.inv(chunk_from_local)
    return Chunk(
        label=_LABEL,
        cameras=tuple(cameras),
        sensors=(sensor,),
        transform=earth_from_chunk,
        crs=_WGS84,
        components=(Component(id=0, label="Component 1", transform=earth_from_chunk),),
        active_component_id=0,
    )
