"""From no strategy to `Recreate`: what server-side apply refuses in one step (W1)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import Object, fake_cluster, object_id, render
from support.chart import CHART, helm_of

NAME = "test-docker-registry"
ASKED = {"updateStrategy": {"type": "Recreate"}}
# What `maxSurge: 0` and all of them at once stand for.
SAME = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}}
FILLED_IN = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}

Strategy = Callable[..., Any]


def live(strategy: dict[str, Any], **managers: list[str]) -> Object:
    """Return the Deployment that the cluster has; each manager gave these parts of its strategy."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": NAME,
            "namespace": "test-ns",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "test",
                "meta.helm.sh/release-namespace": "test-ns",
            },
            "managedFields": [
                {
                    "manager": manager,
                    "fieldsV1": {
                        "f:spec": {
                            "f:strategy": {"f:rollingUpdate": {f"f:{part}": {} for part in parts}}
                        }
                    },
                }
                for manager, parts in managers.items()
            ],
        },
        "spec": {"strategy": strategy},
    }


@pytest.fixture(params=["helm", "helm3"])
def strategy(request: pytest.FixtureRequest, tmp_path: Path) -> Strategy:
    """Render an upgrade in a cluster that has this Deployment."""

    def rendered(values: dict[str, Any], *objects: Object) -> Any:
        with fake_cluster(objects, tmp_path) as cluster:
            found = render(
                values, chart=CHART, helm=helm_of(request.param), upgrade=True, kubeconfig=cluster
            )
        (deployment,) = (thing for thing in found if object_id(thing) == f"Deployment/{NAME}")
        return deployment["spec"]["strategy"]

    return rendered


def test_recreate_waits_for_the_next_upgrade_where_nobody_gave_numbers(strategy: Strategy) -> None:
    """Seen to fail: `rollingUpdate: null` in the hope that it takes them away; one half of the
    numbers taken for both.
    """
    assert strategy(ASKED, live(FILLED_IN)) == SAME
    assert strategy(ASKED, live(FILLED_IN, helm=["maxSurge"])) == SAME
    assert strategy(ASKED, live(FILLED_IN, somebody=["maxSurge", "maxUnavailable"])) == SAME


def test_recreate_comes_into_force_as_soon_as_it_can(strategy: Strategy) -> None:
    """Seen to fail: always `RollingUpdate` where a Deployment is there."""
    recreate = {"type": "Recreate", "rollingUpdate": None}
    assert strategy(ASKED) == recreate
    assert strategy(ASKED, live({"type": "Recreate"})) == recreate
    given = live(SAME, helm=["maxSurge", "maxUnavailable"])
    assert strategy(ASKED, given) == recreate


def test_what_the_cluster_has_changes_no_other_strategy(strategy: Strategy) -> None:
    """Seen to fail: `recreateLater` asked before what was asked for."""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert strategy({"updateStrategy": rolling}, live(FILLED_IN)) == rolling
    alone = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert strategy({"persistence": {"enabled": True}}, live(FILLED_IN)) == alone
