"""The ConfigMap of KEP-1755, by which tools for local clusters find a registry.

https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry
One for the whole cluster, so one that is not ours stays as it is.
"""

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from registry_gc.kube_api import Api, path_of
from registry_gc.ownership import Owner

_NAMESPACE, _NAME = "kube-public", "local-registry-hosting"
_PATH = path_of("v1", "configmaps", _NAMESPACE, _NAME)
_HELP = "https://github.com/kubernetes/enhancements/issues/1755"

Echo = Callable[[str], object]


def keep(api: Api, owner: Owner, status: Mapping[str, Any], manager: str, echo: Echo) -> None:
    """Write where the registry is, as a RegistryEndpoint's status has it. Raises CollectorError."""
    found = api.get(_PATH)
    if found is not None and not owner.owns(found):
        echo(f"the ConfigMap {_NAME} in {_NAMESPACE} is not this release's and stays as it is")
        return
    hosting = {"help": _HELP}
    if status["clients"]["addresses"]:
        hosting["host"] = status["clients"]["addresses"][0]
    if status["nodes"]:
        hosting["hostFromContainerRuntime"] = status["nodes"][0]["host"]
    if status["pods"]["addresses"]:
        hosting["hostFromClusterNetwork"] = status["pods"]["addresses"][0]
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(_NAME, "endpoint"),
        "data": {"localRegistryHosting.v1": yaml.safe_dump(hosting)},
    }
    api.apply(_PATH, body, manager)


def remove(api: Api, owner: Owner, echo: Echo) -> None:
    """Remove the ConfigMap if it is ours. Raises CollectorError."""
    found = api.get(_PATH)
    if found is not None and owner.owns(found) and api.delete(_PATH, found["metadata"]["uid"]):
        echo(f"the ConfigMap {_NAME} in {_NAMESPACE} was removed")
