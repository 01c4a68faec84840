"""Stores and registries that are empty, away, wrong or read-only: one clear sentence and its code.

Rules 7 and 10, and the exit codes of docs/operating.md.
"""

import os
import subprocess
from pathlib import Path

import pytest

from registry.conftest import StartRegistry
from support.client import image, layer
from support.collector import (
    QUICK,
    Collected,
    collect,
    collect_well,
    collector_environment,
    command,
    left_behind,
)
from support.registry_process import RegistryProcess


def nothing_was_deleted(done: Collected) -> bool:
    return all(count == 0 for count in done.report["deleted"].values())


def two_images_one_deleted(registry: RegistryProcess) -> str:
    """Return the digest of the deleted one."""
    client = registry.client()
    client.push("app", image("keep"), "keep")
    gone = image("gone")
    client.push("app", gone, "gone")
    client.delete_manifest("app", gone.digest)
    return gone.digest


@pytest.mark.parametrize("cache", ["none", "inmemory"])
@pytest.mark.parametrize(
    "folders", [None, "", "docker/registry/v2", "docker/registry/v2/repositories"]
)
@pytest.mark.parametrize("options", [QUICK, (*QUICK, "--dry-run")], ids=["real", "dry"])
def test_rule_7_an_empty_store_is_collected_in_peace(
    start_registry: StartRegistry, folders: str | None, cache: str, options: tuple[str, ...]
) -> None:
    """`registry garbage-collect` stops at each of these with "Path not found"."""
    registry = start_registry(cache=cache)
    if folders is not None:
        (registry.root / folders).mkdir(parents=True)

    done = collect_well(registry, *options)

    assert nothing_was_deleted(done)
    assert registry.garbage_collect().returncode == 1


def test_rule_7_a_store_with_nothing_but_an_upload(start_registry: StartRegistry) -> None:
    registry = start_registry()
    registry.client().start_upload("app")

    done = collect_well(registry)

    assert nothing_was_deleted(done), "the upload is younger than its grace period"
    assert registry.garbage_collect().returncode == 1
    assert done.code == 0


def test_rule_7_an_upload_that_nobody_ends_goes_after_its_grace_period(
    start_registry: StartRegistry,
) -> None:
    """Whose age is that of its files: the registry purges by `startedat`, and only every day."""
    registry = start_registry()
    client = registry.client()
    client.push("app", image("keep"), "keep")
    location = client.start_upload("app")
    client.request("PATCH", location, body=b"part of a layer")
    (upload,) = (registry.v2 / "repositories/app/_uploads").iterdir()
    for path in (*upload.rglob("*"), upload):
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)

    kept = collect_well(registry, *QUICK, "--upload-grace-period", "2h")
    assert nothing_was_deleted(kept)
    gone = collect_well(registry, *QUICK, "--upload-grace-period", "30m")

    assert gone.deleted("uploads") == 1
    assert gone.deleted("bytes") >= len(b"part of a layer")
    assert not upload.exists()
    assert client.pull("app", "keep").missing == ()


def test_blobs_without_repositories_are_refused(start_registry: StartRegistry) -> None:
    """A half-mounted or half-restored store looks exactly like this. Attack 8."""
    registry = start_registry()
    registry.client().push("app", image("keep"), "keep")
    repositories = registry.v2 / "repositories"
    repositories.rename(registry.v2 / "elsewhere")

    done = collect(registry)

    assert done.code == 3
    assert nothing_was_deleted(done)
    (registry.v2 / "elsewhere").rename(repositories)
    assert registry.client().pull("app", "keep").missing == ()


def test_a_stopped_registry_with_its_cache_in_memory(start_registry: StartRegistry) -> None:
    """Nothing can show that no other one still remembers, so it must be said with --offline."""
    registry = start_registry(cache="inmemory")
    gone = two_images_one_deleted(registry)
    registry.stop()

    refused = collect(registry)
    assert refused.code == 3
    assert "--offline" in str(refused.report["error"])
    assert left_behind(registry.v2, gone)

    done = collect_well(registry, "--grace-period", "0s", "--offline")
    assert done.deleted("blobs") == 4
    assert left_behind(registry.v2, gone) == []
    registry.start()
    assert registry.client().pull("app", "keep").missing == ()
    registry.client().push("app", image("gone"), "again")
    assert registry.client().pull("app", "again").missing == ()


def test_a_stopped_registry_without_a_cache_needs_no_word(start_registry: StartRegistry) -> None:
    registry = start_registry()
    gone = two_images_one_deleted(registry)
    registry.stop()

    collect_well(registry)

    assert left_behind(registry.v2, gone) == []


def test_offline_is_refused_while_a_registry_runs(start_registry: StartRegistry) -> None:
    """Seen to fail: take --offline at its word."""
    registry = start_registry()
    gone = two_images_one_deleted(registry)

    done = collect(registry, "--grace-period", "0s", "--offline")

    assert done.code == 3
    assert str(registry.pid) in str(done.report["error"])
    assert left_behind(registry.v2, gone)


