"""Rule 8: damage never spreads. More than a hundred damaged stores: support/damaged_stores.py.

`registry garbage-collect` stops at most of these, or deletes what is alive (docs/develop). Here a
run goes on, names the damage, keeps what depends on it, and collects the healthy rest; `check`
names all of it; and nothing outside of the root directory is ever touched.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry_gc.checking.check import Check
from registry_gc.checking.findings import Checked
from registry_gc.collect import Outcome
from registry_gc.errors import CollectorError, GuardError
from registry_gc.run import Run
from registry_gc.storage import FileStore
from support.collecting import collect, collection, options, plan
from support.damaged_stores import (
    ALL,
    FOREIGN,
    LINKS,
    MANIFESTS,
    NEEDED_LINKS,
    OLD_LAYER,
    TAGS,
    Damage,
    Victim,
    a_file,
    a_folder,
    deep,
    fifo,
    in_turn,
    move_out,
    write,
)
from support.faults import Unreadable
from support.run import run
from support.store import (
    CONFIG,
    IMAGE,
    LAYER,
    StoreBuilder,
    digest,
    walk,
    write_configuration,
)

Everything = dict[str, tuple[object, ...]]


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    yield Victim.build(tmp_path / "store")
    # Pytest's own removal recurses, and here are folders without an end.
    run("rm", "-rf", tmp_path / "store", timeout=600)


def each(*lists: list[Damage]) -> pytest.MarkDecorator:
    """Let a test run for every damage of these lists, by its name."""
    damages = [damage for some in lists for damage in some]
    return pytest.mark.parametrize("damage", damages, ids=lambda damage: damage.name)


def harm(victim: Victim, damage: Damage) -> None:
    """Damage the store, and let all of it be older than the grace period."""
    if not damage.after_aging:
        damage.make(victim)
    age(victim)
    if damage.after_aging:
        damage.make(victim)


def age(victim: Victim) -> None:
    victim.store.age()
    if victim.outside.exists():
        victim.store.age(below=victim.outside)


def check(victim: Victim) -> Checked:
    store = FileStore(str(victim.store.root))
    huge = any(path.stat().st_size > 2**30 for path in victim.store.v2.glob("blobs/*/*/*/data"))
    return Check(store, read_data=not huge, look_again_after=0).run()


def everything(*tops: Path) -> Everything:
    """Return whatever lies below these folders: kind, size and mtime, and small contents."""
    found: Everything = {}
    for path in (path for top in tops if os.path.lexists(top) for path in walk(top)):
        status = os.lstat(path)
        content: object = None
        if stat.S_ISLNK(status.st_mode):
            content = Path(path).readlink()
        elif stat.S_ISREG(status.st_mode) and status.st_size < 2**20:
            content = Path(path).read_bytes()
        found[path] = (status.st_mode, status.st_size, status.st_mtime_ns, content)
    return found


def beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def live_files(victim: Victim) -> dict[Path, bytes]:
    """Return what the two tagged images rest on, as far as the damage has left it."""
    paths = [path for path in victim.blobs(victim.image) if path.is_file()]
    paths += list(victim.folder.glob("_manifests/tags/*/current/link"))
    names = [victim.image, victim.layer]
    paths += [victim.store.layer_link("victim", name) for name in names]
    paths += [victim.store.revision_link("victim", name) for name in names]
    healthy = victim.folder.with_name("healthy")
    paths += [healthy / "_manifests/tags/v1/current/link"]
    paths.append(victim.store.blob_path(digest(b"healthy")))
    return {path: beginning(path) for path in paths if path.is_file()}


@dataclass
class Story:
    """What became of one damaged store: checked, planned, collected, and collected again."""

    victim: Victim
    damage: Damage
    before: Everything
    outside: Everything
    live: dict[Path, bytes]
    checked: Checked
    after_check: Everything
    planned: list[str]
    first: Outcome
    second: Outcome
    after: Everything
    outside_after: Everything
    live_after: dict[Path, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, victim: Victim, damage: Damage) -> "Story":
        victim.store.age()
        harm(victim, damage)
        root = victim.store.root
        before, outside, live = everything(root), everything(victim.outside), live_files(victim)
        checked = check(victim)
        return cls(
            victim,
            damage,
            before,
            outside,
            live,
            checked,
            everything(root),
            plan(root).problems,
            collect(root),
            collect(root),
            everything(root),
            everything(victim.outside),
            {path: beginning(path) for path in live if path.exists()},
        )


@pytest.fixture(scope="module")
def story_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Damage], Story]]:
    """Return what tells a damage's story, once for all tests that look at it."""
    top = tmp_path_factory.mktemp("stories")
    told: dict[str, Story] = {}

    def tell(damage: Damage) -> Story:
        if damage.name not in told:
            victim = Victim.build(top / str(len(told)) / "store")
            told[damage.name] = Story.of(victim, damage)
        return told[damage.name]

    yield tell
    run("rm", "-rf", top)


