"""What public scripts for Metashape do with renderDepth, each idiom a test: it runs, and gives what it is meant to give."""

from __future__ import annotations

import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

import depthraster as dr
import depthraster.metashape as Metashape
from depthraster.io.images import load_image
from survey_project import LENS, SCALE, survey

RNG = np.random.default_rng(5)
needs_exr = pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of OpenEXR")
needs_pyproj = pytest.mark.skipif(sys.version_info >= (3, 15), reason="no wheel of pyproj")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return survey(tmp_path_factory.mktemp("survey"))


@pytest.fixture
def chunk(project):
    Metashape.app.document.open(str(project.path))
    return Metashape.app.document.chunk


@pytest.fixture
def depth(chunk):
    camera = chunk.cameras[0]
    return chunk.model.renderDepth(camera.transform, camera.sensor.calibration)


@pytest.fixture(scope="module")
def expected(project):
    return dr.render_depth(project.mesh, project.chunk.cameras[0].transform, LENS)


def test_loop_over_aligned_cameras_that_are_switched_on(chunk):
    assert [c.label for c in chunk.cameras if c.transform and c.enabled] == [
        "IMG_1",
        "IMG_2",
        "IMG_3",
        "oblique",
    ]
    assert [c.label for c in chunk.cameras if c.transform is None] == ["lost"]
    photos = [c for c in chunk.cameras if c.type == Metashape.Camera.Type.Regular and c.transform is not None]
    assert len(photos) == 5 and not any(c.selected for c in photos)


def test_scale_that_may_not_be_set(chunk):
    assert (chunk.transform.scale or 1) == pytest.approx(SCALE)
    fresh = Metashape.Document().addChunk()
    assert fresh.transform.scale is None and (fresh.transform.scale or 1) == 1


def test_depth_times_scale_and_scale_times_depth(chunk, depth, expected):
    scale = chunk.transform.scale
    for scaled in (depth * scale, scale * depth, depth * np.float64(scale), np.float32(scale) * depth):
        assert isinstance(scaled, Metashape.Image)
        np.testing.assert_allclose(np.asarray(scaled)[..., 0], expected[..., 0] * SCALE, rtol=2e-7)
        assert scaled[80, 60][1] == pytest.approx(SCALE), "alpha, too: it is a channel like the other"


def test_deflated_half_float_tiff_in_metres(chunk, depth, expected, tmp_path):
    options = Metashape.ImageCompression()
    options.tiff_compression = Metashape.ImageCompression().TiffCompressionDeflate  # of another instance
    half = (depth * chunk.transform.scale).convert(" ", "F16")
    half.save(os.path.join(tmp_path, "depth.tif"), compression=options)
    found = tifffile.imread(tmp_path / "depth.tif")
    assert found.dtype == np.float16 and found.shape == (120, 160)
    np.testing.assert_array_equal(found, (expected[..., 0] * np.float32(SCALE)).astype(np.float16))


@needs_exr
def test_half_float_exr(depth, expected, tmp_path):
    depth.convert(" ", "F16").save(str(tmp_path / "depth.exr"))
    again = Metashape.Image.open(str(tmp_path / "depth.exr"), datatype="F32")
    array = np.frombuffer(again.tostring(), dtype=np.float32).reshape(120, 160, 1)
    np.testing.assert_array_equal(array[..., 0], expected[..., 0].astype(np.float16).astype(np.float32))


@needs_exr
def test_a_conversion_whose_result_is_dropped_changes_nothing(depth, expected, tmp_path):
    depth.convert("R", "F16")
    depth.save(str(tmp_path / "depth.exr"))
    np.testing.assert_array_equal(load_image(tmp_path / "depth.exr"), expected)


def test_intensity_in_single_precision(depth, expected):
    one = (depth * 2).convert("I", "F32")
    assert (one.channels, one.cn, one.data_type) == ("I", 1, "F32")
    np.testing.assert_array_equal(np.asarray(one)[..., 0], expected[..., 0] * 2)


def test_bytes_to_numpy_with_and_without_alpha(chunk, depth, expected):
    array = np.frombuffer(depth.tostring(), dtype=np.float32)
    np.testing.assert_array_equal(array.reshape(depth.height, depth.width, depth.cn), expected)
    camera = chunk.cameras[0]
    one = chunk.model.renderDepth(camera.transform, camera.calibration, add_alpha=False)
    np.testing.assert_array_equal(
        np.frombuffer(one.tostring(), dtype=np.float32).reshape(one.height, one.width), expected[..., 0]
    )
    single = np.copy(np.frombuffer(depth.convert(" ", "F32").tostring(), dtype=np.float32))
    np.testing.assert_array_equal(single.reshape(depth.height, depth.width), expected[..., 0])


def test_nearest_and_farthest_through_numpy(chunk, project):
    camera = chunk.cameras[3]
    image = chunk.model.renderDepth(camera.transform, camera.sensor.calibration, add_alpha=False)
    pixels = np.frombuffer(image.tostring(), dtype=np.float32)
    values = dr.render_depth(project.mesh, project.chunk.cameras[3].transform, LENS)
    seen = values[..., 1] > 0
    assert not seen.all()
    assert pixels[pixels != 0].min() == values[seen, 0].min() and pixels.max() == values[..., 0].max()
    assert (np.asarray(image) != 0).sum() == (image != 0).sum() == seen.sum()


