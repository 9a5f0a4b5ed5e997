"""Lens models beyond the frame against the twin: what lies before, beside, behind and all around the camera."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cameras
import comparing
import depthraster as dr
import meshes
import reference

LENSES = sorted(cameras.OTHER_LENSES)
SEEDS = st.integers(0, 2**32 - 1)
STORAGES = st.sampled_from(["wide", "narrow"])
SIZE = (97, 61)
each_lens = pytest.mark.parametrize("lens", LENSES)
both_storages = pytest.mark.parametrize("storage", ["wide", "narrow"])


def _direction(rng):
    return rng.normal(size=3)


def _huge(rng, direction):
    face = meshes.huge_face(rng, rng.uniform(0.5, 20), 10 ** rng.uniform(-0.5, 3))
    return meshes.turned(face, direction)


def _fan(rng):
    depth, spread = rng.uniform(1, 20), rng.uniform(0.2, 3)
    fan = meshes.fan(
        int(rng.integers(3, 300)), (*rng.uniform(-1, 1, 2) * depth, depth), spread * depth, depth / 9
    )
    return meshes.turned(fan, _direction(rng))


def _terrain(rng):
    depth, n = rng.uniform(0.5, 20), int(rng.integers(1, 25))
    sheet = meshes.terrain(
        rng, n, n + 3, depth * 10 ** rng.uniform(0, 1.5), depth, depth * rng.uniform(0, 0.5)
    )
    return meshes.turned(sheet, _direction(rng))


def _sphere_around(rng):
    vertices, faces = meshes.icosphere(int(rng.integers(0, 5)), rng.uniform(1, 20), bool(rng.random() < 0.8))
    return vertices + _direction(rng) * 0.2, faces


def _sphere_beside(rng):
    depth = rng.uniform(1, 20)
    vertices, faces = meshes.icosphere(int(rng.integers(0, 4)), depth * rng.uniform(0.1, 0.95))
    direction = _direction(rng)
    return vertices + direction / np.linalg.norm(direction) * depth, faces


RECIPES = {
    "soup": lambda rng: meshes.soup(rng, 150, None, (1e-3, 10 ** rng.uniform(-2, 0.5))),
    "dust": lambda rng: meshes.soup(rng, 600, None, (1e-4, 1e-2)),
    "slivers": lambda rng: meshes.slivers(rng, 60, None),
    "needles": lambda rng: meshes.needles(rng, 60, None),
    "crossers": lambda rng: meshes.crossers(rng, int(rng.integers(1, 9)), 1.0),
    "huge": lambda rng: _huge(rng, _direction(rng)),
    "pole": lambda rng: _huge(rng, (rng.normal() * 0.2, rng.choice([-1, 1]), rng.normal() * 0.2)),
    "seam": lambda rng: _huge(rng, (rng.normal() * 0.2, rng.normal() * 0.2, -1)),
    "fan": _fan,
    "terrain": _terrain,
    "sphere around": _sphere_around,
    "sphere beside": _sphere_beside,
    "room": lambda rng: meshes.box_room(int(rng.integers(1, 12)), tuple(rng.uniform(1, 20, 3))),
}


def build(names, seed, scale, storage, offset=0.0):
    """The mesh of the recipes, in a chunk frame of its own, and its transform."""
    rng = np.random.default_rng(seed)
    transform = meshes.random_transform(rng, scale)
    transform[:3, 3] += offset
    mesh = meshes.moved(meshes.joined(*(RECIPES[name](rng) for name in names)), transform)
    if rng.random() < 0.3:
        mesh, _ = meshes.with_duplicates(mesh, rng)
    # Narrow storage rounds to a lattice; a mesh that lies on it already may not suffer at all.
    return (meshes.on_lattice(mesh) if storage == "narrow" else mesh), transform


@given(
    st.lists(st.sampled_from(sorted(RECIPES)), min_size=1, max_size=3),
    SEEDS,
    cameras.OTHER_CALIBRATIONS,
    st.booleans(),
    st.sampled_from([1.0, 0.03, 40.0]),
    STORAGES,
)
def test_anything(names, seed, calibration, cull_faces, scale, storage):
    mesh, transform = build(names, seed, scale, storage)
    comparing.compare(mesh, transform, calibration, cull_faces, storage)


@each_lens
@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_mesh_under_every_lens(name, lens):
    calibration = cameras.calibration(lens, *SIZE)
    for seed, (cull_faces, storage) in enumerate([(True, "wide"), (False, "narrow")]):
        mesh, transform = build([name], seed, 1.0, storage)
        comparing.compare(mesh, transform, calibration, cull_faces, storage)


@each_lens
@pytest.mark.parametrize("size", [(1, 300), (300, 1), (7, 3), (385, 383), (384, 384), (769, 20), (20, 769)])
def test_image_sizes_that_fit_no_tile(lens, size):
    calibration = cameras.calibration(lens, *size)
    mesh, transform = build(["room", "terrain", "sphere beside"], sum(size), 1.0, "wide")
    comparing.compare(mesh, transform, calibration, False)


@each_lens
@pytest.mark.parametrize(
    "mesh",
    [meshes.icosphere(1, 30.0, True), meshes.icosphere(5, 30.0, True), meshes.box_room(12, (44, 39, 55))],
    ids=["80 faces", "20 480 faces", "room"],
)
@pytest.mark.parametrize("size", [(130, 97), (401, 299)])
def test_closed_meshes_from_inside_show_no_background(lens, size, mesh):
    calibration = cameras.calibration(lens, *size)
    scene = dr.Scene(*mesh)
    imaged = np.isfinite(reference.image_plane(calibration)[:, 0]).reshape(size[::-1])
    assert imaged.any()
    for seed in range(3):
        # An orthographic view is 20 units wide: in any turn it has to stay inside.
        transform = meshes.random_transform(np.random.default_rng(seed), spread=3.0)
        layers = dr.render(scene, transform, calibration, comparing.LAYERS, depth="z")
        np.testing.assert_array_equal(layers.face_index >= 0, imaged)
        np.testing.assert_array_equal(layers.alpha == 1, imaged)
        assert (layers.range[imaged] > 0).all()
        outside = dr.render(dr.Scene(mesh[0], mesh[1][:, ::-1]), transform, calibration, comparing.LAYERS)
        assert (outside.face_index == -1).all()


@each_lens
def test_sphere_in_closed_form(lens):
    """From inside, off centre: the range is the sphere's, less a sagitta at most; Z is range times the ray's Z."""
    calibration = cameras.calibration(lens, 160, 120)
    radius = 25.0
    mesh = meshes.icosphere(6, radius, inward=True)
    a, b, c = (mesh[0][mesh[1][:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    sagitta = radius - (np.abs((normal * a).sum(axis=1)) / np.linalg.norm(normal, axis=1)).min()
    transform = meshes.random_transform(np.random.default_rng(2), spread=3.0)
    lens_twin = reference.Lens(calibration)
    look = lens_twin.unproject(reference.pixel_centres(160, 120))
    imaged = np.isfinite(look[:, 0])
    ray = np.tile([0.0, 0.0, 1.0], (len(look), 1)) if lens_twin.parallel else look
    start = (look * [1, 1, 0] if lens_twin.parallel else 0 * look) @ transform[:3, :3].T + transform[:3, 3]
    along = (ray @ transform[:3, :3].T * start).sum(axis=1)
    square = (start**2).sum(axis=1) - radius**2
    exact = -along + np.sqrt(along**2 - square)
    slant = np.sqrt(along**2 - square) / radius  # cosine between ray and normal
    layers = dr.render(mesh, transform, calibration, ("range", "depth"), background=np.nan, depth="z")
    got = layers.range.ravel()
    np.testing.assert_array_equal(np.isfinite(got), imaged)
    # The mesh is inscribed: never beyond the sphere, nearer by the sagitta at most.
    difference = (exact - got)[imaged]
    assert (difference >= -1e-6 * exact[imaged]).all()
    assert (difference <= sagitta / slant[imaged] * 1.2 + 1e-6 * exact[imaged]).all()
    depth = (got * ray[:, 2])[imaged]
    assert (np.abs(layers.depth.ravel()[imaged] - depth) <= 1e-6 * got[imaged]).all()


@pytest.mark.parametrize("lens", sorted(set(LENSES) - {"orthographic", "orthographic near"}))
def test_walls_beside_and_behind(lens):
    """Z of a wall is its place: negative behind the camera, through 0 on the wall beside it."""
    calibration = cameras.calibration(lens, 150, 110)
    vertices = np.array([[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1]]) * [3e4, 3e4, 3.0]
    mesh = vertices, np.array([[0, 1, 2], [0, 2, 3]])
    layers, answer = comparing.compare(mesh, np.eye(4), calibration)
    covered = layers.face_index >= 0
    z = answer.rays[:, 2].reshape(covered.shape)
    assert not covered[z > 0].any()
    assert covered[z < -0.01].all()
    away = z < -0.03
    np.testing.assert_allclose(layers.depth[away], -3.0, rtol=1e-5)
    side = np.array([[1, -1, -1], [1, -1, 1], [1, 1, 1], [1, 1, -1]]) * [2.0, 50.0, 50.0]
    layers, answer = comparing.compare((side, mesh[1]), np.eye(4), calibration, False)
    covered = layers.face_index >= 0
    if covered.any():
        x, _, z = (answer.rays[covered.ravel()] * answer.distance[covered.ravel(), None]).T
        np.testing.assert_allclose(x, 2.0, rtol=1e-9)
        assert (np.abs(layers.depth[covered] - z) <= 1e-6 * answer.distance[covered.ravel()]).all()


@both_storages
@pytest.mark.parametrize("lens", [name for name in LENSES if "spherical" in name or "cylindrical" in name])
def test_across_the_seam(lens, storage):
    """A surface straight behind is seen at both ends of a whole turn."""
    calibration = cameras.calibration(lens, 150, 90)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sheet = meshes.terrain(rng, 1 + 4 * seed, 2 + 3 * seed, 30.0, 6.0, 1.0)
        mesh = meshes.on_lattice(meshes.turned(sheet, (0.05 * seed, 0, -1)))
        layers, answer = comparing.compare(mesh, np.eye(4), calibration, False, storage)
        if calibration.width > 6.2 * calibration.f:
            columns = (layers.face_index >= 0).any(axis=0) & answer.imaged.reshape(90, 150).any(axis=0)
            imaged = np.flatnonzero(answer.imaged.reshape(90, 150).any(axis=0))
            assert columns[imaged[:3]].all() and columns[imaged[-3:]].all()
            assert not columns[imaged[len(imaged) // 2]]


@both_storages
@pytest.mark.parametrize("lens", [name for name in LENSES if "spherical" in name])
@pytest.mark.parametrize("sign", [-1, 1])
def test_over_a_pole(lens, sign, storage):
    """One face, or a fan whose hub is the pole itself, covers all of the image's first or last rows."""
    calibration = cameras.calibration(lens, 150, 90)
    latitude = reference.image_plane(calibration)[:, 1] * sign
    near = np.nan_to_num(latitude) > np.pi / 2 - np.arctan(0.9)
    for reach, n in ((3.0, 1), (0.02, 1), (2.0, 3), (2.0, 500)):
        if n == 1:
            mesh = meshes.turned(meshes.huge_face(np.random.default_rng(3), 2.0, reach), (0, sign, 0))
        else:
            vertices, faces = meshes.fan(n, (0, 0, 2.0), 2.0 * reach, 0.3)
            mesh = meshes.turned((vertices, faces), (0, sign, 0))
            mesh[0][0] = (0, 2.0 * sign, 0)
        mesh = meshes.on_lattice(mesh)
        layers, _ = comparing.compare(mesh, np.eye(4), calibration, True, storage)
        if reach > 1.5 and near.any():
            assert (layers.face_index.ravel()[near] >= 0).all()


