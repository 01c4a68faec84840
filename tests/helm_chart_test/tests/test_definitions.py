"""What a chart defines itself counts as installed, unless a test says otherwise."""

import shutil
import tarfile
from pathlib import Path

import pytest

from helm_chart_test import (
    HelmError,
    definitions,
    fake_cluster,
    problems,
    served_kinds,
    served_versions,
)
from helm_chart_test.fixtures import Renderer
from helm_chart_test.plugin import custom_schemas
from helm_chart_test.validating import kubernetes_versions

_DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: examples.example.com
spec:
  group: example.com
  scope: Namespaced
  names:
    kind: Example
    plural: examples
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                size: {type: integer}
    - name: v1alpha1
      served: false
      storage: false
      schema:
        openAPIV3Schema: {type: object}
"""


@pytest.fixture
def defining(tiny: Renderer, tmp_path: Path) -> Renderer:
    """Return the small chart with a definition of its own."""
    chart = tmp_path / "defining"
    shutil.copytree(tiny.chart, chart)
    (chart / "crds").mkdir()
    (chart / "crds" / "examples.yaml").write_text(_DEFINITION, "utf-8")
    return Renderer(chart, tiny.helm)


def test_what_is_served_is_what_the_chart_defines(defining: Renderer, tiny: Renderer) -> None:
    """Seen to fail: versions that are not served, too."""
    assert served_versions(defining.chart) == ("example.com/v1",)
    assert served_kinds(defining.chart) == {"example.com/v1": ("Example",)}
    assert served_versions(tiny.chart) == ()


def test_a_render_has_what_the_chart_defines(defining: Renderer) -> None:
    """Seen to fail: `helm template` without --api-versions; with them whatever the test says."""
    for options, expected in (({}, "true"), ({"api_versions": ()}, "false")):
        (seen,) = defining({}, show_only=["templates/configmap.yaml"], **options)
        assert seen["data"]["monitoring"] == expected


def test_a_cluster_serves_the_kinds_that_a_test_names(defining: Renderer, tmp_path: Path) -> None:
    """Seen to fail: kinds that only a lookup finds, and no capability."""
    for kinds, expected in ((served_kinds(defining.chart), "true"), (None, "false")):
        with fake_cluster([], tmp_path, kinds=kinds) as kubeconfig:
            (seen,) = defining({}, show_only=["templates/configmap.yaml"], kubeconfig=kubeconfig)
        assert seen["data"]["monitoring"] == expected


def test_objects_of_the_charts_own_kinds_are_validated(defining: Renderer, tmp_path: Path) -> None:
    """Seen to fail: schemas of `helm_crds` alone."""
    thing = {"apiVersion": "example.com/v1", "kind": "Example", "metadata": {"name": "a"}}
    schemas = custom_schemas("", tmp_path, defining.chart)
    good, bad = {**thing, "spec": {"size": 1}}, {**thing, "spec": {"sise": 1}}
    newest = kubernetes_versions()[-1]
    assert problems([good], kube_version=newest, custom=schemas) == []
    (told,) = problems([bad], kube_version=newest, custom=schemas)
    assert "sise" in told


def test_a_packaged_chart_has_them_too(defining: Renderer, tmp_path: Path) -> None:
    """Seen to fail: those of a chart inside the chart."""
    package = tmp_path / "defining-0.1.0.tgz"
    with tarfile.open(package, "w:gz") as archive:
        archive.add(defining.chart, "defining")
        archive.add(defining.chart / "crds", "defining/charts/other/crds")
    assert definitions(package) == definitions(defining.chart)


def test_what_may_not_be_read_is_denied(tiny: Renderer, tmp_path: Path) -> None:
    """As by a cluster: Helm fails then. Seen to fail: 404, which a lookup takes for nothing."""
    with (
        fake_cluster([], tmp_path, unreadable=("Secret",)) as kubeconfig,
        pytest.raises(HelmError, match="Forbidden"),
    ):
        tiny({}, kubeconfig=kubeconfig)
