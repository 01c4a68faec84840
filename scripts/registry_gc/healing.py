"""Looks again and again at what is new while a collection goes on, and puts back what that needs.

Each look makes the plan anew, over the store together with what was taken from it: whatever the
plan no longer deletes goes back. So one rule says what may go, before the unlinking and after.
"""

import time
from collections.abc import Callable

from registry_gc.inventory import View
from registry_gc.journal import Journal
from registry_gc.layout import Digest, Kind
from registry_gc.manifests import Manifests
from registry_gc.options import CollectOptions
from registry_gc.plan import Clock, Deletion, Plan
from registry_gc.storage import Store
from registry_gc.survey import Progress, survey

_PASS = 3.0  # seconds from one look to the next
_SHARE = 4  # a look takes at most a fifth of the time, however large the store


class Healing:
    """Heals one run. `wait` waits so many seconds; it and `progress` may raise to end the run."""

    def __init__(
        self,
        store: Store,
        options: CollectOptions,
        journal: Journal,
        manifests: Manifests,
        wait: Callable[[float], None],
        progress: Progress | None = None,
    ) -> None:
        self._store = store
        self._options = options
        self._journal = journal
        self._wait = wait
        self._progress = progress
        self._manifests = manifests
        self._due = 0.0
        self._is_looking = False
        self.problems: list[str] = []
        """The damage that the last full scan met: it reads every link, so it may meet more."""

    def go_on_for(self, seconds: float) -> None:
        """Heal for so long, and then until a look finds nothing to put back.

        The last look begins after that time: one that began before may have passed by what was
        pushed before.
        """
        deadline = time.monotonic() + seconds
        while True:
            began = time.monotonic()
            if not self.look() and began >= deadline:
                return
            self._wait(min(self._due, max(deadline, time.monotonic())) - time.monotonic())

    def while_waiting(self, seconds: float) -> None:
        """Wait for so long, and heal when it is time: the restart of a registry calls this."""
        self.when_due()
        self._wait(seconds)

    def when_due(self) -> None:
        """Heal if it is time: whatever takes long calls this now and then (attack 20)."""
        if time.monotonic() >= self._due and not self._is_looking:
            self.look()

    def look(self) -> int:
        """Put back what is needed by now; return how many things that were."""
        taken = self._journal.taken
        began = time.monotonic()
        if not taken:
            self._due = began + _PASS
            return 0
        self._is_looking = True
        try:
            plan = self._plan([e.digest for e in taken if e.kind is Kind.BLOB and e.digest])
        finally:
            self._is_looking = False
        dead = {deletion.entry for deletion in (*plan.links, *plan.blobs)}
        needed = [entry for entry in taken if entry not in dead]
        for entry in needed:
            self._journal.put_back(entry)
        ended = time.monotonic()
        self._due = ended + max(_PASS, _SHARE * (ended - began))
        return len(needed)

    def still_dead(self, planned: list[Deletion]) -> list[Deletion]:
        """Scan and mark again in full; return those of the planned blobs that are dead by that too.

        A blob that the first scan did not see is never among them, nor one that was written anew.
        """
        dead = {blob.entry: blob for blob in self._plan(None, every_link=True).blobs}
        return [blob for blob in planned if dead.get(blob.entry) == blob]

    def _seen(self, blobs: int, repositories: int) -> None:
        if self._progress:
            self._progress(blobs, repositories)
        self.when_due()

    def _plan(self, blobs: list[Digest] | None, *, every_link: bool = False) -> Plan:
        view = View(self._store, self._journal.taken)
        clock = Clock(self._store.now(), self._options)
        plan = survey(
            view,
            self._manifests,
            clock,
            blobs=blobs,
            after_unlinking=True,
            every_link=every_link,
            progress=self._seen,
        )
        if every_link:
            self.problems = plan.problems
        return plan
