"""From arguments to the report: what goes on around a collection."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from registry_gc import replicas
from registry_gc import run as runs
from registry_gc.collect import Collection, Outcome
from registry_gc.options import CollectOptions, duration
from registry_gc.plan import Plan
from registry_gc.replicas import Replica
from registry_gc.report import Report
from registry_gc.run import Run
from registry_gc.storage import FileStore
from support.fake_registry import FakeRegistry
from support.store import StoreBuilder, one_live_one_dead, write_configuration


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return one_live_one_dead(tmp_path / "store")


@pytest.fixture
def config(store: StoreBuilder, tmp_path: Path) -> Path:
    return write_configuration(tmp_path / "config.yml", store.root)


def run(config: Path, environment: dict[str, str] | None = None, **chosen: object) -> Run:
    options = CollectOptions(settle_period=duration("0"), **chosen)  # type: ignore[arg-type]  # fields
    return Run(config, options, environment or {})


def test_progress_is_written_whole_at_each_phase(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    seen = []
    real = runs._replace

    def note(target: Path, content: str) -> None:
        real(target, content)
        seen.append(json.loads(path.read_text())["phase"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_replace", note)
        run(config, {"GC_PROGRESS_FILE": str(path), "GC_RUN_ID": "r"}).collect()

    assert seen == ["scan", "unlink", "settle", "bury", "forget", "confirm", "remove", "done"]
    assert json.loads(path.read_text())["run"] == "r"


def test_a_progress_file_that_cannot_be_written_stops_nothing(config: Path, tmp_path: Path) -> None:
    """It is for people to look at. Seen to fail: let the OSError out."""
    report, code = run(config, {"GC_PROGRESS_FILE": str(tmp_path / "no/such/file")}).collect()

    assert code == 0
    assert report["deleted"] != {}


READ_ONLY = MappingProxyType({"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'})


class TestReadOnly:
    """`collect --read-only`: nobody can push, so nothing is waited for."""

    def collected(self, registry: FakeRegistry) -> tuple[Report, int]:
        options = CollectOptions(read_only=True, grace_period=duration("1h"))
        return Run(registry.config_path, options, {}).collect()

    @pytest.fixture
    def dead(self, tmp_path: Path) -> StoreBuilder:
        """A store whose dead blobs are younger than any grace period."""
        found = one_live_one_dead(tmp_path / "store")
        for path in (tmp_path / "store").rglob("*"):
            os.utime(path)
        return found

    def test_even_what_is_young_goes_at_once(self, tmp_path: Path, dead: StoreBuilder) -> None:
        """Seen to fail: keep the grace period."""
        with FakeRegistry(tmp_path, environment=READ_ONLY) as registry:
            began = time.monotonic()
            report, code = self.collected(registry)

        assert (code, report["restarted"]) == (0, 0)
        assert report["deleted"]["blobs"] > 0  # type: ignore[index]  # a mapping
        assert time.monotonic() - began < 30

    def test_where_people_can_push_nothing_is_touched(
        self, tmp_path: Path, dead: StoreBuilder
    ) -> None:
        """Rule 1. Seen to fail: believe the option."""
        with FakeRegistry(tmp_path) as registry:
            before = sorted((tmp_path / "store").rglob("*"))
            report, code = self.collected(registry)

        assert code == 3
        assert "nothing was deleted: the registry is not read-only" in str(report["error"])
        after = [path for path in sorted((tmp_path / "store").rglob("*")) if "-gc" not in str(path)]
        assert after == [path for path in before if "-gc" not in str(path)]

    @pytest.mark.parametrize("other", ["takes pushes", "only starts", "is read-only"])
    def test_another_pod_that_takes_pushes_is_enough(
        self,
        tmp_path: Path,
        dead: StoreBuilder,
        monkeypatch: pytest.MonkeyPatch,
        other: str,
    ) -> None:
        """A rollout in the middle brings pods that have no switch, on the same volume.

        Seen to fail: look at the processes of this pod; or at the first look only, for one that
        has not yet said what it is.
        """
        monkeypatch.setattr(runs, "_SAID_BY", 0.5 if other == "takes pushes" else 30.0)
        path = tmp_path / "store" / replicas.folder_of("pod-2") / "alive"
        path.parent.mkdir(parents=True)
        said = Replica("pod-2", "", "", in_memory=False, read_only=other == "is read-only")
        path.write_bytes(said.to_json())
        if other == "only starts":
            later = replace(said, read_only=True).to_json()
            threading.Timer(1.0, path.write_bytes, [later]).start()
        with FakeRegistry(tmp_path, environment=READ_ONLY) as registry:
            report, code = self.collected(registry)

        assert code == (3 if other == "takes pushes" else 0)
        assert ("the registry of pod-2" in str(report.get("error"))) is bool(code)

    def test_where_nobody_serves_it_is_not_known(self, tmp_path: Path, dead: StoreBuilder) -> None:
        registry = FakeRegistry(tmp_path)
        registry.write_config()
        report, code = self.collected(registry)

        assert code == 3
        assert "no process serves this configuration" in str(report["error"])

    def test_a_pull_through_cache_writes_when_people_pull(
        self, tmp_path: Path, dead: StoreBuilder
    ) -> None:
        """Seen to fail: look at the variable only."""
        more = "proxy: {remoteurl: 'https://a.example'}\n"
        with FakeRegistry(tmp_path, environment=READ_ONLY, more=more) as registry:
            report, code = self.collected(registry)

        assert code == 3
        assert "pull-through" in str(report["error"])


def test_two_file_systems_are_refused(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 9: without a rename nothing could be put back."""
    monkeypatch.setattr(FileStore, "is_one_file_system", lambda *_: False)

    report, code = run(config).collect()

    assert code == 2
    assert "spans several file systems" in str(report["error"])


