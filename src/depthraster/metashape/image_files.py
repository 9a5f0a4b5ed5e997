"""Images to and from files, and `ImageCompression`; the library's own formats, Pillow and imagecodecs do the work.

Beyond what ``io/images.py`` keeps, which is depth, scripts write pictures: whole numbers of 8 bits, colours, JPEG. The
commonest change is another format: a line in `_WRITERS`, and one in `read_pixels`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError
from depthraster.io.files import existing_file, written_whole
from depthraster.io.image_formats import FORMATS, honest, write_tiff
from depthraster.metashape import constants
from depthraster.metashape.base import Facade
from depthraster.metashape.pixels import DTYPES

__all__ = ["ImageCompression", "read_pixels", "write_pixels"]

Pixels = npt.NDArray[Any]

_CHANNELS = {1: " ", 2: " A", 3: "RGB", 4: "RGBA"}  # of files, which have no letters
_TILE = 256


class ImageCompression(Facade):
    """How `Image.save` compresses.

    Attributes
    ----------
    tiff_compression : TiffCompression
        Of TIFF files; ``ImageCompression.TiffCompressionDeflate`` and so on. JPEG and WebP lose something.
    tiff_tiled, tiff_big, tiff_planar : bool
        Tiles instead of strips, BigTIFF, each channel by itself.
    tiff_overviews : bool
        Can't be True: smaller copies of depth would need averages.
    jpeg_quality : int
        1 to 100, also of JPEG in TIFF.
    """

    __slots__ = (
        "jpeg_quality",
        "tiff_big",
        "tiff_compression",
        "tiff_overviews",
        "tiff_planar",
        "tiff_tiled",
    )

    TiffCompression: ClassVar[type[constants.TiffCompression]] = constants.TiffCompression
    TiffCompressionNone = constants.TiffCompression.TiffCompressionNone
    TiffCompressionLZW = constants.TiffCompression.TiffCompressionLZW
    TiffCompressionJPEG = constants.TiffCompression.TiffCompressionJPEG
    TiffCompressionPackbits = constants.TiffCompression.TiffCompressionPackbits
    TiffCompressionDeflate = constants.TiffCompression.TiffCompressionDeflate
    TiffCompressionWebP = constants.TiffCompression.TiffCompressionWebP

    tiff_compression: constants.TiffCompression
    tiff_tiled: bool
    tiff_big: bool
    tiff_planar: bool
    tiff_overviews: bool
    jpeg_quality: int

    def __init__(self) -> None:
        self.tiff_compression = constants.TiffCompression.TiffCompressionDeflate
        self.tiff_tiled = self.tiff_big = self.tiff_planar = self.tiff_overviews = False
        self.jpeg_quality = 90

    def copy(self) -> ImageCompression:
        """Return a copy."""
        made = ImageCompression()
        for name in self.__slots__:
            setattr(made, name, getattr(self, name))
        return made


# tifffile's names, whether a predictor helps, and what pixels they take: name of the type, numbers of channels.
_TIFF: dict[constants.TiffCompression, tuple[str | None, bool, tuple[str, tuple[int, ...]] | None]] = {
    constants.TiffCompression.TiffCompressionNone: (None, False, None),
    constants.TiffCompression.TiffCompressionLZW: ("lzw", True, None),
    constants.TiffCompression.TiffCompressionJPEG: ("jpeg", False, ("U8", (1, 3))),
    constants.TiffCompression.TiffCompressionPackbits: ("packbits", False, None),
    constants.TiffCompression.TiffCompressionDeflate: ("zlib", True, None),
    constants.TiffCompression.TiffCompressionWebP: ("webp", False, ("U8", (3, 4))),
}


def write_pixels(
    path: str | os.PathLike[str], pixels: Pixels, channels: str, compression: ImageCompression | None
) -> None:
    """Write (H, W, C) pixels to a file; see `Image.save`."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise ValueError(
            f"{os.fspath(path)!r} ends in {suffix!r}; one of {', '.join(_WRITERS)} is needed: choose another name"
        )
    if not pixels.size:
        raise ValueError("the image has no pixels; at least 1 x 1 is needed: check how it was made")
    types, counts, write = _WRITERS[suffix]
    name = next(name for name, dtype in DTYPES.items() if dtype == pixels.dtype)
    if name not in types or len(channels) not in counts:
        raise ValueError(
            f"the image is {channels!r}, {name}; a {suffix} takes {' or '.join(types)} in {_listed(counts)} channels: "
            "convert() it, or write a .tif"
        )
    with written_whole(path) as temporary:
        write(temporary, np.ascontiguousarray(pixels), channels, compression or ImageCompression())


def _listed(counts: tuple[int, ...]) -> str:
    return " or ".join(str(count) for count in counts) if len(counts) < 9 else "any number of"


