"""The registry's workload among rendered objects."""

from typing import Any

from helm_chart_test import Object, containers


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """Return the objects of a kind by their names."""
    return {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] == kind}


def workload(objects: list[Object]) -> Object:
    """Return the Deployment or the StatefulSet."""
    (found,) = (of_kind(objects, "Deployment") | of_kind(objects, "StatefulSet")).values()
    return found


def spec_of(objects: list[Object]) -> dict[str, Any]:
    """Return the spec of the registry's pod."""
    spec: dict[str, Any] = workload(objects)["spec"]["template"]["spec"]
    return spec


def registry_of(objects: list[Object]) -> dict[str, Any]:
    """Return the registry's container."""
    container: dict[str, Any] = containers(workload(objects)["spec"]["template"])["docker-registry"]
    return container


def env_of(objects: list[Object]) -> dict[str, Any]:
    """Return its variables: a value, or where it comes from. Fails when a name is there twice."""
    entries = registry_of(objects)["env"]
    names = [entry["name"] for entry in entries]
    assert len(set(names)) == len(names), f"given twice: {names}"
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def reference(objects: list[Object], variable: str) -> tuple[str, str, bool]:
    """Return the Secret and the key that a variable comes from, and whether it may be missing."""
    found = env_of(objects)[variable]["secretKeyRef"]
    return found["name"], found["key"], found.get("optional", False)


def volumes_of(objects: list[Object]) -> dict[str, Any]:
    """Return the pod's volumes by their names, without the names."""
    volumes = {volume["name"]: volume for volume in spec_of(objects)["volumes"]}
    return {
        name: {key: part for key, part in volume.items() if key != "name"}
        for name, volume in volumes.items()
    }


def mounts_of(objects: list[Object]) -> dict[str, str]:
    """Return where the registry's container has its volumes."""
    return {mount["name"]: mount["mountPath"] for mount in registry_of(objects)["volumeMounts"]}
