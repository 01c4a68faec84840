"""The race table W1 to W12 (docs/develop/rules.md): one client and one collection, in any order.

The registry is simulated step by step (support/simulated_registry.py), the collection is the real
one over a store in memory. For each race the client takes some steps at one point of the collection
and the rest at a later one, for all or a spread of such pairs, and then in random orders. Whatever
was acknowledged is whole afterwards and after the next collection, which leaves nothing else.

Each race has a control: a collection that breaks the rule which closes it does harm.
"""

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import pytest

from registry_gc import inventory, journal, plan
from registry_gc.errors import StorageError
from registry_gc.healing import Healing
from registry_gc.layout import Entry, Kind
from registry_gc.storage import Stat
from support.interleaving import (
    ALL,
    Footprint,
    Interleaving,
    Scene,
    Schedule,
    Setting,
    Tagged,
    Watch,
    simulated_time,
)
from support.memory_files import Clock, Files, Folder, MemoryStore
from support.simulated_registry import (
    MAIN,
    UP_TO_3_0,
    V3_1,
    Image,
    Registry,
    Steps,
    blob_path,
    image,
    index,
    push,
    run,
)
from support.store import digest

KEEP = image("keep", ["base", "kept"])
PREVIOUS = image("previous", ["base", "previous"])
GONE = image("gone", ["base", "gone 1", "gone 2"])
ALIKE = image("gone", ["base", "gone 1", "gone 2"], note="another manifest of the same blobs")
OLD = image("old", ["base", "old"])
SHARED = image("shared", ["base", "shared"])
NEW = image("new", ["base", "new"])
ORPHANED = image("on an orphan", ["orphan", "gone 1"])
ALIVE: list[Tagged] = [("app", KEEP, "keep"), ("lib", SHARED, "v1")]

NO_CACHE = Setting(V3_1)
IN_MEMORY = Setting(V3_1, "inmemory")
KILLED = Setting(V3_1, "inmemory", drains=False)
IN_PLACE = Setting(UP_TO_3_0)
IN_PLACE_IN_MEMORY = Setting(UP_TO_3_0, "inmemory")
REDIS = Setting(V3_1, "redis")
UNRELEASED = Setting(MAIN, "inmemory")
SETTINGS = (NO_CACHE, IN_MEMORY, KILLED, IN_PLACE, IN_PLACE_IN_MEMORY, REDIS, UNRELEASED)

GATE = 24  # interleavings a race and setting
FULL = 2000


@cache
def scene(setting: Setting) -> Scene:
    """Return a store of something alive and something dead, a month old."""
    files = Files(Clock())
    registry = Registry(files, setting.version, setting.cache)
    run(push(registry, "app", PREVIOUS, "keep"))
    run(push(registry, "app", KEEP, "keep"))
    run(push(registry, "app", GONE, "gone"))
    run(push(registry, "lib", SHARED, "v1"))
    run(push(registry, "old/app", OLD, "v1"))
    run(registry.delete_tag("app", "gone"))
    run(registry.delete_tag("old/app", "v1"))
    orphan = blob_path(digest(b"orphan"))
    files.make_folders(orphan.rpartition("/")[0])
    files.fill(files.create(orphan), b"orphan")
    files.age(30 * 86400)
    return Scene(files, setting, ALIVE, set(registry.remembered))


# What the client does


def mount_and_tag(registry: Registry) -> Steps:
    yield from push(registry, "team/app", GONE, "v1", mount_from="app")


def retag(registry: Registry) -> Steps:
    yield from registry.get_manifest("app", GONE.digest)
    yield
    yield from registry.put_manifest("app", GONE, "again")


def move_tag(registry: Registry) -> Steps:
    yield from push(registry, "app", NEW, "new")
    yield from registry.put_manifest("app", NEW, "keep")


def push_and_delete(registry: Registry) -> Steps:
    yield from push(registry, "app", GONE, "again")
    yield
    yield from registry.delete_manifest("app", GONE.digest)
    yield
    yield from registry.delete_tag("lib", "v1")


