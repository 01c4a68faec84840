"""From a manifest's bytes to the digests that it refers to, by shape and never by media type alone.

OCI image manifest and index, Docker schema 2 and list, schema 1 and artifact manifests all name
what they need in descriptors (`digest`) or, schema 1, in `blobSum`. Every such name anywhere in the
document counts: to follow one too many keeps a blob, to miss one loses an image.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct

from registry_gc import layout
from registry_gc.errors import StorageError
from registry_gc.layout import Digest, parse_digest, split_digest
from registry_gc.storage import Stat

LARGEST = 4 * 1024 * 1024
"""Bytes; the registry takes no larger manifest (v3.1.1, registry/handlers/manifests.go)."""

ROOM = 24 * 1024 * 1024
"""Bytes that packed manifests may take in memory and in the file that outlives a run."""

_KNOWN_KEYS = frozenset({"config", "layers", "manifests", "blobs", "fslayers", "subject"})

_Fields = dict[str, list[object]]
"""A JSON object: every value that stands under a key, in order, the key without case.

The registry and most clients are written in Go, whose JSON takes `Digest` for `digest`, and of a
key that comes twice one reader takes the first and another the last.
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one manifest names: everything, and of that what may be a manifest in its turn.

    Its subject, what it is about, is only among them if it is named for another reason too. Schema
    1 is signed; registries up to 2.3 kept the signatures as blobs beside it.
    """

    references: frozenset[Digest]
    children: frozenset[Digest]
    subject: Digest | None
    signed: bool = False


class DamagedManifestError(Exception):
    """The blob is there, but it is not the manifest that its digest promises."""


class CorruptManifestError(DamagedManifestError):
    """Its content does not have its digest: no client would take it."""


class NotAManifestError(DamagedManifestError):
    """Sound, but nothing like a manifest: an index's child may be that (build caches do it)."""


class Manifests:
    """The manifests of a store, each read and parsed once.

    What they name is remembered packed, because a large store has hundreds of thousands of them,
    and only as far as there is room; the rest is read anew.
    """

    def __init__(
        self,
        read_blob: Callable[[Digest, int], tuple[bytes, Stat] | None],
        stat_blob: Callable[[Digest], Stat | None] = lambda _digest: None,
        stored: Mapping[Digest, bytes] | None = None,
    ) -> None:
        """`read_blob` returns at most so many bytes of a blob and its file, None if it is missing.

        `stored` holds what an earlier run remembered. Of that only counts what was read from the
        very file that `stat_blob` finds now.
        """
        self._read_blob = read_blob
        self._stat_blob = stat_blob
        self._stored = stored or {}
        self._room = ROOM
        self._no_manifests: dict[Digest, NotAManifestError] = {}
        self.known: dict[Digest, bytes] = {}
        """What was found sound in this run, packed."""
        self._signed: set[Digest] = set()

    def get(self, digest: Digest) -> Manifest | None:
        """Return the manifest, or None if its blob is not there (a sparse index, a proxy).

        Raises DamagedManifestError when what is there cannot be trusted to name its references.
        """
        if known := self._no_manifests.get(digest):
            raise known
        try:
            if record := self.known.get(digest) or self._still_true(digest):
                return self._noting_signed(digest, unpacked(record))
            found = self._read_blob(digest, LARGEST + 1)
            if found is None:
                # Not remembered: it may be pushed while we run.
                return None
            manifest = parse(digest, found[0])
        except StorageError as error:
            # Not remembered either: the next look may succeed.
            raise DamagedManifestError(error.why) from error
        except NotAManifestError as error:
            self._no_manifests[digest] = error
            raise
        if record := packed(manifest, found[1]):
            self._remember(digest, record)
        return self._noting_signed(digest, manifest)

    def is_signed(self, digest: Digest) -> bool:
        """Say whether a manifest that was asked for is signed (schema 1); reads nothing."""
        return digest in self._signed

    def _noting_signed(self, digest: Digest, manifest: Manifest) -> Manifest:
        if manifest.signed:
            self._signed.add(digest)
        return manifest

    def _still_true(self, digest: Digest) -> bytes | None:
        """Return what an earlier run remembered, unless another file stands there by now."""
        record = self._stored.get(digest)
        if record is None or (stat := self._stat_blob(digest)) is None:
            return None
        if _file_of(record) != _file_of_stat(stat):
            return None
        self._remember(digest, record)
        return record

    def _remember(self, digest: Digest, record: bytes) -> None:
        if len(record) <= self._room:
            self._room -= len(record)
            self.known[digest] = record


_FILE = Struct("<qqqQ")  # of the blob: size, mtime, ctime and inode
_SHAPE = Struct("<I??")  # how many of the references are children; is it signed; has it a subject


def packed(manifest: Manifest, stat: Stat) -> bytes | None:
    """Return what a manifest names and from which file that was read, in a tenth of the memory.

    None if it names a digest that is not sha256: too rare to be worth a longer form.
    """
    digests = [*manifest.children, *(manifest.references - manifest.children)]
    if manifest.subject is not None:
        digests.append(manifest.subject)
    if any(len(digest) != 32 for digest in digests):
        return None
    shape = _SHAPE.pack(len(manifest.children), manifest.signed, manifest.subject is not None)
    return b"".join([_FILE.pack(*_file_of_stat(stat)), shape, *digests])


