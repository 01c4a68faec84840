"""Checks a store as fsck checks a file system: what is wrong, how bad that is, what to do about it.

Everything is read: every folder, every link, every manifest, and with `read_data` every blob. What
one look finds in a repository counts only if a second one, a moment later, finds it too: a push in
between is no damage. Nothing is changed; `repair` does that.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from registry_gc import layout
from registry_gc.checking.data import OF_DATA, Progress, damaged_blobs
from registry_gc.checking.findings import Checked, Finding, Harm, folded
from registry_gc.checking.reader import COLLECT, LOOK, MEND, Reader
from registry_gc.checking.repository import RepositoryCheck
from registry_gc.checking.state import check_state
from registry_gc.errors import StorageError
from registry_gc.layout import REGISTRY, Digest, Entry, Kind, digest_of, digest_text, parse_digest
from registry_gc.storage import Store

_OWN = frozenset({"_layers", "_manifests", "_uploads"})
_SCHEDULER = "scheduler-state.json"  # of a pull-through cache (registry/proxy/scheduler)
_EMPTY = {
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha384:38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f1"
    "4898b95b",
    "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2"
    "877eec2f63b931bd47417a81a538327af927da3e",
}
_OF_BLOBS = frozenset({*OF_DATA, "empty blob"})
_NAMED = 5  # of the manifests that need a damaged blob


@dataclass(slots=True)
class Check:
    """One check of one store; `look_again_after` seconds lie between the two looks.

    `progress` is told, while blobs are read, how many bytes of how many are done.
    """

    store: Store
    read_data: bool = False
    look_again_after: float = 2.0
    progress: Progress = lambda _done, _total: None
    wait: Callable[[float], object] = time.sleep
    _sizes: dict[Digest, int] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _sizes_are_old: bool = False  # a push may have written since they were noted

    def run(self) -> Checked:
        """Look, and read the data if that is wanted. Raises StorageError as `look` does."""
        return self.read(self.look())

    def look(self) -> Checked:
        """Check all but the blobs' content.

        A collection meanwhile would be taken for damage: the caller sees to it that there is none.
        Raises StorageError only if not even the top of the store can be read.
        """
        found = Checked(is_cache=self.store.stat(_SCHEDULER) is not None)
        top = self._top()
        if top:
            found.findings = top
            return found
        blobs = Reader(self.store)
        self._check_blobs(blobs)
        found.blobs = len(self._sizes)
        places, names = self._repositories()
        self._names = names
        first = {name: self._check_repository(name, found) for name in names}
        again = [name for name, each in first.items() if any(f.harm.is_problem for f in each)]
        if again or any(each.harm.is_problem for each in (*blobs.findings, *places)):
            self.wait(self.look_again_after)
            self._sizes_are_old = True
        for name in again:
            keys = {
                each.key for each in self._check_repository(name, Checked(is_cache=found.is_cache))
            }
            first[name] = [each for each in first[name] if each.key in keys]
        self._sizes_are_old = False
        found.findings = list(
            folded(
                [
                    *self._still_so(blobs.findings),
                    *self._still_there(places),
                    *(each for name in names for each in first[name]),
                    *check_state(self.store),
                ]
            )
        )
        found.findings = self._with_users(found)
        return found

    def read(self, found: Checked) -> Checked:
        """Add what the blobs' content shows, if wanted; a collection may go on meanwhile."""
        if self.read_data:
            damaged, found.bytes = damaged_blobs(self.store, self._sizes, self.progress)
            found.findings += self._with_users(replace(found, findings=damaged))
        return found

    def _with_users(self, found: Checked) -> list[Finding]:
        """Return the findings, those of damaged blobs with the manifests that need them."""
        users: dict[str, list[str]] = {
            each.digest: [] for each in found.findings if each.kind in _OF_BLOBS
        }
        for name in self._names if users else ():
            check = RepositoryCheck(
                Reader(self.store), name, self._size_of, is_cache=found.is_cache
            )
            check.run()
            for digest, known in users.items():
                if (parsed := parse_digest(digest)) and (user := check.user_of(parsed)):
                    known.append(user)
        return [
            _used_by(each, users[each.digest]) if each.kind in _OF_BLOBS else each
            for each in found.findings
        ]

    def _top(self) -> list[Finding]:
        """Return what makes it senseless to look any further."""
        found = []
        for path in (
            "docker",
            "docker/registry",
            REGISTRY,
            f"{REGISTRY}/blobs",
            f"{REGISTRY}/repositories",
        ):
            stat = self.store.stat(path)
            if stat and not stat.is_folder:
                found.append(
                    Finding(
                        "no folder", path, Harm.UNKNOWN,
                        f"{path} is not a plain folder, so nothing below it was checked",
                        "set `rootdirectory` to where the data really lies, or mount it there",
                    )
                )  # fmt: skip
        blobs = self.store.stat(f"{REGISTRY}/blobs")
        if blobs and self.store.stat(f"{REGISTRY}/repositories") is None:
            found.append(
                Finding(
                    "no repositories", f"{REGISTRY}/repositories", Harm.IMAGE,
                    "there are blobs and no folder `repositories`: nothing can be pulled",
                    "check `rootdirectory` and the volume; restore the folder from a backup",
                )
            )  # fmt: skip
        return found

    # Blobs

    def _check_blobs(self, reader: Reader) -> None:
        top = reader.list("blobs")
        reader.unknown("blobs", top)
        for algorithm in top.folders:
            fanouts = reader.list(f"blobs/{algorithm}")
            reader.unknown(f"blobs/{algorithm}", fanouts)
            for fanout in fanouts.folders:
                path = f"blobs/{algorithm}/{fanout}"
                listing = reader.list(path)
                reader.unknown(path, listing)
                for name in listing.folders:
                    self._check_blob(reader, algorithm, path, name)

    def _check_blob(self, reader: Reader, algorithm: str, above: str, name: str) -> None:
        path = f"{above}/{name}"
        digest = digest_of(algorithm, name)
        if digest is None or not name.startswith(above.rpartition("/")[2]):
            reader.strange("unknown folder", path, "no digest, or in another one's folder")
            return
        inside = reader.list(path)
        reader.empty(path, inside)
        reader.unknown(path, inside, files={"data"}, folders={"data"})
        entry = Entry(Kind.BLOB, digest=digest)
        try:
            stat = self.store.stat(f"{REGISTRY}/{path}/data")
            if stat and not stat.is_plain and not stat.is_folder:
                # Through a symbolic link, as the registry looks at it; anything else has no size.
                found = self.store.read(f"{REGISTRY}/{path}/data", 0)
                self._note_blob(
                    reader, "blob that is no plain file", entry, Harm.NONE,
                    "is no plain file; the registry follows a symbolic link, we leave it",
                    "put the file itself in its place",
                )  # fmt: skip
                stat = found[1] if found else None
        except StorageError as error:
            self._note_blob(
                reader,
                "unreadable blob",
                entry,
                Harm.IMAGE,
                f"cannot be looked at ({error.why})",
                MEND,
            )
            return
        if stat is None:
            return
        self._sizes[digest] = stat.size
        if stat.is_folder:
            del self._sizes[digest]
            self._note_blob(
                reader, "blob that is no plain file", entry, Harm.IMAGE, "is a folder", LOOK
            )
        elif not stat.size and digest_text(digest) not in _EMPTY:
            self._note_blob(
                reader, "empty blob", entry, Harm.IMAGE,
                "is empty, which its digest is not",
                "move its folder out of the store and push again what needs it: as long as the "
                "file is there, a push drops its own copy",
            )  # fmt: skip

    def _note_blob(
        self, reader: Reader, kind: str, entry: Entry, harm: Harm, what: str, advice: str
    ) -> None:
        reader.note(kind, layout.path_of(entry), harm, f"the blob {entry} {what}", advice, entry)

    def _size_of(self, digest: Digest) -> int | None:
        """Return a blob's size; one that was pushed since the blobs were listed is looked up."""
        if self._sizes_are_old or digest not in self._sizes:
            try:
                stat = self.store.stat(
                    f"{REGISTRY}/{layout.path_of(Entry(Kind.BLOB, digest=digest))}"
                )
            except StorageError:
                return None
            if stat is None or stat.is_folder:
                return None
            self._sizes[digest] = stat.size
        return self._sizes[digest]

    # Repositories

    def _repositories(self) -> tuple[list[Finding], list[str]]:
        """Return what does not belong between the repositories, and the names of those."""
        reader = Reader(self.store)
        names = []
        waiting = [""]
        while waiting:
            name = waiting.pop()
            path = f"repositories/{name}".rstrip("/")
            listing = reader.list(path)
            own = {*listing.folders, *listing.files, *listing.symlinks} & _OWN
            if own:
                names.append(name)
            elif name and not listing.folders:
                reader.empty(path, listing)
            reader.unknown(path, listing, files=_OWN)
            for part in listing.folders:
                if part.startswith("_") and part not in _OWN:
                    reader.strange("unknown folder", f"{path}/{part}")
                elif not part.startswith("_"):
                    waiting.append(f"{name}/{part}".lstrip("/"))
            if own and not layout.is_repository_name(name):
                what = "no registry gives a repository this name; all that it names is kept"
                reader.strange("unknown folder", path, what)
        return reader.findings, sorted(names)

    def _check_repository(self, name: str, found: Checked) -> list[Finding]:
        reader = Reader(self.store)
        check = RepositoryCheck(reader, name, self._size_of, is_cache=found.is_cache)
        check.run()
        found.repositories += 1
        found.links += reader.links
        found.manifests += check.manifests
        return reader.findings

    def _still_so(self, findings: list[Finding]) -> Iterator[Finding]:
        """Yield what a second look at its blob finds too: registries up to 3.0 write in place."""
        for finding in self._still_there(findings):
            if finding.harm.is_problem and finding.digest:
                again = Reader(self.store)
                above, _, name = (
                    finding.path[len(REGISTRY) + 1 :].rpartition("/data")[0].rpartition("/")
                )
                self._check_blob(again, finding.digest.partition(":")[0], above, name)
                if finding.key not in {each.key for each in again.findings}:
                    continue
            yield finding

    def _still_there(self, findings: list[Finding]) -> Iterator[Finding]:
        """Yield what a second look at its place does not contradict."""
        for finding in findings:
            try:
                if finding.harm.is_problem and self.store.stat(finding.path) is None:
                    continue
            except StorageError:
                pass  # still as bad as it was
            yield finding


def _used_by(finding: Finding, users: list[str]) -> Finding:
    if not users:
        what = f"{finding.what}; no manifest needs it"
        return replace(finding, harm=Harm.NONE, what=what, advice=COLLECT)
    more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
    return replace(finding, what=f"{finding.what}; needed by {', '.join(users[:_NAMED])}{more}")
