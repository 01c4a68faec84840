"""A release says where it is reached, whatever leads to it, and keeps up with the cluster.

Behind an Ingress or a Gateway: test_endpoint_edges.py.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.client import image
from support.cluster import Cluster, Release
from support.endpoints import PUBLISHED, define, endpoint_of, refresh, row

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
INSIDE = {"service.type": "ClusterIP", "service.nodePort": ""}
HOSTING, DATA = "local-registry-hosting", "localRegistryHosting.v1"


@pytest.fixture(scope="session", autouse=True)
def definition(cluster: Cluster) -> None:
    define(cluster)


def nodes(cluster: Cluster) -> dict[str, str]:
    """Return the nodes' addresses by their names, the oldest node first."""
    found = sorted(
        cluster.get("nodes")["items"],
        key=lambda node: (node["metadata"]["creationTimestamp"], node["metadata"]["name"]),
    )
    return {
        node["metadata"]["name"]: next(
            each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"
        )
        for node in found
    }


def answers_inside(release: Release, url: str) -> bool:
    """Say whether a pod that asks gets an answer."""
    code = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=10).status)"
    return release.python(code).strip() == "200"


def pods_address(release: Release, port: int = 5000) -> str:
    return f"{release.fullname}.{release.namespace}.svc:{port}"


@pytest.fixture
def control_plane(cluster: Cluster) -> Iterator[str]:
    """Return the control plane, which kubeadm excludes; afterwards it is excluded again."""
    found = cluster.get("nodes", "-l", "node-role.kubernetes.io/control-plane")["items"]
    name = found[0]["metadata"]["name"]
    assert EXCLUDED in found[0]["metadata"]["labels"]
    yield name
    cluster.kubectl("label", "node", name, f"{EXCLUDED}=", "--overwrite")


@pytest.mark.xdist_group("nodes")
def test_a_node_port_and_nodes_that_come_and_go(release: Release, control_plane: str) -> None:
    """The oldest first; none that load balancers leave out; with `externalTrafficPolicy: Local`
    those that run a registry.

    Seen to fail: the label of excluded nodes not looked at; all nodes told in spite of `Local`.
    """
    cluster, port = release.cluster, release.port
    release.install(PUBLISHED)

    # Without the right to list nodes it says what is missing, and all that it knows.
    found = endpoint_of(release)
    assert found.spec == {"service": release.fullname}
    assert found.condition("Ready") == ("False", "NodeAddressesUnknown")
    assert "endpoint.nodeAddresses" in found.message("Ready")
    assert found.condition("Healthy") == ("True", "Answers")
    assert found.clients == ("http", [])
    assert found.pods == ("http", [pods_address(release)])
    assert found.nodes == [f"http://127.0.0.1:{port} by Pods"]

    release.install({**PUBLISHED, "endpoint.nodeAddresses": "true"})
    found = endpoint_of(release)
    by_node = {name: f"{address}:{port}" for name, address in nodes(cluster).items()}
    workers = [address for name, address in by_node.items() if name != control_plane]
    assert len(by_node) == len(workers) + 1 == 2
    assert found.clients == ("http", workers)
    assert found.condition("Ready") == ("True", "NodePort")
    assert found.nodes == [f"http://{each} by Pods" for each in (f"127.0.0.1:{port}", *workers)]
    shown = row(release)
    assert (shown["READY"], shown["EXPOSURE"], shown["SCHEME"]) == ("True", "NodePort", "http")
    assert shown["ADDRESS"] == workers[0]

    cluster.kubectl("label", "node", control_plane, f"{EXCLUDED}-")
    found = refresh(release)
    assert found.clients == ("http", list(by_node.values()))
    for address in found.clients[1]:
        assert answers_inside(release, f"http://{address}/v2/")

    release.cluster.kubectl(
        "patch", "service", release.fullname, "-n", release.namespace, "--patch",
        '{"spec": {"externalTrafficPolicy": "Local"}}',
    )  # fmt: skip
    serving = by_node[release.pod()["spec"]["nodeName"]]
    assert refresh(release).clients == ("http", [serving])


def give_address(release: Release, *ingress: dict[str, str]) -> None:
    """Do what the controller of a load balancer does."""
    release.cluster.kubectl(
        "patch", "service", release.fullname, "-n", release.namespace, "--subresource=status",
        "--type=merge", "--patch", json.dumps({"status": {"loadBalancer": {"ingress": ingress}}}),
    )  # fmt: skip


def test_a_load_balancer_that_gets_its_address_late(release: Release) -> None:
    """With the Service's port, not the NodePort; what is gone is told no longer.

    Seen to fail: the NodePort behind the load balancer's address; addresses kept that are gone.
    """
    # Helm would wait for the address, which nobody gives.
    release.install({**PUBLISHED, "service.type": "LoadBalancer"}, "--wait=hookOnly")
    release.wait_until_it_answers()

    found = refresh(release)
    assert found.condition("Ready") == ("False", "LoadBalancerPending")
    assert found.condition("Healthy") == ("True", "Answers")
    assert found.clients == ("http", [])
    shown = row(release)
    assert (shown["READY"], shown["EXPOSURE"], shown["ADDRESS"]) == ("False", "LoadBalancer", "")

    give_address(release, {"ip": "192.0.2.20"})
    found = refresh(release)
    assert found.clients == ("http", ["192.0.2.20:5000"])
    assert found.condition("Ready") == ("True", "LoadBalancer")

    give_address(release, {"hostname": "lb.example.com"}, {"ip": "192.0.2.21"})
    assert refresh(release).clients == ("http", ["lb.example.com:5000", "192.0.2.21:5000"])

    give_address(release)
    found = refresh(release)
    assert found.clients == ("http", [])
    assert found.condition("Ready") == ("False", "LoadBalancerPending")


