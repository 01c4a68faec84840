"""Rules that need no more than a store on disk, one test each (docs/develop/rules.md).

Rules 3, 5, 6, 7 and 12 are in test_collect.py, 9 in test_inventory.py, 1 in test_races.py, 4 in
test_crash.py, 15 in tests/registry/test_differential.py.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_gc import lock
from registry_gc.errors import GuardError, LockedError
from registry_gc.journal import Journal
from registry_gc.storage import FileStore
from support.collecting import collect, options, plan
from support.store import CONFIG, IMAGE, LAYER, StoreBuilder, digest


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


def nested_index(store: StoreBuilder) -> None:
    inner = store.index("app", [store.image("app", layers=["deep"])])
    store.index("app", [inner, store.image("app", layers=["beside"])], "v1")


def sparse_index(store: StoreBuilder) -> None:
    store.index("app", [store.image("app"), digest(b"a platform that was not copied")], "v1")


def child_without_a_link_here(store: StoreBuilder) -> None:
    """Have the child's revision link in another repository only, where it is old and untagged."""
    child = store.image("elsewhere", layers=["child"])
    for name in store.references(child):
        store.write(store.layer_link("app", name), name)
    store.index("app", [child], "v1")
    store.tag("elsewhere", "v1", child)


def mounted_layer(store: StoreBuilder) -> None:
    """Have the layer's link where it was pushed first, and its image where it was mounted."""
    store.image("from", "v1", layers=["mounted"])
    store.image("app", "v1", layers=["mounted", "own"])


def untagged_referrer(store: StoreBuilder) -> None:
    subject = store.image("app", "v1", layers=["subject"])
    store.image("app", layers=["signature"], subject=subject)


def fallback_tag(store: StoreBuilder) -> None:
    subject = store.image("app", "v1", layers=["subject"])
    about = store.image("app", layers=["about it"], note="about")
    store.index("app", [about], subject.replace(":", "-"))


def layer_named_by_sha512(store: StoreBuilder) -> None:
    name = store.layer("app", b"named twice")
    alias = digest(b"named twice", "sha512")
    store.write(store.layer_link("app", alias), name)
    config = store.layer("app", b"a config")
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {"mediaType": CONFIG, "digest": config, "size": 8},
        "layers": [{"mediaType": LAYER, "digest": alias, "size": 11}],
    }
    store.manifest("app", document, "v1")


def docker_schema_1(store: StoreBuilder) -> None:
    name = store.layer("app", b"an old layer")
    document: dict[str, object] = {
        "schemaVersion": 1,
        "name": "app",
        "tag": "v1",
        "fsLayers": [{"blobSum": name}],
        "history": [{"v1Compatibility": json.dumps({"id": "1"})}],
    }
    store.manifest("app", document, "v1")


def unknown_media_type(store: StoreBuilder) -> None:
    name = store.layer("app", b"some artifact")
    document: dict[str, object] = {
        "mediaType": "application/vnd.example.thing+json",
        "blobs": [{"mediaType": "application/vnd.example.part", "digest": name, "size": 13}],
    }
    store.manifest("app", document, "v1")


@pytest.mark.parametrize(
    "build",
    [
        nested_index,
        sparse_index,
        child_without_a_link_here,
        mounted_layer,
        untagged_referrer,
        fallback_tag,
        layer_named_by_sha512,
        docker_schema_1,
        unknown_media_type,
    ],
)
def test_rule_2_what_a_tag_leads_to_stays(
    store: StoreBuilder, tmp_path: Path, build: Callable[[StoreBuilder], None]
) -> None:
    """Seen to fail: let `Manifests` name no children; let `_Walk.follow_referrers` do nothing; let
    `_Walk._mark` ignore aliases.
    """
    build(store)
    store.age()
    before = store.files()
    store.image("app", layers=["dead"])  # so that there is something to take
    store.age()

    outcome = collect(tmp_path)

    assert outcome.blobs == 3
    assert {name: store.files().get(name) for name in before} == before


def empty_link(store: StoreBuilder, image: str) -> None:
    store.write(store.layer_link("app", store.references(image)[1]), b"")


def empty_tag(store: StoreBuilder, image: str) -> None:
    store.write(store.tag_folder("app", "v1") / "current/link", b"")


def garbage_manifest(store: StoreBuilder, image: str) -> None:
    store.write(store.blob_path(image), b"no manifest at all")


def lost_manifest(store: StoreBuilder, image: str) -> None:
    store.blob_path(image).unlink()


