"""What a role's environment says; every error names its variable."""

import os
from collections.abc import Mapping
from datetime import timedelta

from registry_gc.addresses import Address
from registry_gc.errors import ConfigurationError
from registry_gc.options import duration


def is_in_cluster(environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether this runs in a pod, from where other pods can be reached."""
    return bool(environment.get("KUBERNETES_SERVICE_HOST"))


def length(
    environment: Mapping[str, str], name: str, default: timedelta, *, bare_seconds: bool = False
) -> timedelta:
    """Return a duration, the default where it is empty; `bare_seconds` also takes a plain number.

    Raises ConfigurationError.
    """
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        return duration(f"{text}s" if bare_seconds and text.isdecimal() else text)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{name}: {error.what}", why=error.why, next_step=error.next_step
        ) from error


def addresses(environment: Mapping[str, str], name: str) -> tuple[Address, ...]:
    """Return addresses with spaces between them. Raises ConfigurationError."""
    try:
        return tuple(map(Address.parse, environment.get(name, "").split()))
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{name}: {error.what}", why=error.why, next_step=error.next_step
        ) from error


def port(environment: Mapping[str, str], name: str, default: int) -> int:
    """Return a TCP port, the default where it is empty. Raises ConfigurationError."""
    text = environment.get(name, "").strip() or str(default)
    # Not `isdigit`, which also takes what `int` refuses, such as a superscript.
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ConfigurationError(
            f"{name}: {text!r} is not a port",
            why="it is where a program of the registry's pod listens, on TCP",
            next_step="write a number from 1 to 65535, such as 5002",
        )
    return int(text)


def switch(environment: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return whether something is on, the default where it is empty. Raises ConfigurationError."""
    text = environment.get(name, "").strip().lower()
    if text not in ("", "true", "false"):
        raise ConfigurationError(
            f"{name}: {text!r} is neither true nor false",
            why="it switches something on or off",
            next_step="write true or false",
        )
    return text == "true" if text else default


def required(environment: Mapping[str, str], name: str, what: str, consequence: str) -> str:
    """Return what must be said. Raises ConfigurationError, which names it and what it is."""
    text = environment.get(name, "").strip()
    if not text:
        raise ConfigurationError(
            f"{consequence}: {what} is not known",
            why=f"{name} is not set",
            next_step=f"set {name}, as the chart does",
        )
    return text
