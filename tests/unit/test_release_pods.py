"""The release's pods, through the real client and an API server on loopback."""

import datetime
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.config import incluster_config

from registry_gc import kube_api, kube_client
from registry_gc.errors import ConfigurationError, StorageError
from registry_gc.kube_api import Api
from registry_gc.kube_client import own_namespace
from registry_gc.release_pods import Pod, all_pods, pods
from support.fake_kubernetes import (
    NAMESPACE,
    SELECTOR,
    FakeKubernetes,
    certificate,
    fake_kubernetes,
    kubeconfig,
    pod,
)
from support.registry_process import free_port


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the machine's own cluster nor anybody's kubeconfig is asked."""
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    monkeypatch.setattr(kube_api, "_FIRST_PAUSE", 0.01)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """An API that a kubeconfig leads to."""
    with fake_kubernetes() as running:
        _point_at(running.port, tmp_path, monkeypatch)
        yield running


def _point_at(port: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(kubeconfig(folder, port))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", path)


def client() -> Api:
    found = kube_client.api("nothing was collected")
    found.patience = 0.2
    return found


def listed() -> list[Pod]:
    return pods(client(), NAMESPACE, SELECTOR)


class TestInTheCluster:
    @pytest.fixture
    def inside(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
        """An API with TLS that knows this pod by the token of its service account."""
        both, token = certificate(tmp_path), tmp_path / "service-account-token"
        token.write_text("first")
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(both))
        with fake_kubernetes(both) as running:
            monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(running.port))
            running.pods = [pod()]
            yield running

    def test_the_service_account_is_sent(self, inside: FakeKubernetes) -> None:
        """Version 36.0.0 of the client sent no token.

        Seen to fail: load into a configuration that the client is not made with.
        """
        assert [each.name for each in listed()] == ["registry-1"]
        assert [authorization.lower() for *_, authorization in inside.asked] == ["bearer first"]

    def test_a_token_that_was_renewed_is_read_again(
        self, inside: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A hook waits for hours, a projected token lives for one.

        Seen to fail: `try_refresh_token=False`.
        """
        api = client()
        (tmp_path / "service-account-token").write_text("second")

        class Later(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> "Later":
                return super().now(tz) + datetime.timedelta(minutes=2)

        clock = types.SimpleNamespace(datetime=Later, timedelta=datetime.timedelta)
        monkeypatch.setattr(incluster_config, "datetime", clock)
        pods(api, NAMESPACE, SELECTOR)

        assert inside.asked[-1][2].lower() == "bearer second"

    def test_another_authority_is_not_believed(
        self, inside: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Seen to fail: `verify_ssl = False`."""
        (tmp_path / "other").mkdir()
        other = certificate(tmp_path / "other")
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(other))

        with pytest.raises(StorageError, match="does not answer"):
            listed()
        assert inside.asked == []

    def test_the_namespace_is_the_pods_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "namespace").write_text("somewhere\n")
        monkeypatch.setattr(kube_client, "_NAMESPACE_FILE", tmp_path / "namespace")
        assert own_namespace("nothing was collected") == "somewhere"

        (tmp_path / "namespace").unlink()
        with pytest.raises(ConfigurationError, match="set GC_NAMESPACE"):
            own_namespace("nothing was collected")


class TestListing:
    def test_the_release_is_asked_for_and_nothing_else(self, api: FakeKubernetes) -> None:
        api.pods = [pod("a"), pod("b")]

        assert [each.name for each in listed()] == ["a", "b"]
        assert [asked[:2] for asked in api.asked] == [
            (f"/api/v1/namespaces/{NAMESPACE}/pods", SELECTOR)
        ]

    def test_a_pod_that_ends_is_none(self, api: FakeKubernetes) -> None:
        """Seen to fail: keep those with a deletionTimestamp."""
        api.pods = [pod("old", ending=True), pod("new")]

        assert [each.name for each in listed()] == ["new"]

    def test_one_that_ends_may_still_serve(self, api: FakeKubernetes) -> None:
        """Who switches to read-only counts it. Seen to fail: leave it out of `all_pods`."""
        api.pods = [pod("old", ending=True), pod("new")]

        found = all_pods(client(), NAMESPACE, SELECTOR)

        assert [(each.name, each.ending) for each in found] == [("old", True), ("new", False)]

    def test_no_pods_are_an_empty_list(self, api: FakeKubernetes) -> None:
        assert listed() == []

    @pytest.mark.parametrize(
        ("status", "sentence"),
        [(401, "does not know who asks"), (403, "does not let this pod list pods in registry")],
    )
    def test_forbidden(self, api: FakeKubernetes, status: int, sentence: str) -> None:
        """Asked once: to ask again changes nothing. Seen to fail: retry 403 as well."""
        api.refusals = [status] * 9

        with pytest.raises(ConfigurationError, match=sentence) as error:
            listed()
        assert f"{status}" in error.value.why
        assert len(api.asked) == 1

    @pytest.mark.parametrize("refusals", [[429], [500, 503], [502, 504, 429]])
    def test_later_is_tried_again(self, api: FakeKubernetes, refusals: list[int]) -> None:
        """Seen to fail: leave the status out of the list of those that are retried."""
        api.pods, api.refusals = [pod()], refusals

        assert len(listed()) == 1

    @pytest.mark.parametrize("status", [429, 503])
    def test_not_for_ever(self, api: FakeKubernetes, status: int) -> None:
        """Seen to fail: leave out the answer from what the error says."""
        api.refusals = [status] * 9

        with pytest.raises(StorageError, match="does not answer") as error:
            listed()
        assert str(status) in error.value.why
        assert 3 <= len(api.asked) < 9

    @pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"[]", b"{}", b'{"items": null}'])
    def test_an_answer_that_is_no_list(self, api: FakeKubernetes, content: bytes) -> None:
        """Such as a proxy's page. Seen to fail: take its `items` on trust, which is a traceback."""
        api.content = content

        with pytest.raises(StorageError, match="does not answer"):
            listed()

    def test_nobody_listens(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _point_at(free_port(), tmp_path, monkeypatch)

        with pytest.raises(StorageError, match="the Kubernetes API does not answer"):
            listed()

    def test_no_cluster_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nowhere = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
        monkeypatch.setattr(nowhere, "/nonexistent/kubeconfig")

        with pytest.raises(ConfigurationError, match="no Kubernetes API is known"):
            client()


class TestOnePod:
    def one(self, api: FakeKubernetes, **settings: object) -> Pod:
        api.pods = [pod(**settings)]  # type: ignore[arg-type]  # pod()'s own names
        return listed()[0]

    def test_one_that_runs(self, api: FakeKubernetes) -> None:
        expected = Pod("registry-1", "127.0.0.1", "Running", sidecar=True, ready=True)

        assert self.one(api) == expected

    def test_one_without_a_collector(self, api: FakeKubernetes) -> None:
        found = self.one(api, sidecar=None)

        assert (found.sidecar, found.ready) == (False, False)

    def test_one_that_was_not_scheduled(self, api: FakeKubernetes) -> None:
        api.pods = [pod()]
        api.pods[0]["status"] = {"phase": "Pending"}

        assert listed() == [Pod("registry-1", "", "Pending", sidecar=True, ready=False)]

    @pytest.mark.parametrize("reason", ["ImagePullBackOff", "CrashLoopBackOff"])
    def test_one_whose_collector_waits(self, api: FakeKubernetes, reason: str) -> None:
        """Seen to fail: ready as soon as the pod has an address."""
        found = self.one(api, sidecar=reason, phase="Pending")

        assert (found.ready, found.waiting) == (False, f"gc: {reason}")

    def test_a_registry_that_waits_does_not_silence_its_collector(
        self, api: FakeKubernetes
    ) -> None:
        """A registry that fails on a full disk is the reason why one collects."""
        found = self.one(api, registry="CrashLoopBackOff")

        assert (found.ready, found.waiting) == (True, "docker-registry: CrashLoopBackOff")

    def test_one_without_an_address_yet(self, api: FakeKubernetes) -> None:
        assert not self.one(api, address="").ready
