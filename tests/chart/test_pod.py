"""What people put into the registry's pod: images, probes, containers, environment, placement."""

from typing import Any

import pytest

from helm_chart_test import containers, object_id, pod_template, problems
from helm_chart_test.fixtures import Renderer
from support.workload import env_of, registry_of, spec_of, workload

GC = {"garbageCollect": {"enabled": True}}
DIGEST = f"sha256:{'ab' * 32}"
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        ({}, None),
        ({"tlsSecretName": "tls"}, "HTTPS"),
        ({"tls": {"crt": "c", "key": "k"}}, "HTTPS"),
        ({"configData": {"http": {"tls": {"certificate": "/mine/tls.crt"}}}}, "HTTPS"),
    ],
)
def test_probes_speak_the_registrys_protocol(
    render: Renderer, values: dict[str, Any], scheme: str | None
) -> None:
    """Seen to fail: no scheme with a certificate in configData: the pod is never ready."""
    container = registry_of(render(values))
    assert [container[probe]["httpGet"].get("scheme") for probe in PROBES] == [scheme] * 3


def test_probes_ask_where_the_registry_listens(render: Renderer) -> None:
    """Seen to fail: port 5000 whatever the configuration says (W4)."""
    rendered = render({"configData": {"http": {"addr": "[::]:5443"}}})
    ports = [registry_of(rendered)[probe]["httpGet"]["port"] for probe in PROBES]
    assert ports == [5443] * 3
    assert registry_of(rendered)["ports"] == [{"containerPort": 5443}]


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_is_the_users_as_far_as_they_say(render: Renderer, probe: str) -> None:
    """Timings go to our request; another handler is the whole probe; `enabled: false` is none.

    Seen to fail: `httpGet` beside the user's `tcpSocket`, which the cluster refuses; 0 lost.
    """
    ours = registry_of(render({}))[probe]
    timed = registry_of(render({probe: {"periodSeconds": 77, "initialDelaySeconds": 0}}))[probe]
    assert timed == {**ours, "periodSeconds": 77, "initialDelaySeconds": 0}
    handled = {"tcpSocket": {"port": 5000}, "timeoutSeconds": 9}
    assert registry_of(render({probe: {**handled, "enabled": True}}))[probe] == handled
    without = registry_of(render({probe: {"enabled": False}}))
    assert [name for name in PROBES if name in without] == [n for n in PROBES if n != probe]


