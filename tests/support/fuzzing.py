"""Values as people mistype them: good values of which one to three are changed.

What is changed comes from the manual, where each value has a kind, or from the values themselves.
It is replaced by another of its kind (texts that YAML would take for something else above all), or
by one of a wrong kind.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from helm_chart_test import HelmError, Object, merged, object_id
from helm_chart_test.fixtures import Renderer
from manual.reading import Value, chapters
from manual.schema import is_free, is_text_map, kinds
from support.chart import CHART, SCENARIOS, problems

MARK = "zq7"
"""Part of most drawn texts, so that they are found again in what is rendered."""

_AWKWARD = [
    *("", "yes", "no", "on", "null", "~", "true", "0123", "1e3", "0x1F", "1.10", "12:30", "-1"),
    *("a: b", "a #b", "#a", "'a'", "'a", '"a"', '"a', "a\nb", "a\n\nb\n", "\n", " a", "a ", "a\tb"),
    *(
        "- a",
        "{a",
        "[a",
        "*a",
        "&a",
        "!a",
        "|",
        "> a",
        "%a",
        "@a",
        "`a`",
        "? a",
        ": ",
        "a,b",
        "\\n",
    ),
    *(
        "{{ a }}",
        "$(a)",
        "ü",
        "a/b",
        "a=b",
        "a|b",
        "../a",
        "A",
        "a_b",
        "a.b",
        "a" * 70,
        "$a",
        "a\\",
    ),
]

_DURATIONS = ["90s", "15m", "1h", "7d", "0", "", "1 hour", "-5m", "1.5h", "h", 90]

_WRONG: list[Any] = [None, True, False, 0, 7, -1, 1.5, 10**12, "text", [], ["a"], [None]]

ValuePath = tuple[str | int, ...]
"""Keys of maps and places in lists."""


@dataclass(frozen=True)
class Case:
    """A scenario's values and what was changed in them: new values by their paths."""

    scenario: Path
    changes: dict[ValuePath, Any]

    @property
    def values(self) -> dict[str, Any]:
        values = merged(self.scenario)
        for path, new in self.changes.items():
            _put(values, path, deepcopy(new))
        return values

    def __str__(self) -> str:
        told = {".".join(map(str, path)): new for path, new in self.changes.items()}
        return f"{self.scenario.stem} with {json.dumps(told, ensure_ascii=False)}"


def _put(values: dict[str, Any], path: ValuePath, new: Any) -> None:
    """Write into values; a change before this one may have taken away what it was in."""
    at: Any = values
    for key in path[:-1]:
        below = at.get(key) if isinstance(at, dict) else _item(at, key)
        if not isinstance(below, dict | list):
            if not isinstance(at, dict):
                return
            below = at[key] = {}
        at = below
    if isinstance(at, dict):
        at[str(path[-1])] = new
    elif _item(at, path[-1]) is not None:
        at[path[-1]] = new


def _item(items: list[Any], at: str | int) -> Any:
    return items[at] if isinstance(at, int) and at < len(items) else None


def known_values() -> list[Value]:
    """Return every value of the manual but those inside what Kubernetes or the registry reads."""
    book = chapters((CHART / "values.yaml").read_text("utf-8"))
    return [value for chapter in book for top in chapter.values for value in _worth_changing(top)]


def _worth_changing(value: Value) -> Iterator[Value]:
    yield value
    if not is_free(value) or value.key.endswith("ontext"):  # securityContext
        for child in value.children:
            yield from _worth_changing(child)


def cases() -> st.SearchStrategy[Case]:
    """Draw a scenario and one to three changes."""
    return st.sampled_from(SCENARIOS).flatmap(_cases_of)


def _cases_of(scenario: Path) -> st.SearchStrategy[Case]:
    change = _known_changes()
    if leaves := list(_leaves(merged(scenario), ())):
        change = st.one_of(change, st.sampled_from(leaves).flatmap(_own_change))
    changes = st.lists(change, min_size=1, max_size=3, unique_by=lambda pair: pair[0]).map(dict)
    return st.builds(Case, st.just(scenario), changes)


@lru_cache(maxsize=1)
def _known_changes() -> st.SearchStrategy[tuple[ValuePath, Any]]:
    return st.sampled_from(known_values()).flatmap(
        lambda value: st.tuples(st.just(value.path), _replacements(value))
    )


def _leaves(value: Any, path: ValuePath) -> Iterator[tuple[ValuePath, Any]]:
    """Yield everything that stands in values, but for maps."""
    if path and not isinstance(value, dict):
        yield path, value
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list):
        for at, below in enumerate(value):
            yield from _leaves(below, (*path, at))


