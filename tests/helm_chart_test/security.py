"""The Pod Security level `restricted`, as far as pods that charts render can break it.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from collections.abc import Iterator

from helm_chart_test.objects import Object, containers

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def restricted_problems(pod: Object) -> list[str]:
    """Return what a namespace of the level `restricted` would refuse this pod for."""
    spec = pod["spec"]
    found = [
        f"{field} is true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)
    ]
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= _VOLUMES:
            found.append(f"volume {volume.get('name')} is a {', '.join(sorted(kinds))}")
    of_pod = spec.get("securityContext") or {}
    for name, container in containers(pod).items():
        of_container = container.get("securityContext") or {}
        # Only these four fall back to the pod's; the others have no field there.
        effective = {**of_pod, **of_container}
        found += [f"container {name}: {problem}" for problem in _of_container(effective, container)]
    return found


def _of_container(effective: Object, container: Object) -> Iterator[str]:
    context = container.get("securityContext") or {}
    if effective.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if effective.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if (effective.get("seccompProfile") or {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccompProfile is neither RuntimeDefault nor Localhost"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if context.get("privileged"):
        yield "privileged is true"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "capabilities are not all dropped"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield f"capabilities are added: {capabilities['add']}"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "it takes a port of the host"
