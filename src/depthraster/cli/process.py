"""The command as a process of its own: it starts and ends without what a process that goes on would need.

Half of a short export would go by in Python and numba getting ready and clearing up. Nothing here is for commands that run
inside another program, as in tests: those call `depthraster.cli.main`. There is no common change; measure any with
``benchmarks/survey_command.py``.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from typing import NoReturn

import click

__all__ = ["run"]

_OBJECTS = 100_000  # new ones, before garbage is looked for: more than loading the kernels makes


def run(command: click.Command, prog_name: str | None = None) -> NoReturn:
    """Run a command and end the process with its exit code."""
    # What is imported stays: walking it again and again would cost a short command more than it throws away.
    gc.freeze()
    gc.set_threshold(_OBJECTS)
    code: object = 0
    try:
        command(prog_name=prog_name)
    except SystemExit as end:  # which is how click comes back
        code = end.code
    _leave_at_once(code)
    sys.exit(code)  # type: ignore[arg-type]  # what the exit above said


def _leave_at_once(code: object) -> None:
    """End the process, leaving its memory to the system; come back where Python must do it.

    Taking every compiled function, module and image apart takes a fifth of a second, a tenth of a small export.
    """
    if not (code is None or isinstance(code, int)) or threading.active_count() > 1:
        return
    atexit._run_exitfuncs()  # what others want done at the end, such as saving what a measurement found
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # closed, or nobody reads on: Python has its ways with that
        return
    os._exit(code or 0)
