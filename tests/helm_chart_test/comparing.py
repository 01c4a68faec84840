"""Where two sets of objects differ."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from helm_chart_test.objects import Object, object_id

_MISSING = object()


def differences(first: Sequence[Object], second: Sequence[Object]) -> list[str]:
    """Return one path for each place where the objects differ, such as `Secret/x: data.token`."""
    return [f"{owner}: {path}" for owner, path in _differing(first, second)]


def _differing(first: Iterable[Object], second: Iterable[Object]) -> Iterator[tuple[str, str]]:
    before = {object_id(thing): thing for thing in first}
    after = {object_id(thing): thing for thing in second}
    for owner in sorted(before.keys() | after.keys()):
        if owner not in after:
            yield owner, "only in the first"
        elif owner not in before:
            yield owner, "only in the second"
        else:
            for path in _paths(before[owner], after[owner], ()):
                yield owner, ".".join(path)


def _paths(first: Any, second: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in sorted(first.keys() | second.keys()):
            yield from _paths(
                first.get(key, _MISSING), second.get(key, _MISSING), (*path, str(key))
            )
    elif isinstance(first, list) and isinstance(second, list):
        for index, (one, other) in enumerate(zip_longest(first, second, fillvalue=_MISSING)):
            yield from _paths(one, other, (*path, str(index)))
    elif first is not second and first != second:
        yield path
