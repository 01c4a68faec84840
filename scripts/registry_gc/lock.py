"""One collector for each store.

The kernel's lock on a file goes with its process, so a dead holder's is free at once. It lies on
the store's own folder `docker`, because a full disk may have no room for a lock file; network file
systems that want a writable file for it get one in the state directory.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

from registry_gc.errors import LockedError, StorageError
from registry_gc.layout import STATE
from registry_gc.storage import FileStore, NoSpaceError

_HOLDER = f"{STATE}/holder.json"


@contextlib.contextmanager
def held(store: FileStore, run: str) -> Iterator[None]:
    """Hold the store's lock. Raises LockedError, which names the run that holds it."""
    descriptor = _open(store)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _locked(holder(store)) from None
        except OSError as error:
            raise _failed(error) from error
        _write_holder(store, run)
        yield
        with contextlib.suppress(StorageError):
            store.remove(_HOLDER)
    finally:
        os.close(descriptor)


def holder(store: FileStore) -> dict[str, str]:
    """Return who holds the lock, as far as it could write that down: host, pid, run, since."""
    try:
        found = store.read(_HOLDER, 4096)
        loaded = json.loads(found[0]) if found else {}
    except (StorageError, ValueError):
        return {}
    if not isinstance(loaded, dict):
        return {}
    return {str(key): str(value) for key, value in loaded.items()}


def _open(store: FileStore) -> int:
    try:
        descriptor = os.open(store.absolute("docker"), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _failed(error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return descriptor
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EBADF, errno.EOPNOTSUPP, errno.EINVAL):
            raise _failed(error) from error
        store.make_folder(STATE)
        return os.open(store.absolute(f"{STATE}/lock"), os.O_RDWR | os.O_CREAT, 0o644)
    return descriptor


def _failed(error: OSError) -> StorageError:
    return StorageError(
        "nothing was deleted: the store cannot be locked",
        why=error.strerror or str(error),
        next_step="check the volume and its mount options; a lock needs flock to work there",
    )


def _write_holder(store: FileStore, run: str) -> None:
    known = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "run": run,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # Only for people and for the sidecar's answers; the lock itself needs no byte.
    with contextlib.suppress(StorageError, NoSpaceError):
        store.write(_HOLDER, json.dumps(known).encode())


def _locked(holder: dict[str, str]) -> LockedError:
    return LockedError(
        "nothing was done: another collector holds this store",
        why=f"run {holder.get('run', 'unknown')} on {holder.get('host', 'an unknown host')}"
        f" since {holder.get('since', 'an unknown time')}",
        next_step="wait for it to end; the lock goes with its process, so it is never stale",
        holder=holder,
    )