@pytest.fixture
def story(story_of: Callable[[Damage], Story], damage: Damage) -> Story:
    return story_of(damage)


def test_the_list_is_long_and_each_name_stands_once() -> None:
    assert len(ALL) >= 100
    assert len({damage.name for damage in ALL}) == len(ALL)


@each(ALL)
class TestEachDamage:
    def test_the_run_goes_on_and_collects_the_healthy_rest(self, story: Story) -> None:
        """Seen to fail: let `Store.list` follow symbolic links; let `View.link` raise at a FIFO."""
        store = story.victim.store

        freed = not store.blob_path(story.victim.waste).exists()
        assert freed is (story.damage.frees == "all")
        assert not store.revision_link("healthy", story.victim.waste).exists()

    def test_the_plan_names_the_damage_that_it_meets(self, story: Story) -> None:
        """And a real run names it too. Seen to fail: drop the `note` in `View.link`."""
        planned, done, damage = story.planned, story.first.problems, story.damage

        assert any(damage.plan in each for each in planned) if damage.plan else planned == []
        expected = damage.plan or damage.run
        assert any(expected in each for each in done) if expected else done == []
        assert all(problem.isprintable() for problem in [*planned, *done])

    def test_what_the_tagged_images_rest_on_stays(self, story: Story) -> None:
        """Attacks 7 and 8.

        Seen to fail: let `_named_by_tag` return nothing for an unreadable tag.
        """
        assert story.live
        assert story.live_after == story.live

    def test_what_the_damage_protects_stays(self, story: Story) -> None:
        """Seen to fail: let `repository` be complete with a symbolic link in it."""
        kept = {path for path in story.before if "/repositories/victim/" in path}
        if story.damage.keeps != "all":
            kept = set()
        assert kept <= story.after.keys()

    def test_nothing_outside_of_the_root_is_touched(self, story: Story) -> None:
        """Seen to fail: let `Store.list` follow symbolic links; what they lead to is moved."""
        assert story.outside_after == story.outside

    def test_a_second_run_finds_nothing_to_do(self, story: Story) -> None:
        """Rule 6 on a damaged store."""
        assert (story.second.blobs, story.second.links, story.second.uploads) == (0, 0, 0)

    def test_check_names_the_damage_and_changes_nothing(self, story: Story) -> None:
        """Seen to fail: leave a judgement of `RepositoryCheck` out."""
        assert story.after_check == story.before
        kinds = {finding.kind for finding in story.checked.findings}
        assert not story.damage.check or story.damage.check in kinds
        normal = {"empty folder", "sparse index", "leftover of a write", "dangling layer link"}
        assert story.checked.exit_code == (not kinds <= normal)
        assert all(finding.advice and finding.what for finding in story.checked.findings)


def test_check_calls_the_undamaged_store_sound(victim: Victim) -> None:
    victim.store.age()

    assert check(victim).findings == []


