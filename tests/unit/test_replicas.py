"""Registries in other pods: who is known, silent or gone, and who was made to forget."""

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_gc import replicas
from registry_gc.errors import GuardError, RegistryDownError, StorageError
from registry_gc.replicas import GONE, REPLICAS, SILENT, Replica, Replicas
from registry_gc.storage import FileStore

RUN = "20261124T150000Z-aaaaaa"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path))


def seen(store: FileStore, **others: object) -> Replicas:
    return Replicas(store, RUN, own="pod-0", own_host="10.0.0.1", **others)  # type: ignore[arg-type]  # fields


def register(
    store: FileStore,
    name: str,
    *,
    silent: float = 0.0,
    in_memory: bool = True,
    after: str = "",
    host: str = "10.0.0.2",
    url: str = "http://127.0.0.1:1/v2/",
) -> Path:
    """Register a replica whose last word is so many seconds old; return its folder."""
    path = Path(store.absolute(f"{REPLICAS}/{name}/alive"))
    store.write(f"{REPLICAS}/{name}/alive", Replica(name, host, url, in_memory, after).to_json())
    then = store.now() - int(silent * 1e9)
    os.utime(path, ns=(then, then))
    return path.parent


def answering(store: FileStore, name: str, *, run: str = RUN) -> Callable[[float], None]:
    """Return a wait in which the replica does what it is asked."""

    def meanwhile(_seconds: float) -> None:
        folder = Path(store.absolute(f"{REPLICAS}/{name}"))
        if (folder / "asked").exists():
            assert (folder / "asked").read_text() == run
            (folder / "asked").rename(folder / "forgot")

    return meanwhile


def never(_seconds: float) -> None:
    raise AssertionError("nothing is to be waited for")


def test_what_a_replica_says_is_read_again() -> None:
    replica = Replica("a", "10.0.0.2", "http://10.0.0.2:5000/v2/", in_memory=True, after="run")

    assert Replica.of_json("a", replica.to_json()) == replica


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"inMemory": "no"}', b"\xff"])
def test_what_cannot_be_read_counts_as_in_memory(content: bytes) -> None:
    """Seen to fail: let `of_json` take a missing `inMemory` for false."""
    assert Replica.of_json("a", content).in_memory


def test_a_store_without_others_waits_for_nobody(store: FileStore) -> None:
    register(store, "pod-0")
    found = seen(store)

    found.check()

    assert (found.in_memory, found.forget(never)) == (False, 0)


def test_one_that_keeps_nothing_in_memory_is_left_alone(store: FileStore) -> None:
    register(store, "pod-1", in_memory=False, silent=GONE * 2)
    found = seen(store)

    found.check()

    assert (found.in_memory, found.forget(never)) == (False, 0)


def test_each_is_asked_once_for_a_run(store: FileStore) -> None:
    register(store, "pod-1")
    found = seen(store)

    assert found.in_memory
    assert found.forget(answering(store, "pod-1")) == 1
    assert found.forget(never) == 0


