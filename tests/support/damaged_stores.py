"""Every way in which a store is damaged in the tests, in one list, with what is said of each.

A store with a healthy repository and a `victim` is damaged in one way. `plan` is part of what a dry
run says of it, empty if it does not meet it; `run` what a real one adds, because only that reads
every link; `check` is the kind of finding, if any. `keeps` says what the damage protects beside
what is live anyway: "all" of the victim's repository, what an unreadable "tag" ever named, the one
old "link", or "nothing". `frees` tells what a collection can still free: "all" of the waste, or
"links" only, because no blob may go while something could not be read.
"""

import json
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.store import IMAGE, StoreBuilder, digest

OLD_LAYER = digest(b"its old layer")


@dataclass
class Victim:
    """A repository `victim` with a tagged image and an old untagged one, beside a healthy one."""

    store: StoreBuilder
    image: str
    untagged: str
    orphan: str
    waste: str

    @classmethod
    def build(cls, root: Path) -> "Victim":
        store = StoreBuilder(root)
        store.image("healthy", "v1", layers=["healthy"])
        waste = store.image("healthy", layers=["waste"])
        image = store.image("victim", "v1", layers=["victim's layer"])
        untagged = store.image("victim", layers=["its old layer"])
        return cls(store, image, untagged, store.blob(b"an orphan"), waste)

    @property
    def folder(self) -> Path:
        return self.store.v2 / "repositories/victim"

    @property
    def tag(self) -> Path:
        return self.store.tag_folder("victim", "v1")

    @property
    def current(self) -> Path:
        return self.tag / "current/link"

    @property
    def layer(self) -> str:
        """Return the tagged image's layer."""
        return digest(b"victim's layer")

    @property
    def outside(self) -> Path:
        """Return a folder beside the store, which nothing may touch."""
        return self.store.root.parent / "outside"

    def old(self, kind: str) -> Path:
        """Return the link of the old layer or of the old manifest, which nothing needs."""
        if kind == "layer":
            return self.store.layer_link("victim", OLD_LAYER)
        return self.store.revision_link("victim", self.untagged)

    def blobs(self, image: str) -> list[Path]:
        names = [digest(b'config of [b"victim\'s layer"]'), self.layer]
        if image == self.untagged:
            names = [digest(b"config of [b'its old layer']"), OLD_LAYER]
        return [self.store.blob_path(name) for name in (image, *names)]


@dataclass(frozen=True)
class Damage:
    """One way to damage a store; see above."""

    name: str
    make: Callable[[Victim], object]
    plan: str
    check: str
    keeps: str = "nothing"
    frees: str = "all"
    run: str = ""
    after_aging: bool = False  # it is about times


def write(path: Path, content: bytes | str = "hi") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def retag(victim: Victim, document: object) -> None:
    """Let the tag name other bytes, under their right digest."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    name = victim.store.blob(content)
    victim.store.write(victim.store.revision_link("victim", name), name)
    victim.store.tag("victim", "v1", name)


def move_out(victim: Victim, path: Path) -> None:
    """Put a symbolic link in the place of a file or folder, and that outside of the store."""
    victim.outside.mkdir(exist_ok=True)
    if not path.exists():
        path.mkdir()
    target = victim.outside / path.name
    shutil.move(path, target)
    path.symlink_to(target)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    """Remove what is there and make something else of the same name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)


def fifo(path: Path) -> None:
    replace(path, os.mkfifo)


def a_socket(path: Path) -> None:
    def bind(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as made:
            before = Path.cwd()
            os.chdir(path.parent)  # a socket's path is at most 108 bytes long
            try:
                made.bind(path.name)
            finally:
                os.chdir(before)

    replace(path, bind)


def a_file(path: Path) -> None:
    replace(path, lambda path: path.write_text("hi"))


def a_folder(path: Path) -> None:
    replace(path, lambda path: write(path / "inside"))


def a_loop(path: Path) -> None:
    replace(path, lambda path: path.symlink_to(path.name))


def leads_nowhere(path: Path) -> None:
    replace(path, lambda path: path.symlink_to("/no/such/file"))


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def deep(path: Path, depth: int) -> None:
    """Make folders in folders, deeper than any program may recurse."""
    path.mkdir(parents=True, exist_ok=True)
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path)
        for _ in range(depth):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.fchdir(before)
        os.close(before)


