"""Before an uninstall: nodes are told to forget the registry, then its RegistryEndpoint goes.

A pod of the DaemonSet that ends leaves its files, or each update of it would break pulls. So the
object says `withdrawn` first; a pod is ready while its node trusts, and none is ready any more once
all have removed their files.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from registry_gc.endpoint_object import KIND, PLURAL, VERSION, WITHDRAWN, applied, spec_of
from registry_gc.endpoint_settings import EndpointSettings
from registry_gc.errors import StorageError
from registry_gc.kube_api import Api, KindMissingError, path_of

MANAGER = "registry-gc-endpoint"

_PAUSE = 2.0  # seconds

Echo = Callable[[str], object]


def withdraw(
    api: Api, settings: EndpointSettings, echo: Echo, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Remove the RegistryEndpoint once no node trusts by it any more.

    Raises CollectorError; where nodes have not answered in time, after it was removed all the same.
    """
    path = path_of(VERSION, PLURAL, settings.namespace, settings.name)
    try:
        found = api.get(path)
    except KindMissingError:
        return  # somebody removed the CustomResourceDefinition, and every object with it
    if found is None:
        return
    if not settings.owner.owns(found):
        echo(f"the {KIND} {settings.name} is not this release's and stays")
        return
    left = _nodes_left(api, settings, sleep) if settings.trust else 0
    api.delete(path, found["metadata"]["uid"])
    echo(f"the {KIND} {settings.name} was removed")
    if left:
        raise StorageError(
            f"{left} nodes still trust the registry; its {KIND} was removed",
            why=f"their pods of the DaemonSet {settings.trust} have not removed their files within "
            f"{settings.trust_timeout}",
            next_step="remove the files that carry our mark below /etc/containerd/certs.d on these "
            "nodes, then `helm uninstall --no-hooks`",
        )


def _nodes_left(api: Api, settings: EndpointSettings, sleep: Callable[[float], object]) -> int:
    """Tell the nodes, and return how many have not removed their files when time is over."""
    spec = spec_of(settings.wanted, settings.service, withdrawn=True)
    path = path_of(VERSION, PLURAL, settings.namespace, settings.name)
    body = applied(settings.owner, settings.name, spec)
    body["metadata"]["annotations"][WITHDRAWN] = datetime.now(UTC).isoformat(timespec="seconds")
    api.apply(path, body, MANAGER)
    namespace, _, name = settings.trust.rpartition("/")
    daemon_set = path_of("apps/v1", "daemonsets", namespace or settings.namespace, name)
    until = time.monotonic() + settings.trust_timeout.total_seconds()
    while True:
        status = (api.get(daemon_set) or {}).get("status") or {}
        left = int(status.get("numberReady") or 0)
        if not left or time.monotonic() > until:
            return left
        sleep(_PAUSE)
