"""`garbageCollect.readOnly`: who gets the switch, and who must not."""

from typing import Any

import pytest

from helm_chart_test import Object, containers, merged
from helm_chart_test.fixtures import Renderer
from registry_gc.hook import HookSettings
from support.chart import problems
from support.granted import granted
from support.rendered import (
    environment,
    every,
    one,
    pod_of,
    registry_container,
    registry_pod,
)

ON: dict[str, Any] = {"garbageCollect": {"enabled": True, "readOnly": True}}
OFF: dict[str, Any] = {"garbageCollect": {"enabled": True}}
VARIABLE = "REGISTRY_STORAGE_MAINTENANCE_READONLY"
MODE = "test-docker-registry-gc-mode"


def hook(objects: list[Object]) -> Object:
    """Return the collecting CronJob's Job."""
    job: Object = one(objects, "CronJob", "-garbage-collector")["spec"]["jobTemplate"]["spec"]
    return job


def hook_env(objects: list[Object]) -> dict[str, Any]:
    (container,) = hook(objects)["template"]["spec"]["containers"]
    return environment(container)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_the_registry_alone_has_the_switch(render: Renderer, kind: str) -> None:
    """The collector's container would take itself for the read-only one; and a registry without the
    object must start.

    Seen to fail: the variable among those that the containers share; not optional.
    """
    objects = render(merged(ON, {"useStatefulSet": kind == "StatefulSet"}))
    assert environment(registry_container(objects))[VARIABLE] == {
        "configMapKeyRef": {"name": MODE, "key": "readOnly", "optional": True}
    }
    for thing in objects:
        if thing["kind"] in ("Job", "CronJob"):
            assert VARIABLE not in str(pod_of(thing)), thing["metadata"]["name"]
    for name, container in containers(registry_pod(objects)).items():
        if name != "docker-registry":
            assert VARIABLE not in environment(container), name


def test_the_collector_beside_the_registry_does_not_hear_of_it(render: Renderer) -> None:
    """With GC_READ_ONLY each periodic run would be refused, because people can push.

    Seen to fail: GC_READ_ONLY among the collector's options.
    """
    sidecar = containers(registry_pod(render(ON)))["gc"]
    assert not [name for name in environment(sidecar) if "READ_ONLY" in name or name == "GC_MODE"]


