"""What a sidecar does so that a collection in another pod can make its registry forget.

It registers before its registry starts, says every few seconds that it is alive, and starts the
registry anew when a run asks for that. One that cannot say so ends its registry: others will count
it as gone, and what it has in memory must not be served then.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from registry_gc.descriptor_cache import Memory
from registry_gc.errors import CollectorError, ConfigurationError, RegistryDownError
from registry_gc.registry_http import answers, is_registry_at, url_of
from registry_gc.replicas import (
    RENEWED,
    REPLICAS,
    SILENT,
    Replica,
    folder_of,
    own_name,
    remove_replica,
    run_that_buried,
)
from registry_gc.restart import configuration_in_use, end, find_registries, restart
from registry_gc.storage import FileStore, NoSpaceError

log = logging.getLogger("registry_gc.sidecar")

_LOOK = 1.0  # seconds between two looks for what is asked
_LARGEST = 4096  # bytes
_LAST_WORD = 5.0  # seconds


@dataclass(slots=True)
class Registration:
    """The registration of one sidecar, kept by two threads of its own.

    `look`, `renewed` and `silent` are the seconds of `_LOOK`, RENEWED and SILENT.
    """

    config_path: Path
    environment: Mapping[str, str]
    look: float = _LOOK
    renewed: float = RENEWED
    silent: float = SILENT
    _said: Replica | None = None
    _store: FileStore | None = None
    _has_others: bool = False
    _renewed_at: float = 0.0
    _keeper: threading.Thread | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _failing: set[str] = field(default_factory=set)
    _soon: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Register, and go on to say so. Returns when the first attempt has been made."""
        self._try(self._renew)
        self._keeper = threading.Thread(target=self._keep, name="keep", daemon=True)
        self._keeper.start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def say_anew(self, timeout: float) -> None:
        """Have what this replica is looked at again and said, now; wait for that so many seconds.

        A registry that was started anew may keep other things in memory than the one before.
        """
        self._soon.set()
        until = time.monotonic() + timeout
        while self._soon.is_set() and time.monotonic() < until and not self._ended.wait(0.02):
            pass

    def withdraw(self) -> None:
        """Take the registration back, unless the registry goes on without this sidecar."""
        self._ended.set()
        if self._keeper is not None:
            # Or it might register once more what is being removed. Not for ever: a volume may hang.
            self._keeper.join(_LAST_WORD)
        if self._store is not None and not find_registries(self.config_path):
            self._try(self._remove)

    def _keep(self) -> None:
        while not self._ended.wait(self.look):
            self._renew_if_due()
            self._try(self._obey)

    def _watch(self) -> None:
        """End the registry once this sidecar has been silent for too long; touches no volume.

        Again each time it has been silent for as long once more: what was started since may
        remember what a collection buries, and nobody asks this replica any more.
        """
        ended_at = 0.0
        while not self._ended.wait(self.look):
            since = max(self._renewed_at, ended_at)
            if self._is_counted_on() and time.monotonic() - since > self.silent:
                log.error(
                    "the volume did not answer for %.0f s: ending the registry, because another "
                    "replica's collection cannot clear its memory",
                    self.silent,
                )
                _end_all(self.config_path)
                ended_at = time.monotonic()

    def _is_counted_on(self) -> bool:
        """Say whether another replica might count this one as gone."""
        return self._has_others and self._said is not None and self._said.in_memory

    def _renew_if_due(self) -> None:
        is_due = time.monotonic() - self._renewed_at >= self.renewed
        if self._soon.is_set() or is_due:
            self._try(self._renew)
            self._soon.clear()

    def _renew(self) -> None:
        """Say that this replica is alive, and what it is if that has changed."""
        began = time.monotonic()
        now = self._replica()
        if self._store is None or now is None:
            return
        path = f"{folder_of(now.name)}/alive"
        is_known = self._store.touch(path)
        forgotten = not is_known and self._may_have_been_forgotten(now)
        if not is_known and not forgotten:
            now = replace(now, after=self._after_what(now))
        if not is_known or self._said is None or replace(self._said, after="") != now:
            self._store.write(path, now.to_json())
            self._said = now
        if forgotten:
            # Only now: a volume that takes no file would have it ended again and again. Until it
            # is written nobody counts on this replica.
            _end_all(self.config_path)
        self._has_others = len(self._store.list(REPLICAS).folders) > 1
        self._renewed_at = began

    def _may_have_been_forgotten(self, now: Replica) -> bool:
        """Say whether collections may have passed by a registry that runs here unknown.

        A machine that was paused is counted as gone, by a clock that it did not hear.
        """
        if self._store is None or not now.in_memory:
            return False
        others = set(self._store.list(REPLICAS).folders) - {now.name}
        runs = bool(find_registries(self.config_path))
        return runs and (bool(others) or self._said is not None)

    def _after_what(self, now: Replica) -> str:
        """Return the run that buried before any registry ran here, empty if that is not sure."""
        if self._store is None:
            return ""
        run = run_that_buried(self._store)  # first: a registry may start while we look
        return "" if find_registries(self.config_path) or is_registry_at(now.url) else run

    def _replica(self) -> Replica | None:
        """Return what this replica is now, None if its registry has no store on a volume."""
        try:
            config = configuration_in_use(self.config_path, self.environment)
        except ConfigurationError:
            # A file that was edited into nonsense says nothing of the registry that runs.
            if self._said is None:
                raise
            return replace(self._said, after="")
        if config.driver != "filesystem":
            return None
        self._store = FileStore(config.root)
        host = self.environment.get("GC_POD_IP", "")
        memory = Memory.of(config, self.config_path)
        # Before its registry starts, one does not know what that will be: it counts as the other.
        return Replica(
            own_name(self.environment),
            host,
            url_of(config, host),
            memory.in_memory,
            read_only=memory.is_read_only,
        )

    def _obey(self) -> None:
        """Start the registry anew if a run asks for it, and say so."""
        if self._store is None or self._said is None:
            return
        folder = folder_of(self._said.name)
        # Taken away before anything is done: a later run's request must not be answered by it.
        self._store.rename(f"{folder}/asked", f"{folder}/obeyed")
        found = self._store.read(f"{folder}/obeyed", _LARGEST)
        if found is None:
            return
        run = found[0].decode(errors="replace")
        log.info("run %s of another replica asks for a restart of the registry", run)
        config = configuration_in_use(self.config_path, self.environment)
        registries = find_registries(self.config_path)
        if not registries and answers(config):
            raise RegistryDownError(
                "the registry cannot be restarted",
                why="it answers, but its process cannot be seen from here",
                next_step="let the pod share its process namespace, as the chart does",
            )
        for registry in registries:
            restart(registry, config, self.config_path, meanwhile=self._wait)
        self._store.rename(f"{folder}/obeyed", f"{folder}/forgot")

    def _wait(self, seconds: float) -> None:
        self._renew_if_due()
        self._ended.wait(seconds)

    def _remove(self) -> None:
        if self._store is None or self._said is None:
            return
        remove_replica(self._store, self._said.name)

    def _try(self, act: Callable[[], None]) -> None:
        """Do it; a failure is said once, and the next look tries again."""
        name = act.__name__
        try:
            act()
        except (CollectorError, NoSpaceError) as error:
            if name not in self._failing:
                log.warning("this replica's registration: %s", str(error).replace("\n", "; "))
            self._failing.add(name)
        else:
            self._failing.discard(name)


def _end_all(config_path: Path) -> None:
    for registry in find_registries(config_path):
        with suppress(RegistryDownError):
            end(registry)
