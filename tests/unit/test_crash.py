"""Rule 4: a run dies or meets a fault at any change of the file system; then another one runs.

Every system call of a whole run that changes something is a point (support/faults.py), so "before
the n-th" is also "after the one before it". Beside an online collection two pushes go on, each of
which was told by the registry that its layers exist before the run took them: one ends in the
settling, one in the confirmation. The other jobs run on a store at rest. The gate takes a spread of
the points, `make test-full` each of them.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry_gc import journal
from registry_gc.collect import Outcome, recover
from registry_gc.errors import CollectorError
from registry_gc.journal import Journal
from registry_gc.options import duration
from registry_gc.storage import FileStore, NoSpaceError
from support.collecting import collect, collection, options, plan
from support.faults import Died, Faults, dies, fails, install
from support.store import StoreBuilder, digest

ENOUGH = 1000  # more changes than a run makes


@dataclass
class Scene:
    """A copy of the template store, and the two pushes, each of which happens once."""

    store: StoreBuilder
    early: str
    late: str
    kept: str
    phases: list[str] = field(default_factory=list)
    pushed: set[str] = field(default_factory=set)

    def enter(self, phase: str) -> Callable[[], None]:
        def entered() -> None:
            self.phases.append(phase)
            if phase == "settle":
                self.push(self.early, "early")
            if phase == "confirm":
                self.push(self.late, "late")

        return entered

    def push(self, image: str, tag: str) -> None:
        """Write what a push writes that was told that its layers and its manifest exist."""
        if tag not in self.pushed:
            self.pushed.add(tag)
            self.store.write(self.store.revision_link("app", image), image)
            self.store.tag("app", tag, image)

    def run(self, **settings: object) -> Outcome:
        self.phases = []
        at = {
            phase: self.enter(phase)
            for phase in ("scan", "unlink", "settle", "bury", "forget", "confirm", "remove")
        }
        return collect(self.store.root, at=at, **settings)

    def assert_pushed_whole(self, point: str) -> None:
        """Rule 1: whatever was pushed by now is complete."""
        for tag, image in (("early", self.early), ("late", self.late)):
            if tag in self.pushed:
                self.assert_complete(image, f"{point}: {tag}")
                assert (self.store.tag_folder("app", tag) / "current/link").read_text() == image

    def assert_complete(self, image: str, point: str) -> None:
        needed = [self.store.revision_link("app", image), self.store.blob_path(image)]
        for name in self.store.references(image) if self.store.blob_path(image).exists() else ():
            needed += [self.store.layer_link("app", name), self.store.blob_path(name)]
        missing = [str(path) for path in needed if not path.exists() or not path.stat().st_size]
        assert not missing, f"{point}: {missing}"

    def files(self) -> dict[str, bytes]:
        """Return the registry's files; folders that are empty may stay for a grace period."""
        return {name: content for name, content in self.store.files().items() if name[-1] != "/"}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is one: so many copies take minutes on a disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("crash")
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def template(workshop: Path) -> Path:
    """A store with something of every kind to take, and two images that will be wanted again."""
    root = workshop / "template"
    store = StoreBuilder(root)
    store.image("app", "v1", layers=["base", "kept"])
    store.image("app", layers=["base", "early"])
    store.image("app", layers=["base", "late"])
    dead = store.image("app", layers=["base", "dead"])
    store.image("app", f"{dead.replace(':', '-')}.sig", layers=["signature"])
    store.image("app", layers=["referrer"], subject=dead)
    store.tag("app", "v1", dead)  # and back: its tag index keeps both
    store.tag("app", "v1", store.image("app", layers=["base", "kept"]))
    store.image("old/app", "v1", layers=["base", "old"])
    store.delete_tag("old/app", "v1")
    store.upload("app")
    store.age(30 * 86400)
    return root


@pytest.fixture
def scenes(template: Path, workshop: Path) -> Callable[[], Scene]:
    """Return what makes fresh copies of the template."""
    image = StoreBuilder(template)
    early, late, kept = (
        next(name for name in _manifests(image) if digest(layer) in image.references(name))
        for layer in (b"early", b"late", b"kept")
    )

    def make() -> Scene:
        root = workshop / "scene"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(template, root)
        return Scene(StoreBuilder(root), early, late, kept)

    return make


def _manifests(store: StoreBuilder) -> list[str]:
    revisions = store.v2 / "repositories/app/_manifests/revisions/sha256"
    return [f"sha256:{folder.name}" for folder in revisions.iterdir()]


