"""What one run remembers of the manifests for the next, and when that does not count."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_gc import manifest_cache, manifests
from registry_gc.inventory import View
from registry_gc.journal import Journal
from registry_gc.manifest_cache import PATH, ManifestCache
from registry_gc.plan import Clock, Plan
from registry_gc.storage import FileStore, NoSpaceError, Stat
from registry_gc.survey import survey
from support.collecting import options
from support.store import StoreBuilder

HOUR = 3600


class Counting(FileStore):
    """Notes which blobs are read."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    def read(self, path: str, limit: int) -> tuple[bytes, Stat] | None:
        if "/blobs/" in path:
            self.reads.append(path)
        return super().read(path, limit)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreBuilder:
    """A store whose files count as settled at once: a ctime cannot be set back."""
    monkeypatch.setattr(manifest_cache, "_SETTLED", -HOUR * 10**9)
    return StoreBuilder(tmp_path)


def look(root: Path, *, save: bool = True) -> tuple[Plan, list[str]]:
    """Return the plan of one run, and the blobs that it read."""
    files = Counting(str(root))
    view = View(files, Journal(files).taken)
    cache = ManifestCache(files)
    found = survey(view, cache.of(view), Clock(files.now(), options()))
    if save:
        cache.save()
    return found, files.reads


def four_manifests(store: StoreBuilder) -> str:
    """Write an index with two children and an image that is dead; return the child with a tag."""
    child = store.image("app", "v0", layers=["0"])
    store.index("app", [child, store.image("app", layers=["1"])], "all")
    store.image("other", layers=["dead"])
    store.age()
    return child


def test_the_second_run_reads_no_manifest_and_plans_the_same(
    store: StoreBuilder, tmp_path: Path
) -> None:
    """Seen to fail: save nothing; and let `unpacked` forget the children."""
    four_manifests(store)

    first, reads = look(tmp_path)
    second, again = look(tmp_path)

    assert (len(reads), len(again)) == (4, 0)
    assert first.blobs
    assert (second.links, second.blobs, second.problems) == (first.links, first.blobs, [])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def overwrite_in_place(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


def replace_with_the_same_times(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"x" * before.st_size)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize("damage", [cut, overwrite_in_place, replace_with_the_same_times])
def test_rule_8_damage_is_noticed_all_the_same(
    store: StoreBuilder, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Seen to fail: compare the size alone."""
    image = four_manifests(store)
    look(tmp_path)
    damage(store.blob_path(image))

    found, reads = look(tmp_path)

    assert len(reads) == 1
    assert [problem for problem in found.problems if image in problem]


def test_a_manifest_that_is_gone_is_gone(store: StoreBuilder, tmp_path: Path) -> None:
    image = four_manifests(store)
    look(tmp_path)
    store.blob_path(image).unlink()

    found, _ = look(tmp_path)

    assert [problem for problem in found.problems if image in problem]


def first_bytes_lost(content: bytes) -> bytes:
    return content[5:]


def last_byte_lost(content: bytes) -> bytes:
    return content[:-1]


def one_bit_flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def of_another_version(content: bytes) -> bytes:
    return content.replace(b"manifests 1\n", b"manifests 0\n", 1)


def emptied(_content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    "damage", [first_bytes_lost, last_byte_lost, one_bit_flipped, of_another_version, emptied]
)
def test_a_damaged_cache_counts_as_empty_and_is_written_anew(
    store: StoreBuilder, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Seen to fail: do not compare the hash; it would believe in other references."""
    four_manifests(store)
    first, _ = look(tmp_path)
    file = tmp_path / PATH
    sound = file.read_bytes()
    file.write_bytes(damage(sound))

    second, reads = look(tmp_path)

    assert len(reads) == 4
    assert (second.links, second.blobs, second.problems) == (first.links, first.blobs, [])
    assert sorted(file.read_bytes()) == sorted(sound)


def test_a_cache_that_is_no_file_is_done_without(store: StoreBuilder, tmp_path: Path) -> None:
    four_manifests(store)
    (tmp_path / PATH).mkdir(parents=True)

    assert len(look(tmp_path)[1]) == len(look(tmp_path)[1]) == 4


def test_a_full_disk_does_without(
    store: StoreBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: let the error through: a collection that frees room would fail."""
    four_manifests(store)

    def no_room(_self: FileStore, path: str, _content: bytes) -> None:
        raise NoSpaceError(path)

    monkeypatch.setattr(FileStore, "write", no_room)

    assert len(look(tmp_path)[1]) == len(look(tmp_path)[1]) == 4


def test_what_was_changed_just_before_it_was_read_is_read_again(
    store: StoreBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change within one tick of the clock would have the same times.

    Seen to fail: save it all the same.
    """
    monkeypatch.undo()
    four_manifests(store)

    assert len(look(tmp_path)[1]) == len(look(tmp_path)[1]) == 4


def test_it_is_bounded(
    store: StoreBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: remember without looking at the room."""
    four_manifests(store)
    monkeypatch.setattr(manifests, "ROOM", 250)

    _, reads = look(tmp_path)
    again, rest = look(tmp_path)

    assert len(set(reads)) == 4
    assert 0 < len(set(rest)) < 4
    assert again.blobs
    assert (tmp_path / PATH).stat().st_size < 500


def test_what_is_unchanged_is_not_written_again(store: StoreBuilder, tmp_path: Path) -> None:
    four_manifests(store)
    look(tmp_path)
    before = (tmp_path / PATH).stat().st_ino

    look(tmp_path)

    assert (tmp_path / PATH).stat().st_ino == before
