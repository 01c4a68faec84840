"""What clients notice when the registry's pods are replaced while they push."""

from collections.abc import Callable

import pytest

from support.client import Client
from support.cluster import Release
from support.host_clients import HostClients
from support.oci_layout import valid_image
from support.pushers import Pushes, pushing
from support.upgrading import Watch
from support.waiting import until

ON_A_CLAIM = {"persistence.enabled": "true", "persistence.size": "1Gi"}
TWO = {**ON_A_CLAIM, "replicaCount": "2"}
# A volume that one node mounts: the chart's own way ends a pod before the next starts. Both pods
# are on that node, so they may overlap.
OVERLAPPING = {
    "updateStrategy.rollingUpdate.maxSurge": "1",
    "updateStrategy.rollingUpdate.maxUnavailable": "0",
}


def client(release: Release) -> Client:
    """Return a client that does not wait for ever for a pod that is gone."""
    return Client(f"http://{release.address}", timeout=15)


def pods_of_now(release: Release) -> set[str]:
    """Return all pods of the release, also those that are about to end."""
    found = release.cluster.get(
        "pods", "-n", release.namespace, "-l", f"app=docker-registry,release={release.name}"
    )
    return {pod["metadata"]["uid"] for pod in found["items"]}


def wait_until_replaced(release: Release, old: set[str]) -> None:
    until(
        lambda: not old & pods_of_now(release) and len(release.pods()) == len(old),
        what="none of the old pods",
        timeout=180,
        pause=0.5,
    )


def restart(release: Release, _: dict[str, str]) -> None:
    release.cluster.kubectl(
        "rollout", "restart", f"deployment/{release.fullname}", "-n", release.namespace
    )


def upgrade(release: Release, values: dict[str, str]) -> None:
    release.install({**values, "podAnnotations.changed": "yes"})


def assert_whole(release: Release, pushes: Pushes) -> None:
    """Every acknowledged image pulls, and no refused one is there by half."""
    client = release.client()
    for tag, manifest in pushes.acknowledged.items():
        pulled = client.pull("pushed", tag)
        assert (pulled.digest, pulled.missing) == (manifest.digest, ()), tag
    for tag, manifest, _ in pushes.failed:
        answer = client.request("HEAD", f"/v2/pushed/manifests/{tag}")
        assert answer.status in (200, 404)
        if answer.status == 200:
            assert client.pull("pushed", tag).missing == ()
        client.push("pushed", manifest, tag)
        assert client.pull("pushed", tag).missing == ()


@pytest.mark.parametrize(
    ("strategy", "replace"),
    [
        pytest.param(OVERLAPPING, restart, id="overlapping-restart"),
        pytest.param(OVERLAPPING, upgrade, id="overlapping-upgrade", marks=pytest.mark.full),
        pytest.param({}, restart, id="one-by-one-restart", marks=pytest.mark.full),
        pytest.param({}, upgrade, id="one-by-one-upgrade", marks=pytest.mark.full),
    ],
)
def test_no_push_fails_while_two_replicas_are_replaced(
    release: Release,
    strategy: dict[str, str],
    replace: Callable[[Release, dict[str, str]], None],
    measured: Callable[[str], None],
) -> None:
    """Seen to fail: `preStopDelay: 0`; the node's proxy still sends to a pod that has ended."""
    values = {**TWO, **strategy}
    release.install(values)
    release.wait_until_it_answers()
    old = pods_of_now(release)
    crane = HostClients(release.scratch, release.address)

    with Watch(release.port) as watch, pushing(lambda: client(release)) as pushes:
        pushes.wait_for_more(20)
        replace(release, values)
        number = 0
        while number == 0 or old & pods_of_now(release):
            number += 1
            crane.push(valid_image(number), f"crane:{number}")
        wait_until_replaced(release, old)
        pushes.wait_for_more(20)

    # On a busy machine an answer may take more than the second that the watch allows.
    measured(
        f"two replicas, {replace.__name__}, {'overlapping' if strategy else 'one by one'}: "
        f"{pushes.count} pushes, {len(pushes.failed)} failed; {number} by crane; {watch}"
    )
    assert not pushes.failed, pushes.kinds()
    assert_whole(release, pushes)
    assert crane.pull_digest(f"crane:{number}") == valid_image(number).digest


@pytest.mark.full
def test_one_replica_is_away_for_moments_and_refuses_cleanly(
    release: Release, measured: Callable[[str], None]
) -> None:
    """A volume for one node: the old pod ends first. What was refused is refused as a whole, and
    goes through when it is tried again.

    Seen to fail: `maxSurge: 1` in `updateStrategy`; nothing is refused then on a single node.
    """
    release.install(ON_A_CLAIM)
    release.wait_until_it_answers()
    old = pods_of_now(release)

    with Watch(release.port) as watch, pushing(lambda: client(release)) as pushes:
        pushes.wait_for_more(10)
        restart(release, {})
        wait_until_replaced(release, old)
        release.wait_until_it_answers()
        pushes.wait_for_more(10)

    measured(
        f"one replica replaced: {pushes.count} pushes, {len(pushes.failed)} refused "
        f"({'; '.join(pushes.kinds())}); {watch}"
    )
    assert pushes.failed, "nothing was refused: this shows nothing"
    assert {error.status for *_, error in pushes.failed} <= {0, 503}, pushes.kinds()
    assert 0 < watch.downtime < 30
    assert_whole(release, pushes)
