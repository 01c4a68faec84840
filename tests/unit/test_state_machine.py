"""Rules 1 to 6 and 12 over drawn histories: whatever people do to a store, and its collections.

Each step is made to a store on disk and to a model (support/model.py). A collection, which may be
killed at any change and started again, leaves exactly what the model says.
"""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from registry_gc import journal
from registry_gc.collect import Outcome
from registry_gc.errors import CollectorError
from registry_gc.options import duration
from registry_gc.storage import NoSpaceError
from support.collecting import collection, options, plan
from support.faults import Died, Faults, dies, fails, install
from support.model import Model

REPOSITORIES = st.sampled_from(["a", "a/b", "c"])
TAGS = st.sampled_from(["", "v1", "v2"])
LAYERS = st.lists(st.sampled_from([b"one", b"two", b"three", b"four"]), max_size=3, unique=True)
PICKS = st.integers(0, 1000)
MEETS = {
    "killed": (dies, True),
    "EIO": (fails(errno.EIO), False),
    "ENOSPC": (fails(errno.ENOSPC), True),
    "EACCES": (fails(errno.EACCES), True),
}


class History(RuleBasedStateMachine):
    """One store and its model."""

    @initialize()
    def begin(self) -> None:
        memory = Path("/dev/shm")
        folder = tempfile.mkdtemp(dir=memory if memory.is_dir() else None)
        self.root = Path(folder)
        self.model = Model(self.root)
        self.damaged = False
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(journal, "_RESERVE_NAMES", 1)
        self.patch.setattr(journal, "_RESERVE_BYTES", 4096)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.patch.undo()
            shutil.rmtree(self.root)

    def picked(self, pick: int, repository: str = "") -> tuple[str, str]:
        """Return one of the manifests (of a repository)."""
        known = sorted(
            key for key in self.model.revisions if key[0] == repository or not repository
        )
        return known[pick % len(known)]

    @rule(repository=REPOSITORIES, layers=LAYERS, note=st.sampled_from("xy"), tag=TAGS)
    def push_image(self, repository: str, layers: list[bytes], note: str, tag: str) -> None:
        self.model.push_image(repository, layers, note=note, tag=tag)

    @precondition(lambda self: self.model.revisions)
    @rule(repository=REPOSITORIES, picks=st.lists(PICKS, min_size=1, max_size=3), tag=TAGS)
    def push_index(self, repository: str, picks: list[int], tag: str) -> None:
        """Push an index of manifests that may be here or only elsewhere: a sparse one."""
        children = sorted({self.picked(pick)[1] for pick in picks})
        self.model.push_index(repository, children, tag)

    @precondition(lambda self: self.model.revisions)
    @rule(pick=PICKS, form=st.sampled_from(["untagged", "fallback", "signature", "tagged"]))
    def push_referrer(self, pick: int, form: str) -> None:
        repository, subject = self.picked(pick)
        about = subject.replace(":", "-")
        tag = {"untagged": "", "fallback": about, "signature": f"{about}.sig", "tagged": "v3"}[form]
        self.model.push_image(repository, [b"about"], note=form, subject=subject, tag=tag)

    @precondition(lambda self: self.model.layers)
    @rule(pick=PICKS, repository=REPOSITORIES)
    def mount(self, pick: int, repository: str) -> None:
        known = sorted(key for key in self.model.layers if key[1] in self.model.blobs)
        if known:
            self.model.link_layer(repository, known[pick % len(known)][1])

    @precondition(lambda self: self.model.revisions)
    @rule(pick=PICKS, tag=st.sampled_from(["v1", "v2"]))
    def retag(self, pick: int, tag: str) -> None:
        repository, name = self.picked(pick)
        if name in self.model.blobs:
            content, known = self.model.contents[name], self.model.manifests[name]
            self.model.push(repository, content, known, tag)

    @precondition(lambda self: self.model.tags)
    @rule(pick=PICKS)
    def delete_tag(self, pick: int) -> None:
        known = sorted(self.model.tags)
        self.model.delete_tag(*known[pick % len(known)])

    @precondition(lambda self: self.model.revisions)
    @rule(pick=PICKS)
    def delete_manifest(self, pick: int) -> None:
        self.model.delete_manifest(*self.picked(pick))

    @rule(repository=REPOSITORIES)
    def start_upload(self, repository: str) -> None:
        self.model.start_upload(repository, len(self.model.uploads))

    @rule(minutes=st.sampled_from([40, 150, 10 * 1440]))
    def age(self, minutes: int) -> None:
        self.model.age(60 * minutes)

    @rule(
        after=st.sampled_from([150, 150, 0]),
        untagged=st.sampled_from([False, False, True]),
        offline=st.booleans(),
        meet=st.sampled_from(["nothing", "nothing", *MEETS]),
        at=st.integers(0, 80),
    )
    def collect(self, after: int, untagged: bool, offline: bool, meet: str, at: int) -> None:
        """Collect some minutes later, perhaps with a death or a fault on the way and then again."""
        self.model.age(60 * after)
        wanted = self.model.collected(untagged=untagged)
        planned = plan(self.root, chosen=options(delete_untagged=not untagged))
        assert planned.problems == []
        event("something to take" if not planned.nothing_to_take else "nothing to take")
        if meet != "nothing":
            act, lasting = MEETS[meet]
            faults = Faults(at, act, lasting=lasting)
            with pytest.MonkeyPatch.context() as patch:
                install(patch, faults)
                with contextlib.suppress(Died, CollectorError, NoSpaceError):
                    self._collect(untagged=untagged, offline=offline)
            event(f"{meet}: {'met' if faults.met else 'not met'}")
            self._nothing_live_is_missing(wanted)
        outcome = self._collect(untagged=untagged, offline=offline)
        assert outcome.problems == []
        self._is(wanted)
        again = plan(self.root, chosen=options(delete_untagged=not untagged))
        assert again.nothing_to_take, "rule 6"
        self.model = wanted

    def _collect(self, *, untagged: bool, offline: bool) -> Outcome:
        one = collection(self.root, chosen=options(delete_untagged=not untagged))
        return one.run_offline() if offline else one.run()

    @rule(untagged=st.booleans(), pick=PICKS)
    def quarantine_and_restore(self, untagged: bool, pick: int) -> None:
        """What is quarantined can all be restored; and goes when its time is over."""
        wanted = self.model.collected(untagged=untagged)
        before = self._links_and_blobs()
        quarantining = options(delete_untagged=not untagged, quarantine=duration("7d"))
        collection(self.root, chosen=quarantining).run()
        self._is(wanted)
        if pick % 2:
            store = collection(self.root).store
            journal.Journal(store).restore()
            assert self._links_and_blobs() == before
            # What was restored has its own time again; uploads are never quarantined.
            self.model.uploads = wanted.uploads
        else:
            collection(self.root, chosen=options(delete_untagged=not untagged)).run()
            assert not list((self.model.disk.state / "quarantine").rglob("link"))
            self.model = wanted

    def _links_and_blobs(self) -> dict[str, bytes]:
        return {
            name: content
            for name, content in self.model.disk.files().items()
            if name[-1] != "/" and "/_uploads/" not in name
        }

    def _nothing_live_is_missing(self, wanted: Model) -> None:
        there = self.model.disk.files()
        missing = [name for name, content in wanted.files().items() if there.get(name) != content]
        assert missing == [], "rule 1"

    def _is(self, wanted: Model) -> None:
        there = {name: each for name, each in self.model.disk.files().items() if name[-1] != "/"}
        expected = wanted.files()
        assert {
            "lost": sorted(expected.keys() - there.keys()),
            "left": sorted(there.keys() - expected.keys()),
        } == {"lost": [], "left": []}
        assert there == expected


