"""Waiting for a condition instead of sleeping for a guess."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_BETWEEN = 0.02  # seconds between two looks


def until(
    condition: Callable[[], T], *, timeout: float = 30, what: str, pause: float = _BETWEEN
) -> T:
    """Return the first true answer of `condition`. Raises AssertionError after `timeout` s."""
    deadline = time.monotonic() + timeout
    never = threading.Event()
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"after {timeout:g} s still not: {what}"
        never.wait(pause)
    return answer