@pytest.fixture(autouse=True)
def _small_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the kinds of change that the reserve makes, not their number."""
    monkeypatch.setattr(journal, "_RESERVE_NAMES", 2)
    monkeypatch.setattr(journal, "_RESERVE_BYTES", 4096)


@pytest.fixture
def undisturbed(scenes: Callable[[], Scene]) -> dict[str, bytes]:
    scene = scenes()
    outcome = scene.run()
    assert (outcome.blobs, outcome.uploads, outcome.problems) == (12, 1, [])
    scene.assert_pushed_whole("undisturbed")
    return scene.files()


def disturb(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults,
    **settings: object,
) -> BaseException | None:
    """Run the scene with these faults; return how it failed, if it did."""
    with monkeypatch.context() as patch:
        install(patch, faults)
        try:
            scene.run(**settings)
        except (Died, CollectorError, NoSpaceError) as error:
            return error
    return None


def spread(points: int, *, whole: bool, salt: str) -> range:
    """Return the points to try: all, or every eighth, from where the salt says."""
    return range(points) if whole else range(sum(salt.encode()) % 8, points, 8)


WHOLE = pytest.mark.parametrize(
    "whole", [False, pytest.param(True, marks=pytest.mark.full)], ids=["spread", "whole"]
)


@WHOLE
@pytest.mark.parametrize("between", [False, True], ids=["pushes in the runs", "late push between"])
def test_rule_4_killed_at_any_change_the_next_run_ends_the_same(
    scenes: Callable[[], Scene],
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    between: bool,
    whole: bool,
) -> None:
    """Rule 4, and rule 1 for what was pushed before the death or while no collector ran.

    Seen to fail: let `recover` not finish what is doomed. That it puts back what was taken is not
    what this rests on (the next run sees it where it is); test_lock.py looks at that.
    """
    rehearsal = Faults(ENOUGH, dies)
    disturb(scenes(), monkeypatch, rehearsal)
    assert 100 < len(rehearsal.calls) < ENOUGH, "too few points, or too many"
    for number in spread(len(rehearsal.calls), whole=whole, salt=f"{between}"):
        scene = scenes()
        faults = Faults(number, dies, lasting=True)
        died = disturb(scene, monkeypatch, faults)
        point = f"before change {number} ({faults.calls[-1:]}, {scene.phases[-1:]})"
        assert isinstance(died, Died), point
        if between:
            scene.push(scene.early, "early")
            scene.push(scene.late, "late")

        scene.run()

        scene.assert_pushed_whole(point)
        assert scene.files() == undisturbed, point
        assert not list((scene.store.state / "taken").rglob("*")), point
        assert not (scene.store.state / "doomed").exists(), point


def test_killed_between_the_link_and_the_unlink_of_a_put_back(
    scenes: Callable[[], Scene], undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both names stand then: ours must go and theirs stay, whichever kind of file it is.

    Seen to fail: let `Journal.put_back` remove what stands when `put_new` finds it there (that
    run loses a push even undisturbed).
    """
    rehearsal = Faults(ENOUGH, dies)
    disturb(scenes(), monkeypatch, rehearsal)
    points = [
        number
        for number, call in enumerate(rehearsal.calls)
        if call == "unlink" and rehearsal.calls[number - 1] == "link"
    ]
    kinds = set()
    for number in points:
        scene = scenes()
        died = disturb(scene, monkeypatch, Faults(number, dies, lasting=True))
        assert isinstance(died, Died)
        taken = [path for path in (scene.store.state / "taken").rglob("*") if path.is_file()]
        twins = [path for path in taken if path.stat().st_nlink == 2]
        kinds |= {"blob" if "taken/blobs" in str(path) else "link" for path in twins}

        scene.run()

        scene.assert_pushed_whole(f"at change {number}")
        assert scene.files() == undisturbed
    assert kinds == {"blob", "link"}


@WHOLE
@pytest.mark.parametrize(
    ("number", "lasting"),
    [
        (errno.ENOSPC, False),
        (errno.ENOSPC, True),
        (errno.EIO, False),
        (errno.EIO, True),
        (errno.EACCES, False),
        (errno.EACCES, True),
        pytest.param(errno.EROFS, False, marks=pytest.mark.full),
    ],
    ids=lambda value: value if isinstance(value, bool) else errno.errorcode[value],
)
def test_rule_4_a_fault_at_any_change_is_undone_or_only_a_problem(
    scenes: Callable[[], Scene],
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    lasting: bool,
    whole: bool,
) -> None:
    """A fault before the removal: all is back, or the error says that it is not.

    Seen to fail: let `Collection._take_and_remove` not call `put_all_back`; let it say so for a
    CollectorError only, and not for NoSpaceError.
    """
    ends = {"done": 0, "undone": 0, "not undone": 0, "removing": 0}
    rehearsal = Faults(ENOUGH, dies)
    disturb(scenes(), monkeypatch, rehearsal)
    for at in spread(len(rehearsal.calls), whole=whole, salt=f"{number}{lasting}"):
        scene = scenes()
        before = [name for name in scene.files() if "_uploads" not in name]
        faults = Faults(at, fails(number), lasting=lasting)
        error = disturb(scene, monkeypatch, faults)
        assert faults.met
        point = f"at change {at} ({faults.calls[at]}, {scene.phases[-1:]})"
        left = list((scene.store.state / "taken").rglob("*"))
        end = "done" if error is None else "removing" if not before_removal(scene) else "undone"
        if end == "undone":
            missing = sorted(set(before) - scene.files().keys())
            if missing:
                end = "not undone"
                assert "not everything that was taken could be put back" in str(error), point
                assert len([path for path in left if path.is_file()]) >= len(missing), point
            elif not lasting:
                scene.assert_pushed_whole(point)
        if end == "done":
            scene.assert_pushed_whole(point)
        ends[end] += 1

        scene.run()

        scene.assert_pushed_whole(f"{point}, the next run")
        assert scene.files() == undisturbed, point
    assert ends["undone"] or not whole, ends


