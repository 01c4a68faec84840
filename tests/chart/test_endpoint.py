"""The RegistryEndpoint's Jobs: when they are there, what runs in them, how Helm waits for them."""

from typing import Any

import pytest

from helm_chart_test import (
    Object,
    containers,
    definitions,
    object_id,
    pod_template,
    restricted_problems,
    style_problems,
)
from helm_chart_test.fixtures import Renderer
from registry_gc.addresses import Address
from registry_gc.endpoint_object import Observed, applied, size, spec_of, status_of
from registry_gc.errors import ConfigurationError, GuardError, RegistryDownError
from registry_gc.exposure import NodeHost, Outside, Wanted
from registry_gc.health import Health
from registry_gc.ownership import Owner
from support.chart import CHART, KUBE_VERSIONS, problems
from support.rendered import environment, every, one, pod_of

ON: dict[str, Any] = {"endpoint": {"enabled": True}}
COLLECTED: dict[str, Any] = {"garbageCollect": {"enabled": True}}
NAME = "test-docker-registry-endpoint"


def jobs(objects: list[Object]) -> dict[str, Object]:
    """Return the CronJob and the Jobs of the script, by the end of their names; maybe none."""
    found = {
        thing["metadata"]["name"].partition(NAME)[2]: thing
        for thing in objects
        if thing["kind"] in ("CronJob", "Job") and thing["metadata"]["name"].startswith(NAME)
    }
    return {name.removeprefix("-") or "schedule": thing for name, thing in found.items()}


def container_of(thing: Object) -> Object:
    pod = pod_template(thing)
    assert pod is not None
    (container,) = containers(pod).values()
    return container


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({}, False),
        (COLLECTED, False),
        (ON, True),
        ({"tls": {"mode": "selfSigned"}}, True),
        ({"garbageCollect": {"enabled": True, "readOnly": True}}, True),
        ({"tlsSecretName": "mine"}, False),
        ({"tlsSecretName": "mine", "tls": {"restartOnRenewal": True}}, True),
        ({"tlsSecretName": "mine", **COLLECTED}, True),
        ({"tlsSecretName": "mine", **COLLECTED, "tls": {"restartOnRenewal": False}}, False),
    ],
)
def test_it_is_there_for_what_must_be_looked_after(
    render: Renderer, values: dict[str, Any], there: bool
) -> None:
    """Who comes with a Secret of a peer's and nothing else gets no Job and no other image.

    Seen to fail: the mode asked for in place of the mode in force; `endpoint.enabled` alone.
    """
    found = jobs(render(values))
    assert sorted(found) == (["now", "remove", "schedule"] if there else [])


def test_each_runs_its_command(render: Renderer) -> None:
    """Seen to fail: the Job after an install that waits as long as a scheduled run may."""
    commands = {name: container_of(thing)["args"] for name, thing in jobs(render(ON)).items()}
    assert commands == {
        "schedule": ["endpoint"],
        "now": ["endpoint", "--now"],
        "remove": ["endpoint", "--remove"],
    }


def test_helm_waits_for_no_job_longer_than_it_waits_itself(render: Renderer) -> None:
    """Helm gives up after five minutes, and then says nothing of why.

    Seen to fail: the CronJob's 30 minutes for all.
    """
    trusting = {**ON, "nodeTrust": {"enabled": True}, "service": {"type": "NodePort"}}
    for values in (ON, trusting):
        found = jobs(render(values))
        limits = {name: found[name]["spec"]["activeDeadlineSeconds"] for name in ("now", "remove")}
        assert max(limits.values()) < 300
        assert limits["remove"] == (270 if values is trusting else 150)
    longer = {**trusting, "nodeTrust": {"enabled": True, "removeTimeout": "10m"}}
    assert jobs(render(longer))["remove"]["spec"]["activeDeadlineSeconds"] == 750


