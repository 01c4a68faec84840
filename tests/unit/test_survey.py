"""From the store to the plan: what protects a blob, before the unlinking and after."""

from pathlib import Path

import pytest

from registry_gc.inventory import View
from registry_gc.journal import Journal
from registry_gc.layout import Kind, digest_of
from registry_gc.manifests import Manifests
from registry_gc.plan import Clock, Plan
from registry_gc.storage import FileStore
from registry_gc.survey import Progress, survey
from support.collecting import options, plan
from support.store import StoreBuilder, digest


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


def look(
    root: Path,
    *,
    after_unlinking: bool = False,
    every_link: bool = False,
    blobs: list[str] | None = None,
    progress: Progress | None = None,
) -> Plan:
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
        every_link=every_link,
        progress=progress,
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


def test_every_link_is_read_before_a_burial(store: StoreBuilder, tmp_path: Path) -> None:
    """A link that is needed by its name, but holds another digest, protects that too.

    Seen to fail: look at no link that is needed.
    """
    held = store.blob(b"held")
    store.image("app", "v1", layers=["a"])
    link = store.layer_link("app", store.layer("app", "a"))
    store.write(link, held)
    store.age()

    assert [str(each.entry) for each in look(tmp_path).blobs] == [held]
    found = look(tmp_path, every_link=True)
    assert found.blobs == []
    assert [problem for problem in found.problems if held in problem]


def test_a_link_by_another_algorithm_is_no_damage(store: StoreBuilder, tmp_path: Path) -> None:
    """A push may name a layer by sha512. Seen to fail: note it all the same."""
    layer = store.layer("app", "a")
    store.write(store.layer_link("app", digest(b"a", "sha512")), layer)
    store.image("app", "v1", layers=["a"])
    store.age()

    found = look(tmp_path, every_link=True)

    assert (found.blobs, found.problems) == ([], [])


def test_a_link_that_goes_holds_nothing(store: StoreBuilder, tmp_path: Path) -> None:
    """Else a blob that was only linked by sha512 would stay for one more run (rule 6).

    Seen to fail: read the links that go too.
    """
    layer = store.blob(b"a")
    alias = store.layer_link("app", digest(b"a", "sha512"))
    store.write(alias, layer)
    store.image("app", "v1")
    store.age()

    assert [str(each.entry) for each in look(tmp_path, every_link=True).blobs] == [layer]
    assert not look(tmp_path, every_link=True, after_unlinking=True).blobs


def test_progress_counts_blobs_and_then_repositories(store: StoreBuilder, tmp_path: Path) -> None:
    """Seen to fail: report the blobs only at the end."""
    store.image("a", "v1", layers=["a"])
    store.image("b", "v1", layers=["b"])
    said: list[tuple[int, int]] = []

    found = look(tmp_path, progress=lambda blobs, repositories: said.append((blobs, repositories)))

    assert found.seen == 6
    assert [blobs for blobs, repositories in said if not repositories] == [1, 2, 3, 4, 5, 6]
    assert said[-2:] == [(6, 1), (6, 2)]
