"""What was taken comes back to its place, and only what is not wanted there goes."""

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from registry_gc import journal as journals
from registry_gc.collect import recover
from registry_gc.errors import StorageError
from registry_gc.journal import Journal
from registry_gc.layout import REGISTRY, Entry, Kind, digest_of, path_of
from registry_gc.plan import Deletion
from registry_gc.storage import FileStore, NoSpaceError, Stat
from support.collecting import collect, options
from support.store import StoreBuilder
from support.strategies import entries


@given(entry=entries())
def test_the_state_directory_says_where_everything_came_from(entry: Entry) -> None:
    """Seen to fail: swap algorithm and hex in `_mirrored`."""
    assert journals._entry_at(journals._mirrored(entry)) == entry


@given(one=entries(), other=entries())
def test_no_two_entries_share_a_place(one: Entry, other: Entry) -> None:
    """Nor is one's file the folder of another's: then one of them could not be taken."""
    if one != other:
        first, second = journals._mirrored(one), journals._mirrored(other)
        assert first != second
        assert not second.startswith(f"{first}/")


@pytest.mark.parametrize("path", ["", "blobs/sha256", "blobs/sha256/x/y", "blobs", "notes.txt"])
def test_a_foreign_file_in_the_state_directory_is_no_entry(path: str) -> None:
    assert journals._entry_at(path) is None


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path))


def scanned(files: FileStore, entry: Entry) -> Deletion:
    stat = files.stat(f"{REGISTRY}/{path_of(entry)}")
    assert stat
    return Deletion(entry, "a test", stat)


def blob(name: str) -> Entry:
    return Entry(Kind.BLOB, digest=digest_of(*name.split(":")))