@both_storages
@pytest.mark.parametrize("lens", [name for name in LENSES if "fisheye" in name or "equisolid" in name])
def test_straight_behind_a_fisheye(lens, storage):
    """A face round -Z is a ring along the image circle's rim, or out of the lens' sight."""
    calibration = cameras.calibration(lens, 131, 131)
    for reach in (0.05, 0.5, 20.0):
        mesh = meshes.turned(meshes.huge_face(np.random.default_rng(4), 2.0, reach), (0.01, -0.02, -1))
        layers, answer = comparing.compare(meshes.on_lattice(mesh), np.eye(4), calibration, True, storage)
        if "360" in lens and reach > 0.1:
            theta = np.arccos(np.clip(answer.rays[:, 2], -1, 1)).reshape(131, 131)
            assert (layers.face_index[theta > np.pi - 0.4 * np.arctan(reach)] == 0).all()


CUBE_CORNER = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 4]], float)
CUBE_FACES = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1]])


@each_lens
@pytest.mark.parametrize(
    "camera",
    [(0, 0, 0), (2, 0, 0), (1, 1, 0), (1, 1, 1), (4, 0, 0), (8, 0, 0), (2, 2, 0), (-4, 0, 0), (0, 6, 6)],
    ids=["vertex", "edge", "face", "beside", "end", "edge's line", "far edge", "behind", "face's plane"],
)
def test_cameras_on_the_mesh_itself(lens, camera):
    """Faces whose plane holds the camera are seen edge-on: no pixel, no crash, and nothing else is lost."""
    calibration = cameras.calibration(lens, *SIZE)
    shell = meshes.icosphere(2, 64.0, inward=True)
    mesh = meshes.joined((CUBE_CORNER, CUBE_FACES), (CUBE_CORNER, CUBE_FACES[:, ::-1]), shell)
    transform = np.eye(4)
    transform[:3, 3] = camera
    for turn in (np.eye(3), np.diag([-1.0, 1.0, -1.0]), np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])):
        transform[:3, :3] = turn
        for cull_faces in (True, False):
            layers, answer = comparing.compare(mesh, transform, calibration, cull_faces)
            np.testing.assert_array_equal((layers.face_index >= 0).ravel(), answer.imaged)


