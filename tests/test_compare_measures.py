"""What is measured of two images agrees with a slow twin in numpy, on random and nasty images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import depthraster as dr
from depthraster.comparison.measures import HIGHEST, LOWEST, PER_DECADE, Tolerances, measure

NAN = np.nan


def measured(ours, theirs, scale=1.0, tolerances=Tolerances(), step=0.0, cell=4, threads=2):  # noqa: B008
    with ThreadPoolExecutor(threads) as pool:
        return measure(
            np.asarray(ours, np.float32)[..., None],
            np.asarray(theirs, np.float32)[..., None],
            scale,
            tolerances,
            step,
            cell,
            pool,
            threads,
        )


def random_pair(rng, shape, kind):
    """Two images that differ by noise of every size, with holes of their own and in common."""
    height, width = shape
    v, u = np.indices(shape)
    theirs = 50 + 0.3 * u - 0.1 * v + rng.normal(size=shape) * (0.0 if kind == "flat" else 0.05)
    if kind == "signed":
        theirs -= 50  # as Z behind wide lenses
    if kind == "steps":
        theirs = np.round(theirs)
    ours = theirs * (1 + rng.normal(size=shape) * 10 ** rng.uniform(-8, 0, shape))
    ours[rng.random(shape) < 0.2] = theirs[0, 0]
    same = rng.random(shape) < 0.2
    ours[same] = theirs[same]
    for image in (ours, theirs):
        row, col = rng.integers(0, height), rng.integers(0, width)
        image[row : row + height // 3, col : col + width // 3] = NAN
        image[rng.random(shape) < 0.02] = NAN
    return ours.astype(np.float32), theirs.astype(np.float32)


def slope_twin(theirs):
    """Depth per pixel: along each axis the smaller of the steps to both sides, as far as there are any."""
    padded = np.pad(theirs.astype(np.float64), 1, constant_values=NAN)
    steps = []
    for before, after in ((padded[1:-1, :-2], padded[1:-1, 2:]), (padded[:-2, 1:-1], padded[2:, 1:-1])):
        steps.append(np.nan_to_num(np.fmin(abs(before - theirs), abs(after - theirs))))
    return np.hypot(*steps)


@pytest.mark.parametrize("kind", ["plane", "flat", "signed", "steps"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 5), (64, 48), (300, 131)])
def test_counts_and_quantiles_are_those_of_the_twin(shape, kind):
    rng = np.random.default_rng(sum(shape) + len(kind))
    ours, theirs = random_pair(rng, shape, kind)
    tolerances = Tolerances(depth=1e-4, pixels=0.05)
    coverage, found, picked = measured(ours, theirs, 1.25, tolerances, step=1e-3)
    seen, other = ~np.isnan(ours), ~np.isnan(theirs)
    both = seen & other
    assert coverage.both == both.sum()
    assert coverage.only_ours == (seen & ~other).sum()
    assert coverage.only_theirs == (other & ~seen).sum()
    assert coverage.neither == (~seen & ~other).sum()
    if not both.any():
        assert found.absolute is None
        return
    difference = (1.25 * ours.astype(np.float64) - theirs).astype(np.float32)[both]
    size = np.abs(difference)
    depth = np.abs(theirs[both])
    slope = slope_twin(theirs)[both].astype(np.float32)
    sloping = slope > 4e-6 * depth
    with np.errstate(divide="ignore", invalid="ignore"):
        measures = {"absolute": size, "relative": size / depth, "pixels": (size / slope)[sloping]}
    measures["relative"] = measures["relative"][(depth > 0) | (size == 0)]
    for name, values in measures.items():
        spread = getattr(found, name)
        if not len(values):
            assert spread is None
            continue
        expected = [*np.quantile(values, [0.5, 0.95, 0.999], method="inverted_cdf"), values.max()]
        # Pixels of slope divide by a square root, which the kernel takes in float32.
        np.testing.assert_allclose(
            [spread.median, spread.p95, spread.p999, spread.max],
            expected,
            rtol=1e-6 if name == "pixels" else 0,
        )
        row, col = spread.place
        assert both[row, col]
    assert found.bias == np.quantile(difference, 0.5, method="inverted_cdf")
    assert found.sloping == sloping.sum()
    allowed = 1e-3 + 1e-4 * depth.astype(np.float64) + 0.05 * slope
    near = np.abs(size / allowed - 1) < 1e-5
    assert abs(found.wrong - (size > allowed).sum()) <= near.sum()
    assert picked.histogram.sum() == len(measures["relative"])
    assert picked.histogram[0] == (measures["relative"] == 0).sum()


def test_quantiles_of_one_value_repeated_and_of_denormals_are_exact():
    ours = np.full((40, 50), 2.0, np.float32)
    theirs = np.full((40, 50), np.nextafter(np.float32(2), np.float32(3)), np.float32)
    _, found, _ = measured(ours, theirs)
    step = float(theirs[0, 0]) - 2.0
    assert found.absolute.median == found.absolute.max == step
    assert found.bias == -step
    tiny = np.float32(1e-42)
    _, found, _ = measured(ours * tiny, ours * tiny * np.float32(3))
    assert found.absolute.median == np.float32(4 * tiny)


def test_the_same_for_any_number_of_threads_and_size_of_cells():
    ours, theirs = random_pair(np.random.default_rng(5), (600, 90), "plane")
    first = measured(ours, theirs, threads=1, cell=1)
    for threads, cell in ((2, 1), (5, 7), (3, 300)):
        again = measured(ours, theirs, threads=threads, cell=cell)
        assert again[0] == first[0]
        assert again[1] == first[1] or again[1].absolute.max == first[1].absolute.max
        np.testing.assert_array_equal(again[2].histogram, first[2].histogram)


def test_every_cell_shows_its_worst_pixel():
    theirs = np.full((20, 30), 10.0, np.float32)
    ours = theirs.copy()
    ours[3, 7], ours[3, 6], ours[19, 29] = 10.5, 10.4, 8.0
    ours[0, 0] = theirs[5, 5] = NAN
    _, _, picked = measured(ours, theirs, cell=6)
    assert picked.marks.shape == (4, 5)
    assert picked.difference[0, 1] == pytest.approx(0.5)
    assert picked.difference[3, 4] == pytest.approx(-2.0)
    assert picked.excess[0, 1] == pytest.approx(0.5 / 1e-4)
    assert picked.marks[0, 0] == 1 | 2 | 4
    assert (picked.difference[1:3] == 0).all()


def test_histogram_puts_parts_of_the_depth_in_their_decade():
    theirs = np.full((1, 4), 100.0, np.float32)
    ours = theirs * np.array([1, 1 + 2e-3, 1 + 0.5, 1 + 90], np.float32)
    _, _, picked = measured(ours, theirs)
    places = [1 + int((np.log10(x) - LOWEST) * PER_DECADE) for x in (2e-3, 0.5)]
    expected = np.zeros((HIGHEST - LOWEST) * PER_DECADE + 1, int)
    expected[[0, *places, -1]] = 1
    np.testing.assert_array_equal(picked.histogram, expected)


def distance_twin(own):
    """A chess king's moves to the nearest pixel that is not seen."""
    unseen = np.argwhere(np.isnan(own))
    rows, cols = np.indices(own.shape)
    if not len(unseen):
        return np.full(own.shape, 16)
    away = np.maximum(abs(rows[..., None] - unseen[:, 0]), abs(cols[..., None] - unseen[:, 1])).min(axis=-1)
    return np.minimum(away, 16)


