"""Many views of one scene: the same images as one by one, in order, few at a time, whatever fails and whoever leaves."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import threading
import time
import weakref
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import cameras
import depthraster as dr
import depthraster.views
import meshes

LENS = cameras.calibration("survey", 97, 61)
LAYERS = ("depth", "alpha", "range", "face_index")


@pytest.fixture(scope="module")
def scene() -> dr.Scene:
    rng = np.random.default_rng(3)
    return dr.Scene(*meshes.terrain(rng, 40, 40, 30.0, 16.0, 3.0))


def place(k: int) -> np.ndarray:
    transform = np.eye(4)
    transform[:2, 3] = 0.3 * k, -0.2 * k
    return transform


def photos(n: int) -> list[dr.Camera]:
    return [
        dr.Camera(id=k, label=f"IMG_{k}", transform=place(k), calibration=LENS.scaled(1 + k % 3))
        for k in range(n)
    ]


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("render_views")]


class Counted:
    """Stands for the renderer: says when it begins, waits if it is told to, gives objects that can be counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self._alive = weakref.WeakSet[dr.Layers]()
        self.most = 0
        self._lock = threading.Lock()
        monkeypatch.setattr(depthraster.views, "render_into", self.render)

    def render(self, empty, scene, transform, calibration, layers, **options) -> dr.Layers:
        with self._lock:
            self.begun.append(int(np.asarray(transform)[0, 3]))
        assert self.go.wait(30)
        found = dr.Layers(depth=np.zeros((1, 1), np.float32))
        with self._lock:
            self._alive.add(found)
            self.most = max(self.most, len(self._alive))
        return found


def views_at(numbers):
    for k in numbers:
        transform = np.eye(4)
        transform[0, 3] = k
        yield transform, LENS


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# --- what comes out -------------------------------------------------------------------------------------------------------


def assert_as_one_by_one(scene, views, **options) -> None:
    found = list(dr.render_views(scene, views, LAYERS, **options))
    assert [view.index for view in found] == list(range(len(views)))
    for view, camera in zip(found, views, strict=True):
        assert view.view is camera and view.label == camera.label and view.error is None
        expected = dr.render(scene, camera.transform, camera.calibration, LAYERS)
        for name in LAYERS:
            assert getattr(view.layers, name).tobytes() == getattr(expected, name).tobytes()


@pytest.mark.parametrize(
    "options", [{}, {"threads": 1}, {"threads": 5}, {"ahead": 1}, {"ahead": 50}], ids=str
)
def test_the_images_are_those_of_one_view_at_a_time(scene, options):
    assert_as_one_by_one(scene, photos(9), **options)


def test_in_an_executor_of_the_callers(scene):
    with ThreadPoolExecutor(3) as pool:
        assert_as_one_by_one(scene, photos(7), executor=pool, threads=2)
        assert pool.submit(int).result() == 0  # not shut down
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert_as_one_by_one(scene, photos(5), executor=processes)
        views = [("a", place(0), LENS), ("b", np.diag([1.0, 1, -1, 1]), LENS)]
        bad = list(dr.render_views(scene, views, executor=processes))
        assert bad[0].error is None and "mirrored" in str(bad[1].error)
    # One that does the work at once, in the caller's thread.

    class AtOnce(Executor):
        def submit(self, function, /, *args, **kwargs):
            future: Future = Future()
            future.set_result(function(*args, **kwargs))
            return future

    assert_as_one_by_one(scene, photos(3), executor=AtOnce())


def test_options_reach_the_renderer(scene):
    tilted = dr.look_at((0, 0, 0), (0, 1, 1), (0, 0, -1))
    for options in ({"background": -3.0}, {"depth": "range"}, {"cull_faces": False}, {"depth": "z"}):
        (view,) = dr.render_views(scene, [(tilted, LENS)], **options)
        expected = dr.render(scene, tilted, LENS, **options)
        assert view.layers.depth.tobytes() == expected.depth.tobytes() and view.layers.alpha is None


def test_views_of_every_kind(scene):
    camera = photos(1)[0]
    views = [camera, (camera.transform, LENS), ["third", camera.transform.tolist(), LENS]]
    found = list(dr.render_views(scene, iter(views)))
    assert [view.label for view in found] == ["IMG_0", "1", "third"]
    assert all(view.error is None for view in found)
    assert list(dr.render_views(scene, [])) == []
    assert "label='third'" in repr(found[2])