class TestTaking:
    def test_it_is_moved_and_comes_back_as_it_was(
        self, store: StoreBuilder, files: FileStore
    ) -> None:
        name = store.blob(b"x")
        store.age()
        before = store.everything()
        found = Journal(files)

        assert found.take(scanned(files, blob(name)))
        assert not store.blob_path(name).exists()
        assert found.put_back(blob(name))
        assert store.everything() == before

    def test_what_changed_after_the_look_is_put_back(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        """Seen to fail: let `take` not look a second time (attack 21)."""
        name = store.blob(b"x")
        store.age()

        class Racing(FileStore):
            def rename(self, source: str, target: str) -> bool:
                os.utime(self.absolute(source))
                return super().rename(source, target)

        racing = Racing(str(tmp_path))

        assert not Journal(racing).take(scanned(racing, blob(name)))
        assert store.blob_path(name).exists()

    def test_a_symbolic_link_that_leads_nowhere_from_there_is_put_back(
        self, store: StoreBuilder, files: FileStore
    ) -> None:
        """Data moved to another disk by hand, with a relative link in its place.

        Seen to fail: let `put_back` drop what `stat` does not find.
        """
        name = store.blob(b"x")
        path = store.blob_path(name)
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
        store.age()
        found = Journal(files)

        assert not found.take(scanned(files, blob(name)))
        assert path.read_bytes() == b"x"

    def test_a_file_system_that_does_not_note_a_move_is_refused(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        """Else a revision that is needed again would look deleted. Seen to fail: do not look."""

        class Unmarked(FileStore):
            def stat(self, path: str) -> Stat | None:
                found = super().stat(path)
                return found and replace(found, changed=found.modified)

        name = store.image("app", layers=["a"])
        store.age()
        files = Unmarked(str(tmp_path))
        entry = Entry(Kind.REVISION_LINK, "app", digest_of(*name.split(":")))
        found = Journal(files)

        with pytest.raises(StorageError, match="does not note"):
            found.take(scanned(files, entry))

        assert not found.taken
        assert store.revision_link("app", name).exists()

    def test_a_full_disk_gives_the_reserve_to_the_journal(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        class Full(FileStore):
            def rename(self, source: str, target: str) -> bool:
                if Path(self.absolute(f"{journals.RESERVE}/space")).exists():
                    raise NoSpaceError(target)
                return super().rename(source, target)

        name = store.blob(b"x")
        full = Full(str(tmp_path))
        found = Journal(full)
        found.prepare()

        assert found.take(scanned(full, blob(name)))
        assert not (tmp_path / journals.RESERVE / "space").exists()


class TestWhatStandsThere:
    """Attack 15: whether what was written meanwhile is the same."""

    @pytest.mark.parametrize(
        ("theirs", "stays"),
        [(b"right", True), (b"wrong", False), (b"", False), (b"right and more", False)],
    )
    def test_a_blob(
        self, store: StoreBuilder, files: FileStore, theirs: bytes, stays: bool
    ) -> None:
        """Seen to fail: let `_is_sound` compare sizes only."""
        name = store.blob(b"right")
        found = Journal(files)
        found.take(scanned(files, blob(name)))
        store.write(store.blob_path(name), theirs)
        inode = store.blob_path(name).stat().st_ino

        assert found.put_back(blob(name)) is not stays
        assert store.blob_path(name).read_bytes() == b"right"
        assert (store.blob_path(name).stat().st_ino == inode) is stays
        assert found.taken == {}

    @pytest.mark.parametrize("kind", ["layer", "revision"])
    def test_an_empty_link_is_replaced(
        self, store: StoreBuilder, files: FileStore, kind: str
    ) -> None:
        """Attack 1: a registry up to 3.0 that was ended while it wrote."""
        image = store.image("app")
        path = getattr(store, f"{kind}_link")("app", image)
        store.write(path, image)
        entry = Entry(
            Kind.LAYER_LINK if kind == "layer" else Kind.REVISION_LINK,
            "app",
            digest_of(*image.split(":")),
        )
        found = Journal(files)
        found.take(scanned(files, entry))
        store.write(path, b"")

        found.put_back(entry)

        assert path.read_text() == image


class TestUndo:
    def test_blobs_come_before_links(self, store: StoreBuilder, tmp_path: Path) -> None:
        image = store.image("app")
        order = []

        class Noting(FileStore):
            def put_new(self, source: str, target: str) -> bool:
                order.append("blob" if "/blobs/" in target else "link")
                return super().put_new(source, target)

        noting = Noting(str(tmp_path))
        found = Journal(noting)
        revision = Entry(Kind.REVISION_LINK, "app", digest_of(*image.split(":")))
        for entry in (revision, blob(image)):
            found.take(scanned(noting, entry))

        assert found.put_all_back() == []
        assert order == ["blob", "link"]

    def test_one_failure_does_not_stop_the_rest(self, store: StoreBuilder, tmp_path: Path) -> None:
        """And what failed is named, stays where it is, and comes back with the next recovery."""
        names = [store.blob(content) for content in (b"a", b"b", b"c")]

        class Failing(FileStore):
            def put_new(self, source: str, target: str) -> bool:
                if names[1].partition(":")[2] in source:
                    raise StorageError("no", why="a test", next_step="none")
                return super().put_new(source, target)

        failing = Failing(str(tmp_path))
        found = Journal(failing)
        for name in names:
            found.take(scanned(failing, blob(name)))

        failed = found.put_all_back()

        assert len(failed) == 1
        assert names[1] in failed[0]
        assert [store.blob_path(name).exists() for name in names] == [True, False, True]
        healthy = FileStore(str(tmp_path))
        assert recover(healthy, Journal(healthy)) == 1
        assert store.blob_path(names[1]).read_bytes() == b"b"

    def test_a_recovery_that_fails_says_so(self, store: StoreBuilder, tmp_path: Path) -> None:
        name = store.blob(b"a")

        class Failing(FileStore):
            def put_new(self, source: str, target: str) -> bool:
                raise StorageError("no", why="a test", next_step="none")

        failing = Failing(str(tmp_path))
        Journal(failing).take(scanned(failing, blob(name)))

        with pytest.raises(StorageError, match="not everything that was taken could be put back"):
            recover(failing, Journal(failing))


class TestDooming:
    def test_a_foreign_file_does_not_stop_every_later_run(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        """A network file system's `.nfs…`, or a person's note, in the folder that is renamed.

        Seen to fail: let `discard` remove entries only.
        """
        store.image("app", "v1")
        for layer in ("a", "b", "c"):
            store.image("app", layers=[layer])
            store.age()

            def note() -> None:
                store.write(store.state / "taken/.nfs0001", b"")
                store.write(store.state / "taken/blobs/note", b"")

            assert collect(tmp_path, at={"confirm": note}).blobs == 3
        assert not (store.state / "doomed").exists()

    def test_a_failed_decision_puts_everything_back(
        self, store: StoreBuilder, tmp_path: Path
    ) -> None:
        """Seen to fail: decide outside of what is undone when it fails."""

        class Failing(FileStore):
            def rename(self, source: str, target: str) -> bool:
                if target == journals.DOOMED:
                    raise StorageError("no", why="a test", next_step="none")
                return super().rename(source, target)

        store.image("app", layers=["a"])
        store.age()
        before = store.files()

        with pytest.raises(StorageError):
            collect(tmp_path, store=Failing(str(tmp_path)))

        assert store.files() == before


class TestQuarantine:
    @pytest.fixture
    def quarantined(self, store: StoreBuilder, tmp_path: Path) -> dict[str, bytes]:
        """Return the files of a store from which everything was then quarantined."""
        dead = store.image("app", layers=["b"])
        store.image("app", f"{dead.replace(':', '-')}.sig", layers=["signature"])
        store.age()
        before = store.files()
        outcome = collect(tmp_path, chosen=options(quarantine=options("7d").grace_period))
        assert outcome.blobs == 6
        assert not any(name.endswith("link") for name in store.files())
        return before

    def test_restore_brings_everything_back(
        self,
        store: StoreBuilder,
        files: FileStore,
        quarantined: dict[str, bytes],
    ) -> None:
        """Seen to fail: let it ask whether somebody deleted the folder meanwhile; we did."""
        time.sleep(1.2)  # more than the two clocks of one rename differ by

        restored = Journal(files).restore()

        assert len(restored) == len(quarantined)
        assert store.files() == quarantined
        assert not list((store.state / "quarantine").iterdir())

    def test_restore_leaves_what_was_pushed_since(
        self, store: StoreBuilder, files: FileStore, quarantined: dict[str, bytes]
    ) -> None:
        image = store.image("app", "v1", layers=["b"], note="another")
        layer = store.blob_path(store.references(image)[1])
        inode = layer.stat().st_ino

        Journal(files).restore()

        assert layer.stat().st_ino == inode
        assert store.revision_link("app", image).exists()

    def test_a_restore_that_died_can_be_run_again(
        self, store: StoreBuilder, tmp_path: Path, quarantined: dict[str, bytes]
    ) -> None:
        class Dying(FileStore):
            count = 0

            def put_new(self, source: str, target: str) -> bool:
                self.count += 1
                if self.count == 4:
                    raise KeyboardInterrupt
                return super().put_new(source, target)

        with pytest.raises(KeyboardInterrupt):
            Journal(Dying(str(tmp_path))).restore()
        files = FileStore(str(tmp_path))
        recover(files, Journal(files))
        Journal(files).restore()

        assert store.files() == quarantined


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_reserve_that_cannot_be_had_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(NoSpaceError):
        Journal(FileStore(str(tmp_path))).prepare()


def test_a_stat_that_says_less_is_not_the_same() -> None:
    stat = Stat(1, 2, 3, 4)
    assert journals._same(Stat(1, 2, 99, 4), stat), "a changed owner is no other file"
    assert not journals._same(None, stat)
    for other in (Stat(9, 2, 3, 4), Stat(1, 9, 3, 4), Stat(1, 2, 3, 9)):
        assert not journals._same(other, stat)
