"""The store: everything that touches storage goes through here.

Paths are relative to the registry's root directory and use `/`.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from registry_gc.errors import StorageError
from registry_gc.layout import STATE


@dataclass(frozen=True, slots=True)
class Stat:
    """One file: size in bytes; times in nanoseconds since the epoch, by the storage's clock.

    `identity` differs from that of any other file that has stood at the same path. Not `is_plain`
    is what no registry writes: a symbolic link, a FIFO, a socket, a device; and a folder.
    """

    size: int
    modified: int
    changed: int
    identity: int
    is_folder: bool = False
    is_plain: bool = True


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in one folder; symbolic links apart, whatever they lead to."""

    folders: list[str]
    files: list[str]
    symlinks: list[str] = field(default_factory=list)


class NoSpaceError(Exception):
    """The storage has no room for one more name, folder or byte."""


class Store(Protocol):
    """What a collection needs of a storage; everything raises StorageError when it fails.

    What is missing is None or an empty listing; what cannot be read is an error, never empty.
    """

    def list(self, path: str) -> Listing:
        """Return what lies in a folder."""

    def stat(self, path: str) -> Stat | None:
        """Return a file's or a folder's times and size."""

    def read(self, path: str, limit: int) -> tuple[bytes, Stat] | None:
        """Return at most `limit` bytes, and the file that they were read from."""

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield a file's content in parts; nothing for what is missing or no plain file."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all."""

    def give_owner(self, source: str, target: str) -> None:
        """Give a file the owner of another or of a folder, as far as we may."""

    def rename(self, source: str, target: str) -> bool:
        """Move a file or folder and make the target's folder; False if the source is gone."""

    def put_new(self, source: str, target: str) -> bool:
        """Move a file where none is; False, and nothing moved, if one is there already."""

    def remove(self, path: str) -> None:
        """Remove a file; a missing one is fine."""

    def remove_folder(self, path: str) -> bool:
        """Remove an empty folder; False if something is in it."""

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it."""

    def allocate(self, path: str, size: int) -> None:
        """Make a file that takes so many bytes of the storage."""

    def sync_folder(self, path: str) -> None:
        """Make what was renamed in a folder outlive a crash of the machine."""

    def now(self) -> int:
        """Return the storage's own time in nanoseconds since the epoch; changes nothing."""


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_NO_RENAMEAT2 = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
_RENAME_NOREPLACE = 1
_PART = 1024 * 1024  # bytes
_AT_FDCWD = -100
_READING = os.O_RDONLY | os.O_NONBLOCK  # a pipe that lies there by mistake must not stop us


