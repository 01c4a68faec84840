"""The definition of RegistryEndpoints on a real API server: refusals, columns, and its upgrade.

Under a group of each test's own, because the cluster's is everybody's.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.documented import shell, shell_block
from registry_gc.addresses import Address
from registry_gc.endpoint_object import Observed, spec_of, status_of
from registry_gc.exposure import NodeHost, Outside, Wanted
from registry_gc.health import Health
from support.chart import Helm
from support.cluster import Cluster, Release
from support.definitions import FILE, Definition, defined, refusal, status_refusal

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
NOW = "2026-11-24T21:00:00Z"
CLIENTS = {"addresses": ["10.0.0.5:30500"], "scheme": "https"}
NODE = {"host": "registry.lan:5000", "scheme": "https", "trust": "Pods"}
CONDITION = {"type": "Ready", "status": "True", "reason": "NodePort", "lastTransitionTime": NOW}


@pytest.fixture(scope="module")
def definition(cluster: Cluster) -> Iterator[Definition]:
    with defined(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def made(definition: Definition) -> Iterator[str]:
    """Have one object, in `default`; its status is tried on."""
    document = json.dumps(definition.endpoint({"service": "registry"}, "made"))
    definition.cluster.kubectl("create", "-f", "-", "-n", "default", input=document)
    yield f"{definition.name}/made"
    definition.cluster.kubectl("delete", f"{definition.name}/made", "-n", "default")


_LONG = "a" * 70
SPECS = [
    ("a-scheme", {"addresses": ["https://registry.example.com/path"]},
     "an address has neither a scheme nor a path, because docker's clients take none: write "
     "registry.example.com instead of https://registry.example.com/path"),
    ("a-path", {"addresses": ["registry.example.com/team"]}, "neither a scheme nor a path"),
    ("upper-case", {"addresses": ["Registry.example.com"]},
     "a host in lower case and maybe a port from 1 to 65535"),
    ("port-0", {"addresses": ["registry:0"]}, "maybe a port from 1 to 65535"),
    ("port-65536", {"addresses": ["registry:65536"]}, "maybe a port from 1 to 65535"),
    ("no-host", {"addresses": [":5000"]}, "an address is a host in lower case"),
    ("empty-address", {"addresses": [""]}, "should be at least 1 chars long"),
    ("long-address", {"addresses": ["a" * 262]}, "may not be more than 261"),
    ("many-addresses", {"addresses": [f"a{n}" for n in range(17)]}, "must have at most 16 items"),
    ("another-scheme", {"scheme": "ftp"}, 'supported values: "http", "https"'),
    ("another-way", {"nodeHost": "a:1", "nodeVia": "Magic"},
     'supported values: "Loopback", "NodeAddress", "Clients"'),
    ("a-way-to-nothing", {"nodeVia": "Loopback"},
     "nodeVia says how nodes reach nodeHost, which is not set: set nodeHost too"),
    ("node-host-with-a-path", {"nodeHost": "registry.lan/x"}, "neither a scheme nor a path"),
    ("long-service", {"service": _LONG}, "may not be more than 63"),
    ("withdrawn-as-text", {"withdrawn": "yes"}, 'must be of type boolean: "string"'),
    ("an-unknown-field", {"adresses": ["a"]}, 'unknown field "spec.adresses"'),
    ("nothing", None, "spec: Required value"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "said"), [case[1:] for case in SPECS], ids=[c[0] for c in SPECS])
def test_the_schema_refuses_nonsense_in_a_spec(
    definition: Definition, spec: dict[str, Any] | None, said: str
) -> None:
    """Seen to fail: each rule, enum and limit taken out of chart/crds, one after another."""
    assert said in refusal(definition.cluster, "default", definition.endpoint(spec))


STATUSES = [
    ("way", {"exposure": "Magic"}, 'Unsupported value: "Magic"'),
    ("clients-without-a-scheme", {"clients": {"addresses": []}}, "clients.scheme: Required value"),
    ("clients-without-addresses", {"clients": {"scheme": "http"}},
     "clients.addresses: Required value"),
    ("many-clients", {"clients": {**CLIENTS, "addresses": [f"a{n}" for n in range(33)]}},
     "must have at most 32 items"),
    ("bundle-over-http", {"clients": {**CLIENTS, "scheme": "http", "caBundle": PEM}},
     "over plain HTTP nobody shows a certificate: remove caBundle, or set scheme: https"),
    ("bundle-that-is-none", {"pods": {**CLIENTS, "caBundle": "MIIB"}},
     "a CA bundle is certificates in PEM, and begins with -----BEGIN CERTIFICATE-----"),
    ("long-bundle", {"pods": {**CLIENTS, "caBundle": PEM + "x" * 65536}},
     "may not be more than 65536"),
    ("pods-with-a-path", {"pods": {**CLIENTS, "addresses": ["a/b"]}},
     "neither a scheme nor a path"),
    ("node-without-trust", {"nodes": [{"host": "a", "scheme": "http"}]},
     "nodes[0].trust: Required value"),
    ("node-that-trusts-another", {"nodes": [{**NODE, "trust": "Everybody"}]},
     'supported values: "Clients", "Pods"'),
    ("nodes-of-one-host", {"nodes": [NODE, NODE]}, "Duplicate value"),
    ("node-port-0", {"nodes": [{**NODE, "nodePort": 0}]},
     "should be greater than or equal to 1"),
    ("node-port-65536", {"nodes": [{**NODE, "nodePort": 65536}]},
     "should be less than or equal to 65535"),
    ("server-with-a-scheme", {"nodes": [{**NODE, "server": "https://a"}]},
     "neither a scheme nor a path"),
    ("many-nodes", {"nodes": [{**NODE, "host": f"a{n}"} for n in range(41)]},
     "must have at most 40 items"),
    ("health-without-an-answer", {"health": {"checked": NOW}}, "health.healthy: Required value"),
    ("health-at-no-time", {"health": {"checked": "now", "healthy": True}}, "date-time"),
    ("result", {"lastCollection": {"finished": NOW, "result": "Fine"}},
     'supported values: "Done", "Problems", "Refused", "Failed"'),
    ("freed-less-than-nothing",
     {"lastCollection": {"finished": NOW, "result": "Done", "freedBytes": -1}},
     "should be greater than or equal to 0"),
    ("condition-that-may-be", {"conditions": [{**CONDITION, "status": "Maybe"}]},
     'supported values: "True", "False", "Unknown"'),
    ("condition-twice", {"conditions": [CONDITION, CONDITION]}, "Duplicate value"),
    ("condition-without-a-reason", {"conditions": [{**CONDITION, "reason": ""}]},
     "should be at least 1 chars long"),
    ("condition-without-a-time",
     {"conditions": [{k: v for k, v in CONDITION.items() if k != "lastTransitionTime"}]},
     "lastTransitionTime: Required value"),
    ("read-only-as-text", {"readOnly": "no"}, 'must be of type boolean: "string"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "said"), [case[1:] for case in STATUSES], ids=[case[0] for case in STATUSES]
)
def test_the_schema_refuses_nonsense_in_a_status(
    definition: Definition, made: str, status: dict[str, Any], said: str
) -> None:
    """Seen to fail: each rule, enum and limit taken out of chart/crds, one after another."""
    assert said in status_refusal(definition.cluster, "default", made, status)


@pytest.mark.parametrize(
    "address",
    ["registry", "registry.example.com", "10.0.0.5:30500", "[fd00::5]:30500", "a:1", "a:65535"],
)
def test_the_schema_takes_addresses(definition: Definition, address: str) -> None:
    """Seen to fail: a pattern without the brackets of IPv6."""
    spec = {"addresses": [address], "nodeHost": address, "nodeVia": "NodeAddress"}

    assert not refusal(definition.cluster, "default", definition.endpoint(spec))


def everything() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a spec and a status as the script writes them, with all that can be in them."""
    host = Address("registry.lan", 5000)
    wanted = Wanted((Address("10.0.0.5", 30500),), "https", "ca", host, "NodeAddress")
    collected = {"run": "r", "finished": NOW, "result": "Done", "freed": "1 B", "freedBytes": 1,
                 "blobs": 1, "seconds": 1}  # fmt: skip
    observed = Observed(
        Outside("NodePort", (Address("10.0.0.5", 30500),), "https", "tls"),
        ("registry.ns.svc:5000",),
        "https",
        (
            NodeHost(host, "https", "Pods", node_port=30500),
            NodeHost(Address("a"), "https", "Clients", Address("b")),
        ),
        Health("Answers", "it answers", healthy=True),
        PEM,
        PEM,
        collection=collected,
    )
    before = {"metadata": {"generation": 1}}
    return spec_of(wanted, "registry"), status_of(observed, before, datetime.now(UTC))


