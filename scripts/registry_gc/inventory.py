"""One pass over the store: its blobs, and for each repository what its folders name.

Only names are read, and a tag's current link: a layer link that is needed is never opened. What
could not be read is noted, and whatever it might have named is not deleted (rules 8 and 9).
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from registry_gc import layout
from registry_gc.errors import StorageError
from registry_gc.layout import REGISTRY, Digest, Entry, Kind, digest_of, parse_digest
from registry_gc.storage import Listing, Stat, Store

_LINK_LIMIT = 1024
_WRITING = 60 * 10**9  # nanoseconds; the two writes of a tag are milliseconds apart
_REREAD_AFTER = 0.05  # seconds; registries up to 3.0 rewrite a link in place (race W10)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says: None as target is an empty or unreadable one.

    `away` says that it no longer stands where the registry looks for it: a collection took it.
    """

    target: Digest | None
    stat: Stat
    away: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload that has not ended; times in nanoseconds by the storage's clock."""

    repository: str
    name: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    size: int
    started: int
    touched: int


@dataclass(slots=True)
class Repository:
    """What one repository's folders name.

    A tag whose current link cannot be read has None; `hollow` are folders of tags without any link.
    """

    name: str
    layers: set[Digest] = field(default_factory=set)
    aliases: dict[Digest, Digest | None] = field(default_factory=dict)
    revisions: set[Digest] = field(default_factory=set)
    tags: dict[str, Digest | None] = field(default_factory=dict)
    index: dict[str, set[Digest]] = field(default_factory=dict)
    hollow: list[str] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    complete: bool = True


class View:
    """The store as it is together with what this collection, or a dead one, took from it."""

    def __init__(self, store: Store, taken: Mapping[Entry, str] | None = None) -> None:
        """`taken` names, for each entry that was moved away, where its file is now."""
        self.store = store
        # Not `taken or {}`: an empty mapping that fills later must stay the same one.
        self.taken = {} if taken is None else taken
        self.problems: list[str] = []
        self.complete = True

    def list(self, path: str) -> Listing | None:
        """Return a folder's names, or None, with the problem noted, if it cannot be read."""
        try:
            return self.store.list(f"{REGISTRY}/{path}")
        except StorageError as error:
            self.complete = False
            self.problems.append(f"{error.what}: {error.why}; nothing that it may name is deleted")
            return None

    def look_at(self, path: str) -> Stat | None:
        """Return times and size of a file or folder; None, and noted, if that fails."""
        try:
            return self.store.stat(f"{REGISTRY}/{path}")
        except StorageError as error:
            self.complete = False
            self.problems.append(f"{error.what}: {error.why}; nothing beside it is deleted")
            return None

    def read(self, entry: Entry, limit: int = _LINK_LIMIT) -> tuple[bytes, Stat, bool] | None:
        """Return an entry's content from where it belongs, else from where it was taken to.

        The last value says that it is away.
        """
        if found := self.store.read(f"{REGISTRY}/{layout.path_of(entry)}", limit):
            return *found, False
        if (away := self.taken.get(entry)) and (found := self.store.read(away, limit)):
            return *found, True
        return None

    def stat(self, entry: Entry) -> Stat | None:
        """Return an entry's times and size, likewise."""
        found = self.store.stat(f"{REGISTRY}/{layout.path_of(entry)}")
        if found is None and (away := self.taken.get(entry)):
            return self.store.stat(away)
        return found

    def read_blob(self, digest: Digest, limit: int) -> bytes | None:
        """Return at most `limit` bytes of a blob, None if it is missing."""
        found = self.read(Entry(Kind.BLOB, digest=digest), limit)
        return found[0] if found else None

    def link(self, entry: Entry) -> Link | None:
        """Return what a link says, None if there is none; an empty one is read a second time."""
        try:
            found = self.read(entry)
            if found and not (target := _target(found[0])):
                time.sleep(_REREAD_AFTER)
                found = self.read(entry)
            if found is None:
                return None
            target = _target(found[0])
        except StorageError as error:
            self.problems.append(f"{error.what}: {error.why}; it counts as live")
            return Link(None, Stat(0, 0, 0, 0))
        if target is None:
            shape = "is empty" if not found[0] else "does not hold a digest"
            self.problems.append(f"the {entry.kind.value} {entry} {shape}; it counts as live")
        return Link(target, found[1], found[2])


def _target(content: bytes) -> Digest | None:
    return parse_digest(content.decode("ascii", errors="replace").strip())


def blobs(view: View) -> set[Digest]:
    """Return every blob that has a folder; its `data` is looked at only if it may go."""
    found: set[Digest] = set()
    for algorithm, fanouts in _algorithms(view, "blobs"):
        for fanout in fanouts.folders:
            path = f"blobs/{algorithm}/{fanout}"
            listing = view.list(path)
            if listing is None:
                continue
            for name in listing.folders:
                digest = digest_of(algorithm, name)
                if digest is None or not name.startswith(fanout):
                    view.problems.append(f"unknown folder kept: {path}/{name}")
                else:
                    found.add(digest)
            _note_files(view, path, listing)
        _note_files(view, f"blobs/{algorithm}", fanouts)
    return found