def strange_repository(victim: Victim, name: str) -> None:
    """Write a repository under a name that no registry gives, with an old untagged image."""
    victim.store.image(name, layers=["in a strange repository"])


def tag_twice(victim: Victim) -> None:
    """Let the tag have named the old image before, so that its index has an entry to spare."""
    victim.store.tag("victim", "v1", victim.untagged)
    victim.store.tag("victim", "v1", victim.image)


def in_turn(*steps: Callable[[Victim], object]) -> Callable[[Victim], object]:
    """Return what does several things."""

    def make(victim: Victim) -> None:
        for step in steps:
            step(victim)

    return make


def at(folder: str, make: Callable[[Victim, Path], object]) -> Callable[[Victim], object]:
    """Return what does something with a folder of the victim."""
    return lambda victim: make(victim, victim.folder / folder)


def index_entry(victim: Victim) -> Path:
    """Return the tag's one index entry."""
    return next((victim.tag / "index").rglob("link"))


TAGS = [
    Damage("tag current link empty", lambda v: write(v.current, ""),
           "is empty; it counts as live", "empty tag", "tag"),
    Damage("tag current link corrupt", lambda v: write(v.current, "sha256:xyz"),
           "does not hold a digest", "corrupt tag", "tag"),
    Damage("tag current link cut", lambda v: write(v.current, v.image[:40]),
           "does not hold a digest", "corrupt tag", "tag"),
    Damage("tag current link binary", lambda v: write(v.current, b"\xff\x00"),
           "does not hold a digest", "corrupt tag", "tag"),
    Damage("tag current link missing", lambda v: v.current.unlink(),
           "has no current link", "tag without current link", "tag"),
    Damage("tag current folder missing", lambda v: shutil.rmtree(v.tag / "current"),
           "has no current link", "tag without current link", "tag"),
    Damage("tag current link a folder", lambda v: a_folder(v.current),
           "is no plain file", "tag that is no plain file", "tag"),
    Damage("tag current link a FIFO", lambda v: fifo(v.current),
           "is no plain file", "tag that is no plain file", "tag"),
    Damage("tag current link a socket", lambda v: a_socket(v.current),
           "No such device", "unreadable tag", "tag"),
    Damage("tag current link a loop", lambda v: a_loop(v.current),
           "Too many levels of symbolic links", "unreadable tag", "tag"),
    Damage("tag current link leads nowhere", lambda v: leads_nowhere(v.current),
           "leads nowhere", "unreadable tag", "tag"),
    Damage("tag current link full of zeros", lambda v: sparse(v.current, 2**30),
           "does not hold a digest", "corrupt tag", "tag"),
    Damage("tag current folder a file", lambda v: a_file(v.tag / "current"),
           "has no current link", "tag without current link", "tag"),
]  # fmt: skip

