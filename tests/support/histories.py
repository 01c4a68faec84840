"""Stores with a past: a seeded history of pushes, mounts, retags, referrers and deletes."""

import random
from dataclasses import dataclass, field

from support.client import Client, Manifest, image, index, layer, referrer

_REPOSITORIES = ("app", "app/nested", "library/base", "zoo")


@dataclass(slots=True)
class History:
    """Pushes and deletes through the API, the same for the same seed.

    An upload that somebody began protects the younger layers of its repository: leave them out
    (`uploads`) where a test judges what is left.
    """

    client: Client
    seed: int
    uploads: bool = True
    tags: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    manifests: dict[str, list[Manifest]] = field(default_factory=dict)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Seed the dice."""
        self._random = random.Random(f"history {self.seed}")

    def play(self, steps: int) -> None:
        """Take so many steps."""
        actions = (
            *(self._push,) * 4,
            self._push_untagged,
            self._push_other_manifest,
            *(self._push_index,) * 2,
            self._retag,
            self._promote,
            self._push_referrer,
            self._push_referrer_with_tag,
            *((self._start_upload,) if self.uploads else ()),
            *(self._delete_tag,) * 2,
            *(self._delete_manifest,) * 3,
        )
        for _ in range(3):
            self._push()
        for _ in range(steps):
            self._random.choice(actions)()

    def _repository(self) -> str:
        return self._random.choice(_REPOSITORIES)

    def _tag(self) -> str:
        return f"v{self._random.randrange(4)}"

    def _image(self) -> Manifest:
        numbers = self._random.sample(range(8), self._random.randint(1, 3))
        layers = [layer(f"{self.seed}/{number}", 300) for number in numbers]
        return image(f"{self.seed}/{self._random.randrange(6)}", layers=layers)

    def _pushed(self, repository: str, manifest: Manifest, tag: str = "") -> None:
        self.client.push(repository, manifest, tag)
        self.manifests.setdefault(repository, []).append(manifest)
        if tag:
            self.tags[repository, tag] = manifest

    def _push(self) -> None:
        self._pushed(self._repository(), self._image(), self._tag())

    def _push_untagged(self) -> None:
        self._pushed(self._repository(), self._image())

    def _push_other_manifest(self) -> None:
        if images := [each for each in self.tags.values() if each.blobs]:
            old = self._random.choice(images)
            note = {"annotations": {"note": str(self._random.random())}}
            text = old.content.decode().removesuffix("}") + f', "x": "{note}"}}'
            new = Manifest(text.encode(), old.media_type, old.blobs)
            self._pushed(self._repository(), new, self._tag())

    def _push_index(self) -> None:
        children = [self._image() for _ in range(self._random.randint(1, 3))]
        repository = self._repository()
        self._pushed(repository, index(children), self._tag())
        self.manifests[repository] += children

    def _retag(self) -> None:
        if self.tags:
            (repository, _), manifest = self._random.choice(sorted(self.tags.items(), key=str))
            self._pushed(repository, manifest, self._tag())

    def _promote(self) -> None:
        if self.tags:
            (source, tag), manifest = self._random.choice(sorted(self.tags.items(), key=str))
            target = self._repository()
            self.client.push(target, manifest, tag, mount_from=source)
            self.manifests.setdefault(target, []).append(manifest)
            self.tags[target, tag] = manifest

    def _subject(self) -> tuple[str, Manifest] | None:
        known = [(name, each) for name, found in sorted(self.manifests.items()) for each in found]
        return self._random.choice(known) if known else None

    def _push_referrer(self) -> None:
        if found := self._subject():
            self.client.push(found[0], referrer(found[1], self._random.random()))

    def _push_referrer_with_tag(self) -> None:
        if found := self._subject():
            artifact = referrer(found[1], self._random.random())
            self.client.push_referrer(found[0], artifact, found[1].digest)

    def _start_upload(self) -> None:
        self.client.start_upload(self._repository())

    def _delete_tag(self) -> None:
        if self.tags:
            repository, tag = self._random.choice(sorted(self.tags))
            self.client.delete_tag(repository, tag)
            del self.tags[repository, tag]

    def _delete_manifest(self) -> None:
        if self.tags:
            (repository, _), manifest = self._random.choice(sorted(self.tags.items(), key=str))
            self.client.delete_manifest(repository, manifest.digest)
            for key, other in list(self.tags.items()):
                if key[0] == repository and other.digest == manifest.digest:
                    del self.tags[key]
            self.manifests[repository] = [
                each for each in self.manifests[repository] if each.digest != manifest.digest
            ]
