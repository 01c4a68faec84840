"""Failures that their reader can act on, each with its documented exit code."""

from collections.abc import Mapping


class CollectorError(Exception):
    """A failure in three lines: what happened (is my data safe?), why, and what to do next."""

    exit_code = 5

    def __init__(self, what: str, *, why: str, next_step: str) -> None:
        super().__init__(f"{what}\n  why:  {why}\n  next: {next_step}")
        self.what = what
        self.why = why
        self.next_step = next_step


class ConfigurationError(CollectorError):
    """Wrong usage, or a configuration that the registry itself would refuse."""

    exit_code = 2


class GuardError(CollectorError):
    """A guard refused; the store is as it was."""

    exit_code = 3


class LockedError(CollectorError):
    """Another collector holds this store; `holder` is what it wrote about itself."""

    exit_code = 4

    def __init__(
        self, what: str, *, why: str, next_step: str, holder: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.holder = dict(holder or {})


class StorageError(CollectorError):
    """The storage failed; what was taken from it has been put back where that was possible."""

    exit_code = 5


class RegistryDownError(CollectorError):
    """The registry did not come back after its restart; everything has been put back."""

    exit_code = 6


class StoppedError(CollectorError):
    """The run was told to stop before its removal; everything has been put back."""

    exit_code = 1


class AnswerError(CollectorError):
    """A registry answered, but not as one that works."""

    exit_code = 1


class RefusedError(CollectorError):
    """A registry did not let us in."""

    exit_code = 3


class UnreachableError(CollectorError):
    """Nothing answered where a registry should be."""

    exit_code = 6
