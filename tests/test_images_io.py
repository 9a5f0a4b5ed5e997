"""Images: what is read is what was written, previews show what they say, files are whole or not there."""

from __future__ import annotations

import errno
import os
import stat
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import depthraster as dr
from depthraster.io.files import written_whole
from depthraster.io.image_formats import write_npz
from depthraster.io.images import load_image, save_image, save_preview


def picture(height=70, width=90, channels=None, seed=0):
    rng = np.random.default_rng(seed)
    shape = (height, width) if channels is None else (height, width, channels)
    image = rng.normal(50, 20, shape).astype(np.float32)
    image.ravel()[:8] = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 3.4e38, -1e-30]
    return image


def bits(image):
    return image.view(np.uint32)


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".npy"])
@pytest.mark.parametrize(
    "shape", [(70, 90, None), (70, 90, 1), (70, 90, 2), (70, 90, 5), (1, 20, None), (20, 1, 2)]
)
def test_every_bit_comes_back(tmp_path, suffix, shape):
    image = picture(*shape)
    path = tmp_path / f"image{suffix}"
    save_image(path, image)
    found = load_image(path)
    assert found.dtype == np.float32
    # A TIFF does not tell one channel from none.
    expected = image[..., 0] if shape[2] == 1 and suffix != ".npy" else image
    assert found.shape == expected.shape
    np.testing.assert_array_equal(bits(found), bits(np.ascontiguousarray(expected)))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_images_larger_than_a_strip(tmp_path):
    image = picture(700, 1300, 2)
    save_image(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert len(tif.pages) == 1 and len(tif.pages[0].dataoffsets) > 5
    np.testing.assert_array_equal(bits(load_image(tmp_path / "a.tif")), bits(image))


def test_views_of_other_arrays_and_double_precision(tmp_path):
    image = picture(60, 80, 2)
    save_image(tmp_path / "a.tif", image[::2, ::-1, 0])
    np.testing.assert_array_equal(load_image(tmp_path / "a.tif"), image[::2, ::-1, 0])
    save_image(tmp_path / "b.tif", np.full((3, 4), np.pi))
    assert load_image(tmp_path / "b.tif").tolist() == np.full((3, 4), np.float32(np.pi)).tolist()
    save_image(tmp_path / "b.npy", np.full((3, 4), np.pi))
    assert load_image(tmp_path / "b.npy").tolist() == np.full((3, 4), np.pi).tolist()


@pytest.mark.parametrize("suffix", [".tif", ".exr"])
@pytest.mark.parametrize("channels", [None, 2, 4])
def test_half_precision_stays_where_the_format_has_it(tmp_path, suffix, channels):
    if suffix == ".exr":
        pytest.importorskip("OpenEXR", reason="the extra exr is not installed")
    image = (
        np.random.default_rng(1)
        .normal(size=(30, 40) if channels is None else (30, 40, channels))
        .astype(np.float16)
    )
    save_image(tmp_path / f"a{suffix}", image)
    found = load_image(tmp_path / f"a{suffix}")
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, image)
    save_image(tmp_path / "a.pfm", image[..., 0] if channels else image)
    assert load_image(tmp_path / "a.pfm").dtype == np.float32


def test_the_tiff_is_deflated_with_the_predictor_for_floats(tmp_path):
    y, x = np.mgrid[:600, :800].astype(np.float32)
    depth = 60 + 5 * np.sin(x / 90) * np.cos(y / 70)
    image = np.stack([depth, np.ones_like(depth)], axis=-1)
    save_image(tmp_path / "a.tif", image)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        page = tif.pages[0]
        assert page.compression.name == "ADOBE_DEFLATE" and page.predictor.name == "FLOATINGPOINT"
        assert page.sampleformat == 3 and page.bitspersample == 32 and page.samplesperpixel == 2
        assert page.photometric.name == "MINISBLACK" and page.planarconfig.name == "CONTIG"
        assert [sample.name for sample in page.extrasamples] == ["UNASSALPHA"]
        assert page.software == "depthraster"
    assert (tmp_path / "a.tif").stat().st_size < 0.5 * image.nbytes
    first = (tmp_path / "a.tif").read_bytes()
    save_image(tmp_path / "a.tif", image)
    assert (tmp_path / "a.tif").read_bytes() == first  # the same bytes: no date, no random numbers


