"""Elements one after the other into an XML file, indented, with numbers that keep all their digits.

Nothing is held in memory, so that a million cameras can be written. Which elements there are is said by the modules that
write them. The commonest change is another kind of content: a method beside `XmlWriter.numbers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO
from xml.sax.saxutils import XMLGenerator

import numpy as np
import numpy.typing as npt

from depthraster.io.xml_values import digits, quoted

__all__ = ["XmlWriter"]

# What XML 1.0 cannot hold, not even written as a number (its production 2, Char).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class XmlWriter:
    """Elements one after the other into a file, indented."""

    def __init__(self, file: BinaryIO) -> None:
        self._xml = XMLGenerator(file, "UTF-8", short_empty_elements=True)
        self._xml.startDocument()
        self._depth = 0

    @contextmanager
    def element(self, tag: str, **attributes: object) -> Iterator[None]:
        """Write an element around what is written within the block; attributes that are None are left out."""
        self.begin(tag, attributes)
        yield
        self.end(tag)

    def begin(self, tag: str, attributes: Mapping[str, object]) -> None:
        """Write the beginning of an element that has others in it."""
        self._start(tag, attributes)
        self._xml.ignorableWhitespace("\n")
        self._depth += 1

    def end(self, tag: str) -> None:
        """Write the end of an element that has others in it."""
        self._depth -= 1
        self._xml.ignorableWhitespace("  " * self._depth)
        self._finish(tag)

    def leaf(self, tag: str, text: str = "", /, **attributes: object) -> None:
        """Write an element that has text at most."""
        self._start(tag, attributes)
        if text:
            self._xml.characters(_allowed(text, tag))
        self._finish(tag)

    def numbers(self, tag: str, values: npt.ArrayLike, **attributes: object) -> None:
        """Write an element that has numbers, with all their digits."""
        array = np.asarray(values, dtype=np.float64)
        self.leaf(tag, " ".join(digits(value) for value in array.reshape(-1)), **attributes)

    def close(self) -> None:
        """End the document."""
        self._xml.endDocument()

    def _start(self, tag: str, attributes: Mapping[str, object]) -> None:
        self._xml.ignorableWhitespace("  " * self._depth)
        given = {name: _allowed(str(value), name) for name, value in attributes.items() if value is not None}
        self._xml.startElement(tag, given)  # type: ignore[arg-type]  # a mapping will do

    def _finish(self, tag: str) -> None:
        self._xml.endElement(tag)
        self._xml.ignorableWhitespace("\n")


def _allowed(text: str, what: str) -> str:
    found = _FORBIDDEN.search(text)
    if found:
        raise ValueError(
            f"the {what} {quoted(text)} has the character {found.group()!r}, which XML cannot hold; text without control "
            "characters is needed: rename it"
        )
    return text