def test_what_the_script_says_is_an_answer_and_a_pod_that_did_not_run_is_none(
    render: Renderer,
) -> None:
    """A node's hiccup must not fail an install; a removal that failed must not look done.

    Seen to fail: backoffLimit 0, with a StartError of runc on a busy node; no podFailurePolicy.
    """
    for name in ("now", "remove"):
        spec = jobs(render(ON))[name]["spec"]
        (rule,) = spec["podFailurePolicy"]["rules"]
        assert spec["backoffLimit"] == 2
        assert (rule["action"], rule["onExitCodes"]["operator"]) == ("FailJob", "In")
        codes = {each.exit_code for each in (ConfigurationError, GuardError, RegistryDownError)}
        assert codes <= set(rule["onExitCodes"]["values"])
        assert spec["template"]["spec"]["containers"][0]["name"] == "endpoint"


def test_the_jobs_are_hooks_and_what_they_need_is_there_before(render: Renderer) -> None:
    """Who removes has rights for that time alone, and also where an install has failed.

    Seen to fail: no post-rollback; the account that removes made with the release.
    """
    objects = render({"endpoint": {"enabled": True, "hosting": True}})
    hooks: dict[str, set[str]] = {}
    for thing in objects:
        notes = thing["metadata"].get("annotations") or {}
        if "-endpoint" in thing["metadata"]["name"] and "helm.sh/hook" in notes:
            hooks.setdefault(notes["helm.sh/hook"], set()).add(object_id(thing))
            assert notes["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert hooks == {
        "post-install,post-upgrade,post-rollback": {f"Job/{NAME}-now"},
        "pre-delete": {
            f"Job/{NAME}-remove",
            f"ServiceAccount/{NAME}-remove",
            *(f"{kind}/{NAME}-remove" for kind in ("Role", "RoleBinding")),
            *(f"{kind}/test-ns-{NAME}-remove" for kind in ("Role", "RoleBinding")),
        },
    }
    weights = {
        thing["kind"]: int(thing["metadata"]["annotations"]["helm.sh/hook-weight"])
        for thing in objects
        if thing["metadata"]["name"] == f"{NAME}-remove"
    }
    assert weights.pop("Job") > max(weights.values())


def test_the_schedule_is_a_schedule(render: Renderer) -> None:
    """Runs never meet, are not made up for, and are not tried again before the next.

    Seen to fail: no startingDeadlineSeconds, with which a CronJob that missed 100 runs, which are
    eight hours here, starts no more.
    """
    spec = jobs(render(ON))["schedule"]["spec"]
    assert spec["schedule"] == "*/5 * * * *"
    assert (spec["concurrencyPolicy"], spec["startingDeadlineSeconds"]) == ("Forbid", 300)
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 1800


@pytest.mark.parametrize("kube_version", KUBE_VERSIONS)
def test_its_pods_fit_a_restricted_namespace(render: Renderer, kube_version: str) -> None:
    """Seen to fail: no readOnlyRootFilesystem; links of Services in the environment."""
    pods = {
        name: pod
        for name, thing in jobs(render({**ON, **COLLECTED}, kube_version=kube_version)).items()
        if (pod := pod_template(thing))
    }
    assert len(pods) == 3
    for name, pod in pods.items():
        assert restricted_problems(pod) == [], name
        assert pod["spec"]["enableServiceLinks"] is False
        (container,) = containers(pod).values()
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        # Only who talks to the collector has what lets it in.
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == ({"tmp"} if name == "remove" else {"tmp", "gc-token"})


def test_no_sidecar_no_token(render: Renderer) -> None:
    """Seen to fail: a volume of a Secret that nobody made, for which the pod waits for ever."""
    found = jobs(render(ON))
    assert found.keys() == {"schedule", "now", "remove"}
    for thing in found.values():
        container = container_of(thing)
        assert "GC_TOKEN_FILE" not in environment(container)
        assert [mount["name"] for mount in container["volumeMounts"]] == ["tmp"]


def test_its_pods_are_where_the_values_want_them(render: Renderer) -> None:
    """Seen to fail: the registry's tolerations in place of the script's own."""
    own = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    }
    asked = jobs(render({"endpoint": {"enabled": True, **own}}))
    followed = jobs(render({**ON, "nodeSelector": {"disk": "hdd"}}))
    assert asked.keys() == followed.keys() == {"schedule", "now", "remove"}
    for thing in asked.values():
        assert own.items() <= pod_of(thing)["spec"].items()
    for thing in followed.values():
        assert pod_of(thing)["spec"]["nodeSelector"] == {"disk": "hdd"}