MANIFESTS = [
    Damage("manifest blob missing", lambda v: v.store.blob_path(v.image).unlink(),
           "its blob is missing", "missing manifest", "all"),
    Damage("manifest blob garbage", lambda v: write(v.store.blob_path(v.image), b"not json"),
           "does not have its digest", "damaged manifest", "all"),
    Damage("manifest blob empty", lambda v: write(v.store.blob_path(v.image), b""),
           "does not have its digest", "damaged manifest", "all"),
    Damage("manifest blob is {}", lambda v: write(v.store.blob_path(v.image), b"{}"),
           "does not have its digest", "damaged manifest", "all"),
    Damage("manifest blob cut", lambda v: write(
        v.store.blob_path(v.image), v.store.blob_path(v.image).read_bytes()[:-9]),
           "does not have its digest", "damaged manifest", "all"),
    Damage("manifest swapped with its layer", lambda v: swap(
        v.store.blob_path(v.image), v.store.blob_path(v.layer)),
           "does not have its digest", "damaged manifest", "all"),
    Damage("manifest swapped with another", lambda v: swap(
        v.store.blob_path(v.image), v.store.blob_path(v.untagged)),
           "does not have its digest", "damaged manifest", "all"),
    Damage("manifest blob a FIFO", lambda v: fifo(v.store.blob_path(v.image)),
           "does not have its digest", "blob that is no plain file", "all"),
    Damage("manifest blob a folder", lambda v: a_folder(v.store.blob_path(v.image)),
           "does not have its digest", "blob that is no plain file", "all"),
    Damage("manifest blob a loop", lambda v: a_loop(v.store.blob_path(v.image)),
           "Too many levels of symbolic links", "unreadable manifest", "all"),
    Damage("manifest blob leads nowhere", lambda v: leads_nowhere(v.store.blob_path(v.image)),
           "leads nowhere", "unreadable manifest", "all"),
    Damage("manifest of no known shape", lambda v: retag(v, {"schemaVersion": 2}),
           "none of the fields", "damaged manifest", "all"),
    Damage("manifest no JSON", lambda v: retag(v, b"plain text"),
           "not valid JSON", "damaged manifest", "all"),
    Damage("manifest no UTF-8", lambda v: retag(v, b'{"layers": "\xff"}'),
           "not valid JSON", "damaged manifest", "all"),
    Damage("manifest a list", lambda v: retag(v, []),
           "none of the fields", "damaged manifest", "all"),
    Damage("manifest nested too deep", lambda v: retag(v, b"[" * 200_000),
           "not valid JSON", "damaged manifest", "all"),
    Damage("manifest with a number of 5,000 digits", lambda v: retag(
        v, b'{"layers": [], "size": ' + b"9" * 5000 + b"}"),
           "not valid JSON", "damaged manifest", "all"),
    Damage("manifest of 5 MiB", lambda v: retag(
        v, {"mediaType": IMAGE, "layers": [], "annotations": {"a": "x" * (5 << 20)}}),
           "larger than 4 MiB", "damaged manifest", "all"),
    Damage("tag of a layer", lambda v: write(v.current, v.orphan),
           "not valid JSON", "tag that leads nowhere", "all"),
]  # fmt: skip

LINKS = [
    Damage("revision link empty", lambda v: write(v.old("revision"), ""),
           "is empty", "empty revision link", "link"),
    Damage("revision link corrupt", lambda v: write(v.old("revision"), "nonsense"),
           "does not hold a digest", "corrupt revision link", "link"),
    Damage("revision link a folder", lambda v: a_folder(v.old("revision")),
           "is no plain file", "revision link that is no plain file", "link"),
    Damage("revision link a FIFO", lambda v: fifo(v.old("revision")),
           "is no plain file", "revision link that is no plain file", "link"),
    Damage("revision link a symbolic link", lambda v: move_out(v, v.old("revision")),
           "is no plain file", "revision link that is no plain file", "link"),
    Damage("layer link empty", lambda v: write(v.old("layer"), ""),
           "is empty", "empty layer link", "link"),
    Damage("layer link corrupt", lambda v: write(v.old("layer"), "nonsense"),
           "does not hold a digest", "corrupt layer link", "link"),
    Damage("layer link of another blob", lambda v: write(v.old("layer"), v.orphan),
           "it counts as live", "layer link that names another digest", "link"),
    Damage("layer link a folder", lambda v: a_folder(v.old("layer")),
           "is no plain file", "layer link that is no plain file", "link"),
    Damage("layer link a FIFO", lambda v: fifo(v.old("layer")),
           "is no plain file", "layer link that is no plain file", "link"),
    Damage("layer link a socket", lambda v: a_socket(v.old("layer")),
           "No such device", "unreadable layer link", "link"),
    Damage("layer link a symbolic link", lambda v: move_out(v, v.old("layer")),
           "is no plain file", "layer link that is no plain file", "link"),
    Damage("layer link leads nowhere", lambda v: leads_nowhere(v.old("layer")),
           "leads nowhere", "unreadable layer link", "link"),
    Damage("layer link of 1 GiB of zeros", lambda v: sparse(v.old("layer"), 2**30),
           "does not hold a digest", "corrupt layer link", "link"),
    Damage("layer link a hard link of another", in_turn(
        lambda v: v.old("layer").unlink(),
        lambda v: os.link(v.store.layer_link("victim", v.layer), v.old("layer"))),
           "it counts as live", "layer link that names another digest", "link"),
]  # fmt: skip

