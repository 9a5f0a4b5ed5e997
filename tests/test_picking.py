"""`pick_point`: rays against a mesh, compared with a slow twin, with the rasterizer, and on edges where rays get lost."""

from __future__ import annotations

import numpy as np
import pytest

import depthraster as dr
import meshes
from cameras import calibration


def twin(mesh, origins, targets, endpoints):
    """Every ray against every face: plane, then the sides of its edges; (n,) t, face, and how far inside, relative.

    ``clear`` is False where the ray passes so near to an edge, or so flat along a face, that rounding decides.
    """
    vertices, faces = np.asarray(mesh[0], float), np.asarray(mesh[1])
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    least = -np.inf if endpoints == 0 else 0.0
    most = 1.0 if endpoints == 2 else np.inf
    ts, found, clear = np.full(len(origins), np.nan), np.full(len(origins), -1), np.ones(len(origins), bool)
    for i, (origin, target) in enumerate(zip(origins, targets, strict=True)):
        d = target - origin
        with np.errstate(all="ignore"):
            t = np.einsum("ij,ij->i", normal, a - origin) / (normal @ d)
            p = origin + t[:, None] * d
            area = np.einsum("ij,ij->i", normal, normal)
            inside = np.stack(
                [
                    np.einsum("ij,ij->i", np.cross(y - x, p - x), normal) / area
                    for x, y in ((a, b), (b, c), (c, a))
                ]
            ).min(axis=0)
            flat = np.abs(normal @ d) < 1e-6 * np.sqrt(area) * np.linalg.norm(d)
        hit = (inside >= 0) & (t >= least) & (t <= most) & (area > 0)
        doubt = (
            (np.abs(inside) < 1e-7)
            | (flat & (inside > -1e-3))
            | (np.abs(t - most) < 1e-9)
            | (np.abs(t) < 1e-9)
        )
        order = np.where(hit, np.abs(t), np.inf)
        if hit.any():
            found[i] = np.argmin(order)
            ts[i] = t[found[i]]
        nearest = np.min(order)
        tied = hit & (np.abs(t) <= nearest * (1 + 1e-9))
        clear[i] = not (doubt & (np.abs(t) <= nearest * (1 + 1e-9))).any() and tied.sum() <= 1
    return ts, found, clear


def rays_at(rng, mesh, n):
    vertices = mesh[0]
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    origins = rng.uniform(low - 0.3 * (high - low), high + 0.3 * (high - low), (n, 3))
    targets = rng.uniform(low, high, (n, 3))
    # Half of them through points of faces, thin ones too, which lie before, at or behind the targets.
    aimed = np.einsum("nk,nkj->nj", rng.dirichlet([2, 2, 2], n), vertices[rng.choice(mesh[1], n)])
    aimed = origins + rng.uniform(0.5, 1.5, (n, 1)) * (aimed - origins)
    return origins, np.where(rng.random((n, 1)) < 0.5, aimed, targets)


MESHES = {
    "sphere": lambda rng: meshes.icosphere(2),
    "terrain": lambda rng: meshes.terrain(rng, 20, 15, 10.0, 12.0, 1.0),
    "soup": lambda rng: meshes.soup(rng, 300, 0.5),
    "slivers": lambda rng: meshes.slivers(rng, 200, 0.5),
    "room": lambda rng: meshes.box_room(4),
}


@pytest.mark.parametrize("endpoints", [0, 1, 2])
@pytest.mark.parametrize("storage", ["narrow", "wide"])
@pytest.mark.parametrize("name", MESHES)
def test_rays_meet_what_the_twin_says(name, storage, endpoints):
    rng = np.random.default_rng([len(name), endpoints])
    mesh = meshes.on_lattice(MESHES[name](rng))
    origins, targets = rays_at(rng, mesh, 400)
    picks = dr.pick_point(dr.Scene._with_storage(*mesh, storage), origins, targets, endpoints)
    ts, found, clear = twin(mesh, origins, targets, endpoints)
    assert clear.mean() > (0.3 if name in ("slivers", "room") else 0.8)
    assert (found >= 0).mean() > 0.05
    np.testing.assert_array_equal(picks.face_index[clear], found[clear])
    # The plane of a sliver is known only to the rounding of its corners divided by its width.
    np.testing.assert_allclose(
        picks.t[clear], ts[clear], rtol=1e-6 if name == "slivers" else 1e-9, atol=1e-12
    )
    hit = picks.face_index >= 0
    np.testing.assert_array_equal(np.isnan(picks.t), ~hit)
    np.testing.assert_array_equal(np.isnan(picks.point).all(axis=1), ~hit)
    size = np.ptp(mesh[0], axis=0).max()
    np.testing.assert_allclose(
        picks.point[hit], (origins + picks.t[:, None] * (targets - origins))[hit], atol=1e-14 * size
    )


