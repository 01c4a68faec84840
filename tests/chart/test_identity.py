"""An upgrade in place from twuni 3.0 finds its own objects again.

Helm matches objects by kind and name; a selector and a claim's spec cannot be changed at all.
`identity.json` is what twuni's chart renders for four sets of values.
"""

import json
from typing import Any

import pytest

from helm_chart_test import Object, containers, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from support.chart import PEERS

_FILE = PEERS / "identity.json"
_SETS: dict[str, Any] = (
    json.loads(_FILE.read_text("utf-8"))["twuni 3.0.0"] if _FILE.exists() else {}
)

pytestmark = pytest.mark.skipif(not _SETS, reason=f"there is no {_FILE}")


def pairs(render: Renderer, name: str) -> list[tuple[Object, Object]]:
    """Return what twuni rendered beside our object of the same kind and name."""
    case = _SETS[name]
    ours = {object_id(thing): thing for thing in render(case["values"], release="rel")}
    found = [(peer, ours.get(f"{peer['kind']}/{peer['name']}")) for peer in case["objects"]]
    missing = [f"{peer['kind']}/{peer['name']}" for peer, our in found if our is None]
    assert missing == []
    assert len(found) >= 4
    return [(peer, our) for peer, our in found if our is not None]


@pytest.fixture(params=_SETS)
def matched(request: pytest.FixtureRequest, render: Renderer) -> list[tuple[Object, Object]]:
    return pairs(render, request.param)


def test_no_object_changes_its_name_or_kind(matched: list[tuple[Object, Object]]) -> None:
    """Seen to fail: the ConfigMap called `<fullname>-configuration`."""
    assert all(object_id(our) == f"{peer['kind']}/{peer['name']}" for peer, our in matched)


def test_what_cannot_be_changed_is_not(matched: list[tuple[Object, Object]]) -> None:
    """Seen to fail: app.kubernetes.io labels in the selector; `volumeMode` in the claim."""
    for peer, our in matched:
        if "immutable selector" in peer:
            assert our["spec"]["selector"] == peer["immutable selector"]
        if peer["kind"] == "PersistentVolumeClaim":
            assert our["spec"] == peer["spec"]


def test_the_service_stays_what_it_is(matched: list[tuple[Object, Object]]) -> None:
    """Seen to fail: the port's name without the number."""
    (found,) = [(peer, our["spec"]) for peer, our in matched if peer["kind"] == "Service"]
    peer, spec = found
    # Metrics have a Service of their own: defect N4, and test_monitoring.py.
    ports = [port for port in peer["ports"] if port["name"] != "http-metrics"]
    assert (spec["selector"], spec["ports"], spec["type"]) == (
        peer["selector"],
        ports,
        peer["type"],
    )


def test_secrets_and_configuration_have_the_same_keys(
    matched: list[tuple[Object, Object]],
) -> None:
    """Seen to fail: no proxyUsername while it is empty."""
    compared = [(sorted(our["data"]), peer["keys"]) for peer, our in matched if "keys" in peer]
    assert len(compared) == 2
    assert all(ours == theirs for ours, theirs in compared), compared


def test_the_pod_has_all_that_it_had(matched: list[tuple[Object, Object]]) -> None:
    """Containers, ports, environment, mounts and volumes: theirs, and maybe more.

    Seen to fail: the volume called `config`; no REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY.
    """
    (found,) = [(peer, pod_template(our)) for peer, our in matched if peer["kind"] == "Deployment"]
    peer, pod = found
    assert pod is not None
    assert peer["pod labels"].items() <= pod["metadata"]["labels"].items()
    assert [container["name"] for container in pod["spec"]["containers"]] == peer["containers"]
    (container,) = pod["spec"]["containers"]
    assert container["ports"] == peer["ports"]
    assert container["command"] == peer["command"][0]
    assert set(peer["env"]) <= {entry["name"] for entry in container["env"]}
    mounts = [
        [mount["name"], mount["mountPath"], mount.get("subPath")]
        for mount in container["volumeMounts"]
    ]
    assert mounts == peer["mounts"]
    volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
    assert volumes[: len(peer["volumes"])] == peer["volumes"]


def test_labels_that_others_select_by_are_kept(matched: list[tuple[Object, Object]]) -> None:
    """Seen to fail: the ServiceMonitor without `app: docker-registry-metrics`."""
    for peer, our in matched:
        theirs = {key: value for key, value in peer.get("labels", {}).items() if key != "chart"}
        if peer["kind"] == "PrometheusRule":
            theirs.pop("app.kubernetes.io/component", None)  # `controller`: defect N5
        assert theirs.items() <= our["metadata"]["labels"].items(), object_id(our)


def test_the_cron_job_stays_what_it_is(render: Renderer) -> None:
    """Seen to fail: its container called `gc-hook`."""
    found = [
        (peer, our)
        for peer, our in pairs(render, "filesystem with a claim, TLS, htpasswd, GC")
        if peer["kind"] == "CronJob"
    ]
    ((peer, our),) = found
    pod = pod_template(our)
    assert pod is not None
    assert our["spec"]["schedule"] == peer["schedule"]
    assert list(containers(pod)) == peer["containers"]
