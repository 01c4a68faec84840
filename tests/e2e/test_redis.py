"""Descriptors cached in a Redis that asks for a password, shared by two replicas."""

import json
from typing import Any

import pytest

from support.client import Manifest, digest_of, image
from support.cluster import Release
from support.on_cluster import install_with
from support.services import in_service, start_service

PASSWORD = "a $ecret, with: more"
TWO = {
    "replicaCount": 2,
    "persistence": {"enabled": True, "size": "1Gi"},
    "redis": {"addrs": ["redis:6379"], "password": PASSWORD},
}


@pytest.fixture
def redis(release: Release) -> Release:
    """Return a release that has a Redis in its namespace."""
    start_service(
        release, "redis", 6379, "redis-server", "--requirepass", PASSWORD, "--save", "",
        "--bind", "0.0.0.0", "--dir", "/data",
    )  # fmt: skip
    return release


def keys(release: Release) -> str:
    """Return every key that Redis holds, one a line."""
    return in_service(
        release, "redis", "redis-cli", "--no-auth-warning", "-a", PASSWORD, "--scan"
    )  # fmt: skip


def digests(manifest: Manifest) -> set[str]:
    return {manifest.digest, *(digest_of(each) for each in manifest.blobs)}


def test_a_collection_removes_exactly_the_keys_of_what_is_gone(redis: Release) -> None:
    """And nothing restarts: what both replicas know is forgotten once.

    Seen to fail: without `redis.password` the registry has no cache (NOAUTH), and no key is there.
    """
    release = redis
    install_with(release, TWO)
    release.wait_until_it_answers()
    gone, kept = image("gone", layers=3), image("kept", layers=3)
    for manifest, tag in ((gone, "gone"), (kept, "kept")):
        release.client().push("app", manifest, tag)
        for _ in range(6):  # by both replicas
            assert release.client().pull("app", tag).missing == ()
    known = keys(release)
    assert all(each in known for each in digests(gone) | digests(kept)), known
    release.client().delete_manifest("app", gone.digest)

    report = release.collect()

    assert "Deleted 5 blobs" in report, report
    left = keys(release)
    assert not [each for each in digests(gone) if each in left]
    assert all(each in left for each in digests(kept)), left
    assert {restarts(pod) for pod in release.pods()} == {0}
    release.client().push("app", gone, "again")
    for _ in range(6):
        assert release.client().pull("app", "again").missing == ()
        assert release.client().pull("app", "kept").missing == ()
    deployment = json.dumps(
        release.cluster.get("deployment,configmap,cronjob", "-n", release.namespace)
    )
    assert json.dumps(PASSWORD)[1:-1] not in deployment


def restarts(pod: dict[str, Any]) -> int:
    return sum(int(each["restartCount"]) for each in pod["status"]["containerStatuses"])
