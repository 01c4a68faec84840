"""Builds stores on disk as a registry leaves them, and ages them.

Shares no code with the package: paths are written out here a second time on purpose.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def split(name: str) -> str:
    return name.replace(":", "/", 1)


def walk(top: Path) -> Iterator[str]:
    """Yield a folder and all that is below it, however deep; symbolic links are not followed."""
    waiting = [str(top)]
    while waiting:
        path = waiting.pop()
        yield path
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 - of a million
            waiting.extend(f"{path}/{name}" for name in os.listdir(path))


@dataclass
class StoreBuilder:
    """A store below `root`; every method returns the digest of what it wrote."""

    root: Path
    written: list[Path] = field(default_factory=list)

    @property
    def v2(self) -> Path:
        return self.root / "docker/registry/v2"

    @property
    def state(self) -> Path:
        return self.root / "docker/registry-gc"

    def blob_path(self, name: str) -> Path:
        algorithm, encoded = name.split(":")
        return self.v2 / "blobs" / algorithm / encoded[:2] / encoded / "data"

    def layer_link(self, repository: str, name: str) -> Path:
        return self.v2 / "repositories" / repository / "_layers" / split(name) / "link"

    def revision_link(self, repository: str, name: str) -> Path:
        return self.v2 / f"repositories/{repository}/_manifests/revisions" / split(name) / "link"

    def tag_folder(self, repository: str, tag: str) -> Path:
        return self.v2 / f"repositories/{repository}/_manifests/tags/{tag}"

    def write(self, path: Path, content: bytes | str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def blob(self, content: bytes) -> str:
        name = digest(content)
        path = self.blob_path(name)
        if not path.exists():
            self.write(path, content)
        return name

    def layer(self, repository: str, content: bytes | str) -> str:
        name = self.blob(content.encode() if isinstance(content, str) else content)
        self.write(self.layer_link(repository, name), name)
        return name

    def manifest(self, repository: str, document: dict[str, object], tag: str = "") -> str:
        name = self.blob(json.dumps(document).encode())
        self.write(self.revision_link(repository, name), name)
        if tag:
            self.tag(repository, tag, name)
        return name

    def tag(self, repository: str, tag: str, name: str) -> None:
        folder = self.tag_folder(repository, tag)
        self.write(folder / "index" / split(name) / "link", name)
        self.write(folder / "current/link", name)

    def image(
        self,
        repository: str,
        tag: str = "",
        *,
        layers: Iterable[bytes | str] = ("layer",),
        note: str = "",
        subject: str = "",
    ) -> str:
        """Write an image; `note` makes its manifest another one with the same layers."""
        contents = [each.encode() if isinstance(each, str) else each for each in layers]
        config = f"config of {contents!r}".encode()
        document: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": {
                "mediaType": CONFIG,
                "digest": self.layer(repository, config),
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": LAYER,
                    "digest": self.layer(repository, content),
                    "size": len(content),
                }
                for content in contents
            ],
            "annotations": {"note": note},
        }
        if subject:
            document["subject"] = {"mediaType": IMAGE, "digest": subject, "size": 1}
        return self.manifest(repository, document, tag)

    def index(self, repository: str, children: Iterable[str], tag: str = "", note: str = "") -> str:
        return self.manifest(
            repository,
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": [
                    {"mediaType": IMAGE, "digest": child, "size": 1} for child in children
                ],
                "annotations": {"note": note},
            },
            tag,
        )

    def references(self, name: str) -> list[str]:
        """Return the digests that an image's manifest names."""
        document = json.loads(self.blob_path(name).read_bytes())
        return [document["config"]["digest"], *(each["digest"] for each in document["layers"])]

    def delete_tag(self, repository: str, tag: str) -> None:
        shutil.rmtree(self.tag_folder(repository, tag))

    def delete_manifest(self, repository: str, name: str) -> None:
        """Do what the registry's API does: the link goes, its folder stays; tags go."""
        self.revision_link(repository, name).unlink()
        tags = self.v2 / "repositories" / repository / "_manifests/tags"
        for folder in list(tags.iterdir()) if tags.exists() else []:
            if (folder / "current/link").read_text() == name:
                shutil.rmtree(folder)

    def upload(self, repository: str, name: str = "1", content: bytes = b"part") -> Path:
        folder = self.v2 / "repositories" / repository / "_uploads" / name
        self.write(folder / "data", content)
        self.write(folder / "startedat", "2026-01-01T00:00:00Z")
        return folder

    def age(self, seconds: float = 7200, *, below: Path | None = None) -> None:
        """Make everything (below a folder) so much older."""
        when = time.time() - seconds
        for path in walk(below or self.root):
            os.utime(path, (when, when), follow_symlinks=False)

    def files(self) -> dict[str, bytes]:
        """Return every file of the registry's, and empty folders with a `/` at the end."""
        found = {}
        for path in self.v2.rglob("*"):
            name = str(path.relative_to(self.v2))
            if path.is_file():
                found[name] = path.read_bytes()
            elif not any(path.iterdir()):
                found[f"{name}/"] = b""
        return found

    def everything(self) -> dict[str, tuple[bytes, int]]:
        """Return every file below the root with its content and mtime."""
        return {
            str(path.relative_to(self.root)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.root.rglob("*")
            if path.is_file()
        }


def one_live_one_dead(root: Path) -> StoreBuilder:
    """Build a store with a tagged image and an untagged one of three blobs, two hours old."""
    store = StoreBuilder(root)
    store.image("app", "v1", layers=["a"])
    store.image("app", layers=["b"])
    store.age()
    return store


def write_configuration(path: Path, root: Path) -> Path:
    """Write the configuration of a registry whose store lies below `root`; return its path."""
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n")
    return path
