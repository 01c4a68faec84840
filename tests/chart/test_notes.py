"""NOTES.txt: commands that work as printed, and what to know before relying on it."""

import re
import shlex
from typing import Any

import pytest

from helm_chart_test import object_id
from helm_chart_test.fixtures import Renderer

_COMMAND = re.compile(r"^ +((?:\w+=\$\()?kubectl .*)$", re.MULTILINE)


def commands(notes: str) -> list[list[str]]:
    """Return each kubectl command as a shell would split it, variables left as they are."""
    found = []
    for line in _COMMAND.findall(notes):
        inner = line.partition("$(")[2].removesuffix(")") if "=$(" in line.split()[0] else line
        found.append(shlex.split(inner, comments=True))
    return found


@pytest.mark.parametrize("service", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_every_command_names_what_is_there(render: Renderer, service: str) -> None:
    """Seen to fail: `svc/<release>` in place of the Service's name, as at a peer."""
    values = {"service": {"type": service}, "garbageCollect": {"enabled": True}}
    rendered = render(values, release="my")
    names = {object_id(thing).lower() for thing in rendered}
    short = {"deploy": "deployment"}
    called = commands(render.notes(values, release="my"))
    assert len(called) >= 4
    for words in called:
        if words[1] != "get" or words[2] != "nodes":
            assert words[words.index("-n") + 1] == "test-ns", words
        for word in words:
            kind, slash, name = word.removeprefix("--from=").partition("/")
            if slash and kind in {"service", "deploy", "cronjob"}:
                assert f"{short.get(kind, kind)}/{name}" in names, words
        if words[1:3] == ["get", "service"]:
            assert f"service/{words[3]}" in names, words


RISKS: dict[str, tuple[dict[str, Any], str]] = {
    "in the pod": ({}, "gone with it"),
    "of the node": (
        {"persistence": {"hostPath": {"path": "/srv"}}},
        "kubectl label namespace test-ns pod-security.kubernetes.io/enforce=privileged",
    ),
    "another node": ({"persistence": {"hostPath": {"path": "/srv"}}}, "Set nodeSelector"),
    "replicas": ({"replicaCount": 2, "persistence": {"enabled": True}}, "Several replicas"),
    "open to all": ({"service": {"type": "NodePort"}}, "Anybody who reaches"),
    "nobody deletes": ({"garbageCollect": {"enabled": True}}, "nobody can delete a manifest"),
    "restarts": (
        {
            "garbageCollect": {"enabled": True},
            "configData": {"storage": {"cache": {"blobdescriptor": "inmemory"}}},
        },
        "restarts it once",
    ),
}


@pytest.mark.parametrize("risk", RISKS)
def test_a_risk_is_told(render: Renderer, risk: str) -> None:
    """Seen to fail: its `if` removed from NOTES.txt."""
    values, told = RISKS[risk]
    assert told in render.notes(values)


def test_a_safe_release_is_told_no_risk(render: Renderer) -> None:
    """The control of the test above: fails when a risk is printed whatever the values."""
    values = {
        "persistence": {"enabled": True, "deleteEnabled": True},
        "secrets": {"htpasswd": "a:b"},
        "garbageCollect": {"enabled": True},
    }
    notes = render.notes(values)
    assert "Before you rely on it" not in notes
    for _, told in RISKS.values():
        assert told not in notes


def test_the_scheme_is_the_registrys(render: Renderer) -> None:
    """Seen to fail: http whatever tlsSecretName says, as at twuni (N6)."""
    assert "http://test-docker-registry.test-ns.svc:5000" in render.notes({})
    secure = render.notes({"tlsSecretName": "tls", "service": {"port": 443}})
    assert "https://test-docker-registry.test-ns.svc:443" in secure
    assert "http://" not in secure
