"""What must happen so that every registry of a store forgets what was deleted.

A registry with a descriptor cache answers from it even for what is gone: a push is then told that
its layers exist, and up to v3.1.1 a manifest is accepted and never written (reference: distribution
issues 3743, 4269). One in memory goes with the process, one in Redis key by key. Without a cache
nothing is to do.
"""

import contextlib
import math
import re
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from registry_gc import registry_config
from registry_gc.errors import GuardError, StoppedError, StorageError
from registry_gc.layout import Entry
from registry_gc.options import Restart
from registry_gc.registry_config import RegistryConfig
from registry_gc.replicas import Replicas
from registry_gc.restart import (
    RegistryProcess,
    fault_of_certificate,
    find_registries,
    restart,
)

_CLOCK_ERROR = 2.0  # seconds; a process's start is only known to the second of the boot


@dataclass(slots=True)
class Memory:
    """Whether the registries of a store keep descriptors in memory or in Redis.

    `registries` are those that serve this configuration here, at the start of the run; `edited` is
    the configuration's mtime then. `replicas` are those of other pods, None for who asks only
    about this one; `is_first` says that registries of before, which nobody knows, may still serve.
    `is_read_only` says that every process here was started so that nobody can push; with
    `must_be_read_only` it has to stay so until nothing can be lost any more.
    """

    config: RegistryConfig
    config_path: Path
    registries: list[RegistryProcess] = field(default_factory=list)
    edited: float = 0.0
    replicas: Replicas | None = None
    is_first: bool = False
    all_known: bool = False
    is_read_only: bool = False
    must_be_read_only: bool = False
    _has_restarted: bool = False

    @classmethod
    def of(
        cls,
        config: RegistryConfig,
        config_path: Path,
        replicas: Replicas | None = None,
        *,
        is_first: bool = False,
    ) -> "Memory":
        """Look at the processes that run now, each of which has variables of its own."""
        registries = find_registries(config_path)
        configs = [registry_config.load(config_path, each.environment) for each in registries]
        caches = {each.cache for each in configs}
        redis = next((each.redis for each in configs if each.redis), config.redis)
        config = replace(config, redis=redis)
        for cache in ("redis", "inmemory"):  # of several, the one that takes the most care
            if cache in caches:
                config = replace(config, cache=cache)
        found = cls(config, config_path, registries, _edited(config_path), replicas, is_first)
        found.is_read_only = bool(configs) and all(each.read_only for each in configs)
        return found

    @property
    def in_memory(self) -> bool:
        """Whether some registry here may answer a push from memory.

        Not one that is read-only: it takes no push, and what ends that is its next start, which has
        an empty memory.
        """
        return self.caches_in_memory and not self.is_read_only

    @property
    def caches_in_memory(self) -> bool:
        """Whether some registry here keeps descriptors in memory.

        A process has what it read at its start. What an edited file said then is not known, so
        it counts as in memory.
        """
        return self.config.cache == "inmemory" or any(
            self.edited > registry.started + _CLOCK_ERROR for registry in self.registries
        )

    @property
    def anywhere_in_memory(self) -> bool:
        """Whether some registry of the store may, here or in another pod. Raises StorageError."""
        return self.in_memory or (self.replicas is not None and self.replicas.in_memory)

    @property
    def is_shared(self) -> bool:
        """Whether registries share a cache, into which each can write at any time."""
        return self.config.redis is not None

    def check(self, option: Restart) -> None:
        """Raise GuardError if a collection could not make the registries forget."""
        if self.is_shared:
            from registry_gc import redis_cache  # here, because the sidecar's process is small

            redis_cache.check(self.config.redis)
        self._check_all_known()
        if not self.anywhere_in_memory:
            return
        if option != "always":
            raise GuardError(
                "nothing was deleted: the registry keeps its descriptor cache in memory",
                why="it must be restarted after a collection, or a later push is lost in silence",
                next_step="if something starts the registry again when it ends, add --restart "
                "always; or remove `storage.cache` from its configuration; or stop it and add "
                "--offline",
            )
        if self.replicas:
            self.replicas.check()
        if not self.in_memory:
            return
        if not self.registries:
            raise GuardError(
                "nothing was deleted: no process serves this configuration",
                why="a registry with its descriptor cache in memory must be restarted after a "
                "collection, and none was found here",
                next_step="run this beside the registry, or stop every registry that uses this "
                "store and add --offline",
            )
        self.check_restart()

    def check_restart(self) -> None:
        """Raise GuardError for a registry that would leave damage behind if it were ended now, or
        would not come back.
        """
        if not self.config.drain_timeout:
            self._check_writes()
        if fault := fault_of_certificate(self.config):
            raise GuardError(
                "nothing was deleted: this registry would not come back from a restart",
                why=fault,
                next_step="correct its certificate's Secret; until then it serves the one before",
            )

    def forget(self, entries: Set[Entry], meanwhile: Callable[[float], None]) -> int:
        """Have every registry start anew that may remember these, one after another; return how
        many did. The first call is after the burial; later ones ask only who came meanwhile.

        Raises RegistryDownError and GuardError. Order proves it, no clock: nothing that runs at
        this call, which is after the burial, runs when it returns.
        """
        if _edited(self.config_path) != self.edited:
            raise StoppedError(
                "the collection was stopped; everything was put back",
                why=f"{self.config_path} was changed meanwhile, so what the registry keeps in "
                "memory is not known",
                next_step="nothing; the next run starts anew",
            )
        self._check_still_read_only()
        if self.is_shared:
            from registry_gc import redis_cache

            redis_cache.forget(self.config.redis, entries)
        count = self._restart_here(meanwhile)
        if self.replicas:
            self._check_all_known()
            count += self.replicas.forget(meanwhile)
        return count

    def _check_still_read_only(self) -> None:
        """Raise StoppedError if people can push again, for whom this run waited for nothing."""
        if not self.must_be_read_only:
            return
        now = find_registries(self.config_path)
        other = self.replicas.that_takes_pushes() if self.replicas else ""
        if not other and all(
            registry_config.load(self.config_path, each.environment).read_only for each in now
        ):
            return
        raise StoppedError(
            "the collection was stopped; everything was put back",
            why=f"{f'the registry of {other}' if other else 'the registry'} is no longer read-only",
            next_step="collect again; with garbageCollect.readOnly the hook switches it on first",
        )

    def _check_newcomers(self) -> None:
        """Raise StoppedError if a registry with a cache in memory has started during the run."""
        started = find_registries(self.config_path)
        now = [registry_config.load(self.config_path, each.environment) for each in started]
        if any(each.cache == "inmemory" and not each.read_only for each in now):
            raise StoppedError(
                "the collection was stopped; everything was put back",
                why="a registry that keeps its descriptor cache in memory has started meanwhile",
                next_step="nothing; the next run starts anew, and knows it",
            )

    def _check_all_known(self) -> None:
        asks = self.is_first or self.caches_in_memory or self.must_be_read_only
        if self.replicas and (asks or self.anywhere_in_memory):
            self.replicas.check_all_known()
            self.all_known = True

    @property
    def may_be_unknown(self) -> bool:
        """Whether a registry that nobody knows may still answer from memory after this run.

        Only a run that has asked who there is may say no: the next ones rely on it (attack 3).
        """
        # Without a name to look up nobody can be asked: the first run's delay has to do.
        unasked = bool(self.replicas and self.replicas.peers_host) and not self.all_known
        with contextlib.suppress(StorageError):
            caches = self.caches_in_memory or self.anywhere_in_memory
            return caches or (self.is_first and unasked)
        return True

    def _restart_here(self, meanwhile: Callable[[float], None]) -> int:
        if self._has_restarted:
            return 0
        self._has_restarted = True
        if self.replicas:
            self.replicas.mark_buried()
        if not self.in_memory:
            self._check_newcomers()
            return 0
        before = find_registries(self.config_path)
        for registry in before:
            restart(registry, self.config, self.config_path, meanwhile=meanwhile)
        return len(before)

    def _check_writes(self) -> None:
        for registry in self.registries:
            if (version := _version(registry)) < (3, 1):
                raise GuardError(
                    "nothing was deleted: this registry may not be restarted while it writes",
                    why=f"version {'.'.join(map(str, version)) or 'unknown'} without "
                    "`http.draintimeout` leaves empty links behind when it is ended",
                    next_step="set `http.draintimeout: 30s` in the registry's configuration",
                )


def _edited(config_path: Path) -> float:
    """Return when the configuration was written; infinitely late if that cannot be known."""
    try:
        return config_path.stat().st_mtime
    except OSError:
        return math.inf


def _version(registry: RegistryProcess) -> tuple[int, ...]:
    """Ask the registry's own program for its version; empty if it does not say."""
    import subprocess  # here: a plan starts no program

    try:
        said = subprocess.run(
            [f"/proc/{registry.pid}/exe", "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env={},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in match.groups()) if match else ()
