"""Certificates of others: nodes pull, and a renewed one takes effect with no change by hand.

A Secret that a person fills, and a Certificate that cert-manager does (its controllers' stand-in is
support/tls.py). What the release makes by itself: test_node_trust.py.
"""

import time

import pytest

from e2e.conftest import Measured
from support.nodes import Trusting
from support.on_cluster import install_with
from support.runnable import runnable_image
from support.tls import (
    Authority,
    Issuer,
    Pair,
    define_certificates,
    fingerprint,
    give_secret,
    https_client,
    issuing,
    names_in,
    secret_of,
    served,
)
from support.waiting import until


def push(trust: Trusting, authority: Authority, tag: str) -> None:
    """Push an image that no node has."""
    client = https_client(trust.release, authority.pem)
    client.push("app", runnable_image(f"{trust.release.namespace} {tag}"), tag)
    client.close()


def assert_takes_effect(trust: Trusting, authority: Authority, secret: str) -> float:
    """Wait until the Secret's certificate is served by the same pod; return the seconds."""
    began = time.monotonic()
    pod = trust.release.pod()["metadata"]["uid"]
    wanted = fingerprint(secret_of(trust.release, secret)["tls.crt"])
    until(
        lambda: served(trust.release, authority.pem) == wanted,
        what="the renewed certificate is served",
        timeout=240,  # a minute until the next run, and another until the kubelet has the file
        pause=1,
    )
    assert trust.release.pod()["metadata"]["uid"] == pod, "pods were replaced"
    assert trust.release.restarts() == 1
    return time.monotonic() - began


def own_certificate(trust: Trusting, authority: Authority) -> Pair:
    """Return one for all that the tests ask, as a person would have it made."""
    release = trust.release
    names = ["localhost", trust.host.partition(":")[0]]
    names += [f"{release.fullname}.{release.namespace}.svc"]
    return authority.sign(names, ["127.0.0.1", *(node.address for node in trust.nodes)])


def test_a_persons_secret_is_trusted_and_its_renewal_takes_effect(
    trust: Trusting, measured: Measured
) -> None:
    """Seen to fail: a script that is not told of the pods restarts none; one not told of the
    Secret publishes plain HTTP, and a pull ends with `400 Bad Request`.
    """
    release, authority = trust.release, Authority("a company")
    give_secret(release, "own-tls", own_certificate(trust, authority), authority.pem)
    trust.choose(*trust.nodes)
    install_with(release, trust.values(via="NodeAddress", tlsSecretName="own-tls"))
    push(trust, authority, "one")
    trust.pull_everywhere("one")

    give_secret(release, "own-tls", own_certificate(trust, authority), authority.pem)
    seconds = assert_takes_effect(trust, authority, "own-tls")

    measured(f"a person's Secret: served {seconds:.0f} s after it was renewed")
    push(trust, authority, "two")
    trust.pull_everywhere("two")
    assert all(node.trust_of(release) for node in trust.nodes)
    release.uninstall()
    assert [node.trust_of(release) for node in trust.nodes] == [{}, {}]
    assert secret_of(release, "own-tls"), "it is the person's"


def test_a_certificate_of_cert_manager_is_trusted_and_its_renewal_takes_effect(
    trust: Trusting, measured: Measured
) -> None:
    """Seen to fail: a Certificate for `registry.invalid` alone."""
    release = trust.release
    define_certificates(release.cluster)
    secret = f"{release.fullname}-certmanager"
    address = trust.nodes[-1].address
    values = trust.values(
        via="Clients",
        tls={
            "mode": "certManager",
            # Helm knows no node's address.
            "names": [address],
            "certManager": {"issuerRef": {"name": "company"}, "privateKey": {"algorithm": "ECDSA"}},
        },
    )
    trust.choose(*trust.nodes)
    with issuing(Issuer(release.cluster, release.namespace)) as issuer:
        # Helm waits for the pod, and that for the Secret, which the issuer fills meanwhile.
        install_with(release, values)
        asked = names_in(secret_of(release, secret)["tls.crt"])
        assert {address, trust.host.partition(":")[0], "127.0.0.1", release.fullname} <= asked
        push(trust, issuer.authority, "one")
        trust.pull_everywhere("one")

        before = fingerprint(secret_of(release, secret)["tls.crt"])
        issuer.renew(secret)
        until(
            lambda: fingerprint(secret_of(release, secret)["tls.crt"]) != before,
            what="the stand-in renews",
            pause=0.5,
        )
        seconds = assert_takes_effect(trust, issuer.authority, secret)

        measured(f"cert-manager's: served {seconds:.0f} s after it was renewed")
        push(trust, issuer.authority, "two")
        trust.pull_everywhere("two")


@pytest.mark.full
def test_an_added_name_is_asked_of_cert_manager_and_served(trust: Trusting) -> None:
    """Seen to fail: a Certificate that is not asked for the release's names."""
    release = trust.release
    define_certificates(release.cluster)
    secret = f"{release.fullname}-certmanager"
    manager = {"issuerRef": {"name": "company"}}
    with issuing(Issuer(release.cluster, release.namespace)) as issuer:
        install_with(release, trust.values(tls={"mode": "certManager", "certManager": manager}))
        served(release, issuer.authority.pem)

        names = ["registry.example.com"]
        tls = {"mode": "certManager", "certManager": manager, "names": names}
        install_with(release, trust.values(tls=tls))

        until(
            lambda: "registry.example.com" in names_in(secret_of(release, secret)["tls.crt"]),
            what="the stand-in signs for the name",
            pause=0.5,
        )
        assert_takes_effect(trust, issuer.authority, secret)
        served(release, issuer.authority.pem, "registry.example.com")
