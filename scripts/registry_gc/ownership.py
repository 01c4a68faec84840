"""Which objects of the cluster are this release's own: they carry its mark, others are let be.

Helm does not own them: they are made by the scripts, so that their content can follow the cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry_gc.errors import GuardError

OWNER = "docker-registry.dev/owner"  # an annotation: NAMESPACE/RELEASE


@dataclass(frozen=True, slots=True)
class Owner:
    """A release, by the namespace that its objects are in and its name."""

    namespace: str
    release: str

    def __str__(self) -> str:
        """Return what the annotation says."""
        return f"{self.namespace}/{self.release}"

    def metadata(self, name: str, component: str) -> dict[str, Any]:
        """Return the metadata of an object of ours: what is selected by, and the mark."""
        return {
            "name": name,
            "labels": {
                "app.kubernetes.io/instance": self.release,
                "app.kubernetes.io/managed-by": "registry-gc",
                "app.kubernetes.io/component": component,
            },
            "annotations": {OWNER: str(self)},
        }

    def owns(self, found: Mapping[str, Any]) -> bool:
        """Say whether an object carries this release's mark."""
        annotations = found["metadata"].get("annotations") or {}
        return bool(annotations.get(OWNER) == str(self))

    def check(self, found: Mapping[str, Any] | None, what: str, way_out: str) -> None:
        """Raise GuardError if an object is there and somebody else's."""
        if found is None or self.owns(found):
            return
        whose = (found["metadata"].get("annotations") or {}).get(OWNER)
        raise GuardError(
            f"nothing was written: the {what} {found['metadata']['name']} is not this release's",
            why=f"it belongs to the release {whose}" if whose else f"it has no annotation {OWNER}",
            next_step=way_out,
        )
