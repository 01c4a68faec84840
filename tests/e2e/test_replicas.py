"""Two replicas on one volume, each caching in memory: one collects, both forget."""

import re
from typing import Any

from support.client import Manifest, image
from support.cluster import Release
from support.waiting import until

TWO = {
    "replicaCount": "2",
    "persistence.enabled": "true",
    "persistence.size": "1Gi",
    "configData.storage.cache.blobdescriptor": "inmemory",
}


def restarts(release: Release) -> dict[str, int]:
    """Return how often the kubelet has started the registry again, pod by pod."""
    return {
        pod["metadata"]["name"]: next(
            int(status["restartCount"])
            for status in pod["status"]["containerStatuses"]
            if status["name"] == "docker-registry"
        )
        for pod in release.pods()
    }


def pulls_everywhere(release: Release, tag: str, manifest: Manifest) -> bool:
    """Pull through the Service until each replica must have been asked."""
    for _ in range(12):
        client = release.client()  # a new connection, so that another pod may answer
        pulled = client.pull("app", tag)
        if (pulled.digest, pulled.missing) != (manifest.digest, ()):
            return False
    return True


def test_both_forget_one_after_another(release: Release) -> None:
    """Seen to fail: let `Replicas.forget` ask nobody; the push is acknowledged and never written
    where it meets the replica that still remembers.
    """
    release.install(TWO)
    release.wait_until_it_answers()
    gone, kept = image("gone", layers=3), image("kept", layers=3)
    for _ in range(6):  # so that each replica has both in its memory
        release.client().push("app", kept, "kept")
        release.client().push("app", gone, "gone")
    release.client().delete_manifest("app", gone.digest)

    report = release.collect()

    assert "Deleted 5 blobs" in report
    assert sorted(restarts(release).values()) == [1, 1]
    release.wait_until_it_answers()
    release.client().push("app", gone, "again")
    assert pulls_everywhere(release, "again", gone)
    assert pulls_everywhere(release, "kept", kept)
    release.restart_registry()
    assert pulls_everywhere(release, "again", gone)


def test_a_pod_without_a_collector_stops_the_collection(release: Release) -> None:
    """Attack 3: one of before, which a rollout has not replaced yet, may serve from its memory.

    Seen to fail: the Service `-gc-peers` without publishNotReadyAddresses.
    """
    release.install(TWO)
    release.wait_until_it_answers()
    release.client().push("app", image("gone"), "gone")
    release.client().delete_tag("app", "gone")
    pod: dict[str, Any] = release.pods()[0]
    container = {
        key: value
        for key, value in pod["spec"]["containers"][0].items()
        if key in ("name", "image", "command", "env", "securityContext", "volumeMounts")
    }
    container["volumeMounts"] = [
        mount
        for mount in container["volumeMounts"]
        if not mount["mountPath"].startswith("/var/run/secrets/kubernetes.io")
    ]
    # Without the template's hash, or the ReplicaSet would adopt it and end one of the three.
    labels = {
        name: value
        for name, value in pod["metadata"]["labels"].items()
        if name != "pod-template-hash"
    }
    release.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "of-before", "labels": labels},
            "spec": {
                "nodeName": pod["spec"]["nodeName"],
                "automountServiceAccountToken": False,
                "securityContext": pod["spec"]["securityContext"],
                "containers": [container],
                "volumes": pod["spec"]["volumes"],
            },
        }
    )
    until(
        lambda: release.cluster.get("pod", "of-before", "-n", release.namespace)["status"].get(
            "podIP"
        ),
        what="it has an address",
        timeout=60,
        pause=0.5,
    )

    release.start_job("refused")
    succeeded, logs = release.job_logs("refused")
    release.cluster.kubectl("delete", "pod", "of-before", "-n", release.namespace)

    assert not succeeded
    assert "has no collector yet" in logs
    until(
        lambda: re.search("Deleted [1-9]", _collected(release)),
        what="a collection once it is gone, and DNS has forgotten it",
        timeout=120,
        pause=2,
    )


def _collected(release: Release) -> str:
    name = f"collect-{len(release.cluster.get('jobs', '-n', release.namespace)['items'])}"
    release.start_job(name)
    return release.job_logs(name)[1]
