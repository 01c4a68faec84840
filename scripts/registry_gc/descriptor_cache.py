"""What must happen so that the registry forgets what was deleted.

A registry with its descriptor cache in memory answers from it until its process ends, even for
what is gone: a push is then told that its layers exist, and up to v3.1.1 a manifest is accepted
and never written (reference: distribution issues 3743, 4269). Without a cache nothing is to do.
"""

import math
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from registry_gc import registry_config
from registry_gc.errors import GuardError, StoppedError
from registry_gc.options import Restart
from registry_gc.registry_config import RegistryConfig
from registry_gc.restart import RegistryProcess, find_registries, restart

_CLOCK_ERROR = 2.0  # seconds; a process's start is only known to the second of the boot


@dataclass(slots=True)
class Memory:
    """Whether the registries that serve a configuration keep descriptors in memory.

    `registries` are those of the start of the run, `edited` is the configuration's mtime then.
    """

    config: RegistryConfig
    config_path: Path
    registries: list[RegistryProcess] = field(default_factory=list)
    edited: float = 0.0

    @classmethod
    def of(cls, config: RegistryConfig, config_path: Path) -> "Memory":
        """Look at the processes that run now, each of which has variables of its own."""
        registries = find_registries(config_path)
        caches = {registry_config.load(config_path, each.environment).cache for each in registries}
        for cache in ("inmemory", "redis"):  # of several, the one that takes the most care
            if cache in caches:
                config = replace(config, cache=cache)
        return cls(config, config_path, registries, _edited(config_path))

    @property
    def in_memory(self) -> bool:
        """Whether some registry may answer from memory.

        A process has what it read at its start. What an edited file said then is not known, so
        it counts as in memory.
        """
        return self.config.cache == "inmemory" or any(
            self.edited > registry.started + _CLOCK_ERROR for registry in self.registries
        )

    def check(self, option: Restart) -> None:
        """Raise GuardError if a collection could not make the registry forget."""
        if self.config.cache == "redis":
            raise GuardError(
                "nothing was deleted: the registry keeps its descriptor cache in Redis",
                why="this version cannot remove entries there: pushes would rest on what is gone",
                next_step="remove `storage.cache` from the registry's configuration",
            )
        if not self.in_memory:
            return
        if option != "always":
            raise GuardError(
                "nothing was deleted: the registry keeps its descriptor cache in memory",
                why="it must be restarted after a collection, or a later push is lost in silence",
                next_step="if something starts the registry again when it ends, add --restart "
                "always; or remove `storage.cache` from its configuration; or stop it and add "
                "--offline",
            )
        if not self.registries:
            raise GuardError(
                "nothing was deleted: no process serves this configuration",
                why="a registry with its descriptor cache in memory must be restarted after a "
                "collection, and none was found here",
                next_step="run this beside the registry, or stop every registry that uses this "
                "store and add --offline",
            )
        if not self.config.drain_timeout:
            self._check_writes()

    def forget(self, meanwhile: Callable[[float], None]) -> int:
        """Restart every registry that runs now, one after another; return how many.

        Raises RegistryDownError. Order proves it, no clock: nothing that runs at this call, which
        is after the burial, runs when it returns.
        """
        if _edited(self.config_path) != self.edited:
            raise StoppedError(
                "the collection was stopped; everything was put back",
                why=f"{self.config_path} was changed meanwhile, so what the registry keeps in "
                "memory is not known",
                next_step="nothing; the next run starts anew",
            )
        if not self.in_memory:
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
