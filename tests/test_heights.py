"""Height fields against the slow twin and against terrain whose heights are known, in memory and on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import depthraster as dr
import meshes
from depthraster import heights as heights_module
from depthraster.chunk import Region
from reference_heights import assert_same
from surfaces import ECEF, UTM, around, house, terrain


def soup(rng, n=60):
    """Unconnected triangles of all sizes, above and below each other, some on edge, some without area."""
    size = np.exp(rng.uniform(-3, 2, (n, 1, 1)))
    corners = rng.uniform(-10, 10, (n, 1, 3)) + rng.normal(size=(n, 3, 3)) * size
    corners[0, :, 0] = corners[0, 0, 0]  # on edge
    corners[1] = corners[1, 0]  # a point
    corners[2, 2] = corners[2, 0] + 0.3 * (corners[2, 1] - corners[2, 0])  # a line
    return corners.reshape(-1, 3), np.arange(3 * n).reshape(-1, 3)


@pytest.mark.parametrize("origin", [(0, 0, 0), UTM, ECEF])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_as_the_slow_twin(seed, origin):
    rng = np.random.default_rng(seed)
    vertices, faces = soup(rng)
    vertices = vertices + origin
    field = dr.height_field((vertices, faces), resolution=0.37)
    twin = assert_same(field, vertices, faces)
    assert 0.05 < np.isfinite(field.heights).mean() < 0.95 and twin.sure.mean() > 0.99
    for direction in rng.normal(size=(2, 3)):
        field = dr.height_field((vertices, faces), None, 0.37, direction)
        assert_same(field, vertices, faces, field.axes)


@pytest.mark.parametrize("make", [meshes.slivers, meshes.needles])
def test_thin_faces_the_same_as_the_slow_twin(make):
    vertices, faces = make(np.random.default_rng(5), 60, 0.5)
    field = dr.height_field((vertices, faces), resolution=0.25)
    assert_same(field, vertices, faces)


@pytest.mark.parametrize("origin", [(0, 0, 0), UTM])
@pytest.mark.parametrize("wound", [slice(None), slice(None, None, -1)])
def test_walls_overhangs_and_holes(origin, wound):
    vertices, faces = house()
    vertices, faces = vertices + origin, faces[:, wound]
    left, bottom = origin[0] - 6.5, origin[1] - 6.5
    # Centres on whole numbers: on the walls, on the edges of the table, of the hole and of the ground.
    field = dr.height_field((vertices, faces), (left, bottom, left + 13, bottom + 13), 1.0)
    expected = np.zeros((13, 13))
    expected[4:9, 4:9] = 3.0  # the house's walls belong to its roof
    expected[1:6, 7:12] = 5.0
    assert_allclose(field.heights - origin[2], expected, rtol=0, atol=1e-9)
    # Between them.
    field = dr.height_field((vertices, faces), (left + 0.5, bottom + 0.5, left + 12.5, bottom + 12.5), 1.0)
    expected = np.zeros((12, 12))
    expected[4:8, 4:8] = 3.0
    expected[1:5, 7:11] = 5.0
    expected[10, 10] = np.nan
    assert_allclose(field.heights - origin[2], expected, rtol=0, atol=1e-9)
    for resolution in (0.1, 0.3):
        field = dr.height_field((vertices, faces), resolution=resolution)
        assert_same(field, vertices, faces)


@pytest.mark.parametrize("origin", [UTM, (0, 0, 0), (4.4e6, 5.6e6, 8848.0)])
def test_a_terrain_has_its_own_heights(origin):
    x, y, z, vertices, faces = terrain(origin=origin)
    field = dr.height_field((vertices, faces), around(x, y, 0.5), 0.5, crs="EPSG:32632")
    assert field.heights.shape == z.shape and field.heights.dtype == np.float64
    assert not np.isnan(field.heights).any()  # the outermost centres are on the outline
    extent = np.ptp(vertices, axis=0).max()
    assert np.abs(field.heights - z).max() < 1e-8 * extent
    assert_allclose(field.points(), vertices.reshape(*z.shape, 3), rtol=0, atol=1e-8 * extent)
    assert field.crs == "EPSG:32632" and field.bounds == around(x, y, 0.5) and field.resolution == (0.5, 0.5)
    assert field.affine == (0.5, 0.0, x.min() - 0.25, 0.0, -0.5, y.max() + 0.25)


def test_cells_in_geocentric_axes_keep_their_digits():
    """A terrain in geocentric coordinates, looked at along its own vertical: heights are 6 million."""
    up = np.array(ECEF) / np.linalg.norm(ECEF)
    east = np.cross([0, 0, 1.0], up)
    east /= np.linalg.norm(east)
    axes = np.stack([east, np.cross(up, east), up], axis=1)
    *_, z, local, faces = terrain(origin=(0, 0, 0))
    vertices = local @ axes.T + ECEF
    x0, y0, h0 = axes.T @ ECEF
    bounds = (x0 - 0.25, y0 - 59.75, x0 + 59.75, y0 + 0.25)
    field = dr.height_field((vertices, faces), bounds, 0.5, -up, up=axes[:, 1])
    assert_allclose(field.axes, axes, rtol=0, atol=1e-12)
    seen = np.isfinite(field.heights)
    assert seen[1:-1, 1:-1].all() and h0 > 6e6  # whether centres are on the outline is rounding's here
    assert np.abs((field.heights - h0 - z)[seen]).max() < 1e-6 * 60
    assert np.abs((field.points() - vertices.reshape(*z.shape, 3))[seen]).max() < 1e-6 * 60


def test_which_cells_there_are():
    triangle = np.array([[0.05, 0.05, 1], [2.95, 0.05, 1], [0.05, 1.95, 1]]), np.array([[0, 1, 2]])
    assert dr.height_field(triangle, resolution=0.5).bounds == (0.0, 0.0, 3.0, 2.0)  # whole cells, from 0
    with pytest.warns(UserWarning, match="no cell sees the mesh; is it on edge, or smaller than a cell"):
        assert dr.height_field(triangle, resolution=10).heights.shape == (1, 1)
    field = dr.height_field(triangle, (0.1, 0.1, 1.0, 1.0), 0.25)
    assert field.heights.shape == (4, 4)  # the upper left corner stays
    assert_allclose(field.bounds, (0.1, 0.0, 1.1, 1.0), atol=1e-12)
    assert dr.height_field(triangle, (0.1, 0.1, 0.7, 0.4), 0.1).heights.shape == (
        3,
        6,
    )  # 0.6 / 0.1 is not 7 cells
    with pytest.warns(UserWarning, match="no cell sees the mesh; are the bounds in the mesh's coordinates"):
        assert np.isnan(dr.height_field(triangle, (10, 10, 12, 12), 0.5).heights).all()
    flat = np.array([[0, 1, 0], [1, 1, 0], [0, 1, 1.0]]), np.array([[0, 1, 2]])
    with pytest.warns(UserWarning, match="no cell sees the mesh; is it on edge"):
        assert dr.height_field(flat, resolution=0.3).heights.shape == (1, 4)


@pytest.mark.parametrize("origin", [(0, 0, 0), UTM, ECEF])
def test_the_upper_of_two_sheets_is_seen_however_large_cells_are(origin):
    low = np.array([[0, 0, 0], [4e6, 0, 0], [4e6, 4e6, 0], [0, 4e6, 0]], float)
    for gap in (0.0, 1e-3, 1e3):
        vertices = np.concatenate([low, low + [0, 0, gap]]) + origin
        faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
        x, y, z = origin
        field = dr.height_field((vertices, faces), (x, y, x + 4e6, y + 4e6), 1e6)
        assert_allclose(field.heights, z + gap, rtol=0, atol=2e-9)


def test_a_facade_stands_upright():
    vertices, faces = house()
    field = dr.height_field((vertices, faces), None, 0.25, direction=(0, 1, 0))  # from the south
    assert_allclose(field.axes, [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-15)
    assert_same(field, vertices, faces, field.axes)
    row, col = int((5.0 - 0.875) / 0.25), int((0.125 + 6.0) / 0.25)  # 1 m up the wall, in the middle
    assert_allclose(field.points()[row, col], [0.125, -2.0, 0.875], atol=1e-9)
    turned = dr.height_field((vertices, faces), None, 0.25, direction=(0, 1, 0), up=(1, 0, 0))
    assert_allclose(turned.axes[:, 1], [1, 0, 0], atol=1e-15)
    assert turned.heights.shape == field.heights.shape[::-1]


def test_a_region_is_a_box_along_its_own_axes():
    vertices, faces = house()
    turn = meshes.random_transform(np.random.default_rng(2))[:3, :3]
    moved = vertices @ turn.T + [7.0, 8.0, 9.0]

    def region(low, high):
        low, high = np.array(low, float), np.array(high, float)
        centre = turn @ ((low + high) / 2) + [7.0, 8.0, 9.0]
        return dr.height_field((moved, faces), Region(center=centre, size=high - low, rotation=turn), 0.5)

    plain = dr.height_field((vertices, faces), (-6, -6, 6, 6), 0.5).heights
    offset = (turn.T @ [7.0, 8.0, 9.0])[2]
    whole = region((-6, -6, -1), (6, 6, 9))
    assert_allclose(whole.heights - offset, plain, atol=1e-9)
    cut = region((-6, -6, -1), (6, 6, 4)).heights - offset  # without the table
    assert np.nanmax(cut) < 3.1 and (plain[cut < plain - 1] == 5).all()
    assert_allclose(cut[plain < 4], plain[plain < 4], atol=1e-9)
    raised = region((-6, -6, 1), (6, 6, 9)).heights - offset  # without the ground
    assert (np.isnan(raised) == ~(plain > 1)).all()
    assert_allclose(
        region((-2, -2, -1), (2, 2, 9)).points()[0, 0], turn @ [-1.75, 1.75, 3] + [7, 8, 9], atol=1e-9
    )


def test_the_same_for_any_number_of_threads_and_any_size_of_windows(monkeypatch):
    *_, vertices, faces = terrain()
    scene = dr.Scene(vertices, faces)
    fields = [dr.height_field(scene, resolution=0.07, threads=threads) for threads in (1, 2, 5)]
    assert len({field.heights.tobytes() for field in fields}) == 1
    monkeypatch.setattr(heights_module, "BLOCK", 100)
    monkeypatch.setattr(heights_module, "_COLS", 130)
    again = dr.height_field(scene, resolution=0.07)
    assert_allclose(again.heights, fields[0].heights, rtol=0, atol=1e-6)


def test_a_field_is_a_mesh_again():
    x, y, _, vertices, faces = terrain(40)
    field = dr.height_field((vertices, faces), around(x, y, 0.5), 0.5)
    holed = field.heights.copy()
    holed[10, 10] = np.nan
    mesh = dr.HeightField(holed, field.affine).to_mesh()
    assert len(mesh.vertices) == 40 * 40 - 1 and len(mesh.faces) == 2 * (39 * 39 - 4)
    image = dr.render_depth(
        mesh, dr.nadir((x.mean(), y.mean(), 1600)), dr.Calibration(width=30, height=30, f=200)
    )
    assert image[..., 1].mean() > 0.9  # fronts are up
    again = dr.height_field(mesh, field.bounds, 0.5)
    assert_allclose(again.heights, holed, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="no four cells side by side"):
        dr.HeightField([[1.0, np.nan]], (1, 0, 0, 0, -1, 0)).to_mesh()


def test_a_field_shows_itself():
    field = dr.height_field(house(), resolution=0.1, crs=32632)
    assert field._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n" and field.picture().width > 800
    assert repr(field) == (
        "HeightField(120 x 120 cells, left=-6, bottom=-6, right=6, top=6, crs='EPSG:32632')"
    )


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, TypeError, "the resolution is missing"),
        ({"resolution": 0}, ValueError, "the resolution is 0; a positive"),
        ({"resolution": -0.1}, ValueError, "the resolution is -0.1; a positive"),
        ({"resolution": np.nan}, ValueError, "the resolution is nan; a positive"),
        ({"resolution": np.inf}, ValueError, "the resolution is inf; a positive"),
        ({"resolution": 1e-320}, ValueError, "a positive, finite side"),
        ({"resolution": "0.5"}, TypeError, "the resolution is '0.5'; a number"),
        ({"resolution": "fine"}, TypeError, "the resolution is 'fine'; a number"),
        ({"resolution": (1, 2)}, TypeError, "a number, the side of a cell"),
        ({"resolution": 1e-13, "bounds": (0, 0, 1, 1)}, ValueError, "double precision has steps"),
        ({"resolution": 1e-4}, ValueError, r"120000 x 120000 cells, 107 GiB; at most 2\*\*31 cells"),
        ({"resolution": 1e-6}, ValueError, r"523.9 TiB of float32; at most 2\*\*37 cells \(512 GiB\)"),
        ({"resolution": 1e-9, "bounds": (0, 0, 1e300, 1)}, ValueError, r"at coordinates of 1e\+300, where"),
        ({"resolution": 1, "bounds": (0, 0, 0, 1)}, ValueError, "which is no area"),
        ({"resolution": 1, "bounds": (0, 1, 1, 0)}, ValueError, "which is no area"),
        ({"resolution": 1, "bounds": (0, 0, np.nan, 1)}, ValueError, "which is no area"),
        ({"resolution": 1, "bounds": (0, 0, np.inf, 1)}, ValueError, "which is no area"),
        ({"resolution": 1, "bounds": (0, 1)}, ValueError, "four numbers are needed"),
        ({"resolution": 1, "bounds": "all"}, TypeError, "bounds are a str"),
        ({"resolution": 1, "direction": (0, 0, 0)}, ValueError, "direction is .* not all 0"),
        ({"resolution": 1, "direction": (0, np.nan, 1)}, ValueError, "direction is .* three finite numbers"),
        ({"resolution": 1, "direction": "down"}, TypeError, "direction is 'down'; three numbers"),
        ({"resolution": 1, "up": (0, 0, 2)}, ValueError, "lies along the direction"),
        ({"resolution": 1, "direction": (1, 0, 0), "crs": "EPSG:32632"}, ValueError, "not looked at along Z"),
        ({"resolution": 1, "crs": 1.5}, TypeError, "crs is a float"),
        ({"resolution": 1, "threads": 0}, ValueError, "threads is 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(options, error, says, tmp_path):
    with pytest.raises(error, match=says) as raised:
        dr.height_field(house(), **options)
    assert "\n" not in str(raised.value) and not str(raised.value).endswith(".")
    pytest.importorskip("rasterio", reason="no wheel of rasterio")
    if "16 GiB" not in str(raised.value):
        with pytest.raises(error, match=says):
            dr.write_height_field(tmp_path / "a.tif", house(), **options)
        assert not list(tmp_path.iterdir())


def test_a_mesh_in_the_place_of_the_path_is_told():
    with pytest.raises(TypeError, match=r"the path is a Scene; .* pass it first, then the mesh"):
        dr.write_height_field(dr.Scene.from_mesh(house()), "a.tif", resolution=1)


def test_regions_that_are_none_are_refused():
    good = {"center": np.zeros(3), "size": np.ones(3), "rotation": np.eye(3)}
    for bad, says in (
        ({"size": [1, 0, 1]}, "sizes greater than 0"),
        ({"center": [np.nan, 0, 0]}, "finite numbers"),
        ({"rotation": np.diag([1, 1, -1.0])}, "which is none"),
        ({"rotation": np.ones((3, 3))}, "which is none"),
    ):
        with pytest.raises(ValueError, match=says):
            dr.height_field(house(), Region(**(good | bad)), 0.1)
    with pytest.raises(ValueError, match="along its own axes"):
        dr.height_field(house(), Region(**good), 0.1, (0, 0, -1))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (([1.0, 2.0], (1, 0, 0, 0, -1, 0)), ValueError, "heights have the shape"),
        ((np.empty((0, 3)), (1, 0, 0, 0, -1, 0)), ValueError, "heights have the shape"),
        ((np.ones((2, 2), bool), (1, 0, 0, 0, -1, 0)), TypeError, "heights are of type bool"),
        ((np.ones((2, 2)), (1, 0, 0, 0, 1, 0)), ValueError, "the affine is"),
        ((np.ones((2, 2)), (1, 0.1, 0, 0, -1, 0)), ValueError, "the affine is"),
        ((np.ones((2, 2)), (1, 0, 0)), ValueError, "the affine is"),
        ((np.ones((2, 2)), (1, 0, np.nan, 0, -1, 0)), ValueError, "the affine is"),
        ((np.ones((2, 2)), (1, 0, 0, 0, -1, 0), None, np.ones((3, 3))), ValueError, "axes are"),
    ],
)
def test_fields_that_are_none_are_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        dr.HeightField(*arguments)


# Files


@pytest.fixture(scope="module")
def rasterio():
    return pytest.importorskip("rasterio", reason="no wheel of rasterio")


def test_a_file_is_at_its_place(rasterio, tmp_path):
    x, y, z, vertices, faces = terrain(origin=(500_000.0, 4_500_000.0, 400.0))
    scene = dr.Scene(vertices, faces)
    path = tmp_path / "dem.tif"
    field = dr.height_field(scene, around(x, y, 0.5), 0.5, crs=32632)
    field.save(path)
    with rasterio.open(path) as dataset:
        assert dataset.crs.to_epsg() == 32632 and dataset.count == 1 and dataset.dtypes == ("float32",)
        assert np.isnan(dataset.nodata) and dataset.descriptions == ("height",)
        assert dataset.profile["tiled"] and dataset.profile["compress"] == "deflate"
        assert dataset.profile["blockxsize"] == dataset.profile["blockysize"] == 512
        assert dataset.tags()["AREA_OR_POINT"] == "Area"  # bounds are the cells' outer edges
        assert tuple(dataset.bounds) == around(x, y, 0.5) and dataset.res == (0.5, 0.5)
        heights = dataset.read(1)
        # Each vertex where it is: the pixel there has its height.
        for row, col in ((0, 0), (17, 99), (119, 119)):
            assert dataset.index(x[row, col], y[row, col]) == (row, col)
            assert dataset.xy(row, col) == (x[row, col], y[row, col])
            (sample,) = dataset.sample([(x[row, col], y[row, col])])
            assert abs(sample[0] - z[row, col]) < 1e-6 * np.ptp(vertices, axis=0).max() + 1e-9
    assert np.abs(heights - z).max() <= 1e-6 * max(np.ptp(x), np.ptp(y), np.ptp(z)) + 1e-9
    again = dr.HeightField.load(path)
    assert again.affine == field.affine and again.crs == "EPSG:32632"
    assert_allclose(again.heights, field.heights.astype(np.float32), rtol=0, atol=0)
    assert os.listdir(tmp_path) == ["dem.tif"]  # nothing beside it


def test_written_window_by_window_it_is_the_same(rasterio, tmp_path, monkeypatch):
    vertices, faces = house()
    scene = dr.Scene(vertices + UTM, faces)
    monkeypatch.setattr(heights_module, "_COLS", 512)
    field = dr.height_field(scene, resolution=0.012, crs="EPSG:32632")
    calls = []
    written = dr.write_height_field(
        tmp_path / "dem.tif", scene, resolution=0.012, crs="EPSG:32632", progress=lambda *n: calls.append(n)
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert written.affine == field.affine and (written.height, written.width) == field.heights.shape
    assert written.n_seen == np.isfinite(field.heights).sum() < field.heights.size
    assert written.dtype == "float64"  # float32 has steps of 0.1 mm at 1500 m, and the field is 12 m wide
    again = dr.HeightField.load(tmp_path / "dem.tif")
    assert np.array_equal(again.heights, field.heights, equal_nan=True)
    assert (written.lowest, written.highest) == (np.nanmin(field.heights), np.nanmax(field.heights))
    narrow = dr.write_height_field(tmp_path / "narrow.tif", scene, resolution=0.012, dtype="float32")
    assert narrow.dtype == "float32"
    with rasterio.open(tmp_path / "narrow.tif") as dataset:
        assert dataset.crs is None
        assert np.array_equal(dataset.read(1), field.heights.astype(np.float32), equal_nan=True)
    with pytest.warns(UserWarning, match="no cell sees the mesh; are the bounds"):
        nothing = dr.write_height_field(tmp_path / "none.tif", scene, (0, 0, 100, 100), 1)
    assert nothing.n_seen == 0 and np.isnan([nothing.lowest, nothing.highest]).all()
    assert np.isnan(dr.HeightField.load(tmp_path / "none.tif").heights).all()


def test_types_of_files(rasterio, tmp_path):
    def kept(low, cell, **options):
        field = dr.HeightField(np.array([[low, low + 1.0]]), (cell, 0, 0, 0, -cell, 0))
        field.save(tmp_path / "a.tif", **options)
        with rasterio.open(tmp_path / "a.tif") as dataset:
            return dataset.dtypes[0]

    assert kept(500, 50) == "float32"  # 3e-5 of 100
    assert kept(500, 5) == "float64"  # of 10
    assert kept(6.4e6, 50) == "float64"
    assert kept(6.4e6, 50, dtype=np.float32) == "float32"
    with pytest.raises(ValueError, match="float32 or float64 is needed"):
        kept(0, 1, dtype="int16")


def test_it_takes_the_memory_of_a_window(rasterio, tmp_path, monkeypatch):
    *_, vertices, faces = terrain(60)
    scene = dr.Scene(vertices, faces)
    monkeypatch.setattr(heights_module, "_COLS", 512)
    dr.write_height_field(tmp_path / "dem.tif", scene, resolution=1.0)  # what is made once
    peaks = {}
    for resolution in (0.014, 0.007):
        tracemalloc.start()
        try:
            written = dr.write_height_field(tmp_path / "dem.tif", scene, resolution=resolution)
            peaks[written.width * written.height] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    (few, small), (many, large) = sorted(peaks.items())
    assert many > 3.9 * few and large < 1.25 * small and large < many * 4 / 1.5


def test_files_are_written_whole_or_not_at_all(rasterio, tmp_path, monkeypatch, capfd):
    scene = dr.Scene(*house())
    path = tmp_path / "dem.tif"
    path.write_bytes(b"what was there")

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dr.write_height_field(path, scene, resolution=0.01, progress=interrupt)
    with pytest.raises(ValueError, match=r"'EPSG:1', which rasterio does not know"):
        dr.write_height_field(path, scene, resolution=0.1, crs="EPSG:1")
    with pytest.raises(ValueError, match=r"'EPSG:1', which rasterio does not know"):
        dr.height_field(scene, resolution=0.1, crs=1)
    assert capfd.readouterr().err == ""  # GDAL keeps it to itself
    assert path.read_bytes() == b"what was there" and os.listdir(tmp_path) == ["dem.tif"]
    with pytest.raises(ValueError, match=r"\.tif or \.tiff is needed"):
        dr.write_height_field(tmp_path / "dem.png", scene, resolution=0.1)
    with pytest.raises(FileNotFoundError):
        dr.write_height_field(tmp_path / "no" / "dem.tif", scene, resolution=0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limits there")
def test_a_full_disk_leaves_nothing(rasterio, tmp_path):
    script = """