def test_a_slow_start_is_no_failure(render: Renderer) -> None:
    """Seen to fail: no startupProbe (W4): a busy disk, and the kubelet restarts it for ever."""
    probe = registry_of(render({}))["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 120


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"preStop": {"exec": {"command": ["sleep", "5"]}}}),
        ({"preStopDelay": "1m"}, {"preStop": {"exec": {"command": ["sleep", "60"]}}}),
        ({"preStopDelay": "0"}, None),
        ({"preStopDelay": 0}, None),
        (
            {"lifecycle": {"preStop": {"sleep": {"seconds": 3}}}},
            {"preStop": {"sleep": {"seconds": 3}}},
        ),
    ],
)
def test_a_pod_that_is_to_end_serves_on_for_a_moment(
    render: Renderer, values: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    """Until every node knows; else a push that is sent there meanwhile is refused (W5).

    Seen to fail: no preStop; the user's `lifecycle` merged into ours.
    """
    assert registry_of(render(values)).get("lifecycle") == expected


def test_replicas_spread_by_their_own_labels(render: Renderer) -> None:
    """A constraint without a selector counts no pod at all. risadams' default is a map: none.

    Seen to fail: constraints as they are given; a selector of the user's replaced.
    """
    other = {"matchLabels": {"tier": "x"}}
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    rendered = render({"topologySpreadConstraints": [spread, {**spread, "labelSelector": other}]})
    first, second = spec_of(rendered)["topologySpreadConstraints"]
    labels = workload(rendered)["spec"]["template"]["metadata"]["labels"]
    assert first["labelSelector"]["matchLabels"].items() <= labels.items()
    assert second["labelSelector"] == other
    assert "topologySpreadConstraints" not in spec_of(render({"topologySpreadConstraints": {}}))


def test_containers_stand_beside_the_registry(render: Renderer) -> None:
    """Seen to fail: the user's container first, which `kubectl logs` and `exec` then take."""
    more = {"name": "logs", "image": "busybox:{{ .Chart.Version }}"}
    rendered = render({"extraContainers": [more], "initContainers": [{**more, "name": "first"}]})
    names = [container["name"] for container in spec_of(rendered)["containers"]]
    assert names == ["docker-registry", "logs"]
    assert spec_of(rendered)["containers"][1]["image"].startswith("busybox:5.")
    assert spec_of(rendered)["initContainers"][0]["image"].startswith("busybox:5.")


def test_whole_secrets_are_environment_of_all_that_read_the_configuration(
    render: Renderer,
) -> None:
    """Seen to fail: `envFrom` in the registry's container alone; the collector reads another."""
    sources = [{"secretRef": {"name": "{{ .Release.Name }}-env"}}, {"configMapRef": {"name": "m"}}]
    rendered = render({"envFrom": sources, **GC})
    pod = containers(workload(rendered)["spec"]["template"])
    expected = [{"secretRef": {"name": "test-env"}}, {"configMapRef": {"name": "m"}}]
    for name in ("docker-registry", "gc", "gc-write-test"):
        assert pod[name]["envFrom"] == expected, name
    (job,) = [pod_template(thing) for thing in rendered if thing["kind"] == "Job"]
    assert job is not None
    before = job["spec"]["containers"][0]["envFrom"]
    assert [next(iter(source.values()))["optional"] for source in before] == [True, True]


def test_a_name_is_there_once_and_the_last_one_counts(render: Renderer) -> None:
    """Seen to fail: two of one name, which server-side apply refuses (S7)."""
    extra = [
        {"name": "REGISTRY_HTTP_SECRET", "value": "first"},
        {"name": "REGISTRY_HTTP_SECRET", "value": "{{ .Release.Name }}"},
        {"name": "REGISTRY_LOG_LEVEL", "value": "debug"},
    ]
    rendered = render({"extraEnvVars": extra, **GC})
    assert env_of(rendered)["REGISTRY_HTTP_SECRET"] == "test"
    for container in containers(workload(rendered)["spec"]["template"]).values():
        names = [entry["name"] for entry in container["env"]]
        assert len(names) == len(set(names))


def test_a_variable_is_a_text(render: Renderer) -> None:
    """The cluster refuses a number. Seen to fail: extraEnvVars as they are given."""
    extra = [{"name": "SIZE", "value": 1000000}, {"name": "ON", "value": False}]
    env = env_of(render({"extraEnvVars": extra}))
    assert (env["SIZE"], env["ON"]) == ("1000000", "false")


def test_open_braces_are_no_template(render: Renderer) -> None:
    """Seen to fail: `tpl` for whatever has two braces and the word .Release."""
    annotations = {"of": "{{ .Release.Name", "is": "{{ .Release.Name }} {{"}
    rendered = render({"podAnnotations": annotations})
    found = workload(rendered)["spec"]["template"]["metadata"]["annotations"]
    assert {name: found[name] for name in annotations} == annotations


def test_who_says_where_traces_go_gets_traces(render: Renderer) -> None:
    """Seen to fail: OTEL_TRACES_EXPORTER=none beside the address of a collector (W8)."""
    address = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4318"}
    assert "OTEL_TRACES_EXPORTER" not in env_of(render({"extraEnvVars": [address]}))
    assert env_of(render({}))["OTEL_TRACES_EXPORTER"] == "none"


def test_texts_about_the_release_are_filled_in_and_no_others(render: Renderer) -> None:
    """Vault's annotations are templates too, of somebody else.

    Seen to fail: `tpl (toYaml .Values.podAnnotations) .`: function "secret" not defined.
    """
    vault = '{{- with secret "kv/images" }}{{ .Data.password }}{{ end }}'
    annotations = {
        "vault.hashicorp.com/agent-inject-template-x": vault,
        "of": "{{ .Release.Name }}",
    }
    affinity = {"nodeAffinity": {"x": [{"of": "{{ .Release.Name }}", "weight": 1000000}]}}
    values = {
        "podAnnotations": annotations,
        "affinity": affinity,
        "nodeSelector": {"pool": '{{ include "docker-registry.fullname" . }}'},
        "extraVolumes": [{"name": "v", "secret": {"secretName": "{{ .Release.Name }}-v"}}],
        "extraVolumeMounts": [{"name": "v", "mountPath": "/{{ .Chart.Name }}"}],
    }
    rendered = render(values)
    found = workload(rendered)["spec"]["template"]["metadata"]["annotations"]
    assert {name: found[name] for name in annotations} == {**annotations, "of": "test"}
    spec = spec_of(rendered)
    assert spec["affinity"] == {"nodeAffinity": {"x": [{"of": "test", "weight": 1000000}]}}
    assert spec["nodeSelector"] == {"pool": "test-docker-registry"}
    assert spec["volumes"][-1]["secret"]["secretName"] == "test-v"
    assert registry_of(rendered)["volumeMounts"][-1]["mountPath"] == "/docker-registry"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "registry:3.1.1"),
        ({"image": {"registry": "r.example.com/hub/"}}, "r.example.com/hub/registry:3.1.1"),
        ({"image": {"digest": DIGEST, "tag": 3}}, f"registry:3@{DIGEST}"),
        ({"global": {"imageRegistry": "mirror:5000"}}, "mirror:5000/registry:3.1.1"),
        (
            {"global": {"imageRegistry": "mirror"}, "image": {"registry": "docker.io"}},
            "mirror/registry:3.1.1",
        ),
        (
            {"global": {"imageRegistry": "mirror"}, "image": {"repository": "ghcr.io/d/registry"}},
            "ghcr.io/d/registry:3.1.1",
        ),
        (
            {"global": {"imageRegistry": "mirror"}, "image": {"repository": "localhost/registry"}},
            "localhost/registry:3.1.1",
        ),
        (
            {"image": {"registry": "mirror", "repository": "distribution/registry"}},
            "mirror/distribution/registry:3.1.1",
        ),
    ],
)
def test_the_image_is_put_together(render: Renderer, values: dict[str, Any], expected: str) -> None:
    """Seen to fail: the global registry before a repository that names its own host."""
    assert registry_of(render(values))["image"] == expected