@each(MANIFESTS)
def test_a_live_manifest_that_cannot_be_read_keeps_its_whole_repository(
    victim: Victim, damage: Damage
) -> None:
    """Seen to fail: let `_Walk._damaged` not set `whole`."""
    harm(victim, damage)
    before = [path for path in victim.folder.rglob("*") if path.is_file()]

    outcome = collect(victim.store.root)

    assert [str(path) for path in before if not path.exists()] == []
    untagged = victim.blobs(victim.untagged)
    assert all(path.exists() for path in untagged if damage.name != "manifest swapped with another")
    assert any("victim" in problem for problem in outcome.problems)


@each(TAGS)
def test_an_unreadable_tag_keeps_all_it_ever_named(victim: Victim, damage: Damage) -> None:
    victim.store.tag("victim", "v1", victim.untagged)
    victim.store.tag("victim", "v1", victim.image)
    harm(victim, damage)

    outcome = collect(victim.store.root)

    assert all(path.exists() for path in victim.blobs(victim.untagged))
    assert any("victim" in problem and "v1" in problem for problem in outcome.problems)


@each([damage for damage in TAGS if "missing" not in damage.name and "folder a" not in damage.name])
def test_an_unreadable_tag_without_an_index_keeps_every_revision(
    victim: Victim, damage: Damage
) -> None:
    shutil.rmtree(victim.tag / "index")
    harm(victim, damage)

    collect(victim.store.root)

    assert victim.store.revision_link("victim", victim.untagged).exists()
    assert all(path.exists() for path in victim.blobs(victim.untagged))


@each(LINKS)
def test_a_damaged_link_stays_with_what_it_names(victim: Victim, damage: Damage) -> None:
    """Seen to fail: let `_Look.age` call an unreadable link old."""
    harm(victim, damage)

    collect(victim.store.root)

    kind = "revision" if "revision" in damage.name else "layer"
    kept = victim.untagged if kind == "revision" else OLD_LAYER
    assert victim.store.blob_path(kept).exists()
    assert os.path.lexists(victim.old(kind))
    if damage.name == "layer link of another blob":
        assert victim.store.blob_path(victim.orphan).exists()


@each([damage for damage in NEEDED_LINKS if "another blob" in damage.name])
@pytest.mark.parametrize("offline", [False, True], ids=["", "offline"])
def test_before_a_burial_every_link_is_read(victim: Victim, damage: Damage, offline: bool) -> None:
    """Step 5: no link of any kind, in any repository, resolves to what is buried.

    Seen to fail: let `survey` go by the folders' names with `every_link` too.
    """
    harm(victim, damage)
    assert victim.orphan in {str(each.entry) for each in plan(victim.store.root).blobs}

    run = collection(victim.store.root)
    _ = run.run_offline() if offline else run.run()

    assert victim.store.blob_path(victim.orphan).exists()


@each(FOREIGN)
def test_what_is_not_ours_is_kept(victim: Victim, damage: Damage) -> None:
    """Seen to fail: let `survey` plan, and `Journal.take` take, what is no plain file."""
    victim.store.age()
    before = everything(victim.store.root)
    harm(victim, damage)
    after = everything(victim.store.root)
    foreign = {path for path in after if path not in before or after[path][0] != before[path][0]}
    assert foreign

    collect(victim.store.root)

    assert foreign <= everything(victim.store.root).keys()


