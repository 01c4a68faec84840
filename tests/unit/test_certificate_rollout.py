"""A renewed certificate takes effect: in place where a sidecar is, else by new pods."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry_gc import certificate_rollout, sidecars
from registry_gc.certificate_rollout import ANNOTATION, Rollout, take_effect
from registry_gc.certificates import Held, Terms, renewed
from registry_gc.errors import RegistryDownError
from registry_gc.events import Subject
from registry_gc.health import first_fingerprint
from registry_gc.kube_api import ApiDeniedError, path_of
from registry_gc.sidecar_runs import Answer
from registry_gc.sidecars import Access
from support.fake_kubernetes import NAMESPACE, SELECTOR, FakeKubernetes, pod
from support.fake_sidecars import TOKEN, FakeSidecar
from support.kube import api_of
from support.registry_process import free_port

SECRET = path_of("v1", "secrets", NAMESPACE, "one-tls")
DEPLOYMENT = path_of("apps/v1", "deployments", NAMESPACE, "one")
PEM = renewed(Held(), Terms("test", ("a",)), datetime.now(UTC)).held.certificate
NEW = first_fingerprint(PEM)
SECOND = "127.0.0.2"
Start = Callable[..., FakeSidecar]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_rollout, "_VOLUME", 0.3)
    monkeypatch.setattr(certificate_rollout, "_QUIET", 0.3)
    monkeypatch.setattr(sidecars, "_PATIENCE", 0.5)


@pytest.fixture
def fake() -> FakeKubernetes:
    found = FakeKubernetes(pods=[pod("a"), pod("b", SECOND)])
    found.objects.put(SECRET, {"data": {"tls.crt": base64.b64encode(PEM).decode()}})
    template = {"metadata": {"annotations": {"theirs": "stays"}}}
    found.objects.put(DEPLOYMENT, {"kind": "Deployment", "spec": {"template": template}})
    return found


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    (tmp_path / "token").write_text(TOKEN)
    access = Access(tmp_path / "token", free_port())
    return Rollout(NAMESPACE, "one-tls", SELECTOR, access, Subject("Deployment", "one"))


@pytest.fixture
def start(rollout: Rollout, tmp_path: Path) -> Iterator[Start]:
    started: list[FakeSidecar] = []

    def one(address: str = "127.0.0.1", served: str = "old", after: str = NEW) -> FakeSidecar:
        assert rollout.access
        sidecar = FakeSidecar(
            tmp_path, rollout.access.port, address, resolved=lambda: {"certificate": after}
        )
        sidecar.state["certificate"] = served
        started.append(sidecar)
        sidecar.listen()
        return sidecar

    yield one
    for sidecar in started:
        sidecar.vanish()


def run(fake: FakeKubernetes, rollout: Rollout, said: list[str] | None = None) -> int:
    sink: list[str] = [] if said is None else said
    return take_effect(api_of(fake)[0], rollout, sink.append, lambda _: None)


class TestInPlace:
    def test_each_replica_that_serves_another_one(
        self, fake: FakeKubernetes, rollout: Rollout, start: Start
    ) -> None:
        """And no other: a restart costs pulls a second. Seen to fail: restart them all."""
        old, new = start(), start(SECOND, NEW)
        said: list[str] = []

        assert run(fake, rollout, said) == 1
        assert (old.restarts, new.restarts) == ([{"certificate": NEW}], [])
        assert said == ["a: serves the new certificate"]

    def test_what_cannot_be_seen_is_left_alone(
        self, fake: FakeKubernetes, rollout: Rollout, start: Start
    ) -> None:
        """It is starting, say, and reads the new one. Seen to fail: take it for an old one."""
        unseen, new = start(served=""), start(SECOND, NEW)

        assert run(fake, rollout) == 0
        assert (unseen.restarts, new.restarts) == ([], [])

    def test_the_next_one_only_when_the_first_is_back(
        self, fake: FakeKubernetes, rollout: Rollout, start: Start
    ) -> None:
        """Seen to fail: ask all, then wait."""
        first, second = start(after="old"), start(SECOND)

        with pytest.raises(RegistryDownError, match="a does not serve the renewed certificate"):
            run(fake, rollout)
        assert (len(first.restarts), second.restarts) == (1, [])

    def test_a_volume_that_has_it_later_is_waited_for(
        self, fake: FakeKubernetes, rollout: Rollout, start: Start
    ) -> None:
        """A kubelet takes a minute. Seen to fail: give up at 503."""
        first = start()
        start(SECOND, NEW)
        first.refusals += [Answer(503, {"error": "not yet", "retryAfter": 0.01})] * 3

        assert run(fake, rollout) == 1

    def test_a_refusal_is_told(self, fake: FakeKubernetes, rollout: Rollout, start: Start) -> None:
        first = start()
        start(SECOND)
        first.refusals += [Answer(422, {"error": "no drain"})]

        with pytest.raises(RegistryDownError) as error:
            run(fake, rollout)
        assert error.value.why == "no drain"

    def test_nothing_is_to_do(self, fake: FakeKubernetes, rollout: Rollout, start: Start) -> None:
        start(served=NEW), start(SECOND, NEW)

        assert run(fake, rollout) == 0

    def test_without_a_secret_there_is_nothing_to_serve(
        self, fake: FakeKubernetes, rollout: Rollout
    ) -> None:
        del fake.objects.by_path[SECRET]

        assert run(fake, rollout) == 0


class TestNewPods:
    @pytest.fixture
    def served(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        """What a pod serves, by its address."""
        found = {"127.0.0.1": "old", SECOND: NEW}
        monkeypatch.setattr(
            certificate_rollout, "served_certificate", lambda address: found[address.host]
        )
        return found

    @pytest.fixture
    def without(self, rollout: Rollout) -> Rollout:
        return Rollout(NAMESPACE, "one-tls", SELECTOR, None, rollout.workload)

    def annotations(self, fake: FakeKubernetes) -> dict[str, Any]:
        template = fake.objects.by_path[DEPLOYMENT]["spec"]["template"]
        return dict(template["metadata"]["annotations"])

    def test_one_rollout_for_one_certificate(
        self, fake: FakeKubernetes, without: Rollout, served: dict[str, str]
    ) -> None:
        """Old pods serve on while it goes on. Seen to fail: begin another one each time."""
        first, second = run(fake, without), run(fake, without)

        assert (first, second) == (1, 0)
        assert self.annotations(fake) == {"theirs": "stays", ANNOTATION: NEW}

    @pytest.mark.parametrize("answer", [NEW, ""], ids=["serves it", "does not answer"])
    def test_no_reason(
        self, fake: FakeKubernetes, without: Rollout, served: dict[str, str], answer: str
    ) -> None:
        """One that does not answer is only starting. Seen to fail: take silence for an old one."""
        served["127.0.0.1"] = answer

        assert run(fake, without) == 0
        assert ANNOTATION not in self.annotations(fake)

    def test_denied(self, fake: FakeKubernetes, without: Rollout, served: dict[str, str]) -> None:
        fake.objects.denied.add(("patch", "deployments"))

        with pytest.raises(ApiDeniedError, match="the certificate did not take effect everywhere"):
            run(fake, without)

    def test_without_a_workload_it_says_what_to_do(
        self, fake: FakeKubernetes, served: dict[str, str]
    ) -> None:
        said: list[str] = []

        assert run(fake, Rollout(NAMESPACE, "one-tls", SELECTOR), said) == 0
        assert "kubectl rollout restart" in said[0]
