"""The command as a process: it ends at once, and with everything said that was to be said."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from exports import write_survey

PROGRAM = "import sys; from depthraster.cli import program; "


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(["--version"], 0, "version"), (["--help"], 0, "Usage"), (["info", "missing.psx"], 1, ""), (["nonsense"], 2, "")],
)  # fmt: skip
def test_exit_codes_and_words_are_those_of_the_command(arguments, code, said):
    done = python("program()", *arguments)
    assert done.returncode == code
    assert said in done.stdout
    assert bool(done.stderr) == bool(code)


def test_what_a_long_output_ends_with_arrives(tmp_path):
    cameras, _ = write_survey(tmp_path, [f"camera {k}" for k in range(400)])
    done = python("program()", "info", cameras, "--json")
    assert done.returncode == 0
    assert done.stdout.endswith("}\n")
    assert len(done.stdout) > 1 << 16  # more than a pipe holds


def test_what_others_want_done_at_the_end_is_done():
    done = python("import atexit; atexit.register(print, 'at the end'); program()", "--version")
    assert done.stdout.splitlines()[-1] == "at the end"
    assert done.returncode == 0


def test_a_thread_that_goes_on_is_waited_for():
    code = (
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.5), print('of the thread', flush=True))).start()\n"
        "program()"
    )
    done = python("\n" + code, "--version")
    assert done.stdout.splitlines()[-1] == "of the thread"
    assert done.returncode == 0


def test_closed_output_is_no_reason_for_another_exit_code():
    done = python("sys.stdout.close(); program()", "nonsense")
    assert done.returncode == 2


def test_the_memory_is_left_to_the_system():
    code = "\nclass Loud:\n    def __del__(self): print('taken apart')\nkept = Loud()\nprogram()"
    assert "taken apart" not in python(code, "--version").stdout


def test_a_cache_is_warm_once_something_was_rendered_whatever_the_times_of_files(tmp_path):
    code = (
        "import os, depthraster as dr, numpy as np\n"
        "from depthraster.kernels import tiles\n"
        "from depthraster.kernels.cache import compile_cache_is_cold\n"
        "print(compile_cache_is_cold())\n"
        "corners = np.array([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]])\n"
        "dr.render_depth((corners, np.array([[0, 2, 1]])), np.eye(4), dr.Calibration(8, 8, 8.0))\n"
        "print(compile_cache_is_cold())\n"
    )
    fresh = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "fresh")}
    for environment, cold in ((fresh, "True"), (fresh, "False")):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment
        )
        assert done.stdout.split() == [cold, "False"], done.stderr
