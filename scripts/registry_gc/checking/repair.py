"""Writes empty and corrupt links anew where what they should hold is known; nothing else.

A link's folder says its digest, so a layer or revision link can be written from its path if its
blob is there; a tag's current link from the newest entry of its index whose manifest is there,
because a push writes that entry just before. Registries up to 3.0 that are killed while they write
leave such links (they write in place), and so does a power cut.

The damaged file is taken with the journal and dropped only after the new one stands: whatever ends
us in between, the next run puts it back. What somebody has written meanwhile stays.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from registry_gc import layout
from registry_gc.checking.check import Check
from registry_gc.checking.findings import Checked
from registry_gc.checking.reader import LinkRead, Reader
from registry_gc.journal import Journal
from registry_gc.layout import REGISTRY, STATE, Digest, Entry, Kind, digest_of, digest_text
from registry_gc.manifests import LARGEST, DamagedManifestError, parse
from registry_gc.options import nanoseconds
from registry_gc.plan import Deletion
from registry_gc.storage import Store

_NEW = f"{STATE}/new-link"
_FAULTS = ("empty", "corrupt")


def check_and_repair(check: Check, journal: Journal, *, grace: timedelta) -> Checked:
    """Look, repair, and look again; what was mended is among the findings, marked as repaired.

    The caller holds the store's lock. Raises StorageError and NoSpaceError.
    """
    before = check.look()
    names = sorted({each.repository for each in before.problems if each.repository})
    mended = rewrite_links(check.store, journal, grace=grace, repositories=names)
    if not mended:
        return before
    paths = {f"{REGISTRY}/{layout.path_of(entry)}" for entry in mended}
    after = check.look()
    after.findings += [
        replace(each, repaired=True) for each in before.findings if each.path in paths
    ]
    return after


def rewrite_links(
    store: Store, journal: Journal, *, grace: timedelta, repositories: Iterable[str]
) -> list[Entry]:
    """Write anew every empty or corrupt link that is older than `grace`; return which.

    The caller holds the store's lock. Raises StorageError and NoSpaceError with the links that
    were not reached as they were.
    """
    reader = Reader(store)
    done = []
    for name in repositories:
        for entry, read in _damaged(reader, name):
            target = _right_target(store, reader, entry)
            if (
                target
                and _is_older(store, read, grace)
                and _replace(store, journal, entry, read, target)
            ):
                done.append(entry)
    return done


def _damaged(reader: Reader, name: str) -> Iterator[tuple[Entry, LinkRead]]:
    """Yield a repository's damaged links: first those by which the others are judged."""
    entries = [
        *(Entry(Kind.LAYER_LINK, name, each) for each in _digests(reader, layout.layers(name))),
        *(
            Entry(Kind.REVISION_LINK, name, each)
            for each in _digests(reader, layout.revisions(name))
        ),
    ]
    for tag in reader.list(layout.tags(name)).folders:
        index = _digests(reader, f"{layout.tags(name)}/{tag}/index")
        entries += [Entry(Kind.TAG_INDEX, name, each, tag) for each in index]
        entries.append(Entry(Kind.TAG, name, tag=tag))
    for entry in entries:
        read = reader.link(entry)
        if read.fault in _FAULTS:
            yield entry, read


def _digests(reader: Reader, path: str) -> list[Digest]:
    return [
        digest
        for algorithm in reader.list(path).folders
        for name in reader.list(f"{path}/{algorithm}").folders
        if (digest := digest_of(algorithm, name))
    ]


def _right_target(store: Store, reader: Reader, entry: Entry) -> Digest | None:
    """Return what a link should hold, None if that is not sure."""
    if entry.kind is Kind.TAG:
        return _newest(store, reader, entry)
    if entry.digest is None or len(entry.digest) != 32:
        return None  # a link that is named by sha512 holds a sha256 that its path does not tell
    stat = store.stat(f"{REGISTRY}/{layout.path_of(Entry(Kind.BLOB, digest=entry.digest))}")
    if stat is None or not stat.is_plain:
        return None
    if entry.kind is Kind.LAYER_LINK:
        return entry.digest if stat.size else None
    return entry.digest if _is_manifest(store, entry.digest) else None


def _newest(store: Store, reader: Reader, tag: Entry) -> Digest | None:
    """Return the manifest that a tag was given last, of those that its repository has."""
    path = f"{layout.tags(tag.repository)}/{tag.tag}/index"
    found = []
    for digest in _digests(reader, path):
        index = reader.link(Entry(Kind.TAG_INDEX, tag.repository, digest, tag.tag))
        revision = reader.link(Entry(Kind.REVISION_LINK, tag.repository, digest))
        if index.stat and index.target == revision.target == digest and _is_manifest(store, digest):
            found.append((index.stat.modified, digest))
    return max(found)[1] if found else None


def _is_manifest(store: Store, digest: Digest) -> bool:
    found = store.read(f"{REGISTRY}/{layout.path_of(Entry(Kind.BLOB, digest=digest))}", LARGEST + 1)
    try:
        return found is not None and bool(parse(digest, found[0]))
    except DamagedManifestError:
        return False


def _is_older(store: Store, read: LinkRead, grace: timedelta) -> bool:
    return read.stat is not None and store.now() - read.stat.modified >= nanoseconds(grace)


def _replace(store: Store, journal: Journal, entry: Entry, read: LinkRead, target: Digest) -> bool:
    """Let a new file stand where the damaged one is; False if that is not the one that was read."""
    if read.stat is None:
        return False
    path = f"{REGISTRY}/{layout.path_of(entry)}"
    store.write(_NEW, digest_text(target).encode())
    store.give_owner(path, _NEW)
    try:
        if not journal.take(Deletion(entry, "it is damaged", read.stat)):
            return False
        is_ours = store.put_new(_NEW, path)
        # The new one is sound, so what was taken is dropped; without one it goes back.
        journal.put_back(entry)
        return is_ours
    finally:
        store.remove(_NEW)