# A dry run does not open the links that a manifest needs; a burial and a check do.
NEEDED_LINKS = [
    Damage("needed layer link empty", lambda v: write(v.store.layer_link("victim", v.layer), ""),
           "", "empty layer link", run="is empty"),
    Damage("needed layer link of another blob", lambda v: write(
        v.store.layer_link("victim", v.layer), v.orphan),
           "", "layer link that names another digest", run="which is kept"),
    Damage("needed revision link of another blob", lambda v: write(
        v.store.revision_link("victim", v.image), v.orphan),
           "", "revision link that names another digest", run="which is kept"),
    Damage("tag index entry of another blob", lambda v: write(index_entry(v), v.orphan),
           "", "tag index entry that names another digest", run="which is kept"),
    Damage("tag index entry empty", lambda v: write(index_entry(v), ""),
           "", "empty tag index entry", run="is empty"),
    Damage("needed layer link a FIFO", lambda v: fifo(v.store.layer_link("victim", v.layer)),
           "", "layer link that is no plain file", run="is no plain file"),
    Damage("two needed links swapped", lambda v: swap(
        v.store.layer_link("victim", v.layer), v.store.revision_link("victim", v.image)),
           "", "layer link that names another digest", run="which is kept"),
]  # fmt: skip

# What a registry does not write is named and stays; the rest is collected as if it were not there.
FOREIGN = [
    Damage("file among the blobs", lambda v: write(v.store.v2 / "blobs/sha256/README"),
           "unknown file kept", "unknown file"),
    Damage("file among the algorithms", lambda v: write(v.store.v2 / "blobs/README"),
           "unknown file kept", "unknown file"),
    Damage("file in a fan-out folder", lambda v: write(v.store.v2 / "blobs/sha256/00/x"),
           "unknown file kept", "unknown file"),
    Damage("FIFO in a fan-out folder", lambda v: fifo(v.store.v2 / "blobs/sha256/00/x"),
           "unknown file kept", "unknown file"),
    Damage("folder among the blobs", lambda v: write(v.store.v2 / "blobs/sha256/00/x/data", ""),
           "unknown folder kept", "unknown folder"),
    Damage("folder of an unknown algorithm", lambda v: write(
        v.store.v2 / f"blobs/md5/00/{'0' * 32}/data", ""),
           "unknown folder kept", "unknown folder"),
    Damage("blob in the wrong fan-out folder", lambda v: write(
        v.store.v2 / f"blobs/sha256/zz/{'0' * 64}/data", ""),
           "unknown folder kept", "unknown folder"),
    Damage("blob in upper case", lambda v: write(
        v.store.v2 / f"blobs/sha256/AB/{'AB' * 32}/data", ""),
           "unknown folder kept", "unknown folder"),
    Damage("file among the repositories", lambda v: write(v.store.v2 / "repositories/README"),
           "unknown file kept", "unknown file"),
    Damage("FIFO among the repositories", lambda v: fifo(v.store.v2 / "repositories/x"),
           "unknown file kept", "unknown file"),
    Damage("file in a repository", lambda v: write(v.folder / "README"),
           "unknown file kept", "unknown file"),
    Damage("folder with an underscore in a repository", lambda v: write(v.folder / "_x/y"),
           "unknown folder kept", "unknown folder"),
    Damage("file among the tags", lambda v: write(v.tag.parent / "README"),
           "unknown file kept", "unknown file"),
    Damage("file among the layer links", lambda v: write(v.folder / "_layers/sha256/x"),
           "unknown file kept", "unknown file"),
    Damage("folder among the revisions", lambda v: write(
        v.folder / "_manifests/revisions/sha256/x/link"),
           "unknown folder kept", "unknown folder"),
    Damage("revisions of an algorithm a file", lambda v: write(
        v.folder / "_manifests/revisions/sha512"),
           "unknown file kept", "unknown file"),
    Damage("newline in a repository's name", lambda v: strange_repository(v, "a\nb"),
           r"repositories/a\nb, a name that no registry gives", "unknown folder"),
    Damage("repository's name no UTF-8", lambda v: strange_repository(v, os.fsdecode(b"a\xff")),
           "a name that no registry gives", "unknown folder"),
    Damage("repository's name in upper case", lambda v: strange_repository(v, "Victim"),
           "a name that no registry gives", "unknown folder"),
    Damage("newline in a tag's name", lambda v: v.store.tag("victim", "a\nb", v.image),
           r"unknown folder kept: repositories/victim/_manifests/tags/a\nb", "unknown folder"),
    Damage("tag's name no UTF-8", lambda v: v.store.tag(
        "victim", os.fsdecode(b"\xfe"), v.image),
           "unknown folder kept", "unknown folder"),
    Damage("newline in a layer's name", lambda v: write(
        v.folder / "_layers/sha256/a\nb/link"),
           "unknown folder kept", "unknown folder"),
    Damage("layer's name no UTF-8", lambda v: write(
        v.folder / "_layers/sha256" / os.fsdecode(b"\xff") / "link"),
           "unknown folder kept", "unknown folder"),
    Damage("name of 255 bytes", lambda v: write(v.folder / "_layers/sha256" / ("x" * 255)),
           "unknown file kept", "unknown file"),
    Damage("blob a symbolic link", lambda v: move_out(v, v.store.blob_path(v.orphan)),
           "unknown file kept", "blob that is no plain file"),
    Damage("blob a loop", lambda v: a_loop(v.store.blob_path(v.orphan)),
           "unknown file kept", "unreadable blob"),
    Damage("blob a FIFO", lambda v: fifo(v.store.blob_path(v.orphan)),
           "unknown file kept", "blob that is no plain file"),
    Damage("blob a folder", lambda v: a_folder(v.store.blob_path(v.orphan)),
           "unknown folder kept", "blob that is no plain file"),
    Damage("blob's folder a symbolic link", lambda v: move_out(
        v, v.store.blob_path(v.orphan).parent),
           "unknown symbolic link kept", "symbolic link"),
    Damage("fan-out folder a symbolic link", lambda v: move_out(
        v, v.store.blob_path(v.orphan).parent.parent),
           "unknown symbolic link kept", "symbolic link"),
    Damage("symbolic link in an upload", in_turn(
        lambda v: v.store.upload("victim"),
        lambda v: (v.folder / "_uploads/1/x").symlink_to("/etc/hostname")),
           "unknown symbolic link kept", "symbolic link"),
]  # fmt: skip

