"""`helm test`: one pod that no Service selects, with no more than it needs."""

import base64
from typing import Any

import pytest

from helm_chart_test import Object, merged, restricted_problems
from helm_chart_test.fixtures import Renderer

NAME = "test-docker-registry-test"
USER = {"tests": {"username": "user", "password": "word"}}
USERS = {"secrets": {"htpasswd": "user:hash"}}
TOKEN = {"realm": "https://t", "service": "s", "issuer": "i", "jwks": '{"keys": []}'}
DELETE = {"persistence": {"deleteEnabled": True}}


def hooks(objects: list[Object]) -> list[Object]:
    return [
        thing
        for thing in objects
        if thing["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"
    ]


def pod_of(render: Renderer, *values: dict[str, Any]) -> Object:
    (pod,) = (thing for thing in hooks(render(merged(*values))) if thing["kind"] == "Pod")
    return pod


def arguments_of(render: Renderer, *values: dict[str, Any]) -> list[str]:
    (container,) = pod_of(render, *values)["spec"]["containers"]
    arguments: list[str] = container["args"]
    assert arguments[0] == "roundtrip"
    return arguments[1:]


class TestEveryScenario:
    @pytest.fixture
    def pod(self, scenario: dict[str, Any], render: Renderer) -> Object:
        """Return the pod, also of a scenario that has turned it off or leaves it no way in."""
        open_to_all = {"tls": {"clientCA": {"required": False}}}
        there = {"service": {"create": True}, "tests": {"enabled": True}}
        return pod_of(render, scenario, there, open_to_all)

    def test_no_traffic_reaches_it(self, pod: Object) -> None:
        """risadams' has the labels that its Service selects. Seen to fail: podLabels "registry"."""
        assert not {"app", "release"} & pod["metadata"]["labels"].keys()
        assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "test"

    def test_it_is_restricted_and_has_no_token(self, pod: Object) -> None:
        assert restricted_problems(pod) == []
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
        assert "serviceAccountName" not in pod["spec"]

    def test_what_failed_stays_and_what_succeeded_goes(self, pod: Object) -> None:
        policy = pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy == "before-hook-creation,hook-succeeded"

    def test_its_name_is_a_host_name(self, pod: Object) -> None:
        assert len(pod["metadata"]["name"]) <= 63


def test_a_long_release_has_a_test_too(render: Renderer) -> None:
    """Seen to fail: do not cut the name."""
    values = {"fullnameOverride": "r" * 63}
    assert len(pod_of(render, values)["metadata"]["name"]) == 63


@pytest.mark.parametrize("values", [{"tests": {"enabled": False}}, {"service": {"create": False}}])
def test_none(render: Renderer, values: dict[str, Any]) -> None:
    """Without a Service of the release there is nothing to go through."""
    assert hooks(render(values)) == []


def test_no_preflight_exists_for_it(render: Renderer) -> None:
    """Where nothing is collected, an image that is missing fails the test and no upgrade.

    Seen to fail: count it in docker-registry.preflight.exists.
    """
    rendered = render({})
    assert hooks(rendered)
    assert "Job" not in {thing["kind"] for thing in rendered}


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({}, []),
        (DELETE, ["--must-delete"]),
        (merged(USERS, DELETE), ["--expect-refusal"]),
        (merged(USERS, DELETE, USER), ["--must-delete"]),
        (merged(USERS, {"tests": {"secretRef": "mine"}}), []),
        ({"secrets": {"htpasswdRef": {"name": "mine"}}}, ["--expect-refusal"]),
        ({"proxy": {"enabled": True}}, ["--push-nothing"]),
        (merged({"proxy": {"enabled": True}}, USERS, USER), ["--push-nothing"]),
        (
            merged(
                DELETE,
                {"configData": {"storage": {"maintenance": {"readonly": {"enabled": True}}}}},
            ),
            ["--push-nothing"],
        ),
        (
            merged(DELETE, USER, {"auth": {"token": TOKEN}}),
            [],  # whether this user may delete, its server decides
        ),
    ],
)
def test_what_is_tried(render: Renderer, values: dict[str, Any], flags: list[str]) -> None:
    """Seen to fail: --must-delete although nobody can push."""
    arguments = arguments_of(render, values)

    known = {"--must-delete", "--expect-refusal", "--push-nothing"}
    assert [each for each in arguments if each in known] == flags


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://test-docker-registry.test-ns.svc:5000"),
        ({"service": {"port": 80}}, "http://test-docker-registry.test-ns.svc:80"),
        ({"tlsSecretName": "t"}, "https://test-docker-registry.test-ns.svc:5000"),
        ({"tls": {"crt": "c", "key": "k"}}, "https://test-docker-registry.test-ns.svc:5000"),
        (
            {"configData": {"http": {"tls": {"certificate": "/c/tls.crt", "key": "/c/tls.key"}}}},
            "https://test-docker-registry.test-ns.svc:5000",
        ),
        (
            {"configData": {"http": {"prefix": "/below/"}}},
            "http://test-docker-registry.test-ns.svc:5000/below",
        ),
        (
            {"service": {"nameOverride": "mine"}, "namespace": "there"},
            "http://mine.there.svc:5000",
        ),
    ],
)
def test_it_goes_through_the_service(render: Renderer, values: dict[str, Any], url: str) -> None:
    """Seen to fail: the registry's port in place of the Service's."""
    assert arguments_of(render, values)[0] == url