def test_the_collectors_image_follows_the_global_registry(render: Renderer) -> None:
    """Seen to fail: `garbageCollect.image.registry` before `global.imageRegistry`."""
    values = {"enabled": True, "image": {"registry": "mine", "digest": DIGEST}}
    rendered = render({"garbageCollect": values, "global": {"imageRegistry": "mirror"}})
    image = containers(workload(rendered)["spec"]["template"])["gc"]["image"]
    assert image.startswith("mirror/registry-gc:")
    assert image.endswith(f"@{DIGEST}")


def test_every_pod_pulls_with_the_same_secrets(render: Renderer) -> None:
    """Names alone, as a parent chart may give them, and each once.

    Seen to fail: `.Values.imagePullSecrets` in one of the pods.
    """
    values = {
        "imagePullSecrets": [{"name": "one"}, {"name": "{{ .Release.Name }}"}],
        "global": {"imagePullSecrets": ["two", {"name": "one"}]},
    }
    rendered = render({**values, **GC})
    pods = {object_id(thing): pod for thing in rendered if (pod := pod_template(thing))}
    assert len(pods) >= 3
    for owner, pod in pods.items():
        names = [each["name"] for each in pod["spec"]["imagePullSecrets"]]
        assert names == ["one", "test", "two"], owner


def test_tokens_and_service_links_only_for_who_asks(render: Renderer) -> None:
    """Seen to fail: `false` written into the template (W7, W9)."""
    rendered = render({"automountServiceAccountToken": True, "enableServiceLinks": True})
    spec = spec_of(rendered)
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (True, True)
    account = {"create": True, "automountServiceAccountToken": True, "labels": {"team": "a"}}
    (found,) = [
        thing for thing in render({"serviceAccount": account}) if thing["kind"] == "ServiceAccount"
    ]
    assert found["automountServiceAccountToken"] is True
    assert found["metadata"]["labels"]["team"] == "a"


def test_the_rest_of_a_pod_is_the_users(render: Renderer) -> None:
    """Seen to fail: any of them left out; `spec` that the API refuses."""
    fields: dict[str, Any] = {
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["minio"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.2"]},
        "runtimeClassName": "gvisor",
        "schedulerName": "mine",
        "priorityClassName": "high",
    }
    rendered = render({**fields, "deployment": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
    spec = spec_of(rendered)
    assert {name: spec.get(name) for name in fields} == fields
    assert problems(rendered, kube_version="1.29") == []
    metadata = workload(rendered)["metadata"]
    assert metadata["labels"]["a"] == "b"
    assert metadata["annotations"] == {"c": "d"}
    assert "a" not in workload(rendered)["spec"]["template"]["metadata"]["labels"]


def test_more_metrics_scale_it(render: Renderer) -> None:
    """Seen to fail: `autoscaling.metrics` in place of the targets, or ignored."""
    metric = {
        "type": "Pods",
        "pods": {
            "metric": {"name": "requests"},
            "target": {"type": "AverageValue", "averageValue": "10"},
        },
    }
    values = {"enabled": True, "targetMemoryUtilizationPercentage": None, "metrics": [metric]}
    (scaler,) = [
        thing
        for thing in render({"autoscaling": values})
        if thing["kind"] == "HorizontalPodAutoscaler"
    ]
    cpu, more = scaler["spec"]["metrics"]
    assert cpu["resource"]["name"] == "cpu"
    assert more == metric


@pytest.mark.parametrize("budget", [{"minAvailable": 0}, {"maxUnavailable": "50%"}])
def test_a_budget_is_what_people_write(render: Renderer, budget: dict[str, Any]) -> None:
    """0 is an answer. Seen to fail: `with .minAvailable`; another selector than the pods'."""
    expected = {**budget, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    rendered = render({"podDisruptionBudget": expected})
    (found,) = [thing for thing in rendered if thing["kind"] == "PodDisruptionBudget"]
    selector = workload(rendered)["spec"]["selector"]
    assert found["spec"] == {**expected, "selector": selector}
