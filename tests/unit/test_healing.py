"""A settle period is only over once a look has begun after it."""

import time
from pathlib import Path

import pytest

from registry_gc import healing as healings
from registry_gc.healing import Healing
from registry_gc.inventory import View
from registry_gc.journal import Journal
from registry_gc.layout import Kind
from registry_gc.manifest_cache import ManifestCache
from registry_gc.manifests import Manifests
from registry_gc.plan import Deletion, Plan
from registry_gc.storage import FileStore, Listing
from support.collecting import collect, options, plan
from support.store import StoreBuilder


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


def of(files: FileStore, found: Journal) -> Manifests:
    """Return the manifests as a look finds them."""
    return ManifestCache(files).of(View(files, found.taken))


class Slow(FileStore):
    """A store whose scan takes 0.3 s once it has seen the repository `app`."""

    def list(self, path: str) -> Listing:
        if path.endswith("repositories/zzz"):
            time.sleep(0.3)
        return super().list(path)


def test_the_last_look_begins_after_the_settle_period(store: StoreBuilder, tmp_path: Path) -> None:
    """A look that began before the end may have passed what was pushed before the end.

    A manifest is acknowledged 0.15 s after the unlinking, within the settle period of 0.2 s, while
    a look of 0.3 s goes on that has passed its repository already.
    Seen to fail: let `go_on_for` end when a look *ends* after the deadline.
    """
    dead = store.image("app", layers=["b"])
    store.image("zzz", "v1", layers=["z"])
    store.age()
    slow = Slow(str(tmp_path))
    found = Journal(slow)
    for deletion in plan(tmp_path).links:
        found.take(deletion)
    began = time.monotonic()
    pushed = False

    class Pushing(Slow):
        def list(self, path: str) -> Listing:
            nonlocal pushed
            listing = super().list(path)
            if path.endswith("repositories/zzz") and not pushed:
                assert time.monotonic() - began > 0.15
                pushed = True
                store.write(store.revision_link("app", dead), dead)
                store.tag("app", "v1", dead)
            return listing

    pushing = Pushing(str(tmp_path))
    found = Journal(pushing)

    Healing(
        pushing, options(), found, of(pushing, found), lambda seconds: time.sleep(max(0, seconds))
    ).go_on_for(0.2)

    assert pushed
    assert all(store.layer_link("app", name).exists() for name in store.references(dead))


def test_it_looks_until_nothing_changes(store: StoreBuilder, tmp_path: Path) -> None:
    store.image("app", layers=["b"])
    store.age()
    files = FileStore(str(tmp_path))
    found = Journal(files)
    for deletion in plan(tmp_path).links:
        found.take(deletion)
    healing = Healing(files, options("3h"), found, of(files, found), lambda _seconds: None)

    healing.go_on_for(0)

    assert found.taken == {}, "nothing is older than three hours"


def test_what_was_written_through_an_open_file_comes_back(
    store: StoreBuilder, tmp_path: Path
) -> None:
    """Attack 11: a registry up to 3.0 opened the link before it was taken, and writes it after."""
    dead = store.image("app", layers=["b"])
    path = store.layer_link("app", store.references(dead)[1])
    store.age()
    files = FileStore(str(tmp_path))
    found = Journal(files)
    with path.open("r+") as open_file:
        for deletion in plan(tmp_path).links:
            found.take(deletion)
        open_file.write(store.references(dead)[1])

    Healing(files, options(), found, of(files, found), lambda _seconds: None).look()

    assert path.exists()
    assert not store.revision_link("app", dead).exists()


def test_a_blob_that_was_written_anew_is_not_buried(store: StoreBuilder, tmp_path: Path) -> None:
    dead = store.image("app", layers=["b"])
    store.age()
    files = FileStore(str(tmp_path))
    planned: Plan = plan(tmp_path)
    found = Journal(files)
    for deletion in planned.links:
        found.take(deletion)
    path = store.blob_path(store.references(dead)[1])
    content = path.read_bytes()
    path.unlink()
    store.write(path, content)
    store.age(below=path.parent)

    dying = Healing(files, options(), found, of(files, found), lambda _seconds: None).still_dead(
        planned.blobs
    )

    assert len(dying) == 2
    assert len([each for each in planned.blobs if each.entry.kind is Kind.BLOB]) == 3


def test_a_look_takes_a_fifth_of_the_time(
    store: StoreBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.image("app", layers=["b"])
    store.image("zzz", "v1")
    store.age()
    waits: list[float] = []
    monkeypatch.setattr(healings, "_PASS", 0.05)
    files = Slow(str(tmp_path))

    def wait(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(max(0.0, seconds))

    found = Journal(files)
    for deletion in plan(tmp_path).links:
        found.take(deletion)
    Healing(files, options(), found, of(files, found), wait).go_on_for(1.7)

    assert waits[0] > 0.3, "a scan of 0.3 s is followed by a pause of more than that"


class Resurrecting(FileStore):
    """A store on which a dead image is pushed again, with a tag, when a folder is listed."""

    def __init__(self, builder: StoreBuilder, dead: str, at: str) -> None:
        super().__init__(str(builder.root))
        self._builder, self._dead, self._at = builder, dead, at

    def list(self, path: str) -> Listing:
        if path.endswith(self._at) and self._dead:
            dead, self._dead = self._dead, ""
            self._builder.write(self._builder.revision_link("app", dead), dead)
            self._builder.tag("app", "again", dead)
        return super().list(path)


def test_attack_20_a_long_scan_heals_meanwhile(
    store: StoreBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pushed while the last scan goes on is whole before that ends.

    Seen to fail: let `_seen` not call `when_due`.
    """
    dead = store.image("app", layers=["b"])
    store.image("zzz", "v1", layers=["z"])
    store.age()
    monkeypatch.setattr(healings, "_PASS", 0.0)
    monkeypatch.setattr(healings, "_SHARE", 0)
    files = Resurrecting(store, dead, "repositories/zzz/_layers")
    found = Journal(files)
    planned = plan(tmp_path)
    for deletion in planned.links:
        found.take(deletion)
    healing = Healing(files, options(), found, of(files, found), lambda _seconds: None)

    healing.still_dead(planned.blobs)

    assert not found.taken


def test_attack_20_a_long_unlinking_heals_meanwhile(
    store: StoreBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: let `Collection._take` not call `when_due`."""
    dead = store.image("app", layers=["b"])
    store.image("zzz", layers=["z"])
    store.age()
    monkeypatch.setattr(healings, "_PASS", 0.0)
    monkeypatch.setattr(healings, "_SHARE", 0)
    taken: list[int] = []
    looks: list[int] = []
    take, look = Journal.take, Healing.look

    def taking(journal: Journal, deletion: Deletion) -> bool:
        taken.append(len(looks))
        return take(journal, deletion)

    def looking(healing: Healing) -> int:
        looks.append(1)
        return look(healing)

    monkeypatch.setattr(Journal, "take", taking)
    monkeypatch.setattr(Healing, "look", looking)

    assert collect(tmp_path).blobs == 6
    assert taken == sorted(set(taken)), "a look before each one that was taken"
    assert store.blob_path(dead).exists() is False
