"""Read values.yaml: each value with the words above it.

A value's words are the comment lines right above its key, at its own indent. A line `# @schema
key:value; key:value` among them says what the default cannot (the form of helm-values-schema-json);
a line of dashes ends what stands above it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

_HEADING = re.compile(r"^# -{20,}$")
_HINTS = "@schema "


class ManualError(Exception):
    """values.yaml says something that nothing can be made from; names the value and its line."""


@dataclass(frozen=True)
class Value:
    """One key of values.yaml. `path` has its parents, `words` are lines without their `#`."""

    path: tuple[str, ...]
    default: Any
    words: tuple[str, ...]
    hints: dict[str, Any]
    line: int
    children: tuple["Value", ...] = field(default=())
    """Of a map that has keys of its own; none for `{}`, whose keys are the user's."""

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def key(self) -> str:
        return self.path[-1]

    def each(self) -> Iterator["Value"]:
        """Yield the value and all below it, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.each()


@dataclass(frozen=True)
class Chapter:
    """A heading between two lines of dashes, and the values under it."""

    title: str
    values: tuple[Value, ...]


def chapters(text: str) -> list[Chapter]:
    """Return all of values.yaml. Raises ManualError for a hint that cannot be read."""
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ManualError("values.yaml is no map")
    titles = _titles(lines)
    found: dict[str, list[Value]] = {title: [] for title in titles.values()}
    for value in _values(root, (), lines):
        above = [title for line, title in titles.items() if line < value.line]
        if not above:
            raise ManualError(f"{value.name} (line {value.line}) stands above the first heading")
        found[above[-1]].append(value)
    return [Chapter(title, tuple(values)) for title, values in found.items()]


def _titles(lines: list[str]) -> dict[int, str]:
    """Return the headings by their line, counted from 1."""
    return {
        at + 1: line.removeprefix("# ")
        for at, line in enumerate(lines[:-1])
        if at and _HEADING.match(lines[at - 1]) and _HEADING.match(lines[at + 1])
    }


def _values(node: yaml.MappingNode, parents: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key_node, value_node in node.value:
        path = (*parents, str(key_node.value))
        line = key_node.start_mark.line
        words, hints = _words(lines, line, key_node.start_mark.column, path)
        children: tuple[Value, ...] = ()
        if isinstance(value_node, yaml.MappingNode):
            children = tuple(_values(value_node, path, lines))
        yield Value(path, _plain(value_node), words, hints, line + 1, children)


def _plain(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))


def _words(
    lines: list[str], line: int, column: int, path: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the words above a line, and the hints among them."""
    if not lines[line].startswith(" " * column + path[-1]):
        return (), {}  # inside braces, where there is no line above it
    first = line
    while first and re.match(rf"^ {{{column}}}#", lines[first - 1]):
        first -= 1
    words: list[str] = []
    hints: dict[str, Any] = {}
    for comment in lines[first:line]:
        text = comment.strip().removeprefix("#").removeprefix(" ")
        if _HEADING.match(comment.strip()):
            words.clear()
        elif text.startswith(_HINTS):
            hints.update(_hints(text.removeprefix(_HINTS), path))
        else:
            words.append(text)
    return tuple(words), hints


def _hints(text: str, path: tuple[str, ...]) -> dict[str, Any]:
    """Return `type:[array, object]; minimum:1` as a map."""
    found = {}
    for part in text.split(";"):
        key, separator, value = part.strip().partition(":")
        if not separator or key not in {
            "additionalProperties",
            "enum",
            "item",
            "itemProperties",
            "maximum",
            "minimum",
            "pattern",
            "type",
        }:
            raise ManualError(f"{'.'.join(path)}: `@schema {text}` has no meaning here: {part}")
        found[key] = yaml.safe_load(value)
    return found
