"""Rewrites links that a registry left empty because it was ended in the middle of a write.

Up to 3.0 a registry empties a link and then writes it again, in place (distribution v3.0.0,
registry/storage/driver/filesystem/driver.go, PutContent), also for an upload that is never
acknowledged. Draining first makes that rare, not impossible: such a link is a shared layer's, and
takes every image of the repository with it that has the layer.
"""

import contextlib
from collections.abc import Iterator
from time import sleep

from registry_gc import inventory, layout
from registry_gc.errors import StorageError
from registry_gc.inventory import Repository, View
from registry_gc.layout import REGISTRY, STATE, Digest, Entry, Kind
from registry_gc.storage import NoSpaceError, Stat, Store

_CLOCK_ERROR = 5 * 10**9  # ns; a network file system may give its files a time of its own
_WRITE = 0.05  # seconds; a registry's two steps of one write are microseconds apart
_NEW = f"{STATE}/mended"
_OLD = f"{STATE}/empty"


def mend_empty_links(view: View, since: int = 0) -> list[Entry]:
    """Rewrite the links that have been left empty since then; return which.

    `since` is a time of the storage's in nanoseconds: when the registry was told to end. What a
    link said is known from its path, and for a tag's current link from its newest index entry; one
    that names a blob that is not there stays as it is, and so does one that cannot be written now.
    """
    suspects = dict(_empty_links(view, since - _CLOCK_ERROR))
    if not suspects:
        return []
    sleep(_WRITE)  # whoever is just writing one has done so then
    mended = []
    for entry, (digest, stat) in suspects.items():
        with contextlib.suppress(StorageError, NoSpaceError):
            if view.store.stat(_place(entry)) == stat and _rewrite(view.store, entry, digest):
                mended.append(entry)
    return mended


def _empty_links(view: View, since: int) -> Iterator[tuple[Entry, tuple[Digest, Stat]]]:
    """Yield each empty link with what it is to say."""
    for name in inventory.repository_names(view):
        found = inventory.repository(view, name)
        for entry in _entries(found):
            with contextlib.suppress(StorageError):
                stat = view.store.stat(_place(entry))
                if not stat or stat.size or not stat.is_plain or stat.modified < since:
                    continue
                if digest := _what_it_said(view, found, entry):
                    yield entry, (digest, stat)


def _entries(repository: Repository) -> Iterator[Entry]:
    name = repository.name
    # Only a link that is named by sha256 says what its path says.
    for digest in repository.layers:
        if len(digest) == 32:
            yield Entry(Kind.LAYER_LINK, name, digest)
    for digest in repository.revisions:
        if len(digest) == 32:
            yield Entry(Kind.REVISION_LINK, name, digest)
    for tag, index in repository.index.items():
        for digest in index:
            if len(digest) == 32:
                yield Entry(Kind.TAG_INDEX, name, digest, tag)
        if repository.tags[tag] is None:
            yield Entry(Kind.TAG, name, tag=tag)


def _what_it_said(view: View, repository: Repository, entry: Entry) -> Digest | None:
    """Return what an empty link named, None if that is not there."""
    if entry.digest is not None:
        return entry.digest if view.stat_blob(entry.digest) else None
    latest: dict[Digest, tuple[bool, int, Digest]] = {}
    for digest in repository.index[entry.tag]:
        stat = view.stat(Entry(Kind.TAG_INDEX, repository.name, digest, entry.tag))
        revision = view.stat(Entry(Kind.REVISION_LINK, repository.name, digest))
        if stat and revision and view.stat_blob(digest):
            # Who was cut while it wrote the entry had not begun to write the current link.
            latest[digest] = (stat.size > 0, stat.modified, digest)
    return max(latest, key=lambda digest: latest[digest], default=None)


def _rewrite(store: Store, entry: Entry, digest: Digest) -> bool:
    path = _place(entry)
    store.write(_NEW, layout.digest_text(digest).encode())
    store.give_owner(path, _NEW)
    if entry.kind is not Kind.TAG:
        # Whoever writes this one meanwhile writes the same.
        return store.rename(_NEW, path)
    return _replace(store, path)


def _replace(store: Store, path: str) -> bool:
    """Put our link in the place of an empty one, but never over what somebody writes meanwhile."""
    if not store.rename(path, _OLD):
        store.remove(_NEW)
        return False
    try:
        put = store.put_new(_NEW, path)
    except (StorageError, NoSpaceError):
        # An empty current link is damage that `check --repair` mends; a missing one is not.
        store.put_new(_OLD, path)
        raise
    sleep(_WRITE)
    old = store.stat(_OLD)
    if put and old and old.size:
        # A push had opened it before it was moved: what it wrote is the newer.
        store.rename(_OLD, path)
        return False
    store.remove(_OLD)
    store.remove(_NEW)
    return put


def _place(entry: Entry) -> str:
    return f"{REGISTRY}/{layout.path_of(entry)}"
