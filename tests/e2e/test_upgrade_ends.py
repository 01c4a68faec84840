"""What stays and what goes when a release that moved over is uninstalled."""

import pytest

from e2e.conftest import Start
from support.peers import RISADAMS, STABLE, TWUNI, Peer
from support.upgrading import Moving
from support.waiting import until

# What every namespace has.
_OF_THE_CLUSTER = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
_KINDS = (
    "all,configmap,secret,pvc,serviceaccount,role,rolebinding,networkpolicy,ingress,"
    "poddisruptionbudget"
)


def left(moving: Moving) -> set[str]:
    """Return what the namespace has, but for what every namespace has."""
    release = moving.release
    names = release.cluster.kubectl("get", _KINDS, "-n", release.namespace, "-o", "name").split()
    found = {name.replace("rbac.authorization.k8s.io/", "") for name in names}
    return {name for name in found if not name.startswith("event")} - _OF_THE_CLUSTER


def uninstall(moving: Moving) -> None:
    release = moving.release
    release.cluster.helm(
        "uninstall", release.name, "-n", release.namespace, "--wait", version=moving.way.moved_with
    )
    until(
        lambda: not any(name.startswith("pod/") for name in left(moving)),
        what="its pods are gone", timeout=120, pause=0.5,
    )  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("way", ["3-to-3", "3-to-4-server-side"])
def test_only_the_claim_outlives_an_uninstall(start: Start, way: str) -> None:
    """And the images on it, which the next install of the same name finds.

    Seen to fail: `persistence.keep=false`; a preflight Job without `hook-succeeded`.
    """
    moving = start(TWUNI, way)
    image = moving.push("before")
    moving.upgrade()
    later = moving.push("after")

    uninstall(moving)

    assert left(moving) == {f"persistentvolumeclaim/{moving.release.fullname}"}
    moving.install({})
    moving.assert_pulls(image, later)


@pytest.mark.full
@pytest.mark.parametrize(
    ("peer", "kept"), [(STABLE, False), (TWUNI, False), (RISADAMS, True)],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_a_rollback_gives_back_what_the_peer_does_with_the_claim(
    start: Start, peer: Peer, kept: bool
) -> None:
    """Two of the three delete the images with the release, also after a visit here.

    docs/migrating says so. Seen to fail: with `kept` the other way round.
    """
    moving = start(peer, "4-to-4")
    moving.upgrade({"garbageCollect.enabled": "false"})
    moving.rollback()
    moving.push("after")

    uninstall(moving)

    claim = {f"persistentvolumeclaim/{moving.release.fullname}"} if kept else set()
    until(lambda: left(moving) == claim, what=f"only {claim} is left", timeout=60, pause=0.5)