def test_the_schema_takes_what_the_script_writes(definition: Definition, made: str) -> None:
    """Seen to fail: `blobs` as text in the schema."""
    spec, status = everything()

    assert not refusal(definition.cluster, "default", definition.endpoint(spec))
    assert not status_refusal(definition.cluster, "default", made, status)


def messages(part: Any) -> set[str]:
    """Return what the rules below a part of a definition say."""
    if isinstance(part, list):
        return {said for each in part for said in messages(each)}
    if not isinstance(part, dict):
        return set()
    rules = part.get("x-kubernetes-validations", [])
    return {each["message"] for each in rules} | messages(list(part.values()))


def test_every_rule_has_a_case() -> None:
    """Seen to fail: a rule added to a copy of chart/crds."""
    cases = " ".join(case[2] for case in (*SPECS, *STATUSES))

    said = messages(yaml.safe_load(FILE.read_text("utf-8")))

    assert len(said) >= 5
    assert {each for each in said if each[:35] not in cases} == set()


def test_explain_says_what_each_field_of_a_status_is(definition: Definition) -> None:
    """Seen to fail: the definition before its fields were described."""
    for path in ("spec", "status", "status.clients", "status.pods", "status.nodes",
                 "status.health", "status.lastCollection", "status.conditions"):  # fmt: skip
        said = definition.explain(path)

        assert "FIELDS:" in said, said
        assert "<no description>" not in said, said
    top = definition.explain("status")
    for field in ("clients", "pods", "nodes", "health", "lastCollection", "conditions"):
        assert re.search(rf"^  {field}\t", top, re.MULTILINE), top


