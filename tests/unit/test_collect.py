"""A collection over a store on disk: the rules of docs/develop/rules.md, by name."""

import os
import time
from pathlib import Path

import pytest

from registry_gc.errors import ConfigurationError, GuardError, StoppedError
from registry_gc.layout import Kind
from registry_gc.options import duration
from registry_gc.plan import Plan
from support.collecting import NoMemory, collect, collection, options, plan
from support.store import StoreBuilder


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


def names(found: Plan, kind: Kind) -> list[str]:
    return [str(each.entry) for each in (*found.links, *found.blobs) if each.entry.kind is kind]


def test_rule_12_nothing_of_the_deleted_is_left(store: StoreBuilder, tmp_path: Path) -> None:
    """Seen to fail: let `Collection.run` skip `_remove_repositories`."""
    only_kept = StoreBuilder(tmp_path / "other")
    for builder in (store, only_kept):
        builder.image("app", "keep", layers=["base", "kept"])
    store.image("app", "gone", layers=["base", "gone"])
    store.image("old/app", "v1", layers=["base"])
    store.delete_tag("app", "gone")
    store.delete_tag("old/app", "v1")
    store.age()

    outcome = collect(tmp_path)

    assert (outcome.blobs, outcome.links, outcome.problems) == (5, 6, [])
    assert store.files() == only_kept.files() | {
        name: b"" for name in store.files() if name.startswith("blobs/") and name.endswith("/")
    }
    assert not (store.v2 / "repositories/old").exists()


def test_rule_6_the_second_run_finds_nothing(store: StoreBuilder, tmp_path: Path) -> None:
    store.image("app", "v1", layers=["a"])
    store.image("app", layers=["b"])
    store.upload("app")
    store.age(30 * 86400)

    first, second = collect(tmp_path), collect(tmp_path)

    assert first.blobs
    assert first.uploads == 1
    assert second.plan.nothing_to_take
    assert (second.blobs, second.links, second.uploads, second.problems) == (0, 0, 0, [])
    assert second.plan.vacant == []


def test_rule_5_a_dry_run_changes_nothing_and_says_what_a_real_one_does(
    store: StoreBuilder, tmp_path: Path
) -> None:
    store.image("app", "v1", layers=["a"])
    store.image("app", layers=["b"])
    store.age()
    before = store.everything()

    planned = plan(tmp_path)

    assert store.everything() == before
    done = collect(tmp_path)
    assert planned.links == done.plan.links
    assert planned.blobs == done.plan.blobs
    assert (len(planned.links), len(planned.blobs)) == (done.links, done.blobs)
    assert done.blobs == 3


@pytest.mark.parametrize("young", ["blob", "layer", "revision"])
def test_rule_3_nothing_younger_than_the_grace_period_goes(
    store: StoreBuilder, tmp_path: Path, young: str
) -> None:
    """Seen to fail: let `Clock.is_young` return False."""
    store.image("app", "v1")
    orphan = store.image("app", layers=["b"])
    layer = store.references(orphan)[1]
    store.age()
    path = {
        "blob": store.blob_path(layer),
        "layer": store.layer_link("app", layer),
        "revision": store.revision_link("app", orphan),
    }[young]
    os.utime(path)

    collect(tmp_path)

    assert path.exists()
    if young != "blob":
        assert store.blob_path(layer).exists()
    if young == "revision":
        assert store.layer_link("app", layer).exists()


def test_an_upload_in_progress_keeps_the_layers_that_it_may_rest_on(
    store: StoreBuilder, tmp_path: Path
) -> None:
    """A push that has gone on for two hours found a layer that was half an hour old (attack 18)."""
    store.image("app", "v1")
    layer = store.layer("app", b"found in place")
    store.age(2.5 * 3600)
    upload = store.upload("app")
    store.age(2 * 3600, below=upload)
    os.utime(upload / "data")  # it still goes on

    collect(tmp_path)

    assert store.layer_link("app", layer).exists()


@pytest.mark.parametrize("made", ["nothing", "docker", "v2", "repositories", "uploads only"])
def test_rule_7_an_empty_store_is_fine(store: StoreBuilder, tmp_path: Path, made: str) -> None:
    folders = {
        "nothing": tmp_path,
        "docker": tmp_path / "docker",
        "v2": store.v2,
        "repositories": store.v2 / "repositories",
        "uploads only": store.v2 / "repositories/app/_uploads",
    }
    folders[made].mkdir(parents=True, exist_ok=True)

    outcome = collect(tmp_path)

    assert (outcome.blobs, outcome.links, outcome.problems) == (0, 0, [])


