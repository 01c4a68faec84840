"""The three orders that lose an image with the cache in memory (docs/develop/design.md).

Each has a control, which runs our own phases with the restart left out or moved, against a registry
that remembers; and a test that the same story ends well in the real order.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from registry.conftest import StartRegistry
from registry_gc.collect import Collection
from registry_gc.options import CollectOptions
from registry_gc.storage import FileStore
from support.client import Client, Manifest, Refused, image
from support.collecting import NoMemory
from support.collector import QUICK, collect, collect_well, collecting
from support.registry_process import RegistryProcess


def collect_in_another_order(
    registry: RegistryProcess, *, restart_at: str = "", then: Callable[[], object] = lambda: None
) -> None:
    """Run the phases without the restart after the burial, but with one at `restart_at`."""

    def enter(phase: str) -> None:
        if phase == restart_at:
            registry.restart()
            then()

    options = CollectOptions(grace_period=timedelta(), settle_period=timedelta(seconds=0.2))
    Collection(FileStore(str(registry.root)), options, NoMemory(), enter=enter).run()


def pulls_after_a_restart(registry: RegistryProcess, repository: str, reference: str) -> bool:
    registry.restart()
    return not registry.client().pull(repository, reference).missing


def manifest_without_a_link(client: Client) -> Manifest:
    """Return a deleted manifest whose blob still lies there and whose layers are all living."""
    client.push("app", image("same"), "keep")
    other = image("same", note="other")
    client.push("app", other, "other")
    client.delete_manifest("app", other.digest)
    return other


def image_that_was_promoted(client: Client) -> Manifest:
    """Return an image that lives in another repository, and was deleted from where it came."""
    moved = image("promoted")
    client.push("staging", moved, "v1")
    client.push("production", moved, "v1", mount_from="staging")
    client.delete_manifest("staging", moved.digest)
    return moved


def test_control_a_restart_only_when_links_were_unlinked(start_registry: StartRegistry) -> None:
    """No link goes here, only a manifest's blob: without a restart its next push is lost."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    other = manifest_without_a_link(client)

    collect_in_another_order(registry)
    client.push("app", other, "other")

    assert not pulls_after_a_restart(registry, "app", "other")


def test_the_registry_restarts_although_no_link_was_unlinked(start_registry: StartRegistry) -> None:
    """Rule 1, the story of the control above. Seen to fail: forget only if a link was taken."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    other = manifest_without_a_link(client)

    done = collect_well(registry)
    client.push("app", other, "other")

    assert (done.deleted("links"), done.deleted("blobs")) == (0, 1)
    assert registry.starts == 2
    assert pulls_after_a_restart(registry, "app", "other")


def test_control_a_restart_only_when_blobs_are_deleted(start_registry: StartRegistry) -> None:
    """No blob goes here, only links: without a restart the next push writes none of them."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    moved = image_that_was_promoted(client)

    collect_in_another_order(registry)
    client.push("staging", moved, "v1")

    assert client.pull("staging", "v1").missing == (), "the process still remembers"
    assert not pulls_after_a_restart(registry, "staging", "v1")


def test_the_registry_restarts_although_no_blob_was_deleted(start_registry: StartRegistry) -> None:
    """Rule 1, the story of the control above. Seen to fail: forget only if a blob was taken."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    moved = image_that_was_promoted(client)

    done = collect_well(registry)
    client.push("staging", moved, "v1")

    assert done.deleted("links") == len(moved.blobs)
    assert done.deleted("blobs") == 0
    assert registry.starts == 2
    assert pulls_after_a_restart(registry, "staging", "v1")


def put_that_fails_at_its_link(registry: RegistryProcess, manifest: Manifest) -> None:
    """Put a manifest whose revision link cannot be written, as on a full disk: it answers 500.

    The registry has then looked for the blob, found it, and remembers it. A folder in the way of
    the link stands for the full disk: it fails at the same place, for root too.
    """
    encoded = manifest.digest.partition(":")[2]
    link = registry.v2 / "repositories/app/_manifests/revisions/sha256" / encoded / "link"
    (link / "in the way").mkdir(parents=True)
    try:
        with pytest.raises(Refused) as caught:
            registry.client().put_manifest("app", manifest, manifest.digest)
        assert caught.value.status == 500
    finally:
        (link / "in the way").rmdir()
        link.rmdir()


def test_control_a_restart_before_the_deletion(start_registry: StartRegistry) -> None:
    """Between restart and burial a failed push brings the blob back into the memory."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    other = manifest_without_a_link(client)

    collect_in_another_order(
        registry, restart_at="bury", then=lambda: put_that_fails_at_its_link(registry, other)
    )
    client.push("app", other, "other")

    assert not pulls_after_a_restart(registry, "app", "other")


