"""The formats that images are kept in, each with what it takes, how it is written and how it is read.

`FORMATS` is the table that ``images.py`` goes by; that files are written whole, and what errors say, is decided there. Every
format here keeps each bit of what it takes, and the same image is the same bytes at any time. The commonest change is
another format: a pair of functions and a row of `FORMATS`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError

__all__ = [
    "FORMATS",
    "Format",
    "check_installed",
    "honest",
    "packed",
    "predictor_of",
    "write_npz",
    "write_tiff",
]

Image = npt.NDArray[Any]

# Bytes of pixels that are compressed as one piece: enough for the compressor, and many pieces for the threads.
_STRIP_BYTES = 384 * 1024
# Deflate cannot make less than a 1032nd of anything, so a larger image than this per byte of file is a lie.
_MOST_PER_BYTE = 1040
# Several times as fast as the usual 6, and some percent larger on rendered terrain.
_LEVEL = 1


class Format(NamedTuple):
    """A format: what it takes, and how it is written and read."""

    takes: str  # the pixels, in words
    dtypes: str  # numpy's names of them
    channels: tuple[int, ...] | None  # how many of them; None: any number
    write: Callable[
        [Path, Image, int], None
    ]  # gets (H, W) or (H, W, C > 1), of one of the dtypes, and a number of threads
    read: Callable[[Path], Image]


def honest(path: Path, promised: int, stored: int | None = None) -> None:
    """Raise FormatError where a file promises more pixels than it can hold, before memory is taken for them."""
    held = path.stat().st_size if stored is None else stored
    if promised > _MOST_PER_BYTE * held:
        raise FormatError(
            f"{path}: {promised} bytes of pixels are promised by {held} bytes of file; a whole image is needed: write it "
            "again"
        )


def write_tiff(path: Path, image: Image, threads: int = 1, **options: Any) -> None:
    """Write an (H, W) or (H, W, C) image; the options are tifffile's, and go before what is usual here."""
    import tifffile

    channels = image.shape[2] if image.ndim == 3 else 1
    n_rows = max(1, min(image.shape[0], _STRIP_BYTES // image[0].nbytes))
    usual: dict[str, Any] = {
        "photometric": "minisblack",
        "compression": "zlib",
        "predictor": predictor_of(image.dtype),
        "rowsperstrip": n_rows,
        "software": "depthraster",
        "metadata": None,  # no description that only tifffile understands
    }
    if image.ndim == 3:
        usual["planarconfig"] = "contig"
        usual["extrasamples"] = ["unassalpha" if channels == 2 else "unspecified"] * (channels - 1)
    if options:
        tifffile.imwrite(path, image, **({"compressionargs": {"level": _LEVEL}} | usual | options))
        return
    strips = _strips(image.reshape(*image.shape[:2], channels), n_rows, threads)
    tifffile.imwrite(path, strips, shape=image.shape, dtype=image.dtype, **usual)


def _strips(image: Image, n_rows: int, threads: int) -> Iterator[bytes]:
    """Yield the strips of a TIFF, n_rows of an (H, W, C) image in each."""

    def strip(start: int) -> bytes:
        return packed(image[start : start + n_rows])

    starts = range(0, len(image), n_rows)
    if threads == 1 or len(starts) == 1:
        yield from map(strip, starts)
        return
    with ThreadPoolExecutor(min(threads, len(starts))) as pool:
        yield from pool.map(strip, starts)


def predictor_of(dtype: np.dtype[Any]) -> int:
    """Return TIFF's number of the predictor that `packed` applies: floating-point, or differences."""
    return 3 if dtype.kind == "f" else 2


def packed(pixels: Image) -> bytes:
    """Return a strip or tile of a TIFF, (h, w, C) pixels with the predictor and deflated.

    tifffile would do the same with libdeflate, which takes half as long again as zlib-ng, and three times as long where
    much of the image is background.
    """
    import imagecodecs

    codecs: Any = imagecodecs  # its types say less than it takes
    predict = codecs.floatpred_encode if pixels.dtype.kind == "f" else codecs.delta_encode
    fast = getattr(getattr(codecs, "ZLIBNG", None), "available", False)  # not every build has it
    deflate = codecs.zlibng_encode if fast else codecs.zlib_encode
    return bytes(deflate(predict(np.ascontiguousarray(pixels), axis=-2), level=_LEVEL))


def _read_tiff(path: Path) -> Image:
    import tifffile

    with tifffile.TiffFile(path) as tif:
        series = tif.series
        # What tifffile makes of depth and alpha, (H, W, 2), when nobody tells it that the last axis is no image: H of them.
        if len(series) == 1 and tif.is_shaped and series[0].ndim == 3 and series[0].shape[2] == 2:
            honest(path, series[0].nbytes)
            return np.asarray(series[0].asarray())
        # A series is an image with its smaller versions, if any.
        if len(tif.series) != 1 or len(tif.series[0].pages) != 1:
            count = sum(len(series.pages) for series in tif.series)
            raise FormatError(f"{path}: there are {count} images in the file; one is needed: split the file")
        page = tif.series[0].keyframe
        honest(path, page.nbytes)
        return np.asarray(page.asarray())


def _write_npy(path: Path, image: Image, threads: int) -> None:
    np.save(path, image, allow_pickle=False)


def _read_npy(path: Path) -> Image:
    # Mapped first: a header that promises more than the file holds is found before memory is taken for it.
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def _write_npz(path: Path, image: Image, threads: int) -> None:
    write_npz(path, {"image": image})


def write_npz(path: Path, arrays: Mapping[str, Image]) -> None:
    """Write arrays by name, compressed: like numpy.savez_compressed, but at the level that is quick."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # its date is 1980, always
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _read_npz(path: Path) -> Image:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            honest(path, info.file_size, info.compress_size)
    with np.load(path, allow_pickle=False) as arrays:
        name = "depth" if "depth" in arrays.files else arrays.files[0] if len(arrays.files) == 1 else None
        if name is None:
            raise FormatError(
                f"{path}: the arrays in the file are {', '.join(arrays.files)[:200]}; one, or one named depth, is needed: "
                "read the others with numpy.load"
            )
        return np.asarray(arrays[name])


def check_installed(suffix: str) -> None:
    """Raise ImportError where writing files of a suffix needs a library that is not installed."""
    if suffix == ".exr":
        _openexr()


def _openexr() -> ModuleType:
    try:
        import OpenEXR
    except ImportError:
        raise ImportError(
            "the file is an EXR, and OpenEXR is not installed; it is needed for that: pip install 'depthraster[exr]', or "
            "use TIFF"
        ) from None
    return OpenEXR  # type: ignore[no-any-return]


def _write_exr(path: Path, image: Image, threads: int) -> None:
    exr = _openexr()
    # Z and A are the standard's names of a depth and its alpha.
    names = {1: "Z", 2: "ZA", 3: "RGB", 4: "RGBA"}[image.shape[2] if image.ndim == 3 else 1]
    planes = image[..., None] if image.ndim == 2 else image
    channels = {name: np.ascontiguousarray(planes[..., k]) for k, name in enumerate(names)}
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    with exr.File(header, channels) as file:
        file.write(str(path))


def _read_exr(path: Path) -> Image:
    exr = _openexr()
    with path.open("rb") as file:
        if not file.read(4) == b"\x76\x2f\x31\x01":
            raise FormatError(
                f"{path}: it does not begin as an EXR does; a whole EXR is needed: write it again"
            )
    with exr.File(str(path), separate_channels=True, header_only=True) as file:
        low, high = file.header()["dataWindow"]
        width, height = (int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
        honest(path, 2 * width * height)  # one channel of half floats at least
    with exr.File(str(path), separate_channels=True) as file:
        planes = {name: channel.pixels for name, channel in file.channels().items()}
    for names in ("Z", "ZA", "Y", "RGB", "RGBA"):
        if set(planes) == set(names):
            return np.array(planes[names]) if len(names) == 1 else np.stack([planes[n] for n in names], -1)
    raise FormatError(
        f"{path}: the channels are {', '.join(planes)[:200]}; Z, Z and A, Y, or R, G, B with or without A are needed: write "
        "only those"
    )


def _write_pfm(path: Path, image: Image, threads: int) -> None:
    kind = "Pf" if image.ndim == 2 else "PF"
    with path.open("wb") as file:
        file.write(f"{kind}\n{image.shape[1]} {image.shape[0]}\n-1.0\n".encode())  # negative: little-endian
        file.write(np.ascontiguousarray(image[::-1], "<f4").data)  # the bottom row first


def _read_pfm(path: Path) -> Image:
    with path.open("rb") as file:
        kind, size, scale = (file.readline(100).split() for _ in range(3))
        if kind not in ([b"Pf"], [b"PF"]) or len(size) != 2 or len(scale) != 1:
            raise ValueError("its header is not a PFM's")
        width, height, order = int(size[0]), int(size[1]), "<" if float(scale[0]) < 0 else ">"
        shape = (height, width) if kind == [b"Pf"] else (height, width, 3)
        held = path.stat().st_size - file.tell()
        if min(shape) < 1 or held != 4 * int(np.prod([int(n) for n in shape], dtype=object)):
            raise ValueError(f"{shape} pixels are promised and {held} bytes are there")
        pixels = np.frombuffer(file.read(), order + "f4").reshape(shape)
    return np.ascontiguousarray(pixels[::-1], np.float32)


def _write_png(path: Path, image: Image, threads: int) -> None:
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(image), level=_LEVEL))


def _read_png(path: Path) -> Image:
    import imagecodecs

    data = path.read_bytes()
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        honest(path, 2 * int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big"), len(data))
    return np.asarray(imagecodecs.png_decode(data))


_TIFF = Format(
    "floating point, int32 or uint16", "float32 float16 int32 uint16", None, write_tiff, _read_tiff
)
FORMATS = {
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".npy": Format("any pixels", "", None, _write_npy, _read_npy),
    ".npz": Format("any pixels", "", None, _write_npz, _read_npz),
    ".exr": Format(
        "floating point in 1 to 4 channels", "float32 float16", (1, 2, 3, 4), _write_exr, _read_exr
    ),
    ".pfm": Format("floating point in 1 or 3 channels", "float32", (1, 3), _write_pfm, _read_pfm),
    ".png": Format("uint16 in one channel", "uint16", (1,), _write_png, _read_png),
}