@pytest.mark.parametrize("damage", [empty_tag, garbage_manifest, lost_manifest])
def test_rule_8_what_depends_on_damage_is_kept_and_the_rest_goes_on(
    store: StoreBuilder, tmp_path: Path, damage: Callable[[StoreBuilder, str], None]
) -> None:
    """Seen to fail: let `_Walk._damaged` not keep the whole repository; let `_named_by_tag` take a
    tag that cannot be read for one that names nothing.
    """
    image = store.image("app", "v1", layers=["a"])
    store.image("other", "v1", layers=["b"])
    dead = store.image("other", layers=["c"])
    damage(store, image)
    store.age()
    before = {name: each for name, each in store.files().items() if "/other/" not in name}
    before = {name: each for name, each in before.items() if not name.startswith("blobs/")}
    needed = [store.layer_link("app", digest(b"a")), store.blob_path(digest(b"a"))]

    outcome = collect(tmp_path)

    assert outcome.problems, "it is reported"
    assert all(path.exists() for path in needed), "what depends on it is kept"
    assert {name: store.files().get(name) for name in before} == before
    assert not store.revision_link("other", dead).exists(), "the run goes on"


@pytest.mark.parametrize(
    ("tagged", "untagged", "words"), [(5, 45, "the limit is 80%"), (0, 40, "not one tag")]
)
def test_rule_10_a_plan_that_looks_like_a_mistake_is_refused(
    store: StoreBuilder, tmp_path: Path, tagged: int, untagged: int, words: str
) -> None:
    """Seen to fail: let `check_guards` compare with a ratio of 1; let it not ask for tags."""
    for number in range(tagged + untagged):
        store.image("app", f"t{number}" if number < tagged else "", layers=[f"layer {number}"])
    store.age()
    before = store.files()

    with pytest.raises(GuardError, match=words):
        collect(tmp_path)

    assert store.files() == before
    if tagged:
        assert collect(tmp_path, chosen=options(max_delete_ratio=1.0)).blobs == 3 * untagged


def test_rule_11_of_two_collectors_one_runs(tmp_path: Path) -> None:
    """Within one process too: the kernel's lock is on what each of them has opened.

    Seen to fail: let `lock.held` take a shared lock.
    """
    (tmp_path / "docker").mkdir()
    one, other = FileStore(str(tmp_path)), FileStore(str(tmp_path))

    with (
        lock.held(one, "the first"),
        pytest.raises(LockedError, match="the first"),
        lock.held(other, "the second"),
    ):
        pass

    with lock.held(other, "the second"):
        assert lock.holder(one)["run"] == "the second"


def test_rule_14_a_pull_through_cache_keeps_its_schedule_and_may_lack_children(
    store: StoreBuilder, tmp_path: Path
) -> None:
    """It fetches what is asked for, and lets it expire: blobs and links go behind its back.

    Seen to fail: let a missing child count as damage, so that the run reports a problem.
    """
    schedule = tmp_path / "scheduler-state.json"
    schedule.write_text('{"library/app@sha256:...": {"Key": "library/app", "EntryType": 1}}')
    fetched = store.image("library/app", layers=["fetched"])
    expired = store.image("library/app", layers=["expired"])
    store.index("library/app", [fetched, expired, digest(b"never fetched")], "v1")
    for name in (expired, *store.references(expired)):
        store.blob_path(name).unlink()
    store.revision_link("library/app", expired).unlink()
    store.age()
    before = schedule.read_bytes(), schedule.stat().st_mtime_ns

    outcome = collect(tmp_path)

    assert outcome.problems == []
    assert (schedule.read_bytes(), schedule.stat().st_mtime_ns) == before
    for name in (fetched, *store.references(fetched)):
        assert store.blob_path(name).exists()
    assert store.revision_link("library/app", fetched).exists()
    assert all(store.layer_link("library/app", name).exists() for name in store.references(fetched))


def test_attack_21_a_link_that_was_written_anew_is_not_even_moved(
    store: StoreBuilder, tmp_path: Path
) -> None:
    """Moved and put back, it would be away for a moment, in which its push may be refused.

    Seen to fail: let `Journal.take` look only after the move.
    """
    dead = store.image("app", layers=["b"])
    store.age()
    planned = plan(tmp_path).links
    link = store.layer_link("app", store.references(dead)[1])
    store.write(link, digest(b"b"))
    moved: list[str] = []

    class Watched(FileStore):
        def rename(self, source: str, target: str) -> bool:
            moved.append(source)
            return super().rename(source, target)

    taken = [Journal(Watched(str(tmp_path))).take(deletion) for deletion in planned]

    assert sorted(taken) == [False, True, True]
    assert str(link.relative_to(tmp_path)) not in moved