@each_lens
@pytest.mark.parametrize(
    "offset", [(500_000.0, 5_800_000.0, 300.0), (3.9e6, 0.9e6, 4.95e6)], ids=["utm", "ecef"]
)
@both_storages
def test_far_from_the_origin(lens, offset, storage):
    calibration = cameras.calibration(lens, *SIZE)
    scene = ["room", "terrain", "soup"] if storage == "wide" else ["room", "terrain"]
    rng = np.random.default_rng(11)
    transform = meshes.random_transform(rng)
    transform[:3, 3] += offset
    vertices, faces = meshes.moved(meshes.joined(*(RECIPES[name](rng) for name in scene)), transform)
    if storage == "narrow":
        # A lattice's steps from a place that float64 holds.
        vertices = np.rint((vertices - np.rint(offset)) * 2.0**20) / 2.0**20 + np.rint(offset)
    layers, _ = comparing.compare((vertices, faces), transform, calibration, False, storage)
    assert (layers.face_index >= 0).any()


@each_lens
def test_faces_without_area_are_invisible_and_harmless(lens):
    calibration = cameras.calibration(lens, *SIZE)
    vertices, faces = meshes.icosphere(1, 40.0, inward=True)
    more = np.array([[0, 0, 0], [0, 0, 5], [1, 1, 5], [2, 2, 5], [5, 0, 0], [-5, 0, 0], [0, 0, -5]], float)
    a = len(vertices)
    flat = [[1, 1, 2], [1, 2, 3], [1, 1, 1], [2, 1, 2], [4, 5, 0], [1, 6, 0], [4, 4, 5], [0, 0, 6], [4, 0, 5]]
    mesh = np.concatenate([vertices, more]), np.concatenate([np.array(flat) + a, faces])
    for cull_faces in (True, False):
        layers, answer = comparing.compare(mesh, np.eye(4), calibration, cull_faces)
        drawn = layers.face_index.ravel()[answer.imaged]
        assert (drawn >= len(flat)).all()


