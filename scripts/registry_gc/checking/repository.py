"""Checks one repository: its tags lead to manifests, and those to all that a pull fetches.

It is read in the order of a push's last writes first, so that what is seen has what it needs; what
is still wrong at a second look is no push's doing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from registry_gc import layout
from registry_gc.checking.findings import Harm, named
from registry_gc.checking.manifests import Needed, needs
from registry_gc.checking.reader import COLLECT, LOOK, MEND, PUSH, LinkRead, Reader, fault_kind
from registry_gc.errors import StorageError
from registry_gc.layout import Digest, Entry, Kind, digest_of, digest_text
from registry_gc.manifests import LARGEST, DamagedManifestError, parse

_OWN = frozenset({"_layers", "_manifests", "_uploads"})
_UPLOAD = {"data", "startedat"}
_REPAIR = "run `registry-gc check --repair`, which writes it anew"


@dataclass(slots=True)
class _Found:
    """What a repository's links say."""

    layers: dict[Digest, LinkRead] = field(default_factory=dict)
    revisions: dict[Digest, LinkRead] = field(default_factory=dict)
    tags: dict[str, LinkRead] = field(default_factory=dict)
    index: dict[str, dict[Digest, LinkRead]] = field(default_factory=dict)
    signatures: list[tuple[Digest, str]] = field(default_factory=list)


