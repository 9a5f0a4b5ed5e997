"""`Model` of the façade: the library's images and picks, of a mesh that is prepared once."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import depthraster as dr
import depthraster.metashape as Metashape
import depthraster.metashape.model as module
from survey_project import LENS, SCALE, survey


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return survey(tmp_path_factory.mktemp("survey"))


@pytest.fixture
def chunk(project):
    doc = Metashape.Document()
    doc.open(project.path)
    return doc.chunk


@pytest.mark.parametrize("cull_faces", [True, False])
@pytest.mark.parametrize("add_alpha", [True, False])
def test_depth_is_the_librarys_to_the_last_bit(chunk, project, cull_faces, add_alpha):
    camera = chunk.cameras[0]
    depth = chunk.model.renderDepth(
        camera.transform, camera.sensor.calibration, cull_faces=cull_faces, add_alpha=add_alpha
    )
    expected = dr.render_depth(
        project.mesh, project.chunk.cameras[0].transform, LENS, cull_faces=cull_faces, add_alpha=add_alpha
    )
    assert (depth.width, depth.height, depth.data_type) == (160, 120, "F32")
    assert (depth.cn, depth.channels) == ((2, " A") if add_alpha else (1, " "))
    np.testing.assert_array_equal(np.asarray(depth), expected)
    assert 0.5 < (expected[..., 0] > 0).mean() <= 1
    positional = chunk.model.renderDepth(camera.transform, camera.sensor.calibration, cull_faces, add_alpha)
    np.testing.assert_array_equal(np.asarray(positional), expected)


def test_a_scaled_transform_is_used_as_given(chunk):
    """A world pose through the chunk's inverse has the scale 1/s: then depth is in world units."""
    camera = chunk.cameras[0]
    world = chunk.transform.matrix * camera.transform * Metashape.Matrix.Scale([1 / SCALE] * 3)
    local = chunk.transform.matrix.inv() * world
    metres = np.asarray(chunk.model.renderDepth(local, camera.calibration))[..., 0]
    units = np.asarray(chunk.model.renderDepth(camera.transform, camera.calibration))[..., 0]
    both = (metres > 0) & (units > 0)
    assert both.mean() > 0.5
    np.testing.assert_allclose(metres[both], units[both] * SCALE, rtol=1e-5)


