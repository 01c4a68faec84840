"""Reads a store by the definition of its layout; shares no code with the package."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

_DIGEST = r"(?P<algorithm>[a-z0-9]+)/(?P<hex>[0-9a-f]+)"
_KINDS = (
    ("blob", re.compile(r"blobs/(?P<algorithm>[a-z0-9]+)/../(?P<hex>[0-9a-f]+)/data")),
    ("layer link", re.compile(rf"repositories/(?P<name>.+)/_layers/{_DIGEST}/link")),
    (
        "revision link",
        re.compile(rf"repositories/(?P<name>.+)/_manifests/revisions/{_DIGEST}/link"),
    ),
    (
        "tag",
        re.compile(r"repositories/(?P<name>.+)/_manifests/tags/(?P<tag>[^/]+)/current/link"),
    ),
    (
        "tag index entry",
        re.compile(
            rf"repositories/(?P<name>.+)/_manifests/tags/(?P<tag>[^/]+)/index/{_DIGEST}/link"
        ),
    ),
    ("upload", re.compile(r"repositories/(?P<name>.+)/_uploads/(?P<tag>[^/]+)/.+")),
)


@dataclass(frozen=True, order=True)
class Thing:
    """One file by what it is; empty where that has no meaning."""

    kind: str
    repository: str = ""
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Return what a plan calls it."""
        if self.kind == "upload":
            return f"{self.repository}/{self.tag}"
        name = f"{self.repository}:{self.tag}" if self.tag else self.repository
        if not self.digest:
            return name
        return f"{name}@{self.digest}" if name else self.digest


@dataclass(frozen=True)
class StoreOnDisk:
    """What lies below a `docker/registry/v2` now; read once."""

    v2: Path
    _live: dict[tuple[str, bool], set[str]] = field(default_factory=dict, repr=False)
    _manifests: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @cached_property
    def things(self) -> frozenset[Thing]:
        """Return every file; one that is nothing known is an error of the test."""
        files = [path for path in self.v2.rglob("*") if path.is_file()]
        return frozenset(self._thing(path.relative_to(self.v2).as_posix()) for path in files)

    def _thing(self, path: str) -> Thing:
        for kind, pattern in _KINDS:
            if match := pattern.fullmatch(path):
                found = match.groupdict()
                digest = f"{found['algorithm']}:{found['hex']}" if "hex" in found else ""
                return Thing(kind, found.get("name", ""), found.get("tag", ""), digest)
        raise AssertionError(f"{path} is nothing that a registry writes")

    @cached_property
    def repositories(self) -> list[str]:
        """Return the names of all repositories that have a file."""
        return sorted({thing.repository for thing in self.things} - {""})

    def protected_by_uploads(self) -> set[Thing]:
        """Return the layer links that are younger than an upload of their repository, by mtime."""
        found = set()
        for name in self.repositories:
            folder = self.v2 / "repositories" / name
            starts = [each.stat().st_mtime for each in (folder / "_uploads").glob("*/startedat")]
            for link in (folder / "_layers").glob("*/*/link") if starts else ():
                if link.stat().st_mtime >= min(starts):
                    found.add(self._thing(link.relative_to(self.v2).as_posix()))
        return found

    def tags(self, repository: str) -> dict[str, str]:
        """Return the digest of each tag."""
        folder = self.v2 / "repositories" / repository / "_manifests/tags"
        return {
            thing.tag: (folder / thing.tag / "current/link").read_text()
            for thing in self.things
            if thing.kind == "tag" and thing.repository == repository
        }

    def revisions(self, repository: str) -> set[str]:
        """Return the manifests that are linked in a repository."""
        return {
            thing.digest
            for thing in self.things
            if thing.kind == "revision link" and thing.repository == repository
        }

    def manifest(self, digest: str) -> dict[str, Any]:
        """Return a manifest, an empty one if its blob is not there."""
        if digest not in self._manifests:
            self._manifests[digest] = self._read(digest)
        return self._manifests[digest]

    def _read(self, digest: str) -> dict[str, Any]:
        algorithm, encoded = digest.split(":")
        path = self.v2 / "blobs" / algorithm / encoded[:2] / encoded / "data"
        return dict(json.loads(path.read_bytes())) if path.exists() else {}

    def references(self, digest: str) -> tuple[set[str], set[str]]:
        """Return the child manifests and the blobs that a manifest names."""
        document = self.manifest(digest)
        blobs = [*document.get("layers", []), *filter(None, [document.get("config")])]
        children = {each["digest"] for each in document.get("manifests", [])}
        return children, {each["digest"] for each in blobs}

    def live(self, repository: str, *, with_referrers: bool = True) -> set[str]:
        """Return every manifest that a tag leads to, by children and by referrers."""
        known = self._live.get((repository, with_referrers))
        if known is None:
            known = self._reached(repository, with_referrers=with_referrers)
            self._live[repository, with_referrers] = known
        return set(known)

    def _reached(self, repository: str, *, with_referrers: bool) -> set[str]:
        live = set(self.tags(repository).values())
        while True:
            more = {child for each in live for child in self.references(each)[0]}
            if with_referrers:
                more |= {
                    each
                    for each in self.revisions(repository)
                    if self.manifest(each).get("subject", {}).get("digest") in live
                }
            if more <= live:
                return live
            live |= more
