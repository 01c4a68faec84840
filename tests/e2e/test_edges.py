"""A registry behind a real Ingress controller and a real Gateway, with TLS at the edge.

Traefik is both. What is tested are the chart's objects, and what the registry answers through them:
addresses that lead on, layers of any size.
"""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.certificates import signed_by
from support.client import Manifest, image, layer
from support.cluster import Release
from support.edge import BELIEVED, BELIEVING, CLASS, GATEWAY, PORT, STATUS_ADDRESS, Edge
from support.notes import lines, notes, shell
from support.on_cluster import install_with

pytestmark = pytest.mark.xdist_group("edge")

LARGE = 200  # MB
INSIDE = {"service.type": "ClusterIP", "service.nodePort": "", "garbageCollect.enabled": "false"}
TRAEFIKS = "traefik.ingress.kubernetes.io/service"


def large(seed: str) -> Manifest:
    """Return an image with one large layer, as those of CUDA or a JDK are."""
    return image(seed, layers=[layer(seed, 1_000_000) * LARGE])


def behind_ingress(edge: Edge, release: Release) -> dict[str, Any]:
    host = edge.host(release)
    edge.give_certificate(release.namespace, "edge-tls", edge.certificate)
    tls = [{"secretName": "edge-tls", "hosts": [host]}]
    return {"ingress": {"enabled": True, "className": CLASS, "hosts": [host], "tls": tls}}


def behind_gateway(edge: Edge, release: Release) -> dict[str, Any]:
    hosts = [edge.host(release)]
    return {"httproute": {"enabled": True, "parentRefs": [GATEWAY], "hostnames": hosts}}


def speaking_tls(edge: Edge, release: Release, folder: Path) -> dict[str, Any]:
    """Return the values of a registry that shows a certificate of its own, to the edge too."""
    own = signed_by(edge.authority, folder, f"DNS:{BELIEVED}", name="pod")
    edge.give_certificate(release.namespace, "own-tls", own)
    return {"tlsSecretName": "own-tls"}


def try_large(edge: Edge, release: Release, way: str, *, chunks: int) -> str:
    """Push a large image and pull it by its digest; return how long that took."""
    host = edge.host(release)
    release.wait_for_the_end_of_pods()  # an old one may not speak TLS yet
    edge.wait_until_it_answers(host)
    with closing(edge.client(host)) as client:
        # Clients follow it wherever it leads: to another host they would say who they are.
        location = client.start_upload("app")
        assert location.startswith(f"https://{host}:{PORT}/v2/app/blobs/uploads/")
        pushing = time.monotonic()
        pushed = client.push("app", large(way), "large", chunks=chunks)
        pulling = time.monotonic()
        assert client.pull("app", pushed.digest).missing == ()
    up, back = pulling - pushing, time.monotonic() - pulling
    return f"{LARGE} MB in {chunks} requests by {way}: up in {up:.1f} s, back in {back:.1f} s"


def test_large_layers_through_an_ingress(
    edge: Edge, release: Release, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """TLS at the edge, and plain HTTP to the pod; then TLS to the pod too, whose certificate the
    controller believes by an annotation of the Service.

    Seen to fail: a controller that took the route for plain HTTP alone (404); a registry that
    leads clients to an address of its own (REGISTRY_HTTP_HOST).
    """
    values = behind_ingress(edge, release)
    install_with(release, values, given=INSIDE)
    measured(try_large(edge, release, "Ingress", chunks=4))
    told = notes(release)
    (ask,) = lines(told, "curl ")
    assert '"app"' in shell(release, tmp_path, edge.curl(ask))

    annotations = {f"{TRAEFIKS}.serversscheme": "https", f"{TRAEFIKS}.serverstransport": BELIEVING}
    encrypted = {
        **values,
        **speaking_tls(edge, release, tmp_path),
        "service": {"annotations": annotations},
    }
    install_with(release, encrypted, given=INSIDE)
    measured(try_large(edge, release, "Ingress and TLS in the pod", chunks=1))


def test_large_layers_through_a_gateway(
    edge: Edge, release: Release, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """The same with an HTTPRoute. That the pod speaks TLS its controller sees by the port's name.

    Seen to fail: a printed line that says nothing where the Gateway gives no message; a pod that
    does not speak TLS, asked by https (500); a registry that leads clients to an address of its
    own (REGISTRY_HTTP_HOST).
    """
    values = behind_gateway(edge, release)
    install_with(release, values, given=INSIDE)
    measured(try_large(edge, release, "HTTPRoute", chunks=4))
    told = notes(release)
    (accepted,) = lines(told, "kubectl get httproute")
    assert "Accepted=True" in shell(release, tmp_path, accepted)
    (ask,) = lines(told, "curl ")
    assert '"app"' in shell(release, tmp_path, edge.curl(ask))

    install_with(release, {**values, **speaking_tls(edge, release, tmp_path)}, given=INSIDE)
    measured(try_large(edge, release, "HTTPRoute and TLS in the pod", chunks=1))


def test_without_a_host_the_printed_commands_ask_the_controller_for_its_address(
    edge: Edge, release: Release, tmp_path: Path
) -> None:
    """Seen to fail: an Ingress that its controller has not taken; a command that asks the Ingress,
    or the Gateway, for a field that it does not have.
    """
    edge.give_certificate(release.namespace, "edge-tls", edge.certificate)
    by_ingress = {
        "enabled": True,
        "className": CLASS,
        "hosts": [""],
        "tls": [{"secretName": "edge-tls"}],
    }
    by_gateway = {"enabled": True, "parentRefs": [GATEWAY]}
    for variable, way in (
        ("HOST", {"ingress": by_ingress}),
        ("GATEWAY", {"httproute": by_gateway}),
    ):
        install_with(release, way, given=INSIDE)
        edge.wait_until_it_answers(edge.host(release))
        told = notes(release)
        (find,), (ask,) = lines(told, f"{variable}="), lines(told, "curl ")

        said = shell(release, tmp_path, find, f"echo ${variable}", edge.curl(ask))

        assert said.splitlines()[0] == STATUS_ADDRESS
        assert '"repositories"' in said
