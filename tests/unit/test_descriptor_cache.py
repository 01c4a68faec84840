"""When a registry must forget, and when a collection may not make it."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from registry_gc import descriptor_cache, registry_config
from registry_gc.descriptor_cache import Memory
from registry_gc.errors import GuardError, StoppedError
from registry_gc.options import Restart
from registry_gc.registry_config.redis_section import RedisOptions
from registry_gc.replicas import Replica, Replicas, folder_of
from registry_gc.restart import RegistryProcess, find_registry
from registry_gc.storage import FileStore
from support.fake_registry import FakeRegistry
from support.waiting import until

PROCESS = RegistryProcess(1, "boot/1/1", 1000.0, {})


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text("version: 0.1\nstorage: {inmemory: {}}\nhttp: {draintimeout: 1s}\n")
    os.utime(path, (500, 500))
    return path


def memory(config_path: Path, cache: Any, **others: Any) -> Memory:
    config = replace(registry_config.load(config_path, {}), cache=cache)
    return Memory(config, config_path, **{"registries": [PROCESS], "edited": 500.0, **others})


@pytest.mark.parametrize("option", ["auto", "always", "never"])
def test_without_a_cache_nothing_is_to_do(config_path: Path, option: Restart) -> None:
    found = memory(config_path, None)

    found.check(option)

    assert found.forget(set(), lambda _seconds: None) == 0


@pytest.mark.parametrize("option", ["auto", "always", "never"])
def test_a_redis_that_does_not_answer_refuses(config_path: Path, option: Restart) -> None:
    """Its entries would outlive what they describe."""
    found = memory(config_path, "redis")
    found.config = replace(found.config, redis=RedisOptions(("127.0.0.1:1",)))

    with pytest.raises(GuardError, match="Redis cannot be reached"):
        found.check(option)


@pytest.mark.parametrize("option", ["auto", "never"])
def test_attack_19_no_restart_unless_told(config_path: Path, option: Restart) -> None:
    with pytest.raises(GuardError, match="--restart"):
        memory(config_path, "inmemory").check(option)


def test_no_process_no_collection(config_path: Path) -> None:
    with pytest.raises(GuardError, match="no process"):
        memory(config_path, "inmemory", registries=[]).check("always")


@pytest.mark.parametrize(
    ("edited", "in_memory"), [(999.0, False), (1001.0, False), (1003.0, True), (2000.0, True)]
)
def test_attack_6_a_file_newer_than_the_process(
    config_path: Path, edited: float, in_memory: bool
) -> None:
    """Seen to fail: let `in_memory` look at the file only."""
    assert memory(config_path, None, edited=edited).in_memory is in_memory


def test_a_file_that_changes_meanwhile_ends_the_run(config_path: Path) -> None:
    found = memory(config_path, None)
    os.utime(config_path, (600, 600))

    with pytest.raises(StoppedError, match="was changed meanwhile"):
        found.forget(set(), lambda _seconds: None)


def test_a_file_that_vanishes_ends_the_run(config_path: Path) -> None:
    found = memory(config_path, None)
    config_path.unlink()

    with pytest.raises(StoppedError):
        found.forget(set(), lambda _seconds: None)


@pytest.mark.parametrize(
    ("version", "refused"), [((2, 8, 3), True), ((3, 0, 0), True), ((3, 1, 1), False), ((), True)]
)
def test_attack_1_old_registries_need_a_drain(
    config_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], refused: bool
) -> None:
    """Ended without one, they leave empty links behind."""
    monkeypatch.setattr(descriptor_cache, "_version", lambda _registry: version)
    drained = memory(config_path, "inmemory")
    undrained = memory(config_path, "inmemory")
    undrained.config = replace(undrained.config, drain_timeout=0.0)

    drained.check("always")
    if refused:
        with pytest.raises(GuardError, match="draintimeout"):
            undrained.check("always")
    else:
        undrained.check("always")


class TestReadOnly:
    """Nobody pushes, and the way out of it is a start with an empty memory (design.md 3)."""

    READ_ONLY = MappingProxyType({"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'})

    def test_it_needs_no_restart(self, tmp_path: Path) -> None:
        """Each costs ten seconds more. Seen to fail: `in_memory` by the cache alone."""
        with FakeRegistry(tmp_path, environment=self.READ_ONLY, supervised=True) as registry:
            config = registry_config.load(registry.config_path, {})
            found = Memory.of(config, registry.config_path)
            found.check("never")

            assert found.forget(set(), lambda _: None) == 0
            assert registry.starts == 1

    def test_the_next_run_must_know_that_there_was_a_memory(self, tmp_path: Path) -> None:
        """Attack 3: it looks at what this one found. Seen to fail: report `in_memory`."""
        with FakeRegistry(tmp_path, environment=self.READ_ONLY) as registry:
            config = registry_config.load(registry.config_path, {})

            assert Memory.of(config, registry.config_path).may_be_unknown

    def test_one_that_takes_pushes_again_ends_the_run(self, tmp_path: Path) -> None:
        """It waited for nobody. Seen to fail: look at the start only."""
        with FakeRegistry(tmp_path, environment=self.READ_ONLY, supervised=True) as registry:
            config = registry_config.load(registry.config_path, {})
            found = Memory.of(config, registry.config_path)
            found.must_be_read_only = True
            assert found.forget(set(), lambda _: None) == 0
            before, registry.environment = registry.pid, {}
            os.kill(before, signal.SIGTERM)
            until(lambda: registry.pid != before, what="it was started anew")

            with pytest.raises(StoppedError, match="everything was put back"):
                found.forget(set(), lambda _: None)
            fresh = Memory.of(config, registry.config_path)
            fresh.must_be_read_only = True
            with pytest.raises(StoppedError, match="everything was put back"):
                fresh.forget(set(), lambda _: None)

    def test_another_pod_that_takes_pushes_ends_the_run(self, tmp_path: Path) -> None:
        """One that has come since it began. Seen to fail: look at the processes here only."""
        with FakeRegistry(tmp_path, environment=self.READ_ONLY) as registry:
            config = registry_config.load(registry.config_path, {})
            store = FileStore(str(registry.root))
            others = Replicas(store, "run", own="pod-0")
            found = Memory.of(config, registry.config_path, others)
            found.must_be_read_only = True
            assert found.forget(set(), lambda _: None) == 0
            came = Replica("pod-1", "", "", in_memory=False)
            store.write(f"{folder_of('pod-1')}/alive", came.to_json())

            with pytest.raises(StoppedError, match="pod-1 is no longer read-only"):
                found.forget(set(), lambda _: None)

    def test_one_of_two_that_takes_pushes_is_enough(self, tmp_path: Path) -> None:
        """Seen to fail: any instead of all."""
        with FakeRegistry(tmp_path, environment=self.READ_ONLY) as registry:
            other = FakeRegistry(tmp_path / "other", arguments=[str(registry.config_path)])
            with other:
                config = registry_config.load(registry.config_path, {})
                found = Memory.of(config, registry.config_path)

                assert (found.is_read_only, found.in_memory) == (False, True)


def test_every_one_that_runs_at_the_burial_is_restarted(tmp_path: Path) -> None:
    """Also one that was not there when the run began.

    Seen to fail: let `forget` restart those of the start.
    """
    with FakeRegistry(tmp_path / "one", supervised=True) as registry:
        config = registry_config.load(registry.config_path, {})
        found = Memory.of(config, registry.config_path)
        found.registries = []
        before = find_registry(registry.config_path)

        assert found.forget(set(), lambda _seconds: None) == 1

        after = find_registry(registry.config_path)
        assert before
        assert after
        assert before.identity != after.identity


def test_one_file_but_each_process_its_own_variables(tmp_path: Path) -> None:
    """A second registry that caches in memory has to forget, too.

    Seen to fail: let the oldest process's configuration count for all.
    """
    with FakeRegistry(tmp_path / "one", cache="") as first:
        second = FakeRegistry(
            tmp_path / "two",
            arguments=[str(first.config_path)],
            environment={"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR": "inmemory"},
        )
        with second:
            config = registry_config.load(first.config_path, {})
            found = Memory.of(config, first.config_path)

            assert config.cache == "none"
            assert len(found.registries) == 2
            assert found.in_memory


def test_one_that_starts_during_the_run_with_a_memory_ends_it(tmp_path: Path) -> None:
    """Its own variables turn the cache on. Seen to fail: let `_restart_here` not look again."""
    registry = FakeRegistry(
        tmp_path, cache="", environment={"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR": "inmemory"}
    )
    registry.write_config()
    os.utime(registry.config_path, (1, 1))
    found = Memory.of(registry_config.load(registry.config_path, {}), registry.config_path)
    found.check("always")

    with registry, pytest.raises(StoppedError, match="everything was put back"):
        found.forget(set(), lambda _seconds: None)
