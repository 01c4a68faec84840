"""Links that a registry left empty say again what they said; nothing else is touched (attack 1)."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_gc import mending
from registry_gc.inventory import View
from registry_gc.layout import Kind
from registry_gc.mending import mend_empty_links
from registry_gc.storage import FileStore, NoSpaceError
from support.store import StoreBuilder, split


@dataclass
class Damaged:
    """An image whose links can be emptied, and what the store held before."""

    store: StoreBuilder
    image: str

    def link(self, kind: Kind) -> Path:
        folder = self.store.tag_folder("app", "v1")
        match kind:
            case Kind.LAYER_LINK:
                return self.store.layer_link("app", self.store.references(self.image)[0])
            case Kind.REVISION_LINK:
                return self.store.revision_link("app", self.image)
            case Kind.TAG_INDEX:
                return folder / "index" / split(self.image) / "link"
            case _:
                return folder / "current/link"

    def empty(self, kind: Kind) -> Path:
        link = self.link(kind)
        os.truncate(link, 0)
        return link

    def mend(self, since: int = 0) -> list[Kind]:
        return [entry.kind for entry in mend_empty_links(View(self.files), since)]

    @property
    def files(self) -> FileStore:
        return FileStore(str(self.store.root))


@pytest.fixture
def damaged(tmp_path: Path) -> Damaged:
    store = StoreBuilder(tmp_path)
    image = store.image("app", "v1")
    store.image("other/app", "v1", layers=["other"])
    store.age()
    return Damaged(store, image)


def at_the_pause(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    """Do something while the `number`-th pause lasts."""
    pauses = iter(range(1, 100))
    monkeypatch.setattr(
        "registry_gc.mending.sleep", lambda _seconds: act() if next(pauses) == number else None
    )


KINDS = [Kind.LAYER_LINK, Kind.REVISION_LINK, Kind.TAG_INDEX, Kind.TAG]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_link_says_again_what_it_said(damaged: Damaged, kind: Kind) -> None:
    """Nothing else changes, and it counts as just written. Seen to fail: skip the kind."""
    before = damaged.store.files()
    link = damaged.empty(kind)

    assert damaged.mend() == [kind]
    assert damaged.store.files() == before
    assert time.time() - link.stat().st_mtime < 60
    assert damaged.mend() == []
    assert list(damaged.store.state.iterdir()) == []


def test_all_links_of_an_image_at_once(damaged: Damaged) -> None:
    before = damaged.store.files()
    for kind in KINDS:
        damaged.empty(kind)

    assert set(damaged.mend()) == set(KINDS)
    assert damaged.store.files() == before


def test_a_sound_store_is_not_touched(damaged: Damaged) -> None:
    before = damaged.store.everything()

    assert damaged.mend() == []
    assert damaged.store.everything() == before


def test_a_tag_gets_its_newest_entry_whose_manifest_stands(damaged: Damaged) -> None:
    """Seen to fail: take the first entry; take the newest, whatever stands of it."""
    store = damaged.store
    newer, deleted, lost, cut = (store.image("app", "v1", note=note) for note in "abcd")
    folder = store.tag_folder("app", "v1")
    entry = {name: folder / "index" / split(name) / "link" for name in (newer, deleted, lost, cut)}
    entry[cut].write_text("")  # its own write was cut, so the current link is not its
    for age, name in enumerate((cut, lost, deleted, newer)):
        os.utime(entry[name], (time.time() - 100 * age,) * 2)
    store.revision_link("app", deleted).unlink()
    store.blob_path(lost).unlink()

    link = damaged.empty(Kind.TAG)
    damaged.mend()

    assert link.read_text() == newer


def test_what_was_empty_before_is_left_alone(damaged: Damaged) -> None:
    """A restart mends what it broke itself. Seen to fail: ignore `since`."""
    link = damaged.empty(Kind.LAYER_LINK)
    os.utime(link, (time.time() - 100,) * 2)

    assert damaged.mend(since=damaged.files.now() - 50 * 10**9) == []
    assert link.read_text() == ""
    assert damaged.mend(since=damaged.files.now() - 150 * 10**9) == [Kind.LAYER_LINK]


def test_a_link_to_a_blob_that_is_not_there_stays_empty(damaged: Damaged) -> None:
    """Seen to fail: do not look for the blob."""
    damaged.store.blob_path(damaged.store.references(damaged.image)[0]).unlink()
    link = damaged.empty(Kind.LAYER_LINK)

    assert damaged.mend() == []
    assert link.read_text() == ""


def test_a_blob_that_this_collection_has_buried_is_there(damaged: Damaged) -> None:
    """The link protects it, so healing puts it back."""
    away = damaged.store.state / "taken/blobs"
    away.parent.mkdir(parents=True)
    digest = damaged.store.references(damaged.image)[0]
    damaged.empty(Kind.LAYER_LINK)
    view = View(damaged.files)
    (entry,) = mend_empty_links(view)
    damaged.empty(Kind.LAYER_LINK)
    damaged.store.blob_path(digest).rename(away)

    blob = entry.__class__(Kind.BLOB, digest=entry.digest)
    taken = {blob: str(away.relative_to(damaged.store.root))}

    assert mend_empty_links(View(damaged.files)) == []
    assert mend_empty_links(View(damaged.files, taken)) == [entry]


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_that_is_just_being_written_is_left_to_its_writer(
    damaged: Damaged, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """Seen to fail: do not look again after the pause."""
    link = damaged.empty(kind)
    at_the_pause(monkeypatch, 1, lambda: link.write_text("theirs"))

    assert damaged.mend() == []
    assert link.read_text() == "theirs"


def test_a_push_that_has_opened_the_empty_tag_wins(
    damaged: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes to the file that we moved away. Seen to fail: do not look at that file again."""
    link = damaged.empty(Kind.TAG)
    with link.open("rb+", buffering=0) as opened:
        at_the_pause(monkeypatch, 2, lambda: opened.write(b"theirs"))

        assert damaged.mend() == []

    assert link.read_text() == "theirs"
    assert list(damaged.store.state.iterdir()) == []


