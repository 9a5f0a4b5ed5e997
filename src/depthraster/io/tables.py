"""Tables to CSV files: columns of equal length under their names.

Tables in NPZ are arrays by name, which ``image_formats.write_npz`` writes; that a file is written whole or not at all is
``files.py``'s. The commonest change is how numbers are written: a column that comes as text is written as it is.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from typing import Any

from depthraster.io.files import written_whole

__all__ = ["save_csv"]

_ROWS = 1 << 16  # turned into text at a time


def save_csv(path: str | os.PathLike[str], columns: Mapping[str, tuple[str, Sequence[Any]]]) -> None:
    """Write a CSV file, UTF-8 with commas; text with a comma in it is quoted.

    Parameters
    ----------
    path : str or path
        The file. Replaced if it exists, written whole or not at all.
    columns : mapping of str to (str, sequence)
        By the names in the first line: how values are formatted, as for `format`, and the values, all as many.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    n_rows = max((len(values) for _, values in columns.values()), default=0)
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for start in range(0, n_rows, _ROWS):
            texts = (_texts(values[start : start + _ROWS], spec) for spec, values in columns.values())
            writer.writerows(zip(*texts, strict=True))


def _texts(values: Sequence[Any], spec: str) -> list[str]:
    plain = values.tolist() if hasattr(values, "tolist") else values
    return [format(value, spec) for value in plain]
