"""Rule 11: two collectors on one store: one runs, the other says so; a dead one holds nothing."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_gc import lock
from registry_gc.errors import LockedError, StorageError
from registry_gc.options import CollectOptions, duration
from registry_gc.run import Run
from registry_gc.storage import FileStore, NoSpaceError
from support.checkout import SCRIPTS
from support.store import StoreBuilder, write_configuration
from support.waiting import until

_HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from registry_gc import lock
from registry_gc.storage import FileStore
with lock.held(FileStore(sys.argv[1]), "run-of-another"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    (tmp_path / "docker").mkdir()
    return FileStore(str(tmp_path))


@pytest.fixture
def other(files: FileStore) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, files.root, str(SCRIPTS)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_one_names_the_first(files: FileStore, other: subprocess.Popen[str]) -> None:
    with pytest.raises(LockedError, match="run-of-another") as caught, lock.held(files, "mine"):
        pass

    assert caught.value.exit_code == 4
    assert caught.value.holder["pid"] == str(other.pid)


def test_exit_4_and_nothing_is_touched(
    files: FileStore, other: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Seen to fail: do not lock in `Run.collect`."""
    store = StoreBuilder(tmp_path)
    store.image("app", layers=["b"])
    store.age()
    before = store.everything()
    config = write_configuration(tmp_path / "config.yml", tmp_path)

    report, code = Run(config, CollectOptions(settle_period=duration("0")), {}).collect()

    assert code == 4
    assert "run-of-another" in json.dumps(report["holder"])
    assert {name: store.everything()[name] for name in list(before)} == before


def test_a_dead_holders_lock_is_taken_over(files: FileStore, other: subprocess.Popen[str]) -> None:
    """Seen to fail: let the file's existence be the lock."""
    other.send_signal(signal.SIGKILL)
    other.wait()

    with lock.held(files, "mine"):
        assert lock.holder(files)["run"] == "mine"


def test_a_collection_that_was_killed_is_finished_by_the_next(
    files: FileStore, tmp_path: Path
) -> None:
    """A real process, killed with what it took in the state directory."""
    store = StoreBuilder(tmp_path)
    store.image("app", "v1")
    dead = store.image("app", layers=["b"])
    store.age()
    config = write_configuration(tmp_path / "config.yml", tmp_path)
    arguments = [sys.executable, "-m", "registry_gc", "collect", str(config)]
    process = subprocess.Popen(
        [*arguments, "--settle-period", "60s"],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )
    links = [store.layer_link("app", name) for name in store.references(dead)]
    links.append(store.revision_link("app", dead))
    until(lambda: not any(link.exists() for link in links), what="the links were taken")
    process.kill()
    process.wait()

    run = Run(config, CollectOptions(settle_period=duration("0")), {})

    assert run.recover() == len(links) == 3
    assert all(link.exists() for link in links)
    assert run.collect()[1] == 0
    assert not store.blob_path(dead).exists()


def test_the_holders_note_goes_with_the_lock(files: FileStore) -> None:
    with lock.held(files, "mine"):
        pass

    assert lock.holder(files) == {}


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b"null", b"\xff"])
def test_a_damaged_note_is_nobody(files: FileStore, content: bytes) -> None:
    files.write("docker/registry-gc/holder.json", content)

    assert lock.holder(files) == {}


def test_a_full_disk_can_be_locked(files: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full disks are why people collect."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with lock.held(files, "mine"):
        assert lock.holder(files) == {}


def test_where_a_folder_cannot_be_locked_a_file_is(
    files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS: a lock wants a writable file there."""
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EBADF, "Bad file descriptor")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)

    with lock.held(files, "one"), pytest.raises(LockedError), lock.held(files, "two"):
        pass


def test_where_a_folders_lock_is_known_to_one_machine_only_a_files_is_not(
    files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS: the lock on a folder succeeds on each machine by itself. Seen to fail: lock no file."""
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if not Path(f"/proc/self/fd/{descriptor}").is_dir():
            real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)

    with lock.held(files, "one"), pytest.raises(LockedError), lock.held(files, "two"):
        pass


@pytest.mark.parametrize("remote", [True, False])
def test_no_room_for_a_lock_file_matters_only_on_a_network(
    files: FileStore, monkeypatch: pytest.MonkeyPatch, *, remote: bool
) -> None:
    """Seen to fail: go on without the file wherever the disk is full."""

    def full(*_: object) -> None:
        raise NoSpaceError("docker/registry-gc")

    monkeypatch.setattr(FileStore, "make_folder", full)
    monkeypatch.setattr(lock, "is_remote", lambda _root: remote)

    if remote:
        with pytest.raises(NoSpaceError), lock.held(files, "mine"):
            pass
    else:
        with lock.held(files, "one"), pytest.raises(LockedError), lock.held(files, "two"):
            pass


def test_no_locks_at_all_is_a_failure_with_a_sentence(
    files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: let the OSError out."""

    def flock(descriptor: int, operation: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").is_dir()
        raise OSError(errno.EBADF if is_folder else errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)

    with pytest.raises(StorageError, match="cannot be locked"), lock.held(files, "mine"):
        pass
