"""An upgrade never loses the images: not the claim, and not the way to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import HelmError, Object, fake_cluster, object_id, render
from support.chart import CHART, Helm, helm_of
from support.release_objects import OWNER, thing

NAME = "test-docker-registry"
SPEC = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "50Gi"}},
    "storageClassName": "fast",
    "volumeName": "pv-1",
}
S3 = {"storage": "s3", "s3": {"bucket": "b", "region": "r"}}
KEPT = {"helm.sh/resource-policy": "keep"}

Upgrade = Callable[..., dict[str, Object]]


def running(claim: str = NAME, app: str = "docker-registry") -> Object:
    """The workload that the cluster has; `claim` empty: an object store."""
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    spec = {
        "selector": {"matchLabels": {"app": app, "release": "test"}},
        "template": {"spec": {"volumes": [volume] if claim else [], "containers": []}},
    }
    return thing("Deployment", NAME, spec=spec)


@pytest.fixture(params=["helm", "helm3"])
def upgrade(request: pytest.FixtureRequest, tmp_path: Path) -> Upgrade:
    """Render an upgrade in a cluster with these objects; the objects by their names."""
    helm: Helm = request.param

    def upgraded(values: dict[str, Any], *objects: Object) -> dict[str, Object]:
        with fake_cluster(objects, tmp_path) as cluster:
            rendered = render(
                values, chart=CHART, helm=helm_of(helm), upgrade=True, kubeconfig=cluster
            )
        return {object_id(each): each for each in rendered}

    return upgraded


@pytest.mark.parametrize(
    "values",
    [
        S3,
        {"persistence": {"existingClaim": "another"}},
        {"persistence": {"hostPath": {"path": "/srv/images"}}},
    ],
    ids=["object store", "another claim", "folder of the node"],
)
def test_a_claim_that_nothing_would_keep_is_written_once_more(
    upgrade: Upgrade, values: dict[str, Any]
) -> None:
    """The charts before made it without the annotation, and what is no longer written Helm deletes.

    Seen to fail: write the claim only where it is used.
    """
    claim = thing("PersistentVolumeClaim", NAME, spec=SPEC)

    written = upgrade(values, claim, running())[f"PersistentVolumeClaim/{NAME}"]

    assert written["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert written["spec"] == SPEC


def test_a_claim_that_is_kept_is_not_written_any_more(upgrade: Upgrade) -> None:
    """Seen to fail: write it whatever its annotations say."""
    claim = thing("PersistentVolumeClaim", NAME, owner={**OWNER, **KEPT}, spec=SPEC)
    others = thing(
        "PersistentVolumeClaim",
        NAME,
        owner={**OWNER, "meta.helm.sh/release-name": "other"},
        spec=SPEC,
    )
    for found in (claim, others):
        assert f"PersistentVolumeClaim/{NAME}" not in upgrade(S3, found, running(""))


def test_values_that_were_forgotten_do_not_empty_the_registry(upgrade: Upgrade) -> None:
    """`helm upgrade --set x=y` drops all values of before, and with them the claim.

    Seen to fail: without contradictions.emptyStore; with it for a registry on another storage.
    """
    with pytest.raises(HelmError, match=f"the images of this release are in the claim {NAME}"):
        upgrade({}, running())

    assert f"Deployment/{NAME}" in upgrade({"persistence": {"enabled": True}}, running())
    assert f"Deployment/{NAME}" in upgrade({}, running(""))


def test_a_stateful_set_does_not_begin_beside_the_images(upgrade: Upgrade) -> None:
    """Seen to fail: without the second sentence of contradictions.emptyStore."""
    asked = {"useStatefulSet": True, "persistence": {"enabled": True}}
    with pytest.raises(HelmError, match=rf"Set persistence\.existingClaim: {NAME}"):
        upgrade(asked, running())

    followed = {"useStatefulSet": True, "persistence": {"enabled": True, "existingClaim": NAME}}
    pod = upgrade(followed, running())[f"StatefulSet/{NAME}"]["spec"]["template"]["spec"]
    claims = [v["persistentVolumeClaim"] for v in pod["volumes"] if "persistentVolumeClaim" in v]
    assert claims == [{"claimName": NAME}]


def test_a_secret_of_the_release_is_nobody_elses(upgrade: Upgrade) -> None:
    """It would not be written any more, and Helm would delete it under the pods that read it.

    Seen to fail: without contradictions.ownSecrets.
    """
    own = f"{NAME}-secret"
    with pytest.raises(HelmError, match=f"existingSecret is {own}, which this release makes"):
        upgrade({"existingSecret": own}, thing("Secret", own))


def test_a_selector_that_cannot_change_is_told_before(upgrade: Upgrade) -> None:
    """Helm changes the Service first, which would then lead nowhere.

    Seen to fail: without the comparison with the workload that runs.
    """
    values = {"nameOverride": "images", "fullnameOverride": NAME}
    with pytest.raises(HelmError, match="Set nameOverride as it was"):
        upgrade(values, running(""))


def test_another_name_does_not_delete_the_claim(upgrade: Upgrade) -> None:
    """Seen to fail: without contradictions.renamed; with it also for a claim that is kept."""
    values = {"fullnameOverride": "images", "persistence": {"enabled": True}}
    with pytest.raises(HelmError, match=f"Helm would delete the claim {NAME} with all images"):
        upgrade(values, thing("PersistentVolumeClaim", NAME, spec=SPEC))

    kept = thing("PersistentVolumeClaim", NAME, owner={**OWNER, **KEPT}, spec=SPEC)
    assert "Deployment/images" in upgrade(values, kept)


def test_a_parents_storage_class_leaves_a_claim_as_it_is(upgrade: Upgrade) -> None:
    """A claim's class cannot be changed. Seen to fail: global.storageClass for every claim."""
    values = {"persistence": {"enabled": True}, "global": {"storageClass": "slow"}}
    claim = f"PersistentVolumeClaim/{NAME}"

    written = upgrade(values, thing("PersistentVolumeClaim", NAME, spec=SPEC), running())

    assert written[claim]["spec"]["storageClassName"] == "fast"
    assert upgrade(values)[claim]["spec"]["storageClassName"] == "slow"
