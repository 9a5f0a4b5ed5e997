"""Points and meshes between a chunk and the world: against geodesy written out here, and against real cameras."""

from __future__ import annotations

import math
import sys
import warnings

import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose

import depthraster as dr
from depthraster.io.meshes import Mesh

A, F = 6378137.0, 1 / 298.257223563  # WGS 84
E2 = F * (2 - F)

WGS84 = (
    'GEOGCS["WGS 84",DATUM["World Geodetic System 1984",SPHEROID["WGS 84",6378137,298.257223563,'
    'AUTHORITY["EPSG","7030"]],TOWGS84[0,0,0,0,0,0,0],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,'
    'AUTHORITY["EPSG","8901"]],UNIT["degree",0.01745329251994328,AUTHORITY["EPSG","9102"]],AUTHORITY["EPSG","4326"]]'
)
LOCAL = (
    'LOCAL_CS["Local Coordinates (m)",LOCAL_DATUM["Local Datum",0],UNIT["metre",1,AUTHORITY["EPSG","9001"]]]'
)
FACES = np.array([[0, 1, 2], [2, 1, 3]])


def geocentric(lon, lat, h, a=A, e2=E2):
    lon, lat = np.radians(lon), np.radians(lat)
    n = a / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    return np.stack(
        [
            (n + h) * np.cos(lat) * np.cos(lon),
            (n + h) * np.cos(lat) * np.sin(lon),
            (n * (1 - e2) + h) * np.sin(lat),
        ],
        axis=-1,
    )


def utm(lon, lat, zone):
    """Krüger's series to the fourth order of the third flattening (micrometres within a zone)."""
    n = F / (2 - F)
    radius = A / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
    alpha = [
        n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16 + 41 * n**4 / 180,
        13 * n**2 / 48 - 3 * n**3 / 5 + 557 * n**4 / 1440,
        61 * n**3 / 240 - 103 * n**4 / 140,
        49561 * n**4 / 161280,
    ]
    phi, lam = np.radians(lat), np.radians(lon - (6 * zone - 183))
    e = math.sqrt(E2)
    t = np.sinh(np.arctanh(np.sin(phi)) - e * np.arctanh(e * np.sin(phi)))
    xi, eta = np.arctan2(t, np.cos(lam)), np.arcsinh(np.sin(lam) / np.hypot(t, np.cos(lam)))
    x, y = eta.copy(), xi.copy()
    for j, a in enumerate(alpha, 1):
        x += a * np.cos(2 * j * xi) * np.sinh(2 * j * eta)
        y += a * np.sin(2 * j * xi) * np.cosh(2 * j * eta)
    return 500000 + 0.9996 * radius * x, 0.9996 * radius * y


def rotation(rng):
    matrix = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return matrix * np.sign(np.linalg.det(matrix))


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture
def chunk(rng):
    """A chunk near 11.5 E, 48.1 N, with units of 22 m."""
    matrix = np.eye(4)
    matrix[:3, :3] = 22.0 * rotation(rng)
    matrix[:3, 3] = geocentric(11.5, 48.1, 600.0)
    return dr.Chunk(label="survey", transform=matrix, crs=WGS84)


@pytest.fixture
def places(rng):
    """Longitude, latitude and height of points around the chunk."""
    return np.stack(
        [rng.uniform(11.4, 11.6, 500), rng.uniform(48.0, 48.2, 500), rng.uniform(0, 900, 500)], axis=1
    )


def test_geocentric_coordinates_lose_nothing(chunk, rng):
    points = rng.uniform(-50, 50, (1000, 3))
    world = chunk.to_world(points)
    expected = points @ chunk.transform[:3, :3].T + chunk.transform[:3, 3]
    assert_allclose(world, expected, rtol=0, atol=2e-9)
    # A coordinate of the earth's radius is rounded to 1e-9 m, 5e-11 units; nothing may come to that.
    back = chunk.from_world(world)
    assert_allclose(back, points, rtol=0, atol=2e-10)
    assert np.array_equal(chunk.from_world(world, "geocentric"), back)
    assert back.dtype == np.float64


def test_shapes_are_kept(chunk):
    for shape in ((3,), (5, 3), (2, 3), (2, 4, 3), (0, 3)):
        points = np.ones(shape)
        assert chunk.from_world(chunk.to_world(points)).shape == shape
    assert chunk.to_world([[1, 2, 3], [4, 5, 6]]).shape == (2, 3)


