"""Pushers that do, beside a collection, all that has lost images before.

New images, images that differ in their manifest alone, byte-for-byte pushes of deleted ones,
mounts, indexes, slow clients, deletes by tag and by digest. Every tag and manifest belongs to one
pusher, so it knows what must be there; layers are shared by all.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.client import Client, Manifest, Refused, image, index, layer
from support.collector import Acknowledged
from support.registry_process import RegistryProcess

_REPOSITORIES = ("app", "app/nested", "base")
_SHARED_LAYERS = 12


@dataclass
class Pusher:
    """One client on its own thread; `alive` maps (repository, tag) to what was acknowledged."""

    name: str
    client: Client
    stop: threading.Event
    seed: int
    alive: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    deleted: list[tuple[str, Manifest]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _made: int = 0

    def __post_init__(self) -> None:
        """Seed the dice, and be slow now and then."""
        self._random = random.Random(f"pusher {self.seed} {self.name}")
        self.client.pace = self._pace
        self._slow = False

    def run(self) -> None:
        """Push and delete until told to stop."""
        actions: tuple[Callable[[], None], ...] = (
            *(self._push_new,) * 4,
            *(self._push_other_manifest,) * 3,
            *(self._push_deleted,) * 6,
            *(self._promote,) * 3,
            *(self._push_index,) * 2,
            *(self._delete_manifest,) * 6,
            *(self._delete_tag,) * 2,
        )
        while not self.stop.is_set():
            self._slow = self._random.random() < 0.2
            try:
                self._random.choice(actions)()
            except Refused as error:
                away = error.status == 0
                self.counts["refused: not reachable" if away else f"refused: {error.status}"] += 1
                if away:
                    self.stop.wait(0.05)

    def _pace(self) -> None:
        if self._slow:
            self.stop.wait(self._random.random() * 0.4)

    def _repository(self) -> str:
        return self._random.choice(_REPOSITORIES)

    def _image(self) -> Manifest:
        self._made += 1
        shared = self._random.sample(range(_SHARED_LAYERS), 2)
        layers = [layer(f"{self.seed} shared {number}", 3000) for number in shared]
        own = layer(f"{self.seed} {self.name} {self._made}", 3000)
        return image(f"{self.name} {self._made}", layers=[*layers, own])

    def _push(self, repository: str, manifest: Manifest, *, mount_from: str = "") -> None:
        tag = f"{self.name}-{self.counts['tags']}"
        self.counts["tags"] += 1
        chunks = self._random.choice((1, 1, 3))
        self.client.push(repository, manifest, tag, chunks=chunks, mount_from=mount_from)
        self.counts["acknowledged"] += 1
        self.alive[repository, tag] = manifest

    def _push_new(self) -> None:
        self._push(self._repository(), self._image())

    def _push_other_manifest(self) -> None:
        images = [each for each in self.alive.items() if each[1].blobs]
        if images:
            (repository, _), old = self._random.choice(images)
            self._made += 1
            text = old.content.decode().removesuffix("}") + f', "x": "{self.name} {self._made}"}}'
            self._push(repository, Manifest(text.encode(), old.media_type, old.blobs))

    def _push_deleted(self) -> None:
        if self.deleted:
            # A recent one: its blobs are just being collected.
            number = self._random.randrange(max(0, len(self.deleted) - 8), len(self.deleted))
            self._push(*self.deleted.pop(number))

    def _promote(self) -> None:
        if self.alive:
            (source, _), manifest = self._random.choice(list(self.alive.items()))
            self._push(self._repository(), manifest, mount_from=source)

    def _push_index(self) -> None:
        self._push(self._repository(), index([self._image(), self._image()]))

    def _delete_manifest(self) -> None:
        if not self.alive:
            return
        (repository, _), manifest = self._random.choice(list(self.alive.items()))
        # From here on nobody may count on it, whether the delete is answered or not.
        for key in [key for key, each in self.alive.items() if each == manifest]:
            if key[0] == repository:
                del self.alive[key]
        self.deleted.append((repository, manifest))
        self.client.delete_manifest(repository, manifest.digest)
        self.counts["deleted"] += 1

    def _delete_tag(self) -> None:
        if not self.alive:
            return
        repository, tag = self._random.choice(list(self.alive))
        self.deleted.append((repository, self.alive.pop((repository, tag))))
        self.client.delete_tag(repository, tag)
        self.counts["deleted"] += 1


@dataclass
class Stress:
    """Pushers beside whatever happens to their registry."""

    pushers: list[Pusher]

    @property
    def counts(self) -> Counter[str]:
        """Return what happened, over all pushers."""
        return sum((pusher.counts for pusher in self.pushers), Counter())

    @property
    def acknowledged(self) -> Acknowledged:
        """Return what must pull now."""
        found = Acknowledged()
        for pusher in self.pushers:
            for (repository, tag), manifest in pusher.alive.items():
                found.add(repository, tag, manifest.digest)
        return found


@contextmanager
def pushing(registry: RegistryProcess, *, seed: int, pushers: int = 4) -> Iterator[Stress]:
    """Push until the block is left; an error of a pusher's own is raised then."""
    stop = threading.Event()
    stress = Stress(
        [Pusher(f"p{number}", registry.client(), stop, seed) for number in range(pushers)]
    )
    errors: list[BaseException] = []

    def guarded(pusher: Pusher) -> None:
        try:
            pusher.run()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(each,)) for each in stress.pushers]
    for thread in threads:
        thread.start()
    try:
        yield stress
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
