"""Every content of a store, on each version of the registry: what is live stays, the dead goes.

Each kind is pushed twice: once to be kept, once under a tag that moves on. What no registry can be
made to write stands in unit/test_contents.py.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.conftest import StartRegistry
from support.checkout import SCRIPTS
from support.client import (
    OCI_INDEX,
    OCI_MANIFEST,
    Client,
    Manifest,
    digest_of,
    fallback_tag,
    image,
    index,
    layer,
    referrer,
)
from support.collector import QUICK, collect_well, left_behind
from support.registry_process import RegistryProcess
from support.schema1 import schema1
from support.waiting import until

VERSIONS = pytest.mark.parametrize("version", ["3.1.1", "3.0", "2.8"])


def with_foreign_layer(seed: str) -> Manifest:
    """Return an image one of whose layers lies on another server, as Windows images have."""
    made = image(seed)
    document = json.loads(made.content)
    document["layers"].insert(
        0,
        {
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "digest": digest_of(f"foreign {seed}".encode()),
            "size": 15,
            "urls": ["https://example.com/layer"],
        },
    )
    return Manifest(json.dumps(document).encode(), OCI_MANIFEST, made.blobs)


def signed(client: Client, repository: str, seed: str, tag: str) -> list[str]:
    """Push an image with all that cosign and an SBOM tool attach; return all references."""
    subject = image(seed)
    client.push(repository, subject, tag)
    sbom = referrer(subject, f"sbom of {seed}")
    client.push_referrer(repository, sbom, subject.digest)
    tags = [f"{fallback_tag(subject.digest)}.{ending}" for ending in ("sig", "att", "sbom")]
    for each in tags:
        client.push(repository, image(f"{each} of {seed}", layers=1), each)
    return [tag, sbom.digest, fallback_tag(subject.digest), *tags]


def pushed(make: Callable[[str], Manifest]) -> Callable[[Client, str, str], list[str]]:
    def push(client: Client, seed: str, tag: str) -> list[str]:
        client.push("app", make(seed), tag)
        return [tag]

    return push


def mounted(client: Client, seed: str, tag: str) -> list[str]:
    """Push to another repository first, then take its layers over and delete it there."""
    made = image(seed)
    client.push("elsewhere", made, tag)
    client.push("app", made, tag, mount_from="elsewhere")
    client.delete_manifest("elsewhere", made.digest)
    return [tag]


CONTENTS = {
    "an image": pushed(image),
    "Docker's schema 2": pushed(lambda seed: image(seed, docker=True)),
    "Docker's list": pushed(
        lambda seed: index([image(f"{seed} {cpu}", docker=True) for cpu in "ab"], docker=True)
    ),
    "an index": pushed(lambda seed: index([image(f"{seed} {cpu}") for cpu in "ab"])),
    "an index in an index": pushed(
        lambda seed: index([index([image(f"{seed} 1"), image(f"{seed} 2")]), image(f"{seed} 3")])
    ),
    "an index with an artifact about it": lambda client, seed, tag: signed(
        client, "app", f"index {seed}", tag
    ),
    "what is signed": lambda client, seed, tag: signed(client, "app", seed, tag),
    "a foreign layer": pushed(with_foreign_layer),
    "mounted layers": mounted,
    "an empty layer": pushed(lambda seed: image(seed, layers=[b""])),
    "the same layer twice": pushed(lambda seed: image(seed, layers=[layer(seed)] * 2)),
}


def start(start_registry: StartRegistry, version: str) -> RegistryProcess:
    """Start a registry that takes foreign layers too."""
    registry = start_registry(version=version, started=False)
    text = registry.config_path.read_text()
    urls = "validation: {manifests: {urls: {allow: ['^https://example.com/']}}}\n"
    registry.config_path.write_text(text + urls)
    registry.start()
    return registry


def missing(client: Client, repository: str, references: list[str]) -> list[str]:
    """Return what does not pull; a foreign layer is not the registry's to give."""
    lost = [lost for each in references for lost in client.pull(repository, each).missing]
    return [each for each in lost if digest_of(b"foreign keep") not in each]


