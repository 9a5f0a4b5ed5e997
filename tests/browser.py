"""A headless Chromium for tests of pages: what a page looks like to its reader, and what its scripts find.

It is spoken to in the DevTools protocol through a pair of pipes, which needs no network and no driver.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
_PATIENCE = 120.0  # seconds for an answer; a busy machine takes some
# The browser reads its descriptor 3 and writes its descriptor 4.
_LAUNCH = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--window-size=1280,1000",
    "--remote-debugging-pipe",
)


@cache
def _chromium() -> str | None:
    """Return the browser that works here: the environment's DEPTHRASTER_CHROMIUM, or one on the path."""
    for name in (os.environ.get("DEPTHRASTER_CHROMIUM", ""), *_NAMES):
        found = shutil.which(name)
        if found and subprocess.run([found, "--version"], capture_output=True, timeout=60).returncode == 0:
            return found
    return None


def used(page: Path, script: str, address: str = "") -> Any:
    """Open a page, run an asynchronous function's body in it, and return what that returns.

    Skips where there is no Chromium.
    """
    if fcntl is None:
        pytest.skip("pipes are handed over by Unix' means")
    browser = _chromium()
    if browser is None:
        pytest.skip("no Chromium found; install one, or name it in DEPTHRASTER_CHROMIUM")
    with _Chromium(browser) as chromium:
        chromium.open(page.as_uri() + address)
        return chromium.evaluate(f"(async () => {{ {script} }})()")


class _Chromium:
    def __init__(self, browser: str) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # it writes to the end
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        # Higher numbers, so that neither is the other's target.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        command = [sys.executable, "-c", _LAUNCH, *map(str, high), browser, *_OPTIONS]
        command.append(f"--user-data-dir={self._profile.name}")
        self._process = subprocess.Popen(
            command, pass_fds=high, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )  # fmt: skip
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._buffer, self._number, self._session = b"", 0, {}

    def __enter__(self) -> _Chromium:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        self._call("Page.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session = {}
        with suppress(OSError, AssertionError):
            self._call("Browser.close")
        os.close(self._to)
        os.close(self._from)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def open(self, address: str) -> None:
        assert "errorText" not in self._call("Page.navigate", url=address)
        self._until(lambda message: message.get("method") == "Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters, **self._session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        answer = self._until(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    def _until(self, fits: Any) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while True:
            while b"\0" in self._buffer:
                text, self._buffer = self._buffer.split(b"\0", 1)
                message = json.loads(text)
                if fits(message):
                    return message
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._from], [], [], max(left, 0.0))
            assert ready, "the browser does not answer"
            data = os.read(self._from, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