def _write_tiff(path: Path, pixels: Pixels, channels: str, compression: ImageCompression) -> None:
    if compression.tiff_overviews:
        raise ValueError(
            "tiff_overviews is True, which depthraster.metashape does not offer; False is needed: make overviews "
            "with GDAL's gdaladdo"
        )
    name, predicted, takes = _TIFF[constants.TiffCompression(compression.tiff_compression)]
    if takes is not None and (pixels.dtype != DTYPES[takes[0]] or len(channels) not in takes[1]):
        raise ValueError(
            f"a TIFF of {channels!r}, {pixels.dtype} was to be compressed with {name}; {takes[0]} in {_listed(takes[1])} "
            "channels is needed: convert() the image, or take TiffCompressionDeflate"
        )
    colours = 3 if channels[:3] == "RGB" else 1
    options: dict[str, Any] = {
        "photometric": "rgb" if colours == 3 else "minisblack",
        "compression": name,
        "bigtiff": bool(compression.tiff_big) or None,  # None: where it has to be
    }
    if name == "jpeg":
        options["compressionargs"] = {"level": int(compression.jpeg_quality)}
    elif name != "zlib":
        options["compressionargs"] = None
    if not predicted:
        options["predictor"] = None
    if compression.tiff_tiled:
        options |= {"tile": (_TILE, _TILE), "rowsperstrip": None}
    if len(channels) == 1:
        pixels = pixels[..., 0]
    else:
        options["extrasamples"] = [
            "unassalpha" if letter == "A" else "unspecified" for letter in channels[colours:]
        ]
        if compression.tiff_planar:
            options |= {"planarconfig": "separate", "rowsperstrip": pixels.shape[0]}
            pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    write_tiff(path, pixels, **options)


def _write_exr(path: Path, pixels: Pixels, channels: str, compression: ImageCompression) -> None:
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    FORMATS[".exr"].write(path, pixels[..., 0] if len(channels) == 1 else pixels, 1)


def _write_png(path: Path, pixels: Pixels, channels: str, compression: ImageCompression) -> None:
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(pixels[..., 0] if len(channels) == 1 else pixels))


def _write_jpeg(path: Path, pixels: Pixels, channels: str, compression: ImageCompression) -> None:
    import imagecodecs

    plane = pixels[..., 0] if len(channels) == 1 else pixels
    path.write_bytes(imagecodecs.jpeg_encode(plane, level=int(compression.jpeg_quality)))


_Writer = Callable[[Path, Pixels, str, ImageCompression], None]
_ANY = tuple(range(1, 65))
_WRITERS: dict[str, tuple[tuple[str, ...], tuple[int, ...], _Writer]] = {
    ".tif": (tuple(DTYPES), _ANY, _write_tiff),
    ".tiff": (tuple(DTYPES), _ANY, _write_tiff),
    ".exr": (("F16", "F32", "F64"), (1, 2, 3, 4), _write_exr),
    ".png": (("U8", "U16"), (1, 2, 3, 4), _write_png),
    ".jpg": (("U8",), (1, 3), _write_jpeg),
    ".jpeg": (("U8",), (1, 3), _write_jpeg),
}


def read_pixels(path: str | os.PathLike[str], layer: int) -> tuple[Pixels, str]:
    """Return the pixels of an image file, (H, W, C), and the letters of its channels; see `Image.open`."""
    path = existing_file(path, "an image file")
    suffix = path.suffix.lower()
    if layer and suffix not in (".tif", ".tiff"):
        raise ValueError(f"{path}: layer {layer} was asked for; only TIFF has several: leave it out")
    try:
        if suffix in (".tif", ".tiff"):
            pixels = _read_tiff(path, layer)
        elif suffix == ".exr":
            pixels = FORMATS[".exr"].read(path)
        else:
            pixels = _read_picture(path)
    except (OSError, MemoryError, FormatError, ImportError) as error:
        if isinstance(error, OSError) and error.errno is None:  # a decoder's, not the system's
            raise _damaged(path, error) from error
        raise
    except Exception as error:  # the decoders raise many kinds
        raise _damaged(path, error) from error
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.dtype not in DTYPES.values() or pixels.ndim != 3 or pixels.shape[2] not in _CHANNELS:
        raise FormatError(
            f"{path}: the image is {pixels.dtype} of shape {pixels.shape}; {', '.join(DTYPES)} in 1 to 4 channels is "
            "needed: convert the file"
        )
    return pixels, _CHANNELS[pixels.shape[2]]


def _read_tiff(path: Path, layer: int) -> Pixels:
    import tifffile

    with tifffile.TiffFile(path) as tif:
        if not tif.pages:
            raise ValueError("there is no image in it")
        if not 0 <= layer < len(tif.pages):
            raise FormatError(
                f"{path}: layer {layer} was asked for and there are {len(tif.pages)}; one of them is needed: count from 0"
            )
        page = tif.pages[layer]
        honest(path, page.nbytes)
        pixels = np.asarray(page.asarray())
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _read_picture(path: Path) -> Pixels:
    """Return what imagecodecs reads of a PNG or JPEG, which may be as large as they like, and Pillow of others."""
    data = path.read_bytes()
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        import imagecodecs

        return np.asarray(imagecodecs.png_decode(data))
    if data[:3] == b"\xff\xd8\xff":
        import imagecodecs

        return np.asarray(imagecodecs.jpeg_decode(data))
    from PIL import Image

    with Image.open(path) as image:
        if image.mode in ("1", "P", "CMYK", "YCbCr", "LAB", "HSV"):
            has_alpha = "transparency" in image.info
            return np.asarray(image.convert("RGBA" if has_alpha else "L" if image.mode == "1" else "RGB"))
        return np.asarray(image)


def _damaged(path: Path, error: Exception) -> FormatError:
    return FormatError(
        f"{path}: not read as an image ({error}); a whole image file is needed: write it again"
    )
