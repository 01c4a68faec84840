"""A set of digests in a third of the memory, for those of a whole store.

Python's own takes 113 bytes for each: a header for the object, a hash, a sparse table. Here each is
its 32 bytes behind those that begin with the same byte. What that gives up is to ask for a single
one; a difference is taken for one first byte after the other.
"""

from collections.abc import Iterable, Iterator

from registry_gc.layout import Digest, unpacked

_SLACK = 64 * 1024  # bytes; what a part may grow by before what came twice is thrown out


class PackedDigests:
    """A set of digests to which many are added and from which another set is taken at last."""

    def __init__(self, digests: Iterable[Digest] = ()) -> None:
        self._parts = [bytearray() for _ in range(256)]
        self._full_at = [_SLACK] * 256
        self._others: set[Digest] = set()
        self.update(digests)

    def update(self, digests: Iterable[Digest]) -> None:
        """Add digests, of which some may be there already."""
        parts = self._parts
        for digest in digests:
            if len(digest) == 32:
                parts[digest[0]] += digest
            else:
                self._others.add(digest)
        for number, part in enumerate(parts):
            if len(part) > self._full_at[number]:
                part[:] = b"".join(set(unpacked(part)))
                self._full_at[number] = 2 * len(part) + _SLACK

    def minus(self, other: "PackedDigests") -> Iterator[Digest]:
        """Yield those that are not in the other, each once, in order."""
        for mine, theirs in zip(self._parts, other._parts, strict=True):  # noqa: SLF001 - its own kind
            yield from sorted(set(unpacked(mine)).difference(unpacked(theirs)))
        yield from sorted(self._others - other._others)  # noqa: SLF001 - its own kind
