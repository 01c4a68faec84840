"""A node's files that are somebody else's, or that somebody took away."""

import pytest

from support.cluster import Release
from support.nodes import Pulls, Trusting
from support.on_cluster import install_with
from support.runnable import runnable_image
from support.tls import fingerprint, https_client, secret_of, served
from support.waiting import until

pytestmark = pytest.mark.full

FOREIGN = 'server = "https://mirror.example.com"\n'


def said(trust: Trusting) -> str:
    """Return what all pods of the DaemonSet have printed."""
    return "\n".join(
        trust.release.cluster.kubectl("logs", name, "-n", trust.namespace, check=False)
        for name in trust.pods()
    )


def push(release: Release, tag: str) -> None:
    bundle = secret_of(release, f"{release.fullname}-selfsigned")["ca.crt"]
    client = https_client(release, bundle)
    client.push("app", runnable_image(f"{release.namespace} {tag}"), tag)
    client.close()


def test_a_persons_file_is_in_the_way_until_it_is_removed(trust: Trusting) -> None:
    """Seen to fail: a person's file that counts as ours is removed."""
    release, (first, last) = trust.release, trust.nodes
    trust.choose(first, last)
    with first.file(f"{trust.host}/hosts.toml", FOREIGN) as path:
        install_with(release, trust.values(tls={"mode": "selfSigned"}))
        push(release, "one")
        image = trust.images("one")[0]
        Pulls(release).pull((last, image))
        assert first.files()[path] == FOREIGN
        assert trust.host not in first.hosts(release)
        assert f"{trust.host}/hosts.toml is not ours" in said(trust)
    until(lambda: trust.host in first.hosts(release), what="trust once the file is gone")
    Pulls(release).pull((first, image))


def test_a_folder_of_the_runtime_that_is_made_anew_gets_its_files_again(trust: Trusting) -> None:
    """As a node's provisioning may do it. Of another folder than containerd's own, because other
    tests have theirs in that; here nothing reads it, and the pod says so.

    Seen to fail: a pod that goes on when certs.d has become read-only, which its subPath is then.
    """
    node = trust.nodes[-1]
    folder = f"/etc/{trust.release.namespace}"
    written = f"{folder}/certs.d/{trust.host}/hosts.toml"

    def content() -> str:
        return node.run("cat", written, check=False)

    trust.choose(node)
    node.run("mkdir", "-p", f"{folder}/certs.d")
    node.run("tee", f"{folder}/config.toml", input="version = 2\n")
    try:
        values = trust.values()
        values["nodeTrust"]["hostFolder"] = folder
        install_with(trust.release, values)
        before = until(content, what="the node's files", pause=0.5)
        assert f'server = "http://127.0.0.1:{trust.release.port}"' in before
        assert f"containerd does not read {folder}/certs.d" in said(trust)

        node.run("sh", "-c", f"rm -rf {folder}/certs.d && mkdir {folder}/certs.d")

        until(lambda: content() == before, what="its files are back", timeout=120, pause=1)
    finally:
        node.run("rm", "-rf", folder)


def test_a_new_authority_is_trusted_before_it_signs(trust: Trusting) -> None:
    """Where lifetimes grow, the old authority would end too early: nobody may notice the new one.

    Broken on purpose in tests/unit/test_certificates.py, where time can be moved.
    """
    release = trust.release
    secret = f"{release.fullname}-selfsigned"

    def install(lifetime: str, authority: str, *names: str) -> None:
        lifetimes = {"lifetime": lifetime, "authorityLifetime": authority}
        tls = {"mode": "selfSigned", "names": list(names), "selfSigned": lifetimes}
        install_with(release, trust.values(tls=tls))

    trust.choose(*trust.nodes)
    install("1h", "2h")
    old = secret_of(release, secret)
    push(release, "one")
    trust.pull_everywhere("one")

    install("3h", "6h")

    both = secret_of(release, secret)
    assert both["ca.crt"].count(b"BEGIN") == 2
    assert both["tls.crt"] == old["tls.crt"], "the new authority signs before anybody knows it"
    assert served(release, old["ca.crt"]) == fingerprint(old["tls.crt"])
    until(
        lambda: all(
            node.trust_of(release)[f"{trust.host}/ca.crt"].count("BEGIN") == 2
            for node in trust.nodes
        ),
        what="nodes trust both",
    )

    # It must sign for another name at once.
    install("3h", "6h", "registry.example.com")

    new = secret_of(release, secret)
    authority = new["ca.crt"].partition(b"-----END CERTIFICATE-----")[0]
    authority += b"-----END CERTIFICATE-----\n"
    until(
        lambda: served(release, new["ca.crt"]) == fingerprint(new["tls.crt"]),
        what="the new certificate is served",
        timeout=240,
        pause=1,
    )
    served(release, authority, "registry.example.com")
    push(release, "two")
    trust.pull_everywhere("two")
