"""A registry that takes tokens: who gets one where, and what it may do with it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from support.cluster import Release
from support.host_clients import HostClients
from support.oci_layout import valid_image
from support.on_cluster import challenge, install_with
from support.token_server import ISSUER, SERVICE, TokenServer, token_server

PUSHER, READER = ("pusher", "may push"), ("reader", "may pull")


@pytest.fixture(
    params=["keys", pytest.param("bundle", marks=pytest.mark.full)],
)
def tokens(request: pytest.FixtureRequest) -> Iterator[TokenServer]:
    """Run a token server whose key the registry knows as a key set, or by its certificate."""
    users = {PUSHER: {"pull", "push", "delete"}, READER: {"pull"}}
    with token_server(users, chain=request.param == "bundle") as server:
        yield server


def test_who_has_a_token_pushes_and_pulls_and_others_are_told_where_to_get_one(
    release: Release, tokens: TokenServer
) -> None:
    """The collector needs no token: it reads the store, and tells a registry that is up by any
    answer.

    Seen to fail: another server's key in `auth.token.jwks`; every push ends in 401.
    """
    known = {"rootCertBundle": tokens.bundle} if tokens.chain else {"jwks": tokens.keys}
    install_with(
        release,
        {
            "auth": {
                "token": {"realm": tokens.realm, "service": SERVICE, "issuer": ISSUER, **known}
            },
            # So that the collector restarts the registry, and has to see it answer again.
            "configData": {"storage": {"cache": {"blobdescriptor": "inmemory"}}},
        },
    )
    assert challenge(release) == f'Bearer realm="{tokens.realm}",service="{SERVICE}"'
    pusher = HostClients(release.scratch, release.address, *PUSHER)
    reader = replace(pusher, user=READER[0], password=READER[1])
    image, gone = valid_image("kept"), valid_image("gone")

    pusher.push(image, "app:kept")
    assert "repository:app:push,pull" in tokens.granted
    assert reader.pull_digest("app:kept") == image.digest
    copied = reader.skopeo(
        "copy", "--src-tls-verify=false", f"docker://{release.address}/app:kept",
        f"oci:{release.scratch}/copy:kept",
    )  # fmt: skip
    assert "Writing manifest" in copied.stdout

    refused = reader.push(gone, "app:refused", check=False)
    assert refused.returncode != 0
    assert "401" in refused.stderr or "UNAUTHORIZED" in refused.stderr, refused.stderr
    stranger = replace(pusher, password="a guess").push(gone, "app:stranger", check=False)
    assert stranger.returncode != 0
    answer = release.client().request("GET", "/v2/app/manifests/kept")
    assert answer.status == 401
    assert 'scope="repository:app:pull"' in answer.headers["www-authenticate"]

    pusher.push(gone, "app:gone")
    pusher.crane("delete", f"{release.address}/app@{gone.digest}")
    report = release.collect()
    assert "Deleted 3 blobs" in report, report
    assert release.restarts() == 1
    challenge(release)
    assert reader.pull_digest("app:kept") == image.digest
