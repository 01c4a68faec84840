"""A dry run, the real run that it announces, and the one after that (rules 5, 6, 12)."""

from pathlib import Path

import pytest

from registry.conftest import StartRegistry
from support.collector import QUICK, collect_well, left_behind
from support.histories import History
from support.reading import StoreOnDisk
from support.registry_process import RegistryProcess

OPTIONS = (*QUICK, "--max-delete-ratio", "1")


def everything(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return every path below the root directory, with content and mtime: folders too."""
    return {
        path.relative_to(root).as_posix(): (
            path.read_bytes() if path.is_file() else b"",
            path.stat().st_mtime_ns,
        )
        for path in [root, *root.rglob("*")]
    }


def with_a_past(
    start_registry: StartRegistry, seed: int, *, uploads: bool = True
) -> RegistryProcess:
    registry = start_registry(supervised=True)
    History(registry.client(), seed, uploads=uploads).play(40)
    return registry


@pytest.mark.parametrize("seed", [1, 2])
def test_rules_5_and_6_the_plan_is_what_is_done_and_the_second_run_does_nothing(
    start_registry: StartRegistry, seed: int
) -> None:
    """Seen to fail: let the plan name no stale tag-index entries; touch the state directory."""
    registry = with_a_past(start_registry, seed)
    before, files = StoreOnDisk(registry.v2).things, everything(registry.root)

    planned = collect_well(registry, *OPTIONS, "--dry-run")
    by_name = collect_well(registry, *OPTIONS, verb="plan")

    assert everything(registry.root) == files, "a dry run changes nothing"
    announced = {(each["kind"], each["name"]) for each in planned.report["deletions"]}
    assert announced, "this seed leaves nothing to collect"
    assert by_name.report["deletions"] == planned.report["deletions"]

    done = collect_well(registry, *OPTIONS)

    gone = before - StoreOnDisk(registry.v2).things
    assert {(thing.kind, thing.name) for thing in gone} == announced
    for what in ("blobs", "bytes", "links", "uploads"):
        assert done.deleted(what) == planned.deleted(what), what
    assert done.report["kept"] == planned.report["kept"]
    assert sum(thing.kind == "blob" for thing in gone) == done.deleted("blobs")

    files = everything(registry.v2)
    again = collect_well(registry, *OPTIONS)
    assert set(again.report["deleted"].values()) == {0}
    assert everything(registry.v2) == files
    assert not collect_well(registry, *OPTIONS, "--dry-run").report["deletions"]


@pytest.mark.parametrize("seed", [3, 4])
def test_rules_2_and_12_what_a_tag_reaches_stays_and_nothing_else_does(
    start_registry: StartRegistry, seed: int
) -> None:
    """By a definition of reachable that shares no code. Seen to fail: ignore `subject`."""
    registry = with_a_past(start_registry, seed, uploads=False)
    before = StoreOnDisk(registry.v2)
    live = {name: before.live(name) for name in before.repositories}
    tags = {name: before.tags(name) for name in before.repositories}

    collect_well(registry, *OPTIONS)

    after = StoreOnDisk(registry.v2)
    needed: set[str] = set()
    for name in before.repositories:
        # A referrers' tag goes with a subject that goes: judge by the tags that are left.
        still = after.live(name)
        assert still <= live[name]
        lost_tags = set(tags[name]) - set(after.tags(name))
        assert all(tag.startswith("sha256-") for tag in lost_tags), lost_tags
        assert after.revisions(name) == still & before.revisions(name)
        blobs = {blob for each in still for blob in after.references(each)[1]}
        links = {t.digest for t in after.things if t.kind == "layer link" and t.repository == name}
        assert links == blobs
        needed |= still | blobs
    assert {thing.digest for thing in after.things if thing.kind == "blob"} == needed
    assert left_behind(registry.v2) == []
    client = registry.client()
    assert client.repositories() == [name for name in before.repositories if after.revisions(name)]
    for name in before.repositories:
        assert client.tags(name) == sorted(after.tags(name))
        for tag in after.tags(name):
            assert client.pull(name, tag).missing == ()
