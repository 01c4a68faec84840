"""One pass over the store: its blobs, and for each repository what its folders name.

Only names are read, and a tag's current link: a layer link that is needed is never opened. What
could not be read is noted, and whatever it might have named is not deleted (rules 8 and 9). A
symbolic link where a folder belongs is not followed, so it is one more that could not be read.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from registry_gc import layout
from registry_gc.errors import GuardError, StorageError
from registry_gc.layout import REGISTRY, STATE, Digest, Entry, Kind, digest_of, parse_digest
from registry_gc.storage import Listing, Stat, Store

_LINK_LIMIT = 1024
_WRITING = 60 * 10**9  # nanoseconds; the two writes of a tag are milliseconds apart
_REREAD_AFTER = 0.05  # seconds; registries up to 3.0 rewrite a link in place (race W10)
_NOTED = 10  # unknown names of one folder; a million in one would fill memory and report


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
        self._began: int | None = None

    def note(self, problem: str) -> None:
        """Note damage that the run goes on with."""
        self.problems.append(layout.shown(problem))

    def note_unknown(self, what: str, path: str, names: Sequence[str]) -> None:
        """Note what no registry writes, folded where it is much."""
        for name in names[:_NOTED]:
            self.note(f"unknown {what} kept: {path}/{name}")
        if len(names) > _NOTED:
            self.note(f"unknown {what}s kept: {len(names) - _NOTED:,} more in {path}")

    def not_followed(self, path: str, names: Sequence[str]) -> None:
        """Note symbolic links between repositories, tags or links: each may name anything."""
        if names:
            self.complete = False
            self.note_unknown("symbolic link", path, names)

    def lacks(self, path: str) -> bool:
        """Say whether a folder that may be missing is something else, which is noted.

        A symbolic link may lead out of the store, and what it leads to may be anything.
        """
        stat = self.look_at(path)
        if stat is None or stat.is_folder:
            return False
        self.complete = False
        self.note(f"{path} is no folder; nothing that it may name is deleted")
        return True

    def list(self, path: str) -> Listing | None:
        """Return a folder's names, or None, with the problem noted, if it cannot be read."""
        try:
            return self.store.list(f"{REGISTRY}/{path}")
        except StorageError as error:
            self.complete = False
            self.note(f"{error.what}: {error.why}; nothing that it may name is deleted")
            return None

    def look_at(self, path: str) -> Stat | None:
        """Return times and size of a file or folder; None, and noted, if that fails."""
        try:
            return self.store.stat(f"{REGISTRY}/{path}")
        except StorageError as error:
            self.complete = False
            self.note(f"{error.what}: {error.why}; nothing beside it is deleted")
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

    def read_blob(self, digest: Digest, limit: int) -> tuple[bytes, Stat] | None:
        """Return at most `limit` bytes of a blob and its file, None if it is missing."""
        found = self.read(Entry(Kind.BLOB, digest=digest), limit)
        return found[:2] if found else None

    def stat_blob(self, digest: Digest) -> Stat | None:
        """Return a blob's times and size, None if it is missing."""
        return self.stat(Entry(Kind.BLOB, digest=digest))

    def link(self, entry: Entry) -> Link | None:
        """Return what a link says, None if there is none; an empty one is read a second time."""
        try:
            found = self.read(entry)
            if found and not _target(found[0]) and self._may_be_rewritten(found[1]):
                time.sleep(_REREAD_AFTER)
                found = self.read(entry)
        except StorageError as error:
            self.note(f"{error.what}: {error.why}; it counts as live")
            return Link(None, Stat(0, 0, 0, 0))
        if found is None:
            return None
        content, stat, away = found
        target = _target(content)
        if not stat.is_plain:
            self.note(f"the {entry.kind.value} {entry} is no plain file; it counts as live")
        elif target is None:
            shape = "is empty" if not content else "does not hold a digest"
            self.note(f"the {entry.kind.value} {entry} {shape}; it counts as live")
        return Link(target, stat, away)

    def held_elsewhere(self, entry: Entry) -> Digest | None:
        """Return what a link that stands names if that is not its folder's digest."""
        try:
            found = self.store.read(f"{REGISTRY}/{layout.path_of(entry)}", _LINK_LIMIT)
        except StorageError:
            found = None
        if found is None or found[0] == layout.digest_text(entry.digest or Digest(b"")).encode():
            return None
        link = self.link(entry)  # once more, and what is wrong with it is noted
        return link.target if link and link.target != entry.digest and not link.away else None

    def _may_be_rewritten(self, stat: Stat) -> bool:
        """Say whether somebody is writing a file now: old damage is not waited for."""
        if self._began is None:
            self._began = self.store.now()
        return stat.is_plain and self._began - stat.modified < _WRITING


