"""Who gets the registry's traffic, and under which address."""

from typing import Any

import pytest

from helm_chart_test import Object, object_id, pod_template
from helm_chart_test.fixtures import Renderer


def one(objects: list[Object], kind: str) -> Object:
    """Return the only one of a kind; of Services, the one that is for clients."""
    (found,) = (
        thing
        for thing in objects
        if thing["kind"] == kind and not thing["metadata"]["name"].endswith("-gc-peers")
    )
    return found


def test_the_service_selects_the_registry_and_nothing_else(objects: list[Object]) -> None:
    """Seen to fail: the hook's and the preflight's pods with the labels app and release."""
    selector = one(objects, "Service")["spec"]["selector"]
    pods = {object_id(thing): pod for thing in objects if (pod := pod_template(thing))}

    selected = [
        owner
        for owner, pod in pods.items()
        if selector.items() <= pod["metadata"]["labels"].items()
    ]

    # Also fails when nothing was rendered, where a loop over no pods would pass.
    assert selected == [object_id(one(objects, "Deployment"))], sorted(pods)


def test_what_else_selects_pods_selects_as_the_service_does(render: Renderer) -> None:
    """Seen to fail: a budget that selects by app.kubernetes.io/instance, as the hook has it."""
    rendered = render(
        {"podDisruptionBudget": {"maxUnavailable": 1}, "garbageCollect": {"enabled": True}}
    )
    selector = one(rendered, "Service")["spec"]["selector"]
    assert one(rendered, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == selector
    assert one(rendered, "Deployment")["spec"]["selector"]["matchLabels"] == selector


def test_a_users_labels_cannot_make_the_hook_a_registry(render: Renderer) -> None:
    """Seen to fail: garbageCollect.podLabels written as they are."""
    labels = {"app": "docker-registry", "release": "test", "team": "images"}
    rendered = render({"garbageCollect": {"enabled": True, "podLabels": labels}})
    pod = pod_template(one(rendered, "CronJob"))
    assert pod is not None
    assert pod["metadata"]["labels"]["team"] == "images"
    assert not {"app", "release"} & pod["metadata"]["labels"].keys()


def test_the_target_port_is_where_the_registry_listens(render: Renderer) -> None:
    """Seen to fail: 5000 written into the template, as at twuni (W4)."""
    rendered = render({"configData": {"http": {"addr": "[::]:5555"}}})
    (container,) = one(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]
    (port,) = one(rendered, "Service")["spec"]["ports"]
    assert port["targetPort"] == 5555
    assert container["ports"] == [{"containerPort": 5555}]
    assert container["readinessProbe"]["httpGet"]["port"] == 5555
    assert port["port"] == 5000


def test_the_collectors_port_is_on_no_service(objects: list[Object]) -> None:
    """Seen to fail: a port `gc` in service.yaml."""
    ports = [
        port
        for thing in objects
        if thing["kind"] == "Service"
        for port in thing["spec"].get("ports", [])
    ]
    assert ports
    assert all(port["targetPort"] not in {5002, "gc"} for port in ports)


def test_each_source_range_is_an_entry(render: Renderer) -> None:
    """Seen to fail: the list printed between brackets, as at twuni (N1)."""
    ranges = ["10.0.0.0/8", "192.168.0.0/16"]
    rendered = render({"service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ranges}})
    assert one(rendered, "Service")["spec"]["loadBalancerSourceRanges"] == ranges


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer", "ClusterIP"])
def test_a_node_port_is_only_where_the_api_takes_it(render: Renderer, kind: str) -> None:
    """Seen to fail: nodePort whatever the type, which the API refuses for ClusterIP."""
    rendered = render({"service": {"type": kind, "nodePort": 30500}})
    (port,) = one(rendered, "Service")["spec"]["ports"]
    assert port.get("nodePort") == (None if kind == "ClusterIP" else 30500)


def test_service_name_does_not_rename_and_name_override_does(render: Renderer) -> None:
    """Seen to fail: service.name as the Service's name, as at risadams."""
    ingress = {"enabled": True, "hosts": ["registry.example.com"]}
    for service, expected in (
        ({"name": "registry"}, "test-docker-registry"),
        ({"name": "other"}, "test-docker-registry"),
        ({"nameOverride": "images"}, "images"),
    ):
        rendered = render({"service": service, "ingress": ingress})
        (rule,) = one(rendered, "Ingress")["spec"]["rules"]
        backend = rule["http"]["paths"][0]["backend"]["service"]["name"]
        assert (one(rendered, "Service")["metadata"]["name"], backend) == (expected, expected)


@pytest.mark.parametrize(
    ("ingress", "expected"),
    [
        ({}, "nginx"),
        ({"className": "traefik"}, "traefik"),
        ({"className": ""}, None),
        ({"annotations": {"kubernetes.io/ingress.class": "old"}}, None),
    ],
)
def test_the_ingress_class_is_said_once(
    render: Renderer, ingress: dict[str, Any], expected: str | None
) -> None:
    """The API refuses the class beside the old annotation (N3).

    Seen to fail: ingressClassName whatever the annotations say.
    """
    rendered = render({"ingress": {"enabled": True, **ingress}})
    assert one(rendered, "Ingress")["spec"].get("ingressClassName") == expected


def test_metrics_are_one_switch(render: Renderer) -> None:
    """Seen to fail: metrics.enabled that only opens a port, as at twuni (N4)."""
    rendered = render({"metrics": {"enabled": True, "serviceMonitor": {"enabled": True}}})
    (container,) = one(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env["REGISTRY_HTTP_DEBUG_ADDR"] == ":5001"
    assert env["REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED"] == "true"
    assert {"containerPort": 5001, "name": "http-metrics", "protocol": "TCP"} in container["ports"]
    names = [port["name"] for port in one(rendered, "Service")["spec"]["ports"]]
    (endpoint,) = one(rendered, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["port"] in names
