"""Which digests of a repository are live.

Roots are every tag's manifest, every revision that is young, and what damage makes unknown. From
there everything that a manifest names is live: config, layers, children, and its subject if that
is in the repository; and what names a live manifest as its subject is live too. Nothing here reads
storage: what it must know it asks for.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from registry_gc.inventory import Repository
from registry_gc.layout import Digest, Entry, Kind, digest_text, subject_of_tag
from registry_gc.manifests import (
    CorruptManifestError,
    DamagedManifestError,
    Manifest,
    Manifests,
    NotAManifestError,
)


class Age(Enum):
    """How a link stands to the grace period; what cannot be judged counts as young."""

    MISSING = "missing"
    YOUNG = "young"
    OLD = "old"


@dataclass(slots=True)
class Reach:
    """What one repository needs.

    `live` holds digests of manifests, configs and layers alike: a link of that name stays, and so
    does the blob. `expired` are the tags that go with their subject. `whole` says that damage
    makes everything in the repository live.
    """

    live: set[Digest] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    whole: bool = False
    problems: list[str] = field(default_factory=list)


def reach(
    repository: Repository,
    manifests: Manifests,
    *,
    age: Callable[[Entry], Age],
    delete_untagged: bool,
) -> Reach:
    """Return what the repository needs, asking `age` for the links on which that depends."""
    walk = _Walk(repository, manifests, age)
    following = _tags_that_follow(repository, manifests, age)
    for tag, current in repository.tags.items():
        if tag not in following:
            walk.follow(_named_by_tag(repository, tag, current))
    for digest in repository.revisions - walk.found.live:
        match age(Entry(Kind.REVISION_LINK, repository.name, digest)):
            case Age.MISSING:
                walk.missing.add(digest)  # deleted through the API, which leaves its folder
            case Age.YOUNG:
                walk.follow([digest])
            case Age.OLD if not delete_untagged:
                walk.follow([digest])
    for tag, subject in following.items():
        if age(Entry(Kind.TAG, repository.name, tag=tag)) is not Age.OLD:
            # Pushed just now, or damaged: its subject is wanted, so both stay.
            walk.follow([subject])
    walk.follow_referrers()
    walk.found.expired = _follow_tags(walk, repository, following)
    if walk.found.whole or not repository.complete:
        walk.found.whole = True
        walk.found.expired = set()
        walk.keep_everything()
    return walk.found


def _tags_that_follow(
    repository: Repository, manifests: Manifests, age: Callable[[Entry], Age]
) -> dict[str, Digest]:
    """Return the fallback and signature tags whose subject is in this repository.

    Where the subject is simply not there, nothing says that it was ours to remove: such a tag is
    an ordinary one (it may have been pushed before its subject, or copied without it). So is a tag
    that is named after the very image that it names: copying tools make them to keep it.
    """
    found = {}
    for tag, current in repository.tags.items():
        subject = subject_of_tag(tag)
        if subject is None or subject not in repository.revisions:
            continue
        if age(Entry(Kind.REVISION_LINK, repository.name, subject)) is Age.MISSING:
            continue
        if current is None or not _holds(manifests, current, subject):
            found[tag] = subject
    return found


def _holds(manifests: Manifests, top: Digest, wanted: Digest) -> bool:
    """Say whether a manifest is the wanted one or has it among its children, at any depth.

    What a manifest is about is none of its children here. One that cannot be read may hold it.
    """
    waiting, seen = [top], {top}
    while waiting:
        digest = waiting.pop()
        if digest == wanted:
            return True
        try:
            manifest = manifests.get(digest)
        except (CorruptManifestError, NotAManifestError):
            continue
        except DamagedManifestError:
            return True
        if manifest:
            new = manifest.children - seen
            seen |= new
            waiting.extend(new)
    return False


def _named_by_tag(repository: Repository, tag: str, current: Digest | None) -> Iterable[Digest]:
    """Return the tag's manifest; for an unreadable tag all it ever named, or every revision."""
    if current is not None:
        return [current]
    return repository.index[tag] or repository.revisions


def _follow_tags(walk: "_Walk", repository: Repository, following: dict[str, Digest]) -> set[str]:
    """Mark the fallback and signature tags of live subjects; return those that go with theirs.

    A signature may be signed in its turn, so this goes on until nothing new is live. Whether a
    subject is *removed* is known here, because a revision that is there and not live is old.
    """
    waiting = dict(following)
    while alive := [tag for tag, subject in waiting.items() if subject in walk.found.live]:
        for tag in alive:
            del waiting[tag]
            walk.follow(_named_by_tag(repository, tag, repository.tags[tag]))
        walk.follow_referrers()
    return set(waiting)