class RepositoryCheck:
    """Checks one repository; `size_of` returns a blob's bytes, None if it is not there.

    With `is_cache` it belongs to a pull-through cache, where anything may be missing.
    """

    def __init__(
        self, reader: Reader, name: str, size_of: Callable[[Digest], int | None], *, is_cache: bool
    ) -> None:
        self._reader = reader
        self._name = name
        self._size_of = size_of
        self._is_cache = is_cache
        self._found = _Found()
        self._needed: dict[Digest, Digest] = {}  # what is needed, by which manifest
        self.manifests = 0

    def run(self) -> None:
        """Read the repository, then judge what was read."""
        self._read_tags()
        self._read_revisions()
        self._found.layers = self._read_digests(Kind.LAYER_LINK, layout.layers(self._name))
        self._read_uploads()
        self._judge_tags()
        for digest, read in self._found.revisions.items():
            self._judge_revision(digest, read)
        for digest, read in self._found.layers.items():
            self._judge_layer(digest, read)
        for revision, path in self._found.signatures:
            if revision not in self._found.revisions:
                what = "signatures of a schema 1 manifest that is gone; a collection keeps them"
                self._reader.strange("unknown folder", path, what)

    def user_of(self, blob: Digest) -> str:
        """Return a manifest that needs a blob, or is it, with its tags; after `run`."""
        manifest = blob if blob in self._found.revisions else self._needed.get(blob)
        return self._called(manifest) if manifest else ""

    def _called(self, manifest: Digest) -> str:
        tags = sorted(tag for tag, read in self._found.tags.items() if read.target == manifest)
        name = named(manifest, self._name)
        return f"{name} ({', '.join(tags)})" if tags else name

    # Reading

    def _read_tags(self) -> None:
        reader, path = self._reader, layout.tags(self._name)
        manifests = f"repositories/{self._name}/_manifests"
        listing = reader.list(manifests)
        reader.unknown(manifests, listing, folders={"revisions", "tags"})
        tags = reader.list(path)
        reader.unknown(path, tags)
        for tag in tags.folders:
            self._read_tag(tag, f"{path}/{tag}")

    def _read_tag(self, tag: str, path: str) -> None:
        reader = self._reader
        listing = reader.list(path)
        reader.unknown(path, listing, folders={"current", "index"})
        if not layout.is_tag_name(tag):
            reader.strange("unknown folder", path, "no registry gives a tag this name")
        if "current" in listing.folders:
            current = reader.list(f"{path}/current")
            reader.unknown(f"{path}/current", current, files={"link"}, folders={"link"})
        read = reader.link(Entry(Kind.TAG, self._name, tag=tag))
        index = self._read_digests(Kind.TAG_INDEX, f"{path}/index", tag)
        if read.fault == "missing" and not index:
            reader.note("empty folder", path, Harm.NORMAL, f"{path} holds no link", COLLECT)
            return
        self._found.tags[tag] = read
        self._found.index[tag] = index

    def _read_revisions(self) -> None:
        path = layout.revisions(self._name)
        self._found.revisions = self._read_digests(Kind.REVISION_LINK, path)

    def _read_digests(self, kind: Kind, path: str, tag: str = "") -> dict[Digest, LinkRead]:
        """Read the link of every digest that has a folder below a path."""
        reader, found = self._reader, {}
        algorithms = reader.list(path)
        reader.unknown(path, algorithms)
        for algorithm in algorithms.folders:
            listing = reader.list(f"{path}/{algorithm}")
            reader.unknown(f"{path}/{algorithm}", listing)
            unknown = [name for name in listing.folders if not digest_of(algorithm, name)]
            reader.all_strange("unknown folder", f"{path}/{algorithm}", unknown)
            for name in listing.folders:
                folder = f"{path}/{algorithm}/{name}"
                digest = digest_of(algorithm, name)
                if digest is None:
                    continue
                entry = Entry(kind, self._name, digest, tag)
                inside = reader.list(folder)
                reader.empty(folder, inside)
                if kind is Kind.REVISION_LINK and "signatures" in inside.folders:
                    # Of schema 1, as registries up to 2.3 wrote them.
                    self._found.signatures.append((digest, f"{folder}/signatures"))
                own = {"link", "signatures"} if kind is Kind.REVISION_LINK else {"link"}
                reader.unknown(folder, inside, files={"link"}, folders=own)
                read = reader.link(entry)
                if read.fault != "missing":
                    found[digest] = read
        return found

    def _read_uploads(self) -> None:
        reader, path = self._reader, layout.uploads(self._name)
        listing = reader.list(path)
        reader.unknown(path, listing)
        for upload in listing.folders:
            inside = reader.list(f"{path}/{upload}")
            reader.empty(f"{path}/{upload}", inside)
            reader.unknown(f"{path}/{upload}", inside, files=_UPLOAD, folders={"hashstates"})

    # Judging

    def _judge_tags(self) -> None:
        for tag, read in self._found.tags.items():
            entry = Entry(Kind.TAG, self._name, tag=tag)
            known = self._found.revisions
            if read.fault == "missing":
                self._note(
                    "tag without current link", entry, Harm.IMAGE,
                    f"the tag {entry} has no current link: a push of it did not end, or a deletion",
                    "push the tag again, or delete its folder",
                )  # fmt: skip
            elif read.fault:
                self._fault(entry, read, Harm.IMAGE)
            elif read.target and read.target not in known and not self._is_blind:
                self._note(
                    "tag that leads nowhere", entry, self._unless_cache(Harm.IMAGE),
                    f"the tag {entry} names {digest_text(read.target)}, which is no manifest of "
                    "its repository",
                    PUSH,
                )  # fmt: skip
            for digest, each in self._found.index[tag].items():
                if each.fault:
                    self._fault(Entry(Kind.TAG_INDEX, self._name, digest, tag), each, Harm.NONE)

    def _judge_revision(self, digest: Digest, read: LinkRead) -> None:
        entry = Entry(Kind.REVISION_LINK, self._name, digest)
        if read.fault:
            self._fault(entry, read, Harm.IMAGE)
        manifest = read.target if len(digest) != 32 and read.target else digest
        try:
            path = f"{layout.REGISTRY}/{layout.path_of(Entry(Kind.BLOB, digest=manifest))}"
            content = self._reader.store.read(path, LARGEST + 1)
        except StorageError as error:
            self._note(
                "unreadable manifest", entry, Harm.IMAGE,
                f"the manifest {self._called(digest)} cannot be read ({error.why})", MEND,
            )  # fmt: skip
            return
        if content is None:
            self._note(
                "missing manifest", entry, self._unless_cache(Harm.IMAGE),
                f"the manifest {self._called(digest)} has a link, but its blob is missing",
                PUSH,
            )  # fmt: skip
            return
        self.manifests += 1
        try:
            parse(manifest, content[0])
        except DamagedManifestError as error:
            self._note(
                "damaged manifest", entry, Harm.IMAGE,
                f"the manifest {self._called(digest)} is damaged: {error}; a collection keeps "
                "everything in its repository while a tag leads to it",
                PUSH,
            )  # fmt: skip
            return
        for need in needs(content[0]):
            self._judge_need(digest, need)

    def _judge_need(self, manifest: Digest, need: Needed) -> None:
        """Judge what a manifest names; damaged layer links are judged with the layers."""
        what = f"{need.role} {digest_text(need.digest)} of {named(manifest, self._name)}"
        if need.is_child and need.digest not in self._found.layers:
            self._judge_child(need, what)
            return
        self._needed.setdefault(need.digest, manifest)
        entry = Entry(Kind.LAYER_LINK, self._name, need.digest)
        read = self._found.layers.get(need.digest)
        if read and read.target:
            self._needed.setdefault(read.target, manifest)
        if read is None:
            if need.is_elsewhere:
                self._note(
                    "foreign layer", entry, Harm.NORMAL,
                    f"the {what} is fetched from another server", "nothing: that is its purpose",
                )  # fmt: skip
            else:
                self._missing(need, entry, f"the {what} has no link in the repository")
            return
        size = self._size_of(read.target) if read.target else None
        if read.target and not read.fault and size is None:
            self._missing(need, entry, f"the blob of the {what} is missing")
        elif size is not None and need.size is not None and size != need.size and not read.fault:
            self._note(
                "blob of another size", entry, Harm.IMAGE,
                f"the {what} has {size} bytes, its manifest says {need.size}",
                "run `registry-gc check --read-data`, which tells whether the blob is damaged; if "
                "it is, push the image again after that blob was moved away",
            )  # fmt: skip

    def _judge_child(self, need: Needed, what: str) -> None:
        if need.digest not in self._found.revisions:
            entry = Entry(Kind.REVISION_LINK, self._name, need.digest)
            self._note(
                "sparse index", entry, Harm.NORMAL,
                f"the {what} is not in the repository: only some platforms were copied, or it was "
                "deleted",
                "nothing if it was copied so; else push the index with all of its children",
            )  # fmt: skip

    @property
    def _is_blind(self) -> bool:
        """Whether something could not be read: then what is not seen is not missing."""
        return any(each.harm is Harm.UNKNOWN for each in self._reader.findings)

    def _missing(self, need: Needed, entry: Entry, what: str) -> None:
        if self._is_blind:
            return
        harm = self._unless_cache(Harm.IMAGE)
        advice = (
            PUSH if harm is Harm.IMAGE else "nothing: the cache fetches it when it is asked for"
        )
        self._note(f"missing {need.role}", entry, harm, what, advice)

    def _judge_layer(self, digest: Digest, read: LinkRead) -> None:
        entry = Entry(Kind.LAYER_LINK, self._name, digest)
        if read.fault:
            self._fault(entry, read, Harm.IMAGE if digest in self._needed else Harm.NONE)
        elif read.target and digest not in self._needed and self._size_of(read.target) is None:
            self._note(
                "dangling layer link", entry, Harm.NORMAL,
                f"the layer link {entry} leads to no blob, and no manifest needs it", COLLECT,
            )  # fmt: skip

    def _fault(self, entry: Entry, read: LinkRead, harm: Harm) -> None:
        advice = PUSH if harm is Harm.IMAGE else LOOK
        what = f"the {entry.kind.value} {entry} is {read.fault}"
        match read.fault:
            case "misnamed":
                target = digest_text(read.target) if read.target else ""
                what = f"the {entry.kind.value} {entry} names {target}, and that is kept too"
                advice = (
                    "push the image again, which writes the link anew"
                    if harm is Harm.IMAGE
                    else "remove the link if that blob is not wanted"
                )
            case "empty" | "corrupt":
                advice = f"{_REPAIR}; or {PUSH}" if harm is Harm.IMAGE else _REPAIR
            case "no plain file":
                what += "; a symbolic link is read, but never moved or removed"
                advice = "put a plain file with the digest in its place"
            case fault if fault.startswith("unreadable"):
                advice = MEND
        self._note(fault_kind(entry, read), entry, harm, what, advice)

    def _note(self, kind: str, entry: Entry, harm: Harm, what: str, advice: str) -> None:
        self._reader.note(kind, layout.path_of(entry), harm, what, advice, entry)

    def _unless_cache(self, harm: Harm) -> Harm:
        return Harm.NORMAL if self._is_cache else harm