def test_the_hook_is_told_how_to_switch(render: Renderer) -> None:
    """Seen to fail: the expiry not handed on; no pod's name, so that a second pod of the Job holds
    what the first one took.
    """
    gc = {"readOnlyExpires": "20m", "readOnlyTimeout": "5m"}
    given = hook_env(render(merged(ON, {"garbageCollect": gc})))
    assert given["GC_POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    settings = HookSettings.from_environment({**given, "GC_POD_NAME": "collect-1"})
    assert settings.read_only
    assert settings.switch is not None
    assert settings.switch.mode == MODE
    assert settings.switch.holder == "collect-1"
    assert settings.switch.expires.total_seconds() == 1200
    assert settings.switch.timeout.total_seconds() == 300
    assert (settings.switch.owner.namespace, settings.switch.owner.release) == ("test-ns", "test")


def test_the_hook_has_time_to_take_it_back(render: Renderer) -> None:
    """When it is told to end, and before its Job is over.

    Seen to fail: the kubelet's 30 seconds; the deadline of a collection that switches nothing.
    """
    values = merged(ON, {"garbageCollect": {"hook": {"timeout": "1h"}, "readOnlyTimeout": "10m"}})
    job = hook(render(values))
    assert job["template"]["spec"]["terminationGracePeriodSeconds"] == 120
    # On, until nobody counts on it, and off.
    assert job["activeDeadlineSeconds"] >= 3600 + 3 * 600


def test_without_it_nothing_of_it_is_there(render: Renderer) -> None:
    """Who asks for nothing gets no new variable, no longer end and no right over ConfigMaps.

    Seen to fail: the variable always there; the Role's rule without its condition.
    """
    objects = render(OFF)
    assert MODE not in str(objects)
    assert VARIABLE not in str(objects)
    job = hook(objects)
    assert "terminationGracePeriodSeconds" not in job["template"]["spec"]
    assert job["activeDeadlineSeconds"] == 6 * 3600 + 600
    account = "test-docker-registry-gc"
    assert ("create", "configmaps") in granted(render(ON), account)
    assert not [right for right in granted(objects, account) if right[1] == "configmaps"]


def test_the_switch_is_no_object_of_helms(render: Renderer) -> None:
    """An upgrade in the middle of a collection would otherwise let people push.

    Seen to fail: an empty ConfigMap of that name rendered.
    """
    assert MODE not in {thing["metadata"]["name"] for thing in every(render(ON), "ConfigMap")}


def test_what_is_switched_is_looked_after(render: Renderer) -> None:
    """By the script of every few minutes, also without a RegistryEndpoint: the hook may be killed.

    Seen to fail: GC_MODE for the hook alone.
    """
    objects = render(ON)
    keeper = one(objects, "CronJob", "-endpoint")
    (container,) = containers(pod_of(keeper)).values()
    given = environment(container)
    assert given["GC_MODE"] == MODE
    assert "GC_READ_ONLY" not in given
    assert problems(objects) == []


def test_the_notes_have_the_command_for_it(render: Renderer) -> None:
    """By the pod of the CronJob that may write the switch. Tried by hand on a cluster.

    Seen to fail: the other CronJob, whose account may only take it back.
    """
    notes = render.notes(ON)
    assert "--from=cronjob/test-docker-registry-garbage-collector read-only-" in notes
    assert '"value": ["read-only", "on", "--for", "1h"]' in notes
    assert "read-only" not in render.notes(OFF)


REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a cache of another registry": (
        {"proxy": {"enabled": True, "remoteurl": "https://registry-1.docker.io"}},
        ("(proxy.enabled: true)", "writes to its store when people pull", "readOnly: false"),
    ),
    "a cache by the configuration": (
        {"configData": {"proxy": {"remoteurl": "https://registry-1.docker.io"}}},
        ("(configData.proxy.remoteurl)",),
    ),
    "a cache by a variable": (
        {"extraEnvVars": [{"name": "REGISTRY_PROXY_REMOTEURL", "value": "https://a.example"}]},
        ("(extraEnvVars: REGISTRY_PROXY_REMOTEURL)",),
    ),
    "object storage": (
        {"storage": "s3", "s3": {"bucket": "images", "region": "eu-1"}},
        ("no collector runs beside the registry", "readOnly: false"),
    ),
    "no schedule": (
        {"garbageCollect": {"schedule": "", "period": "1h"}},
        ("garbageCollect.schedule is empty", "only the CronJob's pod can switch"),
    ),
    "read-only anyway": (
        {"configData": {"storage": {"maintenance": {"readonly": {"enabled": True}}}}},
        ("configData.storage.maintenance.readonly.enabled is true as well", "Remove one"),
    ),
    "a variable of the same name": (
        {"extraEnvVars": [{"name": VARIABLE, "value": '{"enabled":false}'}]},
        (f"extraEnvVars has {VARIABLE}", "Remove one"),
    ),
    "a part of it": (
        {"extraEnvVars": [{"name": f"{VARIABLE}_ENABLED", "value": "false"}]},
        (f"extraEnvVars has {VARIABLE}_ENABLED",),
    ),
    "over before it began": (
        {"garbageCollect": {"readOnlyExpires": "5s"}},
        ("garbageCollect.readOnlyExpires is 5s", "such as 10m"),
    ),
    "no time": (
        {"garbageCollect": {"readOnlyTimeout": "0s"}},
        ("garbageCollect.readOnlyTimeout is 0s", "Set 15m"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_cannot_be_read_only_is_told_why(render: Renderer, case: str) -> None:
    """Seen to fail: each condition turned off; `readOnly` looked at while nothing is collected."""
    values, parts = REFUSED[case]
    told = render.error(merged(ON, values))
    for part in parts:
        assert part in told
    off = merged(ON, {"garbageCollect": {"enabled": False}})
    assert render(merged(off, values))
