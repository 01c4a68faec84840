"""What people do to a release while it works: upgrade, roll back, uninstall, break it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.client import Client, Manifest, Refused, image
from support.cluster import Release
from support.collector import PHASES
from support.waiting import until

IN_MEMORY = {"configData.storage.cache.blobdescriptor": "inmemory"}
ON_A_CLAIM = {"persistence.enabled": "true", "persistence.size": "1Gi"}
ON_ITS_OWN_CLAIM = {"persistence.enabled": "true", "persistence.existingClaim": "data"}


@contextmanager
def pushing(release: Release) -> Iterator[dict[str, Manifest]]:
    """Push new images one after another meanwhile; yields those that were acknowledged."""
    acknowledged: dict[str, Manifest] = {}
    ended = threading.Event()

    def push() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            manifest = image(f"{release.namespace}/{number}")
            try:
                release.client().push("pushed", manifest, f"v{number}")
            except (Refused, OSError):
                ended.wait(0.2)  # refused is allowed, and tried again as a client would
                continue
            acknowledged[f"v{number}"] = manifest

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield acknowledged
    finally:
        ended.set()
        thread.join(timeout=60)


def assert_all_pull(release: Release, repository: str, images: dict[str, Manifest]) -> None:
    assert images, "nothing was pushed"
    client = release.client()
    lost = {tag for tag, each in images.items() if _lost(client, repository, tag, each)}
    assert not lost, f"{len(lost)} of {len(images)} acknowledged images are lost: {sorted(lost)}"


def _lost(client: Client, repository: str, tag: str, manifest: Manifest) -> bool:
    try:
        pulled = client.pull(repository, tag)
    except Refused:
        return True
    return bool(pulled.missing) or pulled.digest != manifest.digest


def test_an_upgrade_with_changed_values_while_pushes_go_on(release: Release) -> None:
    """Claim, Secret and the Service's address stay, and what was pushed pulls."""
    release.install({**ON_A_CLAIM, **IN_MEMORY})
    release.wait_until_it_answers()

    def identity() -> tuple[str, str, str]:
        get = release.cluster.get
        n = ("-n", release.namespace)
        return (
            get("pvc", release.fullname, *n)["metadata"]["uid"],
            get("secret", f"{release.fullname}-secret", *n)["data"]["haSharedSecret"],
            get("service", release.fullname, *n)["spec"]["clusterIP"],
        )

    before = identity()
    with pushing(release) as pushed:
        until(lambda: len(pushed) > 5, what="some pushes", timeout=60)
        release.install({**ON_A_CLAIM, **IN_MEMORY, "garbageCollect.gracePeriod": "1m",
                         "podAnnotations.changed": "yes"})  # fmt: skip
        count = len(pushed)
        until(lambda: len(pushed) > count + 3, what="pushes after the upgrade", timeout=60)

    assert identity() == before
    assert_all_pull(release, "pushed", pushed)


def test_an_upgrade_to_an_image_that_does_not_exist_stops_before_the_registry(
    release: Release,
) -> None:
    """Seen to fail: set garbageCollect.preflight.enabled=false."""
    release.install({**ON_A_CLAIM})
    release.wait_until_it_answers()
    kept = image("kept")
    release.client().push("app", kept, "kept")
    before = release.pod()["metadata"]["uid"]

    failed = release.cluster.helm(
        "upgrade", release.name, str(release.chart), "-n", release.namespace, "--wait",
        "--timeout", "3m",
        *release.values({**ON_A_CLAIM, "garbageCollect.image.tag": "does-not-exist",
                         "garbageCollect.preflight.timeout": "20s"}),
        check=False,
    )  # fmt: skip

    assert failed.returncode != 0
    assert "preflight" in failed.stderr or "DeadlineExceeded" in failed.stderr, failed.stderr
    assert release.pod()["metadata"]["uid"] == before
    assert_all_pull(release, "app", {"kept": kept})


def in_the_gate(ending: str, phase: str) -> object:
    """Return a case; most belong to `make test-full`, because each takes most of a minute."""
    gate = (ending, phase) in (("rollback", "settle"), ("uninstall", "confirm"))
    return pytest.param(ending, phase, marks=[] if gate else [pytest.mark.full])


@pytest.mark.parametrize(
    ("ending", "phase"),
    [in_the_gate(ending, phase) for ending in ("rollback", "uninstall") for phase in PHASES[1:-1]],
)
def test_nothing_is_lost_when_the_release_goes_in_the_middle_of_a_collection(
    release: Release, phase: str, ending: str
) -> None:
    """The next pod has no collector, so what was taken must be back when this one ends."""
    release.make_claim()
    no_collector = {**ON_ITS_OWN_CLAIM, **IN_MEMORY, "garbageCollect.enabled": "false"}
    collector = {**ON_ITS_OWN_CLAIM, **IN_MEMORY, "garbageCollect.settlePeriod": "15s"}
    release.install(no_collector)
    release.install(collector)
    release.wait_until_it_answers()
    client = release.client()
    images = {f"v{number}": image(number) for number in range(20)}
    for tag, manifest in images.items():
        client.push("app", manifest, tag)
    gone = image("gone")
    client.push("app", gone, "gone")
    client.delete_manifest("app", gone.digest)

    release.start_job()
    release.wait_for_phase(phase)
    if phase in ("settle", "confirm"):
        # Acknowledged on layers whose links are away now: it must live on what is put back.
        twin = image("gone", note="acknowledged in the middle")
        try:
            release.client().push("app", twin, "twin")
            images["twin"] = twin
        except (Refused, OSError):
            pass
    if ending == "rollback":
        release.cluster.helm("rollback", release.name, "1", "-n", release.namespace, "--wait")
    else:
        release.cluster.helm(
            "uninstall", release.name, "-n", release.namespace, "--wait", "--timeout", "3m"
        )
        release.install(no_collector)
    release.wait_until_it_answers()

    assert_all_pull(release, "app", images)  # also while the old pod is not gone yet
    release.wait_for_the_end_of_pods()
    assert not release.taken_files()
    assert_all_pull(release, "app", images)
