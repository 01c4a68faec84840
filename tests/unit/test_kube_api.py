"""Requests to the Kubernetes API: what is tried again, for how long, and what each no says."""

from pathlib import Path

import pytest

from registry_gc import in_cluster
from registry_gc.errors import ConfigurationError
from registry_gc.kube_api import (
    Api,
    ApiConflictError,
    ApiDeniedError,
    ApiUnavailableError,
    KindMissingError,
    path_of,
    seconds,
)
from support.fake_kubernetes import FakeKubernetes, certificate, fake_kubernetes
from support.kube import Direct, api_of

SECRET = path_of("v1", "secrets", "registry", "one")
ENDPOINT = path_of("docker-registry.dev/v1alpha1", "registryendpoints", "registry", "one")


@pytest.fixture
def fake() -> FakeKubernetes:
    return FakeKubernetes()


@pytest.fixture
def both(fake: FakeKubernetes) -> tuple[Api, Direct]:
    return api_of(fake)


def secret(**data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Secret", "data": data}


def test_paths() -> None:
    assert SECRET == "/api/v1/namespaces/registry/secrets/one"
    assert path_of("apps/v1", "deployments", "a", "b", "status") == (
        "/apis/apps/v1/namespaces/a/deployments/b/status"
    )
    assert path_of("v1", "nodes") == "/api/v1/nodes"
    # A name is one part of the path, whatever a settings file says it is.
    assert path_of("v1", "secrets", "a", "../../nodes") == (
        "/api/v1/namespaces/a/secrets/..%2F..%2Fnodes"
    )


class TestTryingAgain:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_later_is_tried_again(
        self, fake: FakeKubernetes, both: tuple[Api, Direct], status: int
    ) -> None:
        """Seen to fail: leave the status out of `_LATER`."""
        fake.refusals = [status, status]
        fake.objects.put(SECRET, secret(a="b"))

        assert both[0].get(SECRET) is not None
        assert len(both[1].slept) == 2

    def test_a_write_is_tried_again_too(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        """Every write here may be made twice. Seen to fail: only retry GET."""
        fake.refusals = [503]

        assert both[0].apply(SECRET, secret(a="b"), "us")["data"] == {"a": "b"}

    def test_a_pause_grows_and_has_a_limit(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        """Seen to fail: wait the same each time; double without end."""
        both[1].silent = 12
        fake.objects.put(SECRET, secret(a="b"))
        both[0].get(SECRET)
        slept = both[1].slept

        assert slept[0] <= 0.5 < slept[3]
        assert max(slept) <= 10.0
        # An API server that is stopped for half a minute is waited for (issue 7).
        assert sum(slept[:9]) > 30.0

    def test_what_the_server_asks_for_is_kept(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        """Throttling says for how long. Seen to fail: ignore Retry-After."""
        fake.refusals, fake.retry_after = [429], "7"
        fake.objects.put(SECRET, secret(a="b"))
        both[0].get(SECRET)

        assert both[1].slept == [7.0]

    def test_a_server_that_asks_for_an_hour_is_not_waited_for(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        """Seen to fail: obey any Retry-After."""
        fake.refusals, fake.retry_after = [429] * 9, "3600"

        with pytest.raises(ApiUnavailableError, match="does not answer"):
            both[0].get(SECRET)
        assert both[1].slept == []

    def test_not_for_ever(self, both: tuple[Api, Direct]) -> None:
        """Seen to fail: no deadline."""
        both[1].silent, both[0].patience = 10**6, 0.05

        with pytest.raises(ApiUnavailableError) as error:
            both[0].get(SECRET)
        assert error.value.what == "nothing was changed: the Kubernetes API does not answer"
        assert error.value.why == "nobody listens"
        assert error.value.exit_code == 5

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
    def test_an_answer_is_not_asked_for_twice(
        self, fake: FakeKubernetes, both: tuple[Api, Direct], status: int
    ) -> None:
        """Seen to fail: retry 401."""
        fake.refusals = [status] * 3

        with pytest.raises((ConfigurationError, ApiUnavailableError, ApiConflictError)):
            both[0].apply(SECRET, secret(a="b"), "us")
        assert len(fake.asked) == 1

    def test_retry_after_as_a_date_is_none(self) -> None:
        assert seconds("7") == 7.0
        assert seconds("Wed, 21 Oct 2026 07:28:00 GMT") is None
        assert seconds(None) is None


class TestWhatANoSays:
    def test_denied(self, fake: FakeKubernetes, both: tuple[Api, Direct]) -> None:
        fake.objects.denied.add(("get", "secrets"))

        with pytest.raises(ApiDeniedError) as error:
            both[0].get(SECRET)
        assert error.value.what == (
            "nothing was changed: the Kubernetes API does not let this pod read secrets one "
            "in registry"
        )
        assert "cannot get" in error.value.why

    def test_a_missing_object_is_none_and_a_missing_kind_a_sentence(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        """Seen to fail: take every 404 for a missing object."""
        assert both[0].get(ENDPOINT) is None
        assert both[0].delete(ENDPOINT) is False
        fake.objects.missing.add("registryendpoints")

        for act in (both[0].get, both[0].delete, both[0].items):
            with pytest.raises(KindMissingError, match="has no registryendpoints one") as error:
                act(ENDPOINT)
            assert "kubectl apply --server-side -f" in error.value.next_step

    def test_a_conflict(self, fake: FakeKubernetes, both: tuple[Api, Direct]) -> None:
        """Seen to fail: force without being told to."""
        fake.objects.put(SECRET, secret(a="theirs"), "kubectl")

        with pytest.raises(ApiConflictError, match="somebody else writes") as error:
            both[0].apply(SECRET, secret(a="ours"), "us", force=False)
        assert 'conflict with "kubectl"' in error.value.why
        assert fake.objects.by_path[SECRET]["data"] == {"a": "theirs"}

    @pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"[]"])
    def test_what_is_no_api(
        self, fake: FakeKubernetes, both: tuple[Api, Direct], content: bytes
    ) -> None:
        fake.content = content

        with pytest.raises(ApiUnavailableError, match="does not answer"):
            both[0].get(SECRET)


class TestObjects:
    def test_a_long_list_comes_in_pages(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        """Seen to fail: stop after the first page."""
        nodes = path_of("v1", "nodes")
        for number in range(7):
            fake.objects.put(f"{nodes}/node-{number}", {"metadata": {"name": f"node-{number}"}})
        fake.objects.page = 3

        names = [each["metadata"]["name"] for each in both[0].items(nodes)]

        assert names == [f"node-{number}" for number in range(7)]

    def test_what_is_applied_no_longer_is_removed(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        both[0].apply(SECRET, secret(a="1", b="2"), "us")
        both[0].apply(SECRET, secret(b="2"), "us")

        assert fake.objects.by_path[SECRET]["data"] == {"b": "2"}

    def test_only_the_object_that_was_seen_is_removed(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        """Seen to fail: send no preconditions."""
        fake.objects.put(SECRET, secret(a="b"))

        with pytest.raises(ApiConflictError):
            both[0].delete(SECRET, "another-uid")
        assert SECRET in fake.objects.by_path

    def test_what_is_there_already_is_not_made(
        self, fake: FakeKubernetes, both: tuple[Api, Direct]
    ) -> None:
        body = {**secret(a="1"), "metadata": {"name": "one"}}
        where = path_of("v1", "secrets", "registry")

        assert [both[0].create(where, body), both[0].create(where, body)] == [True, False]


class TestInTheClusterWithoutTheClient:
    """What the pods of the DaemonSet use."""

    def test_the_token_is_read_at_each_request(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A projected token lives for an hour. Seen to fail: read it once."""

        folder = tmp_path
        both = certificate(folder)
        (folder / "ca.crt").write_text(both.read_text())
        (folder / "token").write_text("first\n")
        with fake_kubernetes(both) as running:
            monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(running.port))
            api = in_cluster.api("nothing was written", folder)
            api.get(SECRET)
            (folder / "token").write_text("second")
            api.get(SECRET)

        assert [asked[2] for asked in running.asked] == ["Bearer first", "Bearer second"]

    def test_outside_of_a_pod(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

        with pytest.raises(ConfigurationError, match="no Kubernetes API is known"):
            in_cluster.api("nothing was written")