def _target(content: bytes) -> Digest | None:
    return parse_digest(content.decode("ascii", errors="replace").strip())


_TOP = (
    *("docker", "docker/registry", REGISTRY, f"{REGISTRY}/blobs", f"{REGISTRY}/repositories"),
    *(STATE, f"{STATE}/taken", f"{STATE}/doomed", f"{STATE}/quarantine", f"{STATE}/reserve"),
)


def check_top(store: Store) -> None:
    """Raise GuardError if the store, or our folder in it, lies behind a symbolic link.

    Only the root directory itself may be one: whoever set it knows where it leads.
    """
    for path in _TOP:
        stat = store.stat(path)
        if stat and not stat.is_folder:
            raise GuardError(
                f"nothing was deleted: {path} below the root directory is not a plain folder",
                why="what a symbolic link leads to lies elsewhere, and may be another store's",
                next_step="set `rootdirectory` to where the data really lies, or mount it there",
            )


def blobs(view: View) -> Iterator[list[Digest]]:
    """Yield every blob that has a folder, in portions; its `data` is not looked at."""
    for algorithm, fanouts in _algorithms(view, "blobs"):
        for fanout in fanouts.folders:
            path = f"blobs/{algorithm}/{fanout}"
            if (listing := view.list(path)) is not None:
                yield _named(view, path, algorithm, listing, start=fanout)
        _note_files(view, f"blobs/{algorithm}", fanouts)


_OWN = frozenset({"_layers", "_manifests", "_uploads"})


def repository_names(view: View) -> Iterator[str]:
    """Yield the name of every repository; one may lie inside another (`a` and `a/b`)."""
    waiting = [""]
    while waiting:
        name = waiting.pop()
        path = f"repositories/{name}".rstrip("/")
        listing = view.list(path)
        if listing is None:
            continue
        own = {*listing.folders, *listing.symlinks, *listing.files} & _OWN
        if own:
            yield name
        inner = [f"{name}/{part}".lstrip("/") for part in listing.folders if part[0] != "_"]
        waiting.extend(sorted(inner, reverse=True))
        view.note_unknown("file", path, [each for each in listing.files if each not in own])
        view.note_unknown(
            "folder", path, [each for each in listing.folders if each[0] == "_" and each not in own]
        )
        view.not_followed(path, [each for each in listing.symlinks if each not in own])


def repository(view: View, name: str) -> Repository:
    """Return what a repository's folders name, read in the reverse order of a push's writes."""
    found = Repository(name)
    whole, view.complete = view.complete, True
    is_known = layout.is_repository_name(name)
    if not is_known:
        view.note(f"unknown folder kept: repositories/{name}, a name that no registry gives")
    if not view.lacks(layout.layers(name)):
        found.layers = _digests(view, layout.layers(name))
        found.aliases = _aliases(view, Kind.LAYER_LINK, name, found.layers)
    if not view.lacks(f"repositories/{name}/_manifests"):
        if not view.lacks(layout.revisions(name)):
            found.revisions = _digests(view, layout.revisions(name))
            found.aliases |= _aliases(view, Kind.REVISION_LINK, name, found.revisions)
        if not view.lacks(layout.tags(name)):
            _tags(view, found)
    if not view.lacks(layout.uploads(name)):
        found.uploads = _uploads(view, name)
    found.complete = view.complete and is_known
    view.complete = whole and view.complete
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
    view.note_unknown("file", path, listing.files)
    if path.startswith("blobs"):
        view.note_unknown("symbolic link", path, listing.symlinks)  # never seen, so never buried
    else:
        view.not_followed(path, listing.symlinks)


