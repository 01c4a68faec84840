"""Each variable that the chart gives a script is one that it reads, and the other way round."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from helm_chart_test import Object, containers, merged, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from registry_gc.endpoint_settings import EndpointSettings
from registry_gc.hook import HookSettings
from registry_gc.node_trust import NodeTrustSettings
from support.rendered import environment

NAME = "test-docker-registry"
EVERYTHING: dict[str, Any] = {
    "endpoint": {
        "enabled": True, "nodeAddresses": True, "hosting": True, "caSecret": "edge-ca",
        "addresses": ["registry.example.com", "10.0.0.5:30500"], "scheme": "https",
        "nodeAddressType": "Hostname", "loopback": False,
    },
    "service": {"type": "NodePort"},
    "ingress": {"enabled": True, "hosts": ["registry.example.com"]},
    "httproute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    "tls": {"mode": "selfSigned"},
    "nodeTrust": {"enabled": True, "host": "registry.lan:5000", "via": "NodeAddress"},
    "garbageCollect": {"enabled": True, "readOnly": True},
}  # fmt: skip
WITHOUT_COLLECTOR: dict[str, Any] = {"garbageCollect": {"enabled": False}}
OWN_CERTIFICATE: dict[str, Any] = {
    "tls": {"mode": "none"},
    "configData": {"http": {"tls": {"certificate": "/mine/tls.crt", "key": "/mine/tls.key"}}},
}
NO_RESTART: dict[str, Any] = {"tls": {"mode": "selfSigned", "restartOnRenewal": False}}
RELEASES = [
    EVERYTHING,
    *(merged(EVERYTHING, each) for each in (WITHOUT_COLLECTOR, OWN_CERTIFICATE, NO_RESTART)),
]


def _endpoint(variables: Mapping[str, str]) -> EndpointSettings:
    return EndpointSettings.from_environment(variables, "nothing was done")


ROLES: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "endpoint": _endpoint,
    "certificates": _endpoint,
    "hook": HookSettings.from_environment,
    "node-trust": NodeTrustSettings.from_environment,
}

# With a reason each: what is read, and never rendered.
LEFT_OUT: dict[str, set[str]] = {
    "endpoint": {
        "GC_POD_NAME",  # only whoever switches on is asked for; the switch is only taken back here
        "GC_READ_ONLY_EXPIRES",  # likewise
    },
    "certificates": {
        # Read by the same settings, and nothing to do with a certificate.
        "GC_CRONJOB", "GC_ENDPOINT", "GC_HOSTING", "GC_HTTPROUTE", "GC_INGRESS", "GC_MODE",
        "GC_POD_SCHEME", "GC_REGISTRY_PORT", "GC_SELECTOR", "GC_TOKEN_FILE", "GC_TRUST",
        "GC_TRUST_TIMEOUT", "GC_WORKLOAD",
    },
    "hook": set(),
    "node-trust": set(),
}  # fmt: skip


class Recording(dict[str, str]):
    """Variables that remember which of them were asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)


def scripts(objects: list[Object], command: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each object that runs a command, with its GC_ variables as texts."""
    for thing in objects:
        pod = pod_template(thing)
        for container in containers(pod).values() if pod else ():
            if container.get("args", [""])[0] == command:
                found = environment(container)
                yield (
                    object_id(thing),
                    {
                        name: value if isinstance(value, str) else "10.0.0.1"
                        for name, value in found.items()
                        if name.startswith("GC_")
                    },
                )


@pytest.fixture
def rendered(render: Renderer) -> list[list[Object]]:
    return [render(values) for values in RELEASES]


@pytest.mark.parametrize("command", ROLES)
def test_what_is_given_is_read(rendered: list[list[Object]], command: str) -> None:
    """And its form is one that the script takes.

    Seen to fail: GC_ENDPOINT_ADDRESS for GC_ENDPOINT_ADDRESSES; addresses with commas between.
    """
    seen = 0
    for objects in rendered:
        for owner, given in scripts(objects, command):
            variables = Recording(given)
            ROLES[command](variables)
            assert given.keys() - variables.asked == set(), owner
            seen += 1
    assert seen


@pytest.mark.parametrize("command", ROLES)
def test_what_is_read_is_given(rendered: list[list[Object]], command: str) -> None:
    """In one release or another. Seen to fail: no GC_REGISTRY_PORT, so that a registry on another
    port than 5000 never took a renewed certificate.
    """
    asked: set[str] = set()
    given: set[str] = set()
    for objects in rendered:
        for _, each in scripts(objects, command):
            variables = Recording(each)
            ROLES[command](variables)
            asked |= variables.asked
            given |= each.keys()
    assert asked - given == LEFT_OUT[command]


def test_the_environment_of_the_tests_does_not_matter() -> None:
    """The control: nothing here may come from whoever runs the tests."""
    assert not [name for name in os.environ if name.startswith("GC_")]


def test_both_scripts_see_the_same(render: Renderer) -> None:
    """Or the certificate would miss a name that is published a minute later.

    Seen to fail: endpoint.addresses given to one of the two.
    """
    objects = render(EVERYTHING)
    ((_, certificates),) = scripts(objects, "certificates")
    seen = dict(scripts(objects, "endpoint"))
    assert len(seen) == 3
    for given in seen.values():
        assert certificates.items() <= given.items()
        found = _endpoint(given)
        assert (found.wanted, found.certificate) == (
            _endpoint(certificates).wanted,
            _endpoint(certificates).certificate,
        )
