"""Who gets the registry's traffic, and under which address."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import HelmError, Object, fake_cluster, object_id, pod_template, render
from helm_chart_test.fixtures import Renderer
from support.chart import CHART, Helm, helm_of, problems

OWNER = {
    "meta.helm.sh/release-name": "test",
    "meta.helm.sh/release-namespace": "test-ns",
}


def one(objects: list[Object], kind: str) -> Object:
    """Return the only one of a kind; of Services, the one that is for clients."""
    (found,) = (
        thing
        for thing in objects
        if thing["kind"] == kind
        and not thing["metadata"]["name"].endswith(("-gc-peers", "-metrics", "-headless"))
    )
    return found


def workload(objects: list[Object]) -> Object:
    (found,) = (thing for thing in objects if thing["kind"] in {"Deployment", "StatefulSet"})
    return found


def test_the_service_selects_the_registry_and_nothing_else(
    objects: list[Object], scenario: dict[str, Any]
) -> None:
    """Seen to fail: the hook's and the preflight's pods with the labels app and release."""
    services = [thing for thing in objects if thing["kind"] == "Service"]
    pods = {object_id(thing): pod for thing in objects if (pod := pod_template(thing))}
    assert services or scenario["service"]["create"] is False
    for service in services:
        selector = service["spec"]["selector"]
        selected = [
            owner
            for owner, pod in pods.items()
            if selector.items() <= pod["metadata"]["labels"].items()
        ]
        # Also fails when nothing was rendered, where a loop over no pods would pass.
        assert selected == [object_id(workload(objects))], (object_id(service), sorted(pods))


def test_what_else_selects_pods_selects_as_the_service_does(render: Renderer) -> None:
    """Seen to fail: a budget that selects by app.kubernetes.io/instance, as the hook has it."""
    rendered = render(
        {
            "podDisruptionBudget": {"maxUnavailable": 1},
            "garbageCollect": {"enabled": True},
            "networkPolicy": {"enabled": True},
            "metrics": {"enabled": True, "podMonitor": {"enabled": True}},
        }
    )
    selector = one(rendered, "Service")["spec"]["selector"]
    assert one(rendered, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == selector
    assert one(rendered, "Deployment")["spec"]["selector"]["matchLabels"] == selector
    assert one(rendered, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == selector
    assert one(rendered, "PodMonitor")["spec"]["selector"]["matchLabels"] == selector


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
    assert ports or not any(thing["kind"] == "Service" for thing in objects)
    assert all(port["targetPort"] not in {5002, "gc"} for port in ports)


def test_each_source_range_is_an_entry(render: Renderer) -> None:
    """Seen to fail: the list printed between brackets, as at twuni (N1)."""
    ranges = ["10.0.0.0/8", "192.168.0.0/16"]
    rendered = render({"service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ranges}})
    assert one(rendered, "Service")["spec"]["loadBalancerSourceRanges"] == ranges


EVERYTHING: dict[str, Any] = {
    "nodePort": 30500,
    "clusterIP": "10.0.0.9",
    "loadBalancerIP": "192.0.2.10",
    "loadBalancerClass": "example.com/internal",
    "loadBalancerSourceRanges": ["10.0.0.0/8"],
    "externalTrafficPolicy": "Local",
    "internalTrafficPolicy": "Local",
    "healthCheckNodePort": 30999,
    "externalIPs": ["192.0.2.11"],
    "ipFamilyPolicy": "PreferDualStack",
    "ipFamilies": ["IPv6", "IPv4"],
}
_ANYWHERE = {"externalIPs", "externalTrafficPolicy", "internalTrafficPolicy", "ipFamilies"}
_ANYWHERE |= {"ipFamilyPolicy"}


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("ClusterIP", _ANYWHERE | {"clusterIP"}),
        ("NodePort", _ANYWHERE | {"nodePort"}),
        (
            "LoadBalancer",
            _ANYWHERE
            | {key for key in EVERYTHING if "oad" in key or key.endswith("NodePort")}
            | {"nodePort"},
        ),
    ],
)
def test_a_setting_is_only_where_the_api_takes_it(
    render: Renderer, kind: str, taken: set[str]
) -> None:
    """Seen to fail: nodePort or loadBalancerClass whatever the type, which the API refuses."""
    rendered = render({"service": {"type": kind, **EVERYTHING}})
    spec = one(rendered, "Service")["spec"]
    found = {**spec, **{k: v for k, v in spec["ports"][0].items() if k == "nodePort"}}
    assert {key: found[key] for key in EVERYTHING if key in found} == {
        key: value for key, value in EVERYTHING.items() if key in taken
    }
    assert problems(rendered) == []


def test_an_external_policy_needs_traffic_from_outside(render: Renderer) -> None:
    """Seen to fail: externalTrafficPolicy on any ClusterIP."""
    rendered = render({"service": {"externalTrafficPolicy": "Local"}})
    assert "externalTrafficPolicy" not in one(rendered, "Service")["spec"]


def test_service_name_does_not_rename_and_name_override_does(render: Renderer) -> None:
    """Whatever leads to the Service follows it.

    Seen to fail: service.name as the Service's name, as at risadams (N6).
    """
    ways = {
        "ingress": {"enabled": True, "hosts": ["registry.example.com"]},
        "httproute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    }
    for service, expected in (
        ({"name": "registry"}, "test-docker-registry"),
        ({"name": "other"}, "test-docker-registry"),
        ({"nameOverride": "images"}, "images"),
    ):
        rendered = render({"service": service, **ways})
        assert one(rendered, "Service")["metadata"]["name"] == expected
        (rule,) = one(rendered, "Ingress")["spec"]["rules"]
        assert rule["http"]["paths"][0]["backend"]["service"]["name"] == expected
        (rule,) = one(rendered, "HTTPRoute")["spec"]["rules"]
        assert rule["backendRefs"] == [{"name": expected, "port": 5000}]


def test_without_a_service_its_name_is_that_of_others(render: Renderer) -> None:
    """As at risadams: `create: false` is for a Service that somebody else made.

    Seen to fail: `<fullname>` in the Ingress, which nobody made.
    """
    rendered = render({"service": {"create": False, "name": "edge"}, "ingress": {"enabled": True}})
    assert [object_id(thing) for thing in rendered if thing["kind"] == "Service"] == []
    (rule,) = one(rendered, "Ingress")["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "edge"


Upgrade = Callable[..., list[Object]]


@pytest.fixture(params=["helm", "helm3"])
def upgrade(request: pytest.FixtureRequest, tmp_path: Path) -> Upgrade:
    """Render an upgrade in a cluster that has these objects."""
    helm: Helm = request.param

    def upgraded(values: dict[str, Any], *objects: Object) -> list[Object]:
        with fake_cluster(objects, tmp_path) as cluster:
            return render(values, chart=CHART, helm=helm_of(helm), upgrade=True, kubeconfig=cluster)

    return upgraded


def service(name: str, *, app: str = "docker-registry", node_port: int = 0) -> Object:
    """Return a Service of the release, as the cluster would have it."""
    ports = [{"port": 5000, "nodePort": node_port}] if node_port else [{"port": 5000}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "test-ns",
            "annotations": OWNER,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
        },
        "spec": {"selector": {"app": app, "release": "test"}, "ports": ports},
    }


def test_a_fixed_port_stays_with_the_service_that_has_it(upgrade: Upgrade) -> None:
    """Who comes from risadams on a NodePort keeps the Service, or its port would be refused.

    Seen to fail: without `lookup`.
    """
    values = {"service": {"type": "NodePort", "nodePort": 30500}}
    rendered = upgrade(values, service("registry", node_port=30500))
    found = one(rendered, "Service")
    assert found["metadata"]["name"] == "registry"
    assert found["spec"]["ports"][0]["nodePort"] == 30500


def test_a_service_of_another_part_of_the_release_is_not_taken(upgrade: Upgrade) -> None:
    """In a parent chart all objects belong to one release; somebody's may be called `registry`.

    Seen to fail: the selector not compared.
    """
    rendered = upgrade({}, service("registry", app="portal"))
    assert one(rendered, "Service")["metadata"]["name"] == "test-docker-registry"


def test_a_port_that_another_service_holds_is_refused_with_a_way_out(upgrade: Upgrade) -> None:
    """Helm makes the new Service before it removes the old one, and the cluster says no.

    Seen to fail: docker-registry.service.portHolder that finds nothing.
    """
    values = {"service": {"type": "NodePort", "nodePort": 30500, "nameOverride": "images"}}
    with pytest.raises(HelmError) as refused:
        upgrade(values, service("test-docker-registry", node_port=30500))
    told = "Set service.nameOverride: test-docker-registry, or delete it first"
    assert told in refused.value.stderr
    assert upgrade(values, service("test-docker-registry", node_port=30501))