class _Walk:
    """Follows references inside one repository."""

    def __init__(
        self, repository: Repository, manifests: Manifests, age: Callable[[Entry], Age]
    ) -> None:
        self.repository = repository
        self._age = age
        self.manifests = manifests
        self.found = Reach()
        self._followed: set[Digest] = set()
        self._referrers: dict[Digest, set[Digest]] = defaultdict(set)
        self._asked: set[Digest] = set()
        self.missing: set[Digest] = set()

    def follow(self, roots: Iterable[Digest]) -> None:
        """Mark manifests and all that they lead to."""
        waiting = list(roots)
        while waiting:
            digest = waiting.pop()
            if digest in self._followed:
                continue
            self._followed.add(digest)
            self._mark(digest)
            waiting.extend(self._referrers.get(digest, ()))
            if (manifest := self._parsed(digest)) is None:
                continue
            self._mark_all(manifest.references)
            waiting.extend(manifest.children)
            if manifest.subject and self._is_there(manifest.subject):
                waiting.append(manifest.subject)

    def _is_there(self, subject: Digest) -> bool:
        """Say whether a subject is in this repository.

        One that was deleted is not wanted back because its signature is still here: then deleting
        a signed image would never free its space.
        """
        return subject in self.repository.revisions and (
            self._age(Entry(Kind.REVISION_LINK, self.repository.name, subject)) is not Age.MISSING
        )

    def follow_referrers(self) -> None:
        """Learn the subjects of what is not live, then mark those whose subject is.

        Later calls of `follow` know them already and mark them on their own.
        """
        for digest in self.repository.revisions - self.found.live - self._asked - self.missing:
            self._asked.add(digest)
            try:
                manifest = self.manifests.get(self._stored_as(digest))
            except CorruptManifestError:
                continue  # nobody can pull it, so nothing depends on it
            except DamagedManifestError:
                # Whose referrer it is cannot be known: it counts as live, with all that follows.
                self.follow([digest])
                continue
            if manifest and manifest.subject:
                self._referrers[manifest.subject].add(digest)
        # A subject is a manifest, but nothing stops anybody from naming a layer: then each that
        # becomes live may make another one live.
        waiting = set(self._referrers)
        while alive := waiting & self.found.live:
            waiting -= alive
            for subject in alive:
                self.follow(self._referrers[subject])

    def keep_everything(self) -> None:
        """Mark whatever the repository names."""
        repository = self.repository
        for digests in (repository.layers, repository.revisions, *repository.index.values()):
            for digest in digests:
                self._mark(digest)
        for current in repository.tags.values():
            if current is not None:
                self._mark(current)

    def _mark_all(self, digests: Iterable[Digest]) -> None:
        if self.repository.aliases:
            for digest in digests:
                self._mark(digest)
        else:
            self.found.live.update(digests)

    def _mark(self, digest: Digest) -> None:
        self.found.live.add(digest)
        if digest in self.repository.aliases:
            target = self.repository.aliases[digest]
            if target is None:
                # The link that says which blob this is cannot be read: it may be any.
                self.found.whole = True
            else:
                self.found.live.add(target)

    def _parsed(self, digest: Digest) -> Manifest | None:
        try:
            if manifest := self.manifests.get(self._stored_as(digest)):
                return manifest
            if self._should_be_there(digest):
                self._damaged(digest, DamagedManifestError("its blob is missing"))
        except NotAManifestError as error:
            if digest not in self.repository.revisions and not self._is_tagged(digest):
                return None  # a layer that an index lists: build caches do that
            self._damaged(digest, error)
        except DamagedManifestError as error:
            self._damaged(digest, error)
        return None

    def _stored_as(self, digest: Digest) -> Digest:
        """Return the digest of the blob: another one for a manifest that is named by sha512."""
        return self.repository.aliases.get(digest) or digest

    def _should_be_there(self, digest: Digest) -> bool:
        """Say whether a missing manifest is damage: a sparse index's child has no link, and what
        a pull-through cache let expire has none either.
        """
        entry = Entry(Kind.REVISION_LINK, self.repository.name, digest)
        return (
            self._is_tagged(digest)
            and digest in self.repository.revisions
            and self._age(entry) is not Age.MISSING
        )

    def _is_tagged(self, digest: Digest) -> bool:
        return digest in self.repository.tags.values()

    def _damaged(self, digest: Digest, error: DamagedManifestError) -> None:
        self.found.whole = True
        self.found.problems.append(
            f"the manifest {self.repository.name}@{digest_text(digest)} is damaged, {error}; "
            "everything in its repository is kept"
        )
