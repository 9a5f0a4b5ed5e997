"""Kernels from numba's cache: taken up without what only compiling needs, which is there when something is compiled."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

KERNEL = """
import numpy as np
from depthraster.kernels.jit import kernel

@kernel
def squares(values):
    out = np.empty_like(values)  # whose memory is counted, unlike that of what the lean kernels work in
    total = values[0] * 0
    for i in range(len(values)):
        out[i] = values[i] * values[i]
        total += out[i]
    return out, total
"""

RUN = """
import json, sys
import numpy as np
from squares import squares
said = []
for kind in sys.argv[1:]:
    if kind == "another":
        from numba import njit
        value = njit(lambda x: np.linalg.norm(np.sqrt(x)) + np.median(x))(np.array([9.0, 16.0, 25.0]))
    else:
        out, total = squares(np.array([3, -2, 1], kind))
        assert out.dtype == kind and list(out) == [9, 4, 1]
        value = float(total)
    said.append((value, sum(squares.stats.cache_hits.values()), "numba.np.arraymath" in sys.modules))
print(json.dumps(said))
"""


@pytest.fixture
def run(tmp_path):
    """Run a new process that calls the kernel with arrays of some types; what it says of each."""
    (tmp_path / "squares.py").write_text(KERNEL, "utf-8")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def process(*kinds):
        done = subprocess.run(
            [sys.executable, "-c", RUN, *kinds],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
            cwd=tmp_path,
            env=environment,
        )
        return [tuple(said) for said in json.loads(done.stdout)]

    return process


def test_what_is_compiled_is_loaded_alone_and_what_is_not_can_be_compiled(run):
    assert run("int64") == [(14.0, 0, True)]  # compiled
    assert run("int64") == [(14.0, 1, False)]
    # Another type has to be compiled in a process that has loaded one; and so has a user's own function.
    assert run("int64", "float64", "int64") == [(14.0, 1, False), (14.0, 1, True), (14.0, 1, True)]
    assert run("float64", "int64", "another") == [
        (14.0, 1, False),
        (14.0, 2, False),
        (50**0.5 + 16.0, 2, True),
    ]
