"""From a manifest's bytes to the digests that it refers to, by shape and never by media type alone.

OCI image manifest and index, Docker schema 2 and list, schema 1 and artifact manifests all name
what they need in descriptors (`digest`) or, schema 1, in `blobSum`. Every such name anywhere in the
document counts: to follow one too many keeps a blob, to miss one loses an image.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from registry_gc.errors import StorageError
from registry_gc.layout import Digest, parse_digest, split_digest

LARGEST = 4 * 1024 * 1024
"""Bytes; the registry takes no larger manifest (v3.1.1, registry/handlers/manifests.go)."""

_KNOWN_KEYS = frozenset({"config", "layers", "manifests", "blobs", "fslayers", "subject"})

_Fields = dict[str, list[object]]
"""A JSON object: every value that stands under a key, in order, the key without case.

The registry and most clients are written in Go, whose JSON takes `Digest` for `digest`, and of a
key that comes twice one reader takes the first and another the last.
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one manifest names: everything, and of that what may be a manifest in its turn.

    Its subject, what it is about, is only among them if it is named for another reason too.
    """

    references: frozenset[Digest]
    children: frozenset[Digest]
    subject: Digest | None


class DamagedManifestError(Exception):
    """The blob is there, but it is not the manifest that its digest promises."""


class CorruptManifestError(DamagedManifestError):
    """Its content does not have its digest: no client would take it."""


class NotAManifestError(DamagedManifestError):
    """Sound, but nothing like a manifest: an index's child may be that (build caches do it)."""


class Manifests:
    """The manifests of a store, each read and parsed once."""

    def __init__(self, read_blob: Callable[[Digest, int], bytes | None]) -> None:
        """Take the function that returns at most so many bytes of a blob, None if it is missing."""
        self._read_blob = read_blob
        self._known: dict[Digest, Manifest | DamagedManifestError] = {}

    def get(self, digest: Digest) -> Manifest | None:
        """Return the manifest, or None if its blob is not there (a sparse index, a proxy).

        Raises DamagedManifestError when what is there cannot be trusted to name its references.
        """
        known = self._known.get(digest)
        if known is None:
            try:
                content = self._read_blob(digest, LARGEST + 1)
                if content is None:
                    # Not remembered: it may be pushed while we run.
                    return None
                known = parse(digest, content)
            except StorageError as error:
                # Not remembered either: the next look may succeed.
                raise DamagedManifestError(error.why) from error
            except NotAManifestError as error:
                known = error
            self._known[digest] = known
        if isinstance(known, DamagedManifestError):
            raise known
        return known


def parse(digest: Digest, content: bytes) -> Manifest:
    """Return what the manifest names. Raises DamagedManifestError."""
    if len(content) > LARGEST:
        raise NotAManifestError("it is larger than 4 MiB")
    algorithm, encoded = split_digest(digest)
    if hashlib.new(algorithm, content).hexdigest() != encoded:
        raise CorruptManifestError("its content does not have its digest")
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
    return Manifest(references, children, subjects[-1] if subjects else None)


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
    media_types = [str(each) for each in descriptor.get("mediatype", ())]
    return any(".manifest." in each or ".index." in each for each in media_types)