def test_a_cluster_ip_and_the_last_collection(release: Release) -> None:
    """Only pods reach it; then by addresses of people's own. What others write does not stay.

    Seen to fail: a field of the spec that nobody of us applies, written by another; a collection
    forgotten with the sidecar that told of it.
    """
    release.install({"garbageCollect.enabled": "true"})
    release.wait_until_it_answers()
    gone = image("gone")
    release.client().push("app", gone, "gone")
    release.client().delete_manifest("app", gone.digest)

    release.install({**PUBLISHED, **INSIDE})
    found = endpoint_of(release)
    assert found.clients == ("http", [])
    assert found.pods == ("http", [pods_address(release)])
    assert found.nodes == []
    assert found.condition("Ready") == ("True", "ClusterIP")
    assert answers_inside(release, f"http://{found.pods[1][0]}/v2/")
    assert "lastCollection" not in found.status

    release.collect()
    last = refresh(release).status["lastCollection"]
    assert (last["result"], last["blobs"]) == ("Done", 4)
    assert last["freedBytes"] > sum(len(blob) for blob in gone.blobs)
    shown = row(release, "-o", "wide")
    assert (shown["NAMESPACE"], shown["NAME"]) == (release.namespace, release.fullname)
    assert (shown["READY"], shown["EXPOSURE"], shown["ADDRESS"]) == ("True", "ClusterIP", "")
    assert shown["RESULT"] == "Done"
    assert re.fullmatch(r"\d\.\d KiB", shown["FREED"]), shown
    assert re.fullmatch(r"\d+m?\d*s", shown["COLLECTED"]), shown
    assert (shown["READ-ONLY"], shown["PODS"]) == ("false", pods_address(release))
    assert shown["MESSAGE"] == "only pods of this cluster reach it"

    change(release, {"spec": {"service": "other"}})
    own = {"endpoint.addresses[0]": "registry.example.com", "endpoint.scheme": "https"}
    anew = {"podAnnotations.again": "yes"}  # and a new sidecar, which has nothing to tell
    release.install({**PUBLISHED, **INSIDE, **own, **anew})
    found = endpoint_of(release)
    assert found.spec == {
        "service": release.fullname,
        "addresses": ["registry.example.com"],
        "scheme": "https",
    }
    assert found.clients == ("https", ["registry.example.com"])
    assert found.condition("Ready") == ("True", "Addresses")
    assert found.status["lastCollection"] == last


def change(release: Release, patch: dict[str, Any]) -> None:
    """Write into the object, as somebody with an editor does."""
    release.cluster.kubectl(
        "patch", "registryendpoint", release.fullname, "-n", release.namespace, "--type=merge",
        "--patch", json.dumps(patch),
    )  # fmt: skip


def hosting(cluster: Cluster) -> Any:
    """Return what the ConfigMap of KEP-1755 says, nothing where there is none."""
    found = cluster.kubectl(
        "get", "configmap", HOSTING, "-n", "kube-public", "--ignore-not-found", "-o", "json"
    )
    return yaml.safe_load(json.loads(found)["data"][DATA]) if found else None


@pytest.fixture
def somebodys(cluster: Cluster) -> Iterator[dict[str, str]]:
    """Return what the ConfigMap says that a tool for local clusters has written."""
    said = {"host": "localhost:5001"}
    literal = f"--from-literal={DATA}={json.dumps(said)}"
    cluster.kubectl("create", "configmap", HOSTING, "-n", "kube-public", literal)
    yield said
    cluster.kubectl("delete", "configmap", HOSTING, "-n", "kube-public", "--ignore-not-found")


@pytest.mark.xdist_group("hosting")
def test_tools_for_local_clusters_find_it(release: Release, somebodys: dict[str, str]) -> None:
    """By the ConfigMap of KEP-1755; somebody else's stays as it is.

    Seen to fail: another release that published there meanwhile; a ConfigMap taken over whoever
    had made it; one left behind by an uninstall.
    """
    cluster, port = release.cluster, release.port
    release.install({**PUBLISHED, "endpoint.hosting": "true", "endpoint.nodeAddresses": "true"})
    assert hosting(cluster) == somebodys
    assert endpoint_of(release).condition("Ready") == ("True", "NodePort")

    cluster.kubectl("delete", "configmap", HOSTING, "-n", "kube-public")
    refresh(release)
    told = hosting(cluster)
    assert told.pop("help").startswith("https://")
    assert told == {
        "host": endpoint_of(release).clients[1][0],
        "hostFromContainerRuntime": f"127.0.0.1:{port}",
        "hostFromClusterNetwork": pods_address(release),
    }

    release.uninstall()
    assert hosting(cluster) is None
