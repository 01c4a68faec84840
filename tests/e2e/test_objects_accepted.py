"""The API takes every object that the chart can make, with the real definitions of other kinds.

Nothing is created: `--dry-run=server` runs admission, defaults and validation, and stores nothing.
NetworkPolicies are only taken: the network of the cluster that is made where no image can be pulled
enforces none (docs/develop/cluster.md), so what they stop is not tested.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.checkout import ROOT
from support.cluster import Cluster, Release
from support.run import run

EVERYTHING: dict[str, Any] = {
    "replicaCount": 2,
    "persistence": {"enabled": True, "accessMode": "ReadWriteMany"},
    "podDisruptionBudget": {"maxUnavailable": 1},
    "autoscaling": {"enabled": True},
    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    "serviceAccount": {"create": True},
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
        }
    ],
    "ingress": {
        "enabled": True,
        "hosts": ["registry.example.com"],
        "tls": [{"secretName": "registry-tls", "hosts": ["registry.example.com"]}],
    },
    "httproute": {
        "enabled": True,
        "parentRefs": [{"name": "gateway", "namespace": "gateways"}],
        "hostnames": ["registry.example.com"],
        "timeouts": {"request": "0s"},
    },
    "networkPolicy": {
        "enabled": True,
        "allowExternal": False,
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"builds": "yes"}}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "egress": {"enabled": True, "rules": [{"ports": [{"port": 53, "protocol": "UDP"}]}]},
    },
    "metrics": {
        "enabled": True,
        "serviceMonitor": {"enabled": True, "scrapeTimeout": "10s"},
        "podMonitor": {"enabled": True},
        "prometheusRule": {
            "enabled": True,
            "rules": [{"alert": "RegistryDown", "expr": "up == 0", "for": "5m"}],
        },
    },
    "garbageCollect": {"enabled": True},
}
KINDS = {
    "ConfigMap", "CronJob", "Deployment", "HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "Job",
    "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget", "PodMonitor",
    "PrometheusRule", "Role", "RoleBinding", "Secret", "Service", "ServiceAccount",
    "ServiceMonitor",
}  # fmt: skip


@pytest.fixture(scope="module")
def definitions(cluster: Cluster) -> None:
    """Have the definitions of other projects' kinds in the cluster; they stay."""
    folder = run("python3", ROOT / "ci/crds.py", timeout=300, cwd=ROOT).stdout.split()[-1]
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", folder)
    names = [
        yaml.safe_load(path.read_text())["metadata"]["name"] for path in Path(folder).glob("*.yaml")
    ]
    cluster.kubectl("wait", "--for=condition=Established", "crd", *names, "--timeout=60s")


def rendered(release: Release, values: dict[str, Any]) -> list[dict[str, Any]]:
    path = release.scratch / "values.json"
    path.write_text(json.dumps(values))
    done = release.cluster.helm(
        "template", release.name, str(release.chart), "-n", release.namespace,
        "--values", str(path), "--dry-run=server",
    )  # fmt: skip
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.mark.usefixtures("definitions")
def test_every_kind_of_object_is_accepted(release: Release) -> None:
    """Seen to fail: a rule of the NetworkPolicy with `protocol: HTTP`."""
    objects = rendered(release, EVERYTHING)
    stateful = rendered(release, {**EVERYTHING, "useStatefulSet": True, "autoscaling": {}})

    for each in (objects, stateful):
        release.cluster.kubectl(
            "apply", "--dry-run=server", "-f", "-", "-n", release.namespace,
            input=yaml.safe_dump_all(each),
        )  # fmt: skip

    assert {each["kind"] for each in objects} >= KINDS
    assert "StatefulSet" in {each["kind"] for each in stateful}
