"""What a cluster and its nodes have of one release, however it was made."""

import json
from typing import Any

from support.cluster import Cluster, Release
from support.nodes import CERTS, Node
from support.run import ProgramError
from support.waiting import until

# Come and go by themselves with what is compared, or tell of the past.
_FLEETING = frozenset(
    {"Event", "Pod", "ReplicaSet", "EndpointSlice", "Endpoints", "ControllerRevision", "Lease",
     "PodMetrics", "Namespace"}
)  # fmt: skip


# Of nobody's release, and large.
_NOT_ASKED = ("events", "customresourcedefinitions", "componentstatuses", "apiservices", "nodes")


def _kinds(cluster: Cluster) -> str:
    listed = cluster.kubectl("api-resources", "--verbs=list", "-o", "name", "--cached=false")
    names = {name for name in listed.split() if name.split(".")[0] not in _NOT_ASKED}
    return ",".join(sorted(names))


def objects(release: Release, *, fleeting: bool = False) -> set[str]:
    """Return every object of the release's namespace, and all others of the cluster that name it.

    As KIND NAMESPACE/NAME, without Helm's own record. `fleeting` adds pods and what follows them,
    so that it can be seen that nothing runs any more.
    """
    cluster = release.cluster
    found: list[dict[str, Any]] = []

    def asked() -> bool:
        # A kind that another test takes away meanwhile fails the whole list.
        try:
            found[:] = cluster.get(_kinds(cluster), "-A", "--ignore-not-found")["items"]
        except ProgramError:
            return False
        return True

    until(asked, what="a list of all objects", timeout=120, pause=1)
    return {
        f"{each['kind']} {each['metadata'].get('namespace', '')}/{each['metadata']['name']}"
        for each in found
        if _is_of(each, release.namespace)
        and (each["kind"] not in _FLEETING or (fleeting and each["kind"] in ("Pod", "ReplicaSet")))
        and not each["metadata"]["name"].startswith("sh.helm.release.")
    }


def _is_of(found: dict[str, Any], namespace: str) -> bool:
    """Say whether an object is in a namespace or names it; nothing else is called like it."""
    metadata = {k: v for k, v in found["metadata"].items() if k != "managedFields"}
    return namespace in json.dumps({**found, "metadata": metadata})


def files(nodes: tuple[Node, ...], release: Release) -> set[str]:
    """Return what of a release is on nodes: files that name it, and folders that name its port."""
    found: set[str] = set()
    for node in nodes:
        listed = node.run("find", "/etc/containerd", "-mindepth", "1").splitlines()
        grep = ("grep", "-rl", release.namespace, "/etc/containerd")
        named = node.run(*grep, check=False).splitlines()
        ours = [
            each for each in listed if f":{release.port}" in each or f"-{release.port}." in each
        ]
        found |= {f"{node.name} {each.removeprefix(CERTS)}" for each in [*named, *ours]}
    return found
