"""Every scenario is rendered with Helm 4 and Helm 3, for two versions of Kubernetes."""

from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import Object
from helm_chart_test.fixtures import Renderer
from support.chart import CHART, KUBE_VERSIONS


@pytest.fixture(scope="session")
def helm_chart(pytestconfig: pytest.Config) -> Path:
    """Return `chart/`; $CHART and --helm-chart name another, such as one with a defect put back."""
    return Path(pytestconfig.getoption("--helm-chart") or CHART)


@pytest.fixture(scope="session")
def render(helm_render: Renderer) -> Renderer:
    """Render with Helm 4, for what does not depend on Helm's version."""
    return helm_render


@pytest.fixture(scope="session")
def each_helm(helm_render_each: Renderer) -> Renderer:
    """Render with Helm 4, then with Helm 3."""
    return helm_render_each


@pytest.fixture
def kube_version(helm_kube_version: str) -> str:
    return helm_kube_version


@pytest.fixture
def scenario(helm_scenario: dict[str, Any]) -> dict[str, Any]:
    return helm_scenario


@pytest.fixture
def objects(scenario: dict[str, Any], render: Renderer) -> list[Object]:
    """Return what one scenario renders to; at least the two objects that every release has.

    With Helm 4 and the oldest Kubernetes: test_objects.py shows that the others render the same.
    """
    rendered = render(scenario, kube_version=KUBE_VERSIONS[0])
    kinds = {thing["kind"] for thing in rendered}
    assert "ConfigMap" in kinds
    assert {"Deployment", "StatefulSet"} & kinds
    return rendered
