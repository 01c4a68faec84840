"""Several clients that push new images without a pause, and note what each was told."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.client import Client, Manifest, Refused, image, layer
from support.waiting import until

SLOW_LAYER = 4_000_000  # bytes
_PIECES = 20
_PAUSE = 0.1  # seconds between two pieces: a slow push takes a little more than two


@dataclass
class Pushes:
    """What was acknowledged, by tag, and what was not, and why.

    No push is tried again here: a client's own retries would hide what this counts.
    """

    acknowledged: dict[str, Manifest] = field(default_factory=dict)
    failed: list[tuple[str, Manifest, Refused]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.acknowledged) + len(self.failed)

    def kinds(self) -> list[str]:
        """Return what the failed ones have in common, each with how many."""
        found = Counter(f"{error.kind}: {error.__cause__!r}" for *_, error in self.failed)
        return [f"{count} x {kind}" for kind, count in found.most_common()]

    def wait_for_more(self, count: int) -> None:
        before = len(self.acknowledged)
        until(
            lambda: len(self.acknowledged) >= before + count,
            what=f"{count} more pushes",
            timeout=120,
        )


@contextmanager
def pushing(
    client: Callable[[], Client], *, fast: int = 3, slow: int = 1, name: str = "pushed"
) -> Iterator[Pushes]:
    """Push from so many threads until the end of the block, to one repository `name`.

    A slow client sends a layer in many pieces, so that some of its requests are always under way.
    """
    pushes = Pushes()
    ended = threading.Event()
    lock = threading.Lock()

    def push(worker: str, *, is_slow: bool) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            tag = f"{worker}-{number}"
            layers = [layer(f"{name}/{tag}", SLOW_LAYER if is_slow else 2000)]
            manifest = image(f"{name}/{tag}", layers=layers)
            connection = client()
            if is_slow:
                connection.pieces, connection.pace = _PIECES, lambda: _wait(ended)
            try:
                connection.push(name, manifest, tag)
            except Refused as error:
                with lock:
                    pushes.failed.append((tag, manifest, error))
                ended.wait(_PAUSE)
            else:
                with lock:
                    pushes.acknowledged[tag] = manifest
            finally:
                connection.close()

    threads = [
        threading.Thread(target=push, args=(f"{kind}{number}",), kwargs={"is_slow": kind == "slow"})
        for kind, many in (("fast", fast), ("slow", slow))
        for number in range(many)
    ]
    for thread in threads:
        thread.start()
    try:
        yield pushes
    finally:
        ended.set()
        for thread in threads:
            thread.join(timeout=60)


def _wait(ended: threading.Event) -> None:
    ended.wait(_PAUSE)
