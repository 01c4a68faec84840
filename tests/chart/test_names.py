"""Names fit, however long the release's is."""

from typing import Any

from helm_chart_test import Object, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from support.chart import problems

# Helm takes 53 characters; a cut at any even place leaves a dash, at any other it leaves none.
RELEASE = "a-" * 26 + "b"
LIMITS = {"CronJob": 52, "Job": 63, "Service": 63, "Deployment": 63}


def test_every_name_fits(render: Renderer, scenario: dict[str, Any]) -> None:
    """A name also becomes labels of pods, of at most 63 characters; a CronJob has 11 fewer.

    Seen to fail: no `trunc` in docker-registry.gc.cronJob.name; the config volume's name (W9).
    """
    rendered = render(scenario, release=RELEASE)
    assert len(rendered) > 3
    for thing in rendered:
        name = thing["metadata"]["name"]
        assert len(name) <= LIMITS.get(thing["kind"], 253), object_id(thing)
        assert name == name.strip("-")
        pod = pod_template(thing)
        if pod:
            assert all(len(n) <= 63 for n in _names_inside(pod)), object_id(thing)
    assert problems(rendered) == []


def test_suffixes_survive_the_cut(render: Renderer) -> None:
    """Seen to fail: the whole name cut, so that two objects of one kind had one name."""
    rendered = render({"garbageCollect": {"enabled": True}}, release="r" * 53)
    ids = [object_id(thing) for thing in rendered]
    assert len(set(ids)) == len(ids)
    names = {thing["kind"]: thing["metadata"]["name"] for thing in rendered}
    assert names["CronJob"].endswith("-garbage-collector")
    assert names["Job"].endswith("-preflight")


def test_a_release_called_like_the_chart_is_not_doubled(render: Renderer) -> None:
    """As at the peers: `helm install docker-registry` names its objects docker-registry."""
    rendered = render({}, release="my-docker-registry-1")
    assert object_id(_one(rendered, "Deployment")) == "Deployment/my-docker-registry-1"
    overridden = render({"fullnameOverride": "images"})
    assert object_id(_one(overridden, "Deployment")) == "Deployment/images"
    renamed = _one(render({"nameOverride": "images"}), "Deployment")
    assert object_id(renamed) == "Deployment/test-images"
    assert renamed["spec"]["selector"]["matchLabels"] == {"app": "images", "release": "test"}


def _one(objects: list[Object], kind: str) -> Object:
    (found,) = (thing for thing in objects if thing["kind"] == kind)
    return found


def _names_inside(pod: Object) -> list[str]:
    spec = pod["spec"]
    every = [*spec.get("volumes", []), *spec.get("initContainers", []), *spec["containers"]]
    return [thing["name"] for thing in every]