def test_a_mesh_that_is_no_scene_is_prepared_once(monkeypatch):
    rng = np.random.default_rng(3)
    mesh = meshes.terrain(rng, 10, 10, 30.0, 16.0, 3.0)
    made, real = [], dr.Scene.from_mesh
    monkeypatch.setattr(
        dr.Scene, "from_mesh", lambda mesh, **options: made.append(mesh) or real(mesh, **options)
    )
    assert len(list(dr.render_views(mesh, photos(3)))) == 3
    assert [given for given in made if not isinstance(given, dr.Scene)] == [mesh]


def test_progress_is_told_in_the_callers_thread(scene):
    told: list[tuple[int, int | None, str]] = []

    def progress(done, total):
        told.append((done, total, threading.current_thread().name))

    here = threading.current_thread().name
    for done, _ in enumerate(dr.render_views(scene, photos(4), progress=progress), 1):
        assert told == [(k, 4, here) for k in range(1, done + 1)]
    told.clear()
    list(dr.render_views(scene, iter(photos(2)), progress=progress))
    assert told == [(1, None, here), (2, None, here)]


# --- how much at a time ---------------------------------------------------------------------------------------------------


def test_nothing_is_done_before_the_first_is_asked_for(scene, monkeypatch):
    renderer, taken = Counted(monkeypatch), []
    views = dr.render_views(scene, (taken.append(k) or v for k, v in enumerate(views_at(range(9)))))
    assert not taken and not renderer.begun and not threads_of_ours()
    next(views)
    assert len(taken) <= 5
    views.close()


def large(n: int) -> list[dr.Camera]:
    """Photos whose images are large enough to be worth their memory."""
    lens = LENS.scaled(8)
    assert 4 * lens.width * lens.height > 1 << 20
    return [dr.Camera(id=k, label=f"{k}", transform=place(k), calibration=lens) for k in range(n)]


def test_memory_of_images_that_are_gone_is_used_again(scene):
    ahead = 3
    places = [
        (view.layers.depth.ctypes.data, view.layers.face_index.ctypes.data)
        for view in dr.render_views(scene, large(30), ("depth", "face_index"), ahead=ahead)
    ]
    assert len(set(places)) <= 2 * (ahead + 2) < len(places)


def test_images_that_somebody_has_stay_as_they_are(scene):
    """Whole, or a row of them, or what was made of one without a copy."""
    photos = large(24)
    kept: list[tuple[int, str, np.ndarray]] = []
    for view in dr.render_views(scene, photos, ("depth", "face_index", "normal")):
        if view.index % 3 == 0:
            kept.append((view.index, "depth", view.layers.depth))
        elif view.index % 3 == 1:
            kept.append((view.index, "normal", view.layers.normal[17:19]))
        else:
            kept.append((view.index, "face_index", np.asarray(memoryview(view.layers.face_index))))
    for index, name, values in kept:
        expected = getattr(dr.render(scene, photos[index].transform, photos[index].calibration, name), name)
        expected = expected[17:19] if name == "normal" else expected
        assert values.tobytes() == expected.tobytes()


@pytest.mark.parametrize("ahead", [1, 3, 6])
def test_few_images_are_in_memory_however_slow_the_caller(scene, monkeypatch, ahead):
    renderer = Counted(monkeypatch)
    views = dr.render_views(scene, views_at(range(200)), ahead=ahead)
    for view in itertools.islice(views, 100):
        if view.index % 10 == 0:  # as many as may be are waiting now
            wait_until(lambda index=view.index: len(renderer.begun) == index + 1 + ahead)
            time.sleep(0.005)
            assert len(renderer.begun) == view.index + 1 + ahead
    assert renderer.most <= ahead + 2  # the caller's own, and the one that it is given in exchange
    views.close()


def test_fewer_where_images_are_large(scene, monkeypatch):
    renderer = Counted(monkeypatch)
    monkeypatch.setattr(depthraster.views, "_MOST_BYTES", 2 * 8 * LENS.width * LENS.height)
    views = dr.render_views(scene, views_at(range(20)), ahead=10)
    for view in views:
        time.sleep(0.002)
        assert len(renderer.begun) <= view.index + 3
    assert renderer.most <= 4
    monkeypatch.setattr(depthraster.views, "_MOST_BYTES", 1)  # one at least
    assert len(list(dr.render_views(scene, views_at(range(4)), ahead=10))) == 4


