"""Which process is the registry, and that its memory counts whatever the file says."""

import os
from pathlib import Path

import pytest

from registry.conftest import StartRegistry
from support.client import image
from support.collector import QUICK, collect, collect_well
from support.registry_process import RegistryProcess, free_port

IN_MEMORY = {"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR": "inmemory"}


def deleted_image(registry: RegistryProcess) -> None:
    client = registry.client()
    client.push("app", image("keep"), "keep")
    client.push("app", image("gone"), "gone")
    client.delete_manifest("app", image("gone").digest)


def push_again_survives_a_restart(registry: RegistryProcess) -> bool:
    registry.client().push("app", image("gone"), "again")
    registry.restart()
    return not registry.client().pull("app", "again").missing


def test_a_cache_that_only_the_process_knows_of(start_registry: StartRegistry) -> None:
    """Its environment counts, not ours. Seen to fail: read our own environment only."""
    registry = start_registry(supervised=True, environment=IN_MEMORY)
    deleted_image(registry)

    done = collect_well(registry)

    assert done.report["restarted"] == 1
    assert push_again_survives_a_restart(registry)


@pytest.mark.parametrize("how", ["relative", "symbolic link", "dots"])
def test_another_name_of_the_same_file_is_the_same_registry(
    start_registry: StartRegistry, how: str
) -> None:
    """Were it not found, its memory would be taken for none, and a later push lost in silence.

    Seen to fail: compare the paths as they are written.
    """
    registry = start_registry(supervised=True, environment=IN_MEMORY)
    deleted_image(registry)
    link = registry.folder / "link.yml"
    link.symlink_to(registry.config_path)
    name = {
        "relative": Path(os.path.relpath(registry.config_path)),
        "symbolic link": link,
        "dots": registry.folder / ".." / registry.folder.name / "config.yml",
    }[how]

    done = collect(name, *QUICK)

    assert done.code == 0, done
    assert done.report["restarted"] == 1
    assert push_again_survives_a_restart(registry)


def test_an_edited_file_is_not_what_the_process_runs_with(start_registry: StartRegistry) -> None:
    """Attack 6: the cache was switched off in the file, and the process still has one.

    Seen to fail: take the file's word.
    """
    registry = start_registry(supervised=True, cache="inmemory")
    deleted_image(registry)
    text = registry.config_path.read_text()
    registry.config_path.write_text(text.replace("  cache: {blobdescriptor: inmemory}\n", ""))
    later = registry.config_path.stat().st_mtime + 60
    os.utime(registry.config_path, (later, later))

    done = collect(registry)

    assert done.code == 0, done
    assert done.report["restarted"] == 1
    assert push_again_survives_a_restart(registry)


def test_every_replica_on_this_machine_is_restarted(start_registry: StartRegistry) -> None:
    """Two processes that serve one configuration: both remember."""
    registry = start_registry(supervised=True, cache="inmemory")
    deleted_image(registry)
    port = free_port()
    address = {"REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}"}
    second = start_registry(supervised=True, serves=registry, environment=address, port=port)

    done = collect_well(registry)

    assert done.report["restarted"] == 2
    assert (registry.starts, second.starts) == (2, 2)
    assert push_again_survives_a_restart(registry)
