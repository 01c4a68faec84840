"""A Kubernetes API on loopback that lists pods, and refuses to when a test tells it."""

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

from support.run import run

NAMESPACE = "registry"
SELECTOR = "app=docker-registry,release=test"


@dataclass
class FakeKubernetes:
    """`refusals` are the statuses that the next requests get before any gets the pods.

    `asked` has the path, the label selector and the Authorization header of each request.
    """

    pods: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    content: bytes | None = None
    port: int = 0

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        parts = urlsplit(path)
        selector = parse_qs(parts.query).get("labelSelector", [""])[0]
        self.asked.append((parts.path, selector, authorization))
        if self.refusals:
            return self.refusals.pop(0), b'{"kind": "Status"}'
        if self.content is not None:
            return 200, self.content
        if (parts.path, selector) != (f"/api/v1/namespaces/{NAMESPACE}/pods", SELECTOR):
            return 200, b'{"kind": "PodList", "items": []}'
        return 200, json.dumps({"kind": "PodList", "items": self.pods}).encode()


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
            status, body = api.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

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