def test_a_variable_of_the_users_counts_instead(render: Renderer) -> None:
    """Given twice, server-side apply refuses it. Seen to fail: both."""
    extra = [{"name": "GC_SERVICE", "value": "other"}, {"name": "HTTPS_PROXY", "value": "p"}]
    found = jobs(render({"endpoint": {"enabled": True, "extraEnvVars": extra}}))
    assert len(found) == 3
    for thing in found.values():
        env = environment(container_of(thing))
        assert (env["GC_SERVICE"], env["HTTPS_PROXY"]) == ("other", "p")


def test_the_network_lets_it_in(render: Renderer) -> None:
    """It asks whether the registry answers, and what the collector did last.

    Seen to fail: no rule for it where `allowExternal` is false; the collector's port without it.
    """
    policy = {"networkPolicy": {"enabled": True, "allowExternal": False}, **COLLECTED}
    for values, expected in (({**policy, **ON}, {5000, 5002}), (policy, set())):
        ports = {
            rule["ports"][0]["port"]
            for rule in one(render(values), "NetworkPolicy")["spec"]["ingress"]
            for peer in rule.get("from", ())
            if peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component")
            == "endpoint"
        }
        assert ports == expected


def test_names_survive_the_cut(render: Renderer) -> None:
    """Two releases whose names begin alike have different CronJobs.

    Seen to fail: a name that is only cut.
    """
    names = set()
    for end in ("a", "b"):
        objects = render(ON, release="r" * 52 + end)
        (cron_job,) = every(objects, "CronJob")
        names.add(cron_job["metadata"]["name"])
        assert all(len(job["metadata"]["name"]) <= 63 for job in every(objects, "Job"))
    assert len(names) == 2
    assert all(name.endswith("-endpoint") and len(name) <= 52 for name in names)


def test_the_image_is_tried_first(render: Renderer) -> None:
    """A pod whose image cannot be pulled fails the install when the registry is long there.

    Object storage is nothing that the collector can read: there the image alone is run.
    Seen to fail: no Job `preflight` without a collector; one that reads the configuration of S3.
    """
    s3 = {"storage": "s3", "s3": {"bucket": "b", "region": "eu"}}
    for values in (ON, {**ON, **s3}):
        (container,) = (
            container_of(job)
            for job in every(render(values), "Job")
            if job["metadata"]["name"].endswith("-preflight")
        )
        assert container["args"] == ["--version"]
    collecting = one(render({**ON, **COLLECTED}), "Job", "test-docker-registry-preflight")
    assert container_of(collecting)["args"][0] == "preflight"


# --- where it cannot be, or not as it is written ------------------------------------------------


def test_where_its_definition_is_missing_the_way_out_is_said(each_helm: Renderer) -> None:
    """Helm installs what is in `crds/` on `helm install` alone.

    Seen to fail: no look at what the cluster serves, so that the script fails every few minutes.
    """
    error = each_helm.error(ON, api_versions=())
    assert "endpoint.enabled is true, but the cluster does not know RegistryEndpoints" in error
    # As Helm's own, or Helm 4 refuses every later install of any release: it applies `crds/` too.
    command = "kubectl apply --server-side --force-conflicts --field-manager=helm -f"
    assert f"{command} crds/registryendpoints.yaml" in error
    assert "--api-versions docker-registry.dev/v1alpha1" in error


