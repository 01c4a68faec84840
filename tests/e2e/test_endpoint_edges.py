"""The RegistryEndpoint of a release behind a real Ingress controller and a real Gateway."""

import json
import ssl
from typing import Any

import pytest

from support.cluster import Cluster, Release
from support.edge import CLASS, GATEWAY, NARROW, PORT, STATUS_ADDRESS, Edge
from support.endpoints import PUBLISHED, Endpoint, define, endpoint_of, refresh, row
from support.on_cluster import install_with

pytestmark = pytest.mark.xdist_group("edge")

INSIDE = {
    **PUBLISHED,
    "service.type": "ClusterIP",
    "service.nodePort": "",
    "garbageCollect.enabled": "false",
}
AUTHORITY = "edge-authority"


@pytest.fixture(scope="module", autouse=True)
def definition(cluster: Cluster) -> None:
    define(cluster)


def give_authority(edge: Edge, release: Release) -> None:
    """Put what clients of the edge trust into a Secret, as its owners would."""
    release.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": AUTHORITY},
            "stringData": {"ca.crt": edge.authority.crt.read_text()},
        }
    )


def answers_as_published(edge: Edge, found: Endpoint) -> bool:
    """Say whether a client that knows nothing but the object reaches the registry."""
    scheme, (address, *_) = found.clients
    assert scheme == "https"
    context = ssl.create_default_context(cadata=found.status["clients"]["caBundle"])
    client = edge.client(address.partition(":")[0], context=context)
    edge.wait_until_it_answers(address.partition(":")[0])
    try:
        return client.request("GET", "/v2/").status == 200
    finally:
        client.close()


def test_an_ingress(edge: Edge, release: Release) -> None:
    """Without hosts by the address that its controller tells, once it does; by its hosts, with whom
    to trust; where the edge has a port of its own by what people say.

    Seen to fail: an address that the controller of before had left in the Ingress's status;
    endpoint.caSecret not looked at; http in spite of the Ingress's certificate.
    """
    host = edge.host(release)
    give_authority(edge, release)
    edge.give_certificate(release.namespace, "edge-tls", edge.certificate)
    of_nobody = {"enabled": True, "className": "nobody", "hosts": [""]}
    install_with(release, {"ingress": of_nobody}, given=INSIDE)
    found = endpoint_of(release)
    assert found.clients == ("http", [])
    assert found.condition("Ready") == ("False", "IngressPending")

    release.cluster.kubectl(
        "patch", "ingress", release.fullname, "-n", release.namespace, "--patch",
        json.dumps({"spec": {"ingressClassName": CLASS}}),
    )  # fmt: skip
    release.cluster.kubectl(
        "wait", f"ingress/{release.fullname}", "-n", release.namespace, "--timeout=60s",
        "--for=jsonpath={.status.loadBalancer.ingress[0].ip}",
    )  # fmt: skip
    assert refresh(release).clients == ("http", [STATUS_ADDRESS])

    tls = [{"secretName": "edge-tls", "hosts": [host]}]
    ingress: dict[str, Any] = {"enabled": True, "className": CLASS, "hosts": [host], "tls": tls}
    trust = {**INSIDE, "endpoint.caSecret": AUTHORITY}
    install_with(release, {"ingress": ingress}, given=trust)

    found = endpoint_of(release)
    assert found.clients == ("https", [host])
    assert found.condition("Ready") == ("True", "Ingress")
    assert found.nodes == [f"https://{host} by Clients"]
    assert found.pods[0] == "http"
    assert answers_as_published(edge, found)
    shown = row(release)
    assert (shown["EXPOSURE"], shown["SCHEME"], shown["ADDRESS"]) == ("Ingress", "https", host)

    own_port = {**trust, "endpoint.addresses[0]": f"{host}:{PORT}", "endpoint.scheme": "https"}
    install_with(release, {"ingress": ingress}, given=own_port)
    found = endpoint_of(release)
    assert found.clients == ("https", [f"{host}:{PORT}"])
    assert found.condition("Ready") == ("True", "Addresses")
    assert answers_as_published(edge, found)


def test_an_httproute(edge: Edge, release: Release) -> None:
    """Not before its Gateway has taken it.

    Seen to fail: its hosts told at once, whatever the Gateway says; a route without hosts that is
    Ready.
    """
    host = edge.host(release)
    give_authority(edge, release)
    trust = {**INSIDE, "endpoint.caSecret": AUTHORITY}

    def install(parent: dict[str, Any], *hosts: str) -> None:
        route = {"enabled": True, "parentRefs": [parent], "hostnames": list(hosts)}
        install_with(release, {"httproute": route}, given=trust)

    install({**GATEWAY, "name": "of-nobody"}, host)
    found = endpoint_of(release)
    assert found.condition("Ready") == ("False", "HTTPRoutePending")
    assert found.clients == ("https", [])

    install(NARROW, host)
    found = settled(release)
    assert found.condition("Ready") == ("False", "HTTPRouteNotAccepted")
    assert "NoMatchingListenerHostname" in found.message("Ready")
    assert found.clients == ("https", [])
    assert row(release)["READY"] == "False"

    # Right after it, because the Job of an upgrade gives the Gateway some seconds.
    install(GATEWAY, host)
    found = endpoint_of(release)
    assert found.clients == ("https", [host])
    assert found.condition("Ready") == ("True", "HTTPRoute")
    assert found.nodes == [f"https://{host} by Clients"]
    assert answers_as_published(edge, found)

    install(GATEWAY)
    found = settled(release)
    assert found.condition("Ready") == ("False", "HTTPRouteWithoutHost")
    assert "endpoint.addresses" in found.message("Ready")


def settled(release: Release) -> Endpoint:
    """Return the object after the Gateway has looked at the route as it is."""
    generation = release.cluster.get("httproute", release.fullname, "-n", release.namespace)[
        "metadata"
    ]["generation"]
    release.cluster.kubectl(
        "wait", f"httproute/{release.fullname}", "-n", release.namespace, "--timeout=60s",
        "--for=jsonpath={.status.parents[0].conditions[0].observedGeneration}="
        f"{generation}",
    )  # fmt: skip
    return refresh(release)
