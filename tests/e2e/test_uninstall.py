"""What is left of a release: nothing on nodes or in the cluster but what its user asked to keep."""

from contextlib import suppress
from typing import Any

import pytest

from e2e.documented import shell, shell_block
from support.chart import Helm
from support.cluster import Release
from support.everything import files, objects
from support.nodes import Trusting, trusting
from support.on_cluster import install_with
from support.waiting import until

Values = dict[str, Any]

BASE: Values = {"persistence": {"enabled": True, "size": "1Gi"}}
ENDPOINT: Values = {"endpoint": {"enabled": True, "nodeAddresses": True}}
OTHERS: Values = {
    "tls": {"mode": "selfSigned"},
    "garbageCollect": {"readOnly": True},
    "ingress": {"enabled": True, "hosts": ["registry.example.com"]},
    "networkPolicy": {"enabled": True},
    "podDisruptionBudget": {"maxUnavailable": 1},
    "serviceAccount": {"create": True},
    "metrics": {"enabled": True},
}


def everything(trust: Trusting) -> Values:
    values = trust.values(**BASE, **OTHERS)
    return {**values, "endpoint": {**values["endpoint"], "hosting": True}}


def made_by_scripts(release: Release) -> set[str]:
    """Return what Helm knows nothing of; the ConfigMap of the whole cluster may be another's."""
    own = f"{release.namespace}/{release.fullname}"
    return {
        f"RegistryEndpoint {own}",
        f"Secret {own}-selfsigned",
        f"Secret {own}-selfsigned-ca",
        f"ConfigMap {own}-gc-mode",
    }


def make_read_only(release: Release) -> None:
    """Switch it by hand for an hour, as the page says."""
    lines = shell_block("exposing.md", "Read-only by hand")
    end = next(n for n, line in enumerate(lines) if "jsonpath" in line)
    # The job that does it is our own, and would be there for as long as the CronJob.
    mine = 'kubectl delete "$job"'
    shell(release, *[line.replace("NAME", release.name) for line in lines[:end]], mine)


@pytest.mark.xdist_group("hosting")
@pytest.mark.parametrize(
    ("helm", "keep"), [("helm", True), pytest.param("helm3", False, marks=pytest.mark.full)]
)
def test_an_uninstall_leaves_nothing_but_what_was_asked_to_stay(
    release: Release, helm: Helm, keep: bool
) -> None:
    """With all turned on that makes objects or files, read-only at that moment, and jobs by hand.

    Seen to fail: without the Job before an uninstall (chart/templates/endpoint/jobs.yaml).
    """
    with trusting(release) as trust:
        before, files_before = objects(release), files(trust.nodes, release)
        trust.choose(*trust.nodes)
        values = everything(trust)
        values["persistence"] = {**values["persistence"], "keep": keep}
        install_with(release, values)
        until(lambda: all(map(trust_of(release), trust.nodes)), what="nodes trust", timeout=60)
        release.cluster.helm(
            "test", release.name, "-n", release.namespace, "--timeout", "3m", version=helm
        )
        release.collect("by-hand")
        make_read_only(release)
        made = objects(release)
        assert made >= made_by_scripts(release), made
        assert any(each.startswith("ClusterRole ") for each in made), made
        claim = f"PersistentVolumeClaim {release.namespace}/{release.fullname}"
        assert claim in made

        release.cluster.helm(
            "uninstall", release.name, "-n", release.namespace, "--wait", version=helm
        )

        assert files(trust.nodes, release) == files_before
        volume = {each for each in made if each.startswith("PersistentVolume ")}
        asked = {claim, *volume} if keep else set()
        until(
            lambda: objects(release, fleeting=True) - before == asked,
            what=f"only {asked or 'nothing'} is left", timeout=120, pause=1,
        )  # fmt: skip


def trust_of(release: Release) -> Any:
    return lambda node: bool(node.trust_of(release))


@pytest.mark.xdist_group("hosting")
def test_an_uninstall_leaves_nothing_of_an_install_that_failed(release: Release) -> None:
    """Its certificate was made before; its other objects are there, or not.

    Seen to fail: without the Job before an uninstall (chart/templates/endpoint/jobs.yaml).
    """
    with trusting(release) as trust:
        before = objects(release)
        trust.choose(*trust.nodes)
        with pytest.raises(AssertionError):
            install_with(
                release, everything(trust), given={"image.tag": "does-not-exist"}, timeout="30s"
            )
        assert f"Secret {release.namespace}/{release.fullname}-selfsigned-ca" in objects(release)

        release.uninstall()

        claim = f"PersistentVolumeClaim {release.namespace}/{release.fullname}"
        until(
            lambda: {
                each for each in objects(release, fleeting=True) - before
                if not each.startswith("PersistentVolume ")
            } <= {claim},
            what="nothing but the claim is left", timeout=120, pause=1,
        )  # fmt: skip
        assert not files(trust.nodes, release)


THINGS: dict[str, tuple[Values, Values]] = {
    "everything": ({}, {}),
    "node-trust": (ENDPOINT, {}),
    "the-endpoint": ({}, ENDPOINT),
    "hosting": (ENDPOINT, {"endpoint": {**ENDPOINT["endpoint"], "hosting": True}}),
    "its-own-certificate": ({}, {"tls": {"mode": "selfSigned"}}),
    "read-only": ({}, {"garbageCollect": {"readOnly": True}}),
}


@pytest.mark.xdist_group("hosting")
@pytest.mark.parametrize(
    "thing",
    [
        pytest.param(name, marks=[] if name == "everything" else [pytest.mark.full])
        for name in THINGS
    ],
)
def test_what_an_upgrade_turns_off_leaves_nothing(release: Release, thing: str) -> None:
    """The objects afterwards are those of before it was turned on, on nodes too.

    Seen to fail: without chart/templates/endpoint/turned-off.yaml.
    """
    without, with_it = THINGS[thing]
    with trusting(release) as trust:
        trust.choose(*trust.nodes)
        if thing == "everything":
            with_it = everything(trust)
        elif thing == "node-trust":
            with_it = trust.values()
            with_it["endpoint"]["schedule"] = "*/5 * * * *"
        install_with(release, {**BASE, **without})
        before = objects(release)

        install_with(release, {**BASE, **with_it})
        if "garbageCollect" in with_it:
            make_read_only(release)
        if "nodeTrust" in with_it:
            until(lambda: all(map(trust_of(release), trust.nodes)), what="nodes trust", timeout=60)
        assert objects(release) > before
        install_with(release, {**BASE, **without})

        with suppress(AssertionError):  # the difference below says more
            until(lambda: objects(release) == before, what="as before", timeout=60, pause=1)
        assert objects(release) == before
        assert not files(trust.nodes, release)
        release.wait_until_it_answers()
