"""`registry-gc check`: its exit codes, what it prints where, and what it leaves alone."""

import fcntl
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from registry_gc import lock
from registry_gc.cli import main
from registry_gc.storage import FileStore
from support.store import StoreBuilder, digest, write_configuration


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    store = StoreBuilder(tmp_path / "store")
    store.image("app", "v1", layers=["layer"])
    store.age()
    return store


@pytest.fixture
def config(store: StoreBuilder, tmp_path: Path) -> Path:
    return write_configuration(tmp_path / "config.yml", store.root)


def check(*arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["check", *(str(each) for each in arguments)], env=env)


def empty_link(store: StoreBuilder) -> Path:
    """Empty the layer's link, so that the image cannot be pulled; return it."""
    link = store.layer_link("app", digest(b"layer"))
    link.write_text("")
    store.age()
    return link


def test_0_a_sound_store(config: Path) -> None:
    done = check(config)

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("The store is sound.")
    assert done.stderr == ""


@pytest.mark.parametrize("folders", ["", "docker", "docker/registry/v2/repositories"])
def test_0_a_store_that_nobody_has_pushed_to(tmp_path: Path, folders: str) -> None:
    (tmp_path / "store" / folders).mkdir(parents=True)
    config = write_configuration(tmp_path / "config.yml", tmp_path / "store")

    assert check(config).exit_code == 0
    assert check(config, "--repair").exit_code == 0


def test_1_problems_each_with_what_to_do(config: Path, store: StoreBuilder) -> None:
    empty_link(store)

    done = check(config)

    assert done.exit_code == 1
    assert done.stdout.startswith("1 problem found.")
    assert f"the layer link app@{digest(b'layer')} is empty" in done.stdout
    assert "registry-gc check --repair" in done.stdout


def test_2_a_wrong_configuration(tmp_path: Path) -> None:
    done = check(tmp_path / "no such file")

    assert done.exit_code == 2
    assert "no such file" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("options", [[], ["--repair"]])
def test_4_a_collection_goes_on(config: Path, store: StoreBuilder, options: list[str]) -> None:
    """What it has taken would look like damage. Seen to fail: look without the lock."""
    with lock.held(FileStore(str(store.root)), "another run"):
        done = check(config, *options)

    assert done.exit_code == 4
    assert "another run" in done.stderr


def test_a_collection_of_another_machine_is_noticed_too(
    config: Path, store: StoreBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network file system only the lock file is locked across machines.

    Seen to fail: let `lock.shared` lock the folder alone.
    """
    monkeypatch.setattr(lock, "is_remote", lambda _path: True)
    path = store.state / "lock"
    path.parent.mkdir(parents=True)
    path.touch()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        assert check(config).exit_code == 4


def test_a_check_keeps_a_collection_away_and_not_another_check(
    config: Path, store: StoreBuilder
) -> None:
    descriptor = os.open(store.root / "docker", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        assert check(config).exit_code == 0
        assert CliRunner().invoke(main, ["collect", str(config)]).exit_code == 4
    finally:
        os.close(descriptor)


def test_5_the_storage_fails(config: Path, store: StoreBuilder) -> None:
    (store.root / "docker").rename(store.root / "elsewhere")
    (store.root / "docker").write_text("no folder")

    done = check(config)

    assert done.exit_code == 5
    assert "next:" in done.stderr


def test_without_repair_nothing_is_changed(config: Path, store: StoreBuilder) -> None:
    """Not even a lock file is made. Seen to fail: take the lock as a collection does."""
    empty_link(store)
    before = store.everything()

    assert check(config, "--read-data").exit_code == 1

    assert store.everything() == before
    assert not store.state.exists()


def test_repair_mends_and_says_so(config: Path, store: StoreBuilder) -> None:
    link = empty_link(store)

    done = check(config, "--repair")

    assert done.exit_code == 0, done.output
    assert "Repaired (1)" in done.stdout
    assert link.read_text() == digest(b"layer")
    assert check(config).exit_code == 0


def test_repair_leaves_a_young_link_alone(config: Path, store: StoreBuilder) -> None:
    """Seen to fail: do not hand the grace period on."""
    link = empty_link(store)

    assert check(config, "--repair", "--grace-period", "3h").exit_code == 1
    assert link.read_text() == ""
    assert check(config, "--repair", env={"GC_GRACE_PERIOD": "1h"}).exit_code == 0


def test_repair_first_ends_what_a_dead_run_left(config: Path, store: StoreBuilder) -> None:
    link = store.layer_link("app", digest(b"layer"))
    taken = store.state / "taken/repositories/app/_layers/sha256" / link.parent.name
    taken.parent.mkdir(parents=True)
    link.rename(taken)
    assert "a collection that died holds 1 files" in check(config).stdout

    done = check(config, "--repair")

    assert done.exit_code == 0, done.output
    assert link.exists()


def test_read_data_finds_what_the_rest_cannot(config: Path, store: StoreBuilder) -> None:
    store.blob_path(digest(b"layer")).write_bytes(b"LAYER")

    assert check(config).exit_code == 0
    done = check(config, "--read-data", "--output", "json")

    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert [each["kind"] for each in told["problems"]] == ["damaged blob"]
    assert told["checked"]["bytes"] > 0


def test_json_is_all_that_stands_on_standard_output(config: Path, store: StoreBuilder) -> None:
    empty_link(store)
    store.index("app", [digest(b"not copied")], "sparse")

    told = json.loads(check(config, "--output", "json").stdout)

    assert told["sound"] is False
    (problem,) = told["problems"]
    assert {
        "kind",
        "harm",
        "what",
        "path",
        "repository",
        "tag",
        "digest",
        "advice",
    } <= problem.keys()
    assert problem["repository"] == "app"
    assert [each["kind"] for each in told["normal"]] == ["sparse index"]
    assert told["checked"]["repositories"] == 1
