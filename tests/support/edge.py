"""Traefik at the cluster's edge: an Ingress controller and a Gateway, with a certificate of ours.

One for all tests of a session, which name a host below DOMAIN. It ends TLS; a registry that speaks
TLS itself is asked by https, because its Service's port is called so.
"""

import functools
import http.client
import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.certificates import Certificate, self_signed, signed_by
from support.checkout import ROOT
from support.client import Client, Refused, digest_of
from support.cluster import Cluster, Release
from support.run import run
from support.services import service_image
from support.waiting import until

NAMESPACE = "edge"
DOMAIN = "edge.test"
# The last that ci/ publishes on 127.0.0.1: tests count from the first. E2E_EDGE_PORT: for another.
PORT = int(os.environ.get("E2E_EDGE_PORT") or 30508)  # 30509 is that of `make demo`
GATEWAY = {"name": "public", "namespace": NAMESPACE, "sectionName": "https"}
NARROW = {**GATEWAY, "sectionName": "narrow"}
"""A listener for one host, of which no release is."""
CLASS = "traefik"
STATUS_ADDRESS = "192.0.2.10"  # what it tells as its own: one for documentation, of nobody's
BELIEVING = "registry@file"
"""A transport of Traefik's that believes our authority alone, for the name that follows."""
BELIEVED = "registry.pod.test"

_LISTENS = 8443
_LABELS = {"app": "traefik"}
_PING = 8080
_WATCHED = ("get", "list", "watch")
_RULES: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("", ("services", "secrets", "namespaces", "nodes", "configmaps"), _WATCHED),
    ("discovery.k8s.io", ("endpointslices",), _WATCHED),
    ("networking.k8s.io", ("ingresses", "ingressclasses"), _WATCHED),
    ("networking.k8s.io", ("ingresses/status",), ("update",)),
    (
        "gateway.networking.k8s.io",
        ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants"),
        _WATCHED,
    ),
    (
        "gateway.networking.k8s.io",
        ("gatewayclasses/status", "gateways/status", "httproutes/status", "grpcroutes/status"),
        ("update",),
    ),
]


@dataclass(frozen=True)
class Edge:
    """The controller that runs; `authority` signed its certificate and may sign others."""

    cluster: Cluster
    authority: Certificate
    folder: Path
    certificate: Certificate = field(init=False)

    def __post_init__(self) -> None:
        made = signed_by(self.authority, self.folder, f"DNS:*.{DOMAIN}", name="edge")
        object.__setattr__(self, "certificate", made)

    def host(self, release: Release) -> str:
        """Return a host name for a release, for which the certificate is good."""
        return f"{release.namespace}.{DOMAIN}"

    def client(
        self, host: str, *, timeout: float = 60, context: ssl.SSLContext | None = None
    ) -> Client:
        """Return a client of a host that believes our authority alone, or as `context` says."""
        context = context or ssl.create_default_context(cafile=str(self.authority.crt))
        return Client(
            f"https://{host}:{PORT}",
            timeout,
            connect=functools.partial(_Connection, host, context, timeout),
        )

    def answers(self, host: str) -> bool:
        """Say whether a registry answers by that name."""
        client = self.client(host, timeout=10)
        try:
            return client.request("GET", "/v2/").status == 200
        except Refused:
            return False
        finally:
            client.close()

    def wait_until_it_answers(self, host: str) -> None:
        """Wait until Traefik knows the route, and no pods but those that answer."""
        until(
            lambda: all(self.answers(host) for _ in range(6)),
            what=f"answers of {host}",
            timeout=120,
            pause=0.2,
        )

    def give_certificate(self, namespace: str, name: str, certificate: Certificate) -> None:
        """Put a certificate into a Secret."""
        command = [
            "create", "secret", "tls", name, "-n", namespace, f"--cert={certificate.crt}",
            f"--key={certificate.key}", "--dry-run=client", "-o", "yaml",
        ]  # fmt: skip
        self.cluster.kubectl("apply", "-f", "-", input=self.cluster.kubectl(*command))

    def curl(self, command: str) -> str:
        """Return a printed curl command as one that reaches this edge, by whatever name."""
        flags = f"--fail --silent --connect-to ::127.0.0.1:{PORT} --cacert {self.authority.crt}"
        return command.replace("curl ", f"curl {flags} ", 1)

    def say(self) -> str:
        """Return what Traefik has to say, for a test that failed."""
        return self.cluster.kubectl(
            "logs", "deployment/traefik", "-n", NAMESPACE, "--tail=60", check=False
        )


