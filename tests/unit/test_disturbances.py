"""A volume that vanishes under a collection, and a clock that is set meanwhile (rules 1, 3 and 4).

The real collection over a store in memory (support/interleaving.py), disturbed at any of its system
calls; a client pushes beside it.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache, partial

import pytest

from support.interleaving import (
    Interleaving,
    Scene,
    Schedule,
    Setting,
    Tagged,
    Watch,
    simulated_time,
)
from support.memory_files import Clock, Files, Folder
from support.simulated_registry import V3_1, Registry, image, push, run

KEEP = image("keep", ["base", "kept"])
GONE = image("gone", ["base", "gone"])
NEW = image("new", ["base", "new"])
ALIVE: list[Tagged] = [("app", KEEP, "keep"), ("app", KEEP, "also")]
SETTING = Setting(V3_1)
MONTH = 30 * 86400

WHOLE = pytest.mark.parametrize(
    "count", [60, pytest.param(6000, marks=pytest.mark.full)], ids=["spread", "whole"]
)


@cache
def scene() -> Scene:
    files = Files(Clock())
    registry = Registry(files)
    run(push(registry, "app", GONE, "gone"))
    run(push(registry, "app", KEEP, "keep"))
    run(push(registry, "app", KEEP, "also"))
    run(registry.delete_tag("app", "gone"))
    files.age(MONTH)
    return Scene(files, SETTING, ALIVE, set())


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    with simulated_time() as watch:
        yield watch


Disturb = Callable[["Disturbed", int], None]


class Disturbed(Interleaving):
    """A push of a new image beside a collection with a mount of its own.

    `disturb` is told the number of each call of the collection before it happens; the push begins
    at one of them.
    """

    def __init__(self, watch: Watch, begin: int, disturb: Disturb) -> None:
        client = partial(push, repository="app", wanted=NEW, tag="new")
        super().__init__(scene(), client, Schedule(lambda at: int(at >= begin)), watch)
        self.disturb = disturb
        self.calls = 0
        self.seen = self.registry.files.mounted_again()

    @property
    def mount(self) -> Files:
        return self.seen

    def point(self, call: str, *paths: str) -> None:
        self.disturb(self, self.calls)
        self.calls += 1
        super().point(call, *paths)


def places(count: int, salt: str) -> Iterator[tuple[int, int]]:
    """Yield pairs of calls, the first before the second; half of them within the first scan."""
    dice = random.Random(salt)
    for _ in range(count):
        early = dice.randrange(dice.choice((40, 400)))
        yield early, early + dice.randint(1, dice.choice((3, 10, 40, 300)))


def vanishing(early: int, late: int, *, empty: bool) -> Disturb:
    """Return what takes the mount away from one call to another."""
    other = Folder(1, 0)
    if empty:
        other.children["docker"] = Folder(2, 0)

    def disturb(one: Disturbed, call: int) -> None:
        one.seen.top = other if early <= call < late else one.files.top

    return disturb


@WHOLE
@pytest.mark.parametrize("empty", [True, False], ids=["empty", "gone"])
@pytest.mark.parametrize("returns", [True, False], ids=["comes back", "stays away"])
def test_rule_1_a_mount_that_vanishes_takes_nothing_along(
    watch: Watch, count: int, returns: bool, empty: bool
) -> None:
    """An empty folder stands at its place meanwhile, with or without the folder `docker`.

    Seen to fail: let `Healing.still_dead` trust the first scan and `look` put nothing back; with
    either of them nothing is lost.
    """
    reached = 0
    for early, late in places(count, f"{returns} {empty}"):
        away = vanishing(early, late if returns else 10**9, empty=empty)
        one = Disturbed(watch, late, away)
        one.run()
        reached += one.calls > early
        where = f"away from call {early} to {late} of {one.calls}"
        alive = [*ALIVE, *([("app", NEW, "new")] if one.answer == 201 else [])]
        assert one.lost(alive) == [], where

        one.disturb, one.seen = lambda *_: None, one.files.mounted_again()
        one.files.age(MONTH)
        one.collect()

        assert one.lost(alive) == [], where
        assert one.answer != 201 or one.left(alive) == [], where
    assert reached > count // 2


@WHOLE
@pytest.mark.parametrize("minutes", [10, -10])
def test_rule_3_holds_when_the_clock_is_set_meanwhile(
    watch: Watch, count: int, minutes: int
) -> None:
    """The storage's clock jumps at any call; what a push has written stays young enough.

    Seen to fail: let `Clock.is_young` take what is older than nine minutes for old.
    """
    for begin, late in places(count, f"{minutes}"):

        def jump(one: Disturbed, call: int, at: int = late) -> None:
            if call == at:
                one.files.clock.jump(60 * minutes)

        one = Disturbed(watch, begin, jump)
        one.run()

        assert (one.error, one.answer) == (None, 201)
        assert one.lost([*ALIVE, ("app", NEW, "new")]) == [], f"set at call {late}"
