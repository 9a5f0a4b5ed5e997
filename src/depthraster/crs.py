"""Coordinate systems of the earth to and from the geocentric one that a georeferenced chunk lies in.

Metashape leads a chunk to geocentric metres on the datum of its coordinate system, whatever kind that system is; meshes are
exported in a system of the user's choice. pyproj (the extra ``geo``) knows the systems and is imported when one is named.
What a chunk's own transform does is ``chunk.py``'s. The commonest change is a system that needs no pyproj: `is_local`, and
the names that `Chunk.from_world` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "east_north_up",
    "from_geocentric",
    "geocentric_of",
    "is_geographic",
    "is_local",
    "is_named",
    "known_system",
    "map_system",
    "to_geocentric",
]

Array = npt.NDArray[np.float64]
_Step = tuple[Callable[[Array], Array], Callable[[Array], Array]]  # there and back

_WGS84 = "EPSG:4978"  # geocentric


def is_local(wkt: str | None) -> bool:
    """Return whether a chunk's coordinate system, as WKT, has no place on the earth; so it is where there is none."""
    return wkt is None or wkt.lstrip().upper().startswith(("LOCAL", "ENGCRS", "ENGINEERINGCRS"))


def is_named(crs: Any, chunk_crs: str | None, has_transform: bool) -> bool:
    """Return whether coordinates are in a system that pyproj has to know, other than where a chunk's transform leads.

    Parameters
    ----------
    crs : any
        What the user says that they are in; None, ``"local"`` and ``"geocentric"`` need no pyproj.
    chunk_crs : str or None
        The chunk's system, as WKT.
    has_transform : bool
        Whether the chunk has a transform.

    Raises
    ------
    ValueError
        The chunk cannot be in that system.
    """
    if crs is None:
        return False
    local = is_local(chunk_crs) or not has_transform
    if isinstance(crs, str) and crs == "local":
        if not local:
            raise ValueError(
                "the coordinate system is 'local' and the chunk is georeferenced; 'geocentric' or a system such as "
                "'EPSG:32610' is needed: name the one that the mesh was exported in, or none where it is in the chunk's own "
                "coordinates"
            )
        return False
    if local:
        why = "is in local coordinates" if has_transform else "has no transform"
        raise ValueError(
            f"the coordinate system is {_short(crs)} and the chunk {why}; a georeferenced chunk is needed: name no system, "
            "or set the chunk's reference in Metashape"
        )
    return not (isinstance(crs, str) and crs == "geocentric")


def to_geocentric(points: npt.ArrayLike, crs: Any, chunk_crs: str) -> Array:
    """Take points from a coordinate system to geocentric coordinates on the datum of a chunk's.

    Parameters
    ----------
    points : (n, 3) array of float
        Easting or longitude, northing or latitude (in this order, whatever the system's), and height, in the system's
        units. The height is above the ellipsoid unless the system says otherwise.
    crs : str, int or pyproj.CRS
        The system of the points: WKT, ``"EPSG:32610"``, or whatever else pyproj takes.
    chunk_crs : str
        The chunk's, as WKT.

    Returns
    -------
    (n, 3) float64 array
        X, Y, Z in metres.

    Raises
    ------
    ImportError
        pyproj is not installed.
    ValueError
        A system that pyproj does not know, that cannot be transformed without a grid file that is not installed, or in
        which the points have no meaning.
    """
    coordinates = np.asarray(points, dtype=np.float64)
    for forward, _ in _steps(crs, chunk_crs):
        coordinates = forward(coordinates)
    return _finite(coordinates, crs)


def from_geocentric(points: npt.ArrayLike, crs: Any, chunk_crs: str) -> Array:
    """Take points from geocentric coordinates to a coordinate system; the inverse of `to_geocentric`, with its arguments."""
    coordinates = np.asarray(points, dtype=np.float64)
    for _, backward in reversed(_steps(crs, chunk_crs)):
        coordinates = backward(coordinates)
    return _finite(coordinates, crs)


def known_system(crs: Any) -> Any:
    """Return the pyproj.CRS of what pyproj takes for a system; ImportError without it, ValueError where it knows none."""
    _need_pyproj(crs)
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise _unknown("coordinate system", crs, error) from None


def is_geographic(crs: Any) -> bool:
    """Return whether a system measures in degrees; errors as `known_system`."""
    return bool(known_system(crs).is_geographic)


