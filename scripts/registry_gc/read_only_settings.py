"""What a switch to read-only and back is told."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from registry_gc.environment import length, required
from registry_gc.errors import ConfigurationError
from registry_gc.ownership import Owner
from registry_gc.sidecars import Access

NOTHING = "the registry was not switched"

_LEAST, _MOST = timedelta(seconds=10), timedelta(days=30)


@dataclass(frozen=True)
class ReadOnlySettings:
    """`mode` is the ConfigMap, `holder` who switches, `expires` for how long it holds unless it is
    said again; `timeout` is for all registries to come back."""

    owner: Owner
    mode: str
    selector: str
    access: Access
    holder: str
    expires: timedelta = timedelta(minutes=10)
    timeout: timedelta = timedelta(minutes=15)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], owner: Owner, selector: str, access: Access
    ) -> "ReadOnlySettings":
        """Read GC_MODE, GC_POD_NAME, GC_READ_ONLY_EXPIRES and GC_READ_ONLY_TIMEOUT.

        Raises ConfigurationError, which names the variable.
        """
        expires = length(environment, "GC_READ_ONLY_EXPIRES", cls.expires)
        timeout = length(environment, "GC_READ_ONLY_TIMEOUT", cls.timeout)
        return cls(
            owner,
            required(environment, "GC_MODE", "the ConfigMap that makes it read-only", NOTHING),
            selector,
            access,
            environment.get("GC_POD_NAME", "").strip() or os.uname().nodename,
            _bounded("GC_READ_ONLY_EXPIRES", expires),
            _bounded("GC_READ_ONLY_TIMEOUT", timeout),
        )

    def lasting(self, how_long: timedelta) -> "ReadOnlySettings":
        """Return the same for another time, as a person asks for it. Raises ConfigurationError."""
        return replace(self, expires=_bounded("--for", how_long))


def _bounded(name: str, given: timedelta) -> timedelta:
    if _LEAST <= given <= _MOST:
        return given
    raise ConfigurationError(
        f"{NOTHING}: {name}: {given} is too {'short' if given < _LEAST else 'long'}",
        why="it is said again four times within that time, and ends by itself after it",
        next_step="write a time from 10s to 30d, such as 10m",
    )
