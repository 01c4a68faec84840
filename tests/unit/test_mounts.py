"""Network file systems: which they are, and for how long they answer from memory."""

from datetime import timedelta
from pathlib import Path

import pytest

from registry_gc.mounts import is_remote, least_settle_period

_TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / {store} rw,relatime shared:2 - {kind} server:/export {options}
31 22 0:41 / {store}-other rw,relatime - tmpfs tmpfs rw
"""


def table(tmp_path: Path, kind: str, options: str = "rw") -> tuple[str, Path]:
    """Return a store's folder and a table of mounts that has it on such a file system."""
    store = tmp_path / "a store"
    (store / "root").mkdir(parents=True)
    mounts = tmp_path / "mountinfo"
    escaped = str(store).replace(" ", "\\040")
    mounts.write_text(_TABLE.format(store=escaped, kind=kind, options=options))
    return str(store / "root"), mounts


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3"])
def test_a_network_file_system_is_remote(tmp_path: Path, kind: str) -> None:
    path, mounts = table(tmp_path, kind)

    assert is_remote(path, mounts)
    assert not is_remote(f"{tmp_path}/a store-other/x", mounts)
    assert not is_remote("/", mounts)


def test_a_local_one_needs_no_longer_wait(tmp_path: Path) -> None:
    path, mounts = table(tmp_path, "ext4")

    assert not is_remote(path, mounts)
    assert least_settle_period(path, mounts) == timedelta()


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ("rw,vers=4.2,rsize=1048576", 180),  # 60 s are the default
        ("rw,acdirmax=120,acregmax=30", 300),
        ("rw,acregmax=10,acdirmax=10", 80),
        ("rw,actimeo=5", 70),
        ("rw,sync,noac,vers=3", 60),
    ],
)
def test_twice_the_attribute_timeout_and_a_minute(
    tmp_path: Path, options: str, seconds: int
) -> None:
    path, mounts = table(tmp_path, "nfs4", options)

    assert least_settle_period(path, mounts) == timedelta(seconds=seconds)


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    assert not is_remote("/", tmp_path / "none")
    assert least_settle_period("/", tmp_path / "none") == timedelta()
