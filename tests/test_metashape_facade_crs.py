"""Coordinate systems of the façade, against geodesy written out in `test_world`."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import depthraster.metashape as Metashape
from test_world import LOCAL, geocentric, utm

needs_pyproj = pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of pyproj")


@needs_pyproj
def test_coordinates_go_to_geocentric_ones_and_back():
    wgs84 = Metashape.CoordinateSystem("EPSG::4326")
    point = Metashape.Vector([7.44, 46.95, 560.0])
    earth = geocentric(*point)
    np.testing.assert_allclose(wgs84.unproject(point), earth, atol=1e-6)
    np.testing.assert_allclose(wgs84.project(earth), point, atol=1e-9)
    zone = Metashape.CoordinateSystem("EPSG::32632")
    np.testing.assert_allclose(
        Metashape.CoordinateSystem.transform(point, wgs84, zone)[:2],
        utm(np.array(7.44), np.array(46.95), 32),
        atol=1e-4,
    )
    np.testing.assert_allclose(zone.project(earth).z, 560.0, atol=1e-6)
    assert (zone.authority, zone.name) == ("EPSG::32632", "WGS 84 / UTM zone 32N")
    assert Metashape.CoordinateSystem.transform(point, wgs84, wgs84) == point
    two = Metashape.CoordinateSystem.transform([7.44, 46.95], wgs84, zone)
    assert len(two) == 2
    np.testing.assert_allclose(wgs84.geoccs.project(earth), earth, atol=1e-9)
    assert zone.copy() == zone != wgs84 and "METHOD" in zone.wkt2


@needs_pyproj
def test_the_local_frame_is_east_north_up():
    wgs84 = Metashape.CoordinateSystem("EPSG::4326")
    origin = Metashape.Vector(geocentric(7.44, 46.95, 560.0))
    frame = wgs84.localframe(origin)
    np.testing.assert_allclose(frame.mulp(origin), [0, 0, 0], atol=1e-8)
    np.testing.assert_allclose(frame.mulp(geocentric(7.44, 46.95, 660.0)), [0, 0, 100], atol=1e-6)
    east, north = (geocentric(7.44 + dx, 46.95 + dy, 560.0) for dx, dy in ((1e-5, 0), (0, 1e-5)))
    assert frame.mulp(east).x == pytest.approx(0.762, rel=1e-2) and abs(frame.mulp(east).y) < 1e-5
    assert frame.mulp(north).y == pytest.approx(1.112, rel=1e-2) and abs(frame.mulp(north).x) < 1e-5
    np.testing.assert_allclose(frame.rotation() * frame.rotation().t(), np.eye(3), atol=1e-12)


def test_a_local_system_is_where_the_transform_leads():
    for local in (
        Metashape.CoordinateSystem(),
        Metashape.CoordinateSystem("LOCAL"),
        Metashape.CoordinateSystem(LOCAL),
    ):
        assert list(local.project([1, 2, 3])) == list(local.unproject([1, 2, 3])) == [1, 2, 3]
        assert local.name == "Local Coordinates (m)" and local.authority == "" and local.geoccs is None
        np.testing.assert_array_equal(local.localframe([1, 2, 3]).mulp([1, 2, 4]), [0, 0, 1])
    with pytest.raises(TypeError, match="text is needed"):
        Metashape.CoordinateSystem(4326)


@needs_pyproj
def test_systems_that_are_none():
    with pytest.raises(ValueError, match="pyproj does not know"):
        Metashape.CoordinateSystem("EPSG::99999999")
    with pytest.raises(ValueError, match="pyproj does not know"):
        _ = Metashape.CoordinateSystem("no system").authority
    with pytest.raises(ValueError, match="with a place on the earth"):
        Metashape.CoordinateSystem.transform(
            [0, 0, 0], Metashape.CoordinateSystem(), Metashape.CoordinateSystem("EPSG::4326")
        )