def test_offsets_are_added_coming_and_subtracted_going(chunk, rng):
    points = rng.uniform(-50, 50, (10, 3))
    offset = np.round(chunk.transform[:3, 3], -3)
    small = chunk.to_world(points, offset=offset)
    assert np.abs(small).max() < 5000
    assert_allclose(small + offset, chunk.to_world(points), rtol=0, atol=2e-9)
    assert_allclose(chunk.from_world(small, offset=offset), points, rtol=0, atol=2e-10)


def test_projected_coordinates(chunk, places):
    pytest.importorskip("pyproj")
    lon, lat, h = places.T
    east, north = utm(lon, lat, 32)
    in_chunk = chunk.from_world(geocentric(lon, lat, h))
    projected = np.stack([east, north, h], axis=1)
    assert_allclose(chunk.from_world(projected, "EPSG:32632"), in_chunk, rtol=0, atol=1e-7)
    assert_allclose(chunk.from_world(projected, 32632), in_chunk, rtol=0, atol=1e-7)
    assert_allclose(chunk.to_world(in_chunk, "EPSG:32632"), projected, rtol=0, atol=2e-6)
    offset = (690000.0, 5300000.0, 500.0)
    assert_allclose(chunk.from_world(projected - offset, "EPSG:32632", offset), in_chunk, rtol=0, atol=1e-7)
    assert_allclose(chunk.to_world(in_chunk, "EPSG:32632", offset), projected - offset, rtol=0, atol=2e-6)


def test_geographic_coordinates_are_longitude_latitude(chunk, places):
    pytest.importorskip("pyproj")
    in_chunk = chunk.from_world(geocentric(*places.T))
    for crs in ("EPSG:4326", WGS84):
        assert_allclose(chunk.from_world(places, crs), in_chunk, rtol=0, atol=1e-9)
        assert_allclose(chunk.to_world(in_chunk, crs), places, rtol=0, atol=1e-8)


def test_a_datum_of_its_own_is_not_shifted_to_another(chunk, places):
    """The world of a chunk is geocentric on the datum of its own system, whatever shift to WGS 84 that has with it."""
    pytest.importorskip("pyproj")
    bessel = (
        'GEOGCS["DHDN",DATUM["Deutsches Hauptdreiecksnetz",SPHEROID["Bessel 1841",6377397.155,299.1528128,'
        'AUTHORITY["EPSG","7004"]],TOWGS84[598.1,73.7,418.2,0.202,0.045,-2.455,6.7],AUTHORITY["EPSG","6314"]],'
        'PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.01745329251994328,AUTHORITY["EPSG","9102"]],'
        'AUTHORITY["EPSG","4314"]]'
    )
    own = dr.Chunk(transform=chunk.transform, crs=bessel)
    f = 1 / 299.1528128
    world = geocentric(*places.T, a=6377397.155, e2=f * (2 - f))
    assert_allclose(own.from_world(places, bessel), own.from_world(world), rtol=0, atol=1e-9)
    # Between it and WGS 84 there is the shift, by its own seven numbers (position vector, EPSG method 1033).
    x, y, z = np.radians(np.array([0.202, 0.045, -2.455]) / 3600)
    turn = (1 + 6.7e-6) * np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]])
    shifted = np.linalg.solve(turn, (geocentric(*places.T) - [598.1, 73.7, 418.2]).T).T
    assert np.linalg.norm(shifted - geocentric(*places.T), axis=1).min() > 500
    assert_allclose(own.from_world(places, "EPSG:4326"), own.from_world(shifted), rtol=0, atol=1e-9)
    assert_allclose(own.to_world(own.from_world(shifted), "EPSG:4326"), places, rtol=0, atol=1e-8)
    there = chunk.from_world(world @ turn.T + [598.1, 73.7, 418.2])
    assert_allclose(chunk.from_world(places, bessel), there, rtol=0, atol=1e-9)


def test_heights_above_a_geoid_are_not_taken_for_others(chunk):
    pyproj = pytest.importorskip("pyproj")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is not
        group = pyproj.transformer.TransformerGroup("EPSG:32632+5773", "EPSG:4979", allow_ballpark=False)
    if group.best_available:
        pytest.skip("the grid of the geoid is installed")
    with pytest.raises(ValueError, match="grid files are needed"):
        chunk.from_world([[690000.0, 5330000.0, 500.0]], "EPSG:32632+5773")


