"""Rules 2 and 12: what a tag reaches stays, and what nothing reaches goes."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from registry_gc.layout import Kind
from registry_gc.plan import Plan
from support.collecting import collect, options, plan
from support.store import IMAGE, StoreBuilder, digest
from support.strategies import REPOSITORIES, DrawnStore, is_damaged, reachable_by_definition, stores

quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def planned(store: DrawnStore, *, delete_untagged: bool = True) -> Plan:
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        store.build(Path(folder))
        return plan(Path(folder), chosen=options(delete_untagged=delete_untagged))


def links(found: Plan, kind: Kind) -> set[tuple[str, str]]:
    return {
        (each.entry.repository, str(each.entry).partition("@")[2])
        for each in found.links
        if each.entry.kind is kind
    }


@given(store=stores(), delete_untagged=st.booleans())
@quick
def test_nothing_reachable_is_planned_and_everything_else_is(
    store: DrawnStore, delete_untagged: bool
) -> None:
    """Rules 2 and 12 at once: the plan is what the definition says, neither more nor less.

    Seen to fail: let `manifests` ignore `subject`; let `_Walk._mark` ignore aliases; let `follow`
    not go on to children; let `_tags_that_follow` take every tag of that form.
    """
    live = {
        repository: reachable_by_definition(store, repository, untagged=not delete_untagged)
        for repository in REPOSITORIES
    }
    event("something to keep" if any(live.values()) else "nothing to keep")

    found = planned(store, delete_untagged=delete_untagged)

    event("something to delete" if found.blobs else "nothing to delete")
    damaged = [name for name in REPOSITORIES if is_damaged(store, name, live[name])]
    assert len(found.problems) == len(damaged), found.problems
    assert links(found, Kind.REVISION_LINK) == {
        each for each in store.revisions if each[1] not in live[each[0]]
    }
    assert links(found, Kind.LAYER_LINK) == {
        each for each in store.layers if each[1] not in live[each[0]]
    }
    wanted = set().union(*live.values())
    assert {str(each.entry) for each in found.blobs} == store.blobs.keys() - wanted


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


class TestTagsNamedAfterADigest:
    """A signature goes with what it signs; a tag that keeps an image keeps it."""

    @pytest.mark.parametrize("suffix", ["", ".imgpkg", ".sig"])
    def test_a_tag_that_is_named_after_its_own_image_keeps_it(
        self, store: StoreBuilder, tmp_path: Path, suffix: str
    ) -> None:
        """Copying tools make such tags, so that no collection takes what has no other.

        Seen to fail: let such a tag follow its subject, which nothing else names.
        """
        image = store.image("app")
        store.tag("app", image.replace(":", "-") + suffix, image)
        store.age()
        before = store.files()

        outcome = collect(tmp_path)

        assert store.files() == before
        assert outcome.links == 0

    def test_a_tag_whose_index_holds_the_image_keeps_it(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        image = store.image("app")
        inner = store.index("app", [image])
        store.index("app", [inner], image.replace(":", "-"))
        store.age()
        before = store.files()

        collect(tmp_path)

        assert store.files() == before

    @pytest.mark.parametrize("suffix", [".backup", ".imgpkg", ".2026-01-01"])
    def test_another_suffix_makes_it_an_ordinary_tag(
        self, store: StoreBuilder, tmp_path: Path, suffix: str
    ) -> None:
        dead = store.image("app", layers=["dead"])
        kept = store.image("app", dead.replace(":", "-") + suffix, layers=["kept"])
        store.age()

        collect(tmp_path)

        assert store.blob_path(kept).exists()
        assert not store.blob_path(dead).exists()

    @pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
    def test_attack_5_it_goes_with_its_subject_and_only_with_it(
        self, store: StoreBuilder, tmp_path: Path, suffix: str
    ) -> None:
        dead = store.image("app", layers=["dead"])
        live = store.image("app", "v1", layers=["live"])
        gone = digest(b"never pushed")
        tags = {
            subject: store.image("app", subject.replace(":", "-") + suffix, note=subject)
            for subject in (dead, live, gone)
        }
        store.age()

        collect(tmp_path)

        kept = {subject for subject in tags if store.revision_link("app", tags[subject]).exists()}
        assert kept == {live, gone}
        assert not store.tag_folder("app", dead.replace(":", "-") + suffix).exists()

    @pytest.mark.parametrize("damage", ["empty", "gone"])
    def test_attack_7_one_that_cannot_be_read_keeps_all_that_it_named(
        self, store: StoreBuilder, tmp_path: Path, damage: str
    ) -> None:
        """Seen to fail: let a tag without a current link expire."""
        dead = store.image("app", layers=["dead"])
        tag = dead.replace(":", "-") + ".sig"
        signature = store.image("app", tag, layers=["signature"])
        current = store.tag_folder("app", tag) / "current/link"
        if damage == "empty":
            current.write_bytes(b"")
        else:
            current.unlink()
        store.age()

        outcome = collect(tmp_path)

        assert store.blob_path(signature).exists()
        assert store.revision_link("app", signature).exists()
        assert outcome.problems


class TestShapes:
    """Named after what was drawn, read or thought of once."""

    def test_a_referrer_of_a_layer_of_a_referrer(self, store: StoreBuilder, tmp_path: Path) -> None:
        """Seen to fail: let `follow_referrers` go over the subjects once."""
        store.image("app", "v1", layers=["subject"])
        for number in range(6):  # whatever the order in which they are met
            store.image("app", subject=digest(b"another"), layers=["last"], note=str(number))
        store.image("app", subject=digest(b"subject"), layers=["another"])
        store.age()
        before = store.files()

        collect(tmp_path)

        assert store.files() == before

    @pytest.mark.parametrize("key", ["Digest", "DIGEST", "dige\u017ft"])
    def test_go_reads_keys_in_any_case(self, store: StoreBuilder, tmp_path: Path, key: str) -> None:
        """encoding/json matches fields without case, so the registry takes such a manifest.

        Seen to fail: compare the keys as they stand.
        """
        layer = store.layer("app", "layer")
        image = store.manifest(
            "app",
            {
                "schemaVersion": 2,
                "mediaType": IMAGE,
                "config": {"mediaType": "x", "digest": store.layer("app", "config"), "size": 1},
                "layers": [{"mediaType": "x", key: layer, "size": 1}],
            },
            "v1",
        )
        store.manifest(
            "app",
            {
                "schemaVersion": 2,
                "Manifests": [{"mediaType": IMAGE, key: image, "size": 1}],
                "manifests": [],
            },
            "index",
        )
        store.delete_tag("app", "v1")
        store.age()
        before = set(store.files())

        outcome = collect(tmp_path)

        assert before == set(store.files())
        assert outcome.problems == []

    def test_a_key_that_comes_twice_counts_twice(self, store: StoreBuilder, tmp_path: Path) -> None:
        """Which of the two a client takes depends on the client."""
        one, two = store.layer("app", "one"), store.layer("app", "two")
        content = (
            f'{{"schemaVersion": 2, "mediaType": "{IMAGE}", "layers": [{{"digest": "{one}"}}], '
            f'"layers": [{{"digest": "{one}", "digest": "{two}"}}]}}'
        )
        image = store.blob(content.encode())
        store.write(store.revision_link("app", image), image)
        store.tag("app", "v1", image)
        store.age()

        collect(tmp_path)

        assert store.blob_path(one).exists()
        assert store.blob_path(two).exists()


def test_a_signature_does_not_bring_back_the_image_that_was_deleted(tmp_path: Path) -> None:
    """The image was deleted by its digest through the API; its fallback tag stays (attack 5).

    Seen to fail: let `follow` go to a subject whose revision link is gone.
    """
    store = StoreBuilder(tmp_path)
    image = store.image("app", "v1", layers=["large"])
    signature = store.image("app", layers=["signature"], subject=image)
    store.index("app", [signature], image.replace(":", "-"))
    store.delete_manifest("app", image)
    store.age()

    collect(tmp_path)

    assert not store.blob_path(image).exists()
    assert not store.blob_path(digest(b"large")).exists()
    assert store.blob_path(signature).exists()