def push_the_same_again(registry: Registry) -> Steps:
    yield from push(registry, "app", KEEP, "keep", ask=False)


# What a careless collection would do

Break = Callable[[pytest.MonkeyPatch], None]


def no_healing(patch: pytest.MonkeyPatch) -> None:
    def look(self: Healing) -> int:
        self._due = math.inf
        return 0

    patch.setattr(Healing, "look", look)


def no_second_look(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Healing, "still_dead", lambda _self, planned: planned)


def no_wait(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Healing, "go_on_for", lambda _self, _seconds: 0)


def no_grace(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan.Clock, "is_young", lambda *_, **__: False)


def no_burial(patch: pytest.MonkeyPatch) -> None:
    """Remove blobs where they would be moved away."""
    take = journal.Journal.take

    def remove(self: journal.Journal, deletion: plan.Deletion) -> bool:
        taken = take(self, deletion)
        if taken and deletion.entry.kind is Kind.BLOB:
            self._store.remove(self.taken[deletion.entry])
        return taken

    patch.setattr(journal.Journal, "take", remove)


def no_look_before_the_move(patch: pytest.MonkeyPatch) -> None:
    def same(stat: Stat | None, _scanned: Stat) -> bool:
        return stat is not None

    patch.setattr(journal, "_same", same)


def whole_trees(patch: pytest.MonkeyPatch) -> None:
    """Remove folders with whatever is in them."""

    def remove(self: MemoryStore, path: str) -> bool:
        self.before("rmtree", path)
        folder = self.files.find(path)
        if isinstance(folder, Folder):
            folder.children.clear()
            self.files.remove_folder(path)
        return True

    patch.setattr(MemoryStore, "remove_folder", remove)


def empty_is_an_error(patch: pytest.MonkeyPatch) -> None:
    """Fail at an empty link, as `registry garbage-collect` does."""
    link = inventory.View.link

    def strict(self: inventory.View, entry: Entry) -> inventory.Link | None:
        found = link(self, entry)
        if found and found.target is None:
            raise StorageError(f"{entry} is empty", why="it is", next_step="none")
        return found

    patch.setattr(inventory.View, "link", strict)


def missing_is_an_error(patch: pytest.MonkeyPatch) -> None:
    rename = MemoryStore.rename

    def strict(self: MemoryStore, source: str, target: str) -> bool:
        if not rename(self, source, target):
            raise StorageError(f"no {source}", why="gone", next_step="none")
        return True

    patch.setattr(MemoryStore, "rename", strict)
    patch.setattr(journal, "_same", lambda *_: True)


def no_forgetting(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Interleaving, "forget", lambda *_: 0)


@dataclass(frozen=True)
class Race:
    """A row of the table: the client, what it leaves alive, and how a control breaks the rule.

    `ends` are images that the client itself ends. `is_never_refused` says that the collection may
    not even refuse this client (but while the registry restarts).
    """

    name: str
    client: Callable[[Registry], Steps]
    leaves: tuple[Tagged, ...]
    breaks: tuple[Break, ...]
    control: Setting
    ends: tuple[Tagged, ...] = ()
    is_never_refused: bool = False


def pushing(repository: str, wanted: Image, tag: str, **how: Any) -> dict[str, Any]:
    return {
        "client": partial(push, repository=repository, wanted=wanted, tag=tag, **how),
        "leaves": ((repository, wanted, tag),),
    }


