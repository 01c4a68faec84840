"""Metrics: one switch, a Service of their own, and what the Prometheus operator is told."""

from typing import Any

import pytest

from helm_chart_test import Object, object_id
from helm_chart_test.fixtures import Renderer
from support.chart import problems

RULE = {
    "alert": "RegistryDown",
    "expr": 'absent(up{job="registry"} == 1)',
    "annotations": {"summary": "{{ $labels.instance }} is down"},
}


def find(objects: list[Object], name: str) -> Object:
    (found,) = (thing for thing in objects if object_id(thing) == name)
    return found


def kinds(objects: list[Object]) -> set[str]:
    return {thing["kind"] for thing in objects}


def test_metrics_are_one_switch(render: Renderer) -> None:
    """Seen to fail: metrics.enabled that only opens a port, as at twuni (N4)."""
    rendered = render({"metrics": {"enabled": True}})
    (container,) = find(rendered, "Deployment/test-docker-registry")["spec"]["template"]["spec"][
        "containers"
    ]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env["REGISTRY_HTTP_DEBUG_ADDR"] == ":5001"
    assert env["REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED"] == "true"
    assert {"containerPort": 5001, "name": "http-metrics", "protocol": "TCP"} in container["ports"]


def test_the_profilers_port_is_on_no_service_that_may_be_public(render: Renderer) -> None:
    """Seen to fail: the port on the registry's Service, as at twuni (N4); a Service for metrics of
    the same type.
    """
    rendered = render({"metrics": {"enabled": True}, "service": {"type": "LoadBalancer"}})
    ports = find(rendered, "Service/test-docker-registry")["spec"]["ports"]
    assert [port["name"] for port in ports] == ["http-5000"]
    own = find(rendered, "Service/test-docker-registry-metrics")["spec"]
    assert own["type"] == "ClusterIP"
    assert [(p["name"], p["port"], p["targetPort"]) for p in own["ports"]] == [
        ("http-metrics", 5001, 5001)
    ]
    assert "Service/test-docker-registry-metrics" not in {object_id(t) for t in render({})}


@pytest.mark.parametrize(
    ("address", "target"), [("[::]:6001", 6001), ("0.0.0.0:5001", 5001), (":7000", 7000)]
)
def test_every_form_of_the_debug_address_has_a_port(
    render: Renderer, address: str, target: int
) -> None:
    """Seen to fail: the text between the first two colons, as at twuni (N4)."""
    rendered = render(
        {
            "metrics": {"enabled": True, "port": 9090},
            "configData": {"http": {"debug": {"addr": address}}},
        }
    )
    (port,) = find(rendered, "Service/test-docker-registry-metrics")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (9090, target)


def test_the_monitor_selects_the_service_for_metrics_alone(render: Renderer) -> None:
    """Seen to fail: the labels app and release, which the Service for clients has."""
    rendered = render({"metrics": {"enabled": True, "serviceMonitor": {"enabled": True}}})
    monitor = find(rendered, "ServiceMonitor/test-docker-registry-servicemonitor")["spec"]
    selector = monitor["selector"]["matchLabels"]
    services = [thing for thing in rendered if thing["kind"] == "Service"]
    assert len(services) == 2
    selected = [
        thing for thing in services if selector.items() <= thing["metadata"]["labels"].items()
    ]
    assert [object_id(thing) for thing in selected] == ["Service/test-docker-registry-metrics"]
    names = [port["name"] for port in selected[0]["spec"]["ports"]]
    (endpoint,) = monitor["endpoints"]
    assert endpoint == {"port": names[0], "path": "/metrics", "interval": "15s"}


def test_a_users_label_cannot_hide_the_service_from_the_monitor(render: Renderer) -> None:
    """Seen to fail: metrics.service.labels over the chart's own."""
    labels = {"app.kubernetes.io/component": "mine", "team": "images"}
    rendered = render({"metrics": {"enabled": True, "service": {"labels": labels}}})
    found = find(rendered, "Service/test-docker-registry-metrics")["metadata"]["labels"]
    assert found["app.kubernetes.io/component"] == "metrics"
    assert found["team"] == "images"


SETTINGS: dict[str, Any] = {
    "interval": "1m",
    "scrapeTimeout": "20s",
    "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_name"], "targetLabel": "pod"}],
    "metricRelabelings": [{"action": "drop", "regex": "go_.*", "sourceLabels": ["__name__"]}],
}