def checked(registry: RegistryProcess) -> dict[str, list[dict[str, object]]]:
    """Return what `check --read-data` tells of a registry's store."""
    program = (
        "import json, sys; from registry_gc.checking.check import Check; "
        "from registry_gc.checking.report import as_mapping; "
        "from registry_gc.storage import FileStore; "
        "check = Check(FileStore(sys.argv[1]), read_data=True); "
        "print(json.dumps(as_mapping('', check.run(), 0)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, registry.root],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return found


@VERSIONS
@pytest.mark.parametrize("content", CONTENTS)
def test_rule_2_and_12_each_content_stays_while_it_is_live_and_then_goes(
    start_registry: StartRegistry, version: str, content: str
) -> None:
    """Seen to fail: let `manifests` see no `manifests`, or no `subject`."""
    registry = start(start_registry, version)
    client = registry.client()
    push = CONTENTS[content]
    live = push(client, "keep", "keep")
    push(client, "gone", "gone")
    gone = client.pull("app", "gone").digest
    # Not through the API: a subject that is simply not there protects what is about it.
    client.push("app", image("moved on"), "gone")

    collect_well(registry, *QUICK, "--max-delete-ratio", "1")

    registry.restart()
    client = registry.client()
    assert missing(client, "app", live) == []
    assert missing(client, "app", ["gone"]) == []
    assert left_behind(registry.v2, gone) == []
    assert checked(registry)["problems"] == []
    again = collect_well(registry, *QUICK, "--max-delete-ratio", "1")
    assert (again.deleted("blobs"), again.deleted("links")) == (0, 0)
    assert missing(client, "app", live) == []


@VERSIONS
def test_rule_2_repositories_in_repositories(start_registry: StartRegistry, version: str) -> None:
    """Each has the same image; deleted in one, it lives in the others."""
    registry = start(start_registry, version)
    client = registry.client()
    names = ["a", "a/b", "a/b/c/d/e/f/g/h/i/j"]
    for name in names:
        client.push(name, image("shared"), "v1")
    client.delete_manifest("a/b", image("shared").digest)

    collect_well(registry)

    assert client.repositories() == ["a", "a/b/c/d/e/f/g/h/i/j"]
    for name in ("a", "a/b/c/d/e/f/g/h/i/j"):
        assert client.pull(name, "v1").missing == ()
    assert checked(registry)["problems"] == []


@VERSIONS
def test_rule_2_a_sparse_index_stays(start_registry: StartRegistry, version: str) -> None:
    """One of its children was deleted: the others are pulled by who needs them."""
    registry = start(start_registry, version)
    client = registry.client()
    kept, gone = image("kept"), image("gone")
    client.push("app", index([kept, gone]), "v1")
    client.delete_manifest("app", gone.digest)

    collect_well(registry)

    assert client.pull("app", kept.digest).missing == ()
    found = checked(registry)
    assert found["problems"] == []
    assert "sparse index" in {each["kind"] for each in found["normal"]}


@VERSIONS
def test_rule_12_a_stale_upload_goes_with_its_hash_states(
    start_registry: StartRegistry, version: str
) -> None:
    registry = start(start_registry, version)
    client = registry.client()
    client.push("app", image("keep"), "keep")
    location = client.start_upload("app")
    client.request("PATCH", location, body=b"part", headers={"Content-Type": "a/b"})
    (upload,) = (registry.v2 / "repositories/app/_uploads").iterdir()
    assert list(upload.rglob("hashstates/*/*")), "the registry keeps the hash of what it has"
    for path in (*upload.rglob("*"), upload):
        os.utime(path, (path.stat().st_mtime - 8 * 86400,) * 2)

    assert checked(registry)["problems"] == []
    done = collect_well(registry)

    assert done.deleted("uploads") == 1
    assert not upload.exists()


@VERSIONS
def test_a_store_that_is_pushed_to_is_no_damage(
    start_registry: StartRegistry, version: str
) -> None:
    """`check` beside a client that has begun: an upload, and layers without a manifest."""
    registry = start(start_registry, version)
    client = registry.client()
    begun = image("begun")
    location = client.start_upload("app")
    client.request("PATCH", location, body=b"part", headers={"Content-Type": "a/b"})
    client.upload("app", begun.blobs[0])
    client.upload("app", begun.blobs[1])

    assert checked(registry)["problems"] == []


@pytest.mark.parametrize("version", ["3.0", "2.8"])
def test_rule_2_what_is_named_by_sha512_stays_on_older_registries(
    start_registry: StartRegistry, version: str
) -> None:
    from registry.test_contents import push_by_sha512

    registry = start(start_registry, version)
    client = registry.client()
    push_by_sha512(client, "app", "v1")
    client.push("app", image("gone"))

    collect_well(registry)

    registry.restart()
    assert registry.client().pull("app", "v1").missing == ()
    assert checked(registry)["problems"] == []


class TestPullThroughCache:
    """Rule 14. It holds what was asked for: whole images, and of an index only one child."""

    def start(self, start_registry: StartRegistry, version: str) -> tuple[RegistryProcess, ...]:
        upstream = start_registry(version=version)
        cache = start_registry(version=version, started=False)
        text = cache.config_path.read_text()
        cache.config_path.write_text(f"{text}proxy: {{remoteurl: {upstream.url}}}\n")
        cache.start()
        return upstream, cache

    @pytest.mark.parametrize("version", ["3.1.1", "2.8"])
    def test_what_it_holds_stays_and_its_schedule_is_untouched(
        self, start_registry: StartRegistry, version: str
    ) -> None:
        upstream, cache = self.start(start_registry, version)
        pushing = upstream.client()
        one, other = image("one"), image("other")
        pushing.push("library/app", index([one, other]), "multi")
        pushing.push("library/app", image("single"), "single")
        client = cache.client()
        accept = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}"}
        assert (
            client.request("GET", "/v2/library/app/manifests/multi", headers=accept).status == 200
        )
        assert client.pull("library/app", one.digest).missing == ()
        assert client.pull("library/app", "single").missing == ()
        schedule = cache.root / "scheduler-state.json"
        until(schedule.exists, what="the cache has written its schedule", timeout=30)
        cache.stop()
        before = (schedule.read_bytes(), schedule.stat().st_mtime_ns)

        done = collect_well(cache)

        assert (schedule.read_bytes(), schedule.stat().st_mtime_ns) == before
        assert done.deleted("blobs") == 0
        found = checked(cache)
        assert found["problems"] == []
        assert found["pullThroughCache"]
        cache.start()
        upstream.stop()
        client = cache.client()
        assert client.pull("library/app", "single").missing == ()
        assert client.pull("library/app", one.digest).missing == ()

    def test_what_was_expired_goes_and_the_rest_is_fetched_again(
        self, start_registry: StartRegistry
    ) -> None:
        """An entry whose time has come loses its links; its blobs are for a collection."""
        upstream, cache = self.start(start_registry, "3.1.1")
        upstream.client().push("library/app", image("single"), "single")
        client = cache.client()
        assert client.pull("library/app", "single").missing == ()
        cache.stop()
        manifest = image("single").digest.replace(":", "/")
        revisions = cache.v2 / "repositories/library/app/_manifests/revisions"
        (revisions / manifest / "link").unlink()
        shutil.rmtree(cache.v2 / "repositories/library/app/_layers")

        collect_well(cache)

        assert checked(cache)["problems"] == []
        cache.start()
        assert cache.client().pull("library/app", "single").missing == ()


