"""The Ingress: hosts, paths, the class, and what nginx must be told."""

from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import Object, fake_cluster, render
from helm_chart_test.fixtures import Renderer
from support.chart import CHART, Helm, helm_of, problems

BODY_SIZE = "nginx.ingress.kubernetes.io/proxy-body-size"
PROTOCOL = "nginx.ingress.kubernetes.io/backend-protocol"


def ingress_of(objects: list[Object]) -> Object:
    (found,) = (thing for thing in objects if thing["kind"] == "Ingress")
    return found


def annotations_of(render: Renderer, values: dict[str, Any]) -> dict[str, str]:
    annotations: dict[str, str] = ingress_of(render(values))["metadata"].get("annotations", {})
    return annotations


def paths(spec: Object) -> list[tuple[str | None, str, str]]:
    return [
        (rule.get("host"), path["path"], path["pathType"])
        for rule in spec["rules"]
        for path in rule["http"]["paths"]
    ]


@pytest.mark.parametrize(
    ("ingress", "expected"),
    [
        ({}, [("chart-example.local", "/", "Prefix")]),
        ({"hosts": ["a", "b"], "pathType": "Exact"}, [("a", "/", "Exact"), ("b", "/", "Exact")]),
        ({"hosts": ["{{ .Release.Name }}.org"]}, [("test.org", "/", "Prefix")]),
        ({"hosts": [{"host": "a"}]}, [("a", "/", "Prefix")]),
        (
            {
                "hosts": [
                    {
                        "host": "{{ .Release.Namespace }}.org",
                        "paths": [
                            {"path": "/v2/(.*)", "pathType": "ImplementationSpecific"},
                            {"path": "/v2/"},
                        ],
                    },
                    "b",
                ]
            },
            [
                ("test-ns.org", "/v2/(.*)", "ImplementationSpecific"),
                ("test-ns.org", "/v2/", "Prefix"),
                ("b", "/", "Prefix"),
            ],
        ),
        ({"hosts": []}, [(None, "/", "Prefix")]),
        ({"hosts": [{"host": "a", "paths": ["/v2/"]}]}, [("a", "/v2/", "Prefix")]),
        ({"hosts": [{"host": "a", "paths": "/v2/"}]}, [("a", "/v2/", "Prefix")]),
    ],
)
def test_hosts_are_texts_or_maps(
    render: Renderer, ingress: dict[str, Any], expected: list[tuple[str | None, str, str]]
) -> None:
    """Seen to fail: one path for all hosts and no pathType, as at twuni (N3); no `tpl`; no rule at
    all without hosts, which the API refuses.
    """
    rendered = render({"ingress": {"enabled": True, **ingress}})
    assert paths(ingress_of(rendered)["spec"]) == expected
    assert problems(rendered) == []


def test_certificates_and_annotations_are_filled_in(render: Renderer) -> None:
    """What is in braces and speaks of nothing of ours stays.

    Seen to fail: `toYaml` without `tpl`; `tpl` of everything.
    """
    ingress = {
        "tls": [{"secretName": "{{ .Release.Name }}-tls", "hosts": ["a"]}],
        "annotations": {"example.com/a": "{{ .Release.Name }}", "example.com/b": "{{ $uri }}"},
    }
    found = ingress_of(render({"ingress": {"enabled": True, **ingress}}))
    assert found["spec"]["tls"] == [{"secretName": "test-tls", "hosts": ["a"]}]
    assert found["metadata"]["annotations"]["example.com/a"] == "test"
    assert found["metadata"]["annotations"]["example.com/b"] == "{{ $uri }}"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"enabled": True}, "nginx"),
        ({"enabled": True, "className": "traefik"}, "traefik"),
        ({"enabled": True, "className": ""}, None),
        ({"enabled": True, "annotations": {"kubernetes.io/ingress.class": "old"}}, None),
    ],
)
def test_the_class_is_said_once(
    render: Renderer, values: dict[str, Any], expected: str | None
) -> None:
    """The API refuses the class beside the old annotation (N3).

    Seen to fail: ingressClassName whatever the annotations say.
    """
    rendered = render({"ingress": values})
    assert ingress_of(rendered)["spec"].get("ingressClassName") == expected


