"""One collector for each store.

The kernel's lock on a file goes with its process, so a dead holder's is free at once. Two are
taken: that on the store's own folder `docker`, because a full disk may have no room for a lock
file; and that on a file in the state directory, because a network file system knows no lock on a
folder across machines: Linux keeps it to the one machine and says nothing (no `flock` for folders
in fs/nfs/dir.c and fs/smb/client/cifsfs.c).
"""

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from registry_gc.errors import LockedError, StorageError
from registry_gc.layout import STATE
from registry_gc.mounts import is_remote
from registry_gc.storage import FileStore, NoSpaceError

_HOLDER = f"{STATE}/holder.json"
_LOCK = f"{STATE}/lock"
_PATIENCE = 0.5  # seconds
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_LOCKS = (errno.EBADF, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def held(store: FileStore, run: str) -> Iterator[None]:
    """Hold the store's lock. Raises LockedError, which names the run that holds it."""
    with contextlib.ExitStack() as locks:
        folder = _opened(locks, store.absolute("docker"), os.O_RDONLY | os.O_DIRECTORY)
        on_folder = _flock(store, folder)
        file = _lock_file(locks, store, needed=not on_folder or is_remote(store.root))
        if file is not None and not _flock(store, file):
            raise _failed(OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)))
        _write_holder(store, run)
        yield
        with contextlib.suppress(StorageError):
            store.remove(_HOLDER)


@contextlib.contextmanager
def shared(store: FileStore) -> Iterator[None]:
    """Keep collectors away for a while, and write nothing. Raises LockedError.

    On a network file system a store that was never collected has no lock file yet, and only the
    collectors of this machine are kept away.
    """
    paths = {"docker": os.O_RDONLY | os.O_DIRECTORY}
    if is_remote(store.root) and store.stat(_LOCK) is not None:
        paths[_LOCK] = os.O_RDONLY
    with contextlib.ExitStack() as locks:
        for path, flags in paths.items():
            descriptor = _opened(locks, store.absolute(path), flags)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _locked(holder(store)) from None
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise _failed(error) from error
        yield


def run_that_holds(store: FileStore) -> str:
    """Return the run that holds the store's lock now, empty if none does. Raises StorageError."""
    remote = is_remote(store.root)
    if store.stat("docker") is None or (remote and store.stat(_LOCK) is None):
        return ""
    with contextlib.ExitStack() as locks:
        path = store.absolute(_LOCK if remote else "docker")
        descriptor = _opened(locks, path, os.O_RDONLY)
        try:
            # Shared, so that those who only ask do not meet each other.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return holder(store).get("run", "")
        except OSError:
            return ""  # a file system without locks, which a collection refuses
    return ""


def holder(store: FileStore) -> dict[str, str]:
    """Return who holds the lock, as far as it could write that down: host, pid, run, since."""
    try:
        found = store.read(_HOLDER, 4096)
        loaded = json.loads(found[0]) if found else {}
    except (StorageError, ValueError, RecursionError):
        return {}
    if not isinstance(loaded, dict):
        return {}
    return {str(key): str(value) for key, value in loaded.items()}


def _flock(store: FileStore, descriptor: int) -> bool:
    """Lock what is open; False if this kind of file cannot be locked there."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Who only asks (`run_that_holds`) holds it for an instant.
            if time.monotonic() > deadline:
                raise _locked(holder(store)) from None
            time.sleep(_PATIENCE / 10)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise _failed(error) from error
        else:
            return True


def _lock_file(locks: contextlib.ExitStack, store: FileStore, *, needed: bool) -> int | None:
    """Open the lock file; None if the disk has no room for it and the folder's lock is enough."""
    path = store.absolute(_LOCK)
    try:
        store.make_folder(STATE)
        return _opened(locks, path, os.O_RDWR | os.O_CREAT)
    except NoSpaceError:
        if needed:
            raise
        return None


def _opened(locks: contextlib.ExitStack, path: str, flags: int) -> int:
    try:
        try:
            descriptor = os.open(path, flags, 0o644)
        except PermissionError:
            # Another user's lock file: on a local file system reading is enough for a lock.
            descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise NoSpaceError(path) from error
        raise _failed(error) from error
    locks.callback(os.close, descriptor)
    return descriptor


def _failed(error: OSError) -> StorageError:
    return StorageError(
        "nothing was deleted: the store cannot be locked",
        why=error.strerror or str(error),
        next_step="check the volume and its mount options; a lock needs flock to work there",
    )


def _write_holder(store: FileStore, run: str) -> None:
    known = {
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "run": run,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # Only for people and for the sidecar's answers; the lock itself needs no byte.
    with contextlib.suppress(StorageError, NoSpaceError):
        store.write(_HOLDER, json.dumps(known).encode())


def _locked(holder: dict[str, str]) -> LockedError:
    if not holder:
        # A check writes nothing, so it cannot say who it is.
        return LockedError(
            "nothing was done: a check, or another collector, holds this store",
            why="its lock is held by a process that did not write down who it is",
            next_step="wait for it to end; the lock goes with its process, so it is never stale",
            holder=holder,
        )
    return LockedError(
        "nothing was done: another collector holds this store",
        why=f"run {holder.get('run', 'unknown')} on {holder.get('host', 'an unknown host')}"
        f" since {holder.get('since', 'an unknown time')}",
        next_step="wait for it to end; the lock goes with its process, so it is never stale",
        holder=holder,
    )