def map_system(chunk_crs: str, point: npt.ArrayLike) -> str:
    """Return the system for a map of a georeferenced chunk: its own if that is projected, else UTM on its datum.

    Parameters
    ----------
    chunk_crs : str
        The chunk's, as WKT.
    point : (3,) array of float
        Geocentric coordinates on its datum of a place in the zone, metres.

    Returns
    -------
    str
        WKT, or ``"EPSG:..."`` of a zone; on WGS 84 where there is none on the datum.

    Raises
    ------
    ImportError, ValueError
        As `known_system`; and where there is no zone, at the poles.
    """
    _need_pyproj(chunk_crs)
    own = _read(chunk_crs, "chunk's coordinate system").system
    if own.is_projected:
        return chunk_crs
    from pyproj.aoi import AreaOfInterest
    from pyproj.database import query_utm_crs_info

    geodetic = own.geodetic_crs.to_3d()
    forward, _ = _by_proj(_geocentric(own), geodetic)
    lon, lat, _ = _finite(forward(np.asarray(point, np.float64)[None]), chunk_crs)[0].tolist()
    place = AreaOfInterest(lon, lat, lon, lat)
    for datum in (own.geodetic_crs.name, "WGS 84"):
        for zone in query_utm_crs_info(datum_name=datum, area_of_interest=place, contains=True):
            return f"EPSG:{zone.code}"
    raise ValueError(
        f"the coordinate system of the chunk is {_short(chunk_crs)}, in degrees, and there is no zone of UTM at longitude "
        f"{lon:.4f}, latitude {lat:.4f}; a projected system is needed: name one"
    )


def geocentric_of(crs: Any) -> Any:
    """Return the geocentric system of a system's datum, a pyproj.CRS; errors as `known_system`."""
    _need_pyproj(crs)
    return _geocentric(_read(crs, "coordinate system").system)


def east_north_up(point: npt.ArrayLike, crs: Any) -> Array:
    """Return the rotation and translation from geocentric coordinates to east, north and up from a point.

    Parameters
    ----------
    point : (3,) array of float
        Geocentric coordinates, metres.
    crs : str, int or pyproj.CRS
        A system on whose datum they are; up is away from its ellipsoid.

    Returns
    -------
    (4, 4) float64 array
        The point goes to the origin.

    Raises
    ------
    ImportError, ValueError
        As `to_geocentric`.
    """
    xyz = np.asarray(point, dtype=np.float64)
    _need_pyproj(crs)
    geodetic = _read(crs, "coordinate system").system.geodetic_crs.to_3d()
    forward, _ = _by_proj(geocentric_of(crs), geodetic)
    degrees = _finite(forward(xyz[None]), crs)[0, :2]
    (cos_lon, cos_lat), (sin_lon, sin_lat) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[0, :3] = -sin_lon, cos_lon, 0.0
    matrix[1, :3] = -sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat
    matrix[2, :3] = cos_lat * cos_lon, cos_lat * sin_lon, sin_lat
    matrix[:3, 3] = -matrix[:3, :3] @ xyz
    return matrix


def _steps(crs: Any, chunk_crs: str) -> Sequence[_Step]:
    """Return the way to geocentric. Those between texts are kept: finding one takes milliseconds, a point microseconds."""
    _need_pyproj(crs)
    return _kept_steps(crs, chunk_crs) if isinstance(crs, str) else _found_steps(crs, chunk_crs)


@lru_cache(maxsize=32)
def _kept_steps(crs: str, chunk_crs: str) -> Sequence[_Step]:
    return _found_steps(crs, chunk_crs)


def _found_steps(crs: Any, chunk_crs: str) -> Sequence[_Step]:
    """Find the way to geocentric: first on the points' own datum, by geometry and geoids, then from datum to datum.

    Systems written by Metashape carry their shift to WGS 84 with them (TOWGS84). It holds between two datums, and not
    within one. PROJ is asked without it: with it, it does not keep to the order of coordinates that it is told.
    """
    import pyproj

    given = _read(crs, "coordinate system")
    own = _read(chunk_crs, "chunk's coordinate system")
    try:
        geocentric, own_geocentric = _geocentric(given.system), _geocentric(own.system)
        steps = [_by_proj(given.system, geocentric)]
        if given.system.geodetic_crs.equals(own.system.geodetic_crs, ignore_axis_order=True):
            return steps
        if given.shift is None and own.shift is None:
            return [*steps, _by_proj(geocentric, own_geocentric)]
        steps.append(_by_proj(geocentric, _WGS84) if given.shift is None else _by_shift(given.shift))
        steps.append(_by_proj(_WGS84, own_geocentric) if own.shift is None else _by_shift(own.shift)[::-1])
        return steps
    except (pyproj.exceptions.ProjError, pyproj.exceptions.CRSError) as error:
        raise ValueError(
            f"there is no transformation from {_short(crs)} to {_short(chunk_crs)} that keeps heights and datums with what "
            f"is installed ({_short(str(error))}); its grid files are needed: get them with 'pyproj sync', or export the "
            "mesh in geocentric coordinates"
        ) from None


