"""What the API server refuses although the schemas allow it: names, labels, references in a pod.

Sources: k8s.io/apimachinery, pkg/util/validation/validation.go; k8s.io/kubernetes,
pkg/apis/core/validation/validation.go.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from helm_chart_test.objects import Object, object_id, pod_template

_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_NAME_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?")

_LIMITS = {"CronJob": 52, "Job": 63, "Service": 63}
"""Longest names. A CronJob's Jobs have 11 characters more; a Job's name is a label of its pods."""

_PATHS_IN_NAMES = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


def rule_problems(objects: Iterable[Object]) -> list[str]:
    """Return what is wrong with names, labels, annotations, selectors and pods, one line each."""
    every = list(objects)
    found = [f"{object_id(thing)}: {told}" for thing in every for told in _of_object(thing)]
    keys = Counter(
        (t["apiVersion"], t["kind"], t["metadata"].get("namespace"), t["metadata"]["name"])
        for t in every
    )
    return found + [f"{key[1]}/{key[3]} is there {n} times" for key, n in keys.items() if n > 1]


def _of_object(thing: Object) -> Iterator[str]:
    metadata = thing["metadata"]
    name, kind = metadata["name"], thing["kind"]
    form = _DNS_LABEL if kind == "Service" else _SUBDOMAIN
    if kind not in _PATHS_IN_NAMES and not form.fullmatch(name):
        yield f"{name!r} is no name that an object can have"
    if len(name) > _LIMITS.get(kind, 253):
        yield f"the name has {len(name)} characters, a {kind} may have {_LIMITS.get(kind, 253)}"
    yield from _of_metadata(metadata)
    pod = pod_template(thing)
    if pod is None:
        if kind == "Service":
            yield from _of_service(thing["spec"])
        return
    yield from (f"the pod's {told}" for told in _of_metadata(pod.get("metadata", {})))
    claimed = [claim["metadata"]["name"] for claim in thing["spec"].get("volumeClaimTemplates", [])]
    yield from _of_pod(pod["spec"], claimed)
    selector = thing["spec"].get("selector", {}).get("matchLabels", {})
    labels = pod.get("metadata", {}).get("labels", {})
    if not selector.items() <= labels.items():
        yield f"the selector {selector} does not select its own pod, which has {labels}"


def _of_metadata(metadata: Object) -> Iterator[str]:
    for name, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            yield f"label {name}={value!r} is not text of at most 63 letters, digits, `-_.`"
    for field in ("labels", "annotations"):
        for key in metadata.get(field) or {}:
            prefix, slash, name = key.rpartition("/")
            if not _NAME_PART.fullmatch(name) or len(name) > 63:
                yield f"{field[:-1]} {key!r} is no name that one can have"
            if slash and not _SUBDOMAIN.fullmatch(prefix):
                yield f"{field[:-1]} {key!r} does not begin with a host's name"
    for key, value in (metadata.get("annotations") or {}).items():
        if not isinstance(value, str):
            yield f"annotation {key}={value!r} is no text"


def _of_service(spec: Object) -> Iterator[str]:
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield "a Service needs a port, unless it is headless"
    yield from _twice("port name", [port.get("name") for port in ports])
    yield from _twice("port", [(port["port"], port.get("protocol", "TCP")) for port in ports])


def _of_pod(spec: Object, claimed: Sequence[str]) -> Iterator[str]:
    # A volume of a StatefulSet's claim templates replaces one of the same name.
    own = [str(volume.get("name", "")) for volume in spec.get("volumes") or []]
    volumes = [*claimed, *(name for name in own if name not in claimed)]
    yield from _twice("volume", own)
    for volume in spec.get("volumes") or []:
        if len(volume) > 2:
            yield f"volume {volume.get('name')} is several things: {sorted(set(volume) - {'name'})}"
    every = [*(spec.get("initContainers") or []), *spec["containers"]]
    names = [str(container.get("name", "")) for container in every]
    yield from _twice("container", names)
    for name in [*volumes, *names]:
        if not _DNS_LABEL.fullmatch(name) or len(name) > 63:
            yield f"{name!r} is no name of a container or a volume"
    for container in every:
        for told in _of_container(container, volumes):
            yield f"container {container.get('name')}: {told}"


def _of_container(container: Object, volumes: Sequence[str]) -> Iterator[str]:
    mounts = container.get("volumeMounts") or []
    for mount in mounts:
        if mount.get("name") not in volumes:
            yield f"it mounts {mount.get('name')!r}, which is no volume of the pod"
    yield from _twice("mount path", [str(mount.get("mountPath")).rstrip("/") for mount in mounts])
    yield from _twice("variable", [entry.get("name") for entry in container.get("env") or []])
    for entry in container.get("env") or []:
        if "value" in entry and "valueFrom" in entry:
            yield f"variable {entry.get('name')} has a value and a source"
    ports = container.get("ports") or []
    names = [port["name"] for port in ports if "name" in port]
    yield from _twice("port name", names)
    for name in names:
        if len(name) > 15 or not _PORT_NAME.fullmatch(name):
            yield f"{name!r} is no name of a port: at most 15 characters, one of them a letter"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        yield from (f"{probe}: {told}" for told in _of_probe(container.get(probe), names))


def _of_probe(probe: Object | None, ports: Sequence[str]) -> Iterator[str]:
    handlers = set(probe or {}) & {"exec", "grpc", "httpGet", "tcpSocket"}
    if probe is not None and len(handlers) != 1:
        yield f"a probe asks in one way, not in {len(handlers)}: {sorted(handlers)}"
    for handler in handlers & {"httpGet", "tcpSocket"}:
        port = (probe or {})[handler].get("port")
        if isinstance(port, str) and port not in ports:
            yield f"it asks at the port {port!r}, which the container does not name"


def _twice(what: str, names: Iterable[Any]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if name is not None and count > 1:
            yield f"{what} {name!r} is there {count} times"
