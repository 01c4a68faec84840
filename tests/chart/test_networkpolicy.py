"""Who may reach the registry's pods. Objects alone: whether a network enforces them is its own."""

from typing import Any

import pytest

from helm_chart_test import Object, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from support.chart import problems

REGISTRY, COLLECTOR, METRICS = 5000, 5002, 5001
OTHER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
CLOSED: dict[str, Any] = {
    "networkPolicy": {"enabled": True, "allowExternal": False},
    "garbageCollect": {"enabled": True},
    "metrics": {"enabled": True},
}


def policy_of(objects: list[Object]) -> Object:
    (found,) = (thing for thing in objects if thing["kind"] == "NetworkPolicy")
    spec: Object = found["spec"]
    return spec


def peers(spec: Object, port: int) -> list[Object] | None:
    """Return who may reach a port: None for everybody, [] for nobody."""
    rules = [rule for rule in spec["ingress"] if port in [p["port"] for p in rule["ports"]]]
    if not rules:
        return []
    (rule,) = rules
    found: list[Object] | None = rule.get("from")
    return found


def admitted(objects: list[Object], port: int) -> set[str]:
    """Return which pods of the release may reach a port of the registry's."""
    allowed = peers(policy_of(objects), port)
    assert allowed is not None, "everybody may"
    selectors = [peer["podSelector"]["matchLabels"] for peer in allowed if "podSelector" in peer]
    pods = {object_id(thing): pod for thing in objects if (pod := pod_template(thing))}
    return {
        owner
        for owner, pod in pods.items()
        if any(s.items() <= pod["metadata"]["labels"].items() for s in selectors)
    }


def test_by_default_there_is_none(render: Renderer) -> None:
    """Seen to fail: `enabled` not asked for."""
    assert "NetworkPolicy" not in {thing["kind"] for thing in render({})}


def test_an_open_one_lets_everybody_in_but_to_the_collector(render: Renderer) -> None:
    """Seen to fail: the collector's port without `from`."""
    rendered = render({**CLOSED, "networkPolicy": {"enabled": True}})
    spec = policy_of(rendered)
    assert peers(spec, REGISTRY) is None
    assert peers(spec, METRICS) is None
    assert admitted(rendered, COLLECTOR) == {"CronJob/test-docker-registry-garbage-collector"}
    assert spec["policyTypes"] == ["Ingress"]
    assert problems(rendered) == []


def test_the_release_reaches_itself_whatever_is_closed(render: Renderer) -> None:
    """Replicas ask each other whether they still serve; `helm test` is a pod; the hook collects.

    Seen to fail: without each of the three selectors.
    """
    rendered = render(CLOSED)
    assert admitted(rendered, REGISTRY) == {
        "Deployment/test-docker-registry",
        "Pod/test-docker-registry-test",
    }
    assert admitted(rendered, COLLECTOR) == {"CronJob/test-docker-registry-garbage-collector"}
    assert peers(policy_of(rendered), METRICS) == []


def test_who_is_named_is_let_in(render: Renderer) -> None:
    """Seen to fail: ingressFrom among the hook's peers; metricsFrom left out."""
    closed = {**CLOSED["networkPolicy"], "ingressFrom": [OTHER], "metricsFrom": [OTHER]}
    extra = {"ports": [{"port": 8080, "protocol": "TCP"}]}
    rendered = render({**CLOSED, "networkPolicy": {**closed, "extraIngress": [extra]}})
    spec = policy_of(rendered)
    assert OTHER in (peers(spec, REGISTRY) or [])
    assert peers(spec, METRICS) == [OTHER]
    assert OTHER not in (peers(spec, COLLECTOR) or [])
    assert spec["ingress"][-1] == extra
    assert problems(rendered) == []


def test_metrics_of_an_open_registry_can_be_closed(render: Renderer) -> None:
    """The port has Go's profiler too. Seen to fail: metricsFrom only with allowExternal: false."""
    policy = {"enabled": True, "metricsFrom": [OTHER]}
    assert peers(policy_of(render({**CLOSED, "networkPolicy": policy})), METRICS) == [OTHER]


@pytest.mark.parametrize(
    ("http", "ports"),
    [
        ({"addr": ":5555", "debug": {"addr": "[::]:6001"}}, (5555, 6001)),
        ({"addr": ":5000"}, (REGISTRY, METRICS)),
    ],
)
def test_the_ports_are_where_the_registry_listens(
    render: Renderer, http: dict[str, Any], ports: tuple[int, int]
) -> None:
    """Not the Services' ports: a policy sees the pod's. Seen to fail: service.port."""
    spec = policy_of(render({**CLOSED, "configData": {"http": http}, "service": {"port": 80}}))
    first = spec["ingress"][0]["ports"][0]["port"]
    assert first == ports[0]
    opened = {**CLOSED, "networkPolicy": {"enabled": True}, "configData": {"http": http}}
    assert peers(policy_of(render(opened)), ports[1]) is None


def test_what_the_pods_may_reach_can_be_limited(render: Renderer) -> None:
    """Seen to fail: no name server, so that the rules' own names are not found; no own pods."""
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}
    policy = {"enabled": True, "egress": {"enabled": True, "rules": [rule]}}
    rendered = render({"networkPolicy": policy})
    spec = policy_of(rendered)
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    names, own, given = spec["egress"]
    assert {(port["port"], port["protocol"]) for port in names["ports"]} == {
        (53, "UDP"),
        (53, "TCP"),
    }
    assert own["to"] == [{"podSelector": spec["podSelector"]}]
    assert given == rule
    assert problems(rendered) == []
