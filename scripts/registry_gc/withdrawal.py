"""Before an uninstall: nodes are told to forget the registry, then all that was made goes.

A pod of the DaemonSet that ends leaves its files, or each update of it would break pulls. So the
object says `withdrawn` first; a pod is ready while its node trusts, and none is ready any more once
all have removed their files.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from registry_gc import certificate_secrets, hosting
from registry_gc.endpoint_object import (
    KIND,
    MANAGER,
    PLURAL,
    VERSION,
    WITHDRAWN,
    applied,
    spec_of,
)
from registry_gc.endpoint_settings import EndpointSettings
from registry_gc.errors import CollectorError, StorageError
from registry_gc.kube_api import Api, ApiConflictError, KindMissingError, Object, path_of

_PAUSED = "docker-registry.dev/paused"  # an annotation

_PAUSE = 2.0  # seconds
# Seconds for which no pod is to be ready: one that was replaced after the nodes were told removes
# its node's files once it has started.
_HOLD = 10.0
_ATTEMPTS = 3
_RUN = 30.0  # seconds for a scheduled run that goes on; one that takes longer sees `withdrawn`

Echo = Callable[[str], object]
Sleep = Callable[[float], object]


def remove(api: Api, settings: EndpointSettings, echo: Echo) -> None:
    """Remove all that these scripts have made, before an uninstall.

    Everything is tried; then the first failure is raised as a CollectorError.
    """
    api = replace(api, consequence="something was not removed")
    failures: list[CollectorError] = []
    steps: list[Callable[[], object]] = []
    if settings.cron_job:
        steps.append(lambda: pause_schedule(api, settings))
    if settings.name:
        steps.append(lambda: withdraw(api, settings, echo))
    if settings.hosting:
        steps.append(lambda: hosting.remove(api, settings.owner, echo))
    if settings.mode:
        steps.append(lambda: _remove_mode(api, settings, echo))
    if (certificate := settings.certificate) is not None:
        steps.append(lambda: certificate_secrets.remove(api, certificate, echo))
    is_done = False
    try:
        for step in steps:
            try:
                step()
            except CollectorError as error:
                failures.append(error)
        is_done = not failures
    finally:
        if not is_done:
            # Also when told to end. The uninstall ends here, and the release goes on.
            with suppress(CollectorError):
                resume_schedule(api, settings)
    if failures:
        raise failures[0]


def pause_schedule(api: Api, settings: EndpointSettings, sleep: Sleep = time.sleep) -> None:
    """Let no scheduled run begin any more, and wait for the one that goes on.

    It would make anew what is removed before Helm removes the CronJob. Raises CollectorError.
    """
    found = api.get(_schedule(settings))
    if found is None or (found.get("spec") or {}).get("suspend"):
        return
    # Marked, so that only what we have suspended is resumed.
    mark = {"annotations": {_PAUSED: "true"}}
    _change_schedule(api, settings, {"metadata": mark, "spec": {"suspend": True}})
    until = time.monotonic() + _RUN
    while True:
        sleep(_PAUSE)  # first, because its controller may just have begun one
        found = api.get(_schedule(settings)) or {}
        if not (found.get("status") or {}).get("active") or time.monotonic() > until:
            return


def resume_schedule(api: Api, settings: EndpointSettings) -> None:
    """Undo `pause_schedule`. Raises CollectorError."""
    found = api.get(_schedule(settings)) if settings.cron_job else None
    if found is None or _PAUSED not in (found["metadata"].get("annotations") or {}):
        return
    mark = {"annotations": {_PAUSED: None}}
    _change_schedule(api, settings, {"metadata": mark, "spec": {"suspend": False}})


def _change_schedule(api: Api, settings: EndpointSettings, body: Object) -> None:
    """Change Helm's CronJob, and own none of its fields afterwards: Helm 4 refuses each upgrade of
    an object in which another manager's field differs, and so nobody could undo this.
    """
    found = api.merge(_schedule(settings), body, MANAGER)
    for _ in range(_ATTEMPTS):
        meta = found["metadata"]
        owners = meta.get("managedFields") or []
        others = [each for each in owners if each.get("manager") != MANAGER]
        if not others or others == owners:
            return
        mine = {"resourceVersion": meta.get("resourceVersion", ""), "managedFields": others}
        try:
            found = api.merge(_schedule(settings), {"metadata": mine}, MANAGER)
        except ApiConflictError:  # its controller has just written its status
            found = api.get(_schedule(settings)) or {"metadata": {}}


def _schedule(settings: EndpointSettings) -> str:
    return path_of("batch/v1", "cronjobs", settings.namespace, settings.cron_job)


def withdraw(
    api: Api, settings: EndpointSettings, echo: Echo, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Remove the RegistryEndpoint once no node trusts by it any more.

    Raises CollectorError; where nodes have not answered in time, after it was removed all the same.
    """
    found = _ours(api, settings, echo)
    if found is None:
        return
    left = _nodes_left(api, settings, sleep) if settings.trust else 0
    api.delete(_path(settings), found["metadata"]["uid"])
    echo(f"the {KIND} {settings.name} was removed")
    if left:
        raise _still_trusted(settings, left, f"its {KIND} was removed", "helm uninstall --no-hooks")