def test_a_certificate_that_the_chart_does_not_know_is_not_looked_at(render: Renderer) -> None:
    """One in configData, from a volume of the user's. Seen to fail: no flag, and the test fails."""
    own = {"configData": {"http": {"tls": {"certificate": "/c/tls.crt", "key": "/c/tls.key"}}}}

    assert "--any-certificate" in arguments_of(render, own)
    assert "--any-certificate" not in arguments_of(render, own, {"tlsSecretName": "t"})
    assert "--any-certificate" not in arguments_of(render, {})


def test_it_gives_up_before_its_pod_is_ended(render: Renderer) -> None:
    for text, limit, patience in (("5m", 300, "240s"), ("1m", 60, "30s"), ("90s", 90, "45s")):
        values = {"tests": {"timeout": text}}
        assert pod_of(render, values)["spec"]["activeDeadlineSeconds"] == limit
        assert patience in arguments_of(render, values)


class TestCredentials:
    def test_what_is_given_is_in_a_secret_that_goes_with_the_test(self, render: Renderer) -> None:
        rendered = render(merged(USERS, USER))
        secret, pod = hooks(rendered)

        assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", NAME)
        decoded = {key: base64.b64decode(text) for key, text in secret["data"].items()}
        assert decoded == {"username": b"user", "password": b"word"}
        assert self._references(pod) == [(NAME, "username"), (NAME, "password")]
        weights = [each["metadata"]["annotations"]["helm.sh/hook-weight"] for each in (secret, pod)]
        assert int(weights[0]) < int(weights[1])

    def test_an_existing_secret_is_used_as_it_is(self, render: Renderer) -> None:
        keys = {"secretKeys": {"username": "name", "password": "pass"}}
        (pod,) = hooks(render({"tests": {"secretRef": "mine", **keys}}))

        assert self._references(pod) == [("mine", "name"), ("mine", "pass")]

    def test_none_are_given(self, render: Renderer) -> None:
        (pod,) = hooks(render({}))

        assert "env" not in pod["spec"]["containers"][0]

    def _references(self, pod: Object) -> list[tuple[str, str]]:
        references = [
            each["valueFrom"]["secretKeyRef"] for each in pod["spec"]["containers"][0]["env"]
        ]
        return [(each["name"], each["key"]) for each in references]


def test_the_registrys_key_stays_where_it_is(render: Renderer) -> None:
    """The pod needs what the certificate says, not who can speak for it. Seen to fail: no items."""
    (volume,) = pod_of(render, {"tlsSecretName": "t"})["spec"]["volumes"]

    assert volume["secret"]["secretName"] == "t"
    assert {item["key"] for item in volume["secret"]["items"]} == {"tls.crt", "ca.crt"}
    assert volume["secret"]["optional"] is True
