"""Rule 8: damage never spreads. The stores of the reference's table, and some more.

`registry garbage-collect` stops at most of these, or deletes what is alive (docs/design.md). Here
the run goes on, names the damage, keeps what depends on it, and collects the healthy rest.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_gc.collect import Outcome
from registry_gc.errors import GuardError
from support.collecting import collect, options
from support.faults import Unreadable
from support.store import CONFIG, IMAGE, LAYER, StoreBuilder, digest


@dataclass
class Victim:
    """A repository `victim` with a tagged image and an old untagged one, beside healthy ones."""

    store: StoreBuilder
    image: str
    untagged: str
    orphan: str
    waste: str

    @property
    def folder(self) -> Path:
        return self.store.v2 / "repositories/victim"

    @property
    def tag(self) -> Path:
        return self.store.tag_folder("victim", "v1")

    @property
    def layer(self) -> str:
        """Return the tagged image's layer."""
        return digest(b"victim's layer")

    def blobs(self, image: str) -> list[Path]:
        names = [digest(b'config of [b"victim\'s layer"]'), self.layer]
        if image == self.untagged:
            names = [digest(b"config of [b'its old layer']"), digest(b"its old layer")]
        return [self.store.blob_path(name) for name in (image, *names)]


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    store = StoreBuilder(tmp_path)
    store.image("healthy", "v1", layers=["healthy"])
    waste = store.image("healthy", layers=["waste"])
    image = store.image("victim", "v1", layers=["victim's layer"])
    untagged = store.image("victim", layers=["its old layer"])
    return Victim(store, image, untagged, store.blob(b"an orphan"), waste)


def replace_blob(victim: Victim, name: str, content: bytes) -> None:
    victim.store.write(victim.store.blob_path(name), content)


