"""NOTES.txt: commands that work as printed, and what to know before relying on it."""

import re
import shlex
from typing import Any

import pytest

from helm_chart_test import object_id
from helm_chart_test.fixtures import Renderer
from support.run import run

_COMMAND = re.compile(
    r"^ +(?:until )?((?:\w+=\$\()?(?:kubectl|curl|docker|helm) .*)$", re.MULTILINE
)
_KINDS = {"service", "deployment", "statefulset", "cronjob", "ingress", "httproute", "secret"}
ROUTE = {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}]}

TOKEN = {"realm": "https://auth.example.com", "service": "s", "issuer": "i", "jwks": "{}"}

# Each way to the registry: values, and the commands that must be among the printed ones.
WAYS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "ClusterIP": (
        {},
        [
            "kubectl port-forward -n test-ns service/my-docker-registry 5000:5000",
            'curl "http://127.0.0.1:5000/v2/_catalog"',
        ],
    ),
    "ClusterIP with TLS": (
        {"tlsSecretName": "tls", "service": {"port": 443}},
        [
            "kubectl port-forward -n test-ns service/my-docker-registry 5000:443",
            'curl --insecure "https://127.0.0.1:5000/v2/_catalog"',
        ],
    ),
    "NodePort": (
        {"service": {"type": "NodePort"}},
        ['curl "http://$NODE:$PORT/v2/_catalog"'],
    ),
    "NodePort with users": (
        {"service": {"type": "NodePort"}, "tlsSecretName": "tls", "secrets": {"htpasswd": "a:b"}},
        [
            "kubectl get secret my-docker-registry-secret -n test-ns -o jsonpath='{.data.htp",
            'curl --user "$LOGIN" "https://$NODE:$PORT/v2/_catalog"',
            'docker login --username "$LOGIN" "$NODE:$PORT"',
        ],
    ),
    "LoadBalancer": (
        {"service": {"type": "LoadBalancer", "port": 80, "nameOverride": "images"}},
        [
            "kubectl get service images -n test-ns --watch",
            'curl "http://$ADDRESS:80/v2/_catalog"',
        ],
    ),
    "Ingress": (
        {"ingress": {"enabled": True, "hosts": ["a.example.com"], "tls": [{"secretName": "t"}]}},
        ['curl "https://a.example.com/v2/_catalog"'],
    ),
    "Ingress of one host with a certificate": (
        {
            "networking": {"type": "ingress"},
            "ingress": {
                "hosts": ["a.example.com", "b.example.org"],
                "tls": [{"secretName": "t", "hosts": ["*.example.com"]}],
            },
            "auth": {"token": TOKEN},
        },
        [
            'curl --include "https://a.example.com/v2/"',
            'curl --include "http://b.example.org/v2/"',
            'docker login "b.example.org"',
        ],
    ),
    "Ingress of every host": (
        {"ingress": {"enabled": True, "hosts": []}},
        [
            "kubectl get ingress my-docker-registry -n test-ns",
            'curl "http://$HOST/v2/_catalog"',
        ],
    ),
    "HTTPRoute": (
        {"httproute": {**ROUTE, "hostnames": ["{{ .Release.Name }}.example.com"]}},
        [
            "kubectl get httproute my-docker-registry -n test-ns",
            'curl "https://my.example.com/v2/_catalog"',
        ],
    ),
    "HTTPRoute of the Gateway's host": (
        {"networking": {"type": "gateway"}, "httproute": {**ROUTE, "enabled": False}},
        [
            "kubectl get gateway public -n gateways",
            'curl "https://$GATEWAY/v2/_catalog"',
        ],
    ),
    "no Service": (
        {"service": {"create": False}, "useStatefulSet": True},
        ["kubectl port-forward -n test-ns statefulset/my-docker-registry 5000:5000"],
    ),
}


def commands(notes: str) -> list[list[str]]:
    """Return each command as a shell would split it, variables left as they are."""
    found = []
    for line in _COMMAND.findall(notes):
        inner = line.partition("$(")[2].removesuffix(")") if "=$(" in line.split()[0] else line
        found.append(shlex.split(inner.partition("; do ")[0], comments=True))
    return found


