"""The charts that people come from, as far as an upgrade can tell them apart.

`tests/e2e/peers/` has charts of our own whose objects are equal in identity to theirs: names,
labels, selectors, Secret keys, claims, ports, environment, mounts. tests/chart/test_peer_charts.py
compares them with what the real ones render.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helm_chart_test import Object, object_id, pod_template
from support.checkout import ROOT

CHARTS = ROOT / "tests" / "e2e" / "peers"


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them: its name in our documents, its version, the file of its defaults.

    `registry` is the registry that its users run, as ci/services.py calls it, and `tag` its tag;
    without one it is the registry of our chart.
    """

    name: str
    title: str
    defaults: str
    registry: str = ""
    tag: str = "3.1.1"

    @property
    def chart(self) -> Path:
        """Return the chart that is equal to it in identity."""
        return CHARTS / self.name


STABLE = Peer("stable", "stable 1.9", "stable-1.9-values.yaml", "registry-2.8", "2.8.2")
TWUNI = Peer("twuni", "twuni 3.0.0", "twuni-3.0.0-values.yaml", "registry-3.0", "3.0.0")
RISADAMS = Peer("risadams", "risadams 4.0.2", "risadams-4.0.2-values.yaml")
PEERS = (STABLE, TWUNI, RISADAMS)


def identity(thing: Object) -> dict[str, Any]:
    """Return what an upgrade in place depends on, in the form of ../shared/peers/identity.json."""
    found: dict[str, Any] = {"kind": thing["kind"], "name": thing["metadata"]["name"]}
    match thing["kind"]:
        case "Secret" | "ConfigMap":
            found["keys"] = sorted(thing["data"])
        case "PersistentVolumeClaim":
            found["spec"] = thing["spec"]
        case "Service":
            found |= {key: thing["spec"][key] for key in ("selector", "ports", "type")}
        case "Deployment":
            found |= _workload(thing)
        case "CronJob":
            template = pod_template(thing)
            assert template is not None
            found["schedule"] = thing["spec"]["schedule"]
            found["containers"] = [each["name"] for each in template["spec"]["containers"]]
        case "Pod":
            pass
        case _:
            found["labels"] = thing["metadata"]["labels"]
    return found


def _workload(thing: Object) -> dict[str, Any]:
    template = pod_template(thing)
    assert template is not None, object_id(thing)
    pod = template["spec"]
    (container,) = pod["containers"]
    return {
        "immutable selector": thing["spec"]["selector"],
        "pod labels": template["metadata"]["labels"],
        "containers": [container["name"]],
        "ports": container["ports"],
        "env": sorted(entry["name"] for entry in container["env"]),
        "mounts": [
            [mount["name"], mount["mountPath"], mount.get("subPath")]
            for mount in container["volumeMounts"]
        ],
        "volumes": [volume["name"] for volume in pod["volumes"]],
        "command": [container["command"]],
        "args": [container.get("args")],
    }
