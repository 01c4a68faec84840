"""The chart from a registry: pushed to one release of ours, another one is installed from there."""

import re

import pytest

import images
from e2e.test_readme import shell
from support.checkout import ROOT
from support.cluster import Cluster, Release
from support.run import run


@pytest.mark.xdist_group("readme")  # it writes dist/, as the README's blocks do
def test_a_chart_that_was_pushed_installs_with_no_more_than_its_name(
    cluster: Cluster, release: Release
) -> None:
    """Its collector's image comes from beside it. Seen to fail: a package without the image."""
    release.install({"garbageCollect.enabled": "false"})
    release.wait_until_it_answers()
    where = f"{release.address}/tools"

    said = run(
        "make", "-s", "push-chart", f"REGISTRY={where}", "PUSH_FLAGS=--plain-http",
        cwd=ROOT, timeout=600,
    ).stdout  # fmt: skip

    (line,) = [each for each in said.splitlines() if each.startswith("helm upgrade")]
    assert f"oci://{where}/docker-registry --version {images.version()}" in line
    # The line itself; only that this registry speaks HTTP is added.
    cluster.helm(
        *line.split()[1:], "--plain-http", "--namespace", release.namespace,
        "--wait", "--timeout", "3m",
    )  # fmt: skip
    pods = cluster.get("pods", "-n", release.namespace, "-l", "release=registry")["items"]
    found = {each["image"] for pod in pods for each in pod["spec"]["initContainers"]}
    assert found == {f"{where}/registry-gc:{images.version()}"}
    cluster.helm("uninstall", "registry", "-n", release.namespace, "--wait")


@pytest.mark.xdist_group("readme")
def test_the_charts_own_page(cluster: Cluster, release: Release) -> None:
    """What Artifact Hub shows, as it is written: an install, a test, a collection by hand."""
    text = (ROOT / "chart" / "README.md").read_text("utf-8")
    lines = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]

    said = ""
    for line in lines:
        asked = line.replace("CHART", str(release.chart)).replace("NAME", "registry")
        asked = f"{asked} --wait --timeout 3m" if "upgrade" in line else asked
        said = shell(cluster, release, asked)

    assert [line.split()[1] for line in lines] == ["upgrade", "test", "upgrade", "create"]
    job = re.search(r"job\.batch/(\S+) created", said)
    assert job, said
    succeeded, logs = release.job_logs(job[1])
    assert succeeded, logs
    cluster.helm("uninstall", "registry", "-n", release.namespace, "--wait")
