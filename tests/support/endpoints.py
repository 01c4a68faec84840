"""The RegistryEndpoint of a release on the cluster, and how it is brought up to date."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.checkout import ROOT
from support.cluster import Cluster, Release

PUBLISHED = {"endpoint.enabled": "true", "endpoint.schedule": "0 0 1 1 *"}
"""Values: a RegistryEndpoint that only changes when a test says so."""


@dataclass(frozen=True)
class Endpoint:
    """A RegistryEndpoint as it was read."""

    document: Mapping[str, Any]

    @property
    def spec(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["spec"]
        return found

    @property
    def status(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document.get("status", {})
        return found

    @property
    def clients(self) -> tuple[str, list[str]]:
        """The scheme and the addresses for clients outside."""
        group = self.status["clients"]
        return group["scheme"], group["addresses"]

    @property
    def pods(self) -> tuple[str, list[str]]:
        """The scheme and the addresses for pods."""
        group = self.status["pods"]
        return group["scheme"], group["addresses"]

    @property
    def nodes(self) -> list[str]:
        """What image names may begin with, and what is asked: `http://HOST by Pods`."""
        return [f"{each['scheme']}://{each['host']} by {each['trust']}"
                for each in self.status["nodes"]]  # fmt: skip

    def condition(self, kind: str) -> tuple[str, str]:
        """Return a condition's status and its reason."""
        found = self._condition(kind)
        return found["status"], found["reason"]

    def message(self, kind: str) -> str:
        """Return the sentence of a condition."""
        return str(self._condition(kind)["message"])

    def _condition(self, kind: str) -> Mapping[str, Any]:
        conditions: list[Mapping[str, Any]] = self.status["conditions"]
        return next(each for each in conditions if each["type"] == kind)


def define(cluster: Cluster) -> None:
    """Bring the definition up to date, as docs/exposing.md says: Helm never does it."""
    crd = ROOT / "chart/crds/registryendpoints.yaml"
    # In Helm's name, or the next install of any release by Helm 4 may be refused.
    by = ("--server-side", "--force-conflicts", "--field-manager=helm")
    cluster.kubectl("apply", *by, "-f", str(crd))
    cluster.kubectl(
        "wait", "--for=condition=Established", "crd/registryendpoints.docker-registry.dev",
        "--timeout=60s",
    )  # fmt: skip


def endpoint_of(release: Release) -> Endpoint:
    """Return the RegistryEndpoint as it is."""
    return Endpoint(
        release.cluster.get("registryendpoint", release.fullname, "-n", release.namespace)
    )


def refresh(release: Release) -> Endpoint:
    """Do what a person does who cannot wait for the schedule; return what came of it."""
    name = f"now-{uuid.uuid4().hex[:5]}"
    release.cluster.kubectl(
        "create", "job", name, f"--from=cronjob/{release.fullname}-endpoint", "-n",
        release.namespace,
    )  # fmt: skip
    succeeded, said = release.job_logs(name)
    assert succeeded, said
    return endpoint_of(release)


def row(release: Release, *flags: str) -> dict[str, str]:
    """Return what `kubectl get registryendpoints -A` prints of a release, by its columns."""
    head, *rows = release.cluster.kubectl("get", "registryendpoints", "-A", *flags).splitlines()
    (mine,) = (each for each in rows if each.split()[:2] == [release.namespace, release.fullname])
    columns = list(re.finditer(r"\S+", head))
    ends = [*(each.start() for each in columns[1:]), None]
    return {
        each[0]: mine[each.start() : end].strip() for each, end in zip(columns, ends, strict=True)
    }
