"""Checks our own folder beside the store: what a run that died left there."""

from collections.abc import Iterator

from registry_gc.checking.findings import Finding, Harm
from registry_gc.errors import StorageError
from registry_gc.layout import STATE
from registry_gc.storage import Store

_FILES = frozenset({"lock", "holder.json", "store-id", "manifests"})
_FOLDERS = frozenset({"taken", "doomed", "quarantine", "reserve", "reports", "replicas"})
_RECOVER = "run `registry-gc recover` (a collection or a sidecar does it when it starts)"


def check_state(store: Store) -> Iterator[Finding]:
    """Yield what lies in the state directory and should not while no collection goes on."""
    try:
        stat = store.stat(STATE)
        if stat is None:
            return
        if not stat.is_folder:
            yield Finding(
                "no folder", STATE, Harm.NONE,
                f"{STATE} is not a plain folder, so no collection begins", "remove what is there",
            )  # fmt: skip
            return
        listing = store.list(STATE)
        taken = sum(1 for _ in _files(store, f"{STATE}/taken"))
        doomed = store.stat(f"{STATE}/doomed") is not None
        quarantined = sum(1 for _ in _files(store, f"{STATE}/quarantine"))
    except StorageError as error:
        yield Finding(
            "unreadable folder", STATE, Harm.UNKNOWN,
            f"the state directory cannot be read ({error.why})", "mend its owner and mode",
        )  # fmt: skip
        return
    if taken:
        yield Finding(
            "leftover of a dead run", f"{STATE}/taken", Harm.IMAGE,
            f"a collection that died holds {taken} files, which may be needed", _RECOVER,
            count=taken,
        )  # fmt: skip
    if doomed:
        yield Finding(
            "leftover of a dead run", f"{STATE}/doomed", Harm.NONE,
            "a collection died while it removed what nobody needs", _RECOVER,
        )  # fmt: skip
    if quarantined:
        yield Finding(
            "quarantine", f"{STATE}/quarantine", Harm.NORMAL,
            f"{quarantined} files are in quarantine",
            "nothing, or `registry-gc restore`, which puts them back", count=quarantined,
        )  # fmt: skip
    for name in (*listing.files, *listing.folders, *listing.symlinks):
        if name in listing.files and (name in _FILES or name.endswith(".json")):
            continue
        if name in listing.folders and name in _FOLDERS:
            continue
        yield Finding(
            "leftover in the state directory", f"{STATE}/{name}", Harm.NONE,
            f"{STATE}/{name} is nothing that a run that ended leaves",
            "remove it while no collection runs",
        )  # fmt: skip


def _files(store: Store, top: str) -> Iterator[str]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        listing = store.list(folder)
        yield from (f"{folder}/{name}" for name in (*listing.files, *listing.symlinks))
        waiting.extend(f"{folder}/{name}" for name in listing.folders)
