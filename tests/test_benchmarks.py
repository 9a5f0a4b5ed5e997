"""The benchmarks' own judgement: what they call right, full width, hidden or lost has to be so."""

from __future__ import annotations

from pathlib import Path

import numba
import numpy as np
import pytest

import assembly
import building
import checking
import compare
import contest
import depthraster as dr
import limits
import report
import scenes


@pytest.fixture(scope="module")
def view() -> scenes.View:
    return scenes.survey_view(3000, 0.05)


@pytest.fixture(scope="module")
def truth(view: scenes.View) -> checking.Truth:
    return checking.truth(*view, n_random=3, side=24)


def image(view: scenes.View) -> np.ndarray:
    return dr.render_depth((view.vertices, view.faces), view.transform, view.calibration)


def test_a_right_image_has_no_errors(view: scenes.View, truth: checking.Truth):
    found = image(view)
    errors = checking.errors(truth, found[..., 0], found[..., 1] == 1)
    assert errors.pixels == 12 * 24 * 24
    assert errors.coverage == errors.coverage_of_all == errors.holes == 0
    assert 0 < errors.depth_p99 <= errors.depth_max <= 1e-6


def test_the_windows_twin_is_that_of_the_whole_mesh(view: scenes.View, truth: checking.Truth):
    """Leaving out faces that lie beside a window changes nothing."""
    whole = checking.reference.trace(*view, flat_index=truth.pixel)
    np.testing.assert_array_equal(truth.depth, whole.depth)
    # Edges farther than the twin's margin may be found or not.
    near = checking.reference.MARGIN
    np.testing.assert_array_equal(np.minimum(truth.edge, near), np.minimum(whole.edge_distance, near))
    np.testing.assert_array_equal(np.minimum(truth.rim, near), np.minimum(whole.rim_distance, near))


def test_what_is_wrong_is_noticed(view: scenes.View, truth: checking.Truth):
    found = image(view)
    covered = found[..., 1] == 1
    covered[0, 0] = False  # in the first window
    errors = checking.errors(truth, found[..., 0], covered)
    assert (errors.coverage, errors.holes) == (1, 1)
    errors = checking.errors(truth, found[..., 0] * np.float32(1.001), found[..., 1] == 1)
    assert errors.depth_p99 == pytest.approx(1e-3, rel=1e-2)
    shifted = np.roll(found[..., 0], 1, axis=1)
    assert checking.errors(truth, shifted, found[..., 1] == 1).depth_p99 > 1e-5
    nothing = checking.errors(truth, found[..., 0], np.zeros(covered.shape, bool))
    assert nothing.coverage_of_all == nothing.pixels > nothing.coverage > 0.99 * nothing.pixels
    assert np.isnan(nothing.depth_max)


def test_layers_are_counted():
    """Five walls behind one another, and one that is turned away, and one behind the camera."""
    square = np.array([[-9.0, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]])
    places = [2.0, 3, 4, 5, 6, 7, -3]
    vertices = np.concatenate([square + [0, 0, z] for z in places])
    turned = [False, False, False, False, False, True, False]
    faces = np.concatenate(
        [np.array([[0, 2, 1], [0, 3, 2]])[:, :: -1 if away else 1] + 4 * i for i, away in enumerate(turned)]
    )
    calibration = dr.Calibration(40, 30, 50.0)
    layers = checking.depth_complexity(vertices, faces, np.eye(4), calibration, n=20)
    np.testing.assert_array_equal(layers, 5)


def test_the_building_hides_most_of_itself():
    """Its boxes are closed, and a ray through it passes many walls."""
    vertices, faces = building.building(2e4, rooms=(6, 5), storeys=3)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    corner = np.unique(np.round(vertices, 9), axis=0, return_inverse=True)[1].reshape(-1)
    joined = np.unique(np.sort(corner[edges], axis=1), axis=0, return_counts=True)[1]
    assert (joined % 2 == 0).all()
    transforms, calibration = building.indoor_views(2, 0.05, rooms=(6, 5), storeys=3)
    for transform in transforms:
        layers = checking.depth_complexity(vertices, faces, transform, calibration, n=100)
        assert layers.mean() > 4
        assert layers.min() >= 1


def test_a_peer_is_checked_and_timed(view: scenes.View, tmp_path: Path):
    contest.write_case(
        tmp_path,
        view.vertices,
        view.faces,
        view.transform[:3, 3],
        view.transform[None],
        view.calibration,
        [0],
    )
    result = contest.run(tmp_path, "depthraster", rounds=2, budget=5.0)
    assert result["errors"][0]["coverage"] == 0
    assert len(result["render"]["depthraster"]) == len(result["from_arrays"]["depthraster"]) == 2


def case(**times: list[float]) -> dict:
    error = {"pixels": 100, "coverage": 0, "holes": 0, "depth_p99": 1e-7, "depth_max": 1e-6}
    peers = {
        name: {what: {name: values, "depthraster": [1.0, 1.0, 1.0]} for what in ("render", "busy")}
        | {"errors": [error]}
        for name, values in times.items()
    }
    return {"n_faces": 10, "width": 1000, "height": 1000, "n_views": 2, "peers": peers}


