"""Two releases in one namespace: what one does to its own registries, the other does not notice."""

from collections.abc import Iterator

import pytest

from support.client import image
from support.cluster import Release
from support.hooks import HookJob, freezing, told
from support.on_replicas import READ_ONLY, WRITABLE, Replica, assert_all_pull, calmly_pushing

VALUES = {
    "persistence.enabled": "true",
    "persistence.size": "1Gi",
    "garbageCollect.readOnly": "true",
}


@pytest.fixture
def other(release: Release) -> Iterator[Release]:
    """Return a second release, whose name begins as the first one's; nothing outside reaches it."""
    found = Release(release.cluster, release.namespace, 0, name=f"{release.name}-b")
    found.install({**VALUES, "service.type": "ClusterIP", "service.nodePort": ""})
    yield found
    found.close()
    found.uninstall()


def test_a_read_only_collection_is_no_matter_of_the_neighbours(
    release: Release, other: Release
) -> None:
    """Both at the same time, too: each has its own key, its own store and its own Events.

    Seen to fail: GC_SELECTOR without the release; each hook then asks the other one's pods too.
    """
    release.install(VALUES)
    release.wait_until_it_answers()
    gone = image("gone", layers=3)
    release.client().push("app", image("kept"), "kept")
    release.client().push("app", gone, "gone")
    release.client().delete_manifest("app", gone.digest)
    (ours,), (theirs,) = Replica.all_of(release), Replica.all_of(other)
    before = theirs.registry

    with calmly_pushing(release) as pushes:
        pushes.wait_for_more(2)
        with freezing(release, "settle") as frozen:
            job = HookJob.begun(release, "ours")
            frozen.wait()
            assert ours.answers("app", "kept")[0] == READ_ONLY
            assert theirs.answers("app", "kept")[0] == WRITABLE
            assert theirs.registry == before
            # A whole run of theirs beside ours, which goes on.
            assert HookJob.begun(other, "theirs").end().code == 0
            assert theirs.answers("app", "kept")[0] == WRITABLE
            assert ours.answers("app", "kept")[0] == READ_ONLY
        ended = job.end()
        pushes.wait_for_more(2)

    assert ended.code == 0, ended.logs
    # And what pushes had uploaded that were refused then.
    assert ended.deleted >= 5, ended.logs
    assert ours.answers("app", "kept") == (WRITABLE, 200)
    assert (ours.restarts, theirs.restarts) == (2, 2)
    for each in (release, other):
        assert [event[1] for event in told(each)] == ["ReadOnly", "Collected"]
    assert_all_pull(release, pushes)
    release.restart_registry()
    assert_all_pull(release, pushes)
