"""What a store must hold, written down a second time: a model beside a store on disk.

Every change is made to both. The model knows of each file how old it is, and says by the rules, the
slow way, what a collection must leave; it shares no code with the package.
"""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.store import CONFIG, IMAGE, INDEX, LAYER, StoreBuilder, digest

GRACE = 3600  # seconds
UPLOAD_GRACE = 7 * 86400

Link = tuple[str, str]
"""A repository and a digest, or a repository and a tag."""


@dataclass(frozen=True)
class Known:
    """What a manifest names: everything, and what it is about."""

    references: frozenset[str]
    subject: str = ""


@dataclass
class Model:
    """A store below `root` and what is in it: for each file its age in seconds.

    `index` has for each tag its history. `manifests` is what was ever pushed, by digest.
    """

    root: Path
    blobs: dict[str, int] = field(default_factory=dict)
    layers: dict[Link, int] = field(default_factory=dict)
    revisions: dict[Link, int] = field(default_factory=dict)
    tags: dict[Link, tuple[str, int]] = field(default_factory=dict)
    index: dict[Link, dict[str, int]] = field(default_factory=dict)
    uploads: dict[Link, int] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with an empty store."""
        self.disk = StoreBuilder(self.root)
        (self.disk.v2 / "repositories").mkdir(parents=True)

    # What people do to a store

    def add_blob(self, content: bytes) -> str:
        """Write a blob as a registry does: not where it is already."""
        name = digest(content)
        self.contents[name] = content
        if name not in self.blobs:
            self.disk.write(self.disk.blob_path(name), content)
            self.blobs[name] = 0
        return name

    def link_layer(self, repository: str, name: str) -> None:
        self._write(self.disk.layer_link(repository, name), name)
        self.layers[repository, name] = 0

    def push(self, repository: str, content: bytes, known: Known, tag: str = "") -> str:
        """Put a manifest, whose blobs have been pushed."""
        name = self.add_blob(content)
        self.manifests[name] = known
        self._write(self.disk.revision_link(repository, name), name)
        self.revisions[repository, name] = 0
        if tag:
            folder = self.disk.tag_folder(repository, tag)
            self._write(folder / "index" / name.replace(":", "/") / "link", name)
            self._write(folder / "current/link", name)
            self.index.setdefault((repository, tag), {})[name] = 0
            self.tags[repository, tag] = (name, 0)
        return name

    def push_image(
        self,
        repository: str,
        layers: list[bytes],
        *,
        note: str = "",
        subject: str = "",
        tag: str = "",
    ) -> str:
        blobs = [self.add_blob(each) for each in (b"config " + note.encode(), *layers)]
        for blob in blobs:
            self.link_layer(repository, blob)
        document: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": {"mediaType": CONFIG, "digest": blobs[0], "size": 1},
            "layers": [{"mediaType": LAYER, "digest": each, "size": 1} for each in blobs[1:]],
            "annotations": {"note": note},
        }
        if subject:
            document["subject"] = {"mediaType": IMAGE, "digest": subject, "size": 1}
        return self.push(
            repository, json.dumps(document).encode(), Known(frozenset(blobs), subject), tag
        )

    def push_index(self, repository: str, children: list[str], tag: str = "") -> str:
        document = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{"mediaType": IMAGE, "digest": each, "size": 1} for each in children],
        }
        return self.push(repository, json.dumps(document).encode(), Known(frozenset(children)), tag)

    def start_upload(self, repository: str, number: int) -> None:
        self.disk.upload(repository, f"upload-{number}")
        self.uploads[repository, f"upload-{number}"] = 0

    def delete_tag(self, repository: str, tag: str) -> None:
        self.disk.delete_tag(repository, tag)
        del self.tags[repository, tag], self.index[repository, tag]

    def delete_manifest(self, repository: str, name: str) -> None:
        """Delete by digest: the link goes, and with it every tag that names it."""
        self.disk.delete_manifest(repository, name)
        del self.revisions[repository, name]
        for where, tag in [key for key, (named, _) in self.tags.items() if named == name]:
            if where == repository:
                del self.tags[where, tag], self.index[where, tag]

    def age(self, seconds: int) -> None:
        """Let so much time pass, which makes what is there older."""
        for files in (self.blobs, self.layers, self.revisions, self.uploads, *self.index.values()):
            for key in files:  # type: ignore[attr-defined]  # every one is a dict
                files[key] += seconds  # type: ignore[index]
        self.tags = {key: (name, age + seconds) for key, (name, age) in self.tags.items()}
        for path in [self.disk.v2, *self.disk.v2.rglob("*")]:
            when = path.stat().st_mtime - seconds
            os.utime(path, (when, when))

    def _write(self, path: Path, name: str) -> None:
        self.disk.write(path, name)
        now = time.time()
        os.utime(path, (now, now))

    # What must be there

    def files(self) -> dict[str, bytes]:
        """Return every file of the registry's that the model knows."""
        links = {self.disk.layer_link(*key): key[1] for key in self.layers}
        links |= {self.disk.revision_link(*key): key[1] for key in self.revisions}
        for (repository, tag), (name, _) in self.tags.items():
            folder = self.disk.tag_folder(repository, tag)
            links[folder / "current/link"] = name
            for each in self.index[repository, tag]:
                links[folder / "index" / each.replace(":", "/") / "link"] = each
        found = {path: name.encode() for path, name in links.items()}
        found |= {self.disk.blob_path(name): self.contents[name] for name in self.blobs}
        for repository, name in self.uploads:
            folder = self.disk.v2 / "repositories" / repository / "_uploads" / name
            found |= {folder / "data": b"part", folder / "startedat": b"2026-01-01T00:00:00Z"}
        return {str(path.relative_to(self.disk.v2)): content for path, content in found.items()}

    def repositories(self) -> set[str]:
        return {key[0] for key in (*self.layers, *self.revisions, *self.tags, *self.uploads)}

    def live(self, repository: str, *, untagged: bool = False) -> set[str]:
        """Return every digest that the repository needs (rules 2 and 3)."""
        mine = {name for where, name in self.revisions if where == repository}
        tags = {tag: named for (where, tag), named in self.tags.items() if where == repository}
        about = {
            tag: subject
            for tag, (name, _) in tags.items()
            if (subject := _subject_of(tag)) in mine and subject not in self._contained(name)
        }
        live = {name for tag, (name, _) in tags.items() if tag not in about}
        live |= {about[tag] for tag in about if tags[tag][1] <= GRACE}
        live |= {name for name in mine if untagged or self.revisions[repository, name] <= GRACE}
        while True:
            more = set(live)
            for name in live & self.blobs.keys():
                if known := self.manifests.get(name):
                    more |= known.references
                    more |= {known.subject} & mine
            more |= {
                name for name in mine & self.blobs.keys() if self.manifests[name].subject in live
            }
            more |= {tags[tag][0] for tag, subject in about.items() if subject in live}
            if more == live:
                return live
            live = more

    def collected(self, *, untagged: bool = False) -> "Model":
        """Return what a collection must leave of all this, without a disk of its own."""
        live = {name: self.live(name, untagged=untagged) for name in self.repositories()}
        new = object.__new__(Model)
        new.root, new.disk = self.root, self.disk
        new.contents, new.manifests = self.contents, self.manifests
        new.uploads = {key: age for key, age in self.uploads.items() if age <= UPLOAD_GRACE}
        new.layers = {
            key: age
            for key, age in self.layers.items()
            if key[1] in live[key[0]] or age - self._upload_age(key[0]) <= GRACE
        }
        new.revisions = {
            key: age
            for key, age in self.revisions.items()
            if key[1] in live[key[0]] or age <= GRACE
        }
        new.tags = {
            (where, tag): named
            for (where, tag), named in self.tags.items()
            if named[0] in live[where] or named[1] <= GRACE
        }
        new.index = {
            key: {
                name: age
                for name, age in self.index[key].items()
                if name == named[0] or age <= GRACE
            }
            for key, named in new.tags.items()
        }
        needed = set().union(*live.values()) if live else set()
        # A link of any kind protects what it names while it stands; so does a tag's history.
        needed |= {key[1] for key in (*new.layers, *new.revisions)}
        needed |= {name for history in new.index.values() for name in history}
        new.blobs = {
            name: age for name, age in self.blobs.items() if name in needed or age <= GRACE
        }
        return new

    def _upload_age(self, repository: str) -> int:
        """Return how long the oldest upload goes on, which protects what it may rest on.

        Nobody goes on with one that has been left alone for the grace period.
        """
        ages = [age for key, age in self.uploads.items() if key[0] == repository]
        return max((age for age in ages if age <= GRACE), default=0)

    def _contained(self, name: str) -> set[str]:
        found = {name}
        while True:
            here = found & self.blobs.keys() & self.manifests.keys()
            more = found.union(*(self.manifests[each].references for each in here))
            if more == found:
                return found
            found = more


def _subject_of(tag: str) -> str:
    algorithm, dash, encoded = tag.removesuffix(".sig").partition("-")
    return f"{algorithm}:{encoded}" if dash else ""
