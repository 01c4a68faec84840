"""Folders that hold nothing, and how they go without ever taking anything with them.

Only `rmdir` is used, so a folder into which a push has just written stays (race W9). The fan-out
folders of the blobs stay too: a push should never meet a folder that vanishes under it.
"""

import re
from collections.abc import Callable

from registry_gc.layout import REGISTRY, Entry, Kind, folder_of, tags
from registry_gc.storage import Store

_LEFTOVER = re.compile(r"(link|data)\.[0-9a-f-]{36}\.tmp")  # of a write that was cut (v3.1)


def remove_place_of(store: Store, entry: Entry) -> None:
    """Remove the folder of an entry that was taken, and its tag's if that was all of it."""
    folder = folder_of(entry)
    top = folder
    if entry.kind in (Kind.TAG, Kind.TAG_INDEX):
        top = f"{tags(entry.repository)}/{entry.tag}"
    elif entry.kind is not Kind.BLOB and entry.digest is not None and len(entry.digest) != 32:
        top = folder.rpartition("/")[0]  # the folder of an algorithm that few pushes use
    while store.remove_folder(f"{REGISTRY}/{folder}") and folder != top:
        folder = folder.rpartition("/")[0]


def remove_vacant(store: Store, folder: str, is_young: Callable[[int], bool]) -> None:
    """Remove a folder, and what is below it, as far as it is empty and was not made just now."""
    folders = [folder]
    times: dict[str, int] = {}
    for each in folders:
        if (stat := store.stat(f"{REGISTRY}/{each}")) is None:
            continue
        times[each] = stat.modified
        listing = store.list(f"{REGISTRY}/{each}")
        for name in listing.files:
            leftover = store.stat(f"{REGISTRY}/{each}/{name}")
            if _LEFTOVER.fullmatch(name) and leftover and not is_young(leftover.modified):
                store.remove(f"{REGISTRY}/{each}/{name}")
        folders += [f"{each}/{name}" for name in listing.folders]
    for each in reversed(folders):
        if each in times and not is_young(times[each]):
            store.remove_folder(f"{REGISTRY}/{each}")


def remove_repository(store: Store, name: str, is_young: Callable[[int], bool]) -> None:
    """Remove a repository's folders if no file is left in them, so that `_catalog` forgets it."""
    folder = f"repositories/{name}"
    own = [part for part in store.list(f"{REGISTRY}/{folder}").folders if part.startswith("_")]
    if any(_has_files(store, f"{REGISTRY}/{folder}/{part}") for part in own):
        return
    for part in own:
        # What this run emptied looks young; an upload that looks so may have begun just now.
        remove_vacant(
            store, f"{folder}/{part}", is_young if part == "_uploads" else lambda _modified: False
        )
    while folder != "repositories" and store.remove_folder(f"{REGISTRY}/{folder}"):
        folder = folder.rpartition("/")[0]


def _has_files(store: Store, path: str) -> bool:
    folders = [path]
    for each in folders:
        listing = store.list(each)
        if listing.files or listing.symlinks:
            return True
        folders += [f"{each}/{name}" for name in listing.folders]
    return False
