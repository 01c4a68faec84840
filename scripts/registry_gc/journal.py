"""What a collection took from the store, and how it gets back or goes for good.

The state directory mirrors the paths that things were taken from, so that the rename that takes
something is the journal entry: content, mtime and place are all kept, and no order of writes can
be lost. A second rename, of the whole folder, is the decision that nothing in it is wanted.

    docker/registry-gc/taken/repositories/app/_layers/sha256/<hex>     a link
    docker/registry-gc/taken/blobs/sha256/<hex>                        a blob
    docker/registry-gc/doomed/...                                      decided: goes for good
    docker/registry-gc/quarantine/<ns since the epoch>/...             decided: kept for a while
    docker/registry-gc/reserve/                                        room for the journal itself
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from registry_gc import layout
from registry_gc.errors import StorageError
from registry_gc.layout import REGISTRY, STATE, Entry, Kind
from registry_gc.plan import Deletion
from registry_gc.storage import NoSpaceError, Stat, Store

T = TypeVar("T")

TAKEN = f"{STATE}/taken"
DOOMED = f"{STATE}/doomed"
QUARANTINE = f"{STATE}/quarantine"
RESERVE = f"{STATE}/reserve"

_RESERVE_BYTES = 8 * 1024 * 1024
_RESERVE_NAMES = 64
_SETTLED = 1_000_000_000  # ns; a folder's mtime and a file's ctime of one rename differ by less


class Journal:
    """The state directory of one store. The caller holds the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.taken: dict[Entry, str] = dict(self._found(TAKEN))
        """Where the file of each entry that was taken is now."""

    @property
    def has_doomed(self) -> bool:
        """Whether a dead run had decided to remove what it took, and did not end."""
        return self._store.stat(DOOMED) is not None

    def prepare(self) -> None:
        """Make the state directory and fill its reserve. Raises NoSpaceError."""
        self._store.make_folder(TAKEN)
        self._store.make_folder(RESERVE)
        names = [f"{RESERVE}/name-{number:02}" for number in range(_RESERVE_NAMES)]
        for name in names:
            if self._store.stat(name) is None:
                self._store.allocate(name, 0)
        space = self._store.stat(f"{RESERVE}/space")
        if space is None or space.size < _RESERVE_BYTES:
            self._store.allocate(f"{RESERVE}/space", _RESERVE_BYTES)

    def release_reserve(self) -> bool:
        """Give the reserve's room to the journal; False if there is none left to give."""
        listing = self._store.list(RESERVE)
        for name in listing.files:
            self._store.remove(f"{RESERVE}/{name}")
        return bool(listing.files)

    def take(self, deletion: Deletion) -> bool:
        """Move a file away if it is still the one that was scanned: look, move, look again.

        False if it is gone or somebody has written it anew: then it stays. Raises NoSpaceError.
        """
        path = f"{REGISTRY}/{layout.path_of(deletion.entry)}"
        if not deletion.stat.is_plain or not _same(self._store.stat(path), deletion.stat):
            return False
        away = f"{TAKEN}/{_mirrored(deletion.entry)}"
        if not self._with_room(lambda: self._store.rename(path, away)):
            return False
        self.taken[deletion.entry] = away
        moved = self._store.stat(away)
        if moved is None or not _same(moved, deletion.stat):
            self.put_back(deletion.entry)
            return False
        if self._looks_deleted_at_once(deletion, moved):
            self._return(deletion.entry, moved)
            raise _no_time_of_moves()
        return True

    def _looks_deleted_at_once(self, deletion: Deletion, moved: Stat) -> bool:
        return (
            deletion.entry.kind not in (Kind.BLOB, Kind.LAYER_LINK)
            and moved.changed == deletion.stat.changed
            and self._store.now() - moved.changed > _SETTLED
        )

    def put_back(self, entry: Entry) -> bool:
        """Return what was taken to its place, which never overwrites what is sound there.

        False if it was not put back: it was deleted by somebody meanwhile, or written anew.
        """
        mine = self._store.stat(self.taken[entry])
        if mine is not None and self._was_deleted(entry, mine):
            self._drop(entry)
            return False
        return self._return(entry, mine)

    def _return(self, entry: Entry, mine: Stat | None) -> bool:
        away, path = self.taken[entry], f"{REGISTRY}/{layout.path_of(entry)}"
        if mine is None:
            # It is gone; or it is a symbolic link that leads nowhere from here.
            if self._store.stat(path) is None and self._store.rename(away, path):
                del self.taken[entry]
                return True
            self._drop(entry)
            return False
        if entry.kind in (Kind.BLOB, Kind.LAYER_LINK):
            self._with_room(
                lambda: self._store.make_folder(f"{REGISTRY}/{layout.folder_of(entry)}")
            )
        if self._with_room(lambda: self._store.put_new(away, path)):
            del self.taken[entry]
            return True
        if self._is_sound(entry, path, away, mine):
            self._drop(entry)
            return False
        self._store.rename(away, path)
        del self.taken[entry]
        return True

    def put_all_back(self) -> list[str]:
        """Undo the whole run; return a sentence for each thing that could not be put back."""
        failed = []
        # Blobs first, so that no link stands before what it names.
        for entry in sorted(self.taken, key=lambda entry: entry.kind is not Kind.BLOB):
            try:
                self.put_back(entry)
            except (StorageError, NoSpaceError) as error:
                failed.append(f"{entry} could not be put back: {error}")
        return failed

    def doom(self) -> None:
        """Decide that what was taken goes for good; from here on a dead run is finished."""
        self._store.rename(TAKEN, DOOMED)
        self._store.sync_folder(STATE)
        self.taken.clear()

    def quarantine(self, now: int) -> str:
        """Decide that what was taken goes, but can be restored for a while; return its folder."""
        folder = f"{QUARANTINE}/{now}"
        self._store.rename(TAKEN, folder)
        self._store.sync_folder(QUARANTINE)
        self.taken.clear()
        return folder

    def quarantined(self) -> list[int]:
        """Return when each run's deletions were quarantined, oldest first."""
        return sorted(
            int(name)
            for name in self._store.list(QUARANTINE).folders
            if name.isascii() and name.isdecimal()
        )

    def doom_quarantined(self, when: int) -> None:
        """Decide that one quarantined run's deletions go for good."""
        self._store.rename(f"{QUARANTINE}/{when}", DOOMED)
        self._store.sync_folder(STATE)

    def restore(self) -> list[Entry]:
        """Put back whatever is quarantined, the latest first; return what that was."""
        restored = []
        for when in reversed(self.quarantined()):
            folder = f"{QUARANTINE}/{when}"
            found = dict(self._found(folder))
            for entry in sorted(found, key=lambda entry: entry.kind is not Kind.BLOB):
                self._store.make_folder(f"{REGISTRY}/{layout.folder_of(entry)}")
                self.taken[entry] = found[entry]
                # Not `put_back`: its folder is younger than it because we have just made it.
                if self._return(entry, self._store.stat(found[entry])):
                    restored.append(entry)
            _remove_folders(self._store, folder)
        return restored

    def entries(self, folder: str) -> list[Entry]:
        """Return what lies in one folder of the state directory."""
        return [entry for entry, _ in self._found(folder)]

    def discard(self, on_each: Callable[[Entry], None]) -> None:
        """Remove what is doomed, calling `on_each` for every entry before its last trace goes."""
        for path in _files(self._store, DOOMED):
            if entry := _entry_at(path[len(DOOMED) + 1 :]):
                on_each(entry)
            # Whatever else lies there goes too: it would stop every later decision.
            self._store.remove(path)
        _remove_folders(self._store, DOOMED)

    def _found(self, top: str) -> Iterator[tuple[Entry, str]]:
        for path in _files(self._store, top):
            if entry := _entry_at(path[len(top) + 1 :]):
                yield entry, path

    def _drop(self, entry: Entry) -> None:
        self._store.remove(self.taken.pop(entry))

    def _was_deleted(self, entry: Entry, mine: Stat) -> bool:
        """Say whether somebody deleted the entry since it was taken.

        A tag's folder goes with the tag. Where a manifest was pushed again and then deleted, its
        folder has changed since. A layer link is always put back: a failed write changes the
        folder too, and a needless link costs nothing.
        """
        if entry.kind in (Kind.BLOB, Kind.LAYER_LINK):
            return False
        folder = self._store.stat(f"{REGISTRY}/{layout.folder_of(entry)}")
        if folder is None:
            return True
        if self._store.stat(f"{REGISTRY}/{layout.path_of(entry)}") is not None:
            return False
        return folder.modified > mine.changed + _SETTLED

    def _is_sound(self, entry: Entry, path: str, away: str, mine: Stat) -> bool:
        """Say whether what stands at the entry's place may stay there instead of ours."""
        theirs = self._store.stat(path)
        if theirs is None:
            return False
        if entry.kind is not Kind.BLOB:
            return theirs.size > 0  # registries up to 3.0 can leave an empty link behind
        if theirs.size != mine.size:
            return False
        # Only what may be a manifest is small enough to be worth the reading.
        limit = 4 * 1024 * 1024
        if mine.size > limit:
            return True
        return (self._store.read(path, limit) or (b"",))[0] == (
            self._store.read(away, limit) or (b"",)
        )[0]

    def _with_room(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except NoSpaceError:
            if not self.release_reserve():
                raise
            return act()


def _no_time_of_moves() -> StorageError:
    """POSIX leaves it to the file system whether a rename marks the file as changed (rename(3p)).

    Without, what is needed again would look deleted (`_was_deleted`) and be lost.
    """
    return StorageError(
        "nothing was deleted: this file system does not note when a file is moved",
        why="a link that is needed again could not be told from one that was deleted meanwhile",
        next_step="stop the registry and run `registry-gc collect --offline`; or move the store",
    )


def _same(stat: Stat | None, scanned: Stat) -> bool:
    return stat is not None and (stat.modified, stat.identity, stat.size) == (
        scanned.modified,
        scanned.identity,
        scanned.size,
    )


def _mirrored(entry: Entry) -> str:
    """Return where in the state directory an entry goes: its folder's path, without fan-out.

    One name for each file and few folders, because a full disk is why people collect.
    """
    if entry.kind is Kind.BLOB and entry.digest is not None:
        return "blobs/" + "/".join(layout.split_digest(entry.digest))
    return layout.folder_of(entry)


def _entry_at(path: str) -> Entry | None:
    """Return the entry that was taken to a path; the reverse of `_mirrored`."""
    match path.split("/"):
        case ["blobs", algorithm, encoded]:
            digest = layout.digest_of(algorithm, encoded)
            return Entry(Kind.BLOB, digest=digest) if digest else None
    return layout.entry_in(path)


def _files(store: Store, top: str) -> Iterator[str]:
    """Yield every file below a folder; by a list, because folders may be nested very deeply."""
    folders = [top]
    for folder in folders:
        listing = store.list(folder)
        yield from (f"{folder}/{name}" for name in (*listing.files, *listing.symlinks))
        folders += [f"{folder}/{name}" for name in listing.folders]


def _remove_folders(store: Store, top: str) -> None:
    folders = [top]
    for folder in folders:
        folders += [f"{folder}/{name}" for name in store.list(folder).folders]
    for folder in reversed(folders):
        store.remove_folder(folder)
