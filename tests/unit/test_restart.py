"""The registry's process: found by what it does, ended, and waited for until another answers."""

import functools
import json
import os
import threading
import time
from pathlib import Path

import pytest

from registry_gc import descriptor_cache, registry_config
from registry_gc.errors import RegistryDownError, StoppedError
from registry_gc.options import CollectOptions, duration
from registry_gc.registry_http import answers
from registry_gc.restart import find_registries, find_registry, is_alive, restart
from registry_gc.run import Run
from support.fake_registry import FakeRegistry
from support.store import StoreBuilder, one_live_one_dead
from support.waiting import until


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    return FakeRegistry(tmp_path / "one")


def wait(seconds: float) -> None:
    time.sleep(min(seconds, 0.05))


def config_of(registry: FakeRegistry) -> registry_config.RegistryConfig:
    return registry_config.load(registry.config_path, {})


class TestFinding:
    def test_the_one_that_serves_this_configuration(
        self, registry: FakeRegistry, tmp_path: Path
    ) -> None:
        """Not one with another configuration, and not one that is only called like it."""
        with (
            registry,
            FakeRegistry(tmp_path / "two"),
            FakeRegistry(tmp_path / "three", arguments=["--help", str(registry.config_path)]),
        ):
            found = find_registries(registry.config_path)

            assert [each.pid for each in found] == [registry.pid]
            assert found[0].environment["PORT"] == str(registry.port)

    @pytest.mark.parametrize("form", ["relative", "dots", "link", "environment"])
    def test_by_whatever_name_it_was_given(self, registry: FakeRegistry, form: str) -> None:
        """One that is not found is taken for one that remembers nothing: that loses images."""
        registry.arguments = {
            "relative": ["config.yml"],
            "dots": [f"{registry.folder}/../one/config.yml"],
            "link": [str(registry.folder / "alias.yml")],
            "environment": [],
        }[form]
        if form == "environment":
            registry.environment = {"REGISTRY_CONFIGURATION_PATH": str(registry.config_path)}
        with registry:
            (registry.folder / "alias.yml").symlink_to("config.yml")
            assert [each.pid for each in find_registries(registry.config_path)] == [registry.pid]

    def test_by_whatever_name_we_were_given(
        self, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with registry:
            monkeypatch.chdir(registry.folder)
            assert find_registry(Path("config.yml"))

    def test_one_that_ended_is_not_alive(self, registry: FakeRegistry) -> None:
        with registry:
            found = find_registry(registry.config_path)
            assert found
            assert is_alive(found)
            other = type(found)(found.pid, "another boot", found.started, {})
            assert not is_alive(other), "a number that was used again"
        assert not is_alive(found)
        assert find_registry(registry.config_path) is None


class TestAnswers:
    @pytest.mark.parametrize(("status", "answered"), [(200, True), (401, True), (503, False)])
    def test_with_whatever_status(
        self, registry: FakeRegistry, status: int, answered: bool
    ) -> None:
        registry.environment = {"STATUS": str(status)}
        with registry:
            config = config_of(registry)
            if answered:
                until(lambda: answers(config), what="it answers")
            else:
                time.sleep(0.3)
                assert not answers(config)

    def test_nobody(self, registry: FakeRegistry) -> None:
        registry.folder.mkdir()
        registry.write_config()
        assert not answers(config_of(registry))


class TestRestart:
    def test_under_a_supervisor(self, registry: FakeRegistry) -> None:
        registry.supervised = True
        with registry:
            before = find_registry(registry.config_path)
            assert before

            after = restart(
                before, config_of(registry), registry.config_path, meanwhile=wait, timeout=30
            )

            assert after.identity != before.identity
            assert registry.starts == 2
            assert not is_alive(before)

    def test_one_that_does_not_come_back(self, registry: FakeRegistry) -> None:
        with registry:
            before = find_registry(registry.config_path)
            assert before
            reaper = threading.Thread(target=lambda: registry._process and registry._process.wait())
            reaper.start()
            with pytest.raises(RegistryDownError, match="no new process answered"):
                restart(
                    before, config_of(registry), registry.config_path, meanwhile=wait, timeout=0.3
                )
            reaper.join()

    def test_one_that_starts_and_does_not_answer(self, registry: FakeRegistry) -> None:
        registry.supervised = True
        registry.environment = {"STATUS": "503"}
        with registry:
            before = find_registry(registry.config_path)
            assert before
            with pytest.raises(RegistryDownError):
                restart(
                    before, config_of(registry), registry.config_path, meanwhile=wait, timeout=0.5
                )

    def test_who_waits_may_give_up(self, registry: FakeRegistry) -> None:
        registry.supervised = True

        def stop(_seconds: float) -> None:
            raise StoppedError("stopped", why="a test", next_step="none")

        with registry:
            before = find_registry(registry.config_path)
            assert before
            with pytest.raises(StoppedError):
                restart(before, config_of(registry), registry.config_path, meanwhile=stop)

    def test_another_process_is_not_ended_for_it(self, registry: FakeRegistry) -> None:
        """The number was used again since. Seen to fail: compare only the pid in `_terminate`."""
        registry.supervised = True
        with registry:
            now = find_registry(registry.config_path)
            assert now
            gone = type(now)(now.pid, "before", now.started, {})
            until(lambda: answers(config_of(registry)), what="it answers")

            after = restart(
                gone, config_of(registry), registry.config_path, meanwhile=wait, timeout=5
            )

            assert registry.starts == 1
            assert after.identity == now.identity


class TestWholeRuns:
    """From the configuration to the exit code, with a process that remembers."""

    @pytest.fixture
    def store(self, registry: FakeRegistry) -> StoreBuilder:
        return one_live_one_dead(registry.root)

    def collect(self, registry: FakeRegistry, **chosen: object) -> tuple[dict[str, object], int]:
        options = CollectOptions(settle_period=duration("0"), **chosen)  # type: ignore[arg-type]  # fields
        return Run(registry.config_path, options, {}).collect()

    def test_it_is_restarted_once(self, registry: FakeRegistry, store: StoreBuilder) -> None:
        registry.supervised = True
        with registry:
            report, code = self.collect(registry, restart="always")

            assert (code, report["restarted"], registry.starts) == (0, 1, 2)
            assert json.dumps(report)

    def test_exit_6_and_everything_is_back_when_it_stays_away(
        self, registry: FakeRegistry, store: StoreBuilder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rule of step 7. Seen to fail: remove before the restart."""
        monkeypatch.setattr(descriptor_cache, "restart", functools.partial(restart, timeout=0.3))
        before = store.files()
        with registry:
            reaper = threading.Thread(target=lambda: registry._process and registry._process.wait())
            reaper.start()
            report, code = self.collect(registry, restart="always")
            reaper.join()

        assert code == 6
        assert "everything was put back" in str(report["error"])
        assert store.files() == before

    @pytest.mark.parametrize("chosen", ["auto", "never"])
    def test_exit_3_where_it_may_not_be_restarted(
        self, registry: FakeRegistry, store: StoreBuilder, chosen: str
    ) -> None:
        before = store.files()
        with registry:
            report, code = self.collect(registry, restart=chosen)

        assert code == 3
        assert "--restart always" in " ".join(str(report["error"]).split())
        assert store.files() == before

    def test_exit_3_where_no_process_is_found(
        self, registry: FakeRegistry, store: StoreBuilder
    ) -> None:
        registry.write_config()

        report, code = self.collect(registry, restart="always")

        assert code == 3
        assert "no process serves this configuration" in str(report["error"])

    def test_offline_is_refused_beside_a_registry(
        self, registry: FakeRegistry, store: StoreBuilder
    ) -> None:
        registry.arguments = ["config.yml"]
        with registry:
            report, code = self.collect(registry, offline=True)

        assert code == 3
        assert "is not offline" in str(report["error"])

    def test_the_registrys_own_environment_counts(
        self, registry: FakeRegistry, store: StoreBuilder
    ) -> None:
        """Seen to fail: let `Run._config` always take our environment."""
        registry.cache = ""
        registry.environment = {"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR": "inmemory"}
        with registry:
            assert self.collect(registry)[1] == 3

    @pytest.mark.parametrize("when", ["before", "meanwhile"])
    def test_an_edited_configuration_counts_as_in_memory(
        self,
        registry: FakeRegistry,
        store: StoreBuilder,
        when: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Attack 6: what the running process read is not what the file says now."""
        registry.cache = ""
        before = store.files()
        edit = functools.partial(os.utime, registry.config_path, (2**31, 2**31))
        with registry:
            options = CollectOptions(settle_period=duration("0"))
            run = Run(registry.config_path, options, {})
            if when == "before":
                edit()
            else:
                monkeypatch.setattr(
                    Run, "_enter", lambda _run, phase: edit() if phase == "bury" else None
                )
            report, code = run.collect()

        assert code == (3 if when == "before" else 1)
        assert report["error"]
        assert store.files() == before
