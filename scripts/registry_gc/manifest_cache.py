"""What earlier runs learned of the store's manifests, kept in the state directory.

    docker/registry-gc/manifests    a line with the version, the SHA-256 of the rest, the records

A digest always names the same content, so a manifest that was found sound needs no second look
while its file stays the same: size, times and inode say so, and a blob that was cut, replaced or
restored differs in at least one of them and is read. Nothing is lost with the file: one that is
missing, damaged, too large or of another version counts as empty.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, whatever its name

from registry_gc.errors import StorageError
from registry_gc.inventory import View
from registry_gc.layout import STATE, Digest
from registry_gc.manifests import ROOM, Manifests, changed, is_whole
from registry_gc.storage import NoSpaceError, Store

PATH = f"{STATE}/manifests"

_VERSION = b"registry-gc manifests 1\n"
_BEGIN = Struct("<I32s")  # of each record: its length and the digest
_LARGEST = 2 * ROOM  # bytes; what we write is smaller
_SETTLED = 2 * 10**9  # ns; of what changes sooner after a look, the times may not tell


class ManifestCache:
    """The manifests of one store from run to run; only who holds the store's lock may save them."""

    def __init__(self, store: Store) -> None:
        """Read what is remembered; a storage that cannot be read remembers nothing."""
        self._store = store
        self._began = store.now()
        self._stored = _read(store)
        self._manifests: Manifests | None = None

    def of(self, view: View) -> Manifests:
        """Return the store's manifests as a view finds them; what is known is not read again."""
        known = self._manifests.known if self._manifests else self._stored
        self._manifests = Manifests(view.read_blob, view.stat_blob, known)
        return self._manifests

    def save(self) -> None:
        """Remember what this run has used; a full or failing storage does without."""
        if self._manifests is None:
            return
        records = {
            digest: record
            for digest, record in self._manifests.known.items()
            if len(digest) == 32 and changed(record) < self._began - _SETTLED
        }
        if records != self._stored:
            with contextlib.suppress(StorageError, NoSpaceError):
                self._store.write(PATH, _content(records))


def _read(store: Store) -> dict[Digest, bytes]:
    try:
        found = store.read(PATH, _LARGEST)
    except StorageError:
        return {}
    head = len(_VERSION) + 32
    if not found or not found[0].startswith(_VERSION) or len(found[0]) == _LARGEST:
        return {}
    body = memoryview(found[0])[head:]
    if hashlib.sha256(body).digest() != found[0][len(_VERSION) : head]:
        return {}
    try:
        records = dict(_records(body))
    except StructError:
        return {}
    return records if all(map(is_whole, records.values())) else {}


def _records(body: memoryview) -> Iterator[tuple[Digest, bytes]]:
    at = 0
    while at < len(body):
        length, digest = _BEGIN.unpack_from(body, at)
        at += _BEGIN.size
        yield digest, bytes(body[at : at + length])
        at += length


def _content(records: Mapping[Digest, bytes]) -> bytes:
    body = b"".join(
        part
        for digest, record in records.items()
        for part in (_BEGIN.pack(len(record), digest), record)
    )
    return b"".join([_VERSION, hashlib.sha256(body).digest(), body])