def _own_change(leaf: tuple[ValuePath, Any]) -> st.SearchStrategy[tuple[ValuePath, Any]]:
    path, old = leaf
    wrong = st.sampled_from([*_WRONG, {}, [{}]])
    if isinstance(old, bool):
        kept: st.SearchStrategy[Any] = st.sampled_from([True, False, "true", "false"])
    elif isinstance(old, int):
        kept = st.integers(0, 70000)
    elif isinstance(old, str):
        kept = texts()
    else:
        kept = wrong
    return st.tuples(st.just(path), st.one_of(kept, kept, kept, wrong))


def texts() -> st.SearchStrategy[str]:
    """Draw texts that must be quoted, with a mark and without."""
    awkward = st.sampled_from(_AWKWARD)
    free = st.text(alphabet="aB0 .:#'\"\n-_/\\{}[]&*!|>%@`,?$=~\tü", max_size=8)
    return st.one_of(awkward, awkward.map(_marked), free.map(_marked))


def _marked(text: str) -> str:
    return text + MARK


def _replacements(value: Value) -> st.SearchStrategy[Any]:
    wrong = [*_WRONG, {}, {"a": "b"}] if kinds(value) != ["object"] else _WRONG
    return st.one_of(*[_of_its_kind(value)] * 4, st.sampled_from(wrong))


def _of_its_kind(value: Value) -> st.SearchStrategy[Any]:
    if "enum" in value.hints:
        return st.sampled_from([*value.hints["enum"], "", "neither"])
    if value.key.endswith(("Delay", "Period", "Deadline", "timeout", "ttl", "quarantine")):
        return st.sampled_from(_DURATIONS)
    return st.one_of([_of_kind(kind, value) for kind in kinds(value)])


def _of_kind(kind: str, value: Value) -> st.SearchStrategy[Any]:
    if kind == "boolean":
        return st.sampled_from([True, False, "true", "false", ""])
    if kind == "integer":
        return st.one_of(st.integers(0, 70000), st.integers(0, 9).map(str))
    if kind == "number":
        return st.sampled_from([0, 1, 0.25, "0.5", "80%", 1.5, 1e21])
    items = value.hints.get("item", "string")
    if kind == "array":
        return st.sampled_from([[], None, ["a"], *([[{}]] if "string" in items else [])])
    if kind == "object":
        filled = st.dictionaries(st.sampled_from(["a", "example.com/b", "on"]), texts(), max_size=2)
        return filled if is_text_map(value) else st.just({})
    return texts()


def judged(case: Case, render: Renderer) -> tuple[str, list[str]]:
    """Return how Helm answered: rendered, sentence, schema, broken; and what is wrong with it."""
    try:
        objects = render(case.values)
    except HelmError as error:
        told = error.stderr
        if "The cluster was not changed" in told:
            return "sentence", []
        if "don't meet the specifications of the schema" in told:
            named = any(_names(told, path) for path in case.changes)
            return "schema", [] if named else [f"the schema names no path: {told[-300:]}"]
        return "broken", [told[-600:]]
    strict = [] if any(map(_is_somebody_elses, case.changes)) else problems(objects)
    return "rendered", [*strict, *_mangled(case, objects)]


@lru_cache(maxsize=1)
def _free_maps() -> frozenset[ValuePath]:
    return frozenset(
        value.path
        for value in known_values()
        if (isinstance(value.default, list) or is_free(value)) and not is_text_map(value)
    )


def _is_somebody_elses(path: ValuePath) -> bool:
    """Return whether a change is inside what Kubernetes or the registry reads, such as `affinity`.

    The chart hands that on as it is; whether it is right is not the chart's to say.
    """
    return any(path[:length] in _free_maps() for length in range(1, len(path)))


def _names(told: str, path: ValuePath) -> bool:
    keys = [str(key) for key in path]
    # Helm 4 names a place by a JSON pointer, where a slash inside a key is written ~1.
    pointer = "/".join(key.replace("~", "~0").replace("/", "~1") for key in keys)
    return pointer in told or ".".join(keys) in told


def _mangled(case: Case, objects: Iterable[Object]) -> list[str]:
    """Return where a drawn text came out as another."""
    drawn = {text for text in _texts(case.changes) if MARK in text}
    forms = {form for text in drawn for form in (text, text.strip(), _as_go_writes(text))}
    return [
        f"{object_id(thing)}: a text became {found!r}"
        for thing in objects
        for found in _texts(_opened(thing))
        if MARK in found and not any(form in found for form in forms)
    ]


def _as_go_writes(text: str) -> str:
    """Return a text inside JSON of Helm's `toJson`, which writes `&`, `<` and `>` as numbers."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    for sign in "&<>":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return written


def _opened(thing: Object) -> Any:
    """Return an object with what is inside its texts: a Secret's data, config.yml as YAML."""
    opened = deepcopy(dict(thing))
    if thing["kind"] == "Secret":
        data = thing.get("data") or {}
        opened["data"] = {key: base64.b64decode(text).decode() for key, text in data.items()}
    data = opened.get("data")
    if isinstance(data, dict) and "config.yml" in data:
        data["config.yml"] = yaml.safe_load(data["config.yml"])
    return opened


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