@both_storages
@each_lens
def test_copies_of_a_face_give_the_smallest_index(lens, storage):
    calibration = cameras.calibration(lens, *SIZE)
    rng = np.random.default_rng(3)
    vertices, faces = meshes.on_lattice(meshes.box_room(4, (28, 26, 33)))
    copies = [faces, faces, faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]]
    order = rng.permutation(4 * len(faces))
    mesh = vertices, np.concatenate(copies)[order]
    origin = np.tile(np.arange(len(faces)), 4)[order]
    layers, _ = comparing.compare(mesh, np.eye(4), calibration, True, storage)
    drawn = np.unique(layers.face_index[layers.face_index >= 0])
    assert len(drawn) > (1 if "near" in lens else 5)
    for face in drawn:
        assert face == np.flatnonzero(origin == origin[face])[0]


@both_storages
@each_lens
def test_reversed_copies_are_culled_one_by_one(lens, storage):
    """Which side of a sheet is seen follows from where the camera is, in every direction that it looks in."""
    calibration = cameras.calibration(lens, *SIZE)
    rng = np.random.default_rng(5)
    ahead = meshes.fan(30, (0.2, 0.1, 9.0), 3.0, 0.5)
    around = [RECIPES[name](rng) for name in ("terrain", "soup", "fan")]
    vertices, faces = meshes.on_lattice(meshes.joined(ahead, *around))
    mesh = vertices, np.concatenate([faces, faces[:, ::-1]])
    layers, answer = comparing.compare(mesh, np.eye(4), calibration, True, storage)
    both = dr.render(
        dr.Scene._with_storage(*mesh, storage), np.eye(4), calibration, comparing.LAYERS, cull_faces=False
    )
    free = (answer.edge_distance >= comparing.EDGE).reshape(both.face_index.shape)
    np.testing.assert_array_equal((both.face_index >= 0)[free], (layers.face_index >= 0)[free])
    same = (both.face_index % len(faces) == layers.face_index % len(faces)) & (layers.face_index >= 0)
    np.testing.assert_allclose(both.range[same & free], layers.range[same & free], rtol=1e-6)
    assert (layers.face_index >= 0).any()