def test_single_pixels_are_read_and_written(chunk, depth, expected):
    """Indexed by column and row, a pixel is a tuple, with or without alpha, and is set to one."""
    made = Metashape.Image(depth.width, depth.height, " ", "F32")
    for u in range(0, depth.width, 10):
        for v in range(0, depth.height, 10):
            made[u, v] = (chunk.transform.scale * depth[u, v][0],)
    np.testing.assert_allclose(np.asarray(made)[::10, ::10, 0], expected[::10, ::10, 0] * SCALE, rtol=2e-7)
    assert made[40, 30] == (made[40, 30][0],) and f"{depth[40, 30][0]}" == f"{float(expected[30, 40, 0])}"


def test_a_pixels_place_by_its_ray_and_depth(chunk, depth, project):
    """The unprojected direction of a frame camera has Z = 1: times the depth it leads to the point."""
    camera = chunk.cameras[0]
    for u, v in ((10, 20), (80, 60), (150, 110)):
        direction = camera.sensor.calibration.unproject(Metashape.Vector([u + 0.5, v + 0.5]))
        found = camera.center + camera.transform.mulv(direction) * depth[u, v][0]
        truth = chunk.model.pickPoint(camera.center, found)
        np.testing.assert_allclose(found, truth, atol=1e-5)
        np.testing.assert_allclose(
            chunk.transform.matrix.mulp(found), project.chunk.to_world(np.asarray(found)), atol=1e-8
        )


def test_a_matrix_is_parsed_from_its_text(chunk, project):
    matrix = chunk.cameras[0].transform
    parsed = np.array(eval(str(matrix)[len("Matrix(") : -1]))
    np.testing.assert_array_equal(parsed, project.chunk.cameras[0].transform)
    inverse = matrix.inv()
    rows = [list(inverse.row(i)) for i in range(4)]
    np.testing.assert_allclose(np.array(rows) @ parsed, np.eye(4), atol=1e-12)
    assert len(str(np.array(matrix).flatten().tolist()).split()) == 16


def test_the_window_is_kept_alive(chunk):
    assert Metashape.app.update() is None


@pytest.mark.parametrize(("name", "greatest"), [("U8", 255), ("U16", 65535)])
def test_near_is_bright_and_the_background_black(depth, expected, tmp_path, name, greatest):
    """As Agisoft's dialog does it: 0 ... 1 becomes grey, is turned over, and what is all white then is taken away."""
    one = depth.convert(" ")
    least, most = np.asarray(one).min(), np.asarray(one).max()
    turned = greatest - ((one - least) * (1.0 / (most - least))).convert("RGB", name)
    white = turned * (1 / greatest)  # 1 in white pixels only: whole numbers are cut
    assert set(np.unique(np.asarray(white))) <= {0, 1}
    picture = turned - greatest * white
    picture.save(str(tmp_path / "grey.tif"))
    found = tifffile.imread(tmp_path / "grey.tif")
    assert found.shape == (120, 160, 3) and found.dtype == np.dtype(f"u{greatest.bit_length() // 8}")
    wanted = greatest - np.rint((expected[..., 0] - least) / (most - least) * greatest)
    wanted[wanted == greatest] = 0
    assert np.abs(found.astype(float) - wanted[..., None]).max() <= 1


def test_depth_in_the_size_of_the_photo(depth, expected):
    large = depth.resize(480, 360)
    np.testing.assert_array_equal(np.asarray(large)[1::3, 1::3], expected)


def test_normals_as_float_images(chunk, tmp_path):
    camera = chunk.cameras[0]
    normals = chunk.model.renderNormalMap(camera.transform, camera.calibration)
    for name in ("F16", "F32"):
        normals.convert("RGB", name).save(str(tmp_path / f"{name}.tif"))
        found = tifffile.imread(tmp_path / f"{name}.tif")
        assert found.shape == (120, 160, 3)
        np.testing.assert_allclose(found, np.asarray(normals)[..., :3], atol=1e-3)


def test_a_camera_made_of_a_field_of_view_and_a_place_in_the_world(chunk, expected):
    """Axes with Y up and Z back become the camera's by a scale of (1, -1, -1); the pose goes through the chunk's inverse."""
    camera = chunk.cameras[0]
    lens = Metashape.Calibration()
    lens.width, lens.height, lens.type = 160, 120, Metashape.Sensor.Type.Frame
    lens.f = 60 / math.tan(math.radians(21.8))
    world = chunk.transform.matrix
    flip = Metashape.Matrix.Scale([1.0, -1.0, -1.0])
    axes = world.rotation() * camera.transform.rotation() * flip.rotation()
    place = Metashape.Matrix.Translation(world.mulp(camera.center)) * Metashape.Matrix.Rotation(axes)
    depth = np.asarray(chunk.model.renderDepth(world.inv() * place * flip, lens))
    assert ((depth[..., 1] > 0) & (expected[..., 1] > 0)).mean() > 0.6
    # The inverse has the scale 1/s, so this depth is in metres.
    middle = slice(55, 65), slice(75, 85), 0
    assert depth[middle].mean() / expected[middle].mean() == pytest.approx(SCALE, rel=0.01)


