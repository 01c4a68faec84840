"""The API server of the cluster stands still: no other test may run meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from support.client import image
from support.cluster import Cluster, Release
from support.hooks import HookJob, freezing, on_node, told
from support.on_replicas import (
    READ_ONLY,
    WRITABLE,
    Replica,
    SwitchWatch,
    assert_all_pull,
    calmly_pushing,
)
from support.waiting import until

_NODE = "registry-gc-control-plane"
_AWAY = 30.0  # seconds


@contextmanager
def api_stopped(cluster: Cluster) -> Iterator[None]:
    """Have the API server stand still, which answers nobody and lets nobody go."""
    (process,) = on_node(_NODE, "pgrep", "-x", "kube-apiserver").split()
    on_node(_NODE, "kill", "-STOP", process)
    try:
        yield
    finally:
        on_node(_NODE, "kill", "-CONT", process)
        until(
            lambda: "ok" in cluster.kubectl("get", "--raw", "/readyz", check=False),
            what="the API server is ready again", timeout=120, pause=1,
        )  # fmt: skip


@pytest.mark.full
def test_the_api_server_stands_still_for_half_a_minute(
    release: Release, measured: Callable[[str], None]
) -> None:
    """In the middle of a read-only collection, which ends meanwhile; then all is as before.

    Seen to fail: `Api.patience` of 20 s; the registry stays read-only.
    """
    release.install(
        {
            "persistence.enabled": "true",
            "persistence.size": "1Gi",
            "garbageCollect.readOnly": "true",
            "endpoint.suspend": "true",
        }
    )
    release.wait_until_it_answers()
    gone = image("gone", layers=3)
    release.client().push("app", image("kept", layers=3), "kept")
    release.client().push("app", gone, "gone")
    release.client().delete_manifest("app", gone.digest)

    with (
        calmly_pushing(release) as pushes,
        SwitchWatch(release, "app", "kept") as watch,
    ):
        pushes.wait_for_more(2)
        with freezing(release, "settle", at_most=5) as frozen:
            job = HookJob.begun(release, "not-answered")
            frozen.wait()
            with api_stopped(release.cluster):
                threading.Event().wait(_AWAY)
                assert watch.now == READ_ONLY, "it was not stopped: this shows nothing"
        ended = job.end()
        pushes.wait_for_more(2)

    measured(f"the API server stood still for {_AWAY:.0f} s: {watch}")
    assert ended.code == 0, ended.logs
    # And what pushes had uploaded that were refused then.
    assert ended.deleted >= 5, ended.logs
    (replica,) = Replica.all_of(release)
    assert replica.answers("app", "kept") == (WRITABLE, 200)
    assert replica.restarts == 2
    assert [event[1] for event in told(release)] == ["ReadOnly", "Collected"]
    release.client().push("app", gone, "again")
    assert_all_pull(release, pushes)
    release.restart_registry()
    assert_all_pull(release, pushes)
    assert release.client().pull("app", "again").missing == ()