@pytest.mark.parametrize("way", WAYS)
def test_the_commands_are_those_of_the_way_to_it(render: Renderer, way: str) -> None:
    """Seen to fail: http whatever TLS says, as at twuni (N6); no `--user`; the Service's port
    forwarded to a workload; a host outside of `tls` called https.
    """
    values, expected = WAYS[way]
    notes = render.notes(values, release="my")
    assert [command for command in expected if command not in notes] == []


@pytest.mark.parametrize("way", WAYS)
def test_every_command_names_what_is_there(render: Renderer, way: str) -> None:
    """Seen to fail: `svc/<release>` in place of the Service's name, as at a peer; `deploy/` of a
    StatefulSet; the Secret of users who are in another one.
    """
    values = {**WAYS[way][0], "garbageCollect": {"enabled": True}, "metrics": {"enabled": True}}
    rendered = render(values, release="my")
    names = {object_id(thing).lower() for thing in rendered}
    called = commands(render.notes(values, release="my"))
    assert len(called) >= 6
    for words in called:
        if words[0] == "kubectl" and words[1:3] not in (["get", "nodes"], ["get", "gateway"]):
            assert words[words.index("-n") + 1] == "test-ns", words
        for word in words:
            kind, slash, name = word.removeprefix("--from=").partition("/")
            if slash and kind in _KINDS:
                assert f"{kind}/{name}" in names, words
        if words[1] == "get" and words[2] in _KINDS:
            assert f"{words[2]}/{words[3]}" in names, words


def test_users_of_another_secret_are_read_from_there(render: Renderer) -> None:
    """Seen to fail: `<fullname>-secret` whatever htpasswdRef says; the key's dot."""
    ref = {"secrets": {"htpasswdRef": {"name": "users", "key": "users.txt"}}}
    notes = render.notes({**ref, "service": {"type": "NodePort"}})
    assert r"get secret users -n test-ns -o jsonpath='{.data.users\.txt}'" in notes


