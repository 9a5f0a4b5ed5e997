"""The exceptions that are the library's own.

Wrong arguments raise the built-in ``TypeError`` and ``ValueError``; only files have a class of their own, so
that a caller can tell "this file is bad" from "this call is bad". Every message is one sentence in three
parts: what came in, what is needed, what to do.
"""

from __future__ import annotations

__all__ = ["FormatError"]


class FormatError(ValueError):
    """A file is not what it should be; the message names the file, the element and the remedy."""