def before_removal(scene: Scene) -> bool:
    return not (scene.store.state / "doomed").exists() and "remove" not in scene.phases


# On a store at rest: everything else that changes a store


@dataclass(frozen=True)
class Job:
    """What is to be done to a store, and what has been done to it before."""

    name: str
    act: Callable[[Path], object]
    prepare: Callable[[Path], object] = lambda _root: None


def quarantine(root: Path) -> Outcome:
    return collect(root, chosen=options(quarantine=duration("7d")))


def restore(root: Path) -> None:
    files = FileStore(str(root))
    recover(files, Journal(files))
    Journal(files).restore()


def put_back(root: Path) -> None:
    files = FileStore(str(root))
    recover(files, Journal(files))


def take_all(root: Path) -> Journal:
    """Leave what a run leaves that died before its removal."""
    found = Journal(FileStore(str(root)))
    found.prepare()
    planned = plan(root)
    for deletion in (*planned.links, *planned.blobs):
        assert found.take(deletion)
    return found


JOBS = [
    Job("offline", lambda root: collection(root).run_offline()),
    Job("into quarantine", quarantine),
    Job("the end of the quarantine", collect, prepare=quarantine),
    Job("restore", restore, prepare=quarantine),
    Job("recover what was taken", put_back, prepare=take_all),
    Job("recover what was doomed", put_back, prepare=lambda root: take_all(root).doom()),
    Job("offline after a run that died", lambda root: collection(root).run_offline(), take_all),
]
MEETS = {
    "died": (dies, True),
    "EIO": (fails(errno.EIO), False),
    "EIO from then on": (fails(errno.EIO), True),
    "ENOSPC": (fails(errno.ENOSPC), False),
    "ENOSPC from then on": (fails(errno.ENOSPC), True),
    "EACCES": (fails(errno.EACCES), False),
    "EACCES from then on": (fails(errno.EACCES), True),
}


@WHOLE
@pytest.mark.parametrize("meet", MEETS)
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_rule_4_any_job_that_dies_or_fails_is_ended_by_the_next(
    scenes: Callable[[], Scene],
    monkeypatch: pytest.MonkeyPatch,
    job: Job,
    meet: str,
    whole: bool,
) -> None:
    """Whatever is alive stays whole, and the same job again ends as if nothing had happened.

    Seen to fail: let `run_offline` remove blobs before links and `recover` put nothing back; let
    `Journal.restore` forget what it found when it fails.
    """
    undisturbed, rehearsal = scenes(), Faults(ENOUGH, dies)
    job.prepare(undisturbed.store.root)
    with monkeypatch.context() as patch:
        install(patch, rehearsal)
        job.act(undisturbed.store.root)
    wanted, points = undisturbed.files(), len(rehearsal.calls)
    quarantined = _files_below(undisturbed.store.state / "quarantine")
    assert 5 < points < ENOUGH
    act, lasting = MEETS[meet]
    for number in spread(points, whole=whole, salt=job.name + meet):
        scene = scenes()
        job.prepare(scene.store.root)
        faults = Faults(number, act, lasting=lasting)
        with monkeypatch.context() as patch:
            install(patch, faults)
            with contextlib.suppress(Died, CollectorError, NoSpaceError):
                job.act(scene.store.root)
        point = f"{meet} at change {number} of {points}: {faults.calls[-1:]}"
        assert faults.met, point
        scene.assert_complete(scene.kept, point)

        job.act(scene.store.root)

        scene.assert_complete(scene.kept, point)
        assert scene.files() == wanted, point
        assert _files_below(scene.store.state / "quarantine") == quarantined, point
        assert not _files_below(scene.store.state / "taken"), point
        assert not (scene.store.state / "doomed").exists(), point


def _files_below(folder: Path) -> list[str]:
    """Return the files below a folder, without the time in a quarantine's name."""
    found = [path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file()]
    return sorted("/".join(part for part in parts if not part.isdigit()) for parts in found)
