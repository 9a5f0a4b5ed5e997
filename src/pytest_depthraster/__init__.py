"""The pytest plugin: the fixture ``golden_depth``, and ``--metashape-exports DIR``, which makes tests of case folders.

It is a package of its own beside ``depthraster`` because pytest imports it whenever it starts, in every project: nothing
but pytest may be imported here before a depth image is compared. What comparing is, and what a case is, is
``depthraster.comparison``'s. The commonest change is an option: in `pytest_addoption`.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from depthraster.comparison import Comparison
    from depthraster.comparison.cases import CasePlace

__all__ = ["GoldenDepth", "golden_depth"]

_WRITERS = pytest.StashKey[dict[Path, str]]()  # which test wrote a golden image in this run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup("depthraster", "depth images (depthraster)")
    group.addoption(
        "--metashape-exports",
        action="append",
        default=[],
        metavar="DIR",
        help="Test every case folder in DIR: render it and compare it with the depth image in it. Can be repeated.",
    )
    group.addoption(
        "--write-golden-depth",
        action="store_true",
        help="Write the images that golden_depth gets to the files that it would compare them with.",
    )
    group.addoption(
        "--depth-pictures",
        metavar="DIR",
        help="Where pictures of comparisons that fail are written; in pytest's cache by default.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what the plugin's marker means."""
    config.addinivalue_line(
        "markers", "metashape_export: a case folder of --metashape-exports, rendered and compared."
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Make a test of every case folder; first, so that -k and -m choose among them, too."""
    for folder in config.getoption("--metashape-exports"):
        root = Path(config.invocation_params.dir, folder)
        collector = _Exports.from_parent(session, name=str(folder), path=root)
        items.extend(collector.collect())


class _Exports(pytest.Collector):
    """A folder with case folders."""

    def collect(self) -> Iterator[_Export]:
        """Yield a test for each."""
        from depthraster.comparison.cases import find_cases

        try:
            places = find_cases(self.path)
        except (ValueError, OSError) as error:
            raise pytest.UsageError(f"--metashape-exports: {error}") from None
        for place in places:
            item = _Export.from_parent(self, name=place.name, place=place)
            item.add_marker(pytest.mark.metashape_export)
            yield item


class _NotTheSameError(Exception):
    """A comparison that failed; its text is all that there is to show."""


class _Export(pytest.Item):
    """A case."""

    def __init__(self, *, place: CasePlace, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._place = place

    def runtest(self) -> None:
        """Render it and compare."""
        found = self._place.load().compare()
        if not found.passed:
            raise _NotTheSameError(_told(found, self.config, self.name))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the report; of a case that cannot be read, the sentence."""
        if isinstance(excinfo.value, (_NotTheSameError, ValueError, OSError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str], None, str]:
        """Say what is tested."""
        return self._place.folder, None, f"metashape export: {self.name}"


class GoldenDepth:
    """What the fixture ``golden_depth`` is: called, it compares, and fails the test where images are not the same."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._config = request.config
        self._folder = request.path.parent
        self._name = request.node.name
        self._id = request.node.nodeid

    def __call__(self, ours: Any, theirs: Any = None, **context: Any) -> Comparison | None:
        """Compare a depth image with a golden one, or what a case folder is rendered to with the image in it.

        Parameters
        ----------
        ours : (H, W), (H, W, 1) or (H, W, 2) array, or path
            The depth image; or, where nothing else is given, a case folder, or one with several.
        theirs : path or array
            The golden image. A relative path is one from the test's own folder. With ``--write-golden-depth`` the image is
            written there.
        **context
            As for `depthraster.compare`: calibration, transform, scene, scale, tolerances ...

        Returns
        -------
        Comparison or None
            What was found, of several cases in the last; None where the image was written.
        """
        import depthraster

        if isinstance(ours, (str, os.PathLike)):
            ours = self._folder / ours
        if theirs is None:
            from depthraster.comparison.cases import find_cases

            try:
                places = find_cases(ours)
            except (OSError, ValueError) as error:
                pytest.fail(str(error), pytrace=False)
            for place in places:
                found = self._same(place.load().compare(), place.name)
            return found
        if isinstance(theirs, (str, os.PathLike)):
            theirs = self._folder / theirs
            if self._config.getoption("--write-golden-depth"):
                self._write(ours, theirs)
                return None
            if not theirs.exists():
                pytest.fail(
                    f"{theirs}: there is no such file; a golden image is needed: write it with --write-golden-depth, and "
                    "look at it",
                    pytrace=False,
                )
        return self._same(depthraster.compare(ours, theirs, **context), "")

    def _same(self, found: Comparison, name: str) -> Comparison:
        """Return a comparison that passed, and fail the test where it has not."""
        if not found.passed:
            pytest.fail(_told(found, self._config, f"{self._name} {name}".rstrip()), pytrace=False)
        return found

    def _write(self, ours: Any, path: Path) -> None:
        from depthraster.io.images import load_image, save_image

        image = load_image(ours) if isinstance(ours, os.PathLike) else ours
        writer = self._config.stash.setdefault(_WRITERS, {}).setdefault(path.resolve(), self._id)
        if writer != self._id:
            pytest.fail(
                f"{path} was written by {writer} in this run; an image of its own is needed for each test: give them "
                "different names",
                pytrace=False,
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(path, image)


@pytest.fixture
def golden_depth(request: pytest.FixtureRequest) -> GoldenDepth:
    """Compare a depth image with a golden one: ``golden_depth(image, "golden/view.tif")``."""
    return GoldenDepth(request)


def _told(found: Comparison, config: pytest.Config, name: str) -> str:
    """Return the report of a comparison that failed, and where its picture is."""
    path = _pictures(config) / f"{re.sub(r'[^0-9A-Za-z._-]+', '_', name)[:150]}.png"
    try:
        found.save_picture(path, name)
    except OSError as error:
        return f"{found}\n\nNo picture: {error}"
    return f"{found}\n\nPicture: {path}"


def _pictures(config: pytest.Config) -> Path:
    """Return the folder for pictures, and make it."""
    chosen = config.getoption("--depth-pictures")
    if chosen:
        path = Path(config.invocation_params.dir, chosen)
        path.mkdir(parents=True, exist_ok=True)
        return path
    cache = getattr(config, "cache", None)
    if cache is None:  # switched off
        return Path(tempfile.mkdtemp(prefix="depthraster-"))
    return Path(cache.mkdir("depthraster-pictures"))
