"""A sidecar's registration: what it says, what it obeys, and what it does when it cannot speak."""

import contextlib
import json
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_gc import replicas
from registry_gc.registration import Registration
from registry_gc.registry_config import load
from registry_gc.registry_http import answers
from registry_gc.replicas import REPLICAS, Replicas
from registry_gc.storage import FileStore, NoSpaceError
from support.fake_registry import FakeRegistry
from support.waiting import until

ENVIRONMENT = {"GC_POD_NAME": "pod-1", "GC_POD_IP": "10.0.0.2"}
READ_ONLY = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'}
QUICK = {"look": 0.02, "renewed": 0.1, "silent": 60.0}


@contextlib.contextmanager
def registered(registry: FakeRegistry, **settings: Any) -> Iterator[Registration]:
    found = Registration(registry.config_path, ENVIRONMENT, **{**QUICK, **settings})
    found.begin()
    try:
        yield found
    finally:
        found._ended.set()


def folder(registry: FakeRegistry) -> Path:
    return registry.root / REPLICAS / "pod-1"


def said(registry: FakeRegistry) -> dict[str, Any]:
    return dict(json.loads((folder(registry) / "alive").read_text()))


def test_it_registers_before_its_registry_starts(tmp_path: Path) -> None:
    registry = FakeRegistry(tmp_path)
    registry.write_config()

    with registered(registry):
        assert said(registry) == {
            "host": "10.0.0.2",
            "url": "",  # it listens on loopback, where no other pod reaches it
            "inMemory": True,
            "after": "",
            "readOnly": False,
        }


def test_it_knows_of_a_burial_that_came_before_its_registry(tmp_path: Path) -> None:
    registry = FakeRegistry(tmp_path)
    registry.write_config()
    Replicas(FileStore(str(registry.root)), "a-run", own="pod-0").mark_buried()

    with registered(registry):
        assert said(registry)["after"] == "a-run"


def test_one_that_registers_beside_a_running_registry_is_not_clean(tmp_path: Path) -> None:
    """Seen to fail: let `_renew` read the burial without looking for a process."""
    with FakeRegistry(tmp_path) as registry:
        Replicas(FileStore(str(registry.root)), "a-run", own="pod-0").mark_buried()

        with registered(registry):
            assert said(registry)["after"] == ""


def test_it_goes_on_saying_so(tmp_path: Path) -> None:
    with FakeRegistry(tmp_path) as registry, registered(registry):
        first = (folder(registry) / "alive").stat()

        until(
            lambda: (folder(registry) / "alive").stat().st_mtime_ns > first.st_mtime_ns,
            what="it is renewed",
        )

        assert (folder(registry) / "alive").stat().st_ino == first.st_ino, "which takes no room"


def test_it_says_what_has_changed(tmp_path: Path) -> None:
    """Attack 6: what an edited file said before is not known."""
    with FakeRegistry(tmp_path, cache="") as registry, registered(registry):
        assert said(registry)["inMemory"] is False
        later = time.time() + 60
        os.utime(registry.config_path, (later, later))

        until(lambda: said(registry)["inMemory"], what="it may be in memory")


def test_one_that_was_counted_as_gone_comes_back_without_its_memory(tmp_path: Path) -> None:
    """A machine that was paused does not hear the time pass; what it remembers may be removed.

    Seen to fail: let `_after_what` end nothing.
    """
    with FakeRegistry(tmp_path, supervised=True) as registry, registered(registry):
        before = registry.pid
        shutil.rmtree(folder(registry))

        until(lambda: registry.pid != before, what="its registry was ended")

        assert said(registry)["after"] == ""


def test_a_volume_that_takes_no_file_ends_no_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is why people collect. Seen to fail: end it before `alive` is written."""
    with FakeRegistry(tmp_path, supervised=True) as registry, registered(registry):
        before = registry.pid

        def full(*_: object) -> None:
            raise NoSpaceError("alive")

        monkeypatch.setattr(FileStore, "write", full)
        shutil.rmtree(folder(registry))
        time.sleep(0.5)

        assert registry.pid == before


def test_one_that_keeps_nothing_registers_again_and_serves_on(tmp_path: Path) -> None:
    with FakeRegistry(tmp_path, cache="", supervised=True) as registry, registered(registry):
        before = registry.pid
        shutil.rmtree(folder(registry))

        until((folder(registry) / "alive").exists, what="it is registered again")

        assert registry.pid == before


def test_a_later_run_is_not_answered_by_an_earlier_ones_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: let `_obey` rename `asked` only at its end."""
    restarts: list[str] = []

    def restart(*_: object, **__: object) -> None:
        restarts.append("a restart")
        if len(restarts) == 1:
            (folder(registry) / "asked").write_text("run-2")  # which buried after this restart

    monkeypatch.setattr("registry_gc.registration.restart", restart)
    with FakeRegistry(tmp_path) as registry, registered(registry):
        (folder(registry) / "asked").write_text("run-1")

        until(
            lambda: (
                (folder(registry) / "forgot").exists()
                and (folder(registry) / "forgot").read_text() == "run-2"
            ),
            what="the second run is answered",
        )

        assert len(restarts) == 2


def test_a_request_that_was_taken_up_and_not_ended_is_obeyed(tmp_path: Path) -> None:
    """The sidecar was killed in between."""
    with FakeRegistry(tmp_path, supervised=True) as registry, registered(registry):
        before = registry.pid
        (folder(registry) / "obeyed").write_text("a-run")

        until((folder(registry) / "forgot").exists, what="it is obeyed")

        assert registry.pid != before


