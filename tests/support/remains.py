"""A store whose images were partly deleted, and what a collection leaves of them, counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from support.client import Client, Manifest, image, index, layer, referrer
from support.reading import StoreOnDisk
from support.store import StoreBuilder

REPOSITORIES = ("r1", "r2", "r3", "r4", "r5")
GONE = ("r4", "r5")
TAGS = ("v1", "v2", "v3", "v4")


@dataclass(frozen=True, slots=True)
class Past:
    """What was pushed and must pull in the end, as repository and reference."""

    signature: Manifest
    index: Manifest
    wanted: tuple[tuple[str, str], ...]


def push(client: Client) -> Past:
    """Push 25 manifests: 20 images, an index with two more, a moved tag, a referrer; and uploads.

    Each image has a layer of all, a layer of its repository and two of its own.
    """
    signed = image("nothing yet")
    for repository in REPOSITORIES:
        for tag in TAGS:
            signed = image(f"{repository}/{tag}", layers=_layers(repository, tag))
            client.push(repository, signed, tag)
    client.push("r1", image("first", layers=_layers("r1", "v1")), "v1")
    multi = index([image(f"child {n}", layers=_layers("r1", f"child {n}")) for n in range(2)])
    client.push("r1", multi, "multi")
    signature = referrer(image("r2/v1", layers=_layers("r2", "v1")), "signature")
    client.push("r2", signature)
    for repository in ("r1", "r4"):
        client.start_upload(repository)
    kept = [(name, tag) for name in REPOSITORIES if name not in GONE for tag in TAGS[:3]]
    return Past(signature, multi, (*kept, ("r1", "multi"), ("r2", signature.digest)))


def _layers(repository: str, name: str) -> list[bytes]:
    own = [layer(f"{repository}/{name}/{number}") for number in range(2)]
    return [layer("of all"), layer(f"of {repository}"), *own]


def delete(client: Client) -> None:
    """Delete all manifests of two repositories, and one tag with its manifest of each other."""
    for repository in REPOSITORIES:
        for tag in TAGS if repository in GONE else TAGS[3:]:
            found = image(f"{repository}/{tag}", layers=_layers(repository, tag))
            client.delete_manifest(repository, found.digest)


def age(root: Path, days: float) -> None:
    """Make a store so much older, uploads too."""
    StoreBuilder(root).age(days * 24 * 3600)
    for started in root.rglob("startedat"):
        started.write_text("2026-01-01T00:00:00Z")
        StoreBuilder(root).age(days * 24 * 3600, below=started)


def counts(v2: Path, client: Client, past: Past) -> dict[str, str]:
    """Count what lies in a store, and say what its registry answers."""
    store = StoreOnDisk(v2)
    kinds = Counter(thing.kind for thing in store.things)
    blobs = {thing.digest for thing in store.things if thing.kind == "blob"}
    links = [thing for thing in store.things if thing.kind == "layer link"]
    needless = [each for each in links if each.digest not in _needed(store, each.repository)]
    entries = [thing for thing in store.things if thing.kind == "tag index entry"]
    folders = [path for path in v2.rglob("*") if path.is_dir()]
    empty = [path for path in folders if not any(each.is_file() for each in path.rglob("*"))]
    busy = [path for path in empty if _is_busy(path.relative_to(v2).parts)]
    return {
        "blobs": str(kinds["blob"]),
        "layer links": str(kinds["layer link"]),
        "layer links that no manifest of the repository needs": str(len(needless)),
        "layer links without their blob": str(sum(each.digest not in blobs for each in links)),
        "revision links": str(kinds["revision link"]),
        "tags": str(kinds["tag"]),
        "tag index entries, stale ones among them": f"{len(entries)}, {_stale(store, entries)}",
        "uploads": str(len(list(v2.glob("repositories/**/_uploads/*")))),
        "directories with no file below": str(len(empty) - len(busy)),
        "the same, of blobs' first two digits and `_uploads`": str(len(busy)),
        "repositories in `_catalog`": str(len(client.repositories())),
        "an untagged signature of a tagged image": _pulls(client, "r2", past.signature.digest),
        "a tagged index and its two images": _pulls(client, "r1", past.index.digest),
    }


def _needed(store: StoreOnDisk, repository: str) -> set[str]:
    return {blob for each in store.revisions(repository) for blob in store.references(each)[1]}


def _stale(store: StoreOnDisk, entries: Iterable[object]) -> int:
    """Count entries of a tag's index that are not what the tag is now."""
    current = {(name, tag): d for name in store.repositories for tag, d in store.tags(name).items()}
    return sum(
        current.get((each.repository, each.tag)) != each.digest  # type: ignore[attr-defined]
        for each in entries
    )


def _is_busy(parts: tuple[str, ...]) -> bool:
    """Say whether pushes make something in a folder all the time, so that it had better stay."""
    return parts[-1] == "_uploads" or (parts[0] == "blobs" and len(parts) <= 3)


def _pulls(client: Client, repository: str, digest: str) -> str:
    missing = client.pull(repository, digest).missing
    return f"lost ({len(missing)} missing)" if missing else "pulls"
