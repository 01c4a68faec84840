"""The blobs that nothing has marked yet, in a third of the memory of a set.

Python's own takes 113 bytes for each digest: a header for the object, a hash, a sparse table. Here
each is its 32 bytes behind those that begin with the same byte. Marks are gathered likewise, and
now and then those of one first byte are taken out all at once.
"""

from collections.abc import Iterable, Iterator

from registry_gc.layout import Digest, unpacked

_GATHERED = 16 * 1024  # bytes of marks with one first byte; more costs memory, less costs time


class Unmarked:
    """Blobs, all added before the first is marked."""

    def __init__(self) -> None:
        self._blobs = [bytearray() for _ in range(256)]
        self._marks = [bytearray() for _ in range(256)]
        self._others: set[Digest] = set()

    def add(self, blobs: list[Digest]) -> None:
        """Add blobs, of which none has been added before."""
        joined = b"".join(blobs)
        if len(joined) == 32 * len(blobs) and joined[::32] == joined[:1] * len(blobs):
            # Those of one folder: all begin alike, and no other digest is as short as sha256.
            if joined:
                self._blobs[joined[0]] += joined
            return
        for digest in blobs:
            if len(digest) == 32:
                self._blobs[digest[0]] += digest
            else:
                self._others.add(digest)

    def mark(self, digests: Iterable[Digest]) -> None:
        """Take digests out, of which many are marked again and again and some are no blobs."""
        marks = self._marks
        for digest in digests:
            if len(digest) == 32:
                marks[digest[0]] += digest
            else:
                self._others.discard(digest)
        for first, gathered in enumerate(marks):
            if len(gathered) > _GATHERED:
                self._take_out(first)

    def __iter__(self) -> Iterator[Digest]:
        """Yield those that are left, in order."""
        for first, part in enumerate(self._blobs):
            self._take_out(first)
            yield from sorted(unpacked(part))
        yield from sorted(self._others)

    def _take_out(self, first: int) -> None:
        left = set(unpacked(self._blobs[first])).difference(unpacked(self._marks[first]))
        self._blobs[first][:] = b"".join(left)
        self._marks[first].clear()