def test_a_ray_by_a_homogeneous_product(chunk):
    camera = chunk.cameras[1]
    direction = camera.calibration.unproject(Metashape.Vector([80, 60]))
    by_product = camera.transform * Metashape.Vector([*direction, 1.0])
    found = chunk.model.pickPoint(camera.center[:3], by_product[:3])  # parts of vectors
    same = chunk.model.pickPoint(camera.center, camera.transform.mulp(direction))
    np.testing.assert_allclose(found, same, atol=1e-9)
    world = chunk.transform.matrix * Metashape.Vector([found.x, found.y, found.z, 1])
    world.size = 3
    np.testing.assert_allclose(world, chunk.transform.matrix.mulp(found), rtol=1e-12)


def test_corners_of_photos_on_the_mesh_in_threads(chunk):
    """Rays from depth 0 to depth 1 of a pixel, camera by camera in a thread pool that shares the model."""
    corners = [(0, 0), (159, 0), (159, 119), (0, 119)]

    def on_mesh(camera):
        if not camera.transform:
            return None
        ends = [[camera.unproject(Metashape.Vector([*corner, z])) for z in (0, 1)] for corner in corners]
        return [chunk.model.pickPoint(*pair) for pair in ends]

    with ThreadPoolExecutor(4) as pool:
        found = dict(zip([c.label for c in chunk.cameras], pool.map(on_mesh, chunk.cameras), strict=True))
    assert found["lost"] is None and None not in found["off"]
    for point, corner in zip(found["off"], corners, strict=True):
        np.testing.assert_allclose(chunk.cameras[5].project(point), corner, atol=1e-6)


def test_photos_that_show_a_vertex_are_counted(chunk):
    def shows(camera, point):
        if camera.transform.inv().mulp(point)[2] < 0:
            return False
        pixel = camera.project(point)
        return 0 < pixel[0] < camera.sensor.width and 0 < pixel[1] < camera.sensor.height

    aligned = [c for c in chunk.cameras if c.transform]
    counts = [sum(shows(c, vertex.coord) for c in aligned) for vertex in chunk.model.vertices[::200]]
    assert max(counts) == 5 and min(counts) <= 2


@needs_pyproj
def test_the_region_is_turned_to_the_vertical(chunk):
    world = chunk.transform.matrix
    east_north_up = chunk.crs.localframe(world.mulp([0, 0, 0])) * world
    assert east_north_up.scale() == pytest.approx(SCALE)
    region = chunk.region
    region.rot = east_north_up.rotation().t()
    chunk.region = region
    np.testing.assert_allclose(chunk.region.rot, np.eye(3), atol=1e-6)  # this chunk's Z is the vertical
    size = chunk.region.size
    size[2] *= 3
    chunk.region.size = size
    assert chunk.region.size.z == 24


@needs_pyproj
def test_a_point_in_the_chunks_coordinate_system_and_back(chunk):
    camera = chunk.cameras[0]
    point = chunk.model.pickPoint(camera.center, camera.unproject([70, 50]))
    geographic = chunk.crs.project(chunk.transform.matrix.mulp(point))
    assert geographic.x == pytest.approx(7.44, abs=1e-3) and geographic.y == pytest.approx(46.95, abs=1e-3)
    back = chunk.transform.matrix.inv().mulp(chunk.crs.unproject(geographic))
    np.testing.assert_allclose(camera.project(back), [70, 50], atol=1e-5)


def test_a_project_is_opened_saved_and_given_another_mesh(project, tmp_path):
    """A script that only renders, and saves as a matter of habit; and one that replaces cameras and mesh."""
    doc = Metashape.app.document
    doc.open(str(project.path))
    chunk = doc.chunk
    doc.read_only = False
    doc.save()
    chunk.exportCameras(os.path.join(tmp_path, "camera.xml"))
    (tmp_path / "mesh.obj").write_text(
        "".join(f"v {x!r} {y!r} {z!r}\n" for x, y, z in project.mesh[0].tolist())
        + "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in project.mesh[1].tolist())
    )
    chunk.importCameras(os.path.join(tmp_path, "camera.xml"))
    chunk.importModel(os.path.join(tmp_path, "mesh.obj"), crs=Metashape.CoordinateSystem("LOCAL"))
    camera = doc.chunks[0].cameras[0]
    depth = chunk.model.renderDepth(camera.transform, camera.sensor.calibration)
    np.testing.assert_array_equal(
        np.asarray(depth), dr.render_depth(project.mesh, project.chunk.cameras[0].transform, LENS)
    )


def test_an_unscaled_project_without_a_mesh_says_so(tmp_path):
    chunk = Metashape.Document().addChunk()
    assert not chunk.model
    with pytest.raises(AttributeError):
        chunk.model.renderDepth(None, None)
