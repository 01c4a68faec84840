"""The collector's objects: what it shares with the registry, who may do what, when they exist."""

from base64 import b64decode
from typing import Any

import pytest

from helm_chart_test import Object, containers, merged, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from registry_gc import errors
from support.checkout import ROOT

VALUES = ROOT / "ci" / "values"
ENABLED = {"garbageCollect": {"enabled": True}}
DIGEST = f"sha256:{'ab' * 32}"


def kinds(objects: list[Object]) -> dict[str, Object]:
    return {object_id(thing): thing for thing in objects}


def registry_pod(objects: list[Object]) -> Object:
    kinds = ("Deployment", "StatefulSet")
    (found,) = (thing for thing in objects if thing["kind"] in kinds)
    pod = pod_template(found)
    assert pod is not None
    return pod


def is_test(thing: Object) -> bool:
    annotations: dict[str, str] = thing["metadata"].get("annotations", {})
    return annotations.get("helm.sh/hook") == "test"


def pods_with(objects: list[Object], image: str) -> set[str]:
    return {
        object_id(thing)
        for thing in objects
        if not is_test(thing)
        and (pod := pod_template(thing))
        and any(image in container["image"] for container in containers(pod).values())
    }


def test_the_collector_sees_what_the_registry_sees(
    objects: list[Object], scenario: dict[str, Any]
) -> None:
    """One root, one configuration, one user, or it would delete another store.

    Seen to fail: REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY, the volume `data`, `runAsUser`,
    extraEnvVars or `envFrom` left out of the container gc.
    """
    pod = containers(registry_pod(objects))
    registry = pod["docker-registry"]
    collecting = [name for name in ("gc", "gc-write-test") if name in pod]
    expected = 2 if scenario.get("garbageCollect", {}).get("enabled") else 0
    assert len(collecting) == expected
    # By the switch the registry alone is read-only: test_read_only_values.py.
    switch = "REGISTRY_STORAGE_MAINTENANCE_READONLY"
    shared = [entry for entry in registry["env"] if entry["name"] != switch]
    for name in collecting:
        collector = pod[name]
        more_env = [entry for entry in collector["env"] if entry not in registry["env"]]
        assert [e for e in collector["env"] if e not in more_env] == shared
        assert all(entry["name"].startswith("GC_") for entry in more_env)
        more_mounts = [
            mount["mountPath"]
            for mount in collector["volumeMounts"]
            if mount not in registry["volumeMounts"]
        ]
        assert [m for m in collector["volumeMounts"] if m["mountPath"] not in more_mounts] == (
            registry["volumeMounts"]
        )
        assert set(more_mounts) <= {"/tmp", "/var/run/secrets/docker-registry-gc"}
        assert collector.get("securityContext") == registry.get("securityContext")
        assert collector["args"][1] == registry["command"][-1]
        assert collector.get("envFrom") == registry.get("envFrom")


def test_the_collector_starts_before_the_registry_and_stays(render: Renderer) -> None:
    """Seen to fail: the container gc without restartPolicy, or with a readinessProbe."""
    pod = registry_pod(render(ENABLED))
    collector = pod["spec"]["initContainers"][-1]
    assert collector["name"] == "gc"
    assert collector["restartPolicy"] == "Always"
    assert collector["ports"] == [{"containerPort": 5002, "name": "gc", "protocol": "TCP"}]
    for probe in ("startupProbe", "livenessProbe"):
        assert collector[probe]["httpGet"] == {"path": "/healthz", "port": "gc"}
    # Not ready would take the registry out of its Service.
    assert "readinessProbe" not in collector
    assert pod["spec"]["shareProcessNamespace"] is True


def test_the_pod_shares_processes_with_a_collector_only(render: Renderer) -> None:
    """Seen to fail: shareProcessNamespace in every pod."""
    assert "shareProcessNamespace" not in registry_pod(render({}))["spec"]


