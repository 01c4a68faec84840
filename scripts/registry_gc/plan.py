"""Every deletion of a collection with its reason and bytes.

The same object is printed by a dry run and executed by a real one (rule 5).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from registry_gc.errors import GuardError
from registry_gc.inventory import Repository, Upload
from registry_gc.layout import Digest, Entry, Kind
from registry_gc.options import CollectOptions, nanoseconds
from registry_gc.reachability import Reach
from registry_gc.storage import Stat

_GUARDED_FROM = 100  # blobs; a smaller store may well lose most of them in one run


@dataclass(frozen=True, slots=True)
class Deletion:
    """One file that goes, why, and the file as it was when that was decided."""

    entry: Entry
    reason: str
    stat: Stat


@dataclass(slots=True)
class Plan:
    """What a collection will do.

    `vacant` are folders, relative to the registry's tree, that hold nothing; `seen` and `tags`
    count blobs and tags, `complete` is False when a folder could not be read: then no blob goes.
    """

    links: list[Deletion] = field(default_factory=list)
    blobs: list[Deletion] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    vacant: list[str] = field(default_factory=list)
    repositories: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seen: int = 0
    tags: int = 0
    complete: bool = True

    @property
    def nothing_to_take(self) -> bool:
        """Whether neither a link nor a blob goes."""
        return not self.links and not self.blobs

    @property
    def bytes(self) -> int:
        """Return the bytes that the blobs and uploads take."""
        return sum(blob.stat.size for blob in self.blobs) + sum(each.size for each in self.uploads)


@dataclass(frozen=True, slots=True)
class Clock:
    """The storage's time when a scan began, in nanoseconds since the epoch, and how old is old."""

    now: int
    options: CollectOptions

    def is_young(self, modified: int, *, since: int | None = None) -> bool:
        """Say whether a file is within the grace period before `since` (default: now)."""
        reference = self.now if since is None else min(since, self.now)
        # Strictly older: at the grace period itself a slow push may still write its link.
        return reference - modified <= nanoseconds(self.options.grace_period)

    def is_stale(self, upload: Upload) -> bool:
        """Say whether nobody has written to an upload for the upload grace period."""
        return self.now - upload.touched > nanoseconds(self.options.upload_grace_period)


def earliest_upload(repository: Repository, clock: Clock) -> int | None:
    """Return when the oldest upload that goes on began.

    While it does, its push may rest on layers that it found in place: a layer link younger than its
    start minus the grace period stays. One that nobody has written to for the grace period is what
    a client left that was killed: counted, it would keep the repository's links for days.
    """
    return min(
        (each.started for each in repository.uploads if clock.is_young(each.touched)), default=None
    )


def unneeded_links(repository: Repository, reach: Reach) -> Iterator[tuple[Entry, str]]:
    """Yield every link that nothing needs and why; those that are old go.

    In an order that can be cut anywhere: a tag that follows its subject goes before it, or it would
    look like any other tag, and after its history, or it would look like one that was damaged.
    """
    name = repository.name
    for tag, current in sorted(repository.tags.items(), key=lambda item: item[0]):
        for digest in _history(repository.index[tag], current, reach, tag):
            yield Entry(Kind.TAG_INDEX, name, digest, tag), "the tag no longer names it"
        if tag in reach.expired:
            yield Entry(Kind.TAG, name, tag=tag), "it is about a manifest that goes"
    for digest in sorted(repository.revisions - reach.live):
        yield Entry(Kind.REVISION_LINK, name, digest), "no tag leads to it"
    for digest in sorted(repository.layers - reach.live):
        yield Entry(Kind.LAYER_LINK, name, digest), "no manifest of the repository needs it"


def _history(index: set[Digest], current: Digest | None, reach: Reach, tag: str) -> list[Digest]:
    """Return the tag index entries that are only history; all of them if the tag goes."""
    if tag in reach.expired:
        return sorted(index)
    if reach.whole or current is None:
        return []
    return sorted(index - {current})


def check_guards(plan: Plan, options: CollectOptions, *, has_repositories: bool) -> None:
    """Raise GuardError for a plan that looks like a mistake (rule 10)."""
    if plan.seen and not has_repositories:
        raise GuardError(
            f"nothing was deleted: there are {plan.seen} blobs and no folder `repositories`",
            why="a half-restored store, or a wrong root directory, looks like this",
            next_step="check `rootdirectory`; if nothing is wanted, make a folder `repositories`",
        )
    if plan.seen <= _GUARDED_FROM or not plan.blobs:
        return
    if not plan.tags:
        raise GuardError(
            f"nothing was deleted: there are {plan.seen} blobs and not one tag",
            why="a wrong root directory or a half-read store looks exactly like this",
            next_step="read `registry-gc plan`; to go on, tag an image that you want to keep",
        )
    if len(plan.blobs) > options.max_delete_ratio * plan.seen:
        raise GuardError(
            f"nothing was deleted: the plan removes {len(plan.blobs)} of {plan.seen} blobs, "
            f"the limit is {options.max_delete_ratio:.0%}",
            why="a wrong root directory or a half-read store looks exactly like this",
            next_step="read `registry-gc plan`; if it is what you want, add --max-delete-ratio 1 "
            "(chart: garbageCollect.maxDeleteRatio)",
        )
