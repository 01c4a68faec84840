"""Rule 15: against `registry garbage-collect -m` on the same store, every difference has a name."""

from pathlib import Path

import pytest

from registry.conftest import StartRegistry
from support.collector import collect
from support.histories import History
from support.reading import StoreOnDisk, Thing
from support.registry_process import RegistryProcess, copy_store

GATE, FULL = range(100, 106), range(106, 300)


def two_copies(registry: RegistryProcess, folder: Path) -> tuple[RegistryProcess, RegistryProcess]:
    """Return two registries, not started, over copies of a stopped one's store."""
    registry.stop()
    copies = []
    for name in ("theirs", "ours"):
        copy = RegistryProcess(folder / name, started=False)
        copy.__enter__()
        copy_store(registry.root, copy.root)
        copies.append(copy)
    return copies[0], copies[1]


def name_of_removal(before: StoreOnDisk, after: StoreOnDisk, thing: Thing) -> str:
    """Return why we removed what the registry's own collection leaves, empty for no reason."""
    still = after.live(thing.repository) if thing.repository else set()
    needed = {blob for each in still for blob in after.references(each)[1]}
    subject = thing.tag.replace("sha256-", "sha256:")
    subject_went = subject in before.revisions(thing.repository) - after.revisions(thing.repository)
    match thing.kind:
        case "layer link" if thing.digest not in needed:
            return "a link that no manifest of the repository needs"
        case "tag index entry" if before.tags(thing.repository).get(thing.tag) != thing.digest:
            return "a stale entry of a tag's index"
        case "tag" | "tag index entry" if thing.tag.startswith("sha256-") and subject_went:
            return "a referrers' tag whose subject goes"
        case "revision link" if thing.digest not in still and any(
            thing.digest in after.live(name) for name in after.repositories
        ):
            return "a manifest that is untagged here and lives in another repository"
        case "revision link" | "blob" if not any(
            thing.digest in after.live(name)
            or any(thing.digest in after.references(each)[1] for each in after.live(name))
            for name in after.repositories
        ):
            return "what only a referrers' tag led to"
    return ""


def name_of_survivor(after: StoreOnDisk, thing: Thing) -> str:
    """Return why we keep what the registry's own collection destroys, empty for no reason."""
    protected = after.protected_by_uploads()
    if thing in protected or (
        thing.kind == "blob" and any(thing.digest == link.digest for link in protected)
    ):
        return "a layer that came after the start of an upload which may need it"
    for name in after.repositories:
        referrers = after.live(name) - after.live(name, with_referrers=False)
        of_them = {blob for each in referrers for blob in after.references(each)[1]}
        if thing.repository in ("", name) and thing.digest in referrers | of_them:
            return "a referrer of a living subject, and what it names"
    return ""


@pytest.mark.parametrize(
    "seed", [*GATE, *(pytest.param(seed, marks=pytest.mark.full) for seed in FULL)]
)
def test_rule_15_every_difference_from_the_reference_has_a_name(
    start_registry: StartRegistry, tmp_path: Path, seed: int
) -> None:
    """Seen to fail: let the plan leave stale entries of a tag's index."""
    registry = start_registry()
    History(registry.client(), seed).play(25)
    theirs, ours = two_copies(registry, tmp_path)
    before = StoreOnDisk(registry.v2)

    reference = theirs.garbage_collect("-m")
    assert reference.returncode == 0, reference.stderr
    options = ("--grace-period", "0s", "--offline", "--max-delete-ratio", "1")
    done = collect(ours.config_path, *options)
    assert done.code == 0, done

    left, kept = StoreOnDisk(theirs.v2), StoreOnDisk(ours.v2)
    assert kept.things <= before.things
    unnamed = [
        *(("removed", thing) for thing in left.things - kept.things
          if not name_of_removal(before, kept, thing)),
        *(("kept", thing) for thing in kept.things - left.things
          if not name_of_survivor(kept, thing)),
    ]  # fmt: skip
    assert not unnamed, "\n".join(f"{what}: {thing}" for what, thing in unnamed)