def test_the_options_reach_the_collector(render: Renderer) -> None:
    """Seen to fail: GC_QUARANTINE left out; `false` written as an empty text; the defaults brought
    in by `merge`, which takes `false` for missing.
    """
    rendered = render(merged(VALUES / "collected-with-everything.yaml"))
    env = {e["name"]: e.get("value") for e in containers(registry_pod(rendered))["gc"]["env"]}
    assert {name: value for name, value in env.items() if name.startswith("GC_")} == {
        "GC_DELETE_UNTAGGED": "true",
        "GC_GRACE_PERIOD": "1h",
        "GC_MAX_DELETE_RATIO": "1",
        "GC_MEMORY_START_DELAY": "10m",
        "GC_PEERS_HOST": "test-docker-registry-gc-peers.test-ns.svc",
        "GC_PERIOD": "",
        "GC_POD_IP": None,
        "GC_POD_NAME": None,
        "GC_PORT": "5002",
        "GC_QUARANTINE": "7d",
        "GC_RESTART": "always",
        "GC_SETTLE_PERIOD": "2m",
        "GC_START_DELAY": "5m",
        "GC_STOP_TIMEOUT": "90s",
        "GC_TOKEN_FILE": "/var/run/secrets/docker-registry-gc/token",
        "GC_UPLOAD_GRACE_PERIOD": "2d",
    }
    kept = render({"garbageCollect": {"enabled": True, "deleteUntagged": False, "period": 3600}})
    env = {e["name"]: e.get("value") for e in containers(registry_pod(kept))["gc"]["env"]}
    assert (env["GC_DELETE_UNTAGGED"], env["GC_PERIOD"]) == ("false", "3600")


def test_without_collection_nothing_names_the_collector(
    objects: list[Object], scenario: dict[str, Any]
) -> None:
    """Seen to fail: gc/secret.yaml and preflight.yaml without their condition."""
    objects = [each for each in objects if not is_test(each)]  # `helm test` has the image anyway
    text = str(objects)
    expected = bool(scenario.get("garbageCollect", {}).get("enabled"))
    # The same image publishes addresses and makes certificates (test_endpoint.py, test_tls.py).
    expected |= bool(scenario.get("endpoint", {}).get("enabled"))
    expected |= scenario.get("tls", {}).get("mode") in ("certManager", "selfSigned")
    assert ("registry-gc" in text) == expected
    if "registry-gc" not in text:
        assert not {"CronJob", "Job", "Role", "RoleBinding"} & {t["kind"] for t in objects}
        assert not any(t["metadata"]["name"].endswith("-gc") for t in objects)


def test_everything_that_runs_the_image_is_checked_before(render: Renderer) -> None:
    """Seen to fail: the preflight Job without its hook annotations."""
    rendered = render(ENABLED)
    assert pods_with(rendered, "registry-gc") == {
        "CronJob/test-docker-registry-garbage-collector",
        "Deployment/test-docker-registry",
        "Job/test-docker-registry-preflight",
    }
    hooks = {
        owner: thing["metadata"]["annotations"]
        for owner, thing in kinds(rendered).items()
        if owner.endswith("-preflight")
    }
    assert {owner.partition("/")[0] for owner in hooks} == {"ConfigMap", "Job", "Secret"}
    for owner, annotations in hooks.items():
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        # What the Job reads must be there before it.
        assert (int(annotations["helm.sh/hook-weight"]) == -5) == owner.startswith("Job/")


