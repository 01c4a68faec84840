"""What the notes tell because of what the cluster has, before anything is changed."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import Object, fake_cluster, render
from support.chart import CHART, Helm, helm_of
from support.release_objects import thing
from support.rendered import printed

NOTES = printed("risks", "withoutEffect")
Notes = Callable[..., str]


@pytest.fixture(params=["helm", "helm3"])
def notes(request: pytest.FixtureRequest, tmp_path: Path) -> Notes:
    """Return what an upgrade in a cluster with these objects would say."""
    helm: Helm = request.param

    def said(values: dict[str, Any], *objects: Object) -> str:
        with fake_cluster(objects, tmp_path) as cluster:
            rendered = render(
                {**values, "extraObjects": [NOTES]},
                chart=CHART,
                helm=helm_of(helm),
                upgrade=True,
                kubeconfig=cluster,
            )
        (found,) = (thing for thing in rendered if thing["metadata"]["name"] == "notes")
        return f"{found['data']['risks']}\n{found['data']['withoutEffect']}"

    return said


def workload(kind: str, image: str) -> Object:
    container = {"name": "docker-registry", "image": image}
    spec = {"template": {"spec": {"containers": [container]}}}
    return thing(kind, "test-docker-registry", spec=spec)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_who_leaves_registry_2_is_told_about_schema_1(notes: Notes, kind: str) -> None:
    """Seen to fail: only the Deployment looked up; a mirror's port taken for a version."""
    values = {"useStatefulSet": kind == "StatefulSet"}
    old, new = "mirror.example.com:2000/registry:2.7.1", "mirror.example.com:2/registry:3.0.0"
    told = f"{old} ran here before. Registry 3 no longer gives out manifests of Docker schema 1"
    assert told in notes(values, workload(kind, old))
    assert "schema 1" not in notes(values, workload(kind, new))
    assert "schema 1" not in notes({**values, "image": {"tag": "2.8.3"}}, workload(kind, old))


def test_who_read_the_metrics_at_the_registrys_service_is_told_where_they_are(
    notes: Notes,
) -> None:
    """Seen to fail: told of every upgrade; told to nobody."""
    spec: dict[str, Any] = {"ports": [{"name": "http-5000", "port": 5000}]}
    values = {"metrics": {"enabled": True}}
    told = "The metrics are no longer on the Service test-docker-registry"
    assert told not in notes(values, thing("Service", "test-docker-registry", spec=spec))
    spec["ports"].append({"name": "http-metrics", "port": 5001})
    assert told in notes(values, thing("Service", "test-docker-registry", spec=spec))


def test_users_of_an_existing_secret_that_nobody_asks_for_are_told(notes: Notes) -> None:
    """At risadams such a Secret is mounted and never used; here too, unless it is said.

    Seen to fail: the Secret not looked into.
    """
    data = {"htpasswd": b64encode(b"a:b").decode()}
    told = "The Secret mine has htpasswd, which is not in force. Set secrets.htpasswdRef.name: mine"
    values: dict[str, Any] = {"existingSecret": "mine"}
    assert told in notes(values, thing("Secret", "mine", data=data))
    assert told not in notes(values, thing("Secret", "mine", data={}))
    asked = {**values, "secrets": {"htpasswdRef": {"name": "mine"}}}
    assert told not in notes(asked, thing("Secret", "mine", data=data))


def test_the_check_finds_the_volume_of_a_stateful_set(tmp_path: Path) -> None:
    """Its pod is where a volume of one node is. Seen to fail: only a Deployment looked up."""
    claim = thing("PersistentVolumeClaim", "images", spec={"accessModes": ["ReadWriteOnce"]})
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "images"}}
    spec = {"template": {"spec": {"volumes": [volume], "containers": []}}}
    running = thing("StatefulSet", "test-docker-registry", spec=spec, status={"readyReplicas": 1})
    values = {
        "useStatefulSet": True,
        "persistence": {"existingClaim": "{{ .Chart.Name | trunc 0 }}images"},
        "garbageCollect": {"enabled": True},
    }
    with fake_cluster([claim, running], tmp_path) as cluster:
        rendered = render(
            values, chart=CHART, helm=helm_of("helm"), upgrade=True, kubeconfig=cluster
        )
    (job,) = (each for each in rendered if each["kind"] == "Job")
    volumes = job["spec"]["template"]["spec"]["volumes"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "images"}} in volumes


def test_a_recreate_that_has_to_wait_is_told(notes: Notes) -> None:
    """Seen to fail: told of a first install's values, where nothing is in the way."""
    values = {"updateStrategy": {"type": "Recreate"}}
    told = "updateStrategy.type: Recreate comes into force with the next upgrade"
    assert told in notes(values, workload("Deployment", "registry:3.1.1"))
    assert told not in notes(values)
    assert told not in notes({}, workload("Deployment", "registry:3.1.1"))


def test_where_the_images_were_is_told_when_that_changes(notes: Notes) -> None:
    """Seen to fail: the places not compared."""
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "old"}}
    spec = {"template": {"spec": {"volumes": [volume], "containers": []}}}
    running = thing("Deployment", "test-docker-registry", spec=spec)

    said = notes({"persistence": {"existingClaim": "new"}}, running)

    assert "Until now the images were in the claim old; the registry now looks for them" in said
    assert "Until now" not in notes({"persistence": {"existingClaim": "old"}}, running)


def test_what_a_pod_would_wait_for_is_told(notes: Notes) -> None:
    """Seen to fail: without notes.risks.missing; with it for a Secret that is there."""
    spec: dict[str, Any] = {"template": {"spec": {"volumes": [], "containers": []}}}
    running = thing("Deployment", "test-docker-registry", spec=spec)
    values = {"tlsSecretName": "cert", "persistence": {"existingClaim": "images"}}

    said = notes(values, running)
    there = notes(
        values, running, thing("Secret", "cert"), thing("PersistentVolumeClaim", "images")
    )

    assert "tlsSecretName is cert, and the namespace test-ns has no such Secret" in said
    assert (
        "persistence.existingClaim is images, and the namespace test-ns has no such claim" in said
    )
    assert "waits for it" not in there


def test_a_password_file_that_nobody_can_log_in_with_is_told(notes: Notes) -> None:
    """Seen to fail: any text taken for a line of htpasswd."""
    for lines in ("alice:secret", "alice:$apr1$x$y", "alice"):
        assert "nobody can log in" in notes({"secrets": {"htpasswd": lines}})
    good = "# team\nalice:$2y$05$abcdefghijklmnopqrstuv"
    assert "nobody can log in" not in notes({"secrets": {"htpasswd": good}})