def unpacked(record: bytes) -> Manifest:
    """Return the manifest that was packed."""
    children, signed, has_subject = _SHAPE.unpack_from(record, _FILE.size)
    digests = layout.unpacked(record[_FILE.size + _SHAPE.size :])
    subject = digests.pop() if has_subject else None
    return Manifest(frozenset(digests), frozenset(digests[:children]), subject, signed)


def is_whole(record: bytes) -> bool:
    """Say whether this may be a record at all."""
    digests = len(record) - _FILE.size - _SHAPE.size
    return digests >= 0 and digests % 32 == 0


def changed(record: bytes) -> int:
    """Return when the file that a record was read from had last been changed."""
    return _file_of(record)[2]


def _file_of(record: bytes) -> tuple[int, int, int, int]:
    size, modified, changed, identity = _FILE.unpack_from(record)
    return size, modified, changed, identity


def _file_of_stat(stat: Stat) -> tuple[int, int, int, int]:
    return stat.size, stat.modified, stat.changed, stat.identity


def parse(digest: Digest, content: bytes) -> Manifest:
    """Return what the manifest names. Raises DamagedManifestError."""
    if len(content) > LARGEST:
        raise NotAManifestError("it is larger than 4 MiB")
    algorithm, encoded = split_digest(digest)
    if hashlib.new(algorithm, content).hexdigest() != encoded:
        raise CorruptManifestError("its content does not have its digest")
    return _parse_plain(content) or _parse_any(content)


_DIGESTS = re.compile(r'"(?:digest|blobsum)"\s*:\s*"([^"]*)"', re.ASCII | re.IGNORECASE)


def _parse_plain(content: bytes) -> Manifest | None:
    """Return what an ordinary image manifest or index names, as `_parse_any` would but faster.

    None for everything that has to be looked at more closely. In ASCII and without an escape every
    key stands there as it is read, so that a pattern finds all digests, however often and in
    whatever case their key comes. What may make a manifest of something else is left to the other.
    """
    if b"\\" in content or not content.isascii():
        return None
    text = content.decode("ascii")
    lowered = text.lower()
    if '"subject"' in lowered or '"fslayers"' in lowered:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    names: list[str] = _DIGESTS.findall(text)
    references = frozenset(layout.parse_digests(names))
    if '"manifests"' in lowered:
        if _are_one_each(names, document.get("manifests")):
            return Manifest(references, references, None)
    # A layer of such a type may be a manifest in its turn; only the document's own is none.
    elif not _KNOWN_KEYS.isdisjoint(document) and (
        _manifest_types(text) == _manifest_types(str(document.get("mediaType", "")))
    ):
        return Manifest(references, frozenset(), None)
    return None


def _are_one_each(names: list[str], descriptors: object) -> bool:
    """Say whether each descriptor has one of the names, and nothing else has any."""
    return (
        isinstance(descriptors, list)
        and len(names) == len(descriptors)
        and all(isinstance(each, dict) and type(each.get("digest")) is str for each in descriptors)
    )


def _manifest_types(text: str) -> int:
    return text.count(".manifest.") + text.count(".index.")


def _parse_any(content: bytes) -> Manifest:
    """Return what any document names that looks like a manifest. Raises NotAManifestError."""
    try:
        document = json.loads(content, object_pairs_hook=_fields)
    except (ValueError, RecursionError) as error:
        raise NotAManifestError(f"it is not valid JSON ({error})") from error
    if not isinstance(document, dict) or not _KNOWN_KEYS & document.keys():
        raise NotAManifestError("it has none of the fields of a manifest")
    named = {key: values for key, values in document.items() if key != "subject"}
    references = frozenset(found for name in _names(named) if (found := parse_digest(name)))
    children = frozenset(
        child for descriptor in _descriptors(named) for child in _digests(descriptor)
    )
    subjects = [digest for subject in _objects(document, "subject") for digest in _digests(subject)]
    return Manifest(
        references, children, subjects[-1] if subjects else None, signed="fslayers" in document
    )


def _fields(pairs: list[tuple[str, object]]) -> _Fields:
    found: _Fields = {}
    for key, value in pairs:
        found.setdefault(key.casefold(), []).append(value)
    return found


def _names(value: object) -> Iterator[str]:
    """Yield every string under a key `digest` or `blobSum`, at any depth."""
    stack = [value]
    while stack:
        match stack.pop():
            case dict() as fields:
                for key, values in fields.items():
                    for inner in values:
                        if key in ("digest", "blobsum") and isinstance(inner, str):
                            yield inner
                        else:
                            stack.append(inner)
            case list() as items:
                stack.extend(items)


def _objects(fields: _Fields, key: str) -> Iterator[_Fields]:
    """Yield the objects under a key, be they one or a list."""
    for value in fields.get(key, ()):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield item


def _digests(descriptor: _Fields) -> Iterator[Digest]:
    for name in descriptor.get("digest", ()):
        if isinstance(name, str) and (digest := parse_digest(name)):
            yield digest


def _descriptors(document: _Fields) -> Iterator[_Fields]:
    """Yield the descriptors that may name manifests: an index's children, and any by media type."""
    yield from _objects(document, "manifests")
    for key in ("layers", "blobs"):
        yield from (item for item in _objects(document, key) if _is_manifest_type(item))


def _is_manifest_type(descriptor: _Fields) -> bool:
    return any(_manifest_types(str(each)) for each in descriptor.get("mediatype", ()))
