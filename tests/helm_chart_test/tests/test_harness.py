"""The harness finds what it says it finds. Each test breaks the thing and expects to be told."""

import json
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import (
    HelmError,
    containers,
    differences,
    fake_cluster,
    kubernetes_versions,
    merged,
    object_id,
    pod_template,
    problems,
    restricted_problems,
    style_problems,
)
from helm_chart_test.fixtures import Renderer, helm_binary
from helm_chart_test.reading import documents

NEWEST = kubernetes_versions()[-1]


def deployment(tiny: Renderer, **values: Any) -> dict[str, Any]:
    return next(thing for thing in tiny(values) if thing["kind"] == "Deployment")


def test_values_reach_the_chart(tiny: Renderer) -> None:
    (container,) = containers(deployment(tiny, text="a: 'b' # c")["spec"]["template"]).values()
    assert container["env"] == [{"name": "TEXT", "value": "a: 'b' # c"}]


def test_capabilities_are_what_the_test_says(tiny: Renderer) -> None:
    options: dict[str, Any] = {"kube_version": "1.31.0", "api_versions": ["example.com/v1"]}
    (seen,) = tiny({}, show_only=["templates/configmap.yaml"], upgrade=True, **options)
    expected = {"kubeVersion": "v1.31.0", "monitoring": "true", "upgrade": "true"}
    assert expected.items() <= seen["data"].items()


def test_helms_own_words_come_with_its_refusal(tiny: Renderer) -> None:
    with pytest.raises(HelmError, match="text is empty: set it") as caught:
        tiny({"text": ""})
    assert "text is empty: set it" in caught.value.stderr
    assert "text is empty" in tiny.error({"text": ""})


def test_expecting_a_refusal_that_does_not_come_fails(tiny: Renderer) -> None:
    with pytest.raises(AssertionError, match="should refuse"):
        tiny.error({})


def test_a_lookup_finds_what_the_cluster_has(tiny: Renderer, tmp_path: Path) -> None:
    name = {"name": "there", "namespace": "test-ns"}
    there = {"apiVersion": "v1", "kind": "Secret", "metadata": name, "data": {"a": "b"}}
    only = {"show_only": ["templates/configmap.yaml"]}
    with fake_cluster([there], tmp_path) as kubeconfig:
        (seen,) = tiny({}, kubeconfig=kubeconfig, **only)
    (alone,) = tiny({}, **only)
    assert (seen["data"]["found"], alone["data"]["found"]) == ("b", "")


def test_a_cluster_says_what_it_does_not_know(tmp_path: Path) -> None:
    thing = {"apiVersion": "example.com/v1", "kind": "Strange", "metadata": {"name": "x"}}
    with pytest.raises(AssertionError, match="does not know"), fake_cluster([thing], tmp_path):
        pass


def test_notes_are_what_the_user_reads(tiny: Renderer) -> None:
    assert tiny.notes({"text": "so"}).strip() == "The text is so."