def retag(victim: Victim, document: object) -> None:
    """Let the tag name other bytes, under their right digest."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    name = victim.store.blob(content)
    victim.store.write(victim.store.revision_link("victim", name), name)
    victim.store.tag("victim", "v1", name)


Damage = Callable[[Victim], object]

# What a live thing rests on was damaged: all of its repository is kept, and the report says so.
WHOLE: dict[str, Damage] = {
    "tag current link empty": lambda v: v.store.write(v.tag / "current/link", ""),
    "tag current link corrupt": lambda v: v.store.write(v.tag / "current/link", "sha256:xyz"),
    "tag current link binary": lambda v: v.store.write(v.tag / "current/link", b"\xff\x00"),
    "tag current link missing": lambda v: (v.tag / "current/link").unlink(),
    "tag current folder missing": lambda v: shutil.rmtree(v.tag / "current"),
    "tagged image's manifest blob missing": lambda v: v.store.blob_path(v.image).unlink(),
    "manifest blob garbage": lambda v: replace_blob(v, v.image, b"not json"),
    "manifest blob empty": lambda v: replace_blob(v, v.image, b""),
    "manifest blob is {}": lambda v: replace_blob(v, v.image, b"{}"),
    "manifest blob cut": lambda v: replace_blob(
        v, v.image, v.store.blob_path(v.image).read_bytes()[:-9]
    ),
    "manifest is sound but no manifest": lambda v: retag(v, {"schemaVersion": 2}),
    "manifest is sound but no JSON": lambda v: retag(v, b"plain text"),
    "manifest is sound but a list": lambda v: retag(v, []),
    "manifest is nested too deep": lambda v: retag(v, b"[" * 200_000),
}

# The tag, its index and history say what it named; nothing else depends on the damage.
UNREADABLE_TAG = {name for name in WHOLE if name.startswith("tag current")}

# One link is damaged: it and what its path names are kept, everything else goes on.
LINK: dict[str, Damage] = {
    "revision link empty": lambda v: v.store.write(v.store.revision_link("victim", v.untagged), ""),
    "revision link corrupt": lambda v: v.store.write(
        v.store.revision_link("victim", v.untagged), "nonsense"
    ),
    "layer link empty": lambda v: v.store.write(
        v.store.layer_link("victim", digest(b"its old layer")), ""
    ),
    "layer link corrupt": lambda v: v.store.write(
        v.store.layer_link("victim", digest(b"its old layer")), "nonsense"
    ),
    "layer link to another blob": lambda v: v.store.write(
        v.store.layer_link("victim", digest(b"its old layer")), v.orphan
    ),
}

# What lies about without being ours is named and kept; the rest is collected as if it were not.
FOREIGN: dict[str, Damage] = {
    "a file among the blobs": lambda v: v.store.write(v.store.v2 / "blobs/sha256/README", "hi"),
    "a file among the algorithms": lambda v: v.store.write(v.store.v2 / "blobs/README", "hi"),
    "a file in a fan-out folder": lambda v: v.store.write(v.store.v2 / "blobs/sha256/00/x", "hi"),
    "a folder among the blobs": lambda v: v.store.write(v.store.v2 / "blobs/sha256/00/x/data", ""),
    "a blob in the wrong fan-out folder": lambda v: v.store.write(
        v.store.v2 / f"blobs/sha256/zz/{'0' * 64}/data", ""
    ),
    "a file among the tags": lambda v: v.store.write(v.tag.parent / "README", "hi"),
    "a file among the layer links": lambda v: v.store.write(v.folder / "_layers/sha256/x", "hi"),
    "a folder among the revisions": lambda v: v.store.write(
        v.folder / "_manifests/revisions/sha256/x/link", "hi"
    ),
}

# Nothing that is there depends on it, and nothing of it can be pulled: no problem, or none of ours.
QUIET: dict[str, Damage] = {
    "an old temporary file beside a link": lambda v: v.store.write(
        v.store.layer_link("victim", v.layer).with_name(f"link.{'0' * 36}.tmp"), "x"
    ),
    "tag index link empty": lambda v: v.store.write(next((v.tag / "index").rglob("link")), ""),
    "tag index missing": lambda v: shutil.rmtree(v.tag / "index"),
    "tagged image's layer blob missing": lambda v: v.store.blob_path(v.layer).unlink(),
    "tagged image's revision link missing": lambda v: v.store.revision_link(
        "victim", v.image
    ).unlink(),
    "revisions folder missing": lambda v: shutil.rmtree(v.folder / "_manifests/revisions"),
    "layers folder missing": lambda v: shutil.rmtree(v.folder / "_layers"),
    "an empty revision folder": lambda v: (
        v.folder / "_manifests/revisions/sha256" / ("0" * 64)
    ).mkdir(),
    "an empty blob folder": lambda v: (v.store.v2 / "blobs/sha256/00" / ("0" * 64)).mkdir(
        parents=True
    ),
    "an empty repository": lambda v: (v.store.v2 / "repositories/empty/_layers").mkdir(
        parents=True
    ),
    "an index without children": lambda v: v.store.index("no-layers", [], "v1"),
    "a sparse index": lambda v: v.store.index("victim", [digest(b"not copied")], "index"),
}

ALL = {**WHOLE, **LINK, **FOREIGN, **QUIET}


def run(victim: Victim, damage: str) -> Outcome:
    ALL[damage](victim)
    victim.store.age()
    return collect(victim.store.root)


def test_the_table_is_whole() -> None:
    assert len(ALL) >= 30


@pytest.mark.parametrize("damage", sorted(ALL))
def test_the_run_goes_on_and_collects_the_healthy_rest(victim: Victim, damage: str) -> None:
    outcome = run(victim, damage)

    assert outcome.blobs >= 3, "the waste of the healthy repository"
    assert not victim.store.blob_path(victim.waste).exists()
    if damage != "layer link to another blob":
        assert not victim.store.blob_path(victim.orphan).exists()
    assert bool(outcome.problems) is (damage not in QUIET), outcome.problems


@pytest.mark.parametrize("damage", sorted(ALL))
def test_the_tagged_image_stays(victim: Victim, damage: str) -> None:
    """Attacks 7 and 8. Seen to fail: let `_named_by_tag` return nothing for an unreadable tag."""
    ALL[damage](victim)
    victim.store.age()
    paths = [path for path in victim.blobs(victim.image) if path.exists()]
    if damage.startswith("manifest is"):
        paths = []  # the tag names something else now; its own test is below
    links = [
        path for path in victim.folder.rglob("link") if victim.image.split(":")[1] in str(path)
    ]
    before = {path: path.read_bytes() for path in (*paths, *links)}
    if damage.startswith("manifest is"):
        before = {path: path.read_bytes() for path in victim.folder.rglob("current/link")}

    collect(victim.store.root)

    history = {path for path in links if "index" in path.parts}
    gone = [str(path) for path in before if not path.exists() and path not in history]
    assert gone == []
    assert all(path.read_bytes() == content for path, content in before.items() if path.exists())


@pytest.mark.parametrize("damage", sorted(WHOLE.keys() - UNREADABLE_TAG))
def test_a_live_manifest_that_cannot_be_read_keeps_its_whole_repository(
    victim: Victim, damage: str
) -> None:
    """Seen to fail: let `_Walk._damaged` not set `whole`."""
    WHOLE[damage](victim)
    victim.store.age()
    before = [path for path in victim.folder.rglob("*") if path.is_file()]

    outcome = collect(victim.store.root)

    assert [str(path) for path in before if not path.exists()] == []
    assert all(path.exists() for path in victim.blobs(victim.untagged))
    assert any("victim" in problem for problem in outcome.problems)


@pytest.mark.parametrize("damage", sorted(UNREADABLE_TAG))
def test_an_unreadable_tag_keeps_all_it_ever_named(victim: Victim, damage: str) -> None:
    victim.store.tag("victim", "v1", victim.untagged)
    victim.store.tag("victim", "v1", victim.image)

    outcome = run(victim, damage)

    assert all(path.exists() for path in victim.blobs(victim.untagged))
    assert any("victim:v1" in problem for problem in outcome.problems)


@pytest.mark.parametrize(
    "damage", sorted(UNREADABLE_TAG - {"tag current folder missing", "tag current link missing"})
)
def test_an_unreadable_tag_without_an_index_keeps_every_revision(
    victim: Victim, damage: str
) -> None:
    shutil.rmtree(victim.tag / "index")

    run(victim, damage)

    assert victim.store.revision_link("victim", victim.untagged).exists()
    assert all(path.exists() for path in victim.blobs(victim.untagged))


@pytest.mark.parametrize("damage", sorted(LINK))
def test_a_damaged_link_stays_with_what_it_names(victim: Victim, damage: str) -> None:
    """Seen to fail: let `_Look.age` call an unreadable link old."""
    outcome = run(victim, damage)

    kept = victim.untagged if "revision" in damage else digest(b"its old layer")
    assert victim.store.blob_path(kept).exists()
    link = victim.store.revision_link if "revision" in damage else victim.store.layer_link
    assert link("victim", kept).exists()
    if damage == "layer link to another blob":
        assert victim.store.blob_path(victim.orphan).exists()
    assert any("victim" in problem for problem in outcome.problems)


@pytest.mark.parametrize("damage", sorted(FOREIGN))
def test_what_is_not_ours_is_named_and_kept(victim: Victim, damage: str) -> None:
    before = set(victim.store.files())
    FOREIGN[damage](victim)
    foreign = set(victim.store.files()) - before
    victim.store.age()

    outcome = collect(victim.store.root)

    assert foreign
    assert foreign <= set(victim.store.files())
    assert any("kept" in problem for problem in outcome.problems)


def test_a_blob_that_is_a_folder_is_named_and_kept(victim: Victim, tmp_path: Path) -> None:
    """It could be taken, but never removed, and then every later run would fail."""
    path = victim.store.blob_path(victim.orphan)
    path.unlink()
    victim.store.write(path / "what is this", "?")
    victim.store.age()

    first, second = collect(tmp_path), collect(tmp_path)

    assert (path / "what is this").exists()
    assert first.blobs >= 3
    assert any(victim.orphan in problem for problem in first.problems)
    assert second.blobs == 0


def test_a_vacant_folder_that_cannot_be_read_stops_nothing(victim: Victim, tmp_path: Path) -> None:
    path = victim.folder / "_manifests/tags/hollow/index/sha256"
    path.mkdir(parents=True)
    victim.store.age()

    outcome = collect(tmp_path, store=Unreadable(str(tmp_path), folder="hollow/index/sha256"))

    assert outcome.problems
    assert path.exists()


class TestSha512:
    """The reference destroys an image whose config and layers are named by sha512."""

    def push(self, store: StoreBuilder, tag: str = "") -> tuple[str, list[Path]]:
        paths = []
        names = []
        for content in (b"config by sha512", b"layer by sha512"):
            canonical = store.layer("app", content)
            name = digest(content, "sha512")
            store.write(store.layer_link("app", name), canonical)
            names.append(name)
            paths += [store.blob_path(canonical), store.layer_link("app", name)]
            paths.append(store.layer_link("app", canonical))
        image = store.manifest(
            "app",
            {
                "schemaVersion": 2,
                "mediaType": IMAGE,
                "config": {"mediaType": CONFIG, "digest": names[0], "size": 1},
                "layers": [{"mediaType": LAYER, "digest": names[1], "size": 1}],
            },
            tag,
        )
        return image, paths

    def test_it_stays_with_its_tag(self, tmp_path: Path) -> None:
        """Seen to fail: let `_Walk._mark` ignore aliases."""
        store = StoreBuilder(tmp_path)
        _, paths = self.push(store, "v1")
        store.age()

        outcome = collect(tmp_path)

        assert (outcome.blobs, outcome.links) == (0, 0)
        assert all(path.exists() for path in paths)

    def test_it_goes_whole_with_its_tag(self, tmp_path: Path) -> None:
        store = StoreBuilder(tmp_path)
        self.push(store)
        store.image("app", "v1")
        store.age()

        outcome = collect(tmp_path)

        assert (outcome.blobs, outcome.links) == (3, 5)
        assert not (store.v2 / "repositories/app/_layers/sha512").exists()

    @pytest.mark.parametrize("content", ["", "nonsense"])
    def test_a_link_by_sha512_that_cannot_be_read_keeps_every_blob_of_the_repository(
        self, tmp_path: Path, content: str
    ) -> None:
        store = StoreBuilder(tmp_path)
        _, paths = self.push(store, "v1")
        store.write(paths[-2], content)
        unneeded = store.layer("app", b"needed by no manifest that can be followed")
        store.age()

        outcome = collect(tmp_path)

        assert all(path.exists() for path in paths)
        assert store.blob_path(unneeded).exists()
        assert outcome.problems


def test_schema_1_is_followed(tmp_path: Path) -> None:
    """The reference stops at it (v3) or takes it as it is (v2.8)."""
    store = StoreBuilder(tmp_path)
    layer = store.layer("app", "layer")
    store.manifest("app", {"schemaVersion": 1, "fsLayers": [{"blobSum": layer}]}, "v1")
    waste = store.blob(b"waste")
    store.age()

    outcome = collect(tmp_path)

    assert store.blob_path(layer).exists()
    assert not store.blob_path(waste).exists()
    assert outcome.problems == []


def test_attack_8_blobs_without_repositories_are_refused(victim: Victim, tmp_path: Path) -> None:
    shutil.rmtree(victim.store.v2 / "repositories")
    victim.store.age()

    with pytest.raises(GuardError):
        collect(tmp_path)


def test_a_young_damaged_link_is_no_less_live(victim: Victim, tmp_path: Path) -> None:
    victim.store.age()
    link = victim.store.layer_link("victim", digest(b"its old layer"))
    link.write_text("")
    os.utime(link)

    collect(tmp_path, chosen=options("30m"))

    assert victim.store.blob_path(digest(b"its old layer")).exists()
