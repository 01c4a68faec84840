"""What docs/exposing.md says to do, done as it is written."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.documented import shell, shell_block
from support.cluster import Release
from support.definitions import FILE
from support.nodes import CERTS, Node, Pulls, nodes_of
from support.oci_layout import write_layout
from support.runnable import runnable_image
from support.waiting import until

PAGE = "exposing.md"
OWN_CERTIFICATE = {"tls.mode": "selfSigned", "endpoint.enabled": "true",
                   "endpoint.nodeAddresses": "true"}  # fmt: skip


def block(release: Release, heading: str, number: int = -1) -> list[str]:
    """Return a block of the page for a release, which is called `rel` and has its own NodePort."""
    lines = shell_block(PAGE, heading, number)
    replaced = [line.replace("NAME", release.name) for line in lines]
    port, name = str(release.port), one_name(release)
    return [each.replace("registry.lan:5000", name).replace("30500", port) for each in replaced]


def one_name(release: Release) -> str:
    return f"registry-{release.port}.lan:5000"


def layout(release: Release) -> Path:
    """Have the image that the page calls `app`, in the folder where its commands run."""
    return write_layout(release.scratch / "app", runnable_image(release.namespace), "1")


def push(release: Release, lines: list[str]) -> str:
    """Push that image as the page does with crane, once the NodePort answers; return HOST."""
    said = until(
        lambda: shell(
            release, *lines, "SSL_CERT_FILE=ca.crt crane push app $HOST/app:1", "echo $HOST",
            check=False,
        ),
        what="the first node takes a push", timeout=60, pause=1,
    )  # fmt: skip
    return said.splitlines()[-1]


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, str]:
    """Return the environment in which podman keeps images in a folder of the test's own."""
    config = tmp_path / "storage.conf"
    config.write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/root"\n'
    )
    return {"CONTAINERS_STORAGE_CONF": str(config)}


@pytest.fixture
def nodes(release: Release) -> Iterator[tuple[Node, ...]]:
    """Return the nodes, and remove what a test left of a release on them."""
    found = nodes_of(release.cluster)
    yield found
    release.cluster.helm("uninstall", release.name, "-n", release.namespace, check=False)
    for node in found:
        for path in node.files():
            if f":{release.port}/" in path or one_name(release) in path:
                node.remove(path.removeprefix(f"{CERTS}/"))


@pytest.mark.parametrize("enforce", ["privileged"])
def test_a_node_port_that_nodes_trust(
    release: Release, nodes: tuple[Node, ...], storage: dict[str, str]
) -> None:
    """From the install to what takes it back by hand: people push, and each node pulls.

    Seen to fail: the second block without its CA.
    """
    layout(release)
    shell(release, *block(release, "NodePort", 0))

    host = push(release, block(release, "NodePort", 1))
    listed = shell(release, *block(release, "Which way"))
    told = shell(release, *block(release, "Whose certificate"))
    shell(release, *block(release, "Clients", 0), env={"HOST": host, **storage})
    digest = shell(release, *block(release, "Clients", 1), env={"HOST": host})
    loopback = shell(release, *block(release, "127.0.0.1 needs no trust"))

    assert host in listed
    assert "sha256 Fingerprint=" in told
    assert digest.splitlines()[-1].startswith("sha256:")
    assert "mode: iptables" in loopback
    trusted = [f"{one_name(release)}/app:by-crane", f"{host}/app:by-skopeo"]
    untrusted = f"127.0.0.1:{release.port}/app:by-podman"
    Pulls(release).pull(*[(n, image) for n in nodes for image in (*trusted, untrusted)])

    shell(release, *block(release, "Taken back by hand"))

    assert not any(node.trust_of(release) for node in nodes)
    left = release.cluster.kubectl(
        "get", "secrets,registryendpoints", "-n", release.namespace, "-o", "name"
    )
    assert "selfsigned" not in left
    assert "registryendpoint" not in left


def test_nodes_by_hand(release: Release, nodes: tuple[Node, ...]) -> None:
    """Before it, the kubelet says what the page says that people see.

    Seen to fail: a hosts.toml without its `ca` lines.
    """
    layout(release)
    release.install(OWN_CERTIFICATE)
    host = push(release, block(release, "NodePort", 1))
    ca = (release.scratch / "ca.crt").read_text("utf-8")
    node = nodes[-1]
    assert "x509: certificate signed by unknown authority" in Pulls(release).refusal(
        node, f"{host}/app:1"
    )
    lines = block(release, "Nodes, by hand")
    script = "\n".join(["set -eu", f"HOST={host}", "mkdir -p /tmp/by-hand", "cd /tmp/by-hand",
                        f"cat >ca.crt <<END\n{ca}\nEND", *lines])  # fmt: skip

    try:
        node.run("bash", "-s", input=script)
        Pulls(release).pull((node, f"{host}/app:1"))
        missing = Pulls(release).refusal(node, f"{host}/app:missing")
    finally:
        node.run("rm", "-rf", "/tmp/by-hand", f"{CERTS}/{host}")

    assert "not found" in missing
    assert "x509" not in missing


