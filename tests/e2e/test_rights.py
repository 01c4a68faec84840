"""What the accounts of a release may do, asked of the API server itself: that and no more."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from helm_chart_test.reading import documents
from support.cluster import Release
from support.on_cluster import install_with

EVERYTHING = {
    "persistence": {"enabled": True, "size": "1Gi"},
    "garbageCollect": {"readOnly": True},
    "tls": {"mode": "selfSigned"},
    "endpoint": {"enabled": True, "nodeAddresses": True, "hosting": True},
    "nodeTrust": {"enabled": True, "host": "registry.lan:5000"},
}
# What a thief of a token would want: nothing of it, not even in the release's own namespace.
COVETED = [
    ("list", "", "secrets", "", ""),
    ("create", "", "pods", "", ""),
    ("create", "", "pods", "exec", ""),
    ("get", "", "pods", "log", ""),
    ("delete", "", "pods", "", ""),
    ("create", "", "serviceaccounts", "token", ""),
    ("list", "", "configmaps", "", ""),
    ("update", "", "configmaps", "", ""),
    ("create", "batch", "jobs", "", ""),
    ("delete", "apps", "deployments", "", ""),
    ("create", "rbac.authorization.k8s.io", "rolebindings", "", ""),
    ("escalate", "rbac.authorization.k8s.io", "roles", "", ""),
    ("get", "", "nodes", "proxy", ""),
]
_KINDS = ("ServiceAccount", "Role", "RoleBinding")
_ELSEWHERE = ("default", "kube-public", "kube-system")

Right = tuple[str, str, str, str, str]
"""A verb, a group, a resource, a subresource and a name: empty for any."""


@dataclass(frozen=True)
class Account:
    """A service account of the release."""

    release: Release
    name: str

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.release.namespace}:{self.name}"

    def told(self, namespace: str) -> set[Right]:
        """Return all that the API server says it may do in a namespace."""
        review = self.release.cluster.kubectl(
            "create", "-f", "-", "-o", "json", "--validate=false", f"--as={self.user}",
            input=json.dumps(
                {
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SelfSubjectRulesReview",
                    "spec": {"namespace": namespace},
                }
            ),
        )  # fmt: skip
        status = json.loads(review)["status"]
        assert not status["incomplete"], status
        return set(_rights(status["resourceRules"]))

    def may(self, rights: list[Right], namespace: str) -> list[bool]:
        """Ask for each of them by itself."""
        reviews = [
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": self.user,
                    "groups": [
                        "system:authenticated",
                        "system:serviceaccounts",
                        f"system:serviceaccounts:{self.release.namespace}",
                    ],
                    "resourceAttributes": {
                        "namespace": namespace,
                        "verb": verb,
                        "group": group,
                        "resource": resource,
                        "subresource": subresource,
                        "name": name,
                    },
                },
            }
            for verb, group, resource, subresource, name in rights
        ]
        answers = self.release.cluster.kubectl(
            "create", "-f", "-", "-o", "jsonpath={.status.allowed}{' '}",
            input=json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews}),
        ).split()  # fmt: skip
        assert len(answers) == len(rights)
        return [answer == "true" for answer in answers]


def _rights(rules: list[dict[str, Any]]) -> Iterator[Right]:
    for rule in rules:
        for verb in rule["verbs"]:
            for group in rule.get("apiGroups") or [""]:
                for resource in rule.get("resources") or [""]:
                    kind, _, subresource = resource.partition("/")
                    for name in rule.get("resourceNames") or [""]:
                        yield verb, group, kind, subresource, name


def bound(release: Release, account: str, namespace: str) -> set[Right]:
    """Return what the Roles and ClusterRoles say that the chart bound to an account."""
    get = release.cluster.get
    found: set[Right] = set()
    bindings = [
        *get("rolebindings", "-n", namespace)["items"],
        *get("clusterrolebindings")["items"],
    ]
    wanted = {"kind": "ServiceAccount", "name": account, "namespace": release.namespace}
    for binding in bindings:
        if wanted in (binding.get("subjects") or []):
            kind, name = binding["roleRef"]["kind"].lower(), binding["roleRef"]["name"]
            where = ("-n", namespace) if kind == "role" else ()
            found |= set(_rights(get(kind, name, *where)["rules"]))
    return found


class TestRights:
    @pytest.fixture
    def enforce(self) -> str:
        return "privileged"  # what trusts on a node mounts a folder of it

    def test_every_account_may_do_what_its_role_says_and_nothing_else(
        self, release: Release
    ) -> None:
        """In every namespace, and compared with an account that nobody gave anything.

        Seen to fail: a rule that lets the hook list Secrets.
        """
        # Nobody outside asks it, so any port will do.
        install_with(release, EVERYTHING, given={"service.nodePort": ""})
        _make_hooks_accounts_again(release)
        found = release.cluster.get("serviceaccounts", "-n", release.namespace)["items"]
        accounts = [
            each["metadata"]["name"] for each in found if each["metadata"]["name"] != "default"
        ]
        nobody = Account(release, "default")
        roles = 0
        assert nobody.may(COVETED, release.namespace) == [False] * len(COVETED)

        for name in accounts:
            account = Account(release, name)
            for namespace in (release.namespace, *_ELSEWHERE):
                granted = sorted(bound(release, name, namespace))
                roles += bool(granted)
                assert account.told(namespace) - nobody.told(namespace) == set(granted), name
                if granted:
                    assert all(account.may(granted, namespace)), (name, granted)
                others = [
                    (verb, group, resource, subresource, "another")
                    for verb, group, resource, subresource, only in granted
                    if only
                ]
                if others:
                    assert not any(account.may(others, namespace)), (name, others)
                assert not any(account.may(COVETED, namespace)), (name, namespace)

        # Hook, endpoint and its removal, certificates, trust of nodes; the preflight's has nothing.
        assert len(accounts) >= 5, accounts
        assert roles >= 5, roles


def _make_hooks_accounts_again(release: Release) -> None:
    """Helm removes its hooks' accounts once they have succeeded."""
    printed = release.cluster.helm("get", "hooks", release.name, "-n", release.namespace).stdout
    for thing in documents(printed):
        if thing["kind"] in _KINDS:
            thing["metadata"].pop("annotations", None)
            thing["metadata"]["namespace"] = release.namespace
            release.apply(thing)
