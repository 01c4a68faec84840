"""One run from its arguments to its report: configuration, lock, collection, what is left behind.

Between the command line, which only parses and prints, and the collection, which only collects.
"""

import contextlib
import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from registry_gc import lock, records, replicas, report
from registry_gc.collect import Collection, recover
from registry_gc.descriptor_cache import Memory
from registry_gc.errors import (
    CollectorError,
    ConfigurationError,
    GuardError,
    StoppedError,
    StorageError,
)
from registry_gc.inventory import check_top
from registry_gc.journal import Journal
from registry_gc.layout import REGISTRY, STATE
from registry_gc.mounts import least_settle_period
from registry_gc.options import CollectOptions
from registry_gc.progress import Progress
from registry_gc.registry_config import RegistryConfig
from registry_gc.replicas import Replicas
from registry_gc.report import Report
from registry_gc.restart import configuration_in_use, find_registries
from registry_gc.storage import FileStore, NoSpaceError

if TYPE_CHECKING:
    from registry_gc.checking.findings import Checked


# Seconds for a replica that has just started to say that it is read-only.
_SAID_BY = 2.5 * replicas.RENEWED
_PAUSE = 0.5  # seconds between two looks


@dataclass(slots=True)
class Run:
    """One run; `environment` is ours, the registry's own is read from its process if it runs."""

    config_path: Path
    options: CollectOptions
    environment: Mapping[str, str]
    stop: Event = field(default_factory=Event)
    run_id: str = ""
    progress: Progress | None = None
    _began: float = 0.0

    def __post_init__(self) -> None:
        """Give the run a name, unless who started it gave one."""
        self.options = self.options.as_if_alone()
        self.run_id = self.run_id or self.environment.get("GC_RUN_ID") or records.new_run_id()

    def collect(self) -> tuple[Report, int]:
        """Collect, or say what would be; return the report and the exit code."""
        self._began = time.monotonic()
        try:
            self.options.check()
            config = self._config()
            store = _store(config)
            if store.stat("docker") is None:
                # Nobody has pushed yet: the registry makes its folders with the first upload.
                return report.of_nothing(self.run_id, dry_run=self.options.dry_run), 0
            if self.options.dry_run:
                return self._plan(config, store)
            with self._held(store):
                return self._collect(config, store)
        except CollectorError as error:
            return self._failed(error)
        finally:
            self._enter("done")

    def recover(self) -> int:
        """End what a dead run left; return how many files were put back. Raises CollectorError."""
        store = _store(self._config())
        if store.stat(STATE) is None:
            return 0
        with self._held(store):
            return recover(store, Journal(store))

    def restore(self) -> list[str]:
        """Put back all that is quarantined; return what that was. Raises CollectorError."""
        store = _store(self._config())
        if store.stat(STATE) is None:
            return []
        with self._held(store):
            journal = Journal(store)
            recover(store, journal)
            return [f"{entry.kind.value} {entry}" for entry in journal.restore()]

    def check(
        self, *, read_data: bool, repair: bool, progress: Callable[[int, int], object]
    ) -> "tuple[Checked, float]":
        """Check the store, and mend what can be mended if asked; return that and the seconds.

        Raises CollectorError.
        """
        from registry_gc.checking.check import Check  # here: a plan starts without all this
        from registry_gc.checking.findings import Checked
        from registry_gc.checking.repair import check_and_repair

        began = time.monotonic()
        store = _store(self._config())
        check = Check(store, read_data, progress=progress)
        if store.stat("docker") is None:
            return Checked(), 0.0
        if repair:
            with self._held(store):
                journal = Journal(store)
                recover(store, journal)
                found = check_and_repair(check, journal, grace=self.options.grace_period)
        else:
            with lock.shared(store):
                found = check.look()
        return check.read(found), time.monotonic() - began

    def last_report(self) -> Report | None:
        """Return what the last collection of this store reported, None if there was none."""
        return records.read_last_report(_store(self._config()))

    def preflight(self, *, write_test: bool) -> str:
        """Return a line of what this image sees of the registry, and one for each thing in its
        configuration that does not do what it seems to. Raises CollectorError.
        """
        config = self._config()
        store = _store(config)
        if write_test:
            _try_writing(store)
        seen = f"the registry stores its data below {store.root} ({config.driver})"
        return "\n".join([seen, *(f"note: {note}" for note in config.notes)])

    @contextlib.contextmanager
    def _held(self, store: FileStore) -> Iterator[None]:
        """Hold the store's lock, and let a full storage be a failure like any other."""
        check_top(store)
        try:
            with lock.held(store, self.run_id):
                yield
        except NoSpaceError as error:
            raise _full(error) from error

    def _config(self) -> RegistryConfig:
        return configuration_in_use(self.config_path, self.environment)

    def _plan(self, config: RegistryConfig, store: FileStore) -> tuple[Report, int]:
        memory = Memory(config, self.config_path)
        plan = self._collection(store, memory).plan()
        return report.of_plan(self.run_id, plan, self._seconds()), int(bool(plan.problems))

    def _collect(self, config: RegistryConfig, store: FileStore) -> tuple[Report, int]:
        others = self._replicas(store, config.drain_timeout)
        is_first = records.may_follow_another(store)
        memory = Memory.of(config, self.config_path, others, is_first=is_first)
        memory.must_be_read_only = self.options.read_only
        try:
            self._check_read_only(config, memory)
            done, code = self._collected(store, memory)
        except StoppedError:
            raise  # the next run makes up for it, so it is none to count from
        except CollectorError as error:
            done, code = self._failed(error)
        finally:
            with contextlib.suppress(StorageError):
                others.end()
        with contextlib.suppress(StorageError, NoSpaceError):
            records.name_store(store)
            stored = {**done, "exitCode": code, "inMemory": memory.may_be_unknown}
            records.write_last_report(store, stored)
        return done, code

    def _replicas(self, store: FileStore, drain_timeout: float = 0.0) -> Replicas:
        return Replicas.of(store, self.run_id, self.environment, drain_timeout)

    def _collected(self, store: FileStore, memory: Memory) -> tuple[Report, int]:
        collection = self._collection(store, memory)
        if self.options.offline:
            self._check_offline(store)
            outcome = collection.run_offline()
        else:
            self._check_devices(store)
            outcome = collection.run()
        return report.of_outcome(self.run_id, outcome, self._seconds()), bool(outcome.problems)

    def _collection(self, store: FileStore, memory: Memory) -> Collection:
        seen = self.progress.seen if self.progress else None
        limit = self.options.max_duration
        ends = self._began + limit.total_seconds() if limit else math.inf
        options = self._patient(store)
        return Collection(store, options, memory, self.stop, self._enter, seen, ends)

    def _patient(self, store: FileStore) -> CollectOptions:
        """Settle for longer where other machines' writes are seen late (attack 10)."""
        settle_period = max(self.options.settle_period, least_settle_period(store.root))
        return replace(self.options, settle_period=settle_period)

    def _check_devices(self, store: FileStore) -> None:
        if not store.is_one_file_system("docker", f"{REGISTRY}/blobs", f"{REGISTRY}/repositories"):
            raise ConfigurationError(
                "nothing was deleted: the root directory spans several file systems",
                why="what is deleted is first moved to a folder beside it, which only works inside "
                "one file system",
                next_step="let `docker/` below the root directory be one file system, or stop the "
                "registry and add --offline",
            )

    def _check_read_only(self, config: RegistryConfig, memory: Memory) -> None:
        """Raise GuardError if nobody was to be able to push, and somebody is."""
        if not self.options.read_only:
            return
        other = self._that_takes_pushes(memory.replicas)
        if memory.is_read_only and not config.proxy and not other:
            return
        if other:
            why = f"the registry of {other}, which has the same store, lets people push"
        elif config.proxy:
            why = "it is a pull-through cache, which writes when people pull, read-only or not"
        elif memory.registries:
            why = f"process {memory.registries[0].pid} lets people push"
        else:
            why = "no process serves this configuration, so what it lets people do is not known"
        raise GuardError(
            "nothing was deleted: the registry is not read-only",
            why=why,
            next_step="collect without --read-only, which is safe while people push; the chart's "
            "hook switches with garbageCollect.readOnly: true",
        )

    def _that_takes_pushes(self, others: Replicas | None) -> str:
        """Return another pod's registry that takes pushes, empty if none does.

        One that has just started read-only says so at its next renewal only.
        """
        until = time.monotonic() + _SAID_BY
        while (other := others.that_takes_pushes() if others else "") and not self.stop.is_set():
            if time.monotonic() > until:
                break
            self.stop.wait(_PAUSE)
        return other

    def _check_offline(self, store: FileStore) -> None:
        if self.options.quarantine:
            raise ConfigurationError(
                "nothing was deleted: --offline removes at once, and a quarantine is asked for",
                why="an offline collection needs no room, so it keeps nothing that could be "
                "restored",
                next_step="add --quarantine 0, or collect without --offline",
            )
        running = [f"process {each.pid}" for each in find_registries(self.config_path)]
        running += [f"the registry of {name}" for name in self._replicas(store).alive()]
        if running:
            raise GuardError(
                "nothing was deleted: a registry uses this store, so it is not offline",
                why=f"{running[0]} serves it",
                next_step="stop it first, or collect without --offline, which is safe beside it; "
                f"one that was killed counts as stopped after {replicas.SILENT:.0f} s",
            )

    def _failed(self, error: CollectorError) -> tuple[Report, int]:
        failure = report.of_failure(
            self.run_id, error, self._seconds(), dry_run=self.options.dry_run
        )
        return failure, error.exit_code

    def _enter(self, phase: str) -> None:
        if self.progress:
            self.progress.enter(phase)
        path = self.environment.get("GC_PROGRESS_FILE")
        if path:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            # Only for who looks on: a full volume under it is no reason to end the run.
            with contextlib.suppress(OSError):
                _replace(Path(path), json.dumps({"run": self.run_id, "phase": phase, "since": now}))

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _store(config: RegistryConfig) -> FileStore:
    if config.driver != "filesystem":
        raise ConfigurationError(
            f"the storage driver {config.driver!r} cannot be collected yet",
            why="this version collects the filesystem driver only",
            next_step="set garbageCollect.enabled: false for this registry",
        )
    return FileStore(config.root)


def _try_writing(store: FileStore) -> None:
    """Make and remove a file where the registry would write its first one."""
    name = f"docker/.registry-gc-write-test-{uuid.uuid4().hex}"
    try:
        store.make_folder("docker")
        store.write(name, b"write test")
        store.remove(name)
    except NoSpaceError:
        return  # full is writable: the collection is what frees it


def _full(error: NoSpaceError) -> StorageError:
    return StorageError(
        "the storage has no room left; everything that was taken was put back",
        why=f"no room for {error}",
        next_step="free a little room; or stop the registry and run "
        "`registry-gc collect --offline`, which needs none",
    )


def _replace(path: Path, content: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(path)