REDIS = {"storage": {"cache": {"blobdescriptor": "redis"}}, "redis": {"addr": "redis:6379"}}
RISKS: dict[str, tuple[dict[str, Any], str]] = {
    "in the pod": ({}, "gone with it"),
    "of the node": (
        {"persistence": {"hostPath": {"path": "/srv"}}},
        "kubectl label namespace test-ns pod-security.kubernetes.io/enforce=privileged",
    ),
    "another node": ({"persistence": {"hostPath": {"path": "/srv"}}}, "Set nodeSelector"),
    "replicas": ({"replicaCount": 2, "persistence": {"enabled": True}}, "Several replicas"),
    "replicas of a StatefulSet": (
        {"replicaCount": 2, "useStatefulSet": True, "persistence": {"enabled": True}},
        "Each replica of the StatefulSet has a volume and images of its own",
    ),
    "open to all": (
        {"service": {"type": "NodePort"}},
        "Anybody who reaches the NodePort can pull and push.",
    ),
    "open by several ways": (
        {
            "service": {"type": "LoadBalancer"},
            "networking": {"type": "gateway"},
            "httproute": ROUTE,
            "ingress": {"enabled": True},
            "proxy": {"enabled": True},
        },
        "Anybody who reaches the Ingress or the HTTPRoute or the LoadBalancer can pull. ",
    ),
    "passwords in the clear": (
        {"service": {"type": "NodePort"}, "secrets": {"htpasswd": "a:b"}},
        "Passwords cross the NodePort unencrypted. Set tls.mode.",
    ),
    "a Gateway before TLS": (
        {"tlsSecretName": "tls", "httproute": ROUTE},
        "BackendTLSPolicy for the Service test-docker-registry",
    ),
    "service links": ({"enableServiceLinks": True}, "Set enableServiceLinks: false"),
    "registry 2": (
        {"image": {"tag": "2.8.3"}},
        "never run it by hand. The collector of this chart keeps them",
    ),
    "a folder of the image": ({"configPath": "/etc/"}, "configPath is /etc/, which hides"),
    "schema 1": (
        {"configData": {"compatibility": {"schema1": {"enabled": True}}}},
        "Set image.tag: 2.8.3 to keep them",
    ),
    "an autoscaler without requests": (
        {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": "1"}}},
        "autoscaling counts memory in percent of resources.requests.memory",
    ),
    "a network that enforces nothing": (
        {"networkPolicy": {"enabled": True}},
        "only where the cluster's network enforces it",
    ),
    "metrics that nobody may read": (
        {"networkPolicy": {"enabled": True, "allowExternal": False}, "metrics": {"enabled": True}},
        "Set networkPolicy.metricsFrom",
    ),
    "a store that it may not reach": (
        {"networkPolicy": {"enabled": True, "egress": {"enabled": True}}, "configData": REDIS},
        "but it needs Redis. Set networkPolicy.egress.rules",
    ),
    "nobody deletes": ({"garbageCollect": {"enabled": True}}, "nobody can delete a manifest"),
    "restarts": (
        {
            "garbageCollect": {"enabled": True},
            "configData": {"storage": {"cache": {"blobdescriptor": "inmemory"}}},
        },
        "restarts it once",
    ),
}

WITHOUT_EFFECT: dict[str, tuple[dict[str, Any], str]] = {
    "service.name": (
        {"service": {"name": "images"}},
        "service.name: images renames nothing; the Service is test-docker-registry.",
    ),
    "of another type": (
        {"service": {"nodePort": 30500, "loadBalancerIP": "192.0.2.1"}},
        "service.loadBalancerIP, service.nodePort: service.type is ClusterIP, which has no use for",
    ),
    "of no Service": (
        {"service": {"create": False, "clusterIP": "10.0.0.1"}},
        "service.clusterIP: service.create is false",
    ),
    "a session's settings": (
        {"service": {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}}},
        "service.sessionAffinityConfig",
    ),
    "neither of both": (
        {"networking": {"type": "none"}, "ingress": {"enabled": True}},
        "networking.type is none",
    ),
    "no Gateway": ({"httproute": {"enabled": True}}, "httproute.parentRefs names no Gateway"),
    "no metrics": (
        {"metrics": {"podMonitor": {"enable": True}}},
        "metrics.podMonitor.enabled: metrics.enabled is false",
    ),
    "no rules": (
        {"metrics": {"enabled": True, "prometheusRule": {"enabled": True, "rules": {}}}},
        "metrics.prometheusRule.rules is empty",
    ),
    "a second certificate": (
        {"tlsSecretName": "tls", "tls": {"crt": "c", "key": "k"}},
        "tls.crt, tls.key: tlsSecretName is set",
    ),
    "half a credential": (
        {
            "storage": "s3",
            "s3": {"bucket": "b", "region": "r"},
            "secrets": {"s3": {"accessKey": "a"}},
        },
        "secrets.s3.accessKey: one without the other",
    ),
    "a Secret in place of it": (
        {"existingSecret": "mine", "secrets": {"haSharedSecret": "x"}},
        "secrets.haSharedSecret: the Secret mine (existingSecret) counts instead",
    ),
    "risadams' restartPolicy": (
        {"garbageCollect": {"enabled": True, "restartPolicy": "OnFailure"}},
        "garbageCollect.restartPolicy",
    ),
    "a typing mistake": ({"persistance": {"enabled": True}}, "persistance (persistence?)"),
}


@pytest.mark.parametrize("risk", RISKS)
def test_a_risk_is_told(render: Renderer, risk: str) -> None:
    """Seen to fail: its `if` removed from notes/_risks.tpl."""
    values, told = RISKS[risk]
    assert told in render.notes(values)


