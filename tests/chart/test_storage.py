"""Where the images are: a volume, a claim, a StatefulSet's claims."""

from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import Object, fake_cluster, problems
from helm_chart_test.fixtures import Renderer
from support.workload import mounts_of, of_kind, spec_of, volumes_of, workload

CLAIM = {"persistence": {"enabled": True}}
STATEFUL: dict[str, Any] = {"useStatefulSet": True, **CLAIM}


def claim_of(objects: list[Object]) -> Object:
    (claim,) = of_kind(objects, "PersistentVolumeClaim").values()
    return claim


@pytest.mark.parametrize(
    ("persistence", "source"),
    [
        ({}, {"emptyDir": {}}),
        ({"enabled": True}, {"persistentVolumeClaim": {"claimName": "test-docker-registry"}}),
        ({"existingClaim": "mine"}, {"persistentVolumeClaim": {"claimName": "mine"}}),
    ],
)
def test_the_store_is_where_the_values_say(
    render: Renderer, persistence: dict[str, Any], source: dict[str, Any]
) -> None:
    """Seen to fail: existingClaim that also wants `enabled`."""
    rendered = render({"persistence": persistence})
    (volume,) = (v for v in spec_of(rendered)["volumes"] if v["name"] == "data")
    assert volume == {"name": "data", **source}
    claims = [thing for thing in rendered if thing["kind"] == "PersistentVolumeClaim"]
    assert len(claims) == (persistence == {"enabled": True})


def test_the_claim_outlives_the_release_unless_told(render: Renderer) -> None:
    """Seen to fail: the annotation whatever `keep` says."""
    for keep in (True, False):
        rendered = render({"persistence": {"enabled": True, "keep": keep}})
        (claim,) = (thing for thing in rendered if thing["kind"] == "PersistentVolumeClaim")
        annotations = claim["metadata"].get("annotations", {})
        assert annotations.get("helm.sh/resource-policy") == ("keep" if keep else None)


def test_no_class_and_any_class_are_two_answers(render: Renderer) -> None:
    """Seen to fail: `-` as the class's name."""
    for given, expected in (("-", ""), ("fast", "fast"), ("", None)):
        rendered = render({"persistence": {"enabled": True, "storageClass": given}})
        (claim,) = (thing for thing in rendered if thing["kind"] == "PersistentVolumeClaim")
        assert claim["spec"].get("storageClassName") == expected


def test_a_claim_is_what_people_ask_for(render: Renderer) -> None:
    """Seen to fail: `accessMode` beside `accessModes`; the volume's name without its template."""
    persistence = {
        "enabled": True,
        "accessModes": ["ReadWriteMany", "ReadOnlyMany"],
        "size": "1Ti",
        "volumeName": "{{ .Release.Name }}-images",
        "selector": {"matchLabels": {"disk": "{{ .Release.Namespace }}"}},
        "labels": {"backup": "nightly"},
        "annotations": {"backup.example.com/of": "{{ .Release.Name }}"},
    }
    claim = claim_of(render({"persistence": persistence, "commonLabels": {"team": "images"}}))
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany", "ReadOnlyMany"],
        "resources": {"requests": {"storage": "1Ti"}},
        "volumeName": "test-images",
        "selector": {"matchLabels": {"disk": "test-ns"}},
    }
    assert {"backup": "nightly", "team": "images"}.items() <= claim["metadata"]["labels"].items()
    assert claim["metadata"]["annotations"] == {
        "backup.example.com/of": "test",
        "helm.sh/resource-policy": "keep",
    }


def test_the_class_of_a_parent_chart_fills_a_gap(render: Renderer) -> None:
    """Seen to fail: the global class over the claim's own, which then could not be upgraded."""
    for own, expected in (("", "global"), ("fast", "fast"), ("-", "")):
        values = {"persistence": {"enabled": True, "storageClass": own}}
        claim = claim_of(render({**values, "global": {"storageClass": "global"}}))
        assert claim["spec"]["storageClassName"] == expected


def test_a_claim_of_yours_may_be_named_by_the_release(render: Renderer) -> None:
    """Seen to fail: the braces as the claim's name."""
    rendered = render({"persistence": {"existingClaim": "{{ .Release.Name }}-mine"}})
    assert volumes_of(rendered)["data"]["persistentVolumeClaim"]["claimName"] == "test-mine"


def test_images_without_a_volume_may_have_a_limit(render: Renderer) -> None:
    """Seen to fail: `sizeLimit: "0"`, which evicts the pod at its first image."""
    for size, expected in (("0", {}), (0, {}), ("5Gi", {"sizeLimit": "5Gi"})):
        assert volumes_of(render({"emptydir": {"size": size}}))["data"]["emptyDir"] == expected


