"""The charts of tests/e2e/peers are equal in identity to those that they stand for.

An upgrade that succeeds from a chart unlike the real one shows nothing.
"""

import json
from copy import deepcopy
from typing import Any

import pytest

from helm_chart_test import render
from helm_chart_test.reading import mapping
from support.chart import PEERS as DATA
from support.chart import helm_of
from support.peers import PEERS, RISADAMS, STABLE, TWUNI, Peer, identity

_FILE = DATA / "identity.json"
_KNOWN: dict[str, Any] = json.loads(_FILE.read_text("utf-8")) if _FILE.exists() else {}

pytestmark = pytest.mark.skipif(
    not _KNOWN, reason=f"there is no {_FILE}: what the real charts render"
)

Entry = dict[str, Any]

# What stable 1.9 has no values for (chart-peers.md 1.3).
_NEWER = {
    "HorizontalPodAutoscaler",
    "CronJob",
    "PrometheusRule",
    "ServiceMonitor",
}


def as_stable(entries: list[Entry]) -> list[Entry]:
    """Return what stable 1.9 renders where twuni 3.0 renders this (chart-peers.md 1.3)."""
    found = [deepcopy(entry) for entry in entries if entry["kind"] not in _NEWER]
    for entry in found:
        if entry["kind"] == "Secret":
            entry["keys"] = [key for key in entry["keys"] if not key.startswith("proxy")]
        if entry["kind"] == "Deployment":
            entry["command"] = [["/bin/registry", "serve", "/etc/docker/registry/config.yml"]]
            entry["env"] = [name for name in entry["env"] if "_PROXY_" not in name]
            config = next(mount for mount in entry["mounts"] if mount[1] == "/etc/distribution")
            config[1] = "/etc/docker/registry"
        if "ports" in entry:
            entry["ports"] = [port for port in entry["ports"] if port.get("name") != "http-metrics"]
        if "labels" in entry:
            entry["labels"]["chart"] = "docker-registry-1.9.6"
    return found


def expected(peer: Peer, case: str) -> list[Entry]:
    if peer is STABLE:
        return as_stable(_KNOWN[TWUNI.title][case]["objects"])
    entries: list[Entry] = _KNOWN[peer.title][case]["objects"]
    return entries


def values(peer: Peer, case: str) -> dict[str, Any]:
    known = TWUNI if peer is STABLE else peer
    found: dict[str, Any] = _KNOWN[known.title][case]["values"]
    if peer is not STABLE:
        return found
    newer = ("proxy", "metrics", "autoscaling", "garbageCollect")
    return {key: value for key, value in found.items() if key not in newer}


CASES = [
    pytest.param(peer, case, id=f"{peer.name}, {case}")
    for peer in PEERS
    for case in (_KNOWN[TWUNI.title] if _KNOWN else ())
]


@pytest.mark.parametrize("helm", ["helm", "helm3"])
@pytest.mark.parametrize(("peer", "case"), CASES)
def test_a_peer_chart_is_equal_in_identity(peer: Peer, case: str, helm: Any) -> None:
    """Seen to fail: the volume called `config`; `proxyUsername` in stable's Secret; a claim of
    another size; risadams' Service called `<fullname>`.
    """
    rendered = render(values(peer, case), chart=peer.chart, helm=helm_of(helm), release="rel")

    ours = {(thing["kind"], thing["metadata"]["name"]): identity(thing) for thing in rendered}
    theirs = {(entry["kind"], entry["name"]): entry for entry in expected(peer, case)}
    assert len(theirs) >= 4
    assert ours == theirs


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_chart_has_the_peers_defaults(peer: Peer) -> None:
    """`--reuse-values` renders with them.

    Seen to fail: `configPath` in stable's; another image tag.
    """
    assert mapping(peer.chart / "values.yaml") == mapping(DATA / peer.defaults)


def test_stable_and_risadams_differ_from_twuni_where_they_should() -> None:
    """Seen to fail: `as_stable` that returns what it was given."""
    secrets = [
        next(entry["keys"] for entry in expected(peer, "default") if entry["kind"] == "Secret")
        for peer in (STABLE, TWUNI, RISADAMS)
    ]
    assert secrets[0] == secrets[2] == ["haSharedSecret"]
    assert "proxyUsername" in secrets[1]