def test_where_we_lose_is_said():
    lost = case(open3d=[3.0, 2.0, 4.0], vtk=[0.5, 0.4, 0.6])
    lost["peers"]["llvmpipe"] = {"skipped": "no driver"}
    table = compare.losses([lost])
    assert "PyVista" in table
    assert "Open3D" not in table
    assert "2.00" in table
    assert "**0.50**" in compare.table(lost)
    assert compare.absences([lost]) == ["llvmpipe, pinhole skipped: no driver"]
    assert compare.losses([case(open3d=[3.0, 2.0, 4.0])]) == ""


def test_the_page_has_a_place_for_everything():
    names = ["bars", *(name for name in report.RUNS if name != "compare")]
    names += [
        f"compare {part}" for part in ("faces", "pixels", "survey", "losses", "absences", "who", "machine")
    ]
    page = report.fill(report.PAGE.read_text(encoding="utf-8"), {name: f"<{name}>" for name in names})
    assert all(f"-->\n<{name}>\n<!--" in page for name in names)
    with pytest.raises(SystemExit, match="nowhere"):
        report.fill(page, {"nowhere": ""})


def test_bars_that_are_missed_are_said_so():
    found = {
        "part_of_scene": {"results": {"ratio": 1.3}},
        "occlusion": {"results": {"ratio": 2.5}},
    }
    lines = report.bars(found).splitlines()
    assert any("1.30 ×" in line and "**no**" in line for line in lines)
    assert any("2.5 ×" in line and "yes" in line for line in lines)
    assert sum("not measured" in line for line in lines) == 12


def test_threads_take_tiles_as_they_come():
    assert limits.makespan([1.0] * 8, 2) == 4.0
    assert limits.makespan([1.0] * 8, 64) == 1.0
    assert limits.makespan([5.0, 1.0, 1.0, 1.0], 2) == 5.0
    assert limits.makespan([1.0] * 8, 1, starting=0.5) == 8.0
    assert limits.makespan([1.0] * 8, 2, starting=0.5) == 4.5
    assert limits.makespan([1.0] * 2, 4, starting=0.25) == 1.25


@numba.njit
def vectors(a, b, out):
    for i in range(len(out)):
        out[i] = a[i] * b[i] + a[i]


@numba.njit
def one_by_one(a, out):
    last = np.float32(0.0)
    for i in range(len(out)):
        last = last * a[i] + a[i]
        out[i] = last


def test_vectors_are_told_from_scalars():
    a = np.ones(100, np.float32)
    vectors(a, a, a.copy())
    one_by_one(a, a.copy())
    full = assembly.widest()
    for function, expected in ((vectors, True), (one_by_one, False)):
        loops = assembly.loops("\n".join(function.inspect_asm().values()))
        assert loops
        # Where LLVM prefers shorter vectors, which it does for some processors with AVX-512, those count.
        wide = [loop for loop in loops if any(loop.widths.get(w, 0) for w in (full, "ymm", "v"))]
        assert bool(wide) == expected
        assert all(loop.kinds["mul s"] >= 1 for loop in loops)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vmulps\t%zmm2, %zmm5, %zmm5", ("zmm", "mul s")),
        ("vcmpgeps\t1024(%rbx,%rax,4){1to16}, %zmm4, %k1", ("zmm", "cmp s")),
        ("vfmadd213pd\t%ymm1, %ymm2, %ymm3", ("ymm", "madd d")),
        ("vsubsd\t%xmm2, %xmm5, %xmm5", ("scalar", "add d")),
        ("addps\t%xmm2, %xmm5", ("xmm", "add s")),
        ("fmul\tv1.4s, v2.4s, v3.s[0]", ("v", "mul s")),
        ("fcmge\tv30.2d, v30.2d, v25.2d", ("v", "cmp d")),
        ("fdiv\td0, d1, d2", ("scalar", "div d")),
        ("fmadd\ts0, s1, s2, s3", ("scalar", "mul s")),
        ("vmovups\t%zmm0, (%rax)", None),
        ("fmov\td0, #1.0", None),
        ("addq\t$64, %rax", None),
    ],
)
def test_instructions_are_known(line: str, expected: tuple[str, str] | None):
    if expected is not None and expected[1] == "madd d":
        expected = (expected[0], "mul d")
    assert assembly.operation(line) == expected


def test_numbas_wrappers_are_no_loops():
    text = """
_ZN11depthraster7kernels5tiles13draw_clustersB3v59B52c8tJTIeF:
.LBB0_1:
\tvmulps\t%zmm2, %zmm5, %zmm5
\tjne\t.LBB0_1
.Lfunc_end0:
_ZN7cpython11depthraster7kernels5tiles13draw_clustersB3v59:
.LBB1_1:
\tmulsd\t%xmm2, %xmm5
\tjne\t.LBB1_1
"""
    loops = assembly.loops(text)
    assert [loop.function for loop in loops] == ["draw_clusters"]
    assert loops[0].widths == {"zmm": 1}