def test_who_wants_none_needs_no_definition(render: Renderer, scenario: dict[str, Any]) -> None:
    """Seen to fail: a refusal that does not ask whether it is turned on."""
    if (scenario.get("endpoint") or {}).get("enabled"):
        pytest.skip("this scenario wants one")  # its definition is then what it needs
    # A Certificate needs its own, which is another matter.
    assert render(scenario, api_versions=("cert-manager.io/v1",))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"schedule": ""}, ('endpoint.schedule: "" is not a schedule', "endpoint.suspend: true")),
        ({"schedule": "every 5 minutes"}, ("endpoint.schedule",)),
        ({"timeout": "5"}, ('endpoint.timeout: "5" is not a duration',)),
        ({"timeout": "0s"}, ("endpoint.timeout is 0s", "30m")),
        (
            {"addresses": ["https://registry.example.com/images"]},
            ("endpoint.addresses[0]", "neither a scheme nor a path", "Write registry.example.com;"),
        ),
        ({"addresses": ["a.example.com/b"]}, ("has no path", "Write a.example.com.")),
        ({"addresses": ["a:1"] * 17}, ("endpoint.addresses has 17 addresses", "16")),
        ({"caSecret": "Edge"}, ('endpoint.caSecret: "Edge" is not a name',)),
    ],
)
def test_what_cannot_work_is_said(
    render: Renderer, values: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Seen to fail: each sentence left out."""
    error = render.error({"endpoint": {"enabled": True, **values}})
    for each in words:
        assert each in error


@pytest.mark.parametrize(
    "text",
    [
        "registry.example.com", "registry.example.com:443", "Registry.Example.com:5000", "registry",
        "10.0.0.5", "10.0.0.5:30500", "[fd00::5]:30500", "[fd00::5]", "fd00::5", "localhost:5000",
        "a.b/c", "https://a.b", "http://", "a..b", "-a.b", "a-.b", "a_b", "*.a.b", "10.0.0.256",
        "10.0.0", "a:0", "a:65535", "a:65536", "a:99999999", "a:", ":5000", "a b", "a:b",
        "a" * 64, ".".join(["a" * 60] * 5), "999",
    ],
)  # fmt: skip
def test_an_address_is_one_to_the_chart_as_to_the_script(render: Renderer, text: str) -> None:
    """What only the script refuses would be said where nobody looks, in a pod's log.

    Seen to fail: a port that is any digits; a name whose labels may end in a dash.
    """
    values = {"endpoint": {"enabled": True, "addresses": [text]}}
    try:
        Address.parse(text)
    except ConfigurationError:
        assert "endpoint.addresses[0]" in render.error(values)
    else:
        assert render(values)


# --- the definition -----------------------------------------------------------------------------


def test_the_definition_is_one_that_every_cluster_takes(kube_version: str) -> None:
    """Its rules in CEL are tried in tests/e2e/test_crds.py.

    Seen to fail: `minLenght` in it; two equal keys, of which YAML drops one.
    """
    found = definitions(CHART)
    assert [each["metadata"]["name"] for each in found] == ["registryendpoints.docker-registry.dev"]
    assert problems(found, kube_version=kube_version) == []
    for path in (CHART / "crds").glob("*.yaml"):
        assert style_problems(path.read_text("utf-8")) == []


def test_what_the_script_writes_is_what_the_definition_takes() -> None:
    """All that it can write at once; a field that the definition does not know is dropped silently.

    Seen to fail: `freedBytes` as a text; a status with a field more.
    """
    first, second = Address("registry.example.com"), Address("10.0.0.5", 30500)
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
    wanted = Wanted((first,), "https", "edge-ca", Address("registry.lan", 5000), "NodeAddress")
    observed = Observed(
        Outside("Addresses", (first, second), "https", "edge-ca"),
        ("test.test-ns.svc:5000",),
        "https",
        (
            NodeHost(Address("registry.lan", 5000), "https", "Pods", node_port=30500),
            NodeHost(Address("registry.lan", 5001), "https", "Pods", Address("127.0.0.1", 30500)),
            NodeHost(first, "https", "Clients"),
        ),
        Health("Answers", "it answers", healthy=True),
        pem,
        pem,
        read_only=True,
        collection={
            "run": "1", "finished": "2026-01-01T00:00:00Z", "result": "Done",
            "freed": size(5_000_000_000), "freedBytes": 5_000_000_000, "blobs": 7, "seconds": 3,
        },
    )  # fmt: skip
    made = applied(Owner("test-ns", "test"), "test", spec_of(wanted, "test", withdrawn=True))
    made["metadata"] |= {"namespace": "test-ns", "generation": 3}
    made["status"] = status_of(observed, made)
    assert len(made["status"]["nodes"]) == 3
    assert problems([made]) == []