class TestGuards:
    """Rule 10."""

    def fill(self, store: StoreBuilder, tagged: int, untagged: int) -> None:
        for number in range(tagged + untagged):
            store.image("app", f"t{number}" if number < tagged else "", layers=[f"layer {number}"])
        store.age()

    def test_most_blobs(self, store: StoreBuilder, tmp_path: Path) -> None:
        self.fill(store, tagged=5, untagged=45)
        before = store.everything()

        with pytest.raises(GuardError, match="135 of 150 blobs, the limit is 80%"):
            collect(tmp_path)

        after = store.everything()
        assert {name: after[name] for name in before} == before
        collect(tmp_path, chosen=options(max_delete_ratio=1.0))
        assert len(store.everything()) < len(before)

    def test_no_tag_at_all(self, store: StoreBuilder, tmp_path: Path) -> None:
        self.fill(store, tagged=0, untagged=40)

        with pytest.raises(GuardError, match="not one tag"):
            collect(tmp_path, chosen=options(max_delete_ratio=1.0))

    def test_a_small_store_may_lose_all(self, store: StoreBuilder, tmp_path: Path) -> None:
        self.fill(store, tagged=0, untagged=3)

        assert collect(tmp_path).blobs == 9

    def test_blobs_without_repositories(self, store: StoreBuilder, tmp_path: Path) -> None:
        store.blob(b"a blob")
        store.age()

        with pytest.raises(GuardError, match="no folder `repositories`"):
            collect(tmp_path)

        assert store.files()


