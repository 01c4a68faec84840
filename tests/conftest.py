"""The plugins of all tests: pytest loads them from no folder further down."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest_plugins = ["helm_chart_test.plugin", "pytester"]

# A test that is slow once on a busy machine has found nothing.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture
def same_signals() -> Iterator[None]:
    """Have SIGTERM do afterwards what it did: commands that run in this process change it."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
