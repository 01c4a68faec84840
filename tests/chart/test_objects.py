"""Every object is one that the cluster takes whole, and Helm finds again at the next render."""

from pathlib import Path
from typing import Any

from helm_chart_test import (
    Object,
    containers,
    differences,
    merged,
    object_id,
    pod_template,
    style_problems,
)
from helm_chart_test.fixtures import Renderer
from helm_chart_test.plugin import Problems
from support.chart import KUBE_VERSIONS, problems
from support.checkout import ROOT

OF_THE_USER = {"first", "exporter"}  # containers in the scenarios
GENERATED = {
    "Secret/test-docker-registry-gc: data.token",
    "Secret/test-docker-registry-secret: data.haSharedSecret",
}


def test_every_object_is_valid(
    render: Renderer, scenario: dict[str, Any], helm_paths: list[Path], helm_problems: Problems
) -> None:
    """With both Helms, for the oldest and the newest Kubernetes; and all four are the same.

    So what the other tests find with one pair of versions holds for all.

    Seen to fail: `imagePullPolcy` in the Deployment; an annotation without its quotes; a template
    that asks for .Capabilities.HelmVersion; autoscaling/v1 below 1.30.
    """
    each_helm = [Renderer(render.chart, helm, render.served) for helm in helm_paths]
    every = [
        (version, renderer(_with_secrets(scenario), kube_version=version))
        for renderer in each_helm
        for version in KUBE_VERSIONS
    ]
    assert len(every) == 4
    for version, rendered in every:
        assert rendered
        assert helm_problems(rendered, kube_version=version) == []
        assert differences(every[0][1], rendered) == []


def test_the_rendered_text_is_clean(render: Renderer, scenario: dict[str, Any]) -> None:
    """Two equal keys are one to a YAML parser, which drops the other without a word.

    Seen to fail: the label `release` of a ServiceMonitor written beside the user's own.
    """
    text = render.text(scenario, kube_version=KUBE_VERSIONS[0])
    assert text.count("\nkind: ") > 3
    assert style_problems(text) == []


def test_every_object_names_its_namespace(objects: list[Object], scenario: dict[str, Any]) -> None:
    """Seen to fail: no `namespace` in hpa.yaml, as in twuni's (N2)."""
    expected = scenario.get("namespace") or "test-ns"
    monitors = scenario.get("metrics", {}).values()
    others = {
        each["namespace"] for each in monitors if isinstance(each, dict) and "namespace" in each
    }
    # KEP-1755 has the one; the pods that nodes trust by may live in a namespace of their own.
    others |= {"kube-public"} if (scenario.get("endpoint") or {}).get("hosting") else set()
    others |= {(scenario.get("nodeTrust") or {}).get("namespace", expected)}
    found = {
        thing["metadata"].get("namespace")
        for thing in objects
        if not _of_the_user(thing) and not thing["kind"].startswith("Cluster")
    }
    assert expected in found
    assert found <= {expected, *others}


def test_every_object_says_whose_it_is(objects: list[Object]) -> None:
    """twuni's own labels are in test_identity.py.

    Seen to fail: `app.kubernetes.io/instance` left out of docker-registry.componentLabels.
    """
    names = ("name", "instance", "component", "managed-by")
    for thing in objects:
        if _of_the_user(thing):
            continue
        labels = thing["metadata"]["labels"]
        assert {f"app.kubernetes.io/{name}" for name in names} <= labels.keys(), object_id(thing)


def test_two_renders_differ_in_generated_secrets_alone(
    render: Renderer, scenario: dict[str, Any]
) -> None:
    """What differs at each render restarts pods and is never in sync (S1).

    Seen to fail: a pod annotation with the checksum of the rendered Secret.
    """
    again = Renderer(render.chart, render.helm, render.served)  # remembers nothing yet
    version = KUBE_VERSIONS[0]
    first, second = (each(scenario, kube_version=version) for each in (render, again))
    assert len(first) > 3
    found = differences(first, second)
    fullname = scenario.get("fullnameOverride", "test-docker-registry")
    assert {path.replace(fullname, "test-docker-registry") for path in found} <= GENERATED


def test_generated_secrets_are_generated(render: Renderer) -> None:
    """The control of the test above: fails when a secret is a fixed text."""
    values = merged(ROOT / "ci" / "values" / "collected.yaml")
    again = Renderer(render.chart, render.helm, render.served)
    assert set(differences(render(values), again(values))) == GENERATED


