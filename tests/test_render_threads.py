"""Threads, repeated calls and forked processes: the same bits, always."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading

import numpy as np
import pytest

import cameras
import comparing
import depthraster as dr
import meshes


@pytest.fixture(scope="module")
def view():
    """A scene with faces of every kind over an image of several tiles, its transform and calibration."""
    rng = np.random.default_rng(1)
    calibration = cameras.calibration("survey", 900, 610)
    transform = meshes.random_transform(rng)
    mesh = meshes.joined(
        meshes.terrain(rng, 160, 150, 30.0, 16.0, 3.0),
        meshes.soup(rng, 3000, 0.8, (1e-3, 0.3)),
        meshes.slivers(rng, 300, 0.8),
        meshes.crossers(rng, 4, 0.8),
    )
    mesh, _ = meshes.with_duplicates(meshes.moved(mesh, transform), rng)
    return mesh, transform, calibration


def rendered(mesh, transform, calibration, threads=None):
    layers = dr.render(mesh, transform, calibration, comparing.LAYERS, threads=threads)
    return [getattr(layers, name).tobytes() for name in comparing.LAYERS]


def test_the_same_bits_for_any_number_of_threads(view):
    mesh, transform, calibration = view
    scene = dr.Scene(*mesh)
    expected = rendered(scene, transform, calibration, 1)
    for threads in (2, 5, None, 64):
        assert rendered(scene, transform, calibration, threads) == expected
    assert rendered(dr.Scene(*mesh), transform, calibration, 2) == expected, (
        "preparing the scene again changes bits"
    )


def test_a_view_does_not_depend_on_the_one_before(view):
    mesh, transform, calibration = view
    scene = dr.Scene(*mesh)
    expected = rendered(scene, transform, calibration, 2)
    rendered(
        scene,
        transform @ meshes.random_transform(np.random.default_rng(2)),
        cameras.calibration("barrel", 300, 200),
        2,
    )
    assert rendered(scene, transform, calibration, 2) == expected


def test_layers_do_not_depend_on_each_other(view):
    """Each layer alone has the bits it has together with the others."""
    mesh, transform, calibration = view
    scene = dr.Scene(*mesh)
    together = dr.render(scene, transform, calibration, comparing.LAYERS)
    for name in comparing.LAYERS:
        alone = dr.render(scene, transform, calibration, (name,))
        np.testing.assert_array_equal(getattr(alone, name), getattr(together, name))
        assert all(getattr(alone, other) is None for other in comparing.LAYERS if other != name)


def test_two_calls_at_once_from_two_threads(view):
    mesh, transform, calibration = view
    scene = dr.Scene(*mesh)
    other = transform @ meshes.random_transform(np.random.default_rng(3), spread=1.0)
    expected = [rendered(scene, transform, calibration, 1), rendered(scene, other, calibration, 1)]
    results = [[], []]
    start = threading.Barrier(2)

    def work(which):
        start.wait()
        for _ in range(3):
            results[which].append(rendered(scene, (transform, other)[which], calibration, 2))

    workers = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [[expected[0]] * 3, [expected[1]] * 3]


def _digest_in_child(connection, mesh, transform, calibration):
    connection.send(hashlib.sha256(b"".join(rendered(mesh, transform, calibration, 2))).hexdigest())
    connection.close()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_processes_forked_after_a_first_render_work(view):
    """Children and parent go on rendering; a thread pool inherited in a bad state would hang them."""
    mesh, transform, calibration = view
    scene = dr.Scene(*mesh)
    expected = hashlib.sha256(b"".join(rendered(scene, transform, calibration, 2))).hexdigest()
    fork = multiprocessing.get_context("fork")
    children = []
    for given in (scene, mesh):  # one renders the scene it inherits, one prepares its own
        receiver, sender = fork.Pipe(duplex=False)
        child = fork.Process(target=_digest_in_child, args=(sender, given, transform, calibration))
        child.start()
        sender.close()
        children.append((child, receiver))
    try:
        assert hashlib.sha256(b"".join(rendered(scene, transform, calibration, 2))).hexdigest() == expected
        for child, receiver in children:
            assert receiver.poll(60), "a forked process does not answer"
            assert receiver.recv() == expected
            child.join(60)
            assert child.exitcode == 0
    finally:
        for child, _ in children:
            if child.is_alive():
                child.kill()