def test_it_starts_its_registry_anew_when_asked(tmp_path: Path) -> None:
    """Seen to fail: rename in `_obey` without `restart`."""
    with FakeRegistry(tmp_path, supervised=True) as registry, registered(registry):
        before = registry.pid
        found = Replicas(FileStore(str(registry.root)), "a-run", own="pod-0")

        assert found.forget(time.sleep) == 1

        assert (registry.pid != before, registry.starts) == (True, 2)


def test_without_a_process_nothing_is_to_be_restarted(tmp_path: Path) -> None:
    """It ended by itself; what the kubelet starts next comes after the burial."""
    registry = FakeRegistry(tmp_path)
    registry.write_config()
    with registered(registry):
        found = Replicas(FileStore(str(registry.root)), "a-run", own="pod-0")

        assert found.forget(time.sleep) == 1


def test_a_registry_whose_process_cannot_be_seen_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to fail: drop the question whether it answers."""
    monkeypatch.setattr("registry_gc.registration.find_registries", lambda _path: [])
    with FakeRegistry(tmp_path) as registry, registered(registry):
        config = load(registry.config_path, {})
        until(lambda: answers(config), what="the registry answers")
        (folder(registry) / "asked").write_text("a-run")

        until(lambda: "cannot be seen" in caplog.text, what="it says why")

        assert not (folder(registry) / "forgot").exists()


def test_attack_4_one_that_cannot_speak_ends_its_registry(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to fail: let `_watch` never call `_end_all`."""
    with (
        FakeRegistry(tmp_path, supervised=True) as registry,
        registered(registry, silent=1.0) as found,
    ):
        (registry.root / REPLICAS / "pod-0").mkdir()
        until(lambda: found._has_others, what="it knows of the other")
        before = registry.pid
        registry.root.rename(tmp_path / "away")
        registry.root.write_text("a volume that does not answer")

        until(lambda: registry.pid != before, what="its registry was ended")

    assert "the volume did not answer" in caplog.text


def test_one_that_is_alone_goes_on_serving(tmp_path: Path) -> None:
    """Nobody counts on its silence, and pulls may work from a volume that takes no writes."""
    with FakeRegistry(tmp_path, supervised=True) as registry, registered(registry, silent=0.3):
        before = registry.pid
        registry.root.rename(tmp_path / "away")
        registry.root.write_text("a volume that does not answer")

        time.sleep(1.0)

        assert registry.pid == before


def test_a_configuration_edited_into_nonsense_is_no_silence(tmp_path: Path) -> None:
    with FakeRegistry(tmp_path) as registry, registered(registry):
        registry.config_path.write_text("nonsense: [")
        first = (folder(registry) / "alive").stat().st_mtime_ns

        until(lambda: (folder(registry) / "alive").stat().st_mtime_ns > first, what="it is renewed")


def test_a_failure_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    registry = FakeRegistry(tmp_path)
    registry.write_config()
    registry.root.write_text("no folder")
    with registered(registry, renewed=0.0):
        time.sleep(0.3)

    assert caplog.text.count("this replica's registration") == 1


def test_what_has_changed_is_said_at_once_when_asked(tmp_path: Path) -> None:
    """A registry that became read-only needs no restart by the others' collection.

    Seen to fail: wait for the next renewal.
    """
    with (
        FakeRegistry(tmp_path, supervised=True) as registry,
        registered(registry, renewed=60.0) as found,
    ):
        assert (said(registry)["inMemory"], said(registry)["readOnly"]) == (True, False)
        registry.environment = READ_ONLY
        before = registry.pid
        os.kill(before, signal.SIGTERM)
        until(lambda: registry.pid != before, what="it was started anew")
        found.say_anew(10)

        assert (said(registry)["inMemory"], said(registry)["readOnly"]) == (False, True)


def test_a_sidecar_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    registry = FakeRegistry(tmp_path)
    registry.write_config()
    with registered(registry) as found:
        found.withdraw()
        began = time.monotonic()
        found.say_anew(10)

    assert time.monotonic() - began < 5


class TestEnd:
    def test_a_clean_one_leaves_nothing(self, tmp_path: Path) -> None:
        registry = FakeRegistry(tmp_path)
        registry.write_config()
        with registered(registry) as found:
            found.withdraw()

        assert not folder(registry).exists()

    def test_a_registry_that_goes_on_stays_known(self, tmp_path: Path) -> None:
        """The collector's container alone is started anew. Seen to fail: remove it always."""
        with FakeRegistry(tmp_path) as registry, registered(registry) as found:
            found.withdraw()

            assert said(registry)["inMemory"]


def test_replicas_find_each_other_by_the_pods_names() -> None:
    assert replicas.own_name({"GC_POD_NAME": "pod-7"}) == "pod-7"
    assert replicas.own_name({}) != ""


def test_what_is_taken_back_is_not_said_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: remove the registration while the other thread is still renewing it."""
    registry = FakeRegistry(tmp_path)
    registry.write_config()
    with registered(registry, renewed=0.0) as found:
        renewing, go_on = threading.Event(), threading.Event()
        touch = FileStore.touch

        def slow(store: FileStore, path: str) -> bool:
            renewing.set()
            go_on.wait(10)
            return touch(store, path)

        monkeypatch.setattr(FileStore, "touch", slow)
        assert renewing.wait(10)
        threading.Timer(0.2, go_on.set).start()
        found.withdraw()
        assert found._keeper is not None
        found._keeper.join(10)

        assert not folder(registry).exists()