def test_meshes_of_every_kind(chunk, rng, tmp_path):
    vertices = rng.uniform(-5, 5, (4, 3))
    world = chunk.to_world(vertices)
    path = tmp_path / "mesh.ply"
    trimesh.Trimesh(vertices, FACES, process=False).export(path)
    for mesh in (
        Mesh(world, FACES),
        (world, FACES),
        [world, FACES],
        trimesh.Trimesh(world, FACES, process=False),
    ):
        result = chunk.from_world(mesh)
        assert isinstance(result, Mesh) and np.array_equal(result.faces, FACES)
        assert np.array_equal(result.vertices, chunk.from_world(world))
        assert dr.Scene.from_mesh(result).n_faces == 2
    assert_allclose(chunk.to_world(path).vertices, world, rtol=0, atol=1e-4)  # trimesh writes float32


def test_without_a_transform_the_world_is_the_chunk(rng):
    points = rng.normal(size=(5, 3))
    for crs in (None, LOCAL, WGS84):
        chunk = dr.Chunk(crs=crs)
        assert np.array_equal(chunk.from_world(points), points)
        assert np.array_equal(chunk.to_world(points, "local", offset=(1, 2, 3)), points - [1, 2, 3])


def test_local_chunks(chunk, rng):
    local = dr.Chunk(transform=chunk.transform, crs=LOCAL)
    points = rng.normal(size=(5, 3))
    assert np.array_equal(local.from_world(points, "local"), chunk.from_world(points, "geocentric"))
    with pytest.raises(ValueError, match="'geocentric' and the chunk is in local coordinates"):
        local.from_world(points, "geocentric")
    with pytest.raises(ValueError, match="'local' and the chunk is georeferenced"):
        chunk.from_world(points, "local")
    with pytest.raises(ValueError, match="'EPSG:32632' and the chunk has no transform; a georeferenced"):
        dr.Chunk(crs=WGS84).from_world(points, "EPSG:32632")


def test_what_cannot_be_is_said_in_a_sentence(chunk):
    with pytest.raises(ValueError, match=r"shape \(2, 2\); \(..., 3\) is needed"):
        chunk.from_world([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match=r"offset is .* three finite numbers"):
        chunk.from_world([1, 2, 3], offset=(1, 2))
    pytest.importorskip("pyproj")
    with pytest.raises(ValueError, match="'EPSG:99999999', which pyproj does not know"):
        chunk.from_world([1, 2, 3], "EPSG:99999999")
    with pytest.raises(ValueError, match=r"1 of 2 points, the first at index 1, have no place"):
        chunk.from_world([[690000.0, 5330000.0, 0.0], [math.nan, 0.0, 0.0]], "EPSG:32632")


def test_without_pyproj_the_extra_is_named(chunk, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyproj", None)
    assert chunk.from_world(chunk.to_world([1, 2, 3])).shape == (3,)
    with pytest.raises(ImportError, match=r"'EPSG:32632' is named.*depthraster\[geo\]"):
        chunk.from_world([1, 2, 3], "EPSG:32632")


def test_real_cameras_in_their_coordinate_system(real_data):
    """The places of 915 photos by their receiver, in degrees, and by alignment: metres apart, in a survey of 1 km."""
    pytest.importorskip("pyproj")
    path = real_data / "geograypher_composite" / "composite_georef_cameras.xml"
    if not path.exists():
        pytest.skip(f"no {path}")
    chunk = dr.load_chunk(path)
    cameras = [camera for camera in chunk.cameras if camera.aligned]
    centers = np.array([camera.transform[:3, 3] for camera in cameras])
    found = chunk.to_world(centers, chunk.crs)
    measured = np.array([camera.reference.location for camera in cameras])
    metres = (found - measured)[:, :2] * [111320 * math.cos(math.radians(39)), 111320]
    assert np.abs(metres).max() < 10.0
    for crs in (chunk.crs, "EPSG:32610", "EPSG:4978"):
        assert_allclose(chunk.from_world(chunk.to_world(centers, crs), crs), centers, rtol=0, atol=1e-8)
