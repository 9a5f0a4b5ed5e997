"""What people see while the command works: a bar on a terminal, lines in a log; and what loads meanwhile leaves no trace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from depthraster.cli import progress, warmup
from exports import COMMAND, run, write_survey

UNIX = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")


def test_a_line_now_and_then_where_nobody_looks(tmp_path, monkeypatch):
    survey = write_survey(tmp_path, ["a", "b", "c"])
    result = run("render", *survey, "-o", tmp_path / "quiet")
    assert "megapixels" not in result.stderr  # over before half a minute
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    result = run("render", *survey, "-o", tmp_path / "out")
    lines = [line for line in result.stderr.splitlines() if "images" in line]
    assert len(lines) == 2  # not after the last one
    for n, line in enumerate(lines, 1):
        assert re.fullmatch(rf"{n} of 3 images, \d+ megapixels/s, \d+ s left", line)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59, "59 s"), (75, "1.2 min"), (1500, "25 min"), (5400, "1.5 h"), (90000, "25 h")],
)
def test_times_are_said_as_people_say_them(seconds, text):
    assert progress._duration(seconds) == text


class OnTerminal:
    """The command with its standard error on a terminal, and what appears there."""

    def __init__(self, *args: object) -> None:
        ours, theirs = os.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
        command = [*COMMAND, *map(str, args)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True
        )
        os.close(theirs)
        self.seen = b""
        self._reader = threading.Thread(target=self._read, args=(ours,))
        self._reader.start()

    def _read(self, ours: int) -> None:
        while True:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                data = b""
            if not data:
                os.close(ours)
                return
            self.seen += data

    def wait_for(self, text: bytes) -> None:
        deadline = time.monotonic() + 120
        while text not in self.seen:
            assert time.monotonic() < deadline and self.process.poll() is None, self.seen
            time.sleep(0.005)

    def end(self) -> tuple[int, str, str]:
        stdout, _ = self.process.communicate(timeout=120)
        self._reader.join()
        return self.process.returncode, stdout, self.seen.decode()


@UNIX
def test_a_bar_with_rate_and_remaining_time_on_a_terminal(tmp_path):
    survey = write_survey(tmp_path, [f"IMG_{k}" for k in range(40)], (640, 480))
    (tmp_path / "out" / "IMG_7.tif").mkdir(parents=True)  # a folder stands where the file belongs
    code, stdout, seen = OnTerminal(*survey, "-o", tmp_path / "out", "--overwrite").end()
    assert code == 1 and "39 of 40 cameras rendered" in stdout
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert "Reading the mesh" in plain and "Writing the manifest" in plain
    # Done, rate, elapsed, remaining.
    assert re.search(r"Rendering ━*[╸╺]?━* +\d+/40 \d+ megapixels/s 0:00:\d\d (0:00:\d\d|-:--:--)", plain), (
        plain
    )
    assert re.search(r"^Error: IMG_7: ", plain.replace("\r", "\n"), re.MULTILINE)
    assert seen.count("\x1b[?25l") <= seen.count("\x1b[?25h")  # the cursor is there again


@UNIX
def test_ctrl_c_leaves_a_terminal_in_order(tmp_path):
    survey = write_survey(tmp_path, [f"IMG_{k}" for k in range(300)], (1200, 900))
    shown = OnTerminal(*survey, "-o", tmp_path / "out")
    shown.wait_for(b"megapixels/s")
    shown.process.send_signal(signal.SIGINT)
    code, _, seen = shown.end()
    assert code == 130 and seen.rstrip().endswith("--resume goes on with the rest.")
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l")


def test_loading_beforehand_leaves_no_trace(monkeypatch):
    """In a process of its own, for numba is loaded here already."""
    code = """if True:
        import sys
        from depthraster.cli.warmup import kernels_loading
        class Named(BaseException): pass
        for error in (None, ValueError, Named):
            try:
                with kernels_loading({"depth"}):
                    if error: raise error
            except (ValueError, Named): pass
        assert sys.modules.get("scipy.linalg", "absent") is not None
        import threading
        assert threading.active_count() == 1
        try:
            import scipy.linalg
        except ImportError:
            import importlib.util
            assert importlib.util.find_spec("scipy") is None
        print("good")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout == "good\n", done.stderr
    # What goes wrong there is told by whoever renders in earnest.
    monkeypatch.setattr(sys.modules["depthraster.render"], "render", None)
    with warmup.kernels_loading({"depth"}):
        pass


def test_a_cold_cache_is_not_warmed_beforehand(monkeypatch):
    monkeypatch.setattr("depthraster.kernels.cache.compile_cache_is_cold", lambda: True)
    monkeypatch.setattr(warmup, "_render_something", None)
    n_threads = threading.active_count()
    with warmup.kernels_loading({"depth"}):
        assert threading.active_count() == n_threads


def test_rich_is_not_loaded_where_nobody_looks(tmp_path):
    cameras, mesh = write_survey(Path(tmp_path), ["a"])
    code = (
        "import sys; from depthraster.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'rich']"
    )
    command = [sys.executable, "-c", code, "render", str(cameras), str(mesh), "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_people_are_told_of_compiling_once_and_only_then(capsys):
    from numba import njit

    @njit
    def twice(x):
        return 2 * x

    with warmup.compiling_told():
        assert twice(2) == 4 and twice(2.0) == 4.0  # compiled for each
        assert twice(3) == 6
    assert capsys.readouterr().err.count("Compiling for this machine") == 1
    with warmup.compiling_told():
        assert twice(4) == 8
    assert "Compiling" not in capsys.readouterr().err
