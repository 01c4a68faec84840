"""Contents that collections have destroyed: sha512, untagged referrers, children; quarantine."""

import hashlib
import json

from registry.conftest import StartRegistry
from support.client import OCI_MANIFEST, Client, Manifest, image, index, layer, referrer
from support.collector import QUICK, collect_well, left_behind, say
from support.registry_process import RegistryProcess


def push_by_sha512(client: Client, repository: str, tag: str) -> Manifest:
    """Push an image whose config and layers are named by sha512 in its manifest."""
    blobs = (b'{"architecture": "amd64", "os": "linux"}', layer("sha512"))
    names = []
    for blob in blobs:
        name = f"sha512:{hashlib.sha512(blob).hexdigest()}"
        client.upload(repository, blob, digest=name)
        names.append(name)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "text/plain", "digest": names[0], "size": len(blobs[0])},
        "layers": [{"mediaType": "text/plain", "digest": names[1], "size": len(blobs[1])}],
    }
    manifest = Manifest(json.dumps(document).encode(), OCI_MANIFEST)
    client.put_manifest(repository, manifest, tag)
    return manifest


def keeps_all(registry: RegistryProcess, repository: str, *references: str) -> bool:
    """Collect and say whether everything still pulls, also after a restart."""
    collect_well(registry)
    registry.restart()
    client = registry.client()
    return not [lost for each in references for lost in client.pull(repository, each).missing]


def test_rule_2_an_image_that_is_named_by_sha512_stays(start_registry: StartRegistry) -> None:
    """Its layer links hold a sha256 digest, which is the blob's. The control destroys it."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    push_by_sha512(client, "app", "v1")
    client.push("app", image("gone"))

    assert keeps_all(registry, "app", "v1")

    registry.garbage_collect("-m")
    registry.restart()
    assert registry.client().pull("app", "v1").missing != (), "the control"


def test_rule_12_an_image_that_was_named_by_sha512_goes_whole(
    start_registry: StartRegistry,
) -> None:
    registry = start_registry()
    client = registry.client()
    client.push("app", image("keep"), "keep")
    manifest = push_by_sha512(client, "app", "v1")
    client.delete_manifest("app", manifest.digest)

    done = collect_well(registry)

    assert done.deleted("blobs") == 3
    assert left_behind(registry.v2, manifest.digest) == []
    assert len(list((registry.v2 / "blobs").rglob("data"))) == 4, "only those of the kept image"
    assert not (registry.v2 / "repositories/app/_layers/sha512").exists()


def test_rule_2_an_untagged_referrer_lives_with_its_subject(start_registry: StartRegistry) -> None:
    """A signature or an SBOM of a client that trusts in a referrers API. The control deletes it."""
    registry = start_registry(supervised=True)
    client = registry.client()
    signed = image("signed")
    sbom = referrer(signed, "sbom")
    signature = referrer(sbom, "signature of the sbom")
    client.push("app", signed, "v1")
    client.push("app", sbom)
    client.push("app", signature)

    assert keeps_all(registry, "app", "v1", sbom.digest, signature.digest)

    registry.garbage_collect("-m")
    assert registry.client().pull("app", sbom.digest).missing != (), "the control"


def test_rule_12_a_subject_takes_its_referrers_and_their_tag_with_it(
    start_registry: StartRegistry,
) -> None:
    """The run that removes a subject removes what is about it, the fallback tag too."""
    registry = start_registry()
    client = registry.client()
    signed = image("signed")
    client.push("app", image("keep"), "keep")
    client.push("app", signed, "v1")
    sbom = referrer(signed, "sbom")
    client.push_referrer("app", sbom, signed.digest)
    client.delete_tag("app", "v1")

    collect_well(registry)

    assert left_behind(registry.v2, signed.digest, sbom.digest) == []
    assert client.tags("app") == ["keep"]
    collect_well(registry)


def test_rule_2_children_of_nested_indexes_stay(start_registry: StartRegistry) -> None:
    """Registry 2.8 deletes them with -m; a child may be an index in its turn."""
    registry = start_registry()
    client = registry.client()
    inner = index([image("one"), image("two")])
    outer = index([inner, image("three")])
    client.push("app", outer, "v1")
    client.push("app", image("gone"))

    assert keeps_all(registry, "app", "v1")


def test_quarantine_keeps_what_restore_brings_back(start_registry: StartRegistry) -> None:
    """Seen to fail: empty the quarantine with the next collection, whatever its age."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    client.push("app", image("keep"), "keep")
    gone = image("gone")
    client.push("app", gone, "gone")
    client.delete_tag("app", "gone")
    options = (*QUICK, "--quarantine", "1h")

    done = collect_well(registry, *options)
    assert done.deleted("blobs") == 4
    assert left_behind(registry.v2, gone.digest) == []
    collect_well(registry, *options)
    assert "restored" in say("restore", registry)
    registry.restart()

    assert registry.client().pull("app", gone.digest).missing == ()
    assert registry.client().pull("app", "keep").missing == ()
    again = collect_well(registry)
    assert again.deleted("blobs") == 4
    encoded = gone.digest.partition(":")[2]
    assert not list(registry.root.rglob(f"*{encoded}*")), "the quarantine holds none of it"