def test_a_wrong_configuration_path(tmp_path: Path) -> None:
    done = collect(tmp_path / "no such config.yml")

    assert done.code == 2
    assert "no such config.yml" in str(done.report["error"])
    assert "/etc/distribution/config.yml" in str(done.report["error"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 0.2\nstorage: filesystem\n", "version"),
        ("version: 0.1\nstorage: {filesystem: {}, s3: {}}\n", "two storage drivers"),
        ("version: 0.1\nstorage: {s3: {bucket: b}}\n", "s3"),
    ],
)
def test_rule_10_a_configuration_that_is_refused(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "config.yml"
    config.write_text(text)

    done = collect(config)

    assert done.code == 2
    assert words in str(done.report["error"])


def test_rule_10_a_plan_that_removes_nearly_all_is_refused(start_registry: StartRegistry) -> None:
    """Above 100 blobs. Seen to fail: compare with the ratio the wrong way round."""
    registry = start_registry()
    client = registry.client()
    client.push("app", image("keep", layers=1), "keep")
    many = image("gone", layers=[layer(f"many {number}", 50) for number in range(110)])
    client.push("app", many, "gone")
    client.delete_manifest("app", many.digest)

    refused = collect(registry)
    assert refused.code == 3
    assert "--max-delete-ratio" in str(refused.report["error"])
    assert nothing_was_deleted(refused)
    assert left_behind(registry.v2, many.digest)

    done = collect_well(registry, *QUICK, "--max-delete-ratio", "1")
    assert done.deleted("blobs") == 112
    assert client.pull("app", "keep").missing == ()


def test_the_root_directory_that_the_process_was_started_with_is_the_one(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    """The variable counts, though the collector does not have it: it asks the process.

    Seen to fail: read our own environment only.
    """
    elsewhere = tmp_path / "elsewhere"
    registry = start_registry(
        environment={"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(elsewhere)}
    )
    gone = two_images_one_deleted(registry)
    assert not registry.root.exists()

    done = collect_well(registry)

    assert done.deleted("blobs") == 4
    assert left_behind(elsewhere / "docker/registry/v2", gone) == []
    assert registry.client().pull("app", "keep").missing == ()


def may_mount() -> bool:
    """Whether we may make mounts that only our own child sees."""
    return (
        subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not may_mount(), reason="needs to mount in a namespace of its own")
def test_a_read_only_volume(start_registry: StartRegistry) -> None:
    """Exit 5, and the sentence says that it is read-only; a dry run needs no writing."""
    registry = start_registry()
    gone = two_images_one_deleted(registry)

    def on_read_only_volume(*options: str) -> Collected:
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, registry.root, *command(registry, *options)],
            env=collector_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        return Collected.of(done.returncode, done.stdout, done.stderr)

    refused = on_read_only_volume(*QUICK)
    assert refused.code == 5, refused
    assert "read-only" in str(refused.report["error"]).lower()
    assert nothing_was_deleted(refused)
    planned = on_read_only_volume(*QUICK, "--dry-run")
    assert planned.code == 0, planned
    assert planned.deleted("blobs") == 4

    assert left_behind(registry.v2, gone)
    assert registry.client().pull("app", "keep").missing == ()


def test_a_damaged_link_is_named_and_stops_nothing(start_registry: StartRegistry) -> None:
    """Rule 8, beside a real registry; the kinds of damage are unit tests.

    `registry garbage-collect` stops at this one and deletes nothing anywhere.
    """
    registry = start_registry()
    gone = two_images_one_deleted(registry)
    client = registry.client()
    client.push("victim", image("victim"), "v1")
    (registry.v2 / "repositories/victim/_manifests/tags/v1/current/link").write_bytes(b"")

    done = collect(registry)

    assert done.code == 1
    assert any("victim" in problem for problem in done.report["problems"]), done.report
    assert left_behind(registry.v2, gone) == []
    assert client.pull("victim", image("victim").digest).missing == ()
    assert registry.garbage_collect("-m").returncode == 1


def test_a_tag_that_is_just_being_written_is_no_problem(start_registry: StartRegistry) -> None:
    """A push writes a tag's index entry and then its current link: a scan may come in between.

    Seen to fail: report every tag without a current link (an exit code of 1 for a sound store).
    """
    registry = start_registry()
    client = registry.client()
    client.push("app", image("new"), "new")
    current = registry.v2 / "repositories/app/_manifests/tags/new/current/link"
    content = current.read_text()
    current.unlink()

    collect_well(registry)

    current.write_text(content)
    assert client.pull("app", "new").missing == ()
    (entry,) = (registry.v2 / "repositories/app/_manifests/tags/new/index").rglob("link")
    current.unlink()
    os.utime(entry, (0, 0))
    damaged = collect(registry)
    assert damaged.code == 1
    assert "app:new has no current link" in damaged.report["problems"][0]
