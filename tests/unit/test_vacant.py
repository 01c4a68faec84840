"""Folders that hold nothing go, and never anything with them."""

from pathlib import Path

import pytest

from registry_gc import vacant
from registry_gc.layout import Entry, Kind, digest_of
from registry_gc.storage import FileStore
from support.collecting import collect
from support.store import StoreBuilder

HEX = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


def test_a_push_in_between_keeps_the_folder(store: StoreBuilder, tmp_path: Path) -> None:
    """Race W9. Seen to fail: remove the tree."""
    image = store.image("app")
    entry = Entry(Kind.REVISION_LINK, "app", digest_of(*image.split(":")))

    vacant.remove_place_of(FileStore(str(tmp_path)), entry)

    assert store.revision_link("app", image).exists()


def test_a_whole_repository_goes_and_its_neighbour_stays(
    store: StoreBuilder, tmp_path: Path
) -> None:
    store.image("a/b/c", "v1")
    store.image("a", "v1")
    store.delete_tag("a/b/c", "v1")
    store.age()

    collect(tmp_path)

    assert not (store.v2 / "repositories/a/b").exists()
    assert (store.v2 / "repositories/a/_manifests").exists()


@pytest.mark.parametrize("busy", ["upload", "young upload folder", "file"])
def test_a_repository_in_use_stays(store: StoreBuilder, tmp_path: Path, busy: str) -> None:
    store.image("app", "v1")
    store.delete_tag("app", "v1")
    store.age()
    folder = store.v2 / "repositories/app"
    match busy:
        case "upload":
            store.upload("app")
        case "young upload folder":
            (folder / "_uploads/1").mkdir(parents=True)
        case "file":
            store.write(folder / "_layers/notes.txt", "mine")

    collect(tmp_path)

    assert folder.exists()


def test_fan_out_folders_stay(store: StoreBuilder, tmp_path: Path) -> None:
    """Attack 12: a push should not meet a folder that vanishes under it."""
    dead = store.blob(b"dead")
    (store.v2 / "repositories").mkdir(parents=True)
    store.age()

    collect(tmp_path)

    assert not store.blob_path(dead).parent.exists()
    assert store.blob_path(dead).parent.parent.exists()


@pytest.mark.parametrize(("name", "goes"), [
    ("link.01234567-89ab-cdef-0123-456789abcdef.tmp", True),
    ("link.tmp", False),
    ("link.bak", False),
    ("01234567-89ab-cdef-0123-456789abcdef", False),
])  # fmt: skip
@pytest.mark.parametrize("young", [False, True])
def test_only_old_leftovers_of_the_registrys_writes_go(
    store: StoreBuilder, tmp_path: Path, name: str, goes: bool, young: bool
) -> None:
    folder = store.v2 / f"repositories/app/_layers/sha256/{HEX}"
    store.image("app", "v1")
    store.write(folder / name, "x")
    if not young:
        store.age()

    collect(tmp_path)

    assert (folder / name).exists() is (young or not goes)
