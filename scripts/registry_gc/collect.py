"""One collection, from the scan to the removal.

    scan -> unlink -> settle -> bury -> forget -> confirm -> remove

The order is what keeps a push safe. A link is taken long before its blob, so that a push which
looks for the layer is told to upload it; a blob is moved away, not deleted, because a push that
was told "exists" just before may be acknowledged just after; the registry forgets after that, so
that nothing that is away gets back into its memory; and only what nobody asked for since goes.
Until the removal everything can be put back, and is when anything fails.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from registry_gc.errors import CollectorError, StoppedError, StorageError
from registry_gc.healing import Healing
from registry_gc.inventory import Upload, View
from registry_gc.journal import Journal
from registry_gc.layout import REGISTRY, Entry, Kind, path_of
from registry_gc.manifest_cache import ManifestCache
from registry_gc.mending import mend_empty_links
from registry_gc.options import CollectOptions, Restart, nanoseconds
from registry_gc.plan import Clock, Deletion, Plan, check_guards
from registry_gc.storage import NoSpaceError, Store
from registry_gc.survey import Progress, has_repositories, survey
from registry_gc.vacant import remove_place_of, remove_repository, remove_vacant


class Memory(Protocol):
    """What registries remember of the store; `descriptor_cache` knows how they forget it."""

    def check(self, option: Restart) -> None:
        """Raise GuardError if they could not be made to forget."""

    def forget(self, entries: Set[Entry], meanwhile: Callable[[float], None]) -> int:
        """Make them forget these, calling `meanwhile` to wait; return the restarts.

        The first call is after the burial; a later one asks those that came since.
        """

    @property
    def is_shared(self) -> bool:
        """Whether they share a memory, into which each can write at any time."""


@dataclass(slots=True)
class Outcome:
    """What a collection did; `bytes` are those of blobs and uploads that went for good."""

    plan: Plan
    blobs: int = 0
    links: int = 0
    bytes: int = 0
    uploads: int = 0
    restarts: int = 0
    problems: list[str] = field(default_factory=list)

    def count(self, deletion: Deletion) -> None:
        """Note that a file went for good."""
        if deletion.entry.kind is Kind.BLOB:
            self.blobs += 1
            self.bytes += deletion.stat.size
        else:
            self.links += 1


@dataclass(slots=True)
class Collection:
    """One run over one store, whose lock the caller holds.

    `stop` ends it early with everything put back, and so does `ends` of the monotonic clock;
    `enter` is told each phase as it begins, `progress` what the scan has seen.
    """

    store: Store
    options: CollectOptions
    memory: Memory
    stop: Event = field(default_factory=Event)
    enter: Callable[[str], None] = lambda _phase: None
    progress: Progress | None = None
    ends: float = math.inf
    _cache: ManifestCache = field(init=False)

    def __post_init__(self) -> None:
        """Find what earlier runs learned of the manifests."""
        self._cache = ManifestCache(self.store)

    def plan(self, *, every_link: bool = False) -> Plan:
        """Return what a collection would do now, see `survey`; changes nothing."""
        view = View(self.store, Journal(self.store).taken)
        found = survey(
            view,
            self._cache.of(view),
            self._clock(),
            every_link=every_link,
            progress=self._seen,
        )
        check_guards(found, self.options, has_repositories=has_repositories(view))
        return found

    def run(self) -> Outcome:
        """Collect. Raises CollectorError; then everything that was taken has been put back."""
        journal = Journal(self.store)
        recover(self.store, journal)
        self.enter("scan")
        has_room = _prepare(journal)
        found = self.plan()
        outcome = Outcome(found, problems=found.problems)
        if not found.nothing_to_take:
            self.memory.check(self.options.restart)
        self._remove_uploads(found.uploads, outcome)
        self._end_quarantine(journal)
        self._remove_vacant(found, outcome)
        if not found.nothing_to_take:
            if not has_room:
                self._make_room(journal)
            self._take_and_remove(found, journal, outcome)
        self._remove_repositories(found, outcome)
        _prepare(journal)
        self._cache.save()
        return outcome

    def run_offline(self) -> Outcome:
        """Collect a store that no registry uses: nothing to wait for and no journal to need room.

        Links go before blobs, so that a run that dies leaves nothing that names what is gone.
        """
        journal = Journal(self.store)
        recover(self.store, journal)
        self.enter("scan")
        found = self.plan(every_link=True)
        outcome = Outcome(found, problems=found.problems)
        self.enter("remove")
        for deletion in (*found.links, *found.blobs):
            if self._is_to_end():
                raise _stopped_offline()
            self.store.remove(f"{REGISTRY}/{path_of(deletion.entry)}")
            remove_place_of(self.store, deletion.entry)
            outcome.count(deletion)
        self._remove_uploads(found.uploads, outcome)
        self._end_quarantine(journal)
        self._remove_vacant(found, outcome)
        self._remove_repositories(found, outcome)
        _prepare(journal)
        self._cache.save()
        return outcome

    def wait(self, seconds: float) -> None:
        """Wait, but raise StoppedError as soon as the run is to end."""
        self.stop.wait(max(0.0, min(seconds, self.ends - time.monotonic())))
        self._check_stop()

    def _end_quarantine(self, journal: Journal) -> None:
        """Remove for good what has been quarantined for long enough."""
        length = nanoseconds(self.options.quarantine)
        for when in journal.quarantined():
            if self.store.now() - when >= length:
                journal.doom_quarantined(when)
                _discard(self.store, journal)

    def _take_and_remove(self, found: Plan, journal: Journal, outcome: Outcome) -> None:
        quarantined = ""
        try:
            self._take_and_confirm(found, journal, outcome)
            if not journal.taken:
                return
            self.enter("remove")
            deletions = {deletion.entry: deletion for deletion in (*found.links, *found.blobs)}
            for entry in journal.taken:
                outcome.count(deletions[entry])
            if self.options.quarantine:
                quarantined = journal.quarantine(self.store.now())
            else:
                journal.doom()
        except BaseException as error:
            failed = journal.put_all_back()
            if failed and isinstance(error, (CollectorError, NoSpaceError)):
                raise _not_undone(failed) from error
            raise
        if quarantined:
            for entry in journal.entries(quarantined):
                remove_place_of(self.store, entry)
        else:
            _discard(self.store, journal)

    def _take_and_confirm(self, found: Plan, journal: Journal, outcome: Outcome) -> None:
        manifests = self._cache.of(View(self.store, journal.taken))
        healing = Healing(
            self.store, self.options, journal, manifests, self.wait, progress=self._seen
        )
        self.enter("unlink")
        self._take(found.links, journal, outcome, healing)
        self.enter("settle")
        healing.go_on_for(self.options.settle_period.total_seconds())
        self.enter("bury")
        self._take(healing.still_dead(found.blobs), journal, outcome, healing)
        known = set(outcome.problems)
        outcome.problems += [each for each in healing.problems if each not in known]
        if not journal.taken:
            return
        self.enter("forget")
        outcome.restarts = self._forget(journal, healing)
        self.enter("confirm")
        healing.go_on_for(self.options.settle_period.total_seconds())
        while restarts := self._forget(journal, healing):
            outcome.restarts += restarts
            healing.go_on_for(self.options.settle_period.total_seconds())
        if self.memory.is_shared:
            # What was told by an entry that was written between the burial and just now.
            healing.go_on_for(0)
        self._check_stop()

    def _forget(self, journal: Journal, healing: Healing) -> int:
        """Make the registries forget, and mend what their ends broke; return the restarts."""
        since = self.store.now()
        restarts = self.memory.forget(journal.taken.keys(), healing.while_waiting)
        if restarts:
            mend_empty_links(View(self.store, journal.taken), since)
        return restarts

    def _take(
        self, deletions: list[Deletion], journal: Journal, outcome: Outcome, healing: Healing
    ) -> None:
        # The largest first: if the room for names runs out, what was moved frees the most.
        for deletion in sorted(deletions, key=lambda each: -each.stat.size):
            self._check_stop()
            healing.when_due()
            try:
                journal.take(deletion)
            except NoSpaceError:
                outcome.problems.append(
                    "the disk has no room to note all deletions, so only a part was collected: "
                    "run again"
                )
                return

    def _make_room(self, journal: Journal) -> None:
        """Try again for the journal's room, now that stale uploads and empty folders are gone."""
        if not _prepare(journal):
            raise StorageError(
                "nothing that an image could need was deleted: the disk is full to the last byte",
                why="a collection beside a running registry needs 8 MiB and some inodes",
                next_step="free a little room; or stop the registry and run "
                "`registry-gc collect --offline`, which needs none",
            )

    def _remove_uploads(self, uploads: list[Upload], outcome: Outcome) -> None:
        for upload in uploads:
            if self._goes_on(upload):
                continue
            for path in upload.files:
                self.store.remove(f"{REGISTRY}/{path}")
            for path in upload.folders:
                self.store.remove_folder(f"{REGISTRY}/{path}")
            outcome.uploads += 1
            outcome.bytes += upload.size

    def _goes_on(self, upload: Upload) -> bool:
        """Say whether somebody has written to an upload since it was scanned."""
        names = {*upload.files, *upload.folders}
        for folder in upload.folders:
            listing = self.store.list(f"{REGISTRY}/{folder}")
            if any(f"{folder}/{name}" not in names for name in (*listing.folders, *listing.files)):
                return True
        stats = (self.store.stat(f"{REGISTRY}/{path}") for path in upload.files)
        return any(stat.modified > upload.touched for stat in stats if stat)

    def _remove_vacant(self, found: Plan, outcome: Outcome) -> None:
        for folder in found.vacant:
            with _noting(outcome):
                remove_vacant(self.store, folder, self._is_young())

    def _remove_repositories(self, found: Plan, outcome: Outcome) -> None:
        for repository in found.repositories:
            with _noting(outcome):
                remove_repository(self.store, repository, self._is_young())

    def _is_young(self) -> Callable[[int], bool]:
        """Return what says whether a folder may just have been made by a push; none is, offline."""
        return (lambda _modified: False) if self.options.offline else self._clock().is_young

    def _clock(self) -> Clock:
        return Clock(self.store.now(), self.options)

    def _seen(self, blobs: int, repositories: int) -> None:
        """Note what a scan has seen; it may take long, so it ends when the run is to end."""
        self._check_stop()
        if self.progress:
            self.progress(blobs, repositories)

    def _is_to_end(self) -> bool:
        return self.stop.is_set() or time.monotonic() >= self.ends

    def _check_stop(self) -> None:
        if self._is_to_end():
            told = self.stop.is_set()
            raise StoppedError(
                "the collection was stopped; everything was put back",
                why="it was told to end" if told else "it took longer than --max-duration",
                next_step="nothing; the next run starts anew"
                if told
                else "raise --max-duration, or collect less at once with --repository",
            )


