"""Images to and from files: formats that lose nothing, 8-bit PNG previews for the eye.

What the pixels mean is the caller's; the formats are ``image_formats.py``'s; that a file is written whole or not at all is
``files.py``'s. The commonest change is another format: there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depthraster.errors import FormatError
from depthraster.io.files import existing_file, written_whole
from depthraster.io.image_formats import FORMATS
from depthraster.scene import thread_count

__all__ = ["load_image", "save_image", "save_preview"]

# The preview's darkest and brightest greys are these percentiles of the depths seen ...
_PERCENTILES = (1.0, 99.0)
# ... estimated from about this many pixels.
_SAMPLE = 500_000
# Rows of the preview that are shaded at a time.
_ROWS = 32


def save_image(path: str | os.PathLike[str], image: npt.ArrayLike, *, threads: int | None = None) -> None:
    """Write an image losslessly; the suffix of the file chooses the format.

    ==================  =================================================================================================
    ``.tif``, ``.tiff`` float32, float16, int32 or uint16, compressed with deflate and a predictor, which nearly every
                        program that knows float TIFF can read; a second channel is marked as alpha
    ``.npy``, ``.npz``  any pixels, as they are; ``.npz`` compressed, under the name ``image``
    ``.exr``            float32 or float16, ZIP-compressed, with the extra ``exr``: one channel is Z, two are Z and A, three
                        R, G, B, four R, G, B, A
    ``.pfm``            float32, one channel or three, uncompressed
    ``.png``            uint16, one channel
    ==================  =================================================================================================

    Parameters
    ----------
    path : str or path
        The file. Replaced if it exists, written whole or not at all.
    image : (H, W) or (H, W, C) array
        Any unit. What takes float32 also takes other floating point, and rounds float64; float16 stays so where that is
        named.
    threads : int, optional
        Threads that compress a TIFF, all processors by default; the other formats take one. The file is the same for any
        number.

    Raises
    ------
    TypeError
        Pixels that the format does not take.
    ValueError
        Another suffix, another shape, or too many channels.
    ImportError
        EXR without the extra.
    OSError
        The file cannot be written.
    """
    array = np.asarray(image)
    suffix = Path(path).suffix.lower()
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(
            f"the image has the shape {array.shape}; (H, W) or (H, W, C) without zeros is needed: reshape it"
        )
    if suffix not in FORMATS:
        raise ValueError(
            f"{os.fspath(path)!r} ends in {suffix!r}; one of {', '.join(FORMATS)} is needed: choose another name"
        )
    form = FORMATS[suffix]
    if form.dtypes:
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[..., 0]  # these formats do not tell one channel from none
        if array.dtype.kind == "f" and array.dtype.newbyteorder("=").name not in form.dtypes.split():
            array = array.astype(np.float32)
        elif not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        if array.dtype.name not in form.dtypes.split():
            raise TypeError(
                f"the image's pixels are {array.dtype}; a {suffix} takes {form.takes}: convert them, or write to .npy, "
                "which keeps any type"
            )
        channels = array.shape[2] if array.ndim == 3 else 1
        if form.channels is not None and channels not in form.channels:
            raise ValueError(
                f"the image has {channels} channels; a {suffix} takes {form.takes}: write the channels to a file each, or "
                "to .npy, which keeps any number"
            )
    with written_whole(path) as temporary:
        form.write(temporary, array, thread_count(threads))


def load_image(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an image, as `save_image` and other programs write it.

    Parameters
    ----------
    path : str or path
        A file with one image, in one of the formats of `save_image`; of an ``.npz`` with several arrays, the one named
        ``depth`` is taken. What has no such suffix is read as TIFF.

    Returns
    -------
    (H, W) or (H, W, C) array of float, int32 or uint16
        As stored.

    Raises
    ------
    FormatError
        The file is no such image, or damaged.
    ImportError
        EXR without the extra ``exr``.
    OSError
        The file cannot be read.
    """
    path = existing_file(path, "an image file", tuple(FORMATS))
    form = FORMATS.get(path.suffix.lower(), FORMATS[".tif"])
    try:
        array = form.read(path)
    except (OSError, MemoryError, FormatError, ImportError) as error:
        if isinstance(error, OSError) and error.errno is None:  # a decoder's, not the system's
            raise _damaged(path, error) from error
        raise
    except Exception as error:  # the decoders raise many kinds
        raise _damaged(path, error) from error
    if (array.dtype.kind != "f" and array.dtype.name not in ("int32", "uint16")) or array.ndim not in (2, 3):
        raise FormatError(
            f"{path}: the image is {array.dtype} of shape {array.shape}; pixels of floating point, int32 or uint16 and the "
            "shape (H, W) or (H, W, C) are needed: give a depth image"
        )
    return array


def _damaged(path: Path, error: Exception) -> FormatError:
    suffix = path.suffix.lower()
    kind = "TIFF" if suffix in (".tif", ".tiff") or suffix not in FORMATS else suffix[1:].upper()
    return FormatError(f"{path}: not read as {kind} ({error}); a whole image file is needed: write it again")


def save_preview(
    path: str | os.PathLike[str], depth: npt.ArrayLike, seen: npt.ArrayLike | None = None
) -> None:
    """Write a picture of a depth image for the eye: an 8-bit grey PNG of the same size, near bright, far dark.

    Black, 0, is background only; depths are 1 ... 255, linear in depth from the 99th percentile of those seen (and
    farther) to the 1st (and nearer). So a picture's greys are not comparable with another's.

    Parameters
    ----------
    path : str or path
        The PNG. Replaced if it exists, written whole or not at all.
    depth : (H, W) array of float
        Depth in any unit.
    seen : (H, W) array of bool, optional
        Where a face is seen; by default where the depth is finite and not 0.

    Raises
    ------
    ValueError
        Shapes that are not as above.
    OSError
        The file cannot be written.
    """
    from PIL import Image

    values = np.asarray(depth)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(
            f"the depth has the shape {values.shape}; (H, W) is needed: take one channel, image[..., 0]"
        )
    mask = np.isfinite(values) if seen is None else np.isfinite(values) & np.asarray(seen, dtype=bool)
    if seen is None:
        mask &= values != 0
    grey = np.zeros(values.shape, np.uint8)
    if mask.any():
        near, far = _range(values, mask)
        for start in range(0, len(values), _ROWS):  # a few rows at a time stay in the processor's cache
            rows = slice(start, start + _ROWS)
            away = far - np.where(mask[rows], values[rows], far)
            nearness = away / (far - near) if far > near else np.full_like(away, 0.5)
            grey[rows] = np.where(
                mask[rows], 1.5 + 254 * np.clip(nearness, 0, 1), 0
            )  # + 0.5: rounded, not cut
    with written_whole(path) as temporary:
        # Level 1 is several times faster than the default and 10-20 % larger.
        Image.fromarray(grey).save(temporary, format="PNG", compress_level=1)


def _range(values: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the depths that become brightest and darkest, from a regular sample of the pixels seen."""
    step = max(1, int(np.sqrt(values.size / _SAMPLE)))
    sample = values[::step, ::step][mask[::step, ::step]]
    if sample.size < 1000:  # few pixels are seen: take them all
        sample = values[mask]
    near, far = np.percentile(sample, _PERCENTILES)
    return float(near), float(far)
