"""The pytest plugin, in projects of its own: case folders become tests, golden images are compared and written."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from test_cases import WRONG, write_case, write_mesh

pytest_plugins = ["pytester"]

REGISTERED = any(point.value == "pytest_depthraster" for point in metadata.entry_points(group="pytest11"))


@pytest.fixture
def project(pytester, monkeypatch):
    """Another project's folder, and a way to run its tests."""
    monkeypatch.setenv("PYTHONPATH", ":".join(str(p) for p in _source_folders()))

    def run(*args):
        # In a process of its own, as a user has it: the plugin must not depend on what is imported here.
        plugins = [] if REGISTERED else ["-p", "pytest_depthraster"]
        return pytester.runpytest_subprocess(*plugins, "-p", "no:dash", *args)

    pytester.run_tests = run
    return pytester


def _source_folders():
    import depthraster
    import pytest_depthraster

    return {Path(module.__file__).resolve().parent.parent for module in (depthraster, pytest_depthraster)}


def test_starting_pytest_imports_neither_numba_nor_the_library(project):
    project.makepyfile(
        """
        import sys

        def test_it():
            assert "pytest_depthraster" in sys.modules
            assert not {"numba", "numpy", "depthraster"} & set(sys.modules)
        """
    )
    project.run_tests().assert_outcomes(passed=1)


@pytest.fixture
def exports(project):
    path = project.path / "exports"
    path.mkdir()
    mesh = write_mesh(path / "mesh.obj")
    write_case(path / "right", mesh)
    write_case(path / "wrong", mesh, made_with=WRONG)
    write_case(path / "broken", mesh, depth="nowhere.tif")
    return path


def test_case_folders_become_tests_and_failures_show_the_report_and_the_picture(project, exports):
    result = project.run_tests("--metashape-exports", "exports", "-v")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*right*PASSED*",
            "*wrong*FAILED*",
            "FAIL: 120 x 80 pixels*",
            "*theirs was made with p1 and p2 exchanged*",
            "Picture: *wrong.png",
        ]
    )
    result.stdout.fnmatch_lines(["*nowhere.tif*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    picture = Path(re.search(r"Picture: (.*)", result.stdout.str()).group(1))
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.parent.name == "depthraster-pictures"


def test_exports_are_chosen_as_other_tests_are(project, exports):
    project.makepyfile("def test_other(): pass")
    result = project.run_tests(
        "--metashape-exports", exports, "-m", "metashape_export", "-k", "right or wrong"
    )
    result.assert_outcomes(passed=1, failed=1, deselected=2)
    project.run_tests("--metashape-exports", exports / "right", "--strict-markers").assert_outcomes(passed=2)
    pictures = project.path / "pictures"
    args = "--metashape-exports", exports / "wrong", "--metashape-exports", exports / "right"
    project.run_tests(*args, "--depth-pictures", "pictures", "-p", "no:cacheprovider").assert_outcomes(
        passed=2, failed=1
    )
    assert [path.name for path in pictures.iterdir()] == ["wrong.png"]


def test_a_folder_without_cases_is_wrong_usage(project):
    project.makepyfile("def test_other(): pass")
    result = project.run_tests("--metashape-exports", ".")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--metashape-exports: *no case in the folder*"])


def test_golden_images_are_written_and_compared(project):
    project.makepyfile(
        test_view="""
        import numpy as np

        def test_view(golden_depth):
            v, u = np.indices((40, 60))
            depth = (20 + np.sin(u / 9) + np.cos(v / 7) + OFF).astype(np.float32)
            assert golden_depth(depth, "golden/view.tif", scale=1) is not False
        """.replace("OFF", "0.0")
    )
    missing = project.run_tests()
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*view.tif: there is no such file*--write-golden-depth*"])
    project.run_tests("--write-golden-depth").assert_outcomes(passed=1)
    assert (project.path / "golden" / "view.tif").is_file()
    project.run_tests().assert_outcomes(passed=1)
    test = project.path / "test_view.py"
    test.write_text(test.read_text().replace("+ 0.0)", "+ 0.5)"))
    result = project.run_tests()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["FAIL: 60 x 40 pixels*", "*0.5 nearer than ours everywhere*", "Picture: *test_view.png"]
    )
    result.stdout.no_fnmatch_line("*golden_depth(depth*")  # the report is enough; no lines of code


def test_two_tests_do_not_write_one_golden_image(project):
    project.makepyfile(
        """
        import numpy as np
        import pytest

        @pytest.mark.parametrize("depth", [3.0, 4.0])
        def test_view(golden_depth, depth):
            golden_depth(np.full((5, 6), depth, np.float32), "golden/view.tif")
        """
    )
    result = project.run_tests("--write-golden-depth")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*view.tif was written by *test_view?3.0? in this run*"])


def test_golden_depth_takes_files_arrays_and_case_folders(project, exports):
    np.save(project.path / "other.npy", np.full((5, 6), 3.0))
    project.makepyfile(
        """
        import numpy as np
        import depthraster as dr

        def test_files(golden_depth):
            found = golden_depth("other.npy", np.full((5, 6), 3.0), tolerances=dr.Tolerances(depth=1e-6))
            assert found.passed

        def test_case(golden_depth):
            assert golden_depth("exports/right").passed

        def test_wrong_case(golden_depth):
            golden_depth("exports/wrong")

        def test_no_case(golden_depth):
            golden_depth("exports/nowhere")
        """
    )
    result = project.run_tests()
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*p1 and p2 exchanged*"])
    result.stdout.fnmatch_lines(["*nowhere*"])
    result.stdout.no_fnmatch_line("*os.walk*")
