"""A role's environment: forms, defaults, and errors that name the variable."""

from datetime import timedelta

import pytest

from registry_gc.environment import length, port
from registry_gc.errors import ConfigurationError

DEFAULT = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 60), ({"GC_X": ""}, 60), ({"GC_X": " 90s "}, 90), ({"GC_X": "0"}, 0)],
)
def test_a_length(given: dict[str, str], expected: int) -> None:
    assert length(given, "GC_X", DEFAULT) == timedelta(seconds=expected)


def test_a_plain_number_is_seconds_only_where_it_says_so() -> None:
    """Seen to fail: take it everywhere."""
    assert length({"GC_X": "5"}, "GC_X", DEFAULT, bare_seconds=True) == timedelta(seconds=5)
    with pytest.raises(ConfigurationError, match="GC_X: '5' is not a duration"):
        length({"GC_X": "5"}, "GC_X", DEFAULT)


@pytest.mark.parametrize("text", ["soon", "-1s", "\N{SUPERSCRIPT TWO}", "9" * 30])
def test_what_is_no_length_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="GC_X"):
        length({"GC_X": text}, "GC_X", DEFAULT, bare_seconds=True)


def test_a_port() -> None:
    assert port({}, "GC_PORT", 5002) == 5002
    assert port({"GC_PORT": "8080"}, "GC_PORT", 5002) == 8080


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "5002/tcp", "\N{SUPERSCRIPT TWO}"])
def test_what_is_no_port_is_named(text: str) -> None:
    """Seen to fail: `int` alone, as the hook had it: a traceback."""
    with pytest.raises(ConfigurationError, match="GC_PORT"):
        port({"GC_PORT": text}, "GC_PORT", 5002)
