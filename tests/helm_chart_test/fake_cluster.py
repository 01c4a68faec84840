"""A cluster that has some objects and answers Helm's `lookup`; it runs nothing and keeps nothing.

Only what `helm template --dry-run=server` asks: which kinds there are, and single objects. Helm 4
also looks for what it would overwrite: an object of the release must say so, by the label
`app.kubernetes.io/managed-by` and the annotations `meta.helm.sh/release-name` and `-namespace`.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from helm_chart_test.objects import Object

Kinds = Mapping[str, Sequence[str]]

_KINDS: dict[str, Sequence[str]] = {
    "v1": ("ConfigMap", "PersistentVolumeClaim", "Pod", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("DaemonSet", "Deployment", "StatefulSet"),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "batch/v1": ("CronJob", "Job"),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
}


@contextmanager
def fake_cluster(
    objects: Iterable[Object],
    folder: Path,
    *,
    kinds: Mapping[str, Sequence[str]] | None = None,
    unreadable: Collection[str] = (),
) -> Iterator[Path]:
    """Serve these namespaced objects on loopback; yield the path of a kubeconfig in `folder`.

    `kinds` are what the cluster serves besides: `{"example.com/v1": ["Example"]}`; `unreadable` are
    those of which Helm's user may read none.
    """
    known = _KINDS | dict(kinds or {})
    answers = _discovery(known) | {_path(thing, known): thing for thing in objects}
    hidden = tuple(f"/{_plural(kind)}/" for kind in unreadable)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answers, hidden))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield _kubeconfig(folder, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(answers: dict[str, Any], hidden: tuple[str, ...]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            code, answer = 200, answers.get(path)
            if any(part in path for part in hidden):
                code, answer = 403, _status("Forbidden", 403)
            elif answer is None:
                code, answer = 404, _status("NotFound", 404)
            body = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any, **__: Any) -> None:
            """Say nothing: the base class writes each request to standard error."""

    return Handler


def _status(reason: str, code: int) -> dict[str, Any]:
    said = {"status": "Failure", "reason": reason, "message": reason, "code": code}
    return {"apiVersion": "v1", "kind": "Status", **said}


def _discovery(known: Kinds) -> dict[str, Any]:
    groups = [version.split("/") for version in known if "/" in version]
    return {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "groups": [_group(*names) for names in groups]},
    } | {
        _root(version): {
            "kind": "APIResourceList",
            "groupVersion": version,
            "resources": [
                {
                    "name": _plural(kind),
                    "kind": kind,
                    "namespaced": not kind.startswith("Cluster"),
                    "verbs": ["get"],
                }
                for kind in kinds
            ],
        }
        for version, kinds in known.items()
    }


def _group(name: str, version: str) -> dict[str, Any]:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _path(thing: Object, known: Kinds) -> str:
    if thing["kind"] not in known.get(thing["apiVersion"], ()):
        raise AssertionError(f"this cluster does not know {thing['apiVersion']} {thing['kind']}")
    metadata = thing["metadata"]
    folder = f"{_root(thing['apiVersion'])}/namespaces/{metadata['namespace']}"
    return f"{folder}/{_plural(thing['kind'])}/{metadata['name']}"


def _plural(kind: str) -> str:
    lower = kind.lower()
    return (
        f"{lower[:-1]}ies" if lower.endswith("y") else lower + ("es" if lower[-1] == "s" else "s")
    )


def _kubeconfig(folder: Path, port: int) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {}}],
        "current-context": "fake",
    }
    path = folder / "kubeconfig.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
