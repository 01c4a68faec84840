"""Scan and mark: from the store to the plan, one repository at a time."""

from collections.abc import Callable, Iterable, Set

from registry_gc import inventory, layout
from registry_gc.errors import StorageError
from registry_gc.inventory import Link, Repository, View
from registry_gc.layout import REGISTRY, Digest, Entry, Kind
from registry_gc.manifests import Manifests
from registry_gc.plan import Clock, Deletion, Plan, earliest_upload, unneeded_links
from registry_gc.reachability import Age, reach
from registry_gc.unmarked import Unmarked

Progress = Callable[[int, int], None]
"""Told after each folder of blobs and each repository how many blobs and repositories were seen."""


def survey(
    view: View,
    manifests: Manifests,
    clock: Clock,
    *,
    blobs: Iterable[Digest] | None = None,
    after_unlinking: bool = False,
    every_link: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Return what is dead now. Raises GuardError for a store that may lie somewhere else.

    `blobs` limits the question to these blobs; None asks about every blob of the store. They are
    scanned before the repositories, in the reverse of the order in which a push writes.

    Before the unlinking, a blob is dead if only links that are to go name it; afterwards
    (`after_unlinking`) any link that stands protects it, whatever becomes of the link.

    A link that is needed is not opened and counts as naming its folder's digest; with `every_link`,
    as a burial wants it, all are, and the one that names another blob protects that too.
    """
    plan = Plan()
    inventory.check_top(view.store)
    dead = _scan(plan, view, blobs, progress)
    for number, name in enumerate(inventory.repository_names(view), start=1):
        found = inventory.repository(view, name)
        before = len(plan.links)
        dead.mark(
            _survey_repository(plan, view, manifests, clock, found, after_unlinking=after_unlinking)
        )
        if every_link:
            # What goes holds nothing, unless it should be gone by now and is not.
            going = [] if after_unlinking else plan.links[before:]
            dead.mark(_held_by_misnamed_links(view, found, {each.entry for each in going}))
        if progress:
            progress(plan.seen, number)
    plan.complete = view.complete
    if plan.complete:
        _survey_blobs(plan, view, clock, dead)
    elif any(dead):
        plan.problems.append("no blob is deleted, because a folder could not be read")
    plan.problems[:0] = view.problems
    return plan


def _scan(
    plan: Plan, view: View, blobs: Iterable[Digest] | None, progress: Progress | None
) -> Unmarked:
    """Return the blobs in question, and count them."""
    found = Unmarked()
    for portion in inventory.blobs(view) if blobs is None else [list(blobs)]:
        found.add(portion)
        plan.seen += len(portion)
        if progress:
            progress(plan.seen, 0)
    return found


class _Look:
    """Looks at a repository's links, each once."""

    def __init__(self, view: View, clock: Clock, repository: Repository) -> None:
        self._view = view
        self._clock = clock
        self._since = earliest_upload(repository, clock)
        self._links: dict[Entry, Link | None] = {}
        self.deleted: set[Digest] = set()
        """The revisions without a link: deleted through the API, which leaves their folders."""

    def link(self, entry: Entry) -> Link | None:
        try:
            return self._links[entry]
        except KeyError:
            link = self._links[entry] = self._view.link(entry)
        if link is None and entry.kind is Kind.REVISION_LINK and entry.digest:
            self.deleted.add(entry.digest)
        return link

    def age(self, entry: Entry) -> Age:
        link = self.link(entry)
        if link is None:
            return Age.MISSING
        if link.target is None or not link.stat.is_plain or self._is_strange(entry, link.target):
            return Age.YOUNG
        since = self._since if entry.kind is Kind.LAYER_LINK else None
        young = self._clock.is_young(link.stat.modified, since=since)
        return Age.YOUNG if young else Age.OLD

    def named_by(self, entry: Entry) -> set[Digest]:
        """Return what a link protects while it stands: its own digest and the one it holds."""
        link = self.link(entry)
        return {digest for digest in (entry.digest, link and link.target) if digest}

    def _is_strange(self, entry: Entry, target: Digest) -> bool:
        if entry.digest in (None, target) or len(entry.digest or b"") != 32:
            return False  # only a link that is not named by sha256 may lead to another digest
        self._view.note(
            f"the {entry.kind.value} {entry} names {layout.digest_text(target)}; it counts as live"
        )
        return True


def _survey_repository(
    plan: Plan,
    view: View,
    manifests: Manifests,
    clock: Clock,
    repository: Repository,
    *,
    after_unlinking: bool,
) -> set[Digest]:
    """Add the repository's deletions to the plan; return every digest that its links protect."""
    look = _Look(view, clock, repository)
    reached = reach(
        repository,
        manifests,
        age=look.age,
        delete_untagged=clock.options.delete_untagged,
    )
    protected = reached.live | _signatures(view, manifests, repository, look)
    plan.problems += map(layout.shown, reached.problems)
    plan.tags += len(repository.tags)
    if not clock.options.may_unlink(repository.name):
        for entry, _ in unneeded_links(repository, reached):
            protected |= look.named_by(entry)
        return protected
    before = len(plan.links)
    for entry, reason in unneeded_links(repository, reached):
        age, link = look.age(entry), look.link(entry)
        if link is None:
            plan.vacant.append(layout.folder_of(entry))
            continue
        if age is Age.OLD and entry.tag and _leads_away(view, entry):
            age = Age.YOUNG  # its folder is a symbolic link, which may lead out of the store
        if age is Age.OLD:
            plan.links.append(Deletion(entry, reason, link.stat))
        if age is Age.YOUNG or (after_unlinking and not link.away):
            protected |= look.named_by(entry)
    plan.vacant += repository.hollow
    if repository.complete:
        plan.uploads += [each for each in repository.uploads if clock.is_stale(each)]
    if len(plan.links) > before or not (repository.tags or repository.revisions):
        plan.repositories.append(repository.name)
    return protected


def _leads_away(view: View, entry: Entry) -> bool:
    """Say whether a tag's file lies behind a symbolic link; the other folders are looked at anyway.

    Then it may lie outside of the store, where nothing is touched.
    """
    folder = layout.folder_of(entry)
    top = f"{layout.tags(entry.repository)}/{entry.tag}"
    above = {folder}
    while folder != top:
        above.add(folder)
        folder = folder.rpartition("/")[0]
    return any(view.lacks(each) for each in sorted(above))


def _signatures(
    view: View, manifests: Manifests, repository: Repository, look: _Look
) -> set[Digest]:
    """Return the blobs that hold signatures of schema 1 manifests.

    Registries up to 2.3 wrote them, below the revision; they stay as long as that folder does.
    """
    found: set[Digest] = set()
    for digest in look.deleted | set(filter(manifests.is_signed, repository.revisions)):
        found |= inventory.signatures(view, Entry(Kind.REVISION_LINK, repository.name, digest))
    return found


def _held_by_misnamed_links(view: View, repository: Repository, going: Set[Entry]) -> set[Digest]:
    """Return the digests that links hold which are named otherwise; all that stay are read."""
    name = repository.name
    entries = [Entry(Kind.LAYER_LINK, name, digest) for digest in repository.layers]
    entries += [Entry(Kind.REVISION_LINK, name, digest) for digest in repository.revisions]
    for tag, index in repository.index.items():
        entries += [Entry(Kind.TAG_INDEX, name, digest, tag) for digest in index]
    found = set()
    for entry in entries:
        target = None if entry in going else view.held_elsewhere(entry)
        if target is None:
            continue
        found.add(target)
        if entry.digest and len(entry.digest) == 32:  # by another algorithm it is no damage
            view.note(
                f"the {entry.kind.value} {entry} names {layout.digest_text(target)}, which is kept"
            )
    return found


def _survey_blobs(plan: Plan, view: View, clock: Clock, dead: Iterable[Digest]) -> None:
    for digest in dead:
        entry = Entry(Kind.BLOB, digest=digest)
        try:
            stat = view.stat(entry)
        except StorageError as error:
            plan.problems.append(f"{error.what}: {error.why}; the blob is kept")
            continue
        if stat is None:
            plan.vacant.append(layout.folder_of(entry))
        elif not stat.is_plain:
            what = "folder" if stat.is_folder else "file"
            plan.problems.append(f"unknown {what} kept: {layout.path_of(entry)} ({entry})")
        elif not clock.is_young(stat.modified):
            plan.blobs.append(Deletion(entry, "nothing names it", stat))


def has_repositories(view: View) -> bool:
    """Say whether the store has its folder of repositories, be it empty."""
    return view.store.stat(f"{REGISTRY}/repositories") is not None
