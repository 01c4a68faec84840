"""Registries in other pods that use the same store, and how a collection makes each forget.

They find each other through the state directory, without the cluster's API. The sidecar of each
registers there before its registry starts (`registration`), and does what is asked of it:

    docker/registry-gc/replicas/<name>/alive     who it is; touched every few seconds
    docker/registry-gc/replicas/<name>/asked     the run that wants its registry started anew
    docker/registry-gc/replicas/<name>/obeyed    the same file, renamed before that is done
    docker/registry-gc/replicas/<name>/forgot    the same file, renamed when it has been
    docker/registry-gc/replicas/buried           the run that has buried and not removed yet

Order proves it, no clock: `asked` is written after the burial, and what answers it started later.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from registry_gc import layout
from registry_gc.errors import GuardError, RegistryDownError, StorageError
from registry_gc.layout import STATE
from registry_gc.storage import FileStore, NoSpaceError

REPLICAS = f"{STATE}/replicas"
BURIED = f"{REPLICAS}/buried"

RENEWED = 10.0  # seconds from one renewal to the next
SILENT = 60.0  # seconds without one, and a replica is not known to be alive or dead
GONE = 600.0  # seconds without one, and a replica whose registry does not answer is gone

_LARGEST = 4096  # bytes of one of these files
_PAUSE = 0.5  # seconds between two looks
_PATIENCE = 180.0  # seconds for a replica's registry to come back, besides its drain


@dataclass(frozen=True, slots=True)
class Replica:
    """What a replica says of itself.

    `name` is its pod, `url` where its registry answers, `host` the pod's address. `after` is the
    run that had buried when it registered with no registry running: what starts then is clean.
    `read_only` is whether its registry runs, and takes no push.
    """

    name: str
    host: str
    url: str
    in_memory: bool
    after: str = ""
    read_only: bool = False

    def to_json(self) -> bytes:
        """Return the content of its file."""
        return json.dumps(
            {
                "host": self.host,
                "url": self.url,
                "inMemory": self.in_memory,
                "after": self.after,
                "readOnly": self.read_only,
            }
        ).encode()

    @property
    def shown(self) -> str:
        """Return its name for people; on a volume it may be any bytes."""
        return layout.shown(self.name)

    @classmethod
    def of_json(cls, name: str, content: bytes) -> "Replica":
        """Return what a file says; of one that cannot be read, the most careful reading."""
        try:
            said = json.loads(content)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            return cls(name, "", "", in_memory=True)
        return cls(
            name,
            str(said.get("host", "")),
            str(said.get("url", "")),
            said.get("inMemory") is not False,
            str(said.get("after", "")),
            said.get("readOnly") is True,
        )


def folder_of(name: str) -> str:
    """Return a replica's folder in the store."""
    return f"{REPLICAS}/{name}"


def remove_replica(store: FileStore, name: str) -> None:
    """Remove a replica's folder. Raises StorageError."""
    folder = folder_of(name)
    for file in store.list(folder).files:
        store.remove(f"{folder}/{file}")
    store.remove_folder(folder)


def own_name(environment: Mapping[str, str]) -> str:
    """Return by which name the replica of this pod goes: the pod's, which is also its host name."""
    return environment.get("GC_POD_NAME") or os.uname().nodename


def run_that_buried(store: FileStore) -> str:
    """Return the run that has buried and not removed yet, empty if there is none.

    Raises StorageError.
    """
    return _text(store, BURIED)


