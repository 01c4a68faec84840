"""What a collection is asked to do: one frozen object, built at the edge and passed on whole."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Literal

from registry_gc.errors import ConfigurationError

Restart = Literal["auto", "always", "never"]

_UNITS: Mapping[str, timedelta] = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def duration(text: str) -> timedelta:
    """Return the length of `90s`, `15m`, `1h30m`, `7d` or `0`.

    Raises ConfigurationError for anything else: a bare number has no unit to go by.
    """
    text = text.strip()
    if re.fullmatch(r"0+", text):
        return timedelta()
    if _WHOLE.fullmatch(text):
        with contextlib.suppress(OverflowError):
            return sum(
                (float(number) * _UNITS[unit] for number, unit in _PART.findall(text)),
                start=timedelta(),
            )
    raise ConfigurationError(
        f"{text!r} is not a duration",
        why="a duration is a number and a unit",
        next_step="write it like 90s, 15m, 1h or 7d",
    )


def nanoseconds(length: timedelta) -> int:
    """Return a length in the unit of the storage's times; exact, which a float would not be."""
    return length // timedelta(microseconds=1) * 1000


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """How one collection is to run; the fields are the command line's options.

    `grace_period` is the least age of what may go, `settle_period` the wait between the unlinking
    and the burial and again between the burial and the removal. `max_delete_ratio` is a share of
    the blobs, 0 to 1. `repositories` are patterns as of a shell, where `*` stands for slashes too;
    none means all. After `max_duration` a run that has not decided what to remove ends. With
    `read_only` nobody can push, so nothing is waited for: see `as_if_alone`.
    """

    grace_period: timedelta = timedelta(hours=1)
    settle_period: timedelta = timedelta(seconds=60)
    upload_grace_period: timedelta = timedelta(days=7)
    delete_untagged: bool = True
    restart: Restart = "auto"
    offline: bool = False
    quarantine: timedelta = timedelta()
    max_delete_ratio: float = 0.8
    dry_run: bool = False
    repositories: tuple[str, ...] = ()
    max_duration: timedelta | None = None
    read_only: bool = False

    def as_if_alone(self) -> "CollectOptions":
        """Return what a run goes by: while the registry is read-only both periods are zero."""
        if not self.read_only:
            return self
        return replace(self, grace_period=timedelta(), settle_period=timedelta())

    def may_unlink(self, repository: str) -> bool:
        """Say whether anything of this repository may go; what is in it is marked in any case."""
        return not self.repositories or any(
            fnmatchcase(repository, pattern) for pattern in self.repositories
        )

    def check(self) -> None:
        """Raise ConfigurationError for what could never work."""
        if self.max_duration is None or self.dry_run or self.offline:
            return
        if self.max_duration <= (least := 2 * self.settle_period):
            raise ConfigurationError(
                f"nothing was deleted: a collection cannot end within {self.max_duration}",
                why=f"it settles twice, which takes {least} by itself",
                next_step="raise --max-duration, or lower --settle-period",
            )
