"""The chart of this project, its scenarios, and what they are rendered with."""

import os
import shlex
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal

from helm_chart_test import CustomSchemas, Object, kubernetes_versions
from helm_chart_test import problems as problems_with
from helm_chart_test.fixtures import helm_binary
from helm_chart_test.plugin import custom_schemas
from support.checkout import ROOT

CHART = Path(os.environ.get("CHART") or ROOT / "chart")
"""$CHART: a packaged chart, or a copy with a defect put back (tests/mutants)."""

PEERS = ROOT.parent / "shared" / "peers"
"""The charts that people come from, as data; not a part of this repository."""

Helm = Literal["helm", "helm3"]
HELMS: tuple[Helm, ...] = ("helm", "helm3")

VALUES = ROOT / "ci" / "values"
SCENARIOS = sorted(VALUES.rglob("*.yaml"))
"""Values files, each of which every render test renders; `helm_scenarios` of pyproject.toml."""

PEER_DEFAULTS = {path.parent.name: path for path in sorted(VALUES.glob("peers/*/defaults.yaml"))}
"""All values of each peer as it sets them when nobody sets anything, by the peer's name."""

API_VERSIONS = ("cert-manager.io/v1",)
"""What other projects' kinds a cluster serves; `helm_api_versions` of pyproject.toml."""

KUBE_VERSIONS = ("1.29", kubernetes_versions()[-1])
"""The oldest Kubernetes that the chart supports, and the newest that there are schemas of."""


@lru_cache(maxsize=1)
def _custom() -> CustomSchemas:
    command = shlex.join([sys.executable, str(ROOT / "ci" / "crds.py")])
    return custom_schemas(command, ROOT, CHART)


def problems(objects: Iterable[Object], *, kube_version: str = KUBE_VERSIONS[0]) -> list[str]:
    """Return what the API server would refuse, other projects' kinds included; one line each."""
    return problems_with(objects, kube_version=kube_version, custom=_custom())


def helm_of(tool: Helm) -> Path:
    """Return the path of Helm 4 or Helm 3: $HELM, $HELM3, or what `ci/cluster.py tool` has."""
    script = ROOT / "ci" / "cluster.py"
    return helm_binary(tool.upper(), shlex.join([sys.executable, str(script), "tool", tool]))
