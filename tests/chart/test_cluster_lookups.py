"""What depends on what the cluster has: kept secrets, a kept address, the preflight's volume."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import HelmError, Object, differences, fake_cluster, merged, object_id, render
from support.chart import CHART, Helm, helm_of
from support.checkout import ROOT
from support.release_objects import OWNER, thing

COLLECTED = merged(ROOT / "ci" / "values" / "collected.yaml")

Upgrade = Callable[..., list[Object]]


@pytest.fixture(params=["helm", "helm3"])
def upgrade(request: pytest.FixtureRequest, tmp_path: Path) -> Upgrade:
    """Render an upgrade in a cluster that has these objects."""
    helm: Helm = request.param

    def upgraded(values: dict[str, Any], *objects: Object, first: bool = False) -> list[Object]:
        with fake_cluster(objects, tmp_path) as cluster:
            return render(
                values, chart=CHART, helm=helm_of(helm), upgrade=not first, kubeconfig=cluster
            )

    return upgraded


def find(objects: list[Object], name: str) -> Object:
    (found,) = (thing for thing in objects if object_id(thing) == name)
    return found


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_generated_secrets_are_kept(upgrade: Upgrade) -> None:
    """Seen to fail: without `lookup`; with another key than twuni's haSharedSecret (S1)."""
    rendered = upgrade(
        COLLECTED,
        thing("Secret", "test-docker-registry-secret", data={"haSharedSecret": encoded("kept")}),
        thing("Secret", "test-docker-registry-gc", data={"token": encoded("kept too")}),
    )
    secret = find(rendered, "Secret/test-docker-registry-secret")["data"]
    assert b64decode(secret["haSharedSecret"]) == b"kept"
    assert (
        b64decode(find(rendered, "Secret/test-docker-registry-gc")["data"]["token"]) == b"kept too"
    )


def test_a_given_secret_counts_more_than_a_kept_one(upgrade: Upgrade) -> None:
    """Seen to fail: `coalesce $kept .given`."""
    rendered = upgrade(
        {"secrets": {"haSharedSecret": "given"}},
        thing("Secret", "test-docker-registry-secret", data={"haSharedSecret": encoded("kept")}),
    )
    secret = find(rendered, "Secret/test-docker-registry-secret")["data"]
    assert b64decode(secret["haSharedSecret"]) == b"given"


def test_a_release_whose_service_has_another_name_keeps_it(upgrade: Upgrade) -> None:
    """Who comes from risadams has a Service `registry`, and clients that know its address.

    Seen to fail: without `lookup`.
    """
    rendered = upgrade({}, thing("Service", "registry"))
    assert find(rendered, "Service/registry")


def test_somebody_elses_service_is_left_alone(upgrade: Upgrade) -> None:
    """Seen to fail: any Service called `registry` taken for the release's own."""
    for owner in ({**OWNER, "meta.helm.sh/release-name": "other"}, {}):
        rendered = upgrade({}, thing("Service", "registry", owner=owner))
        assert find(rendered, "Service/test-docker-registry")


def test_a_node_port_that_the_old_service_holds_is_told_before(upgrade: Upgrade) -> None:
    """Helm makes the new Service first, and the cluster would refuse it.

    Seen to fail: portHolder that finds nothing; one that also counts another release's Service.
    """
    renamed = {"service": {"type": "NodePort", "nodePort": 30500, "nameOverride": "renamed"}}
    spec = {
        "selector": {"app": "docker-registry", "release": "test"},
        "ports": [{"port": 5000, "nodePort": 30500}],
    }
    with pytest.raises(HelmError, match=r"Set service\.nameOverride: test-docker-registry"):
        upgrade(renamed, thing("Service", "test-docker-registry", spec=spec))

    others = {**OWNER, "meta.helm.sh/release-name": "other"}
    assert find(
        upgrade(renamed, thing("Service", "test-docker-registry", owner=others, spec=spec)),
        "Service/renamed",
    )


CLAIM = "test-docker-registry"


def claim(mode: str) -> Object:
    return thing("PersistentVolumeClaim", CLAIM, spec={"accessModes": [mode]})


def workload(ready: int) -> Object:
    status = {"readyReplicas": ready} if ready else {}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}
    spec = {"template": {"spec": {"volumes": [volume], "containers": []}}}
    return thing("Deployment", "test-docker-registry", spec=spec, status=status)


@pytest.mark.parametrize(
    ("mode", "ready", "mounted", "beside"),
    [
        ("ReadWriteOnce", 1, True, True),
        ("ReadWriteOnce", 0, False, False),
        ("ReadWriteOncePod", 1, False, False),
        ("ReadWriteMany", 1, True, False),
        ("ReadWriteMany", 0, True, False),
    ],
)
def test_the_preflight_mounts_what_it_can_have(
    upgrade: Upgrade, mode: str, ready: int, mounted: bool, beside: bool
) -> None:
    """A Job that waits for a volume that it cannot have keeps the upgrade from ever happening.

    Seen to fail: ReadWriteOncePod mounted; the affinity asked for where no pod runs; none asked for
    beside a running one.
    """
    rendered = upgrade(COLLECTED, claim(mode), workload(ready))
    pod = find(rendered, "Job/test-docker-registry-preflight")["spec"]["template"]["spec"]
    claims = [
        v["persistentVolumeClaim"]["claimName"]
        for v in pod["volumes"]
        if len(v) == 2 and "persistentVolumeClaim" in v
    ]
    assert claims == ([CLAIM] if mounted else [])
    assert ("--write-test" in pod["containers"][0]["args"]) == mounted
    rules = (
        pod.get("affinity", {})
        .get("podAffinity", {})
        .get("requiredDuringSchedulingIgnoredDuringExecution", [])
    )
    expected = {"app": "docker-registry", "release": "test"}
    assert [rule["labelSelector"]["matchLabels"] for rule in rules] == [expected] * beside


def test_an_install_mounts_nothing(upgrade: Upgrade) -> None:
    """A claim that waits for its first pod would be bound to the Job's node.

    Seen to fail: .Release.IsUpgrade not asked for.
    """
    rendered = upgrade(COLLECTED, claim("ReadWriteMany"), workload(1), first=True)
    pod = find(rendered, "Job/test-docker-registry-preflight")["spec"]["template"]["spec"]
    assert "persistentVolumeClaim" not in str(pod)


def test_what_the_cluster_has_never_changes_the_pod(upgrade: Upgrade) -> None:
    """Or the first upgrade would restart the registry, and Argo CD could not render.

    Seen to fail: the write test left out of the pod where the preflight Job does it.
    """
    with_volume = upgrade(COLLECTED, claim("ReadWriteOnce"), workload(1))
    without = upgrade(COLLECTED)
    changed = {path.partition(":")[0] for path in differences(with_volume, without)}
    assert "Job/test-docker-registry-preflight" in changed
    assert "Deployment/test-docker-registry" not in changed
