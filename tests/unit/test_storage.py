"""The file system as a store: what is missing, what fails, and moves that never overwrite."""

import errno
import os
import stat as modes
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_gc import storage
from registry_gc.errors import StorageError
from registry_gc.storage import FileStore, NoSpaceError
from support.collecting import collect, collection
from support.store import StoreBuilder


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path))


def refuse(number: int) -> Callable[..., None]:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


class TestReading:
    def test_what_is_missing_is_empty(self, files: FileStore, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        for path in ("no/folder", "file/below"):
            assert files.list(path).folders == []
            assert files.stat(path) is None
            assert files.read(path, 10) is None

    def test_a_symbolic_link_is_listed_apart(self, files: FileStore, tmp_path: Path) -> None:
        """Seen to fail: list it as the folder that it leads to."""
        (tmp_path / "there/folder").mkdir(parents=True)
        (tmp_path / "here").symlink_to("there")
        (tmp_path / "nowhere").symlink_to("missing")
        (tmp_path / "itself").symlink_to("itself")

        found = files.list("")

        assert (found.folders, found.files) == (["there"], [])
        assert sorted(found.symlinks) == ["here", "itself", "nowhere"]

    def test_a_symbolic_link_is_read_through_but_not_plain(
        self, files: FileStore, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_bytes(b"content")
        (tmp_path / "link").symlink_to("file")
        (tmp_path / "nowhere").symlink_to("missing")

        found, plain = files.read("link", 10), files.read("file", 10)

        assert found
        assert plain
        assert (found[0], found[1].is_plain) == (b"content", False)
        assert plain[1].is_plain
        status = files.stat("link")
        assert status
        assert not status.is_plain
        assert status.identity != plain[1].identity
        with pytest.raises(StorageError, match="cannot read nowhere"):
            files.read("nowhere", 10)

    def test_what_has_no_end_is_not_waited_for(self, files: FileStore, tmp_path: Path) -> None:
        """A FIFO that nobody writes to. Seen to hang: open it without O_NONBLOCK."""
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "folder").mkdir()

        for name in ("fifo", "folder"):
            found = files.read(name, 10)
            assert found
            assert (found[0], found[1].is_plain) == (b"", False)

    @pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
    def test_what_cannot_be_read_is_an_error_and_never_empty(
        self, files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        """Rule 9. Seen to fail: suppress OSError in `list`."""
        monkeypatch.setattr(os, "scandir", refuse(number))
        with pytest.raises(StorageError, match="cannot list the root directory"):
            files.list("")
        monkeypatch.setattr(os, "lstat", refuse(number))
        with pytest.raises(StorageError, match="cannot look at x"):
            files.stat("x")
        monkeypatch.setattr(os, "open", refuse(number))
        with pytest.raises(StorageError, match="cannot read x"):
            files.read("x", 1)

    def test_a_listing_that_breaks_off_is_an_error(
        self, files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "folder").mkdir()
        real = os.scandir

        class Broken:
            def __init__(self, path: str) -> None:
                self.entries = list(real(path))

            def __enter__(self) -> "Broken":
                return self

            def __exit__(self, *_: object) -> None:
                return None

            def __iter__(self) -> "Broken":
                return self

            def __next__(self) -> os.DirEntry[str]:
                if self.entries:
                    return self.entries.pop()
                raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "scandir", Broken)
        with pytest.raises(StorageError, match="cannot list"):
            files.list("")

    def test_no_more_than_the_limit_is_read(self, files: FileStore, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"12345")

        found = files.read("x", 3)

        assert found
        assert (found[0], found[1].size) == (b"123", 5)


class TestWriting:
    def test_a_failed_write_leaves_what_was_there(
        self, files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files.write("folder/x", b"old")
        monkeypatch.setattr(os, "fsync", refuse(errno.ENOSPC))

        with pytest.raises(NoSpaceError):
            files.write("folder/x", b"new")

        assert [path.name for path in (tmp_path / "folder").iterdir()] == ["x"]
        assert (tmp_path / "folder/x").read_bytes() == b"old"

    def test_a_folder_that_is_not_empty_stays(self, files: FileStore, tmp_path: Path) -> None:
        """Race W9. Seen to fail: remove the tree."""
        files.write("folder/x", b"")

        assert not files.remove_folder("folder")
        files.remove("folder/x")
        files.remove("folder/x")
        assert files.remove_folder("folder")
        assert files.remove_folder("folder")

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_no_room_is_told_from_a_failure(
        self, files: FileStore, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        monkeypatch.setattr(os, "rename", refuse(number))
        with pytest.raises(NoSpaceError):
            files.rename("a", "b")
        monkeypatch.setattr(os, "rename", refuse(errno.EROFS))
        with pytest.raises(StorageError, match="mount the volume writable"):
            files.rename("a", "b")

    def test_a_rename_makes_the_folder_and_knows_a_missing_source(
        self, files: FileStore, tmp_path: Path
    ) -> None:
        files.write("a", b"x")

        assert files.rename("a", "new/folder/b")
        assert not files.rename("a", "other/folder/b")
        assert not (tmp_path / "other").exists()


class TestPutNew:
    """The move that never overwrites, whatever the file system can do (attack 9)."""

    @pytest.fixture(params=["link", "renameat2", "neither"])
    def ability(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        """A file system with hard links, one without, and one (CIFS, some FUSE) with nothing."""
        if request.param != "link":
            monkeypatch.setattr(os, "link", refuse(errno.EPERM))
        if request.param == "neither":
            monkeypatch.setattr(storage, "_renameat2", lambda _old, _new: errno.EINVAL)
        return str(request.param)

    def test_it_moves(self, files: FileStore, tmp_path: Path, ability: str) -> None:
        files.write("a", b"mine")
        before = (tmp_path / "a").stat()

        assert files.put_new("a", "b")

        assert not (tmp_path / "a").exists()
        after = (tmp_path / "b").stat()
        assert (after.st_ino, after.st_mtime_ns, after.st_nlink) == (
            before.st_ino,
            before.st_mtime_ns,
            1,
        )

    def test_it_does_not_overwrite(self, files: FileStore, tmp_path: Path, ability: str) -> None:
        """Seen to fail: use `os.rename`."""
        files.write("a", b"mine")
        files.write("b", b"theirs")

        assert not files.put_new("a", "b")

        assert (tmp_path / "a").read_bytes() == b"mine"
        assert (tmp_path / "b").read_bytes() == b"theirs"

    def test_a_whole_run_is_undone(self, tmp_path: Path, ability: str) -> None:
        store = StoreBuilder(tmp_path)
        store.image("app", layers=["a"])
        store.age()
        before = store.files()
        run = collection(tmp_path)
        run.enter = lambda phase: run.stop.set() if phase == "confirm" else None

        with pytest.raises(Exception, match="everything was put back"):
            run.run()

        assert store.files() == before

    def test_another_file_system_is_an_error(
        self, files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files.write("a", b"mine")
        monkeypatch.setattr(os, "link", refuse(errno.EXDEV))
        monkeypatch.setattr(storage, "_renameat2", lambda _old, _new: errno.EXDEV)

        with pytest.raises(StorageError, match="lie on one file system"):
            files.put_new("a", "b")

        assert (tmp_path / "a").read_bytes() == b"mine"

    def test_a_placeholder_of_a_run_that_died_is_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without links the place is taken by an empty file first, and then by ours."""
        store = StoreBuilder(tmp_path)
        dead = store.image("app", layers=["a"])
        store.age()
        before = store.files()
        run = collection(tmp_path)

        def die(phase: str) -> None:
            if phase == "confirm":
                for path in (store.blob_path(dead), store.revision_link("app", dead)):
                    store.write(path, b"")
                raise KeyboardInterrupt

        run.enter = die
        with pytest.raises(KeyboardInterrupt):
            run.run()

        assert store.files() == before


def test_files_that_lie_on_another_file_system_stop_the_run_and_all_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StoreBuilder(tmp_path)
    store.image("app", layers=["a"])
    store.age()
    before = store.files()
    real = os.rename

    def rename(source: str, target: str) -> None:
        if "/blobs/" in source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)

    with pytest.raises(StorageError, match="lie on one file system"):
        collect(tmp_path)

    assert store.files() == before


@pytest.mark.parametrize("without", ["O_TMPFILE", "everything"])
def test_the_time_is_the_file_systems(
    files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    before = time.time_ns() - 10**8  # a file's time is that of the last tick
    real = os.open

    def no_unnamed(path: str, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", no_unnamed)
    if without == "O_TMPFILE":
        files.make_folder("docker/registry-gc")

    assert before <= files.now() <= time.time_ns()
    assert not [path for path in tmp_path.rglob("*") if modes.S_ISREG(path.stat().st_mode)]


def test_one_file_system(files: FileStore, tmp_path: Path) -> None:
    files.make_folder("a")

    assert files.is_one_file_system("a", "missing")
    (tmp_path / "other").symlink_to("/proc")
    assert not files.is_one_file_system("a", "other")