def test_rule_2_schema_1_stays_and_goes(start_registry: StartRegistry, tmp_path: Path) -> None:
    """Docker's first kind, which registry 2.8 still takes if it is told to.

    Seen to fail: let `manifests` see no `blobSum`.
    """
    registry = start_registry(version="2.8", started=False)
    text = registry.config_path.read_text()
    registry.config_path.write_text(f"{text}compatibility: {{schema1: {{enabled: true}}}}\n")
    registry.start()
    client = registry.client()
    layers = {tag: [layer(tag), layer("shared by both")] for tag in ("keep", "gone")}
    names = {}
    for tag in layers:
        manifest, names[tag] = schema1(tmp_path, "old", tag, layers[tag])
        client.push("old", manifest, tag)
    client.delete_manifest("old", names["gone"])

    done = collect_well(registry)

    assert done.deleted("blobs") == 2, "the manifest and its own layer"
    assert left_behind(registry.v2, names["gone"]) == []
    registry.restart()
    client = registry.client()
    answer = client.request(
        "GET", "/v2/old/manifests/keep", headers={"Accept": "application/vnd.docker.*"}
    )
    assert (answer.status, json.loads(answer.body)["schemaVersion"]) == (200, 1)
    assert all(client.has_blob("old", digest_of(each)) for each in layers["keep"])
    assert checked(registry)["problems"] == []