def test_several_access_modes_are_looked_at_before_a_rollout(render: Renderer) -> None:
    """Seen to fail: `accessMode` alone asked."""
    values: dict[str, Any] = {"enabled": True, "accessModes": ["ReadOnlyMany", "ReadWriteMany"]}
    assert "strategy" not in workload(render({"persistence": values}))["spec"]
    values = {"enabled": True, "accessMode": "ReadWriteMany", "accessModes": ["ReadWriteOnce"]}
    assert workload(render({"persistence": values}))["spec"]["strategy"]["rollingUpdate"]


def test_a_stateful_set_has_claims_of_its_own(render: Renderer) -> None:
    """As risadams renders it: what cannot be changed is the same.

    Seen to fail: the volume `data` beside the template's; `chart` among the template's labels,
    which no upgrade could change; `strategy` in place of `updateStrategy`.
    """
    values = {**STATEFUL, "persistence": {"enabled": True, "labels": {"backup": "nightly"}}}
    values["updateStrategy"] = {"type": "OnDelete"}
    rendered = render({**values, "replicaCount": 2, "commonLabels": {"team": "images"}})
    assert not of_kind(rendered, "Deployment")
    assert not of_kind(rendered, "PersistentVolumeClaim")
    assert problems(rendered, kube_version="1.29") == []
    found = workload(rendered)
    assert (found["kind"], found["metadata"]["name"]) == ("StatefulSet", "test-docker-registry")
    spec = found["spec"]
    assert spec["selector"] == {"matchLabels": {"app": "docker-registry", "release": "test"}}
    assert spec["serviceName"] == "test-docker-registry"
    assert spec["replicas"] == 2
    assert "strategy" not in spec
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    assert spec["volumeClaimTemplates"] == [
        {
            "metadata": {"name": "data", "labels": {"backup": "nightly"}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}},
            },
        }
    ]
    assert "data" not in volumes_of(rendered)
    assert mounts_of(rendered)["data"] == "/var/lib/registry/"


def test_a_stateful_set_without_a_claim_renders(render: Renderer) -> None:
    """Seen to fail: `volumeClaimTemplates` whatever the store is."""
    s3 = {"storage": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}}
    for more in ({}, s3, {"persistence": {"existingClaim": "mine", "enabled": True}}):
        rendered = render({"useStatefulSet": True, **more})
        assert "volumeClaimTemplates" not in workload(rendered)["spec"]
        assert ("data" in volumes_of(rendered)) == (more is not s3)


def test_a_stateful_sets_claims_outlive_it_unless_told(render: Renderer) -> None:
    """Seen to fail: `whenDeleted: Retain` whatever `keep` says."""
    for keep, expected in ((True, "Retain"), (False, "Delete")):
        rendered = render({**STATEFUL, "persistence": {"enabled": True, "keep": keep}})
        policy = workload(rendered)["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert policy == {"whenDeleted": expected, "whenScaled": "Retain"}


def test_another_charts_stateful_set_becomes_ours(render: Renderer, tmp_path: Path) -> None:
    """risadams' claim template carries the chart's version, which an upgrade cannot change.

    Seen to fail: the labels from the values, whatever the cluster has.
    """
    theirs = {"app": "docker-registry", "chart": "docker-registry-4.0.2"}
    there = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": "test-docker-registry",
            "namespace": "test-ns",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "test",
                "meta.helm.sh/release-namespace": "test-ns",
            },
        },
        "spec": {
            "serviceName": "theirs",
            "volumeClaimTemplates": [{"metadata": {"name": "data", "labels": theirs}}],
        },
    }
    with fake_cluster([there], tmp_path) as kubeconfig:
        spec = workload(render(STATEFUL, kubeconfig=kubeconfig))["spec"]
    assert spec["serviceName"] == "theirs"
    assert spec["volumeClaimTemplates"][0]["metadata"]["labels"] == theirs


def test_what_scales_and_checks_looks_for_the_right_kind(render: Renderer) -> None:
    """Seen to fail: `kind: Deployment` in hpa.yaml."""
    for values, kind in ((STATEFUL, "StatefulSet"), (CLAIM, "Deployment")):
        rendered = render({**values, "autoscaling": {"enabled": True}, "replicaCount": 3})
        (scaler,) = of_kind(rendered, "HorizontalPodAutoscaler").values()
        assert scaler["spec"]["scaleTargetRef"]["kind"] == kind
        assert "replicas" not in workload(rendered)["spec"]


def test_each_pod_of_a_stateful_set_is_collected_alone(render: Renderer) -> None:
    """Each has a store of its own, as in an emptyDir; others are none of its peers.

    Seen to fail: GC_PEERS_HOST for claimTemplate.
    """
    rendered = render({**STATEFUL, "garbageCollect": {"enabled": True}})
    names = [container["name"] for container in spec_of(rendered)["initContainers"]]
    assert names == ["gc-write-test", "gc"]
    collector = spec_of(rendered)["initContainers"][1]
    assert "GC_PEERS_HOST" not in {entry["name"] for entry in collector["env"]}