@pytest.mark.parametrize("kind", ["Fisheye", "EquisolidFisheye", "Spherical", "Cylindrical"])
def test_wide_lenses_render_as_the_librarys(chunk, project, kind):
    """Agisoft's script for panoramas makes them so: twice as wide as high, f = height / pi."""
    calibration = Metashape.Calibration()
    calibration.width, calibration.height, calibration.f = 200, 100, 100 / np.pi
    calibration.type = getattr(Metashape.Sensor.Type, kind)
    pose = Metashape.Matrix.Translation([1, 2, 9]) * Metashape.Matrix.Scale([1.0, -1.0, -1.0])
    depth = np.asarray(chunk.model.renderDepth(pose, calibration))
    expected = dr.render_depth(project.mesh, np.asarray(pose), calibration.as_value())
    np.testing.assert_array_equal(depth, expected)
    assert 0.1 < depth[..., 1].mean() < 1
    if kind == "Spherical":  # the distance, all around
        seen = depth[..., 1] > 0
        assert depth[seen, 0].min() > 0
        row, col = np.argwhere(seen)[len(depth) // 2]
        ray = pose.mulp(calibration.unproject([col + 0.5, row + 0.5]))
        point = chunk.model.pickPoint(pose.translation(), ray)
        assert (point - pose.translation()).norm() == pytest.approx(depth[row, col, 0], rel=1e-6)


def test_a_mask_says_where_the_mesh_is_seen(chunk):
    camera = chunk.cameras[3]
    mask = chunk.model.renderMask(camera.transform, camera.calibration)
    assert (mask.cn, mask.channels, mask.data_type) == (1, " ", "U8")
    depth = np.asarray(chunk.model.renderDepth(camera.transform, camera.calibration))
    assert 0.2 < (depth[..., 1] > 0).mean() < 0.98
    np.testing.assert_array_equal(np.asarray(mask)[..., 0], np.where(depth[..., 1] > 0, 255, 0))
    from_below = Metashape.Matrix.Translation([0, 0, -30])  # looks up at backs
    assert not np.asarray(chunk.model.renderMask(from_below, camera.calibration)).any()
    assert np.asarray(chunk.model.renderMask(from_below, camera.calibration, cull_faces=False)).any()


@pytest.mark.parametrize("add_alpha", [True, False])
def test_normals_are_along_the_cameras_axes(chunk, project, add_alpha):
    camera = chunk.cameras[3]
    image = chunk.model.renderNormalMap(camera.transform, camera.calibration, add_alpha=add_alpha)
    assert (image.channels, image.data_type) == ("RGBA" if add_alpha else "RGB", "F32")
    expected = dr.render(project.mesh, project.chunk.cameras[3].transform, LENS, ("normal", "alpha"))
    np.testing.assert_array_equal(np.asarray(image)[..., :3], expected.normal)
    if add_alpha:
        np.testing.assert_array_equal(np.asarray(image)[..., 3], expected.alpha)
    # Turned to the chunk's axes, they are near the vertical: the ground is nearly level.
    up = np.asarray(image)[..., :3] @ np.asarray(camera.transform.rotation()).T
    assert np.median(up[expected.alpha > 0][:, 2]) > 0.9
    with pytest.raises(ValueError, match="smooth_normals is True"):
        chunk.model.renderNormalMap(camera.transform, camera.calibration, smooth_normals=True)


def test_points_are_picked_through_pixels(chunk, project):
    camera = chunk.cameras[1]
    depth = chunk.model.renderDepth(camera.transform, camera.calibration, cull_faces=False)
    for x, y in ((3, 5), (80, 60), (150, 100)):
        ray = camera.unproject(Metashape.Vector([x + 0.5, y + 0.5]))
        point = chunk.model.pickPoint(camera.center, ray)
        assert isinstance(point, Metashape.Vector)
        assert camera.transform.inv().mulp(point).z == pytest.approx(depth[x, y][0], rel=1e-6)
        np.testing.assert_allclose(camera.project(point), [x + 0.5, y + 0.5], atol=1e-7)
        expected = dr.pick_point(project.mesh, list(camera.center), list(ray)).point
        np.testing.assert_array_equal(point, expected)
    up = camera.center + Metashape.Vector([0, 0, 1])
    assert chunk.model.pickPoint(camera.center, up) is None
    assert chunk.model.pickPoint(camera.center, up, endpoints=0) is not None
    assert chunk.model.pickPoint(camera.center, camera.center - Metashape.Vector([0, 0, 1]), 2) is None
    assert chunk.model.pickPoint(camera.center, [np.nan] * 3) is None
    with pytest.raises(ValueError, match="endpoints is 3"):
        chunk.model.pickPoint(camera.center, up, 3)


def test_faces_and_vertices_are_the_meshs(chunk, project):
    vertices, faces = project.mesh
    model = chunk.model
    assert len(model.faces) == len(faces) and len(model.vertices) == len(vertices)
    assert model.faces[7].vertices == tuple(faces[7]) and type(model.faces[7].vertices[0]) is int
    assert model.vertices[-1].coord == Metashape.Vector(vertices[-1])
    assert [face.vertices for face in model.faces][:50] == [tuple(face) for face in faces[:50].tolist()]
    assert sum(1 for _ in model.vertices) == len(vertices)
    assert [vertex.coord for vertex in model.vertices[3:5]] == [Metashape.Vector(v) for v in vertices[3:5]]
    np.testing.assert_array_equal(np.asarray(model.vertices), vertices)
    np.testing.assert_array_equal(np.asarray(model.faces), faces)
    with pytest.raises(IndexError):
        _ = model.faces[len(faces)]
    with pytest.raises(AttributeError, match="can only be read"):
        model.vertices[0].coord = Metashape.Vector([0, 0, 0])


def test_the_area_is_in_square_metres(chunk, project):
    vertices, faces = project.mesh
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    expected = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()
    assert chunk.model.area() == pytest.approx(expected * SCALE**2)
    chunk.transform.matrix = None
    assert chunk.model.area() == pytest.approx(expected)


def test_a_model_is_prepared_once(chunk, monkeypatch):
    made = []

    class Counting(dr.Scene):
        @classmethod
        def from_mesh(cls, mesh, **options):
            made.append(mesh)
            time.sleep(0.05)
            return dr.Scene.from_mesh(mesh, **options)

    monkeypatch.setattr(module, "Scene", Counting)
    camera = chunk.cameras[0]
    images: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda: images.append(
                chunk.model.renderDepth(camera.transform, camera.calibration).tostring()
            )
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chunk.model.renderMask(camera.transform, camera.calibration)
    chunk.model.pickPoint(camera.center, camera.unproject([80, 60]))
    assert len(made) == 1 and len(set(images)) == 1 and len(images) == 6


def test_the_first_look_at_a_model_opens_its_file(project, monkeypatch):
    doc = Metashape.Document()
    doc.open(project.path)
    monkeypatch.setattr(doc.chunk.model, "_load", lambda: pytest.fail("was opened"))
    assert (
        doc.chunk.model.label == "Model"
        and doc.chunk.model.key == 0
        and repr(doc.chunk.model) == "Model('Model')"
    )


def test_bad_faces_are_left_out_and_counted(tmp_path, project):
    from projects import ply

    vertices, faces = project.mesh
    vertices = np.concatenate([vertices, [[np.nan] * 3]])
    faces = np.concatenate([faces, [[0, 1, len(vertices) - 1]]])
    (tmp_path / "bad.ply").write_bytes(ply(vertices, faces))
    chunk = Metashape.Document().addChunk()
    chunk.importModel(tmp_path / "bad.ply")
    camera = project.chunk.cameras[0]
    calibration = Metashape.Calibration._of(LENS)
    with pytest.warns(UserWarning, match="1 of 7201 faces"):
        depth = chunk.model.renderDepth(Metashape.Matrix(camera.transform), calibration)
    np.testing.assert_array_equal(np.asarray(depth), dr.render_depth(project.mesh, camera.transform, LENS))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, c: m.renderDepth(None, c), "transform is None; a camera's place is needed"),
        (lambda m, c: m.renderDepth(Metashape.Matrix.Diag([1, 1, -1, 1]), c), "mirrored"),
        (lambda m, c: m.renderDepth(Metashape.Matrix.Diag([1, 1, 1]), c), r"shape \(3, 3\)"),
        (
            lambda m, c: m.renderDepth(Metashape.Matrix.Translation([0, 0, 0]), Metashape.Calibration()),
            "width is 0",
        ),
        (lambda m, c: m.pickPoint([0, 0], [1, 1, 1]), "origin has 2 numbers"),
        (lambda m, c: m.pickPoint([0, 0, 0], [0, 0, 0]), "two different points"),
    ],
)
def test_views_that_are_none_say_why(chunk, call, message):
    with pytest.raises(ValueError, match=message):
        call(chunk.model, chunk.sensors[0].calibration)