def test_values_are_merged_as_helm_does(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("a: {b: 1, c: 2}\nd: [1, 2]\n", encoding="utf-8")
    assert merged(file, {"a": {"c": None}, "d": [3]}) == {"a": {"b": 1, "c": None}, "d": [3]}


def test_good_objects_have_no_problem(tiny: Renderer) -> None:
    for version in kubernetes_versions():
        assert problems(tiny({}), kube_version=version) == []


def test_a_mistyped_field_is_a_problem(tiny: Renderer) -> None:
    (problem,) = problems(
        [deployment(tiny, extra={"imagePullPolcy": "Always"})], kube_version=NEWEST
    )
    assert "imagePullPolcy" in problem


def test_a_number_where_text_belongs_is_a_problem(tiny: Renderer) -> None:
    (problem,) = problems([deployment(tiny, extra={"workingDir": 5})], kube_version=NEWEST)
    assert "workingDir" in problem


def test_an_unknown_kind_is_a_problem_unless_it_is_named() -> None:
    thing = {"apiVersion": "example.com/v1", "kind": "Strange", "metadata": {"name": "x"}}
    assert len(problems([thing], kube_version=NEWEST)) == 1
    assert problems([thing], kube_version=NEWEST, custom_kinds={"Strange"}) == []


def test_a_long_label_is_a_problem(tiny: Renderer) -> None:
    thing = deployment(tiny)
    labelled = {**thing, "metadata": {**thing["metadata"], "labels": {"app": "x" * 64}}}
    (problem,) = problems([labelled], kube_version=NEWEST)
    assert "63" in problem


def test_every_difference_is_named_by_its_path(tiny: Renderer) -> None:
    first, second = tiny({}), tiny({"replicas": 2, "text": "other"})
    path = "spec.template.spec.containers.0.env.0.value"
    assert differences(first, second) == [
        f"Deployment/test: {found}" for found in ("spec.replicas", path)
    ]
    assert differences(first, first[:1]) == ["Deployment/test: only in the first"]


def test_a_duplicate_key_is_a_style_problem(tiny: Renderer) -> None:
    assert style_problems(tiny.text({})) == []
    found = style_problems("labels:\n  release: a\n  release: b\n")
    assert len(found) == 1
    assert "key-duplicates" in found[0]


def test_a_bare_container_is_not_restricted(tiny: Renderer) -> None:
    pod = pod_template(deployment(tiny))
    assert pod is not None
    found = restricted_problems(pod)
    for word in ("runAsNonRoot", "seccompProfile", "allowPrivilegeEscalation", "capabilities"):
        assert any(word in problem for problem in found), word


RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"runAsUser": 0}, "runAsUser"),
        ({"privileged": True}, "privileged"),
        ({"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}, "CHOWN"),
        ({"capabilities": {"drop": ["CHOWN"]}}, "not all dropped"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile"),
    ],
)
def test_restricted_is_what_the_standard_says(
    tiny: Renderer, change: dict[str, Any], told: str | None
) -> None:
    thing = deployment(tiny, extra={"securityContext": {**RESTRICTED, **change}})
    pod = pod_template(thing)
    assert pod is not None
    found = restricted_problems(pod)
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_a_folder_of_the_host_is_not_restricted() -> None:
    volume = {"name": "data", "hostPath": {"path": "/"}}
    context = {"securityContext": RESTRICTED}
    pod = {"spec": {"containers": [{"name": "a", **context}], "volumes": [volume]}}
    assert restricted_problems(pod) == ["volume data is a hostPath"]


@pytest.mark.parametrize("text", ["1e3", "y", "on", "0123", "1_000", "null", "~", "a: b", ""])
def test_what_go_takes_for_something_else_is_no_text(text: str) -> None:
    """PyYAML alone takes `1e3` and `y` for text, so a template without quotes would pass."""
    assert documents(f"value: {json.dumps(text)}") == [{"value": text}]
    if text != "a: b":
        assert documents(f"value: {text}") != [{"value": text}]


def test_values_are_the_same_for_helm(tiny: Renderer) -> None:
    """Seen to fail: values handed to Helm by yaml.safe_dump, which writes `1e3` without quotes."""
    for text in ("1e3", "y", "0123", "# no"):
        (container,) = containers(deployment(tiny, text=text)["spec"]["template"]).values()
        assert container["env"][0]["value"] == text


def test_two_containers_of_one_name_are_refused() -> None:
    pod = {"spec": {"initContainers": [{"name": "a"}], "containers": [{"name": "a"}]}}
    with pytest.raises(AssertionError, match="one name"):
        containers(pod)


def test_an_object_is_called_as_people_call_it(tiny: Renderer) -> None:
    assert [object_id(thing) for thing in tiny({})] == ["ConfigMap/test", "Deployment/test"]


def test_a_helm_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_HELM", "/nowhere/helm")
    with pytest.raises(RuntimeError, match="/nowhere/helm"):
        helm_binary("SOME_HELM", "")


def test_a_command_that_finds_no_helm_is_quoted() -> None:
    with pytest.raises(RuntimeError, match="no such tool"):
        helm_binary("UNSET_HELM", "sh -c 'echo no such tool >&2; exit 1'")
