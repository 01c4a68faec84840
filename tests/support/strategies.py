"""Draws stores: images, indexes, referrers, signatures, mounts, aliases, and what is missing.

A drawn store is a value that can be built on disk, and what it means is written down a second time
here, slowly: `reachable_by_definition` shares no code with the package. `entries` are values of the
package's own, for round trips.
"""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from registry_gc.layout import Digest, Entry, Kind, digest_of
from support.store import CONFIG, IMAGE, INDEX, LAYER, StoreBuilder, digest

REPOSITORIES = ("a", "a/b", "c")
OLD = 7200  # seconds; everything else is young


@dataclass
class DrawnStore:
    """A store as its tags, links, manifests and blobs; digests are `algorithm:hex`.

    `references` and `subjects` are what each manifest names, by its own digest; `young` are the
    repository and digest of fresh revision links; `aliases` lead from sha512 to sha256; `lost` is
    what was pushed and is not there.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    references: dict[str, set[str]] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    layers: set[tuple[str, str]] = field(default_factory=set)
    revisions: set[tuple[str, str]] = field(default_factory=set)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    young: set[tuple[str, str]] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    lost: str = ""

    def add_blob(self, content: bytes) -> str:
        name = digest(content)
        self.blobs[name] = content
        return name

    def build(self, root: Path) -> StoreBuilder:
        """Write the store below `root`, everything old but what is young."""
        store = StoreBuilder(root)
        (store.v2 / "repositories").mkdir(parents=True)
        for name, content in self.blobs.items():
            store.write(store.blob_path(name), content)
        for repository, name in self.layers:
            store.write(store.layer_link(repository, name), self.aliases.get(name, name))
        for repository, name in self.revisions:
            store.write(store.revision_link(repository, name), name)
        for (repository, tag), name in self.tags.items():
            store.tag(repository, tag, name)
        store.age(OLD)
        for repository, name in self.young:
            now = time.time()
            os.utime(store.revision_link(repository, name), (now, now))
        return store


def reachable_by_definition(
    store: DrawnStore, repository: str, *, untagged: bool = False
) -> set[str]:
    """Return every digest that a repository's tags or young manifests reach; the rule, slowly.

    Signature and fallback tags (`sha256-<hex>`, `.sig`) live and die with their subject, where that
    is a manifest of the same repository. With `untagged`, every revision is a root.
    """
    mine = {name for where, name in store.revisions if where == repository}
    about = {
        tag: subject
        for (where, tag), name in store.tags.items()
        if where == repository
        and (subject := _subject_of(tag)) in mine
        and subject not in _contained(store, name)
    }
    live = {
        name
        for (where, tag), name in store.tags.items()
        if where == repository and tag not in about
    }
    live |= mine if untagged else {name for where, name in store.young if where == repository}
    while True:
        more = set(live)
        for name in live:
            more |= store.references.get(name, set())
            if store.subjects.get(name) in mine:
                more.add(store.subjects[name])
            if name in store.aliases and (repository, name) in store.layers:
                more.add(store.aliases[name])
        more |= {name for name in mine if store.subjects.get(name) in live}
        more |= {store.tags[repository, tag] for tag, subject in about.items() if subject in live}
        if more == live:
            return _everything(store, repository) if is_damaged(store, repository, live) else live
        live = more


def is_damaged(store: DrawnStore, repository: str, live: set[str]) -> bool:
    """Say whether a live, tagged manifest of the repository is lost, so that all of it is kept."""
    tagged = {name for (where, _), name in store.tags.items() if where == repository}
    return store.lost in live & tagged and (repository, store.lost) in store.revisions


def _everything(store: DrawnStore, repository: str) -> set[str]:
    links = {name for where, name in store.layers | store.revisions if where == repository}
    tagged = {name for (where, _), name in store.tags.items() if where == repository}
    return links | tagged | {store.aliases[name] for name in links if name in store.aliases}


def _contained(store: DrawnStore, name: str) -> set[str]:
    """Return what a manifest is or holds, not counting what it is about."""
    found = {name}
    while True:
        more = found | {each for known in found for each in store.references.get(known, set())}
        if more == found:
            return found
        found = more


def _subject_of(tag: str) -> str:
    algorithm, dash, encoded = tag.removesuffix(".sig").partition("-")
    return f"{algorithm}:{encoded}" if dash else ""


@st.composite
def stores(draw: st.DrawFn) -> DrawnStore:
    """Draw a store of a few repositories; every shape that the design names can come."""
    drawn = DrawnStore()
    layers = [
        drawn.add_blob(f"layer {number}".encode()) for number in range(draw(st.integers(1, 5)))
    ]
    named: dict[str, str] = {}
    for number in range(draw(st.integers(1, 7))):
        repository = draw(st.sampled_from(REPOSITORIES))
        kind = draw(st.sampled_from(["image", "image", "index", "build cache"]))
        document, references = _document(draw, drawn, kind, number, repository, layers, named)
        subject = draw(st.sampled_from(["", "", "missing", *named])) if kind != "index" else ""
        if subject:
            subject = digest(b"never pushed") if subject == "missing" else subject
            document["subject"] = {"mediaType": IMAGE, "digest": subject, "size": 1}
        content = json.dumps(document).encode()
        name = drawn.add_blob(content)
        drawn.references[name] = references
        if subject:
            drawn.subjects[name] = subject
        named[name] = INDEX if kind != "image" else IMAGE
        for where in draw(st.sets(st.sampled_from(REPOSITORIES), max_size=1)) | {repository}:
            _push(drawn, draw, where, name, named)
    _mount(drawn, draw, layers)
    if draw(st.integers(0, 3)) == 0:
        lost = draw(st.sampled_from(sorted(drawn.blobs)))
        del drawn.blobs[lost]
        drawn.lost = lost
        if lost in drawn.references:
            # Nobody can know any more what it named.
            drawn.references[lost] = set()
            drawn.subjects.pop(lost, None)
    return drawn


def _document(
    draw: st.DrawFn,
    drawn: DrawnStore,
    kind: str,
    number: int,
    repository: str,
    layers: list[str],
    named: dict[str, str],
) -> tuple[dict[str, object], set[str]]:
    if kind == "image":
        config = drawn.add_blob(f"config {number}".encode())
        chosen = draw(st.lists(st.sampled_from(layers), max_size=3, unique=True))
        for name in (config, *chosen):
            drawn.layers.add((repository, name))
        if chosen and draw(st.integers(0, 3)) == 0:
            chosen[0] = _by_sha512(drawn, repository, chosen[0])
        return {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": {"mediaType": CONFIG, "digest": config, "size": 1},
            "layers": [{"mediaType": LAYER, "digest": name, "size": 1} for name in chosen],
            "annotations": {"number": str(number)},
        }, {config, *chosen}
    if kind == "build cache":
        children = draw(st.lists(st.sampled_from(layers), min_size=1, max_size=2, unique=True))
        drawn.layers |= {(repository, name) for name in children}
    else:
        possible = [*named, digest(b"a platform that was not copied")]
        children = draw(st.lists(st.sampled_from(possible), max_size=3, unique=True))
    return {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {"mediaType": named.get(name, LAYER), "digest": name, "size": 1} for name in children
        ],
        "annotations": {"number": str(number)},
    }, set(children)


def _by_sha512(drawn: DrawnStore, repository: str, name: str) -> str:
    """Name a layer by sha512, as a push does that was verified by it."""
    alias = digest(drawn.blobs[name], "sha512")
    drawn.aliases[alias] = name
    drawn.layers |= {(repository, alias), (repository, name)}
    return alias


def _push(
    drawn: DrawnStore, draw: st.DrawFn, repository: str, name: str, named: dict[str, str]
) -> None:
    drawn.revisions.add((repository, name))
    drawn.layers |= {
        (repository, each) for each in drawn.references[name] if each not in drawn.references
    }
    match draw(st.sampled_from(["tag", "tag", "untagged", "untagged", "young", "about", "sig"])):
        case "tag":
            drawn.tags[repository, f"t{draw(st.integers(0, 3))}"] = name
        case "young":
            drawn.young.add((repository, name))
        case "about" | "sig" as form:
            subject = draw(st.sampled_from([*named, digest(b"never pushed")]))
            tag = subject.replace(":", "-") + (".sig" if form == "sig" else "")
            drawn.tags[repository, tag] = name


def _mount(drawn: DrawnStore, draw: st.DrawFn, layers: list[str]) -> None:
    """Link some layers where no manifest needs them."""
    for name in draw(st.lists(st.sampled_from(layers), max_size=2)):
        drawn.layers.add((draw(st.sampled_from(REPOSITORIES)), name))


def digests() -> st.SearchStrategy[Digest]:
    def of(algorithm: str, length: int) -> st.SearchStrategy[Digest]:
        hexes = st.text("0123456789abcdef", min_size=length, max_size=length)
        return hexes.map(lambda text: digest_of(algorithm, text) or Digest(b""))

    return st.one_of(of("sha256", 64), of("sha384", 96), of("sha512", 128))


def entries() -> st.SearchStrategy[Entry]:
    component = st.from_regex(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", fullmatch=True)
    repositories = st.lists(component, min_size=1, max_size=4).map("/".join)
    tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,30}", fullmatch=True)
    return st.one_of(
        st.builds(lambda digest: Entry(Kind.BLOB, digest=digest), digests()),
        st.builds(Entry, st.just(Kind.LAYER_LINK), repositories, digests()),
        st.builds(Entry, st.just(Kind.REVISION_LINK), repositories, digests()),
        st.builds(lambda name, tag: Entry(Kind.TAG, name, tag=tag), repositories, tags),
        st.builds(Entry, st.just(Kind.TAG_INDEX), repositories, digests(), tags),
    )
