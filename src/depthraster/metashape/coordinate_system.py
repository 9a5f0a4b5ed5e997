"""`CoordinateSystem`: a system by its WKT or its number at an authority; ``crs.py`` and pyproj (extra ``geo``) transform.

A local system is one without a place on the earth: its points are geocentric ones unchanged. The commonest change is another
attribute: pyproj's, by `_known`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from depthraster.crs import (
    east_north_up,
    from_geocentric,
    geocentric_of,
    is_local,
    known_system,
    to_geocentric,
)
from depthraster.metashape.algebra import Matrix, Vector, as_vector
from depthraster.metashape.base import Facade

__all__ = ["CoordinateSystem"]

_LOCAL = (
    'LOCAL_CS["Local Coordinates (m)",LOCAL_DATUM["Local Datum",0],UNIT["metre",1,AUTHORITY["EPSG","9001"]]]'
)


class CoordinateSystem(Facade):
    """A coordinate system.

    Parameters
    ----------
    crs : str
        Its WKT, its number at an authority, ``"EPSG::32610"``, or ``"LOCAL"``; a local one by default.
    """

    __slots__ = ("_wkt",)
    _wkt: str

    def __init__(self, crs: str = "LOCAL") -> None:
        self.init(crs)

    def init(self, crs: str) -> None:
        """Become another system; the argument is that of the class."""
        if not isinstance(crs, str):
            raise TypeError(
                f"the coordinate system is {crs!r}; text is needed: pass its WKT or e.g. 'EPSG::32610'"
            )
        if crs.strip().upper() in ("", "LOCAL"):
            self._wkt = _LOCAL
        elif re.fullmatch(r"\s*\w+::?\w+\s*", crs):
            self._wkt = known_system(crs.strip().replace("::", ":")).to_wkt("WKT1_GDAL")
        else:
            self._wkt = crs

    def copy(self) -> CoordinateSystem:
        """Return a copy."""
        return CoordinateSystem(self._wkt)

    @property
    def wkt(self) -> str:
        """The system as WKT, as it was given."""
        return self._wkt

    @property
    def wkt2(self) -> str:
        """The system as WKT, version 2."""
        return str(known_system(self._wkt).to_wkt("WKT2_2019"))

    @property
    def name(self) -> str:
        """Its name."""
        found = re.search(r'"((?:[^"]|"")*)"', self._wkt)
        return found[1].replace('""', '"') if found else ""

    @property
    def authority(self) -> str:
        """Its number at an authority, ``"EPSG::32610"``; empty where it has none."""
        if is_local(self._wkt):
            return ""
        found = known_system(self._wkt).to_authority()
        return "::".join(found) if found else ""

    @property
    def geoccs(self) -> CoordinateSystem | None:
        """The geocentric system of its datum; None of a local one."""
        return None if is_local(self._wkt) else CoordinateSystem(geocentric_of(self._wkt).to_wkt("WKT2_2019"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CoordinateSystem) and self._wkt == other._wkt

    def __hash__(self) -> int:
        return hash(self._wkt)

    def project(self, point: Any) -> Vector:
        """Return the coordinates in this system of a point in geocentric ones of its datum."""
        xyz = as_vector(point, (3,), "the point")
        return Vector(xyz if is_local(self._wkt) else from_geocentric(xyz[None], self._wkt, self._wkt)[0])

    def unproject(self, point: Any) -> Vector:
        """Return geocentric coordinates of a point in this system: longitude or easting, latitude or northing, height."""
        xyz = as_vector(point, (3,), "the point")
        return Vector(xyz if is_local(self._wkt) else to_geocentric(xyz[None], self._wkt, self._wkt)[0])

    @staticmethod
    def transform(point: Any, source: CoordinateSystem, target: CoordinateSystem) -> Vector:
        """Return a point of one system in another one, 3D, or 2D on the ellipsoid."""
        given = as_vector(point, (2, 3), "the point")
        if source == target:
            return Vector(given)
        for system in (source, target):
            if not isinstance(system, CoordinateSystem) or is_local(system._wkt):
                raise ValueError(
                    f"a point was transformed from or to {getattr(system, 'name', system)!r}; systems with a place on the "
                    "earth are needed: for a chunk in local coordinates use its transform"
                )
        xyz = np.append(given, 0.0) if len(given) == 2 else given
        geocentric = to_geocentric(xyz[None], source._wkt, target._wkt)
        return Vector(from_geocentric(geocentric, target._wkt, target._wkt)[0, : len(given)])

    def localframe(self, point: Any) -> Matrix:
        """Return the 4x4 matrix from geocentric coordinates to east, north and up from a point, which is geocentric, too.

        Of a local system the axes stay as they are.
        """
        xyz = as_vector(point, (3,), "the point")
        if is_local(self._wkt):
            return Matrix.Translation(-xyz)
        return Matrix(east_north_up(xyz, self._wkt))

    def __repr__(self) -> str:
        return f"CoordinateSystem({self.name!r})"
