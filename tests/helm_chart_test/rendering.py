"""Call Helm and return what it renders."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from helm_chart_test.definitions import served_versions
from helm_chart_test.objects import Object
from helm_chart_test.reading import documents, mapping

Values = Mapping[str, Any] | Path
"""Values as a mapping or as a YAML file."""


class HelmError(Exception):
    """Helm refused; `stderr` is all that it said."""

    def __init__(self, command: Sequence[str], stderr: str) -> None:
        super().__init__(f"{' '.join(command)}\n{stderr}")
        self.stderr = stderr


def render(
    values: Values,
    *,
    chart: Path,
    helm: Path,
    show_only: Sequence[str] = (),
    kube_version: str = "",
    api_versions: Sequence[str] | None = None,
    release: str = "test",
    namespace: str = "test-ns",
    upgrade: bool = False,
    kubeconfig: Path | None = None,
) -> list[Object]:
    """Return the objects of `helm template`, hooks among them, in Helm's order.

    `show_only` names templates by their path inside the chart. `api_versions` are what the cluster
    serves besides what every cluster does; None: what the chart itself defines (`crds/`), which
    `helm install` installs before it renders, and `helm template` knows nothing of. `kubeconfig`
    names the cluster that `lookup` asks; without one it finds nothing. Raises HelmError.
    """
    text = rendered_text(
        values,
        chart=chart,
        helm=helm,
        show_only=show_only,
        kube_version=kube_version,
        api_versions=api_versions,
        release=release,
        namespace=namespace,
        upgrade=upgrade,
        kubeconfig=kubeconfig,
    )
    return documents(text)


def rendered_text(
    values: Values,
    *,
    chart: Path,
    helm: Path,
    show_only: Sequence[str] = (),
    kube_version: str = "",
    api_versions: Sequence[str] | None = None,
    release: str = "test",
    namespace: str = "test-ns",
    upgrade: bool = False,
    kubeconfig: Path | None = None,
) -> str:
    """Return what `helm template` prints. Raises HelmError."""
    command = [str(helm), "template", release, str(chart), "--namespace", namespace]
    for template in show_only:
        command += ["--show-only", template]
    for version in served_versions(chart) if api_versions is None else api_versions:
        command += ["--api-versions", version]
    if kube_version:
        command += ["--kube-version", kube_version]
    if upgrade:
        command.append("--is-upgrade")
    if kubeconfig:
        # Helm 4 would otherwise also ask for the cluster's schemas.
        command += ["--dry-run=server", "--disable-openapi-validation"]
        command += ["--kubeconfig", str(kubeconfig)]
    return _helm(command, values)


def notes(
    values: Values,
    *,
    chart: Path,
    helm: Path,
    release: str = "test",
    namespace: str = "test-ns",
    kubeconfig: Path | None = None,
) -> str:
    """Return what Helm tells its user after an install (NOTES.txt). Raises HelmError.

    Needs Helm 4: Helm 3 asks a cluster for its version even in a dry run. Without a `kubeconfig`
    the cluster serves nothing that the chart itself defines (`crds/`).
    """
    command = [str(helm), "install", release, str(chart), "--namespace", namespace]
    if kubeconfig:
        command += ["--dry-run=server", "--disable-openapi-validation"]
        command += ["--kubeconfig", str(kubeconfig)]
    else:
        command.append("--dry-run=client")
    printed = _helm(command, values)
    _, found, told = printed.partition("\nNOTES:\n")
    if not found:
        raise AssertionError(f"Helm printed no notes:\n{printed}")
    return told


def merged(*layers: Values) -> dict[str, Any]:
    """Return the values as Helm merges them: later ones win, maps are merged, `null` removes."""
    result: dict[str, Any] = {}
    for layer in layers:
        _merge(result, mapping(layer) if isinstance(layer, Path) else layer)
    return result


def values_text(values: Values) -> str:
    """Return values as Helm reads them from a file or from standard input."""
    # JSON is YAML that every parser reads alike; PyYAML would write the text "1e3" without quotes.
    return values.read_text("utf-8") if isinstance(values, Path) else json.dumps(values)


def _helm(command: list[str], values: Values) -> str:
    done = subprocess.run(
        [*command, "--values", "-"],
        input=values_text(values),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise HelmError(command, done.stderr)
    return done.stdout


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        present = into.get(key)
        if isinstance(value, Mapping) and isinstance(present, dict):
            _merge(present, value)
        else:
            into[key] = deepcopy(value)