@each_lens
@pytest.mark.parametrize("step", [1, 5])
def test_vertices_on_pixel_centres(lens, step):
    """A sheet whose vertices are the looks of pixel centres, each a rounding away from there, has no hole."""
    calibration = cameras.calibration(lens, 60, 44)
    nx, ny = 60 // step, 44 // step
    u, v = np.meshgrid(np.arange(nx + 1) * step - 0.5, np.arange(ny + 1) * step - 0.5)
    twin = reference.Lens(calibration)
    looks = twin.unproject(np.stack([u.ravel(), v.ravel()], axis=1))
    faces = meshes.grid(nx, ny, (0, 0), (1, 1))[1]
    faces = faces[np.isfinite(looks[faces]).all(axis=(1, 2))]
    depth = np.random.default_rng(step).uniform(5, 6, len(looks))[:, None]
    vertices = looks * ([1, 1, 0] + depth * [0, 0, 1]) if twin.parallel else looks * depth
    vertices = np.where(np.isfinite(vertices), vertices, 0.0)
    layers, answer = comparing.compare((vertices, faces), np.eye(4), calibration, False)
    assert (layers.face_index >= 0).sum() > 100
    if step == 1:
        assert (answer.edge_distance[answer.face_index >= 0] < 1e-6).mean() > 0.9


