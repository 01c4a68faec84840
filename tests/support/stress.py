"""Pushers that do, beside a collection, all that has lost images before.

New images, images that differ in their manifest alone, byte-for-byte pushes of deleted ones,
mounts, moved tags, indexes, referrers, slow clients, deletes by tag and by digest; of OCI and of
Docker types. Every tag and manifest belongs to one pusher, so it knows what must be there; layers
are shared by all.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.client import Manifest, Refused, fallback_tag, image, index, layer, referrer
from support.collector import Acknowledged
from support.registry_process import RegistryProcess

_REPOSITORIES = ("app", "app/nested", "base")
_SHARED_LAYERS = 12
_MOST_ALIVE = 80  # tags of one pusher: what is pulled in the end, and what a collection reads
_SOON = 5.0  # seconds after which an acknowledged image must pull, also while a collection runs

Key = tuple[str, str]  # repository, and tag or digest


@dataclass
class Pusher:
    """One client on its own thread; `alive` maps what was acknowledged to its manifest.

    `think` is the longest wait between two actions, in seconds. `late` has a line for each image
    that did not pull whole at some time while pushing went on.
    """

    name: str
    registry: RegistryProcess
    seed: int
    think: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    alive: dict[Key, Manifest] = field(default_factory=dict)
    deleted: list[tuple[str, Manifest]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Seed the dice, and be slow now and then."""
        self._random = random.Random(f"pusher {self.seed} {self.name}")
        self._client = self.registry.client(pace=self._pace)
        self._slow = False
        self._made = 0
        self._tags = 0
        self._since: dict[Key, float] = {}  # when each was acknowledged
        self._referrers: dict[Key, set[Key]] = {}  # of (repository, subject)
        pushes: tuple[Callable[[], None], ...] = (
            *(self._push_new,) * 4,
            *(self._push_other_manifest,) * 3,
            *(self._push_deleted,) * 6,
            *(self._promote,) * 3,
            *(self._push_index,) * 2,
            *(self._push_referrer,) * 2,
            *(self._move_tag,) * 2,
        )
        self._deletes = [self._delete_manifest] * 6
        if self.registry.deletes_tags:
            self._deletes += [self._delete_tag] * 2
        self._actions = (*pushes, *self._deletes, *(self._pull,) * 2)

    def run(self) -> None:
        """Push and delete until told to stop."""
        while not self.stop.is_set():
            self._slow = self._random.random() < 0.2
            # A slow client's bytes trickle in, too.
            self._client.pieces = self._random.choice((1, 4)) if self._slow else 1
            many = len(self.alive) > _MOST_ALIVE
            action = self._random.choice(self._deletes if many else self._actions)
            starts = self.registry.starts
            try:
                action()
            except Refused as error:
                self._count(action.__name__, error, has_restarted=self.registry.starts != starts)
            if self.think:
                self.stop.wait(self._random.random() * self.think)

    def _count(self, action: str, error: Refused, *, has_restarted: bool) -> None:
        """Tell what met a restart from what was refused by the registry itself."""
        what = action.split("_")[1]  # of `_push_new`
        what = "push" if what in ("promote", "move") else what
        if error.status == 0 or has_restarted:
            self.counts[f"{what} met a restart"] += 1
            if error.status:
                self.counts[f"{what} met a restart: {error.kind}"] += 1
            self.stop.wait(0.05)
            return
        self.counts[f"{what} refused"] += 1
        self.counts[f"{what} refused: {error.kind}"] += 1

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
        docker = self._random.random() < 0.5
        return image(f"{self.name} {self._made}", layers=[*layers, own], docker=docker)

    def _tagged(self) -> list[tuple[Key, Manifest]]:
        return [item for item in self.alive.items() if item[0][1].startswith(f"{self.name}-")]

    def _push(
        self, repository: str, manifest: Manifest, tag: str = "", *, mount_from: str = ""
    ) -> None:
        self._tags += 1
        tag = tag or f"{self.name}-{self._tags}"
        chunks = self._random.choice((1, 1, 3))
        self._client.push(repository, manifest, tag, chunks=chunks, mount_from=mount_from)
        self._acknowledged((repository, tag), manifest)
        self.counts["push acknowledged"] += 1

    def _acknowledged(self, key: Key, manifest: Manifest) -> None:
        self.alive[key] = manifest
        self._since[key] = time.monotonic()

    def _push_new(self) -> None:
        self._push(self._repository(), self._image())

    def _push_other_manifest(self) -> None:
        images = [each for each in self._tagged() if each[1].blobs]
        if images:
            (repository, _), old = self._random.choice(images)
            self._made += 1
            text = old.content.decode().removesuffix("}") + f', "x": "{self.name} {self._made}"}}'
            self._push(repository, Manifest(text.encode(), old.media_type, old.blobs))

    def _push_deleted(self) -> None:
        if self.deleted:
            # A recent one: its blobs are just being collected.
            number = self._random.randrange(max(0, len(self.deleted) - 8), len(self.deleted))
            repository, manifest = self.deleted.pop(number)
            if self._random.random() < 0.3:
                self._push(self._repository(), manifest, mount_from=repository)
            else:
                self._push(repository, manifest)

    def _promote(self) -> None:
        if tagged := self._tagged():
            (source, _), manifest = self._random.choice(tagged)
            self._push(self._repository(), manifest, mount_from=source)

    def _push_index(self) -> None:
        docker = self._random.random() < 0.5
        self._push(self._repository(), index([self._image(), self._image()], docker=docker))

    def _push_referrer(self) -> None:
        """Push an artifact about an image that lives; it lives as long as that image does."""
        if not (tagged := self._tagged()):
            return
        (repository, _), subject = self._random.choice(tagged)
        self._made += 1
        artifact = referrer(subject, f"{self.name} {self._made}")
        keys = self._referrers.setdefault((repository, subject.digest), set())
        if self._random.random() < 0.5:
            self._client.push(repository, artifact)
        else:
            fallback = (repository, fallback_tag(subject.digest))
            self.alive.pop(fallback, None)  # while it is moved, it may be either
            named = self._client.push_referrer(repository, artifact, subject.digest)
            self._acknowledged(fallback, named)
            keys.add(fallback)
        self._acknowledged((repository, artifact.digest), artifact)
        keys.add((repository, artifact.digest))
        self.counts["push acknowledged"] += 1

    def _move_tag(self) -> None:
        if tagged := self._tagged():
            (repository, tag), old = self._random.choice(tagged)
            self._forget((repository, tag), old)  # until it is answered, it may be either
            self._push(repository, self._image(), tag)
            self.deleted.append((repository, old))

    def _delete_manifest(self) -> None:
        if not (tagged := self._tagged()):
            return
        (repository, _), manifest = self._random.choice(tagged)
        # From here on nobody may count on it, whether the delete is answered or not.
        for key in [key for key, each in tagged if each == manifest and key[0] == repository]:
            self._forget(key, manifest)
        self.deleted.append((repository, manifest))
        self._client.delete_manifest(repository, manifest.digest)
        self.counts["delete acknowledged"] += 1

    def _delete_tag(self) -> None:
        if tagged := self._tagged():
            (repository, tag), manifest = self._random.choice(tagged)
            self._forget((repository, tag), manifest)
            self.deleted.append((repository, manifest))
            self._client.delete_tag(repository, tag)
            self.counts["delete acknowledged"] += 1

    def _forget(self, key: Key, manifest: Manifest) -> None:
        """Count on a tag no more, nor on what refers to its manifest if no other tag has it."""
        del self.alive[key]
        repository = key[0]
        if not any(each == manifest and at[0] == repository for at, each in self._tagged()):
            for at in self._referrers.pop((repository, manifest.digest), ()):
                self.alive.pop(at, None)

    def _pull(self) -> None:
        """Pull one's own image while pushing goes on: rule 1 holds within seconds."""
        soon = time.monotonic() - _SOON
        old = [item for item in self.alive.items() if self._since[item[0]] < soon]
        if old:
            (repository, reference), manifest = self._random.choice(old)
            pulled = self._client.pull(repository, reference)
            self.counts["pulled meanwhile"] += 1
            if pulled.missing or pulled.digest != manifest.digest:
                self.late.append(f"{repository}:{reference} {pulled.digest} {pulled.missing}")


