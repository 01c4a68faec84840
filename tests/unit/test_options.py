"""Durations, as people write them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_gc.errors import ConfigurationError
from registry_gc.options import CollectOptions, duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604800), ("1h30m", 5400), ("0", 0), ("0s", 0),
     ("500ms", 0.5), ("1.5h", 5400), (" 1h ", 3600)],
)  # fmt: skip
def test_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1x", "-1h", "1h 30m", "1,5h", "inf", "1e3s", "9" * 20 + "d"]
)
def test_anything_else_is_refused_with_the_accepted_forms(text: str) -> None:
    """A grace period that was misread could be none."""
    with pytest.raises(ConfigurationError, match="90s, 15m, 1h or 7d"):
        duration(text)


@given(st.integers(0, 10**6), st.sampled_from("smhd"))
def test_every_unit_counts(number: int, unit: str) -> None:
    assert duration(f"{number}{unit}") == number * duration(f"1{unit}")


def test_while_nobody_can_push_nothing_is_waited_for() -> None:
    """Seen to fail: keep one of the two periods."""
    asked = CollectOptions(grace_period=duration("1h"), settle_period=duration("1m"))
    alone = replace(asked, read_only=True).as_if_alone()

    assert asked.as_if_alone() == asked
    assert (alone.grace_period, alone.settle_period) == (duration("0"), duration("0"))
    assert alone.upload_grace_period == asked.upload_grace_period
