"""What is said of TLS in the values: refused where it cannot work, told where it may surprise."""

from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import fake_cluster, merged
from helm_chart_test.fixtures import Renderer

NAME = "test-docker-registry"
SELF_SIGNED: dict[str, Any] = {"tls": {"mode": "selfSigned"}}
CERT_MANAGER: dict[str, Any] = {
    "tls": {"mode": "certManager", "certManager": {"issuerRef": {"name": "ours"}}}
}
CLIENTS: dict[str, Any] = {"tlsSecretName": "mine", "tls": {"clientCA": {"secretRef": "clients"}}}
PAIR = {"crt": "CERTIFICATE", "key": "KEY"}
OWN_TLS = {"configData": {"http": {"tls": {"certificate": "/c", "key": "/k"}}}}
TRUST = {
    "endpoint": {"enabled": True},
    "service": {"type": "NodePort"},
    "nodeTrust": {"enabled": True, "host": "registry.lan:5000"},
}

REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "its own and a Secret": (
        merged(SELF_SIGNED, {"tlsSecretName": "mine"}),
        ("tls.mode is selfSigned, but tlsSecretName is mine", "set tls.mode: secret"),
    ),
    "cert-manager and a Secret": (
        merged(CERT_MANAGER, {"tlsSecretName": "mine"}),
        ("tls.mode is certManager, but tlsSecretName is mine",),
    ),
    "none and a Secret": (
        {"tlsSecretName": "mine", "tls": {"mode": "none"}},
        ("tls.mode is none, but tlsSecretName is mine",),
    ),
    "its own and texts": (
        {"tls": {**PAIR, "mode": "selfSigned"}},
        ("tls.mode is selfSigned, but tls.crt or tls.key is set",),
    ),
    "none and half a text": (
        {"tls": {"key": "KEY", "mode": "none"}},
        ("tls.mode is none, but tls.crt or tls.key is set",),
    ),
    "no Secret": ({"tls": {"mode": "secret"}}, ("no Secret is named. Set tlsSecretName",)),
    "a Secret that goes": (
        {"tlsSecretName": f"{NAME}-selfsigned"},
        ("which is tls.mode selfSigned's own", "set tls.mode: selfSigned instead"),
    ),
    "an old TLS": (
        {"tlsSecretName": "mine", "tls": {"minimumVersion": "1.1"}},
        ('tls.minimumVersion is "1.1". Set "1.2" or "1.3".',),
    ),
    "two oldest TLS": (
        {
            "tlsSecretName": "mine",
            "tls": {"minimumVersion": "1.3"},
            "configData": {"http": {"tls": {"minimumtls": "tls1.2"}}},
        },
        ("configData.http.tls.minimumtls is tls1.2, which counts more",),
    ),
    "nothing to renew": (
        {"tls": {"restartOnRenewal": True}},
        ("tls.restartOnRenewal is true, but the registry has no certificate from a Secret",),
    ),
    "its own and one of the configuration": (
        merged(SELF_SIGNED, OWN_TLS),
        ("tls.mode is selfSigned, but configData.http.tls.certificate is set",),
    ),
    "its own and one of a variable": (
        merged(
            SELF_SIGNED,
            {"extraEnvVars": [{"name": "REGISTRY_HTTP_TLS_CERTIFICATE", "value": "/c"}]},
        ),
        ("REGISTRY_HTTP_TLS_CERTIFICATE in extraEnvVars is set",),
    ),
    "a Secret and Let's Encrypt": (
        {
            "tlsSecretName": "mine",
            "configData": {"http": {"tls": {"letsencrypt": {"cachefile": "/c"}}}},
        },
        ("configData.http.tls.letsencrypt is set, and so is a certificate (tlsSecretName)",),
    ),
    "clients of plain HTTP": (
        {"tls": {"clientCA": {"secretRef": "clients"}}},
        ("tls.clientCA.secretRef is clients, but the registry speaks plain HTTP",),
    ),
    "clients who may, before registry 3": (
        merged(CLIENTS, {"tls": {"clientCA": {"required": False}}, "image": {"tag": "2.8.3"}}),
        ("tls.clientCA.required is false, which registry 2 does not have", "image.tag: 3."),
    ),
    "clients twice": (
        merged(CLIENTS, {"configData": {"http": {"tls": {"clientauth": "request-client-cert"}}}}),
        ("tls.clientCA.secretRef and configData.http.tls.clientauth are both set",),
    ),
    "nodes without certificates": (
        merged(CLIENTS, TRUST),
        ("nodeTrust.enabled is true, but the registry turns away who shows no certificate",),
    ),
    "a clients' Secret that is no name": (
        {"tlsSecretName": "mine", "tls": {"clientCA": {"secretRef": "Clients"}}},
        ('tls.clientCA.secretRef: "Clients" is not a name',),
    ),
    "a name with a scheme": (
        merged(SELF_SIGNED, {"tls": {"names": ["https://a.example.com/v2"]}}),
        ('tls.names[0] is "https://a.example.com/v2"', "Write a.example.com."),
    ),
    "a name that is none": (
        merged(SELF_SIGNED, {"tls": {"names": ["ok", "a_b"]}}),
        ('tls.names[1] is "a_b", which is no address',),
    ),
    "all names below one": (
        merged(SELF_SIGNED, {"tls": {"names": ["*.example.com"]}}),
        ("tls.names[0] is *.example.com, but selfSigned makes no certificate",),
    ),
    "a life too short": (
        merged(SELF_SIGNED, {"tls": {"selfSigned": {"lifetime": "30m"}}}),
        ("tls.selfSigned.lifetime is 30m, too short", "at least 1h"),
    ),
    "an authority that ends first": (
        merged(SELF_SIGNED, {"tls": {"selfSigned": {"authorityLifetime": "700d"}}}),
        ("tls.selfSigned.authorityLifetime is 700d", "twice as long", "365d"),
    ),
    "a life that is none": (
        merged(SELF_SIGNED, {"tls": {"selfSigned": {"lifetime": "a year"}}}),
        ('tls.selfSigned.lifetime: "a year" is not a duration',),
    ),
    "no time": (
        merged(SELF_SIGNED, {"tls": {"selfSigned": {"timeout": "0"}}}),
        ("tls.selfSigned.timeout is 0", "Set 4m"),
    ),
    "nobody signs": (
        {"tls": {"mode": "certManager"}},
        ("tls.certManager.issuerRef.name does not say who signs",),
    ),
    "for no host": (
        merged(CERT_MANAGER, {"tls": {"certManager": {"internalNames": False}}}),
        ("the certificate would be for no host. Set tls.names.",),
    ),
    "renewed for ever": (
        merged(CERT_MANAGER, {"tls": {"certManager": {"renewBefore": "90d"}}}),
        ("tls.certManager.renewBefore is 90d, but the certificate is only good for 90d",),
    ),
    "renewed too late": (
        merged(CERT_MANAGER, {"tls": {"certManager": {"renewBefore": "1m"}}}),
        ("cert-manager takes 5m at least",),
    ),
    "a short one of cert-manager": (
        merged(CERT_MANAGER, {"tls": {"certManager": {"duration": "10m"}}}),
        ("tls.certManager.duration is 10m, and cert-manager takes 1h at least",),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_contradiction_is_said(case: str, render: Renderer) -> None:
    """Each was seen to fail with its `if` removed from contradictions/_tls.tpl."""
    values, told = REFUSED[case]
    error = render.error(values)
    assert error.count("\n- ") == 1, error
    for words in told:
        assert words in error


TAKEN: dict[str, dict[str, Any]] = {
    "a peer's two": {"tlsSecretName": "mine", "tls": PAIR},
    "a peer's, and one of the configuration": {"tlsSecretName": "mine", **OWN_TLS},
    "none, but one of the configuration": {"tls": {"mode": "none"}, **OWN_TLS},
    "clients of the configuration's": {"tls": {"clientCA": {"secretRef": "clients"}}, **OWN_TLS},
    "clients before registry 3": merged(CLIENTS, {"image": {"tag": "2.8.3"}}),
    "nodes and clients who may": merged(CLIENTS, TRUST, {"tls": {"clientCA": {"required": False}}}),
    "all names below one": merged(CERT_MANAGER, {"tls": {"names": ["*.example.com"]}}),
    "the same oldest TLS twice": {
        "tlsSecretName": "mine",
        "tls": {"minimumVersion": "1.3"},
        "configData": {"http": {"tls": {"minimumtls": "tls1.3"}}},
    },
    "an old TLS of the configuration": {
        "tlsSecretName": "mine",
        "configData": {"http": {"tls": {"minimumtls": "tls1.0"}}},
    },
    "no restart": merged(SELF_SIGNED, {"tls": {"restartOnRenewal": False}}),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_works_is_not_refused(case: str, render: Renderer) -> None:
    """The control of the test above."""
    assert render(TAKEN[case])


NOTES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "whom to trust": (
        SELF_SIGNED,
        (
            f"kubectl get secret {NAME}-selfsigned -n test-ns -o jsonpath='{{.data.ca\\.crt}}' | "
            "base64 -d > ca.crt",
            'curl --cacert ca.crt "https://127.0.0.1:5000/v2/_catalog"',
        ),
    ),
    "at the node": (
        merged(SELF_SIGNED, {"service": {"type": "NodePort"}}),
        (
            'curl --cacert ca.crt "https://$NODE:$PORT/v2/_catalog"',
            "/etc/docker/certs.d/HOST:PORT/ca.crt",
            "Set endpoint.nodeAddresses: true, or tls.names.",
        ),
    ),
    "at the load balancer": (
        merged(SELF_SIGNED, {"service": {"type": "LoadBalancer"}}),
        ('curl --cacert ca.crt "https://$ADDRESS:5000/v2/_catalog"',),
    ),
    "who shows something": (
        merged(CLIENTS, {"ingress": {"enabled": True}}),
        ("the Ingress controller too. Give it one",),
    ),
    "what a Gateway shows": (
        merged(CLIENTS, {"httproute": {"enabled": True, "parentRefs": [{"name": "public"}]}}),
        ("the Gateway too. Give it one",),
    ),
    "what to show": (CLIENTS, ("curl --insecure --cert client.crt --key client.key ",)),
    "nobody restarts it": (
        merged(SELF_SIGNED, {"tls": {"restartOnRenewal": False}}),
        ("a renewed certificate is served only once the registry is restarted",),
    ),
    "names of nobody": (
        {"tls": {"names": ["a.example.com"]}},
        ("tls.names: tls.mode is none",),
    ),
    "an issuer of nobody": (
        {"tls": {"certManager": {"issuerRef": {"name": "ours"}}}},
        ("tls.certManager.issuerRef: tls.mode is none. Set tls.mode: certManager.",),
    ),
    "a restart of nobody": (
        {"tls": {"restartOnRenewal": False}},
        ("tls.restartOnRenewal: the registry has no certificate from a Secret. Remove it.",),
    ),
    "an oldest TLS of nobody": (
        {"tls": {"minimumVersion": "1.3"}},
        ("tls.minimumVersion: the registry speaks plain HTTP",),
    ),
}


@pytest.mark.parametrize("case", NOTES)
def test_what_is_told(case: str, render: Renderer) -> None:
    """Seen to fail: curl without --cacert; each condition turned round."""
    values, told = NOTES[case]
    notes = render.notes(values)
    for words in told:
        assert words in notes, notes


def test_nodes_without_a_certificate_are_sent_nowhere(render: Renderer) -> None:
    """They cannot pull by localhost either. Seen to fail: without clientsMust."""
    port = {"service": {"type": "NodePort"}}
    words = "The nodes themselves may pull localhost"
    assert words in render.notes(merged({"tlsSecretName": "mine"}, port))
    assert words not in render.notes(merged(CLIENTS, port))


def test_what_is_told_of_a_certificate(render: Renderer, tmp_path: Path) -> None:
    """In a cluster that has cert-manager. Seen to fail: nothing about the load balancer."""
    values = merged(CERT_MANAGER, {"service": {"type": "LoadBalancer"}})
    lacks = "The certificate does not have the load balancer's address or name"
    kinds = {"cert-manager.io/v1": ("Certificate",)}
    with fake_cluster([], tmp_path, kinds=kinds) as kubeconfig:
        notes = render.notes(values, kubeconfig=kubeconfig)
        assert f"kubectl get certificate {NAME}-certmanager -n test-ns" in notes
        assert f"kubectl get secret {NAME}-certmanager -n test-ns -o jsonpath" in notes
        assert 'curl "https://$ADDRESS:5000/v2/_catalog"' in notes
        assert lacks in notes
        named = merged(values, {"tls": {"names": ["registry.example.com"]}})
        assert lacks not in render.notes(named, kubeconfig=kubeconfig)


def test_nothing_is_told_without_a_reason(render: Renderer) -> None:
    """The control of the test above."""
    listed = {"service": {"type": "NodePort"}, "endpoint": {"nodeAddresses": True}}
    for values in (merged(SELF_SIGNED, listed), {"tlsSecretName": "mine"}):
        notes = render.notes(values)
        assert "tls." not in notes.partition("Before you rely on it")[2]
        assert "Values without effect" not in notes