@pytest.mark.parametrize("seed", range(6))
def test_distances_from_the_edge_are_those_of_the_twin(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 60, 2))
    planes = []
    for _ in range(2):
        plane = np.ones(shape, np.float32)
        plane[rng.random(shape) < rng.choice([0, 0.001, 0.01, 0.3])] = NAN
        planes.append(plane)
    coverage, _, _ = measured(*planes)
    for own, other, found in (
        (*planes, coverage.ours_by_distance),
        (*planes[::-1], coverage.theirs_by_distance),
    ):
        away = distance_twin(own)[~np.isnan(own) & np.isnan(other)]
        assert found == tuple(np.bincount(away, minlength=1)[1:])


def test_tolerances_say_what_is_wrong_and_how_much_is_allowed():
    plane = np.full((100, 100), 10.0, np.float32)
    assert dr.compare(plane, plane).failures == ()
    off = plane.copy()
    off[:2] *= 1.5
    (failure,) = dr.compare(off, plane).failures
    assert "in 2 % (200) of the pixels seen in both, 0.1 % allowed" in failure
    hole = plane.copy()
    hole[50, 50] = NAN
    (failure,) = dr.compare(plane, hole).failures
    assert "not at an edge: 0.01 % (1)" in failure
    assert dr.compare(plane, hole, tolerances=Tolerances(inside=1e-3)).passed
    nothing = np.full((100, 100), NAN)
    assert dr.compare(nothing, nothing).failures == ("nothing is seen in either",)
    assert any("no pixel is seen in both" in line for line in dr.compare(nothing, plane).failures)


@pytest.mark.parametrize(
    ("values", "error"),
    [({"depth": -1}, ValueError), ({"pixels": NAN}, ValueError), ({"outliers": "x"}, TypeError)],
)
def test_tolerances_that_are_none_are_refused(values, error):
    with pytest.raises(error, match=next(iter(values))):
        Tolerances(**values)
