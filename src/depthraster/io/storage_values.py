"""Values by name out of XML as OpenCV's FileStorage writes it, and out of YAML: what is asked for, nothing else.

Files from strangers can be of any size and depth, so nothing is built that was not asked for: YAML is read event by event
(PyYAML, which reads quickly where it finds libyaml), XML by `PrunedTree`. Numbers stay text, all their digits with them,
since YAML 1.1 takes ``1e-05`` for no number, and since decimals keep more than doubles. What values mean is
``opencv_storage.py``'s. The commonest change is a bound: the constants below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from depthraster.errors import FormatError
from depthraster.io.xml_values import quoted, unfit

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["Value", "values_of_xml", "values_of_yaml"]

# A text, a list of values, or a mapping of them; from JSON also a truth value or None.
Value = Any

_AGAIN = "save the calibration again, or copy it again"
_MOST_TEXT = 1 << 24  # characters of YAML, which take some seconds
_MOST_VALUES = 10_000  # of one name
_DEEPEST = 4
_DEEPEST_SKIPPED = 100
# OpenCV up to version 4 writes "%YAML:1.0", which YAML does not know; what version follows means nothing to us.
_DIRECTIVE = re.compile(r"^\s*%YAML[^\n]*\n", re.MULTILINE)


def values_of_xml(root: Element) -> list[tuple[str, Value]]:
    """Return names and values in an ``<opencv_storage>``: of a matrix a mapping, of a sequence a list."""
    return [(element.tag, _value_of(element)) for element in root]


def _value_of(element: Element) -> Value:
    if not len(element):
        return (element.text or "").strip(' \t\r\n"')  # texts are in quotes where they have blanks in them
    if all(child.tag == "_" for child in element):
        return [(child.text or "").strip() for child in element]
    texts = {child.tag: (child.text or "").strip() for child in element}
    return texts | ({"data": texts["data"].split()} if "data" in texts else {})


def values_of_yaml(text: str, source: str, wanted: Callable[[str], bool]) -> list[tuple[str, Value]]:
    """Return names and values on the top level of a YAML file, in its order.

    Parameters
    ----------
    text : str
        The file.
    source : str
        What messages begin with.
    wanted : callable
        Whether a name is asked for; others are stepped over with all that belongs to them.

    Raises
    ------
    FormatError
        Not YAML, no mapping, too long, or a value that is too long, too deep or an alias.
    """
    import yaml

    if len(text) > _MOST_TEXT:
        raise unfit(
            source, f"there are more than {_MOST_TEXT} characters of YAML", "fewer are needed", _AGAIN
        )
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return list(_top_level(yaml.parse(_DIRECTIVE.sub("", text), Loader=loader), source, wanted))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" in line {mark.line + 1}"
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "damaged"
        raise FormatError(
            f"{source}: not read as YAML ({problem}{place}); a whole YAML file is needed: {_AGAIN}"
        ) from None


def _top_level(
    events: Iterator[Any], source: str, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, Value]]:
    import yaml

    for event in events:
        if isinstance(event, (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)):
            continue  # OpenCV begins another document where it appends to a file
        if isinstance(event, yaml.ScalarEvent) and not event.value:
            continue  # and ROS' messages end in the line that begins one
        if isinstance(event, yaml.StreamEndEvent):
            return
        if not isinstance(event, yaml.MappingStartEvent):
            raise unfit(source, "the YAML is no mapping", "names with values are needed", _AGAIN)
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            if isinstance(key, yaml.ScalarEvent) and wanted(key.value):
                yield key.value, _Builder(events, f"{source}: {quoted(key.value)}").build(next(events), 0)
            else:
                if not isinstance(key, yaml.ScalarEvent):
                    raise unfit(source, "a name in the YAML is no text", "a text is needed", _AGAIN)
                _skip(events, source)


def _skip(events: Iterator[Any], source: str) -> None:
    """Step over a value."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth == 0:
            return
        if depth > _DEEPEST_SKIPPED:  # a scanner's time grows with the square of the depth
            raise unfit(
                source,
                f"values are within each other more than {_DEEPEST_SKIPPED} deep",
                "fewer are needed",
                _AGAIN,
            )


class _Builder:
    """Builds one value out of events."""

    def __init__(self, events: Iterator[Any], where: str) -> None:
        self._events = events
        self._where = where
        self._n_values = 0

    def build(self, event: Any, depth: int) -> Value:
        """Return the value that begins with an event."""
        import yaml

        self._n_values += 1
        if self._n_values > _MOST_VALUES or depth > _DEEPEST:
            raise unfit(self._where, "there are too many values", "a matrix is needed", _AGAIN)
        if isinstance(event, yaml.ScalarEvent):
            return str(event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                items.append(self.build(item, depth + 1))
            return items
        if isinstance(event, yaml.MappingStartEvent):
            mapping = {}
            while not isinstance(key := next(self._events), yaml.MappingEndEvent):
                name = self.build(key, depth + 1)
                mapping[str(name)] = self.build(next(self._events), depth + 1)
            return mapping
        raise unfit(
            self._where, "it refers to another place in the file", "the value itself is needed", _AGAIN
        )