@dataclass(slots=True)
class Replicas:
    """The other replicas of a store, as one run sees them; the caller holds the store's lock.

    `own` is the name of the pod that the run itself is in, and `peers_host` a name that resolves
    to the addresses of all the release's pods, ready or not; empty where there is none to ask.
    """

    store: FileStore
    run: str
    own: str
    own_host: str = ""
    peers_host: str = ""
    drain_timeout: float = 0.0
    _clean: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls, store: FileStore, run: str, environment: Mapping[str, str], drain_timeout: float = 0.0
    ) -> "Replicas":
        """Read GC_POD_NAME, GC_POD_IP and GC_PEERS_HOST; the timeout is in seconds."""
        return cls(
            store,
            run,
            own_name(environment),
            environment.get("GC_POD_IP", ""),
            environment.get("GC_PEERS_HOST", ""),
            drain_timeout,
        )

    @property
    def in_memory(self) -> bool:
        """Whether one of the others may answer from memory. Raises StorageError."""
        return any(replica.in_memory for replica in self._others())

    def alive(self) -> list[str]:
        """Return the replicas, this pod's too, that have said so just now. Raises StorageError."""
        return [each.name for each in self._registered() if self._seconds_silent(each) <= SILENT]

    def check(self) -> None:
        """Raise GuardError if one of the others could not be made to forget."""
        for replica in self._others():
            if replica.in_memory and not self._is_gone(replica):
                self._check_alive(replica)

    def check_all_known(self) -> None:
        """Raise GuardError if a pod of the release has no collector that could be asked."""
        if not self.peers_host:
            return
        known = {replica.host for replica in self._registered()} | {self.own_host}
        if unknown := sorted(_addresses(self.peers_host) - known):
            raise GuardError(
                "nothing was deleted: a pod of this release has no collector yet",
                why=f"{', '.join(unknown)} may serve from a memory that nobody can clear",
                next_step="wait until the rollout is over: `kubectl rollout status`; the next run "
                "tries again",
            )

    def that_takes_pushes(self) -> str:
        """Return one of the others that may take a push, as people see it; empty if none may.

        Raises StorageError.
        """
        found = (each for each in self._others() if not each.read_only and not self._is_gone(each))
        return next((each.shown for each in found), "")

    def mark_buried(self) -> None:
        """Let those who register from now on know that their registry will be clean.

        Raises StorageError. Without room for that they are only asked needlessly.
        """
        with suppress(NoSpaceError):
            self.store.write(BURIED, self.run.encode())

    def forget(self, meanwhile: Callable[[float], None]) -> int:
        """Have each of the others start its registry anew, one after another; return how many.

        Those that did so for this run are left alone, so a later call asks who came meanwhile.
        Raises RegistryDownError and GuardError.
        """
        count = 0
        for replica in self._others():
            if replica.name in self._clean:
                continue
            if replica.after == self.run:
                self._clean.add(replica.name)
            elif replica.in_memory and not self._is_gone(replica):
                self._ask(replica, meanwhile)
                self._clean.add(replica.name)
                count += 1
        return count

    def end(self) -> None:
        """Take back what is still asked: the run is over. Raises StorageError."""
        self.store.remove(BURIED)
        for name in self.store.list(REPLICAS).folders:
            for file in ("asked", "obeyed", "forgot"):
                self.store.remove(f"{folder_of(name)}/{file}")

    def _ask(self, replica: Replica, meanwhile: Callable[[float], None]) -> None:
        folder = folder_of(replica.name)
        self.store.remove(f"{folder}/forgot")
        self.store.write(f"{folder}/asked", self.run.encode())
        deadline = time.monotonic() + self.drain_timeout + _PATIENCE
        while _text(self.store, f"{folder}/forgot") != self.run:
            if self.store.read(f"{folder}/alive", _LARGEST) is None:
                return  # it ended cleanly, its registry first
            self._check_alive(replica)
            if time.monotonic() > deadline:
                raise RegistryDownError(
                    f"the registry of {replica.shown} did not start anew; everything was put back",
                    why="its collector was asked to restart it and has not said that it did",
                    next_step=f"see `kubectl logs {replica.shown} -c gc`, then collect again",
                )
            meanwhile(_PAUSE)

    def _check_alive(self, replica: Replica) -> None:
        if (silent := self._seconds_silent(replica)) > SILENT:
            raise GuardError(
                f"nothing was deleted: the replica {replica.shown} has said nothing for "
                f"{silent:.0f} s",
                why="its registry may still serve, from a memory that cannot be cleared",
                next_step="see whether its pod is alive; once its registry does not answer, and "
                f"{GONE:.0f} s have passed, it counts as gone",
            )

    def _is_gone(self, replica: Replica) -> bool:
        """Say whether a replica ended without a word, and forget it then."""
        from registry_gc.registry_http import is_registry_at  # here: a plan needs no HTTP

        if self._seconds_silent(replica) <= GONE or is_registry_at(replica.url):
            return False
        remove_replica(self.store, replica.name)
        return True

    def _seconds_silent(self, replica: Replica) -> float:
        # Read, not looked at: only an opened file is fresh on a network file system (attack 10).
        found = self.store.read(f"{folder_of(replica.name)}/alive", _LARGEST)
        return 0.0 if found is None else (self.store.now() - found[1].modified) / 1e9

    def _others(self) -> list[Replica]:
        return [replica for replica in self._registered() if replica.name != self.own]

    def _registered(self) -> list[Replica]:
        return [
            Replica.of_json(name, found[0])
            for name in sorted(self.store.list(REPLICAS).folders)
            if (found := self.store.read(f"{folder_of(name)}/alive", _LARGEST))
        ]


def _text(store: FileStore, path: str) -> str:
    found = store.read(path, _LARGEST)
    return found[0].decode(errors="replace") if found else ""


def _addresses(host: str) -> set[str]:
    import socket  # here: a plan needs no network

    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise StorageError(
            "nothing was deleted: the release's pods cannot be looked up",
            why=f"{host}: {error}",
            next_step="check the cluster's DNS; the next run tries again",
        ) from error