def test_risadams_switch_asks_for_no_class(render: Renderer) -> None:
    """There the class is empty unless it is set, and the cluster's default takes the Ingress.

    Seen to fail: nginx for everybody.
    """
    spec = ingress_of(render({"networking": {"type": "ingress"}}))["spec"]
    assert "ingressClassName" not in spec
    named = {"networking": {"type": "ingress"}, "ingress": {"className": "nginx"}}
    assert ingress_of(render(named))["spec"]["ingressClassName"] == "nginx"


@pytest.mark.parametrize("tool", ["helm", "helm3"])
@pytest.mark.parametrize("before", ["traefik", None])
def test_an_ingress_keeps_its_class(tool: Helm, before: str | None, tmp_path: Path) -> None:
    """Who comes from a chart without a default class would move to nginx and be gone.

    Seen to fail: without `lookup`.
    """
    spec: dict[str, Any] = {"ingressClassName": before} if before else {"rules": []}
    metadata = {
        "name": "test-docker-registry",
        "namespace": "test-ns",
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": "test",
            "meta.helm.sh/release-namespace": "test-ns",
        },
    }
    there = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}
    with fake_cluster([{**there, "metadata": metadata, "spec": spec}], tmp_path) as cluster:

        def upgraded(ingress: dict[str, Any]) -> str | None:
            rendered = render(
                {"ingress": {"enabled": True, **ingress}},
                chart=CHART,
                helm=helm_of(tool),
                upgrade=True,
                kubeconfig=cluster,
            )
            found: str | None = ingress_of(rendered)["spec"].get("ingressClassName")
            return found

        assert upgraded({}) == before
        assert upgraded({"className": "haproxy"}) == "haproxy"


@pytest.mark.parametrize(
    ("ingress", "size"),
    [
        ({}, "0"),
        ({"className": "nginx-internal", "proxyBodySize": "10g"}, "10g"),
        ({"proxyBodySize": ""}, None),
        ({"annotations": {BODY_SIZE: "8m"}}, "8m"),
        ({"className": "traefik"}, None),
        ({"className": "", "annotations": {"kubernetes.io/ingress.class": "nginx"}}, "0"),
    ],
)
def test_nginx_lets_large_layers_through(
    render: Renderer, ingress: dict[str, Any], size: str | None
) -> None:
    """Without the annotation a push above 1 MiB ends in 413 (N7).

    Seen to fail: no annotation; one that counts more than the user's.
    """
    found = annotations_of(render, {"ingress": {"enabled": True, **ingress}})
    assert found.get(BODY_SIZE) == size


def test_nginx_speaks_https_to_a_registry_that_does(render: Renderer) -> None:
    """It would speak HTTP, and the registry answers that with 400.

    Seen to fail: no annotation; one without TLS; one that counts more than the user's.
    """
    secure = {"ingress": {"enabled": True}, "tlsSecretName": "tls"}
    assert annotations_of(render, secure)[PROTOCOL] == "HTTPS"
    assert PROTOCOL not in annotations_of(render, {"ingress": {"enabled": True}})
    own = {"enabled": True, "annotations": {PROTOCOL: "GRPCS"}}
    assert annotations_of(render, {**secure, "ingress": own})[PROTOCOL] == "GRPCS"


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({"ingress": {"enabled": True}, "networking": {"type": "none"}}, False),
        ({"ingress": {"enabled": True}, "networking": {"type": "gateway"}}, True),
        ({"networking": {"type": "ingress"}}, True),
        ({"networking": {"type": "gateway"}}, False),
        ({}, False),
    ],
)
def test_networking_type_is_risadams_switch(
    render: Renderer, values: dict[str, Any], there: bool
) -> None:
    """Seen to fail: networking.type not asked; `gateway` that turns ingress.enabled off."""
    kinds = {thing["kind"] for thing in render(values)}
    assert ("Ingress" in kinds) == there