@dataclass
class Stress:
    """Pushers beside whatever happens to their registry."""

    pushers: list[Pusher]

    @classmethod
    def of(
        cls, registry: RegistryProcess, *, seed: int, pushers: int = 4, think: float = 0.0
    ) -> "Stress":
        """Return pushers that have not begun."""
        return cls([Pusher(f"p{number}", registry, seed, think) for number in range(pushers)])

    @property
    def counts(self) -> Counter[str]:
        """Return what happened, over all pushers."""
        return sum((pusher.counts for pusher in self.pushers), Counter())

    @property
    def late(self) -> list[str]:
        """Return a line for each image that did not pull whole while pushing went on."""
        return [line for pusher in self.pushers for line in pusher.late]

    @property
    def acknowledged(self) -> Acknowledged:
        """Return what must pull now."""
        found = Acknowledged()
        for pusher in self.pushers:
            for (repository, reference), manifest in pusher.alive.items():
                found.add(repository, reference, manifest.digest)
        return found

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Push until the block is left; an error of a pusher's own is raised then."""
        errors: list[BaseException] = []

        def guarded(pusher: Pusher) -> None:
            try:
                pusher.run()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(each,)) for each in self.pushers]
        for pusher, thread in zip(self.pushers, threads, strict=True):
            pusher.stop.clear()
            thread.start()
        try:
            yield
        finally:
            for pusher in self.pushers:
                pusher.stop.set()
            for thread in threads:
                thread.join()
        if errors:
            raise errors[0]


def lost_now_and_after_a_restart(registry: RegistryProcess, stress: Stress) -> list[str]:
    """Return one line for each image that is lost, be it only once the memory is gone."""
    lost = stress.acknowledged.lost(registry)
    registry.restart()
    lines = {line.partition(" ")[0]: line for line in (*lost, *stress.acknowledged.lost(registry))}
    return sorted(lines.values())