@pytest.mark.parametrize("name", ["blobs", "repositories"])
def test_a_store_behind_a_symbolic_link_is_refused(
    config: Path, store: StoreBuilder, tmp_path: Path, name: str
) -> None:
    """It may be another store's. Seen to fail: let `Run._held` not call `check_top`."""
    (store.v2 / name).rename(tmp_path / "elsewhere")
    (store.v2 / name).symlink_to(tmp_path / "elsewhere")

    report, code = run(config).collect()

    assert code == 3
    assert "is not a plain folder" in str(report["error"])
    assert not store.state.exists()


@pytest.mark.parametrize(("asked", "settles"), [("0", 3.0), ("7s", 7.0)])
def test_attack_10_a_network_file_system_settles_for_longer(
    config: Path, monkeypatch: pytest.MonkeyPatch, asked: str, settles: float
) -> None:
    """What another machine wrote is seen late. Seen to fail: take the options as they are."""
    seen = []

    def collect(collection: Collection) -> Outcome:
        seen.append(collection.options.settle_period.total_seconds())
        return Outcome(Plan())

    monkeypatch.setattr(runs, "least_settle_period", lambda _root: duration("3s"))
    monkeypatch.setattr(Collection, "run", collect)
    Run(config, CollectOptions(settle_period=duration(asked)), {}).collect()

    assert seen == [settles]


def test_offline_with_a_quarantine_is_refused(config: Path, store: StoreBuilder) -> None:
    """It would keep nothing to restore. Seen to fail: do not look at it."""
    before = store.files()

    report, code = run(config, offline=True, quarantine=duration("7d")).collect()

    assert code == 2
    assert "--quarantine 0" in str(report["error"])
    assert store.files() == before


def test_offline_is_the_same_in_the_end(config: Path, store: StoreBuilder, tmp_path: Path) -> None:
    other = one_live_one_dead(tmp_path / "other")
    twin = write_configuration(tmp_path / "twin.yml", other.root)

    report, code = run(config, offline=True).collect()
    online, _ = run(twin).collect()

    assert code == 0
    assert report["deleted"] == online["deleted"]
    assert set(store.files()) == set(other.files())


def test_a_full_disk_is_told_in_a_sentence(
    config: Path, store: StoreBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.files()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    report, code = run(config).collect()

    assert code == 5
    assert "collect --offline" in str(report["error"])
    assert store.files() == before


class TestRegistriesOfBefore:
    """Attack 3: a pod without a collector may serve from its memory, whatever we have now."""

    ENVIRONMENT = MappingProxyType(
        {"GC_POD_NAME": "pod-0", "GC_POD_IP": "10.0.0.1", "GC_PEERS_HOST": "peers"}
    )

    @pytest.fixture
    def addresses(self, monkeypatch: pytest.MonkeyPatch) -> set[str]:
        found = {"10.0.0.1", "10.0.0.99"}
        monkeypatch.setattr(replicas, "_addresses", lambda _host: found)
        return found

    def collected(self, config: Path) -> int:
        return run(config, dict(self.ENVIRONMENT)).collect()[1]

    def test_a_run_that_takes_nothing_does_not_vouch_for_the_next(
        self, config: Path, store: StoreBuilder, addresses: set[str]
    ) -> None:
        """Seen to fail: let every run note that nothing is in memory."""
        store.image("app", "v1", layers=["a"])
        store.image("app", layers=["b"])
        assert self.collected(config) == 0, "all is younger than the grace period"
        store.age()

        assert self.collected(config) == 3
        assert self.collected(config) == 3, "nor does one that was refused"

    def test_once_all_were_known_nobody_is_asked_again(
        self, config: Path, store: StoreBuilder, addresses: set[str]
    ) -> None:
        addresses.discard("10.0.0.99")
        store.image("app", "v1", layers=["a"])
        for layer in ("b", "c"):
            store.image("app", layers=[layer])
            store.age()
            assert self.collected(config) == 0
            addresses.add("10.0.0.99")  # a pod that came later, of the same release