class _Connection(http.client.HTTPSConnection):
    """To a name that no resolver knows: the edge has all of them."""

    def __init__(self, host: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(host, PORT, timeout=timeout, context=context)
        self._name, self._tls = host, context

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", PORT), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._name)


def start_edge(cluster: Cluster, folder: Path) -> Edge:
    """Start Traefik, or find the one that an interrupted session has left and renew it."""
    image = service_image("traefik")
    _define_gateways(cluster)
    authority = self_signed(folder, f"DNS:{DOMAIN}", authority=True, name="edge-authority")
    edge = Edge(cluster, authority, folder)
    cluster.kubectl(*_APPLY, "-f", "-", input=_documents(_around()))
    edge.give_certificate(NAMESPACE, "edge-tls", edge.certificate)
    # For who asks by an address: that tells no name by which a certificate could be chosen.
    other = signed_by(authority, folder, f"IP:{STATUS_ADDRESS}", name="edge-default")
    edge.give_certificate(NAMESPACE, "default-tls", other)
    cluster.kubectl(*_APPLY, "-f", "-", input=_documents(_controller(image, authority)))
    cluster.kubectl(
        "rollout", "status", "deployment/traefik", "-n", NAMESPACE, "--timeout=120s", timeout=150
    )
    cluster.kubectl(
        "wait", "gateway/public", "-n", NAMESPACE, "--for=condition=Programmed", "--timeout=60s"
    )
    return edge


def stop_edge(cluster: Cluster) -> None:
    """Remove it; the definitions stay, as those of other tests do."""
    gone = ["--ignore-not-found", "--wait=false"]
    cluster.kubectl("delete", "namespace", NAMESPACE, *gone)
    for kind, name in (
        ("clusterrolebinding", "edge-traefik"),
        ("clusterrole", "edge-traefik"),
        ("ingressclass", CLASS),
        ("gatewayclass", CLASS),
    ):
        cluster.kubectl("delete", kind, name, *gone)


_APPLY = ("apply", "--server-side", "--force-conflicts")


def _documents(objects: list[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(objects)


def _define_gateways(cluster: Cluster) -> None:
    folder = Path(run("python3", ROOT / "ci/crds.py", timeout=300, cwd=ROOT).stdout.split()[-1])
    files = sorted(folder.glob("gateway.networking.k8s.io_*.yaml"))
    cluster.kubectl(*_APPLY, *(part for path in files for part in ("-f", str(path))))
    names = [yaml.safe_load(path.read_text())["metadata"]["name"] for path in files]
    cluster.kubectl("wait", "--for=condition=Established", "crd", *names, "--timeout=60s")


def _around() -> list[dict[str, Any]]:
    rules = [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
        for group, resources, verbs in _RULES
    ]
    rbac = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        _object("v1", "ServiceAccount", "traefik"),
        _object(f"{rbac}/v1", "ClusterRole", "edge-traefik", namespace="", rules=rules),
        _object(
            f"{rbac}/v1",
            "ClusterRoleBinding",
            "edge-traefik",
            namespace="",
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "edge-traefik"},
            subjects=[{"kind": "ServiceAccount", "name": "traefik", "namespace": NAMESPACE}],
        ),
        _object(
            "networking.k8s.io/v1",
            "IngressClass",
            CLASS,
            namespace="",
            spec={"controller": "traefik.io/ingress-controller"},
        ),
        _object(
            "gateway.networking.k8s.io/v1",
            "GatewayClass",
            CLASS,
            namespace="",
            spec={"controllerName": "traefik.io/gateway-controller"},
        ),
        _object(
            "gateway.networking.k8s.io/v1",
            "Gateway",
            "public",
            spec={
                "gatewayClassName": CLASS,
                "listeners": [
                    _listener("https"),
                    _listener("narrow", hostname=f"narrow.{DOMAIN}"),
                ],
            },
        ),
    ]


def _listener(name: str, **more: str) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": "HTTPS",
        # Of Traefik's entry point: outside it is the NodePort.
        "port": _LISTENS,
        "tls": {"certificateRefs": [{"name": "edge-tls"}]},
        "allowedRoutes": {"namespaces": {"from": "All"}},
        **more,
    }


