"""Photos laid onto height fields: what cells get, what is hidden from them, whatever the frame and the type."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import depthraster as dr
from depthraster import orthophoto as orthophoto_module
from surfaces import UTM, house, terrain
from survey_project import LENS, survey

scipy = pytest.importorskip("scipy", reason="no wheel of scipy")
FISHEYE = dr.Calibration(width=420, height=400, f=280, cx=2, cy=-3, k1=-0.02, type="fisheye")
BROWN = dr.Calibration(width=400, height=300, f=300, cx=3, cy=-2, k1=-0.08, k2=0.03, p1=5e-4, p2=-4e-4)


def places_seen(mesh, transform, lens):
    """A photo whose channels are the coordinates of what it shows, which are straight between pixels of a plane."""
    return dr.render(mesh, transform, lens, "position", cull_faces=False).position


def view(origin=(0, 0, 0), eye=(-3, -4, 14), target=(0, 0, 2)):
    return dr.look_at(np.add(origin, eye), np.add(origin, target), (0, 1, 0))


@pytest.mark.parametrize("lens", [BROWN, FISHEYE])
@pytest.mark.parametrize("origin", [(0, 0, 0), UTM])
def test_cells_show_what_is_there(lens, origin):
    vertices, faces = house()
    mesh = vertices + origin, faces
    field = dr.height_field(mesh, resolution=0.1)
    transform = view(origin)
    photo = places_seen(mesh, transform, lens)
    for resampling in ("nearest", "bilinear"):
        ortho = dr.orthorectify(photo, field, transform, lens, scene=mesh, resampling=resampling)
        assert ortho.image.shape == (*field.heights.shape, 3) and ortho.image.dtype == np.float64
        assert ortho.affine == field.affine and 0.4 < ortho.mask.mean() < 0.95
        off = np.linalg.norm(ortho.image - field.points(), axis=-1)[ortho.mask]
        assert np.isfinite(off).mean() > 0.98  # the photo has NaN beside the mesh, a pixel wide
        off = off[np.isfinite(off)]
        # A pixel is some 0.05 wide; at the edges of things it shows the other side.
        near = off < (0.3 if resampling == "nearest" else 2e-3)
        assert near.mean() > (0.99 if resampling == "nearest" else 0.9), near.mean()
        assert (ortho.image[~ortho.mask] == 0).all()


def test_what_something_hides_is_masked():
    """Against rays from the camera to every cell."""
    mesh = house()
    field = dr.height_field(mesh, resolution=0.1)
    transform = view(eye=(-6, -7, 9))
    ortho = dr.orthorectify(np.ones((300, 400), np.uint8), field, transform, BROWN, scene=mesh)
    points = field.points()
    has = np.isfinite(field.heights)
    to_camera = np.linalg.inv(transform)
    pixels = BROWN.project(points[has] @ to_camera[:3, :3].T + to_camera[:3, 3])
    inside = ((pixels >= 0) & (pixels <= [400, 300])).all(axis=1)
    eye = transform[:3, 3]
    picks = dr.pick_point(mesh, eye, points[has])
    free, hidden = picks.t > 1 - 1e-9, picks.t < 0.97  # between is the tolerance's
    expected = np.zeros(field.heights.shape, bool)
    expected[has] = inside & free
    sure = np.ones(field.heights.shape, bool)
    sure[has] = free | hidden | ~inside
    assert (ortho.mask == expected)[sure].all() and sure.mean() > 0.97
    assert 0.05 < (hidden & inside).mean() < 0.6
    # Of the height field alone, whose walls are sloped: nearly the same.
    alone = dr.orthorectify(np.ones((300, 400), np.uint8), field, transform, BROWN)
    assert (alone.mask == ortho.mask).mean() > 0.93 and (alone.mask & ~ortho.mask).mean() < 0.07


def test_of_a_mesh_it_makes_the_height_field_itself():
    mesh = house()
    transform = view()
    photo = places_seen(mesh, transform, BROWN)
    bounds = (-4, -4, 4, 4)
    ortho = dr.orthorectify(photo, mesh, transform, BROWN, bounds=bounds, resolution=0.2)
    field = dr.height_field(mesh, bounds, 0.2)
    same = dr.orthorectify(photo, field, transform, BROWN, scene=mesh)
    assert np.array_equal(ortho.image, same.image) and np.array_equal(ortho.mask, same.mask)
    assert ortho.affine == field.affine


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "int32", "uint32", "int64", "float16", "float32", "float64", "bool"]
)
def test_types_are_kept(dtype):
    rng = np.random.default_rng(0)
    mesh, transform = house(), view()
    field = dr.height_field(mesh, resolution=0.2)
    kind = np.dtype(dtype).kind
    if kind == "b":
        photo = rng.random((300, 400)) < 0.5
    elif kind == "f":
        photo = rng.normal(size=(300, 400, 2)).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        photo = rng.integers(limits.min, limits.max, (300, 400, 5), dtype, endpoint=True)
    nearest = dr.orthorectify(photo, field, transform, BROWN, scene=mesh, resampling="nearest")
    assert nearest.image.dtype == photo.dtype and nearest.image.shape == (
        *field.heights.shape,
        *photo.shape[2:],
    )
    assert set(np.unique(nearest.image[nearest.mask])) <= set(np.unique(photo))
    if dtype in ("bool", "int64"):
        with pytest.raises(TypeError, match="resampling='nearest' is needed"):
            dr.orthorectify(photo, field, transform, BROWN, scene=mesh)
        return
    for resampling in ("bilinear", "cubic"):
        made = dr.orthorectify(photo, field, transform, BROWN, scene=mesh, resampling=resampling)
        assert made.image.dtype == photo.dtype
        # Against the same in double precision, through OpenCV's conventions of nobody: scipy's own on one channel.
        seen = np.argwhere(made.mask)[::37]
        points = field.points()[seen[:, 0], seen[:, 1]]
        to_camera = np.linalg.inv(transform)
        pixels = BROWN.project(points @ to_camera[:3, :3].T + to_camera[:3, 3]) - 0.5
        from scipy.ndimage import map_coordinates

        order = {"bilinear": 1, "cubic": 3}[resampling]
        expected = map_coordinates(photo[..., 1].astype(float), pixels.T[::-1], order=order, mode="nearest")
        got = made.image[seen[:, 0], seen[:, 1], 1].astype(float)
        if kind in "iu":
            expected = np.clip(expected, limits.min, limits.max)
        assert_allclose(
            got, expected, atol=0.51 if kind in "iu" else 5e-3, rtol=1e-12 if kind in "iu" else 1e-3
        )


def test_pixels_have_their_centres_at_halves():
    """A flat photo straight above: each cell is a pixel."""
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 255, (40, 60, 3), np.uint8)
    lens = dr.Calibration(width=60, height=40, f=100)
    field = dr.HeightField(np.zeros((40, 60)), (0.1, 0, -3, 0, -0.1, 2))
    for resampling in ("nearest", "bilinear", "cubic"):
        ortho = dr.orthorectify(photo, field, dr.nadir((0, 0, 10)), lens, resampling=resampling)
        assert ortho.mask.all() and np.array_equal(ortho.image, photo)


def test_cropped_to_what_the_photo_shows(monkeypatch):
    *_, vertices, faces = terrain()
    scene = dr.Scene(vertices, faces)
    field = dr.height_field(scene, resolution=0.25, crs=32632)
    assert field.heights.shape == (238, 238)
    transform = view(np.array(UTM) + [40, -20, 20], eye=(0, 0, 30), target=(0, 0, 0))
    photo = places_seen(scene, transform, BROWN)
    whole = dr.orthorectify(photo, field, transform, BROWN, scene=scene, background=-1)
    assert 0.02 < whole.mask.mean() < 0.6 and (whole.image[~whole.mask] == -1).all()
    rows, cols = np.flatnonzero(whole.mask.any(axis=1)), np.flatnonzero(whole.mask.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    # Also where the field is looked at in squares, most of which the camera cannot see.
    looked_at = []
    seen = orthophoto_module.visible
    monkeypatch.setattr(orthophoto_module, "_SIDE", 32)
    monkeypatch.setattr(orthophoto_module, "_CELLS", 1000)
    monkeypatch.setattr(
        orthophoto_module, "visible", lambda *args, **more: looked_at.append(1) or seen(*args, **more)
    )
    cropped = dr.orthorectify(photo, field, transform, BROWN, scene=scene, background=-1, crop=True)
    assert np.array_equal(cropped.image, whole.image[window], equal_nan=True) and np.array_equal(
        cropped.mask, whole.mask[window]
    )
    assert_allclose(cropped.affine[2], field.affine[2] + 0.25 * cols[0])
    assert_allclose(cropped.affine[5], field.affine[5] - 0.25 * rows[0])
    assert 0 < len(looked_at) < 0.8 * 64
    assert cropped.crs == "EPSG:32632" and repr(cropped).startswith("Orthophoto(")
    away = dr.look_at(np.add(UTM, [0, 0, 100]), np.add(UTM, [0, 0, 200]), (0, 1, 0))
    assert not dr.orthorectify(photo, field, away, BROWN, scene=scene).mask.any()
    with pytest.raises(ValueError, match="the photo shows none"):
        dr.orthorectify(photo, field, away, BROWN, scene=scene, crop=True)


def test_a_chunks_photo_on_a_map(tmp_path):
    pytest.importorskip("pyproj", reason="no wheel of pyproj")
    rasterio = pytest.importorskip("rasterio", reason="no wheel of rasterio")
    project = survey(tmp_path)
    chunk = project.chunk
    camera = chunk.camera("IMG_1")
    crs = "EPSG:32632"
    world = chunk.to_world(project.mesh, crs)
    field = dr.height_field(world, resolution=0.5, crs=crs)
    photo = places_seen(project.mesh, camera.transform, LENS)  # in the chunk's frame
    for options in ({"scene": project.mesh}, {}):
        ortho = dr.orthorectify(photo, field, camera.transform, LENS, chunk=chunk, **options)
        assert 0.3 < ortho.mask.mean() < 0.95 and ortho.crs == crs
        known = ortho.mask & np.isfinite(ortho.image).all(axis=-1)  # the photo has NaN beside the mesh
        assert known.sum() > 0.95 * ortho.mask.sum()
        shown = chunk.to_world(ortho.image[known], crs)
        off = shown - field.points()[known]  # metres; a pixel is 0.6 m wide
        assert (
            np.abs(np.median(off, axis=0)).max() < 0.005 and (np.linalg.norm(off, axis=1) < 0.3).mean() > 0.95
        )
    grey = dr.orthorectify(np.full((120, 160), 200, np.uint8), field, camera.transform, LENS, chunk=chunk)
    grey.save(tmp_path / "ortho.tif")
    with rasterio.open(tmp_path / "ortho.tif") as dataset:
        assert dataset.crs.to_epsg() == 32632 and dataset.bounds == field.bounds
        x, y, _ = field.points()[tuple(np.argwhere(grey.mask)[500])]
        assert [sample[0] for sample in dataset.sample([(x, y)])] == [200]


def test_two_real_photos_of_the_same_thing_agree(real_data):
    """An apple and two bananas, 600 x 400 pixels of some 0.002 units: spots lie on spots, to the cell of 0.0015."""
    from PIL import Image
    from scipy.ndimage import binary_erosion, gaussian_filter

    folder = real_data / "delfem2_mvs"
    chunk, scene = dr.load_chunk(folder / "camera.xml"), dr.Scene.from_mesh(folder / "foo.obj")
    field = dr.height_field(scene, chunk.region, 0.0015)
    masks, details = [], []
    for label in ("IMG_4190", "IMG_4200"):
        photo, camera = np.asarray(Image.open(folder / f"{label}.JPG")), chunk.camera(label)
        lens = camera.calibration.scaled(photo.shape[1] / camera.calibration.width)
        ortho = dr.orthorectify(photo, field, camera.transform, lens, scene=scene)
        grey, weight = ortho.image.mean(axis=-1), ortho.mask.astype(float)
        blurred = gaussian_filter(grey * weight, 6) / np.maximum(gaussian_filter(weight, 6), 1e-6)
        masks.append(ortho.mask)
        details.append(grey - blurred)  # the light falls otherwise
    both = binary_erosion(masks[0] & masks[1], iterations=12)
    assert both.sum() > 50_000
    shifts = [(row, col) for row in range(-3, 4) for col in range(-3, 4)]
    alike = [np.corrcoef(details[0][both], np.roll(details[1], s, (0, 1))[both])[0, 1] for s in shifts]
    assert shifts[int(np.argmax(alike))] == (0, 0) and max(alike) > 0.7


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, "uint8"), (3, "uint8"), (4, "uint16"), (2, "float32"), (5, "int16")]
)
def test_files_hold_pixels_place_and_mask(tmp_path, channels, dtype):
    rasterio = pytest.importorskip("rasterio", reason="no wheel of rasterio")
    rng = np.random.default_rng(2)
    mask = rng.random((700, 530)) < 0.8
    image = (100 * rng.random((700, 530, channels))).astype(dtype)
    image = image[..., 0] if channels == 1 else image
    ortho = dr.Orthophoto(image, mask, (0.5, 0, 1000, 0, -0.5, 2000), "EPSG:2056")
    ortho.save(tmp_path / "ortho.tif")
    with rasterio.open(tmp_path / "ortho.tif") as dataset:
        assert dataset.count == channels and set(dataset.dtypes) == {dtype} and dataset.crs.to_epsg() == 2056
        assert tuple(dataset.transform)[:6] == ortho.affine
        assert np.array_equal(np.moveaxis(dataset.read(), 0, -1).reshape(image.shape), image)
        assert np.array_equal(dataset.dataset_mask() > 0, mask)
        assert np.array_equal(dataset.read_masks(1) > 0, mask)
        red = dataset.colorinterp[0].name == "red"
        assert red == (channels in (3, 4))
    assert len(list(tmp_path.iterdir())) == 1


def test_files_refuse_what_they_cannot_hold(tmp_path):
    pytest.importorskip("rasterio", reason="no wheel of rasterio")
    place = (0.5, 0, 1000, 0, -0.5, 2000)
    mask = np.ones((3, 2), bool)
    with pytest.raises(TypeError, match="the pixels are float16"):
        dr.Orthophoto(np.ones((3, 2), np.float16), mask, place).save(tmp_path / "a.tif")
    dr.Orthophoto(mask, mask, place).save(tmp_path / "b.tif")
    assert not (tmp_path / "a.tif").exists() and (tmp_path / "b.tif").exists()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"image": np.ones((30, 40))}, ValueError, "300 rows and 400 columns; the same are needed"),
        ({"image": np.ones(300)}, ValueError, r"the image has the shape \(300,\); \(h, w\)"),
        ({"image": np.ones((300, 400, 0))}, ValueError, r"the image has the shape .*; \(h, w\)"),
        ({"image": np.ones((300, 400, 3, 1))}, ValueError, r"the image has the shape .*; \(h, w\)"),
        ({"image": "IMG_1.JPG"}, TypeError, r"the image is a str; .*PIL\.Image\.open"),
        ({"image": Path("IMG_1.JPG")}, TypeError, r"the image is a \w*Path; .*PIL\.Image\.open"),
        ({"image": None}, TypeError, "the image is a NoneType"),
        ({"image": dr.HeightField([[0.0]], (1, 0, 0, 0, -1, 0))}, TypeError, "the image is a HeightField"),
        ({"chunk": "Chunk 1"}, TypeError, "the chunk is a str; .* load_chunk"),
        ({"image": np.ones((300, 400), complex)}, TypeError, "real numbers are needed"),
        ({"image": np.full((300, 400), "a")}, TypeError, "real numbers are needed"),
        ({"image": np.full((300, 400), np.nan), "resampling": "cubic"}, ValueError, "not finite"),
        ({"calibration": None}, TypeError, "a depthraster.Calibration is needed"),
        ({"resampling": "lanczos"}, ValueError, "one of nearest, bilinear, cubic is needed"),
        ({"background": 256}, ValueError, "a number that uint8 holds"),
        ({"background": np.nan}, ValueError, "a number that uint8 holds"),
        ({"background": 0.5}, ValueError, "a number that uint8 holds"),
        ({"background": "none"}, ValueError, "a number that uint8 holds"),
        ({"resolution": 1.0}, ValueError, "a height field, which has its own"),
        ({"surface": house()}, TypeError, "the resolution is missing"),
        (
            {"surface": house(), "resolution": 1.0, "chunk": dr.Chunk()},
            ValueError,
            "in the chunk's frame already",
        ),
        ({"surface": dr.HeightField([[np.nan]], (1, 0, 0, 0, -1, 0))}, ValueError, "no four cells"),
        ({"transform": np.zeros((4, 4))}, ValueError, "the transform"),
        ({"tolerance": -1}, ValueError, "tolerance"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(options, error, says):
    usual = {
        "image": np.ones((300, 400), np.uint8), "surface": dr.height_field(house(), resolution=0.5),
        "transform": view(), "calibration": BROWN,
    }  # fmt: skip
    with pytest.raises(error, match=says) as raised:
        dr.orthorectify(**(usual | options))
    assert "\n" not in str(raised.value)


def test_without_scipy(monkeypatch):
    field = dr.height_field(house(), resolution=0.5)
    image = np.ones((300, 400), np.uint8)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match=r"depthraster\[resample\].*resampling='nearest'"):
        dr.orthorectify(image, field, view(), BROWN)
    assert dr.orthorectify(image, field, view(), BROWN, resampling="nearest").mask.any()
