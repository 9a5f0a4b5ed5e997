"""A headless Chromium for tests of pages: what a page looks like to its reader after a script has used it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")


@cache
def _chromium() -> str | None:
    """Return the browser that works here: the environment's DEPTHRASTER_CHROMIUM, or one on the path."""
    for name in (os.environ.get("DEPTHRASTER_CHROMIUM", ""), *_NAMES):
        found = shutil.which(name)
        if found and subprocess.run([found, "--version"], capture_output=True, timeout=60).returncode == 0:
            return found
    return None


def used(page: Path, script: str, address: str = "") -> Any:
    """Open a copy of a page, run an asynchronous function's body in it, and return what that returns.

    The copy lies beside the page, so that its links and its policy are the page's. Skips where there is no Chromium.
    """
    browser = _chromium()
    if browser is None:
        pytest.skip("no Chromium found; install one, or name it in DEPTHRASTER_CHROMIUM")
    text = page.read_text("utf-8")
    runner = (
        f"<script>addEventListener('load', async () => {{ let told; try {{ told = await (async () => {{ {script} }})(); }} "
        "catch (error) { told = String(error); } const out = document.createElement('pre'); out.id = 'told'; "
        "out.textContent = JSON.stringify(told); document.body.append(out); });</script></body>"
    )
    assert text.count("</body>") == 1
    copy = page.with_name("used.html")
    copy.write_text(text.replace("</body>", runner), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    done = subprocess.run(
        [browser, *options, copy.as_uri() + address], capture_output=True, text=True, timeout=120, check=True
    )
    copy.unlink()
    (told,) = re.findall(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    return json.loads(html.unescape(told))