@pytest.mark.parametrize(
    "count", [3000, pytest.param(1_000_000, marks=pytest.mark.full)], ids=["", "full"]
)
@pytest.mark.parametrize("what", ["files", "folders"])
def test_very_many_entries_in_one_folder(victim: Victim, what: str, count: int) -> None:
    """Each is foreign; a report that named all of them could not be read, nor held in memory.

    Seen to fail: note each unknown name.
    """
    folder = victim.folder / "_layers/sha256"
    for number in range(count):
        path = f"{folder}/{number}"
        if what == "files":
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        else:
            Path(path).mkdir()
    victim.store.age(below=victim.store.v2 / "blobs")
    victim.store.age(below=victim.folder.with_name("healthy"))

    outcome = collect(victim.store.root)
    checked = check(victim)

    assert outcome.blobs >= 3
    assert len(outcome.problems) < 20
    assert any(f"{count - 10:,} more" in problem for problem in outcome.problems)
    assert [each.count for each in checked.problems] == [count]
    assert len(os.listdir(folder)) >= count


def test_thousands_of_empty_links_are_not_waited_for(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves them. Only one that may just be written is looked at a second time.

    Seen to fail: sleep before each second look.
    """
    for number in range(2000):
        write(victim.store.layer_link("victim", digest(str(number).encode())), "")
    victim.store.age()
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    outcome = collect(victim.store.root)

    assert outcome.blobs >= 3
    assert slept == []


TOPS = ("docker", "docker/registry", "docker/registry/v2")
TREES = ("docker/registry/v2/blobs", "docker/registry/v2/repositories", "docker/registry-gc")


@pytest.mark.parametrize("top", [*TOPS, *TREES])
@pytest.mark.parametrize("make", [move_out, lambda _, path: a_file(path)], ids=["symlink", "file"])
def test_a_store_behind_a_symbolic_link_is_refused(
    victim: Victim, top: str, make: Callable[[Victim, Path], None]
) -> None:
    """Before anything is written. Seen to fail: leave `check_top` out of `Run._held`."""
    path = victim.store.root / top
    path.mkdir(exist_ok=True)
    make(victim, path)
    age(victim)
    before = everything(victim.outside)

    config = write_configuration(victim.store.root.parent / "config.yml", victim.store.root)
    report, code = Run(config, options(), {}).collect()

    assert code == 3, report
    assert f"{top} below the root directory is not a plain folder" in str(report["error"])
    assert everything(victim.outside) == before
    assert check(victim).exit_code == 1


def test_a_root_directory_that_is_a_symbolic_link_is_fine(victim: Victim, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("store")
    victim.store.age()

    outcome = collect(tmp_path / "link")

    assert outcome.blobs >= 3
    assert outcome.problems == []
    assert check(victim).exit_code == 0


STATE: dict[str, Callable[[Victim], object]] = {
    "a file for the folder of what was taken": lambda v: a_file(v.store.state / "taken"),
    "unknown files among what was taken": lambda v: write(v.store.state / "taken/blobs/x"),
    "a symbolic link among what was taken": in_turn(
        lambda v: (v.store.state / "taken/blobs").mkdir(parents=True),
        lambda v: (v.store.state / "taken/blobs/x").symlink_to("/etc/hostname"),
    ),
    "an unknown file among what is doomed": lambda v: write(v.store.state / "doomed/x/y"),
    "a deep chain of what is doomed": lambda v: deep(v.store.state / "doomed", 1200),
    "a quarantine of no time": lambda v: write(v.store.state / "quarantine/never/x"),
    "a file for the reserve": lambda v: a_file(v.store.state / "reserve"),
    "a folder for the holder": lambda v: a_folder(v.store.state / "holder.json"),
    "a holder that is no JSON": lambda v: write(v.store.state / "holder.json", b"\xff"),
    "a FIFO for the last report": lambda v: fifo(v.store.state / "reports/last.json"),
    "a report that is no JSON": lambda v: write(v.store.state / "reports/last.json", b"{"),
    "an unknown file": lambda v: write(v.store.state / "x"),
}


@pytest.mark.parametrize("damage", STATE)
def test_a_damaged_state_directory_loses_nothing(victim: Victim, damage: str) -> None:
    """The run ends well, or with a sentence; a later one too."""
    STATE[damage](victim)
    victim.store.age()
    before = live_files(victim)

    for _ in range(2):
        with contextlib.suppress(CollectorError):
            collect(victim.store.root)

    assert {path: beginning(path) for path in before} == before
    check(victim)


def test_a_vacant_folder_that_cannot_be_read_stops_nothing(victim: Victim) -> None:
    root = victim.store.root
    path = victim.folder / "_manifests/tags/hollow/index/sha256"
    path.mkdir(parents=True)
    victim.store.age()

    outcome = collect(root, store=Unreadable(str(root), folder="hollow/index/sha256"))

    assert outcome.problems
    assert path.exists()


class TestSha512:
    """The reference destroys an image whose config and layers are named by sha512."""

    def push(self, store: StoreBuilder, tag: str = "") -> tuple[str, list[Path]]:
        paths = []
        names = []
        for content in (b"config by sha512", b"layer by sha512"):
            canonical = store.layer("app", content)
            name = digest(content, "sha512")
            store.write(store.layer_link("app", name), canonical)
            names.append(name)
            paths += [store.blob_path(canonical), store.layer_link("app", name)]
            paths.append(store.layer_link("app", canonical))
        image = store.manifest(
            "app",
            {
                "schemaVersion": 2,
                "mediaType": IMAGE,
                "config": {"mediaType": CONFIG, "digest": names[0], "size": 1},
                "layers": [{"mediaType": LAYER, "digest": names[1], "size": 1}],
            },
            tag,
        )
        return image, paths

    def test_it_stays_with_its_tag(self, tmp_path: Path) -> None:
        """Seen to fail: let `_Walk._mark` ignore aliases."""
        store = StoreBuilder(tmp_path)
        _, paths = self.push(store, "v1")
        store.age()

        outcome = collect(tmp_path)

        assert (outcome.blobs, outcome.links) == (0, 0)
        assert all(path.exists() for path in paths)

    def test_it_goes_whole_with_its_tag(self, tmp_path: Path) -> None:
        store = StoreBuilder(tmp_path)
        self.push(store)
        store.image("app", "v1")
        store.age()

        outcome = collect(tmp_path)

        assert (outcome.blobs, outcome.links) == (3, 5)
        assert not (store.v2 / "repositories/app/_layers/sha512").exists()

    @pytest.mark.parametrize("content", ["", "nonsense"])
    def test_a_link_by_sha512_that_cannot_be_read_keeps_every_blob_of_the_repository(
        self, tmp_path: Path, content: str
    ) -> None:
        store = StoreBuilder(tmp_path)
        _, paths = self.push(store, "v1")
        store.write(paths[-2], content)
        unneeded = store.layer("app", b"needed by no manifest that can be followed")
        store.age()

        outcome = collect(tmp_path)

        assert all(path.exists() for path in paths)
        assert store.blob_path(unneeded).exists()
        assert outcome.problems


def test_schema_1_is_followed(tmp_path: Path) -> None:
    """The reference stops at it (v3) or takes it as it is (v2.8)."""
    store = StoreBuilder(tmp_path)
    layer = store.layer("app", "layer")
    store.manifest("app", {"schemaVersion": 1, "fsLayers": [{"blobSum": layer}]}, "v1")
    waste = store.blob(b"waste")
    store.age()

    outcome = collect(tmp_path)

    assert store.blob_path(layer).exists()
    assert not store.blob_path(waste).exists()
    assert outcome.problems == []


def test_attack_8_blobs_without_repositories_are_refused(victim: Victim) -> None:
    shutil.rmtree(victim.store.v2 / "repositories")
    victim.store.age()

    with pytest.raises(GuardError):
        collect(victim.store.root)


def test_a_young_damaged_link_is_no_less_live(victim: Victim) -> None:
    victim.store.age()
    link = victim.store.layer_link("victim", digest(b"its old layer"))
    link.write_text("")
    os.utime(link)

    collect(victim.store.root, chosen=options("30m"))

    assert victim.store.blob_path(digest(b"its old layer")).exists()
