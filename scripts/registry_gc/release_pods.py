"""The pods of a release, through the Kubernetes API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry_gc.kube_api import Api, path_of

SIDECAR = "gc"
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of the registry's; `sidecar` is whether it has a collector, `ready` that it runs.

    `ending` is one that was told to end and may still serve; `node` and `host` are where it runs.
    """

    name: str
    address: str
    phase: str
    sidecar: bool
    ready: bool
    waiting: str = ""
    ending: bool = False
    node: str = ""
    host: str = ""


def pods(api: Api, namespace: str, selector: str) -> list[Pod]:
    """Return the release's pods that are not ending. Raises CollectorError."""
    return [pod for pod in all_pods(api, namespace, selector) if not pod.ending]


def all_pods(api: Api, namespace: str, selector: str) -> list[Pod]:
    """Return the release's pods, those too that are ending. Raises CollectorError.

    Not those that have ended, such as an evicted one: they stay listed for long, with an address
    that may be another pod's by now.
    """
    found = map(_pod, api.items(path_of("v1", "pods", namespace), selector))
    return [pod for pod in found if pod.phase not in _ENDED]


def _pod(item: Mapping[str, Any]) -> Pod:
    spec, status = item["spec"], item.get("status", {})
    names = {each["name"] for each in (*spec.get("initContainers", ()), *spec["containers"])}
    states = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    running = {each["name"] for each in states if "running" in each.get("state", {})}
    reasons = [
        f"{each['name']}: {waiting.get('reason', 'waiting')}"
        for each in states
        if (waiting := each.get("state", {}).get("waiting"))
    ]
    return Pod(
        item["metadata"]["name"],
        status.get("podIP", ""),
        status.get("phase", "Unknown"),
        SIDECAR in names,
        SIDECAR in running and bool(status.get("podIP")),
        ", ".join(reasons),
        "deletionTimestamp" in item["metadata"],
        spec.get("nodeName", ""),
        status.get("hostIP", ""),
    )
