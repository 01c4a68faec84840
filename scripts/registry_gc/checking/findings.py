"""What `check` finds: each thing with its place, how bad it is, and what to do about it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from registry_gc.layout import Digest, Entry, digest_text, shown

FOLDED_FROM = 10
"""More of one kind in one folder are told as one finding."""


class Harm(Enum):
    """How bad a finding is, worst first."""

    IMAGE = "an image cannot be pulled"
    UNKNOWN = "cannot be told"
    NONE = "harmless"
    NORMAL = "normal"

    @property
    def is_problem(self) -> bool:
        """Whether it is more than what registries leave behind or do without by themselves."""
        return self is not Harm.NORMAL


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing; `path` is relative to the root directory, `count` says how many were folded.

    `kind` is the same for all of one sort, `what` says it of this one, `advice` what to do.
    """

    kind: str
    path: str
    harm: Harm
    what: str
    advice: str
    repository: str = ""
    tag: str = ""
    digest: str = ""
    count: int = 1
    repaired: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what is the same when the same thing is found again."""
        return self.kind, self.path, self.digest

    def as_mapping(self) -> dict[str, object]:
        """Return it for JSON; names are shown so that every program takes them."""
        return {
            "kind": self.kind,
            "harm": self.harm.value,
            "what": shown(self.what),
            "path": shown(self.path),
            "repository": shown(self.repository),
            "tag": shown(self.tag),
            "digest": self.digest,
            "count": self.count,
            "advice": self.advice,
            "repaired": self.repaired,
        }


def about(entry: Entry) -> tuple[str, str, str]:
    """Return the repository, the tag and the digest that an entry is about."""
    return entry.repository, entry.tag, digest_text(entry.digest) if entry.digest else ""


def folded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings, those of one kind in one folder as one where they are many."""
    groups: dict[tuple[str, str, Harm], list[Finding]] = defaultdict(list)
    for finding in findings:
        # What an image depends on is always named one by one.
        place = finding.path.rpartition("/")[0] if finding.harm is not Harm.IMAGE else finding.path
        groups[finding.kind, _without_digest(place), finding.harm].append(finding)
    for (kind, place, _), group in groups.items():
        if len(group) <= FOLDED_FROM or group[0].harm is Harm.IMAGE:
            yield from group
        else:
            yield replace(
                group[0],
                path=place,
                what=f"{len(group):,} of these below {place}: {kind}",
                digest="",
                count=len(group),
            )


def _without_digest(place: str) -> str:
    """Return the folder that holds all the folders of digests, where the place is one of those."""
    above, _, name = place.rpartition("/")
    return above if len(name) >= 64 else place


@dataclass(slots=True)
class Checked:
    """What a check found and how much it looked at; `bytes` are those whose digest was computed."""

    findings: list[Finding] = field(default_factory=list)
    blobs: int = 0
    repositories: int = 0
    links: int = 0
    manifests: int = 0
    bytes: int = 0
    is_cache: bool = False

    @property
    def problems(self) -> list[Finding]:
        """Return what is left to be done something about, worst first."""
        order = list(Harm)
        left = [each for each in self.findings if each.harm.is_problem and not each.repaired]
        return sorted(left, key=lambda each: (order.index(each.harm), each.repository, each.path))

    @property
    def exit_code(self) -> int:
        """Return 0 for a sound store and 1 for one with problems."""
        return int(bool(self.problems))


def named(digest: Digest, repository: str = "") -> str:
    """Return a manifest or layer as people call it."""
    return f"{repository}@{digest_text(digest)}" if repository else digest_text(digest)
