"""The command ``depthraster``: options in, words for people out.

Every command is a module here and calls the library for the work. Results go to standard output; progress, warnings and
errors to standard error. Exit codes: 0 done, 1 an input or output file is bad, 2 wrong usage, 130 interrupted; ``compare``
has those of diff: 0 the same, 1 different, 2 trouble. What commands share is in ``common.py``, what those on a chunk and its
mesh do in ``inputs.py``. The commonest change is another option of ``render``; a new command is a module and a line below.
"""

from __future__ import annotations

from typing import NoReturn

import click

from depthraster.cli import process
from depthraster.cli.compare import compare
from depthraster.cli.demo import demo
from depthraster.cli.height import height
from depthraster.cli.info import info
from depthraster.cli.render import render
from depthraster.cli.stereo import stereo
from depthraster.cli.visible import visible

__all__ = ["main", "program"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="depthraster", prog_name="depthraster")
def main() -> None:
    """Depth images from a mesh and calibrated cameras."""


for command in (render, visible, stereo, height, info, compare, demo):
    main.add_command(command)


def program(prog_name: str | None = None) -> NoReturn:
    """Run the command as the whole of a process: what the installed script does."""
    process.run(main, prog_name)