@pytest.mark.parametrize("value", WITHOUT_EFFECT)
def test_a_value_without_effect_is_named(render: Renderer, value: str) -> None:
    """Seen to fail: its `if` removed from notes/_without_effect.tpl."""
    values, told = WITHOUT_EFFECT[value]
    head, heading, named = render.notes(values).partition("Values without effect")
    assert heading
    assert told in named
    assert told not in head


def test_a_safe_release_is_told_no_risk(render: Renderer) -> None:
    """The control of the tests above: fails when a risk is printed whatever the values."""
    values = {
        "persistence": {"enabled": True, "deleteEnabled": True},
        "secrets": {"htpasswd": "a:$2y$05$abcdefghijklmnopqrstuv"},
        "garbageCollect": {"enabled": True},
        "service": {"type": "NodePort"},
        "tlsSecretName": "tls",
        "metrics": {"enabled": True, "serviceMonitor": {"enabled": True}},
        "ingress": {"enabled": True, "tls": [{"secretName": "t"}]},
    }
    notes = render.notes(values)
    assert "Before you rely on it" not in notes
    assert "Values without effect" not in notes
    for _, told in [*RISKS.values(), *WITHOUT_EFFECT.values()]:
        assert told not in notes


def test_an_ingress_that_asks_for_passwords_itself_is_not_open(render: Renderer) -> None:
    """Seen to fail: the annotations not looked at."""
    annotations = {"nginx.ingress.kubernetes.io/auth-secret": "users"}
    closed = {"ingress": {"enabled": True, "annotations": annotations}}
    assert "Anybody who reaches the Ingress" in render.notes({"ingress": {"enabled": True}})
    assert "Anybody" not in render.notes(closed)


def test_it_is_told_how_large_bodies_pass(render: Renderer) -> None:
    """Seen to fail: said of every controller; or of none, without the annotation (N7)."""

    def told(**ingress: str) -> bool:
        return "413" in render.notes({"ingress": {"enabled": True, **ingress}})

    assert told(proxyBodySize="")
    assert not told()
    assert not told(className="traefik")


def test_helm_test_is_named_where_there_is_one(render: Renderer) -> None:
    """Seen to fail: without its `if`."""
    line = "helm test test -n test-ns"
    assert line in render.notes({})
    assert line not in render.notes({"tests": {"enabled": False}})
    assert line not in render.notes({"service": {"create": False}})


def test_the_scheme_is_the_registrys(render: Renderer) -> None:
    """Seen to fail: http whatever tlsSecretName says, as at twuni (N6)."""
    assert "http://test-docker-registry.test-ns.svc:5000" in render.notes({})
    secure = render.notes({"tlsSecretName": "tls", "service": {"port": 443}})
    assert "https://test-docker-registry.test-ns.svc:443" in secure
    assert "http://" not in secure
    configured = {"http": {"tls": {"certificate": "/certificate", "key": "/key"}}}
    assert "https://127.0.0.1:5000/v2/" in render.notes({"configData": configured})


@pytest.mark.parametrize(
    ("found", "host"),
    [
        ("172.18.0.3", "172.18.0.3"),
        ("172.18.0.3 fc00:f853::3", "172.18.0.3"),
        ("fc00:f853::3 172.18.0.3", "[fc00:f853::3]"),
        ("lb.example.com", "lb.example.com"),
    ],
)
def test_an_address_is_one_that_a_url_can_have(render: Renderer, found: str, host: str) -> None:
    """A node of two families has two. Seen to fail: without the brackets; both of them."""
    gateway = {"networking": {"type": "gateway"}, "httproute": ROUTE}
    for values in (
        {"service": {"type": "NodePort"}},
        {"service": {"type": "LoadBalancer"}, **gateway},
        {"ingress": {"enabled": True, "hosts": []}},
    ):
        lines = re.findall(r"^  (?:NODE|ADDRESS|GATEWAY|HOST)=\$\(kubectl .*? \| (.*)\)$",
                           render.notes(values), re.MULTILINE)  # fmt: skip
        assert len(lines) == (2 if "networking" in values else 1)
        for line in lines:
            done = run("bash", "-c", line, input=found)
            assert done.stdout.strip() == host