INDEX = index([image("one", ["base", "child 1"]), image("other", ["base", "child 2"])])
OLD_INDEX = index([GONE, OLD])
RACES = [
    Race(
        "W1 a HEAD that finds an old blob, and the manifest that names it",
        **pushing("app", ALIKE, "again"),
        breaks=(no_healing, no_second_look),
        control=IN_MEMORY,
    ),
    Race(
        "W1 a mount of an old blob, and the manifest that names it",
        client=mount_and_tag,
        leaves=(("team/app", GONE, "v1"),),
        breaks=(no_healing, no_second_look),
        control=IN_MEMORY,
    ),
    Race(
        "W2 an upload's end and its manifest",
        **pushing("team/app", NEW, "v1", ask=False),
        breaks=(no_grace,),
        control=NO_CACHE,
        is_never_refused=True,
    ),
    Race(
        "W3 a push that finds the bytes in place, and its link",
        **pushing("team/app", ORPHANED, "v1", ask=False),
        breaks=(no_burial,),
        control=NO_CACHE,
    ),
    Race(
        "W4 a blob's last move and its link",
        **pushing("team/app", NEW, "v1", ask=False),
        breaks=(no_grace, no_second_look, no_wait, no_burial),
        control=NO_CACHE,
        is_never_refused=True,
    ),
    Race(
        "W5 a manifest's check of its layers and its revision link",
        client=lambda registry: registry.put_manifest("app", ALIKE, "again"),
        leaves=(("app", ALIKE, "again"),),
        breaks=(no_healing,),
        control=NO_CACHE,
    ),
    Race(
        "W6 children pushed by digest and their index",
        **pushing("app", INDEX, "both", ask=False),
        breaks=(no_grace,),
        control=NO_CACHE,
        is_never_refused=True,
    ),
    Race(
        "W6 old children pushed again by digest and their index",
        **pushing("app", OLD_INDEX, "both"),
        breaks=(no_healing,),
        control=NO_CACHE,
    ),
    Race(
        "W7 revision link, tag index entry and current link of one push",
        client=move_tag,
        leaves=(("app", NEW, "new"), ("app", NEW, "keep")),
        ends=(("app", KEEP, "keep"),),
        breaks=(no_grace, no_healing),
        control=NO_CACHE,
    ),
    Race(
        "W8 a tag set on an old untagged manifest, and the scan",
        client=retag,
        leaves=(("app", GONE, "again"),),
        breaks=(no_look_before_the_move, no_healing),
        control=NO_CACHE,
    ),
    Race(
        "W9 a folder's removal and a push that writes into it",
        **pushing("old/app", OLD, "v2", ask=False),
        breaks=(whole_trees,),
        control=NO_CACHE,
    ),
    Race(
        "W10 a registry up to 3.0 that rewrites a link in place, and its reading",
        client=push_the_same_again,
        leaves=(),
        breaks=(empty_is_an_error,),
        control=IN_PLACE,
        is_never_refused=True,
    ),
    Race(
        "W11 the registry's own deletions and ours",
        client=push_and_delete,
        leaves=(),
        ends=(("lib", SHARED, "v1"),),
        breaks=(missing_is_an_error,),
        control=NO_CACHE,
    ),
    Race(
        "W12 a descriptor cache that still has what is gone, and the next push",
        **pushing("app", GONE, "again"),
        breaks=(no_forgetting,),
        control=IN_MEMORY,
    ),
]


# The orders


@dataclass
class Verdict:
    """What all interleavings of one race came to."""

    answers: Counter[str] = field(default_factory=Counter)
    harm: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        return self.answers.total()


