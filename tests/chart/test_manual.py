"""values.yaml is the manual, and what is made from it is current and says the same."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from helm_chart_test import merged
from helm_chart_test.fixtures import Renderer
from manual.__main__ import made
from manual.reading import Chapter, ManualError, Value, chapters
from manual.schema import is_free, schema
from manual.table import BEGIN, END, with_table
from support.chart import CHART, PEER_DEFAULTS, SCENARIOS, VALUES

MANUAL = (CHART / "values.yaml").read_text("utf-8")
HEADING = "# {0}\n# Chapter\n# {0}\n\n".format("-" * 40)


def _all() -> list[Value]:
    return [
        each for chapter in chapters(MANUAL) for value in chapter.values for each in value.each()
    ]


def _book(text: str) -> list[Chapter]:
    return chapters(HEADING + text)


def _schema(text: str) -> dict[str, Any]:
    return schema(_book(text))


def _accepts(text: str, values: dict[str, Any]) -> bool:
    return not list(jsonschema.Draft7Validator(_schema(text)).iter_errors(values))


def test_what_is_made_from_the_manual_is_current() -> None:
    """`make lint` says the same. Seen to fail: a word changed in values.yaml."""
    stale = [path.name for path, text in made(CHART).items() if path.read_text("utf-8") != text]
    assert stale == [], "run: make manual"


def test_every_value_has_its_words() -> None:
    """Seen to fail: the comment of service.port removed."""
    silent = [value.name for value in _all() if not value.words and not _below_free(value)]
    assert len(_all()) > 200
    assert silent == []


def test_the_words_are_sentences() -> None:
    """Seen to fail: `# The port` without a full stop."""
    unfinished = [
        value.name
        for value in _all()
        if value.words and not value.words[-1].startswith(" ") and value.words[-1][-1] not in ".:)`"
    ]
    assert unfinished == []


def test_the_manual_is_not_wider_than_a_page() -> None:
    """Seen to fail: a line of 111 characters."""
    assert [line for line in MANUAL.splitlines() if len(line) > 110] == []


def test_every_example_is_yaml_that_the_schema_takes(render: Renderer) -> None:
    """What stands under `For example` is what people copy.

    Seen to fail: `className nginx` in an example; `minAvailable` under `autoscaling`.
    """
    found = {value.name: example for value in _all() if (example := _example(value))}
    assert len(found) > 20
    validator = jsonschema.Draft7Validator(schema(chapters(MANUAL)))
    for name, example in found.items():
        read = yaml.safe_load(example)
        assert list(read) == [name.rpartition(".")[2]], f"{name}: {example}"
        for parent in reversed(name.split(".")[:-1]):
            read = {parent: read}
        assert list(validator.iter_errors(read)) == [], name


def _example(value: Value) -> str:
    """Return the indented lines at the end of a value's words."""
    lines = [word for word in value.words if word.startswith("  ")]
    return "\n".join(lines)


def _below_free(value: Value) -> bool:
    """Return whether a value stands in a map whose keys are its user's, such as configData."""
    return any(value.name.startswith(f"{free}.") for free in _free_names())


def _free_names() -> list[str]:
    return [value.name for value in _all() if value.children and is_free(value)]


def test_what_is_free_in_the_schema_is_not_looked_into_for_unknown_keys() -> None:
    """Seen to fail: `redis` left out of the list in _unknown.tpl."""
    template = (CHART / "templates" / "_unknown.tpl").read_text("utf-8")
    (listed,) = (line for line in template.splitlines() if "$free := list" in line)
    expected = {name.rpartition(".")[2] for name in _free_names()}
    assert {name for name in expected if f'"{name}"' in listed} == expected


@pytest.mark.parametrize(
    ("default", "taken", "refused"),
    [
        ("true", [False, "false", "true", "", None], ["no", 1, {}, []]),
        ("1", [2, "2", "", None, 0], ["two", 1.5, -1, True, {}]),
        ("0.8", [1, "0.5", None], [True, [], {}]),
        ("text", ["", "x", 7, 1.5, None], [True, [], {}]),
        ("[]", [["a"], None], ["a", {}, 1]),
        ("{}", [{"any": "thing"}, None], ["a", [], 1]),
    ],
)
def test_the_kind_of_a_default_is_the_kind_of_the_value(
    default: str, taken: list[Any], refused: list[Any]
) -> None:
    """Also as `--set` and `--set-string` write it, and `null`.

    Seen to fail: "null" taken out of the kinds; the pattern of integers.
    """
    text = f"# Words.\nvalue: {default}\n"
    assert [given for given in taken if not _accepts(text, {"value": given})] == []
    assert [given for given in refused if _accepts(text, {"value": given})] == []


