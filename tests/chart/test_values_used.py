"""Every value does something: to the objects, or to what the user is told."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import fake_cluster, served_kinds
from helm_chart_test.rendering import values_text
from support.leaves import all_leaves, changed, context

# With a reason each: what is accepted, and changes nothing.
WITHOUT_EFFECT = {
    "service.name": "kept for the values of other charts; counts where the cluster has it (lookup)",
    "garbageCollect.mode": "the only mode there is for a volume is what the storage asks for",
}
REFUSED = {
    "ingress.path": "clients cannot use a sub-path, so another one is answered with that",
}
SECTIONS = sorted({path[0] for path, _ in all_leaves()})


@pytest.fixture(scope="module")
def kubeconfig(helm_chart: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an empty cluster that knows every kind of object that the chart can make."""
    kinds = {
        **served_kinds(helm_chart),
        "cert-manager.io/v1": ("Certificate",),
        "gateway.networking.k8s.io/v1": ("HTTPRoute",),
        "gateway.networking.k8s.io/v1beta1": ("HTTPRoute",),
        "monitoring.coreos.com/v1": ("PodMonitor", "PrometheusRule", "ServiceMonitor"),
    }
    with fake_cluster([], tmp_path_factory.mktemp("cluster"), kinds=kinds) as path:
        yield path


def told(chart: Path, helm: Path, kubeconfig: Path, values: dict[str, Any]) -> str:
    """Return all that an install would make and say. Raises CalledProcessError."""
    asked = ["--dry-run=server", "--disable-openapi-validation", "--kubeconfig", str(kubeconfig)]
    done = subprocess.run(
        [helm, "install", "test", chart, "-n", "test-ns", *asked, "--values", "-"],
        input=values_text(values),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "\nkind: ConfigMap" in done.stdout
    return re.sub(r"^LAST DEPLOYED: .*$", "", done.stdout, flags=re.MULTILINE)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_value_is_used(
    section: str, helm_chart: Path, helm_paths: list[Path], kubeconfig: Path
) -> None:
    """Each is changed, in a release where it means something, and something else comes out.

    Seen to fail: `scrapeTimeout` left out of docker-registry.monitor.endpoint.
    """
    before: dict[str, str] = {}
    unused, refused = [], []
    mine = [(path, default) for path, default in all_leaves() if path[0] == section]
    assert mine
    for path, default in mine:
        name = ".".join(path)
        around = context(path)
        key = values_text(around)
        try:
            if key not in before:
                before[key] = told(helm_chart, helm_paths[0], kubeconfig, around)
            new = changed(path, default)
            if told(helm_chart, helm_paths[0], kubeconfig, new) == before[key]:
                unused.append(name)
        except subprocess.CalledProcessError as error:
            refused.append((name, error.stderr))
    assert [each for each in refused if each[0] not in REFUSED] == []
    assert [name for name in unused if name not in WITHOUT_EFFECT] == []


def test_what_is_on_a_list_is_a_value() -> None:
    names = {".".join(path) for path, _ in all_leaves()}
    assert names >= WITHOUT_EFFECT.keys() | REFUSED.keys()