class TestPushesMeanwhile:
    """Rule 1: what a push was told exists is there when it is acknowledged."""

    @pytest.fixture
    def dead(self, store: StoreBuilder) -> str:
        store.image("app", "v1", layers=["a"])
        dead = store.image("app", layers=["b", "c"])
        store.age()
        return dead

    def assert_complete(self, store: StoreBuilder, repository: str, image: str) -> None:
        assert store.revision_link(repository, image).exists()
        for name in store.references(image):
            assert store.layer_link(repository, name).exists(), name
            assert store.blob_path(name).exists(), name
        assert store.blob_path(image).exists()

    @pytest.mark.parametrize("phase", ["settle", "bury", "forget", "confirm"])
    def test_a_dead_image_that_is_tagged_again_comes_back(
        self, store: StoreBuilder, tmp_path: Path, dead: str, phase: str
    ) -> None:
        """Its layers were checked before the unlinking: only the revision and tag are written.

        Seen to fail: let `Healing.look` return 0 at once.
        """

        def push() -> None:
            store.write(store.revision_link("app", dead), dead)
            store.tag("app", "again", dead)

        outcome = collect(tmp_path, at={phase: push})

        self.assert_complete(store, "app", dead)
        assert outcome.blobs == 0

    @pytest.mark.parametrize("phase", ["settle", "bury", "forget", "confirm"])
    def test_a_new_image_on_dead_layers_keeps_them(
        self, store: StoreBuilder, tmp_path: Path, dead: str, phase: str
    ) -> None:
        document = store.blob_path(dead).read_bytes().replace(b'"note": ""', b'"note": "new"')
        pushed: list[str] = []

        def push() -> None:
            name = store.blob(document)
            store.write(store.revision_link("app", name), name)
            store.tag("app", "new", name)
            pushed.append(name)

        collect(tmp_path, at={phase: push})

        self.assert_complete(store, "app", pushed[0])
        assert not store.revision_link("app", dead).exists()

    @pytest.mark.parametrize("phase", ["settle", "bury", "forget", "confirm"])
    def test_w3_a_link_written_to_an_old_blob_brings_it_back(
        self, store: StoreBuilder, tmp_path: Path, dead: str, phase: str
    ) -> None:
        """The push found the blob in place, dropped its own bytes, and only then wrote its link.

        Seen to fail: remove blobs in the phase `bury` instead of moving them.
        """
        layer = store.references(dead)[1]
        mounted = store.layer_link("other", layer)

        collect(tmp_path, at={phase: lambda: store.write(mounted, layer)})

        assert mounted.exists()
        assert store.blob_path(layer).read_bytes() == b"b"

    def test_bytes_uploaded_anew_are_not_overwritten(
        self, store: StoreBuilder, tmp_path: Path, dead: str
    ) -> None:
        layer = store.references(dead)[1]
        inode: list[int] = []

        def upload() -> None:
            inode.append(store.layer("app", b"b") == layer and store.blob_path(layer).stat().st_ino)

        collect(tmp_path, at={"forget": upload})

        assert store.blob_path(layer).stat().st_ino == inode[0]
        assert store.layer_link("app", layer).exists()

    def test_a_cut_upload_of_the_same_blob_is_replaced(
        self, store: StoreBuilder, tmp_path: Path, dead: str
    ) -> None:
        """The other file has another size, so it is not these bytes (attack 15)."""
        layer = store.references(dead)[1]

        def upload() -> None:
            store.write(store.blob_path(layer), b"")
            store.write(store.layer_link("app", layer), layer)

        collect(tmp_path, at={"forget": upload})

        assert store.blob_path(layer).read_bytes() == b"b"

    def test_a_link_rewritten_between_scan_and_unlinking_stays(
        self, store: StoreBuilder, tmp_path: Path, dead: str
    ) -> None:
        layer = store.references(dead)[1]

        collect(tmp_path, at={"unlink": lambda: store.write(store.layer_link("app", layer), layer)})

        assert store.layer_link("app", layer).exists()
        assert store.blob_path(layer).exists()

    def test_a_referrer_comes_back_with_its_subject(
        self, store: StoreBuilder, tmp_path: Path, dead: str
    ) -> None:
        signature = store.image("app", layers=["signature"], subject=dead)
        store.age()

        def push() -> None:
            store.write(store.revision_link("app", dead), dead)
            store.tag("app", "again", dead)

        collect(tmp_path, at={"confirm": push})

        self.assert_complete(store, "app", dead)
        self.assert_complete(store, "app", signature)

    def test_attack_16_a_deleted_tag_is_not_brought_back(
        self, store: StoreBuilder, tmp_path: Path, dead: str
    ) -> None:
        """The tag index entry was taken, the tag deleted meanwhile, and then the run was undone."""
        store.tag("app", "moved", dead)
        moved = store.image("app", "moved", layers=["d"])
        store.age()

        def stop() -> None:
            store.delete_tag("app", "moved")
            raise StoppedError("stopped", why="a test", next_step="none")

        with pytest.raises(StoppedError):
            collect(tmp_path, at={"bury": stop})

        assert not store.tag_folder("app", "moved").exists()
        assert store.revision_link("app", moved).exists()

    def test_attack_17_a_manifest_deleted_since_is_not_brought_back(
        self, store: StoreBuilder, tmp_path: Path, dead: str
    ) -> None:
        def push_and_delete() -> None:
            time.sleep(1.1)  # the two clocks of one rename may differ by less than a second
            store.write(store.revision_link("app", dead), dead)
            store.revision_link("app", dead).unlink()
            raise StoppedError("stopped", why="a test", next_step="none")

        with pytest.raises(StoppedError):
            collect(tmp_path, at={"bury": push_and_delete})

        assert not store.revision_link("app", dead).exists()
        assert store.layer_link("app", store.references(dead)[1]).exists()

    def test_a_blob_that_the_first_scan_did_not_see_is_never_buried(
        self, store: StoreBuilder, tmp_path: Path, dead: str
    ) -> None:
        def upload() -> None:
            name = store.blob(b"uploaded meanwhile")
            store.age(below=store.blob_path(name))

        collect(tmp_path, at={"settle": upload})

        assert store.blob(b"uploaded meanwhile")
        assert any(content == b"uploaded meanwhile" for content in store.files().values())


