"""``python -m depthraster``: the command line."""

from depthraster.cli import program

program(prog_name="python -m depthraster")
