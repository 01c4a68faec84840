"""What one manifest needs to be pulled: its config, its layers, its children, with their sizes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from registry_gc.layout import Digest, parse_digest

_ELSEWHERE = ("foreign", "nondistributable")


@dataclass(frozen=True, slots=True)
class Needed:
    """One thing that a manifest names; `size` in bytes is None where it does not say.

    `is_child` may be missing in a sparse index; `is_elsewhere` is fetched from another server.
    """

    digest: Digest
    size: int | None
    role: str
    is_child: bool = False
    is_elsewhere: bool = False


def needs(content: bytes) -> list[Needed]:
    """Return what a manifest names that a pull fetches, by shape; its subject is none of that.

    Empty for what is no manifest: whether it is one is not judged here.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return []
    return list(_needs(document)) if isinstance(document, dict) else []


def _needs(document: dict[str, Any]) -> Iterator[Needed]:
    yield from _described([document.get("config")], "config")
    yield from _described(document.get("layers"), "layer")
    yield from _described(document.get("blobs"), "blob")
    yield from _described(document.get("manifests"), "child")
    layers = document.get("fsLayers")
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict) and (digest := parse_digest(str(layer.get("blobSum")))):
            yield Needed(digest, None, "layer")


def _described(descriptors: object, role: str) -> Iterator[Needed]:
    for each in descriptors if isinstance(descriptors, list) else ():
        if not isinstance(each, dict) or not (digest := parse_digest(str(each.get("digest")))):
            continue
        size = each.get("size")
        media_type = str(each.get("mediaType"))
        yield Needed(
            digest,
            size if isinstance(size, int) and not isinstance(size, bool) else None,
            role,
            is_child=role == "child",
            is_elsewhere=bool(each.get("urls")) or any(word in media_type for word in _ELSEWHERE),
        )
