"""Nodes of the kind cluster: the files by which they trust registries, and what kubelets pull."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

from support.cluster import Cluster, Release
from support.run import run
from support.waiting import until

CERTS = "/etc/containerd/certs.d"


@dataclass(frozen=True)
class Node:
    """One node, which is a container of the same name; `address` is its InternalIP."""

    name: str
    address: str

    def run(self, *command: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002 - see run
        """Run a command as root on the node; return what it printed."""
        done = run("docker", "exec", "-i", self.name, *command, input=input, check=check)
        return done.stdout

    def files(self) -> dict[str, str]:
        """Return all files by which its runtime trusts registries: path and content."""
        found = self.run("find", CERTS, "-type", "f").splitlines()
        return {path: self.run("cat", path, check=False) for path in sorted(found)}

    def trust_of(self, release: Release) -> dict[str, str]:
        """Return those that carry the release's mark, by their path below certs.d."""
        # Whether the owner goes on after the release's name is the chart's business.
        mark = re.compile(rf"# .*registry-gc.* {release.namespace}/{release.name}[ /]")
        return {
            path.removeprefix(f"{CERTS}/"): content
            for path, content in self.files().items()
            if mark.match(content)
        }

    def hosts(self, release: Release) -> set[str]:
        """Return the hosts that it trusts by the release's files."""
        return {path.split("/")[0] for path in self.trust_of(release)}

    @contextmanager
    def file(self, path: str, content: str) -> Iterator[str]:
        """Have a file of a person's below certs.d meanwhile; its path on the node."""
        whole = f"{CERTS}/{path}"
        self.run("mkdir", "-p", whole.rpartition("/")[0])
        self.run("tee", whole, input=content)
        try:
            yield whole
        finally:
            self.remove(path)

    def remove(self, path: str) -> None:
        """Remove a file below certs.d, and its folder if it is empty then."""
        whole = f"{CERTS}/{path}"
        self.run("rm", "-f", whole)
        self.run("rmdir", whole.rpartition("/")[0], check=False)


def nodes_of(cluster: Cluster) -> tuple[Node, ...]:
    """Return the cluster's nodes, the control plane first."""
    found = [
        Node(
            each["metadata"]["name"],
            next(a["address"] for a in each["status"]["addresses"] if a["type"] == "InternalIP"),
        )
        for each in cluster.get("nodes")["items"]
    ]
    return tuple(sorted(found, key=lambda node: "control-plane" not in node.name))


