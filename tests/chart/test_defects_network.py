"""The known defects of other charts' Services, Ingresses and metrics (N1 to N7), absent here."""

from typing import Any

import pytest

from helm_chart_test import Object
from helm_chart_test.fixtures import Renderer
from support.chart import problems
from support.rendered import every, main_service, one, registry_env

RULE = {"alert": "Down", "expr": "up == 0"}
WATCHED: dict[str, Any] = {
    "metrics": {
        "enabled": True,
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True, "rules": [RULE]},
    }
}


def ingress(render: Renderer, **values: Any) -> Object:
    return one(render({"ingress": {"enabled": True, **values}}), "Ingress")


def test_n1_each_network_is_one_of_its_own(render: Renderer) -> None:
    ranges = ["10.0.0.0/8", "192.168.0.0/16"]
    service = {"type": "LoadBalancer", "loadBalancerSourceRanges": ranges}
    spec = main_service(render({"service": service}))["spec"]
    assert spec["loadBalancerSourceRanges"] == ranges


def test_n2_every_object_follows_the_namespace(render: Renderer) -> None:
    values = {
        **WATCHED,
        "namespace": "elsewhere",
        "autoscaling": {"enabled": True},
        "garbageCollect": {"enabled": True},
        "podDisruptionBudget": {"maxUnavailable": 1},
        "ingress": {"enabled": True},
        "networkPolicy": {"enabled": True},
    }
    rendered = render(values)
    kinds = {thing["kind"] for thing in rendered}
    assert {"HorizontalPodAutoscaler", "ServiceMonitor", "PodMonitor", "PrometheusRule"} <= kinds
    assert {thing["metadata"]["namespace"] for thing in rendered} == {"elsewhere"}


def test_n3_the_class_is_said_once(render: Renderer) -> None:
    """The API refuses the field beside the old annotation."""
    annotated = ingress(render, annotations={"kubernetes.io/ingress.class": "old"})
    assert "ingressClassName" not in annotated["spec"]
    assert ingress(render, className="traefik")["spec"]["ingressClassName"] == "traefik"
    assert "ingressClassName" not in ingress(render, className="")["spec"]


def test_n3_hosts_have_paths_and_types_of_their_own(render: Renderer) -> None:
    host = {
        "host": "{{ .Release.Name }}.example.com",
        "paths": [{"path": "/", "pathType": "Exact"}],
    }
    thing = ingress(render, hosts=["plain.example.com", host])
    found = [
        (rule["host"], path["path"], path["pathType"])
        for rule in thing["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert found == [
        ("plain.example.com", "/", "Prefix"),
        ("test.example.com", "/", "Exact"),
    ]


def test_n3_no_annotations_are_no_key(render: Renderer) -> None:
    """`annotations:` with nothing below is null, which some tools refuse."""
    metadata = ingress(render, className="traefik")["metadata"]
    assert metadata.get("annotations", {"none": "given"})


def test_n4_metrics_are_one_switch(render: Renderer) -> None:
    env = registry_env(render({"metrics": {"enabled": True}}))
    assert env["REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED"] == "true"
    assert env["REGISTRY_HTTP_DEBUG_ADDR"] == ":5001"


def test_n4_the_profiler_is_not_on_the_registrys_service(render: Renderer) -> None:
    """The debug port has pprof, and the Service may be a load balancer."""
    rendered = render({"metrics": {"enabled": True}, "service": {"type": "LoadBalancer"}})
    assert [port["port"] for port in main_service(rendered)["spec"]["ports"]] == [5000]
    metrics = one(rendered, "Service", "-metrics")["spec"]
    assert (metrics["type"], metrics["ports"][0]["port"]) == ("ClusterIP", 5001)


@pytest.mark.parametrize("address", [":5007", "0.0.0.0:5007", "[::]:5007", "localhost:5007"])
def test_n4_any_form_of_address_has_its_port(render: Renderer, address: str) -> None:
    values = {"metrics": {"enabled": True}, "configData": {"http": {"debug": {"addr": address}}}}
    (port,) = one(render(values), "Service", "-metrics")["spec"]["ports"]
    assert port["targetPort"] == 5007


@pytest.mark.parametrize("rules", [{}, [], None])
def test_n5_no_rules_are_no_object(render: Renderer, rules: object) -> None:
    """An empty one is refused by the API. The default of two charts was a map."""
    rule = {"enabled": True, "rules": rules}
    rendered = render({"metrics": {"enabled": True, "prometheusRule": rule}})
    assert not every(rendered, "PrometheusRule")
    given = one(render(WATCHED), "PrometheusRule")
    assert given["spec"]["groups"][0]["rules"] == [RULE]


def test_n5_a_monitor_is_told_how_often_and_what(render: Renderer) -> None:
    told = {
        "interval": "45s",
        "scrapeTimeout": "9s",
        "relabelings": [{"action": "labeldrop", "regex": "pod"}],
        "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "go_.*"}],
    }
    values = {"metrics": {"enabled": True, "serviceMonitor": {"enabled": True, **told}}}
    rendered = render(values)
    (endpoint,) = one(rendered, "ServiceMonitor")["spec"]["endpoints"]
    assert {key: endpoint[key] for key in told} == told
    assert problems(rendered) == []


def test_n6_the_service_is_called_as_it_always_was(render: Renderer) -> None:
    """`service.name` is the default `registry` at two charts; `nameOverride` renames."""
    for service, expected in (
        ({"name": "registry"}, "test-docker-registry"),
        ({"nameOverride": "images"}, "images"),
    ):
        assert main_service(render({"service": service}))["metadata"]["name"] == expected


def test_n6_the_notes_name_the_port_and_the_scheme(render: Renderer) -> None:
    told = render.notes({"tlsSecretName": "tls", "service": {"port": 8443}})
    assert "https://test-docker-registry.test-ns.svc:8443" in told
    assert "http://" not in told


def test_n7_layers_of_any_size_pass_the_ingress(render: Renderer) -> None:
    """Behind ingress-nginx the limit is 1 MiB, and a push ends in 413. The user's word counts."""
    key = "nginx.ingress.kubernetes.io/proxy-body-size"
    assert ingress(render)["metadata"]["annotations"][key] == "0"
    mine = ingress(render, annotations={key: "4g"})
    assert mine["metadata"]["annotations"][key] == "4g"
    assert key not in ingress(render, className="traefik")["metadata"].get("annotations", {})
