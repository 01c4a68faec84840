"""`helm test` on a cluster: users, TLS, and what must make it fail."""

from pathlib import Path
from typing import Any

import pytest

from support.certificates import self_signed
from support.chart import HELMS, Helm
from support.cluster import Release

# The hash is a test vector of bcrypt: the password is `U*U`.
LINE = "user:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
USER = {"tests.username": "user", "tests.password": "U*U"}
SETTINGS = {
    # Only the test's pod talks to it.
    "service.type": "ClusterIP",
    "service.nodePort": "",
    "garbageCollect.enabled": "false",
    "tests.timeout": "40s",
}
GUARDED = {**SETTINGS, "secrets.htpasswd": LINE, "tlsSecretName": "mine"}


def outcome(release: Release, *flags: str, helm: Helm = "helm") -> Any:
    return release.cluster.helm(
        "test", release.name, "-n", release.namespace, "--timeout", "2m", *flags,
        check=False, version=helm,
    )  # fmt: skip


def succeeds(release: Release, *, helm: Helm = "helm") -> bool:
    return bool(outcome(release, helm=helm).returncode == 0)


def said(release: Release) -> str:
    """Return what the pod of a test that failed said, which stays for that."""
    pod = f"{release.fullname}-test"
    return release.cluster.kubectl("logs", pod, "-n", release.namespace)


def select(release: Release, name: str) -> None:
    """Let the release's Service select the pods of another, as a mistaken label does."""
    release.cluster.kubectl(
        "patch", "service", release.fullname, "-n", release.namespace, "--type=merge",
        "-p", f'{{"spec":{{"selector":{{"release":"{name}"}}}}}}',
    )  # fmt: skip


@pytest.mark.xdist_group("helm test")
def test_through_the_service_with_the_releases_user_and_certificate(
    release: Release, tmp_path: Path
) -> None:
    """One release: it works with both Helms and leaves nothing; then each thing that is wrong.

    Seen to fail: a pod that does not look at its answers.
    """
    own = self_signed(tmp_path, "DNS:registry.example.com")
    release.cluster.kubectl(
        "create", "secret", "tls", "mine", "-n", release.namespace,
        f"--cert={own.crt}", f"--key={own.key}",
    )  # fmt: skip
    release.install({**GUARDED, **USER})

    for helm in HELMS:
        assert succeeds(release, helm=helm), said(release)
    shown = outcome(release, "--logs")
    assert "pulled it back, byte for byte" in shown.stdout, shown.stdout + shown.stderr
    left = release.cluster.get("pods,secrets", "-n", release.namespace, "-l",
                               "app.kubernetes.io/component=test")  # fmt: skip
    assert left["items"] == []

    select(release, "nobody")
    assert not succeeds(release)
    assert "no registry answers at https://" in said(release)

    other = Release(release.cluster, release.namespace, release.port, name="other")
    other.install(SETTINGS)
    select(release, "other")
    assert not succeeds(release)
    assert "does not speak HTTPS" in said(release)
    select(release, release.name)

    release.install({**GUARDED, **USER, "tests.password": "wrong"})
    assert not succeeds(release)
    assert "refuses the user 'user'" in said(release)

    # An open registry has a test too, and so has one with users when no user is given.
    assert succeeds(other), said(other)
    release.install(GUARDED)
    assert succeeds(release), said(release)
