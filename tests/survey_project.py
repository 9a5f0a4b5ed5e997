"""A small georeferenced survey as a Metashape project with a mesh inside, for tests of the façade.

The chunk's +Z is up, one of its units is 3 m, and it lies near 7.4 E, 47 N. Cameras look down on a hilly sheet of 40 x 40
units. The commonest change is another camera: a line in `survey`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

import depthraster as dr
import meshes
from depthraster.chunk import Component, Region, Sensor
from projects import frame_xml, model_xml, ply, write_psx

SCALE = 3.0
WGS84 = (
    'GEOGCS["WGS 84",DATUM["World Geodetic System 1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.01745329251994328],AUTHORITY["EPSG","4326"]]'
)
LENS = dr.Calibration(
    width=160, height=120, f=150, cx=1.5, cy=-2.0, b1=0.2, k1=-0.06, k2=0.03, p1=4e-4, p2=-3e-4
)
OWN_LENS = dr.Calibration(width=160, height=120, f=148, k1=-0.05)


class Survey(NamedTuple):
    path: Path  # the .psx
    chunk: dr.Chunk  # what is in it
    mesh: tuple[np.ndarray, np.ndarray]


def earth_from_chunk() -> np.ndarray:
    """East, north and up at a place near Bern, in units of 3 m."""
    lon, lat = np.radians([7.44, 46.95])
    a, e2 = 6378137.0, 6.69437999014e-3
    up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    n = a / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    matrix = np.eye(4)
    matrix[:3, :3] = SCALE * np.stack([east, np.cross(up, east), up], axis=1)
    matrix[:3, 3] = (n + 560.0) * up - [0, 0, n * e2 * np.sin(lat)]
    return matrix


def sheet() -> tuple[np.ndarray, np.ndarray]:
    """The mesh, its vertices as a project keeps them, in float32."""
    vertices, faces = meshes.terrain(np.random.default_rng(8), 60, 60, 40.0, 0.0, 3.0)
    vertices = vertices * [1.0, -1.0, -1.0]  # front faces up
    return vertices.astype(np.float32).astype(float), faces


def survey(folder: Path) -> Survey:
    """Write the project into a folder."""
    vertices, faces = sheet()
    cameras = []
    for k, (label, eye, aim, more) in enumerate(
        [
            ("IMG_1", (-6, -4, 30), (-4, -4, 0), {}),
            ("IMG_2", (5, -3, 32), (4, -4, 0), {}),
            ("IMG_3", (0, 7, 28), (0, 5, 0), {"calibration": OWN_LENS}),
            ("oblique", (0, -30, 18), (0, 0, 0), {}),
            ("lost", None, None, {}),
            ("off", (0, 0, 30), (1, 0, 0), {"enabled": False}),
        ]
    ):
        transform = None if eye is None else dr.look_at(eye, aim, (0, 1, 0))
        values = {"calibration": LENS, "sensor_id": 0, "transform": transform, **more}
        if transform is not None:
            values["component_id"] = 0
        cameras.append(dr.Camera(id=k, label=label, **values))
    chunk = dr.Chunk(
        label="Hills",
        cameras=cameras,
        sensors=[
            Sensor(
                id=0,
                label="drone",
                width=160,
                height=120,
                calibration=LENS,
                pixel_size=(0.004, 0.004),
                focal_length=0.6,
            )
        ],
        transform=earth_from_chunk(),
        crs=WGS84,
        region=Region(center=(0.5, -0.5, 0.0), size=(40, 40, 8), rotation=np.eye(3)),
        components=[Component(id=0, label="Component 1", transform=earth_from_chunk())],
        active_component_id=0,
    )
    cameras_file = folder / "for_the_project.xml"
    dr.save_chunk(chunk, cameras_file)
    text = cameras_file.read_text()
    cameras_file.unlink()
    document = text[text.index("<chunk") : text.index("</chunk>")]
    document += '<frames next_id="1"><frame id="0" path="0/frame.zip"/></frames>'
    document += '<models next_id="1" active_id="0"><model id="0" label="Model"/></models></chunk>'
    path = write_psx(
        folder,
        [document],
        name="hills",
        frames={
            "0/0": frame_xml('<model id="0" path="model/model.zip"/>', photo="../../../photos/IMG_1.JPG")
        },
        models={"0/0/model/model.zip": {"doc.xml": model_xml("mesh.ply"), "mesh.ply": ply(vertices, faces)}},
    )
    return Survey(path, dr.load_chunk(path), (vertices, faces))
