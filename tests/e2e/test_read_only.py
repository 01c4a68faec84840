"""Read-only on demand, on a real cluster: for a collection, by hand, and what a dead run leaves."""

import time
from collections.abc import Callable

import pytest

from support.client import Client, image
from support.cluster import Release
from support.collector import PHASES
from support.hooks import Ended, HookJob, freezing, told
from support.on_replicas import (
    READ_ONLY,
    WRITABLE,
    Replica,
    SwitchWatch,
    assert_all_pull,
    calmly_pushing,
)
from support.waiting import until

# As people have it: what is fresh is safe for an hour, and each collection waits for a minute.
USUAL = {
    "persistence.enabled": "true",
    "persistence.size": "1Gi",
    "garbageCollect.readOnly": "true",
    "garbageCollect.gracePeriod": "1h",
    "garbageCollect.settlePeriod": "60s",
}
_EXPIRES = 30  # seconds


def mode_exists(release: Release) -> bool:
    """Say whether the key is there that makes registries read-only."""
    return f"{release.fullname}-gc-mode" in release.cluster.kubectl(
        "get", "configmaps", "-n", release.namespace, "-o", "name"
    )


def states(release: Release) -> list[tuple[int, int]]:
    """Return what each replica answers to a push and to a pull."""
    return [replica.answers("app", "kept") for replica in Replica.all_of(release)]


def assert_as_before(release: Release, *, restarts: int) -> None:
    """Nothing is left of it: every replica takes pushes, and was restarted so often."""
    replicas = Replica.all_of(release)
    assert replicas
    assert not mode_exists(release)
    assert {replica.answers("app", "kept") for replica in replicas} == {(WRITABLE, 200)}
    assert {replica.restarts for replica in replicas} == {restarts}


def test_two_replicas_free_the_space_at_once(
    release: Release, measured: Callable[[str], None]
) -> None:
    """While it lasts every replica answers 405 to a push and serves pulls; what was deleted is gone
    after seconds, although the periods say an hour and a minute.

    Seen to fail: GC_READ_ONLY not given to the collection; nothing is old enough to go.
    """
    release.install({**USUAL, "replicaCount": "2"})
    release.wait_until_it_answers()
    kept, gone = image("kept", layers=3), image("gone", layers=3)
    release.client().push("app", kept, "kept")
    release.client().push("app", gone, "gone")
    release.client().delete_manifest("app", gone.digest)
    first = min(pod["metadata"]["name"] for pod in release.pods())

    with (
        calmly_pushing(release) as pushes,
        SwitchWatch(release, "app", "kept") as watch,
    ):
        pushes.wait_for_more(2)
        began = time.monotonic()
        with freezing(release, "settle", first) as frozen:
            job = HookJob.begun(release, "collect")
            frozen.wait()
            assert states(release) == [(READ_ONLY, 200)] * 2
            assert mode_exists(release)
            second = HookJob.begun(release, "second").end()
        ended = job.end()
        seconds = time.monotonic() - began
        pushes.wait_for_more(2)

    measured(f"read-only, two replicas: {watch}; the whole run {seconds:.1f} s; {pushes.kinds()}")
    assert ended.code == 0, ended.logs
    # And what pushes had uploaded that were refused then.
    assert ended.deleted >= 5, ended.logs
    assert second.code == 4, second.logs
    assert "it is read-only already, by" in second.message
    assert {error.status for *_, error in pushes.failed} >= {READ_ONLY}, "no push met it"
    assert {error.status for *_, error in pushes.failed} <= {READ_ONLY, 0, 503}, pushes.kinds()
    assert {status for _, status in watch.pulls} <= {200, 0}
    assert_as_before(release, restarts=2)
    assert [event[:2] for event in told(release) if "read-only already" not in event[2]] == [
        ("Normal", "ReadOnly"), ("Normal", "Collected"),
    ]  # fmt: skip
    release.client().push("app", gone, "again")
    assert_all_pull(release, pushes)
    release.restart_registry()
    assert_all_pull(release, pushes)
    assert release.client().pull("app", "again").missing == ()


