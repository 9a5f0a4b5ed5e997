"""``python -m depthraster``: the command line."""

from depthraster.cli import main

main(prog_name="python -m depthraster")
