"""A real collection and a simulated client that take their steps in any order.

The collection is the package's own over a store in memory; before each of its system calls the
client may take steps. Time is simulated, and only one thing binds the two: a request that runs ends
within its time, so a settle period that is longer than a manifest PUT waits for it.
"""

import re
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import pytest

from registry_gc import collect, healing, inventory, journal
from registry_gc.collect import Collection, Outcome
from registry_gc.errors import CollectorError
from registry_gc.layout import Entry, Kind, digest_text
from registry_gc.options import CollectOptions, duration
from registry_gc.storage import NoSpaceError
from support.memory_files import Clock, Files, MemoryStore
from support.simulated_registry import V2, RefusedError, Registry, Steps, Version, missing

Tagged = tuple[str, Any, str]
"""A repository, an image, and the tag that names it there (or none)."""

_HEX = re.compile(r"[0-9a-f]{64}")
_LOOKS = 25.0  # seconds from one look of the healing to the next; three in a settle period


class Watch:
    """Stands in for the module `time` in the package: the clock of the simulation that runs."""

    def __init__(self) -> None:
        self.sleep: Callable[[float], None] = lambda _seconds: None
        self.clock = Clock()

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Waiting(Event):
    """What a collection waits on: nothing sets it, and waiting takes no time."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        super().__init__()
        self._wait = wait

    def wait(self, timeout: float | None = None) -> bool:
        self._wait(timeout or 0.0)
        return False


@contextmanager
def simulated_time() -> Iterator[Watch]:
    """Let the package live by the simulation's clock, and keep the journal's reserve small."""
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch()
        for module in (collect, healing, inventory):
            patch.setattr(module, "time", watch)
        patch.setattr(healing, "_PASS", _LOOKS)
        patch.setattr(journal, "_RESERVE_NAMES", 1)
        patch.setattr(journal, "_RESERVE_BYTES", 1)
        yield watch


@dataclass(frozen=True)
class Setting:
    """Which registry it is. One that `drains` ends its requests before it ends itself."""

    version: Version
    cache: str = ""
    drains: bool = True

    def __str__(self) -> str:
        kept = {"": "no cache", "inmemory": "in memory", "redis": "redis"}[self.cache]
        return f"{self.version.name}, {kept}{'' if self.drains else ', killed'}"


@dataclass
class Scene:
    """Files that are old, the images in them that are alive, and what the registry remembers."""

    files: Files
    setting: Setting
    alive: list[Tagged]
    remembered: set[tuple[str, str]]


@dataclass
class Schedule:
    """How many steps the client takes at each point: `steps` by the point's number.

    A point is what the collection does to a path of the client's (`relevant`; None: to any path).
    """

    steps: Callable[[int], int]
    relevant: "Footprint | None" = None
    points: int = 0

    def at(self, paths: tuple[str, ...]) -> int:
        if self.relevant and paths and not self.relevant.covers(paths):
            return 0
        self.points += 1
        return self.steps(self.points - 1)


class Footprint:
    """The paths that a client touches, and the folders above them."""

    def __init__(self, touched: Set[str]) -> None:
        self._digests = {found for path in touched for found in _HEX.findall(path)}
        self._paths = set(touched)
        for path in touched:
            while "/" in path:
                path = path.rpartition("/")[0]
                self._paths.add(path)

    def covers(self, paths: tuple[str, ...]) -> bool:
        return any(
            path in self._paths or not self._digests.isdisjoint(_HEX.findall(path))
            for path in paths
        )


ALL = 1_000_000
"""More steps than any client takes."""


@dataclass
class Interleaving:
    """One collection beside one client. `answer` is the client's: 201, or why it was refused."""

    scene: Scene
    client: Callable[[Registry], Steps]
    schedule: Schedule
    watch: Watch
    store_of: Callable[..., MemoryStore] = MemoryStore
    forgets: bool = True
    answer: int | None = None
    steps: int = 0
    error: Exception | None = None
    registry: Registry = field(init=False)
    _generator: Steps = field(init=False)
    _inside: bool = False
    _has_restarted: bool = False

    def __post_init__(self) -> None:
        clock = Clock()
        setting = self.scene.setting
        files = self.scene.files.copy(clock)
        self.registry = Registry(files, setting.version, setting.cache, set(self.scene.remembered))
        self._generator = self.client(self.registry)
        self.watch.clock, self.watch.sleep = clock, self.advance

    @property
    def files(self) -> Files:
        return self.registry.files

    @property
    def mount(self) -> Files:
        """Return the files as the collection sees them."""
        return self.registry.files

    def run(self) -> None:
        """Collect beside the client, and let the client end what it began."""
        try:
            self.collect()
        except (CollectorError, NoSpaceError) as error:
            self.error = error
        while self.step():
            pass

    def collect(self) -> Outcome:
        options = CollectOptions(grace_period=duration("1h"), settle_period=duration("60s"))
        store = self.store_of(self.mount, self.point)
        return Collection(
            store, options, self, Waiting(self.advance), lambda _phase: self.point("phase")
        ).run()

    def step(self) -> bool:
        """Let the client take one step; False when it has ended."""
        if self.answer is not None:
            return False
        self.steps += 1
        try:
            next(self._generator)
        except StopIteration:
            self.answer = 201
        except RefusedError as refused:
            self.answer = refused.status
        return self.answer is None

    def point(self, _call: str, *paths: str) -> None:
        """Let the client take the steps that are its turn before this call of the collection."""
        if self._inside or self.answer is not None:
            return
        self._inside = True
        wanted = self.schedule.at(paths)
        while wanted and self.step():
            wanted -= 1
        self._inside = False

    def advance(self, seconds: float) -> None:
        """Let time pass; a request that has to be over by then is ended first."""
        clock = self.watch.clock
        until = clock.monotonic() + max(0.0, seconds)
        while self.registry.due is not None and self.registry.due <= until:
            clock.advance(self.registry.due - clock.monotonic())
            self._end_request()
        clock.advance(until - clock.monotonic())
        self.point("wait")

    def _end_request(self) -> None:
        due = self.registry.due
        while due is not None and self.registry.due == due:
            self.step()

    # What a collection asks of the registry's memory

    def check(self, option: str) -> None:
        """Allow every collection."""

    @property
    def is_shared(self) -> bool:
        return self.scene.setting.cache == "redis"

    def forget(self, entries: Set[Entry], meanwhile: Callable[[float], None]) -> int:
        if not self.forgets:
            return 0
        if self.scene.setting.cache == "redis":
            self._forget_keys(entries)
        if self.scene.setting.cache != "inmemory" or self._has_restarted:
            return 0
        self._has_restarted = True
        if self.scene.setting.drains:
            self._end_request()
        elif self.registry.due is not None and self.answer is None:
            self._generator.close()
            self.answer = 0
        self.registry.is_down = True
        meanwhile(1.0)
        self.registry.is_down = False
        self.registry.remembered.clear()
        return 1

    def _forget_keys(self, entries: Set[Entry]) -> None:
        """Do what registry_gc.redis_cache does: keys of links, and of blobs everywhere."""
        links = {
            (each.repository, digest_text(each.digest))
            for each in entries
            if each.kind in (Kind.LAYER_LINK, Kind.REVISION_LINK) and each.digest
        }
        blobs = {digest_text(e.digest) for e in entries if e.kind is Kind.BLOB and e.digest}
        known = self.registry.remembered
        self.registry.remembered = {
            key for key in known if key not in links and key[1] not in blobs
        }

    # What became of it

    def lost(self, kept: list[Tagged]) -> list[str]:
        """Return what a pull of these would miss."""
        return [path for tagged in kept for path in missing(self.files, *tagged)]

    def left(self, kept: list[Tagged]) -> list[str]:
        """Return the registry's files that none of these needs."""
        before = set(self.files.paths(V2))
        other = Files(Clock())
        for repository, wanted, tag in kept:
            needed = missing(other, repository, wanted, tag)
            before -= set(needed)
            before -= {
                f"{V2}/repositories/{repository}/_manifests/tags/{tag}/index/"
                f"{wanted.digest.replace(':', '/')}/link"
            }
        return sorted(before)
