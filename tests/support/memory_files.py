"""A file system in memory with a clock of its own, and a store over it that says what it does.

A collection over it takes a millisecond, and between any two of its steps somebody else may take
steps of theirs. Times are exact: whatever happens in one instant has one time, as on a file system
with coarse times.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from registry_gc.errors import StorageError
from registry_gc.storage import Listing, Stat

SECOND = 10**9
_BEGIN = 1_800_000_000 * SECOND  # ns since the epoch


@dataclass
class Clock:
    """The time of everybody in a simulation: nanoseconds since the epoch."""

    now: int = _BEGIN
    jumped: int = 0

    def monotonic(self) -> float:
        return (self.now - self.jumped) / SECOND

    def jump(self, seconds: int) -> None:
        """Set the clock, as an administrator does; what only counts seconds does not notice."""
        self.now += seconds * SECOND
        self.jumped += seconds * SECOND

    def advance(self, seconds: float) -> None:
        self.now += round(max(0.0, seconds) * SECOND)


@dataclass
class Inode:
    """A file, whatever it is called by now."""

    number: int
    content: bytes
    modified: int
    changed: int


@dataclass
class Folder:
    """A folder and what is in it."""

    number: int
    modified: int
    children: "dict[str, Inode | Folder]" = field(default_factory=dict)


class Files:
    """The file system: every method is one system call and raises what that would raise."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._numbers = 1
        self.top = Folder(1, clock.now)

    def copy(self, clock: Clock) -> "Files":
        """Return another one with the same files."""
        new = Files(clock)
        new._numbers = self._numbers
        new.top = _copied(self.top)
        return new

    def mounted_again(self) -> "Files":
        """Return the same files as another machine sees them, which can lose sight of them."""
        other = Files(self.clock)
        other._numbers = 10**9
        other.top = self.top
        return other

    def find(self, path: str) -> Inode | Folder | None:
        node: Inode | Folder | None = self.top
        for part in path.split("/") if path else ():
            if not isinstance(node, Folder):
                return None
            node = node.children.get(part)
        return node

    def read(self, path: str) -> bytes:
        return self.open(path).content

    def open(self, path: str) -> Inode:
        node = self.find(path)
        if not isinstance(node, Inode):
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        return node

    def make_folders(self, path: str) -> None:
        node = self.top
        for part in path.split("/"):
            child = node.children.get(part)
            if child is None:
                child = Folder(self._number(), self.clock.now)
                node.children[part] = child
                node.modified = self.clock.now
            if not isinstance(child, Folder):
                raise NotADirectoryError(errno.ENOTDIR, "a file is in the way", path)
            node = child

    def create(self, path: str) -> Inode:
        """Open a file for writing, which makes it but does not truncate it yet."""
        folder, name = self._place(path)
        node = folder.children.get(name)
        if isinstance(node, Folder):
            raise IsADirectoryError(errno.EISDIR, "is a folder", path)
        if node is None:
            node = Inode(self._number(), b"", self.clock.now, self.clock.now)
            folder.children[name] = node
            folder.modified = self.clock.now
        return node

    def fill(self, inode: Inode, content: bytes) -> None:
        """Write to what was opened; an empty content truncates it."""
        inode.content = content
        inode.modified = inode.changed = self.clock.now

    def rename(self, source: str, target: str) -> None:
        old, name = self._place(source)
        if name not in old.children:
            raise FileNotFoundError(errno.ENOENT, "no such file", source)
        new, other = self._place(target)
        if isinstance(new.children.get(other), Folder) and new.children[other].children:  # type: ignore[union-attr]  # a folder, as just asked
            raise OSError(errno.ENOTEMPTY, "not empty", target)
        node = old.children.pop(name)
        new.children[other] = node
        old.modified = new.modified = self.clock.now
        if isinstance(node, Inode):
            node.changed = self.clock.now

    def link(self, source: str, target: str) -> None:
        inode = self.open(source)
        folder, name = self._place(target)
        if name in folder.children:
            raise FileExistsError(errno.EEXIST, "exists", target)
        folder.children[name] = inode
        folder.modified = inode.changed = self.clock.now

    def unlink(self, path: str) -> None:
        folder, name = self._place(path)
        node = folder.children.get(name)
        if not isinstance(node, Inode):
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        del folder.children[name]
        folder.modified = node.changed = self.clock.now

    def remove_folder(self, path: str) -> None:
        folder, name = self._place(path)
        node = folder.children.get(name)
        if not isinstance(node, Folder):
            raise FileNotFoundError(errno.ENOENT, "no such folder", path)
        if node.children:
            raise OSError(errno.ENOTEMPTY, "not empty", path)
        del folder.children[name]
        folder.modified = self.clock.now

    def paths(self, top: str = "") -> Iterator[str]:
        """Yield every file's path below a folder."""
        node = self.find(top)
        for name, child in sorted(node.children.items()) if isinstance(node, Folder) else ():
            path = f"{top}/{name}".lstrip("/")
            if isinstance(child, Folder):
                yield from self.paths(path)
            else:
                yield path

    def age(self, seconds: float) -> None:
        """Make everything so much older."""
        waiting: list[Inode | Folder] = [self.top]
        while waiting:
            node = waiting.pop()
            node.modified -= round(seconds * SECOND)
            if isinstance(node, Folder):
                waiting.extend(node.children.values())
            else:
                node.changed -= round(seconds * SECOND)

    def _place(self, path: str) -> tuple[Folder, str]:
        parent, _, name = path.rpartition("/")
        folder = self.find(parent)
        if not isinstance(folder, Folder):
            raise FileNotFoundError(errno.ENOENT, "no such folder", path)
        return folder, name

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers


