"""What the rendered Roles let a service account do."""

from collections.abc import Iterable, Iterator
from typing import Any

from helm_chart_test import Object
from support.rights import Rights

UNNAMED = {("list", "pods"), ("list", "nodes"), ("create", "events")}
"""What cannot be granted by an object's name: lists, and objects whose names are made up."""

_ROLES = {"Role": "RoleBinding", "ClusterRole": "ClusterRoleBinding"}


def granted(objects: Iterable[Object], account: str) -> Rights:
    """Return all that an account may do, as tests/support/rights.py says it.

    A Deployment stands for the StatefulSet too. Fails for a right over objects of every name.
    """
    found = set()
    for rule in rules(list(objects), account):
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                right = (verb, resource.replace("statefulsets", "deployments"))
                assert rule.get("resourceNames") or right in UNNAMED, f"{account}: {rule}"
                found.add(right)
    return frozenset(found)


def rules(objects: list[Object], account: str) -> Iterator[dict[str, Any]]:
    """Yield each rule of the Roles and ClusterRoles that are bound to an account."""
    for binding in objects:
        if binding["kind"] not in _ROLES.values():
            continue
        if any(subject["name"] == account for subject in binding["subjects"]):
            yield from _role_of(objects, binding)["rules"]


def named(objects: list[Object], account: str, resource: str) -> set[str]:
    """Return the names of the objects of a kind that an account may touch."""
    return {
        name
        for rule in rules(objects, account)
        if resource in rule["resources"]
        for name in rule.get("resourceNames", ())
    }


def _role_of(objects: list[Object], binding: Object) -> Object:
    wanted = binding["roleRef"]
    (found,) = (
        thing
        for thing in objects
        if thing["kind"] == wanted["kind"]
        and thing["metadata"]["name"] == wanted["name"]
        and thing["metadata"].get("namespace") == binding["metadata"].get("namespace")
    )
    return found
