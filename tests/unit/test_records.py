"""What a run leaves in the state directory for others."""

from pathlib import Path

import pytest

from registry_gc import records
from registry_gc.errors import StorageError
from registry_gc.storage import FileStore


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path))


def test_a_store_keeps_its_name(store: FileStore) -> None:
    """Seen to fail: write one whether or not it is there."""
    assert records.store_id(store) == ""
    records.name_store(store)
    name = records.store_id(store)

    records.name_store(store)

    assert records.store_id(store) == name
    assert len(name) == 32


def test_the_last_report_is_read_as_it_was_written(store: FileStore) -> None:
    assert records.read_last_report(store) is None

    records.write_last_report(store, {"run": "r", "exitCode": 0})

    assert records.read_last_report(store) == {"run": "r", "exitCode": 0}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_report_is_a_sentence(store: FileStore, content: bytes) -> None:
    """Seen to fail: let the ValueError out, which `registry-gc report` did."""
    records.write_last_report(store, {})
    (path,) = Path(store.root).rglob("last.json")
    path.write_bytes(content)

    with pytest.raises(StorageError, match="collect again"):
        records.read_last_report(store)


def test_names_of_runs_sort_by_time_and_differ() -> None:
    first, second = records.new_run_id(), records.new_run_id()

    assert first != second
    assert first[:15] <= second[:15]
