"""How old is old, which uploads count, and when a plan looks like a mistake."""

from datetime import timedelta

import pytest

from registry_gc.errors import GuardError
from registry_gc.inventory import Repository, Upload
from registry_gc.layout import Digest, Entry, Kind
from registry_gc.options import CollectOptions
from registry_gc.plan import Clock, Deletion, Plan, check_guards, earliest_upload
from registry_gc.storage import Stat

HOUR = 3600 * 10**9
CLOCK = Clock(100 * HOUR, CollectOptions(grace_period=timedelta(hours=1)))


@pytest.mark.parametrize(
    ("age", "young"), [(0, True), (HOUR - 1, True), (HOUR, True), (HOUR + 1, False), (-HOUR, True)]
)
def test_strictly_older_than_the_grace_period_is_old(age: int, young: bool) -> None:
    """Seen to fail: `<` in place of `<=`. To the nanosecond, since files are."""
    assert CLOCK.is_young(CLOCK.now - age) is young


def test_an_upload_moves_the_line_back_and_never_forward() -> None:
    since = CLOCK.now - 5 * HOUR
    assert CLOCK.is_young(CLOCK.now - 5 * HOUR - HOUR, since=since)
    assert not CLOCK.is_young(CLOCK.now - 6 * HOUR - 1, since=since)
    assert not CLOCK.is_young(CLOCK.now - 2 * HOUR, since=CLOCK.now + HOUR)


def test_the_earliest_upload_that_goes_on() -> None:
    """Seen to fail: count every upload that is not yet stale: a killed client's would for days."""

    def upload(started: int, touched: int) -> Upload:
        return Upload("app", "u", (), (), 0, started * HOUR, touched * HOUR)

    clock = Clock(1000 * HOUR, CollectOptions(grace_period=timedelta(hours=10)))
    found = Repository("app", uploads=[upload(1, 900), upload(500, 990), upload(900, 999)])

    assert earliest_upload(found, clock) == 500 * HOUR
    assert earliest_upload(Repository("app"), clock) is None


def blobs(count: int) -> list[Deletion]:
    return [
        Deletion(Entry(Kind.BLOB, digest=Digest(bytes([number]) * 32)), "", Stat(0, 0, 0, 0))
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("seen", "dead", "tags", "refused"),
    [
        (100, 100, 0, False),  # a small store may lose all
        (101, 1, 0, True),  # not one tag
        (101, 0, 0, False),  # nothing goes
        (200, 160, 1, False),  # exactly the limit
        (200, 161, 1, True),
    ],
)
def test_guards(seen: int, dead: int, tags: int, refused: bool) -> None:
    plan = Plan(blobs=blobs(dead), seen=seen, tags=tags)
    if not refused:
        check_guards(plan, CollectOptions(), has_repositories=True)
        return
    with pytest.raises(GuardError, match="nothing was deleted"):
        check_guards(plan, CollectOptions(), has_repositories=True)


@pytest.mark.parametrize("seen", [1, 1000])
def test_blobs_without_repositories_are_refused_at_any_number(seen: int) -> None:
    with pytest.raises(GuardError):
        check_guards(Plan(seen=seen), CollectOptions(), has_repositories=False)


def test_an_empty_store_is_none_of_that() -> None:
    check_guards(Plan(), CollectOptions(), has_repositories=False)
