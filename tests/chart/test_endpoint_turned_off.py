"""What an upgrade turns off leaves nothing behind: Helm knows nothing of what the scripts made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import Object, containers, fake_cluster, merged, pod_template, render
from helm_chart_test import served_kinds as kinds_of
from support import rights
from support.chart import CHART, HELMS, Helm, helm_of
from support.granted import granted, named
from support.release_objects import OWNER
from support.rendered import environment, every

NAME = "test-docker-registry"
EVERYTHING: dict[str, Any] = {
    "endpoint": {"enabled": True, "hosting": True},
    "service": {"type": "NodePort"},
    "tls": {"mode": "selfSigned"},
    "nodeTrust": {"enabled": True, "host": "registry.lan:5000", "namespace": "trusting"},
    "garbageCollect": {"enabled": True, "readOnly": True},
}
NOTHING: dict[str, Any] = {}

Upgrade = Callable[..., list[Object]]


@pytest.fixture(params=HELMS)
def upgrade(request: pytest.FixtureRequest, tmp_path: Path) -> Upgrade:
    """Return what an upgrade from one set of values to another renders."""
    helm: Helm = request.param

    def upgraded(
        before: dict[str, Any], after: dict[str, Any], owner: dict[str, str] = OWNER
    ) -> list[Object]:
        options: dict[str, Any] = {"chart": CHART, "helm": helm_of(helm)}
        kinds = ("CronJob", "DaemonSet", "Deployment")
        installed = [
            _as_helm_makes_it(thing, owner if thing["kind"] == "CronJob" else OWNER)
            for thing in render(before, **options)
            if thing["kind"] in kinds
        ]
        with fake_cluster(installed, tmp_path, kinds=kinds_of(CHART)) as cluster:
            return render(after, upgrade=True, kubeconfig=cluster, **options)

    return upgraded


def _as_helm_makes_it(thing: Object, owner: dict[str, str]) -> Object:
    annotations = {**thing["metadata"].get("annotations", {}), **owner}
    metadata = {**thing["metadata"], "annotations": annotations}
    return {**thing, "metadata": metadata}


def removals(objects: list[Object]) -> dict[str, dict[str, Any]]:
    """Return what each Job that removes something is told, by the end of its name."""
    found = {}
    for job in every(objects, "Job"):
        name = job["metadata"]["name"].removeprefix(f"{NAME}-endpoint-")
        if name in ("turned-off", "withdraw"):
            pod = pod_template(job)
            assert pod is not None
            (container,) = containers(pod).values()
            event = job["metadata"]["annotations"]["helm.sh/hook"]
            told = environment(container)
            found[name] = {"event": event, "args": container["args"], **told}
            assert pod["spec"]["serviceAccountName"] == f"{NAME}-endpoint-{name}"
    return found


def test_all_that_is_turned_off_goes(upgrade: Upgrade) -> None:
    """The nodes first, while the DaemonSet is there; the rest once no pod needs it.

    Seen to fail: everything before the upgrade, when the registry still has the certificate; the
    Secrets' names guessed from the new values, which have none.
    """
    found = removals(upgrade(EVERYTHING, NOTHING))

    assert found["withdraw"].items() >= {
        "event": "pre-upgrade", "args": ["endpoint", "--withdraw"],
        "GC_NAMESPACE": "test-ns", "GC_RELEASE": "test", "GC_ENDPOINT": NAME,
        "GC_TRUST": f"trusting/test-ns-{NAME}-node-trust", "GC_TRUST_TIMEOUT": "2m",
        "GC_ENDPOINT_NODE_HOST": "registry.lan:5000", "GC_SERVICE": NAME,
    }.items()  # fmt: skip
    assert found["turned-off"] == {
        "event": "post-upgrade", "args": ["endpoint", "--remove"],
        "GC_NAMESPACE": "test-ns", "GC_RELEASE": "test", "GC_ENDPOINT": NAME,
        "GC_HOSTING": "true", "GC_MODE": f"{NAME}-gc-mode",
        "GC_TLS_SECRET": f"{NAME}-selfsigned",
        "GC_TLS_AUTHORITY_SECRET": f"{NAME}-selfsigned-ca",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["fullnameOverride", "nameOverride"])
def test_what_had_another_name_goes(upgrade: Upgrade, name: str) -> None:
    """The authority's key too, which an uninstall under the new name would never find.

    The nodes' files are found by their owner, which has the chart's name in it: under another one
    they would be in the way for ever. Seen to fail: look for the CronJob of the new name only; do
    not compare the owners.
    """
    objects = upgrade(EVERYTHING, merged(EVERYTHING, {name: "other"}))
    told = {
        job["metadata"]["name"]: environment(
            next(iter(containers(pod_template(job) or {}).values()))
        )
        for job in every(objects, "Job")
    }
    new = "test-other" if name == "nameOverride" else "other"
    assert told[f"{new}-endpoint-turned-off"] == {
        "GC_NAMESPACE": "test-ns", "GC_RELEASE": "test", "GC_ENDPOINT": NAME,
        "GC_MODE": f"{NAME}-gc-mode", "GC_TLS_SECRET": f"{NAME}-selfsigned",
        "GC_TLS_AUTHORITY_SECRET": f"{NAME}-selfsigned-ca",
    }  # fmt: skip
    assert (f"{new}-endpoint-withdraw" in told) == (name == "nameOverride")
    if name == "nameOverride":
        assert told[f"{new}-endpoint-withdraw"]["GC_ENDPOINT"] == NAME


def test_who_removes_may_do_that_and_no_more(upgrade: Upgrade) -> None:
    """Seen to fail: the rights of an uninstall for both."""
    objects = upgrade(EVERYTHING, NOTHING)
    off, withdraw = (f"{NAME}-endpoint-{name}" for name in ("turned-off", "withdraw"))
    assert granted(objects, withdraw) == rights.WITHDRAW
    schedule = {("get", "cronjobs"), ("patch", "cronjobs"), ("get", "daemonsets")}
    assert granted(objects, off) == rights.REMOVE - schedule
    assert named(objects, off, "configmaps") == {f"{NAME}-gc-mode", "local-registry-hosting"}
    for thing in objects:
        if thing["metadata"]["name"].endswith(("endpoint-turned-off", "endpoint-withdraw")):
            notes = thing["metadata"]["annotations"]
            # Where the Job fails, Helm 3 keeps what it needed until an event of that object's.
            is_job = thing["kind"] == "Job"
            event = (
                "pre-upgrade" if thing["metadata"]["name"].endswith("withdraw") else "post-upgrade"
            )
            assert notes["helm.sh/hook"] == (event if is_job else f"{event},pre-delete")
            assert notes["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"


@pytest.mark.parametrize(
    ("off", "goes"),
    [
        ({"endpoint": {"hosting": False}}, {"GC_HOSTING"}),
        ({"garbageCollect": {"readOnly": False}}, {"GC_MODE"}),
        ({"garbageCollect": {"enabled": False}}, {"GC_MODE"}),
        ({"tls": {"mode": "none"}}, {"GC_TLS_SECRET", "GC_TLS_AUTHORITY_SECRET"}),
        (
            {"tls": {"mode": "secret"}, "tlsSecretName": "mine"},
            {"GC_TLS_SECRET", "GC_TLS_AUTHORITY_SECRET"},
        ),
        (
            {"endpoint": {"enabled": False}, "nodeTrust": {"enabled": False}},
            {"GC_ENDPOINT", "GC_HOSTING"},
        ),
    ],
)
def test_one_thing_that_is_turned_off_goes_alone(
    upgrade: Upgrade, off: dict[str, Any], goes: set[str]
) -> None:
    """Seen to fail: the new Secret's name beside the old authority's."""
    found = removals(upgrade(EVERYTHING, merged(EVERYTHING, off)))
    named_ = found["turned-off"].keys() - {"event", "args", "GC_NAMESPACE", "GC_RELEASE"}
    assert named_ == goes
    if "GC_TLS_SECRET" in goes:
        assert found["turned-off"]["GC_TLS_SECRET"] == f"{NAME}-selfsigned"


@pytest.mark.parametrize(
    ("change", "withdrawn"),
    [
        ({"nodeTrust": {"enabled": False}}, True),
        ({"nodeTrust": {"runtime": "crio"}}, True),
        ({"nodeTrust": {"hostFolder": "/var/lib/rancher/k3s/agent/etc/containerd"}}, True),
        ({"nodeTrust": {"hostFolder": "/etc/containerd/"}}, False),
        ({"nodeTrust": {"host": "other.lan:5000"}}, False),
        ({"nodeTrust": {"namespace": "elsewhere"}}, False),
    ],
)
def test_nodes_forget_what_no_new_pod_would_find(
    upgrade: Upgrade, change: dict[str, Any], withdrawn: bool
) -> None:
    """In another folder nobody would look for the old files; in another namespace somebody does.

    Seen to fail: `nodeTrust.enabled` alone; /etc/containerd taken for a part of /etc/containerd2.
    """
    found = removals(upgrade(EVERYTHING, merged(EVERYTHING, change)))
    assert ("withdraw" in found) is withdrawn
    assert "turned-off" not in found


def test_what_stays_as_it_is_removes_nothing(upgrade: Upgrade) -> None:
    """Nor a first install, nor what only changes. Seen to fail: a comparison of all variables."""
    assert removals(upgrade(EVERYTHING, EVERYTHING)) == {}
    assert removals(upgrade(NOTHING, EVERYTHING)) == {}
    assert removals(upgrade(NOTHING, NOTHING)) == {}
    changed = {"endpoint": {"addresses": ["a:1"], "schedule": "@hourly"}}
    assert removals(upgrade(EVERYTHING, merged(EVERYTHING, changed))) == {}


def test_who_never_had_a_script_is_asked_for_no_cron_job(tmp_path: Path) -> None:
    """Helm fails where its user may not read what a template looks up.

    Seen to fail: the CronJob looked up at each upgrade.
    """
    options: dict[str, Any] = {"chart": CHART, "helm": helm_of("helm"), "upgrade": True}
    (deployment,) = every(render(NOTHING, chart=CHART, helm=helm_of("helm")), "Deployment")
    installed = _as_helm_makes_it(deployment, OWNER)
    with fake_cluster([installed], tmp_path, unreadable=("CronJob", "DaemonSet")) as cluster:
        assert render(NOTHING, kubeconfig=cluster, **options)


def test_the_cron_job_of_another_release_says_nothing(upgrade: Upgrade) -> None:
    """Seen to fail: no look at whose it is, so that another release's objects were removed."""
    other = {**OWNER, "meta.helm.sh/release-name": "other"}
    # Turned off, this release makes no CronJob itself, which Helm would find to be another's.
    assert removals(upgrade(EVERYTHING, NOTHING, other)) == {}
