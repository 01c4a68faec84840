"""The definition of RegistryEndpoints under a group of a test's own: nobody else sees it."""

import copy
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.cluster import CHART, Cluster
from support.waiting import until

FILE = CHART / "crds/registryendpoints.yaml"
GROUP = "docker-registry.dev"


@dataclass(frozen=True)
class Definition:
    """The chart's definition, renamed; `group` is known to nobody else."""

    cluster: Cluster
    group: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}.example.com")

    @property
    def name(self) -> str:
        return f"registryendpoints.{self.group}"

    @property
    def text(self) -> str:
        """The chart's file, as it is but for the group."""
        return FILE.read_text("utf-8").replace(GROUP, self.group)

    def older(self) -> dict[str, Any]:
        """Return it as an earlier version could have been: without a field and a column."""
        made = copy.deepcopy(yaml.safe_load(self.text))
        (version,) = made["spec"]["versions"]
        columns = version["additionalPrinterColumns"]
        version["additionalPrinterColumns"] = [each for each in columns if each["name"] != "Freed"]
        schema = version["schema"]["openAPIV3Schema"]["properties"]
        del schema["spec"]["properties"]["withdrawn"]
        return dict(made)

    def chart(self, folder: Path) -> Path:
        """Write a chart of nothing but the older definition, as Helm installs it."""
        made = folder / "chart-of-a-definition"
        (made / "crds").mkdir(parents=True)
        (made / "Chart.yaml").write_text("apiVersion: v2\nname: older\nversion: 1.0.0\n")
        (made / "crds/registryendpoints.yaml").write_text(yaml.safe_dump(self.older()))
        return made

    def endpoint(self, spec: Mapping[str, Any] | None, name: str = "registry") -> dict[str, Any]:
        """Return an object of it; without a spec if None."""
        made: dict[str, Any] = {
            "apiVersion": f"{self.group}/v1alpha1",
            "kind": "RegistryEndpoint",
            "metadata": {"name": name},
        }
        return made if spec is None else {**made, "spec": dict(spec)}

    def wait(self) -> None:
        """Wait until objects of it can be made."""
        self.cluster.kubectl("wait", "--for=condition=Established", f"crd/{self.name}")
        until(
            lambda: "Error" not in self.cluster.kubectl("get", self.name, check=False),
            what=f"{self.name} is served",
        )
        # What it is explained by comes a moment later.
        until(
            lambda: "FIELDS" in self.explain("spec", check=False),
            what=f"{self.name} is explained",
            pause=0.5,
        )

    def explain(self, path: str, *, check: bool = True) -> str:
        """Return what `kubectl explain` says of a field."""
        of = ("--api-version", f"{self.group}/v1alpha1")
        return self.cluster.kubectl("explain", f"registryendpoints.{path}", *of, check=check)

    def remove(self) -> None:
        self.cluster.kubectl("delete", "crd", self.name, "--ignore-not-found", "--wait=false")


@contextmanager
def defined(cluster: Cluster, manager: str = "kubectl") -> Iterator[Definition]:
    """Have the definition in the cluster meanwhile, as `manager` applies it."""
    made = Definition(cluster)
    by = f"--field-manager={manager}"
    cluster.kubectl("apply", "--server-side", by, "-f", "-", input=made.text)
    try:
        made.wait()
        yield made
    finally:
        made.remove()


def refusal(cluster: Cluster, namespace: str, document: Mapping[str, Any]) -> str:
    """Return what the API says against an object that is only tried; empty if nothing."""
    said = cluster.kubectl(
        "create", "--dry-run=server", "-f", "-", "-n", namespace, "-o", "name",
        input=json.dumps(document), check=False,
    )  # fmt: skip
    return "" if said.startswith("registryendpoint") else said


def status_refusal(cluster: Cluster, namespace: str, name: str, status: Mapping[str, Any]) -> str:
    """Return what the API says against a status that is only tried; `name` is KIND/NAME."""
    said = cluster.kubectl(
        "patch", name, "-n", namespace, "--subresource=status", "--type=merge",
        "--dry-run=server", "-o", "name", "-p", json.dumps({"status": status}), check=False,
    )  # fmt: skip
    return "" if said.startswith("registryendpoint") else said