def test_an_answer_to_another_run_is_none(store: FileStore) -> None:
    """Seen to fail: let `_ask` take any `forgot` for an answer."""
    folder = register(store, "pod-1")
    (folder / "forgot").write_text("the run before")
    waits: list[float] = []

    def meanwhile(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 1:
            answering(store, "pod-1")(seconds)

    assert seen(store).forget(meanwhile) == 1
    assert len(waits) == 2


def test_one_at_a_time(store: FileStore) -> None:
    """Attack 20. Seen to fail: let `forget` write every `asked` first."""
    folders = [register(store, name) for name in ("pod-1", "pod-2")]

    def meanwhile(seconds: float) -> None:
        assert sum((folder / "asked").exists() for folder in folders) == 1
        for folder in folders:
            answering(store, folder.name)(seconds)

    assert seen(store).forget(meanwhile) == 2


def test_who_comes_later_is_asked_later(store: FileStore) -> None:
    found = seen(store)
    assert found.forget(never) == 0
    register(store, "pod-1")

    assert found.forget(answering(store, "pod-1")) == 1


def test_who_registers_after_the_burial_is_clean(store: FileStore) -> None:
    """Seen to fail: drop `replica.after != self.run`, or let any `after` do."""
    found = seen(store)
    found.mark_buried()
    register(store, "pod-1", after=replicas.run_that_buried(store))
    register(store, "pod-2", after="a run before")

    assert found.forget(answering(store, "pod-2")) == 1


def test_who_leaves_cleanly_needs_no_restart(store: FileStore) -> None:
    folder = register(store, "pod-1")

    def meanwhile(_seconds: float) -> None:
        (folder / "alive").unlink(missing_ok=True)

    assert seen(store).forget(meanwhile) == 1


@pytest.mark.parametrize("silent", [SILENT + 1, GONE - 5])
def test_one_that_is_silent_is_not_known_to_be_dead(store: FileStore, silent: float) -> None:
    """Attack 4. Seen to fail: let `_is_gone` compare with SILENT."""
    register(store, "pod-1", silent=silent)

    for act in (seen(store).check, lambda: seen(store).forget(never)):
        with pytest.raises(GuardError, match="pod-1 has said nothing for"):
            act()


def test_one_that_falls_silent_while_it_is_waited_for_ends_the_run(store: FileStore) -> None:
    folder = register(store, "pod-1")

    def meanwhile(_seconds: float) -> None:
        then = store.now() - int((SILENT + 1) * 1e9)
        os.utime(folder / "alive", ns=(then, then))

    with pytest.raises(GuardError, match="has said nothing"):
        seen(store).forget(meanwhile)


def test_one_that_is_silent_for_long_and_does_not_answer_is_gone(store: FileStore) -> None:
    folder = register(store, "pod-1", silent=GONE + 1)
    found = seen(store)

    found.check()

    assert found.forget(never) == 0
    assert not folder.exists()


@pytest.fixture
def registry_port() -> int:
    """Answer on this port as a registry does, until the test's end."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(
                b"HTTP/1.1 401 Unauthorized\r\n"
                b"Docker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 0\r\n\r\n"
            )
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def test_one_whose_registry_answers_is_never_gone(store: FileStore, registry_port: int) -> None:
    """Seen to fail: drop `is_registry_at` from `_is_gone`."""
    folder = register(store, "pod-1", silent=GONE * 10, url=f"http://127.0.0.1:{registry_port}/v2/")

    with pytest.raises(GuardError, match="has said nothing"):
        seen(store).check()

    assert folder.exists()


def test_one_that_does_not_obey_ends_the_run(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(store, "pod-1")
    monkeypatch.setattr(replicas, "_PATIENCE", 0.0)

    with pytest.raises(RegistryDownError, match="pod-1 did not start anew"):
        seen(store).forget(lambda _seconds: None)


def test_nothing_is_asked_for_after_the_run(store: FileStore) -> None:
    folder = register(store, "pod-1")
    (folder / "asked").write_text(RUN)
    found = seen(store)
    found.mark_buried()

    found.end()

    assert sorted(path.name for path in folder.iterdir()) == ["alive"]
    assert replicas.run_that_buried(store) == ""


class TestAddresses:
    """Attack 3: a pod without a collector may serve from a memory that nobody can clear."""

    @pytest.fixture
    def resolved(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        found: list[str] = []
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (each, 0)) for each in found]
        )
        return found

    def test_all_are_known(self, store: FileStore, resolved: list[str]) -> None:
        register(store, "pod-1", in_memory=False)
        resolved += ["10.0.0.1", "10.0.0.2"]

        seen(store, peers_host="peers").check_all_known()

    def test_one_is_not(self, store: FileStore, resolved: list[str]) -> None:
        """Seen to fail: let `check_all_known` return at once."""
        resolved += ["10.0.0.1", "10.0.0.2"]

        with pytest.raises(GuardError, match="no collector yet") as raised:
            seen(store, peers_host="peers").check_all_known()

        assert "10.0.0.2" in raised.value.why

    def test_without_a_name_nobody_is_asked(self, store: FileStore) -> None:
        seen(store).check_all_known()

    def test_no_answer_is_none(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)

        with pytest.raises(StorageError, match="cannot be looked up"):
            seen(store, peers_host="peers").check_all_known()


def test_the_files_are_small_json(store: FileStore) -> None:
    folder = register(store, "pod-1", after=RUN)

    assert json.loads((folder / "alive").read_text()) == {
        "host": "10.0.0.2",
        "url": "http://127.0.0.1:1/v2/",
        "inMemory": True,
        "after": RUN,
        "readOnly": False,
    }


class TestTakesPushes:
    def say(self, store: FileStore, name: str, *, read_only: bool, silent: float = 0.0) -> None:
        folder = register(store, name, in_memory=False, silent=silent)
        path = folder / "alive"
        then = path.stat().st_mtime_ns
        path.write_text(json.dumps({**json.loads(path.read_text()), "readOnly": read_only}))
        os.utime(path, ns=(then, then))

    def test_one_that_may_is_named(self, store: FileStore) -> None:
        """Its own pod is looked at as a process. Seen to fail: ask those in memory only."""
        self.say(store, "pod-0", read_only=False)
        self.say(store, "pod-1", read_only=True)
        assert seen(store).that_takes_pushes() == ""

        self.say(store, "pod-2", read_only=False)
        assert seen(store).that_takes_pushes() == "pod-2"

    @pytest.mark.parametrize("said", ["{}", "[]", '{"readOnly": "yes"}', '{"readOnly": 1}'])
    def test_what_does_not_say_so_may(self, store: FileStore, said: str) -> None:
        """A collector of before. Seen to fail: take a missing `readOnly` for true."""
        (register(store, "pod-1") / "alive").write_text(said)

        assert seen(store).that_takes_pushes() == "pod-1"

    def test_one_that_is_gone_does_not(self, store: FileStore) -> None:
        """Its node went. Seen to fail: ask without `_is_gone`."""
        self.say(store, "pod-1", read_only=False, silent=GONE * 2)

        assert seen(store).that_takes_pushes() == ""
