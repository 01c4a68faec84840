"""What a run leaves in the state directory for others: its report, and the store's own name.

Others are the next run, the command `report`, and the sidecars of all replicas on the store.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from registry_gc.errors import StorageError
from registry_gc.layout import REGISTRY, STATE
from registry_gc.storage import Store

_LAST_REPORT = f"{STATE}/reports/last.json"
_LARGEST_REPORT = 16 * 1024 * 1024  # bytes
_STORE_ID = f"{STATE}/store-id"
_LARGEST_ID = 100  # bytes


def new_run_id() -> str:
    """Return a name for a run that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def write_last_report(store: Store, report: Mapping[str, object]) -> None:
    """Keep a collection's report. Raises StorageError and NoSpaceError."""
    store.write(_LAST_REPORT, json.dumps(report).encode())


def read_last_report(store: Store) -> dict[str, Any] | None:
    """Return what the store's last collection reported, None if there was none.

    Raises StorageError, also for what is no report.
    """
    found = store.read(_LAST_REPORT, _LARGEST_REPORT)
    if found is None:
        return None
    try:
        report = json.loads(found[0])
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict):
        raise StorageError(
            f"the last collection's report, {_LAST_REPORT}, is damaged; nothing else depends on it",
            why="it is not a JSON object",
            next_step="collect again, which writes it anew",
        )
    return report


def may_follow_another(store: Store) -> bool:
    """Say whether this store may have been served by a registry that caches in memory.

    Not where nobody has pushed yet, nor where the last collection found no such cache.
    """
    try:
        if store.stat(f"{REGISTRY}/repositories") is None:
            return False
        return (read_last_report(store) or {}).get("inMemory") is not False
    except StorageError:
        return True


def store_id(store: Store) -> str:
    """Return the store's name, the same for every replica that shares it; empty before it has one.

    Raises StorageError.
    """
    found = store.read(_STORE_ID, _LARGEST_ID)
    return found[0].decode(errors="replace") if found else ""


def name_store(store: Store) -> None:
    """Give the store a name unless it has one. Raises StorageError and NoSpaceError."""
    if not store_id(store):
        store.write(_STORE_ID, uuid.uuid4().hex.encode())
