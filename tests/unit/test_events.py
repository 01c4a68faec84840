"""Events: about the objects that exist, never worth the run, never longer than the API takes."""

from dataclasses import replace

import pytest

from registry_gc.errors import ConfigurationError, GuardError
from registry_gc.events import Events, Subject
from registry_gc.kube_api import path_of
from support.fake_kubernetes import NAMESPACE, FakeKubernetes
from support.kube import api_of

DEPLOYMENT = path_of("apps/v1", "deployments", NAMESPACE, "one")
ENDPOINT = path_of("docker-registry.dev/v1alpha1", "registryendpoints", NAMESPACE, "one")
EVENTS = path_of("v1", "events", NAMESPACE)


@pytest.fixture
def fake() -> FakeKubernetes:
    found = FakeKubernetes()
    found.objects.put(DEPLOYMENT, {"kind": "Deployment", "metadata": {"uid": "the-uid"}})
    return found


def events(fake: FakeKubernetes, said: list[str], about: str = "Deployment/one") -> Events:
    return Events(api_of(fake)[0], NAMESPACE, Subject.all_of(about), said.append)


def written(fake: FakeKubernetes) -> list[dict[str, object]]:
    return [body for path, body in fake.objects.by_path.items() if path.startswith(EVENTS)]


def test_an_event_is_about_the_very_object(fake: FakeKubernetes) -> None:
    """`kubectl describe` asks by the uid. Seen to fail: leave it out."""
    events(fake, []).normal("Collected", "3 blobs")
    (event,) = written(fake)

    assert event["involvedObject"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": NAMESPACE,
        "name": "one",
        "uid": "the-uid",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Normal", "Collected", "3 blobs")


def test_each_subject_that_exists_gets_one(fake: FakeKubernetes) -> None:
    """Seen to fail: stop at the first that is not there."""
    about = "StatefulSet/one Deployment/one RegistryEndpoint/one"
    fake.objects.put(ENDPOINT, {"kind": "RegistryEndpoint"})
    events(fake, [], about).warning("Bad", "it is")

    assert [event["involvedObject"]["kind"] for event in written(fake)] == [  # type: ignore[index]
        "Deployment",
        "RegistryEndpoint",
    ]


def test_a_failure_says_what_why_and_what_next(fake: FakeKubernetes) -> None:
    events(fake, []).failure("Bad", GuardError("it failed", why="because", next_step="do that"))

    assert written(fake)[0]["message"] == "it failed (because). do that"


def test_a_message_has_a_limit(fake: FakeKubernetes) -> None:
    """The API refuses longer ones. Seen to fail: do not cut."""
    events(fake, []).normal("Long", "word " * 1000)

    assert len(str(written(fake)[0]["message"])) == 1024


@pytest.mark.parametrize("denied", [("create", "events"), ("get", "deployments")])
def test_what_cannot_be_written_is_said_once(fake: FakeKubernetes, denied: tuple[str, str]) -> None:
    """Seen to fail: let the error through."""
    fake.objects.denied.add(denied)
    said: list[str] = []
    many = events(fake, said)
    many.normal("One", "1")
    many.normal("Two", "2")

    assert len(said) == 1
    assert said[0].startswith("no Event was written: the Kubernetes API does not let this pod")


def test_one_that_cannot_be_written_does_not_keep_the_others(fake: FakeKubernetes) -> None:
    """The definition of one kind is missing, say. Seen to fail: give up all after the first."""
    fake.objects.missing.add("registryendpoints")
    said: list[str] = []
    many = events(fake, said, "RegistryEndpoint/one Deployment/one")
    many.normal("One", "1")
    many.normal("Two", "2")

    assert len(said) == 1
    assert [event["reason"] for event in written(fake)] == ["One", "Two"]


def test_what_an_outage_kept_away_is_written_at_the_end(fake: FakeKubernetes) -> None:
    """Seen to fail: write it at once or never; give the subject up for the next one."""
    api, direct = api_of(fake)
    many = Events(replace(api, ends=0.0), NAMESPACE, Subject.all_of("Deployment/one"), lambda _: 0)
    direct.silent = 1
    many.normal("Collected", "3 blobs")
    many.normal("Later", "it is back")
    many.flush()
    many.flush()

    assert [event["reason"] for event in written(fake)] == ["Later", "Collected"]


@pytest.mark.parametrize("about", ["Pod/one", "Deployment", "Deployment/", "one"])
def test_what_no_event_can_be_about(about: str) -> None:
    with pytest.raises(ConfigurationError, match="is no object that Events can be about"):
        Subject.all_of(about)