def tell_nodes(
    api: Api, settings: EndpointSettings, echo: Echo, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Have every node forget the registry, whose RegistryEndpoint stays, withdrawn until it is
    published anew by who does not go by the schedule. Raises CollectorError.
    """
    if _ours(api, settings, echo) is None:
        return
    if left := _nodes_left(api, settings, sleep):
        raise _still_trusted(settings, left, "nothing else was changed", "helm upgrade --no-hooks")
    echo("no node trusts the registry any more")


def _remove_mode(api: Api, settings: EndpointSettings, echo: Echo) -> None:
    path = path_of("v1", "configmaps", settings.namespace, settings.mode)
    found = api.get(path)
    if found is None:
        return
    if not settings.owner.owns(found):
        echo(f"the ConfigMap {settings.mode} is not this release's and stays")
        return
    api.delete(path, found["metadata"]["uid"])


def _ours(api: Api, settings: EndpointSettings, echo: Echo) -> Object | None:
    """Return the RegistryEndpoint, None if there is none of ours."""
    try:
        found = api.get(_path(settings))
    except KindMissingError:
        return None  # somebody removed the CustomResourceDefinition, and every object with it
    if found is not None and not settings.owner.owns(found):
        echo(f"the {KIND} {settings.name} is not this release's and stays")
        return None
    return found


def _nodes_left(api: Api, settings: EndpointSettings, sleep: Callable[[float], object]) -> int:
    """Tell the nodes, and return how many may not have removed their files when time is over.

    A pod that is not ready has either removed them or not looked yet: so all are to be ready first.
    """
    until = time.monotonic() + settings.trust_timeout.total_seconds()
    unknown = _not_ready(api, settings, until - settings.trust_timeout.total_seconds() / 2, sleep)
    spec = spec_of(settings.wanted, settings.service, withdrawn=True)
    body = applied(settings.owner, settings.name, spec)
    body["metadata"]["annotations"][WITHDRAWN] = datetime.now(UTC).isoformat(timespec="seconds")
    api.apply(_path(settings), body, MANAGER)
    zero_since: float | None = None
    while True:
        _, ready = _count(api, settings)
        now = time.monotonic()
        zero_since = None if ready else zero_since or now
        if zero_since is not None and now - zero_since >= _HOLD:
            return unknown
        if now > until:
            return unknown + ready
        sleep(_PAUSE)


def _not_ready(api: Api, settings: EndpointSettings, until: float, sleep: Sleep) -> int:
    """Return how many nodes have no pod that is ready, none if possible by that time."""
    while True:
        wanted, ready = _count(api, settings)
        if ready >= wanted or time.monotonic() > until:
            return max(0, wanted - ready)
        sleep(_PAUSE)


def _count(api: Api, settings: EndpointSettings) -> tuple[int, int]:
    """Return how many nodes are to have a pod of the DaemonSet, and how many have a ready one."""
    namespace, _, name = settings.trust.rpartition("/")
    path = path_of("apps/v1", "daemonsets", namespace or settings.namespace, name)
    status = (api.get(path) or {}).get("status") or {}
    return int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)


def _still_trusted(
    settings: EndpointSettings, left: int, consequence: str, command: str
) -> StorageError:
    return StorageError(
        f"{left} nodes may still trust the registry; {consequence}",
        why=f"their pods of the DaemonSet {settings.trust} did not run, or have not removed their "
        f"files within {settings.trust_timeout}",
        next_step="remove the files that carry our mark below /etc/containerd/certs.d on these "
        f"nodes, then `{command}`",
    )


def _path(settings: EndpointSettings) -> str:
    return path_of(VERSION, PLURAL, settings.namespace, settings.name)