def test_the_same_failed_push_does_no_harm_in_the_real_order(
    start_registry: StartRegistry,
) -> None:
    """Rule 1, with the story of the control above."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    other = manifest_without_a_link(client)

    with collecting(registry) as run:
        run.wait_for("settle")
        put_that_fails_at_its_link(registry, other)
        done = run.end()
    assert done.code == 0, done
    client.push("app", other, "other")

    assert registry.starts == 2
    assert pulls_after_a_restart(registry, "app", "other")


def test_a_registry_that_restarted_before_the_burial_is_restarted_after_it(
    start_registry: StartRegistry,
) -> None:
    """Rule 1: what counts is a start after the burial, not one since the collection began.

    A crash or a rollout while links settle leaves a new process, which has looked at the blobs that
    are buried next. Seen to fail: restart only those that ran when the run began.
    """
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    other = manifest_without_a_link(client)

    with collecting(registry) as run:
        run.wait_for("settle")
        registry.kill()
        registry.wait_until_it_answers()
        put_that_fails_at_its_link(registry, other)
        done = run.end()
    assert done.code == 0, done
    client.push("app", other, "other")

    assert registry.starts == 3
    assert pulls_after_a_restart(registry, "app", "other")


def test_a_push_that_looked_before_the_unlinking_is_healed(start_registry: StartRegistry) -> None:
    """Race W1: a client was told "exists" by HEAD, then the link goes, then its manifest comes.

    With the cache in memory the manifest is accepted from memory, so its links and blobs must come
    back. Rule 1; seen to fail: let `Healing.look` put nothing back.
    """
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    old = image("old")
    client.push("app", image("keep"), "keep")
    client.push("app", old, "old")
    client.delete_manifest("app", old.digest)

    with collecting(registry, *QUICK) as run:
        run.wait_for("settle")
        client.push("app", old, "again", assume_existing=True)
        done = run.end()

    assert done.code == 0, done
    assert client.pull("app", "again").missing == ()
    assert pulls_after_a_restart(registry, "app", "again")


def test_a_push_between_burial_and_restart_is_healed(start_registry: StartRegistry) -> None:
    """The registry's memory acknowledges an image whose blobs are buried already. Rule 1.

    Seen to fail: let `Healing.look` put nothing back.
    """
    registry = start_registry(cache="inmemory", supervised=True, drain_timeout="2s")
    client = registry.client()
    old = image("old")
    client.push("app", image("keep"), "keep")
    client.push("app", old, "old")
    client.delete_manifest("app", old.digest)
    acknowledged = False

    with collecting(registry, *QUICK) as run:
        run.wait_for("bury")
        try:
            client.push("app", old, "again", assume_existing=True)
            acknowledged = True
        except Refused:
            pass  # it met the restart: a clean refusal
        done = run.end()
    assert done.code == 0, done

    if acknowledged:
        assert client.pull("app", "again").missing == ()
        assert pulls_after_a_restart(registry, "app", "again")


def test_nothing_was_removed_again_by_the_next_collection(start_registry: StartRegistry) -> None:
    """What was healed stays: the next run with the same periods finds it needed."""
    registry = start_registry(cache="inmemory", supervised=True)
    client = registry.client()
    old = image("old")
    client.push("app", old, "old")
    client.push("app", image("keep"), "keep")
    client.delete_manifest("app", old.digest)
    with collecting(registry, *QUICK) as run:
        run.wait_for("settle")
        client.push("app", old, "again", assume_existing=True)
        run.end()

    collect_well(registry)

    assert pulls_after_a_restart(registry, "app", "again")


@pytest.mark.parametrize(("version", "code"), [("2.8", 3), ("3.0", 3), ("3.1.1", 0)])
def test_a_registry_that_writes_in_place_is_not_restarted_without_a_drain(
    start_registry: StartRegistry, version: str, code: int
) -> None:
    """Attack 1: SIGTERM in the middle of such a write leaves an empty link (v2.8, v3.0).

    Seen to fail: let `Memory.check` not ask for the version.
    """
    registry = start_registry(cache="inmemory", supervised=True, version=version, drain_timeout="")
    client = registry.client()
    manifest_without_a_link(client)

    done = collect(registry, *QUICK)

    assert done.code == code, done
    assert ("http.draintimeout" in done.report["error"]) if code else registry.starts == 2, done
