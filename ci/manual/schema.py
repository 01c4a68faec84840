"""Make values.schema.json: of which kind each value is.

Draft 7, which the validators of Helm 3.17 and of Helm 4 read alike. It says kinds, sets of words
and bounds; what needs a reason or a way out is a sentence of the chart (_contradictions.tpl).

Accepted is also what Helm's command line makes of a value: `--set-string replicaCount=2` is a text,
`--set image.tag=3` a number. `null` takes a default away, in every place.
"""

from collections.abc import Sequence
from typing import Any

from manual.reading import Chapter, ManualError, Value

TEXT_MAPS = ("annotations", "labels", "nodeselector")
"""Maps from text to text are known by how their names end, such as podAnnotations, nodeSelector."""

_KINDS: dict[str, dict[str, Any]] = {
    "array": {"type": ["array", "null"]},
    "boolean": {
        "type": ["boolean", "string", "null"],
        "enum": [True, False, "true", "false", "", None],
    },
    "integer": {"type": ["integer", "string", "null"], "pattern": "^[0-9]*$"},
    "number": {"type": ["number", "string", "null"]},
    "object": {"type": ["object", "null"]},
    "string": {"type": ["string", "number", "null"]},
}
_SCALAR = {"type": ["string", "number", "boolean", "null"]}


def schema(book: Sequence[Chapter]) -> dict[str, Any]:
    """Return the schema of all values. Raises ManualError where a kind cannot be known."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "docker-registry",
        "description": "Made from values.yaml by `make manual`.",
        "type": "object",
        "properties": {value.key: of_value(value) for chapter in book for value in chapter.values},
    }


def of_value(value: Value, *, closed: bool = False) -> dict[str, Any]:
    """Return the part of the schema about one value and all below it.

    `closed`: a section above it is, and so is this one, unless its keys are its user's.
    """
    closed = not is_free(value) and value.hints.get("additionalProperties", not closed) is False
    made: dict[str, Any] = {}
    if sentence := first_paragraph(value):
        made["description"] = sentence
    for kind in kinds(value):
        for key, more in _KINDS[kind].items():
            made[key] = _union(made[key], more) if key == "type" and key in made else more
    if len(kinds(value)) > 1:  # what is said about the texts of one kind does not hold for another
        made.pop("pattern", None)
        made.pop("enum", None)
    if is_text_map(value):
        made["additionalProperties"] = dict(_SCALAR)
    if value.children:
        made["properties"] = {child.key: of_value(child, closed=closed) for child in value.children}
    if closed:
        made["additionalProperties"] = False
    _apply(made, value)
    return made


def is_free(value: Value) -> bool:
    """Return whether a map's keys are its user's, so that none can be a mistake.

    Known by an empty default, or said: `# @schema additionalProperties:true`.
    """
    return not value.children or value.hints.get("additionalProperties") is True


def is_text_map(value: Value) -> bool:
    return value.default == {} and value.key.lower().endswith(TEXT_MAPS)


def first_paragraph(value: Value) -> str:
    """Return the first lines of a value's words, as one line."""
    words = " ".join(value.words[: _blank(value.words)])
    return words.strip()


def _blank(words: Sequence[str]) -> int:
    return next((at for at, line in enumerate(words) if not line.strip()), len(words))


def kinds(value: Value) -> list[str]:
    """Return what a hint says of a value's kinds, else its default's. Raises ManualError."""
    said = value.hints.get("type")
    if said is not None:
        kinds = [said] if isinstance(said, str) else list(said)
        if unknown := set(kinds) - set(_KINDS):
            raise ManualError(f"{value.name}: `@schema type` has no {sorted(unknown)}")
        return kinds
    by_kind = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    if isinstance(value.default, dict):
        return ["object"]
    if value.default is None:
        raise ManualError(
            f"{value.name} (line {value.line}): null says nothing about its kind. Write"
            " `# @schema type:integer`, or what it is, above it."
        )
    return [by_kind[type(value.default)]]


def _apply(made: dict[str, Any], value: Value) -> None:
    """Add what the hints say."""
    hints = value.hints
    if "enum" in hints:
        made["enum"] = [*hints["enum"], *([] if "" in hints["enum"] else [""]), None]
    for key in ("minimum", "maximum", "pattern"):
        if key in hints:
            made[key] = hints[key]
    if items := _items(value):
        made["items"] = {"type": _union([], items)}
        if "itemProperties" in hints:
            made["items"]["properties"] = hints["itemProperties"]
    if "integer" in kinds(value):
        made.setdefault("minimum", 0)


def _items(value: Value) -> list[str]:
    """Return the kinds of a list's items: as its hint says, else those of the default's."""
    said = value.hints.get("item", [])
    if said or not isinstance(value.default, list):
        return [said] if isinstance(said, str) else list(said)
    kinds_of_items = {"string" if isinstance(item, str) else "object" for item in value.default}
    return sorted(kinds_of_items)


def _union(first: list[str], second: Sequence[str]) -> list[str]:
    return [*first, *(kind for kind in second if kind not in first)]
