"""Many views of one scene: `render_views` gives their images one by one, in order, while the next ones are rendered.

One view is ``render.py``'s. Here is said how many are in work at a time and in memory, what becomes of a view that fails,
and that all ends when the caller stops asking. What is done with the images is the caller's. The commonest change is
another option of `render` to pass on: an argument, and a field of `_Options`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import Any, Literal, NamedTuple

import numpy.typing as npt

from depthraster.attributes import any_given
from depthraster.calibration import Calibration
from depthraster.layers import Layers, checked_layers, pixel_bytes
from depthraster.recycling import Recycler
from depthraster.render import render_into
from depthraster.scene import Scene, thread_count
from depthraster.viewpoint import label_of, many_views, place_of

__all__ = ["RenderedView", "render_views"]

# Views that are rendered side by side: while one is prepared, which takes one thread, the other has the rest.
_AT_ONCE = 2
# Bytes of images that may be in work or waiting, where that leaves one: two panoramas of 100 megapixels.
_MOST_BYTES = 2 << 30


class RenderedView:
    """What became of one of the views given to `render_views`.

    Attributes
    ----------
    index : int
        Its position among the views, from 0.
    view : object
        The view as it was given.
    label : str
        Its label, or its position where it has none.
    error : Exception or None
        Why it could not be rendered.
    """

    __slots__ = ("_layers", "error", "index", "label", "view")

    def __init__(
        self, index: int, view: Any, label: str, layers: Layers | None, error: Exception | None = None
    ) -> None:
        self.index = index
        self.view = view
        self.label = label
        self.error = error
        self._layers = layers

    @property
    def layers(self) -> Layers:
        """The images.

        Raises
        ------
        ValueError
            There are none; the message has the view's label, and `error` is the cause.
        """
        if self._layers is None:
            raise ValueError(f"view {self.label!r}: {self.error}") from self.error
        return self._layers

    def __repr__(self) -> str:
        return f"RenderedView(index={self.index}, label={self.label!r}, error={self.error!r})"


class _Options(NamedTuple):
    """How every view is rendered; goes to other processes, too."""

    layers: frozenset[str]
    cull_faces: bool
    background: float
    depth: Literal["z", "range"] | None
    derived: dict[str, Any]  # further arguments of `render`
    threads: int


def render_views(
    scene: Any,
    views: Iterable[Any],
    layers: str | Iterable[str] = ("depth",),
    *,
    cull_faces: bool = True,
    background: float = 0.0,
    depth: Literal["z", "range"] | None = None,
    attributes: Mapping[str, Any] | None = None,
    vertex_normals: npt.ArrayLike | None = None,
    normal_frame: Any = "camera",
    position_frame: Any = "chunk",
    edge_tolerance: float = 2.0,
    progress: Callable[[int, int | None], object] | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    ahead: int = 3,
) -> Iterator[RenderedView]:
    """Render many views of one scene, and give their images one by one while the next ones are rendered.

    Nothing is rendered before the first is asked for. What the caller does with a view's images, writing them for example,
    goes on beside the rendering of the next ones. A view that cannot be rendered is given in its place with its error, and
    the others are not affected. Closing the iterator, or leaving it to be collected, ends the work: what has not begun
    never does, what has begun is waited for.

    Parameters
    ----------
    scene : Scene, or what `Scene.from_mesh` takes
        The mesh, in the chunk's frame.
    views : iterable
        Cameras of a `Chunk`, or whatever else has ``transform`` and ``calibration``, and a ``label`` if it likes; or pairs
        of transform and calibration; or triples of label, transform and calibration. Taken one by one as they are needed.
    layers, cull_faces, background, depth, attributes, vertex_normals, normal_frame, position_frame, edge_tolerance
        As for `render`, for all views.
    progress : callable, optional
        Called as ``progress(n_done, n_views)`` before a view is given, in the caller's thread; ``n_views`` is None where
        ``views`` has no length.
    threads : int, optional
        Threads used, all processors by default, for two views at a time; with an executor, threads for each view, one by
        default. The images are the same, bit for bit, for any number.
    executor : concurrent.futures.Executor, optional
        Where views are rendered, a task for each, instead of threads of our own. It is not shut down. An executor of
        processes is sent the scene with each task, and sends the images back.
    ahead : int
        How many views may be in work or waiting while the caller has one: in memory are the images of these, of the one
        that the caller has, and of one more while it is exchanged for the next. Fewer, where they would take more than
        2 GiB.

    Yields
    ------
    RenderedView
        In the order of ``views``: ``layers``, ``label``, and ``error`` where there are none.

    Raises
    ------
    TypeError, ValueError
        Arguments that no view could be rendered with, at once. What concerns one view is its error.
    FormatError, OSError
        A path that cannot be read as a mesh.

    Examples
    --------
    >>> chunk = dr.load_chunk("survey.psx")  # doctest: +SKIP
    >>> for view in dr.render_views(chunk.load_mesh(), chunk.cameras):  # doctest: +SKIP
    ...     if view.error is None:
    ...         np.save(f"{view.index}.npy", view.layers.depth)
    """
    names = checked_layers(layers, any_given(attributes))
    if isinstance(ahead, bool) or not isinstance(ahead, int) or ahead < 1:
        raise ValueError(
            f"ahead is {ahead!r}; a whole number of views, at least 1, is needed: pass e.g. ahead=3"
        )
    n_threads = thread_count(1 if threads is None and executor is not None else threads)
    at_once = min(_AT_ONCE, n_threads, ahead)
    per_view = n_threads if executor is not None else -(-n_threads // at_once)
    derived = {
        "attributes": attributes, "vertex_normals": vertex_normals, "normal_frame": normal_frame,
        "position_frame": position_frame, "edge_tolerance": edge_tolerance,
    }  # fmt: skip
    options = _Options(names, cull_faces, background, depth, derived, per_view)
    views = many_views(views)
    scene = Scene.from_mesh(scene, threads=threads)
    total = len(views) if isinstance(views, Sized) else None
    return _rendered(scene, iter(views), options, progress, total, executor, at_once, ahead)


def _rendered(
    scene: Scene,
    views: Iterator[Any],
    options: _Options,
    progress: Callable[[int, int | None], object] | None,
    total: int | None,
    executor: Executor | None,
    at_once: int,
    ahead: int,
) -> Iterator[RenderedView]:
    own = None if executor is not None else ThreadPoolExecutor(at_once, thread_name_prefix="render_views")
    pool: Executor = own or executor  # type: ignore[assignment]  # one of them is there
    # Other executors may be of processes, from which images come back in memory of their own.
    empty = Recycler().empty if own is not None else None
    # What is in work or waiting: the view, and the images to come or the error that is known already.
    pending: deque[tuple[int, Any, str, int, Future[Layers] | Exception]] = deque()
    n_done, n_bytes = 0, 0
    failure: Exception | None = None

    def finished() -> RenderedView:
        nonlocal n_done, n_bytes
        index, view, label, size, outcome = pending[
            0
        ]  # it stays until it is over, for the sake of whoever closes
        layers, error = None, None
        if isinstance(outcome, Exception):
            error = outcome
        else:
            try:
                layers = outcome.result()
            except Exception as raised:
                error = raised
        pending.popleft()
        n_done, n_bytes = n_done + 1, n_bytes - size
        if progress is not None:
            progress(n_done, total)
        return RenderedView(index, view, label, layers, error)

    try:
        for index in range(2**63):
            try:
                view = next(views)
            except StopIteration:
                break
            except Exception as error:  # the caller's own; what was asked for before comes before it
                failure = error
                break
            label = label_of(view, index)
            try:
                transform, calibration = place_of(view)
                size = _bytes(calibration, options)
            except Exception as error:
                pending.append((index, view, label, 0, error))
            else:
                while pending and n_bytes + size > _MOST_BYTES:
                    yield finished()
                try:
                    future = pool.submit(_render, empty, scene, transform, calibration, options)
                except Exception as error:  # the executor is shut down, or broken
                    failure = error
                    break
                pending.append((index, view, label, size, future))
                n_bytes += size
                del future  # it holds the images
            del view
            while len(pending) > ahead:
                yield finished()
        while pending:
            yield finished()
        if failure is not None:
            raise failure
    finally:
        futures = [outcome for *_, outcome in pending if isinstance(outcome, Future)]
        wait([future for future in futures if not future.cancel()])
        if own is not None:
            own.shutdown()


def _render(
    empty: Callable[..., npt.NDArray[Any]] | None,
    scene: Scene,
    transform: npt.ArrayLike,
    calibration: Calibration,
    options: _Options,
) -> Layers:
    """Render a view; of the module, so that other processes find it."""
    return render_into(
        empty, scene, transform, calibration, options.layers, cull_faces=options.cull_faces,
        background=options.background, depth=options.depth, threads=options.threads, **options.derived,
    )  # fmt: skip


def _bytes(calibration: Any, options: _Options) -> int:
    """Return about how many bytes the images take; what is no calibration is for `render` to refuse."""
    if not isinstance(calibration, Calibration):
        return 0
    attributes = len(options.derived["attributes"] or ())
    return (pixel_bytes(options.layers) + 4 + 8 * attributes) * calibration.width * calibration.height