@pytest.mark.parametrize("place", [(0, 0, 0), (4.5e5, 5.2e6, 312.0), (4.1e6, 6.2e5, 4.8e6)])
def test_no_ray_out_of_a_closed_mesh_is_lost(place):
    """Through vertices, edges' middles and random points of edges: where a test with gaps loses one in a thousand."""
    rng = np.random.default_rng(5)
    vertices, faces = meshes.icosphere(5)
    vertices = vertices * [1.0, 0.6, 1.7] + rng.normal(size=vertices.shape) * 1e-3 + place
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])), axis=0)
    a, b = vertices[edges[:, 0]], vertices[edges[:, 1]]
    share = rng.random((len(a), 1))
    targets = np.concatenate([vertices, 0.5 * (a + b), a + share * (b - a)])
    origin = np.asarray(place) + rng.uniform(-0.2, 0.2, 3)
    scene = dr.Scene(vertices, faces)
    assert scene.n_faces == 20480
    picks = dr.pick_point(scene, origin, targets)
    assert (picks.face_index >= 0).all()
    # The targets lie on the surface, as far as the vertices' own coordinates tell it.
    far = np.linalg.norm(targets - origin, axis=1)
    np.testing.assert_allclose(np.linalg.norm(picks.point - targets, axis=1), 0.0, atol=1e-6 * far.min())
    # And as segments, and from outside through the whole body.
    assert (dr.pick_point(scene, origin, origin + 1.01 * (targets - origin), 2).face_index >= 0).all()
    outside = np.asarray(place) + 50.0 * (targets - origin)
    assert (dr.pick_point(scene, outside, origin).face_index >= 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rays_along_the_axes_through_a_grid_of_vertices(axis):
    """Rays exactly through vertices and along edges of a flat, aligned sheet, on whose boxes' borders they lie."""
    vertices, faces = meshes.grid(64, 64, (0, 0), (64, 64))
    vertices = np.roll(vertices, axis + 1, axis=1)  # the sheet across the axis
    targets = vertices.copy()
    origins = vertices.copy()
    origins[:, axis] += 7.0
    picks = dr.pick_point((vertices, faces), origins, targets)
    assert (picks.face_index >= 0).all()
    np.testing.assert_array_equal(picks.point, targets)
    np.testing.assert_array_equal(picks.t, 1.0)
    # Just beside the sheet there is nothing.
    origins[:, axis - 1] += 64.001
    targets[:, axis - 1] += 64.001
    assert (dr.pick_point((vertices, faces), origins, targets).face_index == -1).all()


@pytest.mark.parametrize("lens", ["pinhole", "survey", "barrel"])
def test_rays_through_pixels_meet_what_the_image_shows(lens):
    rng = np.random.default_rng(9)
    mesh = meshes.terrain(rng, 150, 150, 20.0, 15.0, 3.0)
    mesh[0][:] += [0.0123, 0.0456, 0.0]  # or diagonals of faces would lie on diagonals of pixels
    transform = meshes.random_transform(rng, spread=1e5)
    scene = dr.Scene(*meshes.moved(mesh, transform))
    c = calibration(lens, 160, 120)
    layers = dr.render(scene, transform, c, ("depth", "face_index"), cull_faces=False)
    v, u = np.mgrid[:120, :160] + 0.5
    rays = c.unproject(np.stack([u, v], axis=-1))
    imaged = np.isfinite(rays).all(axis=-1)
    targets = rays[imaged] @ transform[:3, :3].T + transform[:3, 3]
    picks = dr.pick_point(scene, transform[:3, 3], targets)
    shown, depth = layers.face_index[imaged], layers.depth[imaged]
    assert (shown >= 0).sum() > 8000
    np.testing.assert_array_equal(picks.face_index >= 0, shown >= 0)
    assert (picks.face_index == shown).mean() > 0.9999
    np.testing.assert_allclose(picks.t[shown >= 0], depth[shown >= 0], rtol=1e-6)  # the rays have Z = 1


def test_lines_rays_and_segments():
    """Two sheets across the Z axis, at 1 and at 4; and between them the origin, at 2."""
    vertices, faces = meshes.grid(1, 1, (-1, -1), (1, 1))
    mesh = meshes.joined((vertices + [0, 0, 1], faces), (vertices + [0, 0, 4], faces))
    for target_z, endpoints, expected in (
        (3.0, 0, 1.0),  # behind the origin, and nearer
        (3.0, 1, 4.0),
        (3.0, 2, None),
        (4.0, 2, 4.0),  # the end itself
        (1.5, 1, 1.0),
        (1.5, 2, None),
        (-9.0, 2, 1.0),
    ):
        pick = dr.pick_point(mesh, [0.2, 0.1, 2], [0.2, 0.1, target_z], endpoints)
        assert pick.point.shape == (3,) and pick.t.shape == pick.face_index.shape == ()
        if expected is None:
            assert pick.face_index == -1 and np.isnan(pick.t) and np.isnan(pick.point).all()
        else:
            np.testing.assert_allclose(pick.point, [0.2, 0.1, expected])
            assert pick.face_index == (0 if expected == 1.0 else 2) + (0 if pick.face_index % 2 == 0 else 1)
    pick = dr.pick_point(mesh, [0.2, 0.1, 4], [0.2, 0.1, 9])
    assert pick.t == 0.0, "a ray that begins on the mesh meets it there"


def test_of_copies_of_a_face_the_first_is_met():
    rng = np.random.default_rng(2)
    mesh, _ = meshes.with_duplicates(meshes.on_lattice(meshes.icosphere(3)), rng)
    targets = rng.normal(size=(500, 3))
    found = dr.pick_point(mesh, np.zeros(3), targets).face_index
    corners = np.sort(mesh[1], axis=1)
    for face in found:
        assert face == np.flatnonzero((corners == corners[face]).all(axis=1))[0]


def test_threads_do_not_show():
    rng = np.random.default_rng(4)
    scene = dr.Scene(*meshes.icosphere(5))
    origins, targets = rng.normal(size=(2, 20000, 3))
    one, two = (dr.pick_point(scene, origins, targets, threads=n) for n in (1, 3))
    for a, b in zip(one, two, strict=True):
        assert a.tobytes() == b.tobytes()
    again = dr.pick_point(scene, origins[:7], targets[:7])
    assert again.t.tobytes() == one.t[:7].tobytes()


def test_one_origin_serves_many_targets():
    scene = dr.Scene(*meshes.icosphere(1))
    targets = np.random.default_rng(1).normal(size=(4, 5, 3))
    picks = dr.pick_point(scene, [0, 0, 0], targets)
    assert picks.point.shape == (4, 5, 3)
    assert dr.pick_point(scene, targets, [[0, 0, 0]]).t.shape == (4, 5)
    assert dr.pick_point(scene, np.empty((0, 3)), [0, 0, 0]).point.shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 0], [1, 1, 1]), ValueError, r"origin has the shape \(2,\)"),
        (([0, 0, 0], "abc"), TypeError, "target makes no array of numbers"),
        (([0, 0, np.nan], [1, 1, 1]), ValueError, "1 of 1 points of origin are not finite"),
        ((np.zeros(3), [[1, 1, 1], [1, np.inf, 1]]), ValueError, "the first at 1"),
        (([1, 2, 3], [1, 2, 3]), ValueError, "ray 0 has its origin"),
        (
            ([0, 0, 0], [[1, 0, 0], [1e-320, 0, 0]]),
            ValueError,
            "points of ray 1 are .*e-320 apart; 1e-100 to",
        ),
        (([0, 0, 1e308], [0, 0, -1e308]), ValueError, "points of ray 0 are inf apart"),
        ((np.zeros((2, 3)), np.ones((3, 3))), ValueError, "shapes that fit each other"),
        ((np.zeros(3), np.ones(3), 3), ValueError, "endpoints is 3"),
        ((np.zeros(3), np.ones(3), True), ValueError, "endpoints is True"),
    ],
)
def test_rays_that_are_none_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        dr.pick_point(meshes.icosphere(0), *arguments)
