"""What every test shares: a compile cache that notices edits, deterministic examples, the real data.

To run more random examples: ``DEPTHRASTER_THOROUGH=1 pytest``. To use real data from elsewhere than
``../shared/data`` beside the repository: ``DEPTHRASTER_REAL_DATA=folder pytest``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(
    str(ROOT / "benchmarks")
)  # for test_benchmarks.py; last, so that nothing is found there by mistake


def _compile_cache() -> Path:
    """A folder for each state of the kernels: numba looks at one file for changes, not at what that calls."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "src" / "depthraster" / "kernels").glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    base = os.environ.get("NUMBA_CACHE_DIR") or ROOT / ".pytest_cache"
    if not os.access(ROOT, os.W_OK):
        base = tempfile.gettempdir()
    return Path(base) / f"numba-{digest.hexdigest()[:16]}"


if "numba" in sys.modules:
    raise RuntimeError(
        "numba was imported before tests/conftest.py could choose its cache folder; drop that plugin"
    )
os.environ["NUMBA_CACHE_DIR"] = str(_compile_cache())

_COMMON = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
}
settings.register_profile("quick", max_examples=40, **_COMMON)
settings.register_profile(
    "thorough", max_examples=2000, **(_COMMON | {"derandomize": False, "print_blob": True})
)
settings.load_profile("thorough" if os.environ.get("DEPTHRASTER_THOROUGH") else "quick")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real-world files, see its INDEX.md; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("DEPTHRASTER_REAL_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set DEPTHRASTER_REAL_DATA to the folder that holds it")
    return folder