def test_a_push_that_writes_the_tag_just_now_wins(
    damaged: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: move ours over whatever stands there."""
    link = damaged.empty(Kind.TAG)
    rename = FileStore.rename

    def and_push(store: FileStore, source: str, target: str) -> bool:
        done = rename(store, source, target)
        if target == mending._OLD:
            link.write_text("theirs")
        return done

    monkeypatch.setattr(FileStore, "rename", and_push)

    assert damaged.mend() == []
    assert link.read_text() == "theirs"
    assert list(damaged.store.state.iterdir()) == []


def test_a_link_named_by_sha512_stays_empty(damaged: Damaged) -> None:
    """It leads to a sha256 digest, which its path does not tell. Seen to fail: take it as it is."""
    content = b"by another name"
    store = damaged.store
    store.blob(content)
    link = store.layer_link("app", "sha512:" + "ab" * 64)
    store.write(link, "")
    store.write(store.blob_path("sha512:" + "ab" * 64), content)

    assert damaged.mend() == []


def test_what_is_no_file_is_not_rewritten(damaged: Damaged, tmp_path: Path) -> None:
    """Seen to fail: do not ask whether it is a plain file."""
    outside = tmp_path / "outside"
    outside.touch()
    link, pipe = damaged.link(Kind.LAYER_LINK), damaged.link(Kind.REVISION_LINK)
    link.unlink()
    link.symlink_to(outside)
    pipe.unlink()
    os.mkfifo(pipe)

    assert damaged.mend() == []
    assert (link.is_symlink(), pipe.is_fifo()) == (True, True)


def test_one_that_cannot_be_written_stops_no_other(
    damaged: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 8. Seen to fail: let the error through."""
    damaged.empty(Kind.LAYER_LINK)
    damaged.empty(Kind.TAG)
    write = FileStore.write
    writes: list[str] = []

    def failing_once(store: FileStore, path: str, content: bytes) -> None:
        writes.append(path)
        if len(writes) == 1:
            raise NoSpaceError(path)
        write(store, path, content)

    monkeypatch.setattr(FileStore, "write", failing_once)

    assert len(damaged.mend()) == 1
    assert len(writes) == 2
