"""Stores with one damage each, as `registry garbage-collect` was measured on them.

Each holds a sound image `healthy:v1`, an image `victim:v1` that the damage concerns, and a blob
that nothing names, which a collection that works removes.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.store import IMAGE, StoreBuilder, digest, split


@dataclass(frozen=True, slots=True)
class Victim:
    """The image that is damaged: its manifest, config and layer, and where its things lie."""

    store: StoreBuilder
    manifest: str
    config: str
    layer: str

    @property
    def folder(self) -> Path:
        return self.store.v2 / "repositories/victim"

    @property
    def tag(self) -> Path:
        return self.store.tag_folder("victim", "v1")


@dataclass(frozen=True, slots=True)
class Store:
    """A kind of store: what is done to a healthy one, or how one without images is made."""

    name: str
    damage: Callable[[Victim], object] | None = None
    bare: Callable[[StoreBuilder], object] | None = None

    def build(self, root: Path) -> str:
        """Build it below `root`, eight days old; return the digest of the orphan, if any."""
        store = StoreBuilder(root)
        root.mkdir(parents=True, exist_ok=True)
        orphan = ""
        if self.bare:
            self.bare(store)
        else:
            store.image("healthy", "v1", layers=["healthy"])
            manifest = store.image("victim", "v1", layers=["victim"])
            orphan = store.blob(b"nothing names this")
            assert self.damage is not None
            self.damage(Victim(store, manifest, *store.references(manifest)))
        store.age(8 * 24 * 3600)
        return orphan


def _write(path: Path, content: str) -> None:
    path.write_text(content)


def _schema_1(store: StoreBuilder) -> bytes:
    layers = [{"blobSum": store.layer("victim", "of schema 1")}]
    history = [{"v1Compatibility": "{}"}]
    document = {
        "schemaVersion": 1, "name": "victim", "tag": "v1", "architecture": "amd64",
        "fsLayers": layers, "history": history, "signatures": [],
    }  # fmt: skip
    return json.dumps(document).encode()


def _push_schema_1(victim: Victim) -> None:
    store = victim.store
    name = store.blob(_schema_1(store))
    store.write(store.revision_link("victim", name), name)
    store.tag("victim", "schema1", name)


def _push_by_sha512(victim: Victim) -> None:
    """Name config and layer of `victim:v1` by sha512, as an upload that says so leaves them."""
    store = victim.store
    shutil.rmtree(victim.folder)
    for old in (victim.manifest, victim.config, victim.layer):
        shutil.rmtree(store.blob_path(old).parent)
    names = []
    for content in (b'{"architecture": "amd64"}', b"a layer"):
        canonical, name = store.layer("victim", content), digest(content, "sha512")
        store.write(store.layer_link("victim", name), canonical)
        names.append({"mediaType": "text/plain", "digest": name, "size": len(content)})
    document = {
        "schemaVersion": 2, "mediaType": IMAGE, "config": names[0], "layers": names[1:],
    }  # fmt: skip
    store.manifest("victim", document, "v1")


def _strays(victim: Victim) -> None:
    store = victim.store
    for path in (
        victim.folder / "_layers/notes.txt",
        victim.folder / "README",
        store.v2 / "blobs/sha256/stray",
        store.layer_link("victim", victim.layer).with_name("link.1b4e28ba-2fa1-11d2.tmp"),
    ):
        store.write(path, "stray")


def _only_index(victim: Victim) -> None:
    victim.store.index("only-index", [], "v1")


def _index_link(victim: Victim) -> Path:
    return victim.tag / "index" / split(victim.manifest) / "link"


def _blob(victim: Victim) -> Path:
    return victim.store.blob_path(victim.manifest)


def _revision(victim: Victim) -> Path:
    return victim.store.revision_link("victim", victim.manifest)


def _layer_link(victim: Victim) -> Path:
    return victim.store.layer_link("victim", victim.layer)


def _folders(*names: str) -> Callable[[StoreBuilder], object]:
    def make(store: StoreBuilder) -> None:
        for name in names:
            (store.v2 / name).mkdir(parents=True)

    return make


STORES = (
    Store("the root directory is empty", bare=lambda _store: None),
    Store("`docker/registry/v2` alone", bare=_folders("")),
    Store("an empty `repositories`", bare=_folders("repositories")),
    Store("an empty `repositories` and `blobs`", bare=_folders("repositories", "blobs")),
    Store("a repository with nothing but an upload", bare=lambda store: store.upload("app")),
    Store("a repository with an index without children alone", _only_index),
    Store("`_layers` missing", lambda v: shutil.rmtree(v.folder / "_layers")),
    Store("revision link empty", lambda v: _write(_revision(v), "")),
    Store("revision link corrupt", lambda v: _write(_revision(v), "nonsense")),
    Store("layer link empty", lambda v: _write(_layer_link(v), "")),
    Store("layer link corrupt", lambda v: _write(_layer_link(v), "nonsense")),
    Store("tag's current link empty", lambda v: _write(v.tag / "current/link", "")),
    Store("tag's current link corrupt", lambda v: _write(v.tag / "current/link", "nonsense")),
    Store("tag's current link missing", lambda v: (v.tag / "current/link").unlink()),
    Store("tag's index link empty", lambda v: _write(_index_link(v), "")),
    Store("tag's index link corrupt", lambda v: _write(_index_link(v), "nonsense")),
    Store("`tags` missing", lambda v: shutil.rmtree(v.folder / "_manifests/tags")),
    Store("manifest not JSON", lambda v: _write(_blob(v), "nonsense")),
    Store("manifest empty", lambda v: _write(_blob(v), "")),
    Store("manifest `{}`", lambda v: _write(_blob(v), "{}")),
    Store("a manifest of schema 1 beside it", _push_schema_1),
    Store("`revisions` missing", lambda v: shutil.rmtree(v.folder / "_manifests/revisions")),
    Store("manifest missing", lambda v: _blob(v).unlink()),
    Store("layer missing", lambda v: v.store.blob_path(v.layer).unlink()),
    Store("stray files", _strays),
    Store("revision link missing, its folder there", lambda v: _revision(v).unlink()),
    Store("config and layer named by sha512", _push_by_sha512),
)
