"""XML from strangers to a small tree of elements: what is not asked for is never kept, and nothing is expanded.

A document of any length is read in one pass; `PrunedTree` builds the elements whose tags are named and steps over the
others with all that is in them, so that memory follows what is kept. What the elements mean is the caller's, as is what
becomes of those that come by the million: a subclass takes them out of the tree as they end. The commonest change is a
bound: the constants below.
"""

from __future__ import annotations

from collections.abc import Container
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from depthraster.errors import FormatError

__all__ = ["PrunedTree", "read_tree"]

_MAX_ELEMENTS = 1_000_000
_MAX_DEPTH = 100_000  # elements within each other; the parser keeps track of them
_MAX_TEXT = 1 << 20  # characters of one element; a coordinate system takes some thousand
# Bytes of one tag with its attributes, or of one comment: the parser keeps all of it, and looks through it again with every
# block that it is given.
_MAX_TAG = 1 << 22
_BLOCK = 1 << 16


class PrunedTree:
    """A target of an XML parser: builds the tree of the elements that are kept.

    Parameters
    ----------
    tags : container of str
        Elements with these tags are kept, and the root whatever its tag; the others are left out with their content.
    source : str
        What messages begin with.
    program : str
        Whose files are read, for messages.

    Attributes
    ----------
    root : Element or None
        The outermost element, when it has ended.
    """

    def __init__(self, tags: Container[str], source: str, program: str = "Metashape") -> None:
        self.source = source
        self.program = program
        self.root: Element | None = None
        self._tags = tags
        self._open: list[Element] = []
        self._skipped = 0  # how deep within an element that is left out
        self._text: list[str] = []
        self._n_text = 0
        self._n_elements = 0

    def begun(self, element: Element, parent: Element | None) -> None:
        """Take notice that an element has begun; it has its attributes."""

    def ended(self, element: Element) -> bool:
        """Return whether an element that is complete shall stay in the tree."""
        return True

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take a start tag from the parser."""
        if len(self._open) + self._skipped >= _MAX_DEPTH:
            raise FormatError(
                f"{self.source}: elements are within each other more than {_MAX_DEPTH} deep, which {self.program} does not "
                "write; a file as it writes it is needed: export or copy it again"
            )
        if self._skipped or (self._open and tag not in self._tags):
            self._skipped += 1
            return
        element = Element(tag, attributes)
        self.begun(element, self._open[-1] if self._open else None)
        self._open.append(element)
        self._text.clear()
        self._n_text = 0

    def data(self, text: str) -> None:
        """Take text from the parser."""
        if self._skipped:
            return
        self._text.append(text)
        self._n_text += len(text)
        if self._n_text > _MAX_TEXT:
            raise FormatError(
                f"{self.source}: there are more than {_MAX_TEXT} characters in one <{self._open[-1].tag}>, which "
                f"{self.program} does not write; a file as it writes it is needed: export or copy it again"
            )

    def end(self, tag: str) -> None:
        """Take an end tag from the parser."""
        if self._skipped:
            self._skipped -= 1
            return
        element = self._open.pop()
        if not len(element):
            element.text = "".join(self._text)
        self._text.clear()
        self._n_text = 0
        if not self.ended(element):
            self._n_elements -= sum(1 for _ in element.iter()) - 1
            return
        if not self._open:
            self.root = element
            return
        self._open[-1].append(element)
        self._n_elements += 1
        if self._n_elements > _MAX_ELEMENTS:
            raise FormatError(
                f"{self.source}: there are more than {_MAX_ELEMENTS} elements such as <{tag}>, which {self.program} does "
                "not write; a file as it writes it is needed: export or copy it again"
            )

    def close(self) -> None:
        """Take the end of the document from the parser."""


def read_tree(file: IO[bytes], tree: PrunedTree, again: str) -> Element:
    """Feed a document to a tree and return its root element.

    Parameters
    ----------
    file : binary file
        The document, from where the file stands.
    tree : PrunedTree
        What becomes of its elements.
    again : str
        How the user gets a good file, for messages.

    Raises
    ------
    FormatError
        It is empty, not XML, truncated, or has a document type or entities.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import XMLParser

    parser = XMLParser(target=tree, forbid_dtd=True)
    n_read = 0
    try:
        while block := file.read(_BLOCK):
            n_read += len(block)
            parser.feed(block)
            if n_read - parser.parser.CurrentByteIndex > _MAX_TAG:
                raise FormatError(
                    f"{tree.source}: there is a tag or a comment of more than {_MAX_TAG} bytes, which Metashape does not "
                    f"write; a file as it writes it is needed: {again}"
                )
        parser.close()
    except FormatError:
        raise
    except DefusedXmlException:
        raise FormatError(
            f"{tree.source}: there is a document type or an entity, which {tree.program} does not write and which can be "
            f"hostile; a file as it writes it is needed: {again}"
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        what = f"not read as XML ({error})" if n_read else "the file is empty"
        raise FormatError(f"{tree.source}: {what}; a whole XML file is needed: {again}") from None
    assert tree.root is not None  # a document without an element is a ParseError
    return tree.root
