"""The collector's command line with seams for tests: it can freeze itself at a point of a run.

    python tests/support/stopping_collector.py collect CONFIG ...

STOP_AT=<phase>:<n> freezes the process (SIGSTOP) after the n-th rename or removal in a phase, or
at its beginning for 0. What comes then is the test's choice: SIGCONT, SIGTERM, SIGKILL.
RESTART_TIMEOUT=<seconds> is how long a registry may stay away.
"""

import functools
import os
import signal
import threading

from registry_gc import descriptor_cache
from registry_gc.cli import main
from registry_gc.restart import restart
from registry_gc.run import Run
from registry_gc.storage import FileStore

_WRITES = ("rename", "put_new", "remove", "remove_folder")


class _Freezer:
    """Counts the writes of a phase and freezes the process once."""

    def __init__(self, phase: str, count: int) -> None:
        self._wanted = (phase, count)
        self._now = ("", 0)
        self._lock = threading.Lock()

    def enter(self, phase: str) -> None:
        self._at((phase, 0))

    def wrote(self) -> None:
        self._at((self._now[0], self._now[1] + 1))

    def _at(self, now: tuple[str, int]) -> None:
        with self._lock:
            self._now = now
        if now == self._wanted:
            os.kill(os.getpid(), signal.SIGSTOP)


def _freeze_at(point: str) -> None:
    phase, _, count = point.partition(":")
    freezer = _Freezer(phase, int(count or 0))
    enter = Run._enter

    def entering(run: Run, phase: str) -> None:
        enter(run, phase)
        freezer.enter(phase)

    setattr(Run, "_enter", entering)  # noqa: B010 - mypy sees two methods in an assignment
    for name in _WRITES:
        _count(name, freezer)


def _count(name: str, freezer: _Freezer) -> None:
    method = getattr(FileStore, name)

    @functools.wraps(method)
    def counted(*arguments: object) -> object:
        result = method(*arguments)
        freezer.wrote()
        return result

    setattr(FileStore, name, counted)


if __name__ == "__main__":
    if stop_at := os.environ.get("STOP_AT"):
        _freeze_at(stop_at)
    if timeout := os.environ.get("RESTART_TIMEOUT"):
        patient = functools.partial(restart, timeout=float(timeout))
        setattr(descriptor_cache, "restart", patient)  # noqa: B010 - a name that is not exported
    main()
