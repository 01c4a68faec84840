"""What risadams' chart has for the collecting pod, and a token that the user keeps."""

from typing import Any

import pytest

from helm_chart_test import Object, containers, merged, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from support.chart import problems
from support.granted import granted
from support.rendered import environment
from support.rights import HOOK

RULE = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
TERMS = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}
NODES = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": TERMS}}


def hook_pod(objects: list[Object]) -> Object:
    (found,) = (t for t in objects if object_id(t).endswith("-garbage-collector"))
    pod = pod_template(found)
    assert pod is not None
    spec: Object = pod["spec"]
    return spec


def test_its_affinity_is_the_hooks(render: Renderer) -> None:
    """Seen to fail: garbageCollect.affinity ignored; counted more than hook.affinity."""
    gc: dict[str, Any] = {"enabled": True, "affinity": NODES}
    assert hook_pod(render({"garbageCollect": gc}))["affinity"] == NODES
    own: dict[str, Any] = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    both = {"garbageCollect": {**gc, "hook": {"affinity": own}}}
    assert hook_pod(render(both))["affinity"] == own
    # The registry's would send the pod to the registry's node, or away from it, for nothing.
    assert "affinity" not in hook_pod(
        render({"garbageCollect": {"enabled": True}, "affinity": NODES})
    )


def test_its_environment_is_the_hooks(render: Renderer) -> None:
    """Given twice, server-side apply refuses a name.

    Seen to fail: the list appended to the chart's own; a template in it left as it is.
    """
    extra = [
        {"name": "HTTPS_PROXY", "value": "http://{{ .Release.Name }}.proxy"},
        {"name": "GC_TIMEOUT", "value": "2h"},
    ]
    rendered = render({"garbageCollect": {"enabled": True, "extraEnvVars": extra}})
    env = hook_pod(rendered)["containers"][0]["env"]
    values = {entry["name"]: entry["value"] for entry in env}
    assert len(values) == len(env)
    assert values["HTTPS_PROXY"] == "http://test.proxy"
    assert values["GC_TIMEOUT"] == "2h"
    assert values["GC_SELECTOR"] == "app=docker-registry,release=test"
    assert problems(rendered) == []


@pytest.mark.parametrize(
    ("values", "about"),
    [
        ({}, "Deployment/test-docker-registry"),
        ({"useStatefulSet": True}, "StatefulSet/test-docker-registry"),
        (
            {"endpoint": {"enabled": True}},
            "Deployment/test-docker-registry RegistryEndpoint/test-docker-registry",
        ),
    ],
)
def test_how_it_ended_is_told_among_the_events(
    render: Renderer, values: dict[str, Any], about: str
) -> None:
    """And it may do just that: look at these objects, and write Events.

    Seen to fail: the Deployment for a StatefulSet; no right to look at the RegistryEndpoint.
    """
    objects = render(merged({"garbageCollect": {"enabled": True}}, values))
    (container,) = hook_pod(objects)["containers"]
    assert environment(container)["GC_EVENTS_ABOUT"] == about
    rights = HOOK | ({("get", "registryendpoints")} if "endpoint" in values else set())
    assert granted(objects, "test-docker-registry-gc") == rights


def test_without_events_it_may_only_list_pods(render: Renderer) -> None:
    """Seen to fail: the rule over Events without its condition."""
    objects = render({"garbageCollect": {"enabled": True, "hook": {"events": False}}})
    (container,) = hook_pod(objects)["containers"]
    assert "GC_EVENTS_ABOUT" not in environment(container)
    assert granted(objects, "test-docker-registry-gc") == {("list", "pods")}


def test_a_token_of_the_users_own_is_read_from_there(render: Renderer) -> None:
    """By the hook and by the collector, under one path whatever its key.

    Seen to fail: the chart's Secret made beside it; the hook with the chart's, the collector with
    the user's.
    """
    ref = {"name": "{{ .Release.Name }}-token", "key": "gc.token"}
    rendered = render({"garbageCollect": {"enabled": True, "tokenRef": ref}})
    assert "Secret/test-docker-registry-gc" not in {object_id(thing) for thing in rendered}
    expected = {
        "secretName": "test-token",
        "items": [{"key": "gc.token", "path": "token"}],
    }
    (deployment,) = (thing for thing in rendered if thing["kind"] == "Deployment")
    for spec in (hook_pod(rendered), deployment["spec"]["template"]["spec"]):
        (volume,) = (volume for volume in spec["volumes"] if volume["name"] == "gc-token")
        assert volume["secret"] == expected


def test_restart_policy_is_accepted_and_without_effect(render: Renderer) -> None:
    """A collection's exit code is an answer. Seen to fail: written into the pod."""
    values = {"garbageCollect": {"enabled": True, "restartPolicy": "OnFailure"}}
    assert hook_pod(render(values))["restartPolicy"] == "Never"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_the_collector_and_the_check_get_the_registrys_environment(
    render: Renderer, kind: str
) -> None:
    """Whole Secrets too, which the check before an install must not wait for.

    Seen to fail: envFrom on the registry's container alone; required in the preflight Job.
    """
    source = {"secretRef": {"name": "more"}}
    rendered = render(
        {
            "garbageCollect": {"enabled": True},
            "envFrom": [source],
            "useStatefulSet": kind == "StatefulSet",
            "global": {"imagePullSecrets": ["pull"]},
        }
    )
    found = {thing["kind"]: pod for thing in rendered if (pod := pod_template(thing))}
    inside = containers(found[kind])
    assert {"gc", "gc-write-test", "docker-registry"} <= inside.keys()
    assert all(container["envFrom"] == [source] for container in inside.values())
    checked = containers(found["Job"])["preflight"]["envFrom"]
    assert checked == [{"secretRef": {"name": "more", "optional": True}}]
    for owner in ("Job", "CronJob", kind):
        assert found[owner]["spec"]["imagePullSecrets"] == [{"name": "pull"}]


def test_pods_with_a_store_each_are_no_peers(render: Renderer) -> None:
    """Seen to fail: GC_PEERS_HOST for a StatefulSet with a claim a pod."""
    values = {
        "garbageCollect": {"enabled": True},
        "persistence": {"enabled": True},
        "useStatefulSet": True,
    }
    rendered = render(values)
    assert not any(object_id(thing).endswith("-gc-peers") for thing in rendered)
    assert "GC_PEERS_HOST" not in str(rendered)
    shared = render({**values, "useStatefulSet": False})
    assert any(object_id(thing).endswith("-gc-peers") for thing in shared)


def test_the_check_reads_no_secret_configuration(render: Renderer) -> None:
    """A copy would outlive a check that failed; but without the rest it could read nothing.

    Seen to fail: docker-registry.effectiveConfig in the Job's ConfigMap; configData alone there.
    """
    endpoint = {"name": "a", "url": "https://user:hidden@example.com"}
    secret = {"version": 0.1, "notifications": {"endpoints": [endpoint]}}
    values = {"garbageCollect": {"enabled": True}, "configData": {"version": None}}
    rendered = render({**values, "configSecret": secret})
    (config,) = (
        thing
        for thing in rendered
        if object_id(thing) == "ConfigMap/test-docker-registry-preflight"
    )
    assert "version: 0.1" in config["data"]["config.yml"]
    assert "hidden" not in config["data"]["config.yml"]
