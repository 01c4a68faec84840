"""Runs the registry's own collection and ours over the same stores, and tells what each leaves.

`docs/comparison.md` is what `page` returns; tests/registry/write_comparison.py writes it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support import remains
from support.collector import collect
from support.damages import STORES, Store
from support.registry_process import RegistryProcess, copy_store, registry_binary
from support.run import run
from support.store import StoreBuilder, write_configuration

COLLECTORS = ("3.1.1", "2.8", "ours")


@dataclass(frozen=True, slots=True)
class Run:
    """How one collection ended, and what it says of damage."""

    code: int
    says: tuple[str, ...] = ()


def run_collector(name: str, config: Path) -> Run:
    """Collect by a configuration that no registry serves now."""
    if name == "ours":
        done = collect(config, "--offline")
        return Run(done.code, tuple(done.report.get("problems", [done.said])))
    done_by_registry = run(
        registry_binary(name),
        *("garbage-collect", "-m", config),
        env={"OTEL_TRACES_EXPORTER": "none"},
        check=False,
    )
    return Run(done_by_registry.returncode)


@dataclass(frozen=True, slots=True)
class OnDamage:
    """What a collector does to a damaged store; `deleted` are blobs of images, not the orphan."""

    run: Run
    changed: bool
    orphan_stays: bool
    deleted: int
    images: int

    @property
    def cell(self) -> str:
        """Say it in a few words."""
        if not self.changed:
            return "ok" if self.run.code == 0 else f"**stops** ({self.run.code})"
        told = "collects" if self.run.code == 0 else f"collects ({self.run.code})"
        if self.deleted:
            told += f", **deletes {self.deleted} of {self.images} blobs of images**"
        return f"{told}, leaves garbage" if self.orphan_stays else told


def on_damage(kind: Store, name: str, folder: Path) -> OnDamage:
    """Build a store below `folder`, collect it, and look."""
    root = folder / "store"
    root.mkdir(parents=True)
    orphan = kind.build(root)
    store = StoreBuilder(root)
    config = write_configuration(folder / "config.yml", root)
    before, blobs = store.files(), _blobs(store)
    done = run_collector(name, config)
    gone = blobs - _blobs(store)
    return OnDamage(
        done,
        changed=store.files() != before,
        orphan_stays=bool(orphan) and orphan.partition(":")[2] in _blobs(store),
        deleted=len(gone - {orphan.partition(":")[2]}),
        images=len(blobs) - bool(orphan),
    )


def _blobs(store: StoreBuilder) -> set[str]:
    return {path.parent.name for path in (store.v2 / "blobs").rglob("data")}


@dataclass(frozen=True, slots=True)
class AfterDeletions:
    """Counts of a store by column, and what each collector lost of what must pull."""

    columns: Mapping[str, Mapping[str, str]]
    lost: Mapping[str, tuple[str, ...]]
    second_run_changes: bool


def after_deletions(folder: Path) -> AfterDeletions:
    """Push, delete, collect copies of the store with each collector, and count."""
    columns: dict[str, dict[str, str]] = {}
    lost: dict[str, tuple[str, ...]] = {}
    with RegistryProcess(folder / "registry") as registry:
        client = registry.client()
        past = remains.push(client)
        columns["pushed"] = remains.counts(registry.v2, client, past)
        remains.delete(client)
        columns["deleted"] = remains.counts(registry.v2, client, past)
        registry.stop()
    remains.age(registry.root, days=8)
    again = False
    for name in COLLECTORS:
        copy = RegistryProcess(folder / name, started=False)
        with copy:
            copy_store(registry.root, copy.root)
            assert run_collector(name, copy.config_path).code == 0
            if name == "ours":
                before = StoreBuilder(copy.root).files()
                run_collector(name, copy.config_path)
                again = StoreBuilder(copy.root).files() != before
            copy.start()
            client = copy.client()
            columns[name] = remains.counts(copy.v2, client, past)
            lost[name] = tuple(
                f"{repository}:{reference}"
                for repository, reference in past.wanted
                if client.pull(repository, reference).missing
            )
    return AfterDeletions(columns, lost, again)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that the page tells; damage by the store's name and the collector's."""

    deletions: AfterDeletions
    damage: Mapping[str, Mapping[str, OnDamage]]


