"""Parts of what our chart renders, by the name that tests have for them."""

from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from helm_chart_test import Object, containers, pod_template

WORKLOADS = ("Deployment", "StatefulSet")
REGISTRY = "docker-registry"
"""The name of the registry's container, and of its chart."""


def printed(*parts: str) -> str:
    """Return an object of the user's own, `notes`, that is filled with parts of the notes.

    `address`, `risks` or `withoutEffect`. `helm install --dry-run=client` prints notes, but knows
    of no definition; `helm template` can ask a cluster, but prints none.
    """
    data = "".join(
        f'  {part}: {{{{ include "docker-registry.notes.{part}" . | toJson }}}}\n' for part in parts
    )
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: notes}}\ndata:\n{data}"


def every(objects: Iterable[Object], kind: str) -> list[Object]:
    return [thing for thing in objects if thing["kind"] == kind]


def one(objects: Iterable[Object], kind: str, name: str = "") -> Object:
    """Return the only object of a kind; with `name`, of those whose name ends so."""
    found = [t for t in every(objects, kind) if t["metadata"]["name"].endswith(name)]
    assert len(found) == 1, [thing["metadata"]["name"] for thing in found]
    return found[0]


def workload(objects: Iterable[Object]) -> Object:
    """Return the Deployment or StatefulSet with the registry's pods."""
    (found,) = (thing for thing in objects if thing["kind"] in WORKLOADS)
    return found


def pod_of(thing: Object) -> Object:
    pod = pod_template(thing)
    assert pod is not None, thing["kind"]
    return pod


def registry_pod(objects: Iterable[Object]) -> Object:
    return pod_of(workload(objects))


def registry_container(objects: Iterable[Object]) -> Object:
    return containers(registry_pod(objects))[REGISTRY]


def environment(container: Object) -> dict[str, Any]:
    """Return a container's variables: a text, or where it comes from. No name is there twice."""
    entries = container.get("env", [])
    names = [entry["name"] for entry in entries]
    assert len(set(names)) == len(names), f"given twice: {names}"
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def registry_env(objects: Iterable[Object]) -> dict[str, Any]:
    return environment(registry_container(objects))


def main_service(objects: Iterable[Object]) -> Object:
    """Return the Service that clients use."""
    (found,) = (
        thing
        for thing in every(objects, "Service")
        if thing["metadata"]["labels"].get("app.kubernetes.io/component") == "registry"
    )
    return found


def secret_of(thing: Object) -> dict[str, str]:
    """Return what a Secret holds, decoded."""
    return {key: b64decode(value).decode() for key, value in thing.get("data", {}).items()}
