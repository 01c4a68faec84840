"""The registry as a StatefulSet, with a claim of its own."""

from support.client import image
from support.cluster import Release
from support.waiting import until

VALUES = {
    "useStatefulSet": "true",
    "persistence.enabled": "true",
    "persistence.size": "1Gi",
    "configData.storage.cache.blobdescriptor": "inmemory",
}


def test_it_keeps_its_images_over_a_new_pod_an_upgrade_and_a_collection(release: Release) -> None:
    """Seen to fail: `persistence.enabled: false`; the new pod begins with nothing."""
    release.install(VALUES)
    release.wait_until_it_answers()
    kept, gone = image("kept", layers=3), image("gone", layers=3)
    for manifest, tag in ((kept, "kept"), (gone, "gone")):
        release.client().push("app", manifest, tag)
    first = release.pod()
    assert first["metadata"]["name"] == f"{release.fullname}-0"
    claims = release.cluster.get("pvc", "-n", release.namespace)["items"]
    assert [claim["metadata"]["name"] for claim in claims] == [f"data-{release.fullname}-0"]
    assert not release.cluster.get("deployments", "-n", release.namespace)["items"]

    release.cluster.kubectl("delete", "pod", first["metadata"]["name"], "-n", release.namespace)
    until(release.answers, what="the next pod answers", timeout=90, pause=0.2)

    assert release.pod()["metadata"]["uid"] != first["metadata"]["uid"]
    assert release.client().pull("app", "kept").missing == ()
    release.client().delete_manifest("app", gone.digest)
    assert "Deleted 5 blobs" in release.collect()
    release.wait_until_it_answers()
    release.install({**VALUES, "podAnnotations.changed": "yes"})
    release.wait_until_it_answers()
    assert release.client().pull("app", "kept").missing == ()
    release.client().push("app", gone, "again")
    assert release.client().pull("app", "again").missing == ()
    release.uninstall()
    left = release.cluster.get("pvc", "-n", release.namespace)["items"]
    assert [claim["metadata"]["name"] for claim in left] == [f"data-{release.fullname}-0"]