def test_no_given_secret_is_written_outside_a_secret(render: Renderer) -> None:
    """Seen to fail: REGISTRY_PROXY_PASSWORD as a plain `value`."""
    hidden = {name: f"hidden-{name}" for name in ("htpasswd", "shared", "password", "token")}
    values = {
        "secrets": {"htpasswd": hidden["htpasswd"], "haSharedSecret": hidden["shared"]},
        "proxy": {"enabled": True, "username": "user", "password": hidden["password"]},
        "garbageCollect": {"enabled": True, "token": hidden["token"]},
    }
    rendered = render(values)
    texts = {object_id(thing): str(thing) for thing in rendered if thing["kind"] != "Secret"}
    shown = [
        (owner, word) for owner, text in texts.items() for word in hidden.values() if word in text
    ]
    assert len(texts) > 5
    assert shown == []
    assert sum("data" in thing for thing in rendered if thing["kind"] == "Secret") == 3


def test_a_given_secret_changes_the_pod(render: Renderer) -> None:
    """Users and passwords are read at the registry's start, so the pod must be replaced.

    Seen to fail: without the annotation checksum/secret.
    """

    def checksum(htpasswd: str) -> str:
        rendered = render({"secrets": {"htpasswd": htpasswd}})
        (found,) = (thing for thing in rendered if thing["kind"] == "Deployment")
        pod = pod_template(found)
        assert pod is not None
        text: str = pod["metadata"]["annotations"]["checksum/secret"]
        return text

    assert checksum("a:b") != checksum("a:c")


def test_numbers_in_the_configuration_stay_whole(render: Renderer) -> None:
    """Helm holds numbers as floats; the registry does not read `3.3554432e+07`.

    Seen to fail: `printf "%v"` in place of toYaml.
    """
    rendered = render(merged(ROOT / "ci" / "values" / "s3-without-tls.yaml"))
    (config,) = (thing for thing in rendered if thing["kind"] == "ConfigMap")
    assert "chunksize: 33554432" in config["data"]["config.yml"]


def test_every_image_has_a_tag_and_a_pull_policy(objects: list[Object]) -> None:
    """Seen to fail: a gc container without imagePullPolicy."""
    found = [
        container
        for thing in objects
        if (pod := pod_template(thing))
        for name, container in containers(pod).items()
        if name not in OF_THE_USER
    ]
    assert found
    for container in found:
        assert ":" in container["image"].rpartition("/")[2], container["image"]
        assert container["imagePullPolicy"] in {"Always", "IfNotPresent", "Never"}


def test_removing_a_default_does_not_break(render: Renderer) -> None:
    """`null` removes a value; then its default counts, but in sections that are one answer.

    Seen to fail: `dig "http" "debug" "addr"`, which fails where `debug` is null.
    """
    values: dict[str, Any] = {
        "garbageCollect": dict.fromkeys(("hook", "sidecar", "image", "preflight"))
        | {"enabled": True},
        "metrics": {"enabled": True, "port": None},
        # Helm removes `health`; `storage` and `debug`, which have no default, stay and are null.
        "configData": {"health": None, "storage": None, "http": {"debug": None}},
        "ingress": {"enabled": True, "annotations": None, "tls": None},
        "securityContext": {"fsGroup": None},
        **dict.fromkeys(("affinity", "podLabels", "service", "secrets", "proxy")),
    }
    rendered = render(values)
    (deployment,) = (thing for thing in rendered if thing["kind"] == "Deployment")
    assert problems(rendered) == []
    assert "fsGroup" not in deployment["spec"]["template"]["spec"]["securityContext"]


def _of_the_user(thing: Object) -> bool:
    """Say whether it is one of `extraObjects`, which the scenarios call so."""
    name: str = thing["metadata"]["name"]
    return name.startswith("extra-")


def _with_secrets(scenario: dict[str, Any]) -> dict[str, Any]:
    """Return the scenario with what would be generated given: then nothing is random."""
    secrets, collection = scenario.get("secrets") or {}, scenario.get("garbageCollect") or {}
    given: dict[str, Any] = {}
    shared = secrets.get("haSharedSecretRef") or scenario.get("haSharedSecret")
    if not (scenario.get("existingSecret") or shared):
        given["secrets"] = {"haSharedSecret": "given"}
    if not collection.get("tokenRef"):
        given["garbageCollect"] = {"token": "given"}
    return merged(scenario, given)
