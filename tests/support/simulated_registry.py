"""A registry as its source says it is: every check and write of a request, one step at a time.

Each request is a generator that yields before each system call and before each use of its
descriptor cache, so that a collection can take steps in between. The order is that of distribution
v3.1.1: blobwriter.go (`Commit`, `moveBlob`), linkedblobstore.go (`Put`, `mount`, `linkBlob`),
cache/cachedblobdescriptorstore.go, blobstore.go (`Put`), ocimanifesthandler.go (`verifyManifest`),
tagstore.go, driver/filesystem/driver.go. What other versions do differently is in `Version`.
"""

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.memory_files import Clock, Files, Folder, Inode
from support.store import CONFIG, IMAGE, INDEX, LAYER, digest

V2 = "docker/registry/v2"
SHORT = 50.0
"""Seconds that one manifest PUT may take, and a commit from its look for the blob to its link: less
than the settle period (60 s), which is what that period is for."""

Steps = Generator[None, None, None]
Found = Generator[None, None, bool]


class RefusedError(Exception):
    """The registry's answer was no; `status` as in HTTP, 0 for no answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status} {why}")
        self.status = status


@dataclass(frozen=True)
class Version:
    """How a registry writes: up to 3.0 in place; after 3.1.1 a manifest past its cache (`Put`)."""

    name: str
    in_place: bool = False
    put_is_cached: bool = True


UP_TO_3_0 = Version("2.8 and 3.0", in_place=True)
V3_1 = Version("3.1.1")
MAIN = Version("main", put_is_cached=False)


@dataclass(frozen=True)
class Image:
    """A manifest and the blobs that a client pushes with it; an index has children instead."""

    content: bytes
    blobs: tuple[bytes, ...] = ()
    children: "tuple[Image, ...]" = ()

    @property
    def digest(self) -> str:
        return digest(self.content)


def image(name: str, layers: Iterable[str], note: str = "") -> Image:
    """Return an image; `note` makes it another manifest with the same blobs."""
    blobs = (f"config {name}".encode(), *(each.encode() for each in layers))
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {"mediaType": CONFIG, "digest": digest(blobs[0]), "size": len(blobs[0])},
        "layers": [
            {"mediaType": LAYER, "digest": digest(each), "size": len(each)} for each in blobs[1:]
        ],
        "annotations": {"note": note},
    }
    return Image(json.dumps(document).encode(), blobs)


def index(children: Iterable[Image]) -> Image:
    """Return an index of these images."""
    listed = tuple(children)
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {"mediaType": IMAGE, "digest": each.digest, "size": len(each.content)}
            for each in listed
        ],
    }
    return Image(json.dumps(document).encode(), (), listed)


def blob_path(name: str) -> str:
    algorithm, encoded = name.split(":")
    return f"{V2}/blobs/{algorithm}/{encoded[:2]}/{encoded}/data"


def layer_link(repository: str, name: str) -> str:
    return f"{V2}/repositories/{repository}/_layers/{name.replace(':', '/')}/link"


def revision_link(repository: str, name: str) -> str:
    return f"{V2}/repositories/{repository}/_manifests/revisions/{name.replace(':', '/')}/link"


def tag_folder(repository: str, tag: str) -> str:
    return f"{V2}/repositories/{repository}/_manifests/tags/{tag}"


@dataclass
class Registry:
    """One registry process over `files`; `cache` is "", "inmemory" or "redis".

    `remembered` are the cache's keys: a repository (or none, for the global one) and a digest.
    `due` is when the request that runs has to be over, None between two requests; a client may wait
    as long as it likes. `touched` notes every path that a request touches.
    """

    files: Files
    version: Version = V3_1
    cache: str = ""
    remembered: set[tuple[str, str]] = field(default_factory=set)
    due: float | None = None
    is_down: bool = False
    touched: set[str] = field(default_factory=set)
    _names: int = 0

    @property
    def clock(self) -> Clock:
        return self.files.clock

    @contextmanager
    def request(self, seconds: float) -> Iterator[None]:
        if self.is_down:
            raise RefusedError(0, "the registry does not run")
        self.due = self.clock.monotonic() + seconds
        try:
            yield
        except OSError as error:
            raise RefusedError(500, str(error)) from error
        finally:
            self.due = None

    # What a client asks for

    def head_blob(self, repository: str, name: str) -> Found:
        with self.request(SHORT):
            return (yield from self._has(repository, name, layer_link(repository, name)))

    def upload(self, repository: str, content: bytes) -> Steps:
        """POST, PATCH and PUT; between them a client may wait for almost the grace period."""
        folder = f"{V2}/repositories/{repository}/_uploads/{self._name()}"
        with self.request(SHORT):
            yield from self._put_content(f"{folder}/startedat", b"2027-01-15T08:00:00Z")
        yield
        with self.request(3000):
            yield from self._write(f"{folder}/data", content)
        yield
        with self.request(SHORT):
            name = digest(content)
            yield from self._move_blob(f"{folder}/data", name)
            yield from self._put_content(layer_link(repository, name), name.encode())
            yield from self._delete(folder)
            yield
            self._remember(repository, name)

    def mount(self, repository: str, name: str, source: str) -> Found:
        """Return whether it was mounted; else the client uploads it."""
        with self.request(SHORT):
            if not (yield from self._has(source, name, layer_link(source, name))):
                return False
            yield from self._put_content(layer_link(repository, name), name.encode())
            return True

    def put_manifest(self, repository: str, wanted: Image, tag: str = "") -> Steps:
        with self.request(SHORT):
            for child in wanted.children:
                link = revision_link(repository, child.digest)
                if not (yield from self._has(repository, child.digest, link)):
                    raise RefusedError(400, f"unknown manifest {child.digest}")
            for blob in wanted.blobs:
                link = layer_link(repository, digest(blob))
                if not (yield from self._has(repository, digest(blob), link)):
                    raise RefusedError(400, f"unknown blob {digest(blob)}")
            name = wanted.digest
            present = (
                self._has_globally(name)
                if self.version.put_is_cached
                else self._is_file(blob_path(name))
            )
            if not (yield from present):
                yield from self._put_content(blob_path(name), wanted.content)
            yield
            self._remember(repository, name)
            yield from self._put_content(revision_link(repository, name), name.encode())
            if tag:
                folder = tag_folder(repository, tag)
                entry = f"{folder}/index/{name.replace(':', '/')}/link"
                yield from self._put_content(entry, name.encode())
                yield from self._put_content(f"{folder}/current/link", name.encode())

    def get_manifest(self, repository: str, name: str) -> Steps:
        with self.request(SHORT):
            if not (yield from self._has(repository, name, revision_link(repository, name))):
                raise RefusedError(404, f"unknown manifest {name}")
            yield from self._touch(blob_path(name))
            if not isinstance(self.files.find(blob_path(name)), Inode):
                raise RefusedError(404, f"unknown manifest {name}")

    def delete_manifest(self, repository: str, name: str) -> Steps:
        with self.request(SHORT):
            link = revision_link(repository, name)
            if not (yield from self._has(repository, name, link)):
                raise RefusedError(404, f"unknown manifest {name}")
            yield
            self.remembered.discard((repository, name))
            if self.cache == "redis":
                self.remembered.discard(("", name))
            yield from self._touch(link)
            if self.files.find(link) is None:
                raise RefusedError(404, f"unknown manifest {name}")
            yield from self._touch(link)
            self.files.unlink(link)
            tags = self.files.find(f"{V2}/repositories/{repository}/_manifests/tags")
            for tag in list(tags.children) if isinstance(tags, Folder) else ():
                current = f"{tag_folder(repository, tag)}/current/link"
                if (yield from self._linked(current)) == name:
                    yield from self._delete(tag_folder(repository, tag))

    def delete_tag(self, repository: str, tag: str) -> Steps:
        with self.request(SHORT):
            yield from self._delete(tag_folder(repository, tag))

    # How it does that

    def _has(self, repository: str, name: str, link: str) -> Found:
        """Say whether a repository has a blob or a manifest: from memory, else by its link."""
        yield
        if self._is_remembered(repository, name):
            return True
        target = yield from self._linked(link)
        if not target or not (yield from self._has_globally(target)):
            return False
        yield
        self._remember(repository, name)
        return True

    def _has_globally(self, name: str) -> Found:
        yield
        if self._is_remembered("", name):
            return True
        if not (yield from self._is_file(blob_path(name))):
            return False
        yield
        self._remember("", name)
        return True

    def _is_remembered(self, repository: str, name: str) -> bool:
        # Redis: what a repository has is asked for globally too (redis.go, `Stat`).
        return (repository, name) in self.remembered and (
            self.cache != "redis" or ("", name) in self.remembered
        )

    def _remember(self, repository: str, name: str) -> None:
        if self.cache:
            self.remembered |= {(repository, name), ("", name)}

    def _linked(self, path: str) -> Generator[None, None, str]:
        yield from self._touch(path)
        node = self.files.find(path)
        if not isinstance(node, Inode):
            return ""
        if not node.content:
            raise RefusedError(500, "invalid checksum digest format")
        return node.content.decode()

    def _is_file(self, path: str) -> Found:
        yield from self._touch(path)
        return isinstance(self.files.find(path), Inode)

    def _move_blob(self, source: str, name: str) -> Steps:
        target = blob_path(name)
        if (yield from self._is_file(target)):
            return  # what was uploaded is dropped, and the blob's time stays (race W3)
        yield from self._move(source, target)

    def _move(self, source: str, target: str) -> Steps:
        yield from self._touch(target)
        self.files.make_folders(target.rpartition("/")[0])
        yield from self._touch(target)
        self.files.rename(source, target)

    def _put_content(self, path: str, content: bytes) -> Steps:
        if self.version.in_place:
            yield from self._write(path, content)
            return
        temporary = f"{path}.{self._name()}.tmp"
        yield from self._write(temporary, content)
        yield from self._move(temporary, path)

    def _write(self, path: str, content: bytes) -> Steps:
        yield from self._touch(path)
        self.files.make_folders(path.rpartition("/")[0])
        yield from self._touch(path)
        opened = self.files.create(path)
        yield
        self.files.fill(opened, b"")
        yield
        self.files.fill(opened, content)

    def _delete(self, path: str) -> Steps:
        """Remove a folder and all in it, as Go's os.RemoveAll does: what is gone is fine."""
        yield from self._touch(path)
        if not isinstance(self.files.find(path), Folder):
            return
        while isinstance(folder := self.files.find(path), Folder):
            for name, child in list(folder.children.items()):
                if isinstance(child, Folder):
                    yield from self._delete(f"{path}/{name}")
                else:
                    yield from self._touch(path)
                    if isinstance(self.files.find(f"{path}/{name}"), Inode):
                        self.files.unlink(f"{path}/{name}")
            yield from self._touch(path)
            if isinstance(folder := self.files.find(path), Folder) and not folder.children:
                self.files.remove_folder(path)

    def _touch(self, path: str) -> Steps:
        self.touched.add(path)
        yield

    def _name(self) -> str:
        self._names += 1
        return hashlib.sha256(b"%d" % self._names).hexdigest()[:36]


