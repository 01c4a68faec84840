"""How a check reads a store: every folder is listed, every link is opened, nothing is changed."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

from registry_gc import layout
from registry_gc.checking.findings import FOLDED_FROM, Finding, Harm, about
from registry_gc.errors import StorageError
from registry_gc.layout import REGISTRY, Digest, Entry, Kind, parse_digest
from registry_gc.storage import Listing, Stat, Store

_LINK_LIMIT = 1024
_LEFTOVER = re.compile(r"(link|data|startedat)\.[0-9a-f-]{36}\.tmp")  # of a write that was cut

LOOK = "look at it and move it out of the store, or remove it; a collection leaves it alone"
COLLECT = "nothing: a collection removes it"
PUSH = "push the image again, or delete the tag if nobody wants it"
MEND = (
    "mend its owner and mode so that the registry's user can read it, or the disk, then check again"
)


@dataclass(frozen=True, slots=True)
class LinkRead:
    """One link: what it names, None if `fault` says why it does not; the file as it was."""

    target: Digest | None
    fault: str = ""
    stat: Stat | None = None


class Reader:
    """Reads for one check; what is wrong with the places themselves is noted at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.findings: list[Finding] = []
        self.links = 0

    def list(self, path: str) -> Listing:
        """Return what lies in a folder below the registry's tree; nothing, and noted, on failure.

        A symbolic link or a file in its place is not followed, and noted too.
        """
        full = f"{REGISTRY}/{path}"
        try:
            stat = self.store.stat(full)
            if stat is None:
                return Listing([], [])
            if stat.is_folder:
                return self.store.list(full)
        except StorageError as error:
            self._unreadable("unreadable folder", path, error)
            return Listing([], [])
        self.note(
            "no folder",
            path,
            Harm.UNKNOWN,
            f"{path} is no folder, and it is not followed if it is a symbolic link: what it should "
            "hold was not checked, and while it stands no blob is deleted",
            "put the folder itself in its place",
        )
        return Listing([], [])

    def unknown(
        self,
        path: str,
        listing: Listing,
        *,
        files: Set[str] = frozenset(),
        folders: Set[str] | None = None,
    ) -> None:
        """Note what does not belong into a folder: these files and folders may, None is any."""
        unknown = [name for name in listing.files if name not in files]
        for name in unknown:
            if _LEFTOVER.fullmatch(name):
                self.note(
                    "leftover of a write", f"{path}/{name}", Harm.NORMAL,
                    f"{path}/{name} was left by a registry that was killed while it wrote",
                    "nothing, or remove it when it is older than your slowest push",
                )  # fmt: skip
        others = [name for name in unknown if not _LEFTOVER.fullmatch(name)]
        self.all_strange("unknown file", path, others)
        if folders is not None:
            others = [name for name in listing.folders if name not in folders]
            self.all_strange("unknown folder", path, others)
        others = [name for name in listing.symlinks if name not in files]
        self.all_strange("symbolic link", path, others)

    def empty(self, path: str, listing: Listing) -> None:
        """Note a folder that should hold something and does not."""
        if not (listing.files or listing.folders or listing.symlinks):
            self.note("empty folder", path, Harm.NORMAL, f"{path} is empty", COLLECT)

    def all_strange(self, kind: str, path: str, names: Sequence[str]) -> None:
        """Note what no registry writes, as one where it is much: memory and report are finite."""
        if len(names) <= FOLDED_FROM:
            for name in names:
                self.strange(kind, f"{path}/{name}")
        else:
            what = f"{len(names):,} of these below {path}: {kind}"
            self.findings.append(
                Finding(kind, f"{REGISTRY}/{path}", Harm.NONE, what, LOOK, count=len(names))
            )

    def strange(self, kind: str, path: str, what: str = "no registry writes it") -> None:
        """Note what no registry writes."""
        self.note(kind, path, Harm.NONE, f"{path}: {what}", LOOK)

    def note(
        self, kind: str, path: str, harm: Harm, what: str, advice: str, entry: Entry | None = None
    ) -> None:
        """Note a finding at a path below the registry's tree."""
        repository, tag, digest = about(entry) if entry else ("", "", "")
        self.findings.append(
            Finding(kind, f"{REGISTRY}/{path}", harm, what, advice, repository, tag, digest)
        )

    def link(self, entry: Entry) -> LinkRead:
        """Return what a link says."""
        self.links += 1
        try:
            found = self.store.read(f"{REGISTRY}/{layout.path_of(entry)}", _LINK_LIMIT)
        except StorageError as error:
            return LinkRead(None, f"unreadable ({error.why})")
        if found is None:
            return LinkRead(None, "missing")
        content, stat = found
        # As strictly as the registry: with a newline behind it, it is no digest.
        target = parse_digest(content.decode("ascii", errors="replace"))
        if not stat.is_plain:
            return LinkRead(target, "no plain file", stat)
        if target is None:
            return LinkRead(None, "corrupt" if content else "empty", stat)
        if entry.digest and target != entry.digest and len(entry.digest) == 32:
            # Only a link that is not named by sha256 may lead to another digest.
            return LinkRead(target, "misnamed", stat)
        return LinkRead(target, "", stat)

    def _unreadable(self, kind: str, path: str, error: StorageError) -> None:
        what = f"{path} cannot be read ({error.why}): what it holds was not checked"
        self.note(kind, path, Harm.UNKNOWN, what, MEND)


def fault_kind(entry: Entry, read: LinkRead) -> str:
    """Return what sort of finding a link's fault is."""
    what = "tag" if entry.kind is Kind.TAG else entry.kind.value
    match read.fault.partition(" (")[0]:
        case "misnamed":
            return f"{what} that names another digest"
        case "no plain file":
            return f"{what} that is no plain file"
        case fault:
            return f"{fault} {what}"
