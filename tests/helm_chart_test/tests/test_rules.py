"""What schemas do not say and the API server does: each is broken once, and told."""

from copy import deepcopy
from typing import Any

import pytest

from helm_chart_test import rule_problems

POD: dict[str, Any] = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {
        "initContainers": [{"name": "first"}],
        "containers": [
            {
                "name": "main",
                "env": [{"name": "A", "value": "1"}],
                "ports": [{"name": "http", "containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": "http"}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}
WORKLOAD: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "a", "labels": {"example.com/a": "b"}, "annotations": {"c/d": "any text"}},
    "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": POD},
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "a"},
    "spec": {"ports": [{"name": "http", "port": 80}]},
}
_CONTAINER = ("spec", "template", "spec", "containers", 0)


def changed(thing: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    result = deepcopy(thing)
    *folders, last = path
    at: Any = result
    for step in folders:
        at = at[step]
    at[last] = value
    return result


def test_good_objects_break_no_rule() -> None:
    assert rule_problems([WORKLOAD, SERVICE]) == []


def test_a_claim_template_is_a_volume() -> None:
    """Seen to fail: only the pod's own volumes looked at."""
    alone = changed(WORKLOAD, ("spec", "template", "spec", "volumes"), [])
    assert rule_problems([alone])
    claimed = changed(alone, ("spec", "volumeClaimTemplates"), [{"metadata": {"name": "data"}}])
    assert rule_problems([claimed]) == []


CASES: dict[str, tuple[dict[str, Any], tuple[Any, ...], object]] = {
    "is no name that an object can have": (WORKLOAD, ("metadata", "name"), "A_b"),
    "the name has 64 characters, a Service may have 63": (
        SERVICE,
        ("metadata", "name"),
        "a" * 64,
    ),
    "label example.com/a='b c'": (WORKLOAD, ("metadata", "labels"), {"example.com/a": "b c"}),
    "label a=1 is not text": (WORKLOAD, ("metadata", "labels"), {"a": 1}),
    "label 'a b' is no name": (WORKLOAD, ("metadata", "labels"), {"a b": "c"}),
    "'C_/d' does not begin with a host's name": (
        WORKLOAD,
        ("metadata", "annotations"),
        {"C_/d": "e"},
    ),
    "annotation a=True is no text": (WORKLOAD, ("metadata", "annotations"), {"a": True}),
    "does not select its own pod": (WORKLOAD, ("spec", "selector", "matchLabels"), {"app": "b"}),
    "a Service needs a port": (SERVICE, ("spec", "ports"), []),
    "port name 'a' is there 2 times": (
        SERVICE,
        ("spec", "ports"),
        [{"name": "a", "port": 1}, {"name": "a", "port": 2}],
    ),
    "port (80, 'TCP') is there 2 times": (SERVICE, ("spec", "ports"), [{"port": 80}] * 2),
    "volume 'data' is there 2 times": (
        WORKLOAD,
        ("spec", "template", "spec", "volumes"),
        [{"name": "data", "emptyDir": {}}] * 2,
    ),
    "volume data is several things: ['emptyDir', 'hostPath']": (
        WORKLOAD,
        ("spec", "template", "spec", "volumes"),
        [{"name": "data", "emptyDir": {}, "hostPath": {}}],
    ),
    "it mounts 'data', which is no volume": (
        WORKLOAD,
        ("spec", "template", "spec", "volumes"),
        [],
    ),
    "container 'main' is there 2 times": (
        WORKLOAD,
        ("spec", "template", "spec", "initContainers"),
        [{"name": "main"}],
    ),
    "'Main' is no name of a container": (
        WORKLOAD,
        ("spec", "template", "spec", "initContainers"),
        [{"name": "Main"}],
    ),
    "mount path '/data' is there 2 times": (
        WORKLOAD,
        (*_CONTAINER, "volumeMounts"),
        [{"name": "data", "mountPath": "/data"}, {"name": "data", "mountPath": "/data/"}],
    ),
    "variable 'A' is there 2 times": (WORKLOAD, (*_CONTAINER, "env"), [{"name": "A"}] * 2),
    "variable A has a value and a source": (
        WORKLOAD,
        (*_CONTAINER, "env"),
        [{"name": "A", "value": "", "valueFrom": {}}],
    ),
    "no name of a port": (
        WORKLOAD,
        (*_CONTAINER, "ports"),
        [{"name": "http"}, {"name": "longer-than-fifteen"}],
    ),
    "it asks at the port 'other'": (
        WORKLOAD,
        (*_CONTAINER, "livenessProbe"),
        {"httpGet": {"port": "other"}},
    ),
    "a probe asks in one way, not in 2": (
        WORKLOAD,
        (*_CONTAINER, "livenessProbe"),
        {"httpGet": {"port": 1}, "exec": {}},
    ),
}


@pytest.mark.parametrize("told", CASES)
def test_a_broken_rule_is_told(told: str) -> None:
    """Each was seen to fail with its `yield` removed."""
    thing, path, value = CASES[told]
    found = rule_problems([changed(thing, path, value)])
    assert len(found) == 1, found
    assert told in found[0]


@pytest.mark.parametrize("part", ["volumes", "initContainers"])
def test_a_thing_without_a_name_is_told(part: str) -> None:
    """By a line, not by an exception. Seen to fail: `volume["name"]`."""
    assert rule_problems([changed(WORKLOAD, ("spec", "template", "spec", part), [{}])])


def test_one_object_twice_is_told() -> None:
    assert rule_problems([SERVICE, SERVICE]) == ["Service/a is there 2 times"]
