"""How a command shows that it goes on: spinner and bar where somebody looks at a terminal, a line now and then elsewhere.

All of it goes to standard error. rich is loaded for terminals only, which saves the others a twentieth of a second. What is
told at the end is the command's own. The commonest change is a column of the bar, and the same in the line: in `counted`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

__all__ = ["SHOW_CURSOR", "counted", "on_terminal", "reported", "say", "status"]

T = TypeVar("T")

_EVERY = 30.0  # seconds between lines where nobody looks: a night's log is no novel
# What a spinner or a bar has hidden, for those who leave without cleaning up: back to the line's start, clear, cursor.
SHOW_CURSOR = "\r\x1b[K\x1b[?25h"

_above_bar: Callable[[str], None] | None = None  # writes a line above the bar that is shown, if one is


def on_terminal() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr.isatty()


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show on a terminal what takes its time."""
    if not on_terminal():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def say(line: str) -> None:
    """Write a line; above the bar where there is one."""
    if _above_bar is not None:
        _above_bar(line)
    else:
        click.echo(line, err=True)


@contextmanager
def _said_above(write: Callable[[str], None]) -> Iterator[None]:
    global _above_bar
    _above_bar = write
    try:
        yield
    finally:
        _above_bar = None


def counted(items: Iterable[T], total: int, megapixels: Callable[[T], float]) -> Iterator[T]:
    """Yield images as they are finished, and show how many, how fast and how long it still takes.

    Parameters
    ----------
    items : iterable
        Whatever stands for an image.
    total : int
        How many there will be.
    megapixels : callable
        Returns the size of an item's image, 0 where there is none.
    """
    (yield from (_with_bar if on_terminal() else _with_lines)(items, total, megapixels))


def _with_bar(items: Iterable[T], total: int, megapixels: Callable[[T], float]) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("Rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    start, done = time.perf_counter(), 0.0
    console = Console(stderr=True)

    def above(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    with Progress(*columns, console=console, transient=True) as progress, _said_above(above):
        task = progress.add_task("", total=total, rate="")
        for item in items:
            done += megapixels(item)
            progress.update(task, advance=1, rate=_rate(done, time.perf_counter() - start))
            yield item


def _with_lines(items: Iterable[T], total: int, megapixels: Callable[[T], float]) -> Iterator[T]:
    start = told = time.perf_counter()
    done = 0.0
    for n, item in enumerate(items, 1):
        done += megapixels(item)
        now = time.perf_counter()
        if now - told >= _EVERY and n < total:
            left = (now - start) / n * (total - n)
            say(f"{n} of {total} images, {_rate(done, now - start)}, {_duration(left)} left")
            told = now
        yield item


@contextmanager
def reported(doing: str, things: str) -> Iterator[Callable[[int, int | None], object]]:
    """Show how many of some things are done, by what is called with that and with how many there are."""
    if not on_terminal():
        start = told = time.perf_counter()

        def tell(done: int, total: int | None) -> None:
            nonlocal told
            now = time.perf_counter()
            if now - told >= _EVERY and total is not None and done < total:
                say(f"{done} of {total} {things}, {_duration((now - start) / done * (total - done))} left")
                told = now

        yield tell
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _rate(megapixels: float, seconds: float) -> str:
    return f"{megapixels / max(seconds, 1e-9):.0f} megapixels/s"


def _duration(seconds: float) -> str:
    """Return a time as people say it, to about a tenth."""
    for length, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= length:
            return (
                f"{seconds / length:.1f} {name}"
                if seconds < 10 * length
                else f"{seconds / length:.0f} {name}"
            )
    return f"{seconds:.0f} s"
