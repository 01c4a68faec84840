"""The known defects of other charts' collections (G1 to G10), each absent here.

docs/develop/defects.md has all of them; tests/mutants/defects.py puts each back.
"""

from typing import Any

import pytest

from helm_chart_test import containers, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from support.rendered import (
    REGISTRY,
    environment,
    every,
    one,
    pod_of,
    registry_container,
    registry_pod,
)

ON: dict[str, Any] = {"enabled": True}
COLLECTED: dict[str, Any] = {"garbageCollect": ON}
CRONJOB = "-garbage-collector"


def test_g1_no_default_caches_descriptors_in_memory(render: Renderer) -> None:
    """What a process remembers outlives what was deleted; with such a cache it is restarted."""
    config = one(render(COLLECTED), "ConfigMap", "-config")["data"]["config.yml"]
    assert "version: 0.1" in config
    assert "inmemory" not in config


def test_g2_collections_need_no_pause_and_nothing_makes_the_registry_read_only(
    render: Renderer,
) -> None:
    """Pushes go on: the collector waits and heals. No variable that panics registry 2.8 is set."""
    names = environment(registry_container(render(COLLECTED)))
    assert "REGISTRY_HTTP_SECRET" in names
    assert not [name for name in names if "READONLY" in name]
    collector = environment(containers(registry_pod(render(COLLECTED)))["gc"])
    assert (collector["GC_GRACE_PERIOD"], collector["GC_SETTLE_PERIOD"]) == ("1h", "60s")


@pytest.mark.parametrize(
    "persistence",
    [
        {"enabled": True},
        {"enabled": True, "accessModes": ["ReadWriteOncePod"]},
        {"existingClaim": "images"},
        {"hostPath": {"path": "/srv/images"}},
    ],
    ids=["claim", "claim of one pod", "existing claim", "folder of a node"],
)
def test_g3_no_second_pod_waits_for_the_volume(
    render: Renderer, persistence: dict[str, Any]
) -> None:
    """Only the registry's pod mounts it, and the collector is in there."""
    rendered = render({**COLLECTED, "persistence": persistence})
    holders = {
        object_id(thing)
        for thing in rendered
        if (pod := pod_template(thing))
        for volume in pod["spec"].get("volumes", [])
        if "persistentVolumeClaim" in volume or "hostPath" in volume
    }
    assert holders == {"Deployment/test-docker-registry"}
    assert "gc" in containers(registry_pod(rendered))


def test_g4_without_a_volume_the_collector_sees_the_registrys_own_folder(render: Renderer) -> None:
    """An emptyDir is the pod's: in a pod of its own the collector would see another, empty one."""
    pod = containers(registry_pod(render(COLLECTED)))
    (data,) = (mount for mount in pod[REGISTRY]["volumeMounts"] if mount["name"] == "data")
    assert data in pod["gc"]["volumeMounts"]


def test_g6_one_collection_at_a_time_and_each_ends(render: Renderer) -> None:
    spec = one(render(COLLECTED), "CronJob", CRONJOB)["spec"]
    job = spec["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] == 3600
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] > 6 * 3600


def test_g6_what_a_cron_job_can_be_told_is_told(render: Renderer) -> None:
    """Limits, time zone, suspension, and where and with what it runs, apart from the registry."""
    hook = {
        "successfulJobsHistoryLimit": 0,
        "failedJobsHistoryLimit": 7,
        "ttlSecondsAfterFinished": 60,
        "timeZone": "Europe/Berlin",
        "suspend": True,
        "nodeSelector": {"pool": "jobs"},
        "tolerations": [{"key": "jobs"}],
        "affinity": {"nodeAffinity": {}},
    }
    extra = [{"name": "MINE", "value": "yes"}]
    values = {"garbageCollect": {**ON, "hook": hook, "extraEnvVars": extra}}
    spec = one(render({**values, "nodeSelector": {"pool": "images"}}), "CronJob", CRONJOB)["spec"]
    pod = pod_of({"kind": "CronJob", "spec": spec})["spec"]
    found = {**spec, **spec["jobTemplate"]["spec"], **pod}
    assert {key: found[key] for key in hook} == hook
    assert environment(pod["containers"][0])["MINE"] == "yes"


def test_g7_the_cron_jobs_name_fits(render: Renderer) -> None:
    """At most 52 characters, or the API refuses it. A long release, a long name, both cuts."""
    for release in ("r" * 53, "a-" * 26 + "b", "x" * 35):
        name = one(render(COLLECTED, release=release), "CronJob")["metadata"]["name"]
        assert len(name) <= 52
        assert name.endswith(CRONJOB)


def test_g8_what_changed_restarts_the_pod_that_reads_it(render: Renderer) -> None:
    """The checksums are on the pods' own template, and follow what they are of."""

    def annotations(**values: Any) -> dict[str, str]:
        found: dict[str, str] = registry_pod(render(values))["metadata"]["annotations"]
        return found

    plain = annotations()
    logged = annotations(configData={"log": {"level": "debug"}})
    assert plain["checksum/config"] != logged["checksum/config"]
    assert plain["checksum/secret"] != annotations(secrets={"htpasswd": "a:b"})["checksum/secret"]


def test_g8_the_hooks_pods_can_be_told_from_the_registrys(render: Renderer) -> None:
    """They have labels to be found by, and no Service finds them."""
    labels = pod_of(one(render(COLLECTED), "CronJob"))["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "gc-hook"
    assert labels["app.kubernetes.io/instance"] == "test"
    assert not {"app", "release"} & labels.keys()


def test_g9_no_registrys_own_collection_runs(render: Renderer) -> None:
    """`garbage-collect --delete-untagged` of 2.8 deletes an index's children; ours is asked."""
    rendered = render({**COLLECTED, "image": {"tag": "2.8.3"}})
    commands = [
        str(container.get("command", "")) + str(container.get("args", ""))
        for thing in rendered
        if (pod := pod_template(thing))
        for container in containers(pod).values()
    ]
    assert len(commands) >= 4
    assert not [command for command in commands if "garbage-collect" in command]
    hook = pod_of(one(rendered, "CronJob"))["spec"]["containers"][0]
    assert hook["args"] == ["hook"]


def test_g10_a_cache_of_another_registry_is_collected_as_any_other(render: Renderer) -> None:
    """Nothing to refuse: the collector knows that a cache has manifests without their layers."""
    rendered = render({**COLLECTED, "proxy": ON})
    collector = environment(containers(registry_pod(rendered))["gc"])
    assert collector["REGISTRY_PROXY_REMOTEURL"] == "https://registry-1.docker.io"
    assert every(rendered, "CronJob")
