"""Files on a node that carry our mark: kept, and removed; no other file is ever touched.

Each is replaced whole, so that a runtime that reads meanwhile sees the old one or the new one. A
folder in which another's file is in our way stays as it is.
"""

import errno
import os
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from registry_gc.errors import StorageError
from registry_gc.trust_content import owner_of, source_of

_TEMPORARY = ".registry-gc-"
_LARGEST = 256 * 1024  # bytes: more than any file of ours
# Where files of ours can be, below the runtime's folder; the order in which they are removed: a
# hosts.toml must not name a ca.crt that is gone.
_PLACES = (
    "certs.d/*/hosts.toml",
    "registries.conf.d/registry-gc-*.conf",
    "certs.d/*/ca.crt",
    # Of a pod that was killed between two lines.
    f"certs.d/*/{_TEMPORARY}*",
    f"registries.conf.d/{_TEMPORARY}*",
)


class DetachedError(StorageError):
    """The node's folder is no longer the one that this container has: only a new one sees it."""


@dataclass(slots=True)
class Kept:
    """What was done, by path, and what was in the way."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """The files of one owner below a folder: `/etc/containerd` or `/etc/containers` of a node."""

    root: Path
    owner: str

    def keep(self, wanted: Mapping[str, str], undecided: Set[str] = frozenset()) -> Kept:
        """Write what is wanted and remove what is ours besides, but for what sources that are
        `undecided` have given. Raises StorageError.
        """
        kept = Kept()
        blocked = self._blocked(wanted, kept)
        for path in sorted(wanted):  # ca.crt comes before the hosts.toml that names it
            if str(Path(path).parent) not in blocked and self._write(path, wanted[path]):
                kept.written.append(path)
        self._remove(kept, lambda path, source: path in wanted or source in undecided)
        return kept

    def remove(self) -> Kept:
        """Remove all that is ours. Raises StorageError."""
        kept = Kept()
        self._remove(kept, lambda _path, _source: False)
        return kept

    def _blocked(self, wanted: Mapping[str, str], kept: Kept) -> set[str]:
        """Return the folders in which a foreign file has a name that we need.

        Also a hosts.toml that we would not write: with it a runtime reads no ca.crt by itself.
        """
        blocked = set()
        for path in sorted(wanted):
            folder = str(Path(path).parent)
            names = {path, f"{folder}/hosts.toml"} if folder.startswith("certs.d/") else {path}
            for name in sorted(names):
                content = self._read(name)
                if content is None or source_of(content, self.owner) is not None:
                    continue
                if folder not in blocked:
                    whose = f"the release {other}'s" if (other := owner_of(content)) else "not ours"
                    kept.problems.append(
                        f"{self.root / name} is {whose}, so {folder} stays as it is; remove the "
                        "file if the registry is to be trusted"
                    )
                blocked.add(folder)
        return blocked

    def _remove(self, kept: Kept, is_wanted: Callable[[str, str], bool]) -> None:
        for place in _PLACES:
            for found in sorted(self.root.glob(place)):
                path = str(found.relative_to(self.root))
                content = self._read(path) or ""
                source = source_of(content, self.owner)
                if source is None and (content or not found.name.startswith(_TEMPORARY)):
                    continue
                if is_wanted(path, source or ""):
                    continue
                with self._failing(path):
                    found.unlink()
                    kept.removed.append(path)
                with suppress(OSError):  # others' files keep it
                    if found.parent.parent.name == "certs.d":
                        found.parent.rmdir()

    def _write(self, path: str, content: str) -> bool:
        """Replace a file; False if it is as it should be."""
        if self._read(path) == content:
            return False
        target = self.root / path
        with self._failing(path):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            for left in target.parent.glob(f"{_TEMPORARY}*"):
                left.unlink()  # of a pod that was killed between two lines
            temporary = target.with_name(f"{_TEMPORARY}{target.name}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), 0o644)  # whatever the umask is
                os.fsync(file.fileno())
            temporary.replace(target)
        return True

    def _read(self, path: str) -> str | None:
        """Return a file's text, None if there is none; what cannot be read is somebody else's."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(_LARGEST).decode("utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return ""

    def _failing(self, path: str) -> "_Failing":
        return _Failing(self.root / path)


@dataclass(frozen=True, slots=True)
class _Failing:
    """Turns what a node's file system refuses into a sentence."""

    path: Path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.errno == errno.EROFS:
            raise DetachedError(
                f"the node's trust is not as it should be: {self.path} cannot be written",
                why="its folder was made anew on the node, or is mounted read-only",
                next_step="nothing: the container starts anew, which sees the new folder",
            ) from error
        if isinstance(error, OSError):
            raise StorageError(
                f"the node's trust is not as it should be: {self.path} cannot be written",
                why=error.strerror or str(error),
                next_step="the pod needs uid 0 and the node's folder as a hostPath, as the "
                "DaemonSet of the chart has them",
            ) from error
