"""Loading the compiled kernels while the mesh is read, and a word where they have to be compiled.

Loading takes a tenth of a second.
Nothing here changes what is rendered. The commonest change is another kind of view whose kernels are wanted at once: in
`_render_something`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from depthraster.cli.progress import say

__all__ = ["compiling_told", "kernels_loading"]


@contextmanager
def compiling_told() -> Iterator[None]:
    """Tell people, once during the block, that a kernel is compiled: of the first view, a new kind of lens, new layers.

    numba says so itself, and only where its cache has nothing: no guess is needed.
    """
    from numba.core import event

    class Told(event.Listener):
        def __init__(self) -> None:
            self._is_told = False

        def on_start(self, event: object) -> None:
            if not self._is_told:
                self._is_told = True
                say("Compiling for this machine: some seconds, this once; later runs start at once.")

        def on_end(self, event: object) -> None:
            pass

    with event.install_listener("numba:compile", Told()):
        yield


@contextmanager
def kernels_loading(layers: Collection[str]) -> Iterator[None]:
    """Load the kernels for some layers in another thread during the block, where they are in numba's cache."""
    from depthraster.kernels.cache import compile_cache_is_cold

    if (
        compile_cache_is_cold()
    ):  # compiling takes so long that people are told; an error would have to wait for it
        yield
        return
    thread = threading.Thread(target=_render_something, args=(layers,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _render_something(layers: Collection[str]) -> None:
    import numpy as np

    from depthraster.calibration import Calibration
    from depthraster.render import render
    from depthraster.scene import Scene

    vertices = np.array(
        [[-1.0, -1.0, 2.0], [1.0, -1.0, 2.0], [0.0, 1.0, 2.0]]
    )  # of the types that files are read as
    with suppress(Exception):  # whoever renders in earnest meets it, too, and tells
        scene = Scene(vertices, np.array([[0, 2, 1]], np.int32), threads=1)
        render(scene, np.eye(4), Calibration(width=8, height=8, f=8.0, k1=-0.1), layers, threads=1)