# What should be a folder and is none may name anything, so no blob goes.
PLACES = [
    Damage("blobs of an algorithm a symbolic link", lambda v: move_out(
        v, v.store.v2 / "blobs/sha256"),
           "unknown symbolic link kept", "symbolic link", frees="links"),
    Damage("repository a symbolic link", in_turn(
        lambda v: v.store.image("away", "v1", layers=["away"]),
        lambda v: move_out(v, v.folder.with_name("away"))),
           "kept: repositories/away", "symbolic link", frees="links"),
    Damage("repository in itself", lambda v: (v.folder / "loop").symlink_to(".."),
           "kept: repositories/victim/loop", "symbolic link", frees="links"),
    Damage("two repositories in each other", in_turn(
        lambda v: (v.folder / "one").symlink_to("../healthy"),
        lambda v: (v.folder.with_name("healthy") / "two").symlink_to("../victim")),
           "unknown symbolic link kept", "symbolic link", frees="links"),
    Damage("repository that leads nowhere", lambda v: (
        v.folder.with_name("away").symlink_to("/no/such/folder")),
           "kept: repositories/away", "symbolic link", frees="links"),
    Damage("tag a symbolic link", in_turn(
        lambda v: v.store.tag("victim", "away", v.untagged),
        lambda v: move_out(v, v.tag.with_name("away"))),
           "_manifests/tags/away", "symbolic link", "all", "links"),
    Damage("tag in itself", lambda v: a_loop(v.tag.with_name("loop")),
           "_manifests/tags/loop", "symbolic link", "all", "links"),
    Damage("tag's index a symbolic link", in_turn(
        tag_twice, lambda v: move_out(v, v.tag / "index")),
           "index is no folder", "no folder", frees="links"),
    Damage("layers of an algorithm a symbolic link", lambda v: move_out(
        v, v.folder / "_layers/sha256"),
           "victim/_layers/sha256", "symbolic link", "all", "links"),
    Damage("old layer's folder a symbolic link", lambda v: move_out(v, v.old("layer").parent),
           "unknown symbolic link kept", "symbolic link", "all", "links"),
    Damage("old revision's folder a symbolic link", lambda v: move_out(
        v, v.old("revision").parent),
           "unknown symbolic link kept", "symbolic link", "all", "links"),
]  # fmt: skip
PLACES += [
    Damage(f"{name} a {what}", at(name, make),
           f"victim/{name} is no folder", "no folder", "all", "links")
    for name in ("_layers", "_manifests", "_manifests/revisions", "_manifests/tags", "_uploads")
    for what, make in (("symbolic link", move_out), ("file", lambda _, path: a_file(path)))
]  # fmt: skip

