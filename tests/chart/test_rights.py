"""The rendered Roles grant what the scripts ask for, and no more (tests/support/rights.py).

That the scripts ask for no more is in tests/unit/test_rights.py.
"""

from typing import Any

import pytest

from helm_chart_test import Object, merged, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from support import rights
from support.granted import granted, named, rules
from support.rendered import one

NAME = "test-docker-registry"
EVERYTHING: dict[str, Any] = {
    "endpoint": {"enabled": True, "nodeAddresses": True, "hosting": True, "caSecret": "edge-ca"},
    "service": {"type": "NodePort"},
    "ingress": {"enabled": True, "hosts": ["registry.example.com"]},
    "httproute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    "tls": {"mode": "selfSigned"},
    "nodeTrust": {"enabled": True, "host": "registry.lan:5000", "namespace": "trusting"},
    "garbageCollect": {"enabled": True, "readOnly": True},
}

ABOUT: rights.Rights = frozenset({("get", "registryendpoints")})
"""For the Events about the RegistryEndpoint, where there is one."""

WHO: dict[str, rights.Rights] = {
    f"{NAME}-endpoint": rights.ENDPOINT,
    f"{NAME}-endpoint-remove": rights.REMOVE,
    # It is told of no pods, because before an install there are none.
    f"{NAME}-certificates": rights.CERTIFICATES - {("list", "pods")} | ABOUT,
    f"{NAME}-gc": rights.READ_ONLY | ABOUT,
    f"test-ns-{NAME}-node-trust": rights.NODE_TRUST,
}


@pytest.mark.parametrize("account", WHO)
def test_each_account_may_do_what_its_script_asks_for(render: Renderer, account: str) -> None:
    """With everything turned on. Seen to fail: `list` of Secrets; no `delete` of the switch."""
    assert granted(render(EVERYTHING), account) == WHO[account]


def test_nobody_else_may_do_anything(render: Renderer) -> None:
    """Seen to fail: an account that is in no table; a Role that nobody is bound to."""
    objects = render(EVERYTHING)
    bindings = [thing for thing in objects if thing["kind"].endswith("RoleBinding")]
    accounts = {subject["name"] for each in bindings for subject in each["subjects"]}
    assert accounts == WHO.keys()
    roles = {thing["metadata"]["name"] for thing in objects if thing["kind"].endswith("Role")}
    assert roles == {each["roleRef"]["name"] for each in bindings}
    with_api = {
        pod["spec"].get("serviceAccountName"): object_id(thing)
        for thing in objects
        if (pod := pod_template(thing)) and pod["spec"].get("automountServiceAccountToken")
    }
    assert with_api.keys() == WHO.keys()


def test_every_account_is_there_and_bound_in_its_own_namespace(render: Renderer) -> None:
    """Seen to fail: a subject in the Role's namespace, kube-public, which has no such account."""
    objects = render(EVERYTHING)
    there = {
        (thing["metadata"]["name"], thing["metadata"]["namespace"])
        for thing in objects
        if thing["kind"] == "ServiceAccount"
    }
    bound = {
        (subject["name"], subject["namespace"])
        for thing in objects
        if thing["kind"].endswith("RoleBinding")
        for subject in thing["subjects"]
    }
    assert bound
    assert bound <= there


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"endpoint": {"nodeAddresses": False}}, {("list", "nodes")}),
        (
            {"service": {"type": "ClusterIP"}, "nodeTrust": {"via": "Clients"}},
            {("list", "nodes")},
        ),
        ({"ingress": {"enabled": False}}, {("get", "ingresses")}),
        ({"httproute": {"enabled": False}}, {("get", "httproutes")}),
        (
            {"endpoint": {"hosting": False}},
            {("create", "configmaps"), ("patch", "configmaps")},
        ),
        (
            {"endpoint": {"hosting": False}, "garbageCollect": {"readOnly": False}},
            {(verb, "configmaps") for verb in ("get", "create", "patch", "delete")},
        ),
        ({"tls": {"mode": "none"}}, {("create", "secrets"), ("patch", "secrets")}),
        (
            {"tls": {"mode": "none"}, "endpoint": {"caSecret": ""}},
            {(verb, "secrets") for verb in ("get", "create", "patch")},
        ),
        (
            {"endpoint": {"enabled": False}, "nodeTrust": {"enabled": False}},
            {
                *((verb, "registryendpoints") for verb in ("get", "create", "patch")),
                ("patch", "registryendpoints/status"),
                ("create", "configmaps"),
                ("patch", "configmaps"),
            },
        ),
    ],
)
def test_what_is_off_needs_no_right(
    render: Renderer, values: dict[str, Any], missing: set[tuple[str, str]]
) -> None:
    """Seen to fail: each rule without its condition."""
    found = granted(render(merged(EVERYTHING, values)), f"{NAME}-endpoint")
    assert found == rights.ENDPOINT - missing


