"""The hook that makes the registry read-only, cut off from the API or denied in the middle of it.

That is when it holds what nobody else may be able to give back.
"""

import threading
import uuid
from contextlib import ExitStack

import pytest

from support.client import Manifest, image
from support.cluster import Release
from support.hooks import HookJob, denied, freezing, told, without_the_api
from support.on_replicas import (
    READ_ONLY,
    WRITABLE,
    Replica,
    SwitchWatch,
    assert_all_pull,
    calmly_pushing,
)
from support.waiting import until

VALUES = {
    "persistence.enabled": "true",
    "persistence.size": "1Gi",
    "garbageCollect.readOnly": "true",
    "garbageCollect.readOnlyExpires": "30s",
    "endpoint.suspend": "true",
}
_AWAY = 30.0  # seconds


@pytest.fixture
def gone(release: Release) -> Manifest:
    """Install, push, and delete what there is to collect."""
    release.install(VALUES)
    release.wait_until_it_answers()
    found = image("gone", layers=3)
    release.client().push("app", image("kept", layers=3), "kept")
    release.client().push("app", found, "gone")
    release.client().delete_manifest("app", found.digest)
    return found


def test_the_api_is_away_for_half_a_minute_while_nobody_can_push(
    release: Release, gone: Manifest
) -> None:
    """The collection ends meanwhile; read-only is taken back as soon as the API answers again.

    Seen to fail: `Api.patience` of 20 s; the job fails and the registry stays read-only.
    """
    with (
        calmly_pushing(release) as pushes,
        SwitchWatch(release, "app", "kept") as watch,
    ):
        pushes.wait_for_more(2)
        with ExitStack() as api:
            with freezing(release, "settle") as frozen:
                job = HookJob.begun(release, "cut-off")
                frozen.wait()
                api.enter_context(without_the_api(job))
            threading.Event().wait(_AWAY)
            assert release.status()["state"] == "done"
            assert watch.now == READ_ONLY, "it was not cut off: this shows nothing"
        ended = job.end()
        pushes.wait_for_more(2)

    assert ended.code == 0, ended.logs
    # And what pushes had uploaded that were refused then.
    assert ended.deleted >= 5, ended.logs
    assert_as_before(release)
    # Also the one that could not be written when it happened.
    assert [event[1] for event in told(release)] == ["ReadOnly", "Collected"]
    release.client().push("app", gone, "again")
    assert_all_pull(release, pushes)
    release.restart_registry()
    assert_all_pull(release, pushes)
    assert release.client().pull("app", "again").missing == ()


def test_rights_that_are_taken_away_while_nobody_can_push(release: Release, gone: Manifest) -> None:
    """The hook says what is left undone; the endpoint's Job has an account of its own, and does it.

    Seen to fail: a container without terminationMessagePolicy; only its log says why then.
    """
    with calmly_pushing(release) as pushes:
        pushes.wait_for_more(2)
        with ExitStack() as rights:
            with freezing(release, "settle") as frozen:
                job = HookJob.begun(release, "denied")
                frozen.wait()
                rights.enter_context(denied(release))
            ended = job.end()
            assert ended.code == 2, ended.logs
            assert "the registry may still be read-only" in ended.message
            assert "the Kubernetes API does not let this pod" in ended.message
            assert Replica.all_of(release)[0].answers("app", "kept") == (READ_ONLY, 200)
            until(
                lambda: _endpoint(release) and _is_writable(release),
                what="the endpoint's Job takes it back once its time is over",
                timeout=120,
                pause=2,
            )
        pushes.wait_for_more(2)

    assert_as_before(release)
    assert ("Warning", "ReadOnlyTakenBack") in [event[:2] for event in told(release)]
    assert_all_pull(release, pushes)
    release.restart_registry()
    assert_all_pull(release, pushes)


def _endpoint(release: Release) -> bool:
    """Run the endpoint's Job now, which its schedule does every few minutes."""
    job = HookJob.of(release, f"endpoint-{uuid.uuid4().hex[:5]}", role="endpoint")
    job.go()
    ended = job.end()
    assert ended.code == 0, ended.logs
    return True


def _is_writable(release: Release) -> bool:
    return Replica.all_of(release)[0].answers("app", "kept")[0] == WRITABLE


def assert_as_before(release: Release) -> None:
    """It takes pushes, after one restart each way."""
    (replica,) = Replica.all_of(release)
    assert replica.answers("app", "kept") == (WRITABLE, 200)
    assert replica.restarts == 2