@each_lens
def test_faces_smaller_than_pixels_all_count(lens):
    calibration = cameras.calibration(lens, 40, 30)
    mesh = meshes.icosphere(5, 30.0, inward=True)
    transform = meshes.random_transform(np.random.default_rng(6), spread=3.0)
    layers, answer = comparing.compare(mesh, transform, calibration)
    np.testing.assert_array_equal((layers.face_index >= 0).ravel(), answer.imaged)
    if "near" not in lens:
        assert len(np.unique(layers.face_index)) > 0.1 * answer.imaged.sum()


@each_lens
def test_neither_threads_nor_layers_nor_kinds_change_a_bit(lens):
    calibration = cameras.calibration(lens, 410, 397)
    rng = np.random.default_rng(7)
    transform = meshes.random_transform(rng)
    around = [RECIPES[name](rng) for name in ("dust", "fan", "sphere beside", "slivers")]
    mesh = meshes.moved(meshes.joined(meshes.fan(30, (0.2, 0.1, 9.0), 0.5, 0.5), *around), transform)
    scene = dr.Scene(*mesh)
    one = dr.render(scene, transform, calibration, comparing.LAYERS, threads=1, depth="z", background=-7.5)
    two = dr.render(scene, transform, calibration, comparing.LAYERS, threads=2, depth="z", background=-7.5)
    for name in comparing.LAYERS:
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    covered = one.face_index >= 0
    assert covered.any() and not covered.all()
    assert (one.depth[~covered] == -7.5).all() and (one.range[~covered] == -7.5).all()
    for kind, expected in (("z", one.depth), ("range", one.range)):
        for threads in (1, 2):
            pair = dr.render_depth(
                scene, transform, calibration, depth=kind, background=-7.5, threads=threads
            )
            np.testing.assert_array_equal(pair[..., 0], expected)
            np.testing.assert_array_equal(pair[..., 1], covered)
            alone = dr.render_depth(
                scene, transform, calibration, add_alpha=False, depth=kind, background=-7.5, threads=threads
            )
            np.testing.assert_array_equal(alone[..., 0], expected)
    default = dr.render_depth(scene, transform, calibration, add_alpha=False, background=np.nan)[..., 0]
    wanted = one.range if calibration.type == "spherical" else one.depth
    np.testing.assert_array_equal(default, np.where(covered, wanted, np.nan))
    if calibration.type == "orthographic":
        np.testing.assert_array_equal(one.depth, one.range)


@pytest.mark.parametrize("lens", ["fisheye 190", "spherical", "orthographic"])
def test_a_million_faces_around_a_large_image(lens):
    """Spot checks in a closed sphere: 1500 pixels chosen at random, and no imaged pixel without a face."""
    calibration = cameras.calibration(lens, 3000, 1600)
    mesh = meshes.icosphere(8, 30.0, True)
    assert len(mesh[1]) > 1_000_000
    transform = meshes.random_transform(np.random.default_rng(4), spread=3.0)
    pixels = np.sort(np.random.default_rng(5).choice(3000 * 1600, 1500, replace=False))
    layers, _ = comparing.compare(mesh, transform, calibration, flat_index=pixels)
    u, v = np.meshgrid(np.arange(3000) + 0.5, np.arange(1600) + 0.5)
    imaged = np.isfinite(
        reference.Lens(calibration).undistort(np.stack([u.ravel(), v.ravel()], axis=1))[:, 0]
    )
    np.testing.assert_array_equal((layers.face_index >= 0).ravel(), imaged)


def test_an_orthographic_view_culls_by_its_rays_not_by_its_place():
    """A ball far beside the place that the view is taken from: its near side is turned away from there, and is seen."""
    calibration = dr.Calibration(width=120, height=90, f=2.0, cx=-40.0, type="orthographic")
    vertices, faces = meshes.icosphere(5, 9.0)  # clusters with narrow cones
    mesh = vertices + [20.0, 0.0, 11.0], faces
    for turn in range(4):
        transform = meshes.random_transform(np.random.default_rng(turn))
        layers, _ = comparing.compare(meshes.moved(mesh, transform), transform, calibration)
        assert (layers.face_index >= 0).sum() > 900