class FileStore:
    """A registry's root directory on a file system."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"

    def absolute(self, path: str) -> str:
        """Return the path for programs outside the store."""
        return f"{self.root}/{path}" if path else self.root

    def list(self, path: str) -> Listing:
        """Return what lies in a folder; the file type comes with the name, nothing is opened."""
        folders: list[str] = []
        files: list[str] = []
        symlinks: list[str] = []
        try:
            with os.scandir(self.absolute(path)) as entries:
                for entry in entries:
                    # Never followed: it may lead out of the store, or back into it without end.
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    else:
                        (symlinks if entry.is_symlink() else files).append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise _failed("list", path, error) from error
        return Listing(folders, files, symlinks)

    def stat(self, path: str) -> Stat | None:
        """Return a file's or a folder's times and size; of a symbolic link, its own."""
        try:
            return _stat(os.lstat(self.absolute(path)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed("look at", path, error) from error

    def read(self, path: str, limit: int) -> tuple[bytes, Stat] | None:
        """Return at most `limit` bytes, and the file that they were read from.

        A symbolic link is read through, as the registry does, but is not plain; what is neither
        that nor a file has no content.
        """
        try:
            descriptor, is_symlink = self._opened(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed("read", path, error) from error
        try:
            status = os.fstat(descriptor)
            found = _stat(status)
            if not found.is_plain:
                return b"", found
            content = _content(descriptor, status.st_size, limit)
            return content, replace(found, is_plain=False) if is_symlink else found
        except OSError as error:
            raise _failed("read", path, error) from error
        finally:
            os.close(descriptor)

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield a file's content in parts; nothing for what is missing or no plain file."""
        try:
            descriptor = os.open(self.absolute(path), _READING | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _failed("read", path, error) from error
        try:
            if _stat(os.fstat(descriptor)).is_plain:
                while part := os.read(descriptor, _PART):
                    yield part
        except OSError as error:
            raise _failed("read", path, error) from error
        finally:
            os.close(descriptor)

    def _opened(self, path: str) -> tuple[int, bool]:
        """Open a file, and say whether that led through a symbolic link at its name."""
        absolute = self.absolute(path)
        try:
            return os.open(absolute, _READING | os.O_NOFOLLOW), False
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        try:
            return os.open(absolute, _READING), True
        except (FileNotFoundError, NotADirectoryError) as error:
            # What it led to may be away for a while, so this is not the same as nothing.
            raise OSError(errno.ENOLINK, "it is a symbolic link that leads nowhere") from error

    def write(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        temporary = f"{self.absolute(path)}.{os.getpid()}.tmp"
        with _failing("write", path):
            os.makedirs(os.path.dirname(temporary), exist_ok=True)
            try:
                with open(temporary, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, self.absolute(path))
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise

    def touch(self, path: str) -> bool:
        """Give a file the storage's time of now, which takes no room; False if it is not there."""
        with _failing("touch", path):
            try:
                os.utime(self.absolute(path))
            except FileNotFoundError:
                return False
            return True

    def give_owner(self, source: str, target: str) -> None:
        """Give a file the owner of another or of a folder, as far as we may."""
        # A file of ours that the registry's user cannot write would refuse its next push.
        with contextlib.suppress(OSError):
            status = os.lstat(self.absolute(source))
            os.chown(self.absolute(target), status.st_uid, status.st_gid)

    def rename(self, source: str, target: str) -> bool:
        """Move a file or folder and make the target's folder; False if the source is gone."""
        with _failing("move", source):
            try:
                os.rename(self.absolute(source), self.absolute(target))
            except FileNotFoundError:
                # The target's folder may be missing as well as the source: ask which.
                if not os.path.lexists(self.absolute(source)):
                    return False
                os.makedirs(os.path.dirname(self.absolute(target)), exist_ok=True)
                try:
                    os.rename(self.absolute(source), self.absolute(target))
                except FileNotFoundError:
                    return False
            return True

    def put_new(self, source: str, target: str) -> bool:
        """Move a file where none is; False, and nothing moved, if one is there already."""
        old, new = self.absolute(source), self.absolute(target)
        with _failing("put back", target):
            try:
                os.link(old, new, follow_symlinks=False)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _rename_noreplace(old, new)
            os.unlink(old)
            return True

    def remove(self, path: str) -> None:
        """Remove a file; a missing one is fine."""
        with _failing("remove", path), contextlib.suppress(FileNotFoundError):
            os.unlink(self.absolute(path))

    def remove_folder(self, path: str) -> bool:
        """Remove an empty folder; False if something is in it. Never a tree (race W9)."""
        try:
            os.rmdir(self.absolute(path))
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR):
                return False
            raise _failed("remove", path, error) from error
        return True

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        with _failing("make", path):
            os.makedirs(self.absolute(path), exist_ok=True)

    def allocate(self, path: str, size: int) -> None:
        """Make a file that takes so many bytes of the storage."""
        with _failing("reserve", path), open(self.absolute(path), "wb") as file:
            if size:
                os.posix_fallocate(file.fileno(), 0, size)

    def sync_folder(self, path: str) -> None:
        """Make what was renamed in a folder outlive a crash of the machine."""
        with _failing("sync", path):
            descriptor = os.open(self.absolute(path), os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def now(self) -> int:
        """Return the file system's time: that of a file without a name, made and dropped."""
        try:
            descriptor = os.open(self.root, os.O_TMPFILE | os.O_RDWR, 0o600)
        except OSError:
            return self._time_of_a_named_file()
        try:
            return os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)

    def is_one_file_system(self, *paths: str) -> bool:
        """Say whether all of these that exist lie where a rename can go from one to another."""
        devices = set()
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                devices.add(os.stat(self.absolute(path)).st_dev)
        return len(devices) <= 1

    def _time_of_a_named_file(self) -> int:
        """Return the time of a file in the state directory, where there is one to write in."""
        path = self.absolute(f"{STATE}/clock.{os.getpid()}")
        try:
            with open(path, "wb") as file:
                return os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            # Read-only or full, or a dry run before any other: then our clock has to do.
            return time.time_ns()
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _content(descriptor: int, size: int, limit: int) -> bytes:
    """Return at most `limit` bytes of what is open; `size` is what it should have."""
    # One byte more than there should be: an answer that is shorter than asked for is the end.
    content = os.read(descriptor, min(limit, size + 1))
    while len(content) != size and len(content) < limit:
        part = os.read(descriptor, limit - len(content))
        if not part:
            break
        content += part
    return content


def _stat(status: os.stat_result) -> Stat:
    return Stat(
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        stat.S_ISDIR(status.st_mode),
        stat.S_ISREG(status.st_mode),
    )


def _rename_noreplace(old: str, new: str) -> bool:
    """Move without overwriting where a file system has no hard links."""
    number = _renameat2(old, new)
    if number in _NO_RENAMEAT2:
        return _rename_over_placeholder(old, new)
    if number == errno.EEXIST:
        return False
    if number:
        raise OSError(number, os.strerror(number), new)
    return True


def _renameat2(old: str, new: str) -> int:
    """Move without overwriting; return the error's number, 0 for none."""
    import ctypes  # here: hardly any file system needs it, and every start would load it

    libc = ctypes.CDLL(None, use_errno=True)
    function = getattr(libc, "renameat2", None)  # musl has it since 1.2.4
    if function is None:
        return errno.ENOSYS
    failed = function(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE)
    return ctypes.get_errno() if failed else 0


def _rename_over_placeholder(old: str, new: str) -> bool:
    """Move without overwriting where there is neither: an empty file holds the place first.

    A run that dies in between leaves it empty, and so for the next one to replace.
    """
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        return False
    os.rename(old, new)
    return True


@contextlib.contextmanager
def _failing(what: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise NoSpaceError(path) from error
        raise _failed(what, path, error) from error


_ADVICE = {
    errno.EROFS: "mount the volume writable, or look at the node's log for why it became read-only",
    errno.EACCES: "run as the user that the registry runs as (the chart does), or mend the owner",
    errno.EPERM: "run as the user that the registry runs as (the chart does), or mend the owner",
    errno.EXDEV: "let the whole root directory lie on one file system",
}


def _failed(what: str, path: str, error: OSError) -> StorageError:
    return StorageError(
        f"the storage failed: cannot {what} {path or 'the root directory'}",
        why=error.strerror or str(error),
        next_step=_ADVICE.get(
            error.errno or 0, "check the volume and the node's log, then run again"
        ),
    )
