"""Scalars, durations and printed values as Go and yaml.v2 have them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_gc.registry_config.go_types import (
    ANY,
    DURATION,
    PARAMETERS,
    STRING,
    AnyMap,
    StringMap,
)
from registry_gc.registry_config.scalars import duration, resolve, sprint
from registry_gc.registry_config.yaml_v2 import DecodeError, decode, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("y", "Y", "yes", "YES", "true", "on", "On")),
        *((word, False) for word in ("n", "N", "no", "off", "OFF", "False")),
        *((word, "".join(word)) for word in ("yEs", "oN", "tRue", "yy", "None")),
        *((word, None) for word in ("", "~", "null", "NULL")),
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("0123", 83),
        ("0o17", 15),
        ("08", 8.0),
        ("0x1F", 31),
        ("-0b11", -3),
        ("0b12", "0b12"),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("1:30", "1:30"),
        ("1.2.3", "1.2.3"),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("+9223372036854775808", 2.0**63),
        ("-9223372036854775808", -(2**63)),
        ("1e999", "1e999"),
        ("2024-01-01", "2024-01-01"),
        ("<<", "<<"),
    ],
)
def test_scalars_have_the_types_of_yaml_v2(text: str, value: object) -> None:
    found = resolve(text)

    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("1h30m", 5400 * 10**9),
        ("-1.5s", -1_500_000_000),
        (".5ms", 500_000),
        ("1us", 1000),
        ("1µs", 1000),
        ("5", None),
        ("", None),
        ("s", None),
        ("1d", None),
        ("1s ", None),
        ("9223372036854775807ns", 2**63 - 1),
        ("9223372036854775808ns", None),
        ("-9223372036854775808ns", -(2**63)),
    ],
)
def test_durations_are_gos(text: str, nanoseconds: int | None) -> None:
    assert duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "<nil>"),
        (True, "true"),
        (5, "5"),
        (1000.0, "1000"),
        (123456.0, "123456"),
        (1234567.0, "1.234567e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-1.5e20, "-1.5e+20"),
        (0.0, "0"),
        (float("inf"), "+Inf"),
        ([None, "a"], "[<nil> a]"),
    ],
)
def test_values_print_as_in_go(value: object, text: str) -> None:
    assert sprint(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ("!!binary aGk=", "hi"),
        ("!custom 5", "5"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_tags_and_nesting(text: str, value: object) -> None:
    assert decode(parse(text), ANY) == value


@pytest.mark.parametrize("text", ["!!int x", "!!binary '*'", "{[a]: b}", "&a [*a]", "<<: 5", "*a"])
def test_what_yaml_v2_refuses(text: str) -> None:
    with pytest.raises(DecodeError):
        decode(parse(text), ANY)


def test_numbers_where_a_duration_belongs_are_nanoseconds() -> None:
    assert decode(parse("1e9"), DURATION) == 10**9


def test_a_map_knows_where_it_comes_from() -> None:
    outer = decode(parse("{a: {b: 1}}"), PARAMETERS)

    assert type(outer) is StringMap
    assert type(outer["a"]) is AnyMap


@settings(deadline=None)
@given(st.text(max_size=20))
def test_any_text_as_a_root_directory_is_kept_when_quoted(text: str) -> None:
    """A string field takes a quoted scalar as it is."""
    quoted = "'" + text.replace("'", "''") + "'"
    try:
        found = decode(parse(quoted), STRING)
    except DecodeError:
        return  # a control character, or a line break that YAML folds away
    if "\n" not in text and text == text.strip() and text.isprintable():
        assert found == text