def test_the_next_views_are_rendered_while_the_caller_writes(scene, monkeypatch):
    renderer = Counted(monkeypatch)
    views = dr.render_views(scene, views_at(range(9)), threads=4)
    next(views)
    wait_until(lambda: len(renderer.begun) >= 4)
    renderer.go.clear()  # those to come wait
    assert next(views).index == 1
    renderer.go.set()
    assert [view.index for view in views] == list(range(2, 9))


def test_two_views_are_in_work_side_by_side(scene, monkeypatch):
    renderer = Counted(monkeypatch)
    renderer.go.clear()
    views = dr.render_views(scene, views_at(range(9)), threads=2)
    first = ThreadPoolExecutor(1)
    asked = first.submit(next, views)
    wait_until(lambda: len(renderer.begun) == 2)
    time.sleep(0.02)
    assert len(renderer.begun) == 2
    renderer.go.set()
    assert asked.result().index == 0
    first.shutdown()
    views.close()


# --- what fails -----------------------------------------------------------------------------------------------------------


def test_a_view_that_fails_is_told_in_its_place(scene):
    lost = dr.Camera(id=1, label="lost", calibration=LENS)
    blank = dr.Camera(id=2, label="blank", transform=place(0))
    views = [
        photos(1)[0], lost, blank, ("mirrored", np.diag([1.0, 1, -1, 1]), LENS), (place(0), "lens"), 7,
        (1, 2, 3, 4), (place(1), LENS),
    ]  # fmt: skip
    found = list(dr.render_views(scene, views, threads=2))
    assert [view.index for view in found if view.error is None] == [0, 7]
    assert [view.label for view in found] == ["IMG_0", "lost", "blank", "mirrored", "4", "5", "6", "7"]
    words = {
        1: "no transform",
        2: "no calibration",
        3: "mirrored",
        4: "is a str",
        5: "is a int",
        6: "tuple of 4",
    }
    for k, said in words.items():
        assert said in str(found[k].error)
        with pytest.raises(ValueError, match=f"^view '{found[k].label}': .*{said}") as caught:
            _ = found[k].layers
        assert caught.value.__cause__ is found[k].error
    assert found[7].layers.depth.shape == (61, 97)


def test_what_the_renderer_raises_is_the_views_own(scene, monkeypatch):
    real = depthraster.views.render_into

    def sometimes(empty, scene, transform, *args, **options):
        if transform[0, 3] == 2:
            raise MemoryError("there is no more")
        return real(empty, scene, transform, *args, **options)

    monkeypatch.setattr(depthraster.views, "render_into", sometimes)
    found = list(dr.render_views(scene, views_at(range(5))))
    assert [type(view.error) for view in found] == [type(None)] * 2 + [MemoryError] + [type(None)] * 2


def test_views_that_end_with_an_error_give_those_before_it(scene):
    def broken():
        yield from photos(5)
        raise OSError("the disk is gone")

    views, found = dr.render_views(scene, broken()), []
    with pytest.raises(OSError, match="the disk is gone"):
        found.extend(view.label for view in views)
    assert found == [f"IMG_{k}" for k in range(5)] and not threads_of_ours()


def test_an_executor_that_gives_up(scene):
    pool = ThreadPoolExecutor(1)
    found = []
    with pytest.raises(RuntimeError, match="after shutdown"):
        for view in dr.render_views(scene, photos(9), executor=pool):
            found.append(view.index)
            pool.shutdown(wait=False)
    assert found and found == list(range(len(found)))


def test_arguments_that_suit_no_view_are_refused_at_once(scene, tmp_path):
    for options, error, words in (
        ({"layers": "colour"}, ValueError, "no layer 'colour'"),
        ({"layers": ()}, ValueError, "no layers"),
        ({"threads": 0}, ValueError, "threads is 0"),
        ({"threads": 1.5}, TypeError, "threads is 1.5"),
        ({"ahead": 0}, ValueError, "ahead is 0"),
        ({"ahead": True}, ValueError, "ahead is True"),
    ):
        with pytest.raises(error, match=words):
            dr.render_views(scene, photos(1), **options)
    with pytest.raises(TypeError, match="a Scene, a trimesh"):
        dr.render_views(7, photos(1))
    with pytest.raises(OSError, match=r"none\.ply"):
        dr.render_views(tmp_path / "none.ply", photos(1))


