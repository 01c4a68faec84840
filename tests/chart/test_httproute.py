"""The HTTPRoute of the Gateway API, by risadams' values."""

from typing import Any

import pytest

from helm_chart_test import Object
from helm_chart_test.fixtures import Renderer
from support.chart import problems

PARENT = {"name": "public", "namespace": "gateways", "sectionName": "https"}


def route_of(objects: list[Object]) -> Object:
    (found,) = (thing for thing in objects if thing["kind"] == "HTTPRoute")
    return found


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({"httproute": {"enabled": True, "parentRefs": [PARENT]}}, True),
        ({"networking": {"type": "gateway"}, "httproute": {"parentRefs": [PARENT]}}, True),
        ({"networking": {"type": "gateway"}}, False),
        ({"httproute": {"enabled": True}}, False),
        ({"httproute": {"parentRefs": [PARENT]}}, False),
        (
            {
                "networking": {"type": "ingress"},
                "httproute": {"enabled": True, "parentRefs": [PARENT]},
            },
            True,
        ),
        (
            {
                "networking": {"type": "none"},
                "httproute": {"enabled": True, "parentRefs": [PARENT]},
            },
            False,
        ),
    ],
)
def test_there_is_one_where_it_was_asked_for(
    render: Renderer, values: dict[str, Any], there: bool
) -> None:
    """Without a parent it would be one of no Gateway; `gateway` is risadams' default.

    Seen to fail: parentRefs or networking.type not asked for.
    """
    assert ("HTTPRoute" in {thing["kind"] for thing in render(values)}) == there


def test_by_default_it_sends_all_to_the_registry(render: Renderer) -> None:
    """Seen to fail: no `matches`; the registry's own port in place of the Service's."""
    values = {"httproute": {"enabled": True, "parentRefs": [PARENT]}, "service": {"port": 80}}
    route = route_of(render(values))
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["spec"] == {
        "parentRefs": [PARENT],
        "rules": [
            {
                "backendRefs": [{"name": "test-docker-registry", "port": 80}],
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            }
        ],
    }


def test_everything_of_it_can_be_set(render: Renderer) -> None:
    """Seen to fail: `hostnames` without `tpl`; additionalRules after the registry's own, which
    takes every path; a number as an annotation.
    """
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
    header = {
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {"set": [{"name": "X-Release", "value": "{{ .Release.Name }}"}]},
    }
    first = {"filters": [redirect], "matches": [{"path": {"type": "Exact", "value": "/"}}]}
    rendered = render(
        {
            "httproute": {
                "enabled": True,
                "apiVersion": "gateway.networking.k8s.io/v1beta1",
                "parentRefs": [PARENT],
                "hostnames": ["{{ .Release.Name }}.example.com"],
                "matches": [{"path": {"type": "PathPrefix", "value": "/v2"}}],
                "filters": [header],
                "additionalRules": [first],
                "timeouts": {"request": "15m"},
                "annotations": {"example.com/weight": 5},
                "labels": {"team": "images"},
            }
        }
    )
    route = route_of(rendered)
    assert route["apiVersion"].endswith("/v1beta1")
    assert route["metadata"]["annotations"] == {"example.com/weight": "5"}
    assert route["metadata"]["labels"]["team"] == "images"
    spec = route["spec"]
    assert spec["hostnames"] == ["test.example.com"]
    assert spec["rules"][0] == first
    assert spec["rules"][1]["timeouts"] == {"request": "15m"}
    assert spec["rules"][1]["filters"][0]["requestHeaderModifier"]["set"][0]["value"] == "test"
    assert spec["rules"][1]["matches"] == [{"path": {"type": "PathPrefix", "value": "/v2"}}]
    assert problems(rendered) == []
