"""What a restart of the registry costs: for how long nobody answers, and links left empty."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.client import Client, Refused, digest_of, image, layer
from support.collector import collecting
from support.registry_process import RegistryProcess
from support.stress import Stress

_SHORT = ("--grace-period", "0s", "--settle-period", "1s", "--restart", "always")


@dataclass
class Watch:
    """Asks a registry again and again; `longest` is for how long none of it was answered."""

    registry: RegistryProcess
    longest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the block is left."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        answered = time.monotonic()
        while not self._stop.wait(0.005):
            client = Client(self.registry.url, timeout=2)
            try:
                client.request("GET", "/v2/")
            except Refused:
                continue
            finally:
                client.close()
            now = time.monotonic()
            self.longest = max(self.longest, now - answered)
            answered = now


@dataclass(frozen=True)
class Downtime:
    """Seconds without an answer during one collection; `upload` says what became of a slow one."""

    version: str
    slow: float
    seconds: float
    upload: str

    def __str__(self) -> str:
        """Return a row of a table."""
        in_flight = f"an upload that takes {self.slow:g} s" if self.slow else "nothing"
        return f"| {self.version} | {in_flight} | {self.seconds:.2f} s | {self.upload} |"


def downtime(version: str, folder: Path, *, slow: float = 0.0, drain: str = "5s") -> Downtime:
    """Collect once with the cache in memory, with an upload of `slow` seconds in flight."""
    with RegistryProcess(
        folder, cache="inmemory", version=version, supervised=True, drain_timeout=drain
    ) as registry:
        client = registry.client()
        old = image("old")
        client.push("app", image("keep"), "keep")
        client.push("app", old, "old")
        client.delete_manifest("app", old.digest)
        watch = Watch(registry)
        said: list[str] = []
        uploader = threading.Thread(target=lambda: said.append(_upload(registry, slow)))
        with watch.watching(), collecting(registry, *_SHORT) as run:
            run.wait_for("settle")
            if slow:
                time.sleep(0.8)  # so that it has just begun when the registry is told to end
                uploader.start()
            done = run.end()
        if slow:
            uploader.join()
        assert done.code == 0, done
        assert registry.starts == 2, registry.starts
    return Downtime(version, slow, watch.longest, said[0] if said else "")


def _upload(registry: RegistryProcess, seconds: float) -> str:
    pieces = 40
    pause = seconds / pieces
    content = layer("slow", 4000)
    client = registry.client(pieces=pieces, pace=lambda: time.sleep(pause), timeout=60)
    try:
        client.upload("app", content)
    except Refused as error:
        return f"cut off ({error.kind})"
    registry.wait_until_it_answers()
    return "acknowledged" if client.has_blob("app", digest_of(content)) else "LOST"


@dataclass(frozen=True)
class EmptyLinks:
    """How many of so many ends of a registry by SIGTERM left an empty link, beside pushers.

    `with_empty` are the ends after which there were new ones, `empty` those; an empty link stays
    until somebody pushes it again.
    """

    version: str
    drain: str
    kills: int
    with_empty: int
    empty: int
    at_the_end: int
    lost: int

    def __str__(self) -> str:
        """Return a row of a table."""
        return (
            f"| {self.version} | {self.drain or 'none'} | {self.kills} | {self.with_empty} | "
            f"{self.empty} | {self.at_the_end} | {self.lost} |"
        )


def empty_links(version: str, folder: Path, *, drain: str, kills: int, seed: int) -> EmptyLinks:
    """End the registry so often beside pushers, and count the links that are empty after it."""
    new = []
    known: set[Path] = set()
    with RegistryProcess(folder, version=version, drain_timeout=drain) as registry:
        stress = Stress.of(registry, seed=seed, pushers=12)
        with stress.going_on():
            for _ in range(kills):
                time.sleep(0.4)
                registry.stop()
                now = _empty(registry.v2)
                new.append(len(now - known))
                known = now
                registry.start()
        registry.stop()
        at_the_end = len(_empty(registry.v2))
        registry.start()
        lost = stress.acknowledged.lost(registry)
    with_new = sum(bool(count) for count in new)
    return EmptyLinks(version, drain, kills, with_new, sum(new), at_the_end, len(lost))


def _empty(v2: Path) -> set[Path]:
    return {link for link in v2.rglob("link") if not link.stat().st_size}
