"""What counts as a number where a caller passes one: what float() takes, but for text and truths, which are slips.

What is wrong with a number that is one is said where it is used. The commonest change is another type that is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["real_number"]


def real_number(value: Any) -> float:
    """Return a number as a float; TypeError or ValueError, without a text for users, where it is none."""
    if isinstance(value, (bool, np.bool_, str, bytes, bytearray)):
        raise TypeError
    return float(value)