def _controller(image: str, authority: Certificate) -> list[dict[str, Any]]:
    own = {"certFile": "/etc/tls/tls.crt", "keyFile": "/etc/tls/tls.key"}
    believing = {"serverName": BELIEVED, "rootCAs": ["/etc/edge/authority.crt"]}
    settings = {
        "http": {"serversTransports": {"registry": believing}},
        "tls": {"stores": {"default": {"defaultCertificate": own}}},
    }
    files = {
        "settings.yml": json.dumps(settings),
        "authority.crt": authority.crt.read_text(),
    }
    return [
        _object("v1", "ConfigMap", "traefik", data=files),
        _object(
            "v1",
            "Service",
            "traefik",
            spec={
                "type": "NodePort",
                "selector": _LABELS,
                "ports": [{"port": 443, "targetPort": _LISTENS, "nodePort": PORT}],
            },
        ),
        _object(
            "apps/v1",
            "Deployment",
            "traefik",
            spec={
                "selector": {"matchLabels": _LABELS},
                "strategy": {"type": "Recreate"},
                "template": {
                    # A new session has a new authority, which Traefik reads at its start.
                    "metadata": {"labels": _LABELS, "annotations": {"files": _short(files)}},
                    "spec": _pod(image),
                },
            },
        ),
    ]


def _pod(image: str) -> dict[str, Any]:
    return {
        "serviceAccountName": "traefik",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "traefik",
                "image": image,
                "args": [
                    "--global.checkNewVersion=false",
                    "--global.sendAnonymousUsage=false",
                    f"--entryPoints.edge.address=:{_LISTENS}",
                    # As in its Helm chart: what an Ingress says of TLS is only which certificate.
                    "--entryPoints.edge.http.tls=true",
                    # Its 60 s are for a whole upload: larger layers on slow lines would break off.
                    "--entryPoints.edge.transport.respondingTimeouts.readTimeout=0",
                    f"--entryPoints.traefik.address=:{_PING}",
                    "--ping=true",
                    "--log.noColor=true",
                    "--providers.providersThrottleDuration=100ms",
                    "--providers.kubernetesIngress=true",
                    f"--providers.kubernetesIngress.ingressEndpoint.ip={STATUS_ADDRESS}",
                    "--providers.kubernetesGateway=true",
                    f"--providers.kubernetesGateway.statusAddress.ip={STATUS_ADDRESS}",
                    "--providers.file.filename=/etc/edge/settings.yml",
                    # It asks pods by their addresses, for which no certificate is made.
                    "--serversTransport.insecureSkipVerify=true",
                ],
                "readinessProbe": {
                    "httpGet": {"path": "/ping", "port": _PING},
                    "periodSeconds": 1,
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                "volumeMounts": [
                    {"name": "files", "mountPath": "/etc/edge"},
                    {"name": "tls", "mountPath": "/etc/tls"},
                ],
            }
        ],
        "volumes": [
            {"name": "files", "configMap": {"name": "traefik"}},
            {"name": "tls", "secret": {"secretName": "default-tls", "defaultMode": 0o440}},
        ],
    }


def _object(
    version: str, kind: str, name: str, *, namespace: str = NAMESPACE, **content: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def _short(files: Mapping[str, str]) -> str:
    return digest_of(json.dumps(files, sort_keys=True).encode())[-12:]