def compare(folder: Path) -> Comparison:
    """Run all collectors over all stores, below `folder`."""
    damage: dict[str, dict[str, OnDamage]] = {}
    for number, kind in enumerate(STORES):
        damage[kind.name] = {
            name: on_damage(kind, name, folder / f"{number}-{name}") for name in COLLECTORS
        }
    return Comparison(after_deletions(folder / "deletions"), damage)


def page(found: Comparison) -> str:
    """Return docs/comparison.md."""
    columns = found.deletions.columns
    rows = [[what, *(column[what] for column in columns.values())] for what in columns["pushed"]]
    head = ["", "pushed", "deleted", "3.1.1 `-m`", "2.8 `-m`", "ours"]
    damages = [
        [name, *(each.cell for each in row.values()), _words(row["ours"].run.says)]
        for name, row in found.damage.items()
    ]
    return _TEMPLATE.format(
        remains=_table([head, *rows]),
        damages=_table([["store", "3.1.1 `-m`", "2.8 `-m`", "ours", "ours says"], *damages]),
    )


def _words(says: tuple[str, ...]) -> str:
    return "; ".join(map(_shortened, says)) or "nothing"


def _shortened(text: str) -> str:
    return re.sub(r"(sha(256|512):[0-9a-f]{6})[0-9a-f]+", r"\1…", text)


def _table(rows: list[list[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"|{' --- |' * len(rows[0])}", *body])


_TEMPLATE = """\
# Beside the registry's own collection

What `registry garbage-collect -m` and `registry-gc collect` leave of the same stores. Both really
ran on copies of one store; registry 3.1.1 is built from its Go module, 2.8 is Debian's package
`docker-registry`. This page is made by

    $(make venv-path)/bin/python tests/registry/write_comparison.py

and `tests/registry/test_remains.py` fails when it is not what it measures.

## What still remains

Five repositories with 20 images, an index of two more, a tag that was moved, an untagged signature
of a tagged image and two uploads that nobody finished. Then all images of two repositories and one
image of each other are deleted through the API, and the store is eight days old. Ours ran with its
default periods and `--offline`, since no registry served the copies.

Ours keeps more than 3.1.1 where something still needs it: the signature, which is one revision and
three blobs.

{remains}

The folders `blobs/sha256/<two digits>` and `_uploads` are left on purpose: a push should not meet
one that vanishes while it writes into it. A repository's `_uploads` goes with the repository.

## Empty and damaged stores

Each damaged store holds a sound image, an image that the damage concerns, and a blob that nothing
names: a collection that works removes that one and no other. "Stops" means that nothing was deleted
anywhere; the number is the exit code where it is not 0. Ours has 1 for "done, with problems".

{damages}

Where the folder `tags` is not there, nobody can know that there were tags: such a repository looks
like one that was only ever pushed to by digest, and its images count as untagged for both. Give
`--keep-untagged` where that matters.

## Every difference has a name

On 200 generated histories, a third with images that are named by sha512 and a fourth with damage
(`tests/registry/test_differential.py`), the two collections differ in nothing but this.

Kept by ours, deleted by the registry's:

- referrers of a living subject, and what they name
- what a living image names by sha512
- what stands in a repository with damage, or is named there
- layers that came after the start of an upload of their repository, which may need them

Deleted by ours, left by the registry's:

- layer links that no manifest of the repository needs
- stale entries of a tag's index
- a referrers' tag whose subject goes, and what only that led to
- manifests that are untagged here and live in another repository
- links whose manifest is gone
- stale uploads, empty folders and repositories
- whatever the registry's did not come to, because it stopped

## The OCI conformance suite

688 test cases against a registry 3.1.1 with its cache in memory: 577 pass, 93 fail and 18 are
skipped, each the same before and after a collection (`tests/registry/test_conformance.py`).
"""
