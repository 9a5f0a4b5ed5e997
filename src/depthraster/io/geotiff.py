"""GeoTIFF: images and heights with their place on the earth, written piece by piece, and read.

What a place is in a TIFF rasterio knows (the extra ``geo``), which is imported when one is written or read; pixels are
compressed as ``image_formats.py`` does it. That a file is written whole or not at all is ``files.py``'s, what pixels mean is
the caller's. The commonest change is another option of the files: in `write_geotiff`.
"""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError
from depthraster.grid import Affine
from depthraster.io.files import existing_file, written_whole
from depthraster.io.image_formats import packed, predictor_of

__all__ = ["BLOCK", "GeoImage", "crs_text", "read_geotiff", "refuse_unknown", "write_geotiff"]

BLOCK = 512  # pixels on a side that are compressed as one piece
_AHEAD = 16  # tiles that are compressed while the next piece is made
_CLASSIC = (
    2**32 - 2**25
)  # bytes of pixels up to which offsets of 32 bits suffice, however little they can be compressed
SUFFIXES = (".tif", ".tiff")

_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
# Where GDAL keeps the place (pixel scale, tie point, matrix, keys), descriptions of bands, and the value of no data.
_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)


class GeoImage(NamedTuple):
    """What is read of a GeoTIFF."""

    pixels: npt.NDArray[Any]  # (H, W) of one band
    valid: npt.NDArray[np.bool_]  # (H, W)
    affine: Affine
    crs: str | None