import resource, signal, numpy as np, depthraster as dr
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))
rng = np.random.default_rng(0)
for size in (700, 300, 100, 40):
    field = dr.HeightField(rng.normal(size=(size, size)), (1, 0, 0, 0, -1, 0))
    try:
        field.save("dem.tif", "float64")
    except OSError as error:
        print(error.strerror)
    else:
        print("written")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == ["File too large"] * 3 + ["written"], done.stdout + done.stderr
    assert os.listdir(tmp_path) == ["dem.tif"]
    assert dr.HeightField.load(tmp_path / "dem.tif").heights.shape == (40, 40)


def test_reads_what_others_write(rasterio, tmp_path):
    values = np.array([[1, 2, -9999], [4, 5, 6]], np.int16)
    profile = {"driver": "GTiff", "width": 3, "height": 2, "dtype": "int16", "nodata": -9999}
    place = rasterio.Affine(2, 0, 100, 0, -3, 200)
    with rasterio.open(
        tmp_path / "a.tif", "w", count=2, transform=place, crs="EPSG:2056", **profile
    ) as dataset:
        dataset.write(values, 1)
        dataset.write(values + 10, 2)
    field = dr.HeightField.load(tmp_path / "a.tif")
    assert_allclose(field.heights, [[1, 2, np.nan], [4, 5, 6]])
    assert (
        field.crs == "EPSG:2056" and field.resolution == (2.0, 3.0) and field.bounds == (100, 194, 106, 200)
    )
    assert_allclose(field.points()[1, 2], [105, 195.5, 6])
    with rasterio.open(tmp_path / "a.tif") as dataset:
        again = dr.HeightField(dataset.read(1, masked=True), dataset.transform, dataset.crs)
    assert np.array_equal(again.heights, field.heights, equal_nan=True) and again.affine == field.affine
    assert dr.HeightField.load(tmp_path / "a.tif", 2).heights[1, 0] == 14
    with pytest.raises(dr.FormatError, match="there is no band 3; one of 1 to 2"):
        dr.HeightField.load(tmp_path / "a.tif", 3)
    for name, place in (("turned", rasterio.Affine(1, 1, 0, 1, -1, 0)), ("nowhere", None)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(tmp_path / f"{name}.tif", "w", count=1, transform=place, **profile) as dataset:
                dataset.write(values, 1)
        with pytest.raises(dr.FormatError, match="turned, mirrored or missing"):
            dr.HeightField.load(tmp_path / f"{name}.tif")
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[:60])
    with pytest.raises(dr.FormatError, match=r"cut\.tif: not read as a raster"):
        dr.HeightField.load(tmp_path / "cut.tif")
    with pytest.raises(FileNotFoundError, match="a raster file such as a GeoTIFF is needed"):
        dr.HeightField.load(tmp_path / "b" / "a.tif")


def test_without_rasterio(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    field = dr.height_field(house(), resolution=0.5)
    for call in (
        lambda: field.save(tmp_path / "a.tif"),
        lambda: dr.HeightField.load(tmp_path / "a.tif"),
        lambda: dr.write_height_field(tmp_path / "a.tif", house(), resolution=0.5),
    ):
        with pytest.raises(ImportError, match=r"rasterio is not installed.*depthraster\[geo\]"):
            call()