def test_the_preflight_uses_only_what_comes_with_it(render: Renderer) -> None:
    """Before an install the release's objects do not exist, before an upgrade they are old.

    Seen to fail: the Job's environment from `<fullname>-secret`; its serviceAccountName from the
    values; no podFailurePolicy, so that a wrong configuration is read three times.
    """
    values = merged(VALUES / "collected-with-everything.yaml")
    rendered = kinds(render(values))
    job = rendered["Job/test-docker-registry-preflight"]
    assert job["spec"]["activeDeadlineSeconds"] == 90
    # Its own exit codes are final; a pod that never ran is tried again.
    assert job["spec"]["backoffLimit"] == 2
    (rule,) = job["spec"]["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["containerName"] == "preflight"
    ours = {each.exit_code for each in vars(errors).values() if hasattr(each, "exit_code")}
    assert set(rule["onExitCodes"]["values"]) == ours | {1}
    pod = job["spec"]["template"]["spec"]
    own = "test-docker-registry-preflight"
    assert pod["serviceAccountName"] == own
    assert f"ServiceAccount/{own}" in rendered
    (container,) = pod["containers"]
    used = {
        entry["valueFrom"]["secretKeyRef"]["name"]
        for entry in container["env"]
        if "valueFrom" in entry
    }
    assert used == {own}
    keys = {
        entry["valueFrom"]["secretKeyRef"]["key"]
        for entry in container["env"]
        if "valueFrom" in entry
    }
    assert keys <= rendered[f"Secret/{own}"]["data"].keys()
    assert pod["volumes"][0]["configMap"]["name"] == own
    # A copy that outlives a failed check, and then the release, must not hold what is secret.
    # Seen to fail: the values of secretData.
    assert {b64decode(value) for value in rendered[f"Secret/{own}"]["data"].values()} == {b"unused"}
    config = rendered[f"ConfigMap/{own}"]["data"]
    assert config == rendered["ConfigMap/test-docker-registry-config"]["data"]
    # A rule against pods of the registry would keep it from the node of the running one.
    assert pod["affinity"].keys() == {"nodeAffinity"}


def test_the_preflight_can_be_turned_off(render: Renderer) -> None:
    """Seen to fail: preflight.enabled not asked for."""
    rendered = render({"garbageCollect": {"enabled": True, "preflight": {"enabled": False}}})
    assert not [owner for owner in kinds(rendered) if "preflight" in owner]


def test_before_an_install_no_claim_is_mounted(render: Renderer) -> None:
    """The claim does not exist yet, and its pod would wait for it until the deadline.

    Seen to fail: the claim mounted whenever persistence is enabled.
    """
    for upgrade in (False, True):  # on an upgrade too where nothing can be looked up
        rendered = render(merged(VALUES / "collected.yaml"), upgrade=upgrade)
        job = kinds(rendered)["Job/test-docker-registry-preflight"]
        pod = job["spec"]["template"]["spec"]
        assert "persistentVolumeClaim" not in str(pod["volumes"])
        assert "--write-test" not in pod["containers"][0]["args"]


def test_the_pod_itself_tries_to_write(render: Renderer) -> None:
    """A registry is Ready on a volume that it cannot write to.

    Seen to fail: the container gc-write-test after gc, or only where nothing can be looked up.
    """
    for upgrade in (False, True):
        pod = registry_pod(render(ENABLED, upgrade=upgrade))
        names = [container["name"] for container in pod["spec"]["initContainers"]]
        assert names == ["gc-write-test", "gc"]
        args = containers(pod)["gc-write-test"]["args"]
        assert args == ["preflight", "/etc/distribution/config.yml", "--write-test"]


def test_the_cron_job_runs_once_and_ends(render: Renderer) -> None:
    """Seen to fail: no concurrencyPolicy, as at twuni (G6)."""
    rendered = kinds(render(ENABLED))
    spec = rendered["CronJob/test-docker-registry-garbage-collector"]["spec"]
    assert spec["schedule"] == "0 1 * * *"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["suspend"] is False
    assert spec["startingDeadlineSeconds"] == 3600
    job = spec["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    # After the hook's own timeout of six hours, which ends with a sentence.
    assert job["activeDeadlineSeconds"] > 6 * 3600


def test_the_cron_jobs_limits_are_the_users(render: Renderer) -> None:
    """0 is an answer. Seen to fail: `with` around successfulJobsHistoryLimit."""
    rendered = kinds(render(merged(VALUES / "collected-with-everything.yaml")))
    spec = rendered["CronJob/test-docker-registry-garbage-collector"]["spec"]
    assert spec["successfulJobsHistoryLimit"] == 0
    assert spec["failedJobsHistoryLimit"] == 1
    assert spec["timeZone"] == "Europe/Berlin"
    assert spec["startingDeadlineSeconds"] == 600
    assert spec["suspend"] is True
    job = spec["jobTemplate"]["spec"]
    assert (job["activeDeadlineSeconds"], job["ttlSecondsAfterFinished"]) == (7200, 0)


def test_with_a_period_the_cron_job_is_only_the_button(render: Renderer) -> None:
    """Seen to fail: `suspend: false` always, so that both collect."""
    name = "CronJob/test-docker-registry-garbage-collector"
    for period, suspended in (("6h", True), ("", False), ("0", False), (0, False), (3600, True)):
        rendered = kinds(render({"garbageCollect": {"enabled": True, "period": period}}))
        assert rendered[name]["spec"]["suspend"] is suspended, period


def test_only_scripts_may_talk_to_the_api(objects: list[Object], scenario: dict[str, Any]) -> None:
    """Unless the user wants a token in the registry's pod. What each may do: test_rights.py.

    Seen to fail: automountServiceAccountToken left out of the Deployment (W9).
    """
    asked = scenario.get("automountServiceAccountToken") is True
    for thing in objects:
        pod = pod_template(thing)
        if pod:
            registry = thing["kind"] in ("Deployment", "StatefulSet")
            commands = {container.get("args", [""])[0] for container in containers(pod).values()}
            script = bool(commands & {"certificates", "endpoint", "hook", "node-trust"})
            expected = script or (registry and asked)
            assert pod["spec"]["automountServiceAccountToken"] is expected, object_id(thing)


def test_the_hook_may_see_pods_and_nothing_else(render: Renderer) -> None:
    """Without Events, which need rights of their own (test_rights.py).

    Seen to fail: `secrets` among the resources; `watch` among the verbs.
    """
    rendered = kinds(render(merged(ENABLED, {"garbageCollect": {"hook": {"events": False}}})))
    rules = rendered["Role/test-docker-registry-gc"]["rules"]
    assert rules == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    (subject,) = rendered["RoleBinding/test-docker-registry-gc"]["subjects"]
    assert subject["name"] == "test-docker-registry-gc"
    assert not [owner for owner in rendered if owner.startswith("Cluster")]


def test_without_a_schedule_there_is_no_access_at_all(render: Renderer) -> None:
    """Seen to fail: rbac.yaml that asks for `enabled` alone."""
    rendered = kinds(render(merged(VALUES / "collected-without-api.yaml")))
    found = {owner.partition("/")[0] for owner in rendered}
    assert not {"CronJob", "Role", "RoleBinding", "ServiceAccount"} & found
    assert "gc" in containers(registry_pod(list(rendered.values())))


def test_the_hook_finds_the_registrys_pods(render: Renderer) -> None:
    """Seen to fail: GC_SELECTOR with the chart's name where nameOverride is set."""
    rendered = render({**ENABLED, "nameOverride": "images", "namespace": "elsewhere"})
    cron_job = next(thing for thing in rendered if thing["kind"] == "CronJob")
    pod = pod_template(cron_job)
    assert pod is not None
    (container,) = containers(pod).values()
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    selector = dict(part.split("=") for part in env["GC_SELECTOR"].split(","))
    assert selector.items() <= registry_pod(rendered)["metadata"]["labels"].items()
    assert env["GC_NAMESPACE"] == "elsewhere"
    assert env["GC_PORT"] == "5002"


def test_both_ends_read_one_token(render: Renderer) -> None:
    """Seen to fail: the hook with a Secret of its own."""
    rendered = render(ENABLED)
    cron_job = next(thing for thing in rendered if thing["kind"] == "CronJob")
    hook = pod_template(cron_job)
    assert hook is not None
    registry = registry_pod(rendered)
    for pod, name in ((hook, "docker-registry"), (registry, "gc")):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["gc-token"] == {
            "name": "gc-token",
            "secret": {"secretName": "test-docker-registry-gc"},
        }
        container = containers(pod)[name]
        (mount,) = (m for m in container["volumeMounts"] if m["name"] == "gc-token")
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert env["GC_TOKEN_FILE"] == f"{mount['mountPath']}/token"
    # The registry itself has no use for it.
    assert "gc-token" not in str(containers(registry)["docker-registry"])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "registry-gc:5.0.0"),
        (
            {"registry": "registry.example.com/tools"},
            "registry.example.com/tools/registry-gc:5.0.0",
        ),
        ({"tag": "abc", "repository": "my/gc"}, "my/gc:abc"),
        ({"digest": DIGEST}, f"registry-gc:5.0.0@{DIGEST}"),
    ],
)
def test_the_image_is_put_together(render: Renderer, image: dict[str, str], expected: str) -> None:
    """Seen to fail: appVersion, which is the registry's, as the tag."""
    rendered = render({"garbageCollect": {"enabled": True, "image": image}})
    assert containers(registry_pod(rendered))["gc"]["image"] == expected


