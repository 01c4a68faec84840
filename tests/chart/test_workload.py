"""The registry's pod: how it is replaced, how it ends, as whom it runs, where its store is."""

from typing import Any

import pytest

from helm_chart_test import Object, containers, object_id, pod_template, restricted_problems
from helm_chart_test.fixtures import Renderer
from support.workload import env_of, spec_of, workload

S3 = {"bucket": "images", "region": "eu-central-1"}
ONE_NODE = {"persistence": {"enabled": True}}
SHARED = {"persistence": {"enabled": True, "accessMode": "ReadWriteMany"}}
FOLDER = {"persistence": {"hostPath": {"path": "/srv/registry"}}}
BEFORE_THE_NEXT = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (ONE_NODE, BEFORE_THE_NEXT),
        (FOLDER, BEFORE_THE_NEXT),
        ({"persistence": {"existingClaim": "x"}}, BEFORE_THE_NEXT),
        (SHARED, None),
        ({"storage": "s3", "s3": S3, **ONE_NODE}, None),
        ({}, None),
    ],
)
def test_a_volume_of_one_node_is_not_given_to_two_pods(
    render: Renderer, values: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    """Seen to fail: no strategy, as at twuni (W1): the new pod waits for the volume for ever."""
    assert workload(render(values))["spec"].get("strategy") == expected


def test_recreate_takes_the_rolling_update_away(render: Renderer) -> None:
    """Server-side apply refuses `Recreate` beside what the cluster once filled in.

    Seen to fail: updateStrategy written as it is.
    """
    strategy = workload(render({"updateStrategy": {"type": "Recreate"}}))["spec"]["strategy"]
    assert strategy == {"type": "Recreate", "rollingUpdate": None}


def test_an_autoscaler_has_the_number_of_replicas_to_itself(render: Renderer) -> None:
    """Seen to fail: `replicas` under an autoscaler: a conflict with Helm 4 (W2)."""
    rendered = render({"autoscaling": {"enabled": True}, "replicaCount": 3})
    assert "replicas" not in workload(rendered)["spec"]
    assert workload(render({"replicaCount": 0}))["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({}, 5 + 10 + 30),
        ({"garbageCollect": {"enabled": True}}, 5 + 10 + 100),
        ({"configData": {"http": {"draintimeout": "2m"}}}, 5 + 120 + 30),
        ({"configData": {"http": {"draintimeout": "1m30s"}}, "preStopDelay": "0"}, 90 + 30),
        ({"configSecret": {"http": {"draintimeout": "20s"}}}, 5 + 20 + 30),
        ({"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}}, 5 + 10 + 30),
        ({"preStopDelay": 20}, 20 + 10 + 30),
        ({"terminationGracePeriodSeconds": 300}, 300),
    ],
)
def test_the_pod_is_killed_after_its_drain(
    render: Renderer, values: dict[str, Any], seconds: int
) -> None:
    """Seen to fail: no terminationGracePeriodSeconds, which is 30 whatever the drain (W5)."""
    assert spec_of(render(values))["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize(("seconds", "left"), [("", "90s"), (300, "275s"), (60, "35s"), (20, "1s")])
def test_the_collector_ends_before_it_is_killed(
    render: Renderer, seconds: object, left: str
) -> None:
    """It puts back what it took; killed in the middle, the next start has to.

    Seen to fail: GC_STOP_TIMEOUT left out, which is 90 s whatever the pod has.
    """
    rendered = render(
        {"terminationGracePeriodSeconds": seconds, "garbageCollect": {"enabled": True}}
    )
    collector = containers(workload(rendered)["spec"]["template"])["gc"]
    env = {entry["name"]: entry.get("value") for entry in collector["env"]}
    assert env["GC_STOP_TIMEOUT"] == left


def test_a_configuration_without_a_drain_gets_one(render: Renderer) -> None:
    """A registry that ends at once cuts pushes, and leaves empty links on 2.8 and 3.0.

    Seen to fail: the default in values.yaml alone, which `--reuse-values` does not bring.
    """
    assert env_of(render({"configData": {"http": {"draintimeout": None}}}))[
        "REGISTRY_HTTP_DRAINTIMEOUT"
    ]
    assert "REGISTRY_HTTP_DRAINTIMEOUT" not in env_of(render({}))


def test_the_environment_is_nobody_elses(render: Renderer) -> None:
    """Seen to fail: enableServiceLinks left out (W7); no OTEL_TRACES_EXPORTER (W8)."""
    rendered = render({})
    assert spec_of(rendered)["enableServiceLinks"] is False
    assert env_of(rendered)["OTEL_TRACES_EXPORTER"] == "none"


def test_a_users_variable_replaces_the_charts(render: Renderer) -> None:
    """Seen to fail: extraEnvVars appended, so that a name is there twice (S7)."""
    extra = [
        {"name": "OTEL_TRACES_EXPORTER", "value": "otlp"},
        {"name": "REGISTRY_HTTP_SECRET", "value": "mine"},
    ]
    env = env_of(render({"extraEnvVars": extra, "garbageCollect": {"enabled": True}}))
    assert env["OTEL_TRACES_EXPORTER"] == "otlp"
    assert env["REGISTRY_HTTP_SECRET"] == "mine"


def test_deleting_is_allowed_by_name(render: Renderer) -> None:
    """Seen to fail: the variable left out."""
    rendered = render({"persistence": {"deleteEnabled": True}})
    assert env_of(rendered)["REGISTRY_STORAGE_DELETE_ENABLED"] == "true"
    assert "REGISTRY_STORAGE_DELETE_ENABLED" not in env_of(render({}))


def test_every_pod_is_restricted(objects: list[Object], scenario: dict[str, Any]) -> None:
    """A folder of the node needs one container that is not, and root is the user's own choice.

    Seen to fail: no securityContext in the hook's container; a writable root in gc.
    """
    host_path = (scenario.get("persistence") or {}).get("hostPath", {}).get("path")
    own = [f"volume {each['name']} is a hostPath" for each in scenario.get("extraVolumes") or ()]
    as_root = scenario.get("containerSecurityContext", {}).get("runAsUser") == 0
    pods = {
        object_id(thing): pod
        for thing in objects
        # A node's folder and its owner are what that one is for: test_node_trust.py.
        if thing["kind"] != "DaemonSet" and (pod := pod_template(thing))
    }
    assert pods
    for owner, pod in pods.items():
        found = [each for each in restricted_problems(pod) if not each.startswith(tuple(own))]
        if host_path:
            found = [
                problem
                for problem in found
                if not problem.startswith(("container folder-owner:", "volume data is a hostPath"))
            ]
        if as_root:
            found = [p for p in found if "runAsUser is 0" not in p and "runAsNonRoot" not in p]
        assert found == [], owner
        for name, container in containers(pod).items():
            if name != "first":  # the user's own
                assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_volume_is_not_walked_at_each_start(render: Renderer) -> None:
    """Seen to fail: Always (W6). What the user says counts."""
    for given, expected in (({}, "OnRootMismatch"), ({"fsGroupChangePolicy": "Always"}, "Always")):
        rendered = render({"securityContext": given})
        assert spec_of(rendered)["securityContext"]["fsGroupChangePolicy"] == expected


def test_a_removed_user_stays_removed(render: Renderer) -> None:
    """OpenShift chooses the user; a default that comes back would be refused.

    Seen to fail: securityContext filled in key by key from the defaults.
    """
    rendered = render(
        {"securityContext": {"runAsUser": None}, "containerSecurityContext": {"runAsUser": None}}
    )
    spec = spec_of(rendered)
    assert "runAsUser" not in spec["securityContext"]
    assert "runAsUser" not in spec["containers"][0]["securityContext"]


def test_a_folder_of_the_node_gets_its_owner(render: Renderer) -> None:
    """The kubelet makes it for root, and then every push fails while the pod is Ready.

    Seen to fail: no init container; `chown -R`; the capability FOWNER in place of CHOWN.
    """
    rendered = render({**FOLDER, "garbageCollect": {"enabled": True}})
    spec = spec_of(rendered)
    first = spec["initContainers"][0]
    assert first["name"] == "folder-owner"
    assert first["image"] == spec["containers"][0]["image"]
    assert first["securityContext"]["capabilities"] == {"add": ["CHOWN"], "drop": ["ALL"]}
    assert first["securityContext"]["runAsUser"] == 0
    assert '= 1000:1000 ] || chown 1000:1000 "$folder"' in first["command"][-1]
    (volume,) = (volume for volume in spec["volumes"] if volume["name"] == "data")
    assert volume["hostPath"] == {"path": "/srv/registry", "type": "DirectoryOrCreate"}
    assert not [thing for thing in rendered if thing["kind"] == "PersistentVolumeClaim"]


@pytest.mark.parametrize(
    ("values", "owner"),
    [
        ({"containerSecurityContext": {"runAsUser": 7, "runAsGroup": 8}}, "7:8"),
        (
            {"containerSecurityContext": {"enabled": False}, "securityContext": {"fsGroup": 9}},
            "1000:9",
        ),
        ({"containerSecurityContext": {"runAsUser": 0, "runAsNonRoot": False}}, None),
    ],
)
def test_the_folders_owner_is_who_the_registry_runs_as(
    render: Renderer, values: dict[str, Any], owner: str | None
) -> None:
    """Seen to fail: 1000:1000 written into the script."""
    names = containers(workload(render({**FOLDER, **values}))["spec"]["template"])
    assert ("folder-owner" in names) == (owner is not None)
    if owner:
        assert f"chown {owner} " in names["folder-owner"]["command"][-1]
