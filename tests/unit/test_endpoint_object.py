"""The RegistryEndpoint as JSON, and the CustomResourceDefinition that it must satisfy."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
import yaml

from registry_gc.addresses import Address
from registry_gc.endpoint_object import (
    KIND,
    PLURAL,
    VERSION,
    WITHDRAWN,
    Observed,
    applied,
    collection_of,
    is_being_removed,
    size,
    spec_of,
    status_of,
)
from registry_gc.exposure import NodeHost, Outside, Wanted
from registry_gc.health import Health
from registry_gc.ownership import Owner
from support.checkout import ROOT

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GOOD = Health("Answers", "https://r.svc:5000/v2/ answers 200", healthy=True)
BAD = Health("NoAnswer", "https://r.svc:5000/v2/: refused")
THERE = Outside("NodePort", (Address("10.0.0.5", 30500),), "https", "one-tls")
PENDING = Outside("LoadBalancerPending", scheme="https", pending="no address yet")
BUNDLE = "-----BEGIN CERTIFICATE-----\n..."
CRD = yaml.safe_load((ROOT / "chart/crds/registryendpoints.yaml").read_text())
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


REPORT = {
    "run": "a-run",
    "outcome": "done",
    "problems": [],
    "deleted": {"bytes": 1536, "blobs": 2},
    "finished": "2026-11-24T13:00:00+01:00",
    "seconds": 61.7,
}


def observed(clients: Outside = THERE, health: Health = GOOD, **more: Any) -> Observed:
    host = NodeHost(Address("registry.lan", 5000), "https", "Pods", Address("127.0.0.1", 30500))
    own = NodeHost(Address("10.0.0.5", 30500), "https", "Pods")
    return Observed(
        clients, ("r.registry.svc:5000",), "https", (host, own), health, BUNDLE, BUNDLE, **more
    )


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(dict(each) for each in status["conditions"] if each["type"] == kind)


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a schema and all below it, with where it is."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from schemas(below, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")


class TestTheDefinition:
    def test_it_is_what_the_script_writes(self) -> None:
        assert f"{CRD['spec']['group']}/{CRD['spec']['versions'][0]['name']}" == VERSION
        assert CRD["metadata"]["name"] == f"{PLURAL}.{CRD['spec']['group']}"
        assert (CRD["spec"]["names"]["kind"], CRD["spec"]["names"]["plural"]) == (KIND, PLURAL)
        assert CRD["spec"]["versions"][0]["subresources"] == {"status": {}}

    @pytest.mark.parametrize(
        "status",
        [
            status_of(observed(), {}, NOW),
            status_of(observed(PENDING, BAD), {}, NOW),
            status_of(observed(Outside("ClusterIP")), {"metadata": {"generation": 3}}, NOW),
            status_of(
                observed(
                    read_only=True,
                    collection=collection_of(REPORT),
                ),
                {},
                NOW,
            ),
        ],
    )
    def test_every_status_satisfies_it(self, status: dict[str, Any]) -> None:
        """Unknown fields too, which the API would drop in silence. Seen to fail: rename a field."""
        strict = {**SCHEMA, "additionalProperties": False}
        for _, each in schemas(strict):
            if each.get("type") == "object" and each.get("properties"):
                each["additionalProperties"] = False
        wanted = Wanted((Address("a", 1),), "https", "", Address("registry.lan", 5000))
        body = applied(Owner("registry", "test"), "one", spec_of(wanted, "r", withdrawn=True))
        metadata = body.pop("metadata")

        assert metadata["name"] == "one"
        jsonschema.validate({**body, "status": status}, strict)

    def test_it_is_structural_and_bounded(self) -> None:
        """Without bounds the API refuses rules by their cost. Seen to fail: drop a maxItems."""
        found = dict(schemas(SCHEMA))
        assert {".spec.addresses[]", ".status.nodes[].host"} <= found.keys()
        for path, schema in found.items():
            assert "type" in schema, path
            if schema["type"] == "array":
                assert "maxItems" in schema, path
            if schema["type"] == "string" and path.startswith((".spec.", ".status.")):
                assert {"maxLength", "enum", "format"} & set(schema), path

    def test_every_rule_says_what_to_write(self) -> None:
        rules = [
            (path, rule)
            for path, schema in schemas(SCHEMA)
            for rule in schema.get("x-kubernetes-validations", ())
        ]

        assert len(rules) > 10
        for path, rule in rules:
            assert len(rule["message"]) > 30, path

    def test_what_people_see(self) -> None:
        """`kubectl get registryendpoints -A`."""
        columns = CRD["spec"]["versions"][0]["additionalPrinterColumns"]

        assert [each["name"] for each in columns if not each.get("priority")] == [
            "Ready", "Exposure", "Scheme", "Address", "Collected", "Result", "Freed", "Age",
        ]  # fmt: skip


class TestStatus:
    def test_where_it_is(self) -> None:
        status = status_of(observed(), {}, NOW)

        assert status["exposure"] == "NodePort"
        assert status["clients"] == {
            "addresses": ["10.0.0.5:30500"],
            "scheme": "https",
            "caBundle": BUNDLE,
        }
        assert status["pods"]["addresses"] == ["r.registry.svc:5000"]
        assert status["nodes"] == [
            {
                "host": "registry.lan:5000",
                "scheme": "https",
                "trust": "Pods",
                "server": "127.0.0.1:30500",
            },
            {"host": "10.0.0.5:30500", "scheme": "https", "trust": "Pods"},
        ]

    def test_over_http_there_is_no_bundle(self) -> None:
        """The CRD refuses it. Seen to fail: write it in any case."""
        plain = Outside("Ingress", (Address("a"),), "http", "one-tls")

        assert "caBundle" not in status_of(observed(plain), {}, NOW)["clients"]

    @pytest.mark.parametrize(
        ("clients", "health", "status", "reason"),
        [
            (THERE, GOOD, "True", "NodePort"),
            (THERE, BAD, "False", "NoAnswer"),
            (PENDING, GOOD, "False", "LoadBalancerPending"),
            (PENDING, BAD, "False", "NoAnswer"),
            (Outside("ClusterIP"), GOOD, "True", "ClusterIP"),
        ],
    )
    def test_ready_is_all_of_it(
        self, clients: Outside, health: Health, status: str, reason: str
    ) -> None:
        """Seen to fail: look at the addresses alone."""
        found = condition(status_of(observed(clients, health), {}, NOW), "Ready")

        assert (found["status"], found["reason"]) == (status, reason)

    def test_what_was_not_asked_is_not_known(self) -> None:
        """Seen to fail: take it for ill."""
        status = status_of(observed(health=Health("NotAsked", "from outside")), {}, NOW)

        assert condition(status, "Healthy")["status"] == "Unknown"
        assert condition(status, "Ready")["status"] == "Unknown"

    def test_a_conditions_time_is_when_it_changed(self) -> None:
        """Seen to fail: write the time of each look; keep it for ever."""
        first = status_of(observed(), {}, NOW)
        later = NOW + timedelta(hours=1)
        same = status_of(observed(), {"status": first}, later)
        other = status_of(observed(health=BAD), {"status": same}, later)

        assert condition(same, "Ready")["lastTransitionTime"] == "2026-11-24T12:00:00Z"
        assert condition(other, "Ready")["lastTransitionTime"] == "2026-11-24T13:00:00Z"
        assert condition(other, "AddressesKnown")["lastTransitionTime"] == "2026-11-24T12:00:00Z"
        assert same["health"]["checked"] == "2026-11-24T13:00:00Z"

    def test_the_last_collection_is_not_forgotten(self) -> None:
        """While no replica answers. Seen to fail: write only what was told now."""
        told = {"finished": "2026-11-24T11:00:00Z", "result": "Done"}
        first = status_of(observed(collection=told), {}, NOW)

        assert status_of(observed(), {"status": first}, NOW)["lastCollection"] == told


@pytest.mark.parametrize(
    ("said", "removed"),
    [
        ("2026-11-24T11:55:00+00:00", True),
        ("2026-11-24T11:45:00+00:00", False),
        ("nonsense", False),
        (None, False),
    ],
)
def test_an_uninstall_that_was_given_up_does_not_stop_it_for_ever(
    said: str | None, *, removed: bool
) -> None:
    """Seen to fail: no limit."""
    assert is_being_removed({"metadata": {"annotations": {WITHDRAWN: said}}}, NOW) is removed
    assert not is_being_removed(None, NOW)


class TestCollection:
    def test_in_short(self) -> None:
        assert collection_of(REPORT) == {
            "run": "a-run",
            "finished": "2026-11-24T12:00:00Z",
            "result": "Done",
            "freed": "1.5 KiB",
            "freedBytes": 1536,
            "blobs": 2,
            "seconds": 62,
        }

    @pytest.mark.parametrize(
        ("change", "result"),
        [
            ({"problems": ["one"]}, "Problems"),
            ({"outcome": "refused"}, "Refused"),
            ({"outcome": "failed"}, "Failed"),
        ],
    )
    def test_how_it_ended(self, change: dict[str, Any], result: str) -> None:
        found = collection_of({**REPORT, **change})

        assert found is not None
        assert found["result"] == result

    @pytest.mark.parametrize(
        "change",
        [{"outcome": "planned"}, {"finished": "never"}, {"deleted": None}, {"seconds": {}}],
    )
    def test_what_is_no_report_of_a_collection(self, change: dict[str, Any]) -> None:
        """A dry run, or a damaged one. Seen to fail: let the error through."""
        assert collection_of({**REPORT, **change}) is None


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (150 * 2**20, "150 MiB"),
        (5 * 2**40, "5.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
