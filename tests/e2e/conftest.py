"""Fixtures on a real cluster: one release a test, in a namespace of its own."""

import re
import uuid
from collections.abc import Iterator

import pytest
from support.cluster import Cluster, Release, cluster_from_environment

FIRST_PORT = 30500  # published on 127.0.0.1 by ci/


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show pods, events and logs when a test fails."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's result
    if report.when == "call" and report.failed:
        release = getattr(item, "funcargs", {}).get("release")
        if isinstance(release, Release):
            report.sections.append(("the release when the test failed", release.describe()))


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return cluster_from_environment()


@pytest.fixture
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
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    release = Release(cluster, f"{name}-{uuid.uuid4().hex[:5]}", port)
    release.create_namespace(enforce=enforce)
    yield release
    cluster.helm("uninstall", release.name, "-n", release.namespace, "--wait", check=False)
    cluster.kubectl("delete", "namespace", release.namespace, "--wait=false")
