"""The switch to read-only and back: a key with an expiry, restarts in place, proof from each pod.

Real: the sidecars' HTTP and the switch. Not real: the registries, the kubelet, the API server.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry_gc import sidecars
from registry_gc.errors import (
    CollectorError,
    ConfigurationError,
    GuardError,
    LockedError,
    RegistryDownError,
)
from registry_gc.kube_api import ApiDeniedError, path_of
from registry_gc.ownership import OWNER, Owner
from registry_gc.read_only import Switch
from registry_gc.read_only_settings import ReadOnlySettings
from registry_gc.sidecar_runs import Answer
from registry_gc.sidecars import Access, Sidecar
from support.fake_kubernetes import NAMESPACE, SELECTOR, FakeKubernetes, pod
from support.fake_sidecars import TOKEN, FakeSidecar
from support.kube import Direct, api_of
from support.registry_process import free_port
from support.waiting import until

MODE = path_of("v1", "configmaps", NAMESPACE, "one-gc-mode")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ADDRESSES = ("127.0.0.1", "127.0.0.2")
Start = Callable[..., FakeSidecar]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecars, "_PAUSE", 0.02)
    monkeypatch.setattr(sidecars, "_PATIENCE", 0.5)


@pytest.fixture
def fake() -> FakeKubernetes:
    return FakeKubernetes(pods=[pod("a"), pod("b", ADDRESSES[1])])


@pytest.fixture
def settings(tmp_path: Path) -> ReadOnlySettings:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    access = Access(token, free_port())
    return ReadOnlySettings(
        Owner(NAMESPACE, "test"), "one-gc-mode", SELECTOR, access, "the-hook",
        timeout=timedelta(seconds=5),
    )  # fmt: skip


@pytest.fixture
def start(fake: FakeKubernetes, settings: ReadOnlySettings, tmp_path: Path) -> Iterator[Start]:
    """Start the sidecars of both pods; after a restart a registry has what the key says then."""
    started: list[FakeSidecar] = []

    def resolved() -> Mapping[str, Any]:
        data = (fake.objects.by_path.get(MODE) or {}).get("data") or {}
        return {"readOnly": data.get("readOnly") == '{"enabled":true}'}

    def one(address: str = ADDRESSES[0], **state: Any) -> FakeSidecar:
        sidecar = FakeSidecar(tmp_path, settings.access.port, address, resolved=resolved)
        sidecar.state |= state
        started.append(sidecar)
        sidecar.listen()
        return sidecar

    yield one
    for sidecar in started:
        sidecar.hold.unlink(missing_ok=True)
        sidecar.vanish()


@pytest.fixture
def both(start: Start) -> tuple[FakeSidecar, FakeSidecar]:
    return start(), start(ADDRESSES[1])


def switch(
    fake: FakeKubernetes,
    settings: ReadOnlySettings,
    said: list[str] | None = None,
    **more: Any,
) -> Switch:
    sink: list[str] = [] if said is None else said
    api, _ = api_of(fake)
    options = {"sleep": lambda _: None, "now": lambda: NOW, **more}
    return Switch(api, settings, sink.append, **options)


def key(fake: FakeKubernetes) -> dict[str, str]:
    return dict((fake.objects.by_path.get(MODE) or {}).get("data") or {})


def put_key(fake: FakeKubernetes, expires: str, holder: str = "another") -> None:
    data = {"readOnly": '{"enabled":true}', "expires": expires, "holder": holder}
    mark = {"annotations": {OWNER: f"{NAMESPACE}/test"}}
    fake.objects.put(MODE, {"kind": "ConfigMap", "metadata": mark, "data": data})


class TestOn:
    def test_each_registry_is_restarted_once_and_seen_to_refuse(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        said: list[str] = []
        switch(fake, settings, said).on()

        assert [each.restarts for each in both] == [[{"readOnly": True}]] * 2
        assert said[:2] == ["a: read-only", "b: read-only"]
        assert key(fake) == {
            "readOnly": '{"enabled":true}',
            "holder": "the-hook",
            "expires": "2026-11-24T12:10:00+00:00",
        }

    def test_one_after_another(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Pulls go on. Seen to fail: ask all, then wait for all."""
        both[0].resolved = lambda: {"restarting": True}
        order: list[str] = []

        def look(_seconds: float) -> None:
            if both[0].restarts and both[0].state["restarting"]:
                order.append(f"b has {len(both[1].restarts)} restarts")
                both[0].state |= {"restarting": False, "readOnly": True}

        switch(fake, settings, sleep=look).on()

        assert order == ["b has 0 restarts"]
        assert len(both[1].restarts) == 1

    def test_the_key_is_there_before_any_restart(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """And kubelets have heard of it. Seen to fail: write it last; do not wait."""
        slept: list[tuple[float, bool, int]] = []

        def sleep(seconds: float) -> None:
            slept.append((seconds, bool(key(fake)), len(both[0].restarts)))

        switch(fake, settings, sleep=sleep).on()

        assert slept[0] == (2.0, True, 0)

    def test_a_kubelet_that_heard_late_costs_another_restart(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Seen to fail: believe the first one."""
        late = iter([{"readOnly": False}, {"readOnly": True}])
        both[0].resolved = lambda: next(late)
        switch(fake, settings).on()

        assert len(both[0].restarts) == 2

    def test_a_container_without_the_variable_is_told_and_taken_back(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Seen to fail: go on for ever; leave the key."""
        both[0].resolved = lambda: {"readOnly": False}

        with pytest.raises(RegistryDownError) as error:
            switch(fake, settings).on()
        assert "REGISTRY_STORAGE_MAINTENANCE_READONLY" in error.value.why
        assert len(both[0].restarts) == 3
        assert key(fake) == {}

    def test_one_that_ends_is_waited_for(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """It goes on to take pushes. Seen to fail: leave out pods with a deletionTimestamp."""
        fake.pods.append(pod("old", "127.0.0.9", ending=True))
        said: list[str] = []
        looks: list[float] = []

        def sleep(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 4:
                fake.pods.pop()

        switch(fake, settings, said, sleep=sleep).on()

        assert "waiting: old is ending and may still take pushes" in said
        assert len(looks) >= 4

    def test_a_pod_that_was_evicted_is_none(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """It stays listed for days. Seen to fail: wait for it, and give up."""
        fake.pods.append(pod("evicted", phase="Failed", sidecar="Error"))
        switch(fake, settings).on()

        assert [each.state["readOnly"] for each in both] == [True, True]

    def test_one_that_starts_meanwhile_is_seen_too(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
        start: Start,
    ) -> None:
        """Seen to fail: look at the pods once."""
        fake.pods.append(pod("c", "", sidecar="PodInitializing", phase="Pending"))

        def sleep(_seconds: float) -> None:
            if both[1].restarts and fake.pods[2]["status"]["phase"] == "Pending":
                start("127.0.0.3", readOnly=True)
                fake.pods[2] = pod("c", "127.0.0.3")

        said: list[str] = []
        switch(fake, settings, said, sleep=sleep).on()

        assert "c: read-only" in said


class TestRefused:
    def refused(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, kind: type[CollectorError]
    ) -> CollectorError:
        with pytest.raises(kind) as error:
            switch(fake, settings).on()
        return error.value

    def test_a_pull_through_cache(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, start: Start
    ) -> None:
        """Before anything is changed. Seen to fail: find out by a restart."""
        first, second = start(), start(ADDRESSES[1], pullThrough=True)
        error = self.refused(fake, settings, GuardError)

        assert error.what == "the registry was not switched: it is a pull-through cache"
        assert (first.restarts, second.restarts, key(fake)) == ([], [], {})

    def test_a_pod_without_a_collector(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, start: Start
    ) -> None:
        start()
        fake.pods[1] = pod("b", ADDRESSES[1], sidecar=None)

        assert "b has no collector" in self.refused(fake, settings, GuardError).what
        assert key(fake) == {}

    def test_no_pod(self, fake: FakeKubernetes, settings: ReadOnlySettings) -> None:
        fake.pods = []

        assert "no registry runs" in self.refused(fake, settings, GuardError).what

    def test_another_holder(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Two hooks at once. Seen to fail: write over it."""
        put_key(fake, "2026-11-24T12:05:00+00:00")
        error = self.refused(fake, settings, LockedError)

        assert (error.exit_code, key(fake)["holder"]) == (4, "another")
        assert "registry-gc read-only off" in error.next_step

    def test_two_that_begin_at_the_same_moment(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Neither saw the other's key. Seen to fail: go on without a second look."""

        def overtaken(_seconds: float) -> None:
            put_key(fake, "2026-11-24T12:10:00+00:00")

        with pytest.raises(LockedError, match="read-only already, by another"):
            switch(fake, settings, sleep=overtaken).on()
        assert (key(fake)["holder"], both[0].restarts) == ("another", [])

    def test_a_holder_whose_time_is_over_is_none(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        put_key(fake, "2026-11-24T11:59:00+00:00")
        switch(fake, settings).on()

        assert key(fake)["holder"] == "the-hook"

    def test_a_foreign_config_map(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        fake.objects.put(MODE, {"kind": "ConfigMap", "data": {"theirs": "yes"}})

        assert "is not this release's" in self.refused(fake, settings, GuardError).what
        assert key(fake) == {"theirs": "yes"}

    def test_denied(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        fake.objects.denied.add(("patch", "configmaps"))
        error = self.refused(fake, settings, ApiDeniedError)

        assert error.what.startswith("the registry was not switched: the Kubernetes API does not")
        assert both[0].restarts == []

    def test_what_the_sidecar_refuses_is_taken_back(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """The first is read-only by then. Seen to fail: raise, and leave it so."""
        both[1].refusals.append(Answer(422, {"error": "no drain"}))
        error = self.refused(fake, settings, GuardError)

        assert "no drain" in error.why
        assert [each.state["readOnly"] for each in both] == [False, False]
        assert key(fake) == {}

    def test_what_failed_first_is_what_is_told(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Seen to fail: let the failure of the way back replace it."""
        both[1].refusals.append(Answer(422, {"error": "no drain"}))
        fake.objects.denied.add(("delete", "configmaps"))
        said: list[str] = []

        with pytest.raises(GuardError, match="the registry of b cannot be restarted"):
            switch(fake, settings, said).on()
        assert "does not let this pod remove configmaps" in said[-1]


class TestOff:
    @pytest.fixture
    def on(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> tuple[FakeSidecar, FakeSidecar]:
        switch(fake, settings).on()
        return both

    def test_people_can_push_again(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, on: tuple[FakeSidecar, FakeSidecar]
    ) -> None:
        """Seen to fail: remove the key and restart nobody."""
        switch(fake, settings).off()

        assert [each.state["readOnly"] for each in on] == [False, False]
        assert [each.restarts for each in on] == [[{"readOnly": True}, {"readOnly": False}]] * 2
        assert MODE not in fake.objects.by_path

    def test_not_while_a_collection_counts_on_it(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, on: tuple[FakeSidecar, FakeSidecar]
    ) -> None:
        """It waited for nobody: a push now would be lost. Seen to fail: do not ask."""
        on[1].hold.touch()
        on[1].runs.request(dry_run=False, read_only=True)
        seen: list[tuple[bool, int]] = []

        def sleep(_seconds: float) -> None:
            seen.append((bool(key(fake)), len(on[0].restarts)))
            on[1].hold.unlink(missing_ok=True)
            until(lambda: on[1].runs.current is None, what="the run has ended")

        switch(fake, settings, sleep=sleep).off()

        assert seen[0] == (True, 1)
        assert MODE not in fake.objects.by_path

    def test_one_that_does_not_end_is_told(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, on: tuple[FakeSidecar, FakeSidecar]
    ) -> None:
        on[1].hold.touch()
        on[1].runs.request(dry_run=False, read_only=True)
        impatient = replace(settings, timeout=timedelta(seconds=0.2))

        with pytest.raises(RegistryDownError, match="still read-only, because a collection"):
            switch(fake, impatient).off()
        assert key(fake) != {}

    def test_a_foreign_config_map_stays(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, on: tuple[FakeSidecar, FakeSidecar]
    ) -> None:
        """Seen to fail: remove whatever has that name."""
        fake.objects.put(MODE, {"kind": "ConfigMap", "data": {"theirs": "stays"}})

        with pytest.raises(GuardError, match="not this release's"):
            switch(fake, settings).off()
        assert key(fake) == {"theirs": "stays"}

    def test_that_it_could_not_be_taken_back_does_not_sound_harmless(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, on: tuple[FakeSidecar, FakeSidecar]
    ) -> None:
        """It is all that people see of it. Seen to fail: say that nothing was switched."""
        fake.objects.denied.add(("delete", "configmaps"))

        with pytest.raises(ApiDeniedError, match="the registry may still be read-only, until"):
            switch(fake, settings).off()

    def test_another_collection_is_not_waited_for(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, on: tuple[FakeSidecar, FakeSidecar]
    ) -> None:
        """It is safe while people push."""
        on[1].hold.touch()
        on[1].runs.request(dry_run=False)
        switch(fake, settings).off()

        assert MODE not in fake.objects.by_path

    def test_what_the_file_says_stays(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, on: tuple[FakeSidecar, FakeSidecar]
    ) -> None:
        """Seen to fail: restart it for ever."""
        on[0].resolved = lambda: {"readOnly": True, "readOnlyAlways": True}
        switch(fake, settings).off()

        assert len(on[0].restarts) == 2


class TestSettle:
    """What the next run does, and the script that runs every few minutes."""

    def test_nothing_to_do(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        assert switch(fake, settings).settle() is False
        assert [each.restarts for each in both] == [[], []]

    def test_one_that_is_held_is_left_alone(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Seen to fail: take back whatever there is."""
        switch(fake, settings).on()

        assert switch(fake, settings).settle() is False
        assert both[0].state["readOnly"]

    @pytest.mark.parametrize("expires", ["2026-11-24T11:59:59+00:00", "nonsense", ""])
    def test_a_hook_that_was_killed(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
        expires: str,
    ) -> None:
        """With -9, while it was read-only. Seen to fail: trust a key without a time."""
        switch(fake, settings).on()
        put_key(fake, expires, "a-dead-hook")
        said: list[str] = []

        assert switch(fake, settings, said).settle() is True
        assert said[0] == "read-only was left by a-dead-hook: taking it back"
        assert [each.state["readOnly"] for each in both] == [False, False]
        assert MODE not in fake.objects.by_path

    def test_one_that_is_just_letting_go_is_none_that_died(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """First the key goes, then come the restarts. Seen to fail: believe the first look."""
        both[0].state["readOnly"] = True

        def meanwhile(_seconds: float) -> None:
            both[0].state["readOnly"] = False

        assert switch(fake, settings, sleep=meanwhile).settle() is False
        assert [each.restarts for each in both] == [[], []]

    def test_one_that_is_said_again_meanwhile_is_left_alone(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """While its collection was waited for. Seen to fail: look at the time only before that."""
        switch(fake, settings).on()
        put_key(fake, "2026-11-24T11:59:59+00:00", "slow")
        both[1].hold.touch()
        both[1].runs.request(dry_run=False, read_only=True)
        said: list[str] = []

        def meanwhile(_seconds: float) -> None:
            put_key(fake, "2026-11-24T12:09:00+00:00", "slow")
            both[1].hold.unlink(missing_ok=True)
            until(lambda: both[1].runs.current is None, what="the run has ended")

        assert switch(fake, settings, said, sleep=meanwhile).settle() is False
        assert (key(fake)["holder"], both[0].state["readOnly"]) == ("slow", True)
        assert said[-1] == "read-only is slow's by now"

    def test_one_that_was_killed_between_the_key_and_the_restart(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """No key, and one still refuses pushes. Seen to fail: look at the key alone."""
        both[1].state["readOnly"] = True

        assert switch(fake, settings).settle() is True
        assert both[1].restarts == [{"readOnly": False}]
        assert both[0].restarts == []

    def test_a_silent_sidecar_is_no_reason(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, start: Start
    ) -> None:
        start()

        assert switch(fake, settings).settle() is False

    def test_what_the_file_says_is_no_reason(
        self, fake: FakeKubernetes, settings: ReadOnlySettings, start: Start
    ) -> None:
        start(readOnly=True, readOnlyAlways=True)
        start(ADDRESSES[1])

        assert switch(fake, settings).settle() is False


class Killed(BaseException):
    """`kill -9`: nothing that comes after it is done."""


@contextmanager
def killed_at(number: int, direct: Direct) -> Iterator[list[str]]:
    """Let every request from the n-th on fail, to the API or to a sidecar; yield those before."""
    asked: list[str] = []
    request = Sidecar.request

    def count(what: str) -> None:
        if len(asked) >= number:
            raise Killed
        asked.append(what)

    def counted(
        sidecar: Sidecar, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, Any]:
        count(f"{sidecar.pod.name} {method} {path}")
        return request(sidecar, method, path, body)

    direct.meanwhile = lambda method, path: count(f"api {method} {path}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sidecar, "request", counted)
        with suppress(Killed):
            yield asked


def test_killed_at_any_moment_people_can_push_again(
    fake: FakeKubernetes, settings: ReadOnlySettings, both: tuple[FakeSidecar, FakeSidecar]
) -> None:
    """The next run sees to it. Seen to fail: let `settle` look at one of key and registries."""
    later = NOW + timedelta(minutes=11)
    said: list[str] = []
    number, ended = 0, False
    while not ended:
        api, direct = api_of(fake)
        hook = Switch(api, settings, said.append, lambda _: None, lambda: NOW)
        with killed_at(number, direct) as asked:
            with hook.held():
                pass
            ended = True
        switch(fake, settings, now=lambda: later).settle()

        assert MODE not in fake.objects.by_path, f"killed after {asked[-1:]}"
        assert [each.state["readOnly"] for each in both] == [False, False], asked[-1:]
        number += 1

    assert number > 15, "each request was the last one once"


class TestHeld:
    def test_it_ends_with_what_it_is_for(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Also when that fails. Seen to fail: take it back after a success only."""
        inside: list[bool] = []

        def collect() -> None:
            with switch(fake, settings).held():
                inside.append(both[0].state["readOnly"])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            collect()

        assert inside == [True]
        assert (both[0].state["readOnly"], key(fake)) == (False, {})

    def test_it_is_said_again_while_it_lasts(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """A collection may take longer than the expiry. Seen to fail: write it once."""
        clock = [NOW]
        quick = replace(settings, expires=timedelta(seconds=0.4))
        with switch(fake, quick, now=lambda: clock[0]).held():
            clock[0] = NOW + timedelta(hours=1)
            until(lambda: "13:00:00" in key(fake)["expires"], what="it is said again")

    def test_it_is_said_again_while_it_only_begins(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """A restart waits for a collection. Seen to fail: say it only once it is on."""
        both[0].refusals += [Answer(409, {"error": "a run goes on", "retryAfter": 0.01})] * 3
        quick = replace(settings, expires=timedelta(seconds=0.2))
        clock = [NOW]
        said: list[str] = []

        def sleep(_seconds: float) -> None:
            if both[0].refusals and key(fake):
                clock[0] = NOW + timedelta(hours=1)
                until(lambda: "13:00:00" in key(fake)["expires"], what="it is said again")
                said.append("again")

        with switch(fake, quick, sleep=sleep, now=lambda: clock[0]).held():
            pass

        assert "again" in said

    def test_what_somebody_took_back_is_not_said_again(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """`registry-gc read-only off`. Seen to fail: apply the key anew each time."""
        quick = replace(settings, expires=timedelta(seconds=0.2))
        with switch(fake, quick).held():
            del fake.objects.by_path[MODE]
            threading.Event().wait(0.3)

            assert MODE not in fake.objects.by_path

    def test_what_another_holds_by_now_is_theirs_to_take_back(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        """Whose collection counts on it. Seen to fail: remove it whoever holds it."""
        with switch(fake, settings).held():
            put_key(fake, "2026-11-24T12:10:00+00:00")

        assert (key(fake)["holder"], both[0].state["readOnly"]) == ("another", True)

    def test_an_api_that_is_away_ends_nothing(
        self,
        fake: FakeKubernetes,
        settings: ReadOnlySettings,
        both: tuple[FakeSidecar, FakeSidecar],
    ) -> None:
        quick = replace(settings, expires=timedelta(seconds=0.2))
        with switch(fake, quick).held():
            fake.refusals = [503] * 3
            threading.Event().wait(0.3)

        assert both[0].state["readOnly"] is False


class TestSettings:
    @pytest.mark.parametrize("variable", ["GC_READ_ONLY_EXPIRES", "GC_READ_ONLY_TIMEOUT"])
    @pytest.mark.parametrize(("given", "word"), [("0", "short"), ("9s", "short"), ("31d", "long")])
    def test_times_that_make_no_sense(self, variable: str, given: str, word: str) -> None:
        """Said again four times within nothing, the API would hear of nothing else.

        Seen to fail: take any.
        """
        environment = {"GC_MODE": "one-gc-mode", variable: given}

        with pytest.raises(ConfigurationError, match=f"{variable}: .* is too {word}"):
            ReadOnlySettings.from_environment(
                environment, Owner("a", "b"), SELECTOR, Access(Path("token"))
            )
