"""The RegistryEndpoint as JSON: its spec from the values, its status from what was seen.

Written by server-side apply, whole each time. A condition's time changes with its status only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_gc.exposure import NodeHost, Outside, Wanted
from registry_gc.health import UNKNOWN, Health
from registry_gc.ownership import Owner

VERSION = "docker-registry.dev/v1alpha1"
KIND = "RegistryEndpoint"
PLURAL = "registryendpoints"
MANAGER = "registry-gc-endpoint"  # one for who publishes and who withdraws: both own the spec
WITHDRAWN = "docker-registry.dev/withdrawn"  # an annotation: since when

_REMOVAL = timedelta(minutes=10)  # that an uninstall may take
_LONGEST_MESSAGE = 1024  # characters, as the CRD has it
_RESULTS: Mapping[str, str] = {"done": "Done", "refused": "Refused", "failed": "Failed"}


@dataclass(frozen=True, slots=True)
class Observed:
    """What a status is made of. `bundle` is what clients outside trust, `pod_bundle` what meets
    the pod's own certificate; PEM, empty where the system's own trust has to do.
    """

    clients: Outside
    pods: tuple[str, ...]
    pod_scheme: str
    nodes: tuple[NodeHost, ...]
    health: Health
    bundle: str = ""
    pod_bundle: str = ""
    read_only: bool = False
    collection: Mapping[str, Any] | None = None


def spec_of(wanted: Wanted, service: str, *, withdrawn: bool = False) -> dict[str, Any]:
    """Return the spec; `withdrawn` tells the nodes to remove what they trust."""
    spec: dict[str, Any] = {"service": service}
    if wanted.addresses:
        spec["addresses"] = [str(each) for each in wanted.addresses]
    if wanted.scheme:
        spec["scheme"] = wanted.scheme
    if wanted.node_host is not None:
        spec["nodeHost"] = str(wanted.node_host)
        spec["nodeVia"] = wanted.via
    if withdrawn:
        spec["withdrawn"] = True
    return spec


def applied(owner: Owner, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object to apply, without its status."""
    return {
        "apiVersion": VERSION,
        "kind": KIND,
        "metadata": owner.metadata(name, "endpoint"),
        "spec": dict(spec),
    }


def is_being_removed(found: Mapping[str, Any] | None, now: datetime | None = None) -> bool:
    """Say whether an uninstall goes on, during which nothing must be made anew.

    Not for ever: who thought better of it, or whose uninstall failed, upgrades instead.
    """
    said = ((found or {}).get("metadata") or {}).get("annotations") or {}
    try:
        since = datetime.fromisoformat(said[WITHDRAWN])
    except (KeyError, ValueError, TypeError):
        return False
    return (now or datetime.now(UTC)) - since < _REMOVAL


def status_of(
    observed: Observed, before: Mapping[str, Any], now: datetime | None = None
) -> dict[str, Any]:
    """Return the status; `before` is the object as it is, for what must not change for nothing."""
    at = _time(now or datetime.now(UTC))
    old = before.get("status") or {}
    status: dict[str, Any] = {
        "observedGeneration": before.get("metadata", {}).get("generation", 0),
        "exposure": _way(observed.clients),
        "clients": _group(
            [str(each) for each in observed.clients.addresses],
            observed.clients.scheme,
            observed.bundle,
        ),
        "pods": _group(list(observed.pods), observed.pod_scheme, observed.pod_bundle),
        "nodes": [_node_host(each) for each in observed.nodes],
        "readOnly": observed.read_only,
        "health": {
            "checked": at,
            "healthy": observed.health.healthy,
            "message": _cut(observed.health.message),
        },
        "conditions": _conditions(observed, old.get("conditions") or [], at),
    }
    # What was known stays known while no replica answers.
    if collection := observed.collection or old.get("lastCollection"):
        status["lastCollection"] = collection
    return status


def collection_of(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a collection's report says in short, None for what is no report."""
    try:
        outcome = _RESULTS[report["outcome"]]
        if outcome == "Done" and report["problems"]:
            outcome = "Problems"
        deleted = report["deleted"]
        finished = datetime.fromisoformat(report["finished"])
        return {
            "run": str(report["run"]),
            "finished": _time(finished.astimezone(UTC)),
            "result": outcome,
            "freed": size(int(deleted["bytes"])),
            "freedBytes": int(deleted["bytes"]),
            "blobs": int(deleted["blobs"]),
            "seconds": round(float(report["seconds"])),
        }
    except (KeyError, TypeError, ValueError):
        return None


def size(count: int) -> str:
    """Return a number of bytes for a column: `512 B`, `1.5 GiB`."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def _way(clients: Outside) -> str:
    """Return the way itself, also where it is not there yet: `NoNodeAddresses` is a NodePort."""
    for way in ("Ingress", "HTTPRoute", "LoadBalancer", "ClusterIP", "Addresses"):
        if clients.reason.startswith(way):
            return way
    return "NodePort"


def _group(addresses: list[str], scheme: str, bundle: str) -> dict[str, Any]:
    group: dict[str, Any] = {"addresses": addresses, "scheme": scheme}
    if bundle and scheme == "https":
        group["caBundle"] = bundle
    return group


def _node_host(found: NodeHost) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "host": str(found.host),
        "scheme": found.scheme,
        "trust": found.trust,
    }
    if found.server is not None:
        entry["server"] = str(found.server)
    if found.node_port:
        entry["nodePort"] = found.node_port
    return entry


def _conditions(observed: Observed, old: list[Mapping[str, Any]], at: str) -> list[dict[str, Any]]:
    clients, health = observed.clients, observed.health
    if clients.pending:
        known = ("False", clients.reason, clients.pending)
    elif clients.addresses:
        known = ("True", clients.reason, f"clients use {clients.addresses[0]}")
    else:
        known = ("True", clients.reason, "only pods of this cluster reach it")
    is_so = "Unknown" if health.reason == UNKNOWN else str(health.healthy)
    healthy = (is_so, health.reason, health.message)
    # The first that is not as it should be says why.
    ready = next((each for each in (healthy, known) if each[0] != "True"), known)
    found = {"Ready": ready, "AddressesKnown": known, "Healthy": healthy}
    return [_condition(kind, *said, old, at) for kind, said in found.items()]


def _condition(
    kind: str, status: str, reason: str, message: str, old: list[Mapping[str, Any]], at: str
) -> dict[str, Any]:
    before = next((each for each in old if each.get("type") == kind), {})
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": _cut(message),
        "lastTransitionTime": since or at,
    }


def _time(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def _cut(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 1]}…"