@pytest.fixture
def history() -> Iterator[History]:
    """A history that a test plays by hand: the shrunk examples of what was found."""
    machine = History()
    machine.begin()
    yield machine
    machine.teardown()


def collected(history: History, *, offline: bool = False) -> None:
    wanted = history.model.collected()
    history._collect(untagged=False, offline=offline)
    history._is(wanted)
    history.model = wanted


def test_shrunk_a_young_entry_of_a_tags_history_keeps_its_blob(history: History) -> None:
    """The manifest was deleted, but the tag's history still names it: it may be read next."""
    name = history.model.push_image("c", [], note="x", tag="v2")
    history.model.age(150 * 60)
    history.model.push("c", history.model.contents[name], history.model.manifests[name], "v2")
    history.model.push_image("c", [], note="y", tag="v2")
    history.model.delete_manifest("c", name)

    collected(history)

    assert name in history.model.blobs
    history.model.age(150 * 60)
    collected(history)
    assert name not in history.model.blobs


@pytest.mark.parametrize("offline", [True, False])
def test_shrunk_a_signature_goes_although_the_run_was_killed(
    history: History, offline: bool
) -> None:
    """Cut between a subject and its signature's tag, the tag looked like any other, for ever.

    Seen to fail: let `unneeded_links` yield revisions before tags.
    """
    subject = history.model.push_image("a", [], note="x")
    tag = f"{subject.replace(':', '-')}.sig"
    history.model.push_image("a", [b"about"], note="signature", tag=tag)
    history.model.age(150 * 60)
    template = history.root.with_name(f"{history.root.name}-template")
    shutil.copytree(history.root, template)
    wanted = history.model.collected()
    for at in range(200):
        shutil.rmtree(history.root)
        shutil.copytree(template, history.root)
        faults = Faults(at, dies, lasting=True)
        with pytest.MonkeyPatch.context() as patch:
            install(patch, faults)
            with contextlib.suppress(Died):
                history._collect(untagged=False, offline=offline)
        if not faults.met:
            break
        history._collect(untagged=False, offline=offline)
        history._is(wanted)
    shutil.rmtree(template)
    assert 10 < at < 199


class TestHistories(History.TestCase):  # type: ignore[misc, valid-type]  # made at run time
    settings = settings(
        max_examples=30,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


@pytest.mark.full
class TestManyHistories(History.TestCase):  # type: ignore[misc, valid-type]  # likewise
    settings = settings(
        max_examples=250,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