def test_a_rollout_may_be_begun_only_where_nothing_restarts_in_place(render: Renderer) -> None:
    """Seen to fail: `patch` of the Deployment with a collector; none without."""
    uncollected = merged(EVERYTHING, {"garbageCollect": {"enabled": False}})
    for more in ({}, {"useStatefulSet": True}):
        account = f"{NAME}-endpoint"
        assert granted(render(merged(uncollected, more)), account) >= rights.ROLLOUT
        assert not rights.ROLLOUT & granted(render(merged(EVERYTHING, more)), account)
    unwanted = merged(uncollected, {"tls": {"restartOnRenewal": False}})
    assert not rights.ROLLOUT & granted(render(unwanted), f"{NAME}-endpoint")


def test_rights_are_over_the_releases_own_objects(render: Renderer) -> None:
    """Seen to fail: the leaf's Secret among what is only read; no names at the Service."""
    objects = render(EVERYTHING)
    own = {f"{NAME}-selfsigned", f"{NAME}-selfsigned-ca"}
    assert named(objects, f"{NAME}-endpoint", "secrets") == own | {"edge-ca"}
    assert named(objects, f"{NAME}-endpoint-remove", "secrets") == own
    for rule in rules(objects, f"{NAME}-endpoint"):
        if "edge-ca" in rule.get("resourceNames", ()):
            assert (rule["verbs"], rule["resourceNames"]) == (["get"], ["edge-ca"])
    assert named(objects, f"{NAME}-endpoint", "services") == {NAME}
    assert named(objects, f"{NAME}-endpoint-remove", "daemonsets") == {f"test-ns-{NAME}-node-trust"}


def test_only_one_role_is_for_the_whole_cluster(render: Renderer) -> None:
    """And it lists nodes. Seen to fail: the Role of kube-public as a ClusterRole."""
    for thing in render(EVERYTHING):
        if thing["kind"] == "ClusterRole":
            assert thing["rules"] == [
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}
            ]
    without = render(merged(EVERYTHING, {"endpoint": {"nodeAddresses": False}}))
    assert not [thing for thing in without if thing["kind"].startswith("ClusterRole")]


def test_names_in_other_namespaces_say_whose_they_are(render: Renderer) -> None:
    """Two releases of one name, in two namespaces, share kube-public.

    Seen to fail: the Role's name without the release's namespace.
    """
    names = {
        namespace: {
            thing["metadata"]["name"]
            for thing in render(EVERYTHING, namespace=namespace)
            if _is_shared(thing, namespace)
        }
        for namespace in ("first", "second")
    }
    assert len(names["first"]) > 4
    assert not names["first"] & names["second"]


def test_without_a_role_of_its_own_the_removal_still_has_an_account(render: Renderer) -> None:
    """A certificate of somebody else's is looked after, and nothing but the schedule is stopped.

    Seen to fail: a Role without rules, which is an error in the template.
    """
    objects = render({"tlsSecretName": "mine", "tls": {"restartOnRenewal": True}})
    assert one(objects, "ServiceAccount", f"{NAME}-endpoint-remove")
    assert granted(objects, f"{NAME}-endpoint-remove") == {
        ("get", "cronjobs"),
        ("patch", "cronjobs"),
    }


def _is_shared(thing: Object, namespace: str) -> bool:
    return bool(thing["metadata"].get("namespace") != namespace)