def write_geotiff(
    path: str | os.PathLike[str],
    shape: tuple[int, int, int],
    dtype: npt.DTypeLike,
    affine: Affine,
    crs: str | None,
    pieces: Iterable[npt.NDArray[Any]],
    *,
    nodata: float | None = None,
    names: tuple[str, ...] = (),
    mask: npt.NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> None:
    """Write a GeoTIFF from pieces as they come, whole or not at all: tiled, compressed, as BigTIFF where it may need that.

    Parameters
    ----------
    path : str or path
        Replaced if it exists; ends in ``.tif`` or ``.tiff``.
    shape : (int, int, int)
        Rows, columns and bands.
    dtype : dtype
        Of the pixels.
    affine : six floats
        From (col, row) to (x, y), rasterio's order.
    crs : str or None
        Whatever rasterio takes.
    pieces : iterable of (h, w) or (h, w, C) arrays
        From left to right and from top to bottom: `BLOCK` rows each but for the last ones, and a multiple of `BLOCK` columns
        but for the last of a row. Taken one by one, and not kept: the next may be written over the last. Of one that is the
        same everywhere, by ``np.broadcast_to``, a tile is compressed once.
    nodata : float, optional
        The value of pixels that mean nothing.
    names : tuple of str
        Descriptions of the bands.
    mask : (H, W) bool array, optional
        Which pixels mean something.
    threads : int
        That compress.

    Raises
    ------
    ImportError
        rasterio is not installed.
    TypeError, ValueError
        Pixels that GeoTIFF has not, a system that rasterio does not know, another suffix.
    OSError
        The file cannot be written.
    """
    import tifffile

    _rasterio(path)
    dtype = np.dtype(dtype)
    if dtype.name not in _TYPES:
        raise TypeError(
            f"the pixels are {dtype}; {', '.join(_TYPES)} is what a GeoTIFF of ours takes: convert them"
        )
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{os.fspath(path)!r} ends in {Path(path).suffix!r}; .tif or .tiff is needed: choose another name"
        )
    height, width, bands = shape
    tags = _place_tags(bands, dtype, affine, crs, nodata, names)
    n_tiles = -(-height // BLOCK) * -(-width // BLOCK)
    n_bytes = n_tiles * BLOCK * BLOCK * (bands * dtype.itemsize + (mask is not None))
    colours = 3 if bands in (3, 4) and dtype in (np.uint8, np.uint16) else 1
    # Written by tifffile: GDAL keeps it to itself when a disk is full, and leaves holes.
    with (
        written_whole(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=n_bytes > _CLASSIC) as tif,
    ):
        tif.write(
            _packed(pieces, bands, threads), shape=(height, width, bands) if bands > 1 else (height, width),
            dtype=dtype, predictor=predictor_of(dtype), photometric="rgb" if colours == 3 else "minisblack",
            planarconfig="contig" if bands > 1 else None, extrasamples=["unspecified"] * (bands - colours) or None,
            software="depthraster", extratags=tags, tile=(BLOCK, BLOCK), compression="zlib", metadata=None,
        )  # fmt: skip
        if mask is not None:
            # A bit each, as it is: tifffile has not compressed bits for long.
            tif.write(
                np.ascontiguousarray(mask),
                photometric="mask",
                subfiletype=4,
                tile=(BLOCK, BLOCK),
                metadata=None,
            )


def _packed(pieces: Iterable[npt.NDArray[Any]], bands: int, threads: int) -> Iterator[bytes]:
    """Yield the tiles of pieces, compressed, some of them while the next piece is made."""
    waiting: deque[Future[bytes]] = deque()
    plain: dict[bytes, Future[bytes]] = {}  # of tiles with one value
    with ThreadPoolExecutor(threads) as pool:
        try:
            for piece in pieces:
                for tile in _tiles(piece.reshape(*piece.shape[:2], bands)):
                    if any(tile.strides):
                        waiting.append(pool.submit(packed, tile))
                        continue
                    value = tile[0, 0, :1].tobytes()
                    if value not in plain:
                        plain[value] = pool.submit(packed, tile)
                    waiting.append(plain[value])
                while len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _tiles(piece: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield the tiles of an (h, w, C) piece from left to right, filled up with zeros; those of one value without strides."""
    for col in range(0, piece.shape[1], BLOCK):
        part = piece[:, col : col + BLOCK]
        shape = BLOCK, BLOCK, piece.shape[2]
        if not any(part.strides):
            yield np.broadcast_to(part[0, 0, 0], shape)
            continue
        tile = np.zeros(shape, piece.dtype)
        tile[: part.shape[0], : part.shape[1]] = part
        yield tile


def _place_tags(
    bands: int,
    dtype: np.dtype[Any],
    affine: Affine,
    crs: str | None,
    nodata: float | None,
    names: tuple[str, ...],
) -> list[tuple[int, int, int, Any, bool]]:
    """Return the tags that GDAL says where an image is with, as tifffile takes them: those of a small file of its own."""
    import rasterio
    import tifffile
    from rasterio.io import MemoryFile

    with MemoryFile() as memory:
        with warnings.catch_warnings():
            # It warns of cells of 1 at the origin, and writes them well.
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with memory.open(
                driver="GTiff", width=1, height=1, count=bands, dtype=dtype.name, nodata=nodata,
                transform=rasterio.Affine(*affine), crs=_known(crs),
            ) as dataset:  # fmt: skip
                for band, name in enumerate(names, 1):
                    dataset.set_band_description(band, name)
        with tifffile.TiffFile(io.BytesIO(memory.read())) as tif:
            found = [tif.pages.first.tags.get(code) for code in _TAGS]
    return [(tag.code, int(tag.dtype), tag.count, tag.value, True) for tag in found if tag is not None]


def read_geotiff(path: str | os.PathLike[str], band: int = 1) -> GeoImage:
    """Read a band of a GeoTIFF, or of whatever else rasterio reads.

    Raises
    ------
    ImportError
        rasterio is not installed.
    FormatError
        It is no such file, has no such band, or has no place, or a turned or mirrored one.
    OSError
        The file cannot be read.
    """
    rasterio = _rasterio(path)
    path = existing_file(path, "a raster file such as a GeoTIFF", SUFFIXES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # said below
            with rasterio.open(path) as dataset:
                if isinstance(band, bool) or not isinstance(band, int) or not 1 <= band <= dataset.count:
                    raise FormatError(
                        f"{path}: there is no band {band!r}; one of 1 to {dataset.count} is needed: choose one"
                    )
                a, b, c, d, e, f = dataset.transform[:6]
                if b != 0.0 or d != 0.0 or not a > 0.0 or not e < 0.0:
                    raise FormatError(
                        f"{path}: the affine is {a, b, c, d, e, f}, turned, mirrored or missing; rows from north to south "
                        "and columns from west to east are needed: bring it there with gdalwarp"
                    )
                pixels = dataset.read(band)
                valid = dataset.read_masks(band) > 0
                crs = None if dataset.crs is None else dataset.crs.to_string()
    except (
        rasterio.errors.RasterioError,
        rasterio.errors.RasterioIOError,
    ) as error:  # kin since rasterio 1.4
        raise FormatError(
            f"{path}: not read as a raster ({error.__cause__ or error}); a whole GeoTIFF is needed: write it again"
        ) from error
    return GeoImage(pixels, valid, (a, b, c, d, e, f), crs)


def crs_text(crs: Any) -> str | None:
    """Return a coordinate system, however it is named, as text; nothing is looked up.

    Raises
    ------
    TypeError
        Neither text, an EPSG number, None nor an object with ``to_wkt``.
    """
    if crs is None or isinstance(crs, str):
        return crs
    if isinstance(crs, int) and not isinstance(crs, bool):
        return f"EPSG:{crs}"
    if hasattr(crs, "to_wkt"):
        return str(crs.to_wkt())
    raise TypeError(
        f"crs is a {type(crs).__name__}; a coordinate system is needed: pass e.g. 'EPSG:32632', WKT, or None"
    )


def refuse_unknown(crs: str | None) -> None:
    """Raise ValueError for a coordinate system that rasterio does not know, if that is installed."""
    if crs is not None and importlib.util.find_spec("rasterio") is not None:
        _known(crs)


def _known(crs: str | None) -> Any:
    from rasterio import Env
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        with Env():  # or GDAL prints what it has against the system
            return None if crs is None else CRS.from_user_input(crs)
    except CRSError as error:
        text = " ".join(crs.split()) if crs else ""
        raise ValueError(
            f"the coordinate system is {text[:80]!r}, which rasterio does not know ({error}); one that it knows is needed: "
            "pass e.g. 'EPSG:32632', or WKT"
        ) from None


def _rasterio(path: str | os.PathLike[str]) -> Any:
    try:
        import rasterio
        import rasterio.errors
    except ImportError:
        raise ImportError(
            f"{os.fspath(path)!r} is a GeoTIFF, and rasterio is not installed; it is needed for that: pip install "
            "'depthraster[geo]'"
        ) from None
    return rasterio
