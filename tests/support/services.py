"""Services beside the registry on the cluster: Redis, an object store, metrics of pods."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from support.checkout import ROOT
from support.cluster import Cluster, Release
from support.run import run
from support.waiting import until

_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def service_image(name: str) -> str:
    """Have a service's image, made on first use, and load it into the cluster; return its name."""
    done = run("python3", ROOT / "ci/services.py", "image", name, timeout=1800, cwd=ROOT)
    return done.stdout.split()[-1]


def start_service(
    release: Release,
    name: str,
    port: int,
    *command: str,
    env: Mapping[str, str] | None = None,
    secret: str = "",
) -> None:
    """Run a service of `ci/services.py` as a pod in the release's namespace, behind a Service.

    What it keeps is gone with it. It sees the files of a `secret` in /secret.
    """
    labels = {"service": name}
    container: dict[str, Any] = {
        "name": "main",
        "image": service_image(name),
        "command": list(command),
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "workingDir": "/data",
        "ports": [{"containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "securityContext": _RESTRICTED,
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    volumes: list[dict[str, Any]] = [
        {"name": "data", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if secret:
        volumes.append({"name": "secret", "secret": {"secretName": secret}})
        container["volumeMounts"].append({"name": "secret", "mountPath": "/secret"})
    release.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "runAsGroup": 1000,
                    "fsGroup": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
                "volumes": volumes,
            },
        }
    )
    release.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": port}]},
        }
    )
    release.cluster.kubectl(
        "wait", "-n", release.namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=120s",
        timeout=150,
    )  # fmt: skip


def in_service(release: Release, name: str, *command: str) -> str:
    """Run a command in a service's pod; return what it printed."""
    return release.cluster.kubectl("exec", "-n", release.namespace, name, "--", *command)


@contextmanager
def pod_metrics(cluster: Cluster) -> Iterator[None]:
    """Run metrics-server in the cluster until the end of the block, unless it has one."""
    if _has_metrics(cluster):
        yield
        return
    image = service_image("metrics-server")
    asked = ("python3", ROOT / "ci/services.py", "source", "metrics-server")
    source = Path(run(*asked, timeout=600).stdout.split()[-1]) / "manifests/base"
    objects = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(source))))
    for each in objects:
        if each["kind"] == "Deployment":
            _for_kind(each["spec"]["template"]["spec"]["containers"][0], image)
    manifest = yaml.safe_dump_all(objects)
    cluster.kubectl("apply", "-f", "-", input=manifest)
    try:
        # The first numbers come after two scrapes.
        until(lambda: _has_metrics(cluster), what="metrics of pods", timeout=120, pause=1)
        yield
    finally:
        cluster.kubectl("delete", "-f", "-", "--ignore-not-found", input=manifest)


def _for_kind(container: dict[str, Any], image: str) -> None:
    """Let metrics-server talk to kubelets whose certificates nobody signed."""
    container["image"] = image
    container["imagePullPolicy"] = "IfNotPresent"
    container["args"] = [
        *(each for each in container["args"] if not each.startswith("--metric-resolution")),
        "--kubelet-insecure-tls",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]


def _has_metrics(cluster: Cluster) -> bool:
    told = cluster.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes", check=False)
    try:
        return bool(json.loads(told)["items"])
    except (ValueError, LookupError):
        return False  # not there, or nothing scraped yet
