"""Moving over with values, and from states, that are known to break an upgrade elsewhere."""

from typing import Any

import pytest

from e2e.conftest import Measured, Start
from support.chart import Helm
from support.peers import PEERS, RISADAMS, STABLE, TWUNI, Peer
from support.upgrading import WAYS, Moving, Watch

# Nothing but the question: a collection is a test of its own.
PLAIN = {"garbageCollect.enabled": "false"}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


@pytest.mark.full
@pytest.mark.parametrize("way", ["3-to-3", "3-to-4-server-side", "4-to-4"])
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_reuse_values_moves_over_too(
    start: Start, peer: Peer, way: str, measured: Measured
) -> None:
    """Every value of the peer's defaults is kept, and none of ours is known.

    Seen to fail: a template without `docker-registry.useDefaults`.
    """
    moving = start(peer, way)
    image = moving.push("before")
    before = moving.standing()

    with Watch(moving.release.port) as there:
        moving.upgrade(reuse="--reuse-values")
    measured(f"{peer.title}, {way}, --reuse-values: there {there}")

    assert moving.standing() == before
    assert moving.left_over() == []
    moving.assert_pulls(image)
    assert "Deleted" in moving.release.collect()
    moving.push("after")


@pytest.mark.full
@EVERY_WAY
def test_an_address_that_the_cluster_chose_stays(start: Start, way: str) -> None:
    """No nodePort was given, so nothing that we render says which one it is.

    Seen to fail: a new name for the Service of risadams (no `lookup`).
    """
    moving = start(RISADAMS, way, {"service.nodePort": "null", **PLAIN}, reachable=False)
    before = moving.standing()
    assert before.node_port

    moving.upgrade(PLAIN)
    assert moving.standing() == before

    moving.rollback()
    assert moving.standing() == before


@pytest.mark.full
@EVERY_WAY
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_what_is_around_the_registry_moves_too(start: Start, peer: Peer, way: str) -> None:
    """An Ingress keeps its class and its backend, a budget its selector; metrics have a new port.

    Seen to fail: `ingress.className` rendered as it is, which is no longer `nginx` by default.
    """
    around = {
        **PLAIN,
        "ingress.enabled": "true",
        "ingress.hosts[0]": "registry.example.com",
        "podDisruptionBudget.maxUnavailable": "1",
        "service.annotations.team": "platform",
        "podLabels.team": "platform",
        **({} if peer is STABLE else {"metrics.enabled": "true"}),
    }
    moving = start(peer, way, around)
    image = moving.push("before")
    before = moving.standing(), _spec(moving, "ingress"), _spec(moving, "poddisruptionbudget")
    assert before[1].get("ingressClassName") == ("nginx" if peer is TWUNI else None)

    moving.upgrade(PLAIN)

    assert moving.left_over() == []
    after = moving.standing(), _spec(moving, "ingress"), _spec(moving, "poddisruptionbudget")
    assert after == before
    moving.assert_pulls(image)
    moving.rollback()
    assert (moving.standing(), _spec(moving, "ingress")) == before[:2]


@pytest.mark.full
@EVERY_WAY
def test_recreate_is_taken(start: Start, way: str) -> None:
    """W1: from no strategy to `Recreate`, at the latest with the second upgrade.

    Seen to fail: `docker-registry.strategy` with `rollingUpdate: null` alone, from Helm 4 to 4.
    """
    moving = start(TWUNI, way, PLAIN)
    image = moving.push("before")
    recreate = {**PLAIN, "updateStrategy.type": "Recreate"}

    for _ in range(2):
        moving.upgrade(recreate)
        if way == "4-to-4":
            numbers = {"maxSurge": 0, "maxUnavailable": "100%"}
            assert _deployment(moving)["spec"]["strategy"]["rollingUpdate"] == numbers
            moving.upgrade(recreate)
        assert _deployment(moving)["spec"]["strategy"] == {"type": "Recreate"}
        moving.assert_pulls(image)
        moving.rollback()
        moving.assert_pulls(image)


@pytest.mark.full
@EVERY_WAY
def test_an_autoscaled_release_moves_over(start: Start, way: str, measured: Measured) -> None:
    """W2: the peers render `replicas` beside the autoscaler, which is then its owner.

    Seen to fail: `replicas` rendered under an autoscaler, with Helm 4.
    """
    scaled = {**PLAIN, "autoscaling.enabled": "true", "autoscaling.maxReplicas": "3"}
    moving = start(TWUNI, way, scaled)
    image = moving.push("before")
    name, namespace = moving.release.fullname, moving.release.namespace
    kubectl = moving.release.cluster.kubectl
    # As the autoscaler's controller does: through `scale`, by another manager than Helm.
    kubectl("scale", f"deployment/{name}", "--replicas=2", "-n", namespace)
    kubectl("rollout", "status", f"deployment/{name}", "-n", namespace)

    moving.upgrade(PLAIN)
    first = _deployment(moving)["spec"]["replicas"]
    kubectl("scale", f"deployment/{name}", "--replicas=2", "-n", namespace)
    moving.upgrade({**PLAIN, "podAnnotations.changed": "yes"})

    assert _deployment(moving)["spec"]["replicas"] == 2
    moving.assert_pulls(image)
    measured(f"{way}: 2 replicas under an autoscaler, {first} after moving over, 2 ever after")


@pytest.mark.full
@pytest.mark.parametrize("moved_with", ["helm3", "helm"])
def test_what_was_changed_by_hand_is_named(start: Start, moved_with: Helm) -> None:
    """A field changed with kubectl has another manager: Helm 4 refuses and names it.

    Seen to fail: without `--force-conflicts`.
    """
    way = {"helm3": "3-to-3", "helm": "4-to-4"}[moved_with]
    moving = start(TWUNI, way, PLAIN)
    image = moving.push("before")
    moving.release.cluster.kubectl(
        "patch", f"deployment/{moving.release.fullname}", "-n", moving.release.namespace,
        "--type=json", "--field-manager=somebody", "-p",
        '[{"op": "replace", "path": "/spec/template/spec/containers/0/imagePullPolicy",'
        ' "value": "Never"}]',
    )  # fmt: skip
    moving.release.cluster.kubectl(
        "rollout", "status", f"deployment/{moving.release.fullname}", "-n", moving.release.namespace
    )

    said = moving.try_upgrade(PLAIN)
    if moved_with == "helm":
        assert 'conflict with "somebody"' in said, said
        assert "imagePullPolicy" in said
        moving.upgrade(PLAIN, "--force-conflicts")

    moving.assert_pulls(image)
    moving.push("after")


def _spec(moving: Moving, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = moving.release.cluster.get(
        kind, moving.release.fullname, "-n", moving.release.namespace
    )["spec"]
    return found


def _deployment(moving: Moving) -> dict[str, Any]:
    found: dict[str, Any] = moving.release.cluster.get(
        "deployment", moving.release.fullname, "-n", moving.release.namespace
    )
    return found
