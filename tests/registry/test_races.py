"""Pushes at exact points of a collection that then goes on to its end (races W1 to W8; rule 1).

The collector freezes itself at each point, a client does its worst, and the collection goes on.
Whatever was acknowledged pulls at the end and after a restart of the registry.
"""

import contextlib
import signal
from collections.abc import Callable

import pytest

from registry.conftest import StartRegistry
from support.client import Client, Manifest, Refused, digest_of, image, index, layer
from support.collector import Acknowledged, collect_well, collecting
from support.registry_process import RegistryProcess

POINTS = [
    "unlink:0",
    "unlink:2",
    "settle:0",
    "bury:0",
    "bury:1",
    "bury:3",
    "forget:0",
    "confirm:0",
    "remove:0",
    "remove:1",
    "remove:4",
]
QUICKEST = ("--grace-period", "0s", "--settle-period", "400ms", "--restart", "always")

Worst = Callable[[Client, Manifest], Manifest]


def push_it_again(client: Client, gone: Manifest) -> Manifest:
    """Push the same bytes again as docker does: ask, then upload (W3)."""
    client.push("app", gone, "again")
    return gone


def push_what_was_seen_before(client: Client, gone: Manifest) -> Manifest:
    """Put the manifest alone: the client has asked for its blobs long ago (W1)."""
    client.push("app", gone, "again", assume_existing=True)
    return gone


def push_another_with_its_layer(client: Client, gone: Manifest) -> Manifest:
    """Push a new image that has one of the layers (W2, W4)."""
    new = image("new", layers=[gone.blobs[2], layer("new")])
    client.push("app", new, "again", chunks=3)
    return new


def push_an_index_of_it(client: Client, gone: Manifest) -> Manifest:
    """Push it by digest and then an index that names it (W6)."""
    both = index([gone, image("second child")])
    client.push("app", both, "again")
    return both


def promote_it(client: Client, gone: Manifest) -> Manifest:
    """Push it to another repository, mounting from where it was (W1 by mount)."""
    client.push("elsewhere", gone, "again", mount_from="app")
    return gone


WORST: list[Worst] = [
    push_it_again,
    push_what_was_seen_before,
    push_another_with_its_layer,
    push_an_index_of_it,
    promote_it,
]


def store_with_a_deleted_image(registry: RegistryProcess) -> tuple[Acknowledged, Manifest]:
    client, alive = registry.client(), Acknowledged()
    keep = image("keep", layers=[layer("base"), layer("keep")])
    gone = image("gone", layers=[layer("base"), layer("gone 1"), layer("gone 2")])
    alive.add("app", "keep", client.push("app", keep, "keep").digest)
    client.push("app", gone, "gone")
    # The registry's memory holds all of it now, where it has one.
    assert client.pull("app", "gone").missing == ()
    client.delete_manifest("app", gone.digest)
    return alive, gone


def cases() -> list[object]:
    """Return each point with each action; the gate takes one or two of them, in turn."""
    found: list[object] = []
    for number, point in enumerate(POINTS):
        for other, worst in enumerate(WORST):
            for cache in ("inmemory", "none"):
                turn = (number + other) % len(WORST)
                chosen = turn == 0 if cache == "inmemory" else turn == 2 and number % 2 == 0
                marks = () if chosen else (pytest.mark.full,)
                found.append(
                    pytest.param(
                        point, worst, cache, marks=marks, id=f"{point}-{worst.__name__}-{cache}"
                    )
                )
    return found


@pytest.mark.parametrize(("point", "worst", "cache"), cases())
def test_rule_1_a_push_at_any_point_is_refused_or_kept(
    start_registry: StartRegistry, point: str, worst: Worst, cache: str
) -> None:
    """Seen to fail: let `Healing.look` find nothing that is needed."""
    registry = start_registry(cache=cache, supervised=True)
    alive, gone = store_with_a_deleted_image(registry)

    with collecting(registry, *QUICKEST, environment={"STOP_AT": point}) as run:
        run.wait_until_frozen()
        try:
            pushed = worst(registry.client(), gone)
        except Refused as error:
            refusal = error.status
        else:
            repository = "elsewhere" if worst is promote_it else "app"
            alive.add(repository, "again", pushed.digest)
            refusal = 0
        run.send(signal.SIGCONT)
        done = run.end()

    assert refusal < 500, "a clean refusal says what is unknown"
    assert done.code == 0, done
    assert alive.lost(registry) == []
    registry.restart()
    assert alive.lost(registry) == []
    collect_well(registry, *QUICKEST)
    assert alive.lost(registry) == [], "the next collection"


@pytest.mark.parametrize("point", ["unlink:0", "bury:1"])
def test_layers_that_were_uploaded_before_their_manifest_wait_for_it(
    start_registry: StartRegistry, point: str
) -> None:
    """Race W2: fresh layer links without a manifest yet, which comes when the run has ended."""
    registry = start_registry(cache="inmemory", supervised=True)
    alive, gone = store_with_a_deleted_image(registry)
    client = registry.client()
    grace = ("--grace-period", "30s", *QUICKEST[2:])

    with collecting(registry, *QUICKEST, environment={"STOP_AT": point}) as run:
        run.wait_until_frozen()
        for blob in gone.blobs:
            if not client.has_blob("app", digest_of(blob)):
                client.upload("app", blob)
        run.send(signal.SIGCONT)
        assert run.end().code == 0
    # With a grace period of nothing, a link may go as soon as it stands; then the client is told.
    with contextlib.suppress(Refused):
        client.put_manifest("app", gone, "late")
        alive.add("app", "late", gone.digest)
    registry.restart()
    assert alive.lost(registry) == []
    collect_well(registry, *grace)
    assert alive.lost(registry) == []
