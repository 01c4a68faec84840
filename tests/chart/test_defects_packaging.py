"""The known defects of other charts' packaging (P1 to P5), each absent here."""

import json
from pathlib import Path

import yaml

from helm_chart_test.fixtures import Renderer
from support.chart import KUBE_VERSIONS
from support.rendered import workload


def _chart(folder: Path) -> dict[str, str]:
    read: dict[str, str] = yaml.safe_load((folder / "Chart.yaml").read_text("utf-8"))
    return read


def test_p1_the_chart_says_which_helm_and_which_kubernetes_it_needs(
    helm_chart: Path, render: Renderer
) -> None:
    """An older cluster is told so, by Helm and before anything changes."""
    assert _chart(helm_chart)["apiVersion"] == "v2"
    oldest = KUBE_VERSIONS[0]
    assert render({}, kube_version=oldest)
    assert "incompatible with Kubernetes v1.28.0" in render.error({}, kube_version="1.28.0")


def test_p2_a_mistyped_kind_is_said_by_its_path(helm_chart: Path, render: Renderer) -> None:
    """There is a schema, and it lets pass what a parent chart and old values have beside ours."""
    assert json.loads((helm_chart / "values.schema.json").read_text("utf-8"))["type"] == "object"
    assert "replicaCount" in render.error({"replicaCount": ["two"]})
    assert render({"global": {"anything": {"of": "a parent"}}, "unknown": 1})


def test_p3_the_documentation_names_the_version_that_is_installed(helm_chart: Path) -> None:
    values = yaml.safe_load((helm_chart / "values.yaml").read_text("utf-8"))
    version = _chart(helm_chart)["appVersion"]
    assert values["image"]["tag"] == version
    assert version in (helm_chart / "README.md").read_text("utf-8")


def test_p4_the_labels_that_tools_look_for_are_there_beside_the_old(render: Renderer) -> None:
    """And the selector, which cannot change, stays as it was."""
    thing = workload(render({}))
    labels = thing["metadata"]["labels"]
    names = {"name", "instance", "component", "managed-by"}
    assert {f"app.kubernetes.io/{name}" for name in names} <= labels.keys()
    assert {"app", "release", "chart", "heritage"} <= labels.keys()
    assert set(thing["spec"]["selector"]["matchLabels"]) == {"app", "release"}


def test_p5_no_address_of_another_project_is_in_the_chart(helm_chart: Path) -> None:
    """The domain that served an older chart may be anybody's one day: no icon, no home there."""
    found = {path.name: path.read_text("utf-8") for path in helm_chart.rglob("*") if path.is_file()}
    assert len(found) > 20
    assert not [name for name, text in found.items() if "helm.twun.io" in text]
    assert "icon" not in _chart(helm_chart)