def _need_pyproj(crs: Any) -> None:
    try:
        import pyproj  # noqa: F401
    except ImportError:
        raise ImportError(
            f"the coordinate system {_short(crs)} is named, and pyproj is not installed; it is needed for that: pip install "
            "'depthraster[geo]', or export the mesh in local coordinates"
        ) from None


class _System(NamedTuple):
    system: Any  # a pyproj.CRS with heights, without the shift
    shift: list[float] | None  # to WGS 84: metres, arc seconds, parts per million


def _read(crs: Any, what: str) -> _System:
    from pyproj import CRS
    from pyproj.crs import CompoundCRS
    from pyproj.exceptions import CRSError

    try:
        system: Any = CRS.from_user_input(crs)
    except CRSError as error:
        raise _unknown(what, crs, error) from None
    shift: Any = None
    if system.is_bound:
        system, shift = system.source_crs, system.coordinate_operation.towgs84
    if system.is_compound and system.sub_crs_list[0].is_bound:
        horizontal, *others = system.sub_crs_list
        shift = horizontal.coordinate_operation.towgs84
        system = CompoundCRS(system.name, [horizontal.source_crs, *others])
    if len(system.axis_info) == 2:
        system = system.to_3d()  # heights above its ellipsoid
    return _System(system, shift or None)


def _unknown(what: str, crs: Any, error: Exception) -> ValueError:
    return ValueError(
        f"the {what} is {_short(crs)}, which pyproj does not know ({_short(str(error))}); one that it knows is needed: pass "
        "e.g. 'EPSG:32610', or the WKT that Metashape wrote"
    )


def _by_proj(source: Any, target: Any) -> _Step:
    from pyproj import Transformer

    # always_xy: as Metashape writes coordinates. Ballpark transformations leave geoids and datums out in silence.
    transformer = Transformer.from_crs(source, target, always_xy=True, allow_ballpark=False)

    def forward(points: Array) -> Array:
        x, y, z = _columns(points)
        return np.stack(transformer.transform(x, y, z), axis=1)

    def backward(points: Array) -> Array:
        x, y, z = _columns(points)
        return np.stack(transformer.transform(x, y, z, direction="INVERSE"), axis=1)

    return forward, backward


def _columns(points: Array) -> Any:
    """Return x, y and z as pyproj takes them; arrays of one element it takes for numbers, with a warning of numpy's."""
    return points.T if len(points) != 1 else points.T.tolist()


def _by_shift(shift: list[float]) -> _Step:
    """Return a shift of datum by three or seven parameters (EPSG method 1033, position vector), and its exact inverse."""
    parameters = np.zeros(7)
    parameters[: len(shift)] = shift
    move, (x, y, z), scale = parameters[:3], np.radians(parameters[3:6] / 3600.0), 1.0 + 1e-6 * parameters[6]
    turn = scale * np.array([[1.0, -z, y], [z, 1.0, -x], [-y, x, 1.0]])
    return (
        lambda points: points @ turn.T + move,
        lambda points: (points - move) @ np.linalg.inv(turn).T,
    )


def _geocentric(crs: Any) -> Any:
    """Return the geocentric system of the same datum; pyproj's own class for that takes no ensembles of datums."""
    from pyproj import CRS

    geodetic = crs.geodetic_crs.to_json_dict()
    axes = [
        {
            "name": f"Geocentric {axis}",
            "abbreviation": axis,
            "direction": f"geocentric{axis}",
            "unit": "metre",
        }
        for axis in "XYZ"
    ]
    datum = {name: geodetic[name] for name in ("datum", "datum_ensemble") if name in geodetic}
    cartesian = {"subtype": "Cartesian", "axis": axes}
    return CRS.from_json_dict(
        {"type": "GeodeticCRS", "name": geodetic["name"], "coordinate_system": cartesian, **datum}
    )


def _finite(points: Array, crs: Any) -> Array:
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {len(points)} points, the first at index {int(np.argmax(bad))}, have no place in the "
            f"coordinate system {_short(crs)} or outside of it; coordinates in its area are needed: check the system "
            "and the offset"
        )
    return np.ascontiguousarray(points)


def _short(crs: Any) -> str:
    text = " ".join(str(getattr(crs, "name", crs)).split())
    return repr(text if len(text) <= 80 else text[:80] + "…")
