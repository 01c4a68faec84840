"""Where the registry keeps what: pure functions between storage paths and what they mean.

Paths are relative to `<rootdirectory>/docker/registry/v2` and use `/`
(distribution v3.1.1, registry/storage/paths.go).
"""

import re
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import NewType

Digest = NewType("Digest", bytes)
"""A sha256 digest is its 32 raw bytes, because a store holds millions of them; any other is its
algorithm, a colon and its raw bytes."""

_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_SHA256 = Struct("32s")

REGISTRY = "docker/registry/v2"
STATE = "docker/registry-gc"


def digest_of(algorithm: str, encoded: str) -> Digest | None:
    """Return the digest, or None for what the registry would not take as one."""
    if _LENGTHS.get(algorithm) != len(encoded):
        return None
    try:
        raw = bytes.fromhex(encoded)
    except ValueError:
        return None
    if raw.hex() != encoded:  # capitals, or blanks between the bytes
        return None
    return Digest(raw if algorithm == "sha256" else algorithm.encode() + b":" + raw)


def digests_of(algorithm: str, names: list[str]) -> list[Digest] | None:
    """Return the digests of many names, in their order; None unless each of them is a sha256 one.

    The same as `digest_of` for each, in a third of the time: a store has millions of them.
    """
    if algorithm != "sha256" or set(map(len, names)) - {64}:
        return None
    joined = "".join(names)
    try:
        raw = bytes.fromhex(joined)
    except ValueError:
        return None
    if raw.hex() != joined:
        return None
    return unpacked(raw)


def unpacked(raw: bytes | bytearray) -> list[Digest]:
    """Return the sha256 digests that stand one behind the other."""
    return [digest for (digest,) in _SHA256.iter_unpack(raw)]


def parse_digest(text: str) -> Digest | None:
    """Return the digest of `algorithm:hex`, or None for what is not one."""
    algorithm, colon, encoded = text.partition(":")
    return digest_of(algorithm, encoded) if colon else None


def parse_digests(texts: list[str]) -> list[Digest]:
    """Return the digests among many texts, in their order."""
    if all(text.startswith("sha256:") for text in texts):
        found = digests_of("sha256", [text[7:] for text in texts])
        if found is not None:
            return found
    return [digest for text in texts if (digest := parse_digest(text))]


def split_digest(digest: Digest) -> tuple[str, str]:
    """Return algorithm and hex."""
    if len(digest) == 32:
        return "sha256", digest.hex()
    algorithm, _, raw = digest.partition(b":")
    return algorithm.decode(), raw.hex()


def digest_text(digest: Digest) -> str:
    """Return `algorithm:hex`."""
    return ":".join(split_digest(digest))


# distribution/reference v0.6, regexp.go: what a registry takes as the name of a repository or tag.
_NAME_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY_NAME = re.compile(rf"{_NAME_PART}(?:/{_NAME_PART})*")
_TAG_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def is_repository_name(name: str) -> bool:
    """Say whether a registry can have made a repository of this name."""
    return _REPOSITORY_NAME.fullmatch(name) is not None


def is_tag_name(name: str) -> bool:
    """Say whether a registry can have made a tag of this name."""
    return _TAG_NAME.fullmatch(name) is not None


def shown(text: str) -> str:
    """Return a text whose names may be any bytes on one line that every terminal takes."""
    return text if text.isprintable() else ascii(text)[1:-1]


class Kind(Enum):
    """What lies at a path."""

    BLOB = "blob"
    LAYER_LINK = "layer link"
    REVISION_LINK = "revision link"
    TAG = "tag"
    TAG_INDEX = "tag index entry"

    # Each member is one object; Enum's own hash is Python code, and every entry's contains it.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the registry's that a collection may touch; a TAG has no digest in its path."""

    kind: Kind
    repository: str = ""
    digest: Digest | None = None
    tag: str = ""

    def __str__(self) -> str:
        """Return what people call it: `library/app@sha256:…`, `library/app:v1`, `sha256:…`."""
        name = f"{self.repository}:{self.tag}" if self.tag else self.repository
        if self.digest is None:
            return name
        return f"{name}@{digest_text(self.digest)}" if name else digest_text(self.digest)


