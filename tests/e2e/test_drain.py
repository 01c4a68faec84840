"""Nodes that are emptied: what a budget forbids, and where pods and images then are.

It is the control plane's node that is drained, where no other test's pod runs, and only of the pods
of the release under test.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from support.client import Client, Manifest, image
from support.cluster import Cluster, Release
from support.on_cluster import install_with
from support.pushers import pushing
from support.services import start_service
from support.waiting import until

ON_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
# Rather there than on the other node, and on the other one if it must be.
RATHER_THERE = {
    "tolerations": [{"key": ON_CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "preference": {
                        "matchExpressions": [{"key": ON_CONTROL_PLANE, "operator": "Exists"}]
                    },
                }
            ]
        }
    },
}
# For object storage there is none in this version.
NO_COLLECTOR = {"garbageCollect.enabled": "false"}
KEYS = {"accessKey": "reader", "secretKey": "not so secret"}
TWO_ON_OBJECTS = {
    **RATHER_THERE,
    "replicaCount": 2,
    "storage": "s3",
    "s3": {
        "region": "us-east-1",
        "regionEndpoint": "http://seaweedfs:8333",
        "bucket": "images",
        "secure": False,
        "forcepathstyle": True,
    },
    "secrets": {"s3": KEYS},
    # Clients outside the cluster cannot follow to the object store.
    "configData": {"storage": {"redirect": {"disable": True}}},
}


@pytest.fixture
def node(cluster: Cluster) -> Iterator[str]:
    """Return the control plane's node; whatever happens, pods may run on it again afterwards."""
    found = cluster.get("nodes", "-l", ON_CONTROL_PLANE)["items"]
    name: str = found[0]["metadata"]["name"]
    yield name
    cluster.kubectl("uncordon", name)


@pytest.fixture
def objects(release: Release) -> None:
    """Run an object store in the release's namespace, on the node that is not drained."""
    start_service(
        release, "seaweedfs", 8333, "weed", "mini", "-dir=/data", "-bucket=images",
        "-admin.ui=false",
        env={
            "AWS_ACCESS_KEY_ID": KEYS["accessKey"],
            "AWS_SECRET_ACCESS_KEY": KEYS["secretKey"],
        },
    )  # fmt: skip


def drain(release: Release, node: str, timeout: str) -> str:
    """Drain a node of the release's pods; return what kubectl said."""
    return release.cluster.kubectl(
        "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={timeout}",
        f"--pod-selector=release={release.name},app=docker-registry", check=False, timeout=200,
    )  # fmt: skip


def where(release: Release) -> list[str]:
    return [pod["spec"].get("nodeName", "") for pod in release.pods()]


@pytest.mark.full
class TestTwoReplicas:
    """A store that both nodes reach, and a budget."""

    @pytest.mark.usefixtures("objects")
    def test_a_drain_waits_for_the_budget_and_no_push_fails(
        self, release: Release, node: str, runnable: Manifest, measured: Any
    ) -> None:
        """Seen to fail: `podDisruptionBudget: {}`; the first drain empties the node at once."""
        install_with(
            release,
            {**TWO_ON_OBJECTS, "podDisruptionBudget": {"minAvailable": 2}},
            given=NO_COLLECTOR,
        )
        release.wait_until_it_answers()
        assert where(release) == [node, node]
        before = {pod["metadata"]["uid"] for pod in release.pods()}
        # A name of its own, which no node has pulled for a test before.
        release.client().push(release.namespace, runnable, "run")

        refused = drain(release, node, "6s")

        assert "violate the pod's disruption budget" in refused, refused
        assert before == {pod["metadata"]["uid"] for pod in release.pods()}

        install_with(
            release,
            {**TWO_ON_OBJECTS, "podDisruptionBudget": {"minAvailable": 1}},
            given=NO_COLLECTOR,
        )
        with pushing(lambda: Client(f"http://{release.address}", timeout=15), slow=0) as pushes:
            pushes.wait_for_more(10)
            done = drain(release, node, "120s")
            pushes.wait_for_more(10)

        assert f"node/{node} drained" in done, done
        assert before.isdisjoint(pod["metadata"]["uid"] for pod in release.pods())
        assert node not in where(release)
        measured(f"two replicas drained: {pushes.count} pushes, {len(pushes.failed)} failed")
        assert not pushes.failed, pushes.kinds()
        for tag, manifest in pushes.acknowledged.items():
            pulled = release.client().pull("pushed", tag)
            assert (pulled.digest, pulled.missing) == (manifest.digest, ())
        release.run_pod("from-the-registry", f"{release.address}/{release.namespace}:run")


@pytest.mark.full
def test_a_volume_of_the_drained_node_waits_for_it_and_has_its_images(
    release: Release, node: str
) -> None:
    """A claim on a node's disk: the pod can run nowhere else, and loses nothing by waiting."""
    install_with(release, {**RATHER_THERE, "persistence": {"enabled": True, "size": "1Gi"}})
    release.wait_until_it_answers()
    kept = image("kept", layers=3)
    release.client().push("app", kept, "kept")
    assert where(release) == [node]

    done = drain(release, node, "120s")

    assert f"node/{node} drained" in done, done
    until(lambda: where(release) == [""], what="the pod waits for its volume's node", timeout=60)
    release.cluster.kubectl("uncordon", node)
    until(release.answers, what="the registry is back", timeout=120, pause=0.5)
    assert where(release) == [node]
    assert release.client().pull("app", "kept").missing == ()
    assert "Deleted 0 blobs" in release.collect()
