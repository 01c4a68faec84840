"""What one pass over the store sees, and what it does with what it cannot read."""

import os
import shutil
import time
from pathlib import Path

import pytest

from registry_gc import inventory
from registry_gc.inventory import View
from registry_gc.layout import Entry, Kind, parse_digest
from registry_gc.storage import FileStore, Stat
from support.collecting import NoMemory, collect, collection, plan
from support.faults import Unreadable
from support.store import StoreBuilder


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


def test_everything_of_a_repository_is_seen(store: StoreBuilder, tmp_path: Path) -> None:
    image = store.image("a/b", "v1", layers=["x", "y"])
    store.tag("a/b", "v1", store.image("a/b"))
    store.tag("a/b", "v1", image)
    store.upload("a/b")
    store.image("a", "v1")
    view = View(FileStore(str(tmp_path)))

    found = inventory.repository(view, "a/b")

    assert list(inventory.repository_names(view)) == ["a", "a/b"]
    assert found.tags == {"v1": parse_digest(image)}
    assert (len(found.layers), len(found.revisions), len(found.index["v1"])) == (5, 2, 2)
    assert [upload.name for upload in found.uploads] == ["1"]
    assert sum(map(len, inventory.blobs(view))) == 7
    assert (view.problems, view.complete) == ([], True)


def test_an_empty_link_is_read_again(store: StoreBuilder, tmp_path: Path) -> None:
    """Registries up to 3.0 write a link in place, so it is empty for a moment (race W10).

    Seen to fail: let `View.link` read once.
    """
    image = store.image("app", "v1")
    reads = []

    class Rewritten(FileStore):
        def read(self, path: str, limit: int) -> tuple[bytes, Stat] | None:
            found = super().read(path, limit)
            reads.append(path)
            return (b"", found[1]) if found and len(reads) == 1 else found

    view = View(Rewritten(str(tmp_path)))

    link = view.link(Entry(Kind.TAG, "app", tag="v1"))

    assert link
    assert link.target == parse_digest(image)
    assert view.problems == []


@pytest.mark.parametrize(
    "folder",
    [
        "v2/blobs",
        "blobs/sha256",
        "v2/repositories",
        "repositories/app",
        "app/_layers",
        "app/_layers/sha256",
        "app/_manifests/revisions",
        "app/_manifests/revisions/sha256",
        "app/_manifests/tags",
        "tags/v1/index",
        "app/_uploads",
        "app/_uploads/1",
    ],
)
def test_rule_9_nothing_is_deleted_in_what_a_failed_listing_covers(
    store: StoreBuilder, tmp_path: Path, folder: str
) -> None:
    """Seen to fail: let `View.list` return an empty listing for a folder that cannot be read."""
    store.image("app", "v1", layers=["a"])
    store.image("app", layers=["b"])
    store.upload("app")
    store.image("other", layers=["b", "c"])
    store.age(30 * 86400)
    before = store.files()

    outcome = collect(tmp_path, store=Unreadable(str(tmp_path), folder=folder))

    after = store.files()
    covered = ("blobs/",) if "blobs" in folder else ("blobs/", "repositories/app/")
    assert [name for name in before if name not in after and name.startswith(covered)] == []
    assert outcome.blobs == 0
    assert any("nothing that it may name is deleted" in problem for problem in outcome.problems)
    assert collect(tmp_path).blobs, "and without the fault there is something to delete"


def test_rule_9_the_rest_is_unlinked(store: StoreBuilder, tmp_path: Path) -> None:
    store.image("app", "v1")
    store.image("other", layers=["c"])
    store.age()

    outcome = collect(tmp_path, store=Unreadable(str(tmp_path), folder="app/_layers"))

    assert (outcome.links, outcome.blobs) == (3, 0)


@pytest.mark.parametrize("kind", ["tag", "manifest", "child", "layer link", "revision link"])
def test_what_cannot_be_read_is_kept_with_all_that_it_may_need(
    store: StoreBuilder, tmp_path: Path, kind: str
) -> None:
    """EIO is no answer: a live tag's manifest may name anything in its repository.

    Seen to fail: let `Manifests.get` return None for a StorageError.
    """
    image = store.image("app", "v1", layers=["a"])
    untagged = store.image("app", layers=["b"])
    child = store.image("app", layers=["a child's"])
    store.index("app", [child], "index")
    store.image("other", layers=["c"])
    store.age()
    victim = {
        "tag": store.tag_folder("app", "v1") / "current/link",
        "manifest": store.blob_path(image),
        "child": store.blob_path(child),
        "layer link": store.layer_link("app", store.references(untagged)[1]),
        "revision link": store.revision_link("app", untagged),
    }[kind]
    needed = {
        "tag": [
            store.revision_link("app", image),
            store.layer_link("app", *store.references(image)[1:]),
        ],
        "manifest": [store.layer_link("app", name) for name in store.references(image)],
        "child": [store.layer_link("app", name) for name in store.references(child)],
        "layer link": [victim, store.blob_path(store.references(untagged)[1])],
        "revision link": [victim, store.blob_path(untagged)],
    }[kind]

    outcome = collect(
        tmp_path, store=Unreadable(str(tmp_path), file=str(victim.relative_to(tmp_path)))
    )

    assert all(path.exists() for path in needed)
    assert outcome.problems
    assert outcome.blobs >= 3, "the healthy rest is collected"