def test_the_hooks_resources_are_where_twuni_has_them(render: Renderer) -> None:
    """Seen to fail: garbageCollect.resources on the sidecar, whose work needs far more."""
    resources = {"limits": {"memory": "64Mi"}}
    rendered = render({"garbageCollect": {"enabled": True, "resources": resources}})
    cron_job = next(thing for thing in rendered if thing["kind"] == "CronJob")
    hook = pod_template(cron_job)
    assert hook is not None
    assert hook["spec"]["containers"][0]["resources"] == resources
    assert containers(registry_pod(rendered))["gc"]["resources"] != resources


MEMORY = {"storage": {"cache": {"blobdescriptor": "inmemory"}}}


class TestReplicas:
    """They find each other in the store; the Service's name tells of pods without a collector."""

    def test_each_says_who_it_is_and_knows_where_the_others_are(self, render: Renderer) -> None:
        """Seen to fail: the name without its namespace; no publishNotReadyAddresses."""
        rendered = render({**ENABLED, "replicaCount": 2, "persistence": {"enabled": True}})
        environment = {e["name"]: e for e in containers(registry_pod(rendered))["gc"]["env"]}
        (service,) = (
            thing for thing in rendered if thing["metadata"]["name"].endswith("-gc-peers")
        )

        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        assert environment["GC_PEERS_HOST"]["value"] == f"{name}.{namespace}.svc"
        for variable, path in {"GC_POD_IP": "status.podIP", "GC_POD_NAME": "metadata.name"}.items():
            assert environment[variable]["valueFrom"] == {"fieldRef": {"fieldPath": path}}
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["publishNotReadyAddresses"] is True
        labels = registry_pod(rendered)["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()

    def test_in_an_emptydir_each_has_a_store_of_its_own(self, render: Renderer) -> None:
        """Then the others are no replicas, and must not be waited for."""
        rendered = render({**ENABLED, "replicaCount": 2})

        assert not [thing for thing in rendered if thing["metadata"]["name"].endswith("-gc-peers")]
        names = [e["name"] for e in containers(registry_pod(rendered))["gc"]["env"]]
        assert "GC_PEERS_HOST" not in names

    def test_they_may_cache_in_memory_or_in_redis(self, each_helm: Renderer) -> None:
        redis = {"storage": {"cache": {"blobdescriptor": "redis"}}}
        for config in (MEMORY, redis):
            assert each_helm({**ENABLED, "replicaCount": 2, "configData": config})
            assert each_helm({**ENABLED, "autoscaling": {"enabled": True}, "configData": config})
