"""Rule 8 where the collector may not read or write: wrong owners and modes.

Root may do everything, so as root these tests go on as somebody else.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry_gc.checking.check import Check
from registry_gc.checking.findings import Checked
from registry_gc.errors import StorageError
from registry_gc.storage import FileStore
from support.collecting import collect, plan
from support.damaged_stores import Victim
from support.store import walk

_NOBODY = 65534


@pytest.fixture
def victim() -> Iterator[Victim]:
    # Not below pytest's own folder, which nobody but its owner may enter.
    top = Path(tempfile.mkdtemp(prefix="registry-gc-rights-"))
    try:
        victim = Victim.build(top / "store")
        victim.store.age()
        top.chmod(0o755)
        if os.geteuid() == 0:
            for path in walk(top):
                os.chown(path, _NOBODY, _NOBODY)
        yield victim
    finally:
        for path in walk(top):
            Path(path).chmod(0o755)
        shutil.rmtree(top)


@contextlib.contextmanager
def without_rights(path: Path, mode: int) -> Iterator[None]:
    """Take rights away, and be somebody whom that concerns."""
    path.chmod(mode)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        path.chmod(0o755)


def check(victim: Victim) -> Checked:
    return Check(FileStore(str(victim.store.root)), read_data=True, look_again_after=0).run()


Place = Callable[[Victim], Path]
UNREADABLE: dict[str, tuple[Place, str, str]] = {
    "layer link": (lambda v: v.old("layer"), "it counts as live", "unreadable layer link"),
    "revision link": (lambda v: v.old("revision"), "it counts as live", "unreadable revision link"),
    "tag": (lambda v: v.current, "it counts as live", "unreadable tag"),
    "manifest": (
        lambda v: v.store.blob_path(v.image),
        "everything in its repository is kept",
        "unreadable manifest",
    ),
    "layer": (lambda v: v.store.blob_path(v.layer), "", "unreadable blob"),
    "layer links": (lambda v: v.folder / "_layers", "Permission denied", "unreadable folder"),
    "tags": (lambda v: v.folder / "_manifests/tags", "Permission denied", "unreadable folder"),
    "repository": (lambda v: v.folder, "Permission denied", "unreadable folder"),
    "repositories": (lambda v: v.folder.parent, "Permission denied", "unreadable folder"),
    "fan-out folder": (
        lambda v: v.store.blob_path(v.image).parent.parent,
        "Permission denied",
        "unreadable folder",
    ),
    "blobs": (lambda v: v.store.v2 / "blobs/sha256", "Permission denied", "unreadable folder"),
}


@pytest.mark.parametrize("place", UNREADABLE)
def test_what_cannot_be_read_is_named_and_protects_what_it_may_name(
    victim: Victim, place: str
) -> None:
    """Seen to fail: let `View.list` return an empty folder for one that it may not read."""
    path, said, kind = UNREADABLE[place]
    kept = victim.blobs(victim.image)

    with without_rights(path(victim), 0):
        planned = plan(victim.store.root).problems
        checked = check(victim)
        collect(victim.store.root)

    assert any(said in problem for problem in planned) if said else planned == []
    assert kind in {finding.kind for finding in checked.findings}
    assert checked.exit_code == 1
    assert all(blob.exists() for blob in kept)
    assert victim.current.exists()
    hidden = "blob" in place or "folder" in place or place in ("repositories", "repository")
    if hidden or place in ("layer links", "tags"):
        assert victim.store.blob_path(victim.orphan).exists(), "no blob goes"
    else:
        assert not victim.store.blob_path(victim.waste).exists()


@pytest.mark.parametrize("what", ["link", "blob"])
def test_what_cannot_be_moved_ends_the_run_with_everything_back(victim: Victim, what: str) -> None:
    """Seen to fail: go on after a move that was refused."""
    path = victim.old("layer") if what == "link" else victim.store.blob_path(victim.orphan)
    before = {name: Path(name).read_bytes() for name in walk(victim.store.v2) if is_file(name)}

    with (
        without_rights(path.parent, 0o555),
        pytest.raises(StorageError, match="mend the owner"),
    ):
        collect(victim.store.root)

    after = {name: Path(name).read_bytes() for name in walk(victim.store.v2) if is_file(name)}
    assert after == before


def is_file(path: str) -> bool:
    return Path(path).is_file()


def test_a_state_directory_of_somebody_else_is_a_sentence(victim: Victim) -> None:
    victim.store.state.mkdir()

    with (
        without_rights(victim.store.state, 0o555),
        pytest.raises(StorageError, match="mend the owner"),
    ):
        collect(victim.store.root)

    assert victim.store.blob_path(victim.orphan).exists()
