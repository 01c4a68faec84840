"""The known defects of other charts' pods (W1 to W10), each absent here."""

from typing import Any

import pytest

from helm_chart_test import containers, pod_template
from helm_chart_test.fixtures import Renderer
from support.rendered import (
    every,
    one,
    pod_of,
    registry_container,
    registry_env,
    registry_pod,
    workload,
)

CLAIM: dict[str, Any] = {"persistence": {"enabled": True}}
SHARED: dict[str, Any] = {"persistence": {"enabled": True, "accessMode": "ReadWriteMany"}}


@pytest.mark.parametrize(
    "values",
    [CLAIM, {"persistence": {"existingClaim": "c"}}, {"persistence": {"hostPath": {"path": "/s"}}}],
)
def test_w1_the_old_pod_leaves_the_volume_first(render: Renderer, values: dict[str, Any]) -> None:
    """Or the new one waits for it for ever. Not `Recreate`: an upgrade to it is refused."""
    strategy = workload(render(values))["spec"]["strategy"]
    rolling = {"maxSurge": 0, "maxUnavailable": 1}
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": rolling}


def test_w1_recreate_takes_away_what_the_cluster_filled_in(render: Renderer) -> None:
    """Server-side apply refuses `Recreate` beside a `rollingUpdate`."""
    strategy = workload(render({"updateStrategy": {"type": "Recreate"}}))["spec"]["strategy"]
    assert strategy == {"type": "Recreate", "rollingUpdate": None}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_w2_an_autoscaler_has_the_number_of_replicas_to_itself(render: Renderer, kind: str) -> None:
    rendered = render({"autoscaling": {"enabled": True}, "useStatefulSet": kind == "StatefulSet"})
    assert workload(rendered)["kind"] == kind
    assert "replicas" not in workload(rendered)["spec"]
    assert one(rendered, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["kind"] == kind


@pytest.mark.parametrize(
    "values",
    [
        {"replicaCount": 2},
        {"replicaCount": 2, **CLAIM},
        {"autoscaling": {"enabled": True}, **CLAIM},
        {"autoscaling": {"enabled": True}},
    ],
    ids=["in their pods", "on one node's volume", "autoscaled on it", "autoscaled in their pods"],
)
def test_w3_replicas_that_would_not_share_their_images_are_named(
    render: Renderer, values: dict[str, Any]
) -> None:
    assert "Several replicas" in render.notes(values)
    assert "Several replicas" not in render.notes({"replicaCount": 2, **SHARED})


def test_w4_probes_ask_where_the_registry_listens(render: Renderer) -> None:
    values = {"configData": {"http": {"addr": "0.0.0.0:5555"}}}
    container = registry_container(render(values))
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[name]["httpGet"]["port"] == 5555
    assert container["ports"][0]["containerPort"] == 5555


def test_w4_each_probe_has_its_timings_and_can_be_another(render: Renderer) -> None:
    """A slow store gets its time to start, by a probe for the start alone."""
    values = {
        "startupProbe": {"failureThreshold": 600},
        "livenessProbe": {"tcpSocket": {"port": 5000}},
        "readinessProbe": {"enabled": False},
    }
    container = registry_container(render(values))
    assert container["startupProbe"]["failureThreshold"] == 600
    assert container["startupProbe"]["httpGet"]["path"] == "/"
    assert container["livenessProbe"] == {"tcpSocket": {"port": 5000}}
    assert "readinessProbe" not in container


def test_w5_a_push_is_finished_before_the_pod_ends(render: Renderer) -> None:
    """The pod waits, the registry drains, and only then may it be killed."""
    rendered = render({"configData": {"http": {"draintimeout": "2m"}}, "preStopDelay": "7s"})
    assert registry_container(rendered)["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert registry_pod(rendered)["spec"]["terminationGracePeriodSeconds"] > 120 + 7
    no_drain = registry_env(render({"configData": {"http": {"draintimeout": None}}}))
    assert no_drain["REGISTRY_HTTP_DRAINTIMEOUT"] == "10s"


def test_w6_a_large_volume_is_not_walked_at_each_start(render: Renderer) -> None:
    context = registry_pod(render(CLAIM))["spec"]["securityContext"]
    assert context["fsGroupChangePolicy"] == "OnRootMismatch"
    assert context["fsGroup"] == 1000


def test_w7_no_service_becomes_a_part_of_the_configuration(render: Renderer) -> None:
    """A Service called registry-auth would set REGISTRY_AUTH_PORT, in every pod of the release."""
    rendered = render({"garbageCollect": {"enabled": True}})
    pods = [pod for thing in rendered if (pod := pod_template(thing))]
    assert len(pods) >= 3
    assert {pod["spec"]["enableServiceLinks"] for pod in pods} == {False}


def test_w8_no_traces_go_to_nobody(render: Renderer) -> None:
    """Unless the user says where they go."""
    assert registry_env(render({}))["OTEL_TRACES_EXPORTER"] == "none"
    extra = [{"name": "OTEL_TRACES_EXPORTER", "value": "otlp"}]
    assert registry_env(render({"extraEnvVars": extra}))["OTEL_TRACES_EXPORTER"] == "otlp"


def test_w9_no_pod_has_a_token_that_it_does_not_need(render: Renderer) -> None:
    rendered = render({"garbageCollect": {"enabled": True}, "serviceAccount": {"create": True}})
    assert registry_pod(rendered)["spec"]["automountServiceAccountToken"] is False
    accounts = every(rendered, "ServiceAccount")
    assert len(accounts) >= 2
    assert {account["automountServiceAccountToken"] for account in accounts} == {False}
    assert pod_of(one(rendered, "CronJob"))["spec"]["automountServiceAccountToken"] is True


def test_w9_names_of_volumes_fit(render: Renderer) -> None:
    """63 characters, whatever the release is called."""
    pod = registry_pod(render(CLAIM, release="r" * 53))
    names = [volume["name"] for volume in pod["spec"]["volumes"]]
    assert all(len(name) <= 63 for name in names)
    mounts = {mount["name"] for mount in containers(pod)["docker-registry"]["volumeMounts"]}
    assert mounts <= set(names)


def test_w10_a_new_certificate_restarts_the_registry(render: Renderer) -> None:
    """It is read once, at the start."""

    def annotations(crt: str) -> dict[str, str]:
        pod = registry_pod(render({"tls": {"crt": crt, "key": "key"}}))
        found: dict[str, str] = pod["metadata"]["annotations"]
        return found

    assert annotations("old") != annotations("new")
    assert annotations("old") == annotations("old")
