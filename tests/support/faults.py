"""A file system that dies or fails at its n-th change, as the collector's storage sees it.

It stands in for the module `os` (and for `open`) inside `registry_gc.storage`, so every system call
that changes something is a point, also those inside one operation of the store: between `link` and
`unlink`, between `mkdir` and `rename`, and each folder that `makedirs` makes. What a test does by
itself is not counted.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from registry_gc import storage
from registry_gc.errors import StorageError
from registry_gc.storage import FileStore, Listing, Stat

CHANGES = (
    "rename", "replace", "link", "unlink", "rmdir", "mkdir", "posix_fallocate", "utime", "chown",
)  # fmt: skip


class Died(BaseException):
    """The process was killed; nothing of it runs after that."""


@dataclass
class Faults:
    """Stops counting at the `at`-th change (from 0): `meet` then says what happens.

    `calls` names every change that was tried. With `lasting`, every change after it meets the same.
    """

    at: int
    meet: Callable[[str], None]
    lasting: bool = False
    calls: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Whether the point was reached."""
        return len(self.calls) > self.at

    def __getattr__(self, name: str) -> Any:
        if name not in CHANGES:
            return getattr(os, name)
        function = getattr(os, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self.count(name)
            return function(*arguments, **named)

        return counted

    def fsync(self, descriptor: int) -> None:
        """Count, and do nothing: no test pulls the plug, and it takes most of the time."""
        self.count("fsync")

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make each folder that is missing; every one is a change."""
        missing = []
        while not os.path.isdir(path):  # noqa: PTH112 - as the storage names them
            missing.append(path)
            path = os.path.dirname(path)  # noqa: PTH120
        for folder in reversed(missing):
            self.mkdir(folder)

    def open_file(self, path: str, mode: str = "r", **named: Any) -> Any:
        """Open a file; to make one is a change, and to write to it."""
        if "w" not in mode:
            return open(path, mode, **named)  # noqa: PTH123 - what the storage itself calls
        self.count("open")
        return Written(open(path, mode, **named), self)  # noqa: PTH123

    def count(self, name: str) -> None:
        self.calls.append(name)
        number = len(self.calls) - 1
        if number == self.at or (self.lasting and number > self.at):
            self.meet(name)


class Written:
    """An open file whose writes count."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, content: bytes) -> int:
        self._faults.count("write")
        return int(self._file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "Written":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def dies(name: str) -> None:
    raise Died(name)


def fails(number: int) -> Callable[[str], None]:
    """Return what raises the OSError of this number."""

    def meet(name: str) -> None:
        raise OSError(number, os.strerror(number), name)

    return meet


def install(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> Faults:
    """Let the storage meet these faults until `monkeypatch` ends."""
    monkeypatch.setattr(storage, "os", faults)
    monkeypatch.setattr(storage, "open", faults.open_file, raising=False)
    return faults


class Unreadable(FileStore):
    """A store in which some folders cannot be listed and some files cannot be read."""

    def __init__(self, root: str, *, folder: str = "", file: str = "", stat: str = "") -> None:
        super().__init__(root)
        self.folder, self.file, self.status = folder, file, stat

    def list(self, path: str) -> Listing:
        if self.folder and path.endswith(self.folder):
            raise _error("list", path)
        return super().list(path)

    def read(self, path: str, limit: int) -> tuple[bytes, Stat] | None:
        if self.file and path.endswith(self.file):
            raise _error("read", path)
        return super().read(path, limit)

    def stat(self, path: str) -> Stat | None:
        if self.status and path.endswith(self.status):
            raise _error("look at", path)
        return super().stat(path)


def _error(what: str, path: str) -> StorageError:
    return StorageError(
        f"the storage failed: cannot {what} {path}", why="Input/output error", next_step="none"
    )
