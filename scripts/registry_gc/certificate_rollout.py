"""A registry reads its certificate once, at its start: here a renewed one takes effect.

Whoever renewed it: this release's own script, cert-manager, or a person. Where a sidecar is, it
starts its registry anew in place, at a quiet moment; elsewhere the workload's pods are replaced, as
`kubectl rollout restart` does it. One replica at a time either way.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from registry_gc.addresses import Address
from registry_gc.certificate_secrets import MANAGER, content
from registry_gc.errors import RegistryDownError
from registry_gc.events import Subject
from registry_gc.health import first_fingerprint, served_certificate
from registry_gc.kube_api import Api, path_of
from registry_gc.release_pods import Pod, pods
from registry_gc.sidecars import Access, Sidecar

ANNOTATION = "docker-registry.dev/certificate"

_PAUSE = 2.0  # seconds between two looks
_VOLUME = 180.0  # seconds for a Secret to reach a pod's volume: a kubelet looks every minute or so
_QUIET = 900.0  # seconds for a quiet moment and the restart
_KINDS: Mapping[str, str] = {"Deployment": "deployments", "StatefulSet": "statefulsets"}

Echo = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Rollout:
    """Whose certificate, and how its registries are reached; `port` is theirs in the pod."""

    namespace: str
    secret: str
    selector: str
    access: Access | None = None
    workload: Subject | None = None
    port: int = 5000


def take_effect(
    api: Api, rollout: Rollout, echo: Echo, sleep: Callable[[float], object] = time.sleep
) -> int:
    """See that each registry serves what the Secret has; return how many had to be started anew.

    Raises CollectorError; then the next run goes on with those that are left.
    """
    api = replace(api, consequence="the certificate did not take effect everywhere")
    secret = api.get(path_of("v1", "secrets", rollout.namespace, rollout.secret))
    wanted = first_fingerprint(content(secret, "tls.crt"))
    if not wanted:
        return 0
    count = 0
    found = pods(api, rollout.namespace, rollout.selector)
    for pod in found:
        if pod.ready and rollout.access is not None:
            sidecar = Sidecar(rollout.access, pod, time.monotonic() + _QUIET)
            # What cannot be seen just now is starting, and has read it; or the next run sees it.
            if _serves(sidecar) not in ("", wanted):
                _restart(sidecar, wanted, sleep)
                echo(f"{pod.name}: serves the new certificate")
                count += 1
    if rollout.access is None and any(_is_old(pod, rollout, wanted) for pod in found):
        count += _replace_pods(api, rollout, wanted, echo)
    return count


def _serves(sidecar: Sidecar) -> str:
    _, state = sidecar.patiently("GET", "/registry")
    return str(state.get("certificate", ""))


def _is_old(pod: Pod, rollout: Rollout, wanted: str) -> bool:
    """Say whether a pod serves another certificate; one that does not answer says nothing."""
    served = served_certificate(Address(pod.address, rollout.port)) if pod.address else ""
    return served not in ("", wanted)


def _restart(sidecar: Sidecar, wanted: str, sleep: Callable[[float], object]) -> None:
    body = json.dumps({"certificate": wanted}).encode()
    until = time.monotonic() + _VOLUME
    while True:
        code, answer = sidecar.patiently("POST", "/restart", body)
        if code in (200, 202):
            break
        if code not in (409, 503) or time.monotonic() > until:
            raise _not_served(sidecar.pod, str(answer.get("error", code)))
        sleep(min(float(answer.get("retryAfter") or _PAUSE), 15.0))
    until = time.monotonic() + _QUIET
    while True:
        _, state = sidecar.patiently("GET", "/registry")
        if state.get("certificate") == wanted:
            return
        if not state.get("restarting") and state.get("error"):
            raise _not_served(sidecar.pod, str(state["error"]))
        if time.monotonic() > until:
            raise _not_served(sidecar.pod, "it serves the old one still")
        sleep(_PAUSE)


def _replace_pods(api: Api, rollout: Rollout, wanted: str, echo: Echo) -> int:
    """Begin a rollout, unless that of this certificate goes on already."""
    subject = rollout.workload
    if subject is None:
        echo("the registry serves an old certificate: `kubectl rollout restart` it")
        return 0
    path = path_of("apps/v1", _KINDS[subject.kind], rollout.namespace, subject.name)
    found: Mapping[str, Any] = api.get(path) or {}
    template = (found.get("spec") or {}).get("template") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    if not found or annotations.get(ANNOTATION) == wanted:
        return 0
    change = {"metadata": {"annotations": {ANNOTATION: wanted}}}
    api.merge(path, {"spec": {"template": change}}, MANAGER)
    echo(f"{subject.kind} {subject.name}: its pods are replaced to serve the new certificate")
    return 1


def _not_served(pod: Pod, why: str) -> RegistryDownError:
    return RegistryDownError(
        f"the registry of {pod.name} does not serve the renewed certificate",
        why=why,
        next_step="the next run tries again; `kubectl rollout restart` does it at once",
    )
