"""The layers that follow from the faces seen: against the twin, through every lens, and what is asked for in which way."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cameras
import depthraster as dr
import meshes
import reference_layers

SURFACE = ("barycentric", "normal", "position", "view_angle")
SEEDS = st.integers(0, 2**32 - 1)
STORAGES = st.sampled_from(["wide", "narrow"])
GRAZING = np.cos(np.radians(89.5))
PIXEL = 3e-6
"""Pixels by which a ray may be off: a face, or an image, may be so small that it matters."""


def check(mesh, transform, calibration, cull_faces=True, storage="auto"):
    """Render the layers and compare each with the twin, wherever a face is seen at less than 89.5 degrees."""
    scene = dr.Scene._with_storage(*mesh, storage)
    layers = dr.render(
        scene,
        transform,
        calibration,
        ("face_index", "range", *SURFACE),
        cull_faces=cull_faces,
        position_frame="camera",
    )
    shape = (calibration.height, calibration.width)
    for name in SURFACE:
        image = getattr(layers, name)
        assert image.shape == (shape if name == "view_angle" else (*shape, 3))
        assert image.dtype == (np.float64 if name == "position" else np.float32)
    hit = layers.face_index.ravel() >= 0
    weights, normal, position = (getattr(layers, name).reshape(-1, 3) for name in SURFACE[:3])
    angle = layers.view_angle.ravel()
    assert not weights[~hit].any() and not normal[~hit].any()
    assert np.isnan(position[~hit]).all() and np.isnan(angle[~hit]).all()
    assert (weights >= 0).all() and (weights <= 1).all()
    np.testing.assert_allclose(weights[hit].sum(axis=1), 1.0, atol=2e-7)
    at = np.flatnonzero(hit)
    twin = reference_layers.surface(mesh, transform, calibration, layers.face_index.ravel()[at], at)
    steep = ~(twin.cosine >= GRAZING)
    # A ray beside the face, by less than coverage allows: its point is the nearest one within.
    beside = (twin.weights < -1e-9).any(axis=1)
    sure = ~steep & ~beside
    off = np.abs(weights[at] - twin.weights).max(axis=1)
    assert (off <= 1e-6 + PIXEL * twin.weights_per_pixel)[sure].all()
    off = np.linalg.norm(position[at] - twin.position, axis=1)
    assert (off <= 1e-6 * np.abs(twin.distance) + PIXEL * twin.position_per_pixel)[sure].all()
    # Within the face whatever the slope.
    corners = reference_layers.to_camera(
        mesh[0][mesh[1][layers.face_index.ravel()[at]]], np.asarray(transform)
    )
    inside = np.einsum("nk,nkj->nj", weights[at].astype(float), corners)
    size = np.abs(corners).max(axis=(1, 2))
    assert (np.linalg.norm(position[at] - inside, axis=1) <= 1e-6 * size).all()
    sine = np.linalg.norm(np.cross(normal[at].astype(float), twin.normal), axis=1)
    assert (sine <= 1e-5)[sure].all() and ((normal[at] * twin.normal).sum(axis=1) > 0)[sure].all()
    assert (np.abs(angle[at] - twin.view_angle) <= 1e-5 + PIXEL * twin.angle_per_pixel)[sure].all()
    return layers, sure.sum()


def random_mesh(rng, half_field):
    kind = rng.integers(0, 5)
    if kind == 0:
        return meshes.soup(rng, 60, half_field, sizes=(1e-2, 3.0))
    if kind == 1:
        return meshes.terrain(rng, 12, 9, 20.0, 12.0, 3.0)
    if kind == 2:
        return meshes.crossers(rng, 25, half_field)
    if kind == 3:
        return meshes.icosphere(2, 5.0, bool(rng.random() < 0.5))
    return meshes.huge_face(rng, 5.0, 100.0)


@given(cameras.CALIBRATIONS, SEEDS, STORAGES, st.booleans())
def test_frame_lenses_agree_with_the_twin(calibration, seed, storage, cull_faces):
    rng = np.random.default_rng(seed)
    transform = meshes.random_transform(rng, scale=10 ** rng.uniform(-1, 1))
    mesh = meshes.moved(random_mesh(rng, cameras.half_field(calibration)), transform)
    check(meshes.on_lattice(mesh), transform, calibration, cull_faces, storage)


@given(cameras.OTHER_CALIBRATIONS, SEEDS, STORAGES, st.booleans())
def test_other_lenses_agree_with_the_twin(calibration, seed, storage, cull_faces):
    rng = np.random.default_rng(seed)
    transform = meshes.random_transform(rng, scale=10 ** rng.uniform(-1, 1))
    mesh = meshes.moved(random_mesh(rng, 1.0), transform)
    check(meshes.on_lattice(mesh), transform, calibration, cull_faces, storage)


@pytest.mark.parametrize("lens", sorted(cameras.EVERY_LENS))
def test_every_lens_on_a_terrain_and_a_ball(lens):
    rng = np.random.default_rng(7)
    mesh = meshes.joined(
        meshes.terrain(rng, 50, 40, 60.0, 15.0, 4.0),
        meshes.icosphere(3, 0.5),
        meshes.icosphere(2, 40.0, True),
    )
    mesh[0][len(mesh[0]) - 162 - 642 : len(mesh[0]) - 162] += [1.0, 0.5, 6.0]
    _, n_sure = check(meshes.on_lattice(mesh), np.eye(4), cameras.calibration(lens, 97, 61), storage="narrow")
    assert n_sure > 500


@pytest.mark.parametrize("lens", ["pinhole", "survey", "barrel", "fisheye 190", "spherical"])
def test_faces_of_every_size_and_shape_in_one_image(lens):
    """From 1/1000 pixel to the whole image, as good as edge-on, a thousand times as long as wide, deep and flat."""
    rng = np.random.default_rng(11)
    parts = [meshes.soup(rng, 300, 0.7, (1e-5, 3.0))]
    for size, thin, steep in [
        (0.02, 1e-3, 1.0),
        (0.2, 1e-3, 1.0),
        (0.2, 1.0, 100.0),
        (1.0, 1e-4, 30.0),
        (1.0, 1.0, 5.0),
    ]:
        n = 150
        middle = np.column_stack([rng.uniform(-3, 3, (n, 2)), rng.uniform(3, 9, n)])
        angle = rng.uniform(0, 2 * np.pi, n)
        along = np.column_stack([np.cos(angle), np.sin(angle), rng.uniform(-steep, steep, n)]) * size
        aside = np.column_stack([-np.sin(angle), np.cos(angle), rng.uniform(-1, 1, n)]) * size * thin
        vertices = np.stack([middle - along, middle + along, middle + aside], axis=1).reshape(-1, 3)
        vertices[:, 2] = np.maximum(vertices[:, 2], 0.2)
        parts.append((vertices, np.arange(3 * n).reshape(n, 3)))
    _, n_sure = check(
        meshes.on_lattice(meshes.joined(*parts)),
        np.eye(4),
        cameras.calibration(lens, 331, 277),
        cull_faces=False,
    )
    assert n_sure > 10_000


@pytest.mark.parametrize("slope", [1.0, 2.0, 10.0, 60.0])
@pytest.mark.parametrize(
    ("f", "width"), [(1000, 1e-3), (5000, 2e-4), (5000, 1e-2), (5000, 0.5), (20000, 1e-3)]
)
def test_slivers_are_met_where_they_are(f, width, slope):
    """A tilted strip of slivers 15 pixels long, drawn as small faces: two of the weights run along each of them."""
    n, wide, half = 2000, width / f * 100.0, 7.5 / f * 100.0
    x, end = (np.arange(n + 1) - n / 2) * wide, np.full(n + 1, half)
    plane = np.concatenate([np.column_stack([x, -end]), np.column_stack([x, end])])
    c, s = np.cos(0.6), np.sin(0.6)
    plane = plane @ np.array([[c, s], [-s, c]])
    k = np.arange(n)
    faces = np.concatenate(
        [np.column_stack([k, k + 1, k + n + 1]), np.column_stack([k + 1, k + n + 2, k + n + 1])]
    )
    vertices = np.column_stack([plane, 100.0 + slope * (plane @ [-s, c])])
    calibration, seen = dr.Calibration(width=64, height=64, f=f), 0
    for place in np.random.default_rng(0).uniform(-0.01, 0.01, (6, 2)):
        transform = np.eye(4)
        transform[:2, 3] = place
        seen += check((vertices, faces), transform, calibration, cull_faces=False)[1]
    assert seen > 10


@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_angles_are_the_same_at_any_scale(scale):
    mesh = meshes.terrain(np.random.default_rng(13), 30, 30, 60.0, 15.0, 4.0)
    calibration, transform = cameras.calibration("survey", 60, 40), np.diag([scale, scale, scale, 1.0])
    names = ("normal", "view_angle")
    expected = dr.render(mesh, np.eye(4), calibration, names)
    found = dr.render((mesh[0] * scale, mesh[1]), transform, calibration, names)
    for name in names:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-5)
    assert np.isfinite(expected.view_angle).mean() > 0.5


@pytest.mark.parametrize("place", [(0, 0, 0), (4.5e5, 5.2e6, 312.0), (4.1e6, 6.2e5, 4.8e6)])
@pytest.mark.parametrize("lens", ["survey", "fisheye 220 distorted", "spherical", "orthographic"])
def test_positions_keep_their_digits_anywhere(lens, place):
    rng = np.random.default_rng(8)
    transform = meshes.random_transform(rng, scale=0.5)
    near = meshes.moved(meshes.terrain(rng, 30, 30, 40.0, 15.0, 4.0), transform)
    moved = transform.copy()
    moved[:3, 3] += place
    mesh = near[0] + place, near[1]
    layers = dr.render(
        mesh, moved, cameras.calibration(lens, 80, 60), ("face_index", "position", "barycentric")
    )
    hit = layers.face_index >= 0
    assert hit.mean() > 0.02
    # From the mesh itself, by the weights that its users would take.
    corners = mesh[0][mesh[1][layers.face_index[hit]]] - place
    points = np.einsum("nk,nkj->nj", layers.barycentric[hit].astype(float), corners)
    np.testing.assert_allclose(layers.position[hit] - place, points, atol=1e-5)


def test_positions_and_normals_in_other_frames():
    rng = np.random.default_rng(9)
    transform = meshes.random_transform(rng, scale=0.25)
    mesh = meshes.moved(meshes.terrain(rng, 30, 30, 40.0, 15.0, 4.0), transform)
    world_from_chunk = meshes.random_transform(rng, scale=3.0, spread=6e6)
    calibration = cameras.calibration("survey", 80, 60)

    def layers(**frames):
        return dr.render(mesh, transform, calibration, ("depth", "range", "normal", "position"), **frames)

    chunk = layers(normal_frame="chunk")
    camera = layers(position_frame="camera")
    world = layers(position_frame=world_from_chunk, normal_frame=world_from_chunk)
    seen = chunk.depth > 0
    np.testing.assert_allclose(camera.position[seen][:, 2], camera.depth[seen], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(camera.position[seen], axis=1), camera.range[seen], rtol=1e-6)
    back = camera.position[seen] @ transform[:3, :3].T + transform[:3, 3]
    np.testing.assert_allclose(chunk.position[seen], back, rtol=1e-12, atol=1e-12)
    there = chunk.position[seen] @ world_from_chunk[:3, :3].T + world_from_chunk[:3, 3]
    np.testing.assert_allclose(world.position[seen], there, rtol=0, atol=1e-8)
    np.testing.assert_allclose(camera.normal @ (transform[:3, :3] / 0.25).T, chunk.normal, atol=1e-6)
    np.testing.assert_allclose(chunk.normal @ (world_from_chunk[:3, :3] / 3).T, world.normal, atol=1e-6)


def test_smooth_normals_of_a_ball_are_its_radii():
    vertices, faces = meshes.icosphere(4, 2.0)
    transform = dr.look_at((5.0, 4.0, 3.0), (0.0, 0.0, 0.0))
    calibration = cameras.calibration("pinhole", 90, 70)
    names = ("normal", "view_angle", "position", "face_index")
    smooth = dr.render(
        (vertices, faces), transform, calibration, names, vertex_normals=7 * vertices, normal_frame="chunk"
    )
    flat = dr.render((vertices, faces), transform, calibration, names, normal_frame="chunk")
    hit = smooth.face_index >= 0
    radii = smooth.position[hit] / np.linalg.norm(smooth.position[hit], axis=1, keepdims=True)

    def off(layers):
        return np.linalg.norm(np.cross(layers.normal[hit].astype(float), radii), axis=1).max()

    assert off(smooth) < 2e-3 < 2e-2 < off(flat)
    np.testing.assert_allclose(np.linalg.norm(smooth.normal[hit], axis=1), 1.0, atol=1e-6)
    assert not smooth.normal[~hit].any()
    np.testing.assert_array_equal(smooth.view_angle, flat.view_angle)
    turned = dr.render(
        (vertices, faces), transform, calibration, "normal", vertex_normals=vertices.astype(np.float32)
    )
    np.testing.assert_allclose(turned.normal @ transform[:3, :3].T, smooth.normal, atol=1e-6)


@pytest.mark.parametrize("storage", ["narrow", "wide"])
@pytest.mark.parametrize("with_weights", [True, False])
def test_attributes_are_looked_up_or_interpolated(storage, with_weights):
    rng = np.random.default_rng(10)
    vertices, faces = meshes.terrain(rng, 20, 25, 20.0, 12.0, 3.0)
    faces = np.stack([np.roll(face, rng.integers(3)) for face in faces])  # any vertex may come first
    n_vertices, n_faces = len(vertices), len(faces)
    given = {
        "x": vertices[:, 0],
        "linear": (vertices @ [1.0, 2.0, 3.0]).astype(np.float32),
        "pair": rng.normal(size=(n_vertices, 2)),
        "half": vertices[:, 1].astype(np.float16),
        "tensor": rng.normal(size=(n_vertices, 2, 3)),
        "colour": rng.integers(0, 256, (n_vertices, 3)).astype(np.uint8),
        "label": rng.integers(0, 1000, n_vertices).astype(np.int16),
        "flag": rng.random(n_vertices) < 0.5,
        "face": np.arange(n_faces),
        "face colour": rng.integers(0, 256, (n_faces, 4)).astype(np.uint8),
        "face confidence": rng.random(n_faces).astype(np.float32),
        "stepped": dr.Attribute(vertices[:, 0], interpolate=False, background=-5.0),
        "rounded": dr.Attribute(1000 * np.arange(n_vertices), interpolate=True, background=7),
    }
    calibration = cameras.calibration("survey", 70, 50)
    names = ("face_index", "barycentric") if with_weights else ("face_index",)
    scene = dr.Scene._with_storage(vertices, faces, storage)
    layers = dr.render(scene, np.eye(4), calibration, names, attributes=given)
    weights = dr.render(scene, np.eye(4), calibration, "barycentric").barycentric
    hit = layers.face_index >= 0
    assert 0.3 < hit.mean() < 1
    corner = faces[layers.face_index[hit]]
    by_weight = corner[np.arange(len(corner)), weights[hit].argmax(axis=1)]

    def mean(values):
        return np.einsum("nk,nk...->n...", weights[hit].astype(float), np.asarray(values, float)[corner])

    def expect(name, at_hit, background, **how):
        image = layers.attributes[name]
        values = np.asarray(given[name].values if isinstance(given[name], dr.Attribute) else given[name])
        assert image.dtype == values.dtype and image.shape == (50, 70, *values.shape[1:])
        np.testing.assert_array_equal(image[~hit], np.full_like(image[~hit], background))
        if how:
            np.testing.assert_allclose(image[hit], at_hit, **how)
        else:
            np.testing.assert_array_equal(image[hit], at_hit)

    expect("x", mean(given["x"]), np.nan, atol=1e-5)
    expect("linear", mean(given["linear"]), np.nan, atol=1e-5)
    expect("pair", mean(given["pair"]), np.nan, atol=1e-6)
    expect("half", mean(given["half"]), np.nan, atol=1e-2)
    expect("tensor", mean(given["tensor"]), np.nan, atol=1e-6)
    expect("colour", mean(given["colour"]), 0, atol=0.5001)
    expect("label", given["label"][by_weight], -1)
    expect("flag", given["flag"][by_weight], False)
    expect("face", layers.face_index[hit], -1)
    expect("face colour", given["face colour"][layers.face_index[hit]], 0)
    expect("face confidence", given["face confidence"][layers.face_index[hit]], np.nan)
    expect("stepped", vertices[by_weight, 0], -5.0)
    expect("rounded", mean(1000 * np.arange(n_vertices)), 7, atol=0.6)
    assert list(layers.attributes) == list(given)


def test_what_is_the_same_at_all_vertices_is_the_same_everywhere():
    vertices, faces = meshes.terrain(np.random.default_rng(1), 9, 9, 20.0, 12.0, 1.0)
    attributes = {"time": np.full(len(vertices), 1.7e9 + 0.123)}
    image = dr.render(
        (vertices, faces), np.eye(4), cameras.calibration("wide", 40, 30), (), attributes=attributes
    )
    assert image.depth is None
    values = image.attributes["time"]
    assert set(values[np.isfinite(values)]) == {1.7e9 + 0.123}


def test_attributes_belong_to_the_mesh_as_it_was_given():
    """Faces that were dropped and vertices that no face uses keep their rows."""
    vertices, faces = meshes.grid(4, 4, (-9, -9), (9, 9))
    vertices = np.concatenate([[[np.nan] * 3], vertices + [0, 0, 5], [[1e9, 0, 0]]])
    faces = np.concatenate([[[0, 1, 2]], faces + 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scene = dr.Scene(vertices, faces, invalid="drop")
    given = {"face": np.arange(len(faces)), "x": vertices[:, 0]}
    layers = dr.render(
        scene, np.eye(4), cameras.calibration("pinhole", 40, 30), ("face_index", "position"), attributes=given
    )
    assert layers.face_index.min() >= 1
    np.testing.assert_array_equal(layers.attributes["face"], layers.face_index)
    np.testing.assert_allclose(layers.attributes["x"], layers.position[..., 0], atol=1e-5)


LENSES_OF_EDGES = [
    "survey",
    "folding",
    "wide",
    "fisheye 220 distorted",
    "spherical beyond",
    "cylindrical",
    "orthographic",
]


@pytest.fixture(scope="module")
def hilly_room():
    """A room with hills on all sides and balls in it."""
    rng = np.random.default_rng(11)
    ball, two = meshes.icosphere(2, 1.0)
    mesh = meshes.joined(
        *(
            (ball * rng.uniform(0.5, 1.5) + 8 * direction / np.linalg.norm(direction), two)
            for direction in rng.normal(size=(60, 3))
        ),
        *(
            meshes.moved(
                meshes.terrain(rng, 25, 25, 50.0, 18.0, 6.0), dr.look_at((0, 0, 0), direction, (1, 2, 3))
            )
            for direction in (*np.eye(3), *-np.eye(3))
        ),
    )
    return meshes.on_lattice(mesh)


def check_edges(mesh, calibration, tolerance):
    """Compare with the twin; how many edges, other hits and doubtful pixels there are."""
    layers = dr.render(mesh, np.eye(4), calibration, ("edge", "face_index"), edge_tolerance=tolerance)
    assert layers.edge.dtype == bool and layers.range is None
    edge, unsure = reference_layers.edges(mesh, np.eye(4), calibration, layers.face_index, tolerance)
    np.testing.assert_array_equal(layers.edge[~unsure], edge[~unsure])
    return edge.sum(), (~edge & (layers.face_index >= 0)).sum(), unsure.sum()


@pytest.mark.parametrize("tolerance", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("lens", LENSES_OF_EDGES)
def test_edges_agree_with_the_twin(lens, tolerance, hilly_room):
    edges, others, unsure = check_edges(hilly_room, cameras.calibration(lens, 97, 61), tolerance)
    assert edges > 20 and others > 500 and unsure < 10


@pytest.mark.parametrize("lens", ["survey", "orthographic"])
@pytest.mark.parametrize("height", [1, 3])
def test_edges_agree_with_the_twin_in_images_of_any_width(lens, height, hilly_room):
    """Pixels are looked at sixteen at a time, the last column by itself."""
    counts = [
        check_edges(hilly_room, cameras.calibration(lens, width, height), 2.0)
        for width in (*range(1, 5), *range(14, 20), *range(31, 36), 49, 50)
    ]
    edges, others, unsure = np.sum(counts, axis=0)
    assert edges > 40 and others > 100 and unsure < 10


def test_edges_surround_a_box_and_nothing_else():
    """A tilted floor has none, however steep; a box before it has its outline, on both sides."""
    vertices, faces = meshes.grid(40, 40, (-400, -400), (400, 400))
    slope = dr.look_at((0, 0, 0), (0, 1.0, 0.2))[:3, :3]
    floor = (vertices @ slope.T + [0, 0, 30], faces)
    calibration = cameras.calibration("pinhole", 120, 90)
    layers = dr.render(floor, np.eye(4), calibration, ("edge", "alpha"), cull_faces=False)
    sky = layers.alpha == 0
    assert sky.any() and not sky.all()
    beside_sky = np.zeros_like(sky)
    for axis, shift in ((0, 1), (0, -1)):
        beside_sky |= np.roll(sky, shift, axis)
    assert not layers.edge[~beside_sky].any()
    square, two = meshes.grid(1, 1, (-3, -3), (3, 3))
    layers = dr.render(
        meshes.joined(floor, (square + [0, 0, 12], two)), np.eye(4), calibration, ("edge", "face_index")
    )
    near = layers.face_index >= len(faces)
    outline = np.zeros_like(near)
    for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
        outline |= near != np.roll(near, shift, axis)
    np.testing.assert_array_equal(layers.edge & ~beside_sky, outline & (layers.face_index >= 0) & ~beside_sky)


@pytest.mark.parametrize("lens", ["survey", "fisheye 190", "orthographic"])
def test_threads_do_not_show(lens):
    rng = np.random.default_rng(12)
    mesh = meshes.terrain(rng, 60, 60, 60.0, 15.0, 4.0)
    scene = dr.Scene(*mesh)
    calibration = cameras.calibration(lens, 500, 401)
    names = (*SURFACE, "edge")
    attributes = {"x": mesh[0][:, 0], "face": np.arange(len(mesh[1]))}
    one, two = (
        dr.render(scene, np.eye(4), calibration, names, attributes=attributes, threads=n) for n in (1, 3)
    )
    for name in names:
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    for name in attributes:
        assert one.attributes[name].tobytes() == two.attributes[name].tobytes()


def test_images_can_be_written_over():
    scene = dr.Scene(*meshes.terrain(np.random.default_rng(13), 20, 20, 20.0, 12.0, 3.0))
    calibration = cameras.calibration("survey", 60, 40)
    names = ("depth", "alpha", "range", "face_index", *SURFACE, "edge")
    attributes = {"face": np.arange(scene.n_faces)}
    elsewhere = np.eye(4)
    elsewhere[:3, 3] = 3.0, 2.0, -1.0
    first = dr.render(scene, np.eye(4), calibration, names, attributes=attributes)
    second = dr.render(scene, elsewhere, calibration, names, attributes=attributes)
    expected = {name: getattr(second, name).copy() for name in names}
    second_faces = second.attributes["face"].copy()
    again = dr.render(
        scene,
        elsewhere,
        calibration,
        names,
        attributes=attributes,
        out=first,
    )
    for name in names:
        assert np.shares_memory(getattr(again, name), getattr(first, name)), name
        np.testing.assert_array_equal(getattr(again, name), expected[name])
    assert again.attributes["face"] is first.attributes["face"]
    np.testing.assert_array_equal(again.attributes["face"], second_faces)
    # What does not fit is made anew.
    smaller = dr.render(scene, np.eye(4), calibration.scaled(0.5), "position", out=first)
    assert smaller.position.shape == (20, 30, 3)


def test_pixels_that_the_lens_does_not_image_are_background():
    calibration = cameras.calibration(
        {"type": "fisheye", "f": 0.05}, 900, 900
    )  # a small circle in the middle
    mesh = meshes.icosphere(3, 5.0, True)
    given = {"face": np.arange(len(mesh[1])), "x": mesh[0][:, 0]}
    layers = dr.render(mesh, np.eye(4), calibration, (*SURFACE, "edge", "face_index"), attributes=given)
    empty = layers.face_index < 0
    assert empty[:100].all() and not empty[450, 450]
    assert not layers.normal[empty].any() and not layers.barycentric[empty].any() and not layers.edge.any()
    assert np.isnan(layers.position[empty]).all() and np.isnan(layers.view_angle[empty]).all()
    assert (layers.attributes["face"][empty] == -1).all() and np.isnan(layers.attributes["x"][empty]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layers": ()}, ValueError, "no layers were named"),
        ({"layers": "normals"}, ValueError, "no layer 'normals'"),
        ({"attributes": [1, 2]}, TypeError, "attributes are a list"),
        (
            {"attributes": {"a": np.zeros(7)}},
            ValueError,
            "attribute 'a' has 7 rows, and the mesh 12 vertices and 20 faces",
        ),
        ({"attributes": {"a": 3.0}}, ValueError, r"attribute 'a' has the shape \(\)"),
        (
            {"attributes": {"a": [[1]] * 11 + [[1, 2]]}},
            ValueError,
            "attribute 'a' has rows of different lengths",
        ),
        ({"attributes": {"depth": np.zeros(12)}}, ValueError, "attribute 'depth' has the name of a layer"),
        ({"attributes": {"a": np.array(["x"] * 12)}}, TypeError, "attribute 'a' is of type <U1"),
        (
            {"attributes": {"a": dr.Attribute(np.zeros(12), on="face")}},
            ValueError,
            "one for each face is needed",
        ),
        ({"attributes": {"a": dr.Attribute(np.zeros(12), on="edge")}}, ValueError, "is on 'edge'"),
        ({"attributes": {"a": dr.Attribute(np.zeros(20), interpolate=True)}}, ValueError, "belongs to faces"),
        ({"attributes": {"a": dr.Attribute(np.zeros(12, bool), interpolate=True)}}, TypeError, "holds bools"),
        (
            {"attributes": {"a": dr.Attribute(np.zeros(12, np.uint8), background=-1)}},
            ValueError,
            "uint8 cannot hold",
        ),
        (
            {"attributes": {"a": dr.Attribute(np.zeros(12, int), background="x")}},
            ValueError,
            "int64 cannot hold",
        ),
        (
            {"attributes": {"a": dr.Attribute(np.zeros(12, np.int32), background=np.nan)}},
            ValueError,
            "is nan, which int32 cannot hold",
        ),
        ({"vertex_normals": np.zeros((20, 3))}, ValueError, r"\(12, 3\) is needed"),
        (
            {"vertex_normals": np.where(np.arange(36).reshape(12, 3) == 16, np.nan, 1.0)},
            ValueError,
            "vertex_normals are not finite at 1 of 12 vertices, first at vertex 5",
        ),
        ({"vertex_normals": np.zeros((12, 3), complex)}, TypeError, "vertex_normals are of type complex128"),
        ({"normal_frame": "world"}, ValueError, "normal_frame is 'world'"),
        ({"position_frame": None}, TypeError, "has the chunk a transform"),
        ({"position_frame": np.zeros((4, 4))}, ValueError, "last row|singular"),
        (
            {"position_frame": np.eye(3)},
            ValueError,
            r"position_frame has the shape \(3, 3\); 'camera', 'chunk' or",
        ),
        ({"attributes": np.ones(4)}, TypeError, "attributes are a ndarray; arrays by name are needed"),
        ({"edge_tolerance": 0}, ValueError, "edge_tolerance is 0"),
        ({"edge_tolerance": np.nan}, ValueError, "edge_tolerance is nan"),
        ({"edge_tolerance": True}, TypeError, "edge_tolerance is True; a number"),
        ({"edge_tolerance": "wide"}, TypeError, "edge_tolerance is 'wide'"),
        ({"out": np.zeros((3, 4))}, TypeError, "out is a ndarray"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, error, message):
    arguments = {"layers": ("depth",)} | arguments
    with pytest.raises(error, match=message):
        dr.render(meshes.icosphere(0), np.eye(4), cameras.calibration("pinhole", 20, 10), **arguments)


def test_as_many_vertices_as_faces_ask_for_a_word():
    vertices, faces = meshes.icosphere(0)
    mesh = (np.concatenate([vertices, np.zeros((8, 3))]), faces)
    with pytest.raises(ValueError, match="as many vertices as faces"):
        dr.render(mesh, np.eye(4), cameras.calibration("pinhole", 20, 10), attributes={"a": np.arange(20)})
    both = {"v": dr.Attribute(np.arange(20), on="vertex"), "f": dr.Attribute(np.arange(20), on="face")}
    layers = dr.render(
        mesh,
        np.eye(4),
        cameras.calibration("pinhole", 20, 10),
        "face_index",
        attributes=both,
        cull_faces=False,
    )
    np.testing.assert_array_equal(layers.attributes["f"], layers.face_index)
    assert (layers.attributes["v"] < 12).all()


def test_clusters_of_both_kinds_beside_one_another():
    """A few large faces under a dense terrain keep their float64 coordinates, and share runs of pixels with it."""
    rng = np.random.default_rng(13)
    mesh = meshes.joined(
        meshes.terrain(rng, 200, 200, 12.0, 12.0, 1.0), meshes.terrain(rng, 6, 6, 60.0, 14.0, 1.0)
    )
    scene = dr.Scene(*mesh)
    assert 0 < scene._arrays.is_wide.sum() < len(scene._arrays.is_wide)
    for lens in ("survey", "orthographic", "fisheye 190"):
        _, n_sure = check(mesh, np.eye(4), cameras.calibration(lens, 97, 61))
        assert n_sure > 300
