"""RBAC as small as it can be: what each command asks of the API is exactly what is written down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from registry_gc import endpoint, in_cluster, withdrawal
from registry_gc.cli import main
from registry_gc.endpoint_object import PLURAL, VERSION
from registry_gc.health import Health
from registry_gc.kube_api import path_of
from support import rights
from support.fake_kubernetes import (
    NAMESPACE,
    SELECTOR,
    FakeKubernetes,
    fake_kubernetes,
    lead_to,
    pod,
)
from support.fake_sidecars import TOKEN, FakeSidecar
from support.kube import api_of
from support.registry_process import free_port
from support.rights import Rights

MODE = path_of("v1", "configmaps", NAMESPACE, "one-gc-mode")

pytestmark = pytest.mark.usefixtures("same_signals")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    healthy = Health("Answers", "it answers", healthy=True)
    monkeypatch.setattr(endpoint, "ask", lambda *_: healthy)
    monkeypatch.setattr(withdrawal, "_HOLD", 0.0)
    with fake_kubernetes() as running:
        lead_to(running, tmp_path, monkeypatch)
        running.pods = [pod()]
        put = running.objects.put
        put(path_of("apps/v1", "deployments", NAMESPACE, "one"), {"kind": "Deployment"})
        put(path_of("v1", "services", NAMESPACE, "one"), {"spec": {"type": "NodePort"}})
        put(path_of("networking.k8s.io/v1", "ingresses", NAMESPACE, "one"), {"spec": {}})
        put(path_of("gateway.networking.k8s.io/v1", "httproutes", NAMESPACE, "one"), {"spec": {}})
        yield running


@pytest.fixture
def variables(fake: FakeKubernetes, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Everything that a release can have switched on."""

    def resolved() -> dict[str, Any]:
        asked = sidecar.restarts[-1]
        return {"readOnly": MODE in fake.objects.by_path, **asked}

    sidecar = FakeSidecar(tmp_path, free_port(), resolved=resolved)
    (tmp_path / "token").write_text(TOKEN)
    sidecar.listen()
    yield {
        "GC_NAMESPACE": NAMESPACE, "GC_RELEASE": "test", "GC_SELECTOR": SELECTOR,
        "GC_TOKEN_FILE": str(tmp_path / "token"), "GC_PORT": str(sidecar.port),
        "GC_ENDPOINT": "one", "GC_SERVICE": "one", "GC_INGRESS": "one", "GC_HTTPROUTE": "one",
        "GC_NODE_ADDRESSES": "true", "GC_HOSTING": "true", "GC_MODE": "one-gc-mode",
        "GC_TLS_SECRET": "one-tls", "GC_TLS_AUTHORITY_SECRET": "one-tls-ca",
        "GC_TLS_HOSTS": "127.0.0.1", "GC_TRUST": f"{NAMESPACE}/one-trust",
        "GC_EVENTS_ABOUT": "Deployment/one",
    }  # fmt: skip
    sidecar.vanish()


def used(fake: FakeKubernetes, variables: dict[str, str], *command: str) -> Rights:
    fake.objects.used.clear()
    done = CliRunner().invoke(main, command, env=variables)
    assert done.exit_code == 0, done.output
    return frozenset(fake.objects.used)


def test_certificates(fake: FakeKubernetes, variables: dict[str, str]) -> None:
    """An edge has a certificate of its own. Seen to fail: ask for one Secret more."""
    less = {**variables, "GC_INGRESS": "", "GC_HTTPROUTE": ""}

    assert used(fake, less, "certificates") == rights.CERTIFICATES


def test_endpoint(fake: FakeKubernetes, variables: dict[str, str]) -> None:
    """Seen to fail: list Services instead of asking for one."""
    expired = {"readOnly": '{"enabled":true}', "expires": "2020-01-01T00:00:00+00:00"}
    mark = {"annotations": {"docker-registry.dev/owner": f"{NAMESPACE}/test"}}
    fake.objects.put(MODE, {"kind": "ConfigMap", "metadata": mark, "data": expired})

    assert used(fake, variables, "endpoint") == rights.ENDPOINT


def test_remove(fake: FakeKubernetes, variables: dict[str, str]) -> None:
    used(fake, variables, "endpoint")
    fake.objects.put(path_of("batch/v1", "cronjobs", NAMESPACE, "one"), {})

    removing = {**variables, "GC_CRONJOB": "one"}
    assert used(fake, removing, "endpoint", "--remove") == rights.REMOVE


def test_withdraw(fake: FakeKubernetes, variables: dict[str, str]) -> None:
    used(fake, variables, "endpoint")

    assert used(fake, variables, "endpoint", "--withdraw") == rights.WITHDRAW


def test_hook(fake: FakeKubernetes, variables: dict[str, str]) -> None:
    without = {key: value for key, value in variables.items() if key != "GC_MODE"}

    assert used(fake, without, "hook") == rights.HOOK


def test_hook_with_read_only(fake: FakeKubernetes, variables: dict[str, str]) -> None:
    assert (
        used(fake, {**variables, "GC_READ_ONLY": "true"}, "hook") | {("patch", "configmaps")}
        == rights.READ_ONLY
    )


def test_node_trust(fake: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node has it, so it is one right on named objects. Seen to fail: list them."""
    monkeypatch.setattr(in_cluster, "api", lambda consequence: api_of(fake, consequence)[0])
    fake.objects.put(path_of(VERSION, PLURAL, NAMESPACE, "one"), {"spec": {}, "status": {}})
    variables = {
        "GC_TRUST_OWNER": "a/b",
        "GC_TRUST_ENDPOINTS": f"{NAMESPACE}/one",
        "GC_TRUST_FOLDER": str(tmp_path),
        "GC_TRUST_READY": str(tmp_path / "ready"),
    }

    assert used(fake, variables, "node-trust", "--once") == rights.NODE_TRUST
