"""The demo's landscape, survey and contact sheet."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr
from depthraster.contact_sheet import Picture, contact_sheet, relief
from depthraster.demo import make_survey, refuse_foreign
from depthraster.drawing import colour_table
from depthraster.landscape import box, joined, landscape, placed, prism, spire


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6


def is_closed(faces: np.ndarray) -> bool:
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    directed = set(map(tuple, edges.tolist()))
    return len(directed) == len(edges) and all((b, a) in directed for a, b in directed)


@pytest.fixture(scope="module")
def ground() -> tuple[np.ndarray, np.ndarray]:
    return landscape()


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    return make_survey(tmp_path_factory.mktemp("survey"))


def test_solids_are_closed_and_face_outward():
    for mesh, expected in [
        (box((1, 2, 3), (2, 4, 6)), 6.0),
        (spire(1.5, 2.0, 5.0), 9.0),
        (prism([(0, 0), (2, 0), (0, 2)], -1, 4, [(0, 1, 2)]), 10.0),
        (placed(box((0, 0, 0), (1, 1, 1)), 5, -3, 2, 0.7), 1.0),
        (joined(box((0, 0, 0), (1, 1, 1)), box((5, 0, 0), (6, 1, 2))), 3.0),
    ]:
        assert is_closed(mesh[1])
        assert volume(*mesh) == pytest.approx(expected, rel=1e-12)


def test_landscape_is_sound_and_the_same_every_time(ground):
    vertices, faces = ground
    assert 200_000 <= len(faces) <= 500_000
    assert np.isfinite(vertices).all()
    assert faces.min() == 0 and faces.max() == len(vertices) - 1
    corners = vertices[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert areas.min() > 0
    again = landscape()
    assert np.array_equal(again[0], vertices) and np.array_equal(again[1], faces)
    assert not np.array_equal(landscape(seed=8)[0][:1000], vertices[:1000])


def test_survey_reads_back(survey, ground):
    mesh_path, cameras_path = survey
    chunk = dr.load_chunk(cameras_path)
    mesh = dr.load_mesh(mesh_path)
    assert len(mesh.faces) == len(ground[1])
    aligned = [camera for camera in chunk.cameras if camera.transform is not None]
    assert len(aligned) == 12 and len(chunk.cameras) == 13
    # World coordinates are geocentric: the village lies on the ellipsoid's surface, upright.
    matrix = np.asarray(chunk.transform)
    world = mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    assert abs(np.linalg.norm(world.mean(axis=0)) - 6.367e6) < 5e3
    # The mesh is as large in the world, in metres, as it was made.
    size = np.linalg.norm(np.ptp(ground[0], axis=0))
    middle, border = ground[0][0], ground[0][100_000]
    assert np.linalg.norm(world[100_000] - world[0]) == pytest.approx(
        np.linalg.norm(border - middle), abs=1e-5 * size
    )


def test_an_earlier_demo_may_be_replaced_and_one_of_anybody_else_not(survey, tmp_path):
    refuse_foreign(survey[0].parent)
    refuse_foreign(tmp_path)
    refuse_foreign(tmp_path / "none")
    dr.save_chunk(dr.Chunk(label="Village"), tmp_path / "cameras.xml")
    with pytest.raises(FileExistsError, match="no demo made"):
        refuse_foreign(tmp_path)


def test_every_camera_of_the_survey_sees_the_ground_right_side_out(survey):
    mesh_path, cameras_path = survey
    scene = dr.Scene.from_mesh(mesh_path)
    for camera in dr.load_chunk(cameras_path).cameras:
        if camera.transform is None:
            continue
        small = camera.calibration.scaled(0.1)
        image = dr.render_depth(scene, camera.transform, small)
        seen = image[..., 1] > 0
        assert seen.mean() > (0.999 if camera.label.startswith("nadir") else 0.75)
        assert seen[-1].all()  # the foreground of oblique images
        both = dr.render_depth(scene, camera.transform, small, cull_faces=False)
        # Hardly anything is seen from behind: faces are the right way round.
        assert (image[..., 0] != both[..., 0]).mean() < 2e-3


def test_colours_go_from_dark_to_light_in_even_steps():
    colours = colour_table(64)
    assert colours.shape == (64, 3) and colours.min() >= 0 and colours.max() <= 1
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    lightness = np.cbrt(linear @ [0.2126, 0.7152, 0.0722])
    steps = np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 3 * steps.mean()


def test_relief_of_a_level_plane_is_even_and_slopes_toward_the_light_are_lighter():
    calibration = dr.Calibration(width=120, height=80, f=100)
    u, v = np.meshgrid(np.arange(120) + 0.5, np.arange(80) + 0.5)
    rays = calibration.unproject(np.stack([u, v], axis=-1))
    seen = np.ones((80, 120), bool)
    flat = relief(np.full((80, 120), 5.0, np.float32), seen, rays)
    assert np.ptp(flat) < 1e-6
    # What falls away to the upper left faces the light, which comes from there.
    toward = (5 / (1 + 0.3 * rays[..., 0] + 0.3 * rays[..., 1])).astype(np.float32)
    away = (5 / (1 - 0.3 * rays[..., 0] - 0.3 * rays[..., 1])).astype(np.float32)
    middle = (slice(20, 60), slice(30, 90))
    assert relief(toward, seen, rays)[middle].mean() > flat.mean() > relief(away, seen, rays)[middle].mean()


def test_contact_sheet_holds_every_picture():
    calibration = dr.Calibration(width=60, height=40, f=50)
    depth = np.linspace(4, 6, 2400, dtype=np.float32).reshape(40, 60)
    seen = np.ones((40, 60), bool)
    seen[:, :20] = False
    pictures = [Picture(label, depth, seen, calibration) for label in ("a", "b" * 200, "")]
    pictures.append(Picture("nothing", np.zeros((40, 60), np.float32), np.zeros((40, 60), bool), calibration))
    sheet = np.asarray(contact_sheet(pictures, "title", unit="m", columns=3))
    one = np.asarray(contact_sheet(pictures[:1], "title"))
    assert sheet.shape[1] > 2.5 * one.shape[1] / 1.2 and sheet.shape[0] > 1.5 * (one.shape[0] - 100)
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100
    with pytest.raises(ValueError, match="no pictures"):
        contact_sheet([], "title")
