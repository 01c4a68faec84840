"""Collections of a store on disk without a registry: periods of zero, and seams to push at."""

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from pathlib import Path

from registry_gc.collect import Collection, Outcome
from registry_gc.layout import Entry
from registry_gc.options import CollectOptions, duration
from registry_gc.plan import Plan
from registry_gc.storage import FileStore


@dataclass
class NoMemory:
    """A registry that keeps nothing in memory; counts how often it was told to forget."""

    forgets: int = 0
    on_forget: Callable[[], None] = lambda: None
    refusal: Exception | None = None
    is_shared: bool = False

    def check(self, option: str) -> None:
        if self.refusal:
            raise self.refusal

    def forget(self, entries: Set[Entry], meanwhile: Callable[[float], None]) -> int:
        self.forgets += 1
        if self.forgets == 1:  # later calls ask only who came since
            self.on_forget()
            meanwhile(0)
        return 0


@dataclass
class At:
    """Calls what a test wants to happen when a phase begins."""

    events: dict[str, Callable[[], object]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def __call__(self, phase: str) -> None:
        self.seen.append(phase)
        if event := self.events.get(phase):
            event()


def options(
    grace: str = "1h", settle: str = "0", *, delete_untagged: bool = True, **others: object
) -> CollectOptions:
    return CollectOptions(
        grace_period=duration(grace),
        settle_period=duration(settle),
        delete_untagged=delete_untagged,
        **others,  # type: ignore[arg-type]  # each test names fields of CollectOptions
    )


def collection(
    root: Path,
    *,
    store: FileStore | None = None,
    at: dict[str, Callable[[], object]] | None = None,
    memory: NoMemory | None = None,
    chosen: CollectOptions | None = None,
) -> Collection:
    return Collection(
        store or FileStore(str(root)),
        chosen or options(),
        memory or NoMemory(),
        enter=At(at or {}),
    )


def collect(root: Path, **settings: object) -> Outcome:
    """Collect whatever is older than an hour, without waiting."""
    return collection(root, **settings).run()  # type: ignore[arg-type]  # passed on as they are


def plan(root: Path, **settings: object) -> Plan:
    return collection(root, **settings).plan()  # type: ignore[arg-type]  # passed on as they are
