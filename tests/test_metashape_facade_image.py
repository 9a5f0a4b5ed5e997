"""`Image` of the façade: types, channels, arithmetic, files; and that numpy sees the pixels themselves."""

from __future__ import annotations

import sys

import imagecodecs
import numpy as np
import pytest
import tifffile

import depthraster as dr
import depthraster.metashape as Metashape
from cameras import calibration

TYPES = {"U8": "u1", "U16": "<u2", "U32": "<u4", "F16": "<f2", "F32": "<f4", "F64": "<f8"}
RNG = np.random.default_rng(11)


def image_of(array, channels=None) -> Metashape.Image:
    array = np.asarray(array)
    array = array[..., None] if array.ndim == 2 else array
    name = next(name for name, dtype in TYPES.items() if np.dtype(dtype) == array.dtype)
    channels = channels or {1: " ", 2: " A", 3: "RGB", 4: "RGBA"}[array.shape[2]]
    return Metashape.Image.fromstring(array.tobytes(), array.shape[1], array.shape[0], channels, name)


def photo(height=12, width=17, channels=3, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype)


@pytest.mark.parametrize("name", TYPES)
def test_bytes_go_in_and_come_out_row_by_row(name):
    array = (RNG.random((5, 7, 2)) * 200).astype(TYPES[name])
    image = image_of(array)
    assert (image.width, image.height, image.cn, image.channels, image.data_type) == (7, 5, 2, " A", name)
    assert isinstance(image.tostring(), bytes)
    np.testing.assert_array_equal(np.frombuffer(image.tostring(), TYPES[name]).reshape(5, 7, 2), array)
    np.testing.assert_array_equal(np.asarray(image), array)
    again = Metashape.Image.fromstring(array, 7, 5, " A", datatype=name)  # an array stands for its bytes
    np.testing.assert_array_equal(np.asarray(again), array)


def test_a_new_image_is_black():
    image = Metashape.Image(4, 3, " ", "F32")
    assert np.asarray(image).shape == (3, 4, 1) and not np.asarray(image).any()
    assert Metashape.Image(4, 3, "RGB").data_type == "U8"


def test_numpy_sees_the_pixels_and_no_copy():
    image = image_of(RNG.random((5, 7)).astype(np.float32))
    array = np.asarray(image)
    assert array.shape == (5, 7, 1) and np.shares_memory(array, np.asarray(image))
    array[2, 3] = 9
    assert image[3, 2] == (9.0,)
    assert not np.shares_memory(np.array(image), array)
    assert np.array(image).flags.writeable
    assert np.asarray(image, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.sqrt(image), np.sqrt(array))
    np.testing.assert_array_equal(np.where(array > 0.5, image, 0), np.where(array > 0.5, array, 0))


def test_an_image_is_indexed_by_column_and_row():
    array = RNG.random((5, 7, 2)).astype(np.float32)
    image = image_of(array)
    assert image[6, 4] == tuple(array[4, 6].tolist())
    assert all(type(number) is float for number in image[0, 0])
    assert image[np.int64(3), 2][0] == array[2, 3, 0]
    image[3, 2] = (1.5, 0)
    assert image[3, 2] == (1.5, 0.0)
    one = Metashape.Image(2, 2, " ", "U8")
    one[1, 0] = (7,)
    one[0, 1] = 8
    assert one[1, 0] == (7,) and np.asarray(one)[..., 0].tolist() == [[0, 7], [8, 0]]


def test_arithmetic_of_floats_is_numpys():
    array = RNG.random((5, 7, 2)).astype(np.float32)
    a, b = image_of(array), image_of(array[::-1].copy())
    other = array[::-1]
    for result, expected in (
        (a * 2.5, array * np.float32(2.5)), (2.5 * a, array * np.float32(2.5)), (a / 3, array / np.float32(3)),
        (1 / a, 1 / array), (a + 1, array + 1), (1 + a, array + 1), (a - 0.5, array - np.float32(0.5)),
        (0.5 - a, np.float32(0.5) - array), (a + b, array + other), (a - b, array - other), (a * b, array * other),
        (np.float32(2) * a, array * 2), (np.float64(0.1) * a, array * np.float32(0.1)), (a * np.int64(3), array * 3),
        (a - array.min(), array - array.min()),
    ):  # fmt: skip
        assert isinstance(result, Metashape.Image) and result.data_type == "F32" and result.channels == " A"
        np.testing.assert_array_equal(np.asarray(result), expected)
    a *= 2
    np.testing.assert_array_equal(np.asarray(a), array * 2)


