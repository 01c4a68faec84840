"""Contents of a store that registries of today no longer write, or only at a bad moment.

What they do write is tested on real ones (tests/registry/test_contents.py, test_contents_kinds.py).
"""

from pathlib import Path

import pytest

from support.collecting import collect, plan
from support.store import CONFIG, IMAGE, LAYER, StoreBuilder, digest

LEFTOVER = "0a1b2c3d-0000-4000-8000-0123456789ab.tmp"


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path)


class TestSignaturesOfSchema1:
    """Registries up to 2.3 kept them as blobs, linked only from below the manifest's revision."""

    def push(self, store: StoreBuilder, tag: str = "") -> tuple[str, list[Path]]:
        """Return the manifest, and all that its signatures are made of."""
        layer = store.layer("old", f"layer of {tag}")
        image = store.manifest(
            "old", {"schemaVersion": 1, "tag": tag, "fsLayers": [{"blobSum": layer}]}, tag
        )
        paths = []
        for content in (b"one signature of " + tag.encode(), b"another of " + tag.encode()):
            signature = store.blob(content)
            link = store.revision_link("old", image).parent / "signatures"
            link = link / signature.replace(":", "/") / "link"
            store.write(link, signature)
            paths += [link, store.blob_path(signature)]
        return image, paths

    def test_they_stay_with_their_manifest(self, store: StoreBuilder) -> None:
        """Nothing else names them. Seen to fail: leave `_signatures` out of the survey."""
        image, paths = self.push(store, "v1")
        store.blob(b"orphan")
        store.age()

        outcome = collect(store.root)

        assert outcome.blobs == 1
        assert outcome.problems == []
        assert all(path.exists() for path in paths)
        assert store.blob_path(image).exists()

    def test_those_of_a_manifest_that_goes_are_kept_too(self, store: StoreBuilder) -> None:
        """What its folder holds is not ours to judge; `check` names it then.

        Seen to fail: protect only those of live manifests.
        """
        self.push(store, "v1")
        _, paths = self.push(store)
        store.age()

        first, second = collect(store.root), collect(store.root)

        assert first.blobs == 2, "the manifest and its layer"
        assert all(path.exists() for path in paths)
        assert (second.blobs, second.links) == (0, 0)

    def test_the_plan_is_what_the_run_does(self, store: StoreBuilder) -> None:
        """Rule 5, for blobs that only such a link names."""
        self.push(store, "v1")
        self.push(store)
        store.age()

        planned = plan(store.root)

        assert len(planned.blobs) == collect(store.root).blobs


class TestNamedBySha512:
    def test_a_manifest_that_is_named_by_sha512_is_followed(self, store: StoreBuilder) -> None:
        """Its revision link holds the sha256 digest of its blob, as layer links do.

        Seen to fail: let `_Walk._stored_as` return the digest itself.
        """
        content = store.image("app", layers=["layer"])
        name = digest(store.blob_path(content).read_bytes(), "sha512")
        store.revision_link("app", content).unlink()
        store.write(store.revision_link("app", name), content)
        store.tag("app", "v1", name)
        store.age()

        outcome = collect(store.root)

        assert (outcome.blobs, outcome.problems) == (0, [])
        assert store.blob_path(content).exists()
        assert store.blob_path(digest(b"layer")).exists()

    def test_a_referrer_that_is_named_by_sha512_lives_with_its_subject(
        self, store: StoreBuilder
    ) -> None:
        """Seen to fail: let `follow_referrers` ask for the digest itself."""
        subject = store.image("app", "v1")
        content = store.image("app", layers=["signature"], subject=subject)
        name = digest(store.blob_path(content).read_bytes(), "sha512")
        store.revision_link("app", content).unlink()
        store.revision_link("app", content).parent.rmdir()
        store.write(store.revision_link("app", name), content)
        store.age()

        outcome = collect(store.root)

        assert (outcome.blobs, outcome.problems) == (0, [])
        assert store.revision_link("app", name).exists()

    def test_blobs_that_are_stored_by_sha512_are_collected_too(self, store: StoreBuilder) -> None:
        kept, gone = (digest(each, "sha512") for each in (b"kept", b"gone"))
        for name in (kept, gone):
            store.write(store.blob_path(name), b"content")
            store.write(store.layer_link("app", name), name)
        document = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": {"mediaType": CONFIG, "digest": kept, "size": 7},
            "layers": [{"mediaType": LAYER, "digest": kept, "size": 7}],
        }
        store.manifest("app", document, "v1")
        store.age()

        collect(store.root)

        assert store.blob_path(kept).exists()
        assert not store.blob_path(gone).exists()


@pytest.mark.parametrize("place", ["link", "revision", "current", "blob"])
def test_what_a_cut_write_left_goes_with_the_thing_itself(store: StoreBuilder, place: str) -> None:
    """Registry 3.1 writes beside and renames. It stays beside what is live, and when it is young.

    Seen to fail: let `remove_vacant` keep every file.
    """
    store.image("app", "v1", layers=["live"])
    dead = store.image("app", layers=["dead"])
    store.tag("app", "moved", dead)
    folder = {
        "link": store.layer_link("app", digest(b"dead")).parent,
        "revision": store.revision_link("app", dead).parent,
        "current": store.tag_folder("app", "moved") / "current",
        "blob": store.blob_path(digest(b"dead")).parent,
    }[place]
    store.delete_tag("app", "moved")
    leftover = folder / f"{'data' if place == 'blob' else 'link'}.{LEFTOVER}"
    store.write(leftover, "cut")
    beside = store.layer_link("app", digest(b"live")).with_name(f"link.{LEFTOVER}")
    store.write(beside, "cut")
    store.age()

    for _ in range(2):  # the first takes the thing, the next finds its folder without one
        collect(store.root)
        store.age()

    assert not leftover.exists()
    assert not folder.exists()
    assert beside.exists()


def test_a_foreign_layer_needs_no_blob(store: StoreBuilder) -> None:
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": digest(b"on another server"),
        "size": 17,
        "urls": ["https://example.com/layer"],
    }
    image = store.manifest("app", {"schemaVersion": 2, "mediaType": IMAGE, "layers": [layer]}, "v1")
    waste = store.blob(b"waste")
    store.age()

    outcome = collect(store.root)

    assert outcome.problems == []
    assert store.blob_path(image).exists()
    assert not store.blob_path(waste).exists()


def test_an_artifact_manifest_is_followed(store: StoreBuilder) -> None:
    """OCI's artifact manifest, which was never released, names its parts in `blobs`."""
    subject = store.image("app", "v1")
    part = store.layer("app", "part")
    artifact = store.manifest(
        "app",
        {
            "mediaType": "application/vnd.oci.artifact.manifest.v1+json",
            "blobs": [{"mediaType": "text/plain", "digest": part, "size": 4}],
            "subject": {"mediaType": IMAGE, "digest": subject, "size": 1},
        },
    )
    store.age()

    outcome = collect(store.root)

    assert outcome.blobs == 0
    assert store.revision_link("app", artifact).exists()
    assert store.blob_path(part).exists()