def repository_names(view: View) -> Iterator[str]:
    """Yield the name of every repository; one may lie inside another (`a` and `a/b`)."""
    waiting = [""]
    while waiting:
        name = waiting.pop()
        listing = view.list(f"repositories/{name}".rstrip("/"))
        if listing is None:
            continue
        if any(part in ("_layers", "_manifests", "_uploads") for part in listing.folders):
            yield name
        inner = [f"{name}/{part}".lstrip("/") for part in listing.folders if part[0] != "_"]
        waiting.extend(sorted(inner, reverse=True))


def repository(view: View, name: str) -> Repository:
    """Return what a repository's folders name, read in the reverse order of a push's writes."""
    found = Repository(name)
    whole, view.complete = view.complete, True
    found.layers = _digests(view, layout.layers(name))
    found.aliases = _aliases(view, name, found.layers)
    found.revisions = _digests(view, layout.revisions(name))
    _tags(view, found)
    found.uploads = _uploads(view, name)
    found.complete = view.complete
    view.complete = whole and found.complete
    return found


def _algorithms(view: View, path: str) -> Iterator[tuple[str, Listing]]:
    listing = view.list(path)
    if listing is None:
        return
    for algorithm in listing.folders:
        if (inner := view.list(f"{path}/{algorithm}")) is not None:
            yield algorithm, inner
    _note_files(view, path, listing)


def _note_files(view: View, path: str, listing: Listing) -> None:
    view.problems.extend(f"unknown file kept: {path}/{name}" for name in listing.files)


def _digests(view: View, path: str) -> set[Digest]:
    """Return the digests that have a folder under `path/<algorithm>/`."""
    found: set[Digest] = set()
    for algorithm, listing in _algorithms(view, path):
        for name in listing.folders:
            if digest := digest_of(algorithm, name):
                found.add(digest)
            else:
                view.problems.append(f"unknown folder kept: {path}/{algorithm}/{name}")
        _note_files(view, f"{path}/{algorithm}", listing)
    return found


def _aliases(view: View, name: str, layers: set[Digest]) -> dict[Digest, Digest | None]:
    """Return where layer links lead that are not named by sha256.

    An upload that was verified by sha512 is stored, and linked, by its sha256 digest (v3.1.1,
    registry/storage/blobwriter.go, validateBlob).
    """
    found: dict[Digest, Digest | None] = {}
    for digest in layers:
        if len(digest) != 32 and (link := view.link(Entry(Kind.LAYER_LINK, name, digest))):
            found[digest] = link.target
    return found


def _tags(view: View, found: Repository) -> None:
    path = layout.tags(found.name)
    listing = view.list(path) or Listing([], [])
    for tag in listing.folders:
        index = _digests(view, f"{path}/{tag}/index")
        link = view.link(Entry(Kind.TAG, found.name, tag=tag))
        if link is None and not index:
            found.hollow.append(f"{path}/{tag}")
            continue
        if link is None and not _is_being_written(view, found.name, tag, index):
            view.problems.append(
                f"the tag {found.name}:{tag} has no current link; all it named stays"
            )
        found.tags[tag] = link.target if link else None
        found.index[tag] = index
    _note_files(view, path, listing)


def _is_being_written(view: View, name: str, tag: str, index: set[Digest]) -> bool:
    """Say whether a push is just between a tag's index entry and its current link (race W7).

    What the entry names stays in any case; but an ordinary push is no damage to report.
    """
    try:
        stats = [view.stat(Entry(Kind.TAG_INDEX, name, digest, tag)) for digest in index]
    except StorageError:
        return False
    times = [stat.modified for stat in stats if stat]
    # Without any, the tag has been deleted since its folder was listed.
    return not times or view.store.now() - max(times) < _WRITING


def _uploads(view: View, name: str) -> list[Upload]:
    found = []
    for upload in (view.list(layout.uploads(name)) or Listing([], [])).folders:
        folders, files = _tree(view, f"{layout.uploads(name)}/{upload}")
        # A folder's time says nothing while files are left: a removal that was cut renews it.
        stats = {path: view.look_at(path) for path in files or folders}
        times = [stat.modified for stat in stats.values() if stat]
        started = stats.get(f"{layout.uploads(name)}/{upload}/startedat")
        if times:
            size = sum(stat.size for path in files if (stat := stats[path]))
            found.append(
                Upload(
                    name,
                    upload,
                    tuple(files),
                    tuple(reversed(folders)),
                    size,
                    started.modified if started else min(times),
                    max(times),
                )
            )
    return found


def _tree(view: View, path: str) -> tuple[list[str], list[str]]:
    """Return all folders, each before what is in it, and all files below a folder."""
    folders: list[str] = [path]
    files: list[str] = []
    for folder in folders:
        listing = view.list(folder) or Listing([], [])
        folders.extend(f"{folder}/{name}" for name in listing.folders)
        files.extend(f"{folder}/{name}" for name in listing.files)
    return folders, files