def test_arithmetic_of_whole_numbers_stays_in_their_range_and_cuts():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image, whole = image_of(values), values.astype(int)
    for result, expected in (
        (image * 0.5, np.trunc(values * 0.5)),
        (255 - image, 255 - whole),
        (image + 100, np.minimum(whole + 100, 255)),
        (image - 100, np.maximum(whole - 100, 0)),
        (image * 3, np.minimum(whole * 3, 255)),
        (image + image, np.minimum(whole * 2, 255)),
        (image / 0, np.where(values, 255, 0)),
    ):
        assert result.data_type == "U8"
        np.testing.assert_array_equal(np.asarray(result)[..., 0], expected)
    wide = image_of(np.array([[0, 70000, 4294967295]], np.uint32))
    np.testing.assert_array_equal(np.asarray(wide * 0.5)[0, :, 0], [0, 35000, 2147483647])
    np.testing.assert_array_equal(np.asarray(wide + wide)[0, :, 0], [0, 140000, 4294967295])


def test_comparing_gives_numpys_answer_not_identity():
    array = np.array([[0, 1.5], [0, 3]], np.float32)
    image = image_of(array)
    np.testing.assert_array_equal((image != 0)[..., 0], array != 0)
    np.testing.assert_array_equal((image == 0)[..., 0], array == 0)
    np.testing.assert_array_equal((image > 1)[..., 0], array > 1)
    np.testing.assert_array_equal((2 <= image)[..., 0], array >= 2)  # noqa: SIM300
    assert (image == image.copy()).all()
    assert image is not None and image != None and image  # noqa: E711


@pytest.mark.parametrize("low", ["U8", "U16", "U32"])
@pytest.mark.parametrize("high", ["F32", "F64"])
def test_one_in_floating_point_is_all_in_whole_numbers(low, high):
    greatest = np.iinfo(TYPES[low]).max
    values = np.array([[0.0, 0.25, 0.5, 1.0, 1.5, -1.0, np.nan, np.inf]], TYPES[high])
    image = image_of(values).convert(" ", low)
    expected = np.rint(np.array([0, 0.25, 0.5, 1, 1, 0, 0, 1]) * greatest)
    np.testing.assert_array_equal(np.asarray(image)[0, :, 0], expected)
    back = image.convert(datatype=high)
    np.testing.assert_allclose(np.asarray(back)[0, :4, 0], values[0, :4], atol=0.5 / greatest + 1e-7)


def test_types_convert():
    depth = image_of(np.array([[0, 12.345, 1e4]], np.float32))
    half = depth.convert(" ", "F16")
    assert half.data_type == "F16"
    np.testing.assert_array_equal(np.asarray(half)[0, :, 0], np.float16([0, 12.345, 1e4]))
    np.testing.assert_array_equal(
        np.asarray(image_of(np.uint8([[0, 3, 255]])).convert(" ", "U16"))[0, :, 0], [0, 771, 65535]
    )
    np.testing.assert_array_equal(
        np.asarray(image_of(np.uint16([[0, 771, 65535]])).convert(" ", "U8"))[0, :, 0], [0, 3, 255]
    )
    same = depth.convert()
    assert same.channels == " " and not np.shares_memory(np.asarray(same), np.asarray(depth))


def test_channels_convert_by_their_letters():
    array = RNG.random((3, 4, 2)).astype(np.float32)
    image = image_of(array, " A")
    np.testing.assert_array_equal(np.asarray(image.convert(" "))[..., 0], array[..., 0])
    np.testing.assert_array_equal(np.asarray(image.convert("R"))[..., 0], array[..., 0])
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.repeat(array[..., :1], 3, axis=2))
    np.testing.assert_array_equal(np.asarray(image.convert("RGBA"))[..., 3], array[..., 1])
    rgb = image_of(photo())
    np.testing.assert_array_equal(np.asarray(rgb.convert("BGR")), np.asarray(rgb)[..., ::-1])
    np.testing.assert_array_equal(np.asarray(rgb.convert("G"))[..., 0], np.asarray(rgb)[..., 1])
    assert (np.asarray(rgb.convert("RGBA"))[..., 3] == 255).all()
    assert (np.asarray(rgb.convert("RGBA", "F32"))[..., 3] == 1).all()
    with pytest.raises(ValueError, match="how Metashape mixes colours is not known"):
        rgb.convert(" ")