def _digests(view: View, path: str) -> set[Digest]:
    """Return the digests that have a folder under `path/<algorithm>/`."""
    found: set[Digest] = set()
    for algorithm, listing in _algorithms(view, path):
        found.update(_named(view, f"{path}/{algorithm}", algorithm, listing))
    return found


def _named(
    view: View, path: str, algorithm: str, listing: Listing, start: str = ""
) -> list[Digest]:
    """Return the digests whose folders these are, all beginning with `start`; note what is none."""
    _note_files(view, path, listing)
    at_once = layout.digests_of(algorithm, listing.folders)
    if at_once is not None and {name[: len(start)] for name in listing.folders} <= {start}:
        return at_once
    found, unknown = [], []
    for name in listing.folders:
        digest = digest_of(algorithm, name) if name.startswith(start) else None
        if digest is None:
            unknown.append(name)
        else:
            found.append(digest)
    view.note_unknown("folder", path, unknown)
    return found


def _aliases(
    view: View, kind: Kind, name: str, digests: set[Digest]
) -> dict[Digest, Digest | None]:
    """Return where links lead that are not named by sha256.

    An upload that was verified by sha512 is stored, and linked, by its sha256 digest (v3.1.1,
    registry/storage/blobwriter.go, validateBlob).
    """
    found: dict[Digest, Digest | None] = {}
    for digest in digests:
        if len(digest) != 32 and (link := view.link(Entry(kind, name, digest))):
            found[digest] = link.target
    return found


def signatures(view: View, revision: Entry) -> set[Digest]:
    """Return the digests of the signatures that lie below a revision, as registries up to 2.3 wrote
    them.
    """
    path = f"{layout.folder_of(revision)}/signatures"
    return _digests(view, path) if not view.lacks(path) else set()


def _tags(view: View, found: Repository) -> None:
    path = layout.tags(found.name)
    listing = view.list(path) or Listing([], [])
    unknown = [tag for tag in listing.folders if not layout.is_tag_name(tag)]
    view.note_unknown("folder", path, unknown)
    for tag in listing.folders:
        index = _digests(view, f"{path}/{tag}/index")
        link = view.link(Entry(Kind.TAG, found.name, tag=tag))
        if link is None and not index:
            found.hollow.append(f"{path}/{tag}")
            continue
        if link is None and not _is_changing(view, found.name, tag, index):
            view.note(f"the tag {found.name}:{tag} has no current link; all it named stays")
        found.tags[tag] = link.target if link else None
        found.index[tag] = index
    _note_files(view, path, listing)


def _is_changing(view: View, name: str, tag: str, index: set[Digest]) -> bool:
    """Say whether a push is just between a tag's index entry and its current link (race W7), or a
    deletion between the current link and the entry.

    What the entry names stays in any case; but neither is damage to report.
    """
    entries = [Entry(Kind.TAG_INDEX, name, digest, tag) for digest in index]
    try:
        times = [stat.modified for stat in map(view.stat, entries) if stat]
        # Without any, its folder has just been made, or the tag is just being deleted.
        if not times or view.store.now() - max(times) < _WRITING:
            return True
        time.sleep(_REREAD_AFTER)
        return not any(map(view.stat, entries))
    except StorageError:
        return False


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
        view.note_unknown("symbolic link", folder, listing.symlinks)
        folders.extend(f"{folder}/{name}" for name in listing.folders)
        files.extend(f"{folder}/{name}" for name in listing.files)
    return folders, files