def test_after_kill_9_the_schedule_takes_it_back(
    release: Release, measured: Callable[[str], None]
) -> None:
    """By itself: nobody does anything after the hook is dead.

    Seen to fail: an endpoint CronJob without GC_MODE.
    """
    release.install(
        {
            **USUAL,
            "garbageCollect.readOnlyExpires": f"{_EXPIRES}s",
            "endpoint.schedule": "* * * * *",
        }
    )
    release.wait_until_it_answers()
    kept, gone = image("kept", layers=3), image("gone", layers=3)
    release.client().push("app", kept, "kept")
    release.client().push("app", gone, "gone")
    release.client().delete_manifest("app", gone.digest)

    with (
        calmly_pushing(release) as pushes,
        SwitchWatch(release, "app", "kept") as watch,
    ):
        pushes.wait_for_more(2)
        with freezing(release, "settle") as frozen:
            job = HookJob.begun(release, "killed")
            frozen.wait()
            job.kill()
            killed = time.monotonic()
            assert job.end().code == 137
            assert states(release) == [(READ_ONLY, 200)]
        until(
            lambda: watch.now == WRITABLE, what="pushes again", timeout=_EXPIRES + 60 + 60,
            pause=0.2,
        )  # fmt: skip
        seconds = time.monotonic() - killed
        pushes.wait_for_more(2)

    measured(
        f"killed while read-only for {_EXPIRES} s at most: writable after {seconds:.1f} s; {watch}"
    )
    until(lambda: not mode_exists(release), what="the key is gone", pause=0.5)
    # What the dead hook had begun went on, and was finished before that.
    assert release.status()["report"]["deleted"]["blobs"] >= 5
    assert any(event[:2] == ("Warning", "ReadOnlyTakenBack") for event in told(release)), told(
        release
    )
    assert_as_before(release, restarts=2)
    assert_all_pull(release, pushes)
    release.restart_registry()
    assert_all_pull(release, pushes)


def by_hand(release: Release, name: str, *args: str) -> Ended:
    """Run `registry-gc read-only` as a person does: a Job of the CronJob, with other arguments."""
    job = HookJob.of(release, name, args=["read-only", *args])
    job.go()
    return job.end()


def test_on_and_off_by_hand_with_a_statefulset(
    release: Release, measured: Callable[[str], None]
) -> None:
    """Each of the two replicas has a store of its own.

    Seen to fail: a `Switch` that takes the first pod for all of them.
    """
    release.install({**USUAL, "useStatefulSet": "true", "replicaCount": "2"})
    release.wait_until_it_answers()
    kept = image("kept", layers=3)

    def pushed_to_both() -> bool:
        # A new connection each time, so that another replica may take it.
        client = Client(f"http://{release.address}")
        client.push("app", kept, "kept")
        client.close()
        return {pulled for _, pulled in states(release)} == {200}

    until(pushed_to_both, what="both have it", timeout=60)

    began = time.monotonic()
    on = by_hand(release, "on", "on", "--for", "1h")
    on_took = time.monotonic() - began
    assert on.code == 0, on.logs
    assert states(release) == [(READ_ONLY, 200)] * 2
    assert by_hand(release, "settle", "settle").code == 0
    assert states(release) == [(READ_ONLY, 200)] * 2, "it was taken back while it holds"
    began = time.monotonic()
    off = by_hand(release, "off", "off")
    measured(f"two replicas by hand: on {on_took:.1f} s, off {time.monotonic() - began:.1f} s")

    assert off.code == 0, off.logs
    assert "people can push again" in off.logs
    assert_as_before(release, restarts=2)


@pytest.mark.full
@pytest.mark.parametrize("phase", ["claimed", "forth", "scan", "remove", "back"])
def test_after_kill_9_the_next_run_takes_it_back(release: Release, phase: str) -> None:
    """Wherever it was killed: before the first restart, in it, in the collection, in the second.

    Seen to fail: a hook that does not settle what another one has left.
    """
    release.install({**USUAL, "garbageCollect.readOnlyExpires": "20s", "endpoint.suspend": "true"})
    release.wait_until_it_answers()
    kept, gone = image("kept", layers=3), image("gone", layers=3)
    release.client().push("app", kept, "kept")
    release.client().push("app", gone, "gone")
    release.client().delete_manifest("app", gone.digest)
    (replica,) = Replica.all_of(release)

    with calmly_pushing(release) as pushes:
        pushes.wait_for_more(2)
        kill_in(release, replica, phase)
        until(
            lambda: HookJob.begun(release, f"next-{time.time_ns()}").end().code == 0,
            what="a run that is not held back by the dead one's key",
            timeout=180,
            pause=3,
        )
        pushes.wait_for_more(2)

    assert not mode_exists(release)
    assert replica.answers("app", "kept") == (WRITABLE, 200)
    assert_all_pull(release, pushes)
    release.restart_registry()
    assert_all_pull(release, pushes)


def kill_in(release: Release, replica: Replica, phase: str) -> None:
    """Kill a hook in a phase of the collection, or before or after it."""
    if phase in PHASES:
        with freezing(release, phase) as frozen:
            job = HookJob.begun(release, "killed")
            frozen.wait()
            job.kill()
            assert job.end().code == 137
        return
    job = HookJob.begun(release, "killed")
    if phase == "claimed":
        until(lambda: mode_exists(release), what="its key", pause=0.1)
    elif phase == "forth":
        until(lambda: replica.registry["restarting"], what="the first restart", timeout=60)
    else:
        job.wait_for_log("Deleted")
        until(lambda: not mode_exists(release), what="its key is gone", pause=0.1)
    job.kill()
    assert job.end().code == 137
