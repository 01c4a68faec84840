"""Fixtures on a real cluster: one release a test, in a namespace of its own."""

import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from support.client import Manifest
from support.cluster import Cluster, Release, cluster_from_environment
from support.edge import Edge, start_edge, stop_edge
from support.nodes import Trusting, trusting
from support.peers import STABLE, Peer
from support.runnable import runnable_image
from support.upgrading import WAYS, Moving

# Published on 127.0.0.1 by ci/. E2E_FIRST_PORT: for who shares a cluster with other tests.
FIRST_PORT = int(os.environ.get("E2E_FIRST_PORT") or 30500)


RELEASES = pytest.StashKey[list[Release]]()
"""Those of one test."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show pods, events and logs when a test fails."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's result
    if report.when == "call" and report.failed:
        # Besides, one that a whole module uses is no test's own.
        used = [each for each in _used(item) if isinstance(each, Release)]
        for release in {id(each): each for each in (*item.stash.get(RELEASES, []), *used)}.values():
            report.sections.append(("the release when the test failed", release.describe()))
        if isinstance(edge := getattr(item, "funcargs", {}).get("edge"), Edge):
            report.sections.append(("the edge when the test failed", edge.say()))


def _used(item: pytest.Item) -> Iterable[object]:
    return item.funcargs.values() if isinstance(item, pytest.Function) else ()


Start = Callable[..., Moving]
"""Of a peer's chart, with a way and maybe values."""
Measured = Callable[[str], None]


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Note a sentence that is shown at the end of the run, also of one that succeeded."""
    return lambda sentence: record_property("measured", sentence)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have measured."""
    told = [
        str(value)
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "measured" and report.when == "call"
    ]
    if told:
        terminalreporter.section("what was measured")
        for sentence in told:
            terminalreporter.line(sentence)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return cluster_from_environment()


@pytest.fixture(scope="session")
def edge(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Return Traefik, for tests of the group `edge`: there is one."""
    yield start_edge(cluster, tmp_path_factory.mktemp("edge"))
    stop_edge(cluster)


@pytest.fixture(scope="session")
def port(worker_id: str) -> int:
    """Return a NodePort that no test beside this one uses."""
    number = re.search(r"\d+$", worker_id)
    return FIRST_PORT + (int(number[0]) if number else 0)


@pytest.fixture
def enforce() -> str:
    """Return the pod security that the namespace enforces; a test may name another."""
    return "restricted"


@pytest.fixture
def release(
    cluster: Cluster, port: int, enforce: str, request: pytest.FixtureRequest
) -> Iterator[Release]:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip(
        "-"
    )
    release = Release(cluster, f"{name}-{uuid.uuid4().hex[:5]}", port)
    request.node.stash.setdefault(RELEASES, []).append(release)
    release.create_namespace(enforce=enforce)
    yield release
    release.close()
    cluster.helm("uninstall", release.name, "-n", release.namespace, "--wait", check=False)
    cluster.kubectl("delete", "namespace", release.namespace, "--wait=false")


@pytest.fixture(scope="module")
def lasting(cluster: Cluster, port: int, request: pytest.FixtureRequest) -> Iterator[Release]:
    """Return one release for all tests of a module, which must be an xdist_group and use no other:
    all releases of a worker have the same port.
    """
    name = Path(request.node.name).stem.removeprefix("test_").replace("_", "-")
    release = Release(cluster, f"{name}-{uuid.uuid4().hex[:5]}", port)
    release.create_namespace()
    yield release
    release.close()
    cluster.helm("uninstall", release.name, "-n", release.namespace, "--wait", check=False)
    cluster.kubectl("delete", "namespace", release.namespace, "--wait=false")


@pytest.fixture
def trust(release: Release) -> Iterator[Trusting]:
    """Return a release, not yet installed, that chosen nodes trust."""
    with trusting(release) as made:
        yield made


@pytest.fixture
def start(cluster: Cluster, port: int, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Install a peer's chart in a namespace of its own."""
    started: list[Release] = request.node.stash.setdefault(RELEASES, [])

    def installed(
        peer: Peer, way: str, values: Mapping[str, str] | None = None, *, reachable: bool = True
    ) -> Moving:
        name = f"from-{peer.name}-{way}-{uuid.uuid4().hex[:5]}"
        release = Release(cluster, name, port)
        # stable's containers have no security context, which the restricted profile asks for.
        release.create_namespace(enforce="baseline" if peer is STABLE else "restricted")
        started.append(release)
        moving = Moving(release, peer, WAYS[way], reachable=reachable)
        moving.install(values or {})
        return moving

    yield installed
    for release in started:
        release.close()
        cluster.helm("uninstall", release.name, "-n", release.namespace, "--wait", check=False)
        cluster.kubectl("delete", "namespace", release.namespace, "--wait=false")


@pytest.fixture(scope="session")
def runnable() -> Manifest:
    """Return an image whose one layer is a program that ends at once with success."""
    return runnable_image()