@dataclass
class Bench:
    """One race at one registry: runs it by schedules and judges."""

    race: Race
    setting: Setting
    watch: Watch
    footprint: Footprint | None = None
    points: int = 0
    steps: int = 0

    def rehearse(self) -> None:
        """Learn which paths the client touches, and how many steps and points there are."""
        touched: set[str] = set()
        for number in range(0, 400, 80):
            one = self.run(Schedule(lambda at, when=number: ALL if at >= when else 0))  # type: ignore[misc]  # `when` is bound at once
            touched |= one.registry.touched
            self.steps = max(self.steps, one.steps)
        self.footprint = Footprint(touched)
        for number in range(0, 100, 20):
            one = self.run(self.placed(1, number, ALL))
            self.points = max(self.points, one.schedule.points)

    def run(self, schedule: Schedule) -> Interleaving:
        one = Interleaving(scene(self.setting), self.race.client, schedule, self.watch)
        one.run()
        return one

    def placed(self, count: int, early: int, late: int) -> Schedule:
        """Take so many steps at one point and the rest at a later one."""

        def steps(at: int) -> int:
            return (count if at == early else 0) + (ALL if at >= late else 0)

        return Schedule(steps, self.footprint)

    def scattered(self, dice: random.Random) -> Schedule:
        """Take single steps at random points, of all that the collection does."""
        chance = dice.choice((0.02, 0.05, 0.15, 0.4))
        most = dice.choice((1, 3, 20))
        return Schedule(lambda _at: dice.randint(1, most) if dice.random() < chance else 0)

    def schedules(self, count: int) -> Iterator[Schedule]:
        """Yield about so many, three quarters of them placed; each place when there is room."""
        placed = count - count // 4
        pairs = (self.points + 1) * (self.points + 2) // 2
        dice = random.Random(f"{self.race.name} {self.setting}")
        if placed >= pairs * self.steps:
            places = itertools.combinations_with_replacement(range(self.points + 1), 2)
            for (early, late), steps in itertools.product(places, range(1, self.steps + 1)):
                yield self.placed(steps, early, late)
        else:
            for _ in range(placed):
                early, late = sorted(dice.choices(range(self.points + 1), k=2))
                yield self.placed(dice.randint(1, self.steps), early, late)
        for _ in range(count // 4):
            yield self.scattered(dice)

    def judge(self, schedules: Iterator[Schedule], *, until_harm: bool = False) -> Verdict:
        verdict = Verdict()
        for schedule in schedules:
            one = self.run(schedule)
            verdict.answers[str(one.answer)] += 1
            verdict.harm += self._harm(one)
            if verdict.harm and until_harm:
                break
        return verdict

    def _harm(self, one: Interleaving) -> list[str]:
        if one.error:
            return [f"the collection failed: {one.error}"]
        # What the client was told to replace or delete, it may have replaced or deleted.
        alive = [tagged for tagged in ALIVE if tagged not in self.race.ends]
        if one.answer == 201:
            alive += self.race.leaves
        elif one.answer and self.race.is_never_refused:
            return [f"refused: {one.answer}"]
        if lost := one.lost(alive):
            return [f"lost: {lost}"]
        clean = one.answer == 201
        one.files.age(30 * 86400)
        one.collect()
        if lost := one.lost(alive):
            return [f"lost by the next collection: {lost}"]
        if clean and (left := one.left(alive)):
            return [f"left: {left}"]
        return []


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    with simulated_time() as watch:
        yield watch


def cases() -> Iterator[object]:
    """Yield each race at each registry; the gate takes the control's and one more, in turn."""
    for number, race in enumerate(RACES):
        others = [setting for setting in SETTINGS if setting != race.control]
        for setting in SETTINGS:
            name = f"{race.name}-{setting}"
            if setting in (race.control, others[number % len(others)]):
                yield pytest.param(race, setting, GATE, id=name)
            yield pytest.param(race, setting, FULL, marks=pytest.mark.full, id=f"{name}-full")


@pytest.mark.parametrize(("race", "setting", "count"), list(cases()))
def test_rule_1_holds_in_every_order(
    race: Race, setting: Setting, count: int, watch: Watch
) -> None:
    """Seen to fail: each race's control below."""
    bench = Bench(race, setting, watch)
    bench.rehearse()

    verdict = bench.judge(bench.schedules(count))

    assert verdict.runs >= count - 1
    assert verdict.answers["201"], "no client ever succeeded"
    assert verdict.harm == []


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)
def test_control_without_its_rule_each_race_does_harm(race: Race, watch: Watch) -> None:
    bench = Bench(race, race.control, watch)
    bench.rehearse()
    with pytest.MonkeyPatch.context() as patch:
        for broken in race.breaks:
            broken(patch)

        verdict = bench.judge(bench.schedules(2000), until_harm=True)

    assert verdict.harm, f"{race.name}: nothing happened in {verdict.runs} orders"


def test_the_table_is_whole() -> None:
    """Every race of docs/develop/rules.md is here."""
    assert {race.name.split()[0] for race in RACES} == {f"W{number}" for number in range(1, 13)}
