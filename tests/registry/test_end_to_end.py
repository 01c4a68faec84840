"""Push, delete, collect, push again, pull: beside a real registry, which is then restarted.

Each scenario has a control: `registry garbage-collect` in place of ours, without a restart, loses
the image that is pushed again when descriptors are cached in memory. If a control stops losing,
these tests prove nothing any more.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from registry.conftest import StartRegistry
from support.client import Client, Manifest, digest_of, image, layer
from support.collector import collect, collect_well, left_behind
from support.registry_process import RegistryProcess

CACHES = ["none", "inmemory"]


@dataclass(frozen=True)
class Story:
    """What was pushed and deleted: the image to push again, and what must be gone until then."""

    kept: tuple[tuple[str, str, Manifest], ...]
    deleted: Manifest
    repository: str
    gone: tuple[str, ...]  # digests that nothing needs any more
    gone_links: tuple[str, ...] = ()  # digests whose links in `repository` go


def two_images(client: Client) -> Story:
    """Two images that share one layer, one of them deleted."""
    base = layer("base")
    keep = image("keep", layers=[base, layer("keep")])
    gone = image("gone", layers=[base, layer("gone")])
    client.push("app", keep, "keep")
    client.push("app", gone, "gone")
    client.delete_manifest("app", gone.digest)
    needed = {digest_of(blob) for blob in keep.blobs}
    names = [gone.digest, *(digest_of(blob) for blob in gone.blobs)]
    return Story(
        kept=(("app", "keep", keep),),
        deleted=gone,
        repository="app",
        gone=tuple(name for name in names if name not in needed),
    )


def another_manifest(client: Client) -> Story:
    """Two images that differ in their manifest alone: no link goes, one blob does."""
    keep, gone = image("same"), image("same", note="another manifest")
    client.push("app", keep, "keep")
    client.push("app", gone, "gone")
    client.delete_manifest("app", gone.digest)
    return Story(kept=(("app", "keep", keep),), deleted=gone, repository="app", gone=(gone.digest,))


def promoted(client: Client) -> Story:
    """An image mounted into a second repository and deleted in the first: no blob goes."""
    moved = image("promoted")
    client.push("staging", moved, "v1")
    client.push("production", moved, "v1", mount_from="staging")
    client.delete_manifest("staging", moved.digest)
    return Story(
        kept=(("production", "v1", moved),),
        deleted=moved,
        repository="staging",
        gone=(),
        gone_links=(moved.digest, *(digest_of(blob) for blob in moved.blobs)),
    )


Scenario = Callable[[Client], Story]
SCENARIOS: list[Scenario] = [two_images, another_manifest, promoted]


def named(value: object) -> str:
    return getattr(value, "__name__", str(value))


def pull_all(registry: RegistryProcess, story: Story, *, again: bool) -> list[str]:
    """Return what does not pull of the story's living images, with the one pushed again or not."""
    client = registry.client()
    images = [*story.kept, *([(story.repository, "again", story.deleted)] if again else [])]
    return [
        problem for repository, tag, _ in images for problem in client.pull(repository, tag).missing
    ]


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=named)
def test_what_was_deleted_is_gone_and_can_be_pushed_again(
    start_registry: StartRegistry, scenario: Scenario, cache: str
) -> None:
    """Rules 1 and 12. Seen to fail: make `Memory.forget` return 0 at once (in memory)."""
    registry = start_registry(cache=cache, supervised=True)
    client = registry.client()
    story = scenario(client)

    done = collect_well(registry)

    assert registry.starts == 1 + (cache == "inmemory")
    assert done.report["restarted"] == (cache == "inmemory")
    assert left_behind(registry.v2, *story.gone) == []
    links = registry.v2 / "repositories" / story.repository
    assert left_behind(links, *story.gone_links) == []
    assert pull_all(registry, story, again=False) == []

    pushed = client.push(story.repository, story.deleted, "again")

    assert set(story.gone) <= {*pushed.uploaded, story.deleted.digest}
    assert pull_all(registry, story, again=True) == []
    # What only the process remembers falls apart now.
    registry.restart()
    assert pull_all(registry, story, again=True) == []


@pytest.mark.parametrize("scenario", [two_images, another_manifest], ids=named)
def test_control_the_registrys_own_collection_loses_the_image(
    start_registry: StartRegistry, scenario: Scenario
) -> None:
    """The control: were this to pass the pull, the test above would prove nothing."""
    registry = start_registry(cache="inmemory")
    story = scenario(registry.client())

    assert registry.garbage_collect("-m").returncode == 0
    registry.client().push(story.repository, story.deleted, "again")

    assert pull_all(registry, story, again=False) == []
    registry.restart()
    assert pull_all(registry, story, again=True) != []


def test_control_a_promoted_image_is_lost_when_its_links_go_behind_the_registrys_back(
    start_registry: StartRegistry,
) -> None:
    """The registry's own collection leaves those links, so what ours removes is removed by hand."""
    registry = start_registry(cache="inmemory")
    client = registry.client()
    story = promoted(client)
    for link in (registry.v2 / "repositories/staging/_layers").rglob("link"):
        link.unlink()

    pushed = client.push("staging", story.deleted, "again")

    assert pushed.uploaded == (), "the registry has told the client that it has every layer"
    assert pull_all(registry, story, again=True) == [], "as long as the process lives, it pulls"
    registry.restart()
    assert pull_all(registry, story, again=True) != []


def test_without_a_restart_a_cache_in_memory_is_refused(start_registry: StartRegistry) -> None:
    """Rule 1: `--restart never` may not lose what the test above shows to be lost."""
    registry = start_registry(cache="inmemory")
    story = two_images(registry.client())
    before = left_behind(registry.v2, *story.gone)

    done = collect(registry, "--grace-period", "0s", "--settle-period", "1s", "--restart", "never")

    assert done.code == 3
    assert "memory" in str(done.report["error"])
    assert left_behind(registry.v2, *story.gone) == before
    assert registry.starts == 1