def recover(store: Store, journal: Journal) -> int:
    """End what a dead run left: finish its removal, or put back what it took; return how much.

    Nothing that was put back can be lost by that, so the next run begins anew.
    """
    count = len(journal.taken)
    if journal.has_doomed:
        _discard(store, journal)
    if failed := journal.put_all_back():
        raise _not_undone(failed)
    return count


@contextlib.contextmanager
def _noting(outcome: Outcome) -> Iterator[None]:
    """Go on after a failure that only leaves an empty folder behind."""
    try:
        yield
    except StorageError as error:
        outcome.problems.append(f"{error.what}: {error.why}")


def _discard(store: Store, journal: Journal) -> None:
    """Remove what is doomed and the folders that it leaves empty."""
    journal.discard(lambda entry: remove_place_of(store, entry))


def _prepare(journal: Journal) -> bool:
    """Fill the journal's reserve; False if the storage has no room for it."""
    try:
        journal.prepare()
    except NoSpaceError:
        return False
    return True


def _stopped_offline() -> StoppedError:
    return StoppedError(
        "the collection was stopped before its end; what it had removed by then was not needed",
        why="it was told to end, or took longer than --max-duration",
        next_step="collect again for the rest",
    )


def _not_undone(failed: list[str]) -> StorageError:
    return StorageError(
        f"not everything that was taken could be put back: {failed[0]}",
        why=f"{len(failed)} files are still in the state directory, none is lost",
        next_step="mend the storage, then run `registry-gc recover`",
    )