class TestUndo:
    """Whatever ends a run before its removal leaves the store as it was."""

    @pytest.mark.parametrize("phase", ["unlink", "settle", "bury", "forget", "confirm"])
    def test_a_stopped_run_puts_everything_back(
        self, store: StoreBuilder, tmp_path: Path, phase: str
    ) -> None:
        store.image("app", "v1", layers=["a"])
        store.image("app", layers=["b"])
        store.age()
        before = store.files()
        run = collection(tmp_path)
        run.enter = lambda entered: run.stop.set() if entered == phase else None

        with pytest.raises(StoppedError):
            run.run()

        assert store.files() == before

    def test_a_refusal_comes_before_anything_is_touched(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        store.image("app", layers=["b"])
        store.upload("app")
        store.age(30 * 86400)
        before = store.files()
        refusal = GuardError("no", why="a test", next_step="none")

        with pytest.raises(GuardError):
            collect(tmp_path, memory=NoMemory(refusal=refusal))

        assert store.files() == before


def test_the_registry_forgets_after_the_burial_and_before_the_removal(
    store: StoreBuilder, tmp_path: Path
) -> None:
    dead = store.image("app", layers=["b"])
    store.age()
    seen: list[bool] = []

    def look() -> None:
        seen.append(store.blob_path(dead).exists())
        seen.append(any((store.state / "taken/blobs").rglob(dead.split(":")[1])))

    memory = NoMemory(on_forget=look)
    collect(tmp_path, memory=memory)

    assert memory.forgets == 2  # once to forget, and once for those that came since
    assert seen == [False, True]
    assert not any((store.state / "taken").rglob("*"))


def test_only_unlinking_makes_the_registry_forget_too(store: StoreBuilder, tmp_path: Path) -> None:
    """An image promoted to a second repository and deleted in the first: no blob goes."""
    for repository in ("first", "second"):
        store.image(repository, "v1")
    store.delete_tag("first", "v1")
    store.age()
    memory = NoMemory()

    outcome = collect(tmp_path, memory=memory)

    assert (outcome.blobs, outcome.links) == (0, 3)
    assert memory.forgets == 2  # once to forget, and once for those that came since


def test_quarantine_keeps_what_was_deleted_until_it_ends(
    store: StoreBuilder, tmp_path: Path
) -> None:
    store.image("app", "v1", layers=["a"])
    dead = store.image("app", layers=["b"])
    store.age()

    collect(tmp_path, chosen=options(quarantine=options("7d").grace_period))
    assert not store.blob_path(dead).exists()
    assert any((store.state / "quarantine").rglob(dead.split(":")[1]))

    collect(tmp_path)
    assert not any((store.state / "quarantine").rglob("*"))


class TestRepositories:
    """`--repository` limits what may be unlinked, and never what is marked."""

    def test_only_those_that_match_lose_anything(self, store: StoreBuilder, tmp_path: Path) -> None:
        """Seen to fail: let `_survey_repository` skip the others, so that their blobs go."""
        for repository in ("team/app", "team/deep/app", "other/app"):
            store.image(repository, "v1", layers=["kept"])
            store.image(repository, layers=[f"dead in {repository}"])
        shared = store.image("team/app", layers=["dead in other/app"], note="x")
        store.upload("other/app")
        store.age(30 * 86400)
        others = {name for name in store.files() if "/other/" in name}

        outcome = collect(tmp_path, chosen=options(repositories=("team/*",)))

        # Three blobs of each of two, and the manifest of a third, whose layer another one needs.
        assert (outcome.blobs, outcome.uploads) == (7, 0)
        assert not store.blob_path(shared).exists()
        assert {name for name in store.files() if "/other/" in name} == others
        assert collect(tmp_path, chosen=options(repositories=("team/*",))).plan.nothing_to_take
        assert collect(tmp_path).blobs == 3

    def test_a_repository_that_does_not_match_protects_what_it_shares(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        kept = store.image("other/app", "v1", layers=["shared"])
        store.image("team/app", layers=["shared"])
        store.age()

        collect(tmp_path, chosen=options(repositories=("team/app",)))

        assert store.blob_path(kept).exists()
        assert collect(tmp_path).plan.nothing_to_take


class TestMaxDuration:
    def test_a_run_that_takes_too_long_puts_everything_back(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        """Seen to fail: let `_check_stop` look at the event only."""
        store.image("app", "v1", layers=["a"])
        store.image("app", layers=["b"])
        store.age()
        before = store.files()
        run = collection(tmp_path, chosen=options(settle="30s"))
        run.ends = time.monotonic() + 0.2

        with pytest.raises(StoppedError, match="everything was put back") as raised:
            run.run()

        assert "--max-duration" in raised.value.why
        assert store.files() == before

    def test_one_that_could_never_end_is_refused(self) -> None:
        chosen = options(settle="60s", max_duration=duration("2m"))
        with pytest.raises(ConfigurationError, match="cannot end within"):
            chosen.check()
        options(settle="60s", max_duration=duration("3m")).check()