def _copied(folder: Folder) -> Folder:
    new = Folder(folder.number, folder.modified)
    for name, child in folder.children.items():
        new.children[name] = (
            _copied(child)
            if isinstance(child, Folder)
            else Inode(child.number, child.content, child.modified, child.changed)
        )
    return new


class MemoryStore:
    """The `Store` of a collection over such files; `before` is told each system call and its paths.

    What FileStore does in several calls is several calls here too.
    """

    def __init__(self, files: Files, before: Callable[..., None] = lambda *_: None) -> None:
        self.files = files
        self.before = before

    def list(self, path: str) -> Listing:
        self.before("list", path)
        node = self.files.find(path)
        children = node.children if isinstance(node, Folder) else {}
        return Listing(
            [name for name, child in children.items() if isinstance(child, Folder)],
            [name for name, child in children.items() if isinstance(child, Inode)],
        )

    def stat(self, path: str) -> Stat | None:
        self.before("stat", path)
        node = self.files.find(path)
        return None if node is None else _stat(node)

    def read(self, path: str, limit: int) -> tuple[bytes, Stat] | None:
        self.before("read", path)
        node = self.files.find(path)
        return (node.content[:limit], _stat(node)) if isinstance(node, Inode) else None

    def stream(self, path: str) -> Iterator[bytes]:
        self.before("read", path)
        yield self.files.read(path)

    def give_owner(self, path: str, like: str) -> None:
        """Do nothing: everything has one owner."""

    def write(self, path: str, content: bytes) -> None:
        self.before("write", path)
        with _failing(path):
            self.files.make_folders(path.rpartition("/")[0])
            self.files.fill(self.files.create(path), content)

    def rename(self, source: str, target: str) -> bool:
        self.before("rename", source, target)
        try:
            self.files.rename(source, target)
        except FileNotFoundError:
            if self.files.find(source) is None:
                return False
            self.before("makedirs", target)
            self.files.make_folders(target.rpartition("/")[0])
            self.before("rename", source, target)
            try:
                self.files.rename(source, target)
            except FileNotFoundError:
                return False
        return True

    def put_new(self, source: str, target: str) -> bool:
        self.before("link", source, target)
        try:
            with _failing(target):
                self.files.link(source, target)
        except FileExistsError:
            return False
        self.before("unlink", source, target)
        with _failing(source):
            self.files.unlink(source)
        return True

    def remove(self, path: str) -> None:
        self.before("unlink", path)
        try:
            self.files.unlink(path)
        except FileNotFoundError:
            return

    def remove_folder(self, path: str) -> bool:
        self.before("rmdir", path)
        try:
            self.files.remove_folder(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def make_folder(self, path: str) -> None:
        self.before("makedirs", path)
        self.files.make_folders(path)

    def allocate(self, path: str, size: int) -> None:
        # The reserve of a collection is no part of any race, and its bytes would only be copied.
        with _failing(path):
            self.files.fill(self.files.create(path), b"\0" if size else b"")

    def sync_folder(self, path: str) -> None:
        """Do nothing: nobody pulls this machine's plug."""

    def touch(self, path: str) -> bool:
        node = self.files.find(path)
        if node is not None:
            node.modified = self.files.clock.now
        return node is not None

    def now(self) -> int:
        return self.files.clock.now


@contextmanager
def _failing(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"no {path}", why=str(error), next_step="none") from error


def _stat(node: Inode | Folder) -> Stat:
    if isinstance(node, Folder):
        return Stat(0, node.modified, node.modified, node.number, is_folder=True, is_plain=False)
    return Stat(len(node.content), node.modified, node.changed, node.number)
