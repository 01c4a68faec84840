"""Make the table of values in the chart's README, between two marks."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from manual.reading import Chapter, ManualError, Value
from manual.schema import first_paragraph

BEGIN = "<!-- values: begin, made by `make manual` -->"
END = "<!-- values: end -->"


def with_table(readme: str, book: Sequence[Chapter]) -> str:
    """Return the README with a table of these values. Raises ManualError without the two marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ManualError(f"chart/README.md has no lines `{BEGIN}` and `{END}`")
    return f"{before}{BEGIN}\n{table(book)}{END}{after}"


def table(book: Sequence[Chapter]) -> str:
    """Return a heading and a table for each chapter that has values."""
    parts = []
    for chapter in book:
        rows = [row for value in chapter.values for row in _rows(value)]
        if rows:
            head = ["| Value | Default | |", "| --- | --- | --- |"]
            parts.append("\n".join([f"\n### {chapter.title}\n", *head, *rows, ""]))
    return "".join(parts) + "\n"


def _rows(value: Value) -> Iterator[str]:
    if any(child.words for child in value.children):
        if words := first_paragraph(value):
            yield f"| **`{value.name}`** | | {_cell(words)} |"
        for child in value.children:
            yield from _rows(child)
    else:
        yield f"| `{value.name}` | {_default(value.default)} | {_cell(first_paragraph(value))} |"


def _default(value: Any) -> str:
    if value is None or value in ("", {}, []):
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if len(text) <= 60 else "see values.yaml"


def _cell(text: str) -> str:
    """Return text as a table takes it; what is between backticks is shown as it is, but for `|`."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)
