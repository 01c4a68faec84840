"""A registry with a password, for clients, kubelets and the collector."""

from dataclasses import replace

import pytest

from support.client import Manifest
from support.cluster import Release
from support.host_clients import HostClients
from support.oci_layout import valid_image
from support.on_cluster import challenge, events, give_login, install_with
from support.waiting import until

USER, PASSWORD = "pusher", "correct horse"
# `htpasswd -Bbn -C 4 pusher "correct horse"`
LINE = f"{USER}:$2b$04$63uk7kVkOr9.hqwPUcTmeeUzG57A9/tP6tOsuPVVtkpN54vh3vXFS"


@pytest.fixture
def right(release: Release) -> HostClients:
    """Return the clients of somebody who knows the password."""
    return HostClients(release.scratch, release.address, USER, PASSWORD)


def strangers(right: HostClients) -> list[HostClients]:
    return [replace(right, password=f"{PASSWORD}s"), replace(right, user="", password="")]


def assert_only_the_password_opens(right: HostClients) -> None:
    image = valid_image("kept")
    for stranger in strangers(right):
        refused = stranger.push(image, "app:stranger", check=False)
        assert refused.returncode != 0
        assert "401" in refused.stderr or "UNAUTHORIZED" in refused.stderr, refused.stderr
    right.push(image, "app:kept")
    assert right.pull_digest("app:kept") == image.digest
    assert right.crane("ls", f"{right.address}/app").stdout.split() == ["kept"]


def test_the_right_password_pushes_pulls_and_the_hook_needs_none(
    release: Release, right: HostClients
) -> None:
    """Seen to fail: an empty `secrets.htpasswd`, where nobody is refused."""
    install_with(release, {"secrets": {"htpasswd": LINE}})
    assert challenge(release) == 'Basic realm="Registry Realm"'

    assert_only_the_password_opens(right)

    gone = valid_image("gone")
    right.push(gone, "app:gone")
    right.crane("delete", f"{right.address}/app@{gone.digest}")
    report = release.collect()
    # Its manifest, its config, and the layer that the other image lacks.
    assert "Deleted 3 blobs" in report, report
    assert right.pull_digest("app:kept") == valid_image("kept").digest
    refused = right.crane("manifest", f"{right.address}/app@{gone.digest}", check=False)
    assert "MANIFEST_UNKNOWN" in refused.stderr


@pytest.mark.full
def test_a_kubelet_pulls_with_the_password_and_is_refused_without(
    release: Release, right: HostClients, runnable: Manifest
) -> None:
    """Seen to fail: without the login in the namespace the second pod does not run either."""
    install_with(release, {"secrets": {"htpasswd": LINE}})
    challenge(release)
    # A name of its own: a node keeps what it pulled for a test before, and would not ask.
    right.push(runnable, f"{release.namespace}:run")
    image = f"{release.address}/{release.namespace}:run"
    nobody = {"name": "nobody", "image": image, "imagePullPolicy": "Always"}
    release.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "stranger"},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        **nobody,
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        }
    )
    until(
        lambda: (
            "authorization failed" in events(release, "stranger")
            or "401" in events(release, "stranger")
        ),
        what="the kubelet is refused",
        timeout=60,
        pause=1,
    )

    give_login(release, USER, PASSWORD)

    release.run_pod("guest", image)


def test_the_password_comes_from_a_secret_with_another_key(
    release: Release, right: HostClients
) -> None:
    """As people have who keep passwords elsewhere; the chart's own Secret then has none.

    Seen to fail: with `key` left at its default the pod cannot mount it and never starts.
    """
    release.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "people"},
            "stringData": {"users.txt": f"{LINE}\n"},
        }
    )

    install_with(
        release,
        {
            "secrets": {"htpasswdRef": {"name": "people", "key": "users.txt"}},
            "auth": {"htpasswd": {"realm": "Our own"}},
        },
    )

    assert challenge(release) == 'Basic realm="Our own"'
    assert_only_the_password_opens(right)
    own = release.cluster.get("secret", f"{release.fullname}-secret", "-n", release.namespace)
    assert "htpasswd" not in own["data"]