# Nothing that is there depends on it, and nothing of it can be pulled: a plan says nothing of it.
QUIET = [
    Damage("leftover of a write beside a link", lambda v: write(
        v.store.layer_link("victim", v.layer).with_name(f"link.{'0' * 36}.tmp")),
           "", "leftover of a write"),
    Damage("tag index missing", lambda v: shutil.rmtree(v.tag / "index"), "", ""),
    Damage("tag index a file", lambda v: a_file(v.tag / "index"), "", "no folder"),
    Damage("tag's current folder a symbolic link", lambda v: move_out(v, v.tag / "current"),
           "", "symbolic link"),
    Damage("layer blob missing", lambda v: v.store.blob_path(v.layer).unlink(),
           "", "missing layer"),
    Damage("layer blob empty", lambda v: write(v.store.blob_path(v.layer), b""),
           "", "empty blob"),
    Damage("layer blob cut", lambda v: write(v.store.blob_path(v.layer), b"victim"),
           "", "blob of another size"),
    Damage("layer blob of other bytes", lambda v: write(
        v.store.blob_path(v.layer), b"VICTIM's layer"), "", "damaged blob"),
    Damage("layer link missing", lambda v: v.store.layer_link("victim", v.layer).unlink(),
           "", "missing layer"),
    Damage("layer blob a symbolic link", lambda v: move_out(v, v.store.blob_path(v.layer)),
           "", "blob that is no plain file"),
    Damage("link with a newline behind it", lambda v: write(
        v.store.layer_link("victim", v.layer), f"{v.layer}\n"),
           "", "corrupt layer link"),
    Damage("tagged image's revision link missing", lambda v: (
        v.store.revision_link("victim", v.image).unlink()), "", "tag that leads nowhere"),
    Damage("revisions folder missing", lambda v: shutil.rmtree(v.folder / "_manifests/revisions"),
           "", "tag that leads nowhere"),
    Damage("layers folder missing", lambda v: shutil.rmtree(v.folder / "_layers"),
           "", "missing layer"),
    Damage("empty revision folder", lambda v: (
        v.folder / "_manifests/revisions/sha256" / ("0" * 64)).mkdir(), "", "empty folder"),
    Damage("empty blob folder", lambda v: (
        v.store.v2 / "blobs/sha256/00" / ("0" * 64)).mkdir(parents=True), "", "empty folder"),
    Damage("empty repository", lambda v: (
        v.store.v2 / "repositories/empty/_layers").mkdir(parents=True), "", ""),
    Damage("folders without an end", lambda v: deep(v.tag.with_name("hollow"), 1200),
           "", "unknown folder"),
    Damage("index without children", lambda v: v.store.index("no-layers", [], "v1"), "", ""),
    Damage("sparse index", lambda v: v.store.index("victim", [digest(b"no")], "index"),
           "", "sparse index"),
    Damage("10-deep repository", lambda v: v.store.image("a/b/c/d/e/f/g/h/i/j", "v1"), "", ""),
    Damage("hard link out of the store", in_turn(
        lambda v: v.outside.mkdir(),
        lambda v: os.link(v.store.blob_path(v.orphan), v.outside / "data")), "", ""),
    Damage("sparse blob of 1 TiB", lambda v: sparse(v.store.blob_path(v.orphan), 2**40), "", ""),
    Damage("times before 1970", lambda v: os.utime(v.store.blob_path(v.orphan), (-9, -9)),
           "", "", after_aging=True),
]  # fmt: skip

ALL = [*TAGS, *MANIFESTS, *LINKS, *NEEDED_LINKS, *FOREIGN, *PLACES, *QUIET]
