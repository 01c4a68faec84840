"""The pods of a release, through the Kubernetes API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes
import urllib3
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from registry_gc.errors import CollectorError, ConfigurationError, StorageError

SIDECAR = "gc"
_config: Any = kubernetes.config  # it has no types
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TIMEOUT = 20  # seconds for one answer
# The client's own retries: connection errors, and answers that say "later".
_RETRIES = urllib3.Retry(
    total=6, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False
)


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of the registry's; `sidecar` is whether it has a collector, `ready` that it runs."""

    name: str
    address: str
    phase: str
    sidecar: bool
    ready: bool
    waiting: str = ""


def own_namespace() -> str:
    """Return the namespace that this pod runs in. Raises ConfigurationError outside of one."""
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        raise ConfigurationError(
            "nothing was collected: the release's namespace is not known",
            why="this does not run in a pod, and GC_NAMESPACE is not set",
            next_step="set GC_NAMESPACE and GC_SELECTOR, or run the CronJob's job instead",
        ) from None


def client() -> kubernetes.client.CoreV1Api:
    """Return a client that is in the cluster, or else one by kubeconfig."""
    configuration = kubernetes.client.Configuration()
    try:
        _config.load_incluster_config(configuration)
    except ConfigException:
        try:
            _config.load_kube_config(client_configuration=configuration)
        except (ConfigException, OSError) as error:
            raise ConfigurationError(
                "nothing was collected: no Kubernetes API is known",
                why=str(error),
                next_step="run this in the release's cluster, or set KUBECONFIG",
            ) from error
    configuration.retries = _RETRIES
    return kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))


def pods(api: kubernetes.client.CoreV1Api, namespace: str, selector: str) -> list[Pod]:
    """Return the release's pods that are not ending. Raises CollectorError."""
    try:
        # As plain JSON: the client's own objects take long to make and need every field's schema.
        answer: Any = api.list_namespaced_pod(
            namespace,
            label_selector=selector,
            _preload_content=False,
            _request_timeout=_TIMEOUT,
        )
        found = _items(answer.data)
    except ApiException as error:
        raise _refused(error, namespace) from error
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise StorageError(
            "nothing was collected: the Kubernetes API does not answer",
            why=str(error),
            next_step="check the API server, and that a NetworkPolicy lets this pod reach it",
        ) from error
    return [_pod(item) for item in found if "deletionTimestamp" not in item["metadata"]]


def _items(answer: bytes) -> list[Mapping[str, Any]]:
    """Return the items of a list. Raises ValueError for anything else, such as a proxy's page."""
    match json.loads(answer):
        case {"items": [*items]}:
            return items
    raise ValueError("its answer is no list of pods")


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
    )


def _refused(error: ApiException, namespace: str) -> CollectorError:
    if error.status in (401, 403):
        return ConfigurationError(
            "nothing was collected: the Kubernetes API does not let this pod list pods",
            why=f"{error.status} {error.reason} in the namespace {namespace}",
            next_step="let its service account list pods there; the chart makes such a "
            "Role unless it was changed",
        )
    return StorageError(
        "nothing was collected: the Kubernetes API refused to list the release's pods",
        why=f"{error.status} {error.reason}",
        next_step="look at the API server; the next run tries again",
    )
