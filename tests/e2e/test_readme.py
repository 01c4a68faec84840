"""The README's blocks, run as they are written: what they do not say must not be needed."""

import os
import re
import shutil

import pytest

from support.chart import PEERS
from support.checkout import ROOT, tool
from support.client import image
from support.cluster import Cluster, Release
from support.nodes import Pulls, nodes_of
from support.oci_layout import write_layout
from support.run import run
from support.runnable import runnable_image
from support.waiting import until

_TWUNI = PEERS / "twuni-3.0.0-values.yaml"


def block(heading: str) -> list[str]:
    """Return the commands of the shell block under a heading of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pattern = rf"^## {re.escape(heading)}\n.*?^```sh\n(.*?)^```"
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no shell block under {heading!r}"
    return [line for line in found[1].splitlines() if line and not line.startswith("#")]


def shell(cluster: Cluster, release: Release, line: str, timeout: float = 600) -> str:
    """Run a line as a person would who works in the release's namespace."""
    folder = release.scratch
    (folder / "bin").mkdir(exist_ok=True)
    for name in ("helm", "kubectl"):
        link = folder / "bin" / name
        if not link.exists():
            link.symlink_to(tool(name))
    config = folder / "kubeconfig"
    shutil.copy(cluster.kubeconfig, config)
    environment = {**cluster.environment, "KUBECONFIG": str(config)}
    run(
        folder / "bin/kubectl", "config", "set-context", "--current",
        f"--namespace={release.namespace}", env=environment,
    )  # fmt: skip
    environment["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
    return run("bash", "-ec", line, env=environment, cwd=ROOT, timeout=timeout).stdout


def test_the_two_commands_are_targets_of_make() -> None:
    commands = block("The two commands")

    assert [line.split("#")[0].strip() for line in commands] == ["make demo", "make test"]
    for line in commands:
        run("make", "--dry-run", line.split()[1], cwd=ROOT)


@pytest.mark.xdist_group("demo")
def test_try(cluster: Cluster) -> None:
    """`make demo`; the deleted image is whole again at the end."""
    (line,) = block("Try")

    said = run("bash", "-ec", line, cwd=ROOT, timeout=600).stdout

    try:
        assert "PASS: 127.0.0.1:30509/app:keep" in said, said
        assert "PASS: 127.0.0.1:30509/app:drop" in said, said
        assert "restarted 1 time" in said, said
    finally:
        cluster.helm("uninstall", "demo", "-n", "registry-demo", "--wait", check=False)
        cluster.kubectl("delete", "namespace", "registry-demo", "--wait=false")


class TestDefaults:
    """The blocks that install with the chart's own defaults."""

    def test_your_own_kind_cluster(self, cluster: Cluster, release: Release) -> None:
        first, line = block("Your own kind cluster")
        # Not run: the cluster is there, and this one's kubeconfig has the release's namespace.
        assert first == 'export KUBECONFIG="$(make cluster)"'

        shell(cluster, release, f"{line} --wait --timeout 3m")

        release.name = "registry"
        assert release.pod()["status"]["phase"] == "Running"
        release.name = "rel"

    def test_your_own_cluster(self, cluster: Cluster, release: Release) -> None:
        """The registry that is pushed to is a release of our own, which the nodes pull from."""
        release.install({"garbageCollect.enabled": "false"})
        release.wait_until_it_answers()
        (line,) = block("Your own cluster")
        registry = f"127.0.0.1:{release.port}/tools"

        printed = shell(cluster, release, line.replace("registry.example.com/tools", registry))

        install = next(each for each in printed.splitlines() if each.startswith("helm upgrade"))
        assert registry in install
        shell(cluster, release, f"{install} --wait --timeout 3m")
        pods = cluster.get("pods", "-n", release.namespace, "-l", "release=registry")["items"]
        images = {each["image"] for pod in pods for each in pod["spec"]["initContainers"]}
        assert any(each.startswith(f"{registry}/registry-gc") for each in images), images

    @pytest.mark.parametrize("enforce", ["privileged"])
    def test_its_address_and_nodes_that_pull(self, cluster: Cluster, release: Release) -> None:
        """An image that a person has pushed runs on each node, by the one name.

        Seen to fail: the line without `nodeTrust.enabled`.
        """
        own = f"registry-{release.port}.lan:5000"  # of no other test's
        written = block("Its address, and nodes that pull")
        lines = [line.replace("registry.lan:5000", own) for line in written]
        release.name = "registry"
        write_layout(release.scratch / "app", runnable_image(release.namespace), "1")
        try:
            said = [shell(cluster, release, line) for line in lines][-1]
            where = f"kubectl get registryendpoint {release.fullname} -o jsonpath={{.status.clients"
            host = shell(cluster, release, f"{where}.addresses[0]}}")
            authority = release.scratch / "ca.crt"
            authority.write_text(shell(cluster, release, f"{where}.caBundle}}"))
            trusting = {"SSL_CERT_FILE": str(authority)}
            push = ("push", str(release.scratch / "app"), f"{host}/app:1")
            until(
                lambda: run(tool("crane"), *push, env=trusting, check=False).returncode == 0,
                what=f"{host} takes a push", timeout=60, pause=1,
            )  # fmt: skip

            Pulls(release).pull(*[(node, f"{own}/app:1") for node in nodes_of(cluster)])

            assert host in said
        finally:
            # Also the nodes' files, which do not go with the namespace.
            release.uninstall()
            release.name = "rel"

    # The peers' data lies beside the project, not in it: a clone alone has none.
    @pytest.mark.skipif(not _TWUNI.exists(), reason=f"there is no {_TWUNI}")
    def test_from_your_chart(self, cluster: Cluster, release: Release) -> None:
        """From a release with twuni's own values: what was pushed pulls, and a collection works."""
        release.install(
            {"garbageCollect.enabled": "false", "persistence.enabled": "true"},
            "--values",
            str(_TWUNI),
        )
        release.wait_until_it_answers()
        kept = image("kept")
        release.client().push("app", kept, "kept")
        (line,) = block("From your chart")

        shell(cluster, release, f"{line.replace('NAME', release.name)} --wait --timeout 3m")

        release.wait_until_it_answers()
        assert release.client().pull("app", "kept").missing == ()
        assert "Deleted 0 blobs" in release.collect()
