"""Reads every blob of a store and computes its digest; some at once, for hashing takes the time."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock

from registry_gc.checking.findings import Finding, Harm
from registry_gc.errors import StorageError
from registry_gc.layout import REGISTRY, Digest, Entry, Kind, digest_text, path_of
from registry_gc.storage import Store

Progress = Callable[[int, int], object]
"""Told how many bytes of how many have been read; may be called from any thread, one at a time."""

OF_DATA = frozenset({"damaged blob", "unreadable blob"})
"""The kinds of findings that only reading the data shows."""

_WORKERS = min(4, os.cpu_count() or 1)  # hashing leaves the interpreter's lock
_PUSH = (
    "move its folder out of the store, then push again what needs it: as long as the file is "
    "there, a push drops its own copy"
)


@dataclass(slots=True)
class _Count:
    """Adds up what all threads have read."""

    total: int
    progress: Progress
    done: int = 0
    lock: Lock = field(default_factory=Lock)

    def add(self, count: int) -> None:
        with self.lock:
            self.done += count
            self.progress(self.done, self.total)


def damaged_blobs(
    store: Store, sizes: Mapping[Digest, int], progress: Progress
) -> tuple[list[Finding], int]:
    """Return a finding for each blob whose content is not its digest, and how many bytes were read.

    One that is wrong is read twice: registries up to 3.0 write a manifest's blob in place.
    """
    count = _Count(sum(sizes.values()), progress)
    again = _Count(0, lambda _done, _total: None)
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = [
            finding
            # An empty one has been judged by its size.
            for finding in _few_at_a_time(pool, store, [d for d, s in sizes.items() if s], count)
            if finding and _fault(store, finding, again)
        ]
    return sorted(found, key=lambda each: each.path), count.done


def _few_at_a_time(
    pool: ThreadPoolExecutor, store: Store, digests: Iterable[Digest], count: _Count
) -> Iterator[Finding | None]:
    """Yield what each blob's content shows, in any order; a store may hold a million of them."""
    waiting = iter(sorted(digests))
    running: set[Future[Finding | None]] = set()
    while True:
        for digest in islice(waiting, 16 * _WORKERS - len(running)):
            running.add(pool.submit(_read, store, digest, count))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (each.result() for each in done)


def _read(store: Store, digest: Digest, count: _Count) -> Finding | None:
    entry = Entry(Kind.BLOB, digest=digest)
    finding = Finding(
        "damaged blob",
        f"{REGISTRY}/{path_of(entry)}",
        Harm.IMAGE,
        f"the content of the blob {entry} is not its digest",
        _PUSH,
        digest=digest_text(digest),
    )
    return _fault(store, finding, count)


def _fault(store: Store, finding: Finding, count: _Count) -> Finding | None:
    """Return the finding if it is true; another one if the blob cannot be read."""
    algorithm, _, encoded = finding.digest.partition(":")
    computed = hashlib.new(algorithm)
    try:
        stat = store.stat(finding.path)
        if stat is None or not stat.is_plain:
            return None  # gone since, or named already
        for part in store.stream(finding.path):
            computed.update(part)
            count.add(len(part))
    except StorageError as error:
        return Finding(
            "unreadable blob", finding.path, Harm.IMAGE,
            f"the blob {finding.digest} cannot be read ({error.why})",
            "mend its owner and mode, or the disk, then check again",
            digest=finding.digest,
        )  # fmt: skip
    if computed.hexdigest() == encoded or store.stat(finding.path) is None:
        return None
    return finding
