"""A Kubernetes API on loopback, with pods and other objects; it refuses when a test tells it."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from support.fake_objects import FakeObjects
from support.run import run

NAMESPACE = "registry"
SELECTOR = "app=docker-registry,release=test"


@dataclass
class FakeKubernetes:
    """`refusals` are the statuses that the next requests get before any gets an answer.

    `asked` has the path, the label selector and the Authorization header of each request. `pods`
    are those of NAMESPACE under SELECTOR; everything else is in `objects`.
    """

    pods: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    retry_after: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    content: bytes | None = None
    port: int = 0
    objects: FakeObjects = field(default_factory=FakeObjects)

    def answer(self, request: "Request") -> tuple[int, bytes]:
        parts = urlsplit(request.target)
        selector = parse_qs(parts.query).get("labelSelector", [""])[0]
        self.asked.append((parts.path, selector, request.authorization))
        if self.refusals:
            return self.refusals.pop(0), b'{"kind": "Status"}'
        if self.content is not None:
            return 200, self.content
        if parts.path == f"/api/v1/namespaces/{NAMESPACE}/pods" and request.method == "GET":
            self.objects.used.add(("list", "pods"))
            return 200, self._listed(selector)
        status, found = self._of_objects(request)
        return status, json.dumps(found).encode()

    def _of_objects(self, request: "Request") -> tuple[int, dict[str, Any]]:
        if request.media_type == "application/merge-patch+json":
            parts = urlsplit(request.target)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            return self.objects.merged(parts.path, query, json.loads(request.body))
        return self.objects.answer(request.method, request.target, request.body)

    def _listed(self, selector: str) -> bytes:
        items = self.pods if selector == SELECTOR else []
        return json.dumps({"kind": "PodList", "items": items}).encode()


@dataclass(frozen=True)
class Request:
    """What the server was asked; `target` is the path with its query."""

    method: str
    target: str
    authorization: str
    media_type: str
    body: bytes


def pod(
    name: str = "registry-1",
    address: str = "127.0.0.1",
    *,
    sidecar: str | None = "running",
    registry: str = "running",
    phase: str = "Running",
    ending: bool = False,
) -> dict[str, Any]:
    """Return a pod with the collector as a native sidecar, None if it has none.

    `sidecar` and `registry` are `running`, or the reason for which the container waits.
    """
    states = {"docker-registry": registry} | ({"gc": sidecar} if sidecar else {})
    told = [{"name": name, "state": _state(state)} for name, state in states.items()]
    return {
        "metadata": {"name": name, **({"deletionTimestamp": "2026-01-01"} if ending else {})},
        "spec": {
            "containers": [{"name": "docker-registry"}],
            **({"initContainers": [{"name": "gc", "restartPolicy": "Always"}]} if sidecar else {}),
        },
        "status": {
            "phase": phase,
            **({"podIP": address} if address else {}),
            "containerStatuses": told[:1],
            **({"initContainerStatuses": told[1:]} if sidecar else {}),
        },
    }


def _state(state: str) -> Mapping[str, Any]:
    return {"running": {}} if state == "running" else {"waiting": {"reason": state}}


@contextmanager
def fake_kubernetes(certificate: Path | None = None) -> Iterator[FakeKubernetes]:
    """Serve on loopback, with TLS if there is a certificate (a file that also holds its key)."""
    api = FakeKubernetes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(api: FakeKubernetes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = self.headers
            status, body = api.answer(
                Request(
                    self.command,
                    self.path,
                    headers.get("Authorization", ""),
                    headers.get("Content-Type", ""),
                    content,
                )
            )
            self.send_response(status)
            if status in (429, 503) and api.retry_after:
                self.send_header("Retry-After", api.retry_after)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class asks by these

        def log_message(self, *_: Any, **__: Any) -> None:
            """Say nothing: the base class writes each request to standard error."""

    return Handler


def kubeconfig(folder: Path, port: int) -> Path:
    """Write how a person outside the cluster reaches the API; return the path."""
    path = folder / "kubeconfig.json"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "somebody"}}],
        "users": [{"name": "somebody", "user": {}}],
        "current-context": "fake",
    }
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def lead_to(fake: FakeKubernetes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients of this process find it by a person's kubeconfig, wherever the tests run."""
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    default = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    monkeypatch.setattr(default, str(kubeconfig(folder, fake.port)))


def certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that is its own authority; return a file with its key."""
    key, both = folder / "key.pem", folder / "both.pem"
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=fake", "-addext", "subjectAltName=IP:127.0.0.1",
        "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
        "-keyout", key, "-out", both,
    )  # fmt: skip
    both.write_text(both.read_text() + key.read_text())
    return both