def test_a_hint_says_what_the_default_cannot() -> None:
    """Seen to fail: `_apply` without the items."""
    text = "# Words.\n# @schema type:[array, object]; item:string\nvalue: []\n"
    assert _accepts(text, {"value": ["a"]})
    assert _accepts(text, {"value": {}})
    assert not _accepts(text, {"value": [1]})
    assert not _accepts("value: [a]\n", {"value": [1]})
    named = "# @schema item:object; itemProperties:{name: {type: string}}\nvalue: []\n"
    assert _accepts(named, {"value": [{"name": "a", "other": 1}]})
    assert not _accepts(named, {"value": [{"name": 1}]})
    enum = "# Words.\n# @schema enum:[a, b]\nvalue: a\n"
    assert _accepts(enum, {"value": "b"})
    assert _accepts(enum, {"value": ""})
    assert not _accepts(enum, {"value": "c"})
    assert not _accepts("# @schema maximum:9\nvalue: 1\n", {"value": 10})


def test_a_section_is_closed_where_it_says_so_and_below() -> None:
    """Seen to fail: `additionalProperties` not written; not handed down."""
    text = "# @schema additionalProperties:false\nsection:\n  known: 1\n  below: {known: 1}\n"
    assert _accepts(text, {"section": {"known": 2}, "other": 1})
    assert not _accepts(text, {"section": {"unknown": 2}})
    assert not _accepts(text, {"section": {"below": {"unknown": 2}}})
    assert _accepts(text.partition("\n")[2], {"section": {"unknown": 2}})


def test_labels_are_texts_and_what_becomes_one() -> None:
    """Seen to fail: podLabels left out of the maps of texts."""
    assert _accepts("podLabels: {}\n", {"podLabels": {"a": 1, "b": True, "c": "x", "d": None}})
    assert not _accepts("podLabels: {}\n", {"podLabels": {"a": {"b": 1}}})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("value: null\n", "null says nothing about its kind"),
        ("# @schema kind:integer\nvalue: null\n", "has no meaning here"),
        ("# @schema type:tuple\nvalue: null\n", "has no ['tuple']"),
    ],
)
def test_what_cannot_be_made_is_named(text: str, told: str) -> None:
    """Seen to fail: a null without a hint taken for an object."""
    with pytest.raises(ManualError, match="value") as caught:
        _schema(text)
    assert told in str(caught.value)


def test_a_value_above_all_headings_is_named() -> None:
    """Seen to fail: such a value left out without a word."""
    with pytest.raises(ManualError, match=r"value \(line 1\) stands above"):
        chapters("value: 1\n" + HEADING)


def test_the_table_stands_between_its_marks() -> None:
    """Seen to fail: `after` left out, which is the rest of the README."""
    book = _book("# One | two.\n#\n# More.\nvalue: 1\n# Section.\nsection:\n  # Of it.\n  key: a\n")
    readme = with_table(f"before\n{BEGIN}\nold\n{END}\nafter\n", book)
    assert readme.startswith(f"before\n{BEGIN}\n")
    assert readme.endswith(f"{END}\nafter\n")
    assert "| `value` | `1` | One \\| two. |" in readme
    assert "| **`section`** | | Section. |" in readme
    assert "| `section.key` | `a` | Of it. |" in readme
    assert "old" not in readme
    with pytest.raises(ManualError, match="has no lines"):
        with_table("no marks", book)


@pytest.mark.parametrize("values", SCENARIOS, ids=lambda path: str(path.relative_to(VALUES)))
def test_the_schema_takes_every_scenario(values: Path) -> None:
    """Seen to fail: no `null` for ingress.tls, as stable 1.9 has it."""
    errors = jsonschema.Draft7Validator(json.loads(made(CHART)[CHART / "values.schema.json"]))
    assert [error.message for error in errors.iter_errors(merged(values))] == []