def test_any_number_of_threads_and_either_compressor_gives_the_same_pixels(tmp_path, monkeypatch):
    import imagecodecs

    images = [picture(700, 900), picture(600, 500, 3), np.arange(600 * 700, dtype=np.int32).reshape(600, 700)]
    images.append(images[2].astype(">i4")[:, ::-1])
    for image in images:
        written = []
        for threads in (1, 2, 7, None):
            save_image(tmp_path / "a.tif", image, threads=threads)
            written.append((tmp_path / "a.tif").read_bytes())
        assert len(set(written)) == 1
        found = load_image(tmp_path / "a.tif")
        with monkeypatch.context() as patched:
            patched.setattr(imagecodecs, "ZLIBNG", None)
            save_image(tmp_path / "b.tif", image)
        other = load_image(tmp_path / "b.tif")
        for back in (found, other):
            assert (
                back.dtype == image.dtype.newbyteorder("=")
                and back.astype(image.dtype).tobytes() == image.tobytes()
            )
    with pytest.raises(ValueError, match="threads is 0"):
        save_image(tmp_path / "a.tif", images[0], threads=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_pillow_reads_the_depth_too(tmp_path):
    depth = np.abs(picture(20, 30)[1:])
    save_image(tmp_path / "a.tif", depth)
    with Image.open(tmp_path / "a.tif") as other:
        assert other.mode == "F" and other.size == (30, 19)


@pytest.mark.parametrize(
    ("name", "image", "error", "words"),
    [
        ("a.jpg", np.zeros((2, 2)), ValueError, r"'\.jpg'.*\.tif"),
        ("a", np.zeros((2, 2)), ValueError, r"\.tif"),
        ("a.tif", np.zeros((2, 2), int), TypeError, "int64"),
        ("a.tif", np.zeros((2, 2), complex), TypeError, "complex"),
        ("a.tif", np.zeros(4), ValueError, r"\(4,\)"),
        ("a.tif", np.zeros((2, 0)), ValueError, r"\(2, 0\)"),
        ("a.npy", np.zeros((2, 2, 2, 2)), ValueError, r"\(2, 2, 2, 2\)"),
        ("a.png", np.zeros((2, 2)), TypeError, "float32.*uint16"),
        ("a.png", np.zeros((2, 2, 2), np.uint16), ValueError, "2 channels"),
        ("a.pfm", np.zeros((2, 2), np.int32), TypeError, "int32"),
        ("a.pfm", np.zeros((2, 2, 2)), ValueError, "2 channels"),
        ("a.exr", np.zeros((2, 2), np.int32), TypeError, "int32"),
        ("a.exr", np.zeros((2, 2, 5)), ValueError, "5 channels"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, image, error, words):
    with pytest.raises(error, match=words):
        save_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


def test_other_floats_are_read(tmp_path):
    depth = picture(40, 50).astype(np.float64)
    tifffile.imwrite(tmp_path / "a.tif", depth, tile=(16, 16), compression="lzw", predictor=True)
    assert load_image(tmp_path / "a.tif").dtype == np.float64
    np.testing.assert_array_equal(load_image(tmp_path / "a.tif"), depth)
    tifffile.imwrite(tmp_path / "b.tif", depth.astype(">f4"), byteorder=">")
    np.testing.assert_array_equal(load_image(tmp_path / "b.tif"), depth.astype(np.float32))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("options", [{}, {"photometric": "minisblack", "compression": "zlib"}])
def test_what_tifffile_makes_of_a_rendered_image_is_read(tmp_path, channels, options):
    image = np.random.default_rng(3).random(
        (20, 30, channels), dtype=np.float32
    )  # as render_depth returns it
    tifffile.imwrite(tmp_path / "image.tif", image, **options)
    assert np.array_equal(load_image(tmp_path / "image.tif").reshape(image.shape), image)


def test_files_that_are_no_float_image_are_refused(tmp_path):
    def refused(name, words):
        with pytest.raises(dr.FormatError, match=words) as caught:
            load_image(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")

    tifffile.imwrite(tmp_path / "photo.tif", np.zeros((4, 5), np.uint8))
    refused("photo.tif", "uint8")
    tifffile.imwrite(tmp_path / "two.tif", np.zeros((2, 40, 50), np.float32), photometric="minisblack")
    refused("two.tif", "2 images")
    np.save(tmp_path / "names.npy", np.array(["a"]))
    refused("names.npy", "<U1")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    refused("objects.npy", "not read as NPY")
    for name in ("a.tif", "a.npy"):
        for content in (b"", b"II*\0", b"\x93NUMPY", b"nonsense" * 50):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(dr.FormatError):
                load_image(tmp_path / name)
        with pytest.raises(FileNotFoundError):
            load_image(tmp_path / ("none" + name))


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_files_that_end_too_early_are_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save_image(path, picture(200, 300))
    whole = path.read_bytes()
    for part in (0.02, 0.3, 0.7, 0.99):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(dr.FormatError):
            load_image(path)


def test_sizes_that_the_file_cannot_hold_are_refused(tmp_path):
    save_image(tmp_path / "a.tif", np.zeros((4, 4), np.float32))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        for tag in ("ImageWidth", "ImageLength"):
            entry = tif.pages[0].tags[tag]
            size = entry.valuebytecount
            content[entry.valueoffset : entry.valueoffset + size] = (60_000).to_bytes(size, "little")
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(dr.FormatError, match="14400000000 bytes"):
        load_image(tmp_path / "a.tif")
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (900000, 900000), }"
    (tmp_path / "a.npy").write_bytes(
        b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 64
    )
    with pytest.raises(dr.FormatError):
        load_image(tmp_path / "a.npy")


# The other formats

FLOATS = [(".npz", (None, 1, 2, 5)), (".pfm", (None, 1, 3)), (".exr", (None, 2, 3))]


def needs(suffix):
    if suffix == ".exr":
        pytest.importorskip("OpenEXR", reason="the extra exr is not installed")


@pytest.mark.parametrize(("suffix", "channels"), [(s, c) for s, some in FLOATS for c in some])
def test_every_bit_comes_back_from_other_formats(tmp_path, suffix, channels):
    needs(suffix)
    image = picture(70, 90, channels)
    path = tmp_path / f"image{suffix.upper()}"
    save_image(path, image)
    found = load_image(path)
    expected = image[..., 0] if channels == 1 and suffix != ".npz" else image
    assert found.dtype == np.float32 and found.shape == expected.shape
    np.testing.assert_array_equal(bits(np.ascontiguousarray(found)), bits(np.ascontiguousarray(expected)))
    first = path.read_bytes()
    save_image(path, image)
    assert path.read_bytes() == first and [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".npz", ".png"])
def test_whole_numbers_come_back(tmp_path, suffix):
    rng = np.random.default_rng(4)
    numbers = [rng.integers(0, 2**16, (70, 90), np.uint16)]
    if suffix != ".png":
        numbers += [rng.integers(-1, 2**31 - 1, (70, 90), np.int32), numbers[0][:, :, None].repeat(3, axis=2)]
    for k, image in enumerate(numbers):
        save_image(tmp_path / f"{k}{suffix}", image)
        found = load_image(tmp_path / f"{k}{suffix}")
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found, image)


def test_others_read_the_png_and_the_arrays(tmp_path):
    steps = np.arange(63 * 64, dtype=np.uint16).reshape(63, 64) * 16
    save_image(tmp_path / "a.png", steps)
    with Image.open(tmp_path / "a.png") as png:
        np.testing.assert_array_equal(np.asarray(png), steps)
    write_npz(tmp_path / "a.npz", {"depth": picture(), "face_index": np.full((3, 4), -1, np.int32)})
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays.files == ["depth", "face_index"]
        np.testing.assert_array_equal(bits(arrays["depth"]), bits(picture()))
        assert arrays["face_index"].dtype == np.int32
    np.testing.assert_array_equal(bits(load_image(tmp_path / "a.npz")), bits(picture()))
    write_npz(tmp_path / "a.npz", {"one": picture(), "two": picture()})
    with pytest.raises(dr.FormatError, match="one, two"):
        load_image(tmp_path / "a.npz")


def test_the_pfm_is_as_its_description_says(tmp_path):
    save_image(tmp_path / "a.pfm", np.array([[1, 2, 3], [4, 5, 6]], np.float32))
    text = (tmp_path / "a.pfm").read_bytes()
    assert text.startswith(b"Pf\n3 2\n-1.0\n")
    assert np.frombuffer(text[-24:], "<f4").tolist() == [4, 5, 6, 1, 2, 3]  # the bottom row first
    big = np.array([4, 5, 6, 1, 2, 3], ">f4").tobytes()
    (tmp_path / "b.pfm").write_bytes(b"Pf\n3 2\n1.0\n" + big)
    assert load_image(tmp_path / "b.pfm").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_exr_names_its_channels(tmp_path):
    exr = pytest.importorskip("OpenEXR", reason="the extra exr is not installed")
    save_image(tmp_path / "a.exr", picture(20, 30, 2))
    with exr.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        assert set(file.channels()) == {"Z", "A"}
        np.testing.assert_array_equal(
            bits(file.channels()["Z"].pixels), bits(picture(20, 30, 2)[..., 0].copy())
        )
        assert file.header()["compression"] == exr.ZIP_COMPRESSION


def test_exr_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(ImportError, match=r"depthraster\[exr\]"):
        save_image(tmp_path / "a.exr", picture())
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.exr").write_bytes(b"v/1\x01")
    with pytest.raises(ImportError, match=r"depthraster\[exr\]"):
        load_image(tmp_path / "a.exr")


@pytest.mark.parametrize("suffix", [".npz", ".pfm", ".exr", ".png"])
def test_damaged_files_of_other_formats_are_refused(tmp_path, suffix):
    needs(suffix)
    path = tmp_path / f"a{suffix}"
    save_image(
        path, picture(200, 300) if suffix != ".png" else np.arange(60000, dtype=np.uint16).reshape(200, 300)
    )
    whole = path.read_bytes()
    for content in (
        b"",
        b"nonsense" * 50,
        *(whole[: int(part * len(whole))] for part in (0.02, 0.3, 0.7, 0.99)),
    ):
        path.write_bytes(content)
        with pytest.raises(dr.FormatError) as caught:
            load_image(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_sizes_that_other_files_cannot_hold_are_refused(tmp_path):
    (tmp_path / "a.pfm").write_bytes(b"Pf\n900000 900000\n-1.0\n" + bytes(64))
    save_image(tmp_path / "a.png", np.zeros((4, 4), np.uint16))
    png = bytearray((tmp_path / "a.png").read_bytes())
    png[16:24] = (900_000).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(png)
    save_image(tmp_path / "a.npz", np.zeros((4, 4), np.float32))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", bytes(50_000_000))
        archive.getinfo("image.npy").file_size = 900_000_000_000
    for name in ("a.pfm", "a.png", "a.npz"):
        with pytest.raises(dr.FormatError, match=r"promised"):
            load_image(tmp_path / name)


# Previews


def shown(path):
    with Image.open(path) as png:
        assert png.format == "PNG" and png.mode == "L"
        return np.asarray(png)


def test_preview_is_near_bright_far_dark_background_black(tmp_path):
    depth = np.linspace(10, 20, 200 * 300, dtype=np.float32).reshape(200, 300)
    depth[:, :50] = 0
    save_preview(tmp_path / "a.png", depth)
    grey = shown(tmp_path / "a.png")
    assert grey.shape == (200, 300)
    assert (grey[:, :50] == 0).all() and grey[:, 50:].min() == 1 and grey.max() == 255
    values, greys = depth[depth > 0], grey[depth > 0].astype(int)
    order = np.argsort(values)
    assert (np.diff(greys[order]) <= 0).all()  # never brighter when farther
    middle = grey[(depth > 14.95) & (depth < 15.05)]
    assert (np.abs(middle.astype(int) - 128) <= 3).all()  # linear in depth


def test_preview_is_not_spoilt_by_a_few_strays(tmp_path):
    depth = np.tile(np.linspace(10, 20, 500, dtype=np.float32), (400, 1))
    depth[::100, 0] = 1e9
    depth[::100, -1] = 1e-9
    save_preview(tmp_path / "a.png", depth)
    grey = shown(tmp_path / "a.png")
    assert grey[0, 0] == 1 and grey[0, -1] == 255  # the strays
    assert grey[50, 20] > 240 and grey[50, 480] < 15  # the others use the whole scale
    assert len(np.unique(grey)) > 200


def test_preview_of_odd_depths(tmp_path):
    path = tmp_path / "a.png"
    save_preview(path, np.zeros((5, 7)))
    assert not shown(path).any()
    save_preview(path, np.full((5, 7), np.nan))
    assert not shown(path).any()
    save_preview(path, np.full((5, 7), 42.0))
    assert (shown(path) == 128).all()
    depth = np.array([[np.nan, np.inf, -np.inf, 0.0, 1.0, 2.0]], np.float32)
    save_preview(path, depth)
    assert (shown(path) > 0).tolist() == [[False, False, False, False, True, True]]
    seen = np.array([[False, True, False, True, False, True]])
    save_preview(path, depth, seen)
    assert (shown(path) > 0).tolist() == [[False, False, False, True, False, True]]
    for bad in (np.zeros(5), np.zeros((2, 3, 2)), np.zeros((0, 4))):
        with pytest.raises(ValueError, match="shape"):
            save_preview(path, bad)


# Whole or not at all


def test_a_file_is_replaced_only_when_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written_whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old" and temporary.parent == tmp_path and temporary.suffix == ".txt"
    assert path.read_text() == "new"
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), written_whole(path) as temporary:
            temporary.write_text("half")
            raise error
        assert path.read_text() == "new" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        Path(args[0]).write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", fails)
    with pytest.raises(OSError, match="No space"):
        save_image(tmp_path / "a.tif", picture())
    monkeypatch.setattr(Image.Image, "save", lambda self, path, **_: fails(path))
    with pytest.raises(OSError, match="No space"):
        save_preview(tmp_path / "a.png", np.ones((3, 3)))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links are the Unix way")
def test_permissions_and_links(tmp_path):
    old = os.umask(0o027)
    try:
        save_image(tmp_path / "a.npy", picture())
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.npy").stat().st_mode) == 0o640
    (tmp_path / "link.npy").symlink_to("a.npy")
    save_image(tmp_path / "link.npy", np.ones((2, 2)))
    assert (tmp_path / "link.npy").is_symlink() and load_image(tmp_path / "a.npy").shape == (2, 2)


def test_places_that_cannot_be_written_to(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder that can be written to is needed") as caught:
        save_image(tmp_path / "none" / "a.tif", picture())
    assert caught.value.filename == str(tmp_path / "none")
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        save_image(tmp_path / "folder.tif", picture())
    assert [p.name for p in tmp_path.iterdir()] == ["folder.tif"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="closed"):
        save_image(tmp_path / "closed" / "a.tif", picture())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(OSError, match="no regular file"):
        save_image(tmp_path / "pipe.npy", picture())
    assert stat.S_ISFIFO((tmp_path / "pipe.npy").stat().st_mode)


def test_many_threads_write_side_by_side(tmp_path):
    images = [picture(100, 120, 2, seed=k) for k in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: save_image(tmp_path / f"{k}.tif", images[k]), range(12)))
        list(pool.map(lambda k: save_image(tmp_path / "same.tif", images[k]), range(12)))
    for k in range(12):
        np.testing.assert_array_equal(bits(load_image(tmp_path / f"{k}.tif")), bits(images[k]))
    same = load_image(tmp_path / "same.tif")
    assert any(np.array_equal(bits(same), bits(image)) for image in images)
    assert len(list(tmp_path.iterdir())) == 13
