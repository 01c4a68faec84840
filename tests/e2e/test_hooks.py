"""The hook on a real cluster: two at once, killed, cut off, denied. No image is lost by any of it.

Without read-only and with the cache off: the sidecar collects whatever becomes of who asked it, and
nothing is restarted, so no push may fail either. One release for all tests, pushed to in each; at
the end everything that was acknowledged is pulled from a new pod.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from support.client import Manifest, image
from support.cluster import Release
from support.collector import PHASES
from support.hooks import HookJob, denied, freezing, told, without_the_api
from support.on_replicas import assert_all_pull, calmly_pushing
from support.waiting import until

pytestmark = pytest.mark.xdist_group("hooks")

VALUES = {
    "persistence.enabled": "true",
    "persistence.size": "1Gi",
    # No push that goes on is refused: what there is to collect was pushed before the first test.
    "garbageCollect.gracePeriod": "10s",
}
_LAYERS = 12
_BLOBS = _LAYERS + 2  # with its configuration and itself
_AWAY = 30.0  # seconds


@dataclass
class Hooked:
    """The release, what there is to collect, and all that clients were told they have pushed."""

    release: Release
    doomed: list[tuple[str, Manifest]] = field(repr=False)
    pushed: list[tuple[str, str, Manifest]] = field(default_factory=list, repr=False)

    @contextmanager
    def in_use(self) -> Iterator[Manifest]:
        """Delete an image and push others all the time; return the deleted one."""
        tag, doomed = self.doomed.pop()
        self.release.client().delete_manifest("app", doomed.digest)
        with calmly_pushing(self.release, f"beside-{tag}") as pushes:
            pushes.wait_for_more(2)
            yield doomed
            pushes.wait_for_more(2)
        assert not pushes.failed, pushes.kinds()
        self.pushed += [
            (f"beside-{tag}", name, manifest) for name, manifest in pushes.acknowledged.items()
        ]
        assert_all_pull(self.release, pushes, f"beside-{tag}")

    def push_again(self, doomed: Manifest) -> None:
        """Push what was deleted, and is just being collected."""
        tag = f"again-{len(self.pushed)}"
        self.release.client().push("app", doomed, tag)
        self.pushed.append(("app", tag, doomed))

    def assert_all_pull(self) -> None:
        client = self.release.client()
        for repository, tag, manifest in self.pushed:
            pulled = client.pull(repository, tag)
            assert (pulled.digest, pulled.missing) == (manifest.digest, ()), f"{repository}:{tag}"


@pytest.fixture(scope="module")
def hooked(lasting: Release) -> Iterator[Hooked]:
    lasting.install(VALUES)
    lasting.wait_until_it_answers()
    # Many blobs each, so that no phase is over before it is noticed.
    doomed = [
        (f"doomed-{number}", image(f"doomed {number}", layers=_LAYERS)) for number in range(16)
    ]
    found = Hooked(lasting, doomed)
    client = lasting.client()
    for tag, manifest in doomed:
        client.push("app", manifest, tag)
    _, last = doomed.pop()
    client.delete_manifest("app", last.digest)
    # So that none is younger than the grace period, by the clock of the storage.
    until(
        lambda: f"would delete {_BLOBS} blobs" in lasting.execute("registry-gc", "plan"),
        what="the last that was pushed may go",
        timeout=60,
        pause=1,
    )
    yield found
    lasting.restart_registry()
    assert found.pushed, "nothing was pushed: this shows nothing"
    found.assert_all_pull()


def test_two_at_once_join_one_run(hooked: Hooked) -> None:
    """Seen to fail: a sidecar that refuses who asks for what goes on already."""
    release = hooked.release
    before = len(told(release))
    with hooked.in_use() as doomed, freezing(release, "settle") as frozen:
        jobs = [HookJob.of(release, name) for name in ("first", "second")]
        for job in jobs:
            job.go()
        frozen.wait()
        for job in jobs:
            job.wait_for_log(": run ")
        hooked.push_again(doomed)
    first, second = (job.end() for job in jobs)

    assert (first.code, second.code) == (0, 0), first.logs + second.logs
    assert first.run == second.run
    assert ["(joined)" in each.logs for each in (first, second)].count(True) == 1
    assert [event[:2] for event in told(release)[before:]] == [("Normal", "Collected")] * 2


@pytest.mark.parametrize("phase", PHASES[:-1])
def test_a_killed_hook_leaves_a_collection_that_ends_well(hooked: Hooked, phase: str) -> None:
    """The next one tells what happened, on the workload too.

    Seen to fail: a burial that does not look again at what was pushed meanwhile, nor heals it; what
    is pushed while the collection stands still is lost.
    """
    release = hooked.release
    with hooked.in_use() as doomed:
        with freezing(release, phase) as frozen:
            job = HookJob.begun(release, f"killed-in-{phase}")
            assert frozen.wait() == phase
            assert release.status()["phase"] == phase
            job.kill()
            assert job.end().code == 137
            hooked.push_again(doomed)
        until(lambda: release.status()["state"] == "done", what="the end of its run", pause=0.2)
        status = release.status()
        assert status["exitCode"] == 0, status
        assert status["report"]["deleted"]["blobs"] + status["report"]["kept"]["blobs"] > 0
        next_one = HookJob.begun(release, f"after-{phase}").end()

    assert next_one.code == 0, next_one.logs
    kind, reason, message = told(release)[-1]
    assert (kind, reason) == ("Normal", "Collected")
    assert message.startswith(f"{release.pod()['metadata']['name']}: Deleted ")


def test_told_to_end_it_says_that_the_collection_goes_on(hooked: Hooked) -> None:
    """Seen to fail: a hook without a handler of SIGTERM, which as process 1 of a container waits on
    until it is killed.
    """
    release = hooked.release
    with hooked.in_use() as doomed, freezing(release, "settle") as frozen:
        job = HookJob.begun(release, "told-to-end")
        frozen.wait()
        job.wait_for_log(": run ")
        job.kill("SIGTERM")
        ended = job.end(timeout=20)
        hooked.push_again(doomed)

    assert ended.code == 1
    assert "the collection was not waited for; if it goes on, it is safe" in ended.message


def test_the_api_is_away_for_half_a_minute(hooked: Hooked) -> None:
    """Seen to fail: `Api.patience` of 20 s."""
    release = hooked.release
    with hooked.in_use() as doomed:
        job = HookJob.of(release, "cut-off")
        with without_the_api(job):
            job.go()
            threading.Event().wait(_AWAY)
            assert not job.logs(), "it was not cut off: this shows nothing"
        ended = job.end()
        hooked.push_again(doomed)

    assert ended.code == 0, ended.logs
    assert ended.deleted == _BLOBS, ended.logs
    assert told(release)[-1][:2] == ("Normal", "Collected")


@pytest.mark.full
def test_an_api_that_does_not_come_back_is_named(hooked: Hooked) -> None:
    """Seen to fail: an `Api` that tries for ever; its Job ends by its deadline, without a word."""
    release = hooked.release
    with hooked.in_use():
        job = HookJob.of(release, "cut-off-for-good")
        with without_the_api(job):
            job.go()
            ended = job.end(timeout=120)
        collected = HookJob.begun(release, "after-that").end()

    assert ended.code == 5
    assert "nothing was collected: the Kubernetes API does not answer" in ended.message
    assert "check the API server" in ended.message
    assert collected.code == 0


def test_without_its_rights_it_says_which_it_lacks(hooked: Hooked) -> None:
    """Where no Event can be written, `kubectl describe` of its pod has the sentence.

    Seen to fail: a container without terminationMessagePolicy; only its log says why then.
    """
    release = hooked.release
    before = told(release)
    with hooked.in_use():
        with denied(release):
            ended = HookJob.begun(release, "denied").end()
        assert told(release) == before
        after = HookJob.begun(release, "not-denied").end()

    assert ended.code == 2
    sentence = "nothing was collected: the Kubernetes API does not let this pod list pods in"
    assert f"{sentence} {release.namespace}" in ended.message
    assert "the chart makes such a Role unless it was changed" in ended.message
    assert after.code == 0


def test_rights_that_are_taken_away_meanwhile_cost_the_event_alone(hooked: Hooked) -> None:
    """Seen to fail: an `Events` that raises what it cannot write."""
    release = hooked.release
    before = told(release)
    with hooked.in_use() as doomed, ExitStack() as rights:
        with freezing(release, "settle") as frozen:
            job = HookJob.begun(release, "denied-meanwhile")
            frozen.wait()
            job.wait_for_log(": run ")
            rights.enter_context(denied(release))
            hooked.push_again(doomed)
        ended = job.end()

    assert ended.code == 0, ended.logs
    assert "Deleted" in ended.logs
    assert "no Event was written: the Kubernetes API does not let this pod read" in ended.logs
    assert told(release) == before
