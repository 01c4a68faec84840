"""Every scenario is rendered with Helm 4 and Helm 3, for two versions of Kubernetes."""

from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import Object, merged
from helm_chart_test.fixtures import Renderer
from support.chart import CHART, HELMS, KUBE_VERSIONS, SCENARIOS, helm_of


@pytest.fixture(scope="session")
def render() -> Renderer:
    """Render with Helm 4, for what does not depend on Helm's version."""
    return Renderer(CHART, helm_of("helm"))


@pytest.fixture(scope="session", params=HELMS)
def each_helm(request: pytest.FixtureRequest) -> Renderer:
    """Render with Helm 4, then with Helm 3."""
    return Renderer(CHART, helm_of(request.param))


@pytest.fixture(params=KUBE_VERSIONS)
def kube_version(request: pytest.FixtureRequest) -> str:
    version: str = request.param
    return version


@pytest.fixture(params=SCENARIOS, ids=lambda path: path.stem)
def scenario(request: pytest.FixtureRequest) -> dict[str, Any]:
    path: Path = request.param
    return merged(path)


@pytest.fixture
def objects(scenario: dict[str, Any], render: Renderer) -> list[Object]:
    """Return what one scenario renders to; at least the four objects that every release has.

    With Helm 4 and the oldest Kubernetes: test_objects.py shows that the others render the same.
    """
    rendered = render(scenario, kube_version=KUBE_VERSIONS[0])
    kinds = {thing["kind"] for thing in rendered}
    assert {"ConfigMap", "Deployment", "Secret", "Service"} <= kinds
    return rendered
