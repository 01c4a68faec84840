"""What is said about Kubernetes objects, whatever chart they come from."""

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
"""One rendered Kubernetes object, as YAML gives it."""

_POD_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
}


def object_id(thing: Object) -> str:
    """Return `Kind/name`, as people call it."""
    return f"{thing['kind']}/{thing['metadata']['name']}"


def pod_template(thing: Object) -> Object | None:
    """Return the pod that this object makes: `metadata` and `spec`. None for any other object."""
    if thing["kind"] == "Pod":
        return thing
    path = _POD_TEMPLATES.get(thing["kind"])
    if path is None:
        return None
    found: Object = thing
    for step in path:
        found = found[step]
    return found


def containers(pod: Object) -> dict[str, Object]:
    """Return all containers of a pod by their name, the init containers first."""
    spec = pod["spec"]
    every = [*spec.get("initContainers", []), *spec["containers"]]
    names = [container["name"] for container in every]
    if len(set(names)) != len(names):
        raise AssertionError(f"two containers have one name: {names}")
    return {container["name"]: container for container in every}