def test_the_peers_sections_are_open_and_ours_closed(each_helm: Renderer) -> None:
    """Seen to fail: `additionalProperties:false` above persistence; none above networkPolicy."""
    peer = next(path for name, path in PEER_DEFAULTS.items() if name.startswith("twuni"))
    open_ones = {"persistence": {"oldKey": 1}, "anything": {"a": 1}, "global": {"other": 1}}
    assert each_helm(merged(peer, open_ones))
    for section in ("garbageCollect", "networkPolicy", "auth", "tests"):
        error = each_helm.error({section: {"gracePeriode": "1h"}})
        assert section in error
        assert "gracePeriode" in error


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"service": {"port": "http"}}, ("service", "port")),
        ({"persistence": {"enabled": "yes"}}, ("persistence", "enabled")),
        ({"persistence": []}, ("persistence",)),
        ({"extraEnvVars": {"A": "b"}}, ("extraEnvVars",)),
        ({"ingress": {"hosts": "a.example.com"}}, ("ingress", "hosts")),
        ({"image": {"pullPolicy": "IfNotPresnt"}}, ("image", "pullPolicy")),
        ({"garbageCollect": {"restart": "sometimes"}}, ("garbageCollect", "restart")),
        ({"replicaCount": -1}, ("replicaCount",)),
        ({"extraEnvVars": [{"name": 1.5}]}, ("extraEnvVars", "name")),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(
    each_helm: Renderer, values: dict[str, Any], path: tuple[str, ...]
) -> None:
    """Seen to fail: the schema without `properties`, so that a template fails instead."""
    error = each_helm.error(values)
    assert "don't meet the specifications of the schema" in error
    assert all(key in error for key in path), error


def test_what_the_command_line_makes_of_a_value_is_meant(each_helm: Renderer) -> None:
    """Seen to fail: without docker-registry.asMeant, when "false" is true and 3 has no tag."""
    written = {
        "replicaCount": "2",
        "persistence": {"enabled": "false", "deleteEnabled": "true", "size": 10},
        "metrics": {"enabled": "true", "port": "5005"},
        "service": {"type": "NodePort", "nodePort": "30500"},
        "image": {"tag": 3},
        "nameOverride": 12,
        "podLabels": {"number": 1, "yes": True, "none": None},
        "securityContext": {"runAsUser": "1000"},
        "terminationGracePeriodSeconds": "100",
    }
    meant = {
        "replicaCount": 2,
        "persistence": {"enabled": False, "deleteEnabled": True, "size": "10"},
        "metrics": {"enabled": True, "port": 5005},
        "service": {"type": "NodePort", "nodePort": 30500},
        "image": {"tag": "3"},
        "nameOverride": "12",
        "podLabels": {"number": "1", "yes": "true"},
        "securityContext": {"runAsUser": 1000},
        "terminationGracePeriodSeconds": 100,
    }
    given = {"secrets": {"haSharedSecret": "same"}}
    assert each_helm(merged(written, given)) == each_helm(merged(meant, given))


UNKNOWN = {
    "TLS": {},
    "persistance": {"enabled": True},
    "persistence": {"hostpath": {}, "deletEnabled": True},
    "service": {"nodeport": 1},
    "exports": {"a": 1},
    "global": {"anything": 1},
    "podAnnotations": {"x": "y"},
    "configData": {"anything": {"x": 1}},
    "redis": {"pool": {"maxactive": 1}},
    "s3": {"bucket": "b"},
    "containerSecurityContext": {"procMount": "Default"},
}


def test_a_value_that_the_chart_does_not_know_is_named(tmp_path: Path, render: Renderer) -> None:
    """With the name that was perhaps meant; maps whose keys are the user's are not looked into.

    Seen to fail: the condition `has $key $free`; `global` not left out.
    """
    shown = Renderer(_with_template(tmp_path), render.helm)
    (found,) = shown(UNKNOWN, show_only=["templates/unknown.yaml"])
    assert found["unknown"] == [
        "TLS (tls?)",
        "persistance (persistence?)",
        "persistence.deletEnabled (deleteEnabled?)",
        "persistence.hostpath (hostPath?)",
        "service.nodeport (nodePort?)",
    ]
    (nothing,) = shown({}, show_only=["templates/unknown.yaml"])
    assert nothing["unknown"] == []


def _with_template(folder: Path) -> Path:
    """Return a copy of the chart that shows what docker-registry.unknownKeys says."""
    import shutil

    chart = shutil.copytree(CHART, folder / "chart")
    (chart / "templates" / "unknown.yaml").write_text(
        'kind: List\nmetadata: {name: a}\n{{- include "docker-registry.useDefaults" . }}\n'
        'unknown: {{ include "docker-registry.unknownKeys" . }}\n',
        "utf-8",
    )
    return chart