def layers(repository: str) -> str:
    """Return the folder of a repository's layer links."""
    return f"repositories/{repository}/_layers"


def revisions(repository: str) -> str:
    """Return the folder of a repository's revision links."""
    return f"repositories/{repository}/_manifests/revisions"


def tags(repository: str) -> str:
    """Return the folder of a repository's tags."""
    return f"repositories/{repository}/_manifests/tags"


def uploads(repository: str) -> str:
    """Return the folder of a repository's uploads."""
    return f"repositories/{repository}/_uploads"


def folder_of(entry: Entry) -> str:
    """Return the folder that holds the entry's one file."""
    if entry.kind is Kind.TAG:
        return f"{tags(entry.repository)}/{entry.tag}/current"
    assert entry.digest is not None, f"{entry.kind} has a digest"  # noqa: S101 - our own invariant
    algorithm, encoded = split_digest(entry.digest)
    match entry.kind:
        case Kind.BLOB:
            return f"blobs/{algorithm}/{encoded[:2]}/{encoded}"
        case Kind.LAYER_LINK:
            return f"{layers(entry.repository)}/{algorithm}/{encoded}"
        case Kind.REVISION_LINK:
            return f"{revisions(entry.repository)}/{algorithm}/{encoded}"
        case Kind.TAG_INDEX:
            return f"{tags(entry.repository)}/{entry.tag}/index/{algorithm}/{encoded}"


def path_of(entry: Entry) -> str:
    """Return the entry's file."""
    return f"{folder_of(entry)}/{'data' if entry.kind is Kind.BLOB else 'link'}"


_DIGEST = r"(?P<algorithm>[a-z0-9]+)/(?P<encoded>[0-9a-f]+)"
_FOLDERS = (
    (
        Kind.BLOB,
        re.compile(r"blobs/(?P<algorithm>[a-z0-9]+)/[0-9a-f]{2}/(?P<encoded>[0-9a-f]+)"),
    ),
    (Kind.LAYER_LINK, re.compile(rf"repositories/(?P<repository>.+)/_layers/{_DIGEST}")),
    (
        Kind.REVISION_LINK,
        re.compile(rf"repositories/(?P<repository>.+)/_manifests/revisions/{_DIGEST}"),
    ),
    (
        Kind.TAG,
        re.compile(r"repositories/(?P<repository>.+)/_manifests/tags/(?P<tag>[^/]+)/current"),
    ),
    (
        Kind.TAG_INDEX,
        re.compile(
            rf"repositories/(?P<repository>.+)/_manifests/tags/(?P<tag>[^/]+)/index/{_DIGEST}"
        ),
    ),
)


def entry_in(folder: str) -> Entry | None:
    """Return the entry whose folder this is, or None; the reverse of `folder_of`."""
    for kind, pattern in _FOLDERS:
        if match := pattern.fullmatch(folder):
            parts = match.groupdict()
            digest = digest_of(parts["algorithm"], parts["encoded"]) if "encoded" in parts else None
            if digest is None and kind is not Kind.TAG:
                return None
            return Entry(kind, parts.get("repository", ""), digest, parts.get("tag", ""))
    return None


_SUBJECT_TAG = re.compile(r"(sha256|sha384|sha512)-([0-9a-f]+)(?:\.(?:sig|att|sbom))?")


def subject_of_tag(tag: str) -> Digest | None:
    """Return what a referrers' fallback tag or a cosign tag (`.sig`, `.att`, `.sbom`) is about.

    OCI distribution-spec 1.1, "Referrers Tag Schema"; a longer digest may be cut there, and such a
    tag is an ordinary one for us. So is one with any other ending: people make them to keep images.
    """
    match = _SUBJECT_TAG.fullmatch(tag)
    return digest_of(match[1], match[2]) if match else None
