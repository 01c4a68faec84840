"""Objects of a release as a cluster has them, for what a chart looks up (`fake_cluster`)."""

from typing import Any

from helm_chart_test import Object

OWNER = {
    "meta.helm.sh/release-name": "test",
    "meta.helm.sh/release-namespace": "test-ns",
}
"""Helm's own annotations, of the release `test`."""


def thing(kind: str, name: str, *, owner: dict[str, str] = OWNER, **fields: Any) -> Object:
    """Return an object that the release made; `owner` are its annotations."""
    metadata = {
        "name": name,
        "namespace": "test-ns",
        "annotations": owner,
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
    }
    version = "apps/v1" if kind in {"Deployment", "StatefulSet"} else "v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
