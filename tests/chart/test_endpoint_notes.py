"""What NOTES.txt tells of the RegistryEndpoint."""

from typing import Any

import pytest

from helm_chart_test.fixtures import Renderer
from support.rendered import one, printed

NOTES = printed("address", "risks", "withoutEffect")
ON: dict[str, Any] = {"endpoint": {"enabled": True}}
NODE_PORT: dict[str, Any] = {"service": {"type": "NodePort"}}


@pytest.fixture
def told(render: Renderer) -> Any:
    def said(part: str, values: dict[str, Any]) -> str:
        objects = render({**values, "extraObjects": [NOTES]})
        text: str = one(objects, "ConfigMap", "notes")["data"][part]
        return text

    return said


def test_the_command_that_shows_it_is_printed(told: Any) -> None:
    """Seen to fail: printed where there is none."""
    command = "kubectl get registryendpoint test-docker-registry -n test-ns -o wide"
    assert command in told("address", ON)
    assert "registryendpoint" not in told("address", {})


@pytest.mark.parametrize(
    ("values", "warns"),
    [
        ({**ON, **NODE_PORT}, True),
        ({"endpoint": {"enabled": True, "nodeAddresses": True}, **NODE_PORT}, False),
        ({"endpoint": {"enabled": True, "addresses": ["a:1"]}, **NODE_PORT}, False),
        ({**ON, **NODE_PORT, "ingress": {"enabled": True, "hosts": ["a.b"]}}, False),
        (NODE_PORT, False),
    ],
)
def test_a_node_port_without_addresses_is_said(
    told: Any, values: dict[str, Any], warns: bool
) -> None:
    """Seen to fail: said whatever else there is."""
    assert ("Set endpoint.nodeAddresses: true" in told("risks", values)) is warns


def test_what_rests_is_said(told: Any) -> None:
    """Seen to fail: asked for the RegistryEndpoint alone, where certificates wait too."""
    suspended = {"endpoint": {"suspend": True}, "tls": {"mode": "selfSigned"}}
    assert "endpoint.suspend is true" in told("risks", suspended)
    assert "endpoint.suspend" not in told("risks", {"endpoint": {"suspend": True}})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"endpoint": {"hosting": True, "scheme": "https", "addresses": ["a:1"]}},
            "endpoint.addresses, endpoint.hosting, endpoint.scheme: endpoint.enabled is false",
        ),
        (
            {"endpoint": {"addresses": ["a:1"], "nodeAddresses": True, "caSecret": "s"},
             "tls": {"mode": "selfSigned"}, **NODE_PORT},
            "- endpoint.caSecret: endpoint.enabled is false",
        ),
        (
            {"endpoint": {"enabled": True, "nodeAddresses": True}},
            "endpoint.nodeAddresses: service.type is ClusterIP",
        ),
    ],
)  # fmt: skip
def test_what_does_nothing_is_said(told: Any, values: dict[str, Any], words: str) -> None:
    """Seen to fail: addresses called useless where the certificate is for them."""
    assert words in told("withoutEffect", values)
    assert "endpoint" not in told("withoutEffect", {**ON, **NODE_PORT})
