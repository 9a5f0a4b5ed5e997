"""Real cameras files and projects against what Metashape itself measured: GNSS places, tie points."""

from __future__ import annotations

import re
import statistics
import time
import warnings
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from depthraster.io.metashape_project import load_chunk


def real(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


def test_a_real_file_of_metashape_1_5(real_data):
    chunk = load_chunk(real(real_data / "delfem2_mvs" / "camera.xml"))
    assert len(chunk.cameras) == 20 and all(c.aligned and c.enabled for c in chunk.cameras)
    calibration = chunk.cameras[0].calibration
    assert (calibration.width, calibration.height, calibration.k3) == (3456, 2304, -6.3326987008001367)
    assert chunk.transform is None and chunk.crs.startswith("LOCAL_CS")
    assert chunk.region is not None


def test_a_real_file_of_922_cameras(real_data):
    path = real(real_data / "geograypher_composite" / "composite_georef_cameras.xml")
    chunk = load_chunk(path)
    assert len(chunk.cameras) == 922 and sum(c.aligned for c in chunk.cameras) == 915
    # Beside its transform a camera has its place by GNSS, and the chunk's transform takes it there, to metres. Compared
    # across the vertical: the file's heights are not from where the transform's are, +45 m for one flight and -50 m for
    # the other, and switched off for it.
    references = {
        element.get("id"): element.find("reference").attrib
        for element in ElementTree.parse(path).getroot().iter("camera")
        if element.find("reference") is not None
    }
    away = []
    for camera in chunk.cameras:
        reference = references.get(str(camera.id))
        if camera.aligned and reference is not None:
            lon, lat, height = (float(reference[axis]) for axis in "xyz")
            place = earth_point(lon, lat, height)
            up = earth_point(lon, lat, height + 1.0) - place
            offset = (chunk.transform @ camera.transform)[:3, 3] - place
            away.append(np.linalg.norm(offset - offset @ up * up))
    assert len(away) == 915
    assert max(away) < 10.0  # metres, of a survey hundreds of metres wide, 6.4e6 m from the origin


def test_922_cameras_are_read_in_half_a_second(real_data):
    """Of the processor's time, which is the clock's where nobody else uses the machine; the reader has one thread."""
    path = real(real_data / "geograypher_composite" / "composite_georef_cameras.xml")
    seconds = []
    for _ in range(5):
        start = time.process_time()
        chunk = load_chunk(path)
        seconds.append(time.process_time() - start)
        assert len(chunk.cameras) == 922
    assert statistics.median(seconds) < 0.5


def earth_point(lon: float, lat: float, height: float) -> np.ndarray:
    """WGS 84 degrees and metres to geocentric metres."""
    lon, lat = np.radians([lon, lat])
    e2 = 0.0066943799901413165
    n = 6378137.0 / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    return np.array(
        [
            (n + height) * np.cos(lat) * np.cos(lon),
            (n + height) * np.cos(lat) * np.sin(lon),
            (n * (1 - e2) + height) * np.sin(lat),
        ]
    )


# By the folders' index: cameras, aligned ones, sensors.
COUNTS = {
    "delfem2_mvs/camera.xml": (20, 20, 1),
    "geograypher_composite/composite_georef_cameras.xml": (922, 915, 1),
    "photoscan_collection/cameras.xml": (16, 16, 1),
    "easyidp_psx/goya_test.psx": (259, 256, 1),
    "easyidp_psx/wheat_tanashi.psx": (138, 138, 1),
    "psz_dbat/c4040z_79b5e4cc.psz": (21, 21, 1),
    "psz_dbat/camcal7din_30769b89.psz": (20, 20, 1),
    "psz_dbat/pmtestin_7863077e.psz": (4, 4, 1),
    "psz_dbat/sxb_5cdc1dba.psz": (5, 5, 1),
}


@pytest.mark.parametrize("name", COUNTS)
def test_every_real_file_is_read(real_data, name):
    path = real(real_data / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chunk = load_chunk(path)
    aligned = [camera for camera in chunk.cameras if camera.aligned]
    assert (len(chunk.cameras), len(aligned), len(chunk.sensors)) == COUNTS[name]
    # And by counting the elements, without our reader.
    if path.suffix == ".psx":
        text = zipfile.ZipFile(path.with_suffix(".files") / "0" / "chunk.zip").read("doc.xml")
    else:
        text = zipfile.ZipFile(path).read("doc.xml") if path.suffix == ".psz" else path.read_bytes()
    root = ElementTree.fromstring(text)
    elements = [camera for cameras in root.iter("cameras") for camera in cameras if camera.get("label")]
    assert len(elements) == len(chunk.cameras)
    assert sum(element.find("transform") is not None for element in elements) == len(aligned)
    assert [element.get("label") for element in elements] == [camera.label for camera in chunk.cameras]
    for camera in aligned:
        assert camera.calibration is not None and camera.in_active_component and camera.enabled
        assert abs(np.linalg.det(camera.transform[:3, :3]) - 1) < 1e-6
    # Two were written by another program, from its own cameras, which look along -Z.
    if chunk.region is not None and "(imported)" not in chunk.label:
        # The region is drawn around what was aligned: a camera sees its centre, or lies in it.
        seen = [
            camera.calibration.project(
                (chunk.region.center - camera.transform[:3, 3]) @ camera.transform[:3, :3]
            )
            for camera in aligned
        ]
        inside = [
            np.all((pixel >= 0) & (pixel <= (camera.calibration.width, camera.calibration.height)))
            for pixel, camera in zip(seen, aligned, strict=True)
        ]
        assert any(inside)


def test_the_oldest_format(real_data):
    chunk = load_chunk(real(real_data / "photoscan_collection" / "cameras.xml"))
    assert len(chunk.cameras) == 16 and all(c.aligned for c in chunk.cameras) and len(chunk.sensors) == 1
    # By hand from the first camera's fx fy cx cy skew k1 p1 p2: the centre is absolute, p1 and p2 are exchanged.
    c = chunk.cameras[0].calibration
    assert (c.f, c.f + c.b1, c.b2) == (1873.8616128634769, 1870.7469131103019, -0.8631959204951065)
    assert (c.cx, c.cy) == (525.86579873845619 - 486, 400.83738488303931 - 324)
    assert (c.k1, c.p1, c.p2) == (-0.16675726916786160, -5.2912191800171066e-05, -0.0014556415480751863)
    assert chunk.scale == pytest.approx(261.1, abs=0.01) and chunk.region is not None


@pytest.mark.parametrize(
    ("name", "cameras", "aligned", "shutter"),
    [("goya_test", 259, 256, True), ("wheat_tanashi", 138, 138, False)],
)
def test_real_projects(real_data, name, cameras, aligned, shutter):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        chunk = load_chunk(real(real_data / "easyidp_psx" / f"{name}.psx"))
    assert ["rolling shutter" in str(w.message) for w in caught] == [True] * shutter
    assert (len(chunk.cameras), sum(c.aligned for c in chunk.cameras)) == (cameras, aligned)
    assert chunk.region is not None and chunk.active and len(chunk.sensors) == 1
    assert all(c.photo.endswith((f"{c.label}", f"{c.label}.JPG")) for c in chunk.cameras)


def test_a_mesh_that_was_not_copied_is_said_to_be_missing(real_data):
    chunk = load_chunk(real(real_data / "easyidp_psx" / "wheat_tanashi.psx"))
    assert [(m.id, m.active) for m in chunk.models] == [(1, True)]
    with pytest.raises(FileNotFoundError, match="export the model from Metashape as PLY"):
        chunk.load_mesh()
    chunk = load_chunk(real(real_data / "psz_dbat" / "sxb_5cdc1dba.psz"))
    with pytest.raises(ValueError, match="no mesh inside; one is needed: export the model"):
        chunk.load_mesh()


def ply_points(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two or three float columns and the ids of a PhotoScan point file."""
    header, body = data.split(b"end_header\n", 1)
    count = int(re.search(rb"element vertex (\d+)", header)[1])
    names = [line.split()[-1].decode() for line in header.splitlines() if line.startswith(b"property")]
    rows = np.frombuffer(body, [(n, "<i4" if n == "id" else "<f4") for n in names], count)
    return np.stack([rows[n] for n in "xyz" if n in names], axis=1).astype(float), rows["id"]


@pytest.mark.parametrize("name", ["c4040z_79b5e4cc", "sxb_5cdc1dba"])
def test_legacy_calibrations_meet_the_tie_points_of_real_projects(real_data, name):
    """Absolute cx and cy, p1 and p2 the other way round: 17,838 observations in the first tell."""
    path = real(real_data / "psz_dbat" / f"{name}.psz")
    archive = zipfile.ZipFile(path)
    assert b"<fx>" in archive.read("doc.xml")
    cameras = {camera.id: camera for camera in load_chunk(path).cameras}
    points, ids = ply_points(archive.read("points0.ply"))
    residuals = []
    for element in ElementTree.fromstring(archive.read("doc.xml")).iter("projections"):
        camera = cameras[int(element.get("camera_id"))]
        pixels, seen = ply_points(archive.read(element.get("path")))
        k = np.searchsorted(ids, seen).clip(max=len(ids) - 1)
        known = ids[k] == seen
        inverse = np.linalg.inv(camera.transform)
        in_camera = points[k[known]] @ inverse[:3, :3].T + inverse[:3, 3]
        residuals.append(camera.calibration.project(in_camera) - pixels[known])
    residuals = np.concatenate(residuals)
    assert len(residuals) > 4000 and np.isfinite(residuals).all()
    assert np.abs(np.median(residuals, axis=0)).max() < 0.1
    assert np.median(np.linalg.norm(residuals, axis=1)) < 1.0