def test_a_list_reads_well(definition: Definition, made: str) -> None:
    """Seen to fail: the column Address without its index."""
    _, status = everything()
    definition.cluster.kubectl(
        "patch", made, "-n", "default", "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": status}),
    )  # fmt: skip

    said = definition.cluster.kubectl("get", definition.name, "-A")

    head, line = said.splitlines()
    assert head.split() == [
        "NAMESPACE", "NAME", "READY", "EXPOSURE", "SCHEME", "ADDRESS", "COLLECTED", "RESULT",
        "FREED", "AGE",
    ]  # fmt: skip
    words = line.split()
    assert words[:6] == ["default", "made", "True", "NodePort", "https", "10.0.0.5:30500"]
    assert "Done" in words
    assert max(map(len, said.splitlines())) <= 120, said


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_the_documented_command_brings_an_older_definition_up_to_date(
    release: Release, helm: Helm
) -> None:
    """What Helm installed, with objects that exist: they stay, and the new field and column work.

    Seen to fail: the command without `--force-conflicts`; without `--field-manager=helm` (Helm 4).
    """
    cluster, definition = release.cluster, Definition(release.cluster)
    older = str(definition.chart(release.scratch))
    cluster.helm("install", "older", older, "-n", release.namespace, version=helm)
    try:
        definition.wait()
        withdrawn = definition.endpoint({"service": "registry", "withdrawn": True})
        assert "unknown field" in refusal(cluster, release.namespace, withdrawn)
        release.apply(definition.endpoint({"service": "registry"}))
        before = cluster.get(definition.name, "registry", "-n", release.namespace)
        newer = release.scratch / "newer.yaml"
        newer.write_text(definition.text)
        (line,) = shell_block("exposing.md", "The definition of RegistryEndpoints", 0)
        assert line.endswith("chart/crds/registryendpoints.yaml")
        own = line.replace("chart/crds/registryendpoints.yaml", str(newer))

        refused = cluster.kubectl("apply", "--server-side", "-f", str(newer), check=False)
        shell(release, own)

        assert 'conflict with "helm"' in refused
        assert ".spec.versions" in refused
        assert cluster.get(definition.name, "registry", "-n", release.namespace) == before
        assert not refusal(cluster, release.namespace, {**withdrawn, "metadata": {"name": "b"}})
        assert "FREED" in cluster.kubectl("get", definition.name, "-n", release.namespace)
        # Helm goes on owning it: a chart with the same definition installs.
        (Path(older) / "crds/registryendpoints.yaml").write_text(definition.text)
        cluster.helm("install", "newer", older, "-n", release.namespace, version=helm)
    finally:
        definition.remove()


def test_an_older_chart_installs_its_older_definition_unless_told_not_to(release: Release) -> None:
    """Helm 4's way, which the page warns of. Seen to fail: `--skip-crds` the other way round."""
    with defined(release.cluster, "helm") as definition:
        older = str(definition.chart(release.scratch))

        def columns() -> str:
            return release.cluster.kubectl("get", "crd", definition.name, "-o", "yaml")

        release.cluster.helm("install", "a", older, "-n", release.namespace, "--skip-crds")
        assert "Freed" in columns()
        release.cluster.helm("install", "b", older, "-n", release.namespace)
        assert "Freed" not in columns()


def test_the_page_shows_the_definition_of_this_chart(release: Release) -> None:
    """The way that needs no clone. Seen to fail: another file's content."""
    shell(release, "helm show crds ./chart >shown.yaml")

    shown = (release.scratch / "shown.yaml").read_text("utf-8")
    assert yaml.safe_load(shown) == yaml.safe_load(FILE.read_text("utf-8"))
