"""Labels and annotations that all objects share, and objects of the user's own."""

from typing import Any

import pytest

from helm_chart_test import Object, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from support.chart import problems
from support.rendered import one

EVERYTHING: dict[str, Any] = {
    "garbageCollect": {"enabled": True},
    "persistence": {"enabled": True},
    "serviceAccount": {"create": True},
    "podDisruptionBudget": {"maxUnavailable": 1},
    "autoscaling": {"enabled": True},
    "tls": {"crt": "c", "key": "k"},
    "configSecret": {"notifications": {"endpoints": []}},
    "ingress": {"enabled": True},
    "httproute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "networkPolicy": {"enabled": True},
    "metrics": {
        "enabled": True,
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True, "rules": [{"record": "a", "expr": "b"}]},
    },
}
LABELS = {"team": "images", "cost": "7", "app": "not-this", "release": "not-this"}
ANNOTATIONS = {"example.com/owner": "images", "example.com/number": "7"}


@pytest.fixture(params=[False, True], ids=["Deployment", "StatefulSet"])
def rendered(request: pytest.FixtureRequest, render: Renderer) -> list[Object]:
    common = {
        # As people write them: a number too.
        "commonLabels": {**LABELS, "cost": 7},
        "commonAnnotations": {**ANNOTATIONS, "example.com/number": 7},
        "useStatefulSet": request.param,
    }
    objects = render({**EVERYTHING, **common})
    assert len(objects) > 20
    return objects


def test_common_labels_are_on_every_object_and_pod(rendered: list[Object]) -> None:
    """Seen to fail: a Role without them; podLabels without them; 7 that stayed a number."""
    for thing in rendered:
        pod = pod_template(thing)
        for metadata in [thing["metadata"], *([pod["metadata"]] if pod else [])]:
            labels = metadata["labels"]
            assert (labels["team"], labels["cost"]) == ("images", "7"), object_id(thing)
    assert problems(rendered) == []


def test_common_annotations_are_on_every_object(rendered: list[Object]) -> None:
    """Beside those that Helm reads. Seen to fail: a hook with its own alone."""
    for thing in rendered:
        annotations = thing["metadata"].get("annotations", {})
        assert ANNOTATIONS.items() <= annotations.items(), object_id(thing)
    job = one(rendered, "Job", "-preflight")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_common_labels_change_no_selector_and_no_claim(rendered: list[Object]) -> None:
    """They cannot be changed later; and `app`, `release` there must not make the hook a registry.

    Seen to fail: docker-registry.labels in the StatefulSet's claims; commonLabels over `app`.
    """
    fixed = {"app": "docker-registry", "release": "test"}
    pods = {thing["kind"] for thing in rendered if pod_template(thing) is not None}
    assert pods & {"Deployment", "StatefulSet"}
    assert pods & {"CronJob", "Job", "Pod"}
    for thing in rendered:
        spec = thing.get("spec", {})
        selector = spec.get("selector", {}).get("matchLabels", {})
        assert not {"team", "cost"} & selector.keys()
        for claim in spec.get("volumeClaimTemplates", []):
            assert not {"team", "cost"} & claim["metadata"].get("labels", {}).keys()
        pod = pod_template(thing)
        if thing["kind"] in {"Deployment", "StatefulSet"}:
            assert selector == fixed
            assert pod is not None
            assert fixed.items() <= pod["metadata"]["labels"].items()
        elif pod is not None:
            assert not fixed.keys() & pod["metadata"]["labels"].keys(), object_id(thing)


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("service", "Service"),
        ("ingress", "Ingress"),
        ("httproute", "HTTPRoute"),
        ("deployment", "Deployment"),
    ],
)
def test_a_sections_own_win(render: Renderer, section: str, kind: str) -> None:
    """But not over what finds the object. Seen to fail: commonLabels last; two equal keys."""
    own = {
        "labels": {"team": "mine", "chart": "not-this"},
        "annotations": {"example.com/owner": ""},
    }
    values = {**EVERYTHING, "commonLabels": LABELS, "commonAnnotations": ANNOTATIONS}
    values = {**values, section: {**values.get(section, {}), **own}}
    found = next(
        thing for thing in render(values) if object_id(thing) == f"{kind}/test-docker-registry"
    )
    labels = found["metadata"]["labels"]
    assert labels["team"] == "mine"
    assert labels["chart"].startswith("docker-registry-")
    assert found["metadata"]["annotations"]["example.com/owner"] == ""
    assert found["metadata"]["annotations"]["example.com/number"] == "7"


def test_without_any_there_is_no_block(render: Renderer) -> None:
    """Seen to fail: `annotations:` with nothing below, as at twuni (N3)."""
    text = render.text({**EVERYTHING, "metrics": {"enabled": True}})
    assert "annotations: {}" not in text
    assert "annotations:\n" in text
    assert all(line.rstrip() == line for line in text.splitlines())
    for thing in render({**EVERYTHING, "metrics": {"enabled": True}}):
        assert thing["metadata"].get("annotations", {"a": "b"}), object_id(thing)


CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "{{ .Release.Name }}-map", "labels": {"a": "b"}},
    "data": {"alert": "{{ $labels.instance }} is down", "number": "007"},
}
TEXT = """\
# Two objects in one text.
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ include "docker-registry.fullname" . }}-text}
data: {upper: {{ "a" | upper | quote }}}
---
apiVersion: v1
kind: Secret
metadata: {name: second}
"""


def test_objects_of_the_users_own_are_maps_or_texts(each_helm: Renderer) -> None:
    """A text is a template; in a map, each text that speaks of the release is one.

    Seen to fail: `tpl` of a whole map, which fails at `$labels`; only one object of a text.
    """
    rendered = each_helm({"extraObjects": [CONFIG_MAP, TEXT]})
    ours = {object_id(thing) for thing in each_helm({})}
    found = {object_id(thing): thing for thing in rendered if object_id(thing) not in ours}
    assert found.keys() == {
        "ConfigMap/test-map",
        "ConfigMap/test-docker-registry-text",
        "Secret/second",
    }
    assert found["ConfigMap/test-map"]["data"] == CONFIG_MAP["data"]
    assert found["ConfigMap/test-docker-registry-text"]["data"] == {"upper": "A"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("no object", "it is no YAML map"),
        ("a: [", "it is no YAML map"),
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, "it has no apiVersion or no kind"),
        ("apiVersion: v1\nkind: ConfigMap\n", "it has no metadata.name"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": "a"}, "it has no metadata.name"),
        ({**CONFIG_MAP, "kind": ["ConfigMap"]}, "it has no apiVersion or no kind"),
        ({**CONFIG_MAP, "metadata": {"name": 5}}, "it has no metadata.name that is a text"),
        (
            {**CONFIG_MAP, "metadata": {"name": "a", "annotations": {"example.com/a": 5}}},
            "its annotation example.com/a is no text",
        ),
    ],
)
def test_what_is_no_object_is_named(render: Renderer, given: Any, told: str) -> None:
    """Helm's own words would name a line of a template that its user has never seen.

    Seen to fail: extraObjects written as they are.
    """
    error = render.error({"extraObjects": [CONFIG_MAP, given]})
    assert f"extraObjects[1]: {told}" in error
    assert "YAML parse error" not in error