@pytest.mark.parametrize(
    ("section", "name", "endpoints"),
    [
        ("serviceMonitor", "ServiceMonitor/test-docker-registry-servicemonitor", "endpoints"),
        ("podMonitor", "PodMonitor/test-docker-registry-podmonitor", "podMetricsEndpoints"),
    ],
)
def test_how_it_is_scraped_can_be_set(
    render: Renderer, section: str, name: str, endpoints: str
) -> None:
    """Seen to fail: 15s and nothing else, as at twuni (N5); the path not the configured one."""
    path = {"http": {"debug": {"prometheus": {"path": "/numbers"}}}}
    values = {"metrics": {"enabled": True, section: {"enabled": True, **SETTINGS}}}
    rendered = render({**values, "configData": path})
    (endpoint,) = find(rendered, name)["spec"][endpoints]
    assert endpoint == {"port": "http-metrics", "path": "/numbers", **SETTINGS}
    assert problems(rendered) == []


OBJECTS = {
    "serviceMonitor": "ServiceMonitor/test-docker-registry-servicemonitor",
    "podMonitor": "PodMonitor/test-docker-registry-podmonitor",
    "prometheusRule": "PrometheusRule/test-docker-registry",
}


@pytest.mark.parametrize("section", OBJECTS)
def test_a_monitor_may_be_in_another_namespace(render: Renderer, section: str) -> None:
    """It then looks for the registry's where that is.

    Seen to fail: no namespace with `namespace` set (N2); namespaceSelector with the monitor's own.
    """
    own = {"enabled": True, "rules": [RULE]} if section == "prometheusRule" else {"enabled": True}
    values: dict[str, Any] = {"namespace": "images", "metrics": {"enabled": True, section: own}}
    found = find(render(values), OBJECTS[section])
    assert found["metadata"]["namespace"] == "images"
    values["metrics"] = {"enabled": True, section: {**own, "namespace": "monitoring"}}
    found = find(render(values), OBJECTS[section])
    assert found["metadata"]["namespace"] == "monitoring"
    if section != "prometheusRule":
        assert found["spec"]["namespaceSelector"] == {"matchNames": ["images"]}


@pytest.mark.parametrize("section", OBJECTS)
def test_enable_is_enabled(render: Renderer, section: str) -> None:
    """twuni's README said `enable`. Without metrics there is nothing to read.

    Seen to fail: `enable` not asked for; metrics.enabled not asked for.
    """
    for value in (True, "true"):
        asked = {section: {"enable": value, "rules": [RULE]}}
        if section != "prometheusRule":
            asked = {section: {"enable": value}}
        on = {object_id(thing) for thing in render({"metrics": {"enabled": True, **asked}})}
        off = {object_id(thing) for thing in render({"metrics": asked})}
        assert OBJECTS[section] in on
        assert OBJECTS[section] not in off
    never = {"metrics": {"enabled": True, section: {"enable": "false"}}}
    assert OBJECTS[section] not in {object_id(thing) for thing in render(never)}


@pytest.mark.parametrize("section", OBJECTS)
def test_a_users_labels_and_annotations_win(render: Renderer, section: str) -> None:
    """A Prometheus selects by a `release` of its own; twuni ignored the annotations.

    Seen to fail: the chart's own label `release` over the user's; no annotations.
    """
    given: dict[str, Any] = {
        "enabled": True,
        "labels": {"release": "kube-prometheus-stack"},
        "annotations": {"example.com/a": "b"},
    }
    if section == "prometheusRule":
        given["rules"] = [RULE]
    found = find(render({"metrics": {"enabled": True, section: given}}), OBJECTS[section])
    assert found["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert found["metadata"]["annotations"] == {"example.com/a": "b"}


@pytest.mark.parametrize("rules", [[RULE], RULE], ids=["list", "one rule"])
def test_rules_are_written_as_they_are(render: Renderer, rules: Any) -> None:
    """What is in braces there is Prometheus' own. At twuni the default is a map, so one rule may
    be one (N5).

    Seen to fail: `tpl`; a map where the API wants a list; the label `component: controller`, as at
    twuni.
    """
    given = {"enabled": True, "rules": rules}
    rendered = render({"metrics": {"enabled": True, "prometheusRule": given}})
    found = find(rendered, OBJECTS["prometheusRule"])
    (group,) = found["spec"]["groups"]
    assert group == {"name": "test-docker-registry", "rules": [RULE]}
    assert found["metadata"]["labels"]["app.kubernetes.io/component"] == "monitoring"
    assert problems(rendered) == []


@pytest.mark.parametrize("rules", [[], {}])
def test_without_rules_there_is_no_object(render: Renderer, rules: Any) -> None:
    """The API refuses an empty one; `{}` is the default of twuni (N5). Seen to fail: no `if`."""
    given = {"enabled": True, "rules": rules}
    assert "PrometheusRule" not in kinds(
        render({"metrics": {"enabled": True, "prometheusRule": given}})
    )