@pytest.mark.full
def test_only_pods_and_a_port_forward(release: Release) -> None:
    """With the release's own certificate, which docker need not trust there.

    Seen to fail: a forwarded port that is not the Service's.
    """
    docker = shutil.which("docker")
    assert docker
    release.install({"service.type": "ClusterIP", "service.nodePort": "", "tls.mode": "selfSigned"})
    tag = "127.0.0.1:5005/app:1"
    packed = "tar -c -T /dev/null | docker import - "

    said = shell(release, packed + tag, *block(release, "Only pods"), f"docker rmi {tag}")

    assert "digest: sha256:" in said


def test_read_only_by_hand(release: Release) -> None:
    """Seen to fail: a garbageCollect.readOnly of false, where the CronJob may not write the key."""
    release.install({"garbageCollect.readOnly": "true"})
    release.wait_until_it_answers()
    lines = block(release, "Read-only by hand")
    on, off = (n for n, line in enumerate(lines) if line.startswith("job=$(switch "))
    layout(release)
    push_line = f"crane push app {release.address}/app:1"
    shell(release, push_line)

    held = shell(release, *lines[:off], f"{push_line}.new 2>&1 || true")
    shell(release, *lines[:on], *lines[off:])

    assert "405 Method Not Allowed" in held
    # Nothing ends the line that kubectl prints.
    data, _ = json.JSONDecoder().raw_decode(held[held.index("{") :])
    assert {"readOnly", "expires", "holder"} <= set(data)
    release.wait_until_it_answers()
    shell(release, push_line)


@pytest.mark.full
@pytest.mark.xdist_group("hosting")
def test_tools_for_local_clusters(release: Release) -> None:
    """Where another release has the ConfigMap, it stays as it is.

    Seen to fail: `endpoint.hosting` false.
    """
    release.install({**OWN_CERTIFICATE, "endpoint.hosting": "true"})

    said = yaml.safe_load(shell(release, *block(release, "Tools for local clusters")))

    assert {"host", "help", "hostFromContainerRuntime", "hostFromClusterNetwork"} <= set(said)


def test_a_deployer_who_may_not_make_definitions(release: Release) -> None:
    """May do all in a namespace: with `--skip-crds`, and with an endpoint where its kind is there.

    Seen to fail: the line without `--skip-crds`, which the test itself shows.
    """
    cluster, namespace = release.cluster, release.namespace
    cluster.kubectl("create", "serviceaccount", "deployer", "-n", namespace)
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    release.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "deployer"},
            "rules": rules,
        }
    )
    cluster.kubectl(
        "create", "rolebinding", "deployer", "--role=deployer",
        f"--serviceaccount={namespace}:deployer", "-n", namespace,
    )  # fmt: skip
    # As the page says; the cluster's own, which is of this checkout already.
    as_helm = ("--server-side", "--force-conflicts", "--field-manager=helm")
    cluster.kubectl("apply", *as_helm, "-f", str(FILE))
    who = {"HELM_KUBEASUSER": f"system:serviceaccount:{namespace}:deployer"}
    (line,) = block(release, "The definition of RegistryEndpoints", 1)

    refused = shell(release, f"{line.replace('--skip-crds', '')} 2>&1 || true", env=who)
    shell(release, f"{line} --wait", env=who)
    shell(release, f"{line} --wait --set endpoint.enabled=true", env=who)

    assert "failed to install CRD" in refused
    assert "forbidden" in refused
    assert "rel-docker-registry" in cluster.kubectl("get", "registryendpoints", "-n", namespace)


@pytest.mark.full
def test_a_rendered_chart_without_helm(release: Release) -> None:
    """Without hooks: the first run of the CronJob makes the certificate that the pod waits for.

    Seen to fail: the line without `--no-hooks`, whose Job of the uninstall then runs too.
    """
    (line,) = block(release, "The definition of RegistryEndpoints", 2)
    shell(release, line.replace(">", "--set tls.mode=selfSigned >"))
    rendered = release.scratch / "registry.yaml"
    documents = [each for each in yaml.safe_load_all(rendered.read_text("utf-8")) if each]
    assert not [each for each in documents if each["kind"] == "Job"]

    shell(
        release,
        "kubectl apply -f registry.yaml",
        f"kubectl create job first --from=cronjob/{release.fullname}-endpoint",
        "kubectl wait job/first --for=condition=Complete --timeout=2m",
        f"kubectl rollout status deployment/{release.fullname} --timeout=3m",
    )

    assert release.fullname in release.cluster.kubectl(
        "get", "registryendpoints", "-n", release.namespace
    )
