"""A registry for each test, in a folder of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.registry_process import RegistryProcess

StartRegistry = Callable[..., RegistryProcess]


@pytest.fixture
def start_registry(tmp_path: Path) -> Iterator[StartRegistry]:
    """Return a function that starts a registry with the given options; all stop with the test."""
    with ExitStack() as stack:
        count = 0

        def start(**options: Any) -> RegistryProcess:
            nonlocal count
            count += 1
            registry = RegistryProcess(tmp_path / f"registry-{count}", **options)
            return stack.enter_context(registry)

        yield start
