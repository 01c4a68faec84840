"""A set of digests in little memory: the same answers as Python's own."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_gc import packed_digests
from registry_gc.layout import Digest
from registry_gc.packed_digests import PackedDigests
from support.strategies import digests

FEW = st.lists(digests(), max_size=6)


@given(pool=FEW, data=st.data())
def test_a_difference_is_that_of_sets(pool: list[Digest], data: st.DataObject) -> None:
    """Seen to fail: leave out the digests of other algorithms."""
    some = st.lists(st.sampled_from(pool), max_size=9) if pool else st.just([])
    mine, theirs = data.draw(some), data.draw(some)
    marked = PackedDigests(theirs[:3])
    marked.update(theirs[3:])

    assert sorted(PackedDigests(mine).minus(marked)) == sorted(set(mine) - set(theirs))


def test_what_is_added_again_and_again_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that all repositories share is marked in each. Seen to fail: do not throw out."""
    monkeypatch.setattr(packed_digests, "_SLACK", 1024)
    found = PackedDigests()
    shared = [Digest(bytes([7, number]) + bytes(30)) for number in range(32)]
    tracemalloc.start()

    for _ in range(1000):
        found.update(shared)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
    assert list(found.minus(PackedDigests())) == shared