def test_one_view_or_a_chunk_is_no_list_of_views(scene):
    (photo,) = photos(1)
    pair = photo.transform, photo.calibration
    for views, words in (
        (5, "the views are a int; several cameras"),
        (None, "the views are a NoneType; .* pass a list of them, such as chunk.cameras"),
        (dr.Chunk(label="c", cameras=(photo,)), "the views are a Chunk; .* pass chunk.cameras"),
        (photo, "the views are a Camera that is one view; .* pass \\[view\\]"),
        (pair, "the views are a tuple that is one view"),
        (("IMG_1", *pair), "the views are a tuple that is one view"),
    ):
        with pytest.raises(TypeError, match=words):
            dr.render_views(scene, views)
        with pytest.raises(TypeError, match=words):
            dr.faces_seen(scene, views)
        with pytest.raises(TypeError, match=words):
            dr.visibility_table(scene, [[0.0, 0, 0]], views)


# --- leaving --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "forget", "raise", "progress"])
@pytest.mark.parametrize("own", [True, False], ids=["own threads", "executor"])
def test_who_leaves_ends_the_work(scene, monkeypatch, how, own):
    renderer = Counted(monkeypatch)
    pool = None if own else ThreadPoolExecutor(2)

    def leave(done, total):
        if done == 3 and how == "progress":
            raise KeyboardInterrupt

    views = dr.render_views(scene, views_at(range(1000)), progress=leave, ahead=8, threads=2, executor=pool)
    if how == "close":
        next(views)
        views.close()
    elif how == "forget":
        next(views)
        del views
        gc.collect()
    elif how == "raise":
        with pytest.raises(ZeroDivisionError):
            for _view in views:
                raise ZeroDivisionError
        del views, _view
        gc.collect()
    else:
        with pytest.raises(KeyboardInterrupt):
            list(views)
    n_begun = len(renderer.begun)
    assert n_begun < 20
    if pool is None:
        assert not threads_of_ours()
    else:
        assert pool.submit(int).result(5) == 0
        pool.shutdown()
    time.sleep(0.02)
    assert len(renderer.begun) == n_begun
    gc.collect()
    assert not renderer._alive


def test_what_has_not_begun_never_does(scene, monkeypatch):
    renderer = Counted(monkeypatch)
    views = dr.render_views(scene, views_at(range(100)), ahead=20, threads=1)
    next(views)
    wait_until(lambda: len(renderer.begun) > 1)
    renderer.go.clear()
    wait_until(lambda: len(renderer.begun) == 21 or len(threads_of_ours()) == 1)
    n_begun = len(renderer.begun)
    timer = threading.Timer(0.1, renderer.go.set)
    timer.start()
    views.close()  # waits for the one in work
    timer.join()
    assert n_begun <= len(renderer.begun) <= n_begun + 1
    assert not threads_of_ours()


def test_one_that_was_never_begun_can_be_closed(scene):
    views = dr.render_views(scene, photos(3))
    views.close()
    assert list(views) == []


def test_two_at_once_do_not_disturb_each_other(scene):
    pairs = zip(dr.render_views(scene, photos(6)), dr.render_views(scene, photos(6)), strict=True)
    for a, b in pairs:
        assert a.layers.depth.tobytes() == b.layers.depth.tobytes()


def test_views_have_all_that_render_has(scene):
    given = {
        "attributes": {"face": np.arange(scene.n_faces)},
        "position_frame": "camera",
        "edge_tolerance": 0.1,
    }
    names = ("position", "edge", "normal")
    for k, view in enumerate(dr.render_views(scene, photos(3), names, normal_frame="chunk", **given)):
        camera = photos(3)[k]
        alone = dr.render(scene, camera.transform, camera.calibration, names, normal_frame="chunk", **given)
        for name in names:
            np.testing.assert_array_equal(getattr(view.layers, name), getattr(alone, name))
        np.testing.assert_array_equal(view.layers.attributes["face"], alone.attributes["face"])
