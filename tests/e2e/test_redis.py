"""Descriptors cached in a Redis that asks for a password, shared by two replicas."""

import json
from typing import Any

import pytest

from support.certificates import self_signed, signed_by
from support.client import Manifest, digest_of, image
from support.cluster import Release
from support.on_cluster import install_with
from support.services import in_service, start_service

PASSWORD = "a $ecret, with: more"
# From a Secret of the user's own it reaches the registry as it is there, which reads it as YAML.
YAML_PASSWORD = json.dumps(PASSWORD)
TWO = {"replicaCount": 2, "persistence": {"enabled": True, "size": "1Gi"}}
SERVER = ("redis-server", "--requirepass", PASSWORD, "--save", "", "--dir", "/data")
CLIENT = ("redis-cli", "--no-auth-warning", "-a", PASSWORD)


def with_a_password(release: Release) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Start Redis; return the chart's values for it, and how to ask it ourselves."""
    start_service(release, "redis", 6379, *SERVER, "--bind", "0.0.0.0")
    return {"addrs": ["redis:6379"], "password": PASSWORD}, CLIENT


def with_tls_and_a_secret(release: Release) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The same, encrypted, with an authority of our own and the password from a Secret."""
    folder = release.scratch
    ours = self_signed(folder, "DNS:authority", authority=True, name="authority")
    its = signed_by(ours, folder, "DNS:redis", name="redis")
    secret(release, "authority", {"ca.crt": ours.crt.read_text()})
    secret(release, "redis", {"tls.crt": its.crt.read_text(), "tls.key": its.key.read_text()})
    secret(release, "password", {"of-redis": YAML_PASSWORD})
    start_service(
        release, "redis", 6379, *SERVER, "--bind", "0.0.0.0", "--port", "0", "--tls-port", "6379",
        "--tls-cert-file", "/secret/tls.crt", "--tls-key-file", "/secret/tls.key",
        "--tls-auth-clients", "no", "--tls-ca-cert-file", "/secret/tls.crt", secret="redis",
    )  # fmt: skip
    values = {
        "addrs": ["redis:6379"],
        "secretRef": "password",
        "secretKeys": {"password": "of-redis"},
        "tls": {"enabled": True, "caSecret": "authority"},
    }
    return values, (*CLIENT, "--tls", "--insecure")


def secret(release: Release, name: str, data: dict[str, str]) -> None:
    release.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
    )


def digests(manifest: Manifest) -> set[str]:
    return {manifest.digest, *(digest_of(each) for each in manifest.blobs)}


def restarts(pod: dict[str, Any]) -> int:
    return sum(int(each["restartCount"]) for each in pod["status"]["containerStatuses"])


@pytest.mark.parametrize(
    "start", [with_a_password, pytest.param(with_tls_and_a_secret, marks=pytest.mark.full)]
)
def test_a_collection_removes_exactly_the_keys_of_what_is_gone(
    release: Release, start: Any
) -> None:
    """And nothing restarts: what both replicas know is forgotten once.

    Seen to fail: without `redis.password` the registry has no cache (NOAUTH), and no key is there.
    """
    values, ask = start(release)
    install_with(release, {**TWO, "redis": values})
    release.wait_until_it_answers()
    gone, kept = image("gone", layers=3), image("kept", layers=3)
    for manifest, tag in ((gone, "gone"), (kept, "kept")):
        release.client().push("app", manifest, tag)
        for _ in range(6):  # by both replicas
            assert release.client().pull("app", tag).missing == ()
    known = in_service(release, "redis", *ask, "--scan")
    assert all(each in known for each in digests(gone) | digests(kept)), known
    release.client().delete_manifest("app", gone.digest)

    report = release.collect()

    assert "Deleted 5 blobs" in report, report
    left = in_service(release, "redis", *ask, "--scan")
    assert not [each for each in digests(gone) if each in left]
    assert all(each in left for each in digests(kept)), left
    assert {restarts(pod) for pod in release.pods()} == {0}
    release.client().push("app", gone, "again")
    for _ in range(6):
        assert release.client().pull("app", "again").missing == ()
        assert release.client().pull("app", "kept").missing == ()
    told = release.cluster.get("deployments,configmaps,cronjobs", "-n", release.namespace)
    assert json.dumps(PASSWORD)[1:-1] not in json.dumps(told)