def test_what_cannot_be_looked_at_stops_nothing(store: StoreBuilder, tmp_path: Path) -> None:
    store.upload("app")
    store.image("app", "v1")
    store.image("app", layers=["b"])
    store.age(30 * 86400)

    outcome = collect(tmp_path, store=Unreadable(str(tmp_path), stat="_uploads/1/data"))

    assert outcome.blobs == 0, "as for a folder that cannot be read"
    assert (store.v2 / "repositories/app/_uploads/1/data").exists()
    assert any("_uploads/1" in problem for problem in outcome.problems)


class TestUploads:
    def test_what_a_dead_run_left_of_an_upload_is_still_stale(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        """Removing a file makes its folder young; else it would keep links for another week.

        Seen to fail: count a folder's time while files are left.
        """
        folder = store.upload("app")
        store.age(30 * 86400)
        (folder / "data").unlink()

        assert collect(tmp_path).uploads == 1
        assert not folder.exists()

    @pytest.mark.parametrize("how", ["written", "file added"])
    def test_rule_3_an_upload_that_goes_on_meanwhile_stays(
        self, store: StoreBuilder, tmp_path: Path, how: str
    ) -> None:
        """Seen to fail: let `Collection._remove_uploads` not look again."""
        folder = store.upload("app")
        store.image("app", layers=["b"])
        store.age(30 * 86400)

        class Resuming(NoMemory):
            def check(self, option: str) -> None:
                store.write(
                    folder / ("data" if how == "written" else "hashstates/sha256/4"), b"more"
                )

        run = collection(tmp_path)
        run.memory = Resuming()
        outcome = run.run()

        assert outcome.uploads == 0
        assert (folder / "data").exists()


@pytest.mark.parametrize("minutes", [-10, 10])
@pytest.mark.parametrize("named", [False, True], ids=["unnamed file", "named file"])
def test_rule_3_holds_with_our_own_clock_off(
    store: StoreBuilder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    minutes: int,
    named: bool,
) -> None:
    """The storage's clock counts, also where it has no files without a name (NFS, some FUSE).

    Seen to fail: let `FileStore.now` return `time.time_ns()`.
    """
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + minutes * 60 * 10**9)
    if named:
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_TRUNC)
    store.image("app", "v1")
    old, young = store.image("app", layers=["old"]), store.image("app", layers=["young"])
    for image, age in ((old, 61), (young, 59)):
        for name in (image, *store.references(image)):
            paths = [store.blob_path(name), store.layer_link("app", name)]
            for path in (*paths, store.revision_link("app", name)):
                if path.exists():
                    store.age(age * 60, below=path.parent)

    collect(tmp_path)

    assert store.revision_link("app", young).exists()
    assert all(store.blob_path(name).exists() for name in store.references(young))
    assert not store.revision_link("app", old).exists()


def test_a_file_from_the_future_is_young(store: StoreBuilder, tmp_path: Path) -> None:
    dead = store.image("app", layers=["b"])
    store.image("app", "v1")
    store.age(-7200)

    collect(tmp_path)

    assert store.revision_link("app", dead).exists()


def test_race_w11_a_tag_that_is_just_being_deleted_is_no_damage(
    store: StoreBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry removes its current link first. Seen to fail: look once."""
    store.image("app", "v1")
    store.age()
    tag = store.v2 / "repositories/app/_manifests/tags/v1"
    shutil.rmtree(tag / "current")
    monkeypatch.setattr(time, "sleep", lambda _seconds: shutil.rmtree(tag))

    assert plan(tmp_path).problems == []


def test_a_tag_without_its_current_link_is_named(store: StoreBuilder, tmp_path: Path) -> None:
    """The control of the test above."""
    store.image("app", "v1")
    store.age()
    shutil.rmtree(store.v2 / "repositories/app/_manifests/tags/v1/current")

    (problem,) = plan(tmp_path).problems
    assert "app:v1 has no current link" in problem


def test_race_w7_a_tag_whose_first_entry_is_just_being_written_is_no_damage(
    store: StoreBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder stands before its link does. Seen to fail: take no entry for an old one."""
    image = store.image("app", "v1")
    store.age()
    entry = store.v2 / "repositories/app/_manifests/tags/v2/index/sha256" / image[7:]
    entry.mkdir(parents=True)
    monkeypatch.setattr(time, "sleep", lambda _seconds: (entry / "link").write_text(image))

    assert plan(tmp_path).problems == []