def push(
    registry: Registry,
    repository: str,
    wanted: Image,
    tag: str = "",
    *,
    ask: bool = True,
    mount_from: str = "",
) -> Steps:
    """Push as a client does: ask for each blob or mount it, upload what is not there, then PUT."""
    for child in wanted.children:
        yield from push(registry, repository, child, ask=ask, mount_from=mount_from)
    for content in wanted.blobs:
        name = digest(content)
        has = False
        if mount_from:
            has = yield from registry.mount(repository, name, mount_from)
        elif ask:
            has = yield from registry.head_blob(repository, name)
        yield
        if not has:
            yield from registry.upload(repository, content)
            yield
    yield from registry.put_manifest(repository, wanted, tag)


def run(steps: Steps) -> None:
    """Take all steps, with nothing in between."""
    for _ in steps:
        pass


def missing(files: Files, repository: str, wanted: Image, tag: str = "") -> list[str]:
    """Return the paths that a pull needs and that are not there or not right, after a restart."""
    name = wanted.digest
    needed = {blob_path(name): wanted.content, revision_link(repository, name): name.encode()}
    if tag:
        needed[f"{tag_folder(repository, tag)}/current/link"] = name.encode()
    for blob in wanted.blobs:
        needed[blob_path(digest(blob))] = blob
        needed[layer_link(repository, digest(blob))] = digest(blob).encode()
    wrong = [
        path
        for path, content in needed.items()
        if not isinstance(node := files.find(path), Inode) or node.content != content
    ]
    return wrong + [each for child in wanted.children for each in missing(files, repository, child)]