def test_measured_pixels_keep_their_values_in_another_size():
    depth = image_of(np.array([[0, 5], [7, 9]], np.float32))
    large = np.asarray(depth.resize(5, 4))[..., 0]
    np.testing.assert_array_equal(large, [[0, 0, 5, 5, 5], [0, 0, 5, 5, 5], [7, 7, 9, 9, 9], [7, 7, 9, 9, 9]])
    array = RNG.random((40, 60, 2)).astype(np.float32)
    small = image_of(array).resize(20, 10)
    assert (small.width, small.height, small.channels) == (20, 10, " A")
    np.testing.assert_array_equal(np.asarray(small), array[2::4, 1::3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_photos_are_interpolated_in_another_size(dtype):
    ramp = np.linspace(0, np.iinfo(dtype).max, 64)[None, :, None] * np.ones((32, 1, 3))
    image = image_of(ramp.astype(dtype)).resize(128, 16)
    assert (image.width, image.height, np.asarray(image).dtype) == (128, 16, dtype)
    expected = np.interp((np.arange(128) + 0.5) / 2 - 0.5, np.arange(64), ramp[0, :, 0])
    assert np.abs(np.asarray(image)[8, :, 1] - expected).max() < np.iinfo(dtype).max * 0.005
    flat = image_of(np.full((9, 9, 1), 200, dtype)).resize(3, 30)
    assert (np.asarray(flat) == 200).all()


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("channels", [" ", " A", "RGB", "RGBA"])
def test_tiff_keeps_every_pixel(name, channels, tmp_path):
    array = (RNG.random((30, 41, len(channels))) * 200).astype(TYPES[name])
    image = image_of(array, channels)
    image.save(tmp_path / "image.tif")
    found = tifffile.imread(tmp_path / "image.tif")
    np.testing.assert_array_equal(found, array[..., 0] if channels == " " else array)
    again = Metashape.Image.open(tmp_path / "image.tif", datatype=name)
    assert again.channels == channels
    np.testing.assert_array_equal(np.asarray(again), array)


def compression(**options):
    made = Metashape.ImageCompression()
    for name, value in options.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("name", ["None", "LZW", "Packbits", "Deflate"])
@pytest.mark.parametrize("more", [{}, {"tiff_tiled": True}, {"tiff_planar": True}, {"tiff_big": True}])
@pytest.mark.parametrize("datatype", ["U8", "U16", "F16", "F32"])
def test_tiff_is_compressed_as_asked(name, more, datatype, tmp_path):
    array = (RNG.random((300, 141, 3)) * 200).astype(TYPES[datatype])
    kind = getattr(Metashape.ImageCompression(), f"TiffCompression{name}")
    image_of(array).save(str(tmp_path / "image.tiff"), compression(tiff_compression=kind, **more))
    with tifffile.TiffFile(tmp_path / "image.tiff") as tif:
        assert len(tif.pages) == 1
        page = tif.pages[0]
        assert page.compression.name == {"Deflate": "ADOBE_DEFLATE"}.get(name, name.upper())
        assert page.is_tiled == bool(more.get("tiff_tiled"))
        assert page.planarconfig.name == ("SEPARATE" if more.get("tiff_planar") else "CONTIG")
        assert tif.is_bigtiff == bool(more.get("tiff_big"))
        assert page.photometric.name == "RGB"
    np.testing.assert_array_equal(
        np.asarray(Metashape.Image.open(tmp_path / "image.tiff", datatype=datatype)), array
    )


@pytest.mark.parametrize("name", ["JPEG", "WebP"])
def test_tiff_can_lose_something_where_that_is_asked_for(name, tmp_path):
    array = np.zeros((64, 64, 3), np.uint8)
    array[..., 0] = np.arange(64) * 4
    kind = getattr(Metashape.ImageCompression, f"TiffCompression{name}")
    options = compression(tiff_compression=kind, jpeg_quality=95)
    image_of(array).save(tmp_path / "image.tif", compression=options.copy())
    found = tifffile.imread(tmp_path / "image.tif")
    assert found.shape == array.shape
    assert np.abs(found.astype(int) - array).mean() < 5
    with pytest.raises(ValueError, match="U8 in"):
        image_of(array.astype(np.uint16)).save(tmp_path / "other.tif", options)
    assert not (tmp_path / "other.tif").exists()


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of OpenEXR")
@pytest.mark.parametrize("name", ["F16", "F32"])
@pytest.mark.parametrize("channels", [" ", " A", "RGB", "RGBA"])
def test_exr_keeps_every_pixel_in_its_type(name, channels, tmp_path):
    import OpenEXR

    array = (RNG.random((30, 41, len(channels))) * 200).astype(TYPES[name])
    image_of(array, channels).save(tmp_path / "image.exr")
    with OpenEXR.File(str(tmp_path / "image.exr"), separate_channels=True) as file:
        assert {channel.pixels.dtype for channel in file.channels().values()} == {np.dtype(TYPES[name])}
    again = Metashape.Image.open(tmp_path / "image.exr", datatype=name)
    assert again.channels == channels
    np.testing.assert_array_equal(np.asarray(again), array)


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of OpenEXR")
def test_a_half_exr_that_is_all_the_same_reads_again(tmp_path):
    Metashape.Image(3000, 2000, " ", "F16").save(tmp_path / "image.exr")
    assert Metashape.Image.open(tmp_path / "image.exr", datatype="F16").width == 3000


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_keeps_every_pixel(dtype, channels, tmp_path):
    array = photo(channels=channels, dtype=dtype)
    image_of(array).save(tmp_path / "image.png")
    found = imagecodecs.png_decode((tmp_path / "image.png").read_bytes())
    np.testing.assert_array_equal(found.reshape(array.shape), array)
    again = Metashape.Image.open(tmp_path / "image.png", datatype="U8" if dtype == np.uint8 else "U16")
    np.testing.assert_array_equal(np.asarray(again), array)


def test_jpeg_is_for_photos(tmp_path):
    array = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 4, (64, 64, 3))
    image_of(array.copy()).save(tmp_path / "image.jpg", compression(jpeg_quality=95))
    again = Metashape.Image.open(tmp_path / "image.jpg")
    assert again.channels == "RGB"
    assert np.abs(np.asarray(again).astype(int) - array).max() < 10


def test_a_part_of_an_image_is_opened_and_converted(tmp_path):
    array = photo(30, 40)
    image_of(array).save(tmp_path / "image.png")
    part = Metashape.Image.open(tmp_path / "image.png", x=5, y=7, w=10, h=4, channels="R", datatype="F32")
    np.testing.assert_array_equal(np.asarray(part)[..., 0], (array[7:11, 5:15, 0] / 255).astype(np.float32))
    with pytest.raises(ValueError, match="the part 99 x 30"):
        Metashape.Image.open(tmp_path / "image.png", w=99)
    tifffile.imwrite(tmp_path / "two.tif", np.stack([array[..., 0], array[..., 1]]), photometric="minisblack")
    second = Metashape.Image.open(tmp_path / "two.tif", layer=1)
    np.testing.assert_array_equal(np.asarray(second)[..., 0], array[..., 1])
    found = Metashape.Image().open(tmp_path / "image.png")  # as scripts write it
    np.testing.assert_array_equal(np.asarray(found), array)


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0nothing")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "a.bmp").write_bytes(b"nothing")
    for name in ("a.tif", "a.png", "a.bmp"):
        with pytest.raises(dr.FormatError, match="not read as an image"):
            Metashape.Image.open(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        Metashape.Image.open(tmp_path / "none.png")


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of scipy")
@pytest.mark.parametrize("lens", ["survey", "barrel", "decentred"])
@pytest.mark.parametrize("centre", [True, False])
def test_an_undistorted_photo_is_that_of_a_plain_camera(lens, centre):
    """A scene of smooth colours, taken by both cameras."""
    value = calibration(lens, 120, 90)

    def taken(camera):
        v, u = np.mgrid[: camera.height, : camera.width] + 0.5
        x, y, _ = np.moveaxis(camera.unproject(np.stack([u, v], axis=-1)), -1, 0)
        colours = np.stack([np.sin(3 * x), np.cos(2 * y), np.sin(2 * x + 3 * y)], axis=-1)
        return np.nan_to_num(120 + 100 * colours).astype(np.uint8)

    calib = Metashape.Calibration()
    for name in ("width", "height", "f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "p1", "p2", "p4"):
        setattr(calib, name, getattr(value, name))
    result = image_of(taken(value)).undistort(calib, center_principal_point=centre)
    plain = dr.Calibration(
        width=120, height=90, f=value.f, **({} if centre else {"cx": value.cx, "cy": value.cy})
    )
    v, u = np.mgrid[:90, :120] + 0.5
    source = value.project(plain.unproject(np.stack([u, v], axis=-1)))
    inside = ((source > 0) & (source < [120, 90])).all(axis=-1)
    deep = ((source > 2) & (source < [118, 88])).all(axis=-1)
    assert deep.mean() > 0.3
    difference = np.abs(np.asarray(result).astype(int) - taken(plain))
    assert difference[deep].max() <= 3
    assert not np.asarray(result)[~inside].any()


def test_an_undistorted_depth_image_has_no_values_of_its_own():
    value = calibration("survey", 60, 45)
    calib = Metashape.Calibration()
    for name in ("width", "height", "f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "p1", "p2"):
        setattr(calib, name, getattr(value, name))
    depth = np.where(np.arange(60) < 30, 5.0, 100.0)[None, :, None] * np.ones((45, 1, 1), np.float32)
    result = image_of(depth.astype(np.float32)).undistort(calib)
    assert {5.0, 100.0} <= set(np.unique(np.asarray(result)).tolist()) <= {0.0, 5.0, 100.0}
    calib.type = Metashape.Sensor.Type.Fisheye
    with pytest.raises(ValueError, match="fisheye lens; that of a frame camera"):
        image_of(depth.astype(np.float32)).undistort(calib)


def test_scipy_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    calib = Metashape.Calibration()
    calib.width, calib.height, calib.f = 17, 12, 15
    with pytest.raises(ImportError, match=r"pip install 'depthraster\[resample\]'"):
        image_of(photo()).undistort(calib)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda i: i[17, 0], IndexError, "pixel \\(17, 0\\) of an image of 17 x 12"),
        (lambda i: i[-1, 0], IndexError, "check the order, column first"),
        (lambda i: i[3], TypeError, "column and row are needed"),
        (lambda i: i.__setitem__((0, 0), (1, 2)), ValueError, "3 numbers are needed"),
        (lambda i: i + image_of(photo(5, 5)), ValueError, "the same size"),
        (lambda i: i + i.convert("RGB", "F32"), ValueError, "and type are needed"),
        (lambda i: i * "2", TypeError, "multiply"),
        (lambda i: i < "2", TypeError, "not supported"),
        (lambda i: i.convert(" ", "F8"), ValueError, "datatype is 'F8'"),
        (lambda i: i.convert(3), TypeError, "channels are 3"),
        (lambda i: i.convert(""), ValueError, "channels are ''"),
        (lambda i: i.resize(0, 4), ValueError, "at least 1 x 1"),
        (lambda i: i.save("x.gif"), ValueError, "ends in '.gif'; one of .tif"),
        (lambda i: i.save("x.exr"), ValueError, "a .exr takes F16 or F32 or F64"),
        (lambda i: i.convert("RGB", "F32").save("x.png"), ValueError, "a .png takes U8 or U16"),
        (lambda i: i.save("x.tif", compression(tiff_overviews=True)), ValueError, "gdaladdo"),
        (lambda i: i.fromstring(b"123", 2, 2, " "), ValueError, "3 bytes of data; 4 are needed"),
        (lambda i: i.undistort(Metashape.Calibration()), ValueError, "width is 0"),
        (lambda i: Metashape.Image(-1, 2, " "), ValueError, "0 or more pixels"),
        (lambda i: Metashape.Image().save("x.tif"), ValueError, "no pixels"),
        (lambda i: i.warp, AttributeError, "Metashape.Image.warp was asked for and is not offered"),
        (lambda i: i.gaussianBlur(2), AttributeError, "Metashape.Image.gaussianBlur was asked for"),
        (lambda i: i.__array__("f8", copy=False), ValueError, "without a copy"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        call(image_of(photo()))
    assert not list(tmp_path.iterdir())
