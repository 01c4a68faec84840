"""Nodes pull over HTTPS from a release that makes its own certificate, with no change by hand."""

import time

from e2e.conftest import Measured
from support.nodes import Node, Pulls, Trusting
from support.on_cluster import install_with
from support.runnable import runnable_image
from support.tls import fingerprint, https_client, names_in, secret_of, served
from support.waiting import until

UNKNOWN = "x509: certificate signed by unknown authority"
# Of a person's, who has another registry; no release may ever change it.
FOREIGN = 'server = "https://mirror.example.com"\n'


def secret(trust: Trusting) -> str:
    return f"{trust.release.fullname}-selfsigned"


def bundle(trust: Trusting) -> bytes:
    return secret_of(trust.release, secret(trust))["ca.crt"]


def certificate(trust: Trusting) -> bytes:
    return secret_of(trust.release, secret(trust))["tls.crt"]


def push(trust: Trusting, tag: str) -> None:
    """Push an image that no node has."""
    client = https_client(trust.release, bundle(trust))
    client.push("app", runnable_image(f"{trust.release.namespace} {tag}"), tag)
    client.close()


def everybodys(nodes: tuple[Node, ...]) -> list[dict[str, str]]:
    """Return, node by node, the files below certs.d that are no release's."""
    return [
        {path: text for path, text in node.files().items() if "registry-gc" not in text}
        for node in nodes
    ]


def test_nodes_trust_a_release_by_themselves_until_it_goes(
    trust: Trusting, measured: Measured
) -> None:
    """From the install to the uninstall, in a namespace that is restricted.

    Seen to fail: a DaemonSet without its nodeSelector; a preStop hook that removes the files; a
    person's file that counts as ours; an uninstall without hooks; no restart for what is new.
    """
    release, (first, last) = trust.release, trust.nodes
    pulls = Pulls(release)
    trust.choose(last)
    with (
        first.file("mirror.example.com/hosts.toml", FOREIGN),
        last.file(f"{trust.host}/notes.txt", FOREIGN),
    ):
        before = everybodys(trust.nodes)

        install_with(release, trust.values(tls={"mode": "selfSigned"}))

        push(trust, "one")
        pulls.pull(*((last, image) for image in trust.images("one")))
        # The first node has no label yet; its pod that cannot pull runs once it has one.
        assert not first.trust_of(release)
        with pulls.failing(first, trust.images("one")[1]) as said:
            assert UNKNOWN in said, said
            trust.choose(first)
        trust.pull_everywhere("one")

        # A name more is another certificate of the same authority.
        old, pod, authority = certificate(trust), release.pod(), bundle(trust)
        push(trust, "two")
        began = time.monotonic()
        names = ["registry.example.com"]
        install_with(release, trust.values(tls={"mode": "selfSigned", "names": names}))
        new = certificate(trust)
        assert names_in(new) - names_in(old) == {"registry.example.com"}
        until(
            lambda: served(release, authority) == fingerprint(new),
            what="the renewed certificate is served",
            timeout=240,
            pause=1,
        )
        measured(f"self-signed: served {time.monotonic() - began:.0f} s after `helm upgrade` began")
        served(release, authority, "registry.example.com")
        assert bundle(trust) == authority
        assert release.pod()["metadata"]["uid"] == pod["metadata"]["uid"], "pods were replaced"
        assert release.restarts() == 1
        trust.pull_everywhere("two")

        # Not when its pods end, or each update of the DaemonSet would break pulls...
        files = [node.trust_of(release) for node in trust.nodes]
        assert all(files), files
        release.cluster.kubectl("delete", "pods", "--all", "-n", trust.namespace)
        assert [node.trust_of(release) for node in trust.nodes] == files

        # ...but when the release goes, also where pods have only just begun.
        release.uninstall()
        assert [node.trust_of(release) for node in trust.nodes] == [{}, {}]
        assert everybodys(trust.nodes) == before
