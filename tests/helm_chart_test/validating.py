"""Check objects against the schemas of Kubernetes, without a cluster and without a network."""

from collections.abc import Collection, Iterable
from functools import lru_cache

import kubernetes_validate

from helm_chart_test.custom import CustomSchemas
from helm_chart_test.objects import Object, object_id
from helm_chart_test.rules import rule_problems

_NONE = CustomSchemas(())


@lru_cache(maxsize=1)
def kubernetes_versions() -> tuple[str, ...]:
    """Return the versions that there are schemas of, such as `1.29`, the newest last."""
    found = kubernetes_validate.utils.all_versions()
    minors = {
        tuple(int(part) for part in version.split("-")[0].split(".")[:2]) for version in found
    }
    return tuple(f"{major}.{minor}" for major, minor in sorted(minors))


def problems(
    objects: Iterable[Object],
    *,
    kube_version: str,
    custom: CustomSchemas = _NONE,
    custom_kinds: Collection[str] = (),
) -> list[str]:
    """Return what the API server of that version would refuse or drop, one line each.

    Strict: a field that the schema does not know is a problem, because it is a typing mistake. A
    kind without a schema is one too: `custom` has the schemas of other projects' kinds, and
    `custom_kinds` names those that are not looked into.
    """
    every = list(objects)
    found = []
    for thing in every:
        try:
            kubernetes_validate.validate(thing, kube_version, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = ".".join(str(part) for part in error.path) or "the object"
            found.append(f"{object_id(thing)}: {where}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            if custom.knows(thing["kind"]):
                found += [f"{object_id(thing)}: {told}" for told in custom.problems(thing)]
            elif thing["kind"] not in custom_kinds:
                found.append(f"{object_id(thing)}: {error.message}")
    return found + rule_problems(every)
