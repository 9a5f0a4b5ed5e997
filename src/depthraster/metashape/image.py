"""`Image`: pixels with named channels, as rendering gives them; an array for numpy, without a copy.

Which values pixels have in another type or other channels is said in ``pixels.py``, files are ``image_files.py``'s. The
commonest change is another method: it works on ``_pixels``, (height, width, cn), row 0 on top.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from depthraster.metashape.base import ArrayLike, is_number
from depthraster.metashape.calibration import Calibration
from depthraster.metashape.image_files import ImageCompression, read_pixels, write_pixels
from depthraster.metashape.pixels import (
    DTYPES,
    checked_channels,
    checked_type,
    computed,
    converted,
    resized,
    type_name,
    undistorted,
)

__all__ = ["Image"]

Pixels = npt.NDArray[Any]


class Image(ArrayLike):
    """An image of any number of channels, at first all 0; numpy sees a (height, width, cn) array, and can write to it.

    ``image[x, y]``, column and row, is the tuple of a pixel's channels. ``+ - * /`` with a number or an image work on every
    channel, alpha included, and keep the type: whole numbers are cut to whole numbers and to the type's range.

    Parameters
    ----------
    width, height : int
        Its size, pixels.
    channels : str
        A letter for each channel: ``" "`` for one, ``"RGB"``, ``"RGBA"``, ``" A"`` for one and alpha.
    datatype : str
        ``"U8"``, ``"U16"``, ``"U32"``, ``"F16"``, ``"F32"`` or ``"F64"``.
    """

    __slots__ = ("_channels", "_pixels")
    __hash__: ClassVar[None]  # type: ignore[assignment]  # it can change
    _pixels: Pixels
    _channels: str

    def __init__(self, width: int = 0, height: int = 0, channels: str = "RGB", datatype: str = "U8") -> None:
        self._channels = checked_channels(channels)
        if min(operator.index(width), operator.index(height)) < 0:
            raise ValueError(f"the size is {width} x {height}; 0 or more pixels are needed: check it")
        self._pixels = np.zeros((height, width, len(channels)), DTYPES[checked_type(datatype)])

    @classmethod
    def _of(cls, pixels: Pixels, channels: str) -> Image:
        """Make an image of a (H, W, C) array, which becomes its own."""
        image = cls.__new__(cls)
        image._pixels, image._channels = pixels, channels
        return image

    @property
    def width(self) -> int:
        """Width, pixels."""
        return int(self._pixels.shape[1])

    @property
    def height(self) -> int:
        """Height, pixels."""
        return int(self._pixels.shape[0])

    @property
    def cn(self) -> int:
        """Number of channels."""
        return int(self._pixels.shape[2])

    @property
    def channels(self) -> str:
        """A letter for each channel."""
        return self._channels

    @property
    def data_type(self) -> str:
        """The pixels' type, ``"F32"``."""
        return type_name(self._pixels.dtype)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Pixels:
        if dtype is None or np.dtype(dtype) == self._pixels.dtype:
            return self._pixels.copy() if copy else self._pixels
        if copy is False:
            raise ValueError(
                f"an array of {np.dtype(dtype)} was asked for without a copy; {self._pixels.dtype} is needed: convert() the "
                "image, or let it be copied"
            )
        return self._pixels.astype(dtype)

    def tostring(self) -> bytes:
        """Return the pixels as bytes: channel by channel, pixel by pixel, row by row from the top, little-endian."""
        return self._pixels.astype(self._pixels.dtype.newbyteorder("<"), copy=False).tobytes()

    @staticmethod
    def fromstring(data: Any, width: int, height: int, channels: str, datatype: str = "U8") -> Image:
        """Return an image made of bytes, as `tostring` gives them, or of an array with that content."""
        image = Image(0, 0, channels, datatype)
        content = np.ascontiguousarray(data).tobytes() if isinstance(data, np.ndarray) else bytes(data)
        needed = width * height * image.cn * image._pixels.dtype.itemsize
        if len(content) != needed:
            raise ValueError(
                f"there are {len(content)} bytes of data; {needed} are needed for {width} x {height} pixels of "
                f"{channels!r}, {datatype}: check size, channels and type"
            )
        dtype = image._pixels.dtype
        pixels = np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype)
        return Image._of(pixels.reshape(height, width, len(channels)), channels)

    @staticmethod
    def open(
        path: str | os.PathLike[str],
        layer: int = 0,
        datatype: str = "U8",
        channels: str | None = None,
        x: int = 0,
        y: int = 0,
        w: int | None = None,
        h: int | None = None,
    ) -> Image:
        """Return an image read from a file: TIFF, EXR, PNG, JPEG, or what else Pillow reads.

        ``layer`` is the page of a TIFF; ``datatype`` and ``channels`` are what it is converted to, as by `convert`; x, y, w
        and h choose a part of it.
        """
        pixels, found = read_pixels(path, layer)
        across, down = w or pixels.shape[1] - x, h or pixels.shape[0] - y
        if (
            min(x, y) < 0
            or min(across, down) < 1
            or x + across > pixels.shape[1]
            or y + down > pixels.shape[0]
        ):
            raise ValueError(
                f"{os.fspath(path)}: the part {across} x {down} at ({x}, {y}) of an image of {pixels.shape[1]} x "
                f"{pixels.shape[0]} was asked for; a part of it is needed: check x, y, w and h"
            )
        part = Image._of(np.ascontiguousarray(pixels[y : y + down, x : x + across]), found)
        return part.convert(channels or found, datatype)

    def save(self, path: str | os.PathLike[str], compression: ImageCompression | None = None) -> None:
        """Write the image to a file, whole or not at all; the suffix says the format: TIFF, EXR, PNG or JPEG.

        TIFF takes every type, EXR floating point (F64 is rounded to F32), PNG U8 and U16, JPEG U8 without alpha.
        """
        write_pixels(path, self._pixels, self._channels, compression)

    def convert(self, channels: str | None = None, datatype: str | None = None) -> Image:
        """Return the image in other channels and another type; what is not given stays.

        1.0 of floating point is the greatest value of whole numbers, both ways, and what is beyond is cut. One channel is
        repeated where ``"RGB"`` is asked for; alpha that is not there is opaque, alpha not asked for is dropped.
        """
        channels = self._channels if channels is None else checked_channels(channels)
        datatype = self.data_type if datatype is None else checked_type(datatype)
        return Image._of(*converted(self._pixels, self._channels, channels, DTYPES[datatype]))

    def copy(self) -> Image:
        """Return a copy."""
        return Image._of(self._pixels.copy(), self._channels)

    def resize(self, width: int, height: int) -> Image:
        """Return the image in another size.

        Floating point, which is measured, keeps its values: each pixel is that of the old image which its centre is in.
        Whole numbers, which are for the eye, are interpolated, and averaged where the image becomes smaller.
        """
        return Image._of(resized(self._pixels, operator.index(width), operator.index(height)), self._channels)

    def undistort(
        self, calib: Calibration, center_principal_point: bool = True, square_pixels: bool = True
    ) -> Image:
        """Return the image as a camera without distortion would have taken it: same size, same f.

        With ``center_principal_point`` cx and cy become 0, with ``square_pixels`` b1; b2 always does. Floating point keeps
        its values, whole numbers are interpolated, as by `resize`; what the photo does not show is 0.
        """
        value = calib.as_value()
        pixels = undistorted(self._pixels, value, bool(center_principal_point), bool(square_pixels))
        return Image._of(pixels, self._channels)

    def __getitem__(self, place: tuple[int, int]) -> tuple[Any, ...]:
        x, y = self._place(place)
        return tuple(self._pixels[y, x].tolist())

    def __setitem__(self, place: tuple[int, int], value: Any) -> None:
        x, y = self._place(place)
        values = (value,) if is_number(value) else tuple(value)
        if len(values) != self.cn:
            raise ValueError(
                f"a pixel was set to {value!r}; {self.cn} numbers are needed, one for each of {self._channels!r}: pass a "
                "tuple"
            )
        self._pixels[y, x] = values

    def _place(self, place: Any) -> tuple[int, int]:
        if not isinstance(place, tuple) or len(place) != 2:
            raise TypeError(
                f"an image was indexed with {place!r}; column and row are needed: write image[x, y], or use "
                "numpy.asarray(image)[row, column]"
            )
        x, y = operator.index(place[0]), operator.index(place[1])
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise IndexError(
                f"pixel ({x}, {y}) of an image of {self.width} x {self.height} was asked for; 0 <= x < {self.width} and "
                f"0 <= y < {self.height} are needed: check the order, column first"
            )
        return x, y

    def _with(self, other: Any, function: Callable[[Any, Any], Any], turned: bool = False) -> Any:
        if isinstance(other, Image):
            if (other._pixels.shape, other.data_type) != (self._pixels.shape, self.data_type):
                raise ValueError(
                    f"{self!r} and {other!r} were combined; the same size, number of channels and type are needed: "
                    "convert() or resize() one"
                )
            operand: Any = other._pixels
        elif is_number(other):
            operand = other.item() if isinstance(other, np.generic) else other
        else:
            return NotImplemented
        return Image._of(computed(function, self._pixels, operand, turned), self._channels)

    def __add__(self, other: Any) -> Any:
        return self._with(other, np.add)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, np.add, True)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, np.subtract)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, np.subtract, True)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, np.multiply)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, np.multiply, True)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, np.true_divide)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, np.true_divide, True)

    def _compared(self, other: Any, function: Callable[[Any, Any], Any]) -> Any:
        if not is_number(other) and not isinstance(other, (Image, np.ndarray)):
            return NotImplemented
        return function(self._pixels, np.asarray(other))

    # Not whether they are the same image: "depth != 0" shall not be True in silence.
    def __eq__(self, other: object) -> Any:
        return self._compared(other, operator.eq)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, operator.ne)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, operator.ge)

    def __bool__(self) -> bool:
        return True  # scripts ask "if image:"

    def __repr__(self) -> str:
        return f"Image({self.width} x {self.height}, {self._channels!r}, {self.data_type})"
