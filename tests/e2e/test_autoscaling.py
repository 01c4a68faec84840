"""An autoscaler that follows what the pods really use."""

from collections.abc import Callable

import pytest

from support.client import Client, image
from support.cluster import Release
from support.pushers import pushing
from support.services import pod_metrics
from support.waiting import until

AT_MOST = 180  # seconds of load: metrics are 10 s apart, and the autoscaler looks every 15


@pytest.mark.full  # making metrics-server takes minutes on a machine that has none
def test_replicas_follow_the_load_and_the_collection_still_works(
    release: Release, measured: Callable[[str], None]
) -> None:
    """Seen to fail: with `resources` empty, of which nothing can be a percentage."""
    release.install(
        {
            "persistence.enabled": "true",
            "persistence.size": "1Gi",
            "configData.storage.cache.blobdescriptor": "inmemory",
            "autoscaling.enabled": "true",
            "autoscaling.maxReplicas": "3",
            "autoscaling.targetCPUUtilizationPercentage": "20",
            "autoscaling.targetMemoryUtilizationPercentage": "null",
            "resources.requests.cpu": "50m",
            "updateStrategy.rollingUpdate.maxSurge": "1",
        }
    )
    release.wait_until_it_answers()
    with pod_metrics(release.cluster):
        until(
            lambda: current(release) is not None,
            what="the autoscaler knows what the pods use",
            timeout=120,
            pause=1,
        )
        assert len(release.pods()) == 1
        idle = current(release)

        with pushing(lambda: Client(f"http://{release.address}"), fast=2, slow=0) as pushes:
            until(lambda: ready(release) >= 2, what="more replicas", timeout=AT_MOST, pause=1)
            busy = current(release)
            pushes.wait_for_more(20)

    replicas = ready(release)
    measured(f"autoscaled from 1 to {replicas} at {busy} % of the request, {idle} % before")
    assert not pushes.failed, pushes.kinds()
    client = release.client()
    gone = image("gone")
    for _ in range(6):  # so that each replica has it in its memory
        release.client().push("app", gone, "gone")
    client.delete_manifest("app", gone.digest)

    report = release.collect()

    assert "Deleted 4 blobs" in report, report
    release.wait_until_it_answers()
    release.client().push("app", gone, "again")
    for _ in range(6):
        assert release.client().pull("app", "again").missing == ()


def current(release: Release) -> int | None:
    """Return the percentage of the request that the autoscaler sees, once it sees one."""
    status = release.cluster.get("hpa", release.fullname, "-n", release.namespace)["status"]
    for metric in status.get("currentMetrics") or []:
        value = metric.get("resource", {}).get("current", {}).get("averageUtilization")
        if value is not None:
            return int(value)
    return None


def ready(release: Release) -> int:
    deployment = release.cluster.get("deployment", release.fullname, "-n", release.namespace)
    return int(deployment["status"].get("readyReplicas", 0))