@dataclass
class Pulls:
    """Pods that pull on nodes of their own choice: `Always`, so that the registry is asked."""

    release: Release

    def pull(self, *wanted: tuple[Node, str], timeout: float = 180) -> None:
        """Have each node pull and run its image; fail with what the kubelet says."""
        names = [self._pod(node, image) for node, image in wanted]
        try:
            until(
                lambda: all(self._phase(name) == "Succeeded" for name in names),
                what="pods ran what their nodes have pulled",
                timeout=timeout,
                pause=0.5,
            )
        except AssertionError as error:
            said = "\n".join(message for name in names for message in self._messages(name))
            raise AssertionError(f"{error}\n{said}") from error
        for name in names:
            assert any("Successfully pulled" in said for said in self._messages(name)), name
        self._remove(*names)

    def refusal(self, node: Node, image: str) -> str:
        """Return why a node cannot pull an image."""
        name = self._pod(node, image)
        failed = self._failure(name, image)
        self._remove(name)
        return failed

    @contextmanager
    def failing(self, node: Node, image: str) -> Iterator[str]:
        """Have a pod that cannot pull, and see it run at the end; yields what its kubelet says."""
        name = self._pod(node, image)
        yield self._failure(name, image)
        until(
            lambda: self._phase(name) == "Succeeded",
            what=f"the pod that could not pull {image} runs",
            timeout=180,  # a kubelet tries again after 10, 20, 40 s
            pause=0.5,
        )
        self._remove(name)

    def _pod(self, node: Node, image: str) -> str:
        name = f"pull-{uuid.uuid4().hex[:6]}"
        container: dict[str, Any] = {
            "name": "main",
            "image": image,
            "imagePullPolicy": "Always",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        spec = {
            "nodeName": node.name,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        metadata = {"name": name}
        self.release.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        return name

    def _failure(self, name: str, image: str) -> str:
        said = until(
            lambda: [said for said in self._messages(name) if "Failed to pull" in said],
            what=f"{image} cannot be pulled",
            timeout=60,
            pause=0.5,
        )
        return said[0]

    def _phase(self, name: str) -> str:
        pod = self.release.cluster.get("pod", name, "-n", self.release.namespace)
        phase = str(pod["status"].get("phase", ""))
        assert phase != "Failed", pod["status"]
        return phase

    def _messages(self, name: str) -> list[str]:
        found = self.release.cluster.get(
            "events", "-n", self.release.namespace, "--field-selector",
            f"involvedObject.kind=Pod,involvedObject.name={name}",
        )  # fmt: skip
        return [each.get("message", "") for each in found["items"]]

    def _remove(self, *names: str) -> None:
        self.release.cluster.kubectl(
            "delete", "pod", *names, "-n", self.release.namespace, "--wait=false"
        )


@dataclass(frozen=True)
class Trusting:
    """A release that the nodes with our own label trust, by a DaemonSet in a namespace of its own.

    No other test knows the label and `host`, so that nodes may be shared.
    """

    release: Release
    nodes: tuple[Node, ...]

    @property
    def namespace(self) -> str:
        """The DaemonSet's, which lets it have its hostPath."""
        return f"{self.release.namespace}-trust"

    @property
    def host(self) -> str:
        """One name by which every node finds the registry, without any DNS."""
        return f"registry-{self.release.port}.lan:5000"

    @property
    def label(self) -> str:
        """The key of the label."""
        return f"trust.example.com/{self.release.namespace[-40:]}"

    def values(self, *, via: str = "Loopback", **others: Any) -> dict[str, Any]:
        """Return the values of a release that nodes trust; a run begins each minute."""
        endpoint = {"enabled": True, "nodeAddresses": True, "schedule": "* * * * *"}
        return {
            "endpoint": endpoint,
            "nodeTrust": {
                "enabled": True,
                "namespace": self.namespace,
                "host": self.host,
                "via": via,
                "interval": "2s",
                "nodeSelector": {self.label: "yes"},
            },
            **others,
        }

    def choose(self, *nodes: Node) -> None:
        """Label nodes."""
        for node in nodes:
            self.release.cluster.kubectl("label", "node", node.name, f"{self.label}=yes")

    def images(self, tag: str) -> tuple[str, str]:
        """Return an image's names: by the one host, and by the address of the last node."""
        address = f"{self.nodes[-1].address}:{self.release.port}"
        return f"{self.host}/app:{tag}", f"{address}/app:{tag}"

    def pull_everywhere(self, tag: str) -> None:
        """Have each node pull an image by both names, once the NodePort answers everywhere."""
        Pulls(self.release).pull(*product(self.nodes, self.images(tag)))

    def remove_leftovers(self) -> None:
        """Remove what a run that was killed has left for this port: it would be in our way."""
        ours = {self.host, *(f"{node.address}:{self.release.port}" for node in self.nodes)}
        for node in self.nodes:
            for path, content in node.files().items():
                below = path.removeprefix(f"{CERTS}/")
                if below.split("/")[0] in ours and "Made by registry-gc" in content:
                    node.remove(below)

    def pods(self) -> list[str]:
        """Return the names of the DaemonSet's pods."""
        found = self.release.cluster.get("pods", "-n", self.namespace)["items"]
        return sorted(each["metadata"]["name"] for each in found)


@contextmanager
def trusting(release: Release) -> Iterator[Trusting]:
    """Have what such a release needs meanwhile; nodes are as before afterwards."""
    cluster = release.cluster
    made = Trusting(release, nodes_of(cluster))
    made.remove_leftovers()
    cluster.kubectl("create", "namespace", made.namespace)
    enforce = "pod-security.kubernetes.io/enforce=privileged"
    cluster.kubectl("label", "namespace", made.namespace, enforce)
    try:
        yield made
    finally:
        cluster.helm("uninstall", release.name, "-n", release.namespace, "--wait", check=False)
        cluster.kubectl("delete", "daemonsets", "--all", "-n", made.namespace, check=False)
        cluster.kubectl("wait", "--for=delete", "pods", "--all", "-n", made.namespace, check=False)
        cluster.kubectl("delete", "namespace", made.namespace, "--wait=false", check=False)
        cluster.kubectl("label", "nodes", "--all", f"{made.label}-", check=False)
        for node in made.nodes:
            for path in node.trust_of(release):
                node.remove(path)
