"""A volume that is full to the last byte, or without free inodes: collecting is what frees it.

On a real ext4 file system of its own (a loop device; needs root), whose registry is a real one.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.client import Client, Manifest, Refused, image, layer
from support.collector import QUICK, collect
from support.registry_process import RegistryProcess
from support.run import run

MIB = 1024 * 1024


class Volume:
    """An ext4 file system in a file, mounted at `path`."""

    def __init__(self, folder: Path, *, mebibytes: int, inodes: int) -> None:
        self.path = folder / "volume"
        self.path.mkdir()
        file = folder / "volume.img"
        with file.open("wb") as opened:
            opened.truncate(mebibytes * MIB)
        # -m 0: root, who runs these tests, would else have room that the registry's user has not.
        run("mkfs.ext4", "-q", "-m", "0", "-b", "4096", "-N", str(inodes), file)
        run("mount", "-o", "loop", file, self.path)

    def unmount(self) -> None:
        run("umount", "-l", self.path)

    def fill_bytes(self) -> Path:
        """Fill it to the last byte."""
        ballast = self.path / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (MIB, 4096, 1):
                while True:
                    try:
                        file.write(b"x" * size)
                    except OSError:
                        break
        assert os.statvfs(self.path).f_bavail == 0
        return ballast

    def fill_inodes(self) -> None:
        """Use up every inode."""
        folder = self.path / "ballast"
        folder.mkdir()
        for number in range(100_000):
            try:
                (folder / str(number)).touch()
            except OSError:
                break
        assert os.statvfs(self.path).f_favail == 0


@pytest.fixture(params=["bytes", "inodes"])
def exhausted(request: pytest.FixtureRequest) -> str:
    """Return what the volume has nothing left of."""
    return str(request.param)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    volume = Volume(tmp_path, mebibytes=96, inodes=2000)
    yield volume
    volume.unmount()


@pytest.fixture
def registry(volume: Volume) -> Iterator[RegistryProcess]:
    with RegistryProcess(volume.path / "registry", cache="inmemory", supervised=True) as started:
        yield started


def fill(volume: Volume, exhausted: str) -> None:
    if exhausted == "bytes":
        volume.fill_bytes()
    else:
        volume.fill_inodes()


def push_and_delete(client: Client) -> tuple[Manifest, Manifest]:
    kept = image("kept", layers=[layer("kept", 2 * MIB)])
    # More than the reserve takes again at the end: eight large layers, and 4 inodes for each.
    large = [layer(f"large {number}", 2 * MIB) for number in range(8)]
    gone = image("gone", layers=[*large, *(layer(f"small {number}") for number in range(30))])
    client.push("app", kept, "kept")
    client.push("app", gone, "gone")
    client.delete_manifest("app", gone.digest)
    return kept, gone


def assert_works_again(registry: RegistryProcess, kept: Manifest, gone: Manifest) -> None:
    client = registry.client()
    assert client.pull("app", "kept").missing == ()
    # A small part of the deleted one: the reserve has taken its share again.
    again = image("gone", layers=gone.blobs[1:4])
    client.push("app", again, "again")
    assert client.pull("app", "again").missing == ()


def test_with_the_reserve_of_an_earlier_run(
    volume: Volume, registry: RegistryProcess, exhausted: str
) -> None:
    """Seen to fail: make the reserve no bytes and no names."""
    kept, gone = push_and_delete(registry.client())
    collect(registry, "--grace-period", "1h")  # finds nothing old enough; makes the reserve
    fill(volume, exhausted)
    with pytest.raises(Refused):
        registry.client().push("app", image("does not fit"), "new")

    done = collect(registry)

    assert done.code == 0, done.said
    assert done.deleted("bytes") > 16 * MIB
    assert done.report["restarted"] == 1
    assert_works_again(registry, kept, gone)


def test_a_first_run(volume: Volume, registry: RegistryProcess, exhausted: str) -> None:
    """No reserve yet: abandoned uploads and the folders that deletions left make the first room."""
    client = registry.client()
    kept, gone = push_and_delete(client)
    abandoned = registry.v2 / "repositories/app/_uploads/abandoned"
    abandoned.mkdir(parents=True)
    (abandoned / "data").write_bytes(b"x" * 9 * MIB)
    for number in range(80):
        (abandoned / str(number)).touch()
    for path in (*abandoned.iterdir(), abandoned):
        os.utime(path, (0, 0))
    fill(volume, exhausted)

    done = collect(registry)

    assert done.code == 0, done.said
    assert done.deleted("bytes") > 24 * MIB
    assert_works_again(registry, kept, gone)


def test_a_first_run_without_anything_to_give_up(
    volume: Volume, registry: RegistryProcess, exhausted: str
) -> None:
    """Says so, having touched nothing, and `--offline` needs no room at all."""
    kept, gone = push_and_delete(registry.client())
    fill(volume, exhausted)
    before = subprocess.run(
        ["find", registry.v2, "-type", "f"], capture_output=True, check=True
    ).stdout

    refused = collect(registry)

    if refused.code != 0:  # the folders that the API's deletion left may just be enough
        assert refused.code == 5, refused.said
        assert "--offline" in refused.report["error"]
        after = subprocess.run(
            ["find", registry.v2, "-type", "f"], capture_output=True, check=True
        ).stdout
        assert after == before
        registry.stop()
        done = collect(registry, *QUICK, "--offline")
        assert done.code == 0, done.said
        registry.start()
    assert_works_again(registry, kept, gone)
