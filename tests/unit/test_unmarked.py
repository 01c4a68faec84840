"""The blobs that are left when all marks are made: the same as a difference of sets."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_gc import unmarked
from registry_gc.layout import Digest
from registry_gc.unmarked import Unmarked
from support.strategies import digests


@settings(deadline=None)
@given(pool=st.lists(digests(), max_size=6), data=st.data(), gathered=st.sampled_from([0, 64]))
def test_what_is_left_is_what_was_not_marked(
    pool: list[Digest], data: st.DataObject, gathered: int
) -> None:
    """Seen to fail: keep the digests of other algorithms; forget the marks that are gathered."""
    some = st.lists(st.sampled_from(pool), max_size=9) if pool else st.just([])
    blobs, marks = set(data.draw(some)), data.draw(some)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unmarked, "_GATHERED", gathered)
        left = Unmarked()
        left.add(list(blobs))
        left.mark(marks[:3])
        left.mark(marks[3:])

        assert list(left) == sorted(blobs - set(marks), key=lambda each: (len(each) != 32, each))


def test_what_is_marked_again_and_again_takes_no_room() -> None:
    """A layer that all repositories share is marked by each. Seen to fail: never take out."""
    shared = [Digest(bytes([7, number]) + bytes(30)) for number in range(32)]
    left = Unmarked()
    left.add(shared)
    tracemalloc.start()

    for _ in range(1000):
        left.mark(shared)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000
    assert list(left) == []
