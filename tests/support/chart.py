"""The chart of this project, its scenarios, and what they are rendered with."""

import os
import shlex
import sys
from pathlib import Path
from typing import Literal

from helm_chart_test import kubernetes_versions
from helm_chart_test.fixtures import helm_binary
from support.checkout import ROOT

CHART = Path(os.environ.get("CHART") or ROOT / "chart")
"""CHART: a copy with a defect put back, in tests/chart/defects.py."""

PEERS = ROOT.parent / "shared" / "peers"
"""The charts that people come from, as data; not a part of this repository."""

Helm = Literal["helm", "helm3"]
HELMS: tuple[Helm, ...] = ("helm", "helm3")

_PEER_VALUES = [
    path
    for name in ("stable-1.9-values.yaml", "twuni-3.0.0-values.yaml")
    if (path := PEERS / name).exists()
]
SCENARIOS = [*sorted((ROOT / "ci" / "values").glob("*.yaml")), *_PEER_VALUES]
"""Values files, each of which every render test renders."""

KUBE_VERSIONS = ("1.29", kubernetes_versions()[-1])
"""The oldest Kubernetes that the chart supports, and the newest that there are schemas of."""

CUSTOM_KINDS = frozenset(
    {"Certificate", "HTTPRoute", "PodMonitor", "PrometheusRule", "ServiceMonitor"}
)
"""Kinds of other projects; their schemas do not come with Kubernetes."""


def helm_of(tool: Helm) -> Path:
    """Return the path of Helm 4 or Helm 3: $HELM, $HELM3, or what `ci/cluster.py tool` has."""
    script = ROOT / "ci" / "cluster.py"
    return helm_binary(tool.upper(), shlex.join([sys.executable, str(script), "tool", tool]))
