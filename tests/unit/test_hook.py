"""The hook: it finds the release's sidecars, has each store collected once, and ends as that did.

Real: its HTTP, the sidecars' application and runs, the client of the Kubernetes API. Not real: the
collector, and the API server.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from registry_gc import hook, sidecars
from registry_gc.cli import main
from registry_gc.errors import CollectorError, ConfigurationError, GuardError, StorageError
from registry_gc.events import Subject
from registry_gc.hook import HookSettings
from registry_gc.kube_api import path_of
from registry_gc.sidecars import SidecarSilentError
from support.fake_kubernetes import (
    NAMESPACE,
    SELECTOR,
    FakeKubernetes,
    fake_kubernetes,
    lead_to,
    pod,
)
from support.fake_sidecars import TOKEN, FakeSidecar, Volume
from support.registry_process import free_port
from support.waiting import until

StartSidecar = Callable[..., FakeSidecar]

SECOND = "127.0.0.2"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "_PAUSE", 0.02)
    monkeypatch.setattr(hook, "_BUSY", 0.02)
    monkeypatch.setattr(hook, "_LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(hook, "_PATIENCE", 0.5)
    monkeypatch.setattr(sidecars, "_PAUSE", 0.02)
    monkeypatch.setattr(sidecars, "_LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(sidecars, "_PATIENCE", 0.5)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    with fake_kubernetes() as running:
        lead_to(running, tmp_path, monkeypatch)
        running.pods = [pod()]
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> HookSettings:
    token = tmp_path / "token-of-the-hook"
    token.write_text(f"{TOKEN}\n")
    return HookSettings(NAMESPACE, SELECTOR, token, free_port(), timedelta(seconds=30))


@pytest.fixture
def start(settings: HookSettings, tmp_path: Path) -> Iterator[StartSidecar]:
    """Start a sidecar at the port that the hook asks; all are gone afterwards."""
    started: list[FakeSidecar] = []

    def one(address: str = "127.0.0.1", **more: object) -> FakeSidecar:
        sidecar = FakeSidecar(
            tmp_path,
            settings.port,
            address,
            **more,  # type: ignore[arg-type]  # each test names fields of FakeSidecar
        )
        started.append(sidecar)
        sidecar.listen()
        return sidecar

    yield one
    for sidecar in started:
        sidecar.hold.unlink(missing_ok=True)
        sidecar.vanish()
        until(lambda it=sidecar: it.runs.current is None, what="its run has ended")  # type: ignore[misc]


class Hook:
    """A hook that runs beside the test; `said` is what it printed so far."""

    def __init__(self, settings: HookSettings) -> None:
        self.said: list[str] = []
        self.code: int | None = None
        self.error: CollectorError | None = None
        self._thread = threading.Thread(target=self._run, args=(settings,), daemon=True)
        self._thread.start()

    def _run(self, settings: HookSettings) -> None:
        try:
            self.code = hook.run(settings, self.said.append)
        except CollectorError as error:
            self.error = error

    def hears(self, words: str) -> None:
        until(lambda: words in "\n".join(self.said), what=f"it said {words!r}: {self.said}")

    def ends(self) -> int:
        self._thread.join(30)
        assert self.error is None, self.error
        assert self.code is not None, f"it goes on: {self.said}"
        return self.code


def fails(settings: HookSettings, kind: type[CollectorError]) -> tuple[CollectorError, str]:
    """Return how it failed, and what it said; within 10 s, which is less than its time-out."""
    running = Hook(settings)
    error = until(lambda: running.error, what=f"it gave up: {running.said}", timeout=10)
    assert isinstance(error, kind)
    return error, "\n".join(running.said)


class TestOneCollection:
    @pytest.mark.parametrize("code", [0, 1, 4])
    def test_it_ends_as_the_collection_did(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings, code: int
    ) -> None:
        """Seen to fail: return 0 whatever the status says."""
        start(code=code)
        said: list[str] = []

        assert hook.run(settings, said.append) == code
        assert ("a problem on purpose" in said[-1]) == (code == 1)

    def test_it_follows_the_run_and_says_each_phase_once(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        sidecar = start()
        sidecar.hold.touch()
        running = Hook(settings)
        running.hears("registry-1: scan")
        assert running.code is None
        sidecar.hold.unlink()

        assert running.ends() == 0
        assert len([line for line in running.said if line == "registry-1: scan"]) == 1

    def test_a_run_that_goes_on_is_joined(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        """The period's, say. Seen to fail: take 202 alone for a yes."""
        sidecar = start()
        sidecar.hold.touch()
        sidecar.runs.request(dry_run=False)
        running = Hook(settings)
        running.hears("(joined)")
        sidecar.hold.unlink()

        assert running.ends() == 0
        assert sidecar.volume.begun == []

    def test_another_kind_of_run_is_waited_for(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        """Seen to fail: give up at 409."""
        sidecar = start()
        sidecar.hold.touch()
        sidecar.runs.request(dry_run=True)
        running = Hook(settings)
        running.hears("other options")
        sidecar.hold.unlink()

        assert running.ends() == 0
        assert sidecar.volume.begun == ["127.0.0.1"]

    def test_one_that_may_not_begin_yet_is_waited_for_and_said(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        """Attack 3. Seen to fail: give up at 503."""
        start(waits=[0.1, 0.1])
        running = Hook(settings)

        assert running.ends() == 0
        assert len([line for line in running.said if "no collection for another" in line]) == 1

    def test_the_token_is_never_said(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        start()
        said: list[str] = []
        hook.run(settings, said.append)
        error, _ = fails(replace(settings, port=free_port()), SidecarSilentError)

        assert TOKEN not in "\n".join([*said, str(error), repr(error.__cause__)])


class TestEvents:
    """What `kubectl describe deployment` shows of a run."""

    ABOUT = Subject.all_of("Deployment/registry")

    @pytest.fixture(autouse=True)
    def _deployment(self, api: FakeKubernetes) -> None:
        where = path_of("apps/v1", "deployments", NAMESPACE, "registry")
        api.objects.put(where, {"apiVersion": "apps/v1", "kind": "Deployment"})

    def events(self, api: FakeKubernetes) -> list[tuple[str, str, str]]:
        found = [each for each in api.objects.by_path.values() if each.get("kind") == "Event"]
        return [(each["type"], each["reason"], each["message"]) for each in found]

    @pytest.mark.parametrize(
        ("code", "kind", "reason"),
        [
            (0, "Normal", "Collected"),
            (1, "Warning", "CollectedWithProblems"),
            (4, "Warning", "CollectionNotDone"),
        ],
    )
    def test_how_a_run_ended(
        self,
        api: FakeKubernetes,
        start: StartSidecar,
        settings: HookSettings,
        code: int,
        kind: str,
        reason: str,
    ) -> None:
        """Seen to fail: say `Collected` whatever the exit code is."""
        start(code=code)
        hook.run(replace(settings, about=self.ABOUT), lambda _: None)

        assert [each[:2] for each in self.events(api)] == [(kind, reason)]
        assert "registry-1: " in self.events(api)[0][2]

    def test_why_none_took_place(self, api: FakeKubernetes, settings: HookSettings) -> None:
        """Seen to fail: raise without an Event."""
        api.pods = []
        fails(replace(settings, about=self.ABOUT), GuardError)

        ((kind, reason, message),) = self.events(api)
        assert (kind, reason) == ("Warning", "CollectionNotDone")
        assert "no pod in registry has the labels" in message
        assert "scale it up" in message

    def test_an_event_that_is_denied_does_not_fail_the_run(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        start()
        api.objects.denied.add(("create", "events"))

        assert hook.run(replace(settings, about=self.ABOUT), lambda _: None) == 0


class TestReplicas:
    def test_a_store_is_collected_once(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        """Each collection may restart every replica. Seen to fail: ask each pod to collect."""
        api.pods = [pod("a"), pod("b", SECOND)]
        volume = Volume()
        start(volume=volume)
        start(SECOND, volume=volume)
        said: list[str] = []

        assert hook.run(settings, said.append) == 0
        assert volume.begun == ["127.0.0.1"]

    def test_each_store_is_collected_and_the_worst_end_counts(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        """Seen to fail: end after the first; return the last code."""
        api.pods = [pod("a"), pod("b", SECOND)]
        one, two = Volume("one"), Volume("two")
        start(volume=one, code=1)
        start(SECOND, volume=two)
        said: list[str] = []

        assert hook.run(settings, said.append) == 1
        assert (one.begun, two.begun) == (["127.0.0.1"], [SECOND])

    def test_one_that_only_starts_does_not_keep_the_others_waiting(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        api.pods = [pod("a", "", sidecar="PodInitializing"), pod("b", SECOND)]
        sidecar = start(SECOND)

        assert hook.run(settings, lambda _: None) == 0
        assert sidecar.volume.begun == [SECOND]


class TestWhatGoesWrongBefore:
    def test_no_pod(self, api: FakeKubernetes, settings: HookSettings) -> None:
        api.pods = []
        error, _ = fails(settings, GuardError)

        assert error.what.startswith("nothing was collected: no pod in registry has the labels")
        assert SELECTOR in error.what

    def test_no_sidecar(self, api: FakeKubernetes, settings: HookSettings) -> None:
        api.pods = [pod(sidecar=None)]
        error, _ = fails(settings, GuardError)

        assert error.what == (
            "nothing was collected: registry-1 has no collector beside the registry"
        )

    def test_not_ready(self, api: FakeKubernetes, settings: HookSettings) -> None:
        """Seen to fail: wait for as long as the whole run may take."""
        api.pods = [pod(sidecar="ImagePullBackOff", phase="Pending")]
        error, said = fails(settings, GuardError)

        assert error.what == "nothing was collected: the registry's pod does not run"
        assert error.why == "registry-1 is Pending (gc: ImagePullBackOff)"
        assert said == f"waiting for the registry's pod: {error.why}"

    def test_ready_after_all(
        self,
        api: FakeKubernetes,
        start: StartSidecar,
        settings: HookSettings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Seen to fail: give up at the first look."""
        monkeypatch.setattr(hook, "_PATIENCE", 20)
        start()
        api.pods = [pod(sidecar="PodInitializing", phase="Pending")]
        running = Hook(settings)
        running.hears("PodInitializing")
        api.pods = [pod()]

        assert running.ends() == 0

    def test_a_refused_token(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        sidecar = start()
        settings.token_file.write_text("of another release")
        error, _ = fails(settings, ConfigurationError)

        assert error.what == ("nothing was collected: the sidecar of registry-1 refused the token")
        assert sidecar.volume.begun == []

    def test_a_token_that_is_not_there(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        start()
        settings.token_file.unlink()
        error, _ = fails(settings, ConfigurationError)

        assert "token for the sidecar cannot be read" in error.what
        assert str(settings.token_file) in error.why

    def test_a_sidecar_without_its_token_is_not_asked_for_ever(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        """Such a 503 has no retryAfter. Seen to fail: wait at every 503."""
        start().token_file.write_text("")
        error, _ = fails(settings, StorageError)

        assert "answered 503" in error.what
        assert "file is empty" in error.why

    def test_nobody_answers(self, api: FakeKubernetes, settings: HookSettings) -> None:
        error, _ = fails(settings, SidecarSilentError)

        assert error.what == (
            f"the sidecar of registry-1 does not answer at 127.0.0.1:{settings.port}"
        )
        assert "run it in a Job" in error.next_step  # it is asked from outside of a cluster
        assert error.exit_code == 5


class TestWhatGoesWrongMeanwhile:
    def test_a_network_that_fails_for_a_while(
        self,
        api: FakeKubernetes,
        start: StartSidecar,
        settings: HookSettings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Seen to fail: raise at the first connection that is refused."""
        monkeypatch.setattr(sidecars, "_PATIENCE", 20)
        sidecar = start()
        sidecar.hold.touch()
        running = Hook(settings)
        running.hears("registry-1: scan")
        sidecar.vanish()
        sidecar.hold.unlink()
        until(lambda: sidecar.runs.current is None, what="the run has ended, unseen")
        sidecar.listen()

        assert running.ends() == 0
        assert sidecar.volume.begun == ["127.0.0.1"]

    def test_a_pod_that_was_replaced(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        """Seen to fail: raise although there is another pod."""
        old = start()
        old.hold.touch()
        running = Hook(settings)
        running.hears("registry-1: scan")
        new = start(SECOND)
        api.pods = [pod("registry-1", ending=True), pod("registry-2", SECOND)]
        old.vanish()

        assert running.ends() == 0
        assert any("replaced, asking registry-2" in line for line in running.said)
        assert new.volume.begun == [SECOND]

    def test_a_pod_that_is_gone_for_good(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        sidecar = start()
        sidecar.hold.touch()
        running = Hook(settings)
        running.hears("registry-1: scan")
        api.pods = []
        sidecar.vanish()
        until(lambda: running.error, what="it gave up")

        assert isinstance(running.error, SidecarSilentError)

    def test_time_out(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        """The run goes on. Seen to fail: look at no clock while it runs."""
        sidecar = start()
        sidecar.hold.touch()
        error, _ = fails(replace(settings, timeout=timedelta(seconds=0.3)), StorageError)

        assert "goes on, but was not waited for any longer" in error.what
        assert "0:00:00.3" in error.why
        assert sidecar.runs.current is not None

    def test_a_time_out_before_it_may_begin(
        self,
        api: FakeKubernetes,
        start: StartSidecar,
        settings: HookSettings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Seen to fail: sleep for as long as the sidecar says, which may be much longer."""
        monkeypatch.setattr(hook, "_LONGEST_PAUSE", 15.0)
        start(waits=[60.0] * 100)
        error, said = fails(replace(settings, timeout=timedelta(seconds=2)), StorageError)

        assert "may still serve" in error.why
        assert "waiting" in said


class TestTheCommand:
    """`registry-gc hook` as the CronJob calls it."""

    def variables(self, settings: HookSettings) -> dict[str, str]:
        return {
            "GC_NAMESPACE": settings.namespace,
            "GC_SELECTOR": settings.selector,
            "GC_TOKEN_FILE": str(settings.token_file),
            "GC_PORT": str(settings.port),
        }

    def test_it_prints_and_exits(
        self, api: FakeKubernetes, start: StartSidecar, settings: HookSettings
    ) -> None:
        start(code=1)
        done = CliRunner().invoke(main, ["hook"], env=self.variables(settings))

        assert done.exit_code == 1, done.output
        assert "a problem on purpose" in done.stdout

    def test_forbidden_is_a_sentence(self, api: FakeKubernetes, settings: HookSettings) -> None:
        api.refusals = [403]
        done = CliRunner().invoke(main, ["hook"], env=self.variables(settings))

        assert done.exit_code == 2
        assert done.stdout == ""
        assert done.stderr.splitlines()[0] == (
            "nothing was collected: the Kubernetes API does not let this pod list pods in registry"
        )
        assert json.dumps(done.stderr).count("next:") == 1

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("GC_SELECTOR", "", "GC_SELECTOR is not set"),
            ("GC_PORT", "http", "GC_PORT: 'http' is not a port"),
            ("GC_TIMEOUT", "soon", "GC_TIMEOUT: 'soon' is not a duration"),
        ],
    )
    def test_what_is_set_wrong_is_named(
        self, settings: HookSettings, name: str, text: str, words: str
    ) -> None:
        done = CliRunner().invoke(main, ["hook"], env={**self.variables(settings), name: text})

        assert done.exit_code == 2
        assert words in done.stderr
