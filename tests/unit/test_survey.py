"""From the store to the plan: what protects a blob, before the unlinking and after."""

from pathlib import Path

import pytest

from registry_gc.inventory import View
from registry_gc.journal import Journal
from registry_gc.layout import Kind, digest_of
from registry_gc.manifests import Manifests
from registry_gc.plan import Clock, Plan
from registry_gc.storage import FileStore
from registry_gc.survey import survey
from support.collecting import options, plan
from support.store import StoreBuilder


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


def look(root: Path, *, after_unlinking: bool = False, blobs: list[str] | None = None) -> Plan:
    files = FileStore(str(root))
    view = View(files, Journal(files).taken)
    wanted = (
        None if blobs is None else [found for b in blobs if (found := digest_of(*b.split(":")))]
    )
    return survey(
        view,
        Manifests(view.read_blob),
        Clock(files.now(), options()),
        blobs=wanted,
        after_unlinking=after_unlinking,
    )


def test_a_needless_link_protects_its_blob_only_after_the_unlinking(
    store: StoreBuilder, tmp_path: Path
) -> None:
    """Rule of step 5: no link of any kind resolves to what is buried.

    Seen to fail: let `_survey_repository` protect nothing after the unlinking.
    """
    store.image("app", layers=["b"])
    store.age()

    assert len(look(tmp_path).blobs) == 3
    assert look(tmp_path, after_unlinking=True).blobs == []


def test_what_was_taken_protects_nothing(store: StoreBuilder, tmp_path: Path) -> None:
    store.image("app", layers=["b"])
    store.age()
    files = FileStore(str(tmp_path))
    journal = Journal(files)
    for deletion in plan(tmp_path).links:
        journal.take(deletion)

    found = look(tmp_path, after_unlinking=True)

    assert len(found.blobs) == 3
    assert {each.entry for each in found.links} == set(journal.taken)


def test_only_the_blobs_in_question_are_judged(store: StoreBuilder, tmp_path: Path) -> None:
    one, two = store.blob(b"one"), store.blob(b"two")
    (store.v2 / "repositories").mkdir()
    store.age()

    found = look(tmp_path, blobs=[one])

    assert [str(each.entry) for each in found.blobs] == [one]
    assert len(look(tmp_path, blobs=[one, two]).blobs) == 2


def test_every_deletion_has_a_reason_and_the_file_as_it_was(
    store: StoreBuilder, tmp_path: Path
) -> None:
    dead = store.image("app", layers=["b"])
    store.image("app", f"{dead.replace(':', '-')}.sig")
    store.tag("app", "v1", dead)
    store.image("app", "v1", layers=["c"])
    store.age()

    found = plan(tmp_path)

    kinds = {each.entry.kind for each in (*found.links, *found.blobs)}
    assert kinds == set(Kind)
    assert all(each.reason for each in (*found.links, *found.blobs))
    for each in found.blobs:
        assert each.stat.size == store.blob_path(str(each.entry)).stat().st_size


def test_a_link_that_is_young_protects_what_it_holds_too(
    store: StoreBuilder, tmp_path: Path
) -> None:
    """A link by another algorithm leads to a blob that its path does not name."""
    layer = store.blob(b"b")
    store.image("app", "v1")
    store.age()
    name = "sha512:" + "ab" * 64
    store.write(store.layer_link("app", name), layer)

    assert look(tmp_path).blobs == []


@pytest.mark.parametrize("nested", ["a", "a/b", "a/b/c"])
def test_a_mount_in_any_repository_protects(
    store: StoreBuilder, tmp_path: Path, nested: str
) -> None:
    dead = store.image("z", layers=["shared"], note="another manifest")
    store.image(nested, "v1", layers=["shared"])
    store.age()

    doomed = {str(each.entry) for each in plan(tmp_path).blobs}

    assert doomed == {dead}
